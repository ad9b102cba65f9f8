"""Reading: literals, precedence, spans, and what is said about texts that do not parse."""

from __future__ import annotations

import logging
from fractions import Fraction
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import syntax as s
from dsl.codes import CODES
from dsl.errors import Diagnostic, DslError
from dsl.parser import parse_blocks, parse_expression, parse_machine, parse_patch

A, B, C = s.Name("a"), s.Name("b"), s.Name("c")
LAMP = """\
machine lamp

environment {
  state lit: bool = false
  action press: bool
  lit'   = press
  reward = if lit' then 1 else 0
}

utility { discount 9/10 }

agent { policy { press = false } }
"""


def faults(text: str) -> tuple[Diagnostic, ...]:
    """What is wrong with a machine file."""
    with pytest.raises(DslError) as caught:
        parse_machine(text)
    return caught.value.diagnostics


def fault(text: str) -> Diagnostic:
    """The first thing that is wrong with an expression."""
    with pytest.raises(DslError) as caught:
        parse_expression(text)
    return caught.value.diagnostics[0]


def in_environment(text: str) -> str:
    """A machine whose environment holds the text."""
    return f"machine m environment {{ {text} }} utility {{ }} agent {{ policy {{ }} }}"


# --- what is read --------------------------------------------------------------------------------


def test_machine_is_read_whole() -> None:
    machine = parse_machine(LAMP)
    declarations = machine.declarations
    assert declarations.name == "lamp"
    assert declarations.environment.items == (
        s.State("lit", s.BoolType(), s.BoolLit(False)),
        s.Action("press", s.BoolType()),
        s.Next("lit", s.Name("press")),
        s.Reward(s.If(s.Primed("lit"), s.IntLit(1), s.IntLit(0))),
    )
    assert declarations.utility.settings == (s.Setting("discount", s.RatLit(Fraction(9, 10))),)
    assert machine.agent.slots == (s.Policy("main", (s.Assign("press", s.BoolLit(False)),)),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-1", s.IntLit(-1)),
        ("- 1", s.IntLit(-1)),
        ("- -1", s.IntLit(1)),
        ("-(1)", s.IntLit(-1)),
        ("1_000_000", s.IntLit(1_000_000)),
        ("0x1F", s.IntLit(31)),
        ("0b1_01", s.IntLit(5)),
        ("0.05", s.RatLit(Fraction(1, 20))),
        ("1/3", s.RatLit(Fraction(1, 3))),
        ("-1/3", s.RatLit(Fraction(-1, 3))),
        ("(1)/(3)", s.RatLit(Fraction(1, 3))),
        ("4/2", s.RatLit(Fraction(2))),
        ("1/0", s.Binary("/", s.IntLit(1), s.IntLit(0))),
        ("1/-3", s.Binary("/", s.IntLit(1), s.IntLit(-3))),
        ("0.5/2", s.Binary("/", s.RatLit(Fraction(1, 2)), s.IntLit(2))),
        ("1/2/3", s.Binary("/", s.RatLit(Fraction(1, 2)), s.IntLit(3))),
        ("-a/3", s.Binary("/", s.Unary("-", A), s.IntLit(3))),
        ("~1", s.Unary("~", s.IntLit(1))),
        ("-1 with { a: b }", s.Unary("-", s.With(s.IntLit(1), (s.Change(A, B),)))),
    ],
)
def test_literals_and_fractions_of_literals_are_folded(text: str, expected: s.Expr) -> None:
    assert parse_expression(text) == expected


def test_product_before_a_fraction_is_not_folded() -> None:
    product = s.Binary("*", s.IntLit(2), s.IntLit(1))
    assert parse_expression("2 * 1/3") == s.Binary("/", product, s.IntLit(3))


