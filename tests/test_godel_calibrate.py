"""Rates out of ledgers: exact intervals, what counts as a sample, and the world that is made of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fractions import Fraction
from math import comb
from pathlib import Path
from typing import Any

import pytest
from cli import godel
from search_machines import LAMPS, machine, run, session_of

from dsl import syntax as s
from dsl.parser import parse_blocks, parse_expression, parse_machine
from godel.evolve import Limits
from godel.learning.calibrate import Calibration, calibrate
from godel.learning.calibrated import _runs
from godel.learning.intervals import GRID, clopper_pearson
from godel.learning.records import NoRecord, read_records
from godel.learning.suite import KINDS, make_suite
from godel.ledger import LedgerError
from godel.searching import Search, Step
from godel.store import Store

DOUBT = Fraction(1, 20)


# --- intervals -----------------------------------------------------------------------------------


def probability(wins: int, count: int, rate: Fraction) -> Fraction:
    """That so many of `count` trials succeed."""
    return comb(count, wins) * rate**wins * (1 - rate) ** (count - wins)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13, 40])
def test_interval_holds_the_rate_with_the_stated_probability_whatever_the_rate(count: int) -> None:
    found = [clopper_pearson(wins, count, DOUBT) for wins in range(count + 1)]
    for k in range(0, 101):
        rate = Fraction(k, 100)
        covered = sum(
            probability(wins, count, rate)
            for wins, (low, high) in enumerate(found)
            if low <= rate <= high
        )
        assert covered >= 1 - DOUBT, (count, rate)


@pytest.mark.parametrize(
    ("wins", "count"), [(0, 1), (3, 7), (7, 40), (39, 40), (40, 40), (200, 500)]
)
def test_ends_are_the_nearest_on_the_grid(wins: int, count: int) -> None:
    low, high = clopper_pearson(wins, count, DOUBT)
    step = Fraction(1, GRID)

    def above(rate: Fraction) -> Fraction:
        return sum((probability(k, count, rate) for k in range(wins, count + 1)), Fraction(0))

    def below(rate: Fraction) -> Fraction:
        return sum((probability(k, count, rate) for k in range(wins + 1)), Fraction(0))

    assert above(low) <= DOUBT / 2 or wins == low == 0
    assert wins == 0 or above(low + step) > DOUBT / 2
    assert below(high) <= DOUBT / 2 or (wins, high) == (count, 1)
    assert wins == count or below(high - step) > DOUBT / 2
    assert low <= Fraction(wins, count) <= high


def test_intervals_shrink_with_the_sample_and_mirror_each_other() -> None:
    assert clopper_pearson(20, 40, DOUBT)[1] < clopper_pearson(10, 20, DOUBT)[1]
    for wins in range(11):
        low, high = clopper_pearson(wins, 10, DOUBT)
        assert clopper_pearson(10 - wins, 10, DOUBT) == (1 - high, 1 - low)


def test_a_record_of_ten_thousand_attempts_is_worked_out_exactly() -> None:
    assert clopper_pearson(5_000, 10_000, DOUBT) == (Fraction(49, 100), Fraction(51, 100))
    assert clopper_pearson(9_999, 10_000, DOUBT) == (Fraction(999, 1000), Fraction(1))


@pytest.mark.parametrize(
    ("wins", "count", "doubt"),
    [(2, 1, DOUBT), (-1, 3, DOUBT), (1, 2, Fraction(0)), (1, 2, Fraction(1))],
)
def test_what_is_no_sample_has_no_interval(wins: int, count: int, doubt: Fraction) -> None:
    with pytest.raises(ValueError, match="trials"):
        clopper_pearson(wins, count, doubt)


# --- records -------------------------------------------------------------------------------------

REPORTS = """
    report fails_tidy: int 0..2
    report fails_patch: int 0..2
    report fails_self: int 0..1
    report wins_patch: int 0..3
"""
POLICY = """
  try = if fails_patch < 2 then patch else if fails_tidy < 1 then tidy else stop
