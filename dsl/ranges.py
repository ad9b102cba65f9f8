"""Sets that cover what an expression may be worth: ranges of numbers, truth values, and rows of equal items.

Every operation on them covers what the operation makes of the members (Cousot & Cousot, POPL 1977, section 9).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from typing import Any, TypeAlias

from dsl.types import Array, Bits, Bool, Enum, Int, Rat, Type, Value

Number: TypeAlias = int | Fraction
Ends: TypeAlias = tuple[Any, Any]
LISTED_MAX = 4_096


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers between two ends (None: no end), integers alone where `whole`; enum members count by ordinal.

    `bits` bounds the lengths of numerators and denominators where not `whole` (None: no bound). Of a polynomial in unknowns
    it bounds the sum of the numerators over a common denominator, and that denominator; the ends are those of its values.
    """

    low: Number | None
    high: Number | None
    whole: bool
    bits: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int] | None:
        """The bounds of the lengths, which integers with both ends have of themselves."""
        if not self.whole:
            return self.bits
        if self.low is None or self.high is None:
            return None
        return max(int(self.low).bit_length(), int(self.high).bit_length()), 1

    def holds(self, value: Number) -> bool:
        """Whether a number lies between the ends."""
        return (self.low is None or self.low <= value) and (self.high is None or value <= self.high)


@dataclass(frozen=True, slots=True)
class Truth:
    """Which of `true` and `false` may occur."""

    true: bool
    false: bool


@dataclass(frozen=True, slots=True)
class Row:
    """An array: its length, and a set that covers every item."""

    length: int
    item: Abstract


Abstract: TypeAlias = Range | Truth | Row


def whole(low: Number | None, high: Number | None) -> Range:
    """The integers between two ends."""
    return Range(low, high, True)


def point(value: Value) -> Abstract:
    """The set of one value; of an array, of its items."""
    if isinstance(value, tuple):
        if set(map(type, value)) == {int}:
            return Row(len(value), whole(min(value), max(value)))  # type: ignore[arg-type]
        return Row(len(value), reduce(hull, map(point, dict.fromkeys(value))))
    if isinstance(value, bool):
        return Truth(value, not value)
    if isinstance(value, int):
        return whole(value, value)
    bits = value.numerator.bit_length(), value.denominator.bit_length()
    return Range(value, value, False, bits)


def span_of(kind: Type) -> Abstract:
    """Everything of a type."""
    match kind:
        case Bool():
            return Truth(True, True)
        case Enum(_, members):
            return whole(0, len(members) - 1)
        case Bits(width):
            return whole(0, (1 << width) - 1)
        case Int(low, high):
            return whole(low, high)
        case Rat(low, high):
            return Range(low, high, False)
        case Array(length, _, item):
            return Row(length, span_of(item))


def _least(values: list[Any]) -> Any:
    return None if None in values else min(values)


def _greatest(values: list[Any]) -> Any:
    return None if None in values else max(values)


def hull(left: Abstract, right: Abstract) -> Abstract:
    """A set that covers both."""
    if left is right:
        return left
    match left, right:
        case Range(a, b), Range(c, d):
            both = left.whole and right.whole
            return Range(
                _least([a, c]), _greatest([b, d]), both, None if both else _longest([left, right])
            )
        case Truth(a, b), Truth(c, d):
            return Truth(a or c, b or d)
        case Row(n, a), Row(m, b) if n == m:
            return Row(n, hull(a, b))
        case _:
            raise TypeError("an ill-typed expression")


def meet(found: Abstract, declared: Abstract) -> Abstract:
    """What is known of a value that lies in both."""
    match found, declared:
        case Range(), Range(low, high):
            above = _narrow(found, ">=", low)
            return (None if above is None else _narrow(above, "<=", high)) or declared
        case Row(n, a), Row(_, b):
            return Row(n, meet(a, b))
        case _:
            return found


def lies_in(found: Abstract, declared: Abstract) -> bool:
    """Whether no number of a set leaves the ends of another."""
    match found, declared:
        case Range(a, b), Range(c, d):
            return (c is None or (a is not None and c <= a)) and (
                d is None or (b is not None and b <= d)
            )
        case Row(_, a), Row(_, b):
            return lies_in(a, b)
        case _:
            return True


def widen(old: Abstract, new: Abstract) -> Abstract:
    """A set that covers `new`, which covers `old`, without the ends that moved."""
    match old, new:
        case Range(a, b), Range(c, d):
            bits = new.bits if new.bits == old.bits else None
            return Range(c if a == c else None, d if b == d else None, new.whole, bits)
        case Row(n, a), Row(_, b):
            return Row(n, widen(a, b))
        case _:
            return new


def is_sized(found: Abstract) -> bool:
    """Whether the lengths of all numbers are bounded."""
    found = found.item if isinstance(found, Row) else found
    return (
        is_sized(found)
        if isinstance(found, Row)
        else isinstance(found, Truth) or found.size is not None
    )


