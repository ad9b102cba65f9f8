"""Where decisions are tried out: the world that a program meets, and what other decisions in it would be worth.

Floats, which only rank guesses. Of unknowns a sample of worlds is looked at; the adversary answers with its best replies to
the decisions that are tried. Under `worst` the starts that are worth least count, else all of them alike. A world that is
too large to write out under every action is written out for the program, and for other actions where it is most often.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import fsum, inf, prod
from typing import TypeAlias

from dsl.machine import ActionTuple, Decision, Program, UnknownTuple
from dsl.polynomial import Weight, substitute
from dsl.types import cardinality
from godel.families.decisions import Decisions, Situation
from godel.families.family import Workplace
from godel.families.world import ACTIONS_MAX, Sample, StepWorld
from proofs.explicit import number_of, point_of, require_listable
from proofs.games import (
    FloatRow,
    TooLarge,
    after_step,
    as_float,
    float_discount,
    one_sided,
    solve_floats,
    worst_reply,
)
from proofs.kernel.certificate import Pair

EPSILON = 1e-9
DRAWS_MAX = 200_000
"""How many draws are looked at beside those that the program itself meets."""
OWN_DRAWS_MAX = 400_000
SOLVED_MAX = 4_000
"""Up to how many pairs visits are worked out by solving."""
PUSHES_MAX = 100_000
LAYERED_MAX = 4_000_000
"""How many values a table with a layer for each step may hold."""

Choice: TypeAlias = Mapping[Situation, ActionTuple]


@dataclass(frozen=True, slots=True)
class Option:
    """What one action comes to in a pair: its price in ticks, and for each reply reward and successors."""

    cost: Fraction
    replies: tuple[tuple[Weight, tuple[tuple[int, Weight], ...]], ...]
    breaks: bool


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one choice of actions, by situation and action: the gain weighted by visits, the plain advantage, and the least
    advantage anywhere.

    Where several worlds count, what loses in one of them is worth that loss.
    """

    weighted: Mapping[Situation, Mapping[ActionTuple, float]]
    plain: Mapping[Situation, Mapping[ActionTuple, float]]
    least: Mapping[Situation, Mapping[ActionTuple, float]]


class Full(Exception):
    """Enough has been looked at."""


class Graph:
    """The pairs of state and memory that are met for one joint value of the finite unknowns, with the options in each."""

    def __init__(self, world: StepWorld, decisions: Decisions, unknowns: UnknownTuple) -> None:
        self.world, self.decisions, self.unknowns = world, decisions, unknowns
        self.price = world.task.utility.tick_price
        self.pairs: list[Pair] = []
        self.situations: list[Situation] = []
        self.members: dict[Situation, list[int]] = {}
        self.options: list[dict[ActionTuple, Option]] = []
        self.draws = 0
        self._index: dict[Pair, int] = {}
        memory = decisions.program.memory_start
        self.starts = [
            [(self._number((x, memory)), w) for x, w in drawn] for drawn in world.starts(unknowns)
        ]

    def follow(self, limit: int) -> None:
        """Write out what the program does in the pairs that have no option yet, and in those that this leads to."""
        while len(self.options) < len(self.pairs):
            if self.draws > limit:
                raise Full
            i = len(self.options)
            decision = self.decisions.at(self.situations[i])
            self.options.append({decision.actions: self._option(i, decision)})

    def widen(self, i: int) -> None:
        """Write out the other actions of a pair."""
        situation = self.situations[i]
        for actions in self.world.choices(self.decisions.at(situation).actions):
            if actions not in self.options[i]:
                decision = self.decisions.forced(situation, actions)
                if decision is not None:
                    self.options[i][actions] = self._option(i, decision)

    def _option(self, i: int, decision: Decision) -> Option:
        moves = self.world.moves(self.unknowns, self.pairs[i][0], decision.actions)
        self.draws += moves.draws
        memory = decision.memory
        replies = tuple(
            (reward, tuple([(self._number((x, memory)), w) for x, w in after]))
            for reward, after in moves.replies
        )
        return Option(self.price * decision.ticks, replies, moves.breaks)

    def _number(self, pair: Pair) -> int:
        found = self._index.get(pair)
        if found is None:
            found = self._index[pair] = len(self.pairs)
            self.pairs.append(pair)
            situation = self.decisions.situation(*pair)
            self.situations.append(situation)
            self.members.setdefault(situation, []).append(found)
        return found

    # --- once all is written out -----------------------------------------------------------------

    def forget_unfinished(self) -> None:
        """Drop what leads to pairs that were not written out any more."""
        unfinished = self._leading_to(set(range(len(self.options), len(self.pairs))))
        for i, options in enumerate(self.options):
            own = self.decisions.at(self.situations[i]).actions
            if i in unfinished:
                self.options[i] = {}
                continue
            for actions in [a for a in options if a != own]:
                if not unfinished.isdisjoint(_after(options[actions])):
                    del options[actions]
        self.options += [{} for _ in range(len(self.pairs) - len(self.options))]

    def spoilt(self) -> set[int]:
        """The pairs from which the program itself may break a requirement that must always hold."""
        first = {
            i
            for i, options in enumerate(self.options)
            if options and options[self.decisions.at(self.situations[i]).actions].breaks
        }
        return self._leading_to(first)

    def _leading_to(self, found: set[int]) -> set[int]:
        """The pairs from which the program may come to one of these, and these."""
        if not found:
            return found
        into: dict[int, list[int]] = {}
        for i, options in enumerate(self.options):
            own = options.get(self.decisions.at(self.situations[i]).actions)
            for j in () if own is None else _after(own):
                into.setdefault(j, []).append(i)
        todo = list(found)
        while todo:
            for i in into.get(todo.pop(), ()):
                if i not in found:
                    found.add(i)
                    todo.append(i)
        return found


