"""Values of chains and of games against an adversary: in floats, which only guess, and exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import heapify, heappop, heappush
from math import fsum, isfinite
from operator import mul
from typing import Any, TypeAlias

from dsl.polynomial import Weight

NEAREST_TO_ONE = Fraction(1, 10**12)
ELIMINATION_MAX = 3_000_000
"""How many entries an elimination in floats may touch before iteration takes its place."""
SWEEPS_MAX = 20_000
ROUNDS_MAX = 200
EPSILON = 1e-10

Successors: TypeAlias = tuple[tuple[int, Fraction], ...]


class TooLarge(Exception):
    """A world with more states than a table may list, or with values that floats cannot follow."""


@dataclass(frozen=True, slots=True)
class Row:
    """One step by state numbers: the expected reward, and the live successors with their weights."""

    reward: Fraction
    successors: Successors


FloatRow: TypeAlias = tuple[float, tuple[int, ...], tuple[float, ...]]
"""A row in floats: reward, successors, and their weights times the discount."""


def float_discount(discount: Fraction) -> float:
    """A discount for computing in floats; raises TooLarge where they could not tell it from 1."""
    if 1 - discount < NEAREST_TO_ONE:
        raise TooLarge("with a discount within 10^-12 of 1 floats are too coarse")
    return float(discount)


def as_float(value: Weight) -> float:
    """The nearest float; raises TooLarge where there is none."""
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        raise TooLarge("numbers beyond what floats can follow") from None


def float_row(row: Row, g: float) -> FloatRow:
    """A row in floats under a discount."""
    after = row.successors
    return as_float(row.reward), tuple(j for j, _ in after), tuple(g * float(w) for _, w in after)


def after_step(row: FloatRow, values: Sequence[float]) -> float:
    """What a step is worth, given what its successors are worth."""
    reward, to, weights = row
    if len(to) == 1:
        return reward + weights[0] * values[to[0]]
    return reward + fsum(map(mul, weights, [values[j] for j in to]))


# --- linear systems ------------------------------------------------------------------------------


def solve(
    rows: Sequence[tuple[Any, Mapping[int, Any]]], *, one: Any, limit: int | None = None
) -> list[Any]:
    """The v with v_i = b_i + sum a_ij v_j, by eliminating states, those with the fewest neighbours first.

    Works in floats and, exactly, in `Fraction`s, where b may hold polynomials; `rows` holds b and the entries a_ij by j.
    Raises TooLarge where more than `limit` entries would be touched.
    """
    base: list[Any] = [b for b, _ in rows]
    out: list[dict[int, Any]] = [dict(a) for _, a in rows]
    into: list[set[int]] = [set() for _ in rows]
    for i, row in enumerate(out):
        for j in row:
            if j != i:
                into[j].add(i)
    heap = [(_fill(out[i], into[i]), i) for i in range(len(out))]
    heapify(heap)
    gone = [False] * len(out)
    eliminated: list[int] = []
    work = 0
    while heap:
        fill, k = heappop(heap)
        if gone[k]:
            continue
        now = _fill(out[k], into[k])
        if now > fill:
            heappush(heap, (now, k))
            continue
        work += now
        if limit is not None and work > limit:
            raise TooLarge(f"more than {limit:,} entries of a linear system")
        gone[k] = True
        eliminated.append(k)
        own = out[k].pop(k, None)
        if own is not None:
            factor = one / (one - own)
            base[k] = base[k] * factor
            for j in out[k]:
                out[k][j] *= factor
        for j in out[k]:
            into[j].discard(k)
        for i in into[k]:
            weight = out[i].pop(k)
            base[i] = base[i] + weight * base[k]
            target = out[i]
            for j, a in out[k].items():
                target[j] = target[j] + weight * a if j in target else weight * a
                if j != i:
                    into[j].add(i)
    values: list[Any] = list(base)
    for k in reversed(eliminated):
        for j, a in out[k].items():
            values[k] = values[k] + a * values[j]
    return values


def _fill(out: Mapping[int, object], into: Iterable[int]) -> int:
    return len(out) * len(into)  # type: ignore[arg-type]


def solve_floats(rows: Sequence[FloatRow], guess: Sequence[float] | None = None) -> list[float]:
    """The values of a chain: by elimination, or by iteration from a guess where elimination fills in too much."""
    try:
        return solve(
            [(r, dict(zip(to, ws, strict=True))) for r, to, ws in rows],
            one=1.0,
            limit=ELIMINATION_MAX,
        )
    except TooLarge:
        return iterate(rows, list(guess) if guess is not None else [0.0] * len(rows))


def iterate(rows: Sequence[FloatRow], values: list[float]) -> list[float]:
    """The values of a chain from a guess: BiCGSTAB as far as it gets, then sweeps until they change nothing that counts."""
    values = _bicgstab(rows, values)
    for _ in range(SWEEPS_MAX):
        moved, size = 0.0, 1.0
        for i, row in enumerate(rows):
            value = after_step(row, values)
            moved = max(moved, abs(value - values[i]))
            size = max(size, abs(value))
            values[i] = value
        if not moved > 1e-13 * size:
            break
    return values


def _bicgstab(rows: Sequence[FloatRow], x: list[float]) -> list[float]:
    """Van der Vorst's method (1992) for v - A v = b; the best iterate found."""

    def residual(v: Sequence[float]) -> list[float]:
        return [after_step(row, v) - v[i] for i, row in enumerate(rows)]

    def product(v: Sequence[float]) -> list[float]:
        return [v[i] - fsum(map(mul, ws, [v[j] for j in to])) for i, (_, to, ws) in enumerate(rows)]

    def dot(a: Sequence[float], b: Sequence[float]) -> float:
        return fsum(map(mul, a, b))

    r = residual(x)
    shadow = p = list(r)
    rho = dot(shadow, r)
    best, least = list(x), max(map(abs, r), default=0.0)
    target = 1e-13 * max(1.0, least)
    for _ in range(300):
        if not least > target or not rho:
            break
        v = product(p)
        below = dot(shadow, v)
        if not below:
            break
        alpha = rho / below
        s = [a - alpha * b for a, b in zip(r, v, strict=True)]
        t = product(s)
        square = dot(t, t)
        omega = dot(t, s) / square if square else 0.0
        x = [a + alpha * b + omega * c for a, b, c in zip(x, p, s, strict=True)]
        r = [a - omega * b for a, b in zip(s, t, strict=True)]
        size = max(map(abs, r))
        if not isfinite(size):
            break
        if size < least:
            best, least = x, size
        following = dot(shadow, r)
        if not omega:
            break
        beta = following / rho * (alpha / omega)
        rho = following
        p = [a + beta * (b - omega * c) for a, b, c in zip(r, p, v, strict=True)]
    return list(best)


