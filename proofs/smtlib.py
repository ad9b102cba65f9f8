"""Print expressions as SMT-LIB 2 terms, each with a second term for the ticks it takes.

Integers and enum members are `Int`, rationals `Real`; an array is taken apart into its items, and a constant array is a
declared function of its indices. Meaning and ticks follow `dsl/interp.py`; where an expression has no value there, the term
has an arbitrary one. Names of the author are kept: `row'` is `|row'|`, and `!` is added to reserved words. Names
that we make hold a dot or a `!`, so that they meet none of the author's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, TypeAlias, assert_never

from dsl import syntax as s
from dsl.interp import BUILT_INS, Evaluator, Globals
from dsl.types import Array, Bool, Enum, Int, Rat, Type, Value

TEXT_MAX = 4_000_000
"""Characters of one term; arrays under indices that are not literals can grow beyond any use."""


class TooLarge(Exception):
    """A term that would be longer than `TEXT_MAX`."""


@dataclass(frozen=True, slots=True)
class Term:
    """A scalar term and its sort: `Int`, `Real` or `Bool`; `number` is set of integer numerals."""

    text: str
    sort: str
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """An array as its items."""

    items: tuple[Encoded, ...]


@dataclass(frozen=True, slots=True)
class Lookup:
    """A constant array, a declared function, with some of its indices given; `kind` is what is left to index."""

    symbol: str
    indices: tuple[str, ...]
    kind: Array


Encoded: TypeAlias = Term | Row | Lookup
Local: TypeAlias = Mapping[str, Encoded]


@dataclass(frozen=True, slots=True)
class Ticks:
    """A sum of ticks: a number, and terms where it depends on the branch taken."""

    fixed: int = 0
    terms: tuple[str, ...] = ()

    def __add__(self, other: Ticks) -> Ticks:
        return Ticks(self.fixed + other.fixed, self.terms + other.terms)

    @property
    def text(self) -> str:
        """The sum as one term."""
        if not self.terms:
            return numeral(self.fixed)
        if len(self.terms) == 1 and not self.fixed:
            return self.terms[0]
        fixed = f" {self.fixed}" if self.fixed else ""
        return f"(+{fixed} {' '.join(self.terms)})"


NO_TICKS = Ticks()
ONE_TICK = Ticks(1)


class Surroundings(Protocol):
    """What an expression may read apart from its variables."""

    names: Globals

    def constant(self, name: str) -> Encoded:
        """A constant, table, parameter of the program or enum member."""

    def call(self, name: str, args: Sequence[Encoded]) -> Encoded:
        """The result of a `def`."""

    def call_ticks(self, name: str, args: Sequence[Encoded]) -> Ticks:
        """The ticks of the body of a `def`."""


# --- symbols, numerals, sorts --------------------------------------------------------------------

RESERVED = frozenset(
    "abs acos acosh and arctan2 as asin asinh assert atan atan2 atanh cos cosh choice distinct div echo equals equiv"
    " exists exit exp extract concat false forall iff implies is_int ite lambda let ln match mod member not or par pi"
    " pop push rem repeat reset select sin sinh sqrt store tan tanh to_int to_real true union xor"
    " Array Bool Int Real String Set Bag Tuple BINARY DECIMAL HEXADECIMAL NUMERAL STRING _".split()
)
"""Words that SMT-LIB or a solver keeps to itself."""


def symbol(name: str) -> str:
    """The SMT-LIB symbol of a name of the author, or of one that we made of it."""
    if "'" in name:
        return f"|{name}|"
    return name + "!" if name in RESERVED else name


def numeral(number: int) -> str:
    """An integer."""
    return _digits(number) if number >= 0 else f"(- {_digits(-number)})"


def decimal(number: Fraction | int) -> str:
    """A rational: a decimal where a short one is exact, else a quotient."""
    number = Fraction(number)
    if number < 0:
        return f"(- {decimal(-number)})"
    over, under = number.numerator, number.denominator
    if under == 1:
        return _digits(over) + ".0"
    if _SHORT % under == 0:
        digits = _digits(over * (_SHORT // under)).rjust(13, "0")
        return f"{digits[:-12]}.{digits[-12:].rstrip('0')}"
    return f"(/ {_digits(over)}.0 {_digits(under)}.0)"


_SHORT = 10**12


def _digits(number: int) -> str:
    """Decimal digits of a natural number, also beyond the length that `str` allows."""
    if number.bit_length() < 13_000:
        return str(number)
    high, low = divmod(number, 10**3_000)
    return _digits(high) + str(low).rjust(3_000, "0")


def sort_of(kind: Type) -> str:
    """The sort of a scalar type."""
    match kind:
        case Bool():
            return "Bool"
        case Int() | Enum():
            return "Int"
        case Rat():
            return "Real"
        case Array():
            raise TypeError("an array has no sort of its own")
        case _:
            assert_never(kind)


def leaves_of(name: str, kind: Type) -> list[tuple[str, str]]:
    """The scalars that a variable is made of, as names (not yet symbols) with their sorts."""
    if isinstance(kind, Array):
        return [leaf for i in range(kind.length) for leaf in leaves_of(f"{name}.{i}", kind.item)]
    return [(name, sort_of(kind))]


def variable(name: str, kind: Type) -> Encoded:
    """A variable as a term, or a row of terms."""
    if isinstance(kind, Array):
        return Row(tuple(variable(f"{name}.{i}", kind.item) for i in range(kind.length)))
    return Term(symbol(name), sort_of(kind))


def literal(value: Value, kind: Type) -> Encoded:
    """A value; members of an enum by name."""
    match kind:
        case Array(_, _, item):
            return Row(tuple(literal(v, item) for v in value))  # type: ignore[union-attr]
        case Enum(name, members):
            return Term(f"{name}.{members[value]}", "Int")  # type: ignore[index]
        case Bool():
            return Term("true" if value else "false", "Bool")
        case Int():
            return Term(numeral(value), "Int", value)  # type: ignore[arg-type]
        case Rat():
            return Term(decimal(value), "Real")  # type: ignore[arg-type]
        case _:
            assert_never(kind)


# --- encoded values ------------------------------------------------------------------------------


def flatten(value: Encoded) -> list[Term]:
    """The scalars of a value, in order."""
    if isinstance(value, Term):
        return [value]
    return [leaf for item in spread(value).items for leaf in flatten(item)]


def spread(value: Encoded) -> Row:
    """The items of an array."""
    match value:
        case Row():
            return value
        case Lookup(_, _, kind):
            return Row(tuple(_look_up(value, numeral(i)) for i in range(kind.length)))
        case _:
            raise TypeError("a scalar has no items")


def scalar(value: Encoded) -> Term:
    """A value that is known to be no array."""
    if not isinstance(value, Term):
        raise TypeError("an array where a scalar is expected")
    return value


def widen(value: Encoded, kind: Type) -> Encoded:
    """The value as one of the type: integers become rationals where that is asked for."""
    if isinstance(kind, Array):
        if isinstance(value, Lookup):
            if _innermost(value.kind) == _innermost(kind):
                return value
            value = spread(value)
        return Row(tuple(widen(item, kind.item) for item in spread(value).items))
    return to_real(scalar(value)) if isinstance(kind, Rat) else value


def to_real(term: Term) -> Term:
    """An integer term as a rational one."""
    if term.sort == "Real":
        return term
    if term.number is not None:
        return Term(decimal(term.number), "Real")
    return Term(f"(to_real {term.text})", "Real")


def equal(left: Encoded, right: Encoded) -> Term:
    """Whether two values are equal, item by item."""
    if isinstance(left, Term) and isinstance(right, Term):
        left, right = _same_sort([left, right])
        return Term(f"(= {left.text} {right.text})", "Bool")
    pairs = zip(flatten(left), flatten(right), strict=True)
    return conjunction([equal(a, b).text for a, b in pairs])


def conjunction(parts: Sequence[str]) -> Term:
    """All of some formulas."""
    if len(parts) == 1:
        return Term(parts[0], "Bool")
    return Term(f"(and {' '.join(parts)})" if parts else "true", "Bool")


def choose(test: str, then: Encoded, otherwise: Encoded) -> Encoded:
    """One of two values, sorts adjusted."""
    if isinstance(then, Term) and isinstance(otherwise, Term):
        if then == otherwise:
            return then
        then, otherwise = _same_sort([then, otherwise])
        return Term(_limited(f"(ite {test} {then.text} {otherwise.text})"), then.sort)
    if then == otherwise:
        return then
    pairs = zip(spread(then).items, spread(otherwise).items, strict=True)
    return Row(tuple(choose(test, a, b) for a, b in pairs))


def _limited(text: str) -> str:
    if len(text) > TEXT_MAX:
        raise TooLarge(f"a term of more than {TEXT_MAX:,} characters")
    return text


def _innermost(kind: Type) -> str:
    return _innermost(kind.item) if isinstance(kind, Array) else sort_of(kind)


def _same_sort(terms: Iterable[Term]) -> list[Term]:
    found = list(terms)
    if any(t.sort == "Real" for t in found):
        return [to_real(t) for t in found]
    return found


def _look_up(array: Lookup, index: str) -> Encoded:
    kind, indices = array.kind.item, (*array.indices, index)
    if isinstance(kind, Array):
        return Lookup(array.symbol, indices, kind)
    return Term(f"({array.symbol} {' '.join(indices)})", sort_of(kind))


# --- bindings ------------------------------------------------------------------------------------

Binding: TypeAlias = tuple[str, str]


def wrap(bindings: Sequence[Binding], value: Encoded) -> Encoded:
    """The value under `let`, where it mentions what is bound."""
    match value:
        case Term(text, sort, number):
            return Term(wrap_text(bindings, text), sort, number)
        case Row(items):
            return Row(tuple(wrap(bindings, item) for item in items))
        case Lookup(name, indices, kind):
            return Lookup(name, tuple(wrap_text(bindings, i) for i in indices), kind)
        case _:
            assert_never(value)


def wrap_text(bindings: Sequence[Binding], text: str) -> str:
    """A term under `let`, where it mentions what is bound."""
    used = " ".join(f"({name} {bound})" for name, bound in bindings if name in text)
    return _limited(f"(let ({used}) {text})") if used else text


def wrap_ticks(bindings: Sequence[Binding], ticks: Ticks) -> Ticks:
    """Ticks under `let`."""
    return Ticks(ticks.fixed, tuple(wrap_text(bindings, t) for t in ticks.terms))


def bind(name: str, value: Encoded) -> tuple[Encoded, list[Binding]]:
    """A value under a name: variables and literals stand for themselves, constant arrays too, the rest is bound."""
    if isinstance(value, Lookup):
        return value, []
    if isinstance(value, Row):
        found = [bind(f"{name}.{i}", item) for i, item in enumerate(value.items)]
        return Row(tuple(v for v, _ in found)), [b for _, bs in found for b in bs]
    if "(" not in value.text or value.number is not None:
        return value, []
    return Term(symbol(name), value.sort), [(symbol(name), value.text)]


# --- expressions ---------------------------------------------------------------------------------


class Encoder:
    """Encodes expressions bottom-up; without `counts`, ticks are left out."""

    def __init__(self, surroundings: Surroundings, *, counts: bool = False) -> None:
        self.surroundings = surroundings
        self.counts = counts
        self.fresh = 0

    def value(self, expr: s.Expr, local: Local) -> Encoded:
        """The value alone."""
        return _CASES[type(expr)](self, expr, local)[0]

    def both(self, expr: s.Expr, local: Local) -> tuple[Encoded, Ticks]:
        """The value and the ticks."""
        return _CASES[type(expr)](self, expr, local)

    def patterns(self, subject: Encoded, patterns: Iterable[s.Expr]) -> str:
        """Whether one of the patterns is equal to the subject."""
        tests = [equal(subject, self.value(p, {})).text for p in patterns]
        return tests[0] if len(tests) == 1 else f"(or {' '.join(tests)})"

    def bound_subject(self, subject: s.Expr, local: Local) -> tuple[Encoded, list[Binding], Ticks]:
        """The subject of a match under a name of its own."""
        value, ticks = self.both(subject, local)
        name, bindings = bind(self._fresh("subject"), value)
        return name, bindings, ticks

    def turns(self, low: s.Expr, high: s.Expr) -> range:
        """The integers of a constant range."""
        evaluator = Evaluator(self.surroundings.names)
        return range(evaluator.value(low, {}), evaluator.value(high, {}) + 1)

    def bind_local(
        self, name: str, value: s.Expr, local: Local
    ) -> tuple[Local, list[Binding], Ticks]:
        """The local names with one more, and what is to be bound by `let`."""
        encoded, ticks = self.both(value, local)
        bound, bindings = bind(name, encoded)
        return {**local, name: bound}, bindings, ticks

    def index(self, array: Encoded, index: Term) -> Encoded:
        """One item of an array; outside the array an arbitrary one."""
        if isinstance(array, Lookup):
            return _look_up(array, index.text)
        items = spread(array).items
        if index.number is not None:
            return items[min(max(index.number, 0), len(items) - 1)]
        name, bindings = bind(self._fresh("index"), index)
        found = items[-1]
        for i in reversed(range(len(items) - 1)):
            found = choose(f"(= {scalar(name).text} {i})", items[i], found)
        return wrap(bindings, found)

    def _fresh(self, word: str) -> str:
        self.fresh += 1
        return f"{word}!{self.fresh}"

    def _either(self, test: str, then: Ticks, otherwise: Ticks) -> Ticks:
        if not self.counts or then == otherwise:
            return then
        return Ticks(0, (_limited(f"(ite {test} {then.text} {otherwise.text})"),))

    # --- one method a node -----------------------------------------------------------------------

    def _bool(self, expr: s.BoolLit, local: Local) -> tuple[Encoded, Ticks]:
        return Term("true" if expr.value else "false", "Bool"), NO_TICKS

    def _int(self, expr: s.IntLit, local: Local) -> tuple[Encoded, Ticks]:
        return Term(numeral(expr.value), "Int", expr.value), NO_TICKS

    def _rat(self, expr: s.RatLit, local: Local) -> tuple[Encoded, Ticks]:
        return Term(decimal(expr.value), "Real"), NO_TICKS

    def _name(self, expr: s.Name, local: Local) -> tuple[Encoded, Ticks]:
        name = expr.name
        return local[name] if name in local else self.surroundings.constant(name), NO_TICKS

    def _primed(self, expr: s.Primed, local: Local) -> tuple[Encoded, Ticks]:
        return local[expr.name + "'"], NO_TICKS

    def _member(self, expr: s.Member, local: Local) -> tuple[Encoded, Ticks]:
        return Term(f"{expr.enum}.{expr.member}", "Int"), NO_TICKS

    def _unary(self, expr: s.Unary, local: Local) -> tuple[Encoded, Ticks]:
        value, ticks = self.both(expr.operand, local)
        operand = scalar(value)
        return Term(f"({expr.op} {operand.text})", operand.sort), ticks + ONE_TICK

    def _binary(self, expr: s.Binary, local: Local) -> tuple[Encoded, Ticks]:
        op = expr.op
        left, left_ticks = self.both(expr.left, local)
        right, right_ticks = self.both(expr.right, local)
        a, b = scalar(left), scalar(right)
        if op in _JUNCTIONS:
            text = f"({_JUNCTIONS[op]} {a.text} {b.text})"
            goes_on = (right_ticks, NO_TICKS) if op != "or" else (NO_TICKS, right_ticks)
            ticks = left_ticks + ONE_TICK + self._either(a.text, *goes_on)
            return Term(_limited(text), "Bool"), ticks
        return _arithmetic(op, a, b), left_ticks + right_ticks + ONE_TICK

    def _compare(self, expr: s.Compare, local: Local) -> tuple[Encoded, Ticks]:
        values, ticks = zip(*(self.both(o, local) for o in expr.operands), strict=True)
        names, bindings = list(values), list[Binding]()
        for i in range(1, len(values) - 1):
            # an operand that stands in two comparisons is written once
            names[i], bound = bind(self._fresh("middle"), values[i])
            bindings += bound
        tests = [
            _comparison(op, a, b) for op, a, b in zip(expr.ops, names, names[1:], strict=False)
        ]
        total = ticks[-1] + ONE_TICK
        for i in reversed(range(len(tests) - 1)):
            total = ticks[i + 1] + ONE_TICK + self._either(tests[i], total, NO_TICKS)
        if len(tests) > 1 and len(set(expr.ops)) == 1:
            value = Term(
                f"({expr.ops[0]} {' '.join(t.text for t in _same_sort(map(scalar, names)))})",
                "Bool",
            )
        else:
            value = conjunction(tests)
        return wrap(bindings, value), ticks[0] + wrap_ticks(bindings, total)

    def _if(self, expr: s.If, local: Local) -> tuple[Encoded, Ticks]:
        test, test_ticks = self.both(expr.test, local)
        then, then_ticks = self.both(expr.then, local)
        otherwise, otherwise_ticks = self.both(expr.otherwise, local)
        condition = scalar(test).text
        ticks = ONE_TICK + test_ticks + self._either(condition, then_ticks, otherwise_ticks)
        return choose(condition, then, otherwise), ticks

    def _let(self, expr: s.Let, local: Local) -> tuple[Encoded, Ticks]:
        inner, bindings, ticks = self.bind_local(expr.name, expr.value, local)
        value, body_ticks = self.both(expr.body, inner)
        return wrap(bindings, value), ONE_TICK + ticks + wrap_ticks(bindings, body_ticks)

    def _match(self, expr: s.Match, local: Local) -> tuple[Encoded, Ticks]:
        subject, bindings, ticks = self.bound_subject(expr.subject, local)
        arms = [(self.patterns(subject, a.patterns), *self.both(a.body, local)) for a in expr.arms]
        # without `else` the last arm is the rest: no other value occurs where the match has one
        _, value, arm_ticks = arms[-1] if arms else ("", Row(()), NO_TICKS)
        rest = arms[:-1]
        if expr.otherwise is not None:
            value, arm_ticks = self.both(expr.otherwise, local)
            rest = arms
        for test, body, body_ticks in reversed(rest):
            value, arm_ticks = choose(test, body, value), self._either(test, body_ticks, arm_ticks)
        return wrap(bindings, value), ONE_TICK + ticks + wrap_ticks(bindings, arm_ticks)

    def _call(self, expr: s.Call, local: Local) -> tuple[Encoded, Ticks]:
        name = expr.name
        values: list[Encoded] = []
        ticks = NO_TICKS
        for arg in expr.args:
            value, arg_ticks = self.both(arg, local)
            values.append(value)
            ticks += arg_ticks
        if name in BUILT_INS:
            own = Ticks(len(values) - 1) if name in ("min", "max") else ONE_TICK
            return _built_in(name, [scalar(v) for v in values]), ticks + own
        if name in self.surroundings.names.enums:
            return values[0], ticks + ONE_TICK
        ticks += ONE_TICK
        if self.counts:
            ticks += self.surroundings.call_ticks(name, values)
        return self.surroundings.call(name, values), ticks

    def _index(self, expr: s.Index, local: Local) -> tuple[Encoded, Ticks]:
        array, array_ticks = self.both(expr.array, local)
        index, index_ticks = self.both(expr.index, local)
        return self.index(array, scalar(index)), array_ticks + index_ticks + ONE_TICK

    def _array(self, expr: s.ArrayLit, local: Local) -> tuple[Encoded, Ticks]:
        return self._row([self.both(item, local) for item in expr.items])

    def _array_for(self, expr: s.ArrayFor, local: Local) -> tuple[Encoded, Ticks]:
        found: list[tuple[Encoded, Ticks]] = []
        for i in self.turns(expr.low, expr.high):
            found.append(self.both(expr.body, {**local, expr.var: Term(numeral(i), "Int", i)}))
        return self._row(found)

    @staticmethod
    def _row(found: list[tuple[Encoded, Ticks]]) -> tuple[Encoded, Ticks]:
        ticks = Ticks(
            1 + sum(t.fixed for _, t in found), tuple(text for _, t in found for text in t.terms)
        )
        return Row(tuple(value for value, _ in found)), ticks


_JUNCTIONS = {"and": "and", "or": "or", "implies": "=>"}


def _arithmetic(op: str, left: Term, right: Term) -> Term:
    if op == "/":
        return Term(_limited(f"(/ {to_real(left).text} {to_real(right).text})"), "Real")
    if op in ("div", "mod"):
        # SMT-LIB's remainder is never negative; for positive divisors that is the same as to floor
        plain = right.number is not None and right.number > 0
        name = op if plain else f"{op}.floor"
        return Term(_limited(f"({name} {left.text} {right.text})"), "Int")
    left, right = _same_sort([left, right])
    return Term(_limited(f"({op} {left.text} {right.text})"), left.sort)


def _comparison(op: str, left: Encoded, right: Encoded) -> str:
    if op == "==":
        return equal(left, right).text
    if op == "!=":
        return f"(not {equal(left, right).text})"
    a, b = _same_sort([scalar(left), scalar(right)])
    return _limited(f"({op} {a.text} {b.text})")


def _built_in(name: str, args: list[Term]) -> Term:
    if name == "ord":
        return args[0]
    if name == "floor":
        return Term(f"(to_int {to_real(args[0]).text})", "Int")
    args = _same_sort(args)
    sort = args[0].sort
    word = f"{name}.{'rat' if sort == 'Real' else 'int'}"
    if name in ("min", "max"):
        found = args[0]
        for arg in args[1:]:
            found = Term(_limited(f"({word} {found.text} {arg.text})"), sort)
        return found
    return Term(_limited(f"({word} {' '.join(a.text for a in args)})"), sort)


def helpers(text: str) -> list[str]:
    """Definitions of those of our own functions that a text uses."""
    found = [name for name in _HELPERS if f"({name} " in text]
    for name in found:
        found += [
            below for below in _HELPERS if f"({below} " in _HELPERS[name] and below not in found
        ]
    return [_HELPERS[name] for name in _HELPERS if name in found]


def _numeric_helpers(word: str, sort: str) -> dict[str, str]:
    pair, triple = f"((a {sort}) (b {sort}))", f"((x {sort}) (low {sort}) (high {sort}))"
    return {
        f"min.{word}": f"(define-fun min.{word} {pair} {sort} (ite (<= a b) a b))",
        f"max.{word}": f"(define-fun max.{word} {pair} {sort} (ite (>= a b) a b))",
        f"abs.{word}": f"(define-fun abs.{word} ((a {sort})) {sort} (ite (>= a {'0' if sort == 'Int' else '0.0'}) a (- a)))",
        f"clamp.{word}": f"(define-fun clamp.{word} {triple} {sort} (max.{word} low (min.{word} x high)))",
    }


_HELPERS: Mapping[str, str] = {
    **_numeric_helpers("int", "Int"),
    **_numeric_helpers("rat", "Real"),
    # SMT-LIB's div leaves a remainder that is never negative; these floor, whatever the sign of the divisor
    "div.floor": "(define-fun div.floor ((a Int) (b Int)) Int (ite (> b 0) (div a b) (div (- a) (- b))))",
    "mod.floor": "(define-fun mod.floor ((a Int) (b Int)) Int (ite (> b 0) (mod a b) (- (mod (- a) (- b)))))",
}

_CASES: Mapping[type[s.Node], Callable[[Encoder, Any, Local], tuple[Encoded, Ticks]]] = {
    s.BoolLit: Encoder._bool,
    s.IntLit: Encoder._int,
    s.RatLit: Encoder._rat,
    s.Name: Encoder._name,
    s.Primed: Encoder._primed,
    s.Member: Encoder._member,
    s.Unary: Encoder._unary,
    s.Binary: Encoder._binary,
    s.Compare: Encoder._compare,
    s.If: Encoder._if,
    s.Let: Encoder._let,
    s.Match: Encoder._match,
    s.Call: Encoder._call,
    s.Index: Encoder._index,
    s.ArrayLit: Encoder._array,
    s.ArrayFor: Encoder._array_for,
}
