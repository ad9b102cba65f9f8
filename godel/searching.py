"""The declared search of a machine: its families and prices, and the reports that its world makes of what happened.

A search world is an ordinary environment (`dsl.search`). Its own equations, fed with what an attempt really came to, give
the next reports, so that the machine and its declared world cannot disagree about them. Loads no solver and no parser.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

from dsl import syntax as s
from dsl.check import check_expression
from dsl.errors import Diagnostic, DslError
from dsl.interp import EvaluationFault, Evaluator, evaluate
from dsl.machine import MemoryTuple, Program, StateTuple, Task, UnknownTuple
from dsl.scope import names_read
from dsl.search import (
    OUTCOMES,
    PRICES,
    elaborate_search,
    families_of,
    switch_of,
    target_of,
)
from dsl.span import span_of_name
from dsl.types import Enum, Int, Value, inhabits
from godel.families.kinds import KINDS, Count, Setting
from proofs.kernel.chapter import Chapter

SUPPORT_MAX = 10_000
"""How many hidden states are followed; beyond that departures are not looked for."""


@dataclass(frozen=True, slots=True)
class FamilyDeclaration:
    """A family by name, with its kind, whose code it rewrites, the limit it sets to Z3, and its other settings."""

    name: str
    kind: str
    target: str
    rlimit: int | None
    settings: tuple[tuple[str, Setting], ...]


@dataclass(frozen=True, slots=True)
class Prices:
    """What a unit of gain and of cost stands for, and what counts towards the cost of an attempt."""

    gain_unit: Fraction
    cost_unit: Fraction
    rlimit: Fraction
    family_step: Fraction
    check_step: Fraction


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of an episode came to, in the units of the reports."""

    tried: str
    outcome: str
    gain: int
    cost: int


@dataclass(frozen=True, slots=True)
class Situation:
    """Where an episode is: the reports with what else the machine keeps for them, and the memory of the searcher.

    `support` holds the values of the finite unknowns and the states of the world that fit all that was reported, or None
    where they are too many.
    """

    reports: Mapping[str, Value]
    memory: MemoryTuple
    support: frozenset[tuple[UnknownTuple, StateTuple]] | None


