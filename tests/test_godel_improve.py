"""Family `improve`, and how a change of decisions becomes edits of code."""

from __future__ import annotations

import pytest

from dsl.machine import Program
from dsl.parser import parse_machine, parse_patch
from dsl.printer import print_code
from dsl.rewrite import apply_rewrite
from godel.families.decisions import Decisions
from godel.families.family import Candidate, Workplace
from godel.families.improve import improve
from godel.families.patches import edit_decisions
from godel.gate import Accepted, Gate, Refused
from proofs.kernel.chapter import Chapter

WALK = """
machine walk
enum Move { left, stay, right }
const LAST = 4
environment {
  state pos: int -2..LAST = -2
  state lit: bool = { true: 1/2, false: 1/2 }
  OBSERVE
  action move: Move
  action wave: bool
  chance slip: bool = { true: 1/10, false: 9/10 }
  pos'   = clamp(pos + (if slip then 0 else ord(move) - 1), -2, LAST)
  reward = (if pos' == LAST then 1 else 0) + (if wave == lit then 1/100 else 0)
}
UTILITY
AGENT
"""


def program(
    agent: str, *, observe: str = "", utility: str = "utility { discount 9/10 }"
) -> tuple[Chapter, Program]:
    """A chapter of the walk with this agent."""
    text = WALK.replace("OBSERVE", observe).replace("UTILITY", utility).replace("AGENT", agent)
    machine = parse_machine(text)
    chapter = Chapter(machine.declarations)
    return chapter, chapter.program(machine.agent)


def changed(found: Program, wanted: dict[tuple[int, bool], tuple[int, bool]]) -> str:
    """The code after the edits that make these decisions, all others kept."""
    every = [(p, lit) for p in range(-2, 5) for lit in (False, True)]
    decide = {o: found.decide({"pos": o[0], "lit": o[1]}).actions for o in every}
    kept = {o: a for o, a in decide.items() if o not in wanted}
    edits = edit_decisions(Decisions(found), wanted, kept)
    assert edits is not None
    code = apply_rewrite(found.code, edits)
    after = Chapter(found.task.declarations).program(code)
    for o in every:
        assert after.decide({"pos": o[0], "lit": o[1]}).actions == wanted.get(o, decide[o])
    return print_code(code)


STAY = "agent { policy { move = stay  wave = false } }"


def test_a_few_decisions_become_guards() -> None:
    _, found = program(STAY)
    text = changed(found, {(0, True): (2, False), (1, False): (2, False)})
    assert "if pos == 0 and lit or pos == 1 and not lit then right else stay" in text


def test_many_decisions_become_a_table_of_their_own() -> None:
    _, found = program(STAY)
    text = changed(found, {(p, lit): (2, False) for p in range(-2, 3) for lit in (False, True)})
    assert "table PLAN: array[7] of array[2] of Move" in text
    assert "move = PLAN[pos + 2][if lit then 1 else 0]" in text


def test_a_comprehension_becomes_its_literal_before_an_entry_changes() -> None:
    _, found = program(
        "agent { table T: array[7] of Move = [for i in 0..6: stay]"
        "  policy { move = T[pos + 2]  wave = false } }"
    )
    wanted = {(0, lit): (2, False) for lit in (False, True)}
    text = changed(found, wanted)
    assert "[stay, stay, right, stay, stay, stay, stay]" in text
    assert "PLAN" not in text


def test_an_entry_that_two_decisions_share_is_not_changed_for_one_of_them() -> None:
    _, found = program(
        "agent { table T: array[7] of Move = [for i in 0..6: stay]"
        "  policy { move = T[pos + 2]  wave = false } }"
    )
    text = changed(found, {(0, True): (2, False)})
    assert "if pos == 0 and lit then right else T[pos + 2]" in text


