"""Every verdict of the gate on random rewrites of random machines, against brute force in exact arithmetic.

The machines have every part of the language. `--soundness N` sets how many rewrites are judged, `--soundness-from S` the
seed of the first machine; the seeds are the same in every run.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from brute_force import World, find_fault, optimum, utility
from brute_games import exactly, least
from mutants import mutate
from random_machines import make_machine
from random_rewrites import RandomMachine, RandomRewrite, random_edits, random_machine
from verdicts import Judge, show_worths

from dsl.parser import parse_machine, parse_patch
from dsl.syntax import Code, Slot
from godel.gate import Accepted, Gate, Invalid, Refused, Undecided, Verdict
from proofs.kernel.chapter import Chapter
from proofs.kernel.check import Breaks, IsBetter, IsChain, IsNotBetter, Obligation, check
from proofs.kernel.theorem import Broken, CertificateError, Chain, Kept, Optimality, Theorem

REWRITES = 10  # of each machine
CHUNK = 250  # rewrites that one test judges
MUTANTS = 12  # of each certificate
CHAINED = 4  # every so many machines are rewritten step by step
SLACK = Fraction(1, 10**6)  # how far the proved optimum may lie above the true one

UNDECIDED_MAX = Fraction(5, 100)
ACCEPTED_MIN = REFUSED_MIN = Fraction(10, 100)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each `CHUNK` rewrites, so that workers share them."""
    if "chunk" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("soundness")
        first = metafunc.config.getoption("soundness_from") // (CHUNK // REWRITES)
        metafunc.parametrize("chunk", range(first, first + max(1, -(-wanted // CHUNK))))


def seeds(chunk: int, every: int = 1) -> range:
    """The seeds of the machines of a chunk, or of every so many of them."""
    machines = CHUNK // REWRITES
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
    assert utility(world, machine.agent) == Fraction(2, 45) - Fraction(5, 100)
    assert optimum(world) == Fraction(2, 9)
    two_steps = parse_machine(WALK.replace("discount 1/2", "horizon 2"))
    world = World(two_steps.declarations)
    assert utility(world, two_steps.agent) == Fraction(1, 20) - Fraction(5, 100)
    assert optimum(world) == Fraction(1, 4)


GAME = """
machine game
environment {
  state x: bool = any
  unknown p: rat 1/4..1/2
  unknown u: int 1..2
  adversary e: bool where e or x
  adversary r: rat 0..1/3
  action go: bool
  chance c: bool = if go then { true: p, false: 1 - p } else { true: r, false: 1 - r }
  x' = c
  reward = (if c then u else 0) - (if e then 0 else 1)
}
utility { horizon 2  better worst }
agent {
  memory m: bool = true
  policy { go = m  m' = not m }
}
"""


def test_brute_force_plays_against_the_adversary_in_every_world() -> None:
    # the first step earns p u, the second nothing: the rate is 0; e costs 1 where x allows it, first at the start,
    # and after the first step with weight p
    machine = parse_machine(GAME)
    judge = Judge(machine.declarations, 0, inside=0)
    assert judge.points == [(Fraction(1, 4),), (Fraction(1, 2),), (Fraction(3, 8),)]
    for number, u in enumerate((1, 2)):
        for (p,) in judge.points:
            found = [exactly(w) for w in judge.worths(machine.agent, (number, (p,)))]
            assert found == [p * u - p, p * u - 1 - p]
            # at most: going twice; both steps earn p u, less 1 for each step from x
            best = [exactly(w) for w in judge.best((number, (p,)))]
            assert best == [2 * p * u - p, 2 * p * u - 1 - p]


# --- verdicts ------------------------------------------------------------------------------------


def test_no_accepted_rewrite_is_worse_and_no_refusal_is_false(
    chunk: int, record_property: Any
) -> None:
    verdicts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    wrong: list[str] = []
    for seed in seeds(chunk):
        sample = random_machine(seed, REWRITES)
        made, old = sample.made, sample.made.machine.agent
        chapter = Chapter(made.machine.declarations)
        gate = Gate(chapter, threads=1)
        judge = Judge(made.machine.declarations, seed)
        links: list[Theorem] = []
        for i, rewrite in enumerate(sample.rewrites):
            new = parse_patch(rewrite.agent)
            edits = random_edits(Random(f"{seed} {i}"), old, new, rewrite.spoil)
            verdict = gate.judge(old, edits)
            name = type(verdict).__name__
            for construct in ("", *made.constructs):
                verdicts[f"{construct}|{name}"] += 1
            if isinstance(verdict, Undecided):
                reasons[verdict.reason[:120]] += 1
            fault = _fault_of(judge, old, new, rewrite, verdict)
            if fault is not None:
                wrong.append(_describe(sample, i, name, fault, old, judge))
            if isinstance(verdict, Accepted) and seed % CHAINED == 0:
                old = verdict.code
                links.append(verdict.theorem)
        fault = _false_chain(chapter, judge, made.machine.agent, old, links)
        if fault:
            wrong.append(f"seed {seed}: {fault}")
    record_property("verdicts", dict(verdicts))
    assert not wrong, f"{len(wrong)} wrong verdicts, the first: {wrong[0]}"
    shares = {name: n for key, n in verdicts.items() if (name := key.removeprefix("|")) != key}
    total = sum(shares.values())
    assert shares.get("Undecided", 0) < UNDECIDED_MAX * total, (shares, reasons.most_common())
    assert shares.get("Accepted", 0) >= ACCEPTED_MIN * total, shares
    assert shares.get("Refused", 0) >= REFUSED_MIN * total, shares


def _fault_of(
    judge: Judge, old: Code, new: Code, rewrite: RandomRewrite, verdict: Verdict
) -> str | None:
    """What is wrong with a verdict, or None."""
    spoilt = rewrite.spoil not in ("", "same")
    broken = None if spoilt or rewrite.ill_formed else find_fault(judge.world, new)
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
        case Accepted(code) | Refused(code) if _slots(code) != _slots(new):
            return "another code than the one that the edits lead to"
    statement = verdict.theorem.statement
    if isinstance(verdict, Accepted) != (type(statement).__name__ == "Improvement"):
        return f"a theorem about something else: {statement}"
    if isinstance(verdict, Accepted):
        names = [r.name for r in judge.world.requirements]
        kept = [link.theorem.statement for link in verdict.kept]
        if [link.requirement for link in kept if isinstance(link, Kept)] != names:
            return f"the requirements {names} are not all proved: {kept}"
        for link in kept:
            if fault := judge.fault_of(link, old, new):
                return fault
    return judge.fault_of(statement, old, new)


def _slots(code: Code) -> dict[str, Slot]:
    """The slots of a program by name; one that was removed and is added again comes last."""
    return {slot.name: slot for slot in code.slots}


def _describe(
    sample: RandomMachine, index: int, verdict: str, fault: str, old: Code, judge: Judge
) -> str:
    rewrite = sample.rewrites[index]
    return (
        f"seed {sample.seed}, rewrite {index} ({rewrite.what}): {verdict}, but {fault}\n"
        f"{sample.text}\n--- becomes ---\n{rewrite.agent}\nU was {show_worths(judge, old)}"
    )


def _false_chain(
    chapter: Chapter, judge: Judge, first: Code, last: Code, links: list[Theorem]
) -> str | None:
    """What is wrong with the theorem that improvements one after the other add up to, or None."""
    if not links:
        return None
    ends = chapter.program(first).digest, chapter.program(last).digest
    claim = check(IsChain(chapter, *ends), tuple(links)).statement
    assert isinstance(claim, Chain) and claim.links == len(links)
    news = [w for key in judge.sampled() for w in judge.worths(last, key)]
    olds = [w for key in judge.sampled() for w in judge.worths(first, key)]
    if claim.criterion == "worst":
        # the minimum of the first program may lie at a point that is not sampled
        rises = [least(news).minus(least(olds))] if judge.is_closed else []
    else:
        rises = [a.minus(b) for a, b in zip(news, olds, strict=True)]
    if any(rise.less(claim.gain).sign() < 0 for rise in rises):
        return f"less is gained than {claim.gain} by the chain"
    return None


# --- mutants -------------------------------------------------------------------------------------


def test_a_changed_certificate_proves_nothing_false(chunk: int) -> None:
    for seed in seeds(chunk, every=6):
        sample = random_machine(seed, 3)
        old, rng = sample.made.machine.agent, Random(seed)
        chapter = Chapter(sample.made.machine.declarations)
        gate, judge = Gate(chapter, threads=1), Judge(sample.made.machine.declarations, seed)
        for rewrite in sample.rewrites:
            new = parse_patch(rewrite.agent)
            verdict = gate.judge(old, random_edits(rng, old, new, rewrite.spoil))
            if not isinstance(verdict, Accepted | Refused):
                continue
            for obligation, before, after in _obligations(chapter, old, new, verdict):
                for _ in range(MUTANTS):
                    mutant = mutate(rng, verdict.certificate)
                    try:
                        claim = check(obligation, mutant).statement
                    except CertificateError:
                        continue
                    fault = judge.fault_of(claim, before, after)
                    assert fault is None, (seed, rewrite.what, fault, sample.text, rewrite.agent)


def _obligations(
    chapter: Chapter, old: Code, new: Code, verdict: Accepted | Refused
) -> list[tuple[Obligation, Code, Code]]:
    """What the certificate of a verdict is evidence for, what a swapped one would be for, and the codes in that order."""
    statement = verdict.theorem.statement
    if isinstance(statement, Broken):
        return [(Breaks(chapter, statement.requirement, new), old, new)]
    better = [(IsBetter(chapter, a, b), a, b) for a, b in ((old, new), (new, old))]
    worse = [(IsNotBetter(chapter, a, b), a, b) for a, b in ((old, new), (new, old))]
    return [*better] if isinstance(verdict, Accepted) else [*worse]


# --- the optimum ---------------------------------------------------------------------------------


def test_no_policy_exceeds_the_proved_optimum(chunk: int) -> None:
    for seed in seeds(chunk, every=6):
        machine = make_machine(seed).machine
        gate = Gate(Chapter(machine.declarations), threads=1)
        judge = Judge(machine.declarations, seed)
        theorem, _ = gate.prove_gap(machine.agent)
        claim = theorem.statement
        assert isinstance(claim, Optimality)
        assert judge.fault_of(claim, machine.agent, machine.agent) is None, seed
        bounds, _ = gate.prove_bounds(machine.agent)
        assert judge.fault_of(bounds.statement, machine.agent, machine.agent) is None, seed
        if judge.is_closed:
            pairs = [
                (exactly(best), exactly(worth))
                for key in judge.sampled()
                for best, worth in zip(
                    judge.best(key), judge.worths(machine.agent, key), strict=True
                )
            ]
            most = max(best for best, _ in pairs)
            furthest = max(best - worth for best, worth in pairs)
            assert most <= claim.upper, seed
            assert furthest <= claim.gap, seed
            if not gate.chapter.task.rationals and not gate.chapter.task.rates:
                # tables are the values themselves, but for rounding, where no polynomial has to be bounded
                assert claim.upper <= most + SLACK, seed
                assert claim.gap <= furthest + SLACK, seed
