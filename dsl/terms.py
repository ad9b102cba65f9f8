"""Build types, distributions and expressions from what the grammar reads, one method a rule.

The methods stand in the order of `grammar.lark`, named `build_` and the rule. Each receives the parts of its rule:
nodes, and the tokens with their places.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeAlias

from dsl import syntax as s
from dsl.errors import Diagnostic
from dsl.habits import FOREIGN_TYPES, FOREIGN_WORDS
from dsl.hints import foreign_type
from dsl.limits import TOKENS_MAX
from dsl.literals import BITS_MAX, NumeralTooLong, read_numeral
from dsl.operators import Grouping
from dsl.rows import read_row, written
from dsl.span import NamedSpan, Span
from dsl.tokens import Token

Parts: TypeAlias = list[Any]


def over(parts: Parts) -> Span:
    """The stretch from the first part to the last."""
    first, last = parts[0], parts[-1]
    if first is last and type(first) is Token:
        return first.span
    return first.span.to(last.span)  # type: ignore[no-any-return]


def over_named(parts: Parts, *names: Any) -> NamedSpan:
    """The same stretch, which also knows where its names stand."""
    span = over(parts)
    return NamedSpan(
        span.line,
        span.column,
        span.end_line,
        span.end_column,
        span.start,
        span.end,
        tuple(name.span for name in names),
    )


def is_token(part: Any, kind: str) -> bool:
    """Whether a part is a token of that kind."""
    return isinstance(part, Token) and part.kind == kind


def nodes(parts: Parts) -> tuple[Any, ...]:
    """The nodes among some parts."""
    return tuple(p for p in parts if isinstance(p, s.Node))


class TermBuilder:
    """Builds one tree; `faults` collects what is wrong on the way."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.faults: list[Diagnostic] = []
        self.loose = 0
        self.declared: set[str] = set()
        self._foreign: list[s.Name | s.NamedType] = []

    def finish(self) -> list[Diagnostic]:
        """Every fault found while building, in order of place."""
        for name in self._foreign:
            if name.name in self.declared:
                continue
            if isinstance(name, s.NamedType):
                self.faults.append(foreign_type(name.name, name.span))
            else:
                message = f"`{name.name}` is a word of another language"
                hint = FOREIGN_WORDS[name.name]
                self.report("G002", message, name.span, hint if " " in hint else f"write {hint}")
        return sorted(self.faults, key=lambda f: (f.span.start, -f.span.end))

    def report(self, code: str, message: str, span: Span, hint: str | None = None) -> None:
        """Note a fault."""
        self.faults.append(Diagnostic(code, message, span, help=hint))

    # --- types ---

    def build_number_type(self, parts: Parts) -> s.TypeExpr:
        kind = s.IntType if parts[0] == "int" else s.RatType
        return kind(None, None, over(parts))

    def build_open_array(self, parts: Parts) -> s.TypeExpr:
        return s.ArrayType(parts[2], parts[5], over(parts))

    build_array_type = build_open_array

    def build_bool_type(self, parts: Parts) -> s.TypeExpr:
        return s.BoolType(over(parts))

    def build_range_type(self, parts: Parts) -> s.TypeExpr:
        kind = s.IntType if parts[0] == "int" else s.RatType
        return kind(parts[1], parts[3], over(parts))

    def build_bits_type(self, parts: Parts) -> s.TypeExpr:
        return s.BitsType(parts[2], over(parts))

    def build_named_type(self, parts: Parts) -> s.TypeExpr:
        named = s.NamedType(str(parts[0]), over(parts))
        if named.name in FOREIGN_TYPES:
            self._foreign.append(named)
        return named

    # --- distributions ---

    def build_dist_map(self, parts: Parts) -> s.Dist:
        return s.DistMap(nodes(parts), over(parts))

    def build_dist_for(self, parts: Parts) -> s.Dist:
        span = over_named(parts, parts[2])
        return s.DistFor(str(parts[2]), parts[4], parts[6], parts[8], span)

    def build_dist_if(self, parts: Parts) -> s.Dist:
        return s.DistIf(parts[1], parts[3], parts[5], over(parts))

    def build_dist_let(self, parts: Parts) -> s.Dist:
        return s.DistLet(str(parts[1]), parts[3], parts[5], over_named(parts, parts[1]))

    def build_dist_match(self, parts: Parts) -> s.Dist:
        arms, otherwise = self._arms(s.DistArm, parts[3:-1])
        return s.DistMatch(parts[1], arms, otherwise, over(parts))

    def build_weighted(self, parts: Parts) -> s.Weighted:
        return s.Weighted(parts[0], parts[2], over(parts))

    def build_dist_arm(self, parts: Parts) -> tuple[Any, ...]:
        return tuple(parts)

    # --- expressions ---

    def build_if(self, parts: Parts) -> s.Expr:
        return s.If(parts[1], parts[3], parts[5], over(parts))

    def build_let(self, parts: Parts) -> s.Expr:
        return s.Let(str(parts[1]), parts[3], parts[5], over_named(parts, parts[1]))

    def build_fold(self, parts: Parts) -> s.Expr:
        acc, start, var, low, high, body = (parts[i] for i in (1, 3, 5, 7, 9, 11))
        return s.Fold(str(acc), start, str(var), low, high, body, over_named(parts, acc, var))

    def build_quantifier(self, parts: Parts) -> s.Expr:
        word, var, low, high, body = (parts[i] for i in (0, 1, 3, 5, 7))
        return s.Quantifier(str(word), str(var), low, high, body, over_named(parts, var))

    def build_operation(self, parts: Parts) -> s.Expr:
        if len(parts) == 1:
            return parts[0]  # type: ignore[no-any-return]
        return Grouping(self.text, self.faults.append).group(parts)

    def build_updated(self, parts: Parts) -> s.Expr:
        entries = (p for p in parts[3:] if isinstance(p, s.Weighted))
        changes = tuple(s.Change(e.value, e.weight, e.span) for e in entries)
        return s.With(parts[0], changes, over_named(parts, parts[1]))

    def build_index(self, parts: Parts) -> s.Expr:
        return s.Index(parts[0], parts[2], over(parts))

    def build_number(self, parts: Parts) -> s.Expr:
        return self._numeral(str(parts[0]), over(parts))

    def _numeral(self, text: str, span: Span) -> s.IntLit | s.RatLit:
        value = self._value(text, span)
        if isinstance(value, Fraction):
            return s.RatLit(value, text, span)
        return s.IntLit(value, text, span)

    def _value(self, text: str, span: Span) -> int | Fraction:
        try:
            return read_numeral(text)
        except NumeralTooLong:
            message = f"a number of more than {BITS_MAX:,} bits"
            self.report("G042", message, span, "a number holds at most 4,096 bits, 1,233 digits")
            return 1

    def build_truth(self, parts: Parts) -> s.Expr:
        return s.BoolLit(parts[0] == "true", over(parts))

    def build_name(self, parts: Parts) -> s.Expr:
        name = s.Name(str(parts[0]), over(parts))
        self._note_name(name)
        return name

    def _note_name(self, name: s.Name) -> None:
        if name.name in FOREIGN_WORDS:
            self._foreign.append(name)

    def build_primed(self, parts: Parts) -> s.Expr:
        return s.Primed(str(parts[0])[:-1], over(parts))

    def build_member(self, parts: Parts) -> s.Expr:
        return s.Member(str(parts[0]), str(parts[2]), over(parts))

    def build_call(self, parts: Parts) -> s.Expr:
        return s.Call(str(parts[0]), nodes(parts), over_named(parts, parts[0]))

    def build_conversion(self, parts: Parts) -> s.Expr:
        span = over_named(parts, parts[0])
        if parts[0] == "int":
            return s.Call("int", (parts[2],), span)
        return s.Resize(str(parts[0]), parts[2], parts[5], span)

    def build_parenthesis(self, parts: Parts) -> s.Expr:
        # the span takes the parentheses in, so that a tree can be cut out of its source
        inner = parts[1].span
        span = over(parts)
        if isinstance(inner, NamedSpan):
            span = replace(over_named(parts), names=inner.names)
        return s.with_span(parts[1], span)  # type: ignore[no-any-return]

    def build_literal_array(self, parts: Parts) -> s.Expr:
        return written(parts[0], parts[0].held)

    def build_array(self, parts: Parts) -> s.Expr:
        items: list[s.Expr] = []
        for part in parts:
            if isinstance(part, s.Node):
                items.append(part)  # type: ignore[arg-type]
            elif part.kind == "CELLS" and self._affords(part, over(parts)):
                items += read_row(part, number=self._value, note_name=self._note_name)
        return s.ArrayLit(tuple(items), over(parts))

    def _affords(self, cells: Token, array: Span) -> bool:
        """Whether entries of an array that is no table are few enough to be read one by one."""
        before = self.loose
        self.loose += cells.count(",")
        if before <= TOKENS_MAX < self.loose:
            message = f"more than {TOKENS_MAX:,} entries of arrays that are no tables"
            hint = "a table holds literals and names alone, in rows of equal length; name other entries with `const`"
            start = Span(array.line, array.column, array.line, array.column + 1, array.start)
            self.report("G071", message, replace(start, end=array.start + 1), hint)
        return self.loose <= TOKENS_MAX

    def build_array_for(self, parts: Parts) -> s.Expr:
        span = over_named(parts, parts[2])
        return s.ArrayFor(str(parts[2]), parts[4], parts[6], parts[8], span)

    def build_match(self, parts: Parts) -> s.Expr:
        arms, otherwise = self._arms(s.Arm, parts[3:-1])
        return s.Match(parts[1], arms, otherwise, over(parts))

    build_arm = build_dist_arm

    def _arms(self, kind: type[Any], parts: Parts) -> tuple[tuple[Any, ...], Any]:
        arms: list[Any] = []
        otherwise = None
        for part in parts:
            if not isinstance(part, tuple):
                continue
            head, body = part[0], part[-1]
            if otherwise is not None:
                message = "an arm after `else:`, which takes everything that is left"
                self.report("G001", message, head.span if is_token(head, "ELSE") else head[0].span)
            if is_token(head, "ELSE"):
                otherwise = body
            else:
                arms.append(kind(head, body, head[0].span.to(body.span)))
        return tuple(arms), otherwise

    def build_pattern(self, parts: Parts) -> tuple[s.Expr, ...]:
        return nodes(parts)

    def build_negative(self, parts: Parts) -> s.Expr:
        literal = parts[1]
        return replace(literal, value=-literal.value, text="-" + literal.text, span=over(parts))  # type: ignore[no-any-return]

    def build_fraction(self, parts: Parts) -> s.Expr:
        over_, under = self.build_number(parts[:1]), self.build_number(parts[2:])
        assert isinstance(over_, s.IntLit) and isinstance(under, s.IntLit)
        if under.value == 0:
            self.report("G001", "a fraction over zero has no value", over(parts))
            return over_
        text = f"{over_.text}/{under.text}"
        return s.RatLit(Fraction(over_.value, under.value), text, over(parts))
