"""Turn a change of decisions into edits of code: entries of a table, guards, or a table of its own."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import combinations, product
from typing import TypeAlias, assert_never

from dsl import syntax as s
from dsl.interp import EvaluationFault, Evaluator
from dsl.machine import ActionTuple, Program
from dsl.rewrite import AddSlot, Edit, replace_at
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
    values,
)
from godel.families.decisions import Decisions, Situation
from godel.families.rule import identifiers

GUARDS_MAX = 4
GUARDS_WITHOUT_TABLE_MAX = 64
TABLE_MAX = 100_000
MEMORIES_MAX = 6
"""Up to how many memory variables the fewest are looked for that a guard or table must read."""

Decided: TypeAlias = Mapping[Situation, Value]
"""One action by situation."""


def edit_decisions(
    decisions: Decisions,
    wanted: Mapping[Situation, ActionTuple],
    kept: Mapping[Situation, ActionTuple],
    *,
    guards: bool = True,
) -> tuple[Edit, ...] | None:
    """Edits after which the policy decides as `wanted`, and as before on `kept`; None where no form fits.

    An action that is looked up in a table of the code gets new entries; other actions get guards for a few situations, or
    a new table of all of them, which without `guards` is tried first. Memory is read only as far as it tells apart what
    is wanted from what is kept.
    """
    program = decisions.program
    numbers = {v.name: i for i, v in enumerate(program.task.actions)}
    edits: list[Edit] = []
    settled: list[str] = []
    for statement in program.policy.body:
        if not isinstance(statement, s.Assign):
            continue
        i = numbers[statement.name]
        before: dict[Situation, Value] = {}
        for o, a in wanted.items():
            decided = decisions.run(o, {name: a[numbers[name]] for name in settled})
            if decided is None:
                return None
            before[o] = decided.actions[i]
        settled.append(statement.name)
        changed = {o: a[i] for o, a in wanted.items() if before[o] != a[i]}
        if not changed:
            continue
        others = {o: a[i] for o, a in (*kept.items(), *wanted.items()) if o not in changed}
        added = {edit.slot.name for edit in edits if isinstance(edit, AddSlot)}
        found = _Action(decisions, program.task.actions[i], changed, others).edits(added, guards)
        if found is None:
            return None
        edits.extend(found)
    return tuple(edits) or None


class _Action:
    """One action that is to change in some situations, and not in others."""

    def __init__(
        self, decisions: Decisions, variable: Variable, changed: Decided, others: Decided
    ) -> None:
        self.decisions, self.program = decisions, decisions.program
        self.variable, self.changed, self.others = variable, changed, others
        self.observed, self.memories = decisions.observed, self.program.memories
        self.width = len(self.observed)
        policy = self.program.code.slot("main")
        assert isinstance(policy, s.Policy), "a program acts by its policy `main`"
        self.policy = policy
        self.place = next(
            i
            for i, statement in enumerate(policy.body)
            if isinstance(statement, s.Assign) and statement.name == variable.name
        )
        self.value = policy.body[self.place].value

    def edits(self, added: set[str], guards: bool) -> list[Edit] | None:
        """Edits of one form or another."""
        found = _edit_table(self)
        if found is None:
            found = _edit_guards(self, GUARDS_MAX) if guards else None
            found = found or _add_table(self, added)
            # no table is indexed by an array; then guards it is, as far as that goes
            found = found or _edit_guards(self, GUARDS_WITHOUT_TABLE_MAX)
        return found

    def replaced(self, value: s.Expr) -> Edit:
        """The edit that gives the action another expression."""
        return replace_at(self.program.code, self.policy.name, (self.place, 0), value)


# --- entries of a table --------------------------------------------------------------------------


def _edit_table(action: _Action) -> list[Edit] | None:
    program, expr = action.program, action.value
    depth = 0
    while isinstance(expr, s.Index):
        depth, expr = depth + 1, expr.array
    if not depth or not isinstance(expr, s.Name):
        return None
    slot = program.code.slot(expr.name)
    if not isinstance(slot, s.Table) or _reads(program, slot.name) > 1:
        return None
    entries: dict[tuple[int, ...], Value] = {}
    for situation, value in [*action.changed.items(), *action.others.items()]:
        path = _path(action, situation)
        if path is None or entries.setdefault(path, value) != value:
            return None
    kind = program.names.types[slot.name]
    current = program.names.values[slot.name]
    paths = [_path(action, o) for o in action.changed]
    changed = {p: entries[p] for p in paths if p is not None and _entry(current, p) != entries[p]}
    return list(edit_entries(program, slot, slot.value, (0,), kind, current, changed))


def _reads(program: Program, name: str) -> int:
    """How often a name is read in the code."""
    return sum(isinstance(n, s.Name) and n.name == name for n in s.walk(program.code))


def _path(action: _Action, situation: Situation) -> tuple[int, ...] | None:
    """The indices at which the action is looked up; None where lines above are not total there."""
    program, local = action.program, action.decisions.named(situation)
    evaluator = Evaluator(program.names)
    path: list[int] = []
    try:
        for statement in program.policy.body[: action.place]:
            name = statement.name + "'" if isinstance(statement, s.Next) else statement.name
            local[name] = evaluator.value(statement.value, local)
        expr = program.policy.body[action.place].value
        while isinstance(expr, s.Index):
            path.insert(0, int(evaluator.value(expr.index, local)))
            expr = expr.array
    except EvaluationFault:
        return None
    return tuple(path)


def _entry(value: Value, path: tuple[int, ...]) -> Value:
    for index in path:
        value = value[index]  # type: ignore[index]
    return value


def edit_entries(
    program: Program,
    slot: s.Table | s.Param,
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
            edits += edit_entries(program, slot, item, (*position, i), kind.item, inner, below)
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
    """The expression that stands for a value where its type is asked for."""
    match kind:
        case Bool():
            return s.BoolLit(bool(value))
        case Int() | Bits():
            return s.IntLit(int(value))  # type: ignore[arg-type]
        case Rat():
            return s.RatLit(Fraction(value))  # type: ignore[arg-type]
        case Enum(name, members):
            member = members[int(value)]  # type: ignore[arg-type]
            owners = [e for e in program.names.enums.values() if member in e.members]
            return s.Name(member) if len(owners) == 1 else s.Member(name, member)
        case Array(_, _, item):
            return s.ArrayLit(tuple(literal(program, item, v) for v in value))  # type: ignore[union-attr]
        case _:
            assert_never(kind)


# --- guards --------------------------------------------------------------------------------------


def _edit_guards(action: _Action, limit: int) -> list[Edit] | None:
    by_value: dict[Value, dict[Situation, list[Situation]]] = {}
    for situation, value in action.changed.items():
        observed = situation[: action.width]
        alike = by_value.setdefault(value, {}).setdefault(observed, [])
        alike.append(situation[action.width :])
    expr, count = action.value, 0
    for value, states in by_value.items():
        tests: list[s.Expr] = []
        for observed, memories in states.items():
            tests += _tests(action, observed, memories, value)
            count += 1
            if count > limit or len(tests) > limit:
                return None
        test = tests[0]
        for other in tests[1:]:
            test = s.Binary("or", test, other)
        expr = s.If(test, literal(action.program, action.variable.type, value), expr)
    return [action.replaced(expr)]


def _tests(
    action: _Action, observed: Situation, memories: list[Situation], value: Value
) -> list[s.Expr]:
    """Tests, one of which holds in an observed state with one of these memories, and in none where the action is another."""
    state = _equals(action, action.observed, observed)
    rivals = [
        o[action.width :]
        for found in (action.changed, action.others)
        for o, other in found.items()
        if o[: action.width] == observed and other != value
    ]
    for chosen in _subsets(len(action.memories)):
        wanted = dict.fromkeys(_part(m, chosen) for m in memories)
        others = {_part(m, chosen) for m in rivals}
        if others.isdisjoint(wanted):
            break
    variables = tuple(action.memories[i] for i in chosen)
    one_sided = _threshold(action, variables, list(wanted), others)
    if one_sided is not None:
        return [_all_of([*state, one_sided])]
    return [_all_of([*state, *_equals(action, variables, m)]) for m in wanted]


def _threshold(
    action: _Action,
    variables: tuple[Variable, ...],
    wanted: list[Situation],
    rivals: set[Situation],
) -> s.Expr | None:
    """One comparison that tells numbers apart, where there are several to tell."""
    if len(variables) != 1 or not isinstance(variables[0].type, Int) or len(wanted) < 2:
        return None
    name, numbers = s.Name(variables[0].name), [m[0] for m in wanted]
    low, high = min(numbers), max(numbers)
    if all(r[0] < low for r in rivals):  # type: ignore[operator]
        return s.Compare((">=",), (name, literal(action.program, variables[0].type, low)))
    if all(r[0] > high for r in rivals):  # type: ignore[operator]
        return s.Compare(("<=",), (name, literal(action.program, variables[0].type, high)))
    return None


def _subsets(count: int) -> list[tuple[int, ...]]:
    """Choices of memory variables, the smallest first, all of them last."""
    if count > MEMORIES_MAX:
        return [(), tuple(range(count))]
    return [c for size in range(count + 1) for c in combinations(range(count), size)]


def _part(memory: Situation, chosen: tuple[int, ...]) -> Situation:
    return tuple(memory[i] for i in chosen)


def _equals(action: _Action, variables: tuple[Variable, ...], situation: Situation) -> list[s.Expr]:
    tests: list[s.Expr] = []
    for variable, value in zip(variables, situation, strict=True):
        tests += _equal(action.program, s.Name(variable.name), variable.type, value)
    return tests


def _all_of(tests: list[s.Expr]) -> s.Expr:
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


def _add_table(action: _Action, added: set[str]) -> list[Edit] | None:
    """A table by observed state, and by as much of the memory as the action must depend on."""
    chosen = _memory_read(action)
    variables = (*action.observed, *(action.memories[i] for i in chosen))
    size = 1
    for v in variables:
        if isinstance(v.type, Array):
            return None
        size *= cardinality(v.type) or TABLE_MAX + 1
        if size > TABLE_MAX:
            return None
    filled = _filled(action, chosen, variables)
    name = _fresh_name(action.program, added)
    kind: s.TypeExpr = written(action.variable.type)
    lookup: s.Expr = s.Name(name)
    for v in variables:
        lookup = s.Index(lookup, _index(v))
    for v in reversed(variables):
        kind = s.ArrayType(_size(v.type), kind)
    tree = _nested(action.program, variables, action.variable.type, filled, ())
    return [AddSlot(s.Table(name, kind, tree)), action.replaced(lookup)]


def _memory_read(action: _Action) -> tuple[int, ...]:
    """The fewest memory variables that, with the observed state, tell which action is wanted."""
    known = [*action.changed.items(), *action.others.items()]
    chosen: tuple[int, ...] = ()
    for chosen in _subsets(len(action.memories)):
        found: dict[Situation, Value] = {}
        for o, value in known:
            key = (*o[: action.width], *_part(o[action.width :], chosen))
            if found.setdefault(key, value) != value:
                break
        else:
            break
    return chosen


def _filled(
    action: _Action, chosen: tuple[int, ...], variables: tuple[Variable, ...]
) -> dict[Situation, Value]:
    """The action by observed state and the memory variables chosen; where nothing is known of one, as the policy has it."""
    program, width = action.program, action.width
    known = {
        (*o[:width], *_part(o[width:], chosen)): value
        for found in (action.others, action.changed)
        for o, value in found.items()
    }
    number = program.task.actions.index(action.variable)
    filled: dict[Situation, Value] = {}
    for key in product(*(tuple(values(v.type)) for v in variables)):
        if key in known:
            filled[key] = known[key]
            continue
        memory = list(program.memory_start)
        for i, value in zip(chosen, key[width:], strict=True):
            memory[i] = value
        filled[key] = action.decisions.at((*key[:width], *memory)).actions[number]
    return filled


def _fresh_name(program: Program, added: set[str]) -> str:
    taken = added | identifiers(program)
    names = ["PLAN", *(f"PLAN_{i}" for i in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)


def written(kind: Type) -> s.TypeExpr:
    """A type as it is written in code."""
    match kind:
        case Bool():
            return s.BoolType()
        case Int(low, high):
            ends = [None if end is None else s.IntLit(end) for end in (low, high)]
            return s.IntType(ends[0], ends[1])
        case Rat(low, high):
            rationals = [None if end is None else s.RatLit(Fraction(end)) for end in (low, high)]
            return s.RatType(rationals[0], rationals[1])
        case Bits(width):
            return s.BitsType(s.IntLit(width))
        case Enum(name, _):
            return s.NamedType(name)
        case Array(length, index, item):
            return s.ArrayType(s.Name(index.name) if index else s.IntLit(length), written(item))
        case _:
            assert_never(kind)


def _size(kind: Type) -> s.Expr:
    return s.Name(kind.name) if isinstance(kind, Enum) else s.IntLit(cardinality(kind) or 1)


def _index(variable: Variable) -> s.Expr:
    name = s.Name(variable.name)
    if isinstance(variable.type, Bool):
        return s.If(name, s.IntLit(1), s.IntLit(0))
    if isinstance(variable.type, Bits):
        return s.Call("int", (name,))
    if isinstance(variable.type, Int) and variable.type.low:
        low = variable.type.low
        if low > 0:
            return s.Binary("-", name, s.IntLit(low))
        return s.Binary("+", name, s.IntLit(-low))
    return name


def _nested(
    program: Program,
    variables: tuple[Variable, ...],
    kind: Type,
    filled: Mapping[Situation, Value],
    prefix: Situation,
) -> s.Expr:
    if not variables:
        return literal(program, kind, filled[prefix])
    items = values(variables[0].type)
    return s.ArrayLit(
        tuple(_nested(program, variables[1:], kind, filled, (*prefix, x)) for x in items)
    )
