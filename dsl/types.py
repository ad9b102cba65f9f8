"""Types with their ends worked out, and the values that inhabit them.

Values are `bool`, `int` (an enum member by its ordinal, bits read unsigned), `int | Fraction` for `rat`, and tuples for
arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, product
from math import gcd
from typing import Any, TypeAlias, assert_never

from dsl.codec import CodecError, Json, decode_int, decode_rational, encode_int, encode_rational

ELEMENTS_MAX = 1_000_000
"""How many scalars a value may be made of."""

WIDTH_MAX = 64
"""How many bits a vector may have."""

_LISTED_MAX = 4_096
"""Up to how many values of an item are kept in a list while arrays of it are enumerated."""

Value: TypeAlias = "bool | int | Fraction | tuple[Value, ...]"


@dataclass(frozen=True, slots=True)
class Bool:
    """`bool`."""


@dataclass(frozen=True, slots=True)
class Int:
    """Integers, between both ends where they are given."""

    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Rat:
    """Rationals, between both ends where they are given."""

    low: Fraction | None = None
    high: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Bits:
    """Vectors of 1 to 64 bits; their values are the integers 0..2^width-1."""

    width: int


@dataclass(frozen=True, slots=True)
class Enum:
    """Declared members, counted from 0."""

    name: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Array:
    """`length` items, indexed from 0 or by the members of `index`."""

    length: int
    index: Enum | None
    item: Type


Type: TypeAlias = Bool | Int | Rat | Bits | Enum | Array


@dataclass(frozen=True, slots=True)
class Variable:
    """A name with its type."""

    name: str
    type: Type


def without_ranges(kind: Type) -> Type:
    """The type with the ends of its ranges dropped."""
    match kind:
        case Int():
            return Int()
        case Rat():
            return Rat()
        case Array(length, index, item):
            return Array(length, index, without_ranges(item))
        case Bool() | Bits() | Enum():
            return kind
        case _:
            assert_never(kind)


def join(left: Type, right: Type) -> Type | None:
    """The type that holds values of both, ranges dropped; `int` widens to `rat`, nothing else mixes.

    Bits join bits of the same width alone.
    """
    left, right = without_ranges(left), without_ranges(right)
    if left == right:
        return left
    match left, right:
        case (Int(), Rat()) | (Rat(), Int()):
            return Rat()
        case Array(n, index, a), Array(m, other, b) if n == m and index == other:
            item = join(a, b)
            return None if item is None else Array(n, index, item)
        case _:
            return None


def fits(kind: Type, target: Type) -> bool:
    """Whether a value of one type may stand where the other is asked for, ranges aside.

    An array written out is indexed from 0 and may stand for one that is indexed by members.
    """
    match kind, target:
        case Array(n, index, a), Array(m, wanted, b):
            return n == m and (index == wanted or index is None) and fits(a, b)
        case _:
            return join(kind, target) == without_ranges(target)


def contains(kind: Type, value: Value) -> bool:
    """Whether a value of the right kind lies within the ends of the type."""
    match kind:
        case Int(None, None) | Rat(None, None) | Bool() | Enum():
            return True
        case Int(low, high) | Rat(low, high):
            return low <= value <= high  # type: ignore[operator]
        case Bits(width):
            return 0 <= value < 1 << width  # type: ignore[operator]
        case Array(_, _, item):
            if item == without_ranges(item):
                return True
            flat: Iterable[Any] = value  # type: ignore[assignment]
            while isinstance(item, Array):
                flat, item = chain.from_iterable(flat), item.item
            # the least and the greatest speak for all
            scalars = list({id(v): v for v in flat}.values())
            if isinstance(item, Rat):
                return (
                    item.low is None or item.high is None or _lie_in(item.low, item.high, scalars)
                )
            return contains(item, min(scalars)) and contains(item, max(scalars))
        case _:
            assert_never(kind)


def _lie_in(low: Fraction, high: Fraction, found: Iterable[int | Fraction]) -> bool:
    """Whether rationals lie between two others: compared by products of integers, which is quick."""
    a, b, c, d = low.numerator, low.denominator, high.numerator, high.denominator
    return all(
        a * v.denominator <= v.numerator * b and v.numerator * d <= c * v.denominator for v in found
    )


def inhabits(kind: Type, value: object) -> bool:
    """Whether any Python object at all is a value of the type; `True` is no integer."""
    match kind:
        case Bool():
            return type(value) is bool
        case Enum(_, members):
            return type(value) is int and 0 <= value < len(members)
        case Int() | Bits():
            return type(value) is int and contains(kind, value)
        case Rat():
            return type(value) in (int, Fraction) and contains(kind, value)  # type: ignore[arg-type]
        case Array(length, _, item):
            return (
                type(value) is tuple
                and len(value) == length
                and all(inhabits(item, v) for v in value)
            )
        case _:
            assert_never(kind)


def are_values(variables: Iterable[Variable], given: object) -> bool:
    """Whether any Python object at all is a joint value of the variables."""
    kinds = [v.type for v in variables]
    return type(given) is tuple and len(given) == len(kinds) and all(map(inhabits, kinds, given))


def is_rational(value: object) -> bool:
    """Whether any Python object at all is a rational in lowest terms."""
    if type(value) is not Fraction:
        return False
    above, below = value.numerator, value.denominator
    return type(above) is int and type(below) is int and below >= 1 and gcd(above, below) == 1


def cardinality(kind: Type) -> int | None:
    """How many values the type has; None where there is no end to them."""
    match kind:
        case Bool():
            return 2
        case Enum(_, members):
            return len(members)
        case Int(int() as low, int() as high):
            return high - low + 1
        case Bits(width):
            return 1 << width
        case Int() | Rat():
            return None
        case Array(length, _, item):
            each = cardinality(item)
            if each is None or each < 2:
                return each
            return each**length if length * (each.bit_length() - 1) <= 4_096 else 1 << 4_097
        case _:
            assert_never(kind)


def values(kind: Type) -> Iterator[Value]:
    """Every value of a finite type, smallest first."""
    match kind:
        case Bool():
            yield False
            yield True
        case Enum(_, members):
            yield from range(len(members))
        case Int(int() as low, int() as high):
            yield from range(low, high + 1)
        case Bits(width):
            yield from range(1 << width)
        case Array(length, _, item):
            yield from _tuples(item, length)
        case Int() | Rat():
            raise ValueError(f"{show_type(kind)} has no end")
        case _:
            assert_never(kind)


def _tuples(item: Type, length: int) -> Iterator[tuple[Value, ...]]:
    """Every array of so many items; where these have many values, lazily."""
    count = cardinality(item)
    if count is None or count <= _LISTED_MAX:
        yield from product(tuple(values(item)), repeat=length)
        return
    if length == 0:
        yield ()
        return
    for first in values(item):
        for rest in _tuples(item, length - 1):
            yield (first, *rest)


def elements(kind: Type) -> int:
    """How many scalars a value of the type is made of."""
    return kind.length * elements(kind.item) if isinstance(kind, Array) else 1


def scalar(kind: Type) -> Type:
    """The type of the scalars that a value of the type is made of."""
    while isinstance(kind, Array):
        kind = kind.item
    return kind


def with_scalar(kind: Type, found: Type) -> Type:
    """The same type made of other scalars."""
    if isinstance(kind, Array):
        return Array(kind.length, kind.index, with_scalar(kind.item, found))
    return found


def show_type(kind: Type) -> str:
    """The type in the reader's words."""
    match kind:
        case Bool():
            return "bool"
        case Enum(name, _):
            return name
        case Int(None, None):
            return "int"
        case Rat(None, None):
            return "rat"
        case Int(low, high):
            return f"int {low}..{high}"
        case Rat(low, high):
            return f"rat {low}..{high}"
        case Bits(width):
            return f"bits[{width}]"
        case Array(length, index, item):
            return f"array[{index.name if index else length}] of {show_type(item)}"
        case _:
            assert_never(kind)


