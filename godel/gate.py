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
from proofs.kernel.certificate import (
    BetterCertificate,
    BetterWorstCertificate,
    BoundsCertificate,
    ChoiceCertificate,
    InvariantCertificate,
    NotBetterCertificate,
    NotBetterHereCertificate,
    NotBetterWorstCertificate,
    OptimalityCertificate,
    PathCertificate,
    PointwiseCertificate,
    RankCertificate,
)
from proofs.kernel.chapter import Chapter
from proofs.kernel.check import (
    Breaks,
    IsBestChoice,
    IsBetter,
    IsBounded,
    IsNotBetter,
    IsOptimal,
    Keeps,
    check,
)
from proofs.kernel.theorem import CertificateError, Moment, Theorem
from proofs.solver import (
    SolverAnswer,
    SolverSays,
    ask_about_code,
    ask_about_improvement,
    ask_about_requirement,
)
from proofs.tactics.bounds import Grid
from proofs.tactics.choice import STATES_MAX as CHOICE_STATES_MAX
from proofs.tactics.choice import find_choice
from proofs.tactics.compare import (
    Bounders,
    estimate_gap,
    find_bounds,
    find_evidence,
    find_optimality,
)
from proofs.tactics.requirements import find_requirement

DEFAULT_RLIMIT = 50_000_000
KEPT_PROGRAMS = 16

Better: TypeAlias = BetterCertificate | BetterWorstCertificate | PointwiseCertificate
Worse: TypeAlias = (
    NotBetterCertificate | NotBetterHereCertificate | NotBetterWorstCertificate | PathCertificate
)
Keeping: TypeAlias = InvariantCertificate | RankCertificate


@dataclass(frozen=True, slots=True)
class Costs:
    """What judging took: Z3's resource units, and premises that the kernel evaluated."""

    rlimit: int
    kernel_steps: int


@dataclass(frozen=True, slots=True)
class KeptRequirement:
    """Proved: the new code keeps this requirement."""

    name: str
    theorem: Theorem
    certificate: Keeping


@dataclass(frozen=True, slots=True)
class Accepted:
    """Proved: the new code is an improvement and keeps every requirement, in the order in which they are declared.

    Z3 said `unsat` to every premise and the kernel made the theorems.
    """

    code: s.Code
    theorem: Theorem
    certificate: Better
    kept: tuple[KeptRequirement, ...]
    costs: Costs


@dataclass(frozen=True, slots=True)
class Refused:
    """Proved: the new code is no improvement, or breaks a requirement."""

    code: s.Code
    theorem: Theorem
    certificate: Worse
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


class NotKept(Exception):
    """A requirement that is not proved of a program; with its theorem and path where it is proved to be broken."""

    def __init__(
        self,
        name: str,
        reason: str,
        *,
        disagreement: bool = False,
        theorem: Theorem | None = None,
        certificate: PathCertificate | None = None,
        rlimit_used: int = 0,
    ) -> None:
        self.name, self.reason, self.disagreement = name, reason, disagreement
        self.theorem, self.certificate = theorem, certificate
        self.rlimit_used = rlimit_used
        super().__init__(f"{name}: {reason}")


