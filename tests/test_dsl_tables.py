"""Large tables are read and checked all at once, with exactly what reading them entry by entry comes to."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from dsl import syntax as s
from dsl.check import check_machine
from dsl.codec import CodecError, decode_tree, encode_node, encode_tree, is_canonical
from dsl.errors import DslError
from dsl.infer import FAULTS_MAX
from dsl.interp import EvaluationFault, Evaluator
from dsl.limits import TOKENS_MAX
from dsl.machine import Program, Task
from dsl.parser import parse_expression, parse_machine
from dsl.rows import read_table
from dsl.scope import names_read
from dsl.span import NO_SPAN

MACHINES = 1_000

MACHINE = """machine m
enum Color {{ red, green, blue }}
enum Light {{ green, off }}
const LOW = 1
const HALF = 1/2
const WIDE = bits[8](200)
const NARROW = bits[4](2)
const PAIR = [1, 2]
const FAULTY = 1 + true
{top}
environment {{
  state x: int 0..3 = 0
  action a: bool
  x' = if a then min(3, x + 1) else x
  reward = {reward}
}}
utility {{ discount 9/10 }}
agent {{
  {slot}
  policy {{
    {line}
    a = true
  }}
}}
"""
SOUND = MACHINE.replace("const FAULTY = 1 + true\n", "")

POOLS: dict[str, list[str]] = {
    "int": ["0", "1", "2", "-1", "0x1f", "0b1", "1_000", "007", "-0", "LOW", "9007199254740993"],
    "rat": ["1/3", "0.5", "-2/4", "0/1", "HALF", "1_0/2_0", "-0.25"],
    "bool": ["true", "false"],
    "Color": ["red", "blue", "Color.red", "Color.green"],
    "bits[8]": ["0", "1", "255", "WIDE", "0xff"],
    "array[2] of int": ["PAIR"],
}
ODD = [
    *(
        "true",
        "red",
        "green",
        "1/2",
        "1",
        "WIDE",
        "NARROW",
        "FAULTY",
        "nowhere",
        "Color.off",
        "Nowhere.a",
        "max",
    ),
    *(
        "Color",
        "x",
        "True",
        "1/0",
        "1 + 1",
        "(2)",
        "- 1",
        "1 / 2",
        "Color . red",
        "256",
        "-1",
        "[1]",
        "[]",
        "PAIR",
    ),
    *(
        "",
        "in",
        "1..2",
        "0x",
        "1_",
        "1__0",
        "_",
        "f(1)",
        "x'",
        "9" * 1240,
        "if",
        "1 2",
        "PAIR[0]",
        "1/2/3",
        "0.5.1",
    ),
    *("", "", "1", "2", "red", "[1, 2]", "None", "true", "a.b.c", "a.in", "in.a"),
]
TYPES = [
    *(
        "int",
        "rat",
        "bool",
        "Color",
        "bits[8]",
        "int 0..1",
        "rat 0..1/2",
        "bits[4]",
        "array[2] of int",
        "Light",
    ),
    *("int -5..2000", "bits[1]", "array[2] of bits[8]"),
]


@contextmanager
def one_by_one() -> Iterator[None]:
    """No table is seen as one: every entry is a node of its own from the start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dsl.parser.read_table", lambda *given, **named: None)
        patch.setattr("dsl.syntax.grid_of", lambda node: None)
        patch.setattr("dsl.limits.grid_of", lambda node: None)
        yield


def random_array(rng: Random, pools: list[str], shape: tuple[int, ...]) -> str:
    """An array as it might be written, with now and then something in it that does not belong there."""
    if not shape:
        return rng.choice(ODD) if rng.random() < 0.02 else rng.choice(POOLS[rng.choice(pools)])
    length = shape[0]
    if rng.random() < 0.02:
        length += rng.choice((-1, 1))
    items = [random_array(rng, pools, shape[1:]) for _ in range(length)]
    between = rng.choice((",", ", ", ",", " , ", ",\n", " # a ] or [, b\n,", ",\t"))
    last = rng.choice(("", "", "", ",", " ", " # no more,\n", ",\n"))
    text = f"[{between.join(items)}{last}]"
    if rng.random() < 0.01:
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice(("", ",", "[", "]", " ", "1", "#", "+", "(")) + text[at + 1 :]
    return text


