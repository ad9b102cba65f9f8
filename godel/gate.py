"""The gate: one candidate rewrite in, one of four verdicts out, each with its evidence."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from dsl import syntax as s
from dsl.errors import Diagnostic
from dsl.machine import Program
from dsl.rewrite import Edit
from godel.validity import NotShown, NotValid, judge_validity
from proofs.explicit import TooLarge
from proofs.kernel.certificate import BetterCertificate, NotBetterCertificate, OptimalityCertificate
from proofs.kernel.chapter import Chapter
from proofs.kernel.check import IsBetter, IsNotBetter, IsOptimal, check
from proofs.kernel.theorem import CertificateError, Theorem
from proofs.solver import SolverAnswer, SolverSays, ask_about_code, ask_about_improvement
from proofs.tactics.tables import Bound, Direction, Grid, ProgramBounds, bound_every_program

DEFAULT_RLIMIT = 50_000_000
KEPT_PROGRAMS = 16


@dataclass(frozen=True, slots=True)
class Costs:
    """What judging took: Z3's resource units, and premises that the kernel evaluated."""

    rlimit: int
    kernel_steps: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """Proved: the new code is an improvement. Z3 said `unsat` to every premise and the kernel made the theorem."""

    code: s.Code
    theorem: Theorem
    certificate: BetterCertificate
    costs: Costs


@dataclass(frozen=True, slots=True)
class Refused:
    """Proved: the new code is no improvement."""

    code: s.Code
    theorem: Theorem
    certificate: NotBetterCertificate
    costs: Costs


@dataclass(frozen=True, slots=True)
class Undecided:
    """Neither was shown. `disagreement` means that Z3 and the kernel contradict each other: something is wrong with us."""

    code: s.Code
    reason: str
    disagreement: bool
    costs: Costs


@dataclass(frozen=True, slots=True)
class Invalid:
    """Not a program: the edits do not apply, the result does not check, or it is not total."""

    reason: str
    diagnostics: tuple[Diagnostic, ...]
    costs: Costs


Verdict: TypeAlias = Accepted | Refused | Undecided | Invalid


@dataclass(slots=True)
class Gate:
    """Judges rewrites in one chapter.

    `rlimit` bounds Z3's work on each premise, `threads` how many premises it works on at once; neither changes what a
    verdict means.
    """

    chapter: Chapter
    rlimit: int = DEFAULT_RLIMIT
    threads: int = 2
    _bounds: OrderedDict[str, ProgramBounds] = field(default_factory=OrderedDict, repr=False)
    _optimum: dict[Grid, Bound] = field(default_factory=dict, repr=False)

    def judge(self, old: s.Code, edits: tuple[Edit, ...]) -> Verdict:
        """The verdict on a rewrite of `old`, which must itself be total."""
        steps = self.chapter.steps
        spent = 0

        def costs() -> Costs:
            return Costs(spent, self.chapter.steps - steps)

        found = judge_validity(self.chapter, old, edits)
        if isinstance(found, NotValid):
            return Invalid(found.reason, found.diagnostics, costs())
        if isinstance(found, NotShown):
            return Undecided(found.code, found.reason, False, costs())
        new, program = found.code, found.program
        answer = ask_about_code(program, rlimit=self.rlimit)
        spent += answer.rlimit_used
        if answer.says is not SolverSays.PROVED:
            return Undecided(new, *_doubt(answer, "totality"), costs())
        try:
            evidence = self._evidence(self.chapter.program(old), program)
        except TooLarge as error:
            return Undecided(new, f"no certificate was found: {error}", False, costs())
        if isinstance(evidence, str):
            return Undecided(new, evidence, False, costs())
        if isinstance(evidence, NotBetterCertificate):
            try:
                theorem = check(IsNotBetter(self.chapter, old, new), evidence)
            except CertificateError as error:
                return Undecided(new, _rejects(error), False, costs())
            return Refused(new, theorem, evidence, costs())
        answer = ask_about_improvement(
            self.chapter.task,
            self.chapter.program(old),
            program,
            evidence,
            rlimit=self.rlimit,
            threads=self.threads,
        )
        spent += answer.rlimit_used
        try:
            theorem = check(IsBetter(self.chapter, old, new), evidence)
        except CertificateError as error:
            return Undecided(new, _rejects(error), answer.says is SolverSays.PROVED, costs())
        if answer.says is not SolverSays.PROVED:
            return Undecided(new, *_doubt(answer, "the improvement"), costs())
        return Accepted(new, theorem, evidence, costs())

    def _evidence(
        self, old: Program, new: Program
    ) -> BetterCertificate | NotBetterCertificate | str:
        """A certificate one way or the other: coarse values first, then finer, then the exact solution."""
        before, after = self._bounds_of(old), self._bounds_of(new)
        old_size, new_size = self.chapter.size_cost(old), self.chapter.size_cost(new)
        for grid in Grid:
            new_lower = after.bound(Direction.LOWER, grid)
            old_upper = before.bound(Direction.UPPER, grid)
            if new_lower.at_starts - new_size > old_upper.at_starts - old_size:
                return BetterCertificate(new_lower.table, old_upper.table)
            new_upper = after.bound(Direction.UPPER, grid)
            old_lower = before.bound(Direction.LOWER, grid)
            if new_upper.at_starts - new_size <= old_lower.at_starts - old_size:
                return NotBetterCertificate(new_upper.table, old_lower.table)
        return "the bounds of old and new overlap even for the exact solution"

    def _bounds_of(self, program: Program) -> ProgramBounds:
        found = self._bounds.pop(program.digest, None) or ProgramBounds(self.chapter, program)
        self._bounds[program.digest] = found
        while len(self._bounds) > KEPT_PROGRAMS:
            self._bounds.popitem(last=False)
        return found

    def prove_gap(
        self, code: s.Code, grid: Grid = Grid.FINE
    ) -> tuple[Theorem, OptimalityCertificate]:
        """The theorem that no program beats this one by more than some gap. Raises TooLarge."""
        if grid not in self._optimum:
            self._optimum[grid] = bound_every_program(self.chapter, grid)
        lower = self._bounds_of(self.chapter.program(code)).bound(Direction.LOWER, grid)
        certificate = OptimalityCertificate(lower.table, self._optimum[grid].table)
        return check(IsOptimal(self.chapter, code), certificate), certificate

    def estimate_gap(self, code: s.Code) -> Fraction:
        """What `prove_gap` would show, without showing it. Raises TooLarge."""
        if Grid.FINE not in self._optimum:
            self._optimum[Grid.FINE] = bound_every_program(self.chapter, Grid.FINE)
        program = self.chapter.program(code)
        lower = self._bounds_of(program).bound(Direction.LOWER, Grid.FINE).at_starts
        return self._optimum[Grid.FINE].at_starts - lower + self.chapter.size_cost(program)


def _rejects(error: CertificateError) -> str:
    return f"the kernel rejects the certificate: {error}"


def _doubt(answer: SolverAnswer, what: str) -> tuple[str, bool]:
    if answer.says is SolverSays.CONTRADICTS:
        return (
            f"Z3 contradicts the kernel on {what}: {answer.reason}; something is wrong with us",
            True,
        )
    return f"Z3 did not prove {what}: {answer.reason}", False
