"""What a command is told that shall propose rewrites: the program, the declarations, and what came of attempts so far.

The form is described in docs/external.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from dsl import syntax as s
from dsl.codec import Json, digest_node, encode_node, tag_of
from dsl.machine import Program
from dsl.printer import print_code, print_declarations, print_expression
from godel.families.family import Workplace

SCHEMA = "godel/question/1"
POSITIONS_MAX = 1_000
"""How many nodes of a program are listed with their positions."""
TEXT_MAX = 80
TOLD = (
    *("family", "outcome", "note", "parent", "result", "edits", "reason", "diagnostics"),
    *("claim", "counterexample"),
)
"""What is told of an attempt, as far as its entry holds it."""


def write_question(
    work: Workplace,
    program: Program,
    *,
    limits: Mapping[str, int],
    unread: Sequence[Json],
) -> bytes:
    """The question about a program: one line of JSON."""
    positions, left_out = _positions(program.code)
    question = {
        "schema": SCHEMA,
        "machine": program.task.declarations.name,
        "block": work.block,
        "program": {
            "digest": program.digest,
            "text": print_code(program.code, work.block),
            "slots": [_slot(slot) for slot in program.code.slots],
            "positions": positions,
            "positions_left_out": left_out,
        },
        "declarations": print_declarations(program.task.declarations),
        "criterion": program.task.utility.better,
        "bounds": work.bounds(program),
        "attempts": [_attempt(entry.body) for entry in work.attempts],
        "unread": unread,
        "limits": limits,
        "seed": work.seed,
    }
    return json.dumps(question).encode() + b"\n"


def _slot(slot: s.Slot) -> Json:
    return {
        "slot": slot.name,
        "kind": tag_of(slot),
        "digest": digest_node(slot),
        "code": encode_node(slot),
    }


def _positions(code: s.Code) -> tuple[list[Json], bool]:
    """The first nodes of the code, each with what an edit must say to replace it; whether there are more."""
    found: list[Json] = []
    for slot, position, node in _nodes(code):
        if len(found) == POSITIONS_MAX:
            return found, True
        found.append(
            {
                "slot": slot.name,
                "position": list(position),
                "kind": tag_of(node),
                "text": _text(node),
                "expected": digest_node(node),
            }
        )
    return found, False


def _nodes(code: s.Code) -> Iterator[tuple[s.Slot, s.Position, s.Node]]:
    for slot in code.slots:
        for position, node in s.positions(slot):
            yield slot, position, node


def _text(node: s.Node) -> str | None:
    """A short expression as text."""
    if not isinstance(node, get_args(s.Expr)):
        return None
    text = print_expression(node)
    return text if len(text) <= TEXT_MAX and "\n" not in text else None


def _attempt(body: Mapping[str, Any]) -> Json:
    return {key: body[key] for key in TOLD if key in body}
