"""Bounds of one program in every world, found as they are asked for and kept."""

from __future__ import annotations

from fractions import Fraction

from dsl.machine import Program, UnknownTuple
from dsl.polynomial import names_of
from proofs.explicit import (
    STATES_MAX,
    Model,
    TooLarge,
    explore_actions,
    explore_program,
    names_of_step,
)
from proofs.kernel.chapter import Chapter
from proofs.kernel.region import Region
from proofs.tactics.bounds import Bound, Direction, Grid
from proofs.tactics.tables import Bounder


class Bounders:
    """Bounds of one program, or of every program where there is none, for each joint value of the finite unknowns.

    `limit` is how many states are looked at before a world is too large.
    """

    def __init__(
        self, chapter: Chapter, program: Program | None, *, limit: int = STATES_MAX
    ) -> None:
        self.chapter, self.program, self.limit = chapter, program, limit
        self.size = Fraction(0) if program is None else chapter.size_cost(program)
        self._found: dict[UnknownTuple, Bounder | TooLarge] = {}

    def of(self, unknowns: UnknownTuple) -> Bounder:
        """The bounds for these unknowns. Raises TooLarge."""
        found = self._found.get(unknowns)
        if found is None:
            # that a world is too large is not found out twice
            try:
                found = Bounder(self.chapter, self._explore(unknowns))
            except TooLarge as error:
                found = error
            self._found[unknowns] = found
        if isinstance(found, TooLarge):
            raise TooLarge(str(found))
        return found

    def _explore(self, unknowns: UnknownTuple) -> Model:
        if self.program is None:
            return explore_actions(self.chapter, unknowns, limit=self.limit)
        return explore_program(self.chapter, self.program, unknowns, limit=self.limit)

    def bound(
        self, direction: Direction, grid: Grid, region: Region, *, flat: bool = False
    ) -> Bound:
        """A bound of the value without size on a region; `flat`: by numbers. Raises TooLarge."""
        return self.of(region.unknowns).bound(direction, grid, region, flat=flat)

    def is_open(self, region: Region) -> bool:
        """Whether unknowns that the region leaves open may matter."""
        return self.of(region.unknowns).is_open(region)

    def names(self, unknowns: UnknownTuple) -> frozenset[str]:
        """The rational unknowns that matter."""
        model = self.of(unknowns).model
        if not model.symbolic:
            return frozenset()
        read = {n for row in model.options for o in row for s in o.steps for n in names_of_step(s)}
        read |= {n for start in model.starts for _, w in start.pairs for n in names_of(w)}
        return frozenset(v.name for v in self.chapter.task.rationals if v.name in read)
