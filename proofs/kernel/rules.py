"""The rules of inference about values: one function a rule, its figure above it.

Notation: x a state, p a program with actions p(x) and ticks t(x), c the tick price, g the discount (1 under a horizon);
P, r and x' the weight, reward and successor of each draw of the step; V the value without size at a state, 0 where done.
    (T_p v)(x) = sum over draws of P (r - c t(x) + g v(x'))        v(x') = 0 where done(x')
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import gcd
from typing import TypeAlias

from dsl.machine import ActionTuple, Program, StateTuple
from dsl.types import inhabits
from proofs.kernel.certificate import Table
from proofs.kernel.chapter import Chapter
from proofs.kernel.theorem import CertificateError

Layer: TypeAlias = Mapping[StateTuple, Fraction]
Holds: TypeAlias = Callable[[Fraction, Fraction], bool]


def lower_bound(chapter: Chapter, program: Program, table: Table) -> Fraction:
    """A bound of V from below, averaged over the starts.

        K holds the starts      K is closed under p      L(x) <= (T_p L)(x) for all x in K
        ----------------------------------------------------------------------------------
                                   V_p(x) >= L(x) for all x in K

    0 <= g < 1, or in layers k = 0..H with g = 1: K_H holds the starts, successors of K_{k+1} lie in K_k or are done,
    L_0 = 0, L_{k+1} <= T_p L_k. Source: Puterman, Markov Decision Processes, Theorem 6.2.2 (b), for one policy; in layers
    by induction on k. Side conditions: the certificate lists only states that are not done; rewards and ticks are exact.
    """
    return _check(chapter, table, lambda x: ((program.act(x).actions, program.act(x).ticks),), lambda a, b: a <= b)


def upper_bound(chapter: Chapter, program: Program, table: Table) -> Fraction:
    """A bound of V from above, averaged over the starts.

        K holds the starts      K is closed under p      L(x) >= (T_p L)(x) for all x in K
        ----------------------------------------------------------------------------------
                                   V_p(x) <= L(x) for all x in K

    Source and side conditions as for `lower_bound` (Puterman, Theorem 6.2.2 (a)).
    """
    return _check(chapter, table, lambda x: ((program.act(x).actions, program.act(x).ticks),), lambda a, b: a >= b)


def upper_bound_of_every_program(chapter: Chapter, table: Table) -> Fraction:
    """A bound from above of V of every program whatever, averaged over the starts.

        K holds the starts    K is closed under every action    W(x) >= (T_a W)(x) for all x in K and actions a
        -----------------------------------------------------------------------------------------------------
                               V_p(x) <= W(x) for all x in K and every program p

    (T_a W)(x) is the step with action a and no ticks: prices are at least 0, so ticks only lower a value; sensors and
    memory only restrict the choice. Source: Puterman, Theorem 6.2.2 (a); action types are finite.
    """
    actions = tuple((a, 0) for a in chapter.all_actions())
    return _check(chapter, table, lambda x: actions, lambda a, b: a >= b)


def _check(
    chapter: Chapter,
    table: Table,
    choices: Callable[[StateTuple], tuple[tuple[ActionTuple, int], ...]],
    holds: Holds,
) -> Fraction:
    """Check every premise of a bound; `choices` gives the actions, with their ticks, that a state must answer for."""
    utility = chapter.task.utility
    layers = [_listed(chapter, layer) for layer in table.layers]
    if utility.horizon is None:
        if not 0 <= utility.discount < 1:
            raise CertificateError("the discount must be at least 0 and below 1")
        if len(layers) != 1:
            raise CertificateError(f"under a discount there is one layer, found {len(layers)}")
        below = layers
    else:
        if len(layers) != utility.horizon:
            raise CertificateError(
                f"the horizon asks for {utility.horizon} layers, found {len(layers)}"
            )
        below = [{}, *layers[:-1]]
    chosen: dict[StateTuple, tuple[tuple[ActionTuple, int], ...]] = {}
    for k, (layer, reached) in enumerate(zip(layers, below, strict=True)):
        last = utility.horizon is not None and k == 0
        for state, value in layer.items():
            if state not in chosen:
                chosen[state] = choices(state)
            for actions, ticks in chosen[state]:
                chapter.steps += 1
                after = _step_value(chapter, state, actions, ticks, None if last else reached)
                if not holds(value, after):
                    raise CertificateError(
                        f"the inequality fails at state {state}, layer {k}: {value} against {after}"
                    )
    return _at_starts(chapter, layers[-1])


def _listed(
    chapter: Chapter, layer: tuple[tuple[StateTuple, Fraction], ...]
) -> dict[StateTuple, Fraction]:
    values: dict[StateTuple, Fraction] = {}
    kinds = [v.type for v in chapter.task.states]
    for state, value in layer:
        if state in values:
            raise CertificateError(f"state {state} is listed twice")
        if len(state) != len(kinds) or not all(map(inhabits, kinds, state)):
            raise CertificateError(f"{state} is no state of this world")
        if type(value) is not Fraction or not _in_lowest_terms(value):
            raise CertificateError(f"the value at state {state} is no rational")
        if chapter.is_done(state):
            raise CertificateError(f"state {state} is listed, but the episode has ended there")
        values[state] = value
    return values


def _in_lowest_terms(value: Fraction) -> bool:
    above, below = value.numerator, value.denominator
    return type(above) is int and type(below) is int and below >= 1 and gcd(above, below) == 1


def _step_value(
    chapter: Chapter, state: StateTuple, actions: ActionTuple, ticks: int, reached: Layer | None
) -> Fraction:
    """(T v)(x) for one choice of actions; `reached` gives v, or None for v = 0 with no step to go."""
    utility = chapter.task.utility
    total = -utility.tick_price * ticks
    for outcome in chapter.outcomes(state, actions):
        total += outcome.weight * outcome.reward
        if reached is None or chapter.is_done(outcome.successor):
            continue
        if outcome.successor not in reached:
            raise CertificateError(
                f"state {outcome.successor} is reached from {state}, but not listed"
            )
        total += utility.discount * outcome.weight * reached[outcome.successor]
    return total


def _at_starts(chapter: Chapter, values: Layer) -> Fraction:
    total = Fraction(0)
    for state, weight in chapter.starts:
        if chapter.is_done(state):
            continue
        if state not in values:
            raise CertificateError(f"the start {state} is not listed")
        total += weight * values[state]
    return total
