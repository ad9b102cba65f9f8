"""The second evaluator: the same values and ticks as the reference interpreter, and nothing of a file becomes Python."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice, product
from pathlib import Path
from random import Random

import pytest
from generators import VARIABLES, ExpressionMaker, base, random_point

from dsl import syntax as s
from dsl.check import check_code, check_machine
from dsl.compile import compile_expression, compile_program, compile_task
from dsl.interp import EvaluationFault, evaluate
from dsl.machine import Program, Task
from dsl.parser import parse_machine
from dsl.types import Bool, Int, Rat, Value, Variable, cardinality, values

HERE = Path(__file__).parent
PROGRAMS = sorted(
    [*(HERE / "programs").glob("*.godel"), *(HERE.parent / "examples").glob("*.godel")]
)
POINTS = 60


def machine_of(path: Path) -> tuple[Task, Program]:
    """A machine of the test-suite, checked."""
    return check_machine(parse_machine(path.read_text(encoding="utf-8")))


def points(rng: Random, variables: tuple[Variable, ...]) -> list[tuple[Value, ...]]:
    """Some joint values of finite variables: all of them where they are few."""
    sizes = [cardinality(v.type) for v in variables]
    count = 1
    for size in sizes:
        assert size is not None
        count *= size
    if count <= POINTS:
        return list(product(*(tuple(values(v.type)) for v in variables)))
    return [tuple(some_value(rng, v) for v in variables) for _ in range(POINTS)]


def some_value(rng: Random, variable: Variable) -> Value:
    """A random value of a finite type, however many it has."""
    size = cardinality(variable.type)
    assert size is not None
    if size > 10_000:
        kind = variable.type
        low = kind.low if isinstance(kind, Int) and kind.low is not None else 0
        return low + rng.randrange(size)
    return next(islice(values(variable.type), rng.randrange(size), None))


def finite(task: Task) -> bool:
    """Whether every state variable has finitely many values."""
    return all(cardinality(v.type) is not None for v in task.states)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_machines_step_and_decide_as_the_interpreter_says(path: Path) -> None:
    task, program = machine_of(path)
    if not finite(task):
        pytest.fail(f"{path.stem} has a state without end")
    rng = Random(path.stem)
    step, policies = compile_task(task), compile_program(program)
    unknowns = list(islice(task.unknown_values(), 4))
    for state in points(rng, task.states):
        memory = rng.choice(points(rng, program.memories))
        for name in program.policies:
            expected = program.act(state, memory, policy=name)
            assert policies.act(state, memory, policy=name) == expected
        known = rng.choice(unknowns)
        assert step.is_done(state, known) == task.is_done(state, known)
        for actions in points(rng, task.actions)[:4]:
            replies = task.replies(state, actions, known)
            assert step.replies(state, actions, known) == replies
            for reply in replies[:3]:
                expected_rows = task.outcomes(state, actions, known, reply)
                assert step.outcomes(state, actions, known, reply) == expected_rows
                drawn = list(task.draws(state, actions, known, reply))
                assert step.draws(state, actions, known, reply) == drawn


@pytest.mark.parametrize("seed", range(8))
def test_random_expressions_have_the_same_value_and_ticks(seed: int) -> None:
    rng = Random(seed)
    task, _ = base()
    names = [v.name for v in VARIABLES]
    compared = 0
    for _ in range(60):
        kind = rng.choice([Int(), Rat(), Bool()])
        expr = ExpressionMaker(rng, task.names).make(kind, 4, {v.name: v.type for v in VARIABLES})
        counted = compile_expression(expr, task.names, names, counts=True)
        plain = compile_expression(expr, task.names, names)
        for _ in range(5):
            point = random_point(rng)
            try:
                expected = evaluate(expr, task.names, point)
            except EvaluationFault:
                continue
            found = counted(*(point[n] for n in names))
            assert found == expected
            assert type(found[0]) is type(expected[0]) or isinstance(found[0], int | Fraction)
            assert plain(*(point[n] for n in names)) == expected[0]
            compared += 1
    assert compared > 100


def test_names_that_mean_something_in_python_are_only_names() -> None:
    text = """
    machine names
    enum __import__ { None_, lambda_, exec }
    const eval = 3
    def min_(print: int): int = print + eval
    environment {
      state os: int 0..3 = 0
      state found: int 0..3 = 1
      action ticks: bool
      os'    = min(3, min_(0))
      found' = if ticks then 0 else found
      reward = os' + found'
    }
    utility { discount 1/2 }
    agent {
      def import_(def_: int): bool = def_ > eval - 3
      policy { let weight = found ticks = import_(weight) }
    }
    """
    task, program = check_machine(parse_machine(text))
    for state in product(range(4), range(4)):
        assert compile_program(program).act(state) == program.act(state)
        for actions in ((True,), (False,)):
            assert compile_task(task).outcomes(state, actions) == task.outcomes(state, actions)


def test_loops_may_nest_deeper_than_python_allows() -> None:
    body = "x"
    for i in range(40):
        body = f"(fold a{i} = 0 for i{i} in 0..0: a{i} + {body})"
    text = f"""
    machine deep
    environment {{
      state x: int 0..3 = 0
      action go: int 0..3
      reward = go
    }}
    utility {{ discount 1/2 }}
    agent {{ policy {{ go = clamp({body}, 0, 3) }} }}
    """
    _, program = check_machine(parse_machine(text))
    for x in range(4):
        assert compile_program(program).act((x,)) == program.act((x,))


def test_many_draws_may_follow_each_other() -> None:
    chances = "\n".join(f"chance c{i}: int 0..3 = {{ x: 1 }}" for i in range(60))
    total = " + ".join(f"c{i}" for i in range(60))
    text = f"""
    machine draws
    environment {{
      state x: int 0..3 = 1
      action go: bool
      {chances}
      reward = {total}
    }}
    utility {{ discount 1/2 }}
    agent {{ policy {{ go = true }} }}
    """
    task, _ = check_machine(parse_machine(text))
    for x in range(4):
        assert compile_task(task).outcomes((x,), (True,)) == task.outcomes((x,), (True,))


def test_prices_of_operations_are_charged_alike() -> None:
    text = """
    machine charges
    environment {
      state x: int 0..9 = 1
      action go: int 0..9
      reward = go
    }
    utility {
      discount 1/2
      costs { "*": 7, "if": 0, "<": 3, "min": 2, "call": 5, "fold": 4, "let": 6, "and": 9 }
    }
    agent {
      def twice(n: int): int = if n < 5 and 1 < n < 4 then 2 * n else n
      policy {
        let sum = fold acc = 0 for i in 0..3: acc + i * x
        go = min(9, twice(x), abs(sum))
      }
    }
    """
    _, program = check_machine(parse_machine(text))
    seen = set()
    for x in range(10):
        decision = program.act((x,))
        assert compile_program(program).act((x,)) == decision
        seen.add(decision.ticks)
    assert len(seen) > 2


def test_a_program_is_compiled_once() -> None:
    task, program = machine_of(HERE.parent / "examples" / "thermostat.godel")
    assert compile_program(program) is compile_program(program)
    assert compile_task(task) is compile_task(task)
    again = check_code(task, s.Code(program.code.slots))
    assert compile_program(again) is not compile_program(program)
