"""Premises: SMT-LIB 2 texts that a person can read and any solver can run, to be found `unsat`.

A text has groups of facts, which declare and define constants, tables and unknowns, and goals, the last of which denies what
is to be shown. The facts alone must be possible: a premise that follows from a contradiction proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proofs.smtlib import helpers

LOGIC = "(set-logic ALL)\n"


class PremiseError(ValueError):
    """No premise can be stated: a state is reached but not listed, or the text would be too large."""


@dataclass(frozen=True, slots=True)
class Premise:
    """A text to be found `unsat`.

    `facts` are those of the world, `more` holds further groups of facts, of code and of unknowns; `goals` is the rest.
    `name` says in a few words what is shown.
    """

    title: str
    facts: str
    goals: str
    more: tuple[str, ...] = ()
    name: str = "the premise"

    @property
    def text(self) -> str:
        """The whole text."""
        title = "".join(f"; {line}\n" for line in self.title.splitlines())
        facts = "".join(group and f"{group}\n" for group in (self.facts, *self.more))
        return f"{title}; The last assertion denies it: `unsat` means that it holds.\n\n{facts}{self.goals}"

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Texts that must each be `sat` for the facts to be possible together.

        A group that reads no constant or function which another group leaves to its assertions is possible together with
        the others if it is possible alone: their models are put side by side. Definitions alone are always possible.
        """
        whole, definitions = self.facts, _definitions(self.facts)
        tainted, found = _asserted(self.facts, set()), list[str]()
        for group in self.more:
            if tainted.isdisjoint(_TOKEN.findall(group)):
                found.append(definitions + group)
                definitions += _definitions(group)
                tainted = _asserted(group, tainted)
            else:
                whole = self.facts + "".join(self.more)
                found = []
                break
        return tuple(text for text in (whole, *found) if "(assert" in text)


_TOKEN = re.compile(r"[^\s()]+")
_NAMED = re.compile(r"\((declare-fun|declare-const|define-fun) (\S+)")


def _definitions(facts: str) -> str:
    lines = facts.splitlines(keepends=True)
    return "".join(x for x in lines if not x.startswith(("(assert", ";")))


def _asserted(facts: str, tainted: set[str]) -> set[str]:
    """The symbols that are declared, and those defined by them, added to those known before."""
    found = set(tainted)
    for line in facts.splitlines():
        named = _NAMED.match(line)
        if named and (named[1] != "define-fun" or not found.isdisjoint(_TOKEN.findall(line))):
            found.add(named[2])
    return found


def make_premise(
    title: str, name: str, groups: Sequence[Iterable[str]], goals: Iterable[str]
) -> Premise:
    """A premise of lines of facts, those of the world first, and of goals.

    Each part begins with those of our own functions that it is the first to use.
    """
    printed: set[str] = set()
    parts: list[str] = []
    for lines in (*groups, goals):
        text = "\n".join([*lines, ""])
        own = [line for line in helpers(text) if line not in printed]
        printed.update(own)
        parts.append("".join(f"{line}\n" for line in own) + text)
    facts, *more = parts[:-1]
    kept = tuple(group for group in more if group.strip())
    return Premise(title, LOGIC + facts, parts[-1], kept, name)
