"""Constants, tables, parameters and functions: resolve their types, order them, and work out their values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeAlias, TypeVar

from dsl import syntax as s
from dsl.elaborate import elaborate
from dsl.infer import UNKNOWN, Faults, LocalTypes, Scope, Signature, Typer, bits_in
from dsl.interp import EvaluationFault, Evaluator, Function, Globals, show_range
from dsl.types import (
    ELEMENTS_MAX,
    WIDTH_MAX,
    Array,
    Bits,
    Bool,
    Enum,
    Int,
    Rat,
    Type,
    Variable,
    cardinality,
    contains,
    elements,
    fits,
    show_type,
)
from dsl.work import WORK_MAX, WorkMeter

NESTING_MAX = 200
SCALAR_MAX = 2**64

Item: TypeAlias = s.Const | s.Table | s.Def | s.Param
_T = TypeVar("_T", bound=s.Node)


@dataclass(frozen=True, slots=True)
class _Known:
    """What was worked out of an expression (None where it has a fault), and whether its faults were reported."""

    expr: s.Expr
    value: Any
    told: bool


class ScopeBuilder(Typer):
    """A scope under construction together with the values of its constants."""

    def __init__(self, scope: Scope, names: Globals, faults: Faults) -> None:
        super().__init__(scope, faults)
        self.values = dict(names.values)
        self.functions = dict(names.functions)
        self.tables = dict(names.tables)
        self.prices = dict(names.prices)
        self.calls: dict[str, int] = {}
        self.nestings: dict[str, int] = {}
        # by identity of expression, which the entries keep alive
        self._constants: dict[int, _Known] = {}
        self._widths: dict[int, _Known] = {}

    @classmethod
    def extending(cls, outer: ScopeBuilder) -> ScopeBuilder:
        """A scope inside another one."""
        inner = cls(outer.scope.copy(), outer.names(), outer.faults)
        inner.calls, inner.nestings = dict(outer.calls), dict(outer.nestings)
        return inner

    def names(self) -> Globals:
        """What the interpreter needs of this scope."""
        kinds = {k: v for k, v in self.scope.types.items() if k in self.values}
        return Globals(
            dict(self.scope.enums),
            kinds,
            dict(self.values),
            dict(self.functions),
            dict(self.tables),
            dict(self.prices),
        )

    def _names_so_far(self) -> Globals:
        """What the evaluator needs, not copied: to be used at once."""
        return Globals(self.scope.enums, {}, self.values, self.functions, self.tables, self.prices)

    # --- declaring -------------------------------------------------------------------------------

    def take(self, name: str, where: s.Node, what: str) -> bool:
        """Let a name be that of something, or report that it is taken; says whether it was free."""
        taken = self.scope.declared(name)
        if taken:
            self.faults.add("G007", f"{name} is already the name of {taken}", where, name=0)
        else:
            self.scope.words[name] = what
        return not taken

    def declare_enum(self, enum: s.Enum) -> None:
        """Add an enum and its members."""
        if not self.take(enum.name, enum, "an enum"):
            self.scope.faulty.update(enum.members)
            return
        free: dict[str, None] = {}
        for i, member in enumerate(enum.members):
            taken = None if member in self.scope.members else self.scope.declared(member)
            if member in free:
                self.faults.add("G007", f"{enum.name} lists {member} twice", enum, name=i + 1)
            elif taken or member == enum.name:
                message = f"{member} is already the name of {taken or 'an enum'}"
                self.faults.add("G007", message, enum, name=i + 1)
            else:
                free[member] = None
        if not free:
            self.scope.faulty.add(enum.name)
            return
        kind = Enum(enum.name, tuple(free))
        self.scope.enums[enum.name] = kind
        for i, member in enumerate(kind.members):
            owners = self.scope.members.setdefault(member, [])
            owners.append(kind)
            if len(owners) == 1:
                self.values[member] = i
            else:
                self.values.pop(member, None)

    def declare_items(self, items: Iterable[Item]) -> None:
        """Add constants, tables, parameters and functions, which may read each other in any order but not in a circle."""
        fresh: dict[str, Item] = {}
        for item in items:
            if self.take(item.name, item, f"a {type(item).__name__.lower()}"):
                fresh[item.name] = item
        reads = {name: _reads(item) & fresh.keys() for name, item in fresh.items()}
        for name in order(reads, lambda n, path: self._circle(fresh[n], path)):
            item = fresh[name]
            if isinstance(item, s.Def):
                self._declare_def(item)
            else:
                self._declare_value(item)

    def _circle(self, item: s.Node, path: list[str]) -> None:
        self.faults.add("G020", f"a circle of definitions: {' -> '.join(path)}", item, name=0)
        self.scope.faulty.update(path)

    def _declare_value(self, item: s.Const | s.Table | s.Param) -> None:
        kind = None if isinstance(item, s.Const) else self.resolve(item.type)
        before = len(self.faults.found)
        found = self.infer(item.value, None, bits_in(kind))
        if kind is None and isinstance(item, s.Const):
            kind = found
        self.scope.types[item.name] = UNKNOWN if kind is None else kind
        self.scope.constants.add(item.name)
        if found is None or kind is None or len(self.faults.found) > before:
            self.scope.faulty.add(item.name)
            return
        if not fits(found, kind):
            if isinstance(found, Array) and isinstance(kind, Array) and found.length != kind.length:
                message = f"{item.name} must have {kind.length} entries, found {found.length}"
                self.faults.add("G027", message, item.value)
            else:
                self.mismatch(item.value, kind, found, item.name)
            return
        tree = elaborate(self, item.value, kind, {})
        value = self.constant_value(tree)
        if value is None:
            self.scope.faulty.add(item.name)
            return
        if not contains(kind, value):
            left, part, where = _outside(kind, value, "")
            message = f"{item.name} leaves its range {show_range(left)}"
            note = f"the value{where} is {part}"
            self.faults.add("G012", message, item.value, note=note)
            self.scope.faulty.add(item.name)
            return
        self.values[item.name] = value
        if isinstance(item, s.Table):
            self.tables[item.name] = item if tree is item.value else replace(item, value=tree)

    def _declare_def(self, item: s.Def) -> None:
        local: dict[str, Type] = {}
        parameters: list[Variable] = []
        for parameter in item.parameters:
            kind = self.resolve(parameter.type)
            if parameter.name in local:
                message = f"{item.name} has two parameters {parameter.name}"
                self.faults.add("G007", message, parameter, name=0)
            else:
                self.declare(parameter.name, local, parameter)
            local[parameter.name] = UNKNOWN if kind is None else kind
            parameters.append(Variable(parameter.name, local[parameter.name]))
        result = self.resolve(item.result)
        before = len(self.faults.found)
        if result is None:
            self.scope.faulty.add(item.name)
            return
        fits_in = self.expect(item.body, result, local, f"the result of {item.name}")
        known = all(kind is not UNKNOWN for kind in local.values())
        if not fits_in and len(self.faults.found) == before:
            # it calls or reads something that has a fault
            self.scope.faulty.add(item.name)
            return
        self.scope.signatures[item.name] = Signature(tuple(parameters), result)
        if not fits_in or not known or len(self.faults.found) > before:
            return
        body = elaborate(self, item.body, result, local)
        work = self.bounded_work(body, local, f"the body of {item.name}")
        if work > WORK_MAX:
            # whatever calls it would only repeat the fault
            del self.scope.signatures[item.name]
            self.scope.faulty.add(item.name)
            return
        self.calls[item.name], self.nestings[item.name] = work, self.nesting(item.body)
        self.functions[item.name] = Function(item.name, tuple(parameters), result, body)

    # --- constants -------------------------------------------------------------------------------

    def bounded_work(self, node: s.Expr | s.Dist, local: LocalTypes, what: str) -> int:
        """The work of a node; reports where it is over the bound, or where calls nest too deeply to be evaluated.

        Best asked of the elaborated tree, in which no literal's type is open.
        """
        nesting = self.nesting(node) if self.nestings else 0
        if nesting > NESTING_MAX:
            message = f"{what} nests {nesting} deep with the functions it calls, {NESTING_MAX} is the most"
            self.faults.add("G003", message, node)
            return WORK_MAX + 1
        work = WorkMeter(self, self.calls).work(node, local)
        if work > WORK_MAX:
            self.faults.add("G018", f"{what} may take {show_work(work)}", node)
        return work

    def nesting(self, node: s.Node) -> int:
        """How deep a node nests, with the bodies of the functions that it calls."""
        deepest = 0
        pending: list[tuple[s.Node, int]] = [(node, 1)]
        while pending:
            top, depth = pending.pop()
            called = self.nestings.get(top.name, 0) if isinstance(top, s.Call) else 0
            grid = s.grid_of(top)
            if grid is not None:
                depth += len(grid.shape) + (grid.width is not None)
            deepest = max(deepest, depth + called)
            if grid is None:
                pending.extend((below, depth + 1) for below in s.children(top))
        return deepest

    def constant_value(self, expr: s.Expr) -> Any:
        """The value of a well-typed constant expression, or None with its fault reported.

        What must be bits is elaborated beforehand: an expression by itself says nothing of its literals.
        """
        if type(expr) is s.IntLit:
            return expr.value
        return self._once(self._constants, expr, self._constant_value)

    def _once(
        self, known: dict[int, _Known], expr: s.Expr, work_out: Callable[[s.Expr], Any]
    ) -> Any:
        """What is worked out of an expression, remembered, so that ranges inside ranges are not worked out over again.

        A fault that nobody was told is worked out again to be told.
        """
        before = known.get(id(expr))
        if before is not None and (before.value is not None or before.told or self.quiet):
            return before.value
        value = work_out(expr)
        known[id(expr)] = _Known(expr, value, not self.quiet)
        return value

    def _constant_value(self, expr: s.Expr) -> Any:
        tree = elaborate(self, expr, None, {})
        if self.bounded_work(tree, {}, "this constant") > WORK_MAX:
            return None
        try:
            return Evaluator(self._names_so_far()).value(tree, {})
        except EvaluationFault as fault:
            self.faults.add(fault.code, fault.message, fault.node, note=fault.met)
        except KeyError:
            # a name whose definition has a fault of its own
            if not self.faults.found and not self.quiet:
                raise
        return None

    def constant_width(self, width: s.Expr) -> int | None:
        return self._once(self._widths, width, self._constant_width)  # type: ignore[no-any-return]

    def _constant_width(self, width: s.Expr) -> int | None:
        if not self.constant(width, Int(), "the width of bits"):
            return None
        found = self.constant_value(width)
        if found is None or 1 <= found <= WIDTH_MAX:
            return found  # type: ignore[no-any-return]
        self.faults.add("G030", f"bits have a width of 1..{WIDTH_MAX}, found {found}", width)
        return None

    def constant_range(self, low: s.Expr, high: s.Expr, where: s.Node) -> int | None:
        ends = self.constant_value(low), self.constant_value(high)
        if ends[0] is None or ends[1] is None:
            return None
        if ends[0] > ends[1]:
            self.faults.add("G024", f"the range {ends[0]}..{ends[1]} is empty", where)
            return None
        if ends[1] - ends[0] >= ELEMENTS_MAX:
            message = f"a range of {ends[1] - ends[0] + 1:,} values, {ELEMENTS_MAX:,} are allowed"
            self.faults.add("G019", message, where)
            return None
        return int(ends[1] - ends[0] + 1)

    # --- types -----------------------------------------------------------------------------------

    def resolve(self, kind: s.TypeExpr) -> Type | None:
        """A written type with its ends worked out, or None with its faults reported."""
        match kind:
            case s.BoolType():
                return Bool()
            case s.NamedType(name):
                enum = self.scope.enums.get(name)
                if enum is None and name not in self.scope.faulty:
                    known = [*self.scope.enums, "bool", "int", "rat", "bits"]
                    self.unknown(name, kind, known, "type")
                return enum
            case s.BitsType(width):
                bits = self.constant_width(width)
                return None if bits is None else Bits(bits)
            case s.IntType(None, None):
                return Int()
            case s.RatType(None, None):
                return Rat()
            case s.IntType(low, high) | s.RatType(low, high):
                return self._range(kind, low, high)
            case s.ArrayType(size, item):
                return self._array_type(kind, size, item)

    def _range(self, kind: s.IntType | s.RatType, low: Any, high: Any) -> Type | None:
        wanted: Type = Int() if isinstance(kind, s.IntType) else Rat()
        if not all([self.constant(e, wanted, "the end of a range") for e in (low, high)]):
            return None
        ends = self.constant_value(low), self.constant_value(high)
        if ends[0] is None or ends[1] is None:
            return None
        if ends[0] > ends[1]:
            self.faults.add("G024", f"the range {ends[0]}..{ends[1]} is empty", kind)
            return None
        if isinstance(wanted, Rat):
            return Rat(Fraction(ends[0]), Fraction(ends[1]))
        if ends[1] - ends[0] >= SCALAR_MAX:
            self.faults.add("G003", "a range of more than 2^64 values", kind)
            return None
        return Int(ends[0], ends[1])

    def _array_type(self, kind: s.ArrayType, size: s.Expr, item: s.TypeExpr) -> Type | None:
        inner = self.resolve(item)
        index = None
        if isinstance(size, s.Name) and size.name in self.scope.enums:
            index = self.scope.enums[size.name]
            length = len(index.members)
        else:
            if not self.constant(size, Int(), "the size of an array"):
                return None
            length = self.constant_value(size)
        if inner is None or length is None:
            return None
        if length < 1:
            self.faults.add("G024", f"an array of {length} items", kind)
            return None
        found = Array(length, index, inner)
        if elements(found) > ELEMENTS_MAX:
            message = f"an array of {elements(found):,} elements, {ELEMENTS_MAX:,} are allowed"
            self.faults.add("G019", message, kind)
            return None
        return found

    def resolve_finite(self, kind: s.TypeExpr, what: str) -> Type | None:
        """A written type that must have finitely many values."""
        found = self.resolve(kind)
        if found is not None and cardinality(found) is None:
            hint = "give the range: int low..high" if isinstance(found, Int) else None
            message = f"{what} needs a type with finitely many values, found {show_type(found)}"
            self.faults.add("G022", message, kind, help=hint)
            return None
        return found


def show_work(work: int) -> str:
    """An amount of work that is too much."""
    shown = f"{work:,}" if work < 10**12 else "over 10^12"
    return f"{shown} units of work, {WORK_MAX:,} are allowed"


def _outside(kind: Type, value: Any, where: str) -> tuple[Type, Any, str]:
    """The range that a value leaves, the part that leaves it, and where in an array that is."""
    if isinstance(kind, Array):
        for i, item in enumerate(value):
            if not contains(kind.item, item):
                return _outside(kind.item, item, f"{where or ' at '}[{i}]")
    return kind, value, where


def _reads(item: Item) -> set[str]:
    parts: list[s.Node] = list(_type_parts(item))
    parts.append(item.body if isinstance(item, s.Def) else item.value)
    return set().union(*(names_read(part) for part in parts))


def _type_parts(item: Item) -> Iterable[s.Node]:
    kinds: list[s.TypeExpr] = []
    if isinstance(item, s.Def):
        kinds = [*(p.type for p in item.parameters), item.result]
    elif not isinstance(item, s.Const):
        kinds = [item.type]
    for kind in kinds:
        yield from type_expressions(kind)


def type_expressions(kind: s.TypeExpr) -> Iterable[s.Expr]:
    """The expressions inside a written type."""
    match kind:
        case s.IntType(low, high) | s.RatType(low, high):
            yield from (e for e in (low, high) if e is not None)
        case s.BitsType(width):
            yield width
        case s.ArrayType(size, item):
            yield size
            yield from type_expressions(item)
        case _:
            pass


def names_read(node: s.Node) -> set[str]:
    """Every name, primed name (with its prime) and function that stands in a tree."""
    found: set[str] = set()
    pending = [node]
    while pending:
        below = pending.pop()
        match below:
            case s.Name(name) | s.Call(name, _):
                found.add(name)
            case s.Primed(name):
                found.add(name + "'")
            case _:
                pass
        grid = s.grid_of(below)
        if grid is None:
            pending.extend(s.children(below))
        else:
            found.update(grid.names)
    return found


def order(reads: Mapping[str, set[str]], on_circle: Any) -> list[str]:
    """Names so that each stands behind what it reads, else in the order given; circles are reported and left out."""
    done: dict[str, bool] = {}
    out: list[str] = []
    place = {name: i for i, name in enumerate(reads)}.__getitem__
    for root in reads:
        # an explicit stack: chains of definitions may be longer than Python's
        stack: list[tuple[str, list[str]]] = [(root, sorted(reads[root], key=place))]
        if root in done:
            continue
        done[root] = False
        while stack:
            name, rest = stack[-1]
            if rest:
                below = rest.pop(0)
                if below not in done:
                    done[below] = False
                    stack.append((below, sorted(reads[below], key=place)))
                elif not done[below]:
                    path = [n for n, _ in stack]
                    on_circle(below, [*path[path.index(below) :], below])
            else:
                done[name] = True
                out.append(name)
                stack.pop()
    return out
