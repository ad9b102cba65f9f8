"""The encoder says what the interpreter says over the whole language, value for value and tick for tick."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from random import Random
from typing import Any

import pytest
from generators import random_value
from random_machines import Made, make_machine

from dsl import interp
from dsl import syntax as s
from dsl.check import check_machine
from dsl.interp import EvaluationFault, Evaluator, Globals
from dsl.machine import Program
from dsl.parser import parse_machine
from dsl.types import Array, Bits, Type, Value, Variable
from proofs.encoder import Encoder
from proofs.kernel.region import Region
from proofs.premise_bounds import Place
from proofs.premises import Premise, make_premise
from proofs.prover import Sat, Unsat, prove
from proofs.rows import listed_policies, world_lines
from proofs.smtlib import flatten, leaves_of, literal, numeral, variable, widen
from proofs.smtlib_world import Vocabulary, code_vocabulary, declared_items, define, enum_lines

RLIMIT = 100_000_000
MACHINES = 60
POINTS = 6


def some_value(rng: Random, kind: Type) -> Value:
    """A value of any type, bits among them."""
    if isinstance(kind, Bits):
        return rng.randrange(1 << kind.width)
    if isinstance(kind, Array):
        return tuple(some_value(rng, kind.item) for _ in range(kind.length))
    return random_value(rng, kind)


def some_point(rng: Random, variables: tuple[Variable, ...]) -> dict[str, Any]:
    return {v.name: some_value(rng, v.type) for v in variables}


@cache
def program_of(seed: int) -> tuple[Made, Program]:
    made = make_machine(seed)
    return made, check_machine(made.machine)[1]


def policy_premise(seed: int) -> tuple[Premise, int]:
    """What every policy of a random machine decides at random points, and in how many ticks."""
    _, program = program_of(seed)
    task, rng = program.task, Random(seed)
    policies = listed_policies(program, tuple(program.policies))
    goals: list[str] = []
    count = 0
    for name, policy in zip(program.policies, policies, strict=True):
        for _ in range(POINTS):
            state = tuple(some_point(rng, task.states).values())
            memory = tuple(some_point(rng, program.memories).values())
            decided = program.act(state, memory, policy=name)
            goals += policy.goals((state, memory), decided, ticked=True)
            count += 1
    lines = [line for policy in policies for line in policy.lines]
    groups = [world_lines(task).facts, policies[0].facts]
    denied = [f"(assert (not (and {' '.join(goals)} true)))", "(check-sat)"]
    return make_premise("policies", "what the policies decide", groups, [*lines, *denied]), count


def function_premise(names: Globals, vocabulary: Vocabulary, seed: int) -> Premise | None:
    """What every function gives at random arguments, and in how many ticks."""
    rng = Random(seed)
    definitions: list[str] = []
    goals: list[str] = []
    for name, function in names.functions.items():
        vocabulary.need([s.Call(name, ())], counts=True)
        local = {p.name: variable(p.name, p.type) for p in function.parameters}
        leaves = [leaf for p in function.parameters for leaf in leaves_of(p.name, p.type)]
        value, ticks = Encoder(vocabulary, counts=True).both(function.body, local)
        terms = flatten(widen(value, function.result))
        for k, term in enumerate(terms):
            definitions.append(define(f"f.{name}.{k}", leaves, term.sort, term.text))
        definitions.append(define(f"t.{name}", leaves, "Int", ticks.text))
        for _ in range(POINTS):
            point = some_point(rng, function.parameters)
            evaluator = Evaluator(names)
            try:
                found = evaluator.value(function.body, dict(point))
            except EvaluationFault:
                continue
            shown = [
                t.text for p in function.parameters for t in flatten(literal(point[p.name], p.type))
            ]
            args = " ".join(shown)
            expected = flatten(literal(found, function.result))
            goals += [_same(f"f.{name}.{k}", args, term.text) for k, term in enumerate(expected)]
            goals.append(_same(f"t.{name}", args, numeral(evaluator.ticks)))
    if not goals:
        return None
    facts = [*enum_lines(names), *vocabulary.lines]
    lines = [*definitions, f"(assert (not (and {' '.join(goals)} true)))", "(check-sat)"]
    return make_premise("functions", "what functions give", [facts], lines)


def _same(name: str, args: str, value: str) -> str:
    return f"(= ({name} {args}) {value})" if args else f"(= {name} {value})"


@pytest.mark.parametrize("seed", range(MACHINES))
def test_policies_decide_as_the_interpreter_says(seed: int) -> None:
    premise, count = policy_premise(seed)
    assert count >= POINTS
    assert isinstance(prove(premise, rlimit=RLIMIT), Unsat), premise.text


@pytest.mark.parametrize("seed", range(MACHINES))
def test_functions_give_what_the_interpreter_says(seed: int) -> None:
    _, program = program_of(seed)
    task = program.task
    for names, vocabulary in (
        (task.names, Vocabulary(task.names, declared_items(task))),
        (program.names, code_vocabulary(program)),
    ):
        premise = function_premise(names, vocabulary, seed)
        if premise is not None:
            assert isinstance(prove(premise, rlimit=RLIMIT), Unsat), premise.text


def test_the_random_machines_hold_the_whole_language() -> None:
    found = {part for seed in range(MACHINES) for part in program_of(seed)[0].constructs}
    assert {"bits", "fold", "forall, exists", "with", "memory", "policies", "costs"} <= found


# --- one operation after another -----------------------------------------------------------------

WIDTHS = (4, 5, 8, 13, 32, 64)

OPERATIONS = """
machine operations
const FIVE = bits[{n}](5) | 8
def sum(a: bits[{n}], b: bits[{n}]): bits[{n}] = a + b - (a * 3) + -b
def mixed(a: bits[{n}], b: bits[{n}]): bits[{n}] = (~a & b | a ^ FIVE) + 1
def shifts(a: bits[{n}], b: bits[{n}]): bits[{n}] = (a << b) ^ (a >> b) ^ ashr(a, b)
def moved(a: bits[{n}], k: int 0..70): bits[{n}] = (a << k) + (a >> k) * 3 + ashr(a, k)
def narrow(a: bits[{n}], k: bits[2]): bits[{n}] = (a << k) + (a >> k) * 3 + ashr(a, k)
def wide(a: bits[{n}], k: bits[64]): bits[{n}] = (a << k) + (a >> k) * 3 + ashr(a, k)
def fixed(a: bits[{n}]): bits[{n}] = (a << 2) + (a >> 70) * 3 + ashr(a, 1) + ashr(a, 70)
def halves(a: bits[{n}], b: bits[{n}]): bits[{n}] =
  if b == 0 then a else udiv(a, b) ^ (urem(a, b) + 1) ^ (sdiv(a, b) * 3) ^ srem(a, b)
