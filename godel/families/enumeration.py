"""Family `enumerate`: every small expression over what the policy may read, in the place of each expression of the policy.

Expressions that agree on sample situations count once, and so do programs that decide alike there. Those that promise most,
and the smallest ones, are tried at the starts; what seems to gain is proposed, best first, of equals the smallest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from dsl import syntax as s
from dsl.check_code import scope_of
from dsl.elaborate import elaborate
from dsl.infer import Faults
from dsl.interp import EvaluationFault, Evaluator, require_range
from dsl.machine import Program
from dsl.printer import print_expression
from dsl.rewrite import Edit, replace_at
from dsl.scope import ScopeBuilder
from dsl.types import Bool, Type, without_ranges
from godel.families.bank import Bank, Sight, Term
from godel.families.family import Candidate, Candidates, Family, Workplace
from godel.families.rule import put
from godel.families.scratch import EPSILON, Scratch, scratch_of
from godel.families.trial import UNTRIED, Trials

SAMPLES_MAX = 96
"""On how many situations expressions are compared."""
PUT_MAX = 200_000
"""How often an expression is put in a place, all places together."""
RUNS_MAX = 60_000
"""How often the policy is run for a value in a place."""
HOLE = "?"
"""The name that stands for what is put in a place; no name of a program looks like it."""

_Decided: TypeAlias = "tuple[Any, ...] | None"
"""Actions and next memory, or None where there is no value."""


def enumerate(
    *, nodes: int = 5, literals: int = 2, tries: int = 400, candidates: int = 32
) -> Family:
    """The family with these settings.

    Expressions have at most `nodes` nodes and hold the whole numbers up to `literals` beside those that the policy holds;
    at most `tries` programs are tried and `candidates` proposed.
    """

    def propose(workplace: Workplace, program: Program) -> Candidates:
        try:
            scratch = scratch_of(workplace, program)
            trials = Trials(workplace, program)
        except UNTRIED:
            return 0
        found = _Enumeration(scratch, program, nodes, literals)
        gains: list[tuple[float, int, _Try]] = []
        for attempt in _chosen(found.attempts(), tries):
            tried = trials.value(attempt.edits)
            if tried is not None and tried.rises:
                gains.append((tried.gain, attempt.size, attempt))
        gains.sort(key=lambda g: (-round(g[0] / EPSILON), g[1]))
        steps = found.steps + trials.steps + scratch.steps
        for _, _, attempt in gains[:candidates]:
            yield Candidate(attempt.edits, attempt.note, steps)
            steps = 0
        return steps

    return propose


@dataclass(frozen=True, slots=True)
class _Place:
    """An expression of the policy: the number of its statement, its position there, its type; what the policy decides on
    each sample for a value that stands there, as far as that was worked out."""

    number: int
    position: s.Position
    kind: Type
    tree: s.Expr
    old: s.Expr
    known: list[dict[Any, _Decided]] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class _Try:
    """Another expression in a place, the nodes of the code that it makes, and what it promises by first appearances."""

    edits: tuple[Edit, ...]
    note: str
    size: int
    promise: float


def _chosen(attempts: list[_Try], limit: int) -> list[_Try]:
    """Half of them those that promise most, the others the smallest."""
    promising = sorted((a for a in attempts if a.promise > EPSILON), key=lambda a: -a.promise)
    found = promising[: limit - limit // 2]
    taken = set(map(id, found))
    rest = sorted((a for a in attempts if id(a) not in taken), key=lambda a: a.size)
    return found + rest[: limit - len(found)]


class _Enumeration:
    """The places of a policy and what may be put there. `steps` counts values that were worked out."""

    def __init__(self, scratch: Scratch, program: Program, nodes: int, literals: int) -> None:
        self.scratch, self.program = scratch, program
        self.nodes, self.literals = nodes, literals
        self.steps = self._runs = 0
        self.policy = cast(s.Policy, program.code.slot("main"))
        self.evaluator = Evaluator(program.names)
        self.kinds: dict[str, Type] = {v.name: v.type for v in program.task.actions}
        self.kinds.update((v.name + "'", v.type) for v in program.memories)
        self.samples = _samples(scratch)
        self.sights = self._sights()
        self._banks: dict[tuple[str, ...], Bank] = {}

    # --- what may be read ------------------------------------------------------------------------

    def _sights(self) -> list[Sight]:
        """What each statement may read, and its value on each sample that the policy has a value for as far as that."""
        decisions = self.scratch.decisions
        rows: list[dict[str, Any]] = [dict(decisions.named(o)) for o in self.samples]
        kinds: dict[str, Type] = {v.name: v.type for v in decisions.variables}
        builder = self._builder()
        found: list[Sight] = []
        for statement, evaluated in zip(self.policy.body, self.program.policy.body, strict=True):
            found.append(Sight(dict(kinds), [dict(row) for row in rows]))
            key = _key(statement)
            kinds[key] = (
                self.kinds.get(key) or builder.infer(statement.value, dict(kinds)) or Bool()
            )
            for row in rows:
                row[key] = self.evaluator.value(evaluated.value, row)
        return found

    def _builder(self) -> ScopeBuilder:
        names = self.program.names
        return ScopeBuilder(scope_of(names), names, Faults())

    def _bank(self, number: int) -> Bank:
        """The expressions that a statement may hold; statements that may read the same share one."""
        sight = self.sights[number]
        key = tuple(sight.kinds)
        if key not in self._banks:
            kinds = [*self.kinds.values()]
            bank = Bank(self.program.names, sight, kinds, self.policy, literals=self.literals)
            bank.grow(self.nodes)
            self.steps += bank.steps
            self._banks[key] = bank
        return self._banks[key]

    # --- places ----------------------------------------------------------------------------------

    def _places(self) -> Iterator[_Place]:
        for number, statement in _numbered(self.policy.body):
            kinds = dict(self.sights[number].kinds)
            wanted = self.kinds.get(_key(statement))
            for position, node in _parts(statement.value, ()):
                builder = self._builder()
                kind = wanted if not position else None
                kind = kind or builder.infer(node, kinds)
                if kind is None:
                    continue
                tree = cast(s.Expr, put(statement.value, position, s.Name(HOLE)))
                local = {**kinds, HOLE: without_ranges(kind)}
                if wanted is None:
                    builder.infer(tree, local)
                else:
                    builder.expect(tree, wanted, local)
                if builder.faults.found:
                    continue
                tree = elaborate(builder, tree, wanted, local)
                known: list[dict[Any, _Decided]] = [{} for _ in self.samples]
                yield _Place(number, position, kind, tree, node, known)

    def _decided(self, place: _Place, sample: int, value: Any) -> _Decided:
        """What the policy decides on a sample with a value in a place."""
        known = place.known[sample]
        if value not in known:
            self._runs += 1
            known[value] = self._run(place, sample, value) if self._runs <= RUNS_MAX else None
        return known[value]

    def _run(self, place: _Place, sample: int, value: Any) -> _Decided:
        self.steps += 1
        row = dict(self.sights[place.number].rows[sample])
        try:
            for number, statement in _numbered(self.program.policy.body):
                if number < place.number:
                    continue
                tree, key = statement.value, _key(statement)
                if number == place.number:
                    row[HOLE], tree = value, place.tree
                row[key] = self.evaluator.value(tree, row)
                if key in self.kinds:
                    require_range(self.kinds[key], row[key], key, tree)
        except EvaluationFault:
            return None
        return tuple(row[key] if key in row else row[key[:-1]] for key in self.kinds)

    # --- putting ---------------------------------------------------------------------------------

    def attempts(self) -> list[_Try]:
        """Programs that decide differently on the samples, the smallest of each, in the order of places and terms.

        Where ticks or nodes have a price, those that decide as the program does now are among them.
        """
        places = list(self._places())
        if not places:
            return []
        utility = self.program.task.utility
        plain = not (utility.tick_price or utility.size_price)
        now = self._now()
        found: dict[tuple[_Decided, ...], _Try] = {}
        for place in places:
            bank, old = self._bank(place.number), _size(place.old)
            for _, term in zip(range(PUT_MAX // len(places)), bank.terms(place.kind), strict=False):
                vector = self._vector(place, term)
                if vector is None or (plain and vector == now) or term.expr == place.old:
                    continue
                size = self.program.size - old + term.size
                if vector not in found or size < found[vector].size:
                    if vector == now and size > self.program.size:
                        continue
                    found[vector] = self._attempt(place, term, size, vector)
        return list(found.values())

    def _now(self) -> tuple[_Decided, ...]:
        found: list[_Decided] = []
        for o in self.samples:
            decided = self.scratch.decisions.at(o)
            found.append((*decided.actions, *decided.memory))
        return tuple(found)

    def _vector(self, place: _Place, term: Term) -> tuple[_Decided, ...] | None:
        found: list[_Decided] = []
        for sample, value in zip(range(len(self.samples)), term.values, strict=True):
            known = place.known[sample]
            decided = known[value] if value in known else self._decided(place, sample, value)
            if decided is None:
                return None
            found.append(decided)
        return tuple(found)

    def _attempt(self, place: _Place, term: Term, size: int, vector: tuple[_Decided, ...]) -> _Try:
        actions = len(self.program.task.actions)
        promise = 0.0
        weighted = self.scratch.first_scores.weighted
        for o, decided in zip(self.samples, vector, strict=True):
            if decided is not None:
                promise += weighted[o].get(decided[:actions], 0.0)
        position = (place.number, 0, *place.position)
        edit = replace_at(self.program.code, "main", position, term.expr)
        name = _key(self.policy.body[place.number])
        where = name if not place.position else f"{name} {list(place.position)}"
        return _Try((edit,), f"{print_expression(term.expr)} in {where}", size, promise)


def _samples(scratch: Scratch) -> list[tuple[Any, ...]]:
    """Situations that the program meets, then others that some action leads to; of many, some at even distances."""
    met = scratch.reached(scratch.start_choice)
    own = sorted(o for o in scratch.allowed if o in met)
    others = sorted(o for o in scratch.allowed if o not in met)
    if len(own) + len(others) > SAMPLES_MAX:
        room = max(SAMPLES_MAX // 2, SAMPLES_MAX - len(others))
        own = own[:: -(-len(own) // room)]
        room = SAMPLES_MAX - len(own)
        others = others[:: max(1, -(-len(others) // room))]
    return own + others


def _key(statement: s.Statement) -> str:
    return statement.name + "'" if isinstance(statement, s.Next) else statement.name


def _numbered(body: tuple[s.Statement, ...]) -> Iterator[tuple[int, s.Statement]]:
    return iter(zip(range(len(body)), body, strict=True))


def _parts(node: s.Node, position: s.Position) -> Iterator[tuple[s.Position, s.Expr]]:
    """An expression and those inside it that may read what it may read, and need be no constants."""
    if not isinstance(node, s.Arm | s.Change):
        yield position, cast(s.Expr, node)
    if isinstance(node, s.Let | s.ArrayFor | s.Fold | s.Quantifier | s.Resize | s.ArrayLit):
        return
    below = s.children(node)
    # the patterns of an arm are constants
    first = len(node.patterns) if isinstance(node, s.Arm) else 0
    for i in range(first, len(below)):
        yield from _parts(below[i], (*position, i))


def _size(node: s.Node) -> int:
    return sum(1 for _ in s.walk(node))
