"""Family `holes`: Z3 fills the holes of a sketch so that the code is provably better, and its model is the patch.

The question is whether there are values of the holes together with a table L over the listed states such that the premises
of the rule `bound` hold for the new program, and L at the starts is above an upper bound of the old one. Of rational
unknowns the corners and the middle are looked at, each with a table of its own. After each answer a better one is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from dsl.errors import DslError
from dsl.interp import EvaluationFault
from dsl.machine import Decision, MemoryTuple, Program, StateTuple
from dsl.polynomial import Weight, substitute
from dsl.rewrite import Edit, RewriteError, derive_edits
from dsl.syntax import count_nodes
from dsl.types import show_value
from godel.families.family import Candidate, Candidates, Family, Workplace
from godel.families.scratch import EPSILON
from godel.families.sketch import Needed, Sketch, read_sketch
from godel.families.trial import UNTRIED, Trials, Tried
from godel.families.world import Sample, StepWorld
from proofs.existence import (
    Assignment,
    Choice,
    Entry,
    Inequality,
    Question,
    Start,
    Sum,
    option_symbol,
    print_question,
)
from proofs.explicit import TooLarge, number_of, point_of
from proofs.kernel.certificate import Pair
from proofs.kernel.region import Region
from proofs.prover import Model, find_model
from proofs.tactics.bounders import Bounders
from proofs.tactics.bounds import Direction, Grid

STATES_MAX = 2_000
"""How many pairs of state and memory are listed for one joint value of the finite unknowns."""
LEAVES_MAX = 20_000
"""How many ways to fill the holes that matter are looked at, all situations together."""
TERMS_MAX = 200_000
"""How large a question may be."""
SPOILT = Fraction(10**9)
"""What a step loses that breaks a requirement which must always hold."""
UNITS_OF_STEP = 20
"""How many of Z3's resource units count as one step of the family."""

_Leaves: TypeAlias = "list[tuple[Decision | None, tuple[Assignment, ...]]]"


def holes(*, sketch: str, effort: int = 20_000_000, solutions: int = 12) -> Family:
    """The family with these settings: Z3's limit for one question, and how many answers are looked for."""

    def propose(workplace: Workplace, program: Program) -> Candidates:
        try:
            filling = _Filling(workplace, read_sketch(sketch, program), program)
            found = filling.solve(effort, solutions)
        except (DslError, RewriteError, EvaluationFault, *UNTRIED):
            return 0
        for solution in reversed(found):
            steps, filling.steps = filling.steps, 0
            yield Candidate(solution.edits, solution.note, steps)
        return filling.steps

    return propose


@dataclass(frozen=True, slots=True)
class _Solution:
    """Values of the holes as edits."""

    edits: tuple[Edit, ...]
    note: str