def test_a_row_of_a_table_changes_alone() -> None:
    _, found = program(
        "agent { table T: array[2] of array[7] of Move = [[for i in 0..6: stay], [for i in 0..6: left]]"
        "  policy { move = T[if lit then 1 else 0][pos + 2]  wave = false } }"
    )
    text = changed(found, {(4, True): (1, False)})
    assert "[for i in 0..6: stay]" in text
    assert "[left, left, left, left, left, left, stay]" in text


def test_each_action_is_edited_on_its_own() -> None:
    _, found = program(STAY)
    text = changed(found, {(4, True): (1, True)})
    assert "move = stay" in text
    assert "wave = if pos == 4 and lit then true else false" in text


@pytest.mark.parametrize("utility", ["utility { discount 9/10 }", "utility { horizon 12 }"])
@pytest.mark.parametrize("observe", ["", "observe pos", "observe lit"])
def test_candidates_apply_and_the_first_of_everything_is_a_gain(observe: str, utility: str) -> None:
    chapter, found = program(STAY, observe=observe, utility=utility)
    gate = Gate(chapter)
    for states in ("one", "region", "all"):
        candidates = list(improve(states=states)(Workplace(chapter), found))
        assert candidates
        for candidate in candidates[:3]:
            verdict = gate.judge(found.code, candidate.edits)
            assert isinstance(verdict, Accepted | Refused), verdict
        if states == "all":
            assert isinstance(gate.judge(found.code, candidates[0].edits), Accepted)


def test_the_same_program_has_the_same_candidates() -> None:
    chapter, found = program(STAY)
    first, again = (
        [c.edits for c in improve(states="region")(Workplace(chapter), found)] for _ in range(2)
    )
    assert first == again


def test_a_best_program_leaves_nothing_to_improve() -> None:
    chapter, _ = program(STAY)
    best = parse_patch("agent { policy { move = right  wave = lit } }")
    found = chapter.program(best)
    assert list(improve(states="all")(Workplace(chapter), found)) == []


def test_a_state_that_is_an_array_is_told_item_by_item() -> None:
    machine = parse_machine(
        """
        machine queues
        enum Q { one, two }
        environment {
          state q: array[Q] of int 0..2 = [2, 0]
          action go: Q
          q' = if go == one then [max(q[one] - 1, 0), min(q[two] + 1, 2)] else [q[one], max(q[two] - 1, 0)]
          reward = -(q[one] + q[two])
        }
        utility { discount 9/10 }
        agent { policy { go = two } }
        """
    )
    chapter = Chapter(machine.declarations)
    found = chapter.program(machine.agent)
    candidates = list(improve(states="all")(Workplace(chapter), found))
    assert isinstance(Gate(chapter).judge(found.code, candidates[0].edits), Accepted)
    assert "q[one] ==" in print_code(apply_rewrite(found.code, candidates[0].edits))


# --- memory ----------------------------------------------------------------------------------------

BLINK = """
machine blink
enum Lamp { off, on }
environment {
  state tick: int 0..3 = 0
  action lamp: Lamp
  tick'  = (tick + 1) mod 4
  reward = if lamp == on and tick != 2 then 1 else if lamp == off and tick == 2 then 1 else 0
  state blind: bool = true
  OBSERVE
}
utility { discount 9/10 }
AGENT
"""


def blinking(agent: str, *, observe: str = "observe tick") -> tuple[Chapter, Program]:
    machine = parse_machine(BLINK.replace("OBSERVE", observe).replace("AGENT", agent))
    chapter = Chapter(machine.declarations)
    return chapter, chapter.program(machine.agent)


def first(chapter: Chapter, found: Program, states: str) -> Candidate:
    return next(iter(improve(states=states)(Workplace(chapter), found)))


def after(found: Program, candidate: Candidate) -> str:
    return print_code(apply_rewrite(found.code, candidate.edits))


def accepts(chapter: Chapter, found: Program, candidate: Candidate) -> bool:
    return isinstance(Gate(chapter).judge(found.code, candidate.edits), Accepted)


COUNTER = "agent { memory n: int 0..3 = 0  policy { lamp = off  n' = (n + 1) mod 4 } }"