def order(a: bits[{n}], b: bits[{n}]): bool =
  if ult(a, b) then slt(a, b) else if ule(a, b) then sle(a, b) else sle(a, b) implies a != b
def whole(a: bits[{n}]): int = int(a) * 3 + sint(a)
def made(k: int -300..300): bits[{n}] = bits[{n}](k) + bits[{n}](k * k)
def resized(a: bits[{n}]): bits[16] = bits[16](a) ^ sext[16](a)
def sorted(a: bits[{n}]): int = match a {{ 0: 1, 1: 2, else: 3 }}
def patched(xs: array[4] of int 0..9, i: int 0..3, j: int 0..3): array[4] of int =
  xs with {{ i: 7, j: xs[i] + 1, 2: xs[j] }}
def swapped(xs: array[3] of int 0..9, k: int 0..4): array[3] of int =
  fold ys = xs for i in 0..3: if i < k then [ys[1] + 1, ys[2], ys[0]] else [ys[0], ys[2], ys[1]]
def summed(xs: array[4] of int -9..9): rat = fold t = 0 for i in 0..3: if xs[i] > 2 then t + xs[i] else t / 2
def nested(k: int 0..5): int = fold t = 1 for i in 0..3: (fold u = t for j in 0..2: if u > k then u - j else u * 2)
def every(xs: array[4] of int 0..9): bool = forall i in 0..3: (xs[i] < 7 or (exists j in 0..3: xs[j] == i))
def some(xs: array[4] of int 0..9): bool = exists i in 1..3: xs[i] == xs[i - 1] * 2
environment {{ state x: bool = false  action go: bool  reward = 0 }}
utility {{ discount 1/2  tick_price 1/100  costs {{ {costs} }} }}
agent {{ policy {{ go = x }} }}
"""

COSTS = (
    '"+": 3, "*": 0, "<<": 5, "ashr": 7, "udiv": 2, "with": 4, "fold": 6, "forall": 9, "exists": 11, "int": 13, '
    '"bits": 17, "sext": 19, "match": 23, "call": 29, "if": 31, "==": 37, "index": 41, "array": 43, "~": 47, "or": 53, '
    '"let": 59, "<": 61, "not": 67, "sint": 71, "&": 73, "|": 79, "^": 83, "slt": 89, "implies": 97'
)


def operations(width: int, costs: str = '"abs": 1') -> Program:
    return check_machine(parse_machine(OPERATIONS.format(n=width, costs=costs)))[1]


def operations_premise(program: Program, seed: int) -> Premise:
    premise = function_premise(program.names, code_vocabulary(program), seed)
    assert premise is not None
    return premise


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("costs", ['"abs": 1', COSTS])
def test_every_operation_agrees(width: int, costs: str) -> None:
    program = operations(width, costs)
    for seed in range(3):
        premise = operations_premise(program, seed)
        assert isinstance(prove(premise, rlimit=RLIMIT), Unsat), premise.text


def test_a_fold_is_written_once_a_turn() -> None:
    def length(turns: int) -> int:
        text = f"""machine loop
        environment {{ state x: int 0..9 = 0  action go: int 0..1  reward = 0 }}
        utility {{ discount 1/2  tick_price 1/10 }}
        agent {{
          def last(n: int 0..9): int =
            fold t = n for i in 1..{turns}: if t mod 2 == 0 then t div 2 + i else 3 * t + 1
          policy {{ go = last(x) mod 2 }}
        }}"""
        program = check_machine(parse_machine(text))[1]
        (policy,) = listed_policies(program)
        return sum(map(len, [*policy.lines, *policy.facts]))

    assert length(400) < 4.5 * length(100)


# --- a broken operation --------------------------------------------------------------------------


def _broken_cases() -> Iterator[tuple[str, Callable[[pytest.MonkeyPatch], None]]]:
    def wrong(node: type[s.Node], change: Callable[[Any], Any]) -> Callable[[Any], None]:
        def install(monkeypatch: pytest.MonkeyPatch) -> None:
            right = interp._CASES[node]

            def evaluate(evaluator: Evaluator, expr: Any, local: Mapping[str, Any]) -> Any:
                return change(right(evaluator, expr, dict(local)))

            monkeypatch.setitem(interp._CASES, node, evaluate)

        return install

    def free(node: type[s.Node]) -> Callable[[Any], None]:
        def install(monkeypatch: pytest.MonkeyPatch) -> None:
            right = interp._CASES[node]

            def evaluate(evaluator: Evaluator, expr: Any, local: Mapping[str, Any]) -> Any:
                value = right(evaluator, expr, dict(local))
                evaluator.ticks -= 1
                return value

            monkeypatch.setitem(interp._CASES, node, evaluate)

        return install

    yield "the bits of an operation", wrong(s.BitsOp, lambda v: v if isinstance(v, bool) else v ^ 1)
    yield "the entries of with", wrong(s.With, lambda v: tuple(reversed(v)))
    yield "the answer of exists", wrong(s.Quantifier, lambda v: not v)
    yield "the ticks of bits", free(s.BitsOp)
    yield "the ticks of with", free(s.With)
    yield "the ticks of fold", free(s.Fold)
    yield "the ticks of forall", free(s.Quantifier)


@pytest.mark.parametrize("broken", [name for name, _ in _broken_cases()])
def test_z3_disagrees_with_a_broken_operation(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = operations(8)
    dict(_broken_cases())[broken](monkeypatch)
    assert isinstance(prove(operations_premise(program, 1), rlimit=RLIMIT), Sat)


# --- steps of worlds -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(MACHINES))
def test_steps_lead_where_the_interpreter_says(seed: int) -> None:
    _, program = program_of(seed)
    task, rng = program.task, Random(seed)
    rows = world_lines(task)
    unknowns = next(iter(task.unknown_values()))
    goals: list[str | None] = []
    for _ in range(POINTS):
        state = tuple(some_point(rng, task.states).values())
        actions = tuple(some_point(rng, task.actions).values())
        goals.append(rows.done_goal(state, done=task.is_done(state, unknowns)))
        listed, others = rows.replies(unknowns, state, actions)
        goals += others
        for reply in listed[:3]:
            goals.append(rows.allowed_goal(state, actions, reply))
            goals += rows.step(unknowns, state, actions, reply).goals
    place = Place(task, Region.whole(task, unknowns))
    lines = [*place.goals(rows), *rows.world.lines]
    shown = " ".join(g for g in goals if g is not None)
    lines += [f"(assert (not (and {shown} true)))", "(check-sat)"]
    groups = [rows.facts, place.facts(rows, rates=True)]
    premise = make_premise("steps", "the steps", groups, lines)
    assert isinstance(prove(premise, rlimit=RLIMIT), Unsat), premise.text
