"""What a program decides, situation by situation, and what else it would do if its actions were other ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from dsl import syntax as s
from dsl.compile import compile_program
from dsl.interp import EvaluationFault, Evaluator, Locals, require_range
from dsl.machine import ActionTuple, Decision, MemoryTuple, Program, StateTuple
from dsl.scope import names_read
from dsl.types import Value, Variable, show_value

Situation: TypeAlias = tuple[Value, ...]
"""What the policy `main` goes by: the values of the observed variables, then those of its memory."""


class Decisions:
    """The decisions of the policy `main`, remembered."""

    def __init__(self, program: Program) -> None:
        task = program.task
        self.program = program
        self.observed = task.observed
        self.variables: tuple[Variable, ...] = (*task.observed, *program.memories)
        self.actions = tuple(v.name for v in task.actions)
        self._compiled = compile_program(program)
        self._places = [task.states.index(v) for v in task.observed]
        self._width = len(task.states)
        self._follows = _reads_actions(program)
        self._found: dict[Situation, Decision] = {}

    def situation(self, state: StateTuple, memory: MemoryTuple) -> Situation:
        """What the policy goes by in a state with a memory."""
        return (*(state[p] for p in self._places), *memory)

    def at(self, situation: Situation) -> Decision:
        """What is decided."""
        found = self._found.get(situation)
        if found is None:
            state: list[Value] = [0] * self._width
            for place, value in zip(self._places, situation, strict=False):
                state[place] = value
            memory = situation[len(self._places) :]
            found = self._found[situation] = self._compiled.act(tuple(state), memory)
        return found

    def forced(self, situation: Situation, actions: ActionTuple) -> Decision | None:
        """What would be kept in memory, and at which ticks, if the actions were these; None where that is not total."""
        found = self.at(situation)
        if actions == found.actions:
            return found
        if not self._follows:
            return Decision(actions, found.memory, found.ticks)
        return self.run(situation, dict(zip(self.actions, actions, strict=True)))

    def run(self, situation: Situation, forced: Mapping[str, Value]) -> Decision | None:
        """What is decided where some actions are forced; None where that is not total."""
        program = self.program
        local, evaluator = self.named(situation), Evaluator(program.names)
        following = {v.name: local[v.name] for v in program.memories}
        kinds = {v.name: v.type for v in (*program.task.actions, *program.memories)}
        try:
            for statement in program.policy.body:
                name, value = statement.name, evaluator.value(statement.value, local)
                match statement:
                    case s.Define():
                        evaluator.charge("let")
                        local[name] = value
                    case s.Assign():
                        local[name] = forced.get(name, value)
                        require_range(kinds[name], local[name], name, statement.value)
                    case s.Next():
                        require_range(kinds[name], value, name, statement.value)
                        following[name] = local[name + "'"] = value
        except EvaluationFault:
            return None
        actions = tuple(local[name] for name in self.actions)
        return Decision(actions, tuple(following.values()), evaluator.ticks)

    def named(self, situation: Situation) -> Locals:
        """The names of a situation with their values."""
        return {v.name: x for v, x in zip(self.variables, situation, strict=True)}

    def show(self, situation: Situation) -> str:
        """A situation, or the observed part of one, in words."""
        pairs = zip(self.variables, situation, strict=False)
        return ", ".join(f"{v.name} = {show_value(v.type, x)}" for v, x in pairs)


def _reads_actions(program: Program) -> bool:
    """Whether a line of the policy reads an action that a line above assigns."""
    actions = {v.name for v in program.task.actions}
    return any(names_read(statement.value) & actions for statement in program.policy.body)
