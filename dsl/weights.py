"""What is known of the weights of a task for all its rational unknowns and rates: boxes are halved until a sign shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import islice, product

from dsl import boxes
from dsl import syntax as s
from dsl.boxes import Box, Interval
from dsl.intervals import NotProved
from dsl.machine import Task
from dsl.polynomial import Polynomial, PolynomialTooLarge, Weight, names_of, substitute
from dsl.ranges import Range
from dsl.totality import BadWeight, Part, Point
from dsl.types import Variable

BOXES_MAX = 64
CANDIDATES_MAX = 1_024


class KnownWeights:
    """What is known of weights for all rational unknowns that meet the assumptions, and all rates."""

    def __init__(self, task: Task) -> None:
        self.kinds = {v.name: v.type for v in (*task.rationals, *task.rates)}
        self.box, self.rates = box_of(task.rationals), box_of(task.rates)
        self.assumptions = task.assumptions
        self._settled: dict[Weight, dict[str, Fraction] | None] = {}

    def part(self) -> Part:
        """All unknowns and rates: the ranges of their values, and what they are as polynomials."""
        box = {**self.box, **self.rates}
        known = {name: Range(*ends, False, (1, 1)) for name, ends in box.items()}
        return Part(dict(known), {name: Polynomial.variable(name) for name in box})

    def require_at_least_zero(self, weight: Weight, node: s.Node) -> None:
        """Raise an EvaluationFault where a weight is negative, NotProved where that is not known."""
        at = self._below_zero(weight, node)
        if at is not None:
            met = f"the weight is {substitute(weight, at)}"
            raise BadWeight("a weight must not be negative", node, self._shown(weight, at), met)

    def require_one(self, total: Weight, node: s.Node) -> None:
        """Raise an EvaluationFault where a sum of weights is not 1, NotProved where that is not known."""
        for difference in () if total == 1 else (total - 1, 1 - total):
            at = self._below_zero(difference, node)
            if at is not None:
                met = f"the weights sum to {substitute(total, at)}"
                shown = self._shown(difference, at)
                raise BadWeight("the weights must sum to 1", node, shown, met)

    def _shown(self, weight: Weight, at: Mapping[str, Fraction]) -> Point:
        return tuple((n, self.kinds[n], at[n]) for n in self.kinds if n in names_of(weight))

    def _below_zero(self, weight: Weight, node: s.Node) -> dict[str, Fraction] | None:
        """Where a weight is below 0; None if it is shown to be so nowhere."""
        if not isinstance(weight, Polynomial):
            return {} if weight < 0 else None
        if weight not in self._settled:
            try:
                self._settled[weight] = self._search(weight, node)
            except PolynomialTooLarge as error:
                raise NotProved("G016", str(error), node) from None
        return self._settled[weight]

    def _search(self, weight: Weight, node: s.Node) -> dict[str, Fraction] | None:
        """Halve the box until the weight is settled in every part."""
        pending = [self.box]
        for _ in range(BOXES_MAX):
            if not pending:
                return None
            box = pending.pop(0)
            if boxes.is_at_least_zero(weight, box, self.rates, self.assumptions):
                continue
            for at in self._candidates(box):
                if substitute(weight, at) < 0:  # type: ignore[operator]
                    return at
            read = names_of(weight)
            widths = {n: high - low for n, (low, high) in box.items() if n in read}
            widest = max(widths, key=lambda n: widths[n], default="")
            if not widths.get(widest):
                break
            low, high = box[widest]
            middle = (low + high) / 2
            pending += [{**box, widest: (low, middle)}, {**box, widest: (middle, high)}]
        raise NotProved("G016", "weights that may leave 0..1 for some unknowns", node)

    def _candidates(self, box: Box) -> Iterator[dict[str, Fraction]]:
        """Some points of a box that meet the assumptions: corners and what lies in the middle of them."""
        names = [*box, *self.rates]
        found: Iterator[tuple[Fraction, ...]] = product(*box.values())
        if self.assumptions:
            found = iter(boxes.vertices(boxes.constraints(box, self.assumptions), list(box)))
        corners = list(islice(found, CANDIDATES_MAX))
        if corners:
            count = len(corners)
            corners.append(
                tuple(sum(column, Fraction(0)) / count for column in zip(*corners, strict=True))
            )
        rates = [(low, high, (low + high) / 2) for low, high in self.rates.values()]
        for corner in corners:
            for rate in islice(product(*rates), CANDIDATES_MAX):
                yield dict(zip(names, (*corner, *rate), strict=True))


def box_of(variables: tuple[Variable, ...]) -> dict[str, Interval]:
    """The declared ranges of rational unknowns or rates, by name in order."""
    return {v.name: (Fraction(v.type.low), Fraction(v.type.high)) for v in variables}  # type: ignore[union-attr, arg-type]
