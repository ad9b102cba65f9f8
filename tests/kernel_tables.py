"""Tables with the exact values of small games without rational unknowns, for certificates that leave no room.

An agent maximises over its choices (one for a program, every action for the best there is), an adversary minimises over its
replies: by exact strategy iteration under a discount, by exact recursion under a horizon.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from brute_games import solve

from dsl import syntax as s
from dsl.machine import ActionTuple, MemoryTuple, ReplyTuple, UnknownTuple
from proofs.kernel.certificate import Case, Entry, Leaf, Pair, Reply, Table
from proofs.kernel.chapter import Chapter

Row: TypeAlias = tuple[Fraction, tuple[tuple[Pair, Fraction], ...]]
"""Expected reward, and the pairs that are not done with their weights."""
Group: TypeAlias = tuple[tuple[ReplyTuple, Row], ...]
"""The adversary's replies to one choice."""
Choices: TypeAlias = Callable[[Pair], list[tuple[ActionTuple, MemoryTuple, Fraction]]]
NOTHING = Fraction(0)


@dataclass(frozen=True)
class Game:
    """The pairs that can be met for one value of the finite unknowns, with what may be done in each."""

    chapter: Chapter
    unknowns: UnknownTuple
    groups: Mapping[Pair, tuple[Group, ...]]

    def table(self, *, upper: bool) -> Table:
        """The exact values; in bounds from above every group names a reply that is best against it."""
        horizon = self.chapter.task.utility.horizon
        if horizon is None:
            values = self._solved()
            return Table((self._layer(values, values, upper),))
        layers, below = list[tuple[Entry, ...]](), dict[Pair, Fraction]()
        for _ in range(horizon):
            values = {pair: self._best(pair, below)[0] for pair in self.groups}
            layers.append(self._layer(values, below, upper))
            below = values
        return Table(tuple(layers))

    def _layer(
        self, values: Mapping[Pair, Fraction], below: Mapping[Pair, Fraction], upper: bool
    ) -> tuple[Entry, ...]:
        answered = upper and bool(self.chapter.task.adversaries)
        return tuple(
            Entry(*pair, values[pair], self._replies(pair, below) if answered else ())
            for pair in self.groups
        )

    def _worst(self, group: Group, ahead: Mapping[Pair, Fraction]) -> tuple[Fraction, ReplyTuple]:
        return min((self._worth(row, ahead), reply) for reply, row in group)

    def _worth(self, row: Row, ahead: Mapping[Pair, Fraction]) -> Fraction:
        discount = self.chapter.task.utility.discount
        return row[0] + discount * sum((w * ahead.get(x, NOTHING) for x, w in row[1]), NOTHING)

    def _best(self, pair: Pair, ahead: Mapping[Pair, Fraction]) -> tuple[Fraction, int, ReplyTuple]:
        found = [(*self._worst(group, ahead), i) for i, group in enumerate(self.groups[pair])]
        value, reply, number = max(found, key=lambda f: (f[0], -f[2]))
        return value, number, reply

    def _replies(self, pair: Pair, ahead: Mapping[Pair, Fraction]) -> tuple[Reply, ...]:
        return tuple(Reply(self._worst(group, ahead)[1]) for group in self.groups[pair])

    def _solved(self) -> dict[Pair, Fraction]:
        chosen = {pair: (0, group[0][0][0]) for pair, group in self.groups.items()}
        while True:
            values = self._against(chosen)
            better = {
                pair: (number, reply)
                for pair in self.groups
                for value, number, reply in [self._best(pair, values)]
                if value > values[pair]
            }
            if not better:
                return values
            chosen |= better

    def _against(self, chosen: dict[Pair, tuple[int, ReplyTuple]]) -> dict[Pair, Fraction]:
        """The values when the agent's choices are fixed and the adversary does its best."""
        while True:
            values = self._fixed(chosen)
            worse = {
                pair: (number, reply)
                for pair, (number, _) in chosen.items()
                for value, reply in [self._worst(self.groups[pair][number], values)]
                if value < values[pair]
            }
            if not worse:
                return values
            chosen |= worse

    def _fixed(self, chosen: Mapping[Pair, tuple[int, ReplyTuple]]) -> dict[Pair, Fraction]:
        index = {pair: i for i, pair in enumerate(self.groups)}
        rows: list[list[Fraction]] = []
        for pair, (number, reply) in chosen.items():
            reward, weights = dict(self.groups[pair][number])[reply]
            row = [NOTHING] * len(index) + [reward]
            row[index[pair]] += 1
            for after, weight in weights:
                row[index[after]] -= self.chapter.task.utility.discount * weight
            rows.append(row)
        return dict(zip(index, solve(rows), strict=True))


