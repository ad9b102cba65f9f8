"""Rule `split`: worlds taken apart until each piece has its tables, and put together as the cases of a certificate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from dsl.machine import UnknownTuple
from dsl.polynomial import Weight
from proofs.explicit import corner_points, start_worlds
from proofs.games import TooLarge
from proofs.kernel.certificate import Case, Cut, Leaf, Table, Tree
from proofs.kernel.chapter import Chapter, StartWorld
from proofs.kernel.region import Region
from proofs.kernel.rules import Place
from proofs.tactics.bounds import Bound
from proofs.tactics.farkas import Recorder
from proofs.tactics.unknowns import LeastValue

LEAVES_MAX = 64


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A region with the bounds of its tables, in the order of the rule, and what they show at each start: at least
    `differences`."""

    region: Region
    bounds: tuple[Bound, ...]
    differences: tuple[Weight, ...]

    def least(self, chapter: Chapter) -> Fraction:
        """The least that the kernel sees the differences to be."""
        floor = LeastValue(chapter, self.region)
        return min(map(floor, self.differences))


@dataclass(frozen=True, slots=True, eq=False)
class Parted:
    """A region cut in two."""

    unknown: str
    at: Fraction
    below: Pieces
    above: Pieces


Pieces: TypeAlias = Piece | Parted
Check: TypeAlias = Callable[[Place, tuple[Table, ...]], object]
"""A rule of the kernel, called to learn which multipliers its premises ask for."""


def part(
    chapter: Chapter,
    region: Region,
    find: Callable[[Region], Piece | None],
    names: frozenset[str],
    leaves: int = LEAVES_MAX,
) -> Pieces | None:
    """Pieces that together make the region, each as `find` finds it; None where more than `leaves` would be needed.

    Only the unknowns in `names` are cut.
    """
    left = [leaves - 1]

    def visit(here: Region) -> Pieces | None:
        found = find(here)
        if found is not None:
            return found
        cut = _cut(chapter, here, names)
        if cut is None or left[0] <= 0:
            return None
        left[0] -= 1
        unknown, at = cut
        lower, upper = here.cut(chapter.task, unknown, at)
        below = visit(lower)
        above = visit(upper) if below is not None else None
        if below is None or above is None:
            return None
        return Parted(unknown, at, below, above)

    return visit(region)


def _cut(chapter: Chapter, region: Region, names: frozenset[str]) -> tuple[str, Fraction] | None:
    """The middle of the unknown that is widest beside its declared range; under `assume`, of what is left of it."""
    task = chapter.task
    points = corner_points(chapter, region) if task.assumptions else None
    best: tuple[Fraction, str, Fraction] | None = None
    whole = Region.whole(task, region.unknowns).named(task)
    for k, (name, (low, high)) in enumerate(region.named(task).items()):
        if name not in names:
            continue
        if points:
            low, high = min(p[k] for p in points), max(p[k] for p in points)
        if low == high:
            continue
        width = (high - low) / (whole[name][1] - whole[name][0])
        if best is None or width > best[0]:
            best = width, name, (low + high) / 2
    return None if best is None else best[1:]


def leaves_of(pieces: Pieces) -> list[Piece]:
    """The pieces in the order in which the kernel walks through them."""
    match pieces:
        case Piece():
            return [pieces]
        case Parted(_, _, below, above):
            return leaves_of(below) + leaves_of(above)


def make_case(chapter: Chapter, unknowns: UnknownTuple, pieces: Pieces, check: Check) -> Case:
    """The case of a certificate; `check` is the rule that is to be shown at each leaf."""
    starts = tuple(start_worlds(chapter, unknowns))

    def tree(here: Pieces) -> Tree:
        match here:
            case Piece(region, bounds, _):
                return make_leaf(chapter, region, starts, [b.table() for b in bounds], check)
            case Parted(unknown, at, below, above):
                return Cut(unknown, at, tree(below), tree(above))

    return Case(unknowns, tree(pieces))


def make_leaf(
    chapter: Chapter,
    region: Region,
    starts: Sequence[StartWorld],
    tables: Sequence[Table],
    check: Check,
) -> Leaf:
    """A leaf with the multipliers that its premises ask for."""
    if not chapter.task.assumptions:
        return Leaf(tuple(tables))
    recorder, steps = Recorder(), chapter.steps
    check(Place(chapter, region, tuple(starts), recorder), tuple(tables))
    chapter.steps = steps
    return Leaf(tuple(tables), tuple(recorder.given))


class Stuck(TooLarge):
    """No way was found within the limits."""
