"""What the kernel proves total is total, and what it calls broken breaks: the whole language, tried point by point."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from random import Random
from typing import Any

import pytest

from dsl import syntax as s
from dsl.check import check_machine
from dsl.errors import DslError
from dsl.interp import EvaluationFault, Evaluator, Globals, evaluate, require_range
from dsl.intervals import Intervals, NotProved
from dsl.machine import Program, Task
from dsl.parser import parse_machine
from dsl.polynomial import Polynomial, substitute
from dsl.ranges import Abstract, Range, Row, Truth, hull, point, span_of, widen
from dsl.types import Array, Bits, Bool, Int, Rat, Value, values
from proofs.kernel.totality import (
    Broken,
    Gap,
    Unproved,
    find_gaps_in_code,
    find_gaps_in_declarations,
)


def covers(found: Abstract | None, value: Any) -> bool:
    """Whether a set holds a value."""
    match found:
        case Truth(true, false):
            return type(value) is bool and (true if value else false)
        case Row(length, item):
            fits = type(value) is tuple and len(value) == length
            return fits and all(covers(item, v) for v in value)
        case Range():
            whole = found.whole and Fraction(value).denominator != 1
            return type(value) is not bool and found.holds(value) and not whole
        case _:
            return False


def machine(
    environment: str,
    *,
    top: str = "",
    agent: str = "policy { go = false }",
    requirements: str = "",
    utility: str = "discount 1/2",
) -> tuple[Task, Program]:
    if "action" not in environment:
        environment += "\naction go: bool"
    if "reward =" not in environment:
        environment += "\nreward = 0"
    if "state" not in environment:
        environment += "\nstate x: int 0..3 = 0"
    text = f"""
    machine small
    enum Colour {{ red, green, blue }}
    {top}
    environment {{ {environment} }}
    utility {{ {utility} }}
    {requirements}
    agent {{ {agent} }}
    """
    return check_machine(parse_machine(text))


def gaps_of(environment: str, **parts: str) -> list[Gap]:
    task, program = machine(environment, **parts)
    return [*find_gaps_in_declarations(task), *find_gaps_in_code(program)]


def shown(gap: Gap) -> tuple[str, dict[str, Any]]:
    assert isinstance(gap, Broken), gap
    return gap.code, {name: value for name, _, value in gap.point}


# --- operations on bits --------------------------------------------------------------------------

TWO = ("+ - * & | ^ << >> ashr udiv urem sdiv srem ult ule slt sle").split()
ONE = ("- ~ int sint").split()


def ranges(width: int) -> list[tuple[int, int]]:
    top = 1 << width
    return [(low, high) for low in range(top) for high in range(low, top)]


def check_bits(op: str, width: int, ends: tuple[tuple[int, int], ...]) -> int:
    """Compare one operation on ranges with the interpreter; 1 where the intervals prove it."""
    names = [f"v{i}" for i in range(len(ends))]
    expr = s.BitsOp(op, width, tuple(s.Name(n) for n in names))
    known: dict[str, Abstract | None] = {
        n: Range(*e, True) for n, e in zip(names, ends, strict=True)
    }
    try:
        found = Intervals(Globals()).value(expr, known)
    except NotProved:
        return 0
    true, false = (
        Intervals(Globals()).split(expr, known) if isinstance(found, Truth) else (known, known)
    )
    for values_ in product(*(range(low, high + 1) for low, high in ends)):
        local = dict(zip(names, values_, strict=True))
        value, _ = evaluate(expr, Globals(), local)
        assert covers(found, value), (op, width, local, found, value)
        inner = true if value else false
        if isinstance(found, Truth):
            assert inner is not None and all(covers(inner[n], v) for n, v in local.items())
    return 1


@pytest.mark.parametrize("op", [*TWO, *ONE])
def test_ranges_of_bits_cover_what_the_interpreter_finds(op: str) -> None:
    proved = tried = 0
    for width in (1, 2, 3):
        pairs = [(r,) for r in ranges(width)] if op in ONE else product(ranges(width), repeat=2)
        for ends in pairs:
            proved, tried = proved + check_bits(op, width, ends), tried + 1
    if op == "-":
        pairs_ = [(r,) for r in ranges(3)] + list(product(ranges(3), repeat=2))
        assert all(check_bits(op, 3, ends) for ends in pairs_)
    assert proved == tried if op not in ("udiv", "urem", "sdiv", "srem") else proved > tried // 2


@pytest.mark.parametrize("target", [1, 2, 3, 5])
def test_resized_ranges_cover_what_the_interpreter_finds(target: int) -> None:
    for width in (1, 2, 3):
        for low, high in ranges(width):
            known: dict[str, Abstract | None] = {"x": Range(low, high, True)}
            for expr in (
                s.BitsOp("sext", width, (s.Name("x"), s.IntLit(target))),
                s.BitsOp("bits", target, (s.Name("x"),)),
            ):
                if expr.op == "sext" and target < width:
                    continue
                found = Intervals(Globals()).value(expr, known)
                for value in range(low, high + 1):
                    assert covers(found, evaluate(expr, Globals(), {"x": value})[0])
    for low in range(-9, 9):
        for high in range(low, 9):
            bits = s.BitsOp("bits", target, (s.Name("x"),))
            found = Intervals(Globals()).value(bits, {"x": Range(low, high, True)})
            for value in range(low, high + 1):
                assert covers(found, evaluate(bits, Globals(), {"x": value})[0])


def test_what_cannot_wrap_keeps_its_range() -> None:
    x, y = s.Name("x"), s.Name("y")
    known: dict[str, Abstract | None] = {"x": Range(2, 5, True), "y": Range(1, 2, True)}
    cases = {
        "+": (3, 7), "-": (0, 4), "*": (2, 10), "&": (0, 2), "|": (2, 7), ">>": (0, 2),
        "<<": (4, 20), "udiv": (1, 5), "urem": (0, 1),
    }  # fmt: skip
    for op, ends in cases.items():
        assert Intervals(Globals()).value(s.BitsOp(op, 8, (x, y)), known) == Range(*ends, True)
    assert Intervals(Globals()).value(s.BitsOp("-", 8, (y, x)), known) == Range(0, 255, True)
    known["x"] = Range(250, 255, True)
    known["y"] = Range(6, 6, True)
    assert Intervals(Globals()).value(s.BitsOp("+", 8, (x, y)), known) == Range(0, 5, True)


# --- random expressions --------------------------------------------------------------------------

STATES = """
state a: int -1..2 = 0
state b: bits[2] = any
state on: bool = any
state hue: Colour = red
state row: array[2] of int 0..1 = [0, 1]
"""
TOP = """
const HALF = 1/2
table T: array[3] of int -2..4 = [4, -2, 0]
def third(n: int 0..2): int 0..1 = (3 - n) mod 2
def half(r: rat): rat = r / 2
def low(v: bits[2]): bits[2] = v & 1
"""


class Maker:
    """Random expressions as text, most of which have a value everywhere and some of which have not."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.names: dict[str, list[str]] = {
            "int": ["a", "row[0]", "T[ord(hue)]"],
            "bits": ["b"],
            "bool": ["on"],
            "enum": ["hue"],
            "array": ["row"],
            "rat": ["HALF"],
        }
        self.bound = 0

    def make(self, kind: str, depth: int) -> str:
        if depth == 0:
            leaf = {"int": ["0", "1", "3", "-2"], "bits": ["b"], "bool": ["true", "false"],
                    "enum": ["red", "blue"], "array": ["[1, a]", "[for i in 0..1: i * 2]"],
                    "rat": ["3/4", "2"]}  # fmt: skip
            return self.rng.choice(self.names[kind] * 2 + leaf[kind])
        self.bound += 1
        form = self.rng.choice([*FORMS[kind], *SHARED])
        if "$i" in form:
            return self.turns(form, kind, depth - 1)
        parts = (
            form.replace("@same@", f"@{kind}@").replace("let t", f"let t{self.bound}").split("@")
        )
        text = parts[0]
        for i in range(1, len(parts), 2):
            text += self.make(parts[i], depth - 1) + parts[i + 1]
        return f"({text})"

    def turns(self, form: str, kind: str, depth: int) -> str:
        var, acc = f"i{self.bound}", f"acc{self.bound}"
        before = {k: list(v) for k, v in self.names.items()}
        start = self.make(kind, depth)
        self.names["int"] += [var, var]
        if "$acc" in form:
            self.names[kind] += [acc, acc]
        body = self.make(kind, depth)
        self.names = before
        high = self.rng.choice([0, 1, 2])
        parts = {"$acc": acc, "$i": f"{var} in 0..{high}", "$s": start, "$b": body}
        for mark, part in parts.items():
            form = form.replace(mark, part)
        return f"({form})"


