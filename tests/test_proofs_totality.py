"""Obligations of totality: what is demanded, what Z3 proves of it, and where it finds that one fails."""

from __future__ import annotations

from fractions import Fraction

import pytest
from generators import random_machine

from dsl import interp
from dsl.check import check_machine
from dsl.machine import Program, Task
from dsl.parser import parse_machine
from proofs.kernel.totality import Broken, find_gaps_in_code, find_gaps_in_declarations
from proofs.totality_smt import find_broken, obligations

RLIMIT = 5_000_000


def _machine(
    environment: str, *, top: str = "", agent: str = "policy { go = 0 }", action: str = "int 0..2"
) -> tuple[Task, Program]:
    if "state" not in environment:
        environment = f"state x: int 0..7 = 0\n{environment}"
    if "reward =" not in environment:
        environment += "\nreward = 0"
    text = f"""
    machine small
    enum Dir {{ left, down, right, up }}
    {top}
    environment {{
      action go: {action}
      {environment}
    }}
    utility {{ discount 1/2 }}
    agent {{ {agent} }}
    """
    return check_machine(parse_machine(text))


def _point(broken: Broken) -> dict[str, object]:
    return {name: value for name, _, value in broken.point}


def _only(task: Task, program: Program | None = None) -> Broken:
    broken, unproved, _ = find_broken(task, program, rlimit=RLIMIT)
    assert not unproved
    (found,) = broken
    return found


THERMOSTAT = """
machine thermostat
enum Heater { off, on }
environment {
  state temp: int LOWEST..40 = 40
  action heater: Heater
  chance draught: int = { -1: 1/4, 0: 1/2, 1: 1/4 }
  temp'  = max(temp + draught + (if heater == on then 2 else -1), LOWEST)
  reward = 0
}
utility { discount 19/20 }
agent { policy { heater = off } }
"""


@pytest.mark.parametrize(
    ("lowest", "point", "value"),
    [
        (0, {"temp": 38, "heater": 1, "draught": 1}, 41),
        (40, {"temp": 40, "heater": 1, "draught": 0}, 42),
    ],
)
def test_a_thermostat_without_clamp_breaks_at_the_smallest_point(
    lowest: int, point: dict[str, object], value: int
) -> None:
    task, _ = check_machine(parse_machine(THERMOSTAT.replace("LOWEST", str(lowest))))
    found = _only(task)
    assert (found.code, _point(found)) == ("G012", point)
    assert found.message == f"temp' may leave its range {lowest}..40"
    assert found.met == f"the value is {value}"


def test_the_warmest_thermostat_breaks_with_43() -> None:
    text = THERMOSTAT.replace("LOWEST", "40").replace("{ -1: 1/4, 0: 1/2, 1: 1/4 }", "{ 1: 1 }")
    task, _ = check_machine(parse_machine(text))
    found = _only(task)
    assert _point(found) == {"temp": 40, "heater": 1, "draught": 1}
    assert found.met == "the value is 43"


def test_a_thermostat_with_clamp_is_proved() -> None:
    text = (
        THERMOSTAT.replace("LOWEST", "0")
        .replace("max(temp", "clamp(temp")
        .replace(", 0)\n", ", 0, 40)\n")
    )
    task, program = check_machine(parse_machine(text))
    broken, unproved, used = find_broken(task, rlimit=RLIMIT)
    assert (broken, unproved) == ([], [])
    assert used > 0
    assert find_broken(task, program, rlimit=RLIMIT) == ([], [], 0)


def test_obligations_are_listed_in_the_readers_words() -> None:
    task, program = _machine(
        "let q = 7 div x\nx' = x + MAP[x mod 4][go]\ndone = D(x) == 1",
        top="table MAP: array[4] of array[3] of int 0..1 = [for i in 0..3: [0, 1, 0]]\n"
        "def D(n: int 0..5): int 0..9 = n + (if n == 0 then 0 else 3 mod n)",
        agent="table T: array[8] of int 0..9 = [for i in 0..7: i]\n"
        "policy { let d = Dir(x div 2)  go = match d { left: 0, up | down: T[x] } }",
    )
    assert [(o.code, o.what) for o in obligations(task)] == [
        ("G013", "the divisor of 3 mod n is not 0"),
        ("G012", "the result of D stays within 0..9"),
        ("G013", "the divisor of 7 div x is not 0"),
        ("G014", "the index of MAP[x mod 4] is within 0..3"),
        ("G014", "the index of MAP[x mod 4][go] is within 0..2"),
        ("G012", "x' stays within 0..7"),
        ("G012", "n in D(x) stays within 0..5"),
    ]
    assert [(o.code, o.what) for o in obligations(task, program)] == [
        ("G014", "the number in Dir(x div 2) is within 0..3"),
        ("G015", "match d has an arm for every value"),
        ("G014", "the index of T[x] is within 0..7"),
        ("G012", "go stays within 0..2"),
    ]
    assert all(o.node.span.line > 0 for o in obligations(task))


