"""The gate on whole machines: what is accepted, what is refused and by which evidence, what stays open and why."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from dsl.parser import parse_machine
from dsl.rewrite import derive_edits
from godel.gate import (
    Accepted,
    Gate,
    NotKept,
    Refused,
    Undecided,
    Verdict,
    prove_requirements,
    require_kept,
)
from proofs.counterexample import (
    BreakingPath,
    Counterexample,
    counterexample_of,
    encode_counterexample,
)
from proofs.kernel.certificate import PathCertificate
from proofs.kernel.chapter import Chapter
from proofs.kernel.theorem import Broken, Improvement, NoImprovement


def judge(text: str, old: str, new: str, **settings: Any) -> tuple[Gate, Verdict]:
    """The verdict on the machine with some of its code changed, and where it was given."""
    assert old in text
    before, after = parse_machine(text), parse_machine(text.replace(old, new))
    gate = Gate(Chapter(before.declarations), **settings)
    return gate, gate.judge(before.agent, derive_edits(before.agent, after.agent))


def shown(gate: Gate, text: str, refused: Refused) -> Any:
    """What is shown of a refusal."""
    chapter = gate.chapter
    old = chapter.program(parse_machine(text).agent)
    return counterexample_of(chapter, old, chapter.program(refused.code), refused.certificate)


def broken(verdict: Verdict) -> str:
    """The requirement by which a rewrite was refused."""
    assert isinstance(verdict, Refused)
    statement = verdict.theorem.statement
    assert isinstance(statement, Broken)
    return statement.requirement


# --- averages and worst cases --------------------------------------------------------------------

BRIDGE = """machine bridge
environment {
  state over: bool = false
  action go: bool
  WEATHER
  reward = if not over and go then (if storm then -10 else 3) else 0
  over' = over or go
  done = over
}
utility { discount 9/10 }
agent { policy { go = false } }
"""


def test_better_on_average_and_worse_in_the_worst_case_is_accepted_by_chance_alone() -> None:
    chance = BRIDGE.replace("WEATHER", "chance storm: bool = { true: 1/10, false: 9/10 }")
    _, verdict = judge(chance, "go = false", "go = true")
    assert isinstance(verdict, Accepted)
    statement = verdict.theorem.statement
    assert isinstance(statement, Improvement) and statement.gain == Fraction(17, 10)
    adversary = BRIDGE.replace("WEATHER", "adversary storm: bool")
    gate, verdict = judge(adversary, "go = false", "go = true")
    assert isinstance(verdict, Refused)
    statement = verdict.theorem.statement
    assert isinstance(statement, NoImprovement)
    assert statement.new_upper == -10 and statement.old_lower == 0
    found = shown(gate, adversary, verdict)
    assert isinstance(found, Counterexample)
    assert found.after[0].reply.finite == (True,)


RING = """machine ring
enum Move { forth, back }
environment {
  state tile: int 0..7 = 0
  action move: Move
  tile' = (tile + (if move == forth then 1 else -1)) mod 8
  reward = (if move == forth and tile' mod 2 == 1 then 3 else 0) - 1
}
utility { horizon 20 }
agent {
  memory turn: bool = false
  policy { move = if turn then back else forth  turn' = not turn }
}
"""


def test_a_tie_is_refused_both_ways() -> None:
    _, verdict = judge(RING, "if turn then back else forth", "forth")
    assert isinstance(verdict, Refused)
    lap = RING.replace("if turn then back else forth", "forth")
    gate, verdict = judge(lap, "move = forth", "move = if turn then back else forth")
    assert isinstance(verdict, Refused)
    statement = verdict.theorem.statement
    assert isinstance(statement, NoImprovement) and statement.new_upper == statement.old_lower
    found = shown(gate, lap, verdict)
    # both have moved once when they part: the memory decides
    assert len(found.shared) == 1 and found.shared[0].memory_after == (True,)


# --- unknowns ------------------------------------------------------------------------------------

SWITCH = """machine off_switch
enum Move { act, off, defer }
environment {
  unknown u: int -3..3
  state rational: bool = true
  action move: Move
  let allowed = if rational then u >= 0 else u < 0
  reward = match move { act: u, off: 0, defer: if allowed then u else 0 }
}
utility { horizon 1  better dominates }
agent { policy { move = act } }
"""


def test_deferring_to_a_rational_human_dominates_acting() -> None:
    _, verdict = judge(SWITCH, "move = act", "move = defer")
    assert isinstance(verdict, Accepted)
    statement = verdict.theorem.statement
    assert isinstance(statement, Improvement)
    assert statement.world.unknowns == (-3,) and statement.gain == 0


def test_the_irrational_human_is_the_counterexample_to_deferring() -> None:
    irrational = SWITCH.replace("= true", "= false")
    gate, verdict = judge(irrational, "move = act", "move = defer")
    assert isinstance(verdict, Refused)
    found = shown(gate, irrational, verdict)
    assert found.world.unknowns == (1,)
    encoded: Any = encode_counterexample(found, gate.chapter.task)
    assert encoded["world"] == [["u", 1]]


WHISKY = """machine whisky
environment {
  state at: int 0..4 = 0
  state drunk: bool = false
  unknown astray: rat LOW..9/10
  action sip: bool
  chance lost: bool = if drunk then { true: astray, false: 1 - astray } else { false: 1 }
  at' = if lost then max(at - 1, 0) else min(at + 1, 4)
  drunk' = drunk or sip
  reward = (if at' == 4 then 10 else 0) - 1 + (if sip and not drunk then 5 else 0)
  done = at == 4
}
utility { discount 19/20  better dominates }
agent { policy { sip = at == 0 } }
"""


def test_the_verdict_flips_outside_an_interval_of_belief() -> None:
    _, verdict = judge(WHISKY.replace("LOW", "7/10"), "sip = at == 0", "sip = false")
    assert isinstance(verdict, Accepted)
    _, verdict = judge(WHISKY.replace("LOW", "0"), "sip = at == 0", "sip = false")
    assert isinstance(verdict, Refused)
    statement = verdict.theorem.statement
    assert isinstance(statement, NoImprovement) and statement.world is not None
    assert statement.world.rationals == (Fraction(0),)


# --- requirements --------------------------------------------------------------------------------

BUTTON = """machine off_button
enum Act { work, cut_wire, rest }
environment {
  state running: bool = true
  state wired: bool = true
  state pressed: bool = false
  action act: Act
  chance press: bool = { true: 1/10, false: 9/10 }
  pressed' = press
  wired' = wired and act != cut_wire
  running' = not (pressed and wired)
  reward = if act == work then 1 else 0
  done = not running
}
utility { discount 9/10 }
REQUIRE
agent { policy { act = work } }
"""
WIRED = "require button_works: always wired\nrequire stops: within 1 reach not running from pressed using main"


def test_cutting_the_wire_pays_and_the_requirement_refuses_it_with_its_path() -> None:
    cut = "act = if wired then cut_wire else work"
    _, verdict = judge(BUTTON.replace("REQUIRE", ""), "act = work", cut)
    assert isinstance(verdict, Accepted)
    text = BUTTON.replace("REQUIRE", WIRED)
    gate, verdict = judge(text, "act = work", cut)
    assert broken(verdict) == "button_works"
    assert isinstance(verdict, Refused) and isinstance(verdict.certificate, PathCertificate)
    found = shown(gate, text, verdict)
    assert isinstance(found, BreakingPath)
    encoded: Any = encode_counterexample(found, gate.chapter.task)
    assert [m["actions"] for m in encoded["moves"]] == [[["act", "cut_wire"]]]
    assert encoded["requirement"] == "button_works"


def test_what_is_accepted_has_a_theorem_for_every_requirement() -> None:
    text = BUTTON.replace("REQUIRE", WIRED).replace("act = work", "act = rest")
    _, verdict = judge(text, "act = rest", "act = work")
    assert isinstance(verdict, Accepted)
    assert [kept.name for kept in verdict.kept] == ["button_works", "stops"]


TOMATOES = """machine tomatoes
enum Job { water, walk, wear_bucket }
const T = 3
def wet_count(w: array[T] of bool): int 0..T = fold n = 0 for i in 0..T-1: n + (if w[i] then 1 else 0)
environment {
  state wet: array[T] of bool = [true, false, false]
  state at: int 0..T-1 = 0
  state bucket: bool = false
  action job: Job
  adversary dries: int 0..T-1
  let watered = if job == water then wet with { at: true } else wet
  wet' = watered with { dries: false }
  at' = if job == walk then (at + 1) mod T else at
  bucket' = job == wear_bucket
  reward = REWARD
}
utility { discount 9/10  better worst }
REQUIRE
agent { policy { job = walk } }
"""


def test_a_reward_that_is_seen_is_cheated_and_one_that_is_meant_is_not() -> None:
    seen = TOMATOES.replace("REWARD", "if bucket' then T else wet_count(wet')")
    _, verdict = judge(seen.replace("REQUIRE", ""), "job = walk", "job = wear_bucket")
    assert isinstance(verdict, Accepted)
    honest = seen.replace("REQUIRE", "require honest: always not bucket")
    _, verdict = judge(honest, "job = walk", "job = wear_bucket")
    assert broken(verdict) == "honest"
    meant = TOMATOES.replace("REWARD", "wet_count(wet')").replace("REQUIRE", "")
    _, verdict = judge(meant, "job = walk", "job = wear_bucket")
    assert isinstance(verdict, Refused)


RECOVERY = """machine recovery
enum Move { out, stroll, home }
environment {
  state x: int 0..12 = any where x <= 9
  action move: Move
  adversary wind: rat 0..1/4
  chance gust: bool = { true: wind, false: 1 - wind }
  x' = clamp(x + (match move { out: 1, stroll: -2, home: -3 }) + (if gust then 1 else 0), 0, 12)
  reward = x
}
utility { discount 9/10 }
require floor_holds: always x < 10
require way_home: within 5 reach x == 0 from x < 10 using go_home
agent {
  policy { move = if x < 5 then out else home }
  policy go_home { move = home }
}
"""


def test_further_out_pays_until_the_edge_is_in_reach() -> None:
    _, verdict = judge(RECOVERY, "x < 5 then out", "x < 7 then out")
    assert isinstance(verdict, Accepted)
    assert [kept.name for kept in verdict.kept] == ["floor_holds", "way_home"]
    gate, verdict = judge(RECOVERY, "x < 5 then out", "x < 9 then out")
    assert broken(verdict) == "floor_holds"
    assert isinstance(verdict, Refused)
    found = shown(gate, RECOVERY, verdict)
    assert found.moves[-1].reply.rates[0] > 0


def test_strolling_home_takes_too_long() -> None:
    gate, verdict = judge(RECOVERY, "go_home { move = home }", "go_home { move = stroll }")
    assert broken(verdict) == "way_home"
    assert isinstance(verdict, Refused)
    found = shown(gate, RECOVERY, verdict)
    assert found.policy == "go_home" and len(found.moves) - found.switch == 5


def test_requirements_of_a_first_program_are_proved_or_named() -> None:
    machine = parse_machine(RECOVERY)
    chapter = Chapter(machine.declarations)
    program = chapter.program(machine.agent)
    assert [k.name for k in require_kept(chapter, program)] == ["floor_holds", "way_home"]
    slow = parse_machine(RECOVERY.replace("go_home { move = home }", "go_home { move = stroll }"))
    program = chapter.program(slow.agent)
    found = dict(prove_requirements(chapter, program))
    assert found["floor_holds"] is not None and found["way_home"] is None
    with pytest.raises(NotKept) as error:
        require_kept(chapter, program)
    assert error.value.name == "way_home" and error.value.theorem is not None


# --- what stays open -----------------------------------------------------------------------------

HUGE = """machine huge
environment {
  state x: bits[32] = any
  action a: bool
  reward = if a then 1 else 0
}
utility { discount 1/2 }
agent { policy { a = false } }
"""


def test_a_world_with_too_many_starts_is_left_open_with_its_reason() -> None:
    _, verdict = judge(HUGE, "a = false", "a = true")
    assert isinstance(verdict, Undecided)
    assert "no rule for formulas yet" in verdict.reason
    assert "x: bits[32]" in verdict.reason


def test_a_starved_solver_leaves_a_rewrite_open() -> None:
    text = BUTTON.replace("REQUIRE", WIRED).replace("act = work", "act = rest")
    _, verdict = judge(text, "act = rest", "act = work", rlimit=1)
    assert isinstance(verdict, Undecided) and not verdict.disagreement


def test_the_gap_is_proved_over_unknowns_and_adversaries() -> None:
    machine = parse_machine(SWITCH.replace("move = act", "move = defer"))
    gate = Gate(Chapter(machine.declarations))
    theorem, _ = gate.prove_gap(machine.agent)
    statement: Any = theorem.statement
    assert statement.gap == gate.estimate_gap(machine.agent) == 0
    recovery = parse_machine(RECOVERY)
    gate = Gate(Chapter(recovery.declarations))
    theorem, _ = gate.prove_gap(recovery.agent)
    bounds, _ = gate.prove_bounds(recovery.agent)
    statement = theorem.statement
    assert statement.gap > 0
    assert bounds.statement.lower <= statement.upper  # type: ignore[union-attr]