SHARED = [
    "if @bool@ then @same@ else @same@",
    "let t = @int@ in @same@",
    "match hue { red: @same@, green | blue: @same@ }",
    "match @int@ { 0: @same@, 1 | 2: @same@, else: @same@ }",
    "fold $acc = $s for $i: $b",
]
FORMS: dict[str, list[str]] = {
    "int": [
        "@int@ + @int@", "@int@ - @int@", "@int@ * @int@", "@int@ div @int@", "@int@ mod @int@",
        "min(@int@, @int@)", "clamp(@int@, -1, 2)", "abs(@int@)", "T[@int@]", "@array@[@int@]",
        "int(@bits@)", "sint(@bits@)", "ord(@enum@)", "floor(@rat@)", "third(@int@)", "-@int@",
        "T[clamp(@int@, 0, 2)]", "match @enum@ { red: 1, green: 2 }",
    ],
    "bits": [
        "@bits@ + @bits@", "@bits@ - @bits@", "@bits@ * @bits@", "@bits@ & @bits@", "~@bits@",
        "@bits@ | @bits@", "@bits@ ^ @bits@", "@bits@ << @int@", "@bits@ >> @bits@",
        "ashr(@bits@, @int@)", "udiv(@bits@, @bits@)", "urem(@bits@, @bits@ | 1)",
        "sdiv(@bits@, @bits@)", "srem(@bits@, @bits@)", "bits[2](@int@)", "low(@bits@)",
        "bits[2](sext[4](@bits@))", "-@bits@", "@bits@ & 1",
    ],
    "bool": [
        "@int@ < @int@", "@int@ <= @int@ < @int@", "@bits@ == @bits@", "ult(@bits@, @bits@)",
        "sle(@bits@, @bits@)", "@bool@ and @bool@", "@bool@ or @bool@", "@bool@ implies @bool@",
        "not @bool@", "@enum@ != @enum@", "@array@ == @array@", "@rat@ > @rat@",
        "forall $i: $b", "exists $i: $b", "@int@ != 0", "ule(@bits@, 2)",
    ],
    "enum": ["Colour(@int@)", "Colour(@int@ mod 3)", "if @bool@ then red else @enum@"],
    "array": [
        "[@int@, @int@]", "@array@ with { 0: @int@ }", "@array@ with { @int@: @int@, 1: 0 }",
        "@array@ with { clamp(@int@, 0, 1): @int@ }",
    ],
    "rat": ["@rat@ + @rat@", "@rat@ * @rat@", "@rat@ / @int@", "half(@rat@)", "max(@rat@, @int@)"],
}  # fmt: skip


