"""Find bounds of one program in every world, and how far it is at most from the best of all programs."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from dsl.machine import UnknownTuple
from proofs.explicit import unknown_values
from proofs.kernel import rules
from proofs.kernel.certificate import BoundsCertificate, OptimalityCertificate
from proofs.kernel.chapter import Chapter
from proofs.kernel.region import Region
from proofs.tactics.bounders import Bounders
from proofs.tactics.bounds import Bound, Direction, Grid
from proofs.tactics.pieces import Piece, Pieces, leaves_of, make_case, part

GAP_LEAVES_MAX = 16
GAP_STEPS_MAX = 250_000
"""How many steps under every action all pieces may come to; where one piece has more of them it is not cut."""
GAP_WANTED = Fraction(1, 10**5)


def find_bounds(
    chapter: Chapter, bounders: Bounders, grid: Grid = Grid.COARSE
) -> BoundsCertificate:
    """Bounds of one program at the starts of every world, sizes left out. Raises TooLarge."""
    program = bounders.program
    if program is None:
        raise ValueError("a program is bounded")
    lower: dict[UnknownTuple, Piece] = {}
    upper: dict[UnknownTuple, Piece] = {}
    for u in unknown_values(chapter):
        region = Region.whole(chapter.task, u)
        lower[u] = _tightest(chapter, bounders, Direction.LOWER, grid, region)
        upper[u] = _tightest(chapter, bounders, Direction.UPPER, grid, region)
    least = min(p.least(chapter) for p in lower.values())
    most = max(-p.least(chapter) for p in upper.values())
    return BoundsCertificate(
        least,
        tuple(
            make_case(chapter, u, p, lambda place, t: rules.at_least(place, program, t, least))
            for u, p in lower.items()
        ),
        most,
        tuple(
            make_case(chapter, u, p, lambda place, t: rules.at_most(place, program, t, most))
            for u, p in upper.items()
        ),
    )


def _tightest(
    chapter: Chapter, bounders: Bounders, direction: Direction, grid: Grid, region: Region
) -> Piece:
    """The bound whose end is furthest on the right side: its differences are the bound, or the bound turned round."""
    found: list[Piece] = []
    for flat in (True, False) if bounders.is_open(region) else (False,):
        bound = bounders.bound(direction, grid, region, flat=flat)
        found.append(Piece(region, (bound,), tuple(-direction.sign * v for v in bound.at_starts)))
    return max(found, key=lambda piece: piece.least(chapter))


def find_optimality(
    chapter: Chapter, bounders: Bounders, every: Bounders, grid: Grid = Grid.FINE
) -> OptimalityCertificate:
    """That no program beats this one by more than a gap, the least that is found. Raises TooLarge."""
    program = bounders.program
    if program is None:
        raise ValueError("a program is bounded")
    found: dict[UnknownTuple, Pieces] = {}
    gap = Fraction(0)
    for u in unknown_values(chapter):
        found[u] = _gap_pieces(chapter, bounders, every, grid, u)
        gap = max([gap, *(-p.least(chapter) for p in leaves_of(found[u]))])
    cases = tuple(
        make_case(chapter, u, p, lambda place, t: rules.optimal(place, program, t, gap))
        for u, p in found.items()
    )
    return OptimalityCertificate(cases, gap)


def estimate_gap(
    chapter: Chapter, bounders: Bounders, every: Bounders, grid: Grid = Grid.FINE
) -> Fraction:
    """What `find_optimality` would show, without its tables. Raises TooLarge."""
    return max(
        -piece.least(chapter)
        for u in unknown_values(chapter)
        for piece in leaves_of(_gap_pieces(chapter, bounders, every, grid, u))
    )


def _gap_pieces(
    chapter: Chapter, bounders: Bounders, every: Bounders, grid: Grid, u: UnknownTuple
) -> Pieces:
    names = bounders.names(u) | every.names(u)

    def piece(region: Region) -> Piece:
        open_ = bounders.is_open(region) or every.is_open(region)
        found: list[Piece] = []
        for flat in (False, True) if open_ else (False,):
            low = bounders.bound(Direction.LOWER, grid, region, flat=flat)
            high = every.bound(Direction.UPPER, grid, region, flat=flat)
            pairs = zip(low.at_starts, high.at_starts, strict=True)
            apart = tuple(a - bounders.size - b for a, b in pairs)
            found.append(Piece(region, (low, high), apart))
        return max(found, key=lambda p: p.least(chapter))

    whole = Region.whole(chapter.task, u)
    first = piece(whole)
    if not names or chapter.task.assumptions or first.least(chapter) >= -GAP_WANTED:
        # what assumptions leave of a box is not cut into equal parts
        return first

    leaves = min(GAP_LEAVES_MAX, GAP_STEPS_MAX // max(1, _count_steps(first.bounds[1])))
    if leaves < 2:
        return first
    leaves = 1 << leaves.bit_length() - 1

    # cut into equal parts, which lowers what is lost to curvature; deeper is left to those who ask for more
    def small(region: Region) -> Piece | None:
        total = Fraction(1)
        for (low, high), (a, b) in zip(region.box, whole.box, strict=True):
            total *= (high - low) / (b - a) if a != b else 1
        return piece(region) if total * leaves <= 1 else None

    finer = part(chapter, whole, small, names)
    if finer is None:
        return first
    best = min(p.least(chapter) for p in leaves_of(finer))
    return finer if best > first.least(chapter) else first


def _count_steps(bound: Bound) -> int:
    """The steps of every option and reply, in every layer."""
    each = [sum(len(option.steps) for option in row) for row in bound.model.options]
    return sum(
        each[i]
        for layer in bound.layers
        for i in (layer if isinstance(layer, Mapping) else range(len(layer)))
    )
