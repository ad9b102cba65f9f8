"""The premises of the rules about values: bounds from tables, what two programs have in common, and comparisons.

A premise about listed states says of each state and memory: it is not done, what the policy does there and in how many
ticks, what the adversary may do, where each draw of chance leads, with which weight and reward, which successors are done,
and the inequality between the values listed. All of it is to be proved from the definitions of world and policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import product
from typing import Literal, TypeAlias

from dsl import syntax as s
from dsl.machine import ActionTuple, MemoryTuple, Program, ReplyTuple, StateTuple, Task, World
from dsl.polynomial import Polynomial, Weight, substitute
from dsl.types import Value, values
from proofs.encoder import Encoder
from proofs.kernel.certificate import Entry, Pair, Reply, Table
from proofs.kernel.region import Region
from proofs.premises import Premise, PremiseError, make_premise
from proofs.regions import is_at_least_zero
from proofs.rows import (
    Draw,
    ListedPolicy,
    Step,
    WorldLines,
    listed_policies,
    policy_pair,
    sum_text,
    words,
    world_lines,
)
from proofs.smtlib import TooLarge, decimal, polynomial_text, scalar, symbol, to_real, variable
from proofs.smtlib_world import apply, define, domain

Direction: TypeAlias = Literal["lower", "upper"]
StartWorld: TypeAlias = tuple[tuple[Value, ...], tuple[tuple[StateTuple, Weight], ...]]
"""A joint value of the `any` variables, and the start states it leaves with their weights."""

STATES_MAX = 2_000
"""States of one text; where weights are polynomials, a tenth of it."""
LINES_MAX = 60_000
POINTS_MAX = 1_000_000


# --- where tables speak --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """A region of unknowns with the worlds in it that differ in their `any` start; or the one world that is named."""

    task: Task
    region: Region
    world: World | None = None

    @staticmethod
    def of_world(task: Task, world: World) -> Place:
        """The place that is one world."""
        return Place(task, Region.point(world.unknowns, world.rationals), world)

    @property
    def starts(self) -> tuple[StartWorld, ...]:
        """The starts of its worlds."""
        if self.world is None:
            return start_worlds(self.task, self.region.unknowns)
        return (start_world(self.task, self.world.starts, self.region.unknowns),)

    @property
    def is_open(self) -> bool:
        """Whether rational unknowns stand in the text."""
        return bool(self.task.rationals)

    def facts(self, rows: WorldLines, *, rates: bool) -> list[str]:
        """The rational unknowns within their ranges and assumptions, and the rates within theirs."""
        found: list[str] = []
        shown = [*self.task.rationals, *(self.task.rates if rates else ())]
        for v in shown:
            found.append(f"(declare-const {symbol(v.name)} Real)")
            found += [f"(assert {d})" for d in domain(variable(v.name, v.type), v.type)]
        if self.task.rationals:
            encoder = Encoder(rows.world.vocabulary)
            for item in self.task.declarations.environment.items:
                if isinstance(item, s.Assume):
                    term = scalar(encoder.value(item.condition, rows.world.unknowns))
                    found.append(f"(assert {term.text})")
        if self.world is not None:
            for v, value in zip(self.task.rationals, self.world.rationals, strict=True):
                found.append(f"(assert (= {symbol(v.name)} {decimal(value)}))")
        return found

    def goals(self, rows: WorldLines) -> list[str]:
        """The finite unknowns, and the part of the box that is meant."""
        found = rows.unknown_lines(self.region.unknowns)
        if self.world is not None:
            return found
        whole = Region.whole(self.task, self.region.unknowns)
        for v, (low, high), (least, most) in zip(
            self.task.rationals, self.region.box, whole.box, strict=True
        ):
            if low > least:
                found.append(f"(assert (<= {decimal(low)} {symbol(v.name)}))")
            if high < most:
                found.append(f"(assert (<= {symbol(v.name)} {decimal(high)}))")
        return found

    def words(self) -> str:
        """The unknowns in the reader's words, for a title."""
        parts = [words(self.task.unknowns, self.region.unknowns)] if self.task.unknowns else []
        for v, (low, high) in zip(self.task.rationals, self.region.box, strict=True):
            parts.append(f"{v.name} = {low}" if low == high else f"{v.name} in {low}..{high}")
        return ", ".join(parts)


