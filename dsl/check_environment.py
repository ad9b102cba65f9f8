"""Check an environment: its variables, what each place may read, the order in which a step evaluates its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

from dsl import syntax as s
from dsl.check_assumptions import check_assumptions
from dsl.check_requirements import check_requirements
from dsl.check_unknowns import (
    NEXT,
    VARIES,
    Discipline,
    Reads,
    count_terms,
    reporter,
)
from dsl.codec import digest_node
from dsl.elaborate import elaborate
from dsl.errors import DslError
from dsl.infer import UNKNOWN
from dsl.machine import Task, UtilityValues
from dsl.polynomial import TERMS_MAX
from dsl.scope import ScopeBuilder, names_read, order, show_work
from dsl.types import Array, Bool, Int, Rat, Type, Variable, cardinality, show_type
from dsl.work import WORK_MAX

STATE_BITS_MAX = 4_096
VARIABLES_MAX = 200
_LIMITED: Mapping[type[Any], str] = {
    s.State: "state variables",
    s.Unknown: "unknowns",
    s.Assume: "assumptions",
    s.Adversary: "adversaries",
    s.Chance: "chance variables",
}
"""What an environment has at most VARIABLES_MAX of."""

DRAWS_MAX = 100_000

_N = TypeVar("_N", bound=s.Node)
PlanItem: TypeAlias = s.Define | s.Chance | s.Next

_START = "a start reads constants and the state variables above it"
_ANYWHERE = "where any start may be is said with `any` variables, finite unknowns and constants"
_DONE = "done reads the state alone"
_REPLY = "what an adversary may choose depends on state, actions, adversaries and finite unknowns"
_ASSUME = "an assumption reads rational unknowns and constants"
_RATIONAL = "a rational unknown stands in weights and rewards alone"
_RATE = "a rate stands in the weights and rewards of its step alone"


def hide_all(
    builder: ScopeBuilder,
    environment: s.Environment,
    why: str,
    *,
    reasons: Mapping[str, str] | None = None,
) -> None:
    """Say of every name of an environment why it may not be read; `reasons` says it of single names."""
    said = reasons or {}
    for item in environment.items:
        if isinstance(item, s.Next):
            builder.scope.hidden[item.name + "'"] = why
        elif not isinstance(item, s.Observe | s.Assume | s.Reward | s.Done):
            builder.scope.hidden[item.name] = said.get(item.name, why)


@dataclass(frozen=True, slots=True)
class Part:
    """A tree of the environment with the scope it is read in, and the type it is to have."""

    tree: Any
    place: ScopeBuilder
    wanted: Type | None
    local: Mapping[str, Type]

    def elaborated(self) -> Any:
        """The tree with its operations on bits made explicit."""
        return elaborate(self.place, self.tree, self.wanted, self.local)


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables of an environment by kind, each kind in file order."""

    states: tuple[Variable, ...]
    unknowns: tuple[Variable, ...]
    rationals: tuple[Variable, ...]
    actions: tuple[Variable, ...]
    adversaries: tuple[Variable, ...]
    rates: tuple[Variable, ...]
    chances: tuple[Variable, ...]

    @property
    def open(self) -> dict[str, str]:
        """What the names are that stand for open numbers."""
        found = {v.name: "a rational unknown" for v in self.rationals}
        found.update((v.name, "a rate") for v in self.rates)
        return found

    @property
    def next_values(self) -> tuple[Variable, ...]:
        """The next values of the states, by their primed names."""
        return tuple(Variable(v.name + "'", v.type) for v in self.states)


