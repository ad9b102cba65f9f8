"""Claims with certificates written by hand, one a file, and what the kernel makes of them.

`[certificate]` holds the JSON form of `proofs.certificates`; what is left out of it is filled in here: the version, the rule
where it is named like the claim, worlds and lists of multipliers that are empty.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dsl import syntax as s
from dsl.codec import canonical_json
from dsl.parser import parse_machine, parse_patch
from proofs.certificates import decode_certificate
from proofs.kernel.certificate import Certificate
from proofs.kernel.chapter import Chapter
from proofs.kernel.check import (
    Breaks,
    IsBetter,
    IsBounded,
    IsNotBetter,
    IsOptimal,
    Keeps,
    Obligation,
    check,
)
from proofs.kernel.theorem import Statement

HERE = Path(__file__).resolve().parent
RULES = {"keeps": "invariant", "breaks": "path"}
NOWHERE = {"starts": [], "unknowns": [], "rationals": []}


def load_cases(folder: str) -> list[Any]:
    """The cases of a folder, by the names of their files."""
    files = sorted((HERE / folder).glob("*.toml"))
    return [pytest.param(tomllib.loads(f.read_text("utf-8")), id=f.stem) for f in files]


@dataclass(frozen=True)
class Claim:
    """What a case claims, and about which programs; for claims about one program `old` and `new` are the same."""

    chapter: Chapter
    obligation: Obligation
    old: s.Code
    new: s.Code

    def read(self, data: bytes) -> Certificate:
        """A certificate for this claim."""
        chapter = self.chapter
        new, old = chapter.program(self.new), chapter.program(self.old)
        return decode_certificate(data, chapter.task, new, old)

    def prove(self, data: bytes) -> Statement:
        """What the kernel makes of a certificate for this claim."""
        return check(self.obligation, self.read(data)).statement


def claim_of(case: dict[str, Any]) -> Claim:
    """What a case claims."""
    old = parse_patch(f"agent {{ {case['old']} }}")
    new = parse_patch(f"agent {{ {case.get('new', case['old'])} }}")
    chapter = Chapter(parse_machine(f"{case['machine']}\nagent {{ {case['old']} }}").declarations)
    name = case.get("requirement", "")
    obligations: dict[str, Obligation] = {
        "better": IsBetter(chapter, old, new),
        "not better": IsNotBetter(chapter, old, new),
        "bounds": IsBounded(chapter, new),
        "optimal": IsOptimal(chapter, new),
        "keeps": Keeps(chapter, name, new),
        "breaks": Breaks(chapter, name, new),
    }
    return Claim(chapter, obligations[case["claim"]], old, new)


def certificate_of(case: dict[str, Any]) -> bytes:
    """The certificate of a case as canonical JSON."""
    rule = RULES.get(case["claim"], case["claim"])
    data = {"version": 2, "rule": rule, **_filled(case["certificate"])}
    if data["rule"] == "bounds":
        for side in ("lower", "upper"):
            data.setdefault(side, None)
            data.setdefault(f"{side}_cases", [])
    if data["rule"] in ("better", "pointwise"):
        data.setdefault("world", NOWHERE)
    return canonical_json(data)


def _filled(data: Any) -> Any:
    if isinstance(data, list):
        return [_filled(item) for item in data]
    if not isinstance(data, dict):
        return data
    found = {key: _filled(item) for key, item in data.items()}
    if "tables" in found:
        found.setdefault("multipliers", [])
    if "world" in found:
        found["world"] = {**NOWHERE, **found["world"]}
    return found


def statement_of(case: dict[str, Any]) -> Statement:
    """What the kernel makes of a case."""
    return claim_of(case).prove(certificate_of(case))
