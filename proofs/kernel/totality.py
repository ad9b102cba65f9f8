"""Prove that every expression of a machine has a value, for all rational unknowns that meet the assumptions and all rates.

What is demanded of each expression is in `dsl.totality`, what is known of weights in `dsl.weights`; besides, adversaries
have a choice, and worlds a start.
"""

from __future__ import annotations

from collections.abc import Iterable

from dsl import syntax as s
from dsl.interp import Function, Globals
from dsl.intervals import Intervals
from dsl.machine import Always, Program, Task
from dsl.ranges import Abstract
from dsl.totality import Broken, Gap, Prover, Unproved
from dsl.types import Variable, cardinality, contains
from dsl.weights import KnownWeights

__all__ = ["Broken", "Gap", "Unproved", "find_gaps_in_code", "find_gaps_in_declarations"]

# --- what is demanded ----------------------------------------------------------------------------


def find_gaps_in_declarations(task: Task) -> list[Gap]:
    """What is not proved of the declarations; empty if they are total."""
    weights = KnownWeights(task)
    gaps, shared = _function_gaps(task.names, task.names.functions.values(), {})
    primed = tuple(Variable(v.name + "'", v.type) for v in task.states)

    def prover(*free: Variable) -> Prover:
        return Prover(shared, (*task.unknowns, *free), weights)

    gaps += _start_gaps(task, prover(*task.any_states))
    step = prover(*task.states, *task.actions, *task.adversaries)
    no_choice = "G064", "the adversary may have no choice"
    gaps += _choice_gaps(step, task.adversaries, task.adversary_conditions, no_choice)
    kinds = {v.name: v.type for v in (*primed, *task.chances)}
    for item in task.plan:
        name = item.name + ("'" if isinstance(item, s.Next) else "")
        if isinstance(item, s.Chance):
            gaps += step.settle(name, item.dist, kinds[name])
            step.draw(name, item.dist, kinds[name])
        else:
            gaps += step.settle(name, item.value, kinds.get(name), name)
    gaps += step.settle("reward", task.reward, None)
    if task.done is not None:
        gaps += prover(*task.states).settle("done", task.done, None)
    for r in task.requirements:
        free = (*task.states, *task.actions, *primed)
        for part in (r.holds,) if isinstance(r, Always) else (r.goal, r.source):
            gaps += prover(*free).settle(f"the requirement {r.name}", part, None)
    return gaps


def _start_gaps(task: Task, prover: Prover) -> list[Gap]:
    no_start = "G065", "there may be no start"
    gaps = _choice_gaps(prover, task.any_states, task.start_conditions, no_start)
    for variable, start in zip(task.states, task.starts, strict=True):
        what = f"the start of {variable.name}"
        if isinstance(start, s.DIST_NODES):
            gaps += prover.settle(what, start, variable.type)
            prover.draw(variable.name, start, variable.type)
        elif not isinstance(start, s.AnyStart):
            gaps += prover.settle(what, start, variable.type, variable.name)
    return gaps


def _choice_gaps(
    prover: Prover,
    chosen: tuple[Variable, ...],
    conditions: tuple[s.Expr, ...],
    missing: tuple[str, str],
) -> list[Gap]:
    """Gaps of conditions, and where nothing meets them; what is proved later may take it that they are met."""
    gaps = [gap for c in conditions for gap in prover.settle("the condition", c, None)]
    prover.choose(chosen, conditions)
    return gaps or prover.find_no_choice(*missing)


def find_gaps_in_code(program: Program) -> list[Gap]:
    """What is not proved of a program; empty if it is total. Declared functions are not looked at again."""
    declared = program.task.shared.functions
    own = [f for name, f in program.names.functions.items() if name not in declared]
    gaps, shared = _function_gaps(program.names, own, {})
    kinds = {v.name: v.type for v in program.task.actions}
    kinds.update({v.name + "'": v.type for v in program.memories})
    for variable, start in zip(program.memories, program.memory_start, strict=True):
        if not contains(variable.type, start):
            node = program.code.slot(variable.name) or program.code
            gaps.append(Broken("G012", f"{variable.name} starts out of its range", node, ()))
    for policy in program.policies.values():
        prover = Prover(shared, (*program.task.observed, *program.memories), None)
        for statement in policy.body:
            name = statement.name + ("'" if isinstance(statement, s.Next) else "")
            what = f"action {name}" if isinstance(statement, s.Assign) else name
            gaps += prover.settle(what, statement.value, kinds.get(name), name)
    return gaps


def _function_gaps(
    names: Globals, functions: Iterable[Function], results: dict[str, Abstract]
) -> tuple[list[Gap], Intervals]:
    """The gaps of functions; what is found out about them serves those that call them."""
    gaps: list[Gap] = []
    intervals = Intervals(names, results)
    for function in functions:
        prover = Prover(intervals, function.parameters, None)
        what = f"the result of {function.name}"
        found = prover.settle(what, function.body, function.result, what)
        gaps += found
        finite = all(cardinality(p.type) is not None for p in function.parameters)
        known = prover.whole.known.get(what)
        if finite and not found and known is not None:
            results[function.name] = known
    return gaps, intervals
