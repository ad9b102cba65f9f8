"""Check a certificate against an obligation, using no solver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias, cast

from dsl import syntax as s
from dsl.interp import EvaluationFault
from dsl.machine import Program, World
from dsl.polynomial import PolynomialTooLarge, Weight, substitute
from dsl.types import are_values, is_rational
from proofs.kernel import certificate as c
from proofs.kernel import requirements, rules
from proofs.kernel import theorem as t
from proofs.kernel.chapter import Chapter, StartWorld
from proofs.kernel.region import Region, bernstein
from proofs.kernel.rules import Pairs, Place
from proofs.kernel.theorem import CertificateError, Theorem, require


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
class IsBestChoice:
    """To show: what the code does at a moment is worth more than anything else."""

    chapter: Chapter
    code: s.Code
    moment: t.Moment


@dataclass(frozen=True, slots=True)
class IsChain:
    """To show: the improvements of these theorems, in order, lead from `first` to `last`."""

    chapter: Chapter
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Keeps:
    """To show: the code keeps the requirement of this name."""

    chapter: Chapter
    name: str
    code: s.Code


@dataclass(frozen=True, slots=True)
class Breaks:
    """To show: the code breaks the requirement of this name."""

    chapter: Chapter
    name: str
    code: s.Code


Rule: TypeAlias = Callable[[Place, tuple[c.Table, ...]], Pairs]
Found: TypeAlias = list[tuple[Place, Pairs]]
Obligation: TypeAlias = (
    IsBetter | IsNotBetter | IsBounded | IsOptimal | IsBestChoice | IsChain | Keeps | Breaks
)


def check(obligation: Obligation, certificate: c.Certificate | tuple[Theorem, ...]) -> Theorem:
    """The theorem that the obligation holds, after every premise has been worked out again.

    Raises CertificateError where a premise fails (NotTotal where code is not proved total), DslError where code does not
    check. The statement comes from the obligation's declarations and code alone, never from the certificate.
    """
    require(type(obligation.chapter) is Chapter, "the chapter is not the kernel's own")
    try:
        return t._make_theorem(_statement(obligation, certificate))
    except (PolynomialTooLarge, EvaluationFault) as error:
        raise CertificateError(f"a premise cannot be worked out: {error}") from None


def _statement(
    obligation: Obligation, certificate: c.Certificate | tuple[Theorem, ...]
) -> t.Statement:
    chapter = obligation.chapter
    match obligation, certificate:
        case IsChain(_, first, last), tuple() if type(certificate) is tuple:
            return _chain(chapter, first, last, certificate)
        case IsBounded(_, code), c.BoundsCertificate():
            return _bounds(chapter, chapter.program(code), certificate)
        case IsOptimal(_, code), c.OptimalityCertificate():
            return _optimal(chapter, chapter.program(code), certificate)
        case IsBestChoice(_, code, moment), c.ChoiceCertificate():
            return _best_choice(chapter, chapter.program(code), moment, certificate)
        case Keeps(_, name, code), c.InvariantCertificate() | c.RankCertificate():
            program = chapter.program(code)
            requirements.require_kept(chapter, program, name, certificate)
            return t.Kept(chapter.digest, program.digest, name)
        case Breaks(_, name, code), c.PathCertificate():
            program = chapter.program(code)
            requirements.require_broken(chapter, program, name, certificate)
            return t.Broken(chapter.digest, program.digest, name, certificate.world)
        case IsBetter(_, old, new) | IsNotBetter(_, old, new), _:
            rule = _COMPARING.get((type(obligation), type(certificate)))
            if rule is not None:
                return rule(chapter, chapter.program(old), chapter.program(new), certificate)
    found = type(certificate).__name__, type(obligation).__name__
    raise CertificateError(f"a {found[0]} says nothing about {found[1]}")


# --- better and its opposites --------------------------------------------------------------------


def _better(
    chapter: Chapter,
    old: Program,
    new: Program,
    certificate: c.BetterCertificate | c.PointwiseCertificate,
) -> t.Improvement:
    """Rule `better`, from bounds of both values or, by the rule `pointwise`, of their difference.

        U_new - U_old >= e in every world    U_new > U_old in one
        ---------------------------------------------------------
                     new is an improvement on old

    e >= 0 for `dominates`; e > 0 for `strictly`, and for `worst`, where the least of U_new then lies e above that of U_old.
    """
    gain, criterion = _rational(certificate.gain), chapter.task.utility.better
    enough = gain > 0 or (gain == 0 and criterion == "dominates")
    require(enough, f"a gain of {gain} in every world is not enough for `{criterion}`")
    rule = rules.better if isinstance(certificate, c.BetterCertificate) else rules.pointwise
    found = _every_world(chapter, certificate.cases, lambda p, x: rule(p, old, new, x, gain))
    high, low = _at(chapter, found, certificate.world)
    require(low > high, f"no gain is shown: {low} is not above {high}")
    about, world = _about(chapter, old, new), certificate.world
    if isinstance(certificate, c.PointwiseCertificate):
        return t.Improvement(*about, world, None, None, gain)
    return t.Improvement(*about, world, high, low, gain)


def _better_worst(
    chapter: Chapter, old: Program, new: Program, certificate: c.BetterWorstCertificate
) -> t.Improvement:
    """Rule `better` for `worst`.

    U_new >= l in every world    U_old <= u < l in one
    --------------------------------------------------
      min U_new - min U_old >= l - u > 0 over worlds
    """
    level, high = _least(chapter, new, certificate, old, certificate.old)
    require(high < level, f"no gain is shown: {level} is not above {high}")
    about, world = _about(chapter, old, new), certificate.world
    return t.Improvement(*about, world, high, level, level - high)


def _not_better(
    chapter: Chapter, old: Program, new: Program, certificate: c.NotBetterCertificate
) -> t.NoImprovement:
    """The opposite of `better`, by every criterion.

    U_new <= U_old in every world
    ------------------------------
    new is no improvement on old
    """
    found = _every_world(chapter, certificate.cases, lambda p, x: rules.not_better(p, old, new, x))
    only = chapter.only_world()
    high, low = (None, None) if only is None else _at(chapter, found, only)
    return t.NoImprovement(*_about(chapter, old, new), None, low, high)


def _not_better_here(
    chapter: Chapter, old: Program, new: Program, certificate: c.NotBetterHereCertificate
) -> t.NoImprovement:
    """The opposite of `better` by one world.

    U_new < U_old in one world (`strictly`: U_new <= U_old)
    -------------------------------------------------------
                 new is no improvement on old
    """
    world, criterion = certificate.world, chapter.task.utility.better
    require(criterion != "worst", "one world says nothing about the least over worlds")
    high, low = _here(
        chapter, world, certificate.leaf, lambda p, x: rules.not_better(p, old, new, x)
    )
    require(high < low or criterion == "strictly", f"no loss is shown: {high} is not below {low}")
    return t.NoImprovement(*_about(chapter, old, new), world, low, high)


def _not_better_worst(
    chapter: Chapter, old: Program, new: Program, certificate: c.NotBetterWorstCertificate
) -> t.NoImprovement:
    """The opposite of `better` for `worst`.

    U_new <= l in one world    U_old >= l in every world
    ----------------------------------------------------
               min U_new <= min U_old over worlds
    """
    level, high = _least(chapter, old, certificate, new, certificate.new)
    return t.NoImprovement(*_about(chapter, old, new), certificate.world, level, high)


def _least(
    chapter: Chapter,
    program: Program,
    certificate: c.BetterWorstCertificate | c.NotBetterWorstCertificate,
    other: Program,
    leaf: c.Leaf,
) -> tuple[Fraction, Fraction]:
    """U >= the level in every world for one program, and at most the level in the world that is named for the other."""
    level, criterion = _rational(certificate.level), chapter.task.utility.better
    require(criterion == "worst", f"the least over worlds says nothing about `{criterion}`")
    low, high = level + chapter.size_cost(program), level + chapter.size_cost(other)
    _every_world(chapter, certificate.cases, lambda p, x: rules.at_least(p, program, x, low))
    rule: Rule = lambda p, x: rules.at_most(p, other, x, high)  # noqa: E731
    bound, _ = _here(chapter, certificate.world, leaf, rule)
    return level, bound - chapter.size_cost(other)


_COMPARING: dict[tuple[type, type], Callable[..., t.Statement]] = {
    (IsBetter, c.BetterCertificate): _better,
    (IsBetter, c.PointwiseCertificate): _better,
    (IsBetter, c.BetterWorstCertificate): _better_worst,
    (IsNotBetter, c.NotBetterCertificate): _not_better,
    (IsNotBetter, c.NotBetterHereCertificate): _not_better_here,
    (IsNotBetter, c.NotBetterWorstCertificate): _not_better_worst,
}


def _about(chapter: Chapter, old: Program, new: Program) -> tuple[str, str, str, str]:
    return chapter.digest, chapter.task.utility.better, old.digest, new.digest


# --- bounds, optimality, chains ------------------------------------------------------------------


def _bounds(chapter: Chapter, program: Program, certificate: c.BoundsCertificate) -> t.ValueBounds:
    """Rules `lower_bound` and `upper_bound` in every world, for those sides that are given."""
    sides = (
        (certificate.lower, certificate.lower_cases, rules.at_least),
        (certificate.upper, certificate.upper_cases, rules.at_most),
    )
    for level, cases, rule in sides:
        if level is not None:
            bound = _rational(level)
            _every_world(chapter, cases, lambda p, x, r=rule, b=bound: r(p, program, x, b))  # type: ignore[misc]
        else:
            require(cases == (), "there are tables for a bound that is not claimed")
    return t.ValueBounds(chapter.digest, program.digest, certificate.lower, certificate.upper)


def _optimal(
    chapter: Chapter, program: Program, certificate: c.OptimalityCertificate
) -> t.Optimality:
    """Rule `bound` for every program, against a lower bound of this one.

    V_q <= W for every program q    V >= l    W - (l - size) <= e in every world
    ----------------------------------------------------------------------------
                      U_q - U <= e in every world, for every q
    """
    gap = _rational(certificate.gap)
    found = _every_world(chapter, certificate.cases, lambda p, x: rules.optimal(p, program, x, gap))
    lows = [end for place, pairs in found for _, low in pairs for end in _ends(place, low)]
    highs = [end for place, pairs in found for high, _ in pairs for end in _ends(place, high)]
    return t.Optimality(chapter.digest, program.digest, min(lows), max(highs), gap)


def _best_choice(
    chapter: Chapter, program: Program, moment: t.Moment, certificate: c.ChoiceCertificate
) -> t.BestChoice:
    """Rule `best_choice` in every world, wherever the program may be at a moment that comes in one world at least."""
    task, margin = chapter.task, _rational(certificate.margin)
    require(margin > 0, f"a margin of {margin} is not above 0")
    require(type(moment) is t.Moment, "the moment is not the kernel's own")
    require(are_values(task.observed, moment.observed), "the moment shows what is not observed")
    require(are_values(program.memories, moment.memory), "the moment is of another memory")
    horizon, step = task.utility.horizon, moment.step
    fine = step is None if horizon is None else type(step) is int and 0 <= step < horizon
    require(fine, f"{step} is no step of an episode (None under a discount)")
    rule: Rule = lambda p, x: rules.best_choice(p, program, x, moment, margin)  # noqa: E731
    found = _every_world(chapter, certificate.cases, rule)
    require(any(pairs for _, pairs in found), "the moment never comes, or leaves no choice")
    seen = dict(zip((v.name for v in task.observed), moment.observed, strict=True))
    actions = program.decide(seen, moment.memory).actions
    return t.BestChoice(chapter.digest, program.digest, moment, actions, margin)


def _ends(place: Place, weight: Weight) -> list[Fraction]:
    """Numbers between whose least and greatest the weight lies: its Bernstein coefficients."""
    task, region = place.chapter.task, place.region
    ends = bernstein(substitute(weight, region.fixed(task)), region.named(task))
    return cast(list[Fraction], ends)


def _chain(chapter: Chapter, first: str, last: str, links: tuple[Theorem, ...]) -> t.Chain:
    """Rule `chain`: improvements inside one chapter and one criterion; each gain is the least over worlds.

    U_1 - U_0 >= g_1    U_2 - U_1 >= g_2    …
    -----------------------------------------
            U_n - U_0 >= g_1 + … + g_n
    """
    at, gain = first, Fraction(0)
    for link in links:
        statement = link.statement if type(link) is Theorem else None
        if not isinstance(statement, t.Improvement):
            raise CertificateError("a link of a chain must be a theorem of improvement")
        here = chapter.digest, chapter.task.utility.better
        same = (statement.declarations, statement.criterion) == here
        require(same, "a link of a chain belongs to another chapter or criterion")
        require(statement.old == at, f"a link of a chain starts at {statement.old}, not at {at}")
        at, gain = statement.new, gain + statement.gain
    require(at == last, f"the chain ends at {at}, not at {last}")
    return t.Chain(chapter.digest, chapter.task.utility.better, first, last, len(links), gain)


# --- worlds --------------------------------------------------------------------------------------


def _every_world(chapter: Chapter, cases: tuple[c.Case, ...], rule: Rule) -> Found:
    """Rule `split`: what is shown on the regions of all leaves, which together hold every world.

    A holds where p <= q    A holds where p >= q
    --------------------------------------------    q strictly inside the box; one case for each value of the
                    A holds                         finite unknowns, in order
    """
    regions = chapter.regions()
    if type(cases) is not tuple or [case.unknowns for case in cases] != [
        r.unknowns for r in regions
    ]:
        raise CertificateError("there is not one case for each value of the unknowns, in order")
    found: Found = []
    for case, region in zip(cases, regions, strict=True):
        starts = chapter.start_worlds(region.unknowns)
        for leaf, part in _leaves(chapter, case.tree, region):
            found.append(_at_leaf(chapter, part, starts, leaf, rule))
    return found


def _leaves(chapter: Chapter, tree: c.Tree, region: Region) -> Iterator[tuple[c.Leaf, Region]]:
    pending = [(tree, region)]
    while pending:
        here, part = pending.pop()
        if isinstance(here, c.Cut):
            below, above = part.cut(chapter.task, here.unknown, _rational(here.at))
            pending += [(here.above, above), (here.below, below)]
        else:
            yield here, part


def _at_leaf(
    chapter: Chapter, region: Region, starts: tuple[StartWorld, ...], leaf: c.Leaf, rule: Rule
) -> tuple[Place, Pairs]:
    """What is shown at a leaf, whose multipliers must be as many as the rule asks for."""
    fine = type(leaf) is c.Leaf and type(leaf.multipliers) is tuple
    require(fine, "a case ends in leaves")
    unread = iter(leaf.multipliers)

    def read(difference: Weight, constraints: tuple[Weight, ...]) -> tuple[Fraction, ...]:
        given = next(unread, None)
        if type(given) is not tuple or not all(map(is_rational, given)):
            raise CertificateError(f"there are no multipliers that show {difference} >= 0")
        return given

    place = Place(chapter, region, starts, read)
    pairs = rule(place, leaf.tables)
    left = next(unread, None) is not None
    require(not left, "there are more multipliers than premises that need them")
    return place, pairs


def _here(chapter: Chapter, world: World, leaf: c.Leaf, rule: Rule) -> tuple[Fraction, Fraction]:
    """What is shown in one world: the bound from above and the one from below."""
    start = chapter.start_of(world)
    region = Region.point(world.unknowns, world.rationals)
    return _at(chapter, [_at_leaf(chapter, region, (start,), leaf, rule)], world)


def _at(chapter: Chapter, found: Found, world: World) -> tuple[Fraction, Fraction]:
    """The two bounds in one world, by a leaf whose region holds it; raises CertificateError for what is no world."""
    start, task = chapter.start_of(world), chapter.task
    point = dict(zip((v.name for v in task.rationals), world.rationals, strict=True))
    for place, pairs in found:
        region = place.region
        if region.unknowns == world.unknowns and region.holds(task, world.rationals):
            high, low = pairs[place.starts.index(start)]
            return cast(Fraction, substitute(high, point)), cast(Fraction, substitute(low, point))
    raise CertificateError(f"no leaf holds {world}")


def _rational(value: object) -> Fraction:
    if not isinstance(value, Fraction) or not is_rational(value):
        raise CertificateError(f"{value} is no rational in lowest terms")
    return value
