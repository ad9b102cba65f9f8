"""Family `improve`: other actions where they seem worth more, in one observed state, a region, or everywhere.

A change counts by how often its situation is met from the starts and by how much better the other action is there (the
performance difference lemma; Kakade & Langford, ICML 2002, lemma 6.1). Where nothing that is met can be bettered, values
are swept on a scratch copy of the decisions until the values at the starts rise. Decisions belong to an observed state and a
memory; what is kept in memory is left as it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TypeAlias

from dsl.errors import DslError
from dsl.machine import ActionTuple, Program
from dsl.rewrite import Edit, RewriteError, apply_rewrite
from godel.families.decisions import Decisions, Situation
from godel.families.family import Candidate, Candidates, Family, Workplace
from godel.families.patches import edit_decisions
from godel.families.scratch import EPSILON, Choice, Played, Scores, Scratch, scratch_of
from proofs.explicit import TooLarge
from proofs.kernel.theorem import CertificateError

RADIUS = 2
UNMET_TRIED = 1
FAILED_MAX = 32
"""How many changes in a row are tried on the scratch copy in vain."""
SWEPT_MAX = 4_000_000
"""How many pairs are gone through before the sweeps of a candidate stop."""


def improve(*, states: str | int, rounds: int = 100, width: int = 4) -> Family:
    """The family with these settings: `states` is `one` (or 1), `region` or `all`.

    At most `rounds` sweeps are made, and `width` regions tried.
    """
    shapes: Mapping[str | int, _Shape] = {1: _one, "one": _one, "region": _region, "all": _all}

    def candidates(workplace: Workplace, program: Program) -> Candidates:
        try:
            trial = _Trial(workplace, program, rounds, width)
        except (TooLarge, CertificateError):
            return 0
        before, failed = 0, 0
        for choice, note in shapes[states](trial):
            edits = trial.edits(choice, everywhere=states == "all")
            if edits is None:
                failed += 1
                if failed >= FAILED_MAX:
                    break
                continue
            yield Candidate(edits, note, trial.steps - before)
            before, failed = trial.steps, 0
        return trial.steps - before

    return candidates


class _Trial:
    """A scratch copy with settings; `steps` counts the work done on it."""

    def __init__(self, work: Workplace, program: Program, rounds: int, width: int) -> None:
        scratch = scratch_of(work, program)
        self.chapter, self.program = work.chapter, program
        self.scratch, self.rounds, self.width = scratch, rounds, width
        self.steps = scratch.steps
        self.first = scratch.first_scores

    def play(self, choice: Choice) -> Played:
        """The values under a choice of actions."""
        self.steps += self.scratch.steps
        return self.scratch.play(choice)

    def edits(self, change: Choice, *, everywhere: bool) -> tuple[Edit, ...] | None:
        """Edits that make a change of decisions where it is met, and leave alone what else is met; None where none gain.

        With `everywhere` the change is made also where it is not met yet: what follows may lead there.
        """
        scratch = self.scratch
        changed = {**scratch.start_choice, **change}
        met = scratch.reached(changed)
        wanted = {o: a for o, a in change.items() if everywhere or o in met} or dict(change)
        kept = {o: a for o, a in changed.items() if o in met and o not in wanted}
        before: tuple[Edit, ...] | None = None
        for guards in (True, False):
            edits = edit_decisions(scratch.decisions, wanted, kept, guards=guards)
            if edits is not None and edits != before and self._gain(edits, change):
                return edits
            before = edits
        return None

    def _gain(self, edits: tuple[Edit, ...], change: Choice) -> bool:
        """Whether edits seem to gain, the ticks and the size of the new code taken into account."""
        utility = self.program.task.utility
        try:
            new = self.chapter.program(apply_rewrite(self.program.code, edits))
        except (RewriteError, DslError, CertificateError):
            return False
        if not utility.tick_price and not utility.size_price:
            # with one start and nobody who replies, a state that is not met yet may be met after the next change
            if self.scratch.is_plain or self._is_sure(change):
                return True
        self.steps += self.scratch.steps
        choice = {**self.scratch.start_choice, **change}
        paid = self.scratch.play(choice, Decisions(new) if utility.tick_price else None)
        larger = utility.size_price * (new.size - self.program.size)
        return self.scratch.rises(paid, self.scratch.first, cost=float(larger))

    def _is_sure(self, change: Choice) -> bool:
        """Whether a change loses nowhere, and gains where it is met."""
        if self.scratch.better != "dominates":
            return False
        weighted, least = self.first.weighted, self.first.least
        gains = any(weighted[o][a] > EPSILON for o, a in change.items())
        return gains and all(least[o][a] >= -EPSILON for o, a in change.items())


_Change: TypeAlias = "tuple[dict[Situation, ActionTuple], str]"
_Shape: TypeAlias = Callable[[_Trial], Iterator[_Change]]


# --- one observed state --------------------------------------------------------------------------


def _ranked(trial: _Trial, *, broken: bool = False) -> list[dict[Situation, ActionTuple]]:
    """Changes to one action in one observed state that seem to gain, best first; then the best of those never met.

    Those that break a requirement at once are left out, or are all there is.
    """
    scratch, scores = trial.scratch, trial.first
    observed = len(scratch.decisions.observed)
    met: dict[tuple[Situation, ActionTuple], dict[Situation, float]] = {}
    unmet: dict[tuple[Situation, ActionTuple], dict[Situation, float]] = {}
    for o, gains in scores.weighted.items():
        idle = max(gains.values(), default=0.0) <= EPSILON
        bad = scratch.broken.get(o, frozenset())
        for a, gain in gains.items():
            if (a in bad) != broken:
                continue
            if gain > EPSILON:
                met.setdefault((o[:observed], a), {})[o] = gain
            elif idle and scores.plain[o][a] > EPSILON:
                unmet.setdefault((o[:observed], a), {})[o] = scores.plain[o][a]
    found = _sorted(met)
    return found + _sorted({k: v for k, v in unmet.items() if k not in met})[:UNMET_TRIED]


def _sorted(
    changes: Mapping[tuple[Situation, ActionTuple], Mapping[Situation, float]],
) -> list[dict[Situation, ActionTuple]]:
    order = sorted(changes.items(), key=lambda c: (-sum(c[1].values()), repr(c[0][0]), c[0][1]))
    return [dict.fromkeys(gains, a) for (_, a), gains in order]


def _one(trial: _Trial) -> Iterator[_Change]:
    for change in _ranked(trial):
        yield change, f"another action at {_where(trial.scratch, change)}"
    for change in islice(_ranked(trial, broken=True), UNMET_TRIED):
        yield change, f"another action at {_where(trial.scratch, change)}"


def _where(scratch: Scratch, change: Mapping[Situation, ActionTuple]) -> str:
    """The observed state of a change, with its memory where it is for one alone of several."""
    observed, situation = len(scratch.decisions.observed), next(iter(change))
    alike = sum(o[:observed] == situation[:observed] for o in scratch.allowed)
    alone = len(change) == 1 and alike > 1
    return scratch.decisions.show(situation if alone else situation[:observed])


# --- many ----------------------------------------------------------------------------------------


def _region(trial: _Trial) -> Iterator[_Change]:
    """What lies around a promising situation, each with its best action, swept until the values at the starts rise."""
    for centre in _ranked(trial)[: trial.width]:
        choice = _swept(trial, _ball(trial.scratch, centre))
        if choice:
            yield choice, f"{_count(trial, choice)} around {_where(trial.scratch, centre)}"


def _all(trial: _Trial) -> Iterator[_Change]:
    """Every situation where another action is better, swept until the values at the starts rise."""
    choice = _swept(trial, list(trial.scratch.allowed))
    if choice:
        yield choice, f"{_count(trial, choice)} at once"


def _count(trial: _Trial, choice: Mapping[Situation, ActionTuple]) -> str:
    count = len({o[: len(trial.scratch.decisions.observed)] for o in choice})
    return f"{count} state{'s' * (count != 1)}"


def _swept(trial: _Trial, region: list[Situation]) -> dict[Situation, ActionTuple]:
    scratch = trial.scratch
    choice, scores = dict(scratch.start_choice), trial.first
    end = trial.steps + SWEPT_MAX
    for _ in range(trial.rounds):
        changed = False
        for o in region:
            best = _best(scratch, scores, o)
            if best is not None:
                choice[o], changed = best, True
        if not changed or trial.steps > end:
            break
        played = trial.play(choice)
        if scratch.rises(played, scratch.first):
            break
        scores = scratch.scores(played)
    return {o: a for o, a in choice.items() if a != scratch.start_choice[o]}


def _best(scratch: Scratch, scores: Scores, o: Situation) -> ActionTuple | None:
    """The action that gains most, the first among equals; none where nothing gains."""
    bad = scratch.broken.get(o, frozenset())
    for gains in (scores.weighted[o], scores.plain[o]):
        if max(gains.values()) > EPSILON:
            good = {a: gain for a, gain in gains.items() if a not in bad}
            best = max(good, key=lambda a: good[a], default=None)
            return best if best is not None and good[best] > EPSILON else None
    return None


def _ball(scratch: Scratch, centre: Mapping[Situation, ActionTuple]) -> list[Situation]:
    near = scratch.near
    found = dict.fromkeys(centre, 0)
    queue = deque(centre)
    while queue:
        at = queue.popleft()
        if found[at] == RADIUS:
            continue
        for other in sorted(near[at], key=repr):
            if other not in found:
                found[other] = found[at] + 1
                queue.append(other)
    return list(found)
