"""What a machine does: its world step by step, and the programs that act in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from dsl import syntax as s
from dsl.interp import Evaluator, Globals, Locals, require_range
from dsl.types import Type, Value, Variable

StateTuple: TypeAlias = tuple[Value, ...]
ActionTuple: TypeAlias = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One draw of chance: its weight, the reward of the step, and the state it leads to."""

    weight: Fraction
    reward: Fraction
    successor: StateTuple


@dataclass(frozen=True, slots=True)
class UtilityValues:
    """The declared utility. With a horizon, `discount` is 1 and the horizon counts steps."""

    discount: Fraction
    horizon: int | None
    tick_price: Fraction
    size_price: Fraction
    better: str


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Task:
    """A checked world with its utility: everything declared, in the order in which a step evaluates it.

    `names` is what the environment may read, `shared` what code may read. `plan` holds lets, draws and next values so
    that each stands behind what it reads.
    """

    declarations: s.Declarations
    digest: str
    names: Globals
    shared: Globals
    states: tuple[Variable, ...]
    starts: tuple[s.Expr | s.Dist, ...]
    observed: tuple[Variable, ...]
    actions: tuple[Variable, ...]
    chances: tuple[Variable, ...]
    plan: tuple[s.Define | s.Chance | s.Next, ...]
    reward: s.Expr
    done: s.Expr | None
    utility: UtilityValues

    def start_states(self) -> tuple[tuple[StateTuple, Fraction], ...]:
        """The states an episode starts in, with their weights; these sum to 1."""
        weights: dict[StateTuple, Fraction] = {}
        for state, weight in self._draw_starts(0, {}, Fraction(1)):
            weights[state] = weights.get(state, Fraction(0)) + weight
        return tuple(weights.items())

    def _draw_starts(
        self, index: int, local: Locals, weight: Fraction
    ) -> Iterator[tuple[StateTuple, Fraction]]:
        if index == len(self.states):
            yield tuple(local[v.name] for v in self.states), weight
            return
        variable, start = self.states[index], self.starts[index]
        evaluator = Evaluator(self.names)
        if isinstance(start, s.DIST_NODES):
            drawn = evaluator.distribution(start, local)
        else:
            drawn = ((evaluator.value(start, local), Fraction(1)),)
        for value, w in drawn:
            require_range(variable.type, value, f"the start of {variable.name}", start)
            yield from self._draw_starts(index + 1, {**local, variable.name: value}, weight * w)

    def is_done(self, state: StateTuple) -> bool:
        """Whether the episode has ended in this state."""
        if self.done is None:
            return False
        return bool(Evaluator(self.names).value(self.done, self._locals(state)))

    def outcomes(self, state: StateTuple, actions: ActionTuple) -> tuple[Outcome, ...]:
        """Every draw of chance of positive weight in one step; rewards are without ticks.

        Draws that agree on reward and successor are one outcome.
        """
        weights: dict[tuple[Fraction, StateTuple], Fraction] = {}
        for _, weight, reward, successor in self.draws(state, actions):
            key = (reward, successor)
            weights[key] = weights.get(key, Fraction(0)) + weight
        return tuple(Outcome(w, r, x) for (r, x), w in weights.items())

    def draws(
        self, state: StateTuple, actions: ActionTuple
    ) -> Iterator[tuple[tuple[Value, ...], Fraction, Fraction, StateTuple]]:
        """Each joint value of the chance variables, its weight, the reward and the next state."""
        local = self._locals(state)
        local.update(zip((v.name for v in self.actions), actions, strict=True))
        for drawn, weight in self._step(0, local, Fraction(1)):
            values = tuple(drawn[v.name] for v in self.chances)
            reward = Fraction(Evaluator(self.names).value(self.reward, drawn))
            yield values, weight, reward, tuple(drawn[v.name + "'"] for v in self.states)

    def _step(
        self, index: int, local: Locals, weight: Fraction
    ) -> Iterator[tuple[Locals, Fraction]]:
        evaluator = Evaluator(self.names)
        while index < len(self.plan):
            item = self.plan[index]
            index += 1
            if isinstance(item, s.Chance):
                kind = self._type_of(item.name, self.chances)
                for value, w in evaluator.distribution(item.dist, local):
                    require_range(kind, value, item.name, item.dist)
                    yield from self._step(index, {**local, item.name: value}, weight * w)
                return
            value = evaluator.value(item.value, local)
            if isinstance(item, s.Next):
                kind = self._type_of(item.name, self.states)
                require_range(kind, value, f"{item.name}'", item.value)
                local[item.name + "'"] = value
            else:
                local[item.name] = value
        yield local, weight

    def _locals(self, state: StateTuple) -> Locals:
        return dict(zip((v.name for v in self.states), state, strict=True))

    @staticmethod
    def _type_of(name: str, variables: tuple[Variable, ...]) -> Type:
        return next(v.type for v in variables if v.name == name)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Program:
    """Checked code: what it may read, its policy, and its size in nodes."""

    code: s.Code
    digest: str
    size: int
    names: Globals
    policy: s.Policy
    task: Task

    def act(self, state: StateTuple) -> tuple[ActionTuple, int]:
        """The actions taken in a state, and the ticks that takes."""
        local = self.task._locals(state)
        return self.decide({v.name: local[v.name] for v in self.task.observed})

    def decide(self, observed: Mapping[str, Value]) -> tuple[ActionTuple, int]:
        """The actions for the observed variables, and the ticks; a policy `let` costs 1 and its value."""
        local: dict[str, Any] = dict(observed)
        evaluator = Evaluator(self.names)
        kinds = {v.name: v.type for v in self.task.actions}
        for statement in self.policy.body:
            value = evaluator.value(statement.value, local)
            if isinstance(statement, s.Define):
                evaluator.ticks += 1
            else:
                what = f"action {statement.name}"
                require_range(kinds[statement.name], value, what, statement.value)
            local[statement.name] = value
        return tuple(local[v.name] for v in self.task.actions), evaluator.ticks
