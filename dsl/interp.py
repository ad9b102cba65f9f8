"""The reference interpreter: what an expression is worth, and how many ticks it takes.

It defines the language. Programs that pass the checks never raise `EvaluationFault`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

from dsl import syntax as s
from dsl.polynomial import Polynomial, PolynomialTooLarge, Weight
from dsl.types import Array, Enum, Type, Value, Variable, contains, show_type

NUMBER_BITS_MAX = 4_096
_WORDS = frozenset((str, tuple))
"""The classes of what stands for names and members in a table."""

_FEW = 16
"""Up to so many entries an array is evaluated one by one without a look at what they are."""

OPERATIONS = frozenset(
    "+ - * / div mod & | ^ ~ << >> and or implies not == != < <= > >= if match let call index array with fold forall exists"
    " min max abs clamp floor ord convert int sint bits sext ashr udiv urem sdiv srem ult ule slt sle".split()
)
"""The names of operations that take ticks, as `costs` writes them; unary minus is `-`, `E(i)` is `convert`."""

BITS_FUNCTIONS = frozenset("int sint ashr udiv urem sdiv srem ult ule slt sle".split())
"""The built-in functions on bits, each of which elaborates to the `BitsOp` of its name."""

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

    Bodies of functions and values of tables are elaborated (`dsl.elaborate`).
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
    """The value of an elaborated expression and its ticks.

    Ticks (docs/language.md): literals and names 0; every operator, comparison made, call, index, conversion, `match`,
    `let`, `if` 1 plus what is evaluated; `min` and `max` of n values n-1; array literals and comprehensions 1 plus their
    elements; `with` 1 an entry; `fold` 1 plus its start and 1 plus its body a turn; `forall` and `exists` 1 plus their
    body for each turn made. The ends of ranges are constant and cost nothing.
    """
    evaluator = Evaluator(names)
    value = evaluator.value(expr, dict(local or {}))
    return value, evaluator.ticks


class Evaluator:
    """Evaluates expressions and adds up their ticks."""

    __slots__ = ("_price", "names", "ticks")

    def __init__(self, names: Globals) -> None:
        self.names = names
        self.ticks = 0
        self._price: Callable[[str, int], int] = names.prices.get

    def charge(self, operation: str, times: int = 1) -> None:
        """Add the ticks of an operation."""
        self.ticks += times * self._price(operation, 1)

    def value(self, expr: s.Expr, local: Locals) -> Any:
        """The value of an expression; its ticks are added to `ticks`.

        `local` is written to on the way and is afterwards what it was before.
        """
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
                inner = dict(local)
                for i in self._turns(low, high, local):
                    inner[var] = i
                    self._add(entry, inner, weights)
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
        op = expr.op
        value = self.value(expr.operand, local)
        self.ticks += self._price(op, 1)
        return not value if op == "not" else -value

    def _binary(self, expr: s.Binary, local: Locals) -> Any:
        op = expr.op
        left = self.value(expr.left, local)
        self.ticks += self._price(op, 1)
        if op == "and":
            return self.value(expr.right, local) if left else False
        if op == "or":
            return True if left else self.value(expr.right, local)
        if op == "implies":
            return self.value(expr.right, local) if left else True
        return _bounded(_arithmetic(op, left, self.value(expr.right, local), expr), expr)

    def _bits_op(self, expr: s.BitsOp, local: Locals) -> Any:
        op, args = expr.op, expr.args
        first = self.value(args[0], local)
        if op == "literal":
            return first
        if len(args) == 1:
            self.ticks += self._price(op, 1)
            return _BITS_UNARY[op](first, expr.width)
        second = self.value(args[1], local)
        self.ticks += self._price(op, 1)
        if op in _SHIFTS:
            if second < 0:
                raise EvaluationFault(
                    "G031", "a shift may be by less than 0", args[1], f"the amount is {second}"
                )
        elif op in _DIVISIONS and second == 0:
            raise EvaluationFault("G013", "the divisor may be 0", args[1])
        return _BITS_BINARY[op](first, second, expr.width)

    def _compare(self, expr: s.Compare, local: Locals) -> Any:
        operands = expr.operands
        left = self.value(operands[0], local)
        for i, op in enumerate(expr.ops, 1):
            right = self.value(operands[i], local)
            self.ticks += self._price(op, 1)
            if not _COMPARISONS[op](left, right):
                return False
            left = right
        return True

    def _if(self, expr: s.If, local: Locals) -> Any:
        self.ticks += self._price("if", 1)
        return self.value(expr.then if self.value(expr.test, local) else expr.otherwise, local)

    def _let(self, expr: s.Let, local: Locals) -> Any:
        self.ticks += self._price("let", 1)
        value, name = self.value(expr.value, local), expr.name
        before = local.get(name, _NOTHING)
        local[name] = value
        try:
            return self.value(expr.body, local)
        finally:
            _restore(local, name, before)

    def _match(self, expr: s.Match, local: Locals) -> Any:
        self.ticks += self._price("match", 1)
        return self.value(self.choose(expr, local), local)

    def _call(self, expr: s.Call, local: Locals) -> Any:
        args = [self.value(a, local) for a in expr.args]
        name = expr.name
        built_in = BUILT_INS.get(name)
        if built_in is not None:
            times = len(args) - 1 if name in ("min", "max") else 1
            self.ticks += times * self._price(name, 1)
            return built_in(*args)
        enum = self.names.enums.get(name)
        if enum is not None:
            self.ticks += self._price("convert", 1)
            if not 0 <= args[0] < len(enum.members):
                raise EvaluationFault(
                    "G014",
                    f"{name}(…) takes 0..{len(enum.members) - 1}",
                    expr,
                    f"the argument is {args[0]}",
                )
            return args[0]
        self.ticks += self._price("call", 1)
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
        self.ticks += self._price("index", 1)
        if not 0 <= index < len(array):
            raise _outside(array, index, expr.index)
        return array[index]

    def _array(self, expr: s.ArrayLit, local: Locals) -> Any:
        price = self._price("array", 1)
        if expr.written is None and len(expr.items) <= _FEW:
            self.ticks += price
            return tuple(self.value(item, local) for item in expr.items)
        grid = s.grid_of(expr)
        if grid is None:
            self.ticks += price
            return tuple(self.value(item, local) for item in expr.items)
        self.ticks += price * grid.arrays
        return grid.nested(self._entries(grid, local))

    def _entries(self, grid: s.Grid, local: Locals) -> Sequence[Any]:
        """The values of the entries of a table; names and members are looked up once each."""
        if grid.classes.isdisjoint(_WORDS):
            return grid.values
        words = {v for v in grid.values if type(v) in _WORDS}
        known = {word: self.value(s.leaf_of(word), local) for word in words}
        return [known[v] if type(v) in _WORDS else v for v in grid.values]

    def _array_for(self, expr: s.ArrayFor, local: Locals) -> Any:
        self.ticks += self._price("array", 1)
        var, body = expr.var, expr.body
        before, items = local.get(var, _NOTHING), []
        try:
            for i in self._turns(expr.low, expr.high, local):
                local[var] = i
                items.append(self.value(body, local))
        finally:
            _restore(local, var, before)
        return tuple(items)

    def _with(self, expr: s.With, local: Locals) -> Any:
        items = list(self.value(expr.array, local))
        for change in expr.changes:
            index, value = self.value(change.index, local), self.value(change.value, local)
            self.ticks += self._price("with", 1)
            if not 0 <= index < len(items):
                raise _outside(items, index, change.index)
            items[index] = value
        return tuple(items)

    def _fold(self, expr: s.Fold, local: Locals) -> Any:
        price = self._price("fold", 1)
        self.ticks += price
        acc, var, body = expr.acc, expr.var, expr.body
        value = self.value(expr.start, local)
        before, before_var = local.get(acc, _NOTHING), local.get(var, _NOTHING)
        try:
            for i in self._turns(expr.low, expr.high, local):
                local[acc], local[var] = value, i
                self.ticks += price
                value = self.value(body, local)
        finally:
            _restore(local, acc, before)
            _restore(local, var, before_var)
        return value

    def _quantifier(self, expr: s.Quantifier, local: Locals) -> Any:
        price = self._price(expr.word, 1)
        var, body, sought = expr.var, expr.body, expr.word == "exists"
        before = local.get(var, _NOTHING)
        try:
            for i in self._turns(expr.low, expr.high, local):
                local[var] = i
                self.ticks += price
                if self.value(body, local) is sought:
                    return sought
        finally:
            _restore(local, var, before)
        return not sought

    def _turns(self, low: s.Expr, high: s.Expr, local: Locals) -> range:
        """The values of a constant range, whose ends cost nothing."""
        if isinstance(low, s.IntLit) and isinstance(high, s.IntLit):
            return range(low.value, high.value + 1)
        ticks = self.ticks
        turns = range(self.value(low, local), self.value(high, local) + 1)
        self.ticks = ticks
        return turns


_NOTHING = object()


def _restore(local: Locals, name: str, before: Any) -> None:
    if before is _NOTHING:
        local.pop(name, None)
    else:
        local[name] = before


def _outside(array: Sequence[Any], index: int, node: s.Node) -> EvaluationFault:
    message = f"the index may be outside 0..{len(array) - 1}"
    return EvaluationFault("G014", message, node, f"the index is {index}")


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
        return _product(left, right, expr)
    if right == 0:
        raise EvaluationFault("G013", "the divisor may be 0", expr.right)
    if op == "/":
        return left / right if isinstance(left, Polynomial) else Fraction(left) / right
    return left // right if op == "div" else left % right


def _product(left: Any, right: Any, expr: s.Binary) -> Any:
    try:
        return left * right
    except PolynomialTooLarge as error:
        raise EvaluationFault("G019", str(error), expr) from None


def _bounded(value: Any, expr: s.Expr) -> Any:
    bits = value.bit_length() if type(value) is int else number_bits(value)
    if bits > NUMBER_BITS_MAX:
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


def signed(value: int, width: int) -> int:
    """Bits read as a number in two's complement."""
    return value - (1 << width) if value >> (width - 1) else value