def random_text(seed: int) -> str:
    rng = Random(seed)
    kind = rng.choice(list(FORMS))
    return Maker(rng).make(kind, rng.randint(1, 3))


def points(task: Task) -> Iterator[dict[str, Any]]:
    names = [v.name for v in task.states]
    for found in product(*(tuple(values(v.type)) for v in task.states)):
        yield dict(zip(names, found, strict=True))


def check_random(seed: int) -> str | None:
    """Compare what the kernel says of one expression with every point; None where it does not check."""
    text = random_text(seed)
    try:
        task, _ = machine(f"{STATES} let v = {text}", top=TOP)
    except DslError:
        return None
    tree = next(item.value for item in task.plan if isinstance(item, s.Define))
    found: list[Value] = []
    faults = 0
    for local in points(task):
        try:
            found.append(Evaluator(task.names).value(tree, local))
        except EvaluationFault:
            faults += 1
    gaps = find_gaps_in_declarations(task)
    assert bool(gaps) == bool(faults), (seed, text, gaps)
    for gap in gaps:
        code, point_ = shown(gap)
        rest = next(points(task))
        with pytest.raises(EvaluationFault) as caught:
            Evaluator(task.names).value(tree, {**rest, **point_})
        assert caught.value.code == code
    known: dict[str, Abstract | None] = {v.name: span_of(v.type) for v in task.states}
    try:
        span = Intervals(task.names).value(tree, known)
    except NotProved:
        return "broken" if faults else "tried"
    assert not faults, (seed, text)
    assert all(covers(span, value) for value in found), (seed, text, span)
    return "proved"


