"""Family `tune`: other values for params and for entries of tables of numbers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from cli import godel
from proposing import AWKWARD, ROOT, judge, load, load_searcher, propose
from random_machines import make_machine

from dsl.rewrite import apply_rewrite
from dsl.types import Bits, Int, Rat
from godel.families.tune import other_values
from godel.gate import Accepted, Invalid
from proofs.kernel.chapter import Chapter

KETTLE = (ROOT / "examples" / "kettle.godel").read_text(encoding="utf-8")

DIAL = """
machine dial
environment {
  state at: int 0..1000 = 0
  action turn: int 0..1000
  at'    = turn
  reward = -abs(turn - 637) / 100
}
utility { discount 1/2 }
agent { param to: int 0..1000 = 100  param share: rat 0..1 = 1  policy { turn = floor(to * share) } }
"""

JOINT = """
machine lock
environment {
  state left: int 0..9 = 0
  state right: int 0..9 = 0
  action turn: int 0..9
  action press: int 0..9
  left'  = turn
  right' = press
  reward = if left' == 6 and right' == 7 then 1 else 0
}
utility { discount 1/2 }
agent { param a: int 0..9 = 0  param b: int 0..9 = 0  policy { turn = a  press = b } }
"""

TABLE = """
machine stairs
environment {
  state at: int 0..3 = 0
  action go: int 0..3
  at'    = go
  reward = if at' == at + 1 or at == 3 and at' == 0 then 1 else 0
}
utility { discount 1/2 }
agent { table NEXT: array[4] of int 0..3 = [1, 2, 0, 0]  policy { go = NEXT[at] } }
"""


def test_single_params_come_first_and_the_best_is_accepted() -> None:
    chapter, program, _ = load(KETTLE)
    found = propose(chapter, program, "tune")
    assert found[0].note == "warm = 16"
    assert all("," not in candidate.note for candidate in found[:5])
    assert any("," in candidate.note for candidate in found)
    assert all(candidate.steps >= 0 for candidate in found)
    assert found[0].steps > 0
    verdicts = judge(chapter, program, found[:3])
    assert all(isinstance(verdict, Accepted) for verdict in verdicts)


def test_the_best_is_found_among_many_values_by_halving_the_steps() -> None:
    chapter, program, _ = load(DIAL)
    best = propose(chapter, program, "tune", limit=1)[0]
    assert best.note == "to = 637"
    (verdict,) = judge(chapter, program, [best])
    assert isinstance(verdict, Accepted)


def test_two_params_change_together_where_neither_gains_alone() -> None:
    chapter, program, _ = load(JOINT)
    found = propose(chapter, program, "tune", pairs=200)
    assert [candidate.note for candidate in found] == ["a = 6, b = 7"]
    (verdict,) = judge(chapter, program, found)
    assert isinstance(verdict, Accepted)
    assert propose(chapter, program, "tune", pairs=0) == []


def test_one_entry_of_a_table_changes_where_tables_are_small_enough() -> None:
    chapter, program, _ = load(TABLE)
    found = propose(chapter, program, "tune")
    assert found[0].note == "NEXT[2] = 3"
    (verdict,) = judge(chapter, program, found[:1])
    assert isinstance(verdict, Accepted)
    assert propose(chapter, program, "tune", tables=3) == []


def test_the_same_program_gets_the_same_candidates() -> None:
    first = [(c.edits, c.note, c.steps) for c in propose(*load(KETTLE)[:2], "tune")]
    again = [(c.edits, c.note, c.steps) for c in propose(*load(KETTLE)[:2], "tune")]
    assert first == again


def test_at_most_as_many_are_proposed_as_the_setting_says() -> None:
    chapter, program, _ = load(KETTLE)
    assert len(propose(chapter, program, "tune", candidates=2, pairs=0)) == 2


def test_values_worth_trying_stay_in_the_range() -> None:
    assert other_values(Int(0, 4), 2, 64) == [0, 1, 3, 4]
    many = other_values(Int(-1000, 1000), 7, 16)
    assert {6, 8} <= set(many) and len(many) <= 16 and 7 not in many
    assert all(-1000 <= value <= 1000 for value in many)  # type: ignore[operator]
    assert all(0 <= value < 256 for value in other_values(Bits(8), 200, 8))  # type: ignore[operator]
    rationals = other_values(Rat(Fraction(0), Fraction(1)), Fraction(1, 3), 64)
    assert all(0 <= value <= 1 for value in rationals)  # type: ignore[operator]
    assert {Fraction(0), Fraction(1)} <= set(rationals)


def test_a_searcher_is_code_like_any_other() -> None:
    chapter, program = load_searcher(KETTLE)
    found = propose(chapter, program, "tune")
    assert found
    assert not any(isinstance(verdict, Invalid) for verdict in judge(chapter, program, found[:4]))


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_worlds_give_candidates_or_nothing(name: str) -> None:
    chapter, program, _ = load(AWKWARD[name])
    found = propose(chapter, program, "tune", limit=4)
    for verdict in judge(chapter, program, found):
        assert not isinstance(verdict, Invalid)


@pytest.mark.parametrize("seed", range(24))
def test_candidates_for_random_machines_apply_and_pass_through_the_gate(seed: int) -> None:
    machine = make_machine(seed).machine
    chapter = Chapter(machine.declarations)
    program = chapter.program(machine.agent)
    found = propose(chapter, program, "tune", limit=3, pairs=20)
    for candidate, verdict in zip(found, judge(chapter, program, found), strict=True):
        assert apply_rewrite(program.code, candidate.edits) != program.code
        assert not isinstance(verdict, Invalid)


def test_a_machine_searches_with_it_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "kettle.godel"
    path.write_text(KETTLE, encoding="utf-8")
    done = godel("--store", str(tmp_path / "k.db"), "evolve", str(path))
    assert done.code == 0
    assert "accepted  numbers" in done.out
    assert godel("--store", str(tmp_path / "k.db"), "verify").code == 0
