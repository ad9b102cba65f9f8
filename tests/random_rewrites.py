"""Random rewrites of random machines: the same for the same seed.

Rewrites that mean to be broken say so; other code may still turn out not to be total.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import TypeAlias

from random_expressions import (
    Choice,
    Range,
    Row,
    Truth,
    Vector,
    Whole,
    count_values,
    fits,
)
from random_machines import Agent, Line, Made, RandomWorld, Slot, make_machine, wasteful

from dsl import syntax as s
from dsl.codec import digest_node
from dsl.rewrite import AddSlot, Edit, RemoveSlot, Replace, derive_edits


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
    made: Made
    declarations: str
    agent: str
    rewrites: tuple[RandomRewrite, ...]

    @property
    def text(self) -> str:
        """The whole file."""
        return self.declarations + self.agent


def random_machine(seed: int, rewrites: int) -> RandomMachine:
    """The machine of a seed, with so many rewrites."""
    made = make_machine(seed)
    world, agent = made.world, made.agent
    found = tuple(_random_rewrite(world, agent) for _ in range(rewrites))
    return RandomMachine(seed, made, made.declarations, agent.show(), found)


# --- rewrites ------------------------------------------------------------------------------------

_Made: TypeAlias = tuple[Agent, str, bool] | None  # the new program, spoil, ill-formed


def _random_rewrite(world: RandomWorld, agent: Agent) -> RandomRewrite:
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


def _assignment(world: RandomWorld, agent: Agent) -> Line:
    return world.rng.choice([x for x in agent.lines if not x.is_let and not x.is_memory])


def _new_expression(world: RandomWorld, agent: Agent) -> _Made:
    line = _assignment(world, agent)
    return _fine(agent.with_line(line, line.maker.make(line.kind, world.rng.randint(1, 3))))


def _new_literals(world: RandomWorld, agent: Agent) -> _Made:
    for line in [x for x in agent.lines if not x.is_let]:
        if world.rng.random() < (0.3 if line.is_memory else 0.8):
            again = next(x for x in agent.lines if x.name == line.name)
            agent = agent.with_line(again, line.maker.literal(line.kind))
    return _fine(agent)


def _guard(world: RandomWorld, agent: Agent) -> _Made:
    line, rng = _assignment(world, agent), world.rng
    test = line.maker.make(Truth(), 2)
    name = rng.choice(list(world.observed))
    kind = world.observed[name]
    if not isinstance(kind, Row) and rng.random() < 0.6:
        test = f"{name} == {line.maker.literal(kind)}"
    new = line.maker.make(line.kind, rng.randint(0, 1))
    return _fine(agent.with_line(line, f"if {test} then {new} else {line.value}"))


def _new_let(world: RandomWorld, agent: Agent) -> _Made:
    lets = [line for line in agent.lines if line.is_let]
    if not lets:
        return None
    line = world.rng.choice(lets)
    return _fine(agent.with_line(line, line.maker.make(line.kind, 2)))


def _drop_let(world: RandomWorld, agent: Agent) -> _Made:
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


def _new_entries(world: RandomWorld, agent: Agent) -> _Made:
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


def _new_slot_value(word: str) -> Callable[[RandomWorld, Agent], _Made]:
    def rewrite(world: RandomWorld, agent: Agent) -> _Made:
        slots = [x for x in agent.slots if x.word == word and x.name not in agent.idle]
        if not slots:
            return None
        slot = world.rng.choice(slots)
        maker = slot.maker or world.maker
        return _fine(agent.with_slot(slot, maker.make(slot.kind, 2 if slot.maker else 0)))

    return rewrite


def _new_table(world: RandomWorld, agent: Agent) -> _Made:
    line = _assignment(world, agent)
    if any(x.name == "FRESH" for x in agent.slots):
        return None
    table, lookup = world.table("FRESH", line.kind, world.maker)
    return _fine(replace(agent.with_line(line, lookup), slots=(*agent.slots, table)))


def _new_idle_slot(world: RandomWorld, agent: Agent) -> _Made:
    slot = Slot("param", "unread", "param unread: bool", Truth(), "true")
    return _fine(replace(agent, slots=(*agent.slots, slot)))


def _remove_idle_slot(world: RandomWorld, agent: Agent) -> _Made:
    if not agent.idle:
        return None
    return _fine(replace(agent, slots=tuple(x for x in agent.slots if x.name not in agent.idle)))


def _new_memory(world: RandomWorld, agent: Agent) -> _Made:
    """Another next value of a memory variable, or none, which keeps it."""
    lines = [x for x in agent.lines if x.is_memory]
    if not lines:
        return None
    line, rng = world.rng.choice(lines), world.rng
    if rng.random() < 0.2 and not any(line.name in x.value for x in agent.lines):
        return _fine(replace(agent, lines=tuple(x for x in agent.lines if x is not line)))
    return _fine(agent.with_line(line, line.maker.make(line.kind, rng.randint(0, 3))))


def _more_memory(world: RandomWorld, agent: Agent) -> _Made:
    """A memory variable that only counts, or decides something."""
    rng = world.rng
    if any(count_values(k) > 2 for k in world.memories.values()):
        return None
    slot = Slot("memory", "seen", "memory seen: bool", Truth(), rng.choice(["true", "false"]))
    line = _assignment(world, agent)
    agent = replace(agent, slots=(*agent.slots, slot))
    if rng.random() < 0.7:
        other = line.maker.make(line.kind, 1)
        agent = agent.with_line(line, f"if seen then {other} else {line.value}")
    value = rng.choice(["not seen", "true", line.maker.make(Truth(), 1)])
    last = Line("seen'", Truth(), False, value, line.maker)
    return _fine(replace(agent, lines=(*agent.lines, last)))


def _other_policy(world: RandomWorld, agent: Agent) -> _Made:
    """Another line in a policy that does not act, a further policy, or one less."""
    rng = world.rng
    if not agent.others or rng.random() < 0.1:
        lines = tuple(x for x in agent.lines if not x.is_memory)
        if any(f"{n}'" in x.value for x in lines for n in world.memories):
            return None
        return _fine(replace(agent, others=(*agent.others, ("spare_policy", lines))))
    if rng.random() < 0.15 and "using home" not in world.written:
        return _fine(replace(agent, others=()))
    line = rng.choice([x for _, found in agent.others for x in found if not x.is_let])
    return _fine(agent.with_line(line, line.maker.make(line.kind, rng.randint(0, 2))))


def _no_policy(world: RandomWorld, agent: Agent) -> _Made:
    """Remove the policy that a requirement names."""
    if not agent.others or "using home" not in world.written:
        return None
    return replace(agent, others=()), "", True


def _waste(world: RandomWorld, agent: Agent) -> _Made:
    line = world.rng.choice(agent.lines)
    return _fine(agent.with_line(line, wasteful(world.rng, f"({line.value})", line.kind)))


def _same(world: RandomWorld, agent: Agent) -> _Made:
    return agent, world.rng.choice(["same", "same", "empty"]), False


def _stale(world: RandomWorld, agent: Agent) -> _Made:
    made = _new_expression(world, agent)
    spoil = world.rng.choice(["stale", "place", "slot", "overlap", "twice"])
    return None if made is None else (made[0], spoil, False)


def _ill_typed(world: RandomWorld, agent: Agent) -> _Made:
    line, rng = _assignment(world, agent), world.rng
    wrong = {
        Truth: ["1", "0 + 1", "1/2"],
        Range: ["true", "1/2", world.enums[0].name + "." + world.enums[0].members[0]],
        Choice: ["true", "0", "1/2"],
        Vector: ["true", "1/2"],
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


def _hidden(world: RandomWorld, agent: Agent) -> _Made:
    hidden = [n for n in world.states if n not in world.observed]
    if not hidden:
        return None
    line = _assignment(world, agent)
    same = [n for n in hidden if fits(world.states[n], line.kind)]
    test = f"{hidden[0]} == {hidden[0]}"
    value = same[0] if same else f"if {test} then {line.value} else {line.value}"
    return agent.with_line(line, value), "", True


def _misshapen(world: RandomWorld, agent: Agent) -> _Made:
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


def _out_of_range(world: RandomWorld, agent: Agent) -> _Made:
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


def _bad_constant(world: RandomWorld, agent: Agent) -> _Made:
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


def _remove_read_slot(world: RandomWorld, agent: Agent) -> _Made:
    text = "\n".join(line.value for line in agent.lines)
    read = [x for x in agent.slots if x.name in text.replace("(", " ").replace("[", " ").split()]
    if not read:
        return None
    gone = world.rng.choice(read)
    return replace(agent, slots=tuple(x for x in agent.slots if x is not gone)), "", True


_FORMS: Mapping[str, tuple[int, Callable[[RandomWorld, Agent], _Made]]] = {
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
    "new memory start": (4, _new_slot_value("memory")),
    "new memory": (7, _new_memory),
    "more memory": (3, _more_memory),
    "other policy": (4, _other_policy),
    "no policy": (1, _no_policy),
    "waste": (5, _waste),
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
    if not edits:
        slot = rng.choice(old.slots)
        at, node = rng.choice(list(s.positions(slot)))
        edits.append(Replace(slot.name, at, digest_node(node), node))
    if spoil == "twice":
        edits.append(edits[0])
    if spoil not in ("stale", "place", "slot", "overlap"):
        return tuple(edits)
    found = [i for i, edit in enumerate(edits) if isinstance(edit, Replace)]
    wrong = digest_node(s.IntLit(rng.randint(0, 99)))
    if not found:
        slot = rng.choice(old.slots)
        return (*edits, Replace(slot.name, (), wrong, slot))
    first = found[0]
    edit = edits[first]
    assert isinstance(edit, Replace)
    if spoil == "stale":
        edits[first] = replace(edit, expected=wrong)
    elif spoil == "place":
        edits[first] = replace(edit, position=(*edit.position, 99))
    elif spoil == "slot":
        edits[first] = replace(edit, slot="nowhere")
    else:
        slot_of = old.slot(edit.slot)
        assert slot_of is not None
        edits.append(Replace(edit.slot, (), digest_node(slot_of), slot_of))
    return tuple(edits)


def _coarse(old: s.Code, new: s.Code, edit: Edit, whole: set[str]) -> Edit:
    """The edit, or for slots in `whole` the one that replaces the whole slot."""
    if isinstance(edit, AddSlot | RemoveSlot) or edit.slot not in whole:
        return edit
    before, after = old.slot(edit.slot), new.slot(edit.slot)
    assert before is not None and after is not None
    return Replace(edit.slot, (), digest_node(before), after)
