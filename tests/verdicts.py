"""Whether a verdict of the gate is true of a machine, by brute force in many of its worlds."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from random import Random
from typing import Any

from brute_force import (
    Player,
    Setting,
    World,
    count_nodes,
    is_allowed,
    is_broken,
    optima,
    plain,
    sample_points,
    utilities,
)
from brute_games import Worth, least

from dsl import syntax as s
from dsl.machine import World as NamedWorld
from proofs.kernel.theorem import (
    Broken,
    Improvement,
    Kept,
    NoImprovement,
    Optimality,
    Statement,
    ValueBounds,
)

Key = tuple[int, tuple[Fraction, ...]]
"""A case by its number, and a point of the rational unknowns."""


class Judge:
    """Knows what programs are worth in the sampled worlds of a machine, and in those that theorems name.

    Without rational unknowns every world is among them.
    """

    def __init__(self, declarations: s.Declarations, seed: int, inside: int = 2) -> None:
        self.world = World(declarations)
        self.points = sample_points(self.world, Random(seed), inside)
        self._settings: dict[Key, Setting] = {}
        self._worths: dict[tuple[int, Key], tuple[Worth, ...]] = {}
        self._optima: dict[Key, tuple[Worth, ...]] = {}
        self._players: dict[int, Player] = {}

    @property
    def is_closed(self) -> bool:
        """Whether all worlds are sampled."""
        return not self.world.rational

    def sampled(self, named: NamedWorld | None = None) -> list[Key]:
        """The sampled settings, and that of a world."""
        found = [(i, point) for i in range(len(self.world.cases)) for point in self.points]
        if named is not None and (key := self._key(named)[0]) not in found:
            found.append(key)
        return found

    def setting(self, key: Key) -> Setting:
        """One setting."""
        if key not in self._settings:
            self._settings[key] = Setting(self.world.cases[key[0]], key[1])
        return self._settings[key]

    def _key(self, named: NamedWorld) -> tuple[Key, int]:
        """The setting of a world that a theorem names, and the number of its start; ValueError for what is no world."""
        cases = [tuple(plain(v) for v in case.unknowns) for case in self.world.cases]
        key = cases.index(named.unknowns), named.rationals
        if not is_allowed(self.world, named.rationals):
            raise ValueError(f"the unknowns are never {named.rationals}")
        starts = [tuple(plain(v) for v in anywhere) for anywhere, _ in self.setting(key).starts]
        return key, starts.index(named.starts)

    def player(self, code: s.Code) -> Player:
        """The program that acts."""
        if id(code) not in self._players:
            self._players[id(code)] = Player(self.world, code)
        return self._players[id(code)]

    def worths(self, code: s.Code, key: Key) -> tuple[Worth, ...]:
        """U in each world of a setting."""
        player = self.player(code)
        if (id(code), key) not in self._worths:
            self._worths[id(code), key] = utilities(self.setting(key), player)
        return self._worths[id(code), key]

    def worth(self, code: s.Code, named: NamedWorld) -> Worth:
        """U in one world."""
        key, start = self._key(named)
        return self.worths(code, key)[start]

    def _everywhere(self, code: s.Code, named: NamedWorld | None = None) -> Iterator[Worth]:
        for key in self.sampled(named):
            yield from self.worths(code, key)

    # --- statements ------------------------------------------------------------------------------

    def fault_of(self, statement: Statement, old: s.Code, new: s.Code) -> str | None:
        """What is wrong with a statement about a rewrite, or about the new program; None where it is true."""
        try:
            match statement:
                case Improvement():
                    found = list(self._false_improvement(statement, old, new))
                case NoImprovement():
                    found = list(self._false_loss(statement, old, new))
                case Optimality():
                    found = list(self._false_optimality(statement, new))
                case ValueBounds():
                    found = list(self._false_bounds(statement, new))
                case Broken(_, _, name, named):
                    key, start = self._key(named)
                    broken = is_broken(
                        self.setting(key),
                        self.player(new),
                        self.requirement(name),
                        only=start,
                        within_horizon=True,
                    )
                    found = [] if broken else [f"{name} is not broken in {named}"]
                case Kept(_, _, name):
                    found = list(self._false_kept(name, new))
                case _:
                    found = ["a statement about something else"]
        except ValueError as error:
            found = [f"it names no world: {error}"]
        return f"{found[0]}; it says {statement}" if found else None

    def requirement(self, name: str) -> s.Requirement:
        """The requirement of that name."""
        return next(r for r in self.world.requirements if r.name == name)

    def broken_requirements(self, code: s.Code) -> list[str]:
        """The requirements that the program breaks in some sampled world."""
        player, settings = self.player(code), self.sampled()
        return [
            r.name
            for r in self.world.requirements
            if any(is_broken(self.setting(k), player, r) for k in settings)
        ]

    def _false_kept(self, name: str, code: s.Code) -> Iterator[str]:
        if name in self.broken_requirements(code):
            yield f"{name} is broken"

    def _false_improvement(self, claim: Improvement, old: s.Code, new: s.Code) -> Iterator[str]:
        after, before = self.worth(new, claim.world), self.worth(old, claim.world)
        if (claim.old_upper is None) != (claim.new_lower is None):
            yield "one bound alone"
        if claim.old_upper is not None and claim.new_lower is not None:
            if before.less(claim.old_upper).sign() > 0 or after.less(claim.new_lower).sign() < 0:
                yield "the bounds of the world it names are wrong"
            if not claim.old_upper < claim.new_lower:
                yield "the bounds are not apart"
        if claim.gain < 0 or claim.criterion != self.world.better:
            yield "a loss, or another criterion"
        if claim.criterion == "worst":
            news, olds = self._both(old, new, claim.world)
            rise = least(news).minus(least(olds))
            if rise.sign() <= 0 or rise.less(claim.gain).sign() < 0:
                yield "the minimum does not rise as much"
            return
        if after.minus(before).sign() <= 0:
            yield "there is no gain in the world it names"
        for a, b in zip(*self._both(old, new, claim.world), strict=True):
            rise = a.minus(b)
            if rise.less(claim.gain).sign() < 0:
                yield "less is gained in some world"
            if claim.criterion == "strictly" and rise.sign() <= 0:
                yield "nothing is gained in some world"

    def _both(
        self, old: s.Code, new: s.Code, named: NamedWorld | None
    ) -> tuple[list[Worth], list[Worth]]:
        return list(self._everywhere(new, named)), list(self._everywhere(old, named))

    def _false_loss(self, claim: NoImprovement, old: s.Code, new: s.Code) -> Iterator[str]:
        low, high = claim.old_lower, claim.new_upper
        if claim.criterion != self.world.better:
            yield "another criterion"
        if claim.world is None:
            for after, before in zip(*self._both(old, new, None), strict=True):
                if after.minus(before).sign() > 0:
                    yield "something is gained in some world"
                if high is not None and after.less(high).sign() > 0:
                    yield "the new program is worth more"
                if low is not None and before.less(low).sign() < 0:
                    yield "the old program is worth less"
            return
        after, before = self.worth(new, claim.world), self.worth(old, claim.world)
        if low is None or high is None or after.less(high).sign() > 0:
            yield "the new program is worth more in the world it names"
            return
        if claim.criterion == "worst":
            if high > low or any(
                x.less(low).sign() < 0 for x in self._everywhere(old, claim.world)
            ):
                yield "the old program is worth less in some world"
            return
        if before.less(low).sign() < 0:
            yield "the old program is worth less in the world it names"
        several = not self.is_closed or len(list(self._everywhere(old))) > 1
        if high > low or (high == low and claim.criterion == "dominates" and several):
            yield "the bounds are not apart"

    def _false_bounds(self, claim: ValueBounds, code: s.Code) -> Iterator[str]:
        size = self.world.size_price * count_nodes(code)
        for worth in self._everywhere(code):
            if claim.lower is not None and worth.less(claim.lower - size).sign() < 0:
                yield "the lower bound is wrong"
            if claim.upper is not None and worth.less(claim.upper - size).sign() > 0:
                yield "the upper bound is wrong"

    def best(self, key: Key) -> tuple[Worth, ...]:
        """The largest V of anything in each world of a setting."""
        if key not in self._optima:
            self._optima[key] = optima(self.setting(key))
        return self._optima[key]

    def _false_optimality(self, claim: Optimality, code: s.Code) -> Iterator[str]:
        for key in self.sampled():
            for best, worth in zip(self.best(key), self.worths(code, key), strict=True):
                if worth.less(claim.lower).sign() < 0:
                    yield "the program is worth less"
                if best.less(claim.upper).sign() > 0:
                    yield "something is worth more"
                if best.minus(worth).less(claim.gap).sign() > 0:
                    yield "something beats the program by more"


def show_worths(judge: Judge, code: s.Code) -> list[Any]:
    """U in the sampled worlds, for messages."""
    return [[float(w.low) for w in judge.worths(code, key)] for key in judge.sampled()]
