"""Every verdict of the gate on random rewrites of random machines, against brute force in exact arithmetic.

`--soundness N` sets how many rewrites are judged; the seeds are the same in every run.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import islice, product
from random import Random
from typing import Any

import pytest
from brute_force import (
    Player,
    World,
    count_nodes,
    find_fault,
    optimum,
    plain,
    reachable,
    utility,
    value,
)
from random_machines import RandomMachine, RandomRewrite, random_edits, random_machine

from dsl.check import check_code, check_declarations
from dsl.errors import DslError
from dsl.parser import parse_machine, parse_patch
from dsl.rewrite import RewriteError, apply_rewrite
from dsl.syntax import Code, Machine
from godel.gate import Accepted, Gate, Invalid, Refused, Undecided, Verdict
from proofs.kernel.chapter import Chapter
from proofs.kernel.theorem import Improvement, NoImprovement, Optimality

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
        theorem, _ = gate.prove_gap(machine.agent)
        claim = theorem.statement
        assert isinstance(claim, Optimality)
        assert claim.lower <= utility(world, machine.agent), seed
        assert claim.gap == claim.upper - claim.lower, seed
        best = optimum(world)
        assert best <= claim.upper <= best + SLACK, seed
        assert _best_policy(world, seed) <= claim.upper, seed


def _best_policy(world: World, seed: int) -> Fraction:
    """The largest V over deterministic policies that see what is observed; over a sample where there are many."""
    actions = world.actions()
    states = reachable(world, lambda _: actions)
    places = [[i.name for i in world.state].index(n) for n in world.observed]
    seen = sorted({_look(x, places) for x in states}, key=repr)
    if len(actions) ** len(seen) <= POLICIES_MAX:
        policies = product(actions, repeat=len(seen))
    else:
        rng = Random(seed)
        policies = iter([tuple(rng.choices(actions, k=len(seen))) for _ in range(100)])
    best: Fraction | None = None
    for policy in policies:
        decide = dict(zip(seen, policy, strict=True))
        worth = value(world, lambda x, d=decide: (d[_look(x, places)], 0))
        best = worth if best is None or worth > best else best
    assert best is not None
    return best


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