def random_machine(seed: int) -> str:
    """A machine with a table somewhere in it."""
    rng = Random(seed)
    kind = rng.choice(sorted(POOLS))
    pools = [kind, kind, kind, rng.choice(["int", kind, *POOLS])]
    shape = tuple(rng.choice((1, 2, 3, 5)) for _ in range(rng.choice((1, 1, 2, 2, 3, 4, 9))))
    array = random_array(rng, pools, shape if len(shape) < 9 else (1,) * 9)
    declared = kind if rng.random() < 0.7 else rng.choice(TYPES)
    declared = "".join(f"array[{n}] of " for n in shape) + declared
    table, index = f"table T: {declared} = {array}", "[0]" * len(shape)
    places: list[dict[str, str]] = [
        {"top": table},
        {"top": table},
        {"slot": table},
        {"slot": table},
        {"top": f"const T = {array}"},
        {"top": f"def f(): {declared} = {array}"},
        {"top": f"def f(t: {declared}): int = 1", "line": f"let y = f({array})"},
        {"line": f"let y = {array}"},
        {"line": f"let y = {array}{index} == {array}{index}"},
        {"line": f"let y = ({array}){index} + WIDE"},
        {"line": f"let y = [for i in 0..1: {array}]"},
        {"line": f"let y = if a then {array} else {array}"},
        {"line": f"let y = match x {{ 0: {array}, else: {array} }}"},
        {"line": f"let y = fold t = {array} for i in 0..1: t"},
        {"line": f"let y = {array} with {{ 0: 1 }}"},
        {"line": f"let t = 1 let y = {array}"},
        {"reward": f"{array}{index}"},
    ]
    filled = {"top": "", "slot": "", "line": "", "reward": "x", **rng.choice(places)}
    return (SOUND if rng.random() < 0.7 else MACHINE).format(**filled)


def result_of(text: str) -> Any:
    """The machine with the task and the program, or every fault."""
    try:
        tree = parse_machine(text)
        return tree, *check_machine(tree)
    except DslError as error:
        return error.diagnostics


def same_places(left: Any, right: Any) -> bool:
    """Whether equal trees also agree on what takes no part in equality: places and spellings."""
    pairs = zip(s.walk(left), s.walk(right), strict=True)
    return all(
        type(a) is type(b) and (a.span, getattr(a, "text", "")) == (b.span, getattr(b, "text", ""))
        for a, b in pairs
    )


def decision(program: Program, state: tuple[int, ...]) -> str:
    """What a program decides, or why that has no value."""
    try:
        return repr(program.act(state))
    except EvaluationFault as fault:
        return f"{fault} {fault.node.span}"


def same_machines(found: Any, wanted: Any) -> None:
    tree, task, program = found
    plain, plain_task, plain_program = wanted
    assert isinstance(task, Task) and isinstance(program, Program)
    assert (task.digest, program.digest) == (plain_task.digest, plain_program.digest)
    assert program.size == plain_program.size
    for names, others in ((task.names, plain_task.names), (program.names, plain_program.names)):
        assert repr(names.values) == repr(others.values)
        assert names.types == others.types
        assert names.tables == others.tables and names.functions == others.functions
        assert all(same_places(names.tables[n], others.tables[n]) for n in names.tables)
    assert (program.policies, task.plan) == (plain_program.policies, plain_task.plan)
    assert same_places(program.policy, plain_program.policy)
    for state in ((0,), (3,)):
        assert decision(program, state) == decision(plain_program, state)
    assert tree == plain
    assert same_places(tree, plain)


def test_tables_read_at_once_are_what_they_are_entry_by_entry() -> None:
    sound = tables = 0
    codes: set[str] = set()
    for seed in range(MACHINES):
        text = random_machine(seed)
        found = result_of(text)
        with one_by_one():
            wanted = result_of(text)
        if len(found) == 3 and isinstance(found[0], s.Machine):
            same_machines(found, wanted)
            sound += 1
            tables += any(s.grid_of(n) is not None for n in s.walk(found[0]))
        else:
            assert found == wanted, text
            codes.update(diagnostic.code for diagnostic in found)
    assert sound > MACHINES // 5
    assert tables > MACHINES // 6
    assert len(codes) > 10


