"""Define a machine in SMT-LIB 2: constants, tables, functions, one step of the world, and the policy.

Everything is printed from the syntax trees. A definition takes the variables that it depends on: lets are looked through,
primed variables are parameters, so that `reward` may be a function of `|row'|`. Unknowns are constants, which whoever uses
the definitions declares or defines; rates are parameters, since the adversary chooses them anew each step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias, assert_never, cast

from dsl import machine
from dsl import syntax as s
from dsl.interp import Function, Globals
from dsl.machine import Program, Task
from dsl.printer import print_dist, print_expression
from dsl.scope import names_read, order
from dsl.types import Array, Bool, Enum, Int, Rat, Type, Variable
from proofs.encoder import Encoder
from proofs.smtlib import (
    NO_TICKS,
    Encoded,
    Local,
    Lookup,
    Row,
    Term,
    Ticks,
    choose,
    conjunction,
    decimal,
    equal,
    flatten,
    leaves_of,
    numeral,
    scalar,
    sort_of,
    spread,
    symbol,
    to_real,
    variable,
    widen,
    wrap,
)

Item: TypeAlias = s.Const | s.Table | s.Param | s.Def


@dataclass(frozen=True, slots=True)
class Definition:
    """A function of named variables: its symbol, the variables it takes, one term for each scalar of its value."""

    name: str
    reads: tuple[Variable, ...]
    leaves: tuple[tuple[str, str], ...]
    value: Encoded
    about: str = ""

    def lines(self) -> list[str]:
        """The `define-fun`s."""
        leaves = [leaf for v in self.reads for leaf in leaves_of(v.name, v.type)]
        found = [f"; {line}" for line in self.about.splitlines()]
        for (name, sort), term in zip(self.leaves, flatten(self.value), strict=True):
            found.append(define(name, leaves, sort, term.text))
        return found


def define(name: str, parameters: Sequence[tuple[str, str]], sort: str, body: str) -> str:
    """A `define-fun`; names are those of the author, or made of them."""
    shown = " ".join(f"({symbol(p)} {kind})" for p, kind in parameters)
    return f"(define-fun {symbol(name)} ({shown}) {sort} {body})"


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


def domain(value: Encoded, kind: Type) -> list[str]:
    """That a value is one of the type, for variables: members of enums are numbers."""
    match kind:
        case Enum(_, members):
            return [f"(<= 0 {scalar(value).text} {len(members) - 1})"]
        case Array(_, _, item):
            return [d for v in spread(value).items for d in domain(v, item)]
        case _:
            found = within(value, kind)
            return [] if found is None else [found]


def as_written(tree: s.Node) -> Any:
    """A tree with operations on bits as they stand in files."""
    below = tuple(as_written(child) for child in s.children(tree))
    if below:
        tree = s.with_children(tree, below)
    if not isinstance(tree, s.BitsOp):
        return tree
    op, args = tree.op, tree.args
    if op == "literal":
        return args[0]
    if op == "bits":
        return s.Resize("bits", s.IntLit(tree.width), args[0])
    if op == "sext":
        return s.Resize("sext", args[1], args[0])
    if op.isalpha():
        return s.Call(op, args)
    return s.Unary(op, args[0]) if len(args) == 1 else s.Binary(op, args[0], args[1])


def show_tree(tree: s.Node) -> str:
    """An expression or distribution as it stands in files."""
    written = as_written(tree)
    return print_dist(written) if isinstance(written, s.DIST_NODES) else print_expression(written)


def apply(name: str, args: str) -> str:
    """A defined function at arguments, which may be none."""
    return f"({symbol(name)} {args})" if args else symbol(name)


# --- constants, tables, functions ----------------------------------------------------------------


@dataclass(slots=True)
class Vocabulary:
    """What expressions of one scope may read beside variables, defined in SMT-LIB as far as it is used.

    `lines` grows as things are needed; `printed` holds the symbols that another scope has defined already.
    """

    names: Globals
    items: Mapping[str, Item]
    renamed: Mapping[str, str] = field(default_factory=dict)
    printed: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)
    _constants: dict[str, Encoded] = field(default_factory=dict)
    _ticks: dict[str, Ticks | None] = field(default_factory=dict)
    _members: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for enum in self.names.enums.values():
            for member in enum.members:
                self._members[member] = enum.name

    def need(self, trees: Iterable[s.Node], *, counts: bool = False) -> None:
        """Define everything that the trees read, each behind what it reads itself."""
        reads: dict[str, set[str]] = {}
        pending = sorted(set[str]().union(*map(names_read, trees)) & self.items.keys())
        while pending:
            name = pending.pop()
            if name not in reads:
                item = self.items[name]
                tree = item.body if isinstance(item, s.Def) else item.value
                reads[name] = names_read(tree) & self.items.keys()
                pending += sorted(reads[name])
        declared = list(self.items)
        for name in order(
            dict(sorted(reads.items(), key=lambda r: declared.index(r[0]))), _no_circle
        ):
            item = self.items[name]
            if isinstance(item, s.Def):
                if name not in self._ticks or (counts and self._ticks[name] is None):
                    self._define_function(self.names.functions[name], counts=counts)
            elif name not in self._constants:
                self._constants[name] = self._define_constant(name, item)

    def title(self, name: str) -> str:
        """The name under which something of this scope is defined."""
        return self.renamed.get(name, name)

    # --- what the encoder asks for ---------------------------------------------------------------

    def constant(self, name: str) -> Encoded:
        """A constant, table, parameter of the program or enum member."""
        if name in self._constants:
            return self._constants[name]
        return Term(f"{self._members[name]}.{name}", "Int")

    def call(self, name: str, args: Sequence[Encoded]) -> Encoded:
        """The result of a `def`."""
        function = self.names.functions[name]
        return _applied(self.title(name), function.result, self._arguments(function, args))

    def call_ticks(self, name: str, args: Sequence[Encoded]) -> Ticks:
        """The ticks of the body of a `def`."""
        ticks = self._ticks[name] or NO_TICKS
        if not ticks.terms:
            return ticks
        called = apply(
            f"{self.title(name)}.ticks", self._arguments(self.names.functions[name], args)
        )
        return Ticks(0, (called,))

    @staticmethod
    def _arguments(function: Function, args: Sequence[Encoded]) -> str:
        fitted = (
            widen(arg, parameter.type)
            for parameter, arg in zip(function.parameters, args, strict=True)
        )
        return " ".join(leaf.text for value in fitted for leaf in flatten(value))

    # --- definitions -----------------------------------------------------------------------------

    def _print(self, title: str, lines: Iterable[str]) -> None:
        if title not in self.printed:
            self.printed.add(title)
            self.lines += lines

    def _define_constant(self, name: str, item: s.Const | s.Table | s.Param) -> Encoded:
        kind, title = self.names.types[name], self.title(name)
        tree = self.names.tables.get(name, item) if isinstance(item, s.Table) else item
        value = widen(Encoder(self).value(tree.value, {}), kind)
        if isinstance(kind, Array):
            self._print(title, _table_lines(title, kind, value))
            return Lookup(symbol(title), (), kind)
        self._print(title, [define(title, [], sort_of(kind), scalar(value).text)])
        return Term(symbol(title), sort_of(kind))

    def _define_function(self, function: Function, *, counts: bool) -> None:
        title = self.title(function.name)
        local = {p.name: variable(p.name, p.type) for p in function.parameters}
        value, ticks = Encoder(self, counts=counts).both(function.body, local)
        self._ticks[function.name] = ticks if counts else None
        leaves = tuple(leaves_of(title, function.result))
        fitted = widen(value, function.result)
        self._print(title, Definition(title, function.parameters, leaves, fitted).lines())
        if ticks.terms:
            counted = Definition(
                f"{title}.ticks",
                function.parameters,
                ((f"{title}.ticks", "Int"),),
                Term(ticks.text, "Int"),
            )
            self._print(f"{title}.ticks", counted.lines())


def _no_circle(name: str, path: list[str]) -> None:
    raise TypeError(f"a circle of definitions reached the printer: {path}")


def _applied(name: str, kind: Type, args: str) -> Encoded:
    if isinstance(kind, Array):
        return Row(tuple(_applied(f"{name}.{i}", kind.item, args) for i in range(kind.length)))
    return Term(apply(name, args), sort_of(kind))


def _table_lines(title: str, kind: Array, value: Encoded) -> list[str]:
    """A declared function with one equality an entry."""
    name, dimensions, item = symbol(title), 1, kind.item
    while isinstance(item, Array):
        dimensions, item = dimensions + 1, item.item
    lines = [f"(declare-fun {name} ({' '.join(['Int'] * dimensions)}) {sort_of(item)})"]
    _add_entries(f"(assert (= ({name}", value, lines)
    return lines


def _add_entries(head: str, value: Encoded, lines: list[str]) -> None:
    for i, entry in enumerate(spread(value).items):
        if isinstance(entry, Term):
            lines.append(f"{head} {i}) {entry.text}))")
        else:
            _add_entries(f"{head} {i}", entry, lines)


def enum_lines(names: Globals) -> list[str]:
    """Members of enums as numbers."""
    return [
        f"(define-fun {enum.name}.{member} () Int {i})"
        for enum in names.enums.values()
        for i, member in enumerate(enum.members)
    ]


def declared_items(task: Task) -> dict[str, Item]:
    """Constants, tables and functions of the declarations, by name."""
    found = [*task.declarations.items, *task.declarations.environment.items]
    return {i.name: i for i in found if isinstance(i, Item)}


def code_items(program: Program) -> dict[str, Item]:
    """What code may read: top-level declarations and its own slots."""
    found: list[Any] = [*program.task.declarations.items, *program.code.slots]
    return {i.name: i for i in found if isinstance(i, Item)}


# --- the world -----------------------------------------------------------------------------------


class World:
    """One step of a task's world as definitions over state, actions, adversaries, rates and chance."""

    def __init__(self, task: Task, *, requirements: bool = False) -> None:
        self.task = task
        self.vocabulary = Vocabulary(task.names, declared_items(task))
        chosen = (*task.adversaries, *task.rates)
        self.kinds = {v.name: v.type for v in (*task.states, *task.actions, *chosen, *task.chances)}
        self.kinds |= {v.name + "'": v.type for v in task.states}
        self.unknowns = {
            v.name: variable(v.name, v.type) for v in (*task.unknowns, *task.rationals)
        }
        self.lets: dict[str, tuple[Encoded, frozenset[str]]] = {}
        items = _items_needed(task)
        self.vocabulary.need(_trees(task, items, requirements=requirements))
        self.steps: dict[str, Definition] = {}
        self.weights: list[Definition] = []
        self.lines: list[str] = []
        self.allowed = self._allowed()
        for item in items:
            self._define(item)
        self.reward = self._add("reward", task.reward, Rat(), f"reward = {show_tree(task.reward)}")
        self.done = None
        if task.done is not None:
            about = f"done = {show_tree(task.done)}"
            self.done = self.condition("done", task.done, about)
            self.lines += self.done.lines()
        self.start_allowed = self._start_allowed()
        self.start_lines, self.average, self.whole = self._starts()

    def condition(self, name: str, tree: s.Expr, about: str) -> Definition:
        """A test over variables of the step; its lines are the caller's."""
        encoded = Encoder(self.vocabulary).value(tree, self._locals())
        return self._definition(name, self._reads(tree), Bool(), encoded, about)

    def _allowed(self) -> Definition | None:
        """What the adversary may choose: values of the types that meet every condition."""
        task = self.task
        chosen = (*task.adversaries, *task.rates)
        if not chosen:
            return None
        parts = [d for v in chosen for d in domain(variable(v.name, v.type), v.type)]
        reads = frozenset(v.name for v in chosen)
        about = f"what the adversary may choose: {', '.join(v.name for v in chosen)}"
        for tree in task.adversary_conditions:
            parts.append(scalar(Encoder(self.vocabulary).value(tree, self._locals())).text)
            reads |= self._reads(tree)
            about += f" where {' '.join(show_tree(tree).split())}"
        found = self._definition("adversary.allowed", reads, Bool(), conjunction(parts), about)
        self.lines += found.lines()
        return found

    def _start_allowed(self) -> Definition | None:
        """Where an episode may start: values of the `any` variables that meet every condition."""
        task = self.task
        if not task.any_states:
            return None
        parts = [d for v in task.any_states for d in domain(variable(v.name, v.type), v.type)]
        about = f"where an episode may start: any {', '.join(v.name for v in task.any_states)}"
        for tree in task.start_conditions:
            parts.append(scalar(Encoder(self.vocabulary).value(tree, self._locals())).text)
            about += f" where {' '.join(show_tree(tree).split())}"
        leaf = (("start.allowed", "Bool"),)
        return Definition("start.allowed", task.any_states, leaf, conjunction(parts), about)

    def _define(self, item: s.Define | s.Chance | s.Next) -> None:
        match item:
            case s.Define(name, value):
                encoded = Encoder(self.vocabulary).value(value, self._locals())
                reads = self._reads(value)
                shown = [Variable(n, self.kinds[n]) for n in self.kinds if n in reads]
                args = " ".join(leaf for v in shown for leaf in leaf_symbols(v))
                leaves, applied = let_leaves(name, encoded, args)
                about = f"{name} = {show_tree(value)}"
                self.lines += Definition(name, tuple(shown), tuple(leaves), encoded, about).lines()
                self.lets[name] = applied, reads
            case s.Next(name, value):
                about = f"{name}' = {show_tree(value)}"
                self.steps[name] = self._add(f"{name}'", value, self.kinds[name], about)
            case s.Chance(name, _, dist):
                about = f"the weight with which {name} is drawn: {show_tree(dist)}"
                drawn = Variable(name, self.kinds[name])
                reads = self._reads(dist) | {name}
                weight = weight_of(self.vocabulary, dist, drawn, self._locals())
                found = self._definition(f"weight.{name}", reads, Rat(), weight, about)
                self.lines += found.lines()
                self.weights.append(found)

    def _add(self, name: str, value: s.Expr, kind: Type, about: str) -> Definition:
        encoded = widen(Encoder(self.vocabulary).value(value, self._locals()), kind)
        found = self._definition(name, self._reads(value), kind, encoded, about)
        self.lines += found.lines()
        return found

    def _definition(
        self, name: str, reads: frozenset[str], kind: Type, value: Encoded, about: str
    ) -> Definition:
        variables = tuple(Variable(n, self.kinds[n]) for n in self.kinds if n in reads)
        return Definition(name, variables, tuple(leaves_of(name, kind)), value, about)

    def _starts(self) -> tuple[list[str], Definition, Definition | None]:
        """Definitions of the average of `value.at` over the starts, and of their weight.

        One function a variable that starts somewhere definite or at random, of the variables declared above it and of
        those that start anywhere: the average over the starts of those from it on.
        """
        task = self.task
        sorts = [sort for v in task.states for _, sort in leaves_of(v.name, v.type)]
        lines = [f"(declare-fun value.at ({' '.join(sorts)}) Real)"]
        average = Definition("value.at", task.states, (("value.at", "Real"),), Term("", "Real"))
        whole: Definition | None = None
        for i in reversed(range(len(task.states))):
            v, start = task.states[i], task.starts[i]
            if isinstance(start, s.AnyStart):
                continue
            lines.append(f"; {v.name} starts as {' '.join(show_tree(start).split())}")
            average = self._average(f"average.{v.name}", i, average)
            lines += average.lines()
            if whole is not None or isinstance(start, s.DIST_NODES):
                whole = self._average(f"weights.{v.name}", i, whole)
                lines += whole.lines()
        return lines, average, whole

    def _average(self, name: str, index: int, below: Definition | None) -> Definition:
        """The average of `below` over the start of the variable at an index; of 1 where there is none."""
        task = self.task
        v, start = task.states[index], task.starts[index]
        anywhere = {u.name for u in task.any_states}
        above = tuple(u for i, u in enumerate(task.states) if i < index or u.name in anywhere)
        local = self.unknowns | {u.name: variable(u.name, u.type) for u in above}
        encoder = Encoder(self.vocabulary)

        def following(tree: s.Expr, inner: Local) -> str:
            if below is None:
                return "1.0"
            chosen = {**local, v.name: widen(encoder.value(tree, inner), v.type)}
            args = [leaf.text for u in below.reads for leaf in flatten(chosen[u.name])]
            return apply(below.name, " ".join(args))

        def add(entries: list[tuple[s.Weighted, Local]]) -> Term:
            parts: list[str] = []
            for entry, inner in entries:
                weight = to_real(scalar(encoder.value(entry.weight, inner))).text
                parts.append(f"(* {weight} {following(entry.value, inner)})")
            return Term(parts[0] if len(parts) == 1 else f"(+ {' '.join(parts)})", "Real")

        if isinstance(start, s.DIST_NODES):
            value = _choose(encoder, start, local, add)
        else:
            value = Term(following(cast(s.Expr, start), local), "Real")
        return Definition(name, above, ((name, "Real"),), value)

    def _locals(self) -> Local:
        found = {name: variable(name, kind) for name, kind in self.kinds.items()}
        lets = {name: applied for name, (applied, _) in self.lets.items()}
        return {**self.unknowns, **found, **lets}

    def _reads(self, tree: s.Node) -> frozenset[str]:
        found = set[str]()
        for name in names_read(tree):
            if name in self.lets:
                found |= self.lets[name][1]
            elif name in self.kinds:
                found.add(name)
        return frozenset(found)


