"""What expressions of the language mean, worked out from its definition alone: values and ticks.

Nothing here comes from the interpreter, the checker or the proofs: names are resolved and the parser's trees evaluated by
code of its own. Rational unknowns and rates are names in a `Poly`. An integer takes the width of the bits that it meets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import product
from math import floor
from typing import Any

from dsl import syntax as s

NOTHING = Fraction(0)


class Fault(Exception):
    """Something without a value, or outside the range or kind that is asked for."""


# --- values and the sets they lie in -------------------------------------------------------------


class Symbol:
    """A member of an enum; `symbol` makes each once. Numbers are `int` and `Fraction`, truths `bool`, arrays tuples."""

    __slots__ = ("enum", "ordinal")

    def __init__(self, enum: str, ordinal: int) -> None:
        self.enum, self.ordinal = enum, ordinal

    def __repr__(self) -> str:
        return f"{self.enum}({self.ordinal})"


class Word:
    """A vector of bits, read as a number from 0 on; `word` makes each once."""

    __slots__ = ("number", "width")

    def __init__(self, width: int, number: int) -> None:
        self.width, self.number = width, number

    def __repr__(self) -> str:
        return f"bits[{self.width}]({self.number})"

    @property
    def signed(self) -> int:
        """The number in two's complement."""
        return self.number - (1 << self.width) if self.number >> (self.width - 1) else self.number


@cache
def symbol(enum: str, ordinal: int) -> Symbol:
    """The member of an enum."""
    return Symbol(enum, ordinal)


@cache
def _word(width: int, number: int) -> Word:
    return Word(width, number)


def word(width: int, number: int) -> Word:
    """The number modulo 2^width."""
    return _word(width, number % (1 << width))


class Poly:
    """A polynomial in rational unknowns and rates: a coefficient for each product of names."""

    __slots__ = ("terms",)

    def __init__(self, terms: Mapping[tuple[str, ...], Fraction]) -> None:
        self.terms = {names: c for names, c in terms.items() if c}

    def __repr__(self) -> str:
        return f"Poly({self.terms})"

    @staticmethod
    def of(value: Any) -> Poly:
        """A number as a polynomial."""
        return value if isinstance(value, Poly) else Poly({(): Fraction(value)})

    @staticmethod
    def name(name: str) -> Poly:
        """One unknown or rate."""
        return Poly({(name,): Fraction(1)})

    def plus(self, other: Any, times: int = 1) -> Poly:
        """The sum with so many times the other."""
        terms = dict(self.terms)
        for names, c in Poly.of(other).terms.items():
            terms[names] = terms.get(names, NOTHING) + times * c
        return Poly(terms)

    def times(self, other: Any) -> Poly:
        """The product."""
        terms: dict[tuple[str, ...], Fraction] = {}
        for a, c in self.terms.items():
            for b, d in Poly.of(other).terms.items():
                names = tuple(sorted(a + b))
                terms[names] = terms.get(names, NOTHING) + c * d
        return Poly(terms)

    def at(self, point: Mapping[str, Fraction]) -> Fraction:
        """The value where every name has one."""
        total = NOTHING
        for names, c in self.terms.items():
            for name in names:
                c *= point[name]
            total += c
        return total


def at_point(value: Any, point: Mapping[str, Fraction]) -> Fraction:
    """A number or polynomial where every name has a value."""
    return value.at(point) if isinstance(value, Poly) else Fraction(value)


