"""Encode expressions as SMT-LIB 2 terms, each with a second term for the ticks it takes.

Meaning and ticks follow `dsl/interp.py`, node by node; where an expression has no value, the term has an arbitrary one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from dsl import syntax as s
from dsl.interp import BUILT_INS, Evaluator, Globals
from proofs.smtlib import (
    NO_TICKS,
    Binding,
    Encoded,
    Local,
    Lookup,
    Row,
    Term,
    Ticks,
    bind,
    bits_numeral,
    bits_sort,
    chain_turns,
    choose,
    conjunction,
    decimal,
    equal,
    limited,
    look_up,
    numeral,
    same_sort,
    scalar,
    spread,
    to_real,
    width_of,
    wrap,
    wrap_ticks,
    wrap_turns,
)


class Surroundings(Protocol):
    """What an expression may read apart from its variables."""

    names: Globals

    def constant(self, name: str) -> Encoded:
        """A constant, table, parameter of the program or enum member."""

    def call(self, name: str, args: Sequence[Encoded]) -> Encoded:
        """The result of a `def`."""

    def call_ticks(self, name: str, args: Sequence[Encoded]) -> Ticks:
        """The ticks of the body of a `def`."""


class Encoder:
    """Encodes expressions bottom-up; without `counts`, ticks are left out."""

    def __init__(self, surroundings: Surroundings, *, counts: bool = False) -> None:
        self.surroundings = surroundings
        self.counts = counts
        self.fresh = 0

    def value(self, expr: s.Expr, local: Local) -> Encoded:
        """The value alone."""
        return _CASES[type(expr)](self, expr, local)[0]

    def both(self, expr: s.Expr, local: Local) -> tuple[Encoded, Ticks]:
        """The value and the ticks."""
        return _CASES[type(expr)](self, expr, local)

    def patterns(self, subject: Encoded, patterns: Iterable[s.Expr]) -> str:
        """Whether one of the patterns is equal to the subject."""
        tests = [equal(subject, self.value(p, {})).text for p in patterns]
        return tests[0] if len(tests) == 1 else f"(or {' '.join(tests)})"

    def bound_subject(self, subject: s.Expr, local: Local) -> tuple[Encoded, list[Binding], Ticks]:
        """The subject of a match under a name of its own."""
        value, ticks = self.both(subject, local)
        name, bindings = bind(self._fresh("subject"), value)
        return name, bindings, ticks

    def turns(self, low: s.Expr, high: s.Expr) -> range:
        """The integers of a constant range."""
        evaluator = Evaluator(self.surroundings.names)
        return range(evaluator.value(low, {}), evaluator.value(high, {}) + 1)

    def bind_local(
        self, name: str, value: s.Expr, local: Local
    ) -> tuple[Local, list[Binding], Ticks]:
        """The local names with one more, and what is to be bound by `let`."""
        encoded, ticks = self.both(value, local)
        bound, bindings = bind(name, encoded)
        return {**local, name: bound}, bindings, ticks

    def index(self, array: Encoded, index: Term) -> Encoded:
        """One item of an array; outside the array an arbitrary one."""
        if isinstance(array, Lookup):
            return look_up(array, index.text)
        items = spread(array).items
        if index.number is not None:
            return items[min(max(index.number, 0), len(items) - 1)]
        name, bindings = bind(self._fresh("index"), index)
        found = items[-1]
        for i in reversed(range(len(items) - 1)):
            found = choose(f"(= {scalar(name).text} {i})", items[i], found)
        return wrap(bindings, found)

    def fresh_bind(self, word: str, value: Encoded) -> tuple[Encoded, list[Binding]]:
        """The value under a name of its own, which begins with a word."""
        return bind(self._fresh(word), value)

    def changed(self, array: Encoded, index: Term, value: Encoded) -> Encoded:
        """The array with one item replaced; unchanged where the index is outside."""
        items = spread(array).items
        if index.number is not None:
            return Row(tuple(value if i == index.number else x for i, x in enumerate(items)))
        return Row(tuple(choose(f"(= {index.text} {i})", value, x) for i, x in enumerate(items)))

    def price(self, operation: str, times: int = 1) -> Ticks:
        """The ticks of an operation, by its name in `costs`."""
        prices = self.surroundings.names.prices
        return Ticks(times * prices.get(operation, 1))

    def _fresh(self, word: str) -> str:
        self.fresh += 1
        return f"{word}!{self.fresh}"

    def _either(self, test: str, then: Ticks, otherwise: Ticks) -> Ticks:
        if not self.counts or then == otherwise:
            return then
        return Ticks(0, (limited(f"(ite {test} {then.text} {otherwise.text})"),))

    # --- one method a node -----------------------------------------------------------------------

    def _bool(self, expr: s.BoolLit, local: Local) -> tuple[Encoded, Ticks]:
        return Term("true" if expr.value else "false", "Bool"), NO_TICKS

    def _int(self, expr: s.IntLit, local: Local) -> tuple[Encoded, Ticks]:
        return Term(numeral(expr.value), "Int", expr.value), NO_TICKS

    def _rat(self, expr: s.RatLit, local: Local) -> tuple[Encoded, Ticks]:
        return Term(decimal(expr.value), "Real"), NO_TICKS

    def _name(self, expr: s.Name, local: Local) -> tuple[Encoded, Ticks]:
        name = expr.name
        return local[name] if name in local else self.surroundings.constant(name), NO_TICKS

    def _primed(self, expr: s.Primed, local: Local) -> tuple[Encoded, Ticks]:
        return local[expr.name + "'"], NO_TICKS

    def _member(self, expr: s.Member, local: Local) -> tuple[Encoded, Ticks]:
        return Term(f"{expr.enum}.{expr.member}", "Int"), NO_TICKS

    def _unary(self, expr: s.Unary, local: Local) -> tuple[Encoded, Ticks]:
        value, ticks = self.both(expr.operand, local)
        operand = scalar(value)
        if width_of(operand) is not None:
            return _bits_operation(expr.op, [operand]), ticks + self.price(expr.op)
        return Term(f"({expr.op} {operand.text})", operand.sort), ticks + self.price(expr.op)

    def _binary(self, expr: s.Binary, local: Local) -> tuple[Encoded, Ticks]:
        op = expr.op
        left, left_ticks = self.both(expr.left, local)
        right, right_ticks = self.both(expr.right, local)
        a, b = scalar(left), scalar(right)
        if op in _JUNCTIONS:
            text = f"({_JUNCTIONS[op]} {a.text} {b.text})"
            goes_on = (right_ticks, NO_TICKS) if op != "or" else (NO_TICKS, right_ticks)
            ticks = left_ticks + self.price(op) + self._either(a.text, *goes_on)
            return Term(limited(text), "Bool"), ticks
        return _arithmetic(op, a, b), left_ticks + right_ticks + self.price(op)

    def _compare(self, expr: s.Compare, local: Local) -> tuple[Encoded, Ticks]:
        values, ticks = zip(*(self.both(o, local) for o in expr.operands), strict=True)
        names, bindings = list(values), list[Binding]()
        for i in range(1, len(values) - 1):
            # an operand that stands in two comparisons is written once
            names[i], bound = bind(self._fresh("middle"), values[i])
            bindings += bound
        tests = [
            _comparison(op, a, b) for op, a, b in zip(expr.ops, names, names[1:], strict=False)
        ]
        prices = [self.price(op) for op in expr.ops]
        total = ticks[-1] + prices[-1]
        for i in reversed(range(len(tests) - 1)):
            total = ticks[i + 1] + prices[i] + self._either(tests[i], total, NO_TICKS)
        if len(tests) > 1 and len(set(expr.ops)) == 1:
            value = Term(
                f"({expr.ops[0]} {' '.join(t.text for t in same_sort(map(scalar, names)))})",
                "Bool",
            )
        else:
            value = conjunction(tests)
        return wrap(bindings, value), ticks[0] + wrap_ticks(bindings, total)

    def _if(self, expr: s.If, local: Local) -> tuple[Encoded, Ticks]:
        test, test_ticks = self.both(expr.test, local)
        then, then_ticks = self.both(expr.then, local)
        otherwise, otherwise_ticks = self.both(expr.otherwise, local)
        condition = scalar(test).text
        ticks = self.price("if") + test_ticks + self._either(condition, then_ticks, otherwise_ticks)
        return choose(condition, then, otherwise), ticks

    def _let(self, expr: s.Let, local: Local) -> tuple[Encoded, Ticks]:
        inner, bindings, ticks = self.bind_local(expr.name, expr.value, local)
        value, body_ticks = self.both(expr.body, inner)
        total = self.price("let") + ticks + wrap_ticks(bindings, body_ticks)
        return wrap(bindings, value), total

    def _match(self, expr: s.Match, local: Local) -> tuple[Encoded, Ticks]:
        subject, bindings, ticks = self.bound_subject(expr.subject, local)
        arms = [(self.patterns(subject, a.patterns), *self.both(a.body, local)) for a in expr.arms]
        # without `else` the last arm is the rest: no other value occurs where the match has one
        _, value, arm_ticks = arms[-1] if arms else ("", Row(()), NO_TICKS)
        rest = arms[:-1]
        if expr.otherwise is not None:
            value, arm_ticks = self.both(expr.otherwise, local)
            rest = arms
        for test, body, body_ticks in reversed(rest):
            value, arm_ticks = choose(test, body, value), self._either(test, body_ticks, arm_ticks)
        total = self.price("match") + ticks + wrap_ticks(bindings, arm_ticks)
        return wrap(bindings, value), total

    def _call(self, expr: s.Call, local: Local) -> tuple[Encoded, Ticks]:
        name = expr.name
        values: list[Encoded] = []
        ticks = NO_TICKS
        for arg in expr.args:
            value, arg_ticks = self.both(arg, local)
            values.append(value)
            ticks += arg_ticks
        terms = [scalar(v) for v in values if isinstance(v, Term)]
        if name in _BITS_WORDS:
            return _bits_operation(name, terms), ticks + self.price(name)
        if name in BUILT_INS:
            times = len(values) - 1 if name in ("min", "max") else 1
            return _built_in(name, terms), ticks + self.price(name, times)
        if name in self.surroundings.names.enums:
            return values[0], ticks + self.price("convert")
        ticks += self.price("call")
        if self.counts:
            ticks += self.surroundings.call_ticks(name, values)
        return self.surroundings.call(name, values), ticks

    def _index(self, expr: s.Index, local: Local) -> tuple[Encoded, Ticks]:
        array, array_ticks = self.both(expr.array, local)
        index, index_ticks = self.both(expr.index, local)
        return self.index(array, scalar(index)), array_ticks + index_ticks + self.price("index")

    def _array(self, expr: s.ArrayLit, local: Local) -> tuple[Encoded, Ticks]:
        return self._row([self.both(item, local) for item in expr.items])

    def _array_for(self, expr: s.ArrayFor, local: Local) -> tuple[Encoded, Ticks]:
        found: list[tuple[Encoded, Ticks]] = []
        for i in self.turns(expr.low, expr.high):
            found.append(self.both(expr.body, {**local, expr.var: Term(numeral(i), "Int", i)}))
        return self._row(found)

    def _row(self, found: list[tuple[Encoded, Ticks]]) -> tuple[Encoded, Ticks]:
        ticks = self.price("array") + Ticks(
            sum(t.fixed for _, t in found), tuple(text for _, t in found for text in t.terms)
        )
        return Row(tuple(value for value, _ in found)), ticks

    def _with(self, expr: s.With, local: Local) -> tuple[Encoded, Ticks]:
        array, ticks = self.both(expr.array, local)
        bindings: list[Binding] = []
        for change in expr.changes:
            # of equal indices the last entry counts, so the later change is made on top of the earlier
            found: list[Encoded] = []
            for word, tree in (("index", change.index), ("entry", change.value)):
                value, own = self.both(tree, local)
                name, bound = self.fresh_bind(word, value)
                found.append(name)
                bindings += bound
                ticks += own
            array = self.changed(array, scalar(found[0]), found[1])
        total = ticks + self.price("with", len(expr.changes))
        return wrap(bindings, array), total

    def _fold(self, expr: s.Fold, local: Local) -> tuple[Encoded, Ticks]:
        value, start_ticks = self.both(expr.start, local)
        turns: list[list[Binding]] = []
        parts: list[tuple[str, ...]] = []
        total = self.price("fold") + start_ticks
        for i in self.turns(expr.low, expr.high):
            inner, bindings = self.fold_turn(expr, i, value, local)
            value, ticks = self.both(expr.body, inner)
            turns.append(bindings)
            parts.append(ticks.terms)
            total += self.price("fold") + Ticks(ticks.fixed)
        chained = chain_turns(turns, parts, "+") if self.counts else ""
        return wrap_turns(turns, value), total + Ticks(0, (chained,) if chained else ())

    def fold_turn(
        self, expr: s.Fold, i: int, value: Encoded, local: Local
    ) -> tuple[Local, list[Binding]]:
        """The local names of a turn of a fold, given what the turn before came to."""
        acc, bindings = self.fresh_bind(expr.acc, value)
        return {**local, expr.acc: acc, expr.var: Term(numeral(i), "Int", i)}, bindings

    def _quantifier(self, expr: s.Quantifier, local: Local) -> tuple[Encoded, Ticks]:
        tests: list[str] = []
        counted: list[Ticks] = []
        for i in self.turns(expr.low, expr.high):
            value, ticks = self.both(expr.body, {**local, expr.var: Term(numeral(i), "Int", i)})
            tests.append(scalar(value).text)
            counted.append(ticks + self.price(expr.word))
        if expr.word == "forall":
            value = conjunction(tests)
        else:
            value = Term(tests[0] if len(tests) == 1 else f"(or {' '.join(tests)})", "Bool")
        return value, self._turns_made(expr.word, tests, counted) if self.counts else NO_TICKS

    @staticmethod
    def _turns_made(word: str, tests: list[str], counted: list[Ticks]) -> Ticks:
        """The ticks of the turns up to the first that settles the answer."""
        opened = [
            f"(+ {ticks.text} (ite {test} " + ("0 " if word == "exists" else "")
            for test, ticks in zip(tests[:-1], counted, strict=False)
        ]
        closed = "))" if word == "exists" else " 0))"
        last = counted[-1]
        if not opened:
            return last
        return Ticks(0, (limited("".join(opened) + last.text + closed * len(opened)),))

    # --- bits ------------------------------------------------------------------------------------

    def _bits(self, expr: s.BitsOp, local: Local) -> tuple[Encoded, Ticks]:
        if expr.op == "sext":
            value, ticks = self.both(expr.args[0], local)
            target = Evaluator(self.surroundings.names).value(expr.args[1], {})
            return _resized(scalar(value), target, signed=True), ticks + self.price("sext")
        found = [self.both(a, local) for a in expr.args]
        terms = [scalar(value) for value, _ in found]
        if expr.op == "literal":
            return _to_bits(terms[0], expr.width), NO_TICKS
        ticks = self.price(expr.op)
        for _, own in found:
            ticks += own
        if expr.op == "bits":
            return _to_bits(terms[0], expr.width), ticks
        return _bits_operation(expr.op, terms), ticks

    def _resize(self, expr: s.Resize, local: Local) -> tuple[Encoded, Ticks]:
        value, ticks = self.both(expr.operand, local)
        width = Evaluator(self.surroundings.names).value(expr.width, {})
        ticks += self.price(expr.word)
        if expr.word == "sext":
            return _resized(scalar(value), width, signed=True), ticks
        return _to_bits(scalar(value), width), ticks


_JUNCTIONS = {"and": "and", "or": "or", "implies": "=>"}


def _arithmetic(op: str, left: Term, right: Term) -> Term:
    if op in ("<<", ">>"):
        return _shifted(op, left, right)
    if width_of(left) is not None or width_of(right) is not None:
        return _bits_operation(op, [left, right])
    if op == "/":
        return Term(limited(f"(/ {to_real(left).text} {to_real(right).text})"), "Real")
    if op in ("div", "mod"):
        # SMT-LIB's remainder is never negative; for positive divisors that is the same as to floor
        plain = right.number is not None and right.number > 0
        name = op if plain else f"{op}.floor"
        return Term(limited(f"({name} {left.text} {right.text})"), "Int")
    left, right = same_sort([left, right])
    return Term(limited(f"({op} {left.text} {right.text})"), left.sort)


_BITS_WORDS: Mapping[str, str] = {
    "ult": "bvult",
    "ule": "bvule",
    "slt": "bvslt",
    "sle": "bvsle",
    "udiv": "bvudiv",
    "urem": "bvurem",
    "sdiv": "bvsdiv",
    "srem": "bvsrem",
    "ashr": "bvashr",
    "int": "ubv_to_int",
    "sint": "sbv_to_int",
}
_BITS_SIGNS: Mapping[str, str] = {
    "+": "bvadd",
    "-": "bvsub",
    "*": "bvmul",
    "&": "bvand",
    "|": "bvor",
    "^": "bvxor",
    "~": "bvnot",
}
_BITS_TESTS = ("ult", "ule", "slt", "sle")


def _bits_operation(op: str, args: Sequence[Term]) -> Term:
    """An operation on bits of one width. SMT-LIB's quotients and remainders are ours wherever the divisor is not 0."""
    if op in ("<<", ">>", "ashr"):
        return _shifted(op, args[0], args[1])
    args = same_sort(args)
    if op in ("int", "sint"):
        return Term(limited(f"({_BITS_WORDS[op]} {args[0].text})"), "Int")
    name = "bvneg" if op == "-" and len(args) == 1 else {**_BITS_WORDS, **_BITS_SIGNS}[op]
    sort = "Bool" if op in _BITS_TESTS else args[0].sort
    return Term(limited(f"({name} {' '.join(a.text for a in args)})"), sort)


