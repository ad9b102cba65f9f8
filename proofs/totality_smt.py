"""Z3's side of totality: every obligation of a machine as a formula, and the points at which one fails.

An obligation is demanded under the tests that guard it, for all values of the declared types. A point that Z3 finds counts
only after the reference interpreter has failed there too. That numbers stay within 4,096 bits is left to the kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeAlias, assert_never, cast

from dsl import syntax as s
from dsl.interp import BUILT_INS, EvaluationFault, Evaluator, require_range, show_range
from dsl.machine import Program, Task
from dsl.printer import print_expression
from dsl.scope import names_read
from dsl.types import Array, Bool, Enum, Int, Rat, Type, Value, Variable, cardinality
from proofs.kernel.totality import Broken, Root, Unproved
from proofs.premises import Premise, with_helpers
from proofs.prover import Answer, Sat, Unknown, Unsat, prove
from proofs.smtlib import (
    Binding,
    Encoded,
    Encoder,
    Local,
    Lookup,
    Term,
    decimal,
    flatten,
    leaves_of,
    literal,
    numeral,
    scalar,
    spread,
    symbol,
    to_real,
    variable,
    widen,
    wrap_text,
)
from proofs.smtlib_world import (
    Vocabulary,
    code_vocabulary,
    declared_items,
    define,
    enum_lines,
    let_leaves,
    mentions,
)

SHRINKING_STEPS_MAX = 60


@dataclass(frozen=True, slots=True)
class Obligation:
    """One thing that must hold for an expression to have a value: its code, in words, where, and as a formula."""

    code: str
    what: str
    node: s.Node
    root: int
    formula: str


def obligations(task: Task, program: Program | None = None) -> list[Obligation]:
    """What must hold for the declarations to be total, or, given a program, for its code."""
    return _Listing(task, program).obligations


def find_broken(
    task: Task, program: Program | None = None, *, rlimit: int
) -> tuple[list[Broken], list[Unproved], int]:
    """What fails, with a point where it does, what is left open, and the rlimit used; for the declarations, or for code.

    One question for everything comes first; obligations are asked about one by one only if that leaves doubts.
    """
    listing = _Listing(task, program)
    if not listing.obligations:
        return [], [], 0
    answer = prove(listing.premise(), rlimit=rlimit)
    used = answer.rlimit_used
    broken: list[Broken] = []
    unproved: list[Unproved] = []
    if isinstance(answer, Unsat):
        return broken, unproved, used
    for i in range(len(listing.obligations)):
        finder = _Finder(listing, i, rlimit)
        found = finder.find()
        used += finder.used
        if isinstance(found, Unproved):
            unproved.append(found)
        elif isinstance(found, Broken) and not any(b.node is found.node for b in broken):
            broken.append(found)
    return broken, unproved, used


# --- obligations ---------------------------------------------------------------------------------

Guard: TypeAlias = str | tuple[Binding, ...]
"""A test under which something is evaluated, or bindings in whose scope it stands."""
Path: TypeAlias = tuple[Guard, ...]


def _under(path: Path, formula: str) -> str:
    for guard in reversed(path):
        if isinstance(guard, str):
            formula = f"(=> {guard} {formula})"
        else:
            formula = wrap_text(guard, formula)
    return formula


def _within(value: Encoded, kind: Type) -> str | None:
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
            parts = [p for v in spread(value).items if (p := _within(v, item)) is not None]
            return f"(and {' '.join(parts)})" if parts else None
        case _:
            return None


def _range_words(kind: Type) -> str:
    return _range_words(kind.item) if isinstance(kind, Array) else show_range(kind)


class _Walker:
    """Collects what an expression demands, under the tests and bindings on the way to it."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.encoder = Encoder(vocabulary)
        self.names = vocabulary.names
        self.found: list[tuple[str, str, s.Node, str]] = []

    def demand(self, code: str, what: str, node: s.Node, path: Path, formula: str | None) -> None:
        """Add an obligation, unless it holds by its form."""
        if formula is not None:
            self.found.append((code, " ".join(what.split()), node, _under(path, formula)))

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
            self.demand("G014", what, expr, path, _within(value, kind))
            return
        for parameter, arg in zip(
            self.names.functions[expr.name].parameters, expr.args, strict=True
        ):
            value = self.encoder.value(arg, local)
            what = f"{parameter.name} in {print_expression(expr)} stays within {_range_words(parameter.type)}"
            self.demand("G012", what, arg, path, _within(value, parameter.type))

    def _index(self, expr: s.Index, local: Local, path: Path) -> None:
        array = self.encoder.value(expr.array, local)
        length = array.kind.length if isinstance(array, Lookup) else len(spread(array).items)
        index = self.encoder.value(expr.index, local)
        what = f"the index of {print_expression(expr)} is within 0..{length - 1}"
        self.demand("G014", what, expr.index, path, _within(index, Int(0, length - 1)))

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
            value = _within(self.encoder.value(entry.value, local), drawn.type)
            what = f"{drawn.name} stays within {_range_words(drawn.type)}"
            if value is not None:
                # only what is drawn with a positive weight must keep the range
                self.demand("G012", what, dist, path, f"(=> (> {weight} 0.0) {value})")
        total = weights[0] if len(weights) == 1 else f"(+ {' '.join(weights)})"
        self.demand("G016", f"the weights of {drawn.name} sum to 1", dist, path, f"(= {total} 1.0)")


