"""The premises of a proof rule as SMT-LIB 2 text that a person can read and any solver can run.

A premise about listed states says of each: it is not done, what the policy does there and in how many ticks, where each
draw of chance leads, with which weight and reward, which successors are done, and the inequality between the values listed.
All of it is to be proved from the definitions of world and policy; the interpreter only chose what to list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import product
from operator import itemgetter
from typing import Literal, TypeAlias

from dsl.machine import ActionTuple, Program, StateTuple, Task
from dsl.types import Value, Variable, elements, show_value, values
from proofs.encoder import Encoder
from proofs.kernel.certificate import Table
from proofs.smtlib import (
    TooLarge,
    decimal,
    flatten,
    helpers,
    literal,
    numeral,
    scalar,
    symbol,
    to_real,
)
from proofs.smtlib_world import Definition, PolicyText, World, define, enum_lines

Direction: TypeAlias = Literal["lower", "upper"]


class PremiseError(ValueError):
    """No premise can be stated: a state is reached but not listed, or the text would be too large."""


@dataclass(frozen=True, slots=True)
class Premise:
    """A text to be found `unsat`: `facts` defines constants and tables and must be `sat` alone, `goals` is the rest."""

    title: str
    facts: str
    goals: str

    @property
    def text(self) -> str:
        """The whole text."""
        title = "".join(f"; {line}\n" for line in self.title.splitlines())
        return f"{title}; The last assertion denies it: `unsat` means that it holds.\n\n{self.facts}\n{self.goals}"


def bound_premise(
    task: Task, table: Table, *, program: Program | None = None, direction: Direction
) -> Premise:
    """The premises of `lower_bound` or `upper_bound` for a program, or of the bound for every program.

    Raises PremiseError where a state is reached that is neither listed nor done, or the text would be too large.
    """
    if program is None and direction == "lower":
        raise PremiseError("a bound for every program is an upper one")
    try:
        return _BoundPremise(world_lines(task), table, program, direction).premise()
    except TooLarge as error:
        raise PremiseError(str(error)) from None


def premise_text(task: Task, program: Program | None, table: Table, direction: Direction) -> str:
    """The text of `bound_premise`."""
    return bound_premise(task, table, program=program, direction=direction).text


def comparison_premise(
    task: Task,
    *,
    new: Program,
    old: Program,
    new_bound: Fraction,
    old_bound: Fraction,
    better: bool = True,
) -> Premise:
    """That bounds decide: new less its size is above old less its size, or, without `better`, at most that."""
    world = world_lines(task).world
    relation, words = (">", "is above") if better else ("<=", "is at most")
    goals = [
        f"(define-fun new.bound () Real {decimal(new_bound)})",
        f"(define-fun old.bound () Real {decimal(old_bound)})",
        f"(define-fun new.nodes () Real {decimal(new.size)})",
        f"(define-fun old.nodes () Real {decimal(old.size)})",
        *setting_lines(world, "size_price"),
        f"(assert (not ({relation} (- new.bound (* size_price new.nodes)) (- old.bound (* size_price old.nodes)))))",
        "(check-sat)",
    ]
    title = (
        f"The bound of the new program, less the price of its size, {words} that of the old one."
    )
    facts = "\n".join(["(set-logic ALL)", *enum_lines(task.names), *world.vocabulary.lines]) + "\n"
    return Premise(title, with_helpers(facts, ""), "\n".join(goals) + "\n")


# --- rows of the world ---------------------------------------------------------------------------

Draw: TypeAlias = tuple[Fraction, Fraction, StateTuple]


@lru_cache(maxsize=16)
def start_states(task: Task) -> tuple[tuple[StateTuple, Fraction], ...]:
    """The start states of a task, worked out once."""
    return task.start_states()


@lru_cache(maxsize=16)
def world_lines(task: Task) -> WorldLines:
    """The printed world of a task, and its rows, kept for the tasks of late."""
    return WorldLines(task)


class WorldLines:
    """What the definitions of a world say at listed points; each row is printed once."""

    def __init__(self, task: Task) -> None:
        self.task, self.world = task, World(task)
        self._state = _Speller(task.states)
        self._action = _Speller(task.actions)
        self._chance = _Speller(task.chances)
        place = _places([*task.states, *task.actions, *task.chances, *_primed(task.states)])
        world = self.world
        self._steps = [
            call for v in task.states for call in _applications(world.steps[v.name], place)
        ]
        self._weights = [call for w in world.weights for call in _applications(w, place)]
        (self._reward,) = _applications(world.reward, place)
        self._done = None if world.done is None else _applications(world.done, place)[0]
        self._rows: dict[tuple[StateTuple, ActionTuple], tuple[list[str], list[Draw]]] = {}
        self._is_done: dict[StateTuple, bool] = {}

    def row(self, state: StateTuple, actions: ActionTuple) -> tuple[list[str], list[Draw]]:
        """What is to be shown of one step, and its draws."""
        key = state, actions
        if key not in self._rows:
            self._rows[key] = self._make_row(state, actions)
        return self._rows[key]

    def is_done(self, state: StateTuple) -> bool:
        """Whether the episode has ended in this state, by the interpreter."""
        if state not in self._is_done:
            self._is_done[state] = self.task.is_done(state)
        return self._is_done[state]

    def done_goal(self, state: StateTuple, *, done: bool) -> str | None:
        """That a state is done, or not; None where nothing ever is."""
        if self._done is None:
            return None
        text = self._done(self._state(state))
        return text if done else f"(not {text})"

    def state_words(self, state: StateTuple) -> str:
        """A state in the reader's words."""
        return _words(self.task.states, state)

    def action_words(self, actions: ActionTuple) -> str:
        """Actions in the reader's words."""
        return _words(self.task.actions, actions)

    def spell(self, state: StateTuple) -> tuple[str, ...]:
        """The scalars of a state as terms."""
        return self._state(state)

    def spell_actions(self, actions: ActionTuple) -> tuple[str, ...]:
        """The scalars of the actions as terms."""
        return self._action(actions)

    def _make_row(self, state: StateTuple, actions: ActionTuple) -> tuple[list[str], list[Draw]]:
        goals: dict[str, None] = {}
        draws: list[Draw] = []
        before = self._state(state) + self._action(actions)
        weights: list[str] = []
        # a next value or reward that reads next values is stated for those listed; all hold together
        for drawn, weight, reward, successor in self.task.draws(state, actions):
            spelled = self._state(successor)
            point = before + self._chance(drawn) + spelled
            for call, value in zip(self._steps, spelled, strict=True):
                goals[f"(= {call(point)} {value})"] = None
            if self._weights:
                shown = decimal(weight)
                goals[f"(= {_product([call(point) for call in self._weights])} {shown})"] = None
                weights.append(shown)
            goals[f"(= {self._reward(point)} {decimal(reward)})"] = None
            draws.append((weight, reward, successor))
        if self._weights:
            goals[f"(= {_sum(weights)} 1.0)"] = None
        return list(goals), draws


