"""Formatting keeps the tree and every comment, and done twice changes nothing more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from dsl_trees import codes, machines
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import syntax as s
from dsl.errors import DslError
from dsl.formatter import format_source
from dsl.parser import parse_machine, parse_patch
from dsl.printer import print_code, print_machine

COMMENT = re.compile(r'#[^\n]*|"[^"\n]*"')
TOKEN = re.compile(r""""[^"\n]*"|[0-9]+\.[0-9]+|[A-Za-z0-9_]+'?|\.\.|<<|>>|[<>=!]=|\S""")
PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.godel"))


def comments_of(text: str) -> list[str]:
    """The comments in their order."""
    return [c.rstrip() for c in COMMENT.findall(text) if c[0] == "#"]


@st.composite
def commented(draw: st.DrawFn, text: str) -> str:
    """The text with comments and line breaks strewn between its tokens."""
    out: list[str] = []
    end = 0
    tokens = list(TOKEN.finditer(text))
    places = draw(st.sets(st.integers(0, len(tokens)), max_size=8))
    for i, token in enumerate(tokens):
        if i in places:
            out.append(draw(st.sampled_from(["\n", " ", "\n\n"])) + f"# note {i}\n")
            out.append(draw(st.sampled_from(["", "  ", "\n", "\n# more\n"])))
        else:
            out.append(text[end : token.start()])
        out.append(token.group())
        end = token.end()
    if len(tokens) in places:
        out.append(" # the end")
    return "".join(out)


@given(st.data(), machines())
@settings(max_examples=100, deadline=None)
def test_comments_at_any_place_survive_in_order(data: st.DataObject, machine: s.Machine) -> None:
    source = data.draw(commented(print_machine(machine)))
    formatted = format_source(source)
    assert comments_of(formatted) == comments_of(source)
    assert parse_machine(formatted) == machine
    assert format_source(formatted) == formatted


@given(st.data(), codes())
@settings(max_examples=30, deadline=None)
def test_patch_files_are_formatted_too(data: st.DataObject, code: s.Code) -> None:
    source = data.draw(commented(print_code(code)))
    formatted = format_source(source)
    assert comments_of(formatted) == comments_of(source)
    assert parse_patch(formatted) == code
    assert format_source(formatted) == formatted


@given(machines())
@settings(max_examples=30, deadline=None)
def test_canonical_text_is_already_formatted(machine: s.Machine) -> None:
    text = print_machine(machine)
    assert format_source(text) == format_source(format_source(text))
    assert parse_machine(format_source(text)) == machine


EXAMPLE = """\
# A machine to show the style.
machine example

enum Tile { S, F, H }
enum Dir  { left, right }    # two ways

const START = 3
const END   = 0x1f

# the map
table MAP: array[2] of array[3] of Tile = [
  # the first row
  [S, F, F],
  [F, F, H],  # the hole
]

def step(p: int, d: Dir): int =
  match d {
    left:  p - 1,
    # to the right
    right: p + 1_000,
  }

environment {
  state x: int 0..31 = START
  action go: Dir

  chance slip: bool = { true: 1/8, false: 7/8 }
  let to   = step(x, go)
  let fell = START < to < END
  # what follows
  x'     = if fell then START else to
  reward = if fell then -1 else 0.50

  done   = false
  # nothing more
}

utility { discount 99/100  tick_price 1/1_000 }

agent {
  policy {
    go = left  # always
  }
}
# the end
"""


def test_well_formatted_file_stays_as_it_is() -> None:
    expected = EXAMPLE.replace("  done   = false", "  done = false")
    assert format_source(expected) == expected


def test_aligned_run_ends_at_a_blank_line() -> None:
    assert "\n  done = false\n" in format_source(EXAMPLE)


def test_crowded_file_is_spread_out() -> None:
    crowded = (
        "machine   m enum E{a,b,}\n\n\n\nconst A=(1)+2 environment{state x:int 0..3=0 # note\n"
        "action e:E x'=x reward=if e==a then 1 else 0}utility{discount 1/2 tick_price 1/100}\n"
        "agent{policy{e=a}}"
    )
    assert format_source(crowded) == (
        "machine m\n"
        "\n"
        "enum E { a, b }\n"
        "\n"
        "const A = 1 + 2\n"
        "\n"
        "environment {\n"
        "  state x: int 0..3 = 0  # note\n"
        "  action e: E\n"
        "  x'     = x\n"
        "  reward = if e == a then 1 else 0\n"
        "}\n"
        "\n"
        "utility { discount 1/2  tick_price 1/100 }\n"
        "\n"
        "agent { policy { e = a } }\n"
    )


def test_blocks_keep_the_order_of_the_file() -> None:
    text = "machine m\n\nutility { }\n\nagent { policy { } }\n\nenvironment {\n}\n\nconst A = 1\n"
    assert format_source(text) == text