@pytest.mark.parametrize("chunk", range(4))
def test_random_expressions_are_proved_or_broken_as_every_point_says(chunk: int) -> None:
    met = [check_random(seed) for seed in range(chunk * 250, (chunk + 1) * 250)]
    assert met.count("proved") >= 40 and met.count("broken") + met.count("tried") >= 12


# --- folds ---------------------------------------------------------------------------------------

PROVED = [
    "let v = T[fold m = 0 for i in 0..99_999: min(m + x, 2)]",
    "let v = T[fold m = 0 for i in 0..5_000: if i mod 7 == x then 2 else m]",
    "let v = ord(Colour(fold m = 0 for i in 0..4_000: (m + 1) mod 3))",
    "let v = T[fold m = 2 for i in 0..1: max(m - i, 1)]",
    "let v = fold m = 0 for i in 0..2_000: m + T[i mod 3]",
    "let v = fold m = 1/2 for i in 0..1_500: m / 2",
    "let v = fold m = 1 for i in 0..3: fold n = m for j in 0..3: n + j + 1 div (i + j + 1)",
    "let v = fold m = bits[8](0) for i in 0..3_000: m + bits[8](x)",
    "let v = T[int(fold m = bits[64](x) for i in 0..63: m >> 1)]",
    "let v = forall i in 0..9: x >= i implies 12 div (x - i + 1) > 0",
    "let v = exists i in 0..9: [for j in 0..9: j][i] == x",
    "let v = (T with { x mod 3: 9 })[2 - x mod 3]",
    "let v = 1 << (if x > 4 then 0 else x)".replace("1 <<", "bits[8](1) <<"),
    "let v = sdiv(bits[4](x), bits[4](3)) ^ srem(bits[4](x), ~bits[4](0))",
    "let v = fold m = true for i in 0..4_000: m and i >= 0",
    "let v = fold m = [0, 1] for i in 0..4_000: m with { i mod 2: min(m[0] + 1, 5) }",
]


@pytest.mark.parametrize("text", PROVED)
def test_loops_with_a_value_everywhere_are_proved(text: str) -> None:
    assert gaps_of(text, top="table T: array[3] of int = [1, 2, 3]") == []


