"""Boxes of rational unknowns, and when a polynomial is at least 0 on one.

Bernstein: a polynomial of degree d_i in each name lies between the least and the greatest of its Bernstein coefficients on
a box; for a multi-affine one these are its values at the corners (Garloff, 1985). Under `assume` the polynomial must be
affine: then Farkas multipliers show it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from dsl import boxes
from dsl.boxes import Box, Interval
from dsl.machine import Task, UnknownTuple
from dsl.polynomial import Polynomial, PolynomialTooLarge, Weight, substitute, total_degree
from dsl.weights import box_of
from proofs.kernel.theorem import CertificateError

Multipliers: TypeAlias = Callable[[Weight, tuple[Weight, ...]], tuple[Fraction, ...]]
"""Gives the Farkas multipliers, one for each constraint (each at least 0), that show a difference to be at least 0."""


class TooMany(CertificateError):
    """More points, coefficients or worlds than the kernel looks at."""


@dataclass(frozen=True, slots=True)
class Region:
    """One joint value of the finite unknowns, and an interval for each rational unknown in declared order."""

    unknowns: UnknownTuple
    box: tuple[Interval, ...]

    @staticmethod
    def whole(task: Task, unknowns: UnknownTuple) -> Region:
        """Everything that the declarations allow."""
        return Region(unknowns, tuple(box_of(task.rationals).values()))

    @staticmethod
    def point(unknowns: UnknownTuple, rationals: tuple[Fraction, ...]) -> Region:
        """One value of every unknown."""
        return Region(unknowns, tuple((p, p) for p in rationals))

    def named(self, task: Task) -> dict[str, Interval]:
        """The intervals by name."""
        return dict(zip((v.name for v in task.rationals), self.box, strict=True))

    def fixed(self, task: Task) -> dict[str, Fraction]:
        """The unknowns of which the box holds one value."""
        return {name: low for name, (low, high) in self.named(task).items() if low == high}

    def cut(self, task: Task, unknown: str, at: Fraction) -> tuple[Region, Region]:
        """The region below and above; raises CertificateError where the cut is not strictly inside."""
        box = self.named(task)
        if (
            unknown not in box
            or type(at) is not Fraction
            or not box[unknown][0] < at < box[unknown][1]
        ):
            raise CertificateError(f"a cut of {unknown} at {at} lies outside the box")
        low, high = box[unknown]
        below, above = {**box, unknown: (low, at)}, {**box, unknown: (at, high)}
        return (
            Region(self.unknowns, tuple(below.values())),
            Region(self.unknowns, tuple(above.values())),
        )

    def constraints(self, task: Task) -> tuple[Weight, ...]:
        """What is at least 0 in the region, in the order of `dsl.boxes.constraints`."""
        return boxes.constraints(self.named(task), task.assumptions)

    def holds(self, task: Task, rationals: tuple[Fraction, ...]) -> bool:
        """Whether a point lies in the box and meets every assumption."""
        if len(rationals) != len(self.box) or any(type(p) is not Fraction for p in rationals):
            return False
        if not all(low <= p <= high for p, (low, high) in zip(rationals, self.box, strict=True)):
            return False
        point = dict(zip((v.name for v in task.rationals), rationals, strict=True))
        values = ((substitute(a.difference, point), a.exact) for a in task.assumptions)
        return all(v == 0 if exact else v >= 0 for v, exact in values)  # type: ignore[operator]


def rate_box(task: Task) -> dict[str, Interval]:
    """The ranges of the rates by name."""
    return box_of(task.rates)


def require_at_least_zero(
    task: Task, region: Region, difference: Weight, multipliers: Multipliers, what: str
) -> None:
    """Raise CertificateError unless `difference` is shown to be >= 0 for all unknowns of the region and all rates.

        D = sum over i of b_i(rates) A_i(unknowns), b_i >= 0        each A_i >= 0 on the region
        -----------------------------------------------------------------------------------
                                            D >= 0

    Each A_i >= 0 by its Bernstein coefficients on the box; else, under `assume`, A_i affine and
    A_i = c + sum over j of m_j g_j with c >= 0, m_j >= 0 and constraints g_j >= 0 (Farkas).
    """
    fixed = region.fixed(task)
    box = region.named(task)
    for part in bernstein(substitute(difference, fixed), rate_box(task)):
        least = min(map(_number, bernstein(part, box)))
        if least >= 0:
            continue
        if not task.assumptions:
            raise CertificateError(f"{what}: {least} is below 0 for some unknowns or rates")
        _require_farkas(task, region, part, multipliers, what)


def _require_farkas(
    task: Task, region: Region, part: Weight, multipliers: Multipliers, what: str
) -> None:
    if total_degree(part) > 1:
        raise CertificateError(f"{what}: under `assume` a premise must be affine")
    fixed = region.fixed(task)
    constraints = tuple(substitute(g, fixed) for g in region.constraints(task))
    given = multipliers(part, constraints)
    if len(given) != len(constraints) or any(type(m) is not Fraction or m < 0 for m in given):
        raise CertificateError(f"{what}: multipliers are one rational >= 0 for each constraint")
    rest: Weight = part
    for m, g in zip(given, constraints, strict=True):
        if m:
            rest = rest - g * m
    if isinstance(rest, Polynomial) or rest < 0:
        raise CertificateError(f"{what}: the multipliers leave {rest}, not a number >= 0")


def bernstein(weight: Weight, box: Box) -> list[Weight]:
    """The Bernstein coefficients of a polynomial in the names of a box; other names stay in them. Raises TooMany."""
    try:
        return boxes.bernstein(weight, box)
    except PolynomialTooLarge as error:
        raise TooMany(str(error)) from None


def _number(weight: Weight) -> Fraction:
    if isinstance(weight, Polynomial):
        raise CertificateError(f"{weight} reads a name that is no unknown of the region")
    return weight