class _Speller:
    """Writes values of variables as terms."""

    def __init__(self, variables: tuple[Variable, ...]) -> None:
        self.kinds = [v.type for v in variables]
        self.known: list[dict[Value, tuple[str, ...]]] = [{} for _ in variables]

    def __call__(self, point: tuple[Value, ...]) -> tuple[str, ...]:
        found: tuple[str, ...] = ()
        for kind, known, value in zip(self.kinds, self.known, point, strict=True):
            if value not in known:
                known[value] = tuple(t.text for t in flatten(literal(value, kind)))
            found += known[value]
        return found


_Call: TypeAlias = Callable[[Sequence[str]], str]


def _primed(variables: tuple[Variable, ...]) -> list[Variable]:
    return [Variable(v.name + "'", v.type) for v in variables]


def _places(variables: Sequence[Variable]) -> dict[str, range]:
    """Where the scalars of each variable stand among those of all."""
    places: dict[str, range] = {}
    end = 0
    for v in variables:
        places[v.name] = range(end, end + elements(v.type))
        end += elements(v.type)
    return places


def _applications(definition: Definition, places: dict[str, range]) -> list[_Call]:
    """A function for each scalar of a definition that applies it to the scalars of a point."""
    picked = [i for v in definition.reads for i in places[v.name]]
    return [_application(symbol(name), picked) for name, _ in definition.leaves]


def _application(name: str, picked: list[int]) -> _Call:
    if not picked:
        return lambda point: name
    if len(picked) == 1:
        (only,) = picked
        return lambda point: f"({name} {point[only]})"
    pick = itemgetter(*picked)
    return lambda point: f"({name} {' '.join(pick(point))})"


def _sum(terms: Sequence[str]) -> str:
    return terms[0] if len(terms) == 1 else f"(+ {' '.join(terms)})"


def _product(terms: Sequence[str]) -> str:
    return terms[0] if len(terms) == 1 else f"(* {' '.join(terms)})"


def _words(variables: tuple[Variable, ...], point: tuple[Value, ...]) -> str:
    shown = (f"{v.name} = {show_value(v.type, x)}" for v, x in zip(variables, point, strict=True))
    return ", ".join(shown)


# --- bounds --------------------------------------------------------------------------------------


