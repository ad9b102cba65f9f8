"""Work out starts: report where one has no value, where there are too many, or none at all."""

from __future__ import annotations

from itertools import islice

from dsl import syntax as s
from dsl.infer import Faults
from dsl.interp import EvaluationFault
from dsl.machine import STARTS_MAX, Task, UnknownTuple
from dsl.types import Value, show_value

POINTS_MAX = 100_000
"""Up to how many joint values of `any` variables and finite unknowns are tried to find a start."""
WORLDS_TRIED = 1_000
"""In how many worlds the starts are worked out here; in the others they are for the kernel to prove."""


def check_starts(task: Task, faults: Faults) -> None:
    """Report what is wrong with the starts of the first worlds, and unknowns for which no start meets the conditions.

    Nothing is tried where `any` variables and finite unknowns have too many joint values.
    """
    count = task.any_count
    if count is None or count * task.unknown_count > POINTS_MAX:
        return
    worlds = drawn = 0
    try:
        for unknowns in task.unknown_values():
            found = False
            for anywhere in task.any_starts(unknowns):
                found = True
                if worlds > WORLDS_TRIED or drawn > STARTS_MAX:
                    break
                here = _count_draws(task, anywhere, unknowns)
                if here > STARTS_MAX:
                    message = f"more than {STARTS_MAX:,} possible starts"
                    faults.add("G003", message, task.declarations.environment, name=0)
                    return
                worlds, drawn = worlds + 1, drawn + here
            if not found:
                _report_none(task, unknowns, faults)
                return
    except EvaluationFault as fault:
        faults.add(fault.code, fault.message, fault.node, note=fault.met)


def _count_draws(task: Task, anywhere: tuple[Value, ...], unknowns: UnknownTuple) -> int:
    """How many starts one world draws, counted up to one too many."""
    return sum(1 for _ in islice(task.start_draws(anywhere, unknowns), STARTS_MAX + 1))


def _report_none(task: Task, unknowns: UnknownTuple, faults: Faults) -> None:
    states = [i for i in task.declarations.environment.items if isinstance(i, s.State)]
    anywhere = [i.start for i in states if isinstance(i.start, s.AnyStart)]
    conditions = [start.where for start in anywhere if start.where is not None]
    pairs = zip(task.unknowns, unknowns, strict=True)
    shown = ", ".join(f"{v.name} = {show_value(v.type, x)}" for v, x in pairs)
    message = (
        "no start meets the conditions" if len(conditions) > 1 else "no start meets the condition"
    )
    faults.add("G065", message, conditions[-1], note=f"at {shown}" if shown else "")
