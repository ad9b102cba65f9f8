"""Random small machine files as text, and rewrites of their code: the same for the same seed.

What is made is total by construction (numbers are clamped, indices and divisors kept in bounds), apart from the rewrites
that mean to be broken; those say so. No file has more than `STATES_MAX` states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random
from typing import TypeAlias

from dsl import syntax as s
from dsl.codec import digest_node
from dsl.rewrite import AddSlot, Edit, RemoveSlot, Replace, derive_edits

STATES_MAX = 60

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
class Row:
    """An array, indexed from 0 or by the members of an enum."""

    length: int
    index: Choice | None
    item: Kind


Kind: TypeAlias = Truth | Range | Whole | Ratio | Choice | Row


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
        case Row(length, _, item):
            return int(count_values(item) ** length)
        case Whole() | Ratio():
            raise ValueError(f"{show_kind(kind)} has no end")


def _pick(rng: Random, *kinds: Kind) -> Kind:
    return rng.choice(kinds)


def _fits(found: Kind, wanted: Kind) -> bool:
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
    """Makes expressions, as text, over names and functions; every one has a value."""

    rng: Random
    enums: tuple[Choice, ...]
    names: Mapping[str, Kind]
    functions: tuple[Function, ...] = ()
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
            case Row(length, _, item):
                if rng.random() < 0.5:
                    var = self._name()
                    inside = self.over({var: Range(0, length - 1)})
                    return f"[for {var} in 0..{length - 1}: {inside.make(item, depth - 1)}]"
                return "[" + ", ".join(self.make(item, depth - 1) for _ in range(length)) + "]"

    def leaf(self, kind: Kind) -> str:
        """A name or a literal."""
        known = [name for name, found in self.names.items() if _fits(found, kind)]
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
            case Row(length, _, item):
                return "[" + ", ".join(self.literal(item) for _ in range(length)) + "]"

    def _name(self) -> str:
        return f"v{next(self.fresh)}"

    def _structure(self, kind: Kind, depth: int) -> str:
        """Forms that a value of any kind may take."""
        rng, make = self.rng, self.make
        form = rng.randrange(6)
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
        called = [f for f in self.functions if _fits(f.result, kind)]
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

    def _lookup(self, name: str, row: Kind, kind: Kind, depth: int) -> str:
        while isinstance(row, Row) and not _fits(row, kind):
            index = row.index or Range(0, row.length - 1)
            name, row = f"{name}[{self.make(index, depth)}]", row.item
        return name

    def _some_kind(self) -> Kind:
        return _pick(self.rng, Truth(), Range(-2, 3), Range(0, 2), Ratio(), Whole(), *self.enums)

    def _match(self, kind: Kind, depth: int) -> str:
        rng = self.rng
        subject = _pick(rng, Truth(), Range(-1, 2), *self.enums, *self.enums)
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
        if form == 0:
            return f"(not {make(Truth(), depth)})"
        if form == 1:
            op = rng.choice(["and", "or", "implies"])
            return f"({make(Truth(), depth)} {op} {make(Truth(), depth)})"
        if form == 2:
            kind = _pick(rng, Truth(), *self.enums, *self.enums)
            return f"({make(kind, depth)} {rng.choice(['==', '!='])} {make(kind, depth)})"
        if form == 3:
            ops = rng.choice([["<", "<="], ["<=", "<="], [">", ">="], ["<", "<"]])
            return f"({self._number(depth)} {ops[0]} {self._number(depth)} {ops[1]} {self._number(depth)})"
        op = rng.choice(["<", "<=", ">", ">=", "==", "!="])
        return f"({self._number(depth)} {op} {self._number(depth)})"

    def _number(self, depth: int) -> str:
        return self.make(_pick(self.rng, Whole(), Range(-2, 2), Ratio()), depth)

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

    def distribution(self, kind: Kind, depth: int) -> str:
        """What a chance variable or a start may be drawn from."""
        rng = self.rng
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
        if _fits(row, kind):
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

# --- programs ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Slot:
    """A param, table or def: its text up to the value, and the value, entry by entry for a table."""

    word: str
    name: str
    head: str
    kind: Kind
    value: str | tuple[str, ...]
    maker: Maker | None = None

    def show(self) -> str:
        """The slot as it is written."""
        value = self.value if isinstance(self.value, str) else f"[{', '.join(self.value)}]"
        return f"  {self.head} = {value}"


@dataclass(frozen=True, slots=True)
class Line:
    """A `let` or an assignment of the policy, and what it may read."""

    name: str
    kind: Kind
    is_let: bool
    value: str
    maker: Maker

    def show(self) -> str:
        """The line as it is written."""
        return f"    {'let ' if self.is_let else ''}{self.name} = {self.value}"


@dataclass(frozen=True, slots=True)
class Agent:
    """A program in parts; nothing reads a slot that is `idle`."""

    slots: tuple[Slot, ...]
    lines: tuple[Line, ...]
    idle: frozenset[str] = frozenset()

    def show(self) -> str:
        """The program as it is written."""
        parts = [slot.show() for slot in self.slots]
        body = "\n".join(line.show() for line in self.lines)
        return "\n".join(["agent {", *parts, "  policy {", body, "  }", "}"]) + "\n"

    def with_line(self, old: Line, value: str) -> Agent:
        """The program with another value in one line."""
        return replace(
            self, lines=tuple(replace(x, value=value) if x is old else x for x in self.lines)
        )

    def with_slot(self, old: Slot, value: str | tuple[str, ...]) -> Agent:
        """The program with another value in one slot."""
        return replace(
            self, slots=tuple(replace(x, value=value) if x is old else x for x in self.slots)
        )


@dataclass(frozen=True, slots=True)
class RandomRewrite:
    """A rewrite by the text of the code it leads to.

    `spoil` names what is wrong with its edits, "" for nothing. `ill_formed` says that the code cannot pass the checker;
    other code may still turn out not to be total.
    """

    what: str
    agent: str
    spoil: str = ""
    ill_formed: bool = False


@dataclass(frozen=True, slots=True)
class RandomMachine:
    """A machine file, and rewrites of its code."""

    seed: int
    declarations: str
    agent: str
    rewrites: tuple[RandomRewrite, ...]

    @property
    def text(self) -> str:
        """The whole file."""
        return self.declarations + self.agent


def random_machine(seed: int, rewrites: int) -> RandomMachine:
    """The machine of a seed, with so many rewrites."""
    rng = Random(seed)
    world = _World(rng)
    declarations = world.declarations()
    agent = world.agent()
    made = tuple(_random_rewrite(world, agent) for _ in range(rewrites))
    return RandomMachine(seed, declarations, agent.show(), made)


# --- worlds --------------------------------------------------------------------------------------


class _World:
    def __init__(self, rng: Random) -> None:
        self.rng = rng
        colour = Choice("Colour", ("red", "green", "blue")[: rng.randint(2, 3)])
        mood = Choice("Mood", ("calm", "wild"))
        if rng.random() < 0.2:
            shared = frozenset({"red"})
            colour, mood = replace(colour, shared=shared), Choice("Mood", ("calm", "red"), shared)
        self.enums = (colour, mood)[: rng.randint(1, 2)]
        if len(self.enums) == 1:
            self.enums = (Choice(colour.name, colour.members),)
        self.maker = Maker(rng, self.enums, {})
        self.states = self._variables("xyz", [1, 2, 2, 3, 3], rng.choice([16, 30, 45, STATES_MAX]))
        self.actions = self._variables("ab", [1, 1, 2], rng.choice([3, 4, 6]), arrays=False)
        names = list(self.states)
        self.observed = {n: self.states[n] for n in names}
        self.observe_line = ""
        if rng.random() < 0.35:
            chosen = rng.sample(names, rng.randint(1, len(names)))
            self.observed = {n: self.states[n] for n in chosen}
            self.observe_line = f"  observe {', '.join(chosen)}\n"

    def _variables(
        self, letters: str, counts: list[int], limit: int, *, arrays: bool = True
    ) -> dict[str, Kind]:
        rng = self.rng
        found: dict[str, Kind] = {}
        for name in letters[: rng.choice(counts)]:
            low = rng.choice([0, 0, 1, -2, -1])
            kinds: list[Kind] = [Truth(), *self.enums]
            kinds += [Range(low, low + n) for n in (1, 2, 3, 4, 5, 6, 7, 9, 9, 11, 14, 19)]
            if arrays and rng.random() < 0.15:
                kinds = [
                    Row(2, None, Truth()),
                    Row(len(self.enums[0].members), self.enums[0], Range(0, 1)),
                ]
            kinds = [k for k in kinds if count_values(k) <= limit]
            if not kinds:
                break
            found[name] = rng.choice(kinds)
            limit //= count_values(found[name])
        return found

    def declarations(self) -> str:
        rng = self.rng
        shared = self._shared()
        environment = self._environment()
        enums = "".join(f"enum {e.name} {{ {', '.join(e.members)} }}\n" for e in self.enums)
        better = rng.choice(["", "better dominates", "better strictly", "better worst"])
        horizon = f"horizon {rng.randint(1, 8)}"
        discounts = ["0", "1/2", "9/10", "0.99", "2/3", "999/1000"]
        settings = [
            horizon if rng.random() < 0.3 else f"discount {rng.choice(discounts)}",
            f"tick_price {rng.choice(['0', '1/100', '1/1000', '1/10', '1/1_000_000_000_000'])}",
            f"size_price {rng.choice(['0', '0', '1/1000', '1/100000', '1/20', '1/1_000_000_000_000'])}",
            better,
        ]
        rng.shuffle(settings)
        utility = "utility { " + "  ".join(settings) + " }\n"
        return f"machine random\n{enums}{shared}{environment}{utility}"

    def _shared(self) -> str:
        """Constants, tables and functions that everything may read; they are added to the maker."""
        rng, lines = self.rng, []
        if rng.random() < 0.6:
            value = rng.randint(-2, 3)
            lines.append(f"const STEP = {value}\n")
            self.maker = self.maker.over({"STEP": Range(value, value)})
        if rng.random() < 0.4:
            lines.append(f"const HALF = {rng.choice(['1/2', '3/10', '1 - 1/5'])}\n")
            self.maker = self.maker.over({"HALF": Ratio(True)})
        if rng.random() < 0.4:
            inner = Row(2, None, _pick(rng, Range(-2, 2), Ratio(True), Truth()))
            row = Row(len(self.enums[0].members), self.enums[0], rng.choice([inner, inner.item]))
            lines.append(f"table GRID: {show_kind(row)} = {self.maker.literal(row)}\n")
            self.maker = self.maker.over({"GRID": row})
        if rng.random() < 0.5:
            line, function = self._function("mix", self.maker, 2)
            lines.append(line + "\n")
            self.maker = self.maker.over({}, (function,))
        return "".join(lines)

    def _function(self, name: str, maker: Maker, depth: int) -> tuple[str, Function]:
        head, function, body = self._function_parts(name, maker, depth)
        return f"{head} = {body.make(function.result, depth)}", function

    def _function_parts(self, name: str, maker: Maker, depth: int) -> tuple[str, Function, Maker]:
        rng = self.rng
        kinds: list[Kind] = [Truth(), Range(-2, 3), Range(0, 2), *self.enums]
        parameters = {f"{name}_{i}": rng.choice(kinds) for i in range(rng.randint(1, 2))}
        result = rng.choice([*kinds, Whole(), Ratio(), *self.actions.values()])
        listed = ", ".join(f"{n}: {show_kind(k)}" for n, k in parameters.items())
        head = f"def {name}({listed}): {show_kind(result)}"
        return head, Function(name, tuple(parameters.values()), result), maker.over(parameters)

    def _environment(self) -> str:
        rng = self.rng
        lines: list[tuple[str, str]] = []  # a group whose order is kept, and the line
        maker = self.maker
        if rng.random() < 0.2:
            lines.append(("", f"const PULL = {rng.randint(0, 2)}"))
            maker = maker.over({"PULL": Range(0, 2)})
        above = maker
        for name, kind in self.states.items():
            start = above.make(kind, 1)
            if not isinstance(kind, Row) and rng.random() < 0.5:
                start = above.distribution(kind, 1)
            lines.append(("state", f"state {name}: {show_kind(kind)} = {start}"))
            above = above.over({name: kind})
        if rng.random() < 0.5:
            lines.append(("", f"done = {self._end(above)}"))
        now = above.over(self.actions)
        lines += [("", f"action {n}: {show_kind(k)}") for n, k in self.actions.items()]
        for i in range(rng.choice([0, 1, 1, 1, 2, 2])):
            if rng.random() < 0.3:
                now = self._let(f"early{i}", now, lines)
            kind = self._chance_kind()
            lines.append(
                ("chance", f"chance c{i}: {show_kind(kind)} = {now.distribution(kind, 2)}")
            )
            now = now.over({f"c{i}": kind})
        late = [f"{n}'" for n in self.states if rng.random() < 0.92]
        late += [f"late{i}" for i in range(rng.choice([0, 0, 1, 2]))]
        rng.shuffle(late)
        for name in late:
            if name.endswith("'"):
                kind = self.states[name[:-1]]
                moved = self._moved(name[:-1], kind, now) if rng.random() < 0.7 else ""
                lines.append(("", f"{name} = {moved or now.make(kind, 3)}"))
                now = now.over({name: kind})
            else:
                now = self._let(name, now, lines)
        lines.append(("", f"reward = {self._reward(now)}"))
        body = "".join(f"  {line}\n" for line in self._shuffled(lines))
        return f"environment {{\n{self.observe_line}{body}}}\n"

    def _end(self, above: Maker) -> str:
        rng = self.rng
        name, kind = rng.choice(list(self.states.items()))
        if not isinstance(kind, Range) or rng.random() < 0.1:
            return f"{above.make(Truth(), 2)} and {above.make(Truth(), 1)}"
        other = rng.choice(["", "", f" and {above.make(Truth(), 1)}"])
        return f"{name} == {above.literal(kind)}{other}"

    def _moved(self, name: str, kind: Kind, now: Maker) -> str:
        """A next value that starts from the present one, so that many states are reached."""
        rng, depth = self.rng, self.rng.randint(0, 2)
        others = {n: k for n, k in now.names.items() if n != name and not n.isupper()}
        tests = [n for n, k in others.items() if isinstance(k, Truth)]
        truth = rng.choice(tests) if tests and rng.random() < 0.7 else now.make(Truth(), 1 + depth)
        steps = [n for n, k in others.items() if isinstance(k, Range | Whole)]
        steps += [f"ord({n})" for n, k in others.items() if isinstance(k, Choice)]
        steps += [f"(if {truth} then {rng.choice([1, 2, 3])} else {rng.choice([0, -1, -2])})"]
        step = rng.choice(steps) if rng.random() < 0.8 else now.make(Whole(), depth)
        match kind:
            case Truth():
                return f"{name} {rng.choice(['==', '!='])} {truth}"
            case Range(low, high) if rng.random() < 0.5:
                return f"clamp({name} + {step}, {low}, {high})"
            case Range(low, high):
                return f"({name} - ({low}) + {step}) mod {high - low + 1} + ({low})"
            case Choice(enum, members):
                return f"{enum}((ord({name}) + {step}) mod {len(members)})"
            case _:
                return ""

    def _chance_kind(self) -> Kind:
        low = self.rng.randint(-1, 1)
        return _pick(self.rng, Truth(), Whole(), Range(low, low + 2), *self.enums)

    def _let(self, name: str, now: Maker, lines: list[tuple[str, str]]) -> Maker:
        kind = _pick(self.rng, Truth(), Range(-2, 3), Ratio(), *self.enums)
        lines.append(("", f"let {name} = {now.make(kind, 2)}"))
        return now.over({name: kind})

    def _reward(self, now: Maker) -> str:
        """A reward that depends on what is decided and on what comes of it, as a rule."""
        rng, parts = self.rng, [now.make(Ratio(), 3)]
        for name in (*self.actions, *(f"{n}'" for n in self.states)):
            kind = now.names.get(name)
            if isinstance(kind, Row) or kind is None or rng.random() < 0.3:
                continue
            if isinstance(kind, Truth | Choice) or rng.random() < 0.5:
                parts.append(
                    f"(if {name} == {now.literal(kind)} then {now.literal(Ratio())} else 0)"
                )
            else:
                parts.append(f"{name} * {now.literal(Ratio())}")
        rng.shuffle(parts)
        return " + ".join(parts)

    def _shuffled(self, lines: list[tuple[str, str]]) -> list[str]:
        """The lines in any order that keeps states, and draws, in theirs."""
        mixed = list(lines)
        self.rng.shuffle(mixed)
        kept = {g: iter([x for h, x in lines if h == g]) for g in ("state", "chance")}
        return [next(kept[group]) if group in kept else line for group, line in mixed]

    # --- the program -----------------------------------------------------------------------------

    def agent(self) -> Agent:
        """A random program."""
        rng = self.rng
        slots: list[Slot] = []
        idle: set[str] = set()
        maker = self.maker
        if rng.random() < 0.5:
            low = rng.randint(-1, 1)
            param = self._param("band", Range(low, low + rng.randint(1, 4)))
            slots.append(param)
            maker = maker.over({param.name: param.kind})
        observer = maker.over(self.observed)
        tables: dict[str, str] = {}
        for name, kind in self.actions.items():
            if rng.random() < 0.5:
                table, lookup = self.table(f"PLAN_{name}", kind, maker)
                slots.append(table)
                tables[name] = lookup
                observer = observer.over({table.name: table.kind})
        if rng.random() < 0.4:
            head, function, body = self._function_parts("near", maker, 2)
            slots.append(
                Slot("def", "near", head, function.result, body.make(function.result, 2), body)
            )
            observer = observer.over({}, (function,))
        if rng.random() < 0.3:
            slots.append(self._idle(maker))
            idle.add(slots[-1].name)
        rng.shuffle(slots)
        return Agent(tuple(slots), self._lines(observer, tables), frozenset(idle))

    def _param(self, name: str, kind: Kind) -> Slot:
        return Slot(
            "param", name, f"param {name}: {show_kind(kind)}", kind, self.maker.literal(kind)
        )

    def _idle(self, maker: Maker) -> Slot:
        form = self.rng.randrange(3)
        if form == 0:
            return self._param("spare", Range(0, 3))
        if form == 1:
            return self.table("spare", Truth(), maker)[0]
        head, function, body = self._function_parts("spare", maker, 2)
        return Slot("def", "spare", head, function.result, body.make(function.result, 2), body)

    def table(self, name: str, kind: Kind, maker: Maker) -> tuple[Slot, str]:
        """A table of what to do, by observed variables, and the expression that looks it up."""
        rng = self.rng
        usable = [n for n, k in self.observed.items() if not isinstance(k, Row)]
        lookup, row = name, kind
        for variable in reversed(rng.sample(usable, min(len(usable), rng.choice([1, 1, 2])))):
            index, by = self.index(variable)
            size = len(by.members) if by else count_values(self.observed[variable])
            row = Row(size, by, row)
            lookup = f"{name}[{index}]" + lookup.removeprefix(name)
        if not isinstance(row, Row):
            row, lookup = Row(1, None, row), f"{name}[0]"
        value: str | tuple[str, ...] = tuple(maker.literal(row.item) for _ in range(row.length))
        if rng.random() < 0.25:
            var = f"{name}_i"
            body = maker.over({var: Range(0, row.length - 1)}).make(row.item, 1)
            value = f"[for {var} in 0..{row.length - 1}: {body}]"
        return Slot("table", name, f"table {name}: {show_kind(row)}", row, value), lookup

    def index(self, variable: str) -> tuple[str, Choice | None]:
        """How a table is indexed by a variable."""
        match self.observed[variable]:
            case Truth():
                return f"if {variable} then 1 else 0", None
            case Range(low, _):
                return (
                    f"{variable} - {low}"
                    if low > 0
                    else f"{variable} + {-low}"
                    if low
                    else variable
                ), None
            case Choice() as enum:
                if self.rng.random() < 0.7:
                    return variable, enum
                return f"ord({variable})", None
            case _:
                raise ValueError(variable)

    def _lines(self, maker: Maker, tables: Mapping[str, str]) -> tuple[Line, ...]:
        rng = self.rng
        plan: list[str] = list(self.actions)
        rng.shuffle(plan)
        for i in range(rng.choice([0, 0, 1, 2])):
            plan.insert(rng.randint(0, len(plan)), f"now{i}")
        lines: list[Line] = []
        for name in plan:
            is_let = name.startswith("now")
            kind = (
                _pick(rng, Truth(), Range(-2, 3), Ratio(), *self.enums)
                if is_let
                else self.actions[name]
            )
            value = tables.get(name) if rng.random() < 0.8 else None
            value = value or (maker.literal(kind) if rng.random() < 0.2 else maker.make(kind, 3))
            if rng.random() < 0.25:
                value = wasteful(rng, value, kind)
            lines.append(Line(name, kind, is_let, value, maker))
            maker = maker.over({name: kind})
        return tuple(lines)


def wasteful(rng: Random, value: str, kind: Kind) -> str:
    """An expression with the same value that takes more ticks, or none, and more nodes."""
    forms = [f"if true then {value} else {value}", f"[{value}, {value}][1]", f"[{value}][0]"]
    match kind:
        case Range() | Whole() | Ratio():
            forms += [
                f"({value}) + 0",
                f"min({value}, {value})",
                f"1 * ({value})",
                f"-(-({value}))",
            ]
        case Truth():
            forms += [f"not (not ({value}))", f"({value}) and true", f"false or ({value})"]
        case _:
            pass
    return rng.choice(forms)


# --- rewrites ------------------------------------------------------------------------------------

_Made: TypeAlias = tuple[Agent, str, bool] | None  # the new program, spoil, ill-formed


def _random_rewrite(world: _World, agent: Agent) -> RandomRewrite:
    rng = world.rng
    names = list(_FORMS)
    while True:
        what = rng.choices(names, [_FORMS[n][0] for n in names])[0]
        made = _FORMS[what][1](world, agent)
        if made is not None:
            new, spoil, ill_formed = made
            return RandomRewrite(what, new.show(), spoil, ill_formed)


def _fine(agent: Agent) -> _Made:
    return agent, "", False


def _assignment(world: _World, agent: Agent) -> Line:
    return world.rng.choice([line for line in agent.lines if not line.is_let])


def _new_expression(world: _World, agent: Agent) -> _Made:
    line = _assignment(world, agent)
    return _fine(agent.with_line(line, line.maker.make(line.kind, world.rng.randint(1, 3))))


def _new_literals(world: _World, agent: Agent) -> _Made:
    for line in [x for x in agent.lines if not x.is_let]:
        if world.rng.random() < 0.8:
            again = next(x for x in agent.lines if x.name == line.name)
            agent = agent.with_line(again, line.maker.literal(line.kind))
    return _fine(agent)


def _guard(world: _World, agent: Agent) -> _Made:
    line, rng = _assignment(world, agent), world.rng
    test = line.maker.make(Truth(), 2)
    name = rng.choice(list(world.observed))
    kind = world.observed[name]
    if not isinstance(kind, Row) and rng.random() < 0.6:
        test = f"{name} == {line.maker.literal(kind)}"
    new = line.maker.make(line.kind, rng.randint(0, 1))
    return _fine(agent.with_line(line, f"if {test} then {new} else {line.value}"))


def _new_let(world: _World, agent: Agent) -> _Made:
    lets = [line for line in agent.lines if line.is_let]
    if not lets:
        return None
    line = world.rng.choice(lets)
    return _fine(agent.with_line(line, line.maker.make(line.kind, 2)))


def _drop_let(world: _World, agent: Agent) -> _Made:
    """Put the value of a let in the place of its name."""
    lets = [line for line in agent.lines if line.is_let]
    if not lets:
        return None
    line = world.rng.choice(lets)
    rest = [x for x in agent.lines if x is not line]
    lines = tuple(replace(x, value=_put(x.value, line.name, f"({line.value})")) for x in rest)
    return _fine(replace(agent, lines=lines))


def _put(text: str, name: str, value: str) -> str:
    return text.replace(name, value)


def _new_entries(world: _World, agent: Agent) -> _Made:
    rng = world.rng
    tables = [x for x in agent.slots if x.word == "table" and x.name not in agent.idle]
    if not tables:
        return None
    table = rng.choice(tables)
    assert isinstance(table.kind, Row)
    entries = table.value
    if isinstance(entries, str):
        entries = tuple(world.maker.literal(table.kind.item) for _ in range(table.kind.length))
    changed = rng.randint(1, len(entries))
    for i in rng.sample(range(len(entries)), changed):
        entries = (*entries[:i], world.maker.literal(table.kind.item), *entries[i + 1 :])
    return _fine(agent.with_slot(table, entries))


def _new_slot_value(word: str) -> Callable[[_World, Agent], _Made]:
    def rewrite(world: _World, agent: Agent) -> _Made:
        slots = [x for x in agent.slots if x.word == word and x.name not in agent.idle]
        if not slots:
            return None
        slot = world.rng.choice(slots)
        maker = slot.maker or world.maker
        return _fine(agent.with_slot(slot, maker.make(slot.kind, 2 if slot.maker else 0)))

    return rewrite


def _new_table(world: _World, agent: Agent) -> _Made:
    line = _assignment(world, agent)
    if any(x.name == "FRESH" for x in agent.slots):
        return None
    table, lookup = world.table("FRESH", line.kind, world.maker)
    return _fine(replace(agent.with_line(line, lookup), slots=(*agent.slots, table)))


def _new_idle_slot(world: _World, agent: Agent) -> _Made:
    slot = Slot("param", "unread", "param unread: bool", Truth(), "true")
    return _fine(replace(agent, slots=(*agent.slots, slot)))


def _remove_idle_slot(world: _World, agent: Agent) -> _Made:
    if not agent.idle:
        return None
    return _fine(replace(agent, slots=tuple(x for x in agent.slots if x.name not in agent.idle)))


def _waste(world: _World, agent: Agent) -> _Made:
    line = world.rng.choice(agent.lines)
    return _fine(agent.with_line(line, wasteful(world.rng, f"({line.value})", line.kind)))


def _same(world: _World, agent: Agent) -> _Made:
    return agent, world.rng.choice(["same", "same", "empty"]), False


def _stale(world: _World, agent: Agent) -> _Made:
    made = _new_expression(world, agent)
    spoil = world.rng.choice(["stale", "place", "slot", "overlap", "twice"])
    return None if made is None else (made[0], spoil, False)


def _ill_typed(world: _World, agent: Agent) -> _Made:
    line, rng = _assignment(world, agent), world.rng
    wrong = {
        Truth: ["1", "0 + 1", "1/2"],
        Range: ["true", "1/2", world.enums[0].name + "." + world.enums[0].members[0]],
        Choice: ["true", "0", "1/2"],
    }
    value = rng.choice(
        [
            rng.choice(wrong[type(line.kind)]),
            "nothing",
            "1 + true",
            f"{rng.choice(list(world.states))}'",
            f"if 1 then {line.value} else {line.value}",
            f"if true then {line.value} else nobody",
            f"[{line.value}]",
            "min(1)",
            f"missing({line.value})",
        ]
    )
    return agent.with_line(line, value), "", True


def _hidden(world: _World, agent: Agent) -> _Made:
    hidden = [n for n in world.states if n not in world.observed]
    if not hidden:
        return None
    line = _assignment(world, agent)
    same = [n for n in hidden if _fits(world.states[n], line.kind)]
    test = f"{hidden[0]} == {hidden[0]}"
    value = same[0] if same else f"if {test} then {line.value} else {line.value}"
    return agent.with_line(line, value), "", True


def _misshapen(world: _World, agent: Agent) -> _Made:
    """Lines or slots that are missing, doubled, in the wrong place."""
    rng, line = world.rng, _assignment(world, agent)
    forms: list[Agent] = [
        replace(agent, lines=tuple(x for x in agent.lines if x is not line)),
        replace(agent, lines=(*agent.lines, line)),
        replace(
            agent, slots=(*agent.slots, Slot("param", "main", "param main: bool", Truth(), "true"))
        ),
        replace(
            agent,
            slots=(
                *agent.slots,
                Slot("def", "ring", "def ring(n: bool): bool", Truth(), "ring(n)"),
            ),
        ),
    ]
    if agent.lines[0].is_let and f"{agent.lines[0].name}" in agent.lines[-1].value:
        forms.append(replace(agent, lines=agent.lines[1:]))
    return rng.choice(forms), "", True


def _out_of_range(world: _World, agent: Agent) -> _Made:
    """Values that lie, or may lie, outside; some do not."""
    rng, line = world.rng, _assignment(world, agent)
    maker = line.maker
    whole = maker.make(Whole(), 2)
    if isinstance(line.kind, Range):
        values = [
            whole,
            f"{line.value} + 1",
            str(line.kind.high + 1),
            f"{line.value} - (if {maker.make(Truth(), 1)} then 1 else 0)",
        ]
    elif isinstance(line.kind, Choice):
        values = [f"{line.kind.name}({whole})", f"{line.kind.name}({len(line.kind.members)})"]
    else:
        values = [f"1 div ({whole}) > 0", f"[true, false][{whole}]"]
    values += [
        f"if 1 / ({whole}) > 0 then {line.value} else {line.value}",
        f"if 1 mod ({whole}) == 0 then {line.value} else {line.value}",
        f"[{line.value}, {line.value}][{whole}]",
        f"match {whole} {{ 0 | 1: {line.value}, 2: {line.value} }}",
        f"if false then [{line.value}][1] else {line.value}",
        f"if ({whole}) == 0 or 6 div ({whole}) > 1 then {line.value} else {line.value}",
    ]
    return _fine(agent.with_line(line, rng.choice(values)))


def _bad_constant(world: _World, agent: Agent) -> _Made:
    params = [x for x in agent.slots if isinstance(x.kind, Range) and x.word == "param"]
    if not params:
        return None
    slot = world.rng.choice(params)
    assert isinstance(slot.kind, Range)
    value = world.rng.choice(
        [
            f"{slot.kind.high} + 1",
            str(slot.kind.low - 1),
            f"{slot.kind.low} div 0",
            str(slot.kind.high),
        ]
    )
    return _fine(agent.with_slot(slot, value))


def _remove_read_slot(world: _World, agent: Agent) -> _Made:
    text = "\n".join(line.value for line in agent.lines)
    read = [x for x in agent.slots if x.name in text.replace("(", " ").replace("[", " ").split()]
    if not read:
        return None
    gone = world.rng.choice(read)
    return replace(agent, slots=tuple(x for x in agent.slots if x is not gone)), "", True


_FORMS: Mapping[str, tuple[int, Callable[[_World, Agent], _Made]]] = {
    "new expression": (24, _new_expression),
    "new literals": (16, _new_literals),
    "guard": (11, _guard),
    "new entries": (16, _new_entries),
    "new param": (6, _new_slot_value("param")),
    "new def": (6, _new_slot_value("def")),
    "new let": (5, _new_let),
    "drop let": (3, _drop_let),
    "new table": (8, _new_table),
    "new idle slot": (3, _new_idle_slot),
    "remove idle slot": (5, _remove_idle_slot),
    "waste": (4, _waste),
    "same": (2, _same),
    "spoilt edits": (3, _stale),
    "ill typed": (3, _ill_typed),
    "hidden": (1, _hidden),
    "misshapen": (2, _misshapen),
    "out of range": (6, _out_of_range),
    "bad constant": (2, _bad_constant),
    "remove read slot": (1, _remove_read_slot),
}
"""The kinds of rewrites, how often each is tried, and what makes it."""


def random_edits(rng: Random, old: s.Code, new: s.Code, spoil: str) -> tuple[Edit, ...]:
    """Edits that lead from one code to the other, small or coarse, spoilt as `spoil` says."""
    if spoil == "empty":
        return ()
    # `derive_edits` refuses two slots of one name; edits can still try to add one
    later = [{y.name for y in new.slots[i + 1 :]} for i in range(len(new.slots))]
    twice = [x for x, names in zip(new.slots, later, strict=True) if x.name in names]
    once = [x for x, names in zip(new.slots, later, strict=True) if x.name not in names]
    fine = [*derive_edits(old, s.Code(tuple(once))), *(AddSlot(slot) for slot in twice)]
    whole = {slot.name for slot in old.slots if rng.random() < 0.25}
    edits = list(dict.fromkeys(_coarse(old, new, e, whole) for e in fine))
    if spoil == "same" or not edits:
        slot = rng.choice(old.slots)
        at, node = rng.choice(list(s.positions(slot)))
        edits.append(Replace(slot.name, at, digest_node(node), node))
    first = edits[0]
    if spoil == "twice":
        edits.append(first)
    if not isinstance(first, Replace):
        return tuple(edits)
    if spoil == "stale":
        edits[0] = replace(first, expected=digest_node(s.IntLit(rng.randint(0, 99))))
    elif spoil == "place":
        edits[0] = replace(first, position=(*first.position, 99))
    elif spoil == "slot":
        edits[0] = replace(first, slot="nowhere")
    elif spoil == "overlap":
        slot_of = old.slot(first.slot)
        assert slot_of is not None
        edits.append(Replace(first.slot, (), digest_node(slot_of), slot_of))
    return tuple(edits)


def _coarse(old: s.Code, new: s.Code, edit: Edit, whole: set[str]) -> Edit:
    """The edit, or for slots in `whole` the one that replaces the whole slot."""
    if isinstance(edit, AddSlot | RemoveSlot) or edit.slot not in whole:
        return edit
    before, after = old.slot(edit.slot), new.slot(edit.slot)
    assert before is not None and after is not None
    return Replace(edit.slot, (), digest_node(before), after)
