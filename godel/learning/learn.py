"""Learn a search on a suite of machines.

On one part of it the declared world is calibrated; under that world a machine rewrites its searcher; on the part kept apart
is measured what the rewritten searcher saves, beside what the theorems promise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any, TypeAlias, cast

from dsl import syntax as s
from dsl.search import AGENT, SEARCHER, STOP, words_of
from godel.evolve import Limits, SearchFile, Session, begin
from godel.families.kinds import KINDS
from godel.history import ATTEMPTS, total_gain
from godel.learning.calibrate import Calibration, calibrate
from godel.learning.records import NoRecord, declarations_read, read_records
from godel.ledger import Entry, Kind
from godel.searching import Search, Situation, Step
from godel.store import Store
from proofs.explicit import TooLarge
from proofs.kernel.theorem import CertificateError, ValueBounds

EPISODES_MAX = 50
"""How many episodes a machine runs at most until its searcher finds nothing more."""
GOES_ON = ("done", "horizon")
"""After these ends of an episode that found something another one is run: the searcher did not say that it was all."""
ATTEMPTS_MAX = 200
"""How many attempts the machine that learns makes at most."""


UNSEEN = "the reward of the search reads what is not reported, so that nothing can be measured"


Done: TypeAlias = Callable[[int], None] | None
"""Told how much of a stage is done; None where nobody asks."""
Stage: TypeAlias = Callable[[str, int], AbstractContextManager[Done]]
"""Opens a stage by its name and how much there is to do."""


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
    the search world, the size of the searcher in it, `first_ticks` its effort, `departures` how many of its attempts that
    world had ruled out.
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


def require_learnable(subjects: Sequence[Subject]) -> None:
    """Raise NotLearned where machines share no search that can be learned and measured: before anything is run."""
    first: tuple[object, ...] = ()
    for subject in subjects:
        machine = subject.machine
        if machine.search is None or machine.searcher is None:
            raise NotLearned(f"{subject.name} has no search of its own")
        read = declarations_read(machine.declarations, machine.search, machine.searcher)
        shared = machine.search, machine.searcher, read
        first = first or shared
        if shared[:2] != first[:2]:
            raise NotLearned(f"{subject.name} has another search than {subjects[0].name}")
        if shared != first:
            raise NotLearned(f"the search of {subject.name} reads other constants than the first")
    machine = subjects[0].machine
    assert machine.search is not None and machine.searcher is not None
    search = Search(machine.declarations, machine.search)
    for family in search.families:
        if KINDS[family.kind].outside:
            raise NotLearned(f"the family {family.name} runs a command, and nobody has given leave")
    start = search.start(search.chapter.program(machine.searcher))
    if search.reward(start, Step(STOP, "none", 0, 0), start) is None:
        raise NotLearned(UNSEEN)


def learn(
    calibration_part: Sequence[Subject],
    apart: Sequence[Subject],
    folder: Path,
    *,
    confidence: Fraction,
    rlimit: int,
    jobs: int,
    stage: Stage,
) -> Learned:
    """All of it, with a ledger of every run under `folder`. Raises NotLearned."""
    require_learnable([*calibration_part, *apart])
    first = calibration_part[0].machine
    assert first.search is not None and first.searcher is not None
    own = SearchFile(first.search, first.searcher, True)
    with _workers(jobs) as each:
        with stage("calibrating", len(calibration_part)) as done:
            _run_all(each, calibration_part, own, folder / "calibration", rlimit, done, episodes=1)
        with _opened(folder / "calibration", calibration_part) as stores:
            calibration = _calibrate(stores, [*calibration_part, *apart], confidence)
        adopted = SearchFile(calibration.search, own.searcher, True)
        with stage("learning", ATTEMPTS_MAX) as done:
            last, rewrites, promise = _rewrite(
                calibration_part[0], adopted, folder / "learning.db", rlimit, done
            )
        before: list[Run] = []
        after: list[Run] = []
        if rewrites:
            with stage("measuring the first searcher", len(apart)) as done:
                before = _run_all(each, apart, adopted, folder / "before", rlimit, done)
            learned = SearchFile(calibration.search, last, True)
            with stage("measuring the learned searcher", len(apart)) as done:
                after = _run_all(each, apart, learned, folder / "after", rlimit, done)
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


def _calibrate(
    stores: Sequence[Store], subjects: Sequence[Subject], confidence: Fraction
) -> Calibration:
    """The world that these ledgers make, for all machines of the suite."""
    try:
        records = read_records(((store.entries(), store.blob) for store in stores), samples=1)
        words = words_of(m.machine.declarations for m in subjects)
        return calibrate(records, confidence, words=words)
    except NoRecord as error:
        raise NotLearned(str(error)) from None


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
    done: Done,
    *,
    episodes: int = EPISODES_MAX,
) -> list[Run]:
    folder.mkdir(parents=True)
    jobs = [_Job(m, search, folder / f"{m.name}.db", rlimit, episodes) for m in subjects]
    found: list[Run] = []
    for run in each(_run, jobs):
        found.append(run)
        if done is not None:
            done(len(found))
    return found


def _run(job: _Job) -> Run:
    """Run a machine, its searcher left as it is, until an episode finds nothing or there were enough."""
    with Store.open(job.path, create=True) as store:
        session = _begin(store, job.subject, job.search, job.rlimit)
        meter = _Meter(session)
        worth, first_ticks, departures = Fraction(0), Fraction(0), 0
        for number in range(job.episodes):
            before = session.history.head
            ended = session.evolve(Limits(keep_searcher=True), meter)
            if number == 0:
                worth, first_ticks = meter.worth, meter.ticks
                departures = session.history.departures
            if ended.body["cause"] not in GOES_ON or session.history.head == before:
                break
        code = session.head_code
        lower = _bounds(session, AGENT, code).lower
        if lower is None:
            raise NotLearned(f"no number is proved that {job.subject.name} is worth at least")
        return Run(
            job.subject.name,
            meter.ticks,
            lower - _size(session, AGENT, code),
            worth - _size(session, SEARCHER, session.installed(SEARCHER)),
            first_ticks,
            meter.attempts,
            departures,
        )


def _bounds(session: Session, task: str, code: s.Code) -> ValueBounds:
    """Between which numbers the value of a program is proved to lie. Raises NotLearned."""
    try:
        return cast(ValueBounds, session.benches[task].gate.prove_bounds(code)[0].statement)
    except (TooLarge, CertificateError) as error:
        what = f"the {task} of {session.history.machine}"
        raise NotLearned(f"the value of {what} is not known: {error}") from None


def _size(session: Session, task: str, code: s.Code) -> Fraction:
    """What the size of a program costs."""
    chapter = session.benches[task].gate.chapter
    return chapter.task.utility.size_price * chapter.program(code).size


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
            if body["cause"] == STOP:
                # the entry has ended the episode, so that the reports are worked out here
                search, step = self.history.search, Step(STOP, "none", 0, 0)
                self._charge(step, search.follow(self._before, step, ())[0], Fraction(0))
            self._share = Fraction(1)
        else:
            self._step(entry)
        self._before = self.history.situation

    def _step(self, entry: Entry) -> None:
        body = cast(Any, entry.body)
        costs = body.get("costs") or {"rlimit": 0, "family_steps": 0, "kernel_steps": 0}
        ticks = self.history.search.ticks(
            costs["rlimit"], costs["family_steps"], costs["kernel_steps"]
        )
        self.attempts += entry.kind in ATTEMPTS
        step = Step(body["try"], body.get("outcome", "none"), body["gain"], body["cost"])
        self._charge(step, self.history.situation, ticks)

    def _charge(self, step: Step, after: Situation, ticks: Fraction) -> None:
        """One more step, with the ticks of the policy's decision; the reward has the cost of the attempt in it."""
        search = self.history.search
        reward = search.reward(self._before, step, after)
        if reward is None:
            raise NotLearned(UNSEEN)
        decided = search.decide(self.history.searcher, self._before)[2]
        self.worth += self._share * (reward - search.task.utility.tick_price * decided)
        self._share *= search.task.utility.discount
        self.ticks += decided + ticks