def _trees(
    task: Task, items: list[s.Define | s.Chance | s.Next], *, requirements: bool
) -> list[s.Node]:
    """Everything of a task that its text may read names from."""
    trees: list[s.Node] = [i.dist if isinstance(i, s.Chance) else i.value for i in items]
    trees += [task.reward, *([task.done] if task.done is not None else [])]
    trees += [start for start in task.starts if not isinstance(start, s.AnyStart)]
    trees += [*task.adversary_conditions, *task.start_conditions]
    for requirement in task.requirements if requirements else ():
        if isinstance(requirement, machine.Always):
            trees.append(requirement.holds)
        else:
            trees += [requirement.goal, requirement.source]
    declared = task.declarations
    trees += [x.condition for x in declared.environment.items if isinstance(x, s.Assume)]
    settings = [x for x in declared.utility.settings if isinstance(x, s.Setting)]
    return trees + [x.value for x in settings if x.key != "better"]


def _items_needed(task: Task) -> list[s.Define | s.Chance | s.Next]:
    """Draws, next values, and those lets that something reads."""
    read = names_read(task.reward)
    needed: list[s.Define | s.Chance | s.Next] = []
    for item in reversed(task.plan):
        if isinstance(item, s.Define) and item.name not in read:
            continue
        read |= names_read(item.dist if isinstance(item, s.Chance) else item.value)
        needed.append(item)
    return needed[::-1]


