"""Cut a text into tokens.

Which tokens there are depends on the place in one respect alone: where an expression can begin, an array of literals
is one token; after a value, `[` begins an index.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dsl.span import Span


class Token(str):
    """The text of a token, with its kind and its place."""

    __slots__ = ("column", "kind", "line", "start")

    kind: str
    start: int
    line: int
    column: int

    @property
    def span(self) -> Span:
        """Where the token stands."""
        end = self.start + len(self)
        if self.kind != "ROW":
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
        self, text: str, *, plain: re.Pattern[str], with_rows: re.Pattern[str], skip: Iterable[str]
    ) -> None:
        self._text = text
        self._plain = plain
        self._with_rows = with_rows
        self._skip = frozenset(skip)
        self._offset = 0
        self._line = 1
        self._line_start = 0

    def seek(self, offset: int) -> None:
        """Go on from an offset."""
        self._offset = offset
        self._line = self._text.count("\n", 0, offset) + 1
        self._line_start = self._text.rfind("\n", 0, offset) + 1

    def next(self, rows: bool) -> Token:
        """The next token; kind `$END` at the end, kind `CHARACTER` where no token begins.

        `rows` says whether an array of literals may come as one token.
        """
        pattern = self._with_rows if rows else self._plain
        text, skip = self._text, self._skip
        while True:
            start = self._offset
            found = pattern.match(text, start)
            if found is None:
                kind, part = ("CHARACTER", text[start]) if start < len(text) else ("$END", "")
            else:
                kind, part = found.lastgroup or "", found.group()
            self._offset = start + len(part)
            if kind in skip:
                if kind == "SPACE":
                    self._count_lines(start, part)
                continue
            token = Token(part)
            token.kind = kind
            token.start = start
            token.line = self._line
            token.column = start - self._line_start + 1
            if kind == "ROW":
                self._count_lines(start, part)
            return token

    def _count_lines(self, start: int, part: str) -> None:
        last = part.rfind("\n")
        if last >= 0:
            self._line += part.count("\n")
            self._line_start = start + last + 1
