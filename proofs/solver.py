"""What Z3 is asked about a rewrite, and what its answers come to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from dsl.interp import EvaluationFault
from dsl.machine import Program, Task, World
from dsl.polynomial import PolynomialTooLarge, Weight
from proofs.kernel.certificate import (
    BetterCertificate,
    BetterWorstCertificate,
    BoundsCertificate,
    Case,
    Certificate,
    ChoiceCertificate,
    Cut,
    InvariantCertificate,
    Leaf,
    NotBetterCertificate,
    NotBetterHereCertificate,
    NotBetterWorstCertificate,
    OptimalityCertificate,
    PathCertificate,
    PointwiseCertificate,
    RankCertificate,
    RequirementCertificate,
    Table,
    Tree,
)
from proofs.kernel.region import Region
from proofs.kernel.theorem import CertificateError, Moment
from proofs.premise_bounds import (
    Direction,
    Place,
    Side,
    bound_premises,
    comparison_premises,
    start_bounds,
)
from proofs.premise_choice import choice_premises
from proofs.premise_requirements import requirement_premises
from proofs.premises import Premise, PremiseError
from proofs.smtlib import TooLarge


class SolverSays(Enum):
    """`unsat` on every premise, `sat` on one (so that somebody is wrong), or no answer."""

    PROVED = "unsat"
    CONTRADICTS = "sat"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SolverAnswer:
    """Z3's answer to all premises of an obligation, and the resource units they took."""

    says: SolverSays
    rlimit_used: int
    reason: str = ""


# --- what is asked -------------------------------------------------------------------------------


def list_premises(
    task: Task,
    certificate: Certificate,
    *,
    old: Program | None,
    new: Program,
    requirement: str | None = None,
    moment: Moment | None = None,
) -> list[Premise]:
    """The premises of a rule under a certificate, in the order of the rule's figure.

    `requirement` names what a certificate about a requirement of `new` is about, `moment` when `new` makes the choice that
    one about a choice is about. Raises PremiseError.
    """
    if isinstance(certificate, InvariantCertificate | RankCertificate | PathCertificate):
        if requirement is None:
            raise PremiseError("a certificate about a requirement needs its name")
        return requirement_premises(task, new, requirement, certificate)
    return list(_Listing(task, old, new, moment).premises(certificate))