@pytest.mark.parametrize(
    ("text", "spelling"),
    [("1_000", "1_000"), ("0.050", "0.050"), ("- 1 / 3", "-1/3"), ("0x1F", "0x1F")],
)
def test_literals_remember_their_spelling(text: str, spelling: str) -> None:
    literal = parse_expression(text)
    assert isinstance(literal, s.IntLit | s.RatLit)
    assert literal.text == spelling


def test_operators_group_by_precedence() -> None:
    left = s.Binary("and", s.Unary("not", s.Compare(("==",), (A, B))), C)
    assert parse_expression("not a == b and c or a") == s.Binary("or", left, A)
    tail = s.Binary("implies", B, C)
    assert parse_expression("a implies b implies c") == s.Binary("implies", A, tail)
    assert parse_expression("a - b - c") == s.Binary("-", s.Binary("-", A, B), C)
    assert parse_expression("-a * b + c") == s.Binary("+", s.Binary("*", s.Unary("-", A), B), C)
    assert parse_expression("-a[b]") == s.Unary("-", s.Index(A, B))
    shift = s.Binary("<<", A, s.Binary("+", B, C))
    assert parse_expression("a << b + c") == shift
    mixed = s.Binary("|", A, s.Binary("^", B, s.Binary("&", C, shift)))
    assert parse_expression("a | b ^ c & a << b + c") == mixed
    assert parse_expression("a & b == c") == s.Compare(("==",), (s.Binary("&", A, B), C))
    assert parse_expression("~a with { b: c }") == s.Unary("~", s.With(A, (s.Change(B, C),)))


def test_fold_and_quantifiers_reach_as_far_right_as_they_can() -> None:
    ends = (s.IntLit(0), s.Binary("-", B, s.IntLit(1)))
    turn = s.Binary("+", A, s.Name("i"))
    assert parse_expression("fold a = c for i in 0..b-1: a + i") == s.Fold("a", C, "i", *ends, turn)
    body = s.Quantifier("exists", "j", *ends, s.Binary("and", B, C))
    assert parse_expression("forall i in 0..b-1: exists j in 0..b-1: b and c") == s.Quantifier(
        "forall", "i", *ends, body
    )


def test_conversions_and_copies_are_read() -> None:
    assert parse_expression("int(a)") == s.Call("int", (A,))
    assert parse_expression("bits[b + 1](a)") == s.Resize("bits", s.Binary("+", B, s.IntLit(1)), A)
    assert parse_expression("sext[8](a)[b]") == s.Index(s.Resize("sext", s.IntLit(8), A), B)
    first = s.With(A, (s.Change(s.IntLit(0), B), s.Change(B, C)))
    assert parse_expression("a with { 0: b, b: c, }") == first
    assert parse_expression("a with { 0: b, b: c } with { b: c }") == s.With(
        first, (s.Change(B, C),)
    )


def test_chain_of_comparisons_is_one_node() -> None:
    assert parse_expression("a <= b < c") == s.Compare(("<=", "<"), (A, B, C))


def test_if_and_let_reach_as_far_right_as_they_can() -> None:
    text = "if a then b else let a = b in a + c"
    inner = s.Let("a", B, s.Binary("+", A, C))
    assert parse_expression(text) == s.If(A, B, inner)


def test_match_takes_literals_members_and_else() -> None:
    expected = s.Match(
        A,
        (
            s.Arm((s.IntLit(-1), s.RatLit(Fraction(-1, 2)), s.Name("up")), B),
            s.Arm((s.Member("Dir", "left"),), C),
        ),
        A,
    )
    assert parse_expression("match a { -1 | -1/2 | up: b, Dir.left: c, else: a, }") == expected


