"""Opening ledgers, and finding what an argument names in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from godel.cli.output import Context, usage
from godel.history import ATTEMPTS, History
from godel.ledger import Entry, Kind, LedgerError
from godel.store import Store

if TYPE_CHECKING:
    from proofs.kernel.chapter import Chapter


class Book:
    """A ledger read whole: its entries, and the state after them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.entries = list(store.entries())
        self.history = History(store.blob)
        self.chapters: dict[int, int] = {}
        for entry in self.entries:
            self.history.advance(entry)
            self.chapters[entry.seq] = self.history.chapter_seq
        if not self.entries:
            raise LedgerError("the ledger holds no entries")

    def find(self, name: str) -> Entry:
        """The entry that `@`, `@-`, or a prefix of an id names; `@` installed the head program."""
        if name.startswith("@"):
            if name.strip("-") != "@":
                raise usage(f"{name} names nothing", "@ is the head program, @- its parent")
            back = len(name) - 1
            way = [self.entries[self.history.chapter_seq], *self.history.links]
            if back >= len(way):
                raise usage(f"{name} reaches beyond the first program of the chapter")
            return way[len(way) - 1 - back]
        try:
            return self.store.find(name)
        except LedgerError as error:
            raise usage(str(error), "godel log --all lists the entries") from None

    def code_digest(self, name: str) -> str:
        """The program that an entry leads to, or a prefix of a program's own digest names."""
        if not name.startswith("@"):
            known = {d for e in self.entries for d in _programs(e) if d.startswith(name)}
            if len(name) >= 4 and len(known) == 1:
                return known.pop()
        entry = self.find(name)
        return self.program_of(entry)

    def program_of(self, entry: Entry) -> str:
        """The program that an entry is about: the result of an attempt, else the one installed."""
        body = cast(Any, entry.body)
        if entry.kind in ATTEMPTS:
            return cast(str, body.get("result") or body["parent"])
        return cast(str, body["code"])

    def parent_of(self, entry: Entry) -> str:
        """The program that an attempt started from."""
        if entry.kind not in ATTEMPTS:
            raise usage(f"entry {entry.id[:8]} is no attempt")
        return cast(str, entry.body["parent"])

    def chapter_of(self, entry: Entry) -> Chapter:
        """The kernel's chapter that an entry belongs to."""
        from dsl import syntax as s
        from dsl.codec import decode_tree
        from proofs.kernel.chapter import Chapter

        opening = self.entries[self.chapters[entry.seq]]
        tree = decode_tree(self.store.blob(cast(str, opening.body["declarations"])), s.Declarations)
        return Chapter(cast(s.Declarations, tree))


def _programs(entry: Entry) -> Iterator[str]:
    for key in ("result", "code", "parent"):
        value = entry.body.get(key)
        if isinstance(value, str):
            yield value


@contextmanager
def open_book(context: Context) -> Iterator[Book]:
    """The ledger that is meant, for reading."""
    with Store.open(context.found_store(), readonly=True) as store:
        yield Book(store)


__all__ = ["Book", "Kind", "open_book"]
