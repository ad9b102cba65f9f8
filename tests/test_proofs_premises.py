"""Premises over the whole language: what the finders find is `unsat` for Z3, and what is wrong with it is found out."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from functools import cache

import pytest
from random_machines import make_machine

from dsl.machine import Program, World
from dsl.parser import parse_machine
from proofs.games import TooLarge
from proofs.kernel.certificate import (
    BetterCertificate,
    BetterWorstCertificate,
    BoundsCertificate,
    Case,
    Cut,
    InvariantCertificate,
    Leaf,
    PathCertificate,
    PointwiseCertificate,
    RankCertificate,
    Reply,
    Table,
    Tree,
)
from proofs.kernel.chapter import Chapter
from proofs.kernel.theorem import CertificateError
from proofs.premises import Premise, PremiseError
from proofs.prover import Sat, Unsat, prove
from proofs.solver import (
    SolverSays,
    ask_about_code,
    ask_about_declarations,
    ask_about_improvement,
    ask_about_requirement,
    list_premises,
)
from proofs.tactics.compare import Bounders, find_bounds, find_evidence, find_optimality
from proofs.tactics.pieces import Stuck
from proofs.tactics.requirements import find_requirement

RLIMIT = 100_000_000
Better = BetterCertificate | BetterWorstCertificate | PointwiseCertificate
SEEDS = range(30)

FERRY = """
machine ferry
enum Side { west, east }
const FAR = bits[3](6)
environment {
  state side: Side = { west: p, east: 1 - p }
  state load: int 0..2 = any where load != ice
  state water: bits[3] = bits[3](5)
  unknown ice: int 0..1
  unknown p: rat 1/4..3/4
  unknown q: rat 0..1/2
  assume p + q <= 1
  observe load, water
  action go: Side
  adversary wave: int 0..3 where wave + load != 3
  adversary wind: rat 0..1/8
  chance slips: bool = { true: wind + q / 4, false: 1 - wind - q / 4 }
  chance turn: int 0..1 = { 0: p, 1: 1 - p }
  side' = if slips then side else go
  load' = if wave == 2 and not slips then 0 else max(load, turn)
  water' = if wave == 1 then (water << 1) ^ FAR else water & bits[3](3)
  reward = (if side' == east then 1 else -p) + load / 10 - wave / 20
  done = water == 7 and ice == 1
}
utility { discount 4/5  tick_price 1/1000  size_price 1/100_000  costs { "<": 2, "^": 5 } }
require bounded: always load <= 2
require steady: always water' != 1 or side == west or side' == west or go == east or load >= 0
require ends: within 2 reach load <= 2 from load == 1 using calm
agent {
  memory seen: bits[2] = 1
  memory tired: bool = false
  policy {
    let more = seen ^ bits[2](water)
    go = if tired or ult(more, 2) then east else west
    seen' = more + 1
    tired' = load < 1
  }
  policy calm { go = east }
}
"""

LAZY = FERRY.replace("let more = seen ^ bits[2](water)", "let more = seen ^ bits[2](water) ^ 0 ^ 0")
EAST = FERRY.replace("go = if tired or ult(more, 2) then east else west", "go = east")


@cache
def machine(text: str = FERRY) -> tuple[Chapter, Program]:
    read = parse_machine(text)
    chapter = Chapter(read.declarations)
    return chapter, chapter.program(read.agent)


def pair(old: str, new: str) -> tuple[Chapter, Program, Program]:
    chapter, before = machine(old)
    return chapter, before, chapter.program(parse_machine(new).agent)


def verdicts(premises: list[Premise]) -> set[type]:
    return {type(prove(p, rlimit=RLIMIT)) for p in premises}


def all_hold(premises: list[Premise]) -> None:
    for premise in premises:
        answer = prove(premise, rlimit=RLIMIT)
        assert isinstance(answer, Unsat), (answer, premise.text)


# --- random machines -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_found_about_random_machines_is_proved(seed: int) -> None:
    made = make_machine(seed).machine
    chapter = Chapter(made.declarations)
    program = chapter.program(made.agent)
    own = Bounders(chapter, program)
    try:
        bounds = find_bounds(chapter, own)
        all_hold(list_premises(chapter.task, bounds, old=None, new=program))
        gap = find_optimality(chapter, own, Bounders(chapter, None))
        all_hold(list_premises(chapter.task, gap, old=None, new=program))
    except (TooLarge, Stuck, CertificateError):
        pass
    for r in chapter.task.requirements:
        found = find_requirement(chapter, program, r)
        listed = list_premises(chapter.task, found, old=None, new=program, requirement=r.name)
        all_hold(listed)
    assert ask_about_declarations(chapter.task, rlimit=RLIMIT).says is SolverSays.PROVED
    assert ask_about_code(program, rlimit=RLIMIT).says is SolverSays.PROVED


# --- one machine with everything -----------------------------------------------------------------


def test_a_machine_with_everything_is_total() -> None:
    chapter, program = machine()
    assert ask_about_declarations(chapter.task, rlimit=RLIMIT).says is SolverSays.PROVED
    assert ask_about_code(program, rlimit=RLIMIT).says is SolverSays.PROVED


@cache
def ferry_bounds() -> tuple[Chapter, Program, BoundsCertificate]:
    chapter, program = machine()
    return chapter, program, find_bounds(chapter, Bounders(chapter, program))


def test_bounds_of_a_machine_with_everything_are_proved() -> None:
    chapter, program, bounds = ferry_bounds()
    premises = list_premises(chapter.task, bounds, old=None, new=program)
    all_hold(premises)
    text = "\n".join(p.text for p in premises)
    for part in (
        "(declare-const p Real)",
        "(assert (<= 0.25 p 0.75))",
        "(assert (<= (+ p q) 1.0))",
        "(declare-const wind Real)",
        "(define-fun ice () Int 1)",
        "; what the adversary may choose: wave, wind where wave + load != 3",
        "(not (adversary.allowed 0 3 wind))",
        "(= policy.start.seen #b01)",
        "(bvshl water #b001)",
    ):
        assert part in text, part


def _mutated(tree: Tree, by: Fraction, replies: Reply | None = None) -> Tree:
    if isinstance(tree, Cut):
        return replace(tree, below=_mutated(tree.below, by, replies), above=tree.above)
    (layer,) = tree.tables[0].layers
    first = replace(layer[0], value=layer[0].value + by)
    if replies is not None:
        first = replace(first, replies=(replies,))
    return Leaf((Table(((first, *layer[1:]),)), *tree.tables[1:]), tree.multipliers)


def _with_first(
    cases: tuple[Case, ...], by: Fraction, reply: Reply | None = None
) -> tuple[Case, ...]:
    return (replace(cases[0], tree=_mutated(cases[0].tree, by, reply)), *cases[1:])


def test_values_that_are_off_are_found() -> None:
    chapter, program, bounds = ferry_bounds()
    high = replace(bounds, lower_cases=_with_first(bounds.lower_cases, Fraction(100)))
    low = replace(bounds, upper_cases=_with_first(bounds.upper_cases, Fraction(-100)))
    claims = (
        high,
        low,
        replace(bounds, lower=(bounds.lower or Fraction(0)) + 100),
        replace(bounds, upper=(bounds.upper or Fraction(0)) - 100),
    )
    for claim in claims:
        assert Sat in verdicts(list_premises(chapter.task, claim, old=None, new=program))


@pytest.mark.parametrize(
    "reply", [Reply((0,), (Fraction(1, 2),)), Reply((3,), (Fraction(0),)), Reply((1,), ())]
)
def test_replies_that_are_not_allowed_are_found(reply: Reply) -> None:
    chapter, program, bounds = ferry_bounds()
    cases = bounds.upper_cases
    (layer,) = cases[0].tree.tables[0].layers  # type: ignore[union-attr]
    place = next(i for i, e in enumerate(layer) if e.state[1] == 0)
    moved = (layer[place], *layer[:place], *layer[place + 1 :])
    leaf = replace(cases[0].tree, tables=(Table((moved,)),))  # type: ignore[arg-type]
    first = (replace(cases[0], tree=leaf), *cases[1:])
    claim = replace(bounds, upper_cases=_with_first(first, Fraction(0), reply))
    try:
        premises = list_premises(chapter.task, claim, old=None, new=program)
    except (PremiseError, ValueError, LookupError):
        return
    assert Sat in verdicts(premises)


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        (r"\(= \(policy\.go ([^()]*)\) Side\.east\)", r"(= (policy.go \1) Side.west)"),
        (r"\(= \(\|policy\.seen'\| ([^()]*)\) #b01\)", r"(= (|policy.seen'| \1) #b11)"),
        (r"\(= \(policy\.ticks ([^()]*)\) \d+\)", r"(= (policy.ticks \1) 2)"),
        (r"\(not \(adversary\.allowed ([^()]*)\)\)", r"(adversary.allowed \1)"),
        (r"\(= (\(\+ [^\n]*\)) 1\.0\)", r"(= \1 2.0)"),
        (r"\(= \(\|water'\| ([^()]*)\) #b(...)\)", r"(= (bvadd (|water'| \1) #b001) #b\2)"),
        (r"\(= policy\.start\.seen #b01\)", r"(= policy.start.seen #b10)"),
        (r"\(not \(start\.allowed 0\)\)", r"(start.allowed 0)"),
        (r"\(not \(done ([^()]*)\)\)", r"(done \1)"),
    ],
)
def test_a_wrong_statement_is_found(written: str, instead: str) -> None:
    chapter, program, bounds = ferry_bounds()
    premise = list_premises(chapter.task, bounds, old=None, new=program)[0]
    text, count = re.subn(written, instead, premise.goals, count=1)
    assert count == 1, premise.goals
    assert isinstance(prove(replace(premise, goals=text), rlimit=RLIMIT), Sat)


# --- improvements --------------------------------------------------------------------------------


@pytest.mark.parametrize("criterion", ["dominates", "strictly", "worst"])
def test_improvements_by_every_criterion_are_proved(criterion: str) -> None:
    better = f"size_price 1/100_000  better {criterion}"
    old, new = (t.replace("size_price 1/100_000", better) for t in (FERRY, EAST))
    chapter, before, after = pair(old, new)
    found = find_evidence(chapter, Bounders(chapter, before), Bounders(chapter, after))
    assert isinstance(found, Better)
    answer = ask_about_improvement(chapter.task, before, after, found, rlimit=RLIMIT, threads=1)
    assert answer.says is SolverSays.PROVED, answer
    lie: BetterCertificate | BetterWorstCertificate | PointwiseCertificate
    if isinstance(found, BetterWorstCertificate):
        lie = replace(found, level=found.level + 10)
    else:
        lie = replace(found, gain=Fraction(1000))
    wrong = ask_about_improvement(chapter.task, before, after, lie, rlimit=RLIMIT, threads=1)
    assert wrong.says is SolverSays.CONTRADICTS


def test_the_same_for_fewer_ticks_is_proved_pointwise() -> None:
    chapter, before, after = pair(LAZY, FERRY)
    found = find_evidence(chapter, Bounders(chapter, before), Bounders(chapter, after))
    assert isinstance(found, PointwiseCertificate)
    premises = list_premises(chapter.task, found, old=before, new=after)
    all_hold(premises)
    assert "(= (old.ticks " in premises[0].text
    lie = replace(found, cases=_with_first(found.cases, Fraction(1)))
    assert Sat in verdicts(list_premises(chapter.task, lie, old=before, new=after))
    with pytest.raises(PremiseError, match="the programs differ at"):
        other = chapter.program(parse_machine(EAST).agent)
        list_premises(chapter.task, found, old=other, new=after)


def test_refusals_are_proved() -> None:
    chapter, before, after = pair(EAST, FERRY)
    found = find_evidence(chapter, Bounders(chapter, before), Bounders(chapter, after))
    all_hold(list_premises(chapter.task, found, old=before, new=after))


def test_a_world_that_is_none_is_vacuous() -> None:
    chapter, before, after = pair(FERRY, EAST)
    found = find_evidence(chapter, Bounders(chapter, before), Bounders(chapter, after))
    assert isinstance(found, Better)
    outside = World(found.world.starts, found.world.unknowns, (Fraction(2), Fraction(0)))
    lie = replace(found, world=outside)
    answer = ask_about_improvement(chapter.task, before, after, lie, rlimit=RLIMIT, threads=1)
    assert answer.says is SolverSays.UNKNOWN


# --- requirements --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bounded", "steady", "ends"])
def test_requirements_are_proved(name: str) -> None:
    chapter, program = machine()
    requirement = next(r for r in chapter.task.requirements if r.name == name)
    found = find_requirement(chapter, program, requirement)
    answer = ask_about_requirement(chapter.task, program, name, found, rlimit=RLIMIT, threads=1)
    assert answer.says is SolverSays.PROVED, answer


def test_an_invariant_that_is_not_closed_is_found() -> None:
    chapter, program = machine()
    found = find_requirement(chapter, program, chapter.task.requirements[0])
    assert isinstance(found, InvariantCertificate)
    unknowns, pairs = found.sets[0]
    for i in (0, len(pairs) // 2, len(pairs) - 1):
        less = ((unknowns, (*pairs[:i], *pairs[i + 1 :])), *found.sets[1:])
        lie = InvariantCertificate(less)
        premises = list_premises(chapter.task, lie, old=None, new=program, requirement="bounded")
        assert Sat in verdicts(premises)


RIVER = """
machine river
environment {
  state x: int 0..6 = { 2: 1/2, 3: 1/2 }
  action move: int 0..2
  adversary drift: int 0..1 where x > 1 or drift == 0
  chance gust: bool = { true: 1/4, false: 3/4 }
  x' = clamp(x - move + (if gust then drift else 0), 0, 6)
  reward = x
}
utility { discount 1/2 }
require dry: always x < 5
require home: within 4 reach x == 0 from x < 5 using go_home
require swift: within 2 reach x == 0 from x < 5 using go_home
require slow: always x' >= x - 1
agent {
  policy { move = if x > 3 then 2 else 0 }
  policy go_home { move = 2 }
}
"""


@pytest.mark.parametrize(
    ("name", "kept"), [("dry", True), ("home", True), ("swift", False), ("slow", False)]
)
def test_requirements_are_kept_or_broken(name: str, kept: bool) -> None:
    chapter, program = machine(RIVER)
    requirement = next(r for r in chapter.task.requirements if r.name == name)
    found = find_requirement(chapter, program, requirement)
    assert isinstance(found, PathCertificate) != kept
    answer = ask_about_requirement(chapter.task, program, name, found, rlimit=RLIMIT, threads=1)
    assert answer.says is SolverSays.PROVED, answer
    if isinstance(found, PathCertificate):
        lie = replace(found, moves=(*found.moves[:-1], replace(found.moves[-1], successor=(6,))))
        wrong = ask_about_requirement(chapter.task, program, name, lie, rlimit=RLIMIT, threads=1)
        assert wrong.says is not SolverSays.PROVED


def test_a_rank_that_does_not_fall_is_found() -> None:
    chapter, program = machine(RIVER)
    found = find_requirement(chapter, program, chapter.task.requirements[1])
    assert isinstance(found, RankCertificate)
    ((unknowns, pairs, ranks),) = found.sets
    flat = tuple((p, 1) for p, _ in ranks)
    high = tuple((p, n + 4) for p, n in ranks)
    for lie in (flat, high, ranks[:-1], ranks[1:]):
        wrong = RankCertificate(((unknowns, pairs, lie),))
        premises = list_premises(chapter.task, wrong, old=None, new=program, requirement="home")
        assert Sat in verdicts(premises)


# --- totality ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "instead", "code"),
    [
        ("wave + load != 3", "wave + load > 9", "G064"),
        ("wind + q / 4, false: 1 - wind - q / 4", "wind + q / 4, false: 1 - q / 4", "G016"),
        ("{ 0: p, 1: 1 - p }", "{ 0: 2 * p - 1, 1: 2 - 2 * p }", "G016"),
        ("{ west: p, east: 1 - p }", "{ west: p, east: p }", "G016"),
        ("(water << 1)", "(water << (load - 1))", "G031"),
        ("water & bits[3](3)", "udiv(bits[3](3), water)", "G013"),
    ],
)
def test_what_fails_is_found_with_its_code(written: str, instead: str, code: str) -> None:
    from dsl.check import check_machine
    from proofs.totality_smt import find_broken

    assert written in FERRY
    task, _ = check_machine(parse_machine(FERRY.replace(written, instead)))
    broken, unproved, _ = find_broken(task, rlimit=RLIMIT)
    assert unproved == []
    assert code in {b.code for b in broken}
