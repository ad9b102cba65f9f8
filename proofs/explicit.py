"""Worlds written out state by state, one for each joint value of the finite unknowns. Untrusted: the kernel checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import TypeAlias

from dsl.compile import compile_program, compile_task
from dsl.machine import (
    ActionTuple,
    MemoryTuple,
    Program,
    ReplyTuple,
    StateTuple,
    UnknownTuple,
)
from dsl.polynomial import Polynomial, Weight, degree_of, names_of, substitute
from dsl.types import Rat, Value, show_type
from proofs.games import TooLarge as TooLarge
from proofs.kernel.certificate import Pair, Reply
from proofs.kernel.chapter import WORLDS_MAX, Chapter
from proofs.kernel.region import Region, TooMany, rate_box
from proofs.regions import vertices

NO_FORMULAS = "no rule for formulas yet"
STATES_MAX = 200_000
STEPS_MAX = 4_000_000
DRAWS_MAX = 2_000_000
"""How many draws of chance the steps of one world may come to."""
POINTS_MAX = 64
RATE_POINTS = 9


@dataclass(frozen=True, slots=True)
class Step:
    """One step under one reply: the expected reward less ticks, and the live successors by number with their weights."""

    reward: Weight
    successors: tuple[tuple[int, Weight], ...]


@dataclass(frozen=True, slots=True)
class Option:
    """One action: its steps, one for each finite reply there is."""

    replies: tuple[ReplyTuple, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """One choice of the `any` variables, and the live pairs an episode then starts in."""

    anywhere: tuple[Value, ...]
    pairs: tuple[tuple[int, Weight], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A world for one joint value of the finite unknowns: live pairs of state and memory, and the options in each.

    For a program there is one option in each pair; for a world under every action memories are empty and options come in
    the order of the actions. `symbolic` says that some weight or reward reads a rational unknown or a rate.
    """

    unknowns: UnknownTuple
    states: tuple[Pair, ...]
    options: tuple[tuple[Option, ...], ...]
    starts: tuple[Start, ...]
    symbolic: bool
    every_action: bool


Choices: TypeAlias = Callable[
    [StateTuple, MemoryTuple], Sequence[tuple[ActionTuple, MemoryTuple, Weight]]
]
"""The options in a pair: actions, the next memory, and the price of the step."""


def explore_program(
    chapter: Chapter, program: Program, unknowns: UnknownTuple = (), *, limit: int = STATES_MAX
) -> Model:
    """What a program makes of the world, against every reply. Raises TooLarge."""
    price, compiled = chapter.task.utility.tick_price, compile_program(program)

    def choices(
        state: StateTuple, memory: MemoryTuple
    ) -> Sequence[tuple[ActionTuple, MemoryTuple, Weight]]:
        decided = compiled.act(state, memory)
        return ((decided.actions, decided.memory, price * decided.ticks),)

    return explore(
        chapter, choices, program.memory_start, unknowns, limit=limit, every_action=False
    )


def explore_actions(
    chapter: Chapter, unknowns: UnknownTuple = (), *, limit: int = STATES_MAX
) -> Model:
    """The world under every action, without ticks. Raises TooLarge."""
    try:
        actions = tuple((action, (), Fraction(0)) for action in chapter.all_actions())
    except TooMany as error:
        raise TooLarge(f"{NO_FORMULAS}: {error}") from None
    return explore(chapter, lambda *_: actions, (), unknowns, limit=limit, every_action=True)


def explore(
    chapter: Chapter,
    choices: Choices,
    memory_start: MemoryTuple,
    unknowns: UnknownTuple,
    *,
    every_action: bool,
    rewarded: bool = True,
    limit: int = STATES_MAX,
) -> Model:
    """The live pairs that some option and reply lead to, breadth first; unless `rewarded`, prices are all that counts.

    Raises TooLarge.
    """
    require_listable(chapter)
    try:
        return _explore(chapter, choices, memory_start, unknowns, every_action, rewarded, limit)
    except TooMany as error:
        raise TooLarge(f"{NO_FORMULAS}: {error}") from None


