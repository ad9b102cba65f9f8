"""Why a rewrite was refused, to look at, as the interpreter runs it: old and new side by side from the first difference, or
the path that breaks a requirement.

Illustration, not evidence, where values decide: the evidence is then the kernel's theorem about them. The path that breaks
a requirement is the evidence itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from dsl.codec import Json, encode_rational
from dsl.machine import (
    ActionTuple,
    Decision,
    MemoryTuple,
    Outcome,
    Program,
    Reach,
    Requirement,
    StateTuple,
    Task,
    World,
)
from dsl.polynomial import Weight, substitute
from dsl.types import Value, Variable, encode_value, show_value
from proofs.explicit import corner_points, number_of
from proofs.games import TooLarge
from proofs.kernel.certificate import (
    Certificate,
    NotBetterHereCertificate,
    NotBetterWorstCertificate,
    Pair,
    PathCertificate,
    Reply,
)
from proofs.kernel.chapter import Chapter
from proofs.kernel.region import Region, rate_box
from proofs.kernel.requirements import require_broken
from proofs.kernel.theorem import CertificateError

STEPS_SHOWN = 6
STATES_LOOKED_AT = 100_000
WORLDS_LOOKED_AT = 64


@dataclass(frozen=True, slots=True)
class Move:
    """One step of a trace: where, what is done, at which ticks, what the adversary replies, one draw of what follows."""

    state: StateTuple
    memory: MemoryTuple
    actions: ActionTuple
    ticks: int
    reply: Reply
    weight: Fraction
    reward: Fraction
    successor: StateTuple
    memory_after: MemoryTuple


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A shortest way to the first state where the programs differ, and how each goes on from there, in one world.

    `shared` is the way, taken by both. `acts_alike` says that on every state that is reached both take the same actions,
    so that only ticks or size differ; then the traces are those of the first difference in ticks, if there is one.
    """

    world: World
    old: tuple[Variable, ...]
    new: tuple[Variable, ...]
    shared: tuple[Move, ...]
    before: tuple[Move, ...]
    after: tuple[Move, ...]
    acts_alike: bool


@dataclass(frozen=True, slots=True)
class BreakingPath:
    """A path of the new program that breaks a requirement; from `switch` on the named policy acts."""

    requirement: str
    world: World
    memories: tuple[Variable, ...]
    start: StateTuple
    moves: tuple[Move, ...]
    switch: int
    policy: str


Shown: TypeAlias = Counterexample | BreakingPath


def counterexample_of(
    chapter: Chapter, old: Program, new: Program, certificate: Certificate
) -> Shown:
    """What to show of a refusal: the path that breaks a requirement, or both programs in the world that decides."""
    match certificate:
        case PathCertificate():
            return replay_path(chapter, new, certificate)
        case NotBetterHereCertificate(world, _) | NotBetterWorstCertificate(world):
            return compare_programs(chapter, old, new, world=world)
        case _:
            return compare_programs(chapter, old, new)


# --- old and new ---------------------------------------------------------------------------------


