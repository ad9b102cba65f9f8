"""Find evidence that a rewrite is an improvement by the declared criterion, or that it is none.

Coarse values first, then finer, then the exact solution, so that ties are refused and not left undecided; regions of
unknowns are cut where the bounds of old and new overlap.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TypeAlias

from dsl.machine import UnknownTuple, World
from dsl.polynomial import Polynomial, substitute
from proofs.explicit import (
    corner_points,
    number_of,
    point_of,
    start_worlds,
    unknown_values,
)
from proofs.games import TooLarge
from proofs.kernel import rules
from proofs.kernel.certificate import (
    BetterCertificate,
    BetterWorstCertificate,
    Leaf,
    NotBetterCertificate,
    NotBetterHereCertificate,
    NotBetterWorstCertificate,
    PointwiseCertificate,
)
from proofs.kernel.chapter import Chapter
from proofs.kernel.region import Region
from proofs.tactics.advantage import Advantage
from proofs.tactics.bounders import Bounders as Bounders
from proofs.tactics.bounds import Bound, Direction, Grid
from proofs.tactics.optimality import estimate_gap as estimate_gap
from proofs.tactics.optimality import find_bounds as find_bounds
from proofs.tactics.optimality import find_optimality as find_optimality
from proofs.tactics.pieces import (
    LEAVES_MAX,
    Check,
    Parted,
    Piece,
    Pieces,
    Stuck,
    leaves_of,
    make_case,
    make_leaf,
    part,
)
from proofs.tactics.pointwise import find_pointwise

LEAVES_MIN = 8
ENTRIES_TRIED = 20_000
NEAR = Fraction(1, 10**4)
CLOSED_TRIED = tuple((grid, False) for grid in Grid)
# numbers first: where they do, premises stay affine, which suits solver and reader better
OPEN_TRIED = ((Grid.COARSE, True), (Grid.COARSE, False), (Grid.EXACT, False))

Better: TypeAlias = BetterCertificate | BetterWorstCertificate | PointwiseCertificate
NotBetter: TypeAlias = NotBetterCertificate | NotBetterHereCertificate | NotBetterWorstCertificate


def find_evidence(chapter: Chapter, old: Bounders, new: Bounders) -> Better | NotBetter:
    """A certificate one way or the other. Raises TooLarge, or Stuck with what ran out."""
    return _Comparison(chapter, old, new).find()


class _Refuted(Exception):
    def __init__(self, world: World) -> None:
        self.world = world


class _Tied(Exception):
    """Both programs are worth the same, or nearly, at a point of the unknowns."""

    def __init__(self, region: Region) -> None:
        self.region = region
        super().__init__("a tie")


class _Comparison:
    def __init__(self, chapter: Chapter, old: Bounders, new: Bounders) -> None:
        if old.program is None or new.program is None:
            raise ValueError("two programs are compared")
        self.chapter, self.old, self.new = chapter, old, new
        self.before, self.after = old.program, new.program
        self.criterion = chapter.task.utility.better
        self.unknowns = unknown_values(chapter)
        self._looked: dict[tuple[UnknownTuple, tuple[Fraction, ...]], World | _Tied | None] = {}
        self.tied: Region | None = None
        self._advantage: dict[UnknownTuple, Advantage | None] = {}

    def find(self) -> Better | NotBetter:
        """Evidence one way or the other."""
        symbolic = any(self.old.of(u).model.symbolic for u in self.unknowns)
        if symbolic:
            found = self._pointwise()
            if found is not None:
                return found
        try:
            return self._by_tables()
        except TooLarge:
            found = None if symbolic else self._pointwise()
            if found is not None:
                return found
            raise

    def _pointwise(self) -> PointwiseCertificate | None:
        return find_pointwise(self.chapter, self.before, self.after, self.unknowns)

    def _by_tables(self) -> Better | NotBetter:
        if self.criterion == "worst" and not self._one_world():
            return self._worst()
        strict = self.criterion != "dominates" or self._one_world()
        try:
            found = self._show(self.old, self.new, strict=strict, refutable=not self._one_world())
        except _Refuted as refuted:
            return self._refuse_here(refuted.world)
        if found is not None:
            gain = self._least(found)
            world = self._strict_world(found)
            if world is not None and (gain > 0 or self.criterion == "dominates"):
                return BetterCertificate(self._cases(found, self._better_rule(gain)), gain, world)
        shown = self._show(self.new, self.old, strict=False, refutable=False)
        if shown is not None:
            rule: Check = lambda p, t: rules.not_better(p, self.before, self.after, t)  # noqa: E731
            turned = {u: _turned(p) for u, p in shown.items()}
            return NotBetterCertificate(self._cases(turned, rule))
        if self.tied is not None and self.tied.box:
            named = self.tied.fixed(self.chapter.task)
            point = ", ".join(f"{name} = {value}" for name, value in named.items())
            raise Stuck(f"both programs are worth the same, or nearly, where {point}")
        raise Stuck("the bounds of old and new overlap even for the finest tables")

    def _one_world(self) -> bool:
        return self.chapter.only_world() is not None

    def _better_rule(self, gain: Fraction) -> Check:
        return lambda p, t: rules.better(p, self.before, self.after, t, gain)

    # --- one at least as good as the other -------------------------------------------------------

    def _show(
        self, least: Bounders, most: Bounders, *, strict: bool, refutable: bool
    ) -> dict[UnknownTuple, Pieces] | None:
        """That `most` is worth at least as much as `least` in every world, or more; None where that is not shown.

        Raises _Refuted where a world shows that it never will be.
        """
        try:
            return self._pieces(least, most, strict, refutable)
        except _Tied as tied:
            self.tied = tied.region
            return None

    def _pieces(
        self, least: Bounders, most: Bounders, strict: bool, refutable: bool
    ) -> dict[UnknownTuple, Pieces] | None:
        found: dict[UnknownTuple, Pieces] = {}
        for u in self.unknowns:
            names = least.names(u) | most.names(u)

            def find(region: Region) -> Piece | None:
                piece = self._piece(least, most, region, strict)
                if piece is None and (refutable or least.is_open(region) or most.is_open(region)):
                    self._look(region, refutable)
                return piece

            whole = Region.whole(self.chapter.task, u)
            entries = len(least.of(u).model.states) + len(most.of(u).model.states)
            entries *= self.chapter.task.utility.horizon or 1
            leaves = min(LEAVES_MAX, max(LEAVES_MIN, ENTRIES_TRIED // max(1, entries)))
            pieces = part(self.chapter, whole, find, names, leaves)
            if pieces is None:
                return None
            found[u] = pieces
        return found

    def _piece(self, least: Bounders, most: Bounders, region: Region, strict: bool) -> Piece | None:
        open_ = least.is_open(region) or most.is_open(region)
        for grid, flat in OPEN_TRIED if open_ else CLOSED_TRIED:
            low = most.bound(Direction.LOWER, grid, region, flat=flat)
            high = least.bound(Direction.UPPER, grid, region, flat=flat)
            differences = tuple(
                a - most.size - (b - least.size)
                for a, b in zip(low.at_starts, high.at_starts, strict=True)
            )
            piece = Piece(region, (low, high), differences)
            worth = piece.least(self.chapter)
            if worth > 0 or (worth == 0 and not strict):
                return piece
            if open_ and not flat and worth < -NEAR and not _is_affine(low, high):
                break
            if not open_ and worth < 0 and self._is_apart(least, most, grid, region):
                break
        if open_ and not strict:
            return self._by_advantage(least, most, region)
        return None

    def _is_apart(self, least: Bounders, most: Bounders, grid: Grid, region: Region) -> bool:
        """Whether a finer grid would change nothing: in some world `most` is worth less for certain."""
        high = most.bound(Direction.UPPER, grid, region)
        low = least.bound(Direction.LOWER, grid, region)
        return any(
            number_of(a) - most.size < number_of(b) - least.size
            for a, b in zip(high.at_starts, low.at_starts, strict=True)
        )

    def _by_advantage(self, least: Bounders, most: Bounders, region: Region) -> Piece | None:
        u = region.unknowns
        if least is not self.old or most.size > least.size:
            return None
        if u not in self._advantage:
            self._advantage[u] = Advantage.between(self.chapter, self.before, self.after, u)
        found = self._advantage[u]
        bounds = None if found is None else found.bounds(region)
        if bounds is None:
            return None
        low, high = bounds
        differences = tuple(
            a - most.size - (b - least.size)
            for a, b in zip(low.at_starts, high.at_starts, strict=True)
        )
        return Piece(region, (low, high), differences)

    # --- worlds ----------------------------------------------------------------------------------

    def _look(self, region: Region, refutable: bool) -> None:
        """Raise _Refuted where some point of the region shows a world in which the rewrite loses.

        Raises _Tied where at some point both are worth the same: pieces, however small, would not part them there.
        """
        tied: _Tied | None = None
        for point in corner_points(self.chapter, region):
            key = region.unknowns, point
            if key not in self._looked:
                self._looked[key] = self._loses(*key)
            found = self._looked[key]
            if isinstance(found, World) and refutable:
                raise _Refuted(found)
            if isinstance(found, _Tied):
                tied = tied or found
        if tied is not None:
            raise tied

    def _loses(self, u: UnknownTuple, point: tuple[Fraction, ...]) -> World | _Tied | None:
        """A world with these unknowns in which the rewrite loses; under `strictly`, in which it does not win.

        Or _Tied where the finest grid does not part them.
        """
        region, strictly = Region.point(u, point), self.criterion == "strictly"
        starts = self.new.of(u).model.starts
        for grid in Grid if strictly else (Grid.COARSE, Grid.FINE):
            high = self.new.bound(Direction.UPPER, grid, region).at_starts
            low = self.old.bound(Direction.LOWER, grid, region).at_starts
            for start, a, b in zip(starts, high, low, strict=True):
                apart = number_of(a) - self.new.size - number_of(b) + self.old.size
                if apart < 0 or (apart == 0 and strictly):
                    return World(start.anywhere, u, point)
            least = self.new.bound(Direction.LOWER, grid, region).at_starts
            most = self.old.bound(Direction.UPPER, grid, region).at_starts
            if all(
                number_of(a) - self.new.size >= number_of(b) - self.old.size
                for a, b in zip(least, most, strict=True)
            ):
                return None
        return _Tied(region)

    def _refuse_here(self, world: World) -> NotBetterHereCertificate:
        u, region = world.unknowns, Region.point(world.unknowns, world.rationals)
        worlds = start_worlds(self.chapter, u)
        number = next(k for k, (anywhere, _) in enumerate(worlds) if anywhere == world.starts)
        for grid in Grid:
            high = self.new.bound(Direction.UPPER, grid, region)
            low = self.old.bound(Direction.LOWER, grid, region)
            apart = number_of(high.at_start(number)) - self.new.size
            apart -= number_of(low.at_start(number)) - self.old.size
            if apart < 0 or (apart == 0 and self.criterion == "strictly"):
                break
        leaf = make_leaf(
            self.chapter,
            region,
            (worlds[number],),
            [high.table(number), low.table(number)],
            lambda p, t: rules.not_better(p, self.before, self.after, t),
        )
        return NotBetterHereCertificate(world, leaf)

    def _strict_world(self, found: dict[UnknownTuple, Pieces]) -> World | None:
        for u, pieces in found.items():
            for piece in leaves_of(pieces):
                for point in corner_points(self.chapter, piece.region):
                    at = point_of(self.chapter, point)
                    for start, d in zip(
                        piece.bounds[0].model.starts, piece.differences, strict=True
                    ):
                        if number_of(substitute(d, at)) > 0:
                            return World(start.anywhere, u, point)
        return None

    def _least(self, found: dict[UnknownTuple, Pieces]) -> Fraction:
        return min(p.least(self.chapter) for pieces in found.values() for p in leaves_of(pieces))

    def _cases(self, found: dict[UnknownTuple, Pieces], rule: Check) -> tuple:  # type: ignore[type-arg]
        return tuple(make_case(self.chapter, u, pieces, rule) for u, pieces in found.items())

    # --- the worst world -------------------------------------------------------------------------

    def _worst(self) -> Better | NotBetter:
        for grid in Grid:
            most_old, world_old, old_leaf = _least_world(self.chapter, self.old, grid)
            most_new, world_new, new_leaf = _least_world(self.chapter, self.new, grid)
            if most_new > most_old:
                found = _show_level(self.chapter, self.new, most_old, grid, strict=True)
                if found is not None:
                    level = self._least(found) + most_old
                    bound = level + self.new.size
                    rule: Check = lambda p, t, b=bound: rules.at_least(p, self.after, t, b)  # type: ignore[misc] # noqa: E731
                    return BetterWorstCertificate(
                        self._cases(found, rule), level, world_old, old_leaf
                    )
            found = _show_level(self.chapter, self.old, most_new, grid, strict=False)
            if found is not None:
                level = self._least(found) + most_new
                bound = level + self.old.size
                rule = lambda p, t, b=bound: rules.at_least(p, self.before, t, b)  # type: ignore[misc] # noqa: E731
                return NotBetterWorstCertificate(
                    world_new, new_leaf, level, self._cases(found, rule)
                )
        raise Stuck("the bounds of the worst worlds overlap even for the finest tables")


def _turned(pieces: Pieces) -> Pieces:
    """Pieces with their tables the other way round: the bound from above first."""
    match pieces:
        case Piece(region, (low, high), differences):
            return Piece(region, (high, low), differences)
        case Parted(unknown, at, below, above):
            return Parted(unknown, at, _turned(below), _turned(above))
        case _:
            raise ValueError("a comparison has two tables")


def _is_affine(*bounds: Bound) -> bool:
    """Whether the exact values may well be affine: no weight reads an unknown."""
    return not any(
        isinstance(w, Polynomial)
        for bound in bounds
        for row in bound.model.options
        for option in row
        for step in option.steps
        for _, w in step.successors
    )


def _points(chapter: Chapter, bounders: Bounders, u: UnknownTuple) -> Iterator[Region]:
    whole = Region.whole(chapter.task, u)
    for point in corner_points(chapter, whole):
        yield Region.point(u, point)
        if not bounders.of(u).model.symbolic:
            return


def _least_world(chapter: Chapter, bounders: Bounders, grid: Grid) -> tuple[Fraction, World, Leaf]:
    """The least bound from above over the worlds that are looked at, less size, with its world and table."""
    best: tuple[Fraction, World, Bound, int] | None = None
    for u in unknown_values(chapter):
        for region in _points(chapter, bounders, u):
            bound = bounders.bound(Direction.UPPER, grid, region)
            for k, (start, value) in enumerate(
                zip(bound.model.starts, bound.at_starts, strict=True)
            ):
                here = number_of(value) - bounders.size
                if best is None or here < best[0]:
                    rationals = tuple(low for low, _ in region.box)
                    best = here, World(start.anywhere, u, rationals), bound, k
    if best is None:
        raise TooLarge("the assumptions leave no world")
    value, world, bound, k = best
    program = bounders.program
    if program is None:
        raise ValueError("a program is bounded")
    leaf = make_leaf(
        chapter,
        Region.point(world.unknowns, world.rationals),
        (start_worlds(chapter, world.unknowns)[k],),
        [bound.table(k)],
        lambda p, t: rules.at_most(p, program, t, value + bounders.size),
    )
    return value, world, leaf


def _show_level(
    chapter: Chapter, bounders: Bounders, level: Fraction, grid: Grid, *, strict: bool
) -> dict[UnknownTuple, Pieces] | None:
    """That U is at least a level in every world, or above it."""
    found: dict[UnknownTuple, Pieces] = {}
    for u in unknown_values(chapter):

        def find(region: Region) -> Piece | None:
            for flat in (True, False) if bounders.is_open(region) else (False,):
                low = bounders.bound(Direction.LOWER, grid, region, flat=flat)
                differences = tuple(v - bounders.size - level for v in low.at_starts)
                piece = Piece(region, (low,), differences)
                worth = piece.least(chapter)
                if worth > 0 or (worth == 0 and not strict):
                    return piece
            return None

        names = bounders.names(u)
        pieces = part(chapter, Region.whole(chapter.task, u), find, names)
        if pieces is None:
            return None
        found[u] = pieces
    return found
