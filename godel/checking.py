"""Whether a machine file is in order: names and types, then totality by the kernel and by Z3, both of which must agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dsl import syntax as s
from dsl.check import check_machine
from dsl.errors import Diagnostic, DslError
from dsl.machine import Program
from dsl.search import AGENT, SEARCHER, families_of, search_machine, target_of
from godel.searching import check_settings
from godel.validity import describe_gap
from proofs.kernel.chapter import Chapter, NotTotal
from proofs.kernel.totality import Broken, Gap
from proofs.totality_smt import find_broken, obligations

TOTALITY_RLIMIT = 50_000_000


@dataclass(frozen=True, slots=True)
class Checked:
    """A machine in order: the kernel's chapter of it, its program, and the obligations proved, in words."""

    chapter: Chapter
    program: Program
    obligations: tuple[str, ...]


def check_totality(machine: s.Machine, *, rlimit: int = TOTALITY_RLIMIT) -> Checked:
    """Check everything about a machine. Raises DslError with every fault, those of totality with a state that shows them.

    The search that a machine declares is checked as the machine that it stands for.
    """
    check_machine(machine)
    found: list[Diagnostic] = []
    checked = searched = None
    try:
        checked = _check_parts(s.Machine(machine.declarations, machine.agent), rlimit)
    except DslError as error:
        found += error.diagnostics
    search = search_machine(machine)
    if machine.search is not None and search is not None:
        try:
            searched = _check_parts(search, rlimit)
            check_settings(machine.search, searched.chapter.task)
            if checked is not None:
                found += _check_sketches(
                    machine.search, {AGENT: checked.program, SEARCHER: searched.program}
                )
        except DslError as error:
            found += (d for d in error.diagnostics if d not in found)
    if found or checked is None:
        raise DslError(tuple(found))
    more = () if searched is None else tuple(f"search: {text}" for text in searched.obligations)
    return replace(checked, obligations=checked.obligations + more)


def _check_sketches(search: s.Search, programs: Mapping[str, Program]) -> list[Diagnostic]:
    """What is wrong with the sketches of families, in the place of parts of the programs that they are for."""
    found: list[Diagnostic] = []
    for family in families_of(search):
        for option in family.options:
            if option.key == "sketch" and isinstance(option.value, s.Text):
                from godel.families.sketch import read_sketch

                try:
                    read_sketch(option.value.value, programs[target_of(family)])
                except DslError as error:
                    first = error.diagnostics[0]
                    message = f"the sketch of {family.name}: {first.message}"
                    where = option.value.span
                    found.append(Diagnostic("G070", message, where, first.notes, first.help))
    return found


def _check_parts(machine: s.Machine, rlimit: int) -> Checked:
    task, program = check_machine(machine)
    kernel: list[Gap] = []
    try:
        chapter = Chapter(machine.declarations)
        program = chapter.program(machine.agent)
    except NotTotal as error:
        kernel = error.gaps
    solver: list[Gap] = []
    for part in (None, program):
        broken, unproved, _ = find_broken(task, part, rlimit=rlimit, proved=not kernel)
        solver += [*broken, *unproved]
    found = _merge(kernel, solver)
    if found:
        raise DslError(tuple(found))
    proved = [o.what for part in (None, program) for o in obligations(task, part)]
    return Checked(chapter, program, tuple(proved))


def _merge(kernel: list[Gap], solver: list[Gap]) -> list[Diagnostic]:
    """What is broken, each fault once, with the solver's small point where it has one; else what neither proves."""
    shown: dict[tuple[str, int, int], Diagnostic] = {}
    for gap in [*solver, *kernel]:
        if isinstance(gap, Broken):
            key = (gap.code, gap.node.span.start, gap.node.span.end)
            shown.setdefault(key, describe_gap(gap))
    if shown:
        return list(shown.values())
    open_places = {(g.node.span.start, g.node.span.end): g for g in [*solver, *kernel]}
    return [
        Diagnostic(
            "G017",
            f"neither proved nor broken: {gap.message}",
            gap.node.span,
            help="narrow the ranges, guard the expression with a test, or clamp it"
            if gap.code == "G012"
            else "narrow the ranges, or guard the expression with a test",
        )
        for gap in open_places.values()
    ]
