"""What an expression may be worth over sets of values, and whether it has a value for all of them.

`Intervals.value` follows the interpreter case by case over the sets of `dsl.ranges`: its answer covers every value that the
interpreter finds for names in their sets, and where the interpreter may raise a fault it raises `NotProved`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from dsl import syntax as s
from dsl.interp import NUMBER_BITS_MAX, Evaluator, Globals
from dsl.ranges import (
    MIRRORED,
    NEGATED,
    Abstract,
    Range,
    Row,
    Truth,
    arithmetic,
    bits_operation,
    built_in,
    comparison,
    hull,
    is_sized,
    lies_in,
    members,
    narrow,
    negative,
    point,
    signed,
    span_of,
    whole,
    widen,
)
from dsl.types import Enum, Type, Value

Names: TypeAlias = Mapping[str, Abstract | None]
"""Sets that cover what names are worth; None where that has no known bounds."""
Outcomes: TypeAlias = tuple[Names | None, Names | None]
"""What is known of the names where a test is true, and where it is false; None where it cannot be."""

STEPS_MAX = 2_000_000
TURNS_MAX = 1_000
"""A fold of no more turns is followed turn by turn."""
JOINED_MAX = 16


class NotProved(Exception):
    """An obligation that intervals do not show: its code, what may happen, and where."""

    def __init__(self, code: str, message: str, node: s.Node) -> None:
        self.code, self.message, self.node = code, message, node
        super().__init__(message)


class Intervals:
    """Evaluates expressions over sets, looking into the functions they call.

    `results` holds what functions may give that are known to have a value for all of their parameters.
    """

    def __init__(self, names: Globals, results: Mapping[str, Abstract] | None = None) -> None:
        self.names = names
        self.results = {} if results is None else results
        self.steps = 0
        self._constants: dict[str, Abstract] = {}
        self._called: dict[tuple[str, tuple[Abstract, ...]], Abstract] = {}

    def value(self, expr: s.Expr, names: Names) -> Abstract:
        """What an expression may be worth; raises NotProved where it may have no value."""
        self.steps += 1
        if self.steps > STEPS_MAX:
            raise NotProved("G017", "too much to analyse", expr)
        return _CASES[type(expr)](self, expr, names)

    def number(self, expr: s.Expr, names: Names) -> Range:
        """The range of an expression that is a number, an enum member or bits."""
        found = self.value(expr, names)
        if not isinstance(found, Range):
            raise TypeError(f"an ill-typed expression: {expr}")
        return found

    def require(
        self, value: Abstract, kind: Type, what: str, node: s.Node, code: str = "G012"
    ) -> None:
        """Raise NotProved where a value may leave the range of a type."""
        if not lies_in(value, span_of(kind)):
            raise NotProved(code, f"{what} may leave its range", node)

    # --- names, numbers, arrays ------------------------------------------------------------------

    def _literal(self, expr: Any, names: Names) -> Abstract:
        return point(expr.value)

    def _name(self, expr: s.Name | s.Primed, names: Names) -> Abstract:
        key = _key(expr)
        if key in names:
            known = names[key]
            if known is None:
                raise NotProved("G017", f"{key} has no known bounds", expr)
            return known
        if key not in self._constants:
            self._constants[key] = point(self.names.values[key])
        return self._constants[key]

    def _member(self, expr: s.Member, names: Names) -> Abstract:
        return point(self.names.enums[expr.enum].members.index(expr.member))

    def _unary(self, expr: s.Unary, names: Names) -> Abstract:
        if expr.op == "not":
            return self._test(expr, names)
        return negative(self.number(expr.operand, names))

    def _binary(self, expr: s.Binary, names: Names) -> Abstract:
        if expr.op in _CONNECTIVES:
            return self._test(expr, names)
        left, right = self.number(expr.left, names), self.number(expr.right, names)
        if expr.op in ("/", "div", "mod") and right.holds(0):
            raise NotProved("G013", "the divisor may be 0", expr.right)
        return _limited(arithmetic(expr.op, left, right), expr)

    def _bits(self, expr: s.BitsOp, names: Names) -> Abstract:
        if expr.op in _BITS_TESTS:
            return self._test(expr, names)
        args = [self.number(a, names) for a in expr.args]
        if expr.op in ("udiv", "urem", "sdiv", "srem") and args[1].holds(0):
            raise NotProved("G013", "the divisor may be 0", expr.args[1])
        if expr.op in ("<<", ">>", "ashr") and (args[1].low is None or args[1].low < 0):
            raise NotProved("G031", "the amount of a shift may be negative", expr.args[1])
        return bits_operation(expr.op, expr.width, args)

    def _call(self, expr: s.Call, names: Names) -> Abstract:
        args = tuple(self.value(a, names) for a in expr.args)
        enum, function = self.names.enums.get(expr.name), self.names.functions.get(expr.name)
        if enum is not None:
            kind = Enum(enum.name, enum.members)
            self.require(args[0], kind, expr.name, expr, "G014")
            return args[0]
        if function is None:
            return _limited(built_in(expr.name, [a for a in args if isinstance(a, Range)]), expr)
        for parameter, argument, value in zip(function.parameters, expr.args, args, strict=True):
            what = f"parameter {parameter.name} of {expr.name}"
            self.require(value, parameter.type, what, argument)
        key = expr.name, args
        if key not in self._called:
            inner = {p.name: arg for p, arg in zip(function.parameters, args, strict=True)}
            try:
                result = self.value(function.body, inner)
                self.require(result, function.result, f"the result of {expr.name}", function.body)
            except NotProved:
                if expr.name not in self.results:
                    raise
                result = self.results[expr.name]
            self._called[key] = result
        return self._called[key]

    def _index(self, expr: s.Index, names: Names) -> Abstract:
        array = self.value(expr.array, names)
        if not isinstance(array, Row):
            raise TypeError("an ill-typed index")
        self._within(expr.index, array, names)
        return array.item

    def _within(self, index: s.Expr, array: Row, names: Names) -> None:
        if not lies_in(self.value(index, names), whole(0, array.length - 1)):
            raise NotProved("G014", f"the index may be outside 0..{array.length - 1}", index)

    def _array(self, expr: s.ArrayLit, names: Names) -> Abstract:
        item = self.value(expr.items[0], names)
        for other in expr.items[1:]:
            item = hull(item, self.value(other, names))
        return Row(len(expr.items), item)

    def _with(self, expr: s.With, names: Names) -> Abstract:
        array = self.value(expr.array, names)
        if not isinstance(array, Row):
            raise TypeError("an ill-typed with")
        item = array.item
        for change in expr.changes:
            self._within(change.index, array, names)
            item = hull(item, self.value(change.value, names))
        return Row(array.length, item)

    # --- turns -----------------------------------------------------------------------------------

    def turns(self, low: s.Expr, high: s.Expr) -> range:
        """The turns between two constant ends."""
        evaluator = Evaluator(self.names)
        return range(evaluator.value(low, {}), evaluator.value(high, {}) + 1)

    def each(self, var: str, body: s.Expr, turns: range, names: Names) -> Abstract:
        """What a body may be worth in any turn: of all turns at once, else one by one."""
        try:
            return self.value(body, {**names, var: whole(turns[0], turns[-1])})
        except NotProved:
            found = self.value(body, {**names, var: point(turns[0])})
            for i in turns[1:]:
                found = hull(found, self.value(body, {**names, var: point(i)}))
            return found

    def _array_for(self, expr: s.ArrayFor, names: Names) -> Abstract:
        turns = self.turns(expr.low, expr.high)
        return Row(len(turns), self.each(expr.var, expr.body, turns, names))

    def _quantifier(self, expr: s.Quantifier, names: Names) -> Abstract:
        # true in some turn may be true in all, false in some turn may be false in all
        return self.each(expr.var, expr.body, self.turns(expr.low, expr.high), names)

    def _fold(self, expr: s.Fold, names: Names) -> Abstract:
        turns = self.turns(expr.low, expr.high)
        acc = self.value(expr.start, names)
        if len(turns) > TURNS_MAX:
            try:
                return self._fixed_point(expr, acc, whole(turns[0], turns[-1]), names)
            except NotProved:
                pass
        for i in turns:
            acc = self.value(expr.body, {**names, expr.acc: acc, expr.var: point(i)})
        return acc

    def _fixed_point(self, expr: s.Fold, start: Abstract, turns: Range, names: Names) -> Abstract:
        """A set that holds the start and whatever a turn makes of its members."""

        def turn(acc: Abstract) -> Abstract:
            return self.value(expr.body, {**names, expr.acc: acc, expr.var: turns})

        acc = start
        for joined in range(2 * JOINED_MAX):
            after = hull(acc, turn(acc))
            if after == acc:
                break
            # an end that still moves is given up
            acc = after if joined < JOINED_MAX else widen(acc, after)
        else:
            raise NotProved("G017", "too many turns to follow", expr)
        closer = hull(start, turn(acc))
        acc = closer if hull(closer, turn(closer)) == closer else acc
        if not is_sized(acc):
            raise NotProved("G019", "a number that may grow from turn to turn", expr)
        return acc

    # --- branches --------------------------------------------------------------------------------

    def branches(self, node: s.Node, names: Names) -> Iterator[tuple[Any, Names]]:
        """The bodies that an `if`, `let` or `match` may come to, each with what is known there."""
        match node:
            case s.If(test, then, otherwise) | s.DistIf(test, then, otherwise):
                for inner, body in zip(self.split(test, names), (then, otherwise), strict=True):
                    if inner is not None:
                        yield body, inner
            case s.Let(name, value, body) | s.DistLet(name, value, body):
                yield body, {**names, name: self.value(value, names)}
            case s.Match() | s.DistMatch():
                yield from self._arms(node, names)

    def _branch(self, expr: s.If | s.Let | s.Match, names: Names) -> Abstract:
        found: Abstract | None = None
        for body, inner in self.branches(expr, names):
            value = self.value(body, inner)
            found = value if found is None else hull(found, value)
        if found is None:
            raise NotProved("G017", "no branch is possible", expr)
        return found

    def leaves(self, dist: s.Dist, names: Names) -> Iterator[tuple[s.DistMap | s.DistFor, Names]]:
        """The maps that a distribution may come to, each with what is known there."""
        if isinstance(dist, s.DistMap | s.DistFor):
            yield dist, names
            return
        for body, inner in self.branches(dist, names):
            yield from self.leaves(body, inner)

    def _arms(self, match: s.Match | s.DistMatch, names: Names) -> Iterator[tuple[Any, Names]]:
        subject, evaluator = self.value(match.subject, names), Evaluator(self.names)
        patterns = [[evaluator.value(p, {}) for p in arm.patterns] for arm in match.arms]
        found = members(subject)
        rest: list[Value] = []
        if found is None:
            taken = [
                [p for p in ps if not isinstance(subject, Range) or subject.holds(p)]
                for ps in patterns
            ]
        else:
            taken = [[] for _ in patterns]
            first = {p: taken[i] for i in reversed(range(len(taken))) for p in patterns[i]}
            for value in found:
                first.get(value, rest).append(value)
        arms: tuple[s.Arm | s.DistArm, ...] = match.arms
        for arm, values in zip(arms, taken, strict=True):
            if values:
                yield arm.body, _known(match.subject, values, names)
        if found is None or rest:
            if match.otherwise is None:
                raise NotProved("G015", "no arm matches", match)
            yield match.otherwise, _known(match.subject, rest, names) if rest else names

    # --- tests -----------------------------------------------------------------------------------

    def split(self, test: s.Expr, names: Names) -> Outcomes:
        """What is known of the names where a test is true and where it is false."""
        match test:
            case s.Unary("not", operand):
                true, false = self.split(operand, names)
                return false, true
            case s.Binary("and", left, right):
                return self._both(left, True, right, True, names)
            case s.Binary("or", left, right):
                true, false = self._both(left, False, right, False, names)
                return false, true
            case s.Binary("implies", left, right):
                true, false = self._both(left, True, right, False, names)
                return false, true
            case s.Compare(ops, operands):
                return self._chain(ops, operands, names)
            case s.BitsOp(op, width, args) if op in _BITS_TESTS:
                if op.startswith("u"):
                    return self._chain((_BITS_TESTS[op],), args, names)
                numbers = [signed(self.number(a, names), width) for a in args]
                found: Abstract = comparison(_BITS_TESTS[op], *numbers)
            case _:
                found = self.value(test, names)
        if not isinstance(found, Truth):
            raise TypeError("an ill-typed test")
        known: tuple[Names, Names] = names, names
        if isinstance(test, s.Name) and test.name in names:
            known = {**names, test.name: point(True)}, {**names, test.name: point(False)}
        return known[0] if found.true else None, known[1] if found.false else None

    def _test(self, expr: s.Expr, names: Names) -> Truth:
        true, false = self.split(expr, names)
        return Truth(true is not None, false is not None)

    def _both(
        self, left: s.Expr, first: bool, right: s.Expr, second: bool, names: Names
    ) -> Outcomes:
        """`left is first and right is second`, where `right` is asked only once `left` is `first`."""
        on, off = self.split(left, names) if first else self.split(left, names)[::-1]
        if on is None:
            return None, off
        true, false = self.split(right, on) if second else self.split(right, on)[::-1]
        return true, false if off is None else off if false is None else names

    def _chain(self, ops: tuple[str, ...], operands: tuple[s.Expr, ...], names: Names) -> Outcomes:
        """A chain of comparisons; the next operand is asked only where those before are true."""
        true, false = names, None
        left, value = operands[0], self.value(operands[0], names)
        for op, right in zip(ops, operands[1:], strict=True):
            other = self.value(right, true)
            outcome = comparison(op, value, other)
            if outcome.false:
                known = _related(left, value, NEGATED[op], right, other, names)
                false = known if len(ops) == 1 else names
            inner = _related(left, value, op, right, other, true) if outcome.true else None
            if inner is None:
                return None, false
            true, left, value = inner, right, other
        return true, false


_CONNECTIVES = ("and", "or", "implies")
_BITS_TESTS = {"ult": "<", "ule": "<=", "slt": "<", "sle": "<="}


def _limited(value: Range, expr: s.Expr) -> Range:
    if value.size is not None and max(value.size) > NUMBER_BITS_MAX:
        raise NotProved("G019", f"a number longer than {NUMBER_BITS_MAX} bits", expr)
    return value


def _key(expr: s.Expr) -> str:
    """The name whose value an expression is, however it is read; empty for any other expression."""
    match expr:
        case s.Name(name):
            return name
        case s.Primed(name):
            return name + "'"
        case s.Call("ord", (operand,)) | s.BitsOp("int", _, (operand,)):
            return _key(operand)
        case _:
            return ""


def _known(subject: s.Expr, taken: list[Value], names: Names) -> Names:
    """What is known once the subject is one of these values."""
    key = _key(subject)
    if key not in names:
        return names
    known = point(taken[0])
    for value in taken[1:]:
        known = hull(known, point(value))
    return {**names, key: known}


def _related(
    left: s.Expr, value: Abstract, op: str, right: s.Expr, other: Abstract, names: Names
) -> Names | None:
    """What is known once one expression stands in a relation to another."""
    for expr, relation, bound in ((left, op, other), (right, MIRRORED[op], value)):
        key = _key(expr)
        held = names.get(key)
        if isinstance(held, Range) and isinstance(bound, Range):
            narrowed = narrow(held, relation, bound)
            if narrowed is None:
                return None
            names = {**names, key: narrowed}
    return names


_CASES: Mapping[type[s.Node], Callable[[Intervals, Any, Names], Abstract]] = {
    s.BoolLit: Intervals._literal,
    s.IntLit: Intervals._literal,
    s.RatLit: Intervals._literal,
    s.Name: Intervals._name,
    s.Primed: Intervals._name,
    s.Member: Intervals._member,
    s.Unary: Intervals._unary,
    s.Binary: Intervals._binary,
    s.Compare: Intervals._test,
    s.If: Intervals._branch,
    s.Let: Intervals._branch,
    s.Match: Intervals._branch,
    s.Call: Intervals._call,
    s.Index: Intervals._index,
    s.ArrayLit: Intervals._array,
    s.ArrayFor: Intervals._array_for,
    s.With: Intervals._with,
    s.Fold: Intervals._fold,
    s.Quantifier: Intervals._quantifier,
    s.BitsOp: Intervals._bits,
}
