"""Family `holes`: Z3 fills a sketch, and its model is the patch."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from pathlib import Path

import pytest
from cli import godel
from proposing import AWKWARD, ROOT, judge, load, load_searcher, propose
from random_machines import make_machine

from dsl.errors import DslError
from dsl.machine import Program
from dsl.printer import print_code
from dsl.rewrite import apply_rewrite, derive_edits
from dsl.types import Bits, Bool, Int
from godel.families import holes as family
from godel.families.family import Workplace
from godel.families.sketch import Needed, read_sketch
from godel.families.trial import Trials
from godel.gate import Accepted, Invalid
from proofs.existence import Choice, Inequality, Question, Start, option_symbol, print_question
from proofs.kernel.chapter import Chapter
from proofs.prover import Model, Unknown, Unsat, find_model

LIFT = (ROOT / "examples" / "lift.godel").read_text(encoding="utf-8")

CORRIDOR = """
machine corridor
enum Step { left, stay, right }
environment {
  state pos: int 0..6 = 0
  action go: Step
  CHANCE
  pos'   = clamp(pos + (if SLIP then 0 else ord(go) - 1), 0, 6)
  reward = if pos' == 4 then 1 else 0
}
utility { UTILITY }
REQUIRE
agent {
  memory was: bool = false
  param spare: int 0..3 = 0
  policy { go = stay }
}
"""
ONE_CUT = "policy { go = if pos < ?cut then ?low else ?high }"
BY_TABLE = "table PLAN: array[7] of Step = [?a, ?b, ?c, ?d, ?e, ?f, ?g] policy { go = PLAN[pos] }"


def corridor(*, slips: bool = False, utility: str = "discount 9/10", require: str = "") -> str:
    """A corridor of seven places, with a slippery floor or without."""
    text = CORRIDOR.replace("UTILITY", utility).replace("REQUIRE", require)
    if not slips:
        return text.replace("CHANCE", "").replace("SLIP", "false")
    return text.replace("CHANCE", "chance slip: bool = { true: 1/8, false: 7/8 }").replace(
        "SLIP", "slip"
    )


def filled(program: Program, text: str) -> str:
    """The code of the first candidate for a sketch."""
    found = propose(Chapter(program.task.declarations), program, "holes", sketch=text)
    return print_code(apply_rewrite(program.code, found[0].edits))


# --- solving -------------------------------------------------------------------------------------


@pytest.mark.parametrize("slips", [False, True])
@pytest.mark.parametrize("utility", ["discount 9/10  tick_price 1/1000", "horizon 9"])
def test_a_comparison_is_filled_in_and_proved(slips: bool, utility: str) -> None:
    chapter, program, _ = load(corridor(slips=slips, utility=utility))
    found = propose(chapter, program, "holes", sketch=ONE_CUT)
    assert "cut = 4, low = right, high = stay" in {c.note for c in found}
    assert isinstance(judge(chapter, program, found[:1])[0], Accepted)
    assert found[0].steps > 0


def test_the_best_filling_comes_first() -> None:
    chapter, program, _ = load(corridor(slips=True))
    found = propose(chapter, program, "holes", sketch=ONE_CUT)
    trials = Trials(Workplace(chapter), program)
    gains = [tried.gain for c in found if (tried := trials.value(c.edits)) is not None]
    assert gains == sorted(gains, reverse=True)
    every = []
    sketch = read_sketch(ONE_CUT, program)
    for chosen in product(*(range(len(hole.values)) for hole in sketch.holes)):
        code = sketch.fill(chosen)
        if code != program.code:
            tried = trials.value(derive_edits(program.code, code))
            every.append(tried.gain if tried is not None else -1.0)
    assert gains[0] == pytest.approx(max(every))


def test_a_table_of_holes_is_filled_in_at_once() -> None:
    chapter, program, _ = load(corridor(slips=True))
    found = propose(chapter, program, "holes", sketch=BY_TABLE)
    assert found[0].note.startswith("a = right, b = right, c = right, d = right, e = stay")
    assert isinstance(judge(chapter, program, found[:1])[0], Accepted)


def test_a_hole_with_a_type_may_stand_anywhere() -> None:
    _, program, _ = load(corridor())
    text = filled(
        program, "?d: int 0..3 policy { go = if pos < 2 + ?d - spare then right else stay }"
    )
    assert "pos < 2 + 2 - spare" in text


def test_memory_and_further_definitions_may_hold_holes() -> None:
    chapter, program, _ = load(corridor())
    sketch = "def far(p: int 0..6): bool = p < ?cut policy { go = if far(pos) then ?x else ?y  was' = ?z }"
    found = propose(chapter, program, "holes", sketch=sketch)
    assert isinstance(judge(chapter, program, found[:1])[0], Accepted)


def test_nothing_is_proposed_where_no_filling_is_better() -> None:
    chapter, program, _ = load(
        corridor().replace("go = stay", "go = if pos < 4 then right else stay")
    )
    assert propose(chapter, program, "holes", sketch=ONE_CUT) == []


def test_a_filling_that_breaks_a_requirement_is_not_proposed() -> None:
    chapter, program, _ = load(corridor(require="require dry: always pos <= 3 or pos == 6"))
    assert propose(chapter, program, "holes", sketch=ONE_CUT) == []


def test_one_answer_is_enough_where_the_setting_says_so() -> None:
    chapter, program, _ = load(corridor(slips=True))
    assert len(propose(chapter, program, "holes", sketch=ONE_CUT, solutions=1)) == 1


def test_nothing_is_proposed_where_z3_gives_up_or_the_question_is_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chapter, program, _ = load(corridor(slips=True))
    assert propose(chapter, program, "holes", sketch=BY_TABLE, effort=1) == []
    for limit in ("STATES_MAX", "LEAVES_MAX", "TERMS_MAX"):
        with monkeypatch.context() as patch:
            patch.setattr(family, limit, 3)
            assert propose(chapter, program, "holes", sketch=BY_TABLE) == []


def test_the_same_program_gets_the_same_candidates() -> None:
    once = [propose(*load(corridor(slips=True))[:2], "holes", sketch=BY_TABLE) for _ in range(2)]
    assert once[0] == once[1]


WORLDS = """
machine doors
environment {
  state at: int 0..2 = any
  unknown open: bool
  adversary push: int 0..1
  action go: int 0..2
  at'    = if open then max(go - push, 0) else at
  reward = at'
}
utility { discount 1/2  better BETTER }
agent { policy { go = 0 } }
"""


@pytest.mark.parametrize("better", ["dominates", "strictly", "worst"])
def test_every_criterion_is_asked_for_as_it_is_declared(better: str) -> None:
    chapter, program, _ = load(WORLDS.replace("BETTER", better))
    found = propose(
        chapter, program, "holes", sketch="policy { go = if at < ?cut then ?x else ?y }"
    )
    verdicts = judge(chapter, program, found[:1])
    # where the door is shut nothing makes a difference: only one criterion allows for that
    assert [isinstance(v, Accepted) for v in verdicts] == ([True] if better == "dominates" else [])


RATE = """
machine slide
environment {
  state x: int 0..3 = 0
  unknown p: rat 1/4..3/4
  action go: bool
  chance slip: bool = { true: p, false: 1 - p }
  x' = if go and not slip then min(x + 1, 3) else x
  reward = if x' == 3 then 1 else if go then -1/100 else 0
}
utility { discount 9/10 }
agent { policy { go = false } }
"""


def test_rational_unknowns_are_looked_at_in_their_corners() -> None:
    chapter, program, _ = load(RATE)
    found = propose(chapter, program, "holes", sketch="policy { go = x < ?cut }")
    assert found[0].note == "cut = 3"
    assert isinstance(judge(chapter, program, found[:1])[0], Accepted)


# --- sketches ------------------------------------------------------------------------------------


def test_holes_take_the_type_of_their_place() -> None:
    _, program, _ = load(AWKWARD["bits"])
    sketch = read_sketch(
        "policy { let y = x + k  go = if ?yes and y == ?b then ?b else T[?i] }", program
    )
    kinds = {hole.name: hole.kind for hole in sketch.holes}
    assert kinds == {"yes": Bool(), "b": Bits(4), "i": Int(0, 3)}


def test_only_the_holes_that_matter_are_asked_for() -> None:
    _, program, _ = load(corridor())
    sketch = read_sketch(BY_TABLE, program)
    with pytest.raises(Needed) as asked:
        sketch.decide({"pos": 3}, (False,), {})
    assert sketch.holes[asked.value.hole].name == "d"
    assert sketch.decide({"pos": 3}, (False,), {3: 2}).actions == (2,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("policy { go = stay }", "without a hole"),
        ("policy { go = if pos < ?a + 1 then left else stay }", "which values ?a"),
        ("?a: int 0..1000 policy { go = if pos < ?a then left else stay }", "at most 128"),
        ("?a: int policy { go = if pos < ?a then left else stay }", "without a range"),
        ("?a: int 0..3 policy { go = stay }", "without a hole"),
        ("?a: bool ?b: bool policy { go = if ?a then left else stay }", "no expression holds ?b"),
        ("policy { go = if ?a then ?a else stay }", "different types"),
        ("memory n: int 0..2 = ?a policy { go = stay }", "cannot be a hole"),
        ("policy { go = ?a", "end"),
        ("policy { go = ?a fly = 3 }", "fly"),
        ("policy { go = wings(?a) }", "which values ?a"),
        ("?a: bool policy { go = if ?a < 3 then left else stay }", "compares numbers"),
        ("?a: Shoe policy { go = if ?a == 3 then left else stay }", "Shoe"),
        ("? policy { go = left }", "?"),
        ("agent { policy { go = ?a } }", "agent"),
    ],
)
def test_a_sketch_that_is_none_says_why_and_proposes_nothing(text: str, message: str) -> None:
    chapter, program, _ = load(corridor())
    with pytest.raises(DslError) as fault:
        read_sketch(text, program)
    assert message in " ".join(d.message for d in fault.value.diagnostics)
    assert propose(chapter, program, "holes", sketch=text) == []


def test_check_shows_what_is_wrong_with_a_sketch(tmp_path: Path) -> None:
    path = tmp_path / "lift.godel"
    path.write_text(LIFT.replace("then ?less", "then ?less + 1"), encoding="utf-8")
    done = godel("check", path)
    assert done.code == 3
    assert "the sketch of follow: nothing says which values ?less may have" in done.err


# --- the question --------------------------------------------------------------------------------


def question(**changes: object) -> Question:
    """Whether to take a coin of 1 each step, at a discount of 1/2, against 3/2."""
    half, entry = Fraction(1, 2), (0, 0, 0)
    found = Question(
        (Choice("coin", ("no", "yes")),),
        (
            Inequality((((0, 0),),), entry, Fraction(0), ((half, entry),)),
            Inequality((((0, 1),),), entry, Fraction(1), ((half, entry),)),
        ),
        (Start(((Fraction(1), entry),), Fraction(3, 2)),),
        (),
        Fraction(0),
        "dominates",
    )
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def test_a_model_gives_choices_and_a_table_that_is_a_lower_bound() -> None:
    found = find_model(print_question(question()), rlimit=1_000_000)
    assert isinstance(found, Model)
    assert found.values["coin = yes"] is True
    value = found.values["L.0.0.0"]
    assert isinstance(value, Fraction)
    assert Fraction(3, 2) < value <= 2


@pytest.mark.parametrize(
    "changes",
    [
        {"excluded": [((0, 1),)]},
        {"impossible": (((0, 1),),)},
        {"beyond": Fraction(2)},
        {"larger": Fraction(1, 2)},
        {"better": "worst", "larger": Fraction(1, 2)},
    ],
)
def test_there_is_none_where_it_is_excluded_or_no_better(changes: dict[str, object]) -> None:
    assert isinstance(find_model(print_question(question(**changes)), rlimit=1_000_000), Unsat)


def test_values_are_exact_and_a_limit_gives_no_answer() -> None:
    text = "(declare-const x Real)(declare-const n Int)(declare-const b Bool)"
    text += "(assert (= (* 3.0 x) (- 1.0)))(assert (= n (- 7)))(assert b)"
    found = find_model(text, rlimit=1_000_000)
    assert isinstance(found, Model)
    assert found.values == {"b": True, "n": -7, "x": Fraction(-1, 3)}
    root = "(declare-const x Real)(assert (= (* x x) 2.0))"
    assert isinstance(find_model(root, rlimit=1_000_000), Unknown)
    assert isinstance(find_model("(assert", rlimit=1_000_000), Unknown)


def test_names_of_options_are_read_back() -> None:
    choice = Choice("go", ("left", "-1"))
    assert option_symbol(choice, 1) == "|go = -1|"


# --- attacks -------------------------------------------------------------------------------------

ANY_SKETCH = {
    "rational_state": "policy { pour = level > ?n }",
    "many_worlds": "policy { go = if ?y then a < cut else b < cut }",
    "nothing_to_read": "policy { go = ?y }",
    "adversary": "policy { go = if me < it - ?s then ?x else ?y } ?s: int 0..4",
    "unknown_rate": "policy { go = x < ?cut }",
    "memory": "policy { to = if n >= ?k then ?x else ?y  n' = ?m }",
    "only_ticks": "policy { go = ?y }",
    "bits": "policy { let y = x + ?d  go = if ult(y, 8) then y << k else T[?i] } ?d: bits[4]",
}


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_worlds_give_candidates_or_nothing(name: str) -> None:
    chapter, program, _ = load(AWKWARD[name])
    found = propose(chapter, program, "holes", limit=3, sketch=ANY_SKETCH[name], solutions=3)
    for verdict in judge(chapter, program, found):
        assert not isinstance(verdict, Invalid)


@pytest.mark.parametrize("seed", range(24))
def test_candidates_for_random_machines_apply_and_pass_through_the_gate(seed: int) -> None:
    machine = make_machine(seed).machine
    chapter = Chapter(machine.declarations)
    program = chapter.program(machine.agent)
    names = [v.name for v in program.task.actions]
    text = "policy { " + " ".join(f"{name} = if ?t then ?x_{name} else ?y_{name}" for name in names)
    found = propose(chapter, program, "holes", limit=3, sketch=text + " }", solutions=3)
    for candidate, verdict in zip(found, judge(chapter, program, found), strict=True):
        assert apply_rewrite(program.code, candidate.edits) != program.code
        assert not isinstance(verdict, Invalid)


def test_a_searcher_is_code_like_any_other() -> None:
    chapter, program = load_searcher(LIFT)
    sketch = "policy { try = if fails_plan < ?n then ?first else stop }"
    found = propose(chapter, program, "holes", sketch=sketch)
    assert not any(isinstance(verdict, Invalid) for verdict in judge(chapter, program, found))


def test_a_machine_searches_with_it_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "lift.godel"
    path.write_text(LIFT, encoding="utf-8")
    done = godel("--store", str(tmp_path / "l.db"), "evolve", str(path))
    assert done.code == 0
    assert "accepted  plan" in done.out
    assert godel("--store", str(tmp_path / "l.db"), "verify").code == 0