class _BoundPremise:
    """Puts the premise of one bound together."""

    def __init__(
        self, rows: WorldLines, table: Table, program: Program | None, direction: Direction
    ) -> None:
        self.rows, self.table, self.program = rows, table, program
        self.task, self.utility = rows.task, rows.task.utility
        self.prefix = "L" if direction == "lower" else "U" if program is not None else "W"
        self.relation = "<=" if direction == "lower" else ">="
        self.policy = None if program is None else policy_text(program)
        self.direction = direction
        self.ticked = program is not None and self.utility.tick_price != 0
        self.stated: set[str] = set()
        for layer in table.layers:
            if len({state for state, _ in layer}) < len(layer):
                raise PremiseError("a state is listed twice")
        self.names = [
            {state: f"{self.prefix}.{k}.{i}" for i, (state, _) in enumerate(layer)}
            for k, layer in enumerate(table.layers)
        ]
        if self.utility.horizon is None:
            self.names = [{x: f"{self.prefix}.{i}" for i, (x, _) in enumerate(table.layers[0])}]

    def premise(self) -> Premise:
        """The whole premise."""
        world = self.rows.world
        code = [] if self.policy is None else self.policy.vocabulary.lines
        facts = ["(set-logic ALL)", *enum_lines(self.task.names), *world.vocabulary.lines, *code]
        goals = ["; --- the world", *world.lines]
        if self.policy is not None:
            goals += ["", "; --- the policy", *self.policy.lines]
        goals += self._prices()
        goals += ["", "; --- the values listed", *self._values()]
        goals += ["", "; --- the starts", *self._starts()]
        goals += ["", "; --- what is to be shown at each state"]
        names: list[str] = []
        for name, block in self._blocks():
            names.append(name)
            goals += block
        goals += ["", f"(assert (not (and {' '.join(names)})))", "(check-sat)", ""]
        text = "\n".join(goals)
        return Premise(self._title(), with_helpers("\n".join([*facts, ""]), text), text)

    def _title(self) -> str:
        whose = "every program" if self.program is None else f"program {self.program.digest[:12]}"
        states = sum(len(layer) for layer in self.table.layers)
        least = "at least" if self.direction == "lower" else "at most"
        side = "from below" if self.direction == "lower" else "from above"
        horizon = self.utility.horizon
        layered = "" if horizon is None else f" with 1 to {horizon} steps to go"
        return (
            f"Machine {self.task.declarations.name}: {states} values{layered} bound the value of {whose} {side};\n"
            f"averaged over the starts it is {least} {show_number(start_bound(self.task, self.table))}."
        )

    def _prices(self) -> list[str]:
        found: list[str] = []
        if self.utility.horizon is None:
            found += setting_lines(self.rows.world, "discount")
        if self.ticked:
            found += setting_lines(self.rows.world, "tick_price")
        return found

    def _values(self) -> Iterator[str]:
        words = self.rows.state_words
        for k, (layer, names) in enumerate(zip(self.table.layers, self.names, strict=True)):
            if self.utility.horizon is not None:
                yield f"; {k + 1} to go"
            for state, value in layer:
                yield f"(define-fun {names[state]} () Real {decimal(value)}) ; {words(state)}"

    def _blocks(self) -> Iterator[tuple[str, list[str]]]:
        listed: dict[StateTuple, list[int]] = {}
        for k, layer in enumerate(self.table.layers):
            for state, _ in layer:
                listed.setdefault(state, []).append(k)
        for i, (state, layers) in enumerate(listed.items()):
            goals, words = self._state_goals(state, layers)
            yield f"at.{i}", _block(f"at.{i}", f"at {self.rows.state_words(state)}{words}", goals)
        yield "starts", _block("starts", "the starts", self._start_goals())

    def _state_goals(self, state: StateTuple, layers: list[int]) -> tuple[list[str], str]:
        goals = [self.rows.done_goal(state, done=False)]
        words = ""
        if self.program is None:
            choices = [(a, 0) for a in product(*(tuple(values(v.type)) for v in self.task.actions))]
        else:
            decided = self.program.act(state)
            actions, ticks = decided.actions, decided.ticks
            choices = [(actions, ticks)]
            goals += self._policy_goals(state, actions, ticks)
            words = f" the policy takes {self.rows.action_words(actions)}"
            words += f" in {ticks} ticks" if self.ticked else ""
        for actions, ticks in choices:
            shown, draws = self.rows.row(state, actions)
            goals += shown
            for k in layers:
                goals += self._successor_goals(state, k, draws)
                goals.append(self._inequality(state, k, ticks, draws))
        return self._new(goals), words

    def _new(self, goals: Sequence[str | None]) -> list[str]:
        """Those goals that were not stated before, each once."""
        found = [g for g in dict.fromkeys(goals) if g is not None and g not in self.stated]
        self.stated.update(found)
        return found

    def _policy_goals(self, state: StateTuple, actions: ActionTuple, ticks: int) -> Iterator[str]:
        if self.policy is None:
            return
        spelled = self.rows.spell(state)
        for call, value in zip(self.policy.calls, self.rows.spell_actions(actions), strict=True):
            yield f"(= {call(spelled)} {value})"
        if self.ticked:
            yield f"(= {self.policy.ticks_call(spelled)} {numeral(ticks)})"

    def _reached(self, k: int) -> dict[StateTuple, str] | None:
        """The names of the values that layer k refers to; None where no step remains."""
        if self.utility.horizon is None:
            return self.names[0]
        return self.names[k - 1] if k else None

    def _successor_goals(
        self, state: StateTuple, k: int, draws: list[Draw]
    ) -> Iterator[str | None]:
        reached = self._reached(k)
        if reached is None:
            return
        for _, _, successor in draws:
            if successor in reached:
                continue
            if not self.rows.is_done(successor):
                words = self.rows.state_words
                raise PremiseError(
                    f"{words(successor)} is reached from {words(state)}, but not listed"
                )
            yield self.rows.done_goal(successor, done=True)

    def _inequality(self, state: StateTuple, k: int, ticks: int, draws: list[Draw]) -> str:
        reached = self._reached(k) or {}
        discounted = self.utility.horizon is None
        parts: list[str] = []
        for weight, reward, successor in draws:
            shown = decimal(reward)
            name = reached.get(successor)
            if name is not None:
                shown = f"(+ {shown} {f'(* discount {name})' if discounted else name})"
            parts.append(f"(* {decimal(weight)} {shown})")
        after = _sum(parts)
        if self.ticked:
            after = f"(- {after} (* tick_price {decimal(ticks)}))"
        return f"({self.relation} {self.names[k][state]} {after})"

    def _starts(self) -> Iterator[str]:
        """What averages over the starts, and the values listed for them."""
        yield "; value.at gives the value at a start, which is 0 where it is done; the rest averages it over the starts"
        yield from self.rows.world.start_lines
        top = self.names[-1]
        for state, _ in start_states(self.task):
            if state not in top and not self.rows.is_done(state):
                raise PremiseError(f"the start {self.rows.state_words(state)} is not listed")
            named = top.get(state, "0.0")
            yield f"(assert (= (value.at {' '.join(self.rows.spell(state))}) {named}))"

    def _start_goals(self) -> list[str]:
        goals: list[str | None] = []
        for state, _ in start_states(self.task):
            if state not in self.names[-1]:
                goals.append(self.rows.done_goal(state, done=True))
        world = self.rows.world
        if world.whole is not None:
            goals.append(f"(= {symbol(world.whole)} 1.0)")
        bound = decimal(start_bound(self.task, self.table))
        goals.append(f"({self.relation} {bound} {symbol(world.average)})")
        return [g for g in goals if g is not None]


