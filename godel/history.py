"""What a ledger says: replay its entries to the present state of the machine. Loads no solver and no parser."""

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
    decode_rational,
    decode_tree,
    digest,
    digest_node,
)
from dsl.rewrite import Edit, RewriteError, apply_rewrite
from dsl.types import Value
from godel.entries import require_shape
from godel.ledger import Entry, Kind, LedgerError
from godel.searching import Attempt, SearchDeclaration, Searcher, decode_search

ATTEMPTS = (Kind.ACCEPTED, Kind.REFUSED, Kind.UNDECIDED, Kind.INVALID, Kind.EMPTY)
NO_LIMIT = 2**62


@dataclass(slots=True)
class History:
    """The state of a machine after some entries of its ledger.

    `head` is the digest of the installed code; `tried` holds, by base and result, the rlimit with which a candidate was
    judged (`NO_LIMIT` where more would change nothing); `links` the accepted entries that lead from the chapter's first
    program to the head, `ways` the same for every program that was installed.
    """

    blob: Callable[[str], bytes]
    machine: str = ""
    declarations: str = ""
    source: str = ""
    first: str = ""
    head: str = ""
    seed: int = 0
    chapter_seq: int = 0
    episode: int = 0
    step: int = 0
    running: bool = False
    reports: Mapping[str, Value] = field(default_factory=dict)
    tried: dict[str, dict[str, int]] = field(default_factory=dict)
    links: list[Entry] = field(default_factory=list)
    ways: dict[str, list[Entry]] = field(default_factory=dict)
    last: Entry | None = None
    _searcher: Searcher | None = None
    _search: str = ""

    @property
    def searcher(self) -> Searcher:
        """The searcher of the chapter."""
        if self._searcher is None:
            self._searcher = Searcher(self.search)
        return self._searcher

    @property
    def search(self) -> SearchDeclaration:
        """The declared search of the chapter."""
        return decode_search(self.blob(self._search))

    def load_declarations(self) -> s.Declarations:
        """The declarations of the chapter."""
        return cast(s.Declarations, decode_tree(self.blob(self.declarations), s.Declarations))

    def load_code(self, name: str) -> s.Code:
        """Code by its digest."""
        return cast(s.Code, decode_tree(self.blob(name), s.Code))

    def begin_episode(self) -> None:
        """All reports at their start."""
        self.episode, self.step, self.running = self.episode + 1, 0, True
        self.reports = self.searcher.first_reports()

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
                    self.running, self.episode = False, cast(int, body["episode"])
                case _ if entry.kind in ATTEMPTS:
                    self._attempt(entry)
                case _:
                    raise LedgerError(
                        f"{entry.kind.value!r} entries are not written yet", seq=entry.seq
                    )
        except (KeyError, TypeError, AttributeError, CodecError) as error:
            raise LedgerError(f"a malformed body: {error!r}", seq=entry.seq) from None
        self.last = entry

    def _open_chapter(self, entry: Entry) -> None:
        body = cast(Mapping[str, Any], entry.body)
        self.machine, self.declarations = body["machine"], body["declarations"]
        self.source, self._search, self._searcher = body["source"], body["search"], None
        self.first = self.head = body["code"]
        self.seed, self.chapter_seq = body["seed"], entry.seq
        self.running, self.links, self.ways = False, [], {self.head: []}
        self.tried = {}

    def _check_out(self, entry: Entry) -> None:
        code = cast(str, entry.body["code"])
        if code not in self.ways:
            raise LedgerError("it checks out code that this chapter never installed", seq=entry.seq)
        self.head, self.running = code, False
        self.links = list(self.ways[code])

    def _attempt(self, entry: Entry) -> None:
        body = cast(Mapping[str, Any], entry.body)
        if body["try"] is None:
            self.running = False
        else:
            if not self.running:
                self.begin_episode()
            attempt = Attempt(body["try"], entry.kind.value, body["gain"], body["cost"])
            self.reports = self.searcher.next_reports(self.reports, attempt)
            self.step += 1
        if entry.kind not in (Kind.EMPTY, Kind.ACCEPTED):
            # what was accepted may be taken again after a checkout of its base
            again = body["rlimit"] if entry.kind is Kind.UNDECIDED else NO_LIMIT
            self.tried.setdefault(self.head, {})[candidate_key(body["result"], body["edits"])] = (
                again
            )
        if entry.kind is Kind.ACCEPTED:
            self.head = body["result"]
            self.links = [*self.links, entry]
            self.ways.setdefault(self.head, self.links)


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


def total_gain(links: list[Entry]) -> Fraction:
    """The sum of the gains that accepted entries claim."""
    claims = (cast(Mapping[str, Any], link.body["claim"]) for link in links)
    return sum((decode_rational(claim["gain"]) for claim in claims), Fraction(0))


def read_history(entries: Any, blob: Callable[[str], bytes]) -> History:
    """The state after all entries."""
    history = History(blob)
    for entry in entries:
        history.advance(entry)
    return history
