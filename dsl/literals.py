"""Read numerals and arrays of literals, keeping their spelling."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
        value = Fraction(text.replace("_", ""))
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


_CELL = re.compile(r"[\[\]]|([A-Za-z_][A-Za-z0-9_]*)|(-?[0-9][0-9A-Za-z_./]*)|\n|#[^\n]*")


def scan_row(text: str) -> Iterator[tuple[str, str, int]]:
    """The parts of an array of literals as (kind, text, offset).

    Kinds are `[`, `]`, `name`, `number` and `newline`.
    """
    for found in _CELL.finditer(text):
        part = found.group()
        match found.lastindex:
            case 2:
                yield "number", part, found.start()
            case 1:
                yield "name", part, found.start()
            case _:
                if part == "\n":
                    yield "newline", part, found.start()
                elif part[0] != "#":
                    yield part, part, found.start()
