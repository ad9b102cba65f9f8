"""What a family is: an untrusted generator of rewrites of one program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from dsl.machine import Program
from dsl.rewrite import Edit
from proofs.kernel.chapter import Chapter

if TYPE_CHECKING:
    from godel.families.scratch import Scratch
    from godel.families.world import StepWorld


@dataclass(frozen=True, slots=True)
class Candidate:
    """Edits to try on the base program, what they are for, and how many steps of work it took to think of them."""

    edits: tuple[Edit, ...]
    note: str
    steps: int


@dataclass(slots=True)
class Workplace:
    """What families may look at: the chapter; and what they have worked out of it, kept for the next one who asks."""

    chapter: Chapter
    world: StepWorld | None = field(default=None, repr=False)
    scratch: tuple[str, Scratch] | None = field(default=None, repr=False)


Family: TypeAlias = Callable[[Workplace, Program], Iterator[Candidate]]
"""Candidates for a program, best first. The same program always yields the same sequence; when it ends, nothing is left."""
