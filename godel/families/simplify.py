"""The family `simplify`: every rule of the table at every position of a program, the largest likely saving first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import TypeAlias, cast

from dsl import syntax as s
from dsl.check import check_code
from dsl.codec import digest_node
from dsl.errors import DslError
from dsl.interp import BUILT_INS, EvaluationFault, Evaluator, Globals, evaluate
from dsl.machine import Program
from dsl.rewrite import Edit, Replace, RewriteError, apply_rewrite, replace_at
from dsl.scope import names_read, order
from godel.families.expression_rules import FLIPPED
from godel.families.family import Candidate, Candidates, Family, Workplace
from godel.families.rule import LEAVES, Bindings, Context, Rule, number_literal
from godel.families.rules import CONDITIONS, RULES

FREE_MAX = 4
"""How many candidates are tried where neither ticks nor size cost anything: only another behaviour can win there."""


def simplify() -> Family:
    """The family that applies the rules of the table."""
    return _propose


def _propose(workplace: Workplace, program: Program) -> Candidates:
    """Every firing that checks, each resulting code once: sound rules first, then by the likely gain in utility."""
    utility = workplace.chapter.task.utility
    search = _Search(program)
    firings = sorted(search.firings(), key=lambda f: f.rank)
    limit = None if utility.tick_price or utility.size_price else FREE_MAX
    steps, found = search.steps, 0
    seen = {program.digest}
    for firing in firings:
        if found == limit:
            break
        steps += 1
        try:
            code = apply_rewrite(program.code, firing.edits)
            digest = digest_node(code)
            if digest in seen:
                continue
            seen.add(digest)
            check_code(program.task, code)
        except (RewriteError, DslError):
            continue
        yield Candidate(firing.edits, firing.note, steps)
        steps, found = 0, found + 1
    return steps


# --- where rules fire ----------------------------------------------------------------------------

_Rank: TypeAlias = tuple[bool, Fraction, Fraction, int, int, s.Position, int]


@dataclass(frozen=True, slots=True)
class _Firing:
    """One rule at one position, and its place in the order: smaller ranks are tried first."""

    edits: tuple[Edit, ...]
    note: str
    rank: _Rank


class _Search:
    """Tries every rule everywhere; `steps` counts the rules tried."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.context = Context(program)
        self.meter = TickMeter(program)
        self.weights = self.meter.weights()
        self.steps = 0

    def firings(self) -> Iterator[_Firing]:
        """Every firing that may gain something; sound ones that can only tie are left out."""
        utility = self.program.task.utility
        rules = [
            (number, rule)
            for number, rule in enumerate(RULES)
            if not rule.sound or utility.tick_price or utility.size_price
        ]
        shaping = [(n, rule) for n, rule in rules if rule.slot is not None]
        heads = _by_head(rules)
        for at, slot in enumerate(self.program.code.slots):
            for number, rule in shaping:
                self.steps += 1
                assert rule.slot is not None
                for position, edits in rule.slot(self.context, slot):
                    yield from self._firing(number, rule, (at, position), edits)
            for position, node in s.positions(slot):
                if isinstance(node, LEAVES) or type(node) not in _EXPRESSIONS:
                    continue
                for number, rule in heads[type(node)]:
                    self.steps += 1
                    for new in _results(self.context, rule, cast(s.Expr, node)):
                        edit = replace_at(self.program.code, slot.name, position, new)
                        yield from self._firing(number, rule, (at, position), (edit,))

    def _firing(
        self, number: int, rule: Rule, place: tuple[int, s.Position], edits: tuple[Edit, ...]
    ) -> Iterator[_Firing]:
        at, position = place
        slot = self.program.code.slots[at]
        edits = tuple(_folded(edit) for edit in edits)
        ticks, nodes = Fraction(0), 0
        for edit in edits:
            saved = self._saving(edit)
            ticks, nodes = ticks + saved[0], nodes + saved[1]
        utility = self.program.task.utility
        if rule.sound and self._can_only_tie(edits, ticks, nodes):
            return
        gain = utility.tick_price * ticks + utility.size_price * nodes
        note = f"{rule.name} at {type(slot).__name__.lower()} {slot.name} {list(position)}"
        rank = (not rule.sound, -gain, -ticks, -nodes, at, position, number)
        yield _Firing(edits, note, rank)

    def _saving(self, edit: Edit) -> tuple[Fraction, int]:
        """The ticks a step and the nodes that an edit is likely to save."""
        if not isinstance(edit, Replace):
            removed = self.program.code.slot(cast(str, edit.slot))
            return Fraction(0), sum(1 for _ in s.walk(cast(s.Node, removed)))
        old = self._there(edit)
        weight = self.weights.get((edit.slot, edit.position), Fraction(0))
        ticks = weight * (self.meter.ticks(old) - self.meter.ticks(edit.code)) if weight else weight
        return ticks, _size(old) - _size(edit.code)

    def _can_only_tie(self, edits: tuple[Edit, ...], ticks: Fraction, nodes: int) -> bool:
        """Whether a sound rewrite surely saves neither ticks nor nodes that cost anything."""
        utility = self.program.task.utility
        if utility.size_price and nodes > 0:
            return False
        if not utility.tick_price:
            return True
        return ticks <= 0 and not any(self._varies(e) for e in edits if isinstance(e, Replace))

    def _varies(self, edit: Replace) -> bool:
        """Whether the ticks before or after depend on the state."""
        if not self.weights.get((edit.slot, edit.position)):
            return False
        return self.meter.varies(self._there(edit)) or self.meter.varies(edit.code)

    def _there(self, edit: Replace) -> s.Node:
        slot = self.program.code.slot(edit.slot)
        return cast(s.Node, s.node_at(cast(s.Node, slot), edit.position))


