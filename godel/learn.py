"""Learn a search on a suite of machines.

On one part of it the declared world is calibrated; under that world a machine rewrites its searcher; on the part kept apart
is measured what the rewritten searcher saves, beside what the theorems promise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any, cast

from dsl import syntax as s
from dsl.search import SEARCHER
from godel.calibrate import Calibration, calibrate, read_records
from godel.evolve import Limits, SearchFile, Session, begin
from godel.gate import Gate
from godel.history import WON, total_gain
from godel.ledger import Entry, Kind
from godel.searching import Step
from godel.store import Store
from proofs.kernel.theorem import ValueBounds

EPISODES_MAX = 50
"""How many episodes a machine runs at most until its searcher finds nothing more."""
ATTEMPTS_MAX = 200
"""How many attempts the machine that learns makes at most."""


class NotLearned(Exception):
    """What keeps a search from being learned."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A machine of a suite: its name, the text of its file, and the file as a tree."""

    name: str
    text: str
    machine: s.Machine


@dataclass(frozen=True, slots=True)
class Run:
    """What a searcher made of one machine.

    `ticks` is the effort until it found nothing more, T of its attempts and the ticks of its own policy; `utility` what the
    agent is then proved to be worth at least, in every world. `worth` is what the first episode came to in the utility of
    the search world, `first_ticks` its effort, `departures` how many of its attempts that world had ruled out.
    """

    name: str
    ticks: Fraction
    utility: Fraction
    worth: Fraction
    first_ticks: Fraction
    attempts: int
    departures: int


@dataclass(frozen=True, slots=True)
class Promise:
    """What the theorems say of the rewritten searcher beside the first one, for an episode in the utility of the search
    world: it gains at least `low`, by the chain of improvements, and at most `high`, by the bounds of both."""

    low: Fraction
    high: Fraction


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned, and how it did on the machines kept apart: `before` and `after` have the same machines."""

    calibration: Calibration
    calibrated_on: tuple[str, ...]
    first: s.Code
    last: s.Code
    rewrites: tuple[Entry, ...]
    promise: Promise | None
    before: tuple[Run, ...]
    after: tuple[Run, ...]

    @property
    def measured(self) -> Fraction:
        """The mean gain of an episode on the machines kept apart."""
        gains = [new.worth - old.worth for old, new in zip(self.before, self.after, strict=True)]
        return sum(gains, Fraction(0)) / len(gains)


def split(
    subjects: Sequence[Subject], seed: int, apart: int
) -> tuple[list[Subject], list[Subject]]:
    """Two parts by lot: the first to calibrate on, `apart` machines kept apart; each in the order of their names."""
    order = sorted(subjects, key=lambda m: m.name)
    chosen = set(Random(seed).sample(range(len(order)), apart))
    return (
        [m for i, m in enumerate(order) if i not in chosen],
        [m for i, m in enumerate(order) if i in chosen],
    )


def learn(
    calibration_part: Sequence[Subject],
    apart: Sequence[Subject],
    folder: Path,
    *,
    confidence: Fraction,
    rlimit: int,
    jobs: int,
    said: Callable[[str, int], None],
) -> Learned:
    """All of it, with a ledger of every run under `folder`. `said` hears which stage begins, and how many runs it has.

    Raises NotLearned.
    """
    first = calibration_part[0].machine
    if first.search is None or first.searcher is None:
        raise NotLearned("the machines of a suite have a search of their own")
    own = SearchFile(first.search, first.searcher, True)
    with _workers(jobs) as each:
        said("calibrating", len(calibration_part))
        _run_all(each, calibration_part, own, folder / "calibration", rlimit, said, episodes=1)
        with _opened(folder / "calibration", calibration_part) as stores:
            records = read_records(((store.entries(), store.blob) for store in stores), samples=1)
        calibration = calibrate(records, confidence)
        said("learning", 1)
        adopted = SearchFile(calibration.search, own.searcher, True)
        last, rewrites, promise = _rewrite(
            calibration_part[0], adopted, folder / "learning.db", rlimit
        )
        before: list[Run] = []
        after: list[Run] = []
        if rewrites:
            said("measuring the first searcher", len(apart))
            before = _run_all(each, apart, adopted, folder / "before", rlimit, said)
            said("measuring the learned searcher", len(apart))
            learned = SearchFile(calibration.search, last, True)
            after = _run_all(each, apart, learned, folder / "after", rlimit, said)
    names = tuple(m.name for m in calibration_part)
    return Learned(
        calibration, names, own.searcher, last, rewrites, promise, tuple(before), tuple(after)
    )


@contextmanager
def _workers(jobs: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """A `map` over so many processes; in this one where that is enough."""
    if jobs == 1:
        yield map
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield pool.map


@contextmanager
def _opened(folder: Path, subjects: Sequence[Subject]) -> Iterator[list[Store]]:
    stores = [Store.open(folder / f"{m.name}.db") for m in subjects]
    try:
        yield stores
    finally:
        for store in stores:
            store.close()


# --- one machine ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Job:
    """One machine to be run with a search, in a ledger of its own, for so many episodes at most."""

    subject: Subject
    search: SearchFile
    path: Path
    rlimit: int
    episodes: int


def _run_all(
    each: Callable[..., Iterator[Any]],
    subjects: Sequence[Subject],
    search: SearchFile,
    folder: Path,
    rlimit: int,
    said: Callable[[str, int], None],
    *,
    episodes: int = EPISODES_MAX,
) -> list[Run]:
    folder.mkdir(parents=True)
    jobs = [_Job(m, search, folder / f"{m.name}.db", rlimit, episodes) for m in subjects]
    found: list[Run] = []
    for run in each(_run, jobs):
        found.append(run)
        said("", len(found))
    return found


def _run(job: _Job) -> Run:
    """Run a machine, its searcher left as it is, until an episode finds nothing or there were enough."""
    with Store.open(job.path, create=True) as store:
        session = _begin(store, job.subject, job.search, job.rlimit)
        meter = _Meter(session)
        for number in range(job.episodes):
            ended = session.evolve(Limits(keep_searcher=True), meter)
            if number == 0:
                worth, first_ticks = meter.worth, meter.ticks
                departures = session.history.departures
            if ended.body["cause"] != "done":
                break
        gate, code = session.gate, session.head_code
        statement = cast(ValueBounds, gate.prove_bounds(code)[0].statement)
        size = gate.chapter.task.utility.size_price * gate.chapter.program(code).size
        assert statement.lower is not None
        return Run(
            job.subject.name,
            meter.ticks,
            statement.lower - size,
            worth,
            first_ticks,
            meter.attempts,
            departures,
        )


def _begin(store: Store, subject: Subject, search: SearchFile, rlimit: int) -> Session:
    begin(
        store,
        subject.machine,
        search,
        source=subject.text,
        seed=0,
        kind=Kind.GENESIS,
        rlimit=rlimit,
    )
    return Session.resume(store, rlimit=rlimit, threads=1)


class _Meter:
    """Hears the entries of a run: adds up its effort, and what an episode is worth in the utility of the search world."""

    def __init__(self, session: Session) -> None:
        self.history = session.history
        self.ticks, self.worth, self.attempts = Fraction(0), Fraction(0), 0
        self._share = Fraction(1)
        self._before = self.history.situation

    def __call__(self, entry: Entry) -> None:
        """One more entry."""
        body = cast(Any, entry.body)
        if entry.kind is Kind.ENDED:
            if body["cause"] == "stop":
                self._charge(Fraction(0), Fraction(0))
            self._share = Fraction(1)
        else:
            self._step(body, "accepted" if entry.kind in WON else str(body.get("outcome", "none")))
        self._before = self.history.situation

    def _step(self, body: Any, outcome: str) -> None:
        search = self.history.search
        step = Step(body["try"], outcome, body["gain"], body["cost"])
        reward = search.reward(self._before, step, self.history.situation)
        if reward is None:
            raise NotLearned(
                "the reward of the search reads what is not reported, so that nothing can be measured"
            )
        costs = body.get("costs") or {"rlimit": 0, "family_steps": 0, "kernel_steps": 0}
        ticks = search.ticks(costs["rlimit"], costs["family_steps"], costs["kernel_steps"])
        self.attempts += 1
        self._charge(reward, ticks)

    def _charge(self, reward: Fraction, ticks: Fraction) -> None:
        """One more step, with the ticks of the policy's decision; the reward has the cost of the attempt in it."""
        search = self.history.search
        decided = search.decide(self.history.searcher, self._before)[2]
        self.worth += self._share * (reward - search.task.utility.tick_price * decided)
        self._share *= search.task.utility.discount
        self.ticks += decided + ticks