@dataclass(slots=True)
class Gate:
    """Judges rewrites in one chapter.

    `rlimit` bounds Z3's work on each premise, `threads` how many premises it works on at once; neither changes what a
    verdict means.
    """

    chapter: Chapter
    rlimit: int = DEFAULT_RLIMIT
    threads: int = 2
    _bounders: OrderedDict[str, Bounders] = field(default_factory=OrderedDict, repr=False)
    _every: Bounders | None = field(default=None, repr=False)
    _choices: Bounders | None = field(default=None, repr=False)

    def judge(self, old: s.Code, edits: tuple[Edit, ...], *, rlimit: int | None = None) -> Verdict:
        """The verdict on a rewrite of `old`, which must itself be total; `rlimit` takes the place of the gate's."""
        return _Judging(self, old, edits, self.rlimit if rlimit is None else rlimit).verdict()

    def bounders(self, program: Program) -> Bounders:
        """Where bounds of a program are found; those of the programs asked for last are kept."""
        found = self._bounders.pop(program.digest, None) or Bounders(self.chapter, program)
        self._bounders[program.digest] = found
        while len(self._bounders) > KEPT_PROGRAMS:
            self._bounders.popitem(last=False)
        return found

    def prove_gap(
        self, code: s.Code, grid: Grid = Grid.FINE
    ) -> tuple[Theorem, OptimalityCertificate]:
        """The theorem that no program beats this one by more than some gap, in any world. Raises TooLarge."""
        program = self.bounders(self.chapter.program(code))
        certificate = find_optimality(self.chapter, program, self._every_program(), grid)
        return check(IsOptimal(self.chapter, code), certificate), certificate

    def estimate_gap(self, code: s.Code) -> Fraction:
        """What `prove_gap` would show, without showing it. Raises TooLarge."""
        program = self.bounders(self.chapter.program(code))
        return estimate_gap(self.chapter, program, self._every_program())

    def prove_bounds(self, code: s.Code) -> tuple[Theorem, BoundsCertificate]:
        """The theorem that the value of the code, size left out, lies between bounds in every world. Raises TooLarge."""
        certificate = find_bounds(self.chapter, self.bounders(self.chapter.program(code)))
        return check(IsBounded(self.chapter, code), certificate), certificate

    def prove_choice(
        self, code: s.Code, moment: Moment
    ) -> tuple[Theorem, ChoiceCertificate] | None:
        """The theorem that what the code does at a moment is better than anything else, where one is found."""
        small = {"limit": CHOICE_STATES_MAX}
        program = Bounders(self.chapter, self.chapter.program(code), **small)
        if self._choices is None:
            self._choices = Bounders(self.chapter, None, **small)
        try:
            certificate = find_choice(self.chapter, program, self._choices, moment)
            if certificate is None:
                return None
            return check(IsBestChoice(self.chapter, code, moment), certificate), certificate
        except (TooLarge, CertificateError):
            return None

    def _every_program(self) -> Bounders:
        if self._every is None:
            self._every = Bounders(self.chapter, None)
        return self._every


class _Judging:
    """One rewrite on its way to a verdict."""

    def __init__(self, gate: Gate, old: s.Code, edits: tuple[Edit, ...], rlimit: int) -> None:
        self.rlimit = rlimit
        self.gate, self.chapter, self.old, self.edits = gate, gate.chapter, old, edits
        self.steps, self.spent = gate.chapter.steps, 0

    def costs(self) -> Costs:
        return Costs(self.spent, self.chapter.steps - self.steps)

    def verdict(self) -> Verdict:
        found = judge_validity(self.chapter, self.old, self.edits)
        if isinstance(found, NotValid):
            return Invalid(found.reason, found.diagnostics, self.costs())
        if isinstance(found, NotShown):
            return Undecided(found.code, found.reason, False, self.costs())
        new = found.code
        answer = ask_about_code(found.program, rlimit=self.rlimit)
        self.spent += answer.rlimit_used
        if answer.says is not SolverSays.PROVED:
            return Undecided(new, *_doubt(answer, "totality"), self.costs())
        try:
            return self._of_program(new, found.program)
        except NotKept as error:
            self.spent += error.rlimit_used
            if error.theorem is not None and error.certificate is not None:
                return Refused(new, error.theorem, error.certificate, self.costs())
            return Undecided(new, str(error), error.disagreement, self.costs())
        except TooLarge as error:
            return Undecided(new, f"no certificate was found: {error}", False, self.costs())
        except CertificateError as error:
            return Undecided(new, _rejects(error), False, self.costs())

    def _of_program(self, new: s.Code, program: Program) -> Verdict:
        """Requirements that are broken refuse first; then the values decide; then requirements must be proved."""
        evidence_kept = _search_requirements(self.chapter, program)
        before = self.chapter.program(self.old)
        evidence = find_evidence(
            self.chapter, self.gate.bounders(before), self.gate.bounders(program)
        )
        if isinstance(
            evidence, NotBetterCertificate | NotBetterHereCertificate | NotBetterWorstCertificate
        ):
            theorem = check(IsNotBetter(self.chapter, self.old, new), evidence)
            return Refused(new, theorem, evidence, self.costs())
        kept, used = _prove_kept(
            self.chapter, program, evidence_kept, self.rlimit, self.gate.threads
        )
        self.spent += used
        answer = ask_about_improvement(
            self.chapter.task,
            before,
            program,
            evidence,
            rlimit=self.rlimit,
            threads=self.gate.threads,
        )
        self.spent += answer.rlimit_used
        proved = answer.says is SolverSays.PROVED
        try:
            theorem = check(IsBetter(self.chapter, self.old, new), evidence)
        except CertificateError as error:
            return Undecided(new, _rejects(error), proved, self.costs())
        if not proved:
            return Undecided(new, *_doubt(answer, "the improvement"), self.costs())
        return Accepted(new, theorem, evidence, kept, self.costs())