def _explore(
    chapter: Chapter,
    choices: Choices,
    memory_start: MemoryTuple,
    unknowns: UnknownTuple,
    every_action: bool,
    rewarded: bool,
    limit: int,
) -> Model:
    index: dict[Pair, int] = {}
    pairs: list[Pair] = []
    world = compile_task(chapter.task)

    def number(pair: Pair) -> int:
        found = index.get(pair)
        if found is None:
            if len(pairs) >= limit:
                raise TooLarge(f"{NO_FORMULAS}: more than {limit:,} states")
            found = index[pair] = len(pairs)
            pairs.append(pair)
        return found

    starts = tuple(
        Start(
            anywhere,
            tuple(
                (number((x, memory_start)), w) for x, w in drawn if not world.is_done(x, unknowns)
            ),
        )
        for anywhere, drawn in start_worlds(chapter, unknowns)
    )
    options: list[tuple[Option, ...]] = []
    count, draws, symbolic = 0, 0, any(_reads(w) for start in starts for _, w in start.pairs)
    while len(options) < len(pairs):
        state, memory = pairs[len(options)]
        found: list[Option] = []
        for actions, following, cost in choices(state, memory):
            replies = tuple(chapter.replies(state, actions, unknowns))
            count += len(replies)
            if count > STEPS_MAX:
                raise TooLarge(f"{NO_FORMULAS}: more than {STEPS_MAX:,} steps")
            steps: list[Step] = []
            for reply in replies:
                reward: Weight = -cost
                weights: dict[int, Weight] = {}
                outcomes = world.outcomes(state, actions, unknowns, reply)
                draws += len(outcomes)
                if draws > DRAWS_MAX:
                    raise TooLarge(f"{NO_FORMULAS}: more than {DRAWS_MAX:,} draws of chance")
                for outcome in outcomes:
                    if rewarded:
                        reward = reward + outcome.weight * outcome.reward
                    if not world.is_done(outcome.successor, unknowns):
                        at = number((outcome.successor, following))
                        weights[at] = (
                            weights[at] + outcome.weight if at in weights else outcome.weight
                        )
                symbolic = symbolic or _reads(reward) or any(map(_reads, weights.values()))
                steps.append(Step(reward, tuple(weights.items())))
            found.append(Option(replies, tuple(steps)))
        options.append(tuple(found))
    return Model(unknowns, tuple(pairs), tuple(options), starts, symbolic, every_action)


def start_worlds(
    chapter: Chapter, unknowns: UnknownTuple
) -> Sequence[tuple[tuple[Value, ...], tuple[tuple[StateTuple, Weight], ...]]]:
    """The starts of every world with these unknowns. Raises TooLarge."""
    try:
        return tuple(chapter.start_worlds(unknowns))
    except TooMany:
        raise TooLarge(_too_many_worlds(chapter)) from None


def unknown_values(chapter: Chapter) -> tuple[UnknownTuple, ...]:
    """Every joint value of the finite unknowns, in order. Raises TooLarge."""
    try:
        return tuple(region.unknowns for region in chapter.regions())
    except TooMany:
        raise TooLarge(_too_many_worlds(chapter)) from None


def _too_many_worlds(chapter: Chapter) -> str:
    task = chapter.task
    open_ = [f"{v.name}: {show_type(v.type)} = any" for v in task.any_states]
    open_ += [f"unknown {v.name}: {show_type(v.type)}" for v in task.unknowns]
    return f"{NO_FORMULAS}: more than {WORLDS_MAX:,} worlds ({', '.join(open_)})"


def require_listable(chapter: Chapter) -> None:
    """Raise TooLarge for a world whose states cannot be listed whatever is reached."""
    for v in chapter.task.states:
        if isinstance(v.type, Rat):
            raise TooLarge(f"{NO_FORMULAS}: {v.name} is a {show_type(v.type)}, not to be listed")


