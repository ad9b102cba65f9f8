"""The ledger keeps every entry, shows every tampering and survives being killed."""

from __future__ import annotations

import hashlib
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dsl.codec import CodecError, digest
from godel.ledger import ORIGIN, Kind, LedgerError, Record, derive_id, seal_entry, verify_chain
from godel.store import SCHEMA, Store

ROOT = Path(__file__).resolve().parent.parent
BLOB = b"a program"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed ledger: genesis, four attempts, and a blob."""
    path = tmp_path / ".godel" / "lake.db"
    with Store.open(path, create=True) as store:
        store.append("genesis", {"name": "lake"}, blobs={digest(BLOB): BLOB})
        for n in range(1, 5):
            store.append("accepted" if n % 2 else "refused", {"gain": f"{n}/7", "step": n})
    return path


@pytest.fixture
def records(path: Path) -> list[Record]:
    """What that ledger stores."""
    with Store.open(path, readonly=True) as store:
        return list(store.records())


# --- append and read -------------------------------------------------------------------------------


def test_what_was_appended_is_read_back(path: Path) -> None:
    with Store.open(path, readonly=True) as store:
        entries = list(store.entries())
        assert [e.seq for e in entries] == [0, 1, 2, 3, 4]
        assert [e.kind for e in entries] == [
            *("genesis", "accepted", "refused", "accepted", "refused")
        ]
        assert entries[3].body == {"gain": "3/7", "step": 3}
        assert [e.previous for e in entries] == [ORIGIN, *(e.id for e in entries[:-1])]
        assert store.head() == entries[-1]
        assert store.last(2) == tuple(entries[-2:])
        assert store.last(99) == tuple(entries)
        assert store.last(0) == ()
        assert list(store.entries(since=3)) == entries[3:]
        assert list(store.entries(since=5)) == []
        assert [store.entry(n) for n in range(5)] == entries
        assert store.count() == 5
        assert store.blob(digest(BLOB)) == BLOB
        assert store.verify() == verify_chain(store.records()) == entries[-1].id


def test_id_is_the_hash_of_parent_and_canonical_form(records: list[Record]) -> None:
    text = b'{"body":{"name":"lake"},"kind":"genesis","seq":0,"version":"godel-entry/1"}'
    assert records[0].data == text
    assert records[0].id == hashlib.sha256(b"0" * 64 + text).hexdigest()
    assert (
        records[1].id == hashlib.sha256(records[0].id.encode("ascii") + records[1].data).hexdigest()
    )


def test_more_entries_than_a_page_are_read_in_order(tmp_path: Path) -> None:
    with Store.open(tmp_path / "long.db", create=True) as store:
        store.append("genesis", {})
        for n in range(1, 1_203):
            store.append("undecided", {"n": n})
        assert [e.body.get("n", 0) for e in store.entries()] == list(range(1_203))
        head = store.head()
        assert head is not None and store.verify() == head.id


def test_same_history_gives_the_same_head_in_any_file(tmp_path: Path) -> None:
    heads = set()
    for name in ("a.db", "b.db"):
        with Store.open(tmp_path / name, create=True) as store:
            store.append("genesis", {"b": 1, "a": [True, None]})
            heads.add(store.append("ended", {"why": "ö"}).id)
    assert len(heads) == 1


def test_a_new_store_is_empty_and_holds_no_chain(tmp_path: Path) -> None:
    with Store.open(tmp_path / "new.db", create=True) as store:
        assert (store.head(), store.count(), list(store.entries())) == (None, 0, [])
        with pytest.raises(LedgerError, match="holds no entries"):
            store.verify()


def test_a_writer_reopens_and_goes_on(path: Path) -> None:
    with Store.open(path, create=True) as store:
        assert store.append("ended", {}).seq == 5
    with Store.open(path) as store:
        assert store.append("checkout", {}).seq == 6
        store.verify()


def test_readers_see_entries_while_a_writer_is_open(path: Path) -> None:
    with Store.open(path) as writer, Store.open(path, readonly=True) as reader:
        added = writer.append("ended", {})
        assert reader.head() == added


def test_an_entry_is_found_by_any_unique_prefix(path: Path) -> None:
    with Store.open(path, readonly=True) as store:
        for entry in store.entries():
            assert store.find(entry.id) == store.find(entry.id[:12].upper()) == entry


def test_find_says_when_nothing_or_too_much_fits(tmp_path: Path) -> None:
    with Store.open(tmp_path / "l.db", create=True) as store:
        ids = [store.append("genesis", {}).id]
        while len({i[:4] for i in ids}) == len(ids):  # a few hundred, by the birthday bound
            ids.append(store.append("empty", {}).id)
        shared = ids[-1][:4]
        with pytest.raises(LedgerError, match=f"{shared} is ambiguous: {shared}.* and {shared}"):
            store.find(shared)
        absent = next(f"{n:05x}" for n in range(16**5) if not any(i[:5] == f"{n:05x}" for i in ids))
        with pytest.raises(LedgerError, match=f"no entry has an id that begins with {absent}"):
            store.find(absent)
        for bad in ("", "abc", "xyzw", "../..", "f" * 65):
            with pytest.raises(LedgerError, match="at least 4 hexadecimal digits"):
                store.find(bad)


def test_absent_entries_and_blobs_are_named(path: Path) -> None:
    with Store.open(path, readonly=True) as store:
        for seq in (-1, 5, 10**30):
            with pytest.raises(LedgerError, match=f"there is no entry {seq}"):
                store.entry(seq)
        with pytest.raises(LedgerError, match="blob feed is missing"):
            store.blob("feed")


# --- one transaction -------------------------------------------------------------------------------


def test_append_with_a_stale_head_adds_nothing(path: Path) -> None:
    with Store.open(path) as store:
        stale, head = store.last(2)
        with pytest.raises(LedgerError, match=f"the head is {head.id}, expected {stale.id}"):
            store.append("ended", {}, blobs={digest(b"x"): b"x"}, expect_head=stale.id)
        assert store.head() == head
        with pytest.raises(LedgerError, match="is missing"):
            store.blob(digest(b"x"))
        assert store.append("ended", {}, expect_head=head.id).previous == head.id


def test_genesis_comes_first_and_once(tmp_path: Path) -> None:
    with Store.open(tmp_path / "l.db", create=True) as store:
        with pytest.raises(LedgerError, match="genesis comes first"):
            store.append("accepted", {})
        store.append("genesis", {}, expect_head=ORIGIN)
        with pytest.raises(LedgerError, match="genesis comes first"):
            store.append("genesis", {})
        assert store.count() == 1


def test_a_body_without_canonical_form_adds_nothing(path: Path) -> None:
    with Store.open(path) as store:
        for body in ({"p": 0.5}, {"n": 2**60}, {"nan": float("nan")}):
            with pytest.raises(CodecError):
                store.append("ended", body, blobs={digest(b"x"): b"x"})  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="not a valid Kind"):
            store.append("approved", {})
        with pytest.raises(ValueError, match="a blob is filed under"):
            store.append("ended", {}, blobs={digest(b"x"): b"y"})
        assert store.count() == 5
        with pytest.raises(LedgerError, match="is missing"):
            store.blob(digest(b"x"))


def test_the_same_blob_is_stored_once(path: Path) -> None:
    with Store.open(path) as store:
        store.append("ended", {}, blobs={digest(BLOB): BLOB})
        store.append("checkout", {}, blobs={digest(BLOB): BLOB, digest(b""): b""})
        assert store.blob(digest(b"")) == b""
        store.verify()


# --- one writer ------------------------------------------------------------------------------------


def test_a_second_writer_is_told_so_until_the_first_is_done(path: Path) -> None:
    with Store.open(path):
        with pytest.raises(LedgerError, match="another process is writing"):
            Store.open(path)
        script = "import sys; from godel.store import Store; Store.open(sys.argv[1])"
        other = subprocess.run(
            [sys.executable, "-c", script, path], cwd=ROOT, capture_output=True, text=True
        )
        assert "LedgerError: another process is writing" in other.stderr
    Store.open(path).close()


def test_a_reader_cannot_append(path: Path) -> None:
    with (
        Store.open(path, readonly=True) as store,
        pytest.raises(LedgerError, match="open for reading only"),
    ):
        store.append("ended", {})


# --- append only -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET kind = 'accepted' WHERE seq = 2",
        "DELETE FROM entries WHERE seq = 4",
        "REPLACE INTO entries SELECT seq, id, 'accepted', body FROM entries WHERE seq = 2",
        "REPLACE INTO entries SELECT 5, id, kind, body FROM entries WHERE seq = 2",
        "INSERT INTO entries VALUES (9, 'x', 'ended', x'00')",
        "INSERT INTO entries VALUES (-1, 'x', 'ended', x'00')",
        "UPDATE blobs SET data = x'00'",
        "DELETE FROM blobs",
        "REPLACE INTO blobs SELECT digest, x'00' FROM blobs",
    ],
)
def test_the_file_itself_refuses_to_change_history(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="never|only added"):
        connection.execute(statement)
    connection.close()
    with Store.open(path, readonly=True) as store:
        store.verify()


# --- tampering, past the triggers ------------------------------------------------------------------


def tamper(path: Path, *statements: str) -> None:
    """Change a closed ledger behind its back."""
    connection = sqlite3.connect(path, isolation_level=None)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    connection.close()


TAMPERINGS = {
    "a middle entry is dropped": (["DELETE FROM entries WHERE seq = 2"], "entry 2: expected entry"),
    "genesis is dropped": (["DELETE FROM entries WHERE seq = 0"], "entry 0: expected entry 0 here"),
    "two bodies are swapped": (
        [
            "CREATE TEMP TABLE t AS SELECT * FROM entries",
            "UPDATE entries SET body = (SELECT body FROM t WHERE t.seq = 3 - entries.seq)"
            " WHERE seq IN (1, 2)",
        ],
        "entry 1: its text says it is entry 2",
    ),
    "two entries are swapped": (
        [
            "UPDATE entries SET seq = 100 WHERE seq = 1",
            "UPDATE entries SET seq = 1 WHERE seq = 3",
            "UPDATE entries SET seq = 3 WHERE seq = 100",
        ],
        "entry 1: its text says it is entry 3",
    ),
    "an entry is renumbered": (["UPDATE entries SET seq = 7 WHERE seq = 4"], "entry 4: expected"),
    "everything is renumbered": (
        ["UPDATE entries SET seq = seq - 1"],
        "entry 0: expected entry 0 here, found entry -1",
    ),
    "an entry hides before genesis": (
        ["INSERT INTO entries SELECT -1, 'x', kind, body FROM entries WHERE seq = 1"],
        "entry 0: expected entry 0 here, found entry -1",
    ),
    "a copy is inserted at the end": (
        ["INSERT INTO entries SELECT 5, 'x', kind, body FROM entries WHERE seq = 4"],
        "entry 5: its text says it is entry 4",
    ),
    "the kind is repainted": (
        ["UPDATE entries SET kind = 'accepted' WHERE seq = 2"],
        "entry 2: filed as 'accepted', but its text says 'refused'",
    ),
    "an id is replaced": (
        ["UPDATE entries SET id = replace(id, substr(id, 1, 1), 'g') WHERE seq = 2"],
        "entry 2: its id is g",
    ),
    "the text is cut": (
        ["UPDATE entries SET body = substr(body, 1, 9) WHERE seq = 2"],
        "entry 2: its text is damaged",
    ),
    "the text is not canonical": (
        ["UPDATE entries SET body = CAST(body || ' ' AS BLOB) WHERE seq = 2"],
        "entry 2: its text is damaged: JSON that is not in canonical form",
    ),
    "values have other types": (
        [
            "CREATE TABLE loose (seq INTEGER PRIMARY KEY, id, kind, body)",
            "INSERT INTO loose SELECT seq, id, kind, CAST(body AS TEXT) FROM entries",
            "DROP TABLE entries",
            "ALTER TABLE loose RENAME TO entries",
        ],
        "holds values of the wrong types",
    ),
    "an id is no id": (
        ["UPDATE entries SET id = 'é' WHERE seq = 4"],
        "entry 4: its id is é",
    ),
    "a word is not UTF-8": (
        ["UPDATE entries SET kind = CAST(x'ff' AS TEXT) WHERE seq = 2"],
        "cannot be used: Could not decode to UTF-8",
    ),
}


@pytest.mark.parametrize("case", TAMPERINGS)
def test_tampering_is_found_at_the_entry_where_it_happened(path: Path, case: str) -> None:
    statements, reason = TAMPERINGS[case]
    tamper(path, *statements)
    with Store.open(path, readonly=True) as store:
        with pytest.raises(LedgerError, match=reason):
            list(store.entries())
        with pytest.raises(LedgerError, match=reason):
            store.verify()


def test_every_flipped_byte_of_every_body_is_found(records: list[Record]) -> None:
    for n, record in enumerate(records):
        for at in range(len(record.data)):
            data = bytearray(record.data)
            data[at] ^= 1 << (at % 8)
            forged = [*records[:n], replace(record, data=bytes(data)), *records[n + 1 :]]
            with pytest.raises(LedgerError) as caught:
                verify_chain(forged)
            assert caught.value.seq == n


def test_a_rewritten_tail_does_not_reach_the_pinned_head(records: list[Record]) -> None:
    head = verify_chain(records)
    forged = seal_entry(4, records[3].id, Kind.ACCEPTED, {"gain": "1000000", "step": 4})
    assert verify_chain([*records[:4], forged]) != head
    assert verify_chain(records[:4]) != head


def sealed(record: Record, data: bytes, previous: str) -> Record:
    """The record with another text and the id that belongs to it."""
    return replace(record, data=data, id=derive_id(previous, data))


def edit(**changes: object) -> Callable[[bytes], bytes]:
    """Change members of a text and write it canonically."""

    def change(data: bytes) -> bytes:
        value = {**json.loads(data), **changes}
        kept = {key: item for key, item in value.items() if item is not ...}
        return json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (edit(kind="approved"), "unknown kind 'approved'"),
        (edit(kind=["accepted"]), "unknown kind"),
        (edit(kind="genesis"), "filed as"),
        (edit(seq=True), "its text says it is entry True"),
        (edit(seq="1"), "its text says it is entry 1"),
        (edit(version="godel-entry/2"), "expected version 'godel-entry/1', found 'godel-entry/2'"),
        (edit(body=[]), "its body is not an object"),
        (edit(extra=0), "not that of an entry"),
        (edit(version=...), "not that of an entry"),
        (lambda data: b"[]", "not that of an entry"),
        (lambda data: b"", "its text is damaged"),
        (lambda data: b"[" * 100_000, "its text is damaged"),
        (lambda data: data.replace(b'"step":1', b'"step":1,"step":1'), "not in canonical form"),
        (lambda data: data.replace(b'"step":1', b'"step":1.0'), "not an exact number"),
        (lambda data: data.replace(b'"step":1', b'"step":NaN'), "not an exact number"),
        (lambda data: data.replace(b'"step":1', b'"step":9007199254740993'), "beyond 2\\^53"),
        (lambda data: data.replace(b'"step":1', b'"step":"\xff"'), "its text is damaged"),
        (lambda data: data.decode().encode("utf-16"), "not in canonical form"),
    ],
)
def test_a_text_that_append_would_not_write_is_refused_though_its_id_fits(
    records: list[Record], change: Callable[[bytes], bytes], reason: str
) -> None:
    forged = sealed(records[1], change(records[1].data), records[0].id)
    assert forged.data != records[1].data
    with pytest.raises(LedgerError, match=reason) as caught:
        verify_chain([records[0], forged])
    assert caught.value.seq == 1


def test_genesis_in_the_middle_is_refused(records: list[Record]) -> None:
    second = seal_entry(1, records[0].id, Kind.GENESIS, {})
    with pytest.raises(LedgerError, match="entry 1: 'genesis' cannot stand here"):
        verify_chain([records[0], second])
    with pytest.raises(LedgerError, match="entry 0: 'ended' cannot stand here"):
        verify_chain([seal_entry(0, ORIGIN, Kind.ENDED, {})])


def test_a_changed_blob_is_found(path: Path) -> None:
    tamper(path, "UPDATE blobs SET data = CAST('a progran' AS BLOB)")
    with Store.open(path, readonly=True) as store:
        with pytest.raises(LedgerError, match=f"blob {digest(BLOB)} is damaged"):
            store.blob(digest(BLOB))
        with pytest.raises(LedgerError, match="is damaged"):
            store.verify()


def test_a_single_tampered_entry_is_refused_when_it_is_looked_up(path: Path) -> None:
    with Store.open(path, readonly=True) as store:
        second = store.entry(2)
    tamper(path, "UPDATE entries SET body = CAST(replace(body, '2/7', '9/7') AS BLOB)")
    with Store.open(path, readonly=True) as store:
        for look in (lambda: store.entry(2), lambda: store.find(second.id), lambda: store.last(3)):
            with pytest.raises(LedgerError, match="entry 2: its id is"):
                look()


# --- files that are no ledger ----------------------------------------------------------------------


@pytest.mark.parametrize("readonly", [True, False])
def test_a_missing_file_is_not_made_by_reading(tmp_path: Path, readonly: bool) -> None:
    path = tmp_path / "sub" / "none.db"
    with pytest.raises(LedgerError, match="there is no ledger at .*none.db"):
        Store.open(path, readonly=readonly)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"hello", b"not a database, " * 1_000])
@pytest.mark.parametrize(
    "mode", [{}, {"create": True}, {"readonly": True}], ids=["write", "create", "read"]
)
def test_a_file_that_is_no_database_is_named_and_left_alone(
    tmp_path: Path, content: bytes, mode: dict[str, bool]
) -> None:
    path = tmp_path / "text.db"
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="text.db cannot be used: file is not a database"):
        Store.open(path, **mode)
    assert path.read_bytes() == content


def test_other_databases_folders_and_newer_ledgers_are_named(tmp_path: Path, path: Path) -> None:
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    empty = tmp_path / "empty.db"
    empty.touch()
    tamper(path, f"PRAGMA user_version = {SCHEMA + 1}")
    for file, reason in (
        (other, "is a database, but not a ledger"),
        (empty, "no ledger was started in it"),
        (tmp_path, "is a folder"),
        (empty / "below.db", "there is no ledger at"),
        (path, f"has schema {SCHEMA + 1}, written by a newer godel"),
    ):
        for readonly in (True, False):
            with pytest.raises(LedgerError, match=reason):
                Store.open(file, readonly=readonly)
    with pytest.raises(LedgerError, match="cannot use .*below.db"):
        Store.open(empty / "below.db", create=True)


def test_an_older_schema_or_a_missing_table_is_named(path: Path) -> None:
    tamper(path, "PRAGMA user_version = 0")
    with pytest.raises(LedgerError, match="older schema 0"):
        Store.open(path, readonly=True)
    tamper(path, f"PRAGMA user_version = {SCHEMA}", "DROP TABLE blobs")
    with pytest.raises(LedgerError, match="no such table: blobs"):
        Store.open(path, readonly=True)


def test_a_truncated_or_overwritten_file_is_never_taken_for_a_ledger(path: Path) -> None:
    with Store.open(path) as store:
        for n in range(60):
            store.append("undecided", {"text": f"{n} " * 500})
        head = store.verify()
    whole = path.read_bytes()
    for size in range(100, len(whole), 4_096):
        path.write_bytes(whole[:size])
        with pytest.raises(LedgerError):
            check(path)
    for at in range(0, len(whole), 997):
        path.write_bytes(whole[:at] + b"\xa5" * 40 + whole[at + 40 :])
        try:
            assert check(path) == head  # the bytes fell on unused space
        except LedgerError as error:
            assert str(error)


def check(path: Path) -> str:
    with Store.open(path, readonly=True) as store:
        return store.verify()


# --- being killed ----------------------------------------------------------------------------------

APPENDS = """
import sys
from dsl.codec import digest
from godel.store import Store