# --- all expressions of a machine ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Entry:
    """A root with what surrounds it: its vocabulary and the variables it may read, by the name of their constants."""

    root: Root
    vocabulary: Vocabulary
    free: tuple[tuple[str, Variable], ...]


class _Listing:
    """Every obligation of the declarations, or of code, in one text."""

    def __init__(self, task: Task, program: Program | None) -> None:
        self.task, self.program = task, program
        self.entries: list[_Entry] = []
        self.obligations: list[Obligation] = []
        self.constants: dict[str, Variable] = {}
        self.domains: list[str] = []
        self.macros: list[str] = []
        names = task.names if program is None else program.names
        if program is None:
            self.vocabulary = Vocabulary(names, declared_items(task))
            self._functions(list(names.functions))
            self._world()
        else:
            self.vocabulary = code_vocabulary(program)
            self._functions([n for n in names.functions if n not in task.shared.functions])
            self._policy(program)
        self.names = names
        self._merge()

    def premise(self, *, broken: int | None = None, extra: Sequence[str] = ()) -> Premise:
        """That all obligations hold; or the question where one fails while those before it hold."""
        facts = [
            "(set-logic ALL)",
            *enum_lines(self.names),
            *self.vocabulary.lines,
            "; the variables",
        ]
        for name, v in self.constants.items():
            facts += [
                f"(declare-const {symbol(leaf)} {sort})" for leaf, sort in leaves_of(name, v.type)
            ]
        facts += self.domains
        goals = [*self.macros]
        for i, o in enumerate(self.obligations):
            goals += [f"; {o.what}", f"(define-fun holds.{i} () Bool {o.formula})"]
        if broken is None:
            every = " ".join(f"holds.{i}" for i in range(len(self.obligations)))
            goals.append(f"(assert (not (and {every})))")
            title = f"Machine {self.task.declarations.name}: every expression has a value."
        else:
            goals += [f"(assert holds.{i})" for i in self._before(broken)]
            goals.append(f"(assert (not holds.{broken}))")
            title = f"Machine {self.task.declarations.name}: {self.obligations[broken].what}."
        text = "\n".join([*goals, *extra, "(check-sat)", ""])
        return Premise(title, with_helpers("\n".join([*facts, ""]), text), text)

    def _before(self, broken: int) -> list[int]:
        """The obligations that are met before this one is: those of what its root reads, and of its root."""
        root = self.obligations[broken].root
        read = {name for name, _, _ in self.entries[root].root.before}
        return [
            i
            for i, o in enumerate(self.obligations[:broken])
            if o.root == root or self.entries[o.root].root.what in read
        ]

    def _merge(self) -> None:
        """Join what a comprehension demands of one node again and again."""
        joined: dict[tuple[int, str, int], list[Obligation]] = {}
        for o in self.obligations:
            joined.setdefault((id(o.node), o.what, o.root), []).append(o)
        self.obligations = [
            group[0]
            if len(group) == 1
            else replace(group[0], formula=f"(and {' '.join(o.formula for o in group)})")
            for group in joined.values()
        ]

    # --- roots -----------------------------------------------------------------------------------

    def _declare(self, name: str, v: Variable) -> None:
        self.constants[name] = v
        domain = _domain(variable(name, v.type), v.type)
        self.domains += [f"(assert {d})" for d in domain]

    def _functions(self, names: list[str]) -> None:
        functions = self.vocabulary.names.functions
        self.vocabulary.need([s.Call(n, ()) for n in names])
        for name in names:
            function = functions[name]
            free = tuple((f"{name}.{p.name}", p) for p in function.parameters)
            for constant, p in free:
                self._declare(constant, p)
            local = {p.name: variable(constant, p.type) for constant, p in free}
            root = Root(f"the result of {name}", function.body, function.result, ())
            self._expression(_Entry(root, self.vocabulary, free), local)

    def _world(self) -> None:
        task = self.task
        trees = [i.dist if isinstance(i, s.Chance) else i.value for i in task.plan]
        self.vocabulary.need([*trees, task.reward, *([] if task.done is None else [task.done])])
        free = [(v.name, v) for v in (*task.states, *task.actions)]
        for name, v in free:
            self._declare(name, v)
        kinds = {v.name: v for v in task.chances}
        types = {v.name: v.type for v in task.states}
        local: dict[str, Encoded] = {name: variable(name, v.type) for name, v in free}
        before: list[tuple[str, s.Expr, Type | None]] = []
        for item in task.plan:
            match item:
                case s.Chance(name, _, dist):
                    self._draw(kinds[name], dist, tuple(free), local, before)
                    free.append((name, kinds[name]))
                    local[name] = variable(name, kinds[name].type)
                case s.Next(name, value):
                    self._step(f"{name}'", value, types[name], free, local, before)
                case s.Define(name, value):
                    self._step(name, value, None, free, local, before)
        root = Root("reward", task.reward, None, _read_before(task.reward, before))
        self._expression(_Entry(root, self.vocabulary, tuple(free)), local)
        if task.done is not None:
            root = Root("done", task.done, None, ())
            states = tuple((v.name, v) for v in task.states)
            self._expression(_Entry(root, self.vocabulary, states), local)

    def _draw(
        self,
        drawn: Variable,
        dist: s.Dist,
        free: tuple[tuple[str, Variable], ...],
        local: Local,
        before: list[tuple[str, s.Expr, Type | None]],
    ) -> None:
        root = Root(drawn.name, dist, drawn.type, _read_before(dist, before))
        entry = _Entry(root, self.vocabulary, free)
        walker = _Walker(self.vocabulary)
        walker.walk_dist(dist, drawn, local, ())
        self._take(entry, walker)
        self._declare(drawn.name, drawn)
        if cardinality(drawn.type) is None:
            # a type without end: what the distribution mentions
            self.macros.append(f"(assert {mentions(self.vocabulary, dist, drawn, local).text})")

    def _step(
        self,
        name: str,
        value: s.Expr,
        kind: Type | None,
        free: list[tuple[str, Variable]],
        local: dict[str, Encoded],
        before: list[tuple[str, s.Expr, Type | None]],
        title: str | None = None,
    ) -> None:
        """One definition, which later expressions may read."""
        root = Root(name, value, kind, _read_before(value, before))
        encoded = self._expression(_Entry(root, self.vocabulary, tuple(free)), local)
        leaves, read = let_leaves(title or name, encoded, "")
        for (leaf, sort), term in zip(leaves, flatten(encoded), strict=True):
            self.macros.append(define(leaf, [], sort, term.text))
        local[name] = read
        before.append((name, value, kind))

    def _policy(self, program: Program) -> None:
        kinds = {v.name: v.type for v in self.task.actions}
        self.vocabulary.need([x.value for x in program.policy.body])
        free = [(v.name, v) for v in self.task.observed]
        for name, v in free:
            self._declare(name, v)
        local: dict[str, Encoded] = {name: variable(name, v.type) for name, v in free}
        before: list[tuple[str, s.Expr, Type | None]] = []
        for statement in program.policy.body:
            name = statement.name
            self._step(
                name, statement.value, kinds.get(name), free, local, before, title=f"policy.{name}"
            )

    def _expression(self, entry: _Entry, local: Local) -> Encoded:
        """Take the obligations of a root; its value."""
        root, walker = entry.root, _Walker(entry.vocabulary)
        tree = cast(s.Expr, root.tree)
        walker.walk(tree, local, ())
        value = walker.encoder.value(tree, local)
        if root.kind is not None:
            value = widen(value, root.kind)
            what = f"{root.what} stays within {_range_words(root.kind)}"
            walker.demand("G012", what, tree, (), _within(value, root.kind))
        self._take(entry, walker)
        return value

    def _take(self, entry: _Entry, walker: _Walker) -> None:
        index = len(self.entries)
        self.entries.append(entry)
        self.obligations += [Obligation(c, w, n, index, f) for c, w, n, f in walker.found]