def test_measures_of_a_table_are_those_of_its_nodes() -> None:
    for seed in range(300):
        rng = Random(seed)
        shape = tuple(rng.choice((1, 2, 3)) for _ in range(rng.choice((1, 2, 3))))
        text = random_array(rng, ["int", "rat", "bool", "Color"], shape)
        try:
            tree = parse_expression(text)
        except DslError:
            continue
        plain = s.node_at(tree, ())
        names, encoded = names_read(tree), encode_node(tree)
        grid = s.grid_of(tree)
        with one_by_one():
            assert plain is not None
            assert (names_read(plain), encode_node(plain)) == (names, encoded)
        assert grid is None or grid.nodes == sum(1 for _ in s.walk(tree))
        assert grid is None or grid.arrays == sum(isinstance(n, s.ArrayLit) for n in s.walk(tree))
        assert decode_tree(encode_tree(tree)) == tree
        assert s.grid_of(decode_tree(encode_tree(tree))) == grid


def test_items_of_a_table_are_the_same_one_by_one_and_together() -> None:
    for seed in range(200):
        rng = Random(seed)
        shape = tuple(rng.choice((1, 2, 4)) for _ in range(rng.choice((1, 2, 3))))
        try:
            tree = parse_expression("\n  # [\n " + random_array(rng, ["int", "Color"], shape))
        except DslError:
            continue
        if not isinstance(tree, s.ArrayLit) or tree.written is None:
            continue
        apart = [s.item_of(tree, i) for i in reversed(range(tree.written.grid.shape[0]))]
        assert tuple(reversed(apart)) == tree.items
        assert all(same_places(a, b) for a, b in zip(reversed(apart), tree.items, strict=True))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "[1,]2]",
            "[[1,]2]",
            "[[1,2]3]",
            "[1[2]]",
            "[[1]2]",
            "[2[1]]",
            "[[1],2]",
            "[1 2]",
            "[1,,2]",
            "[,1]",
            "[,]",
        ),
        *(
            "[]",
            "[[]]",
            "[1]]",
            "[[1]",
            "[1 [2]]",
            "[1,2],",
            "[[1,],[2,],]",
            "[[1],[2,]]",
            "[1, # ]\n 2]",
            "[1 #,\n 2]",
        ),
        *(
            "[1#\n,2]",
            "[ 1 , 2 , ]",
            "[\n[1]\n,\n[2]\n]",
            "[1_]",
            "[0x]",
            "[0b2]",
            "[1.]",
            "[.5]",
            "[1/0]",
            "[1/00]",
            "[1/0_1]",
        ),
        *(
            "[--1]",
            "[- 1]",
            "[-]",
            "[a.b]",
            "[a .b]",
            "[a.]",
            "[a.b.c]",
            "[if]",
            "[true.a]",
            "[in.a]",
            "[a'b]",
            "[1a]",
            "[٣]",
        ),
        *(
            "[[1, 2], [3]]",
            "[[[1]], [[2], [3]]]",
            "[[1], [2]][0]",
            "[1][0]",
            "[[[[[[[[1]]]]]]]]",
            "[[[[[[[[[1]]]]]]]]]",
        ),
        *(
            "[1\r\n, 2]",
            "[\t1]",
            "[1,2]]",
            "[[1,2],]",
            "[[1,2],,]",
            "[1_000, 1__0]",
            "[007, -0, 0x1F, 0b11]",
        ),
    ],
)
def test_array_written_anyhow_is_read_as_it_is_one_by_one(text: str) -> None:
    found = expression_of(text)
    with one_by_one():
        wanted = expression_of(text)
    assert found == wanted
    assert isinstance(found, tuple) or same_places(found, wanted)


def expression_of(text: str) -> Any:
    """The tree, or what is wrong with the text."""
    try:
        return parse_expression(text)
    except DslError as error:
        return error.diagnostics


def test_arrays_of_random_signs_are_read_as_they_are_one_by_one() -> None:
    signs = [
        "[",
        "[",
        "]",
        "]",
        ",",
        ",",
        "1",
        "2",
        "a",
        " ",
        "-",
        ".",
        "/",
        "_",
        "#\n",
        "0x1",
        "true",
        "1/2",
    ]
    tables = 0
    for seed in range(20_000):
        rng = Random(seed)
        text = "[" + "".join(rng.choice(signs) for _ in range(rng.randrange(12))) + "]"
        found = read_table(text, 0, set())
        if found is not None and found[0] == len(text):
            tables += 1
            with one_by_one():
                wanted = expression_of(text)
            assert expression_of(text) == wanted, text
            assert s.grid_of(wanted) == found[1], text
    assert tables > 500


