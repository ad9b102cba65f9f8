"""What the definitions of a world and of policies say at listed points; the interpreter chooses what is listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from operator import itemgetter
from typing import TypeAlias

from dsl.compile import compile_task
from dsl.machine import (
    ActionTuple,
    Decision,
    MemoryTuple,
    Program,
    ReplyTuple,
    StateTuple,
    Task,
    UnknownTuple,
)
from dsl.polynomial import Weight, substitute
from dsl.types import Value, Variable, elements, show_value, values
from proofs.kernel.certificate import Pair, Reply
from proofs.smtlib import (
    decimal,
    flatten,
    leaves_of,
    literal,
    numeral,
    polynomial_text,
    symbol,
)
from proofs.smtlib_world import (
    Definition,
    PolicyText,
    World,
    code_vocabulary,
    define,
    enum_lines,
    memory_start_lines,
)

Call: TypeAlias = Callable[[Sequence[str]], str]
"""Applies a definition to the scalars of a point."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw of chance that is listed: its weight and reward, as numbers and as terms, and where it leads."""

    weight: Weight
    reward: Weight
    successor: StateTuple
    weight_text: str
    reward_text: str


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be shown of one step, and its draws."""

    goals: tuple[str, ...]
    draws: tuple[Draw, ...]


@lru_cache(maxsize=16)
def world_lines(task: Task, requirements: bool = False) -> WorldLines:
    """The printed world of a task, and its rows, kept for the tasks of late."""
    return WorldLines(task, requirements=requirements)


class WorldLines:
    """What the definitions of a world say at listed points; each row is printed once."""

    def __init__(self, task: Task, *, requirements: bool = False) -> None:
        self.task, self.world = task, World(task, requirements=requirements)
        self._world = compile_task(task)
        self.spell = Speller(task.states)
        self.spell_actions = Speller(task.actions)
        self.spell_anywhere = Speller(task.any_states)
        self._spell_chance = Speller(task.chances)
        self._spell_reply = Speller(task.adversaries)
        self._open_rates = tuple(symbol(v.name) for v in task.rates)
        chosen = [*task.adversaries, *task.rates]
        primed = [Variable(v.name + "'", v.type) for v in task.states]
        self.places = places([*task.states, *task.actions, *chosen, *task.chances, *primed])
        self._width = sum(len(self.places[v.name]) for v in (*task.states, *task.actions))
        self._width += sum(len(self.places[v.name]) for v in (*chosen, *task.chances))
        world, where = self.world, self.places
        self._steps = [
            call for v in task.states for call in applications(world.steps[v.name], where)
        ]
        self._weights = [call for w in world.weights for call in applications(w, where)]
        (self._reward,) = applications(world.reward, where)
        self._done = None if world.done is None else applications(world.done, where)[0]
        self._allowed = None if world.allowed is None else applications(world.allowed, where)[0]
        self._rows: dict[
            tuple[UnknownTuple, StateTuple, ActionTuple, Reply | ReplyTuple], Step
        ] = {}
        self._is_done: dict[tuple[StateTuple, UnknownTuple], bool] = {}

    @property
    def facts(self) -> list[str]:
        """Members of enums, constants, tables and functions."""
        return [*enum_lines(self.task.names), *self.world.vocabulary.lines]

    # --- steps -----------------------------------------------------------------------------------

    def step(
        self,
        unknowns: UnknownTuple,
        state: StateTuple,
        actions: ActionTuple,
        reply: Reply | ReplyTuple,
    ) -> Step:
        """A step under a reply of the adversary; of one without rates, for all rates."""
        key = unknowns, state, actions, reply
        if key not in self._rows:
            self._rows[key] = self._make_step(unknowns, state, actions, reply)
        return self._rows[key]

    def replies(
        self, unknowns: UnknownTuple, state: StateTuple, actions: ActionTuple
    ) -> tuple[list[ReplyTuple], list[str]]:
        """The replies that are listed, all rates left open, and that no other is allowed."""
        if not self.task.adversaries:
            return [()], []
        listed = set(self.task.replies(state, actions, unknowns))
        others: list[str] = []
        for reply in product(*(tuple(values(v.type)) for v in self.task.adversaries)):
            if reply not in listed:
                others.append(f"(not {self.allowed_goal(state, actions, reply)})")
        return sorted(listed), others

    def allowed_goal(
        self, state: StateTuple, actions: ActionTuple, reply: Reply | ReplyTuple
    ) -> str | None:
        """That a reply of the adversary is allowed; None where there is no adversary."""
        if self._allowed is None:
            return None
        return self._allowed(self.spell(state) + self.spell_actions(actions) + self._chosen(reply))

    def _chosen(self, reply: Reply | ReplyTuple) -> tuple[str, ...]:
        if isinstance(reply, Reply):
            return self._spell_reply(reply.finite) + tuple(decimal(r) for r in reply.rates)
        return self._spell_reply(reply) + self._open_rates

    def _make_step(
        self,
        unknowns: UnknownTuple,
        state: StateTuple,
        actions: ActionTuple,
        reply: Reply | ReplyTuple,
    ) -> Step:
        goals: dict[str, None] = {}
        draws: list[Draw] = []
        named = isinstance(reply, Reply)
        finite = reply.finite if isinstance(reply, Reply) else reply
        rates = reply.rates if isinstance(reply, Reply) else ()
        known = dict(zip((v.name for v in self.task.rates), rates, strict=True)) if named else {}
        before = self.spell(state) + self.spell_actions(actions) + self._chosen(reply)
        # a next value or reward that reads next values is stated for those listed; all hold together
        for drawn, weight, reward, successor in self._world.draws(state, actions, unknowns, finite):
            if known:
                weight, reward = substitute(weight, known), substitute(reward, known)
                if weight == 0:
                    continue
            spelled = self.spell(successor)
            point = before + self._spell_chance(drawn) + spelled
            for call, value in zip(self._steps, spelled, strict=True):
                goals[f"(= {call(point)} {value})"] = None
            shown, paid = polynomial_text(weight), polynomial_text(reward)
            if self._weights:
                goals[f"(= {product_text([call(point) for call in self._weights])} {shown})"] = None
            goals[f"(= {self._reward(point)} {paid})"] = None
            draws.append(Draw(weight, reward, successor, shown, paid))
        if self._weights:
            goals[f"(= {sum_text([d.weight_text for d in draws])} 1.0)"] = None
        return Step(tuple(goals), tuple(draws))

    def point(
        self,
        state: StateTuple,
        actions: ActionTuple | None = None,
        successor: StateTuple | None = None,
    ) -> tuple[str, ...]:
        """The scalars at which a condition is applied that reads neither replies nor chance."""
        found = self.spell(state)
        if actions is None or successor is None:
            return found
        found += self.spell_actions(actions)
        return found + ("",) * (self._width - len(found)) + self.spell(successor)

    # --- states ----------------------------------------------------------------------------------

    def is_done(self, state: StateTuple, unknowns: UnknownTuple) -> bool:
        """Whether the episode has ended in this state, by the interpreter."""
        key = state, unknowns
        if key not in self._is_done:
            self._is_done[key] = self.task.is_done(state, unknowns)
        return self._is_done[key]

    def done_goal(self, state: StateTuple, *, done: bool) -> str | None:
        """That a state is done, or not; None where nothing ever is."""
        if self._done is None:
            return None
        text = self._done(self.spell(state))
        return text if done else f"(not {text})"

    def state_words(self, state: StateTuple) -> str:
        """A state in the reader's words."""
        return words(self.task.states, state)

    def action_words(self, actions: ActionTuple) -> str:
        """Actions in the reader's words."""
        return words(self.task.actions, actions)

    def unknown_lines(self, unknowns: UnknownTuple) -> list[str]:
        """The values of the finite unknowns."""
        lines: list[str] = []
        for v, value in zip(self.task.unknowns, unknowns, strict=True):
            lines += constant_lines(v.name, v, value)
        return lines