def members(found: Abstract) -> list[Any] | None:
    """All members of a small set of truth values or integers; None of any other."""
    match found:
        case Truth(true, false):
            return [v for v, may in ((True, true), (False, false)) if may]
        case Range(int() as low, int() as high, True) if high - low < LISTED_MAX:
            return list(range(low, high + 1))
        case _:
            return None


# --- comparisons ---------------------------------------------------------------------------------

NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def comparison(op: str, left: Abstract, right: Abstract) -> Truth:
    """Which outcomes a comparison may have."""
    if op in (">", ">="):
        return comparison(MIRRORED[op], right, left)
    if op == "!=":
        same = comparison("==", left, right)
        return Truth(same.false, same.true)
    match left, right:
        case Truth(a, b), Truth(c, d):
            return Truth((a and c) or (b and d), (a and d) or (b and c))
        case Range(a, b), Range(c, d):
            fixed = a is not None and a == b == c == d
            up, down = not _is_above(a, d), not _is_above(c, b)  # some x <= y, some x >= y
            if op == "==":
                return Truth(up and down, not fixed)
            strict = a is None or d is None or a < d
            return Truth(strict, down) if op == "<" else Truth(up, c is None or b is None or b > c)
        case _:
            return Truth(True, True)


def _is_above(low: Any, high: Any) -> bool:
    return low is not None and high is not None and low > high


def narrow(held: Range, relation: str, bound: Range) -> Range | None:
    """The part of a range that may stand in a relation to some number of another; None where there is none."""
    step = 1 if held.whole and bound.whole else 0
    found: Range | None = held
    if relation in ("<", "<=", "==") and bound.high is not None:
        found = _narrow(held, "<=", bound.high - (step if relation == "<" else 0))
    if found is not None and relation in (">", ">=", "==") and bound.low is not None:
        found = _narrow(found, ">=", bound.low + (step if relation == ">" else 0))
    if relation == "!=" and step and bound.low is not None and bound.low == bound.high:
        if held.low == bound.low:
            found = _narrow(held, ">=", bound.low + 1)
        elif held.high == bound.low:
            found = _narrow(held, "<=", bound.low - 1)
    return found


def _narrow(held: Range, relation: str, end: Number | None) -> Range | None:
    low, high = held.low, held.high
    if end is not None and relation == "<=" and (high is None or end < high):
        high = end if not held.whole else Fraction(end).__floor__()
    if end is not None and relation == ">=" and (low is None or end > low):
        low = end if not held.whole else Fraction(end).__ceil__()
    return None if _is_above(low, high) else replace(held, low=low, high=high)


# --- numbers -------------------------------------------------------------------------------------


def negative(value: Range) -> Range:
    """The range of `-x`."""
    low, high = value.low, value.high
    return replace(value, low=None if high is None else -high, high=None if low is None else -low)


def arithmetic(op: str, left: Range, right: Range) -> Range:
    """The range of an operation whose divisor, if it has one, is not 0."""
    if op == "-":
        return arithmetic("+", left, negative(right))
    low, high = _ends(op, left, right)
    if op in ("div", "mod") or (op != "/" and left.whole and right.whole):
        return whole(low, high)
    return Range(low, high, False, _lengths(op, left.size, right.size))


