"""What an expression demands so as to have a value: each obligation as a formula, under the tests that guard it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, assert_never, cast

from dsl import syntax as s
from dsl.interp import BUILT_INS, show_range
from dsl.types import Array, Int, Type, Variable
from proofs.encoder import Encoder
from proofs.smtlib import (
    Binding,
    Local,
    Lookup,
    Term,
    bits_numeral,
    chain_turns,
    limited,
    numeral,
    scalar,
    spread,
    to_real,
    width_of,
    wrap_text,
)
from proofs.smtlib_world import Vocabulary, show_tree, within


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


def range_words(kind: Type) -> str:
    """The range of a type as it is written: `0..40`."""
    return range_words(kind.item) if isinstance(kind, Array) else show_range(kind)


Found: TypeAlias = tuple[str, str, s.Node, str]
"""What is demanded: its code, in words, of which node, and as a formula."""

BITS_OPERATIONS = frozenset("int sint ult ule slt sle udiv urem sdiv srem ashr".split())


def _by_node(
    turns: list[list[Found]],
) -> dict[tuple[str, str, int], tuple[s.Node, list[tuple[str, ...]]]]:
    """The formulas of each thing that is demanded of a node, turn by turn."""
    joined: dict[tuple[str, str, int], tuple[s.Node, list[tuple[str, ...]]]] = {}
    for i, found in enumerate(turns):
        for code, what, node, formula in found:
            key = code, what, id(node)
            parts = joined.setdefault(key, (node, [() for _ in turns]))[1]
            parts[i] = (*parts[i], formula)
    return joined


def _while_open(tests: list[str], parts: list[tuple[str, ...]]) -> str:
    """The formulas of every turn, each under the tests of the turns before it."""
    last = max(i for i, texts in enumerate(parts) if texts)
    opened = [
        f"(and {' '.join((*texts, 'true'))} (=> {test} "
        for test, texts in zip(tests[:last], parts, strict=False)
    ]
    return limited("".join(opened) + f"(and {' '.join(parts[last])} true)" + "))" * last)


class Walker:
    """Collects what an expression demands, under the tests and bindings on the way to it."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.encoder = Encoder(vocabulary)
        self.names = vocabulary.names
        self.found: list[Found] = []

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
            case s.BitsOp():
                self._bits(expr, local, path)
            case s.With():
                self._with(expr, local, path)
            case s.Fold():
                self._fold(expr, local, path)
            case s.Quantifier():
                self._quantifier(expr, local, path)
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
                what = f"the divisor of {show_tree(expr)} is not 0"
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
            what = f"match {show_tree(match.subject)} has an arm for every value"
            self.demand("G015", what, match, path, f"(or false {' '.join(tests)})")
        return bodies

    def _call(self, expr: s.Call, local: Local, path: Path) -> None:
        for arg in expr.args:
            self.walk(arg, local, path)
        if expr.name in BUILT_INS or expr.name in BITS_OPERATIONS:
            return
        enum = self.names.enums.get(expr.name)
        if enum is not None:
            kind = Int(0, len(enum.members) - 1)
            value = self.encoder.value(expr.args[0], local)
            what = f"the number in {show_tree(expr)} is within 0..{kind.high}"
            self.demand("G014", what, expr, path, within(value, kind))
            return
        for parameter, arg in zip(
            self.names.functions[expr.name].parameters, expr.args, strict=True
        ):
            value = self.encoder.value(arg, local)
            what = (
                f"{parameter.name} in {show_tree(expr)} stays within {range_words(parameter.type)}"
            )
            self.demand("G012", what, arg, path, within(value, parameter.type))

    def _index(self, expr: s.Index, local: Local, path: Path) -> None:
        array = self.encoder.value(expr.array, local)
        length = array.kind.length if isinstance(array, Lookup) else len(spread(array).items)
        index = self.encoder.value(expr.index, local)
        what = f"the index of {show_tree(expr)} is within 0..{length - 1}"
        self.demand("G014", what, expr.index, path, within(index, Int(0, length - 1)))

    def _with(self, expr: s.With, local: Local, path: Path) -> None:
        self.walk(expr.array, local, path)
        array = self.encoder.value(expr.array, local)
        length = array.kind.length if isinstance(array, Lookup) else len(spread(array).items)
        for change in expr.changes:
            self.walk(change.index, local, path)
            self.walk(change.value, local, path)
            index = self.encoder.value(change.index, local)
            what = f"the index {show_tree(change.index)} of the entry is within 0..{length - 1}"
            self.demand("G014", what, change.index, path, within(index, Int(0, length - 1)))

    def _bits(self, expr: s.BitsOp, local: Local, path: Path) -> None:
        if expr.op == "literal":
            return
        args = expr.args[:1] if expr.op == "sext" else expr.args
        for arg in args:
            self.walk(arg, local, path)
        if expr.op in ("udiv", "urem", "sdiv", "srem"):
            divisor, zero = scalar(self.encoder.value(args[1], local)), bits_numeral(0, expr.width)
            if not divisor.text.startswith("#") or divisor == zero:
                what = f"the divisor of {show_tree(expr)} is not 0"
                self.demand("G013", what, args[1], path, f"(not (= {divisor.text} {zero.text}))")
        elif expr.op in ("<<", ">>", "ashr"):
            amount = scalar(self.encoder.value(args[1], local))
            given = width_of(amount) is not None or (
                amount.number is not None and amount.number >= 0
            )
            what = f"{show_tree(expr)} shifts by at least 0"
            self.demand("G031", what, args[1], path, None if given else f"(>= {amount.text} 0)")

    def _fold(self, expr: s.Fold, local: Local, path: Path) -> None:
        """Join what the turns demand of one node, each turn under the bindings of those before it."""
        self.walk(expr.start, local, path)
        value = self.encoder.value(expr.start, local)
        turns: list[list[Binding]] = []
        found: list[list[Found]] = []
        for i in self.encoder.turns(expr.low, expr.high):
            inner, bindings = self.encoder.fold_turn(expr, i, value, local)
            turns.append(bindings)
            found.append(self._apart(expr.body, inner))
            value = self.encoder.value(expr.body, inner)
        for (code, what, _), (node, parts) in _by_node(found).items():
            self.demand(code, what, node, path, chain_turns(turns, parts, "and"))

    def _quantifier(self, expr: s.Quantifier, local: Local, path: Path) -> None:
        """Join what the turns demand of one node, each turn only if those before it leave the answer open."""
        tests: list[str] = []
        found: list[list[Found]] = []
        for i in self.encoder.turns(expr.low, expr.high):
            inner = {**local, expr.var: Term(numeral(i), "Int", i)}
            found.append(self._apart(expr.body, inner))
            test = scalar(self.encoder.value(expr.body, inner)).text
            tests.append(test if expr.word == "forall" else f"(not {test})")
        for (code, what, _), (node, parts) in _by_node(found).items():
            self.demand(code, what, node, path, _while_open(tests, parts))

    def _apart(self, expr: s.Expr, local: Local) -> list[Found]:
        """What an expression demands, without adding it."""
        kept, self.found = self.found, []
        self.walk(expr, local, ())
        found, self.found = self.found, kept
        return found

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
                what = f"the weight {show_tree(entry.weight)} is at least 0"
                self.demand("G016", what, entry.weight, path, f"(>= {weight} 0.0)")
            value = within(self.encoder.value(entry.value, local), drawn.type)
            what = f"{drawn.name} stays within {range_words(drawn.type)}"
            if value is not None:
                # only what is drawn with a positive weight must keep the range
                self.demand("G012", what, dist, path, f"(=> (> {weight} 0.0) {value})")
        total = weights[0] if len(weights) == 1 else f"(+ {' '.join(weights)})"
        self.demand("G016", f"the weights of {drawn.name} sum to 1", dist, path, f"(= {total} 1.0)")