def _shift_left(value: int, by: int, width: int) -> int:
    return (value << by) & ((1 << width) - 1) if by < width else 0


def _shift_signed(value: int, by: int, width: int) -> int:
    return (signed(value, width) >> min(by, width)) & ((1 << width) - 1)


def _divide_signed(left: int, right: int, width: int) -> int:
    """Towards 0; the least number divided by -1 is itself."""
    a, b = signed(left, width), signed(right, width)
    quotient = abs(a) // abs(b)
    return (quotient if (a < 0) == (b < 0) else -quotient) & ((1 << width) - 1)


def _rest_signed(left: int, right: int, width: int) -> int:
    """With the sign of the dividend."""
    a, b = signed(left, width), signed(right, width)
    rest = abs(a) % abs(b)
    return (-rest if a < 0 else rest) & ((1 << width) - 1)


_SHIFTS = frozenset(("<<", ">>", "ashr"))
_DIVISIONS = frozenset(("udiv", "urem", "sdiv", "srem"))

# by name: what comes of operands of this width; `bits` gives this width
_BITS_UNARY: Mapping[str, Callable[[int, int], int]] = {
    "-": lambda a, n: -a & ((1 << n) - 1),
    "~": lambda a, n: ~a & ((1 << n) - 1),
    "int": lambda a, n: a,
    "sint": signed,
    "bits": lambda a, n: a & ((1 << n) - 1),
}
_BITS_BINARY: Mapping[str, Callable[[int, int, int], Any]] = {
    "+": lambda a, b, n: (a + b) & ((1 << n) - 1),
    "-": lambda a, b, n: (a - b) & ((1 << n) - 1),
    "*": lambda a, b, n: (a * b) & ((1 << n) - 1),
    "&": lambda a, b, n: a & b,
    "|": lambda a, b, n: a | b,
    "^": lambda a, b, n: a ^ b,
    "<<": _shift_left,
    ">>": lambda a, b, n: a >> b if b < n else 0,
    "ashr": _shift_signed,
    "udiv": lambda a, b, n: a // b,
    "urem": lambda a, b, n: a % b,
    "sdiv": _divide_signed,
    "srem": _rest_signed,
    "ult": lambda a, b, n: a < b,
    "ule": lambda a, b, n: a <= b,
    "slt": lambda a, b, n: signed(a, n) < signed(b, n),
    "sle": lambda a, b, n: signed(a, n) <= signed(b, n),
    "sext": lambda a, target, n: signed(a, n) & ((1 << target) - 1),
}

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
    s.With: Evaluator._with,
    s.Fold: Evaluator._fold,
    s.Quantifier: Evaluator._quantifier,
    s.BitsOp: Evaluator._bits_op,
}
