"""The premises of the rules about requirements: invariants, ranks, and paths that break one.

Sets and ranks are functions that are known at the pairs listed and nowhere else: what a step leads to is in a set only if it
is listed there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from dsl import syntax as s
from dsl.machine import (
    Always,
    Decision,
    Program,
    Reach,
    Requirement,
    StateTuple,
    Task,
    UnknownTuple,
)
from proofs.kernel.certificate import (
    InvariantCertificate,
    Pair,
    PathCertificate,
    RankCertificate,
    RequirementCertificate,
)
from proofs.kernel.region import Region
from proofs.premise_bounds import STATES_MAX, Place, StartWorld, block, other_points
from proofs.premises import Premise, PremiseError, make_premise
from proofs.rows import (
    Call,
    Step,
    WorldLines,
    applications,
    listed_policies,
    sum_text,
    words,
    world_lines,
)
from proofs.smtlib import TooLarge, leaves_of
from proofs.smtlib_world import Definition, apply, show_tree


def requirement_premises(
    task: Task, program: Program, name: str, certificate: RequirementCertificate
) -> list[Premise]:
    """The premises that show a requirement to be kept or broken. Raises PremiseError."""
    found = [r for r in task.requirements if r.name == name]
    if len(found) != 1:
        raise PremiseError(f"there is no requirement {name}")
    requirement = found[0]
    try:
        match requirement, certificate:
            case Always(), InvariantCertificate(sets):
                return [
                    premise
                    for unknowns, pairs in sets
                    for premise in _Kept(program, requirement, unknowns, pairs, ()).premises()
                ]
            case Reach(), RankCertificate(ranked):
                return [
                    premise
                    for unknowns, pairs, ranks in ranked
                    for premise in _Kept(program, requirement, unknowns, pairs, ranks).premises()
                ]
            case _, PathCertificate():
                return [_Broken(program, requirement, certificate).premise()]
            case _:
                raise PremiseError(f"a {type(certificate).__name__} says nothing about {name}")
    except TooLarge as error:
        raise PremiseError(str(error)) from None


class _Conditions:
    """The conditions of a requirement as definitions, and how they are applied."""

    def __init__(self, rows: WorldLines, requirement: Requirement) -> None:
        self.rows, name = rows, requirement.name
        self.lines: list[str] = []
        if isinstance(requirement, Always):
            self.holds = self._add(f"holds.{name}", requirement.holds, f"{name}: always")
        else:
            self.goal = self._add(f"goal.{name}", requirement.goal, f"{name}: the goal")
            self.source = self._add(f"source.{name}", requirement.source, f"{name}: the source")

    def _add(self, name: str, tree: s.Expr, about: str) -> Call:
        found: Definition = self.rows.world.condition(
            name, tree, f"{about} {' '.join(show_tree(tree).split())}"
        )
        self.lines += found.lines()
        return applications(found, self.rows.places)[0]


@dataclass(slots=True)
class _Part:
    """The blocks of one text, and what these refer to."""

    names: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    listed: dict[str, None] = field(default_factory=dict)
    starts: dict[str, None] = field(default_factory=dict)

    def add(self, name: str, about: str, goals: Iterable[str | None]) -> None:
        """Add a block."""
        self.names.append(name)
        shown = [g for g in dict.fromkeys(goals) if g is not None]
        self.lines += block(name, about, shown)


class _Kept:
    """The premises that a program keeps a requirement, for one joint value of the finite unknowns."""

    def __init__(
        self,
        program: Program,
        requirement: Requirement,
        unknowns: UnknownTuple,
        pairs: Sequence[Pair],
        ranks: Sequence[tuple[Pair, int]],
    ) -> None:
        self.program, self.task, self.requirement = program, program.task, requirement
        self.unknowns, self.pairs = unknowns, pairs
        self.reached, self.ranks = set(pairs), dict(ranks)
        self.place = Place(self.task, Region.whole(self.task, unknowns))
        self.rows = world_lines(self.task, True)
        policies = ["main"]
        if isinstance(requirement, Reach) and requirement.policy != "main":
            policies.append(requirement.policy)
        self.policies = listed_policies(program, tuple(policies), True)
        self.conditions = _Conditions(self.rows, requirement)

    def premises(self) -> list[Premise]:
        """The starts and the steps of main, then the ranks."""
        parts = list(self._parts())
        count = len(parts)
        return [self._premise(part, i, count) for i, part in enumerate(parts)]

    def _parts(self) -> Iterator[_Part]:
        part = _Part()
        for name, add in self._blocks():
            if len(part.names) >= STATES_MAX:
                yield part
                part = _Part()
            add(part, name)
        yield part

    def _blocks(self) -> Iterator[tuple[str, Callable[[_Part, str], None]]]:
        worlds = self.place.starts
        for i, world in enumerate(worlds):
            name = "starts" if len(worlds) == 1 else f"starts.{i}"
            yield name, lambda part, n, world=world: self._starts(part, n, world)  # type: ignore[misc]
        if self.task.any_states:
            yield "starts.others", self._other_starts
        for i, pair in enumerate(self.pairs):
            yield f"at.{i}", lambda part, n, pair=pair: self._pair(part, n, pair)  # type: ignore[misc]
        for i, (pair, rank) in enumerate(self.ranks.items()):
            yield (
                f"ranked.{i}",
                lambda part, n, pair=pair, rank=rank: self._ranked(part, n, pair, rank),  # type: ignore[misc]
            )

    def _premise(self, part: _Part, index: int, count: int) -> Premise:
        of = "" if count == 1 else f", part {index + 1} of {count}"
        groups = [
            self.rows.facts,
            self.policies[0].facts,
            self.place.facts(self.rows, rates=True),
        ]
        goals = ["; --- the world", *self.place.goals(self.rows), *self.rows.world.lines]
        for policy in self.policies:
            goals += ["", "; --- a policy", *policy.lines]
        goals += ["", "; --- the requirement", *self.conditions.lines]
        goals += ["", "; --- what is listed", *self._declared(), *part.listed]
        if part.starts:
            goals += ["", "; --- the starts", *self._start_head(), *part.starts]
        goals += ["", "; --- what is to be shown", *part.lines]
        goals += ["", f"(assert (not (and {' '.join(part.names)})))", "(check-sat)"]
        name = self.requirement.name
        at = self.place.words()
        title = (
            f"Machine {self.task.declarations.name}: program {self.program.digest[:12]} keeps"
            f" requirement {name}{' where ' + at if at else ''}{of}."
        )
        return make_premise(title, f"requirement {name}{of}", groups, goals)

    def _declared(self) -> list[str]:
        variables = (*self.task.states, *self.program.memories)
        sorts = " ".join(sort for v in variables for _, sort in leaves_of(v.name, v.type))
        lines = [
            "; reached is true of what is listed; nothing is known of what is not",
            f"(declare-fun reached ({sorts}) Bool)",
        ]
        if isinstance(self.requirement, Reach):
            lines.append(f"(declare-fun rank ({sorts}) Int)")
        return lines

    def _start_head(self) -> list[str]:
        world = self.rows.world
        lines = ["; value.at is 1 where an episode may start; the rest averages it over the starts"]
        lines += world.start_lines
        if world.start_allowed is not None:
            lines += world.start_allowed.lines()
        return lines + self.policies[0].start_lines

    # --- blocks ----------------------------------------------------------------------------------

    def _starts(self, part: _Part, name: str, world: StartWorld) -> None:
        main, printed = self.policies[0], self.rows.world
        goals: list[str | None] = [*main.start_goals()]
        for state, weight in world[1]:
            if weight == 0:
                continue
            value = f"(value.at {' '.join(self.rows.spell(state))})"
            part.starts[f"(assert (= {value} 1.0))"] = None
            goals.append(self._reached(part, (state, self.program.memory_start)))
        anywhere = " ".join(self.rows.spell_anywhere(world[0]))
        if printed.whole is not None:
            goals.append(f"(= {apply(printed.whole.name, anywhere)} 1.0)")
        goals.append(f"(= {apply(printed.average.name, anywhere)} 1.0)")
        at = f" with {words(self.task.any_states, world[0])}" if world[0] else ""
        part.add(name, f"the starts{at}", goals)

    def _other_starts(self, part: _Part, name: str) -> None:
        listed = {anywhere for anywhere, _ in self.place.starts}
        part.starts.setdefault("; no further ones")
        part.add(name, "an episode can start nowhere else", other_points(self.rows, listed))

    def _pair(self, part: _Part, name: str, pair: Pair) -> None:
        goals: list[str | None] = []
        done = self.rows.is_done(pair[0], self.unknowns)
        requirement = self.requirement
        if isinstance(requirement, Reach):
            goals.append(self._covered(part, pair))
        elif not requirement.of_step:
            goals.append(self.conditions.holds(self.rows.point(pair[0])))
        if done:
            goals.append(self.rows.done_goal(pair[0], done=True))
        else:
            decided = self.program.act(*pair)
            goals += self.policies[0].goals(pair, decided, ticked=False)
            for step in self._steps(pair[0], decided, goals):
                for draw in step.draws:
                    goals.append(self._reached(part, (draw.successor, decided.memory)))
                    if isinstance(requirement, Always) and requirement.of_step:
                        point = self.rows.point(pair[0], decided.actions, draw.successor)
                        goals.append(self.conditions.holds(point))
        words = " it is done" if done else ""
        part.add(name, f"at {self._words(pair)}{words}", goals)

    def _covered(self, part: _Part, pair: Pair) -> str:
        """That a pair which main reaches has a rank, or need not have one."""
        point = self.rows.point(pair[0])
        if pair in self.ranks:
            rank, steps = self._rank(part, pair), self._limit()
            return f"(<= 1 {rank} {steps})"
        source, goal = self.conditions.source(point), self.conditions.goal(point)
        return f"(or (not {source}) {goal})"

    def _ranked(self, part: _Part, name: str, pair: Pair, rank: int) -> None:
        policy, state = self.policies[-1], pair[0]
        own = self._rank(part, pair)
        goals: list[str | None] = [
            f"(<= 1 {own} {self._limit()})",
            self.rows.done_goal(state, done=False),
            f"(not {self.conditions.goal(self.rows.point(state))})",
        ]
        word = self.requirement.policy if isinstance(self.requirement, Reach) else "main"
        decided = self.program.act(*pair, policy=word)
        goals += policy.goals(pair, decided, ticked=False)
        for step in self._steps(state, decided, goals):
            for draw in step.draws:
                after = draw.successor, decided.memory
                if after in self.ranks:
                    goals.append(f"(< {self._rank(part, after)} {own})")
                else:
                    goals.append(self.conditions.goal(self.rows.point(draw.successor)))
        part.add(name, f"rank {rank} at {self._words(pair)}", goals)

    def _steps(
        self, state: StateTuple, decided: Decision, goals: list[str | None]
    ) -> Iterator[Step]:
        """The steps under every reply that is allowed; what is to be shown of them is added to the goals."""
        listed, others = self.rows.replies(self.unknowns, state, decided.actions)
        goals += others
        for reply in listed:
            step = self.rows.step(self.unknowns, state, decided.actions, reply)
            goals += step.goals
            yield step

    def _limit(self) -> int:
        return self.requirement.steps if isinstance(self.requirement, Reach) else 0

    def _spelled(self, pair: Pair) -> str:
        return " ".join(self.rows.spell(pair[0]) + self.policies[0].spell_memory(pair[1]))

    def _reached(self, part: _Part, pair: Pair) -> str:
        text = f"(reached {self._spelled(pair)})"
        if pair in self.reached:
            part.listed[f"(assert {text})"] = None
        return text

    def _rank(self, part: _Part, pair: Pair) -> str:
        text = f"(rank {self._spelled(pair)})"
        part.listed[f"(assert (= {text} {self.ranks[pair]}))"] = None
        return text

    def _words(self, pair: Pair) -> str:
        return self.rows.state_words(pair[0]) + self.policies[0].memory_words(pair[1])


class _Broken:
    """The premise that a path breaks a requirement in one world."""

    def __init__(
        self, program: Program, requirement: Requirement, certificate: PathCertificate
    ) -> None:
        self.program, self.task = program, program.task
        self.requirement, self.certificate = requirement, certificate
        self.place = Place.of_world(self.task, certificate.world)
        self.unknowns = certificate.world.unknowns
        self.rows = world_lines(self.task, True)
        names = ["main"]
        if isinstance(requirement, Reach) and requirement.policy != "main":
            names.append(requirement.policy)
        self.policies = dict(zip(names, listed_policies(program, tuple(names), True), strict=True))
        self.conditions = _Conditions(self.rows, requirement)

    def premise(self) -> Premise:
        """The whole premise."""
        part = _Part()
        states = self._path(part)
        part.add("broken", "the requirement does not hold", self._failure(states))
        groups = [
            self.rows.facts,
            self.policies["main"].facts,
            self.place.facts(self.rows, rates=False),
        ]
        goals = ["; --- the world", *self.place.goals(self.rows), *self.rows.world.lines]
        for policy in self.policies.values():
            goals += ["", "; --- a policy", *policy.lines]
        goals += ["", "; --- the requirement", *self.conditions.lines]
        goals += ["", "; --- the starts", *self._start_lines(part)]
        goals += ["", "; --- what is to be shown along the path", *part.lines]
        goals += ["", f"(assert (not (and {' '.join(part.names)})))", "(check-sat)"]
        name = self.requirement.name
        title = (
            f"Machine {self.task.declarations.name}: program {self.program.digest[:12]} breaks"
            f" requirement {name}, by a path of {len(self.certificate.moves)} moves."
        )
        return make_premise(title, f"the path that breaks {name}", groups, goals)

    def _start_lines(self, part: _Part) -> list[str]:
        world = self.rows.world
        lines = [
            "; value.at is 1 at the start of the path and 0 at every other; the rest averages it",
            *world.start_lines,
            *part.starts,
        ]
        if world.start_allowed is not None:
            lines += world.start_allowed.lines()
        return lines + self.policies["main"].start_lines

    def _path(self, part: _Part) -> list[tuple[StateTuple, Decision | None]]:
        """The states along the path, each with what was decided before it."""
        state, memory = self.certificate.start, self.program.memory_start
        self._start(part, state)
        found: list[tuple[StateTuple, Decision | None]] = [(state, None)]
        for i, move in enumerate(self.certificate.moves):
            word = "main"
            if i >= self.certificate.switch and isinstance(self.requirement, Reach):
                word = self.requirement.policy
            policy = self.policies[word]
            decided = self.program.act(state, memory, policy=word)
            step = self.rows.step(self.unknowns, state, decided.actions, move.reply)
            weights = [d.weight_text for d in step.draws if d.successor == move.successor]
            goals: list[str | None] = [
                self.rows.done_goal(state, done=False),
                *policy.goals((state, memory), decided, ticked=False),
                self.rows.allowed_goal(state, decided.actions, move.reply),
                *step.goals,
                f"(> {sum_text(weights or ['0.0'])} 0.0)",
            ]
            at = self.rows.state_words(state) + policy.memory_words(memory)
            part.add(
                f"move.{i}",
                f"at {at} the step leads to {self.rows.state_words(move.successor)}",
                goals,
            )
            state, memory = move.successor, decided.memory
            found.append((state, decided))
        return found

    def _start(self, part: _Part, state: StateTuple) -> None:
        (world,) = self.place.starts
        for other, _ in world[1]:
            value = f"(value.at {' '.join(self.rows.spell(other))})"
            part.starts[f"(assert (= {value} {'1.0' if other == state else '0.0'}))"] = None
        anywhere = " ".join(self.rows.spell_anywhere(world[0]))
        goals: list[str | None] = [*self.policies["main"].start_goals()]
        if self.rows.world.start_allowed is not None:
            goals.append(f"(start.allowed {anywhere})")
        average = apply(self.rows.world.average.name, anywhere)
        goals.append(f"(> {average} 0.0)")
        part.add("start", f"the path starts at {self.rows.state_words(state)}", goals)

    def _failure(self, states: list[tuple[StateTuple, Decision | None]]) -> Iterator[str | None]:
        requirement, point = self.requirement, self.rows.point
        if isinstance(requirement, Reach):
            rest = states[self.certificate.switch :]
            yield self.conditions.source(point(rest[0][0]))
            for state, _ in rest:
                yield f"(not {self.conditions.goal(point(state))})"
            if len(rest) - 1 != requirement.steps:
                yield self.rows.done_goal(rest[-1][0], done=True) or "false"
        elif requirement.of_step:
            if len(states) < 2:
                raise PremiseError("a path that breaks it ends in a step")
            (before, _), (after, decided) = states[-2:]
            actions = decided.actions if decided is not None else ()
            yield f"(not {self.conditions.holds(point(before, actions, after))})"
        else:
            yield f"(not {self.conditions.holds(point(states[-1][0]))})"