def _size(node: s.Node) -> int:
    return sum(1 for _ in s.walk(node))


def _folded(edit: Edit) -> Edit:
    """The edit with its literals in the form in which they are stored."""
    if not isinstance(edit, Replace):
        return edit
    return replace(edit, code=s.fold_literals(edit.code))


# --- matching ------------------------------------------------------------------------------------

_EXPRESSIONS: tuple[type[s.Node], ...] = (
    *(s.Unary, s.Binary, s.Compare, s.If, s.Let, s.Match),
    *(s.Call, s.Index, s.ArrayLit, s.ArrayFor),
    *(s.With, s.Fold, s.Quantifier, s.Resize),
)
_EITHER_ORDER = frozenset({"+", "*", "and", "or", "&", "|", "^"})
_LITERALS_ONLY = frozenset({"k", "m"})


@cache
def _parsed(text: str) -> s.Expr:
    """A pattern or replacement as a tree."""
    from dsl.parser import parse_expression  # loads lark, which only `evolve` needs

    return parse_expression(text)


def _by_head(rules: Sequence[tuple[int, Rule]]) -> Mapping[type[s.Node], list[tuple[int, Rule]]]:
    """The rules of expressions by the kind of node that they may fire at."""
    heads: dict[type[s.Node], list[tuple[int, Rule]]] = {kind: [] for kind in _EXPRESSIONS}
    for number, rule in rules:
        if rule.slot is not None:
            continue
        kinds = _EXPRESSIONS if rule.expr is not None else (type(_parsed(rule.pattern)),)
        for kind in kinds:
            heads[kind].append((number, rule))
    return heads


def _results(context: Context, rule: Rule, node: s.Expr) -> Iterator[s.Expr]:
    """What a rule makes of a node, each other expression once."""
    if rule.expr is not None:
        found = rule.expr(context, node)
    else:
        found = _rewritten(context, rule, node)
    seen: list[s.Expr] = [node]
    for new in found:
        if new not in seen:
            seen.append(new)
            yield new


def _rewritten(context: Context, rule: Rule, node: s.Expr) -> Iterator[s.Expr]:
    condition = CONDITIONS[rule.where] if rule.where else None
    for bindings in _matches(context, _parsed(rule.pattern), node, {}):
        if condition is None or condition(bindings):
            yield _instance(_parsed(rule.replacement), bindings)


def _matches(
    context: Context, pattern: s.Node, node: s.Node, bound: Bindings
) -> Iterator[Bindings]:
    """Every way in which a node is an instance of a pattern."""
    if isinstance(pattern, s.Name):
        letter = pattern.name
        if letter in bound:
            if bound[letter] == node:
                yield bound
        elif not isinstance(node, s.Arm | s.Change):
            if letter not in _LITERALS_ONLY or context.is_literal(node):
                yield {**bound, letter: cast(s.Expr, node)}
        return
    if type(pattern) is not type(node):
        return
    below = s.children(pattern)
    if not below:
        if pattern == node:
            yield bound
        return
    for arrangement in _arrangements(pattern, node):
        yield from _match_all(context, below, arrangement, bound)


