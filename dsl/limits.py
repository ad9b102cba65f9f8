"""Refuse texts that are too large, too deep, or hold characters that no source should."""

from __future__ import annotations

import re
from typing import Any

from dsl.errors import Diagnostic, DslError
from dsl.span import Span
from dsl.syntax import BoolLit, IntLit, Member, Name, Node, Primed, RatLit, grid_of

BYTES_MAX = 1 << 20
DEPTH_MAX = 200
TOKENS_MAX = 50_000
"""How many tokens a file may have besides its tables, of which each is one."""

# flat rows one after the other, single brackets, and what brackets do not count in
_BRACKET = re.compile(r'''(?:\[[^\[({\])}#"]*+\][ ,\n]*+)++|[\[({\])}]|#[^\n]*|"[^"\n]*"''')
# control characters, lone carriage returns, line separators, marks that reverse text, halves of surrogate pairs
_UNWELCOME = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]|\r(?!\n)"
)
_LEAVES = frozenset((BoolLit, IntLit, RatLit, Name, Primed, Member))


def check_text(text: str) -> None:
    """Raise DslError unless the text is small, shallow and made of plain characters."""
    if len(text) > BYTES_MAX or len(text.encode("utf-8", "surrogatepass")) > BYTES_MAX:
        raise DslError((Diagnostic("G043", "the file is larger than 1 MiB", Span(1, 1, 1, 1)),))
    strange = _UNWELCOME.search(text)
    if strange:
        at = strange.start()
        message = f"the character U+{ord(text[at]):04X} cannot stand in a machine file"
        raise DslError((Diagnostic("G044", message, span_at(text, at)),))
    depth = 0
    for found in _BRACKET.finditer(text):
        part = found.group()
        if part[0] in "[({":
            if depth == DEPTH_MAX:
                raise DslError((too_deep(span_at(text, found.start())),))
            depth += len(part) == 1
        elif part in "])}":
            depth -= 1


def span_at(text: str, offset: int, length: int = 1) -> Span:
    """The stretch of a line from an offset on."""
    line = text.count("\n", 0, offset) + 1
    column = offset - text.rfind("\n", 0, offset)
    return Span(line, column, line, column + length, offset, offset + length)


def check_depth(tree: Any) -> list[Diagnostic]:
    """A fault at the first node that lies deeper than `DEPTH_MAX`, if any."""
    level: list[Any] = [tree]
    for depth in range(DEPTH_MAX):
        below: list[Any] = []
        for node in level:
            grid = grid_of(node)
            if grid is not None and len(grid.shape) + (grid.width is not None) <= DEPTH_MAX - depth:
                continue
            for name in _fields(type(node)):
                value = getattr(node, name)
                if isinstance(value, Node):
                    below.append(value)
                elif value.__class__ is tuple:
                    below.extend(v for v in value if v.__class__ not in _LEAVES)
        level = [b for b in below if isinstance(b, Node)]
        if not level:
            return []
    return [too_deep(min((n.span for n in level), key=lambda s: s.start))]


_known: dict[type[Any], tuple[str, ...]] = {}


def _fields(kind: type[Any]) -> tuple[str, ...]:
    if kind not in _known:
        names = getattr(kind, "__dataclass_fields__", {})
        _known[kind] = tuple(n for n in names if n not in ("span", "text", "value_text"))
    return _known[kind]


def too_deep(span: Span) -> Diagnostic:
    """The fault of a text that nests deeper than `DEPTH_MAX`."""
    hint = "split it with `let` or `def`"
    return Diagnostic("G041", f"nesting deeper than {DEPTH_MAX}", span, help=hint)


def too_many(span: Span) -> Diagnostic:
    """The fault of a text that has more than `TOKENS_MAX` tokens."""
    message = f"more than {TOKENS_MAX:,} words, numbers and signs besides tables"
    hint = "put data into tables of literals and names, in rows of equal length"
    return Diagnostic("G071", message, span, help=hint)