"""


def lamps(name: str = "lamps", **more: Any) -> str:
    """A machine with two lamps to switch on, each of which `patch` finds by itself."""
    text = machine(POLICY, **{"reports": REPORTS, **more})
    return text.replace("machine lamps", f"machine {name}")


@contextmanager
def ledgers(folder: Path, *texts: str) -> Iterator[list[Store]]:
    """The ledgers of these machines, each run to its end."""
    paths = []
    for number, text in enumerate(texts):
        where = folder / str(number)
        where.mkdir()
        with session_of(text, where) as session:
            run(session, Limits(keep_searcher=True))
            paths.append(next(where.glob("*.db")))
    with ExitStack() as stack:
        yield [stack.enter_context(Store.open(path, readonly=True)) for path in paths]


def found(folder: Path, *texts: str, samples: int = 1) -> Calibration:
    with ledgers(folder, *texts) as stores:
        return calibrate(read_records(((st.entries(), st.blob) for st in stores), samples))


def test_of_each_ledger_the_first_attempts_in_each_situation_count(tmp_path: Path) -> None:
    one = found(tmp_path, lamps("a"), lamps("b"))
    rates = {(r.family, r.situation): r for r in one.rates}
    # two lamps are switched on, then there is nothing left, twice
    assert {at: r.record.outcomes for at, r in rates.items() if at[0] == "patch"} == {
        ("patch", (0, 0)): {"accepted": 2},
        ("patch", (0, 1)): {"accepted": 2},
        ("patch", (0, 2)): {"refused": 2},
        ("patch", (1, 2)): {"empty": 2},
    }
    assert one.records.ledgers == 2
    assert ("self", (0, 0)) not in rates
    # two families, `patch` with 12 situations, `tidy` with 3: half of a share for the first of them
    share = (1 - one.confidence) / 2
    doubts = {("patch", True): share / 2, ("patch", False): share / 2 / 11}
    doubts |= {("tidy", True): share / 2, ("tidy", False): share / 2 / 2}
    for rate in one.rates:
        doubt = doubts[rate.family, rate.situation == (0, 0)]
        assert (rate.low, rate.high) == clopper_pearson(rate.record.wins, rate.record.count, doubt)


def test_more_samples_of_a_ledger_count_only_when_asked_for(tmp_path: Path) -> None:
    plain = REPORTS.replace("    report wins_patch: int 0..3\n", "")
    text = lamps().replace(REPORTS, plain)
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    once = {r.situation: r.record for r in found(tmp_path / "x", text).rates if r.family == "patch"}
    more = {
        r.situation: r.record
        for r in found(tmp_path / "y", text, samples=3).rates
        if r.family == "patch"
    }
    assert (once[0, 0].count, once[0, 0].skipped) == (1, 2)
    assert (more[0, 0].count, more[0, 0].wins, more[0, 0].skipped) == (3, 2, 0)


def test_ledgers_with_another_search_say_nothing(tmp_path: Path) -> None:
    other = lamps().replace("int 0..2", "int 0..3")
    with (
        ledgers(tmp_path, lamps(), other) as stores,
        pytest.raises(NoRecord, match="another search"),
    ):
        read_records(((st.entries(), st.blob) for st in stores), 1)
    with pytest.raises(NoRecord, match="no ledger"):
        read_records([], 1)


def test_ledgers_whose_search_reads_other_constants_say_nothing(tmp_path: Path) -> None:
    one, other = (
        lamps(name, reports=REPORTS.replace("int 0..2", "int 0..N")).replace(
            "environment {", f"const N = {high}\nconst UNREAD = {high}\nenvironment {{", 1
        )
        for name, high in (("a", 2), ("b", 3))
    )
    with ledgers(tmp_path, one, other) as stores, pytest.raises(NoRecord, match="reads of b"):
        read_records(((st.entries(), st.blob) for st in stores), 1)
    (tmp_path / "x").mkdir()
    unread = one.replace("UNREAD = 2", "UNREAD = 5").replace("machine a", "machine c")
    assert found(tmp_path / "x", one, unread).records.ledgers == 2


@pytest.mark.parametrize("change", [{"try": "nobody"}, {"try": 3}, {"cost": None}])
def test_entries_that_are_none_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with ledgers(tmp_path, lamps()) as stores:
        entries = list(stores[0].entries())
        entries[2] = replace(entries[2], body={**entries[2].body, **change})
        with pytest.raises(LedgerError, match="entry 2"):
            read_records([(entries, stores[0].blob)], 1)
        del entries[2].body["try"]  # type: ignore[attr-defined]
        with pytest.raises(LedgerError, match="entry 2"):
            read_records([(entries, stores[0].blob)], 1)


def test_a_run_counts_once(tmp_path: Path) -> None:
    with ledgers(tmp_path, lamps("a"), lamps("a")) as stores:
        for pair in (stores, [stores[0], stores[0]]):
            with pytest.raises(NoRecord, match="begin alike"):
                read_records(((st.entries(), st.blob) for st in pair), 1)


def test_calibrating_again_after_a_revision_keeps_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lamps.godel").write_text(lamps())
    worlds = []
    for _ in range(2):
        assert godel("evolve", "lamps.godel", "--keep-searcher").code == 0
        worlds.append(godel("calibrate", ".godel/lamps.db", "-o", "lamps.godel").out)
        assert godel("revision", "lamps.godel").code == 0
    assert all("unknown rate_patch: " in w and "rate_patch_:" not in w for w in worlds)
    assert all("1.0" not in w for w in worlds)


# --- the world -----------------------------------------------------------------------------------


def test_world_is_in_order_and_gives_every_rate_of_its_intervals(tmp_path: Path) -> None:
    one = found(tmp_path, lamps("a"), lamps("b"))
    text = f"search {{ {one.text} }}"
    parsed = parse_blocks(text).search
    assert parsed is not None and parsed.items[0] == one.world
    declarations = parse_machine(LAMPS).declarations
    search = Search(declarations, one.search)  # checks it, and proves that it is total
    unknowns = {v.name: (v.type.low, v.type.high) for v in search.task.rationals}  # type: ignore[union-attr]
    assert unknowns == {r.name: (r.low, r.high) for r in one.rates}
    assert [i for i in one.world.items if isinstance(i, s.Reward | s.Done | s.Report)] == [
        i
        for i in _world(parse_machine(lamps()).search)
        if isinstance(i, s.Reward | s.Done | s.Report)
    ]


def _world(search: s.Search | None) -> tuple[Any, ...]:
    assert search is not None
    return next(i.items for i in search.items if isinstance(i, s.SearchWorld))


def test_what_was_met_is_possible_and_untried_situations_bring_nothing(tmp_path: Path) -> None:
    with ledgers(tmp_path, lamps("a")) as stores:
        records = read_records(((st.entries(), st.blob) for st in stores), 1)
        one = calibrate(records)
        search = Search(parse_machine(LAMPS).declarations, one.search)
        program = search.chapter.program(parse_machine(lamps()).searcher)  # type: ignore[arg-type]
        now = search.start(program)
        for entry in stores[0].entries():
            body: Any = entry.body
            if body.get("try") is None:
                continue
            step = Step(body["try"], body["outcome"], body["gain"], body["cost"])
            cost = body["cost"]
            now, departed = search.follow(now, step, ())
            assert departed == ()
        # `tidy` was never tried after it had failed
        assert step.tried == "tidy"
        assert search.follow(now, Step("tidy", "accepted", 0, cost), ())[1] != ()
        assert search.follow(now, Step("tidy", "empty", 0, cost), ())[1] == ()


def test_families_that_rewrite_the_searcher_keep_their_declared_law(tmp_path: Path) -> None:
    law = """
    unknown rate_tidy: rat 1/7..2/7
    let some = rate_tidy
    let other = 1/2
    action try: Attempt
    chance outcome: Outcome = match try {
      self: { accepted: some, empty: 1 - some },
      else: { accepted: other, empty: 1 - other },
    }
    reward = if outcome == accepted then 1 else 0
