"""Run a program in one of its worlds: sampled returns, which estimate, beside proved bounds, which claim.

The adversary plays as the bound from above of that world names it: its best replies, as far as the bound is tight.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from math import exp, fsum, lcm, log, log1p, sqrt
from random import Random
from typing import TypeAlias, TypeVar

from dsl.compile import compile_program, compile_task
from dsl.machine import Program, World
from dsl.polynomial import substitute
from godel.gate import Gate
from proofs.explicit import TooLarge, corner_points, unknown_values
from proofs.kernel.certificate import Pair, Reply
from proofs.kernel.chapter import Chapter
from proofs.kernel.region import Region, TooMany, rate_box
from proofs.kernel.theorem import ValueBounds
from proofs.tactics.bounds import Direction, Grid
from proofs.tactics.compare import Bounders

TAIL = 1e-9
CUT_MAX = 100_000
STARTS_TRIED = 1_000_000
NORMAL_95 = 1.959963984540054

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Sample:
    """Mean return in `world` with the half width of its 95 % interval (normal approximation), and the proved bounds of V
    over every world.

    `cut` is the length at which discounted episodes are cut, `tail` a bound on what that leaves out where no reward is
    larger than those met; 0 where no episode was cut.
    """

    world: World
    mean: float
    half_width: float
    steps: int
    lower: Fraction | None
    upper: Fraction | None
    reason: str
    cut: int
    tail: float


def simulate_program(
    chapter: Chapter,
    program: Program,
    *,
    episodes: int,
    seed: int,
    chosen: Mapping[str, Fraction | int | bool] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Sample:
    """Sample returns: rewards less ticks, discounted as declared; size is not charged.

    `chosen` names values of what is open in the world; the rest is at the first choice there is. Raises ValueError where
    there is no such world, TooLarge where there are too many to look for one.
    """
    utility = program.task.utility
    world = find_world(chapter, chosen or {})
    runner = _Runner(chapter, program, world, Random(seed))
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
    half_width = NORMAL_95 * spread
    return Sample(world, mean, half_width, runner.steps, lower, upper, reason, shown_cut, tail)


def find_world(chapter: Chapter, chosen: Mapping[str, Fraction | int | bool]) -> World:
    """The first world in which the names have the values given."""
    task = chapter.task
    open_names = [v.name for v in (*task.any_states, *task.unknowns, *task.rationals)]
    strange = sorted(chosen.keys() - set(open_names))
    if strange:
        raise ValueError(
            f"{strange[0]} is not open in this world: {', '.join(open_names) or 'nothing is'}"
        )
    try:
        for unknowns in unknown_values(chapter):
            if not _agree(
                chosen, dict(zip((v.name for v in task.unknowns), unknowns, strict=True))
            ):
                continue
            rationals = _rationals(chapter, Region.whole(task, unknowns), chosen)
            for count, anywhere in enumerate(task.any_starts(unknowns)):
                names = (v.name for v in task.any_states)
                if _agree(chosen, dict(zip(names, anywhere, strict=True))):
                    return World(anywhere, unknowns, rationals)
                if count >= STARTS_TRIED:
                    raise TooLarge(f"no such world among the first {STARTS_TRIED:,} starts")
    except TooMany as error:
        raise TooLarge(str(error)) from None
    raise ValueError("no world has these values")


def _rationals(
    chapter: Chapter, region: Region, chosen: Mapping[str, Fraction | int | bool]
) -> tuple[Fraction, ...]:
    """The rational unknowns: those given, else the middle of what the assumptions leave of them."""
    task = chapter.task
    corners = corner_points(chapter, region)
    middle = [sum(c[i] for c in corners) / Fraction(len(corners)) for i in range(len(region.box))]
    found = tuple(
        Fraction(chosen.get(v.name, m)) for v, m in zip(task.rationals, middle, strict=True)
    )
    if not region.holds(task, found):
        raise ValueError("no world has these values: the rational unknowns are out of bounds")
    return found


def _agree(chosen: Mapping[str, object], found: Mapping[str, object]) -> bool:
    return all(chosen[name] == value for name, value in found.items() if name in chosen)


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


Drawn: TypeAlias = tuple[list[int], int, list[_T]]
"""Cumulated integer weights, their sum, and what is drawn."""


class _Spot:
    """A pair, with the steps to go where the adversary's replies depend on them, and what one step from it may bring.

    `ends` is None until the spot is reached, and empty where the episode ends there.
    """

    __slots__ = ("bits", "ends", "following", "left", "pair", "rewards", "whole")

    def __init__(self, pair: Pair, left: int) -> None:
        self.pair, self.left = pair, left
        self.ends: list[int] | None = None
        self.whole, self.bits = 0, 0
        self.rewards: list[float] = []
        self.following: list[_Spot] = []


class _Runner:
    """Plays episodes in one world."""

    def __init__(self, chapter: Chapter, program: Program, world: World, random: Random) -> None:
        self.chapter, self.program, self.world, self.random = chapter, program, world, random
        self.task, self.policy = compile_task(program.task), compile_program(program)
        self.steps, self.largest, self.was_cut = 0, 0.0, False
        self.rationals = dict(
            zip((v.name for v in program.task.rationals), world.rationals, strict=True)
        )
        self._tables: dict[tuple[Pair, Reply], Drawn[tuple[float, Pair]]] = {}
        self._spots: dict[tuple[Pair, int], _Spot] = {}
        self._replies = _best_replies(chapter, program, world)
        starts = program.task.start_states(world.starts, world.unknowns)
        memory = program.memory_start
        self._starts = _table([((x, memory), self._number(w)) for x, w in starts])

    def _number(self, weight: object) -> Fraction:
        found = substitute(weight, self.rationals)  # type: ignore[arg-type]
        if not isinstance(found, Fraction):
            raise TypeError(f"{found} is no number")
        return found

    def episode(self, limit: int, g: float) -> float:
        """One return."""
        draw = self.random.getrandbits
        ends, whole, pairs = self._starts
        spot = self._spot(pairs[bisect_right(ends, self.random.randrange(whole))], limit)
        total, weight = 0.0, 1.0
        for step in range(limit):
            if not spot.ends:
                if spot.ends is None:
                    self._reach(spot)
                if not spot.ends:
                    self.steps += step
                    return total
            # as `randrange` draws
            drawn = draw(spot.bits)
            while drawn >= spot.whole:
                drawn = draw(spot.bits)
            chosen = bisect_right(spot.ends, drawn)
            total += weight * spot.rewards[chosen]
            weight *= g
            spot = spot.following[chosen]
        self.steps += limit
        self.was_cut = True
        return total

    def _spot(self, pair: Pair, left: int) -> _Spot:
        key = pair, left if len(self._replies) > 1 else 0
        if key not in self._spots:
            self._spots[key] = _Spot(*key)
        return self._spots[key]

    def _reach(self, spot: _Spot) -> None:
        """Work out one step from a spot."""
        if self.task.is_done(spot.pair[0], self.world.unknowns):
            spot.ends = []
            return
        key = spot.pair, self._reply(spot.pair, spot.left)
        if key not in self._tables:
            self._tables[key] = self._step(*key)
        spot.ends, spot.whole, found = self._tables[key]
        spot.bits = spot.whole.bit_length()
        spot.rewards = [reward for reward, _ in found]
        spot.following = [self._spot(pair, spot.left - 1) for _, pair in found]

    def _reply(self, pair: Pair, left: int) -> Reply:
        """What the adversary does with so many steps left: as the bound from above names it, else the first it may."""
        task = self.program.task
        if not task.adversaries and not task.rates:
            return Reply()
        layer = max(0, min(left, len(self._replies)) - 1)
        named = self._replies[layer].get(pair) if self._replies else None
        if named is not None:
            return named
        actions = self.policy.act(*pair).actions
        low = tuple(ends[0] for ends in rate_box(task).values())
        return Reply(self.chapter.replies(pair[0], actions, self.world.unknowns)[0], low)

    def _step(self, pair: Pair, reply: Reply) -> Drawn[tuple[float, Pair]]:
        task = self.program.task
        decided = self.policy.act(*pair)
        known = {
            **self.rationals,
            **dict(zip((v.name for v in task.rates), reply.rates, strict=True)),
        }
        cost = task.utility.tick_price * decided.ticks
        rows: list[tuple[tuple[float, Pair], Fraction]] = []
        for o in self.task.outcomes(pair[0], decided.actions, self.world.unknowns, reply.finite):
            weight, reward = substitute(o.weight, known), substitute(o.reward, known)
            if not isinstance(weight, Fraction) or not isinstance(reward, Fraction):
                raise TypeError("a weight or reward that is no number")
            rows.append(((float(reward - cost), (o.successor, decided.memory)), weight))
        self.largest = max([self.largest, *(abs(r) for (r, _), _ in rows)])
        return _table(rows)


def _table(rows: list[tuple[_T, Fraction]]) -> Drawn[_T]:
    """Cumulated integer weights over a common denominator, so that draws have exactly the declared weights."""
    whole = lcm(*(w.denominator for _, w in rows))
    ends = list(accumulate(int(w * whole) for _, w in rows))
    return ends, whole, [value for value, _ in rows]


def _best_replies(
    chapter: Chapter, program: Program, world: World
) -> tuple[Mapping[Pair, Reply], ...]:
    """What the bound from above of one world names, by steps to go (one for all under a discount)."""
    task = program.task
    if not task.adversaries and not task.rates:
        return ()
    region = Region.point(world.unknowns, world.rationals)
    try:
        bound = Bounders(chapter, program).bound(Direction.UPPER, Grid.COARSE, region)
    except TooLarge:
        return ()
    return tuple(
        {(e.state, e.memory): e.replies[0] for e in layer if e.replies}
        for layer in bound.table().layers
    )


def _bounds(chapter: Chapter, program: Program) -> tuple[Fraction | None, Fraction | None, str]:
    try:
        statement = Gate(chapter).prove_bounds(program.code)[0].statement
    except TooLarge as error:
        return None, None, str(error)
    if not isinstance(statement, ValueBounds):
        raise TypeError(statement)
    return statement.lower, statement.upper, ""
