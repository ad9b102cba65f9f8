"""Intervals cover every value that expressions take, and code without gaps has a value everywhere."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from random import Random
from typing import Any, cast

import pytest
from generators import VARIABLES, ExpressionMaker, base, random_value

from dsl import syntax as s
from dsl.errors import DslError
from dsl.interp import EvaluationFault, evaluate
from dsl.intervals import Intervals, NotProved
from dsl.ranges import Abstract, Range, Row, Truth, span_of
from dsl.types import Bool, Int, Rat, Type, Value
from proofs.kernel.chapter import Chapter, NotTotal


def covers(abstract: Abstract, value: Any) -> bool:
    """Whether an abstract value admits a value."""
    match abstract:
        case Truth(true, false):
            return type(value) is bool and (true if value else false)
        case Row(length, item):
            return (
                type(value) is tuple
                and len(value) == length
                and all(covers(item, v) for v in value)
            )
        case Range():
            number, most = Fraction(value), abstract.size
            long = number.numerator.bit_length(), number.denominator.bit_length()
            fine = most is None or (long[0] <= most[0] and long[1] <= most[1])
            fine = fine and (number.denominator == 1 or not abstract.whole)
            return type(value) is not bool and abstract.holds(value) and fine


def random_part(rng: Random, kind: Type) -> tuple[Abstract, Callable[[], Value]]:
    """Part of a type: an abstract value, and a draw from it."""
    if isinstance(kind, Int) and kind.low is not None and kind.high is not None:
        low = rng.randint(kind.low, kind.high)
        high = rng.randint(low, kind.high)
        return span_of(Int(low, high)), lambda: rng.randint(low, high)
    return span_of(kind), lambda: random_value(rng, kind)


@pytest.mark.parametrize("chunk", range(4))
def test_intervals_cover_every_value_of_random_expressions(chunk: int) -> None:
    names = base()[1].names
    proved = 0
    for seed in range(chunk * 1_000, (chunk + 1) * 1_000):
        rng = Random(seed)
        maker = ExpressionMaker(rng, names, total=rng.random() < 0.5)
        kind = rng.choice([Bool(), Bool(), Int(), Rat(), VARIABLES[2].type, VARIABLES[5].type])
        expr = maker.make(kind, rng.randint(1, 5), {v.name: v.type for v in VARIABLES})
        parts = {v.name: random_part(rng, v.type) for v in VARIABLES}
        known = {name: abstract for name, (abstract, _) in parts.items()}
        intervals = Intervals(names)
        try:
            found = intervals.value(expr, known)
        except NotProved:
            continue
        proved += 1
        tests = dict(zip((True, False), intervals.split(expr, known), strict=True)) if kind == Bool() else {}  # fmt: skip
        for _ in range(12):
            point = {name: draw() for name, (_, draw) in parts.items()}
            value, _ = evaluate(expr, names, point)  # a fault here is a broken promise
            assert covers(found, value), (seed, point)
            if tests:
                inner = tests[bool(value)]
                assert inner is not None, (seed, point)
                assert all(covers(inner[n], v) for n, v in point.items()), (seed, point)
    assert proved >= 800


def random_range(rng: Random, whole: bool) -> tuple[Range, Callable[[], int | Fraction]]:
    """A range of small numbers, perhaps without an end, and a draw from it."""

    def number(spread: int) -> int | Fraction:
        if whole:
            return rng.randint(-spread, spread)
        return Fraction(rng.randint(-spread, spread), rng.choice([1, 2, 3]))

    low, high = sorted([number(6), number(6)])
    ends = Range(
        None if rng.random() < 0.2 else low,
        None if rng.random() < 0.2 else high,
        whole,
        None if whole or rng.random() < 0.2 else (8, 2),
    )

    def draw() -> int | Fraction:
        return next((x for x in (number(24) for _ in range(60)) if ends.holds(x)), low)

    return ends, draw


def random_operation(rng: Random, whole: bool) -> s.Expr:
    """One operation on p, q and r; `whole` says that p and q are integers."""
    p, q, r = (s.Name(n) for n in "pqr")
    compare: list[tuple[str, ...]] = [(op,) for op in ("<", "<=", ">", ">=", "==", "!=")]
    compare += [("<", "<="), ("<=", "<"), (">", ">="), (">=", ">")]
    ops = rng.choice(compare)
    test = s.Compare(ops, (p, q, r)[: len(ops) + 1])
    forms: list[s.Expr] = [s.Binary(op, p, q) for op in "+-*/"]
    forms += [s.Call(n, (p, q, r)) for n in ("min", "max", "clamp")]
    forms += [s.Call(n, (p,)) for n in ("abs", "floor")]
    forms += [s.Unary("-", p), test, s.If(test, s.Binary("-", p, q), s.Binary("+", p, r))]
    if whole:
        forms += [s.Binary(op, p, q) for op in ("div", "mod")] * 2
    return rng.choice(forms)


def test_intervals_cover_every_operation_on_ranges_without_ends() -> None:
    names = base()[1].names
    proved = 0
    for seed in range(6_000):
        rng = Random(seed)
        whole = [rng.random() < 0.6 for _ in "pqr"]
        parts = {n: random_range(rng, w) for n, w in zip("pqr", whole, strict=True)}
        known: dict[str, Abstract] = {n: ends for n, (ends, _) in parts.items()}
        expr = random_operation(rng, whole[0] and whole[1])
        intervals = Intervals(names)
        try:
            found = intervals.value(expr, known)
        except NotProved:
            continue
        proved += 1
        tests = (
            dict(zip((True, False), intervals.split(expr, known), strict=True))
            if isinstance(found, Truth)
            else {}
        )
        for _ in range(12):
            point = {n: draw() for n, (_, draw) in parts.items()}
            value, _ = evaluate(expr, names, point)
            assert covers(found, value), (seed, point)
            inner = tests.get(bool(value)) if tests else known
            assert inner is not None and all(covers(inner[n], v) for n, v in point.items())
    assert proved >= 4_500


def test_code_without_gaps_has_a_value_everywhere() -> None:
    """Of random policies that may divide by nought or leave an array, those called total are total."""
    task, program = base()
    chapter = Chapter(task.declarations)
    total = broken = 0
    for seed in range(400):
        rng = Random(seed)
        maker = ExpressionMaker(rng, program.names)
        local = {v.name: v.type for v in task.observed}
        body = (
            s.Define("now", maker.make(Int(), 3, local)),
            s.Assign("go", maker.make(task.actions[0].type, 3, {**local, "now": Int()})),
        )
        slots = tuple(s.Policy("main", body) if isinstance(x, s.Policy) else x for x in program.code.slots)  # fmt: skip
        try:
            found = chapter.program(cast(s.Code, s.fold_literals(s.Code(slots))))
        except (NotTotal, DslError):
            broken += 1
            continue
        total += 1
        for _ in range(40):
            point = {v.name: random_value(rng, v.type) for v in task.observed}
            found.decide(point)
    assert total >= 100 and broken >= 20


def test_gap_that_is_called_broken_is_broken_at_its_point() -> None:
    task, program = base()
    chapter = Chapter(task.declarations)
    shown = 0
    for seed in range(400, 700):
        rng = Random(seed)
        maker = ExpressionMaker(rng, program.names)
        local = {v.name: v.type for v in task.observed}
        value = cast(s.Expr, s.fold_literals(maker.make(task.actions[0].type, 3, local)))
        slots = tuple(
            s.Policy("main", (s.Assign("go", value),)) if isinstance(x, s.Policy) else x
            for x in program.code.slots
        )
        try:
            chapter.program(s.Code(slots))
        except DslError:
            continue
        except NotTotal as error:
            for gap in error.gaps:
                if hasattr(gap, "point"):
                    point = {name: v for name, _, v in cast(Any, gap).point}
                    rest = {v.name: random_value(rng, v.type) for v in task.observed}
                    with pytest.raises(EvaluationFault):
                        evaluate(value, program.names, {**rest, **point})
                    shown += 1
    assert shown >= 20
