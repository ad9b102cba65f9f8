"""Types of expressions, and every fault of name or type in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fractions import Fraction
from typing import Any, TypeAlias, TypeVar

from dsl import syntax as s
from dsl.errors import Diagnostic, DslError
from dsl.flow import literals_last, parts_of, takes_bits
from dsl.habits import CATCH_ALL, FOREIGN_FUNCTIONS, OVER_ARRAYS, over_array
from dsl.interp import BITS_FUNCTIONS, BUILT_INS, NUMBER_BITS_MAX, number_bits
from dsl.span import NO_SPAN, Span, span_of_name
from dsl.types import (
    ELEMENTS_MAX,
    Array,
    Bits,
    Bool,
    Enum,
    Int,
    Rat,
    Type,
    Variable,
    elements,
    fits,
    join,
    scalar,
    show_type,
    with_scalar,
    without_ranges,
)

LocalTypes: TypeAlias = Mapping[str, Type]
_T = TypeVar("_T")


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
        if name in BUILT_INS or name in BITS_FUNCTIONS:
            return "a built-in function"
        if name in self.signatures:
            return "a def"
        return self.words.get(name) or ("a variable" if name in self.types else None)


FAULTS_MAX = 100
"""How many faults of a machine are reported at once."""

_NEAR_MAX = 1_000
"""Among how many names the nearest one is looked for."""


class Faults:
    """Collects diagnostics; raises DslError with all of them once they are FAULTS_MAX, unless it is `silent`."""

    def __init__(self, *, silent: bool = False) -> None:
        self.found: list[Diagnostic] = []
        self.silent = silent

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
            if len(self.found) < FAULTS_MAX:
                self.found.append(diagnostic)
            if len(self.found) >= FAULTS_MAX and not self.silent:
                raise DslError(tuple(self.found))


class Typer:
    """Infers types; None stands for a type that a reported fault has made unknown.

    An integer literal is an `int` unless its context asks for bits: what is written beside it (the other operand, branch,
    entry), or else the type that the whole expression must have. `asked` hands these bits down.
    """

    def __init__(self, scope: Scope, faults: Faults) -> None:
        self.scope, self.faults = scope, faults
        self.quiet = False

    def infer(
        self, expr: s.Expr, local: LocalTypes | None = None, asked: Bits | None = None
    ) -> Type | None:
        """The type of an expression, ranges dropped."""
        return _CASES[type(expr)](self, expr, local or {}, asked)

    def kind_of(self, expr: s.Expr, local: LocalTypes) -> Type | None:
        """The type of a part of a checked tree, elaborated or not; reports nothing."""
        return self._quietly(lambda: self.infer(expr, local))

    def _quietly(self, ask: Callable[[], _T]) -> _T:
        """An answer while faults go unreported and trees may be elaborated."""
        faults, quiet = self.faults, self.quiet
        self.faults, self.quiet = Faults(silent=True), True
        try:
            return ask()
        finally:
            self.faults, self.quiet = faults, quiet

    def expect(
        self, expr: s.Expr, wanted: Type, local: LocalTypes | None = None, what: str = "this"
    ) -> bool:
        """Report where an expression does not fit a type; says whether it does."""
        found = self.infer(expr, local, bits_in(wanted))
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
        code, hint = _mixed(wanted, found) or ("G009", _conversion(node, wanted, found))
        self.faults.add(code, message, node, help=hint)

    def declare(self, name: str, local: LocalTypes, where: s.Node, index: int = 0) -> None:
        """Report a local name that is already taken; `index` says which of the node's names it is."""
        taken = "a local value" if name in local else self.scope.declared(name)
        if taken:
            self.faults.add("G007", f"{name} is already the name of {taken}", where, name=index)

    def infer_dist(self, dist: s.Dist, wanted: Type, local: LocalTypes) -> None:
        """Check the values and weights of a distribution."""
        match dist:
            case s.DistMap(entries):
                self._entries(entries, wanted, local)
            case s.DistFor(var, low, high, entry):
                self.declare(var, local, dist)
                if self._ends(low, high, local):
                    self.constant_range(low, high, dist)
                self._entries((entry,), wanted, {**local, var: Int()})
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

    def _entries(self, entries: tuple[s.Weighted, ...], wanted: Type, local: LocalTypes) -> None:
        """Check entries; those that would be in order the other way round are one fault together."""
        turned: list[s.Weighted] = []
        for entry in entries:
            value = self.infer(entry.value, local, bits_in(wanted))
            weight = self.infer(entry.weight, local)
            misfit = value is not None and wanted is not UNKNOWN and not fits(value, wanted)
            if misfit and isinstance(value, (Int, Rat)) and weight and fits(weight, wanted):
                turned.append(entry)
                continue
            if misfit and value is not None:
                self.mismatch(entry.value, wanted, value, "a value drawn here")
            if weight is not None and not fits(weight, Rat()):
                self.mismatch(entry.weight, Rat(), weight, "a weight")
        if turned:
            hint = "first the value, then its weight: { value: weight, … }"
            self.faults.add("G009", "the weight stands first here", turned[0], help=hint)

    def _ends(self, low: s.Expr, high: s.Expr, local: LocalTypes) -> bool:
        what = "the end of a range"
        return all([self.constant(end, Int(), what, local) for end in (low, high)])

    def constant(
        self, expr: s.Expr, wanted: Type, what: str, local: LocalTypes | None = None
    ) -> bool:
        """Report an expression that is not constant or does not fit; says whether it is in order."""
        for node in s.walk(expr):
            if isinstance(node, s.Primed) or (
                isinstance(node, s.Name)
                and (
                    (node.name in self.scope.types and node.name not in self.scope.constants)
                    or (local is not None and node.name in local)
                )
            ):
                self.faults.add("G021", f"{what} must be constant, {node.name} is not", node)
                return False
        return self.expect(expr, wanted, {}, what)

    def constant_width(self, width: s.Expr) -> int | None:
        """The constant width of some bits; the checker that owns the constants overrides this."""
        raise NotImplementedError

    def joint_scalar(self, expr: s.Expr, local: LocalTypes) -> Bits | Rat | None:
        """The bits or rationals that an expression is made of; None where it is made of neither.

        Reads the names, calls and conversions whose values may become the value of the expression, and nothing else.
        """
        found: Bits | Rat | None = None
        match expr:
            case s.Name(name) | s.Primed(name):
                key = name + "'" if isinstance(expr, s.Primed) else name
                kind = local.get(key) or self.scope.types.get(key)
                return None if kind is None else _joining(kind)
            case s.RatLit() | s.Binary("/"):
                return Rat()
            case s.Resize(_, width):
                bits = self._quietly(lambda: self.constant_width(width))
                return None if bits is None else Bits(bits)
            case s.BitsOp():
                return _joining(_bits_op_type(expr))
            case s.Call(name) if name in self.scope.signatures:
                return _joining(self.scope.signatures[name].result)
            case s.Let(name, value):
                local = {**local, name: self.joint_scalar(value, local) or Int()}
            case s.Fold(acc, _, var):
                local = {**local, acc: Int(), var: Int()}
            case s.ArrayFor(var):
                local = {**local, var: Int()}
            case _:
                pass
        grid = s.grid_of(expr)
        parts = parts_of(expr) if grid is None else _different(grid)
        for part in parts:
            kind = self.joint_scalar(part, local)
            if isinstance(kind, Bits):
                return kind
            found = found or kind
        return found

    def _bind(self, name: str, value: s.Expr, local: LocalTypes, where: s.Node) -> dict[str, Type]:
        self.declare(name, local, where)
        kind = self.infer(value, local)
        return {**local, name: kind if kind is not None else UNKNOWN}

    # --- one method a node -----------------------------------------------------------------------

    def _bool_literal(self, expr: s.BoolLit, local: LocalTypes, asked: Bits | None) -> Type | None:
        return Bool()

    def _int_literal(self, expr: s.IntLit, local: LocalTypes, asked: Bits | None) -> Type | None:
        value = expr.value
        if type(value) is not int or number_bits(value) > NUMBER_BITS_MAX:
            message = f"a literal that is no integer of at most {NUMBER_BITS_MAX:,} bits"
            self.faults.add("G019", message, expr)
            return None
        if asked is None:
            return Int()
        if not 0 <= value < 1 << asked.width:
            shown, rest = show_type(asked), value % (1 << asked.width)
            message = f"{value} does not fit {shown}, which holds 0..{(1 << asked.width) - 1}"
            self.faults.add("G032", message, expr, help=f"{shown}({value}) is {rest}")
            return None
        return asked

    def _rat_literal(self, expr: s.RatLit, local: LocalTypes, asked: Bits | None) -> Type | None:
        if type(expr.value) is not Fraction or number_bits(expr.value) > NUMBER_BITS_MAX:
            message = f"a literal that is no rational of at most {NUMBER_BITS_MAX:,} bits"
            self.faults.add("G019", message, expr)
            return None
        return Rat()

    def _name(self, expr: s.Name, local: LocalTypes, asked: Bits | None) -> Type | None:
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
        elif name in scope.signatures or name in BUILT_INS or name in BITS_FUNCTIONS:
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
        hint: str | None = None,
    ) -> str | None:
        """Report an unknown name, with a hint or the nearest known one, which is returned."""
        near = nearest(name, known)
        hint = hint or (f"did you mean {near}?" if near else None)
        self.faults.add("G006", f"unknown {what} {name}", where, name=index, help=hint)
        return near

    def _primed(self, expr: s.Primed, local: LocalTypes, asked: Bits | None) -> Type | None:
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

    def _member(self, expr: s.Member, local: LocalTypes, asked: Bits | None) -> Type | None:
        enum = self.scope.enums.get(expr.enum)
        if enum is None:
            if expr.enum in local or expr.enum in self.scope.types:
                hint = "only the name of an enum is followed by a point and a member"
                self.unknown(expr.enum, expr, (), "enum", hint=hint)
            elif expr.enum not in self.scope.faulty:
                self.unknown(expr.enum, expr, self.scope.enums, "enum")
        elif expr.member not in enum.members:
            if expr.member not in self.scope.faulty:
                near = nearest(expr.member, enum.members)
                hint = f"did you mean {near}?" if near else _list_members(enum)
                message = f"{enum.name} has no member {expr.member}"
                self.faults.add("G006", message, expr, help=hint)
        else:
            return enum
        return None

    def _unary(self, expr: s.Unary, local: LocalTypes, asked: Bits | None) -> Type | None:
        if expr.op == "not":
            self._test(self.infer(expr.operand, local), expr.operand, "the operand of not", "~")
            return Bool()
        kind = self.infer(expr.operand, local, asked)
        if expr.op == "~":
            return self._bits(kind, expr.operand, "the operand of ~")
        return self._number(kind, expr.operand, "the operand of -", bits=True)

    def _number(
        self, kind: Type | None, operand: s.Expr, what: str, *, bits: bool = False
    ) -> Type | None:
        """The type of an operand, or None where it is no number (nor bits, where these will do)."""
        if kind is None or isinstance(kind, (Int, Rat)) or (bits and isinstance(kind, Bits)):
            return kind
        hint = _conversion(operand, Rat(), kind)
        code = "G035" if isinstance(kind, Bits) else "G009"
        self.faults.add(
            code, f"{what} must be a number, found {show_type(kind)}", operand, help=hint
        )
        return None

    def _bits(
        self, kind: Type | None, operand: s.Expr, what: str, like: Type | None = None
    ) -> Bits | None:
        """The type of an operand, or None where it is not bits; `like` is the type of what stands beside it."""
        if kind is None or isinstance(kind, Bits):
            return kind
        width = like.width if isinstance(like, Bits) else 8
        if isinstance(kind, Int) and takes_bits(operand):
            self._no_width(f"{what} has", operand, width)
            return None
        code = "G035" if isinstance(kind, (Int, Rat)) else "G009"
        hint = _conversion(operand, Bits(width), kind)
        self.faults.add(code, f"{what} must be bits, found {show_type(kind)}", operand, help=hint)
        return None

    def _no_width(self, which: str, where: s.Expr, width: int = 8, hint: str | None = None) -> None:
        message = f"nothing says how many bits {which}"
        self.faults.add("G036", message, where, help=hint or f"give the width: bits[{width}](…)")

    def _binary(self, expr: s.Binary, local: LocalTypes, asked: Bits | None) -> Type | None:
        op = expr.op
        if op in _LOGIC:
            tests = self.infer(expr.left, local), self.infer(expr.right, local)
            self._join_tests(expr, tests)
            return Bool()
        if op in ("<<", ">>"):
            shifted = self.infer(expr.left, local, asked)
            return self._shift(shifted, expr.left, expr.right, local, op)
        kinds: list[Type | None] = [None, None]
        for i, operand in literals_last((expr.left, expr.right)):
            kinds[i] = self.infer(operand, local, asked)
            asked = _beside(kinds[i], asked)
        left, right = kinds
        if op in _SIGNED:
            return self._division(expr, left, right)
        sides = f"the left side of {op}", f"the right side of {op}"
        if op in ("&", "|", "^"):
            return self._two(expr, kinds, (expr.left, expr.right), sides, op)
        first = self._number(left, expr.left, sides[0], bits=True)
        second = self._number(right, expr.right, sides[1], bits=True)
        return self._agree(first, second, expr.right, f"the sides of {op}")

    def _join_tests(self, expr: s.Binary, kinds: tuple[Type | None, Type | None]) -> None:
        """Report what is no test beside and, or, implies; bits on both sides are one fault."""
        bits = [isinstance(kind, Bits) for kind in kinds]
        sides = expr.left, expr.right
        if any(bits) and all(b or takes_bits(side) for b, side in zip(bits, sides, strict=True)):
            shown = next(show_type(kind) for kind in kinds if isinstance(kind, Bits))
            a, b = _short(sides[0], "a"), _short(sides[1], "b")
            hint = f"bit by bit it is {a} {_LOGIC[expr.op]} {b}" if _LOGIC[expr.op] else None
            self.faults.add("G009", f"{expr.op} joins tests, found {shown}", expr, help=hint)
            return
        for kind, side, which in zip(kinds, sides, ("left", "right"), strict=True):
            self._test(kind, side, f"the {which} side of {expr.op}")

    def _test(self, kind: Type | None, expr: s.Expr, what: str, on_bits: str = "") -> None:
        if kind is None or isinstance(kind, Bool):
            return
        if on_bits and isinstance(kind, Bits):
            message = f"{what} must be bool, found {show_type(kind)}"
            self.faults.add(
                "G009", message, expr, help=f"bit by bit it is {on_bits}{_short(expr, '…')}"
            )
            return
        self.mismatch(expr, Bool(), kind, what)

    def _two(
        self,
        expr: s.Expr,
        kinds: list[Type | None],
        operands: tuple[s.Expr, ...],
        sides: tuple[str, str],
        op: str,
    ) -> Type | None:
        """The joint type of two operands that must be bits; of literals, what stands beside them says what is wrong."""
        if all(isinstance(kind, Bool) for kind in kinds) and op in _OF_TESTS:
            message = f"{op} joins bits, found bool"
            self.faults.add("G009", message, expr, help=f"of tests it is {_OF_TESTS[op]}")
            return None
        pairs = zip(kinds, operands, strict=True)
        literal = [isinstance(kind, Int) and takes_bits(operand) for kind, operand in pairs]
        if op == "^" and all(isinstance(kind, (Int, Rat)) for kind in kinds) and not all(literal):
            message = "^ is exclusive or of bits, found numbers"
            self.faults.add("G035", message, expr, help=_NO_POWER)
            return None
        if all(literal):
            self._no_width(f"{op} takes", expr, hint=_NO_POWER if op == "^" else None)
            return None
        found: list[Type | None] = [None, None]
        for i in (0, 1):
            if not literal[i]:
                found[i] = self._bits(kinds[i], operands[i], sides[i], kinds[1 - i])
        which = "sides" if isinstance(expr, s.Binary) else "arguments"
        return self._agree(found[0], found[1], operands[1], f"the {which} of {op}")

    def _agree(
        self, left: Type | None, right: Type | None, where: s.Node, what: str
    ) -> Type | None:
        if left is None or right is None:
            return None
        found = join(left, right)
        if found is None:
            hint = "a test of bits is … != 0" if {type(left), type(right)} == {Bits, Bool} else None
            code, hint = _mixed(left, right) or ("G009", hint)
            both = f"{show_type(left)} and {show_type(right)}"
            message = f"{what} must agree, found {both}" if what else f"{both} cannot be compared"
            self.faults.add(code, message, where, help=hint)
        return found

    def _division(self, expr: s.Binary, left: Type | None, right: Type | None) -> Type | None:
        op = expr.op
        if isinstance(left, Bits) or isinstance(right, Bits):
            message = f"{op} does not say whether its bits have a sign"
            unsigned, signed = _SIGNED[op]
            both = f"{_short(expr.left, 'a')}, {_short(expr.right, 'b')}"
            hint = f"{unsigned}({both}) divides without a sign, {signed}({both}) with one"
            self.faults.add("G034", message, expr, help=hint)
            return None
        sides = (
            (left, expr.left, f"the left side of {op}"),
            (
                right,
                expr.right,
                f"the right side of {op}",
            ),
        )
        if op == "/":
            found = [self._number(*side) for side in sides]
            return None if None in found else Rat()
        for kind, operand, what in sides:
            if kind is not None and not fits(kind, Int()):
                self.mismatch(operand, Int(), kind, what)
        return Int()

    def _shift(
        self, kind: Type | None, left: s.Expr, amount: s.Expr, local: LocalTypes, op: str
    ) -> Type | None:
        by = self.infer(amount, local)
        if by is not None and not isinstance(by, (Int, Bits)):
            message = f"the amount of {op} must be an int or bits, found {show_type(by)}"
            self.faults.add("G009", message, amount, help=_conversion(amount, Int(), by))
        side = "first argument" if op == "ashr" else "left side"
        return self._bits(kind, left, f"the {side} of {op}")

    def _compare(self, expr: s.Compare, local: LocalTypes, asked: Bits | None) -> Type | None:
        asked, operands = None, expr.operands
        kinds: list[Type | None] = [None] * len(operands)
        for i, operand in literals_last(operands):
            kinds[i] = self.infer(operand, local, asked)
            asked = _beside(kinds[i], asked)
        for i, op in enumerate(expr.ops):
            left, right = kinds[i], kinds[i + 1]
            if left is None or right is None:
                continue
            if op in ("==", "!="):
                self._agree(left, right, expr.operands[i + 1], "")
            elif isinstance(left, Bits) or isinstance(right, Bits):
                self._unsigned(op, expr.operands[i], expr.operands[i + 1])
            else:
                self._ordered(op, left, expr.operands[i])
                self._ordered(op, right, expr.operands[i + 1])
        return Bool()

    def _ordered(self, op: str, kind: Type, operand: s.Expr) -> None:
        if not isinstance(kind, (Int, Rat)):
            hint = "ord(…) is the number of a member" if isinstance(kind, Enum) else None
            message = f"{op} compares numbers, found {show_type(kind)}"
            self.faults.add("G009", message, operand, help=hint)

    def _unsigned(self, op: str, left: s.Expr, right: s.Expr) -> None:
        """Report a comparison of bits that does not say how they are read."""
        name = "le" if "=" in op else "lt"
        shown = [_short(left, "a"), _short(right, "b")]
        order = ", ".join(reversed(shown) if ">" in op else shown)
        span = left.span.to(right.span) if left.span != NO_SPAN else NO_SPAN
        message = f"{op} does not say whether its bits have a sign"
        hint = f"u{name}({order}) compares without a sign, s{name}({order}) with one"
        self.faults.add("G033", message, span, help=hint)

    def _if(self, expr: s.If, local: LocalTypes, asked: Bits | None) -> Type | None:
        self.expect(expr.test, Bool(), local, "a test")
        return self._joined((expr.then, expr.otherwise), local, "the branches of if", asked)

    def _joined(
        self, bodies: tuple[s.Expr, ...], local: LocalTypes, what: str, asked: Bits | None
    ) -> Type | None:
        kinds: list[Type | None] = [None] * len(bodies)
        for i, body in literals_last(bodies):
            kinds[i] = self.infer(body, local, asked)
            asked = _beside(kinds[i], asked)
        joint: Type | None = None
        for kind, body in zip(kinds, bodies, strict=True):
            if kind is None:
                return None
            joint = kind if joint is None else self._agree(joint, kind, body, what)
            if joint is None:
                return None
        return joint

    def _let(self, expr: s.Let, local: LocalTypes, asked: Bits | None) -> Type | None:
        return self.infer(expr.body, self._bind(expr.name, expr.value, local, expr), asked)

    def _match(self, expr: s.Match, local: LocalTypes, asked: Bits | None) -> Type | None:
        self._patterns(expr.subject, expr.arms, expr.otherwise is not None, local, expr)
        bodies = [arm.body for arm in expr.arms]
        if expr.otherwise is not None:
            bodies.append(expr.otherwise)
        return self._joined(tuple(bodies), local, "the arms of match", asked)

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
            if isinstance(pattern, s.Name) and pattern.name in CATCH_ALL:
                if pattern.name not in {*self.scope.types, *self.scope.members, *self.scope.faulty}:
                    self.unknown(pattern.name, pattern, (), hint="all the rest is else: …")
                    continue
            found = self.infer(pattern, None, None if kind is None else bits_in(kind))
            if kind is not None and found is not None and join(kind, found) is None:
                message = f"a pattern must be {show_type(kind)}, found {show_type(found)}"
                code, hint = _mixed(kind, found) or ("G009", None)
                if isinstance(kind, Enum):
                    hint = _list_members(kind)
                self.faults.add(code, message, pattern, help=hint)
            key = type(pattern), getattr(pattern, "value", None), getattr(pattern, "name", pattern)
            if key in seen:
                self.faults.add("G026", "this pattern stands twice", pattern)
            seen[key] = pattern

    def _call(self, expr: s.Call, local: LocalTypes, asked: Bits | None) -> Type | None:
        name, args = expr.name, expr.args
        if name in _BUILT_IN_TYPES:
            low, high, rule = _BUILT_IN_TYPES[name]
            if not low <= len(args) <= high:
                wanted = f"{low}" if low == high else f"{low} or more"
                self._arguments(expr, wanted, self._elsewhere(expr, local))
                return None
            return rule(self, expr, local, asked)
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
                kind = local.get(name) or self.scope.types.get(name)
                hint = f"{name}[…]" if isinstance(kind, Array) and kind is not UNKNOWN else None
                self.faults.add("G010", f"{name} is not a function", expr, name=0, help=hint)
            elif name in self.scope.faulty:
                pass
            elif name in self.scope.hidden:
                message = f"{name} cannot be read here: {self.scope.hidden[name]}"
                self.faults.add("G011", message, expr, name=0)
            else:
                known = [*self.scope.signatures, *_BUILT_IN_TYPES, *self.scope.enums]
                hint = self._elsewhere(expr, local)
                self.unknown(name, expr, known, "function", index=0, hint=hint)
            return None
        if len(args) != len(signature.parameters):
            self._arguments(expr, str(len(signature.parameters)))
        for parameter, arg in zip(signature.parameters, args, strict=False):
            self.expect(arg, parameter.type, local, f"{parameter.name} of {name}")
        return without_ranges(signature.result)

    def _elsewhere(self, call: s.Call, local: LocalTypes) -> str | None:
        """How that is said here which a function of this name does in other languages."""
        if not self.quiet and call.name in OVER_ARRAYS and len(call.args) == 1:
            kind = self.kind_of(call.args[0], local)
            if isinstance(kind, Array):
                index = kind.index.name if kind.index else None
                return over_array(call.name, _short(call.args[0], "a"), kind.length, index)
        return FOREIGN_FUNCTIONS.get(call.name)

    def _arguments(self, expr: s.Call, wanted: str, hint: str | None = None) -> None:
        plural = "" if wanted == "1" else "s"
        message = f"{expr.name} takes {wanted} argument{plural}, found {len(expr.args)}"
        self.faults.add("G010", message, expr, help=hint)

    def _numbers(self, expr: s.Call, local: LocalTypes, asked: Bits | None) -> Type | None:
        kinds: list[Type | None] = []
        for arg in expr.args:  # no comprehension: its frame would count where calls nest deeply
            kinds.append(self.infer(arg, local))
        what = f"an argument of {expr.name}"
        kinds = [self._number(k, arg, what) for k, arg in zip(kinds, expr.args, strict=True)]
        if any(k is None for k in kinds):
            return None
        return Rat() if any(isinstance(k, Rat) for k in kinds) else Int()

    def _floor(self, expr: s.Call, local: LocalTypes, asked: Bits | None) -> Type | None:
        self.expect(expr.args[0], Rat(), local, "the argument of floor")
        return Int()

    def _ord(self, expr: s.Call, local: LocalTypes, asked: Bits | None) -> Type | None:
        kind = self.infer(expr.args[0], local)
        if kind is not None and not isinstance(kind, Enum):
            message = f"ord takes a member of an enum, found {show_type(kind)}"
            self.faults.add("G009", message, expr.args[0])
        return Int()

    def _read_bits(self, expr: s.Call, local: LocalTypes, asked: Bits | None) -> Type | None:
        operand = expr.args[0]
        kind = self.infer(operand, local)
        if isinstance(kind, (Int, Rat)):
            message = f"{expr.name} reads bits as a number, found {show_type(kind)}"
            whole = isinstance(kind, Int)
            hint = "it is an int already" if whole else "floor(…) makes an int of a rat"
            self.faults.add("G009", message, operand, help=hint)
        else:
            self._bits(kind, operand, f"the argument of {expr.name}")
        return Int()

    def _two_bits(self, expr: s.Call, local: LocalTypes, asked: Bits | None) -> Type | None:
        kinds: list[Type | None] = [None, None]
        for i, operand in literals_last(expr.args):
            kinds[i] = self.infer(operand, local, asked)
            asked = _beside(kinds[i], asked)
        sides = f"the first argument of {expr.name}", f"the second argument of {expr.name}"
        return self._two(expr, kinds, expr.args, sides, expr.name)

    def _compare_bits(self, expr: s.Call, local: LocalTypes, asked: Bits | None) -> Type | None:
        self._two_bits(expr, local, None)
        return Bool()

    def _ashr(self, expr: s.Call, local: LocalTypes, asked: Bits | None) -> Type | None:
        kind = self.infer(expr.args[0], local, asked)
        return self._shift(kind, expr.args[0], expr.args[1], local, "ashr")

    def _resize(self, expr: s.Resize, local: LocalTypes, asked: Bits | None) -> Type | None:
        width = self.constant_width(expr.width)
        kind = self.infer(expr.operand, local)
        if expr.word == "sext":
            self._bits(kind, expr.operand, "the argument of sext")
        elif kind is not None and not isinstance(kind, (Int, Bits)):
            message = f"bits[…](…) takes bits or an int, found {show_type(kind)}"
            hint = _conversion(expr.operand, Int(), kind)
            self.faults.add("G009", message, expr.operand, help=hint)
        return None if width is None else Bits(width)

    def _bits_op(self, expr: s.BitsOp, local: LocalTypes, asked: Bits | None) -> Type | None:
        if self.quiet:
            return _bits_op_type(expr)
        self.faults.add("G009", f"{expr.op} with a width of its own cannot be written", expr)
        return None

    def _index(self, expr: s.Index, local: LocalTypes, asked: Bits | None) -> Type | None:
        array, index = self.infer(expr.array, local, asked), self.infer(expr.index, local)
        if array is None:
            return None
        if not isinstance(array, Array):
            message = f"only arrays have an index, found {show_type(array)}"
            bit = "bit i of x is x >> i & 1" if isinstance(array, Bits) else None
            self.faults.add("G009", message, expr.array, help=bit)
            return None
        self._fits_index(array, index, expr.index)
        return array.item

    def _fits_index(self, array: Array, found: Type | None, index: s.Expr) -> None:
        wanted: Type = array.index or Int()
        if found is not None and not fits(found, wanted):
            self.mismatch(index, wanted, found, "the index")

    def _array(self, expr: s.ArrayLit, local: LocalTypes, asked: Bits | None) -> Type | None:
        grid = s.grid_of(expr)
        if grid is None:
            item = self._joined(expr.items, local, "the entries of an array", asked)
            return None if item is None else self._bounded(len(expr.items), item, expr)
        item = self._scalar_of(grid, local, asked)
        for length in reversed(grid.shape[1:]):
            item = None if item is None else Array(length, None, item)
        if item is None or elements(item) > ELEMENTS_MAX:
            item = self._joined_table(expr, grid, local, asked)
        return None if item is None else self._bounded(grid.shape[0], item, expr)

    def _scalar_of(self, grid: s.Grid, local: LocalTypes, asked: Bits | None) -> Type | None:
        """The joint type of the entries of a table, seen all at once; None where one of them may have a fault.

        Entries that are not integers say what integers are, the context only where there are none.
        """
        classes = grid.classes
        kinds: list[Type | None] = [Bool()] if bool in classes else []
        if not classes <= _ENTRIES or grid.width is not None or not _are_short(grid):
            return None
        if Fraction in classes:
            kinds.append(Rat())
        if str in classes or tuple in classes:
            known = {v for v in grid.values if type(v) in (str, tuple)}
            kinds += [self._kind_of_word(word, local) for word in known]
        if int in classes:
            asked = bits_in(kinds[0]) if kinds else asked
            if asked is not None and not _fit(grid.values, asked):
                return None
            kinds.append(asked or Int())
        joint = kinds[0]
        for kind in kinds[1:]:
            joint = None if joint is None or kind is None else join(joint, kind)
        return joint

    def _kind_of_word(self, word: Any, local: LocalTypes) -> Type | None:
        """The type of a name or member, ranges dropped; None where it has a fault or none."""
        if type(word) is tuple:
            enum = self.scope.enums.get(word[0])
            return enum if enum is not None and word[1] in enum.members else None
        kind = local.get(word) or self.scope.types.get(word)
        if kind is not None:
            return None if kind is UNKNOWN else without_ranges(kind)
        owners = self.scope.members.get(word, [])
        return owners[0] if len(owners) == 1 else None

    def _joined_table(
        self, expr: s.ArrayLit, grid: s.Grid, local: LocalTypes, asked: Bits | None
    ) -> Type | None:
        """What `_joined` makes of the items; of those that are alike and in order, only the first is looked at."""
        count = grid.shape[0]
        each = len(grid.values) // count
        keys = [grid.values[i : i + each] for i in range(0, len(grid.values), each)]
        classes = [tuple(map(type, key)) for key in keys]
        literal = [set(kinds) == {int} and grid.width is None for kinds in classes]
        order = [i for i in range(count) if not literal[i]]
        order += [i for i in range(count) if literal[i]]
        kinds: list[Type | None] = [None] * count
        met: dict[Any, Type | None] = {}
        short = _are_short(grid)
        joint: Type | None = None
        before: Type | None = None
        for i in order:
            fits_in = short and (asked is None or _fit(keys[i], asked))
            # of literals that fit in, none has another type than the next
            key = () if fits_in and _LITERALS.issuperset(classes[i]) else keys[i], classes[i], asked
            if key in met:
                kinds[i] = met[key]
            else:
                told = len(self.faults.found)
                kinds[i] = self.infer(s.item_of(expr, i), local, asked)
                if len(self.faults.found) == told:
                    met[key] = kinds[i]
            if kinds[i] is not before:
                before = kinds[i]
                asked = _beside(before, asked)
        joint = before = None
        for i, kind in enumerate(kinds):
            if kind is None:
                return None
            if kind is before:
                continue
            before = kind
            if joint is None or kind != joint:
                what = "the entries of an array"
                where = s.item_of(expr, i)
                joint = kind if joint is None else self._agree(joint, kind, where, what)
            if joint is None:
                return None
        return joint

    def _array_for(self, expr: s.ArrayFor, local: LocalTypes, asked: Bits | None) -> Type | None:
        self.declare(expr.var, local, expr)
        constant = self._ends(expr.low, expr.high, local)
        item = self.infer(expr.body, {**local, expr.var: Int()}, asked)
        if item is None or not constant:
            return None
        length = self.constant_range(expr.low, expr.high, expr)
        return None if length is None else self._bounded(length, item, expr)

    def _with(self, expr: s.With, local: LocalTypes, asked: Bits | None) -> Type | None:
        if takes_bits(expr.array):
            found = self.joint_scalar(expr, local)
            asked = found if isinstance(found, Bits) else asked
        array = self.infer(expr.array, local, asked)
        if array is not None and not isinstance(array, Array):
            message = f"with makes an updated copy of an array, found {show_type(array)}"
            self.faults.add("G039", message, expr.array)
        for change in expr.changes:
            index = self.infer(change.index, local)
            if isinstance(array, Array):
                self._fits_index(array, index, change.index)
                self.expect(change.value, array.item, local, "an entry of this array")
            else:
                self.infer(change.value, local)
        return array if isinstance(array, Array) else None

    def _fold(self, expr: s.Fold, local: LocalTypes, asked: Bits | None) -> Type | None:
        self.declare(expr.acc, local, expr)
        inner: dict[str, Type] = {**local, expr.acc: UNKNOWN}
        self.declare(expr.var, inner, expr, 1)
        constant = self._ends(expr.low, expr.high, local)
        found = self.joint_scalar(expr, local)
        asked = found if isinstance(found, Bits) else asked
        start = self.infer(expr.start, local, asked)
        if start is not None:
            if isinstance(found, Rat) and isinstance(scalar(start), Int):
                start = with_scalar(start, Rat())
            inner[expr.acc] = start
        body = self.infer(expr.body, {**inner, expr.var: Int()}, asked)
        if constant and self.constant_range(expr.low, expr.high, expr) is None:
            return None
        if start is None or body is None:
            return None
        if not fits(body, start):
            message = (
                f"{expr.acc} begins as {show_type(start)} and a turn makes it {show_type(body)}"
            )
            hint = (_mixed(start, body) or ("", _conversion(expr.body, start, body)))[1]
            self.faults.add("G038", message, expr.body, help=hint)
            return None
        return start

    def _quantifier(self, expr: s.Quantifier, local: LocalTypes, asked: Bits | None) -> Type | None:
        self.declare(expr.var, local, expr)
        constant = self._ends(expr.low, expr.high, local)
        inner = {**local, expr.var: Int()}
        self.expect(expr.body, Bool(), inner, f"what {expr.word} says")
        if constant:
            self.constant_range(expr.low, expr.high, expr)
        return Bool()

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


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like one; None where none does or there are very many."""
    names = list(known)
    return (
        next(iter(get_close_matches(name, names, n=1)), None) if len(names) <= _NEAR_MAX else None
    )


def bits_in(kind: Type | None) -> Bits | None:
    """The bits that values of a type are made of, if any."""
    found = None if kind is None else scalar(kind)
    return found if isinstance(found, Bits) else None


def _beside(kind: Type | None, asked: Bits | None) -> Bits | None:
    """What a literal is asked to be beside something of a type; where that has a fault, what the context asks for."""
    return asked if kind is None else bits_in(kind)


def _short(expr: s.Expr, otherwise: str) -> str:
    """A name or literal as it is written; a letter for anything longer."""
    match expr:
        case s.Name(name):
            return name
        case s.IntLit(value, text):
            return text or str(value)
        case _:
            return otherwise


def _joining(kind: Type) -> Bits | Rat | None:
    found = scalar(kind)
    if isinstance(found, Rat):
        return Rat()
    return found if isinstance(found, Bits) else None


def _bits_op_type(expr: s.BitsOp) -> Type:
    """What an elaborated operation on bits gives."""
    if expr.op in ("int", "sint"):
        return Int()
    if expr.op in ("ult", "ule", "slt", "sle"):
        return Bool()
    if expr.op == "sext" and isinstance(expr.args[1], s.IntLit):
        return Bits(expr.args[1].value)
    return Bits(expr.width)


def _mixed(wanted: Type, found: Type) -> tuple[str, str | None] | None:
    """The code and the hint where bits meet numbers, or bits of another width; else None."""
    match scalar(wanted), scalar(found):
        case Bits(width), Bits(other) if width != other:
            hint = f"bits[{width}](…) cuts or fills with zeros, sext[{width}](…) with the sign"
            return "G037", hint
        case (Bits(), Int() | Rat()) | (Int() | Rat(), Bits()):
            return "G035", _conversion(s.BoolLit(True), scalar(wanted), scalar(found))
        case _:
            return None


_LITERALS = frozenset((int, bool, Fraction))
_ENTRIES = _LITERALS | {str, tuple}
"""The classes of the values of a `Grid`."""


def _are_short(grid: s.Grid) -> bool:
    """Whether no number of a table is longer than numbers may be."""
    parts = [v for v in grid.values if type(v) is int]
    if Fraction in grid.classes:
        # entries that are spelled alike are one object
        ratios = {id(v): v for v in grid.values if type(v) is Fraction}.values()
        parts += [v.numerator for v in ratios]
        parts += [v.denominator for v in ratios]
    if not parts:
        return True
    return max(number_bits(min(parts)), number_bits(max(parts))) <= NUMBER_BITS_MAX


def _fit(entries: tuple[Any, ...], asked: Bits) -> bool:
    """Whether the integers among the entries of a table are bits of this width."""
    whole = [v for v in entries if type(v) is int]
    return not whole or (min(whole) >= 0 and max(whole) < 1 << asked.width)


def _different(grid: s.Grid) -> tuple[s.Expr, ...]:
    """The entries of a table that differ and may say what it is made of, in order of first mention."""
    found: list[s.Expr] = []
    if grid.width is not None and int in grid.classes:
        found.append(s.BitsOp("literal", grid.width, (s.IntLit(0),)))
    found += map(s.Name, grid.names)
    if Fraction in grid.classes:
        found.append(s.RatLit(Fraction(0)))
    return tuple(found)


def _conversion(node: s.Node, wanted: Type, found: Type) -> str | None:
    """How a value of one type is made of one of another."""
    match wanted, found:
        case Int(), Rat():
            return "floor(…) makes an int of a rat"
        case Bits(width), Int():
            return f"bits[{width}](…) makes bits of an int"
        case Bits(width), Rat():
            return f"bits[{width}](floor(…)) makes bits of a rat"
        case Int() | Rat(), Bits():
            return "int(…) reads bits without a sign, sint(…) with one"
        case Bits(), Bool():
            return "tests are joined by and, or, not"
        case Bool(), Bits():
            return "a test compares: … != 0"
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

_LOGIC = {"and": "&", "or": "|", "implies": ""}
"""What joins tests, and what does the same to bits, bit by bit."""
_NO_POWER = "^ is exclusive or of bits; there is no power operator: multiply, or write a def"
_OF_TESTS = {"&": "and", "|": "or", "^": "!="}

_SIGNED = {"/": ("udiv", "sdiv"), "div": ("udiv", "sdiv"), "mod": ("urem", "srem")}
"""What divides bits, without a sign and with one."""

_Rule: TypeAlias = Callable[[Typer, s.Call, LocalTypes, Bits | None], Type | None]
_BUILT_IN_TYPES: Mapping[str, tuple[int, int, _Rule]] = {
    "min": (2, 10_000, Typer._numbers),
    "max": (2, 10_000, Typer._numbers),
    "abs": (1, 1, Typer._numbers),
    "clamp": (3, 3, Typer._numbers),
    "floor": (1, 1, Typer._floor),
    "ord": (1, 1, Typer._ord),
    "int": (1, 1, Typer._read_bits),
    "sint": (1, 1, Typer._read_bits),
    "ashr": (2, 2, Typer._ashr),
    "udiv": (2, 2, Typer._two_bits),
    "urem": (2, 2, Typer._two_bits),
    "sdiv": (2, 2, Typer._two_bits),
    "srem": (2, 2, Typer._two_bits),
    "ult": (2, 2, Typer._compare_bits),
    "ule": (2, 2, Typer._compare_bits),
    "slt": (2, 2, Typer._compare_bits),
    "sle": (2, 2, Typer._compare_bits),
}

_CASES: Mapping[type[s.Node], Callable[[Typer, Any, LocalTypes, Bits | None], Type | None]] = {
    s.BoolLit: Typer._bool_literal,
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
    s.With: Typer._with,
    s.Fold: Typer._fold,
    s.Quantifier: Typer._quantifier,
    s.Resize: Typer._resize,
    s.BitsOp: Typer._bits_op,
}