BROKEN: list[tuple[str, str, dict[str, Value]]] = [
    ("let v = T[fold m = 0 for i in 0..2: m + x]", "G014", {"x": 1}),
    ("let v = fold m = 2 for i in 0..11: m * m", "G019", {}),
    ("let v = fold m = 3 for i in 0..4_999: 2 * m", "G019", {}),
    ("let v = fold m = 1 for i in 0..3: fold n = m for j in 0..3: n + 6 div (i + j - x)", "G013", {"x": 0}),
    ("let v = forall i in 0..9: 12 div (x - i) > 0", "G013", {"x": 0}),
    ("let v = exists i in 0..3: 12 div (x - 3) == i", "G013", {"x": 3}),
    ("let v = bits[8](1) << (x - 3)", "G031", {"x": 0}),
    ("let v = ashr(bits[8](1), 2 - x)", "G031", {"x": 3}),
    ("let v = urem(bits[2](x), bits[2](x + 1))", "G013", {"x": 3}),
    ("let v = sdiv(bits[2](x), bits[2](x))", "G013", {"x": 0}),
    ("let v = T with { x: 1 }", "G014", {"x": 3}),
    ("let v = (T with { 0: 1, x mod 3: 3 div (x - 2) })[0]", "G013", {"x": 2}),
    ("let v = Colour(int(bits[4](x) + 0))", "G014", {"x": 3}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "at"), BROKEN)
def test_loops_that_fail_somewhere_are_broken_there(text: str, code: str, at: Any) -> None:
    gaps = gaps_of(text, top="table T: array[3] of int = [1, 2, 3]")
    if code == "G014" and "fold" in text:
        ((found, where),) = map(shown, gaps)
        assert found == code and where["x"] in (1, 2, 3)
    else:
        assert list(map(shown, gaps)) == [(code, at)]


def test_large_spaces_are_halved_until_they_are_proved() -> None:
    big = "state x: int 0..999_999 = 0\nstate y: bits[40] = 0\n"
    assert gaps_of(big + "let sold = min(7, x)\nx' = x - sold") == []
    assert gaps_of(big + "let q = udiv(y, if y == 3 then 1 else y - 3)") == []
    ((code, at),) = map(shown, gaps_of(big + "let q = 7 div (x - 123_456)"))
    assert (code, at) == ("G013", {"x": 123_456})
    (gap,) = gaps_of(big + "let q = udiv(y, y * y + 1)")
    assert isinstance(gap, Unproved)


# --- policies, memory, requirements --------------------------------------------------------------


def test_every_policy_and_memory_is_looked_at() -> None:
    agent = "memory m: int 0..3 = 0  policy { go = true  m' = min(m + 1, 3) }"
    assert gaps_of("", agent=agent) == []
    broken = gaps_of("", agent=agent.replace("min(m + 1, 3)", "m + 1"))
    assert list(map(shown, broken)) == [("G012", {"m": 3})]
    other = agent + " policy home { go = 6 div (m - x) == 1 }"
    assert [code for code, _ in map(shown, gaps_of("", agent=other))] == ["G013"]


def test_policy_reads_the_memory_it_has_just_assigned() -> None:
    agent = "memory m: int 0..3 = 0  policy { m' = if m > 2 then 0 else m + 1  go = 6 div ME > 1 }"
    assert list(map(shown, gaps_of("", agent=agent.replace("ME", "m'")))) == [("G013", {"m": 3})]
    assert gaps_of("", agent=agent.replace("ME", "(m' + 1)")) == []


def test_requirements_have_a_value_in_every_state() -> None:
    assert gaps_of("", requirements="require r: always x == 0 or 6 div x > 0") == []
    broken = gaps_of("", requirements="require r: always 6 div x > 0")
    assert list(map(shown, broken)) == [("G013", {"x": 0})]
    step = "require r: always x' == 3 or 6 div (x' - 3) < 0"
    assert gaps_of("x' = 0", requirements=step) == []
    broken = gaps_of("x' = 0", requirements=step.replace("x' == 3 or ", ""))
    assert list(map(shown, broken)) == [("G013", {"x'": 3})]
    reach = "require r: within 2 reach 6 div x > 0 from x > 4 using main"
    assert list(map(shown, gaps_of("", requirements=reach))) == [("G013", {"x": 0})]


# --- adversaries and starts ----------------------------------------------------------------------


