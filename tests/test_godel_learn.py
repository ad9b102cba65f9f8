"""Learning a search on a suite: parts drawn by lot, one world, a proved rewrite, and a measure on machines kept apart."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

import pytest
from cli import godel, process
from forging import mutant_of, places, put
from search_machines import machine

from dsl.codec import CodecError, canonical_json, decode_json
from dsl.machine import Program
from dsl.parser import parse_blocks, parse_machine
from godel.cli.learn import _say
from godel.evolve import SearchFile
from godel.history import read_history
from godel.learning.learn import (
    EPISODES_MAX,
    Learned,
    NotLearned,
    Promise,
    Run,
    Subject,
    _Job,
    _run,
    learn,
    require_learnable,
    split,
)
from godel.learning.plot import plot_learned
from godel.learning.suite import make_suite
from godel.searching import Search
from godel.store import Store
from godel.verify import verify
from proofs.certificates import decode_certificate
from proofs.kernel.check import IsBetter, check
from proofs.kernel.theorem import CertificateError, Improvement

SMALL = """
search {
  family invent = enumerate(nodes: 4, tries: 4)
  family patch  = improve(states: all)
  family self   = improve(target: searcher, states: one)
  prices { cost_unit: 100 }
  world {
    report fails_invent: int 0..1
    report fails_patch: int 0..1
    report fails_self: int 0..1
    report wins_invent: int 0..1
    report wins_patch: int 0..1
    action try: Attempt
    chance outcome: Outcome = match try {
      self: if fails_self == 0 then { accepted: 1/2, empty: 1/2 } else { empty: 1 },
      else: { accepted: 1/2, empty: 1/2 },
    }
    chance cost: int 0..100 = match try { self: { 0: 1 }, else: { for i in 0..100: i: 1/101 } }
    reward = if outcome != accepted or try == self then 0 else 40
    done   = wins_invent + wins_patch > 0
  }
  utility { horizon 5  tick_price 1/100 }
}
searcher {
  policy {
    try = if fails_invent == 0 then invent
          else if fails_patch == 0 then patch
          else if fails_self == 0 then self
          else stop
  }
}
"""
"""A search with two families for the agent, the dear one first."""


def small(count: int) -> Iterator[tuple[str, str]]:
    """Machines of a suite with the small search."""
    for name, text in make_suite(count):
        yield name, text[: text.index("search {")] + SMALL


def subjects(count: int) -> list[Subject]:
    """The same as trees."""
    return [Subject(name, text, parse_machine(text)) for name, text in small(count)]


@contextmanager
def quiet(stage: str, number: int) -> Iterator[None]:
    """Nobody watches."""
    yield None


def learned(folder: Path, machines: list[Subject], apart: int, confidence: Fraction) -> Learned:
    parts = split(machines, 0, apart)
    return learn(*parts, folder, confidence=confidence, rlimit=50_000_000, jobs=1, stage=quiet)


@pytest.fixture(scope="module")
def sure(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Learned]:
    """What is learned of few machines by someone who is content with little confidence."""
    folder = tmp_path_factory.mktemp("sure")
    return folder, learned(folder, subjects(12), 5, Fraction(1, 100))


def test_parts_are_drawn_by_lot_and_share_nothing() -> None:
    machines = subjects(9)
    first, apart = split(machines, 5, 4)
    assert (len(first), len(apart)) == (5, 4)
    assert {m.name for m in first}.isdisjoint(m.name for m in apart)
    assert split(list(reversed(machines)), 5, 4) == (first, apart)
    assert any(split(machines, seed, 4) != (first, apart) for seed in range(5))


def test_every_ledger_holds_and_is_of_the_part_it_belongs_to(sure: tuple[Path, Learned]) -> None:
    folder, found = sure
    names = {
        part: {p.stem for p in (folder / part).glob("*.db")}
        for part in ("calibration", "before", "after")
    }
    assert names["calibration"] == set(found.calibrated_on)
    assert names["before"] == names["after"] == {r.name for r in found.before}
    assert names["before"].isdisjoint(names["calibration"])
    for path in folder.glob("**/*.db"):
        with Store.open(path, readonly=True) as store:
            assert verify(store).theorems > 0


def test_rewrites_are_proved_and_the_promise_is_that_of_their_chain(
    sure: tuple[Path, Learned],
) -> None:
    _, found = sure
    assert found.rewrites and found.promise is not None
    assert found.first != found.last
    gains = [Fraction(e.body["claim"]["gain"]) for e in found.rewrites]  # type: ignore[index, call-overload]
    assert found.promise.low == sum(gains) > 0
    assert found.promise.low <= found.promise.high


def mean_cost(found: Learned, family: str, won: bool) -> Fraction:
    """The mean of the calibrated cost: each value between the ends that were met counts once more than it was."""
    counted: Counter[int] = Counter()
    for record in found.calibration.records.by_family[family].values():
        counted.update(record.costs[won])
    if not counted:
        return mean_cost(found, family, not won)
    values = range(min(counted), max(counted) + 1)
    total = counted.total() + len(values)
    return sum((Fraction(v * (counted[v] + 1), total) for v in values), Fraction(0))


def worth(found: Learned, program: Program, rates: dict[str, Fraction]) -> Fraction:
    """What an episode of the small search is worth at these rates, worked out by hand for its world."""
    families = ("invent", "patch", "self")

    def after(step: int, fails: dict[str, int], memory: Any) -> Fraction:
        if step == 5:
            return Fraction(0)
        reports = {f"fails_{f}": n for f, n in fails.items()}
        decided = program.decide({**reports, "wins_invent": 0, "wins_patch": 0}, memory)
        (action,) = decided.actions
        paid = -Fraction(decided.ticks, 100)
        if action in (0, 1):  # `stop` ends the episode, `apply` does nothing
            return paid if action == 0 else paid + after(step + 1, fails, decided.memory)
        family = families[action - 2]  # type: ignore[operator]
        rest = after(step + 1, {**fails, family: 1}, decided.memory)
        won = Fraction(0) if fails[family] else rates.get(family, Fraction(1, 2))
        if family == "self":
            return paid + (1 - won) * rest
        gained = won * (40 - mean_cost(found, family, True))
        return paid + gained + (1 - won) * (rest - mean_cost(found, family, False))

    return after(0, dict.fromkeys(families, 0), program.memory_start)


def test_promise_holds_at_every_rate_of_the_intervals(sure: tuple[Path, Learned]) -> None:
    _, found = sure
    assert found.promise is not None
    declarations = parse_machine(next(small(1))[1]).declarations
    chapter = Search(declarations, found.calibration.search).chapter
    first, last = chapter.program(found.first), chapter.program(found.last)
    gains = []
    for k in range(200):
        rng = Random(k)
        rates = {}
        for rate in found.calibration.rates:
            assert rate.situation == (0, 0)
            share = Fraction(rng.choice([0, 4, rng.randrange(5)]), 4)
            rates[rate.family] = rate.low + share * (rate.high - rate.low)
        gains.append(worth(found, last, rates) - worth(found, first, rates))
    assert found.promise.low <= min(gains) and max(gains) <= found.promise.high
    # the bounds are not far from what is true
    assert min(gains) <= found.promise.low + 5


def true_gain(found: Learned, first: Program, last: Program) -> Fraction:
    """The least that a rewrite gains in the corners of the intervals, by hand."""
    rates = found.calibration.rates
    gains = []
    for ends in product(*((rate.low, rate.high) for rate in rates)):
        at = {rate.family: end for rate, end in zip(rates, ends, strict=True)}
        gains.append(worth(found, last, at) - worth(found, first, at))
    return min(gains)


def test_no_forged_certificate_of_a_learned_rewrite_claims_more_than_is_true(
    sure: tuple[Path, Learned],
) -> None:
    folder, found = sure
    declarations = parse_machine(next(small(1))[1]).declarations
    chapter = Search(declarations, found.calibration.search).chapter
    with Store.open(folder / "learning.db", readonly=True) as store:
        history = read_history(store.entries(), store.blob)
        bodies: list[Any] = [entry.body for entry in found.rewrites]
        codes = [[history.load_code(b[key]) for key in ("parent", "result")] for b in bodies]
        blobs = [store.blob(b["certificate"]) for b in bodies]
    refused = 0
    for (old, new), blob in zip(codes, blobs, strict=True):
        first, last = chapter.program(old), chapter.program(new)
        limit = true_gain(found, first, last)
        for seed in range(150):
            rng = Random(seed)
            data = decode_json(blob)
            where, value = rng.choice([p for p in places(data) if p[0]])
            put(data, where, mutant_of(rng, value))
            try:
                certificate = decode_certificate(canonical_json(data), chapter.task, last, first)
                theorem = check(IsBetter(chapter, old, new), certificate)
            except (CodecError, CertificateError):
                refused += 1
                continue
            statement = theorem.statement
            assert isinstance(statement, Improvement) and statement.gain <= limit
    assert refused > 100 * len(codes)


def test_worth_and_ticks_of_a_run_are_those_of_its_ledger(sure: tuple[Path, Learned]) -> None:
    folder, found = sure
    price, unit = Fraction(1, 100), 100
    for part, runs in (("before", found.before), ("after", found.after)):
        for run in runs:
            with Store.open(folder / part / f"{run.name}.db", readonly=True) as store:
                bodies: list[Any] = [e.body for e in store.entries()]
            attempts = [b for b in bodies if "try" in b]
            first = [b for b in attempts if b["episode"] == 1]
            spent = [b["costs"] for b in attempts]
            used = sum(
                Fraction(c["rlimit"], 20) + c["family_steps"] + c["kernel_steps"] for c in spent
            )
            # each decision of these policies takes some ticks of its own
            assert 0 < run.ticks - used <= 100 * (len(attempts) + len(bodies))
            reward = 40 * sum(b["outcome"] == "accepted" for b in first)
            charged = unit * sum(b["cost"] for b in first)
            assert 0 < (reward - price * charged) - run.worth <= price * 100 * (len(first) + 1)
            assert run.attempts == len(attempts)
            assert run.departures == sum(bool(b["departures"]) for b in first)


def run_of(text: str, folder: Path) -> Run:
    """What the searcher of a machine makes of it."""
    tree = parse_machine(text)
    assert tree.search is not None and tree.searcher is not None
    search = SearchFile(tree.search, tree.searcher, True)
    path = folder / f"{len(list(folder.iterdir()))}.db"
    return _run(_Job(Subject("m", text, tree), search, path, 50_000_000, EPISODES_MAX))


LAW = "action try: Attempt  chance outcome: Outcome = { accepted: 1/2, empty: 1/2 }"
REPORTS = "report fails_patch: int 0..1  report step: int 0..9"
FOUND = "if outcome == accepted then 5 else 0"


def test_worth_counts_what_stopping_brings_and_what_size_costs(tmp_path: Path) -> None:
    policy = "try = if fails_patch == 0 then patch else stop"

    def worth(reward: str, utility: str) -> Fraction:
        text = machine(
            policy, reports=REPORTS, law=f"{LAW} reward = {reward}", utility=utility, families=PATCH
        )
        return run_of(text, tmp_path).worth

    plain = worth(FOUND, "discount 1/2")
    # two lamps are found, then nothing, then it stops
    assert plain == 5 + Fraction(5, 2)
    stopping = worth(f"({FOUND}) + (if try == stop then 16 else 0)", "discount 1/2")
    assert stopping - plain == 16 * Fraction(1, 8)
    named = (
        "let b = 1 in b * bonus  let half = outcome == accepted  let bonus = if half then 5 else 0"
    )
    assert worth(named, "discount 1/2") == plain
    size = (plain - worth(FOUND, "discount 1/2  size_price 1/100")) * 100
    assert size > 0 and size.denominator == 1


PATCH = "family patch = improve(states: one)  family tidy = simplify()"


def test_a_machine_is_run_until_an_episode_finds_nothing(tmp_path: Path) -> None:
    def attempts(policy: str, **more: str) -> int:
        law = f"{LAW} reward = {FOUND} {more.pop('done', '')}"
        text = machine(policy, reports=REPORTS, law=law, families=PATCH, **more)
        return run_of(text, tmp_path).attempts

    # one lamp, the other one, nothing: in as many episodes
    assert attempts("try = patch", utility="horizon 1") == 3
    assert attempts("try = patch", done="done = step >= 1") == 3
    assert attempts("try = tidy", done="done = step >= 1") == 1
    # what is held when an episode ends is not installed
    assert attempts("try = patch", done="done = step >= 1", switch="held") == 1


def test_what_cannot_be_learned_is_said_before_anything_is_run() -> None:
    def said(*texts: str) -> str:
        with pytest.raises(NotLearned) as caught:
            require_learnable([Subject(f"m{i}", t, parse_machine(t)) for i, t in enumerate(texts)])
        return str(caught.value)

    def text(reward: str = FOUND, families: str = PATCH, reports: str = REPORTS) -> str:
        law = f"unknown p: rat 0..1 {LAW} reward = {reward}"
        return machine("try = stop", reports=reports, law=law, families=families)

    command = 'family model = external(command: "touch found")'
    assert "model runs a command" in said(text(families=f"{PATCH} {command}"))
    assert "not reported" in said(text(f"({FOUND}) + p"))
    assert "another search" in said(text(), text("0"))
    wide = text(reports=REPORTS.replace("0..9", "0..N"))
    two = [wide.replace("environment {", f"const N = {n}\nenvironment {{", 1) for n in (8, 9)]
    assert "other constants" in said(*two)
    require_learnable([Subject("m", two[0], parse_machine(two[0]))] * 2)


def test_a_value_that_is_not_known_is_said_and_so_is_what_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("worlds").mkdir()
    for name, text in small(4):
        head, tail = text.split("environment {", 1)
        large = "environment { state big: bits[24] = 0  big' = big + 1\n"
        Path(f"worlds/{name}.godel").write_text(head + large + tail)
    done = godel("learn", "worlds", "-j", "1")
    assert done.code == 2 and "is not known" in done.err, done
    assert "learned holds the ledgers made until now" in done.err
    assert list(Path("learned/calibration").iterdir())


def test_only_files_that_were_written_are_named(
    sure: tuple[Path, Learned], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "table.csv").touch()
    _say(sure[1], str(tmp_path))
    assert capsys.readouterr().out.endswith("/: table.csv, and the ledgers\n")


def test_measured_is_the_mean_over_the_machines_kept_apart() -> None:
    def run(name: str, worth: int) -> Run:
        return Run(name, Fraction(0), Fraction(0), Fraction(worth), Fraction(0), 0, 0)

    pairs = [("a", 1, 4), ("b", 2, 1), ("c", 0, 5)]
    found = object.__new__(Learned)
    object.__setattr__(found, "before", tuple(run(n, old) for n, old, _ in pairs))
    object.__setattr__(found, "after", tuple(run(n, new) for n, _, new in pairs))
    assert found.measured == Fraction(7, 3)


def test_where_nothing_is_proved_nothing_is_measured(tmp_path: Path) -> None:
    # of two machines next to nothing is known with such confidence
    found = learned(tmp_path, subjects(3), 1, Fraction(999, 1000))
    assert (found.rewrites, found.promise, found.before) == ((), None, ())
    assert found.first == found.last


def test_plot_is_the_same_each_time_and_well_formed(
    sure: tuple[Path, Learned], tmp_path: Path
) -> None:
    _, found = sure
    plot_learned(found, tmp_path / "a.svg")
    plot_learned(found, tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    tree = ElementTree.parse(tmp_path / "a.svg")
    words = {e.text for e in tree.iter() if e.tag.endswith("text")}
    assert {"first searcher", "learned searcher", "measured mean"} <= words
    with pytest.raises(ValueError, match="nothing"):
        plot_learned(replace(found, promise=None), tmp_path / "c.svg")
    assert isinstance(found.promise, Promise)


# --- the verb ------------------------------------------------------------------------------------


def test_verb_writes_what_it_learned(sure: tuple[Path, Learned], tmp_path: Path) -> None:
    (tmp_path / "worlds").mkdir()
    for name, text in small(12):
        (tmp_path / "worlds" / f"{name}.godel").write_text(text)
    args = ("learn", "worlds", "--apart", "5", "--confidence", "1/100")
    done = process(*args, "-j", "2", cwd=tmp_path)
    assert done.code == 0, done.err
    folder = tmp_path / "learned"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["rewrites"] and summary["promise"] and len(summary["machines"]) == 5
    rows = list(csv.DictReader((folder / "table.csv").read_text().splitlines()))
    assert [r["machine"] for r in rows] == [m["name"] for m in summary["machines"]]
    ticks = [Fraction(r["ticks_before"]) for r in rows]
    assert sum(ticks) / len(ticks) == Fraction(summary["before"]["ticks"])
    blocks = parse_blocks((folder / "search.godel").read_text())
    assert blocks.search is not None and blocks.searcher is not None
    assert "promised" in done.out and "measured" in done.out
    # two processes at once, or one: the same to the last byte
    one, found = sure
    assert blocks.searcher == found.last
    assert summary["rewrites"] == [e.id for e in found.rewrites]
    assert Fraction(summary["measured"]) == found.measured
    plot_learned(found, tmp_path / "one.svg")
    assert (folder / "plot.svg").read_bytes() == (tmp_path / "one.svg").read_bytes()
    for path in sorted(one.glob("**/*.db")):
        assert head_of(path) == head_of(folder / path.relative_to(one))


def head_of(path: Path) -> str:
    """The last entry of a ledger, whose id speaks for all before it."""
    with Store.open(path, readonly=True) as store:
        head = store.head()
        assert head is not None
        return head.id


def test_misuse_is_said_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert godel("suite", "worlds", "--count", "3").code == 0

    def said(*args: str) -> str:
        done = godel("learn", *args)
        assert done.code in (2, 3), done
        assert not Path("learned").exists()
        return done.err

    assert "no machine files" in said("nowhere")
    assert "cannot be parted" in said("worlds", "--apart", "3")
    assert "between 0 and 1" in said("worlds", "--confidence", "1")
    Path("full").mkdir()
    Path("full/x").touch()
    assert "not empty" in said("worlds", "-o", "full")
    one = Path("worlds/walk_0.godel")
    text = one.read_text()
    one.write_text(text.replace("horizon 8", "horizon 9"))
    assert "another search" in said("worlds")
    one.write_text(text[: text.index("search {")])
    assert "no search of its own" in said("worlds")
    one.write_text(text.replace("machine walk_0", "machine heat_1"))
    assert "are called heat_1" in said("worlds")
    one.write_text("machine")
    assert "error[G" in said("worlds")