# --- what is no table ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "items",
    [
        (s.IntLit(True), s.IntLit(1)),
        (s.IntLit(1), s.BoolLit(1)),  # type: ignore[arg-type]
        (s.RatLit(1),),  # type: ignore[arg-type]
        (s.Name(3),),  # type: ignore[arg-type]
        [s.IntLit(1)],
        (s.IntLit(1), s.ArrayLit((s.IntLit(1),))),
        (s.ArrayLit((s.IntLit(1),)), s.ArrayLit((s.IntLit(1), s.IntLit(2)))),
        (s.BitsOp("literal", 8, (s.IntLit(1),)), s.IntLit(1)),
        (s.BitsOp("literal", 8, (s.IntLit(1),)), s.BitsOp("literal", 4, (s.IntLit(1),))),
        (s.BitsOp("+", 8, (s.IntLit(1), s.IntLit(1))),),
        (),
    ],
)
def test_what_is_not_of_literals_alone_is_no_table(items: Any) -> None:
    assert s.grid_of(s.ArrayLit(items)) is None


def test_table_that_says_two_things_is_not_in_canonical_form() -> None:
    array = parse_expression("[1, 2]")
    assert isinstance(array, s.ArrayLit)
    object.__setattr__(array, "items", (s.IntLit(1), s.IntLit(3)))
    assert decode_tree(encode_tree(array)) != array


@pytest.mark.parametrize(
    "encoded",
    [
        *('[1,["ints",[true]]]', '[1,["ints",[1.0]]]', '[1,["ints",[]]]', '[1,["ints",["1"]]]'),
        *('[1,["ints",[["int",1]]]]', '[1,["array",[["int",1]]]]', '[1,["array",[1,2]]]'),
        *(
            '[1,["array",[["int",1],["int",2]]]]',
            '[1,["array",[["ints",[1]],["array",[["int",1]]]]]]',
        ),
        *(
            '[1,["array",[["rat","2/4"]]]]',
            '[1,["array",[["rat",1]]]]',
            '[1,["array",[["bool",1]]]]',
        ),
        *(
            '[1,["ints",[NaN]]]',
            '[1,["ints",[1],[2]]]',
            '[1,["ints",[9007199254740993]]]',
            '[1,["ints",[1, 2]]]',
        ),
        *('[true,["ints",[1]]]', '[1,["ints",[null]]]', '[1,["array",[["name","if"]]]]'),
    ],
)
def test_second_spelling_of_a_table_is_not_decoded(encoded: str) -> None:
    with pytest.raises(CodecError):
        decode_tree(encoded.encode())


def test_encoding_of_tables_has_not_changed() -> None:
    assert encode_node(parse_expression("[1, 2]")) == ["ints", [1, 2]]
    rows = parse_expression("[[1, 9007199254740993], [1/2, red], [Color.red, true]]")
    assert encode_node(rows) == [
        "array",
        [
            ["ints", [1, "9007199254740993"]],
            ["array", [["rat", "1/2"], ["name", "red"]]],
            ["array", [["member", "Color", "red"], ["bool", True]]],
        ],
    ]


class _Whole(int):
    """An integer of a class of its own."""


@pytest.mark.parametrize(
    "values",
    [
        *(
            (1, _Whole(2)),
            (1, 2.0),
            (1, None),
            (1, ("a",)),
            (1, ("a", "b", "c")),
            (1, "if"),
            (1, ("a", 2)),
        ),
        *((1, Fraction(1, 2), "x y"), (float("nan"),), ([1],), (s.IntLit(1),), (1, "")),
    ],
)
def test_table_of_what_is_no_literal_and_no_name_is_no_tree(values: Any) -> None:
    assert not is_canonical(s.written_array(s.Written(s.Grid((len(values),), values))))


@pytest.mark.parametrize(
    "grid",
    [
        *(
            s.Grid((2,), (1,)),
            s.Grid((), (1, 2)),
            s.Grid((-1, -2), (1, 2)),
            s.Grid((True, 2), (1, 2)),
        ),
        *(s.Grid([2], (1, 2)), s.Grid((2,), [1, 2]), None, (1, 2)),  # type: ignore[arg-type]
    ],
)
def test_table_of_no_shape_is_none(grid: Any) -> None:
    with pytest.raises(AttributeError):
        s.grid_of(s.written_array(s.Written(grid)))
    with pytest.raises(AttributeError):
        is_canonical(s.written_array(s.Written(grid)))


