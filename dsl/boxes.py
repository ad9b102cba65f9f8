"""Polynomials on boxes: Bernstein coefficients, vertices, and when one is at least 0.

On a box a polynomial lies between the least and the greatest of its Bernstein coefficients; those of a multi-affine one are
its values at the corners (Garloff, 1985).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, product
from math import comb, lcm
from typing import TypeAlias

from dsl.machine import Assumption
from dsl.polynomial import (
    Monomial,
    Polynomial,
    PolynomialTooLarge,
    Weight,
    degree_of,
    names_of,
    substitute,
    terms_of,
    total_degree,
    weight_of,
    whole_of,
)

Interval: TypeAlias = tuple[Fraction, Fraction]
Box: TypeAlias = Mapping[str, Interval]

COEFFICIENTS_MAX = 100_000
SHARES_MAX = 2_500_000
"""How many shares of other coefficients they may be made of."""
VERTICES_MAX = 20_000


def bernstein(weight: Weight, box: Box) -> list[Weight]:
    """The Bernstein coefficients of a polynomial in the names of a box; other names stay in them.

    Raises PolynomialTooLarge above COEFFICIENTS_MAX.
    """
    names = sorted(names_of(weight) & box.keys())
    if not names:
        return [weight]
    degrees = [degree_of(weight, name) for name in names]
    count = 1
    for d in degrees:
        count *= d + 1
    if count > COEFFICIENTS_MAX:
        raise PolynomialTooLarge(f"more than {COEFFICIENTS_MAX:,} Bernstein coefficients")
    if count * sum(d + 1 for d in degrees) > SHARES_MAX:
        raise PolynomialTooLarge(f"Bernstein coefficients of more than {SHARES_MAX:,} parts")
    return coefficients(weight, names, degrees, box)


def coefficients(
    weight: Weight, names: Sequence[str], degrees: Sequence[int], box: Box
) -> list[Weight]:
    """The Bernstein coefficients of at least the polynomial's own degrees; other names stay in them."""
    numbers, under = whole_of(weight)
    # by the monomial in other names: whole numbers by exponents
    grouped: dict[Monomial, dict[tuple[int, ...], int]] = {}
    for monomial, number in numbers.items():
        exponents = dict(monomial)
        index = tuple(exponents.pop(name, 0) for name in names)
        rest = tuple(sorted(exponents.items()))
        grouped.setdefault(rest, {})[index] = number
    # powers of t in x = low + t (high - low), then from the power basis to the Bernstein basis, one name at a time
    for axis, (name, d) in enumerate(zip(names, degrees, strict=True)):
        matrix, below = _basis(d, *box[name])
        grouped = {rest: _along(values, axis, matrix) for rest, values in grouped.items()}
        under *= below
    points = product(*(range(d + 1) for d in degrees))
    if grouped.keys() == {()}:
        only = grouped[()]
        return [Fraction(only.get(index, 0), under) for index in points]
    return [weight_of({r: v.get(i, 0) for r, v in grouped.items()}, under) for i in points]


