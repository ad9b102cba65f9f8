"""Measure evaluation: compiled programs beside the same functions written by hand in Python, and beside other evaluators.

`make bench` prints the table. Each row is one function on the same inputs, the runs of all columns interleaved; the least of
several runs counts. Values are compared first, so that all columns do the same.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import celpy
from celpy import celtypes
from simpleeval import SimpleEval

from dsl import syntax as s
from dsl.check import check_machine
from dsl.compile import compile_expression
from dsl.interp import evaluate
from dsl.machine import Program
from dsl.parser import parse_machine

ROUNDS = 7
CALLS = 4_000
INTERPRETED = 200

Point: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One function: a machine whose first action is its value, inputs, the same by hand, and in other languages."""

    name: str
    machine: str
    inputs: tuple[Point, ...]
    by_hand: Callable[..., Any]
    cel: str | None = None
    simple: str | None = None


def _machine(states: str, action: str, code: str, top: str = "") -> str:
    return f"""
    machine bench
    {top}
    environment {{
      {states}
      action y: {action}
      reward = 0
    }}
    utility {{ discount 1/2 }}
    agent {{ {code} }}
    """


# --- the functions by hand -----------------------------------------------------------------------


def grid_policy(row: int, col: int) -> int:
    """Which way to go on a grid: 0 left, 1 down, 2 right, 3 up."""
    if col < 7 and row != 3:
        return 2
    if row < 7 and (col + row) % 3 != 1:
        return 1
    return 3 if row > 0 else 0


def thermostat_step(temp: int, draught: int, on: bool) -> int:
    """The next temperature."""
    return max(0, min(temp + draught + (2 if on else -1), 40))


def lowest_bit_cleared(x: int) -> int:
    """x with its lowest set bit cleared, on 32 bits."""
    return x & ((x - 1) & 0xFFFFFFFF)


def array_fold(a: tuple[int, ...]) -> int:
    """How many of eight entries are above 3, weighted by their place."""
    total = 0
    for i in range(8):
        total = total + (i if a[i] > 3 else 0)
    return total


def decision_tree(a: int, b: int, c: int) -> int:
    """A tree of three levels."""
    if a < 10:
        if b < 5:
            return 0 if c < 3 else 1
        return 2 if c < 7 else 3
    if b < 15:
        return 4 if a + b < 20 else 5
    return 6 if c < 11 else 7


PLAN = tuple((3 * i + 1) % 4 for i in range(64))


def table_policy(row: int, col: int) -> int:
    """What a table says."""
    return PLAN[8 * row + col]


_GRID = "if col < 7 and row != 3 then 2 else if row < 7 and (col + row) mod 3 != 1 then 1 else if row > 0 then 3 else 0"
_TREE = """
    if a < 10 then if b < 5 then if c < 3 then 0 else 1 else if c < 7 then 2 else 3
    else if b < 15 then if a + b < 20 then 4 else 5 else if c < 11 then 6 else 7
"""
_SMALL = "state row: int 0..7 = 0 state col: int 0..7 = 0"
_PLACES = tuple((r, c) for r in range(8) for c in range(8))
ROWS = (
    Row(
        "grid policy",
        _machine(_SMALL, "int 0..3", f"policy {{ y = {_GRID} }}"),
        _PLACES,
        grid_policy,
        "col < 7 && row != 3 ? 2 : (row < 7 && (col + row) % 3 != 1 ? 1 : (row > 0 ? 3 : 0))",
        "2 if col < 7 and row != 3 else (1 if row < 7 and (col + row) % 3 != 1 else (3 if row > 0 else 0))",
    ),
    Row(
        "thermostat step",
        _machine(
            "state temp: int 0..40 = 0 state draught: int -1..1 = 0 state on: bool = false",
            "int 0..40",
            "policy { y = clamp(temp + draught + (if on then 2 else -1), 0, 40) }",
        ),
        tuple((t, d, o) for t in range(41) for d in (-1, 0, 1) for o in (False, True)),
        thermostat_step,
    ),
    Row(
        "32-bit trick",
        _machine("state x: bits[32] = 1", "bits[32]", "policy { y = x & (x - 1) }"),
        tuple((1103515245 * i % 2**32,) for i in range(1, 200)),
        lowest_bit_cleared,
    ),
    Row(
        "array fold",
        _machine(
            "state a: array[8] of int 0..7 = [for i in 0..7: 0]",
            "int 0..28",
            "policy { y = fold n = 0 for i in 0..7: n + (if a[i] > 3 then i else 0) }",
        ),
        tuple((tuple((i * k) % 8 for k in range(8)),) for i in range(50)),
        array_fold,
    ),
    Row(
        "decision tree",
        _machine(
            "state a: int 0..19 = 0 state b: int 0..19 = 0 state c: int 0..19 = 0",
            "int 0..7",
            f"policy {{ y = {_TREE} }}",
        ),
        tuple((a, b, c) for a in range(0, 20, 3) for b in range(0, 20, 3) for c in range(0, 20, 3)),
        decision_tree,
        "a < 10 ? (b < 5 ? (c < 3 ? 0 : 1) : (c < 7 ? 2 : 3)) : (b < 15 ? (a + b < 20 ? 4 : 5) : (c < 11 ? 6 : 7))",
        "((0 if c < 3 else 1) if b < 5 else (2 if c < 7 else 3)) if a < 10 else"
        " ((4 if a + b < 20 else 5) if b < 15 else (6 if c < 11 else 7))",
    ),
    Row(
        "table policy",
        _machine(
            _SMALL,
            "int 0..3",
            "table PLAN: array[64] of int 0..3 = [for i in 0..63: (3 * i + 1) mod 4]"
            " policy { y = PLAN[8 * row + col] }",
        ),
        _PLACES,
        table_policy,
        "PLAN[8 * row + col]",
    ),
)