def leaf_symbols(v: Variable) -> list[str]:
    """The symbols of the scalars of a variable."""
    return [symbol(name) for name, _ in leaves_of(v.name, v.type)]


def let_leaves(name: str, value: Encoded, args: str) -> tuple[list[tuple[str, str]], Encoded]:
    """The scalars of a let, and how it is read."""
    if isinstance(value, Term):
        return [(name, value.sort)], Term(apply(name, args), value.sort)
    found = [let_leaves(f"{name}.{i}", item, args) for i, item in enumerate(spread(value).items)]
    return [leaf for leaves, _ in found for leaf in leaves], Row(tuple(v for _, v in found))


# --- draws ---------------------------------------------------------------------------------------


Leaf: TypeAlias = Callable[[list[tuple[s.Weighted, Local]]], Term]


def weight_of(vocabulary: Vocabulary, dist: s.Dist, drawn: Variable, local: Local) -> Term:
    """The weight with which a distribution gives the value that `drawn` stands for."""
    encoder, value = Encoder(vocabulary), variable(drawn.name, drawn.type)

    def add(entries: list[tuple[s.Weighted, Local]]) -> Term:
        parts = [_entry(encoder, entry, value, drawn.type, inner) for entry, inner in entries]
        return Term(parts[0] if len(parts) == 1 else f"(+ {' '.join(parts)})", "Real")

    return _choose(encoder, dist, local, add)