def play(chapter: Chapter, unknowns: UnknownTuple, start: MemoryTuple, choices: Choices) -> Game:
    """The game over the pairs that can be met from the starts."""
    found: dict[Pair, None] = {}
    for _, states in chapter.start_worlds(unknowns):
        found.update(((x, start), None) for x, _ in states if not chapter.is_done(x, unknowns))
    pending, groups = list(found), dict[Pair, tuple[Group, ...]]()
    for pair in pending:
        listed: list[Group] = []
        for actions, memory, earned in choices(pair):
            group: list[tuple[ReplyTuple, Row]] = []
            for reply in chapter.replies(pair[0], actions, unknowns):
                reward, weights = earned, dict[Pair, Fraction]()
                for outcome in chapter.outcomes(pair[0], actions, unknowns, reply):
                    assert isinstance(outcome.weight, Fraction)
                    assert isinstance(outcome.reward, Fraction)
                    reward += outcome.weight * outcome.reward
                    after = outcome.successor, memory
                    if chapter.is_done(outcome.successor, unknowns):
                        continue
                    weights[after] = weights.get(after, NOTHING) + outcome.weight
                    if after not in found:
                        found[after] = None
                        pending.append(after)
                group.append((reply, (reward, tuple(weights.items()))))
            listed.append(tuple(group))
        groups[pair] = tuple(listed)
    return Game(chapter, unknowns, groups)


def game_of(chapter: Chapter, code: s.Code, unknowns: UnknownTuple = ()) -> Game:
    """The game that a program leaves to the adversary."""
    program, price = chapter.program(code), chapter.task.utility.tick_price

    def choices(pair: Pair) -> list[tuple[ActionTuple, MemoryTuple, Fraction]]:
        decision = program.act(*pair)
        return [(decision.actions, decision.memory, -price * decision.ticks)]

    return play(chapter, unknowns, program.memory_start, choices)


def game_of_all(chapter: Chapter, unknowns: UnknownTuple = ()) -> Game:
    """The game of everything that sees the state and pays no ticks."""
    free = [(actions, (), NOTHING) for actions in chapter.all_actions()]
    return play(chapter, unknowns, (), lambda _: free)


def cases_of(chapter: Chapter, *tables: Callable[[UnknownTuple], Table]) -> tuple[Case, ...]:
    """One leaf for each value of the finite unknowns."""
    found = [region.unknowns for region in chapter.regions()]
    return tuple(Case(u, Leaf(tuple(table(u) for table in tables))) for u in found)


def average(
    chapter: Chapter, table: Table, unknowns: UnknownTuple, start: MemoryTuple
) -> list[Fraction]:
    """The values of a table at the starts, one for each world."""
    values = {(e.state, e.memory): e.value for e in table.layers[-1]}
    found: list[Fraction] = []
    for _, states in chapter.start_worlds(unknowns):
        total = NOTHING
        for state, weight in states:
            value = values.get((state, start), NOTHING)
            assert isinstance(value, Fraction) and isinstance(weight, Fraction)
            total += weight * value
        found.append(total)
    return found
