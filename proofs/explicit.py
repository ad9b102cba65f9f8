"""Worlds written out state by state, and the values of programs in them. Untrusted: guesses that the kernel checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import heapify, heappop, heappush
from math import fsum
from typing import TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from dsl.machine import ActionTuple, Program, StateTuple
from proofs.kernel.chapter import Chapter

STATES_MAX = 200_000
NEAREST_TO_ONE = Fraction(1, 10**12)

Number = TypeVar("Number", float, Fraction)
Successors: TypeAlias = tuple[tuple[int, Fraction], ...]


class TooLarge(Exception):
    """A world with more states than a table may list, or with values that floats cannot follow."""


@dataclass(frozen=True, slots=True)
class Row:
    """One step by state numbers: the expected reward, and the live successors with their weights."""

    reward: Fraction
    successors: Successors


@dataclass(frozen=True, slots=True)
class ChainModel:
    """What one program makes of a world: its live states, reached from the starts, and one row for each.

    `starts` lists live starts by number with their weights; rewards are less ticks.
    """

    states: tuple[StateTuple, ...]
    rows: tuple[Row, ...]
    starts: Successors


@dataclass(frozen=True, slots=True)
class WorldModel:
    """A world under all actions: live states reached by any of them, and a row for each state and action, without ticks."""

    states: tuple[StateTuple, ...]
    index: Mapping[StateTuple, int]
    actions: tuple[ActionTuple, ...]
    rows: tuple[tuple[Row, ...], ...]
    starts: Successors


def explore_program(chapter: Chapter, program: Program, *, limit: int = STATES_MAX) -> ChainModel:
    """The chain that a program makes of the world. Raises TooLarge."""
    price = chapter.task.utility.tick_price

    def step(state: StateTuple) -> list[tuple[ActionTuple, Fraction]]:
        decided = program.act(state)
        return [(decided.actions, price * decided.ticks)]

    states, rows, starts = _explore(chapter, step, limit)
    return ChainModel(states, tuple(row[0] for row in rows), starts)


_worlds: WeakKeyDictionary[Chapter, WorldModel | TooLarge] = WeakKeyDictionary()


def explore_world(chapter: Chapter) -> WorldModel:
    """The world under every action, worked out once for a chapter. Raises TooLarge."""
    if chapter not in _worlds:
        try:
            _worlds[chapter] = _explore_world(chapter, STATES_MAX)
        except TooLarge as error:
            _worlds[chapter] = error
    found = _worlds[chapter]
    if isinstance(found, TooLarge):
        raise TooLarge(str(found))
    return found


def _explore_world(chapter: Chapter, limit: int) -> WorldModel:
    actions: list[ActionTuple] = []
    for action in chapter.all_actions():
        actions.append(action)
        if len(actions) > limit:
            raise TooLarge(f"more than {limit:,} actions")
    choices = [(a, Fraction(0)) for a in actions]
    states, rows, starts = _explore(chapter, lambda _: choices, limit)
    index = {state: i for i, state in enumerate(states)}
    return WorldModel(states, index, tuple(actions), rows, starts)


def _explore(
    chapter: Chapter,
    step: Callable[[StateTuple], list[tuple[ActionTuple, Fraction]]],
    limit: int,
) -> tuple[tuple[StateTuple, ...], tuple[tuple[Row, ...], ...], Successors]:
    index: dict[StateTuple, int] = {}
    states: list[StateTuple] = []

    def number(state: StateTuple) -> int:
        if state not in index:
            if len(states) >= limit:
                raise TooLarge(f"more than {limit:,} states")
            index[state] = len(states)
            states.append(state)
        return index[state]

    starts = tuple((number(x), w) for x, w in chapter.starts if not chapter.is_done(x))
    rows: list[tuple[Row, ...]] = []
    while len(rows) < len(states):
        state = states[len(rows)]
        found: list[Row] = []
        for actions, cost in step(state):
            reward, weights = -cost, dict[int, Fraction]()
            for outcome in chapter.outcomes(state, actions):
                reward += outcome.weight * outcome.reward
                if not chapter.is_done(outcome.successor):
                    at = number(outcome.successor)
                    weights[at] = weights.get(at, Fraction(0)) + outcome.weight
            found.append(Row(reward, tuple(weights.items())))
        rows.append(tuple(found))
    return tuple(states), tuple(rows), starts


# --- values under a discount ---------------------------------------------------------------------


def solve(rows: Sequence[tuple[Number, Mapping[int, Number]]], *, one: Number) -> list[Number]:
    """The v with v_i = b_i + sum a_ij v_j, by eliminating states, those with the fewest neighbours first.

    Works in floats and, exactly, in `Fraction`s; `rows` holds b and the entries a_ij by j.
    """
    base: list[Number] = [b for b, _ in rows]
    out: list[dict[int, Number]] = [dict(a) for _, a in rows]
    into: list[set[int]] = [set() for _ in rows]
    for i, row in enumerate(out):
        for j in row:
            if j != i:
                into[j].add(i)
    heap = [(_fill(out[i], into[i]), i) for i in range(len(out))]
    heapify(heap)
    gone = [False] * len(out)
    eliminated: list[int] = []
    while heap:
        fill, k = heappop(heap)
        if gone[k]:
            continue
        now = _fill(out[k], into[k])
        if now > fill:
            heappush(heap, (now, k))
            continue
        gone[k] = True
        eliminated.append(k)
        own = out[k].pop(k, None)
        if own is not None:
            factor = one / (one - own)
            base[k] *= factor
            for j in out[k]:
                out[k][j] *= factor
        for j in out[k]:
            into[j].discard(k)
        for i in into[k]:
            weight = out[i].pop(k)
            base[i] += weight * base[k]
            target = out[i]
            for j, a in out[k].items():
                target[j] = target[j] + weight * a if j in target else weight * a
                if j != i:
                    into[j].add(i)
    values: list[Number] = list(base)
    for k in reversed(eliminated):
        for j, a in out[k].items():
            values[k] += a * values[j]
    return values


def _fill(out: Mapping[int, object], into: Iterable[int]) -> int:
    return len(out) * len(into)  # type: ignore[arg-type]


def float_discount(discount: Fraction) -> float:
    """A discount for computing in floats; raises TooLarge where they could not tell it from 1."""
    if 1 - discount < NEAREST_TO_ONE:
        raise TooLarge("with a discount within 10^-12 of 1 floats are too coarse")
    return float(discount)


def as_float(value: Fraction) -> float:
    """The nearest float; raises TooLarge where there is none."""
    try:
        return float(value)
    except OverflowError:
        raise TooLarge("numbers beyond what floats can follow") from None


def float_values(rows: Sequence[Row], discount: Fraction) -> list[float]:
    """The discounted values of a chain, in floats."""
    g = float_discount(discount)
    return solve(
        [(as_float(r.reward), {j: g * float(w) for j, w in r.successors}) for r in rows], one=1.0
    )


def exact_values(rows: Sequence[Row], discount: Fraction) -> list[Fraction]:
    """The discounted values of a chain."""
    return solve(
        [(r.reward, {j: discount * w for j, w in r.successors}) for r in rows], one=Fraction(1)
    )


def visits(rows: Sequence[Row], starts: Successors, discount: Fraction) -> list[float]:
    """How often each state of a chain is expected to be visited from the starts, discounted, in floats."""
    g = float_discount(discount)
    into: list[dict[int, float]] = [{} for _ in rows]
    for i, row in enumerate(rows):
        for j, w in row.successors:
            into[j][i] = into[j].get(i, 0.0) + g * float(w)
    first = [0.0] * len(rows)
    for i, weight in starts:
        first[i] += float(weight)
    return solve([(b, a) for b, a in zip(first, into, strict=True)], one=1.0)


def best_values(model: WorldModel, discount: Fraction) -> tuple[list[float], list[int]]:
    """The values no program exceeds, in floats, and the number of a best action in each state: policy iteration."""
    g = float_discount(discount)
    rows = [
        [(as_float(r.reward), [(j, g * float(w)) for j, w in r.successors]) for r in row]
        for row in model.rows
    ]
    choice = [max(range(len(row)), key=lambda a: (row[a][0], -a)) for row in rows]
    while True:
        values = solve(
            [(rows[i][a][0], dict(rows[i][a][1])) for i, a in enumerate(choice)], one=1.0
        )
        changed = False
        for i, row in enumerate(rows):
            scores = [r + fsum(w * values[j] for j, w in after) for r, after in row]
            best = max(range(len(row)), key=lambda a: (scores[a], -a))
            if scores[best] > scores[choice[i]] + 1e-9 * max(1.0, abs(scores[best])):
                choice[i], changed = best, True
        if not changed:
            return values, choice