def constant_lines(name: str, v: Variable, value: Value) -> list[str]:
    """Definitions of the scalars of a constant."""
    terms = flatten(literal(value, v.type))
    return [
        define(leaf, [], sort, term.text)
        for (leaf, sort), term in zip(leaves_of(name, v.type), terms, strict=True)
    ]


class Speller:
    """Writes values of variables as terms."""

    def __init__(self, variables: Sequence[Variable]) -> None:
        self.kinds = [v.type for v in variables]
        self.known: list[dict[Value, tuple[str, ...]]] = [{} for _ in variables]

    def __call__(self, point: tuple[Value, ...]) -> tuple[str, ...]:
        found: tuple[str, ...] = ()
        for kind, known, value in zip(self.kinds, self.known, point, strict=True):
            if value not in known:
                known[value] = tuple(t.text for t in flatten(literal(value, kind)))
            found += known[value]
        return found


def places(variables: Sequence[Variable]) -> dict[str, range]:
    """Where the scalars of each variable stand among those of all."""
    found: dict[str, range] = {}
    end = 0
    for v in variables:
        found[v.name] = range(end, end + elements(v.type))
        end += elements(v.type)
    return found


def applications(definition: Definition, where: dict[str, range]) -> list[Call]:
    """A function for each scalar of a definition that applies it to the scalars of a point."""
    picked = [i for v in definition.reads for i in where[v.name]]
    return [_application(symbol(name), picked) for name, _ in definition.leaves]


