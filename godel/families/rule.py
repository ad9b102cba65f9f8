"""What a rewrite rule of `simplify` is, and the small operations on trees that rules share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import chain, islice
from typing import TypeAlias, assert_never, cast

from dsl import syntax as s
from dsl.interp import BITS_FUNCTIONS, BUILT_INS, EvaluationFault, Function, Globals, evaluate
from dsl.machine import Program
from dsl.rewrite import Edit
from dsl.types import Array, Bits, Bool, Enum, Int, Rat, Type, Value

Bindings: TypeAlias = Mapping[str, s.Expr]
Expressions: TypeAlias = Iterator[s.Expr]
Rewrites: TypeAlias = Iterator[tuple[s.Position, tuple[Edit, ...]]]

LEAVES = (s.BoolLit, s.IntLit, s.RatLit, s.Name, s.Primed, s.Member)


class Context:
    """The program that a rule is tried on."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.taken = identifiers(program)

    @cached_property
    def bodies(self) -> Mapping[str, s.Expr]:
        """The bodies of the functions that the code may call, as they are written."""
        return {d.name: d.body for d in self._written if isinstance(d, s.Def)}

    @cached_property
    def tables(self) -> Mapping[str, s.Expr]:
        """The tables that the code may read, as they are written."""
        return {t.name: t.value for t in self._written if isinstance(t, s.Table)}

    @property
    def _written(self) -> tuple[s.Node, ...]:
        return (*self.program.task.declarations.items, *self.code.slots)

    def function(self, name: str) -> Function | None:
        """A function that the code may call, whose body stands in `bodies`."""
        return self.names.functions.get(name) if name in self.bodies else None

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
        return self.several_fresh(stem, 1)[0]

    def several_fresh(self, stem: str, count: int) -> list[str]:
        """Names that nothing has yet."""
        names = chain([stem], (f"{stem}{i}" for i in itertools.count(2)))
        return list(islice((name for name in names if name not in self.taken), count))

    def turns(self, low: s.Expr, high: s.Expr) -> range:
        """The turns of a loop; none where the ends cannot be told from constants."""
        try:
            first, last = (evaluate(end, self.names)[0] for end in (low, high))
        except (EvaluationFault, KeyError):
            return range(0)
        if type(first) is not int or type(last) is not int:
            return range(0)
        return range(first, last + 1)

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


def identifiers(program: Program) -> frozenset[str]:
    """Every name that stands anywhere in a program or its declarations, and every one that means something already."""
    found: set[str] = set()
    for tree in (program.code, program.task.declarations):
        for node in s.walk(tree):
            found.update(str(getattr(node, f)) for f in ("name", "var", "acc") if hasattr(node, f))
            if isinstance(node, s.Enum):
                found.update(node.members)
    return frozenset(found) | s.KEYWORDS | BUILT_INS.keys() | BITS_FUNCTIONS


def binders(node: s.Node) -> set[str]:
    """The names that `let`s, comprehensions, folds and quantifiers below a node bind."""
    bound: set[str] = set()
    for below in s.walk(node):
        match below:
            case s.Let(name):
                bound.add(name)
            case s.ArrayFor(var) | s.Quantifier(_, var):
                bound.add(var)
            case s.Fold(acc, _, var):
                bound |= {acc, var}
            case _:
                pass
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
    """The literal for a value, where its type is asked for; None for an array."""
    match kind:
        case Bool():
            return s.BoolLit(bool(value))
        case Int() | Bits():
            return s.IntLit(cast(int, value))
        case Rat():
            return s.RatLit(Fraction(cast(Fraction, value)))
        case Enum(name, members):
            member = members[cast(int, value)]
            return s.Name(member) if member in names.values else s.Member(name, member)
        case Array():
            return None
        case _:
            assert_never(kind)


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