def test_adversary_needs_a_choice_for_every_state_and_action() -> None:
    world = "state x: int 0..3 = 0\naction go: bool\nadversary y: int 0..3 where COND"
    for condition in ("y <= x", "y != x", "go or y == 2", "y * y >= x + 6 * (1 - 1)", "x + y == 3"):
        assert gaps_of(world.replace("COND", condition)) == [], condition
    for condition, at in (
        ("y < x", {"x": 0}),
        ("y > x", {"x": 3}),
        ("go and y == x", {"go": False, "x": 0}),
        ("y * y == x", {"x": 2}),
        ("y < y", {}),
    ):
        (gap,) = gaps_of(world.replace("COND", condition))
        code, where = shown(gap)
        assert (code, where | at) == ("G064", where), condition


def test_adversary_keeps_its_conditions_in_what_is_demanded_of_the_step() -> None:
    world = "state x: int 0..3 = 0\nadversary y: int 0..3 where y <= x\nx' = "
    assert gaps_of(world + "x - y") == []
    assert [code for code, _ in map(shown, gaps_of(world + "x - y - 1"))] == ["G012"]
    ((code, at),) = map(shown, gaps_of(world + "0\nlet v = 6 div (3 - y)"))
    assert (code, at) == ("G013", {"x": 3, "y": 3})
    assert gaps_of(world + "0\nlet v = 6 div (y - x - 1)") == []


def test_conditions_of_the_adversary_have_a_value() -> None:
    world = "state x: int 0..3 = 0\nadversary y: int 0..3 where 6 div (y - x) > 0 or true"
    ((code, at), *_) = map(shown, gaps_of(world))
    assert code == "G013" and at["x"] == at["y"]


def test_several_adversaries_choose_together() -> None:
    world = "adversary y: int 0..3 where y + z == WANT\nadversary z: bits[2] where int(z) > y"
    world = world.replace("y + z", "y + int(z)")
    assert gaps_of(world.replace("WANT", "3")) == []
    assert list(map(shown, gaps_of(world.replace("WANT", "x + 3")))) == [("G064", {"x": 3})]


def test_start_is_looked_for_in_every_value_of_the_unknowns() -> None:
    world = "unknown u: int 0..3\nstate x: bits[32] = any where ult(x, bits[32](LESS))"
    assert gaps_of(world.replace("LESS", "u + 1")) == []
    ((code, at),) = map(shown, gaps_of(world.replace("LESS", "u")))
    assert (code, at) == ("G065", {"u": 0})


def test_starts_keep_their_range_and_their_conditions() -> None:
    anywhere = "state x: int 0..2_000_000 = any where x > 0\nstate y: int 0..70 = any where y < 9\n"
    world = anywhere + "state z: int -9..9 = "
    assert gaps_of(world + "9 div x") == []
    assert gaps_of(world + "9 div (x + 8 - y)") == []
    ((code, at),) = map(shown, gaps_of(world + "9 div (x - 3)"))
    assert (code, at["x"]) == ("G013", 3)


# --- weights -------------------------------------------------------------------------------------

