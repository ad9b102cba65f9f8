"""Small random searches, and what their programs are worth from every state on, by exact enumeration and code of its own.

A world is made as data, out of which come both the text of a machine and the values here: hidden states, a finite and a
rational unknown, an adversary that minds the odds or the outcome itself, reports by the rules of docs/language.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import product
from random import Random
from typing import TypeAlias

TRIES = ("stop", "apply", "patch", "self")
HOLDING = ("apply", "apply", "apply", "apply", "patch")
WITHOUT = ("patch", "patch", "patch", "self", "stop", "apply")
ONE, NOTHING = Fraction(1), Fraction(0)

State: TypeAlias = tuple[int, bool, int, int, int, bool]
"""fails_patch, pending, held, applied, mood, over; all but the last two are reported, held perhaps."""
World: TypeAlias = tuple[bool, Fraction]
"""The finite unknown `luck` and the rational one `p`."""
Branch: TypeAlias = tuple[Fraction, Fraction, State]
"""The weight of a draw, its reward, and the next state."""
Seen: TypeAlias = tuple[tuple[int | bool, ...], int]


@dataclass(frozen=True)
class Law:
    """The numbers of a world. `odds` gives by mood, luck and harshness a and b of the chance a + b p that a patch is
    accepted; `adversary` is "", "odds" or "outcome"."""

    horizon: int
    start: Fraction
    ends: tuple[Fraction, Fraction]
    lucky: bool
    adversary: str
    odds: dict[tuple[int, bool, bool], tuple[Fraction, Fraction]]
    self_odds: Fraction
    one: Fraction
    flips: str
    income: Fraction
    price: Fraction
    prize: Fraction
    shows_held: bool

    @property
    def worlds(self) -> list[World]:
        """Worlds to look at: both ends of `p` and what lies between."""
        low, high = self.ends
        points = sorted({low, high, (low + high) / 2, (2 * low + high) / 3})
        return [(luck, p) for luck in ((False, True) if self.lucky else (False,)) for p in points]


@dataclass(frozen=True)
class Policy:
    """What a searcher tries by (pending, fails_patch, memory), and the memory that it keeps."""

    tries: dict[tuple[bool, int, int], str]
    keeps: dict[tuple[bool, int, int], int]

    def __call__(self, state: State, memory: int) -> tuple[str, int]:
        key = state[1], state[0], memory
        return self.tries[key], self.keeps[key]


def make_law(rng: Random) -> Law:
    """A random world."""
    odds = {
        key: (Fraction(rng.randint(0, 4), 8), Fraction(rng.choice([0, 0, 1, 2, 4]), 8))
        for key in product((0, 1), (False, True), (False, True))
    }
    low = Fraction(rng.randint(0, 3), 8)
    return Law(
        horizon=rng.randint(2, 5),
        start=Fraction(rng.randint(0, 4), 4),
        ends=(low, low + Fraction(rng.choice([0, 1, 4]), 8)),
        lucky=rng.random() < 0.4,
        adversary=rng.choice(["", "", "odds", "outcome"]),
        odds=odds,
        self_odds=Fraction(rng.randint(0, 2), 4),
        one=Fraction(rng.randint(0, 4), 4),
        flips=rng.choice(["never", "accepted", "always"]),
        income=Fraction(rng.choice([0, 1, 2, 4]), 2),
        price=Fraction(rng.choice([0, 0, 1, 3]), 2),
        prize=Fraction(rng.choice([0, 0, 1, 5])),
        shows_held=rng.random() < 0.7,
    )


def make_policy(rng: Random) -> Policy:
    """A random searcher, which mostly applies what it holds."""
    keys = list(product((False, True), (0, 1), (0, 1)))
    tries = {key: rng.choice(HOLDING if key[0] else WITHOUT) for key in keys}
    return Policy(tries, {key: rng.randint(0, 1) for key in keys})


def text_of(law: Law, policy: Policy) -> str:
    """The machine that has this search and this searcher."""

    def odds(mood: int, luck: bool, harsh: bool) -> str:
        a, b = law.odds[mood, luck, harsh]
        return f"{a} + {b} * p"

    def by(test: str, yes: str, no: str) -> str:
        return yes if yes == no else f"(if {test} then {yes} else {no})"

    def choose(mood: int, luck: bool) -> str:
        if law.adversary != "odds":
            return odds(mood, luck, False)
        return by("harsh", odds(mood, luck, True), odds(mood, luck, False))

    def lucky(mood: int) -> str:
        return by("luck", choose(mood, True), choose(mood, False)) if law.lucky else choose(mood, False)  # fmt: skip

    chance = by("mood == 1", lucky(1), lucky(0))
    outcome = f"""chance outcome: Outcome = let w = {chance} in match try {{
      patch: {{ accepted: w, refused: 1 - w }},
      self: {{ accepted: {law.self_odds}, undecided: {1 - law.self_odds} }},
    }}"""
    if law.adversary == "outcome":
        outcome = """adversary outcome: Outcome where match try {
          patch: outcome == refused or outcome == accepted, self: outcome == undecided }"""
    flips = {"never": "false", "accepted": "outcome == accepted", "always": "true"}[law.flips]
    lines = [f"{'true' if k[0] else 'false'}, {k[1]}, {k[2]}: {v}" for k, v in policy.tries.items()]
    assert len(lines) == 8

    def table(values: dict[tuple[bool, int, int], str]) -> str:
        found = values[True, 1, 1]
        for (pending, fails, memory), value in values.items():
            test = (
                f"{'' if pending else 'not '}pending and fails_patch == {fails} and mem == {memory}"
            )
            found = f"if {test} then {value} else ({found})"
        return found

    return f"""
