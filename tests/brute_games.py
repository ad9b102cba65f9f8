"""Values of small games in exact arithmetic: an agent that maximises against an adversary that minimises.

Floating point only guesses. What is returned is an enclosure that exact arithmetic confirms (|T v - v| <= e gives
|V - v| <= e / (1 - g)), and the exact value itself when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from math import lcm
from typing import Any, TypeAlias

Row: TypeAlias = tuple[Fraction, tuple[tuple[int, Fraction], ...]]
"""Expected reward of a step, and the nodes it leads to with their weights."""
Group: TypeAlias = tuple[Row, ...]
"""The adversary's choices against one action."""
Game: TypeAlias = Sequence[Sequence[Group]]
"""For each node the agent's choices."""

ROUNDS_MAX = 10_000
SCALE = 1 << 44
NOTHING = Fraction(0)


@dataclass(slots=True)
class Worth:
    """A number between two bounds, and how to get it exactly."""

    low: Fraction
    high: Fraction
    work_out: Callable[[], Fraction] = field(repr=False)

    def sign(self) -> int:
        """-1, 0 or 1."""
        if self.low <= 0 <= self.high:
            self.low = self.high = self.work_out()
        return (self.low > 0) - (self.high < 0)

    def minus(self, other: Worth) -> Worth:
        """The difference."""
        return Worth(
            self.low - other.high, self.high - other.low, lambda: exactly(self) - exactly(other)
        )

    def less(self, number: Fraction) -> Worth:
        """What is left when a number is taken away."""
        return Worth(self.low - number, self.high - number, lambda: exactly(self) - number)


def exactly(worth: Worth) -> Fraction:
    """The number itself."""
    if worth.low != worth.high:
        worth.low = worth.high = worth.work_out()
    return worth.low


def is_above(left: Worth, right: Worth) -> bool:
    """Whether one number is above another."""
    return left.minus(right).sign() > 0


def least(worths: Sequence[Worth]) -> Worth:
    """The smallest."""
    found = worths[0]
    for other in worths[1:]:
        if is_above(found, other):
            found = other
    return found


# --- solved games --------------------------------------------------------------------------------


@dataclass(slots=True)
class Solved:
    """Values of the nodes; what is no node is done and worth 0."""

    index: Mapping[Any, int]
    near: list[Fraction]
    slack: Fraction
    work_out: Callable[[], list[Fraction]]
    exact: list[Fraction] | None = None

    def at(self, weights: Mapping[Any, Fraction], offset: Fraction) -> Worth:
        """The average over some nodes, plus an offset."""
        known = [(self.index[n], w) for n, w in weights.items() if n in self.index]
        about = sum((w * self.near[i] for i, w in known), offset)
        slack = self.slack * sum((w for _, w in known), NOTHING)
        return Worth(about - slack, about + slack, partial(self._exactly, known, offset))

    def _exactly(self, known: list[tuple[int, Fraction]], offset: Fraction) -> Fraction:
        if self.exact is None:
            self.exact = self.work_out()
        return sum((w * self.exact[i] for i, w in known), offset)


def solve_game(
    index: Mapping[Any, int], game: Game, discount: Fraction, horizon: int | None
) -> Solved:
    """The values of all nodes."""
    if horizon is not None:
        values = [NOTHING] * len(game)
        for _ in range(horizon):
            values = _stepped(game, values, discount)
        return Solved(index, values, NOTHING, lambda: values)
    floats = [
        [
            tuple((float(r), tuple((j, float(w)) for j, w in ahead)) for r, ahead in group)
            for group in groups
        ]
        for groups in game
    ]
    plan = _Plan(floats, float(discount), _solve_floats, 1e-10)
    plan.run()
    near = [Fraction(round(v * SCALE), SCALE) for v in plan.values]
    after = _stepped(game, near, discount)
    error = max((abs(a - b) for a, b in zip(near, after, strict=True)), default=NOTHING)

    def work_out() -> list[Fraction]:
        exact = _Plan(game, discount, solve, NOTHING)
        exact.action, exact.reply = plan.action, plan.reply
        exact.run()
        found: list[Fraction] = exact.values
        return found

    return Solved(index, near, error / (1 - discount), work_out)


def _stepped(game: Game, values: list[Fraction], discount: Fraction) -> list[Fraction]:
    found: list[Fraction] = []
    for groups in game:
        found.append(max(min(_score(row, values, discount) for row in group) for group in groups))
    return found


