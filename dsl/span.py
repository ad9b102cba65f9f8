"""Where a piece of syntax stands in its source text."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open stretch of source text; lines and columns count from 1, columns in characters.

    `start` and `end` are character offsets, for splicing text.
    """

    line: int
    column: int
    end_line: int
    end_column: int
    start: int = 0
    end: int = 0

    def to(self, other: Span) -> Span:
        """The stretch from the beginning of this span to the end of `other`."""
        return Span(self.line, self.column, other.end_line, other.end_column, self.start, other.end)


@dataclass(frozen=True, slots=True, order=True)
class NamedSpan(Span):
    """The span of syntax that gives names, or begins with a keyword, and where these stand."""

    names: tuple[Span, ...] = field(default=(), compare=False, repr=False)


def span_of_name(span: Span, index: int = 0) -> Span:
    """Where a name of the spanned syntax stands; the whole span where that is not known."""
    if isinstance(span, NamedSpan) and index < len(span.names):
        return span.names[index]
    return span


NO_SPAN = Span(0, 0, 0, 0)