# --- the machine that learns ---------------------------------------------------------------------


def _rewrite(
    subject: Subject, search: SearchFile, path: Path, rlimit: int, done: Done
) -> tuple[s.Code, tuple[Entry, ...], Promise | None]:
    """Let a machine run until it finds nothing more, its searcher among what it rewrites: the last searcher, the
    accepted rewrites that lead to it, and what they promise."""
    made = 0

    def watch(entry: Entry) -> None:
        nonlocal made
        made += entry.kind in ATTEMPTS
        if done is not None:
            done(made)

    with Store.open(path, create=True) as store:
        session = _begin(store, subject, search, rlimit)
        for _ in range(EPISODES_MAX):
            installed = _heads(session)
            ended = session.evolve(Limits(attempts=ATTEMPTS_MAX - made), watch)
            if ended.body["cause"] not in GOES_ON or _heads(session) == installed:
                break
        rewrites = tuple(session.history.tasks[SEARCHER].links)
        last = session.installed(SEARCHER)
        if not rewrites:
            return last, (), None
        return last, rewrites, _promise(session, search.searcher, last, rewrites)


def _heads(session: Session) -> list[str]:
    return [lineage.head for lineage in session.history.tasks.values()]


def _promise(session: Session, first: s.Code, last: s.Code, rewrites: Sequence[Entry]) -> Promise:
    old, new = (_bounds(session, SEARCHER, code) for code in (first, last))
    if old.lower is None or old.upper is None or new.lower is None or new.upper is None:
        raise NotLearned("the value of a searcher is bounded on one side alone")
    larger = _size(session, SEARCHER, last) - _size(session, SEARCHER, first)
    high = new.upper - old.lower - larger
    if session.history.search.task.utility.better == "worst":
        # what rises is the least over all worlds, which says nothing of each of them
        return Promise(new.lower - old.upper - larger, high)
    return Promise(total_gain(rewrites), high)
