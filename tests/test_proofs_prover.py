"""Premises that hold are found `unsat`, and everything that is wrong with one is found out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from generators import random_machine

from dsl import interp
from dsl import syntax as s
from dsl.machine import Program
from dsl.parser import parse_machine
from proofs import explicit, prover, rows
from proofs.kernel.certificate import Entry, Table
from proofs.kernel.chapter import Chapter
from proofs.kernel.region import Region
from proofs.premise_bounds import Direction, Place, Side, bound_premises, comparison_premises
from proofs.premises import Premise, PremiseError
from proofs.prover import Sat, Unknown, Unsat, prove, prove_all
from proofs.tactics import tables
from proofs.tactics.tables import Grid, bound_every_program, bound_program

RLIMIT = 10_000_000

POND = """
machine pond
enum Dir { left, down, right, up }
enum Tile { start, ice, hole, goal }
table MAP: array[3] of array[3] of Tile = [
  [start, ice,  ice],
  [ice,   hole, ice],
  [ice,   ice,  goal],
]
environment {
  state row: int 0..2 = 0
  state col: int 0..2 = 0
  action go: Dir
  chance slip: int -1..1 = { -1: 1/6, 0: 2/3, 1: 1/6 }
  let way = Dir((ord(go) + slip) mod 4)
  row' = match way { down: min(row + 1, 2), up: max(row - 1, 0), else: row }
  col' = match way { right: min(col + 1, 2), left: max(col - 1, 0), else: col }
  reward = if MAP[row'][col'] == goal then 1 else 0
  done = MAP[row][col] == hole or MAP[row][col] == goal
}
utility { discount 9/10  tick_price 1/1000  size_price 1/10000 }
agent {
  table PLAN: array[3] of array[3] of Dir = [[down, left, down], [left, left, down], [down, right, right]]
  policy {
    let edge = col == 0 and row < 2
    go = if edge then down else PLAN[row][col]
  }
}
"""


def _pond(text: str = POND) -> tuple[Chapter, Program]:
    machine = parse_machine(text)
    chapter = Chapter(machine.declarations)
    return chapter, chapter.program(machine.agent)


def _bound(
    chapter: Chapter, program: Program, direction: Direction, grid: Grid = Grid.COARSE
) -> Table:
    side = tables.Direction.LOWER if direction == "lower" else tables.Direction.UPPER
    return bound_program(chapter, program, side, grid).table()


def _every(chapter: Chapter, grid: Grid = Grid.COARSE) -> Table:
    return bound_every_program(chapter, grid).table()


def _premise(table: Table, program: Program, direction: Direction) -> Premise:
    (premise,) = _premises(program, table, program, direction)
    return premise


def _premises(
    acting: Program, table: Table, program: Program | None, direction: Direction
) -> list[Premise]:
    place = Place(acting.task, Region.whole(acting.task, ()))
    return bound_premises(place, table, program=program, direction=direction, name="the bound")


def _lower(chapter: Chapter, program: Program) -> Premise:
    return _premise(_bound(chapter, program, "lower"), program, "lower")


def _moved(table: Table, index: int, by: Fraction) -> Table:
    layer = list(table.layers[0])
    layer[index] = replace(layer[index], value=layer[index].value + by)
    return Table((tuple(layer),))


# --- premises that hold --------------------------------------------------------------------------


def test_bounds_of_a_program_and_of_every_program_are_proved() -> None:
    chapter, program = _pond()
    premises = [
        _lower(chapter, program),
        _premise(_bound(chapter, program, "upper"), program, "upper"),
        *_premises(program, _every(chapter), None, "upper"),
    ]
    assert all(isinstance(prove(p, rlimit=RLIMIT), Unsat) for p in premises)


@pytest.mark.parametrize("horizon", [None, 1, 3])
@pytest.mark.parametrize("seed", range(12))
def test_bounds_of_random_machines_are_proved(seed: int, horizon: int | None) -> None:
    machine = random_machine(seed, horizon=horizon)
    chapter = Chapter(machine.declarations)
    program = chapter.program(machine.agent)
    premises = [
        _premise(_bound(chapter, program, "lower", Grid.EXACT), program, "lower"),
        _premise(_bound(chapter, program, "upper", Grid.EXACT), program, "upper"),
        *_premises(program, _every(chapter, Grid.EXACT), None, "upper"),
    ]
    for premise in premises:
        assert isinstance(prove(premise, rlimit=RLIMIT), Unsat), premise.text


def test_a_text_begins_with_the_claim_and_ends_with_the_question() -> None:
    chapter, program = _pond()
    lines = _lower(chapter, program).text.splitlines()
    assert re.match(
        r"; Machine pond: 5 values bound the value of program [0-9a-f]{12} from below;", lines[0]
    )
    assert lines[2] == "; The last assertion denies it: `unsat` means that it holds."
    assert "(set-logic ALL)" in lines[:6]
    assert lines[-1] == "(check-sat)"


def test_a_text_keeps_the_names_of_the_author() -> None:
    chapter, program = _pond()
    text = _lower(chapter, program).text
    for part in (
        "(define-fun Dir.left () Int 0)",
        "(assert (= (MAP 1 1) Tile.hole))",
        "(define-fun way ((go Int) (slip Int)) Int (mod (+ go slip) 4))",
        "; row' = match way { down: min(row + 1, 2), up: max(row - 1, 0), else: row }",
        "(define-fun reward ((|row'| Int) (|col'| Int)) Real",
        "; at row = 0, col = 0 the policy takes go = down in 5 ticks",
        "(= (|row'| 0 Dir.down 0) 1)",
        "(= (policy.ticks 0 0) 5)",
        "(not (done 0 0))",
        "(done 1 1)",
        "(= (+ (/ 1.0 6.0) (/ 2.0 3.0) (/ 1.0 6.0)) 1.0)",
    ):
        assert part in text, part


def test_code_may_reuse_names_that_only_the_world_sees() -> None:
    text = POND.replace(
        "environment {", "environment {\n  table PLAN: array[3] of int = [5, 6, 7]"
    ).replace("reward = if", "reward = if PLAN[row] < 0 then 7 else if")
    chapter, program = _pond(text.replace("let edge", "let way").replace("if edge", "if way"))
    premise = _lower(chapter, program)
    assert "(declare-fun agent.PLAN (Int Int) Int)" in premise.text
    assert isinstance(prove(premise, rlimit=RLIMIT), Unsat)


def test_reserved_words_may_be_names() -> None:
    text = POND.replace("slip", "select").replace("way", "xor").replace("row", "repeat")
    chapter, program = _pond(text)
    premise = _lower(chapter, program)
    assert "(define-fun |repeat'| ((repeat! Int) (go Int) (select! Int)) Int" in premise.text
    assert isinstance(prove(premise, rlimit=RLIMIT), Unsat)


def _comparison(
    new: Program, old: Program, above: Fraction, below: Fraction, gain: Fraction | None
) -> Premise:
    (premise,) = comparison_premises(
        Place(new.task, Region.whole(new.task, ())),
        Side("new", [above], new.size),
        Side("old", [below], old.size),
        name="the comparison",
        claim="The new program is better.",
        gain=gain,
        strict=gain is None,
    )
    return premise


@pytest.mark.parametrize(
    ("above", "below", "gain", "holds"),
    [
        (Fraction(1), Fraction(0), None, True),
        (Fraction(0), Fraction(0), None, False),
        (Fraction(0), Fraction(0), Fraction(0), True),
        (Fraction(1, 2), Fraction(0), Fraction(1, 2), True),
        (Fraction(1, 2), Fraction(0), Fraction(501, 1000), False),
        (Fraction(0), Fraction(1, 10**6), Fraction(0), False),
    ],
)
def test_a_comparison_is_decided(
    above: Fraction, below: Fraction, gain: Fraction | None, holds: bool
) -> None:
    _, program = _pond()
    premise = _comparison(program, program, above, below, gain)
    assert isinstance(prove(premise, rlimit=RLIMIT), Unsat if holds else Sat)


def test_a_comparison_charges_for_size() -> None:
    chapter, program = _pond()
    longer = chapter.program(
        s.Code((*program.code.slots, s.Param("spare", s.IntType(None, None), s.IntLit(1))))
    )
    premise = _comparison(longer, program, Fraction(1, 10_000), Fraction(0), None)
    assert isinstance(prove(premise, rlimit=RLIMIT), Sat)


# --- premises that do not ------------------------------------------------------------------------


@pytest.mark.parametrize("index", range(5))
def test_a_value_that_is_too_high_is_found(index: int) -> None:
    chapter, program = _pond()
    table = _moved(_bound(chapter, program, "lower"), index, Fraction(1, 1000))
    premise = _premise(table, program, "lower")
    assert isinstance(prove(premise, rlimit=RLIMIT), Sat)


def test_an_upper_bound_of_one_program_is_none_of_every_program() -> None:
    chapter, program = _pond()
    worse = chapter.program(
        replace(program.code, slots=(s.Policy("main", (s.Assign("go", s.Name("left")),)),))
    )
    listed = {e.state: e.value for e in _bound(chapter, worse, "upper").layers[0]}
    layer = _every(chapter).layers[0]
    table = Table((tuple(Entry(e.state, (), listed.get(e.state, e.value)) for e in layer),))
    (premise,) = _premises(program, table, None, "upper")
    assert isinstance(prove(premise, rlimit=RLIMIT), Sat)


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("(= (|row'| 0 Dir.down 0) 1)", "(= (|row'| 0 Dir.down 0) 2)"),  # a wrong successor
        ("(= (policy.go 0 0) Dir.down)", "(= (policy.go 0 0) Dir.up)"),  # a wrong action
        ("(= (policy.ticks 0 0) 5)", "(= (policy.ticks 0 0) 4)"),  # a tick too few
        ("(= (weight.slip 0) (/ 2.0 3.0))", "(= (weight.slip 0) 1.0)"),  # a wrong weight
        ("(= (reward 2 2) 1.0)", "(= (reward 2 2) 2.0)"),  # a wrong reward
        ("(not (done 0 0))", "(done 0 0)"),
        ("  (done 1 1)", "  (not (done 1 1))"),
        # a draw left out of the sum
        ("(= (+ (/ 1.0 6.0) (/ 2.0 3.0) (/ 1.0 6.0)) 1.0)", "(= (+ (/ 1.0 6.0) (/ 2.0 3.0)) 1.0)"),
        ("(assert (= (value.at 0 0) L.0))", "(assert (= (value.at 1 0) L.0))"),  # another start
        ("average.row)", "(+ average.row (- 0.001)))"),  # a bound that the values do not give
    ],
)
def test_a_wrong_statement_about_the_world_is_found(written: str, instead: str) -> None:
    chapter, program = _pond()
    premise = _lower(chapter, program)
    assert premise.goals.count(written) == 1
    edited = replace(premise, goals=premise.goals.replace(written, instead))
    assert isinstance(prove(edited, rlimit=RLIMIT), Sat)


def test_a_successor_that_is_not_listed_is_an_error() -> None:
    chapter, program = _pond()
    (layer,) = _bound(chapter, program, "lower").layers
    with pytest.raises(PremiseError, match=r"is reached from .*, but not listed"):
        _premise(Table((layer[:-1],)), program, "lower")


def _broken_mod(op: str, left: Any, right: Any, expr: Any) -> Any:
    if op == "mod":
        return abs(left) % abs(right)
    return _RIGHT(op, left, right, expr)


_RIGHT: Callable[..., Any] = interp._arithmetic


def _free_if(evaluator: Any, expr: s.If, local: Any) -> Any:
    return evaluator.value(
        expr.then if evaluator.value(expr.test, local) else expr.otherwise, local
    )


def _break(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    match broken:
        case "mod":
            monkeypatch.setattr(interp, "_arithmetic", _broken_mod)
        case "min":
            monkeypatch.setitem(interp.BUILT_INS, "min", max)
        case "<":
            monkeypatch.setitem(interp._COMPARISONS, "<", lambda a, b: a > b)
        case "the tick of if":
            monkeypatch.setitem(interp._CASES, s.If, _free_if)


@pytest.mark.parametrize("broken", ["mod", "min", "<", "the tick of if"])
def test_z3_disagrees_with_a_broken_interpreter(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = _WALK if broken == "min" else POND
    assert isinstance(prove(_lower(*_pond(text)), rlimit=RLIMIT), Unsat)
    # the interpreter alone is broken, so that it has to be what lists the states
    monkeypatch.setattr(explicit, "compile_task", lambda task: task)
    monkeypatch.setattr(explicit, "compile_program", lambda program: program)
    monkeypatch.setattr(rows, "compile_task", lambda task: task)
    _break(broken, monkeypatch)
    assert isinstance(prove(_lower(*_pond(text)), rlimit=RLIMIT), Sat)


_WALK = """
machine walk
environment {
  state x: int 0..3 = 1
  action go: int 0..1
  x' = clamp(min(x, go + 1), 0, 3)
  reward = x
}
utility { discount 1/2 }
agent { policy { go = 1 } }
"""


# --- answers -------------------------------------------------------------------------------------


def test_too_little_rlimit_gives_no_answer() -> None:
    chapter, program = _pond()
    answer = prove(_lower(chapter, program), rlimit=10)
    assert isinstance(answer, Unknown)
    assert "resource" in answer.reason


def test_contradictory_facts_prove_nothing() -> None:
    chapter, program = _pond()
    premise = _lower(chapter, program)
    facts = premise.facts + "(assert (= (MAP 0 0) Tile.goal))\n"
    answer = prove(replace(premise, facts=facts), rlimit=RLIMIT)
    assert isinstance(answer, Unknown)
    assert answer.reason.startswith("vacuous: ")


def test_a_text_that_z3_cannot_read_gives_no_answer() -> None:
    answer = prove(Premise("nonsense", "(set-logic ALL)\n", "(assert (= x 1))\n"), rlimit=RLIMIT)
    assert isinstance(answer, Unknown)
    assert "x" in answer.reason


def test_the_same_text_takes_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    chapter, program = _pond()
    premise = _lower(chapter, program)
    answers = set[Unsat]()
    for _ in range(3):
        monkeypatch.setattr(prover, "_memo", {})
        for _ in range(2):
            answer = prove(premise, rlimit=RLIMIT)
            assert isinstance(answer, Unsat)
            answers.add(answer)
    assert len(answers) == 1
    assert answers.pop().rlimit_used > 0


def test_questions_asked_at_once_get_the_answers_of_questions_asked_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chapter, program = _pond()
    good = _lower(chapter, program)
    bad = replace(
        good, goals=good.goals.replace("(= (policy.ticks 0 0) 5)", "(= (policy.ticks 0 0) 7)")
    )
    premises = [good, bad, good, bad, replace(good, facts=good.facts + "(assert false)\n")]
    monkeypatch.setattr(prover, "_memo", {})
    in_turn = prove_all(premises, rlimit=RLIMIT, jobs=1)
    monkeypatch.setattr(prover, "_memo", {})
    assert prove_all(premises, rlimit=RLIMIT, jobs=2) == in_turn
    assert [type(a) for a in in_turn] == [Unsat, Sat, Unsat, Sat, Unknown]


def test_a_model_names_the_declared_constants() -> None:
    goals = "(declare-const x Int)\n(declare-const q Real)\n(assert (= x (- 3)))\n(assert (= (* 3.0 q) 1.0))\n(check-sat)\n"
    answer = prove(Premise("x", "(set-logic ALL)\n", goals), rlimit=RLIMIT, model=True)
    assert isinstance(answer, Sat)
    assert answer.model == {"q": "1/3", "x": "-3"}