_SHIFTS: Mapping[str, str] = {"<<": "bvshl", ">>": "bvlshr", "ashr": "bvashr"}


def _shifted(op: str, value: Term, amount: Term) -> Term:
    """A shift; by the width of the value or more it leaves nothing but zeros, or copies of the sign."""
    width = width_of(value)
    if width is None:
        raise TypeError("only bits are shifted")
    by = width_of(amount)
    name = _SHIFTS[op]
    if by is not None:
        # both at the wider of the two widths, where no amount is cut
        wide = max(width, by)
        grown = _resized(value, wide, signed=op == "ashr")
        made = Term(
            limited(f"({name} {grown.text} {_resized(amount, wide).text})"), bits_sort(wide)
        )
        return _resized(made, width)
    most = f"({name} {value.text} {bits_numeral(width - 1, width).text})"
    beyond = most if op == "ashr" else bits_numeral(0, width).text
    if amount.number is not None:
        if amount.number >= width:
            return Term(limited(beyond), value.sort)
        shift = bits_numeral(amount.number, width).text
        return Term(limited(f"({name} {value.text} {shift})"), value.sort)
    moved = f"({name} {value.text} {_to_bits(amount, width).text})"
    return Term(limited(f"(ite (>= {amount.text} {width}) {beyond} {moved})"), value.sort)


