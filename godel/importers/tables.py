"""Write a world that is given as a table of outcomes as the text of a machine file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias, cast

from godel.importers.rows import Move, Slots, World, align_rows

COLUMNS = 120
# up to so many single states are compared one by one; more are looked up
FEW = 4

Cell: TypeAlias = "bool | int | Fraction"
Nested: TypeAlias = "Cell | Sequence[Nested]"


@dataclass(frozen=True, slots=True)
class Twist:
    """What a world does beyond its table: further lines of the environment, and the next state.

    `steps` name the table's next state, `NEXT[s][a]` there, as `to`.
    """

    states: tuple[str, ...]
    steps: tuple[str, ...]
    successor: str
    equations: tuple[tuple[str, str], ...]


def write_machine(
    world: World,
    *,
    name: str,
    discount: Fraction,
    notes: Sequence[str] = (),
    actions: str | None = None,
    twist: Twist | None = None,
) -> str:
    """The machine file of a world with a tabular agent that always takes action 0.

    `notes` become the comment at the top, `actions` says what the actions mean.
    """
    parts = _Parts(world, twist)
    parts.fill()
    last_state, last_action = world.states - 1, world.actions - 1
    words = [f"actions: {actions}"] if actions else []
    if parts.chancy:
        words.append("chance draws the index of an outcome")
    lines = [f"# {note}" for note in notes] + [f"machine {name}", ""]
    lines += [f"# {'; '.join(words)}"] if words else []
    lines += [*parts.tables, "", "environment {"]
    lines += [
        f"  {item}" for item in (*parts.states, "observe s", f"action a: int 0..{last_action}")
    ]
    lines += [f"  {item}" for item in parts.steps]
    width = max(len(left) for left, _ in parts.equations)
    lines += [f"  {left:{width}} = {right}" for left, right in parts.equations]
    lines += ["}", "", f"utility {{ discount {discount} }}", "", "agent {"]
    plan = f"[for i in 0..{last_state}: 0]"
    lines += [f"  table PLAN: array[{world.states}] of int 0..{last_action} = {plan}"]
    lines += ["  policy { a = PLAN[s] }", "}"]
    return "\n".join(lines) + "\n"


@dataclass
class _Parts:
    """The declarations of a world, collected one after the other."""

    world: World
    twist: Twist | None
    chancy: bool = False
    tables: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    equations: list[tuple[str, str]] = field(default_factory=list)

    def fill(self) -> None:
        """Choose the most compact form for each part."""
        law, slots = align_rows(self.world.rows)
        self.chancy = any(len(row) > 1 for row in slots.values())
        self._next(slots)
        if law is None:
            self._laws(slots)
        elif self.chancy:
            chance = f"chance k: int 0..{len(law) - 1} = "
            self.steps.append(chance + self._dist("WEIGHT", range(len(law)), law, chance))
        self._starts()
        if self.twist:
            self.states += self.twist.states
            next_state = self._outcome("NEXT")
            self.steps += [step.replace("NEXT[s][a]", next_state) for step in self.twist.steps]
            self.equations += [("s'", self.twist.successor), *self.twist.equations]
        else:
            self.equations.append(("s'", self._outcome("NEXT")))
        self._endings(slots)

    def _outcome(self, table: str) -> str:
        return f"{table}[s][a][k]" if self.chancy else f"{table}[s][a]"

    def _table(self, name: str, kind: str, value: Sequence[Nested]) -> None:
        self.tables += _write_table(name, kind, value)

    def _by_outcome(
        self, name: str, kind: str, slots: Mapping[tuple[int, int], Slots], cell: _Reader
    ) -> None:
        """A table over states, actions and, where there is chance, outcomes; `cell` also reads a missing outcome."""
        width = len(next(iter(slots.values())))
        value: list[list[Nested]] = []
        for s in range(self.world.states):
            rows = [slots.get((s, a), (None,) * width) for a in range(self.world.actions)]
            cells = [[cell(s, move) for move in row] for row in rows]
            value.append([c if self.chancy else c[0] for c in cells])
        self._table(name, kind, value)

    def _next(self, slots: Mapping[tuple[int, int], Slots]) -> None:
        kind = f"int 0..{self.world.states - 1}"
        self._by_outcome("NEXT", kind, slots, lambda s, move: s if move is None else move.to)

    def _laws(self, slots: Mapping[tuple[int, int], Slots]) -> None:
        """Weights that differ from row to row: each row names one of the laws there are, or has its own."""
        laws = {
            key: tuple(Fraction(0) if m is None else m.weight for m in row)
            for key, row in slots.items()
        }
        distinct = list(dict.fromkeys(laws.values()))
        each, shape = range(self.world.states), range(self.world.actions)
        if 2 * len(distinct) <= len(laws):
            self._table("WEIGHT", "rat", distinct)
            number = {law: i for i, law in enumerate(distinct)}
            which = [[number[laws.get((s, a), distinct[0])] for a in shape] for s in each]
            self._table("LAW", f"int 0..{len(distinct) - 1}", which)
            weight = "WEIGHT[LAW[s][a]][i]"
        else:
            self._table(
                "WEIGHT", "rat", [[laws.get((s, a), distinct[0]) for a in shape] for s in each]
            )
            weight = "WEIGHT[s][a][i]"
        last = len(distinct[0]) - 1
        self.steps.append(f"chance k: int 0..{last} = {{ for i in 0..{last}: i: {weight} }}")

    def _starts(self) -> None:
        start = f"state s: int 0..{self.world.states - 1} = "
        places = [s for s, _ in self.world.starts]
        if len(places) == 1:
            self.states.append(f"{start}{places[0]}")
        else:
            weights = [w for _, w in self.world.starts]
            self.states.append(start + self._dist("START", places, weights, start))

    def _dist(
        self, name: str, values: Sequence[int], weights: Sequence[Fraction], before: str
    ) -> str:
        """A distribution on one line; what does not fit goes to tables named after it."""
        listed = f"{{ {', '.join(f'{v}: {w}' for v, w in zip(values, weights, strict=True))} }}"
        if len(before) + len(listed) <= COLUMNS * 2 // 3:
            return listed
        value, weight, weights_name = "i", str(weights[0]), name
        if values != range(len(values)):
            self._table(f"{name}S", f"int 0..{max(values)}", values)
            value, weights_name = f"{name}S[i]", f"{name}_WEIGHT"
        if len(set(weights)) > 1:
            self._table(weights_name, "rat", weights)
            weight = f"{weights_name}[i]"
        return f"{{ for i in 0..{len(values) - 1}: {value}: {weight} }}"

    def _endings(self, slots: Mapping[tuple[int, int], Slots]) -> None:
        """The reward and the end of the episode, with a state variable for it where the state does not tell."""
        moves = [m for row in self.world.rows.values() for m in row]
        ended = sorted({m.to for m in moves if m.ends})
        entered_live = {s for s, _ in self.world.starts} | {m.to for m in moves if not m.ends}
        told = entered_live.isdisjoint(ended)
        if not told:
            self.states.append("state over: bool = false")
            self.equations.append(
                ("over'", self._value("OVER", slots, lambda move: move.ends, False))
            )
        self.equations.append(
            ("reward", self._value("REWARD", slots, lambda move: move.reward, Fraction(0)))
        )
        if not told:
            self.equations.append(("done", "over"))
        elif ended:
            self.equations.append(("done", self._ends(ended)))

    def _ends(self, ended: list[int]) -> str:
        if len(ended) <= FEW:
            return _one_of("s", ended)
        last = self.world.states - 1
        head = f"table ENDS: array[{self.world.states}] of bool = "
        line = f"{head}[for i in 0..{last}: {_one_of('i', ended)}]"
        if len(line) <= COLUMNS:
            self.tables.append(line)
        else:
            entered = set(ended)
            self._table("ENDS", "bool", [s in entered for s in range(self.world.states)])
        return "ENDS[s]"

    def _value(
        self,
        name: str,
        slots: Mapping[tuple[int, int], Slots],
        read: Callable[[Move], Cell],
        filler: Cell,
    ) -> str:
        """A value of each outcome as an expression, with a table where it takes one."""
        cells = [
            (s, a, m.to, read(m)) for (s, a), row in slots.items() for m in row if m is not None
        ]
        values = [cell[-1] for cell in cells]
        if len(set(values)) == 1:
            return _literal(values[0])
        kind = _kind([*values, filler])
        target = "to" if self.twist else "s'"
        by_successor = _function((to, v) for _, _, to, v in cells)
        if by_successor is not None:
            chain = _chain(target, by_successor)
            if chain is not None and len(chain) <= COLUMNS * 2 // 3:
                return chain
            self._table(name, kind, [by_successor.get(s, filler) for s in range(self.world.states)])
            return f"{name}[{target}]"
        for index, size in (("a", self.world.actions), ("s", self.world.states)):
            found = _function((s if index == "s" else a, v) for s, a, _, v in cells)
            if found is not None:
                self._table(name, kind, [found.get(i, filler) for i in range(size)])
                return f"{name}[{index}]"
        by_row = _function(((s, a), v) for s, a, _, v in cells)
        if by_row is not None:
            each, shape = range(self.world.states), range(self.world.actions)
            self._table(name, kind, [[by_row.get((s, a), filler) for a in shape] for s in each])
            return f"{name}[s][a]"
        self._by_outcome(name, kind, slots, lambda _, move: filler if move is None else read(move))
        return self._outcome(name)


_Reader: TypeAlias = "Callable[[int, Move | None], Cell]"


# --- text ----------------------------------------------------------------------------------------


def _function(pairs: Iterator[tuple[Any, Cell]]) -> dict[Any, Cell] | None:
    """The pairs as a function, if they are one."""
    found: dict[Any, Cell] = {}
    for key, value in pairs:
        if found.setdefault(key, value) != value:
            return None
    return found


def _chain(target: str, values: Mapping[int, Cell]) -> str | None:
    """`if s' == 15 then 1 else 0`, for a value that few states except from the rule."""
    count = Counter(values.values())
    rule = max(count, key=lambda value: (count[value], value == 0))
    if sum(value != rule for value in values.values()) > FEW:
        return None
    text = ""
    for value in sorted(set(values.values()) - {rule}):
        states = sorted(state for state, v in values.items() if v == value)
        text += f"if {_one_of(target, states)} then {_literal(value)} else "
    return text + _literal(rule)


def _one_of(name: str, states: Sequence[int]) -> str:
    return " or ".join(f"{name} == {state}" for state in states)


def _literal(value: Cell) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _kind(values: Sequence[Cell]) -> str:
    if all(isinstance(value, bool) for value in values):
        return "bool"
    return "int" if all(Fraction(value).denominator == 1 for value in values) else "rat"


def _write_table(name: str, kind: str, value: Sequence[Nested]) -> list[str]:
    """A table on one line if it fits; else an item of scalars a line, or as many scalars as fit."""
    arrays, level = "", cast(Nested, value)
    while isinstance(level, Sequence):
        arrays += f"array[{len(level)}] of "
        level = level[0]
    head = f"table {name}: {arrays}{kind} = "
    flat = _flat(value)
    if len(head) + len(flat) <= COLUMNS:
        return [head + flat]
    return [f"{head}[", *_write_items(value, "  "), "]"]


def _write_items(items: Sequence[Nested], indent: str) -> Iterator[str]:
    line = indent
    for item in items:
        text = _flat(item)
        if not isinstance(item, Sequence):
            if len(line) + len(text) + 1 > COLUMNS:
                yield line.rstrip()
                line = indent
            line += f"{text}, "
        elif len(indent) + len(text) + 1 <= COLUMNS:
            yield f"{indent}{text},"
        else:
            yield f"{indent}["
            yield from _write_items(item, indent + "  ")
            yield f"{indent}],"
    if line != indent:
        yield line.rstrip()


def _flat(value: Nested) -> str:
    if isinstance(value, Sequence):
        return f"[{', '.join(_flat(item) for item in value)}]"
    return _literal(value)
