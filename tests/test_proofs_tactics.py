"""Finders against brute force that knows nothing of the kernel: small random worlds, bounds and verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from random import Random
from typing import Any

import pytest

from dsl.parser import parse_machine
from dsl.polynomial import Polynomial
from proofs import explicit
from proofs.games import TooLarge, iterate, solve_floats
from proofs.kernel.certificate import (
    BetterCertificate,
    BetterWorstCertificate,
    Cut,
    InvariantCertificate,
    Leaf,
    NotBetterHereCertificate,
    PathCertificate,
    PointwiseCertificate,
    RankCertificate,
    Tree,
)
from proofs.kernel.chapter import Chapter
from proofs.kernel.check import (
    Breaks,
    IsBetter,
    IsBounded,
    IsNotBetter,
    IsOptimal,
    Keeps,
    check,
)
from proofs.kernel.theorem import Improvement, NoImprovement, Optimality, ValueBounds
from proofs.tactics import optimality
from proofs.tactics.bounds import Grid
from proofs.tactics.compare import (
    Bounders,
    estimate_gap,
    find_bounds,
    find_evidence,
    find_optimality,
)
from proofs.tactics.farkas import find_multipliers
from proofs.tactics.pieces import Stuck
from proofs.tactics.requirements import find_requirement

STATES, ACTIONS = 4, 2
GOOD = (BetterCertificate, BetterWorstCertificate, PointwiseCertificate)
POINTS = (Fraction(1, 5), Fraction(2, 5), Fraction(3, 5))


@dataclass(frozen=True)
class Toy:
    """A small world as plain tables, and two programs of it as tables of actions and next memories."""

    anywhere: bool
    unknown: bool
    rational: bool
    replies: int
    rate: bool
    horizon: int | None
    criterion: str
    next: dict[tuple[int, int, int, int, int], int]
    reward: dict[tuple[int, int, int, int], int]
    weight: str
    acts: tuple[dict[tuple[int, int], tuple[int, int]], ...]

    @property
    def finite(self) -> range:
        """Values of the finite unknown."""
        return range(2 if self.unknown else 1)

    def chance(self, p: Fraction, w: Fraction) -> Fraction:
        """The weight of a fall."""
        return {"fixed": Fraction(1, 4), "p": p, "w": w, "both": p / 2 + w / 2}[self.weight]


def random_toy(random: Random, **fixed: Any) -> Toy:
    """A world and two programs, of every kind unless some of it is fixed."""
    unknown, rational, rate = (random.random() < 0.4 for _ in range(3))
    toy = Toy(
        anywhere=random.random() < 0.5,
        unknown=unknown,
        rational=rational,
        replies=random.choice((1, 1, 2)),
        rate=rate,
        horizon=random.choice((None, 3)),
        criterion=random.choice(("dominates", "strictly", "worst")),
        next={
            key: random.randrange(STATES)
            for key in product(range(2), range(STATES), range(ACTIONS), range(2), range(2))
        },
        reward={
            key: random.randint(-3, 3)
            for key in product(range(STATES), range(ACTIONS), range(2), range(2))
        },
        weight="fixed",
        acts=tuple(
            {
                key: (random.randrange(ACTIONS), random.randrange(2))
                for key in product(range(STATES), range(2))
            }
            for _ in range(2)
        ),
    )
    toy = replace(toy, **fixed)
    weights = ["fixed"] + ["p"] * toy.rational + ["w"] * toy.rate
    weights += ["both"] * (toy.rational and toy.rate)
    return replace(toy, weight=fixed.get("weight", random.choice(weights)))


def nested(values: Any) -> str:
    """Lists as array literals."""
    return "[" + ", ".join(map(nested, values)) + "]" if isinstance(values, list) else str(values)


def text_of(toy: Toy, number: int) -> str:
    """The machine with one of the programs."""

    def step(fall: int) -> str:
        rows = [
            [
                [[toy.next[fall, x, a, y, u] for u in range(2)] for y in range(2)]
                for a in range(ACTIONS)
            ]
            for x in range(STATES)
        ]
        return nested(rows)

    rewards = [
        [[[toy.reward[x, a, y, u] for u in range(2)] for y in range(2)] for a in range(ACTIONS)]
        for x in range(STATES)
    ]
    acts = [[toy.acts[number][x, m][0] for m in range(2)] for x in range(STATES)]
    keeps = [[toy.acts[number][x, m][1] for m in range(2)] for x in range(STATES)]
    weight = {"fixed": "1/4", "p": "p", "w": "w", "both": "p / 2 + w / 2"}[toy.weight]
    index = f"[x][a][{'y' if toy.replies > 1 else '0'}][{'u' if toy.unknown else '0'}]"
    cube = "array[4] of array[2] of array[2] of array[2] of"
    horizon = "discount 4/5" if toy.horizon is None else f"horizon {toy.horizon}"
    return f"""machine toy
