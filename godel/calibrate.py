"""Calibrate a search: from what attempts came to, the rates of success and the costs that a declared world may claim.

A *situation* of a family is given by its own reports: how often it failed in a row, how often it won. In each the rate of
success is unknown but for an exact interval (Clopper and Pearson, Biometrika 26, 1934), whose ends are rounded outward. What
comes out is a proposal to a person, who adopts it by a `revision`. Loads no solver.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import groupby
from math import comb
from typing import Any, TypeAlias, TypeGuard, cast

from dsl import syntax as s
from dsl.parser import parse_blocks
from dsl.printer import print_search_world, print_type
from dsl.search import AGENT, OUTCOMES, families_of, target_of
from dsl.types import Int
from godel.history import ATTEMPTS, History
from godel.ledger import Entry, Kind
from godel.searching import Search

CONFIDENCE = Fraction(95, 100)
GRID = 1_000
"""The ends of intervals are multiples of 1/GRID."""
FAILURES = OUTCOMES[2:]
LAWS = ("outcome", "gain", "cost")

Situation: TypeAlias = tuple[int, int]
"""How often a family failed in a row and how often it won, as far as that is reported; 0 where it is not."""


class NoRecord(Exception):
    """Ledgers that say nothing about the search in question."""


def clopper_pearson(wins: int, count: int, doubt: Fraction) -> tuple[Fraction, Fraction]:
    """Where the rate lies of which `count` independent trials brought `wins` successes.

    Whatever the rate, the probability that it is not between these ends is at most `doubt`. With X binomial, lower end:
    the greatest p on the grid with P(X >= wins) <= doubt/2; upper end: the least with P(X <= wins) <= doubt/2.
    """
    if not 0 <= wins <= count or not 0 < doubt < 1:
        raise ValueError(f"{wins} of {count} trials with doubt {doubt}")
    half = doubt / 2
    low = 0 if wins == 0 else _last(lambda k: 1 - _at_most(wins - 1, count, k) <= half)
    high = (
        GRID if wins == count else GRID - _last(lambda k: _at_most(wins, count, GRID - k) <= half)
    )
    return Fraction(low, GRID), Fraction(high, GRID)


def _last(holds: Any) -> int:
    """The greatest number up to GRID for which something holds that holds for 0 and, once it fails, fails for good."""
    low, high = 0, GRID
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def _at_most(wins: int, count: int, rate: int) -> Fraction:
    """P(X <= wins) for `count` trials at rate/GRID."""
    total = sum(comb(count, k) * rate**k * (GRID - rate) ** (count - k) for k in range(wins + 1))
    return Fraction(total, GRID**count)


# --- the record ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Record:
    """What the attempts of one family came to in one situation: outcomes, and gains and costs of those that won and failed,
    in the units of the reports. `skipped` counts the attempts that the size of the samples left out."""

    outcomes: Counter[str] = field(default_factory=Counter)
    gains: Counter[int] = field(default_factory=Counter)
    costs: Mapping[bool, Counter[int]] = field(
        default_factory=lambda: {w: Counter() for w in (True, False)}
    )
    skipped: int = 0

    @property
    def count(self) -> int:
        """How many attempts count."""
        return self.outcomes.total()

    @property
    def wins(self) -> int:
        """How many of them were accepted."""
        return self.outcomes["accepted"]

    def add(self, outcome: str, gain: int, cost: int) -> None:
        """One more attempt."""
        self.outcomes[outcome] += 1
        won = outcome == "accepted"
        self.costs[won][cost] += 1
        if won:
            self.gains[gain] += 1


@dataclass(slots=True)
class Records:
    """The records of all families of one search, by family and situation, out of so many ledgers."""

    search: Search
    tree: s.Search
    by_family: dict[str, dict[Situation, Record]]
    ledgers: int = 0


def read_records(ledgers: Iterable[tuple[Iterable[Entry], Any]], samples: int) -> Records:
    """The records of ledgers, each given as its entries and its blobs by digest: of the last chapter of each, in each
    situation of each family, the first `samples` attempts. Raises NoRecord where the searches differ, LedgerError.
    """
    found: Records | None = None
    begun: set[str] = set()
    for entries, blob in ledgers:
        history = History(blob)
        taken: list[tuple[str, Situation, Any]] = []
        for entry in entries:
            if entry.kind in (Kind.GENESIS, Kind.REVISION):
                taken = []
            elif entry.kind in ATTEMPTS and entry.body["try"] is not None:
                body = cast(Any, entry.body)
                taken.append((body["try"], _situation(history, body["try"]), body))
            history.advance(entry)
            if entry.seq == 0 and entry.id in begun:
                raise NoRecord(f"two of the ledgers begin alike: {history.machine} counts once")
            if entry.seq == 0:
                begun.add(entry.id)
        if history.last is None:
            raise NoRecord("a ledger without entries")
        tree = history.load_search()
        if found is None:
            names = [f.name for f in families_of(tree)]
            found = Records(history.search, tree, {name: {} for name in names})
        elif found.tree != tree:
            raise NoRecord(f"the ledger of {history.machine} has another search than the first one")
        found.ledgers += 1
        seen: Counter[tuple[str, Situation]] = Counter()
        for tried, situation, body in taken:
            record = found.by_family[tried].setdefault(situation, Record())
            seen[tried, situation] += 1
            if seen[tried, situation] > samples:
                record.skipped += 1
            else:
                outcome = "accepted" if body["outcome"] == "accepted" else body["outcome"]
                record.add(outcome, body["gain"], body["cost"])
    if found is None:
        raise NoRecord("no ledger is given")
    return found


def _situation(history: History, family: str) -> Situation:
    reports = history.situation.reports
    return cast(Situation, tuple(reports.get(f"{word}_{family}", 0) for word in ("fails", "wins")))


# --- rates ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rate:
    """The rate of success of a family in some situations as an unknown: its name, its interval, and what it rests on."""

    name: str
    family: str
    situation: Situation
    low: Fraction
    high: Fraction
    record: Record


@dataclass(frozen=True, slots=True)
class Calibration:
    """The rates of all families, each of which lies in its interval; that all do has probability at least `confidence`."""

    records: Records
    rates: tuple[Rate, ...]
    confidence: Fraction
    world: s.SearchWorld

    @property
    def search(self) -> s.Search:
        """The search with this world in the place of its own."""
        tree = self.records.tree
        items = tuple(self.world if isinstance(i, s.SearchWorld) else i for i in tree.items)
        return replace(tree, items=items)

    @property
    def text(self) -> str:
        """The world as it is written in a file."""
        return print_search_world(self.world)


def calibrate(records: Records, confidence: Fraction = CONFIDENCE) -> Calibration:
    """Rates and world. The doubt is shared among all situations that reports tell apart, so that all intervals hold at once.

    Who gets how much of it is settled before any attempt, since what is tried depends on what came before: families get the
    same, half of that goes to their first situation, the rest evenly to the others. Families that rewrite the searcher
    keep the law that is declared for them, since their success begins a new episode.
    """
    families = [f.name for f in families_of(records.tree) if target_of(f) == AGENT]
    rates: list[Rate] = []
    taken = {i.name for i in _kept(_world_of(records.tree), records.tree) if hasattr(i, "name")}
    for family in families:
        share = (1 - confidence) / len(families)
        fails, wins = _tops(records, family)
        others = (fails + 1) * (wins + 1) - 1
        for situation, record in sorted(records.by_family[family].items()):
            doubt = (
                share if not others else share / 2 if situation == (0, 0) else share / 2 / others
            )
            low, high = clopper_pearson(record.wins, record.count, doubt)
            name = "rate_" + family
            parts = zip(("failed", "won"), situation, strict=True)
            name += "".join(f"_{word}{n}" for word, n in parts if n)
            while name in taken:
                name += "_"
            taken.add(name)
            rates.append(Rate(name, family, situation, low, high, record))
    calibrated = _calibrated(records, rates)
    return Calibration(records, tuple(rates), confidence, calibrated)


# --- the world -----------------------------------------------------------------------------------


def _world_of(tree: s.Search) -> s.SearchWorld:
    return next(i for i in tree.items if isinstance(i, s.SearchWorld))


def _calibrated(records: Records, rates: Sequence[Rate]) -> s.SearchWorld:
    """The world of a search with other laws of outcome, gain and cost, without what only the old ones read."""
    old = _world_of(records.tree)
    laws = {
        i.name: i for i in old.items if isinstance(i, s.Chance | s.Adversary) and i.name in LAWS
    }
    new = _parsed(records, rates, laws)
    unknowns = [i for i in new if isinstance(i, s.Unknown)]
    fresh = {i.name: i for i in new if isinstance(i, s.Chance)}
    kept = _kept(old, records.tree)
    items: list[Any] = []
    for item in old.items:
        if isinstance(item, s.Action):
            items += [*unknowns, item]
        elif _is_law(item):
            items.append(_with_arms(fresh[item.name], _arms(item, records.tree)))
        elif item in kept:
            items.append(item)
    return replace(old, items=tuple(_needed(items)))


def _is_law(item: Any) -> TypeGuard[s.Chance | s.Adversary]:
    return isinstance(item, s.Chance | s.Adversary) and item.name in LAWS


def _kept(world: s.SearchWorld, tree: s.Search) -> list[Any]:
    """What stays of a world without its laws, but for the arms that stay."""
    arms = [arm for law in world.items if _is_law(law) for arm in _arms(law, tree).values()]
    return _needed([i for i in world.items if not _is_law(i)], arms)


def _needed(items: list[Any], readers: Sequence[s.Node] = ()) -> list[Any]:
    """The items without definitions and unknowns that neither they nor other readers read any more."""
    while True:
        nodes = [n for i in (*items, *readers) for n in s.walk(i)]
        read = {n.name for n in nodes if isinstance(n, s.Name)}
        called = {n.name for n in nodes if isinstance(n, s.Call)}
        kept = [
            i
            for i in items
            if not isinstance(i, s.Define | s.Unknown | s.Def)
            or i.name in (called if isinstance(i, s.Def) else read)
        ]
        if len(kept) == len(items):
            return kept
        items = kept


def _arms(law: s.Chance | s.Adversary, tree: s.Search) -> dict[str, s.DistArm]:
    """The arms of a law that chooses by family, for those families that rewrite the searcher."""
    if not isinstance(law, s.Chance) or not isinstance(law.dist, s.DistMatch):
        return {}
    kept = {f.name for f in families_of(tree) if target_of(f) != AGENT}
    return {
        p.name: replace(arm, patterns=(p,))
        for arm in law.dist.arms
        for p in arm.patterns
        if isinstance(p, s.Name) and p.name in kept
    }


def _with_arms(new: s.Chance, arms: Mapping[str, s.DistArm]) -> s.Chance:
    law = cast(s.DistMatch, new.dist)
    changed = tuple(arms.get(cast(s.Name, arm.patterns[0]).name, arm) for arm in law.arms)
    return replace(new, dist=replace(law, arms=changed))


def _parsed(
    records: Records, rates: Sequence[Rate], laws: Mapping[str, Any]
) -> tuple[s.EnvironmentItem | s.Report, ...]:
    """The new items: unknowns and laws."""
    lines = [f"unknown {r.name}: rat {r.low}..{r.high}" for r in rates]
    families = [f.name for f in families_of(records.tree)]
    for name, law in laws.items():
        arms = []
        for family in families:
            mine = [r for r in rates if r.family == family]
            body = _BODIES[name](records, family, mine)
            arms.append(f"{family}: {body}")
        kind = "Outcome" if name == "outcome" else print_type(law.type)
        lines.append(f"chance {name}: {kind} = match try {{ {', '.join(arms)} }}")
    text = "search { world { " + "\n".join(lines) + " } }"
    found = parse_blocks(text).search
    assert found is not None
    return _world_of(found).items


def _outcome_body(records: Records, family: str, rates: Sequence[Rate]) -> str:
    """By situation: accepted at the unknown rate; of failures each kind counts once more than it was met."""

    def law(rate: Rate) -> str:
        total = sum(rate.record.outcomes[o] + 1 for o in FAILURES)
        shares = (
            f"{o}: (1 - {rate.name}) * {rate.record.outcomes[o] + 1}/{total}" for o in FAILURES
        )
        return f"{{ accepted: {rate.name}, {', '.join(shares)} }}"

    return _by_situation(records, family, {r.situation: law(r) for r in rates})


def _tops(records: Records, family: str) -> Situation:
    """The last situation of a family that its reports tell apart."""
    reports = {v.name: v.type for v in records.search.task.observed}
    kinds = [reports.get(f"{word}_{family}") for word in ("fails", "wins")]
    fails, wins = (kind.high or 0 if isinstance(kind, Int) else 0 for kind in kinds)
    return fails, wins


def _by_situation(records: Records, family: str, laws: Mapping[Situation, str]) -> str:
    """A choice by the reports of a family; where it was never tried it is taken to bring nothing.

    So no theorem can rest on what nobody has seen: a searcher that goes there gains nothing by it.
    """
    tops = _tops(records, family)
    rows = []
    for wins in range(tops[1] + 1):
        row = [laws.get((fails, wins), "{ empty: 1 }") for fails in range(tops[0] + 1)]
        rows.append(_runs(f"fails_{family}", row))
    return _runs(f"wins_{family}", rows)


def _runs(report: str, laws: Sequence[str]) -> str:
    """A chain of tests over the values of a report, alike neighbours together."""
    text, at = "", 0
    runs = [(law, len(list(same))) for law, same in groupby(laws)]
    for law, length in runs[:-1]:
        at += length
        text += f"if {report} < {at} then {law} else "
    return text + runs[-1][0]


def _spread(counted: Counter[int]) -> str:
    """A law over all values from the least to the greatest met, each counted once more than it was."""
    if not counted:
        return "{ 0: 1 }"
    low, high = min(counted), max(counted)
    if low == high:
        return f"{{ {low}: 1 }}"
    total = counted.total() + high - low + 1
    entries = (f"{v}: {counted[v] + 1}/{total}" for v in range(low, high + 1))
    return f"{{ {', '.join(entries)} }}"


def _cost_body(records: Records, family: str, rates: Sequence[Rate]) -> str:
    joint = {won: Counter[int]() for won in (True, False)}
    for record in records.by_family[family].values():
        for won, counted in record.costs.items():
            joint[won].update(counted)
    known = [_spread(counted) for counted in joint.values() if counted]
    if len(known) == 2:
        return f"if outcome == accepted then {known[0]} else {known[1]}"
    return known[0] if known else _spread(Counter())


def _gain_body(records: Records, family: str, rates: Sequence[Rate]) -> str:
    joint: Counter[int] = Counter()
    for record in records.by_family[family].values():
        joint.update(record.gains)
    return _spread(joint)


_BODIES = {"outcome": _outcome_body, "gain": _gain_body, "cost": _cost_body}
