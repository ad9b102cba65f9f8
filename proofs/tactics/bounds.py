"""What a search for bounds has found: values by state number, which become a table that the kernel can check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import TypeAlias

from dsl.polynomial import Weight
from proofs.explicit import Model, Step
from proofs.games import TooLarge
from proofs.kernel.certificate import Entry, Reply, Table

ENTRIES_MAX = 2_000_000


class Direction(Enum):
    """Which side a bound is on."""

    LOWER = "lower"
    UPPER = "upper"

    @property
    def sign(self) -> int:
        """1 for a bound from above, -1 for one from below."""
        return 1 if self is Direction.UPPER else -1


class Grid(Enum):
    """How finely values are rounded: to multiples of 1/grid, or not at all."""

    COARSE = 10**8
    FINE = 10**11
    EXACT = 0


Rows: TypeAlias = Sequence[Sequence[Step]]
"""For each pair by number the steps for which its inequality must hold."""
Steps: TypeAlias = Mapping[int, Sequence[Step]] | Rows
"""The same, for some pairs alone or for all."""
Named: TypeAlias = Mapping[int, tuple[Reply, ...]] | Sequence[tuple[Reply, ...]]
"""For each pair by number the replies that an entry names."""


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """Values by pair, one layer or, where `layered`, one for each number of steps to go; `steps` and `named` likewise.

    `at_starts` gives the bound at each start of the model in order, averaged where the start is random. A table lists what
    is reached from the starts, and the pairs of `also`, by layer, with what follows them.
    """

    model: Model
    layers: tuple[Mapping[int, Weight] | Sequence[Weight], ...]
    steps: tuple[Steps, ...]
    named: tuple[Named | None, ...]
    layered: bool = False
    also: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    @property
    def at_starts(self) -> tuple[Weight, ...]:
        """The bound at each start."""
        return tuple(self.at_start(k) for k in range(len(self.model.starts)))

    def at_start(self, number: int) -> Weight:
        """The bound at one start."""
        total: Weight = Fraction(0)
        for i, w in self.model.starts[number].pairs:
            total = total + w * self.layers[-1][i]
        return total

    def table(self, start: int | None = None) -> Table:
        """The entries that are reached from the starts, or from one of them, and from what is to be listed too."""
        starts = self.model.starts if start is None else (self.model.starts[start],)
        first = list(dict.fromkeys(i for s in starts for i, _ in s.pairs))
        if not self.layered:
            first += self.also.get(0, ())
            return Table((self._entries(0, closure(first, self.steps[0])),))
        found: list[tuple[Entry, ...]] = []
        reached = first
        for k in reversed(range(len(self.layers))):
            if k in self.also:
                reached = sorted({*reached, *self.also[k]})
            found.append(self._entries(k, reached))
            reached = following(reached, self.steps[k])
        return Table(tuple(reversed(found)))

    def _entries(self, layer: int, numbers: Sequence[int]) -> tuple[Entry, ...]:
        values, named = self.layers[layer], self.named[layer]
        found: list[Entry] = []
        for i in numbers:
            state, memory = self.model.states[i]
            found.append(Entry(state, memory, values[i], () if named is None else named[i]))
        return tuple(found)


def closure(first: Sequence[int], steps: Steps) -> list[int]:
    """The pairs that steps lead to, in order of number where they are all."""
    seen = set(first)
    todo = list(first)
    while todo:
        for step in steps[todo.pop()]:
            for j, _ in step.successors:
                if j not in seen:
                    seen.add(j)
                    todo.append(j)
    return sorted(seen)


def following(reached: Sequence[int], steps: Steps) -> list[int]:
    """The pairs one step further."""
    return sorted({j for i in reached for step in steps[i] for j, _ in step.successors})


def reached_layers(first: Sequence[int], steps: Steps, horizon: int) -> list[list[int]]:
    """The pairs that may be met after 0, 1, … horizon-1 steps. Raises TooLarge."""
    sets = [sorted(set(first))]
    total = len(sets[0])
    while len(sets) < horizon:
        sets.append(following(sets[-1], steps))
        total += len(sets[-1])
        if total > ENTRIES_MAX or len(sets) > ENTRIES_MAX:
            raise TooLarge(f"a table of more than {ENTRIES_MAX:,} entries")
    return sets


def on_grid(value: Fraction, direction: Direction, grid: Grid) -> Fraction:
    """The value rounded outward."""
    if grid is Grid.EXACT:
        return value
    scale = grid.value
    if direction is Direction.UPPER:
        return Fraction(-(-value.numerator * scale // value.denominator), scale)
    return Fraction(value.numerator * scale // value.denominator, scale)
