"""Forged certificates, theorems, chains and rewrites: the kernel accepts none of them and says what is wrong."""

# ruff: noqa: E501 - tables of forgeries hold one case a line

from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, replace
from fractions import Fraction
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kernel_cases import Claim
from kernel_tables import average, cases_of, game_of, game_of_all

from dsl import syntax as s
from dsl.check import check_declarations
from dsl.codec import (
    _SHAPES,
    CodecError,
    canonical_json,
    decode_json,
    decode_node,
    decode_rational,
    decode_tree,
    digest_node,
    encode_node,
    encode_tree,
)
from dsl.errors import DslError
from dsl.machine import Outcome, World
from dsl.parser import parse_machine, parse_patch
from dsl.polynomial import Polynomial
from dsl.rewrite import (
    AddSlot,
    Edit,
    RemoveSlot,
    Replace,
    RewriteError,
    apply_rewrite,
    decode_edits,
)
from godel.gate import Accepted, Gate, Invalid
from proofs.certificates import encode_certificate
from proofs.kernel.certificate import (
    BetterCertificate,
    BetterWorstCertificate,
    BoundsCertificate,
    Case,
    Certificate,
    Cut,
    Entry,
    InvariantCertificate,
    Leaf,
    Move,
    NotBetterCertificate,
    NotBetterHereCertificate,
    OptimalityCertificate,
    PathCertificate,
    PointwiseCertificate,
    RankCertificate,
    Reply,
    Table,
)
from proofs.kernel.chapter import Chapter, NotTotal
from proofs.kernel.check import (
    Breaks,
    IsBetter,
    IsBounded,
    IsChain,
    IsNotBetter,
    IsOptimal,
    Keeps,
    Obligation,
    check,
)
from proofs.kernel.theorem import CertificateError, Improvement, Theorem, _make_theorem

PORCH = """
machine porch
enum Lamp { red, green }
enum Move { stay, ahead }
const LAST = 3
environment {
  state tile: int 0..LAST = { 0: 1/2, 1: 1/2 }
  state lit: bool = false
  state lamp: Lamp = red
  action move: Move
  chance slip: bool = { true: 1/4, false: 3/4 }
  tile' = if slip or move == stay then tile else min(tile + 1, LAST)
  lit'  = tile' >= 2
  lamp' = if lit then green else red
  reward = if tile' == LAST then 1 else if lamp == green then 1/100 else 0
  done = tile == LAST
}
utility { UTILITY  tick_price 1/1000  size_price 1/10000 }
agent {
  param far: int 0..3 = 2
  table PLAN: array[4] of Move = [ahead, ahead, stay, stay]
  def near(t: int): bool = t < far
  policy { move = if near(tile) then ahead else PLAN[tile] }
}
"""
UTILITIES = {"discount": "discount 9/10", "horizon": "horizon 4"}
GOOD = "policy { move = if near(tile) then ahead else ahead }"
BAD = "policy { move = if near(tile) then stay else stay }"

Json = Any


@cache
def porch(kind: str, text: str = PORCH) -> tuple[Chapter, s.Code]:
    """The chapter and the code that is installed."""
    machine = parse_machine(text.replace("UTILITY", UTILITIES[kind]))
    return Chapter(machine.declarations), machine.agent


def with_policy(code: s.Code, policy: str) -> s.Code:
    """The code with another policy."""
    (new,) = parse_patch(f"agent {{ {policy} }}").slots
    return s.Code(tuple(new if isinstance(x, s.Policy) else x for x in code.slots))


SLACK = Fraction(1, 100_000)


def table_of(chapter: Chapter, code: s.Code | None, *, upper: bool) -> Table:
    """The exact values of a program, or of the best there is, with a little room."""
    game = game_of_all(chapter) if code is None else game_of(chapter, code)
    room = SLACK if upper else -SLACK
    return Table(
        tuple(
            tuple(replace(e, value=e.value + room * (k + 1)) for e in layer)
            for k, layer in enumerate(game.table(upper=upper).layers)
        )
    )


def better_of(chapter: Chapter, old: s.Code, new: s.Code) -> BetterCertificate:
    """That one program is better than another, by as much as it is."""
    lower, upper = table_of(chapter, new, upper=False), table_of(chapter, old, upper=True)
    gain = utility_of(chapter, new, lower) - utility_of(chapter, old, upper)
    return BetterCertificate(cases_of(chapter, lambda _: lower, lambda _: upper), gain, World())


def utility_of(chapter: Chapter, code: s.Code, table: Table) -> Fraction:
    """What a table makes of U at the start."""
    return average(chapter, table, (), ())[0] - chapter.size_cost(chapter.program(code))


@cache
def honest(kind: str, claim: str) -> tuple[Claim, bytes]:
    """A claim that holds, with its certificate."""
    chapter, old = porch(kind)
    new = with_policy(old, {"better": GOOD, "not better": BAD}[claim]) if "better" in claim else old
    lower, upper = table_of(chapter, new, upper=False), table_of(chapter, new, upper=True)
    low, high = cases_of(chapter, lambda _: lower), cases_of(chapter, lambda _: upper)
    certificate: Certificate
    obligation: Obligation
    match claim:
        case "better":
            obligation, certificate = IsBetter(chapter, old, new), better_of(chapter, old, new)
        case "not better":
            obligation = IsNotBetter(chapter, old, new)
            below = table_of(chapter, old, upper=False)
            certificate = NotBetterCertificate(cases_of(chapter, lambda _: upper, lambda _: below))
        case "bounds":
            obligation = IsBounded(chapter, old)
            levels = [average(chapter, table, (), ())[0] for table in (lower, upper)]
            certificate = BoundsCertificate(levels[0], low, levels[1], high)
        case _:
            obligation = IsOptimal(chapter, old)
            best = table_of(chapter, None, upper=True)
            gap = average(chapter, best, (), ())[0] - utility_of(chapter, old, lower)
            cases = cases_of(chapter, lambda _: lower, lambda _: best)
            certificate = OptimalityCertificate(cases, gap)
    made = Claim(chapter, obligation, old, new)
    programs = chapter.program(new), chapter.program(old)
    return made, encode_certificate(certificate, chapter.task, *programs)


def check_bytes(claim: Claim, data: bytes) -> Theorem:
    """Decode a certificate as a ledger's reader does, and check it."""
    return check(claim.obligation, claim.read(data))


@pytest.mark.parametrize("kind", UTILITIES)
@pytest.mark.parametrize("claim", ["better", "not better", "bounds", "optimal"])
def test_the_honest_certificates_that_are_forged_below_hold(kind: str, claim: str) -> None:
    assert isinstance(check_bytes(*honest(kind, claim)), Theorem)


TABLES = {
    "better": ("new_lower", "old_upper"),
    "not better": ("new_upper", "old_lower"),
    "bounds": ("lower", "upper"),
    "optimal": ("lower", "upper"),
}


def laid_out(rule: str, data: Json) -> Json:
    """The JSON of a certificate with its tables by name, beside what else there is in it."""
    flat = {k: v for k, v in data.items() if k != "cases" and not k.endswith("_cases")}
    if rule == "bounds":
        flat["levels"] = [flat.pop("lower"), flat.pop("upper")]
        tables = [data[f"{side}_cases"][0][1]["tables"][0] for side in ("lower", "upper")]
    else:
        tables = data["cases"][0][1]["tables"]
    return {**flat, **dict(zip(TABLES[rule], tables, strict=True))}


def put_together(rule: str, flat: Json) -> Json:
    """The JSON of a certificate again."""
    data = {k: v for k, v in flat.items() if k not in (*TABLES[rule], "levels")}
    tables = [flat[name] for name in TABLES[rule] if name in flat]
    if rule != "bounds":
        return {**data, "cases": [[[], {"tables": tables, "multipliers": []}]]}
    for side, level, table in zip(("lower", "upper"), flat["levels"], tables, strict=True):
        data[side] = level
        data[f"{side}_cases"] = [[[], {"tables": [table], "multipliers": []}]]
    return data


# --- certificates --------------------------------------------------------------------------------


def at(layer: Json, *state: Json) -> Json:
    """The entry of a state in a layer."""
    return next(entry for entry in layer if entry[0] == list(state))


def add(entry: Json, amount: str) -> None:
    """Move a value."""
    entry[1] = str(decode_rational(entry[1]) + Fraction(amount))


def swap(data: Json, one: str, other: str) -> None:
    """Exchange two tables."""
    data[one], data[other] = data[other], data[one]


START = (0, False, "red")
MIDDLE = (2, True, "red")

