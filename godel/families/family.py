"""What a family is: an untrusted generator of rewrites of one program."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from dsl.codec import Json
from dsl.machine import Program
from dsl.rewrite import Edit
from dsl.search import AGENT
from godel.ledger import Entry
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


class NothingProposed(Exception):
    """A family has nothing to propose now, but may have if it is asked again, when it is made anew.

    `steps` is the work done since the last candidate. The reason, where there is one, is recorded,
    since it cannot be worked out again.
    """

    def __init__(self, reason: str | None, steps: int) -> None:
        self.reason, self.steps = reason, steps
        super().__init__(reason or "nothing is proposed")


@dataclass(slots=True)
class Workplace:
    """What families may look at: the chapter; and what they have worked out of it, kept for the next one who asks.

    `block` is the word of the block that the code stands in, `seed` the ledger's. `attempts` are the last entries about
    this task, oldest first; it grows while a family is at work. `bounds` proves between which numbers the value of a
    program lies, or says None. `commands` is the folder that commands are found in, None where no command may be run.
    """

    chapter: Chapter
    block: str = AGENT
    seed: int = 0
    attempts: Sequence[Entry] = ()
    bounds: Callable[[Program], Json] = lambda program: None
    commands: Path | None = None
    world: StepWorld | None = field(default=None, repr=False)
    scratch: tuple[str, Scratch] | None = field(default=None, repr=False)


Candidates: TypeAlias = Generator[Candidate, None, int]
"""Candidates, best first; when they end, nothing is left, and what is returned is the work done since the last one."""
Family: TypeAlias = Callable[[Workplace, Program], Candidates]
"""Candidates for a program. They are the same whenever a program is the same, but for families of a kind that says
otherwise."""
