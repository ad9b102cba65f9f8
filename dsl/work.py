"""Static bounds on the work of one evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from dsl import syntax as s
from dsl.infer import LocalTypes, Typer
from dsl.types import Array, Int, Type, elements, with_scalar, without_ranges

WORK_MAX = 1_000_000


class WorkMeter:
    """Bounds how many units an evaluation takes: each node 1, copies, comparisons and range checks of arrays 1 an element.

    Of branches the dearest counts, of repetitions every turn. `calls` holds the work of each `def`'s body.
    """

    def __init__(self, typer: Typer, calls: Mapping[str, int]) -> None:
        self.typer, self.calls = typer, calls

    def work(self, node: s.Expr | s.Dist, local: LocalTypes) -> int:
        """The bound; assumes that the node is well typed, elaborated or not."""
        match node:
            case s.If(test, then, otherwise) | s.DistIf(test, then, otherwise):
                branches = max(self.work(then, local), self.work(otherwise, local))
                return 1 + self.work(test, local) + branches
            case s.Match(subject, arms, otherwise) | s.DistMatch(subject, arms, otherwise):
                bodies = [arm.body for arm in arms] + ([otherwise] if otherwise else [])
                patterns = sum(len(arm.patterns) for arm in arms)
                dearest = max(self.work(body, local) for body in bodies)
                return 1 + self.work(subject, local) + patterns + dearest
            case s.Let(name, value, body) | s.DistLet(name, value, body):
                inner = self._bind(name, self.typer.kind_of(value, local), local)
                return 1 + self.work(value, local) + self.work(body, inner)
            case s.ArrayFor(var, low, high, body) | s.Quantifier(_, var, low, high, body):
                each = self.work(body, {**local, var: Int()})
                return self._ends(low, high, local) + self._turns(low, high) * each
            case s.Fold(acc, start, var, low, high, body):
                kind, found = self.typer.kind_of(start, local), self.typer.joint_scalar(node, local)
                if kind is not None and found is not None:
                    kind = with_scalar(kind, found)
                inner = self._bind(acc, kind, {**local, var: Int()})
                turns = self._turns(low, high) * (1 + self.work(body, inner))
                return self._ends(low, high, local) + self.work(start, local) + turns
            case s.DistFor(var, low, high, entry):
                inner = {**local, var: Int()}
                each = self.work(entry.value, inner) + self.work(entry.weight, inner)
                return self._ends(low, high, local) + self._turns(low, high) * each
            case s.DistMap(entries):
                return 1 + sum(
                    self.work(e.value, local) + self.work(e.weight, local) for e in entries
                )
            case s.With(array, changes):
                changed = sum(
                    1 + self.work(c.index, local) + self.work(c.value, local) for c in changes
                )
                copied = self._elements([array], local)
                return 1 + copied + changed + self.work(array, local)
            case s.Call(name, args):
                below = sum(self.work(a, local) for a in args)
                return 1 + below + self.calls.get(name, 0) + self._checked(name)
            case s.Compare(_, operands):
                compared = len(operands) * self._elements(operands, local)
                return compared + sum(self.work(o, local) for o in operands)
            case s.BitsOp("literal"):
                return 1
            case s.ArrayLit() if (grid := s.grid_of(node)) is not None:
                return grid.nodes
            case _:
                below_all = (cast(s.Expr, child) for child in s.children(node))
                return 1 + sum(self.work(child, local) for child in below_all)

    def _ends(self, low: s.Expr, high: s.Expr, local: LocalTypes) -> int:
        """A range itself: 1, and what it takes to work out its ends, although they take no ticks."""
        ends = (end for end in (low, high) if not isinstance(end, s.IntLit))
        return 1 + sum(self.work(end, local) for end in ends)

    def _turns(self, low: s.Expr, high: s.Expr) -> int:
        return self.typer.constant_range(low, high, low) or 0

    def _checked(self, name: str) -> int:
        """The elements of the arrays whose range a call checks."""
        signature = self.typer.scope.signatures.get(name)
        if signature is None:
            return 0
        kinds = [p.type for p in signature.parameters] + [signature.result]
        ranged = [k for k in kinds if isinstance(k, Array) and k != without_ranges(k)]
        return sum(elements(k) for k in ranged)

    def _elements(self, alike: Iterable[s.Expr], local: LocalTypes) -> int:
        """How many scalars each of some expressions of the same shape is made of.

        Where literals alone leave their types open, which elaboration settles, it may be anything.
        """
        kinds = [self.typer.kind_of(expr, local) for expr in alike]
        return max((elements(kind) for kind in kinds if kind is not None), default=WORK_MAX)

    @staticmethod
    def _bind(name: str, kind: Type | None, local: LocalTypes) -> LocalTypes:
        return local if kind is None else {**local, name: kind}
