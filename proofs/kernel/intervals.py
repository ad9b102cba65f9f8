"""Prove an expression total by intervals: every operation stays where it has a value, for all values of its names.

Abstract values over-approximate: a `Range` holds numbers and enum members (by ordinal), a `Truth` the Boolean values that
may occur, a `Row` one abstract value for all items of an array. Source: Cousot & Cousot, POPL 1977, section 9 (intervals).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeAlias, assert_never

from dsl import syntax as s
from dsl.interp import NUMBER_BITS_MAX, Evaluator, Globals
from dsl.types import Array, Bool, Enum, Int, Rat, Type, Value

Number: TypeAlias = int | Fraction
ENUMERATED_SUBJECTS_MAX = 4_096
STEPS_MAX = 2_000_000


class NotProved(Exception):
    """An obligation that intervals do not show: its code, what may happen, and where."""

    def __init__(self, code: str, message: str, node: s.Node) -> None:
        self.code, self.message, self.node = code, message, node
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers between two ends (None: no end); `bits` bounds numerators and denominators (None: no bound)."""

    low: Number | None
    high: Number | None
    bits: tuple[int, int] | None

    def holds(self, value: Number) -> bool:
        """Whether a number lies in the range."""
        return (self.low is None or self.low <= value) and (self.high is None or value <= self.high)


@dataclass(frozen=True, slots=True)
class Truth:
    """Which of `true` and `false` may occur."""

    true: bool
    false: bool


@dataclass(frozen=True, slots=True)
class Row:
    """An array: its length, and an abstract value that covers every item."""

    length: int
    item: Abstract


Abstract: TypeAlias = Range | Truth | Row
Names: TypeAlias = Mapping[str, Abstract]


def point(value: Value) -> Abstract:
    """The abstract value of one value."""
    if isinstance(value, bool):
        return Truth(value, not value)
    if isinstance(value, tuple):
        item = point(value[0])
        for other in value[1:]:
            item = hull(item, point(other))
        return Row(len(value), item)
    number = Fraction(value)
    bits = number.numerator.bit_length(), number.denominator.bit_length()
    return Range(value, value, bits)


def span_of(kind: Type) -> Abstract:
    """Everything of a type."""
    match kind:
        case Bool():
            return Truth(True, True)
        case Enum(_, members):
            return _whole(0, len(members) - 1)
        case Int(None, None) | Rat(None, None):
            return Range(None, None, None)
        case Int(int() as low, int() as high):
            return _whole(low, high)
        case Rat(low, high):
            return Range(low, high, None)
        case Array(length, _, item):
            return Row(length, span_of(item))
        case _:
            raise NotProved("G017", "a type with half a range", s.Name("?"))


def _whole(low: int, high: int) -> Range:
    return Range(low, high, (max(low.bit_length(), high.bit_length()), 1))


def hull(left: Abstract, right: Abstract) -> Abstract:
    """An abstract value that covers both."""
    match left, right:
        case Range(a, b, m), Range(c, d, n):
            low = None if a is None or c is None else min(a, c)
            high = None if b is None or d is None else max(b, d)
            return Range(
                low, high, None if m is None or n is None else (max(m[0], n[0]), max(m[1], n[1]))
            )
        case Truth(a, b), Truth(c, d):
            return Truth(a or c, b or d)
        case Row(n, a), Row(_, b):
            return Row(n, hull(a, b))
        case _:
            raise TypeError("an ill-typed expression reached the kernel")


