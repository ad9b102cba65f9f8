"""What the tests of families share: a machine's chapter and program, a family's candidates, the gate's verdicts."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from dsl.machine import Program
from dsl.parser import parse_machine
from dsl.syntax import Machine
from godel.families.family import Candidate, Workplace
from godel.families.kinds import KINDS
from godel.gate import Gate, Verdict
from godel.searching import Search
from proofs.kernel.chapter import Chapter

ROOT = Path(__file__).parent.parent

AWKWARD = {
    "rational_state": """
machine drip
environment { state level: rat 0..10 = 1  action pour: bool
  level' = if pour then level / 2 else level  reward = if pour then level else 0 }
utility { discount 9/10 }
agent { param least: rat 0..10 = 1/2  policy { pour = level > least } }""",
    "many_worlds": """
machine wide
environment { state a: int 0..9999 = any  state b: int 0..9999 = any  action go: bool
  a' = if go then b else a  reward = a }
utility { discount 9/10 }
agent { param cut: int 0..9999 = 3  policy { go = a < cut } }""",
    "nothing_to_read": """
machine bare
environment { state x: bool = false  action go: bool  x' = go  reward = if x' then 1 else 0  observe x }
utility { horizon 3 }
agent { policy { go = false } }""",
    "adversary": """
machine chase
environment { state me: int 0..4 = any  state it: int 0..4 = 4  action go: int -1..1
  adversary move: int -1..1 where it + move >= 0  unknown slow: bool
  me' = clamp(me + go, 0, 4)  it' = if slow then it else clamp(it + move, 0, 4)
  reward = if me' == it' then -1 else 0 }
utility { discount 4/5  better worst }
agent { param shy: int 0..4 = 0  policy { go = if me < it - shy then 1 else 0 } }""",
    "unknown_rate": """
machine slide
environment { state x: int 0..3 = 0  unknown p: rat 1/4..3/4  adversary q: rat 0..1/2  action go: bool
  chance slip: bool = { true: p * q, false: 1 - p * q }
  x' = if go and not slip then min(x + 1, 3) else x  reward = if x' == 3 then p else 0 }
utility { discount 9/10  size_price 1/1000 }
agent { param cut: int 0..4 = 1  policy { go = x < cut } }""",
    "memory": """
machine blink
enum Lamp { dark, lit }
environment { state t: int 0..3 = { 0: 1/2, 1: 1/2 }  state lamp: Lamp = dark  action to: Lamp  observe lamp
  t' = (t + 1) mod 4  lamp' = to  done = t == 3 and lamp == lit
  reward = if (to == lit) == (t >= 2) then 1 else 0 }
utility { horizon 6  tick_price 1/100 }
require once: always t <= 3
agent { memory n: int 0..3 = 0  param at: int 0..3 = 3
  policy { to = if n >= at then lit else dark  n' = (n + 1) mod 4 } }""",
    "only_ticks": """
machine idle
environment { state x: int 0..1 = 0  action go: bool  reward = 0 }
utility { discount 1/2  tick_price 1 }
agent { param k: int 0..3 = 3  policy { go = x + k * k > 1 } }""",
    "bits": """
machine shifty
environment { state x: bits[4] = 1  action go: bits[4]  x' = go  reward = int(x') }
utility { discount 1/2 }
agent { param k: bits[4] = 1  table T: array[4] of bits[4] = [0, 1, 2, 3]
  policy { let y = x + k  go = if ult(y, 8) then y << k else T[int(x >> 2)] } }""",
}
"""Machines that families find hard to look at."""


def load(text: str) -> tuple[Chapter, Program, Machine]:
    """The chapter and the program of a machine's text."""
    machine = parse_machine(text)
    chapter = Chapter(machine.declarations)
    return chapter, chapter.program(machine.agent), machine


def load_searcher(text: str) -> tuple[Chapter, Program]:
    """The chapter of a machine's search, and its searcher."""
    machine = parse_machine(text)
    assert machine.search is not None and machine.searcher is not None
    chapter = Search(machine.declarations, machine.search).chapter
    return chapter, chapter.program(machine.searcher)


def propose(
    chapter: Chapter, program: Program, kind: str, *, limit: int = 10_000, **settings: Any
) -> list[Candidate]:
    """The first candidates of a family, all if they are fewer."""
    family = KINDS[kind].make(kind, settings)
    return list(islice(family(Workplace(chapter), program), limit))


def judge(chapter: Chapter, program: Program, candidates: list[Candidate]) -> list[Verdict]:
    """The verdicts on candidates."""
    gate = Gate(chapter)
    return [gate.judge(program.code, candidate.edits) for candidate in candidates]
