"""Calibrate a search: from what attempts came to, the rates of success and the costs that a declared world may claim.

A *situation* of a family is given by its own reports: how often it failed in a row, how often it won. In each the rate of
success is unknown but for an exact interval. What comes out is a proposal to a person, who adopts it by a `revision`. Loads
no solver.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from dsl import syntax as s
from dsl.errors import DslError
from dsl.printer import print_search_world
from dsl.search import AGENT, families_of, target_of
from godel.history import searching
from godel.learning.calibrated import calibrated_world, words_kept
from godel.learning.intervals import clopper_pearson
from godel.learning.records import NoRecord, Rate, Records, last_situation
from proofs.kernel.chapter import NotTotal

CONFIDENCE = Fraction(95, 100)


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
    taken = records.words | words_kept(records) | set(words)
    for family in families:
        share = (1 - confidence) / len(families)
        fails, wins = last_situation(records, family)
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
        found = Calibration(records, tuple(rates), confidence, calibrated_world(records, rates))
        searching(records.declarations, found.search, own=records.own)
    except DslError as error:
        raise NoRecord(f"no world comes out that is in order: {error}") from None
    except NotTotal as error:
        raise NoRecord(f"no world comes out that is total: {error}") from None
    return found
