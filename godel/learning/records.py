"""What the attempts in ledgers came to, by family and situation. Loads no solver and no parser."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias, cast

from dsl import syntax as s
from dsl.search import APPLY, OUTCOMES, STOP, families_of, words_of
from dsl.types import Int
from godel.entries import require_shape
from godel.history import ATTEMPTS, History
from godel.ledger import Entry, Kind, LedgerError
from godel.searching import Search

Situation: TypeAlias = tuple[int, int]
"""How often a family failed in a row and how often it won, as far as that is reported; 0 where it is not."""


class NoRecord(Exception):
    """Ledgers of which no world of one search can be made."""


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


def last_situation(records: Records, family: str) -> Situation:
    """The last situation of a family that its reports tell apart."""
    reports = {v.name: v.type for v in records.search.task.observed}
    kinds = [reports.get(f"{word}_{family}") for word in ("fails", "wins")]
    fails, wins = (kind.high or 0 if isinstance(kind, Int) else 0 for kind in kinds)
    return fails, wins


@dataclass(frozen=True, slots=True)
class Rate:
    """The rate of success of a family in some situations as an unknown: its name, its interval, and what it rests on."""

    name: str
    family: str
    situation: Situation
    low: Fraction
    high: Fraction
    record: Record
