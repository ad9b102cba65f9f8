"""What searches ask of a region of unknowns, with no certificate. Untrusted: the kernel asks for one."""

from __future__ import annotations

from fractions import Fraction

from dsl import boxes
from dsl.machine import Task
from dsl.polynomial import PolynomialTooLarge, Weight
from proofs.kernel.region import Region, TooMany, rate_box


def is_at_least_zero(task: Task, region: Region, weight: Weight) -> bool:
    """Whether a weight is seen to be at least 0 for all unknowns of the region and all rates. Raises TooMany."""
    try:
        return boxes.is_at_least_zero(weight, region.named(task), rate_box(task), task.assumptions)
    except PolynomialTooLarge as error:
        raise TooMany(str(error)) from None


def vertices(task: Task, region: Region) -> tuple[tuple[Fraction, ...], ...]:
    """The vertices of what the assumptions leave of the region; none where they leave nothing. Raises TooMany."""
    try:
        return boxes.vertices(region.constraints(task), [v.name for v in task.rationals])
    except PolynomialTooLarge as error:
        raise TooMany(str(error)) from None
