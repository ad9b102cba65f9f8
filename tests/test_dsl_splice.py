"""Code put into the text of a file: it is exactly that code, and comments stay where they were."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dsl_trees import codes
from hypothesis import given

from dsl import syntax as s
from dsl.codec import digest_node
from dsl.formatter import format_source
from dsl.parser import parse_machine, parse_patch
from dsl.splice import splice_code

HEAD = """# a
machine m

environment {
  state x: int 0..3 = 0
  action go: int 0..3
  reward = x    # b
}

utility { discount 1/2 }

"""
FILE = f"""{HEAD}# c
agent {{    # d
  # e
  param A: int 0..3 = 1    # f

  # g
  table T: array[4] of int = [for i in 0..3: i]    # h
  # i
  policy {{ go = A }}    # j
  # k
}}
# l
"""
ADDED = parse_patch("agent { def f(y: int): int = y }").slots[0]


def slots() -> tuple[s.Slot, ...]:
    return parse_machine(FILE).agent.slots


def comments(text: str) -> str:
    return "".join(line.split("# ")[1] for line in text.splitlines() if "# " in line)


def spliced(*found: s.Slot, source: str = FILE) -> str:
    code = s.Code(found)
    text = splice_code(source, code)
    assert digest_node(parse_machine(text).agent) == digest_node(code)
    assert format_source(text) == text
    return text


def test_the_same_code_changes_nothing() -> None:
    assert spliced(*slots()) == FILE


@pytest.mark.parametrize("at", range(3))
def test_a_slot_is_added_before_the_one_it_precedes_and_every_comment_stays(at: int) -> None:
    text = spliced(*slots()[:at], ADDED, *slots()[at:])
    assert comments(text) == "abcdefghijkl"
    place = text.index("def f")
    assert text.index("# " + "dfh"[at]) < place < text.index("# " + "egi"[at])


@pytest.mark.parametrize("at", range(2))
def test_a_slot_is_removed_and_the_others_keep_their_comments(at: int) -> None:
    a, t, policy = slots()
    kept = ([t], [a])[at]
    literal = parse_patch("agent { policy { go = 1 } }").slots[0]
    text = spliced(*kept, literal)
    assert comments(text) == "abcdefghijkl"
    assert policy != literal


def test_a_changed_slot_stands_where_the_old_one_stood() -> None:
    a, t, policy = slots()
    assert isinstance(a, s.Param)
    text = spliced(replace(a, value=s.IntLit(3)), t, policy)
    assert text == FILE.replace("= 1    # f", "= 3    # f")


def test_slots_in_another_order_are_printed_anew() -> None:
    a, t, policy = slots()
    assert comments(spliced(t, a, policy)) == "abcl"


def test_slots_on_one_line_are_kept_apart() -> None:
    line = "agent { param A: int 0..3 = 1 policy { go = A } }"
    source = f"{HEAD}{line}\n"
    old = parse_machine(source).agent.slots
    for at in range(2):
        spliced(*old[:at], ADDED, *old[at:], source=source)
    spliced(ADDED, parse_patch("agent { policy { go = 2 } }").slots[0], source=source)


def test_a_brace_in_a_comment_before_the_block_opens_nothing() -> None:
    source = FILE.replace("agent {    # d", "agent # {\n{    # d")
    parse_machine(source)
    assert "def f" in spliced(ADDED, *slots(), source=source)


@given(codes())
def test_any_code_is_put_into_any_file(code: s.Code) -> None:
    assert digest_node(parse_machine(splice_code(FILE, code)).agent) == digest_node(code)
