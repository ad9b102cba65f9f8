"""Cut a text into tokens.

Which tokens there are depends on the place in one respect alone: where an expression can begin, an array of literals
is one token, and where an entry of an array can begin, a run of literal entries is; after a value, `[` begins an index.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence

from dsl.span import Span

LONG = ("ROW", "CELLS")
"""The kinds of token that may go over several lines."""


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
        self, text: str, *, patterns: Mapping[str, re.Pattern[str]], skip: Iterable[str]
    ) -> None:
        self._text = text
        self._plain, self._with_rows, self._with_cells = (patterns[k] for k in ("", *LONG))
        self._skip = frozenset(skip)
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

        Arrays of literals, or runs of entries, come as one token where that kind is accepted.
        """
        pattern = self._plain
        if "ROW" in accepted:
            pattern = self._with_cells if "CELLS" in accepted else self._with_rows
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
            if kind in LONG:
                self._count_lines(start, part)
            return token

    def _count_lines(self, start: int, part: str) -> None:
        last = part.rfind("\n")
        if last >= 0:
            self._line += part.count("\n")
            self._line_start = start + last + 1