machine small
environment {{ state x: int 0..1 = 0  action go: bool  x' = if go then 1 else 0  reward = x }}
utility {{ discount 1/2 }}
agent {{ policy {{ go = false }} }}
search {{
  family patch = simplify()
  family self = simplify(target: searcher)
  switch held
  world {{
    report fails_patch: int 0..1
    report pending: bool
    {"report held: int 0..2" if law.shows_held else ""}
    report applied: int 0..2
    state mood: int 0..1 = {{ 0: {law.start}, 1: {1 - law.start} }}
    unknown p: rat {law.ends[0]}..{law.ends[1]}
    {"unknown luck: bool" if law.lucky else ""}
    action try: Attempt
    {"adversary harsh: bool" if law.adversary == "odds" else ""}
    {outcome}
    chance gain: int 0..2 = match try {{ patch: {{ 1: {law.one}, 2: {1 - law.one} }}, self: {{ 0: 1 }} }}
    mood' = if {flips} then 1 - mood else mood
    reward = {law.income} * applied' - (if try == apply and pending then {law.price} else 0)
      + (if try == self and outcome == accepted then {law.prize} else 0)
  }}
  utility {{ horizon {law.horizon} }}
}}
searcher {{
  memory mem: int 0..1 = 0
  policy {{
    try = {table(policy.tries)}
    mem' = {table({k: str(v) for k, v in policy.keeps.items()})}
  }}
}}
"""


def mean(draws: Iterable[tuple[Fraction, Fraction]]) -> Fraction:
    """The sum of values times weights."""
    return sum((weight * value for weight, value in draws), NOTHING)


class Enumeration:
    """Values in one world, from every state on, with any number of steps to go."""

    def __init__(self, law: Law, policy: Policy, world: World) -> None:
        self.law, self.policy = law, policy
        self.luck, self.p = world
        self.best = cache(self._best)
        self.worth = cache(self._worth)

    # --- the world -------------------------------------------------------------------------------

    def starts(self) -> list[State]:
        """The states in which an episode starts."""
        weights = ((0, self.law.start), (1, 1 - self.law.start))
        return [(0, False, 0, 0, mood, False) for mood, w in weights if w]

    def replies(self, tried: str) -> list[str]:
        """What the adversary may do."""
        if self.law.adversary == "odds":
            return ["harsh", "mild"]
        if self.law.adversary == "outcome":
            return {"patch": ["accepted", "refused"], "self": ["undecided"]}.get(tried, ["none"])
        return [""]

    def draws(self, state: State, tried: str, reply: str) -> Iterator[Branch]:
        """What may come of an attempt."""
        for outcome, weight in self._outcomes(state[4], tried, reply):
            gains = [(0, ONE)]
            if tried == "patch" and outcome == "accepted":
                gains = [(1, self.law.one), (2, 1 - self.law.one)]
            for gain, w in gains:
                if weight * w:
                    yield weight * w, *self._step(state, tried, outcome, gain)

    def _outcomes(self, mood: int, tried: str, reply: str) -> list[tuple[str, Fraction]]:
        if tried in ("stop", "apply"):
            return [("none", ONE)]
        if self.law.adversary == "outcome":
            return [(reply, ONE)]
        if tried == "self":
            return [("accepted", self.law.self_odds), ("undecided", 1 - self.law.self_odds)]
        a, b = self.law.odds[mood, self.luck, reply == "harsh"]
        return [("accepted", a + b * self.p), ("refused", 1 - a - b * self.p)]

    def _step(self, state: State, tried: str, outcome: str, gain: int) -> tuple[Fraction, State]:
        fails, pending, held, applied, mood, _ = state
        won = tried == "patch" and outcome == "accepted"
        reward = NOTHING
        if tried == "apply" and pending:
            reward -= self.law.price
        if tried == "self" and outcome == "accepted":
            reward += self.law.prize
        over = tried == "stop" or (tried == "self" and outcome == "accepted")
        if won:
            fails = 0
        elif tried == "patch":
            fails = min(1, fails + 1)
        if tried == "apply":
            pending, held, applied = False, 0, min(2, applied + held)
        else:
            pending, held = pending or won, min(2, held + gain)
        if self.law.flips == "always" or (self.law.flips == "accepted" and outcome == "accepted"):
            mood = 1 - mood
        return reward + self.law.income * applied, (fails, pending, held, applied, mood, over)

    # --- values ----------------------------------------------------------------------------------

    def after(self, state: State, tried: str, left: int) -> Fraction:
        """The worth of one attempt and whatever is best from then on, by one who sees everything."""
        return min(
            mean((w, r + self.best(x, left - 1)) for w, r, x in self.draws(state, tried, y))
            for y in self.replies(tried)
        )

    def _best(self, state: State, left: int) -> Fraction:
        if left == 0 or state[5]:
            return NOTHING
        return max(self.after(state, tried, left) for tried in TRIES)

    def _worth(self, state: State, memory: int, left: int) -> Fraction:
        """What the searcher gets."""
        if left == 0 or state[5]:
            return NOTHING
        tried, kept = self.policy(state, memory)
        return min(
            mean((w, r + self.worth(x, kept, left - 1)) for w, r, x in self.draws(state, tried, y))
            for y in self.replies(tried)
        )

    def margin(self, state: State, memory: int, left: int) -> Fraction:
        """How much more the searcher gets than by trying anything else now."""
        tried, _ = self.policy(state, memory)
        others = (self.after(state, t, left) for t in TRIES if t != tried)
        return self.worth(state, memory, left) - max(others)

    # --- moments ---------------------------------------------------------------------------------

    def moments(self) -> Iterator[tuple[int, Seen, State, int]]:
        """Every state with a memory in which the searcher may be, after how many steps, and what it sees there."""
        here = {(state, 0) for state in self.starts()}
        for step in range(self.law.horizon):
            for state, memory in sorted(here):
                yield step, (self.seen(state), memory), state, memory
            here = {(x, kept) for state, memory in here for x, kept in self._next(state, memory)}

    def _next(self, state: State, memory: int) -> Iterator[tuple[State, int]]:
        tried, kept = self.policy(state, memory)
        for reply in self.replies(tried):
            yield from ((x, kept) for _, _, x in self.draws(state, tried, reply) if not x[5])

    def seen(self, state: State) -> tuple[int | bool, ...]:
        """The reports in a state, in the order of the text."""
        fails, pending, held, applied, _, _ = state
        return (fails, pending, held, applied) if self.law.shows_held else (fails, pending, applied)


def true_margins(law: Law, policy: Policy) -> dict[tuple[int, Seen], Fraction]:
    """For every moment that comes in some world: the least margin over worlds and over the states that show it."""
    found: dict[tuple[int, Seen], Fraction] = {}
    for world in law.worlds:
        enumeration = Enumeration(law, policy, world)
        for step, seen, state, memory in enumeration.moments():
            margin = enumeration.margin(state, memory, law.horizon - step)
            key = step, seen
            found[key] = min(found.get(key, margin), margin)
    return found