with Store.open(sys.argv[1], create=True) as store:
    if store.head() is None:
        store.append("genesis", {})
    while True:
        data = f"{store.count()} ".encode() * 2_000
        entry = store.append("undecided", {"blob": digest(data)}, blobs={digest(data): data})
        print(entry.seq, entry.id, flush=True)
"""


def killed_writes(path: Path, lines: int) -> Iterator[tuple[int, str]]:
    """Run a writer and kill it, with no warning, after it has reported some appends."""
    with subprocess.Popen(
        [sys.executable, "-c", APPENDS, path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for _ in range(lines):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        reported = writer.stdout.read().splitlines()
    yield from ((int(n), id_) for n, id_ in map(str.split, reported))


KILLED_AT = """
import os, signal, sys
from dsl.codec import digest
from godel import store as module

def connect(*arguments, **settings):
    connection = opened(*arguments, **settings)
    connection.set_trace_callback(
        lambda sql: sql.startswith(sys.argv[2]) and os.kill(os.getpid(), signal.SIGKILL)
    )
    return connection

opened, module._connect = module._connect, connect
with module.Store.open(sys.argv[1], create=True) as store:
    store.append("genesis", {}, blobs={digest(b"x"): b"x"})
"""


@pytest.mark.parametrize(
    "statement",
    [
        "BEGIN EXCLUSIVE",
        "PRAGMA journal_mode",
        "CREATE TABLE blobs",
        "PRAGMA user_version =",
        "INSERT INTO blobs",
        "INSERT INTO entries",
        "COMMIT",
    ],
)
def test_kill_before_any_statement_leaves_all_or_nothing(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "killed.db"
    killed = subprocess.run([sys.executable, "-c", KILLED_AT, path, statement], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    with Store.open(path, create=True) as store:
        assert store.count() == 0
        with pytest.raises(LedgerError, match="is missing"):
            store.blob(digest(b"x"))
        store.append("genesis", {})
        store.verify()


def test_kill_at_any_moment_leaves_a_ledger_that_verifies_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "killed.db"
    length = 0
    for lines in (1, 7, 2, 23, 0, 40):
        reported = list(killed_writes(path, lines))
        with Store.open(path, readonly=True) as store:
            store.verify()
            entries = list(store.entries())
            assert len(entries) >= length
            for seq, id_ in reported:
                assert entries[seq].id == id_
            for entry in entries[1:]:
                store.blob(str(entry.body["blob"]))
            length = len(entries)
    with Store.open(path) as store:
        store.append("ended", {})
        store.verify()
