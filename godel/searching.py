"""The declared search: its families, prices and reports, and what a searcher decides. Loads no solver and no parser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

from dsl import syntax as s
from dsl.codec import (
    CodecError,
    Json,
    canonical_json,
    decode_json,
    decode_node,
    decode_rational,
    encode_node,
    encode_rational,
)
from dsl.machine import Program, Task
from dsl.types import Bool, Enum, Int, Value, inhabits
from proofs.kernel.chapter import Chapter

VERSION = 1


@dataclass(frozen=True, slots=True)
class FamilyDeclaration:
    """A family by name, with what kind it is and its settings."""

    name: str
    kind: str
    settings: tuple[tuple[str, str | int], ...]


@dataclass(frozen=True, slots=True)
class Prices:
    """What a report's unit of gain and of cost stands for, and what counts towards the cost."""

    gain_unit: Fraction
    cost_unit: Fraction
    rlimit: Fraction
    family_step: Fraction
    check_step: Fraction


@dataclass(frozen=True, slots=True)
class SearchDeclaration:
    """The search of a machine: families, prices, and the search world with the searcher in it, as an ordinary machine."""

    families: tuple[FamilyDeclaration, ...]
    prices: Prices
    machine: s.Machine


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one step of an episode came to."""

    tried: str
    outcome: str
    gain: int
    cost: int


class Searcher:
    """A searcher in its declared world: makes reports of what happened, and decides."""

    def __init__(self, declaration: SearchDeclaration) -> None:
        chapter = Chapter(declaration.machine.declarations)
        task = chapter.task
        self.declaration = declaration
        self.task: Task = task
        self.program: Program = chapter.program(declaration.machine.agent)
        attempt = task.names.enums["Attempt"]
        expected = ("stop", "apply", *(f.name for f in declaration.families))
        if attempt.members != expected:
            raise CodecError(f"enum Attempt must list {', '.join(expected)}")
        self.attempt: Enum = attempt

    @property
    def horizon(self) -> int | None:
        """After how many steps an episode ends."""
        return self.task.utility.horizon

    def first_reports(self) -> dict[str, Value]:
        """The reports at the start of an episode."""
        found: dict[str, Value] = {}
        for v in self.task.observed:
            if isinstance(v.type, Bool):
                found[v.name] = False
            elif isinstance(v.type, Int):
                found[v.name] = v.type.low or 0
            else:
                found[v.name] = 0
        return found

    def decide(self, reports: Mapping[str, Value]) -> tuple[str, int]:
        """What the searcher tries next, and the ticks the decision takes."""
        decided = self.program.decide(dict(reports))
        actions, ticks = decided.actions, decided.ticks
        return self.attempt.members[cast(int, actions[0])], ticks

    def next_reports(self, reports: Mapping[str, Value], attempt: Attempt) -> dict[str, Value]:
        """The reports after an attempt when what is accepted is installed at once."""
        won = attempt.outcome == "accepted"
        found = dict(reports)
        for v in self.task.observed:
            now = reports[v.name]
            if isinstance(v.type, Enum):
                found[v.name] = v.type.members.index(attempt.outcome)
                continue
            if not isinstance(v.type, Int) or isinstance(now, (bool, tuple)):
                continue
            found[v.name] = min(v.type.high or 0, int(now) + _increase(v.name, attempt))
            if won and v.name.startswith("fails_"):
                found[v.name] = 0
            if not inhabits(v.type, found[v.name]):
                raise CodecError(f"report {v.name} leaves its range")
        return found

    def gain_units(self, gain: Fraction) -> int:
        """A proved gain in the units of the reports: min(g, floor(gain / gain_unit)), 0 where none is declared."""
        return min(self._top("gain"), (gain / self.declaration.prices.gain_unit).__floor__())

    def cost_units(self, rlimit: int, family_steps: int, kernel_steps: int) -> int:
        """What an attempt cost in the units of the reports: min(c, ceil(T / cost_unit))."""
        return min(self._top("cost"), self._ceil(rlimit, family_steps, kernel_steps))

    def _ceil(self, rlimit: int, family_steps: int, kernel_steps: int) -> int:
        prices = self.declaration.prices
        return (self.ticks(rlimit, family_steps, kernel_steps) / prices.cost_unit).__ceil__()

    def ticks(self, rlimit: int, family_steps: int, kernel_steps: int) -> Fraction:
        """T: the price of what was used."""
        p = self.declaration.prices
        return p.rlimit * rlimit + p.family_step * family_steps + p.check_step * kernel_steps

    def _top(self, name: str) -> int:
        kind = next((v.type for v in self.task.chances if v.name == name), None)
        return kind.high or 0 if isinstance(kind, Int) else 0


def _increase(report: str, attempt: Attempt) -> int:
    if report == "step":
        return 1
    if report == "spent":
        return attempt.cost
    if report == "applied":
        return attempt.gain
    kind, _, family = report.partition("_")
    if family != attempt.tried:
        return 0
    won = attempt.outcome == "accepted"
    return int(won if kind == "wins" else not won)


def encode_search(declaration: SearchDeclaration) -> bytes:
    """Canonical JSON of a search."""
    prices = declaration.prices
    return canonical_json(
        {
            "version": VERSION,
            "families": [
                {"name": f.name, "kind": f.kind, "settings": dict(f.settings)}
                for f in declaration.families
            ],
            "prices": {name: encode_rational(getattr(prices, name)) for name in _PRICES},
            "machine": encode_node(declaration.machine),
        }
    )


_PRICES = ("gain_unit", "cost_unit", "rlimit", "family_step", "check_step")


def decode_search(data: bytes) -> SearchDeclaration:
    """The search that `encode_search` wrote; raises CodecError for anything else."""
    search = cast(Any, decode_json(data))
    if type(search) is not dict or search.keys() != {"version", "families", "prices", "machine"}:
        raise CodecError("a search holds version, families, prices and machine")
    if type(search["version"]) is not int or search["version"] != VERSION:
        raise CodecError("a search of an unknown version")
    if type(search["families"]) is not list or type(search["prices"]) is not dict:
        raise CodecError("a malformed search")
    return SearchDeclaration(
        tuple(_decode_family(f) for f in search["families"]),
        _decode_prices(search["prices"]),
        cast(s.Machine, decode_node(search["machine"], s.Machine)),
    )


def _decode_prices(data: dict[str, Json]) -> Prices:
    if data.keys() != set(_PRICES):
        raise CodecError("a search with unknown prices")
    prices = Prices(**{name: decode_rational(data[name]) for name in _PRICES})
    if prices.gain_unit <= 0 or prices.cost_unit <= 0:
        raise CodecError("the unit of a report must be positive")
    if min(prices.rlimit, prices.family_step, prices.check_step) < 0:
        raise CodecError("a price must not be negative")
    return prices


def _decode_family(data: object) -> FamilyDeclaration:
    match data:
        case {"name": str(name), "kind": str(kind), "settings": dict(settings), **rest} if not rest:
            if all(type(v) in (str, int) for v in settings.values()):
                return FamilyDeclaration(name, kind, tuple(sorted(settings.items())))
    raise CodecError("a malformed family")