"""
    one = found(tmp_path, lamps(law=law))
    assert "self:  { accepted: some, empty: 1 - some }" in one.text
    # what the arm reads stays, what nothing reads goes, and no name is taken twice
    assert "let some = rate_tidy" in one.text and "other" not in one.text
    assert "unknown rate_tidy_: rat " in one.text
    assert Search(parse_machine(LAMPS).declarations, one.search).task.rationals
    assert "accepted: 1/2" not in one.text


@pytest.mark.parametrize(
    "law",
    [
        "if try == self then { accepted: 1/7, empty: 6/7 } else { accepted: 1/2, empty: 1/2 }",
        "match try { patch: { accepted: 1/2, empty: 1/2 }, else: { accepted: 1/7, empty: 6/7 } }",
        "let half = 1/2 in if try == self then { accepted: 1/7, empty: 6/7 } "
        "else { accepted: half, empty: 1 - half }",
    ],
)
def test_declared_law_of_such_a_family_is_kept_however_it_is_written(
    tmp_path: Path, law: str
) -> None:
    text = lamps(law=f"action try: Attempt  chance outcome: Outcome = {law}  reward = 0")
    search = Search(parse_machine(LAMPS).declarations, found(tmp_path, text).search)
    assert outcomes_of(search, "self") == {"accepted": Fraction(1, 7), "empty": Fraction(6, 7)}


def outcomes_of(search: Search, family: str) -> dict[str, Fraction]:
    """What a family may come to at the start of an episode."""
    task = search.task
    ((unknowns, state),) = search._starts() or ()
    tried = (search.attempt.members.index(family),)
    drawn: dict[str, Fraction] = {}
    place = [v.name for v in task.chances].index("outcome")
    kind: Any = task.chances[place].type
    for values, weight, _, _ in task.draws(state, tried, unknowns):
        word = kind.members[values[place]]
        drawn[word] = drawn.get(word, Fraction(0)) + weight  # type: ignore[operator]
    return {word: weight for word, weight in drawn.items() if weight != 0}


def test_of_a_family_that_was_never_tried_nothing_new_is_claimed(tmp_path: Path) -> None:
    law = """
    action try: Attempt
    chance outcome: Outcome = match try {
      patch: { accepted: 1/2, empty: 1/2 },
      else: { accepted: 1/9, empty: 8/9 },
    }
    chance cost: int 0..9 = { 4: 1/3, 7: 2/3 }
    reward = 0
