"""Tables that bound values: guesses in floats, rounded to a grid and shifted until every inequality holds.

Under a discount g: with W0 the rounded guess and e the largest exact amount by which it misses (T W0 - W0 for an upper
bound), W0 + e/(1-g) satisfies every inequality, since T (W0 + s) <= T W0 + g s. Under a horizon the layers are worked out
from the last step back (`proofs.tactics.unroll`). What reads rational unknowns or rates is in `proofs.tactics.unknowns`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import isfinite, lcm
from typing import TypeAlias

from dsl.machine import Program, UnknownTuple
from dsl.polynomial import Weight, substitute
from proofs.explicit import (
    Model,
    Play,
    Step,
    corner_points,
    explore_actions,
    explore_program,
    names_of_step,
    number_of,
    plays_of,
    point_of,
    substitute_step,
)
from proofs.games import (
    FloatRow,
    TooLarge,
    float_discount,
    float_row,
    solve_floats,
    two_sided,
)
from proofs.games import Row as NumberRow
from proofs.kernel.chapter import Chapter
from proofs.kernel.region import Region
from proofs.tactics.bounds import Bound, Direction, Grid, Named, Rows, on_grid
from proofs.tactics.exact import strategy_values
from proofs.tactics.unknowns import AffineTask, affine_values
from proofs.tactics.unroll import layered

__all__ = ["Bound", "Bounder", "Direction", "Grid", "bound_every_program", "bound_program"]

EXACT_STATES_MAX = 5_000

Plays: TypeAlias = tuple[tuple[tuple[Play, ...], ...], ...]


class Bounder:
    """Bounds of one program, or of every program, for one joint value of the finite unknowns, found as they are asked for.

    Raises TooLarge where the world is too large for tables.
    """

    def __init__(self, chapter: Chapter, model: Model) -> None:
        self.chapter, self.model = chapter, model
        self.adversary = bool(chapter.task.adversaries or chapter.task.rates)
        self._found: dict[tuple[Direction, Grid, Region, bool], Bound] = {}
        self._plays: dict[Region, Plays] = {}
        self._games: dict[Region, tuple[list[float], list[int], list[list[int]]]] = {}
        self._exact: dict[Region, tuple[list[Weight], list[int], list[list[int]]]] = {}

    @property
    def region(self) -> Region:
        """Everything that is open."""
        return Region.whole(self.chapter.task, self.model.unknowns)

    def bound(
        self, direction: Direction, grid: Grid, region: Region | None = None, *, flat: bool = False
    ) -> Bound:
        """A bound of the value without size on a region; `flat`: by numbers, whatever the unknowns. Raises TooLarge."""
        if region is None or not self.model.symbolic:
            region = self.region
        key = (direction, grid, region, flat and self.is_open(region))
        if key not in self._found:
            self._found[key] = self._started(self._find(*key), region)
        return self._found[key]

    def _started(self, bound: Bound, region: Region) -> Bound:
        """The bound over starts whose weights have the unknowns replaced that are fixed."""
        fixed = region.fixed(self.chapter.task)
        if not self.model.symbolic or not fixed:
            return bound
        starts = tuple(
            replace(start, pairs=tuple((i, substitute(w, fixed)) for i, w in start.pairs))
            for start in self.model.starts
        )
        return replace(bound, model=replace(bound.model, starts=starts))

    def is_open(self, region: Region) -> bool:
        """Whether unknowns that the region leaves open may matter."""
        return self.model.symbolic and any(low != high for low, high in region.box)

    def _find(self, direction: Direction, grid: Grid, region: Region, flat: bool) -> Bound:
        utility = self.chapter.task.utility
        if utility.horizon is not None:
            return layered(self, direction, grid, region, flat)
        try:
            return self._discounted(direction, grid, region, flat)
        except TooLarge:
            # what floats cannot follow is worked out exactly
            if grid is Grid.EXACT or not self._is_plain(region):
                raise
            return self.bound(direction, Grid.EXACT, region)

    # --- parts -----------------------------------------------------------------------------------

    def plays(self, region: Region) -> Plays:
        """By pair and option, the replies worth looking at, at the middle of the region."""
        if not self.model.symbolic:
            region = self.region
        if region not in self._plays:
            self._plays[region] = self._list_plays(region)
        return self._plays[region]

    def _list_plays(self, region: Region) -> Plays:
        if not self.model.symbolic and not self.chapter.task.rates:
            return tuple(
                tuple(plays_of(self.chapter, option) for option in row)
                for row in self.model.options
            )
        points = corner_points(self.chapter, region)
        if not points:
            raise TooLarge("the assumptions leave no world")
        at = point_of(self.chapter, points[-1])
        return tuple(
            tuple(
                tuple(Play(p.reply, substitute_step(p.step, at)) for p in plays_of(self.chapter, o))
                for o in row
            )
            for row in self.model.options
        )

    def fixed_steps(self, region: Region) -> tuple[tuple[tuple[Step, ...], ...], ...]:
        """By pair and option the steps for each finite reply, unknowns that are fixed replaced, rates as they are."""
        fixed = region.fixed(self.chapter.task)
        if not self.model.symbolic or not fixed:
            return tuple(tuple(o.steps for o in row) for row in self.model.options)
        return tuple(
            tuple(tuple(substitute_step(step, fixed) for step in o.steps) for o in row)
            for row in self.model.options
        )

    def all_steps(self, region: Region) -> Rows:
        """By pair the steps of the only option, for each finite reply."""
        return tuple(row[0] for row in self.fixed_steps(region))

    def named_step(self, region: Region, i: int, option: int, play: Play) -> Step:
        """The step of one option under one reply, rates replaced, unknowns that are open as they are."""
        if not self.model.symbolic:
            return play.step
        found = self.model.options[i][option]
        step = found.steps[found.replies.index(play.reply.finite)]
        rates = dict(zip((v.name for v in self.chapter.task.rates), play.reply.rates, strict=True))
        return substitute_step(step, {**region.fixed(self.chapter.task), **rates})

    def game(self, region: Region) -> tuple[list[float], list[int], list[list[int]]]:
        """At the middle of the region, in floats: values, the best option in each pair, the worst reply to each option."""
        key = region if self.model.symbolic else self.region
        if key not in self._games:
            g = float_discount(self.chapter.task.utility.discount)
            rows = [
                [[float_row(_number_row(p.step), g) for p in plays] for plays in row]
                for row in self.plays(key)
            ]
            self._games[key] = _play(rows)
        return self._games[key]

    # --- under a discount ------------------------------------------------------------------------

    def _is_plain(self, region: Region) -> bool:
        return not self.model.symbolic or not self._free(self.all_options(region))

    @staticmethod
    def _free(steps: Rows) -> frozenset[str]:
        return frozenset().union(*(names_of_step(s) for row in steps for s in row))

    def all_options(self, region: Region) -> Rows:
        """By pair the steps of every option under every finite reply."""
        return tuple(tuple(s for o in row for s in o) for row in self.fixed_steps(region))

    def _discounted(self, direction: Direction, grid: Grid, region: Region, flat: bool) -> Bound:
        exact = grid is Grid.EXACT
        if exact and len(self.model.states) > EXACT_STATES_MAX:
            raise TooLarge(f"an exact solution over more than {EXACT_STATES_MAX:,} states")
        values: list[Weight] | None = None
        if exact:
            values, _, replies = self._exact_game(region)
        else:
            _, _, replies = self.game(region)
        steps, named = self.constraints(direction, region, replies)
        discount = self.chapter.task.utility.discount
        if self.model.symbolic and self._free(steps):
            found = affine_values(
                AffineTask(
                    self.chapter, region, steps, direction, self._strategy(region, replies), flat
                ),
                Grid.FINE if exact else grid,
                exact and not flat,
            )
        elif values is not None:
            found = shift(values, steps, discount, direction, grid)
        else:
            values = round_floats(self.game(region)[0], grid)
            found = shift(values, steps, discount, direction, grid)
        return Bound(self.model, (found,), (steps,), (named,))

    def constraints(
        self, direction: Direction, region: Region, replies: list[list[int]]
    ) -> tuple[Rows, Named | None]:
        """The steps for which inequalities must hold, and the replies that entries then name."""
        if direction is Direction.LOWER:
            return self.all_steps(region), None
        plays = self.plays(region)
        steps = tuple(
            tuple(
                self.named_step(region, i, o, options[y])
                for o, (options, y) in enumerate(zip(row, ys, strict=True))
            )
            for i, (row, ys) in enumerate(zip(plays, replies, strict=True))
        )
        if not self.adversary:
            return steps, None
        named = tuple(
            tuple(options[y].reply for options, y in zip(row, ys, strict=True))
            for row, ys in zip(plays, replies, strict=True)
        )
        return steps, named

    def _strategy(self, region: Region, replies: list[list[int]]) -> Sequence[Step]:
        """One step for each pair: the best option at the middle of the region, under the reply to it."""
        _, choice, _ = self.game(region)
        plays = self.plays(region)
        return tuple(
            self.named_step(region, i, a, plays[i][a][replies[i][a]]) for i, a in enumerate(choice)
        )

    def _exact_game(self, region: Region) -> tuple[list[Weight], list[int], list[list[int]]]:
        """The exact solution at the middle of the region, from the floats' choices, bettered until nothing is better."""
        key = region if self.model.symbolic else self.region
        if key not in self._exact:
            discount = self.chapter.task.utility.discount
            try:
                _, start, first = self.game(key)
                choice, replies = list(start), [list(ys) for ys in first]
            except TooLarge:
                plays = self.plays(key)
                choice, replies = [0] * len(plays), [[0] * len(row) for row in plays]
            self._exact[key] = strategy_values(self.plays(key), choice, replies, discount)
        return self._exact[key]


