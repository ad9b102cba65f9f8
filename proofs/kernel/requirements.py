"""The rules of inference about requirements: one function a rule, its figure above it.

A pair is a state with a memory. A step from a pair, which is not done, is one draw whose weight is not identically 0, for
one reply that the conditions of the adversary allow, whatever its rates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from dsl.machine import (
    ActionTuple,
    Always,
    Program,
    Reach,
    Requirement,
    StateTuple,
)
from dsl.polynomial import Weight, substitute
from proofs.kernel.certificate import (
    InvariantCertificate,
    Move,
    Pair,
    PathCertificate,
    RankCertificate,
)
from proofs.kernel.chapter import Chapter, are_values
from proofs.kernel.region import Region
from proofs.kernel.rules import require_reply
from proofs.kernel.theorem import CertificateError


def require_kept(
    chapter: Chapter,
    program: Program,
    name: str,
    certificate: InvariantCertificate | RankCertificate,
) -> None:
    """Raise CertificateError unless the certificate shows that the program keeps a requirement, in every world."""
    requirement, regions = _requirement(chapter, name), chapter.regions()
    width = 2 if isinstance(requirement, Always) else 3
    if isinstance(requirement, Always) != isinstance(certificate, InvariantCertificate):
        raise CertificateError(f"a {type(certificate).__name__} says nothing about {name}")
    sets: tuple[tuple[Any, ...], ...] = certificate.sets
    if (
        type(sets) is not tuple
        or any(type(found) is not tuple or len(found) != width for found in sets)
        or [found[0] for found in sets] != [region.unknowns for region in regions]
    ):
        raise CertificateError("there is not one set for each value of the unknowns, in order")
    for region, found in zip(regions, sets, strict=True):
        reached = _invariant(chapter, program, region, found[1])
        if isinstance(requirement, Always):
            _always(chapter, program, region, reached, requirement)
        else:
            _reach(chapter, program, region, reached, requirement, found[2])


def _requirement(chapter: Chapter, name: str) -> Requirement:
    found = [r for r in chapter.task.requirements if r.name == name]
    if len(found) != 1:
        raise CertificateError(f"there is no requirement {name}")
    return found[0]


def _invariant(
    chapter: Chapter, program: Program, region: Region, pairs: tuple[Pair, ...]
) -> list[Pair]:
    """Rule `invariant`: pairs that hold everything the program reaches.

        I holds the starts    every step of main from a pair of I that is not done leads into I
        ---------------------------------------------------------------------------------------
                              every pair that the program reaches is in I

    Source: Floyd; Manna and Pnueli, Temporal Verification of Reactive Systems, rule INV. Pairs that are done are listed.
    """
    listed = list(_pairs(chapter, program, pairs))
    found = set(listed)
    for _, states in chapter.start_worlds(region.unknowns):
        for state, weight in states:
            if (state, program.memory_start) not in found and weight != 0:
                raise CertificateError(f"the start {state} is not in the invariant")
    for pair in listed:
        for _, after in _steps(chapter, program, region, pair, "main"):
            if after not in found:
                raise CertificateError(f"{after} is reached from {pair}, but not in the invariant")
    return listed


def _pairs(chapter: Chapter, program: Program, pairs: tuple[Pair, ...]) -> Iterator[Pair]:
    seen = set[Pair]()
    for pair in pairs:
        if (
            type(pair) is not tuple
            or len(pair) != 2
            or not are_values(chapter.task.states, pair[0])
            or not are_values(program.memories, pair[1])
        ):
            raise CertificateError(
                f"{pair} is no state of this world with a memory of this program"
            )
        if pair in seen:
            raise CertificateError(f"{pair} is listed twice")
        seen.add(pair)
        yield pair


def _steps(
    chapter: Chapter, program: Program, region: Region, pair: Pair, policy: str
) -> Iterator[tuple[ActionTuple, Pair]]:
    """The actions and the pair that follows, of every step under a policy; none where the pair is done."""
    state, unknowns, known = pair[0], region.unknowns, region.fixed(chapter.task)
    if chapter.is_done(state, unknowns):
        return
    decision = program.act(state, pair[1], policy=policy)
    for reply in chapter.replies(state, decision.actions, unknowns):
        chapter.steps += 1
        for outcome in chapter.outcomes(state, decision.actions, unknowns, reply):
            if substitute(outcome.weight, known) != 0:
                yield decision.actions, (outcome.successor, decision.memory)


def _always(
    chapter: Chapter, program: Program, region: Region, reached: list[Pair], requirement: Always
) -> None:
    """Rule `always`: what is reached has P; or, of steps, every step from what is reached has P.

    every pair that the program reaches is in I    P holds in I (of every step of main from I)
    ------------------------------------------------------------------------------------------
                                   the program keeps `always P`
    """
    task, unknowns = chapter.task, region.unknowns
    for pair in reached:
        if not requirement.of_step:
            if not task.holds(requirement.holds, pair[0], unknowns):
                raise CertificateError(f"{requirement.name} does not hold at {pair}")
            continue
        for actions, (state, _) in _steps(chapter, program, region, pair, "main"):
            if not task.holds_at_step(requirement.holds, pair[0], actions, state, unknowns):
                raise CertificateError(f"{requirement.name} does not hold of a step from {pair}")


def _reach(
    chapter: Chapter,
    program: Program,
    region: Region,
    reached: list[Pair],
    requirement: Reach,
    ranks: tuple[tuple[Pair, int], ...],
) -> None:
    """Rule `reach`.

    every pair that main reaches is in I    every pair of I with P and not Q has a rank
    a rank is 1..k; no pair with a rank is done or has Q
    every step of F from a pair with a rank leads to Q, or to a pair with a smaller rank
    -----------------------------------------------------------------------------------
           from every pair with P that main reaches, F reaches Q within k steps
    """
    task, unknowns = chapter.task, region.unknowns
    if requirement.policy not in program.policies:
        raise CertificateError(f"there is no policy {requirement.policy}")
    listed = _pairs(chapter, program, tuple(pair for pair, _ in ranks))
    rank = dict(zip(listed, (number for _, number in ranks), strict=True))
    for pair in reached:
        source = task.holds(requirement.source, pair[0], unknowns)
        if source and pair not in rank and not task.holds(requirement.goal, pair[0], unknowns):
            raise CertificateError(f"{pair} has no rank, though the goal is still to be reached")
    for pair, number in rank.items():
        if type(number) is not int or not 1 <= number <= requirement.steps:
            raise CertificateError(f"the rank of {pair} is {number}, not 1..{requirement.steps}")
        if chapter.is_done(pair[0], unknowns) or task.holds(requirement.goal, pair[0], unknowns):
            raise CertificateError(f"{pair} has a rank, but is done or has reached the goal")
        for _, after in _steps(chapter, program, region, pair, requirement.policy):
            if task.holds(requirement.goal, after[0], unknowns):
                continue
            if after not in rank or not rank[after] < number:
                raise CertificateError(f"the rank does not fall from {pair} to {after}")


# --- a path that breaks one ----------------------------------------------------------------------


def require_broken(
    chapter: Chapter, program: Program, name: str, certificate: PathCertificate
) -> None:
    """Raise CertificateError unless the certificate shows that the program breaks a requirement.

        a path of positive weight in one world, each reply allowed    it ends where P fails, or its last step fails P
        -----------------------------------------------------------------------------------------------------------
                                            the program breaks `always P`

        … main's moves lead to P; then F's moves reach Q at no point, and are k or end in a state that is done
        -----------------------------------------------------------------------------------------------------
                                the program breaks `within k reach Q from P using F`

    The memory is what main leaves it at. Under a horizon H the path has at most H moves.
    """
    requirement, task, world = _requirement(chapter, name), chapter.task, certificate.world
    _, starts = chapter.start_of(world)
    moves, switch, unknowns = certificate.moves, certificate.switch, world.unknowns
    _require(type(moves) is tuple and all(type(m) is Move for m in moves), "a path is of moves")
    _require(type(switch) is int and 0 <= switch <= len(moves), "the switch is outside the path")
    horizon = task.utility.horizon
    _require(horizon is None or len(moves) <= horizon, "the path is longer than the horizon")
    reach = isinstance(requirement, Reach)
    _require(reach or switch == len(moves), "a path is of steps of main")
    policy = requirement.policy if isinstance(requirement, Reach) else "main"
    policies = ["main"] * switch + [policy] * (len(moves) - switch)
    states, actions = _walk(chapter, program, certificate, starts, policies)
    if isinstance(requirement, Reach):
        goal, rest = requirement.goal, states[switch:]
        _require(task.holds(requirement.source, rest[0], unknowns), "the switch is at no source")
        _require(not any(task.holds(goal, x, unknowns) for x in rest), "the goal is reached")
        ended = len(moves) - switch == requirement.steps or chapter.is_done(rest[-1], unknowns)
        _require(ended and len(moves) - switch <= requirement.steps, "the path ends at no failure")
    elif requirement.of_step:
        _require(bool(moves), "a path ends in a step")
        step = states[-2], actions[-1], states[-1]
        fails = not task.holds_at_step(requirement.holds, *step, unknowns)
        _require(fails, f"{name} holds of the last step")
    else:
        _require(switch == len(moves), "a path is of steps of main")
        _require(
            not task.holds(requirement.holds, states[-1], unknowns), f"{name} holds at the end"
        )


def _walk(
    chapter: Chapter,
    program: Program,
    certificate: PathCertificate,
    starts: tuple[tuple[StateTuple, Weight], ...],
    policies: list[str],
) -> tuple[list[StateTuple], list[ActionTuple]]:
    """The states along a path and the actions between them, each step of positive weight under its policy."""
    task, world = chapter.task, certificate.world
    point = dict(zip((v.name for v in task.rationals), world.rationals, strict=True))
    _require(are_values(task.states, certificate.start), "the path starts in no state")
    weights = [w for x, w in starts if x == certificate.start]
    _require(_is_positive(weights, point), "no episode starts where the path does")
    states, actions, memory = [certificate.start], list[ActionTuple](), program.memory_start
    for move, policy in zip(certificate.moves, policies, strict=True):
        state = states[-1]
        _require(policy in program.policies, f"there is no policy {policy}")
        _require(not chapter.is_done(state, world.unknowns), f"the episode has ended at {state}")
        decision = program.act(state, memory, policy=policy)
        rates = require_reply(chapter, state, decision.actions, world.unknowns, move.reply)
        rows = chapter.outcomes(state, decision.actions, world.unknowns, move.reply.finite)
        weights = [o.weight for o in rows if o.successor == move.successor]
        _require(are_values(task.states, move.successor), "a move leads to no state")
        _require(_is_positive(weights, {**point, **rates}), f"{state} does not lead to {move}")
        chapter.steps += 1
        states.append(move.successor)
        actions.append(decision.actions)
        memory = decision.memory
    return states, actions


def _is_positive(weights: Iterable[Weight], point: Mapping[str, Fraction]) -> bool:
    total = sum((substitute(weight, point) for weight in weights), Fraction(0))
    return isinstance(total, Fraction) and total > 0


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise CertificateError(reason)
