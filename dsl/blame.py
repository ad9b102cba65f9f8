"""Which names a fault in a part of an expression depends on, so that a message shows these alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

from dsl import syntax as s
from dsl.scope import names_read


def names_behind(
    tree: s.Node, part: s.Node, definition: Callable[[str], Iterable[s.Node]]
) -> set[str] | None:
    """The names that decide whether a part of a tree is evaluated, and what it is worth; None where it is no part of it.

    `definition` gives what the value of a name is made of.
    """
    path = _path(tree, part)
    if path is None:
        return None
    reads: list[s.Node] = [part]
    bound: dict[str, tuple[s.Node, ...]] = {}
    for above, below in pairwise(path):
        match above:
            case s.If(test) | s.DistIf(test) if below is not test:
                reads.append(test)
            case s.Match(subject) | s.DistMatch(subject) if below is not subject:
                reads.append(subject)
            case s.Binary("and" | "or" | "implies", left) if below is not left:
                reads.append(left)
            case s.Compare(_, operands):
                place = next(i for i, o in enumerate(operands) if o is below)
                reads.extend(operands[:place] if place > 1 else ())
            case s.Let(name, value, body) | s.DistLet(name, value, body) if below is body:
                bound[name] = (value,)
            case s.Fold(acc, start, _, _, _, body) if below is body:
                bound[acc] = start, body
            case s.Quantifier():
                reads.append(above)  # an earlier turn may settle it
            case _:
                pass
    found: set[str] = set()
    pending = set[str]().union(*map(names_read, reads))
    while pending:
        name = pending.pop()
        found.add(name)
        made_of = bound[name] if name in bound else definition(name)
        pending |= set[str]().union(*map(names_read, made_of)) - found
    return found


def _path(tree: s.Node, part: s.Node) -> list[s.Node] | None:
    """The nodes from the root of a tree down to a part of it."""
    pending: list[tuple[s.Node, int]] = [(tree, 0)]
    path: list[s.Node] = []
    while pending:
        node, depth = pending.pop()
        del path[depth:]
        path.append(node)
        if node is part:
            return path
        pending.extend((below, depth + 1) for below in s.children(node))
    return None