class Intervals:
    """Evaluates expressions over abstract values, looking into the functions they call."""

    def __init__(self, names: Globals) -> None:
        self.names = names
        self.constants: dict[str, Abstract] = {}
        self.steps = 0
        # by identity of expression and names, which the entries keep alive; tests are asked about several times
        self._seen: dict[tuple[int, int], tuple[s.Expr, Names, Abstract]] = {}

    def value(self, expr: s.Expr, names: Names) -> Abstract:
        """What an expression may be worth; raises NotProved where it may have no value."""
        key = id(expr), id(names)
        seen = self._seen.get(key)
        if seen is not None:
            return seen[2]
        self.steps += 1
        if self.steps > STEPS_MAX:
            raise NotProved("G017", "too much to analyse", expr)
        found = self._value(expr, names)
        if not isinstance(expr, s.Name | s.IntLit | s.BoolLit | s.RatLit | s.Member | s.Primed):
            self._seen[key] = (expr, names, found)
        return found

    def _value(self, expr: s.Expr, names: Names) -> Abstract:
        match expr:
            case s.BoolLit(value) | s.IntLit(value) | s.RatLit(value):
                return point(value)
            case s.Name(name):
                return names[name] if name in names else self._constant(name)
            case s.Primed(name):
                return names[name + "'"]
            case s.Member(enum, member):
                return point(self.names.enums[enum].members.index(member))
            case s.Unary(op, operand):
                return self._unary(op, self.value(operand, names))
            case s.Binary():
                return self._binary(expr, names)
            case s.Compare():
                return self._compare(expr, names)
            case s.If(test, then, otherwise):
                return self._branches(list(self._if(test, then, otherwise, names)), expr)
            case s.Let(name, value, body):
                return self.value(body, {**names, name: self.value(value, names)})
            case s.Match():
                return self._branches(list(self.arms(expr, names)), expr)
            case s.Call():
                return self._call(expr, names)
            case s.Index():
                return self._index(expr, names)
            case s.ArrayLit(items):
                return self._row([self.value(i, names) for i in items])
            case s.ArrayFor(var, low, high, body):
                first, last = self._constant_int(low), self._constant_int(high)
                item = self.value(body, {**names, var: _whole(first, last)})
                return Row(last - first + 1, item)
            case _:
                assert_never(expr)

    def _constant(self, name: str) -> Abstract:
        if name not in self.constants:
            self.constants[name] = point(self.names.values[name])
        return self.constants[name]

    def _constant_int(self, expr: s.Expr) -> int:
        return int(Evaluator(self.names).value(expr, {}))

    @staticmethod
    def _row(items: list[Abstract]) -> Row:
        item = items[0]
        for other in items[1:]:
            item = hull(item, other)
        return Row(len(items), item)

    def _branches(self, found: list[tuple[s.Node, Names]], expr: s.Expr) -> Abstract:
        result: Abstract | None = None
        for body, names in found:
            value = self.value(body, names)  # type: ignore[arg-type]
            result = value if result is None else hull(result, value)
        if result is None:
            raise NotProved("G017", "no branch is possible", expr)
        return result

    def _if(
        self, test: s.Expr, then: s.Node, otherwise: s.Node, names: Names
    ) -> Iterator[tuple[s.Node, Names]]:
        self.value(test, names)
        for truth, body in ((True, then), (False, otherwise)):
            inner = self.refine(test, truth, names)
            if inner is not None:
                yield body, inner

    def arms(self, match: s.Match | s.DistMatch, names: Names) -> Iterator[tuple[s.Node, Names]]:
        """The bodies a match may take, each with what is known there; raises NotProved where none may match."""
        subject = self.value(match.subject, names)
        open_values = _enumerate(subject)
        for arm in match.arms:
            patterns = [Evaluator(self.names).value(p, {}) for p in arm.patterns]
            if open_values is None:
                if any(_may_be(subject, p) for p in patterns):
                    yield arm.body, self._known(match.subject, patterns, names)
                continue
            taken = [v for v in open_values if v in patterns]
            open_values = [v for v in open_values if v not in patterns]
            if taken:
                yield arm.body, self._known(match.subject, taken, names)
        if match.otherwise is not None:
            if open_values is None:
                yield match.otherwise, names
            elif open_values:
                yield match.otherwise, self._known(match.subject, open_values, names)
        elif open_values is None or open_values:
            raise NotProved("G015", "no arm matches", match)

    def _known(self, subject: s.Expr, taken: list[Value], names: Names) -> Names:
        """What is known of the subject, if it is a name, once it is one of these values."""
        if not isinstance(subject, s.Name | s.Primed):
            return names
        key = subject.name + ("'" if isinstance(subject, s.Primed) else "")
        if key not in names:
            return names
        known = point(taken[0])
        for value in taken[1:]:
            known = hull(known, point(value))
        return {**names, key: known}

    # --- operators -------------------------------------------------------------------------------

    @staticmethod
    def _unary(op: str, value: Abstract) -> Abstract:
        if isinstance(value, Truth):
            return Truth(value.false, value.true)
        if isinstance(value, Range):
            low, high = value.low, value.high
            return Range(None if high is None else -high, None if low is None else -low, value.bits)
        raise TypeError(op)

    def _binary(self, expr: s.Binary, names: Names) -> Abstract:
        op = expr.op
        left = self.value(expr.left, names)
        if isinstance(left, Truth):
            goes_on = op != "or"
            inner = self.refine(expr.left, goes_on, names)
            right = Truth(False, False) if inner is None else self.value(expr.right, inner)
            if not isinstance(right, Truth):
                raise TypeError(op)
            if op == "and":
                return Truth(right.true, left.false or right.false)
            if op == "or":
                return Truth(left.true or right.true, right.false)
            return Truth(left.false or right.true, right.false)
        right = self.value(expr.right, names)
        if not isinstance(left, Range) or not isinstance(right, Range):
            raise TypeError(op)
        if op in ("/", "div", "mod") and right.holds(0):
            raise NotProved("G013", "the divisor may be 0", expr.right)
        return self._limited(_arithmetic(op, left, right), expr)

    @staticmethod
    def _limited(value: Range, expr: s.Expr) -> Range:
        if value.bits is not None and max(value.bits) > NUMBER_BITS_MAX:
            raise NotProved("G019", f"a number longer than {NUMBER_BITS_MAX} bits", expr)
        return value

    def _compare(self, expr: s.Compare, names: Names) -> Abstract:
        true, false = True, False
        left = self.value(expr.operands[0], names)
        for op, operand in zip(expr.ops, expr.operands[1:], strict=True):
            # what stands behind the first false comparison is not evaluated; asking more of it is safe
            right = self.value(operand, names)
            outcome = _comparison(op, left, right)
            true, false = true and outcome.true, false or outcome.false
            left = right
        return Truth(true, false)

    def _call(self, expr: s.Call, names: Names) -> Abstract:
        args = [self.value(a, names) for a in expr.args]
        if expr.name in ("min", "max", "abs", "clamp", "floor", "ord"):
            ranges = [a for a in args if isinstance(a, Range)]
            return self._limited(_built_in(expr.name, ranges), expr)
        enum = self.names.enums.get(expr.name)
        if enum is not None:
            self._within(args[0], Enum(enum.name, enum.members), expr.name, "G014", expr)
            return args[0]
        function = self.names.functions[expr.name]
        inner: dict[str, Abstract] = {}
        for parameter, arg, value in zip(function.parameters, expr.args, args, strict=True):
            what = f"parameter {parameter.name} of {expr.name}"
            self._within(value, parameter.type, what, "G012", arg)
            inner[parameter.name] = value
        result = self.value(function.body, inner)
        self.require(result, function.result, f"the result of {expr.name}", function.body)
        return result

    def require(self, value: Abstract, kind: Type, what: str, node: s.Node) -> None:
        """Raise NotProved where a value may leave the range of a type."""
        self._within(value, kind, what, "G012", node)

    def _within(self, value: Abstract, kind: Type, what: str, code: str, node: s.Node) -> None:
        match value, kind:
            case Row(_, item), Array(_, _, inner):
                self._within(item, inner, what, code, node)
            case Range(low, high, _), Int(int() as least, int() as most) | Rat(
                Fraction() as least, Fraction() as most
            ):
                if low is None or high is None or low < least or high > most:
                    raise NotProved(code, f"{what} may leave its range", node)
            case Range(low, high, _), Enum(_, members):
                if low is None or high is None or low < 0 or high >= len(members):
                    raise NotProved(code, f"{what} may leave its range", node)
            case _:
                pass

    def _index(self, expr: s.Index, names: Names) -> Abstract:
        array, index = self.value(expr.array, names), self.value(expr.index, names)
        if not isinstance(array, Row) or not isinstance(index, Range):
            raise TypeError("index")
        if index.low is None or index.high is None or index.low < 0 or index.high >= array.length:
            raise NotProved("G014", f"the index may be outside 0..{array.length - 1}", expr.index)
        return array.item

    # --- what a test says ------------------------------------------------------------------------

    def refine(self, test: s.Expr, truth: bool, names: Names) -> Names | None:
        """What is known of the names where a test has this outcome; None where it cannot have it."""
        outcome = self.value(test, names)
        if isinstance(outcome, Truth) and not (outcome.true if truth else outcome.false):
            return None
        match test:
            case s.Unary("not", operand):
                return self.refine(operand, not truth, names)
            case s.Binary("and", left, right) if truth:
                return self._both(left, True, right, True, names)
            case s.Binary("or", left, right) if not truth:
                return self._both(left, False, right, False, names)
            case s.Binary("implies", left, right) if not truth:
                return self._both(left, True, right, False, names)
            case s.Compare(ops, operands) if truth or len(ops) == 1:
                return self._compared(ops, operands, truth, names)
            case s.Name(name) if name in names:
                return {**names, name: Truth(truth, not truth)}
            case _:
                return names

    def _both(
        self, left: s.Expr, first: bool, right: s.Expr, second: bool, names: Names
    ) -> Names | None:
        inner = self.refine(left, first, names)
        return None if inner is None else self.refine(right, second, inner)

    def _compared(
        self, ops: tuple[str, ...], operands: tuple[s.Expr, ...], truth: bool, names: Names
    ) -> Names | None:
        known: dict[str, Abstract] = dict(names)
        # operands are looked up under the names as they were, which is what the memo holds
        for op, left, right in zip(ops, operands, operands[1:], strict=False):
            effective = op if truth else _NEGATED[op]
            for one, relation, other in (
                (left, effective, right),
                (right, _MIRRORED[effective], left),
            ):
                key = one.name if isinstance(one, s.Name) else None
                if isinstance(one, s.Primed):
                    key = one.name + "'"
                if key is None or key not in known:
                    continue
                held, bound = known[key], self.value(other, names)
                if not isinstance(held, Range) or not isinstance(bound, Range):
                    continue
                narrowed = _narrow(held, relation, bound)
                if narrowed is None:
                    return None
                known[key] = narrowed
        return known


