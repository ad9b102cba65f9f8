"""The rules of the kernel: what they must accept and reject, and that nothing accepted is ever false.

`must_accept/` and `must_reject/` hold one case a file: a world, programs, and a certificate written by hand.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from random import Random
from typing import Any

import pytest
from kernel_cases import HERE, Claim, certificate_of, claim_of, load_cases, statement_of
from kernel_tables import average, cases_of, game_of, game_of_all
from verdicts import Judge

from dsl.codec import CodecError, canonical_json, decode_json, decode_rational
from dsl.errors import DslError
from dsl.machine import MemoryTuple, UnknownTuple, World
from dsl.parser import parse_machine, parse_patch
from proofs.certificates import encode_certificate
from proofs.kernel.certificate import (
    BetterCertificate,
    BoundsCertificate,
    Certificate,
    NotBetterCertificate,
    OptimalityCertificate,
    Table,
)
from proofs.kernel.chapter import Chapter
from proofs.kernel.check import IsBetter, IsBounded, IsNotBetter, IsOptimal
from proofs.kernel.theorem import CertificateError, Statement

ACCEPTED = {param.id: param.values[0] for param in load_cases("must_accept")}


JUDGES: dict[str, Judge] = {}


def assert_true(claim: Claim, statement: Statement) -> None:
    """A statement holds by brute force, which shares no code with the kernel."""
    task = claim.chapter.task
    if task.digest not in JUDGES:
        JUDGES[task.digest] = Judge(task.declarations, seed=7, inside=3)
    fault = JUDGES[task.digest].fault_of(statement, claim.old, claim.new)
    assert fault is None, fault


@pytest.mark.parametrize("case", load_cases("must_reject"))
def test_must_be_rejected(case: dict[str, Any]) -> None:
    with pytest.raises((CertificateError, DslError), match=case["reason"]):
        statement_of(case)


@pytest.mark.parametrize("case", load_cases("must_accept"))
def test_must_be_accepted(case: dict[str, Any]) -> None:
    statement = statement_of(case)
    for name in (
        "lower",
        "upper",
        "gain",
        "gap",
        "new_upper",
        "old_lower",
        "new_lower",
        "old_upper",
    ):
        if name in case:
            assert getattr(statement, name) == Fraction(case[name]), name
    assert_true(claim_of(case), statement)


def test_every_case_says_what_it_is_about() -> None:
    for folder in ("must_accept", "must_reject"):
        cases = [param.values[0] for param in load_cases(folder)]
        assert len(cases) >= 40
        assert len({case["about"] for case in cases}) == len(cases)


def test_kernel_is_small_enough_to_read() -> None:
    """Under 1,500 lines that are neither blank nor comment, docstrings and figures included."""
    lines = [
        line.strip()
        for path in (HERE.parent / "proofs" / "kernel").glob("*.py")
        for line in path.read_text("utf-8").splitlines()
    ]
    assert sum(bool(line) and not line.startswith("#") for line in lines) < 1_500


# --- no mutant of a certificate proves anything false --------------------------------------------

Mutation = Callable[[Random, Any], bool]
"""Changes JSON in place; says whether there was something to change."""


def parts_of(data: Any, wanted: Callable[[Any], bool]) -> list[tuple[Any, Any]]:
    """Every place that holds something wanted, as the list or object that holds it and its key there."""
    found: list[tuple[Any, Any]] = []
    keys = (
        list(data) if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()
    )
    for key in keys:
        if key not in ("version", "rule"):
            if wanted(data[key]):
                found.append((data, key))
            found += parts_of(data[key], wanted)
    return found


def is_number(data: Any) -> bool:
    """Whether this is a rational."""
    if type(data) is not str:
        return False
    try:
        decode_rational(data)
    except CodecError:
        return False
    return True


def is_list(data: Any) -> bool:
    """Whether this is a list that holds something."""
    return isinstance(data, list) and bool(data)


def is_table(data: Any) -> bool:
    """Whether this is a leaf."""
    return isinstance(data, dict) and "tables" in data


def with_number(change: Callable[[Random, Fraction], Fraction]) -> Mutation:
    """Change one rational, wherever it stands: a value, coefficient, multiplier, gain, level, cut, rate or unknown."""

    def mutate(rng: Random, data: Any) -> bool:
        holder, key = rng.choice(parts_of(data, is_number) or [(None, None)])
        if holder is not None:
            holder[key] = str(change(rng, decode_rational(holder[key])))
        return holder is not None

    return mutate


def with_list(change: Callable[[Random, list[Any]], object]) -> Mutation:
    """Change one list: layers, entries, states, replies, cases, sets, moves, multipliers."""

    def mutate(rng: Random, data: Any) -> bool:
        holder, key = rng.choice(parts_of(data, is_list) or [(None, None)])
        if holder is not None:
            change(rng, holder[key])
        return holder is not None

    return mutate


def change_scalar(rng: Random, data: Any) -> bool:
    """Put another truth or integer in the place of one: in a state, memory, reply, world, rank or switch."""
    places = parts_of(data, lambda x: type(x) in (bool, int))
    if places:
        holder, key = rng.choice(places)
        old = holder[key]
        holder[key] = not old if isinstance(old, bool) else old + rng.choice([-2, -1, 1, 2])
    return bool(places)


def exchange(rng: Random, data: Any) -> bool:
    """Exchange two rationals."""
    places = parts_of(data, is_number)
    if places:
        (a, i), (b, j) = rng.choice(places), rng.choice(places)
        a[i], b[j] = b[j], a[i]
    return bool(places)


def shift_table(rng: Random, data: Any) -> bool:
    """Move every number of one table by the same amount."""
    leaves = parts_of(data, is_table)
    if leaves:
        holder, key = rng.choice(leaves)
        amount = Fraction(rng.choice([-1, 1]), rng.choice([1, 10, 10**11]))
        for place, at in parts_of([rng.choice(holder[key]["tables"])], is_number):
            place[at] = str(decode_rational(place[at]) + amount)
    return bool(leaves)


def exchange_tables(rng: Random, data: Any) -> bool:
    """Exchange the tables of a leaf, or two leaves."""
    leaves = parts_of(data, is_table)
    if leaves:
        (a, i), (b, j) = rng.choice(leaves), rng.choice(leaves)
        a[i], b[j] = b[j], a[i]
        a[i]["tables"].reverse()
    return bool(leaves)


def cut_again(rng: Random, data: Any) -> bool:
    """Cut a region, with the same tables on both sides."""
    leaves = parts_of(data, is_table)
    if leaves:
        holder, key = rng.choice(leaves)
        name = rng.choice([cut["cut"] for cut in cuts_of(data)] or ["p", "q"])
        at = str(Fraction(rng.randint(0, 12), 12))
        holder[key] = {
            "cut": name,
            "at": at,
            "below": holder[key],
            "above": copy.deepcopy(holder[key]),
        }
    return bool(leaves)


def cuts_of(data: Any) -> list[Any]:
    """Every cut."""
    return [h[k] for h, k in parts_of(data, lambda x: isinstance(x, dict) and "cut" in x)]


def exchange_sides(rng: Random, data: Any) -> bool:
    """Exchange what holds below a cut and above it."""
    cuts = cuts_of(data)
    if cuts:
        cut = rng.choice(cuts)
        cut["below"], cut["above"] = cut["above"], cut["below"]
    return bool(cuts)


def leave_out(rng: Random, part: list[Any]) -> None:
    """Leave one item out."""
    part.pop(rng.randrange(len(part)))


def repeat(rng: Random, part: list[Any]) -> None:
    """Repeat one item."""
    part.insert(rng.randrange(len(part)), copy.deepcopy(rng.choice(part)))


MUTATIONS: dict[str, Mutation] = {
    "one unit of the grid": with_number(lambda r, v: v + Fraction(r.choice([-1, 1]), 10**11)),
    "a seventh": with_number(lambda r, v: v + Fraction(r.choice([-1, 1]), 7)),
    "much": with_number(lambda r, v: v + r.choice([-1000, 1000])),
    "sign": with_number(lambda r, v: -v),
    "scale": with_number(lambda r, v: v * r.choice([0, Fraction(1, 2), 2])),
    "left out": with_list(leave_out),
    "repeated": with_list(repeat),
    "reordered": with_list(lambda r, part: r.shuffle(part)),
    "numbers exchanged": exchange,
    "another scalar": change_scalar,
    "table shifted": shift_table,
    "tables exchanged": exchange_tables,
    "cut again": cut_again,
    "sides exchanged": exchange_sides,
}


def assert_mutants_prove_no_lie(
    claim: Claim, data: bytes, mutation: str, rounds: int
) -> tuple[int, int]:
    """Refused and held."""
    refused = held = 0
    for number in range(rounds):
        value: Any = copy.deepcopy(decode_json(data))
        if not MUTATIONS[mutation](Random(f"{mutation} {number} {len(data)}"), value):
            break
        forged = canonical_json(value)
        if forged == data:
            continue
        try:
            statement = claim.prove(forged)
        except (CertificateError, CodecError):
            refused += 1
            continue
        held += 1
        assert_true(claim, statement)
    return refused, held


@pytest.mark.parametrize("name", ACCEPTED)
def test_mutant_of_a_case_is_refused_or_proves_the_truth(name: str) -> None:
    case = ACCEPTED[name]
    claim, data = claim_of(case), certificate_of(case)
    refused = 0
    for mutation in MUTATIONS:
        refused += assert_mutants_prove_no_lie(claim, data, mutation, 8)[0]
    assert refused >= 10


# --- exact tables --------------------------------------------------------------------------------

WORLDS = {
    "discount": """