def mentions(vocabulary: Vocabulary, dist: s.Dist, drawn: Variable, local: Local) -> Term:
    """Whether a distribution mentions the value that `drawn` stands for, whatever its weight."""
    encoder, value = Encoder(vocabulary), variable(drawn.name, drawn.type)

    def either(entries: list[tuple[s.Weighted, Local]]) -> Term:
        tests = [
            equal(value, widen(encoder.value(e.value, i), drawn.type)).text for e, i in entries
        ]
        return Term(tests[0] if len(tests) == 1 else f"(or {' '.join(tests)})", "Bool")

    return _choose(encoder, dist, local, either)


def _choose(encoder: Encoder, dist: s.Dist, local: Local, leaf: Leaf) -> Term:
    """One term over the branches of a distribution; `leaf` makes that of a map."""
    match dist:
        case s.DistMap(entries):
            return leaf([(entry, local) for entry in entries])
        case s.DistFor(var, low, high, entry):
            turns = encoder.turns(low, high)
            return leaf([(entry, {**local, var: Term(numeral(i), "Int", i)}) for i in turns])
        case s.DistIf(test, then, otherwise):
            condition = scalar(encoder.value(test, local)).text
            a, b = (_choose(encoder, d, local, leaf) for d in (then, otherwise))
            return scalar(choose(condition, a, b))
        case s.DistLet(name, value, body):
            inner, bindings, _ = encoder.bind_local(name, value, local)
            return scalar(wrap(bindings, _choose(encoder, body, inner, leaf)))
        case s.DistMatch(subject, arms, otherwise):
            bound, bindings, _ = encoder.bound_subject(subject, local)
            # without `else` the last arm is the rest
            rest, end = (arms, otherwise) if otherwise is not None else (arms[:-1], arms[-1].body)
            found = _choose(encoder, end, local, leaf)
            for arm in reversed(rest):
                chosen = _choose(encoder, arm.body, local, leaf)
                found = scalar(choose(encoder.patterns(bound, arm.patterns), chosen, found))
            return scalar(wrap(bindings, found))
        case _:
            assert_never(dist)