def show_value(kind: Type, value: Value) -> str:
    """A value as it is written in a machine file."""
    match kind:
        case Bool():
            return "true" if value else "false"
        case Enum(_, members):
            return members[value]  # type: ignore[index]
        case Array(_, _, item):
            return "[" + ", ".join(show_value(item, v) for v in value) + "]"  # type: ignore[union-attr]
        case Int() | Rat() | Bits():
            return str(value)
        case _:
            assert_never(kind)


def encode_value(kind: Type, value: Value) -> Json:
    """A value as JSON: enum members by name, rationals as strings."""
    match kind:
        case Bool():
            return bool(value)
        case Enum(_, members):
            return members[value]  # type: ignore[index]
        case Int() | Bits():
            return encode_int(value)  # type: ignore[arg-type]
        case Rat():
            return encode_rational(value)  # type: ignore[arg-type]
        case Array(_, _, item):
            return [encode_value(item, v) for v in value]  # type: ignore[union-attr]
        case _:
            assert_never(kind)


def decode_value(kind: Type, data: Json) -> Value:
    """The value that `encode_value` wrote; raises CodecError for anything outside the type."""
    value: Value
    match kind:
        case Bool():
            if type(data) is not bool:
                raise CodecError(f"expected true or false, found {data!r}")
            return data
        case Enum(name, members):
            if type(data) is not str or data not in members:
                raise CodecError(f"{data!r} is no member of {name}")
            return members.index(data)
        case Int() | Bits():
            value = decode_int(data)
        case Rat():
            value = decode_rational(data)
        case Array(length, _, item):
            if not isinstance(data, (list, tuple)) or len(data) != length:
                raise CodecError(f"expected a list of {length}")
            return tuple(decode_value(item, d) for d in data)
        case _:
            assert_never(kind)
    if not contains(kind, value):
        raise CodecError(f"{value} is outside {show_type(kind)}")
    return value
