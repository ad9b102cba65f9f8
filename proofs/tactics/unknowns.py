"""Tables that are affine in the rational unknowns, and bounds from below against every rate.

With fixed slopes s_x the inequality of a pair asks of the constants c: D(q) >= 0 on a box, where the Bernstein coefficients
of D are affine in c with weights that add up as those of the step do. So the best constants are the values of a game in
which an opponent picks a coefficient in each pair; slopes come from the values at points of the box. What floats find is
rounded, and shifted by the exact amount that the kernel's own coefficients still miss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite

from dsl.boxes import Box, Interval, coefficients
from dsl.polynomial import (
    Polynomial,
    Weight,
    degree_of,
    names_of,
    substitute,
    terms_of,
    total_degree,
)
from proofs.explicit import (
    Step,
    corner_points,
    names_of_step,
    number_of,
    point_of,
    substitute_step,
)
from proofs.games import (
    FloatRow,
    TooLarge,
    as_float,
    exact_values,
    float_discount,
    one_sided,
)
from proofs.kernel.chapter import Chapter
from proofs.kernel.region import Region, TooMany, bernstein, rate_box
from proofs.regions import vertices
from proofs.tactics.bounds import Direction, Grid, Rows

SHIFTS_MAX = 5


@dataclass(frozen=True, slots=True)
class AffineTask:
    """Inequalities to be met on a region; `strategy` is one step for each pair, without rates, that comes near the value.

    `flat`: values are to be numbers, so that premises stay affine where weights are.
    """

    chapter: Chapter
    region: Region
    steps: Rows
    direction: Direction
    strategy: Sequence[Step]
    flat: bool


def affine_values(task: AffineTask, grid: Grid, exact: bool) -> list[Weight]:
    """Values, affine in the unknowns, that meet every inequality; on `exact` the exact ones where they are affine.

    Raises TooLarge.
    """
    try:
        if exact:
            values = _exact(task)
            if values is not None:
                return shift_affine(task, values, Grid.EXACT)
        slopes = _slopes(task, grid)
        constants = _constants(task, slopes, grid)
        values = [c + s for c, s in zip(constants, slopes, strict=True)]
        return shift_affine(task, values, grid)
    except TooMany as error:
        raise TooLarge(str(error)) from None


def _exact(task: AffineTask) -> list[Weight] | None:
    """The exact values of the strategy, coefficient by coefficient; None where they are not affine."""
    for step in task.strategy:
        if total_degree(step.reward) > 1:
            return None
        if any(isinstance(w, Polynomial) for _, w in step.successors):
            return None
    discount = task.chapter.task.utility.discount
    return exact_values([(s.reward, s.successors) for s in task.strategy], discount)  # type: ignore[misc]


# --- slopes --------------------------------------------------------------------------------------


def open_names(task: AffineTask) -> list[str]:
    """The rational unknowns that steps read and that the region leaves open."""
    read = frozenset().union(*(names_of_step(s) for row in task.steps for s in row))
    named = task.region.named(task.chapter.task)
    return [n for n, (low, high) in named.items() if n in read and low != high]


def _slopes(task: AffineTask, grid: Grid) -> list[Weight]:
    names = open_names(task)
    count = len(task.steps)
    if task.flat or not names:
        return [Fraction(0)] * count
    points = corner_points(task.chapter, task.region)
    if not points:
        raise TooLarge("the assumptions leave no world")
    at_points = [_values_at(task, p) for p in points]
    fitted = slope_fit(task.chapter, points, names)
    level = flat_pairs(task.chapter, task.steps)
    found: list[Weight] = []
    for i in range(count):
        total: Weight = Fraction(0)
        if i not in level:
            heights = [v[i] for v in at_points]
            total = linear_part(fitted, heights, grid)
        found.append(total)
    return found


def linear_part(
    fitted: Mapping[str, Sequence[float]], heights: Sequence[float], grid: Grid
) -> Weight:
    """The linear function that fits best, its coefficients on a grid."""
    total: Weight = Fraction(0)
    for name, shares in fitted.items():
        slope = sum(a * h for a, h in zip(shares, heights, strict=True))
        if not isfinite(slope):
            raise TooLarge("values beyond what floats can follow")
        scale = grid.value or Grid.FINE.value
        total = total + Polynomial.variable(name) * Fraction(round(Fraction(slope) * scale), scale)
    return total


def _values_at(task: AffineTask, point: tuple[Fraction, ...]) -> list[float]:
    at, rates = point_of(task.chapter, point), rate_box(task.chapter.task)
    g = float_discount(task.chapter.task.utility.discount)
    rows = [
        [r for step in row for r in spread(substitute_step(step, at), rates, g)]
        for row in task.steps
    ]
    return one_sided(rows, least=task.direction is Direction.LOWER)[0]


def slope_fit(
    chapter: Chapter, points: Sequence[tuple[Fraction, ...]], names: Sequence[str]
) -> dict[str, list[float]]:
    """For each name the shares of the values at the points that make the slope of the affine function that fits best."""
    places = [[v.name for v in chapter.task.rationals].index(n) for n in names]
    n = Fraction(len(points))
    columns: list[list[Fraction]] = []
    for place in places:
        mean = sum((p[place] for p in points), Fraction(0)) / n
        columns.append([p[place] - mean for p in points])
    # orthogonalised one after the other; a direction in which the points do not differ has no slope
    kept: list[tuple[int, list[Fraction]]] = []
    basis: list[tuple[list[Fraction], Fraction]] = []
    for k, column in enumerate(columns):
        rest = list(column)
        for vector, square in basis:
            share = sum((a * b for a, b in zip(column, vector, strict=True)), Fraction(0)) / square
            rest = [a - share * b for a, b in zip(rest, vector, strict=True)]
        square = sum((a * a for a in rest), Fraction(0))
        if square:
            basis.append((rest, square))
            kept.append((k, column))
    inverse = _inverse(
        [
            [sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0)) for _, b in kept]
            for _, a in kept
        ]
    )
    found: dict[str, list[float]] = {}
    for row, (k, _) in zip(inverse, kept, strict=True):
        shares = [
            sum((c * column[p] for c, (_, column) in zip(row, kept, strict=True)), Fraction(0))
            for p in range(len(points))
        ]
        found[names[k]] = [float(s) for s in shares]
    return found


def _inverse(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    size = len(matrix)
    rows = [[*row, *(Fraction(int(i == k)) for k in range(size))] for i, row in enumerate(matrix)]
    for i in range(size):
        pivot = next(r for r in range(i, size) if rows[r][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        head = rows[i][i]
        rows[i] = [v / head for v in rows[i]]
        for r in range(size):
            if r != i and rows[r][i]:
                factor = rows[r][i]
                rows[r] = [a - factor * b for a, b in zip(rows[r], rows[i], strict=True)]
    return [row[size:] for row in rows]


def flat_pairs(chapter: Chapter, steps: Rows) -> frozenset[int]:
    """Under `assume`, where premises must be affine: the pairs whose values may have no slope, since weights that lead
    there read unknowns."""
    if not chapter.task.assumptions:
        return frozenset()
    rationals = {v.name for v in chapter.task.rationals}
    return frozenset(
        j for row in steps for step in row for j, w in step.successors if names_of(w) & rationals
    )


def float_at(weight: Weight, point: Mapping[str, float]) -> float:
    """What a weight comes to at a point, in floats; raises TooLarge for numbers beyond them."""
    total = 0.0
    for monomial, coefficient in terms_of(weight):
        part = as_float(coefficient)
        for name, exponent in monomial:
            part *= point[name] ** exponent
        total += part
    return total


# --- constants -----------------------------------------------------------------------------------


def _constants(task: AffineTask, slopes: Sequence[Weight], grid: Grid) -> list[Fraction]:
    rows: list[list[FloatRow]] = []
    declared = task.chapter.task
    g = float_discount(declared.utility.discount)
    box: dict[str, Interval] = {**rate_box(declared), **task.region.named(declared)}
    points: list[dict[str, Fraction]] | None = None
    if declared.assumptions:
        points = [point_of(task.chapter, p) for p in vertices(declared, task.region)]
    for i, row in enumerate(task.steps):
        found: list[FloatRow] = []
        for step in row:
            after = sum((w * slopes[j] for j, w in step.successors), Fraction(0))
            reward = step.reward - slopes[i] + declared.utility.discount * after
            moved = Step(reward, step.successors)
            if points is not None and _is_affine(moved):
                rates = rate_box(declared)
                for at in points:
                    found += spread(substitute_step(moved, at), rates, g)
            else:
                found += spread(moved, box, g)
        rows.append(found)
    values, _ = one_sided(rows, least=task.direction is Direction.LOWER)
    if not all(map(isfinite, values)):
        raise TooLarge("values beyond what floats can follow")
    return [Fraction(round(Fraction(v) * grid.value), grid.value) for v in values]


def _is_affine(step: Step) -> bool:
    return total_degree(step.reward) <= 1 and all(total_degree(w) <= 1 for _, w in step.successors)


def spread(step: Step, box: Box, g: float) -> list[FloatRow]:
    """A row for each Bernstein coefficient of a step over the names of a box that it reads."""
    names = sorted(names_of_step(step) & box.keys())
    if not names:
        to = tuple(j for j, _ in step.successors)
        return [(as_float(step.reward), to, tuple(g * as_float(w) for _, w in step.successors))]
    weights = [step.reward, *(w for _, w in step.successors)]
    degrees = [max(degree_of(w, name) for w in weights) for name in names]
    if len(weights) * _product(d + 1 for d in degrees) > 1_000_000:
        raise TooLarge("too many Bernstein coefficients of a step")
    columns = [[as_float(c) for c in coefficients(w, names, degrees, box)] for w in weights]
    to = tuple(j for j, _ in step.successors)
    return [
        (columns[0][k], to, tuple(g * column[k] for column in columns[1:]))
        for k in range(len(columns[0]))
    ]


def _product(factors: object) -> int:
    total = 1
    for factor in factors:  # type: ignore[attr-defined]
        total *= factor
    return total


# --- shifting ------------------------------------------------------------------------------------


def shift_affine(task: AffineTask, values: Sequence[Weight], grid: Grid) -> list[Weight]:
    """The values moved by one amount, so that the kernel sees every inequality hold. Raises TooLarge."""
    utility = task.chapter.task.utility
    found = list(values)
    floor = LeastValue(task.chapter, task.region)
    sign = task.direction.sign
    for _ in range(SHIFTS_MAX):
        miss = Fraction(0)
        for i, row in enumerate(task.steps):
            for step in row:
                after = sum((w * found[j] for j, w in step.successors), Fraction(0))
                difference = sign * (found[i] - (step.reward + utility.discount * after))
                miss = max(miss, -floor(difference))
        if miss <= 0:
            return found
        amount = miss / (1 - utility.discount)
        scale = grid.value or amount.denominator
        amount = Fraction(-(-amount.numerator * scale // amount.denominator), scale)
        found = [v + sign * amount for v in found]
    raise TooLarge("no table that is affine in the unknowns was found")


class LeastValue:
    """The greatest number that the kernel sees a polynomial not to fall below on a region, for all rates."""

    def __init__(self, chapter: Chapter, region: Region) -> None:
        self.task, self.region = chapter.task, region
        self.fixed = region.fixed(self.task)
        self.box, self.rates = region.named(self.task), rate_box(self.task)
        self._vertices: list[dict[str, Fraction]] | None = None

    def __call__(self, weight: Weight) -> Fraction:
        if not isinstance(weight, Polynomial):
            return weight
        known = substitute(weight, self.fixed) if self.fixed else weight
        parts = bernstein(known, self.rates) if self.rates else [known]
        return min(map(self._of_part, parts))

    def _of_part(self, part: Weight) -> Fraction:
        found: Fraction = min(bernstein(part, self.box))  # type: ignore[type-var, assignment]
        if self.task.assumptions and total_degree(part) == 1:
            if self._vertices is None:
                names = [v.name for v in self.task.rationals]
                self._vertices = [
                    dict(zip(names, p, strict=True)) for p in vertices(self.task, self.region)
                ]
            if not self._vertices:
                raise TooLarge("the assumptions leave no world")
            found = max(found, min(number_of(substitute(part, p)) for p in self._vertices))
        return found
