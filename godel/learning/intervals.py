"""Exact intervals for rates of success (Clopper and Pearson, Biometrika 26, 1934)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

GRID = 1_000
"""The ends of intervals are multiples of 1/GRID."""


def clopper_pearson(wins: int, count: int, doubt: Fraction) -> tuple[Fraction, Fraction]:
    """Where the rate lies of which `count` independent trials brought `wins` successes.

    Whatever the rate, the probability that it is not between these ends is at most `doubt`. With X binomial, lower end:
    the greatest p on the grid with P(X >= wins) <= doubt/2; upper end: the least with P(X <= wins) <= doubt/2.
    """
    if not 0 <= wins <= count or not 0 < doubt < 1:
        raise ValueError(f"{wins} of {count} trials with doubt {doubt}")
    half = doubt / 2
    # so many successes or more at k/GRID are so many failures or fewer at 1 - k/GRID
    low = 0 if wins == 0 else _last(lambda k: _is_rare(count - wins, count, GRID - k, half))
    high = GRID if wins == count else GRID - _last(lambda k: _is_rare(wins, count, GRID - k, half))
    return Fraction(low, GRID), Fraction(high, GRID)


def _last(holds: Callable[[int], bool]) -> int:
    """The greatest number up to GRID for which something holds that holds for 0 and, once it fails, fails for good."""
    low, high = 0, GRID
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def _is_rare(wins: int, count: int, rate: int, bound: Fraction) -> bool:
    """Whether P(X <= wins) <= bound, for `count` trials at rate/GRID, fewer than all of which are `wins`."""
    other = GRID - rate
    if other == 0:
        return True  # all trials succeed
    # each term of the sum from the one before it, times GRID^count
    term = total = other**count
    for k in range(wins):
        term = term * ((count - k) * rate) // ((k + 1) * other)
        total += term
    return bool(total * bound.denominator <= bound.numerator * GRID**count)