def exact_values(rows: Sequence[tuple[Weight, Successors]], discount: Fraction) -> list[Weight]:
    """The discounted values of a chain; affine where rewards are."""
    return solve(
        [(reward, {j: discount * w for j, w in after}) for reward, after in rows], one=Fraction(1)
    )


# --- games ---------------------------------------------------------------------------------------


def one_sided(
    rows: Sequence[Sequence[FloatRow]], *, least: bool, guess: list[int] | None = None
) -> tuple[list[float], list[int]]:
    """The values when one side picks a row in each state, the least or the greatest, and its picks: policy iteration."""
    sign = -1.0 if least else 1.0
    choice = guess or [max(range(len(r)), key=lambda a: (sign * r[a][0], -a)) for r in rows]
    values: list[float] | None = None
    open_ = [i for i, row in enumerate(rows) if len(row) > 1]
    for _ in range(ROUNDS_MAX):
        values = solve_floats([row[a] for row, a in zip(rows, choice, strict=True)], values)
        changed = False
        for i in open_:
            row = rows[i]
            scores = [sign * after_step(r, values) for r in row]
            best = max(range(len(row)), key=lambda a: (scores[a], -a))
            if scores[best] > scores[choice[i]] + EPSILON * max(1.0, abs(scores[best])):
                choice[i], changed = best, True
        if not changed:
            break
    return values or [], choice


def two_sided(
    rows: Sequence[Sequence[Sequence[FloatRow]]],
) -> tuple[list[float], list[int], list[list[int]]]:
    """The values when the best action meets the worst reply: values, a best action, and the worst reply to each action.

    Strategy iteration: the actions are bettered against the adversary's best replies to all of them (Hoffman and Karp,
    1966).
    """
    choice = [max(range(len(row)), key=lambda a: (min(r[0] for r in row[a]), -a)) for row in rows]
    values: list[float] = []
    for _ in range(ROUNDS_MAX):
        values, _ = one_sided([row[a] for row, a in zip(rows, choice, strict=True)], least=True)
        changed = False
        for i, row in enumerate(rows):
            scores = [min(after_step(r, values) for r in option) for option in row]
            best = max(range(len(row)), key=lambda a: (scores[a], -a))
            if scores[best] > scores[choice[i]] + 1e-9 * max(1.0, abs(scores[best])):
                choice[i], changed = best, True
        if not changed:
            break
    return values, choice, [[worst_reply(option, values) for option in row] for row in rows]


def worst_reply(option: Sequence[FloatRow], values: Sequence[float]) -> int:
    """The number of the reply that leaves the least; the first among equals."""
    if len(option) == 1:
        return 0
    scores = [after_step(row, values) for row in option]
    return min(range(len(option)), key=lambda y: (scores[y], y))
