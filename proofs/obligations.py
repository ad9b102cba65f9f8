"""What an expression demands so as to have a value: each obligation as a formula, under the tests that guard it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias, assert_never, cast

from dsl import syntax as s
from dsl.interp import BUILT_INS, show_range
from dsl.printer import print_expression
from dsl.types import Array, Int, Rat, Type, Variable
from proofs.encoder import Encoder
from proofs.smtlib import (
    Binding,
    Encoded,
    Local,
    Lookup,
    Term,
    decimal,
    numeral,
    scalar,
    spread,
    to_real,
    wrap_text,
)
from proofs.smtlib_world import Vocabulary


@dataclass(frozen=True, slots=True)
class Obligation:
    """One thing that must hold for an expression to have a value: its code, in words, where, and as a formula."""

    code: str
    what: str
    node: s.Node
    root: int
    formula: str


Guard: TypeAlias = str | tuple[Binding, ...]
"""A test under which something is evaluated, or bindings in whose scope it stands."""
Path: TypeAlias = tuple[Guard, ...]


def under(path: Path, formula: str) -> str:
    """A formula under the tests and bindings of a path."""
    for guard in reversed(path):
        if isinstance(guard, str):
            formula = f"(=> {guard} {formula})"
        else:
            formula = wrap_text(guard, formula)
    return formula


def within(value: Encoded, kind: Type) -> str | None:
    """That a value keeps the range of a type; None where the type has none or a literal keeps it."""
    match kind:
        case Int(int() as low, int() as high):
            term = scalar(value)
            if term.number is not None and low <= term.number <= high:
                return None
            return f"(<= {numeral(low)} {term.text} {numeral(high)})"
        case Rat(Fraction() as least, Fraction() as most):
            return f"(<= {decimal(least)} {to_real(scalar(value)).text} {decimal(most)})"
        case Array(_, _, item):
            parts = [p for v in spread(value).items if (p := within(v, item)) is not None]
            return f"(and {' '.join(parts)})" if parts else None
        case _:
            return None


def range_words(kind: Type) -> str:
    """The range of a type as it is written: `0..40`."""
    return range_words(kind.item) if isinstance(kind, Array) else show_range(kind)


class Walker:
    """Collects what an expression demands, under the tests and bindings on the way to it."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.encoder = Encoder(vocabulary)
        self.names = vocabulary.names
        self.found: list[tuple[str, str, s.Node, str]] = []

    def demand(self, code: str, what: str, node: s.Node, path: Path, formula: str | None) -> None:
        """Add an obligation, unless it holds by its form."""
        if formula is not None:
            self.found.append((code, " ".join(what.split()), node, under(path, formula)))

    def walk(self, expr: s.Expr, local: Local, path: Path) -> None:
        """Add what an expression and everything below it demands."""
        match expr:
            case s.Binary(op, left, right):
                self._binary(expr, op, left, right, local, path)
            case s.Compare():
                self._compare(expr, local, path)
            case s.If(test, then, otherwise):
                self.walk(test, local, path)
                condition = self._test(test, local)
                self.walk(then, local, (*path, condition))
                self.walk(otherwise, local, (*path, f"(not {condition})"))
            case s.Let(name, value, body):
                self.walk(value, local, path)
                inner, bindings, _ = self.encoder.bind_local(name, value, local)
                self.walk(body, inner, (*path, tuple(bindings)))
            case s.Match():
                for body_node, inner_path in self._arms(expr, local, path):
                    self.walk(cast(s.Expr, body_node), local, inner_path)
            case s.Call():
                self._call(expr, local, path)
            case s.Index(array, index):
                self.walk(array, local, path)
                self.walk(index, local, path)
                self._index(expr, local, path)
            case s.ArrayFor(var, low, high, body):
                for i in self.encoder.turns(low, high):
                    self.walk(body, {**local, var: Term(numeral(i), "Int", i)}, path)
            case _:
                for child in s.children(expr):
                    self.walk(cast(s.Expr, child), local, path)

    def _test(self, expr: s.Expr, local: Local) -> str:
        return scalar(self.encoder.value(expr, local)).text

    def _binary(
        self, expr: s.Expr, op: str, left: s.Expr, right: s.Expr, local: Local, path: Path
    ) -> None:
        self.walk(left, local, path)
        if op in ("and", "implies"):
            path = (*path, self._test(left, local))
        elif op == "or":
            path = (*path, f"(not {self._test(left, local)})")
        self.walk(right, local, path)
        if op in ("/", "div", "mod"):
            divisor = scalar(self.encoder.value(right, local))
            if not divisor.number:
                what = f"the divisor of {print_expression(expr)} is not 0"
                zero = "0.0" if divisor.sort == "Real" else "0"
                self.demand("G013", what, right, path, f"(not (= {divisor.text} {zero}))")

    def _compare(self, expr: s.Compare, local: Local, path: Path) -> None:
        for i, operand in enumerate(expr.operands):
            if i >= 2:
                made = s.Compare((expr.ops[i - 2],), expr.operands[i - 2 : i])
                path = (*path, self._test(made, local))
            self.walk(operand, local, path)

    def _arms(
        self, match: s.Match | s.DistMatch, local: Local, path: Path
    ) -> list[tuple[s.Node, Path]]:
        """The bodies of a match, each with the path to it; demands that some arm is taken."""
        self.walk(match.subject, local, path)
        subject, bindings, _ = self.encoder.bound_subject(match.subject, local)
        path = (*path, tuple(bindings))
        tests: list[str] = []
        bodies: list[tuple[s.Node, Path]] = []
        for arm in match.arms:
            test = self.encoder.patterns(subject, arm.patterns)
            bodies.append((arm.body, (*path, *(f"(not {t})" for t in tests), test)))
            tests.append(test)
        if match.otherwise is not None:
            bodies.append((match.otherwise, (*path, *(f"(not {t})" for t in tests))))
        else:
            what = f"match {print_expression(match.subject)} has an arm for every value"
            self.demand("G015", what, match, path, f"(or false {' '.join(tests)})")
        return bodies

    def _call(self, expr: s.Call, local: Local, path: Path) -> None:
        for arg in expr.args:
            self.walk(arg, local, path)
        if expr.name in BUILT_INS:
            return
        enum = self.names.enums.get(expr.name)
        if enum is not None:
            kind = Int(0, len(enum.members) - 1)
            value = self.encoder.value(expr.args[0], local)
            what = f"the number in {print_expression(expr)} is within 0..{kind.high}"
            self.demand("G014", what, expr, path, within(value, kind))
            return
        for parameter, arg in zip(
            self.names.functions[expr.name].parameters, expr.args, strict=True
        ):
            value = self.encoder.value(arg, local)
            what = f"{parameter.name} in {print_expression(expr)} stays within {range_words(parameter.type)}"
            self.demand("G012", what, arg, path, within(value, parameter.type))

    def _index(self, expr: s.Index, local: Local, path: Path) -> None:
        array = self.encoder.value(expr.array, local)
        length = array.kind.length if isinstance(array, Lookup) else len(spread(array).items)
        index = self.encoder.value(expr.index, local)
        what = f"the index of {print_expression(expr)} is within 0..{length - 1}"
        self.demand("G014", what, expr.index, path, within(index, Int(0, length - 1)))

    # --- distributions ---------------------------------------------------------------------------

    def walk_dist(self, dist: s.Dist, drawn: Variable, local: Local, path: Path) -> None:
        """Add what a distribution demands: of its expressions, its weights, and the values drawn."""
        match dist:
            case s.DistMap(entries):
                self._weights(dist, [(e, local) for e in entries], drawn, path)
            case s.DistFor(var, low, high, entry):
                turns = self.encoder.turns(low, high)
                inners = [{**local, var: Term(numeral(i), "Int", i)} for i in turns]
                self._weights(dist, [(entry, inner) for inner in inners], drawn, path)
            case s.DistIf(test, then, otherwise):
                self.walk(test, local, path)
                condition = self._test(test, local)
                self.walk_dist(then, drawn, local, (*path, condition))
                self.walk_dist(otherwise, drawn, local, (*path, f"(not {condition})"))
            case s.DistLet(name, value, body):
                self.walk(value, local, path)
                inner_local, bindings, _ = self.encoder.bind_local(name, value, local)
                self.walk_dist(body, drawn, inner_local, (*path, tuple(bindings)))
            case s.DistMatch():
                for body_node, inner_path in self._arms(dist, local, path):
                    self.walk_dist(cast(s.Dist, body_node), drawn, local, inner_path)
            case _:
                assert_never(dist)

    def _weights(
        self, dist: s.Dist, entries: list[tuple[s.Weighted, Local]], drawn: Variable, path: Path
    ) -> None:
        weights: list[str] = []
        for entry, local in entries:
            self.walk(entry.value, local, path)
            self.walk(entry.weight, local, path)
            weight = to_real(scalar(self.encoder.value(entry.weight, local))).text
            weights.append(weight)
            if not isinstance(entry.weight, (s.IntLit, s.RatLit)) or entry.weight.value < 0:
                what = f"the weight {print_expression(entry.weight)} is at least 0"
                self.demand("G016", what, entry.weight, path, f"(>= {weight} 0.0)")
            value = within(self.encoder.value(entry.value, local), drawn.type)
            what = f"{drawn.name} stays within {range_words(drawn.type)}"
            if value is not None:
                # only what is drawn with a positive weight must keep the range
                self.demand("G012", what, dist, path, f"(=> (> {weight} 0.0) {value})")
        total = weights[0] if len(weights) == 1 else f"(+ {' '.join(weights)})"
        self.demand("G016", f"the weights of {drawn.name} sum to 1", dist, path, f"(= {total} 1.0)")
