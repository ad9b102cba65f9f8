"""Find evidence that a program keeps a requirement, or breaks it: what is reached, ranks, and paths that fail.

Ranks are longest ways to the goal, by taking off again and again what leads only to what is ranked already.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import TypeAlias

from dsl.machine import (
    ActionTuple,
    Always,
    Program,
    Reach,
    ReplyTuple,
    Requirement,
    StateTuple,
    UnknownTuple,
    World,
)
from dsl.polynomial import Weight, substitute
from dsl.types import Value
from proofs.explicit import (
    NO_FORMULAS,
    STATES_MAX,
    STEPS_MAX,
    corner_points,
    number_of,
    point_of,
    require_listable,
    start_worlds,
    unknown_values,
)
from proofs.games import TooLarge
from proofs.kernel.certificate import (
    InvariantCertificate,
    Move,
    Pair,
    PathCertificate,
    RankCertificate,
    Reply,
)
from proofs.kernel.chapter import Chapter
from proofs.kernel.region import Region, TooMany, rate_box

Found: TypeAlias = InvariantCertificate | RankCertificate | PathCertificate


def find_requirement(chapter: Chapter, program: Program, requirement: Requirement) -> Found:
    """A certificate that the program keeps the requirement, or a path that breaks it.

    Raises TooLarge where the world is too large to list, or where neither is found.
    """
    if isinstance(requirement, Reach) and requirement.policy not in program.policies:
        raise TooLarge(f"there is no policy {requirement.policy}")
    require_listable(chapter)
    try:
        return _Search(chapter, program, requirement).find()
    except TooMany as error:
        raise TooLarge(f"{NO_FORMULAS}: {error}") from None


@dataclass(frozen=True, slots=True)
class _Step:
    """One draw: the actions and the reply, the pair that follows, and the weight."""

    actions: ActionTuple
    reply: ReplyTuple
    after: Pair
    weight: Weight


@dataclass(frozen=True, slots=True)
class _Arrived:
    """How a path came to a pair: the number of moves, the pair before and the move, or the world it starts in."""

    depth: int
    before: Pair | None
    move: Move | None
    anywhere: tuple[Value, ...]


class _Search:
    def __init__(self, chapter: Chapter, program: Program, requirement: Requirement) -> None:
        self.chapter, self.program, self.requirement = chapter, program, requirement
        self.task = chapter.task
        self.unknowns = unknown_values(chapter)
        self.work = 0

    def find(self) -> Found:
        """The certificate; a path where one is found for any unknowns."""
        requirement = self.requirement
        unshown = False
        sets: list[tuple[UnknownTuple, tuple[Pair, ...]]] = []
        ranked: list[tuple[UnknownTuple, tuple[Pair, ...], tuple[tuple[Pair, int], ...]]] = []
        for u in self.unknowns:
            reached = self._reached(u)
            if isinstance(requirement, Always):
                broken = not all(self._holds(requirement, pair, u) for pair in reached)
                path = self._break_always(requirement, u) if broken else None
                sets.append((u, reached))
            else:
                ranks, failing = self._ranks(requirement, reached, u)
                broken = bool(failing)
                path = self._break_reach(requirement, u, failing) if failing else None
                ranked.append((u, reached, ranks))
            if path is not None:
                return path
            unshown = unshown or broken
        if unshown:
            raise TooLarge(self._no_path())
        if isinstance(requirement, Always):
            return InvariantCertificate(tuple(sets))
        return RankCertificate(tuple(ranked))

    # --- what is reached -------------------------------------------------------------------------

    def _steps(self, pair: Pair, policy: str, u: UnknownTuple) -> Iterator[_Step]:
        """Every draw under every reply, weights with the unknowns put in that have one value."""
        state, memory = pair
        if self.chapter.is_done(state, u):
            return
        decided = self.program.act(state, memory, policy=policy)
        known = Region.whole(self.task, u).fixed(self.task) if self.task.rationals else {}
        for reply in self.chapter.replies(state, decided.actions, u):
            self.work += 1
            if self.work > STEPS_MAX:
                raise TooLarge(f"{NO_FORMULAS}: more than {STEPS_MAX:,} steps")
            for outcome in self.chapter.outcomes(state, decided.actions, u, reply):
                weight = substitute(outcome.weight, known) if known else outcome.weight
                if weight != 0:
                    after = outcome.successor, decided.memory
                    yield _Step(decided.actions, reply, after, weight)

    def _reached(self, u: UnknownTuple) -> tuple[Pair, ...]:
        """Every pair that main reaches, those that are done included, breadth first."""
        found: dict[Pair, None] = {}
        for _, states in start_worlds(self.chapter, u):
            for state, _ in states:
                found[state, self.program.memory_start] = None
        return self._closure(list(found), "main", u)

    def _closure(self, first: list[Pair], policy: str, u: UnknownTuple) -> tuple[Pair, ...]:
        found = dict.fromkeys(first)
        queue = deque(first)
        while queue:
            for step in self._steps(queue.popleft(), policy, u):
                if step.after not in found:
                    if len(found) >= STATES_MAX:
                        raise TooLarge(f"{NO_FORMULAS}: more than {STATES_MAX:,} states")
                    found[step.after] = None
                    queue.append(step.after)
        return tuple(found)

    def _holds(self, requirement: Always, pair: Pair, u: UnknownTuple) -> bool:
        if not requirement.of_step:
            return self.task.holds(requirement.holds, pair[0], u)
        return all(
            self.task.holds_at_step(requirement.holds, pair[0], s.actions, s.after[0], u)
            for s in self._steps(pair, "main", u)
        )

    # --- ranks -----------------------------------------------------------------------------------

    def _ranks(
        self, requirement: Reach, reached: Sequence[Pair], u: UnknownTuple
    ) -> tuple[tuple[tuple[Pair, int], ...], list[Pair]]:
        """The ranks of pairs on the way, and the sources from which the goal may be missed."""
        goals: dict[StateTuple, bool] = {}

        def at_goal(pair: Pair) -> bool:
            state = pair[0]
            if state not in goals:
                goals[state] = self.task.holds(requirement.goal, state, u)
            return goals[state]

        sources = [
            p for p in reached if self.task.holds(requirement.source, p[0], u) and not at_goal(p)
        ]
        after: dict[Pair, set[Pair]] = {}
        into: dict[Pair, list[Pair]] = {}
        queue = deque(dict.fromkeys(sources))
        seen = set(queue)
        while queue:
            pair = queue.popleft()
            if self.chapter.is_done(pair[0], u):
                continue
            follows = {s.after for s in self._steps(pair, requirement.policy, u)}
            after[pair] = {p for p in follows if not at_goal(p)}
            for p in sorted(after[pair], key=repr):
                into.setdefault(p, []).append(pair)
                if p not in seen:
                    seen.add(p)
                    queue.append(p)
        open_ = {pair: len(found) for pair, found in after.items()}
        ranks: dict[Pair, int] = {pair: 1 for pair, count in open_.items() if not count}
        ready = deque(ranks)
        while ready:
            pair = ready.popleft()
            for before in into.get(pair, ()):
                open_[before] -= 1
                if not open_[before]:
                    ranks[before] = 1 + max(ranks[p] for p in after[before])
                    ready.append(before)
        failing = [p for p in sources if ranks.get(p, requirement.steps + 1) > requirement.steps]
        kept = {p: r for p, r in ranks.items() if r <= requirement.steps}
        # only what the sources need: all of it where none fails
        return tuple(kept.items()), failing

    # --- paths that break ------------------------------------------------------------------------

    def _break_always(self, requirement: Always, u: UnknownTuple) -> PathCertificate | None:
        best: PathCertificate | None = None
        for point in self._points(u):
            found = self._shortest_break(requirement, u, point)
            if found is not None and (best is None or len(found.moves) < len(best.moves)):
                best = found
        return best

    def _shortest_break(
        self, requirement: Always, u: UnknownTuple, point: tuple[Fraction, ...]
    ) -> PathCertificate | None:
        for pair, came in self._walk(u, point):
            if not requirement.of_step:
                if not self.task.holds(requirement.holds, pair[0], u):
                    return self._path(came, pair, u, point)
                continue
            if self._beyond(came[pair].depth + 1):
                continue
            for move, step in self._moves(pair, "main", u, point):
                if not self.task.holds_at_step(
                    requirement.holds, pair[0], step.actions, step.after[0], u
                ):
                    path = self._path(came, pair, u, point)
                    moves = (*path.moves, move)
                    return PathCertificate(path.world, path.start, moves, len(moves))
        return None

    def _break_reach(
        self, requirement: Reach, u: UnknownTuple, failing: Sequence[Pair]
    ) -> PathCertificate | None:
        wanted = set(failing)
        best: PathCertificate | None = None
        for point in self._points(u):
            for pair, came in self._walk(u, point):
                if best is not None and came[pair].depth >= best.switch:
                    break
                if pair in wanted:
                    rest = self._miss(requirement, pair, came[pair].depth, u, point)
                    if rest is not None:
                        path = self._path(came, pair, u, point)
                        moves = (*path.moves, *rest)
                        best = PathCertificate(path.world, path.start, moves, path.switch)
                        break
        return best

    def _miss(
        self,
        requirement: Reach,
        pair: Pair,
        depth: int,
        u: UnknownTuple,
        point: tuple[Fraction, ...],
    ) -> tuple[Move, ...] | None:
        """Moves of the named policy that reach the goal at no point, to their end."""
        layers: list[dict[Pair, tuple[Pair, Move] | None]] = [{pair: None}]
        for k in range(requirement.steps + 1):
            for here in layers[-1]:
                if k == requirement.steps or self.chapter.is_done(here[0], u):
                    return _back(layers, here)
            if self._beyond(depth + k + 1):
                return None
            following: dict[Pair, tuple[Pair, Move] | None] = {}
            for here in layers[-1]:
                for move, step in self._moves(here, requirement.policy, u, point):
                    if step.after not in following and not self.task.holds(
                        requirement.goal, step.after[0], u
                    ):
                        following[step.after] = (here, move)
            if not following:
                return None
            layers.append(following)
        return None

    def _walk(
        self, u: UnknownTuple, point: tuple[Fraction, ...]
    ) -> Iterator[tuple[Pair, dict[Pair, _Arrived]]]:
        """Pairs that main reaches in worlds at a point of the unknowns, nearest first, and how each was reached."""
        at = point_of(self.chapter, point)
        came: dict[Pair, _Arrived] = {}
        for anywhere, states in start_worlds(self.chapter, u):
            for state, weight in states:
                if number_of(substitute(weight, at)) > 0:
                    pair = state, self.program.memory_start
                    came.setdefault(pair, _Arrived(0, None, None, anywhere))
        queue = deque(came)
        while queue:
            pair = queue.popleft()
            yield pair, came
            depth = came[pair].depth + 1
            if self._beyond(depth):
                continue
            for move, step in self._moves(pair, "main", u, point):
                if step.after not in came:
                    came[step.after] = _Arrived(depth, pair, move, came[pair].anywhere)
                    queue.append(step.after)

    def _moves(
        self, pair: Pair, policy: str, u: UnknownTuple, point: tuple[Fraction, ...]
    ) -> Iterator[tuple[Move, _Step]]:
        """Draws that have a positive weight at a point, with rates for which they do."""
        at, box = point_of(self.chapter, point), rate_box(self.task)
        middle = tuple((low + high) / 2 for low, high in box.values())
        candidates = [middle, *product(*((low, high) for low, high in box.values()))]
        for step in self._steps(pair, policy, u):
            weight = substitute(step.weight, at)
            for rates in dict.fromkeys(candidates):
                here = number_of(substitute(weight, dict(zip(box, rates, strict=True))))
                if here > 0:
                    yield Move(Reply(step.reply, rates), step.after[0]), step
                    break

    def _points(self, u: UnknownTuple) -> list[tuple[Fraction, ...]]:
        """The middle first, where most weights are positive."""
        found = corner_points(self.chapter, Region.whole(self.task, u))
        return [*found[-1:], *found[:-1]]

    def _beyond(self, moves: int) -> bool:
        horizon = self.task.utility.horizon
        return horizon is not None and moves > horizon

    def _path(
        self,
        came: dict[Pair, _Arrived],
        pair: Pair,
        u: UnknownTuple,
        point: tuple[Fraction, ...],
    ) -> PathCertificate:
        moves: list[Move] = []
        here = came[pair]
        while here.before is not None and here.move is not None:
            moves.append(here.move)
            pair = here.before
            here = came[pair]
        moves.reverse()
        world = World(here.anywhere, u, point)
        return PathCertificate(world, pair[0], tuple(moves), len(moves))

    def _no_path(self) -> str:
        within = "" if self.task.utility.horizon is None else " within the horizon"
        return f"{self.requirement.name} is not shown, and no path that breaks it was found{within}"


def _back(layers: Sequence[dict[Pair, tuple[Pair, Move] | None]], pair: Pair) -> tuple[Move, ...]:
    moves: list[Move] = []
    for layer in reversed(layers):
        came = layer[pair]
        if came is not None:
            pair, move = came
            moves.append(move)
    return tuple(reversed(moves))
