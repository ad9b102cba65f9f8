"""Read numerals."""

from __future__ import annotations

import re
from fractions import Fraction

BITS_MAX = 4096
_DIGITS_MAX = 1400


class NumeralTooLong(ValueError):
    """A numeral of more than `BITS_MAX` bits."""


def read_numeral(text: str) -> int | Fraction:
    """The value of `12`, `-1`, `0x1f`, `0b1`, `0.05` or `1/3`; digits may be grouped with `_`.

    Raises `NumeralTooLong` beyond `BITS_MAX` bits and ValueError for any other text.
    """
    if len(text) > _DIGITS_MAX:
        text = _drop_zeros(text)
    if "/" in text:
        over, under = text.split("/")
        return Fraction(_bounded(_integer(over)), _bounded(_integer(under)))
    if "." in text:
        whole, part = text.replace("_", "").split(".")
        value = Fraction(int(whole + part), 10 ** len(part))
        _bounded(value.numerator)
        _bounded(value.denominator)
        return value
    return _bounded(_integer(text))


def _drop_zeros(text: str) -> str:
    short = re.sub(r"(?<![0-9a-zA-Z_.])0+(?=[0-9])", "", text.replace("_", ""))
    if len(short) > 2 * _DIGITS_MAX:
        raise NumeralTooLong
    return short


def _integer(text: str) -> int:
    if text.isdigit():
        return int(text)
    plain = text.strip().replace("_", "")
    if "x" in plain:
        return int(plain, 16)
    if "b" in plain:
        return int(plain, 2)
    return int(plain)


def _bounded(value: int) -> int:
    if value.bit_length() > BITS_MAX:
        raise NumeralTooLong
    return value
