"""The premises of the rule `best_choice`: at each pair of a moment, one step of the program and one of anything else."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from dsl.machine import Program, ReplyTuple
from proofs.kernel.certificate import Pair, Reply, Table
from proofs.kernel.theorem import Moment
from proofs.premise_bounds import (
    BoundLines,
    Chunk,
    EveryProgram,
    OneProgram,
    Option,
    Place,
    block,
)
from proofs.premises import Premise, PremiseError, make_premise
from proofs.rows import words, world_lines
from proofs.smtlib import TooLarge, decimal

NAME = "the choice at the moment"
PAIRS_MAX = 100
"""Pairs of one text."""


def choice_premises(
    place: Place,
    lower: Table,
    upper: Table,
    *,
    program: Program,
    moment: Moment,
    margin: Fraction,
) -> list[Premise]:
    """That at each pair of a moment one step of the program is worth more, by the margin, than one of anything else.

    The pairs are those that the lower table lists, which holds all that are reached; none where the moment does not come
    in this place. Raises PremiseError.
    """
    try:
        return _Choice(place, lower, upper, program, moment, margin).premises()
    except TooLarge as error:
        raise PremiseError(str(error)) from None


class _Choice:
    def __init__(
        self,
        place: Place,
        lower: Table,
        upper: Table,
        program: Program,
        moment: Moment,
        margin: Fraction,
    ) -> None:
        self.place, self.program, self.moment, self.margin = place, program, moment, margin
        self.rows, self.task = world_lines(place.task), place.task
        self.one, self.any = OneProgram(self.rows, program), EveryProgram(self.rows)
        self.low = BoundLines(place, self.rows, lower, self.one, "lower", NAME)
        self.high = BoundLines(place, self.rows, upper, self.any, "upper", NAME)
        self.layer = len(lower.layers) - 1 - (moment.step or 0)

    def premises(self) -> list[Premise]:
        """The texts, each of a part of the pairs."""
        pairs = [pair for pair in self.low.values[self.layer] if self._is_here(pair)]
        parts = [pairs[i : i + PAIRS_MAX] for i in range(0, len(pairs), PAIRS_MAX)]
        return [self._premise(part, i, len(parts)) for i, part in enumerate(parts)]

    def _is_here(self, pair: Pair) -> bool:
        at = dict(zip((v.name for v in self.task.states), pair[0], strict=True))
        observed = tuple(at[v.name] for v in self.task.observed)
        return (observed, pair[1]) == (self.moment.observed, self.moment.memory)

    def _premise(self, pairs: list[Pair], index: int, count: int) -> Premise:
        chunk = Chunk()
        for i, pair in enumerate(pairs):
            name = f"at.{i}"
            chunk.names.append(name)
            about = f"at {self.one.pair_words(pair)}"
            chunk.lines += block(name, about, chunk.new(self._goals(chunk, pair)))
        (policy,) = self.one.policies
        groups = [self.rows.facts, policy.facts, self.place.facts(self.rows, rates=True)]
        goals = ["; --- the world", *self.place.goals(self.rows), *self.rows.world.lines]
        goals += ["", "; --- the policy", *policy.lines]
        goals += self.low.prices()
        goals += [f"(define-fun margin () Real {decimal(self.margin)})"]
        goals += ["", "; --- the values listed, of the program and of every program"]
        goals += [*self.low.value_lines(chunk), *self.high.value_lines(chunk)]
        goals += ["", "; --- what is to be shown at each state", *chunk.lines]
        goals += ["", f"(assert (not (and {' '.join(chunk.names)})))", "(check-sat)"]
        part = "" if count == 1 else f", part {index + 1} of {count}"
        return make_premise(self._title(part), NAME + part, groups, goals)

    def _title(self, part: str) -> str:
        task, moment = self.task, self.moment
        shown = words(task.observed, moment.observed)
        kept = words(self.program.memories, moment.memory)
        after = (
            "" if moment.step is None else f" after {moment.step} step{'s' * (moment.step != 1)}"
        )
        unknowns = self.place.words()
        return (
            f"Machine {task.declarations.name}: what {self.one.who} does{after} where it sees {shown}"
            f"{' and remembers ' if kept else ''}{kept} is worth {self.margin} more than anything else"
            f"{' where ' if unknowns else ''}{unknowns}{part}."
        )

    def _goals(self, chunk: Chunk, pair: Pair) -> Iterator[str | None]:
        state = pair[0]
        yield self.rows.done_goal(state, done=False)
        shown, (taken,) = self.one.options(pair)
        yield from shown
        listed, others = self.rows.replies(self.place.region.unknowns, state, taken.actions)
        yield from others
        worth: list[str] = []
        for reply in listed:
            goals, term = self._step(chunk, self.low, pair, taken, reply)
            yield from goals
            worth.append(term)
        adversary = bool(self.task.adversaries or self.task.rates)
        at = state, ()
        if at not in self.high.values[self.layer]:
            raise PremiseError(f"{self.any.pair_words(at)} is not listed")
        for i, option in enumerate(self.any.options(at)[1]):
            if option.actions == taken.actions:
                continue
            answer: Reply | ReplyTuple = self.high.named(at, self.layer, i) if adversary else ()
            if adversary:
                yield self.rows.allowed_goal(state, option.actions, answer)
            goals, other = self._step(chunk, self.high, at, option, answer)
            yield from goals
            yield from (f"(>= (- {term} {other}) margin)" for term in worth)

    def _step(
        self,
        chunk: Chunk,
        bound: BoundLines,
        pair: Pair,
        option: Option,
        reply: Reply | ReplyTuple,
    ) -> tuple[list[str | None], str]:
        step = self.rows.step(self.place.region.unknowns, pair[0], option.actions, reply)
        goals, worth = bound.worth(chunk, pair, self.layer, option, step)
        return [*step.goals, *goals], worth