def compare_programs(
    chapter: Chapter,
    old: Program,
    new: Program,
    *,
    world: World | None = None,
    limit: int = STATES_LOOKED_AT,
) -> Counterexample:
    """The first difference between two programs in a world, nearest to a start; smallest states first among equals.

    Without a world, in the first one where they differ.
    """
    runs = [_Run(chapter, w) for w in ([world] if world is not None else _worlds(chapter))]
    for acts in (True, False):
        for run in runs:
            found = run.first_difference(old, new, acts, limit // len(runs) + 1)
            if found is not None:
                shared, before, after = found
                return Counterexample(
                    run.world,
                    old.memories,
                    new.memories,
                    shared,
                    run.follow(old, *before),
                    run.follow(new, *after),
                    not acts,
                )
    return Counterexample(runs[0].world, old.memories, new.memories, (), (), (), True)


def _worlds(chapter: Chapter) -> list[World]:
    """Some worlds, the first ones first."""
    found: list[World] = []
    for region in chapter.regions():
        try:
            points = corner_points(chapter, Region.whole(chapter.task, region.unknowns))
        except TooLarge:
            points = ()
        # the middle, where most weights are positive
        point = points[-1] if points else tuple(low for low, _ in region.box)
        for anywhere, _ in chapter.start_worlds(region.unknowns):
            found.append(World(anywhere, region.unknowns, point))
            if len(found) >= WORLDS_LOOKED_AT:
                return found
    return found


_Came: TypeAlias = dict[tuple[StateTuple, MemoryTuple, MemoryTuple], "_Arrival | None"]


@dataclass(frozen=True, slots=True)
class _Arrival:
    key: tuple[StateTuple, MemoryTuple, MemoryTuple]
    move: Move


class _Run:
    """Programs in one world."""

    def __init__(self, chapter: Chapter, world: World) -> None:
        self.chapter, self.world = chapter, world
        task = chapter.task
        self.point = dict(zip((v.name for v in task.rationals), world.rationals, strict=True))
        box = rate_box(task)
        self.rates = tuple((low + high) / 2 for low, high in box.values())
        self.point.update(zip(box, self.rates, strict=True))

    def done(self, state: StateTuple) -> bool:
        return self.chapter.is_done(state, self.world.unknowns)

    def first_difference(
        self, old: Program, new: Program, by_actions: bool, limit: int
    ) -> tuple[tuple[Move, ...], Pair, Pair] | None:
        came: _Came = {}
        _, starts = self.chapter.start_of(self.world)
        for state, weight in sorted(starts, key=lambda s: repr(s[0])):
            if not self.done(state) and self.number(weight) > 0:
                came.setdefault((state, old.memory_start, new.memory_start), None)
        queue = deque(came)
        while queue and len(came) <= limit:
            key = queue.popleft()
            state, mine, other = key
            before, after = old.act(state, mine), new.act(state, other)
            differs = before.actions != after.actions
            if differs if by_actions else differs or before.ticks != after.ticks:
                return _way(came, key), (state, mine), (state, other)
            if differs:
                continue
            for move in self.moves(old, state, mine):
                following = move.successor, before.memory, after.memory
                if following not in came and not self.done(move.successor):
                    came[following] = _Arrival(key, move)
                    queue.append(following)
        return None

    def follow(self, program: Program, state: StateTuple, memory: MemoryTuple) -> tuple[Move, ...]:
        """What a program does next if the likeliest draw that leads on comes each time, up to what comes again."""
        moves: list[Move] = []
        seen: set[Pair] = set()
        while len(moves) < STEPS_SHOWN and not self.done(state) and (state, memory) not in seen:
            seen.add((state, memory))
            draws = self.moves(program, state, memory, likeliest=True)
            fresh = (m for m in draws if (m.successor, m.memory_after) not in seen)
            move = next(fresh, draws[0])
            moves.append(move)
            state, memory = move.successor, move.memory_after
        return tuple(moves)

    def moves(
        self, program: Program, state: StateTuple, memory: MemoryTuple, likeliest: bool = False
    ) -> list[Move]:
        """Draws of positive weight, likeliest first; `likeliest`: under the reply alone that pays least at once."""
        decided = program.act(state, memory)
        found: list[list[Move]] = []
        for reply in self.chapter.replies(state, decided.actions, self.world.unknowns):
            rows = self.chapter.outcomes(state, decided.actions, self.world.unknowns, reply)
            named = Reply(reply, self.rates)
            moves = [move_of((state, memory), decided, named, o, self.point) for o in rows]
            kept = [m for m in moves if m.weight > 0]
            found.append(sorted(kept, key=lambda m: (-m.weight, -m.reward, repr(m.successor))))
        if likeliest:
            return min(found, key=lambda ms: sum(m.weight * m.reward for m in ms))
        return [m for moves in found for m in moves]

    def number(self, weight: Weight) -> Fraction:
        """A weight in this world, rates in the middle."""
        return number_of(substitute(weight, self.point))


def move_of(
    pair: Pair, decided: Decision, reply: Reply, outcome: Outcome, point: Mapping[str, Fraction]
) -> Move:
    """A step with numbers in the place of unknowns and rates."""
    return Move(
        *pair,
        decided.actions,
        decided.ticks,
        reply,
        number_of(substitute(outcome.weight, point)),
        number_of(substitute(outcome.reward, point)),
        outcome.successor,
        decided.memory,
    )


def _way(came: _Came, key: tuple[StateTuple, MemoryTuple, MemoryTuple]) -> tuple[Move, ...]:
    moves: list[Move] = []
    arrival = came[key]
    while arrival is not None:
        moves.append(arrival.move)
        arrival = came[arrival.key]
    return tuple(reversed(moves))


# --- paths ---------------------------------------------------------------------------------------


def replay_path(chapter: Chapter, program: Program, path: PathCertificate) -> BreakingPath:
    """The path as the interpreter takes it, with the first requirement that it breaks.

    Raises CertificateError where it breaks none.
    """
    requirement = _broken_by(chapter, program, path)
    other = requirement.policy if isinstance(requirement, Reach) else "main"
    task, u = chapter.task, path.world.unknowns
    at = dict(zip((v.name for v in task.rationals), path.world.rationals, strict=True))
    state, memory, moves = path.start, program.memory_start, list[Move]()
    for k, step in enumerate(path.moves):
        policy = "main" if k < path.switch else other
        decided = program.act(state, memory, policy=policy)
        point = {**at, **dict(zip(rate_box(task), step.reply.rates, strict=True))}
        rows = chapter.outcomes(state, decided.actions, u, step.reply.finite)
        drawn = [
            move_of((state, memory), decided, step.reply, o, point)
            for o in rows
            if o.successor == step.successor
        ]
        move = max(drawn, key=lambda m: (m.weight, m.reward))
        moves.append(move)
        state, memory = move.successor, move.memory_after
    return BreakingPath(
        requirement.name, path.world, program.memories, path.start, tuple(moves), path.switch, other
    )


def _broken_by(chapter: Chapter, program: Program, path: PathCertificate) -> Requirement:
    reason = "there are no requirements"
    for requirement in chapter.task.requirements:
        steps = chapter.steps
        try:
            require_broken(chapter, program, requirement.name, path)
            return requirement
        except CertificateError as error:
            reason = str(error)
        finally:
            chapter.steps = steps
    raise CertificateError(f"the path breaks no requirement: {reason}")


# --- as JSON -------------------------------------------------------------------------------------


def encode_counterexample(counterexample: Shown, task: Task) -> Json:
    """What is shown, as JSON: names with their values, in the order in which they are declared."""
    match counterexample:
        case BreakingPath(requirement, world, memories, start, moves, switch, policy):
            return {
                "requirement": requirement,
                "world": _encode_world(world, task),
                "start": _encode_point(task.states, start),
                "moves": [_encode_move(m, task, memories) for m in moves],
                "switch": switch,
                "policy": policy,
            }
        case Counterexample(world, old, new, shared, before, after, acts_alike):
            return {
                "acts_alike": acts_alike,
                "world": _encode_world(world, task),
                "shared": [_encode_move(m, task, old) for m in shared],
                "old": [_encode_move(m, task, old) for m in before],
                "new": [_encode_move(m, task, new) for m in after],
            }


def _encode_move(move: Move, task: Task, memories: tuple[Variable, ...]) -> Json:
    """One step; what a machine has none of (memory, adversary) is left out."""
    found: dict[str, Json] = {
        "state": _encode_point(task.states, move.state),
        "actions": _encode_point(task.actions, move.actions),
        "ticks": move.ticks,
        "weight": encode_rational(move.weight),
        "reward": encode_rational(move.reward),
        "successor": _encode_point(task.states, move.successor),
    }
    if memories:
        found["memory"] = _encode_point(memories, move.memory)
        found["memory_after"] = _encode_point(memories, move.memory_after)
    if task.adversaries or task.rates:
        reply = _encode_point(task.adversaries, move.reply.finite)
        found["reply"] = [*reply, *_encode_point(task.rates, move.reply.rates)]
    return found


def _encode_world(world: World, task: Task) -> list[Json]:
    return [
        *_encode_point(task.any_states, world.starts),
        *_encode_point(task.unknowns, world.unknowns),
        *_encode_point(task.rationals, world.rationals),
    ]


def _encode_point(variables: tuple[Variable, ...], point: tuple[Value, ...]) -> list[Json]:
    return [[v.name, encode_value(v.type, x)] for v, x in zip(variables, point, strict=True)]


# --- in words ------------------------------------------------------------------------------------


def show_point(variables: tuple[Variable, ...], point: tuple[Value, ...]) -> str:
    """Names with their values in the reader's words."""
    pairs = zip(variables, point, strict=True)
    return ", ".join(f"{v.name} = {show_value(v.type, x)}" for v, x in pairs)


def show_state(task: Task, state: StateTuple) -> str:
    """A state in the reader's words."""
    return show_point(task.states, state)


def show_actions(task: Task, actions: ActionTuple) -> str:
    """Actions in the reader's words."""
    return show_point(task.actions, actions)


def show_world(task: Task, world: World) -> str:
    """A world in the reader's words; empty where there is but one."""
    parts = (
        show_point(task.any_states, world.starts),
        show_point(task.unknowns, world.unknowns),
        show_point(task.rationals, world.rationals),
    )
    return ", ".join(part for part in parts if part)
