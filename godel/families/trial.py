"""Whole programs on trial: what other code seems to be worth at the starts, beside the base program."""

from __future__ import annotations

from dataclasses import dataclass

from dsl.check_code import check_code
from dsl.errors import DslError
from dsl.machine import Program
from dsl.polynomial import PolynomialTooLarge
from dsl.rewrite import Edit, RewriteError, apply_rewrite
from godel.families.family import Workplace
from godel.families.scratch import Played, Scratch
from proofs.explicit import TooLarge, require_listable
from proofs.kernel.theorem import CertificateError
from proofs.kernel.totality import find_gaps_in_code

UNTRIED = (TooLarge, CertificateError, PolynomialTooLarge)
"""What is raised where a world cannot be written out, so that nothing can be tried in it."""


@dataclass(frozen=True, slots=True)
class Tried:
    """How a program did: its gain over the base, in floats, whether that counts as one, and its values at the starts."""

    gain: float
    rises: bool
    at_starts: tuple[float, ...]


class Trials:
    """Programs are written out one by one on their own decisions; `steps` counts what is gone through.

    Raises what `UNTRIED` lists.
    """

    def __init__(self, work: Workplace, program: Program) -> None:
        require_listable(work.chapter)
        self.work, self.program = work, program
        self.steps = 0
        self.base = Scratch(work, program, wide=False)
        self._first = self._play(self.base)

    def _play(self, scratch: Scratch) -> Played:
        self.steps += scratch.steps
        return scratch.first

    def check(self, edits: tuple[Edit, ...]) -> Program | None:
        """The program that edits lead to; None where it does not check or is not seen to be total."""
        self.steps += 1
        try:
            program = check_code(self.program.task, apply_rewrite(self.program.code, edits))
        except (RewriteError, DslError):
            return None
        return None if find_gaps_in_code(program) else program

    def value(self, edits: tuple[Edit, ...]) -> Tried | None:
        """How the program that edits lead to does; None where it is none, cannot be tried, or breaks what must hold."""
        program = self.check(edits)
        if program is None or program.digest == self.program.digest:
            return None
        try:
            scratch = Scratch(self.work, program, wide=False)
        except UNTRIED:
            return None
        if scratch.broken and not self.base.broken:
            return None
        played = self._play(scratch)
        larger = float(program.task.utility.size_price) * (program.size - self.program.size)
        old, new = self._first.at_starts, played.at_starts
        if program.task.utility.better == "worst":
            gain = min(new) - min(old)
        else:
            gain = sum(n - o for n, o in zip(new, old, strict=True)) / len(old)
        rises = self.base.rises(played, self._first, cost=larger)
        return Tried(gain - larger, rises, tuple(new))