@lru_cache(maxsize=64)
def start_worlds(task: Task, unknowns: tuple[Value, ...]) -> tuple[StartWorld, ...]:
    """The starts of a task for a value of its finite unknowns, worked out once."""
    return tuple(start_world(task, a, unknowns) for a in task.any_starts(unknowns))


def start_world(task: Task, anywhere: tuple[Value, ...], unknowns: tuple[Value, ...]) -> StartWorld:
    """The start states for one joint value of the `any` variables."""
    return anywhere, task.start_states(anywhere, unknowns)


# --- bounds --------------------------------------------------------------------------------------


def bound_premises(
    place: Place,
    table: Table,
    *,
    program: Program | None,
    direction: Direction,
    name: str,
    old: Program | None = None,
) -> list[Premise]:
    """The premises of a bound of a program, of every program, or, given an old program, of what it saves over that.

    Raises PremiseError where a pair is reached that is neither listed nor done, or a text would be too large.
    """
    if program is None and direction == "lower":
        raise PremiseError("a bound for every program is an upper one")
    try:
        rows = world_lines(place.task)
        if program is None:
            player: _Player = EveryProgram(rows)
        elif old is None:
            player = OneProgram(rows, program)
        else:
            player = _Saving(rows, old, program)
        return BoundLines(place, rows, table, player, direction, name).premises()
    except TooLarge as error:
        raise PremiseError(str(error)) from None


@dataclass(frozen=True, slots=True)
class Option:
    """Something that may be done: the actions, the memory kept, and what its ticks make of the value after it, `{}`."""

    actions: ActionTuple
    memory: MemoryTuple
    charged: str = "{}"
    words: str = ""


class _Player:
    """Whose value is bounded."""

    prefix = ""
    who = ""
    rewarded = True

    def __init__(self, rows: WorldLines) -> None:
        self.rows = rows
        self.ticked = rows.task.utility.tick_price != 0
        self.policies: tuple[ListedPolicy, ...] = ()
        self.memory_start: MemoryTuple = ()

    def options(self, pair: Pair) -> tuple[list[str], list[Option]]:
        """What is to be shown of the policy at a pair, and what may be done there."""
        raise NotImplementedError

    def pair_words(self, pair: Pair) -> str:
        """A state with a memory in the reader's words."""
        found = self.rows.state_words(pair[0])
        return found + (self.policies[0].memory_words(pair[1]) if self.policies else "")


class EveryProgram(_Player):
    """Any program whatever: everything that may be done, at no price."""

    prefix = "W"
    who = "every program"

    def __init__(self, rows: WorldLines) -> None:
        super().__init__(rows)
        self.ticked = False
        kinds = [tuple(values(v.type)) for v in rows.task.actions]
        self._options = [Option(a, ()) for a in product(*kinds)]

    def options(self, pair: Pair) -> tuple[list[str], list[Option]]:
        return [], self._options


class OneProgram(_Player):
    """A program: what it does at each pair."""

    def __init__(self, rows: WorldLines, program: Program) -> None:
        super().__init__(rows)
        self.program = program
        self.policies = listed_policies(program)
        self.memory_start = program.memory_start
        self.who = f"program {program.digest[:12]}"

    def options(self, pair: Pair) -> tuple[list[str], list[Option]]:
        decided = self.program.act(*pair)
        goals = list(self.policies[0].goals(pair, decided, ticked=self.ticked))
        about = f" the policy takes {self.rows.action_words(decided.actions)}"
        charged = "{}"
        if self.ticked:
            about += f" in {decided.ticks} ticks"
            charged = f"(- {{}} (* tick_price {decimal(decided.ticks)}))"
        return goals, [Option(decided.actions, decided.memory, charged, about)]


