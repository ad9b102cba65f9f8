"""Let a machine rewrite itself: its searcher decides, families propose, the gate judges, the ledger records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, cast

from dsl import syntax as s
from dsl.codec import Json, digest, digest_node, encode_rational, encode_tree
from dsl.machine import Program
from dsl.rewrite import Edit, decode_edits, encode_edits
from dsl.search import AGENT, APPLY, SEARCHER, STOP
from godel.claims import encode_claim
from godel.entries import as_text, fault_of
from godel.families.family import Candidate, Candidates, NothingProposed, Workplace
from godel.families.kinds import KINDS
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
from godel.history import (
    IMPROVING,
    OPTIMAL_SWITCH,
    Circle,
    History,
    candidate_key,
    edited_slots,
    read_history,
    result_of,
    searching,
    total_gain,
)
from godel.ledger import Entry, Kind
from godel.searching import FamilyDeclaration, Step
from godel.store import Store
from godel.validity import encode_diagnostic
from godel.versions import versions
from proofs.certificates import encode_certificate, rule_of
from proofs.counterexample import counterexample_of, encode_counterexample
from proofs.explicit import TooLarge
from proofs.kernel.certificate import Certificate
from proofs.kernel.chapter import Chapter
from proofs.kernel.theorem import CertificateError, Improvement, Theorem

Watch: TypeAlias = Callable[[Entry], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a person cuts a run: attempts, total ticks of cost, a gap that is small enough; `strict` cuts it as soon as
    reality leaves the declared search world. With `keep_searcher` families that rewrite the searcher propose nothing."""

    attempts: int | None = None
    budget: Fraction | None = None
    gap: Fraction | None = None
    strict: bool = False
    keep_searcher: bool = False


@dataclass(slots=True)
class Bench:
    """Where the rewrites of one task are made and judged."""

    gate: Gate
    work: Workplace


@dataclass(slots=True)
class Asked:
    """A family at work on a base: the candidates to come, and the steps done so far, those of an earlier run included
    where they are not done again."""

    base: str
    candidates: Candidates
    steps: int