def _reads(weight: Weight) -> bool:
    return isinstance(weight, Polynomial)


# --- points --------------------------------------------------------------------------------------


def corner_points(chapter: Chapter, region: Region) -> tuple[tuple[Fraction, ...], ...]:
    """Values of the rational unknowns to look at: corners, then the centre; under `assume` the vertices, then their mean.

    None where the assumptions leave nothing of the region. Raises TooLarge.
    """
    task = chapter.task
    if not task.rationals:
        return ((),)
    if not task.assumptions:
        ends = [(low, high) if low != high else (low,) for low, high in region.box]
        centre = tuple((low + high) / 2 for low, high in region.box)
        if 2 ** sum(len(e) - 1 for e in ends) > POINTS_MAX:
            corners = [
                tuple(end if i == k else c for i, c in enumerate(centre))
                for k, pair in enumerate(ends)
                for end in pair
            ]
        else:
            corners = list(product(*ends))
        return tuple(dict.fromkeys([*corners, centre]))
    try:
        found = sorted(vertices(task, region))
    except TooMany as error:
        raise TooLarge(str(error)) from None
    if not found:
        return ()
    mean = tuple(sum(p[i] for p in found) / Fraction(len(found)) for i in range(len(found[0])))
    return tuple(dict.fromkeys([*found, mean]))


def rate_points(chapter: Chapter, weights: Sequence[Weight]) -> tuple[tuple[Fraction, ...], ...]:
    """Values of the rates that an adversary may want: the ends, and points between where a weight is not affine in one."""
    grids: list[list[Fraction]] = []
    for name, (low, high) in rate_box(chapter.task).items():
        degree = max((degree_of(w, name) for w in weights), default=0)
        if degree == 0 or low == high:
            grids.append([low])
        elif degree == 1:
            grids.append([low, high])
        else:
            grids.append([low + (high - low) * i / (RATE_POINTS - 1) for i in range(RATE_POINTS)])
    found = tuple(product(*grids))
    if len(found) > POINTS_MAX:
        raise TooLarge(f"more than {POINTS_MAX} joint values of the rates")
    return found


@dataclass(frozen=True, slots=True)
class Play:
    """A reply with the step that it leads to, rates and all."""

    reply: Reply
    step: Step


def plays_of(chapter: Chapter, option: Option) -> tuple[Play, ...]:
    """Every finite reply with every value of the rates worth looking at."""
    if not chapter.task.rates:
        return tuple(
            Play(Reply(y), step) for y, step in zip(option.replies, option.steps, strict=True)
        )
    names = list(rate_box(chapter.task))
    found: list[Play] = []
    for y, step in zip(option.replies, option.steps, strict=True):
        for rates in rate_points(chapter, [step.reward, *(w for _, w in step.successors)]):
            at = dict(zip(names, rates, strict=True))
            found.append(Play(Reply(y, rates), substitute_step(step, at)))
    return tuple(found)


def substitute_step(step: Step, values: Mapping[str, Fraction]) -> Step:
    """The step with numbers in the place of names; successors that are left without weight are kept out."""
    after = ((j, substitute(w, values)) for j, w in step.successors)
    return Step(substitute(step.reward, values), tuple((j, w) for j, w in after if w != 0))


def names_of_step(step: Step) -> frozenset[str]:
    """The unknowns and rates that a step reads."""
    found = set(names_of(step.reward))
    for _, w in step.successors:
        found |= names_of(w)
    return frozenset(found)


def point_of(chapter: Chapter, rationals: tuple[Fraction, ...]) -> dict[str, Fraction]:
    """Values of the rational unknowns by name."""
    return dict(zip((v.name for v in chapter.task.rationals), rationals, strict=True))


def number_of(weight: Weight) -> Fraction:
    """A weight that is a number."""
    if isinstance(weight, Polynomial):
        raise TypeError(f"{weight} is no number")
    return weight