class _Listing:
    """The premises about values, for one pair of programs."""

    def __init__(
        self, task: Task, old: Program | None, new: Program, moment: Moment | None
    ) -> None:
        self.task, self._old, self.new, self.moment = task, old, new, moment
        self.several = False

    @property
    def old(self) -> Program:
        if self._old is None:
            raise PremiseError("the rule compares two programs")
        return self._old

    def premises(self, certificate: Certificate) -> Iterator[Premise]:
        """All of them, one place after another, then what is claimed of one world."""
        match certificate:
            case BetterCertificate(cases, gain, world):
                yield from self._everywhere(
                    cases, world, lambda p, t, w: self._better(p, t, gain, w)
                )
            case PointwiseCertificate(cases, gain, world):
                yield from self._everywhere(
                    cases, world, lambda p, t, w: self._pointwise(p, t, gain, w)
                )
            case BetterWorstCertificate(cases, level, world, leaf):
                yield from self._everywhere(cases, None, lambda p, t, _: self._level(p, t, level))
                here = Place.of_world(self.task, world)
                yield from self._below_level(here, leaf, self.old, level, strict=True)
            case NotBetterCertificate(cases):
                yield from self._everywhere(cases, None, lambda p, t, _: self._not_better(p, t))
            case NotBetterHereCertificate(world, leaf):
                strict = self.task.utility.better != "strictly"
                here = Place.of_world(self.task, world)
                yield from self._not_better(here, leaf.tables, strict=strict)
            case NotBetterWorstCertificate(world, leaf, level, cases):
                here = Place.of_world(self.task, world)
                yield from self._below_level(here, leaf, self.new, level, strict=False)
                yield from self._everywhere(
                    cases, None, lambda p, t, _: self._level(p, t, level, of_old=True)
                )
            case OptimalityCertificate(cases, gap):
                yield from self._everywhere(cases, None, lambda p, t, _: self._optimal(p, t, gap))
            case ChoiceCertificate(cases, margin):
                yield from self._everywhere(cases, None, lambda p, t, _: self._choice(p, t, margin))
            case BoundsCertificate(lower, lower_cases, upper, upper_cases):
                if lower is not None:
                    yield from self._bounds(lower, lower_cases, "lower")
                if upper is not None:
                    yield from self._bounds(upper, upper_cases, "upper")
            case _:
                raise PremiseError("the certificate says nothing about values")

    def _everywhere(
        self,
        cases: Sequence[Case],
        world: World | None,
        state: Callable[[Place, tuple[Table, ...], World | None], Iterator[Premise]],
    ) -> Iterator[Premise]:
        """The premises in every place, and, at the first place that holds it, those about the world."""
        told = world is None
        for case in cases:
            for region, leaf in leaves(self.task, case):
                holds = (
                    not told
                    and world is not None
                    and world.unknowns == region.unknowns
                    and region.holds(self.task, world.rationals)
                )
                told = told or holds
                yield from state(Place(self.task, region), leaf.tables, world if holds else None)
        if not told:
            raise PremiseError("no table speaks of the world that is named")

    # --- one place -------------------------------------------------------------------------------

    def _bound(
        self,
        place: Place,
        table: Table,
        program: Program | None,
        direction: Direction,
        old: Program | None = None,
    ) -> tuple[list[Premise], list[Weight]]:
        """The premises of a bound, and what it says of the starts."""
        if program is None:
            whose = "every program"
        else:
            whose = f"the {'new' if program is self.new else 'old'} program"
            if self._old is None:
                whose = "the program"
        name = f"the {direction} bound of {whose}"
        if old is not None:
            name = "what the new program saves"
        memory = () if program is None else program.memory_start
        found = bound_premises(
            place, table, program=program, direction=direction, name=name, old=old
        )
        return found, start_bounds(place, table, memory)

    def _better(
        self, place: Place, tables: tuple[Table, ...], gain: Fraction, world: World | None
    ) -> Iterator[Premise]:
        lower, upper = _exactly(2, tables)
        found, low = self._bound(place, lower, self.new, "lower")
        yield from found
        found, high = self._bound(place, upper, self.old, "upper")
        yield from found
        sides = Side("new", low, self.new.size), Side("old", high, self.old.size)
        yield from self._compared(place, sides, world, gain, _BETTER)

    def _pointwise(
        self, place: Place, tables: tuple[Table, ...], gain: Fraction, world: World | None
    ) -> Iterator[Premise]:
        (lower,) = _exactly(1, tables)
        found, low = self._bound(place, lower, self.new, "lower", self.old)
        yield from found
        nothing: list[Weight] = [Fraction(0)] * len(low)
        sides = Side("saved", low, self.new.size), Side("old", nothing, self.old.size)
        yield from self._compared(place, sides, world, gain, _SAVED)

    def _compared(
        self,
        place: Place,
        sides: tuple[Side, Side],
        world: World | None,
        gain: Fraction,
        claim: str,
    ) -> Iterator[Premise]:
        """That one side is above the other by the gain at every start, and strictly in the named world."""
        name, (high, low) = "the comparison of the two", sides
        only = world is not None and len(place.starts) == 1 and not place.is_open
        yield from comparison_premises(
            place, high, low, name=name, claim=claim.format("is above"), gain=gain, strict=only
        )
        if world is None or only:
            return
        index = [anywhere for anywhere, _ in place.starts].index(world.starts)
        yield from comparison_premises(
            Place.of_world(self.task, world),
            Side(high.word, [_at(high, index)], high.nodes),
            Side(low.word, [_at(low, index)], low.nodes),
            name="the comparison of the two in the named world",
            claim=f"In the named world: {claim.format('is above')}",
            strict=True,
        )

    def _level(
        self, place: Place, tables: tuple[Table, ...], level: Fraction, *, of_old: bool = False
    ) -> Iterator[Premise]:
        """That a program is worth at least a level everywhere."""
        (lower,) = _exactly(1, tables)
        program, word = (self.old, "old") if of_old else (self.new, "new")
        found, low = self._bound(place, lower, program, "lower")
        yield from found
        yield from comparison_premises(
            place,
            Side(word, low, program.size),
            Side("level", level),
            name="the level in every world",
            claim=f"The bound of the {word} program, less the price of its size, is at least the level.",
            gain=Fraction(0),
        )

    def _below_level(
        self, place: Place, leaf: Leaf, program: Program, level: Fraction, *, strict: bool
    ) -> Iterator[Premise]:
        """That a program is worth less than a level in one world, or at most that much."""
        (upper,) = _exactly(1, leaf.tables)
        found, high = self._bound(place, upper, program, "upper")
        yield from found
        word = "new" if program is self.new else "old"
        least = "below" if strict else "at most"
        yield from comparison_premises(
            place,
            Side("level", level),
            Side(word, high, program.size),
            name="the level in the named world",
            claim=f"The bound of the {word} program, less the price of its size, is {least} the level.",
            gain=None if strict else Fraction(0),
            strict=strict,
        )

    def _not_better(
        self, place: Place, tables: tuple[Table, ...], *, strict: bool = False
    ) -> Iterator[Premise]:
        upper, lower = _exactly(2, tables)
        found, high = self._bound(place, upper, self.new, "upper")
        yield from found
        found, low = self._bound(place, lower, self.old, "lower")
        yield from found
        yield from comparison_premises(
            place,
            Side("old", low, self.old.size),
            Side("new", high, self.new.size),
            name="the comparison of the two",
            claim=_BETTER.format("is below" if strict else "is at most"),
            gain=None if strict else Fraction(0),
            strict=strict,
        )

    def _optimal(self, place: Place, tables: tuple[Table, ...], gap: Fraction) -> Iterator[Premise]:
        lower, upper = _exactly(2, tables)
        found, high = self._bound(place, upper, None, "upper")
        yield from found
        found, low = self._bound(place, lower, self.new, "lower")
        yield from found
        yield from comparison_premises(
            place,
            Side("new", low, self.new.size),
            Side("every", high),
            name="the gap",
            claim="The bound of every program is above that of this one, less the price of its size, by at most the gap.",
            gain=-gap,
        )

    def _choice(
        self, place: Place, tables: tuple[Table, ...], margin: Fraction
    ) -> Iterator[Premise]:
        if self.moment is None:
            raise PremiseError("a certificate about a choice needs its moment")
        lower, upper = _exactly(2, tables)
        yield from self._bound(place, upper, None, "upper")[0]
        yield from self._bound(place, lower, self.new, "lower")[0]
        yield from choice_premises(
            place, lower, upper, program=self.new, moment=self.moment, margin=margin
        )

    def _bounds(self, level: Fraction, cases: Sequence[Case], side: Direction) -> Iterator[Premise]:
        def state(place: Place, tables: tuple[Table, ...], _: World | None) -> Iterator[Premise]:
            (table,) = _exactly(1, tables)
            found, bounds = self._bound(place, table, self.new, side)
            yield from found
            sides = Side("program", bounds), Side("level", level)
            high, low = sides if side == "lower" else sides[::-1]
            yield from comparison_premises(
                place,
                high,
                low,
                name=f"the {side} bound in every world",
                claim=f"The bounds at the starts are at {'least' if side == 'lower' else 'most'} the one claimed.",
                gain=Fraction(0),
            )

        yield from self._everywhere(cases, None, state)


