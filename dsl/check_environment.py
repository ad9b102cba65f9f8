"""Check an environment: its variables, the order in which a step evaluates them, its starts."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, TypeVar

from dsl import syntax as s
from dsl.codec import digest_node
from dsl.infer import UNKNOWN, Faults
from dsl.interp import EvaluationFault
from dsl.machine import Task, UtilityValues
from dsl.scope import ScopeBuilder, names_read, order, show_work
from dsl.types import Bool, Rat, Type, Variable, cardinality
from dsl.work import WORK_MAX

STATE_BITS_MAX = 4_096
VARIABLES_MAX = 200
STARTS_MAX = 100_000
DRAWS_MAX = 100_000

_N = TypeVar("_N", bound=s.Node)


def hide_all(builder: ScopeBuilder, environment: s.Environment, why: str) -> None:
    """Say of every name of an environment why it may not be read."""
    for item in environment.items:
        if isinstance(item, s.Next):
            builder.scope.hidden[item.name + "'"] = why
        elif not isinstance(item, s.Observe | s.Reward | s.Done):
            builder.scope.hidden[item.name] = why


class EnvironmentChecker:
    """Checks an environment item by item and collects its faults; `task` is what comes of it."""

    def __init__(self, top: ScopeBuilder, environment: s.Environment) -> None:
        self.top, self.environment = top, environment
        self.faults = top.faults
        self.inner = ScopeBuilder.extending(top)
        self.draws: list[s.Chance] = []
        hide_all(self.inner, environment, "definitions read constants and their own parameters")
        self.inner.declare_items(
            [i for i in environment.items if isinstance(i, (s.Const, s.Table, s.Def))]
        )
        self.inner.scope.hidden.clear()

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

    def task(self, declarations: s.Declarations, utility: UtilityValues | None) -> Task | None:
        """The task, or None with faults reported."""
        inner = self.inner
        constants = inner.names()
        states = self._variables(self.of(s.State), "a state variable")
        starts = self._starts(states)
        done = self.one(s.Done, "done", needed=False)
        scope = inner.scope
        self._add(states)
        if done is not None:
            later = [
                i for i in self.environment.items if isinstance(i, s.Action | s.Chance | s.Define)
            ]
            for item in later:
                scope.hidden[item.name] = "done reads the state alone"
            for name in [v.name for v in states]:
                scope.hidden[name + "'"] = "done reads the state alone"
            inner.expect(done.value, Bool(), {}, "done")
            scope.hidden.clear()
        actions = self._variables(self.of(s.Action), "an action")
        self._add(actions)
        chances = self._chances()
        self._add(chances)
        for v in states:
            scope.types[v.name + "'"] = v.type
        plan = self._plan(states)
        reward = self.one(s.Reward, "reward", needed=True)
        if reward is not None:
            inner.expect(reward.value, Rat(), {}, "reward")
        observed = self._observed(states)
        if not self.of(s.State):
            self.missing("state", "state x: T = …")
        if not self.of(s.Action):
            self.missing("action", "action a: T")
        self._limits(states)
        if self.faults.found or reward is None or utility is None:
            return None
        self._work(starts, plan, reward, done)
        if self.faults.found:
            return None
        return Task(
            declarations=declarations,
            digest=digest_node(declarations),
            names=constants,
            shared=self.top.names(),
            states=states,
            starts=starts,
            observed=observed,
            actions=actions,
            chances=chances,
            plan=plan,
            reward=reward.value,
            done=None if done is None else done.value,
            utility=utility,
        )

    def _variables(self, items: list[Any], what: str) -> tuple[Variable, ...]:
        found: list[Variable] = []
        hide_all(self.inner, self.environment, "the ends of a range are constant")
        for item in items:
            kind = self.inner.resolve_finite(item.type, what)
            if self.inner.take(item.name, item, what):
                found.append(Variable(item.name, UNKNOWN if kind is None else kind))
        self.inner.scope.hidden.clear()
        return tuple(found)

    def _add(self, variables: tuple[Variable, ...]) -> None:
        for v in variables:
            self.inner.scope.types[v.name] = v.type

    def _starts(self, states: tuple[Variable, ...]) -> tuple[s.Expr | s.Dist, ...]:
        starts: list[s.Expr | s.Dist] = []
        above: dict[str, Type] = {}
        kinds = {v.name: v.type for v in states}
        hidden = self.inner.scope.hidden
        environment = self.environment
        hide_all(
            self.inner, environment, "a start reads constants and the state variables above it"
        )
        for item in self.of(s.State):
            kind = kinds.get(item.name)
            if kind is None or item.name in above:
                continue
            if kind is not UNKNOWN:
                if isinstance(item.start, s.DIST_NODES):
                    self.inner.infer_dist(item.start, kind, above)
                else:
                    self.inner.expect(item.start, kind, above, f"the start of {item.name}")
            starts.append(item.start)
            above[item.name] = kind
        hidden.clear()
        return tuple(starts)

    def _chances(self) -> tuple[Variable, ...]:
        found: list[Variable] = []
        for item in self.of(s.Chance):
            kind = self.inner.resolve(item.type)
            if self.inner.take(item.name, item, "a chance variable"):
                found.append(Variable(item.name, UNKNOWN if kind is None else kind))
                self.draws.append(item)
        return tuple(found)

    def _plan(self, states: tuple[Variable, ...]) -> tuple[s.Define | s.Chance | s.Next, ...]:
        """Lets, draws and next values in an order in which each reads only what stands before it."""
        inner, kinds = self.inner, {v.name: v.type for v in states}
        items: dict[str, s.Define | s.Chance | s.Next] = {}
        for let in self.of(s.Define):
            if inner.take(let.name, let, "a let"):
                items[let.name] = let
        for nxt in self.of(s.Next):
            if nxt.name not in kinds:
                inner.unknown(nxt.name, nxt, kinds, "state variable", index=0)
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
        ordered = order(reads, lambda n, path: self._circle(items[n], path))
        for key in ordered:
            self._check_item(items[key], kinds)
        return tuple(items[key] for key in _draws_late(ordered, items, reads))

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

    def _circle(self, item: s.Node, path: list[str]) -> None:
        self.faults.add("G020", f"a circle of definitions: {' -> '.join(path)}", item, name=0)
        self.inner.scope.faulty.update(path)

    def _check_item(self, item: s.Define | s.Chance | s.Next, kinds: dict[str, Type]) -> None:
        inner = self.inner
        match item:
            case s.Define(name, value):
                kind = inner.infer(value)
                inner.scope.types[name] = UNKNOWN if kind is None else kind
            case s.Next(name, value):
                if kinds[name] is not UNKNOWN:
                    inner.expect(value, kinds[name], {}, f"{name}'")
            case s.Chance(name, _, dist):
                kind = inner.scope.types.get(name)
                if kind is not None and kind is not UNKNOWN:
                    inner.infer_dist(dist, kind, {})

    def _observed(self, states: tuple[Variable, ...]) -> tuple[Variable, ...]:
        listed = self.of(s.Observe)
        if not listed:
            return states
        for extra in listed[1:]:
            self.faults.add("G004", "observe is given twice", extra, name=len(extra.names))
        names = listed[0].names
        known = {v.name: v for v in states}
        for i, name in enumerate(names):
            if name not in known:
                self.inner.unknown(name, listed[0], known, "state variable", index=i)
            elif name in names[:i]:
                self.faults.add("G007", f"{name} is observed twice", listed[0], name=i)
        return tuple(known[n] for n in dict.fromkeys(names) if n in known)

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

    def _limits(self, states: tuple[Variable, ...]) -> None:
        for items, what in ((self.of(s.State), "state"), (self.draws, "chance")):
            if len(items) > VARIABLES_MAX:
                message = f"more than {VARIABLES_MAX} {what} variables"
                self.faults.add("G003", message, items[VARIABLES_MAX], name=0)
        joint = 1
        for draw in self.draws:
            joint = min(joint * self._entries(draw.dist), DRAWS_MAX + 1)
        if joint > DRAWS_MAX:
            message = f"a step may draw more than {DRAWS_MAX:,} joint values"
            self.faults.add("G003", message, self.draws[-1], name=0)
        total = 1
        for v in states:
            count = cardinality(v.type)
            if v.type is UNKNOWN or count is None:
                return
            total *= min(count, 1 << (STATE_BITS_MAX + 1))
        if total.bit_length() - 1 > STATE_BITS_MAX:
            message = f"more than {STATE_BITS_MAX:,} bits of state"
            self.faults.add("G003", message, self.environment, name=0)

    def _work(
        self,
        starts: tuple[s.Expr | s.Dist, ...],
        plan: tuple[s.Define | s.Chance | s.Next, ...],
        reward: s.Reward,
        done: s.Done | None,
    ) -> None:
        for start in starts:
            self.inner.bounded_work(start, {}, "this start")
        parts: list[s.Expr | s.Dist] = [
            item.dist if isinstance(item, s.Chance) else item.value for item in plan
        ]
        parts.append(reward.value)
        if done is not None:
            parts.append(done.value)
        total = sum(self.inner.bounded_work(part, {}, "this expression") for part in parts)
        if total > WORK_MAX and not self.faults.found:
            message = f"a step may take {show_work(total)}"
            self.faults.add("G018", message, self.environment, name=0)


def _draws_late(
    ordered: list[str],
    items: dict[str, s.Define | s.Chance | s.Next],
    reads: dict[str, set[str]],
) -> list[str]:
    """The same order with everything that needs no later draw moved before it, so that it is evaluated once."""
    draws = [n for n in ordered if isinstance(items[n], s.Chance)]
    level: dict[str, int] = {}
    for name in ordered:
        below = [level[n] for n in reads[name] if n in level]
        own = draws.index(name) + 1 if name in draws else 0
        level[name] = max([own, *below])
    return sorted(ordered, key=lambda n: (level[n], n not in draws))


def check_starts(task: Task, faults: Faults) -> None:
    """Work out the starts once, and report where one has no value or there are too many."""
    count = 1
    for start, variable in zip(task.starts, task.states, strict=True):
        if isinstance(start, s.DIST_NODES):
            count *= cardinality(variable.type) or 1
    try:
        if count <= STARTS_MAX:
            task.start_states()
        else:
            for i, _ in enumerate(task._draw_starts(0, {}, Fraction(1))):
                if i > STARTS_MAX:
                    message = f"more than {STARTS_MAX:,} possible starts"
                    faults.add("G003", message, task.declarations.environment, name=0)
                    return
    except EvaluationFault as fault:
        faults.add(fault.code, fault.message, fault.node, note=fault.met)