"""
    one = found(tmp_path, lamps(law=law).replace("else if fails_tidy < 1 then tidy", ""))
    assert {r.family for r in one.rates} == {"patch"}
    search = Search(parse_machine(LAMPS).declarations, one.search)
    assert outcomes_of(search, "tidy") == {"accepted": Fraction(1, 9), "empty": Fraction(8, 9)}
    assert "tidy:  { 4: 1/3, 7: 2/3 }" in one.text


def test_names_that_others_have_are_left_to_them(tmp_path: Path) -> None:
    with ledgers(tmp_path, lamps()) as stores:
        records = read_records(((st.entries(), st.blob) for st in stores), 1)
    names = {r.name for r in calibrate(records, words=["rate_patch"]).rates}
    assert "rate_patch_" in names and "rate_patch" not in names and "rate_tidy" in names


def test_law_that_nobody_draws_cannot_be_kept(tmp_path: Path) -> None:
    law = "action try: Attempt  adversary outcome: Outcome  reward = 0"
    with pytest.raises(NoRecord, match="self would keep"):
        found(tmp_path, lamps(law=law))


OUTCOME = "chance outcome: Outcome = { accepted: 1/2, empty: 1/2 }"
COST = "chance cost: int 0..9 = { 0: 1/2, 1: 1/2 }"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("environment {", "const rate_patch = 3\nenvironment {"),
        ("environment {", "enum Lamp { rate_patch, other }\nenvironment {"),
        ("environment {", "enum Lamp { refused, patch, empty }\nenvironment {"),
        ("family tidy ", "family rate_patch = improve(states: all)\n  family tidy "),
        ("policy { \n  try", "memory rate_patch: int 0..2 = 0\n policy { \n try"),
        ("policy { \n  try", "policy { let rate_patch = 1\n try"),
        (OUTCOME, f"{COST} {OUTCOME}"),
        (OUTCOME, f"{OUTCOME} {COST}"),
    ],
)
def test_file_to_adopt_is_in_order_whatever_stands_in_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str
) -> None:
    monkeypatch.chdir(tmp_path)
    text = lamps(law=f"action try: Attempt {OUTCOME} reward = if outcome == accepted then 1 else 0")
    if "Lamp" in new:
        text = text.replace("then patch else", "then Attempt.patch else")
        text = text.replace("empty: 1/2", "Outcome.empty: 1/2")
        text = text.replace("then 1 else 0\n", "and Lamp(0) == Lamp(0) then 1 else 0\n")
    assert old in text or old == OUTCOME
    Path("lamps.godel").write_text(text.replace(old, new, 1))
    ran = godel("evolve", "lamps.godel", "--keep-searcher")
    assert ran.code == 0, ran.err
    shown = godel("calibrate", ".godel/lamps.db", "-o", "new.godel")
    assert shown.code == 0, shown.err
    for verb in ("check", "revision"):
        done = godel(verb, "new.godel")
        assert done.code == 0, done.err
    again = godel("evolve", "new.godel", "--keep-searcher")
    assert again.code == 0, again.err


def test_search_that_cannot_stand_in_the_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lamps.godel").write_text(LAMPS.replace("environment", "const tidy = 1\nenvironment", 1))
    assert godel("evolve", "lamps.godel", "--attempts", "3").code == 0
    assert godel("calibrate", ".godel/lamps.db").code == 0
    refused = godel("calibrate", ".godel/lamps.db", "-o", "new.godel")
    assert refused.code == 2 and "tidy is already the name" in refused.err, refused
    assert not Path("new.godel").exists()


def test_gains_over_too_wide_a_range_are_said(tmp_path: Path) -> None:
    families = """
  family tidy  = simplify()
  family patch = improve(states: one)
  family self  = improve(target: searcher, states: one)
  prices { gain_unit: 1/100_000 }
