"""Polynomials in the rational unknowns and rates of a world: what weights and rewards are worth that read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TypeAlias

Monomial: TypeAlias = tuple[tuple[str, int], ...]
"""Names with their exponents, which are at least 1, in the order of the names; empty for the constant term."""

TERMS_MAX = 10_000


PRODUCTS_MAX = 1_000_000
"""How many products of terms one multiplication may take."""


class PolynomialTooLarge(ArithmeticError):
    """A polynomial of more than `TERMS_MAX` terms, or one that takes too much to work out."""


class Polynomial:
    """A polynomial that is not constant, with rational coefficients; frozen, compared by value.

    Arithmetic with numbers and polynomials is exact and gives a `Fraction` wherever the result is constant, so that no
    `Polynomial` ever stands for a number. Division is by numbers alone. Polynomials have no order.
    """

    __slots__ = ("_hash", "terms")

    terms: tuple[tuple[Monomial, Fraction], ...]

    def __init__(self, terms: tuple[tuple[Monomial, Fraction], ...]) -> None:
        object.__setattr__(self, "terms", terms)
        object.__setattr__(self, "_hash", hash(terms))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a polynomial is frozen")

    @staticmethod
    def variable(name: str) -> Polynomial:
        """The polynomial that is just this name."""
        return Polynomial(((((name, 1),), Fraction(1)),))

    def __eq__(self, other: object) -> bool:
        return type(other) is Polynomial and self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash  # type: ignore[attr-defined, no-any-return]

    def __add__(self, other: Weight | int) -> Weight:
        total = dict(self.terms)
        for monomial, coefficient in terms_of(other):
            total[monomial] = total.get(monomial, Fraction(0)) + coefficient
        return polynomial(total)

    __radd__ = __add__

    def __neg__(self) -> Weight:
        return Polynomial(tuple((m, -c) for m, c in self.terms))

    def __sub__(self, other: Weight | int) -> Weight:
        return self + -other

    def __rsub__(self, other: Weight | int) -> Weight:
        return -self + other

    def __mul__(self, other: Weight | int) -> Weight:
        total: dict[Monomial, Fraction] = {}
        factors = tuple(terms_of(other))
        if len(self.terms) * len(factors) > PRODUCTS_MAX:
            raise PolynomialTooLarge(f"a product of more than {PRODUCTS_MAX:,} terms")
        for left, a in self.terms:
            for right, b in factors:
                monomial = _multiplied(left, right)
                total[monomial] = total.get(monomial, Fraction(0)) + a * b
        return polynomial(total)

    __rmul__ = __mul__

    def __truediv__(self, other: Weight | int) -> Weight:
        if isinstance(other, Polynomial):
            raise TypeError("a polynomial is divided by numbers alone")
        return Polynomial(tuple((m, c / other) for m, c in self.terms))

    def __repr__(self) -> str:
        return f"Polynomial({show_weight(self)})"

    def __reduce__(self) -> tuple[type[Polynomial], tuple[object, ...]]:
        return Polynomial, (self.terms,)


Weight: TypeAlias = Fraction | Polynomial
"""A number, or what it is as a polynomial in the unknowns and rates."""


def polynomial(terms: Mapping[Monomial, Fraction]) -> Weight:
    """The sum of some terms: a `Polynomial`, or a `Fraction` where it is constant. Raises PolynomialTooLarge."""
    kept = tuple(sorted((m, c) for m, c in terms.items() if c))
    if not kept:
        return Fraction(0)
    if len(kept) == 1 and kept[0][0] == ():
        return Fraction(kept[0][1])
    if len(kept) > TERMS_MAX:
        raise PolynomialTooLarge(f"a polynomial of more than {TERMS_MAX:,} terms")
    return Polynomial(kept)


def terms_of(weight: Weight | int) -> Iterator[tuple[Monomial, Fraction]]:
    """The terms of a number or polynomial, none of which is 0."""
    if isinstance(weight, Polynomial):
        yield from weight.terms
    elif weight:
        yield (), Fraction(weight)


def names_of(weight: Weight | int) -> frozenset[str]:
    """The unknowns and rates that stand in it."""
    return frozenset(name for monomial, _ in terms_of(weight) for name, _ in monomial)


def degree_of(weight: Weight | int, name: str) -> int:
    """The highest exponent of a name."""
    return max((dict(m).get(name, 0) for m, _ in terms_of(weight)), default=0)


def total_degree(weight: Weight | int) -> int:
    """The highest sum of exponents; at most 1 for an affine polynomial."""
    return max((sum(e for _, e in m) for m, _ in terms_of(weight)), default=0)


def substitute(weight: Weight | int, values: Mapping[str, Fraction]) -> Weight:
    """The weight with numbers in the place of some of its names."""
    if not isinstance(weight, Polynomial):
        return Fraction(weight)
    total: dict[Monomial, Fraction] = {}
    for monomial, coefficient in weight.terms:
        rest: list[tuple[str, int]] = []
        for name, exponent in monomial:
            if name in values:
                coefficient *= Fraction(values[name]) ** exponent
            else:
                rest.append((name, exponent))
        kept = tuple(rest)
        total[kept] = total.get(kept, Fraction(0)) + coefficient
    return polynomial(total)


def show_weight(weight: Weight | int) -> str:
    """A weight as it could be written in a machine file: `1/4 + 2 * p * q`."""
    parts: list[str] = []
    for monomial, c in terms_of(weight):
        names = [name for name, exponent in monomial for _ in range(exponent)]
        shown = names if abs(c) == 1 and names else [str(abs(c)), *names]
        sign = ("-" if c < 0 else "") if not parts else (" - " if c < 0 else " + ")
        parts.append(sign + " * ".join(shown))
    return "".join(parts) or "0"


def _multiplied(left: Monomial, right: Monomial) -> Monomial:
    if not left or not right:
        return left or right
    exponents = dict(left)
    for name, exponent in right:
        exponents[name] = exponents.get(name, 0) + exponent
    return tuple(sorted(exponents.items()))