_BETTER = "The bound of the new program, less the price of its size, {} that of the old one."
_SAVED = "The bound of what is saved, less the price of the new program's size, {} less that of the old one's."


def leaves(task: Task, case: Case) -> Iterator[tuple[Region, Leaf]]:
    """The leaves of a case with their boxes, from left to right."""
    pending: list[tuple[Region, Tree]] = [(Region.whole(task, case.unknowns), case.tree)]
    while pending:
        region, tree = pending.pop()
        if isinstance(tree, Cut):
            below, above = region.cut(task, tree.unknown, tree.at)
            pending += [(above, tree.above), (below, tree.below)]
        else:
            yield region, tree


def _at(side: Side, index: int) -> Weight:
    return side.bounds if isinstance(side.bounds, Fraction) else side.bounds[index]


def _exactly(count: int, tables: tuple[Table, ...]) -> tuple[Table, ...]:
    if len(tables) != count:
        raise PremiseError(f"a leaf holds {count} tables here, found {len(tables)}")
    return tables


# --- what is answered ----------------------------------------------------------------------------

_FAULTS = (
    PremiseError,
    TooLarge,
    CertificateError,
    EvaluationFault,
    PolynomialTooLarge,
    LookupError,
    ValueError,
    TypeError,
)
"""A finder may be wrong in any way; what cannot be stated is no proof."""