def _entry(encoder: Encoder, entry: s.Weighted, drawn: Encoded, kind: Type, local: Local) -> str:
    value = widen(encoder.value(entry.value, local), kind)
    weight = to_real(scalar(encoder.value(entry.weight, local)))
    return f"(ite {equal(drawn, value).text} {weight.text} 0.0)"


# --- the policy ----------------------------------------------------------------------------------


class PolicyText:
    """A policy of a program as definitions over the observed variables and the memory.

    `prefix` begins the names of its definitions, so that several policies may stand in one text.
    """

    def __init__(
        self,
        program: Program,
        vocabulary: Vocabulary,
        *,
        policy: str = "main",
        prefix: str = "policy",
    ) -> None:
        self.program, self.prefix = program, prefix
        self.vocabulary = vocabulary
        body = program.policies[policy].body
        vocabulary.need([x.value for x in body], counts=True)
        self.lines: list[str] = []
        self.actions: dict[str, Definition] = {}
        self.memories: dict[str, Definition] = {}
        self.readable = (*program.task.observed, *program.memories)
        self._kinds = {v.name: v.type for v in program.task.actions}
        self._kinds |= {v.name + "'": v.type for v in program.memories}
        self._local: dict[str, Encoded] = {v.name: variable(v.name, v.type) for v in self.readable}
        self._reads = {v.name: frozenset([v.name]) for v in self.readable}
        total, counted = NO_TICKS, frozenset[str]()
        for statement in body:
            ticks = self._statement(statement)
            total += ticks
            counted |= self._reads[_title(statement)] if ticks.terms else frozenset()
        for v in program.memories:
            if v.name not in self.memories:
                kept = s.Next(v.name, s.Name(v.name))
                self._statement(kept, about=f"{v.name} is kept")
        about = "the ticks that the policy takes"
        leaf = ((f"{prefix}.ticks", "Int"),)
        variables = tuple(v for v in self.readable if v.name in counted)
        self.ticks = Definition(f"{prefix}.ticks", variables, leaf, Term(total.text, "Int"), about)
        self.lines += self.ticks.lines()

    def _statement(self, statement: s.Statement, about: str = "") -> Ticks:
        title, tree = _title(statement), statement.value
        encoder = Encoder(self.vocabulary, counts=True)
        value, ticks = encoder.both(tree, self._local)
        if title in self._kinds:
            value = widen(value, self._kinds[title])
        below = [self._reads[n] for n in names_read(tree) if n in self._reads]
        reads = self._reads[title] = frozenset[str]().union(*below)
        variables = tuple(v for v in self.readable if v.name in reads)
        args = " ".join(leaf for v in variables for leaf in leaf_symbols(v))
        name = f"{self.prefix}.{title}"
        leaves, self._local[title] = let_leaves(name, value, args)
        about = about or f"{title} = {show_tree(tree)}"
        found = Definition(name, variables, tuple(leaves), value, about)
        self.lines += found.lines()
        if isinstance(statement, s.Assign):
            self.actions[statement.name] = found
        elif isinstance(statement, s.Next):
            self.memories[statement.name] = found
        return ticks + (encoder.price("let") if isinstance(statement, s.Define) else NO_TICKS)


