"""Lay expressions and distributions out as text: on one line where it fits, else broken over several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import assert_never

from dsl import syntax as s
from dsl.oneline import ATOM, COMPARED, LEAVES, WITH, OneLine, Part, Term, level
from dsl.operators import IMPLIES, LEVELS

WIDTH = 120
_ALIGN_MAX = 40
_ARM_PAD_MAX = 16


class Layout(OneLine):
    """Lays terms out; `holds` tells whether a comment stands inside a node, which must then be broken."""

    def __init__(self, holds: Callable[[s.Node], bool] = lambda node: False) -> None:
        super().__init__()
        self._holds = holds

    def plain(self, node: s.Node) -> bool:
        """Whether no comment stands inside a node."""
        return not self._holds(node)

    def fits(self, term: Part, column: int, tail: int) -> bool:
        """Whether the term may stand on one line from `column` on, with `tail` characters after it."""
        return not self._holds(term) and column + len(self.flat(term)) + tail <= WIDTH

    def lay(self, term: Term, indent: int, column: int, tail: int = 0) -> str:
        """The text from `column` on, in a line that is indented by `indent`."""
        if isinstance(term, LEAVES) or self.fits(term, column, tail):
            return self.flat(term)
        match term:
            case s.If() | s.DistIf():
                return self._lay_if(term, indent, column, tail)
            case s.Let() | s.DistLet():
                return self._lay_let(term, column, tail)
            case s.Match() | s.DistMatch():
                return self._lay_match(term, indent, column)
            case s.ArrayLit():
                return self._lay_array(term, indent)
            case s.ArrayFor():
                head = f"[for {term.var} in {self.range(term.low, term.high)}:"
                body = self.lay(term.body, indent + 2, indent + 2, tail + 1)
                return f"{head}{_line(indent + 2)}{body}]"
            case s.DistMap():
                lines = [self._entry(e, indent + 2) for e in term.entries]
                return _bracket("{", lines, "}", indent)
            case s.DistFor():
                head = f"{{ for {term.var} in {self.range(term.low, term.high)}:"
                return f"{head}{_line(indent + 2)}{self._entry(term.entry, indent + 2)[:-1]} }}"
            case s.Binary() | s.Compare():
                return self._lay_chain(term, indent, column, tail)
            case s.Unary():
                op = "not " if term.op == "not" else term.op
                inner = self.inner(term)
                return op + self._at(term.operand, inner, indent, column + len(op), tail)
            case s.With():
                return self._lay_with(term, indent, column)
            case s.Fold() | s.Quantifier():
                return self._lay_turns(term, indent, column, tail)
            case s.Resize():
                head = f"{term.word}[{self.flat(term.width)}]("
                body = self.lay(term.operand, indent + 2, indent + 2, tail + 1)
                return f"{head}{_line(indent + 2)}{body})"
            case s.Call():
                return self._lay_call(term, indent, column, tail)
            case s.Index():
                index = f"[{self.flat(term.index)}]"
                return self._at(term.array, ATOM, indent, column, tail + len(index)) + index
            case s.BitsOp():
                raise TypeError(f"`{term.op}` on bits as the checker writes it has no text")
            case _:
                assert_never(term)

    def _at(self, term: s.Expr, least: int, indent: int, column: int, tail: int) -> str:
        if level(term) >= least:
            return self.lay(term, indent, column, tail)
        return f"({self.lay(term, indent, column + 1, tail + 1)})"

    def _lay_if(self, term: s.If | s.DistIf, indent: int, column: int, tail: int) -> str:
        pad = column if column <= _ALIGN_MAX else indent + 2
        lines: list[str] = []
        word, start = "if ", column
        rest: Term = term
        while isinstance(rest, s.If | s.DistIf):
            test = self.lay(rest.test, pad + 2, start + len(word), len(" then"))
            head = f"{word}{test} then"
            lines.append(head + self._branch(rest.then, pad, _end_column(head, start), 0))
            word, start, rest = "else if ", pad, rest.otherwise
        lines.append("else" + self._branch(rest, pad, pad + len("else"), tail))
        return _line(pad).join(lines)

    def _branch(self, term: Term, pad: int, column: int, tail: int) -> str:
        """What follows `then` or `else`: on the same line if its first line fits there."""
        hangs = isinstance(term, s.Match | s.DistMatch | s.ArrayLit)
        if isinstance(term, s.DistMap | s.With):
            hangs = not self.fits(term, pad + 2, tail)
        if hangs or self.fits(term, column + 1, tail):
            return " " + self.lay(term, pad, column + 1, tail)
        return _line(pad + 2) + self.lay(term, pad + 2, pad + 2, tail)

    def _lay_let(self, term: s.Let | s.DistLet, column: int, tail: int) -> str:
        lines: list[str] = []
        rest: Term = term
        while isinstance(rest, s.Let | s.DistLet):
            head = f"let {rest.name} = "
            value = self.lay(rest.value, column + 2, column + len(head), len(" in"))
            lines.append(f"{head}{value} in")
            rest = rest.body
        lines.append(self.lay(rest, column, column, tail))
        return _line(column).join(lines)

    def _lay_match(self, term: s.Match | s.DistMatch, indent: int, column: int) -> str:
        subject = self.lay(term.subject, indent + 2, column + len("match "), 2)
        heads = [" | ".join(self.flat(p) for p in a.patterns) + ":" for a in term.arms]
        bodies: list[Term] = [a.body for a in term.arms]
        if term.otherwise is not None:
            heads.append("else:")
            bodies.append(term.otherwise)
        plain = [len(h) for h in heads if "|" not in h and len(h) <= _ARM_PAD_MAX]
        width = max(plain, default=0)
        lines = []
        for head, body in zip(heads, bodies, strict=True):
            start = (head if "|" in head else head.ljust(width)) + " "
            column = indent + 2 + len(start)
            if isinstance(body, s.Let | s.DistLet) and not self.fits(body, column, 1):
                start, column = head + _line(indent + 4), indent + 4
            lines.append(start + self.lay(body, indent + 2, column, 1) + ",")
        return _bracket(f"match {subject} {{", lines, "}", indent)

    def _lay_array(self, term: s.ArrayLit, indent: int) -> str:
        inner = indent + 2
        apart = self._holds(term) or any(
            isinstance(i, s.ArrayLit) or not self.fits(i, inner, 1) for i in term.items
        )
        if apart:
            lines = [self.lay(i, inner, inner, 1) + "," for i in term.items]
        else:
            lines = fill([self.flat(i) for i in term.items], inner)
        return _bracket("[", lines, "]", indent)

    def _lay_with(self, term: s.With, indent: int, column: int) -> str:
        array = self._at(term.array, WITH, indent, column, len(" with {"))
        lines = [self._entry(c, indent + 2) for c in term.changes]
        return _bracket(f"{array} with {{", lines, "}", indent)

    def _lay_turns(self, term: s.Fold | s.Quantifier, indent: int, column: int, tail: int) -> str:
        """The head on the first line, the body below it; the start of a fold is broken where it must be."""
        head = self.heading(term)
        if isinstance(term, s.Fold):
            opening = f"fold {term.acc} = "
            if self._holds(term.start) or column + len(head) > WIDTH:
                pad = indent + 4
                start = self.lay(term.start, pad, column + len(opening), 0)
                turns = head[len(opening) + len(self.flat(term.start)) + 1 :]
                head = f"{opening}{start}{_line(pad)}{turns}"
        return f"{head}{_line(indent + 2)}{self.lay(term.body, indent + 2, indent + 2, tail)}"

    def _entry(self, entry: s.Weighted | s.Change, indent: int) -> str:
        if isinstance(entry, s.Change):
            key, held = entry.index, entry.value
        else:
            key, held = entry.value, entry.weight
        text = self.lay(key, indent, indent, 2) + ": "
        return text + self.lay(held, indent, _end_column(text, indent), 1) + ","

    def _lay_chain(self, term: s.Binary | s.Compare, indent: int, column: int, tail: int) -> str:
        first, rest = _chain(term)
        pad = indent + 2
        parts = [self._at(first[0], first[1], indent, column, 0)]
        for i, (op, operand, least) in enumerate(rest):
            after = tail if i == len(rest) - 1 else 0
            parts.append(f"{op} " + self._at(operand, least, pad, pad + len(op) + 1, after))
        return _line(pad).join(parts)

    def _lay_call(self, term: s.Call, indent: int, column: int, tail: int) -> str:
        pad = indent + 2
        args = [self.lay(a, pad, pad, tail + 1) for a in term.args]
        return f"{term.name}({_line(pad)}" + ("," + _line(pad)).join(args) + ")"


def _chain(
    term: s.Binary | s.Compare,
) -> tuple[tuple[s.Expr, int], list[tuple[str, s.Expr, int]]]:
    """A run of operators of one level: the first operand, then each operator with its operand."""
    if isinstance(term, s.Compare):
        least = COMPARED
        pairs = zip(term.ops, term.operands[1:], strict=True)
        return (term.operands[0], least), [(op, o, least) for op, o in pairs]
    own = LEVELS[term.op]
    found: list[tuple[str, s.Expr, int]] = []
    node: s.Expr = term
    if own == IMPLIES:
        first = term.left
        while isinstance(node, s.Binary) and node.op == "implies":
            right = node.right
            last = not (isinstance(right, s.Binary) and right.op == "implies")
            found.append(("implies", right if last else right.left, own + 1))  # type: ignore[union-attr]
            node = right
        return (first, own + 1), found
    while isinstance(node, s.Binary) and LEVELS[node.op] == own:
        found.append((node.op, node.right, own + 1))
        node = node.left
    return (node, own), found[::-1]


def fill(words: Sequence[str], indent: int) -> list[str]:
    """Words with commas, as many on a line as fit."""
    lines: list[str] = []
    current = ""
    for word in words:
        if current and indent + len(current) + len(word) + 2 > WIDTH:
            lines.append(current)
            current = ""
        current += (" " if current else "") + word + ","
    return [*lines, current] if current else lines


def _bracket(opened: str, lines: Iterable[str], closed: str, indent: int) -> str:
    inner = "".join(_line(indent + 2) + line for line in lines)
    return f"{opened}{inner}{_line(indent)}{closed}"


def _line(indent: int) -> str:
    return "\n" + " " * indent


def _end_column(text: str, start: int) -> int:
    """The column after the last character of a text that begins in column `start`."""
    at = text.rfind("\n")
    return start + len(text) if at < 0 else len(text) - at - 1
