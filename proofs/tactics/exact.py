"""Exact solutions of games: the choices that floats found, solved exactly and bettered until no choice is better."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from dsl.polynomial import Weight
from proofs.explicit import Play, Step
from proofs.games import exact_values

ROUNDS_MAX = 20


def strategy_values(
    plays: Sequence[Sequence[Sequence[Play]]],
    choice: list[int],
    replies: list[list[int]],
    discount: Fraction,
) -> tuple[list[Weight], list[int], list[list[int]]]:
    """Values, the best option in each pair, and the worst reply to each option, all exact.

    After `ROUNDS_MAX` rounds of policy iteration the last values are given as they are: they need not be optimal then.
    """
    for _ in range(ROUNDS_MAX):
        chosen = [row[a][ys[a]].step for row, a, ys in zip(plays, choice, replies, strict=True)]
        values = exact_values([(s.reward, s.successors) for s in chosen], discount)  # type: ignore[misc]
        if all(len(row) == 1 and len(row[0]) == 1 for row in plays):
            break
        changed = False
        for i, row in enumerate(plays):
            scores: list[Fraction] = []
            for o, options in enumerate(row):
                worth = [_after(play.step, values, discount) for play in options]
                least = min(worth)
                if worth[replies[i][o]] > least:
                    replies[i][o] = worth.index(least)
                    changed = changed or o == choice[i]
                scores.append(least)
            best = max(scores)
            if scores[choice[i]] < best:
                choice[i], changed = scores.index(best), True
        if not changed:
            break
    return values, choice, replies


def _after(step: Step, values: Sequence[Weight], discount: Fraction) -> Fraction:
    total = sum((w * values[j] for j, w in step.successors), Fraction(0))
    return step.reward + discount * total  # type: ignore[return-value]
