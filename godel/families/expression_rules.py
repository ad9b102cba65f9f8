"""Rules of `simplify` about expressions that a pattern in our own language cannot say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from dsl import syntax as s
from dsl.check import check_expression
from dsl.codec import chain_goes_one_way
from dsl.errors import DslError
from dsl.interp import EvaluationFault, evaluate
from dsl.types import Array, Value
from godel.families.rule import (
    Context,
    Expressions,
    count_uses,
    is_cheap_to_copy,
    literal_key,
    literal_of,
    number_literal,
    put,
    replace_equal,
    substitute,
    transform,
)

TURNS_MAX = 4
"""Loops of up to so many turns are written out."""

# --- constants, lets, calls and arrays -----------------------------------------------------------


def fold_constant(context: Context, node: s.Expr) -> Expressions:
    """A closed expression becomes the literal of its value."""
    if isinstance(node, (s.ArrayLit, s.ArrayFor)) or not context.is_closed(node):
        return
    try:
        kind, tree = check_expression(context.names, node, {})
        value, _ = evaluate(tree, context.names)
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
    while uses > 1 and not isinstance(node, (s.ArrayFor, s.Fold, s.Quantifier)):
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
    function = context.function(node.name) if isinstance(node, s.Call) else None
    if not isinstance(node, s.Call) or function is None:
        return
    body = context.bodies[node.name]
    arguments = {p.name: a for p, a in zip(function.parameters, node.args, strict=True)}
    if all(is_cheap_to_copy(a, count_uses(body, n)) for n, a in arguments.items()):
        yield substitute(body, arguments)


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
    if isinstance(array, s.Name) and array.name in context.tables:
        kind = context.names.types[array.name]
        if isinstance(kind, Array) and kind.index is not None:
            index = s.Call("ord", (index,))
        array = context.tables[array.name]
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


# --- loops ---------------------------------------------------------------------------------------


def fold_unread(context: Context, node: s.Expr) -> Expressions:
    """A fold whose turns do not read what came before is its last turn."""
    if isinstance(node, s.Fold) and not count_uses(node.body, node.acc):
        yield _at_turn(node.body, node.var, node.high)


def fold_kept(context: Context, node: s.Expr) -> Expressions:
    """A fold whose turns change nothing is its start."""
    if isinstance(node, s.Fold) and node.body == s.Name(node.acc):
        yield node.start


def fold_to_quantifier(context: Context, node: s.Expr) -> Expressions:
    """A fold that asks whether all or some turns hold may stop as soon as that is known."""
    if not isinstance(node, s.Fold):
        return
    acc = s.Name(node.acc)
    match node.start, node.body:
        case s.BoolLit(False), s.Binary("or", left, right) if acc in (left, right):
            word, test = "exists", right if left == acc else left
        case s.BoolLit(False), s.If(test, s.BoolLit(True), other) if other == acc:
            word = "exists"
        case s.BoolLit(True), s.Binary("and", left, right) if acc in (left, right):
            word, test = "forall", right if left == acc else left
        case s.BoolLit(True), s.If(test, other, s.BoolLit(False)) if other == acc:
            word = "forall"
        case _:
            return
    if not count_uses(test, node.acc):
        yield s.Quantifier(word, node.var, node.low, node.high, test)


def unroll_fold(context: Context, node: s.Expr) -> Expressions:
    """A fold of a few turns is written out."""
    if not isinstance(node, s.Fold):
        return
    turns = context.turns(node.low, node.high)
    if not 1 <= len(turns) <= TURNS_MAX:
        return
    bodies = [_at_turn(node.body, node.var, number_literal(i)) for i in turns]
    uses = count_uses(node.body, node.acc)
    if is_cheap_to_copy(node.start, uses) and (uses <= 1 or len(turns) == 1):
        found = node.start
        for body in bodies:
            found = substitute(body, {node.acc: found})
        yield found
        return
    names = context.several_fresh(node.acc, len(bodies))
    found = substitute(bodies[-1], {node.acc: s.Name(names[-1])})
    for i in reversed(range(len(bodies))):
        value = (
            node.start if i == 0 else substitute(bodies[i - 1], {node.acc: s.Name(names[i - 1])})
        )
        found = s.Let(names[i], value, found)
    yield found


def quantifier_constant(context: Context, node: s.Expr) -> Expressions:
    """What does not depend on the turn holds in all of them or in none."""
    if isinstance(node, s.Quantifier) and not count_uses(node.body, node.var):
        yield node.body


def unroll_quantifier(context: Context, node: s.Expr) -> Expressions:
    """A quantifier over a few turns is written out."""
    if not isinstance(node, s.Quantifier):
        return
    turns = context.turns(node.low, node.high)
    if 1 <= len(turns) <= TURNS_MAX:
        first, *rest = (_at_turn(node.body, node.var, number_literal(i)) for i in turns)
        for body in rest:
            first = s.Binary("and" if node.word == "forall" else "or", first, body)
        yield first


def negated_quantifier(context: Context, node: s.Expr) -> Expressions:
    """Not all are not: some are."""
    match node:
        case s.Unary("not", s.Quantifier(word, var, low, high, s.Unary("not", body))):
            other = "exists" if word == "forall" else "forall"
            yield s.Quantifier(other, var, low, high, body)


def _at_turn(body: s.Expr, var: str, value: s.Expr) -> s.Expr:
    """The body of a loop at one turn."""
    return substitute(body, {var: value})


# --- updated copies ------------------------------------------------------------------------------


def drop_overwritten(context: Context, node: s.Expr) -> Expressions:
    """An entry that a later one overwrites goes."""
    if isinstance(node, s.With):
        last = {change.index: change for change in node.changes}
        if len(last) < len(node.changes):
            kept = tuple(c for c in node.changes if last[c.index] is c)
            yield s.With(node.array, kept)


def drop_unchanged(context: Context, node: s.Expr) -> Expressions:
    """An entry that writes what is there already goes, where it is the only one."""
    match node:
        case s.With(array, (s.Change(index, value),)) if value == s.Index(array, index):
            yield array


def join_updates(context: Context, node: s.Expr) -> Expressions:
    """An updated copy of an updated copy is one."""
    match node:
        case s.With(s.With(array, first), second):
            yield s.With(array, (*first, *second))


def update_literal(context: Context, node: s.Expr) -> Expressions:
    """An array that is written out is written with its new entries."""
    if isinstance(node, s.With) and isinstance(node.array, s.ArrayLit):
        items = list(node.array.items)
        for change in node.changes:
            if not isinstance(change.index, s.IntLit) or not 0 <= change.index.value < len(items):
                return
            items[change.index.value] = change.value
        yield s.ArrayLit(tuple(items))


def read_updated(context: Context, node: s.Expr) -> Expressions:
    """An entry of an updated copy is what was written there, or what was there before."""
    match node:
        case s.Index(s.With(array, changes), index):
            pass
        case _:
            return
    wanted = literal_key(context.names, index)
    for change in reversed(changes):
        if change.index == index:
            yield change.value
            return
        found = literal_key(context.names, change.index)
        if wanted is None or found is None:
            return
    yield s.Index(array, index)


# --- bits ----------------------------------------------------------------------------------------


def power_of_two(context: Context, node: s.Expr) -> Expressions:
    """Products, quotients and remainders by a power of two are shifts and masks."""
    match node:
        case s.Call("udiv" | "urem" as op, (x, s.IntLit(k))) | s.Binary("*" as op, x, s.IntLit(k)):
            pass
        case s.Binary("*" as op, s.IntLit(k), x):
            pass
        case _:
            return
    if k < 1 or k & (k - 1):
        return
    by = s.IntLit(k.bit_length() - 1)
    if op == "urem":
        yield s.Binary("&", x, s.IntLit(k - 1))
    else:
        yield s.Binary("<<" if op == "*" else ">>", x, by)


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
