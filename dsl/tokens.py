"""Cut a text into tokens.

Which tokens there are depends on the place in one respect alone: where an expression can begin, a table of literals and
names is one token, and where an entry of an array can begin, a run of such entries is; after a value, `[` begins an
index.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, TypeAlias

from dsl.span import Span

LONG = ("ROW", "CELLS")
"""The kinds of token that may go over several lines."""


ReadTable: TypeAlias = Callable[[str, int, set[int]], tuple[int, Any] | None]
"""Given a text, the offset of a bracket and those of brackets that begin no table: where a table ends, what it holds."""


class Token(str):
    """The text of a token, with its kind and its place; that of a table knows what it holds."""

    __slots__ = ("column", "held", "kind", "line", "start")

    kind: str
    held: Any
    start: int
    line: int
    column: int

    @property
    def span(self) -> Span:
        """Where the token stands."""
        end = self.start + len(self)
        if self.kind not in LONG:
            end_column = self.column + len(self)
            return Span(self.line, self.column, self.line, end_column, self.start, end)
        end_line = self.line + self.count("\n")
        last = self.rfind("\n")
        end_column = len(self) - last if last >= 0 else self.column + len(self)
        return Span(self.line, self.column, end_line, end_column, self.start, end)


def compile_scanner(terminals: Sequence[tuple[str, str]]) -> re.Pattern[str]:
    """One pattern for all kinds of token, given as (kind, pattern), those to try first in front."""
    return re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in terminals))


class Scanner:
    """Reads tokens off a text one by one; `seek` moves it."""

    def __init__(
        self, text: str, *, patterns: Mapping[str, re.Pattern[str]], read_table: ReadTable
    ) -> None:
        self._text = text
        self._plain, self._with_cells, self._gap = (patterns[k] for k in ("", "CELLS", "GAP"))
        self._read_table = read_table
        self._no_tables: set[int] = set()
        self._offset = 0
        self._line = 1
        self._line_start = 0

    def seek(self, offset: int) -> None:
        """Go on from an offset."""
        self._offset = offset
        self._line = self._text.count("\n", 0, offset) + 1
        self._line_start = self._text.rfind("\n", 0, offset) + 1

    def next(self, accepted: Container[str]) -> Token:
        """The next token; kind `$END` at the end, kind `CHARACTER` where no token begins.

        Tables, or runs of entries, come as one token where that kind is accepted.
        """
        text = self._text
        self._skip_gap()
        start = self._offset
        if "ROW" in accepted and text.startswith("[", start):
            table = self._read_table(text, start, self._no_tables)
            if table is not None:
                token = self._token("ROW", text[start : table[0]])
                token.held = table[1]
                return token
        found = (self._with_cells if "CELLS" in accepted else self._plain).match(text, start)
        if found is None:
            if start < len(text):
                return self._token("CHARACTER", text[start])
            return self._token("$END", "")
        return self._token(found.lastgroup or "", found.group())

    def _token(self, kind: str, part: str) -> Token:
        start = self._offset
        token = Token(part)
        token.kind = kind
        token.start = start
        token.line = self._line
        token.column = start - self._line_start + 1
        self._offset = start + len(part)
        if kind in LONG:
            self._count_lines(start, part)
        return token

    def _skip_gap(self) -> None:
        start = self._offset
        found = self._gap.match(self._text, start)
        if found is not None and found.end() > start:
            self._offset = found.end()
            self._count_lines(start, found.group())

    def _count_lines(self, start: int, part: str) -> None:
        last = part.rfind("\n")
        if last >= 0:
            self._line += part.count("\n")
            self._line_start = start + last + 1