def _read_before(
    tree: s.Node, before: list[tuple[str, s.Expr, Type | None]]
) -> tuple[tuple[str, s.Expr, Type | None], ...]:
    """The definitions that a tree reads, and those that these read, in order."""
    read = names_read(tree)
    found = []
    for name, value, kind in reversed(before):
        if name in read:
            read |= names_read(value)
            found.append((name, value, kind))
    return tuple(reversed(found))


def _domain(value: Encoded, kind: Type) -> list[str]:
    match kind:
        case Bool():
            return []
        case Enum(_, members):
            return [f"(<= 0 {scalar(value).text} {len(members) - 1})"]
        case Array(_, _, item):
            return [d for v in spread(value).items for d in _domain(v, item)]
        case Int() | Rat():
            found = _within(value, kind)
            return [] if found is None else [found]
        case _:
            assert_never(kind)


# --- points --------------------------------------------------------------------------------------


class _Finder:
    """Looks for a point at which one obligation fails, the smallest it can find."""

    def __init__(self, listing: _Listing, index: int, rlimit: int) -> None:
        self.listing, self.index, self.rlimit = listing, index, rlimit
        self.obligation = listing.obligations[index]
        self.entry = listing.entries[self.obligation.root]
        self.used = 0
        self.steps = 0

    def find(self) -> Broken | Unproved | None:
        """A failing point, a doubt, or None where the obligation is proved or another one fails first."""
        answer = self._ask(())
        if isinstance(answer, Unsat):
            return None
        if isinstance(answer, Unknown):
            return self._doubt(
                f"Z3 does not decide whether {self.obligation.what}: {answer.reason}"
            )
        free = self._free()
        try:
            point = self._shrink(free, answer.model)
        except ValueError as error:
            return self._doubt(str(error))
        return self._replay(point, free)

    def _ask(self, extra: tuple[str, ...]) -> Answer:
        self.steps += 1
        premise = self.listing.premise(broken=self.index, extra=extra)
        answer = prove(premise, rlimit=self.rlimit, model=True)
        self.used += answer.rlimit_used
        return answer

    def _free(self) -> list[tuple[str, Variable]]:
        root = self.entry.root
        read = names_read(root.tree).union(*(names_read(value) for _, value, _ in root.before))
        return [(c, v) for c, v in self.entry.free if v.name in read]

    def _shrink(self, free: list[tuple[str, Variable]], model: dict[str, str]) -> dict[str, Any]:
        """Values of the variables, those declared first made as small as they can be."""
        fixed: list[str] = []
        for constant, v in free:
            for leaf, kind in _leaf_kinds(constant, v.type):
                model = self._shrink_leaf(symbol(leaf), kind, fixed, model)
                value = _read(model.get(symbol(leaf)), kind)
                fixed.append(
                    f"(assert (= {symbol(leaf)} {scalar(literal(value, _plain(kind))).text}))"
                )
        return {v.name: _value(constant, v.type, model) for constant, v in free}

    def _shrink_leaf(
        self, name: str, kind: Type, fixed: list[str], model: dict[str, str]
    ) -> dict[str, str]:
        """A model in which one variable is as near to 0 as it can be; of rationals only 0 itself is tried."""
        low, high = -1, abs(int(_read(model.get(name), kind)))
        while high - low > 1 and self.steps < SHRINKING_STEPS_MAX:
            # `low` is out of reach and `high` is reached; 0 comes first, since it mostly will do
            middle = 0 if low < 0 else (low + high) // 2
            answer = self._ask((*fixed, f"(assert {_at_most(name, kind, middle)})"))
            if isinstance(answer, Sat):
                model = answer.model
                high = abs(int(_read(model.get(name), kind)))
            else:
                low = middle
            if isinstance(kind, Rat):
                break
        return model

    def _doubt(self, why: str) -> Unproved:
        return Unproved(self.obligation.code, why, self.obligation.node)

    def _replay(
        self, point: dict[str, Any], free: list[tuple[str, Variable]]
    ) -> Broken | Unproved | None:
        """Evaluate the root at the point, as the interpreter does."""
        root = self.entry.root
        local = dict(point)
        evaluator = Evaluator(self.entry.vocabulary.names)
        try:
            for name, value, kind in root.before:
                local[name] = evaluator.value(value, local)
                if kind is not None:
                    require_range(kind, local[name], name, value)
        except EvaluationFault:
            return None  # what it reads fails there; that is found with its own obligations
        try:
            if isinstance(root.tree, s.DIST_NODES):
                for drawn, _ in evaluator.distribution(root.tree, local):
                    require_range(cast(Type, root.kind), drawn, root.what, root.tree)
            else:
                result = evaluator.value(root.tree, local)
                if root.kind is not None:
                    require_range(root.kind, result, root.what, root.tree)
        except EvaluationFault as fault:
            shown = tuple((v.name, v.type, point[v.name]) for _, v in free)
            return Broken(fault.code, fault.message, fault.node, shown, fault.met)
        at = ", ".join(f"{name} = {value}" for name, value in point.items())
        return self._doubt(
            f"our encoding disagrees with the interpreter: {self.obligation.what}, but not for Z3 at {at}"
        )


