"""What theorems claim, as the ledger records it."""

from __future__ import annotations

from fractions import Fraction

from dsl.codec import CodecError, Json, decode_int, encode_int, encode_rational
from dsl.machine import Program, Task, World
from dsl.types import Value, Variable, decode_value, encode_value
from proofs.kernel.theorem import (
    BestChoice,
    Broken,
    Improvement,
    Kept,
    Moment,
    NoImprovement,
    Optimality,
    Theorem,
    ValueBounds,
)


def encode_claim(theorem: Theorem, task: Task, program: Program | None = None) -> Json:
    """What a theorem says, as JSON; `program` is the one whose choice it is about, if it is about one."""
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
        case BestChoice(_, made_by, moment, actions, margin) if program is not None:
            return {
                "program": made_by,
                "actions": _named(task.actions, actions),
                **encode_moment(moment, program),
                "margin": encode_rational(margin),
            }
        case ValueBounds(_, _, least, most):
            return {"lower": _number(least), "upper": _number(most)}
        case Kept(_, _, requirement):
            return {"requirement": requirement}
        case Broken(_, _, requirement, world):
            return {"requirement": requirement, "world": encode_world(world, task)}
        case other:
            raise TypeError(f"no claim of the ledger: {other}")


def encode_moment(moment: Moment, program: Program) -> dict[str, Json]:
    """A moment: what is observed and remembered, by name, and the steps taken before."""
    return {
        "observed": _named(program.task.observed, moment.observed),
        "memory": _named(program.memories, moment.memory),
        "step": None if moment.step is None else encode_int(moment.step),
    }


def decode_moment(data: Json, program: Program) -> Moment:
    """The moment that `encode_moment` wrote; raises CodecError for anything else."""
    if not isinstance(data, dict) or data.keys() != {"observed", "memory", "step"}:
        raise CodecError("a moment is what is observed, the memory, and a step")
    step = None if data["step"] is None else decode_int(data["step"])
    observed = _values("what is observed", program.task.observed, data["observed"])
    return Moment(observed, _values("the memory", program.memories, data["memory"]), step)


def _named(variables: tuple[Variable, ...], values: tuple[Value, ...]) -> list[Json]:
    pairs = zip(variables, values, strict=True)
    return [[v.name, encode_value(v.type, x)] for v, x in pairs]


def _values(what: str, variables: tuple[Variable, ...], data: Json) -> tuple[Value, ...]:
    if not isinstance(data, list) or len(data) != len(variables):
        raise CodecError(f"{what} has {len(variables)} values")
    found: list[Value] = []
    for v, pair in zip(variables, data, strict=True):
        if not isinstance(pair, list) or len(pair) != 2 or pair[0] != v.name:
            raise CodecError(f"{what} begins with {v.name}, or goes on with it")
        found.append(decode_value(v.type, pair[1]))
    return tuple(found)


def encode_world(world: World, task: Task) -> Json:
    """A world as the names of what is open in it, each with its value; empty where there is one world."""
    kinds = [(v, x) for v, x in zip(task.any_states, world.starts, strict=True)]
    kinds += zip(task.unknowns, world.unknowns, strict=True)
    kinds += zip(task.rationals, world.rationals, strict=True)
    return [[v.name, encode_value(v.type, x)] for v, x in kinds]


def _number(value: Fraction | None) -> str | None:
    return None if value is None else encode_rational(value)