def _to_bits(term: Term, width: int) -> Term:
    """Bits of a width: of other bits those that fit, filled with zeros; of an integer those of its residue."""
    if width_of(term) is not None:
        return _resized(term, width)
    if term.number is not None:
        return bits_numeral(term.number, width)
    return Term(limited(f"((_ int_to_bv {width}) {term.text})"), bits_sort(width))


def _resized(term: Term, width: int, *, signed: bool = False) -> Term:
    """Bits cut to a width, or filled up to it with zeros or the sign."""
    found = width_of(term)
    if found is None:
        raise TypeError("only bits are resized")
    if width == found:
        return term
    if width < found:
        return Term(limited(f"((_ extract {width - 1} 0) {term.text})"), bits_sort(width))
    word = "sign_extend" if signed else "zero_extend"
    return Term(limited(f"((_ {word} {width - found}) {term.text})"), bits_sort(width))


def _comparison(op: str, left: Encoded, right: Encoded) -> str:
    if op == "==":
        return equal(left, right).text
    if op == "!=":
        return f"(not {equal(left, right).text})"
    a, b = same_sort([scalar(left), scalar(right)])
    return limited(f"({op} {a.text} {b.text})")


def _built_in(name: str, args: list[Term]) -> Term:
    if name == "ord":
        return args[0]
    if name == "floor":
        return Term(f"(to_int {to_real(args[0]).text})", "Int")
    args = same_sort(args)
    sort = args[0].sort
    word = f"{name}.{'rat' if sort == 'Real' else 'int'}"
    if name in ("min", "max"):
        found = args[0]
        for arg in args[1:]:
            found = Term(limited(f"({word} {found.text} {arg.text})"), sort)
        return found
    return Term(limited(f"({word} {' '.join(a.text for a in args)})"), sort)


_CASES: Mapping[type[s.Node], Callable[[Encoder, Any, Local], tuple[Encoded, Ticks]]] = {
    s.BoolLit: Encoder._bool,
    s.IntLit: Encoder._int,
    s.RatLit: Encoder._rat,
    s.Name: Encoder._name,
    s.Primed: Encoder._primed,
    s.Member: Encoder._member,
    s.Unary: Encoder._unary,
    s.Binary: Encoder._binary,
    s.Compare: Encoder._compare,
    s.If: Encoder._if,
    s.Let: Encoder._let,
    s.Match: Encoder._match,
    s.Call: Encoder._call,
    s.Index: Encoder._index,
    s.ArrayLit: Encoder._array,
    s.ArrayFor: Encoder._array_for,
    s.With: Encoder._with,
    s.Fold: Encoder._fold,
    s.Quantifier: Encoder._quantifier,
    s.Resize: Encoder._resize,
    s.BitsOp: Encoder._bits,
}
