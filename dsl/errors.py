"""Faults in an author's program, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from dsl.span import NO_SPAN, Span


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One fault: a stable code (`dsl/codes.py`), what is wrong, where, notes that show it, at most one hint."""

    code: str
    message: str
    span: Span = NO_SPAN
    notes: tuple[str, ...] = ()
    help: str | None = None


class DslError(Exception):
    """A program that does not parse or check; every independent fault at once, in source order."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=lambda d: (d.span.start, d.code)))
        super().__init__("; ".join(map(_in_short, self.diagnostics)))


def _in_short(diagnostic: Diagnostic) -> str:
    shown = f" ({'; '.join(diagnostic.notes)})" if diagnostic.notes else ""
    return f"{diagnostic.code}: {diagnostic.message}{shown}"


def render(diagnostic: Diagnostic, *, source: str, filename: str) -> str:
    """The fault as a reader sees it: headline, place, the line with a caret below, notes, hint."""
    span = diagnostic.span
    lines = [f"error[{diagnostic.code}]: {diagnostic.message}"]
    if span.line == 0:
        lines.append(f" --> {filename}")
        gutter = ""
    else:
        rows = _lines_of(source)
        text = rows[span.line - 1] if span.line <= len(rows) else ""
        gutter = " " * len(str(span.line))
        width = (
            span.end_column - span.column
            if span.end_line == span.line
            else len(text) - span.column + 1
        )
        shown, start, width = _window(text, span.column - 1, max(1, width))
        lines += [
            f"{gutter}--> {filename}:{span.line}:{span.column}",
            f"{gutter} |",
            f"{span.line} | {shown}",
            f"{gutter} | {' ' * start}{'^' * width}",
        ]
    lines += [f"{gutter} = {note}" for note in diagnostic.notes]
    if diagnostic.help:
        lines.append(f"{gutter} = help: {diagnostic.help}")
    return "\n".join(lines)


@lru_cache(maxsize=1)
def _lines_of(source: str) -> list[str]:
    """The lines of a text, kept for the next fault in it."""
    return source.splitlines()


def _window(text: str, start: int, width: int, limit: int = 120) -> tuple[str, int, int]:
    """A stretch of a long line around the fault; tabs become single spaces so that carets stay below."""
    text = text.expandtabs(1)
    if len(text) <= limit:
        return text, start, min(width, max(1, len(text) - start))
    left = max(0, min(start - 20, len(text) - limit))
    cut = text[left : left + limit]
    prefix = "…" if left else ""
    suffix = "…" if left + limit < len(text) else ""
    start = start - left + len(prefix)
    return prefix + cut + suffix, start, max(1, min(width, len(prefix + cut) - start))