PROVED = [
    "x' = if x == 0 then 0 else 7 div x",
    "x' = (if x != 0 and 7 div x > 2 then 1 else 0)",
    "x' = (if x == 0 or 7 div x > 2 then 1 else 0)",
    "x' = (if x > 0 implies 7 mod x < 2 then 1 else 0)",
    "x' = (if 0 < x < 8 div x then 1 else 0)",
    "x' = let d = x + 1 in 7 div d",
    "x' = match x { 0: 0, 1 | 2: 7 div x, else: 7 div (x - 8) + 7 }",
    "x' = if x < 2 then match x { 0: 1, 1: 0 } else x",
    "x' = match ord(Dir(x mod 4)) { 0: 1, 1: 2, 2: 3, 3: 4 }",
    "x' = [for i in 0..7: i][x]",
    "x' = (if x >= 1 then [for i in 1..7: 7 div i][x - 1] else 0)",
    "let way = (go + x) mod 4\nx' = [1, 2, 3, 4][way]",
    "chance c: int 0..7 = if x < 3 then { x: 1/2, 7 - x: 1/2 } else { 0: 1 }\nx' = c",
    "chance c: int = { x: 1/2, 7 - x: 1/2 }\nx' = c",
    "chance c: int 0..7 = { x: (x + 1) / 8, 0: 1 - (x + 1) / 8 }\nx' = c",
    "chance c: int 0..7 = { for i in 0..x0: i: 1/4 }\nx' = c".replace("x0", "3"),
    "chance c: int 0..3 = { go: 1, go + 7: 0 }\nx' = c",
    "chance c: bool = match x { 0: { true: 1 }, else: { true: 1 / x, false: 1 - 1 / x } }\nx' = if c then x else 0",
    "x' = if x' < 9 then 0 else 1".replace("x' <", "x <"),
    "state cells: array[2] of int 0..3 = [0, 3]\ncells' = [cells[1], min(cells[0] + 1, 3)]",
    "state x: int 0..7 = 0\nstate v: bits[4] = any\nx' = int(v >> 1)",
    "state x: int 0..7 = 0\nstate v: bits[4] = any\nx' = int(udiv(v, v | 1) & 7)",
    "state x: int 0..7 = 0\nstate v: bits[4] = any\nx' = (if ult(v, 4) then [1, 2, 3, 4][int(v)] else 0)",
    "x' = fold m = 0 for i in 0..3: min(m + x, 7)",
    "x' = ([1, 2, 3, 4] with { x mod 4: 0 })[go]",
    "x' = (if forall i in 0..3: i < x implies 7 div (i + 1) > 0 then 1 else 0)",
    "adversary y: int 0..7 where y <= x\nx' = x - y",
    "unknown u: int 1..3\nx' = 7 div u",
]


@pytest.mark.parametrize("environment", PROVED)
def test_what_has_a_value_everywhere_is_proved(environment: str) -> None:
    task, _ = _machine(environment)
    broken, unproved, _ = find_broken(task, rlimit=RLIMIT)
    assert (broken, unproved) == ([], [])


