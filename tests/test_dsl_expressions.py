"""Expressions: bits, literals that adapt to them, updated copies, folds, quantifiers; types, values, ticks and work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl import syntax as s
from dsl.elaborate import elaborate
from dsl.infer import Faults, Scope
from dsl.interp import OPERATIONS, EvaluationFault, Evaluator, Globals, evaluate
from dsl.parser import parse_expression, parse_machine
from dsl.polynomial import Polynomial
from dsl.scope import ScopeBuilder
from dsl.types import (
    Array,
    Bits,
    Bool,
    Enum,
    Int,
    Rat,
    Type,
    Value,
    cardinality,
    contains,
    decode_value,
    elements,
    encode_value,
    fits,
    inhabits,
    join,
    show_type,
    show_value,
    values,
)
from dsl.work import WORK_MAX

HEATER = Enum("Heater", ("off", "on"))
VARIABLES: dict[str, tuple[Type, Value]] = {
    "b": (Bool(), True),
    "n": (Int(-9, 9), -3),
    "k": (Int(0, 9), 2),
    "r": (Rat(), Fraction(1, 2)),
    "h": (HEATER, 1),
    "x": (Bits(8), 0b1010_0110),
    "y": (Bits(8), 0b0001_1111),
    "w": (Bits(16), 0xFFFE),
    "a": (Array(3, None, Int(0, 9)), (4, 5, 6)),
    "e": (Array(2, HEATER, Int(0, 9)), (7, 8)),
    "v": (Array(3, None, Bits(8)), (1, 2, 255)),
    "grid": (Array(2, None, Array(2, None, Int(0, 9))), ((1, 2), (3, 4))),
}
DEFINITIONS = """
enum Heater { off, on }
const FOUR = 4
const MASK = bits[8](15)
table SQUARES: array[4] of bits[8] = [0, 1, 4, 9]
def twice(i: int): int = 2 * i
def flip(z: bits[8]): bits[8] = if z == 0 then 255 else ~z
def quarter(i: int): rat = i / 4
"""


def builder() -> ScopeBuilder:
    """The scope of the variables above and of some definitions."""
    made = ScopeBuilder(Scope(), Globals(), Faults())
    text = f"machine m {DEFINITIONS} environment {{ }} utility {{ }} agent {{ policy {{ }} }}"
    items = parse_machine(text).declarations.items
    for item in items:
        if isinstance(item, s.Enum):
            made.declare_enum(item)
    made.declare_items([item for item in items if not isinstance(item, s.Enum)])
    made.scope.types.update({name: kind for name, (kind, _) in VARIABLES.items()})
    assert not made.faults.found
    return made


BUILDER = builder()


def read(text: str) -> s.Expr:
    """An expression as the parser reads it."""
    return parse_expression(text)


def type_of(text: str, wanted: Type | None = None) -> Type | None:
    """The type of an expression without faults."""
    found, faults = judge(text, wanted)
    assert not faults, faults
    return found


def judge(text: str, wanted: Type | None = None) -> tuple[Type | None, list[tuple[str, str]]]:
    """The type of an expression, and its faults: codes and messages."""
    BUILDER.faults = Faults()
    expr = read(text)
    if wanted is None:
        found = BUILDER.infer(expr)
    else:
        found = wanted if BUILDER.expect(expr, wanted) else None
    return found, [(d.code, d.message) for d in BUILDER.faults.found]


def codes(text: str, wanted: Type | None = None) -> list[str]:
    """The codes of the faults of an expression."""
    return [code for code, _ in judge(text, wanted)[1]]


def run(text: str, wanted: Type | None = None, **changed: Any) -> tuple[Value, int]:
    """The value and the ticks of an expression."""
    type_of(text, wanted)
    local = {name: value for name, (_, value) in VARIABLES.items()} | changed
    return evaluate(elaborate(BUILDER, read(text), wanted, {}), BUILDER.names(), local)


# --- types ---------------------------------------------------------------------------------------


def test_values_of_bits_are_the_integers_that_fit() -> None:
    assert tuple(values(Bits(3))) == tuple(range(8))
    assert cardinality(Bits(64)) == 2**64
    assert cardinality(Array(2, None, Bits(8))) == 2**16
    assert contains(Bits(8), 255) and not contains(Bits(8), 256) and not contains(Bits(8), -1)
    assert inhabits(Bits(1), 1) and not inhabits(Bits(1), True) and not inhabits(Bits(1), 2)
    assert elements(Array(5, None, Bits(64))) == 5
    assert show_type(Array(2, None, Bits(8))) == "array[2] of bits[8]"
    assert show_value(Bits(8), 200) == "200"


def test_bits_join_bits_of_the_same_width_alone() -> None:
    assert join(Bits(8), Bits(8)) == Bits(8)
    for other in (Bits(7), Int(), Int(0, 255), Rat(), Bool(), HEATER):
        assert join(Bits(8), other) is None
        assert not fits(other, Bits(8)) and not fits(Bits(8), other)
    assert fits(Array(2, None, Bits(8)), Array(2, HEATER, Bits(8)))


@given(st.integers(1, 64), st.data())
def test_bits_are_encoded_and_decoded(width: int, data: st.DataObject) -> None:
    value = data.draw(st.integers(0, 2**width - 1))
    assert decode_value(Bits(width), encode_value(Bits(width), value)) == value
    with pytest.raises(ValueError):
        decode_value(Bits(width), encode_value(Int(), 2**width))


# --- bits against a model ------------------------------------------------------------------------


def unsigned(value: int, width: int) -> int:
    """The vector that an integer stands for, modulo 2^width."""
    return value % (1 << width)


def in_twos_complement(value: int, width: int) -> int:
    """The integer that a vector stands for when its highest bit counts negatively."""
    weights = [*(1 << i for i in range(width - 1)), -(1 << (width - 1))]
    return sum(weight for i, weight in enumerate(weights) if value >> i & 1)


def by_bits(rule: Callable[[int, int], int], left: int, right: int, width: int) -> int:
    """A vector made bit by bit."""
    return sum(2**i * rule(left // 2**i % 2, right // 2**i % 2) for i in range(width))


def divided(left: int, right: int) -> tuple[int, int]:
    """Quotient, rounded towards 0, and rest."""
    exact = Fraction(left, right)
    quotient = int(exact)  # towards 0
    return quotient, left - quotient * right


def model(op: str, a: int, b: int, n: int) -> int | None:
    """What an operation on two vectors of n bits is worth."""
    x, y = in_twos_complement(a, n), in_twos_complement(b, n)
    match op:
        case "+":
            return unsigned(a + b, n)
        case "-":
            return unsigned(a - b, n)
        case "*":
            return unsigned(a * b, n)
        case "&":
            return by_bits(lambda p, q: p * q, a, b, n)
        case "|":
            return by_bits(max, a, b, n)
        case "^":
            return by_bits(lambda p, q: (p + q) % 2, a, b, n)
        case "<<":
            return unsigned(a * 2 ** min(b, n), n)
        case ">>":
            return int(a // 2**b) if b < n else 0
        case "ashr":
            return unsigned(x // int(2 ** min(b, n)), n)
        case "udiv":
            return divided(a, b)[0] if b else None
        case "urem":
            return divided(a, b)[1] if b else None
        case "sdiv":
            return unsigned(divided(x, y)[0], n) if b else None
        case "srem":
            return unsigned(divided(x, y)[1], n) if b else None
        case "ult":
            return int(a < b)
        case "ule":
            return int(a <= b)
        case "slt":
            return int(x < y)
        case "sle":
            return int(x <= y)
    raise AssertionError(op)


INFIX = ("+", "-", "*", "&", "|", "^", "<<", ">>")
FUNCTIONS = ("ashr", "udiv", "urem", "sdiv", "srem")
TESTS = ("ult", "ule", "slt", "sle")


def apply(op: str, left: s.Expr, right: s.Expr) -> s.Expr:
    """An operation as it is written."""
    return s.Binary(op, left, right) if op in INFIX else s.Call(op, (left, right))


@pytest.mark.parametrize("op", INFIX + FUNCTIONS + TESTS)
@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_operation_is_what_the_definition_says_on_all_short_vectors(op: str, width: int) -> None:
    kinds = {"p": Bits(width), "q": Bits(width)}
    tree = elaborate(BUILDER, apply(op, s.Name("p"), s.Name("q")), None, kinds)
    for p, q in product(range(2**width), repeat=2):
        expected = model(op, p, q, width)
        if expected is None:
            with pytest.raises(EvaluationFault) as caught:
                evaluate(tree, Globals(), {"p": p, "q": q})
            assert caught.value.code == "G013"
        else:
            assert evaluate(tree, Globals(), {"p": p, "q": q}) == (expected, 1)


class Model:
    """Draws expressions together with their values, for given values of names."""

    def __init__(self, data: st.DataObject, widths: dict[str, int], held: dict[str, int]) -> None:
        self.data, self.widths, self.held = data, widths, held

    def draw(self, strategy: st.SearchStrategy[Any]) -> Any:
        """Something drawn."""
        return self.data.draw(strategy)

    def bits(self, width: int, depth: int) -> tuple[s.Expr, int | None]:
        """An expression on bits of a width, with its value."""
        names = [name for name, other in self.widths.items() if other == width]
        if depth == 0:
            if names and self.draw(st.integers(0, 3)):
                name = self.draw(st.sampled_from(names))
                return s.Name(name), self.held[name]
            value = self.draw(st.integers(0, 2**width - 1))
            return s.Resize("bits", s.IntLit(width), s.IntLit(value)), value
        kind = self.draw(st.sampled_from(["binary", "binary", "literal", "unary", "resize", "if"]))
        if kind == "unary":
            op = self.draw(st.sampled_from(["-", "~"]))
            below, operand = self.bits(width, depth - 1)
            if operand is None:
                return s.Unary(op, below), None
            found = -operand if op == "-" else sum(2**i for i in range(width)) - operand
            return s.Unary(op, below), unsigned(found, width)
        if kind == "resize":
            word = self.draw(st.sampled_from(["bits", "sext"]))
            source = self.draw(st.sampled_from([width, *self.widths.values()]))
            below, inner = self.bits(source, depth - 1)
            expr = s.Resize(word, s.IntLit(width), below)
            if inner is None:
                return expr, None
            read = in_twos_complement(inner, source) if word == "sext" else inner
            return expr, unsigned(read, width)
        if kind == "if":
            test, truth = self.test(width, depth - 1)
            then, first = self.bits(width, depth - 1)
            otherwise, second = self.bits(width, depth - 1)
            if truth is None:
                return s.If(test, then, otherwise), None
            return s.If(test, then, otherwise), first if truth else second
        op = self.draw(st.sampled_from(INFIX + FUNCTIONS))
        left, a = self.bits(width, depth - 1)
        if kind == "literal" and op not in ("<<", ">>", "ashr"):
            # the literal takes its bits from what stands beside it
            b: int | None = self.draw(st.integers(0, 2**width - 1))
            assert b is not None
            right: s.Expr = s.IntLit(b)
            if self.draw(st.booleans()) and a is not None:
                left, right, a, b = right, left, b, a
        else:
            right, b = self.bits(width, depth - 1)
        return apply(op, left, right), None if a is None or b is None else model(op, a, b, width)

    def test(self, width: int, depth: int) -> tuple[s.Expr, bool | None]:
        """A test of two expressions on bits, with its value."""
        left, a = self.bits(width, depth)
        right, b = self.bits(width, depth)
        op = self.draw(st.sampled_from([*TESTS, "=="]))
        if op == "==":
            expr: s.Expr = s.Compare(("==",), (left, right))
            return expr, None if a is None or b is None else a == b
        found = None if a is None or b is None else model(op, a, b, width)
        return apply(op, left, right), None if found is None else bool(found)


@given(st.data())
def test_random_expressions_on_bits_are_worth_what_the_definitions_say(data: st.DataObject) -> None:
    width, other = data.draw(st.integers(1, 64)), data.draw(st.integers(1, 64))
    widths = {"p": width, "q": width, "o": other}
    held = {name: data.draw(st.integers(0, 2**w - 1)) for name, w in widths.items()}
    kinds: dict[str, Type] = {name: Bits(w) for name, w in widths.items()}
    expr, expected = Model(data, widths, held).bits(width, data.draw(st.integers(0, 3)))
    BUILDER.faults = Faults()
    assert BUILDER.infer(expr, kinds) == Bits(width), BUILDER.faults.found
    assert not BUILDER.faults.found
    tree = elaborate(BUILDER, expr, Bits(width), kinds)
    assert elaborate(BUILDER, tree, Bits(width), kinds) == tree
    if expected is None:
        with pytest.raises(EvaluationFault) as caught:
            evaluate(tree, BUILDER.names(), dict(held))
        assert caught.value.code == "G013"
    else:
        assert evaluate(tree, BUILDER.names(), dict(held))[0] == expected


@pytest.mark.parametrize("width", [1, 7, 8, 63, 64])
def test_least_number_divided_by_minus_one_wraps(width: int) -> None:
    least, minus_one = 2 ** (width - 1), 2**width - 1
    assert evaluate(_op("sdiv", width, least, minus_one), Globals()) == (least, 1)
    assert evaluate(_op("srem", width, least, minus_one), Globals()) == (0, 1)


def _op(op: str, width: int, *args: int) -> s.BitsOp:
    return s.BitsOp(op, width, tuple(s.BitsOp("literal", width, (s.IntLit(a),)) for a in args))


def test_bits_are_read_as_numbers_and_back() -> None:
    assert run("int(x)") == (166, 1)
    assert run("sint(x)") == (166 - 256, 1)
    assert run("bits[4](x)") == (6, 1)
    assert run("bits[16](x)") == (166, 1)
    assert run("sext[16](x)") == (0xFFA6, 1)
    assert run("sext[4](x)") == (6, 1)
    assert run("bits[8](n)", n=-1) == (255, 1)
    assert run("bits[8](300)") == (44, 1)
    assert run("bits[8](int(w) + 1)") == (255, 3)


def test_shift_takes_an_int_or_bits_of_any_width() -> None:
    assert run("x << k") == (unsigned(166 << 2, 8), 1)
    assert run("x >> w") == (0, 1)
    assert run("x << 0 - n") == (unsigned(166 << 3, 8), 2)
    assert run("ashr(x, 100)") == (255, 1)
    assert run("ashr(x, 1)") == (0b1101_0011, 1)
    assert run("x >> 8") == (0, 1)
    with pytest.raises(EvaluationFault) as caught:
        run("x << n")
    assert (caught.value.code, caught.value.met) == ("G031", "the amount is -3")


# --- literals ------------------------------------------------------------------------------------

ADAPTED: dict[str, tuple[Type, Value]] = {
    "x + 1": (Bits(8), 167),
    "1 + x": (Bits(8), 167),
    "1 + 1 + x": (Bits(8), 168),
    "(2 * 3 - 1) ^ x": (Bits(8), 163),
    "x & ~0": (Bits(8), 166),
    "x & -(1 + 0)": (Bits(8), 166),
    "x & (1 << 2)": (Bits(8), 4),
    "(1 << k) | x": (Bits(8), 166),
    "if b then x else 0": (Bits(8), 166),
    "if b then 0 else if b then 3 else x": (Bits(8), 0),
    "(if b then 1 else 2) + x": (Bits(8), 167),
    "(let i = 3 in 1) + x": (Bits(8), 167),
    "match k { 0: x, 1 | 2: 7, else: 8 }": (Bits(8), 7),
    "match x { 0: 1, 0xa6: 2, else: 3 }": (Int(), 2),
    "[x, 1, 2]": (Array(3, None, Bits(8)), (166, 1, 2)),
    "[[1, 2], [x, 3]]": (Array(2, None, Array(2, None, Bits(8))), ((1, 2), (166, 3))),
    "[1, 2, 4, 8][k] & x": (Bits(8), 4),
    "x == 0xa6": (Bool(), True),
    "0xa6 == x": (Bool(), True),
    "v == [1, 2, 255]": (Bool(), True),
    "v with { 0: 7 }": (Array(3, None, Bits(8)), (7, 2, 255)),
    "[0, 0] with { 1: x }": (Array(2, None, Bits(8)), (0, 166)),
    "flip(0)": (Bits(8), 255),
    "flip(x) + 1": (Bits(8), 90),
    "SQUARES[k] + 1": (Bits(8), 5),
    "udiv(x, 2)": (Bits(8), 83),
    "udiv(200, y)": (Bits(8), 6),
    "ult(3, x)": (Bool(), True),
    "fold acc = 0 for i in 0..7: acc + (x >> i & 1)": (Bits(8), 4),
    "fold acc = [0, 0] for i in 0..1: acc with { i: x }": (
        Array(2, None, Bits(8)),
        (166, 166),
    ),
    "fold acc = 0 for i in 0..1: let t = x >> i in acc ^ t": (Bits(8), 166 ^ 83),
    "bits[4](1) + 15": (Bits(4), 0),
    "x & MASK": (Bits(8), 6),
    "int(x) + 1": (Int(), 167),
    "[for i in 0..1: if i == 0 then 0 else x]": (Array(2, None, Bits(8)), (0, 166)),
}


@pytest.mark.parametrize("text", ADAPTED)
def test_literal_takes_the_bits_that_stand_beside_it(text: str) -> None:
    kind, value = ADAPTED[text]
    assert type_of(text) == kind
    assert run(text)[0] == value


ASKED = {
    "5": 5,
    "2 + 3": 5,
    "~0": 255,
    "1 << 7": 128,
    "if b then 1 else 2": 1,
    "let i = 300 in 3": 3,
    "match k { 2: 9, else: 8 }": 9,
    "[1, 2, 3][k]": 3,
    "fold acc = 1 for i in 1..7: acc + acc": 128,
    "-(1 + 2)": 253,
    "200 + 100": 44,
    "udiv(9, 2)": 4,
    "ashr(128, 7)": 255,
    "fold acc = 0 for i in 0..7: if (x >> i & 1) == 1 then acc | (1 << i) else acc": 166,
}


@pytest.mark.parametrize("text", ASKED)
def test_literals_alone_take_the_bits_that_their_place_asks_for(text: str) -> None:
    assert run(text, Bits(8))[0] == unsigned(ASKED[text], 8)


REFUSED = {
    "x + n": ["G035"],
    "x + FOUR": ["G035"],
    "x + n + 1": ["G035"],
    "n & 3": ["G035"],
    "x & r": ["G035"],
    "x + 1/2": ["G035"],
    "x | w": ["G037"],
    "x == w": ["G037"],
    "x == n": ["G035"],
    "if b then x else n": ["G035"],
    "if b then x else w": ["G037"],
    "[x, n]": ["G035"],
    "flip(n)": ["G035"],
    "flip(w)": ["G037"],
    "twice(x)": ["G035"],
    "x + 256": ["G032"],
    "x & -1": ["G032"],
    "[x, 1, 300]": ["G032"],
    "match x { 256: 1, else: 2 }": ["G032"],
    "match x { FOUR: 1, else: 2 }": ["G035"],
    "v == [1, 2, 256]": ["G032"],
    "v with { 0: 256 }": ["G032"],
    "v with { 0: n }": ["G035"],
    "x < y": ["G033"],
    "0 <= x <= 5": ["G033", "G033"],
    "n < x": ["G033"],
    "x div 2": ["G034"],
    "x mod y": ["G034"],
    "x / 2": ["G034"],
    "7 div x": ["G034"],
    "1 & 2": ["G036"],
    "fold acc = 0 for i in 0..7: acc | (1 << i)": ["G036", "G035"],
    "1 << k": ["G036"],
    "~5": ["G036"],
    "ult(1, 2)": ["G036"],
    "udiv(1, 2)": ["G036"],
    "sext[8](3)": ["G036"],
    "bits[8](~0)": ["G036"],
    "n << 1": ["G035"],
    "b & b": ["G009"],
    "x and y": ["G009"],
    "x << r": ["G009"],
    "x << b": ["G009"],
    "int(n)": ["G009"],
    "int(r)": ["G009"],
    "sint(3)": ["G009"],
    "sext[16](n)": ["G035"],
    "bits[8](r)": ["G009"],
    "bits[8](b)": ["G009"],
    "bits[0](x)": ["G030"],
    "bits[65](n)": ["G030"],
    "bits[k](n)": ["G021"],
    "bits[1/2](n)": ["G009"],
    "min(x, 3)": ["G035"],
    "abs(x)": ["G035"],
    "a[x]": ["G035"],
    "ashr(x)": ["G010"],
    "int": ["G001"],
    "sint": ["G010"],
    "a with { 0: 1/2 }": ["G009"],
    "a with { off: 1 }": ["G009"],
    "e with { 0: 1 }": ["G009"],
    "n with { 0: 1 }": ["G039"],
    "fold acc = 0 for i in 1..3: acc == i": ["G038"],
    "fold acc = x for i in 1..3: i": ["G038"],
    "fold acc = b for i in 1..3: acc + i": ["G009"],
    "fold acc = 0 for acc in 1..3: 1": ["G007"],
    "fold n = 0 for i in 1..3: i": ["G007"],
    "fold acc = 0 for n in 1..3: 1": ["G007"],
    "let i = 1 in fold i = 0 for j in 1..3: j": ["G007"],
    "fold acc = 0 for i in 1..3: fold acc = 1 for j in 1..3: j": ["G007"],
    "fold acc = 0 for i in 1..k: i": ["G021"],
    "fold acc = 0 for i in 3..1: i": ["G024"],
    "fold acc = 0 for i in 0..3: fold c = 0 for j in 0..i: c": ["G021"],
    "forall k in 1..3: b": ["G007"],
    "forall i in 1..3: i": ["G009"],
    "exists i in 1..3: exists i in 1..3: b": ["G007"],
    "exists i in 3..1: b": ["G024"],
    "exists i in 0..n: b": ["G021"],
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_meant_is_refused_with_its_own_code(text: str) -> None:
    if REFUSED[text] == ["G001"]:
        with pytest.raises(Exception, match="G001"):
            read(text)
    else:
        assert codes(text) == REFUSED[text]


def test_named_constant_and_let_keep_their_type() -> None:
    assert codes("let i = 1 in x + i") == ["G035"]
    assert type_of("let i = bits[8](1) in x + i") == Bits(8)
    assert codes("n", Bits(8)) == ["G035"]
    assert codes("x", Int()) == ["G035"]
    assert codes("256", Bits(8)) == ["G032"]
    assert codes("[1, -1]", Array(2, None, Bits(8))) == ["G032"]


def test_messages_are_precise() -> None:
    assert judge("x + 256")[1] == [("G032", "256 does not fit bits[8], which holds 0..255")]
    assert judge("x + n")[1] == [("G035", "the sides of + must agree, found bits[8] and int")]
    assert judge("1 & 2")[1] == [("G036", "nothing says how many bits & takes")]
    assert judge("x >= 3")[1] == [("G033", ">= does not say whether its bits have a sign")]
    assert BUILDER.faults.found[0].help == "ule(3, x) compares without a sign, sle(3, x) with one"


def test_elaborated_operation_cannot_stand_in_what_is_checked() -> None:
    BUILDER.faults = Faults()
    assert BUILDER.infer(_op("+", 8, 1, 2)) is None
    assert [d.code for d in BUILDER.faults.found] == ["G009"]
    assert BUILDER.kind_of(_op("+", 8, 1, 2), {}) == Bits(8)


# --- elaboration ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "n + k * 2",
        "if b then [1, 2] else [for i in 0..1: i]",
        "fold acc = 0 for i in 0..3: acc + i",
        "a with { 0: 1 }",
        "forall i in 0..2: a[i] > 3",
        "twice(n) == 3",
    ],
)
def test_tree_without_bits_stays_the_same_object(text: str) -> None:
    expr = read(text)
    assert elaborate(BUILDER, expr, None, {}) is expr


def test_spans_are_kept_and_untouched_parts_are_shared() -> None:
    expr = read("if n + 1 == 2 then x + 1 else x")
    assert isinstance(expr, s.If)
    tree = elaborate(BUILDER, expr, Bits(8), {})
    assert tree.test is expr.test and tree.otherwise is expr.otherwise
    assert isinstance(tree.then, s.BitsOp) and tree.then.span == expr.then.span
    assert tree.then.args[1].span == expr.then.right.span  # type: ignore[union-attr]


def test_elaborated_trees_are_what_the_interpreter_is_given() -> None:
    x, one = s.Name("x"), s.BitsOp("literal", 8, (s.IntLit(1),))
    assert elaborate(BUILDER, read("x + 1"), None, {}) == s.BitsOp("+", 8, (x, one))
    assert elaborate(BUILDER, read("~x"), None, {}) == s.BitsOp("~", 8, (x,))
    assert elaborate(BUILDER, read("x << 1"), None, {}) == s.BitsOp("<<", 8, (x, s.IntLit(1)))
    assert elaborate(BUILDER, read("int(x)"), None, {}) == s.BitsOp("int", 8, (x,))
    assert elaborate(BUILDER, read("bits[4](n)"), None, {}) == s.BitsOp("bits", 4, (s.Name("n"),))
    assert elaborate(BUILDER, read("sext[16](x)"), None, {}) == s.BitsOp(
        "sext", 8, (x, s.IntLit(16))
    )
    assert elaborate(BUILDER, read("slt(1, x)"), None, {}) == s.BitsOp("slt", 8, (one, x))
    assert elaborate(BUILDER, read("x == 1"), None, {}) == s.Compare(("==",), (x, one))
    where = s.AnyStart(read("x == 1"))
    assert elaborate(BUILDER, where, None, {}) == s.AnyStart(s.Compare(("==",), (x, one)))
    dist = s.DistMap((s.Weighted(s.IntLit(1), s.IntLit(1)),))
    assert elaborate(BUILDER, dist, Bits(8), {}) == s.DistMap((s.Weighted(one, s.IntLit(1)),))


def test_definitions_are_elaborated_where_they_are_declared() -> None:
    names = BUILDER.names()
    assert any(isinstance(node, s.BitsOp) for node in s.walk(names.functions["flip"].body))
    assert any(isinstance(node, s.BitsOp) for node in s.walk(names.tables["SQUARES"].value))
    assert names.values["SQUARES"] == (0, 1, 4, 9)
    assert names.values["MASK"] == 15 and names.types["MASK"] == Bits(8)


# --- arrays, folds, quantifiers ------------------------------------------------------------------


def test_with_is_an_updated_copy_of_which_the_last_entry_counts() -> None:
    assert run("a with { 0: 1, 2: 3, 0: 9 }")[0] == (9, 5, 3)
    assert run("e with { on: 1 }")[0] == (7, 1)
    assert run("(grid with { 1: grid[1] with { 0: 9 } })[1][0]")[0] == 9
    assert run("let c = a with { 0: 0 } in a[0]")[0] == 4
    assert type_of("a with { 0: 1 }") == Array(3, None, Int())
    for index in (-1, 3):
        with pytest.raises(EvaluationFault) as caught:
            run("a with { n: 1 }", n=index)
        assert (caught.value.code, caught.value.met) == ("G014", f"the index is {index}")


def test_fold_has_the_joint_type_of_start_and_body() -> None:
    assert type_of("fold acc = k for i in 1..3: acc + i") == Int()
    assert type_of("fold acc = 0 for i in 1..3: acc + i / 2") == Rat()
    assert run("fold acc = 0 for i in 1..3: acc + i / 2")[0] == 3
    assert type_of("fold acc = 0 for i in 1..3: if b then acc else quarter(i)") == Rat()
    assert type_of("fold acc = [0, 0] for i in 0..1: [acc[1], acc[0] / 2]") == Array(2, None, Rat())
    assert type_of("fold acc = 1/2 for i in 1..3: i") == Rat()
    assert type_of("fold acc = 0 for i in 1..3: acc div 2") == Int()
    assert codes("fold acc = 0 for i in 1..3: (acc div 2) / 2") == ["G009"]
    assert run("fold acc = a for i in 0..1: acc with { i: acc[i + 1] }")[0] == (5, 6, 6)
    assert run("fold acc = 0 for i in -2..2: acc + i * i")[0] == 10


def test_quantifiers_make_turns_until_the_answer_is_known() -> None:
    assert run("exists i in 0..2: a[i] == 5") == (True, 6)
    assert run("exists i in 0..2: a[i] == 7") == (False, 9)
    assert run("forall i in 0..2: a[i] > 3") == (True, 9)
    assert run("forall i in 0..2: a[i] > 4") == (False, 3)
    # the second turn would have no value
    assert run("exists i in 2..3: a[i] == 6") == (True, 3)


TICKS = {
    "5": 0,
    "x": 0,
    "-1": 0,
    "1/3": 0,
    "-n": 1,
    "~x": 1,
    "not b": 1,
    "x + 1": 1,
    "x + y & 3": 2,
    "x << 1 + k": 2,
    "int(x) + sint(y)": 3,
    "bits[16](x) == w": 2,
    "sext[16](x)": 1,
    "udiv(x, 3)": 1,
    "ult(y, x) and slt(x, y)": 3,
    "a == [4, 5, 6]": 2,
    "a[0]": 1,
    "grid[0][1]": 2,
    "[1, n + 1, k * k]": 3,
    "[for i in 1..3: i * i]": 4,
    "[for i in 1..FOUR + 1: i]": 1,
    "min(1, 2, 3)": 2,
    "max(n, k)": 1,
    "abs(n)": 1,
    "clamp(n, 0, 3)": 1,
    "floor(r)": 1,
    "ord(h)": 1,
    "Heater(1)": 1,
    "twice(n + 1)": 3,
    "flip(x)": 4,
    "if n == 3 then 1 + 1 else 2": 2,
    "let i = n + 1 in i * i": 3,
    "match k { 0: 1, 1 | 2: n + 1, else: 3 }": 2,
    "1 < k < 9": 2,
    "9 < k < 1": 1,
    "a with { 0: 1 }": 1,
    "a with { 0: n + 1, 1: 2, k: k + k }": 5,
    "e with { on: 1 }": 1,
    "fold acc = 0 for i in 1..3: acc": 4,
    "fold acc = n + 1 for i in 1..3: acc + i * i": 11,
    "fold acc = 0 for i in 1..FOUR - 1: acc": 4,
    "fold acc = 0 for i in 0..7: acc + (x >> i & 1)": 33,
    "fold s = 0 for i in 1..3: fold t = s for j in 1..2: t + 1": 19,
    "forall i in 1..3: true": 3,
    "forall i in 1..3: i < 2": 4,
    "exists i in 1..3: i > 2": 6,
    "exists i in 1..3: forall j in 1..3: i == j": 11,
    "forall i in 1..3: i == 1 or i > 1": 11,
    "b and (forall i in 1..2: i > 0)": 5,
}


@pytest.mark.parametrize("text", TICKS)
def test_ticks_of(text: str) -> None:
    assert run(text)[1] == TICKS[text]


PRICED = {
    "+": "n + k",
    "*": "n * k",
    "/": "n / k",
    "div": "n div k",
    "mod": "n mod k",
    "-": "-n",
    "&": "x & y",
    "|": "x | y",
    "^": "x ^ y",
    "~": "~x",
    "<<": "x << k",
    ">>": "x >> k",
    "and": "b and b",
    "or": "not b or b",
    "implies": "b implies b",
    "not": "not b",
    "==": "x == y",
    "!=": "n != k",
    "<": "n < k",
    "<=": "n <= k",
    ">": "n > k",
    ">=": "n >= k",
    "if": "if b then 1 else 2",
    "match": "match k { 2: 1, else: 2 }",
    "let": "let i = 1 in i",
    "call": "quarter(n)",
    "index": "a[1]",
    "array": "[n, k]",
    "with": "a with { 0: 1, 1: 2 }",
    "fold": "fold acc = 0 for i in 1..3: acc",
    "exists": "exists i in 1..3: b",
    "forall": "forall i in 1..3: b",
    "min": "min(1, 2, 3)",
    "max": "max(1, 2)",
    "abs": "abs(n)",
    "clamp": "clamp(n, 0, 1)",
    "floor": "floor(r)",
    "ord": "ord(h)",
    "convert": "Heater(1)",
    "int": "int(x)",
    "sint": "sint(x)",
    "bits": "bits[4](x)",
    "sext": "sext[16](x)",
    **{op: f"{op}(x, y)" for op in FUNCTIONS + TESTS},
}


def test_every_operation_has_its_price() -> None:
    assert PRICED.keys() == OPERATIONS
    local = {name: value for name, (_, value) in VARIABLES.items()}
    for op, text in PRICED.items():
        times = {"with": 2, "fold": 4, "forall": 3, "min": 2}.get(op, 1)
        tree = elaborate(BUILDER, read(text), None, {})
        plain = evaluate(tree, BUILDER.names(), local)
        for price in (0, 5):
            names = replace(BUILDER.names(), prices={op: price})
            priced = evaluate(tree, names, local)
            assert priced == (plain[0], plain[1] + times * (price - 1)), op


def test_weights_stay_polynomials() -> None:
    p = Polynomial.variable("p")
    value, ticks = run("1 - r * (1 - r) / 2", r=p)
    assert value == 1 - p * (1 - p) / 2
    assert ticks == 4
    assert run("fold acc = r for i in 1..2: acc * r", r=p) == (p * p * p, 5)


def test_names_are_left_as_they_were_even_after_a_fault() -> None:
    names = BUILDER.names()
    for text in (
        "let i = 1 in fold acc = 0 for j in 0..2: acc + i",
        "exists i in 0..5: a[i] == 99",
        "[for i in 0..5: a[i]]",
        "fold acc = 0 for i in 0..5: acc + a[i]",
        "let i = 9 in a[i]",
    ):
        local = {"a": (4, 5, 6)}
        before = dict(local)
        try:
            Evaluator(names).value(read(text), local)
        except EvaluationFault as fault:
            assert fault.code == "G014"
        assert local == before


# --- work ----------------------------------------------------------------------------------------


def work(text: str) -> int:
    """The bound on the work of an expression."""
    type_of(text)
    return BUILDER.bounded_work(read(text), {}, "this")


def test_work_counts_turns_copies_and_what_is_called() -> None:
    assert work("n + k") == 3
    assert work("fold acc = 0 for i in 1..100: acc + i") == 1 + 1 + 100 * (1 + 3)
    assert work("forall i in 1..100: b") == 1 + 100
    assert work("a with { 0: 1 }") == 1 + 3 + 1 + 1 + 2
    assert work("twice(n)") == 1 + 1 + 3
    nested = "fold s = 0 for i in 1..100: fold t = s for j in 1..100: t + i"
    assert work(nested) == 2 + 100 * (1 + 2 + 100 * 4)
    assert work("fold c = a for i in 1..10: c with { 0: i }") == 2 + 10 * (1 + 1 + 3 + 1 + 3)


def test_work_of_what_is_evaluated_is_never_less_than_its_ticks() -> None:
    for text in [*TICKS, *ADAPTED]:
        tree = elaborate(BUILDER, read(text), None, {})
        assert run(text)[1] <= BUILDER.bounded_work(tree, {}, "this") <= work(text)


@pytest.mark.parametrize(
    "text",
    [
        "fold s = 0 for i in 1..1000: fold t = s for j in 1..1000: t + 1",
        "forall i in 1..1000: exists j in 1..1000: i == j",
        "fold c = [for i in 1..10_000: 0] for i in 0..999: c with { i: 1 }",
        "exists i in 1..1000: [for j in 1..1000: j] == [for j in 1..1000: j]",
    ],
)
def test_too_much_work_is_refused_not_done(text: str) -> None:
    assert work(text) > WORK_MAX
    assert [d.code for d in BUILDER.faults.found] == ["G018"]


def declare(text: str) -> list[str]:
    """The codes of the faults of some definitions."""
    made = ScopeBuilder(Scope(), Globals(), Faults())
    text = f"machine m {text} environment {{ }} utility {{ }} agent {{ policy {{ }} }}"
    made.declare_items(parse_machine(text).declarations.items)  # type: ignore[arg-type]
    return [d.code for d in made.faults.found]


def test_sixty_functions_that_double_are_refused() -> None:
    doubling = "".join(
        f"def f{i}(z: bits[8]): bits[8] = fold acc = z for i in 1..2: f{i - 1}(acc)\n"
        for i in range(1, 61)
    )
    assert declare("def f0(z: bits[8]): bits[8] = z + 1\n" + doubling) == ["G018"]


def test_checks_of_ranged_arrays_count_as_work() -> None:
    table = "table BIG: array[1000] of int 0..9 = [for i in 0..999: 0]\n"
    head = "def head(big: array[1000] of int 0..9): int = big[0]\n"
    called = "const SUM = fold s = 0 for i in 1..2000: s + head(BIG)"
    assert declare(table + head + called) == ["G018"]
    assert declare(table + head.replace(" 0..9", "") + called) == []


def test_ranges_inside_ranges_are_worked_out_once() -> None:
    text = "3"
    for i in range(60):
        text = f"fold s{i} = 0 for i{i} in 0..({text}): 1"
    assert run(text) == (1, 3)
    text = "8"
    for _ in range(40):
        text = f"int(bits[{text}](8))"
    assert run(text)[0] == 8
    text = "1/2"
    for i in range(60):
        text = f"fold s{i} = 0 for i{i} in 0..0: s{i} + ({text})"
    assert run(text)[0] == Fraction(1, 2)


def test_widths_are_constant() -> None:
    assert declare("const N = 8\ndef f(z: bits[N]): bits[2 * N] = bits[N + N](z)") == []
    assert declare("table T: array[2] of bits[0] = [0, 0]") == ["G030"]
    assert declare("table T: array[2] of bits[8] = [0, 256]") == ["G032"]
    assert declare("const N = 8\ntable T: array[2] of bits[8] = [0, N]") == ["G035"]
    assert declare("def sint(z: int): int = z") == ["G007"]
    assert declare("const ult = 3") == ["G007"]