def _ends(op: str, left: Range, right: Range) -> Ends:
    a, b, c, d = left.low, left.high, right.low, right.high
    if op == "+":
        return None if a is None or c is None else a + c, None if b is None or d is None else b + d
    if op == "mod":
        if c is not None and c > 0:
            if a is not None and a >= 0 and b is not None and (b < c or d is None or b < d):
                return (a if b < c else 0), b
            return 0, None if d is None else d - 1
        return (None if c is None else c + 1, 0) if d is not None and d < 0 else (None, None)
    if a is None or b is None or c is None or d is None:
        return (0 if a is not None and a >= 0 and c is not None and c >= 0 else None), None
    if op == "*":
        corners: list[Number] = [x * y for x in (a, b) for y in (c, d)]
    elif op == "/":
        corners = [Fraction(x) / y for x in (a, b) for y in (c, d)]
    else:
        corners = [x // y for x in (a, b) for y in (c, d)]
    return min(corners), max(corners)


def _lengths(
    op: str, left: tuple[int, int] | None, right: tuple[int, int] | None
) -> tuple[int, int] | None:
    if left is None or right is None:
        return None
    (a, b), (c, d) = left, right
    if op == "+":
        return max(_product(a, d), _product(b, c)) + 1, _product(b, d)
    return (_product(a, c), _product(b, d)) if op == "*" else (_product(a, d), _product(b, c))


def _product(left: int, right: int) -> int:
    """How long the product of two numbers may be; to multiply with 0 or 1 adds nothing."""
    return max(left, right) if min(left, right) <= 1 else left + right


def _longest(args: list[Range]) -> tuple[int, int] | None:
    sizes = [a.size for a in args]
    if None in sizes:
        return None
    return max(n for n, _ in sizes), max(d for _, d in sizes)  # type: ignore[misc]


def built_in(name: str, args: list[Range]) -> Range:
    """The range of a built-in function of numbers."""
    first = args[0]
    low, high = first.low, first.high
    match name:
        case "abs":
            if low is not None and low >= 0:
                return first
            opposite = negative(first)
            if high is not None and high <= 0:
                return opposite
            return replace(first, low=0, high=_greatest([high, opposite.high]))
        case "floor":
            return whole(*(None if v is None else Fraction(v).__floor__() for v in (low, high)))
        case "clamp":
            value, least, most = args
            return _extreme(max, [least, _extreme(min, [value, most])])
        case "min" | "max":
            return _extreme(min if name == "min" else max, args)
        case _:
            return first


def _extreme(choose: Callable[..., Any], args: list[Range]) -> Range:
    """The range of `min` or `max` of numbers from these ranges."""
    lows, highs = [a.low for a in args], [a.high for a in args]
    if choose is min:
        ends = _least(lows), min((v for v in highs if v is not None), default=None)
    else:
        ends = max((v for v in lows if v is not None), default=None), _greatest(highs)
    every = all(a.whole for a in args)
    return Range(*ends, every, None if every else _longest(args))


# --- bits ----------------------------------------------------------------------------------------


def bits_operation(op: str, width: int, args: list[Range]) -> Range:
    """The range of an operation on `bits[width]` with a divisor that is not 0 and an amount of at least 0."""
    if op not in ("bits", "literal"):
        args = [_unsigned(args[0], width), *args[1:]]
    if op == "sext":
        return wrap(signed(args[0], width), int(args[1].low or 0))
    if op in ("bits", "literal"):
        return wrap(args[0], width)
    if op in ("int", "sint"):
        return args[0] if op == "int" else signed(args[0], width)
    if op == "~" or len(args) == 1:
        return wrap(arithmetic("-", whole(-1, -1) if op == "~" else whole(0, 0), args[0]), width)
    if op in ("<<", ">>", "ashr"):
        least, most = (
            min(width, width if v is None else int(v)) for v in (args[1].low, args[1].high)
        )
        return wrap(whole(*_SHIFTS[op](width, args[0], least, most)), width)
    return wrap(whole(*_BITS[op](width, args[0], _unsigned(args[1], width))), width)


def _unsigned(value: Range, width: int) -> Range:
    """A range of `bits[width]` with the ends that its values have anyway."""
    return meet(value, whole(0, (1 << width) - 1))  # type: ignore[return-value]


def wrap(value: Range, width: int) -> Range:
    """The range of the value modulo 2^width."""
    size, low, high = 1 << width, value.low, value.high
    if low is None or high is None or low // size != high // size:
        return whole(0, size - 1)
    return whole(low % size, high % size)


def signed(value: Range, width: int) -> Range:
    """The range of a vector read as a number in two's complement."""
    half, low, high = 1 << (width - 1), int(value.low or 0), int(value.high or 0)
    if high < half:
        return value
    return whole(low - 2 * half, high - 2 * half) if low >= half else whole(-half, half - 1)


def _ones(x: Range, y: Range) -> int:
    return (1 << max(int(x.high or 0).bit_length(), int(y.high or 0).bit_length())) - 1


def _signed_division(width: int, x: Range, y: Range) -> Ends:
    (a, b), (c, d) = _signed_ends(x, width), _signed_ends(y, width)
    if c <= 0 <= d:
        return None, None
    ends = [abs(v) // abs(n) * (1 if v * n >= 0 else -1) for v in (a, b) for n in (c, d)]
    return min(ends), max(ends)


def _signed_remainder(width: int, x: Range, y: Range) -> Ends:
    (a, b), (c, d) = _signed_ends(x, width), _signed_ends(y, width)
    most = max(abs(c), abs(d)) - 1
    return max(min(a, 0), -most), min(max(b, 0), most)


def _shifted_signed(width: int, x: Range, least: int, most: int) -> Ends:
    ends = [v >> n for v in _signed_ends(x, width) for n in (least, most)]
    return min(ends), max(ends)


def _signed_ends(value: Range, width: int) -> Ends:
    found = signed(value, width)
    return found.low, found.high


_SHIFTS: Mapping[str, Callable[[int, Any, int, int], Ends]] = {
    "<<": lambda w, x, least, most: (x.low << least, x.high << most),
    ">>": lambda w, x, least, most: (x.low >> most, x.high >> least),
    "ashr": _shifted_signed,
}
_BITS: Mapping[str, Callable[[int, Any, Any], Ends]] = {
    "+": lambda w, x, y: (x.low + y.low, x.high + y.high),
    "-": lambda w, x, y: (x.low - y.high, x.high - y.low),
    "*": lambda w, x, y: (x.low * y.low, x.high * y.high),
    "&": lambda w, x, y: (0, min(x.high, y.high)),
    "|": lambda w, x, y: (max(x.low, y.low), _ones(x, y)),
    "^": lambda w, x, y: (0, _ones(x, y)),
    "udiv": lambda w, x, y: (x.low // y.high, x.high // max(y.low, 1)),
    "urem": lambda w, x, y: (x.low, x.high) if x.high < y.low else (0, min(x.high, y.high - 1)),
    "sdiv": _signed_division,
    "srem": _signed_remainder,
}