def _after(option: Option) -> Iterable[int]:
    return (j for _, after in option.replies for j, _ in after)


class View:
    """A graph in floats, at one value of the rational unknowns."""

    def __init__(self, graph: Graph, point: tuple[Fraction, ...], discount: Fraction) -> None:
        self.graph = graph
        at, g = point_of(graph.world.chapter, point), float(discount)

        def number(weight: Weight) -> float:
            return as_float(number_of(substitute(weight, at)) if at else weight)

        def row(cost: float, reward: Weight, after: tuple[tuple[int, Weight], ...]) -> FloatRow:
            weights = tuple([g * number(w) for _, w in after])
            return number(reward) - cost, tuple([j for j, _ in after]), weights

        self.rows: list[dict[ActionTuple, tuple[FloatRow, ...]]] = [
            {a: tuple([row(float(o.cost), *r) for r in o.replies]) for a, o in options.items()}
            for options in graph.options
        ]
        self.starts = [[(i, number(w)) for i, w in drawn] for drawn in graph.starts]

    def taken(self, choice: Choice, paying: Decisions | None) -> list[tuple[FloatRow, ...]]:
        """The rows of the actions chosen, one for each reply; what is not written out counts nothing.

        With `paying` the ticks are those of another program.
        """
        nothing: tuple[FloatRow, ...] = ((0.0, (), ()),)
        found: list[tuple[FloatRow, ...]] = []
        price = float(self.graph.price)
        for i, options in enumerate(self.rows):
            situation = self.graph.situations[i]
            row = options[choice[situation]] if options else nothing
            if options and paying is not None:
                cost = self.graph.options[i][choice[situation]].cost
                saved = float(cost) - price * paying.at(situation).ticks
                row = tuple([(reward + saved, to, weights) for reward, to, weights in row])
            found.append(row)
        return found


Layer: TypeAlias = tuple[list[float], list[float], list[float]]
"""Values now, values after the step, visits."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A view under a choice: values, by layers where there are some, and the rows that the adversary answers with."""

    values: list[float]
    layers: list[list[float]]
    rows: list[list[FloatRow]]


class Played:
    """Every view under a choice."""

    def __init__(self, views: list[_Part], scratch: Scratch) -> None:
        self.views = views
        self.by_view = [
            [fsum(w * part.values[i] for i, w in drawn) for drawn in view.starts]
            for view, part in zip(scratch.views, views, strict=True)
        ]
        self.at_starts = [v for values in self.by_view for v in values]


class _Sums:
    """Scores while they are added up; `losses` holds the worst of several worlds."""

    def __init__(self, allowed: Mapping[Situation, tuple[ActionTuple, ...]]) -> None:
        self.weighted = {s: dict.fromkeys(a, 0.0) for s, a in allowed.items()}
        self.plain = {s: dict.fromkeys(a, 0.0) for s, a in allowed.items()}
        self.least = {s: dict.fromkeys(a, inf) for s, a in allowed.items()}
        self.losses = {s: dict.fromkeys(a, inf) for s, a in allowed.items()}


