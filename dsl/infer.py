"""Types of expressions, and every fault of name or type in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fractions import Fraction
from typing import Any, TypeAlias

from dsl import syntax as s
from dsl.errors import Diagnostic
from dsl.interp import BUILT_INS, NUMBER_BITS_MAX, number_bits
from dsl.span import NO_SPAN, Span, span_of_name
from dsl.types import (
    ELEMENTS_MAX,
    Array,
    Bool,
    Enum,
    Int,
    Rat,
    Type,
    Variable,
    elements,
    fits,
    join,
    show_type,
    without_ranges,
)

LocalTypes: TypeAlias = Mapping[str, Type]


@dataclass(frozen=True, slots=True)
class Signature:
    """What a call of a `def` must fit."""

    parameters: tuple[Variable, ...]
    result: Type


@dataclass(slots=True)
class Scope:
    """The names that a place may read; `hidden` says why a known name may not be read there.

    `words` says what kind of thing has a name, `faulty` holds names whose declaration has a reported fault: what reads
    one has no type, and nothing more is said about it.
    """

    enums: dict[str, Enum] = field(default_factory=dict)
    types: dict[str, Type] = field(default_factory=dict)
    members: dict[str, list[Enum]] = field(default_factory=dict)
    constants: set[str] = field(default_factory=set)
    signatures: dict[str, Signature] = field(default_factory=dict)
    hidden: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    faulty: set[str] = field(default_factory=set)

    def copy(self) -> Scope:
        """The same names, to add to."""
        return Scope(
            dict(self.enums),
            dict(self.types),
            {name: list(enums) for name, enums in self.members.items()},
            set(self.constants),
            dict(self.signatures),
            dict(self.hidden),
            dict(self.words),
            set(self.faulty),
        )

    def is_constant(self, name: str, local: LocalTypes) -> bool:
        """Whether a name has one value whatever the state; an unknown name counts, it is reported elsewhere."""
        return name not in local and (name in self.constants or name not in self.types)

    def declared(self, name: str) -> str | None:
        """What kind of thing already has this name, in words."""
        if name in self.enums:
            return "an enum"
        if name in self.members:
            return f"a member of {self.members[name][0].name}"
        if name in BUILT_INS:
            return "a built-in function"
        if name in self.signatures:
            return "a def"
        return self.words.get(name) or ("a variable" if name in self.types else None)


class Faults:
    """Collects diagnostics."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []

    def add(
        self,
        code: str,
        message: str,
        where: s.Node | Span,
        *,
        name: int | None = None,
        note: str = "",
        help: str | None = None,
    ) -> None:
        """Report a fault at a node, or at one of the names that the node gives."""
        span = where if isinstance(where, Span) else where.span
        if name is not None:
            span = span_of_name(span, name)
        diagnostic = Diagnostic(code, message, span, (note,) if note else (), help)
        if span == NO_SPAN or diagnostic not in self.found:
            self.found.append(diagnostic)