# --- requirements --------------------------------------------------------------------------------


def require_kept(
    chapter: Chapter, program: Program, *, rlimit: int = DEFAULT_RLIMIT, threads: int = 2
) -> tuple[KeptRequirement, ...]:
    """The theorems that a program keeps every requirement, in the order in which they are declared. Raises NotKept."""
    found = _search_requirements(chapter, program)
    return _prove_kept(chapter, program, found, rlimit, threads)[0]


def prove_requirements(
    chapter: Chapter, program: Program, *, rlimit: int = DEFAULT_RLIMIT, threads: int = 2
) -> list[tuple[str, KeptRequirement | None]]:
    """Each requirement by name, with the theorem that the program keeps it, where that is proved."""
    proved: list[tuple[str, KeptRequirement | None]] = []
    for requirement in chapter.task.requirements:
        name = requirement.name
        try:
            found = find_requirement(chapter, program, requirement)
            if isinstance(found, PathCertificate):
                proved.append((name, None))
                continue
            kept, _ = _prove_kept(chapter, program, {name: found}, rlimit, threads)
            proved.append((name, kept[0]))
        except (NotKept, TooLarge):
            proved.append((name, None))
    return proved


def _search_requirements(chapter: Chapter, program: Program) -> dict[str, Keeping | str]:
    """A certificate for each requirement, or why none was found; raises NotKept for one that is proved to be broken."""
    found: dict[str, Keeping | str] = {}
    for requirement in chapter.task.requirements:
        name = requirement.name
        try:
            certificate = find_requirement(chapter, program, requirement)
        except TooLarge as error:
            found[name] = f"no certificate was found: {error}"
            continue
        if not isinstance(certificate, PathCertificate):
            found[name] = certificate
            continue
        try:
            theorem = check(Breaks(chapter, name, program.code), certificate)
        except CertificateError as error:
            found[name] = _rejects(error)
            continue
        raise NotKept(name, "it is broken", theorem=theorem, certificate=certificate)
    return found


def _prove_kept(
    chapter: Chapter,
    program: Program,
    found: dict[str, Keeping | str],
    rlimit: int,
    threads: int,
) -> tuple[tuple[KeptRequirement, ...], int]:
    """The theorems, after Z3 has found every premise to hold, and the resource units that took. Raises NotKept."""
    kept: list[KeptRequirement] = []
    used = 0
    for name, certificate in found.items():
        if isinstance(certificate, str):
            raise NotKept(name, certificate, rlimit_used=used)
        answer = ask_about_requirement(
            chapter.task, program, name, certificate, rlimit=rlimit, threads=threads
        )
        used += answer.rlimit_used
        proved = answer.says is SolverSays.PROVED
        try:
            theorem = check(Keeps(chapter, name, program.code), certificate)
        except CertificateError as error:
            raise NotKept(name, _rejects(error), disagreement=proved, rlimit_used=used) from None
        if not proved:
            reason, disagreement = _doubt(answer, f"the requirement {name}")
            raise NotKept(name, reason, disagreement=disagreement, rlimit_used=used)
        kept.append(KeptRequirement(name, theorem, certificate))
    return tuple(kept), used


def _rejects(error: CertificateError) -> str:
    return f"the kernel rejects the certificate: {error}"


def _doubt(answer: SolverAnswer, what: str) -> tuple[str, bool]:
    if answer.says is SolverSays.CONTRADICTS:
        return (
            f"Z3 contradicts the kernel on {what}: {answer.reason}; something is wrong with us",
            True,
        )
    return f"Z3 did not prove {what}: {answer.reason}", False
