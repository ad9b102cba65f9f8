"""The rules of inference about requirements: one function a rule, its figure above it.

A pair is a state with a memory. A step from a pair, which is not done, is one draw whose weight is not identically 0, for
one reply that the conditions of the adversary allow, whatever its rates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

from dsl.machine import ActionTuple, Always, Program, Reach, Requirement
from dsl.polynomial import Weight, substitute
from dsl.types import are_values
from proofs.kernel import certificate as c
from proofs.kernel.certificate import Pair
from proofs.kernel.chapter import Chapter, StartStates, StartWorld, require_reply
from proofs.kernel.region import Region
from proofs.kernel.theorem import CertificateError, require


@dataclass(frozen=True, slots=True)
class Run:
    """A program in all worlds of one value of the finite unknowns."""

    chapter: Chapter
    program: Program
    region: Region

    def holds(self, condition: Any, pair: Pair) -> bool:
        """Whether a condition over states holds at a pair."""
        return self.chapter.task.holds(condition, pair[0], self.region.unknowns)

    def holds_at(self, condition: Any, pair: Pair, actions: ActionTuple, after: Pair) -> bool:
        """Whether a condition over steps holds of one."""
        step = pair[0], actions, after[0]
        return self.chapter.task.holds_at_step(condition, *step, self.region.unknowns)

    def is_done(self, pair: Pair) -> bool:
        """Whether the episode has ended at a pair."""
        return self.chapter.is_done(pair[0], self.region.unknowns)

    def steps(self, pair: Pair, policy: str) -> Iterator[tuple[ActionTuple, Pair]]:
        """The actions and the pair that follows, of every step under a policy; none where the pair is done."""
        (state, memory), chapter, unknowns = pair, self.chapter, self.region.unknowns
        if self.is_done(pair):
            return
        known = self.region.fixed(chapter.task)
        decision = self.program.act(state, memory, policy=policy)
        for reply in chapter.replies(state, decision.actions, unknowns):
            chapter.steps += 1
            for outcome in chapter.outcomes(state, decision.actions, unknowns, reply):
                if substitute(outcome.weight, known) != 0:
                    yield decision.actions, (outcome.successor, decision.memory)

    def reached(self, starts: tuple[StartWorld, ...], steps: int | None) -> tuple[Pair, ...]:
        """The pairs, not done, at which main may be after some steps (None: any number), in some world of the region."""
        known, memory = self.region.fixed(self.chapter.task), self.program.memory_start
        drawn = (draw for _, states in starts for draw in states)
        met = here = {(x, memory): None for x, w in drawn if substitute(w, known) != 0}
        while here and steps != 0:
            after = dict.fromkeys(pair for x in here for _, pair in self.steps(x, "main"))
            here = {pair: None for pair in after if steps is not None or pair not in met}
            met, steps = (here, steps - 1) if steps is not None else ({**met, **here}, None)
        return tuple(pair for pair in met if not self.is_done(pair))

    def listed(self, pairs: Iterable[Pair]) -> list[Pair]:
        """The pairs of a certificate; raises CertificateError for what is none, or is listed twice."""
        seen: dict[Pair, None] = {}
        for pair in pairs:
            fine = type(pair) is tuple and len(pair) == 2
            fine = fine and are_values(self.chapter.task.states, pair[0])
            if not fine or not are_values(self.program.memories, pair[1]):
                raise CertificateError(f"{pair} is no state of this world with a memory")
            if pair in seen:
                raise CertificateError(f"{pair} is listed twice")
            seen[pair] = None
        return list(seen)


def require_kept(
    chapter: Chapter,
    program: Program,
    name: str,
    certificate: c.InvariantCertificate | c.RankCertificate,
) -> None:
    """Raise CertificateError unless the certificate shows that the program keeps a requirement, in every world."""
    requirement, regions = _requirement(chapter, name), chapter.regions()
    sets, always = cast(Any, certificate.sets), isinstance(requirement, Always)
    fits = always == isinstance(certificate, c.InvariantCertificate)
    require(fits, f"a {type(certificate).__name__} says nothing about {name}")
    fine = type(sets) is tuple and all(len(found) == (2 if always else 3) for found in sets)
    fine = fine and [found[0] for found in sets] == [region.unknowns for region in regions]
    require(fine, "there is not one set for each value of the unknowns, in order")
    for region, (_, pairs, *ranks) in zip(regions, sets, strict=True):
        run = Run(chapter, program, region)
        if isinstance(requirement, Always):
            _always(run, _invariant(run, pairs), requirement)
        else:
            _reach(run, _invariant(run, pairs), requirement, *ranks)


def _requirement(chapter: Chapter, name: str) -> Requirement:
    found = [r for r in chapter.task.requirements if r.name == name]
    require(len(found) == 1, f"there is no requirement {name}")
    return found[0]


def _invariant(run: Run, pairs: tuple[Pair, ...]) -> list[Pair]:
    """Rule `invariant`: pairs that hold everything the program reaches.

        I holds the starts    every step of main from a pair of I that is not done leads into I
        ---------------------------------------------------------------------------------------
                              every pair that the program reaches is in I

    Source: Floyd; Manna and Pnueli, Temporal Verification of Reactive Systems, rule INV. Pairs that are done are listed.
    """
    listed = run.listed(pairs)
    found = set(listed)
    for _, states in run.chapter.start_worlds(run.region.unknowns):
        for state, _ in states:
            fine = (state, run.program.memory_start) in found
            require(fine, f"the start {state} is not in the invariant")
    for pair in listed:
        for _, after in run.steps(pair, "main"):
            if after not in found:
                raise CertificateError(f"{after} is reached from {pair}, but not in the invariant")
    return listed


def _always(run: Run, reached: list[Pair], requirement: Always) -> None:
    """Rule `always`: what is reached has P; or, of steps, every step from what is reached has P.

    every pair that the program reaches is in I    P holds in I (of every step of main from I)
    ------------------------------------------------------------------------------------------
                                   the program keeps `always P`
    """
    name, condition = requirement.name, requirement.holds
    for pair in reached:
        if not requirement.of_step:
            require(run.holds(condition, pair), f"{name} does not hold at {pair}")
            continue
        for actions, after in run.steps(pair, "main"):
            holds = run.holds_at(condition, pair, actions, after)
            require(holds, f"{name} does not hold of a step from {pair}")


def _reach(
    run: Run, reached: list[Pair], requirement: Reach, ranks: tuple[tuple[Pair, int], ...]
) -> None:
    """Rule `reach`.

    every pair that main reaches is in I    every pair of I with P and not Q has a rank
    a rank is 1..k; no pair with a rank is done or has Q
    every step of F from a pair with a rank leads to Q, or to a pair with a smaller rank
    -----------------------------------------------------------------------------------
           from every pair with P that main reaches, F reaches Q within k steps
    """
    goal, limit, policy = requirement.goal, requirement.steps, requirement.policy
    require(policy in run.program.policies, f"there is no policy {policy}")
    listed = run.listed(pair for pair, _ in ranks)
    rank = dict(zip(listed, (number for _, number in ranks), strict=True))
    for pair in reached:
        fine = pair in rank or not run.holds(requirement.source, pair) or run.holds(goal, pair)
        require(fine, f"{pair} has no rank, though the goal is still to be reached")
    for pair, number in rank.items():
        fine = type(number) is int and 1 <= number <= limit
        require(fine, f"the rank of {pair} is {number}, not 1..{limit}")
        require(
            not run.is_done(pair) and not run.holds(goal, pair),
            f"{pair} has a rank, but is done or has reached the goal",
        )
        for _, after in run.steps(pair, policy):
            if not ((after in rank and rank[after] < number) or run.holds(goal, after)):
                raise CertificateError(f"the rank does not fall from {pair} to {after}")


# --- a path that breaks one ----------------------------------------------------------------------


def require_broken(
    chapter: Chapter, program: Program, name: str, certificate: c.PathCertificate
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
    requirement, world = _requirement(chapter, name), certificate.world
    _, starts = chapter.start_of(world)
    run = Run(chapter, program, Region.point(world.unknowns, world.rationals))
    moves, switch, horizon = certificate.moves, certificate.switch, chapter.task.utility.horizon
    require(type(moves) is tuple and all(type(m) is c.Move for m in moves), "a path is of moves")
    require(type(switch) is int and 0 <= switch <= len(moves), "the switch is outside the path")
    require(horizon is None or len(moves) <= horizon, "the path is longer than the horizon")
    later = ["main"] if isinstance(requirement, Always) else [requirement.policy]
    policies = ["main"] * switch + later * (len(moves) - switch)
    pairs, actions = _walk(run, certificate, starts, policies)
    if isinstance(requirement, Reach):
        rest, taken = pairs[switch:], len(moves) - switch
        require(run.holds(requirement.source, rest[0]), "the switch is at no source")
        require(not any(run.holds(requirement.goal, x) for x in rest), "the goal is reached")
        ended = taken == requirement.steps or run.is_done(rest[-1])
        require(ended and taken <= requirement.steps, "the path ends at no failure")
        return
    require(switch == len(moves), "a path is of steps of main")
    if requirement.of_step:
        require(bool(moves), "a path ends in a step")
        fails = not run.holds_at(requirement.holds, pairs[-2], actions[-1], pairs[-1])
    else:
        fails = not run.holds(requirement.holds, pairs[-1])
    require(fails, f"{name} holds at the end of the path")


def _walk(
    run: Run, certificate: c.PathCertificate, starts: StartStates, policies: list[str]
) -> tuple[list[Pair], list[ActionTuple]]:
    """The pairs along a path and the actions between them, each step of positive weight under its policy."""
    chapter, program, unknowns = run.chapter, run.program, run.region.unknowns
    point, kinds = run.region.fixed(chapter.task), chapter.task.states
    require(are_values(kinds, certificate.start), "the path starts in no state")
    weights = [w for x, w in starts if x == certificate.start]
    require(_is_positive(weights, point), "no episode starts where the path does")
    pairs, actions = [(certificate.start, program.memory_start)], list[ActionTuple]()
    for move, policy in zip(certificate.moves, policies, strict=True):
        state, memory = pairs[-1]
        require(policy in program.policies, f"there is no policy {policy}")
        require(not run.is_done(pairs[-1]), f"the episode has ended at {state}")
        decision = program.act(state, memory, policy=policy)
        rates = require_reply(chapter, state, decision.actions, unknowns, move.reply)
        rows = chapter.outcomes(state, decision.actions, unknowns, move.reply.finite)
        weights = [o.weight for o in rows if o.successor == move.successor]
        require(are_values(kinds, move.successor), "a move leads to no state")
        require(_is_positive(weights, {**point, **rates}), f"{state} does not lead to {move}")
        chapter.steps += 1
        pairs.append((move.successor, decision.memory))
        actions.append(decision.actions)
    return pairs, actions


def _is_positive(weights: Iterable[Weight], point: Mapping[str, Fraction]) -> bool:
    total = sum((substitute(weight, point) for weight in weights), Fraction(0))
    return isinstance(total, Fraction) and total > 0
