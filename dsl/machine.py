"""What a machine does: its world step by step, and the programs that act in it.

A world is one choice of every `any` start and every unknown. Rational unknowns, and the rates that an adversary chooses, stay
names here: weights and rewards that read them are polynomials (`dsl.polynomial.Weight`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any, TypeAlias

from dsl import syntax as s
from dsl.interp import Evaluator, Globals, Locals, require_range
from dsl.polynomial import Polynomial, Weight
from dsl.types import Type, Value, Variable, values

StateTuple: TypeAlias = tuple[Value, ...]
ActionTuple: TypeAlias = tuple[Value, ...]
MemoryTuple: TypeAlias = tuple[Value, ...]
UnknownTuple: TypeAlias = tuple[Value, ...]
"""Values of the finite unknowns, in declared order."""
ReplyTuple: TypeAlias = tuple[Value, ...]
"""Values of the finite adversaries, in declared order."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One draw of chance: its weight, the reward of the step, and the state it leads to."""

    weight: Weight
    reward: Weight
    successor: StateTuple


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy decides in one step: the actions, the memory it keeps, and the ticks that took."""

    actions: ActionTuple
    memory: MemoryTuple
    ticks: int


@dataclass(frozen=True, slots=True)
class World:
    """One choice of everything that is open: `any` starts, finite and rational unknowns, each in declared order."""

    starts: tuple[Value, ...] = ()
    unknowns: UnknownTuple = ()
    rationals: tuple[Fraction, ...] = ()


@dataclass(frozen=True, slots=True)
class Assumption:
    """`difference >= 0`, or `difference == 0` where `exact`; affine in the rational unknowns."""

    difference: Weight
    exact: bool


@dataclass(frozen=True, slots=True)
class Always:
    """`holds` in every state that is reached; with `of_step`, which reads actions or next values, at every step taken."""

    name: str
    holds: s.Expr
    of_step: bool


@dataclass(frozen=True, slots=True)
class Reach:
    """From every reachable state with `source`, switching to `policy` reaches `goal` in at most `steps` steps."""

    name: str
    steps: int
    goal: s.Expr
    source: s.Expr
    policy: str


Requirement: TypeAlias = Always | Reach


@dataclass(frozen=True, slots=True)
class UtilityValues:
    """The declared utility. With a horizon, `discount` is 1 and the horizon counts steps. `costs` overrides ticks by
    operation."""

    discount: Fraction
    horizon: int | None
    tick_price: Fraction
    size_price: Fraction
    better: str
    costs: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Task:
    """A checked world with its utility and requirements: everything declared, in the order in which a step evaluates it.

    `names` is what the environment may read, `shared` what code may read. `plan` holds lets, draws and next values so
    that each stands behind what it reads. `unknowns` and `adversaries` are the finite ones, `rationals` the rational
    unknowns, `rates` the rational adversaries. `adversary_conditions` and `start_conditions` are the `where`s.
    """

    declarations: s.Declarations
    digest: str
    names: Globals
    shared: Globals
    states: tuple[Variable, ...]
    starts: tuple[s.Expr | s.Dist | s.AnyStart, ...]
    observed: tuple[Variable, ...]
    actions: tuple[Variable, ...]
    chances: tuple[Variable, ...]
    plan: tuple[s.Define | s.Chance | s.Next, ...]
    reward: s.Expr
    done: s.Expr | None
    utility: UtilityValues
    unknowns: tuple[Variable, ...] = ()
    rationals: tuple[Variable, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    adversaries: tuple[Variable, ...] = ()
    rates: tuple[Variable, ...] = ()
    adversary_conditions: tuple[s.Expr, ...] = ()
    start_conditions: tuple[s.Expr, ...] = ()
    requirements: tuple[Requirement, ...] = ()

    # --- worlds and starts -----------------------------------------------------------------------

    @property
    def any_states(self) -> tuple[Variable, ...]:
        """The state variables that start anywhere."""
        pairs = zip(self.states, self.starts, strict=True)
        return tuple(v for v, start in pairs if isinstance(start, s.AnyStart))

    def unknown_values(self) -> Iterator[UnknownTuple]:
        """Every joint value of the finite unknowns, in order; one empty one where there are none."""
        return product(*(tuple(values(v.type)) for v in self.unknowns))

    def any_starts(self, unknowns: UnknownTuple = ()) -> Iterator[tuple[Value, ...]]:
        """Every joint value of the `any` variables that meets the conditions; one empty one where there are none."""
        names = [v.name for v in self.any_states]
        evaluator, known = Evaluator(self.names), self._constants(unknowns)
        for point in product(*(tuple(values(v.type)) for v in self.any_states)):
            local = {**known, **dict(zip(names, point, strict=True))}
            if all(evaluator.value(condition, local) for condition in self.start_conditions):
                yield point

    def start_states(
        self, anywhere: tuple[Value, ...] = (), unknowns: UnknownTuple = ()
    ) -> tuple[tuple[StateTuple, Weight], ...]:
        """The states an episode starts in, given the `any` variables, with their weights; these sum to 1."""
        chosen = dict(zip((v.name for v in self.any_states), anywhere, strict=True))
        weights: dict[StateTuple, Weight] = {}
        local = {**self._constants(unknowns), **chosen}
        for state, weight in self._draw_starts(0, local, Fraction(1)):
            weights[state] = weights.get(state, Fraction(0)) + weight
        return tuple(weights.items())

    def _draw_starts(
        self, index: int, local: Locals, weight: Weight
    ) -> Iterator[tuple[StateTuple, Weight]]:
        if index == len(self.states):
            yield tuple(local[v.name] for v in self.states), weight
            return
        variable, start = self.states[index], self.starts[index]
        evaluator = Evaluator(self.names)
        drawn: tuple[tuple[Any, Weight], ...]
        if isinstance(start, s.AnyStart):
            drawn = ((local[variable.name], Fraction(1)),)
        elif isinstance(start, s.DIST_NODES):
            drawn = evaluator.distribution(start, local)
        else:
            drawn = ((evaluator.value(start, local), Fraction(1)),)
        for value, w in drawn:
            require_range(variable.type, value, f"the start of {variable.name}", start)
            yield from self._draw_starts(index + 1, {**local, variable.name: value}, weight * w)

    # --- one step --------------------------------------------------------------------------------

    def is_done(self, state: StateTuple, unknowns: UnknownTuple = ()) -> bool:
        """Whether the episode has ended in this state."""
        if self.done is None:
            return False
        return bool(Evaluator(self.names).value(self.done, self._locals(state, unknowns)))

    def replies(
        self, state: StateTuple, actions: ActionTuple, unknowns: UnknownTuple = ()
    ) -> tuple[ReplyTuple, ...]:
        """What the adversary may choose: joint values of the finite adversaries that meet the conditions."""
        if not self.adversaries:
            return ((),)
        evaluator, local = Evaluator(self.names), self._step_locals(state, actions, unknowns)
        names = [v.name for v in self.adversaries]
        found: list[ReplyTuple] = []
        for reply in product(*(tuple(values(v.type)) for v in self.adversaries)):
            local.update(zip(names, reply, strict=True))
            if all(evaluator.value(condition, local) for condition in self.adversary_conditions):
                found.append(reply)
        return tuple(found)

    def outcomes(
        self,
        state: StateTuple,
        actions: ActionTuple,
        unknowns: UnknownTuple = (),
        reply: ReplyTuple = (),
    ) -> tuple[Outcome, ...]:
        """Every draw of chance in one step whose weight is not identically 0; rewards are without ticks.

        Draws that agree on reward and successor are one outcome.
        """
        weights: dict[tuple[Weight, StateTuple], Weight] = {}
        for _, weight, reward, successor in self.draws(state, actions, unknowns, reply):
            key = (reward, successor)
            weights[key] = weights.get(key, Fraction(0)) + weight
        return tuple(Outcome(w, r, x) for (r, x), w in weights.items() if w != 0)

    def draws(
        self,
        state: StateTuple,
        actions: ActionTuple,
        unknowns: UnknownTuple = (),
        reply: ReplyTuple = (),
    ) -> Iterator[tuple[tuple[Value, ...], Weight, Weight, StateTuple]]:
        """Each joint value of the chance variables, its weight, the reward and the next state."""
        local = self._step_locals(state, actions, unknowns)
        local.update(zip((v.name for v in self.adversaries), reply, strict=True))
        for drawn, weight in self._step(0, local, Fraction(1)):
            found = tuple(drawn[v.name] for v in self.chances)
            reward = Evaluator(self.names).value(self.reward, drawn)
            if not isinstance(reward, Polynomial):
                reward = Fraction(reward)
            yield found, weight, reward, tuple(drawn[v.name + "'"] for v in self.states)

    def _step(self, index: int, local: Locals, weight: Weight) -> Iterator[tuple[Locals, Weight]]:
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

    # --- requirements ----------------------------------------------------------------------------

    def holds(self, condition: s.Expr, state: StateTuple, unknowns: UnknownTuple = ()) -> bool:
        """Whether a condition over states holds in one."""
        return bool(Evaluator(self.names).value(condition, self._locals(state, unknowns)))

    def holds_at_step(
        self,
        condition: s.Expr,
        state: StateTuple,
        actions: ActionTuple,
        successor: StateTuple,
        unknowns: UnknownTuple = (),
    ) -> bool:
        """Whether a condition over states, actions and next values holds of a step."""
        local = self._step_locals(state, actions, unknowns)
        local.update((v.name + "'", x) for v, x in zip(self.states, successor, strict=True))
        return bool(Evaluator(self.names).value(condition, local))

    # --- names -----------------------------------------------------------------------------------

    def _constants(self, unknowns: UnknownTuple) -> Locals:
        local: Locals = dict(zip((v.name for v in self.unknowns), unknowns, strict=True))
        for v in (*self.rationals, *self.rates):
            local[v.name] = Polynomial.variable(v.name)
        return local

    def _locals(self, state: StateTuple, unknowns: UnknownTuple) -> Locals:
        local = self._constants(unknowns)
        local.update(zip((v.name for v in self.states), state, strict=True))
        return local

    def _step_locals(
        self, state: StateTuple, actions: ActionTuple, unknowns: UnknownTuple
    ) -> Locals:
        local = self._locals(state, unknowns)
        local.update(zip((v.name for v in self.actions), actions, strict=True))
        return local

    @staticmethod
    def _type_of(name: str, variables: tuple[Variable, ...]) -> Type:
        return next(v.type for v in variables if v.name == name)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Program:
    """Checked code: what it may read, its policies by name, its memory, and its size in nodes. `main` is the one that acts."""

    code: s.Code
    digest: str
    size: int
    names: Globals
    policies: Mapping[str, s.Policy]
    task: Task
    memories: tuple[Variable, ...] = ()
    memory_start: MemoryTuple = ()

    @property
    def policy(self) -> s.Policy:
        """The policy that acts."""
        return self.policies["main"]

    def act(
        self, state: StateTuple, memory: MemoryTuple | None = None, *, policy: str = "main"
    ) -> Decision:
        """What is decided in a state with a memory, which is the start of the memory where it is left out."""
        local = dict(zip((v.name for v in self.task.states), state, strict=True))
        observed = {v.name: local[v.name] for v in self.task.observed}
        return self.decide(observed, memory, policy=policy)

    def decide(
        self,
        observed: Mapping[str, Value],
        memory: MemoryTuple | None = None,
        *,
        policy: str = "main",
    ) -> Decision:
        """What is decided for the observed variables; a policy `let` costs the price of a `let` and its value."""
        local: dict[str, Any] = dict(observed)
        kept = self.memory_start if memory is None else memory
        local.update(zip((v.name for v in self.memories), kept, strict=True))
        following = {v.name: local[v.name] for v in self.memories}
        evaluator = Evaluator(self.names)
        kinds = {v.name: v.type for v in (*self.task.actions, *self.memories)}
        for statement in self.policies[policy].body:
            name, value = statement.name, evaluator.value(statement.value, local)
            match statement:
                case s.Define():
                    evaluator.charge("let")
                    local[name] = value
                case s.Assign():
                    require_range(kinds[name], value, f"action {name}", statement.value)
                    local[name] = value
                case s.Next():
                    require_range(kinds[name], value, f"{name}'", statement.value)
                    following[name] = local[name + "'"] = value
        actions = tuple(local[v.name] for v in self.task.actions)
        return Decision(actions, tuple(following.values()), evaluator.ticks)
