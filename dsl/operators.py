"""Group a flat run of operands and operators into a tree, by precedence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from dsl.errors import Diagnostic
from dsl.syntax import Binary, Compare, Expr, IntLit, RatLit, Unary

IMPLIES, OR, AND, NOT, COMPARE, BIT_OR, BIT_XOR, BIT_AND, SHIFT, SUM, PRODUCT, SIGN = range(1, 13)

LEVELS = {
    "implies": IMPLIES,
    "or": OR,
    "and": AND,
    "<": COMPARE,
    "<=": COMPARE,
    ">": COMPARE,
    ">=": COMPARE,
    "==": COMPARE,
    "!=": COMPARE,
    "|": BIT_OR,
    "^": BIT_XOR,
    "&": BIT_AND,
    "<<": SHIFT,
    ">>": SHIFT,
    "+": SUM,
    "-": SUM,
    "*": PRODUCT,
    "/": PRODUCT,
    "div": PRODUCT,
    "mod": PRODUCT,
}
"""How tightly each binary operator binds; a higher level binds tighter."""

_OF_BITS = {"&": "and", "|": "or"}
_GROUPS_RIGHT = frozenset({IMPLIES, COMPARE})  # a chain of comparisons is taken off in one piece


@dataclass(slots=True)
class Grouping:
    """The two stacks of operator-precedence parsing; faults go to `report`."""

    text: str
    report: Callable[[Diagnostic], None]
    operands: list[Expr] = field(default_factory=list)
    operators: list[tuple[int, bool, Any]] = field(default_factory=list)

    def group(self, parts: list[Any]) -> Expr:
        """The tree of `parts`: operands with prefix operators before them, binary ones between."""
        operand_next = True
        for part in parts:
            if not isinstance(part, str):
                self.operands.append(part)
                operand_next = False
            elif operand_next:
                self._push_prefix(part)
            else:
                level = LEVELS[part]
                self._reduce(level, keep_equal=level in _GROUPS_RIGHT)
                self.operators.append((level, False, part))
                operand_next = True
        self._reduce(0, keep_equal=False)
        return self.operands.pop()

    def _push_prefix(self, token: Any) -> None:
        level = NOT if token == "not" else SIGN
        if self.operators and self.operators[-1][0] > level:
            self.report(
                Diagnostic(
                    "G048",
                    f"expected an operand, found `{token}`",
                    token.span,
                    help=f"put it in parentheses: `({token} …)`",
                )
            )
        self.operators.append((level, True, token))

    def _reduce(self, level: int, *, keep_equal: bool) -> None:
        while self.operators:
            top, prefix, token = self.operators[-1]
            if top < level or (top == level and keep_equal):
                return
            if top == COMPARE:
                self._make_chain()
                continue
            self.operators.pop()
            if prefix:
                self.operands.append(self._prefixed(token, self.operands.pop()))
            else:
                right = self.operands.pop()
                self.operands.append(self._joined(token, self.operands.pop(), right))

    def _make_chain(self) -> None:
        tokens: list[Any] = []
        while self.operators and self.operators[-1][0] == COMPARE:
            tokens.append(self.operators.pop()[2])
        tokens.reverse()
        operands = tuple(self.operands[-len(tokens) - 1 :])
        self._check_chain(tokens, operands)
        del self.operands[-len(tokens) - 1 :]
        span = operands[0].span.to(operands[-1].span)
        self.operands.append(Compare(tuple(str(t) for t in tokens), operands, span))

    def _check_chain(self, tokens: list[Any], operands: tuple[Expr, ...]) -> None:
        if len(tokens) == 1:
            return
        for token in tokens:
            if token in ("==", "!="):
                message = f"`{token}` does not chain"
            elif token[0] != tokens[0][0]:
                message = f"a chain of comparisons goes one way, and `{token}` turns round"
            else:
                continue
            hint = "join two comparisons with `and`, or put one in parentheses"
            joined = next(
                (o.op for o in operands[1:-1] if isinstance(o, Binary) and o.op in _OF_BITS), None
            )
            if joined:
                hint = f"tests are joined by `{_OF_BITS[joined]}`; `{joined}` joins bits, and binds tighter"
            self.report(Diagnostic("G048", message, token.span, help=hint))
            return

    def _prefixed(self, token: Any, operand: Expr) -> Expr:
        span = token.span.to(operand.span)
        if token == "-" and isinstance(operand, IntLit | RatLit):
            text = "-" + operand.text if self._is_bare(operand) else ""
            if isinstance(operand, IntLit):
                return IntLit(-operand.value, text, span)
            return RatLit(-operand.value, text, span)
        return Unary(str(token), operand, span)

    def _is_bare(self, operand: IntLit | RatLit) -> bool:
        """Whether a literal stands without a sign, a bar or parentheses."""
        return (
            operand.text[:1] not in ("", "-")
            and "/" not in operand.text
            and self.text[operand.span.start] != "("
        )

    def _joined(self, token: Any, left: Expr, right: Expr) -> Expr:
        span = left.span.to(right.span)
        if token == "/" and isinstance(left, IntLit) and isinstance(right, IntLit):
            if right.value > 0:
                text = f"{left.text}/{right.text}" if left.text and right.text else ""
                return RatLit(Fraction(left.value, right.value), text, span)
        return Binary(str(token), left, right, span)