BROKEN = [
    ("x' = 7 div x", "G013", {"x": 0}),
    ("x' = (if x != 3 then 0 * (7 div (x - 3)) else 7 div (x - 3))", "G013", {"x": 3}),
    ("x' = (if x == 0 and 7 div x > 2 then 1 else 0)", "G013", {"x": 0}),
    ("x' = (if x == 0 implies 7 div x > 2 then 1 else 0)", "G013", {"x": 0}),
    ("x' = (if x < 5 < 8 div (x - 4) then 1 else 0)", "G013", {"x": 4}),
    ("x' = let d = x - 2 in 7 div d * 0", "G013", {"x": 2}),
    ("x' = match x { 0: 1, 1 | 2: 2, 3: 0 }", "G015", {"x": 4}),
    ("x' = if x < 3 then match x { 0: 1, 1: 0 } else x", "G015", {"x": 2}),
    ("x' = ord(Dir(x))", "G014", {"x": 4}),
    ("x' = [1, 2, 3][x]", "G014", {"x": 3}),
    ("x' = [for i in 0..3: 7 div (i + x - 4)][0] * 0", "G013", {"x": 1}),
    ("let way = x + go\nx' = [1, 2, 3, 4, 5, 6, 7, 0][way]", "G014", {"x": 6, "go": 2}),
    ("chance c: int 0..3 = { x: 1 }\nx' = c", "G012", {"x": 4}),
    ("chance c: int 0..9 = { 0: 1/2, x: x / 14 }\nx' = 0", "G016", {"x": 0}),
    ("chance c: bool = { true: x / 6, false: 1 - x / 6 }\nx' = 0", "G016", {"x": 7}),
    ("chance c: int = { x: 1/2, 7 - x: 1/2 }\nx' = 7 div (c - 2) * 0", "G013", {"c": 2}),
    (
        "chance c: rat = { 1/2: 1/2, -1/2: 1/2 }\nx' = floor(1 / (c + 1/2))",
        "G013",
        {"c": Fraction(-1, 2)},
    ),
    ("x' = f(x)", "G012", {"x": 6}),
    (
        "state cells: array[2] of int 0..3 = [0, 3]\ncells' = [cells[1], cells[0] + 1]",
        "G012",
        {"cells": (3, 0)},
    ),
    (
        "state on: bool = true\nstate y: int 0..3 = 0\ny' = if on then y + 1 else y",
        "G012",
        {"on": True, "y": 3},
    ),
    ("state x: int 0..7 = 0\nstate v: bits[4] = any\nx' = int(v)", "G012", {"v": 8}),
    (
        "state x: int 0..7 = 0\nstate v: bits[4] = any\nx' = int(udiv(v, v - 3) & 7)",
        "G013",
        {"v": 3},
    ),
    ("x' = int(bits[3](1) << (x - 1))", "G031", {"x": 0}),
    ("x' = fold m = 0 for i in 0..3: m + x", "G012", {"x": 2}),
    ("x' = ([1, 2, 3, 4] with { x: 0 })[2]", "G014", {"x": 4}),
    ("x' = (if exists i in 0..3: 7 div (i - x) == 9 then 1 else 0)", "G013", {"x": 0}),
    ("adversary y: int 0..7 where y <= x\nx' = 7 - x - y", "G012", {"x": 4, "y": 4}),
    ("unknown u: int 0..3\nx' = 7 div u", "G013", {"u": 0}),
]


@pytest.mark.parametrize(("environment", "code", "point"), BROKEN)
def test_what_fails_somewhere_fails_at_a_point_the_interpreter_confirms(
    environment: str, code: str, point: dict[str, object]
) -> None:
    task, _ = _machine(environment, top="def f(n: int 0..5): int = n")
    found = _only(task)
    assert (found.code, _point(found)) == (code, point)
    assert find_gaps_in_declarations(task)


def test_a_function_must_have_a_value_for_all_of_its_parameters() -> None:
    task, _ = _machine("x' = min(f(x + 1), 7)", top="def f(n: int): int = 100 div n")
    found = _only(task)
    assert (found.code, _point(found), found.message) == ("G013", {"n": 0}, "the divisor may be 0")


def test_an_action_must_keep_its_range() -> None:
    task, program = _machine(
        "x' = x", agent="policy { let near = x - 5  go = if near < 0 then 0 else near + 1 }"
    )
    assert find_broken(task, rlimit=RLIMIT)[:2] == ([], [])
    found = _only(task, program)
    assert (found.code, _point(found)) == ("G012", {"x": 7})
    assert (found.message, found.met) == ("go may leave its range 0..2", "the value is 3")


def test_independent_faults_are_all_reported() -> None:
    task, _ = _machine(
        "let q = 7 div x\nlet p = [1, 2][x mod 3]\nx' = min(x + p + 0 * q, 7)\nreward = 1 / (x - 7)"
    )
    broken, unproved, _ = find_broken(task, rlimit=RLIMIT)
    assert not unproved
    # `p` fails on its own, `x'` only where what it reads has failed before
    assert [(b.code, _point(b)) for b in broken] == [
        ("G013", {"x": 0}),
        ("G014", {"x": 2}),
        ("G013", {"x": 7}),
    ]


def test_an_encoding_that_disagrees_with_the_interpreter_is_believed_by_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task, _ = _machine("x' = x + 1")
    monkeypatch.setitem(interp._CASES, type(task.plan[0].value), lambda *_: 0)  # type: ignore[union-attr]
    broken, (unproved,), _ = find_broken(task, rlimit=RLIMIT)
    assert not broken
    assert unproved.message.startswith(
        "our encoding disagrees with the interpreter: x' stays within 0..7"
    )


def test_too_little_rlimit_leaves_obligations_open() -> None:
    task, _ = _machine("x' = [for i in 0..7: i][x]")
    broken, unproved, _ = find_broken(task, rlimit=1)
    assert not broken
    assert all("Z3 does not decide whether" in u.message for u in unproved)
    assert unproved


@pytest.mark.parametrize("seed", range(15))
def test_random_total_machines_are_proved_by_z3_and_kernel(seed: int) -> None:
    task, program = check_machine(random_machine(seed))
    assert find_gaps_in_declarations(task) == []
    assert find_gaps_in_code(program) == []
    assert find_broken(task, rlimit=RLIMIT)[:2] == ([], [])
    assert find_broken(task, program, rlimit=RLIMIT)[:2] == ([], [])