@lru_cache(maxsize=4_096)
def _basis(degree: int, low: Fraction, high: Fraction) -> tuple[tuple[tuple[int, ...], ...], int]:
    """By exponent e the Bernstein coefficients of x^e over one denominator, which comes with them."""
    common = lcm(low.denominator, high.denominator)
    start = low.numerator * (common // low.denominator)
    width = high.numerator * (common // high.denominator) - start
    shares = lcm(*(comb(degree, j) for j in range(degree + 1)))
    rows: list[tuple[int, ...]] = []
    for e in range(degree + 1):
        row = [0] * (degree + 1)
        for j in range(e + 1):
            # the coefficient of t^j in x^e, and the share of t^j in each Bernstein polynomial
            factor = comb(e, j) * start ** (e - j) * width**j * common ** (degree - e)
            for i in range(j, degree + 1):
                row[i] += factor * comb(i, j) * (shares // comb(degree, j))
        rows.append(tuple(row))
    return tuple(rows), shares * common**degree


def _along(
    values: Mapping[tuple[int, ...], int], axis: int, matrix: tuple[tuple[int, ...], ...]
) -> dict[tuple[int, ...], int]:
    found = dict[tuple[int, ...], int]()
    for index, value in values.items():
        before, after = index[:axis], index[axis + 1 :]
        for i, factor in enumerate(matrix[index[axis]]):
            if factor:
                at = (*before, i, *after)
                found[at] = found.get(at, 0) + value * factor
    return found


def constraints(box: Box, assumptions: Iterable[Assumption]) -> tuple[Weight, ...]:
    """What is at least 0 in a box where assumptions hold: x - low and high - x of each unknown, then the assumptions, an
    exact one followed by its opposite."""
    found: list[Weight] = []
    for name, (low, high) in box.items():
        x = Polynomial.variable(name)
        found += [x - low, high - x]
    for assumption in assumptions:
        found.append(assumption.difference)
        if assumption.exact:
            found.append(-assumption.difference)
    return tuple(found)


def is_at_least_zero(
    weight: Weight, box: Box, rates: Box, assumptions: tuple[Assumption, ...]
) -> bool:
    """Whether a weight is seen to be at least 0 for all unknowns of a box that meet the assumptions, and all rates.

    By Bernstein coefficients; under assumptions by the values of an affine polynomial at the vertices. Raises
    PolynomialTooLarge.
    """
    fixed = {name: low for name, (low, high) in box.items() if low == high}
    for part in bernstein(substitute(weight, fixed), rates):
        if all(value >= 0 for value in bernstein(part, box)):  # type: ignore[operator]
            continue
        if not assumptions or total_degree(part) > 1:
            return False
        names = list(box)
        for vertex in vertices(constraints(box, assumptions), names):
            if substitute(part, dict(zip(names, vertex, strict=True))) < 0:  # type: ignore[operator]
                return False
    return True


def vertices(constraints: tuple[Weight, ...], names: list[str]) -> tuple[tuple[Fraction, ...], ...]:
    """The vertices of the points at which affine polynomials are all at least 0; none where there is no such point.

    A bounded region is the hull of its vertices; each is the one solution of as many constraints, taken as equations, as
    there are names. Raises PolynomialTooLarge above VERTICES_MAX candidates.
    """
    if comb(len(constraints), len(names)) > VERTICES_MAX:
        raise PolynomialTooLarge(f"more than {VERTICES_MAX:,} candidates for a vertex")
    found: dict[tuple[Fraction, ...], None] = {}
    for chosen in combinations(constraints, len(names)):
        point = solve_affine(chosen, names)
        if point is not None and point not in found:
            here = dict(zip(names, point, strict=True))
            if all(substitute(g, here) >= 0 for g in constraints):  # type: ignore[operator]
                found[point] = None
    return tuple(found)


def solve_affine(equations: tuple[Weight, ...], names: list[str]) -> tuple[Fraction, ...] | None:
    """The only point at which affine polynomials, as many as there are names, are all 0; None where there is not one."""
    rows: list[list[Fraction]] = []
    for equation in equations:
        coefficients = {m[0][0] if m else "": c for m, c in terms_of(equation)}
        rows.append(
            [coefficients.get(n, Fraction(0)) for n in names] + [-coefficients.get("", Fraction(0))]
        )
    for i in range(len(names)):
        pivot = next((r for r in range(i, len(rows)) if rows[r][i]), None)
        if pivot is None:
            return None
        rows[i], rows[pivot] = rows[pivot], rows[i]
        head = rows[i][i]
        rows[i] = [v / head for v in rows[i]]
        for r in range(len(rows)):
            if r != i and rows[r][i]:
                factor = rows[r][i]
                rows[r] = [a - factor * b for a, b in zip(rows[r], rows[i], strict=True)]
    return tuple(row[-1] for row in rows)
