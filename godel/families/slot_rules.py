"""Rules of `simplify` about whole slots: lets of a policy, params, defs, tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import cast

from dsl import syntax as s
from dsl.codec import digest_node
from dsl.machine import Reach
from dsl.rewrite import Edit, RemoveSlot, replace_at
from dsl.scope import names_read
from godel.families.expression_rules import (
    _sunk,
    inline_call,
)
from godel.families.rule import (
    LEAVES,
    Context,
    Rewrites,
    binders,
    count_uses,
    is_cheap_to_copy,
    replace_equal,
    substitute,
)

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
        name: s.Expr = s.Name(statement.name)
        if isinstance(statement, s.Next):
            name = s.Primed(statement.name)
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
    """A parameter, table or function that nothing reads goes, and a policy that no requirement names."""
    if isinstance(slot, s.Memory):
        return
    if isinstance(slot, s.Policy):
        requirements = context.program.task.requirements
        used = {r.policy for r in requirements if isinstance(r, Reach)} | {"main"}
    else:
        used = {n for other in context.code.slots if other is not slot for n in names_read(other)}
    if slot.name not in used:
        yield (), (RemoveSlot(slot.name, digest_node(slot)),)


# --- memory --------------------------------------------------------------------------------------


def _policies(context: Context) -> list[s.Policy]:
    return [slot for slot in context.code.slots if isinstance(slot, s.Policy)]


def _keepings(policy: s.Policy, name: str) -> list[int]:
    """Where a policy assigns a memory variable."""
    return [i for i, b in enumerate(policy.body) if isinstance(b, s.Next) and b.name == name]


def remove_memory(context: Context, slot: s.Slot) -> Rewrites:
    """Memory that nothing reads, but to keep it, goes with its assignments."""
    if not isinstance(slot, s.Memory):
        return
    edits: list[Edit] = [RemoveSlot(slot.name, digest_node(slot))]
    own = {slot.name, slot.name + "'"}
    for policy in _policies(context):
        places = _keepings(policy, slot.name)
        rest = tuple(b for i, b in enumerate(policy.body) if i not in places)
        if any(names_read(statement) & own for statement in rest):
            return
        if places:
            edits.append(replace_at(context.code, policy.name, (), s.Policy(policy.name, rest)))
    yield (), tuple(edits)


def inline_memory(context: Context, slot: s.Slot) -> Rewrites:
    """Memory that no policy assigns is its start wherever it is read."""
    if isinstance(slot, s.Memory) and context.is_literal(slot.start):
        if not any(_keepings(policy, slot.name) for policy in _policies(context)):
            uses = list(_reads_of(context, slot, s.Name))
            edits = [replace_at(context.code, name, at, slot.start) for name, at, _ in uses]
            if edits:
                yield (), (*edits, RemoveSlot(slot.name, digest_node(slot)))


def keep_memory(context: Context, slot: s.Slot) -> Rewrites:
    """A memory variable that is assigned itself keeps its value without that."""
    if isinstance(slot, s.Policy):
        for i, statement in enumerate(slot.body):
            if isinstance(statement, s.Next) and statement.value == s.Name(statement.name):
                yield from _without_keeping(context, slot, i, statement)


def forget_memory(context: Context, slot: s.Slot) -> Rewrites:
    """A memory variable is no longer assigned, and keeps its value."""
    if isinstance(slot, s.Policy):
        for i, statement in enumerate(slot.body):
            if isinstance(statement, s.Next) and statement.value != s.Name(statement.name):
                yield from _without_keeping(context, slot, i, statement)


def _without_keeping(context: Context, policy: s.Policy, i: int, statement: s.Next) -> Rewrites:
    """The policy without one assignment of memory; what reads the next value reads the present one."""
    next_value, now = s.Primed(statement.name), s.Name(statement.name)
    below = [_with_value(b, replace_equal(b.value, next_value, now)) for b in policy.body[i + 1 :]]
    yield from _replace_policy(context, i, [*policy.body[:i], *below], policy)


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