def test_array_of_literals_reads_like_any_other_array() -> None:
    cells = "1, -2, 1/3, 0.5, 0x1f, true, left, Dir.up, # a note ]\n 1_0,"
    quick, slow = parse_expression(f"[[{cells}], [3]]"), parse_expression(f"[[{cells} f(1)], [3]]")
    assert isinstance(quick, s.ArrayLit) and isinstance(slow, s.ArrayLit)
    fast_row, slow_row = quick.items[0], slow.items[0]
    assert isinstance(fast_row, s.ArrayLit) and isinstance(slow_row, s.ArrayLit)
    assert fast_row.items == slow_row.items[:-1]
    assert [i.span for i in fast_row.items] == [i.span for i in slow_row.items[:-1]]
    assert quick.items[1] == slow.items[1]


def test_fraction_over_zero_in_an_array_stays_a_division() -> None:
    zero = s.Binary("/", s.IntLit(1), s.IntLit(0))
    assert parse_expression("[1/0, 1/0_0]") == s.ArrayLit((zero, zero))


def test_types_and_distributions_are_read() -> None:
    text = in_environment(
        "state x: array[2] of array[E] of int 0..n-1 = { 1: 1/2, 2: 1/2 }"
        "chance c: rat = match x { 1: { for i in 0..3: i: 1/4 }, else: let w = 1 in { 0: w } }"
    )
    state, chance = parse_machine(text).declarations.environment.items
    assert isinstance(state, s.State) and isinstance(chance, s.Chance)
    high = s.Binary("-", s.Name("n"), s.IntLit(1))
    inner = s.ArrayType(s.Name("E"), s.IntType(s.IntLit(0), high))
    assert state.type == s.ArrayType(s.IntLit(2), inner)
    assert isinstance(state.start, s.DistMap)
    assert chance.type == s.RatType(None, None)
    assert isinstance(chance.dist, s.DistMatch) and isinstance(chance.dist.otherwise, s.DistLet)


def test_patch_is_one_agent_block_with_comments_around_it() -> None:
    code = parse_patch("# new\nagent { param k: int 0..3 = 1 policy { a = k } }  # end\n")
    assert [slot.name for slot in code.slots] == ["k", "main"]


def test_better_is_a_setting_with_a_name() -> None:
    text = "machine m environment { } utility { better worst } agent { policy { } }"
    assert parse_machine(text).declarations.utility.settings == (
        s.Setting("better", s.Name("worst")),
    )


def test_worlds_and_choices_of_an_environment_are_read() -> None:
    text = in_environment(
        "state x: bits[8] = any state y: bool = any where a and b unknown u: rat 0..1 assume a <= b "
        "adversary v: bool adversary w: int 0..3 where a"
    )
    zero = s.IntLit(0)
    assert parse_machine(text).declarations.environment.items == (
        s.State("x", s.BitsType(s.IntLit(8)), s.AnyStart(None)),
        s.State("y", s.BoolType(), s.AnyStart(s.Binary("and", A, B))),
        s.Unknown("u", s.RatType(zero, s.IntLit(1))),
        s.Assume(s.Compare(("<=",), (A, B))),
        s.Adversary("v", s.BoolType(), None),
        s.Adversary("w", s.IntType(zero, s.IntLit(3)), A),
    )


def test_requirements_costs_memory_and_policies_are_read() -> None:
    machine = parse_machine(
        "machine m require r: within 1 + 2 reach a from b using main environment { }"
        'utility { discount 1/2 costs { "*": 3, "a # b": 0, } } require q: always c '
        "agent { memory k: bool = a policy go { x = b } policy { k' = c let y = a } }"
    )
    steps = s.Binary("+", s.IntLit(1), s.IntLit(2))
    assert machine.declarations.requirements == (
        s.Reach("r", steps, A, B, "main"),
        s.Always("q", C),
    )
    costs = s.Costs((s.Cost("*", s.IntLit(3)), s.Cost("a # b", s.IntLit(0))))
    assert machine.declarations.utility.settings[1:] == (costs,)
    assert machine.agent.slots == (
        s.Memory("k", s.BoolType(), A),
        s.Policy("go", (s.Assign("x", B),)),
        s.Policy("main", (s.Next("k", C), s.Define("y", A))),
    )


