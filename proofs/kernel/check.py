"""Check a certificate against an obligation, using no solver."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from dsl import syntax as s
from dsl.machine import Program
from proofs.kernel import rules
from proofs.kernel.certificate import (
    BetterCertificate,
    BoundsCertificate,
    Certificate,
    NotBetterCertificate,
    OptimalityCertificate,
)
from proofs.kernel.chapter import Chapter
from proofs.kernel.theorem import (
    CertificateError,
    Chain,
    Improvement,
    NoImprovement,
    Optimality,
    Statement,
    Theorem,
    ValueBounds,
    _make_theorem,
)


@dataclass(frozen=True, slots=True)
class IsBetter:
    """To show: the new code is an improvement on the old, by the declared criterion."""

    chapter: Chapter
    old: s.Code
    new: s.Code


@dataclass(frozen=True, slots=True)
class IsNotBetter:
    """To show: the new code is no improvement on the old."""

    chapter: Chapter
    old: s.Code
    new: s.Code


@dataclass(frozen=True, slots=True)
class IsBounded:
    """To show: the value of the code lies between bounds."""

    chapter: Chapter
    code: s.Code


@dataclass(frozen=True, slots=True)
class IsOptimal:
    """To show: no program beats the code by more than some gap."""

    chapter: Chapter
    code: s.Code


@dataclass(frozen=True, slots=True)
class IsChain:
    """To show: the improvements of these theorems, in order, lead from `first` to `last`."""

    chapter: Chapter
    first: str
    last: str


Obligation: TypeAlias = IsBetter | IsNotBetter | IsBounded | IsOptimal | IsChain


def check(obligation: Obligation, certificate: Certificate | tuple[Theorem, ...]) -> Theorem:
    """The theorem that the obligation holds, after every premise has been worked out again.

    Raises CertificateError where a premise fails (NotTotal where code is not proved total), DslError where code does not
    check. The statement comes from the obligation's declarations and code alone, never from the certificate.
    """
    if type(obligation.chapter) is not Chapter:
        raise CertificateError("the chapter is not the kernel's own")
    match obligation, certificate:
        case IsBetter(chapter, old, new), BetterCertificate():
            statement: Statement = _better(
                chapter, chapter.program(old), chapter.program(new), certificate
            )
        case IsNotBetter(chapter, old, new), NotBetterCertificate():
            statement = _not_better(
                chapter, chapter.program(old), chapter.program(new), certificate
            )
        case IsBounded(chapter, code), BoundsCertificate():
            statement = _bounds(chapter, chapter.program(code), certificate)
        case IsOptimal(chapter, code), OptimalityCertificate():
            statement = _optimal(chapter, chapter.program(code), certificate)
        case IsChain(chapter, first, last), tuple() if type(certificate) is tuple:
            statement = _chain(chapter, first, last, certificate)
        case _:
            raise CertificateError(
                f"a {type(certificate).__name__} says nothing about {type(obligation).__name__}"
            )
    return _make_theorem(statement)


def _better(
    chapter: Chapter, old: Program, new: Program, certificate: BetterCertificate
) -> Improvement:
    """Rule `better`, in one world (all criteria coincide there).

    V_new >= l      V_old <= u      l - size(new) > u - size(old)
    -------------------------------------------------------------
                       U_new > U_old at the starts
    """
    new_lower = rules.lower_bound(chapter, new, certificate.new_lower) - chapter.size_cost(new)
    old_upper = rules.upper_bound(chapter, old, certificate.old_upper) - chapter.size_cost(old)
    if not new_lower > old_upper:
        raise CertificateError(f"no gain is shown: {new_lower} is not above {old_upper}")
    return Improvement(
        declarations=chapter.digest,
        criterion=chapter.task.utility.better,
        old=old.digest,
        new=new.digest,
        old_upper=old_upper,
        new_lower=new_lower,
        gain=new_lower - old_upper,
    )


def _not_better(
    chapter: Chapter, old: Program, new: Program, certificate: NotBetterCertificate
) -> NoImprovement:
    """The opposite of `better`, in one world.

    V_new <= u      V_old >= l      u - size(new) <= l - size(old)
    --------------------------------------------------------------
                      U_new <= U_old at the starts
    """
    new_upper = rules.upper_bound(chapter, new, certificate.new_upper) - chapter.size_cost(new)
    old_lower = rules.lower_bound(chapter, old, certificate.old_lower) - chapter.size_cost(old)
    if not new_upper <= old_lower:
        raise CertificateError(f"a gain is not ruled out: {new_upper} is above {old_lower}")
    return NoImprovement(
        declarations=chapter.digest,
        criterion=chapter.task.utility.better,
        old=old.digest,
        new=new.digest,
        old_lower=old_lower,
        new_upper=new_upper,
    )


def _bounds(chapter: Chapter, program: Program, certificate: BoundsCertificate) -> ValueBounds:
    """Rules `lower_bound` and `upper_bound`, for those tables that are given."""
    lower, upper = certificate.lower, certificate.upper
    return ValueBounds(
        declarations=chapter.digest,
        program=program.digest,
        lower=None if lower is None else rules.lower_bound(chapter, program, lower),
        upper=None if upper is None else rules.upper_bound(chapter, program, upper),
    )


def _optimal(chapter: Chapter, program: Program, certificate: OptimalityCertificate) -> Optimality:
    """Rule `bound` for every program, against a lower bound of this one.

    V_p <= W for every program p      V >= l
    -------------------------------------------
    U_p - U <= W - (l - size) at the starts
    """
    upper = rules.upper_bound_of_every_program(chapter, certificate.upper)
    lower = rules.lower_bound(chapter, program, certificate.lower) - chapter.size_cost(program)
    return Optimality(
        declarations=chapter.digest,
        program=program.digest,
        lower=lower,
        upper=upper,
        gap=upper - lower,
    )


def _chain(chapter: Chapter, first: str, last: str, links: tuple[Theorem, ...]) -> Chain:
    """Rule `chain`: improvements inside one chapter and one criterion.

    U_1 - U_0 >= g_1    U_2 - U_1 >= g_2    …
    -----------------------------------------
            U_n - U_0 >= g_1 + … + g_n
    """
    at, gain = first, Fraction(0)
    for link in links:
        statement = link.statement if type(link) is Theorem else None
        if not isinstance(statement, Improvement):
            raise CertificateError("a link of a chain must be a theorem of improvement")
        if (
            statement.declarations != chapter.digest
            or statement.criterion != chapter.task.utility.better
        ):
            raise CertificateError("a link of a chain belongs to another chapter or criterion")
        if statement.old != at:
            raise CertificateError(f"a link of a chain starts at {statement.old}, not at {at}")
        at, gain = statement.new, gain + statement.gain
    if at != last:
        raise CertificateError(f"the chain ends at {at}, not at {last}")
    return Chain(chapter.digest, chapter.task.utility.better, first, last, len(links), gain)
