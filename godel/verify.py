"""Check a whole ledger again from genesis, with neither solver nor parser.

Every obligation is derived from the stored programs, every certificate and refusal checked by the kernel, every edit
replayed, every report and decision of the searcher recomputed, every id followed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, cast

from dsl import syntax as s
from dsl.codec import (
    CodecError,
    Json,
    canonical_json,
    decode_tree,
    digest_node,
    encode_rational,
)
from dsl.errors import DslError
from dsl.interp import EvaluationFault
from dsl.rewrite import decode_edits
from dsl.search import AGENT, APPLY, SEARCHER, STOP
from godel.claims import encode_claim
from godel.entries import require_shape
from godel.history import (
    ATTEMPTS,
    IMPROVING,
    OPTIMAL_SWITCH,
    WON,
    Circle,
    History,
    edited_slots,
    result_of,
    total_gain,
)
from godel.ledger import Entry, Kind, LedgerError
from godel.searching import Step
from godel.store import Store
from godel.validity import NotValid, encode_diagnostic, judge_validity
from godel.versions import KERNEL
from proofs.certificates import decode_certificate, rule_of
from proofs.counterexample import counterexample_of, encode_counterexample
from proofs.kernel.certificate import Certificate
from proofs.kernel.chapter import Chapter
from proofs.kernel.check import (
    Breaks,
    IsBestChoice,
    IsBetter,
    IsChain,
    IsNotBetter,
    IsOptimal,
    Keeps,
    Obligation,
    check,
)
from proofs.kernel.theorem import CertificateError, Chain, Improvement, Theorem

DECLARED = (STOP, "done", "horizon")
"""Why the search itself ends a run."""
LIMITS = ("attempts", "budget", "gap")
"""Limits that a person sets to a run, which no entry holds."""


@dataclass(slots=True)
class Verification:
    """What was checked. `theorems` counts every claim of the ledger, each of them checked when this is returned."""

    head: str
    entries: int
    theorems: int
    solver_trusted: int
    disagreements: int
    gain: str
    program: str


@dataclass(slots=True)
class _Verifier:
    store: Store
    watch: Callable[[Entry], None]
    history: History = field(init=False)
    chapters: dict[str, Chapter] = field(default_factory=dict)
    theorems: int = 0
    disagreements: int = 0
    links: dict[str, Theorem] = field(default_factory=dict)
    circle: Circle = field(default_factory=Circle)
    run_departures: int = 0

    def __post_init__(self) -> None:
        self.history = History(self.store.blob)

    def entry(self, entry: Entry) -> None:
        """Check one entry against the state before it, then move on."""
        body = cast(Mapping[str, Any], entry.body)
        require_shape(entry)
        self._versions(entry, body)
        if entry.kind in ATTEMPTS:
            self._attempt(entry, body)
        elif entry.kind is Kind.APPLIED:
            self._applied(entry, body)
        elif entry.kind is Kind.ENDED:
            self._ended(entry, body)
        elif entry.kind is Kind.CHECKOUT:
            task = self._task(entry, body)
            self._same(entry, "the parent", self.history.tasks[task].head, body["parent"])
            self._kept(entry, body["requirements"], task, self.history.load_code(body["code"]))
        self.history.advance(entry)
        if entry.kind in (Kind.GENESIS, Kind.REVISION):
            self._chapter(entry, body)

    def _chapter(self, entry: Entry, body: Mapping[str, Any]) -> None:
        history = self.history
        declarations = history.load_declarations()
        self.chapters = {AGENT: Chapter(declarations), SEARCHER: history.search.chapter}
        self.links, self.run_departures = {}, 0
        self._same(entry, "declarations", self.chapters[AGENT].digest, body["declarations"])
        self._same(entry, "the name of the machine", declarations.name, body["machine"])
        found = digest_node(history.load_search())
        self._same(entry, "the search", found, body["search"])
        revised = entry.kind is Kind.REVISION
        kept = {AGENT: body["requirements"], SEARCHER: body["search_requirements"]}
        codes = {AGENT: body["code"], SEARCHER: body["searcher"]}
        for task, chapter in self.chapters.items():
            code = history.load_code(codes[task])
            self._same(entry, "code", chapter.program(code).digest, codes[task])
            self._kept(entry, kept[task], task, code, all_of_them=revised)
        self.store.blob(body["source"])

    def _task(self, entry: Entry, body: Mapping[str, Any]) -> str:
        """The task that an entry is about."""
        if not self.chapters:
            raise LedgerError("no chapter is open", seq=entry.seq)
        if body["task"] not in self.chapters:
            raise LedgerError(f"there is no task {body['task']!r}", seq=entry.seq)
        return cast(str, body["task"])

    def _versions(self, entry: Entry, body: Mapping[str, Any]) -> None:
        if body["versions"]["kernel"] != KERNEL:
            raise LedgerError(
                f"it is of kernel version {body['versions']['kernel']}", seq=entry.seq
            )

    def _same(self, entry: Entry, what: str, found: Json, recorded: Json) -> None:
        if canonical_json(found) != canonical_json(recorded):
            raise LedgerError(f"{what}: recorded {recorded!r}, found {found!r}", seq=entry.seq)

    # --- attempts --------------------------------------------------------------------------------

    def _attempt(self, entry: Entry, body: Mapping[str, Any]) -> None:
        task = self._task(entry, body)
        chapter, lineage = self.chapters[task], self.history.tasks[task]
        outcome = "accepted" if entry.kind in WON else entry.kind.value
        self._same(entry, "the outcome", outcome, body["outcome"])
        base = lineage.head if body["try"] is None else lineage.base
        self._same(entry, "the parent", base, body["parent"])
        self._decision(entry, body, task)
        repeats = self.history.search.is_reproducible(body["try"])
        self._same(entry, "whether it is reproducible", repeats, body["reproducible"])
        if entry.kind is Kind.EMPTY:
            self._nothing(entry, body, repeats)
        waits = body["try"] is not None and self.history.search.switch == "held" and task == AGENT
        if entry.kind in WON and (entry.kind is Kind.HELD) != waits:
            raise LedgerError("what is accepted is held as `switch` says", seq=entry.seq)
        steps = chapter.steps
        gain = Fraction(0)
        if entry.kind is not Kind.EMPTY:
            gain = self._judged(entry, body, task, base)
        costs, search = body["costs"], self.history.search
        if entry.kind in (*WON, Kind.REFUSED):
            self._same(entry, "the kernel's steps", chapter.steps - steps, costs["kernel_steps"])
        cost, cut_cost = search.cost_units(
            costs["rlimit"], costs["family_steps"], costs["kernel_steps"]
        )
        gained, cut_gain = search.gain_units(gain if task == AGENT else Fraction(0))
        self._same(entry, "gain", gained, body["gain"])
        self._same(entry, "cost", cost, body["cost"])
        departed: list[Json] = []
        if body["try"] is not None:
            departed += [text for text in (cut_gain, cut_cost) if text is not None]
            departed += self.history.departures_of(Step(body["try"], outcome, gained, cost))
        self._same(entry, "departures", departed, body["departures"])

    def _nothing(self, entry: Entry, body: Mapping[str, Any], repeats: bool) -> None:
        """Where nothing is proposed nothing is judged; only a command from outside has a reason of its own."""
        self._same(entry, "the reason", None if repeats else body["reason"], body["reason"])
        judged = [body["costs"]["rlimit"], body["costs"]["kernel_steps"]]
        self._same(entry, "the costs", [0, 0], judged)

    def _decision(self, entry: Entry, body: Mapping[str, Any], task: str) -> None:
        """The searcher must have decided as recorded, from reports worked out here."""
        if body["try"] is None:
            self._same(entry, "the family", "file", body["family"])
            self._same(entry, "episode and step", [None, None], [body["episode"], body["step"]])
            if entry.kind is Kind.EMPTY:
                raise LedgerError("a person's proposal is never empty", seq=entry.seq)
            return
        family = self.history.search.family(body["try"])
        if family is None:
            raise LedgerError(f"{body['try']!r} is no family", seq=entry.seq)
        self._same(entry, "the family", body["try"], body["family"])
        self._same(entry, "the task", family.target, task)
        self._decided(entry, body)
        if family.rlimit is not None and body["rlimit"] > family.rlimit:
            raise LedgerError("its rlimit is beyond that of the family", seq=entry.seq)

    def _decided(self, entry: Entry, body: Mapping[str, Any]) -> None:
        """Episode and step are the next ones, the episode is not over, and the searcher decides as recorded."""
        history = self.history
        episode = list(history.next_episode)
        self._same(entry, "episode and step", episode, [body["episode"], body["step"]])
        ended = history.cause_to_end
        if ended is not None:
            raise LedgerError(f"a step after the end of the episode ({ended})", seq=entry.seq)
        self._same(entry, "the searcher's decision", history.decide(), body["try"])
        self.circle.closes(history)

    def _applied(self, entry: Entry, body: Mapping[str, Any]) -> None:
        """What was held is installed, with the theorem that it improves on what was."""
        lineage = self.history.agent
        self._same(entry, "the task", AGENT, body["task"])
        self._same(entry, "the attempt", APPLY, body["try"])
        self._decided(entry, body)
        self._same(entry, "the parent", lineage.head, body["parent"])
        self._same(entry, "the result", lineage.base, body["result"])
        self._same(entry, "the number of links", len(lineage.held_links), body["links"])
        self._same(entry, "gain and cost", [0, 0], [body["gain"], body["cost"]])
        departed = list(self.history.departures_of(Step(APPLY, "none", 0, 0)))
        self._same(entry, "departures", departed, body["departures"])
        if not lineage.held_links:
            found = [body["statement"], body["claim"], body["certificate"]]
            self._same(entry, "the claim", [None, None, None], found)
            return
        chain = self._chain_of(entry, lineage.head, lineage.base, lineage.held_links)
        self.theorems += 1
        claim: dict[str, Json] = {"gain": encode_rational(chain.gain)}
        if body["statement"] == OPTIMAL_SWITCH:
            claim.update(self._best_choice(entry, body))
        else:
            self._same(entry, "the statement", IMPROVING, body["statement"])
            self._same(entry, "the certificate", None, body["certificate"])
        self._same(entry, "the claim", claim, body["claim"])

    def _best_choice(self, entry: Entry, body: Mapping[str, Any]) -> dict[str, Json]:
        """The claim that nothing else was worth as much to the searcher that decided, at the moment worked out here."""
        history, chapter = self.history, self.chapters[SEARCHER]
        searcher = chapter.program(history.searcher.code)
        obligation = IsBestChoice(chapter, searcher.code, history.moment)
        theorem = self._proved(entry, body["certificate"], obligation, searcher.code, None)
        self.theorems += 1
        return cast(dict[str, Json], encode_claim(theorem, chapter.task, searcher))

    def _judged(self, entry: Entry, body: Mapping[str, Any], task: str, base: str) -> Fraction:
        """Check a verdict again; what an accepted rewrite gains."""
        chapter, old = self.chapters[task], self.history.load_code(base)
        try:
            edits = decode_edits(body["edits"])
        except CodecError as error:
            raise LedgerError(f"its edits: {error}", seq=entry.seq) from None
        result = result_of(old, edits)
        self._same(entry, "the result of the edits", result, body["result"])
        self._same(entry, "the slots", edited_slots(edits), body["slots"])
        found = judge_validity(chapter, old, edits)
        if entry.kind is Kind.INVALID:
            if not isinstance(found, NotValid):
                raise LedgerError("it is called invalid, but it is a program", seq=entry.seq)
            self._same(entry, "the reason", found.reason, body["reason"])
            faults = [encode_diagnostic(d) for d in found.diagnostics]
            self._same(entry, "the diagnostics", faults, body["diagnostics"])
            return Fraction(0)
        if isinstance(found, NotValid):
            raise LedgerError(f"it is no program: {found.reason}", seq=entry.seq)
        if entry.kind is Kind.UNDECIDED:
            self.disagreements += body["disagreement"]
            return Fraction(0)
        new = found.code
        stored = cast(s.Code, decode_tree(self.store.blob(cast(str, result)), s.Code))
        self._same(entry, "the stored program", digest_node(stored), result)
        if entry.kind in WON:
            theorem = self._theorem(entry, body, IsBetter(chapter, old, new), new, old)
            self._kept(entry, body["requirements"], task, new)
            self.links[entry.id] = theorem
            statement = theorem.statement
            if not isinstance(statement, Improvement):
                raise LedgerError("its theorem is of another kind", seq=entry.seq)
            return statement.gain
        broken = body["claim"].get("requirement")
        obligation = (
            IsNotBetter(chapter, old, new) if broken is None else Breaks(chapter, broken, new)
        )
        self._theorem(entry, body, obligation, new, old)
        certificate = self._decoded(chapter, body["certificate"], new, old)
        shown = counterexample_of(chapter, chapter.program(old), chapter.program(new), certificate)
        replayed = encode_counterexample(shown, chapter.task)
        self._same(entry, "the counterexample", replayed, body["counterexample"])
        return Fraction(0)

    def _kept(
        self, entry: Entry, listed: Any, task: str, code: s.Code, *, all_of_them: bool = True
    ) -> None:
        """The code must keep every requirement; the first program of a ledger those that are listed."""
        chapter = self.chapters[task]
        names = [kept["name"] for kept in listed]
        declared = [r.name for r in chapter.task.requirements]
        expected = declared if all_of_them else [name for name in declared if name in names]
        self._same(entry, "the requirements", expected, names)
        for kept in listed:
            claim = {"requirement": kept["name"]}
            obligation = Keeps(chapter, kept["name"], code)
            self._checked(entry, kept["certificate"], claim, obligation, code, None)

    def _theorem(
        self,
        entry: Entry,
        body: Mapping[str, Any],
        obligation: Obligation,
        new: s.Code,
        old: s.Code,
    ) -> Theorem:
        rule = rule_of(self._decoded(obligation.chapter, body["certificate"], new, old))
        self._same(entry, "the rule", rule, body["rule"])
        return self._checked(entry, body["certificate"], body["claim"], obligation, new, old)

    def _decoded(self, chapter: Chapter, name: str, new: s.Code, old: s.Code | None) -> Certificate:
        before = None if old is None else chapter.program(old)
        return decode_certificate(self.store.blob(name), chapter.task, chapter.program(new), before)

    def _checked(
        self,
        entry: Entry,
        certificate: str,
        claim: Json,
        obligation: Obligation,
        new: s.Code,
        old: s.Code | None,
    ) -> Theorem:
        theorem = self._proved(entry, certificate, obligation, new, old)
        self._same(entry, "the claim", encode_claim(theorem, obligation.chapter.task), claim)
        self.theorems += 1
        return theorem

    def _proved(
        self,
        entry: Entry,
        certificate: str,
        obligation: Obligation,
        new: s.Code,
        old: s.Code | None,
    ) -> Theorem:
        try:
            return check(obligation, self._decoded(obligation.chapter, certificate, new, old))
        except (CertificateError, CodecError, DslError) as error:
            raise LedgerError(f"its certificate does not hold: {error}", seq=entry.seq) from None

    # --- ends ------------------------------------------------------------------------------------

    def _ended(self, entry: Entry, body: Mapping[str, Any]) -> None:
        task, history = self._task(entry, body), self.history
        chapter = self.chapters[task]
        self._same(entry, "the task", AGENT, task)
        self._same(entry, "the program", history.head, body["code"])
        self._same(entry, "the searcher", history.tasks[SEARCHER].head, body["searcher"])
        self._same(entry, "what is held", history.agent.held, body["held"])
        episode = list(history.next_episode)
        self._same(entry, "episode and step", episode, [body["episode"], body["step"]])
        self._cause(entry, body["cause"])
        if (body["optimality"] is None) != (body["certificate"] is None):
            raise LedgerError("a claim and its certificate come together", seq=entry.seq)
        if (body["optimality"] is None) == (body["reason"] is None):
            raise LedgerError("an end has a claim, or a reason why not", seq=entry.seq)
        if body["optimality"] is not None:
            code = history.load_code(history.head)
            obligation = IsOptimal(chapter, code)
            self._checked(entry, body["certificate"], body["optimality"], obligation, code, None)
        self._same(entry, "the number of links", len(history.links), body["links"])
        self._same(entry, "the sum of the gains", str(self.chain(entry).gain), body["gain"])

    def _cause(self, entry: Entry, cause: str) -> None:
        """A run ends because its world or its searcher says so, or reality left that world, or nothing new can come.

        Any other end is a person's. No limit takes the word from a world that has ended the episode.
        """
        history, circled = self.history, self.circle.closes(self.history)
        over = history.cause_to_end
        if over is None and cause == STOP:
            over = history.decide()
        if over is not None or cause in DECLARED:
            self._same(entry, "the searcher's decision, or the horizon", over, cause)
        elif cause == "departure":
            departs = history.departures > self.run_departures
            self._same(entry, "whether the run departed from its world", departs, True)
        elif cause == "circle":
            self._same(entry, "whether the searcher goes round in circles", circled, True)
        elif cause not in LIMITS:
            raise LedgerError(f"it ended for no known cause: {cause!r}", seq=entry.seq)
        self.run_departures = history.departures

    def chain(self, entry: Entry) -> Chain:
        """The theorem that the accepted rewrites lead from the chapter's first program to the head."""
        agent = self.history.agent
        return self._chain_of(entry, agent.first, agent.head, agent.links)

    def _chain_of(self, entry: Entry, first: str, last: str, entries: Sequence[Entry]) -> Chain:
        links = tuple(self.links[link.id] for link in entries)
        theorem = check(IsChain(self.chapters[AGENT], first, last), links)
        statement = theorem.statement
        if not isinstance(statement, Chain) or statement.gain != total_gain(entries):
            raise LedgerError("the gains do not add up", seq=entry.seq)
        return statement


def verify(store: Store, watch: Callable[[Entry], None] = lambda entry: None) -> Verification:
    """Check everything from genesis. Raises LedgerError at the first thing that does not hold."""
    verifier = _Verifier(store, watch)
    entry: Entry | None = None
    for entry in store.entries():
        try:
            verifier.entry(entry)
        except (CertificateError, DslError, CodecError) as error:
            raise LedgerError(str(error), seq=entry.seq) from None
        except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
            raise LedgerError(f"a malformed body: {error!r}", seq=entry.seq) from None
        except (RuntimeError, EvaluationFault) as error:
            raise LedgerError(f"it cannot be checked: {error!r}", seq=entry.seq) from None
        watch(entry)
    if entry is None:
        raise LedgerError("the ledger holds no entries")
    chain = verifier.chain(entry)
    return Verification(
        head=entry.id,
        entries=entry.seq + 1,
        theorems=verifier.theorems + 1,
        solver_trusted=0,
        disagreements=verifier.disagreements,
        gain=str(chain.gain),
        program=verifier.history.head,
    )