class _Saving(_Player):
    prefix = "S"
    rewarded = False

    def __init__(self, rows: WorldLines, old: Program, new: Program) -> None:
        super().__init__(rows)
        self.old, self.new = old, new
        if old.memories != new.memories or old.memory_start != new.memory_start:
            raise PremiseError("the programs differ in their memory or its start")
        self.policies = policy_pair(old, new)
        self.memory_start = new.memory_start
        self.who = f"the ticks that program {new.digest[:12]} saves over {old.digest[:12]}"
        self.ticked = True

    def options(self, pair: Pair) -> tuple[list[str], list[Option]]:
        before, after = self.old.act(*pair), self.new.act(*pair)
        if (before.actions, before.memory) != (after.actions, after.memory):
            raise PremiseError(f"the programs differ at {self.pair_words(pair)}")
        goals = list(self.policies[0].goals(pair, before, ticked=True))
        goals += self.policies[1].goals(pair, after, ticked=True)
        goals.append(f"(>= {before.ticks} {after.ticks})")
        about = f" both programs take {self.rows.action_words(after.actions)}"
        about += f", in {before.ticks} and {after.ticks} ticks"
        saved = f"(- {decimal(before.ticks)} {decimal(after.ticks)})"
        charged = f"(+ {{}} (* tick_price {saved}))"
        return goals, [Option(after.actions, after.memory, charged, about)]


@dataclass(slots=True)
class Chunk:
    """The blocks of one text, and the values that these refer to."""

    names: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    stated: set[str] = field(default_factory=set)
    starts: list[str] = field(default_factory=list)

    def new(self, goals: Iterable[str | None]) -> list[str]:
        """Those goals that this text does not state yet, each once."""
        found = [g for g in dict.fromkeys(goals) if g is not None and g not in self.stated]
        self.stated.update(found)
        return found


