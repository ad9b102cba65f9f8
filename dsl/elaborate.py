"""Work out what operations on bits mean: from a checked tree as written to the tree that is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar, cast

from dsl import syntax as s
from dsl.infer import LocalTypes, Typer, bits_in
from dsl.interp import BITS_FUNCTIONS
from dsl.span import Span
from dsl.types import Bits, Int, Type

_Tree = TypeVar("_Tree", bound="s.Expr | s.Dist | s.AnyStart")


def elaborate(builder: Typer, tree: _Tree, wanted: Type | None, local: LocalTypes) -> _Tree:
    """The tree with a `BitsOp` in the place of every operation on bits; the same object where no bits occur.

    Call it once for each tree that is evaluated, after `infer`, `expect` or `infer_dist` has found no fault in it, with
    the builder that checked it: `wanted` is the type that the place asks for (what `expect` or `infer_dist` was given;
    `Bool()` for a condition, None after `infer`), `local` the types of names that the scope does not hold. Bodies of
    functions and values of tables and constants are elaborated where the builder declares them. A tree that is
    elaborated already stays as it is.
    """
    if not _holds_bits(builder, tree, wanted, local):
        return tree
    found = _Elaborator(builder).tree(tree, bits_in(wanted), local)
    return cast(_Tree, found)


def _holds_bits(builder: Typer, tree: s.Node, wanted: Type | None, local: LocalTypes) -> bool:
    """Whether a tree can hold an operation on bits or a literal that is bits."""
    if bits_in(wanted) is not None:
        return True
    scope = builder.scope
    pending: list[s.Node] = [tree]
    while pending:
        node = pending.pop()
        kinds: list[Type | None] = []
        match node:
            case s.Resize():
                return True
            case s.Name(name):
                kinds.append(local.get(name) or scope.types.get(name))
            case s.ArrayLit() if (grid := s.grid_of(node)) is not None:
                kinds += [local.get(word) or scope.types.get(word) for word in grid.names]
            case s.Primed(name):
                kinds.append(local.get(name + "'") or scope.types.get(name + "'"))
            case s.Call(name) if name in scope.signatures:
                signature = scope.signatures[name]
                kinds += [signature.result, *(p.type for p in signature.parameters)]
            case _:
                pass
        if any(bits_in(kind) is not None for kind in kinds):
            return True
        if s.grid_of(node) is None:
            pending.extend(s.children(node))
    return False


class _Elaborator:
    """Rebuilds trees, handing down the bits that literals take as `Typer` does."""

    def __init__(self, builder: Typer) -> None:
        self.builder = builder

    def tree(self, node: Any, asked: Bits | None, local: LocalTypes) -> Any:
        """The elaborated tree; `asked` is what its scalars are, where that is known to be bits."""
        case = _CASES.get(type(node))
        return node if case is None else case(self, node, asked, local)

    def _joint(self, parts: tuple[s.Expr, ...], local: LocalTypes) -> Bits | None:
        """The bits that the first part to say so is made of."""
        for part in parts:
            found = self.builder.joint_scalar(part, local)
            if isinstance(found, Bits):
                return found
        return None

    # --- operations on bits ----------------------------------------------------------------------

    def _literal(self, node: s.IntLit, asked: Bits | None, local: LocalTypes) -> Any:
        return node if asked is None else s.BitsOp("literal", asked.width, (node,), node.span)

    def _unary(self, node: s.Unary, asked: Bits | None, local: LocalTypes) -> Any:
        bits = None if node.op == "not" else asked or self._joint((node,), local)
        operand = self.tree(node.operand, bits, local)
        return _operation(node, node.op, bits, (operand,))

    def _binary(self, node: s.Binary, asked: Bits | None, local: LocalTypes) -> Any:
        bits = None
        if node.op in _ON_BITS:
            bits = asked or self._joint((node,), local)
        left = self.tree(node.left, bits, local)
        right = self.tree(node.right, None if node.op in ("<<", ">>") else bits, local)
        return _operation(node, node.op, bits, (left, right))

    def _call(self, node: s.Call, asked: Bits | None, local: LocalTypes) -> Any:
        name, args = node.name, node.args
        bits: list[Bits | None] = [None] * len(args)
        if name in BITS_FUNCTIONS:
            own = self._joint(args[:1] if name == "ashr" else args, local)
            own = own or (asked if name in _LIKE_OPERANDS else None)
            bits = [own] * len(args)
            if name == "ashr":
                bits[1] = None
        elif name in self.builder.scope.signatures:
            bits = [bits_in(p.type) for p in self.builder.scope.signatures[name].parameters]
        below: list[Any] = []
        for arg, kind in zip(args, bits, strict=True):
            below.append(self.tree(arg, kind, local))
        if name in BITS_FUNCTIONS:
            return _operation(node, name, bits[0], tuple(below))
        return _rebuilt(node, tuple(below))

    def _resize(self, node: s.Resize, asked: Bits | None, local: LocalTypes) -> Any:
        width = self.builder.constant_width(node.width)
        assert width is not None, "the checker has worked the width out"
        operand = self.tree(node.operand, None, local)
        if node.word == "bits":
            return s.BitsOp("bits", width, (operand,), node.span)
        source = self._joint((node.operand,), local)
        return _operation(node, "sext", source, (operand, s.IntLit(width, span=node.width.span)))

    # --- what hands bits down --------------------------------------------------------------------

    def _compare(self, node: s.Compare, asked: Bits | None, local: LocalTypes) -> Any:
        return self._over(node, self._joint(node.operands, local), local)

    def _branches(self, node: Any, asked: Bits | None, local: LocalTypes) -> Any:
        if isinstance(node, s.If):
            asked = asked or self._joint((node,), local)
        test = self.tree(node.test, None, local)
        then = self.tree(node.then, asked, local)
        return _rebuilt(node, (test, then, self.tree(node.otherwise, asked, local)))

    def _match(self, node: Any, asked: Bits | None, local: LocalTypes) -> Any:
        if isinstance(node, s.Match):
            asked = asked or self._joint((node,), local)
        below = [self.tree(node.subject, None, local)]
        kind = self._joint((node.subject,), local)
        for arm in node.arms:
            patterns: list[Any] = []
            for pattern in arm.patterns:
                patterns.append(self.tree(pattern, kind, local))
            below.append(_rebuilt(arm, (*patterns, self.tree(arm.body, asked, local))))
        if node.otherwise is not None:
            below.append(self.tree(node.otherwise, asked, local))
        return _rebuilt(node, tuple(below))

    def _let(self, node: Any, asked: Bits | None, local: LocalTypes) -> Any:
        value = self.tree(node.value, None, local)
        inner = {**local, node.name: self.builder.joint_scalar(node.value, local) or Int()}
        return _rebuilt(node, (value, self.tree(node.body, asked, inner)))

    def _index(self, node: s.Index, asked: Bits | None, local: LocalTypes) -> Any:
        array = self.tree(node.array, asked, local)
        return _rebuilt(node, (array, self.tree(node.index, None, local)))

    def _array(self, node: s.ArrayLit, asked: Bits | None, local: LocalTypes) -> Any:
        bits = asked or self.builder.joint_scalar(node, local)
        width = bits.width if isinstance(bits, Bits) else None
        grid = s.grid_of(node)
        if grid is None or grid.width is not None:
            return self._over(node, None if width is None else Bits(width), local)
        if width is None or int not in grid.classes:
            return node
        written = node.written or s.Written(grid, _Items(node))
        return s.written_array(replace(written, grid=replace(grid, width=width)), node.span)

    def _with(self, node: s.With, asked: Bits | None, local: LocalTypes) -> Any:
        return self._over(node, asked or self._joint((node,), local), local)

    def _second(self, node: s.Change, asked: Bits | None, local: LocalTypes) -> Any:
        index = self.tree(node.index, None, local)
        return _rebuilt(node, (index, self.tree(node.value, asked, local)))

    def _ranged(self, node: Any, asked: Bits | None, local: LocalTypes) -> Any:
        low, high = self.tree(node.low, None, local), self.tree(node.high, None, local)
        body = node.entry if isinstance(node, s.DistFor) else node.body
        return _rebuilt(node, (low, high, self.tree(body, asked, {**local, node.var: Int()})))

    def _quantifier(self, node: s.Quantifier, asked: Bits | None, local: LocalTypes) -> Any:
        return self._ranged(node, None, local)

    def _fold(self, node: s.Fold, asked: Bits | None, local: LocalTypes) -> Any:
        asked = asked or self._joint((node,), local)
        start = self.tree(node.start, asked, local)
        low, high = self.tree(node.low, None, local), self.tree(node.high, None, local)
        inner = {**local, node.acc: asked or Int(), node.var: Int()}
        return _rebuilt(node, (start, low, high, self.tree(node.body, asked, inner)))

    def _entries(self, node: s.DistMap, asked: Bits | None, local: LocalTypes) -> Any:
        return self._over(node, asked, local)

    def _weighted(self, node: s.Weighted, asked: Bits | None, local: LocalTypes) -> Any:
        value = self.tree(node.value, asked, local)
        return _rebuilt(node, (value, self.tree(node.weight, None, local)))

    def _anywhere(self, node: s.AnyStart, asked: Bits | None, local: LocalTypes) -> Any:
        return self._over(node, None, local)

    def _over(self, node: s.Node, asked: Bits | None, local: LocalTypes) -> Any:
        below: list[Any] = []
        for child in s.children(node):
            below.append(self.tree(child, asked, local))
        return _rebuilt(node, tuple(below))


class _Items:
    """The places of the items of an array that has nodes."""

    __slots__ = ("_array",)

    def __init__(self, array: s.ArrayLit) -> None:
        self._array = array

    def place(self, index: int) -> tuple[Span, str]:
        """Where an item stands, and how it is spelled."""
        item = self._array.items[index]
        return item.span, getattr(item, "text", "")

    def row(self, index: int) -> _Items:
        """The places inside a row."""
        row = self._array.items[index]
        assert isinstance(row, s.ArrayLit)
        return _Items(row)


def _operation(node: Any, op: str, bits: Bits | None, args: tuple[Any, ...]) -> Any:
    """An operation on bits of this width; where there is none, the same node."""
    return _rebuilt(node, args) if bits is None else s.BitsOp(op, bits.width, args, node.span)


def _rebuilt(node: Any, below: tuple[Any, ...]) -> Any:
    """The node over other children; the same object where these are the same."""
    for old, new in zip(s.children(node), below, strict=True):
        if old is not new:
            return s.with_children(node, below)
    return node


_ON_BITS = frozenset(("+", "-", "*", "&", "|", "^", "<<", ">>"))
_LIKE_OPERANDS = frozenset(("ashr", "udiv", "urem", "sdiv", "srem"))
"""Functions whose result has the type of their operands."""

_CASES: Mapping[type[s.Node], Callable[[_Elaborator, Any, Bits | None, LocalTypes], Any]] = {
    s.IntLit: _Elaborator._literal,
    s.Unary: _Elaborator._unary,
    s.Binary: _Elaborator._binary,
    s.Call: _Elaborator._call,
    s.Resize: _Elaborator._resize,
    s.Compare: _Elaborator._compare,
    s.If: _Elaborator._branches,
    s.DistIf: _Elaborator._branches,
    s.Match: _Elaborator._match,
    s.DistMatch: _Elaborator._match,
    s.Let: _Elaborator._let,
    s.DistLet: _Elaborator._let,
    s.Index: _Elaborator._index,
    s.ArrayLit: _Elaborator._array,
    s.ArrayFor: _Elaborator._ranged,
    s.DistFor: _Elaborator._ranged,
    s.Quantifier: _Elaborator._quantifier,
    s.With: _Elaborator._with,
    s.Change: _Elaborator._second,
    s.Fold: _Elaborator._fold,
    s.DistMap: _Elaborator._entries,
    s.Weighted: _Elaborator._weighted,
    s.AnyStart: _Elaborator._anywhere,
}
