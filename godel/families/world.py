"""The steps of a world by the compiled evaluator, with what families want to know about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, product
from math import prod
from typing import Any, TypeAlias

from dsl.compile import compile_expression, compile_task
from dsl.machine import ActionTuple, Always, StateTuple, Task, UnknownTuple
from dsl.polynomial import Weight, names_of, substitute
from dsl.types import Enum, Int, Value, Variable, cardinality, values
from proofs.explicit import TooLarge, corner_points, rate_points, start_worlds, unknown_values
from proofs.kernel.chapter import Chapter
from proofs.kernel.region import Region, rate_box

WORLDS_SAMPLED = 16
REPLIES_MAX = 4_096
KEPT_MAX = 400_000
"""How many draws are kept for the next program."""
ACTIONS_MAX = 64
VALUES_MAX = 32

Reply: TypeAlias = tuple[Weight, tuple[tuple[StateTuple, Weight], ...]]
"""The expected reward without ticks, and the live successors with their weights."""


@dataclass(frozen=True, slots=True)
class Moves:
    """One state and action: what each reply makes of it, how many draws there were, whether an `always` may be broken."""

    replies: tuple[Reply, ...]
    draws: int
    breaks: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """One joint value of the finite unknowns, and the values of the rational ones to look at with it."""

    unknowns: UnknownTuple
    points: tuple[tuple[Fraction, ...], ...]


class StepWorld:
    """The world of a chapter, step by step. Raises TooLarge where there is too much to look at."""

    def __init__(self, chapter: Chapter) -> None:
        task = chapter.task
        if prod(cardinality(v.type) or 1 for v in task.adversaries) > REPLIES_MAX:
            raise TooLarge(f"more than {REPLIES_MAX:,} replies")
        self.chapter, self.task = chapter, task
        self.compiled = compile_task(task)
        self.samples = _samples(chapter)
        self._broken = _conditions(task)
        self._moves: dict[tuple[UnknownTuple, StateTuple, ActionTuple], Moves] = {}
        self._done: dict[tuple[UnknownTuple, StateTuple], bool] = {}
        self._kept = 0

    def starts(self, unknowns: UnknownTuple) -> list[tuple[tuple[StateTuple, Weight], ...]]:
        """For each value of the `any` variables the live states that an episode starts in."""
        return [
            tuple((x, w) for x, w in drawn if not self.is_done(unknowns, x))
            for _, drawn in start_worlds(self.chapter, unknowns)
        ]

    def is_done(self, unknowns: UnknownTuple, state: StateTuple) -> bool:
        """Whether the episode has ended."""
        key = (unknowns, state)
        if key not in self._done:
            self._done[key] = self.compiled.is_done(state, unknowns)
        return self._done[key]

    def moves(self, unknowns: UnknownTuple, state: StateTuple, actions: ActionTuple) -> Moves:
        """What one step may come to."""
        key = (unknowns, state, actions)
        found = self._moves.get(key)
        if found is None:
            found = self._step(unknowns, state, actions)
            self._kept += found.draws
            if self._kept <= KEPT_MAX:
                self._moves[key] = found
        return found

    def _step(self, unknowns: UnknownTuple, state: StateTuple, actions: ActionTuple) -> Moves:
        replies: list[Reply] = []
        draws, breaks = 0, False
        for reply in self.compiled.replies(state, actions, unknowns):
            reward: Weight = Fraction(0)
            weights: dict[StateTuple, Weight] = {}
            for outcome in self.compiled.outcomes(state, actions, unknowns, reply):
                draws += 1
                successor = outcome.successor
                reward = reward + outcome.weight * outcome.reward
                if successor in weights:
                    weights[successor] = weights[successor] + outcome.weight
                else:
                    weights[successor] = outcome.weight
            breaks = breaks or any(
                broken(unknowns, state, actions, x) for x in weights for broken in self._broken
            )
            live = ((x, w) for x, w in weights.items() if not self.is_done(unknowns, x))
            replies += self._with_rates(reward, tuple(live))
        return Moves(tuple(replies), draws, breaks)

    def _with_rates(
        self, reward: Weight, after: tuple[tuple[StateTuple, Weight], ...]
    ) -> list[Reply]:
        """The step at every value of the rates that is worth looking at."""
        box = rate_box(self.task)
        if not box or not any(names_of(w) & box.keys() for w in (reward, *(w for _, w in after))):
            return [(reward, after)]
        found: list[Reply] = []
        for rates in rate_points(self.chapter, [reward, *(w for _, w in after)]):
            at = dict(zip(box, rates, strict=True))
            there = tuple((x, substitute(w, at)) for x, w in after)
            found.append((substitute(reward, at), tuple((x, w) for x, w in there if w != 0)))
        return found

    # --- actions ---------------------------------------------------------------------------------

    def choices(self, decided: ActionTuple) -> tuple[ActionTuple, ...]:
        """The actions worth trying in the place of one: all, or, where these are many, those that differ in one variable."""
        variables = self.task.actions
        if prod(cardinality(v.type) or 1 for v in variables) <= ACTIONS_MAX:
            return tuple(product(*(tuple(values(v.type)) for v in variables)))
        found = [decided]
        for i, v in enumerate(variables):
            found += [
                (*decided[:i], x, *decided[i + 1 :])
                for x in _near(v, decided[i])
                if x != decided[i]
            ]
        return tuple(sorted(found))


def _near(variable: Variable, decided: Value) -> list[Value]:
    """Values worth trying in the place of one; of many, the ends and those at growing distances."""
    kind = variable.type
    count = cardinality(kind) or 0
    if count <= VALUES_MAX or not isinstance(kind, Int | Enum):
        return list(islice(values(kind), VALUES_MAX))
    low = kind.low or 0 if isinstance(kind, Int) else 0
    high, now = low + count - 1, int(decided)  # type: ignore[arg-type]
    found = {low, high, now}
    distance = 1
    while len(found) < VALUES_MAX and distance < count:
        found |= {x for x in (now - distance, now + distance) if low <= x <= high}
        distance *= 2
    return [*sorted(found)]


def _samples(chapter: Chapter) -> tuple[Sample, ...]:
    """Some worlds to look at: joint values of the finite unknowns, each with some values of the rational ones."""
    unknowns = unknown_values(chapter)
    chosen = unknowns[:: -(-len(unknowns) // WORLDS_SAMPLED)]
    room = max(1, WORLDS_SAMPLED // len(chosen))
    found: list[Sample] = []
    for values_of in chosen:
        points = corner_points(chapter, Region.whole(chapter.task, values_of))
        if not points:
            raise TooLarge("the assumptions leave no world")
        # the last one is the middle
        *corners, centre = points
        some = corners[:: max(1, -(-len(corners) // room))] if room > 1 else []
        found.append(Sample(values_of, (*some[: room - 1], centre)))
    return tuple(found)


def _conditions(
    task: Task,
) -> list[Callable[[UnknownTuple, StateTuple, ActionTuple, StateTuple], bool]]:
    """Whether a step breaks a requirement, for each that says what must always hold."""
    states = [v.name for v in task.states]
    unknowns = [v.name for v in task.unknowns]
    actions = [v.name for v in task.actions]
    found: list[Callable[[UnknownTuple, StateTuple, ActionTuple, StateTuple], bool]] = []
    for requirement in task.requirements:
        if not isinstance(requirement, Always):
            continue
        holds = requirement.holds
        if requirement.of_step:
            names = [*unknowns, *states, *actions, *(f"{name}'" for name in states)]
            found.append(_of_step(compile_expression(holds, task.names, names)))
        else:
            found.append(_of_state(compile_expression(holds, task.names, [*unknowns, *states])))
    return found


def _of_step(
    holds: Callable[..., Any],
) -> Callable[[UnknownTuple, StateTuple, ActionTuple, StateTuple], bool]:
    return lambda u, x, a, after: not holds(*u, *x, *a, *after)


def _of_state(
    holds: Callable[..., Any],
) -> Callable[[UnknownTuple, StateTuple, ActionTuple, StateTuple], bool]:
    return lambda u, x, a, after: not holds(*u, *after)
