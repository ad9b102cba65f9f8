"""What is printed reads back as the same tree, in the style of the shared programs."""

from __future__ import annotations

from fractions import Fraction

import pytest
from dsl_trees import DISTS, EXPRS, TYPES, codes, machines
from hypothesis import given, settings

from dsl import syntax as s
from dsl.parser import parse_expression, parse_machine, parse_patch
from dsl.printer import (
    print_code,
    print_dist,
    print_expression,
    print_machine,
    print_slot,
    print_type,
)

A, B, C = s.Name("a"), s.Name("b"), s.Name("c")


@given(EXPRS)
@settings(max_examples=200, deadline=None)
def test_printed_expression_reads_back_as_the_same_tree(expr: s.Expr) -> None:
    assert parse_expression(print_expression(expr)) == expr


@given(machines())
@settings(max_examples=60, deadline=None)
def test_printed_machine_reads_back_as_the_same_tree(machine: s.Machine) -> None:
    assert parse_machine(print_machine(machine)) == machine


@given(codes())
@settings(max_examples=30, deadline=None)
def test_printed_code_reads_back_as_the_same_tree(code: s.Code) -> None:
    assert parse_patch(print_code(code)) == code


@given(codes())
@settings(max_examples=30, deadline=None)
def test_printed_slots_make_up_the_agent(code: s.Code) -> None:
    slots = "\n".join(print_slot(slot) for slot in code.slots)
    assert parse_patch(f"agent {{ {slots} }}") == code


@given(DISTS, TYPES)
@settings(max_examples=30, deadline=None)
def test_printed_distribution_and_type_read_back(dist: s.Dist, t: s.TypeExpr) -> None:
    text = f"environment {{ chance c: {print_type(t)} = {print_dist(dist)} }}"
    machine = parse_machine(f"machine m {text} utility {{ }} agent {{ policy {{ }} }}")
    assert machine.declarations.environment.items == (s.Chance("c", t, dist),)


@pytest.mark.parametrize(
    "text",
    [
        "a - b - c",
        "a - (b - c)",
        "a * (b + c)",
        "a implies b implies c",
        "(a implies b) implies c",
        "not a == b",
        "(not a) == b",
        "not (a and b)",
        "a and not b or c",
        "a < b <= c",
        "(a < b) == c",
        "-a",
        "--a",
        "(-1)[a]",
        "-1/3",
        "a * (1/3)",
        "1/3 * a",
        "1/2 / 3",
        "1 / 0",
        "2 * 1 / 3",
        "a + 1/3",
        "(a + b)[c]",
        "a[b][c]",
        "1 + (if a then b else c)",
        "if a then b else c + 1",
        "(let a = b in a) + 1",
        "f(if a then b else c, match a { b: 1, else: 2 })",
        "(match a { 1 | -1/2: b, else: c }) + 1",
        "[for i in 0..a-1: [i, -1, 0.05]]",
        "E.a == E.b",
        "row' + 1",
        "a | b ^ c & a << b",
        "((a | b) ^ c) & a",
        "a << b >> c",
        "a << (b >> c)",
        "a >> b + 1",
        "(a & b) == c",
        "a << b < c",
        "~a & ~-b",
        "~5",
        "-a with { 1: 2 }",
        "(-a) with { 1: 2 }",
        "(-1) with { a: b }",
        "(a with { 1: 2 })[b]",
        "a[b] with { 1: 2, c: if a then b else c } with { 3: 4 }",
        "(if a then b else c) with { 1: 2 }",
        "int(a) + sint(b)",
        "bits[a + 1](b) + sext[8](-c)",
        "fold a = 0 for i in 0..b-1: fold c = a for j in 0..i: a + c",
        "(fold a = 0 for i in 0..3: a) + 1",
        "1 + (forall i in 0..3: a) * 2",
        "not (exists i in (a implies b)..a & b: i == 0x1f)",
        "f(forall i in 0..3: exists j in 0..3: a[i] == b[j], c)",
        "f()",
    ],
)
def test_canonical_text_keeps_only_the_parentheses_it_needs(text: str) -> None:
    assert print_expression(parse_expression(text)) == text


def test_superfluous_parentheses_are_dropped() -> None:
    assert print_expression(parse_expression("((a) * (b)) + (f((c)))")) == "a * b + f(c)"


@pytest.mark.parametrize(
    "text", ["1_000_000", "0.05", "0x1f", "0b101", "2/4", "-0.50", "1_0/3", "007"]
)
def test_literal_keeps_its_spelling(text: str) -> None:
    assert print_expression(parse_expression(text)) == text


def test_spelling_that_belies_the_value_is_not_printed() -> None:
    assert print_expression(s.IntLit(3, "4")) == "3"
    assert print_expression(s.RatLit(Fraction(2), "")) == "2.0"
    assert print_expression(s.RatLit(Fraction(-1, 3), "junk")) == "-1/3"


def test_long_if_chain_stands_one_branch_a_line() -> None:
    text = (
        "if temperature_of_the_room < lowest then heat_at_full_power\n"
        "else if temperature_of_the_room < comfortable then heat_at_half_power\n"
        "else switch_everything_off"
    )
    assert print_expression(parse_expression(text)) == text


def test_long_match_stands_one_arm_a_line_with_bodies_aligned() -> None:
    text = (
        "match d {\n"
        "  up:    12 * max(row_of_the_position - 1, 0) + column_of_the_position,\n"
        "  right: 12 * row_of_the_position + min(column_of_the_position + 1, 11),\n"
        "  down | left: 12 * min(row_of_the_position + 1, 3) + column_of_the_position,\n"
        "  else:  0,\n"
        "}"
    )
    assert print_expression(parse_expression(text)) == text


def test_long_sum_is_broken_before_its_operators() -> None:
    word = "w" * 50
    text = f"{word} * 2\n  - {word}\n  + {word}"
    assert print_expression(parse_expression(text)) == text


def test_long_array_stays_within_the_width() -> None:
    text = print_expression(s.ArrayLit(tuple(s.IntLit(i) for i in range(500))))
    assert text.startswith("[\n  0, 1, 2,") and text.endswith("499,\n]")
    assert max(len(line) for line in text.splitlines()) <= 120


def test_nested_array_stands_one_row_a_line() -> None:
    row = "[" + ", ".join(["[1, 2, 3]"] * 8) + "],"
    text = "[\n" + f"  {row}\n" * 3 + "]"
    assert print_expression(parse_expression(text)) == text


def test_deepest_tree_that_parses_is_printed() -> None:
    for text in (
        "-" * 195 + "a",
        "+".join(["a"] * 195),
        "(" * 195 + "a" + ")" * 195,
        "f(" * 195 + "a" + ")" * 195,
        "if a then b else " * 195 + "c",
        "let long_name = some_value in " * 195 + "c",
        "long_function_name(" * 95 + "if a then b else [a, " * 49 + "c" + "]" * 49 + ")" * 95,
        "a implies " * 195 + "b",
        "~" * 195 + "a",
        "a" + " with { b: c }" * 195,
        "a with { b: " * 95 + "c" + " }" * 95,
        "forall i in 0..3: " * 195 + "a",
        "fold a = b for i in 0..3: " * 195 + "a",
        "bits[8](" * 195 + "a" + ")" * 195,
        "a << (b & " * 95 + "c" + ")" * 95,
    ):
        expr = parse_expression(text)
        assert parse_expression(print_expression(expr)) == expr
