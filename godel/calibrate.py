"""Calibrate a search: from what attempts came to, the rates of success and the costs that a declared world may claim.

A *situation* of a family is given by its own reports: how often it failed in a row, how often it won. In each the rate of
success is unknown but for an exact interval (Clopper and Pearson, Biometrika 26, 1934), whose ends are rounded outward. What
comes out is a proposal to a person, who adopts it by a `revision`. Loads no solver.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import groupby
from typing import Any, TypeAlias, cast

from dsl import syntax as s
from dsl.errors import DslError
from dsl.parser import parse_blocks
from dsl.printer import print_search_world, print_type
from dsl.search import AGENT, APPLY, OUTCOMES, STOP, families_of, target_of, words_of
from dsl.types import Int
from godel.entries import require_shape
from godel.history import ATTEMPTS, History, searching
from godel.ledger import Entry, Kind, LedgerError
from godel.searching import Search
from proofs.kernel.chapter import NotTotal

CONFIDENCE = Fraction(95, 100)
GRID = 1_000
"""The ends of intervals are multiples of 1/GRID."""
SPREAD_MAX = 10_000
"""Over so many values at most a gain or a cost is spread."""
CHAIN_MAX = 8
"""So many tests of a report at most stand in a row; more are halved, so that they do not nest as deeply."""
FAILURES = OUTCOMES[2:]
LAWS = ("outcome", "gain", "cost")

Situation: TypeAlias = tuple[int, int]
"""How often a family failed in a row and how often it won, as far as that is reported; 0 where it is not."""


class NoRecord(Exception):
    """Ledgers of which no world of one search can be made."""


def clopper_pearson(wins: int, count: int, doubt: Fraction) -> tuple[Fraction, Fraction]:
    """Where the rate lies of which `count` independent trials brought `wins` successes.

    Whatever the rate, the probability that it is not between these ends is at most `doubt`. With X binomial, lower end:
    the greatest p on the grid with P(X >= wins) <= doubt/2; upper end: the least with P(X <= wins) <= doubt/2.
    """
    if not 0 <= wins <= count or not 0 < doubt < 1:
        raise ValueError(f"{wins} of {count} trials with doubt {doubt}")
    half = doubt / 2
    # so many successes or more at k/GRID are so many failures or fewer at 1 - k/GRID
    low = 0 if wins == 0 else _last(lambda k: _is_rare(count - wins, count, GRID - k, half))
    high = GRID if wins == count else GRID - _last(lambda k: _is_rare(wins, count, GRID - k, half))
    return Fraction(low, GRID), Fraction(high, GRID)


def _last(holds: Callable[[int], bool]) -> int:
    """The greatest number up to GRID for which something holds that holds for 0 and, once it fails, fails for good."""
    low, high = 0, GRID
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def _is_rare(wins: int, count: int, rate: int, bound: Fraction) -> bool:
    """Whether P(X <= wins) <= bound, for `count` trials at rate/GRID, fewer than all of which are `wins`."""
    other = GRID - rate
    if other == 0:
        return True  # all trials succeed
    # each term of the sum from the one before it, times GRID^count
    term = total = other**count
    for k in range(wins):
        term = term * ((count - k) * rate) // ((k + 1) * other)
        total += term
    return bool(total * bound.denominator <= bound.numerator * GRID**count)


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
    """The records of all families of one search, by family and situation, out of so many ledgers.

    `read` is what the search reads of its machine, the same in all; `own` whether it stands in the machine's file.
    `words` are all that stand in the declarations and searchers of the machines; `members` those in their enums.
    """

    search: Search
    tree: s.Search
    declarations: s.Declarations
    own: bool
    read: tuple[s.Node, ...]
    by_family: dict[str, dict[Situation, Record]]
    ledgers: int = 0
    words: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)

    def never_tried(self, family: str) -> bool:
        """Whether nothing at all is known of a family."""
        return not self.by_family[family]


def read_records(ledgers: Iterable[tuple[Iterable[Entry], Any]], samples: int) -> Records:
    """The records of ledgers, each given as its entries and its blobs by digest: of the last chapter of each, in each
    situation of each family, the first `samples` attempts. Raises LedgerError, and NoRecord where the searches differ or
    two ledgers begin alike.
    """
    found: Records | None = None
    begun: set[tuple[object, ...]] = set()
    for entries, blob in ledgers:
        history = History(blob)
        taken: list[tuple[str, Situation, Any]] = []
        for entry in entries:
            require_shape(entry)
            if entry.kind in (Kind.GENESIS, Kind.REVISION):
                taken, opening = [], entry.body
            elif entry.kind in ATTEMPTS and entry.body["try"] is not None:
                body = cast(Any, entry.body)
                if history.search.family(body["try"]) is None:
                    raise LedgerError(f"{body['try']} is no family of the search", seq=entry.seq)
                taken.append((body["try"], _situation(history, body["try"]), body))
            history.advance(entry)
        if history.last is None:
            raise NoRecord("a ledger without entries")
        start = tuple(opening[k] for k in ("declarations", "code", "search", "searcher", "seed"))
        if start in begun:
            raise NoRecord(f"two ledgers of {history.machine} begin alike: a run counts once")
        begun.add(start)
        tree, declarations = history.load_search(), history.load_declarations()
        read = declarations_read(declarations, tree) if history.own_search else ()
        if found is None:
            own = history.own_search
            records: dict[str, dict[Situation, Record]] = {f.name: {} for f in families_of(tree)}
            found = Records(history.search, tree, declarations, own, read, records)
        elif (found.tree, found.own) != (tree, history.own_search):
            raise NoRecord(f"the ledger of {history.machine} has another search than the first one")
        elif found.read != read:
            raise NoRecord(
                f"what the search reads of {history.machine} is not what the first reads"
            )
        found.ledgers += 1
        found.words |= words_of([declarations, history.searcher.code])
        enums = (i for i in declarations.items if isinstance(i, s.Enum))
        found.members |= {m for e in enums for m in e.members}
        seen: Counter[tuple[str, Situation]] = Counter()
        for tried, situation, body in taken:
            record = found.by_family[tried].setdefault(situation, Record())
            seen[tried, situation] += 1
            if seen[tried, situation] > samples:
                record.skipped += 1
            else:
                record.add(body["outcome"], body["gain"], body["cost"])
    if found is None:
        raise NoRecord("no ledger is given")
    return found


def declarations_read(declarations: s.Declarations, *trees: s.Node) -> tuple[s.Node, ...]:
    """The constants, tables, definitions and enums of a machine that trees read, and what these read."""
    read = words_of(trees) - {STOP, APPLY, *OUTCOMES}
    found: list[s.Node] = []
    while True:
        more = [
            i
            for i in declarations.items
            if i not in found and not read.isdisjoint((i.name, *getattr(i, "members", ())))
        ]
        if not more:
            return tuple(i for i in declarations.items if i in found)
        found += more
        read |= words_of(i for i in more if not isinstance(i, s.Enum))


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


def calibrate(
    records: Records, confidence: Fraction = CONFIDENCE, *, words: Iterable[str] = ()
) -> Calibration:
    """Rates and world. The doubt is shared among all situations that reports tell apart, so that all intervals hold at once.

    Who gets how much of it is settled before any attempt, since what is tried depends on what came before: families get the
    same, half of that goes to their first situation, the rest evenly to the others. Families that rewrite the searcher
    keep the law that is declared for them, since their success begins a new episode; so do families that were never tried.
    No name that is given here is among `words`. Raises NoRecord where no world that is in order comes out.
    """
    families = [f.name for f in families_of(records.tree) if target_of(f) == AGENT]
    rates: list[Rate] = []
    taken = records.words | _words_kept(records) | set(words)
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
    try:
        found = Calibration(records, tuple(rates), confidence, _calibrated(records, rates))
        searching(records.declarations, found.search, own=records.own)
    except DslError as error:
        raise NoRecord(f"no world comes out that is in order: {error}") from None
    except NotTotal as error:
        raise NoRecord(f"no world comes out that is total: {error}") from None
    return found


# --- the world -----------------------------------------------------------------------------------


def _world_of(tree: s.Search) -> s.SearchWorld:
    return next(i for i in tree.items if isinstance(i, s.SearchWorld))


def _calibrated(records: Records, rates: Sequence[Rate]) -> s.SearchWorld:
    """The world of a search with other laws of outcome, gain and cost, without what only the old ones read."""
    old = _world_of(records.tree)
    new = _parsed(records, rates)
    unknowns = [i for i in new if isinstance(i, s.Unknown)]
    fresh = {i.name: i for i in new if isinstance(i, s.Chance)}
    items: list[Any] = []
    stays = _stays(records)
    for item in old.items:
        if isinstance(item, s.Action):
            items += [*unknowns, item]
        elif isinstance(item, s.Chance | s.Adversary) and item.name in LAWS:
            items.append(_with_kept(records, fresh[item.name], item))
        elif item in stays:
            items.append(item)
    return replace(old, items=tuple(items))


def _laws(records: Records) -> dict[str, s.Chance | s.Adversary]:
    """The declared laws by name, in order."""
    items = _world_of(records.tree).items
    return {i.name: i for i in items if isinstance(i, s.Chance | s.Adversary) and i.name in LAWS}


def _words_kept(records: Records) -> set[str]:
    """Every word in what stays of a search."""
    rest = [i for i in records.tree.items if not isinstance(i, s.SearchWorld)]
    return words_of([*_stays(records), *rest])


def _stays(records: Records) -> list[Any]:
    """What stays of a world, with what is kept of its laws in their places."""
    items: list[Any] = []
    for item in _world_of(records.tree).items:
        if isinstance(item, s.Chance | s.Adversary) and item.name in LAWS:
            items += [_kept_law(item, f) for f in _kept(records)]
        else:
            items.append(item)
    return _needed(items)


def _needed(items: list[Any]) -> list[Any]:
    """The items without definitions and unknowns that nothing reads any more."""
    while True:
        read = {n.name for i in items for n in s.walk(i) if isinstance(n, s.Name)}
        kept = [
            i
            for i in items
            if not isinstance(i, s.Define | s.Unknown | s.Def) or _is_read(i, read, items)
        ]
        if len(kept) == len(items):
            return kept
        items = kept


def _is_read(item: Any, read: set[str], items: list[Any]) -> bool:
    called = {n.name for i in items for n in s.walk(i) if isinstance(n, s.Call)}
    return item.name in (called if isinstance(item, s.Def) else read)


def _kept(records: Records) -> list[s.Family]:
    """The families whose declared law stays."""
    families = families_of(records.tree)
    return [f for f in families if target_of(f) != AGENT or records.never_tried(f.name)]


def _with_kept(records: Records, new: s.Chance, old: s.Chance | s.Adversary) -> s.Chance:
    """The new law with what the old one says of the families that keep theirs."""
    kept, law = _kept(records), cast(s.DistMatch, new.dist)
    arms = [
        replace(arm, body=_kept_law(old, family)) if family in kept else arm
        for family, arm in zip(families_of(records.tree), law.arms, strict=True)
    ]
    return replace(new, dist=replace(law, arms=tuple(arms)))


def _kept_law(law: s.Chance | s.Adversary, family: s.Family) -> s.Dist:
    """What a declared law says of one family. Raises NoRecord where nothing is drawn by it."""
    if law.name == "gain" and target_of(family) != AGENT:
        # drawn for rewrites of the agent alone
        return s.DistMap((s.Weighted(s.IntLit(0), s.IntLit(1)),))
    if isinstance(law, s.Adversary):
        raise NoRecord(
            f"{family.name} would keep its declared law, but {law.name} is `adversary` there"
        )
    dist = law.dist
    if not isinstance(dist, s.DistMatch) or dist.subject != s.Name("try"):
        return dist
    for arm in dist.arms:
        if any(getattr(p, "member", getattr(p, "name", "")) == family.name for p in arm.patterns):
            return arm.body
    return dist if dist.otherwise is None else dist.otherwise


def _parsed(records: Records, rates: Sequence[Rate]) -> tuple[s.EnvironmentItem | s.Report, ...]:
    """The new items: unknowns and laws."""
    lines = [f"unknown {r.name}: rat {r.low}..{r.high}" for r in rates]
    families = [f.name for f in families_of(records.tree)]
    for name, law in _laws(records).items():
        arms = []
        for family in families:
            mine = [r for r in rates if r.family == family]
            body = _BODIES[name](records, family, mine)
            arms.append(f"{_member(records, 'Attempt', family)}: {body}")
        kind = "Outcome" if name == "outcome" else print_type(law.type)
        lines.append(f"chance {name}: {kind} = match try {{ {', '.join(arms)} }}")
    text = "search { world { " + "\n".join(lines) + " } }"
    found = parse_blocks(text).search
    assert found is not None
    return _world_of(found).items


def _member(records: Records, enum: str, name: str) -> str:
    """A member of `Attempt` or `Outcome`, with its enum where another one has it too."""
    families = {f.name for f in families_of(records.tree)}
    shared = name in records.members or name in families.intersection(OUTCOMES)
    return f"{enum}.{name}" if shared else name


def _outcome_body(records: Records, family: str, rates: Sequence[Rate]) -> str:
    """By situation: accepted at the unknown rate; of failures each kind counts once more than it was met."""
    word = {o: _member(records, "Outcome", o) for o in OUTCOMES}

    def law(rate: Rate) -> str:
        total = sum(rate.record.outcomes[o] + 1 for o in FAILURES)
        shares = (
            f"{word[o]}: (1 - {rate.name}) * {rate.record.outcomes[o] + 1}/{total}"
            for o in FAILURES
        )
        return f"{{ {word['accepted']}: {rate.name}, {', '.join(shares)} }}"

    untried = f"{{ {word['empty']}: 1 }}"
    return _by_situation(records, family, {r.situation: law(r) for r in rates}, untried)


def _tops(records: Records, family: str) -> Situation:
    """The last situation of a family that its reports tell apart."""
    reports = {v.name: v.type for v in records.search.task.observed}
    kinds = [reports.get(f"{word}_{family}") for word in ("fails", "wins")]
    fails, wins = (kind.high or 0 if isinstance(kind, Int) else 0 for kind in kinds)
    return fails, wins


def _by_situation(
    records: Records, family: str, laws: Mapping[Situation, str], untried: str
) -> str:
    """A choice by the reports of a family; where it was not tried it is taken to bring nothing.

    A searcher that goes there gains nothing by it. One that stays away saves what that costs, which is an assumption.
    """
    tops = _tops(records, family)
    rows = []
    for wins in range(tops[1] + 1):
        row = [laws.get((fails, wins), untried) for fails in range(tops[0] + 1)]
        rows.append(_runs(f"fails_{family}", row))
    return _runs(f"wins_{family}", rows)


def _runs(report: str, laws: Sequence[str]) -> str:
    """A choice among laws by the value of a report, alike neighbours together."""
    runs: list[tuple[str, int]] = []
    at = 0
    for law, same in groupby(laws):
        at += len(list(same))
        runs.append((law, at))
    return _chain(report, runs)


def _chain(report: str, runs: Sequence[tuple[str, int]]) -> str:
    """A choice among laws, each of which holds below a number and from that of the one before it on."""
    if len(runs) == 1:
        return runs[0][0]
    cut = 1 if len(runs) <= CHAIN_MAX else len(runs) // 2
    low, high = _chain(report, runs[:cut]), _chain(report, runs[cut:])
    return f"if {report} < {runs[cut - 1][1]} then {low} else {high}"


def _spread(counted: Counter[int], what: str) -> str:
    """A law over all values from the least to the greatest met, each counted once more than it was."""
    if not counted:
        return "{ 0: 1 }"
    low, high = min(counted), max(counted)
    if high - low >= SPREAD_MAX:
        raise NoRecord(f"{what} is met from {low} to {high}, too many values; choose a larger unit")
    if low == high:
        return f"{{ {low}: 1 }}"
    total = counted.total() + high - low + 1
    entries = (f"{v}: {counted[v] + 1}/{total}" for v in range(low, high + 1))
    return f"{{ {', '.join(entries)} }}"


def _cost_body(records: Records, family: str, rates: Sequence[Rate]) -> str:
    """By success, unless the cost is declared above the outcome and so known before it."""
    joint = {won: Counter[int]() for won in (True, False)}
    for record in records.by_family[family].values():
        for won, counted in record.costs.items():
            joint[won].update(counted)
    what = f"the cost of {family}"
    laws = list(_laws(records))
    if all(joint.values()) and laws.index("outcome") < laws.index("cost"):
        accepted = _member(records, "Outcome", "accepted")
        then, otherwise = _spread(joint[True], what), _spread(joint[False], what)
        return f"if outcome == {accepted} then {then} else {otherwise}"
    return _spread(joint[True] + joint[False], what)


def _gain_body(records: Records, family: str, rates: Sequence[Rate]) -> str:
    joint: Counter[int] = Counter()
    for record in records.by_family[family].values():
        joint.update(record.gains)
    return _spread(joint, f"the gain of {family}")


_BODIES = {"outcome": _outcome_body, "gain": _gain_body, "cost": _cost_body}
