"""Certificates: data that shows an obligation holds. `proofs.certificates` reads and writes their JSON form."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from dsl.machine import MemoryTuple, ReplyTuple, StateTuple, UnknownTuple, World
from dsl.polynomial import Weight


@dataclass(frozen=True, slots=True)
class Reply:
    """One choice of the adversary: its finite variables and its rates, each in declared order."""

    finite: ReplyTuple = ()
    rates: tuple[Fraction, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A value listed at a state with a memory; affine in the rational unknowns. For every program `memory` is empty.

    `replies` names what the adversary does in a bound from above of a program (one) or of every program (one for each of
    `Chapter.all_actions`); empty in bounds from below and without an adversary.
    """

    state: StateTuple
    memory: MemoryTuple
    value: Weight
    replies: tuple[Reply, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Values at listed states: one layer under a discount; under a horizon, layer k with k+1 steps to go."""

    layers: tuple[tuple[Entry, ...], ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """The tables that hold on one box of rational unknowns, and Farkas multipliers, one for each of `Region.constraints`,
    for those premises that need them, in the order in which the kernel meets them."""

    tables: tuple[Table, ...]
    multipliers: tuple[tuple[Fraction, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Cut:
    """A box cut in two: `below` holds where the unknown is at most `at`, `above` where it is at least that."""

    unknown: str
    at: Fraction
    below: Tree
    above: Tree


Tree: TypeAlias = Leaf | Cut


@dataclass(frozen=True, slots=True)
class Case:
    """Tables for one joint value of the finite unknowns, over the whole box of rational ones; a certificate about every
    world has one case for each of `Task.unknown_values`, in that order."""

    unknowns: UnknownTuple
    tree: Tree


# --- of values -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BoundsCertificate:
    """lower <= V <= upper in every world: leaves hold one table each; a side may be missing."""

    lower: Fraction | None
    lower_cases: tuple[Case, ...]
    upper: Fraction | None
    upper_cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class BetterCertificate:
    """Leaves hold a lower bound of the new program and an upper bound of the old one.

    U(new) - U(old) is at least `gain` in every world, and above 0 in `world`; `gain` is above 0 but under `dominates`.
    """

    cases: tuple[Case, ...]
    gain: Fraction
    world: World


@dataclass(frozen=True, slots=True)
class BetterWorstCertificate:
    """For `worst`: U(new) >= `level` in every world, and U(old) < `level` in `world`, by the table of `old`."""

    cases: tuple[Case, ...]
    level: Fraction
    world: World
    old: Leaf


@dataclass(frozen=True, slots=True)
class PointwiseCertificate:
    """The same actions and memory for no more ticks: leaves hold a lower bound of the value of the ticks saved, which less
    the difference in size is at least `gain` in every world, and above 0 in `world`."""

    cases: tuple[Case, ...]
    gain: Fraction
    world: World


@dataclass(frozen=True, slots=True)
class NotBetterCertificate:
    """In every world U(new) <= U(old): leaves hold an upper bound of the new program and a lower bound of the old one."""

    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class NotBetterHereCertificate:
    """In one world U(new) < U(old), under `strictly` U(new) <= U(old); tables as in `NotBetterCertificate`."""

    world: World
    leaf: Leaf


@dataclass(frozen=True, slots=True)
class NotBetterWorstCertificate:
    """For `worst`: U(new) <= `level` in `world`, by the table of `new`, and U(old) >= `level` in every world."""

    world: World
    new: Leaf
    level: Fraction
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class OptimalityCertificate:
    """Leaves hold a lower bound of the program and an upper bound of every program; in no world are they further than
    `gap` apart, sizes considered."""

    cases: tuple[Case, ...]
    gap: Fraction


@dataclass(frozen=True, slots=True)
class ChoiceCertificate:
    """Leaves hold a lower bound of the program and an upper bound of every program; one step of each, at every pair that a
    moment may be, shows that what the program does then is worth at least `margin`, above 0, more than anything else."""

    cases: tuple[Case, ...]
    margin: Fraction


# --- of requirements -----------------------------------------------------------------------------

Pair: TypeAlias = tuple[StateTuple, MemoryTuple]


@dataclass(frozen=True, slots=True)
class InvariantCertificate:
    """For `always`: the pairs of state and memory that can be reached, those that are done too, for each value of the
    finite unknowns in order."""

    sets: tuple[tuple[UnknownTuple, tuple[Pair, ...]], ...]


@dataclass(frozen=True, slots=True)
class RankCertificate:
    """For `reach`: the pairs that `main` can reach, and the rank of those from which the goal is still to be reached."""

    sets: tuple[tuple[UnknownTuple, tuple[Pair, ...], tuple[tuple[Pair, int], ...]], ...]


@dataclass(frozen=True, slots=True)
class Move:
    """One step of a path: what the adversary does, and the state that is drawn."""

    reply: Reply
    successor: StateTuple


@dataclass(frozen=True, slots=True)
class PathCertificate:
    """A path of positive weight in one world that breaks a requirement.

    The first `switch` moves are main's, from `start`. For `always` all are, and the last state breaks it, over steps the
    last step. For `reach` they lead to the source; the rest follow the named policy, reach the goal at no point, and are
    as many as are allowed or end in a state that is done.
    """

    world: World
    start: StateTuple
    moves: tuple[Move, ...]
    switch: int


Better: TypeAlias = BetterCertificate | BetterWorstCertificate | PointwiseCertificate
Worse: TypeAlias = NotBetterCertificate | NotBetterHereCertificate | NotBetterWorstCertificate
ValueCertificate: TypeAlias = (
    BoundsCertificate | Better | Worse | OptimalityCertificate | ChoiceCertificate
)
RequirementCertificate: TypeAlias = InvariantCertificate | RankCertificate | PathCertificate
Certificate: TypeAlias = ValueCertificate | RequirementCertificate
