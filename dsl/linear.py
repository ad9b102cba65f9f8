"""Whether linear constraints over a box have a solution, decided exactly."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm
from typing import TypeAlias

Constraint: TypeAlias = tuple[Sequence[Fraction], Fraction, bool]
"""(a, b, exact) says `a x + b >= 0`, or `a x + b == 0` where `exact`."""

_Row: TypeAlias = list[int]


def find_point(
    box: Sequence[tuple[Fraction, Fraction]], constraints: Sequence[Constraint]
) -> tuple[Fraction, ...] | None:
    """A point of the box at which every constraint holds, or None where there is none.

    The first phase of the simplex method on integers, whose divisions leave no remainder [Edmonds 1967]; Bland's rule
    makes it end [Bland 1977].
    """
    rows: list[Constraint] = []
    for i, (low, high) in enumerate(box):
        unit = [Fraction(-int(j == i)) for j in range(len(box))]
        rows.append((unit, high - low, False))
    for factors, constant, exact in constraints:
        at_low = sum((a * low for a, (low, _) in zip(factors, box, strict=True)), constant)
        rows.append((factors, at_low, exact))
    solution = _solve_from_zero(len(box), rows)
    if solution is None:
        return None
    point = tuple(low + y for y, (low, _) in zip(solution, box, strict=True))
    if not _is_solution(point, box, constraints):
        raise ArithmeticError("a point that does not solve what it was found for")
    return point


def _is_solution(
    point: tuple[Fraction, ...],
    box: Sequence[tuple[Fraction, Fraction]],
    constraints: Sequence[Constraint],
) -> bool:
    for factors, constant, exact in constraints:
        value = sum((a * x for a, x in zip(factors, point, strict=True)), constant)
        if value < 0 or (exact and value != 0):
            return False
    return all(low <= x <= high for x, (low, high) in zip(point, box, strict=True))


def _solve_from_zero(count: int, rows: list[Constraint]) -> list[Fraction] | None:
    """Values y >= 0 at which every row holds, or None."""
    table, own, artificial = _tableau(count, rows)
    basis = [own + i for i in range(len(rows))]
    goal = [sum(column) for column in zip(*(table[j - own] for j in artificial), strict=True)]
    if not goal:
        return [Fraction(0)] * count
    for j in artificial:
        goal[j] = 0
    divisor, stalled = 1, False
    while goal[-1] > 0:
        choices = [j for j in range(len(goal) - 1) if goal[j] > 0 and j not in artificial]
        if not choices:
            return None
        # the steepest is quick; where it gains nothing, Bland's rule keeps it from going in a circle
        entering = choices[0] if stalled else max(choices, key=lambda j: goal[j])
        _, _, leaving = min(
            (Fraction(line[-1], line[entering]), basis[i], i)
            for i, line in enumerate(table)
            if line[entering] > 0
        )
        stalled = table[leaving][-1] == 0
        pivot = table[leaving][entering]
        for i, line in enumerate((*table, goal)):
            if i != leaving:
                _eliminate(line, table[leaving], entering, divisor)
        divisor = pivot
        basis[leaving] = entering
    values = [Fraction(0)] * (len(goal) - 1)
    for i, j in enumerate(basis):
        values[j] = Fraction(table[i][-1], divisor)
    return values[:count]


def _tableau(count: int, rows: list[Constraint]) -> tuple[list[_Row], int, list[int]]:
    """The rows as equations in integers, the first of their own columns, and which of these are artificial.

    Every row has a column of its own: the slack of a constraint that 0 meets, else an artificial variable that has to
    go. A constraint that 0 does not meet has a surplus besides.
    """
    own = count + sum(not exact and constant < 0 for _, constant, exact in rows)
    width = own + len(rows)
    table: list[_Row] = []
    surplus, artificial = count, list[int]()
    for i, (factors, constant, exact) in enumerate(rows):
        scale = lcm(constant.denominator, *(a.denominator for a in factors))
        sign = scale if constant < 0 else -scale
        line = (
            [int(sign * a) for a in factors] + [0] * (width - count) + [int(scale * abs(constant))]
        )
        line[own + i] = 1
        if exact or constant < 0:
            artificial.append(own + i)
        if not exact and constant < 0:
            line[surplus] = -1
            surplus += 1
        table.append(line)
    return table, own, artificial


def _eliminate(line: _Row, pivot_row: _Row, column: int, divisor: int) -> None:
    """Make an entry 0 with the pivot row; entries stand for themselves over the pivot that came before."""
    pivot, factor = pivot_row[column], line[column]
    for j, x in enumerate(pivot_row):
        if x or line[j]:
            line[j] = (pivot * line[j] - factor * x) // divisor
