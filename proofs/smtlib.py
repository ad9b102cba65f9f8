"""Terms of SMT-LIB 2: symbols, numerals, sorts, arrays as their items, bindings, sums of ticks.

Integers and enum members are `Int`, rationals `Real`, `bits[n]` is `(_ BitVec n)`; an array is taken apart into its items,
and a constant array is a declared function of its indices. Names of the author are kept: `row'` is `|row'|`, and `!` is
added to reserved words. Names that we make hold a dot or a `!`, so that they meet none of the author's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias, assert_never

from dsl.polynomial import Weight, terms_of
from dsl.types import Array, Bits, Bool, Enum, Int, Rat, Type, Value

TEXT_MAX = 4_000_000
"""Characters of one term; arrays under indices that are not literals can grow beyond any use."""


class TooLarge(Exception):
    """A term that would be longer than `TEXT_MAX`."""


@dataclass(frozen=True, slots=True)
class Term:
    """A scalar term and its sort: `Int`, `Real`, `Bool` or `(_ BitVec n)`; `number` is set of integer numerals."""

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


def polynomial_text(weight: Weight | int) -> str:
    """A number, or a polynomial in rational unknowns and rates, as a term."""
    parts: list[str] = []
    for monomial, coefficient in terms_of(weight):
        factors = [symbol(name) for name, exponent in monomial for _ in range(exponent)]
        if coefficient != 1 or not factors:
            factors.insert(0, decimal(coefficient))
        parts.append(factors[0] if len(factors) == 1 else f"(* {' '.join(factors)})")
    if not parts:
        return "0.0"
    return parts[0] if len(parts) == 1 else f"(+ {' '.join(parts)})"


def bits_sort(width: int) -> str:
    """The sort of bit vectors of a width."""
    return f"(_ BitVec {width})"


def width_of(term: Term) -> int | None:
    """The width of a bit vector; None of any other term."""
    return int(term.sort[10:-1]) if term.sort.startswith("(_ BitVec ") else None


def bits_numeral(number: int, width: int) -> Term:
    """A bit vector, modulo 2^width, in hexadecimal digits where these fit."""
    number %= 1 << width
    text = f"#x{number:0{width // 4}x}" if width % 4 == 0 else f"#b{number:0{width}b}"
    return Term(text, bits_sort(width))


def sort_of(kind: Type) -> str:
    """The sort of a scalar type."""
    match kind:
        case Bool():
            return "Bool"
        case Bits(width):
            return bits_sort(width)
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
        case Bits(width):
            return bits_numeral(value, width)  # type: ignore[arg-type]
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
            return Row(tuple(look_up(value, numeral(i)) for i in range(kind.length)))
        case _:
            raise TypeError("a scalar has no items")


def scalar(value: Encoded) -> Term:
    """A value that is known to be no array."""
    if not isinstance(value, Term):
        raise TypeError("an array where a scalar is expected")
    return value


def widen(value: Encoded, kind: Type) -> Encoded:
    """The value as one of the type: integers become rationals, and integer numerals bits, where that is asked for."""
    if isinstance(kind, Array):
        if isinstance(value, Lookup):
            if _innermost(value.kind) == _innermost(kind):
                return value
            value = spread(value)
        return Row(tuple(widen(item, kind.item) for item in spread(value).items))
    if isinstance(kind, Rat):
        return to_real(scalar(value))
    if isinstance(kind, Bits):
        return _as_bits(scalar(value), kind.width)
    return value


def _as_bits(term: Term, width: int) -> Term:
    """An integer numeral in a place of bits, which takes their type."""
    return term if term.number is None else bits_numeral(term.number, width)


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
        left, right = same_sort([left, right])
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
        then, otherwise = same_sort([then, otherwise])
        return Term(limited(f"(ite {test} {then.text} {otherwise.text})"), then.sort)
    if then == otherwise:
        return then
    pairs = zip(spread(then).items, spread(otherwise).items, strict=True)
    return Row(tuple(choose(test, a, b) for a, b in pairs))


def limited(text: str) -> str:
    """The text itself; raises TooLarge where it is longer than any use."""
    if len(text) > TEXT_MAX:
        raise TooLarge(f"a term of more than {TEXT_MAX:,} characters")
    return text


def _innermost(kind: Type) -> str:
    return _innermost(kind.item) if isinstance(kind, Array) else sort_of(kind)


def same_sort(terms: Iterable[Term]) -> list[Term]:
    """Terms of one sort: rational if one of them is; integer numerals are bits if one of the others is."""
    found = list(terms)
    for term in found:
        if term.sort == "Real":
            return [to_real(t) for t in found]
        width = width_of(term)
        if width is not None:
            return [_as_bits(t, width) for t in found]
    return found


def look_up(array: Lookup, index: str) -> Encoded:
    """An item of a constant array, or the array that is left to index."""
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
    return limited(f"(let ({used}) {text})") if used else text


def wrap_ticks(bindings: Sequence[Binding], ticks: Ticks) -> Ticks:
    """Ticks under `let`."""
    if not bindings or not ticks.terms:
        return ticks
    if len(ticks.terms) == 1:
        return Ticks(ticks.fixed, (wrap_text(bindings, ticks.terms[0]),))
    return Ticks(ticks.fixed, (wrap_text(bindings, f"(+ {' '.join(ticks.terms)})"),))


Turn: TypeAlias = Sequence[Binding]
"""What is bound in one turn of a loop; it may read what was bound in the turns before."""


def wrap_turns(turns: Sequence[Turn], value: Encoded) -> Encoded:
    """The value under the bindings of one turn after another."""
    match value:
        case Term(text, sort, number):
            return Term(chain_turns([*turns, ()], [*((),) * len(turns), (text,)], ""), sort, number)
        case Row(items):
            return Row(tuple(wrap_turns(turns, item) for item in items))
        case Lookup(name, indices, kind):
            inner = [scalar(wrap_turns(turns, Term(i, "Int"))).text for i in indices]
            return Lookup(name, tuple(inner), kind)
        case _:
            assert_never(value)


def chain_turns(turns: Sequence[Turn], parts: Sequence[Sequence[str]], word: str) -> str:
    """The parts of every turn under its bindings and those before it, joined by a word; nothing is written twice.

    Bindings that no part needs are left out; without any part the text is empty.
    """
    opened: list[str] = []
    closed = 0
    wanted = set[str]()
    for bindings, texts in zip(reversed(turns), reversed(parts), strict=True):
        if opened and texts:
            opened.append(f"({word} {' '.join(texts)} ")
            closed += 1
        elif texts:
            opened.append(texts[0] if len(texts) == 1 else f"({word} {' '.join(texts)})")
        for text in texts:
            wanted.update(_TOKEN.findall(text))
        used = [(name, bound) for name, bound in bindings if name in wanted]
        if used:
            opened.append(f"(let ({' '.join(f'({name} {bound})' for name, bound in used)}) ")
            closed += 1
            for _, bound in used:
                wanted.update(_TOKEN.findall(bound))
    return limited("".join(reversed(opened)) + ")" * closed)


_TOKEN = re.compile(r"[^\s()]+")


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


# --- our own functions ---------------------------------------------------------------------------


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
