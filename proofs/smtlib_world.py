"""Define a machine in SMT-LIB 2: constants, tables, functions, one step of the world, and the policy.

Everything is printed from the syntax trees. A definition takes the variables that it depends on: lets are looked through,
primed variables are parameters, so that `reward` may be a function of `|row'|`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, assert_never

from dsl import syntax as s
from dsl.interp import Function, Globals
from dsl.machine import Program, Task
from dsl.printer import print_dist, print_expression
from dsl.scope import names_read, order
from dsl.types import Array, Bool, Rat, Type, Variable
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
        value = widen(Encoder(self).value(item.value, {}), kind)
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
    """One step of a task's world as definitions over state, actions and chance."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.vocabulary = Vocabulary(task.names, declared_items(task))
        self.kinds = {v.name: v.type for v in (*task.states, *task.actions, *task.chances)}
        self.kinds |= {v.name + "'": v.type for v in task.states}
        self.lets: dict[str, tuple[Encoded, frozenset[str]]] = {}
        items = _items_needed(task)
        trees: list[s.Node] = [i.dist if isinstance(i, s.Chance) else i.value for i in items]
        trees += [task.reward, *task.starts, *([task.done] if task.done is not None else [])]
        self.vocabulary.need(trees)
        settings = [x.value for x in task.declarations.utility.settings if x.key != "better"]
        self.vocabulary.need(settings)
        self.steps: dict[str, Definition] = {}
        self.weights: list[Definition] = []
        self.lines: list[str] = []
        for item in items:
            self._define(item)
        self.reward = self._add(
            "reward", task.reward, Rat(), f"reward = {print_expression(task.reward)}"
        )
        self.done = None
        if task.done is not None:
            about = f"done = {print_expression(task.done)}"
            encoded = Encoder(self.vocabulary).value(task.done, self._locals())
            reads = self._reads(task.done) & {v.name for v in task.states}
            self.done = self._definition("done", reads, Bool(), encoded, about)
            self.lines += self.done.lines()
        self.start_lines, self.average, self.whole = self._starts()

    def _define(self, item: s.Define | s.Chance | s.Next) -> None:
        match item:
            case s.Define(name, value):
                encoded = Encoder(self.vocabulary).value(value, self._locals())
                reads = self._reads(value)
                shown = [Variable(n, self.kinds[n]) for n in self.kinds if n in reads]
                args = " ".join(leaf for v in shown for leaf in _leaf_symbols(v))
                leaves, applied = let_leaves(name, encoded, args)
                about = f"{name} = {print_expression(value)}"
                self.lines += Definition(name, tuple(shown), tuple(leaves), encoded, about).lines()
                self.lets[name] = applied, reads
            case s.Next(name, value):
                about = f"{name}' = {print_expression(value)}"
                self.steps[name] = self._add(f"{name}'", value, self.kinds[name], about)
            case s.Chance(name, _, dist):
                about = f"the weight with which {name} is drawn: {print_dist(dist)}"
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

    def _starts(self) -> tuple[list[str], str, str | None]:
        """Definitions of the average of `value.at` over the starts, and of their weight; what these are called.

        One function a variable, of the variables declared above it: the average over the starts of those from it on.
        """
        task = self.task
        sorts = [sort for v in task.states for _, sort in leaves_of(v.name, v.type)]
        lines = [f"(declare-fun value.at ({' '.join(sorts)}) Real)"]
        average, whole = symbol("value.at"), "1.0"
        for i in reversed(range(len(task.states))):
            v, start = task.states[i], task.starts[i]
            shown = (
                print_dist(start) if isinstance(start, s.DIST_NODES) else print_expression(start)
            )
            lines.append(f"; {' '.join(f'{v.name} starts as {shown}'.split())}")
            lines += self._average(f"average.{v.name}", i, average).lines()
            average = f"average.{v.name}"
            if whole != "1.0" or isinstance(start, s.DIST_NODES):
                lines += self._average(f"weights.{v.name}", i, whole).lines()
                whole = f"weights.{v.name}"
        return lines, average, None if whole == "1.0" else whole

    def _average(self, name: str, index: int, below: str) -> Definition:
        """The average of `below`, a function of the variables up to this one, over the start of this one."""
        task = self.task
        v, start, above = task.states[index], task.starts[index], task.states[:index]
        local = {u.name: variable(u.name, u.type) for u in above}
        encoder = Encoder(self.vocabulary)
        given = [leaf for u in above for leaf in _leaf_symbols(u)]

        def following(tree: s.Expr, inner: Local) -> str:
            if below == "1.0":
                return below
            chosen = flatten(widen(encoder.value(tree, inner), v.type))
            return apply(below, " ".join([*given, *(leaf.text for leaf in chosen)]))

        def add(entries: list[tuple[s.Weighted, Local]]) -> Term:
            parts: list[str] = []
            for entry, inner in entries:
                weight = to_real(scalar(encoder.value(entry.weight, inner))).text
                parts.append(f"(* {weight} {following(entry.value, inner)})")
            return Term(parts[0] if len(parts) == 1 else f"(+ {' '.join(parts)})", "Real")

        if isinstance(start, s.DIST_NODES):
            value = _choose(encoder, start, local, add)
        else:
            value = Term(following(start, local), "Real")
        return Definition(name, above, ((name, "Real"),), value)

    def _locals(self) -> Local:
        found = {name: variable(name, kind) for name, kind in self.kinds.items()}
        return {**found, **{name: applied for name, (applied, _) in self.lets.items()}}

    def _reads(self, tree: s.Node) -> frozenset[str]:
        found = set[str]()
        for name in names_read(tree):
            if name in self.lets:
                found |= self.lets[name][1]
            elif name in self.kinds:
                found.add(name)
        return frozenset(found)


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


