"""Find table certificates: guess values in floats, round them to a grid, and shift them until every inequality holds.

Under a discount g: with W0 the rounded guess and e the largest exact amount by which it misses (T W0 - W0 for an upper
bound), W0 + e/(1-g) satisfies every inequality, since T (W0 + s) <= T W0 + g s. Under a horizon the layers are worked out
from the last step back, rounded outward at each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from math import isfinite

from dsl.machine import Program, StateTuple
from proofs.explicit import (
    ChainModel,
    Row,
    TooLarge,
    WorldModel,
    best_values,
    exact_values,
    explore_program,
    explore_world,
    float_values,
)
from proofs.kernel.certificate import Table
from proofs.kernel.chapter import Chapter

ENTRIES_MAX = 2_000_000
EXACT_STATES_MAX = 5_000


class Direction(Enum):
    """Which side a bound is on."""

    LOWER = "lower"
    UPPER = "upper"


class Grid(Enum):
    """How finely values are rounded: to multiples of 1/grid, or not at all."""

    COARSE = 10**8
    FINE = 10**11
    EXACT = 0


@dataclass(frozen=True, slots=True)
class Bound:
    """A table and the bound that it gives at the starts."""

    table: Table
    at_starts: Fraction


class ProgramBounds:
    """Bounds of one program, found as they are asked for. Raises TooLarge where the world is too large for tables."""

    def __init__(self, chapter: Chapter, program: Program) -> None:
        self.chapter = chapter
        self.model: ChainModel = explore_program(chapter, program)
        self._choices: list[tuple[Row, ...]] = [(row,) for row in self.model.rows]
        self._floats: list[float] | None = None
        self._found: dict[tuple[Direction, Grid], Bound] = {}

    def bound(self, direction: Direction, grid: Grid) -> Bound:
        """A bound of the program's value without size."""
        key = (direction, grid)
        if key not in self._found:
            self._found[key] = self._find(direction, grid)
        return self._found[key]

    def _find(self, direction: Direction, grid: Grid) -> Bound:
        utility, model = self.chapter.task.utility, self.model
        if utility.horizon is not None:
            return _layers(
                model.states, self._choices, model.starts, utility.horizon, direction, grid
            )
        if grid is Grid.EXACT:
            if len(model.states) > EXACT_STATES_MAX:
                raise TooLarge(f"an exact solution over more than {EXACT_STATES_MAX:,} states")
            return _table(model, exact_values(model.rows, utility.discount))
        try:
            if self._floats is None:
                self._floats = float_values(model.rows, utility.discount)
            values = _round(self._floats, grid)
        except TooLarge:
            # what floats cannot follow is worked out exactly
            return self.bound(direction, Grid.EXACT)
        values = _shift(values, self._choices, utility.discount, direction)
        return _table(model, values)


def bound_every_program(chapter: Chapter, grid: Grid, model: WorldModel | None = None) -> Bound:
    """A bound from above of the value of every program. Raises TooLarge."""
    utility = chapter.task.utility
    model = model or explore_world(chapter)
    if utility.horizon is not None:
        return _layers(
            model.states, model.rows, model.starts, utility.horizon, Direction.UPPER, grid
        )
    if grid is Grid.EXACT:
        _, choice = best_values(model, utility.discount)
        rows = [model.rows[i][a] for i, a in enumerate(choice)]
        values = exact_values(rows, utility.discount)
    else:
        values = _round(best_values(model, utility.discount)[0], grid)
    return _table(model, _shift(values, model.rows, utility.discount, Direction.UPPER))


def _table(model: ChainModel | WorldModel, values: Sequence[Fraction]) -> Bound:
    at_starts = sum((w * values[i] for i, w in model.starts), Fraction(0))
    return Bound(Table((tuple(zip(model.states, values, strict=True)),)), at_starts)


def _round(values: Sequence[float], grid: Grid) -> list[Fraction]:
    if not all(map(isfinite, values)):
        raise TooLarge("values beyond what floats can follow")
    return [Fraction(round(Fraction(v) * grid.value), grid.value) for v in values]


def _shift(
    values: list[Fraction],
    choices: Sequence[Sequence[Row]],
    discount: Fraction,
    direction: Direction,
) -> list[Fraction]:
    """The values moved by one amount, so that the inequality holds in every state for every choice."""
    sign = 1 if direction is Direction.UPPER else -1
    miss = Fraction(0)
    for i, row in enumerate(choices):
        for choice in row:
            miss = max(miss, sign * (_after(choice, values, discount) - values[i]))
    if miss == 0:
        return values
    shift = miss / (1 - discount)
    # rounded up to a short number; any larger shift holds as well
    scale = max(v.denominator for v in values) if values else 1
    shift = Fraction(-(-shift.numerator * scale // shift.denominator), scale)
    return [v + sign * shift for v in values]


def _after(row: Row, values: Sequence[Fraction], discount: Fraction) -> Fraction:
    return row.reward + discount * sum((w * values[j] for j, w in row.successors), Fraction(0))


def _layers(
    states: tuple[StateTuple, ...],
    choices: Sequence[Sequence[Row]],
    starts: tuple[tuple[int, Fraction], ...],
    horizon: int,
    direction: Direction,
    grid: Grid,
) -> Bound:
    needed = _reached(choices, [i for i, _ in starts], horizon)
    outward = _outward(direction, grid)
    best = max if direction is Direction.UPPER else min
    below: dict[int, Fraction] = {}
    layers: list[tuple[tuple[StateTuple, Fraction], ...]] = []
    for k in range(horizon):
        layer: dict[int, Fraction] = {}
        for i in needed[horizon - 1 - k]:
            after = (
                row.reward + sum((w * below[j] for j, w in row.successors), Fraction(0))
                if k
                else row.reward
                for row in choices[i]
            )
            layer[i] = outward(best(after))
        layers.append(tuple((states[i], v) for i, v in layer.items()))
        below = layer
    return Bound(Table(tuple(layers)), sum((w * below[i] for i, w in starts), Fraction(0)))


def _reached(choices: Sequence[Sequence[Row]], starts: list[int], horizon: int) -> list[list[int]]:
    """The states that may be met after 0, 1, … horizon-1 steps."""
    sets = [sorted(set(starts))]
    total = len(sets[0])
    while len(sets) < horizon:
        following = sorted({j for i in sets[-1] for row in choices[i] for j, _ in row.successors})
        total += len(following)
        if total > ENTRIES_MAX or len(sets) > ENTRIES_MAX:
            raise TooLarge(f"a table of more than {ENTRIES_MAX:,} entries")
        sets.append(following)
    return sets


def _outward(direction: Direction, grid: Grid) -> Callable[[Fraction], Fraction]:
    if grid is Grid.EXACT:
        return lambda v: v
    scale = grid.value
    if direction is Direction.UPPER:
        return lambda v: Fraction(-(-v.numerator * scale // v.denominator), scale)
    return lambda v: Fraction(v.numerator * scale // v.denominator, scale)
