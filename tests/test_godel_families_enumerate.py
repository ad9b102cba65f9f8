"""Family `enumerate`: small expressions from the bottom up, in the place of those that stand in the policy."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli import godel
from proposing import AWKWARD, ROOT, judge, load, load_searcher, propose
from random_machines import make_machine

from dsl import syntax as s
from dsl.check import check_expression
from dsl.interp import evaluate
from dsl.printer import print_code, print_expression
from dsl.rewrite import apply_rewrite
from dsl.types import Bits, Bool, Enum, Int, Rat, Type, without_ranges
from godel.families import bank
from godel.families.bank import Bank, Sight
from godel.gate import Accepted, Invalid
from proofs.kernel.chapter import Chapter

FERRY = (ROOT / "examples" / "ferry.godel").read_text(encoding="utf-8")

WORDS = """
machine words
enum Colour { red, green, blue }
const LOW = 1
const HALF = 1/2
table NEXT: array[Colour] of Colour = [green, blue, red]
table SQUARE: array[4] of int = [0, 1, 4, 9]
def twice(i: int): int = 2 * i + 70
environment {
  state n: int -2..3 = 0
  state c: Colour = red
  state b: bits[4] = 3
  state row: array[2] of bool = [true, false]
  action paint: Colour
  action count: int 0..3
  n' = n  reward = 0
}
utility { discount 1/2 }
agent {
  param part: rat 0..1 = 1/3
  policy { paint = if row[0] then red else c  let more = part * 2  count = if n < LOW or b == 9 then 0 else floor(more) }
}
"""

THRESHOLD = """
machine stove
enum Heater { off, on }
const WANTED = 5
environment {
  state temp: int 0..8 = 0
  action heater: Heater
  temp'  = clamp(temp + (if heater == on then 1 else -1), 0, 8)
  reward = (if temp' >= WANTED then 1 else 0) - (if temp' > WANTED + 1 then 2 else 0)
}
utility { discount 9/10 }
agent { policy { heater = off } }
"""

GUARDED = """
machine shop
environment {
  state stock: int 0..5 = 0
  action buy: int 0..5
  chance ask: int = { 0: 1/3, 1: 1/3, 2: 1/3 }
  let sold = min(stock, ask)
  stock' = clamp(stock - sold + buy, 0, 5)
  reward = sold - buy / 2 - stock / 20
}
utility { discount 9/10 }
agent {
  memory last: int 0..5 = 0
  policy { let empty = stock == 5  buy = if empty then 2 else 0  last' = buy }
}
"""


def bank_of(text: str, kinds: list[Type], *, nodes: int) -> tuple[Bank, Sight]:
    """The expressions over what the policy of a machine observes, on a few of its states."""
    _, program, machine = load(text)
    names = {v.name: v.type for v in program.task.observed}
    rows = [
        {"n": n, "c": c, "b": b, "row": ((n + c) % 2 == b % 2, b > 7)}
        for n in (-2, 0, 1, 3)
        for c in range(3)
        for b in (0, 3, 15)
    ]
    sight = Sight(names, rows)
    found = Bank(program.names, sight, kinds, machine.agent, literals=2)
    found.grow(nodes)
    return found, sight


def test_every_expression_has_the_values_that_the_interpreter_gives_it() -> None:
    _, program, _ = load(WORDS)
    made, sight = bank_of(WORDS, [Int(0, 3), Rat()], nodes=4)
    checked = 0
    for kind in made.kinds:
        for term in made.terms(kind):
            if isinstance(kind, Bits) and isinstance(term.expr, s.IntLit):
                continue
            found, tree = check_expression(program.names, term.expr, dict(sight.kinds))
            assert without_ranges(found) == term.kind, print_expression(term.expr)
            for row, value in zip(sight.rows, term.values, strict=True):
                assert evaluate(tree, program.names, dict(row))[0] == value
            checked += 1
    assert checked > 400


def test_expressions_that_agree_on_the_samples_stand_once_and_come_smallest_first() -> None:
    made, _ = bank_of(WORDS, [Int(0, 3)], nodes=5)
    for kind in (Int(), Bool(), Bits(4)):
        terms = list(made.terms(kind))
        assert len({term.values for term in terms}) == len(terms)
        sizes = [term.size for term in terms]
        assert sizes == sorted(sizes)
        assert max(sizes) <= 5
        assert all(term.size == sum(1 for _ in s.walk(term.expr)) for term in terms)


def test_everything_that_a_place_may_read_occurs() -> None:
    made, _ = bank_of(WORDS, [Int(0, 3)], nodes=4)
    colour = next(kind for kind in made.kinds if isinstance(kind, Enum))
    texts = {print_expression(t.expr) for kind in made.kinds for t in made.terms(kind)}
    assert {"n", "LOW", "part", "NEXT[c]", "row[0]", "twice(n)", "SQUARE[ord(c)]", "~b"} <= texts
    assert {print_expression(t.expr) for t in made.terms(colour)} >= {"red", "green", "blue"}


def test_growing_ends_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank, "BUILT_MAX", 500)
    found, sight = bank_of(WORDS, [Int(0, 3), Rat()], nodes=8)
    assert found.steps <= 500 * len(sight.rows)


def test_a_threshold_is_found_from_nothing() -> None:
    chapter, program, _ = load(THRESHOLD)
    found = propose(chapter, program, "enumerate", nodes=6)
    text = print_code(apply_rewrite(program.code, found[0].edits))
    assert "if WANTED < temp then off else on" in text
    (verdict,) = judge(chapter, program, found[:1])
    assert isinstance(verdict, Accepted)


def test_parts_of_an_expression_and_lets_are_places_too() -> None:
    chapter, program, _ = load(GUARDED)
    found = propose(chapter, program, "enumerate", nodes=3)
    notes = [candidate.note for candidate in found]
    assert any("in empty" in note for note in notes)
    assert any("in buy [" in note for note in notes)
    verdicts = judge(chapter, program, found[:6])
    assert isinstance(verdicts[0], Accepted)
    assert not any(isinstance(verdict, Invalid) for verdict in verdicts)


def test_where_size_has_a_price_a_smaller_program_that_decides_alike_is_proposed() -> None:
    text = THRESHOLD.replace("discount 9/10", "discount 9/10  size_price 1/100").replace(
        "heater = off", "heater = if temp < 9 or temp == 2 then off else on"
    )
    chapter, program, _ = load(text)
    found = propose(chapter, program, "enumerate", nodes=1)
    assert any(candidate.note == "off in heater" for candidate in found)


def test_settings_bound_what_is_proposed() -> None:
    chapter, program, _ = load(THRESHOLD)
    assert len(propose(chapter, program, "enumerate", nodes=6, candidates=2)) == 2
    few = propose(chapter, program, "enumerate", nodes=6, tries=4)
    assert len(few) < len(propose(chapter, program, "enumerate", nodes=6))


def test_the_same_program_gets_the_same_candidates() -> None:
    first = [(c.edits, c.note, c.steps) for c in propose(*load(FERRY)[:2], "enumerate", nodes=4)]
    again = [(c.edits, c.note, c.steps) for c in propose(*load(FERRY)[:2], "enumerate", nodes=4)]
    assert first == again
    assert first


def test_a_searcher_is_code_like_any_other() -> None:
    chapter, program = load_searcher(FERRY)
    found = propose(chapter, program, "enumerate", nodes=3, tries=60)
    assert found
    assert not any(isinstance(verdict, Invalid) for verdict in judge(chapter, program, found[:2]))


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_worlds_give_candidates_or_nothing(name: str) -> None:
    chapter, program, _ = load(AWKWARD[name])
    found = propose(chapter, program, "enumerate", limit=3, nodes=4, tries=40)
    for verdict in judge(chapter, program, found):
        assert not isinstance(verdict, Invalid)


@pytest.mark.parametrize("seed", range(24))
def test_candidates_for_random_machines_apply_and_pass_through_the_gate(seed: int) -> None:
    machine = make_machine(seed).machine
    chapter = Chapter(machine.declarations)
    program = chapter.program(machine.agent)
    found = propose(chapter, program, "enumerate", limit=3, nodes=3, tries=40)
    for candidate, verdict in zip(found, judge(chapter, program, found), strict=True):
        assert apply_rewrite(program.code, candidate.edits) != program.code
        assert not isinstance(verdict, Invalid)


def test_a_machine_searches_with_it_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "ferry.godel"
    path.write_text(FERRY, encoding="utf-8")
    done = godel("--store", str(tmp_path / "f.db"), "evolve", str(path))
    assert done.code == 0
    assert "accepted  small" in done.out and "accepted  large" in done.out
    assert godel("--store", str(tmp_path / "f.db"), "verify").code == 0
