"""Family `improve`: other actions where they seem worth more, in one observed state, a region, or everywhere.

Values are floats and only rank guesses. A change counts by how often its state is visited from the starts and by how much
better the other action is there (the performance difference lemma; Kakade & Langford, ICML 2002, lemma 6.1). Where nothing
that is visited can be bettered, values are swept on a scratch copy of the decisions until the value at the starts rises.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from math import fsum

from dsl.machine import Program
from godel.families.family import Candidate, Family, Workplace
from godel.families.patches import Observation, edit_decisions
from proofs.explicit import Row, TooLarge, WorldModel, as_float, float_discount, solve, visits

EPSILON = 1e-9
HORIZON_MAX = 10_000
RADIUS = 2
UNVISITED_TRIED = 1


def improve(*, states: str, rounds: int = 100, width: int = 4) -> Family:
    """The family with these settings: `states` is `one`, `region` or `all`; at most `rounds` sweeps and `width` regions."""
    shapes = {"one": _one, "region": _region, "all": _all}

    def candidates(workplace: Workplace, program: Program) -> Iterator[Candidate]:
        try:
            scratch = _Scratch(workplace.world(), program, workplace.chapter.task.utility.horizon)
        except TooLarge:
            return
        before = 0
        for choice, note in shapes[states](scratch, rounds, width):
            kept = {o: scratch.world.actions[a] for o, a in scratch.start_choice.items()}
            wanted = {o: scratch.world.actions[a] for o, a in choice.items()}
            edits = edit_decisions(program, wanted, kept)
            if edits is not None:
                yield Candidate(edits, note, scratch.steps - before)
                before = scratch.steps

    return candidates


@dataclass(frozen=True, slots=True)
class _Scores:
    """Of one choice of actions: the value at the starts; by observation and action, the gain weighted by visits, and the
    plain advantage."""

    at_starts: float
    weighted: Mapping[Observation, list[float]]
    plain: Mapping[Observation, list[float]]


class _Scratch:
    """The decisions of a program on a scratch copy, one action number for each observation."""

    def __init__(self, world: WorldModel, program: Program, horizon: int | None) -> None:
        if horizon is not None and horizon > HORIZON_MAX:
            raise TooLarge("a horizon too long to sweep")
        if horizon is None:
            float_discount(program.task.utility.discount)
        self.world, self.program, self.horizon = world, program, horizon
        task = program.task
        self.discount = task.utility.discount
        places = [task.states.index(v) for v in task.observed]
        self.observations = [tuple(x[p] for p in places) for x in world.states]
        self.groups: dict[Observation, list[int]] = {}
        for i, observation in enumerate(self.observations):
            self.groups.setdefault(observation, []).append(i)
        number = {a: i for i, a in enumerate(world.actions)}
        self.start_choice: dict[Observation, int] = {}
        self.cost: list[float] = [0.0] * len(world.states)
        for observation, members in self.groups.items():
            named = {v.name: x for v, x in zip(task.observed, observation, strict=True)}
            decided = program.decide(named)
            actions, ticks = decided.actions, decided.ticks
            self.start_choice[observation] = number[actions]
            for i in members:
                self.cost[i] = as_float(task.utility.tick_price) * ticks
        self.rows = [
            [(as_float(r.reward), [(j, float(w)) for j, w in r.successors]) for r in row]
            for row in world.rows
        ]
        self.steps = 0

    def scores(self, choice: Mapping[Observation, int]) -> _Scores:
        """Evaluate a choice of actions."""
        self.steps += len(self.rows)
        taken = [choice[o] for o in self.observations]
        if self.horizon is None:
            return self._discounted(taken)
        return self._layered(taken, self.horizon)

    def _discounted(self, taken: list[int]) -> _Scores:
        g = float(self.discount)
        chosen = [self.rows[i][a] for i, a in enumerate(taken)]
        values = solve(
            [
                (r - c, {j: g * w for j, w in after})
                for (r, after), c in zip(chosen, self.cost, strict=True)
            ],
            one=1.0,
        )
        rows = [self.world.rows[i][a] for i, a in enumerate(taken)]
        often = visits(rows, self.world.starts, self.discount)
        return self._collect([(values, values, often)], g)

    def _layered(self, taken: list[int], horizon: int) -> _Scores:
        count = len(self.rows)
        layers = [[0.0] * count]
        for _ in range(horizon):
            below = layers[-1]
            layers.append(
                [
                    r - self.cost[i] + fsum(w * below[j] for j, w in after)
                    for i, (r, after) in enumerate(self.rows[i][a] for i, a in enumerate(taken))
                ]
            )
        often = [0.0] * count
        for i, start_weight in self.world.starts:
            often[i] += float(start_weight)
        parts: list[tuple[list[float], list[float], list[float]]] = []
        for k in range(horizon, 0, -1):
            parts.append((layers[k], layers[k - 1], often))
            following = [0.0] * count
            for i, weight in enumerate(often):
                if weight:
                    for j, w in self.rows[i][taken[i]][1]:
                        following[j] += weight * w
            often = following
        return self._collect(parts, 1.0)

    def _collect(
        self, parts: list[tuple[list[float], list[float], list[float]]], g: float
    ) -> _Scores:
        """Add up advantages; each part is (values now, values after the step, visits)."""
        width = len(self.world.actions)
        weighted = {o: [0.0] * width for o in self.groups}
        plain = {o: [0.0] * width for o in self.groups}
        for now, after, often in parts:
            for i, row in enumerate(self.rows):
                w_row, p_row = weighted[self.observations[i]], plain[self.observations[i]]
                for a, (r, successors) in enumerate(row):
                    gain = r - self.cost[i] + g * fsum(w * after[j] for j, w in successors) - now[i]
                    p_row[a] += gain
                    w_row[a] += often[i] * gain
        values = parts[0][0]
        return _Scores(fsum(float(w) * values[i] for i, w in self.world.starts), weighted, plain)

    def best(self, scores: list[float]) -> int:
        """The number of the best action; the first among equals."""
        return max(range(len(scores)), key=lambda a: (scores[a], -a))

    def show(self, observation: Observation) -> str:
        """An observation in words."""
        from dsl.types import show_value

        observed = self.program.task.observed
        return ", ".join(
            f"{v.name} = {show_value(v.type, x)}"
            for v, x in zip(observed, observation, strict=True)
        )

    def neighbours(self) -> Mapping[Observation, set[Observation]]:
        """Which observations some action leads between, either way."""
        found: dict[Observation, set[Observation]] = {o: set() for o in self.groups}
        for i, row in enumerate(self.world.rows):
            for j in chain.from_iterable((k for k, _ in _successors(r)) for r in row):
                a, b = self.observations[i], self.observations[j]
                found[a].add(b)
                found[b].add(a)
        return found


def _successors(row: Row) -> tuple[tuple[int, object], ...]:
    return row.successors


def _ranked(scratch: _Scratch, scores: _Scores) -> list[tuple[Observation, int]]:
    """Single changes that seem to gain, best first; then the best of those in states that are never visited."""
    visited: list[tuple[float, Observation, int]] = []
    unvisited: list[tuple[float, Observation, int]] = []
    for o in scratch.groups:
        for a, gain in enumerate(scores.weighted[o]):
            if gain > EPSILON:
                visited.append((gain, o, a))
            elif scores.plain[o][a] > EPSILON and max(scores.weighted[o], default=0.0) <= EPSILON:
                unvisited.append((scores.plain[o][a], o, a))
    for found in (visited, unvisited):
        found.sort(key=lambda f: (-f[0], repr(f[1]), f[2]))
    return [(o, a) for _, o, a in visited + unvisited[:UNVISITED_TRIED]]


def _one(
    scratch: _Scratch, rounds: int, width: int
) -> Iterator[tuple[dict[Observation, int], str]]:
    for o, a in _ranked(scratch, scratch.scores(scratch.start_choice)):
        yield {o: a}, f"another action at {scratch.show(o)}"


def _region(
    scratch: _Scratch, rounds: int, width: int
) -> Iterator[tuple[dict[Observation, int], str]]:
    """The states around a promising one, each with its best action, swept until the value at the starts rises."""
    first = scratch.scores(scratch.start_choice)
    near = scratch.neighbours()
    for centre, _ in _ranked(scratch, first)[:width]:
        region = _ball(near, centre)
        choice = _swept(scratch, first, region, rounds)
        if choice:
            yield choice, f"{_count(choice)} around {scratch.show(centre)}"


def _all(
    scratch: _Scratch, rounds: int, width: int
) -> Iterator[tuple[dict[Observation, int], str]]:
    """Every state where another action is better, swept until the value at the starts rises."""
    first = scratch.scores(scratch.start_choice)
    choice = _swept(scratch, first, list(scratch.groups), rounds)
    if choice:
        yield choice, f"{_count(choice)} at once"


def _count(choice: Mapping[Observation, int]) -> str:
    return f"{len(choice)} state{'s' * (len(choice) != 1)}"


def _swept(
    scratch: _Scratch, first: _Scores, region: list[Observation], rounds: int
) -> dict[Observation, int]:
    choice, scores = dict(scratch.start_choice), first
    for _ in range(rounds):
        changed = False
        for o in region:
            gains = scores.weighted[o] if max(scores.weighted[o]) > EPSILON else scores.plain[o]
            best = scratch.best(gains)
            if gains[best] > EPSILON:
                choice[o], changed = best, True
        if not changed:
            break
        scores = scratch.scores(choice)
        if scores.at_starts > first.at_starts + EPSILON:
            break
    return {o: a for o, a in choice.items() if a != scratch.start_choice[o]}


def _ball(near: Mapping[Observation, set[Observation]], centre: Observation) -> list[Observation]:
    found = {centre: 0}
    queue = deque([centre])
    while queue:
        at = queue.popleft()
        if found[at] == RADIUS:
            continue
        for other in sorted(near[at], key=repr):
            if other not in found:
                found[other] = found[at] + 1
                queue.append(other)
    return list(found)