def _title(statement: s.Statement) -> str:
    return statement.name + "'" if isinstance(statement, s.Next) else statement.name


def memory_start_lines(
    program: Program, vocabulary: Vocabulary, prefix: str = "start"
) -> list[str]:
    """What memory holds when an episode starts, from the slots' trees."""
    found: list[str] = []
    trees = {x.name: x.start for x in program.code.slots if isinstance(x, s.Memory)}
    vocabulary.need(trees.values())
    for v in program.memories:
        value = widen(Encoder(vocabulary).value(trees[v.name], {}), v.type)
        for (name, sort), term in zip(
            leaves_of(f"{prefix}.{v.name}", v.type), flatten(value), strict=True
        ):
            found.append(define(name, [], sort, term.text))
    return found


def code_vocabulary(
    program: Program, printed: Iterable[str] = (), prefix: str | None = None
) -> Vocabulary:
    """What code may read; slots named like something of the world that code cannot see get `agent.` before their name.

    With a prefix, every slot gets that before its name, so that two programs may stand in one text.
    """
    items = program.task.declarations.environment.items
    own = {x.name for x in program.code.slots}
    if prefix is None:
        taken = {i.name for i in items if isinstance(i, _NAMED)}
        renamed = {name: f"agent.{name}" for name in sorted(own & taken)}
    else:
        renamed = {name: f"{prefix}.{name}" for name in sorted(own)}
    return Vocabulary(program.names, code_items(program), renamed, set(printed))


_NAMED = (
    *(s.Const, s.Table, s.Def, s.Define, s.State, s.Action, s.Chance),
    *(s.Unknown, s.Adversary),
)