def test_only_costs_takes_braces() -> None:
    (found,) = faults(LAMP.replace("discount 9/10", 'discount { "*": 3 }'))
    assert (found.code, found.message) == ("G001", "`discount` takes a value, no braces")


def test_spans_cut_the_node_out_of_the_source() -> None:
    text = "(a + b) * # note\n  f(c)[1]"
    product = parse_expression(text)
    assert isinstance(product, s.Binary)
    assert text[product.span.start : product.span.end] == text
    assert text[product.left.span.start : product.left.span.end] == "(a + b)"
    right = product.right.span
    assert (right.line, right.column, right.end_line, right.end_column) == (2, 3, 2, 10)
    assert text[right.start : right.end] == "f(c)[1]"


def test_every_node_of_a_machine_has_a_span_inside_its_parent() -> None:
    machine = parse_machine(LAMP)
    for node in s.walk(machine):
        assert node.span.line > 0
        for child in s.children(node):
            assert node.span.start <= child.span.start <= child.span.end <= node.span.end


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected an expression, found the end of the file"),
        ("a +", "expected an expression, found the end of the file"),
        ("(a", "expected `)`, found the end of the file"),
        ("a b", "expected an operator, found `b`"),
        ("[]", "expected an expression, found `]`"),
        ("[1, , 2]", "expected an expression or `]`, found `,`"),
        ("f(a b)", "expected `)` or `,`, found `b`"),
        ("if a then b", "expected `else`, found the end of the file"),
        ("let if = 1 in a", "expected a name, found `if`"),
        ("1 + if a then b else c", "expected an expression, found `if`"),
        ("[for i in 3: i]", "expected `..`, found `:`"),
        ("match a { else: 1, b: 2 }", "an arm after `else:`, which takes everything that is left"),
    ],
)
def test_syntax_error_says_what_was_expected_and_found(text: str, message: str) -> None:
    assert (fault(text).code, fault(text).message) == ("G001", message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a == not b", "expected an operand, found `not`"),
        ("a & not b", "expected an operand, found `not`"),
        ("a == b == c", "`==` does not chain"),
        ("a < b == c", "`==` does not chain"),
        ("a < b > c", "a chain of comparisons goes one way, and `>` turns round"),
    ],
)
def test_operators_that_need_parentheses_say_so(text: str, message: str) -> None:
    assert (fault(text).code, fault(text).message) == ("G048", message)
    assert fault(text).help


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("a && b", "&&", "write `and`"),
        ("a || b", "||", "write `or`"),
        ("!a", "!", "write `not`, or `!=` for inequality"),
        ("a % b", "%", "the remainder is `mod`"),
        ("a // b", "//", "division that floors is `div`; a comment starts with `#`"),
        ("a ** b", "**", "there is no power operator; multiply, or write a `def`"),
        ("True", "True", "write `true`"),
        ("[1, False]", "False", "write `false`"),
        ("c ? a : b", "?", "a choice is written `if c then a else b`"),
        ("a if c else b", "if", "a choice is written `if c then a else b`"),
        ("if a = 3 then 1 else 0", "=", "equality is `==`"),
        ("if a: 1 else: 0", ":", "a choice is written `if c then a else b`"),
        ("if a { 1 } else { 0 }", "{", "a choice is written `if c then a else b`"),
        ("let a := 1 in a", ":=", "a definition is written with `=`"),
        ("if a then 1 elif b then 2 else 3", "elif", "write `else if`"),
        ("a; b", ";", "items need no separator"),
        ("a ≤ b", "≤", "write `<=`"),
        ("a[b, c]", ",", "write `T[i][j]`, one index after the other"),
        ("f(a[b][[c][0], c])", ",", "write `T[i][j]`, one index after the other"),
        ('"text"', '"', "there are no strings; use the members of an `enum`"),
    ],
)
def test_habit_from_another_language_gets_a_hint(text: str, place: str, hint: str) -> None:
    found = fault(text)
    assert (found.code, found.help) == ("G002", hint)
    assert text[found.span.start : found.span.end] == place


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("(x' = 1)", "an update in parentheses"),
        ("state x: int 0..3 = 1/2: 1 + 1/2: 2", "`:` after a value"),
        ("let x == 3", "`==` in a definition"),
        ("let x = 3;", "`;` is not part of the language"),
        ("state x: int 0..3 = null", "`null` is a word of another language"),
        ("state x: array[2, 3] of bool = y", "two lengths in one `array`"),
    ],
)
def test_habit_in_an_environment_gets_a_hint(item: str, message: str) -> None:
    (found,) = faults(in_environment(item))
    assert (found.code, found.message) == ("G002", message)
    assert found.help


