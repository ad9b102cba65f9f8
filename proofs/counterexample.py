"""Why a rewrite was refused, to look at: old and new side by side from the first difference, as the interpreter runs them.

Illustration, not evidence: the evidence is the kernel's theorem about values.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from dsl.codec import Json, encode_rational
from dsl.machine import ActionTuple, Outcome, Program, StateTuple, Task
from dsl.types import Value, Variable, encode_value, show_value
from proofs.kernel.chapter import Chapter

STEPS_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Move:
    """One step of a trace: where, what is done, at which ticks, and one draw of what follows."""

    state: StateTuple
    actions: ActionTuple
    ticks: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A shortest way to the first state where the programs differ, and how each goes on from there.

    `shared` is the way, taken by both. `acts_alike` says that on every state that is reached both take the same actions,
    so that only ticks or size differ; then the traces are those of the first difference in ticks, if there is one.
    """

    shared: tuple[Move, ...]
    old: tuple[Move, ...]
    new: tuple[Move, ...]
    acts_alike: bool


def compare_programs(
    chapter: Chapter, old: Program, new: Program, *, limit: int = 100_000
) -> Counterexample:
    """The first difference between two programs, nearest to a start; smallest states first among equals."""
    for acts in (True, False):
        found = _first_difference(chapter, old, new, acts, limit)
        if found is not None:
            shared, state = found
            return Counterexample(
                shared, _follow(chapter, old, state), _follow(chapter, new, state), not acts
            )
    return Counterexample((), (), (), True)


def _first_difference(
    chapter: Chapter, old: Program, new: Program, by_actions: bool, limit: int
) -> tuple[tuple[Move, ...], StateTuple] | None:
    came: dict[StateTuple, tuple[StateTuple, Move] | None] = {}
    queue: deque[StateTuple] = deque()
    for start, _ in sorted(chapter.starts, key=lambda s: repr(s[0])):
        if not chapter.is_done(start):
            came.setdefault(start, None)
    queue.extend(came)
    while queue and len(came) <= limit:
        state = queue.popleft()
        before, after = old.act(state), new.act(state)
        if (before.actions != after.actions) if by_actions else (before != after):
            return _way(came, state), state
        for outcome in _likeliest_first(chapter, state, before.actions):
            successor = outcome.successor
            if successor not in came and not chapter.is_done(successor):
                came[successor] = (state, Move(state, before.actions, before.ticks, outcome))
                queue.append(successor)
    return None


def _way(
    came: dict[StateTuple, tuple[StateTuple, Move] | None], state: StateTuple
) -> tuple[Move, ...]:
    moves: list[Move] = []
    step = came[state]
    while step is not None:
        moves.append(step[1])
        step = came[step[0]]
    return tuple(reversed(moves))


def _follow(chapter: Chapter, program: Program, state: StateTuple) -> tuple[Move, ...]:
    """What a program does next if the likeliest draw that leads on comes each time, up to a state that comes again."""
    moves: list[Move] = []
    seen: set[StateTuple] = set()
    while len(moves) < STEPS_SHOWN and not chapter.is_done(state) and state not in seen:
        seen.add(state)
        decided = program.act(state)
        actions, ticks = decided.actions, decided.ticks
        draws = _likeliest_first(chapter, state, actions)
        outcome = next((o for o in draws if o.successor not in seen), draws[0])
        moves.append(Move(state, actions, ticks, outcome))
        state = outcome.successor
    return tuple(moves)


def _likeliest_first(chapter: Chapter, state: StateTuple, actions: ActionTuple) -> list[Outcome]:
    return sorted(
        chapter.outcomes(state, actions), key=lambda o: (-o.weight, -o.reward, repr(o.successor))
    )


def encode_counterexample(counterexample: Counterexample, task: Task) -> Json:
    """The counterexample as JSON."""
    return {
        "acts_alike": counterexample.acts_alike,
        "shared": [_encode_move(m, task) for m in counterexample.shared],
        "old": [_encode_move(m, task) for m in counterexample.old],
        "new": [_encode_move(m, task) for m in counterexample.new],
    }


def _encode_move(move: Move, task: Task) -> Json:
    return {
        "state": _encode_point(task.states, move.state),
        "actions": _encode_point(task.actions, move.actions),
        "ticks": move.ticks,
        "weight": encode_rational(move.outcome.weight),
        "reward": encode_rational(move.outcome.reward),
        "successor": _encode_point(task.states, move.outcome.successor),
    }


def _encode_point(variables: tuple[Variable, ...], point: tuple[Value, ...]) -> Json:
    """Names with their values, in the order in which they are declared."""
    return [[v.name, encode_value(v.type, x)] for v, x in zip(variables, point, strict=True)]


def show_state(task: Task, state: StateTuple) -> str:
    """A state in the reader's words."""
    return ", ".join(
        f"{v.name} = {show_value(v.type, x)}" for v, x in zip(task.states, state, strict=True)
    )


def show_actions(task: Task, actions: ActionTuple) -> str:
    """Actions in the reader's words."""
    return ", ".join(
        f"{v.name} = {show_value(v.type, x)}" for v, x in zip(task.actions, actions, strict=True)
    )