class Search:
    """The search of one chapter. Raises DslError where the block does not check and NotTotal where it is not total."""

    def __init__(self, declarations: s.Declarations, tree: s.Search) -> None:
        self.tree = tree
        self.switch = switch_of(tree)
        self.chapter = Chapter(elaborate_search(declarations, tree))
        task = self.task = self.chapter.task
        check_settings(tree, task)
        self.families = _read_families(tree, task, [])
        self.prices = _read_prices(tree, task, [])
        self.attempt = cast(Enum, task.actions[0].type)
        (world,) = (i for i in tree.items if isinstance(i, s.SearchWorld))
        declared = {i.name for i in world.items if isinstance(i, s.State | s.Define)} | {"gain"}
        self._tracked = tuple(v for v in task.states if v.name not in declared)
        """What the machine itself keeps: the reports, and the end of the episode."""
        wins: list[s.Define | s.Next] = [
            i for i in task.plan if isinstance(i, s.Define) and i.name not in declared
        ]
        kept = {v.name for v in self._tracked}
        follow = [i for i in task.plan if isinstance(i, s.Next) and i.name in kept]
        self._equations = (*wins, *follow)
        self._drawn = {v.name: v for v in (*task.adversaries, *task.chances)}

    @property
    def horizon(self) -> int | None:
        """After how many steps an episode ends."""
        return self.task.utility.horizon

    def family(self, name: str) -> FamilyDeclaration | None:
        """The family of that name."""
        return next((f for f in self.families if f.name == name), None)

    def is_reproducible(self, tried: str | None) -> bool:
        """Whether an attempt, by a family or (None) by a person, would come out the same again: no command is asked."""
        family = None if tried is None else self.family(tried)
        return family is None or not KINDS[family.kind].outside

    # --- episodes --------------------------------------------------------------------------------

    def start(self, program: Program) -> Situation:
        """The situation at the start of an episode."""
        reports: dict[str, Value] = {}
        for v, start in zip(self.task.states, self.task.starts, strict=True):
            if v in self._tracked:
                reports[v.name] = Evaluator(self.task.names).value(cast(s.Expr, start), {})
        return Situation(reports, program.memory_start, self._starts())

    def decide(self, program: Program, now: Situation) -> tuple[str, MemoryTuple, int]:
        """What a searcher tries next, the memory it keeps, and the ticks that takes."""
        observed = {v.name: now.reports[v.name] for v in self.task.observed}
        decided = program.decide(observed, now.memory)
        return self.attempt.members[cast(int, decided.actions[0])], decided.memory, decided.ticks

    def follow(
        self, now: Situation, step: Step, memory: MemoryTuple
    ) -> tuple[Situation, tuple[str, ...]]:
        """The next situation, and what in the step departs from the declared world."""
        local = self._locals(now, step)
        evaluator = Evaluator(self.task.names)
        for item in self._equations:
            name = item.name + "'" if isinstance(item, s.Next) else item.name
            local[name] = evaluator.value(item.value, local)
        reports = {v.name: local[v.name + "'"] for v in self._tracked}
        for v in self._tracked:
            if not inhabits(v.type, reports[v.name]):
                raise EvaluationFault("G012", f"the report {v.name} leaves its range", self.tree)
        support, departed = self._observe(now, step, reports)
        return Situation(reports, memory, support), departed

    def is_over(self, now: Situation) -> bool:
        """Whether the world says that the episode has ended."""
        done = self.task.done
        return done is not None and bool(Evaluator(self.task.names).value(done, dict(now.reports)))

    def _locals(self, now: Situation, step: Step) -> dict[str, Any]:
        return {
            **now.reports,
            "try": self.attempt.members.index(step.tried),
            "outcome": OUTCOMES.index(step.outcome),
            "gain": step.gain,
            "cost": step.cost,
        }

    def reward(self, now: Situation, step: Step, after: Situation) -> Fraction | None:
        """What a step is worth by the declared reward, ticks left out; None where that reads what is not reported."""
        task, local = self.task, self._locals(now, step)
        local.update((name + "'", value) for name, value in after.reports.items())
        hidden = [v.name for v in task.states if v not in self._tracked]
        others = (*self._drawn.values(), *task.unknowns, *task.rationals, *task.rates)
        unseen = {v.name for v in others} - local.keys()
        unseen |= {n for name in hidden for n in (name, name + "'")}
        evaluator = Evaluator(task.names)
        for item in task.plan:
            if not isinstance(item, s.Define) or item.name in local:
                continue
            if unseen.isdisjoint(names_read(item.value)):
                local[item.name] = evaluator.value(item.value, local)
            else:
                unseen.add(item.name)
        if not unseen.isdisjoint(names_read(task.reward)):
            return None
        return Fraction(cast(Any, evaluator.value(task.reward, local)))

    # --- the declared world ----------------------------------------------------------------------

    def _starts(self) -> frozenset[tuple[UnknownTuple, StateTuple]] | None:
        found: set[tuple[UnknownTuple, StateTuple]] = set()
        if self.task.unknown_count > SUPPORT_MAX:
            return None
        for unknowns in self.task.unknown_values():
            for anywhere in self.task.any_starts(unknowns):
                for state, _ in self.task.start_draws(anywhere, unknowns):
                    found.add((unknowns, state))
                    if len(found) > SUPPORT_MAX:
                        return None
        return frozenset(found)

    def _observe(
        self, now: Situation, step: Step, reports: Mapping[str, Value]
    ) -> tuple[frozenset[tuple[UnknownTuple, StateTuple]] | None, tuple[str, ...]]:
        """The states that may follow, and whether none does, by the declared law."""
        if now.support is None:
            return None, ()
        tried = (self.attempt.members.index(step.tried),)
        real = {"outcome": OUTCOMES.index(step.outcome), "gain": step.gain, "cost": step.cost}
        found: set[tuple[UnknownTuple, StateTuple]] = set()
        for unknowns, state in now.support:
            for reply in self.task.replies(state, tried, unknowns):
                chosen = dict(zip((v.name for v in self.task.adversaries), reply, strict=True))
                if any(chosen.get(n, x) != x for n, x in real.items()):
                    continue
                draws = self.task.draws(state, tried, unknowns, reply, real)
                for _, weight, _, successor in draws:
                    if weight != 0 and self._agrees(successor, reports):
                        found.add((unknowns, successor))
            if len(found) > SUPPORT_MAX:
                return None, ()
        if found:
            return frozenset(found), ()
        # the world is not as declared: what is hidden is taken to stay as it is
        kept = frozenset((u, self._with_reports(x, reports)) for u, x in now.support)
        shown = ", ".join(f"{n} {self._show(n, x)}" for n, x in real.items() if n in self._drawn)
        return kept, (f"{step.tried}: the declared law gives {shown} the probability 0",)

    def _agrees(self, state: StateTuple, reports: Mapping[str, Value]) -> bool:
        pairs = zip(self.task.states, state, strict=True)
        return all(reports.get(v.name, x) == x for v, x in pairs)

    def _with_reports(self, state: StateTuple, reports: Mapping[str, Value]) -> StateTuple:
        pairs = zip(self.task.states, state, strict=True)
        return tuple(reports.get(v.name, x) for v, x in pairs)

    def _show(self, name: str, value: int) -> str:
        return OUTCOMES[value] if name == "outcome" else str(value)

    # --- units -----------------------------------------------------------------------------------

    def gain_units(self, gain: Fraction) -> tuple[int, str | None]:
        """A proved gain in the units of the reports, min(g, floor(gain / gain_unit)), and whether it was cut."""
        return self._cut("gain", (gain / self.prices.gain_unit).__floor__())

    def cost_units(
        self, rlimit: int, family_steps: int, kernel_steps: int
    ) -> tuple[int, str | None]:
        """What an attempt cost in the units of the reports, min(c, ceil(T / cost_unit)), and whether it was cut."""
        ticks = self.ticks(rlimit, family_steps, kernel_steps)
        return self._cut("cost", (ticks / self.prices.cost_unit).__ceil__())

    def ticks(self, rlimit: int, family_steps: int, kernel_steps: int) -> Fraction:
        """T: the price of what was used."""
        p = self.prices
        return p.rlimit * rlimit + p.family_step * family_steps + p.check_step * kernel_steps

    def _cut(self, name: str, units: int) -> tuple[int, str | None]:
        """The units as far as the declared range goes; 0 where no such value is declared."""
        found = [
            v for n, v in self._drawn.items() if n == name or n.rstrip("_") == f"{name}_offered"
        ]
        top = found[0].type.high if found and isinstance(found[0].type, Int) else None
        if top is None:
            return 0, None
        return (top, f"{name} {units} is beyond {top}") if units > top else (units, None)