class EnvironmentChecker:
    """Checks an environment item by item and collects its faults; `task` is what comes of it."""

    def __init__(self, top: ScopeBuilder, environment: s.Environment) -> None:
        self.top, self.environment = top, environment
        self.faults = top.faults
        self._require_few()
        self.inner = ScopeBuilder.extending(top)
        hide_all(self.inner, environment, "definitions read constants and their own parameters")
        self.inner.declare_items(
            [i for i in environment.items if isinstance(i, (s.Const, s.Table, s.Def))]
        )
        self.inner.scope.hidden.clear()
        self.draws: list[s.Chance] = []
        self.variables = self._declare()

    def of(self, kind: type[_N]) -> list[_N]:
        """The items of one kind, in file order."""
        return [i for i in self.environment.items if isinstance(i, kind)]

    def one(self, kind: type[_N], word: str, *, needed: bool) -> _N | None:
        """The only item of a kind; reports where there are more, or none where one is needed."""
        found = self.of(kind)
        for extra in found[1:]:
            self.faults.add("G004", f"{word} is given twice", extra, name=0)
        if needed and not found:
            self.missing(word, f"{word} = …")
        return found[0] if found else None

    def missing(self, word: str, example: str) -> None:
        """Report a part that every environment has."""
        message = f"the environment has no {word}"
        self.faults.add("G004", message, self.environment, name=0, help=f"add `{example}`")

    def place(
        self, readable: Iterable[Variable], why: str, *, reasons: Mapping[str, str] | None = None
    ) -> ScopeBuilder:
        """The scope of a place that reads some variables; `why` says why it reads no others."""
        found = ScopeBuilder.extending(self.inner)
        named = self.variables
        said = dict.fromkeys((v.name for v in named.rationals), _RATIONAL)
        said.update(dict.fromkeys((v.name for v in named.rates), _RATE))
        hide_all(found, self.environment, why, reasons={**said, **(reasons or {})})
        for item in self.environment.items:
            if isinstance(item, s.Const | s.Table | s.Def):
                found.scope.hidden.pop(item.name, None)
        for v in named.states:
            found.scope.hidden.setdefault(v.name + "'", why)
        for v in readable:
            found.scope.types[v.name] = v.type
            found.scope.hidden.pop(v.name, None)
        return found

    def task(self, declarations: s.Declarations, utility: UtilityValues | None) -> Task | None:
        """The task, or None with faults reported."""
        named = self.variables
        starts, conditions = self._starts()
        done = self._done()
        replies = self._replies()
        step = self._step_place()
        plan = self._plan(step)
        reward = self.one(s.Reward, "reward", needed=True)
        if reward is not None:
            step.expect(reward.value, Rat(), {}, "reward")
        observed = self._observed()
        assuming = self.place(named.rationals, _ASSUME)
        assumptions = check_assumptions(
            assuming, self.of(s.Assume)[:VARIABLES_MAX], named.rationals, self.discipline()
        )
        requirements = check_requirements(declarations.requirements, self.place, named)
        if not self.of(s.State):
            self.missing("state", "state x: T = …")
        if not self.of(s.Action):
            self.missing("action", "action a: T")
        self._limits()
        if self.faults.found or reward is None or utility is None:
            return None
        last = Part(reward.value, step, Rat(), {})
        self._work([*starts, *conditions], [*(part for _, part in plan), last, *done, *replies])
        if not self.faults.found:
            self._follow_open_numbers(starts, plan, reward)
        if self.faults.found:
            return None
        return Task(
            declarations=declarations,
            digest=digest_node(declarations),
            names=self.inner.names(),
            shared=self.top.names(),
            states=named.states,
            starts=tuple(part.elaborated() for part in starts),
            observed=observed,
            actions=named.actions,
            chances=named.chances,
            plan=tuple(_with_tree(item, part.elaborated()) for item, part in plan),
            reward=last.elaborated(),
            done=done[0].elaborated() if done else None,
            utility=utility,
            unknowns=named.unknowns,
            rationals=named.rationals,
            assumptions=assumptions,
            adversaries=named.adversaries,
            rates=named.rates,
            adversary_conditions=tuple(part.elaborated() for part in replies),
            start_conditions=tuple(part.elaborated() for part in conditions),
            requirements=tuple(r.elaborated() for r in requirements),
        )

    # --- variables -------------------------------------------------------------------------------

    def _declare(self) -> Variables:
        hide_all(self.inner, self.environment, "the ends of a range are constant")
        states = self._take(self.of(s.State), "a state variable", self._state_type)
        unknowns = self._take(self.of(s.Unknown), "an unknown", self._open_type)
        actions = self._take(self.of(s.Action), "an action", self.inner.resolve_finite)
        adversaries = self._take(self.of(s.Adversary), "an adversary", self._open_type)
        rates = tuple(v for v in adversaries if isinstance(v.type, Rat))
        for item in self.of(s.Adversary):
            if item.where is not None and item.name in {v.name for v in rates}:
                message = f"{item.name} is a rate, which no condition can tie"
                hint = "give its range more narrowly"
                self.faults.add("G059", message, item.where, help=hint)
        self.inner.scope.hidden.clear()
        chances: list[Variable] = []
        for draw in self.of(s.Chance):
            kind = self.inner.resolve(draw.type)
            if self.inner.take(draw.name, draw, "a chance variable"):
                chances.append(Variable(draw.name, UNKNOWN if kind is None else kind))
                self.draws.append(draw)
        return Variables(
            states,
            tuple(v for v in unknowns if not isinstance(v.type, Rat)),
            tuple(v for v in unknowns if isinstance(v.type, Rat)),
            actions,
            tuple(v for v in adversaries if v not in rates),
            rates,
            tuple(chances),
        )

    def _take(self, items: Any, what: str, resolve: Any) -> tuple[Variable, ...]:
        found: list[Variable] = []
        for item in items:
            kind = resolve(item.type, what)
            if self.inner.take(item.name, item, what):
                found.append(Variable(item.name, UNKNOWN if kind is None else kind))
        return tuple(found)

    def _state_type(self, kind: s.TypeExpr, what: str) -> Type | None:
        """A type with finitely many values, or of rationals in a range."""
        found = self.inner.resolve(kind)
        if found is None or _is_bounded(found):
            return found
        return self.inner.resolve_finite(kind, what)

    def _open_type(self, kind: s.TypeExpr, what: str) -> Type | None:
        """A type with finitely many values, or a range of rationals."""
        found = self.inner.resolve(kind)
        if found is None or cardinality(found) is not None:
            return found
        if isinstance(found, Rat) and found.low is not None:
            return found
        message = f"{what} needs finitely many values, or one range of rationals, found {show_type(found)}"
        hint = None
        if isinstance(found, Int | Rat):
            hint = f"give the range: {show_type(found)} low..high"
        self.faults.add("G058", message, kind, help=hint)
        return None

    # --- places ----------------------------------------------------------------------------------

    def _starts(self) -> tuple[list[Part], list[Part]]:
        """The starts of the state variables, and the conditions on those that start anywhere."""
        named = self.variables
        late = dict.fromkeys(
            (v.name for v in named.rates), "a rate is chosen at every step, not before the first"
        )
        valued = self.place(named.unknowns, _START, reasons=late)
        weighted = self.place((*named.unknowns, *named.rationals), _START, reasons=late)
        kinds = {v.name for v in named.states}
        items = {i.name: i for i in reversed(self.of(s.State)) if i.name in kinds}
        anywhere = [v for v in named.states if isinstance(items[v.name].start, s.AnyStart)]
        choosing = self.place((*anywhere, *named.unknowns), _ANYWHERE)
        starts: list[Part] = []
        conditions: list[Part] = []
        above: dict[str, Type] = {}
        for v in named.states:
            item = items[v.name]
            kind, start = v.type, item.start
            local = dict(above)
            above[item.name] = kind
            if isinstance(start, s.AnyStart):
                starts.append(Part(start, choosing, None, {}))
                if start.where is not None:
                    choosing.expect(start.where, Bool(), {}, "a condition")
                    conditions.append(Part(start.where, choosing, Bool(), {}))
            elif isinstance(start, s.DIST_NODES):
                if kind is not UNKNOWN:
                    weighted.infer_dist(start, kind, local)
                starts.append(Part(start, weighted, kind, local))
            else:
                valued.expect(start, kind, local, f"the start of {item.name}")
                starts.append(Part(start, valued, kind, local))
        return starts, conditions

    def _done(self) -> list[Part]:
        """The condition that ends an episode, if there is one."""
        named = self.variables
        done = self.one(s.Done, "done", needed=False)
        if done is None:
            return []
        place = self.place((*named.states, *named.unknowns), _DONE)
        place.expect(done.value, Bool(), {}, "done")
        return [Part(done.value, place, Bool(), {})]

    def _replies(self) -> list[Part]:
        """The conditions on what the adversary chooses."""
        named = self.variables
        place = self.place(
            (*named.states, *named.actions, *named.adversaries, *named.unknowns), _REPLY
        )
        parts: list[Part] = []
        rates = {v.name for v in named.rates}
        for item in self.of(s.Adversary):
            if item.where is not None and item.name not in rates:
                place.expect(item.where, Bool(), {}, "a condition")
                parts.append(Part(item.where, place, Bool(), {}))
        return parts

    def _step_place(self) -> ScopeBuilder:
        """The scope of draws, lets, next values and the reward: they read everything of the step."""
        named = self.variables
        place = ScopeBuilder.extending(self.inner)
        everything = (
            *(*named.states, *named.unknowns, *named.rationals, *named.actions),
            *(*named.adversaries, *named.rates, *named.chances, *named.next_values),
        )
        for v in everything:
            place.scope.types[v.name] = v.type
        return place

    # --- the plan of a step ----------------------------------------------------------------------

    def _plan(self, step: ScopeBuilder) -> list[tuple[PlanItem, Part]]:
        """Lets, draws and next values in an order in which each reads only what stands before it."""
        kinds = {v.name: v.type for v in self.variables.states}
        items: dict[str, PlanItem] = {}
        for let in self.of(s.Define):
            if step.take(let.name, let, "a let"):
                items[let.name] = let
                self.inner.scope.words[let.name] = "a let"
        for nxt in self.of(s.Next):
            if nxt.name not in kinds:
                self._refuse_next(nxt, step, kinds)
            elif nxt.name + "'" in items:
                self.faults.add("G004", f"{nxt.name}' is given twice", nxt, name=0)
            else:
                items[nxt.name + "'"] = nxt
        for name in kinds:
            items.setdefault(name + "'", s.Next(name, s.Name(name)))
        draws = self.draws
        known = items.keys() | {draw.name for draw in draws}
        reads = {
            key: names_read(item.dist if isinstance(item, s.Chance) else item.value) & known
            for key, item in items.items()
        }
        for draw, above in zip(draws, [None, *draws], strict=False):
            items.setdefault(draw.name, draw)
            reads[draw.name] = names_read(draw.dist) & known
            if above is not None:
                reads[draw.name].add(above.name)
        self._draws_read_no_next(draws, reads)

        def on_circle(name: str, path: list[str]) -> None:
            message = f"a circle of definitions: {' -> '.join(path)}"
            self.faults.add("G020", message, items[name], name=0)
            step.scope.faulty.update(path)

        ordered = order(reads, on_circle)
        parts = {key: self._check_item(step, items[key], kinds) for key in ordered}
        return [(items[key], parts[key]) for key in _draws_late(ordered, items, reads)]

    def _refuse_next(self, nxt: s.Next, step: ScopeBuilder, kinds: Mapping[str, Type]) -> None:
        what = step.scope.words.get(nxt.name)
        if what is None:
            self.inner.unknown(nxt.name, nxt, kinds, "state variable", index=0)
        else:
            message = f"{nxt.name} is {what}; only state variables have a next value"
            self.faults.add("G006", message, nxt, name=0)

    def _draws_read_no_next(self, draws: list[s.Chance], reads: dict[str, set[str]]) -> None:
        for draw in draws:
            seen, pending = set[str](), list(reads[draw.name])
            while pending:
                name = pending.pop()
                if name in seen or name not in reads:
                    continue
                seen.add(name)
                pending.extend(reads[name])
            primed = sorted(n for n in seen if n.endswith("'"))
            if primed:
                direct = [n for n in s.walk(draw.dist) if isinstance(n, s.Primed)]
                name = direct[0].name + "'" if direct else primed[0]
                why = "chance is drawn before the next state is known"
                message = f"{name} cannot be read here: {why}"
                self.faults.add("G011", message, direct[0] if direct else draw, name=0)

    def _check_item(self, step: ScopeBuilder, item: PlanItem, kinds: Mapping[str, Type]) -> Part:
        match item:
            case s.Define(name, value):
                kind = step.infer(value)
                step.scope.types[name] = UNKNOWN if kind is None else kind
                return Part(value, step, None, {})
            case s.Next(name, value):
                step.expect(value, kinds[name], {}, f"{name}'")
                return Part(value, step, kinds[name], {})
            case s.Chance(name, _, dist):
                wanted = step.scope.types.get(name)
                if wanted is not None and wanted is not UNKNOWN:
                    step.infer_dist(dist, wanted, {})
                return Part(dist, step, wanted, {})

    def _observed(self) -> tuple[Variable, ...]:
        states = self.variables.states
        listed = self.of(s.Observe)
        if not listed:
            return states
        for extra in listed[1:]:
            self.faults.add("G004", "observe is given twice", extra, name=len(extra.names))
        names = listed[0].names
        known = {v.name: v for v in states}
        for i, name in enumerate(names):
            if name in names[:i]:
                self.faults.add("G007", f"{name} is observed twice", listed[0], name=i)
            elif name not in known and name in self.inner.scope.words:
                message = (
                    f"{name} is {self.inner.scope.words[name]}; only state variables are observed"
                )
                self.faults.add("G060", message, listed[0], name=i)
            elif name not in known:
                self.inner.unknown(name, listed[0], known, "state variable", index=i)
        return tuple(known[n] for n in dict.fromkeys(names) if n in known)

    # --- limits ----------------------------------------------------------------------------------

    def _entries(self, dist: s.Dist) -> int:
        """How many entries the longest map of a distribution has."""
        match dist:
            case s.DistMap(entries):
                return len(entries)
            case s.DistFor(_, low, high, _):
                return self.inner.constant_range(low, high, dist) or 1
            case s.DistLet(_, _, body):
                return self._entries(body)
            case s.DistIf(_, then, otherwise):
                return max(self._entries(then), self._entries(otherwise))
            case s.DistMatch(_, arms, otherwise):
                bodies = [arm.body for arm in arms] + ([otherwise] if otherwise else [])
                return max((self._entries(body) for body in bodies), default=1)

    def _require_few(self) -> None:
        """Raise DslError where there are so many variables that nothing else need be said."""
        counts = [len(self.of(kind)) for kind in _LIMITED]
        if max(counts) > 2 * VARIABLES_MAX:
            self._count_variables()
            raise DslError(tuple(self.faults.found))

    def _count_variables(self) -> None:
        for kind, what in _LIMITED.items():
            items = self.of(kind)
            if len(items) > VARIABLES_MAX:
                message = f"more than {VARIABLES_MAX} {what}"
                self.faults.add("G003", message, items[VARIABLES_MAX], name=0)

    def _limits(self) -> None:
        self._count_variables()
        joint = 1
        for draw in self.draws:
            joint = min(joint * self._entries(draw.dist), DRAWS_MAX + 1)
        if joint > DRAWS_MAX:
            message = f"a step may draw more than {DRAWS_MAX:,} joint values"
            self.faults.add("G003", message, self.draws[-1], name=0)
        bits = count_bits(self.variables.states)
        if bits > STATE_BITS_MAX:
            message = f"more than {STATE_BITS_MAX:,} bits of state"
            self.faults.add("G003", message, self.environment, name=0)

    def _work(self, once: list[Part], step: list[Part]) -> None:
        for part in once:
            if isinstance(part.tree, s.AnyStart):
                continue
            part.place.bounded_work(part.elaborated(), part.local, "this start")
        total = sum(p.place.bounded_work(p.elaborated(), p.local, "this expression") for p in step)
        if total > WORK_MAX and not self.faults.found:
            message = f"a step may take {show_work(total)}"
            self.faults.add("G018", message, self.environment, name=0)

    # --- open numbers ----------------------------------------------------------------------------

    def discipline(self) -> Discipline:
        """What follows the rational unknowns and rates of this environment through expressions."""
        return Discipline(self.inner.functions, reporter(self.faults, self.variables.open))

    def _follow_open_numbers(
        self, starts: list[Part], plan: list[tuple[PlanItem, Part]], reward: s.Reward
    ) -> None:
        named = self.variables
        if not named.open:
            return
        discipline = self.discipline()
        env = {name: Reads(False, {name: 1}) for name in named.open}
        varying = (
            *named.states,
            *named.unknowns,
            *named.actions,
            *named.adversaries,
            *named.chances,
        )
        env.update((v.name, VARIES) for v in varying)
        weights = [
            discipline.dist(part.tree, env).degrees
            for part in starts
            if isinstance(part.tree, s.DIST_NODES)
        ]
        self._count(weights, "the starts")
        weights = []
        for item, _ in plan:
            match item:
                case s.Define(name, value):
                    env[name] = discipline.reads(value, env)
                case s.Next(_, value):
                    discipline.closed(value, env, NEXT)
                case s.Chance(_, _, dist):
                    weights.append(discipline.dist(dist, env).degrees)
        weights.append(discipline.reads(reward.value, env).degrees)
        self._count(weights, "a step")

    def _count(self, weights: list[Mapping[str, int]], what: str) -> None:
        if count_terms(weights) > TERMS_MAX:
            message = f"the weights and rewards of {what} may have more than {TERMS_MAX:,} terms"
            self.faults.add("G061", message, self.environment, name=0)