def test_member_that_is_called_null_is_no_habit() -> None:
    parse_machine(LAMP.replace("machine lamp", "machine lamp enum E { null } const A = null"))


def test_name_without_let_or_prime_in_an_environment_gets_a_hint() -> None:
    (found,) = faults(in_environment("x = 3"))
    assert found.help == "a value of the step is `let x = …`, a next value is `x' = …`"


@pytest.mark.parametrize(
    ("item", "message", "hint"),
    [
        ("state x: int = 3", "`int` without a range", "`int low..high`"),
        ("action x: int x' = 3", "`int` without a range", "`int low..high`"),
        ("unknown x: rat", "`rat` without a range", "`rat low..high`"),
        ("adversary x: array[3] of int where x", "`int` without a range", "`int low..high`"),
        ("state x: int 0..3", "`state x` has no start", "or `= any` for every value"),
        ("state x: bits[8] action y: bool", "`state x` has no start", "write `= value`"),
        ("state x: bool 3", "`state x` has no start", "write `= value`"),
    ],
)
def test_missing_range_or_start_is_named(item: str, message: str, hint: str) -> None:
    (found,) = faults(in_environment(item))
    assert (found.code, found.message) == ("G047", message)
    assert found.help and hint in found.help


@pytest.mark.parametrize(
    ("item", "name"),
    [
        ("state x: float = 3", "float"),
        ("state x: float 0..1 = 3", "float"),
        ("action x: array[3] of string", "string"),
        ("def f(x: int): void = x", "void"),
        ("chance k: u32 = { 1: 1 }", "u32"),
    ],
)
def test_type_of_another_language_gets_a_hint(item: str, name: str) -> None:
    (found,) = faults(in_environment(item))
    assert (found.code, found.message) == ("G049", f"`{name}` is a type of another language")
    assert found.help


def test_enum_may_be_called_like_a_type_of_another_language() -> None:
    parse_machine(
        LAMP.replace("machine lamp", "machine lamp enum text { a } def f(x: text): int = 1")
    )


def test_end_of_a_range_that_is_missing_gets_a_hint() -> None:
    (found,) = faults(in_environment("action a: int 3 x' = 3"))
    assert found.help == "a range is written `low..high`; what is chosen or changes needs one"


def test_open_bracket_is_named_at_the_end_of_the_file() -> None:
    (found,) = faults("machine m\nenvironment {\n  state x: bool = true\n")
    assert found.notes == ("the `{` of line 2 is not closed",)


def test_independent_faults_are_reported_at_once() -> None:
    text = (
        "machine m\n"
        "environment {\n"
        "  state x: int 0..3 = \n"
        "  action a: bool\n"
        "  reward = x + + 1\n"
        "  done = x ==\n"
        "}\n"
        "utility { discount 1/2 }\n"
        "agent { policy { a = } }\n"
    )
    assert [d.span.line for d in faults(text)] == [4, 5, 7, 9]


