"""Family `improve`, and how a change of decisions becomes edits of code."""

from __future__ import annotations

import pytest

from dsl.machine import Program
from dsl.parser import parse_machine, parse_patch
from dsl.printer import print_code
from dsl.rewrite import apply_rewrite
from godel.families.family import Workplace
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
    edits = edit_decisions(found, wanted, kept)
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