def _with_tree(item: PlanItem, tree: Any) -> PlanItem:
    """The item over another tree."""
    if isinstance(item, s.Chance):
        return item if tree is item.dist else replace(item, dist=tree)
    return item if tree is item.value else replace(item, value=tree)


def _is_bounded(kind: Type) -> bool:
    """Whether every scalar of a type lies in a range, rationals included."""
    match kind:
        case Array(_, _, item):
            return _is_bounded(item)
        case Rat(low, _):
            return low is not None
        case _:
            return cardinality(kind) is not None


def count_bits(variables: tuple[Variable, ...]) -> int:
    """How many bits the values of some variables take at most, rationals left aside."""
    total = 1
    for v in variables:
        count = None if v.type is UNKNOWN else cardinality(v.type)
        if count is not None:
            total *= min(count, 1 << (STATE_BITS_MAX + 1))
    return total.bit_length() - 1


def _draws_late(
    ordered: list[str], items: dict[str, PlanItem], reads: dict[str, set[str]]
) -> list[str]:
    """The same order with everything that needs no later draw moved before it, so that it is evaluated once."""
    draws = [n for n in ordered if isinstance(items[n], s.Chance)]
    level: dict[str, int] = {}
    for name in ordered:
        below = [level[n] for n in reads[name] if n in level]
        own = draws.index(name) + 1 if name in draws else 0
        level[name] = max([own, *below])
    return sorted(ordered, key=lambda n: (level[n], n not in draws))