def _number_row(step: Step) -> NumberRow:
    return NumberRow(step.reward, step.successors)  # type: ignore[arg-type]


def _play(
    rows: list[list[list[FloatRow]]],
) -> tuple[list[float], list[int], list[list[int]]]:
    if all(len(row) == 1 and len(row[0]) == 1 for row in rows):
        values = solve_floats([row[0][0] for row in rows])
        return values, [0] * len(rows), [[0] for _ in rows]
    return two_sided(rows)


# --- rounding and shifting -----------------------------------------------------------------------


def round_floats(values: Sequence[float], grid: Grid) -> list[Weight]:
    """Floats on a grid; raises TooLarge for what is no number."""
    if not all(map(isfinite, values)):
        raise TooLarge("values beyond what floats can follow")
    return [Fraction(round(Fraction(v) * grid.value), grid.value) for v in values]


def shift(
    values: Sequence[Weight], steps: Rows, discount: Fraction, direction: Direction, grid: Grid
) -> list[Weight]:
    """Numbers moved by one amount on the grid, so that the inequality holds in every pair for every step."""
    numbers: list[Fraction] = list(values)  # type: ignore[arg-type]
    if not numbers:
        return []
    scale = lcm(*(v.denominator for v in numbers))
    miss = worst_miss(numbers, scale, steps, discount, direction)
    if miss <= 0:
        return list(numbers)
    # any larger shift holds as well
    amount = on_grid(miss / (1 - discount), Direction.UPPER, grid)
    return [v + direction.sign * amount for v in numbers]


