"""Tables in layers under a horizon: each step put into the one before, from the last one back, rounded outward.

Where steps read rational unknowns, a layer takes the step's polynomial as it is while that is affine, else the affine
function that fits best, moved outward to where the kernel sees the inequality hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING

from dsl.polynomial import Polynomial, Weight, substitute, total_degree
from proofs.explicit import Step, corner_points, names_of_step, number_of, point_of
from proofs.games import TooLarge
from proofs.kernel.certificate import Reply
from proofs.kernel.region import Region, TooMany, bernstein, rate_box
from proofs.tactics.bounds import Bound, Direction, Grid, on_grid, reached_layers
from proofs.tactics.unknowns import LeastValue, flat_pairs, float_at, linear_part, slope_fit

if TYPE_CHECKING:
    from proofs.tactics.tables import Bounder


def layered(
    bounder: Bounder, direction: Direction, grid: Grid, region: Region, flat: bool
) -> Bound:
    """Layers that bound the value from one side; `flat`: by numbers, whatever the unknowns. Raises TooLarge."""
    horizon = bounder.chapter.task.utility.horizon
    if horizon is None:
        raise ValueError("layers are for horizons")
    try:
        return _Layers(bounder, direction, grid, region, flat).find(horizon)
    except TooMany as error:
        raise TooLarge(str(error)) from None


class _Layers:
    def __init__(
        self, bounder: Bounder, direction: Direction, grid: Grid, region: Region, flat: bool
    ) -> None:
        self.bounder, self.model, self.flat = bounder, bounder.model, flat
        self.direction, self.grid, self.region = direction, grid, region
        self.all_options = bounder.all_options(region)
        read = (
            frozenset().union(*(names_of_step(s) for row in self.all_options for s in row))
            if self.model.symbolic
            else frozenset()
        )
        self.names = [v.name for v in bounder.chapter.task.rationals if v.name in read]
        self.open = bool(read)

    def find(self, horizon: int) -> Bound:
        """The layers, one for each number of steps to go."""
        first = [i for start in self.model.starts for i, _ in start.pairs]
        needed = reached_layers(first, self.all_options, horizon)
        layers: list[dict[int, Weight]] = []
        steps: list[Mapping[int, Sequence[Step]] | Sequence[Sequence[Step]]] = []
        named: list[Mapping[int, tuple[Reply, ...]] | None] = []
        answers = self._answers()
        below: dict[int, Weight] = {}
        for k in range(horizon):
            layer: dict[int, Weight] = {}
            taken: dict[int, Sequence[Step]] = {}
            replies: dict[int, tuple[Reply, ...]] = {}
            for i in needed[horizon - 1 - k]:
                layer[i], taken[i], replies[i] = answers(i, below, k == 0)
            layers.append(layer)
            if self.direction is Direction.LOWER or not self.bounder.adversary:
                steps.append(self.all_options)
                named.append(None)
            else:
                steps.append(taken)
                named.append(replies)
            below = layer
        return Bound(self.model, tuple(layers), tuple(steps), tuple(named), layered=True)

    def _answers(self) -> _Answer:
        if self.open:
            return _Affine(self)
        return _Numeric(self)


class _Answer:
    def __init__(self, layers: _Layers) -> None:
        self.layers = layers

    def __call__(
        self, i: int, below: Mapping[int, Weight], last: bool
    ) -> tuple[Weight, Sequence[Step], tuple[Reply, ...]]:
        """The value of a pair, the steps that it answers for, and the replies named."""
        raise NotImplementedError


class _Numeric(_Answer):
    """Numbers only: whole ones over common denominators."""

    def __init__(self, layers: _Layers) -> None:
        super().__init__(layers)
        self.plays = layers.bounder.plays(layers.region)
        self.rows: dict[int, list[list[_Whole]]] = {}

    def __call__(
        self, i: int, below: Mapping[int, Weight], last: bool
    ) -> tuple[Weight, Sequence[Step], tuple[Reply, ...]]:
        if i not in self.rows:
            self.rows[i] = [[_whole(p.step) for p in option] for option in self.plays[i]]
        layers = self.layers
        best: Fraction | None = None
        chosen: list[int] = []
        for option in self.rows[i]:
            worth = [_worth(row, below, last, layers.grid) for row in option]
            least = min(worth)
            chosen.append(worth.index(least))
            best = least if best is None else max(best, least)
        if best is None:
            raise TooLarge("there are no actions")
        value = on_grid(best, layers.direction, layers.grid)
        if not layers.bounder.adversary:
            return value, (), ()
        picked = [option[y] for option, y in zip(self.plays[i], chosen, strict=True)]
        return value, [p.step for p in picked], tuple(p.reply for p in picked)


_Whole = tuple[int, int, tuple[tuple[int, int], ...], int]
"""A row in whole numbers: reward above and below, successors with weights above, and their common denominator."""


def _whole(step: Step) -> _Whole:
    reward = number_of(step.reward)
    after = [(j, number_of(w)) for j, w in step.successors]
    common = lcm(*(w.denominator for _, w in after))
    weights = tuple((j, w.numerator * (common // w.denominator)) for j, w in after)
    return reward.numerator, reward.denominator, weights, common


def _worth(row: _Whole, below: Mapping[int, Weight], last: bool, grid: Grid) -> Fraction:
    above, under, after, common = row
    if last:
        return Fraction(above, under)
    if grid is Grid.EXACT:
        total = sum((w * below[j] for j, w in after), Fraction(0))
        return Fraction(above, under) + total / common  # type: ignore[return-value]
    scale = grid.value
    whole = 0
    for j, w in after:
        value: Fraction = below[j]  # type: ignore[assignment]
        whole += w * (value.numerator * (scale // value.denominator))
    return Fraction(above * common * scale + whole * under, under * common * scale)


class _Affine(_Answer):
    """Polynomials in the unknowns and rates."""

    def __init__(self, layers: _Layers) -> None:
        super().__init__(layers)
        chapter, region = layers.bounder.chapter, layers.region
        self.floor = LeastValue(chapter, region)
        self.rates = rate_box(chapter.task)
        self.points = corner_points(chapter, region)
        if not self.points:
            raise TooLarge("the assumptions leave no world")
        self.named = [point_of(chapter, p) for p in self.points]
        varied = [n for n in layers.names if len({p[n] for p in self.named}) > 1]
        self.fitted = slope_fit(chapter, self.points, varied) if varied else {}
        self.level = flat_pairs(chapter, layers.all_options)
        self.floats = [{n: float(v) for n, v in p.items()} for p in self.named]
        self.plays = layers.bounder.plays(region)

    def __call__(
        self, i: int, below: Mapping[int, Weight], last: bool
    ) -> tuple[Weight, Sequence[Step], tuple[Reply, ...]]:
        layers = self.layers
        if layers.direction is Direction.LOWER or not layers.bounder.adversary:
            steps: Sequence[Step] = layers.all_options[i]
            replies: tuple[Reply, ...] = ()
        else:
            steps, replies = self._named(i, below, last)
        parts: list[Weight] = []
        for step in steps:
            total = step.reward
            if not last:
                total = total + sum((w * below[j] for j, w in step.successors), Fraction(0))
            parts += bernstein(total, self.rates) if self.rates else [total]
        return self._bound(i, parts), steps, replies

    def _named(
        self, i: int, below: Mapping[int, Weight], last: bool
    ) -> tuple[Sequence[Step], tuple[Reply, ...]]:
        """The worst reply to each option at the middle of the region."""
        layers, centre = self.layers, self.named[-1]
        steps: list[Step] = []
        replies: list[Reply] = []
        for o, option in enumerate(self.plays[i]):
            worth: list[Fraction] = []
            for play in option:
                total = number_of(play.step.reward)
                if not last:
                    for j, w in play.step.successors:
                        total += number_of(w) * number_of(substitute(below[j], centre))
                worth.append(total)
            play = option[worth.index(min(worth))]
            steps.append(layers.bounder.named_step(layers.region, i, o, play))
            replies.append(play.reply)
        return steps, tuple(replies)

    def _bound(self, i: int, parts: Sequence[Weight]) -> Weight:
        """An affine function on the right side of all parts."""
        direction, grid = self.layers.direction, self.layers.grid
        sign = direction.sign
        level = self.layers.flat or i in self.level
        if len(parts) == 1 and grid is Grid.EXACT and not level and total_degree(parts[0]) <= 1:
            return parts[0]
        slope: Weight = Fraction(0)
        if not level and any(isinstance(p, Polynomial) for p in parts):
            best = min if direction is Direction.LOWER else max
            heights = [best(float_at(p, at) for p in parts) for at in self.floats]
            slope = linear_part(self.fitted, heights, grid)
        # for a bound from above: the least of slope - part, which the constant makes up for
        miss = min(self.floor(sign * (slope - part)) for part in parts)
        return slope + on_grid(-sign * miss, direction, grid)
