"""Gymnasium's worlds arrive exactly, whatever form their tables take; what is not exact is not imported."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias, cast

import gymnasium
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.check import check_machine
from dsl.formatter import format_source
from dsl.machine import Program, StateTuple, Task
from dsl.parser import parse_machine
from dsl.types import values
from godel.importers import gymnasium as importer
from godel.importers.gymnasium import ImportFailure, import_environment, import_table
from godel.importers.rationals import read_rational, read_weight
from proofs.kernel.chapter import Chapter

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"

Place: TypeAlias = Any
# weights of (next place, reward, whether the episode ends there), by place and action; and of the starts
Rows: TypeAlias = "dict[tuple[Place, int], dict[tuple[Place, Fraction, bool], Fraction]]"
Unfolded: TypeAlias = "tuple[dict[Place, Fraction], Rows]"


def load(text: str) -> tuple[Task, Program]:
    """A machine file, checked, formatted as `fmt` would, and total for the kernel."""
    machine = parse_machine(text)
    chapter = Chapter(machine.declarations)
    chapter.program(machine.agent)
    assert max(len(line) for line in text.splitlines()) <= 120
    assert format_source(text) == text
    return check_machine(machine)


def unfold(task: Task, place: Callable[[StateTuple], Place] = lambda x: x[0]) -> Unfolded:
    """Every row of a task that an episode can reach; no two states where it goes on share a place."""
    starts = {place(x): w for x, w in task.start_states()}
    pending = [x for x, _ in task.start_states()]
    state_at = {place(x): x for x in pending}
    assert len(state_at) == len(pending)
    (action,) = task.actions
    rows: Rows = {}
    while pending:
        x = pending.pop()
        assert not task.is_done(x)
        for a, value in enumerate(values(action.type)):
            row = rows.setdefault((place(x), a), {})
            for outcome in task.outcomes(x, (value,)):
                y = outcome.successor
                ends = task.is_done(y)
                key = (place(y), outcome.reward, ends)
                row[key] = row.get(key, Fraction(0)) + outcome.weight
                if not ends and place(y) not in state_at:
                    state_at[place(y)] = y
                    pending.append(y)
                assert ends or state_at[place(y)] == y
    return starts, rows


def exact(number: float) -> Fraction:
    return Fraction(number).limit_denominator(1000)


def unfold_table(table: Any, weights: Any) -> Unfolded:
    """The same of a table of floats."""
    starts = {s: exact(w) for s, w in enumerate(weights) if w}
    pending, seen = list(starts), set(starts)
    rows: Rows = {}
    while pending:
        s = pending.pop()
        for a in range(len(table[s])):
            row = rows.setdefault((s, a), {})
            for weight, to, reward, ends in table[s][a]:
                if not weight:
                    continue
                key = (int(to), exact(reward), bool(ends))
                row[key] = row.get(key, Fraction(0)) + exact(weight)
                if not ends and to not in seen:
                    seen.add(to)
                    pending.append(to)
    return starts, rows


# --- Gymnasium's own -----------------------------------------------------------------------------

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("FrozenLake-v1", {}),
    ("FrozenLake-v1", {"map_name": "8x8"}),
    ("FrozenLake-v1", {"is_slippery": False}),
    ("FrozenLake-v1", {"map_name": "8x8", "is_slippery": False}),
    ("FrozenLake-v1", {"success_rate": 0.8}),
    ("FrozenLake-v1", {"success_rate": 0.95, "reward_schedule": [1, -1, -0.04]}),
    ("FrozenLake-v1", {"success_rate": 1.0}),
    ("FrozenLake-v1", {"desc": ["SFFS", "FHFH", "GFSF"]}),
    ("FrozenLake-v1", {"desc": ["SG"]}),
    ("FrozenLake-v1", {"desc": ["S" * 40, "F" * 40, "F" * 39 + "G"]}),
    ("FrozenLake8x8-v1", {}),
    ("CliffWalking-v1", {}),
    ("CliffWalking-v1", {"is_slippery": True}),
    ("CliffWalkingSlippery-v1", {}),
    ("Taxi-v4", {}),
    ("Taxi-v4", {"is_rainy": True}),
    ("Taxi-v4", {"is_rainy": True, "rainy_probability": 0.7}),
]


def make(env_id: str, settings: Mapping[str, Any]) -> Any:
    return gymnasium.make(env_id, disable_env_checker=True, **settings).unwrapped


@pytest.mark.parametrize(("env_id", "settings"), VARIANTS, ids=str)
def test_import_has_every_reachable_row_of_the_table(env_id: str, settings: dict[str, Any]) -> None:
    task, program = load(import_environment(env_id, settings=settings))
    env = make(env_id, settings)
    assert unfold(task) == unfold_table(env.P, env.initial_state_distrib)
    assert [program.act(x).actions for x, _ in task.start_states()] == [(0,)] * len(
        task.start_states()
    )
    assert task.utility.discount == Fraction(99, 100)


@pytest.mark.parametrize(
    ("env_id", "settings"), [*VARIANTS[:2], *VARIANTS[11:13], *VARIANTS[14:16]], ids=str
)
def test_steps_that_gymnasium_takes_are_outcomes_of_the_import(
    env_id: str, settings: dict[str, Any]
) -> None:
    starts, rows = unfold(load(import_environment(env_id, settings=settings))[0])
    env = make(env_id, settings)
    s, _ = env.reset(seed=1)
    env.action_space.seed(1)
    for _ in range(500):
        assert s in starts or any(key[0] == s for key in rows)
        a = int(env.action_space.sample())
        to, reward, ends, _, _ = env.step(a)
        assert (to, exact(reward), ends) in rows[s, a]
        s = env.reset()[0] if ends else to


def unfold_fickle(env: Any) -> Unfolded:
    """Taxi with a fickle passenger, after `TaxiEnv.step` and `reset`; a place is (state, still fickle)."""
    weight = exact(env.fickle_probability)
    first = {s: exact(w) for s, w in enumerate(env.initial_state_distrib) if w}
    starts = {
        (s, f): w * (weight if f else 1 - weight) for s, w in first.items() for f in (False, True)
    }
    pending, seen, rows = list(starts), set(starts), dict[Any, Any]()
    while pending:
        s, fickle = pending.pop()
        row, column, passenger, destination = env.decode(s)
        for a in range(6):
            found = rows.setdefault(((s, fickle), a), {})
            for p, to, reward, ends in env.P[s][a]:
                r, c, aboard, _ = env.decode(to)
                if fickle and passenger == 4 and (r, c) != (row, column):
                    others = [d for d in range(4) if d != destination]
                    drawn = [((env.encode(r, c, aboard, d), False), Fraction(1, 3)) for d in others]
                else:
                    drawn = [((to, fickle), Fraction(1))]
                for y, share in drawn:
                    key = (y, exact(reward), ends)
                    found[key] = found.get(key, Fraction(0)) + exact(p) * share
                    if not ends and y not in seen:
                        seen.add(y)
                        pending.append(y)
    return starts, rows


FICKLE: list[dict[str, Any]] = [
    {"fickle_passenger": True},
    {"fickle_passenger": True, "is_rainy": True, "fickle_probability": 0.05},
]


@pytest.mark.parametrize("settings", FICKLE, ids=str)
def test_fickle_passenger_changes_destination_once_and_unseen(settings: dict[str, Any]) -> None:
    task, _ = load(import_environment("Taxi-v4", settings=settings))
    env = make("Taxi-v4", settings)
    assert [v.name for v in task.observed] == ["s"]
    assert unfold(task, lambda x: x) == unfold_fickle(env)


def test_steps_with_a_fickle_passenger_are_outcomes_of_the_import() -> None:
    settings = {"fickle_passenger": True, "fickle_probability": 0.5}
    _, rows = unfold(load(import_environment("Taxi-v4", settings=settings))[0], lambda x: x)
    env = make("Taxi-v4", settings)
    changes = 0
    for seed in range(300):
        s, info = env.reset(seed=seed)
        env.action_space.seed(seed)
        before = (s, bool(env.fickle_step))
        for _ in range(60):
            mask = info["action_mask"].copy()
            mask[5] = 0
            a = 4 if mask[4] else int(env.action_space.sample(mask))
            to, reward, ends, _, info = env.step(a)
            after = (to, bool(env.fickle_step))
            assert (after, exact(reward), ends) in rows[before, a]
            changes += before[1] and not after[1]
            before = after
    assert changes > 10


def test_import_of_the_small_lake_reads_as_documented() -> None:
    text = import_environment("FrozenLake-v1", discount=Fraction(19, 20), name="lake")
    lines = text.splitlines()
    assert lines[:6] == [
        f"# Gymnasium's FrozenLake-v1 (gymnasium {gymnasium.__version__}); discount 19/20.",
        "# Gymnasium's limit of 100 steps an episode is left out.",
        "# s = 4 * row + column",
        "# Rows that no episode reaches stay where they are.",
        "machine lake",
        "",
    ]
    assert lines[6].endswith(
        "actions: 0 left, 1 down, 2 right, 3 up; chance draws the index of an outcome"
    )
    assert lines[8] == "  [[0, 0, 4], [0, 4, 1], [4, 1, 0], [1, 0, 0]],"
    assert lines[lines.index("environment {") :] == [
        "environment {",
        "  state s: int 0..15 = 0",
        "  observe s",
        "  action a: int 0..3",
        "  chance k: int 0..2 = { 0: 1/3, 1: 1/3, 2: 1/3 }",
        "  s'     = NEXT[s][a][k]",
        "  reward = if s' == 15 then 1 else 0",
        "  done   = ENDS[s]",
        "}",
        "",
        "utility { discount 19/20 }",
        "",
        "agent {",
        "  table PLAN: array[16] of int 0..3 = [for i in 0..15: 0]",
        "  policy { a = PLAN[s] }",
        "}",
    ]


@pytest.mark.parametrize(
    ("env_id", "settings", "name"),
    [
        ("FrozenLake-v1", {"is_slippery": False}, "frozen_lake_v1"),
        ("FrozenLake8x8-v1", {}, "frozen_lake8x8_v1"),
        ("CliffWalkingSlippery-v1", {}, "cliff_walking_slippery_v1"),
    ],
)
def test_machine_is_named_after_the_environment(env_id: str, settings: Any, name: str) -> None:
    text = import_environment(env_id, settings=settings)
    assert f"machine {name}\n" in text
    assert text == import_environment(env_id, settings=settings)
    assert ("chance" in text) == (env_id != "FrozenLake-v1")


# --- written by hand -----------------------------------------------------------------------------

BY_HAND: list[tuple[str, str, dict[str, Any], Callable[[StateTuple], Place]]] = [
    ("frozen_lake_4x4", "FrozenLake-v1", {}, lambda x: 4 * x[0] + x[1]),  # type: ignore[operator]
    ("frozen_lake_8x8", "FrozenLake-v1", {"map_name": "8x8"}, lambda x: 8 * x[0] + x[1]),  # type: ignore[operator]
    ("cliff_walking", "CliffWalking-v1", {}, lambda x: x[0]),
]


@pytest.mark.parametrize(
    ("name", "env_id", "settings", "place"), BY_HAND, ids=lambda v: str(v)[:20]
)
def test_world_written_by_hand_is_the_imported_one(
    name: str, env_id: str, settings: dict[str, Any], place: Callable[[StateTuple], Place]
) -> None:
    by_hand, _ = load((EXAMPLES / f"{name}.godel").read_text(encoding="utf-8"))
    imported, _ = load(import_environment(env_id, settings=settings))
    assert unfold(by_hand, place) == unfold(imported)
    assert by_hand.utility == imported.utility


def test_the_long_way_round_takes_seventeen_steps_and_never_falls() -> None:
    task, program = load((EXAMPLES / "cliff_walking.godel").read_text(encoding="utf-8"))
    ((x, _),) = task.start_states()
    rewards = []
    while not task.is_done(x):
        (outcome,) = task.outcomes(x, program.act(x).actions)
        rewards.append(outcome.reward)
        x = outcome.successor
    assert rewards == [-1] * 17


# --- tables of other kinds -----------------------------------------------------------------------

REWARDS = st.sampled_from([0, 1, -1, 0.5, 1 / 3, -0.04, 100.0])


@st.composite
def tables(draw: st.DrawFn) -> tuple[Any, list[float]]:
    """A table of floats with weights n/d, and a law of starts."""
    states, actions = draw(st.integers(1, 7)), draw(st.integers(1, 3))
    kinds = draw(
        st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=4), min_size=1, max_size=4)
    )
    ends_in = draw(st.none() | st.sets(st.integers(0, states - 1)))

    def row() -> list[tuple[float, int, float, bool]]:
        parts = draw(st.sampled_from(kinds))
        found = []
        for part in parts:
            to = draw(st.integers(0, states - 1))
            ends = draw(st.booleans()) if ends_in is None else to in ends_in
            found.append((part / sum(parts), to, float(draw(REWARDS)), ends))
        return found

    table = {s: {a: row() for a in range(actions)} for s in range(states)}
    weights = draw(st.lists(st.integers(0, 3), min_size=states, max_size=states).filter(any))
    return table, [w / sum(weights) for w in weights]


@given(tables())
@settings(max_examples=150, deadline=None)
def test_any_table_is_imported_row_by_row(drawn: tuple[Any, list[float]]) -> None:
    table, starts = drawn
    task, _ = load(import_table(table, starts, name="sample"))
    assert unfold(task) == unfold_table(table, starts)


def one(to: int, reward: float = 0, ends: bool = False) -> list[tuple[float, int, float, bool]]:
    return [(1.0, to, reward, ends)]


def half(to: int, other: int, weight: float = 0.5) -> list[tuple[float, int, float, bool]]:
    return [(weight, to, 0, False), (1 - weight, other, 0, False)]


FORMS: list[tuple[list[list[Any]], list[float], str]] = [
    ([[one(1), one(0)], [one(0), one(1, 7)]], [1, 0], "reward = REWARD[s][a]"),
    ([[one(1), one(0, 7)], [one(0), one(1, 7)]], [1, 0], "reward = REWARD[a]"),
    ([[one(1, 7), one(0, 7)], [one(0), one(1)]], [1, 0], "reward = REWARD[s]"),
    ([[one(1, 7), one(0)], [one(0), one(1, 7)]], [1, 0], "reward = if s' == 1 then 7 else 0"),
    ([[one(s, s)] for s in range(9)], [1 / 9] * 9, "reward = REWARD[s']"),
    ([[[(0.5, 0, 0, False), (0.5, 0, 1, False)]]], [1], "reward = REWARD[s][a][k]"),
    (
        [[half(0, 1)], [half(1, 0, 0.25)]],
        [1, 0],
        "k: int 0..1 = { for i in 0..1: i: WEIGHT[s][a][i] }",
    ),
    (
        [[half(0, 1), one(1)], [half(1, 0, 0.4), half(0, 1)]],
        [0.5, 0.5],
        "{ for i in 0..1: i: WEIGHT[s][a][i] }",
    ),
    (
        [[half(0, 1)] * 3, [half(1, 0, 0.4)] * 3],
        [0.5, 0.5],
        "{ for i in 0..1: i: WEIGHT[LAW[s][a]][i] }",
    ),
    ([[[(0.125, i % 3, i, False) for i in range(8)]]] * 3, [1, 0, 0], "{ for i in 0..7: i: 1/8 }"),
    ([[one(0)]] * 30, [1 / 30] * 30, "{ for i in 0..29: STARTS[i]: 1/30 }"),
    (
        [[one(0)]] * 30,
        [(1 + s % 2) / 45 for s in range(30)],
        "{ for i in 0..29: STARTS[i]: START_WEIGHT[i] }",
    ),
    ([[one(1)], [one(0, 0, True)]], [0.25, 0.75], "state over: bool = false"),
    ([[one(1, 1, True)], [one(0)]], [1, 0], "done   = s == 1"),
]


@pytest.mark.parametrize(("table", "starts", "line"), FORMS, ids=[line for *_, line in FORMS])
def test_form_of_the_text_suits_the_table(table: Any, starts: list[float], line: str) -> None:
    text = import_table(table, starts, name="sample")
    assert line in text
    assert unfold(load(text)[0]) == unfold_table(table, starts)


def test_equal_outcomes_are_merged_where_that_shortens_the_text() -> None:
    table = [[[(0.5, 0, 1, False), (0.5, 0, 1, False)]]]
    assert "chance" not in import_table(table, [1], name="sample")


def test_state_entered_both_ways_gets_a_variable_that_says_whether_it_is_over() -> None:
    table = {
        0: {0: [(0.5, 1, 0, False), (0.5, 1, 5, True)], 1: one(0)},
        1: {0: one(0, 1), 1: one(1, 2, True)},
    }
    text = import_table(table, [1, 0], name="both")
    task, program = load(text)
    assert [v.name for v in task.states] == ["s", "over"]
    assert [v.name for v in task.observed] == ["s"]
    assert program.act((1, False)).actions == (0,)
    assert not task.is_done((1, False))
    assert task.is_done((1, True))
    assert unfold(task) == unfold_table(table, [1, 0])


def test_rows_that_no_episode_reaches_are_not_read() -> None:
    bad = [(0.9, 7, math.nan, False)]
    text = import_table([[one(1, 1, True)], [bad], [bad]], [1, 0, 0], name="sample")
    assert "# Rows that no episode reaches stay where they are." in text
    assert unfold(load(text)[0])[1] == {(0, 0): {(1, Fraction(1), True): Fraction(1)}}


# --- numbers -------------------------------------------------------------------------------------


@given(st.integers(1, 999), st.integers(1, 999))
def test_fraction_comes_back_from_its_float(n: int, d: int) -> None:
    assert read_rational(n / d, "x") == Fraction(n, d)
    assert read_rational(-n / d, "x") == Fraction(-n, d)


@given(st.integers(0, 999), st.integers(1, 999))
def test_weight_comes_back_from_a_difference(n: int, d: int) -> None:
    n = min(n, d)
    assert read_weight((1 - n / d) / 2, "w") == (1 - Fraction(n, d)) / 2


@pytest.mark.parametrize(
    ("number", "meant"),
    [
        (0, "0"),
        (-0.0, "0"),
        (3.0, "3"),
        (1e20, "100000000000000000000"),
        (-0.04, "-1/25"),
        (123456.789, "123456.789"),
        (0.123456789, "0.123456789"),
        (1e-9, "0.000000001"),
        (0.1 + 0.2, "3/10"),
        (Fraction(5, 7), "5/7"),
    ],
    ids=str,
)
def test_number_stands_for_the_simplest_rational(number: Any, meant: str) -> None:
    assert read_rational(number, "x") == Fraction(meant)


@pytest.mark.parametrize("number", [math.pi, math.e / 10, math.sqrt(2) / 1000, 1e-17 / 3], ids=str)
def test_number_that_stands_for_no_rational_is_refused(number: float) -> None:
    for read in (read_rational, read_weight):
        with pytest.raises(ImportFailure, match="x is .* stands for no simple fraction"):
            read(number, "x")


# --- failures ------------------------------------------------------------------------------------

BROKEN: list[tuple[Any, list[float], str]] = [
    (
        [[[(0.3, 0, 0, False), (0.6, 0, 1, False)]]],
        [1],
        r"P\[0\]\[0\] sum to 9/10, not to 1: 3/10, 3/5",
    ),
    ([[[]]], [1], r"P\[0\]\[0\] sum to 0, not to 1: none"),
    (
        [[[(-0.5, 0, 0, False), (1.5, 0, 0, False)]]],
        [1],
        r"weight in P\[0\]\[0\]\[0\] is -1/2, below 0",
    ),
    ([[one(0, math.nan)]], [1], r"reward in P\[0\]\[0\]\[0\] is nan, not a finite number"),
    (
        [[one(0), one(0, -math.inf)]],
        [1],
        r"reward in P\[0\]\[1\]\[0\] is -inf, not a finite number",
    ),
    ([[[(math.nan, 0, 0, False)]]], [1], r"weight in P\[0\]\[0\]\[0\] is nan"),
    ([[[("1", 0, 0, False)]]], [1], r"weight in P\[0\]\[0\]\[0\] is '1', not a number"),
    ([[[(True, 0, 0, False)]]], [1], r"weight in P\[0\]\[0\]\[0\] is True, not a number"),
    ([[half(0, 0, math.pi / 4)]], [1], "stands for no simple fraction"),
    ([[one(1)]], [1], r"next state in P\[0\]\[0\]\[0\] is 1, not one of 0 to 0"),
    ([[one(-1)]], [1], r"next state in P\[0\]\[0\]\[0\] is -1"),
    ([[[(1.0, 0.0, 0, False)]]], [1], r"next state in P\[0\]\[0\]\[0\] is 0\.0"),
    ([[[(1.0, 0, 0, 1)]]], [1], r"flag in P\[0\]\[0\]\[0\] is 1, neither true nor false"),
    ([[[(1.0, 0, 0)]]], [1], r"P\[0\]\[0\]\[0\] is not \(weight, next state, reward, terminated\)"),
    ([[7]], [1], r"P\[0\]\[0\] is not a list of outcomes"),
    ([7], [1], r"P\[0\] is neither a list nor a mapping"),
    (7, [1], "P is neither a list nor a mapping"),
    ([], [], "P must hold the states from 0 on"),
    ([[]], [1], r"P\[0\] holds no action"),
    ({1: {0: one(1)}}, [1], "P must hold the states from 0 on"),
    ({0: {0: one(0), 1: one(0)}, 1: {0: one(0)}}, [1, 0], r"P\[1\] must hold the actions 0 to 1"),
    ([[one(0)]], [0.5, 0.5], "initial_state_distrib has 2 entries for 1 states"),
    ([[one(0)], [one(0)]], [0.5, 0.4], "initial_state_distrib sums to 9/10, not to 1"),
    ([[one(0)]], [math.nan], r"initial_state_distrib\[0\] is nan"),
]


@pytest.mark.parametrize(("table", "starts", "message"), BROKEN, ids=[m for *_, m in BROKEN])
def test_table_that_is_no_world_is_refused_with_its_place(
    table: Any, starts: list[float], message: str
) -> None:
    with pytest.raises(ImportFailure, match=message):
        import_table(table, starts, name="sample")


@pytest.mark.parametrize(
    ("env_id", "settings", "message"),
    [
        ("Blackjack-v1", {}, r"Blackjack-v1 has no transition table \(`P`\)"),
        ("Nowhere-v0", {}, "Nowhere-v0: .*`Nowhere` doesn't exist"),
        ("Taxi-v3", {}, "Taxi-v3: .*Please use `Taxi-v4`"),
        ("nowhere_at_all:World-v0", {}, "No module named 'nowhere_at_all'"),
        (
            "FrozenLake-v1",
            {"slippery": True},
            "has no setting 'slippery'; it has desc, is_slippery, map_name, reward_schedule, success_rate",
        ),
        ("FrozenLake-v1", {"render_mode": "human"}, "has no setting 'render_mode'"),
        ("FrozenLake-v1", {"max_episode_steps": 7}, "has no setting 'max_episode_steps'"),
        ("FrozenLake-v1", {"map_name": "9x9"}, "cannot be made with map_name='9x9': KeyError"),
        ("FrozenLake-v1", {"map_name": None}, "is made at random"),
        (
            "FrozenLake-v1",
            {"success_rate": 1.5},
            r"FrozenLake-v1: .*P\[0\]\[0\]\[0\] is -1/4, below 0",
        ),
        ("Taxi-v4", {"fickle_passenger": True, "fickle_probability": 2}, "is 2, above 1"),
    ],
    ids=str,
)
def test_environment_that_cannot_be_imported_says_why(
    env_id: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ImportFailure, match=message):
        import_environment(env_id, settings=settings)


def test_missing_gymnasium_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ImportFailure, match=r"pip install 'godel-machine\[gymnasium\]'"):
        import_environment("FrozenLake-v1")


@pytest.mark.parametrize("name", ["", "a b", "1st", "über", "machine", "x\nmachine y"])
def test_name_that_no_machine_can_have_is_refused(name: str) -> None:
    with pytest.raises(ImportFailure, match="cannot be the name of a machine"):
        import_environment("FrozenLake-v1", name=name)


@pytest.mark.parametrize("discount", [Fraction(1), Fraction(-1, 2), 0.99])
def test_discount_outside_its_range_is_refused(discount: Any) -> None:
    with pytest.raises(ImportFailure, match="discount must be"):
        import_environment("FrozenLake-v1", discount=discount)


def test_world_too_large_for_a_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importer, "BYTES_MAX", 1000)
    with pytest.raises(
        ImportFailure, match=r"16 states with 4 actions are too many.*may have 1,000"
    ):
        import_environment("FrozenLake-v1")


# --- registered by others ------------------------------------------------------------------------


class Fake(gymnasium.Env[int, int]):
    """An environment that is nothing but its table."""

    def __init__(self, reward: float = 1.0, text: str = "") -> None:
        self.P = [[[(1.0, 0, reward, True)]]]
        self.initial_state_distrib = [1.0]


@pytest.fixture
def fake() -> Iterator[str]:
    """The id under which `Fake` is registered."""
    gymnasium.register(id="HTTPFake2D-v0", entry_point=cast(Any, Fake), kwargs={"reward": 2.0})
    yield "HTTPFake2D-v0"
    del gymnasium.registry["HTTPFake2D-v0"]


def test_environment_of_others_is_imported_with_the_settings_it_is_registered_with(
    fake: str,
) -> None:
    text = import_environment(fake)
    assert "machine httpfake2_d_v0\n" in text
    assert "actions:" not in text
    assert unfold(load(text)[0])[1] == {(0, 0): {(0, Fraction(2), True): Fraction(1)}}
    other = import_environment(fake, settings={"reward": -0.5})
    assert unfold(load(other)[0])[1] == {(0, 0): {(0, Fraction(-1, 2), True): Fraction(1)}}


def test_setting_cannot_break_out_of_the_comment_it_is_shown_in(fake: str) -> None:
    text = import_environment(fake, settings={"text": "\nenum Evil { e }\u2028" + "x" * 300})
    assert "\nenum" not in text
    load(text)


def test_wrappers_that_an_id_stands_for_are_not_lost_silently() -> None:
    wrapper = gymnasium.wrappers.RecordEpisodeStatistics.wrapper_spec()
    gymnasium.register(id="Wrapped-v0", entry_point=cast(Any, Fake), additional_wrappers=(wrapper,))
    try:
        with pytest.raises(ImportFailure, match="registered with wrappers"):
            import_environment("Wrapped-v0")
    finally:
        del gymnasium.registry["Wrapped-v0"]


def test_module_named_in_the_id_is_imported_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "import gymnasium\n"
        "gymnasium.register(id='Elsewhere-v0', entry_point='godel_test_worlds:make')\n"
        "class World(gymnasium.Env):\n"
        "    P = {0: {0: [(1.0, 0, 3, False)]}}\n"
        "    initial_state_distrib = [1]\n"
        "def make():\n"
        "    return World()\n"
    )
    (tmp_path / "godel_test_worlds.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        task, _ = load(import_environment("godel_test_worlds:Elsewhere-v0"))
    finally:
        gymnasium.registry.pop("Elsewhere-v0", None)
    assert task.done is None
    assert unfold(task)[1] == {(0, 0): {(0, Fraction(3), False): Fraction(1)}}