_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def _narrow(held: Range, relation: str, bound: Range) -> Range | None:
    """The part of a range that may stand in a relation to some number of another."""
    low, high = held.low, held.high
    whole = (
        held.bits is not None
        and held.bits[1] <= 1
        and bound.bits is not None
        and bound.bits[1] <= 1
    )
    step = 1 if whole else 0
    if relation in ("<", "<=", "==") and bound.high is not None:
        top = bound.high - (step if relation == "<" else 0)
        high = top if high is None else min(high, top)
    if relation in (">", ">=", "==") and bound.low is not None:
        bottom = bound.low + (step if relation == ">" else 0)
        low = bottom if low is None else max(low, bottom)
    if relation == "!=" and whole and bound.low is not None and bound.low == bound.high:
        low = low + 1 if low == bound.low and low is not None else low
        high = high - 1 if high == bound.low and high is not None else high
    if low is not None and high is not None and low > high:
        return None
    return replace(held, low=low, high=high)


def _enumerate(value: Abstract) -> list[Value] | None:
    match value:
        case Truth(true, false):
            return [v for v, may in ((True, true), (False, false)) if may]
        case Range(int() as low, int() as high, (_, 1)) if high - low < ENUMERATED_SUBJECTS_MAX:
            return list(range(low, high + 1))
        case _:
            return None


