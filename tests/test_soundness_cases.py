"""Machines on which a random attack once found the gate wrong, or at a loss: one small machine each."""

from __future__ import annotations

import pytest
from verdicts import Judge

from dsl.parser import parse_machine, parse_patch
from dsl.rewrite import derive_edits
from godel.gate import Accepted, Gate, Refused
from proofs.kernel.chapter import Chapter

ONE_STEP = """
machine one_step
environment {
  state x: int 0..3 = 0
  unknown p: rat 1/4..1/2
  action go: bool
  chance c: bool = { true: p, false: 1 - p }
  x' = if c then min(3, x + 1) else x
  reward = if go then x' else 0
}
utility { horizon 1 }
agent { policy { go = false } }
"""


def test_a_table_for_one_step_lists_the_starts_alone() -> None:
    # what the step leads to belongs to no layer
    machine = parse_machine(ONE_STEP)
    gate = Gate(Chapter(machine.declarations), threads=1)
    new = parse_patch("agent { policy { go = true } }")
    verdict = gate.judge(machine.agent, derive_edits(machine.agent, new))
    assert isinstance(verdict, Accepted)
    statement = verdict.theorem.statement
    assert Judge(machine.declarations, 0).fault_of(statement, machine.agent, new) is None
    gap, _ = gate.prove_gap(new)
    bounds, _ = gate.prove_bounds(new)
    for theorem in (gap, bounds):
        assert Judge(machine.declarations, 0).fault_of(theorem.statement, new, new) is None


RANDOM_START = """
machine random_start
environment {
  state x: int 0..1 = { 0: p, 1: 1 - p }
  unknown p: rat 1/3..1/2
  action go: bool
  reward = if go then x else 0
}
utility { discount 1/2  better worst }
agent { policy { go = false } }
"""


@pytest.mark.parametrize("better", ["dominates", "strictly", "worst"])
def test_starts_drawn_with_an_unknown_weight_are_averaged_in_each_world(better: str) -> None:
    machine = parse_machine(RANDOM_START.replace("worst", better))
    gate = Gate(Chapter(machine.declarations), threads=1)
    new = parse_patch("agent { policy { go = true } }")
    verdict = gate.judge(machine.agent, derive_edits(machine.agent, new))
    assert isinstance(verdict, Accepted)
    judge = Judge(machine.declarations, 0)
    assert judge.fault_of(verdict.theorem.statement, machine.agent, new) is None
    back = gate.judge(new, derive_edits(new, machine.agent))
    assert isinstance(back, Refused)
    assert judge.fault_of(back.theorem.statement, new, machine.agent) is None