def _match_all(
    context: Context, patterns: tuple[s.Node, ...], nodes: tuple[s.Node, ...], bound: Bindings
) -> Iterator[Bindings]:
    if not patterns:
        yield bound
        return
    for found in _matches(context, patterns[0], nodes[0], bound):
        yield from _match_all(context, patterns[1:], nodes[1:], found)


def _arrangements(pattern: s.Node, node: s.Node) -> Iterator[tuple[s.Node, ...]]:
    """The children of a node, in each order in which they mean the same under the pattern's operator."""
    below = s.children(node)
    if len(below) != len(s.children(pattern)):
        return
    match pattern, node:
        case (s.Unary(a, _), s.Unary(b, _)) | (s.Binary(a, _, _), s.Binary(b, _, _)):
            same, either = a == b, a in _EITHER_ORDER
        case s.Call(a, _), s.Call(b, _):
            same, either = a == b, a in ("min", "max") and len(below) == 2
        case s.Compare(a, _), s.Compare(b, _):
            same, either = a == b, len(below) == 2 and FLIPPED[b[0]] == a[0]
        case s.Resize(a), s.Resize(b):
            same, either = a == b, False
        case _:
            same, either = True, False
    if same:
        yield below
    if either and (same or isinstance(node, s.Compare)):
        yield below[::-1]


def _instance(template: s.Node, bindings: Bindings) -> s.Expr:
    """The replacement with its letters filled in, and what has become an operation on literals worked out."""
    if isinstance(template, s.Name):
        return bindings[template.name]
    below = s.children(template)
    if not below:
        return cast(s.Expr, template)
    new = s.with_children(template, tuple(_instance(child, bindings) for child in below))
    return _worked_out(cast(s.Expr, new))


def _worked_out(node: s.Expr) -> s.Expr:
    """The literal of an operation on number literals, where it does not depend on their type."""
    match node:
        case s.Binary("&" | "|" | "^" as op, s.IntLit(a), s.IntLit(b)) if min(a, b) >= 0:
            return s.IntLit(a & b if op == "&" else a | b if op == "|" else a ^ b)
        case s.Binary("<<" | ">>" | "&" | "|" | "^") | s.Unary("~"):
            return node
        case s.Unary() | s.Binary() | s.Compare():
            pass
        case s.Call(name) if name in BUILT_INS:
            pass
        case _:
            return node
    if not all(isinstance(child, s.IntLit | s.RatLit) for child in s.children(node)):
        return node
    try:
        value, _ = evaluate(node, Globals())
    except EvaluationFault:
        return node
    return s.BoolLit(value) if isinstance(value, bool) else number_literal(cast(int, value))


# --- likely ticks --------------------------------------------------------------------------------


