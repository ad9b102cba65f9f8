"""Whether linear constraints over a box have a solution, decided exactly."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

Row = list[Fraction]


def find_point(
    box: Sequence[tuple[Fraction, Fraction]],
    constraints: Sequence[tuple[Sequence[Fraction], Fraction, bool]],
) -> tuple[Fraction, ...] | None:
    """A point of the box at which every constraint holds, or None where there is none.

    A constraint (a, b, exact) says `a x + b >= 0`, or `a x + b == 0` where `exact`. The first phase of the simplex
    method in rationals, with Bland's rule, which ends [Bland 1977].
    """
    rows: list[tuple[Row, Fraction, bool]] = []
    for i, (low, high) in enumerate(box):
        unit = [Fraction(int(j == i)) for j in range(len(box))]
        rows.append(([-u for u in unit], high - low, False))
    for factors, constant, exact in constraints:
        shifted = constant + sum(
            (a * low for a, (low, _) in zip(factors, box, strict=True)), Fraction(0)
        )
        rows.append((list(factors), shifted, exact))
    solution = _solve_from_zero(len(box), rows)
    if solution is None:
        return None
    return tuple(low + y for y, (low, _) in zip(solution, box, strict=True))


def _solve_from_zero(count: int, rows: list[tuple[Row, Fraction, bool]]) -> list[Fraction] | None:
    """Values y >= 0 with `a y + b >= 0` (`== 0`) for every row, or None."""
    slacks = sum(not exact for _, _, exact in rows)
    width = count + slacks + len(rows)
    table: list[Row] = []
    slack = count
    for i, (factors, constant, exact) in enumerate(rows):
        line = [*factors, *[Fraction(0)] * (width - count), -constant]
        if not exact:
            line[slack] = Fraction(-1)
            slack += 1
        if line[-1] < 0:
            line = [-x for x in line]
        line[count + slacks + i] = Fraction(
            1
        )  # one artificial variable a row, which starts in the basis
        table.append(line)
    basis = [count + slacks + i for i in range(len(rows))]
    goal = [sum((line[j] for line in table), Fraction(0)) for j in range(width + 1)]
    for j in basis:
        goal[j] = Fraction(0)
    while goal[-1] > 0:
        entering = next((j for j in range(count + slacks) if goal[j] > 0), None)
        if entering is None:
            return None
        _, _, leaving = min(
            (line[-1] / line[entering], basis[i], i)
            for i, line in enumerate(table)
            if line[entering] > 0
        )
        _pivot(table, goal, leaving, entering)
        basis[leaving] = entering
    values = [Fraction(0)] * width
    for i, j in enumerate(basis):
        values[j] = table[i][-1]
    return values[:count]


def _pivot(table: list[Row], goal: Row, leaving: int, entering: int) -> None:
    pivot = table[leaving][entering]
    table[leaving] = [x / pivot for x in table[leaving]]
    for line in (*(other for i, other in enumerate(table) if i != leaving), goal):
        factor = line[entering]
        if factor:
            for j, x in enumerate(table[leaving]):
                line[j] -= factor * x