def start_bound(task: Task, table: Table) -> Fraction:
    """What a table says of the starts, averaged; states that are not listed count 0."""
    listed = dict(table.layers[-1])
    return sum((w * listed[x] for x, w in start_states(task) if x in listed), Fraction(0))


def show_number(number: Fraction) -> str:
    """A number for a title: exact where that is short."""
    text = str(number)
    if len(text) <= 24:
        return text
    whole, rest = divmod(abs(round(number * 10**9)), 10**9)
    return f"about {'-' if number < 0 else ''}{whole}.{rest:09d}"


def _block(name: str, about: str, goals: list[str]) -> list[str]:
    shown = [f"  {g}" for g in goals or ["true"]]
    return [f"; {about}", f"(define-fun {name} () Bool (and", *shown, "))"]


@lru_cache(maxsize=64)
def policy_text(program: Program) -> ListedPolicy:
    """The printed policy of a program, kept for the programs of late."""
    return ListedPolicy(program)


class ListedPolicy:
    """A printed policy, and how it is applied to the scalars of a state."""

    def __init__(self, program: Program) -> None:
        text = PolicyText(program, world_lines(program.task).world)
        self.vocabulary, self.lines = text.vocabulary, text.lines
        places = _places(program.task.states)
        self.calls = [
            call
            for v in program.task.actions
            for call in _applications(text.actions[v.name], places)
        ]
        (self.ticks_call,) = _applications(text.ticks, places)


def setting_lines(world: World, key: str) -> list[str]:
    """A setting of the utility, from its tree."""
    for setting in world.task.declarations.utility.settings:
        if setting.key == key:
            value = to_real(scalar(Encoder(world.vocabulary).value(setting.value, {})))
            return [define(key, [], "Real", value.text)]
    return [define(key, [], "Real", "0.0")]


def with_helpers(facts: str, goals: str) -> str:
    """Facts preceded by those of our own functions that facts or goals use."""
    found = helpers(facts + goals)
    head, rest = facts.split("\n", 1)
    return "\n".join([head, *found, rest])
