"""A real ledger, and what a forger needs: entries changed at will and chained again with proper ids."""

from __future__ import annotations

import copy
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from dsl import syntax as s
from dsl.codec import CodecError, canonical_json, decode_json, digest
from dsl.parser import parse_blocks, parse_machine, parse_patch
from dsl.rewrite import Edit, Replace, derive_edits, replace_at
from godel.evolve import Limits, SearchFile, Session, begin, check_out
from godel.ledger import ORIGIN, Kind, derive_id
from godel.store import Store

Json = Any

RLIMIT = 50_000_000

TRACK = """
machine track
enum Move { back, stay, ahead }
environment {
  state tile: int 0..4 = 3
  action move: Move
  chance slip: bool = { true: 1/10, false: 9/10 }
  tile' = if slip then tile else clamp(tile + ord(move) - 1, 0, 4)
  reward = if tile' == 4 then 1 else 0
  done = tile == 0
}
utility { discount 9/10  tick_price 1/1000 }
agent {
  table PLAN: array[5] of Move = [stay, back, back, stay, ahead]
  policy { move = if tile + 0 < 1 then back else PLAN[tile] }
}
"""

SEARCH = """
search {
  family patch = improve(states: one)
  family tidy  = simplify()
  prices { gain_unit: 1/10, cost_unit: 50_000, rlimit: 1/20, family_step: 1, check_step: 1 }
  world {
    report fails_patch: int 0..2
    report fails_tidy: int 0..2
    report wins_tidy: int 0..3
    report spent: int 0..40
    report applied: int 0..90
    action try: Attempt
    chance outcome: Outcome = { accepted: 1/2, refused: 1/4, empty: 1/4 }
    chance gain: int 0..30 = { for i in 0..30: i: 1/31 }
    chance cost: int 0..8 = { 0: 1/2, 1: 1/2 }
    reward = if outcome == accepted then gain else 0
  }
  utility { horizon 9 }
}
searcher {
  policy {
    try = if fails_patch < 2 then patch else if fails_tidy < 2 and wins_tidy < 2 then tidy else stop
  }
}
"""


def search_of(text: str = SEARCH, **prices: int) -> SearchFile:
    """The declared search, perhaps at other prices."""
    for name, price in prices.items():
        text, count = re.subn(f"{name}: [0-9_/]+", f"{name}: {price}", text)
        assert count == 1
    found = parse_blocks(text)
    assert found.search is not None and found.searcher is not None
    return SearchFile(found.search, found.searcher, own=False)


@dataclass(slots=True)
class Forged:
    """Entries by kind and body, and blobs by name; nothing is checked before `store` chains them."""

    kinds: list[str]
    bodies: list[dict[str, Any]]
    blobs: dict[str, bytes]

    def copy(self) -> Forged:
        """A copy to change."""
        return Forged(list(self.kinds), copy.deepcopy(self.bodies), dict(self.blobs))

    def first(self, kind: str, **wanted: Any) -> dict[str, Any]:
        """The body of the first entry of a kind that holds these values."""
        return self.bodies[self.at(kind, **wanted)]

    def at(self, kind: str, **wanted: Any) -> int:
        """The number of that entry."""
        pairs = enumerate(zip(self.kinds, self.bodies, strict=True))
        return next(
            i for i, (k, b) in pairs if k == kind and all(b[n] == v for n, v in wanted.items())
        )

    def last(self, kind: str) -> int:
        """The number of the last entry of a kind."""
        return max(i for i, k in enumerate(self.kinds) if k == kind)

    def drop(self, *numbers: int) -> None:
        """Leave entries out."""
        for number in sorted(numbers, reverse=True):
            del self.kinds[number], self.bodies[number]

    def file(self, data: bytes) -> str:
        """Store a blob; returns its digest."""
        self.blobs[digest(data)] = data
        return digest(data)

    def change_blob(self, name: str, change: Callable[[Any], Any]) -> str:
        """Store a changed copy of a blob of JSON; returns its digest."""
        return self.file(canonical_json(change(decode_json(self.blobs[name]))))

    def rows(self) -> list[tuple[int, str, str, bytes]]:
        """The entries as they are stored, each id worked out as an honest writer would."""
        rows: list[tuple[int, str, str, bytes]] = []
        previous = ORIGIN
        for seq, (kind, body) in enumerate(zip(self.kinds, self.bodies, strict=True)):
            data = canonical_json(
                {"body": body, "kind": kind, "seq": seq, "version": "godel-entry/1"}
            )
            previous = derive_id(previous, data)
            rows.append((seq, previous, kind, data))
        return rows

    def store(self) -> Store:
        """A ledger that holds all this, in memory."""
        return open_rows(self.rows(), self.blobs)


