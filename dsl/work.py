"""Static bounds on the work of one evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from dsl import syntax as s
from dsl.infer import LocalTypes, Typer
from dsl.types import Int, Type, elements

WORK_MAX = 1_000_000


class WorkMeter:
    """Bounds how many units an evaluation takes: each node 1, comparisons of arrays 1 an element more.

    Of branches the dearest counts. `calls` holds the work of each `def`'s body.
    """

    def __init__(self, typer: Typer, calls: Mapping[str, int]) -> None:
        self.typer, self.calls = typer, calls

    def work(self, node: s.Expr | s.Dist, local: LocalTypes) -> int:
        """The bound; assumes that the node is well typed."""
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
                inner = self._bind(name, self.typer.infer(value, local), local)
                return 1 + self.work(value, local) + self.work(body, inner)
            case s.ArrayFor(var, low, high, body):
                return 1 + self._turns(low, high) * self.work(body, {**local, var: Int()})
            case s.DistFor(var, low, high, entry):
                inner = {**local, var: Int()}
                each = self.work(entry.value, inner) + self.work(entry.weight, inner)
                return 1 + self._turns(low, high) * each
            case s.DistMap(entries):
                return 1 + sum(
                    self.work(e.value, local) + self.work(e.weight, local) for e in entries
                )
            case s.Call(name, args):
                return 1 + sum(self.work(a, local) for a in args) + self.calls.get(name, 0)
            case s.Compare(_, operands):
                kinds = [self.typer.infer(o, local) for o in operands]
                compared = sum(elements(k) for k in kinds if k is not None)
                return compared + sum(self.work(o, local) for o in operands)
            case _:
                below = (cast(s.Expr, child) for child in s.children(node))
                return 1 + sum(self.work(child, local) for child in below)

    def _turns(self, low: s.Expr, high: s.Expr) -> int:
        return self.typer.constant_range(low, high, low) or 0

    @staticmethod
    def _bind(name: str, kind: Type | None, local: LocalTypes) -> LocalTypes:
        return local if kind is None else {**local, name: kind}