@pytest.mark.parametrize(
    "text", ["a\0b", "a # \x1b[31m", "a # \u202e", "a\rb", "\ufeffa", "é", "a $"]
)
def test_bad_characters_are_refused_at_their_place(text: str) -> None:
    found = fault(text)
    assert found.code == ("G002" if text in ("\ufeffa", "a $") else "G044")
    assert not text[found.span.start : found.span.end].isalnum() or text == "é"


# --- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "a" + ")" * 10_000,
        "(" * 100_000,
        "[" * 201 + "1" + "]" * 201,
        "-" * 1000 + "a",
        "not " * 1000 + "a",
        "if a then b else " * 10_000 + "c",
        "if " * 10_000,
        "let a = b in " * 10_000 + "c",
        "a implies " * 10_000 + "b",
        "+".join(["1"] * 10_000),
        "a" + "[1]" * 10_000,
        "f(" * 300 + "a" + ")" * 300,
        "match a { 1: " * 300 + "b" + " }" * 300,
    ],
    ids=lambda text: text[:12],
)
def test_deep_nesting_is_refused(text: str) -> None:
    assert [fault(text).code, fault(text).message] == ["G041", "nesting deeper than 200"]


def test_nesting_below_the_limit_is_read() -> None:
    parse_expression("(" * 199 + "a" + ")" * 199)
    parse_expression("+".join(["1"] * 199))


def test_file_over_one_mebibyte_is_refused() -> None:
    assert fault("a" + " " * (1 << 20)).code == "G043"
    assert fault("#" + "é" * (1 << 19)).code == "G043"


@pytest.mark.parametrize(
    "text", ["9" * 1234, "0x1" + "0" * 1024, "1/" + "9" * 1234, "0." + "1" * 9999]
)
def test_numeral_over_4096_bits_is_refused(text: str) -> None:
    assert fault(text).code == "G042"
    assert fault(f"[{text}]").code == "G042"


def test_numeral_of_4096_bits_is_read() -> None:
    assert parse_expression(str(2**4096 - 1)) == s.IntLit(2**4096 - 1)
    assert parse_expression("0" * 9999 + "7") == s.IntLit(7)


def test_large_table_of_literals_is_read() -> None:
    text = "[" + ", ".join(str(i % 100) for i in range(250_000)) + "]"
    table = parse_expression(text)
    assert isinstance(table, s.ArrayLit) and len(table.items) == 250_000


# --- blocks that are missing or repeated -----------------------------------------------------------


@pytest.mark.parametrize("block", ["environment", "utility", "agent"])
def test_missing_block_is_reported(block: str) -> None:
    texts = {"environment": "{ }", "utility": "{ }", "agent": "{ policy { } }"}
    rest = " ".join(f"{b} {body}" for b, body in texts.items() if b != block)
    (found,) = faults("machine m " + rest)
    message = f"machine `m` has no `{block}` block; a machine has exactly one"
    assert (found.code, found.message) == ("G040", message)


@pytest.mark.parametrize("block", ["environment { }", "utility { }", "agent { policy { } }"])
def test_repeated_block_is_reported_at_the_second(block: str) -> None:
    (found,) = faults(LAMP + block)
    assert found.code == "G046"
    assert found.span.line == LAMP.count("\n") + 1


def test_agent_needs_exactly_one_policy_without_a_name() -> None:
    policy = "policy { press = false }"
    for broken in (
        "",
        f"{policy} policy {{ }}",
        f"{policy} policy main {{ }}",
        "policy main { press = false }",
        "policy idle { press = false }",
        f"{policy} policy idle {{ }} policy idle {{ }}",
    ):
        assert {d.code for d in faults(LAMP.replace(policy, broken))} == {"G045"}


# --- search and searcher ---------------------------------------------------------------------------

SEARCH = 'search { family f = improve(states: 1, target: agent, note: "a, b") switch held prices { rlimit: 1/2, } }'