class _Filling:
    """A sketch in the place of parts of a program. `steps` counts what is listed, tried, and asked."""

    def __init__(self, work: Workplace, sketch: Sketch, program: Program) -> None:
        self.work, self.sketch, self.program = work, sketch, program
        self.trials = Trials(work, program)
        self.steps = 0
        if work.world is None:
            work.world = StepWorld(work.chapter)
        self.world = work.world
        self.question = _Listing(self.world, sketch, program).question()
        if self.question.size > TERMS_MAX:
            raise TooLarge(f"a question of more than {TERMS_MAX:,} terms")

    def solve(self, effort: int, solutions: int) -> list[_Solution]:
        """Better and better answers, until there is none, or Z3 does not know."""
        found: list[_Solution] = []
        asked, question = 0, self.question
        while asked < 2 * solutions and len(found) < solutions:
            asked += 1
            answer = find_model(print_question(question), rlimit=effort)
            self.steps += question.size + answer.rlimit_used // UNITS_OF_STEP
            if not isinstance(answer, Model):
                break
            chosen = self._chosen(answer)
            question.excluded.append(tuple(enumerate(chosen)))
            edits = self._edits(chosen)
            before = self.trials.steps
            tried = self.trials.value(edits) if edits else None
            self.steps += self.trials.steps - before
            if tried is not None:
                question.beyond = self._beyond(tried)
                found.append(_Solution(edits, self._note(chosen)))
        return found

    def _chosen(self, answer: Model) -> tuple[int, ...]:
        """The option of each choice that the model takes."""
        return tuple(
            next(
                (
                    i
                    for i in range(len(choice.options))
                    if answer.values.get(option_symbol(choice, i).strip("|")) is True
                ),
                0,
            )
            for choice in self.question.choices
        )

    def _edits(self, chosen: tuple[int, ...]) -> tuple[Edit, ...]:
        try:
            return derive_edits(self.program.code, self.sketch.fill(chosen))
        except RewriteError:
            return ()

    def _beyond(self, tried: Tried) -> Fraction:
        """What an answer must exceed to be better than this one, in floats' precision."""
        larger = float(self.question.larger)
        values = [value - larger for value in tried.at_starts]
        whole = min(values) if self.question.better == "worst" else sum(values)
        return Fraction(whole + EPSILON * max(1.0, abs(whole)))

    def _note(self, chosen: tuple[int, ...]) -> str:
        pairs = zip(self.sketch.holes, chosen, strict=True)
        return ", ".join(f"{h.name} = {show_value(h.kind, h.values[i])}" for h, i in pairs)


# --- listing -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Table:
    """The table for one sample of unknowns at one value of the rational ones, under construction."""

    number: int
    at: Mapping[str, Fraction]
    inequalities: list[Inequality] = field(default_factory=list)

    def read(self, weight: Weight) -> Fraction:
        """A weight at this value of the unknowns."""
        return number_of(substitute(weight, self.at))


