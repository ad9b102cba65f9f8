"""Let a machine rewrite itself: its searcher decides, families propose, the gate judges, the ledger records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

from dsl import syntax as s
from dsl.codec import Json, digest, digest_node, encode_rational, encode_tree
from dsl.rewrite import Edit, encode_edits
from godel.claims import encode_claim
from godel.entries import as_text
from godel.families.family import Candidate, Family, Workplace
from godel.families.improve import improve
from godel.families.simplify import simplify
from godel.gate import (
    DEFAULT_RLIMIT,
    Accepted,
    Costs,
    Gate,
    Invalid,
    KeptRequirement,
    Refused,
    Undecided,
    Verdict,
    prove_requirements,
    require_kept,
)
from godel.history import History, candidate_key, edited_slots, read_history, result_of, total_gain
from godel.ledger import Entry, Kind
from godel.searching import FamilyDeclaration, SearchDeclaration, encode_search
from godel.store import Store
from godel.validity import encode_diagnostic
from godel.versions import versions
from proofs.certificates import encode_certificate, rule_of
from proofs.counterexample import counterexample_of, encode_counterexample
from proofs.explicit import TooLarge
from proofs.kernel.certificate import Certificate
from proofs.kernel.chapter import Chapter
from proofs.kernel.theorem import Improvement, Theorem

Watch: TypeAlias = Callable[[Entry], None]

KINDS: Mapping[str, Callable[..., Family]] = {"improve": improve, "simplify": simplify}


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a person cuts a run: attempts, total ticks of cost, or a gap that is small enough."""

    attempts: int | None = None
    budget: Fraction | None = None
    gap: Fraction | None = None


