"""The encoder says what the interpreter says, value for value and tick for tick."""

from __future__ import annotations

import re
from fractions import Fraction
from random import Random

import pytest
from generators import COLOUR, SIDE, TRIPLE, VARIABLES, ExpressionMaker, base, random_point

from dsl import syntax as s
from dsl.check import check_expression
from dsl.interp import EvaluationFault, evaluate
from dsl.types import Bool, Int, Rat, Type
from proofs.encoder import Encoder
from proofs.premises import Premise, make_premise
from proofs.prover import Sat, Unsat, prove
from proofs.smtlib import (
    decimal,
    flatten,
    leaves_of,
    literal,
    numeral,
    symbol,
    variable,
    widen,
)
from proofs.smtlib_world import code_vocabulary, define, enum_lines

SAMPLES = 60
BATCHES = 24
POINTS = 5
KINDS: tuple[Type, ...] = (Bool(), Int(), Int(), Rat(), COLOUR, SIDE, TRIPLE)


def _batch(seed: int) -> tuple[Premise, int]:
    """A premise that states values and ticks of random expressions at random points, and how many points."""
    rng = Random(seed)
    _, program = base()
    names = program.names
    vocabulary = code_vocabulary(program)
    local_types = {v.name: v.type for v in VARIABLES}
    local = {v.name: variable(v.name, v.type) for v in VARIABLES}
    leaves = [leaf for v in VARIABLES for leaf in leaves_of(v.name, v.type)]
    goals: list[str] = []
    definitions: list[str] = []
    for i in range(SAMPLES):
        kind = rng.choice(KINDS)
        expr = ExpressionMaker(rng, names).make(kind, 4, local_types)
        _, expr = check_expression(names, expr, local_types)
        vocabulary.need([expr], counts=True)
        value, ticks = Encoder(vocabulary, counts=True).both(expr, local)
        fitted = flatten(widen(value, kind))
        for k, term in enumerate(fitted):
            definitions.append(define(f"f.{i}.{k}", leaves, term.sort, term.text))
        definitions.append(define(f"t.{i}", leaves, "Int", ticks.text))
        for _ in range(POINTS):
            point = random_point(rng)
            try:
                found, counted = evaluate(expr, names, dict(point))
            except EvaluationFault:
                continue
            args = " ".join(
                t.text for v in VARIABLES for t in flatten(literal(point[v.name], v.type))
            )
            expected = flatten(literal(found, kind))
            tests = [f"(= (f.{i}.{k} {args}) {term.text})" for k, term in enumerate(expected)]
            goals.append(f"(and {' '.join(tests)} (= (t.{i} {args}) {numeral(counted)}))")
    facts = [*enum_lines(names), *vocabulary.lines]
    lines = [*definitions, f"(assert (not (and {' '.join(goals)})))", "(check-sat)"]
    return make_premise("values and ticks", "the values and ticks", [facts], lines), len(goals)


@pytest.mark.parametrize("seed", range(BATCHES))
def test_interpreter_and_encoding_agree_on_random_expressions(seed: int) -> None:
    premise, count = _batch(seed)
    assert count >= SAMPLES * POINTS * 7 // 10
    answer = prove(premise, rlimit=50_000_000)
    assert isinstance(answer, Unsat), answer


def test_the_random_expressions_are_at_least_five_thousand_points() -> None:
    assert sum(_batch(seed)[1] for seed in range(BATCHES)) >= 5_000


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Fraction(0), "0.0"),
        (Fraction(1, 2), "0.5"),
        (Fraction(-5, 4), "(- 1.25)"),
        (Fraction(1, 3), "(/ 1.0 3.0)"),
        (Fraction(12345678, 10**8), "0.12345678"),
        (Fraction(1, 10**12), "0.000000000001"),
        (Fraction(1, 10**13), "(/ 1.0 10000000000000.0)"),
        (Fraction(120), "120.0"),
        (Fraction(2401, 2), "1200.5"),
    ],
)
def test_a_rational_is_a_short_exact_decimal_or_a_quotient(number: Fraction, text: str) -> None:
    assert decimal(number) == text


def test_numerals_may_be_longer_than_python_prints() -> None:
    assert numeral(10**5_000) == "1" + "0" * 5_000
    assert numeral(-(10**9_000) - 7) == f"(- 1{'7'.rjust(9_000, '0')})"


def test_reserved_words_get_a_mark_and_primes_get_bars() -> None:
    assert [symbol(n) for n in ("row", "row'", "div", "select", "Array")] == [
        "row",
        "|row'|",
        "div!",
        "select!",
        "Array!",
    ]


@pytest.mark.parametrize(("left", "right"), [(7, 2), (-7, 2), (7, -2), (-7, -2), (0, -3), (6, -3)])
def test_division_floors_whatever_the_signs(left: int, right: int) -> None:
    _, program = base()
    vocabulary = code_vocabulary(program)
    goals = []
    for op, value in (("div", left // right), ("mod", left % right)):
        for divisor in (s.IntLit(right), s.Name("d")):
            expr = s.Binary(op, s.Name("n"), divisor)
            term = Encoder(vocabulary).value(
                expr, {"n": variable("n", Int()), "d": variable("d", Int())}
            )
            (shown,) = flatten(term)
            goals.append(f"(= {shown.text} {numeral(value)})")
    lines = [
        "(declare-const n Int)",
        "(declare-const d Int)",
        f"(assert (= n {numeral(left)}))",
        f"(assert (= d {numeral(right)}))",
        f"(assert (not (and {' '.join(goals)})))",
        "(check-sat)",
    ]
    premise = make_premise("floors", "floors", [[]], lines)
    assert isinstance(prove(premise, rlimit=1_000_000), Unsat)


def test_a_wrong_tick_count_or_value_is_noticed() -> None:
    premise, _ = _batch(0)
    for name in ("t", "f"):
        text = re.sub(
            rf"(\(= \({name}\.\d+[.\d]* (?:[^=()]|\([^()]*\))*\) )(\d+)\)",
            lambda found: f"{found[1]}{int(found[2]) + 1})",
            premise.goals,
            count=1,
        )
        assert text != premise.goals
        answer = prove(Premise(premise.title, premise.facts, text), rlimit=50_000_000)
        assert isinstance(answer, Sat)
