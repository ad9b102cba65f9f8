"""The question whether some choices, and a table that bounds their value from below, beat given values: SMT-LIB 2 text.

The premises of the rule `bound` (lower, program) are asserted rather than denied, each under the choices that lead to it, so
that a model is an answer: choices together with a table L with L <= T L. Linear in the table; choices are finite.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from proofs.smtlib import decimal

Assignment: TypeAlias = tuple[tuple[int, int], ...]
"""Some choices by number, each with the number of the option taken."""
Entry: TypeAlias = tuple[int, int, int]
"""An entry of a table: the number of the table, the steps to go (0 under a discount), the state by number."""
Sum: TypeAlias = tuple[tuple[Fraction, Entry], ...]

LEVEL = "level"


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice by name, and its options in words."""

    name: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inequality:
    """`entry <= constant + sum` wherever one of the assignments holds."""

    when: tuple[Assignment, ...]
    entry: Entry
    constant: Fraction
    after: Sum


@dataclass(frozen=True, slots=True)
class Start:
    """One world's start: the table's value there, and the upper bound that is to be beaten."""

    value: Sum
    upper: Fraction


@dataclass(slots=True)
class Question:
    """All that is asserted. `larger` is what the new code costs more for its size; `better` as in the utility.

    `excluded` holds assignments that are no answer any more, `beyond` what the sum of the values at the starts, or under
    `worst` the least of them, must exceed. `about` says in words what each state is.
    """

    choices: tuple[Choice, ...]
    inequalities: tuple[Inequality, ...]
    starts: tuple[Start, ...]
    impossible: tuple[Assignment, ...]
    larger: Fraction
    better: str
    about: tuple[str, ...] = ()
    excluded: list[Assignment] = field(default_factory=list)
    beyond: Fraction | None = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every entry of the tables that is mentioned, in order."""
        found: set[Entry] = set()
        for inequality in self.inequalities:
            found.add(inequality.entry)
            found.update(e for _, e in inequality.after)
        for start in self.starts:
            found.update(e for _, e in start.value)
        return tuple(sorted(found))

    @property
    def size(self) -> int:
        """How much is written, in terms."""
        counted = sum(sum(map(len, i.when)) + len(i.after) + 1 for i in self.inequalities)
        return counted + sum(len(c.options) ** 2 for c in self.choices)


def option_symbol(choice: Choice, option: int) -> str:
    """The Boolean that is true when an option is taken."""
    return f"|{choice.name} = {choice.options[option]}|"


def print_question(question: Question) -> str:
    """The question as text: `sat` means that there is an answer."""
    return "\n".join(_lines(question)) + "\n"


def _lines(question: Question) -> Iterator[str]:
    yield "; Choices and a table L with L <= T L that beat the upper bound of the old program: `sat` if there are some."
    yield "(set-logic QF_LRA)"
    for choice in question.choices:
        names = [option_symbol(choice, i) for i in range(len(choice.options))]
        for name in names:
            yield f"(declare-const {name} Bool)"
        yield f"(assert {_any(names)})"
        for i, name in enumerate(names):
            for other in names[:i]:
                yield f"(assert (not (and {other} {name})))"
    for k, text in enumerate(question.about):
        yield f"; {k}: {text}"
    for entry in question.entries:
        yield f"(declare-const {_entry(entry)} Real)"
    for assignment in (*question.impossible, *question.excluded):
        yield f"(assert (not {_holds(question, assignment)}))"
    for premise in question.inequalities:
        claim = f"(<= {_entry(premise.entry)} {_sum(premise.after, premise.constant)})"
        tests = [_holds(question, assignment) for assignment in premise.when]
        yield f"(assert {claim})" if "true" in tests else f"(assert (=> {_any(tests)} {claim}))"
    yield "; at the starts"
    yield from _starts(question)


def _starts(question: Question) -> Iterator[str]:
    values = [_sum(start.value, -question.larger) for start in question.starts]
    if question.better == "worst":
        least = min(start.upper for start in question.starts)
        yield f"(declare-const {LEVEL} Real)"
        for value in values:
            yield f"(assert (>= {value} {LEVEL}))"
        yield f"(assert (> {LEVEL} {decimal(least)}))"
        whole = LEVEL
    else:
        sign = ">" if question.better == "strictly" else ">="
        for value, start in zip(values, question.starts, strict=True):
            yield f"(assert ({sign} {value} {decimal(start.upper)}))"
        whole = values[0] if len(values) == 1 else f"(+ {' '.join(values)})"
        yield f"(assert (> {whole} {decimal(sum((s.upper for s in question.starts), Fraction(0)))}))"
    if question.beyond is not None:
        yield f"(assert (> {whole} {decimal(question.beyond)}))"


def _holds(question: Question, assignment: Assignment) -> str:
    """That an assignment is made."""
    names = [option_symbol(question.choices[c], o) for c, o in assignment]
    if not names:
        return "true"
    return names[0] if len(names) == 1 else f"(and {' '.join(names)})"


def _any(tests: list[str]) -> str:
    return tests[0] if len(tests) == 1 else f"(or {' '.join(tests)})"


def _entry(entry: Entry) -> str:
    table, layer, state = entry
    return f"L.{table}.{layer}.{state}"


def _sum(terms: Sum, constant: Fraction) -> str:
    parts = [
        _entry(entry) if weight == 1 else f"(* {decimal(weight)} {_entry(entry)})"
        for weight, entry in terms
    ]
    if constant or not parts:
        parts.insert(0, decimal(constant))
    return parts[0] if len(parts) == 1 else f"(+ {' '.join(parts)})"
