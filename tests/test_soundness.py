"""Every verdict of the gate on random rewrites of random machines, against brute force in exact arithmetic.

`--soundness N` sets how many rewrites are judged; the seeds are the same in every run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import partial
from itertools import product
from random import Random
from typing import Any

import pytest
from brute_force import (
    Names,
    Player,
    World,
    count_nodes,
    evaluate,
    find_fault,
    optimum,
    plain,
    reachable,
    utility,
    value,
)
from random_machines import RandomMachine, RandomRewrite, random_edits, random_machine

from dsl.check import check_code, check_declarations
from dsl.parser import parse_expression, parse_machine, parse_patch
from dsl.syntax import Code, Machine
from godel.gate import Accepted, Gate, Invalid, Refused, Undecided, Verdict
from proofs.kernel.chapter import Chapter
from proofs.kernel.theorem import Improvement, NoImprovement, Optimality
from proofs.tactics.tables import Grid

REWRITES = 8  # of each machine
CHUNK = 500  # rewrites that one test judges
POLICIES_MAX = 2_000
SLACK = Fraction(1, 10**6)  # how far the proved optimum may lie above the true one

UNDECIDED_MAX = Fraction(5, 100)
ACCEPTED_MIN = REFUSED_MIN = Fraction(15, 100)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each `CHUNK` rewrites, so that workers share them."""
    if "chunk" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("soundness")
        metafunc.parametrize("chunk", range(max(1, -(-wanted // CHUNK))))


def seeds(chunk: int, every: int = 1) -> range:
    """The seeds of the machines of a chunk, or of every so many of them."""
    machines = -(-CHUNK // REWRITES)
    return range(chunk * machines, (chunk + 1) * machines, every)


# --- brute force itself, against values worked out by hand ---------------------------------------

WALK = """
machine walk
environment {
  state x: int 0..2 = 0
  action go: bool
  chance c: int = { 0: 1/2, 1: 1/2 }
  x' = if go then min(2, x + c) else x
  reward = if x' == 2 then 1 else 0
  done = x == 2
}
utility { discount 1/2  tick_price 1/10  size_price 1/100 }
agent { policy { go = x < 2 } }
"""


def test_brute_force_agrees_with_a_value_worked_out_by_hand() -> None:
    # V(1) = -1/10 + 1/2 + V(1)/4, V(0) = -1/10 + V(1)/4 + V(0)/4; five nodes
    machine = parse_machine(WALK)
    world = World(machine.declarations)
    assert count_nodes(machine.agent) == 5
    assert utility(world, machine.agent) == Fraction(2, 45) - Fraction(5, 100)
    assert optimum(world) == Fraction(2, 9)
    two_steps = parse_machine(WALK.replace("discount 1/2", "horizon 2"))
    world = World(two_steps.declarations)
    assert utility(world, two_steps.agent) == Fraction(1, 20) - Fraction(5, 100)
    assert optimum(world) == Fraction(1, 4)


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
    ],
)
def test_brute_force_counts_the_ticks_of_the_definition(text: str, worth: Any, ticks: int) -> None:
    assert evaluate(parse_expression(text), Names()) == (worth, ticks)


# --- verdicts ------------------------------------------------------------------------------------


def test_no_accepted_rewrite_is_worse_and_no_refusal_is_false(
    chunk: int, record_property: Any
) -> None:
    verdicts: Counter[str] = Counter()
    wrong: list[str] = []
    for seed in seeds(chunk):
        sample = random_machine(seed, REWRITES)
        machine = parse_machine(sample.text)
        chapter = Chapter(machine.declarations)
        gate = Gate(chapter, threads=1)
        world = World(machine.declarations)
        before = utility(world, machine.agent)
        for i, rewrite in enumerate(sample.rewrites):
            new = parse_patch(rewrite.agent)
            edits = random_edits(Random(f"{seed} {i}"), machine.agent, new, rewrite.spoil)
            verdict = gate.judge(machine.agent, edits)
            verdicts[type(verdict).__name__] += 1
            fault = _fault_of(world, before, new, rewrite, verdict)
            if fault:
                wrong.append(_describe(sample, i, type(verdict).__name__, fault))
    record_property("verdicts", dict(verdicts))
    assert not wrong, f"{len(wrong)} wrong verdicts, the first: {wrong[0]}"
    total = sum(verdicts.values())
    shares = ", ".join(f"{n} {100 * k / total:.1f} %" for n, k in sorted(verdicts.items()))
    assert verdicts["Undecided"] < UNDECIDED_MAX * total, shares
    assert verdicts["Accepted"] >= ACCEPTED_MIN * total, shares
    assert verdicts["Refused"] >= REFUSED_MIN * total, shares


def _fault_of(
    world: World, before: Fraction, new: Code, rewrite: RandomRewrite, verdict: Verdict
) -> str | None:
    """What is wrong with a verdict, or None."""
    spoilt = rewrite.spoil not in ("", "same")
    broken = None if spoilt or rewrite.ill_formed else find_fault(world, new)
    match verdict:
        case Invalid(reason):
            return None if spoilt or rewrite.ill_formed or broken else f"a program: {reason}"
        case Undecided(_, reason, True):
            return reason
        case Undecided():
            return None
        case _ if spoilt or rewrite.ill_formed:
            return "edits that do not apply, or code that is no program"
        case _ if broken:
            return f"the code is not total: {broken}"
        case Accepted(code) | Refused(code) if code != new:
            return "another code than the one that the edits lead to"
    after = utility(world, new)
    statement = verdict.theorem.statement
    match verdict, statement:
        case Accepted(), Improvement(_, _, _, _, old_upper, new_lower, gain):
            sound = before <= old_upper < new_lower <= after and 0 < gain <= after - before
        case Refused(), NoImprovement(_, _, _, _, old_lower, new_upper):
            sound = after <= new_upper <= old_lower <= before
        case _:
            return f"a theorem about something else: {statement}"
    return None if sound else f"U was {before} and becomes {after}, but {statement}"


def _describe(sample: RandomMachine, index: int, verdict: str, fault: str) -> str:
    rewrite = sample.rewrites[index]
    return (
        f"seed {sample.seed}, rewrite {index} ({rewrite.what}): {verdict}, but {fault}\n"
        f"{sample.text}\n--- becomes ---\n{rewrite.agent}"
    )


# --- the optimum ---------------------------------------------------------------------------------


def test_no_policy_exceeds_the_proved_optimum(chunk: int) -> None:
    for seed in seeds(chunk, every=3):
        machine = parse_machine(random_machine(seed, 0).text)
        gate = Gate(Chapter(machine.declarations), threads=1)
        world = World(machine.declarations)
        present, best = utility(world, machine.agent), optimum(world)
        assert _best_policy(world, seed) <= best, seed
        for grid in (Grid.FINE, Grid.EXACT):
            theorem, _ = gate.prove_gap(machine.agent, grid)
            claim = theorem.statement
            assert isinstance(claim, Optimality)
            assert claim.lower <= present, seed
            assert claim.gap == claim.upper - claim.lower, seed
            assert best <= claim.upper <= best + SLACK, seed


def _best_policy(world: World, seed: int) -> Fraction:
    """The largest V over deterministic policies that see what is observed; over a sample where there are many."""
    actions = world.actions()
    states = reachable(world, lambda _: actions)
    places = [[i.name for i in world.state].index(n) for n in world.observed]
    seen = sorted({_look(x, places) for x in states}, key=repr)
    if len(actions) ** len(seen) <= POLICIES_MAX:
        policies: Iterator[Any] = product(actions, repeat=len(seen))
    else:
        rng = Random(seed)
        policies = iter([tuple(rng.choices(actions, k=len(seen))) for _ in range(100)])
    best: Fraction | None = None
    for policy in policies:
        decide = dict(zip(seen, policy, strict=True))
        worth = value(world, partial(_follow, decide, places))
        best = worth if best is None or worth > best else best
    assert best is not None
    return best


def _follow(decide: Mapping[Any, Any], places: list[int], state: Any) -> tuple[Any, int]:
    return decide[_look(state, places)], 0


def _look(state: Any, places: list[int]) -> Any:
    return tuple(state[i] for i in places)


# --- the language core ---------------------------------------------------------------------------


def test_steps_actions_and_ticks_are_those_of_the_definition(chunk: int) -> None:
    for seed in seeds(chunk, every=3):
        sample = random_machine(seed, REWRITES)
        machine = parse_machine(sample.text)
        task = check_declarations(machine.declarations)
        world = World(machine.declarations)
        assert dict(task.start_states()) == {plain(x): w for x, w in world.starts().items()}, seed
        for state in world.states():
            assert task.is_done(plain(state)) == world.is_done(state), (seed, state)
            for actions in world.actions():
                drawn: Counter[Any] = Counter()
                for weight, reward, after in world.draws(state, actions):
                    drawn[reward, plain(after)] += weight  # type: ignore[assignment]
                rows = task.outcomes(plain(state), plain(actions))
                assert drawn == {(o.reward, o.successor): o.weight for o in rows}, (seed, state)
        for code in _programs(machine, sample, world):
            program, player = check_code(task, code), Player(world, code)
            assert program.size == count_nodes(code), seed
            for state in world.states():
                actions, ticks = player.act(state)
                assert program.act(plain(state)) == (plain(actions), ticks), (seed, state)


def _programs(machine: Machine, sample: RandomMachine, world: World) -> list[Code]:
    """The code of a machine and of those of its rewrites that are programs."""
    codes = [machine.agent]
    for rewrite in sample.rewrites:
        new = parse_patch(rewrite.agent)
        if not rewrite.ill_formed and find_fault(world, new) is None:
            codes.append(new)
    return codes