"""
    law = f"action try: Attempt {OUTCOME} chance gain: int 0..900_000 = {{ 0: 1 }} reward = 0"
    with pytest.raises(NoRecord, match="gain of patch .* too many values"):
        found(tmp_path, lamps(law=law, families=families))


def test_a_long_choice_is_not_nested_deeply_and_is_the_same() -> None:
    text = _runs("x", [str(n // 2) for n in range(400)])
    parse_expression(text)
    program = compile(_python(text), "text", "eval")
    assert [eval(program, {"x": n}) for n in range(400)] == [n // 2 for n in range(400)]


def _python(text: str) -> str:
    """A choice as Python spells it."""
    if not text.startswith("if "):
        return text
    tree: Any = parse_expression(text)

    def spelled(node: Any) -> str:
        if isinstance(node, s.If):
            test: Any = node.test
            cut = test.operands[1].value
            return f"({spelled(node.then)} if x < {cut} else {spelled(node.otherwise)})"
        return str(node.value)

    return spelled(tree)


# --- the verb ------------------------------------------------------------------------------------


def test_verb_prints_the_world_and_writes_a_machine_to_adopt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lamps.godel").write_text(lamps())
    assert godel("evolve", "lamps.godel", "--keep-searcher").code == 0
    shown = godel("calibrate", ".godel/lamps.db", "-o", "new.godel")
    assert shown.code == 0, shown.err
    assert shown.out.startswith("world {\n") and "unknown rate_patch: rat " in shown.out
    assert "rate_patch " in shown.err and "1 of 1" in shown.err and "wrote new.godel" in shown.err
    assert godel("check", "new.godel").code == 0
    assert godel("revision", "new.godel").code == 0
    assert godel("verify").code == 0
    rates = godel("calibrate", ".godel/lamps.db", "--json").json
    # the new chapter is what counts; it has no attempts yet, so that what is declared stays
    same = [
        parse_blocks(f"search {{ {d.out} }}")
        for d in (shown, godel("calibrate", ".godel/lamps.db"))
    ]
    assert same[0] == same[1]
    assert (rates["schema"], rates["ledgers"], rates["rates"]) == ("godel/calibration/1", 1, [])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("missing.db",), "missing.db"),
        (("x.db", "--confidence", "1"), "between 0 and 1"),
        (("x.db", "--samples", "0"), "0"),
        ((), "LEDGER"),
    ],
)
def test_misuse_is_said(
    args: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = godel("calibrate", *args)
    assert done.code == 2 and said in done.err, done.err


# --- suites --------------------------------------------------------------------------------------


def test_a_suite_is_the_same_for_the_same_seed_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert dict(make_suite(12, 3)) == dict(make_suite(12, 3))
    assert dict(make_suite(12, 3)) != dict(make_suite(12, 4))
    assert godel("suite", "here", "--count", "12", "--seed", "3").code == 0
    files = sorted(Path("here").iterdir())
    assert {f.stem: f.read_text() for f in files} == dict(make_suite(12, 3))
    assert {f.stem.split("_")[0] for f in files} == set(KINDS) and len(KINDS) >= 3
    assert godel("check", *files).code == 0
    assert godel("fmt", "--check", *files).code == 0
    again = godel("suite", "here")
    assert again.code == 2 and "not empty" in again.err
