"""The ledger on disk: one SQLite file to which entries and blobs are added and never changed.

One writer, any number of readers. Whatever is read is checked again: blobs against their digests,
entries against their ids and the entries before them.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from dsl.codec import SAFE_INTEGER, Json, digest
from godel.ledger import (
    ORIGIN,
    Entry,
    Kind,
    LedgerError,
    Record,
    read_chain,
    seal_entry,
    verify_chain,
)

APPLICATION_ID = 0x67_6F_64_6C  # "godl" in the header of the file
BUSY_SECONDS = 5.0
PAGE = 500
PREFIX_MIN = 4
SEQ_MIN = -(2**63)
SQLITE_MIN = (3, 37, 0)  # the first with STRICT tables

# Migration n takes a file from user_version n to n + 1. They are only ever added to.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE entries (
             seq INTEGER PRIMARY KEY,
             id TEXT NOT NULL UNIQUE,
             kind TEXT NOT NULL,
             body BLOB NOT NULL
           ) STRICT""",
        "CREATE TABLE blobs (digest TEXT PRIMARY KEY NOT NULL, data BLOB NOT NULL) STRICT",
        # The insert triggers also stop REPLACE, which would delete without a delete trigger.
        """CREATE TRIGGER entries_insert BEFORE INSERT ON entries
           WHEN NEW.seq IS NOT (SELECT coalesce(max(seq) + 1, 0) FROM entries)
             OR EXISTS (SELECT 1 FROM entries WHERE id = NEW.id)
           BEGIN SELECT RAISE(ABORT, 'entries are only added at the end'); END""",
        """CREATE TRIGGER entries_update BEFORE UPDATE ON entries
           BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END""",
        """CREATE TRIGGER entries_delete BEFORE DELETE ON entries
           BEGIN SELECT RAISE(ABORT, 'entries are never removed'); END""",
        """CREATE TRIGGER blobs_insert BEFORE INSERT ON blobs
           WHEN EXISTS (SELECT 1 FROM blobs WHERE digest = NEW.digest)
           BEGIN SELECT RAISE(ABORT, 'blobs are never changed'); END""",
        """CREATE TRIGGER blobs_update BEFORE UPDATE ON blobs
           BEGIN SELECT RAISE(ABORT, 'blobs are never changed'); END""",
        """CREATE TRIGGER blobs_delete BEFORE DELETE ON blobs
           BEGIN SELECT RAISE(ABORT, 'blobs are never removed'); END""",
    ),
)
SCHEMA = len(MIGRATIONS)