def _score(row: Any, values: Any, discount: Any) -> Any:
    total = row[0]
    for j, w in row[1]:
        total += discount * w * values[j]
    return total


class _Plan:
    """Policy iteration for the agent over policy iteration for the adversary, in whatever numbers it is given."""

    def __init__(self, game: Any, discount: Any, solve_rows: Any, slack: Any) -> None:
        self.game, self.discount, self.solve, self.slack = game, discount, solve_rows, slack
        self.action = [0] * len(game)
        self.reply = [0] * len(game)
        self.values: Any = []

    def run(self) -> None:
        """Find the values; in floating point the rounds may end early."""
        for _ in range(ROUNDS_MAX if self.slack == 0 else 60):
            self._answer()
            if not self._improve():
                return
        if self.slack == 0:
            raise ArithmeticError("policy iteration does not end")

    def _answer(self) -> None:
        """The adversary's best answers to the present actions."""
        for _ in range(ROUNDS_MAX if self.slack == 0 else 60):
            self._solve()
            changed = False
            for n, groups in enumerate(self.game):
                group = groups[self.action[n]]
                for k, row in enumerate(group) if len(group) > 1 else ():
                    now = _score(group[self.reply[n]], self.values, self.discount)
                    if _score(row, self.values, self.discount) < now - self.slack:
                        self.reply[n], changed = k, True
            if not changed:
                return

    def _improve(self) -> bool:
        changed = False
        for n, groups in enumerate(self.game):
            best = self.values[n]
            for k, group in enumerate(groups) if len(groups) > 1 else ():
                scores = [_score(row, self.values, self.discount) for row in group]
                least_ = min(scores)
                if k != self.action[n] and least_ > best + self.slack:
                    best, changed = least_, True
                    self.action[n], self.reply[n] = k, scores.index(least_)
        return changed

    def _solve(self) -> None:
        rows = []
        size = len(self.game)
        for n, groups in enumerate(self.game):
            reward, ahead = groups[self.action[n]][self.reply[n]]
            row = [0 * self.discount] * (size + 1)
            row[n] += 1
            row[-1] = reward
            for j, w in ahead:
                row[j] -= self.discount * w
            rows.append(row)
        self.values = self.solve(rows)


def _solve_floats(rows: list[list[float]]) -> list[float]:
    """Gauss-Jordan without pivoting, which is safe for rows that are dominated by their diagonal."""
    size = len(rows)
    for k in range(size):
        top = rows[k]
        at = top[k]
        below = [(j, top[j]) for j in range(k + 1, size + 1) if top[j]]
        for i in range(k + 1, size):
            here = rows[i]
            if here[k]:
                factor = here[k] / at
                for j, v in below:
                    here[j] -= factor * v
    found = [0.0] * size
    for k in reversed(range(size)):
        row = rows[k]
        known = sum([row[j] * found[j] for j in range(k + 1, size) if row[j]])
        found[k] = (row[size] - known) / row[k]
    return found


def solve(rows: list[list[Fraction]]) -> list[Fraction]:
    """The x with a x = b for rows (a, b): Gaussian elimination without fractions (Bareiss), checked by substitution.

    Raises StopIteration for equations that do not settle x.
    """
    size = len(rows)
    whole: list[list[int]] = []
    for row in rows:
        scale = lcm(*(v.denominator for v in row))
        whole.append([int(v * scale) for v in row])
    before = 1
    for k in range(size):
        pivot = next(i for i in range(k, size) if whole[i][k])
        whole[k], whole[pivot] = whole[pivot], whole[k]
        top, at = whole[k], whole[k][k]
        for i in range(k + 1, size):
            here, factor = whole[i], whole[i][k]
            whole[i] = [(at * v - factor * t) // before for v, t in zip(here, top, strict=True)]
        before = at
    found = [NOTHING] * size
    for k in reversed(range(size)):
        known = sum((whole[k][j] * found[j] for j in range(k + 1, size)), NOTHING)
        found[k] = (whole[k][-1] - known) / whole[k][k]
    for row in rows:
        if sum((a * x for a, x in zip(row, found, strict=False)), NOTHING) != row[-1]:
            raise ArithmeticError("the solution does not solve the equations")
    return found
