"""What a rewrite rule of `simplify` is, and the small operations on trees that rules share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias, cast

from dsl import syntax as s
from dsl.interp import Globals
from dsl.machine import Program
from dsl.rewrite import Edit
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