machine corridor
enum Move { back, stay, ahead }
environment {
  state x: int 0..4 = { 1: 1/3, 2: 2/3 }
  state warm: bool = false
  action move: Move
  chance slip: int 0..2 = { 0: 1/6, 1: 1/3, 2: 1/2 }
  x' = clamp(x + (ord(move) - 1) * min(slip, 1), 0, 4)
  warm' = x' >= 3
  reward = (if x' == 4 then 2 else 0) - (if warm and slip == 2 then 1/3 else 0)
  done = x == 0
}
utility { discount 3/4  tick_price 1/100  size_price 1/1000 }
agent { policy { move = if x < 3 then stay else back } }
""",
    "horizon": """
machine rounds
environment {
  state hand: int 0..3 = 1
  state won: bool = false
  action stake: int 0..2
  chance coin: bool = { true: 2/5, false: 3/5 }
  hand' = clamp(hand + (if coin then stake else -stake), 0, 3)
  won' = won or hand' == 3
  reward = if hand' == 3 and not won then 5 else if hand' == 0 then -1 else 0
  done = hand == 0
}
utility { horizon 3  tick_price 1/50 }
agent { policy { stake = 0 } }
""",
    "chase": """
machine chase
environment {
  unknown deep: bool
  state me: int 0..3 = any where me != 2
  state it: int 0..3 = { 2: 3/4, 3: 1/4 }
  action step: int -1..1
  adversary move: int -1..1 where 0 <= it + move <= 3 and (deep or move != 0)
  chance slip: bool = { true: 1/4, false: 3/4 }
  me' = if slip then me else clamp(me + step, 0, 3)
  it' = it + move
  reward = if me' == it' then -2 else me'
  done = me == it and deep
}
utility { discount 2/3  tick_price 1/200  size_price 1/1000 }
agent { policy { step = 0 } }
""",
    "chase under a horizon": """
machine chase
environment {
  unknown luck: int 1..2
  state me: int 0..2 = any
  action step: int -1..1
  adversary move: int 0..1 where move <= luck - 1 or me > 0
  me' = clamp(me + step - move, 0, 2)
  reward = me' * luck - (if move == 1 then 0 else 1/2)
}
utility { horizon 3  tick_price 1/100  better strictly }
agent { policy { step = 0 } }
""",
}
MEMORY = (
    "memory last: int -1..1 = 1 policy { step = -last  last' = if me > 1 then -last else last }"
)
POLICIES = {
    "discount": [
        "policy { move = if x < 3 then stay else back }",
        "policy { move = ahead }",
        "policy { move = if warm then ahead else stay }",
        "policy { move = Move(x mod 3) }",
        "policy { let near = x + 0 > 1 move = if near then ahead else back }",
    ],
    "horizon": [
        "policy { stake = 0 }",
        "policy { stake = 2 }",
        "policy { stake = if won then 0 else 2 }",
        "policy { stake = if hand == 1 then 2 else 1 }",
        "policy { stake = min(hand, 1 + 0) }",
    ],
    "chase": [
        "policy { step = 0 }",
        "policy { step = if me < it then -1 else 1 }",
        MEMORY,
        "policy { step = 1 }",
    ],
    "chase under a horizon": [
        "policy { step = 0 }",
        "policy { step = 1 }",
        MEMORY,
        "policy { step = min(me, 0 + 1) }",
    ],
}


@cache
def honest_claims(kind: str) -> list[tuple[Claim, bytes]]:
    """Every claim about the programs of a world that exact values show."""
    chapter = Chapter(parse_machine(WORLDS[kind]).declarations)
    codes = [parse_patch(f"agent {{ {p} }}") for p in POLICIES[kind]]
    found: list[tuple[Claim, bytes]] = []

    def add(claim: Claim, certificate: Certificate) -> None:
        new, old = chapter.program(claim.new), chapter.program(claim.old)
        found.append((claim, encode_certificate(certificate, chapter.task, new, old)))

    games = [cache(lambda u, c=code: game_of(chapter, c, u)) for code in codes]
    lower = [cache(lambda u, g=game: g(u).table(upper=False)) for game in games]
    upper = [cache(lambda u, g=game: g(u).table(upper=True)) for game in games]
    best = cache(lambda u: game_of_all(chapter, u).table(upper=True))
    worlds = [
        World(anywhere, r.unknowns)
        for r in chapter.regions()
        for anywhere, _ in chapter.start_worlds(r.unknowns)
    ]

    def at_starts(table: Callable[[UnknownTuple], Table], start: MemoryTuple) -> list[Fraction]:
        return [
            v
            for r in chapter.regions()
            for v in average(chapter, table(r.unknowns), r.unknowns, start)
        ]

    starts = [chapter.program(code).memory_start for code in codes]
    sizes = [chapter.size_cost(chapter.program(code)) for code in codes]
    values = [at_starts(table, start) for table, start in zip(lower, starts, strict=True)]
    tops = at_starts(best, ())
    for i, new in enumerate(codes):
        bounds = BoundsCertificate(
            min(values[i]), cases_of(chapter, lower[i]), max(values[i]), cases_of(chapter, upper[i])
        )
        add(Claim(chapter, IsBounded(chapter, new), new, new), bounds)
        gap = max(top - v + sizes[i] for top, v in zip(tops, values[i], strict=True))
        optimal = OptimalityCertificate(cases_of(chapter, lower[i], best), gap)
        add(Claim(chapter, IsOptimal(chapter, new), new, new), optimal)
        for j, old in enumerate(codes):
            rises = [a - sizes[i] - b + sizes[j] for a, b in zip(values[i], values[j], strict=True)]
            if min(rises) >= 0 and max(rises) > 0:
                world = worlds[rises.index(max(rises))]
                better = BetterCertificate(cases_of(chapter, lower[i], upper[j]), min(rises), world)
                add(Claim(chapter, IsBetter(chapter, old, new), old, new), better)
            elif max(rises) <= 0:
                worse = NotBetterCertificate(cases_of(chapter, upper[i], lower[j]))
                add(Claim(chapter, IsNotBetter(chapter, old, new), old, new), worse)
    return found


@pytest.mark.parametrize("kind", WORLDS)
def test_honest_certificates_prove_the_truth(kind: str) -> None:
    claims = honest_claims(kind)
    for claim, data in claims:
        try:
            assert_true(claim, claim.prove(data))
        except CertificateError as error:
            # a rise that is 0 somewhere is none under `strictly`
            assert "is not enough for `strictly`" in str(error)
    assert len(claims) >= 12


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("kind", WORLDS)
def test_mutated_certificate_is_refused_or_proves_the_truth(kind: str, mutation: str) -> None:
    refused = held = 0
    for claim, data in honest_claims(kind):
        here = assert_mutants_prove_no_lie(claim, data, mutation, 3)
        refused, held = refused + here[0], held + here[1]
    if mutation not in ("cut again", "sides exchanged", "reordered"):
        assert refused > held / 4


@pytest.mark.parametrize("kind", WORLDS)
def test_exact_tables_leave_no_room(kind: str) -> None:
    """At the exact values every inequality is tight: one step of the grid the wrong way is refused at every pair."""
    for claim, data in honest_claims(kind):
        if not isinstance(claim.obligation, IsBounded):
            continue
        value: Any = decode_json(data)
        for name, step in (("lower", Fraction(1, 10**11)), ("upper", Fraction(-1, 10**11))):
            for c, (_, tree) in enumerate(value[f"{name}_cases"]):
                for k, layer in enumerate(tree["tables"][0]):
                    for i in range(len(layer)):
                        forged = copy.deepcopy(value)
                        entry = forged[f"{name}_cases"][c][1]["tables"][0][k][i]
                        entry[1] = str(decode_rational(entry[1]) + step)
                        with pytest.raises(CertificateError, match="inequality fails"):
                            claim.prove(canonical_json(forged))


@pytest.mark.parametrize("kind", WORLDS)
def test_certificate_of_one_pair_proves_nothing_false_of_another(kind: str) -> None:
    claims = honest_claims(kind)
    for claim, data in claims[::3]:
        for other, _ in claims:
            if type(other.obligation) is not type(claim.obligation):
                continue
            try:
                statement = other.prove(data)
            except (CertificateError, CodecError):
                continue
            assert_true(other, statement)


def test_reordered_states_prove_the_same() -> None:
    claim, data = honest_claims("discount")[0]
    value: Any = decode_json(data)
    value["lower_cases"][0][1]["tables"][0][0].reverse()
    assert claim.prove(canonical_json(value)) == claim.prove(data)
