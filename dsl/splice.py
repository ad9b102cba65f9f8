"""Put other code into the text of a machine file; the rest of the text stays as it is."""

from __future__ import annotations

import re

from dsl import syntax as s
from dsl.formatter import format_source
from dsl.parser import parse_machine
from dsl.printer import print_code, print_slot

_OPENING = re.compile(r"(?:agent|searcher)(?:\s++|#[^\n]*+)*+\{")


def splice_code(source: str, code: s.Code, word: str = "agent") -> str:
    """The file with `code` as its agent, or its searcher: unchanged slots keep their text and comments."""
    machine = parse_machine(source)
    agent = machine.agent if word == "agent" else machine.searcher
    if agent is None:
        raise ValueError(f"there is no {word}")
    start, end = agent.span.start, agent.span.end
    before = [slot.name for slot in agent.slots if code.slot(slot.name) is not None]
    after = [slot.name for slot in code.slots if agent.slot(slot.name) is not None]
    opening = _OPENING.match(source, start)
    if before != after or opening is None:
        # the slots stand in another order: print the whole block
        text = print_code(code, word).rstrip()
    else:
        text = source[start : opening.end()] + _merge(source, opening.end(), agent, code) + "}"
    return format_source(source[:start] + text + source[end:])


def _merge(source: str, at: int, agent: s.Code, code: s.Code) -> str:
    """What stands between the braces, from `at` on; an added slot comes before the old one that it precedes."""
    coming = list(code.slots)
    pieces: list[str] = []
    for there in agent.slots:
        gap, at = source[at : there.span.start], there.span.end
        slot = code.slot(there.name)
        if slot is None:
            pieces.append(gap)
            continue
        added = coming[: coming.index(slot)]
        del coming[: len(added) + 1]
        same = slot == there
        pieces += [
            _insert(gap, added),
            source[there.span.start : there.span.end] if same else print_slot(slot),
        ]
    return "".join([*pieces, _insert(source[at : agent.span.end - 1], coming)])


def _insert(gap: str, slots: list[s.Slot]) -> str:
    """White space and comments with slots between them, after what belongs to the line before."""
    if not slots:
        return gap
    line, newline, rest = gap.partition("\n")
    if not newline:
        line, rest = "", gap
    return "\n".join([line, *map(print_slot, slots), "", rest])