class TickMeter:
    """Guesses ticks: every branch is as likely as the others. Only the order of candidates rests on it."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._bodies: dict[str, Fraction] = {}

    def ticks(self, node: s.Node) -> Fraction:
        """The ticks that one evaluation is likely to take."""
        total = self._own(node)
        for share, child in zip(self._shares(node), s.children(node), strict=True):
            if share:
                total += share * self.ticks(child)
        return total

    def varies(self, node: s.Node) -> bool:
        """Whether the ticks may depend on the state."""
        for below in s.walk(node):
            match below:
                case s.If() | s.Match() | s.Binary("and" | "or" | "implies") | s.Quantifier():
                    return True
                case s.Compare(ops, _) if len(ops) > 1:
                    return True
                case s.Call(name, _) if name in self.program.names.functions:
                    if self.varies(self.program.names.functions[name].body):
                        return True
                case _:
                    pass
        return False

    def weights(self) -> dict[tuple[str, s.Position], Fraction]:
        """How often each node of the code is likely to be evaluated in a step."""
        slots = {slot.name: slot for slot in self.program.code.slots}
        reads = {name: names_read(slot) & slots.keys() for name, slot in slots.items()}
        called: dict[str, Fraction] = {}
        out: dict[tuple[str, s.Position], Fraction] = {}
        # callers stand before what they call
        for name in reversed(order(reads, lambda *_: None)):
            once = Fraction(1) if name == "main" else called.get(name, Fraction(0))
            pending: list[tuple[s.Position, s.Node, Fraction]] = [((), slots[name], once)]
            while pending:
                position, node, weight = pending.pop()
                if not weight:
                    continue
                out[name, position] = weight
                if isinstance(node, s.Call) and node.name in slots:
                    called[node.name] = called.get(node.name, Fraction(0)) + weight
                below = zip(self._shares(node), s.children(node), strict=True)
                for i, (share, child) in enumerate(below):
                    pending.append(((*position, i), child, weight * share))
        return out

    def _own(self, node: s.Node) -> Fraction:
        """What a node takes itself, without its children."""
        match node:
            case s.Compare(ops, _):
                prices = (self._price(op) / 2**i for i, op in enumerate(ops))
                return sum(prices, Fraction(0))
            case s.Call("min" | "max" as name, args):
                return self._price(name) * (len(args) - 1)
            case s.Call(name, _):
                return self._called(name)
            case s.Unary(op) | s.Binary(op):
                return self._price(op)
            case s.With(_, changes):
                return self._price("with") * len(changes)
            case s.Fold(_, _, _, low, high):
                return self._price("fold") * (1 + self._turns(low, high))
            case s.Quantifier(word, _, low, high):
                return self._price(word) * self._likely_turns(low, high)
            case s.Resize(word) | s.BitsOp(word):
                return self._price(word) if word != "literal" else Fraction(0)
            case _:
                return self._price(_PRICED[type(node)]) if type(node) in _PRICED else Fraction(0)

    def _called(self, name: str) -> Fraction:
        if name in self.program.names.functions:
            return self._price("call") + self._body(name)
        return self._price("convert" if name in self.program.names.enums else name)

    def _price(self, operation: str) -> Fraction:
        return Fraction(self.program.names.prices.get(operation, 1))

    def _body(self, name: str) -> Fraction:
        functions = self.program.names.functions
        if name in functions and name not in self._bodies:
            self._bodies[name] = self.ticks(functions[name].body)
        return self._bodies.get(name, Fraction(0))

    def _turns(self, low: s.Expr, high: s.Expr) -> Fraction:
        """How many turns a loop makes; 1 where that is not plain to see."""
        evaluator = Evaluator(self.program.names)
        try:
            first, last = evaluator.value(low, {}), evaluator.value(high, {})
        except (EvaluationFault, KeyError):
            return Fraction(1)
        return Fraction(max(1, last - first + 1))

    def _likely_turns(self, low: s.Expr, high: s.Expr) -> Fraction:
        """How many turns a question takes that stops when it is answered."""
        return (self._turns(low, high) + 1) / 2

    def _shares(self, node: s.Node) -> tuple[Fraction, ...]:
        """How often each child is likely to be evaluated when the node is, once."""
        one, none, half = Fraction(1), Fraction(0), Fraction(1, 2)
        match node:
            case s.If():
                return one, half, half
            case s.Binary("and" | "or" | "implies"):
                return one, half
            case s.Compare(ops, _):
                return one, *(Fraction(1, 2**i) for i in range(len(ops)))
            case s.Match(_, arms, otherwise):
                bodies = len(arms) + (otherwise is not None)
                return one, *[Fraction(1, bodies)] * bodies
            case s.Arm(patterns, _):
                return *[none] * len(patterns), one
            case s.ArrayFor(_, low, high, _):
                return none, none, self._turns(low, high)
            case s.Fold(_, _, _, low, high):
                return one, none, none, self._turns(low, high)
            case s.Quantifier(_, _, low, high):
                return none, none, self._likely_turns(low, high)
            case s.Resize():
                return none, one
            case s.Def(_, parameters, _, _):
                return *[none] * len(parameters), one
            case s.Param() | s.Table() | s.Memory():
                return (none,)
            case _:
                return tuple(one for _ in s.children(node))


_PRICED: Mapping[type[s.Node], str] = {
    s.Define: "let",
    s.Let: "let",
    s.If: "if",
    s.Match: "match",
    s.Index: "index",
    s.ArrayLit: "array",
    s.ArrayFor: "array",
}