class Typer:
    """Infers types; None stands for a type that a reported fault has made unknown."""

    def __init__(self, scope: Scope, faults: Faults) -> None:
        self.scope, self.faults = scope, faults

    def infer(self, expr: s.Expr, local: LocalTypes | None = None) -> Type | None:
        """The type of an expression, ranges dropped."""
        return _CASES[type(expr)](self, expr, local or {})

    def expect(
        self, expr: s.Expr, wanted: Type, local: LocalTypes | None = None, what: str = "this"
    ) -> bool:
        """Report where an expression does not fit a type; says whether it does."""
        found = self.infer(expr, local)
        if found is None or wanted is UNKNOWN:
            return False
        if not fits(found, wanted):
            self.mismatch(expr, wanted, found, what)
            return False
        return True

    def mismatch(self, node: s.Node, wanted: Type, found: Type, what: str) -> None:
        """Report a value of the wrong type."""
        shown = "a number" if isinstance(wanted, Rat) else show_type(without_ranges(wanted))
        message = f"{what} must be {shown}, found {show_type(found)}"
        self.faults.add("G009", message, node, help=_conversion(node, wanted, found))

    def declare(self, name: str, local: LocalTypes, where: s.Node) -> None:
        """Report a local name that is already taken."""
        taken = "a local value" if name in local else self.scope.declared(name)
        if taken:
            self.faults.add("G007", f"{name} is already the name of {taken}", where, name=0)

    def infer_dist(self, dist: s.Dist, wanted: Type, local: LocalTypes) -> None:
        """Check the values and weights of a distribution."""
        match dist:
            case s.DistMap(entries):
                for entry in entries:
                    self._weighted(entry, wanted, local)
            case s.DistFor(var, low, high, entry):
                self.declare(var, local, dist)
                if self._ends(low, high):
                    self.constant_range(low, high, dist)
                self._weighted(entry, wanted, {**local, var: Int()})
            case s.DistIf(test, then, otherwise):
                self.expect(test, Bool(), local, "a test")
                self.infer_dist(then, wanted, local)
                self.infer_dist(otherwise, wanted, local)
            case s.DistLet(name, value, body):
                self.infer_dist(body, wanted, self._bind(name, value, local, dist))
            case s.DistMatch(subject, arms, otherwise):
                self._patterns(subject, arms, otherwise is not None, local, dist)
                for body in [a.body for a in arms] + ([otherwise] if otherwise else []):
                    self.infer_dist(body, wanted, local)

    def _weighted(self, entry: s.Weighted, wanted: Type, local: LocalTypes) -> None:
        self.expect(entry.value, wanted, local, "a value drawn here")
        self.expect(entry.weight, Rat(), local, "a weight")

    def _ends(self, low: s.Expr, high: s.Expr) -> bool:
        return all([self.constant(end, Int(), "the end of a range") for end in (low, high)])

    def constant(self, expr: s.Expr, wanted: Type, what: str) -> bool:
        """Report an expression that is not constant or does not fit; says whether it is in order."""
        for node in s.walk(expr):
            if isinstance(node, s.Primed) or (
                isinstance(node, s.Name)
                and node.name in self.scope.types
                and node.name not in self.scope.constants
            ):
                self.faults.add("G021", f"{what} must be constant, {node.name} is not", node)
                return False
        return self.expect(expr, wanted, {}, what)

    def _bind(self, name: str, value: s.Expr, local: LocalTypes, where: s.Node) -> dict[str, Type]:
        self.declare(name, local, where)
        kind = self.infer(value, local)
        return {**local, name: kind if kind is not None else UNKNOWN}

    # --- one method a node -----------------------------------------------------------------------

    def _int_literal(self, expr: s.IntLit, local: LocalTypes) -> Type | None:
        if type(expr.value) is not int or number_bits(expr.value) > NUMBER_BITS_MAX:
            message = f"a literal that is no integer of at most {NUMBER_BITS_MAX:,} bits"
            self.faults.add("G019", message, expr)
            return None
        return Int()

    def _rat_literal(self, expr: s.RatLit, local: LocalTypes) -> Type | None:
        if type(expr.value) is not Fraction or number_bits(expr.value) > NUMBER_BITS_MAX:
            message = f"a literal that is no rational of at most {NUMBER_BITS_MAX:,} bits"
            self.faults.add("G019", message, expr)
            return None
        return Rat()

    def _name(self, expr: s.Name, local: LocalTypes) -> Type | None:
        name, scope = expr.name, self.scope
        kind = local.get(name) or scope.types.get(name)
        if kind is not None:
            return None if kind is UNKNOWN else without_ranges(kind)
        owners = scope.members.get(name, [])
        if len(owners) == 1:
            return owners[0]
        if owners:
            choices = " or ".join(f"{e.name}.{name}" for e in owners)
            self.faults.add(
                "G008", f"{name} is a member of several enums", expr, help=f"write {choices}"
            )
        elif name in scope.faulty:
            pass
        elif name in scope.signatures or name in BUILT_INS:
            self.faults.add("G010", f"{name} is a function, not a value", expr, help=f"{name}(…)")
        elif name in scope.hidden:
            self.faults.add("G011", f"{name} cannot be read here: {scope.hidden[name]}", expr)
        elif name in scope.enums:
            members = scope.enums[name].members
            self.faults.add(
                "G010", f"{name} is an enum, not a value", expr, help=f"{name}.{members[0]}"
            )
        else:
            self.unknown(name, expr, [*local, *scope.types, *scope.members])
        return None

    def unknown(
        self,
        name: str,
        where: s.Node,
        known: Iterable[str],
        what: str = "name",
        *,
        index: int | None = None,
    ) -> str | None:
        """Report an unknown name, with the nearest known one, which is returned."""
        near = next(iter(get_close_matches(name, list(known), n=1)), None)
        hint = f"did you mean {near}?" if near else None
        self.faults.add("G006", f"unknown {what} {name}", where, name=index, help=hint)
        return near

    def _primed(self, expr: s.Primed, local: LocalTypes) -> Type | None:
        key = expr.name + "'"
        kind = local.get(key) or self.scope.types.get(key)
        if kind is not None:
            return None if kind is UNKNOWN else without_ranges(kind)
        if key in self.scope.faulty:
            return None
        if key in self.scope.hidden:
            self.faults.add("G011", f"{key} cannot be read here: {self.scope.hidden[key]}", expr)
        else:
            known = [n for n in self.scope.types if n.endswith("'")]
            self.unknown(key, expr, known, "next value")
        return None

    def _member(self, expr: s.Member, local: LocalTypes) -> Type | None:
        enum = self.scope.enums.get(expr.enum)
        if enum is None:
            if expr.enum not in self.scope.faulty:
                self.unknown(expr.enum, expr, self.scope.enums, "enum")
        elif expr.member not in enum.members:
            if expr.member not in self.scope.faulty:
                near = next(iter(get_close_matches(expr.member, enum.members, n=1)), None)
                hint = f"did you mean {near}?" if near else _list_members(enum)
                message = f"{enum.name} has no member {expr.member}"
                self.faults.add("G006", message, expr, help=hint)
        else:
            return enum
        return None

    def _unary(self, expr: s.Unary, local: LocalTypes) -> Type | None:
        if expr.op == "not":
            self.expect(expr.operand, Bool(), local, "the operand of not")
            return Bool()
        return self._number(expr.operand, local, "the operand of -")

    def _number(self, expr: s.Expr, local: LocalTypes, what: str) -> Type | None:
        kind = self.infer(expr, local)
        if kind is not None and not isinstance(kind, (Int, Rat)):
            hint = "ord(…) is the number of a member" if isinstance(kind, Enum) else None
            if isinstance(kind, Bool):
                hint = "if … then 1 else 0"
            self.faults.add(
                "G009", f"{what} must be a number, found {show_type(kind)}", expr, help=hint
            )
            return None
        return kind

    def _binary(self, expr: s.Binary, local: LocalTypes) -> Type | None:
        op = expr.op
        if op in ("and", "or", "implies"):
            self.expect(expr.left, Bool(), local, f"the left side of {op}")
            self.expect(expr.right, Bool(), local, f"the right side of {op}")
            return Bool()
        if op in ("div", "mod"):
            self.expect(expr.left, Int(), local, f"the left side of {op}")
            self.expect(expr.right, Int(), local, f"the right side of {op}")
            return Int()
        left = self._number(expr.left, local, f"the left side of {op}")
        right = self._number(expr.right, local, f"the right side of {op}")
        if left is None or right is None:
            return None
        return Rat() if op == "/" else join(left, right)

    def _compare(self, expr: s.Compare, local: LocalTypes) -> Type | None:
        kinds = [self.infer(operand, local) for operand in expr.operands]
        for i, op in enumerate(expr.ops):
            left, right = kinds[i], kinds[i + 1]
            if left is None or right is None:
                continue
            if op in ("==", "!="):
                if join(left, right) is None:
                    message = f"{show_type(left)} and {show_type(right)} cannot be compared"
                    self.faults.add("G009", message, expr.operands[i + 1])
                continue
            for kind, operand in ((left, expr.operands[i]), (right, expr.operands[i + 1])):
                if not isinstance(kind, (Int, Rat)):
                    hint = "ord(…) is the number of a member" if isinstance(kind, Enum) else None
                    message = f"{op} compares numbers, found {show_type(kind)}"
                    self.faults.add("G009", message, operand, help=hint)
        return Bool()

    def _if(self, expr: s.If, local: LocalTypes) -> Type | None:
        self.expect(expr.test, Bool(), local, "a test")
        return self._joined([expr.then, expr.otherwise], local, "the branches of if")

    def _joined(self, bodies: list[s.Expr], local: LocalTypes, what: str) -> Type | None:
        kinds: list[Type | None] = []
        for body in bodies:  # no comprehension: its frame would count where branches nest deeply
            kinds.append(self.infer(body, local))
        joint: Type | None = None
        for kind, body in zip(kinds, bodies, strict=True):
            if kind is None:
                return None
            found = kind if joint is None else join(joint, kind)
            if found is None and joint is not None:
                message = f"{what} must agree, found {show_type(joint)} and {show_type(kind)}"
                self.faults.add("G009", message, body)
                return None
            joint = found
        return joint

    def _let(self, expr: s.Let, local: LocalTypes) -> Type | None:
        return self.infer(expr.body, self._bind(expr.name, expr.value, local, expr))

    def _match(self, expr: s.Match, local: LocalTypes) -> Type | None:
        self._patterns(expr.subject, expr.arms, expr.otherwise is not None, local, expr)
        bodies = [arm.body for arm in expr.arms]
        if expr.otherwise is not None:
            bodies.append(expr.otherwise)
        return self._joined(bodies, local, "the arms of match")

    def _patterns(
        self,
        subject: s.Expr,
        arms: tuple[s.Arm, ...] | tuple[s.DistArm, ...],
        has_else: bool,
        local: LocalTypes,
        where: s.Node,
    ) -> None:
        kind = self.infer(subject, local)
        if not arms and not has_else:
            self.faults.add("G015", "a match needs an arm", where)
        seen: dict[Any, s.Expr] = {}
        for pattern in (p for arm in arms for p in arm.patterns):
            if not isinstance(pattern, _PATTERNS):
                message = "a pattern is a literal, a member or a named constant"
                self.faults.add("G021", message, pattern)
                continue
            if isinstance(pattern, s.Name) and not self.scope.is_constant(pattern.name, local):
                self.faults.add(
                    "G021", f"a pattern must be constant, {pattern.name} is not", pattern
                )
                continue
            found = self.infer(pattern)
            if kind is not None and found is not None and join(kind, found) is None:
                message = f"a pattern must be {show_type(kind)}, found {show_type(found)}"
                hint = _list_members(kind) if isinstance(kind, Enum) else None
                self.faults.add("G009", message, pattern, help=hint)
            key = type(pattern), getattr(pattern, "value", None), getattr(pattern, "name", pattern)
            if key in seen:
                self.faults.add("G026", "this pattern stands twice", pattern)
            seen[key] = pattern

    def _call(self, expr: s.Call, local: LocalTypes) -> Type | None:
        name, args = expr.name, expr.args
        if name in _BUILT_IN_TYPES:
            low, high, rule = _BUILT_IN_TYPES[name]
            if not low <= len(args) <= high:
                wanted = f"{low}" if low == high else f"{low} or more"
                self._arguments(expr, wanted)
                return None
            return rule(self, expr, local)
        if name in self.scope.enums:
            if len(args) != 1:
                self._arguments(expr, "1")
                return None
            self.expect(args[0], Int(), local, f"the argument of {name}")
            return self.scope.enums[name]
        signature = self.scope.signatures.get(name)
        if signature is None:
            for arg in args:
                self.infer(arg, local)
            if name in local or name in self.scope.types or name in self.scope.members:
                self.faults.add("G010", f"{name} is not a function", expr, name=0)
            elif name in self.scope.faulty:
                pass
            elif name in self.scope.hidden:
                message = f"{name} cannot be read here: {self.scope.hidden[name]}"
                self.faults.add("G011", message, expr, name=0)
            else:
                known = [*self.scope.signatures, *BUILT_INS, *self.scope.enums]
                self.unknown(name, expr, known, "function", index=0)
            return None
        if len(args) != len(signature.parameters):
            self._arguments(expr, str(len(signature.parameters)))
        for parameter, arg in zip(signature.parameters, args, strict=False):
            self.expect(arg, parameter.type, local, f"{parameter.name} of {name}")
        return without_ranges(signature.result)

    def _arguments(self, expr: s.Call, wanted: str) -> None:
        plural = "" if wanted == "1" else "s"
        message = f"{expr.name} takes {wanted} argument{plural}, found {len(expr.args)}"
        self.faults.add("G010", message, expr)

    def _numbers(self, expr: s.Call, local: LocalTypes) -> Type | None:
        kinds: list[Type | None] = []
        for arg in expr.args:  # no comprehension: its frame would count where calls nest deeply
            kinds.append(self._number(arg, local, f"an argument of {expr.name}"))
        if any(k is None for k in kinds):
            return None
        return Rat() if any(isinstance(k, Rat) for k in kinds) else Int()

    def _floor(self, expr: s.Call, local: LocalTypes) -> Type | None:
        self.expect(expr.args[0], Rat(), local, "the argument of floor")
        return Int()

    def _ord(self, expr: s.Call, local: LocalTypes) -> Type | None:
        kind = self.infer(expr.args[0], local)
        if kind is not None and not isinstance(kind, Enum):
            message = f"ord takes a member of an enum, found {show_type(kind)}"
            self.faults.add("G009", message, expr.args[0])
        return Int()

    def _index(self, expr: s.Index, local: LocalTypes) -> Type | None:
        array, index = self.infer(expr.array, local), self.infer(expr.index, local)
        if array is None:
            return None
        if not isinstance(array, Array):
            self.faults.add(
                "G009", f"only arrays have an index, found {show_type(array)}", expr.array
            )
            return None
        wanted: Type = array.index or Int()
        if index is not None and not fits(index, wanted):
            self.mismatch(expr.index, wanted, index, "the index")
        return array.item

    def _array(self, expr: s.ArrayLit, local: LocalTypes) -> Type | None:
        item = self._joined(list(expr.items), local, "the entries of an array")
        return None if item is None else self._bounded(len(expr.items), item, expr)

    def _array_for(self, expr: s.ArrayFor, local: LocalTypes) -> Type | None:
        self.declare(expr.var, local, expr)
        constant = self._ends(expr.low, expr.high)
        item = self.infer(expr.body, {**local, expr.var: Int()})
        if item is None or not constant:
            return None
        length = self.constant_range(expr.low, expr.high, expr)
        return None if length is None else self._bounded(length, item, expr)

    def _bounded(self, length: int, item: Type, where: s.Node) -> Type | None:
        """The type of an array, or None where it has too many elements."""
        found = Array(length, None, item)
        if elements(found) <= ELEMENTS_MAX:
            return found
        message = f"an array of {elements(found):,} elements, {ELEMENTS_MAX:,} are allowed"
        self.faults.add("G019", message, where)
        return None

    def constant_range(self, low: s.Expr, high: s.Expr, where: s.Node) -> int | None:
        """How long a constant range is; the checker that owns the constants overrides this."""
        raise NotImplementedError