def _at_most(name: str, kind: Type, bound: int) -> str:
    match kind:
        case Bool():
            return f"(not {name})"
        case Rat():
            return f"(= {name} {decimal(bound)})"
        case _:
            return f"(<= {numeral(-bound)} {name} {numeral(bound)})"


def _leaf_kinds(name: str, kind: Type) -> list[tuple[str, Type]]:
    if isinstance(kind, Array):
        return [x for i in range(kind.length) for x in _leaf_kinds(f"{name}.{i}", kind.item)]
    return [(name, kind)]


def _plain(kind: Type) -> Type:
    """Enum members by number, as models give them."""
    return Int() if isinstance(kind, Enum) else kind


def _read(text: str | None, kind: Type) -> Any:
    """A scalar of a model; where the model leaves it open, the value of the type that is nearest to 0."""
    match kind:
        case Bool():
            return text == "True"
        case Int(low, high) | Rat(low, high) if text is None:
            return 0 if low is None or high is None else max(low, min(0, high))
        case Rat():
            return Fraction(cast(str, text))
        case _:
            return int(text or 0)


def _value(name: str, kind: Type, model: dict[str, str]) -> Value:
    if isinstance(kind, Array):
        return tuple(_value(f"{name}.{i}", kind.item, model) for i in range(kind.length))
    return cast(Value, _read(model.get(symbol(name)), kind))


__all__ = ["Obligation", "find_broken", "obligations"]
