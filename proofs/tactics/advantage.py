"""Tactic `advantage`: one W that serves as both bounds, W >= T_old W and W <= T_new W, so that V_old <= W <= V_new.

W is the exact value of one of the programs where that is affine in the unknowns; for the other program it then need not be
solved at all, only compared step by step. Ties are shown so where the other value is curved.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from dsl.machine import ActionTuple, MemoryTuple, Program, StateTuple, UnknownTuple
from dsl.polynomial import Polynomial, Weight, total_degree
from proofs.explicit import Model, Step, explore
from proofs.games import TooLarge, exact_values
from proofs.kernel.chapter import Chapter
from proofs.kernel.region import Region
from proofs.tactics.bounds import Bound
from proofs.tactics.unknowns import LeastValue

STATES_MAX = 2_000


class Advantage:
    """Two programs side by side on everything that either reaches; without an adversary and under a discount."""

    def __init__(self, chapter: Chapter, model: Model) -> None:
        self.chapter, self.model = chapter, model
        self.old: list[Step] = [row[0].steps[0] for row in model.options]
        self.new: list[Step] = [row[1].steps[0] for row in model.options]

    @staticmethod
    def between(
        chapter: Chapter, old: Program, new: Program, unknowns: UnknownTuple
    ) -> Advantage | None:
        """The two programs for one joint value of the finite unknowns, where the tactic applies."""
        task = chapter.task
        if task.utility.horizon is not None or task.adversaries or task.rates:
            return None
        if old.memories != new.memories or old.memory_start != new.memory_start:
            return None
        price = task.utility.tick_price

        def choices(
            state: StateTuple, memory: MemoryTuple
        ) -> Sequence[tuple[ActionTuple, MemoryTuple, Weight]]:
            decided = (old.act(state, memory), new.act(state, memory))
            return tuple((d.actions, d.memory, price * d.ticks) for d in decided)

        try:
            model = explore(
                chapter, choices, new.memory_start, unknowns, limit=STATES_MAX, every_action=False
            )
        except TooLarge:
            return None
        return Advantage(chapter, model)

    def bounds(self, region: Region) -> tuple[Bound, Bound] | None:
        """The lower bound of the new program and the upper bound of the old one, where one W makes both."""
        for own in (self.old, self.new):
            values = self._exact(own)
            if values is None or not self._fits(values, region):
                continue
            return self._bound(values, self.new), self._bound(values, self.old)
        return None

    def _exact(self, steps: Sequence[Step]) -> list[Weight] | None:
        if any(total_degree(s.reward) > 1 for s in steps):
            return None
        if any(isinstance(w, Polynomial) for s in steps for _, w in s.successors):
            return None
        discount = self.chapter.task.utility.discount
        return exact_values([(s.reward, s.successors) for s in steps], discount)  # type: ignore[misc]

    def _fits(self, values: Sequence[Weight], region: Region) -> bool:
        floor = LeastValue(self.chapter, region)
        return all(
            floor(self._after(new, values) - v) >= 0 and floor(v - self._after(old, values)) >= 0
            for v, old, new in zip(values, self.old, self.new, strict=True)
        )

    def _after(self, step: Step, values: Sequence[Weight]) -> Weight:
        total = sum((w * values[j] for j, w in step.successors), Fraction(0))
        return step.reward + self.chapter.task.utility.discount * total

    def _bound(self, values: Sequence[Weight], steps: Sequence[Step]) -> Bound:
        rows = tuple((step,) for step in steps)
        return Bound(self.model, (values,), (rows,), (None,))
