"""What has been proved: statements, and the theorems that only the kernel can make of them."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Never, TypeAlias
from weakref import WeakKeyDictionary

from dsl.machine import ActionTuple, MemoryTuple, World
from dsl.types import Value


class CertificateError(Exception):
    """Evidence that does not hold: which premise failed, with both sides."""


def require(condition: bool, reason: str) -> None:
    """Raise CertificateError with the reason unless the condition holds."""
    if not condition:
        raise CertificateError(reason)


@dataclass(frozen=True, slots=True)
class ValueBounds:
    """lower <= V <= upper at the starts of every world (V: value without size), for one program; a side may be unknown."""

    declarations: str
    program: str
    lower: Fraction | None
    upper: Fraction | None


@dataclass(frozen=True, slots=True)
class Improvement:
    """The new program is an improvement by the criterion; what is gained is at least `gain`.

    In `world`, which is shown: U(new) >= new_lower > old_upper >= U(old). `gain` is the least over all worlds of
    U(new) - U(old) (under `worst`: of the rise of the minimum); it may be 0 under `dominates` with several worlds. By the
    rule `pointwise` both bounds are None: the difference is bounded, not the values.
    """

    declarations: str
    criterion: str
    old: str
    new: str
    world: World
    old_upper: Fraction | None
    new_lower: Fraction | None
    gain: Fraction


@dataclass(frozen=True, slots=True)
class NoImprovement:
    """The new program is no improvement by the criterion.

    With `world`: there U(new) <= new_upper and old_lower <= U(old) (under `worst` in every world), apart as the criterion
    asks. Without: in every world U(new) <= U(old); the bounds are given where there is one world.
    """

    declarations: str
    criterion: str
    old: str
    new: str
    world: World | None
    old_lower: Fraction | None
    new_upper: Fraction | None


@dataclass(frozen=True, slots=True)
class Optimality:
    """In no world does any program whatever beat this one by more than `gap`; U(program) >= lower in every world, and no
    program exceeds `upper` in any."""

    declarations: str
    program: str
    lower: Fraction
    upper: Fraction
    gap: Fraction


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of an episode as a program sees it: what it observes, what its memory holds, and how many steps were taken
    before (None under a discount, where every step is like every other)."""

    observed: tuple[Value, ...]
    memory: MemoryTuple
    step: int | None


@dataclass(frozen=True, slots=True)
class BestChoice:
    """At the moment the program takes `actions`. In every world, wherever it then may be, what it expects from there on is
    `margin`, above 0, or more above what anything expects that takes others then (`rules.best_choice` says all of it)."""

    declarations: str
    program: str
    moment: Moment
    actions: ActionTuple
    margin: Fraction


@dataclass(frozen=True, slots=True)
class Chain:
    """A sequence of improvements leads from `first` to `last`; their gains add up to `gain`."""

    declarations: str
    criterion: str
    first: str
    last: str
    links: int
    gain: Fraction


@dataclass(frozen=True, slots=True)
class Kept:
    """The program keeps a requirement."""

    declarations: str
    program: str
    requirement: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The program breaks a requirement, by a path of positive weight in `world`."""

    declarations: str
    program: str
    requirement: str
    world: World


Statement: TypeAlias = (
    ValueBounds | Improvement | NoImprovement | Optimality | BestChoice | Chain | Kept | Broken
)

ASSUMPTIONS = (
    "the world and the utility are as the declarations say",
    "the language core and the kernel are correct",
)


class Theorem:
    """A statement that the kernel has checked. Made in the kernel alone; never copied, pickled, changed or subclassed."""

    __slots__ = ("__weakref__",)

    def __new__(cls, *args: Any, **kwargs: Any) -> Theorem:
        raise TypeError("only the kernel makes theorems")

    def __init_subclass__(cls, **kwargs: Any) -> Never:
        raise TypeError("Theorem has no subclasses")

    def __reduce_ex__(self, protocol: Any) -> Never:
        raise TypeError(
            "a theorem is not copied or pickled; store its certificate and check it again"
        )

    @property
    def statement(self) -> Statement:
        """What is proved; raises CertificateError for an object that the kernel did not make."""
        return _statement_of(self)

    def __repr__(self) -> str:
        return f"<Theorem {self.statement}>"


def _registry() -> tuple[Callable[[Statement], Theorem], Callable[[Theorem], Statement]]:
    """Two functions over a private record of the theorems made; the record itself is out of reach."""
    made: WeakKeyDictionary[Theorem, Statement] = WeakKeyDictionary()

    def make(statement: Statement) -> Theorem:
        theorem: Theorem = object.__new__(Theorem)
        made[theorem] = deepcopy(statement)
        return theorem

    def statement_of(theorem: Theorem) -> Statement:
        if type(theorem) is not Theorem or theorem not in made:
            raise CertificateError("this is no theorem of the kernel")
        # a copy: whoever changes what is handed out does not change the record
        return deepcopy(made[theorem])

    return make, statement_of


_make_theorem, _statement_of = _registry()