Forge = Callable[[Json], object]
TABLE_FORGERIES: list[tuple[str, str, str, Forge, str]] = [
    # kind of forgery, what the certificate is for, utility, what is changed, what the kernel says
    # values
    ("raised start", "better", "discount", lambda d: add(at(d["new_lower"][0], *START), "1"), "ineq"),
    ("raised start", "better", "horizon", lambda d: add(at(d["new_lower"][3], *START), "1"), "ineq"),
    ("raised start", "optimal", "discount", lambda d: add(at(d["lower"][0], *START), "1"), "ineq"),
    ("lowered start", "better", "discount", lambda d: add(at(d["old_upper"][0], *START), "-1"), "ineq"),
    ("lowered start", "optimal", "discount", lambda d: add(at(d["upper"][0], *START), "-1"), "ineq"),
    ("lowered start", "optimal", "horizon", lambda d: add(at(d["upper"][3], *START), "-1"), "ineq"),
    ("raised inside", "better", "discount", lambda d: add(at(d["new_lower"][0], *MIDDLE), "1/9"), "ineq"),
    ("raised inside", "bounds", "discount", lambda d: add(at(d["lower"][0], *MIDDLE), "1/9"), "ineq"),
    ("lowered inside", "bounds", "discount", lambda d: add(at(d["upper"][0], *MIDDLE), "-1/9"), "ineq"),
    ("lowered inside", "not better", "horizon", lambda d: add(d["new_upper"][0][0], "-1/9"), "ineq"),
    ("raised last layer", "better", "horizon", lambda d: add(d["new_lower"][0][0], "1/9"), "ineq"),
    ("lowered last layer", "optimal", "horizon", lambda d: add(d["upper"][0][0], "-2"), "ineq"),
    ("a little too high", "better", "discount", lambda d: add(at(d["new_lower"][0], *START), "1/10000"), "ineq"),
    # what is listed
    ("dropped start", "better", "discount", lambda d: d["new_lower"][0].remove(at(d["new_lower"][0], *START)), "start .* is not listed"),
    ("dropped state", "better", "discount", lambda d: d["new_lower"][0].remove(at(d["new_lower"][0], *MIDDLE)), "not listed"),
    ("dropped state", "optimal", "discount", lambda d: d["upper"][0].pop(), "not listed"),
    ("dropped state", "better", "horizon", lambda d: d["old_upper"][0].pop(), "not listed"),
    ("unclosed set", "bounds", "discount", lambda d: d.update(lower=[d["lower"][0][:2]]), "reached from .* not listed"),
    ("bound of one for all", "optimal", "discount", lambda d: d.update(upper=d["lower"]), "ineq|not listed"),
    ("listed twice", "better", "discount", lambda d: d["new_lower"][0].append(d["new_lower"][0][0]), "listed twice"),
    ("listed twice", "bounds", "horizon", lambda d: d["lower"][2].append([d["lower"][2][0][0], "-5"]), "listed twice"),
    ("done state", "better", "discount", lambda d: d["new_lower"][0].append([[3, True, "red"], "9"]), "has ended there"),
    ("done state", "better", "discount", lambda d: d["old_upper"][0].append([[3, True, "green"], "-9"]), "has ended there"),
    ("done state", "optimal", "horizon", lambda d: d["upper"][0].append([[3, False, "red"], "0"]), "has ended there"),
    ("empty table", "better", "discount", lambda d: d.update(new_lower=[[]]), "start .* is not listed"),
    ("empty table", "optimal", "discount", lambda d: d.update(upper=[[]]), "start .* is not listed"),
    ("empty table", "bounds", "horizon", lambda d: d.update(upper=[[], [], [], []]), "start .* is not listed"),
    # layers
    ("no layer", "better", "discount", lambda d: d.update(new_lower=[]), "one layer, found 0"),
    ("extra layer", "better", "discount", lambda d: d["new_lower"].append([]), "one layer, found 2"),
    ("layers under a discount", "bounds", "discount", lambda d: d.update(lower=d["lower"] * 4), "one layer, found 4"),
    ("one layer under a horizon", "better", "horizon", lambda d: d.update(new_lower=d["new_lower"][-1:]), "asks for 4 layers, found 1"),
    ("extra layer", "better", "horizon", lambda d: d["new_lower"].insert(0, d["new_lower"][0]), "asks for 4 layers, found 5"),
    ("missing layer", "optimal", "horizon", lambda d: d["upper"].pop(0), "asks for 4 layers, found 3"),
    ("layers upside down", "bounds", "horizon", lambda d: d["lower"].reverse(), "not listed|ineq"),
    ("one layer for all", "optimal", "horizon", lambda d: d.update(upper=[d["upper"][3]] * 4), "not listed|ineq"),
    # tables in each other's place
    ("swapped old and new", "better", "discount", lambda d: swap(d, "new_lower", "old_upper"), "ineq|not listed"),
    ("swapped old and new", "better", "horizon", lambda d: swap(d, "new_lower", "old_upper"), "ineq|not listed|no gain"),
    ("swapped old and new", "not better", "discount", lambda d: swap(d, "new_upper", "old_lower"), "ineq|not listed"),
    ("swapped lower and upper", "bounds", "discount", lambda d: swap(d, "lower", "upper"), "ineq"),
    ("swapped lower and upper", "optimal", "discount", lambda d: swap(d, "lower", "upper"), "ineq|not listed"),
    ("swapped values", "better", "discount", lambda d: swap_values(d["new_lower"][0]), "ineq"),
    ("negated", "better", "discount", lambda d: negate(d["old_upper"][0]), "ineq"),
    ("doubled", "optimal", "discount", lambda d: scale(d["lower"][0], "2"), "ineq"),
    # states that are none
    ("outside the type", "better", "discount", lambda d: d["new_lower"][0].append([[99, True, "red"], "0"]), "99 is outside int 0..3"),
    ("outside the type", "better", "discount", lambda d: d["new_lower"][0].append([[-1, True, "red"], "0"]), "-1 is outside"),
    ("bool as number", "better", "discount", lambda d: d["new_lower"][0].append([[True, True, "red"], "0"]), "expected an integer"),
    ("number as bool", "better", "discount", lambda d: d["new_lower"][0].append([[0, 1, "red"], "0"]), "expected true or false"),
    ("enum by number", "better", "discount", lambda d: d["new_lower"][0].append([[0, True, 0], "0"]), "no member of Lamp"),
    ("member of another enum", "better", "discount", lambda d: d["new_lower"][0].append([[0, True, "stay"], "0"]), "no member of Lamp"),
    ("number as text", "better", "discount", lambda d: d["new_lower"][0].append([["2", True, "red"], "0"]), "not the canonical form of an integer"),
    ("too few values", "better", "discount", lambda d: d["new_lower"][0].append([[0, True], "0"]), "a state has 3 values"),
    ("too many values", "better", "discount", lambda d: d["new_lower"][0].append([[0, True, "red", 0], "0"]), "a state has 3 values"),
    ("state by name", "better", "discount", lambda d: d["new_lower"][0].append([{"tile": 0}, "0"]), "a state has 3 values"),
    ("null state", "better", "discount", lambda d: d["new_lower"][0].append([None, "0"]), "a state has 3 values"),
    # numbers that are none
    *(
        ("number", "better", "discount", lambda d, v=value: d["new_lower"][0][0].__setitem__(1, v), reason)
        for value, reason in [
            ("2/4", "not in lowest terms"), ("1/1", "not in lowest terms"), ("-0", "not in lowest terms"),
            ("1/0", "is not a rational"), ("0/0", "is not a rational"), ("1/-2", "is not a rational"),
            ("01", "not in lowest terms"), ("1/02", "not in lowest terms"), ("+1", "is not an integer"),
            (" 1", "is not an integer"), ("1 ", "is not an integer"), ("1e3", "is not an integer"),
            ("0.5", "is not an integer"), ("NaN", "is not an integer"), ("Infinity", "is not an integer"),
            ("1/2/3", "is not an integer"), ("1/", "is not an integer"), ("/2", "is not an integer"),
            ("", "is not an integer"), ("-", "is not an integer"), ("1_000", "is not an integer"),
            ("٣", "is not an integer"), ("²", "is not an integer"), ("0x10", "is not an integer"),
            ("9" * 5_000, "too many digits|inequality"),
            (1, "expected a rational"), (True, "expected a rational"), (None, "expected a rational"),
            ([1, 2], "expected a rational"), ({"n": 1}, "expected a rational"),
        ]
    ),
    # shapes that are none
    ("shape", "better", "discount", lambda d: d.update(new_lower=None), "expected a list of layers"),
    ("shape", "optimal", "discount", lambda d: d.update(upper=None), "expected a list of layers"),
    ("shape", "better", "discount", lambda d: d.update(new_lower={}), "expected a list of layers"),
    ("shape", "better", "discount", lambda d: d.update(new_lower=["x"]), "expected a list of states"),
    ("shape", "better", "discount", lambda d: d.update(new_lower=[{}]), "expected a list of states"),
    ("shape", "better", "discount", lambda d: d["new_lower"][0].append([START]), "expected a state with its value"),
    ("shape", "better", "discount", lambda d: d["new_lower"][0].append([[*START], "0", "0"]), "a memory has 0 values"),
    ("missing table", "better", "discount", lambda d: d.pop("new_lower"), "expected 2 tables"),
    ("extra table", "better", "discount", lambda d: d.update(lower=[[]]), "takes cases, gain, world"),
    ("extra claim", "better", "discount", lambda d: d.update(claim="1000"), "takes cases, gain, world"),
    ("version", "better", "discount", lambda d: d.update(version=1), "unknown version"),
    ("version", "better", "discount", lambda d: d.update(version=True), "unknown version"),
    ("version", "better", "discount", lambda d: d.update(version="1"), "unknown version"),
    ("version", "better", "discount", lambda d: d.pop("version"), "unknown version"),
    ("unknown rule", "better", "discount", lambda d: d.update(rule="trust me"), "unknown rule"),
    ("unknown rule", "better", "discount", lambda d: d.update(rule=["better"]), "unknown rule"),
    ("unknown rule", "better", "discount", lambda d: d.pop("rule"), "unknown rule"),
    ("another rule", "better", "discount", lambda d: d.update(rule="not better"), "takes cases$"),
    ("another rule", "bounds", "discount", lambda d: d.update(rule="optimal"), "takes cases, gap"),
    ("another rule", "optimal", "discount", lambda d: d.update(rule="bounds"), "takes lower, lower_cases"),
    ("another rule", "better", "discount", lambda d: rename(d, "not better"), "says nothing about IsBetter"),
]  # fmt: skip


def swap_values(layer: Json) -> None:
    """Exchange the values of the first and the last state."""
    layer[0][1], layer[-1][1] = layer[-1][1], layer[0][1]


def negate(layer: Json) -> None:
    """Turn every sign."""
    scale(layer, "-1")


def scale(layer: Json, factor: str) -> None:
    """Multiply every value."""
    for entry in layer:
        entry[1] = str(decode_rational(entry[1]) * Fraction(factor))


def rename(data: Json, rule: str) -> None:
    """Offer the tables as those of another rule, with nothing else in it."""
    data.update(rule=rule)
    for name in ("gain", "world"):
        del data[name]


@pytest.mark.parametrize(
    ("claim", "kind", "forge", "reason"),
    [f[1:2] + f[2:3] + f[3:] for f in TABLE_FORGERIES],
    ids=[f"{i} {f[0]}" for i, f in enumerate(TABLE_FORGERIES)],
)
def test_forged_table_is_refused(claim: str, kind: str, forge: Forge, reason: str) -> None:
    made, data = honest(kind, claim)
    value = laid_out(claim, copy.deepcopy(cast(Any, decode_json(data))))
    forge(value)
    forged = canonical_json(put_together(claim, value))
    assert forged != data
    with pytest.raises((CertificateError, CodecError), match=reason):
        check_bytes(made, forged)


