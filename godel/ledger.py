"""The chain of entries that is the history: how an entry is sealed, read back and checked.

An entry's canonical form holds a version tag, its number, its kind and its body. Its id is
SHA-256(id of the entry before it, canonical form); the first entry follows `ORIGIN`. What bodies
mean is decided elsewhere; how they are stored, in `godel/store.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast

from dsl.codec import CodecError, Json, canonical_json, decode_json, digest

VERSION = "godel-entry/1"
ORIGIN = "0" * 64


class LedgerError(Exception):
    """History that does not hold, or a store that cannot be used; `seq` names the entry at fault."""

    def __init__(self, reason: str, *, seq: int | None = None) -> None:
        self.reason = reason
        self.seq = seq
        super().__init__(reason if seq is None else f"entry {seq}: {reason}")


class Kind(StrEnum):
    """What an entry reports."""

    GENESIS = "genesis"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNDECIDED = "undecided"
    INVALID = "invalid"
    EMPTY = "empty"
    HELD = "held"
    APPLIED = "applied"
    ENDED = "ended"
    APPROVAL = "approval"
    REVISION = "revision"
    CHECKOUT = "checkout"


@dataclass(frozen=True, slots=True)
class Record:
    """An entry as it is stored, not yet believed; `data` is its canonical form."""

    seq: int
    id: str
    kind: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry whose id, number, kind and canonical form have been checked."""

    seq: int
    id: str
    previous: str
    kind: Kind
    body: Mapping[str, Json] = field(hash=False)


def seal_entry(seq: int, previous: str, kind: Kind, body: Mapping[str, Json]) -> Record:
    """The stored form of a new entry after `previous`; raises CodecError where `body` has none."""
    data = canonical_json({"body": dict(body), "kind": kind.value, "seq": seq, "version": VERSION})
    return Record(seq, derive_id(previous, data), kind.value, data)


def derive_id(previous: str, data: bytes) -> str:
    """The id of the entry with canonical form `data` after the entry `previous`."""
    return digest(previous.encode("ascii") + data)


def verify_chain(records: Iterable[Record]) -> str:
    """Recompute every id from genesis and return the head; raises LedgerError at the first fault.

    A cut tail leaves a shorter chain that holds: compare the head with one kept elsewhere.
    """
    head = None
    for entry in read_chain(records):
        head = entry.id
    if head is None:
        raise LedgerError("the ledger holds no entries")
    return head


def read_chain(
    records: Iterable[Record], *, first: int = 0, previous: str = ORIGIN
) -> Iterator[Entry]:
    """The entries of consecutive records, each checked against the one before it.

    `first` is the number of the first record and `previous` the id of the entry before that. Raises
    LedgerError for a gap, a changed byte, a foreign kind or an id that does not follow.
    """
    for seq, record in enumerate(records, start=first):
        entry = _read_record(record, seq, previous)
        yield entry
        previous = entry.id


def _read_record(record: Record, seq: int, previous: str) -> Entry:
    if record.seq != seq:
        raise LedgerError(f"expected entry {seq} here, found entry {record.seq}", seq=seq)
    kind, body = _open_data(record.data, seq)
    if record.kind != kind:
        raise LedgerError(f"filed as {record.kind!r}, but its text says {kind.value!r}", seq=seq)
    if (kind is Kind.GENESIS) != (seq == 0):
        raise LedgerError(f"{kind.value!r} cannot stand here; genesis comes first, once", seq=seq)
    expected = derive_id(previous, record.data)
    if record.id != expected:
        raise LedgerError(f"its id is {record.id}, its text and parent give {expected}", seq=seq)
    return Entry(seq, record.id, previous, kind, body)


def _open_data(data: bytes, seq: int) -> tuple[Kind, Mapping[str, Json]]:
    """Kind and body out of a canonical form that claims to be entry `seq`."""
    try:
        value = decode_json(data)
    except CodecError as error:
        raise LedgerError(f"its text is damaged: {error}", seq=seq) from None
    if not isinstance(value, dict) or value.keys() != {"body", "kind", "seq", "version"}:
        raise LedgerError("its text is not that of an entry", seq=seq)
    if value["version"] != VERSION:
        raise LedgerError(
            f"expected version {VERSION!r}, found {value['version']!r}; "
            "a newer godel may be able to read it",
            seq=seq,
        )
    if type(value["seq"]) is not int or value["seq"] != seq:
        raise LedgerError(f"its text says it is entry {value['seq']}", seq=seq)
    if not isinstance(value["body"], dict):
        raise LedgerError("its body is not an object", seq=seq)
    try:
        return Kind(value["kind"]), cast(Mapping[str, Json], value["body"])
    except ValueError:
        raise LedgerError(f"unknown kind {value['kind']!r}", seq=seq) from None
