"""Write expressions, distributions and types on one line, with no more parentheses than they need."""

from __future__ import annotations

from fractions import Fraction
from typing import TypeAlias, assert_never

from dsl import syntax as s
from dsl.literals import read_numeral
from dsl.operators import BIT_OR, COMPARE, IMPLIES, LEVELS, NOT, PRODUCT, SHIFT, SIGN

WITH, ATOM = SIGN + 1, SIGN + 2
COMPARED = SHIFT
"""The level asked of what is compared: `(a & b) == c` keeps its parentheses, since other languages need them."""

LEAVES = (s.BoolLit, s.IntLit, s.RatLit, s.Name, s.Primed, s.Member)

Term: TypeAlias = s.Expr | s.Dist
Part: TypeAlias = s.Expr | s.Dist | s.Arm | s.DistArm | s.Weighted | s.Change


def numeral(literal: s.IntLit | s.RatLit) -> str:
    """The literal as the author spelled it, or in its canonical spelling."""
    if literal.text and _spells(literal.text, literal.value):
        return literal.text
    if isinstance(literal, s.IntLit):
        return str(literal.value)
    value = literal.value
    return str(value) if value.denominator != 1 else f"{value.numerator}.0"


def _spells(text: str, value: int | Fraction) -> bool:
    if text.isdigit() and len(text) < 9:
        return int(text) == value
    try:
        return read_numeral(text) == value
    except ValueError:
        return False


def leaf(node: s.Node) -> str:
    """The text of a node without parts."""
    match node:
        case s.BoolLit():
            return "true" if node.value else "false"
        case s.IntLit() | s.RatLit():
            return numeral(node)
        case s.Name():
            return node.name
        case s.Primed():
            return node.name + "'"
        case s.Member():
            return f"{node.enum}.{node.member}"
    raise TypeError(f"not a leaf: {node!r}")


def level(term: Part) -> int:
    """How tightly the outermost operator binds; parentheses are needed below the level asked for."""
    match term:
        case s.If() | s.Let() | s.Match() | s.Fold() | s.Quantifier():
            return 0
        case s.Binary():
            return LEVELS[term.op]
        case s.Compare():
            return COMPARE
        case s.Unary():
            return NOT if term.op == "not" else SIGN
        case s.With():
            return WITH
        case s.IntLit() | s.RatLit():
            text = numeral(term)
            return PRODUCT if "/" in text else SIGN if text[0] == "-" else ATOM
        case _:
            return ATOM


