"""Tactic `pointwise`: programs that act alike, the new one in no more ticks, differ by the value of the ticks saved.

It needs no bound of either value, so that it shows savings too where tables that are affine in unknowns are too loose.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from dsl.machine import ActionTuple, MemoryTuple, Program, StateTuple, UnknownTuple, World
from dsl.polynomial import Weight, substitute
from proofs.explicit import corner_points, explore, number_of, point_of
from proofs.games import TooLarge
from proofs.kernel import rules
from proofs.kernel.certificate import Case, PointwiseCertificate
from proofs.kernel.chapter import Chapter
from proofs.tactics.bounds import Direction, Grid
from proofs.tactics.pieces import Piece, make_case
from proofs.tactics.tables import Bounder


class _Differs(Exception):
    """The programs do not act alike, or the new one takes more ticks."""


def find_pointwise(
    chapter: Chapter, old: Program, new: Program, unknowns: Sequence[UnknownTuple]
) -> PointwiseCertificate | None:
    """The certificate, or None where the tactic does not apply or shows no improvement. Raises TooLarge."""
    if old.memories != new.memories or old.memory_start != new.memory_start:
        return None
    grown = chapter.size_cost(new) - chapter.size_cost(old)
    criterion = chapter.task.utility.better
    try:
        bounders = [_savings(chapter, old, new, u) for u in unknowns]
    except _Differs:
        return None
    for grid in Grid:
        pieces: list[Piece] = []
        try:
            for bounder in bounders:
                bound = bounder.bound(Direction.LOWER, grid)
                differences = tuple(v - grown for v in bound.at_starts)
                pieces.append(Piece(bounder.region, (bound,), differences))
        except TooLarge:
            return None
        gain = min(piece.least(chapter) for piece in pieces)
        world = _strict_world(chapter, pieces)
        if world is None or gain < 0 or (gain == 0 and criterion != "dominates"):
            continue
        return PointwiseCertificate(_cases(chapter, old, new, pieces, gain), gain, world)
    return None


def _cases(
    chapter: Chapter, old: Program, new: Program, pieces: Sequence[Piece], gain: Fraction
) -> tuple[Case, ...]:
    return tuple(
        make_case(
            chapter,
            piece.region.unknowns,
            piece,
            lambda p, t: rules.pointwise(p, old, new, t, gain),
        )
        for piece in pieces
    )


def _savings(chapter: Chapter, old: Program, new: Program, unknowns: UnknownTuple) -> Bounder:
    price = chapter.task.utility.tick_price

    def choices(
        state: StateTuple, memory: MemoryTuple
    ) -> Sequence[tuple[ActionTuple, MemoryTuple, Weight]]:
        before, after = old.act(state, memory), new.act(state, memory)
        if (before.actions, before.memory) != (after.actions, after.memory):
            raise _Differs
        if after.ticks > before.ticks:
            raise _Differs
        return ((after.actions, after.memory, price * (after.ticks - before.ticks)),)

    model = explore(
        chapter, choices, new.memory_start, unknowns, every_action=False, rewarded=False
    )
    return Bounder(chapter, model)


def _strict_world(chapter: Chapter, pieces: Sequence[Piece]) -> World | None:
    for piece in pieces:
        for point in corner_points(chapter, piece.region):
            at = point_of(chapter, point)
            for start, d in zip(piece.bounds[0].model.starts, piece.differences, strict=True):
                if number_of(substitute(d, at)) > Fraction(0):
                    return World(start.anywhere, piece.region.unknowns, point)
    return None
