"""Check requirements: what they read, how many steps they give."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from dsl import syntax as s
from dsl.elaborate import elaborate
from dsl.machine import Always, Reach, Requirement
from dsl.scope import SCALAR_MAX, ScopeBuilder, names_read
from dsl.types import Bool, Int, Variable

_STATE = "a requirement of states reads states and finite unknowns"
_STEP = "a requirement reads states, actions, next values and finite unknowns"


class Named(Protocol):
    """The variables that requirements may read."""

    @property
    def states(self) -> tuple[Variable, ...]: ...
    @property
    def unknowns(self) -> tuple[Variable, ...]: ...
    @property
    def actions(self) -> tuple[Variable, ...]: ...
    @property
    def next_values(self) -> tuple[Variable, ...]: ...


@dataclass(frozen=True, slots=True)
class Checked:
    """A requirement without faults, and the scope that it is read in."""

    requirement: Requirement
    place: ScopeBuilder

    def elaborated(self) -> Requirement:
        """The requirement with its operations on bits made explicit."""
        match self.requirement:
            case Always(name, holds, of_step):
                return Always(name, elaborate(self.place, holds, Bool(), {}), of_step)
            case Reach(name, steps, goal, source, policy):
                at_goal = elaborate(self.place, goal, Bool(), {})
                return Reach(
                    name, steps, at_goal, elaborate(self.place, source, Bool(), {}), policy
                )


def check_requirements(
    items: tuple[s.Requirement, ...],
    place: Callable[[Iterable[Variable], str], ScopeBuilder],
    named: Named,
) -> list[Checked]:
    """The requirements in order; `place` makes the scope that reads some variables. Faults are reported."""
    if not items:
        return []
    of_states = place((*named.states, *named.unknowns), _STATE)
    of_steps = place((*named.states, *named.unknowns, *named.actions, *named.next_values), _STEP)
    decided = {v.name for v in (*named.actions, *named.next_values)}
    found: list[Checked] = []
    met: set[str] = set()
    for item in items:
        if item.name in met:
            message = f"{item.name} is already the name of a requirement"
            of_states.faults.add("G007", message, item, name=0)
        met.add(item.name)
        if isinstance(item, s.Always):
            of_step = bool(names_read(item.holds) & decided)
            _condition(of_steps, item.holds, "what always holds")
            found.append(Checked(Always(item.name, item.holds, of_step), of_steps))
            continue
        _condition(of_states, item.goal, "what is reached")
        _condition(of_states, item.source, "where it is reached from")
        steps = _steps(of_states, item)
        if steps is not None:
            reach = Reach(item.name, steps, item.goal, item.source, item.policy)
            found.append(Checked(reach, of_states))
    return found


def _condition(place: ScopeBuilder, condition: s.Expr, what: str) -> None:
    before = len(place.faults.found)
    if place.expect(condition, Bool(), {}, what) and len(place.faults.found) == before:
        place.bounded_work(condition, {}, "this requirement")


def _steps(place: ScopeBuilder, item: s.Reach) -> int | None:
    if not place.constant(item.steps, Int(), "the number of steps"):
        return None
    steps = place.constant_value(item.steps)
    if steps is None:
        return None
    if not 1 <= steps <= SCALAR_MAX:
        message = f"the number of steps must be at least 1, found {steps}"
        if steps > SCALAR_MAX:
            message = "the number of steps must be at most 2^64"
        place.faults.add("G056", message, item.steps)
        return None
    return int(steps)