RAW_FORGERIES: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("white space", lambda d: d.replace(b",", b", ", 1), "not in canonical form"),
    ("line break at the end", lambda d: d + b"\n", "not in canonical form"),
    ("byte order mark", lambda d: b"\xef\xbb\xbf" + d, "not JSON|not in canonical form"),
    ("UTF-16", lambda d: d.decode().encode("utf-16"), "not in canonical form"),
    ("duplicate key", lambda d: d[:-1] + b',"version":1}', "not in canonical form"),
    ("other order of keys", lambda d: b'{"version":2,' + d[1:].replace(b'"version":2,', b""), "not in canonical form"),
    ("escaped letter", lambda d: d.replace(b"better", b"b\\u0065tter", 1), "not in canonical form"),
    ("float", lambda d: d.replace(b"[0,false", b"[0.0,false", 1), "not an exact number"),
    ("exponent", lambda d: d.replace(b"[0,false", b"[0e0,false", 1), "not an exact number"),
    ("minus nought", lambda d: d.replace(b"[0,false", b"[-0,false", 1), "not in canonical form"),
    ("NaN", lambda d: d.replace(b"[0,false", b"[NaN,false", 1), "not an exact number"),
    ("Infinity", lambda d: d.replace(b"[0,false", b"[-Infinity,false", 1), "not an exact number"),
    ("huge integer", lambda d: d.replace(b"[0,", b"[" + b"9" * 30 + b",", 1), "beyond 2\\^53"),
    ("endless integer", lambda d: d.replace(b"[0,", b"[" + b"9" * 9_999 + b",", 1), "not JSON|beyond 2\\^53"),
    ("truncated", lambda d: d[:-2], "not JSON"),
    ("truncated in the middle", lambda d: d[: len(d) // 2], "not JSON"),
    ("empty", lambda d: b"", "not JSON"),
    ("two of them", lambda d: d + d, "not JSON"),
    ("invalid UTF-8", lambda d: d.replace(b"red", b"r\xffd", 1), "not JSON"),
    ("null", lambda d: b"null", "unknown version"),
    ("list", lambda d: b"[" + d + b"]", "unknown version"),
    ("text", lambda d: json.dumps(d.decode()).encode(), "unknown version"),
    ("deep", lambda d: b"[" * 900 + b"]" * 900, "unknown version|nested"),
    ("deeper", lambda d: b"[" * 990 + b"]" * 990, "nested|not JSON"),
    ("deepest", lambda d: b"[" * 100_000 + b"]" * 100_000, "nested|not JSON"),
    ("deep value", lambda d: b'{"rule":"better","version":' + b"[" * 950 + b"]" * 950 + b"}", "."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("forge", "reason"), [f[1:] for f in RAW_FORGERIES], ids=[f[0] for f in RAW_FORGERIES]
)
def test_forged_text_is_refused(forge: Callable[[bytes], bytes], reason: str) -> None:
    made, data = honest("discount", "better")
    forged = forge(data)
    assert forged != data
    with pytest.raises(CodecError, match=reason):
        check_bytes(made, forged)


OTHER_WORLDS = {
    "reward": ("tile' == LAST then 1 ", "tile' == LAST then 1/2 "),
    "weights": ("true: 1/4, false: 3/4", "true: 3/4, false: 1/4"),
    "starts": ("{ 0: 1/2, 1: 1/2 }", "{ 0: 1 }"),
    "more starts": ("{ 0: 1/2, 1: 1/2 }", "{ 0: 1/2, 2: 1/2 }"),
    "discount": ("discount 9/10", "discount 1/10"),
    "utility": ("discount 9/10", "horizon 4"),
    "tick price": ("tick_price 1/1000", "tick_price 1"),
    "size price": ("size_price 1/10000", "size_price 99"),
    "done": ("done = tile == LAST", "done = tile >= 1"),
    "never done": ("done = tile == LAST", "done = false"),
    "next state": ("min(tile + 1, LAST)", "max(tile - 1, 0)"),
    "type": ("enum Lamp { red, green }", "enum Lamp { crimson, green }\nconst red = crimson"),
}


@pytest.mark.parametrize("change", OTHER_WORLDS)
@pytest.mark.parametrize("claim", ["better", "optimal"])
def test_table_of_another_world_proves_nothing_more_here(change: str, claim: str) -> None:
    text = PORCH.replace("UTILITY", UTILITIES["discount"])
    before, after = OTHER_WORLDS[change]
    assert before in text
    machine = parse_machine(text.replace(before, after))
    chapter = Chapter(machine.declarations)
    made, data = honest("discount", claim)
    new = with_policy(machine.agent, GOOD)
    here = Claim(chapter, IsBetter(chapter, machine.agent, new), machine.agent, new)
    if claim == "optimal":
        code = machine.agent
        here = Claim(chapter, IsOptimal(chapter, code), code, code)
    if (claim, change) in HOLDS_THERE_TOO:
        statement = check_bytes(here, data).statement
        assert statement.declarations == chapter.digest
        assert statement.declarations != made.chapter.digest
        return
    with pytest.raises((CertificateError, CodecError)):
        check_bytes(here, data)


# Other weights of listed starts and another price of size leave the tables true, and so does a reward that is never met:
# where the gain or gap that is claimed holds too, the statement speaks of the other world.
HOLDS_THERE_TOO = {("optimal", "starts"), ("better", "size price"), ("optimal", "reward")}


@pytest.mark.parametrize("kind", UTILITIES)
def test_table_of_another_program_proves_nothing(kind: str) -> None:
    chapter, old = porch(kind)
    good, bad = with_policy(old, GOOD), with_policy(old, BAD)
    _, data = honest(kind, "better")
    for before, after in ((good, old), (old, bad), (good, bad), (good, good), (old, old)):
        other = Claim(chapter, IsBetter(chapter, before, after), before, after)
        with pytest.raises(CertificateError, match="inequality fails|not listed"):
            check_bytes(other, data)


@pytest.mark.parametrize("offered", ["better", "not better", "bounds", "optimal"])
@pytest.mark.parametrize("wanted", ["better", "not better", "bounds", "optimal"])
def test_certificate_of_one_rule_says_nothing_about_another(offered: str, wanted: str) -> None:
    if offered == wanted:
        return
    made, _ = honest("discount", wanted)
    _, data = honest("discount", offered)
    name = type(made.obligation).__name__
    with pytest.raises(CertificateError, match=f"says nothing about {name}"):
        check_bytes(made, data)


def test_certificates_are_no_chain_and_theorems_no_certificate() -> None:
    made, data = honest("discount", "better")
    certificate = made.read(data)
    theorem = check(made.obligation, certificate)
    with pytest.raises(CertificateError, match="says nothing about IsChain"):
        check(IsChain(made.chapter, "", ""), certificate)
    with pytest.raises(CertificateError, match="a tuple says nothing about IsBetter"):
        check(made.obligation, (theorem,))
    with pytest.raises(CertificateError, match="a NoneType says nothing"):
        check(made.obligation, cast(Any, None))


# Tables that a finder in the same process hands over need not have come through the decoder.
def entry(state: Any, value: Any = Fraction(0), memory: Any = (), replies: Any = ()) -> Entry:
    """An entry of anything."""
    return Entry(state, memory, value, replies)


START_OF_PORCH = (0, False, 0)
NO_NUMBERS: list[tuple[str, Any]] = [
    ("float", 0.5), ("whole float", 1.0), ("infinity", float("inf")), ("NaN", float("nan")),
    ("bool", True), ("int", 0), ("text", "1/2"), ("nothing", None), ("complex", 1j),
]  # fmt: skip

OBJECTS: list[tuple[str, Any, str]] = [
    ("state outside the type", entry((99, False, 0)), "no state of this world"),
    ("bool as number", entry((True, False, 0)), "no state of this world"),
    ("number as bool", entry((0, 0, 0)), "no state of this world"),
    ("float", entry((0.0, False, 0)), "no state of this world"),
    ("NaN", entry((float("nan"), False, 0)), "no state of this world"),
    ("fraction", entry((Fraction(1), False, 0)), "no state of this world"),
    ("member by name", entry((0, False, "red")), "no state of this world"),
    ("member beyond", entry((0, False, 2)), "no state of this world"),
    ("too short", entry((0, False)), "no state of this world"),
    ("list", entry([0, False, 0]), "no state of this world"),
    ("no entry", (START_OF_PORCH, (), Fraction(0), ()), "no state of this world"),
    ("memory of none", entry(START_OF_PORCH, memory=(0,)), "no memory of this program"),
    ("memory as a list", entry(START_OF_PORCH, memory=[]), "no memory of this program"),
    ("reply to nobody", entry(START_OF_PORCH, replies=(Reply(),)), "replies are named"),
    ("unknown of none", entry(START_OF_PORCH, Polynomial.variable("p")), "no rational, nor affine"),
    *((f"value: {what}", entry(START_OF_PORCH, x), "is no rational") for what, x in NO_NUMBERS),
]


@pytest.mark.parametrize(("item", "reason"), [o[1:] for o in OBJECTS], ids=[o[0] for o in OBJECTS])
def test_forged_table_object_is_refused(item: Any, reason: str) -> None:
    chapter, code = porch("discount")
    with pytest.raises(CertificateError, match=reason):
        check(IsBounded(chapter, code), lower_bound_of(item))


def lower_bound_of(*entries: Any, level: Any = Fraction(-1000)) -> BoundsCertificate:
    """A bound from below that lists some entries."""
    return BoundsCertificate(level, (Case((), Leaf((Table((entries,)),))),), None, ())


class Obliging(int):
    """An integer that equals every honest one and adds as it likes."""

    def __add__(self, other: object) -> int:
        return 3


def test_state_with_arithmetic_of_its_own_is_refused_and_leaves_no_trace() -> None:
    machine = parse_machine(PORCH.replace("UTILITY", UTILITIES["discount"]))
    chapter, code = Chapter(machine.declarations), machine.agent
    with pytest.raises(CertificateError, match="no state of this world"):
        check(IsBounded(chapter, code), lower_bound_of(entry((Obliging(0), False, 0))))
    assert {o.successor[0] for o in chapter.outcomes((0, False, 0), (1,))} == {0, 1}


NOTHING = """
machine nothing
environment {
  state here: bool = true
  action wait: bool
  reward = 0
}
utility { horizon 1 }
agent { policy { wait = true } }
"""


@pytest.mark.parametrize("below", [0, -1, -3])
def test_fraction_with_a_denominator_that_is_none_is_refused(below: int) -> None:
    machine = parse_machine(NOTHING)
    chapter = Chapter(machine.declarations)
    forged = Fraction(-5)
    forged._denominator = below  # type: ignore[attr-defined]
    for certificate in (
        lower_bound_of(entry((True,), forged)),
        lower_bound_of(entry((True,)), level=forged),
    ):
        with pytest.raises(CertificateError):
            check(IsBounded(chapter, machine.agent), certificate)


# A world with everything that is open, and every number of a certificate about it.
OPEN = """
machine open
environment {
  unknown p: rat 0..1
  unknown q: rat 0..1
  assume p + q <= 1
  unknown deep: bool
  state x: int 0..2 = any
  action go: bool
  adversary y: int 0..1 where y == 0 or deep
  adversary r: rat 0..1/2
  chance c: bool = { true: p * r, false: 1 - p * r }
  x' = if c then 0 else if go then min(x + 1 - y, 2) else max(x - y, 0)
  reward = x' + 1 - p - q
}
utility { discount 1/2  tick_price 1/8  better BETTER }
require low: always x <= 2
require home: within 3 reach x == 0 from x <= 2 using main
agent { policy { go = false } }
"""
P, Q = Polynomial.variable("p"), Polynomial.variable("q")
POINT = (Fraction(1, 3), Fraction(1, 2))
HERE = World((0,), (False,), POINT)


@cache
def opened(better: str = "dominates") -> tuple[Chapter, s.Code]:
    """The chapter and its program."""
    machine = parse_machine(OPEN.replace("BETTER", better))
    return Chapter(machine.declarations), machine.agent


def open_table(value: Any = Fraction(0), replies: Any = (), memory: Any = ()) -> Table:
    """The same value at every state."""
    return Table((tuple(Entry((x,), memory, value, replies) for x in range(3)),))


def open_cases(*tables: Table, multipliers: Any = ()) -> tuple[Case, ...]:
    """The same tables for each case."""
    return tuple(Case((deep,), Leaf(tables, multipliers)) for deep in (False, True))


CALM = (Reply((0,), (Fraction(0),)),)
STEEP = P * P + 1


def raw(*terms: tuple[Any, Any]) -> Polynomial:
    """A polynomial whose terms nobody has put in order."""
    return Polynomial(terms)


VALUES: list[tuple[str, Any]] = [
    *NO_NUMBERS,
    ("quadratic", STEEP),
    ("product", P * Q),
    ("rate", Polynomial.variable("r")),
    ("finite unknown", Polynomial.variable("deep")),
    ("state", Polynomial.variable("x")),
    ("no name", Polynomial.variable("")),
    ("constant in disguise", raw(((), Fraction(-1)))),
    ("no terms", raw()),
    ("term of nought", raw(((("p", 1),), Fraction(0)))),
    ("term twice", raw(((("p", 1),), Fraction(-5)), ((("p", 1),), Fraction(5)))),
    ("terms out of order", raw(((("p", 1),), Fraction(-5)), ((), Fraction(-5)))),
    ("exponent of nought", raw(((("p", 0),), Fraction(-5)))),
    ("negative exponent", raw(((("p", -1),), Fraction(-5)))),
    ("half an exponent", raw(((("p", Fraction(1, 2)),), Fraction(-5)))),
    ("float coefficient", raw(((("p", 1),), -5.0))),
    ("int coefficient", raw(((("p", 1),), -5))),
    ("NaN coefficient", raw(((("p", 1),), float("nan")))),
    ("monomial that is none", raw((None, Fraction(-5)))),
    ("name twice", raw(((("p", 1), ("p", 1)), Fraction(-5)))),
    ("term of one part", Polynomial(cast(Any, (((),),)))),
]


@pytest.mark.parametrize("value", [v[1] for v in VALUES], ids=[v[0] for v in VALUES])
def test_value_that_is_no_affine_one_is_refused(value: Any) -> None:
    chapter, code = opened()
    cases = open_cases(open_table(value))
    with pytest.raises(CertificateError, match="no rational, nor affine"):
        check(IsBounded(chapter, code), BoundsCertificate(Fraction(-9), cases, None, ()))


def test_the_certificates_that_are_forged_next_hold() -> None:
    chapter, code = opened()
    bounds = BoundsCertificate(Fraction(-9), open_cases(open_table(Fraction(-9))), Fraction(9), open_cases(open_table(Fraction(9), CALM)))  # fmt: skip
    assert isinstance(check(IsBounded(chapter, code), bounds), Theorem)
    here = NotBetterHereCertificate(
        HERE, Leaf((open_table(Fraction(9), CALM), open_table(Fraction(-9))))
    )
    with pytest.raises(CertificateError, match="no multipliers that show -18 >= 0"):
        check(IsNotBetter(chapter, code, code), here)


Forged = list[tuple[str, Any, Any, str]]


def numbers_forged() -> Forged:
    """Every numeric field of a certificate with something in it that is no rational in lowest terms."""
    chapter, code = opened()
    worst, _ = opened("worst")
    low, zero = open_cases(open_table(Fraction(-9))), Fraction(0)
    both = open_cases(open_table(Fraction(-9)), open_table(Fraction(9), CALM))
    found: Forged = []
    for what, x in NO_NUMBERS:
        bad = cast(Any, x)
        rated = (Reply((0,), (bad,)),)
        cut = Cut("p", bad, Leaf((open_table(Fraction(-9)),)), Leaf((open_table(Fraction(-9)),)))
        cut_cases = tuple(Case((deep,), cut) for deep in (False, True))
        needy = open_cases(open_table(1 - P - Q), multipliers=((bad,) * 5,) * 9)
        nowhere = World((0,), (False,), (bad, zero))
        better, bounded, worse = IsBetter(chapter, code, code), IsBounded(chapter, code), IsNotBetter(chapter, code, code)  # fmt: skip
        leaf = Leaf((open_table(Fraction(9), CALM),))
        found += [
            (f"gain: {what}", better, BetterCertificate(both, bad, HERE), "no rational"),
            (f"saving: {what}", better, PointwiseCertificate(low, bad, HERE), "no rational"),
            (f"level: {what}", IsBetter(worst, code, code), BetterWorstCertificate(low, bad, HERE, leaf), "no rational"),
            (f"gap: {what}", IsOptimal(chapter, code), OptimalityCertificate(both, bad), "no rational"),
            (f"cut: {what}", bounded, BoundsCertificate(Fraction(-9), cut_cases, None, ()), "no rational"),
            (f"rate: {what}", bounded, BoundsCertificate(None, (), Fraction(9), open_cases(open_table(Fraction(9), rated))), "no reply that is allowed"),
            (f"multiplier: {what}", bounded, BoundsCertificate(zero, needy, None, ()), "there are no multipliers"),
            (f"world: {what}", worse, NotBetterHereCertificate(nowhere, Leaf((open_table(Fraction(9), CALM), open_table(Fraction(-9))))), "are no rationals"),
        ]  # fmt: skip
        if x is not None:
            found += [
                (f"lower: {what}", bounded, BoundsCertificate(bad, low, None, ()), "no rational"),
                (f"upper: {what}", bounded, BoundsCertificate(None, (), bad, open_cases(open_table(Fraction(9), CALM))), "no rational"),
            ]  # fmt: skip
    return found


def parts_forged() -> Forged:
    """Worlds, cases, leaves, sets and paths of other things than they are made of."""
    chapter, code = opened()
    low, zero = open_cases(open_table(Fraction(-9))), Fraction(0)
    bounded, better = IsBounded(chapter, code), IsBetter(chapter, code, code)
    keeps, home, breaks = Keeps(chapter, "low", code), Keeps(chapter, "home", code), Breaks(chapter, "low", code)  # fmt: skip
    both = open_cases(open_table(Fraction(-9)), open_table(Fraction(9), CALM))
    pairs = tuple(((x,), ()) for x in range(3))
    table, tables = open_table(Fraction(-9)), (open_table(Fraction(-9)),)

    def bounds(cases: Any) -> BoundsCertificate:
        return BoundsCertificate(Fraction(-9), cases, None, ())

    def here(world: Any) -> NotBetterHereCertificate:
        return NotBetterHereCertificate(world, Leaf((open_table(Fraction(9), CALM), open_table(Fraction(-9)))))  # fmt: skip

    def path(start: Any, moves: Any, switch: Any, world: Any = HERE) -> PathCertificate:
        return PathCertificate(world, start, moves, switch)

    def sets(*listed: Any) -> InvariantCertificate:
        return InvariantCertificate(tuple(((deep,), listed) for deep in (False, True)))

    def ranks(rank: Any) -> RankCertificate:
        ranked = tuple((pair, rank) for pair in pairs[1:])
        return RankCertificate(tuple(((deep,), pairs, ranked) for deep in (False, True)))

    worse = IsNotBetter(chapter, code, code)
    still = Move(Reply((0,), (zero,)), (0,))
    return [
        ("no world", worse, here(None), "is no world"),
        ("world as a tuple", worse, here(((0,), (False,), POINT)), "is no world"),
        ("bool as a start", worse, here(World((False,), (False,), POINT)), "cannot start there"),
        ("start beyond", worse, here(World((3,), (False,), POINT)), "cannot start there"),
        ("no start", worse, here(World((), (False,), POINT)), "cannot start there"),
        ("int as a truth", worse, here(World((0,), (0,), POINT)), "its unknowns are no values"),
        ("no unknown", worse, here(World((0,), (), POINT)), "its unknowns are no values"),
        ("unknowns as a list", worse, here(World((0,), cast(Any, [False]), POINT)), "its unknowns are no values"),
        ("rationals below", worse, here(World((0,), (False,), (Fraction(-1), zero))), "out of bounds"),
        ("beyond the assumption", worse, here(World((0,), (False,), (Fraction(1), Fraction(1, 2)))), "out of bounds"),
        ("cases as a list", bounded, bounds(list(low)), "not one case for each"),
        ("no cases", bounded, bounds(()), "not one case for each"),
        ("one case", bounded, bounds(low[:1]), "not one case for each"),
        ("cases turned", bounded, bounds(low[::-1]), "not one case for each"),
        ("leaf without a table", bounded, bounds((Case((False,), Leaf(())), low[1])), "a leaf holds 1 tables"),
        ("leaf with two tables", bounded, bounds((Case((False,), Leaf((table, table))), low[1])), "a leaf holds 1 tables"),
        ("tables as a list", bounded, bounds((Case((False,), Leaf(cast(Any, [table]))), low[1])), "a leaf holds 1 tables"),
        ("no leaf", bounded, bounds((Case((False,), cast(Any, None)), low[1])), "ends in leaves"),
        ("table for a leaf", bounded, bounds((Case((False,), cast(Any, table)), low[1])), "ends in leaves"),
        ("no table", bounded, bounds((Case((False,), Leaf(cast(Any, (None,)))), low[1])), "needs a table"),
        ("layers as a list", bounded, bounds((Case((False,), Leaf((Table(cast(Any, [table.layers[0]])),))), low[1])), "needs a table"),
        ("multipliers as a list", bounded, bounds((Case((False,), Leaf(tables, cast(Any, []))), low[1])), "ends in leaves"),
        ("cut of no text", bounded, bounds((Case((False,), Cut(cast(Any, None), Fraction(1, 2), Leaf(tables), Leaf(tables))), low[1])), "lies outside the box"),
        ("endless cuts", bounded, bounds((Case((False,), endless_cuts(tables)), low[1])), "lies outside the box"),
        ("one gain for another world", better, BetterCertificate(both, Fraction(1), HERE), "no multipliers that show -19 >= 0"),
        ("more memory than there is", bounded, bounds(open_cases(open_table(Fraction(-9), memory=(0,)))), "no memory of this program"),
        ("reply of another type", bounded, BoundsCertificate(None, (), Fraction(9), open_cases(open_table(Fraction(9), (Reply((False,), (zero,)),)))), "no reply that is allowed"),
        ("reply beyond", bounded, BoundsCertificate(None, (), Fraction(9), open_cases(open_table(Fraction(9), (Reply((2,), (zero,)),)))), "no reply that is allowed"),
        ("reply for deep water alone", bounded, BoundsCertificate(None, (), Fraction(9), open_cases(open_table(Fraction(9), (Reply((1,), (zero,)),)))), "no reply that is allowed"),
        ("no reply at all", bounded, BoundsCertificate(None, (), Fraction(9), open_cases(open_table(Fraction(9), (cast(Any, None),)))), "replies are named"),
        ("two rates", bounded, BoundsCertificate(None, (), Fraction(9), open_cases(open_table(Fraction(9), (Reply((0,), (zero, zero)),)))), "no reply that is allowed"),
        ("reply as a tuple", bounded, BoundsCertificate(None, (), Fraction(9), open_cases(open_table(Fraction(9), (cast(Any, ((0,), (zero,))),)))), "replies are named"),
        ("pair of a bool", keeps, sets(((True,), ()), *pairs), "is no state of this world"),
        ("pair of one part", keeps, sets(((0,),), *pairs), "is no state of this world"),
        ("pair with a memory", keeps, sets(((0,), (1,)), *pairs), "is no state of this world"),
        ("pair twice", keeps, sets(*pairs, pairs[0]), "is listed twice"),
        ("sets as a list", keeps, InvariantCertificate(cast(Any, [((False,), pairs), ((True,), pairs)])), "not one set for each"),
        ("one set", keeps, InvariantCertificate((((False,), pairs),)), "not one set for each"),
        ("set with ranks", keeps, InvariantCertificate(cast(Any, (((False,), pairs, ()), ((True,), pairs, ())))), "not one set for each"),
        ("ranks without", home, RankCertificate(cast(Any, (((False,), pairs), ((True,), pairs)))), "not one set for each"),
        *((f"rank: {what}", home, ranks(x), "the rank of .* is") for what, x in NO_NUMBERS if x != 0),
        ("rank of nought", home, ranks(0), "the rank of .* is 0"),
        ("negative rank", home, ranks(-1), "the rank of .* is -1"),
        ("fraction as a rank", home, ranks(Fraction(1)), "the rank of .* is 1"),
        ("rank of everything", home, ranks(3), "the rank does not fall"),
        ("path of nothing", breaks, path((0,), (), 0), "low holds at the end"),
        ("path as a list", breaks, path((0,), [still], 1), "a path is of moves"),
        ("moves that are none", breaks, path((0,), (None,), 1), "a path is of moves"),
        ("switch beyond", breaks, path((0,), (still,), 2), "the switch is outside the path"),
        ("switch before", breaks, path((0,), (still,), -1), "the switch is outside the path"),
        ("switch too early", breaks, path((0,), (still,), 0), "a path is of steps of main"),
        ("bool as a switch", breaks, path((0,), (still,), True), "the switch is outside the path"),
        ("float as a switch", breaks, path((0,), (still,), 1.0), "the switch is outside the path"),
        ("bool as a state", breaks, path((False,), (still,), 1), "starts in no state"),
        ("start of another world", breaks, path((1,), (still,), 1), "no episode starts where"),
        ("bool as a successor", breaks, path((0,), (Move(Reply((0,), (zero,)), (False,)),), 1), "leads to no state"),
        ("no reply on a path", breaks, path((0,), (Move(cast(Any, None), (0,)),), 1), "no reply that is allowed"),
        ("path in no world", breaks, path((0,), (still,), 1, None), "is no world"),
    ]  # fmt: skip


def endless_cuts(tables: tuple[Table, ...]) -> Any:
    """Two thousand cuts inside each other, the innermost outside its box."""
    tree: Any = Cut("p", Fraction(7), Leaf(tables), Leaf(tables))
    for i in reversed(range(2_000)):
        tree = Cut("p", Fraction(1, i + 2), tree, Leaf(tables))
    return tree


PARTS = [*numbers_forged(), *parts_forged()]


@pytest.mark.parametrize(
    ("obligation", "certificate", "reason"), [f[1:] for f in PARTS], ids=[f[0] for f in PARTS]
)
def test_forged_part_is_refused(obligation: Any, certificate: Any, reason: str) -> None:
    with pytest.raises(CertificateError, match=reason):
        check(obligation, certificate)


# --- theorems ------------------------------------------------------------------------------------


def a_theorem() -> Theorem:
    """An honest theorem of improvement."""
    return check_bytes(*honest("discount", "better"))


def forged_statement() -> Improvement:
    """A statement that nobody has proved."""
    return replace(cast(Improvement, a_theorem().statement), gain=Fraction(10**9))


def test_theorem_has_no_constructor() -> None:
    for make in (
        lambda: Theorem(),
        lambda: Theorem(forged_statement()),
        lambda: Theorem.__new__(Theorem, forged_statement()),
        lambda: Theorem.__call__(),  # type: ignore[attr-defined]
    ):
        with pytest.raises((TypeError, AttributeError)):
            make()


def test_empty_theorem_states_nothing() -> None:
    empty = cast(Theorem, object.__new__(Theorem))
    with pytest.raises(CertificateError, match="no theorem of the kernel"):
        _ = empty.statement
    with pytest.raises(CertificateError, match="no theorem of the kernel"):
        repr(empty)


def test_theorem_has_no_subclass() -> None:
    with pytest.raises(TypeError, match="no subclasses"):
        type("Lemma", (Theorem,), {})


def test_theorem_is_neither_copied_nor_pickled() -> None:
    theorem = a_theorem()
    with pytest.raises(TypeError, match="not copied or pickled"):
        copy.copy(theorem)
    with pytest.raises(TypeError, match="not copied or pickled"):
        copy.deepcopy([theorem])
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="not copied or pickled"):
            pickle.dumps(theorem, protocol)
    with pytest.raises(TypeError):
        replace(cast(Any, theorem), statement=forged_statement())


def test_theorem_and_its_statement_are_not_changed() -> None:
    theorem = a_theorem()
    for name in ("statement", "_statement", "gain", "anything"):
        with pytest.raises(AttributeError):
            setattr(theorem, name, forged_statement())
        with pytest.raises(AttributeError):
            object.__setattr__(theorem, name, forged_statement())
    with pytest.raises(FrozenInstanceError):
        theorem.statement.gain = Fraction(7)  # type: ignore[misc, union-attr]
    assert cast(Improvement, theorem.statement).gain < 10


def test_statement_handed_out_is_not_the_one_on_record() -> None:
    theorem = a_theorem()
    honest_gain = cast(Improvement, theorem.statement).gain
    object.__setattr__(theorem.statement, "gain", Fraction(10**9))
    assert cast(Improvement, theorem.statement).gain == honest_gain


class Impostor:
    """Looks like a theorem."""

    __slots__ = ("__weakref__",)
    statement = None


def test_impostors_do_not_become_theorems() -> None:
    chapter, _ = porch("discount")
    statement = forged_statement()
    turned = Impostor()
    turned.__class__ = Theorem  # type: ignore[assignment]
    for link in (
        Impostor(),
        turned,
        SimpleNamespace(statement=statement),
        statement,
        object.__new__(Theorem),
        None,
        Theorem,
    ):
        with pytest.raises(CertificateError, match="must be a theorem|no theorem of the kernel"):
            check(IsChain(chapter, statement.old, statement.new), cast(Any, (link,)))


def test_theorem_that_changes_its_class_states_nothing_more() -> None:
    theorem = a_theorem()
    statement = cast(Improvement, theorem.statement)
    chapter, _ = porch("discount")
    theorem.__class__ = Impostor  # type: ignore[assignment]
    with pytest.raises(CertificateError, match="must be a theorem"):
        check(IsChain(chapter, statement.old, statement.new), (theorem,))
    theorem.__class__ = Theorem
    assert theorem.statement == statement


class Generous(Chapter):
    """A chapter in which every step pays ten."""

    def outcomes(
        self, state: Any, actions: Any, unknowns: Any = (), reply: Any = ()
    ) -> tuple[Outcome, ...]:
        return (Outcome(Fraction(1), Fraction(10), state),)


def test_chapter_that_is_not_the_kernels_own_is_refused() -> None:
    chapter, code = porch("discount")
    forged = Generous(chapter.task.declarations)
    certificate = lower_bound_of(*(entry((t, False, 0), Fraction(50)) for t in (0, 1)))
    with pytest.raises(CertificateError):
        check(IsBounded(chapter, code), certificate)
    with pytest.raises(CertificateError):
        check(IsBounded(forged, code), certificate)


# --- chains --------------------------------------------------------------------------------------


@cache
def improvements() -> tuple[Chapter, Theorem, Theorem]:
    """Two links: the installed program, a better one, and one that saves its ticks."""
    chapter, old = porch("discount")
    better = with_policy(old, GOOD)
    best = with_policy(old, "policy { move = ahead }")
    links = [
        check(IsBetter(chapter, a, b), better_of(chapter, a, b))
        for a, b in ((old, better), (better, best))
    ]
    return chapter, links[0], links[1]


def ends(*links: Theorem) -> tuple[str, str]:
    """First and last program."""
    statements = [cast(Improvement, link.statement) for link in links]
    return statements[0].old, statements[-1].new


def test_honest_chain_adds_up() -> None:
    chapter, one, two = improvements()
    statement = check(IsChain(chapter, *ends(one, two)), (one, two)).statement
    gains = [cast(Improvement, link.statement).gain for link in (one, two)]
    assert cast(Any, statement).gain == sum(gains) and cast(Any, statement).links == 2


def test_forged_chain_is_refused() -> None:
    chapter, one, two = improvements()
    first, last = ends(one, two)
    middle = cast(Improvement, one.statement).new
    other, old = porch("horizon")
    foreign = check_bytes(*honest("horizon", "better"))
    wrong: list[tuple[tuple[str, str], tuple[Any, ...], str]] = [
        ((first, last), (two, one), "starts at"),
        ((first, last), (one,), "ends at"),
        ((first, last), (two,), "starts at"),
        ((first, last), (), "ends at"),
        ((first, last), (one, one, two), "starts at"),
        ((first, last), (one, two, two), "starts at"),
        ((first, middle), (one, two), "ends at"),
        ((middle, last), (one, two), "starts at"),
        ((last, first), (one, two), "starts at"),
        ((first, first), (one, two), "ends at"),
        ((first, last), (foreign, one, two), "another chapter"),
        ((first, last), (check_bytes(*honest("discount", "bounds")),), "theorem of improvement"),
        ((first, last), (check_bytes(*honest("discount", "optimal")),), "theorem of improvement"),
        ((first, last), (check_bytes(*honest("discount", "not better")),), "theorem of improvement"),
    ]  # fmt: skip
    for question, links, reason in wrong:
        with pytest.raises(CertificateError, match=reason):
            check(IsChain(chapter, *question), links)
    with pytest.raises(CertificateError, match="another chapter"):
        check(IsChain(other, first, last), (one, two))
    assert other.program(old).digest == first


def test_chain_of_another_criterion_is_refused() -> None:
    chapter, one, _ = improvements()
    text = PORCH.replace("UTILITY", "discount 9/10  better strictly")
    strictly = Chapter(parse_machine(text).declarations)
    with pytest.raises(CertificateError, match="another chapter or criterion"):
        check(IsChain(strictly, *ends(one)), (one,))
    mixed = _make_theorem(
        replace(cast(Improvement, one.statement), criterion="strictly", declarations=chapter.digest)
    )
    with pytest.raises(CertificateError, match="another chapter or criterion"):
        check(IsChain(chapter, *ends(one)), (mixed,))


DOORS = """
machine doors
environment {
  unknown prize: bool
  state here: bool = true
  action left: bool
  action right: bool
  reward = if (left and prize) or (right and not prize) then 2 else 0
}
utility { horizon 1 }
agent { policy { left = false right = false } }
"""


def test_gains_of_different_worlds_do_not_add_up() -> None:
    """Each step gains 2 in the world it names and nothing in the other; both together gain 2 in each, not 4."""
    machine = parse_machine(DOORS)
    chapter = Chapter(machine.declarations)
    codes = [machine.agent]
    codes += [
        with_policy(machine.agent, f"policy {{ left = true right = {right} }}")
        for right in ("false", "true")
    ]

    def case(prize: bool, number: int) -> Case:
        low, high = (
            Table(((Entry((True,), (), Fraction(2 * ((prize, not prize)[:n].count(True)))),),))
            for n in (number, number - 1)
        )
        return Case((prize,), Leaf((low, high)))

    links = [
        check(
            IsBetter(chapter, codes[n - 1], codes[n]),
            BetterCertificate(
                (case(False, n), case(True, n)), Fraction(0), World((), (n == 1,), ())
            ),
        )
        for n in (1, 2)
    ]
    statements = [cast(Improvement, link.statement) for link in links]
    assert [st.new_lower for st in statements] == [2, 2]
    chain = check(IsChain(chapter, *ends(*links)), tuple(links)).statement
    assert cast(Any, chain).gain == 0
    greedy = BetterCertificate((case(False, 1), case(True, 1)), Fraction(2), World((), (True,), ()))
    with pytest.raises(CertificateError, match="no gain is shown"):
        check(IsBetter(chapter, codes[0], codes[1]), greedy)


class Longer(tuple):  # type: ignore[type-arg]
    """A tuple that lies about its length."""

    def __len__(self) -> int:
        return 41


def test_chain_counts_its_links_itself() -> None:
    chapter, one, _ = improvements()
    try:
        statement = check(IsChain(chapter, *ends(one)), Longer((one,))).statement
    except CertificateError:
        return
    assert cast(Any, statement).links == 1


# --- rewrites ------------------------------------------------------------------------------------


def expected(code: s.Code, slot: str, *position: int) -> str:
    """The digest of what stands at a position."""
    node = s.node_at(cast(s.Slot, code.slot(slot)), position)
    assert node is not None
    return digest_node(node)


def put(slot: str, position: tuple[int, ...], node: s.Node) -> Replace:
    """An edit of the porch's code that names what stands there."""
    _, code = porch("discount")
    return Replace(slot, position, expected(code, slot, *position), node)


AHEAD, TWO = s.Name("ahead"), s.IntLit(2)
ANYTHING = digest_node(AHEAD)
POLICY = s.Policy("main", (s.Assign("move", AHEAD),))
DECLARED = (
    *("utility", "environment", "search", "searcher", "policy", "agent", "require", "machine"),
    *("reward", "done", "state", "action", "observe", "chance", "world", "family"),
)
OUT_OF_REACH = (
    *("discount", "tick_price", "size_price", "horizon", "better", "kernel", "gate", "history"),
    *("ledger", "criterion", "declarations", "LAST", "Lamp", "red", "tile", "move", "slip", "lit'"),
    *("", "Main", "main ", "agent.main", "../utility", "main'", "__class__", "0"),
)

EDITS: list[tuple[str, tuple[Edit, ...], str]] = [
    ("no edits", (), "without edits"),
    ("stale digest", (Replace("main", (0, 0), ANYTHING, TWO),), "not what the edit expects"),
    ("digest of nothing", (Replace("main", (0, 0), "", TWO),), "not what the edit expects"),
    ("stale removal", (RemoveSlot("far", ANYTHING),), "not what the edit expects"),
    ("missing position", (Replace("main", (0, 7), ANYTHING, TWO),), "does not exist"),
    ("position below a leaf", (Replace("far", (0, 0), ANYTHING, TWO),), "does not exist"),
    ("negative position", (Replace("main", (-1,), expected(porch("discount")[1], "main", 0), TWO),), "does not exist"),
    ("overlap", (put("main", (0,), s.Assign("move", AHEAD)), put("main", (0, 0), AHEAD)), "overlap"),
    ("the same twice", (put("main", (0, 0), AHEAD), put("main", (0, 0), AHEAD)), "overlap"),
    ("whole and part", (put("main", (), POLICY), put("main", (0, 0), AHEAD)), "overlap"),
    ("edited and removed", (put("far", (0,), TWO), RemoveSlot("far", expected(porch("discount")[1], "far"))), "both edited and removed"),
    ("removed twice", (RemoveSlot("far", expected(porch("discount")[1], "far")),) * 2, "removed twice"),
    ("added twice", (AddSlot(s.Param("k", s.BoolType(), s.BoolLit(True))),) * 2, "added twice"),
    ("added over one", (AddSlot(s.Param("far", s.BoolType(), s.BoolLit(True))),), "already a slot far"),
    ("second main", (AddSlot(POLICY),), "already a slot main"),
    ("other name", (put("far", (), s.Param("near_by", s.IntType(None, None), TWO)),), "change its name"),
    ("other kind", (put("far", (), s.Table("far", s.IntType(None, None), TWO)),), "another kind of slot"),
    ("policy as def", (put("main", (), s.Def("main", (), s.BoolType(), TWO)),), "another kind of slot"),
    ("expression for a statement", (put("main", (0,), AHEAD),), "cannot stand here|result is no code"),
    ("statement for an expression", (put("main", (0, 0), s.Assign("move", AHEAD)),), "cannot stand here|result is no code"),
    ("slot for an expression", (put("main", (0, 0), POLICY),), "cannot stand here|result is no code"),
    ("slot for a statement", (put("main", (0,), POLICY),), "cannot stand here|result is no code"),
    ("type for an expression", (put("main", (0, 0), s.BoolType()),), "cannot stand here|result is no code"),
    ("type for a statement", (put("main", (0,), s.BoolType()),), "cannot stand here|result is no code"),
    ("type in an array", (put("PLAN", (0, 1), s.BoolType()),), "cannot stand here|result is no code"),
    ("type before a sibling", (put("main", (0, 0, 0), s.BoolType()), put("main", (0, 0, 2), AHEAD)), "cannot stand here|result is no code"),
    ("declarations", (put("main", (0, 0), porch("discount")[0].task.declarations),), "cannot stand here|result is no code"),
    ("utility", (put("main", (0,), porch("discount")[0].task.declarations.utility),), "cannot stand here|result is no code"),
    ("reward", (put("main", (0,), s.Reward(TWO)),), "cannot stand here|result is no code"),
    ("done", (put("main", (0,), s.Done(s.BoolLit(True))),), "cannot stand here|result is no code"),
    ("distribution", (put("main", (0, 0), s.DistMap((s.Weighted(AHEAD, s.IntLit(1)),))),), "cannot stand here|result is no code"),
    ("constant as a slot", (AddSlot(cast(Any, s.Const("LAST", TWO))),), "cannot stand here|result is no code"),
    ("keyword", (put("main", (0,), s.Assign("utility", AHEAD)),), "'utility' is not a name"),
    ("keyword as a parameter", (AddSlot(s.Param("reward", s.BoolType(), s.BoolLit(True))),), "'reward' is not a name"),
    ("name that is none", (put("main", (0, 0), s.Name("a b")),), "is not a name"),
    ("empty name", (put("main", (0, 0), s.Name("")),), "is not a name"),
    ("primed name as a slot", (AddSlot(s.Param("tile'", s.BoolType(), s.BoolLit(True))),), "is not a name"),
    ("foreign letters", (put("main", (0, 0), s.Name("аhead")),), "is not a name"),
    ("bool as number", (put("main", (0, 0), s.IntLit(True)),), "result is no code"),
    ("number as bool", (put("main", (0, 0), s.BoolLit(cast(Any, 1))),), "result is no code"),
    ("float", (put("main", (0, 0), s.IntLit(cast(Any, 1.0))),), "result is no code"),
    ("operator that is none", (put("main", (0, 0), s.Binary("**", TWO, TWO)),), "is not one of"),
    ("chain that turns", (put("main", (0, 0), s.Compare(("<", ">"), (TWO, TWO, TWO))),), "does not go one way"),
    ("chain too short", (put("main", (0, 0), s.Compare(("<",), (TWO,))),), "does not go one way"),
    ("empty array", (put("main", (0, 0), s.ArrayLit(())),), "an empty list"),
]  # fmt: skip
EDITS += [
    (f"slot {name!r}", (Replace(name, (), ANYTHING, TWO),), "there is no slot")
    for name in (*DECLARED, *OUT_OF_REACH)
]
EDITS += [
    (f"removing {name!r}", (RemoveSlot(name, ANYTHING),), "there is no slot") for name in DECLARED
]


@pytest.mark.parametrize(("edits", "reason"), [e[1:] for e in EDITS], ids=[e[0] for e in EDITS])
def test_edits_that_do_not_apply_are_refused(edits: tuple[Edit, ...], reason: str) -> None:
    chapter, code = porch("discount")
    with pytest.raises(RewriteError, match=reason):
        apply_rewrite(code, edits)
    assert isinstance(Gate(chapter).judge(code, edits), Invalid)


NOT_PROGRAMS: list[tuple[str, tuple[Edit, ...], str]] = [
    # slots that would shadow what is declared
    *(
        (f"slot named {name}", (AddSlot(s.Param(name, s.BoolType(), s.BoolLit(True))),), "G007")
        for name in ("LAST", "Lamp", "red", "ahead", "Move", "tile", "lit", "lamp", "move", "min", "clamp")
    ),
    ("table named as a state", (AddSlot(s.Table("tile", s.BoolType(), s.BoolLit(True))),), "G007"),
    ("def named as an action", (AddSlot(s.Def("move", (), s.BoolType(), s.BoolLit(True))),), "G007"),
    ("def named as a function", (AddSlot(s.Def("ord", (), s.IntType(None, None), TWO)),), "G007"),
    ("policy named as a state", (AddSlot(s.Policy("tile", (s.Assign("move", AHEAD),))),), "G007"),
    ("next state", (put("main", (0,), s.Next("tile", TWO)),), "G.*"),
    ("no policy", (RemoveSlot("main", expected(porch("discount")[1], "main")),), "G045"),
    ("slot that is read", (RemoveSlot("far", expected(porch("discount")[1], "far")),), "G006"),
    # statements that reach out
    ("state assigned", (put("main", (0,), s.Assign("tile", TWO)),), "G023"),
    ("reward defined", (put("main", (), s.Policy("main", (s.Define("tile", TWO), s.Assign("move", AHEAD)))),), "G007"),
    ("action twice", (put("main", (), s.Policy("main", (s.Assign("move", AHEAD),) * 2)),), "G023"),
    ("action never", (put("main", (), s.Policy("main", ())),), "G023"),
    ("chance read", (put("main", (0, 0), s.If(s.Name("slip"), AHEAD, AHEAD)),), "G011"),
    ("next state read", (put("main", (0, 0), s.If(s.Primed("lit"), AHEAD, AHEAD)),), "G011"),
    ("own action read", (put("main", (0, 0), s.Name("move")),), "G011"),
    # types
    ("other enum", (put("main", (0, 0), s.Name("green")),), "G009"),
    ("number for a member", (put("main", (0, 0), TWO),), "G009"),
    ("number for a truth", (put("main", (0, 0), s.If(TWO, AHEAD, AHEAD)),), "G009"),
    ("truth for a number", (put("far", (0,), s.BoolLit(True)),), "G009"),
    ("outside the range", (put("far", (0,), s.IntLit(99)),), "G012"),
    ("constant in a circle", (put("far", (0,), s.Name("far")),), "G020"),
    ("circle of functions", (put("near", (1,), s.Call("near", (TWO,))),), "G020"),
    ("unknown name", (put("main", (0, 0), s.Name("utility_function")),), "G006"),
    ("pattern that is not constant", (put("main", (0, 0), s.Match(s.Name("tile"), (s.Arm((s.Name("tile"),), AHEAD),), AHEAD)),), "G021"),
    ("pattern that reads the state", (put("main", (0, 0), s.Match(s.Name("tile"), (s.Arm((s.Binary("+", s.Name("tile"), s.IntLit(0)),), AHEAD),), AHEAD)),), "G021"),
    ("pattern that is worked out", (put("main", (0, 0), s.Match(s.Name("tile"), (s.Arm((s.Binary("+", TWO, TWO),), AHEAD),), AHEAD)),), "G021"),
    ("pattern that calls", (put("main", (0, 0), s.Match(s.Name("lit"), (s.Arm((s.Call("near", (TWO,)),), AHEAD),), AHEAD)),), "G021"),
    ("pattern without a value", (put("main", (0, 0), s.Match(s.Name("tile"), (s.Arm((s.Binary("div", TWO, s.IntLit(0)),), AHEAD),), AHEAD)),), "G0(21|13)"),
    # totality
    ("index too far", (put("main", (0, 0), s.Index(s.Name("PLAN"), s.IntLit(4))),), "G014"),
    ("index below", (put("main", (0, 0), s.Index(s.Name("PLAN"), s.Binary("-", s.Name("tile"), s.IntLit(1)))),), "G014"),
    ("divisor nought", (put("main", (0, 0), s.If(s.Compare(("<",), (s.Binary("div", TWO, s.Name("tile")), TWO)), AHEAD, AHEAD)),), "G013"),
    ("no such member", (put("main", (0, 0), s.Call("Move", (s.Name("tile"),))),), "G014"),
    ("match that leaves some out", (put("main", (0, 0), s.Match(s.Name("tile"), (s.Arm((TWO,), AHEAD),), None)),), "G015"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("edits", "code"), [n[1:] for n in NOT_PROGRAMS], ids=[n[0] for n in NOT_PROGRAMS]
)
def test_rewrite_that_leads_to_no_program_is_invalid(edits: tuple[Edit, ...], code: str) -> None:
    chapter, old = porch("discount")
    verdict = Gate(chapter).judge(old, edits)
    assert isinstance(verdict, Invalid)
    found = [d.code for d in verdict.diagnostics]
    assert any(re.fullmatch(code, c) for c in found), found


@pytest.mark.parametrize("depth", [160, 300, 480, 700, 3_000])
def test_rewrite_that_nests_too_deeply_is_invalid(depth: int) -> None:
    chapter, old = porch("discount")
    node: s.Expr = s.BoolLit(True)
    for _ in range(depth):
        node = s.Unary("not", node)
    verdict = Gate(chapter).judge(old, (put("main", (0, 0), s.If(node, AHEAD, AHEAD)),))
    assert isinstance(verdict, Invalid) and "deep" in verdict.reason


@pytest.mark.parametrize("depth", [160, 300, 480, 700, 3_000])
def test_type_that_nests_too_deeply_is_invalid(depth: int) -> None:
    chapter, old = porch("discount")
    kind: s.TypeExpr = s.BoolType()
    for _ in range(depth):
        kind = s.ArrayType(s.IntLit(1), kind)
    verdict = Gate(chapter).judge(old, (AddSlot(s.Param("k", kind, s.BoolLit(True))),))
    assert isinstance(verdict, Invalid)


@pytest.mark.parametrize("digits", [1_400, 4_400])
def test_literal_longer_than_a_number_may_be_is_invalid(digits: int) -> None:
    chapter, old = porch("discount")
    test = s.Compare(("<",), (s.Name("tile"), s.IntLit(10**digits)))
    verdict = Gate(chapter).judge(old, (put("main", (0, 0), s.If(test, AHEAD, AHEAD)),))
    assert isinstance(verdict, Invalid)


MALFORMED_EDITS: list[Any] = [
    None,
    {},
    "[]",
    [None],
    [{}],
    [{"edit": "replace"}],
    [{"edit": "patch", "slot": "main"}],
    [{"edit": "replace", "slot": "main", "position": [True], "expected": "", "code": ["int", 1]}],
    [{"edit": "replace", "slot": "main", "position": [-1], "expected": "", "code": ["int", 1]}],
    [{"edit": "replace", "slot": "main", "position": ["0"], "expected": "", "code": ["int", 1]}],
    [{"edit": "replace", "slot": "main", "position": "0", "expected": "", "code": ["int", 1]}],
    [{"edit": "replace", "slot": None, "position": [], "expected": "", "code": ["int", 1]}],
    [{"edit": "replace", "slot": "main", "position": [], "expected": None, "code": ["int", 1]}],
    [{"edit": "replace", "slot": "main", "position": [], "expected": "", "code": None}],
    [{"edit": "replace", "slot": "main", "position": [], "expected": "", "code": ["int", True]}],
    [{"edit": "replace", "slot": "main", "position": [], "expected": "", "code": ["int", "7"]}],
    [{"edit": "replace", "slot": "main", "position": [], "expected": "", "code": ["rat", "2/4"]}],
    [{"edit": "replace", "slot": "main", "position": [], "expected": "", "code": ["gate"]}],
    [
        {
            "edit": "replace", "slot": "main", "position": [], "expected": "", "utility": 1,
            "code": ["int", 1],
        }
    ],
    [
        {
            "edit": "replace", "slot": "main", "position": [], "expected": "",
            "code": ["unary", "-", ["int", 1]],
        }
    ],
    [
        {
            "edit": "replace", "slot": "main", "position": [], "expected": "",
            "code": ["binary", "/", ["int", 1], ["int", 2]],
        }
    ],
    [{"edit": "add", "code": ["const", "LAST", ["int", 9]]}],
    [{"edit": "add", "code": ["reward", ["int", 9]]}],
    [{"edit": "add", "code": ["param", "reward", ["type_bool"], ["bool", True]]}],
    [{"edit": "add", "slot": "k", "code": ["param", "k", ["type_bool"], ["bool", True]]}],
    [{"edit": "remove", "slot": "main"}],
    [{"edit": "remove", "slot": "main", "expected": "", "position": []}],
]  # fmt: skip


@pytest.mark.parametrize("data", MALFORMED_EDITS, ids=range(len(MALFORMED_EDITS)))
def test_malformed_edits_are_refused(data: Any) -> None:
    with pytest.raises(CodecError):
        decode_edits(data)


# --- code that the kernel did not read itself ----------------------------------------------------


def test_code_held_in_lists_is_measured_like_any_other() -> None:
    machine = parse_machine(PORCH.replace("UTILITY", UTILITIES["discount"]))
    chapter = Chapter(machine.declarations)
    new = with_policy(machine.agent, GOOD)
    policy = cast(s.Policy, new.slot("main"))
    disguised = s.Code((*new.slots[:-1], s.Policy("main", cast(Any, list(policy.body)))))
    assert digest_node(disguised) == digest_node(new)
    try:
        program = chapter.program(disguised)
    except (DslError, CertificateError, CodecError):
        return
    assert program.size == s.count_nodes(new)


def test_rewrite_held_in_lists_is_not_accepted_for_its_looks() -> None:
    text = PORCH.replace("UTILITY", UTILITIES["discount"]).replace("1/10000", "1")
    machine = parse_machine(text)
    chapter, old = Chapter(machine.declarations), machine.agent
    worse = cast(s.Policy, with_policy(old, "policy { move = if not near(tile) then stay else stay }").slot("main"))  # fmt: skip
    disguised = s.Policy("main", cast(Any, list(worse.body)))
    verdict = Gate(chapter).judge(old, (Replace("main", (), expected(old, "main"), disguised),))
    assert not isinstance(verdict, Accepted)


def test_code_with_floats_is_not_run() -> None:
    chapter, old = porch("discount")
    third = s.RatLit(cast(Any, 0.1))
    test = s.Compare(("<",), (s.Name("tile"), third))
    edit = put("main", (0, 0), s.If(test, AHEAD, AHEAD))
    try:
        code = apply_rewrite(old, (edit,))
    except RewriteError:
        return
    with pytest.raises((DslError, CertificateError, CodecError)):
        chapter.program(code)


def test_every_field_of_every_node_is_in_its_digest() -> None:
    for cls, shape in _SHAPES.values():
        own = [f.name for f in fields(cast(Any, cls)) if f.compare]
        assert own == [name for name, _, _ in shape], cls
    classes = [c for c in vars(s).values() if isinstance(c, type) and issubclass(c, s.Node)]
    # operations on bits are written by the checker alone; what makes the items of a table late is no node of its own
    assert set(classes) - {s.Node, s.BitsOp, s._Lazy} == {cls for cls, _ in _SHAPES.values()}


def test_one_tree_has_one_text_and_one_digest() -> None:
    chapter, code = porch("discount")
    for tree in (code, chapter.task.declarations):
        data = encode_tree(tree)
        again = decode_tree(data)
        assert (
            again == tree and encode_tree(again) == data and digest_node(again) == digest_node(tree)
        )
    nodes = list(s.walk(code))
    assert len({digest_node(n) for n in nodes}) == len(
        {canonical_json(encode_node(n)) for n in nodes}
    )
    with pytest.raises(CodecError):
        decode_tree(canonical_json([True, encode_node(code)]))
    with pytest.raises(CodecError):
        decode_tree(canonical_json([2, encode_node(code)]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (s.IntLit(1), s.BoolLit(True)),
        (s.IntLit(1), s.RatLit(Fraction(1))),
        (s.IntLit(0), s.BoolLit(False)),
        (s.Name("a"), s.Call("a", ())),
        (s.Name("a"), s.Primed("a")),
        (s.Member("a", "b"), s.Name("a")),
        (s.Define("a", TWO), s.Assign("a", TWO)),
        (s.Define("a", TWO), s.Next("a", TWO)),
        (s.Param("a", s.BoolType(), TWO), s.Table("a", s.BoolType(), TWO)),
        (s.Match(TWO, (), TWO), s.DistMatch(TWO, (), None)),
        (s.IntType(None, None), s.RatType(None, None)),
    ],
)
def test_different_trees_have_different_digests(one: s.Node, other: s.Node) -> None:
    assert digest_node(one) != digest_node(other)


# --- declarations that would make proofs cheap ---------------------------------------------------

DECLARATIONS: list[tuple[str, str, str, str]] = [
    ("discount one", "UTILITY", "discount 1", "discount must be at least 0 and below 1"),
    ("discount above one", "UTILITY", "discount 3/2", "discount must be at least 0 and below 1"),
    ("negative discount", "UTILITY", "discount -1/2", "discount must be at least 0 and below 1"),
    ("discount one by constants", "UTILITY", "discount LAST / LAST", "discount must be at least 0 and below 1"),
    ("discount that is the state", "UTILITY", "discount tile", "tile cannot be read here|must be constant"),
    ("both", "UTILITY", "discount 1/2 horizon 3", "a discount or a horizon"),
    ("neither", "UTILITY", "", "a discount or a horizon"),
    ("two discounts", "UTILITY", "discount 1/2 discount 1/3", "discount is given twice"),
    ("horizon nought", "UTILITY", "horizon 0", "horizon must be at least 1"),
    ("negative horizon", "UTILITY", "horizon -4", "horizon must be at least 1"),
    ("horizon a fraction", "UTILITY", "horizon 7/2", "horizon must be int"),
    ("negative tick price", "tick_price 1/1000", "tick_price -1/1000", "tick_price must be at least 0"),
    ("negative tick price by constants", "tick_price 1/1000", "tick_price 2 - LAST", "tick_price must be at least 0"),
    ("negative size price", "size_price 1/10000", "size_price -1", "size_price must be at least 0"),
    ("criterion that is none", "UTILITY", "discount 1/2 better whatever", "better is one of"),
    ("setting that is none", "UTILITY", "discount 1/2 bonus 1", "unknown setting bonus"),
    ("no weight at all", "{ 0: 1/2, 1: 1/2 }", "{ 0: 0, 1: 0 }", "weights must sum to 1"),
    ("start weights short of one", "{ 0: 1/2, 1: 1/2 }", "{ 0: 1/2 }", "weights must sum to 1"),
    ("start weights beyond one", "{ 0: 1/2, 1: 1/2 }", "{ 0: 1, 1: 1 }", "weights must sum to 1"),
    ("negative start weight", "{ 0: 1/2, 1: 1/2 }", "{ 0: 3/2, 1: -1/2 }", "weight must not be negative"),
    ("start outside the type", "{ 0: 1/2, 1: 1/2 }", "{ 0: 1/2, 9: 1/2 }", "may leave its range"),
    ("rows without weight", "true: 1/4, false: 3/4", "true: 0, false: 0", "weights must sum to 1"),
    ("negative weight", "true: 1/4, false: 3/4", "true: 5/4, false: -1/4", "weight must not be negative"),
    ("weights beyond one", "true: 1/4, false: 3/4", "true: 1, false: 1", "weights must sum to 1"),
    ("weights that vanish somewhere", "true: 1/4, false: 3/4", "true: tile / 3, false: 0", "weights must sum to 1"),
    ("weights negative somewhere", "true: 1/4, false: 3/4", "true: tile, false: 1 - tile", "weight must not be negative"),
    ("empty starts", "{ 0: 1/2, 1: 1/2 }", "{ for i in 1..0: i: 1 }", "is empty"),
    ("empty type", "int 0..LAST =", "int LAST..0 =", "is empty"),
    ("empty action type", "action move: Move", "action move: array[0] of Move", "array of 0 items"),
    ("endless action type", "action move: Move", "action move: rat 0..1", "finitely many values"),
    ("no reward", "reward = if tile' == LAST then 1 else if lamp == green then 1/100 else 0", "", "no reward"),
    ("next state outside", "min(tile + 1, LAST)", "tile + 1", "may leave its range"),
    ("draw that reads the future", "true: 1/4, false: 3/4", "true: if lit' then 1 else 0, false: if lit' then 0 else 1", "cannot be read here"),
    ("done that reads the action", "done = tile == LAST", "done = move == stay", "cannot be read here"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "reason"), [d[1:] for d in DECLARATIONS], ids=[d[0] for d in DECLARATIONS]
)
def test_declarations_that_prove_anything_open_no_chapter(
    before: str, after: str, reason: str
) -> None:
    assert before in PORCH
    text = PORCH.replace(before, after, 1).replace("UTILITY", UTILITIES["discount"])
    declarations = parse_machine(text).declarations
    with pytest.raises((DslError, NotTotal), match=reason):
        Chapter(declarations)


def test_declarations_decoded_from_data_are_checked_like_any_other() -> None:
    machine = parse_machine(PORCH.replace("UTILITY", UTILITIES["discount"]))
    data = json.dumps(encode_node(machine.declarations))
    forged = data.replace('["rat", "9/10"]', '["int", 1]')
    assert forged != data
    tree = cast(s.Declarations, decode_node(json.loads(forged), s.Declarations))
    with pytest.raises(DslError, match="below 1"):
        check_declarations(tree)


def test_forgeries_are_many_and_of_many_kinds() -> None:
    tables = {name for name, *_ in TABLE_FORGERIES}
    count = len(TABLE_FORGERIES) + len(RAW_FORGERIES) + len(OBJECTS) + len(EDITS)
    count += len(NOT_PROGRAMS) + len(DECLARATIONS) + len(MALFORMED_EDITS)
    assert len(tables) >= 30 and count >= 250