class OneLine:
    """Writes terms on one line and remembers what it wrote."""

    def __init__(self) -> None:
        self._flat: dict[int, str] = {}

    def flat(self, term: Part) -> str:
        """The text on one line; worked out without recursion, since terms may be deep."""
        known = self._flat
        pending: list[s.Node] = [term]
        while pending:
            node = pending[-1]
            if id(node) in known:
                pending.pop()
                continue
            if isinstance(node, LEAVES):
                known[id(node)] = leaf(node)
                continue
            missing = [c for c in s.children(node) if id(c) not in known]
            for child in missing:
                if isinstance(child, LEAVES):
                    known[id(child)] = leaf(child)
                else:
                    pending.append(child)
            if pending[-1] is node:
                known[id(node)] = self._one_line(node)  # type: ignore[arg-type]
        return known[id(term)]

    def _one_line(self, node: Part) -> str:
        flat, at = self.flat, self.operand
        match node:
            case s.Unary():
                space = " " if node.op == "not" else ""
                return node.op + space + at(node.operand, self.inner(node))
            case s.Binary():
                left, right = _sides(node)
                return f"{at(node.left, left)} {node.op} {at(node.right, right)}"
            case s.Compare():
                operands = [at(o, COMPARED) for o in node.operands]
                rest = (f" {op} {o}" for op, o in zip(node.ops, operands[1:], strict=True))
                return operands[0] + "".join(rest)
            case s.If() | s.DistIf():
                return f"if {flat(node.test)} then {flat(node.then)} else {flat(node.otherwise)}"
            case s.Let() | s.DistLet():
                return f"let {node.name} = {flat(node.value)} in {flat(node.body)}"
            case s.Match() | s.DistMatch():
                arms = [flat(a) for a in node.arms]
                if node.otherwise is not None:
                    arms.append(f"else: {flat(node.otherwise)}")
                return f"match {flat(node.subject)} {{ {', '.join(arms)} }}"
            case s.Arm() | s.DistArm():
                return f"{' | '.join(flat(p) for p in node.patterns)}: {flat(node.body)}"
            case s.Call():
                return f"{node.name}({', '.join(flat(a) for a in node.args)})"
            case s.Index():
                return f"{at(node.array, ATOM)}[{flat(node.index)}]"
            case s.With():
                return f"{at(node.array, WITH)} with {{ {', '.join(map(flat, node.changes))} }}"
            case s.Change():
                return f"{flat(node.index)}: {flat(node.value)}"
            case s.Fold() | s.Quantifier():
                return f"{self.heading(node)} {flat(node.body)}"
            case s.Resize():
                return f"{node.word}[{flat(node.width)}]({flat(node.operand)})"
            case s.ArrayLit():
                return f"[{', '.join(flat(i) for i in node.items)}]"
            case s.ArrayFor():
                return f"[for {node.var} in {self.range(node.low, node.high)}: {flat(node.body)}]"
            case s.DistMap():
                return f"{{ {', '.join(flat(e) for e in node.entries)} }}"
            case s.DistFor():
                span = self.range(node.low, node.high)
                return f"{{ for {node.var} in {span}: {flat(node.entry)} }}"
            case s.Weighted():
                return f"{flat(node.value)}: {flat(node.weight)}"
            case _:
                return leaf(node)

    def operand(self, term: s.Expr, least: int) -> str:
        """The text on one line, in parentheses if it binds less tightly than `least`."""
        text = self.flat(term)
        return text if level(term) >= least else f"({text})"

    @staticmethod
    def inner(node: s.Unary) -> int:
        """The level asked of an operand."""
        return NOT if node.op == "not" else SIGN

    def heading(self, node: s.Fold | s.Quantifier) -> str:
        """What stands before the body."""
        turns = f"{node.var} in {self.range(node.low, node.high)}:"
        if isinstance(node, s.Quantifier):
            return f"{node.word} {turns}"
        return f"fold {node.acc} = {self.flat(node.start)} for {turns}"

    def range(self, low: s.Expr, high: s.Expr) -> str:
        """`low..high`; sums of two leaves are written close."""
        return f"{self._end(low)}..{self._end(high)}"

    def _end(self, end: s.Expr) -> str:
        text = self.operand(end, BIT_OR)
        if isinstance(end, s.Binary) and end.op in ("+", "-", "*"):
            if isinstance(end.left, LEAVES) and isinstance(end.right, LEAVES):
                return text.replace(" ", "")
        return text

    def type(self, t: s.TypeExpr) -> str:
        """The text of a type."""
        prefix = ""
        while isinstance(t, s.ArrayType):
            prefix += f"array[{self.flat(t.size)}] of "
            t = t.item
        match t:
            case s.BoolType():
                return prefix + "bool"
            case s.NamedType():
                return prefix + t.name
            case s.BitsType():
                return f"{prefix}bits[{self.flat(t.width)}]"
            case s.IntType() | s.RatType():
                word = "int" if isinstance(t, s.IntType) else "rat"
                if t.low is None or t.high is None:
                    return prefix + word
                return f"{prefix}{word} {self.range(t.low, t.high)}"
            case _:
                assert_never(t)


def _sides(node: s.Binary) -> tuple[int, int]:
    """The levels asked of the left and the right operand."""
    own = LEVELS[node.op]
    return (own + 1, own) if own == IMPLIES else (own, own + 1)
