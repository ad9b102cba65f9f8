"""Prove that every expression of a machine has a value, by intervals, else by trying every point.

What is demanded: divisors are not 0, indices and conversions are in range, shifts are by at least 0, ranged variables,
parameters and results stay in range, matches are exhaustive, chance weights are at least 0 and sum to 1, numbers stay within
4,096 bits, adversaries have a choice and worlds a start; each under the tests that guard it, for all values of the declared
types (docs/language.md) and all rational unknowns that meet the assumptions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from itertools import islice, product
from math import prod
from typing import Any, TypeAlias

from dsl import syntax as s
from dsl.interp import EvaluationFault, Evaluator, Function, Globals, Locals, require_range
from dsl.intervals import Intervals, Names, NotProved
from dsl.machine import Always, Program, Task
from dsl.polynomial import Polynomial, PolynomialTooLarge, Weight, names_of, substitute
from dsl.ranges import Abstract, Range, hull, meet, point, span_of, whole
from dsl.scope import names_read
from dsl.types import Bits, Bool, Enum, Int, Type, Value, Variable, cardinality, contains, values
from proofs.kernel.region import Region, is_at_least_zero, rate_box, vertices
from proofs.kernel.theorem import CertificateError

POINTS_MAX = 1_000_000
BOXES_MAX = 64
CANDIDATES_MAX = 1_024

FEW = 64
TRIED_MAX = 20_000

Point: TypeAlias = tuple[tuple[str, Type, Value], ...]
Listed: TypeAlias = range | tuple[Value, ...] | None
Map: TypeAlias = s.DistMap | s.DistFor


@dataclass(frozen=True, slots=True)
class Broken:
    """An obligation that fails at a point: the values of the names it reads, by name, and what is met there."""

    code: str
    message: str
    node: s.Node
    point: Point
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


# --- what is demanded ----------------------------------------------------------------------------


def find_gaps_in_declarations(task: Task) -> list[Gap]:
    """What is not proved of the declarations; empty if they are total."""
    weights = _Weights(task)
    gaps, shared = _function_gaps(task.names, task.names.functions.values(), {})
    primed = tuple(Variable(v.name + "'", v.type) for v in task.states)

    def prover(*free: Variable) -> _Prover:
        return _Prover(shared, (*task.unknowns, *free), weights)

    gaps += _start_gaps(task, prover(*task.any_states))
    step = prover(*task.states, *task.actions, *task.adversaries)
    for condition in task.adversary_conditions:
        gaps += step.settle("the condition of the adversary", condition, None)
    step.choose(task.adversaries, task.adversary_conditions)
    if not gaps:
        gaps += step.find_no_choice("G064", "the adversary may have no choice")
    kinds = {v.name: v.type for v in (*primed, *task.chances)}
    for item in task.plan:
        name = item.name + ("'" if isinstance(item, s.Next) else "")
        if isinstance(item, s.Chance):
            gaps += step.settle(name, item.dist, kinds[name])
            step.draw(name, item.dist, kinds[name])
        else:
            gaps += step.settle(name, item.value, kinds.get(name), name)
    gaps += step.settle("reward", task.reward, None)
    if task.done is not None:
        gaps += prover(*task.states).settle("done", task.done, None)
    for r in task.requirements:
        free = (*task.states, *task.actions, *primed)
        for part in (r.holds,) if isinstance(r, Always) else (r.goal, r.source):
            gaps += prover(*free).settle(f"the requirement {r.name}", part, None)
    return gaps


def _start_gaps(task: Task, prover: _Prover) -> list[Gap]:
    gaps: list[Gap] = []
    for condition in task.start_conditions:
        gaps += prover.settle("the condition of the start", condition, None)
    prover.choose(task.any_states, task.start_conditions)
    if not gaps:
        gaps += prover.find_no_choice("G065", "there may be no start")
    for variable, start in zip(task.states, task.starts, strict=True):
        what = f"the start of {variable.name}"
        if isinstance(start, s.DIST_NODES):
            gaps += prover.settle(what, start, variable.type)
            prover.draw(variable.name, start, variable.type)
        elif not isinstance(start, s.AnyStart):
            gaps += prover.settle(what, start, variable.type, variable.name)
    return gaps


def find_gaps_in_code(program: Program) -> list[Gap]:
    """What is not proved of a program; empty if it is total. Declared functions are not looked at again."""
    declared = program.task.shared.functions
    own = [f for name, f in program.names.functions.items() if name not in declared]
    gaps, shared = _function_gaps(program.names, own, {})
    kinds = {v.name: v.type for v in program.task.actions}
    kinds.update({v.name + "'": v.type for v in program.memories})
    for variable, start in zip(program.memories, program.memory_start, strict=True):
        if not contains(variable.type, start):
            node = program.code.slot(variable.name) or program.code
            gaps.append(Broken("G012", f"{variable.name} starts out of its range", node, ()))
    for policy in program.policies.values():
        prover = _Prover(shared, (*program.task.observed, *program.memories), None)
        for statement in policy.body:
            name = statement.name + ("'" if isinstance(statement, s.Next) else "")
            what = f"action {name}" if isinstance(statement, s.Assign) else name
            gaps += prover.settle(what, statement.value, kinds.get(name), name)
    return gaps


def _function_gaps(
    names: Globals, functions: Iterable[Function], results: dict[str, Abstract]
) -> tuple[list[Gap], Intervals]:
    """The gaps of functions; what is found out about them serves those that call them."""
    gaps: list[Gap] = []
    intervals = Intervals(names, results)
    for function in functions:
        prover = _Prover(intervals, function.parameters, None)
        what = f"the result of {function.name}"
        found = prover.settle(what, function.body, function.result, what)
        gaps += found
        finite = all(cardinality(p.type) is not None for p in function.parameters)
        known = prover.whole.known.get(what)
        if finite and not found and known is not None:
            results[function.name] = known
    return gaps, intervals


# --- one expression after another ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """Part of all points: sets that cover what names are worth there, and the values of those that are the same at all of
    them, rational unknowns and rates as polynomials."""

    known: dict[str, Abstract | None]
    exact: Locals

    def define(self, name: str, tree: s.Expr, found: Abstract | None, names: Globals) -> None:
        """Let later expressions read a definition."""
        self.known[name] = found
        if _is_exact(tree, self.known, self.exact):
            with suppress(EvaluationFault, PolynomialTooLarge):
                self.exact[name] = Evaluator(names).value(tree, self.exact)


class _Prover:
    """Proves expressions one by one; each may read what was defined before it.

    A name is free, with a list of values (None: those of its type), or defined. `chosen` are free names whose values meet
    `conditions`. `whole` is the part that holds every point.
    """

    def __init__(
        self, intervals: Intervals, free: Iterable[Variable], weights: _Weights | None
    ) -> None:
        self.intervals, self.names, self.weights = intervals, intervals.names, weights
        self.free: dict[str, Type] = {}
        self.lists: dict[str, Listed] = {}
        self.defined: dict[str, tuple[s.Expr, Type | None]] = {}
        self.chosen: tuple[str, ...] = ()
        self.conditions: tuple[s.Expr, ...] = ()
        self.whole = _Part({}, {}) if weights is None else weights.part()
        for v in free:
            self._add(v.name, v.type, _listed(v.type), span_of(v.type))

    def _add(self, name: str, kind: Type, listed: Listed, span: Abstract | None) -> None:
        self.free[name], self.lists[name], self.whole.known[name] = kind, listed, span

    def settle(
        self, what: str, tree: s.Expr | s.Dist, kind: Type | None, name: str | None = None
    ) -> list[Gap]:
        """The gaps of one expression: none, or the one that shows. By `name` later expressions read its value."""
        covered: list[Abstract] = []

        def cover(value: Abstract) -> None:
            covered[:] = [hull(covered[0], value) if covered else value]

        def attempt(part: _Part) -> None:
            if isinstance(tree, s.DIST_NODES):
                self._prove_dist(what, tree, kind, part)
                return
            found = self.intervals.value(tree, part.known)
            if kind is not None:
                self.intervals.require(found, kind, what, tree)
            cover(found)

        def evaluate(evaluator: Evaluator, local: Locals) -> None:
            try:
                results = self._results(evaluator, tree, local)
            except PolynomialTooLarge as large:
                raise NotProved("G019", str(large), tree) from None
            for result in results:
                if kind is not None:
                    require_range(kind, result, what, tree)
                if not isinstance(result, Polynomial):
                    cover(point(result))

        gaps = self._explore(self._closure(tree), attempt, evaluate)
        if name is not None and not isinstance(tree, s.DIST_NODES):
            self.defined[name] = tree, kind
            span = None if kind is None else span_of(kind)
            found = covered[0] if covered and not gaps else span
            self.whole.define(name, tree, _meet(found, span), self.names)
        return gaps

    def draw(self, name: str, dist: s.Dist, kind: Type) -> None:
        """Let later expressions read a draw: any value of its type, or of a type without end any that its map mentions."""
        if cardinality(kind) is not None:
            self._add(name, kind, _listed(kind), span_of(kind))
            return
        part = self.whole
        try:
            leaves = list(self.intervals.leaves(dist, part.known))
            span = reduce(hull, [self._drawn_from(leaf, inner) for leaf, inner in leaves])
        except NotProved:
            self._add(name, kind, None, None)
            return
        listed: Listed = None
        entries = [
            (e.value, local, inner)
            for leaf, inner in leaves
            for e, local in self._entries(leaf, inner, part)
        ]
        if all(_is_exact(value, inner, local) for value, local, inner in entries):
            found = {Evaluator(self.names).value(value, local) for value, local, _ in entries}
            listed = tuple(sorted(found))
        elif (
            isinstance(span, Range)
            and span.whole
            and span.low is not None
            and span.high is not None
        ):
            listed = range(int(span.low), int(span.high) + 1)
        self._add(name, kind, listed, span)

    def choose(self, chosen: tuple[Variable, ...], conditions: tuple[s.Expr, ...]) -> None:
        """Let later expressions read variables that meet conditions."""
        self.chosen, self.conditions = tuple(v.name for v in chosen), conditions
        try:
            inner = self._under(conditions, self.whole.known)
        except NotProved:
            return
        if inner is not None:
            self.whole.known.update({name: inner[name] for name in self.chosen})

    def find_no_choice(self, code: str, message: str) -> list[Gap]:
        """Where nothing that is chosen meets the conditions."""
        if not self.conditions:
            return []
        reads, node = self._closure(*self.conditions), self.conditions[0]
        box = {name: self.lists[name] for name in self.chosen if name in reads}

        def attempt(part: _Part) -> None:
            if not self._one_always_will_do(list(box), part.known):
                raise NotProved(code, message, node)

        def evaluate(evaluator: Evaluator, local: Locals) -> None:
            if not any(
                all(evaluator.value(c, {**local, **choice}) for c in self.conditions)
                for choice in self._points(box)
            ):
                raise EvaluationFault(code, message, node)

        return self._explore(reads - box.keys(), attempt, evaluate, each=self._count(box))

    def _one_always_will_do(self, chosen: list[str], known: Names) -> bool:
        """Whether some choice, of those at the ends of what may be chosen, always meets the conditions."""
        ends: list[list[Abstract]] = []
        for name in chosen:
            span = known[name]
            if not isinstance(span, Range) or span.low is None or span.high is None:
                return False
            ends.append([point(v) for v in sorted({span.low, span.high})])
        for choice in islice(product(*ends), CANDIDATES_MAX):
            local = {**known, **dict(zip(chosen, choice, strict=True))}
            try:
                if all(self.intervals.split(c, local)[1] is None for c in self.conditions):
                    return True
            except NotProved:
                pass
        return False

    # --- all points, part by part ----------------------------------------------------------------

    def _explore(
        self,
        reads: set[str],
        attempt: Callable[[_Part], None],
        evaluate: Callable[[Evaluator, Locals], None],
        each: int | None = 1,
    ) -> list[Gap]:
        """The first gap, where `attempt` proves parts by intervals, and else `evaluate` tries their points.

        A part that is not proved is halved, along what the node reads that is in the way, until it has few points. `each`
        is what a point costs.
        """
        conditions = self.conditions if not reads.isdisjoint(self.chosen) else ()
        reads = reads | self._closure(*conditions)
        before = [name for name in self.defined if name in reads]
        everything = {name: self.lists[name] for name in self.free if name in reads}
        count = self._count(everything)
        left = TRIED_MAX if count is None or count > POINTS_MAX else POINTS_MAX
        pending, self.intervals.steps = [everything], 0
        while pending:
            box = pending.pop()
            try:
                part = self.whole if box is everything else self._part(box, before, conditions)
                if part is not None:
                    attempt(part)
                continue
            except NotProved as open_:
                gap = Unproved(open_.code, open_.message, open_.node)
            count, widest = self._count(box), self._widest(box, gap.node)
            if widest is not None and (count is None or count > FEW):
                values_: Any = box[widest]
                half = _length(values_) // 2
                pending += [{**box, widest: values_[half:]}, {**box, widest: values_[:half]}]
            elif count is None or each is None or count * each > left:
                return [gap]
            else:
                left -= count * each
                found = self._try_points(box, before, conditions, evaluate)
                if found is not None:
                    return [found]
        return []

    def _part(
        self, box: Mapping[str, Listed], before: list[str], conditions: tuple[s.Expr, ...]
    ) -> _Part | None:
        """What is known in a box; None where nothing in it meets the conditions."""
        part = _Part(dict(self.whole.known), dict(self.whole.exact))
        for name, listed in box.items():
            if listed is not None and isinstance(listed, range):
                part.known[name] = whole(listed[0], listed[-1])
            elif listed is not None:
                part.known[name] = reduce(hull, map(point, listed))
            if listed is not None and _length(listed) == 1:
                part.exact[name] = listed[0]
        known = self._under(conditions, part.known)
        if known is None:
            return None
        part = _Part(dict(known), part.exact)
        for name in before:
            tree, kind = self.defined[name]
            try:
                found = self.intervals.value(tree, part.known)
            except NotProved:
                continue
            span = None if kind is None else span_of(kind)
            part.define(name, tree, _meet(found, span), self.names)
        return part

    def _under(self, conditions: tuple[s.Expr, ...], known: Names) -> Names | None:
        for condition in conditions:
            inner = self.intervals.split(condition, known)[0]
            if inner is None:
                return None
            known = inner
        return known

    def _widest(self, box: Mapping[str, Listed], node: s.Node) -> str | None:
        """The name with most values in a box, of those that a node reads, else of all; None where none has two."""
        sizes = {name: _length(v) for name, v in box.items() if v is not None and _length(v) > 1}
        near = self._closure(node) & sizes.keys() or sizes.keys()
        return max((n for n in sizes if n in near), key=lambda n: sizes[n], default=None)

    def _count(self, box: Mapping[str, Listed]) -> int | None:
        counts = [cardinality(self.free[n]) if v is None else _length(v) for n, v in box.items()]
        return None if None in counts else prod(n for n in counts if n is not None)

    def _points(self, box: Mapping[str, Listed]) -> Iterator[Locals]:
        lists = ((values(self.free[name]) if v is None else v) for name, v in box.items())
        for chosen in product(*lists):
            yield dict(zip(box, chosen, strict=True))

    def _try_points(
        self,
        box: Mapping[str, Listed],
        before: list[str],
        conditions: tuple[s.Expr, ...],
        evaluate: Callable[[Evaluator, Locals], None],
    ) -> Gap | None:
        for at in self._points(box):
            evaluator, local = Evaluator(self.names), {**self.whole.exact, **at}
            try:
                if not all(evaluator.value(condition, local) for condition in conditions):
                    continue
                for name in before:
                    tree, kind = self.defined[name]
                    local[name] = evaluator.value(tree, local)
                    if kind is not None:
                        require_range(kind, local[name], name, tree)
            except (EvaluationFault, PolynomialTooLarge):
                # what it reads breaks there; that is reported of what it reads
                continue
            try:
                evaluate(evaluator, local)
            except EvaluationFault as fault:
                shown = tuple((name, self.free[name], at[name]) for name in box)
                shown += fault.at if isinstance(fault, _BadWeight) else ()
                return Broken(fault.code, fault.message, fault.node, shown, fault.met)
            except NotProved as open_:
                return Unproved(open_.code, open_.message, open_.node)
        return None

    def _closure(self, *trees: s.Node) -> set[str]:
        """The names that trees read, and those that the definitions of these read."""
        found = set[str]()
        pending = [name for tree in trees for name in names_read(tree)]
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                if name in self.defined:
                    pending.extend(names_read(self.defined[name][0]))
        return found

    # --- chance ----------------------------------------------------------------------------------

    def _prove_dist(self, what: str, dist: s.Dist, kind: Type | None, part: _Part) -> None:
        """Prove a distribution by intervals, where its weights are the same at every point of a part."""
        for leaf, inner in self.intervals.leaves(dist, part.known):
            pairs = self._entries(leaf, inner, part)
            for entry, local in pairs:
                if not _is_exact(entry.weight, inner, local):
                    raise NotProved("G016", "the weights may not sum to 1", entry.weight)
            try:
                self._weigh(leaf, pairs, Evaluator(self.names))
            except EvaluationFault as fault:
                raise NotProved(fault.code, str(fault), fault.node) from None
            if kind is not None:
                self.intervals.require(self._drawn_from(leaf, inner), kind, what, leaf)
            else:
                self._drawn_from(leaf, inner)

    def _entries(self, leaf: Map, inner: Names, part: _Part) -> list[tuple[s.Weighted, Locals]]:
        """The entries of a map with the values of the names that are exact there."""
        exact = {n: v for n, v in part.exact.items() if inner.get(n) is part.known.get(n)}
        if isinstance(leaf, s.DistMap):
            return [(entry, exact) for entry in leaf.entries]
        turns = self.intervals.turns(leaf.low, leaf.high)
        return [(leaf.entry, {**exact, leaf.var: i}) for i in turns]

    def _drawn_from(self, leaf: Map, inner: Names) -> Abstract:
        """What the values of a map may be."""
        if isinstance(leaf, s.DistMap):
            return reduce(hull, [self.intervals.value(e.value, inner) for e in leaf.entries])
        turns = self.intervals.turns(leaf.low, leaf.high)
        return self.intervals.each(leaf.var, leaf.entry.value, turns, inner)

    def _results(self, evaluator: Evaluator, tree: s.Expr | s.Dist, local: Locals) -> list[Any]:
        """The value of an expression at a point, or the values that a distribution draws there."""
        if not isinstance(tree, s.DIST_NODES):
            return [evaluator.value(tree, local)]
        leaf, pairs = _map_at(evaluator, tree, local)
        drawn: dict[Value, Weight] = {}
        for (entry, inner), w in zip(pairs, self._weigh(leaf, pairs, evaluator), strict=True):
            value = evaluator.value(entry.value, inner)
            drawn[value] = drawn.get(value, Fraction(0)) + w
        return [value for value, w in drawn.items() if w != 0]

    def _weigh(
        self, leaf: s.Dist, pairs: list[tuple[s.Weighted, Locals]], evaluator: Evaluator
    ) -> list[Weight]:
        """The weights of a map, which are shown to be at least 0 and to sum to 1."""
        if self.weights is None:
            raise TypeError("chance in code")
        found: list[Weight] = []
        try:
            for entry, local in pairs:
                found.append(evaluator.value(entry.weight, local))
                self.weights.require_at_least_zero(found[-1], entry.weight)
            self.weights.require_one(sum(found, Fraction(0)), leaf)
        except (CertificateError, PolynomialTooLarge) as error:
            raise NotProved("G016", str(error), leaf) from None
        return found


def _listed(kind: Type) -> Listed:
    """The values of a scalar type with an end; None of any other, whose values are not listed but counted."""
    match kind:
        case Bool():
            return False, True
        case Bits() | Enum() | Int(int(), int()):
            span: Any = span_of(kind)
            return range(span.low, span.high + 1)
        case _:
            return None


def _length(listed: Any) -> int:
    # a range may be longer than `len` can tell
    return listed.stop - listed.start if isinstance(listed, range) else len(listed)


def _is_exact(expr: s.Expr, inner: Names, local: Mapping[str, Any]) -> bool:
    """Whether an expression reads nothing that differs from point to point."""
    return names_read(expr) & inner.keys() <= local.keys()


def _map_at(
    evaluator: Evaluator, dist: s.Dist, local: Locals
) -> tuple[s.Dist, list[tuple[s.Weighted, Locals]]]:
    """The map that a distribution comes to at a point, and its entries with the values of what they read."""
    match dist:
        case s.DistIf(test, then, otherwise):
            return _map_at(evaluator, then if evaluator.value(test, local) else otherwise, local)
        case s.DistLet(name, value, body):
            return _map_at(evaluator, body, {**local, name: evaluator.value(value, local)})
        case s.DistMatch():
            return _map_at(evaluator, evaluator.choose(dist, local), local)
        case s.DistMap(entries):
            return dist, [(entry, local) for entry in entries]
        case s.DistFor(var, low, high, entry):
            turns = range(evaluator.value(low, local), evaluator.value(high, local) + 1)
            return dist, [(entry, {**local, var: i}) for i in turns]


def _meet(found: Abstract | None, declared: Abstract | None) -> Abstract | None:
    return found if found is None or declared is None else meet(found, declared)


# --- weights -------------------------------------------------------------------------------------


class _BadWeight(EvaluationFault):
    """A weight that is wrong at some values of the rational unknowns and rates, which it holds."""

    def __init__(self, message: str, node: s.Node, at: Point, met: str) -> None:
        self.at = at
        super().__init__("G016", message, node, met)


class _Weights:
    """What is known of weights for all rational unknowns that meet the assumptions, and all rates."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.kinds = {v.name: v.type for v in (*task.rationals, *task.rates)}
        self.whole = Region.whole(task, ())
        box = {**self.whole.named(task), **rate_box(task)}
        self.box = box
        self._settled: dict[Weight, dict[str, Fraction] | None] = {}

    def part(self) -> _Part:
        """All unknowns and rates: the ranges of their values, and what they are as polynomials."""
        known = {name: Range(*ends, False, (1, 1)) for name, ends in self.box.items()}
        return _Part(dict(known), {name: Polynomial.variable(name) for name in self.box})

    def require_at_least_zero(self, weight: Weight, node: s.Node) -> None:
        """Raise an EvaluationFault where a weight is negative, NotProved where that is not known."""
        at = self._below_zero(weight, node)
        if at is not None:
            met = f"the weight is {substitute(weight, at)}"
            raise _BadWeight("a weight must not be negative", node, self._shown(weight, at), met)

    def require_one(self, total: Weight, node: s.Node) -> None:
        """Raise an EvaluationFault where a sum of weights is not 1, NotProved where that is not known."""
        for difference in () if total == 1 else (total - 1, 1 - total):
            at = self._below_zero(difference, node)
            if at is not None:
                met = f"the weights sum to {substitute(total, at)}"
                shown = self._shown(difference, at)
                raise _BadWeight("the weights must sum to 1", node, shown, met)

    def _shown(self, weight: Weight, at: Mapping[str, Fraction]) -> Point:
        return tuple((n, self.kinds[n], at[n]) for n in self.kinds if n in names_of(weight))

    def _below_zero(self, weight: Weight, node: s.Node) -> dict[str, Fraction] | None:
        """Where a weight is below 0; None if it is shown to be so nowhere."""
        if not isinstance(weight, Polynomial):
            return {} if weight < 0 else None
        if weight not in self._settled:
            self._settled[weight] = self._search(weight, node)
        return self._settled[weight]

    def _search(self, weight: Weight, node: s.Node) -> dict[str, Fraction] | None:
        """Halve the box until the weight is settled in every part."""
        pending = [self.whole]
        for _ in range(BOXES_MAX):
            if not pending:
                return None
            region = pending.pop(0)
            if is_at_least_zero(self.task, region, weight):
                continue
            for at in self._candidates(region):
                if substitute(weight, at) < 0:  # type: ignore[operator]
                    return at
            read = names_of(weight)
            widths = {
                n: high - low for n, (low, high) in region.named(self.task).items() if n in read
            }
            widest = max(widths, key=lambda n: widths[n], default="")
            if not widths.get(widest):
                break
            low, high = region.named(self.task)[widest]
            pending.extend(region.cut(self.task, widest, (low + high) / 2))
        raise NotProved("G016", "weights that may leave 0..1 for some unknowns", node)

    def _candidates(self, region: Region) -> Iterator[dict[str, Fraction]]:
        """Some points of a region that meet the assumptions: corners and what lies in the middle of them."""
        task = self.task
        found = vertices(task, region) if task.assumptions else product(*region.box)
        corners = list(islice(found, CANDIDATES_MAX))
        if corners:
            count = len(corners)
            corners.append(
                tuple(sum(column, Fraction(0)) / count for column in zip(*corners, strict=True))
            )
        names = [v.name for v in (*task.rationals, *task.rates)]
        rates = [(low, high, (low + high) / 2) for low, high in rate_box(task).values()]
        for corner in corners:
            for rate in islice(product(*rates), CANDIDATES_MAX):
                yield dict(zip(names, (*corner, *rate), strict=True))