WEIGHTS: list[tuple[str, str, str | None]] = [
    # unknowns and assumptions, a map, the code of the gap
    ("unknown p: rat 0..1", "{ 0: p, 1: 1 - p }", None),
    ("unknown p: rat 0..1", "{ 0: p * p, 1: 2 * p * (1 - p), 2: (1 - p) * (1 - p) }", None),
    ("unknown p: rat 0..2", "{ 0: p, 1: 1 - p }", "G016"),
    ("unknown p: rat 0..1", "{ 0: p, 1: p }", "G016"),
    ("unknown p: rat 0..1", "{ 0: 1/8 - p * (1 - p), 1: 7/8 + p * (1 - p) }", "G016"),
    ("unknown p: rat 1/3..2/3", "{ 0: p * (1 - p) - 1/8, 1: 9/8 - p * (1 - p) }", None),
    ("unknown p: rat 0..1", "{ 0: p * (1 - p) - 1/8, 1: 9/8 - p * (1 - p) }", "G016"),
    ("unknown p: rat 0..1", "{ 0: p * (1 - p), 1: 1 }", "G016"),
    ("unknown p: rat 0..1", "{ 0: 1/3 - p * (1 - p), 1: 2/3 + p * (1 - p) }", None),
    ("unknown p: rat 0..1", "{ 0: (p - 1/2) * (p - 1/2), 1: 1 - (p - 1/2) * (p - 1/2) }", None),
    ("unknown p: rat 0..1", "{ 0: p - 1/2, 0: 1/2, 1: 1 - p }", "G016"),
    ("unknown p: rat 0..1\nunknown q: rat 0..1", "{ 0: p * q, 1: 1 - p * q }", None),
    ("unknown p: rat 0..1\nunknown q: rat 0..1", "{ 0: p, 1: q, 2: 1 - p - q }", "G016"),
    ("unknown p: rat 0..1\nunknown q: rat 0..1\nassume p + q <= 1", "{ 0: p, 1: q, 2: 1 - p - q }", None),
    ("unknown p: rat 0..1\nunknown q: rat 0..1\nassume p + q == 1", "{ 0: p, 1: q }", None),
    ("unknown p: rat 0..1\nunknown q: rat 0..1\nassume p + q <= 9/8", "{ 0: p, 1: q, 2: 1 - p - q }", "G016"),
    ("unknown p: rat 0..1\nunknown q: rat 0..1\nassume p <= q", "{ 0: q - p, 1: 1 - q, 2: p }", None),
    ("unknown p: rat 0..1\nunknown q: rat 0..1\nassume p <= q", "{ 0: p - q, 1: 1 - p, 2: q }", "G016"),
    ("adversary r: rat 0..1/4", "{ 0: r, 1: 1 - r }", None),
    ("adversary r: rat 0..5/4", "{ 0: r, 1: 1 - r }", "G016"),
    ("unknown p: rat 0..1\nadversary r: rat 0..1", "{ 0: p * r, 1: p * (1 - r), 2: 1 - p }", None),
    ("unknown p: rat 0..1\nunknown q: rat 0..1\nassume p + q <= 1\nadversary r: rat 0..1",
     "{ 0: p * r, 1: q + p * (1 - r), 2: 1 - p - q }", None),
    ("unknown p: rat 0..1\nunknown q: rat 0..1\nassume p + q == 1\nadversary r: rat 0..1",
     "{ 0: p * r, 1: q * r, 2: 1 - r }", None),
    ("unknown p: rat 0..1", "if x == 0 then { 0: p, 1: 1 - p } else { 1: 1 }", None),
    ("unknown p: rat 0..1", "{ 0: p * x / 3, 1: 1 - p * x / 3 }", None),
    ("unknown p: rat 0..1", "{ 0: p * x / 2, 1: 1 - p * x / 2 }", "G016"),
    ("unknown p: rat 0..1", "match x { 0: { 0: 1 }, else: { 0: p / 2, 1: 1 - p / 2 } }", None),
    ("unknown p: rat 0..1", "{ for i in 0..3: i: if i == 0 then p else (1 - p) / 3 }", None),
    ("unknown p: rat 0..1", "{ for i in 0..3: i: p / 4 }", "G016"),
    ("unknown p: rat 0..1", "let w = p / 2 in { 0: w, 1: 1 - w }", None),
    ("unknown p: rat 0..1", "{ 9: p - p, 0: 1 }", None),
    ("unknown p: rat 0..1", "{ 9: p, 0: 1 - p }", "G012"),
    ("unknown p: rat 0..1", "{ x + 4: 0, x: p, 0: 1 - p }", None),
    ("unknown u: int 0..3\nunknown p: rat 0..1/3", "{ 0: p * u, 1: 1 - p * u }", None),
    ("unknown u: int 0..4\nunknown p: rat 0..1/3", "{ 0: p * u, 1: 1 - p * u }", "G016"),
]  # fmt: skip


