"""Find out whether what a program does at a moment is better than anything else that it could do."""

from __future__ import annotations

from dataclasses import replace

from dsl.machine import Program, UnknownTuple
from proofs.explicit import corner_points, start_worlds, unknown_values
from proofs.kernel import rules
from proofs.kernel.certificate import ChoiceCertificate
from proofs.kernel.chapter import Chapter
from proofs.kernel.region import Region
from proofs.kernel.rules import Place
from proofs.kernel.theorem import Moment
from proofs.tactics.bounders import Bounders
from proofs.tactics.bounds import Bound, Direction, Grid, on_grid
from proofs.tactics.farkas import Recorder
from proofs.tactics.pieces import Piece, Pieces, leaves_of, make_case, part

LEAVES_MAX = 32
STATES_MAX = 5_000
"""In how large a search world a choice is proved to be the best; it is asked at every `apply`."""


def find_choice(
    chapter: Chapter, bounders: Bounders, every: Bounders, moment: Moment, grid: Grid = Grid.FINE
) -> ChoiceCertificate | None:
    """That the program's choice at a moment is the best, by the greatest margin that is seen; None where that is not seen.

    Raises TooLarge.
    """
    program = bounders.program
    if program is None:
        raise ValueError("a program makes a choice")
    steps = chapter.steps
    found = _Finder(chapter, program, bounders, every, moment, grid).find()
    # what a search looks at is no premise
    chapter.steps = steps
    shown = [p.least(chapter) for x in found.values() for p in leaves_of(x) if p.differences]
    if not shown:
        return None
    # a round number below the margin is a margin too
    margin = on_grid(min(shown), Direction.LOWER, Grid.COARSE) or min(shown)
    cases = tuple(
        make_case(
            chapter, u, p, lambda place, t: rules.best_choice(place, program, t, moment, margin)
        )
        for u, p in found.items()
    )
    return ChoiceCertificate(cases, margin)


class _Finder:
    def __init__(
        self,
        chapter: Chapter,
        program: Program,
        bounders: Bounders,
        every: Bounders,
        moment: Moment,
        grid: Grid,
    ) -> None:
        self.chapter, self.program, self.moment, self.grid = chapter, program, moment, grid
        self.bounders, self.every = bounders, every

    def find(self) -> dict[UnknownTuple, Pieces]:
        """Pieces with a positive margin that make up every world; none where none are found or the moment never comes."""
        values = unknown_values(self.chapter)
        for u in values:  # that a world is too large is seen before anything is worked out
            self.every.of(u)
            self.bounders.of(u)
        if not any(map(self._comes, values)):
            return {}
        found: dict[UnknownTuple, Pieces] = {}
        for u in values:
            pieces = self._pieces(u)
            if pieces is None:
                return {}
            found[u] = pieces
        return found

    def _comes(self, u: UnknownTuple) -> bool:
        """Whether the moment may come in a world with these unknowns."""
        place = self._place(Region.whole(self.chapter.task, u))
        return bool(rules.pairs_at(place, self.program, self.moment))

    def _place(self, region: Region) -> Place:
        starts = start_worlds(self.chapter, region.unknowns)
        return Place(self.chapter, region, tuple(starts), Recorder())

    def _pieces(self, u: UnknownTuple) -> Pieces | None:
        """Regions that make up all worlds with these unknowns, each with a positive margin; None where none are found."""
        whole = Region.whole(self.chapter.task, u)
        names = self.bounders.names(u) | self.every.names(u)
        if names:
            # where it fails at one point, no cut helps
            for point in reversed(corner_points(self.chapter, whole)):
                if self._shown(Region.point(u, point)) is None:
                    return None
        return part(self.chapter, whole, self._shown, names, LEAVES_MAX)

    def _shown(self, region: Region) -> Piece | None:
        piece = self._piece(region)
        return piece if not piece.differences or piece.least(self.chapter) > 0 else None

    def _piece(self, region: Region) -> Piece:
        """The tables that leave the greatest margin on a region."""
        found: list[Piece] = []
        open_ = self.bounders.is_open(region) or self.every.is_open(region)
        for flat in (False, True) if open_ else (False,):
            low = self.bounders.bound(Direction.LOWER, self.grid, region, flat=flat)
            high = self.every.bound(Direction.UPPER, self.grid, region, flat=flat)
            found.append(self._compared(region, low, high))
        return max(found, key=lambda p: p.least(self.chapter) if p.differences else 0)

    def _compared(self, region: Region, low: Bound, high: Bound) -> Piece:
        place = self._place(region)
        numbers = {pair: i for i, pair in enumerate(high.model.states)}
        states = [state for state, _ in rules.pairs_at(place, self.program, self.moment)]
        # with an adversary, a table holds what its replies lead to: here every reply is one's own
        layer = 0 if self.moment.step is None else len(high.layers) - 1 - self.moment.step
        high = replace(high, also={layer: tuple(numbers[state, ()] for state in states)})
        tables = low.table(), high.table()
        pairs = rules.choices_apart(place, self.program, tables, self.moment)
        return Piece(region, (low, high), tuple(b - a for a, b in pairs))
