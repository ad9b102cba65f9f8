"""Polynomials in the rational unknowns and rates of a world: what weights and rewards are worth that read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from math import gcd, lcm
from typing import TypeAlias, cast

Monomial: TypeAlias = tuple[tuple[str, int], ...]
"""Names with their exponents, which are at least 1, in the order of the names; empty for the constant term."""
Terms: TypeAlias = tuple[tuple[Monomial, Fraction], ...]
_Whole: TypeAlias = tuple[dict[Monomial, int], int]

TERMS_MAX = 10_000

PRODUCTS_MAX = 1_000_000
"""How many products of terms one multiplication may take."""


class PolynomialTooLarge(ArithmeticError):
    """A polynomial of more than `TERMS_MAX` terms, or one that takes too much to work out."""


class Polynomial:
    """A polynomial that is not constant, with rational coefficients; frozen, compared by value.

    Arithmetic with numbers and polynomials is exact and gives a `Fraction` wherever the result is constant, so that no
    `Polynomial` ever stands for a number. Division is by numbers alone. Polynomials have no order.

    It is worked with as whole numbers by monomial over one positive denominator, without a common divisor; `terms` are
    made of these when they are asked for, and the other way round.
    """

    __slots__ = ("_terms", "_whole")

    _terms: Terms | None
    _whole: _Whole | None

    def __init__(self, terms: Terms) -> None:
        object.__setattr__(self, "_terms", terms)
        object.__setattr__(self, "_whole", None)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a polynomial is frozen")

    @staticmethod
    def variable(name: str) -> Polynomial:
        """The polynomial that is just this name."""
        return Polynomial(((((name, 1),), Fraction(1)),))

    @property
    def terms(self) -> Terms:
        """Monomials in order, each with its coefficient, which is not 0."""
        if self._terms is None:
            numbers, under = whole_of(self)
            found = tuple((m, Fraction(numbers[m], under)) for m in sorted(numbers))
            object.__setattr__(self, "_terms", found)
            return found
        return self._terms

    def __eq__(self, other: object) -> bool:
        return type(other) is Polynomial and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(self.terms)

    def __add__(self, other: Weight | int) -> Weight:
        (left, under), (right, beneath) = whole_of(self), whole_of(other)
        common = lcm(under, beneath)
        up, over = common // under, common // beneath
        total = dict(left) if up == 1 else {m: c * up for m, c in left.items()}
        for monomial, c in right.items():
            total[monomial] = total.get(monomial, 0) + c * over
        return weight_of(total, common)

    __radd__ = __add__

    def __neg__(self) -> Weight:
        numbers, under = whole_of(self)
        return _made({m: -c for m, c in numbers.items()}, under)

    def __sub__(self, other: Weight | int) -> Weight:
        return self + -other

    def __rsub__(self, other: Weight | int) -> Weight:
        return -self + other

    def __mul__(self, other: Weight | int) -> Weight:
        (left, under), (right, beneath) = whole_of(self), whole_of(other)
        if len(left) * len(right) > PRODUCTS_MAX:
            raise PolynomialTooLarge(f"a product of more than {PRODUCTS_MAX:,} terms")
        total: dict[Monomial, int] = {}
        for m, a in left.items():
            for n, b in right.items():
                monomial = _multiplied(m, n)
                total[monomial] = total.get(monomial, 0) + a * b
        return weight_of(total, under * beneath)

    __rmul__ = __mul__

    def __truediv__(self, other: Weight | int) -> Weight:
        if isinstance(other, Polynomial):
            raise TypeError("a polynomial is divided by numbers alone")
        return self * (1 / Fraction(other))

    def __repr__(self) -> str:
        return f"Polynomial({show_weight(self)})"

    def __reduce__(self) -> tuple[type[Polynomial], tuple[object, ...]]:
        return Polynomial, (self.terms,)


Weight: TypeAlias = Fraction | Polynomial
"""A number, or what it is as a polynomial in the unknowns and rates."""


def polynomial(terms: Mapping[Monomial, Fraction]) -> Weight:
    """The sum of some terms: a `Polynomial`, or a `Fraction` where it is constant. Raises PolynomialTooLarge."""
    return weight_of(*_to_whole(terms.items()))


def whole_of(weight: Weight | int) -> _Whole:
    """Whole numbers by monomial, none of them 0, and the positive denominator below them, without a common divisor."""
    if not isinstance(weight, Polynomial):
        number = weight if type(weight) is Fraction else Fraction(weight)
        return ({(): number.numerator} if number else {}), number.denominator
    if weight._whole is None:
        object.__setattr__(weight, "_whole", _to_whole(weight.terms))
    return cast(_Whole, weight._whole)


def weight_of(numbers: Mapping[Monomial, int], under: int) -> Weight:
    """The sum of monomials with whole numbers over a positive denominator. Raises PolynomialTooLarge."""
    kept = {m: c for m, c in numbers.items() if c}
    if not kept:
        return Fraction(0)
    if len(kept) == 1 and () in kept:
        return Fraction(kept[()], under)
    if len(kept) > TERMS_MAX:
        raise PolynomialTooLarge(f"a polynomial of more than {TERMS_MAX:,} terms")
    shared = gcd(under, *kept.values())
    if shared != 1:
        kept, under = {m: c // shared for m, c in kept.items()}, under // shared
    return _made(kept, under)


def _made(numbers: dict[Monomial, int], under: int) -> Polynomial:
    found = Polynomial.__new__(Polynomial)
    object.__setattr__(found, "_terms", None)
    object.__setattr__(found, "_whole", (numbers, under))
    return found


def _to_whole(terms: Iterable[tuple[Monomial, Fraction]]) -> _Whole:
    found = list(terms)
    under = lcm(*(c.denominator for _, c in found))
    return {m: c.numerator * (under // c.denominator) for m, c in found if c}, under


def terms_of(weight: Weight | int) -> Iterator[tuple[Monomial, Fraction]]:
    """The terms of a number or polynomial, none of which is 0."""
    if isinstance(weight, Polynomial):
        yield from weight.terms
    elif weight:
        yield (), Fraction(weight)


def names_of(weight: Weight | int) -> frozenset[str]:
    """The unknowns and rates that stand in it."""
    if not isinstance(weight, Polynomial):
        return frozenset()
    return frozenset(name for monomial in whole_of(weight)[0] for name, _ in monomial)


def degree_of(weight: Weight | int, name: str) -> int:
    """The highest exponent of a name."""
    return max((e for m in whole_of(weight)[0] for n, e in m if n == name), default=0)


def total_degree(weight: Weight | int) -> int:
    """The highest sum of exponents; at most 1 for an affine polynomial."""
    return max((sum(e for _, e in m) for m in whole_of(weight)[0]), default=0)


def substitute(weight: Weight | int, values: Mapping[str, Fraction]) -> Weight:
    """The weight with numbers in the place of some of its names."""
    if not isinstance(weight, Polynomial):
        return Fraction(weight)
    numbers, under = whole_of(weight)
    parts: list[tuple[Monomial, int, int]] = []
    for monomial, above in numbers.items():
        rest, below = monomial, 1
        for part in monomial:
            value = values.get(part[0])
            if value is not None:
                rest = tuple(p for p in rest if p is not part)
                above *= value.numerator ** part[1]
                below *= value.denominator ** part[1]
        parts.append((rest, above, below))
    common = lcm(*(below for _, _, below in parts))
    total: dict[Monomial, int] = {}
    for rest, above, below in parts:
        total[rest] = total.get(rest, 0) + above * (common // below)
    return weight_of(total, under * common)


def show_weight(weight: Weight | int) -> str:
    """A weight as it could be written in a machine file: `1/4 + 2 * p * q`."""
    parts: list[str] = []
    for monomial, c in terms_of(weight):
        names = [name for name, exponent in monomial for _ in range(exponent)]
        shown = names if abs(c) == 1 and names else [str(abs(c)), *names]
        sign = ("-" if c < 0 else "") if not parts else (" - " if c < 0 else " + ")
        parts.append(sign + " * ".join(shown))
    return "".join(parts) or "0"


@lru_cache(maxsize=65_536)
def _multiplied(left: Monomial, right: Monomial) -> Monomial:
    if not left or not right:
        return left or right
    exponents = dict(left)
    for name, exponent in right:
        exponents[name] = exponents.get(name, 0) + exponent
    return tuple(sorted(exponents.items()))
