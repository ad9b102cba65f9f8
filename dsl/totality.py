"""Prove that expressions have a value, one after another: by intervals, part by part, else by trying every point.

What is demanded: divisors are not 0, indices and conversions are in range, shifts are by at least 0, ranged variables,
parameters and results stay in range, matches are exhaustive, chance weights are at least 0 and sum to 1, numbers stay within
4,096 bits; each under the tests that guard it, for all values of the declared types (docs/language.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from itertools import islice, product
from math import prod
from typing import Any, Protocol, TypeAlias

from dsl import syntax as s
from dsl.blame import names_behind
from dsl.interp import EvaluationFault, Evaluator, Globals, Locals, require_range
from dsl.intervals import Intervals, Names, NotProved
from dsl.polynomial import Polynomial, PolynomialTooLarge, Weight
from dsl.ranges import Abstract, Range, hull, meet, point, span_of, whole
from dsl.scope import names_read
from dsl.types import Bits, Bool, Enum, Int, Type, Value, Variable, cardinality, values

POINTS_MAX = 1_000_000
TICKS_MAX = 50_000_000
"""How many operations all points that are tried for one expression may take."""
TRIED_MAX = 10_000
"""How many parts and points are tried where there are more than `POINTS_MAX` points."""
FEW = 64
CANDIDATES_MAX = 1_024

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


class BadWeight(EvaluationFault):
    """A weight that is wrong at some values of the rational unknowns and rates, which it holds."""

    def __init__(self, message: str, node: s.Node, at: Point, met: str) -> None:
        self.at = at
        super().__init__("G016", message, node, met)


class Weights(Protocol):
    """What is known of weights, for all rational unknowns and rates."""

    def part(self) -> Part:
        """The ranges of the unknowns and rates, and what they are as polynomials."""

    def require_at_least_zero(self, weight: Weight, node: s.Node) -> None:
        """Raise an EvaluationFault where a weight is negative, NotProved where that is not known."""

    def require_one(self, total: Weight, node: s.Node) -> None:
        """Raise an EvaluationFault where a sum of weights is not 1, NotProved where that is not known."""


@dataclass(frozen=True, slots=True)
class Part:
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


class Prover:
    """Proves expressions one by one; each may read what was defined before it.

    A name is free, with a list of values (None: those of its type), or defined. `chosen` are free names whose values meet
    `conditions`. `whole` is the part that holds every point.
    """

    def __init__(
        self, intervals: Intervals, free: Iterable[Variable], weights: Weights | None
    ) -> None:
        self.intervals, self.names, self.weights = intervals, intervals.names, weights
        self.free: dict[str, Type] = {}
        self.lists: dict[str, Listed] = {}
        self.defined: dict[str, tuple[s.Expr, Type | None]] = {}
        self.chosen: tuple[str, ...] = ()
        self.conditions: tuple[s.Expr, ...] = ()
        self.counted, self.ticks = replace(intervals.names, prices={}), 0
        self.whole = Part({}, {}) if weights is None else weights.part()
        for v in free:
            self._add(v.name, v.type, _listed(v.type), span_of(v.type))

    def _add(self, name: str, kind: Type, listed: Listed, span: Abstract | None) -> None:
        self.free[name], self.lists[name], self.whole.known[name] = kind, listed, span

    def settle(
        self, what: str, tree: s.Expr | s.Dist, kind: Type | None, name: str | None = None
    ) -> list[Gap]:
        """The gaps of one expression: none, or the one that shows. By `name` later expressions read its value."""
        covered: dict[Abstract, None] = {}
        unlisted: list[Polynomial] = []

        def attempt(part: Part) -> None:
            if isinstance(tree, s.DIST_NODES):
                self._prove_dist(what, tree, kind, part)
                return
            found = self.intervals.value(tree, part.known)
            if kind is not None:
                self.intervals.require(found, kind, what, tree)
            covered[found] = None

        def evaluate(evaluator: Evaluator, local: Locals) -> None:
            try:
                results = self._results(evaluator, tree, local)
            except PolynomialTooLarge as large:
                raise NotProved("G019", str(large), tree) from None
            for result in results:
                if kind is not None:
                    require_range(kind, result, what, tree)
                if isinstance(result, Polynomial):
                    unlisted.append(result)
                elif name is not None:
                    covered[point(result)] = None

        found_gaps = self._explore(self._closure(tree), attempt, evaluate)
        gaps = [self._pointed(gap, tree) for gap in found_gaps]
        if name is not None and not isinstance(tree, s.DIST_NODES):
            self.defined[name] = tree, kind
            span = None if kind is None else span_of(kind)
            found = reduce(hull, covered) if covered and not (gaps or unlisted) else span
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
        pairs = [
            (entry.value, inner, local)
            for leaf, inner in leaves
            for entry, local in self._entries(leaf, inner, part)
        ]
        if all(_is_exact(*pair) for pair in pairs):
            evaluator = Evaluator(self.names)
            listed = tuple(sorted({evaluator.value(value, local) for value, _, local in pairs}))
        elif isinstance(span, Range) and span.whole and span.size is not None:
            listed = range(int(span.low or 0), int(span.high or 0) + 1)
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

        def attempt(part: Part) -> None:
            if self._under(self.conditions, part.known) is None:
                raise EvaluationFault(code, message, node)
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
        attempt: Callable[[Part], None],
        evaluate: Callable[[Evaluator, Locals], None],
        each: int | None = 1,
    ) -> list[Gap]:
        """The first gap, where `attempt` proves parts by intervals, and else `evaluate` tries their points.

        A fault that `attempt` raises holds at every point of the part. A part that is not proved is halved, along what the
        node reads that is in the way, until it has few points. `each` is what a point costs; all may take TICKS_MAX.
        """
        conditions = self.conditions if not reads.isdisjoint(self.chosen) else ()
        reads = reads | self._closure(*conditions)
        before = [name for name in self.defined if name in reads]
        everything = {name: self.lists[name] for name in self.free if name in reads}
        count = self._count(everything)
        left = TRIED_MAX if count is None or count > POINTS_MAX else 2 * POINTS_MAX
        pending, self.intervals.steps, self.ticks = [everything], 0, 0
        while pending:
            box = pending.pop()
            try:
                part = self.whole if box is everything else self._part(box, before, conditions)
                if part is not None:
                    attempt(part)
                continue
            except NotProved as open_:
                gap = Unproved(open_.code, open_.message, open_.node)
            except EvaluationFault as fault:
                return [self._broken(fault, {n: next(self._values(n, v)) for n, v in box.items()})]
            count, widest = self._count(box), self._widest(box, gap.node)
            cost = None if count is None or each is None else count * each
            dear = cost is None or cost > left
            left -= 1
            if left < 0 or (dear and widest is None):
                return [gap]
            if widest is not None and (dear or count is None or count > FEW):
                listed: Any = box[widest]
                half = _length(listed) // 2
                pending += [{**box, widest: listed[half:]}, {**box, widest: listed[:half]}]
                continue
            left -= cost or 0
            found = self._try_points(box, before, conditions, evaluate, gap)
            if found is not None:
                return [found]
        return []

    def _part(
        self, box: Mapping[str, Listed], before: list[str], conditions: tuple[s.Expr, ...]
    ) -> Part | None:
        """What is known in a box; None where nothing in it meets the conditions."""
        part = Part(dict(self.whole.known), dict(self.whole.exact))
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
        part = Part(dict(known), part.exact)
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

    def _values(self, name: str, listed: Listed) -> Iterator[Value]:
        return values(self.free[name]) if listed is None else iter(listed)

    def _points(self, box: Mapping[str, Listed]) -> Iterator[Locals]:
        for chosen in product(*(self._values(name, listed) for name, listed in box.items())):
            yield dict(zip(box, chosen, strict=True))

    def _broken(self, fault: EvaluationFault, at: Locals) -> Broken:
        shown = tuple((name, self.free[name], value) for name, value in at.items())
        shown += fault.at if isinstance(fault, BadWeight) else ()
        return Broken(fault.code, fault.message, fault.node, shown, fault.met)

    def _pointed(self, gap: Gap, tree: s.Node) -> Gap:
        """The gap with a point of those names alone that it depends on."""
        if isinstance(gap, Unproved):
            return gap
        names = names_behind(
            tree, gap.node, lambda name: self.defined[name][:1] if name in self.defined else ()
        )
        if names is None:
            return gap
        if not names.isdisjoint(self.chosen):
            names |= self._closure(*self.conditions)
        return replace(gap, point=tuple(p for p in gap.point if p[0] in names))

    def _try_points(
        self,
        box: Mapping[str, Listed],
        before: list[str],
        conditions: tuple[s.Expr, ...],
        evaluate: Callable[[Evaluator, Locals], None],
        gap: Gap,
    ) -> Gap | None:
        """The first gap at the points of a box; `gap`, where it takes too much to try them all."""
        for at in self._points(box):
            evaluator, local = Evaluator(self.counted), {**self.whole.exact, **at}
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
                return self._broken(fault, at)
            except NotProved as open_:
                return Unproved(open_.code, open_.message, open_.node)
            self.ticks += evaluator.ticks
            if self.ticks > TICKS_MAX:
                return gap
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

    def _prove_dist(self, what: str, dist: s.Dist, kind: Type | None, part: Part) -> None:
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

    def _entries(self, leaf: Map, inner: Names, part: Part) -> list[tuple[s.Weighted, Locals]]:
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
        except PolynomialTooLarge as error:
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
