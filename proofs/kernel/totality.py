"""Prove that every expression of a machine has a value, by intervals, else by trying every point.

What is demanded: divisors are not 0, indices and conversions are in range, ranged variables, parameters and results stay
in range, matches are exhaustive, chance weights are at least 0 and sum to 1, numbers stay within 4,096 bits; each under the
tests that guard it, for all values of the declared types (docs/language.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

from dsl import syntax as s
from dsl.interp import EvaluationFault, Evaluator, Function, Globals, require_range
from dsl.machine import Program, Task
from dsl.scope import names_read
from dsl.types import Int, Type, Value, Variable, cardinality, values
from proofs.kernel.intervals import Abstract, Intervals, Names, NotProved, Range, hull, span_of

POINTS_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Broken:
    """An obligation that fails at a point: the values of the names it reads, by name, and what is met there."""

    code: str
    message: str
    node: s.Node
    point: tuple[tuple[str, Type, Value], ...]
    met: str = ""


@dataclass(frozen=True, slots=True)
class Unproved:
    """An obligation that is neither proved nor broken, and why."""

    code: str
    message: str
    node: s.Node


Gap: TypeAlias = Broken | Unproved


@dataclass(frozen=True, slots=True)
class Root:
    """One expression to prove total.

    `tree` is evaluated after `before`, the definitions it reads in order; `kind` is the range its value must keep.
    """

    what: str
    tree: s.Expr | s.Dist
    kind: Type | None
    before: tuple[tuple[str, s.Expr, Type | None], ...]


def find_gaps_in_declarations(task: Task) -> list[Gap]:
    """What is not proved of the declarations; empty if they are total."""
    free = [*task.states, *task.actions]
    gaps = _function_gaps(task.names, task.names.functions.values())
    prover = _Prover(task.names, free)
    kinds = {v.name: v.type for v in (*task.states, *task.actions, *task.chances)}
    for item in task.plan:
        match item:
            case s.Chance(name, _, dist):
                gaps += prover.prove(name, dist, kinds[name])
                prover.draw(name, dist, kinds[name])
            case s.Next(name, value):
                gaps += prover.prove(f"{name}'", value, kinds[name])
                prover.define(f"{name}'", value, kinds[name])
            case s.Define(name, value):
                gaps += prover.prove(name, value, None)
                prover.define(name, value, None)
    gaps += prover.prove("reward", task.reward, None)
    if task.done is not None:
        gaps += _Prover(task.names, list(task.states)).prove("done", task.done, None)
    return gaps


def find_gaps_in_code(program: Program) -> list[Gap]:
    """What is not proved of a program; empty if it is total. Declared functions are not looked at again."""
    shared = program.task.shared.functions
    own = [f for name, f in program.names.functions.items() if name not in shared]
    gaps = _function_gaps(program.names, own)
    prover = _Prover(program.names, list(program.task.observed))
    kinds = {v.name: v.type for v in program.task.actions}
    for statement in program.policy.body:
        kind = kinds.get(statement.name) if isinstance(statement, s.Assign) else None
        what = f"action {statement.name}" if kind is not None else statement.name
        gaps += prover.prove(what, statement.value, kind)
        prover.define(statement.name, statement.value, kind)
    return gaps


def _function_gaps(names: Globals, functions: Any) -> list[Gap]:
    gaps: list[Gap] = []
    function: Function
    for function in functions:
        prover = _Prover(names, list(function.parameters))
        gaps += prover.prove(f"the result of {function.name}", function.body, function.result)
    return gaps


class _Prover:
    """Proves expressions one by one; each may read what was defined before it."""

    def __init__(self, names: Globals, free: list[Variable]) -> None:
        self.names = names
        self.free: dict[str, Type] = {v.name: v.type for v in free}
        self.known: dict[str, Abstract] = {v.name: span_of(v.type) for v in free}
        self.domains: dict[str, Callable[[], Iterator[Value]] | None] = {
            v.name: _domain(v.type) for v in free
        }
        self.defined: dict[str, tuple[s.Expr, Type | None]] = {}

    def define(self, name: str, value: s.Expr, kind: Type | None) -> None:
        """Let later expressions read a definition."""
        self.defined[name] = (value, kind)
        found = self._abstract(value)
        if found is not None:
            self.known[name] = found if kind is None else _meet(found, span_of(kind))
        elif kind is not None:
            self.known[name] = span_of(kind)

    def draw(self, name: str, dist: s.Dist, kind: Type) -> None:
        """Let later expressions read a draw: any value of its type, or of a type without end any that its map mentions."""
        domain = _domain(kind)
        self.free[name] = kind
        if domain is not None:
            self.known[name], self.domains[name] = span_of(kind), domain
            return
        self.domains[name] = None
        try:
            hulled = _drawn(Intervals(self.names), dist, self.known)
        except (NotProved, KeyError):
            return
        self.known[name] = hulled
        variables = frozenset({*self.free, *self.defined, *self.known})
        mentioned = _mentioned(self.names, dist, variables)
        if mentioned is not None:
            self.domains[name] = lambda: iter(mentioned)
        elif isinstance(hulled, Range) and isinstance(kind, Int):
            low, high = hulled.low, hulled.high
            if isinstance(low, int) and isinstance(high, int) and high - low < POINTS_MAX:
                self.domains[name] = lambda: iter(range(low, high + 1))

    def _abstract(self, value: s.Expr) -> Abstract | None:
        try:
            return Intervals(self.names).value(value, self.known)
        except (NotProved, KeyError):
            # a KeyError is a name whose own expression intervals could not bound
            return None

    def prove(self, what: str, tree: s.Expr | s.Dist, kind: Type | None) -> list[Gap]:
        """The gaps of one expression: none, or the one that shows."""
        try:
            self._by_intervals(what, tree, kind)
            return []
        except NotProved as found:
            unproved = Unproved(found.code, found.message, found.node)
        except KeyError:
            unproved = Unproved("G017", f"{what} reads a value without known bounds", tree)
        return self._by_enumeration(what, tree, kind, unproved)

    def _by_intervals(self, what: str, tree: s.Expr | s.Dist, kind: Type | None) -> None:
        intervals = Intervals(self.names)
        if isinstance(tree, s.DIST_NODES):
            _prove_dist(intervals, tree, self.known, kind, what)
            return
        value = intervals.value(tree, self.known)
        if kind is not None:
            intervals.require(value, kind, what, tree)

    def _by_enumeration(
        self, what: str, tree: s.Expr | s.Dist, kind: Type | None, unproved: Unproved
    ) -> list[Gap]:
        reads = self._closure(tree)
        free = [name for name in self.free if name in reads]
        count = 1
        for name in free:
            domain = self.domains[name]
            if domain is None:
                return [unproved]
            size = cardinality(self.free[name])
            count *= size if size is not None else sum(1 for _ in domain())
            if count > POINTS_MAX:
                return [unproved]
        before = [(n, *self.defined[n]) for n in self.defined if n in reads]
        for point in product(*(self.domains[name]() for name in free)):  # type: ignore[misc]
            local = dict(zip(free, point, strict=True))
            try:
                self._evaluate(what, tree, kind, local, before)
            except EvaluationFault as fault:
                if fault.node is not None and not _inside(fault.node, tree, self.names):
                    # a definition it reads breaks there; that is reported of the definition
                    continue
                shown = tuple((n, self.free[n], local[n]) for n in free)
                return [Broken(fault.code, fault.message, fault.node, shown, fault.met)]
        return []

    def _evaluate(
        self,
        what: str,
        tree: s.Expr | s.Dist,
        kind: Type | None,
        point: Mapping[str, Any],
        before: list[tuple[str, s.Expr, Type | None]],
    ) -> None:
        local = dict(point)
        evaluator = Evaluator(self.names)
        for name, value, declared in before:
            local[name] = evaluator.value(value, local)
            if declared is not None:
                require_range(declared, local[name], name, value)
        if isinstance(tree, s.DIST_NODES):
            for drawn, _ in evaluator.distribution(tree, local):
                if kind is not None:
                    require_range(kind, drawn, what, tree)
            return
        result = evaluator.value(tree, local)
        if kind is not None:
            require_range(kind, result, what, tree)

    def _closure(self, tree: s.Node) -> set[str]:
        found, pending = set[str](), list(names_read(tree))
        while pending:
            name = pending.pop()
            if name in found:
                continue
            found.add(name)
            if name in self.defined:
                pending.extend(names_read(self.defined[name][0]))
        return found


def _inside(node: s.Node, tree: s.Node, names: Globals) -> bool:
    """Whether a node stands in a tree or in a function that it may call."""
    pending, seen = [tree], set[str]()
    while pending:
        for below in s.walk(pending.pop()):
            if below is node:
                return True
            if (
                isinstance(below, s.Call)
                and below.name in names.functions
                and below.name not in seen
            ):
                seen.add(below.name)
                pending.append(names.functions[below.name].body)
    return False


def _domain(kind: Type) -> Callable[[], Iterator[Value]] | None:
    return None if cardinality(kind) is None else lambda: values(kind)


def _meet(found: Abstract, declared: Abstract) -> Abstract:
    """What is known of a value that lies in both; sound since the range is proved of it on its own."""
    if isinstance(found, Range) and isinstance(declared, Range):
        lows = [v for v in (found.low, declared.low) if v is not None]
        highs = [v for v in (found.high, declared.high) if v is not None]
        low, high = max(lows, default=None), min(highs, default=None)
        if low is None or high is None or low <= high:
            return Range(low, high, found.bits if declared.bits is None else declared.bits)
        return declared
    return found


def _prove_dist(
    intervals: Intervals, dist: s.Dist, names: Names, kind: Type | None, what: str
) -> None:
    """Prove a distribution by intervals; weights must be constant for that."""
    match dist:
        case s.DistIf(test, then, otherwise):
            intervals.value(test, names)
            for truth, body in ((True, then), (False, otherwise)):
                inner = intervals.refine(test, truth, names)
                if inner is not None:
                    _prove_dist(intervals, body, inner, kind, what)
        case s.DistLet(name, value, body):
            inner = {**names, name: intervals.value(value, names)}
            _prove_dist(intervals, body, inner, kind, what)
        case s.DistMatch():
            for body_node, inner in intervals.arms(dist, names):
                _prove_dist(intervals, body_node, inner, kind, what)  # type: ignore[arg-type]
        case s.DistMap(entries):
            total: Any = 0
            for entry in entries:
                total += _constant_weight(intervals, entry, names, {})
                _require_value(intervals, entry, names, kind, what)
            _require_whole(total, dist)
        case s.DistFor(var, low, high, entry):
            evaluator = Evaluator(intervals.names)
            first, last = evaluator.value(low, {}), evaluator.value(high, {})
            total = 0
            for i in range(first, last + 1):
                total += _constant_weight(intervals, entry, names, {var: i})
            _require_value(intervals, entry, {**names, var: span_of(Int(first, last))}, kind, what)
            _require_whole(total, dist)


def _constant_weight(
    intervals: Intervals, entry: s.Weighted, names: Names, local: dict[str, Any]
) -> Any:
    if names_read(entry.weight) & (names.keys() - local.keys()):
        raise NotProved("G016", "the weights may not sum to 1", entry.weight)
    try:
        weight = Evaluator(intervals.names).value(entry.weight, local)
    except EvaluationFault as fault:
        raise NotProved(fault.code, fault.message, fault.node) from None
    if weight < 0:
        raise NotProved("G016", f"the weight is {weight}, below 0", entry.weight)
    return weight


def _require_whole(total: Any, dist: s.Dist) -> None:
    if total != 1:
        raise NotProved("G016", f"the weights sum to {total}, not to 1", dist)


def _require_value(
    intervals: Intervals, entry: s.Weighted, names: Names, kind: Type | None, what: str
) -> None:
    value = intervals.value(entry.value, names)
    if kind is not None:
        intervals.require(value, kind, what, entry.value)


def _mentioned(names: Globals, dist: s.Dist, variables: frozenset[str]) -> list[Value] | None:
    """The values that a distribution mentions, or None where one of them is not constant."""
    evaluator = Evaluator(names)
    found: dict[Value, None] = {}
    for node in s.walk(dist):
        entries: list[tuple[s.Weighted, dict[str, Any]]] = []
        match node:
            case s.DistLet():
                return None
            case s.DistMap(listed):
                entries = [(entry, {}) for entry in listed]
            case s.DistFor(var, low, high, entry):
                ends = evaluator.value(low, {}), evaluator.value(high, {})
                entries = [(entry, {var: i}) for i in range(ends[0], ends[1] + 1)]
            case _:
                continue
        for entry, local in entries:
            if names_read(entry.value) & (variables - local.keys()):
                return None
            try:
                found[evaluator.value(entry.value, local)] = None
            except EvaluationFault:
                return None
    return list(found)


def _drawn(intervals: Intervals, dist: s.Dist, names: Names) -> Abstract:
    """A hull of everything a distribution mentions."""
    match dist:
        case s.DistIf(_, then, otherwise):
            return hull(_drawn(intervals, then, names), _drawn(intervals, otherwise, names))
        case s.DistLet(name, value, body):
            return _drawn(intervals, body, {**names, name: intervals.value(value, names)})
        case s.DistMatch():
            bodies = [b for b, _ in intervals.arms(dist, names)]
            found = _drawn(intervals, bodies[0], names)  # type: ignore[arg-type]
            for body_node in bodies[1:]:
                found = hull(found, _drawn(intervals, body_node, names))  # type: ignore[arg-type]
            return found
        case s.DistMap(entries):
            found = intervals.value(entries[0].value, names)
            for entry in entries[1:]:
                found = hull(found, intervals.value(entry.value, names))
            return found
        case s.DistFor(var, low, high, entry):
            evaluator = Evaluator(intervals.names)
            first, last = evaluator.value(low, {}), evaluator.value(high, {})
            return intervals.value(entry.value, {**names, var: span_of(Int(first, last))})
