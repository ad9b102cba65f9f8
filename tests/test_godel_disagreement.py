"""When the interpreter, the machine or a finder lies: Z3 disagrees, or the kernel refuses, and nothing is accepted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from dsl import interp
from dsl import syntax as s
from dsl.machine import Program, Task, World
from dsl.parser import parse_machine, parse_patch
from dsl.rewrite import derive_edits
from godel import gate
from godel.gate import Accepted, Gate, Undecided
from proofs import explicit, rows
from proofs.kernel.certificate import (
    BetterCertificate,
    BoundsCertificate,
    Case,
    Certificate,
    Entry,
    Leaf,
    NotBetterCertificate,
    OptimalityCertificate,
    Table,
)
from proofs.kernel.chapter import Chapter


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies here is the interpreter, so that it alone evaluates, where worlds are explored and draws listed too."""
    monkeypatch.setattr(explicit, "compile_task", lambda task: task)
    monkeypatch.setattr(explicit, "compile_program", lambda program: program)
    monkeypatch.setattr(rows, "compile_task", lambda task: task)


LIES: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "minus": ("-", lambda a, b: b - a),
    "times": ("*", lambda a, b: a + b),
    "mod": ("mod", lambda a, b: a % b + 1),
}
SUMS = """
machine sums
environment {
  state x: int 0..5 = 4
  action a: int -5..15
  reward = 20 - abs(a - (x OP 3))
}
utility { horizon 1 }
agent { policy { a = 0 } }
"""


@pytest.mark.parametrize("lie", LIES)
def test_gate_ends_in_disagreement_when_the_interpreter_lies(
    lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    op, wrong = LIES[lie]
    truthful = interp._arithmetic
    machine = parse_machine(SUMS.replace("OP", op))
    new = parse_patch(f"agent {{ policy {{ a = {wrong(4, 3)} }} }}")
    edits = derive_edits(machine.agent, new)
    honest = Gate(Chapter(machine.declarations)).judge(machine.agent, edits)

    def lying(found: str, left: Any, right: Any, expr: s.Binary) -> Any:
        told = isinstance(expr.left, s.Name) and expr.left.name == "x"
        return wrong(left, right) if found == op and told else truthful(found, left, right, expr)

    monkeypatch.setattr(interp, "_arithmetic", lying)
    verdict = Gate(Chapter(machine.declarations)).judge(machine.agent, edits)
    assert isinstance(verdict, Undecided) and verdict.disagreement
    assert "Z3 contradicts the kernel" in verdict.reason
    assert not isinstance(honest, Undecided)


CORRIDOR = """
machine corridor
enum Move { back, stay, ahead }
environment {
  unknown grip: rat 1/2..3/4
  state x: int 0..4 = { 1: 1/3, 2: 2/3 }
  action move: Move
  adversary push: int 0..1 where push == 0 or x > 1
  chance slip: bool = { true: 1 - grip, false: grip }
  x' = if slip then x else clamp(x + (ord(move) - 1) - push, 0, 4)
  reward = if x' >= 3 then 2 else 0
  done = x == 0
}
utility { discount 3/4  tick_price 1/100  size_price 1/1000 }
agent {
  memory tired: bool = false
  policy { move = if tired or x < 1 then stay else back  tired' = not tired }
}
"""
AHEAD = "agent { memory tired: bool = false policy { move = ahead  tired' = not tired } }"


def truth_about(field: str) -> tuple[Any, str, Any]:
    """The class and name of a method of the machine, and a lie in its place."""
    act, outcomes = Program.act, Task.outcomes

    def half_the_ticks(program: Program, *args: Any, **named: Any) -> Any:
        decision = act(program, *args, **named)
        return replace(decision, ticks=decision.ticks // 2)

    def forgetful(program: Program, *args: Any, **named: Any) -> Any:
        decision = act(program, *args, **named)
        return replace(decision, memory=(False,))

    def richer(task: Task, *args: Any, **named: Any) -> Any:
        return tuple(replace(o, reward=o.reward + 1) for o in outcomes(task, *args, **named))

    return {
        "ticks": (Program, "act", half_the_ticks),
        "memory": (Program, "act", forgetful),
        "rewards": (Task, "outcomes", richer),
        "done": (Task, "is_done", lambda task, state, unknowns=(): state[0] == 1),
        "start": (Task, "start_states", lambda *_: (((2,), Fraction(1)),)),
        "replies": (Task, "replies", lambda *_: ((0,),)),
    }[field]


@pytest.mark.parametrize("field", ["ticks", "memory", "rewards", "done", "start", "replies"])
def test_gate_ends_in_disagreement_when_the_machine_lies(
    field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = parse_machine(CORRIDOR)
    edits = derive_edits(machine.agent, parse_patch(AHEAD))
    assert isinstance(Gate(Chapter(machine.declarations)).judge(machine.agent, edits), Accepted)
    monkeypatch.setattr(*truth_about(field))
    verdict = Gate(Chapter(machine.declarations)).judge(machine.agent, edits)
    assert isinstance(verdict, Undecided)
    assert verdict.disagreement


def cases_of(*tables: Table) -> tuple[Case, ...]:
    """The only case, with its tables."""
    return (Case((), Leaf(tables)),)


def table_of(*values: tuple[tuple[Any, ...], int]) -> Table:
    """One layer."""
    return Table((tuple(Entry(state, (), Fraction(v)) for state, v in values),))


def better(new: Table, old: Table, gain: int = 1) -> BetterCertificate:
    """That the new program is better."""
    return BetterCertificate(cases_of(new, old), Fraction(gain), World())


ZERO, MUCH = table_of(((4,), 0)), table_of(((4,), 99))
BOGUS: dict[str, Certificate] = {
    "false gain": better(MUCH, ZERO),
    "gain of another world": replace(better(MUCH, ZERO), world=World((), (True,), ())),
    "gain beyond the tables": better(table_of(((4,), 1)), ZERO, 2),
    "no case": BetterCertificate((), Fraction(1), World()),
    "false loss": NotBetterCertificate(cases_of(ZERO, MUCH)),
    "nothing listed": better(table_of(), table_of()),
    "nothing listed against": NotBetterCertificate(cases_of(table_of(), table_of())),
    "no layer": better(Table(()), Table(())),
    "no layer against": NotBetterCertificate(cases_of(Table(()), Table(()))),
    "too many layers": better(Table(ZERO.layers * 3), ZERO),
    "state of no world": better(table_of(((4,), 0), ((99,), 0)), ZERO),
    "state of no world against": NotBetterCertificate(
        cases_of(table_of(((4,), 0), ((99,), 0)), ZERO)
    ),
    "state too long": better(table_of(((4, 4), 0)), ZERO),
    "member for a number": better(table_of((("four",), 0)), ZERO),
    "another claim": OptimalityCertificate(cases_of(ZERO, ZERO), Fraction(0)),
    "bounds": BoundsCertificate(Fraction(0), cases_of(ZERO), Fraction(0), cases_of(ZERO)),
}


@pytest.mark.parametrize("bogus", BOGUS)
def test_gate_is_undecided_where_its_finder_is_wrong(
    bogus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = parse_machine(SUMS.replace("OP", "+"))
    edits = derive_edits(machine.agent, parse_patch("agent { policy { a = 1 } }"))
    monkeypatch.setattr(gate, "find_evidence", lambda *_: BOGUS[bogus])
    verdict = Gate(Chapter(machine.declarations)).judge(machine.agent, edits)
    assert isinstance(verdict, Undecided), verdict
