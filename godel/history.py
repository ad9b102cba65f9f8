"""What a ledger says: replay its entries to the present state of the machine. Loads no solver and no parser."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, cast

from dsl import syntax as s
from dsl.codec import (
    CodecError,
    Json,
    canonical_json,
    decode_rational,
    decode_tree,
    digest,
    digest_node,
)
from dsl.interp import EvaluationFault
from dsl.machine import Program
from dsl.rewrite import Edit, RewriteError, apply_rewrite
from dsl.search import AGENT, SEARCHER
from godel.entries import require_shape
from godel.ledger import Entry, Kind, LedgerError
from godel.searching import Search, Situation, Step
from proofs.kernel.theorem import Moment

ATTEMPTS = (*(Kind.ACCEPTED, Kind.HELD, Kind.REFUSED, Kind.UNDECIDED, Kind.INVALID, Kind.EMPTY),)
WON = (Kind.ACCEPTED, Kind.HELD)
IMPROVING, OPTIMAL_SWITCH = "improving", "optimal switch"
"""What is shown of an `apply`: what is installed improves; besides, nothing else was worth as much to the searcher."""
NO_LIMIT = 2**62
ATTEMPTS_KEPT = 32
"""How many attempts on a task are kept for families to look at."""


@dataclass(slots=True)
class Lineage:
    """The programs of one task in a chapter.

    `head` is the digest of the installed code, `held` that of a proved rewrite which waits for `apply`; `tried` holds, by
    base and result, the rlimit with which a candidate was judged (`NO_LIMIT` where more would change nothing); `links` the
    accepted entries that lead from the chapter's first program to the head, `held_links` those from there to what is held;
    `ways` the links of every program that was installed; `charged`, by family, the base that it was asked about last and the
    steps charged for that since; `attempts` the last entries about this task, oldest first.
    """

    first: str = ""
    head: str = ""
    held: str | None = None
    tried: dict[str, dict[str, int]] = field(default_factory=dict)
    links: list[Entry] = field(default_factory=list)
    held_links: list[Entry] = field(default_factory=list)
    ways: dict[str, list[Entry]] = field(default_factory=dict)
    charged: dict[str, tuple[str, int]] = field(default_factory=dict)
    attempts: deque[Entry] = field(default_factory=lambda: deque(maxlen=ATTEMPTS_KEPT), repr=False)

    @classmethod
    def of(cls, first: str) -> Lineage:
        """The lineage of a chapter that begins with this program."""
        return cls(first, first, ways={first: []})

    @property
    def base(self) -> str:
        """The program that attempts start from: what is held, else what is installed."""
        return self.held or self.head

    def install(self, program: str, more: Sequence[Entry]) -> None:
        """Make a program the head; `more` leads to it from the present one."""
        self.head = program
        self.links = [*self.links, *more]
        self.ways.setdefault(program, self.links)
        self.drop()

    def charged_for(self, family: str, base: str) -> int:
        """The steps charged to a family since it was asked about another base."""
        asked, steps = self.charged.get(family, (base, 0))
        return steps if asked == base else 0

    def drop(self) -> None:
        """Forget what is held."""
        self.held, self.held_links = None, []


@dataclass(slots=True)
class History:
    """The state of a machine after some entries of its ledger."""

    blob: Callable[[str], bytes]
    machine: str = ""
    declarations: str = ""
    source: str = ""
    seed: int = 0
    chapter_seq: int = 0
    episode: int = 0
    step: int = 0
    running: bool = False
    departures: int = 0
    tasks: dict[str, Lineage] = field(default_factory=dict)
    last: Entry | None = None
    search_digest: str = ""
    own_search: bool = False
    _now: Situation | None = None
    _pending: list[Step] = field(default_factory=list)
    _search: Search | None = None
    _programs: dict[str, Program] = field(default_factory=dict)

    # --- tasks -----------------------------------------------------------------------------------

    @property
    def agent(self) -> Lineage:
        """The programs of the agent."""
        return self.tasks[AGENT]

    @property
    def head(self) -> str:
        """The digest of the agent's installed code."""
        return self.agent.head

    @property
    def links(self) -> list[Entry]:
        """The accepted entries that lead to the agent's installed code."""
        return self.agent.links

    @property
    def search(self) -> Search:
        """The search of the chapter."""
        if self._search is None:
            declarations, tree = self.load_declarations(), self.load_search()
            self._search = searching(declarations, tree, own=self.own_search)
        return self._search

    @property
    def searcher(self) -> Program:
        """The searcher that decides: the one installed."""
        head = self.tasks[SEARCHER].head
        if head not in self._programs:
            self._programs = {head: self.search.chapter.program(self.load_code(head))}
        return self._programs[head]

    def load_declarations(self) -> s.Declarations:
        """The declarations of the chapter."""
        return cast(s.Declarations, decode_tree(self.blob(self.declarations), s.Declarations))

    def load_search(self) -> s.Search:
        """The `search` block of the chapter."""
        return cast(s.Search, decode_tree(self.blob(self.search_digest), s.Search))

    def load_code(self, name: str) -> s.Code:
        """Code by its digest."""
        return cast(s.Code, decode_tree(self.blob(name), s.Code))

    # --- episodes --------------------------------------------------------------------------------

    @property
    def situation(self) -> Situation:
        """Where the episode is that is running, or where one that began now would be."""
        now = self._now or self.search.start(self.searcher)
        for step in self._pending:
            now, _ = self._after(now, step)
        self._pending = []
        if self.running:
            self._now = now
        return now

    @property
    def next_episode(self) -> tuple[int, int]:
        """Episode and step of what is tried next."""
        return (self.episode, self.step) if self.running else (self.episode + 1, 0)

    def decide(self) -> str:
        """What the searcher tries next."""
        return self.search.decide(self.searcher, self.situation)[0]

    @property
    def moment(self) -> Moment:
        """What the searcher sees when it decides what to try next."""
        now, horizon = self.situation, self.search.horizon
        observed = tuple(now.reports[v.name] for v in self.search.task.observed)
        return Moment(observed, now.memory, None if horizon is None else self.next_episode[1])

    def departures_of(self, step: Step) -> tuple[str, ...]:
        """How a step would depart from the declared world, if it came next."""
        return self._after(self.situation, step)[1]

    def _after(self, now: Situation, step: Step) -> tuple[Situation, tuple[str, ...]]:
        _, memory, _ = self.search.decide(self.searcher, now)
        return self.search.follow(now, step, memory)

    @property
    def cause_to_end(self) -> str | None:
        """Why the declared world ends the episode that is running here, if it does."""
        if not self.running:
            return None
        if self.search.is_over(self.situation):
            return "done"
        horizon = self.search.horizon
        return "horizon" if horizon is not None and self.step >= horizon else None

    # --- entries ---------------------------------------------------------------------------------

    def advance(self, entry: Entry) -> None:
        """Take one more entry into account. Raises LedgerError where its body is not of its kind."""
        require_shape(entry)
        body = entry.body
        try:
            match entry.kind:
                case Kind.GENESIS | Kind.REVISION:
                    self._open_chapter(entry)
                case Kind.CHECKOUT:
                    self._check_out(entry)
                case Kind.ENDED:
                    self._cut()
                    self.episode = cast(int, body["episode"])
                case Kind.APPLIED:
                    self._apply(entry)
                case _ if entry.kind in ATTEMPTS:
                    self._attempt(entry)
                case _:
                    raise LedgerError(
                        f"{entry.kind.value!r} entries are not written yet", seq=entry.seq
                    )
        except (KeyError, TypeError, AttributeError, CodecError, EvaluationFault) as error:
            raise LedgerError(f"a malformed body: {error!r}", seq=entry.seq) from None
        self.last = entry

    def _open_chapter(self, entry: Entry) -> None:
        body = cast(Mapping[str, Any], entry.body)
        self.machine, self.declarations = body["machine"], body["declarations"]
        self.source, self.search_digest = body["source"], body["search"]
        self.own_search, self._search, self._programs = body["own_search"], None, {}
        self.tasks = {AGENT: Lineage.of(body["code"]), SEARCHER: Lineage.of(body["searcher"])}
        self.seed, self.chapter_seq = body["seed"], entry.seq
        self.departures = 0
        self._cut()

    def _cut(self) -> None:
        """No episode is running any more; what was held is not installed."""
        self.running, self._now, self._pending = False, None, []
        for lineage in self.tasks.values():
            lineage.drop()

    def _check_out(self, entry: Entry) -> None:
        code, lineage = cast(str, entry.body["code"]), self._lineage(entry)
        if code not in lineage.ways:
            raise LedgerError("it checks out code that this chapter never installed", seq=entry.seq)
        self._cut()
        lineage.head, lineage.links = code, list(lineage.ways[code])

    def _lineage(self, entry: Entry) -> Lineage:
        found = self.tasks.get(cast(str, entry.body["task"]))
        if found is None:
            raise LedgerError(f"there is no task {entry.body['task']!r}", seq=entry.seq)
        return found

    def _take_step(self, entry: Entry, outcome: str) -> None:
        """Bring the reports up to date; begins an episode where none is running."""
        body = cast(Mapping[str, Any], entry.body)
        self.episode, self.step = self.next_episode
        self.step, self.running = self.step + 1, True
        self._pending.append(Step(body["try"], outcome, body["gain"], body["cost"]))
        self.departures += bool(body["departures"])

    def _apply(self, entry: Entry) -> None:
        lineage = self._lineage(entry)
        self._take_step(entry, "none")
        if lineage.held is not None:
            lineage.install(lineage.held, lineage.held_links)

    def _attempt(self, entry: Entry) -> None:
        body, lineage = cast(Mapping[str, Any], entry.body), self._lineage(entry)
        base = lineage.base
        lineage.attempts.append(entry)
        if body["try"] is None:
            self._cut()
            base = lineage.base
        else:
            self._take_step(entry, "accepted" if entry.kind in WON else entry.kind.value)
        charged = lineage.charged_for(body["family"], base) + body["costs"]["family_steps"]
        lineage.charged[body["family"]] = base, charged
        if entry.kind not in (Kind.EMPTY, *WON):
            # what was accepted may be taken again after a checkout of its base
            again = body["rlimit"] if entry.kind is Kind.UNDECIDED else NO_LIMIT
            lineage.tried.setdefault(base, {})[candidate_key(body["result"], body["edits"])] = again
        if entry.kind is Kind.HELD:
            lineage.held, lineage.held_links = body["result"], [*lineage.held_links, entry]
        elif entry.kind is Kind.ACCEPTED:
            lineage.install(body["result"], [entry])
            if lineage is not self.agent:
                # the theorem speaks of an episode's start, so that the next decision is the first of a new one
                self._cut()