def _leaf_symbols(v: Variable) -> list[str]:
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
    """A program's policy as definitions over the observed variables."""

    def __init__(self, program: Program, world: World) -> None:
        self.program = program
        self.vocabulary = code_vocabulary(program, world.vocabulary.printed)
        body = program.policy.body
        self.vocabulary.need([x.value for x in body], counts=True)
        self.lines: list[str] = []
        self.actions: dict[str, Definition] = {}
        observed = program.task.observed
        kinds = {v.name: v.type for v in program.task.actions}
        local: dict[str, Encoded] = {v.name: variable(v.name, v.type) for v in observed}
        reads: dict[str, frozenset[str]] = {v.name: frozenset([v.name]) for v in observed}
        total, counted = NO_TICKS, frozenset[str]()
        for statement in body:
            name, tree = statement.name, statement.value
            value, ticks = Encoder(self.vocabulary, counts=True).both(tree, local)
            if name in kinds:
                value = widen(value, kinds[name])
            below = [reads[n] for n in names_read(tree) if n in reads]
            reads[name] = frozenset[str]().union(*below)
            total += ticks + (Ticks(1) if isinstance(statement, s.Define) else NO_TICKS)
            counted |= reads[name] if ticks.terms else frozenset()
            variables = tuple(v for v in observed if v.name in reads[name])
            args = " ".join(leaf for v in variables for leaf in _leaf_symbols(v))
            leaves, local[name] = let_leaves(f"policy.{name}", value, args)
            about = f"{name} = {print_expression(tree)}"
            found = Definition(f"policy.{name}", variables, tuple(leaves), value, about)
            self.lines += found.lines()
            if isinstance(statement, s.Assign):
                self.actions[name] = found
        variables = tuple(v for v in observed if v.name in counted)
        about = "the ticks that the policy takes"
        leaf = (("policy.ticks", "Int"),)
        self.ticks = Definition("policy.ticks", variables, leaf, Term(total.text, "Int"), about)
        self.lines += self.ticks.lines()


def code_vocabulary(program: Program, printed: Iterable[str] = ()) -> Vocabulary:
    """What code may read; slots named like something of the world that code cannot see get `agent.` before their name."""
    items = program.task.declarations.environment.items
    named = (s.Const, s.Table, s.Def, s.Define, s.State, s.Action, s.Chance)
    taken = {i.name for i in items if isinstance(i, named)}
    own = {x.name for x in program.code.slots}
    renamed = {name: f"agent.{name}" for name in sorted(own & taken)}
    return Vocabulary(program.names, code_items(program), renamed, set(printed))
