"""Family `tune`: other values for the `param`s of a program, and for single entries of its small tables of numbers.

Of few values all are tried, of many the ends and those at growing distances, then finer ones around the best. Single
numbers come first, then pairs of params. What seems to gain at the starts is proposed, best first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from dsl import syntax as s
from dsl.machine import Program
from dsl.rewrite import Edit
from dsl.types import (
    Array,
    Bits,
    Int,
    Rat,
    Type,
    Value,
    cardinality,
    elements,
    scalar,
    show_value,
    values,
)
from godel.families.family import Candidate, Candidates, Family, Workplace
from godel.families.patches import edit_entries
from godel.families.trial import UNTRIED, Trials

FEW = 64
"""Up to how many values of a number all are tried."""
FEW_OF_PAIR = 12
FEW_OF_ENTRY = 8
"""Up to how many values are tried of each number of a pair, and of an entry of a table."""
STEPS_OF_RANGE = 10
"""Into how many halvings the range of a rational is cut."""


def tune(*, pairs: int = 500, tables: int = 64, candidates: int = 32) -> Family:
    """The family with these settings.

    At most `pairs` joint values of two params are tried, tables of at most `tables` numbers are looked at, and at most
    `candidates` are proposed of single numbers, and as many of pairs.
    """

    def propose(workplace: Workplace, program: Program) -> Candidates:
        knobs = list(_knobs(program, tables))
        if not knobs:
            return 0
        try:
            tuning = _Tuning(Trials(workplace, program), program)
        except UNTRIED:
            return 0
        yield from tuning.ranked(tuning.singles(knobs), candidates)
        params = [knob for knob in knobs if knob.is_param]
        yield from tuning.ranked(tuning.pairs(params, pairs), candidates)
        return tuning.count()

    return propose


@dataclass(frozen=True, slots=True)
class Knob:
    """A number of the code that may be another one: a param, or an entry of a table or param by its indices."""

    slot: s.Param | s.Table
    kind: Type
    path: tuple[int, ...]
    item: Type
    now: Value

    @property
    def is_param(self) -> bool:
        """Whether it is a whole param."""
        return isinstance(self.slot, s.Param) and not self.path

    @property
    def name(self) -> str:
        """What it is called."""
        return self.slot.name + "".join(f"[{i}]" for i in self.path)


def _knobs(program: Program, tables: int) -> Iterator[Knob]:
    """Params first, in file order, then the entries of arrays."""
    arrays: list[tuple[s.Param | s.Table, Type]] = []
    for slot in program.code.slots:
        if not isinstance(slot, s.Param | s.Table):
            continue
        kind = program.names.types[slot.name]
        if isinstance(kind, Array):
            arrays.append((slot, kind))
        elif isinstance(slot, s.Param):
            yield Knob(slot, kind, (), kind, program.names.values[slot.name])
    for slot, kind in arrays:
        if elements(kind) > tables or not isinstance(scalar(kind), Int | Rat | Bits):
            continue
        for path, value in _entries(kind, program.names.values[slot.name]):
            yield Knob(slot, kind, path, scalar(kind), value)


def _entries(kind: Type, value: Value) -> Iterator[tuple[tuple[int, ...], Value]]:
    if not isinstance(kind, Array):
        yield (), value
        return
    for i, item in enumerate(value):  # type: ignore[arg-type]
        for path, inner in _entries(kind.item, item):
            yield (i, *path), inner


# --- values worth trying -------------------------------------------------------------------------


def other_values(kind: Type, now: Value, few: int) -> list[Value]:
    """Other values worth trying: all where they are few, else the ends and those at doubling or halving distances."""
    count = cardinality(kind)
    if count is not None and count <= few:
        return [v for v in values(kind) if v != now]
    found: dict[Value, None] = {}
    for step in _distances(kind, now):
        for value in (now - step, now + step):  # type: ignore[operator]
            if _within(kind, value):
                found[value] = None
    for end in _ends(kind):
        found[end] = None
    found.pop(now, None)
    near = sorted(found, key=lambda v: (abs(v - now), v))  # type: ignore[operator]
    if len(near) <= few:
        return near
    # the nearest half, and the rest evenly
    half, rest = near[: few // 2], near[few // 2 :]
    return half + rest[:: -(-len(rest) // (few - few // 2))]


def _ends(kind: Type) -> list[Value]:
    match kind:
        case Int(int() as low, int() as high):
            return [low, high]
        case Rat(Fraction() as least, Fraction() as most):
            return [_plain(least), _plain(most)]
        case Bits(width):
            return [0, (1 << width) - 1]
        case _:
            return []


def _distances(kind: Type, now: Value) -> list[Value]:
    """Steps away from a value: of whole numbers powers of two, of rationals the range halved again and again."""
    if isinstance(kind, Rat):
        if kind.low is None or kind.high is None:
            size = max(abs(Fraction(now)), Fraction(1))  # type: ignore[arg-type]
        else:
            size = Fraction(kind.high) - Fraction(kind.low)
        return [size / 2**k for k in range(STEPS_OF_RANGE, -1, -1)]
    width = 64
    if isinstance(kind, Int) and kind.low is not None and kind.high is not None:
        width = (kind.high - kind.low).bit_length()
    elif isinstance(kind, Bits):
        width = kind.width
    return [1 << k for k in range(width)]


def _within(kind: Type, value: Value) -> bool:
    match kind:
        case Int(low, high) | Rat(low, high):
            return (low is None or value >= low) and (high is None or value <= high)  # type: ignore[operator]
        case Bits(width):
            return 0 <= value < 1 << width  # type: ignore[operator]
        case _:
            return False


def _plain(value: Value) -> Value:
    """A rational as the language stores it."""
    return Fraction(value)  # type: ignore[arg-type]


# --- trying --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Change:
    """Other values of one or two numbers, with what that seems to gain."""

    edits: tuple[Edit, ...]
    note: str
    gain: float
    rises: bool


class _Tuning:
    """Values on trial."""

    def __init__(self, trials: Trials, program: Program) -> None:
        self.trials, self.program = trials, program
        self._counted = 0

    def ranked(self, changes: Iterator[_Change], limit: int) -> Iterator[Candidate]:
        """What seems to gain, best first, with the work since the last candidate."""
        found = sorted((c for c in changes if c.rises), key=lambda c: -c.gain)
        for change in found[:limit]:
            yield Candidate(change.edits, change.note, self.count())

    def count(self) -> int:
        """The work since this was asked last."""
        steps, self._counted = self.trials.steps - self._counted, self.trials.steps
        return steps

    def singles(self, knobs: list[Knob]) -> Iterator[_Change]:
        """Other values of one number: what stands in the list, then finer steps around the best of it."""
        for knob in knobs:
            tried: dict[Value, _Change] = {}
            few = FEW if knob.is_param else FEW_OF_ENTRY
            for value in other_values(knob.item, knob.now, few):
                self._try(knob, value, tried)
            count = cardinality(knob.item)
            if knob.is_param and (count is None or count > few):
                self._refine(knob, tried)
            yield from tried.values()

    def _try(self, knob: Knob, value: Value, tried: dict[Value, _Change]) -> None:
        change = self._change(((knob, value),))
        if change is not None:
            tried[value] = change

    def _refine(self, knob: Knob, tried: dict[Value, _Change]) -> None:
        """Steps up and down from the best value so far, halved wherever neither is better."""
        gains = {knob.now: 0.0, **{value: change.gain for value, change in tried.items()}}
        best = max(gains, key=lambda v: (gains[v], -abs(v - knob.now)))  # type: ignore[operator]
        distances = _distances(knob.item, knob.now)
        step, least = abs(best - knob.now), distances[0]  # type: ignore[operator]
        while step > least:
            step = step // 2 if not isinstance(knob.item, Rat) else step / 2
            for value in (best - step, best + step):
                if value != knob.now and value not in tried and _within(knob.item, value):
                    self._try(knob, value, tried)
                    if value in tried and tried[value].gain > gains.get(best, 0.0):
                        best, gains[value] = value, tried[value].gain

    def pairs(self, params: list[Knob], limit: int) -> Iterator[_Change]:
        """Other values of two params at once, each pair in turn, near values first."""
        chosen = [other_values(knob.kind, knob.now, FEW_OF_PAIR) for knob in params]
        couples = list(combinations(range(len(params)), 2))[:limit]
        for one, other in couples:
            joint = [
                (i + j, i, j) for i in range(len(chosen[one])) for j in range(len(chosen[other]))
            ]
            for _, i, j in sorted(joint)[: limit // len(couples)]:
                change = self._change(
                    ((params[one], chosen[one][i]), (params[other], chosen[other][j]))
                )
                if change is not None:
                    yield change

    def _change(self, wanted: tuple[tuple[Knob, Value], ...]) -> _Change | None:
        edits: list[Edit] = []
        for knob, value in wanted:
            slot, now = knob.slot, self.program.names.values[knob.slot.name]
            edits += edit_entries(
                self.program, slot, slot.value, (0,), knob.kind, now, {knob.path: value}
            )
        tried = self.trials.value(tuple(edits))
        if tried is None:
            return None
        note = ", ".join(f"{k.name} = {show_value(k.item, value)}" for k, value in wanted)
        return _Change(tuple(edits), note, tried.gain, tried.rises)
