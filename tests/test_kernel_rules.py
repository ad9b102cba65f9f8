"""The rules of the kernel: what they must accept and reject, and that nothing accepted is ever false.

`must_accept/` and `must_reject/` hold one case a file: a world, programs, and a certificate written by hand.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from brute_force import World, optimum, utility
from generators import VARIABLES, ExpressionMaker, base, random_machine, random_value

from dsl import interp
from dsl import syntax as s
from dsl.codec import CodecError, canonical_json, decode_json, decode_rational
from dsl.errors import DslError
from dsl.interp import EvaluationFault, evaluate
from dsl.parser import parse_machine, parse_patch
from dsl.rewrite import derive_edits
from dsl.types import Bool, Int, Rat, Type, Value
from godel.gate import Accepted, Gate, Undecided
from proofs.kernel.certificate import (
    BetterCertificate,
    BoundsCertificate,
    Certificate,
    NotBetterCertificate,
    OptimalityCertificate,
    Table,
    decode_certificate,
    encode_certificate,
)
from proofs.kernel.chapter import Chapter, NotTotal
from proofs.kernel.check import IsBetter, IsBounded, IsNotBetter, IsOptimal, Obligation, check
from proofs.kernel.intervals import Abstract, Intervals, NotProved, Range, Row, Truth, span_of
from proofs.kernel.theorem import (
    CertificateError,
    Improvement,
    NoImprovement,
    Optimality,
    Statement,
    ValueBounds,
)
from proofs.kernel.totality import find_gaps_in_code
from proofs.tactics.tables import Direction, Grid, ProgramBounds, bound_every_program

HERE = Path(__file__).resolve().parent
TABLES = {
    "better": ("new_lower", "old_upper"),
    "not better": ("new_upper", "old_lower"),
    "bounds": ("lower", "upper"),
    "optimal": ("lower", "upper"),
}


def load_cases(folder: str) -> list[Any]:
    """The cases of a folder, by the names of their files."""
    files = sorted((HERE / folder).glob("*.toml"))
    return [pytest.param(tomllib.loads(f.read_text("utf-8")), id=f.stem) for f in files]


def claim_of(case: dict[str, Any]) -> tuple[Chapter, Obligation]:
    """What a case claims."""
    old = parse_patch(f"agent {{ {case['old']} }}")
    new = parse_patch(f"agent {{ {case.get('new', case['old'])} }}")
    machine = parse_machine(f"{case['machine']}\nagent {{ {case['old']} }}")
    chapter = Chapter(machine.declarations)
    obligations: dict[str, Obligation] = {
        "better": IsBetter(chapter, old, new),
        "not better": IsNotBetter(chapter, old, new),
        "bounds": IsBounded(chapter, old),
        "optimal": IsOptimal(chapter, old),
    }
    return chapter, obligations[case["claim"]]


def statement_of(case: dict[str, Any]) -> Statement:
    """What the kernel makes of a case."""
    chapter, obligation = claim_of(case)
    tables = {name: case["certificate"].get(name) for name in TABLES[case["claim"]]}
    data = canonical_json({"version": 1, "rule": case["claim"], **tables})
    return check(obligation, decode_certificate(data, chapter.task.states)).statement


@pytest.mark.parametrize("case", load_cases("must_reject"))
def test_must_be_rejected(case: dict[str, Any]) -> None:
    with pytest.raises((CertificateError, DslError), match=case["reason"]):
        statement_of(case)


@pytest.mark.parametrize("case", load_cases("must_accept"))
def test_must_be_accepted(case: dict[str, Any]) -> None:
    statement = statement_of(case)
    for name in ("lower", "upper", "gain", "gap", "new_upper"):
        if name in case:
            assert getattr(statement, name) == Fraction(case[name]), name
    assert_true(claim_of(case)[1], statement)


def test_every_case_says_what_it_is_about() -> None:
    for folder in ("must_accept", "must_reject"):
        cases = [param.values[0] for param in load_cases(folder)]
        assert len(cases) >= 20
        assert len({case["about"] for case in cases}) == len(cases)


# --- no mutant of a certificate proves anything false --------------------------------------------

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
}
POLICIES = {
    "discount": [
        "move = if x < 3 then stay else back",
        "move = ahead",
        "move = if warm then ahead else stay",
        "move = Move(x mod 3)",
        "let near = x + 0 > 1 move = if near then ahead else back",
    ],
    "horizon": [
        "stake = 0",
        "stake = 2",
        "stake = if won then 0 else 2",
        "stake = if hand == 1 then 2 else 1",
        "stake = min(hand, 1 + 0)",
    ],
}


def codes_of(kind: str) -> list[s.Code]:
    """The programs of a world."""
    return [parse_patch(f"agent {{ policy {{ {p} }} }}") for p in POLICIES[kind]]


def honest_certificates(kind: str) -> Iterator[tuple[Obligation, bytes]]:
    """Every claim about the programs of a world that tactics can show."""
    chapter = Chapter(parse_machine(WORLDS[kind]).declarations)
    states = chapter.task.states
    codes = codes_of(kind)
    gate = Gate(chapter)
    for old in codes:
        bounds = ProgramBounds(chapter, chapter.program(old))
        tables = [bounds.bound(d, Grid.EXACT).table for d in Direction]
        coarse = [bounds.bound(d, Grid.COARSE).table for d in Direction]
        best = bound_every_program(chapter, Grid.EXACT).table
        for lower, upper in (tables, coarse):
            yield (
                IsBounded(chapter, old),
                encode_certificate(BoundsCertificate(lower, upper), states),
            )
            yield IsOptimal(chapter, old), encode_certificate(OptimalityCertificate(lower, best), states)  # fmt: skip
        for new in codes:
            evidence = gate._evidence(chapter.program(old), chapter.program(new))
            assert not isinstance(evidence, str)
            better = isinstance(evidence, BetterCertificate)
            obligation = (IsBetter if better else IsNotBetter)(chapter, old, new)
            yield obligation, encode_certificate(evidence, states)


def assert_true(obligation: Obligation, statement: Statement) -> None:
    """A statement holds by brute force, which shares no code with the kernel."""
    chapter = cast(Chapter, obligation.chapter)
    world = World(chapter.task.declarations)
    price = chapter.task.utility.size_price

    def value(code: s.Code) -> Fraction:
        return utility(world, code) + price * s.count_nodes(code)

    match obligation, statement:
        case IsBounded(_, code), ValueBounds(_, _, lower, upper):
            assert lower is None or lower <= value(code)
            assert upper is None or value(code) <= upper
        case IsOptimal(_, code), Optimality(_, _, lower, upper, gap):
            assert lower <= utility(world, code) and optimum(world) <= upper
            assert gap == upper - lower
        case IsBetter(_, old, new), Improvement(_, _, _, _, old_upper, new_lower, gain):
            assert utility(world, old) <= old_upper < new_lower <= utility(world, new)
            assert gain == new_lower - old_upper
        case IsNotBetter(_, old, new), NoImprovement(_, _, _, _, old_lower, new_upper):
            assert utility(world, new) <= new_upper <= old_lower <= utility(world, old)
        case _:
            raise AssertionError(f"{statement} is no answer to {obligation}")


Mutation = Callable[[Random, Any], None]


def entries_of(data: Any) -> list[Any]:
    """Every entry of every table."""
    tables = [v for k, v in data.items() if k not in ("version", "rule")]
    return [entry for table in tables for layer in table for entry in layer]


def layers_of(data: Any) -> list[Any]:
    """Every layer of every table."""
    return [x for k, v in data.items() if k not in ("version", "rule") for x in v]


def nudge(amount: Fraction) -> Mutation:
    """Move one value."""

    def mutate(rng: Random, data: Any) -> None:
        entry = rng.choice(entries_of(data))
        entry[1] = str(decode_rational(entry[1]) + amount)

    return mutate


def turn_sign(rng: Random, data: Any) -> None:
    """Turn the sign of one value."""
    entry = rng.choice(entries_of(data))
    entry[1] = str(-decode_rational(entry[1]))


def drop_entry(rng: Random, data: Any) -> None:
    """Leave one state out."""
    layer = rng.choice([x for x in layers_of(data) if x])
    layer.remove(rng.choice(layer))


def repeat_entry(rng: Random, data: Any) -> None:
    """List one state twice."""
    layer = rng.choice([x for x in layers_of(data) if x])
    layer.append(rng.choice(layer))


def exchange_values(rng: Random, data: Any) -> None:
    """Exchange the values of two states."""
    one, other = rng.choice(entries_of(data)), rng.choice(entries_of(data))
    one[1], other[1] = other[1], one[1]


def exchange_tables(rng: Random, data: Any) -> None:
    """Exchange the two tables."""
    one, other = [k for k in data if k not in ("version", "rule")]
    data[one], data[other] = data[other], data[one]


def reverse_layers(rng: Random, data: Any) -> None:
    """Turn the layers of one table upside down."""
    rng.choice([v for k, v in data.items() if k not in ("version", "rule")]).reverse()


def reorder_states(rng: Random, data: Any) -> None:
    """List the states in another order."""
    rng.shuffle(rng.choice(layers_of(data)))


def change_state(rng: Random, data: Any) -> None:
    """Put a value at another state."""
    entry = rng.choice(entries_of(data))
    i = rng.randrange(len(entry[0]))
    entry[0][i] = not entry[0][i] if isinstance(entry[0][i], bool) else entry[0][i] + rng.choice([-1, 1])  # fmt: skip


def shift_table(rng: Random, data: Any) -> None:
    """Move every value of one table by the same amount."""
    amount = Fraction(rng.choice([-1, 1]), rng.choice([1, 10, 10**11]))
    for layer in rng.choice([v for k, v in data.items() if k not in ("version", "rule")]):
        for entry in layer:
            entry[1] = str(decode_rational(entry[1]) + amount)


MUTATIONS: dict[str, Mutation] = {
    "one unit of the grid up": nudge(Fraction(1, 10**11)),
    "one unit of the grid down": nudge(Fraction(-1, 10**11)),
    "up": nudge(Fraction(1, 7)),
    "down": nudge(Fraction(-1, 7)),
    "sign": turn_sign,
    "dropped": drop_entry,
    "repeated": repeat_entry,
    "values exchanged": exchange_values,
    "tables exchanged": exchange_tables,
    "layers reversed": reverse_layers,
    "states reordered": reorder_states,
    "another state": change_state,
    "shifted": shift_table,
}


@pytest.mark.parametrize("kind", WORLDS)
def test_honest_certificates_prove_the_truth(kind: str) -> None:
    count = 0
    for obligation, data in honest_certificates(kind):
        states = cast(Chapter, obligation.chapter).task.states
        statement = check(obligation, decode_certificate(data, states)).statement
        assert_true(obligation, statement)
        count += 1
    assert count >= 40


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("kind", WORLDS)
def test_mutated_certificate_is_refused_or_proves_the_truth(kind: str, mutation: str) -> None:
    refused = held = 0
    for number, (obligation, data) in enumerate(honest_certificates(kind)):
        states = cast(Chapter, obligation.chapter).task.states
        for round_ in range(4):
            value = copy.deepcopy(cast(Any, decode_json(data)))
            MUTATIONS[mutation](Random(f"{mutation} {number} {round_}"), value)
            forged = canonical_json(value)
            if forged == data:
                continue
            try:
                certificate = decode_certificate(forged, states)
                statement = check(obligation, certificate).statement
            except (CertificateError, CodecError):
                refused += 1
                continue
            held += 1
            assert_true(obligation, statement)
    if mutation == "states reordered":
        assert refused == 0 and held
    elif mutation not in ("layers reversed",) or kind == "horizon":
        assert refused > held / 4


@pytest.mark.parametrize("kind", WORLDS)
def test_exact_tables_leave_no_room(kind: str) -> None:
    """At the exact values every inequality is tight: one step of the grid the wrong way is refused at every state."""
    chapter = Chapter(parse_machine(WORLDS[kind]).declarations)
    states = chapter.task.states
    for code in codes_of(kind):
        bounds = ProgramBounds(chapter, chapter.program(code))
        lower, upper = (bounds.bound(d, Grid.EXACT).table for d in Direction)
        data = cast(Any, decode_json(encode_certificate(BoundsCertificate(lower, upper), states)))
        for name, step in (("lower", Fraction(1, 10**11)), ("upper", Fraction(-1, 10**11))):
            for k, layer in enumerate(data[name]):
                for i in range(len(layer)):
                    forged = copy.deepcopy(data)
                    entry = forged[name][k][i]
                    entry[1] = str(decode_rational(entry[1]) + step)
                    certificate = decode_certificate(canonical_json(forged), states)
                    with pytest.raises(CertificateError, match="inequality fails"):
                        check(IsBounded(chapter, code), certificate)


@pytest.mark.parametrize("kind", WORLDS)
def test_certificate_of_one_pair_proves_nothing_false_of_another(kind: str) -> None:
    codes = codes_of(kind)
    for obligation, data in list(honest_certificates(kind))[::3]:
        chapter = cast(Chapter, obligation.chapter)
        certificate: Certificate = decode_certificate(data, chapter.task.states)
        others: list[Obligation]
        match certificate:
            case BetterCertificate():
                others = [IsBetter(chapter, a, b) for a in codes for b in codes]
            case NotBetterCertificate():
                others = [IsNotBetter(chapter, a, b) for a in codes for b in codes]
            case BoundsCertificate():
                others = [IsBounded(chapter, a) for a in codes]
            case OptimalityCertificate():
                others = [IsOptimal(chapter, a) for a in codes]
        for other in others:
            try:
                statement = check(other, certificate).statement
            except CertificateError:
                continue
            assert_true(other, statement)


# --- when the interpreter lies -------------------------------------------------------------------

LIES: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "minus": ("-", lambda a, b: b - a),
    "times": ("*", lambda a, b: a + b),
    "mod": ("mod", lambda a, b: a % b + 1),
}
SUMS = """
machine sums
environment {
  state x: int 0..5 = 4
  action a: int -5..15
  reward = 20 - abs(a - (x OP 3))
}
utility { horizon 1 }
agent { policy { a = 0 } }
"""


@pytest.mark.parametrize("lie", LIES)
def test_gate_ends_in_disagreement_when_the_interpreter_lies(
    lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    op, wrong = LIES[lie]
    truthful = interp._arithmetic
    machine = parse_machine(SUMS.replace("OP", op))
    new = parse_patch(f"agent {{ policy {{ a = {wrong(4, 3)} }} }}")
    edits = derive_edits(machine.agent, new)
    honest = Gate(Chapter(machine.declarations)).judge(machine.agent, edits)

    def lying(found: str, left: Any, right: Any, expr: s.Binary) -> Any:
        told = isinstance(expr.left, s.Name) and expr.left.name == "x"
        return wrong(left, right) if found == op and told else truthful(found, left, right, expr)

    monkeypatch.setattr(interp, "_arithmetic", lying)
    verdict = Gate(Chapter(machine.declarations)).judge(machine.agent, edits)
    assert isinstance(verdict, Undecided) and verdict.disagreement
    assert "Z3 contradicts the kernel" in verdict.reason
    assert not isinstance(honest, Undecided)


@pytest.mark.parametrize("field", ["ticks", "done", "start"])
def test_gate_ends_in_disagreement_when_the_machine_lies(
    field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dsl.machine import Program, Task

    machine = parse_machine(WORLDS["discount"])
    new = parse_patch("agent { policy { move = ahead } }")
    edits = derive_edits(machine.agent, new)
    assert isinstance(Gate(Chapter(machine.declarations)).judge(machine.agent, edits), Accepted)
    if field == "ticks":
        act = Program.act
        monkeypatch.setattr(Program, "act", lambda p, x: (act(p, x)[0], act(p, x)[1] // 2))
    elif field == "done":
        monkeypatch.setattr(Task, "is_done", lambda task, state: state[0] == 1)
    else:
        monkeypatch.setattr(Task, "start_states", lambda task: (((2, False), Fraction(1)),))
    verdict = Gate(Chapter(machine.declarations)).judge(machine.agent, edits)
    assert isinstance(verdict, Undecided)
    assert verdict.disagreement


def table_of(*values: tuple[tuple[Any, ...], int]) -> Table:
    """One layer."""
    return Table((tuple((state, Fraction(v)) for state, v in values),))


ZERO = table_of(((4,), 0))
BOGUS: dict[str, Certificate] = {
    "false gain": BetterCertificate(table_of(((4,), 99)), ZERO),
    "false loss": NotBetterCertificate(ZERO, table_of(((4,), 99))),
    "nothing listed": BetterCertificate(table_of(), table_of()),
    "nothing listed against": NotBetterCertificate(table_of(), table_of()),
    "no layer": BetterCertificate(Table(()), Table(())),
    "no layer against": NotBetterCertificate(Table(()), Table(())),
    "too many layers": BetterCertificate(Table(ZERO.layers * 3), ZERO),
    "state of no world": BetterCertificate(table_of(((4,), 0), ((99,), 0)), ZERO),
    "state of no world against": NotBetterCertificate(table_of(((4,), 0), ((99,), 0)), ZERO),
    "state too long": BetterCertificate(table_of(((4, 4), 0)), ZERO),
    "member for a number": BetterCertificate(table_of((("four",), 0)), ZERO),
    "another claim": OptimalityCertificate(ZERO, ZERO),
    "bounds": BoundsCertificate(ZERO, ZERO),
}


@pytest.mark.parametrize("bogus", BOGUS)
def test_gate_is_undecided_where_its_finder_is_wrong(
    bogus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = parse_machine(SUMS.replace("OP", "+"))
    edits = derive_edits(machine.agent, parse_patch("agent { policy { a = 1 } }"))
    monkeypatch.setattr(Gate, "_evidence", lambda *_: BOGUS[bogus])
    verdict = Gate(Chapter(machine.declarations)).judge(machine.agent, edits)
    assert isinstance(verdict, Undecided), verdict


# --- intervals -----------------------------------------------------------------------------------


def covers(abstract: Abstract, value: Any) -> bool:
    """Whether an abstract value admits a value."""
    match abstract:
        case Truth(true, false):
            return type(value) is bool and (true if value else false)
        case Row(length, item):
            return (
                type(value) is tuple
                and len(value) == length
                and all(covers(item, v) for v in value)
            )
        case Range(_, _, bits):
            number = Fraction(value)
            long = number.numerator.bit_length(), number.denominator.bit_length()
            fine = bits is None or (long[0] <= bits[0] and long[1] <= bits[1])
            return type(value) is not bool and abstract.holds(value) and fine


def random_part(rng: Random, kind: Type) -> tuple[Abstract, Callable[[], Value]]:
    """Part of a type: an abstract value, and a draw from it."""
    if isinstance(kind, Int) and kind.low is not None and kind.high is not None:
        low = rng.randint(kind.low, kind.high)
        high = rng.randint(low, kind.high)
        return span_of(Int(low, high)), lambda: rng.randint(low, high)
    return span_of(kind), lambda: random_value(rng, kind)


@pytest.mark.parametrize("chunk", range(4))
def test_intervals_cover_every_value_of_random_expressions(chunk: int) -> None:
    names = base()[1].names
    proved = 0
    for seed in range(chunk * 1_000, (chunk + 1) * 1_000):
        rng = Random(seed)
        maker = ExpressionMaker(rng, names, total=rng.random() < 0.5)
        kind = rng.choice([Bool(), Bool(), Int(), Rat(), VARIABLES[2].type, VARIABLES[5].type])
        expr = maker.make(kind, rng.randint(1, 5), {v.name: v.type for v in VARIABLES})
        parts = {v.name: random_part(rng, v.type) for v in VARIABLES}
        known = {name: abstract for name, (abstract, _) in parts.items()}
        intervals = Intervals(names)
        try:
            found = intervals.value(expr, known)
        except NotProved:
            continue
        proved += 1
        tests = {t: intervals.refine(expr, t, known) for t in (True, False)} if kind == Bool() else {}  # fmt: skip
        for _ in range(12):
            point = {name: draw() for name, (_, draw) in parts.items()}
            value, _ = evaluate(expr, names, point)  # a fault here is a broken promise
            assert covers(found, value), (seed, point)
            if tests:
                inner = tests[bool(value)]
                assert inner is not None, (seed, point)
                assert all(covers(inner[n], v) for n, v in point.items()), (seed, point)
    assert proved >= 800


def random_range(rng: Random, whole: bool) -> tuple[Range, Callable[[], int | Fraction]]:
    """A range of small numbers, perhaps without an end, and a draw from it."""

    def number(spread: int) -> int | Fraction:
        if whole:
            return rng.randint(-spread, spread)
        return Fraction(rng.randint(-spread, spread), rng.choice([1, 2, 3]))

    low, high = sorted([number(6), number(6)])
    ends = Range(
        None if rng.random() < 0.2 else low,
        None if rng.random() < 0.2 else high,
        None if rng.random() < 0.2 else (8, 1 if whole else 2),
    )

    def draw() -> int | Fraction:
        return next((x for x in (number(24) for _ in range(60)) if ends.holds(x)), low)

    return ends, draw


def random_operation(rng: Random, whole: bool) -> s.Expr:
    """One operation on p, q and r; `whole` says that p and q are integers."""
    p, q, r = (s.Name(n) for n in "pqr")
    compare: list[tuple[str, ...]] = [(op,) for op in ("<", "<=", ">", ">=", "==", "!=")]
    compare += [("<", "<="), ("<=", "<"), (">", ">="), (">=", ">")]
    ops = rng.choice(compare)
    test = s.Compare(ops, (p, q, r)[: len(ops) + 1])
    forms: list[s.Expr] = [s.Binary(op, p, q) for op in "+-*/"]
    forms += [s.Call(n, (p, q, r)) for n in ("min", "max", "clamp")]
    forms += [s.Call(n, (p,)) for n in ("abs", "floor")]
    forms += [s.Unary("-", p), test, s.If(test, s.Binary("-", p, q), s.Binary("+", p, r))]
    if whole:
        forms += [s.Binary(op, p, q) for op in ("div", "mod")] * 2
    return rng.choice(forms)


def test_intervals_cover_every_operation_on_ranges_without_ends() -> None:
    names = base()[1].names
    proved = 0
    for seed in range(6_000):
        rng = Random(seed)
        whole = [rng.random() < 0.6 for _ in "pqr"]
        parts = {n: random_range(rng, w) for n, w in zip("pqr", whole, strict=True)}
        known: dict[str, Abstract] = {n: ends for n, (ends, _) in parts.items()}
        expr = random_operation(rng, whole[0] and whole[1])
        intervals = Intervals(names)
        try:
            found = intervals.value(expr, known)
        except NotProved:
            continue
        proved += 1
        tests = (
            {t: intervals.refine(expr, t, known) for t in (True, False)}
            if isinstance(found, Truth)
            else {}
        )
        for _ in range(12):
            point = {n: draw() for n, (_, draw) in parts.items()}
            value, _ = evaluate(expr, names, point)
            assert covers(found, value), (seed, point)
            inner = tests.get(bool(value)) if tests else known
            assert inner is not None and all(covers(inner[n], v) for n, v in point.items())
    assert proved >= 4_500


def test_code_without_gaps_has_a_value_everywhere() -> None:
    """Of random policies that may divide by nought or leave an array, those called total are total."""
    task, program = base()
    total = broken = 0
    for seed in range(400):
        rng = Random(seed)
        maker = ExpressionMaker(rng, program.names)
        local = {v.name: v.type for v in task.observed}
        body = (
            s.Define("now", maker.make(Int(), 3, local)),
            s.Assign("go", maker.make(task.actions[0].type, 3, {**local, "now": Int()})),
        )
        slots = tuple(s.Policy("main", body) if isinstance(x, s.Policy) else x for x in program.code.slots)  # fmt: skip
        try:
            found = Chapter(task.declarations).program(cast(s.Code, s.fold_literals(s.Code(slots))))
        except (NotTotal, DslError):
            broken += 1
            continue
        total += 1
        for _ in range(40):
            point = {v.name: random_value(rng, v.type) for v in task.observed}
            found.decide(point)
    assert total >= 100 and broken >= 20


def test_gap_that_is_called_broken_is_broken_at_its_point() -> None:
    task, program = base()
    shown = 0
    for seed in range(400, 700):
        rng = Random(seed)
        maker = ExpressionMaker(rng, program.names)
        local = {v.name: v.type for v in task.observed}
        value = cast(s.Expr, s.fold_literals(maker.make(task.actions[0].type, 3, local)))
        slots = tuple(
            s.Policy("main", (s.Assign("go", value),)) if isinstance(x, s.Policy) else x
            for x in program.code.slots
        )
        try:
            Chapter(task.declarations).program(s.Code(slots))
        except DslError:
            continue
        except NotTotal as error:
            for gap in error.gaps:
                if hasattr(gap, "point"):
                    point = {name: v for name, _, v in cast(Any, gap).point}
                    rest = {v.name: random_value(rng, v.type) for v in task.observed}
                    with pytest.raises(EvaluationFault):
                        evaluate(value, program.names, {**rest, **point})
                    shown += 1
    assert shown >= 20


@pytest.mark.parametrize("horizon", [None, 2])
def test_bounds_of_random_machines_are_true(horizon: int | None) -> None:
    checked = 0
    for seed in range(80):
        machine = random_machine(seed, horizon=horizon)
        if any(map(is_open_clamp, s.walk(machine))):
            continue
        checked += 1
        chapter = Chapter(machine.declarations)
        program = chapter.program(machine.agent)
        assert find_gaps_in_code(program) == []
        bounds = ProgramBounds(chapter, program)
        tables = [bounds.bound(d, Grid.FINE).table for d in Direction]
        obligation = IsBounded(chapter, machine.agent)
        assert_true(obligation, check(obligation, BoundsCertificate(*tables)).statement)
        best = bound_every_program(chapter, Grid.FINE).table
        optimal = IsOptimal(chapter, machine.agent)
        theorem = check(optimal, OptimalityCertificate(tables[0], best))
        assert_true(optimal, theorem.statement)
    assert checked >= 20


def is_open_clamp(node: s.Node) -> bool:
    """A `clamp` whose ends may be the wrong way round, which the brute force reads in another way."""
    match node:
        case s.Call("clamp", (_, s.IntLit(low), s.IntLit(high))):
            return low > high
        case s.Call("clamp", _):
            return True
        case _:
            return False