def test_what_is_not_observed_is_told_by_memory() -> None:
    chapter, found = blinking(COUNTER, observe="observe blind")
    candidate = first(chapter, found, "all")
    assert "if blind and n == 0 or blind and n == 1 or blind and n == 3 then on else off" in after(
        found, candidate
    )
    assert accepts(chapter, found, candidate)


def test_memory_is_not_tested_where_the_observed_state_is_enough() -> None:
    chapter, found = blinking(COUNTER)
    text = after(found, first(chapter, found, "one"))
    assert "if tick == 0 then on else off" in text


def test_memory_is_tested_where_one_memory_of_an_observed_state_wants_another_action() -> None:
    found = blinking(
        "agent { memory m: int 0..3 = 0  memory other: bool = false"
        "  policy { lamp = off  m' = (m + 1) mod 4  other' = not other } }"
    )[1]
    decisions = Decisions(found)
    wanted = {(1, 2, False): (1,), (1, 3, True): (1,)}
    kept = {(1, 0, False): (0,), (1, 1, True): (0,)}
    edits = edit_decisions(decisions, wanted, kept)
    assert edits is not None
    text = print_code(apply_rewrite(found.code, edits))
    assert "if tick == 1 and m >= 2 then on else off" in text


def test_several_memories_are_told_apart_by_as_few_variables_as_will_do() -> None:
    found = blinking(
        "agent { memory m: int 0..3 = 0  memory other: bool = false"
        "  policy { lamp = off  m' = (m + 1) mod 4  other' = not other } }"
    )[1]
    wanted = {(1, m, True): (1,) for m in range(4)}
    kept = {(1, m, False): (0,) for m in range(4)}
    edits = edit_decisions(Decisions(found), wanted, kept)
    assert edits is not None
    assert "if tick == 1 and other then on else off" in print_code(apply_rewrite(found.code, edits))


def test_a_table_of_its_own_is_indexed_by_the_memory_it_must_read() -> None:
    found = blinking(
        "agent { memory m: int 1..3 = 1  memory other: bool = false"
        "  policy { lamp = off  m' = if m == 3 then 1 else m + 1  other' = not other } }"
    )[1]
    every = [(t, m, o) for t in range(4) for m in (1, 2, 3) for o in (False, True)]
    wanted = {x: (1,) for x in every if (x[0] + x[1]) % 2}
    kept = {x: (0,) for x in every if x not in wanted}
    edits = edit_decisions(Decisions(found), wanted, kept)
    assert edits is not None
    text = print_code(apply_rewrite(found.code, edits))
    assert "table PLAN: array[4] of array[3] of Lamp" in text
    assert "PLAN[tick][m - 1]" in text


def test_entries_of_a_table_that_is_indexed_by_memory_are_replaced() -> None:
    chapter, found = blinking(
        "agent { memory n: int 0..3 = 0  table PLAN: array[4] of Lamp = [for i in 0..3: off]"
        "  policy { lamp = PLAN[n]  n' = (n + 1) mod 4 } }",
        observe="observe blind",
    )
    candidate = first(chapter, found, "all")
    assert "[on, on, off, on]" in after(found, candidate)
    assert accepts(chapter, found, candidate)


def test_a_table_that_another_policy_reads_is_left_alone() -> None:
    chapter, found = blinking(
        "agent { table PLAN: array[4] of Lamp = [for i in 0..3: off]"
        "  policy { lamp = PLAN[tick] }  policy spare { lamp = PLAN[0] } }"
    )
    candidate = first(chapter, found, "all")
    changed_code = apply_rewrite(found.code, candidate.edits)
    assert changed_code.slot("PLAN") == found.code.slot("PLAN")
    assert changed_code.slot("spare") == found.code.slot("spare")


