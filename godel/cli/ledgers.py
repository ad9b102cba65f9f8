"""Opening ledgers, and finding what an argument names in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from godel.cli.output import Context, shown_id, usage
from godel.ledger import Entry, Kind, LedgerError
from godel.store import PREFIX_MIN, Store

if TYPE_CHECKING:
    from dsl.syntax import Code, Declarations, Search
    from proofs.kernel.chapter import Chapter

STATES = (Kind.GENESIS, Kind.REVISION, Kind.CHECKOUT, Kind.ENDED)


class Book:
    """A ledger read whole: its entries, and the state after them."""

    def __init__(self, store: Store) -> None:
        from godel.history import History

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
            raise usage(
                str(error), "godel log --all lists the entries; the id is the last column"
            ) from None

    def program(self, name: str) -> tuple[str, Code]:
        """Digest and code of the program that an entry leads to, or that a prefix of its own digest names."""
        known = self._programs_like(name)
        entries = [] if name.startswith("@") else self._entries_like(name)
        if len(known) + len(entries) > 1:
            found = ", ".join([*known, *(e.id for e in entries)])
            raise usage(f"{name} is ambiguous: {found} begin with it")
        if known:
            return known[0], self.history.load_code(known[0])
        return self.program_of(self.find(name))

    def _programs_like(self, name: str) -> list[str]:
        """The stored programs with such a digest."""
        if len(name) < PREFIX_MIN or name.startswith("@"):
            return []
        named = {d for e in self.entries for d in _programs(e) if d.startswith(name.lower())}
        return sorted(named)

    def _entries_like(self, name: str) -> list[Entry]:
        if len(name) < PREFIX_MIN:
            return []
        return [e for e in self.entries if e.id.startswith(name.lower())]

    def program_of(self, entry: Entry) -> tuple[str, Code]:
        """The program that an entry is about: the result of an attempt, else the one installed."""
        from dsl.rewrite import RewriteError, apply_rewrite, decode_edits

        body = cast(Any, entry.body)
        if entry.kind in STATES:
            return body["code"], self.history.load_code(body["code"])
        if entry.kind is Kind.EMPTY:
            return body["parent"], self.history.load_code(body["parent"])
        if entry.kind is Kind.APPLIED:
            return body["result"], self.history.load_code(body["result"])
        parent = self.history.load_code(body["parent"])
        try:
            # what an invalid rewrite leads to is not stored
            return body["result"], apply_rewrite(parent, decode_edits(body["edits"]))
        except RewriteError as error:
            raise usage(f"entry {shown_id(entry.id)} leads to no program: {error}") from None

    def parent_of(self, entry: Entry) -> tuple[str, Code]:
        """The program that an attempt started from."""
        if entry.kind in STATES:
            raise usage(
                f"entry {shown_id(entry.id)} ({entry.kind.value}) is no attempt: it has no parent",
                "godel diff A B compares any two programs",
            )
        parent = cast(str, entry.body["parent"])
        return parent, self.history.load_code(parent)

    def source_of(self, program: str) -> str:
        """The file that began the last chapter which speaks of a program."""
        opening = self._opening_of(program)
        return self.store.blob(cast(str, opening.body["source"])).decode(errors="replace")

    def declarations_of(self, program: str) -> Declarations:
        """The declarations of that chapter, which everything in it is proved about."""
        return self._declarations(self._opening_of(program))

    def _opening_of(self, program: str) -> Entry:
        keys = ("code", "parent", "result", "searcher")
        seq = max(e.seq for e in self.entries if program in (e.body.get(key) for key in keys))
        return self.entries[self.chapters[seq]]

    def _declarations(self, opening: Entry) -> Declarations:
        from dsl import syntax as s
        from dsl.codec import decode_tree

        tree = decode_tree(self.store.blob(cast(str, opening.body["declarations"])), s.Declarations)
        return cast(s.Declarations, tree)

    def chapter_of(self, entry: Entry, task: str | None = None) -> Chapter:
        """The kernel's chapter that an entry belongs to; `task` where it is not the entry's own."""
        from dsl.search import AGENT, SEARCHER
        from godel.history import searching
        from proofs.kernel.chapter import Chapter

        opening = self.entries[self.chapters[entry.seq]]
        declarations = self._declarations(opening)
        if (task or entry.body.get("task", AGENT)) != SEARCHER:
            return Chapter(declarations)
        own = bool(opening.body["own_search"])
        return searching(declarations, self._search_of(opening), own=own).chapter

    def task_of(self, program: str) -> str:
        """Whose program it is: that of the agent, or of the searcher."""
        from dsl.search import AGENT, SEARCHER

        for entry in self.entries:
            body = entry.body
            if program in (body.get("parent"), body.get("result")):
                return cast(str, body["task"])
            if body.get("searcher") == program:
                return SEARCHER
        return AGENT

    def blocks_with(self, program: str, code: Code) -> tuple[Code, Search | None, Code | None]:
        """Agent, search and searcher of a file that holds a program; no search where the machine has none of its own."""
        from dsl.search import SEARCHER

        opening, history = self._opening_of(program), self.history
        if not opening.body["own_search"]:
            return code, None, None
        present = opening.seq == history.chapter_seq
        codes = {
            task: history.load_code(lineage.head if present else cast(str, opening.body[key]))
            for (task, lineage), key in zip(
                history.tasks.items(), ("code", "searcher"), strict=True
            )
        }
        codes[self.task_of(program)] = code
        search = history.load_search() if present else self._search_of(opening)
        return codes["agent"], search, codes[SEARCHER]

    def _search_of(self, opening: Entry) -> Search:
        from dsl import syntax as s
        from dsl.codec import decode_tree

        tree = decode_tree(self.store.blob(cast(str, opening.body["search"])), s.Search)
        return cast(s.Search, tree)


def _programs(entry: Entry) -> Iterator[str]:
    keys = ["code", "parent", "searcher"]
    if entry.kind is not Kind.INVALID:
        keys.append("result")
    for key in keys:
        value = entry.body.get(key)
        if isinstance(value, str):
            yield value


@contextmanager
def open_book(context: Context) -> Iterator[Book]:
    """The ledger that is meant, for reading."""
    path = context.used = context.found_store()
    with Store.open(path, readonly=True) as store:
        yield Book(store)