@dataclass(slots=True)
class Session:
    """A ledger open for writing together with the gates of its chapter, one for each task."""

    store: Store
    history: History
    benches: Mapping[str, Bench]
    _running: dict[str, Asked] = field(default_factory=dict)

    @classmethod
    def resume(
        cls,
        store: Store,
        *,
        rlimit: int,
        threads: int,
        chapter: Chapter | None = None,
        commands: Path | None = None,
    ) -> Session:
        """Open the chapter that a ledger is in; `chapter` saves making it, where it is that one.

        `commands` is the folder that commands of families are found in; without it none may be run.
        """
        history = read_history(store.entries(), store.blob)
        if chapter is None or chapter.digest != history.declarations:
            chapter = Chapter(history.load_declarations())
        chapters = {AGENT: chapter, SEARCHER: history.search.chapter}
        benches: dict[str, Bench] = {}
        for task, its_chapter in chapters.items():
            gate = Gate(its_chapter, rlimit, threads)
            attempts = history.tasks[task].attempts
            work = Workplace(
                its_chapter, task, history.seed, attempts, partial(_bounds, gate), commands
            )
            benches[task] = Bench(gate, work)
        return cls(store, history, benches)

    @property
    def gate(self) -> Gate:
        """The gate of the agent."""
        return self.benches[AGENT].gate

    @property
    def head_code(self) -> s.Code:
        """The agent's installed code."""
        return self.installed(AGENT)

    def installed(self, task: str) -> s.Code:
        """The installed code of a task."""
        return self.history.load_code(self.history.tasks[task].head)

    def append(
        self, kind: Kind, body: Mapping[str, Json], blobs: Mapping[str, bytes] | None = None
    ) -> Entry:
        """Write an entry in one transaction and take it into account."""
        fault = fault_of(kind, body)
        if fault is not None:
            # nothing is ever removed: what nobody could read again must not be written
            raise ValueError(fault)
        last = self.history.last
        entry = self.store.append(
            kind, body, blobs=blobs or {}, expect_head=last.id if last else None
        )
        self.history.advance(entry)
        return entry

    # --- runs ------------------------------------------------------------------------------------

    def evolve(self, limits: Limits, watch: Watch) -> Entry:
        """Go on with the episode that was cut short, or begin one; returns the `ended` entry.

        A rewrite of the searcher ends its episode, and another one follows; after any other end the run is over.
        """
        history, spent, made, departed = self.history, Fraction(0), 0, self.history.departures
        circle = Circle()
        while True:
            cause = history.cause_to_end or self._cut(limits, made, spent, departed)
            if cause is None and circle.closes(history):
                cause = "circle"
            tried = "" if cause is not None else history.decide()
            if tried == STOP:
                cause = STOP
            if cause is not None:
                entry = self.end(cause)
                watch(entry)
                return entry
            if tried == APPLY:
                entry = self._apply()
            else:
                entry = self._attempt(tried, keep_searcher=limits.keep_searcher)
                costs: Any = entry.body["costs"]
                spent += history.search.ticks(
                    costs["rlimit"], costs["family_steps"], costs["kernel_steps"]
                )
                made += 1
            watch(entry)

    def _cut(self, limits: Limits, made: int, spent: Fraction, departed: int) -> str | None:
        """Why a person wants the run to end here, if they do."""
        if limits.strict and self.history.departures > departed:
            return "departure"
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

    def _step(self, tried: str) -> dict[str, Json]:
        episode, step = self.history.next_episode
        return {"episode": episode, "step": step, "try": tried}

    def _attempt(self, tried: str, *, keep_searcher: bool = False) -> Entry:
        family = self.history.search.family(tried)
        if family is None:
            raise LookupError(f"a searcher tried {tried!r}, which is no family")
        bench = self.benches[family.target]
        rlimit = min(bench.gate.rlimit, family.rlimit or bench.gate.rlimit)
        kept = keep_searcher and family.target == SEARCHER
        reason: str | None = None
        try:
            candidate, steps = (None, 0) if kept else self._next_candidate(family, rlimit)
        except NothingProposed as nothing:
            candidate, steps, reason = None, nothing.steps, nothing.reason
            del self._running[family.name]
        if candidate is not None:
            return self._judge(family.target, candidate, steps, tried, self._step(tried), rlimit)
        body = {
            **self._common(family.target, tried, self._step(tried), Costs(0, 0), steps, rlimit),
            "outcome": "empty",
            "reason": None if reason is None else as_text(reason),
        }
        return self.append(Kind.EMPTY, {**body, **self._units(tried, "empty", None, body["costs"])})

    def propose(self, edits: tuple[Edit, ...], note: str, task: str = AGENT) -> Entry:
        """Take a person's rewrite through the gate of its task; it cuts the episode that is running."""
        step: dict[str, Json] = {"episode": None, "step": None, "try": None}
        self.history.tasks[task].drop()
        rlimit = self.benches[task].gate.rlimit
        return self._judge(task, Candidate(edits, note, 0), 0, "file", step, rlimit)

    def _judge(
        self,
        task: str,
        candidate: Candidate,
        steps: int,
        family: str,
        step: Mapping[str, Json],
        rlimit: int,
    ) -> Entry:
        """The entry of a candidate that it took so many steps to think of."""
        gate = self.benches[task].gate
        old = self.history.load_code(self.history.tasks[task].base)
        # judged as they are stored: a place in a file may decide in which order faults come
        stored = encode_edits(candidate.edits)
        edits = decode_edits(stored)
        verdict = gate.judge(old, edits, rlimit=rlimit)
        kind, found, blobs = self._record(gate.chapter, old, edits, verdict)
        gain: Fraction | None = None
        if isinstance(verdict, Accepted):
            statement = verdict.theorem.statement
            if isinstance(statement, Improvement) and task == AGENT:
                gain = statement.gain
            if task == AGENT and step["try"] is not None and self.history.search.switch == "held":
                kind = Kind.HELD
        outcome = "accepted" if kind is Kind.HELD else kind.value
        body = {
            **self._common(task, family, step, verdict.costs, steps, rlimit),
            "note": as_text(candidate.note),
            "edits": stored,
            "slots": edited_slots(edits),
            "outcome": outcome,
            **found,
        }
        units = self._units(step["try"], outcome, gain, body["costs"])
        return self.append(kind, {**body, **units}, blobs)

    def _units(
        self, tried: Any, outcome: str, gain: Fraction | None, costs: Any
    ) -> dict[str, Json]:
        """Gain and cost of an attempt in the units of the reports, and how it departs from the declared world."""
        search = self.history.search
        gained, cut = (0, None) if gain is None else search.gain_units(gain)
        cost, cut_too = search.cost_units(
            costs["rlimit"], costs["family_steps"], costs["kernel_steps"]
        )
        departed: list[Json] = []
        if tried is not None:
            departed += [text for text in (cut, cut_too) if text is not None]
            departed += self.history.departures_of(Step(tried, outcome, gained, cost))
        return {"gain": gained, "cost": cost, "departures": departed}

    def _apply(self) -> Entry:
        """Install what is held; where nothing is, the step counts and that is all."""
        lineage = self.history.agent
        links = lineage.held_links
        statement, claim, data = self._switch(links) if links else (None, None, None)
        body: dict[str, Json] = {
            "task": AGENT,
            "parent": lineage.head,
            **self._step(APPLY),
            "gain": 0,
            "cost": 0,
            "departures": list(self.history.departures_of(Step(APPLY, "none", 0, 0))),
            "versions": versions(),
            "result": lineage.base,
            "links": len(links),
            "statement": statement,
            "claim": claim,
            "certificate": None if data is None else digest(data),
        }
        return self.append(Kind.APPLIED, body, {} if data is None else {digest(data): data})

    def _switch(self, links: Sequence[Entry]) -> tuple[str, Json, bytes | None]:
        """What is shown of an `apply`, its claim, and the certificate: that it is the best thing to do, or that what is
        installed is an improvement."""
        claim: dict[str, Json] = {"gain": encode_rational(total_gain(links))}
        searcher, chapter = self.history.searcher, self.history.search.chapter
        found = self.benches[SEARCHER].gate.prove_choice(searcher.code, self.history.moment)
        if found is None:
            return IMPROVING, claim, None
        theorem, certificate = found
        shown = cast(dict[str, Json], encode_claim(theorem, chapter.task, searcher))
        data = encode_certificate(certificate, chapter.task, searcher)
        return OPTIMAL_SWITCH, {**claim, **shown}, data

    def _common(
        self,
        task: str,
        family: str,
        step: Mapping[str, Json],
        costs: Costs,
        family_steps: int,
        rlimit: int,
    ) -> dict[str, Any]:
        return {
            "task": task,
            "parent": self.history.tasks[task].base,
            "family": family,
            "reproducible": self.history.search.is_reproducible(cast(Any, step["try"])),
            **step,
            "rlimit": rlimit,
            "costs": {
                "rlimit": costs.rlimit,
                "family_steps": family_steps,
                "kernel_steps": costs.kernel_steps,
            },
            "versions": versions(),
        }

    def _record(
        self, chapter: Chapter, old: s.Code, edits: tuple[Edit, ...], verdict: Verdict
    ) -> tuple[Kind, dict[str, Json], dict[str, bytes]]:
        """The kind of an entry, what it holds beside the common part, and its blobs."""
        match verdict:
            case Accepted(code, theorem, certificate, kept):
                found, blobs = self._evidence(chapter, old, code, theorem, certificate)
                found["requirements"], more = record_kept(chapter, code, kept)
                return Kind.ACCEPTED, found, {**blobs, **more}
            case Refused(code, theorem, certificate):
                found, blobs = self._evidence(chapter, old, code, theorem, certificate)
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
        self,
        chapter: Chapter,
        old: s.Code,
        code: s.Code,
        theorem: Theorem,
        certificate: Certificate,
    ) -> tuple[dict[str, Json], dict[str, bytes]]:
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

    def _next_candidate(
        self, family: FamilyDeclaration, rlimit: int
    ) -> tuple[Candidate | None, int]:
        """The family's next candidate for its base that was not judged before with as much effort, and the work it took."""
        lineage = self.history.tasks[family.target]
        base, asked = lineage.base, self._asked(family)
        charged = lineage.charged_for(family.name, base)
        tried, code = lineage.tried.get(base, {}), self.history.load_code(base)
        while True:
            try:
                candidate = next(asked.candidates)
            except StopIteration as end:
                # a second time nothing is done, and nothing returned
                asked.steps += end.value or 0
                return None, max(0, asked.steps - charged)
            except NothingProposed as nothing:
                asked.steps += nothing.steps
                nothing.steps = max(0, asked.steps - charged)
                raise
            asked.steps += candidate.steps
            key = candidate_key(result_of(code, candidate.edits), encode_edits(candidate.edits))
            if tried.get(key, -1) < rlimit:
                return candidate, max(0, asked.steps - charged)

    def _asked(self, family: FamilyDeclaration) -> Asked:
        """The family at work on the present base.

        One that begins anew comes to the same candidates with the same steps, and what was charged for them before a run
        was interrupted is not charged again; a command does new work.
        """
        lineage, bench = self.history.tasks[family.target], self.benches[family.target]
        asked = self._running.get(family.name)
        if asked is None or asked.base != lineage.base:
            kind = KINDS[family.kind]
            program = bench.gate.chapter.program(self.history.load_code(lineage.base))
            candidates = kind.make(family.kind, dict(family.settings))(bench.work, program)
            before = lineage.charged_for(family.name, lineage.base) if kind.outside else 0
            asked = self._running[family.name] = Asked(lineage.base, candidates, before)
        return asked

    def end(self, cause: str) -> Entry:
        """Close the run, with the theorem about how far the installed code is from the best."""
        history = self.history
        episode, step = history.next_episode
        body: dict[str, Json] = {
            "task": AGENT,
            "cause": cause,
            "code": history.head,
            "searcher": history.tasks[SEARCHER].head,
            "held": history.agent.held,
            "episode": episode,
            "step": step,
            "links": len(history.links),
            "gain": encode_rational(total_gain(history.links)),
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


def _bounds(gate: Gate, program: Program) -> Json:
    """Between which numbers the value of a program is proved to lie in every world, size left out, if that is found."""
    try:
        theorem, _ = gate.prove_bounds(program.code)
    except (TooLarge, CertificateError):
        return None
    return encode_claim(theorem, gate.chapter.task)


@dataclass(frozen=True, slots=True)
class SearchFile:
    """The search of a machine and its searcher; `own`: from the machine's file, which it may read."""

    search: s.Search
    searcher: s.Code
    own: bool


def search_of(machine: s.Machine, default: Callable[[], SearchFile]) -> SearchFile:
    """The search that a machine declares, else the default one."""
    if machine.search is None or machine.searcher is None:
        return default()
    return SearchFile(machine.search, machine.searcher, True)


def begin(
    store: Store,
    machine: s.Machine,
    search: SearchFile,
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
    program, text = chapter.program(machine.agent), source.encode()
    requirements, evidence = _first_kept(chapter, machine.agent, rlimit)
    tree = encode_tree(search.search)
    body: dict[str, Json] = {
        "machine": machine.declarations.name,
        "declarations": chapter.digest,
        "code": program.digest,
        "search": digest(tree),
        "own_search": search.own,
        "searcher": digest_node(search.searcher),
        "source": digest(text),
        "requirements": requirements,
        "search_requirements": [],
        "seed": seed,
        "versions": versions(),
    }
    declared = searching(machine.declarations, search.search, own=search.own).chapter
    declared.program(search.searcher)
    body["search_requirements"], more = _first_kept(declared, search.searcher, rlimit)
    blobs = {
        chapter.digest: encode_tree(machine.declarations),
        program.digest: encode_tree(machine.agent),
        digest(tree): tree,
        digest_node(search.searcher): encode_tree(search.searcher),
        digest(text): text,
        **evidence,
        **more,
    }
    return store.append(kind, body, blobs=blobs)


def _first_kept(chapter: Chapter, code: s.Code, rlimit: int) -> tuple[Json, dict[str, bytes]]:
    """The requirements that are proved of a first program, and their certificates."""
    found = prove_requirements(chapter, chapter.program(code), rlimit=rlimit)
    return record_kept(chapter, code, tuple(kept for _, kept in found if kept))


def check_out(
    store: Store, history: History, chapter: Chapter, code: s.Code, task: str = AGENT
) -> Entry:
    """Write the entry that makes a program of the chapter the installed one; its requirements are proved again.

    Raises NotKept where one of them is not proved.
    """
    kept = require_kept(chapter, chapter.program(code), rlimit=DEFAULT_RLIMIT)
    requirements, evidence = record_kept(chapter, code, kept)
    body: dict[str, Json] = {
        "task": task,
        "parent": history.tasks[task].head,
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