def test_search_and_searcher_are_read_as_they_stand() -> None:
    searcher = "searcher { memory m: bool = true policy { try = stop m' = false } policy p { try = stop } }"
    machine = parse_machine(LAMP + SEARCH + searcher)
    assert machine.search is not None and machine.searcher is not None
    family, switch, prices = machine.search.items
    assert family == s.Family(
        "f",
        "improve",
        (
            s.Option("states", s.IntLit(1)),
            s.Option("target", s.Target("agent")),
            s.Option("note", s.Text("a, b")),
        ),
    )
    assert switch == s.Switch("held")
    assert prices == s.Prices((s.Price("rlimit", s.RatLit(Fraction(1, 2))),))
    assert [slot.name for slot in machine.searcher.slots] == ["m", "main", "p"]


@pytest.mark.parametrize(
    ("blocks", "codes"),
    [
        (SEARCH, ["G040"]),
        ("searcher { policy { try = stop } }", ["G040"]),
        (SEARCH + SEARCH + "searcher { policy { try = stop } }", ["G046"]),
        (SEARCH + "searcher { policy { try = stop } }" * 2, ["G046"]),
        (SEARCH + "searcher { }", ["G045"]),
        (SEARCH + "searcher { policy p { try = stop } }", ["G045"]),
    ],
)
def test_search_and_searcher_come_together_and_once(blocks: str, codes: list[str]) -> None:
    assert [d.code for d in faults(LAMP + blocks)] == codes


def test_patches_hold_blocks_each_at_most_once() -> None:
    agent, searcher = "agent { policy { press = true } }", "searcher { policy { try = stop } }"
    found = parse_blocks(f"{searcher} {SEARCH} {agent}")
    assert found.agent == parse_patch(agent)
    assert found.searcher is not None and found.search is not None
    for broken in (agent * 2, searcher * 2, SEARCH * 2):
        with pytest.raises(DslError):
            parse_blocks(broken)
    for other in (searcher, SEARCH, agent + searcher):
        with pytest.raises(DslError):
            parse_patch(other)


# --- whatever comes in -----------------------------------------------------------------------------

WORDS = st.sampled_from(
    "machine m environment utility agent policy state action chance let in if then else match x' = == < + - * / not "
    "and { } [ ] ( ) , : .. . 1 0.5 1/3 true any for fold with array of int bool def table const # \n ' \" ! é".split(
        " "
    )
)


def survives(text: str) -> None:
    """Reading gives a tree or a DslError, nothing else."""
    for parse in (parse_machine, parse_expression, parse_patch):
        try:
            parse(text)
        except DslError as error:
            for diagnostic in error.diagnostics:
                assert diagnostic.code in CODES
                assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(text)


@given(st.text() | st.binary().map(lambda b: b.decode("utf-8", "surrogateescape")))
@settings(max_examples=150, deadline=None)
def test_arbitrary_text_gives_a_tree_or_a_fault(text: str) -> None:
    survives(text)


@given(st.lists(WORDS, max_size=60).map(" ".join))
@settings(max_examples=150, deadline=None)
def test_arbitrary_words_give_a_tree_or_a_fault(text: str) -> None:
    survives(text)
    survives("machine m environment { " + text)


@given(st.integers(0, len(LAMP)), st.integers(0, 20), WORDS | st.just(""))
@settings(max_examples=150, deadline=None)
def test_damaged_file_gives_a_tree_or_a_fault(start: int, length: int, word: str) -> None:
    survives(LAMP[:start] + word + LAMP[start + length :])


def test_grammar_has_no_conflicts(caplog: pytest.LogCaptureFixture) -> None:
    import lark

    grammar = files("dsl").joinpath("grammar.lark").read_text(encoding="utf-8")
    with caplog.at_level(logging.DEBUG, logger=lark.logger.name):
        lark.Lark(grammar, start=["machine", "patch", "expression"], parser="lalr", debug=True)
    assert not [r for r in caplog.records if "conflict" in r.message.lower()]
