"""Propose rewrites of a table, for examples/external_python.godel: climb a hill, and learn from refusals.

Reads the question from stdin, writes a candidate a line to stdout (docs/external.md). One entry of the table PLAN is
changed at a time. What was refused for the present program is not proposed again; an action that has won is tried first,
and last where a change made no difference, since that place is hardly met.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from typing import Any


def main() -> None:
    """Answer one question."""
    question = json.load(sys.stdin)
    wins: Counter[str] = Counter()
    idle: Counter[str] = Counter()
    refused: set[tuple[str, str]] = set()
    for attempt in question["attempts"]:
        claim = attempt.get("claim") or {}
        for edit in attempt.get("edits", []):
            place, action = str(edit["position"]), edit["code"][1]
            wins[action] += attempt["outcome"] == "accepted"
            if attempt["outcome"] == "refused":
                idle[place] += claim["new_upper"] == claim["old_lower"]
                if attempt["parent"] == question["program"]["digest"]:
                    refused.add((place, action))

    def promise(change: tuple[dict[str, Any], str]) -> tuple[int, int]:
        entry, action = change
        return -idle[str(entry["position"])], wins[action]

    # where promises are equal, the order of the table stays
    candidates = sorted(changes(question), key=promise, reverse=True)
    for entry, action in candidates:
        if (str(entry["position"]), action) not in refused:
            print(json.dumps(candidate(entry, action)))


def changes(question: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Every entry of the table with every action that it does not hold."""
    enum = re.search(r"enum Water \{ (.*) \}", question["declarations"])
    actions = enum[1].split(", ") if enum else []
    entries = [
        node
        for node in question["program"]["positions"]
        if node["slot"] == "PLAN" and len(node["position"]) == 2
    ]
    return [(entry, action) for entry in entries for action in actions if action != entry["text"]]


def candidate(entry: dict[str, Any], action: str) -> dict[str, Any]:
    """The change of one entry, as an edit that names what it expects to find."""
    edit = {
        "edit": "replace",
        "slot": entry["slot"],
        "position": entry["position"],
        "expected": entry["expected"],
        "code": ["name", action],
    }
    return {"edits": [edit], "note": f"{action} where soil = {entry['position'][1]}"}


if __name__ == "__main__":
    main()
