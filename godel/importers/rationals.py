"""Recover the rationals that floats stand for."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Any

from godel.importers.failure import ImportFailure

# Probabilities come from differences such as 1 - 0.8: their error is that of numbers near 1, whatever their size.
WEIGHT_ERROR = Fraction(1, 2**52)
# A fraction n/d within e of a float counts if e d^2 is at most this: no other with a denominator up to d is as near,
# and fewer than one float in 4,000 has one as near by chance.
COINCIDENCE = Fraction(1, 2**12)
DECIMAL_DIGITS = 12


def read_weight(value: Any, what: str) -> Fraction:
    """The probability that a number stands for; raises ImportFailure."""
    weight = read_rational(value, what, error=WEIGHT_ERROR)
    if weight < 0:
        raise ImportFailure(f"{what} is {weight}, below 0")
    return weight


def read_rational(value: Any, what: str, *, error: Fraction | None = None) -> Fraction:
    """The rational that a number stands for: itself, the simplest fraction within `error`, or a short decimal.

    `error` is one unit in the last place where it is not given. Raises ImportFailure where nothing is near enough.
    """
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        raise ImportFailure(f"{what} is {value!r}, not a number")
    if not isinstance(value, float):
        return Fraction(value)
    if not math.isfinite(value):
        raise ImportFailure(f"{what} is {value}, not a finite number")
    if value.is_integer():
        return Fraction(int(value))
    near = Fraction(math.ulp(value)) if error is None else error
    found = _recover(value, near)
    if found is None:
        raise ImportFailure(
            f"{what} is {value!r}, which stands for no simple fraction or short decimal"
        )
    return found


@lru_cache(maxsize=4096)
def _recover(value: float, near: Fraction) -> Fraction | None:
    exact = abs(Fraction(value))
    simple = _find_simplest(exact - near, exact + near)
    if simple and near * simple.denominator**2 <= COINCIDENCE:
        return simple if value > 0 else -simple
    digits = repr(value).partition("e")[0].strip("-").replace(".", "").strip("0")
    return Fraction(repr(value)) if len(digits) <= DECIMAL_DIGITS else None


def _find_simplest(low: Fraction, high: Fraction) -> Fraction:
    """The fraction of smallest denominator from low to high; 0 if that lies between."""
    if low <= 0:
        return Fraction(0)
    whole = math.ceil(low)
    if whole <= high:
        return Fraction(whole)
    return whole - 1 + 1 / _find_simplest(1 / (high - whole + 1), 1 / (low - whole + 1))


def plain(value: Any) -> Any:
    """A number of Python's own for one of numpy's."""
    try:
        return value.item() if hasattr(value, "item") else value
    except (TypeError, ValueError):
        return value