# --- reading the block ---------------------------------------------------------------------------


def check_settings(tree: s.Search, task: Task) -> None:
    """Raise DslError with everything that is wrong with the families and prices of a search."""
    faults: list[Diagnostic] = []
    _read_families(tree, task, faults)
    _read_prices(tree, task, faults)
    if faults:
        raise DslError(tuple(faults))


def _read_families(
    tree: s.Search, task: Task, faults: list[Diagnostic]
) -> tuple[FamilyDeclaration, ...]:
    """The families with their settings worked out."""
    return tuple(_read_family(family, task, faults) for family in families_of(tree))


def _read_family(family: s.Family, task: Task, faults: list[Diagnostic]) -> FamilyDeclaration:
    kind = KINDS.get(family.kind)
    if kind is None:
        message = f"there is no kind of family {family.kind}"
        where = span_of_name(family.span, 1)
        faults.append(Diagnostic("G070", message, where, help=f"kinds are {', '.join(KINDS)}"))
        return FamilyDeclaration(family.name, family.kind, target_of(family), None, ())
    ranges = {**kind.options, "rlimit": Count(high=2**53)}
    settings: dict[str, Setting] = {}
    met: set[str] = set()
    for option in family.options:
        where = span_of_name(option.span)
        if option.key in met:
            faults.append(Diagnostic("G004", f"{option.key} is given twice", where))
        met.add(option.key)
        if option.key == "target":
            if not isinstance(option.value, s.Target):
                message = "the target is `agent` or `searcher`"
                faults.append(Diagnostic("G070", message, option.value.span))
            continue
        if option.key not in ranges:
            message = f"a family of kind {family.kind} has no setting {option.key}"
            hint = f"it has {', '.join(['target', *ranges])}"
            faults.append(Diagnostic("G070", message, where, help=hint))
        else:
            value = _constant(option.value, task, faults)
            if value is not None and not ranges[option.key].fits(value):
                message = f"{option.key} is {ranges[option.key].wanted}, found {value}"
                faults.append(Diagnostic("G070", message, option.value.span))
            elif value is not None:
                settings[option.key] = value
    for key in kind.needed:
        if key not in {o.key for o in family.options}:
            message = f"a family of kind {family.kind} needs the setting {key}"
            faults.append(
                Diagnostic("G070", message, span_of_name(family.span), help=f"add {key}: …")
            )
    rlimit = settings.pop("rlimit", None)
    return FamilyDeclaration(
        family.name,
        family.kind,
        target_of(family),
        rlimit if isinstance(rlimit, int) else None,
        tuple(sorted(settings.items())),
    )


def _constant(
    value: s.Expr | s.Text | s.Target, task: Task, faults: list[Diagnostic]
) -> Setting | None:
    """A setting's value: text, a word that is no constant, or what a constant expression comes to."""
    if isinstance(value, s.Text | s.Target):
        return value.value if isinstance(value, s.Text) else value.word
    if isinstance(value, s.Name) and value.name not in task.names.values:
        return value.name
    try:
        _, tree = check_expression(task.names, value, {})
        number, _ = evaluate(tree, task.names)
    except DslError as error:
        faults.extend(error.diagnostics)
        return None
    except EvaluationFault as fault:
        faults.append(Diagnostic(fault.code, str(fault), fault.node.span))
        return None
    if isinstance(number, Fraction) and number.denominator == 1:
        return int(number)
    if isinstance(number, bool) or not isinstance(number, int | Fraction):
        faults.append(Diagnostic("G070", "a setting is a number, a word or text", value.span))
        return None
    return number


def _read_prices(tree: s.Search, task: Task, faults: list[Diagnostic]) -> Prices:
    """The prices worked out: units are positive, prices not negative."""
    found = dict(PRICES)
    for prices in (i for i in tree.items if isinstance(i, s.Prices)):
        for price in prices.entries:
            value = _constant(price.value, task, faults)
            if value is None:
                continue
            number = Fraction(value) if isinstance(value, int | Fraction) else None
            positive = price.name in ("gain_unit", "cost_unit")
            if number is None or number < 0 or (positive and number == 0):
                words = "above 0" if positive else "at least 0"
                message = f"{price.name} is a number {words}, found {value}"
                faults.append(Diagnostic("G067", message, price.value.span))
            else:
                found[price.name] = number
    return Prices(**found)
