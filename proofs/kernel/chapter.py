"""One set of declarations as the kernel knows it: checked, proved total, its rows worked out once and kept."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import islice, product
from math import prod
from typing import TypeAlias

from dsl import syntax as s
from dsl.check import check_code, check_declarations
from dsl.codec import digest_node, is_canonical
from dsl.interp import Evaluator
from dsl.machine import ActionTuple, Program, ReplyTuple, StateTuple, Task, UnknownTuple, World
from dsl.polynomial import Weight
from dsl.types import Value, Variable, are_values, cardinality, is_rational, values
from proofs.kernel.certificate import Reply
from proofs.kernel.region import Region, TooMany, rate_box
from proofs.kernel.theorem import CertificateError, require
from proofs.kernel.totality import Gap, find_gaps_in_code, find_gaps_in_declarations

WORLDS_MAX = 100_000
POINTS_MAX = 1_000_000

StartStates: TypeAlias = tuple[tuple[StateTuple, Weight], ...]
StartWorld: TypeAlias = tuple[tuple[Value, ...], StartStates]
"""A joint value of the `any` variables, and the start states it leaves with their weights, none identically 0."""


class NotTotal(CertificateError):
    """Code or declarations that are not proved total; `gaps` says what is missing."""

    def __init__(self, gaps: list[Gap]) -> None:
        self.gaps = gaps
        super().__init__("; ".join(gap.message for gap in gaps))


class Chapter:
    """A task made by the kernel itself from declarations, and the programs that act in it.

    Raises DslError where the declarations do not check and NotTotal where they are not proved total. `steps` counts the
    premises that the rules evaluated.
    """

    def __init__(self, declarations: s.Declarations) -> None:
        require(is_canonical(declarations), "a tree that is not in canonical form")
        self.task: Task = check_declarations(declarations)
        gaps = find_gaps_in_declarations(self.task)
        if gaps:
            raise NotTotal(gaps)
        self.steps = 0
        self._programs: dict[str, Program] = {}
        self.is_done = cache(self.task.is_done)
        """Whether the episode has ended in a state."""
        self.outcomes = cache(self.task.outcomes)
        """The draws of one step, by the reference interpreter."""
        self.replies = cache(self._replies)
        """What the finite adversaries may choose. Raises TooMany."""
        self.start_worlds = cache(self._start_worlds)
        """The worlds that differ in their `any` start. Raises TooMany above WORLDS_MAX over all finite unknowns."""

    @property
    def digest(self) -> str:
        """The digest of the declarations."""
        return self.task.digest

    def program(self, code: s.Code) -> Program:
        """Code checked and proved total; raises DslError or NotTotal."""
        digest = digest_node(code)
        if digest not in self._programs:
            require(is_canonical(code), "a tree that is not in canonical form")
            program = check_code(self.task, code)
            gaps = find_gaps_in_code(program)
            if gaps:
                raise NotTotal(gaps)
            self._programs[digest] = program
        return self._programs[digest]

    def size_cost(self, program: Program) -> Fraction:
        """What the size of a program costs: U = V - size_cost."""
        return self.task.utility.size_price * program.size

    # --- worlds ----------------------------------------------------------------------------------

    def regions(self) -> tuple[Region, ...]:
        """All that is open for each value of the finite unknowns, in order. Raises TooMany."""
        _count(self.task.unknowns, WORLDS_MAX)
        return tuple(Region.whole(self.task, u) for u in self.task.unknown_values())

    def _start_worlds(self, unknowns: UnknownTuple = ()) -> tuple[StartWorld, ...]:
        _count(self.task.any_states, POINTS_MAX)
        most = WORLDS_MAX // _count(self.task.unknowns, WORLDS_MAX)
        points = tuple(islice(self.task.any_starts(unknowns), most + 1))
        if len(points) > most:
            raise TooMany(f"more than {WORLDS_MAX:,} worlds")
        return tuple(self._start_world(p, unknowns) for p in points)

    def _start_world(self, anywhere: tuple[Value, ...], unknowns: UnknownTuple) -> StartWorld:
        states = self.task.few_start_states(anywhere, unknowns)
        if states is None:
            raise TooMany("too many possible starts")
        return anywhere, states

    def start_of(self, world: World) -> StartWorld:
        """The start of one world; raises CertificateError where there is no such world."""
        require(type(world) is World, f"{world} is no world")
        task, no_world = self.task, f"{world} is no world: "
        require(are_values(task.unknowns, world.unknowns), no_world + "its unknowns are no values")
        fine = type(world.rationals) is tuple and all(map(is_rational, world.rationals))
        require(fine, no_world + "its rational unknowns are no rationals")
        fine = Region.whole(task, world.unknowns).holds(task, world.rationals)
        require(fine, no_world + "its rational unknowns are out of bounds")
        require(are_values(task.any_states, world.starts), no_world + "it cannot start there")
        names = (v.name for v in (*task.unknowns, *task.any_states))
        local = dict(zip(names, (*world.unknowns, *world.starts), strict=True))
        holds = (Evaluator(task.names).value(p, local) for p in task.start_conditions)
        require(all(holds), no_world + "it cannot start there")
        return self._start_world(world.starts, world.unknowns)

    def only_world(self) -> World | None:
        """The world, where there is but one."""
        (region, *others) = self.regions()
        point = tuple(low for low, _ in region.box)
        if others or Region.point(region.unknowns, point) != region:
            return None
        starts = self.start_worlds(region.unknowns)
        return World(starts[0][0], region.unknowns, point) if len(starts) == 1 else None

    def _replies(
        self, state: StateTuple, actions: ActionTuple, unknowns: UnknownTuple = ()
    ) -> tuple[ReplyTuple, ...]:
        _count(self.task.adversaries, POINTS_MAX)
        return self.task.replies(state, actions, unknowns)

    def all_actions(self) -> tuple[ActionTuple, ...]:
        """Every action there is, in order. Raises TooMany."""
        _count(self.task.actions, POINTS_MAX)
        return tuple(product(*(tuple(values(v.type)) for v in self.task.actions)))


def require_reply(
    chapter: Chapter, state: StateTuple, actions: ActionTuple, unknowns: UnknownTuple, reply: Reply
) -> dict[str, Fraction]:
    """The rates of a reply by name; raises CertificateError where conditions or ranges do not allow it."""
    box = rate_box(chapter.task)
    if type(reply) is Reply and type(reply.rates) is tuple and len(reply.rates) == len(box):
        rates = dict(zip(box, reply.rates, strict=True))
        if (
            all(is_rational(r) and box[name][0] <= r <= box[name][1] for name, r in rates.items())
            and are_values(chapter.task.adversaries, reply.finite)
            and reply.finite in chapter.replies(state, actions, unknowns)
        ):
            return rates
    raise CertificateError(f"{reply} is no reply that is allowed at state {state} to {actions}")


def _count(variables: tuple[Variable, ...], most: int) -> int:
    """How many joint values there are; raises TooMany above `most`."""
    count = prod(cardinality(v.type) or most + 1 for v in variables)
    if count > most:
        raise TooMany(f"more than {most:,} values of {', '.join(v.name for v in variables)}")
    return count
