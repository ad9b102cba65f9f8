"""What Z3 is asked about a rewrite, and what its answers come to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from dsl.interp import EvaluationFault
from dsl.machine import Program, Task
from proofs.kernel.certificate import (
    BetterCertificate,
    BoundsCertificate,
    Certificate,
    NotBetterCertificate,
    OptimalityCertificate,
    Table,
)
from proofs.premises import (
    Direction,
    Premise,
    PremiseError,
    bound_premise,
    comparison_premise,
    start_bound,
)


class SolverSays(Enum):
    """`unsat` on every premise, `sat` on one (so that somebody is wrong), or no answer."""

    PROVED = "unsat"
    CONTRADICTS = "sat"
    UNKNOWN = "unknown"


BETTER_PREMISES = (
    "the lower bound of the new program",
    "the upper bound of the old program",
    "the comparison of the two",
)


@dataclass(frozen=True, slots=True)
class SolverAnswer:
    """Z3's answer to all premises of an obligation, and the resource units they took."""

    says: SolverSays
    rlimit_used: int
    reason: str = ""


def list_premises(
    task: Task, certificate: Certificate, *, old: Program | None, new: Program
) -> list[Premise]:
    """The premises of a rule under a certificate, in the order of the rule's figure. Raises PremiseError."""

    def bound(table: Table, program: Program | None, direction: Direction) -> Premise:
        return bound_premise(task, table, program=program, direction=direction)

    match certificate:
        case BetterCertificate(new_lower, old_upper) if old is not None:
            return [
                bound(new_lower, new, "lower"),
                bound(old_upper, old, "upper"),
                _comparison(task, old, new, old_upper, new_lower, better=True),
            ]
        case NotBetterCertificate(new_upper, old_lower) if old is not None:
            return [
                bound(new_upper, new, "upper"),
                bound(old_lower, old, "lower"),
                _comparison(task, old, new, old_lower, new_upper, better=False),
            ]
        case OptimalityCertificate(lower, upper):
            return [bound(upper, None, "upper"), bound(lower, new, "lower")]
        case BoundsCertificate(some_lower, some_upper):
            sides = ((some_lower, "lower"), (some_upper, "upper"))
            return [bound(t, new, d) for t, d in sides if t is not None]  # type: ignore[arg-type]
        case _:
            raise PremiseError("the rule compares two programs")


def _comparison(
    task: Task, old: Program, new: Program, old_table: Table, new_table: Table, *, better: bool
) -> Premise:
    return comparison_premise(
        task,
        new=new,
        old=old,
        new_bound=start_bound(task, new_table),
        old_bound=start_bound(task, old_table),
        better=better,
    )


def ask_about_improvement(
    task: Task,
    old: Program,
    new: Program,
    certificate: BetterCertificate,
    *,
    rlimit: int,
    threads: int,
) -> SolverAnswer:
    """Whether Z3 finds every premise of rule `better` to hold; `rlimit` bounds each."""
    from proofs.prover import Sat, Unknown, Unsat, prove_all

    try:
        premises = list_premises(task, certificate, old=old, new=new)
    except (PremiseError, EvaluationFault, LookupError, ValueError) as error:
        # a finder may be wrong in any way; a table that cannot be stated is no proof
        return SolverAnswer(SolverSays.UNKNOWN, 0, f"the premises cannot be stated: {error!r}")
    answers = prove_all(premises, rlimit=rlimit, jobs=threads)
    used = sum(answer.rlimit_used for answer in answers)
    for name, answer in zip(BETTER_PREMISES, answers, strict=True):
        match answer:
            case Unsat():
                continue
            case Sat():
                return SolverAnswer(SolverSays.CONTRADICTS, used, f"solver: sat on {name}")
            case Unknown(_, reason):
                return SolverAnswer(
                    SolverSays.UNKNOWN, used, f"solver: unknown ({reason}) on {name}"
                )
    return SolverAnswer(SolverSays.PROVED, used)


def ask_about_code(program: Program, *, rlimit: int) -> SolverAnswer:
    """Whether Z3 finds the program total, after the kernel has."""
    from proofs.totality_smt import find_broken

    broken, unproved, used = find_broken(program.task, program, rlimit=rlimit)
    if broken:
        return SolverAnswer(SolverSays.CONTRADICTS, used, broken[0].message)
    if unproved:
        return SolverAnswer(SolverSays.UNKNOWN, used, unproved[0].message)
    return SolverAnswer(SolverSays.PROVED, used)