def test_memory_that_follows_the_action_is_thought_of_as_it_will_be() -> None:
    # keeping the lamp on is worth something only because the memory then says so
    machine = parse_machine(
        """
        machine oven
        environment {
          state heat: int 0..3 = 0
          state blind: bool = true
          observe blind
          action on: bool
          heat'  = if on then min(heat + 1, 3) else 0
          reward = if heat == 3 then 1 else if on then -1/10 else 0
        }
        utility { discount 9/10 }
        agent {
          memory was: bool = false
          policy {
            on   = false
            was' = on
          }
        }
        """
    )
    chapter = Chapter(machine.declarations)
    found = chapter.program(machine.agent)
    candidate = first(chapter, found, "all")
    assert accepts(chapter, found, candidate)


def test_every_candidate_of_a_program_with_memory_is_code_that_checks() -> None:
    chapter, found = blinking(COUNTER, observe="observe blind")
    for states in ("one", "region", "all"):
        for candidate in improve(states=states)(Workplace(chapter), found):
            chapter.program(apply_rewrite(found.code, candidate.edits))


# --- worlds, adversaries, requirements ---------------------------------------------------------------

CHOICE = """
machine choice
enum Move { safe, bold, wild }
environment {
  state over: bool = false
  UNKNOWN
  action move: Move
  over'  = true
  reward = match move { safe: 1, bold: BOLD, wild: WILD }
  done   = over
}
utility { horizon 1  BETTER }
REQUIRE
agent { policy { move = safe } }
"""


def choosing(unknown: str, bold: str, wild: str, better: str, require: str = "") -> list[str]:
    """The first lines of code that each candidate of one state would have."""
    text = CHOICE.replace("UNKNOWN", unknown).replace("BOLD", bold).replace("WILD", wild)
    text = text.replace("BETTER", better).replace("REQUIRE", require)
    machine = parse_machine(text)
    chapter = Chapter(machine.declarations)
    found = chapter.program(machine.agent)
    return [after(found, c) for c in improve(states="one")(Workplace(chapter), found)]


def test_what_loses_in_one_world_is_not_tried_where_every_world_counts() -> None:
    (only,) = choosing(
        "unknown u: int 0..3", "2 + u", "if u == 0 then 0 else 9", "better dominates"
    )
    assert "then bold else safe" in only


def test_the_worst_world_counts_under_worst() -> None:
    found = choosing("unknown u: int 0..3", "u + 1", "if u == 3 then 3/2 else 2", "better worst")
    assert len(found) == 1 and "then wild else safe" in found[0]


def test_rational_unknowns_are_looked_at_where_they_are_least_and_greatest() -> None:
    (only,) = choosing("unknown p: rat 0..1", "1 + p", "2 * p", "better dominates")
    assert "then bold else safe" in only


def test_the_adversary_answers_to_what_is_tried() -> None:
    (only,) = choosing("adversary y: bool", "if y then 0 else 5", "if y then 2 else 3", "")
    assert "then wild else safe" in only


def test_rates_are_an_answer_too() -> None:
    (only,) = choosing("adversary y: rat 0..1", "3 * y", "2 - y / 2", "")
    assert "then wild else safe" in only


def test_what_breaks_a_requirement_comes_last() -> None:
    found = choosing("", "2", "3", "", "require tame: always move != wild")
    assert ["bold" in text for text in found] == [True, False]


def test_what_leads_to_a_state_from_which_a_requirement_breaks_comes_last() -> None:
    machine = parse_machine(
        """
        machine slope
        enum Move { stay, step }
        environment {
          state x: int 0..4 = { 0: 1/2, 1: 1/2 }
          action move: Move
          x' = if x >= 2 then min(x + 1, 4) else if move == step then x + 1 else x
          reward = x'
        }
        utility { discount 9/10 }
        require dry: always x < 4
        agent { policy { move = stay } }
        """
    )
    chapter = Chapter(machine.declarations)
    found = chapter.program(machine.agent)
    one, *_, last = improve(states="one")(Workplace(chapter), found)
    assert "if x == 0 then step else stay" in after(found, one)
    assert "if x == 1 then step else stay" in after(found, last)
    assert accepts(chapter, found, one)
    assert not accepts(chapter, found, last)