def test_trailing_comments_keep_their_column_where_there_is_room() -> None:
    text = "machine m\n\nconst A = 1        # one\nconst BB = 2       # two\n"
    text += "\nenvironment {\n}\n\nutility { }\n\nagent { policy { } }\n"
    assert "const A  = 1       # one\nconst BB = 2       # two\n" in format_source(text)


def test_file_with_windows_line_ends_gets_plain_ones() -> None:
    text = EXAMPLE.replace("\n", "\r\n")
    assert format_source(text) == format_source(EXAMPLE)


def test_file_that_does_not_parse_is_refused() -> None:
    with pytest.raises(DslError):
        format_source("machine m const A = ")


EMPTY = "utility { discount 1/2 }\n\nagent { policy { x = true } }\n\n"
SEARCH = """\
search {
  family patch   = improve(states: one)    # dear
  family improve = improve(
    target: searcher,
    states: one,
    rlimit: 500_000,
    width: 12,    # wide
  )
  switch held    # waits
  prices { gain_unit: 1/10, cost_unit: 10_000 }

  # assumed
  world {
    report fails_patch: int 0..2
    action try: Attempt
    chance outcome: Outcome = { refused: 1 }
    reward = 0
  }

  utility { horizon 3 }
  require low: always fails_patch <= 2
}

searcher { policy { try = stop } }    # never
"""


def test_search_and_searcher_keep_their_comments() -> None:
    machine = "machine m\n\nenvironment {\n  state x: bool = false\n}\n\n"
    assert format_source(machine + EMPTY + SEARCH) == machine + EMPTY + SEARCH
    assert format_source(SEARCH) == SEARCH


LATER = """\
machine later

environment {
  unknown u: int -3..3    # each value is a world
  unknown p: rat 1/10..9/10
  unknown q: rat 0..1
  assume p + q <= 1
  state x: bits[32] = any where x & 1 == 1
  state far: int 0..12 = any where exists i in 0..12: far == i and a_rather_long_name_of_a_table[i] > 0 and
                                                      another_long_name_of_a_table[i] > 1
  action y: bits[32]
  adversary wind: rat 0..1/4
  adversary dries: int 0..3 where dries != 2    # never the second
  x' = x & ~low(x) with { 0: 1, # first
    1: 2 }
  reward = if u > 0 then fold lowbit = bits[32](0) for i in 0..31: if lowbit == 0 and (x >> i & 1) == 1 then 1 else 0 else 0
}

utility { discount 9/10  costs { "#": 3, "index": 2 }    # dear
}

require safe: always far <= 10
require back: within 12 reach far == 0 # home
  from far > 4 using go_home

agent {
  memory turn: bool = false
  policy {
    y = x
    turn' = not turn
  }
  policy go_home { y = x }
}
"""
LAID_OUT = """\
machine later

environment {
  unknown u: int -3..3    # each value is a world
  unknown p: rat 1/10..9/10
  unknown q: rat 0..1
  assume p + q <= 1
  state x: bits[32] = any where (x & 1) == 1
  state far: int 0..12 = any
    where exists i in 0..12: far == i and a_rather_long_name_of_a_table[i] > 0 and another_long_name_of_a_table[i] > 1
  action y: bits[32]
  adversary wind: rat 0..1/4
  adversary dries: int 0..3 where dries != 2    # never the second
  x'     = x
    & ~low(x) with {
      0: 1,  # first
      1: 2,
    }
  reward = if u > 0 then fold lowbit = bits[32](0) for i in 0..31: if lowbit == 0 and (x >> i & 1) == 1 then 1 else 0
           else 0
}

utility {
  discount 9/10
  costs { "#": 3, "index": 2 }  # dear
}

require safe: always far <= 10
require back: within 12
  reach far == 0  # home
  from far > 4
  using go_home

agent {
  memory turn: bool = false
  policy {
    y     = x
    turn' = not turn
  }
  policy go_home { y = x }
}
"""


def test_what_is_new_in_the_language_is_laid_out_and_keeps_its_comments() -> None:
    assert format_source(LATER) == LAID_OUT
    assert format_source(LAID_OUT) == LAID_OUT


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_program_is_formatted_with_its_comments_and_once_for_all(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    formatted = format_source(text)
    assert comments_of(formatted) == comments_of(text)
    assert parse_machine(formatted) == parse_machine(text)
    assert parse_machine(print_machine(parse_machine(text))) == parse_machine(text)
    assert format_source(formatted) == formatted


def test_programs_of_this_project_keep_their_tree() -> None:
    root = Path(__file__).parent.parent
    for path in sorted([*root.glob("examples/*.godel"), *root.glob("tests/fine/*.godel")]):
        text = path.read_text(encoding="utf-8")
        machine = parse_machine(text)
        assert parse_machine(format_source(text)) == machine, path
