"""Farkas multipliers for affine premises under `assume`: a small exact linear program, by Bland's rule."""

from __future__ import annotations

from fractions import Fraction

from dsl.polynomial import Weight, names_of, terms_of
from proofs.kernel.theorem import CertificateError

PIVOTS_MAX = 10_000


class Recorder:
    """Solves for multipliers as the kernel asks for them, and keeps them in that order for the certificate."""

    def __init__(self) -> None:
        self.given: list[tuple[Fraction, ...]] = []

    def __call__(self, difference: Weight, constraints: tuple[Weight, ...]) -> tuple[Fraction, ...]:
        found = find_multipliers(difference, constraints)
        if found is None:
            raise CertificateError(f"{difference} >= 0 does not follow from the assumptions")
        self.given.append(found)
        return found


def find_multipliers(
    difference: Weight, constraints: tuple[Weight, ...]
) -> tuple[Fraction, ...] | None:
    """The m >= 0 with difference - sum of m_j g_j constant and as great as can be; None where it stays below 0.

    The dual of minimising `difference` where all g_j >= 0: least sum of m_j b_j with sum of m_j a_j = a, for g_j = a_j x +
    b_j and a difference a x + c.
    """
    names = sorted(set(names_of(difference)).union(*map(names_of, constraints)))
    columns = [_coefficients(g, names) for g in constraints]
    target = _coefficients(difference, names)
    solved = _simplex(
        [[column[i] for column in columns] for i in range(len(names))],
        [target[i] for i in range(len(names))],
        [column[-1] for column in columns],
    )
    if solved is None:
        return None
    rest = target[-1] - sum(
        (m * column[-1] for m, column in zip(solved, columns, strict=True)), Fraction(0)
    )
    return tuple(solved) if rest >= 0 else None


def _coefficients(weight: Weight, names: list[str]) -> list[Fraction]:
    """The coefficients of the names, then the constant."""
    found = {m[0][0] if m else "": c for m, c in terms_of(weight)}
    return [found.get(name, Fraction(0)) for name in (*names, "")]


def _simplex(
    matrix: list[list[Fraction]], right: list[Fraction], cost: list[Fraction]
) -> list[Fraction] | None:
    """The x >= 0 of least cost with matrix x = right; None where there is none or no least one."""
    width, height = len(cost), len(matrix)
    rows: list[list[Fraction]] = []
    for i, (row, b) in enumerate(zip(matrix, right, strict=True)):
        sign = -1 if b < 0 else 1
        extra = [Fraction(int(k == i)) for k in range(height)]
        rows.append([sign * v for v in row] + extra + [sign * b])
    basis = list(range(width, width + height))
    first = [Fraction(0)] * width + [Fraction(1)] * height
    if not _descend(rows, basis, first, width + height):
        return None
    if any(row[-1] for row, k in zip(rows, basis, strict=True) if k >= width):
        return None
    if not _descend(rows, basis, cost + [Fraction(0)] * height, width):
        return None
    found = [Fraction(0)] * width
    for row, k in zip(rows, basis, strict=True):
        if k < width:
            found[k] = row[-1]
    return found


def _descend(
    rows: list[list[Fraction]], basis: list[int], cost: list[Fraction], allowed: int
) -> bool:
    """Pivot until no column lowers the cost; False where the cost has no end."""
    for _ in range(PIVOTS_MAX):
        entering = None
        for j in range(allowed):
            if j not in basis:
                reduced = cost[j] - sum(
                    (cost[k] * row[j] for row, k in zip(rows, basis, strict=True)), Fraction(0)
                )
                if reduced < 0:
                    entering = j
                    break
        if entering is None:
            return True
        ratios = [
            (row[-1] / row[entering], basis[i], i)
            for i, row in enumerate(rows)
            if row[entering] > 0
        ]
        # an artificial column that is still in the basis, at 0, leaves first
        ratios += [
            (Fraction(0), -1, i)
            for i, row in enumerate(rows)
            if basis[i] >= allowed and row[entering] < 0 and not row[-1]
        ]
        if not ratios:
            return False
        _pivot(rows, min(ratios)[2], entering)
        basis[min(ratios)[2]] = entering
    return False


def _pivot(rows: list[list[Fraction]], at: int, column: int) -> None:
    head = rows[at][column]
    rows[at] = [v / head for v in rows[at]]
    for i, row in enumerate(rows):
        if i != at and row[column]:
            factor = row[column]
            rows[i] = [a - factor * b for a, b in zip(row, rows[at], strict=True)]
