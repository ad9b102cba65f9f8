"""Prove that every expression of a machine has a value, for all rational unknowns that meet the assumptions and all rates.

What is demanded of each expression is in `dsl.totality`; besides, adversaries have a choice, and worlds a start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, product

from dsl import syntax as s
from dsl.interp import Function, Globals
from dsl.intervals import Intervals, NotProved
from dsl.machine import Always, Program, Task
from dsl.polynomial import Polynomial, Weight, names_of, substitute
from dsl.ranges import Abstract, Range
from dsl.totality import BadWeight, Broken, Gap, Part, Point, Prover, Unproved
from dsl.types import Type, Variable, cardinality, contains
from proofs.kernel.region import Region, is_at_least_zero, rate_box, vertices
from proofs.kernel.theorem import CertificateError

BOXES_MAX = 64
CANDIDATES_MAX = 1_024

__all__ = ["Broken", "Gap", "Root", "Unproved", "find_gaps_in_code", "find_gaps_in_declarations"]


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

    def prover(*free: Variable) -> Prover:
        return Prover(shared, (*task.unknowns, *free), weights)

    gaps += _start_gaps(task, prover(*task.any_states))
    step = prover(*task.states, *task.actions, *task.adversaries)
    no_choice = "G064", "the adversary may have no choice"
    gaps += _choice_gaps(step, task.adversaries, task.adversary_conditions, no_choice)
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


def _start_gaps(task: Task, prover: Prover) -> list[Gap]:
    no_start = "G065", "there may be no start"
    gaps = _choice_gaps(prover, task.any_states, task.start_conditions, no_start)
    for variable, start in zip(task.states, task.starts, strict=True):
        what = f"the start of {variable.name}"
        if isinstance(start, s.DIST_NODES):
            gaps += prover.settle(what, start, variable.type)
            prover.draw(variable.name, start, variable.type)
        elif not isinstance(start, s.AnyStart):
            gaps += prover.settle(what, start, variable.type, variable.name)
    return gaps


def _choice_gaps(
    prover: Prover,
    chosen: tuple[Variable, ...],
    conditions: tuple[s.Expr, ...],
    missing: tuple[str, str],
) -> list[Gap]:
    """Gaps of conditions, and where nothing meets them; what is proved later may take it that they are met."""
    gaps = [gap for c in conditions for gap in prover.settle("the condition", c, None)]
    prover.choose(chosen, conditions)
    return gaps or prover.find_no_choice(*missing)


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
        prover = Prover(shared, (*program.task.observed, *program.memories), None)
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
        prover = Prover(intervals, function.parameters, None)
        what = f"the result of {function.name}"
        found = prover.settle(what, function.body, function.result, what)
        gaps += found
        finite = all(cardinality(p.type) is not None for p in function.parameters)
        known = prover.whole.known.get(what)
        if finite and not found and known is not None:
            results[function.name] = known
    return gaps, intervals


# --- weights -------------------------------------------------------------------------------------


class _Weights:
    """What is known of weights for all rational unknowns that meet the assumptions, and all rates."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.kinds = {v.name: v.type for v in (*task.rationals, *task.rates)}
        self.whole = Region.whole(task, ())
        box = {**self.whole.named(task), **rate_box(task)}
        self.box = box
        self._settled: dict[Weight, dict[str, Fraction] | None] = {}

    def part(self) -> Part:
        """All unknowns and rates: the ranges of their values, and what they are as polynomials."""
        known = {name: Range(*ends, False, (1, 1)) for name, ends in self.box.items()}
        return Part(dict(known), {name: Polynomial.variable(name) for name in self.box})

    def require_at_least_zero(self, weight: Weight, node: s.Node) -> None:
        """Raise an EvaluationFault where a weight is negative, NotProved where that is not known."""
        at = self._below_zero(weight, node)
        if at is not None:
            met = f"the weight is {substitute(weight, at)}"
            raise BadWeight("a weight must not be negative", node, self._shown(weight, at), met)

    def require_one(self, total: Weight, node: s.Node) -> None:
        """Raise an EvaluationFault where a sum of weights is not 1, NotProved where that is not known."""
        for difference in () if total == 1 else (total - 1, 1 - total):
            at = self._below_zero(difference, node)
            if at is not None:
                met = f"the weights sum to {substitute(total, at)}"
                shown = self._shown(difference, at)
                raise BadWeight("the weights must sum to 1", node, shown, met)

    def _shown(self, weight: Weight, at: Mapping[str, Fraction]) -> Point:
        return tuple((n, self.kinds[n], at[n]) for n in self.kinds if n in names_of(weight))

    def _below_zero(self, weight: Weight, node: s.Node) -> dict[str, Fraction] | None:
        """Where a weight is below 0; None if it is shown to be so nowhere."""
        if not isinstance(weight, Polynomial):
            return {} if weight < 0 else None
        if weight not in self._settled:
            try:
                self._settled[weight] = self._search(weight, node)
            except CertificateError as error:
                raise NotProved("G016", str(error), node) from None
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
