"""Read arrays of literals, names and members quickly: a large table has a million of them.

`read_row` reads entry by entry, each with its place. `read_grid` reads all entries of a table at once and no places;
`written` makes an array of it which finds places when they are asked for.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Collection
from fractions import Fraction
from typing import Any

from dsl import syntax as s
from dsl.literals import BITS_MAX, NumeralTooLong, read_numeral
from dsl.span import Span
from dsl.tokens import Token

LEVELS_MAX = 8
"""How deep the arrays of a table may nest; deeper ones are read like any other expression."""

_PART = re.compile(
    r"[\[\]\n]|#[^\n]*|([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)?)|(-?[0-9][0-9A-Za-z_./]*)"
)
_NAME, _NUMBER = 1, 2


def _setters(kind: type[Any]) -> list[Callable[[Any, Any], None]]:
    """What sets the fields of a frozen class, in their order; several times as fast as its `__init__`."""
    return [vars(kind)[name].__set__ for name in kind.__dataclass_fields__]


_new = object.__new__
_line, _column, _end_line, _end_column, _start, _end = _setters(Span)
_int_value, _int_text, _int_span = _setters(s.IntLit)
_rat_value, _rat_text, _rat_span = _setters(s.RatLit)
_name, _name_span = _setters(s.Name)


def read_row(
    token: Token,
    *,
    number: Callable[[str, Span], int | Fraction],
    note_name: Callable[[s.Name], None],
) -> list[s.Expr]:
    """The entries that a token holds, which the grammar has found to be well formed: an array, or a run of entries.

    `number` gives the value of a numeral; `note_name` is told of every name.
    """
    values: dict[str, int | Fraction] = {}
    first, line = token.start, token.line
    line_start = first - token.column + 1
    opened: list[tuple[Span, list[s.Expr]]] = []
    items: list[s.Expr] = []
    for found in _PART.finditer(token):
        kind, part, at = found.lastindex, found[0], found.start()
        if kind is None and part == "\n":
            line, line_start = line + 1, first + at + 1
            continue
        start, width = first + at, len(part)
        column = start - line_start + 1
        span = _new(Span)
        _line(span, line)
        _column(span, column)
        _end_line(span, line)
        _end_column(span, column + width)
        _start(span, start)
        _end(span, start + width)
        if kind == _NUMBER:
            value = values.get(part)
            if value is None:
                value = values[part] = number(part, span)
            items.append(_literal(value, part, span))
        elif kind == _NAME:
            items.append(_word(part, span, note_name))
        elif part == "[":
            opened.append((span, items))
            items = []
        elif part == "]":
            opening, outer = opened.pop()
            outer.append(s.ArrayLit(tuple(items), opening.to(span)))
            items = outer
    return items


def _literal(value: int | Fraction, text: str, span: Span) -> s.Expr:
    if value.__class__ is int:
        whole = _new(s.IntLit)
        _int_value(whole, value)
        _int_text(whole, text)
        _int_span(whole, span)
        return whole
    ratio = _new(s.RatLit)
    _rat_value(ratio, value)
    _rat_text(ratio, text)
    _rat_span(ratio, span)
    return ratio


def _word(text: str, span: Span, note_name: Callable[[s.Name], None]) -> s.Expr:
    if text == "true" or text == "false":
        return s.BoolLit(text == "true", span)
    if "." in text:
        enum, member = text.split(".")
        return s.Member(enum, member, span)
    named = _new(s.Name)
    _name(named, text)
    _name_span(named, span)
    note_name(named)
    return named


# --- all at once ---------------------------------------------------------------------------------

_FLAT = r"\[[0-9A-Za-z_.,/ \t\r\n-]*+\]"
_ROW = re.compile(_FLAT)
# flat rows one after the other, single brackets, comments, and what stands in no table
_MARK = re.compile(rf"(?:{_FLAT}[ ,\n]*+)++|[\[\]]|#[^\n]*|[^\[\]#0-9A-Za-z_.,/ \t\r\n-]")
_COMMENT = re.compile(r"#[^\n]*")
_TRAILING = re.compile(r",[ \t\r\n]*\]")
_DIGITS = "[0-9](?:_?[0-9])*+"
_WORD = "[A-Za-z_][A-Za-z0-9_]*+"
_CELL = re.compile(
    rf"(?P<number>-?(?:0x[0-9a-fA-F](?:_?[0-9a-fA-F])*+|0b[01](?:_?[01])*+"
    rf"|{_DIGITS}(?:\.{_DIGITS}|/(?!0[0_]*\Z){_DIGITS})?))|{_WORD}(?:\.{_WORD})?"
)
_NUMERAL_MAX = 1_400
_FEW = 1_000
_MARKS_ALONE = {i: None for i in range(128) if chr(i) not in "[],"}
_BEFORE, _BEHIND = "[ \t\r\n", "] \t\r\n"


def read_table(
    text: str, start: int, blocked: set[int], *, foreign: Collection[str] = ()
) -> tuple[int, s.Grid] | None:
    """Where the table that begins at an offset ends, and what it holds; None where none begins there.

    `blocked` holds the offsets of brackets that are known to begin no table; those met here are added. Numerals of more
    than `BITS_MAX` bits, and words that are `foreign`, stand in no table.
    """
    end = None if start in blocked else _find_end(text, start, blocked)
    grid = None if end is None else read_grid(text[start:end], foreign=foreign)
    return None if end is None or grid is None else (end, grid)


def _find_end(text: str, start: int, blocked: set[int]) -> int | None:
    """Where the bracket is closed that stands at an offset, unless something stands before that is in no table."""
    flat = _ROW.match(text, start)
    if flat is not None:
        return flat.end()
    opened: list[int] = []
    for found in _MARK.finditer(text, start):
        part = found[0]
        if part == "[":
            opened.append(found.start())
        elif part == "]":
            opened.pop()
            if not opened:
                return found.end()
        elif part[0] not in "#[":
            break
    blocked.update(opened)
    return None


def read_grid(text: str, *, foreign: Collection[str] = ()) -> s.Grid | None:
    """What an array holds as it is written, its brackets balanced; None where it is no table, in order or not."""
    plain = _COMMENT.sub("", text) if "#" in text else text
    try:
        try:
            return _grid(plain, foreign)
        except _Empty:
            return _grid(_TRAILING.sub("]", plain), foreign)
    except (_NoCell, NumeralTooLong):
        return None


class _NoCell(Exception):
    """An entry that is no literal, name or member."""


class _Empty(_NoCell):
    """No entry where one is expected; behind a last comma none need be."""


def _grid(plain: str, foreign: Collection[str]) -> s.Grid | None:
    shape = _shape(plain.translate(_MARKS_ALONE))
    if shape is None:
        return None
    # brackets open before an entry and close behind it
    cells = plain.split(",")
    different = set(cells)
    if max(map(len, different)) > _NUMERAL_MAX:
        raise _NoCell
    if len(different) > _FEW:
        whole = _integers(cells)
        if whole is not None:
            return s.Grid(shape, whole)
    known = {cell: _read_cell(cell, foreign) for cell in different}
    return s.Grid(shape, tuple(map(known.__getitem__, cells)))


def _shape(marks: str) -> tuple[int, ...] | None:
    """The lengths of an array of which brackets and commas are left; None where rows are of different length."""
    depth = len(marks) - len(marks.lstrip("["))
    if depth > LEVELS_MAX:
        return None
    count = marks.find("]") - depth + 1
    lengths, unit = [count], f"[{',' * (count - 1)}]"
    for level in range(1, depth):
        start = depth - 1 - level
        end = marks.find("]" * (level + 1), start)
        count = (end - start + level) // (len(unit) + 1)
        if end < 0 or count < 1:
            return None
        lengths.append(count)
        unit = f"[{','.join([unit] * count)}]"
    return tuple(reversed(lengths)) if unit == marks else None


def _integers(cells: list[str]) -> tuple[int, ...] | None:
    """Their values, where all are decimal integers: among the characters of a table `int` reads nothing else."""
    try:
        found = tuple([int(cell.lstrip(_BEFORE).rstrip(_BEHIND)) for cell in cells])
    except ValueError:
        return None
    longest = max(min(found).bit_length(), max(found).bit_length())
    return found if longest <= BITS_MAX else None


def _read_cell(cell: str, foreign: Collection[str]) -> Any:
    """The value that stands for an entry in a `Grid`."""
    text = cell.lstrip(_BEFORE).rstrip(_BEHIND)
    found = _CELL.fullmatch(text)
    if found is None:
        raise _Empty if not text else _NoCell
    if found["number"]:
        return read_numeral(text)
    if text == "true" or text == "false":
        return text == "true"
    words = tuple(text.split("."))
    if not s.KEYWORDS.isdisjoint(words) or text in foreign:
        raise _NoCell
    return text if len(words) == 1 else words


# --- nodes when they are asked for ---------------------------------------------------------------


def written(token: Token, grid: s.Grid) -> s.ArrayLit:
    """The array that a token holds, with its nodes left for later."""
    return s.written_array(s.Written(grid, _Places(token, len(grid.shape))), token.span)


class _Places:
    """Where the items of a table stand in its text."""

    __slots__ = ("_ends", "_levels", "_lines", "_token")

    def __init__(self, token: Token, levels: int) -> None:
        self._token, self._levels = token, levels
        self._ends: list[tuple[int, int]] | None = None
        self._lines: list[int] = []

    def place(self, index: int) -> tuple[Span, str]:
        """Where an item stands, and how it is spelled."""
        part = self._part(index)
        return part.span, str(part)

    def row(self, index: int) -> _Places:
        """The places inside a row."""
        return _Places(self._part(index), self._levels - 1)

    def _part(self, index: int) -> Token:
        if self._ends is None:
            self._lines = [found.start() for found in re.finditer("\n", self._token)]
            self._ends = _cells(self._token) if self._levels == 1 else _rows(self._token)
        whole = self._token
        start, end = self._ends[index]
        part = Token(whole[start:end])
        part.kind, part.start = "ROW", whole.start + start
        before = bisect_right(self._lines, start)
        part.line = whole.line + before
        part.column = start - self._lines[before - 1] if before else whole.column + start
        return part


def _cells(text: str) -> list[tuple[int, int]]:
    return [found.span() for found in _PART.finditer(text) if found.lastindex]


def _rows(text: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    depth = start = 0
    for mark in _BRACKET.finditer(text):
        if mark[0] == "[":
            depth += 1
            if depth == 2:
                start = mark.start()
        elif mark[0] == "]":
            if depth == 2:
                found.append((start, mark.end()))
            depth -= 1
    return found


_BRACKET = re.compile(r"[\[\]]|#[^\n]*")