def _application(name: str, picked: list[int]) -> Call:
    if not picked:
        return lambda point: name
    if len(picked) == 1:
        (only,) = picked
        return lambda point: f"({name} {point[only]})"
    pick = itemgetter(*picked)
    return lambda point: f"({name} {' '.join(pick(point))})"


def sum_text(terms: Sequence[str]) -> str:
    """The sum of some terms, at least one."""
    return terms[0] if len(terms) == 1 else f"(+ {' '.join(terms)})"


def product_text(terms: Sequence[str]) -> str:
    """The product of some terms, at least one."""
    return terms[0] if len(terms) == 1 else f"(* {' '.join(terms)})"


def words(variables: Sequence[Variable], point: tuple[Value, ...]) -> str:
    """A point in the reader's words: `row = 0, col = 1`."""
    shown = (f"{v.name} = {show_value(v.type, x)}" for v, x in zip(variables, point, strict=True))
    return ", ".join(shown)


# --- policies ------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def listed_policies(
    program: Program, policies: tuple[str, ...] = ("main",), requirements: bool = False
) -> tuple[ListedPolicy, ...]:
    """Printed policies of a program, which stand in one text; kept for the programs of late."""
    printed = world_lines(program.task, requirements).world.vocabulary.printed
    vocabulary = code_vocabulary(program, printed)
    found: list[ListedPolicy] = []
    for name in policies:
        prefix = "policy" if name == "main" else f"policy.{name}"
        found.append(ListedPolicy(PolicyText(program, vocabulary, policy=name, prefix=prefix)))
    return tuple(found)


@lru_cache(maxsize=16)
def policy_pair(old: Program, new: Program) -> tuple[ListedPolicy, ListedPolicy]:
    """Two programs printed so that they may stand in one text."""
    printed = world_lines(old.task).world.vocabulary.printed
    first = ListedPolicy(PolicyText(old, code_vocabulary(old, printed, "old"), prefix="old"))
    beside = first.text.vocabulary.printed
    second = ListedPolicy(PolicyText(new, code_vocabulary(new, beside, "new"), prefix="new"))
    return first, second


class ListedPolicy:
    """A printed policy, and how it is applied to the scalars of a state with a memory."""

    def __init__(self, text: PolicyText) -> None:
        self.text, self.program = text, text.program
        program, task = text.program, text.program.task
        self.start_lines = memory_start_lines(program, text.vocabulary, f"{text.prefix}.start")
        self.facts = text.vocabulary.lines
        self.lines = text.lines
        where = places([*task.states, *program.memories])
        self.spell_memory = Speller(program.memories)
        self._spell, self._spell_actions = Speller(task.states), Speller(task.actions)
        self._actions = [
            call for v in task.actions for call in applications(text.actions[v.name], where)
        ]
        self._memories = [
            call for v in program.memories for call in applications(text.memories[v.name], where)
        ]
        (self._ticks,) = applications(text.ticks, where)
        self._starts = [
            symbol(leaf)
            for v in program.memories
            for leaf, _ in leaves_of(f"{text.prefix}.start.{v.name}", v.type)
        ]

    def goals(self, pair: Pair, decision: Decision, *, ticked: bool) -> Iterator[str]:
        """What the policy decides at a state with a memory."""
        point = self._spell(pair[0]) + self.spell_memory(pair[1])
        for call, value in zip(self._actions, self._spell_actions(decision.actions), strict=True):
            yield f"(= {call(point)} {value})"
        for call, value in zip(self._memories, self.spell_memory(decision.memory), strict=True):
            yield f"(= {call(point)} {value})"
        if ticked:
            yield f"(= {self._ticks(point)} {numeral(decision.ticks)})"

    def start_goals(self) -> Iterator[str]:
        """What memory holds when an episode starts."""
        spelled = self.spell_memory(self.program.memory_start)
        for name, value in zip(self._starts, spelled, strict=True):
            yield f"(= {name} {value})"

    def memory_words(self, memory: MemoryTuple) -> str:
        """A memory in the reader's words, after those of a state."""
        return ", " + words(self.program.memories, memory) if memory else ""