@pytest.mark.parametrize(("unknowns", "dist", "code"), WEIGHTS)
def test_weights_hold_for_all_unknowns_and_rates(
    unknowns: str, dist: str, code: str | None
) -> None:
    text = f"{unknowns}\nstate x: int 0..3 = 0\nchance c: int 0..3 = {dist}\nx' = c"
    task, _ = machine(text)
    gaps = find_gaps_in_declarations(task)
    if code is None:
        assert gaps == []
        return
    ((found, at),) = map(shown, gaps)
    assert found == code
    check_breaks(task, at)


def check_breaks(task: Task, at: dict[str, Any]) -> None:
    """The chance variable has no distribution at a point; what the point leaves open may be anything."""
    chance = next(item for item in task.plan if isinstance(item, s.Chance))
    kind = task.chances[0].type
    local: dict[str, Any] = {v.name: next(values(v.type)) for v in (*task.states, *task.unknowns)}
    for v in (*task.rationals, *task.rates):
        local[v.name] = at.get(v.name, Polynomial.variable(v.name))
    with pytest.raises(EvaluationFault):
        for value, _ in Evaluator(task.names).distribution(chance.dist, {**local, **at}):
            require_range(kind, value, "c", chance.dist)
    box = {v.name: v.type for v in (*task.rationals, *task.rates)}
    for name, value in at.items():
        if name in box:
            kind = box[name]
            assert isinstance(kind, Rat) and kind.low <= value <= kind.high
    if all(v.name in at for v in task.rationals):
        point_ = {v.name: at[v.name] for v in task.rationals}
        for assumption in task.assumptions:
            met = substitute(assumption.difference, point_)
            assert met == 0 if assumption.exact else met >= 0  # type: ignore[operator]


def test_weights_of_starts_hold_for_all_unknowns() -> None:
    world = "unknown p: rat 0..HIGH\nstate x: int 0..3 = { 0: p, 3: 1 - p }"
    assert gaps_of(world.replace("HIGH", "1")) == []
    ((code, at),) = map(shown, gaps_of(world.replace("HIGH", "2")))
    assert code == "G016" and at["p"] > 1


def test_weights_that_read_names_like_unknowns_are_not_confused() -> None:
    """A function's parameter and a turn's variable have nothing to do with the unknown they resemble."""
    top = "def w(q: rat): rat = q / 2"
    assert (
        gaps_of("unknown p: rat 0..1\nchance c: bool = { true: w(p), false: 1 - w(p) }", top=top)
        == []
    )
    found = gaps_of(
        "unknown p: rat 0..1\nchance c: bool = { true: w(3 * p), false: 1 - w(3 * p) }", top=top
    )
    assert [code for code, _ in map(shown, found)] == ["G016"]


def test_definitions_of_unknowns_serve_as_weights() -> None:
    text = "unknown p: rat 0..1\nlet w = p / 2\nlet v = 1 - w\nstate x: bits[32] = 0\nchance c: bool = { true: w, false: v }"
    assert gaps_of(text) == []
    ((code, at),) = map(shown, gaps_of(text.replace("p / 2", "p * 2")))
    assert code == "G016" and at["p"] > Fraction(1, 2)


def test_weights_that_follow_a_state_too_large_to_list_stay_unproved() -> None:
    text = "state x: bits[32] = any\nlet n = int(x)\nchance c: bool = { true: n / 4294967296, false: 1 - n / 4294967296 }"
    (gap,) = gaps_of(text)
    assert isinstance(gap, Unproved) and gap.code == "G016"


# --- sets ----------------------------------------------------------------------------------------


def test_sets_of_a_type_hold_its_values() -> None:
    for kind in (Bool(), Int(-2, 3), Bits(3), Array(2, None, Int(0, 2)), Array(2, None, Bits(1))):
        found = list(values(kind))
        assert all(covers(span_of(kind), v) for v in found)
        for one, other in product(found[:9], found[-9:]):
            both = hull(point(one), point(other))
            assert covers(both, one) and covers(both, other)
            wide = widen(point(one), both)
            assert covers(wide, one) and covers(wide, other)
