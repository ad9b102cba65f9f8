"""Turn a change of decisions into edits of code: entries of a table, guards, or a table of its own."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import product
from typing import TypeAlias

from dsl import syntax as s
from dsl.interp import Evaluator, Locals
from dsl.machine import ActionTuple, Program
from dsl.rewrite import AddSlot, Edit, replace_at
from dsl.types import Array, Bool, Enum, Int, Rat, Type, Value, Variable, cardinality, values

GUARDS_MAX = 4
GUARDS_WITHOUT_TABLE_MAX = 64
TABLE_MAX = 100_000

Observation: TypeAlias = tuple[Value, ...]
Decisions: TypeAlias = Mapping[Observation, ActionTuple]


def edit_decisions(program: Program, wanted: Decisions, kept: Decisions) -> tuple[Edit, ...] | None:
    """Edits after which the policy decides as `wanted`, and as before on `kept`; None where no form fits.

    An action that is looked up in a table of the code gets new entries; other actions get guards for a few observations,
    or a new table of all of them.
    """
    edits: list[Edit] = []
    for i, action in enumerate(program.task.actions):
        values_wanted = {o: a[i] for o, a in wanted.items()}
        before = {o: program.decide(_named(program, o)).actions[i] for o in wanted}
        if values_wanted == before:
            continue
        values_kept = {o: a[i] for o, a in kept.items() if o not in wanted}
        found = _edit_table(program, action, values_wanted, values_kept)
        if found is None:
            changed = {o: v for o, v in values_wanted.items() if before[o] != v}
            added = {edit.slot.name for edit in edits if isinstance(edit, AddSlot)}
            found = _edit_guards(program, action, changed, GUARDS_MAX)
            found = found or _add_table(program, i, changed, added)
            # no table is indexed by an array; then guards it is, as far as that goes
            found = found or _edit_guards(program, action, changed, GUARDS_WITHOUT_TABLE_MAX)
        if found is None:
            return None
        edits.extend(found)
    return tuple(edits) or None


def _named(program: Program, observation: Observation) -> dict[str, Value]:
    return {v.name: x for v, x in zip(program.task.observed, observation, strict=True)}


def _assignment(program: Program, action: str) -> tuple[s.Position, s.Expr]:
    for i, statement in enumerate(program.policy.body):
        if isinstance(statement, s.Assign) and statement.name == action:
            return (i, 0), statement.value
    raise LookupError(action)


# --- entries of a table --------------------------------------------------------------------------


def _edit_table(
    program: Program,
    action: Variable,
    wanted: Mapping[Observation, Value],
    kept: Mapping[Observation, Value],
) -> list[Edit] | None:
    _, expr = _assignment(program, action.name)
    indices: list[s.Expr] = []
    while isinstance(expr, s.Index):
        indices.insert(0, expr.index)
        expr = expr.array
    if not indices or not isinstance(expr, s.Name):
        return None
    slot = program.code.slot(expr.name)
    if not isinstance(slot, s.Table):
        return None
    entries: dict[tuple[int, ...], Value] = {}
    for observation, value in [*wanted.items(), *kept.items()]:
        path = _path(program, action.name, observation, indices)
        if entries.setdefault(path, value) != value:
            return None
    paths = {_path(program, action.name, o, indices): v for o, v in wanted.items()}
    kind = program.names.types[slot.name]
    current = program.names.values[slot.name]
    changed = {p: v for p, v in paths.items() if _entry(current, p) != v}
    return list(_edit_entries(program, slot, slot.value, (0,), kind, current, changed))


def _path(
    program: Program, action: str, observation: Observation, indices: list[s.Expr]
) -> tuple[int, ...]:
    local: Locals = dict(_named(program, observation))
    evaluator = Evaluator(program.names)
    for statement in program.policy.body:
        if statement.name == action:
            break
        local[statement.name] = evaluator.value(statement.value, local)
    return tuple(int(evaluator.value(index, local)) for index in indices)


def _entry(value: Value, path: tuple[int, ...]) -> Value:
    for index in path:
        value = value[index]  # type: ignore[index]
    return value


def _edit_entries(
    program: Program,
    slot: s.Table,
    tree: s.Expr,
    position: s.Position,
    kind: Type,
    current: Value,
    changed: Mapping[tuple[int, ...], Value],
) -> list[Edit]:
    """Replace the smallest literal parts; a comprehension becomes its literal first."""
    if not changed:
        return []
    if isinstance(tree, s.ArrayLit) and isinstance(kind, Array):
        edits: list[Edit] = []
        for i, item in enumerate(tree.items):
            below = {p[1:]: v for p, v in changed.items() if p[0] == i}
            inner = current[i]  # type: ignore[index]
            edits += _edit_entries(program, slot, item, (*position, i), kind.item, inner, below)
        return edits
    for path, value in changed.items():
        current = _updated(current, path, value)
    return [replace_at(program.code, slot.name, position, literal(program, kind, current))]


def _updated(value: Value, path: tuple[int, ...], new: Value) -> Value:
    if not path:
        return new
    items = list(value)  # type: ignore[arg-type]
    items[path[0]] = _updated(items[path[0]], path[1:], new)
    return tuple(items)


def literal(program: Program, kind: Type, value: Value) -> s.Expr:
    """The expression that stands for a value."""
    match kind:
        case Bool():
            return s.BoolLit(bool(value))
        case Int():
            return s.IntLit(int(value))  # type: ignore[arg-type]
        case Rat():
            return s.RatLit(Fraction(value))  # type: ignore[arg-type]
        case Enum(name, members):
            member = members[int(value)]  # type: ignore[arg-type]
            owners = [e for e in program.names.enums.values() if member in e.members]
            return s.Name(member) if len(owners) == 1 else s.Member(name, member)
        case Array(_, _, item):
            return s.ArrayLit(tuple(literal(program, item, v) for v in value))  # type: ignore[union-attr]


# --- guards --------------------------------------------------------------------------------------


def _edit_guards(
    program: Program, action: Variable, changed: Mapping[Observation, Value], limit: int
) -> list[Edit] | None:
    if len(changed) > limit:
        return None
    position, expr = _assignment(program, action.name)
    by_value: dict[Value, list[Observation]] = {}
    for observation, value in changed.items():
        by_value.setdefault(value, []).append(observation)
    for value, observations in by_value.items():
        test = _guard(program, observations[0])
        for other in observations[1:]:
            test = s.Binary("or", test, _guard(program, other))
        expr = s.If(test, literal(program, action.type, value), expr)
    return [replace_at(program.code, program.policy.name, position, expr)]


def _guard(program: Program, observation: Observation) -> s.Expr:
    tests: list[s.Expr] = []
    for variable, value in zip(program.task.observed, observation, strict=True):
        name = s.Name(variable.name)
        tests += _equal(program, name, variable.type, value)
    if not tests:
        return s.BoolLit(True)
    test = tests[0]
    for other in tests[1:]:
        test = s.Binary("and", test, other)
    return test


def _equal(program: Program, what: s.Expr, kind: Type, value: Value) -> list[s.Expr]:
    """Tests that together say that an expression has a value; of an array, item by item."""
    if isinstance(kind, Bool):
        return [what if value else s.Unary("not", what)]
    if isinstance(kind, Array):
        items: list[s.Expr] = []
        for i, item in enumerate(value):  # type: ignore[arg-type]
            at = literal(program, kind.index or Int(), i)
            items += _equal(program, s.Index(what, at), kind.item, item)
        return items
    if cardinality(kind) == 1:
        return []
    return [s.Compare(("==",), (what, literal(program, kind, value)))]


# --- a table of its own --------------------------------------------------------------------------


def _add_table(
    program: Program, index: int, changed: Mapping[Observation, Value], added: set[str]
) -> list[Edit] | None:
    action, observed = program.task.actions[index], program.task.observed
    size = 1
    for v in observed:
        if isinstance(v.type, Array):
            return None
        size *= cardinality(v.type) or TABLE_MAX + 1
        if size > TABLE_MAX:
            return None
    filled: dict[Observation, Value] = {}
    for observation in product(*(tuple(values(v.type)) for v in observed)):
        decided = changed.get(observation)
        if decided is None:
            decided = program.decide(_named(program, observation)).actions[index]
        filled[observation] = decided
    name = _fresh_name(program, added)
    position, _ = _assignment(program, action.name)
    kind: s.TypeExpr = _written(action.type)
    lookup: s.Expr = s.Name(name)
    for v in observed:
        lookup = s.Index(lookup, _index(v))
    for v in reversed(observed):
        kind = s.ArrayType(_size(v.type), kind)
    tree = _nested(program, observed, action.type, filled, ())
    return [
        AddSlot(s.Table(name, kind, tree)),
        replace_at(program.code, program.policy.name, position, lookup),
    ]


def _fresh_name(program: Program, added: set[str]) -> str:
    taken = added | {slot.name for slot in program.code.slots}
    taken |= (
        program.names.types.keys() | program.names.values.keys() | program.names.functions.keys()
    )
    taken |= {v.name for v in (*program.task.states, *program.task.actions)}
    taken |= {n.name for n in s.walk(program.policy) if isinstance(n, s.Let | s.Define)}
    names = ["PLAN", *(f"PLAN_{i}" for i in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)


def _written(kind: Type) -> s.TypeExpr:
    match kind:
        case Bool():
            return s.BoolType()
        case Int(int() as low, int() as high):
            return s.IntType(s.IntLit(low), s.IntLit(high))
        case Enum(name, _):
            return s.NamedType(name)
        case Array(length, index, item):
            return s.ArrayType(s.Name(index.name) if index else s.IntLit(length), _written(item))
        case _:
            raise TypeError(kind)


def _size(kind: Type) -> s.Expr:
    return s.Name(kind.name) if isinstance(kind, Enum) else s.IntLit(cardinality(kind) or 1)


def _index(variable: Variable) -> s.Expr:
    name = s.Name(variable.name)
    if isinstance(variable.type, Bool):
        return s.If(name, s.IntLit(1), s.IntLit(0))
    if isinstance(variable.type, Int) and variable.type.low:
        low = variable.type.low
        if low > 0:
            return s.Binary("-", name, s.IntLit(low))
        return s.Binary("+", name, s.IntLit(-low))
    return name


def _nested(
    program: Program,
    observed: tuple[Variable, ...],
    kind: Type,
    filled: Mapping[Observation, Value],
    prefix: Observation,
) -> s.Expr:
    if not observed:
        return literal(program, kind, filled[prefix])
    items = values(observed[0].type)
    return s.ArrayLit(
        tuple(_nested(program, observed[1:], kind, filled, (*prefix, x)) for x in items)
    )