@dataclass(frozen=True, slots=True)
class Domain:
    """The values of a type: `kind` is bool, int, rat, enum, bits or array; `length` counts members, bits or items."""

    kind: str
    low: Any = None
    high: Any = None
    enum: str = ""
    length: int = 0
    item: Domain | None = None

    def values(self) -> list[Any]:
        """Every value of a finite domain."""
        if self.kind == "bool":
            return [False, True]
        if self.kind == "enum":
            return [symbol(self.enum, i) for i in range(self.length)]
        if self.kind == "bits":
            return [word(self.length, i) for i in range(1 << self.length)]
        if self.kind == "int" and self.low is not None:
            return list(range(self.low, self.high + 1))
        if self.kind == "array" and self.item is not None:
            return list(product(self.item.values(), repeat=self.length))
        raise Fault("a domain without end")

    def require(self, value: Any) -> Any:
        """The value as it is written here, an integer as bits where bits are asked for; Fault where it does not belong."""
        good = False
        if self.kind == "bool":
            good = isinstance(value, bool)
        elif self.kind == "enum":
            good = isinstance(value, Symbol) and value.enum == self.enum
        elif self.kind == "bits":
            if type(value) is int and 0 <= value < 1 << self.length:
                return word(self.length, value)
            good = isinstance(value, Word) and value.width == self.length
        elif self.kind == "array" and self.item is not None:
            if isinstance(value, tuple) and len(value) == self.length:
                return tuple([self.item.require(part) for part in value])
        elif isinstance(value, Poly):
            good = self.kind == "rat" and self.low is None
        else:
            good = _is_number(value) and (self.kind == "rat" or isinstance(value, int))
            good = good and (self.low is None or self.low <= value <= self.high)
        if not good:
            raise Fault(f"{value} is no {self}")
        return value

    def read(self, value: Any) -> Any:
        """A value as the language core writes it, as one of these."""
        if self.kind == "enum":
            return symbol(self.enum, value)
        if self.kind == "bits":
            return word(self.length, value)
        if self.kind == "array" and self.item is not None:
            return tuple(self.item.read(part) for part in value)
        return self.require(value)


def plain(value: Any) -> Any:
    """A value as the language core writes it: members by their ordinals, bits as numbers."""
    if isinstance(value, Symbol):
        return value.ordinal
    if isinstance(value, Word):
        return value.number
    return tuple(plain(v) for v in value) if isinstance(value, tuple) else value


def _is_number(value: Any) -> bool:
    return type(value) is int or type(value) is Fraction


def _number(value: Any) -> Any:
    if not _is_number(value):
        raise Fault(f"{value} is no number")
    return value


def weight_of(value: Any) -> Any:
    """A number or a polynomial."""
    return value if isinstance(value, Poly) else _number(value)


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise Fault(f"{value} is no integer")
    return value


def truth(value: Any) -> bool:
    """A truth value, and nothing else."""
    if not isinstance(value, bool):
        raise Fault(f"{value} is no truth value")
    return value


def _bits(value: Any) -> Word:
    if not isinstance(value, Word):
        raise Fault(f"{value} is no vector of bits")
    return value


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, Symbol):
        return value.enum
    if isinstance(value, Word):
        return f"bits[{value.width}]"
    return "array" if isinstance(value, tuple) else "number"


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    """Both values, an integer beside bits as bits of that width; Fault where they cannot be compared."""
    if isinstance(left, Word) and type(right) is int:
        right = Domain("bits", length=left.width).require(right)
    elif isinstance(right, Word) and type(left) is int:
        left = Domain("bits", length=right.width).require(left)
    elif isinstance(left, tuple) and isinstance(right, tuple) and len(left) == len(right):
        pairs = [_alike(a, b) for a, b in zip(left, right, strict=True)]
        return tuple(a for a, _ in pairs), tuple(b for _, b in pairs)
    if _kind(left) != _kind(right) or isinstance(left, Poly) or isinstance(right, Poly):
        raise Fault(f"{left} and {right} cannot be compared")
    return left, right


# --- names ---------------------------------------------------------------------------------------