class BoundLines:
    """The premises of one bound, put together, and the values that its table lists."""

    def __init__(
        self,
        place: Place,
        rows: WorldLines,
        table: Table,
        player: _Player,
        direction: Direction,
        name: str,
    ) -> None:
        self.place, self.rows, self.table, self.player = place, rows, table, player
        self.direction, self.name = direction, name
        self.task, self.utility = rows.task, rows.task.utility
        self.unknowns = place.region.unknowns
        self.prefix = player.prefix or ("L" if direction == "lower" else "U")
        self.relation = "<=" if direction == "lower" else ">="
        self.discounted = self.utility.horizon is None
        self.values: list[dict[Pair, Entry]] = []
        self.names: list[dict[Pair, str]] = []
        for k, layer in enumerate(table.layers):
            self.values.append({(e.state, e.memory): e for e in layer})
            if len(self.values[-1]) < len(layer):
                raise PremiseError("a state is listed twice")
            mark = self.prefix if self.discounted else f"{self.prefix}.{k}"
            self.names.append({pair: f"{mark}.{i}" for i, pair in enumerate(self.values[-1])})
        if not table.layers or (self.discounted and len(table.layers) != 1):
            raise PremiseError("under a discount there is one layer, under a horizon one a step")
        self.open = bool(self.task.rationals or self.task.rates)

    # --- texts -----------------------------------------------------------------------------------

    def premises(self) -> list[Premise]:
        """The texts, each of a part of the states; the starts stand in the last."""
        chunks = [Chunk()]
        most = STATES_MAX // 10 if self.open else STATES_MAX
        for number, (pair, layers) in enumerate(self._listed().items()):
            if len(chunks[-1].names) >= most or len(chunks[-1].lines) >= LINES_MAX:
                chunks.append(Chunk())
            self._pair_block(chunks[-1], f"at.{number}", pair, layers)
        worlds = self.place.starts
        if len(worlds) > 1 and len(chunks[-1].names) + len(worlds) > most:
            chunks.append(Chunk())
        for i, world in enumerate(worlds):
            if len(chunks[-1].names) >= most and len(worlds) > 1:
                chunks.append(Chunk())
            self._start_block(chunks[-1], "starts" if len(worlds) == 1 else f"starts.{i}", world)
        self._other_starts(chunks, most)
        return [self._premise(c, i, len(chunks)) for i, c in enumerate(chunks)]

    def _premise(self, chunk: Chunk, index: int, count: int) -> Premise:
        world, policies = self.rows.world, self.player.policies
        code: list[str] = []
        for policy in policies:
            code += [line for line in policy.facts if line not in code]
        lower_rates = self.direction == "lower"
        groups = [self.rows.facts, code, self.place.facts(self.rows, rates=lower_rates)]
        goals = ["; --- the world", *self.place.goals(self.rows), *world.lines]
        for policy, about in zip(policies, self._policy_titles(), strict=True):
            goals += ["", f"; --- {about}", *policy.lines]
        goals += self.prices()
        goals += ["", "; --- the values listed", *self.value_lines(chunk)]
        if chunk.starts:
            goals += ["", "; --- the starts", *self._start_head(), *chunk.starts]
        goals += ["", "; --- what is to be shown at each state", *chunk.lines]
        goals += ["", f"(assert (not (and {' '.join(chunk.names)})))", "(check-sat)"]
        part = "" if count == 1 else f", part {index + 1} of {count}"
        return make_premise(self._title(part), self.name + part, groups, goals)

    def _policy_titles(self) -> tuple[str, ...]:
        several = len(self.player.policies) > 1
        found = ("the old policy", "the new policy") if several else ("the policy",)
        return found[: len(self.player.policies)]

    def _title(self, part: str) -> str:
        least = "at least" if self.direction == "lower" else "at most"
        side = "from below" if self.direction == "lower" else "from above"
        horizon = self.utility.horizon
        count = sum(map(len, self.values))
        layered = "" if horizon is None else f" with 1 to {horizon} steps to go"
        unknowns = self.place.words()
        where = f" where {unknowns}" if unknowns else ""
        title = (
            f"Machine {self.task.declarations.name}: {count} values{layered} bound the value of"
            f" {self.player.who} {side}{where}{part};\n"
        )
        worlds = self.place.starts
        if len(worlds) > 1:
            return title + f"so do their averages at each of {len(worlds)} starts."
        return title + f"averaged over the starts it is {least} {show_weight(self.at(worlds[0]))}."

    def prices(self) -> list[str]:
        """What the discount and a tick are, where they count."""
        found = setting_lines(self.rows, "discount") if self.discounted else []
        return found + (setting_lines(self.rows, "tick_price") if self.player.ticked else [])

    def value_lines(self, chunk: Chunk) -> Iterator[str]:
        """The values that a text refers to."""
        for k, (layer, names) in enumerate(zip(self.values, self.names, strict=True)):
            if not self.discounted:
                yield f"; {k + 1} to go"
            for pair, entry in layer.items():
                if names[pair] in chunk.used:
                    shown = polynomial_text(entry.value)
                    at = self.player.pair_words(pair)
                    yield f"(define-fun {names[pair]} () Real {shown}) ; {at}"

    # --- states ----------------------------------------------------------------------------------

    def _listed(self) -> dict[Pair, list[int]]:
        found: dict[Pair, list[int]] = {}
        for k, layer in enumerate(self.values):
            for pair in layer:
                found.setdefault(pair, []).append(k)
        return found

    def _pair_block(self, chunk: Chunk, name: str, pair: Pair, layers: list[int]) -> None:
        shown, options = self.player.options(pair)
        goals: list[str | None] = [self.rows.done_goal(pair[0], done=False), *shown]
        for i, option in enumerate(options):
            goals += self._option_goals(chunk, pair, layers, option, i)
        does = options[0].words if len(options) == 1 else ""
        about = f"at {self.player.pair_words(pair)}{does}"
        chunk.names.append(name)
        chunk.lines += block(name, about, chunk.new(goals))

    def _option_goals(
        self, chunk: Chunk, pair: Pair, layers: list[int], option: Option, index: int
    ) -> Iterator[str | None]:
        """What is to be shown of one thing that may be done; in each layer the adversary may be named another way."""
        state = pair[0]
        adversary = bool(self.task.adversaries or self.task.rates)
        if self.direction == "upper" and adversary:
            for k in layers:
                reply = self.named(pair, k, index)
                yield self.rows.allowed_goal(state, option.actions, reply)
                yield from self._step_goals(chunk, pair, (k,), option, reply)
            return
        listed, others = self.rows.replies(self.unknowns, state, option.actions)
        yield from others
        for finite in listed:
            yield from self._step_goals(chunk, pair, layers, option, finite)

    def named(self, pair: Pair, k: int, index: int) -> Reply:
        """What the adversary does at a pair of a layer, if the option of that number is taken."""
        replies = self.values[k][pair].replies
        if index >= len(replies):
            raise PremiseError(f"no reply is named at {self.player.pair_words(pair)}")
        return replies[index]

    def _step_goals(
        self,
        chunk: Chunk,
        pair: Pair,
        layers: Sequence[int],
        option: Option,
        reply: Reply | ReplyTuple,
    ) -> Iterator[str | None]:
        step = self.rows.step(self.unknowns, pair[0], option.actions, reply)
        yield from step.goals
        for k in layers:
            goals, worth = self.worth(chunk, pair, k, option, step)
            yield from goals
            chunk.used.add(self.names[k][pair])
            yield f"({self.relation} {self.names[k][pair]} {worth})"

    def worth(
        self, chunk: Chunk, pair: Pair, k: int, option: Option, step: Step
    ) -> tuple[list[str | None], str]:
        """What is to be shown of where a step from layer k leads, and what it is worth by the values listed there."""
        reached, goals, parts = self._reached(k), list[str | None](), list[str]()
        for draw in step.draws:
            name = None
            if reached is not None:
                following = draw.successor, option.memory
                name = reached.get(following)
                if name is not None:
                    chunk.used.add(name)
                elif not self.rows.is_done(draw.successor, self.unknowns):
                    goals.append(self._never(pair, following, draw))
                    continue
                else:
                    goals.append(self.rows.done_goal(draw.successor, done=True))
            parts.append(self._part(draw, name))
        return goals, option.charged.format(sum_text(parts))

    def _reached(self, k: int) -> dict[Pair, str] | None:
        """The names of the values that layer k refers to; None where no step remains."""
        if self.discounted:
            return self.names[0]
        return self.names[k - 1] if k else None

    def _never(self, pair: Pair, following: Pair, draw: Draw) -> str:
        """That a draw which leads to what is not listed has no weight in this place."""
        if not _is_zero(self.task, self.place.region, draw.weight):
            words = self.player.pair_words
            raise PremiseError(f"{words(following)} is reached from {words(pair)}, but not listed")
        return f"(= {draw.weight_text} 0.0)"

    def _part(self, draw: Draw, name: str | None) -> str:
        shown = draw.reward_text if self.player.rewarded else ""
        if name is not None:
            after = f"(* discount {name})" if self.discounted else name
            shown = f"(+ {shown} {after})" if shown else after
        return f"(* {draw.weight_text} {shown or '0.0'})"

    # --- starts ----------------------------------------------------------------------------------

    def at(self, world: StartWorld) -> Weight:
        """What the table says of a start, averaged; states that are not listed count 0."""
        top, known = self.values[-1], self.place.region.fixed(self.task)
        total: Weight = Fraction(0)
        for state, weight in world[1]:
            entry = top.get((state, self.player.memory_start))
            if entry is not None:
                total += substitute(weight, known) * substitute(entry.value, known)
        return total

    def _start_head(self) -> list[str]:
        about = "; value.at gives the value at a start, which is 0 where it is done; the rest averages it over the starts"
        lines = [about, *self.rows.world.start_lines]
        if self.rows.world.start_allowed is not None:
            lines += self.rows.world.start_allowed.lines()
        for policy in self.player.policies:
            lines += policy.start_lines
        return lines

    def _start_block(self, chunk: Chunk, name: str, world: StartWorld) -> None:
        goals: list[str | None] = []
        top, known = self.names[-1], self.place.region.fixed(self.task)
        for state, weight in world[1]:
            if substitute(weight, known) == 0:
                continue
            pair = state, self.player.memory_start
            named = top.get(pair)
            if named is not None:
                chunk.used.add(named)
            elif self.rows.is_done(state, self.unknowns):
                goals.append(self.rows.done_goal(state, done=True))
                named = "0.0"
            else:
                raise PremiseError(f"the start {self.player.pair_words(pair)} is not listed")
            value = f"(value.at {' '.join(self.rows.spell(state))})"
            chunk.starts += chunk.new([f"(assert (= {value} {named}))"])
        for policy in self.player.policies:
            goals += policy.start_goals()
        anywhere = " ".join(self.rows.spell_anywhere(world[0]))
        printed = self.rows.world
        if printed.start_allowed is not None and self.place.world is not None:
            goals.append(f"(start.allowed {anywhere})")
        if printed.whole is not None:
            goals.append(f"(= {apply(printed.whole.name, anywhere)} 1.0)")
        bound = polynomial_text(self.at(world))
        average = apply(printed.average.name, anywhere)
        goals.append(f"({self.relation} {bound} {average})")
        at = f" with {words(self.task.any_states, world[0])}" if world[0] else ""
        chunk.names.append(name)
        chunk.lines += block(name, f"the starts{at}", chunk.new(goals))

    def _other_starts(self, chunks: list[Chunk], most: int) -> None:
        """That an episode can start nowhere else."""
        if self.place.world is not None or not self.task.any_states:
            return
        listed = {anywhere for anywhere, _ in self.place.starts}
        others = other_points(self.rows, listed)
        for i in range(0, len(others), LINES_MAX // 4):
            if i or len(chunks[-1].names) >= most:
                chunks.append(Chunk())
            chunk = chunks[-1]
            chunk.starts = chunk.starts or ["; no further ones"]
            name = f"starts.others.{i}"
            chunk.names.append(name)
            part = others[i : i + LINES_MAX // 4]
            chunk.lines += block(name, "an episode can start nowhere else", chunk.new(part))


def other_points(rows: WorldLines, listed: set[tuple[Value, ...]]) -> list[str]:
    """That values of the `any` variables which are not listed meet the conditions nowhere."""
    kinds = [tuple(values(v.type)) for v in rows.task.any_states]
    found: list[str] = []
    for point in product(*kinds):
        if point not in listed:
            found.append(f"(not (start.allowed {' '.join(rows.spell_anywhere(point))}))")
        if len(found) > POINTS_MAX:
            raise PremiseError(f"more than {POINTS_MAX:,} values of the `any` variables")
    return found


def block(name: str, about: str, goals: Sequence[str]) -> list[str]:
    """The definition of a formula that says all of some goals."""
    shown = [f"  {g}" for g in goals or ["true"]]
    return [f"; {about}", f"(define-fun {name} () Bool (and", *shown, "))"]


def setting_lines(rows: WorldLines, key: str) -> list[str]:
    """A setting of the utility, from its tree."""
    for setting in rows.task.declarations.utility.settings:
        if isinstance(setting, s.Setting) and setting.key == key:
            value = to_real(scalar(Encoder(rows.world.vocabulary).value(setting.value, {})))
            return [define(key, [], "Real", value.text)]
    return [define(key, [], "Real", "0.0")]


def show_weight(number: Weight) -> str:
    """A number or polynomial for a title: exact where that is short."""
    if isinstance(number, Polynomial):
        return polynomial_text(number)
    text = str(number)
    if len(text) <= 24:
        return text
    whole, rest = divmod(abs(round(number * 10**9)), 10**9)
    return f"about {'-' if number < 0 else ''}{whole}.{rest:09d}"


def start_bounds(place: Place, table: Table, memory: MemoryTuple = ()) -> list[Weight]:
    """What a table says of each start of a place, averaged; states that are not listed count 0."""
    top = {(e.state, e.memory): e.value for e in table.layers[-1]}
    known = place.region.fixed(place.task)
    found: list[Weight] = []
    for _, states in place.starts:
        total: Weight = Fraction(0)
        for state, weight in states:
            if (state, memory) in top:
                total += substitute(weight, known) * substitute(top[state, memory], known)
        found.append(total)
    return found


# --- comparisons ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Side:
    """One of two things that are compared at each start: bounds, less the price of a size; or one number."""

    word: str
    bounds: Sequence[Weight] | Fraction
    nodes: int = 0


def comparison_premises(
    place: Place,
    high: Side,
    low: Side,
    *,
    name: str,
    claim: str,
    gain: Fraction | None = None,
    strict: bool = False,
) -> list[Premise]:
    """That at every start `high` is above `low`, by at least `gain` where one is given; strictly above with `strict`."""
    rows = world_lines(place.task)
    count = len(place.starts)
    chunks = range(0, count, STATES_MAX)
    found: list[Premise] = []
    for first in chunks:
        part = "" if len(chunks) == 1 else f", part {first // STATES_MAX + 1} of {len(chunks)}"
        numbers = range(first, min(first + STATES_MAX, count))
        goals = place.goals(rows) + _sides(rows, (high, low), numbers, count)
        tests: list[str] = []
        for i in numbers:
            mark = "" if count == 1 else f".{i}"
            above, below = _sized(high, mark), _sized(low, mark)
            if strict:
                tests.append(f"(> {above} {below})")
            if gain is not None:
                tests.append(f"(>= (- {above} {below}) {decimal(gain)})")
        if len(tests) == 1:
            goals += [f"(assert (not {tests[0]}))", "(check-sat)"]
        else:
            shown = [f"  {t}" for t in tests]
            goals += ["(assert (not (and", *shown, ")))", "(check-sat)"]
        unknowns = place.words()
        where = f" Where {unknowns}." if unknowns else ""
        groups = [rows.facts, [], place.facts(rows, rates=False)]
        found.append(make_premise(claim + where + part, name + part, groups, goals))
    return found


def _sides(
    rows: WorldLines, sides: tuple[Side, Side], numbers: Iterable[int], count: int
) -> list[str]:
    lines: list[str] = []
    for side in sides:
        if isinstance(side.bounds, Fraction):
            lines.append(f"(define-fun {side.word} () Real {decimal(side.bounds)})")
            continue
        for i in numbers:
            mark = "" if count == 1 else f".{i}"
            shown = polynomial_text(side.bounds[i])
            lines.append(f"(define-fun {side.word}.bound{mark} () Real {shown})")
    nodes = [side for side in sides if side.nodes]
    lines += [f"(define-fun {x.word}.nodes () Real {decimal(x.nodes)})" for x in nodes]
    return lines + (setting_lines(rows, "size_price") if nodes else [])


def _sized(side: Side, mark: str) -> str:
    if isinstance(side.bounds, Fraction):
        return side.word
    bound = f"{side.word}.bound{mark}"
    return f"(- {bound} (* size_price {side.word}.nodes))" if side.nodes else bound


def _is_zero(task: Task, region: Region, weight: Weight) -> bool:
    """Whether a weight is 0 for all unknowns of the region and all rates: identically, or on what `assume` leaves."""
    if weight == 0:
        return True
    return is_at_least_zero(task, region, weight) and is_at_least_zero(task, region, -weight)