def worst_miss(
    values: Sequence[Fraction],
    scale: int,
    steps: Rows,
    discount: Fraction,
    direction: Direction,
) -> Fraction:
    """The largest amount by which an inequality fails, or 0; in whole numbers over common denominators."""
    whole = [v.numerator * (scale // v.denominator) for v in values]
    g_above, g_below = discount.numerator, discount.denominator
    sign = direction.sign
    worst_above, worst_below = 0, 1
    for i, row in enumerate(steps):
        for step in row:
            after = [(j, number_of(w)) for j, w in step.successors]
            common = lcm(*(w.denominator for _, w in after))
            total = sum(w.numerator * (common // w.denominator) * whole[j] for j, w in after)
            reward = number_of(step.reward)
            below = reward.denominator * common * g_below * scale
            above = sign * (
                reward.numerator * common * g_below * scale
                + g_above * total * reward.denominator
                - whole[i] * reward.denominator * common * g_below
            )
            if above * worst_below > worst_above * below:
                worst_above, worst_below = above, below
    return Fraction(worst_above, worst_below)


# --- what callers ask for ------------------------------------------------------------------------


def bound_program(
    chapter: Chapter,
    program: Program,
    direction: Direction,
    grid: Grid,
    unknowns: UnknownTuple = (),
) -> Bound:
    """A bound of a program's value without size, for one joint value of the finite unknowns. Raises TooLarge."""
    return Bounder(chapter, explore_program(chapter, program, unknowns)).bound(direction, grid)


def bound_every_program(chapter: Chapter, grid: Grid, unknowns: UnknownTuple = ()) -> Bound:
    """A bound from above of the value of every program. Raises TooLarge."""
    return Bounder(chapter, explore_actions(chapter, unknowns)).bound(Direction.UPPER, grid)
