"""Z3's side of totality: every obligation of a machine as a formula, and the points at which one fails.

An obligation is demanded under the tests that guard it, for all values of the declared types. A point that Z3 finds counts
only after the reference interpreter has failed there too. That numbers stay within 4,096 bits is left to the kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice, product
from math import prod
from typing import Any, cast

from dsl import syntax as s
from dsl.blame import names_behind
from dsl.interp import EvaluationFault, Evaluator, require_range
from dsl.machine import Always, Program, Task
from dsl.scope import names_read
from dsl.types import (
    Array,
    Bits,
    Bool,
    Enum,
    Int,
    Rat,
    Type,
    Value,
    Variable,
    cardinality,
    elements,
    values,
)
from dsl.types import scalar as scalar_type
from proofs.encoder import Encoder
from proofs.kernel.totality import Broken, Unproved
from proofs.obligations import Obligation, Path, Walker, range_words
from proofs.premises import Premise, make_premise
from proofs.prover import Answer, Sat, Unknown, Unsat, prove
from proofs.smtlib import (
    Encoded,
    Local,
    TooLarge,
    bits_numeral,
    conjunction,
    decimal,
    flatten,
    leaves_of,
    literal,
    numeral,
    scalar,
    symbol,
    variable,
    widen,
)
from proofs.smtlib_world import (
    Vocabulary,
    code_vocabulary,
    declared_items,
    define,
    domain,
    enum_lines,
    let_leaves,
    mentions,
    within,
)

SHRINKING_STEPS_MAX = 60
REALS_MAX = 2
CORNERS_MAX = 1_000


def obligations(task: Task, program: Program | None = None) -> list[Obligation]:
    """What must hold for the declarations to be total, or, given a program, for its code."""
    return _Listing(task, program).obligations


def find_broken(
    task: Task, program: Program | None = None, *, rlimit: int, proved: bool = True
) -> tuple[list[Broken], list[Unproved], int]:
    """What fails, with a point where it does, what is left open, and the rlimit used; for the declarations, or for code.

    One question for everything comes first; obligations are asked about one by one only if that leaves doubts. Where the
    kernel has not proved it either, nothing depends on a proof: points are looked for, and hard questions are passed over.
    """
    try:
        listing = _Listing(task, program)
    except TooLarge as error:
        node: s.Node = task.declarations.environment if program is None else program.policy
        return [], [Unproved("G017", str(error), node)], 0
    broken: list[Broken] = []
    unproved: list[Unproved] = []
    used = 0
    for node, premise in listing.possible():
        # here `sat` is the proof: some values of the unknowns meet every assumption
        answer = prove(premise, rlimit=rlimit)
        used += answer.rlimit_used
        if isinstance(answer, Unsat):
            return [Broken("G063", NO_VALUES, node, ())], [], used
        if isinstance(answer, Unknown):
            return [], [Unproved("G063", f"Z3 does not decide: {answer.reason}", node)], used
    if not listing.obligations:
        return broken, unproved, used
    answer = prove(listing.premise(), rlimit=rlimit, complete=proved)
    used += answer.rlimit_used
    if isinstance(answer, Unsat):
        return broken, unproved, used
    for i in range(len(listing.obligations)):
        finder = _Finder(listing, i, rlimit, proved)
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


NO_VALUES = "no values of the unknowns meet every assumption"
CHOICES_MAX = 1_000
"""Choices of the adversary, or starts, that are written out; more of them stand under a quantifier."""


# --- all expressions of a machine ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Root:
    """One expression to prove total.

    `tree` is evaluated after `before`, the definitions it reads in order; `kind` is the range its value must keep.
    """

    what: str
    tree: s.Expr | s.Dist
    kind: Type | None
    before: tuple[tuple[str, s.Expr, Type | None], ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A root with what surrounds it: its vocabulary and the variables it may read, by the name of their constants."""

    root: Root
    vocabulary: Vocabulary
    free: tuple[tuple[str, Variable], ...]
    name: tuple[str, str] = ("", "")
    """The scope in which it is defined, and the name by which others there read it."""
    choice: tuple[tuple[Variable, ...], tuple[s.Expr, ...]] | None = None
    """Of a root that says there is a choice: the variables that are chosen, and the conditions they must meet."""


