"""The language core against the definition of the language, by an evaluator that shares no code with it.

Random machines of the whole language: worlds, starts, steps, decisions, ticks and sizes; and random expressions.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from random import Random
from typing import Any

import pytest
from brute_force import Case, Player, World, count_nodes, evaluate, find_fault
from brute_language import Names, Poly, domain, plain
from random_expressions import Choice, Kind, Maker, Range, Ratio, Row, Truth, Vector, Whole
from random_machines import make_machine
from random_rewrites import random_machine

from dsl.check import check_code, check_declarations, check_machine
from dsl.interp import evaluate as interpret
from dsl.machine import Program, Task
from dsl.parser import parse_expression, parse_machine, parse_patch
from dsl.polynomial import terms_of

SEEDS = 48  # machines
CHUNKS = 8
EXPRESSIONS = 40  # in each of so many policies
STATES_SEEN = 24


def _terms(weight: Any) -> dict[tuple[str, ...], Fraction]:
    """A weight of either evaluator as coefficients of products of names."""
    if isinstance(weight, Poly):
        return weight.terms
    found: dict[tuple[str, ...], Fraction] = {}
    for monomial, coefficient in terms_of(weight):
        names = tuple(sorted(name for name, power in monomial for _ in range(power)))
        found[names] = coefficient
    return found


def _summed(rows: Iterator[tuple[Any, Any]]) -> dict[Any, dict[tuple[str, ...], Fraction]]:
    """The weights of equal keys added up; what has no weight is left out."""
    total: dict[Any, dict[tuple[str, ...], Fraction]] = {}
    for key, weight in rows:
        terms = total.setdefault(key, {})
        for names, c in _terms(weight).items():
            terms[names] = terms.get(names, Fraction(0)) + c
    found = {k: {n: c for n, c in terms.items() if c} for k, terms in total.items()}
    return {k: terms for k, terms in found.items() if terms}


def _frozen(weight: Any) -> Any:
    return tuple(sorted(_terms(weight).items()))


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_worlds_steps_and_decisions_are_those_of_the_definition(chunk: int) -> None:
    for seed in range(chunk, SEEDS, CHUNKS):
        sample = random_machine(100_000 + seed, 6)
        declarations = sample.made.machine.declarations
        task, world = check_declarations(declarations), World(declarations)
        rng = Random(seed)
        unknowns = [tuple(plain(v) for v in case.unknowns) for case in world.cases]
        assert list(task.unknown_values()) == unknowns, seed
        for case in world.cases:
            _same_starts(task, case, seed)
            states = world.states()
            for state in rng.sample(states, min(len(states), STATES_SEEN)):
                _same_steps(task, case, state, seed)
        codes = [sample.made.machine.agent]
        for rewrite in sample.rewrites:
            code = parse_patch(rewrite.agent)
            if not rewrite.ill_formed and find_fault(world, code) is None:
                codes.append(code)
        for code in codes:
            _same_decisions(check_code(task, code), Player(world, code), seed)


def _same_starts(task: Task, case: Case, seed: int) -> None:
    unknowns = tuple(plain(v) for v in case.unknowns)
    starts = [tuple(plain(v) for v in anywhere) for anywhere, _ in case.starts]
    assert list(task.any_starts(unknowns)) == starts, seed
    for anywhere, (_, weights) in zip(starts, case.starts, strict=True):
        found = _summed(iter(task.start_states(anywhere, unknowns)))
        assert found == _summed((plain(x), w) for x, w in weights.items()), seed


def _same_steps(task: Task, case: Case, state: Any, seed: int) -> None:
    unknowns, at = tuple(plain(v) for v in case.unknowns), plain(state)
    assert task.is_done(at, unknowns) == case.is_done(state), (seed, state)
    for actions in case.world.actions():
        replies = case.replies(state, actions)
        found = task.replies(at, plain(actions), unknowns)
        assert list(found) == [plain(r) for r in replies], (seed, state, actions)
        for reply in replies:
            rows = task.outcomes(at, plain(actions), unknowns, plain(reply))
            drawn = case.draws(state, actions, reply)
            mine = _summed(((_frozen(r), plain(x)), w) for w, r, x in drawn)
            theirs = _summed(((_frozen(o.reward), o.successor), o.weight) for o in rows)
            assert mine == theirs, (seed, state, actions, reply)


def _same_decisions(program: Program, player: Player, seed: int) -> None:
    assert program.size == count_nodes(player.code), seed
    assert program.memory_start == plain(player.start), seed
    memories = list(product(*(d.values() for d in player.memory.values())))
    for state in player.world.states():
        for memory in memories:
            for policy in player.policies:
                found = program.act(plain(state), plain(memory), policy=policy)
                actions, kept, ticks = player.act(state, memory, policy)
                wanted = (plain(actions), plain(kept), ticks)
                assert (found.actions, found.memory, found.ticks) == wanted, (seed, state, memory)


# --- expressions ---------------------------------------------------------------------------------

HUE = Choice("Hue", ("red", "green", "blue"))
SHORT, LONG = Vector(3), Vector(5)
READ: dict[str, Kind] = {
    "t": Truth(),
    "n": Range(-3, 3),
    "k": Range(0, 2),
    "hue": HUE,
    "v": SHORT,
    "w": LONG,
    "row": Row(3, None, Range(-2, 2)),
    "paint": Row(3, HUE, Range(0, 1)),
}
KINDS: tuple[Kind, ...] = (Truth(), Range(-1, 4), Whole(), Ratio(), HUE, SHORT, LONG, READ["row"])

PROBE = """
machine probe
enum Hue {{ red, green, blue }}
environment {{
  state t: bool = false
  state n: int -3..3 = 0
  state k: int 0..2 = 0
  state hue: Hue = red
  state v: bits[3] = 0
  state w: bits[5] = 0
  state row: array[3] of int -2..2 = [0, 0, 0]
  state paint: array[Hue] of int 0..1 = [0, 1, 0]
  action go: bool
  reward = 0
}}
utility {{ discount 1/2  tick_price 1/10 {costs} }}
agent {{
  policy {{
{lines}
    go = true
  }}
}}
"""
COSTS = (
    "",
    'costs { "*": 3, "index": 0, "if": 2, "fold": 5, "with": 4, "forall": 2, "bits": 7, "array": 2 }',
    'costs { "+": 0, "<": 2, "and": 3, "let": 4, "match": 2, "<<": 3, "ult": 2, "int": 9, "min": 3 }',
)


@pytest.mark.parametrize("seed", range(12))
def test_random_expressions_have_the_values_and_ticks_of_the_definition(seed: int) -> None:
    rng = Random(seed)
    maker = Maker(rng, (HUE,), READ, words=(SHORT, LONG), loops=True)
    kinds = [rng.choice(KINDS) for _ in range(EXPRESSIONS)]
    lines = [f"    let e{i} = {maker.make(kind, 4)}" for i, kind in enumerate(kinds)]
    text = PROBE.format(costs=COSTS[seed % len(COSTS)], lines="\n".join(lines))
    machine = parse_machine(text)
    _, program = check_machine(machine)
    world = World(machine.declarations)
    player = Player(world, machine.agent)
    raw, elaborated = player.policies["main"].body, program.policy.body
    for _ in range(30):
        state = tuple(rng.choice(world.domains[i.name].values()) for i in world.state)
        place = Names(player.names, world.cases[0].named(state))
        local = {name: plain(value) for name, value in place.known.items()}
        for mine, theirs in zip(raw[:-1], elaborated[:-1], strict=True):
            value, ticks = evaluate(mine.value, place)
            found = interpret(theirs.value, program.names, dict(local))
            assert (found[0], found[1]) == (plain(value), ticks), (mine, local)
            place.known[mine.name], local[theirs.name] = value, plain(value)
        observed = {i.name: v for i, v in zip(world.state, plain(state), strict=True)}
        assert program.decide(observed).ticks == player.act(state, ())[2]


@pytest.mark.parametrize(
    ("text", "worth", "ticks"),
    [
        ("-1", -1, 0),
        ("1/3", Fraction(1, 3), 0),
        ("-7 div 2", -4, 1),
        ("7 mod -2", -1, 1),
        ("1 + 2 * 3", 7, 2),
        ("3 < 2 < 1 div 1", False, 1),
        ("1 < 2 < 1 div 1", False, 3),
        ("true or 1 < 2", True, 1),
        ("true implies 1 < 2", True, 2),
        ("false and 1 < 2", False, 1),
        ("if 1 < 2 then 3 else 4 + 5", 3, 2),
        ("let n = 1 + 1 in n * n", 4, 3),
        ("match 1 + 1 { 1: 5, 2 | 3: 6 + 7, else: 8 }", 13, 3),
        ("max(1, 2, 3, 4)", 4, 3),
        ("clamp(9, 0, 5)", 5, 1),
        ("abs(-(2))", 2, 1),
        ("floor(-1/2)", -1, 1),
        ("[1, 2 + 3][1]", 5, 3),
        ("[for i in 1..3: i * i][2]", 9, 5),
        ("([1, 2] with { 0: 5, 1: 3 + 4 })[1]", 7, 5),
        ("([1, 2] with { 0: 5, 0: 6 })[0]", 6, 4),
        ("fold n = 1 + 1 for i in 1..3: n + i", 8, 8),
        ("forall i in 0..3: i < 2", False, 6),
        ("exists i in 0..3: i == 1", True, 4),
        ("int(~bits[3](1))", 6, 3),
        ("int(-bits[3](1))", 7, 3),
        ("sint(bits[3](5) + 1)", -2, 3),
        ("int(bits[3](5) << 1)", 2, 3),
        ("int(bits[3](5) << 3)", 0, 3),
        ("int(bits[3](5) >> 1)", 2, 3),
        ("int(ashr(bits[3](5), 1))", 6, 3),
        ("int(ashr(bits[3](5), 9))", 7, 3),
        ("int(ashr(bits[3](5), bits[2](1)))", 6, 4),
        ("int(sext[5](bits[3](5)))", 29, 3),
        ("int(bits[2](bits[3](5)))", 1, 3),
        ("int(bits[3](-1))", 7, 2),
        ("int(sdiv(bits[3](5), bits[3](2)))", 7, 4),
        ("int(srem(bits[3](5), bits[3](2)))", 7, 4),
        ("int(sdiv(bits[3](4), bits[3](7)))", 4, 4),
        ("int(udiv(bits[3](7), bits[3](2)))", 3, 4),
        ("int(urem(bits[3](7), bits[3](2)))", 1, 4),
        ("slt(bits[3](7), bits[3](0))", True, 3),
        ("ult(bits[3](7), bits[3](0))", False, 3),
        ("sle(bits[3](7), 7)", True, 2),
        ("ule(bits[3](7), 6)", False, 2),
    ],
)
def test_the_definition_by_hand(text: str, worth: Any, ticks: int) -> None:
    assert evaluate(parse_expression(text), Names()) == (worth, ticks)


def test_a_case_at_a_point_is_the_case_with_numbers_for_its_unknowns() -> None:
    for seed in range(60):
        made = make_machine(seed)
        if "rational unknowns" not in made.constructs:
            continue
        machine = made.machine
        world = World(machine.declarations)
        point = {
            i.name: Fraction(low + high, 2)
            for i, (low, high) in zip(world.rational, world.box, strict=True)
        }
        point |= {i.name: domain(i.type, world.names).high for i in world.rate}
        for case in world.cases:
            fixed = Case(world, case.unknowns)
            fixed.names.known.update(point)
            for state in world.states()[:10]:
                for actions in world.actions():
                    reply = case.replies(state, actions)[0]
                    mine: dict[Any, Fraction] = {}
                    for w, r, x in case.draws(state, actions, reply):
                        key = Poly.of(r).at(point), x
                        mine[key] = mine.get(key, 0) + Poly.of(w).at(point)
                    other: dict[Any, Fraction] = {}
                    for w, r, x in fixed.draws(state, actions, reply):
                        other[Fraction(r), x] = other.get((Fraction(r), x), 0) + w
                    assert {k: w for k, w in mine.items() if w} == other, seed