def open_rows(rows: Iterable[tuple[int, str, str, bytes]], blobs: dict[str, bytes]) -> Store:
    """A ledger in memory with exactly these rows."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE entries (seq INTEGER PRIMARY KEY, id, kind, body)")
    connection.execute("CREATE TABLE blobs (digest PRIMARY KEY, data)")
    connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?)", rows)
    connection.executemany("INSERT INTO blobs VALUES (?, ?)", blobs.items())
    return Store(Path("memory"), connection, None)


def real_ledger() -> Forged:
    """What a small machine wrote: runs, proposals of all four verdicts, a checkout, and a run after it."""
    return _real_ledger().copy()


@cache
def _real_ledger() -> Forged:
    with TemporaryDirectory() as folder, Store.open(Path(folder) / "l.db", create=True) as store:
        write_ledger(store)
        return read_out(store)


def read_out(store: Store) -> Forged:
    """What a store holds."""
    kinds = [entry.kind.value for entry in store.entries()]
    bodies = [decode_json(canonical_json(dict(entry.body))) for entry in store.entries()]
    rows = store._connection.execute("SELECT digest, data FROM blobs").fetchall()
    return Forged(kinds, bodies, dict(rows))  # type: ignore[arg-type]


def write_ledger(store: Store) -> None:
    """Run the machine."""
    machine = parse_machine(TRACK)
    begin(store, machine, search_of(), source=TRACK, seed=0, kind=Kind.GENESIS)
    session = Session.resume(store, rlimit=RLIMIT, threads=1)
    session.evolve(Limits(attempts=4), lambda entry: None)
    here = session.history.head
    propose(session, "policy { move = if tile == 4 then back else PLAN[tile] }")
    propose(session, "policy { move = PLAN[tile] }")
    propose(session, "policy { move = PLAN[tile + 1] }")
    session.propose((Replace("main", (9,), digest(b""), s.IntLit(1)),), "nowhere")
    starved = Session.resume(store, rlimit=1, threads=1)
    propose(starved, "policy { move = ahead }")
    sated = Session.resume(store, rlimit=RLIMIT, threads=1)
    propose(sated, "policy { move = ahead }")
    history = sated.history
    check_out(store, history, sated.gate.chapter, history.load_code(here))
    Session.resume(store, rlimit=RLIMIT, threads=1).evolve(Limits(), lambda entry: None)


def propose(session: Session, patch: str) -> None:
    """Take a policy through the gate."""
    session.propose(patch_edits(session.head_code, patch), "by hand")


def patch_edits(code: s.Code, patch: str) -> tuple[Edit, ...]:
    """The edits that put a policy in the place of the present one."""
    (policy,) = parse_patch(f"agent {{ {patch} }}").slots
    slots = tuple(policy if isinstance(slot, s.Policy) else slot for slot in code.slots)
    return derive_edits(code, s.Code(slots))


def write(path: Path, ledger: Forged) -> Path:
    """A ledger file with honest ids."""
    with Store.open(path, create=True) as store:
        for number, (kind, body) in enumerate(zip(ledger.kinds, ledger.bodies, strict=True)):
            store.append(kind, body, blobs=ledger.blobs if number == 0 else {})
    return path


# --- random mutants ------------------------------------------------------------------------------

GONE = object()


def places(value: Json, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Json]]:
    """Everything in a value with where it stands."""
    if path:
        yield path, value
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()  # fmt: skip
    for key, below in pairs:
        yield from places(below, (*path, key))


def mutant_of(rng: Random, value: Json) -> Json:
    """Something else."""
    choices: list[Json] = [
        *(None, True, False, 0, 1, -1, 17, 2**53 - 1, "", "x", "1", "0", "-1/3", "ab" * 32, "\ud800"),
        *([], {}, [1], {"a": 1}, [[[[]]]], GONE, GONE),
    ]  # fmt: skip
    match value:
        case bool():
            choices += [not value, int(value)] * 3
        case int():
            choices += [value + 1, value - 1, -value, str(value)] * 2
        case str():
            choices += [value + "0", value[:-1], value[::-1], value.upper(), f"-{value}"] * 2
        case list():
            choices += [value + value, value[:-1], value[::-1]] * 3
        case dict():
            choices += [{**value, "extra": 1}, dict(list(value.items())[1:])] * 3
    return rng.choice(choices)


def put(body: Json, path: tuple[Any, ...], value: Json) -> None:
    """Change what stands at a place."""
    for key in path[:-1]:
        body = body[key]
    if value is GONE:
        del body[path[-1]]
    else:
        body[path[-1]] = value


def alike(one: Json, other: Json) -> bool:
    """Whether two values are the same JSON."""
    try:
        return canonical_json(one) == canonical_json(other)
    except CodecError:
        return False


def name_of(path: tuple[Any, ...]) -> str:
    """A place without numbers."""
    return ".".join("*" if isinstance(key, int) else key for key in path)


def takes_free_along(value: Json, mutant: Json, where: str, free: set[str]) -> bool:
    """Whether two objects differ in free places only."""
    if not isinstance(value, dict) or not isinstance(mutant, dict):
        return False
    keys = value.keys() | mutant.keys()
    changed = {k for k in keys if not alike(value.get(k, GONE), mutant.get(k, GONE))}
    return all(f"{where}.{key}" in free for key in changed)


__all__ = ["Forged", "open_rows", "real_ledger", "replace_at", "search_of", "write_ledger"]