@dataclass(slots=True)
class Session:
    """A ledger open for writing together with the gate of its chapter."""

    store: Store
    history: History
    gate: Gate
    _work: Workplace | None = None
    _running: dict[str, tuple[str, Iterator[Candidate]]] = field(default_factory=dict)

    @classmethod
    def resume(
        cls, store: Store, *, rlimit: int, threads: int, chapter: Chapter | None = None
    ) -> Session:
        """Open the chapter that a ledger is in; `chapter` saves making it, where it is that one."""
        history = read_history(store.entries(), store.blob)
        if chapter is None or chapter.digest != history.declarations:
            chapter = Chapter(history.load_declarations())
        return cls(store, history, Gate(chapter, rlimit, threads))

    @property
    def head_code(self) -> s.Code:
        """The installed code."""
        return self.history.load_code(self.history.head)

    def append(
        self, kind: Kind, body: Mapping[str, Json], blobs: Mapping[str, bytes] | None = None
    ) -> Entry:
        """Write an entry in one transaction and take it into account."""
        last = self.history.last
        entry = self.store.append(
            kind, body, blobs=blobs or {}, expect_head=last.id if last else None
        )
        self.history.advance(entry)
        return entry

    # --- runs ------------------------------------------------------------------------------------

    def evolve(self, limits: Limits, watch: Watch) -> Entry:
        """Go on with the episode that was cut short, or begin one; returns the `ended` entry."""
        history, spent, made = self.history, Fraction(0), 0
        if not history.running:
            history.begin_episode()
        while True:
            tried, _ = history.searcher.decide(history.reports)
            cause = self._cause(limits, made, spent) or ("stop" if tried == "stop" else None)
            if cause is not None:
                entry = self.end(cause)
                watch(entry)
                return entry
            entry = self._attempt(tried)
            costs: Any = entry.body["costs"]
            spent += history.searcher.ticks(
                costs["rlimit"], costs["family_steps"], costs["kernel_steps"]
            )
            made += 1
            watch(entry)

    def _cause(self, limits: Limits, made: int, spent: Fraction) -> str | None:
        horizon = self.history.searcher.horizon
        if horizon is not None and self.history.step >= horizon:
            return "horizon"
        if limits.attempts is not None and made >= limits.attempts:
            return "attempts"
        if limits.budget is not None and spent >= limits.budget:
            return "budget"
        if limits.gap is not None and self._gap_within(limits.gap):
            return "gap"
        return None

    def _gap_within(self, limit: Fraction) -> bool:
        try:
            return self.gate.estimate_gap(self.head_code) <= limit
        except TooLarge:
            return False

    def _attempt(self, tried: str) -> Entry:
        family = next((f for f in self.history.search.families if f.name == tried), None)
        candidate = None if family is None else self._next_candidate(family)
        episode: dict[str, Json] = {
            "episode": self.history.episode,
            "step": self.history.step,
            "try": tried,
        }
        if candidate is None:
            body = {
                **self._common(tried, episode, Costs(0, 0), 0),
                "outcome": "empty",
                "gain": 0,
                "cost": self.history.searcher.cost_units(0, 0, 0),
            }
            return self.append(Kind.EMPTY, body)
        return self._judge(candidate, tried, episode)

    def propose(self, edits: tuple[Edit, ...], note: str) -> Entry:
        """Take a person's rewrite through the gate; it cuts the episode that is running."""
        episode: dict[str, Json] = {"episode": None, "step": None, "try": None}
        return self._judge(Candidate(edits, note, 0), "file", episode)

    def _judge(self, candidate: Candidate, family: str, episode: Mapping[str, Json]) -> Entry:
        old = self.head_code
        verdict = self.gate.judge(old, candidate.edits)
        kind, found, blobs = self._record(old, candidate.edits, verdict)
        searcher = self.history.searcher
        gain = 0
        if isinstance(verdict, Accepted):
            statement = verdict.theorem.statement
            gain = searcher.gain_units(statement.gain) if isinstance(statement, Improvement) else 0
        body = {
            **self._common(family, episode, verdict.costs, candidate.steps),
            "note": as_text(candidate.note),
            "edits": encode_edits(candidate.edits),
            "slots": edited_slots(candidate.edits),
            "outcome": kind.value,
            "gain": gain,
            "cost": searcher.cost_units(
                verdict.costs.rlimit, candidate.steps, verdict.costs.kernel_steps
            ),
            **found,
        }
        return self.append(kind, body, blobs)

    def _common(
        self, family: str, episode: Mapping[str, Json], costs: Costs, family_steps: int
    ) -> dict[str, Json]:
        return {
            "task": "agent",
            "parent": self.history.head,
            "family": family,
            **episode,
            "rlimit": self.gate.rlimit,
            "costs": {
                "rlimit": costs.rlimit,
                "family_steps": family_steps,
                "kernel_steps": costs.kernel_steps,
            },
            "versions": versions(),
        }

    def _record(
        self, old: s.Code, edits: tuple[Edit, ...], verdict: Verdict
    ) -> tuple[Kind, dict[str, Json], dict[str, bytes]]:
        """The kind of an entry, what it holds beside the common part, and its blobs."""
        match verdict:
            case Accepted(code, theorem, certificate, kept):
                found, blobs = self._evidence(old, code, theorem, certificate)
                found["requirements"], more = record_kept(self.gate.chapter, code, kept)
                return Kind.ACCEPTED, found, {**blobs, **more}
            case Refused(code, theorem, certificate):
                found, blobs = self._evidence(old, code, theorem, certificate)
                chapter = self.gate.chapter
                shown = counterexample_of(
                    chapter, chapter.program(old), chapter.program(code), certificate
                )
                found["counterexample"] = encode_counterexample(shown, chapter.task)
                return Kind.REFUSED, found, blobs
            case Undecided(undecided, reason, disagreement, _):
                result = digest_node(undecided)
                found = {
                    "result": result,
                    "reason": as_text(reason),
                    "disagreement": disagreement,
                }
                return Kind.UNDECIDED, found, {result: encode_tree(undecided)}
            case Invalid(reason, diagnostics, _):
                found = {
                    "result": result_of(old, edits),
                    "reason": reason,
                    "diagnostics": [encode_diagnostic(d) for d in diagnostics],
                }
                return Kind.INVALID, found, {}

    def _evidence(
        self, old: s.Code, code: s.Code, theorem: Theorem, certificate: Certificate
    ) -> tuple[dict[str, Json], dict[str, bytes]]:
        chapter = self.gate.chapter
        data = encode_certificate(
            certificate, chapter.task, chapter.program(code), chapter.program(old)
        )
        result = digest_node(code)
        body: dict[str, Json] = {
            "result": result,
            "rule": rule_of(certificate),
            "certificate": digest(data),
            "claim": encode_claim(theorem, chapter.task),
        }
        return body, {result: encode_tree(code), digest(data): data}

    def _next_candidate(self, family: FamilyDeclaration) -> Candidate | None:
        """The family's next candidate for the installed code that was not judged before."""
        head = self.history.head
        running = self._running.get(family.name)
        if running is None or running[0] != head:
            if self._work is None:
                self._work = Workplace(self.gate.chapter)
            make = KINDS[family.kind](**dict(family.settings))
            program = self.gate.chapter.program(self.head_code)
            running = (head, make(self._work, program))
            self._running[family.name] = running
        tried = self.history.tried.get(head, {})
        for candidate in running[1]:
            key = candidate_key(
                result_of(self.head_code, candidate.edits), encode_edits(candidate.edits)
            )
            if tried.get(key, -1) < self.gate.rlimit:
                return candidate
        return None

    def end(self, cause: str) -> Entry:
        """Close the episode, with the theorem about how far the installed code is from the best."""
        body: dict[str, Json] = {
            "task": "agent",
            "cause": cause,
            "code": self.history.head,
            "episode": self.history.episode,
            "step": self.history.step,
            "links": len(self.history.links),
            "gain": encode_rational(total_gain(self.history.links)),
            "optimality": None,
            "certificate": None,
            "reason": None,
            "versions": versions(),
        }
        blobs: dict[str, bytes] = {}
        try:
            theorem, certificate = self.gate.prove_gap(self.head_code)
            task = self.gate.chapter.task
            program = self.gate.chapter.program(self.head_code)
            data = encode_certificate(certificate, task, program)
            body["optimality"], body["certificate"] = encode_claim(theorem, task), digest(data)
            blobs[digest(data)] = data
        except TooLarge as error:
            body["reason"] = f"the gap is not known: {error}"
        return self.append(Kind.ENDED, body, blobs)