class _Listing:
    """Every obligation of the declarations, or of code, in one text."""

    def __init__(self, task: Task, program: Program | None) -> None:
        self.task, self.program = task, program
        self.entries: list[_Entry] = []
        self.obligations: list[Obligation] = []
        self.constants: dict[str, Variable] = {}
        self.domains: list[str] = []
        self.macros: list[str] = []
        self.guards: Path = ()
        self.scope = ""
        names = task.names if program is None else program.names
        if program is None:
            self.vocabulary = Vocabulary(names, declared_items(task))
            self._functions(list(names.functions))
            self._unknowns()
            self._starts()
            self._world()
            self._requirements()
        else:
            self.vocabulary = code_vocabulary(program)
            self._functions([n for n in names.functions if n not in task.shared.functions])
            self._policies(program)
        self.names = names
        self._merge()

    def possible(self) -> list[tuple[s.Node, Premise]]:
        """A question for the assumptions, to be answered by `sat`."""
        if self.program is not None or not self.task.assumptions:
            return []
        items = self.task.declarations.environment.items
        node = next(i for i in items if isinstance(i, s.Assume))
        lines = [*self._declared(), *self.domains, "(check-sat)"]
        title = "Some values of the unknowns meet every assumption: here `sat` is the proof."
        facts = [*enum_lines(self.names), *self.vocabulary.lines]
        return [(node, make_premise(title, "the assumptions", [facts], lines))]

    def _declared(self) -> list[str]:
        return [
            f"(declare-const {symbol(leaf)} {sort})"
            for name, v in self.constants.items()
            for leaf, sort in leaves_of(name, v.type)
        ]

    def premise(self, *, broken: int | None = None, extra: Sequence[str] = ()) -> Premise:
        """That all obligations hold; or the question where one fails while those before it hold."""
        facts = [*enum_lines(self.names), *self.vocabulary.lines]
        unknown = ["; the variables", *self._declared(), *self.domains]
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
        goals += [*extra, "(check-sat)"]
        return make_premise(title, "totality", [facts, unknown], goals)

    def _before(self, broken: int) -> list[int]:
        """The obligations that are met before this one is: those of what its root reads, and of its root."""
        root = self.obligations[broken].root
        scope = self.entries[root].name[0]
        read = {(scope, name) for name, _, _ in self.entries[root].root.before}
        return [
            i
            for i, o in enumerate(self.obligations[:broken])
            if o.root == root or self.entries[o.root].name in read
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
        self.domains += [f"(assert {d})" for d in domain(variable(name, v.type), v.type)]

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

    # --- what is open ----------------------------------------------------------------------------

    def _unknowns(self) -> None:
        """The unknowns and rates within their types, and the assumptions."""
        task = self.task
        self.open = [(v.name, v) for v in (*task.unknowns, *task.rationals, *task.rates)]
        for name, v in self.open:
            self._declare(name, v)
        local = {name: variable(name, v.type) for name, v in self.open}
        items = task.declarations.environment.items
        trees = [i.condition for i in items if isinstance(i, s.Assume)]
        self.vocabulary.need(trees)
        for tree in trees:
            term = scalar(Encoder(self.vocabulary).value(tree, local))
            self.domains.append(f"(assert {term.text})")

    def _starts(self) -> None:
        """Starts are of constants of their own, which begin with `start.`."""
        task, self.scope = self.task, "start"
        trees = [x for x in task.starts if not isinstance(x, s.AnyStart)]
        self.vocabulary.need([*trees, *task.start_conditions])
        anywhere = [(f"start.{v.name}", v) for v in task.any_states]
        for name, v in anywhere:
            self._declare(name, v)
        free = [*self.open, *anywhere]
        local: dict[str, Encoded] = {v.name: variable(name, v.type) for name, v in free}
        before: list[tuple[str, s.Expr, Type | None]] = []
        self._choose(
            task.any_states, task.start_conditions, self.open, anywhere, local, "start", "G065"
        )
        for v, start in zip(task.states, task.starts, strict=True):
            if isinstance(start, s.AnyStart):
                continue
            what = f"the start of {v.name}"
            if isinstance(start, s.DIST_NODES):
                self._draw(v, start, tuple(free), local, before, f"start.{v.name}", what)
                free.append((f"start.{v.name}", v))
                local[v.name] = variable(f"start.{v.name}", v.type)
            else:
                self._step(
                    v.name,
                    start,
                    v.type,
                    free,
                    local,
                    before,
                    f"start.{v.name}",
                    what,
                )
        self.guards = ()

    def _choose(
        self,
        chosen: tuple[Variable, ...],
        conditions: tuple[s.Expr, ...],
        outer: list[tuple[str, Variable]],
        inner: list[tuple[str, Variable]],
        local: Local,
        word: str,
        code: str,
    ) -> None:
        """Take the obligations of conditions, and that something always meets them; what follows may rely on them."""
        free = (*outer, *inner)
        guards: list[str] = []
        for i, condition in enumerate(conditions):
            root = Root(f"the condition of the {word}", condition, None, ())
            encoded = self._expression(_Entry(root, self.vocabulary, free), local)
            name = f"{word}.where.{i}"
            self.macros.append(define(name, [], "Bool", scalar(encoded).text))
            guards.append(name)
        if not conditions:
            return
        root = Root(f"the choice of the {word}", conditions[0], None, ())
        entry = _Entry(root, self.vocabulary, tuple(outer), choice=(chosen, conditions))
        walker = Walker(self.vocabulary)
        text = self._some_choice(chosen, conditions, local)
        what = "the adversary has a choice" if code == "G064" else "there is a start"
        walker.demand(code, what, conditions[0], (), text)
        self._take(entry, walker)
        self.guards = tuple(guards)

    def _some_choice(
        self, chosen: tuple[Variable, ...], conditions: tuple[s.Expr, ...], local: Local
    ) -> str:
        encoder = Encoder(self.vocabulary)

        def meets(inner: Local) -> str:
            return conjunction([scalar(encoder.value(c, inner)).text for c in conditions]).text

        read = set().union(*map(names_read, conditions))
        reads = [v for v in chosen if v.name in read]
        if not reads:
            return meets(local)
        count = prod(cardinality(v.type) or CHOICES_MAX + 1 for v in reads)
        if count <= CHOICES_MAX:
            points = product(*(tuple(values(v.type)) for v in reads))
            inners = (
                {v.name: literal(x, v.type) for v, x in zip(reads, p, strict=True)} for p in points
            )
            return f"(or {' '.join(meets({**local, **inner}) for inner in inners)} false)"
        bound = {v.name: variable(f"{v.name}.chosen", v.type) for v in reads}
        leaves = [leaf for v in reads for leaf in leaves_of(f"{v.name}.chosen", v.type)]
        shown = " ".join(f"({symbol(name)} {sort})" for name, sort in leaves)
        ranges = [d for v in reads for d in domain(bound[v.name], v.type)]
        return f"(exists ({shown}) {conjunction([*ranges, meets({**local, **bound})]).text})"

    # --- the step --------------------------------------------------------------------------------

    def _world(self) -> None:
        task, self.scope = self.task, "step"
        trees = [i.dist if isinstance(i, s.Chance) else i.value for i in task.plan]
        self.vocabulary.need([*trees, task.reward, *([] if task.done is None else [task.done])])
        self.vocabulary.need(task.adversary_conditions)
        outer = [*self.open, *((v.name, v) for v in (*task.states, *task.actions))]
        chosen = [(v.name, v) for v in task.adversaries]
        for name, v in (*outer[len(self.open) :], *chosen):
            self._declare(name, v)
        free = [*outer, *chosen]
        kinds = {v.name: v for v in task.chances}
        types = {v.name: v.type for v in task.states}
        local: dict[str, Encoded] = {name: variable(name, v.type) for name, v in free}
        before: list[tuple[str, s.Expr, Type | None]] = []
        self._choose(
            task.adversaries, task.adversary_conditions, outer, chosen, local, "adversary", "G064"
        )
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
        self.guards = ()
        if task.done is not None:
            root = Root("done", task.done, None, ())
            states = (*self.open, *((v.name, v) for v in task.states))
            self._expression(_Entry(root, self.vocabulary, states), local)

    def _requirements(self) -> None:
        """Requirements read next values of their own, which begin with `after.`, whatever they are."""
        task = self.task
        trees: list[tuple[str, s.Expr]] = []
        for r in task.requirements:
            parts = (r.holds,) if isinstance(r, Always) else (r.goal, r.source)
            trees += [(f"the requirement {r.name}", part) for part in parts]
        self.vocabulary.need([tree for _, tree in trees])
        read = set().union(*(names_read(tree) for _, tree in trees))
        primed = [Variable(v.name + "'", v.type) for v in task.states if v.name + "'" in read]
        after = [(f"after.{v.name}", v) for v in primed]
        for name, v in after:
            self._declare(name, v)
        free = (*self.open, *((v.name, v) for v in (*task.states, *task.actions)), *after)
        local = {v.name: variable(name, v.type) for name, v in free}
        for what, tree in trees:
            self._expression(_Entry(Root(what, tree, None, ()), self.vocabulary, free), local)

    def _draw(
        self,
        drawn: Variable,
        dist: s.Dist,
        free: tuple[tuple[str, Variable], ...],
        local: Local,
        before: list[tuple[str, s.Expr, Type | None]],
        title: str | None = None,
        what: str | None = None,
    ) -> None:
        root = Root(what or drawn.name, dist, drawn.type, _read_before(dist, before))
        entry = _Entry(root, self.vocabulary, free, (self.scope, drawn.name))
        walker = Walker(self.vocabulary)
        walker.walk_dist(dist, drawn, local, self.guards)
        self._take(entry, walker)
        named = Variable(title or drawn.name, drawn.type)
        self._declare(named.name, named)
        if cardinality(drawn.type) is None:
            # a type without end: what the distribution mentions
            self.macros.append(f"(assert {mentions(self.vocabulary, dist, named, local).text})")

    def _step(
        self,
        name: str,
        value: s.Expr,
        kind: Type | None,
        free: list[tuple[str, Variable]],
        local: dict[str, Encoded],
        before: list[tuple[str, s.Expr, Type | None]],
        title: str | None = None,
        what: str | None = None,
    ) -> None:
        """One definition, which later expressions may read."""
        root = Root(what or name, value, kind, _read_before(value, before))
        entry = _Entry(root, self.vocabulary, tuple(free), (self.scope, name))
        encoded = self._expression(entry, local)
        leaves, read = let_leaves(title or name, encoded, "")
        for (leaf, sort), term in zip(leaves, flatten(encoded), strict=True):
            self.macros.append(define(leaf, [], sort, term.text))
        local[name] = read
        before.append((name, value, kind))

    def _policies(self, program: Program) -> None:
        free = [(v.name, v) for v in (*self.task.observed, *program.memories)]
        for name, v in free:
            self._declare(name, v)
        for name, policy in program.policies.items():
            self._policy(program, policy, free, "policy" if name == "main" else f"policy.{name}")

    def _policy(
        self, program: Program, policy: s.Policy, free: list[tuple[str, Variable]], prefix: str
    ) -> None:
        self.scope = prefix
        kinds = {v.name: v.type for v in self.task.actions}
        kinds |= {v.name + "'": v.type for v in program.memories}
        self.vocabulary.need([x.value for x in policy.body])
        local: dict[str, Encoded] = {name: variable(name, v.type) for name, v in free}
        before: list[tuple[str, s.Expr, Type | None]] = []
        for statement in policy.body:
            name = statement.name + ("'" if isinstance(statement, s.Next) else "")
            self._step(
                name,
                statement.value,
                kinds.get(name),
                free,
                local,
                before,
                title=f"{prefix}.{name}",
            )

    def _expression(self, entry: _Entry, local: Local) -> Encoded:
        """Take the obligations of a root; its value."""
        root, walker = entry.root, Walker(entry.vocabulary)
        tree = cast(s.Expr, root.tree)
        walker.walk(tree, local, self.guards)
        value = walker.encoder.value(tree, local)
        if root.kind is not None:
            value = widen(value, root.kind)
            what = f"{root.what} stays within {range_words(root.kind)}"
            walker.demand("G012", what, tree, self.guards, within(value, root.kind))
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


# --- points --------------------------------------------------------------------------------------


class _Finder:
    """Looks for a point at which one obligation fails, the smallest it can find."""

    def __init__(self, listing: _Listing, index: int, rlimit: int, proved: bool) -> None:
        self.listing, self.index, self.rlimit, self.proved = listing, index, rlimit, proved
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
            tried = None if self.proved else self._try_corners()
            if tried is not None:
                return tried
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
        answer = prove(premise, rlimit=self.rlimit, model=True, complete=self.proved)
        self.used += answer.rlimit_used
        if not self.proved and isinstance(answer, Unknown) and self._few_reals():
            answer = prove(premise, rlimit=self.rlimit, model=True)
            self.used += answer.rlimit_used
        return answer

    def _few_reals(self) -> bool:
        """Whether cells of so many real numbers are soon listed."""
        reals = [v for _, v in self._free() if isinstance(scalar_type(v.type), Rat)]
        return sum(elements(v.type) for v in reals) <= REALS_MAX

    def _free(self) -> list[tuple[str, Variable]]:
        root = self.entry.root
        read = names_read(root.tree).union(*(names_read(value) for _, value, _ in root.before))
        if self.entry.choice is not None:
            read |= set().union(*map(names_read, self.entry.choice[1]))
        return [(c, v) for c, v in self.entry.free if v.name in read]

    def _try_corners(self) -> Broken | None:
        """A failing point among the ends and quarters of the ranges; none where conditions tie the variables."""
        free = self._free()
        if self._tied({v.name for _, v in free}) or self.entry.choice is not None:
            return None
        axes = [_corners(v.type) for _, v in free]
        for chosen in islice(product(*axes), CORNERS_MAX):
            point = dict(zip((v.name for _, v in free), chosen, strict=True))
            found = self._replay(point, free)
            if isinstance(found, Broken):
                return found
        return None

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
        if self.entry.choice is not None:
            return self._replay_choice(point, free, *self.entry.choice)
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
            made_of = {name: (value,) for name, value, _ in root.before}
            names = names_behind(root.tree, fault.node, lambda name: made_of.get(name, ()))
            if names is not None:
                names |= self._tied(names)
            shown = tuple(
                (v.name, v.type, point[v.name]) for _, v in free if names is None or v.name in names
            )
            return Broken(fault.code, fault.message, fault.node, shown, fault.met)
        at = ", ".join(f"{name} = {value}" for name, value in point.items())
        return self._doubt(
            f"our encoding disagrees with the interpreter: {self.obligation.what}, but not for Z3 at {at}"
        )

    def _tied(self, names: set[str]) -> set[str]:
        """What else is shown of a point: the names in the conditions on those that are shown."""
        task = self.listing.task
        found: set[str] = set()
        for chosen, conditions in (
            (task.adversaries, task.adversary_conditions),
            (task.any_states, task.start_conditions),
        ):
            if not names.isdisjoint(v.name for v in chosen):
                found.update(*map(names_read, conditions))
        return found

    def _replay_choice(
        self,
        point: dict[str, Any],
        free: list[tuple[str, Variable]],
        chosen: tuple[Variable, ...],
        conditions: tuple[s.Expr, ...],
    ) -> Broken | Unproved | None:
        """Try every choice at the point."""
        evaluator = Evaluator(self.entry.vocabulary.names)
        read = set().union(*map(names_read, conditions))
        reads = [v for v in chosen if v.name in read]
        if prod(cardinality(v.type) or POINTS_MAX + 1 for v in reads) > POINTS_MAX:
            return self._doubt(f"more than {POINTS_MAX:,} choices, none of which Z3 finds")
        try:
            for values_chosen in product(*(tuple(values(v.type)) for v in reads)):
                local = {**point, **{v.name: x for v, x in zip(reads, values_chosen, strict=True)}}
                if all(evaluator.value(c, local) for c in conditions):
                    return self._doubt("our encoding disagrees with the interpreter on a choice")
        except EvaluationFault:
            return None
        shown = tuple((v.name, v.type, point[v.name]) for _, v in free)
        adversary = self.obligation.code == "G064"
        message = "the adversary may have no choice" if adversary else "there may be no start"
        return Broken(self.obligation.code, message, conditions[0], shown)


POINTS_MAX = 1_000_000


def _corners(kind: Type) -> list[Value]:
    """A few values of a type: its ends, and of numbers the quarters between them."""
    match kind:
        case Rat(Fraction() as low, Fraction() as high):
            return [low + (high - low) * Fraction(i, 4) for i in (0, 4, 2, 1, 3)]
        case Int(int() as low, int() as high):
            return sorted({low, (low + high) // 2, high})
        case Bool() | Enum() | Bits():
            return list(islice(values(kind), 5))
        case _:
            return []


def _at_most(name: str, kind: Type, bound: int) -> str:
    match kind:
        case Bool():
            return f"(not {name})"
        case Bits(width):
            return f"(bvule {name} {bits_numeral(bound, width).text})"
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
