"""Random expressions and distributions as text, the same for the same seed.

What is made is total by construction: numbers are clamped, indices and divisors kept in bounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random
from typing import TypeAlias

# --- kinds of values -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Truth:
    """`bool`."""


@dataclass(frozen=True, slots=True)
class Range:
    """`int low..high`."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Whole:
    """`int`."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """`rat`, or `rat 0..1`."""

    unit: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """An enum; `shared` members belong to another enum as well and are written in full."""

    name: str
    members: tuple[str, ...]
    shared: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Vector:
    """`bits[width]`."""

    width: int


@dataclass(frozen=True, slots=True)
class Row:
    """An array, indexed from 0 or by the members of an enum."""

    length: int
    index: Choice | None
    item: Kind


Kind: TypeAlias = Truth | Range | Whole | Ratio | Choice | Vector | Row


def show_kind(kind: Kind) -> str:
    """The type as it is written."""
    match kind:
        case Truth():
            return "bool"
        case Range(low, high):
            return f"int {low}..{high}"
        case Whole():
            return "int"
        case Ratio(unit):
            return "rat 0..1" if unit else "rat"
        case Choice(name):
            return name
        case Vector(width):
            return f"bits[{width}]"
        case Row(length, index, item):
            return f"array[{index.name if index else length}] of {show_kind(item)}"


def count_values(kind: Kind) -> int:
    """How many values a finite kind has."""
    match kind:
        case Truth():
            return 2
        case Range(low, high):
            return high - low + 1
        case Choice(_, members):
            return len(members)
        case Vector(width):
            return 1 << width
        case Row(length, _, item):
            return int(count_values(item) ** length)
        case Whole() | Ratio():
            raise ValueError(f"{show_kind(kind)} has no end")


def pick(rng: Random, *kinds: Kind) -> Kind:
    return rng.choice(kinds)


def fits(found: Kind, wanted: Kind) -> bool:
    match found, wanted:
        case Range(a, b), Range(low, high):
            return low <= a and b <= high
        case Range() | Whole(), Whole() | Ratio(False):
            return True
        case Range(a, b), Ratio(True):
            return a >= 0 and b <= 1
        case Ratio(), Ratio(False):
            return True
        case _:
            return found == wanted


@dataclass(frozen=True, slots=True)
class Function:
    """A `def` that may be called."""

    name: str
    parameters: tuple[Kind, ...]
    result: Kind


# --- expressions ---------------------------------------------------------------------------------


@dataclass(slots=True)
class Maker:
    """Makes expressions, as text, over names and functions; every one has a value.

    `words` are the vectors of bits that may occur; with `loops` there are folds, quantifiers and changed arrays.
    """

    rng: Random
    enums: tuple[Choice, ...]
    names: Mapping[str, Kind]
    functions: tuple[Function, ...] = ()
    words: tuple[Vector, ...] = ()
    loops: bool = False
    fresh: Iterator[int] = field(default_factory=count)

    def over(self, names: Mapping[str, Kind], functions: tuple[Function, ...] = ()) -> Maker:
        """The same maker with more to read."""
        return replace(self, names={**self.names, **names}, functions=self.functions + functions)

    def make(self, kind: Kind, depth: int) -> str:
        """An expression whose value lies in the kind."""
        rng = self.rng
        if depth <= 0 or rng.random() < 0.15:
            return self.leaf(kind)
        if isinstance(kind, Row) and kind.index:
            # an array that is written out cannot stand beside one that is indexed by members
            items = ", ".join(self.make(kind.item, depth - 1) for _ in range(kind.length))
            return self.leaf(kind) if rng.random() < 0.4 else f"[{items}]"
        if rng.random() < 0.35:
            return self._structure(kind, depth - 1)
        match kind:
            case Truth():
                return self._truth(depth - 1)
            case Range(low, high):
                return self._range(low, high, depth - 1)
            case Whole():
                return self._whole(depth - 1)
            case Ratio(True):
                return self._unit(depth - 1)
            case Ratio():
                return self._ratio(depth - 1)
            case Choice(name, members):
                if rng.random() < 0.5:
                    return f"{name}({self.make(Range(0, len(members) - 1), depth - 1)})"
                return self._structure(kind, depth - 1)
            case Vector():
                return self._vector(kind, depth - 1)
            case Row(length, _, item):
                if self.loops and rng.random() < 0.35:
                    entries = ", ".join(
                        f"{self.make(Range(0, length - 1), depth - 1)}: {self.make(item, depth - 1)}"
                        for _ in range(rng.randint(1, 2))
                    )
                    return f"({self.leaf(kind)} with {{ {entries} }})"
                if rng.random() < 0.5:
                    var = self._name()
                    inside = self.over({var: Range(0, length - 1)})
                    return f"[for {var} in 0..{length - 1}: {inside.make(item, depth - 1)}]"
                return "[" + ", ".join(self.make(item, depth - 1) for _ in range(length)) + "]"

    def leaf(self, kind: Kind) -> str:
        """A name or a literal."""
        known = [name for name, found in self.names.items() if fits(found, kind)]
        if known and self.rng.random() < 0.8:
            # constants are in capitals; what varies is more telling
            varying = [name for name in known if not name.isupper()]
            return self.rng.choice(varying if varying and self.rng.random() < 0.8 else known)
        return self.literal(kind)

    def literal(self, kind: Kind) -> str:
        """A literal of the kind."""
        rng = self.rng
        match kind:
            case Truth():
                return rng.choice(["true", "false"])
            case Range(low, high):
                return str(rng.randint(low, high))
            case Whole():
                return str(rng.randint(-3, 4))
            case Ratio(True):
                return rng.choice(["0", "1", "1/2", "1/3", "0.25", "9/10", "2/7"])
            case Ratio():
                return rng.choice(["-2", "-1/2", "0", "1/3", "0.75", "1", "5/2", "3"])
            case Choice(name, members, shared):
                member = rng.choice(members)
                full = member in shared or rng.random() < 0.2
                return f"{name}.{member}" if full else member
            case Vector(width):
                number = rng.randrange(1 << width)
                return f"bits[{width}]({number if rng.random() < 0.9 else number + (1 << width)})"
            case Row(length, _, item):
                return "[" + ", ".join(self.literal(item) for _ in range(length)) + "]"

    def _name(self) -> str:
        return f"v{next(self.fresh)}"

    def _structure(self, kind: Kind, depth: int) -> str:
        """Forms that a value of any kind may take."""
        rng, make = self.rng, self.make
        form = rng.randrange(6)
        if self.loops and rng.random() < 0.2 and isinstance(kind, Truth | Range | Whole | Ratio):
            return self._fold(kind, depth)
        if form == 0:
            return f"(if {make(Truth(), depth)} then {make(kind, depth)} else {make(kind, depth)})"
        if form == 1:
            var, found = self._name(), self._some_kind()
            return (
                f"(let {var} = {make(found, depth)} in {self.over({var: found}).make(kind, depth)})"
            )
        if form == 2:
            return self._match(kind, depth)
        if form == 3 and not isinstance(kind, Row):
            size = rng.randint(1, 3)
            items = ", ".join(make(kind, depth - 1) for _ in range(size))
            return f"[{items}][{make(Range(0, size - 1), depth)}]"
        called = [f for f in self.functions if fits(f.result, kind)]
        if form == 4 and called:
            function = rng.choice(called)
            return f"{function.name}({', '.join(make(p, depth) for p in function.parameters)})"
        rows = [
            (n, k) for n, k in self.names.items() if isinstance(k, Row) and _fits_inside(k, kind)
        ]
        if rows:
            name, row = rng.choice(rows)
            return self._lookup(name, row, kind, depth)
        return self.leaf(kind)

    def _fold(self, kind: Kind, depth: int) -> str:
        """A fold; what it holds has no range, so that a range is made of it at the end."""
        rng, acc, var = self.rng, self._name(), self._name()
        low = rng.choice([0, 0, 1, -1])
        high = low + rng.choice([0, 1, 2, 2, 3])
        held = Whole() if isinstance(kind, Range) else kind
        inside = self.over({acc: held if held != Ratio(True) else Ratio(), var: Range(low, high)})
        if isinstance(kind, Truth):
            body = f"{acc} {rng.choice(['and', 'or', '==', 'implies'])} {inside.make(kind, depth)}"
        elif rng.random() < 0.7:
            body = f"{acc} {rng.choice('+-')} {inside.make(Range(-2, 2), depth)}"
        else:
            body = f"max({acc}, {inside.make(Range(-2, 3), depth)})"
        made = f"(fold {acc} = {self.make(held, depth - 1)} for {var} in {low}..{high}: {body})"
        match kind:
            case Range(least, most):
                return f"clamp({made}, {least}, {most})"
            case Ratio(True):
                return f"clamp({made}, 0, 1)"
            case _:
                return made

    def _vector(self, kind: Vector, depth: int) -> str:
        """Operations on bits; an integer literal stands only beside bits of known width."""
        rng, make, width = self.rng, self.make, kind.width
        form = rng.randrange(10)
        if form <= 2:
            beside = str(rng.randrange(1 << width)) if rng.random() < 0.3 else make(kind, depth)
            sides = [make(kind, depth), beside]
            if rng.random() < 0.2:
                sides.reverse()
            return f"({sides[0]} {rng.choice(['+', '-', '*', '&', '|', '^'])} {sides[1]})"
        if form == 3:
            return f"({rng.choice('-~')}{make(kind, depth)})"
        if form in (4, 5):
            amount = make(pick(rng, Range(0, width + 1), *self.words), depth)
            value = make(kind, depth)
            op = rng.choice(["<<", ">>", "ashr"])
            return f"ashr({value}, {amount})" if op == "ashr" else f"({value} {op} {amount})"
        if form == 6:
            divisor = rng.choice(
                [f"{make(kind, depth)} | 1", f"bits[{width}]({rng.randint(1, (1 << width) - 1)})"]
            )
            name = rng.choice(["udiv", "urem", "sdiv", "srem"])
            return f"{name}({make(kind, depth)}, {divisor})"
        if form == 7:
            return f"bits[{width}]({make(pick(rng, Whole(), Range(-2, 3), *self.words), depth)})"
        below = [w for w in self.words if w.width <= width]
        if form == 8 and below:
            return f"sext[{width}]({make(rng.choice(below), depth)})"
        return self._structure(kind, depth)

    def _lookup(self, name: str, row: Kind, kind: Kind, depth: int) -> str:
        while isinstance(row, Row) and not fits(row, kind):
            index = row.index or Range(0, row.length - 1)
            name, row = f"{name}[{self.make(index, depth)}]", row.item
        return name

    def _some_kind(self) -> Kind:
        kinds = (Truth(), Range(-2, 3), Range(0, 2), Ratio(), Whole())
        return pick(self.rng, *kinds, *self.enums, *self.words)

    def _match(self, kind: Kind, depth: int) -> str:
        rng = self.rng
        subject = pick(rng, Truth(), Range(-1, 2), *self.enums, *self.enums)
        if isinstance(subject, Choice):
            patterns = [
                f"{subject.name}.{m}" if m in subject.shared or rng.random() < 0.2 else m
                for m in subject.members
            ]
        else:
            patterns = ["true", "false"] if isinstance(subject, Truth) else ["-1", "0", "1", "2"]
        rng.shuffle(patterns)
        last = ""
        if rng.random() < 0.5:
            patterns = patterns[: rng.randint(1, len(patterns))]
            last = f", else: {self.make(kind, depth)}"
        arms: list[str] = []
        while patterns:
            width = rng.choice([1, 1, 2])
            arms.append(f"{' | '.join(patterns[:width])}: {self.make(kind, depth)}")
            patterns = patterns[width:]
        return f"(match {self.make(subject, depth)} {{ {', '.join(arms)}{last} }})"

    def _truth(self, depth: int) -> str:
        rng, make = self.rng, self.make
        form = rng.randrange(5)
        if self.words and rng.random() < 0.3:
            bits = rng.choice(self.words)
            sides = f"{make(bits, depth)}, {make(bits, depth)}"
            beside = rng.choice([make(bits, depth), str(rng.randrange(1 << bits.width))])
            return rng.choice(
                [
                    f"{rng.choice(['ult', 'ule', 'slt', 'sle'])}({sides})",
                    f"({make(bits, depth)} {rng.choice(['==', '!='])} {beside})",
                ]
            )
        if self.loops and rng.random() < 0.2:
            var, word = self._name(), rng.choice(["forall", "exists"])
            low = rng.choice([0, 0, -1])
            high = low + rng.choice([0, 1, 2, 3])
            body = self.over({var: Range(low, high)}).make(Truth(), depth)
            return f"({word} {var} in {low}..{high}: {body})"
        if form == 0:
            return f"(not {make(Truth(), depth)})"
        if form == 1:
            op = rng.choice(["and", "or", "implies"])
            return f"({make(Truth(), depth)} {op} {make(Truth(), depth)})"
        if form == 2:
            kind = pick(rng, Truth(), *self.enums, *self.enums)
            return f"({make(kind, depth)} {rng.choice(['==', '!='])} {make(kind, depth)})"
        if form == 3:
            ops = rng.choice([["<", "<="], ["<=", "<="], [">", ">="], ["<", "<"]])
            return f"({self._number(depth)} {ops[0]} {self._number(depth)} {ops[1]} {self._number(depth)})"
        op = rng.choice(["<", "<=", ">", ">=", "==", "!="])
        return f"({self._number(depth)} {op} {self._number(depth)})"

    def _number(self, depth: int) -> str:
        return self.make(pick(self.rng, Whole(), Range(-2, 2), Ratio()), depth)

    def _range(self, low: int, high: int, depth: int) -> str:
        form = self.rng.randrange(3)
        if form == 0:
            return f"clamp({self.make(Whole(), depth)}, {low}, {high})"
        if form == 1:
            return f"max({low}, min({self.make(Whole(), depth)}, {high}))"
        shifted = f"({self.make(Whole(), depth)} mod {high - low + 1})"
        return f"({low} + {shifted})" if low else shifted

    def _whole(self, depth: int) -> str:
        rng, make = self.rng, self.make
        form = rng.randrange(9)
        if form <= 2:
            return f"({make(Whole(), depth)} {rng.choice('+-*')} {make(Whole(), depth)})"
        if form == 3:
            divisor = rng.choice(["2", "3", "-2", f"max(1, {make(Whole(), depth)})"])
            return f"({make(Whole(), depth)} {rng.choice(['div', 'mod'])} {divisor})"
        if form == 4:
            several = ", ".join(make(Whole(), depth) for _ in range(rng.randint(2, 3)))
            return f"{rng.choice(['min', 'max'])}({several})"
        if form == 5:
            return f"{rng.choice(['abs', 'floor'])}({make(Whole(), depth)})"
        if form == 6:
            return f"floor({make(Ratio(), depth)})"
        if self.words and rng.random() < 0.3:
            return f"{rng.choice(['int', 'sint'])}({make(rng.choice(self.words), depth)})"
        if form == 7 and self.enums:
            return f"ord({make(rng.choice(self.enums), depth)})"
        return f"(-{make(Whole(), depth)})"

    def _unit(self, depth: int) -> str:
        form = self.rng.randrange(3)
        if form == 0:
            return f"clamp({self.make(Ratio(), depth)}, 0, 1)"
        if form == 1:
            return f"(1 / (1 + abs({self.make(Whole(), depth)})))"
        return f"({self.make(Range(0, 4), depth)} / 4)"

    def _ratio(self, depth: int) -> str:
        rng, make = self.rng, self.make
        form = rng.randrange(6)
        if form <= 2:
            return f"({make(Ratio(), depth)} {rng.choice('+-*')} {self._number(depth)})"
        if form == 3:
            divisor = rng.choice(["2", "-3", "1/2", f"max(1/2, {make(Ratio(), depth)})"])
            return f"({self._number(depth)} / {divisor})"
        if form == 4:
            return f"{rng.choice(['min', 'max'])}({make(Ratio(), depth)}, {self._number(depth)})"
        return f"{rng.choice(['abs(', '(-'])}{make(Ratio(), depth)})"

    # --- distributions ---------------------------------------------------------------------------

    def distribution(self, kind: Kind, depth: int, open_weights: tuple[str, ...] = ()) -> str:
        """What a chance variable or a start may be drawn from; some weights may read unknowns or rates."""
        rng = self.rng
        if open_weights and rng.random() < 0.8:
            return self._open(kind, depth, open_weights)
        form = rng.randrange(8)
        if depth > 0 and form == 0:
            below = [self.distribution(kind, depth - 1) for _ in range(2)]
            return f"if {self.make(Truth(), depth)} then {below[0]} else {below[1]}"
        if depth > 0 and form == 1 and self.enums:
            subject = rng.choice(self.enums)
            arms = [
                f"{subject.name}.{m}: {self.distribution(kind, depth - 1)}"
                for m in subject.members[1:]
            ]
            arms.append(f"else: {self.distribution(kind, depth - 1)}")
            return f"match {self.make(subject, depth)} {{ {', '.join(arms)} }}"
        if depth > 0 and form == 2:
            var = self._name()
            weight = self.make(Ratio(True), depth)
            drawn = [self._drawn(kind, depth - 1) for _ in range(2)]
            return f"let {var} = {weight} in {{ {drawn[0]}: {var}, {drawn[1]}: 1 - {var} }}"
        if form in (3, 4):
            weight = self.make(Ratio(True), depth)
            drawn = [self._drawn(kind, depth - 1) for _ in range(2)]
            return f"{{ {drawn[0]}: {weight}, {drawn[1]}: 1 - {weight} }}"
        if form == 5 and isinstance(kind, Range):
            return self._spread(kind)
        weights = rng.choice(_WEIGHTS)
        return "{ " + ", ".join(f"{self._drawn(kind, depth - 1)}: {w}" for w in weights) + " }"

    def _open(self, kind: Kind, depth: int, weights: tuple[str, ...]) -> str:
        rng, weight = self.rng, self.rng.choice(weights)
        if rng.random() < 0.3:
            test, other = self.make(Truth(), depth - 1), rng.choice([*weights, "1/3", "0", "1"])
            weight = f"(if {test} then {weight} else {other})"
        drawn = [
            self.literal(kind) if rng.random() < 0.6 else self._drawn(kind, 1) for _ in range(3)
        ]
        name = self._name()
        forms = [
            f"{{ {drawn[0]}: {weight}, {drawn[1]}: 1 - {weight} }}",
            f"{{ {drawn[0]}: {weight} / 2, {drawn[1]}: 1 - {weight}, {drawn[2]}: {weight} * 1/2 }}",
            f"let {name} = {weight} in {{ {drawn[0]}: {name}, {drawn[1]}: 1 - {name} }}",
        ]
        made = rng.choice(forms)
        if depth > 0 and rng.random() < 0.3:
            test = self.make(Truth(), depth - 1)
            made = f"if {test} then {made} else {self.distribution(kind, depth - 1)}"
        return made

    def _drawn(self, kind: Kind, depth: int) -> str:
        # a kind without end keeps known bounds only if its values are literals
        if depth <= 0 or isinstance(kind, Whole | Ratio):
            return self.literal(kind)
        return self.make(kind, depth)

    def _spread(self, kind: Range) -> str:
        low = self.rng.randint(kind.low, kind.high)
        high = min(kind.high, low + self.rng.randint(1, 3))
        size, var = high - low + 1, self._name()
        weight = f"1/{size}"
        if self.rng.random() < 0.5:
            total = sum(range(1, size + 1))
            weight = f"({var} - ({low}) + 1) / {total}"
        return f"{{ for {var} in {low}..{high}: {var}: {weight} }}"


def _fits_inside(row: Kind, kind: Kind) -> bool:
    while isinstance(row, Row):
        row = row.item
        if fits(row, kind):
            return True
    return False


_WEIGHTS = (
    ("1/2", "1/2"),
    ("1/4", "3/4"),
    ("0.05", "0.95"),
    ("1/3", "0", "2/3"),
    ("1/3", "1/3", "1/3"),
    ("1/2", "0.5", "0"),
    ("1/7", "4/7", "2/7"),
)