class Names:
    """What a place can read: values, formulas worked out when they are first read, and everything outside.

    `prices` overrides the ticks of operations.
    """

    __slots__ = ("defs", "enums", "formulas", "known", "outer", "prices")

    def __init__(self, outer: Names | None = None, known: dict[str, Any] | None = None) -> None:
        self.outer = outer
        self.known: dict[str, Any] = {} if known is None else known
        self.formulas: dict[str, Callable[[], Any]] = {}
        self.enums: dict[str, tuple[str, ...]] = {}
        self.defs: dict[str, tuple[s.Def, Names]] = {}
        self.prices: dict[str, int] = {} if outer is None else outer.prices

    def price(self, operation: str) -> int:
        """The ticks of an operation."""
        return self.prices.get(operation, 1)

    def read(self, name: str) -> Any:
        """The value of a name. A circle never ends, which Python reports as a RecursionError."""
        place: Names | None = self
        while place is not None:
            if name in place.known:
                return place.known[name]
            if name in place.formulas:
                place.known[name] = value = place.formulas[name]()
                return value
            place = place.outer
        owners = [e for e, members in self.all_enums() if name in members]
        if len(owners) != 1:
            raise Fault(f"nothing, or more than one thing, is called {name}")
        return self.member(owners[0], name)

    def member(self, enum: str, member: str) -> Symbol:
        """A member of an enum."""
        members = dict(self.all_enums()).get(enum, ())
        if member not in members:
            raise Fault(f"{enum} has no member {member}")
        return symbol(enum, members.index(member))

    def all_enums(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Every enum in sight."""
        place: Names | None = self
        while place is not None:
            yield from place.enums.items()
            place = place.outer

    def function(self, name: str) -> tuple[s.Def, Names] | None:
        """A `def` with the place it was declared in."""
        place: Names | None = self
        while place is not None:
            if name in place.defs:
                return place.defs[name]
            place = place.outer
        return None

    def inside(self, **known: Any) -> Names:
        """A place inside this one."""
        return Names(self, known)

    def add(self, node: s.Node) -> None:
        """Declare a constant, table, parameter, function or enum."""
        match node:
            case s.Enum(name, members):
                self.enums[name] = members
            case s.Const(name, value):
                self.formulas[name] = lambda: evaluate(value, self)[0]
            case s.Table(name, kind, value) | s.Param(name, kind, value):
                self.formulas[name] = lambda: domain(kind, self).require(evaluate(value, self)[0])
            case s.Def(name):
                self.defs[name] = (node, self)


def domain(kind: s.TypeExpr, names: Names) -> Domain:
    """The values of a written type."""
    match kind:
        case s.BoolType():
            return Domain("bool")
        case s.IntType(None, None):
            return Domain("int")
        case s.RatType(None, None):
            return Domain("rat")
        case s.IntType(low, high) | s.RatType(low, high):
            assert low is not None and high is not None
            which = "int" if isinstance(kind, s.IntType) else "rat"
            return Domain(which, evaluate(low, names)[0], evaluate(high, names)[0])
        case s.BitsType(width):
            return Domain("bits", length=_whole(evaluate(width, names)[0]))
        case s.NamedType(name):
            members = dict(names.all_enums()).get(name)
            if members is None:
                raise Fault(f"there is no enum {name}")
            return Domain("enum", enum=name, length=len(members))
        case s.ArrayType(s.Name(name), item) if name in dict(names.all_enums()):
            length = len(dict(names.all_enums())[name])
            return Domain("array", enum=name, length=length, item=domain(item, names))
        case s.ArrayType(size, item):
            length = _whole(evaluate(size, names)[0])
            return Domain("array", length=length, item=domain(item, names))


# --- expressions: the value and the ticks --------------------------------------------------------


def evaluate(expr: s.Expr, names: Names) -> tuple[Any, int]:
    """The value of an expression and its ticks (LANGUAGE, section 5)."""
    return _FORMS[type(expr)](expr, names)


def _literal(expr: Any, names: Names) -> tuple[Any, int]:
    return expr.value, 0


def _read(expr: s.Name, names: Names) -> tuple[Any, int]:
    return names.read(expr.name), 0


def _primed(expr: s.Primed, names: Names) -> tuple[Any, int]:
    return names.read(expr.name + "'"), 0


def _member(expr: s.Member, names: Names) -> tuple[Any, int]:
    return names.member(expr.enum, expr.member), 0


def _unary(expr: s.Unary, names: Names) -> tuple[Any, int]:
    value, ticks = evaluate(expr.operand, names)
    ticks += names.price(expr.op)
    if expr.op == "not":
        return not truth(value), ticks
    if expr.op == "~":
        return word(_bits(value).width, ~value.number), ticks
    if isinstance(value, Word):
        return word(value.width, -value.number), ticks
    return Poly.of(0).plus(value, -1) if isinstance(value, Poly) else -_number(value), ticks


def _binary(expr: s.Binary, names: Names) -> tuple[Any, int]:
    op = expr.op
    first, ticks = evaluate(expr.left, names)
    ticks += names.price(op)
    if op in ("and", "or", "implies"):
        decided = truth(first) if op == "or" else not truth(first)
        if decided:
            return op != "and", ticks
        second, more = evaluate(expr.right, names)
        return truth(second), ticks + more
    second, more = evaluate(expr.right, names)
    return _arithmetic(op, first, second), ticks + more


def _arithmetic(op: str, left: Any, right: Any) -> Any:
    if op in ("<<", ">>"):
        amount = right.number if isinstance(right, Word) else _whole(right)
        return _shifted(op, _bits(left), amount)
    if isinstance(left, Word) or isinstance(right, Word):
        left, right = _alike(left, right)
        return _on_bits(op, left, right)
    if isinstance(left, Poly) or isinstance(right, Poly):
        return _on_polys(op, left, right)
    left, right = _number(left), _number(right)
    if op == "+":
        return left + right
    if op == "-":
        return left - right
    if op == "*":
        return left * right
    if op not in ("/", "div", "mod"):
        raise Fault(f"{op} takes bits")
    if right == 0:
        raise Fault("division by 0")
    if op == "/":
        return Fraction(left) / Fraction(right)
    quotient = floor(Fraction(_whole(left), _whole(right)))
    return quotient if op == "div" else left - right * quotient


def _on_polys(op: str, left: Any, right: Any) -> Poly:
    if op in ("+", "-"):
        return Poly.of(left).plus(right, 1 if op == "+" else -1)
    if op == "*":
        return Poly.of(left).times(right)
    if op != "/" or isinstance(right, Poly) or right == 0:
        raise Fault(f"{op} of an unknown")
    return left.times(1 / Fraction(right))  # type: ignore[no-any-return]


def _on_bits(op: str, left: Word, right: Word) -> Word:
    a, b = left.number, right.number
    found = {"+": a + b, "-": a - b, "*": a * b, "&": a & b, "|": a | b, "^": a ^ b}
    if op not in found:
        raise Fault(f"{op} of bits")
    return word(left.width, found[op])


def _shifted(op: str, left: Word, amount: int) -> Word:
    if amount < 0:
        raise Fault(f"a shift by {amount}")
    if op == "ashr":
        return word(left.width, left.signed // 2 ** min(amount, left.width))
    if amount >= left.width:
        return word(left.width, 0)
    return word(left.width, left.number * 2**amount if op == "<<" else left.number // 2**amount)


def _chain(expr: s.Compare, names: Names) -> tuple[bool, int]:
    left, ticks = evaluate(expr.operands[0], names)
    for op, operand in zip(expr.ops, expr.operands[1:], strict=True):
        right, more = evaluate(operand, names)
        ticks += more + names.price(op)
        if not _compared(op, left, right):
            return False, ticks
        left = right
    return True, ticks


def _compared(op: str, left: Any, right: Any) -> bool:
    if op in ("==", "!="):
        left, right = _alike(left, right)
        return bool(left == right) == (op == "==")
    gap = _number(left) - _number(right)
    if op == "<":
        return bool(gap < 0)
    if op == "<=":
        return bool(gap <= 0)
    return bool(gap > 0 if op == ">" else gap >= 0)


def _if(expr: s.If, names: Names) -> tuple[Any, int]:
    taken, ticks = evaluate(expr.test, names)
    value, more = evaluate(expr.then if truth(taken) else expr.otherwise, names)
    return value, ticks + more + names.price("if")


def _let(expr: s.Let, names: Names) -> tuple[Any, int]:
    held, ticks = evaluate(expr.value, names)
    value, more = evaluate(expr.body, Names(names, {expr.name: held}))
    return value, ticks + more + names.price("let")


def _match(expr: s.Match, names: Names) -> tuple[Any, int]:
    against, ticks = evaluate(expr.subject, names)
    value, more = evaluate(_taken(against, expr.arms, expr.otherwise, names), names)
    return value, ticks + more + names.price("match")


def _taken(subject: Any, arms: Any, otherwise: Any, names: Names) -> Any:
    for arm in arms:
        for pattern in arm.patterns:
            if _compared("==", subject, evaluate(pattern, names)[0]):
                return arm.body
    if otherwise is None:
        raise Fault(f"no arm takes {subject}")
    return otherwise


def _called(expr: s.Call, names: Names) -> tuple[Any, int]:
    worked = [evaluate(a, names) for a in expr.args]
    value, ticks = call(expr.name, [v for v, _ in worked], names)
    return value, ticks + sum([t for _, t in worked])


def _index(expr: s.Index, names: Names) -> tuple[Any, int]:
    (items, ticks), (at, more) = evaluate(expr.array, names), evaluate(expr.index, names)
    return items[_place_in(items, at)], ticks + more + names.price("index")


def _place_in(items: Any, at: Any) -> int:
    place = at.ordinal if isinstance(at, Symbol) else _whole(at)
    if not isinstance(items, tuple) or not 0 <= place < len(items):
        raise Fault(f"no item {at} in {items}")
    return place


def _array(expr: s.ArrayLit, names: Names) -> tuple[Any, int]:
    worked = [evaluate(i, names) for i in expr.items]
    return tuple([v for v, _ in worked]), names.price("array") + sum([t for _, t in worked])


def turns_of(low: s.Expr, high: s.Expr, names: Names) -> range:
    """The turns from one constant end to the other."""
    return range(_whole(evaluate(low, names)[0]), _whole(evaluate(high, names)[0]) + 1)


def _array_for(expr: s.ArrayFor, names: Names) -> tuple[Any, int]:
    turns = turns_of(expr.low, expr.high, names)
    worked = [evaluate(expr.body, Names(names, {expr.var: i})) for i in turns]
    return tuple([v for v, _ in worked]), names.price("array") + sum([t for _, t in worked])


def _with(expr: s.With, names: Names) -> tuple[Any, int]:
    items, ticks = evaluate(expr.array, names)
    changed = list(items)
    for change in expr.changes:
        (at, first), (value, second) = (
            evaluate(change.index, names),
            evaluate(change.value, names),
        )
        place = _place_in(items, at)
        changed[place] = _alike(items[place], value)[1]
        ticks += first + second + names.price("with")
    return tuple(changed), ticks


def _fold(expr: s.Fold, names: Names) -> tuple[Any, int]:
    held, ticks = evaluate(expr.start, names)
    ticks += names.price("fold")
    for i in turns_of(expr.low, expr.high, names):
        held, more = evaluate(expr.body, Names(names, {expr.acc: held, expr.var: i}))
        ticks += more + names.price("fold")
    return held, ticks


def _quantifier(expr: s.Quantifier, names: Names) -> tuple[bool, int]:
    every, ticks = expr.word == "forall", 0
    for i in turns_of(expr.low, expr.high, names):
        found, more = evaluate(expr.body, Names(names, {expr.var: i}))
        ticks += more + names.price(expr.word)
        if truth(found) != every:
            return not every, ticks
    return every, ticks


def _resize(expr: s.Resize, names: Names) -> tuple[Word, int]:
    width = _whole(evaluate(expr.width, names)[0])
    value, ticks = evaluate(expr.operand, names)
    ticks += names.price(expr.word)
    if expr.word == "sext":
        return word(width, _bits(value).signed), ticks
    return word(width, value.number if isinstance(value, Word) else _whole(value)), ticks


_FORMS: Mapping[type[s.Node], Callable[[Any, Names], tuple[Any, int]]] = {
    s.BoolLit: _literal,
    s.IntLit: _literal,
    s.RatLit: _literal,
    s.Name: _read,
    s.Primed: _primed,
    s.Member: _member,
    s.Unary: _unary,
    s.Binary: _binary,
    s.Compare: _chain,
    s.If: _if,
    s.Let: _let,
    s.Match: _match,
    s.Call: _called,
    s.Index: _index,
    s.ArrayLit: _array,
    s.ArrayFor: _array_for,
    s.With: _with,
    s.Fold: _fold,
    s.Quantifier: _quantifier,
    s.Resize: _resize,
}


def call(name: str, args: list[Any], names: Names) -> tuple[Any, int]:
    """The value of a call, and its ticks without those of the arguments."""
    if name in _PLAIN:
        return _PLAIN[name](*args), names.price(name)
    if name in ("min", "max"):
        best = args[0]
        for other in args[1:]:
            below = _number(other) < _number(best)
            best = other if below == (name == "min") and other != best else best
        return best, (len(args) - 1) * names.price(name)
    members = dict(names.all_enums()).get(name)
    if members is not None:
        if not 0 <= _whole(args[0]) < len(members):
            raise Fault(f"{name} has no member number {args[0]}")
        return symbol(name, args[0]), names.price("convert")
    found = names.function(name)
    if found is None or len(found[0].parameters) != len(args):
        raise Fault(f"{name} cannot be called like this")
    function, home = found
    given = {
        p.name: domain(p.type, home).require(a)
        for p, a in zip(function.parameters, args, strict=True)
    }
    inside = Names(home, given)
    inside.prices = names.prices
    value, ticks = evaluate(function.body, inside)
    return domain(function.result, home).require(value), ticks + names.price("call")


def _abs(value: Any) -> Any:
    return -value if _number(value) < 0 else value


def _clamp(value: Any, low: Any, high: Any) -> Any:
    """`max(low, min(value, high))`."""
    least = high if _number(high) < _number(value) else value
    return low if _number(low) > least else least


def _ord(value: Any) -> int:
    if not isinstance(value, Symbol):
        raise Fault(f"{value} is no member")
    return value.ordinal


def _ashr(value: Any, amount: Any) -> Word:
    return _shifted(
        "ashr", _bits(value), amount.number if isinstance(amount, Word) else _whole(amount)
    )


def _divided(signed: bool, rest: bool) -> Callable[[Any, Any], Word]:
    """Division of bits, which truncates towards zero; the rest has the sign of the dividend."""

    def divide(left: Any, right: Any) -> Word:
        left, right = _alike(left, right)
        a, b = (_bits(left).signed, right.signed) if signed else (_bits(left).number, right.number)
        if b == 0:
            raise Fault("division by 0")
        quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        return word(left.width, a - quotient * b if rest else quotient)

    return divide


def _ordered(signed: bool, strict: bool) -> Callable[[Any, Any], bool]:
    def compare(left: Any, right: Any) -> bool:
        left, right = _alike(left, right)
        a, b = (_bits(left).signed, right.signed) if signed else (_bits(left).number, right.number)
        return a < b or (a == b and not strict)

    return compare


_PLAIN: Mapping[str, Callable[..., Any]] = {
    "abs": _abs,
    "clamp": _clamp,
    "floor": lambda value: floor(_number(value)),
    "ord": _ord,
    "int": lambda value: _bits(value).number,
    "sint": lambda value: _bits(value).signed,
    "ashr": _ashr,
    "udiv": _divided(signed=False, rest=False),
    "urem": _divided(signed=False, rest=True),
    "sdiv": _divided(signed=True, rest=False),
    "srem": _divided(signed=True, rest=True),
    "ult": _ordered(signed=False, strict=True),
    "ule": _ordered(signed=False, strict=False),
    "slt": _ordered(signed=True, strict=True),
    "sle": _ordered(signed=True, strict=False),
}


# --- distributions -------------------------------------------------------------------------------


def distribution(dist: s.Dist, names: Names) -> dict[Any, Any]:
    """The weights, numbers or polynomials, of the values that may be drawn."""
    match dist:
        case s.DistMap(entries):
            listed = [(names, entry) for entry in entries]
        case s.DistFor(var, low, high, entry):
            listed = [(Names(names, {var: i}), entry) for i in turns_of(low, high, names)]
        case s.DistIf(test, then, otherwise):
            return distribution(then if truth(evaluate(test, names)[0]) else otherwise, names)
        case s.DistLet(name, bound, body):
            return distribution(body, Names(names, {name: evaluate(bound, names)[0]}))
        case s.DistMatch(subject, arms, last):
            return distribution(_taken(evaluate(subject, names)[0], arms, last, names), names)
    weights: dict[Any, Poly] = {}
    for place, entry in listed:
        value = evaluate(entry.value, place)[0]
        weight = weight_of(evaluate(entry.weight, place)[0])
        weights[value] = weights.get(value, Poly({})).plus(weight)
    total = Poly({})
    for weight in weights.values():
        total = total.plus(weight)
        if list(weight.terms) in ([], [()]) and weight.at({}) < 0:
            raise Fault(f"a weight of {weight}")
    if list(total.terms) in ([], [()]) and total.at({}) != 1:
        raise Fault(f"weights that sum to {total}")
    return {v: _simple(w) for v, w in weights.items() if w.terms}


def _simple(weight: Poly) -> Any:
    return weight.at({}) if list(weight.terms) in ([], [()]) else weight
