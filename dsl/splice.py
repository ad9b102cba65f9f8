"""Put other code into the text of a machine file; the rest of the text stays as it is."""

from __future__ import annotations

from dsl import syntax as s
from dsl.formatter import format_source
from dsl.parser import parse_machine
from dsl.printer import print_code, print_slot


def splice_code(source: str, code: s.Code) -> str:
    """The file with `code` as its agent: unchanged slots keep their text and comments, others are printed anew."""
    agent = parse_machine(source).agent
    kept = {slot.name: slot for slot in agent.slots}
    pieces: list[str] = []
    at = agent.slots[0].span.start if agent.slots else agent.span.start
    if [slot.name for slot in code.slots if slot.name in kept] != [s.name for s in agent.slots]:
        # a slot was removed or moved: print the whole block
        text = source[: agent.span.start] + print_code(code).rstrip() + source[agent.span.end :]
        return format_source(text)
    pieces.append(source[:at])
    for slot in code.slots:
        there = kept.get(slot.name)
        if there is None:
            pieces.append(print_slot(slot) + "\n\n")
            continue
        pieces.append(source[at : there.span.start])
        same = there == slot
        pieces.append(source[there.span.start : there.span.end] if same else print_slot(slot))
        at = there.span.end
    pieces.append(source[at:])
    return format_source("".join(pieces))
