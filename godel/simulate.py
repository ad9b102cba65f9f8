"""Run a program in its world: sampled returns, which estimate, beside proved bounds, which claim."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from math import exp, fsum, lcm, log, log1p, sqrt
from random import Random

from dsl.machine import Program, StateTuple
from proofs.explicit import TooLarge
from proofs.kernel.certificate import BoundsCertificate
from proofs.kernel.chapter import Chapter
from proofs.kernel.check import IsBounded, check
from proofs.kernel.theorem import ValueBounds
from proofs.tactics.tables import Direction, Grid, ProgramBounds

TAIL = 1e-9
CUT_MAX = 100_000
NORMAL_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Sample:
    """Mean return with the half width of its 95 % interval (normal approximation), and the proved bounds of V.

    `cut` is the length at which discounted episodes are cut, `tail` a bound on what that leaves out where no reward is
    larger than those met; 0 where no episode was cut.
    """

    mean: float
    half_width: float
    steps: int
    lower: Fraction | None
    upper: Fraction | None
    reason: str
    cut: int
    tail: float


def simulate_program(
    program: Program, *, episodes: int, seed: int, progress: Callable[[int], None] | None = None
) -> Sample:
    """Sample returns: rewards less ticks, discounted as declared; size is not charged."""
    chapter = Chapter(program.task.declarations)
    utility = program.task.utility
    runner = _Runner(chapter, program, Random(seed))
    cut, tail = _cut(utility.horizon, utility.discount)
    returns: list[float] = []
    for i in range(episodes):
        returns.append(runner.episode(cut, float(utility.discount)))
        if progress is not None and i % 100 == 99:
            progress(i + 1)
    if progress is not None:
        progress(episodes)
    mean = fsum(returns) / episodes
    spread = sqrt(fsum((r - mean) ** 2 for r in returns) / (episodes - 1) / episodes)
    lower, upper, reason = _bounds(chapter, program)
    tail *= runner.largest
    shown_cut = 0 if utility.horizon is not None or not runner.was_cut else cut
    return Sample(mean, NORMAL_95 * spread, runner.steps, lower, upper, reason, shown_cut, tail)


def _cut(horizon: int | None, g: Fraction) -> tuple[int, float]:
    """After how many steps an episode is cut, and what all steps after that weigh together."""
    if horizon is not None:
        return horizon, 0.0
    if g == 0:
        return 1, 0.0
    # of 1 - g, not of g, which as a float may be 1
    rate = log(g) if g < Fraction(1, 2) else log1p(-float(1 - g))
    steps = min(CUT_MAX, int(log(TAIL) / rate) + 1) if rate else CUT_MAX
    return steps, exp(steps * rate) / float(1 - g)


class _Runner:
    def __init__(self, chapter: Chapter, program: Program, random: Random) -> None:
        self.chapter, self.program, self.random = chapter, program, random
        self.steps, self.largest, self.was_cut = 0, 0.0, False
        self._tables: dict[StateTuple, tuple[list[int], int, list[tuple[float, StateTuple]]]] = {}
        starts = [((0.0, x), w) for x, w in chapter.starts]
        self._starts = self._table(starts)

    def episode(self, limit: int, g: float) -> float:
        """One return."""
        _, state = self._draw(self._starts)
        total, weight = 0.0, 1.0
        for _ in range(limit):
            if self.chapter.is_done(state):
                return total
            if state not in self._tables:
                self._tables[state] = self._step(state)
            reward, state = self._draw(self._tables[state])
            total += weight * reward
            weight *= g
            self.steps += 1
        self.was_cut = True
        return total

    def _step(self, state: StateTuple) -> tuple[list[int], int, list[tuple[float, StateTuple]]]:
        decided = self.program.act(state)
        actions, ticks = decided.actions, decided.ticks
        cost = self.program.task.utility.tick_price * ticks
        rows = [
            ((float(o.reward - cost), o.successor), o.weight)
            for o in self.chapter.outcomes(state, actions)
        ]
        self.largest = max([self.largest, *(abs(r) for (r, _), _ in rows)])
        return self._table(rows)

    @staticmethod
    def _table(
        rows: list[tuple[tuple[float, StateTuple], Fraction]],
    ) -> tuple[list[int], int, list[tuple[float, StateTuple]]]:
        """Cumulated integer weights over a common denominator, so that draws have exactly the declared weights."""
        whole = lcm(*(w.denominator for _, w in rows))
        ends = list(accumulate(int(w * whole) for _, w in rows))
        return ends, whole, [value for value, _ in rows]

    def _draw(
        self, table: tuple[list[int], int, list[tuple[float, StateTuple]]]
    ) -> tuple[float, StateTuple]:
        ends, whole, found = table
        return found[bisect_right(ends, self.random.randrange(whole))]


def _bounds(chapter: Chapter, program: Program) -> tuple[Fraction | None, Fraction | None, str]:
    try:
        bounds = ProgramBounds(chapter, program)
        lower = bounds.bound(Direction.LOWER, Grid.COARSE)
        upper = bounds.bound(Direction.UPPER, Grid.COARSE)
    except TooLarge as error:
        return None, None, str(error)
    certificate = BoundsCertificate(lower.table, upper.table)
    statement = check(IsBounded(chapter, program.code), certificate).statement
    if not isinstance(statement, ValueBounds):
        raise TypeError(statement)
    return statement.lower, statement.upper, ""