class _Listing:
    """Lists the states that some filling leads to, and what each filling says of them."""

    def __init__(self, world: StepWorld, sketch: Sketch, program: Program) -> None:
        self.world, self.sketch, self.program = world, sketch, program
        self.task = program.task
        self.utility = self.task.utility
        self.impossible: list[Assignment] = []
        self._leaves: dict[tuple[object, MemoryTuple], _Leaves] = {}
        self._listed = 0
        self._places = [self.task.states.index(v) for v in self.task.observed]

    def question(self) -> Question:
        """The whole question. Raises TooLarge."""
        inequalities: list[Inequality] = []
        starts: list[Start] = []
        tables = 0
        for sample in self.world.samples:
            pairs, rows = self._explore(sample)
            for point in sample.points:
                table = _Table(tables, point_of(self.world.chapter, point))
                tables += 1
                self._fill(table, pairs, rows)
                inequalities += table.inequalities
                starts += self._starts(table, sample, point, pairs)
                if len(inequalities) > TERMS_MAX:
                    raise TooLarge(f"more than {TERMS_MAX:,} inequalities")
        holes = self.sketch.holes
        filled = self.sketch.fill((0,) * len(holes))
        nodes = count_nodes(filled) - self.program.size
        return Question(
            tuple(Choice(h.name, tuple(show_value(h.kind, v) for v in h.values)) for h in holes),
            tuple(inequalities),
            tuple(starts),
            tuple(dict.fromkeys(self.impossible)),
            self.utility.size_price * nodes,
            self.utility.better,
        )

    # --- decisions -------------------------------------------------------------------------------

    def _decisions(self, state: StateTuple, memory: MemoryTuple) -> _Leaves:
        """What may be decided in a state with a memory, each with the fillings that lead to it."""
        key = (tuple(state[p] for p in self._places), memory)
        if key not in self._leaves:
            observed = dict(zip((v.name for v in self.task.observed), key[0], strict=True))
            found: dict[Decision | None, list[Assignment]] = {}
            todo: list[Assignment] = [()]
            while todo:
                chosen = todo.pop()
                self._listed += 1
                if self._listed > LEAVES_MAX:
                    raise TooLarge(f"more than {LEAVES_MAX:,} ways to fill the holes")
                try:
                    decided = self.sketch.decide(observed, memory, dict(chosen))
                except Needed as error:
                    options = range(len(self.sketch.holes[error.hole].values))
                    todo += [(*chosen, (error.hole, i)) for i in reversed(options)]
                    continue
                except EvaluationFault:
                    self.impossible.append(chosen)
                    continue
                found.setdefault(decided, []).append(chosen)
            self._leaves[key] = [(d, tuple(when)) for d, when in found.items()]
        return self._leaves[key]

    def _explore(self, sample: Sample) -> tuple[dict[Pair, int], list[Pair]]:
        """The live pairs that some filling leads to, by number."""
        memory = self.sketch.program.memory_start
        index: dict[Pair, int] = {}
        for drawn in self.world.starts(sample.unknowns):
            for state, _ in drawn:
                index.setdefault((state, memory), len(index))
        pairs = list(index)
        number = 0
        while number < len(pairs):
            state, memory = pairs[number]
            number += 1
            for decided, _ in self._decisions(state, memory):
                if decided is None:
                    continue
                moves = self.world.moves(sample.unknowns, state, decided.actions)
                for _, after in moves.replies:
                    for successor, _ in after:
                        pair = (successor, decided.memory)
                        if pair not in index:
                            index[pair] = len(index)
                            pairs.append(pair)
            if len(pairs) > STATES_MAX:
                raise TooLarge(f"more than {STATES_MAX:,} states")
        self._unknowns = sample.unknowns
        return index, pairs

    # --- premises --------------------------------------------------------------------------------

    def _fill(self, table: _Table, index: dict[Pair, int], pairs: list[Pair]) -> None:
        """The premises `L <= T L`, of each pair, decision and reply, in each layer where there are some."""
        horizon = self.utility.horizon
        layers = range(1) if horizon is None else range(1, horizon + 1)
        for i, (state, memory) in enumerate(pairs):
            for decided, when in self._decisions(state, memory):
                if decided is None:
                    continue
                moves = self.world.moves(self._unknowns, state, decided.actions)
                cost = self.utility.tick_price * decided.ticks + (SPOILT if moves.breaks else 0)
                for reward, after in moves.replies:
                    constant = table.read(reward) - cost
                    weights = [(table.read(w), index[x, decided.memory]) for x, w in after]
                    for k in layers:
                        table.inequalities.append(
                            Inequality(
                                when,
                                (table.number, k, i),
                                constant,
                                self._after(table.number, k, weights),
                            )
                        )
                    if len(table.inequalities) > TERMS_MAX:
                        raise TooLarge(f"more than {TERMS_MAX:,} inequalities")

    def _after(self, table: int, layer: int, weights: list[tuple[Fraction, int]]) -> Sum:
        """What a step leads to; with the last step nothing follows."""
        if self.utility.horizon is None:
            g = self.utility.discount
            return tuple((g * w, (table, 0, j)) for w, j in weights if w and g)
        if layer == 1:
            return ()
        return tuple((w, (table, layer - 1, j)) for w, j in weights if w)

    def _starts(
        self, table: _Table, sample: Sample, point: tuple[Fraction, ...], index: dict[Pair, int]
    ) -> Iterator[Start]:
        """The table at each start, and the upper bound of the old program there, each less the price of size."""
        old = self._upper(sample, point)
        memory, layer = self.sketch.program.memory_start, self.utility.horizon or 0
        for drawn, upper in zip(self.world.starts(sample.unknowns), old, strict=True):
            value: list[tuple[Fraction, Entry]] = []
            for state, w in drawn:
                weight = table.read(w)
                if weight:
                    value.append((weight, (table.number, layer, index[state, memory])))
            yield Start(tuple(value), upper)

    def _upper(self, sample: Sample, point: tuple[Fraction, ...]) -> list[Fraction]:
        bounders = Bounders(self.world.chapter, self.program)
        region = Region.point(sample.unknowns, point)
        try:
            found = bounders.bound(Direction.UPPER, Grid.EXACT, region)
        except TooLarge:
            found = bounders.bound(Direction.UPPER, Grid.FINE, region)
        return [number_of(weight) for weight in found.at_starts]
