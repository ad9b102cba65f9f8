"""The reference interpreter: what an expression is worth, and how many ticks it takes.

It defines the language. Programs that pass the checks never raise `EvaluationFault`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

from dsl import syntax as s
from dsl.polynomial import Polynomial, Weight
from dsl.types import Array, Enum, Type, Value, Variable, contains, show_type

NUMBER_BITS_MAX = 4_096

Locals: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Function:
    """A checked `def`."""

    name: str
    parameters: tuple[Variable, ...]
    result: Type
    body: s.Expr


@dataclass(frozen=True, slots=True)
class Globals:
    """What every expression of a place may read: types of names, values of constants and tables, enums, functions.

    `prices` overrides the ticks of operations, by the names that `costs` uses; what is not in it takes 1.
    """

    enums: Mapping[str, Enum] = field(default_factory=dict)
    types: Mapping[str, Type] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)
    tables: Mapping[str, s.Table] = field(default_factory=dict)
    prices: Mapping[str, int] = field(default_factory=dict)


class EvaluationFault(Exception):
    """An expression without a value at some point: the code of the obligation, what it says, what was met."""

    def __init__(self, code: str, message: str, node: s.Node, met: str = "") -> None:
        self.code, self.message, self.node, self.met = code, message, node, met
        super().__init__(f"{message}: {met}" if met else message)


def evaluate(expr: s.Expr, names: Globals, local: Locals | None = None) -> tuple[Value, int]:
    """The value of an expression and its ticks.

    Ticks (docs/language.md): literals and names 0; every operator, comparison made, call, index, `match`, `let`, `if` 1
    plus what is evaluated; `min` and `max` of n values n-1; array literals and comprehensions 1 plus their elements.
    """
    evaluator = Evaluator(names)
    value = evaluator.value(expr, dict(local or {}))
    return value, evaluator.ticks


class Evaluator:
    """Evaluates expressions and adds up their ticks."""

    __slots__ = ("names", "ticks")

    def __init__(self, names: Globals) -> None:
        self.names = names
        self.ticks = 0

    def charge(self, operation: str, times: int = 1) -> None:
        """Add the ticks of an operation."""
        prices = self.names.prices
        self.ticks += times * (prices.get(operation, 1) if prices else 1)

    def value(self, expr: s.Expr, local: Locals) -> Any:
        """The value of an expression; its ticks are added to `ticks`."""
        return _CASES[type(expr)](self, expr, local)

    def distribution(self, dist: s.Dist, local: Locals) -> tuple[tuple[Any, Weight], ...]:
        """The values whose weight is not identically 0, each once, in order of first mention.

        Of weights that read rational unknowns or rates, sign and sum are for the kernel to prove, not checked here.
        """
        weights: dict[Any, Weight] = {}
        self._collect(dist, local, weights)
        total = sum(weights.values(), Fraction(0))
        if total != 1 and not isinstance(total, Polynomial):
            raise EvaluationFault(
                "G016", "the weights must sum to 1", dist, f"the weights sum to {total}"
            )
        return tuple((value, weight) for value, weight in weights.items() if weight)

    def _collect(self, dist: s.Dist, local: Locals, weights: dict[Any, Weight]) -> None:
        match dist:
            case s.DistMap(entries):
                for entry in entries:
                    self._add(entry, local, weights)
            case s.DistFor(var, low, high, entry):
                for i in range(self.value(low, local), self.value(high, local) + 1):
                    self._add(entry, {**local, var: i}, weights)
            case s.DistIf(test, then, otherwise):
                self._collect(then if self.value(test, local) else otherwise, local, weights)
            case s.DistLet(name, value, body):
                self._collect(body, {**local, name: self.value(value, local)}, weights)
            case s.DistMatch():
                self._collect(self.choose(dist, local), local, weights)

    def _add(self, entry: s.Weighted, local: Locals, weights: dict[Any, Weight]) -> None:
        value, weight = self.value(entry.value, local), self.value(entry.weight, local)
        if not isinstance(weight, Polynomial) and weight < 0:
            raise EvaluationFault(
                "G016", "a weight must not be negative", entry.weight, f"the weight is {weight}"
            )
        weights[value] = weights.get(value, Fraction(0)) + weight

    def choose(self, match: s.Match | s.DistMatch, local: Locals) -> Any:
        """The body of the arm that a match takes."""
        subject = self.value(match.subject, local)
        for arm in match.arms:
            for pattern in arm.patterns:
                if self.value(pattern, local) == subject:
                    return arm.body
        if match.otherwise is None:
            raise EvaluationFault("G015", "the match may have no arm that fits", match)
        return match.otherwise

    # --- one method a node -----------------------------------------------------------------------

    def _literal(self, expr: Any, local: Locals) -> Any:
        return expr.value

    def _name(self, expr: s.Name, local: Locals) -> Any:
        name = expr.name
        return local[name] if name in local else self.names.values[name]

    def _primed(self, expr: s.Primed, local: Locals) -> Any:
        return local[expr.name + "'"]

    def _member(self, expr: s.Member, local: Locals) -> Any:
        return self.names.enums[expr.enum].members.index(expr.member)

    def _unary(self, expr: s.Unary, local: Locals) -> Any:
        value = self.value(expr.operand, local)
        self.ticks += 1
        return not value if expr.op == "not" else -value

    def _binary(self, expr: s.Binary, local: Locals) -> Any:
        op = expr.op
        left = self.value(expr.left, local)
        self.ticks += 1
        if op == "and":
            return self.value(expr.right, local) if left else False
        if op == "or":
            return True if left else self.value(expr.right, local)
        if op == "implies":
            return self.value(expr.right, local) if left else True
        return _bounded(_arithmetic(op, left, self.value(expr.right, local), expr), expr)

    def _compare(self, expr: s.Compare, local: Locals) -> Any:
        left = self.value(expr.operands[0], local)
        for op, operand in zip(expr.ops, expr.operands[1:], strict=True):
            right = self.value(operand, local)
            self.ticks += 1
            if not _COMPARISONS[op](left, right):
                return False
            left = right
        return True

    def _if(self, expr: s.If, local: Locals) -> Any:
        self.ticks += 1
        return self.value(expr.then if self.value(expr.test, local) else expr.otherwise, local)

    def _let(self, expr: s.Let, local: Locals) -> Any:
        self.ticks += 1
        return self.value(expr.body, {**local, expr.name: self.value(expr.value, local)})

    def _match(self, expr: s.Match, local: Locals) -> Any:
        self.ticks += 1
        return self.value(self.choose(expr, local), local)

    def _call(self, expr: s.Call, local: Locals) -> Any:
        args = [self.value(a, local) for a in expr.args]
        name = expr.name
        built_in = BUILT_INS.get(name)
        if built_in is not None:
            self.ticks += len(args) - 1 if name in ("min", "max") else 1
            return built_in(*args)
        self.ticks += 1
        enum = self.names.enums.get(name)
        if enum is not None:
            if not 0 <= args[0] < len(enum.members):
                raise EvaluationFault(
                    "G014",
                    f"{name}(…) takes 0..{len(enum.members) - 1}",
                    expr,
                    f"the argument is {args[0]}",
                )
            return args[0]
        function = self.names.functions[name]
        inner: Locals = {}
        for parameter, argument, value in zip(function.parameters, expr.args, args, strict=True):
            _require_range(parameter.type, value, f"parameter {parameter.name} of {name}", argument)
            inner[parameter.name] = value
        result = self.value(function.body, inner)
        _require_range(function.result, result, f"the result of {name}", function.body)
        return result

    def _index(self, expr: s.Index, local: Locals) -> Any:
        array, index = self.value(expr.array, local), self.value(expr.index, local)
        self.ticks += 1
        if not 0 <= index < len(array):
            raise EvaluationFault(
                "G014",
                f"the index may be outside 0..{len(array) - 1}",
                expr.index,
                f"the index is {index}",
            )
        return array[index]

    def _array(self, expr: s.ArrayLit, local: Locals) -> Any:
        self.ticks += 1
        return tuple(self.value(item, local) for item in expr.items)

    def _array_for(self, expr: s.ArrayFor, local: Locals) -> Any:
        ticks = self.ticks + 1
        low, high = self.value(expr.low, local), self.value(expr.high, local)
        self.ticks = ticks  # the ends are constant and cost nothing
        return tuple(self.value(expr.body, {**local, expr.var: i}) for i in range(low, high + 1))


def require_range(kind: Type, value: Value, what: str, node: s.Node) -> None:
    """Raise an `EvaluationFault` where a value leaves the range of its type."""
    _require_range(kind, value, what, node)


def _require_range(kind: Type, value: Any, what: str, node: s.Node) -> None:
    if not contains(kind, value):
        raise EvaluationFault(
            "G012",
            f"{what} may leave its range {show_range(kind)}",
            node,
            "" if isinstance(kind, Array) else f"the value is {value}",
        )


def show_range(kind: Type) -> str:
    """A range as it is written: `0..40`."""
    return show_type(kind).removeprefix("int ").removeprefix("rat ")


def _arithmetic(op: str, left: Any, right: Any, expr: s.Binary) -> Any:
    if op == "+":
        return left + right
    if op == "-":
        return left - right
    if op == "*":
        return left * right
    if right == 0:
        raise EvaluationFault("G013", "the divisor may be 0", expr.right)
    if op == "/":
        return left / right if isinstance(left, Polynomial) else Fraction(left) / right
    return left // right if op == "div" else left % right


def _bounded(value: Any, expr: s.Expr) -> Any:
    if number_bits(value) > NUMBER_BITS_MAX:
        raise EvaluationFault("G019", f"a number longer than {NUMBER_BITS_MAX} bits", expr)
    return value


def number_bits(value: int | Weight) -> int:
    """The length of a number: of its numerator or denominator, whichever is longer; of a polynomial's longest one."""
    if isinstance(value, Polynomial):
        return max(number_bits(coefficient) for _, coefficient in value.terms)
    if isinstance(value, Fraction):
        return max(value.numerator.bit_length(), value.denominator.bit_length())
    return value.bit_length()


def _clamp(value: Any, low: Any, high: Any) -> Any:
    """`max(low, min(value, high))`, whatever the order of the ends."""
    return max(low, min(value, high))


def _floor(value: Any) -> int:
    return value.__floor__()  # type: ignore[no-any-return]


BUILT_INS: Mapping[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "clamp": _clamp,
    "floor": _floor,
    "ord": int,
}

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}

_CASES: Mapping[type[s.Node], Callable[[Evaluator, Any, Locals], Any]] = {
    s.BoolLit: Evaluator._literal,
    s.IntLit: Evaluator._literal,
    s.RatLit: Evaluator._literal,
    s.Name: Evaluator._name,
    s.Primed: Evaluator._primed,
    s.Member: Evaluator._member,
    s.Unary: Evaluator._unary,
    s.Binary: Evaluator._binary,
    s.Compare: Evaluator._compare,
    s.If: Evaluator._if,
    s.Let: Evaluator._let,
    s.Match: Evaluator._match,
    s.Call: Evaluator._call,
    s.Index: Evaluator._index,
    s.ArrayLit: Evaluator._array,
    s.ArrayFor: Evaluator._array_for,
}
