"""Build the tree of `syntax.py` from what the grammar reads, one method a rule.

The methods stand in the order of `grammar.lark`, named `build_` and the rule. Each receives the parts of its rule:
nodes, and the tokens with their places. What the language has but this version does not is reported as G005 and
stands in the tree as a placeholder, which never leaves the parser.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeAlias

from dsl import syntax as s
from dsl.errors import Diagnostic
from dsl.literals import BITS_MAX, NumeralTooLong, read_numeral, scan_row
from dsl.operators import Grouping
from dsl.span import NO_SPAN, Span
from dsl.tokens import Token

Parts: TypeAlias = list[Any]

FOREIGN_WORDS = {
    "True": "`true`",
    "False": "`false`",
    "None": "no value is missing here: give the variable a member or a number that stands for it",
    "null": "no value is missing here: give the variable a member or a number that stands for it",
}


def place(part: Any) -> Span:
    """Where a node or a token stands."""
    return part.span  # type: ignore[no-any-return]


def over(parts: Parts) -> Span:
    """The stretch from the first part to the last."""
    return place(parts[0]).to(place(parts[-1]))


class Builder:
    """Builds one tree; `faults` collects what is wrong on the way."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.faults: list[Diagnostic] = []
        self._members: set[str] = set()
        self._foreign: list[s.Name] = []

    def finish(self) -> list[Diagnostic]:
        """Every fault found while building, each place once."""
        for name in self._foreign:
            if name.name not in self._members:
                message = f"`{name.name}` is a word of another language"
                hint = FOREIGN_WORDS[name.name]
                self._report("G002", message, name.span, hint if " " in hint else f"write {hint}")
        return _outermost(self.faults)

    def _report(self, code: str, message: str, span: Span, hint: str | None = None) -> None:
        self.faults.append(Diagnostic(code, message, span, help=hint))

    def _refuse(self, what: str, span: Span) -> None:
        self._report("G005", f"{what} is not supported in this version yet", span)

    def _refuse_item(self, what: str, parts: Parts) -> None:
        self._refuse(what, over(parts))

    def _refuse_expr(self, what: str, parts: Parts) -> s.Expr:
        self._refuse(what, place(parts[0]))
        return s.BoolLit(False, over(parts))

    # --- the machine ---

    def build_machine(self, parts: Parts) -> s.Machine:
        name, items = parts[1], parts[2:]
        environment = self._one(s.Environment, "environment", items, name)
        utility = self._one(s.Utility, "utility", items, name)
        agent = self._one(s.Code, "agent", items, name)
        top = tuple(i for i in items if isinstance(i, s.Enum | s.Const | s.Table | s.Def))
        span = over(parts[:2]).to(place(next((p for p in parts[::-1] if p is not None), name)))
        return s.Machine(s.Declarations(str(name), top, environment, utility, span), agent, span)

    def _one(self, kind: type[Any], word: str, items: Parts, name: Any) -> Any:
        found = [i for i in items if isinstance(i, kind)]
        for extra in found[1:]:
            message = f"a second `{word}` block; a machine has exactly one"
            self._report("G004", message, _head(extra.span, word))
        if not found:
            message = f"machine `{name}` has no `{word}` block; a machine has exactly one"
            hint = f"add `{word} {{ … }}`"
            self._report("G004", message, place(name), hint)
            return kind((), NO_SPAN)
        return found[0]

    def build_patch(self, parts: Parts) -> s.Code:
        code = parts[0]
        return code if code is not None else s.Code(())

    def build_expression(self, parts: Parts) -> s.Expr:
        return parts[0]  # type: ignore[no-any-return]

    def build_enum(self, parts: Parts) -> s.Enum:
        names = [p for p in parts if _is(p, "NAME")]
        self._members.update(names)
        return s.Enum(str(names[0]), tuple(str(n) for n in names[1:]), over(parts))

    def build_const(self, parts: Parts) -> s.Const:
        self._members.add(parts[1])
        return s.Const(str(parts[1]), parts[3], over(parts))

    def build_table(self, parts: Parts) -> s.Table:
        return s.Table(str(parts[1]), parts[3], parts[5], over(parts))

    def build_def(self, parts: Parts) -> s.Def:
        parameters = tuple(p for p in parts if isinstance(p, s.Parameter))
        return s.Def(str(parts[1]), parameters, parts[-3], parts[-1], over(parts))

    def build_parameter(self, parts: Parts) -> s.Parameter:
        return s.Parameter(str(parts[0]), parts[2], over(parts))

    # --- what is declared ---

    def build_environment(self, parts: Parts) -> s.Environment:
        return s.Environment(_nodes(parts), over(parts))

    def build_state(self, parts: Parts) -> s.State:
        return s.State(str(parts[1]), parts[3], parts[5], over(parts))

    def build_any(self, parts: Parts) -> s.Expr:
        self._refuse("`any` as a start", over(parts))
        return s.BoolLit(False, over(parts))

    def build_unknown(self, parts: Parts) -> None:
        self._refuse_item("`unknown`", parts)

    def build_assume(self, parts: Parts) -> None:
        self._refuse_item("`assume`", parts)

    def build_observe(self, parts: Parts) -> s.Observe:
        return s.Observe(tuple(str(p) for p in parts if _is(p, "NAME")), over(parts))

    def build_action(self, parts: Parts) -> s.Action:
        return s.Action(str(parts[1]), parts[3], over(parts))

    def build_adversary(self, parts: Parts) -> None:
        self._refuse_item("`adversary`", parts)

    def build_chance(self, parts: Parts) -> s.Chance:
        return s.Chance(str(parts[1]), parts[3], parts[5], over(parts))

    def build_define(self, parts: Parts) -> s.Define:
        return s.Define(str(parts[1]), parts[3], over(parts))

    def build_next(self, parts: Parts) -> s.Next:
        return s.Next(str(parts[0])[:-1], parts[2], over(parts))

    def build_reward(self, parts: Parts) -> s.Reward:
        return s.Reward(parts[2], over(parts))

    def build_done(self, parts: Parts) -> s.Done:
        return s.Done(parts[2], over(parts))

    def build_utility(self, parts: Parts) -> s.Utility:
        return s.Utility(_nodes(parts), over(parts))

    def build_setting(self, parts: Parts) -> s.Setting:
        return s.Setting(str(parts[0]), parts[1], over(parts))

    def build_costs(self, parts: Parts) -> None:
        self._refuse_item(f"`{parts[0]}`", parts)

    def build_require(self, parts: Parts) -> None:
        self._refuse_item("`require`", parts)

    def build_search(self, parts: Parts) -> None:
        self._refuse_item("`search`", parts)

    def build_family(self, parts: Parts) -> None:
        """Part of `search`."""

    build_switch = build_prices = build_world = build_report = build_family

    # --- code ---

    def build_code(self, parts: Parts) -> s.Code | None:
        if parts[0] == "searcher":
            self._refuse_item("`searcher`", parts)
            return None
        slots = _nodes(parts)
        policies = [p for p in slots if isinstance(p, s.Policy)]
        for extra in policies[1:]:
            message = "a second `policy` without a name; an agent has exactly one"
            self._report("G004", message, _head(extra.span, "policy"))
        if not policies:
            message = "the agent has no `policy` block; it has exactly one without a name"
            self._report("G004", message, place(parts[0]), "add `policy { … }`")
        return s.Code(slots, over(parts))

    def build_memory(self, parts: Parts) -> None:
        self._refuse_item("`memory`", parts)

    def build_param(self, parts: Parts) -> s.Param:
        return s.Param(str(parts[1]), parts[3], parts[5], over(parts))

    def build_policy(self, parts: Parts) -> s.Policy | None:
        if _is(parts[1], "NAME"):
            self._refuse_item("a policy with a name", parts)
            return None
        return s.Policy("main", _nodes(parts), over(parts))

    def build_assign(self, parts: Parts) -> s.Assign:
        return s.Assign(str(parts[0]), parts[2], over(parts))

    def build_keep(self, parts: Parts) -> None:
        self._refuse_item("assigning memory", parts)

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
        self._refuse("`bits[n]`", over(parts))
        return s.BoolType(over(parts))

    def build_named_type(self, parts: Parts) -> s.TypeExpr:
        return s.NamedType(str(parts[0]), over(parts))

    # --- distributions ---

    def build_dist_map(self, parts: Parts) -> s.Dist:
        return s.DistMap(_nodes(parts), over(parts))

    def build_dist_for(self, parts: Parts) -> s.Dist:
        return s.DistFor(str(parts[2]), parts[4], parts[6], parts[8], over(parts))

    def build_dist_if(self, parts: Parts) -> s.Dist:
        return s.DistIf(parts[1], parts[3], parts[5], over(parts))

    def build_dist_let(self, parts: Parts) -> s.Dist:
        return s.DistLet(str(parts[1]), parts[3], parts[5], over(parts))

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
        return s.Let(str(parts[1]), parts[3], parts[5], over(parts))

    def build_fold(self, parts: Parts) -> s.Expr:
        return self._refuse_expr("`fold`", parts)

    def build_quantifier(self, parts: Parts) -> s.Expr:
        return self._refuse_expr(f"`{parts[0]}`", parts)

    def build_operation(self, parts: Parts) -> s.Expr:
        if len(parts) == 1:
            return parts[0]  # type: ignore[no-any-return]
        return Grouping(self.text, place, self.faults.append).group(parts)

    def build_updated(self, parts: Parts) -> s.Expr:
        self._refuse("`with`", place(parts[1]))
        return s.BoolLit(False, over(parts))

    def build_index(self, parts: Parts) -> s.Expr:
        return s.Index(parts[0], parts[2], over(parts))

    def build_number(self, parts: Parts) -> s.Expr:
        return self._numeral(str(parts[0]), over(parts))

    def _numeral(self, text: str, span: Span) -> s.IntLit | s.RatLit:
        try:
            value = read_numeral(text)
        except NumeralTooLong:
            message = f"a number of more than {BITS_MAX:,} bits"
            self._report("G003", message, span, "a number holds at most 4,096 bits, 1,233 digits")
            value = 1
        if isinstance(value, Fraction):
            return s.RatLit(value, text, span)
        return s.IntLit(value, text, span)

    def build_truth(self, parts: Parts) -> s.Expr:
        return s.BoolLit(parts[0] == "true", over(parts))

    def build_name(self, parts: Parts) -> s.Expr:
        return self._named(str(parts[0]), over(parts))

    def _named(self, text: str, span: Span) -> s.Name:
        name = s.Name(text, span)
        if text in FOREIGN_WORDS:
            self._foreign.append(name)
        return name

    def build_primed(self, parts: Parts) -> s.Expr:
        return s.Primed(str(parts[0])[:-1], over(parts))

    def build_member(self, parts: Parts) -> s.Expr:
        return s.Member(str(parts[0]), str(parts[2]), over(parts))

    def build_call(self, parts: Parts) -> s.Expr:
        return s.Call(str(parts[0]), _nodes(parts), over(parts))

    def build_conversion(self, parts: Parts) -> s.Expr:
        form = "`int(…)`" if parts[0] == "int" else f"`{parts[0]}[n](…)`"
        return self._refuse_expr(form, parts)

    def build_parenthesis(self, parts: Parts) -> s.Expr:
        # the span takes the parentheses in, so that a tree can be cut out of its source
        return replace(parts[1], span=over(parts))  # type: ignore[no-any-return]

    def build_literal_array(self, parts: Parts) -> s.Expr:
        token = parts[0]
        line, line_start = token.line, token.start - token.column + 1
        opened: list[tuple[Span, list[s.Expr]]] = []
        for kind, part, offset in scan_row(token):
            if kind == "newline":
                line, line_start = line + 1, token.start + offset + 1
                continue
            start = token.start + offset
            end = start + len(part)
            column = start - line_start + 1
            span = Span(line, column, line, column + len(part), start, end)
            if kind == "number":
                value: s.Expr
                value = (
                    s.IntLit(int(part), part, span)
                    if len(part) < 9 and part.isdigit()
                    else self._numeral(part, span)
                )
            elif kind == "name":
                value = (
                    s.BoolLit(part == "true", span)
                    if part in ("true", "false")
                    else self._named(part, span)
                )
            elif kind == "[":
                opened.append((span, []))
                continue
            else:
                first, items = opened.pop()
                value = s.ArrayLit(tuple(items), first.to(span))
                if not opened:
                    return value
            opened[-1][1].append(value)
        raise AssertionError("the grammar closes every array")

    def build_array(self, parts: Parts) -> s.Expr:
        return s.ArrayLit(_nodes(parts), over(parts))

    def build_array_for(self, parts: Parts) -> s.Expr:
        return s.ArrayFor(str(parts[2]), parts[4], parts[6], parts[8], over(parts))

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
                self._report("G001", message, place(head) if _is(head, "ELSE") else head[0].span)
            if _is(head, "ELSE"):
                otherwise = body
            else:
                arms.append(kind(head, body, head[0].span.to(body.span)))
        return tuple(arms), otherwise

    def build_pattern(self, parts: Parts) -> tuple[s.Expr, ...]:
        return _nodes(parts)

    def build_negative(self, parts: Parts) -> s.Expr:
        literal = parts[1]
        return replace(literal, value=-literal.value, text="-" + literal.text, span=over(parts))  # type: ignore[no-any-return]

    def build_fraction(self, parts: Parts) -> s.Expr:
        over_, under = self.build_number(parts[:1]), self.build_number(parts[2:])
        assert isinstance(over_, s.IntLit) and isinstance(under, s.IntLit)
        if under.value == 0:
            self._report("G001", "a fraction over zero has no value", over(parts))
            return over_
        text = f"{over_.text}/{under.text}"
        return s.RatLit(Fraction(over_.value, under.value), text, over(parts))


def _is(part: Any, kind: str) -> bool:
    return isinstance(part, Token) and part.kind == kind


def _nodes(parts: Parts) -> tuple[Any, ...]:
    return tuple(p for p in parts if isinstance(p, s.Node))


def _head(span: Span, word: str) -> Span:
    """The keyword that a block begins with."""
    end = span.column + len(word)
    return Span(span.line, span.column, span.line, end, span.start, span.start + len(word))


def _outermost(faults: list[Diagnostic]) -> list[Diagnostic]:
    """The faults without those G005 that lie inside another one."""
    kept, reached = [], -1
    for fault in sorted(faults, key=lambda f: (f.span.start, -f.span.end)):
        if fault.code == "G005":
            if fault.span.end <= reached:
                continue
            reached = fault.span.end
        kept.append(fault)
    return kept