def test_many_starts_are_thought_of_together() -> None:
    machine = parse_machine(
        """
        machine many
        environment {
          state x: int 0..9 = any where x > 0
          action up: bool
          x' = if up then min(x + 1, 9) else max(x - 1, 0)
          reward = if x' == 9 then 1 else 0
        }
        utility { discount 9/10  better BETTER }
        agent { policy { up = x == 9 } }
        """.replace("BETTER", "worst")
    )
    chapter = Chapter(machine.declarations)
    found = chapter.program(machine.agent)
    assert accepts(chapter, found, first(chapter, found, "all"))


def test_actions_and_states_of_bits_are_patched() -> None:
    machine = parse_machine(
        """
        machine mirror
        environment {
          state x: bits[4] = any
          action y: bits[4]
          reward = if y == ~x then 1 else 0
        }
        utility { horizon 1 }
        agent { policy { y = x } }
        """
    )
    chapter = Chapter(machine.declarations)
    found = chapter.program(machine.agent)
    assert "if x == 0 then 15 else x" in after(found, first(chapter, found, "one"))
    candidate = first(chapter, found, "all")
    assert "PLAN[int(x)]" in after(found, candidate)
    assert "table PLAN: array[16] of bits[4]" in after(found, candidate)
    assert accepts(chapter, found, candidate)


def test_a_world_too_large_for_every_action_is_looked_at_where_the_program_is() -> None:
    machine = parse_machine(
        """
        machine stock
        environment {
          state a: int 0..19 = 10
          state b: int 0..19 = 10
          action buy_a: int 0..9
          action buy_b: int 0..9
          chance want: int 0..2 = { 0: 1/3, 1: 1/3, 2: 1/3 }
          a' = clamp(a - want + buy_a, 0, 19)
          b' = clamp(b - want + buy_b, 0, 19)
          reward = 2 * min(want, a) + 2 * min(want, b) - (buy_a + buy_b) - (a + b) / 100
        }
        utility { discount 9/10 }
        agent { policy { buy_a = if a < 5 then 9 else 0  buy_b = if b < 5 then 9 else 0 } }
        """
    )
    chapter = Chapter(machine.declarations)
    found = chapter.program(machine.agent)
    candidate = first(chapter, found, "all")
    chapter.program(apply_rewrite(found.code, candidate.edits))


def test_worlds_without_end_leave_nothing_to_propose() -> None:
    machine = parse_machine(
        """
        machine wide
        environment {
          state x: bits[32] = any
          action y: bits[32]
          reward = if y == x then 1 else 0
        }
        utility { horizon 1 }
        agent { policy { y = 0 } }
        """
    )
    chapter = Chapter(machine.declarations)
    found = chapter.program(machine.agent)
    for states in ("one", "region", "all"):
        assert list(improve(states=states)(Workplace(chapter), found)) == []


# --- ticks and size ----------------------------------------------------------------------------------


def test_a_change_that_costs_more_ticks_than_it_gains_is_not_proposed() -> None:
    prices = "utility { discount 9/10  tick_price PRICE }"
    for price, proposed in (("1/100000", True), ("1", False)):
        chapter, found = program(
            "agent { policy { move = stay  wave = lit } }",
            utility=prices.replace("PRICE", price),
        )
        candidates = list(improve(states="all")(Workplace(chapter), found))
        assert bool(candidates) == proposed


def test_a_table_is_tried_where_guards_would_cost_too_many_ticks() -> None:
    chapter, found = program(
        "agent { policy { move = if pos < 0 then right else if pos < 1 then stay else if pos < 2"
        " then left else if pos < 3 then stay else if pos == 3 then stay else left  wave = false } }",
        observe="observe pos",
        utility="utility { discount 9/10  tick_price 1/50 }",
    )
    candidate = next(iter(improve(states="all")(Workplace(chapter), found)))
    code = apply_rewrite(found.code, candidate.edits)
    assert "PLAN[pos + 2]" in print_code(code)
    assert isinstance(Gate(chapter).judge(found.code, candidate.edits), Accepted)