def ask_about_improvement(
    task: Task,
    old: Program,
    new: Program,
    certificate: BetterCertificate | BetterWorstCertificate | PointwiseCertificate,
    *,
    rlimit: int,
    threads: int,
) -> SolverAnswer:
    """Whether Z3 finds every premise of rule `better` to hold; `rlimit` bounds each."""
    return _ask(
        lambda: list_premises(task, certificate, old=old, new=new), rlimit=rlimit, threads=threads
    )


def ask_about_requirement(
    task: Task,
    program: Program,
    name: str,
    certificate: RequirementCertificate,
    *,
    rlimit: int,
    threads: int,
) -> SolverAnswer:
    """Whether Z3 finds every premise to hold that shows a requirement to be kept, or to be broken."""
    return _ask(
        lambda: list_premises(task, certificate, old=None, new=program, requirement=name),
        rlimit=rlimit,
        threads=threads,
    )


def _ask(state: Callable[[], list[Premise]], *, rlimit: int, threads: int) -> SolverAnswer:
    from proofs.prover import Sat, Unknown, Unsat, prove_all

    try:
        premises = state()
    except _FAULTS as error:
        return SolverAnswer(SolverSays.UNKNOWN, 0, f"the premises cannot be stated: {error!r}")
    answers = prove_all(premises, rlimit=rlimit, jobs=threads)
    used = sum(answer.rlimit_used for answer in answers)
    for premise, answer in zip(premises, answers, strict=True):
        match answer:
            case Unsat():
                continue
            case Sat():
                return SolverAnswer(SolverSays.CONTRADICTS, used, f"solver: sat on {premise.name}")
            case Unknown(_, reason):
                return SolverAnswer(
                    SolverSays.UNKNOWN, used, f"solver: unknown ({reason}) on {premise.name}"
                )
    if not premises:
        return SolverAnswer(SolverSays.UNKNOWN, used, "there is no premise to ask about")
    return SolverAnswer(SolverSays.PROVED, used)


def ask_about_code(program: Program, *, rlimit: int) -> SolverAnswer:
    """Whether Z3 finds the program total, after the kernel has."""
    return _ask_totality(program.task, program, rlimit)


def ask_about_declarations(task: Task, *, rlimit: int) -> SolverAnswer:
    """Whether Z3 finds the declarations total."""
    return _ask_totality(task, None, rlimit)


def _ask_totality(task: Task, program: Program | None, rlimit: int) -> SolverAnswer:
    from proofs.totality_smt import find_broken

    broken, unproved, used = find_broken(task, program, rlimit=rlimit)
    if broken:
        return SolverAnswer(SolverSays.CONTRADICTS, used, broken[0].message)
    if unproved:
        return SolverAnswer(SolverSays.UNKNOWN, used, unproved[0].message)
    return SolverAnswer(SolverSays.PROVED, used)
