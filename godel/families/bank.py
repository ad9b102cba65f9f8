"""Expressions from the smallest up: all that a place may read, joined by the operators of the language, type by type.

Expressions that agree on every sample are one; the first, which is among the smallest, stands for all. An expression
that has no value on some sample is left out. Untrusted: Python's operators stand in for those of the language.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

from dsl import syntax as s
from dsl.interp import Evaluator, Function, Globals
from dsl.types import (
    Array,
    Bits,
    Bool,
    Enum,
    Int,
    Rat,
    Type,
    Value,
    elements,
    inhabits,
    scalar,
    without_ranges,
)
from godel.families.rule import literal_of

BUILT_MAX = 100_000
"""How many expressions are put together and looked at on the samples."""
NUMBER_MAX = 1 << 64
MEMBERS_MAX = 32
ELEMENTS_MAX = 4_096
"""How large a table may be that is looked up in."""
PARAMETERS_MAX = 3


@dataclass(frozen=True, slots=True)
class Term:
    """An expression with its type, ranges dropped, its nodes, and its value on each sample."""

    expr: s.Expr
    kind: Type
    size: int
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Sight:
    """What a place may read: the types of names that vary, and their values on each sample, next values with a prime."""

    kinds: Mapping[str, Type]
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Rule:
    """A way to put expressions together; `value` may raise ArithmeticError or LookupError.

    `either` order of two comes to the same; `typed`: the first part says how many bits there are, so it is no literal.
    """

    wanted: tuple[Type, ...]
    result: Type
    build: Callable[..., s.Expr]
    value: Callable[..., Any]
    either: bool = False
    typed: bool = False


class Bank:
    """All expressions of at most so many nodes, as far as the limit goes. `steps` counts values worked out."""

    def __init__(
        self, names: Globals, sight: Sight, kinds: Sequence[Type], code: s.Node, *, literals: int
    ) -> None:
        self.names, self.sight = names, sight
        self.steps, self._left = 0, BUILT_MAX
        self._by: dict[Type, list[list[Term]]] = {}
        self._seen: set[tuple[Type, tuple[Any, ...]]] = set()
        self.kinds = _kinds(names, sight, kinds, code)
        for term in self._leaves(code, literals):
            self._keep(term)
        self._rules = list(self._list_rules())

    def grow(self, nodes: int) -> None:
        """Add what has up to so many nodes."""
        for size in range(2, nodes + 1):
            for rule in self._rules:
                for parts in self._parts(rule, size):
                    if self._left <= 0:
                        return
                    self._left -= 1
                    self._join(rule, parts, size)

    def terms(self, kind: Type) -> Iterator[Term]:
        """What may stand where a type is asked for, smallest first."""
        kind = without_ranges(kind)
        kinds = (kind, Int()) if isinstance(kind, Rat) else (kind,)
        most = max((len(self._by.get(k, ())) for k in kinds), default=0)
        for size in range(most):
            for k in kinds:
                yield from self._of(k, size)

    # --- putting together ------------------------------------------------------------------------

    def _of(self, kind: Type, size: int) -> list[Term]:
        found = self._by.get(kind, [])
        return found[size] if size < len(found) else []

    def _parts(self, rule: _Rule, size: int) -> Iterator[tuple[Term, ...]]:
        """Every choice of parts of the right types whose nodes add up, one more for the rule."""
        for sizes in _splits(size - 1, len(rule.wanted)):
            if rule.either and sizes[0] > sizes[1]:
                continue
            lists = [self._of(kind, n) for kind, n in zip(rule.wanted, sizes, strict=True)]
            if not all(lists):
                continue
            if rule.either and sizes[0] == sizes[1]:
                for i, left in enumerate(lists[0]):
                    yield from ((left, right) for right in lists[1][i:])
            else:
                yield from product(*lists)

    def _join(self, rule: _Rule, parts: tuple[Term, ...], size: int) -> None:
        literal = [isinstance(p.expr, s.BoolLit | s.IntLit | s.RatLit) for p in parts]
        if all(literal) or (literal[0] and rule.typed):
            return
        self.steps += len(self.sight.rows)
        try:
            values = tuple(map(rule.value, *(p.values for p in parts)))
        except (ArithmeticError, LookupError):
            return
        if isinstance(rule.result, Int | Rat) and not all(
            -NUMBER_MAX < v < NUMBER_MAX for v in values
        ):
            return
        if isinstance(rule.result, Array) or (rule.result, values) not in self._seen:
            self._keep(Term(rule.build(*(p.expr for p in parts)), rule.result, size, values))

    def _keep(self, term: Term) -> None:
        if not isinstance(term.kind, Array):
            if (term.kind, term.values) in self._seen:
                return
            self._seen.add((term.kind, term.values))
        sizes = self._by.setdefault(term.kind, [])
        sizes += [[] for _ in range(term.size + 1 - len(sizes))]
        sizes[term.size].append(term)

    # --- leaves ----------------------------------------------------------------------------------

    def _leaves(self, code: s.Node, literals: int) -> Iterator[Term]:
        rows = self.sight.rows
        for name, kind in self.sight.kinds.items():
            tree: s.Expr = s.Primed(name[:-1]) if name.endswith("'") else s.Name(name)
            yield Term(tree, without_ranges(kind), 1, tuple(row[name] for row in rows))
        members = {m for e in self.names.enums.values() for m in e.members}
        for name, kind in self.names.types.items():
            if name not in members and elements(kind) <= ELEMENTS_MAX:
                value = self.names.values[name]
                yield Term(s.Name(name), without_ranges(kind), 1, (value,) * len(rows))
        for kind in self.kinds:
            for value in self._literals(kind, code, literals):
                literal = literal_of(self.names, kind, value)
                if literal is not None:
                    yield Term(literal, kind, 1, (value,) * len(rows))

    def _literals(self, kind: Type, code: s.Node, literals: int) -> list[Value]:
        met = [n.value for n in s.walk(code) if isinstance(n, s.IntLit | s.RatLit)]
        match kind:
            case Bool():
                return [False, True]
            case Enum(_, members):
                return list(range(min(len(members), MEMBERS_MAX)))
            case Int() | Bits():
                found = dict.fromkeys([*range(literals + 1), *met])
                return [v for v in found if type(v) is int and inhabits(kind, v)]
            case Rat():
                return [Fraction(v) for v in dict.fromkeys(met) if type(v) is Fraction]
            case _:
                return []

    # --- rules -----------------------------------------------------------------------------------

    def _list_rules(self) -> Iterator[_Rule]:
        """Of expressions that are alike and of one size the first stands for all: those that read best come first."""
        for kind in self.kinds:
            if not isinstance(kind, Array):
                yield _Rule((Bool(), kind, kind), kind, s.If, lambda t, a, b: a if t else b)
        for kind in self.kinds:
            match kind:
                case Bool():
                    yield from _LOGIC
                case Int():
                    yield from _numbers(Int(), Int())
                    yield from _WHOLE
                case Rat():
                    for left, right in ((Rat(), Rat()), (Int(), Rat()), (Rat(), Int())):
                        yield from _numbers(left, right)
                case Bits(width):
                    yield from _bits(width)
                case Enum() as enum:
                    yield from _equal(enum)
                    if Int() in self.kinds:
                        yield _Rule((enum,), Int(), _call("ord"), int)
        arrays: dict[Array, None] = {}
        for kind in self._by:
            while isinstance(kind, Array):
                arrays[kind] = None
                kind = kind.item
        for array in sorted(arrays, key=repr):
            yield _Rule((array, array.index or Int()), array.item, s.Index, _looked_up)
        for function in self.names.functions.values():
            yield from self._function(function)
        for kind in self.kinds:
            if isinstance(kind, Enum) and Int() in self.kinds:
                yield _Rule((Int(),), kind, _call(kind.name), _member(len(kind.members)))

    def _function(self, function: Function) -> Iterator[_Rule]:
        wanted = tuple(without_ranges(p.type) for p in function.parameters)
        result = without_ranges(function.result)
        if not 1 <= len(wanted) <= PARAMETERS_MAX or result not in self.kinds:
            return
        names, known = self.names, dict[tuple[Any, ...], Any]()

        def value(*args: Any) -> Any:
            if args not in known:
                for parameter, arg in zip(function.parameters, args, strict=True):
                    if not inhabits(parameter.type, arg):
                        raise ArithmeticError
                local = {p.name: arg for p, arg in zip(function.parameters, args, strict=True)}
                known[args] = Evaluator(names).value(function.body, local)
            return known[args]

        yield _Rule(wanted, result, _call(function.name), value)


def _kinds(names: Globals, sight: Sight, kinds: Sequence[Type], code: s.Node) -> list[Type]:
    """The types of scalars to build, in a fixed order."""
    found: dict[Type, None] = {Bool(): None}
    for kind in (*sight.kinds.values(), *kinds):
        found[without_ranges(scalar(kind))] = None
        while isinstance(kind, Array):
            found[kind.index or Int()] = None
            kind = kind.item
    read = {n.name for n in s.walk(code) if isinstance(n, s.Name)}
    for name, kind in names.types.items():
        if name in read and not isinstance(kind, Enum):
            found[without_ranges(scalar(kind))] = None
    return sorted(found, key=repr)


def _splits(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """Every way to share out nodes, at least one each."""
    if parts == 1:
        if total >= 1:
            yield (total,)
        return
    for first in range(1, total - parts + 2):
        for rest in _splits(total - first, parts - 1):
            yield (first, *rest)


def _call(name: str) -> Callable[..., s.Expr]:
    return lambda *args: s.Call(name, args)


def _binary(op: str) -> Callable[..., s.Expr]:
    return lambda a, b: s.Binary(op, a, b)


def _compare(op: str) -> Callable[..., s.Expr]:
    return lambda a, b: s.Compare((op,), (a, b))


def _unary(op: str) -> Callable[..., s.Expr]:
    return lambda a: s.Unary(op, a)


_LOGIC = (
    _Rule((Bool(),), Bool(), _unary("not"), operator.not_),
    _Rule((Bool(), Bool()), Bool(), _binary("and"), lambda a, b: a and b, either=True),
    _Rule((Bool(), Bool()), Bool(), _binary("or"), lambda a, b: a or b, either=True),
    _Rule((Bool(), Bool()), Bool(), _compare("=="), operator.eq, either=True),
)
_WHOLE = (
    _Rule((Int(), Int()), Int(), _binary("div"), operator.floordiv),
    _Rule((Int(), Int()), Int(), _binary("mod"), operator.mod),
)


def _numbers(left: Type, right: Type) -> Iterator[_Rule]:
    both = (left, right)
    kind: Type = Int() if both == (Int(), Int()) else Rat()
    same = left == right
    for op, value in (("<", operator.lt), ("<=", operator.le)):
        yield _Rule(both, Bool(), _compare(op), value)
    for op, value in (("==", operator.eq), ("!=", operator.ne)):
        yield _Rule(both, Bool(), _compare(op), value, either=same)
    for op, value in (("+", operator.add), ("*", operator.mul)):
        yield _Rule(both, kind, _binary(op), value, either=same)
    yield _Rule(both, kind, _binary("-"), operator.sub)
    for name, value in (("min", min), ("max", max)):
        yield _Rule(both, kind, _call(name), value, either=same)
    if same:
        yield _Rule((left,), kind, _call("abs"), abs)


def _equal(kind: Type) -> Iterator[_Rule]:
    for op, value in (("==", operator.eq), ("!=", operator.ne)):
        yield _Rule((kind, kind), Bool(), _compare(op), value, either=True)


def _bits(width: int) -> Iterator[_Rule]:
    kind, mask = Bits(width), (1 << width) - 1
    yield from _equal(kind)
    for name, value in (("ult", operator.lt), ("ule", operator.le)):
        yield _Rule((kind, kind), Bool(), _call(name), value)
    for op, value in (("&", operator.and_), ("|", operator.or_), ("^", operator.xor)):
        yield _Rule((kind, kind), kind, _binary(op), value, either=True)
    yield _Rule((kind, kind), kind, _binary("+"), lambda a, b: (a + b) & mask, either=True)
    yield _Rule((kind, kind), kind, _binary("-"), lambda a, b: (a - b) & mask)
    for op, shifted in (
        ("<<", lambda a, b: (a << b) & mask if b < width else 0),
        (">>", lambda a, b: a >> b),
    ):
        yield _Rule((kind, kind), kind, _binary(op), shifted, typed=True)
    yield _Rule((kind,), kind, _unary("~"), lambda a: ~a & mask)


def _member(count: int) -> Callable[[int], int]:
    def value(i: int) -> int:
        if not 0 <= i < count:
            raise LookupError
        return i

    return value


def _looked_up(items: tuple[Any, ...], i: int) -> Any:
    if i < 0:
        raise LookupError
    return items[i]
