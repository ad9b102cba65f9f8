"""What a machine does: its world step by step, and the programs that act in it.

A world is one choice of every `any` start and every unknown. Rational unknowns, and the rates that an adversary chooses,
stay names here: weights and rewards that read them are polynomials (`dsl.polynomial.Weight`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from typing import Any, TypeAlias

from dsl import syntax as s
from dsl.interp import EvaluationFault, Evaluator, Globals, Locals, require_range
from dsl.polynomial import Polynomial, Weight
from dsl.types import Bool, Type, Value, Variable, cardinality, values

STARTS_MAX = 100_000
"""How many starts one world may draw."""

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
    _ready: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    # --- worlds and starts -----------------------------------------------------------------------

    @property
    def any_states(self) -> tuple[Variable, ...]:
        """The state variables that start anywhere."""
        pairs = zip(self.states, self.starts, strict=True)
        return tuple(v for v, start in pairs if isinstance(start, s.AnyStart))

    @property
    def any_count(self) -> int | None:
        """How many joint values the `any` variables have, conditions left aside; None where there is no end to them."""
        return _joint(self.any_states)

    @property
    def unknown_count(self) -> int:
        """How many joint values the finite unknowns have."""
        return _joint(self.unknowns) or 1

    def unknown_values(self) -> Iterator[UnknownTuple]:
        """Every joint value of the finite unknowns, in order; one empty one where there are none."""
        return _points(self.unknowns)

    def any_starts(self, unknowns: UnknownTuple = ()) -> Iterator[tuple[Value, ...]]:
        """Every joint value of the `any` variables that meets the conditions; one empty one where there are none.

        Lazy, in order, and a condition is tried as soon as the variables that it reads are fixed. Raises ValueError
        where a variable has no end of values.
        """
        evaluator, local = Evaluator(self.names), self._constants(unknowns)
        yield from self._choose_anywhere(0, self.any_states, evaluator, local)

    def _choose_anywhere(
        self, index: int, variables: tuple[Variable, ...], evaluator: Evaluator, local: Locals
    ) -> Iterator[tuple[Value, ...]]:
        for condition in self._conditions_at(index):
            if not evaluator.value(condition, local):
                return
        if index == len(variables):
            yield tuple(local[v.name] for v in variables)
            return
        name = variables[index].name
        for value in values(variables[index].type):
            local[name] = value
            yield from self._choose_anywhere(index + 1, variables, evaluator, local)

    def _conditions_at(self, index: int) -> tuple[s.Expr, ...]:
        """The start conditions whose variables are fixed once `index` of the `any` variables are, and not before."""
        staged = self._ready.get("conditions")
        if staged is None:
            place = {v.name: i + 1 for i, v in enumerate(self.any_states)}
            staged = [()] * (len(place) + 1)
            for condition in self.start_conditions:
                read = (n.name for n in s.walk(condition) if isinstance(n, s.Name))
                at = max((place.get(name, 0) for name in read), default=0)
                staged[at] = (*staged[at], condition)
            self._ready["conditions"] = staged
        return staged[index]  # type: ignore[no-any-return]

    def start_states(
        self, anywhere: tuple[Value, ...] = (), unknowns: UnknownTuple = ()
    ) -> tuple[tuple[StateTuple, Weight], ...]:
        """The states an episode starts in, given the `any` variables, with their weights; these sum to 1."""
        return _merged(self.start_draws(anywhere, unknowns))

    def few_start_states(
        self, anywhere: tuple[Value, ...] = (), unknowns: UnknownTuple = ()
    ) -> tuple[tuple[StateTuple, Weight], ...] | None:
        """The same, or None where there are more than STARTS_MAX draws."""
        draws = tuple(islice(self.start_draws(anywhere, unknowns), STARTS_MAX + 1))
        return None if len(draws) > STARTS_MAX else _merged(draws)

    def start_draws(
        self, anywhere: tuple[Value, ...] = (), unknowns: UnknownTuple = ()
    ) -> Iterator[tuple[StateTuple, Weight]]:
        """Each joint draw of the starts in one world, with its weight."""
        local = self._constants(unknowns)
        local.update(zip((v.name for v in self.any_states), anywhere, strict=True))
        return self._draw_starts(0, local, Fraction(1))

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
        if not self.adversary_conditions:
            return tuple(_points(self.adversaries))
        evaluator, local = Evaluator(self.names), self._step_locals(state, actions, unknowns)
        names = [v.name for v in self.adversaries]
        found: list[ReplyTuple] = []
        for reply in _points(self.adversaries):
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
            before = weights.get(key)
            weights[key] = weight if before is None else before + weight
        return tuple(Outcome(w, r, x) for (r, x), w in weights.items() if w != 0)

    def draws(
        self,
        state: StateTuple,
        actions: ActionTuple,
        unknowns: UnknownTuple = (),
        reply: ReplyTuple = (),
        drawn: Mapping[str, Value] | None = None,
    ) -> Iterator[Draw]:
        """Each joint value of the chance variables, its weight, the reward and the next state.

        Only those that agree with what is `drawn`, values of chance variables by name.
        """
        local = self._step_locals(state, actions, unknowns)
        local.update(zip((v.name for v in self.adversaries), reply, strict=True))
        return self._step(0, local, Fraction(1), Evaluator(self.names), drawn or {})

    def _step(
        self,
        index: int,
        local: Locals,
        weight: Weight,
        evaluator: Evaluator,
        wanted: Mapping[str, Value],
    ) -> Iterator[Draw]:
        stages = self._stages()
        while index < len(stages):
            stage = stages[index]
            index += 1
            if isinstance(stage.item, s.Chance):
                drawn = stage.constant
                if drawn is None:
                    drawn = evaluator.distribution(stage.item.dist, local)
                for value, w in drawn:
                    require_range(stage.kind, value, stage.key, stage.item.dist)
                    if wanted.get(stage.key, value) != value:
                        continue
                    joint = w if weight == 1 else weight * w
                    below = {**local, stage.key: value}
                    yield from self._step(index, below, joint, evaluator, wanted)
                return
            value = evaluator.value(stage.item.value, local)
            if isinstance(stage.item, s.Next):
                require_range(stage.kind, value, stage.key, stage.item.value)
            local[stage.key] = value
        found = tuple(local[v.name] for v in self.chances)
        reward = evaluator.value(self.reward, local)
        if not isinstance(reward, Polynomial):
            reward = Fraction(reward)
        yield found, weight, reward, tuple(local[v.name + "'"] for v in self.states)

    def _stages(self) -> tuple[_Stage, ...]:
        """The plan with the type that each draw and next value must keep to."""
        stages = self._ready.get("stages")
        if stages is None:
            kinds = {v.name + "'": v.type for v in self.states}
            kinds.update((v.name, v.type) for v in self.chances)
            keyed = [(i.name + "'" if isinstance(i, s.Next) else i.name, i) for i in self.plan]
            # a let keeps to no type
            stages = tuple(
                _Stage(i, key, kinds.get(key, _ANYTHING), self._constant_draw(i))
                for key, i in keyed
            )
            self._ready["stages"] = stages
        return stages

    def _constant_draw(self, item: s.Node) -> tuple[tuple[Any, Weight], ...] | None:
        """What chance draws and how likely, where that is the same at every step."""
        if not isinstance(item, s.Chance):
            return None
        # no other name is the same as that of its turns
        turn = item.dist.var if isinstance(item.dist, s.DistFor) else None
        for node in s.walk(item.dist):
            if isinstance(node, s.Primed):
                return None
            if not isinstance(node, s.Name) or node.name == turn:
                continue
            if node.name not in self.names.values:
                return None
        try:
            return Evaluator(self.names).distribution(item.dist, {})
        except EvaluationFault:
            return None  # it is raised where a step comes to it

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
        fixed = self._ready.get("open")
        if fixed is None:
            names = [v.name for v in (*self.rationals, *self.rates)]
            fixed = self._ready["open"] = {name: Polynomial.variable(name) for name in names}
        local: Locals = dict(fixed)
        local.update(zip((v.name for v in self.unknowns), unknowns, strict=True))
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


def _merged(
    draws: Iterable[tuple[StateTuple, Weight]],
) -> tuple[tuple[StateTuple, Weight], ...]:
    """The states that are drawn with a weight that is not identically 0, each once, in order of first mention."""
    weights: dict[StateTuple, Weight] = {}
    for state, weight in draws:
        weights[state] = weights.get(state, Fraction(0)) + weight
    return tuple((state, weight) for state, weight in weights.items() if weight != 0)


Draw: TypeAlias = tuple[tuple[Value, ...], Weight, Weight, StateTuple]
"""One draw of a step: the values of chance, their weight, the reward, the next state."""

_ANYTHING = Bool()


@dataclass(frozen=True, slots=True)
class _Stage:
    """A part of the plan, the name that its value gets, the type that it keeps to, and a draw that never changes."""

    item: s.Define | s.Chance | s.Next
    key: str
    kind: Type
    constant: tuple[tuple[Any, Weight], ...] | None


def _joint(variables: tuple[Variable, ...]) -> int | None:
    """How many joint values variables have; None where there is no end to them."""
    total = 1
    for v in variables:
        count = cardinality(v.type)
        if count is None:
            return None
        total *= count
    return total


def _points(variables: tuple[Variable, ...]) -> Iterator[tuple[Value, ...]]:
    """Every joint value of finite variables, in order and lazily: a type may have more values than fit in memory."""
    if not variables:
        yield ()
        return
    for above in _points(variables[:-1]):
        for value in values(variables[-1].type):
            yield (*above, value)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Program:
    """Checked code: what it may read, its policies by name, its memory, its size in nodes. The policy `main` acts."""

    code: s.Code
    digest: str
    size: int
    names: Globals
    policies: Mapping[str, s.Policy]
    task: Task
    memories: tuple[Variable, ...] = ()
    memory_start: MemoryTuple = ()
    _ready: dict[str, Type] = field(default_factory=dict, init=False, repr=False)

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
        kinds = self._kinds()
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

    def _kinds(self) -> Mapping[str, Type]:
        """The types of actions and memory by name."""
        if not self._ready:
            self._ready.update((v.name, v.type) for v in (*self.task.actions, *self.memories))
        return self._ready
