"""Compile `grammar.lark` to `grammar.json`, the table that the parser runs: `python -m dsl.compile_grammar`.

Only this needs lark, and only when the grammar changes; a test sees that both files agree.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from lark import Lark
from lark.grammar import Rule
from lark.lexer import TerminalDef

STARTS = ("machine", "patch", "expression")


def compile_grammar(grammar: str) -> str:
    """The table as JSON, the same text for the same grammar.

    `states` holds what each state does, by kind of token or name of rule: go to a state (0, 1, …), or reduce by a rule
    (-1 is the first one of `rules`, which are names with lengths). `starts` gives the first and last state for each
    thing that may be read, `terminals` kind, pattern and spelling of each token, those to try first in front.
    """
    lark = Lark(grammar, start=list(STARTS), parser="lalr", lexer="basic", keep_all_tokens=True)
    table = lark.parse_interactive("", start=STARTS[0]).parser_state.parse_conf.parse_table
    order = _order(table)
    number = {state: i for i, state in enumerate(order)}
    actions = [action for state in order for _, action in table.states[state].values()]
    rules = sorted({_named(action) for action in actions if isinstance(action, Rule)})
    states = [
        {
            kind: -1 - rules.index(_named(action)) if isinstance(action, Rule) else number[action]
            for kind, (_, action) in sorted(table.states[state].items())
        }
        for state in order
    ]
    ends = {s: [number[table.start_states[s]], number[table.end_states[s]]] for s in STARTS}
    terminals = sorted((t for t in lark.terminals if t.pattern is not None), key=_rank)
    parts: dict[str, list[str]] = {
        "rules": [json.dumps(rule) for rule in rules],
        "skip": [json.dumps(kind) for kind in sorted(lark.ignore_tokens)],
        "starts": [json.dumps([name, *both]) for name, both in ends.items()],
        "states": [json.dumps(state) for state in states],
        "terminals": [json.dumps([t.name, t.pattern.to_regexp(), _spelling(t)]) for t in terminals],
    }
    blocks = (
        f"{json.dumps(name)}: [\n" + ",\n".join(lines) + "\n]" for name, lines in parts.items()
    )
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def _order(table: Any) -> list[Any]:
    """The states as they are met from the starts on: lark numbers them in an order of its own."""
    found = [table.start_states[start] for start in STARTS]
    for state in found:
        for _, (_, action) in sorted(table.states[state].items()):
            if not isinstance(action, Rule) and action not in found:
                found.append(action)
    return found


def _named(rule: Rule) -> tuple[str, int]:
    return str(rule.origin.name), len(rule.expansion)


def _rank(terminal: TerminalDef) -> tuple[int, int, str]:
    """The order in which kinds of token are tried: by priority, then the longer before the shorter."""
    return -terminal.priority, -terminal.pattern.max_width, terminal.name


def _spelling(terminal: TerminalDef) -> str:
    if terminal.pattern.type == "str":
        return f"`{terminal.pattern.value}`"
    return str(terminal.name.lower())


def main() -> None:
    """Write the table into this package."""
    grammar = files("dsl").joinpath("grammar.lark").read_text(encoding="utf-8")
    target = Path(__file__).with_name("grammar.json")
    target.write_text(compile_grammar(grammar), encoding="utf-8")


if __name__ == "__main__":
    main()
