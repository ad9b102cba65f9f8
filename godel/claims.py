"""What theorems claim, as the ledger records it."""

from __future__ import annotations

from dsl.codec import Json, encode_rational
from proofs.kernel.theorem import Improvement, NoImprovement, Optimality, Theorem, ValueBounds


def encode_claim(theorem: Theorem) -> Json:
    """What a theorem says, as JSON."""
    match theorem.statement:
        case Improvement(_, criterion, _, _, old_upper, new_lower, gain):
            return {
                "criterion": criterion,
                "old_upper": encode_rational(old_upper),
                "new_lower": encode_rational(new_lower),
                "gain": encode_rational(gain),
            }
        case NoImprovement(_, criterion, _, _, old_lower, new_upper):
            return {
                "criterion": criterion,
                "old_lower": encode_rational(old_lower),
                "new_upper": encode_rational(new_upper),
            }
        case Optimality(_, _, lower, upper, gap):
            return {
                "lower": encode_rational(lower),
                "upper": encode_rational(upper),
                "gap": encode_rational(gap),
            }
        case ValueBounds(_, _, least, most):
            sides = {"lower": least, "upper": most}
            return {k: None if v is None else encode_rational(v) for k, v in sides.items()}
        case other:
            raise TypeError(f"no claim of the ledger: {other}")
