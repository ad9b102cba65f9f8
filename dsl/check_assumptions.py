"""Check `assume`s: linear constraints between rational unknowns that can all hold at once."""

from __future__ import annotations

from fractions import Fraction

from dsl import syntax as s
from dsl.check_unknowns import Discipline, Reads
from dsl.elaborate import elaborate
from dsl.interp import EvaluationFault, Evaluator
from dsl.linear import find_point
from dsl.machine import Assumption
from dsl.polynomial import (
    Polynomial,
    PolynomialTooLarge,
    Weight,
    names_of,
    show_weight,
    terms_of,
    total_degree,
)
from dsl.scope import ScopeBuilder
from dsl.types import Bool, Int, Rat, Variable
from dsl.work import WORK_MAX


def check_assumptions(
    place: ScopeBuilder,
    items: list[s.Assume],
    rationals: tuple[Variable, ...],
    discipline: Discipline,
) -> tuple[Assumption, ...]:
    """What is assumed, in order; faults are reported, that no values of the unknowns meet all of it among them."""
    faults = place.faults
    before = len(faults.found)
    found: list[Assumption] = []
    for item in items:
        assumption = _assumption(place, item, rationals, discipline)
        if assumption is not None:
            found.append(assumption)
    if len(faults.found) > before or any(not isinstance(v.type, Rat) for v in rationals):
        return tuple(found)
    if not can_hold(rationals, tuple(found)):
        _report_contradiction(place, items, rationals, found)
    return tuple(found)


def _report_contradiction(
    place: ScopeBuilder,
    items: list[s.Assume],
    rationals: tuple[Variable, ...],
    found: list[Assumption],
) -> None:
    """Report the first assumption that cannot hold beside those above it."""
    fine = 0
    while can_hold(rationals, tuple(found[: fine + 1])):
        fine += 1
    message = "no values of the unknowns meet this assumption"
    if fine:
        message += " and those above it"
    note = f"it says {_show(found[fine])}"
    place.faults.add("G063", message, items[fine].condition, note=note)


def can_hold(rationals: tuple[Variable, ...], assumptions: tuple[Assumption, ...]) -> bool:
    """Whether some values of the unknowns within their ranges meet every assumption."""
    box: list[tuple[Fraction, Fraction]] = []
    for v in rationals:
        if not isinstance(v.type, Rat) or v.type.low is None or v.type.high is None:
            raise ValueError(f"{v.name} has no range")
        box.append((v.type.low, v.type.high))
    rows: list[tuple[list[Fraction], Fraction, bool]] = []
    for assumption in assumptions:
        factors = dict(terms_of(assumption.difference))
        row = [factors.get(((v.name, 1),), Fraction(0)) for v in rationals]
        rows.append((row, factors.get((), Fraction(0)), assumption.exact))
    return find_point(box, rows) is not None


def _assumption(
    place: ScopeBuilder,
    item: s.Assume,
    rationals: tuple[Variable, ...],
    discipline: Discipline,
) -> Assumption | None:
    condition, faults = item.condition, place.faults
    before = len(faults.found)
    if not isinstance(condition, s.Compare) or len(condition.ops) != 1:
        hint = "write each as an `assume` of its own"
        joined = isinstance(condition, s.Binary) and condition.op == "and"
        if not isinstance(condition, s.Compare) and not joined:
            hint = "assume 2 * p <= q"
        message = "an assumption is one comparison <=, >= or == of linear expressions"
        faults.add("G054", message, condition, help=hint)
        return None
    (op,) = condition.ops
    if op not in ("<=", ">=", "=="):
        message = f"an assumption compares with <=, >= or ==, found {op}"
        hint = "an assumption cannot cut out single values: leave it out"
        if op in ("<", ">"):
            hint = f"write {op}=, which leaves the border in"
        faults.add("G054", message, condition, help=hint)
        return None
    place.expect(condition, Bool(), {}, "an assumption")
    if len(faults.found) > before:
        return None
    condition = elaborate(place, condition, Bool(), {})
    if place.bounded_work(condition, {}, "this assumption") > WORK_MAX:
        return None
    left, right = condition.operands
    env = {v.name: Reads(False, {v.name: 1}) for v in rationals}
    for side in (left, right):
        discipline.reads(side, env)
    if len(faults.found) > before:
        return None
    if not all(isinstance(place.kind_of(side, {}), Int | Rat) for side in (left, right)):
        faults.add("G054", "an assumption compares numbers", condition)
        return None
    below, above = _linear(place, left, rationals), _linear(place, right, rationals)
    if below is None or above is None:
        return None
    difference = below - above if op == ">=" else above - below
    return Assumption(difference, op == "==")


def _linear(place: ScopeBuilder, side: s.Expr, rationals: tuple[Variable, ...]) -> Weight | None:
    """One side of an assumption, or None where it is not linear or has no value."""
    local = {v.name: Polynomial.variable(v.name) for v in rationals}
    try:
        value = Evaluator(place.names()).value(side, dict(local))
    except EvaluationFault as fault:
        place.faults.add(fault.code, fault.message, fault.node, note=fault.met)
        return None
    except PolynomialTooLarge:
        place.faults.add("G055", "an assumption is linear, this has too many terms", side)
        return None
    if total_degree(value) > 1:
        names = " and ".join(sorted(names_of(value)))
        note = f"it is {show_weight(value)}"
        message = f"an assumption is linear in the unknowns, this multiplies {names}"
        if " and " not in names:
            message = f"an assumption is linear in the unknowns, this has a power of {names}"
        place.faults.add("G055", message, side, note=note)
        return None
    return value if isinstance(value, Polynomial) else Fraction(value)


def _show(assumption: Assumption) -> str:
    factors = dict(terms_of(assumption.difference))
    constant = factors.get((), Fraction(0))
    rest = assumption.difference - constant
    sign = "==" if assumption.exact else ">="
    return f"{show_weight(rest)} {sign} {-constant}"