class Store:
    """An open ledger file; a context manager. Build it with `Store.open`.

    Every method raises LedgerError when the file is damaged or what is asked for is not there.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, lock: sqlite3.Connection | None
    ) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock

    @classmethod
    def open(cls, path: Path | str, *, create: bool = False, readonly: bool = False) -> Self:
        """Open a ledger: to read, or to write as the only writer until it is closed.

        `create` makes the file, and the folders above it, where there is none.
        """
        if create and readonly:
            raise ValueError("a ledger cannot be created for reading only")
        if sqlite3.sqlite_version_info < SQLITE_MIN:
            raise LedgerError(f"SQLite 3.37 or newer is needed, found {sqlite3.sqlite_version}")
        path = _locate(Path(path), create=create)
        lock = None if readonly else _take_lock(path)
        connection = None
        try:
            with _explained(path):
                mode = _reading(path) if readonly else "rwc" if create else "rw"
                connection = _connect(path, mode)
                _prepare(connection, path, create=create, readonly=readonly)
            return cls(path, connection, lock)
        except BaseException:
            _close(connection, lock)
            raise

    def close(self) -> None:
        """Release the file; committed entries are safe with or without it."""
        _close(self._connection, self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # --- writing ---------------------------------------------------------------------------------

    def append(
        self,
        kind: str,
        body: Mapping[str, Json],
        *,
        blobs: Mapping[str, bytes] = MappingProxyType({}),
        expect_head: str | None = None,
    ) -> Entry:
        """Add one entry and the blobs it speaks of (by digest), all or nothing.

        With `expect_head`, only if that is still the head. Raises ValueError for a kind that does not
        exist, a blob under a wrong digest, or a body without a canonical form.
        """
        if self._lock is None:
            raise LedgerError(f"{self.path} is open for reading only")
        for name, data in blobs.items():
            if digest(data) != name:
                raise ValueError(f"a blob is filed under {name}, its digest is {digest(data)}")
        with _explained(self.path), _transaction(self._connection):
            seq, previous = self._next()
            if expect_head not in (None, previous):
                raise LedgerError(f"the head is {previous}, expected {expect_head}")
            record = seal_entry(seq, previous, Kind(kind), body)
            (entry,) = read_chain([record], first=seq, previous=previous)
            for name, data in sorted(blobs.items()):
                self._connection.execute(
                    "INSERT INTO blobs SELECT ?1, ?2"
                    " WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE digest = ?1)",
                    (name, data),
                )
            self._connection.execute(
                "INSERT INTO entries (seq, id, kind, body) VALUES (?, ?, ?, ?)",
                (record.seq, record.id, record.kind, record.data),
            )
        return entry

    # --- reading ---------------------------------------------------------------------------------

    def entries(self, since: int = 0) -> Iterator[Entry]:
        """The entries from number `since` on, each checked; from 0 that checks the whole chain."""
        return read_chain(self.records(since), first=since, previous=self._id_before(since))

    def last(self, n: int) -> tuple[Entry, ...]:
        """The last `n` entries, oldest first."""
        seq, _ = self._next()
        return tuple(self.entries(max(0, seq - max(0, n))))

    def head(self) -> Entry | None:
        """The last entry, or None where there is none yet."""
        return next(iter(self.last(1)), None)

    def entry(self, seq: int) -> Entry:
        """The entry with that number."""
        if not 0 <= seq < self._next()[0]:
            raise LedgerError(f"there is no entry {seq}")
        return next(self.entries(seq))

    def find(self, prefix: str) -> Entry:
        """The one entry whose id begins with `prefix`, at least four hexadecimal digits."""
        prefix = prefix.lower()
        if not re.fullmatch(f"[0-9a-f]{{{PREFIX_MIN},64}}", prefix):
            raise LedgerError(
                f"an id is given by at least {PREFIX_MIN} hexadecimal digits, found {prefix!r}"
            )
        rows = self._rows(
            "SELECT seq, id FROM entries WHERE id >= ? AND id < ? ORDER BY id LIMIT 2",
            (prefix, prefix + "g"),
        )
        if not rows:
            raise LedgerError(f"no entry has an id that begins with {prefix}")
        if len(rows) > 1:
            raise LedgerError(f"{prefix} is ambiguous: {rows[0][1]} and {rows[1][1]} begin with it")
        return self.entry(_integer(rows[0][0]))

    def blob(self, name: str) -> bytes:
        """The bytes with that digest."""
        if type(name) is not str:
            raise LedgerError(f"{name!r} is no digest")
        rows = self._rows("SELECT data FROM blobs WHERE digest = ?", (name,))
        if not rows:
            raise LedgerError(f"blob {name} is missing")
        data = rows[0][0]
        if not isinstance(data, bytes) or digest(data) != name:
            raise LedgerError(f"blob {name} is damaged: its bytes have another digest")
        return data

    def count(self) -> int:
        """How many entries there are."""
        return _integer(self._rows("SELECT count(*) FROM entries")[0][0])

    def verify(self) -> str:
        """Check the file, the whole chain and every blob; return the head."""
        if (report := self._rows("PRAGMA integrity_check(1)")) != [("ok",)]:
            raise LedgerError(f"{self.path} is damaged: {report[0][0]}")
        name = ""
        while rows := self._rows(
            "SELECT digest FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?", (name, PAGE)
        ):
            for (found,) in rows:
                name = str(found)
                self.blob(name)
        return verify_chain(self.records())

    def records(self, since: int = 0) -> Iterator[Record]:
        """The entries from number `since` on as they are stored, unchecked."""
        while rows := self._rows(
            "SELECT seq, id, kind, body FROM entries WHERE seq >= ? ORDER BY seq LIMIT ?",
            (since or SEQ_MIN, PAGE),  # from the very first row, should one hide below 0
        ):
            for row in rows:
                yield _record(row)
            since = _integer(rows[-1][0]) + 1

    def _next(self) -> tuple[int, str]:
        """The number of the next entry and the id it follows."""
        rows = self._rows("SELECT seq, id FROM entries ORDER BY seq DESC LIMIT 1")
        return (_integer(rows[0][0]) + 1, _id(rows[0][1])) if rows else (0, ORIGIN)

    def _id_before(self, seq: int) -> str:
        if seq <= 0:
            return ORIGIN
        rows = self._rows("SELECT id FROM entries WHERE seq = ?", (seq - 1,))
        return _id(rows[0][0]) if rows else ORIGIN

    def _rows(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        with _explained(self.path):
            return self._connection.execute(query, values).fetchall()


# --- opening ---------------------------------------------------------------------------------------


def _locate(path: Path, *, create: bool) -> Path:
    try:
        path = path.resolve()
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        elif not path.exists():
            raise LedgerError(f"there is no ledger at {path}\nhint: godel evolve FILE makes one")
        if path.is_dir():
            raise LedgerError(f"{path} is a folder, expected a ledger file")
    except OSError as error:
        raise LedgerError(f"cannot use {path}: {error.strerror}") from None
    return path


def _take_lock(path: Path) -> sqlite3.Connection:
    """Become the only writer of `path`.

    The lock is an exclusive transaction on an empty database beside it: the system releases it
    however the process ends, readers never meet it, and child processes do not inherit it.
    """
    lock = None
    try:
        with _explained(path):
            lock = _connect(path.with_name(path.name + "-lock"), "rwc", timeout=0)
            lock.execute("BEGIN EXCLUSIVE")
            return lock
    except BaseException:
        _close(lock)
        raise


def _reading(path: Path) -> str:
    """The mode for reading: SQLite notes beside the file who reads it, which cannot be done in a folder that is not ours.

    There the file is read as one that nobody changes, unless a writer left something in the file beside it.
    """
    try:
        with closing(_connect(path, "ro")) as connection:
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        log = path.with_name(path.name + "-wal")
        if error.sqlite_errorname.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
            if not log.exists() or log.stat().st_size == 0:
                return "ro&immutable=1"
    return "ro"


def _connect(path: Path, mode: str, timeout: float = BUSY_SECONDS) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.as_uri()}?mode={mode}", uri=True, timeout=timeout, isolation_level=None
    )


def _prepare(connection: sqlite3.Connection, path: Path, *, create: bool, readonly: bool) -> None:
    """Set the connection up, see that the file is a ledger of ours and bring it up to date."""
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    found = _pragma(connection, "application_id"), _pragma(connection, "user_version")
    if found == (0, 0) and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        if not create:
            raise LedgerError(f"{path} is empty: no ledger was started in it")
    elif found[0] != APPLICATION_ID:
        raise LedgerError(f"{path} is a database, but not a ledger")
    if found[1] > SCHEMA:
        raise LedgerError(
            f"{path} has schema {found[1]}, written by a newer godel; this one reads up to {SCHEMA}"
        )
    if not readonly:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _migrate(connection, found[1])
    elif found[1] < SCHEMA:
        raise LedgerError(f"{path} has the older schema {found[1]}: open it for writing once")
    # A file with the right header may still lack the tables.
    connection.execute("SELECT seq, id, kind, body FROM entries LIMIT 0")
    connection.execute("SELECT digest, data FROM blobs LIMIT 0")


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    if version == SCHEMA:
        return
    with _transaction(connection):
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA}")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _close(*connections: sqlite3.Connection | None) -> None:
    for connection in connections:
        if connection is not None:
            connection.close()


# --- helpers ---------------------------------------------------------------------------------------


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # a failed COMMIT may have rolled back already
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what SQLite reports about the file into a LedgerError."""
    try:
        yield
    except sqlite3.ProgrammingError:  # misuse of the connection: our bug
        raise
    except (
        sqlite3.Error,
        UnicodeDecodeError,
    ) as error:  # the latter from messages that quote damage
        # Faults that Python finds itself, such as text that is not UTF-8, have no error name.
        if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise LedgerError(f"another process is writing {path}") from None
        raise LedgerError(f"{path} cannot be used: {error}") from None


def _integer(value: object) -> int:
    if type(value) is not int or not 0 <= value < SAFE_INTEGER:
        raise LedgerError(f"expected an entry's number, found {value!r}")
    return value


def _id(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise LedgerError(f"expected an entry's id, found {value!r}")
    return value


def _record(row: tuple[object, ...]) -> Record:
    match row:
        case (int(seq), str(id_), str(kind), bytes(data)):
            return Record(seq, id_, kind, data)
        case _:
            raise LedgerError(f"entry {row[0]} holds values of the wrong types")
