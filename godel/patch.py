"""What a patch stands for: the edits that its text makes of installed code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from dsl import syntax as s
from dsl.codec import Json, canonical_json
from dsl.errors import Diagnostic, DslError
from dsl.parser import parse_blocks
from dsl.rewrite import Edit, RewriteError, decode_edits, derive_edits
from dsl.search import AGENT, SEARCHER
from dsl.span import NO_SPAN, Span

DIGITS_MAX = 300
"""How long a number in JSON may be; longer integers stand in strings."""


def read_block(text: str, installed: Callable[[str], s.Code]) -> tuple[str, tuple[Edit, ...]]:
    """The task of an `agent { … }` or `searcher { … }` block, and what its items change in that task's code.

    Items replace those of the same name. Raises DslError; there are no edits where nothing changes.
    """
    found = parse_blocks(text)
    if found.search is not None:
        message = "no rewrite reaches `search`: what is declared is changed by a `revision`"
        raise DslError((Diagnostic("G001", message, found.search.span),))
    if found.agent is not None and found.searcher is not None:
        message = "a patch holds one block: each is proved by itself"
        raise DslError((Diagnostic("G001", message, found.searcher.span),))
    given = found.agent if found.agent is not None else found.searcher
    if given is None:
        raise DslError((Diagnostic("G001", "a patch holds a block", Span(1, 1, 1, 1)),))
    task = AGENT if found.agent is not None else SEARCHER
    old = installed(task)
    try:
        return task, derive_edits(old, merge_slots(old, given.slots))
    except RewriteError as error:
        raise DslError((Diagnostic("G007", str(error)),)) from None


def merge_slots(code: s.Code, given: Iterable[s.Slot]) -> s.Code:
    """The code with slots put in the place of those of the same name; new ones stand before the first policy."""
    named = {slot.name: slot for slot in given}
    slots = [named.pop(slot.name, slot) for slot in code.slots]
    at = next((i for i, slot in enumerate(slots) if isinstance(slot, s.Policy)), len(slots))
    return s.Code((*slots[:at], *named.values(), *slots[at:]))


def read_edits(text: str) -> tuple[Edit, ...]:
    """Edits written as JSON. Raises DslError where they are none."""
    try:
        return edits_of(read_json(text))
    except json.JSONDecodeError as error:
        span = Span(error.lineno, error.colno, error.lineno, error.colno + 1)
        raise _no_edits(error.msg, span) from None
    except ValueError as error:
        raise _no_edits(str(error)) from None


def edits_of(data: Json) -> tuple[Edit, ...]:
    """The edits that JSON stands for. Raises ValueError where they are none."""
    try:
        canonical_json(data)
        return decode_edits(data)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None


def read_json(text: str | bytes) -> Any:
    """JSON without floats and without numbers of more than `DIGITS_MAX` digits. Raises ValueError for anything else."""
    try:
        return json.loads(text, parse_int=_integer, parse_float=_inexact, parse_constant=_inexact)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _integer(text: str) -> int:
    # conversion takes time that grows with the square of the length
    if len(text) > DIGITS_MAX:
        raise ValueError(f"a number of {len(text):,} digits")
    return int(text)


def _inexact(text: str) -> Any:
    raise ValueError(f"{text[:40]} is not an exact number")


def _no_edits(reason: str, span: Span = NO_SPAN) -> DslError:
    return DslError((Diagnostic("G001", f"this is no list of edits: {reason}", span),))