# --- measuring -----------------------------------------------------------------------------------


def main() -> None:
    """Print the table."""
    print(
        "\nevaluation: time of one call, as a multiple of the same function written by hand in Python"
    )
    heads = ("by hand", "compiled", "with ticks", "interpreter", "cel-python", "simpleeval")
    print(f"  {'':<16}" + "".join(f"{h:>12}" for h in heads))
    for row in ROWS:
        seconds = measure(row)
        base = seconds["by hand"]
        shown = [f"{1e9 * base:.0f} ns"]
        for head in heads[1:]:
            shown.append(f"{seconds[head] / base:.2f}" if head in seconds else "-")
        print(f"  {row.name:<16}" + "".join(f"{x:>12}" for x in shown))


def measure(row: Row) -> dict[str, float]:
    """Seconds of one call in each column."""
    _, program = check_machine(parse_machine(row.machine))
    names = [v.name for v in program.task.states]
    (statement,) = program.policy.body
    plain = compile_expression(statement.value, program.names, names)
    counted = compile_expression(statement.value, program.names, names, counts=True)
    columns: dict[str, tuple[Callable[..., Any], int]] = {
        "by hand": (row.by_hand, CALLS),
        "compiled": (plain, CALLS),
        "with ticks": (counted, CALLS),
        "interpreter": (_interpreted(program, statement.value, names), INTERPRETED),
    }
    inputs: dict[str, Sequence[Any]] = dict.fromkeys(columns, row.inputs)
    if row.cel is not None:
        columns["cel-python"] = (_cel(row.cel), INTERPRETED)
        held = {"PLAN": celtypes.ListType(map(celtypes.IntType, PLAN))} if "PLAN" in row.cel else {}
        inputs["cel-python"] = [
            ({**held, **{n: celtypes.IntType(x) for n, x in zip(names, p, strict=True)}},)
            for p in row.inputs
        ]
    if row.simple is not None:
        columns["simpleeval"] = (_simple(row.simple, names), INTERPRETED)
        inputs["simpleeval"] = row.inputs
    for i, point in enumerate(row.inputs):
        expected = row.by_hand(*point)
        for head, (function, _) in columns.items():
            found = function(*inputs[head][i])
            if (found[0] if head == "with ticks" else found) != expected:
                raise SystemExit(f"{row.name}: {head} gives {found} at {point}, not {expected}")
    seconds = dict.fromkeys(columns, float("inf"))
    for _ in range(ROUNDS):
        for head, (function, calls) in columns.items():
            seconds[head] = min(seconds[head], _time(function, inputs[head], calls))
    return seconds


def _time(function: Callable[..., Any], inputs: Sequence[Any], calls: int) -> float:
    turns = max(1, calls // len(inputs))
    start = time.perf_counter()
    for _ in range(turns):
        for point in inputs:
            function(*point)
    return (time.perf_counter() - start) / (turns * len(inputs))


def _interpreted(program: Program, tree: s.Expr, names: list[str]) -> Callable[..., Any]:
    return lambda *point: evaluate(tree, program.names, dict(zip(names, point, strict=True)))[0]


def _cel(text: str) -> Callable[..., Any]:
    environment = celpy.Environment()
    runner = environment.program(environment.compile(text))
    return lambda point: int(runner.evaluate(point))


def _simple(text: str, names: list[str]) -> Callable[..., Any]:
    evaluator = SimpleEval()
    parsed = evaluator.parse(text)

    def call(*point: Any) -> Any:
        evaluator.names = dict(zip(names, point, strict=True))
        return evaluator.eval(text, previously_parsed=parsed)

    return call


if __name__ == "__main__":
    sys.exit(main())