# --- the machine that learns ---------------------------------------------------------------------


def _rewrite(
    subject: Subject, search: SearchFile, path: Path, rlimit: int
) -> tuple[s.Code, tuple[Entry, ...], Promise | None]:
    """Let a machine run until it finds nothing more, its searcher among what it rewrites: the last searcher, the
    accepted rewrites that lead to it, and what they promise."""
    with Store.open(path, create=True) as store:
        session = _begin(store, subject, search, rlimit)
        left = ATTEMPTS_MAX
        for _ in range(EPISODES_MAX):
            before = session.history.last
            ended = session.evolve(Limits(attempts=left), lambda entry: None)
            assert before is not None
            left -= ended.seq - before.seq - 1
            if ended.body["cause"] != "done" or left <= 0:
                break
        rewrites = tuple(session.history.tasks[SEARCHER].links)
        last = session.installed(SEARCHER)
        if not rewrites:
            return last, (), None
        return (
            last,
            rewrites,
            _promise(session.benches[SEARCHER].gate, search.searcher, last, rewrites),
        )


def _promise(gate: Gate, first: s.Code, last: s.Code, rewrites: Sequence[Entry]) -> Promise:
    old, new = (cast(ValueBounds, gate.prove_bounds(code)[0].statement) for code in (first, last))
    assert None not in (old.lower, old.upper, new.lower, new.upper)
    price = gate.chapter.task.utility.size_price
    larger = price * (gate.chapter.program(last).size - gate.chapter.program(first).size)
    high = cast(Fraction, new.upper) - cast(Fraction, old.lower) - larger
    if gate.chapter.task.utility.better == "worst":
        # what rises is the least over all worlds, which says nothing of each of them
        return Promise(cast(Fraction, new.lower) - cast(Fraction, old.upper) - larger, high)
    return Promise(total_gain(rewrites), high)
