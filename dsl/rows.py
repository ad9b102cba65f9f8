"""Build arrays of literals quickly: a large table has a million of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from dsl import syntax as s
from dsl.span import Span
from dsl.tokens import Token

_PART = re.compile(r"[\[\]\n]|#[^\n]*|([A-Za-z_][A-Za-z0-9_]*)|(-?[0-9][0-9A-Za-z_./]*)")
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
    named = _new(s.Name)
    _name(named, text)
    _name_span(named, span)
    note_name(named)
    return named
