"""What theorems claim, as the ledger records it."""

from __future__ import annotations

from fractions import Fraction

from dsl.codec import Json, encode_rational
from dsl.machine import Task, World
from dsl.types import encode_value
from proofs.kernel.theorem import (
    Broken,
    Improvement,
    Kept,
    NoImprovement,
    Optimality,
    Theorem,
    ValueBounds,
)


def encode_claim(theorem: Theorem, task: Task) -> Json:
    """What a theorem says, as JSON."""
    match theorem.statement:
        case Improvement(_, criterion, _, _, world, old_upper, new_lower, gain):
            return {
                "criterion": criterion,
                "world": encode_world(world, task),
                "old_upper": _number(old_upper),
                "new_lower": _number(new_lower),
                "gain": encode_rational(gain),
            }
        case NoImprovement(_, criterion, _, _, world, old_lower, new_upper):
            return {
                "criterion": criterion,
                "world": None if world is None else encode_world(world, task),
                "old_lower": _number(old_lower),
                "new_upper": _number(new_upper),
            }
        case Optimality(_, _, lower, upper, gap):
            return {
                "lower": encode_rational(lower),
                "upper": encode_rational(upper),
                "gap": encode_rational(gap),
            }
        case ValueBounds(_, _, least, most):
            return {"lower": _number(least), "upper": _number(most)}
        case Kept(_, _, requirement):
            return {"requirement": requirement}
        case Broken(_, _, requirement, world):
            return {"requirement": requirement, "world": encode_world(world, task)}
        case other:
            raise TypeError(f"no claim of the ledger: {other}")


def encode_world(world: World, task: Task) -> Json:
    """A world as the names of what is open in it, each with its value; empty where there is one world."""
    kinds = [(v, x) for v, x in zip(task.any_states, world.starts, strict=True)]
    kinds += zip(task.unknowns, world.unknowns, strict=True)
    kinds += zip(task.rationals, world.rationals, strict=True)
    return [[v.name, encode_value(v.type, x)] for v, x in kinds]


def _number(value: Fraction | None) -> str | None:
    return None if value is None else encode_rational(value)
