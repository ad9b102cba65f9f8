"""What worlds, memory, policies, prices and requirements mean once they are checked, and what is refused."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import combinations, product
from pathlib import Path

import pytest

from dsl import syntax as s
from dsl.check import check_code, check_machine
from dsl.check_assumptions import can_hold
from dsl.check_unknowns import count_terms
from dsl.errors import DslError
from dsl.linear import find_point
from dsl.machine import Always, Assumption, Program, Reach, Task
from dsl.parser import parse_machine
from dsl.polynomial import Polynomial, Weight, substitute
from dsl.rewrite import (
    AddSlot,
    RemoveSlot,
    apply_rewrite,
    decode_edits,
    derive_edits,
    encode_edits,
    replace_at,
)
from dsl.types import Bits, Rat, Value, Variable, inhabits, values

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.godel"))
P, Q = Polynomial.variable("p"), Polynomial.variable("q")
half = Fraction(1, 2)


def machine(environment: str, **parts: str) -> tuple[Task, Program]:
    """A machine around the items of an environment; `parts` are its other blocks, each with a default."""
    utility = parts.pop("utility", "discount 1/2")
    agent = parts.pop("agent", "policy { go = false }")
    if "action" not in environment:
        environment += "\n  action go: bool"
    if "state" not in environment:
        environment += "\n  state x: int 0..9 = 0"
    if "reward" not in environment:
        environment += "\n  reward = 0"
    text = f"machine m\n{parts.pop('top', '')}\nenvironment {{ {environment} }}\n"
    text += f"utility {{ {utility} }}\n{parts.pop('require', '')}\nagent {{ {agent} }}\n"
    assert not parts
    return check_machine(parse_machine(text))


def faults(environment: str, **parts: str) -> list[str]:
    """The codes of what is wrong with such a machine."""
    with pytest.raises(DslError) as caught:
        machine(environment, **parts)
    return [d.code for d in caught.value.diagnostics]


# --- programs ------------------------------------------------------------------------------------


def some_value(variable: Variable, rng: random.Random) -> Value:
    """A value of a variable, which is drawn rather than listed where there are many."""
    kind = variable.type
    if isinstance(kind, Rat):
        raise AssertionError("a rational is never listed")
    if isinstance(kind, Bits):
        return rng.randrange(2**kind.width)
    return rng.choice(list(values(kind)))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_program_checks_and_steps(path: Path) -> None:
    task, program = check_machine(parse_machine(path.read_text(encoding="utf-8")))
    rng = random.Random(7)
    for _ in range(10):
        unknowns = tuple(some_value(v, rng) for v in task.unknowns)
        anywhere = tuple(some_value(v, rng) for v in task.any_states)
        starts = task.start_states(anywhere, unknowns)
        assert sum((w for _, w in starts), Fraction(0)) == 1
        state, memory = rng.choice(starts)[0], program.memory_start
        for _ in range(15):
            if task.is_done(state, unknowns):
                break
            for name in program.policies:
                decision = program.act(state, memory, policy=name)
                assert decision.ticks >= 0
            decision = program.act(state, memory)
            assert all(
                inhabits(v.type, x) for v, x in zip(program.memories, decision.memory, strict=True)
            )
            reply = rng.choice(task.replies(state, decision.actions, unknowns))
            outcomes = task.outcomes(state, decision.actions, unknowns, reply)
            assert sum((o.weight for o in outcomes), Fraction(0)) == 1
            chosen = rng.choice(outcomes)
            for requirement in task.requirements:
                if isinstance(requirement, Always) and requirement.of_step:
                    task.holds_at_step(
                        requirement.holds, state, decision.actions, chosen.successor, unknowns
                    )
                elif isinstance(requirement, Always):
                    task.holds(requirement.holds, state, unknowns)
            state, memory = chosen.successor, decision.memory
            assert all(inhabits(v.type, x) for v, x in zip(task.states, state, strict=True))


# --- starts --------------------------------------------------------------------------------------


def test_any_starts_are_the_joint_values_that_meet_every_condition() -> None:
    task, _ = machine("""
      unknown k: int 0..2
      state a: int 0..3 = any where a + b <= k
      state c: int 0..9 = 2 * a + k
      state b: int 0..3 = any where b != 1
    """)
    for k in range(3):
        wanted = [(a, b) for a, b in product(range(4), range(4)) if a + b <= k and b != 1]
        assert list(task.any_starts((k,))) == wanted
        for a, b in wanted:
            assert task.start_states((a, b), (k,)) == (((a, 2 * a + k, b), Fraction(1)),)


def test_random_start_reads_states_above_and_unknowns_in_weights() -> None:
    task, _ = machine("""
      unknown p: rat 0..1
      unknown far: int 0..2
      state a: int 0..3 = { 0: p, far + 1: 1 - p }
      state b: int 0..9 = if a > 0 then { a: 1/2, 0: 1/2 } else { 9: 1 }
      state c: int 0..9 = a + b
    """)
    assert dict(task.start_states((), (1,))) == {
        (0, 9, 9): P,
        (2, 2, 4): (1 - P) * half,
        (2, 0, 2): (1 - P) * half,
    }


def test_space_of_starts_too_large_to_list_is_legal_and_costs_nothing() -> None:
    task, _ = machine("""
      unknown key: bits[64]
      state x: bits[32] = any where x != 0
      state y: array[9] of int 0..0xffff_ffff = any
    """)
    assert task.any_count == 2**320
    assert task.unknown_count == 2**64
    first = next(task.any_starts((5,)))
    assert first == (1, (0,) * 9)


def test_unknown_for_which_nothing_can_start_is_named() -> None:
    with pytest.raises(DslError, match=r"G065: no start meets the condition \(at k = 2\)"):
        machine("unknown k: int 0..2\n state x: int 0..9 = any where x < 2 - k")


def test_state_may_be_rational_and_start_anywhere() -> None:
    task, program = machine(
        """
        state x: rat 0..1 = 1/2
        state y: array[2] of rat -1..1 = [0, 1/3]
        action go: bool
        x' = if go then x / 2 else x
        reward = x + y[1]
        """,
        agent="policy { go = x > 1/8 }",
    )
    (outcome,) = task.outcomes((half, (0, Fraction(1, 3))), program.act((half, (0, 0))).actions)
    assert outcome.reward == Fraction(5, 6)
    assert outcome.successor == (Fraction(1, 4), (0, Fraction(1, 3)))
    endless, _ = machine("state x: rat 0..1 = any")
    assert endless.any_count is None
    assert faults("action go: rat 0..1") == ["G022"]


def test_state_and_memory_share_the_bits_of_a_machine() -> None:
    state = "state x: array[63] of bits[64] = [for i in 0..62: bits[64](0)]"
    memory = "memory m: array[{}] of bool = [for i in 0..{}: true]  policy {{ go = false }}"
    task, program = machine(state, agent=memory.format(64, 63))
    assert len(program.memories) == len(task.states) == 1
    assert faults(state, agent=memory.format(65, 64)) == ["G003"]


# --- unknowns, rates, adversaries ----------------------------------------------------------------


def test_finite_unknown_is_usable_anywhere_in_the_world() -> None:
    task, _ = machine(
        """
        unknown u: int -2..2
        state x: int 0..9 = u + 2
        action go: bool
        adversary y: int 0..3 where y <= u + 2
        chance c: int = if u > 0 then { u: 1 } else { 0: 1 }
        x'     = clamp(x + u + c, 0, 9)
        reward = u * x'
        done   = x > 5 + u
        """,
        require="require r: always x <= 9 + u or u < 0",
    )
    assert list(task.unknown_values()) == [(u,) for u in range(-2, 3)]
    assert task.start_states((), (1,)) == (((3,), Fraction(1)),)
    assert task.replies((3,), (False,), (-1,)) == ((0,), (1,))
    (outcome,) = task.outcomes((3,), (False,), (2,), (0,))
    assert (outcome.successor, outcome.reward) == ((7,), Fraction(14))
    assert [task.is_done((5,), (u,)) for u in range(-2, 3)] == [True, True, False, False, False]
    (requirement,) = task.requirements
    assert isinstance(requirement, Always)
    assert task.holds(requirement.holds, (9,), (0,))


def test_weights_and_rewards_are_polynomials_in_unknowns_and_rates() -> None:
    task, _ = machine(
        """
        unknown p: rat 0..1
        unknown n: int 0..2
        adversary w: rat 0..1/4
        state x: int 0..9 = 0
        action go: bool
        let odds = mix(p, w)
        chance c: bool = if go then { true: odds, false: 1 - odds } else { true: 1 }
        chance d: bool = if c then { true: p / 2, false: 1 - p / 2 } else { false: 1 }
        x'     = if c and d then 3 else x
        reward = (if c then p else n) + p * w * x'
        """,
        top="def mix(a: rat, b: rat): rat = let c = a * b in match true { true: c / 2, false: c }",
    )
    w = Polynomial.variable("w")
    assert [v.name for v in task.rationals] == ["p"]
    assert [v.name for v in task.rates] == ["w"]
    outcomes = {o.successor + (o.reward,): o.weight for o in task.outcomes((0,), (True,), (2,))}
    odds = P * w * half
    assert outcomes == {
        (3, P + 3 * P * w): odds * (P * half),
        (0, P): odds * (1 - P * half),
        (0, Fraction(2)): 1 - odds,
    }
    total: Weight = sum(outcomes.values(), Fraction(0))
    assert total == 1


def test_adversary_answers_state_actions_and_the_other_adversaries() -> None:
    task, _ = machine("""
      state x: int 0..3 = 0
      action go: bool
      adversary y: int 0..3 where y <= x
      adversary z: int 0..1 where go implies z != y
      x' = y
    """)
    for x, go in product(range(4), (False, True)):
        wanted = [(y, z) for y, z in product(range(x + 1), (0, 1)) if not go or z != y]
        assert list(task.replies((x,), (go,))) == wanted
    (outcome,) = task.outcomes((3,), (True,), (), (2, 1))
    assert outcome.successor == (2,)


def test_chance_reads_chance_above_it_and_lets_of_it() -> None:
    task, _ = machine("""
      chance a: int = { 0: 1/2, 1: 1/2 }
      let twice = 2 * a
      chance b: int = { twice: 1/3, 5: 2/3 }
      reward = 10 * a + b
    """)
    rewards = {o.reward: o.weight for o in task.outcomes((0,), (False,))}
    third = Fraction(1, 3)
    assert rewards == {0: third * half, 5: third, 12: third * half, 15: third}
    assert faults("chance a: int = { b: 1 }\n chance b: int = { 0: 1 }") == ["G020"]


FINE_USES = [
    "reward = -p + p * q - p / 4 * w",
    "reward = if x > 3 then p else match x { 0: q, else: 1 - q }",
    "reward = let odds = p * p in odds / (2 + 3)",
    "reward = part(p, 4) + part(q, N)",
    "let odds = p\n let twice = 2 * odds\n chance c: int = { x: twice / 2, 1: 1 - odds }",
    "reward = p / (fold n = 0 for i in 1..3: n + i)",
    "reward = (if exists i in 0..3: i == x then p else q)",
    "state y: int 0..3 = { 0: p, 1: 1 - p }",
]
BAD_USES = {
    "reward = if p > 1/2 then 1 else 0": "G050",
    "reward = match p { 1: 1, else: 0 }": "G050",
    "reward = min(p, q)": "G050",
    "reward = max(w, 0)": "G050",
    "reward = abs(p - q)": "G050",
    "reward = clamp(p, 0, 1)": "G050",
    "reward = floor(p)": "G050",
    "reward = 1 / p": "G050",
    "reward = p / (x + 1)": "G050",
    "reward = part(p, x + 1)": "G050",
    "reward = part(1, q)": "G050",
    "reward = sure(p)": "G050",
    "reward = deep(w)": "G050",
    "reward = [p, q][0]": "G050",
    "reward = [for i in 0..3: p * i][x mod 4]": "G050",
    "reward = ([1/3, 1/2] with { 0: p })[0]": "G050",
    "reward = fold n = 0 for i in 0..3: n + p": "G050",
    "reward = fold n = p for i in 0..3: n": "G050",
    "reward = if forall i in 0..3: i < p then 1 else 0": "G050",
    "reward = ranged(p)": "G052",
    "reward = kept(w)": "G052",
    "let odds = 2 * p\n x' = if odds > 1 then 1 else 0": "G050",
    "state y: rat 0..1 = 0\n y' = p": "G051",
    "chance c: rat 0..1 = { p: 1 }": "G051",
    "chance c: int = if p > 0 then { 0: 1 } else { 1: 1 }": "G050",
    "chance c: int = match w { 0: { 0: 1 }, else: { 1: 1 } }": "G050",
    "state y: int 0..3 = { 0: w, 1: 1 - w }": "G011",
    "state y: rat 0..1 = p": "G011",
    "state y: int 0..3 = any where y < 4 * p": "G011",
    "done = p > 1/2": "G011",
    "adversary y: int 0..3 where y > p": "G011",
    "assume w <= 1/2": "G011",
    "adversary v: rat 0..1 where v <= 1/2": "G059",
    "unknown r: array[2] of rat 0..1": "G058",
}
DEFS = """
const N = 4
def part(a: rat, n: rat): rat = a / n
def sure(a: rat): rat = if a > 1/2 then 1 else 0
def deep(a: rat): rat = 2 * sure(a * a)
def ranged(a: rat 0..1): rat = a
def kept(a: rat): rat 0..1 = a
"""
OPEN = (
    "unknown p: rat 0..1\n unknown q: rat 0..1\n adversary w: rat 0..1/4\n state x: int 0..9 = 0\n"
)


@pytest.mark.parametrize("use", FINE_USES)
def test_open_numbers_reach_weights_and_rewards(use: str) -> None:
    task, _ = machine(OPEN + use, top=DEFS)
    assert len(task.rationals) == 2


@pytest.mark.parametrize("use", BAD_USES)
def test_open_numbers_are_used_for_nothing_else(use: str) -> None:
    assert BAD_USES[use] in faults(OPEN + use, top=DEFS)


def test_requirement_reads_no_open_number() -> None:
    assert faults(OPEN, require="require r: always x < 9 or p > 1/2") == ["G011"]


def test_open_number_is_followed_through_calls_in_linear_time() -> None:
    defs = "def f0(a: rat): rat = a + a\n"
    defs += "\n".join(f"def f{i}(a: rat): rat = f{i - 1}(a) * 1/2" for i in range(1, 40))
    task, _ = machine(OPEN + "reward = f39(p) + f39(q)", top=defs)
    assert task.outcomes((0,), (False,))[0].reward == (P + Q) * Fraction(2, 2**39)


def test_terms_of_a_step_are_bounded_before_it_runs() -> None:
    assert count_terms([{"p": 2}, {"p": 1, "q": 1}]) == 8
    assert count_terms([{f"p{i}": 1} for i in range(200)]) == 10_001
    draws = "".join(
        f"unknown p{i}: rat 0..1\n chance c{i}: bool = {{ true: p{i}, false: 1 - p{i} }}\n"
        for i in range(14)
    )
    assert faults(draws) == ["G061"]


# --- assumptions ---------------------------------------------------------------------------------


def test_assumptions_are_differences_that_are_not_negative() -> None:
    task, _ = machine(
        """
        unknown p: rat 0..1
        unknown q: rat 0..1
        assume p <= 2 * q
        assume p >= part(q, 2) + 1/10
        assume p + q == 1
        assume p <= 2 * q
        assume 0 <= 1
        """,
        top="def part(a: rat, n: rat): rat = let b = a in b / n",
    )
    assert task.assumptions == (
        Assumption(2 * Q - P, False),
        Assumption(P - Q * half - Fraction(1, 10), False),
        Assumption(1 - P - Q, True),
        Assumption(2 * Q - P, False),
        Assumption(Fraction(1), False),
    )
    assert can_hold(task.rationals, task.assumptions)


@pytest.mark.parametrize(
    ("assumed", "code"),
    [
        ("p < q", "G054"),
        ("p != q", "G054"),
        ("0 <= p <= q", "G054"),
        ("p <= q and q <= p", "G054"),
        ("p * q <= 1", "G055"),
        ("p * p == 1", "G055"),
        ("max(p, q) <= 1", "G050"),
        ("1 / p >= 1", "G050"),
        ("p <= x", "G011"),
        ("p <= k", "G011"),
        ("p >= 1 + 1/1000", "G063"),
        ("p + q == 3", "G063"),
        ("1 <= 0", "G063"),
        ("p - p == 1", "G063"),
    ],
)
def test_assumption_that_is_none_is_refused(assumed: str, code: str) -> None:
    items = "unknown p: rat 0..1\n unknown q: rat 0..1\n unknown k: int 0..1\n"
    assert set(faults(items + f"state x: int 0..1 = 0\n assume {assumed}")) == {code}


def test_assumptions_that_meet_in_one_point_can_hold() -> None:
    items = "unknown p: rat 0..1\n unknown q: rat 0..1\n assume p + q >= 2\n assume p <= q\n"
    task, _ = machine(items)
    assert len(task.assumptions) == 2
    assert faults(items + "assume q <= 999/1000") == ["G063"]


def holds(constraint: tuple[list[Fraction], Fraction, bool], point: tuple[Fraction, ...]) -> bool:
    factors, constant, exact = constraint
    value = sum((a * x for a, x in zip(factors, point, strict=True)), constant)
    return value == 0 if exact else value >= 0


def has_vertex(
    box: list[tuple[Fraction, Fraction]], constraints: list[tuple[list[Fraction], Fraction, bool]]
) -> bool:
    """Whether two of the lines cross at a point that meets everything: a polygon that is not empty has such a corner."""
    sides = [([Fraction(1), Fraction(0)], -end, False) for end in box[0]]
    sides += [([Fraction(0), Fraction(1)], -end, False) for end in box[1]]
    for (a, b, _), (c, d, _) in combinations([*sides, *constraints], 2):
        det = a[0] * c[1] - a[1] * c[0]
        if det:
            point = (a[1] * d - b * c[1]) / det, (b * c[0] - a[0] * d) / det
            inside = all(low <= x <= high for x, (low, high) in zip(point, box, strict=True))
            if inside and all(holds(constraint, point) for constraint in constraints):
                return True
    return False


def test_point_is_found_exactly_where_there_is_one() -> None:
    rng, met = random.Random(3), 0
    for _ in range(400):
        lows = [Fraction(rng.randint(-3, 3), rng.randint(1, 2)) for _ in range(2)]
        box = [(low, low + rng.randint(0, 3)) for low in lows]
        constraints = [
            (
                [Fraction(rng.randint(-2, 2)) for _ in range(2)],
                Fraction(rng.randint(-3, 3)),
                rng.random() < 0.3,
            )
            for _ in range(rng.randint(0, 4))
        ]
        point = find_point(box, constraints)
        assert (point is not None) == has_vertex(box, constraints)
        if point is not None:
            met += 1
            assert all(low <= x <= high for x, (low, high) in zip(point, box, strict=True))
            assert all(holds(constraint, point) for constraint in constraints)
    assert 100 < met < 300


# --- code ----------------------------------------------------------------------------------------

AGENT = """
  param  top: int 0..9 = 3
  memory seen: int 0..9 = top - 1
  memory flag: bool = false
  policy {
    let next = min(seen + x, 9)
    seen' = next
    go    = seen' > top and not flag
  }
  policy calm { go = false  flag' = true }
"""


def test_policy_reads_memory_and_gives_its_next_value() -> None:
    _, program = machine("state x: int 0..9 = 0", agent=AGENT)
    assert program.memory_start == (2, False)
    assert [v.name for v in program.memories] == ["seen", "flag"]
    first = program.act((1,))
    # min 1, + 1, let 1, > 1, and is not gone on with
    assert (first.actions, first.memory, first.ticks) == ((False,), (3, False), 5)
    second = program.act((1,), first.memory)
    assert (second.actions, second.memory, second.ticks) == ((True,), (4, False), 6)
    calm = program.act((1,), second.memory, policy="calm")
    assert (calm.actions, calm.memory, calm.ticks) == ((False,), (4, True), 0)


def test_prices_of_operations_count_in_the_acting_program_alone() -> None:
    task, program = machine(
        "state x: int 0..9 = 0",
        utility='discount 1/2  costs { "+": 5, "let": 0, "min": 2 * 2, ">": 1 }',
        agent=AGENT,
    )
    assert task.utility.costs == (("+", 5), ("let", 0), ("min", 4), (">", 1))
    assert program.act((1,)).ticks == 5 + 4 + 0 + 1 + 1
    assert not task.names.prices
    assert not task.shared.prices


CODE_FAULTS = {
    "policy { }": "G023",
    "policy { go = true  go = false }": "G023",
    "policy { go = true  x = 1 }": "G023",
    "policy { go = true  x' = 1 }": "G057",
    "policy { go' = true  go = true }": "G057",
    "memory m: int 0..3 = 0  policy { go = true  m = 1 }": "G057",
    "memory m: int 0..3 = 0  policy { go = true  m' = 1  m' = 2 }": "G057",
    "memory m: int 0..3 = 0  policy { go = m' > 0  m' = 1 }": "G011",
    "memory m: int 0..3 = 0  policy { go = true  n' = 1 }": "G006",
    "memory m: int 0..3 = 4  policy { go = true }": "G012",
    "memory m: int 0..3 = x  policy { go = true }": "G011",
    "memory m: int 0..3 = n  memory n: int 0..3 = 0  policy { go = true }": "G011",
    "memory m: rat 0..1 = 0  policy { go = true }": "G022",
    "memory m: bool = 0  policy { go = true }": "G009",
    "memory x: int 0..3 = 0  policy { go = true }": "G007",
    "memory m: int 0..3 = 0  param m: int 0..3 = 0  policy { go = true }": "G007",
    "memory m: int 0..3 = 0  policy { let m = 1  go = true }": "G007",
    "memory m: int 0..3 = 0  policy { go = true  m' = 1/2 }": "G009",
    "memory m: int 0..3 = 0  def f(n: int): int = n + m  policy { go = true }": "G011",
    "policy { go = k > 0 }": "G011",
    "policy { go = y > 0 }": "G011",
    "policy { go = c > 0 }": "G011",
    "policy { go = l > 0 }": "G011",
    "policy { go = hidden > 0 }": "G011",
    "policy { go = go }": "G011",
    "param main: int 0..3 = 0  policy { go = true }": "G007",
    "policy { go = true }  policy x { go = true }": "G007",
    "policy { go = true }  policy other { let a = 1 }": "G023",
}


@pytest.mark.parametrize("agent", CODE_FAULTS)
def test_code_that_does_not_fit_is_refused(agent: str) -> None:
    environment = """
      unknown k: int 0..3
      state x: int 0..3 = 0
      state hidden: int 0..3 = 0
      observe x
      action go: bool
      adversary y: int 0..3
      chance c: int = { 0: 1 }
      let l = x + 1
    """
    assert CODE_FAULTS[agent] in faults(environment, agent=agent)


def test_locals_of_one_policy_are_unknown_in_another() -> None:
    agent = "policy { let a = 1  go = a > 0 }  policy other { go = a > 0 }"
    assert faults("", agent=agent) == ["G006"]
    machine("", agent="policy { let a = 1  go = a > 0 }  policy other { let a = 2  go = a > 0 }")


def test_work_of_every_policy_is_bounded() -> None:
    heavy = "let a = fold n = 0 for i in 1..999_999: n + i  go = a > 0"
    found = faults("", agent=f"policy {{ go = true }}  policy slow {{ {heavy} }}")
    assert found == ["G018"]


# --- requirements --------------------------------------------------------------------------------


def test_requirements_say_what_they_read() -> None:
    task, _ = machine(
        "state x: int 0..9 = 0\n action go: bool\n x' = if go then min(x + 1, 9) else x",
        top="const K = 2",
        require="""
          require low:   always x < 9
          require lazy:  always go implies x < 5
          require slow:  always x' <= x + 1
          require back:  within K + 1 reach x == 0 from x > 0 using home
        """,
        agent="policy { go = true }  policy home { go = false }",
    )
    low, lazy, slow, back = task.requirements
    assert [r.of_step for r in (low, lazy, slow) if isinstance(r, Always)] == [False, True, True]
    assert isinstance(back, Reach)
    assert (back.name, back.steps, back.policy) == ("back", 3, "home")
    assert isinstance(slow, Always)
    assert task.holds_at_step(slow.holds, (3,), (True,), (4,))
    assert not task.holds_at_step(slow.holds, (3,), (True,), (5,))
    assert task.holds(back.source, (1,))
    assert not task.holds(back.goal, (1,))


@pytest.mark.parametrize(
    ("requirement", "code"),
    [
        ("always x", "G009"),
        ("always c > 0", "G011"),
        ("always l > 0", "G011"),
        ("always y > 0", "G011"),
        ("always m > 0", "G011"),
        ("within 0 reach x == 0 from true using main", "G056"),
        ("within x reach x == 0 from true using main", "G021"),
        ("within 2 reach go from true using main", "G011"),
        ("within 2 reach x == 0 from x' == 0 using main", "G011"),
        ("within 2 reach x == 0 from true using home", "G062"),
        ("always 1 / 0 > 0 or x > [for i in 0..999_999: i * i][x]", "G018"),
    ],
)
def test_requirement_that_makes_no_sense_is_refused(requirement: str, code: str) -> None:
    environment = """
      state x: int 0..3 = 0
      action go: bool
      adversary y: int 0..3
      chance c: int = { 0: 1 }
      let l = x + 1
    """
    agent = "memory m: int 0..3 = 0  policy { go = true }"
    assert code in faults(environment, require=f"require r: {requirement}", agent=agent)


# --- prices --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("costs", "code"),
    [
        ('costs { "plus": 1 }', "G053"),
        ('costs { "+": -1 }', "G066"),
        ('costs { "+": 1/2 }', "G009"),
        ('costs { "+": 1, "+": 1 }', "G004"),
        ('costs { "+": 1 } costs { "-": 1 }', "G004"),
        ('costs { "+": x }', "G011"),
    ],
)
def test_price_that_is_none_is_refused(costs: str, code: str) -> None:
    assert code in faults("state x: int 0..3 = 0", utility=f"discount 1/2  {costs}")


# --- rewrites ------------------------------------------------------------------------------------


def test_rewrite_adds_edits_and_removes_memory_and_policies() -> None:
    task, program = machine("state x: int 0..9 = 0", agent=AGENT)
    memory = s.Memory("more", s.BoolType(), s.BoolLit(True))
    wild = s.Policy("wild", (s.Assign("go", s.Name("more")), s.Next("more", s.BoolLit(False))))
    edits = (AddSlot(wild), AddSlot(memory), replace_at(program.code, "seen", (0,), s.IntLit(7)))
    assert decode_edits(encode_edits(edits)) == edits
    code = apply_rewrite(program.code, edits)
    assert [slot.name for slot in code.slots] == [
        *("top", "seen", "flag", "more", "main", "calm", "wild")
    ]
    after = check_code(task, code)
    assert after.memory_start == (7, False, True)
    assert after.act((0,), policy="wild").memory == (7, False, False)
    back = derive_edits(code, program.code)
    assert apply_rewrite(code, back) == program.code
    assert {type(edit) for edit in back} >= {RemoveSlot}


def test_rewrite_cannot_remove_what_is_read_or_used() -> None:
    requirement = "require r: within 1 reach x >= 0 from true using calm"
    task, program = machine("state x: int 0..9 = 0", agent=AGENT, require=requirement)
    for name, code in [("seen", "G006"), ("top", "G006"), ("calm", "G062"), ("main", "G045")]:
        (removal,) = [
            edit
            for edit in derive_edits(
                program.code, s.Code(tuple(x for x in program.code.slots if x.name != name))
            )
        ]
        assert isinstance(removal, RemoveSlot)
        with pytest.raises(DslError) as caught:
            check_code(task, apply_rewrite(program.code, (removal,)))
        assert code in {d.code for d in caught.value.diagnostics}


# --- bits ----------------------------------------------------------------------------------------


def test_trees_that_run_are_elaborated_and_those_that_are_stored_are_not() -> None:
    task, program = machine(
        """
        unknown k: bits[4]
        state x: bits[4] = any where x + 1 != 0
        action go: bits[4]
        adversary y: bits[4] where y & 1 == 0
        x' = x + go + k + y
        reward = int(x' >> 1)
        done = x == 15
        """,
        agent="memory m: bits[4] = 1 << 3  policy { go = ~x  m' = m + 9 }",
        require="require r: always ult(x', 8) or x != 3",
    )

    def bits_in(*trees: s.Node) -> bool:
        return any(isinstance(n, s.BitsOp) for tree in trees for n in s.walk(tree))

    assert not bits_in(task.declarations, program.code)
    (requirement,) = task.requirements
    assert isinstance(requirement, Always)
    elaborated = [
        *(task.start_conditions, task.adversary_conditions, task.plan),
        *((task.reward,), (requirement.holds,), (program.policy,)),
    ]
    assert all(bits_in(*trees) for trees in elaborated)
    assert len(list(task.any_starts((0,)))) == 15
    assert task.replies((0,), (0,), (1,)) == tuple((y,) for y in range(0, 16, 2))
    assert program.memory_start == (8,)
    decision = program.act((5,))
    assert (decision.actions, decision.memory) == ((10,), (1,))
    (outcome,) = task.outcomes((5,), (10,), (3,), (2,))
    assert (outcome.successor, outcome.reward) == ((4,), Fraction(2))


# --- determinism ---------------------------------------------------------------------------------


def test_substituted_weights_agree_with_a_world_whose_unknowns_are_written_out() -> None:
    items = """
      state x: int 0..3 = 0
      action go: bool
      chance a: int = { 0: p, 1: q, 2: 1 - p - q }
      chance b: int = if go then { a: p * q, 3: 1 - p * q } else { 0: 1 }
      x' = clamp(x + a - b, 0, 3)
      reward = a * p - b * q / 3
    """
    unknown = "unknown p: rat 0..1/2\n unknown q: rat 0..1/2\n"
    task, _ = machine(unknown + items)
    rng = random.Random(5)
    for _ in range(20):
        point = {n: Fraction(rng.randint(0, 6), 12) for n in ("p", "q")}
        consts = "\n".join(f"const {n} = {v.numerator} / {v.denominator}" for n, v in point.items())
        known, _ = machine(items, top=consts)
        for x, go in product(range(4), (False, True)):
            expected: dict[object, Fraction] = {}
            for o in known.outcomes((x,), (go,)):
                assert isinstance(o.weight, Fraction)
                expected[o.reward, o.successor] = o.weight
            found: dict[object, Weight] = {}
            for o in task.outcomes((x,), (go,)):
                key = substitute(o.reward, point), o.successor
                weight = found.get(key, Fraction(0)) + substitute(o.weight, point)
                found[key] = weight
            assert {k: w for k, w in found.items() if w} == expected
