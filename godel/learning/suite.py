"""Suites: small machines of several kinds, made from a seed, to learn a search on.

Every machine has the same search (`suite_search.godel`) and something in its agent that one family or another may better, or
nothing at all. The same kind, number and seed give the same file, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.resources import files
from random import Random
from string import Template

from dsl.formatter import format_source

COUNT = 80
"""How many machines a suite has where nobody says."""


def make_suite(count: int = COUNT, seed: int = 0) -> Iterator[tuple[str, str]]:
    """So many machines, each as its name and the text of its file; kinds take turns."""
    search = files("godel.learning").joinpath("suite_search.godel").read_text(encoding="utf-8")
    kinds = list(KINDS.items())
    for number in range(count):
        kind, make = kinds[number % len(kinds)]
        name = f"{kind}_{number:0{len(str(count - 1))}}"
        machine = make(name, Random(f"{seed} {name}"))
        yield name, format_source(f"{machine}\n{search}")


# --- kinds ---------------------------------------------------------------------------------------

_WALK = Template("""# A walker starts at either end of a corridor; in some places its plan may make it stand still for ever.
machine $name

enum Move { left, stay, right }

environment {
  state pos: int 0..$end = { 0: 1/2, $end: 1/2 }
  action move: Move
  chance slip: bool = { true: $slip, false: 1 - $slip }
  pos'   = clamp(pos + (if slip then 0 else ord(move) - 1), 0, $end)
  reward = if pos' == $goal then 1 else 0
}

utility { discount 9/10 }

agent {
  table PLAN: array[$size] of Move = [$plan]
  policy { move = PLAN[pos] }
}
""")


def _walk(name: str, rng: Random) -> str:
    """A plan that is the best one but for some places."""
    end = rng.randint(4, 8)
    goal = rng.randint(1, end - 1)
    plan = ["right"] * goal + ["stay"] + ["left"] * (end - goal)
    if rng.random() < 3 / 4:
        side = rng.choice([range(goal), range(goal + 1, end + 1)])
        for place in rng.sample(side, rng.randint(1, len(side))):
            plan[place] = "stay"
    places = {"end": end, "goal": goal, "size": end + 1}
    return _WALK.substitute(places, name=name, plan=", ".join(plan), slip=_share(rng))


_HEAT = Template("""# A thermostat keeps a room between two temperatures; where it switches may be wrong.
machine $name

environment {
  state temp: int 0..$end = $start
  action heater: bool
  chance draught: int = { -1: $cold, 0: 1 - $cold }
  temp'  = clamp(temp + draught + (if heater then 1 else 0), 0, $end)
  reward = if $low <= temp' <= $high then 1 else 0
}

utility { discount 9/10 }

agent {
  param target: int 0..$end = $target
  policy { heater = temp < target }
}
""")


def _heat(name: str, rng: Random) -> str:
    """A threshold that is right in some machines."""
    end = rng.randint(7, 10)
    low = rng.randint(3, end - 3)
    high = low + 1
    target = high if rng.random() < 1 / 4 else rng.choice([low - 1, high + 1])
    return _HEAT.substitute(
        name=name,
        end=end,
        low=low,
        high=high,
        target=target,
        start=rng.randint(0, end),
        cold=_share(rng),
    )


_SORT = Template("""# Parcels on a belt: those within bounds are to be pushed aside. The test is right, and perhaps long.
machine $name

environment {
  state parcel: int 0..$end = 0
  action push: bool
  chance next: int = { for i in 0..$end: i: 1/$size }
  parcel' = next
  reward  = if push == ($low <= parcel and parcel < $high) then 1 else 0
}

utility { discount 9/10  tick_price 1/1000 }

agent { policy { push = $test } }
""")


def _sort(name: str, rng: Random) -> str:
    """The right test, as short as can be or not."""
    end = rng.randint(5, 9)
    low = rng.randint(2, end - 2)
    high = rng.randint(low + 1, end - 1)
    inside = f"{low} <= parcel and parcel < {high}"
    test = f"{low} <= parcel < {high}"
    if rng.random() < 3 / 4:
        test = rng.choice(
            [
                f"if {inside} then true else false",
                f"not not ({inside})",
                f"({inside}) or ({inside})",
                f"{low} + 0 <= parcel and parcel < {high}",
                f"{inside} and {low} <= parcel",
            ]
        )
    return _SORT.substitute(name=name, end=end, size=end + 1, low=low, high=high, test=test)


def _share(rng: Random) -> str:
    return f"{rng.randint(1, 5)}/10"


KINDS: dict[str, Callable[[str, Random], str]] = {"walk": _walk, "heat": _heat, "sort": _sort}
"""The kinds of machines by name."""