@dataclass(slots=True)
class Circle:
    """Notices a searcher that will never stop: nothing but empty attempts, and again the same reports and memory."""

    met: set[str] = field(default_factory=set)

    def closes(self, history: History) -> bool:
        """Whether what comes next has been before, with nothing found since; to be asked before every step."""
        last = history.last
        if last is None or last.kind not in (Kind.EMPTY, Kind.APPLIED):
            self.met.clear()
            return False
        now = history.situation
        key = repr((sorted(now.reports.items()), now.memory, history.agent.base))
        known = key in self.met
        self.met.add(key)
        return known


def searching(declarations: s.Declarations, tree: s.Search, *, own: bool) -> Search:
    """The search of a chapter; one that is not the machine's own reads nothing of it, so that no names can clash."""
    if not own:
        declarations = replace(declarations, items=())
    return Search(declarations, tree)


def candidate_key(result: str | None, edits: Json) -> str:
    """What tells candidates for one program apart: the code they lead to, or the edits where they lead to none."""
    return result or digest(canonical_json(edits))


def edited_slots(edits: tuple[Edit, ...]) -> Sequence[Json]:
    """The names of the slots that edits touch, sorted."""
    return sorted({edit.slot if isinstance(edit.slot, str) else edit.slot.name for edit in edits})


def result_of(old: s.Code, edits: tuple[Edit, ...]) -> str | None:
    """The digest of what the edits make of a program, or None where they do not apply."""
    try:
        return digest_node(apply_rewrite(old, edits))
    except RewriteError:
        return None


def total_gain(links: Sequence[Entry]) -> Fraction:
    """The sum of the gains that accepted entries claim."""
    claims = (cast(Mapping[str, Any], link.body["claim"]) for link in links)
    return sum((decode_rational(claim["gain"]) for claim in claims), Fraction(0))


def read_history(entries: Any, blob: Callable[[str], bytes]) -> History:
    """The state after all entries."""
    history = History(blob)
    for entry in entries:
        history.advance(entry)
    return history