def begin(
    store: Store,
    machine: s.Machine,
    search: SearchDeclaration,
    *,
    source: str,
    seed: int,
    kind: Kind,
    chapter: Chapter | None = None,
    rlimit: int = DEFAULT_RLIMIT,
) -> Entry:
    """Write the first entry of a chapter; `chapter` saves making the kernel's, where it is this machine's.

    It lists the requirements that are proved of the first program; every rewrite must then keep all of them.
    """
    if chapter is None or chapter.digest != digest_node(machine.declarations):
        chapter = Chapter(machine.declarations)
    program = chapter.program(machine.agent)
    kept = [found for _, found in prove_requirements(chapter, program, rlimit=rlimit) if found]
    requirements, evidence = record_kept(chapter, machine.agent, tuple(kept))
    data, text = encode_search(search), source.encode()
    body: dict[str, Json] = {
        "machine": machine.declarations.name,
        "declarations": chapter.digest,
        "code": program.digest,
        "search": digest(data),
        "source": digest(text),
        "requirements": requirements,
        "seed": seed,
        "versions": versions(),
    }
    blobs = {
        chapter.digest: encode_tree(machine.declarations),
        program.digest: encode_tree(machine.agent),
        digest(data): data,
        digest(text): text,
        **evidence,
    }
    return store.append(kind, body, blobs=blobs)


def check_out(store: Store, history: History, chapter: Chapter, code: s.Code) -> Entry:
    """Write the entry that makes a program of the chapter the installed one; its requirements are proved again.

    Raises NotKept where one of them is not proved.
    """
    kept = require_kept(chapter, chapter.program(code), rlimit=DEFAULT_RLIMIT)
    requirements, evidence = record_kept(chapter, code, kept)
    body: dict[str, Json] = {
        "task": "agent",
        "parent": history.head,
        "code": digest_node(code),
        "requirements": requirements,
        "versions": versions(),
    }
    last = history.last
    return store.append(
        Kind.CHECKOUT, body, blobs=evidence, expect_head=last.id if last is not None else None
    )


def record_kept(
    chapter: Chapter, code: s.Code, kept: tuple[KeptRequirement, ...]
) -> tuple[Json, dict[str, bytes]]:
    """The requirements that are proved of a program as an entry lists them, and the certificates by digest."""
    program, listed, blobs = chapter.program(code), list[Json](), dict[str, bytes]()
    for requirement in kept:
        data = encode_certificate(requirement.certificate, chapter.task, program)
        blobs[digest(data)] = data
        listed.append({"name": requirement.name, "certificate": digest(data)})
    return listed, blobs
