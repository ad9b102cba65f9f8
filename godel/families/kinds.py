"""The kinds of families that a `search` block may declare, and what can be set of each. Loads none of them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from typing import TypeAlias

from godel.families.family import Family

Setting: TypeAlias = int | Fraction | str


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting that is one of some words or numbers."""

    values: tuple[Setting, ...]

    def fits(self, value: Setting) -> bool:
        """Whether the value may stand here."""
        return value in self.values

    @property
    def wanted(self) -> str:
        """What may stand here, in words."""
        *most, last = map(str, self.values)
        return f"{', '.join(most)} or {last}"


@dataclass(frozen=True, slots=True)
class Count:
    """A setting that is a whole number within bounds."""

    low: int = 1
    high: int = 2**53

    def fits(self, value: Setting) -> bool:
        """Whether the value may stand here."""
        return type(value) is int and self.low <= value <= self.high

    @property
    def wanted(self) -> str:
        """What may stand here, in words."""
        return f"a whole number from {self.low}" + (
            f" to {self.high:,}" if self.high < 2**53 else ""
        )


@dataclass(frozen=True, slots=True)
class Quoted:
    """A setting that is text in quotes."""

    def fits(self, value: Setting) -> bool:
        """Whether the value may stand here."""
        return isinstance(value, str) and bool(value.strip()) and _can_stand_in_quotes(value)

    @property
    def wanted(self) -> str:
        """What may stand here, in words."""
        return "text in quotes, without backslash"


@dataclass(frozen=True, slots=True)
class Words:
    """A setting that is text in quotes, taken apart into words as a shell does."""

    def fits(self, value: Setting) -> bool:
        """Whether the value may stand here."""
        try:
            return (
                isinstance(value, str) and _can_stand_in_quotes(value) and bool(shlex.split(value))
            )
        except ValueError:
            return False

    @property
    def wanted(self) -> str:
        """What may stand here, in words."""
        return "text in quotes, words as a shell parts them, without backslash"


def _can_stand_in_quotes(text: str) -> bool:
    """Whether text is stored as it is written."""
    return text.isprintable() and not {'"', "\\"} & set(text)


Range: TypeAlias = Choice | Count | Quoted | Words


@dataclass(frozen=True, slots=True)
class Kind:
    """Where a kind of family is made, what can be set of it, and which settings it cannot do without.

    `outside`: what it proposes comes from a command, so that it needs a person's leave, and need not repeat.
    """

    module: str
    options: Mapping[str, Range]
    needed: tuple[str, ...] = ()
    outside: bool = False

    def make(self, name: str, settings: Mapping[str, Setting]) -> Family:
        """A family of this kind with these settings."""
        module = import_module(f"godel.families.{self.module}")
        maker: Callable[..., Family] = getattr(module, name)
        return maker(**settings)


KINDS: Mapping[str, Kind] = {
    "enumerate": Kind(
        "enumeration",
        {
            "nodes": Count(high=8),
            "literals": Count(low=0, high=100),
            "tries": Count(high=100_000),
            "candidates": Count(high=10_000),
        },
        ("nodes",),
    ),
    "holes": Kind(
        "holes",
        {
            "sketch": Quoted(),
            "effort": Count(),
            "solutions": Count(high=1_000),
        },
        ("sketch",),
    ),
    "improve": Kind(
        "improve",
        {
            "states": Choice(("one", "region", "all", 1)),
            "rounds": Count(high=10_000),
            "width": Count(high=1_000),
        },
        ("states",),
    ),
    "simplify": Kind("simplify", {}),
    "tune": Kind(
        "tune",
        {
            "pairs": Count(low=0, high=1_000_000),
            "tables": Count(low=0, high=10_000),
            "candidates": Count(high=10_000),
        },
    ),
    "external": Kind(
        "external",
        {
            "command": Words(),
            "seconds": Count(high=86_400),
            "megabytes": Count(high=1_048_576),
            "candidates": Count(high=1_000),
            "variables": Words(),
        },
        ("command",),
        outside=True,
    ),
}