def _conversion(node: s.Node, wanted: Type, found: Type) -> str | None:
    """How a value of one type is made of one of another."""
    match wanted, found:
        case Int(), Rat():
            return "floor(…) makes an int of a rat"
        case Int() | Rat(), Bool():
            return "if … then 1 else 0"
        case Int() | Rat(), Enum():
            return "ord(…) is the number of a member"
        case Enum(name, members), Int():
            if isinstance(node, s.IntLit) and 0 <= node.value < len(members):
                return f"{name}({node.value}) is {members[node.value]}"
            return f"{name}(…) is the member with that number"
        case Enum(), _:
            return _list_members(wanted)
        case Bool(), Int() | Rat():
            return "a test compares: … > 0"
        case Bool(), Enum(_, members):
            return f"a test compares: … == {members[0]}"
        case _:
            return None


def _list_members(enum: Enum) -> str:
    shown = ", ".join(enum.members[:8])
    return f"the members of {enum.name}: {shown}{', …' if len(enum.members) > 8 else ''}"


_PATTERNS = (s.BoolLit, s.IntLit, s.RatLit, s.Name, s.Member)

UNKNOWN = Array(0, None, Bool())
"""Stands for the type of a local name whose definition has a reported fault."""

_Rule: TypeAlias = Callable[[Typer, s.Call, LocalTypes], Type | None]
_BUILT_IN_TYPES: Mapping[str, tuple[int, int, _Rule]] = {
    "min": (2, 10_000, Typer._numbers),
    "max": (2, 10_000, Typer._numbers),
    "abs": (1, 1, Typer._numbers),
    "clamp": (3, 3, Typer._numbers),
    "floor": (1, 1, Typer._floor),
    "ord": (1, 1, Typer._ord),
}

_CASES: Mapping[type[s.Node], Callable[[Typer, Any, LocalTypes], Type | None]] = {
    s.BoolLit: lambda *_: Bool(),
    s.IntLit: Typer._int_literal,
    s.RatLit: Typer._rat_literal,
    s.Name: Typer._name,
    s.Primed: Typer._primed,
    s.Member: Typer._member,
    s.Unary: Typer._unary,
    s.Binary: Typer._binary,
    s.Compare: Typer._compare,
    s.If: Typer._if,
    s.Let: Typer._let,
    s.Match: Typer._match,
    s.Call: Typer._call,
    s.Index: Typer._index,
    s.ArrayLit: Typer._array,
    s.ArrayFor: Typer._array_for,
}
