"""Check a whole ledger again from genesis, with neither solver nor parser.

Every obligation is derived from the stored programs, every certificate and refusal checked by the kernel, every edit
replayed, every report and decision of the searcher recomputed, every id followed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from dsl import syntax as s
from dsl.codec import CodecError, Json, canonical_json, decode_tree, digest_node
from dsl.errors import DslError
from dsl.interp import EvaluationFault
from dsl.rewrite import decode_edits
from godel.claims import encode_claim
from godel.entries import require_shape
from godel.history import ATTEMPTS, History, edited_slots, result_of, total_gain
from godel.ledger import Entry, Kind, LedgerError
from godel.store import Store
from godel.validity import NotValid, encode_diagnostic, judge_validity
from godel.versions import KERNEL
from proofs.certificates import decode_certificate, rule_of
from proofs.counterexample import counterexample_of, encode_counterexample
from proofs.kernel.certificate import Certificate
from proofs.kernel.chapter import Chapter
from proofs.kernel.check import (
    Breaks,
    IsBetter,
    IsChain,
    IsNotBetter,
    IsOptimal,
    Keeps,
    Obligation,
    check,
)
from proofs.kernel.theorem import CertificateError, Chain, Improvement, Theorem

CAUSES = ("stop", "horizon", "attempts", "budget", "gap")


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
    chapter: Chapter | None = None
    theorems: int = 0
    disagreements: int = 0
    links: dict[str, Theorem] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.history = History(self.store.blob)

    def entry(self, entry: Entry) -> None:
        """Check one entry against the state before it, then move on."""
        body = cast(Mapping[str, Any], entry.body)
        require_shape(entry)
        self._versions(entry, body)
        if entry.kind not in (Kind.GENESIS, Kind.REVISION):
            self._same(entry, "the task", "agent", body["task"])
        if entry.kind in ATTEMPTS:
            self._attempt(entry, body)
        elif entry.kind is Kind.ENDED:
            self._ended(entry, body)
        elif entry.kind is Kind.CHECKOUT:
            self._same(entry, "the parent", self.history.head, body["parent"])
            self._kept(entry, body, self.history.load_code(body["code"]))
        self.history.advance(entry)
        if entry.kind in (Kind.GENESIS, Kind.REVISION):
            self._chapter(entry, body)

    def _chapter(self, entry: Entry, body: Mapping[str, Any]) -> None:
        declarations, code = (
            self.history.load_declarations(),
            self.history.load_code(self.history.head),
        )
        self.chapter, self.links = Chapter(declarations), {}
        self._same(entry, "declarations", self.chapter.digest, body["declarations"])
        self._same(entry, "the name of the machine", declarations.name, body["machine"])
        program = self.chapter.program(code)
        self._same(entry, "code", program.digest, body["code"])
        self._kept(entry, body, code, all_of_them=entry.kind is Kind.REVISION)
        self.history.searcher.first_reports()
        self.store.blob(body["source"])

    def _versions(self, entry: Entry, body: Mapping[str, Any]) -> None:
        if body["versions"]["kernel"] != KERNEL:
            raise LedgerError(
                f"it is of kernel version {body['versions']['kernel']}", seq=entry.seq
            )

    def _same(self, entry: Entry, what: str, found: Json, recorded: Json) -> None:
        if canonical_json(found) != canonical_json(recorded):
            raise LedgerError(f"{what}: recorded {recorded!r}, found {found!r}", seq=entry.seq)

    def _open_chapter(self, entry: Entry) -> Chapter:
        if self.chapter is None:
            raise LedgerError("no chapter is open", seq=entry.seq)
        return self.chapter

    # --- attempts --------------------------------------------------------------------------------

    def _attempt(self, entry: Entry, body: Mapping[str, Any]) -> None:
        chapter = self._open_chapter(entry)
        self._same(entry, "the parent", self.history.head, body["parent"])
        self._same(entry, "the outcome", entry.kind.value, body["outcome"])
        self._decision(entry, body)
        steps = chapter.steps
        gain = 0
        if entry.kind is not Kind.EMPTY:
            gain = self._judged(entry, body, chapter)
        costs = body["costs"]
        if entry.kind in (Kind.ACCEPTED, Kind.REFUSED):
            self._same(entry, "the kernel's steps", chapter.steps - steps, costs["kernel_steps"])
        cost = self.history.searcher.cost_units(
            costs["rlimit"], costs["family_steps"], costs["kernel_steps"]
        )
        self._same(entry, "gain", gain, body["gain"])
        self._same(entry, "cost", cost, body["cost"])

    def _decision(self, entry: Entry, body: Mapping[str, Any]) -> None:
        """The searcher must have decided as recorded, from reports worked out here."""
        history = self.history
        if body["try"] is None:
            self._same(entry, "the family", "file", body["family"])
            self._same(entry, "episode and step", [None, None], [body["episode"], body["step"]])
            if entry.kind is Kind.EMPTY:
                raise LedgerError("a person's proposal is never empty", seq=entry.seq)
            return
        if body["try"] not in (f.name for f in history.search.families):
            raise LedgerError(f"{body['try']!r} is no family", seq=entry.seq)
        self._same(entry, "the family", body["try"], body["family"])
        running = history.running
        self._same(entry, "episode", history.episode + (0 if running else 1), body["episode"])
        self._same(entry, "step", history.step if running else 0, body["step"])
        reports = history.reports if running else history.searcher.first_reports()
        self._same(
            entry, "the searcher's decision", history.searcher.decide(reports)[0], body["try"]
        )
        horizon = history.searcher.horizon
        if horizon is not None and body["step"] >= horizon:
            raise LedgerError("a step beyond the horizon of the search", seq=entry.seq)

    def _judged(self, entry: Entry, body: Mapping[str, Any], chapter: Chapter) -> int:
        old = self.history.load_code(self.history.head)
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
            return 0
        if isinstance(found, NotValid):
            raise LedgerError(f"it is no program: {found.reason}", seq=entry.seq)
        if entry.kind is Kind.UNDECIDED:
            self.disagreements += body["disagreement"]
            return 0
        new = found.code
        stored = cast(s.Code, decode_tree(self.store.blob(cast(str, result)), s.Code))
        self._same(entry, "the stored program", digest_node(stored), result)
        if entry.kind is Kind.ACCEPTED:
            theorem = self._theorem(entry, body, IsBetter(chapter, old, new), new, old)
            self._kept(entry, body, new)
            self.links[entry.id] = theorem
            statement = theorem.statement
            if not isinstance(statement, Improvement):
                raise LedgerError("its theorem is of another kind", seq=entry.seq)
            return self.history.searcher.gain_units(statement.gain)
        broken = body["claim"].get("requirement")
        obligation = (
            IsNotBetter(chapter, old, new) if broken is None else Breaks(chapter, broken, new)
        )
        self._theorem(entry, body, obligation, new, old)
        certificate = self._decoded(entry, body["certificate"], new, old)
        shown = counterexample_of(chapter, chapter.program(old), chapter.program(new), certificate)
        replayed = encode_counterexample(shown, chapter.task)
        self._same(entry, "the counterexample", replayed, body["counterexample"])
        return 0

    def _kept(
        self, entry: Entry, body: Mapping[str, Any], code: s.Code, *, all_of_them: bool = True
    ) -> None:
        """The code must keep every requirement; the first program of a ledger those that are listed."""
        chapter = self._open_chapter(entry)
        names = [kept["name"] for kept in body["requirements"]]
        declared = [r.name for r in chapter.task.requirements]
        expected = declared if all_of_them else [name for name in declared if name in names]
        self._same(entry, "the requirements", expected, names)
        for kept in body["requirements"]:
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
        rule = rule_of(self._decoded(entry, body["certificate"], new, old))
        self._same(entry, "the rule", rule, body["rule"])
        return self._checked(entry, body["certificate"], body["claim"], obligation, new, old)

    def _decoded(self, entry: Entry, name: str, new: s.Code, old: s.Code | None) -> Certificate:
        chapter = self._open_chapter(entry)
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
        try:
            theorem = check(obligation, self._decoded(entry, certificate, new, old))
        except (CertificateError, CodecError, DslError) as error:
            raise LedgerError(f"its certificate does not hold: {error}", seq=entry.seq) from None
        self._same(entry, "the claim", encode_claim(theorem, obligation.chapter.task), claim)
        self.theorems += 1
        return theorem

    # --- ends ------------------------------------------------------------------------------------

    def _ended(self, entry: Entry, body: Mapping[str, Any]) -> None:
        chapter, history = self._open_chapter(entry), self.history
        self._same(entry, "the program", history.head, body["code"])
        running = history.running
        self._same(entry, "episode", history.episode + (0 if running else 1), body["episode"])
        self._same(entry, "step", history.step if running else 0, body["step"])
        if body["cause"] == "horizon":
            self._same(entry, "the horizon", history.searcher.horizon, body["step"])
        if body["cause"] not in CAUSES:
            raise LedgerError(f"it ended for no known cause: {body['cause']!r}", seq=entry.seq)
        if body["cause"] == "stop":
            reports = history.reports if running else history.searcher.first_reports()
            self._same(
                entry, "the searcher's decision", history.searcher.decide(reports)[0], "stop"
            )
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

    def chain(self, entry: Entry) -> Chain:
        """The theorem that the accepted rewrites lead from the chapter's first program to the head."""
        chapter, history = self._open_chapter(entry), self.history
        links = tuple(self.links[link.id] for link in history.links)
        theorem = check(IsChain(chapter, history.first, history.head), links)
        statement = theorem.statement
        if not isinstance(statement, Chain) or statement.gain != total_gain(history.links):
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
