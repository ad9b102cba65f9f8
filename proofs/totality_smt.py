"""Z3's side of totality: every obligation of a machine as a formula, and the points at which one fails.

An obligation is demanded under the tests that guard it, for all values of the declared types. A point that Z3 finds counts
only after the reference interpreter has failed there too. That numbers stay within 4,096 bits is left to the kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, assert_never, cast

from dsl import syntax as s
from dsl.interp import EvaluationFault, Evaluator, require_range
from dsl.machine import Program, Task
from dsl.scope import names_read
from dsl.types import Array, Bool, Enum, Int, Rat, Type, Value, Variable, cardinality
from proofs.kernel.totality import Broken, Root, Unproved
from proofs.obligations import Obligation, Walker, range_words, within
from proofs.premises import Premise, with_helpers
from proofs.prover import Answer, Sat, Unknown, Unsat, prove
from proofs.smtlib import (
    Encoded,
    Local,
    TooLarge,
    decimal,
    flatten,
    leaves_of,
    literal,
    numeral,
    scalar,
    spread,
    symbol,
    variable,
    widen,
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


def obligations(task: Task, program: Program | None = None) -> list[Obligation]:
    """What must hold for the declarations to be total, or, given a program, for its code."""
    return _Listing(task, program).obligations


def find_broken(
    task: Task, program: Program | None = None, *, rlimit: int
) -> tuple[list[Broken], list[Unproved], int]:
    """What fails, with a point where it does, what is left open, and the rlimit used; for the declarations, or for code.

    One question for everything comes first; obligations are asked about one by one only if that leaves doubts.
    """
    try:
        listing = _Listing(task, program)
    except TooLarge as error:
        node = task.declarations.environment if program is None else program.policy
        return [], [Unproved("G017", str(error), node)], 0
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
    if not broken and not unproved:
        # nothing counts as proved but `unsat` on the one question for everything
        first = listing.obligations[0].node
        unproved.append(Unproved("G017", "Z3 denies them together, but no one of them", first))
    return broken, unproved, used


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
        walker = Walker(self.vocabulary)
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
        root, walker = entry.root, Walker(entry.vocabulary)
        tree = cast(s.Expr, root.tree)
        walker.walk(tree, local, ())
        value = walker.encoder.value(tree, local)
        if root.kind is not None:
            value = widen(value, root.kind)
            what = f"{root.what} stays within {range_words(root.kind)}"
            walker.demand("G012", what, tree, (), within(value, root.kind))
        self._take(entry, walker)
        return value

    def _take(self, entry: _Entry, walker: Walker) -> None:
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
            found = within(value, kind)
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