def _may_be(subject: Abstract, pattern: Value) -> bool:
    if isinstance(subject, Range) and isinstance(pattern, (int, Fraction)):
        return subject.holds(pattern)
    return True


def _comparison(op: str, left: Abstract, right: Abstract) -> Truth:
    if not isinstance(left, Range) or not isinstance(right, Range):
        if isinstance(left, Truth) and isinstance(right, Truth):
            same = (left.true and right.true) or (left.false and right.false)
            differ = (left.true and right.false) or (left.false and right.true)
            return Truth(same, differ) if op == "==" else Truth(differ, same)
        return Truth(True, True)
    below = left.high is None or right.low is None or left.high >= right.low
    above = left.low is None or right.high is None or left.low <= right.high
    strictly_below = left.low is None or right.high is None or left.low < right.high
    strictly_above = left.high is None or right.low is None or left.high > right.low
    fixed = left.low is not None and left.low == left.high == right.low == right.high
    match op:
        case "<":
            return Truth(strictly_below, below)
        case "<=":
            return Truth(above, strictly_above)
        case ">":
            return Truth(strictly_above, above)
        case ">=":
            return Truth(below, strictly_below)
        case "==":
            return Truth(below and above, not fixed)
        case _:
            return Truth(not fixed, below and above)


def _arithmetic(op: str, left: Range, right: Range) -> Range:
    a, b, c, d = left.low, left.high, right.low, right.high
    bits = _bits(op, left.bits, right.bits)
    if op == "+":
        return Range(
            None if a is None or c is None else a + c,
            None if b is None or d is None else b + d,
            bits,
        )
    if op == "-":
        return Range(
            None if a is None or d is None else a - d,
            None if b is None or c is None else b - c,
            bits,
        )
    if op == "mod":
        if c is not None and c > 0:
            top = None if d is None else d - 1
            if a is not None and a >= 0 and b is not None and (top is None or b < top):
                top = b if c > b else top
            return Range(0, top, right.bits)
        if d is not None and d < 0:
            return Range(None if c is None else c + 1, 0, right.bits)
        return Range(None, None, None)
    if a is None or b is None or c is None or d is None:
        return _half_open(op, left, right, bits)
    if op == "*":
        corners: list[Number] = [a * c, a * d, b * c, b * d]
    elif op == "/":
        corners = [Fraction(x) / y for x in (a, b) for y in (c, d)]
    else:
        corners = [x // y for x in (a, b) for y in (c, d)]
    return Range(min(corners), max(corners), bits)


def _half_open(op: str, left: Range, right: Range, bits: tuple[int, int] | None) -> Range:
    nonnegative = all(r.low is not None and r.low >= 0 for r in (left, right))
    return Range(0 if nonnegative and op in ("*", "/", "div") else None, None, bits)


def _bits(
    op: str, left: tuple[int, int] | None, right: tuple[int, int] | None
) -> tuple[int, int] | None:
    if left is None or right is None:
        return None
    (a, b), (c, d) = left, right
    whole = b <= 1 and d <= 1
    if op in ("+", "-"):
        return (max(a, c) + 1, 1) if whole else (max(a + d, b + c) + 1, b + d)
    if op == "*":
        return (a + c, 1) if whole else (a + c, b + d)
    if op == "/":
        return (a + d, b + c)
    return (a + 1, 1)


def _built_in(name: str, args: list[Range]) -> Range:
    bits = None
    if all(a.bits is not None for a in args):
        bits = (max(a.bits[0] for a in args if a.bits), max(a.bits[1] for a in args if a.bits))
    if name == "ord":
        return args[0]
    if name == "abs":
        low, high = args[0].low, args[0].high
        top = None if low is None or high is None else max(-low, high)
        if low is not None and low >= 0:
            return args[0]
        if high is not None and high <= 0:
            return Range(-high, top, bits)
        return Range(0, top, bits)
    if name == "floor":
        low, high = args[0].low, args[0].high
        down = None if low is None else Fraction(low).__floor__()
        up = None if high is None else Fraction(high).__floor__()
        return Range(down, up, None if bits is None else (bits[0] + 1, 1))
    if name == "clamp":
        value, least, most = args
        return _extreme(max, [least, _extreme(min, [value, most], bits)], bits)
    return _extreme(min if name == "min" else max, args, bits)


def _extreme(
    choose: Callable[..., Number], args: list[Range], bits: tuple[int, int] | None
) -> Range:
    """The range of `min` or `max` of numbers from these ranges."""
    lows, highs = [a.low for a in args], [a.high for a in args]
    known_lows = [v for v in lows if v is not None]
    known_highs = [v for v in highs if v is not None]
    if choose is min:
        low = min(known_lows) if len(known_lows) == len(lows) else None
        return Range(low, min(known_highs) if known_highs else None, bits)
    high = max(known_highs) if len(known_highs) == len(highs) else None
    return Range(max(known_lows) if known_lows else None, high, bits)
