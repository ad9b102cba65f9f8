"""What a family is: an untrusted generator of rewrites of one program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from dsl.machine import Program
from dsl.rewrite import Edit
from proofs.explicit import WorldModel, explore_world
from proofs.kernel.chapter import Chapter


@dataclass(frozen=True, slots=True)
class Candidate:
    """Edits to try on the base program, what they are for, and how many steps of work it took to think of them."""

    edits: tuple[Edit, ...]
    note: str
    steps: int


@dataclass(slots=True)
class Workplace:
    """What families may look at: the chapter, and its world written out."""

    chapter: Chapter

    def world(self) -> WorldModel:
        """The world under every action. Raises TooLarge."""
        return explore_world(self.chapter)


Family: TypeAlias = Callable[[Workplace, Program], Iterator[Candidate]]
"""Candidates for a program, best first. The same program always yields the same sequence; when it ends, nothing is left."""
