"""Random small machine files of the whole language as text: the same for the same seed.

What is made is total by construction (numbers are clamped, indices and divisors kept in bounds). No file has more than
`STATES_MAX` states, memory counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

from brute_force import Fault, Player, Setting, World, is_broken, sample_points
from random_expressions import (
    Choice,
    Function,
    Kind,
    Maker,
    Range,
    Ratio,
    Row,
    Truth,
    Vector,
    Whole,
    count_values,
    pick,
    show_kind,
)

from dsl.parser import parse_machine
from dsl.syntax import Machine

STATES_MAX = 64
STARTS_MAX = 9  # worlds by `any`

# --- programs ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Slot:
    """A memory variable, param, table or def: its text up to the value, and the value, entry by entry for a table."""

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
    """A `let`, an assignment or a next memory of a policy, and what it may read."""

    name: str
    kind: Kind
    is_let: bool
    value: str
    maker: Maker

    @property
    def is_memory(self) -> bool:
        """Whether it gives a memory variable its next value."""
        return self.name.endswith("'")

    def show(self) -> str:
        """The line as it is written."""
        return f"    {'let ' if self.is_let else ''}{self.name} = {self.value}"


@dataclass(frozen=True, slots=True)
class Agent:
    """A program in parts: its slots, the lines of main, the lines of further policies; nothing reads an `idle` slot."""

    slots: tuple[Slot, ...]
    lines: tuple[Line, ...]
    idle: frozenset[str] = frozenset()
    others: tuple[tuple[str, tuple[Line, ...]], ...] = ()

    def show(self) -> str:
        """The program as it is written."""
        parts = [slot.show() for slot in self.slots]
        for name, lines in (("", self.lines), *self.others):
            body = "\n".join(line.show() for line in lines)
            parts.append(f"  policy {name}{' ' if name else ''}{{\n{body}\n  }}")
        return "\n".join(["agent {", *parts, "}"]) + "\n"

    def with_line(self, old: Line, value: str) -> Agent:
        """The program with another value in one line."""

        def changed(lines: tuple[Line, ...]) -> tuple[Line, ...]:
            return tuple(replace(x, value=value) if x is old else x for x in lines)

        others = tuple((name, changed(lines)) for name, lines in self.others)
        return replace(self, lines=changed(self.lines), others=others)

    def with_slot(self, old: Slot, value: str | tuple[str, ...]) -> Agent:
        """The program with another value in one slot."""
        return replace(
            self, slots=tuple(replace(x, value=value) if x is old else x for x in self.slots)
        )


# --- worlds --------------------------------------------------------------------------------------

_BOXES = ("0..1", "1/4..3/4", "1/5..3/5", "7/10..9/10", "0..1/2", "1/3..1/2")
_PRICED = (
    "+ - * if let == <= < and index call match not with fold array clamp min max mod convert ord forall bits int & << ult"
).split()


@dataclass(frozen=True, slots=True)
class Features:
    """Which parts of the language a machine has."""

    words: bool
    loops: bool
    anywhere: bool
    unknown: bool
    rational: bool
    assume: bool
    adversary: bool
    rate: bool
    memory: bool
    policies: bool
    costs: bool
    always: bool
    reach: bool
    partial: bool
    horizon: bool

    @staticmethod
    def draw(rng: Random) -> Features:
        """Some of them."""

        def some(share: float) -> bool:
            return rng.random() < share

        rational = some(0.3)
        reach = some(0.2)
        return Features(
            words=some(0.25),
            loops=some(0.4),
            anywhere=some(0.4),
            unknown=some(0.25),
            rational=rational,
            assume=rational and some(0.35),
            adversary=some(0.3),
            rate=some(0.15),
            memory=some(0.35),
            policies=reach or some(0.1),
            costs=some(0.2),
            always=some(0.3),
            reach=reach,
            partial=some(0.35),
            horizon=some(0.3),
        )


@dataclass(frozen=True, slots=True)
class Made:
    """A machine file in parts, with what made it."""

    world: RandomWorld
    features: Features
    declarations: str
    agent: Agent
    machine: Machine

    @property
    def constructs(self) -> tuple[str, ...]:
        """The parts of the language that really stand in the file."""
        text = self.declarations + self.agent.show()
        return tuple(name for name, mark in _MARKS.items() if mark in text)


_MARKS = {
    "bits": "bits[",
    "fold": "(fold ",
    "forall, exists": "(forall ",
    "with": " with {",
    "any starts": "= any",
    "finite unknowns": "  unknown u",
    "rational unknowns": "  unknown p",
    "assume": "  assume ",
    "adversaries": "  adversary e",
    "rates": "  adversary r",
    "memory": "  memory ",
    "policies": "  policy home",
    "costs": "costs {",
    "always": ": always ",
    "reach": ": within ",
    "observe": "  observe ",
    "horizon": "horizon ",
    "done": "  done = ",
    "strictly": "better strictly",
    "worst": "better worst",
}


_BARE = "machine bare environment { reward = 0 } utility { horizon 1 } agent { policy { } } "


def make_machine(seed: int) -> Made:
    """The machine of a seed; what turns out to have no start, or an adversary without a choice, is made anew."""
    rng = Random(seed)
    while True:
        features = Features.draw(rng)
        world = RandomWorld(rng, features)
        declarations, agent = world.declarations(), world.agent()
        machine = parse_machine(declarations + agent.show())
        try:
            lines = _requirements(world, machine) if features.always or features.reach else ""
            declared = World(machine.declarations)
            sample_points(declared, Random(0), 0)
            _require_choices(declared)
        except Fault:
            continue
        declarations += lines
        world.written = declarations
        machine = parse_machine(declarations + agent.show())
        return Made(world, features, declarations, agent, machine)


def _require_choices(world: World) -> None:
    for case in world.cases:
        if not case.starts:
            raise Fault("no start")
        for state in world.states():
            if world.adversary and not case.is_done(state):
                for actions in world.actions():
                    case.replies(state, actions)


def _requirements(world: RandomWorld, machine: Machine) -> str:
    """Requirements, most of which the program keeps."""
    rng, features = world.rng, world.features
    lines = ""
    if features.always:
        lines += _kept(world, machine, [_always(world, rng) for _ in range(6)])
    if features.reach:
        for steps in (rng.randint(1, 4), 9):
            found = _kept(world, machine, [_reach(world, rng, steps) for _ in range(6)])
            lines += found if found else ""
            if found:
                break
    return lines


def _always(world: RandomWorld, rng: Random) -> str:
    now = world.maker.over(world.states)
    name, kind = world.compared(rng)
    of_step = rng.random() < 0.4
    if of_step and rng.random() < 0.5:
        variable, *place = name.split("[")
        name = "[".join([f"{variable}'", *place])
    test = f"{name} != {now.literal(kind)}"
    if isinstance(kind, Range) and rng.random() < 0.5:
        test = f"{name} {rng.choice(['<=', '>='])} {now.literal(kind)}"
    if of_step:
        action, decided = rng.choice(list(world.actions.items()))
        test = f"{action} != {now.literal(decided)} or {test}"
    elif rng.random() < 0.3:
        test = f"{test} or {now.make(Truth(), 1)}"
    return f"require safe: always {test}\n"


def _reach(world: RandomWorld, rng: Random, steps: int) -> str:
    now = world.maker.over(world.states)
    name, kind = world.compared(rng)
    goal, source = f"{name} == {now.literal(kind)}", "true"
    if isinstance(kind, Range) and rng.random() < 0.6:
        goal = f"{name} {rng.choice(['<=', '>='])} {now.literal(kind)}"
    if rng.random() < 0.7:
        other, kind = world.compared(rng)
        source = f"{other} {rng.choice(['==', '!='])} {now.literal(kind)}"
    using = rng.choice(["main", "home", "home"]) if world.features.policies else "main"
    return f"require back: within {steps} reach {goal} from {source} using {using}\n"


def _kept(world: RandomWorld, machine: Machine, candidates: list[str]) -> str:
    """The first candidate that the program keeps; now and then one that it breaks; else none."""
    rng = world.rng
    if rng.random() < 0.1:
        return candidates[0]
    declared = World(machine.declarations)
    player = Player(declared, machine.agent)
    points = sample_points(declared, Random(0), 0)
    settings = [Setting(case, point) for case in declared.cases for point in points]
    parsed = parse_machine(_BARE + "".join(candidates)).declarations.requirements
    for line, requirement in zip(candidates, parsed, strict=True):
        if not any(is_broken(x, player, requirement) for x in settings):
            return line
    return ""


def _part(rng: Random, name: str, kind: Kind) -> tuple[str, Kind]:
    """The variable itself; of an array one item, since an array that is written out is not indexed by members."""
    if not isinstance(kind, Row):
        return name, kind
    if kind.index is None:
        return f"{name}[{rng.randrange(kind.length)}]", kind.item
    return f"{name}[{kind.index.name}.{rng.choice(kind.index.members)}]", kind.item


class RandomWorld:
    """Makes a world and programs for it."""

    def __init__(self, rng: Random, features: Features) -> None:
        self.rng, self.features = rng, features
        self.written = ""
        colour = Choice("Colour", ("red", "green", "blue")[: rng.randint(2, 3)])
        mood = Choice("Mood", ("calm", "wild"))
        if rng.random() < 0.2:
            shared = frozenset({"red"})
            colour, mood = replace(colour, shared=shared), Choice("Mood", ("calm", "red"), shared)
        self.enums = (colour, mood)[: rng.randint(1, 2)]
        if len(self.enums) == 1:
            self.enums = (Choice(colour.name, colour.members),)
        words = (Vector(rng.randint(1, 3)), Vector(rng.randint(2, 4))) if features.words else ()
        self.maker = Maker(rng, self.enums, {}, words=words, loops=features.loops)
        limit = rng.choice([6, 6, 10, 10, 16, 16, 30, STATES_MAX])
        self.memories: dict[str, Kind] = {}
        if features.memory:
            self.memories = self._variables("mn", [1, 1, 2], 4)
            limit = min(limit, STATES_MAX // 4)
        self.states = self._variables("xyz", [1, 2, 2, 3], limit)
        self.actions = self._variables("ab", [1, 1, 2], rng.choice([2, 3, 4, 6]), arrays=False)
        self.unknowns = self._variables("u", [1], 4, arrays=False) if features.unknown else {}
        self.adversaries = (
            self._variables("ef", [1, 1, 2], 4, arrays=False) if features.adversary else {}
        )
        names = list(self.states)
        self.observed = {n: self.states[n] for n in names}
        self.observe_line = ""
        if features.partial:
            chosen = rng.sample(names, rng.randint(1, len(names)))
            self.observed = {n: self.states[n] for n in chosen}
            self.observe_line = f"  observe {', '.join(chosen)}\n"

    def compared(self, rng: Random) -> tuple[str, Kind]:
        """A state variable, or a part of one, that a literal can be compared with."""
        return _part(rng, *rng.choice(list(self.states.items())))

    def _variables(
        self, letters: str, counts: list[int], limit: int, *, arrays: bool = True
    ) -> dict[str, Kind]:
        rng = self.rng
        found: dict[str, Kind] = {}
        for name in letters[: rng.choice(counts)]:
            low = rng.choice([0, 0, 1, -2, -1])
            kinds: list[Kind] = [Truth(), *self.enums, *self.maker.words, *self.maker.words]
            kinds += [Range(low, low + n) for n in (1, 2, 3, 4, 5, 6, 7, 9, 9, 11, 14, 19)]
            if arrays and rng.random() < (0.3 if self.features.loops else 0.1):
                kinds = [
                    Row(2, None, Truth()),
                    Row(len(self.enums[0].members), self.enums[0], Range(0, 1)),
                    *(Row(2, None, w) for w in self.maker.words),
                ]
            kinds = [k for k in kinds if count_values(k) <= limit]
            if not kinds:
                break
            found[name] = rng.choice(kinds)
            limit //= count_values(found[name])
        return found

    def declarations(self) -> str:
        """Everything but the program and the requirements."""
        rng = self.rng
        shared = self._shared()
        environment = self._environment()
        enums = "".join(f"enum {e.name} {{ {', '.join(e.members)} }}\n" for e in self.enums)
        better = rng.choice(["", "better dominates", "better strictly", "better worst"])
        horizon = f"horizon {rng.randint(1, 8)}"
        discounts = ["0", "1/2", "9/10", "0.99", "2/3", "999/1000"]
        settings = [
            horizon if self.features.horizon else f"discount {rng.choice(discounts)}",
            f"tick_price {rng.choice(['0', '1/100', '1/1000', '1/10', '1/1_000_000_000_000'])}",
            f"size_price {rng.choice(['0', '0', '1/1000', '1/100000', '1/20', '1/1_000_000_000_000'])}",
            better,
        ]
        if self.features.costs:
            priced = rng.sample(_PRICED, rng.randint(1, 6))
            entries = ", ".join(f'"{name}": {rng.choice([0, 0, 2, 3, 10])}' for name in priced)
            settings.append(f"costs {{ {entries} }}")
        rng.shuffle(settings)
        utility = "utility { " + "  ".join(settings) + " }\n"
        self.written = f"machine random\n{enums}{shared}{environment}{utility}"
        return self.written

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
            inner = Row(2, None, pick(rng, Range(-2, 2), Ratio(True), Truth()))
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
        lines += [("", f"unknown {n}: {show_kind(k)}") for n, k in self.unknowns.items()]
        weights, rewards = self._rationals(lines)
        above = self._states(maker, lines, weights)
        if rng.random() < 0.5:
            lines.append(("", f"done = {self._end(above.over(self.unknowns))}"))
        now = above.over(self.actions).over(self.unknowns)
        lines += [("", f"action {n}: {show_kind(k)}") for n, k in self.actions.items()]
        now = self._adversaries(now, lines)
        rates = self._rates(lines)
        for i in range(rng.choice([0, 1, 1, 1, 2, 2])):
            if rng.random() < 0.3:
                now = self._let(f"early{i}", now, lines)
            kind = self._chance_kind()
            used = weights
            if rates and rates[0] == "weight":
                # each rate stands in one draw, so that a step's value is affine in it
                used, rates = (rates[1], f"(1 - {rates[1]})"), ()
            dist = now.distribution(kind, 2, used)
            lines.append(("chance", f"chance c{i}: {show_kind(kind)} = {dist}"))
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
        if rates:
            rewards = (*rewards, f"{rates[1]} * {now.literal(Ratio())}")
        lines.append(("", f"reward = {self._reward(now, rewards)}"))
        body = "".join(f"  {line}\n" for line in self._shuffled(lines))
        return f"environment {{\n{self.observe_line}{body}}}\n"

    def _rationals(self, lines: list[tuple[str, str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Declare rational unknowns; what they may stand for as weights, and in rewards."""
        rng = self.rng
        if not self.features.rational:
            return (), ()
        names = ("p", "pp")[: rng.choice([1, 1, 2])]
        lines += [("", f"unknown {n}: rat {rng.choice(_BOXES)}") for n in names]
        rewards = tuple(f"{n} * {self.maker.literal(Ratio())}" for n in names)
        weights = tuple(w for n in names for w in (n, f"(1 - {n})"))
        if self.features.assume:
            p, q = names[0], names[-1]
            forms = [f"{p} <= 3/4", f"2 * {p} >= 1/2", f"{p} == 2/5"]
            if p != q:
                forms = [f"{p} >= {q}", f"{p} + {q} <= 1", f"{q} <= 2 * {p}", f"{p} + {q} == 4/5"]
            lines += [("", f"assume {form}") for form in rng.sample(forms, rng.choice([1, 1, 2]))]
        elif rng.random() < 0.3:
            weights = (*weights, f"({names[0]} * {names[-1]})", f"({names[0]} / 3)")
        where = rng.choice(["weights", "rewards", "both"])
        return weights if where != "rewards" else (), rewards if where != "weights" else ()

    def _states(
        self, maker: Maker, lines: list[tuple[str, str]], weights: tuple[str, ...]
    ) -> Maker:
        rng, above, worlds = self.rng, maker, 1
        anywhere = maker
        for name, kind in self.states.items():
            head = f"state {name}: {show_kind(kind)}"
            size = count_values(kind)
            if self.features.anywhere and worlds * size <= STARTS_MAX and rng.random() < 0.7:
                worlds *= size
                anywhere = anywhere.over({name: kind})
                where = (
                    f" where {self._start_test(name, kind, anywhere)}" if rng.random() < 0.5 else ""
                )
                lines.append(("state", f"{head} = any{where}"))
            elif not isinstance(kind, Row) and rng.random() < 0.5:
                drawn = weights if rng.random() < 0.4 else ()
                lines.append(("state", f"{head} = {above.distribution(kind, 1, drawn)}"))
            else:
                lines.append(("state", f"{head} = {above.make(kind, 1)}"))
            above = above.over({name: kind})
        return above

    def _start_test(self, name: str, kind: Kind, anywhere: Maker) -> str:
        rng = self.rng
        read = anywhere.over(self.unknowns)
        name, kind = _part(rng, name, kind)
        forms = [
            f"{name} != {read.literal(kind)}",
            f"{name} == {read.literal(kind)} or {read.make(Truth(), 1)}",
        ]
        if isinstance(kind, Range):
            forms.append(f"{name} <= {rng.randint(kind.low, kind.high)}")
        return rng.choice(forms)

    def _adversaries(self, now: Maker, lines: list[tuple[str, str]]) -> Maker:
        """Declare finite adversaries; some value of each always satisfies its condition."""
        rng = self.rng
        for name, kind in self.adversaries.items():
            now = now.over({name: kind})
            where = ""
            if rng.random() < 0.5:
                literal = now.literal(kind)
                alike = [n for n, k in self.states.items() if k == kind]
                other = rng.choice(alike) if alike and rng.random() < 0.7 else literal
                forms = [f"{name} == {other} or {now.make(Truth(), 1)}"]
                if count_values(kind) > 1:
                    forms += [
                        f"{name} != {other}",
                        f"({name} != {literal}) or {now.make(Truth(), 1)}",
                    ]
                where = f" where {rng.choice(forms)}"
            lines.append(("adversary", f"adversary {name}: {show_kind(kind)}{where}"))
        return now

    def _rates(self, lines: list[tuple[str, str]]) -> tuple[str, ...]:
        """Declare a rate; where it is to stand, and its name."""
        rng = self.rng
        if not self.features.rate:
            return ()
        lines.append(("", f"adversary r: rat {rng.choice(_BOXES)}"))
        return rng.choice(["weight", "weight", "reward"]), "r"

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
            case Vector(width):
                return f"{name} {rng.choice(['+', '-', '^', '|'])} bits[{width}]({step})"
            case Row(length, None, item) if self.features.loops:
                at = now.make(Range(0, length - 1), 1)
                return f"{name} with {{ {at}: {now.make(item, 2)} }}"
            case Row(_, Choice() as index, item) if self.features.loops:
                return f"{name} with {{ {now.make(index, 1)}: {now.make(item, 2)} }}"
            case _:
                return ""

    def _chance_kind(self) -> Kind:
        low = self.rng.randint(-1, 1)
        return pick(self.rng, Truth(), Whole(), Range(low, low + 2), *self.enums, *self.maker.words)

    def _let(self, name: str, now: Maker, lines: list[tuple[str, str]]) -> Maker:
        kind = pick(self.rng, Truth(), Range(-2, 3), Ratio(), *self.enums, *self.maker.words)
        lines.append(("", f"let {name} = {now.make(kind, 2)}"))
        return now.over({name: kind})

    def _reward(self, now: Maker, open_parts: tuple[str, ...]) -> str:
        """A reward that depends on what is decided and on what comes of it, as a rule."""
        rng, parts = self.rng, [now.make(Ratio(), 3)]
        for part in open_parts:
            if rng.random() < 0.6:
                part = f"(if {now.make(Truth(), 2)} then {part} else {now.literal(Ratio())})"
            parts.append(part)
        for name in (*self.actions, *self.adversaries, *(f"{n}'" for n in self.states)):
            kind = now.names.get(name)
            if isinstance(kind, Row) or kind is None or rng.random() < 0.3:
                continue
            if isinstance(kind, Truth | Choice | Vector) or rng.random() < 0.5:
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
        kept = {g: iter([x for h, x in lines if h == g]) for g in ("state", "adversary", "chance")}
        return [next(kept[group]) if group in kept else line for group, line in mixed]

    # --- the program -----------------------------------------------------------------------------

    def agent(self) -> Agent:
        """A random program."""
        rng = self.rng
        slots: list[Slot] = []
        idle: set[str] = set()
        maker = self.maker
        for name, kind in self.memories.items():
            slots.append(
                Slot("memory", name, f"memory {name}: {show_kind(kind)}", kind, maker.literal(kind))
            )
        if rng.random() < 0.5:
            low = rng.randint(-1, 1)
            param = self._param("band", Range(low, low + rng.randint(1, 4)))
            slots.append(param)
            maker = maker.over({param.name: param.kind})
        observer = maker.over(self.observed).over(self.memories)
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
        lines = self._lines(observer, tables)
        others: tuple[tuple[str, tuple[Line, ...]], ...] = ()
        if self.features.policies:
            others = (("home", self._lines(observer, {})),)
        return Agent(tuple(slots), lines, frozenset(idle), others)

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
            case Vector():
                return f"int({variable})", None
            case Choice() as enum:
                if self.rng.random() < 0.7:
                    return variable, enum
                return f"ord({variable})", None
            case _:
                raise ValueError(variable)

    def _lines(self, maker: Maker, tables: Mapping[str, str]) -> tuple[Line, ...]:
        rng = self.rng
        plan: list[str] = list(self.actions)
        plan += [f"{name}'" for name in self.memories if rng.random() < 0.9]
        rng.shuffle(plan)
        for i in range(rng.choice([0, 0, 1, 2])):
            plan.insert(rng.randint(0, len(plan)), f"now{i}")
        lines: list[Line] = []
        for name in plan:
            is_let = name.startswith("now")
            kind = (
                pick(rng, Truth(), Range(-2, 3), Ratio(), *self.enums, *self.maker.words)
                if is_let
                else self.memories[name[:-1]]
                if name.endswith("'")
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
        case Vector(width):
            forms += [f"~(~({value}))", f"({value}) ^ bits[{width}](0)", f"bits[{width}]({value})"]
        case _:
            pass
    return rng.choice(forms)