table STEP: {cube} int 0..3 = {step(0)}
table FALL: {cube} int 0..3 = {step(1)}
table PAY: {cube} int = {nested(rewards)}
environment {{
  {"unknown u: int 0..1" if toy.unknown else ""}
  {"unknown p: rat 1/5..3/5" if toy.rational else ""}
  state x: int 0..3 = {"any where x < 3" if toy.anywhere else "0"}
  action a: int 0..1
  {"adversary y: int 0..1" if toy.replies > 1 else ""}
  {"adversary w: rat 0..1/2" if toy.rate else ""}
  chance falls: bool = {{ true: {weight}, false: 1 - ({weight}) }}
  x' = if falls then FALL{index} else STEP{index}
  reward = PAY{index} {"+ p * x" if toy.rational else ""}
  done = x == 3
}}
utility {{ {horizon}  better {toy.criterion} }}
agent {{
  memory m: int 0..1 = 0
  table ACT: array[4] of array[2] of int 0..1 = {nested(acts)}
  table KEEP: array[4] of array[2] of int 0..1 = {nested(keeps)}
  policy {{ a = ACT[x][m]  m' = KEEP[x][m] }}
}}
"""


def brute_value(
    toy: Toy, number: int | None, u: int, p: Fraction, starts: tuple[int, ...]
) -> list[Fraction]:
    """The values at starts: of a program, or of the best choice of actions; under a discount 150 steps."""
    rates = (Fraction(0), Fraction(1, 2)) if toy.rate else (Fraction(0),)
    # floats where there is no end: enough digits for the tolerance of the tests
    kind: Any = float if toy.horizon is None else Fraction
    g, one = kind(Fraction(4, 5) if toy.horizon is None else 1), kind(1)

    def moves(x: int, a: int, kept: int) -> list[tuple[Any, Any, Any, Any]]:
        """For each reply the reward, the weight of a fall, and where falls and steps lead."""
        return [
            (
                kind(toy.reward[x, a, y, u] + (p * x if toy.rational else 0)),
                kind(toy.chance(p, w)),
                (toy.next[1, x, a, y, u], kept),
                (toy.next[0, x, a, y, u], kept),
            )
            for y, w in product(range(toy.replies), rates)
        ]

    options: dict[tuple[int, int], list[list[tuple[Any, Any, Any, Any]]]] = {}
    for x, m in product(range(3), range(2)):
        if number is None:
            options[x, m] = [moves(x, a, 0) for a in range(ACTIONS)]
        else:
            options[x, m] = [moves(x, *toy.acts[number][x, m])]
    value: dict[tuple[int, int], Any] = dict.fromkeys(product(range(STATES), range(2)), kind(0))
    for _ in range(toy.horizon if toy.horizon is not None else 150):
        after = {place: kind(0) for place in value}
        for place, groups in options.items():
            after[place] = max(
                min(
                    pay + g * (q * value[fall] + (one - q) * value[step])
                    for pay, q, fall, step in group
                )
                for group in groups
            )
        value = after
    return [value[x, 0] for x in starts]


def starts_of(toy: Toy) -> tuple[int, ...]:
    """Where episodes may start."""
    return (0, 1, 2) if toy.anywhere else (0,)


def values_of(toy: Toy, number: int | None) -> Iterator[Any]:
    """Values in every world, rational unknowns at some points."""
    for u, p in product(toy.finite, POINTS if toy.rational else POINTS[:1]):
        yield from brute_value(toy, number, u, p, starts_of(toy))


def chapter_of(toy: Toy) -> tuple[Chapter, Any, Any]:
    """The chapter and both codes."""
    machines = [parse_machine(text_of(toy, k)) for k in range(2)]
    return Chapter(machines[0].declarations), machines[0].agent, machines[1].agent


def wanted(toy: Toy) -> str | None:
    """The verdict by brute force; None where numbers are too near to tell."""
    old, new = list(values_of(toy, 0)), list(values_of(toy, 1))
    close = 0 if toy.horizon is not None else Fraction(1, 10**7)
    if toy.criterion == "worst":
        difference = min(new) - min(old)
        if 0 < abs(difference) <= close:
            return None
        return "better" if difference > close else "worse"
    differences = [b - a for a, b in zip(old, new, strict=True)]
    if any(d and abs(d) <= close for d in differences):
        differences = [d if abs(d) > close else 0 for d in differences]
    if toy.criterion == "strictly":
        return "better" if min(differences) > 0 else "worse"
    return "better" if min(differences) >= 0 and max(differences) > 0 else "worse"


@pytest.mark.parametrize("seed", range(60))
def test_without_rational_unknowns_every_rewrite_is_decided_as_brute_force_says(seed: int) -> None:
    toy = random_toy(Random(seed), rational=False)
    chapter, old, new = chapter_of(toy)
    before, after = chapter.program(old), chapter.program(new)
    found = find_evidence(chapter, Bounders(chapter, before), Bounders(chapter, after))
    expected = wanted(toy)
    if isinstance(found, GOOD):
        statement = check(IsBetter(chapter, old, new), found).statement
        assert isinstance(statement, Improvement)
        assert expected in ("better", None)
    else:
        statement = check(IsNotBetter(chapter, old, new), found).statement
        assert isinstance(statement, NoImprovement)
        assert expected in ("worse", None)


@pytest.mark.parametrize("seed", range(30))
def test_with_rational_unknowns_no_verdict_is_wrong_and_few_are_open(seed: int) -> None:
    toy = random_toy(Random(1_000 + seed), rational=True)
    chapter, old, new = chapter_of(toy)
    before, after = chapter.program(old), chapter.program(new)
    try:
        found = find_evidence(chapter, Bounders(chapter, before), Bounders(chapter, after))
    except Stuck:
        differences = [b - a for a, b in zip(values_of(toy, 0), values_of(toy, 1), strict=True)]
        # what is left open is a tie somewhere, or nearly one
        assert toy.criterion == "worst" or min(map(abs, differences)) < Fraction(1, 20)
        return
    old_values, new_values = list(values_of(toy, 0)), list(values_of(toy, 1))
    near = Fraction(1, 10**9)
    if isinstance(found, GOOD):
        check(IsBetter(chapter, old, new), found)
        if toy.criterion == "worst":
            return
        assert all(b >= a - near for a, b in zip(old_values, new_values, strict=True))
    else:
        check(IsNotBetter(chapter, old, new), found)


@pytest.mark.parametrize("seed", range(40))
def test_bounds_hold_every_value_and_are_tight_where_nothing_is_curved(seed: int) -> None:
    toy = random_toy(Random(2_000 + seed))
    chapter, old, _ = chapter_of(toy)
    found = find_bounds(chapter, Bounders(chapter, chapter.program(old)))
    statement = check(IsBounded(chapter, old), found).statement
    assert isinstance(statement, ValueBounds)
    assert statement.lower is not None and statement.upper is not None
    near = Fraction(1, 10**9)
    worth = list(values_of(toy, 0))
    assert all(statement.lower - near <= v <= statement.upper + near for v in worth)
    if not toy.rational:
        assert statement.lower >= min(worth) - Fraction(1, 10**5)
        assert statement.upper <= max(worth) + Fraction(1, 10**5)


@pytest.mark.parametrize("seed", range(20))
def test_no_choice_of_actions_beats_the_bound_for_every_program(seed: int) -> None:
    toy = random_toy(Random(3_000 + seed))
    chapter, old, _ = chapter_of(toy)
    mine, every = Bounders(chapter, chapter.program(old)), Bounders(chapter, None)
    certificate = find_optimality(chapter, mine, every)
    statement = check(IsOptimal(chapter, old), certificate).statement
    assert isinstance(statement, Optimality)
    assert statement.gap == estimate_gap(chapter, mine, every)
    best, own = list(values_of(toy, None)), list(values_of(toy, 0))
    gaps = [b - a for a, b in zip(own, best, strict=True)]
    near = Fraction(1, 10**9)
    assert all(gap <= statement.gap + near for gap in gaps)
    if not toy.rational:
        assert statement.gap <= max(gaps) + Fraction(1, 10**5)


@pytest.mark.parametrize("seed", range(20))
def test_the_same_question_is_answered_with_the_same_certificate(seed: int) -> None:
    toy = random_toy(Random(4_000 + seed))
    answers: list[object] = []
    for _ in range(2):
        chapter, old, new = chapter_of(toy)
        pair = chapter.program(old), chapter.program(new)
        try:
            answers.append(find_evidence(chapter, *(Bounders(chapter, p) for p in pair)))
        except Stuck as error:
            answers.append(str(error))
    assert answers[0] == answers[1]


# --- one tactic at a time ------------------------------------------------------------------------


def evidence(text: str, *changes: tuple[str, str]) -> tuple[Chapter, Any]:
    """What is found for a change of the text, after the kernel has taken it."""
    changed = text
    for old, new in changes:
        assert old in changed
        changed = changed.replace(old, new)
    machine, other = parse_machine(text), parse_machine(changed)
    chapter = Chapter(machine.declarations)
    pair = chapter.program(machine.agent), chapter.program(other.agent)
    found = find_evidence(chapter, *(Bounders(chapter, p) for p in pair))
    question = IsBetter if isinstance(found, GOOD) else IsNotBetter
    check(question(chapter, machine.agent, other.agent), found)
    return chapter, found


COIN = """machine coin
environment {
  unknown p: rat LOW..HIGH
  state x: int 0..2 = 0
  action bet: bool
  chance wins: bool = { true: p, false: 1 - p }
  x' = if bet then (if wins then 2 else 1) else 0
  reward = if bet then (if wins then 3 else -2) else 0
  done = x > 0
}
utility { discount 9/10 }
agent { policy { bet = false } }
"""


def test_belief_a_bet_is_proved_where_the_rate_is_high_enough_and_refused_where_it_may_not_be() -> (
    None
):
    fair = COIN.replace("LOW", "1/2").replace("HIGH", "9/10")
    _, found = evidence(fair, ("bet = false", "bet = true"))
    assert isinstance(found, BetterCertificate)
    assert found.gain == Fraction(1, 2)
    wide = COIN.replace("LOW", "1/4").replace("HIGH", "9/10")
    _, found = evidence(wide, ("bet = false", "bet = true"))
    assert isinstance(found, NotBetterHereCertificate)
    assert found.world.rationals == (Fraction(1, 4),)


CURVED = """machine curved
environment {
  unknown p: rat 1/10..9/10
  state x: int 0..3 = 0
  action a: int 0..1
  chance up: bool = { true: p, false: 1 - p }
  chance high: bool = { true: p, false: 1 - p }
  x' = if up and high then min(x + 1, 3) else 0
  reward = (if x' == 3 then 2 else 0) + (if a == 1 then GAIN else 0)
}
utility { discount 4/5 }
agent { policy { a = 0 } }
"""


@pytest.mark.parametrize("gain", ["1/10", "1/4"])
def test_boxes_are_cut_until_bounds_of_curved_values_are_apart(gain: str) -> None:
    _, found = evidence(CURVED.replace("GAIN", gain), ("a = 0", "a = 1"))
    assert isinstance(found, BetterCertificate)
    assert isinstance(found.cases[0].tree, Cut)


def test_gap_is_cut_only_as_far_as_its_pieces_list_no_more_steps_than_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = parse_machine(CURVED.replace("GAIN", "1/10"))
    chapter = Chapter(machine.declarations)
    program, found = chapter.program(machine.agent), list[Fraction]()
    # 4 states with 2 actions: 8 steps a piece
    for most, leaves in ((250_000, 16), (40, 4), (8, 1)):
        monkeypatch.setattr(optimality, "GAP_STEPS_MAX", most)
        shown = find_optimality(chapter, Bounders(chapter, program), Bounders(chapter, None))
        check(IsOptimal(chapter, machine.agent), shown)
        assert count_leaves(shown.cases[0].tree) == leaves
        found.append(shown.gap)
    assert found == sorted(found)


def count_leaves(tree: Tree) -> int:
    """The pieces of a region."""
    return count_leaves(tree.below) + count_leaves(tree.above) if isinstance(tree, Cut) else 1


def test_world_of_too_many_draws_is_given_up_once_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = parse_machine(CURVED.replace("GAIN", "1/10"))
    chapter = Chapter(machine.declarations)
    bounders = Bounders(chapter, chapter.program(machine.agent))
    monkeypatch.setattr(explicit, "DRAWS_MAX", 5)
    with pytest.raises(TooLarge, match="more than 5 draws of chance"):
        bounders.of(())
    monkeypatch.setattr(explicit, "explore", None)
    with pytest.raises(TooLarge, match="more than 5 draws of chance"):
        bounders.of(())


def test_ticks_are_saved_pointwise_where_values_are_curved() -> None:
    text = CURVED.replace("GAIN", "0").replace("discount 4/5", "discount 4/5 tick_price 1/1000")
    slow = text.replace("a = 0", "a = 0 * x")
    _, found = evidence(slow, ("a = 0 * x", "a = 0"))
    assert isinstance(found, PointwiseCertificate)
    assert found.gain > 0


def test_two_draws_that_share_a_rate_are_not_judged_by_its_ends() -> None:
    text = """machine shared
environment {
  unknown p: rat 0..1
  state x: bool = false
  action a: bool
  chance c: bool = { true: p, false: 1 - p }
  chance d: bool = { true: p, false: 1 - p }
  reward = if a then 1 - (if c and not d then 1000 else 0) else 0
}
utility { horizon 1 }
agent { policy { a = false } }
"""
    _, found = evidence(text, ("a = false", "a = true"))
    assert isinstance(found, NotBetterHereCertificate)
    assert found.world.rationals == (Fraction(1, 2),)


PREFERENCES = """machine preferences
environment {
  unknown v: rat 0..1
  unknown w: rat 0..1
  assume w >= 2 * v
  assume v + w <= 1
  state energy: int 0..3 = 3
  action job: int 0..2
  chance luck: bool = { true: LUCK, false: 1 - (LUCK) }
  energy' = if job == 0 then min(energy + 2, 3) else if luck then energy else max(energy - 1, 0)
  reward = if energy == 0 then 0 else if job == 1 then v else if job == 2 then w else 0
}
utility { discount 4/5 }
agent { policy { job = if energy > 0 then 1 else 0 } }
"""


def test_under_assume_multipliers_show_what_the_box_alone_does_not() -> None:
    _, found = evidence(PREFERENCES.replace("LUCK", "1/2"), ("then 1 else 0", "then 2 else 0"))
    assert isinstance(found, BetterCertificate)
    assert isinstance(found.cases[0].tree, Leaf) and found.cases[0].tree.multipliers


def test_under_assume_weights_may_read_unknowns_too() -> None:
    text = PREFERENCES.replace("LUCK", "v / 2").replace("then w else", "then w + 1 else")
    _, found = evidence(text, ("then 1 else 0", "then 2 else 0"))
    assert isinstance(found, BetterCertificate) and found.gain > 0


def test_multipliers_are_exact_and_none_are_found_for_what_does_not_follow() -> None:
    v, w = Polynomial.variable("v"), Polynomial.variable("w")
    constraints = (v, 1 - v, w, 1 - w, w - 2 * v, 1 - v - w)
    found = find_multipliers(w - v, constraints)
    assert found is not None and all(m >= 0 for m in found)
    rest: Any = w - v
    for m, g in zip(found, constraints, strict=True):
        rest = rest - g * m
    assert rest >= 0
    assert find_multipliers(v - w, constraints) is None
    assert find_multipliers(Fraction(1, 2) - w, constraints) is None


# --- requirements --------------------------------------------------------------------------------

WALK = """machine walk
environment {
  unknown hard: bool
  unknown p: rat 0..1/4
  state x: int 0..9 = any where x <= 6
  action go: int -2..2
  adversary push: bool where push implies hard
  chance gust: bool = { true: p, false: 1 - p }
  x' = clamp(x + go + (if gust then 1 else 0) + (if push then 1 else 0), 0, 9)
  reward = x
}
utility { discount 9/10 }
require low: always x < 9
require gentle: always x' - x <= 3
require home: within 6 reach x == 0 from x < 9 using back
agent {
  policy { go = if x < 5 then 1 else -2 }
  policy back { go = -2 }
}
"""


def requirement(text: str, name: str) -> Any:
    """What is found about a requirement, after the kernel has taken it."""
    machine = parse_machine(text)
    chapter = Chapter(machine.declarations)
    wanted = next(r for r in chapter.task.requirements if r.name == name)
    found = find_requirement(chapter, chapter.program(machine.agent), wanted)
    question = Breaks if isinstance(found, PathCertificate) else Keeps
    check(question(chapter, name, machine.agent), found)
    return found


def test_requirements_over_states_and_steps_are_kept_by_what_is_reached() -> None:
    assert isinstance(requirement(WALK, "low"), InvariantCertificate)
    assert isinstance(requirement(WALK, "gentle"), InvariantCertificate)


def test_a_state_that_is_forbidden_is_reached_by_a_shortest_path_in_a_named_world() -> None:
    found = requirement(WALK.replace("x < 5 then 1", "x < 7 then 2"), "low")
    assert isinstance(found, PathCertificate)
    assert len(found.moves) == 1
    assert found.world.starts == (6,)


def test_a_step_that_is_forbidden_is_the_last_of_its_path() -> None:
    found = requirement(WALK.replace("x < 5 then 1", "x < 5 then 2"), "gentle")
    assert isinstance(found, PathCertificate)
    assert found.world.unknowns == (True,)
    assert found.moves[-1].reply.finite == (True,)


def test_the_way_home_is_ranked_or_missed_by_a_path() -> None:
    kept = WALK.replace("push implies hard", "not push").replace("within 6", "within 7")
    assert isinstance(requirement(kept, "home"), RankCertificate)
    found = requirement(WALK, "home")
    assert isinstance(found, PathCertificate)
    assert len(found.moves) - found.switch == 6


def test_no_path_is_longer_than_the_horizon() -> None:
    text = WALK.replace("discount 9/10", "horizon 2").replace("any where x <= 6", "0")
    text = text.replace("x < 9\n", "x < 8\n").replace("x < 5 then 1", "x < 9 then 2")
    found = requirement(text, "low")
    assert isinstance(found, PathCertificate) and len(found.moves) == 2
    with pytest.raises(Exception, match="within the horizon"):
        requirement(text.replace("horizon 2", "horizon 1"), "low")


# --- sizes ---------------------------------------------------------------------------------------


def test_iteration_agrees_with_elimination() -> None:
    random = Random(5)
    rows = []
    for _ in range(200):
        to = tuple(random.sample(range(200), 6))
        rows.append((random.uniform(-1, 1), to, (0.95 / 6,) * 6))
    for a, b in zip(solve_floats(rows), iterate(rows, [0.0] * 200), strict=True):
        assert abs(a - b) < 1e-9


def test_grids_run_from_coarse_to_exact() -> None:
    assert [g.name for g in Grid] == ["COARSE", "FINE", "EXACT"]
