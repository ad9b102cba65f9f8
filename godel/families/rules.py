"""The rewrite rules of `simplify`: a table of texts in our own language, and small functions for what texts cannot say.

In a pattern, a single letter stands for an expression, `k` and `m` for literals and members of enums; a letter that
stands twice stands for the same twice. Operands are matched in either order wherever the operator allows it (`x < y`
also matches `y > x`). No rule need be sound: the gate decides. `sound` only says what is tried first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias, cast

from dsl import syntax as s
from dsl.check import check_expression
from dsl.codec import chain_goes_one_way, digest_node
from dsl.errors import DslError
from dsl.interp import EvaluationFault, Globals, evaluate
from dsl.machine import Program
from dsl.rewrite import Edit, RemoveSlot, replace_at
from dsl.scope import names_read
from dsl.types import Array, Bool, Enum, Int, Rat, Type, Value

Bindings: TypeAlias = Mapping[str, s.Expr]
Expressions: TypeAlias = Iterator[s.Expr]
Rewrites: TypeAlias = Iterator[tuple[s.Position, tuple[Edit, ...]]]

LEAVES = (s.BoolLit, s.IntLit, s.RatLit, s.Name, s.Primed, s.Member)


@dataclass(frozen=True, slots=True)
class Context:
    """The program that a rule is tried on, and every name that stands anywhere in it or in its world."""

    program: Program
    taken: frozenset[str]

    @property
    def code(self) -> s.Code:
        """The code of the program."""
        return self.program.code

    @property
    def names(self) -> Globals:
        """What the code may read everywhere."""
        return self.program.names

    def fresh(self, stem: str) -> str:
        """A name that nothing has yet."""
        count = 1
        while (name := f"{stem}{count}" if count > 1 else stem) in self.taken:
            count += 1
        return name

    def is_literal(self, node: s.Node) -> bool:
        """Whether a node is a literal or a member of an enum."""
        return literal_key(self.names, node) is not None

    def is_constant(self, node: s.Node) -> bool:
        """Whether a node can be a pattern of a match."""
        named = isinstance(node, s.Name) and node.name in self.names.values
        return named or self.is_literal(node)

    def is_closed(self, node: s.Node) -> bool:
        """Whether a node has the same value in every state."""
        bound = binders(node)
        return not any(
            isinstance(n, s.Primed)
            or (isinstance(n, s.Name) and n.name not in bound and n.name not in self.names.values)
            for n in s.walk(node)
        )


ExprRule: TypeAlias = Callable[[Context, s.Expr], Expressions]
SlotRule: TypeAlias = Callable[[Context, s.Slot], Rewrites]


@dataclass(frozen=True, slots=True)
class Rule:
    """`pattern` may become `replacement` where the condition named by `where` holds.

    With a function in `expr` or `slot`, that function says what becomes of an expression or a slot, and the texts explain.
    `sound`: the value stays the same wherever both sides have one; ticks may rise all the same.
    """

    name: str
    pattern: str
    replacement: str
    where: str = ""
    sound: bool = True
    expr: ExprRule | None = None
    slot: SlotRule | None = None


# --- trees ---------------------------------------------------------------------------------------


def binders(node: s.Node) -> set[str]:
    """The names that `let`s and comprehensions below a node bind."""
    bound: set[str] = set()
    for below in s.walk(node):
        if isinstance(below, s.Let):
            bound.add(below.name)
        elif isinstance(below, s.ArrayFor):
            bound.add(below.var)
    return bound


def literal_key(names: Globals, node: s.Node) -> tuple[str, object] | None:
    """What tells a literal or a member of an enum from others of its type; None for anything else."""
    match node:
        case s.BoolLit(value) | s.IntLit(value) | s.RatLit(value):
            return "value", value
        case s.Member(_, member):
            return "member", member
        case s.Name(name) if any(name in e.members for e in names.enums.values()):
            return "member", name
        case _:
            return None


def literal_of(names: Globals, kind: Type, value: Value) -> s.Expr | None:
    """The literal for a value; None for an array."""
    match kind:
        case Bool():
            return s.BoolLit(bool(value))
        case Int():
            return s.IntLit(cast(int, value))
        case Rat():
            return s.RatLit(Fraction(cast(Fraction, value)))
        case Enum(name, members):
            member = members[cast(int, value)]
            return s.Name(member) if member in names.values else s.Member(name, member)
        case Array():
            return None


def number_literal(value: int | Fraction) -> s.Expr:
    """The literal for a number."""
    return s.RatLit(value) if isinstance(value, Fraction) else s.IntLit(value)


def transform(node: s.Node, change: Callable[[s.Node], s.Node | None]) -> s.Node:
    """The tree with every outermost node for which `change` has another one replaced by it."""
    new = change(node)
    if new is not None:
        return new
    below = s.children(node)
    changed = tuple(transform(child, change) for child in below)
    same = all(a is b for a, b in zip(below, changed, strict=True))
    return node if same else s.with_children(node, changed)


def substitute(node: s.Expr, values: Bindings) -> s.Expr:
    """The expression with names replaced. No name is bound twice where both are visible, so nothing is captured unseen."""
    change = lambda n: values.get(n.name) if isinstance(n, s.Name) else None  # noqa: E731
    return cast(s.Expr, transform(node, change))


def replace_equal(node: s.Expr, old: s.Expr, new: s.Expr) -> s.Expr:
    """The expression with every part equal to `old` replaced."""
    return cast(s.Expr, transform(node, lambda n: new if n == old else None))


def put(node: s.Node, position: s.Position, new: s.Node) -> s.Node:
    """The tree with another node at a position."""
    if not position:
        return new
    below = list(s.children(node))
    below[position[0]] = put(below[position[0]], position[1:], new)
    return s.with_children(node, tuple(below))


def count_uses(node: s.Node, name: str) -> int:
    """How often a name stands in a tree."""
    return sum(1 for n in s.walk(node) if isinstance(n, s.Name) and n.name == name)


def is_cheap_to_copy(value: s.Expr, uses: int) -> bool:
    """Whether an expression may stand in the place of a name without being evaluated more often."""
    return uses <= 1 or isinstance(value, LEAVES)


# --- constants, lets, calls and arrays -----------------------------------------------------------


def fold_constant(context: Context, node: s.Expr) -> Expressions:
    """A closed expression becomes the literal of its value."""
    if isinstance(node, (s.ArrayLit, s.ArrayFor)) or not context.is_closed(node):
        return
    try:
        kind = check_expression(context.names, node, {})
        value, _ = evaluate(node, context.names)
    except (DslError, EvaluationFault):
        return
    literal = literal_of(context.names, kind, value)
    if literal is not None:
        yield literal


def inline_let(context: Context, node: s.Expr) -> Expressions:
    """A `let` that is used once, or names a name or literal, is written out."""
    if isinstance(node, s.Let):
        uses = count_uses(node.body, node.name)
        if uses and is_cheap_to_copy(node.value, uses):
            yield substitute(node.body, {node.name: node.value})


def drop_let(context: Context, node: s.Expr) -> Expressions:
    """A `let` that nothing reads goes."""
    if isinstance(node, s.Let) and not count_uses(node.body, node.name):
        yield node.body


def sink_let(context: Context, node: s.Expr) -> Expressions:
    """A `let` moves into the one branch that reads it."""
    if isinstance(node, s.Let):
        sunk = _sunk(node.name, node.value, node.body)
        if sunk is not None:
            yield sunk


def _sunk(name: str, value: s.Expr, body: s.Expr) -> s.Expr | None:
    """The body with the `let` around the innermost part that holds every use; None unless a branch lies on the way."""
    uses = count_uses(body, name)
    at: s.Position = ()
    node: s.Node = body
    branched = False
    while uses > 1 and not isinstance(node, s.ArrayFor):
        below = s.children(node)
        holds = next((i for i, n in enumerate(below) if count_uses(n, name) == uses), None)
        if holds is None:
            break
        branched = branched or holds >= _first_branch(node)
        at, node = (*at, holds), below[holds]
    if not branched:
        return None
    return cast(s.Expr, put(body, at, s.Let(name, value, cast(s.Expr, node))))


def _first_branch(node: s.Node) -> int:
    """The first child that is not always evaluated."""
    match node:
        case s.If() | s.Match() | s.Binary("and" | "or" | "implies"):
            return 1
        case s.Compare():
            return 2
        case _:
            return len(s.children(node))


def inline_call(context: Context, node: s.Expr) -> Expressions:
    """A call becomes the body of its function, unless an argument would be evaluated more often."""
    if not isinstance(node, s.Call) or node.name not in context.names.functions:
        return
    function = context.names.functions[node.name]
    arguments = {p.name: a for p, a in zip(function.parameters, node.args, strict=True)}
    if all(is_cheap_to_copy(a, count_uses(function.body, n)) for n, a in arguments.items()):
        yield substitute(function.body, arguments)


def index_literal(context: Context, node: s.Expr) -> Expressions:
    """An entry of an array that is written out stands for itself."""
    match node:
        case s.Index(s.ArrayLit(items), s.IntLit(i)) if 0 <= i < len(items):
            yield items[i]


def index_to_match(context: Context, node: s.Expr) -> Expressions:
    """Choosing an entry of an array that is written out evaluates only that entry."""
    match node:
        case s.Index(s.ArrayLit(items), index) if len(items) > 1 and not context.is_closed(index):
            arms = tuple(s.Arm((s.IntLit(i),), item) for i, item in enumerate(items[:-1]))
            yield s.Match(index, arms, items[-1])


def index_comprehension(context: Context, node: s.Expr) -> Expressions:
    """An entry of a comprehension is its body at that index."""
    if not isinstance(node, s.Index):
        return
    array, index = node.array, node.index
    if isinstance(array, s.Name) and array.name in context.names.tables:
        kind = context.names.types[array.name]
        if isinstance(kind, Array) and kind.index is not None:
            index = s.Call("ord", (index,))
        array = context.names.tables[array.name].value
    if isinstance(array, s.ArrayFor):
        if array.low != s.IntLit(0):
            index = s.Binary("+", array.low, index)
        if is_cheap_to_copy(index, count_uses(array.body, array.var)):
            yield substitute(array.body, {array.var: index})
        else:
            yield s.Let(array.var, index, array.body)


def index_uniform(context: Context, node: s.Expr) -> Expressions:
    """An entry of a table that holds one value everywhere is that value."""
    depth, root = 0, node
    while isinstance(root, s.Index):
        depth, root = depth + 1, root.array
    if not depth or not isinstance(root, s.Name) or root.name not in context.names.tables:
        return
    kind, entries = context.names.types[root.name], [context.names.values[root.name]]
    for _ in range(depth):
        if not isinstance(kind, Array):
            return
        kind = kind.item
        entries = [item for row in entries for item in cast(tuple[Value, ...], row)]
    literal = literal_of(context.names, kind, entries[0])
    if literal is not None and all(entry == entries[0] for entry in entries):
        yield literal


def repeat_entry(context: Context, node: s.Expr) -> Expressions:
    """An array of equal entries becomes a comprehension."""
    if isinstance(node, s.ArrayLit) and len(node.items) > 1:
        if all(item == node.items[0] for item in node.items[1:]):
            last = s.IntLit(len(node.items) - 1)
            yield s.ArrayFor(context.fresh("i"), s.IntLit(0), last, node.items[0])


# --- tests and matches ---------------------------------------------------------------------------


def hoist_common(context: Context, node: s.Expr) -> Expressions:
    """What both branches share moves out: only the part in which they differ is chosen."""
    if not isinstance(node, s.If):
        return
    then, other = node.then, node.otherwise
    if not isinstance(then, (s.Unary, s.Binary, s.Compare, s.Call, s.Index)):
        return
    below, above = s.children(then), s.children(other)
    if type(then) is not type(other) or len(below) != len(above):
        return
    apart = [i for i, (a, b) in enumerate(zip(below, above, strict=True)) if a != b]
    if len(apart) == 1 and s.with_children(then, above) == other:
        i = apart[0]
        choice = s.If(node.test, cast(s.Expr, below[i]), cast(s.Expr, above[i]))
        yield cast(s.Expr, put(then, (i,), choice))


def use_test(context: Context, node: s.Expr) -> Expressions:
    """Inside its branches a test is known to be true, or false."""
    if isinstance(node, s.If) and not isinstance(node.test, s.BoolLit):
        then = replace_equal(node.then, node.test, s.BoolLit(True))
        other = replace_equal(node.otherwise, node.test, s.BoolLit(False))
        if then is not node.then or other is not node.otherwise:
            yield s.If(node.test, then, other)


def tests_to_match(context: Context, node: s.Expr) -> Expressions:
    """A run of tests of one expression for equality becomes a match, which makes no comparisons."""
    first = _equality(context, node)
    if first is None:
        return
    subject, arms, rest = first[0], list[s.Arm](), node
    while (found := _equality(context, rest)) is not None and found[0] == subject:
        _, patterns, body, rest = found
        _add_arm(arms, s.Arm(patterns, body))
    otherwise: s.Expr | None = rest
    if isinstance(rest, s.Match) and rest.subject == subject:
        otherwise = rest.otherwise
        for arm in rest.arms:
            _add_arm(arms, arm)
    yield s.Match(subject, tuple(arms), otherwise)


def _equality(
    context: Context, node: s.Expr
) -> tuple[s.Expr, tuple[s.Expr, ...], s.Expr, s.Expr] | None:
    """What an `if` compares with which constants, its branch for one of them, and its branch for anything else."""
    if not isinstance(node, s.If):
        return None
    tested = _tested(context, node.test, "==")
    if tested is not None:
        return *tested, node.then, node.otherwise
    tested = _tested(context, node.test, "!=")
    return None if tested is None else (*tested, node.otherwise, node.then)


def _tested(context: Context, test: s.Expr, op: str) -> tuple[s.Expr, tuple[s.Expr, ...]] | None:
    match test:
        case s.Compare((found,), (left, right)) if found == op:
            if context.is_constant(left):
                left, right = right, left
            if context.is_constant(right) and not context.is_constant(left):
                return left, (right,)
        case s.Binary("or", left, right) if op == "==":
            first, second = _tested(context, left, op), _tested(context, right, op)
            if first is not None and second is not None and first[0] == second[0]:
                return first[0], tuple(dict.fromkeys(first[1] + second[1]))
        case _:
            pass
    return None


def _add_arm(arms: list[s.Arm], arm: s.Arm) -> None:
    """Add an arm without the patterns that an arm above takes."""
    taken = {p for a in arms for p in a.patterns}
    patterns = tuple(p for p in arm.patterns if p not in taken)
    if patterns:
        arms.append(s.Arm(patterns, arm.body))


def match_once(context: Context, node: s.Expr) -> Expressions:
    """A match inside a match of the same expression is settled already."""
    if not isinstance(node, s.Match):
        return
    arms: list[s.Arm] = []
    for arm in node.arms:
        _add_arm(arms, s.Arm(arm.patterns, _settled(context, node.subject, arm)))
    otherwise = node.otherwise
    if isinstance(otherwise, s.Match) and otherwise.subject == node.subject:
        for arm in otherwise.arms:
            _add_arm(arms, arm)
        otherwise = otherwise.otherwise
    if tuple(arms) != node.arms or otherwise is not node.otherwise:
        yield s.Match(node.subject, tuple(arms), otherwise)


def _settled(context: Context, subject: s.Expr, arm: s.Arm) -> s.Expr:
    """The body of an arm, with the matches of its subject in it decided by its pattern."""

    def settle(inner: s.Node) -> s.Node | None:
        if isinstance(inner, s.Match) and inner.subject == subject and len(arm.patterns) == 1:
            return _chosen(context, inner, arm.patterns[0])
        return None

    return cast(s.Expr, transform(arm.body, settle))


def _chosen(context: Context, node: s.Match, subject: s.Expr) -> s.Expr | None:
    """The body that a match takes for a literal; None where that is not plain to see."""
    wanted = literal_key(context.names, subject)
    for arm in node.arms:
        for pattern in arm.patterns:
            found = literal_key(context.names, pattern)
            if found is None or wanted is None:
                return None
            if found == wanted:
                return arm.body
    return node.otherwise if wanted is not None else None


def match_known(context: Context, node: s.Expr) -> Expressions:
    """A match of a literal takes the arm of that literal."""
    if isinstance(node, s.Match):
        body = _chosen(context, node, node.subject)
        if body is not None:
            yield body


def match_without_choice(context: Context, node: s.Expr) -> Expressions:
    """A match whose arms all say the same is what they say."""
    if isinstance(node, s.Match):
        bodies = [arm.body for arm in node.arms]
        if node.otherwise is not None:
            bodies.append(node.otherwise)
        if all(body == bodies[0] for body in bodies[1:]):
            yield bodies[0]


def match_truth(context: Context, node: s.Expr) -> Expressions:
    """A match of a truth value is an `if`."""
    match node:
        case s.Match(test, (s.Arm((s.BoolLit(value),), first),), second) if second is not None:
            pass
        case s.Match(
            test, (s.Arm((s.BoolLit(value),), first), s.Arm((s.BoolLit(),), second)), None
        ):
            pass
        case _:
            return
    yield s.If(test, first, second) if value else s.If(test, second, first)


def merge_arms(context: Context, node: s.Expr) -> Expressions:
    """Arms with equal bodies become one arm."""
    if isinstance(node, s.Match):
        patterns: dict[s.Expr, tuple[s.Expr, ...]] = {}
        for arm in node.arms:
            patterns[arm.body] = patterns.get(arm.body, ()) + arm.patterns
        if len(patterns) < len(node.arms):
            arms = tuple(s.Arm(p, body) for body, p in patterns.items())
            yield s.Match(node.subject, arms, node.otherwise)


def drop_else_arms(context: Context, node: s.Expr) -> Expressions:
    """Arms that say what `else` says go."""
    if isinstance(node, s.Match):
        arms = tuple(arm for arm in node.arms if arm.body != node.otherwise)
        if arms and len(arms) < len(node.arms):
            yield s.Match(node.subject, arms, node.otherwise)


def arm_to_else(context: Context, node: s.Expr) -> Expressions:
    """Where every case is listed, the longest arm becomes `else`."""
    if isinstance(node, s.Match) and node.otherwise is None and len(node.arms) > 1:
        longest = max(node.arms, key=lambda a: len(a.patterns))
        arms = tuple(arm for arm in node.arms if arm is not longest)
        yield s.Match(node.subject, arms, longest.body)


def drop_arm(context: Context, node: s.Expr) -> Expressions:
    """One arm goes, and `else` takes its cases."""
    if isinstance(node, s.Match) and node.otherwise is not None and len(node.arms) > 1:
        for i in range(len(node.arms)):
            yield s.Match(node.subject, node.arms[:i] + node.arms[i + 1 :], node.otherwise)


# --- comparisons ---------------------------------------------------------------------------------

FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def _both_ways(node: s.Expr) -> Iterator[s.Compare]:
    """A comparison, and the same read from right to left."""
    if isinstance(node, s.Compare):
        yield node
        yield s.Compare(tuple(FLIPPED[op] for op in reversed(node.ops)), node.operands[::-1])


def merge_chain(context: Context, node: s.Expr) -> Expressions:
    """Two comparisons that share an operand become a chain."""
    if isinstance(node, s.Binary) and node.op == "and":
        for first, second in ((node.left, node.right), (node.right, node.left)):
            for low in _both_ways(first):
                for high in _both_ways(second):
                    ops = low.ops + high.ops
                    joined = low.operands[-1] == high.operands[0]
                    if joined and chain_goes_one_way(ops):
                        yield s.Compare(ops, low.operands + high.operands[1:])


def move_literal(context: Context, node: s.Expr) -> Expressions:
    """A literal that is added on one side is taken off the literal on the other."""
    for found in _both_ways(node):
        match found:
            case s.Compare((_,), (s.Binary(sign, x, y), (s.IntLit(k) | s.RatLit(k)))):
                pass
            case _:
                continue
        match sign, x, y:
            case ("+", _, (s.IntLit(m) | s.RatLit(m))):
                yield s.Compare(found.ops, (x, number_literal(k - m)))
            case ("+", (s.IntLit(m) | s.RatLit(m)), _):
                yield s.Compare(found.ops, (y, number_literal(k - m)))
            case ("-", _, (s.IntLit(m) | s.RatLit(m))):
                yield s.Compare(found.ops, (x, number_literal(k + m)))
            case ("-", (s.IntLit(m) | s.RatLit(m)), _):
                yield s.Compare(found.ops, (number_literal(m - k), y))
            case _:
                pass


def compare_difference(context: Context, node: s.Expr) -> Expressions:
    """A difference is compared with 0 as its two sides compare."""
    for found in _both_ways(node):
        match found:
            case s.Compare((_,), (s.Binary("-", x, y), s.IntLit(0))):
                yield s.Compare(found.ops, (x, y))
            case _:
                pass


def cancel_both_sides(context: Context, node: s.Expr) -> Expressions:
    """What is added to, or taken from, both sides of a comparison goes."""
    match node:
        case s.Compare((_,) as ops, (s.Binary("+", a, b), s.Binary("+", c, d))):
            for x, y, z, w in ((a, b, c, d), (a, b, d, c), (b, a, c, d), (b, a, d, c)):
                if y == w:
                    yield s.Compare(ops, (x, z))
        case s.Compare((_,) as ops, (s.Binary("-", a, b), s.Binary("-", c, d))):
            if b == d:
                yield s.Compare(ops, (a, c))
            if a == c:
                yield s.Compare(ops, (d, b))
        case _:
            pass


def convert_back(context: Context, node: s.Expr) -> Expressions:
    """The member with the number of a member is that member, and the other way round."""
    match node:
        case s.Call(outer, (s.Call(inner, (x,)),)):
            enums = context.names.enums
            if (outer == "ord" and inner in enums) or (inner == "ord" and outer in enums):
                yield x


# --- slots ---------------------------------------------------------------------------------------


def _replace_policy(
    context: Context, at: int, body: list[s.Statement], policy: s.Policy
) -> Rewrites:
    new = s.Policy(policy.name, tuple(body))
    yield (at,), (replace_at(context.code, policy.name, (), new),)


def _lets_of(slot: s.Slot) -> Iterator[tuple[int, s.Define, list[s.Statement], int]]:
    """Each `let` of a policy with its place, the statements below, and how often they read it."""
    if isinstance(slot, s.Policy):
        for i, statement in enumerate(slot.body):
            if isinstance(statement, s.Define):
                below = list(slot.body[i + 1 :])
                uses = sum(count_uses(later.value, statement.name) for later in below)
                yield i, statement, below, uses


def _with_value(statement: s.Statement, value: s.Expr) -> s.Statement:
    return cast(s.Statement, s.with_children(statement, (value,)))


def inline_policy_let(context: Context, slot: s.Slot) -> Rewrites:
    """A `let` of the policy that is used once, or names a name or literal, is written out."""
    for i, let, below, uses in _lets_of(slot):
        if uses and is_cheap_to_copy(let.value, uses):
            policy = cast(s.Policy, slot)
            changed = [_with_value(b, substitute(b.value, {let.name: let.value})) for b in below]
            yield from _replace_policy(context, i, [*policy.body[:i], *changed], policy)


def drop_policy_let(context: Context, slot: s.Slot) -> Rewrites:
    """A `let` of the policy that nothing reads goes."""
    for i, _, below, uses in _lets_of(slot):
        if not uses:
            policy = cast(s.Policy, slot)
            yield from _replace_policy(context, i, [*policy.body[:i], *below], policy)


def sink_policy_let(context: Context, slot: s.Slot) -> Rewrites:
    """A `let` of the policy moves into the one branch that reads it."""
    for i, let, below, uses in _lets_of(slot):
        for j, later in enumerate(below):
            if uses and count_uses(later.value, let.name) == uses:
                sunk = _sunk(let.name, let.value, later.value)
                if sunk is not None:
                    policy = cast(s.Policy, slot)
                    changed = [*below[:j], _with_value(later, sunk), *below[j + 1 :]]
                    yield from _replace_policy(context, i, [*policy.body[:i], *changed], policy)


def reuse_value(context: Context, slot: s.Slot) -> Rewrites:
    """What a line above has worked out already is read from there."""
    if not isinstance(slot, s.Policy):
        return
    for i, statement in enumerate(slot.body):
        if isinstance(statement.value, LEAVES) or context.is_closed(statement.value):
            continue
        name = s.Name(statement.name)
        below = [
            _with_value(later, replace_equal(later.value, statement.value, name))
            for later in slot.body[i + 1 :]
        ]
        if tuple(below) != slot.body[i + 1 :]:
            yield from _replace_policy(context, i, [*slot.body[: i + 1], *below], slot)


def share_part(context: Context, slot: s.Slot) -> Rewrites:
    """A part that stands twice is worked out once, and named."""
    name = context.fresh("part")
    if isinstance(slot, s.Def):
        at = (len(slot.parameters),)
        for part in _repeated(context, [slot.body]):
            shared = s.Let(name, part, replace_equal(slot.body, part, s.Name(name)))
            yield at, (replace_at(context.code, slot.name, at, shared),)
    elif isinstance(slot, s.Policy):
        for part in _repeated(context, [b.value for b in slot.body]):
            body = [_with_value(b, replace_equal(b.value, part, s.Name(name))) for b in slot.body]
            i = next(i for i, b in enumerate(body) if b != slot.body[i])
            yield from _replace_policy(
                context, i, [*body[:i], s.Define(name, part), *body[i:]], slot
            )


def _repeated(context: Context, values: list[s.Expr]) -> Iterator[s.Expr]:
    """The parts that stand more than once, not constant and free of names bound inside."""
    found: Counter[s.Expr] = Counter()
    bound: set[str] = set()
    for value in values:
        bound |= binders(value)
        for node in s.walk(value):
            if not isinstance(node, (*LEAVES, s.Arm)):
                found[cast(s.Expr, node)] += 1
    for part, count in found.items():
        if count > 1 and not names_read(part) & bound and not context.is_closed(part):
            yield part


def remove_slot(context: Context, slot: s.Slot) -> Rewrites:
    """A parameter, table or function that nothing reads goes."""
    others = [other for other in context.code.slots if other is not slot]
    if not isinstance(slot, s.Policy) and all(slot.name not in names_read(o) for o in others):
        yield (), (RemoveSlot(slot.name, digest_node(slot)),)


def inline_param(context: Context, slot: s.Slot) -> Rewrites:
    """A parameter becomes its literal wherever it is read."""
    if isinstance(slot, s.Param) and context.is_literal(slot.value):
        uses = list(_reads_of(context, slot, s.Name))
        edits = [replace_at(context.code, name, at, slot.value) for name, at, _ in uses]
        if edits:
            yield (), (*edits, RemoveSlot(slot.name, digest_node(slot)))


def inline_def(context: Context, slot: s.Slot) -> Rewrites:
    """A function is written out wherever it is called, and goes."""
    if not isinstance(slot, s.Def):
        return
    calls = list(_reads_of(context, slot, s.Call))
    edits: list[Edit] = []
    for i, (name, at, call) in enumerate(calls):
        bodies = list(inline_call(context, cast(s.Expr, call)))
        inside = any(n == name and at[: len(above)] == above for n, above, _ in calls[:i])
        if not bodies or inside:
            return
        edits.append(replace_at(context.code, name, at, bodies[0]))
    if edits:
        yield (), (*edits, RemoveSlot(slot.name, digest_node(slot)))


def _reads_of(
    context: Context, slot: s.Slot, kind: type[s.Name] | type[s.Call]
) -> Iterator[tuple[str, s.Position, s.Node]]:
    """Where other slots read one, outermost first."""
    for other in context.code.slots:
        if other is not slot:
            for at, node in s.positions(other):
                if isinstance(node, kind) and node.name == slot.name:
                    yield other.name, at, node


# --- side conditions -----------------------------------------------------------------------------


def _value(bindings: Bindings, name: str) -> int | Fraction | None:
    node = bindings[name]
    return node.value if isinstance(node, s.IntLit | s.RatLit) else None


def _in_order(bindings: Bindings) -> bool:
    low, high = _value(bindings, "k"), _value(bindings, "m")
    return low is not None and high is not None and low <= high


def _positive(bindings: Bindings) -> bool:
    value = _value(bindings, "m")
    return value is not None and value > 0


CONDITIONS: Mapping[str, Callable[[Bindings], bool]] = {
    "k <= m": _in_order,
    "k != m": lambda bindings: bindings["k"] != bindings["m"],
    "m > 0": _positive,
}

# --- the table -----------------------------------------------------------------------------------

# fmt: off
RULES: tuple[Rule, ...] = (
    # arithmetic
    Rule("add zero", "x + 0", "x"),
    Rule("subtract zero", "x - 0", "x"),
    Rule("subtract itself", "x - x", "0"),
    Rule("subtract from zero", "0 - x", "-x"),
    Rule("negate twice", "-(-x)", "x"),
    Rule("negate a difference", "-(x - y)", "y - x"),
    Rule("add a negative", "x + -y", "x - y"),
    Rule("subtract a negative", "x - -y", "x + y"),
    Rule("add literals", "x + k + m", "x + (k + m)"),
    Rule("add and subtract literals", "x + k - m", "x + (k - m)"),
    Rule("multiply literals", "x * k * m", "x * (k * m)"),
    Rule("add and take away", "x + y - y", "x"),
    Rule("take away and add", "x - y + y", "x"),
    Rule("times one", "x * 1", "x"),
    Rule("times zero", "x * 0", "0"),
    Rule("twice the same", "x + x", "2 * x"),
    Rule("common factor of a sum", "x * y + x * z", "x * (y + z)"),
    Rule("common factor of a difference", "x * y - x * z", "x * (y - z)"),
    Rule("divide by one", "x div 1", "x"),
    Rule("remainder by one", "x mod 1", "0"),
    Rule("divide twice", "x div k div m", "x div (k * m)", where="m > 0"),
    Rule("divide a multiple", "x * y div y", "x"),
    Rule("remainder of a multiple", "x * y mod y", "0"),
    Rule("remainder twice", "x mod y mod y", "x mod y"),
    Rule("remainder written out", "x - x div y * y", "x mod y"),
    Rule("quotient and remainder", "x div y * y + x mod y", "x"),
    Rule("divide and multiply back", "x / y * y", "x"),
    Rule("floor of a quotient", "floor(x / y)", "x div y"),
    # extremes
    Rule("least of equals", "min(x, x)", "x"),
    Rule("greatest of equals", "max(x, x)", "x"),
    Rule("least with a greatest", "min(x, max(x, y))", "x"),
    Rule("greatest with a least", "max(x, min(x, y))", "x"),
    Rule("least of sums", "min(x + z, y + z)", "min(x, y) + z"),
    Rule("greatest of sums", "max(x + z, y + z)", "max(x, y) + z"),
    Rule("least by a test", "if x < y then x else y", "min(x, y)"),
    Rule("least by a weak test", "if x <= y then x else y", "min(x, y)"),
    Rule("greatest by a test", "if x < y then y else x", "max(x, y)"),
    Rule("greatest by a weak test", "if x <= y then y else x", "max(x, y)"),
    Rule("clamp written out", "max(x, min(y, z))", "clamp(y, x, z)"),
    Rule("clamp inside out", "min(m, max(x, k))", "clamp(x, k, m)", where="k <= m"),
    Rule("clamp twice", "clamp(clamp(x, y, z), y, z)", "clamp(x, y, z)"),
    Rule("absolute of a negative", "abs(-x)", "abs(x)"),
    Rule("absolute twice", "abs(abs(x))", "abs(x)"),
    Rule("absolute written out", "max(x, -x)", "abs(x)"),
    Rule("absolute by a test", "if x < 0 then -x else x", "abs(x)"),
    # truth
    Rule("not twice", "not not a", "a"),
    Rule("and true", "a and true", "a"),
    Rule("and false", "a and false", "false"),
    Rule("or true", "a or true", "true"),
    Rule("or false", "a or false", "a"),
    Rule("and itself", "a and a", "a"),
    Rule("or itself", "a or a", "a"),
    Rule("and its negation", "a and not a", "false"),
    Rule("or its negation", "a or not a", "true"),
    Rule("and with an or", "a and (a or b)", "a"),
    Rule("or with an and", "a or a and b", "a"),
    Rule("two negations and", "not a and not b", "not (a or b)"),
    Rule("two negations or", "not a or not b", "not (a and b)"),
    Rule("implies written out", "not a or b", "a implies b"),
    Rule("common conjunct", "a and b or a and c", "a and (b or c)"),
    Rule("swap and", "a and b", "b and a"),
    Rule("swap or", "a or b", "b or a"),
    # comparisons
    Rule("not less", "not (x < y)", "x >= y"),
    Rule("not at most", "not (x <= y)", "x > y"),
    Rule("not equal", "not (x == y)", "x != y"),
    Rule("not unequal", "not (x != y)", "x == y"),
    Rule("equal to itself", "x == x", "true"),
    Rule("at most itself", "x <= x", "true"),
    Rule("less than itself", "x < x", "false"),
    Rule("compare with true", "a == true", "a"),
    Rule("compare with false", "a == false", "not a"),
    Rule("ask which branch", "(if c then k else m) == k", "c", where="k != m"),
    Rule("ask which other branch", "(if c then k else m) == m", "not c", where="k != m"),
    Rule("merge a chain", "a <= x and x < b", "a <= x < b", expr=merge_chain),
    Rule("move a literal", "x + k < m", "x < (m - k)", expr=move_literal),
    Rule("compare a difference", "x - y < 0", "x < y", expr=compare_difference),
    Rule("cancel on both sides", "x + z < y + z", "x < y", expr=cancel_both_sides),
    # branches
    Rule("if true", "if true then x else y", "x"),
    Rule("if false", "if false then x else y", "y"),
    Rule("same branches", "if c then x else x", "x"),
    Rule("test as value", "if c then true else false", "c"),
    Rule("negated test as value", "if c then false else true", "not c"),
    Rule("negated test", "if not c then x else y", "if c then y else x"),
    Rule("same test again", "if c then (if c then x else y) else z", "if c then x else z"),
    Rule("same test in else", "if c then x else if c then y else z", "if c then x else z"),
    Rule("two tests as and", "if c then (if d then x else y) else y", "if c and d then x else y"),
    Rule("two tests as or", "if c then x else if d then x else y", "if c or d then x else y"),
    Rule("test as or", "if c then true else b", "c or b"),
    Rule("test as and", "if c then b else false", "c and b"),
    Rule("equal either way", "if x == y then x else y", "y"),
    Rule("hoist what is common", "if c then x + y else x + z", "x + … y or z", expr=hoist_common),
    Rule("use the test", "if c then … c … else … c …", "… true … false …", expr=use_test),
    Rule("tests to match", "if x == k then y else z", "match x { k: y, … }", expr=tests_to_match),
    # matches
    Rule("match once", "match x { k: match x { k: y, … }, … }", "match x { k: y, … }", expr=match_once),
    Rule("match of a literal", "match k { k: x, … }", "x", expr=match_known),
    Rule("match without choice", "match x { k: y, else: y }", "y", expr=match_without_choice),
    Rule("match of a truth", "match c { true: x, false: y }", "if c then x else y", expr=match_truth),
    Rule("merge arms", "{ k: x, m: x, … }", "{ k | m: x, … }", expr=merge_arms),
    Rule("drop arms like else", "{ k: x, …, else: x }", "{ …, else: x }", expr=drop_else_arms),
    Rule("arm to else", "{ k: x, m: y }", "{ k: x, else: y }", expr=arm_to_else),
    # constants, lets, calls, arrays
    Rule("fold a constant", "1 + 2", "3", expr=fold_constant),
    Rule("inline a let", "let v = x in … v …", "… x …", expr=inline_let),
    Rule("drop a let", "let v = x in y", "y", expr=drop_let),
    Rule("sink a let", "let v = x in if c then v * v else y", "if c then … else y", expr=sink_let),
    Rule("inline a call", "f(x)", "the body of f at x", expr=inline_call),
    Rule("convert back", "ord(E(x))", "x", expr=convert_back),
    Rule("index a literal", "[x, y, z][1]", "y", expr=index_literal),
    Rule("index to match", "[x, y][z]", "match z { 0: x, else: y }", expr=index_to_match),
    Rule("index a comprehension", "[for i in 0..9: x][y]", "x at i = y", expr=index_comprehension),
    Rule("index a uniform table", "T[x]", "the one entry of T", expr=index_uniform),
    Rule("repeat an entry", "[x, x, x]", "[for i in 0..2: x]", expr=repeat_entry),
    # slots
    Rule("inline a policy let", "let v = x  act = … v …", "act = … x …", slot=inline_policy_let),
    Rule("drop a policy let", "let v = x", "", slot=drop_policy_let),
    Rule("sink a policy let", "let v = x  act = …", "act = … let v = x in …", slot=sink_policy_let),
    Rule("reuse a value", "let v = x  act = … x …", "let v = x  act = … v …", slot=reuse_value),
    Rule("share a part", "act = … x … x …", "let v = x  act = … v … v …", slot=share_part),
    Rule("remove a slot", "param v = k", "", slot=remove_slot),
    Rule("inline a param", "param v = k  … v …", "… k …", slot=inline_param),
    Rule("inline a def", "def f(y) = x  … f(z) …", "… x at y = z …", slot=inline_def),
    # sometimes right: behaviour may change
    Rule("forget rounding", "x div y * y", "x", sound=False),
    Rule("forget a remainder", "x mod y", "x", sound=False),
    Rule("forget a term", "x + y", "x", sound=False),
    Rule("forget what is taken away", "x - y", "x", sound=False),
    Rule("forget a least", "min(x, y)", "x", sound=False),
    Rule("forget a greatest", "max(x, y)", "x", sound=False),
    Rule("forget a clamp", "clamp(x, y, z)", "x", sound=False),
    Rule("forget an absolute", "abs(x)", "x", sound=False),
    Rule("forget a conjunct", "a and b", "a", sound=False),
    Rule("forget a disjunct", "a or b", "a", sound=False),
    Rule("first branch", "if c then x else y", "x", sound=False),
    Rule("second branch", "if c then x else y", "y", sound=False),
    Rule("later test first", "if c then x else if d then y else z", "if d then y else if c then x else z", sound=False),
    Rule("drop an arm", "{ k: x, …, else: y }", "{ …, else: y }", sound=False, expr=drop_arm),
)
# fmt: on