def test_equal_tables_are_equal_arrays_and_no_others_are() -> None:
    texts = [
        "[1, 2]",
        "[1, 3]",
        "[[1, 2]]",
        "[[1], [2]]",
        "[true, 2]",
        "[1/2, 1]",
        "[a, b]",
        "[a.b, a.b]",
        "[[a], [b]]",
    ]
    for left in texts:
        for right in texts:
            one, other = parse_expression(left), parse_expression(right)
            with one_by_one():
                plain = parse_expression(right)
                assert isinstance(plain, s.ArrayLit) and plain.written is None
            assert (one == other) is (one == plain) is (plain == one) is (left == right)
    assert parse_expression("[1, 0]") != parse_expression("[true, false]")
    assert hash(parse_expression("[1, 2]")) == hash(s.ArrayLit((s.IntLit(1), s.IntLit(2))))


def test_table_whose_nodes_were_exchanged_is_not_in_canonical_form() -> None:
    array = parse_expression("[1, 2]")
    object.__setattr__(array, "items", (s.IntLit(1), s.BoolLit(True)))
    assert not is_canonical(array)


def test_tables_survive_copies_and_pickles() -> None:
    array = parse_expression("[[1, 2], [a, b.c]]")
    for other in (deepcopy(array), pickle.loads(pickle.dumps(array)), replace(array, span=NO_SPAN)):
        assert other == array
        assert encode_tree(other) == encode_tree(array)


# --- limits --------------------------------------------------------------------------------------


def test_value_of_a_large_table_is_worked_out_at_once() -> None:
    cells = ", ".join(f"[{i}, {-i}, {i}]" for i in range(2_000))
    text = SOUND.format(
        top=f"table T: array[2000] of array[3] of int = [{cells}]", slot="", line="", reward="x"
    )
    task, _ = check_machine(parse_machine(text))
    assert task.names.values["T"] == tuple((i, -i, i) for i in range(2_000))
    value, ticks = _evaluated("[[1, 1/2], [3, 4]]")
    assert (value, ticks) == (((1, Fraction(1, 2)), (3, 4)), 3)


def _evaluated(text: str) -> tuple[Any, int]:
    task, _ = check_machine(parse_machine(SOUND.format(top="", slot="", line="", reward="x")))
    evaluator = Evaluator(task.names)
    return evaluator.value(parse_expression(text), {}), evaluator.ticks


def fault_of(top: str) -> Any:
    return result_of(SOUND.format(top=top, slot="", line="", reward="x"))


def test_many_tokens_are_refused_where_they_are_too_many_and_tables_are_one_token() -> None:
    sums = "+".join(["1"] * (TOKENS_MAX // 2 + 1))
    (found,) = fault_of(f"const C = {sums}")
    assert found.code == "G071"
    assert found.message == "more than 50,000 words, numbers and signs besides tables"
    assert len(fault_of(f"const C = [{', '.join(['1'] * TOKENS_MAX)}, LOW]")) == 3


def test_array_with_sums_that_is_too_long_is_no_table() -> None:
    (found,) = fault_of(f"const C = [{', '.join(['1'] * (TOKENS_MAX + 2))}, 1 + 1]")
    assert found.code == "G071"
    assert found.message == "more than 50,000 entries of arrays that are no tables"
    assert found.span.line == 9 and found.span.column == 11


def test_of_very_many_faults_the_first_are_told() -> None:
    cells = ", ".join(f"u{i}" for i in range(3 * FAULTS_MAX))
    found = fault_of(f"const C = [{cells}]")
    assert [d.message for d in found] == [f"unknown name u{i}" for i in range(FAULTS_MAX)]
    found = fault_of("const C = [" + "True, " * 300 + "1]")
    assert [d.code for d in found] == ["G002"] * FAULTS_MAX


def test_very_many_variables_are_refused_at_once() -> None:
    states = " ".join(f"state s{i}: bool = true" for i in range(1_100))
    text = SOUND.format(top="", slot="", line="", reward="x").replace(
        "state x", states + " state x"
    )
    (found,) = result_of(text)
    assert (found.code, found.message) == ("G003", "more than 200 state variables")


# --- the grammar ---------------------------------------------------------------------------------