class Scratch:
    """Decisions of a program to try out; unless `wide`, only its own ones are written out. Raises TooLarge."""

    def __init__(self, work: Workplace, program: Program, *, wide: bool = True) -> None:
        utility = program.task.utility
        self.horizon, self.better = utility.horizon, utility.better
        if utility.horizon is None:
            float_discount(utility.discount)
        if work.world is None:
            work.world = StepWorld(work.chapter)
        self.decisions = Decisions(program)
        self.graphs = [
            Graph(work.world, self.decisions, sample.unknowns) for sample in work.world.samples
        ]
        self._write_out(work.world.samples, wide)
        self.views = [
            View(graph, point, utility.discount)
            for graph, sample in zip(self.graphs, work.world.samples, strict=True)
            for point in sample.points
        ]
        self.allowed, self.broken = self._list_allowed()
        self.start_choice: dict[Situation, ActionTuple] = {
            situation: self.decisions.at(situation).actions for situation in self.allowed
        }

    @cached_property
    def first(self) -> Played:
        """The program as it is."""
        return self.play(self.start_choice)

    @cached_property
    def first_scores(self) -> Scores:
        """The scores of the program as it is."""
        return self.scores(self.first)

    @cached_property
    def is_plain(self) -> bool:
        """Whether there is but one start, nothing that is unknown, and nobody who replies."""
        return len(self.views) == 1 and all(
            len(view.starts) == 1 and all(len(r) == 1 for row in view.rows for r in row.values())
            for view in self.views
        )

    @property
    def steps(self) -> int:
        """How many pairs one evaluation goes through."""
        return sum(len(view.rows) for view in self.views)

    # --- writing out -----------------------------------------------------------------------------

    def _write_out(self, samples: tuple[Sample, ...], wide: bool) -> None:
        views = sum(len(sample.points) for sample in samples)
        for graph in self.graphs:
            try:
                graph.follow(OWN_DRAWS_MAX // len(self.graphs))
            except Full:
                raise TooLarge(f"more than {OWN_DRAWS_MAX:,} draws") from None
        layers = self.horizon or 1
        if layers * views * sum(len(g.pairs) for g in self.graphs) > LAYERED_MAX:
            raise TooLarge("a horizon too long to sweep")
        for graph in self.graphs:
            if wide:
                self._widen(graph, graph.draws + DRAWS_MAX // len(self.graphs) // min(layers, 10))
            graph.forget_unfinished()

    def _widen(self, graph: Graph, limit: int) -> None:
        """Write out other actions, pair by pair; where that is too much, first where the program is most often."""
        actions = prod(cardinality(v.type) or 1 for v in graph.world.task.actions)
        order = list(range(len(graph.pairs)))
        if actions > ACTIONS_MAX or graph.draws * actions > limit:
            often = self._often(graph)
            order.sort(key=lambda i: (-often[i], i))
        widened: set[int] = set()
        number = 0
        while number < len(graph.pairs):
            i = order[number] if number < len(order) else number
            number += 1
            # an action is tried in every pair that looks the same
            for member in graph.members[graph.situations[i]]:
                if member in widened:
                    continue
                widened.add(member)
                try:
                    graph.widen(member)
                    graph.follow(limit)
                except Full:
                    return
                if graph.draws > limit:
                    return

    def _often(self, graph: Graph) -> list[float]:
        """How often the program visits each pair."""
        discount = graph.world.task.utility.discount
        if self.horizon is not None:
            discount = 1 - Fraction(1, self.horizon + 1)
        point = next(
            sample.points[-1] for sample in graph.world.samples if sample.unknowns == graph.unknowns
        )
        view = View(graph, point, discount)
        rows = [
            options[self.decisions.at(situation).actions]
            for options, situation in zip(view.rows, graph.situations, strict=True)
        ]
        if all(len(row) == 1 for row in rows):
            chosen = [row[0] for row in rows]
        else:
            _, picks = one_sided(rows, least=True)
            chosen = [row[pick] for row, pick in zip(rows, picks, strict=True)]
        return _visits(chosen, _shared(view.starts, [1.0] * len(view.starts)))

    def _list_allowed(
        self,
    ) -> tuple[dict[Situation, tuple[ActionTuple, ...]], dict[Situation, frozenset[ActionTuple]]]:
        """By situation the actions that can be tried wherever it is met, and those that break a requirement somewhere."""
        allowed: dict[Situation, set[ActionTuple]] = {}
        broken: dict[Situation, set[ActionTuple]] = {}
        for graph in self.graphs:
            spoilt = graph.spoilt()
            for i, options in enumerate(graph.options):
                if not options:
                    continue
                situation = graph.situations[i]
                if situation in allowed:
                    allowed[situation] &= options.keys()
                else:
                    allowed[situation] = set(options)
                for actions, option in options.items():
                    if option.breaks or (spoilt and not spoilt.isdisjoint(_after(option))):
                        broken.setdefault(situation, set()).add(actions)
        return (
            {situation: tuple(sorted(found)) for situation, found in allowed.items()},
            {situation: frozenset(found) for situation, found in broken.items()},
        )

    # --- values ----------------------------------------------------------------------------------

    def play(self, choice: Choice, paying: Decisions | None = None) -> Played:
        """The values under a choice of actions, at the ticks of the program or of another one."""
        return Played([self._play(view, choice, paying) for view in self.views], self)

    def scores(self, played: Played) -> Scores:
        """What other actions would be worth, the others left as they are."""
        found = _Sums(self.allowed)
        several = self.better != "worst" and len(self.views) > 1
        counting = self._counting(played.by_view)
        for view, part, shares in zip(self.views, played.views, counting, strict=True):
            if any(shares):
                self._collect(view, part, _shared(view.starts, shares), found, several)
        if several:
            for situation, losses in found.losses.items():
                for actions, loss in losses.items():
                    if loss < -EPSILON:
                        found.weighted[situation][actions] = loss
                        found.plain[situation][actions] = loss
        return Scores(found.weighted, found.plain, found.least)

    def rises(self, new: Played, old: Played, *, cost: float = 0.0) -> bool:
        """Whether the values at the starts seem to be better ones, `cost` taken off the new ones."""
        gains = [n - cost - o for n, o in zip(new.at_starts, old.at_starts, strict=True)]
        if self.better == "worst":
            return min(new.at_starts) - cost > min(old.at_starts) + EPSILON
        if self.better == "strictly":
            return min(gains) > EPSILON
        return min(gains) >= -EPSILON and max(gains) > EPSILON

    def _counting(self, at_starts: list[list[float]]) -> list[list[float]]:
        """How much each start counts."""
        if self.better != "worst":
            count = sum(map(len, at_starts))
            return [[1 / count] * len(values) for values in at_starts]
        lowest = min(v for values in at_starts for v in values)
        end = lowest + EPSILON * max(1.0, abs(lowest))
        count = sum(v <= end for values in at_starts for v in values)
        return [[(v <= end) / count for v in values] for values in at_starts]

    def _play(self, view: View, choice: Choice, paying: Decisions | None) -> _Part:
        rows = view.taken(choice, paying)
        if self.horizon is None:
            values, picks = one_sided(rows, least=True)
            return _Part(values, [values], [[r[p] for r, p in zip(rows, picks, strict=True)]])
        layers, chosen = [[0.0] * len(rows)], list[list[FloatRow]]()
        for _ in range(self.horizon):
            below = layers[-1]
            chosen.append([row[worst_reply(row, below)] for row in rows])
            layers.append([after_step(row, below) for row in chosen[-1]])
        return _Part(layers[-1], layers, chosen)

    def _layers(self, played: _Part, first: list[tuple[int, float]]) -> Iterable[Layer]:
        """Values before and after a step with the visits then, summed up under a discount, step by step under a horizon."""
        if self.horizon is None:
            yield played.values, played.values, _visits(played.rows[0], first)
            return
        often = [0.0] * len(played.values)
        for i, w in first:
            often[i] += w
        for k in range(self.horizon, 0, -1):
            yield played.layers[k], played.layers[k - 1], often
            following = [0.0] * len(often)
            for i, weight in enumerate(often):
                if weight:
                    _, to, weights = played.rows[k - 1][i]
                    for j, w in zip(to, weights, strict=True):
                        following[j] += weight * w
            often = following

    def _collect(
        self,
        view: View,
        played: _Part,
        first: list[tuple[int, float]],
        found: _Sums,
        several: bool,
    ) -> None:
        """Add up the advantages of a view."""
        layers = list(self._layers(played, first))
        for situation, allowed in self.allowed.items():
            members = view.graph.members.get(situation, ())
            for actions in allowed if members else ():
                w_sum, p_sum, least = 0.0, 0.0, inf
                for i in members:
                    options = view.rows[i].get(actions)
                    if options is None:
                        continue
                    for now, after, often in layers:
                        if len(options) == 1:
                            gain = after_step(options[0], after) - now[i]
                        else:
                            gain = min(after_step(row, after) for row in options) - now[i]
                        p_sum += gain
                        w_sum += often[i] * gain
                        least = min(least, gain)
                found.weighted[situation][actions] += w_sum
                found.plain[situation][actions] += p_sum
                found.least[situation][actions] = min(found.least[situation][actions], least)
                if several:
                    visited = any(often[i] for _, _, often in layers for i in members)
                    loss = w_sum if visited else p_sum
                    losses = found.losses[situation]
                    losses[actions] = min(losses[actions], loss)

    # --- where things lie ------------------------------------------------------------------------

    def reached(self, choice: Choice) -> set[Situation]:
        """The situations that are met under a choice, whatever is drawn and replied."""
        found: set[Situation] = set()
        for graph in self.graphs:
            seen = {i for drawn in graph.starts for i, _ in drawn}
            todo = list(seen)
            while todo:
                i = todo.pop()
                found.add(graph.situations[i])
                for j in _after(graph.options[i][choice[graph.situations[i]]]):
                    if j not in seen:
                        seen.add(j)
                        todo.append(j)
        return found

    @cached_property
    def near(self) -> Mapping[Situation, set[Situation]]:
        """Which situations some action leads between, either way."""
        found: dict[Situation, set[Situation]] = {s: set() for s in self.allowed}
        for graph in self.graphs:
            for i, options in enumerate(graph.options):
                here = graph.situations[i]
                for option in options.values():
                    for j in _after(option):
                        there = graph.situations[j]
                        if here in found and there in found:
                            found[here].add(there)
                            found[there].add(here)
        return found


def _shared(starts: list[list[tuple[int, float]]], shares: list[float]) -> list[tuple[int, float]]:
    """Starts as one, each with its share."""
    return [
        (i, share * w)
        for drawn, share in zip(starts, shares, strict=True)
        if share
        for i, w in drawn
    ]


def _visits(rows: list[FloatRow], first: list[tuple[int, float]]) -> list[float]:
    """How often each pair is expected to be visited; weights hold the discount. Of many pairs only those met often count."""
    if len(rows) > SOLVED_MAX:
        return _pushed(rows, first)
    start = [0.0] * len(rows)
    for i, weight in first:
        start[i] += weight
    into: list[dict[int, float]] = [{} for _ in rows]
    for i, (_, to, weights) in enumerate(rows):
        for j, w in zip(to, weights, strict=True):
            into[j][i] = into[j].get(i, 0.0) + w
    return solve_floats(
        [(b, tuple(a), tuple(a.values())) for b, a in zip(start, into, strict=True)]
    )


def _pushed(rows: list[FloatRow], first: list[tuple[int, float]]) -> list[float]:
    """Visits by handing weight on from pair to pair, until what is left is little or enough has been handed on.

    The local push of Andersen, Chung and Lang (2006).
    """
    found, waiting = [0.0] * len(rows), [0.0] * len(rows)
    for i, weight in first:
        waiting[i] += weight
    queue = deque(i for i, weight in enumerate(waiting) if weight)
    least = fsum(waiting) / PUSHES_MAX
    pushes = 0
    while queue and pushes < PUSHES_MAX:
        i = queue.popleft()
        weight, waiting[i] = waiting[i], 0.0
        found[i] += weight
        _, to, weights = rows[i]
        pushes += 1
        for j, w in zip(to, weights, strict=True):
            before = waiting[j]
            waiting[j] = before + weight * w
            if before < least <= waiting[j]:
                queue.append(j)
    return found


def scratch_of(work: Workplace, program: Program) -> Scratch:
    """The scratch of a program, made once while it is asked for. Raises TooLarge."""
    require_listable(work.chapter)
    if work.scratch is None or work.scratch[0] != program.digest:
        work.scratch = (program.digest, Scratch(work, program))
    return work.scratch[1]
