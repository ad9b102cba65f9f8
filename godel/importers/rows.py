"""Finite worlds given row by row, and the laws of chance that their rows share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

# the longest law of chance that rows are made to share, and how many laws are tried
SHARED_MAX = 8
TRIED_MAX = 4

Row: TypeAlias = "tuple[Move, ...]"
Rows: TypeAlias = "Mapping[tuple[int, int], Row]"
# the outcomes of one row, in slots that mean the same weight in every row; None pads a row that has fewer
Slots: TypeAlias = "tuple[Move | None, ...]"
Law: TypeAlias = "tuple[Fraction, ...]"


@dataclass(frozen=True, slots=True)
class Move:
    """One outcome of an action: its weight, the state it leads to, the reward, and whether the episode ends there."""

    weight: Fraction
    to: int
    reward: Fraction
    ends: bool


@dataclass(frozen=True, slots=True)
class World:
    """A finite world: `rows` holds the outcomes of each action in each state where an episode can go on.

    Weights are positive and sum to 1, in every row and in `starts`; all actions of a state are there or none.
    """

    states: int
    actions: int
    starts: tuple[tuple[int, Fraction], ...]
    rows: Rows


def align_rows(rows: Rows) -> tuple[Law | None, dict[tuple[int, int], Slots]]:
    """The law that all rows share, where there is one, and every row as slots of it.

    A row keeps its order where it has the law as given; otherwise outcomes that differ in weight alone are merged, and an
    outcome may take several slots. Without a shared law merged rows are padded to one length.
    """
    merged = {key: _merge(row) for key, row in rows.items()}
    law = _find_shared_law(rows, merged)
    if law is None:
        width = max(len(row) for row in merged.values())
        return None, {key: row + (None,) * (width - len(row)) for key, row in merged.items()}
    fits = {weights: _fit(weights, law) for weights in map(_weights, merged.values())}
    found: dict[tuple[int, int], Slots] = {}
    for key, row in merged.items():
        if _weights(rows[key]) == law:
            found[key] = rows[key]
        else:
            found[key] = tuple(row[i] for i in fits[_weights(row)] or ())
    return law, found


def _merge(row: Row) -> Row:
    weights: dict[tuple[int, Fraction, bool], Fraction] = {}
    for m in row:
        key = (m.to, m.reward, m.ends)
        weights[key] = weights.get(key, Fraction(0)) + m.weight
    return tuple(Move(weight, *key) for key, weight in weights.items())


def _weights(row: Row) -> Law:
    return tuple(m.weight for m in row)


def _find_shared_law(given: Rows, merged: Rows) -> Law | None:
    """Weights that serve every row, a short law before a long one."""
    every = {_weights(row) for row in merged.values()}
    for rows in (merged, given):
        longest = max(len(row) for row in rows.values())
        if longest > SHARED_MAX:
            continue
        laws = Counter(_weights(row) for row in rows.values() if len(row) == longest)
        for law, _ in laws.most_common(TRIED_MAX):
            if all(_fit(weights, law) is not None for weights in every):
                return law
    return None


def _fit(weights: Law, law: Law) -> tuple[int, ...] | None:
    """For each weight of the law the outcome that takes it, so that all outcomes keep their weights."""
    if not law:
        return None if any(weights) else ()
    for i, left in enumerate(weights):
        if left >= law[0]:
            rest = _fit((*weights[:i], left - law[0], *weights[i + 1 :]), law[1:])
            if rest is not None:
                return (i, *rest)
    return None
