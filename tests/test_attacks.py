"""Machines, certificates and ledgers that are built to make the kernel prove something false, fail in another way than it
says, or work without end."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from typing import Any, cast

import pytest
from forging import open_rows, real_ledger

from dsl import syntax as s
from dsl import totality
from dsl.codec import CodecError, decode_json, decode_tree, encode_tree
from dsl.errors import DslError
from dsl.machine import World
from dsl.parser import parse_machine
from dsl.polynomial import Polynomial
from godel.ledger import LedgerError, derive_id
from godel.verify import verify
from proofs.kernel.certificate import (
    BetterCertificate,
    BoundsCertificate,
    Case,
    Entry,
    Leaf,
    Table,
)
from proofs.kernel.chapter import Chapter, NotTotal
from proofs.kernel.check import IsBetter, IsBounded, check
from proofs.kernel.region import TooMany
from proofs.kernel.theorem import CertificateError, Improvement, Theorem

WORLD = """
machine attack
TOP
environment {
  state here: int 0..3 = 0
  action go: bool
  INSIDE
}
utility { discount 1/2 }
agent { policy { go = false } }
"""


def chapter_of(inside: str, top: str = "") -> tuple[Chapter, Any]:
    """A chapter of a small world, and its program."""
    machine = parse_machine(WORLD.replace("TOP", top).replace("INSIDE", inside))
    return Chapter(machine.declarations), machine.agent


def bound_below(
    chapter: Chapter, code: Any, level: Fraction, multipliers: Any = (), states: Any = ((0,),)
) -> Theorem:
    """What the kernel makes of a bound that is the same at every state."""
    table = Table((tuple(Entry(state, (), level) for state in states),))
    case = Case((), Leaf((table,), multipliers))
    return check(IsBounded(chapter, code), BoundsCertificate(level, (case,), None, ()))


# --- what is handed over in the same process -----------------------------------------------------

GO = "reward = if go then 1 else 0"


def test_code_that_is_another_each_time_it_is_read_is_refused() -> None:
    """It is read as the honest code where it is encoded, and as another where it is checked."""
    chapter, code = chapter_of(GO)
    honest, other = code.slots[0].body, (s.Assign("go", s.BoolLit(True)),)
    for times in range(1, 8):
        left = [times]

        class Turncoat(tuple):  # type: ignore[type-arg]
            def __iter__(self, left: list[int] = left) -> Any:
                left[0] -= 1
                return iter(honest if left[0] >= 0 else other)

            def __eq__(self, other: object) -> bool:
                return True

            __hash__ = tuple.__hash__

        forged = s.Code((s.Policy("main", Turncoat(honest)),))
        for taken in (forged, code):
            with pytest.raises((CertificateError, CodecError)):
                bound_below(chapter, taken, Fraction(2))


def test_world_of_a_theorem_is_not_changed() -> None:
    chapter, old = chapter_of(GO)
    new = s.Code((s.Policy("main", (s.Assign("go", s.BoolLit(True)),)),))
    tables = [Table(((Entry((0,), (), Fraction(v)),),)) for v in (2, 0)]
    world = World()
    certificate = BetterCertificate((Case((), Leaf(tuple(tables))),), Fraction(2), world)
    theorem = check(IsBetter(chapter, old, new), certificate)
    for held in (world, cast(Improvement, theorem.statement).world):
        object.__setattr__(held, "starts", (7,))
        assert cast(Improvement, theorem.statement).world == World()


# --- assumptions ---------------------------------------------------------------------------------

NARROW = "unknown p: rat 0..1  assume p <= (if TEST then 1 else 1/4)  reward = 1 - 2 * p"


@pytest.mark.parametrize(
    "test",
    ["K + 15 == 0", "-K == 15", "~K == 14", "K << 4 == 0", "sext[8](K << 3) == 248", "int(bits[4](16)) == 0"],
)  # fmt: skip
def test_bits_in_an_assumption_are_bits(test: str) -> None:
    """The test is true, p may be 1 and the value -2; a bound from below of 1 is false."""
    chapter, code = chapter_of(NARROW.replace("TEST", test), "const K = bits[4](1)")
    assert [a.difference for a in chapter.task.assumptions] == [1 - Polynomial.variable("p")]
    two = (Fraction(0), Fraction(0), Fraction(2))
    with pytest.raises(CertificateError):
        bound_below(chapter, code, Fraction(1), (two,))
    assert bound_below(chapter, code, Fraction(-2)).statement


@pytest.mark.parametrize(
    "assumption", ["[1] == [1]", "[1, 2] == [1, 3]", "[A] == [B]", "A == A", "true == true"]
)
def test_assumption_that_compares_no_numbers_is_refused(assumption: str) -> None:
    with pytest.raises(DslError, match="G054"):
        chapter_of(f"unknown p: rat 0..1  assume {assumption}  reward = p", "enum E { A, B }")


# --- numbers and polynomials that grow -----------------------------------------------------------

MANY = " ".join(f"unknown p{i}: rat 0..1" for i in range(6))
SUM = " + ".join(f"p{i}" for i in range(6))


@pytest.mark.parametrize(
    "inside",
    [
        f"let a = {SUM}  let b = a * a  let c = b * b  let d = c * c  let e = d * d  reward = 0",
        f"let a = {SUM}  reward = let b = a * a in let c = b * b in let d = c * c in let e = d * d in 0",
        f"let a = {SUM}  reward = nothing(a)",
    ],
)
def test_polynomial_that_nothing_reads_may_not_grow_without_bound(inside: str) -> None:
    top = "def nothing(x: rat): rat = let b = x * x in let c = b * b in let d = c * c in let e = d * d in 0"
    with pytest.raises(CertificateError, match="cannot be worked out"):
        bound_below(*chapter_of(f"{MANY} {inside}", top), Fraction(0))


def test_let_that_is_an_unknown_at_some_points_is_not_taken_for_the_rest() -> None:
    long = 3**1500
    value = f"if here == 0 then p * {long} else 5 + 1 / (here * here - 4 * here + 5)"
    with pytest.raises(NotTotal, match="longer than 4096 bits"):
        chapter_of(f"unknown p: rat 0..1  let z = {value}  let y = z * z  reward = y")


def power(exponent: int) -> str:
    """(p + 1)^(2^exponent)."""
    squares = "".join(f"let a{i + 1} = a{i} * a{i} in " for i in range(exponent))
    return f"let a0 = p + 1 in {squares}a{exponent}"


def test_dense_polynomial_is_bounded_soon_or_refused() -> None:
    good = chapter_of(f"unknown p: rat 0..1  reward = {power(7)}")
    assert isinstance(bound_below(*good, Fraction(2)), Theorem)
    with pytest.raises(CertificateError):
        bound_below(*good, Fraction(201, 100))
    endless = chapter_of(f"unknown p: rat 0..1  reward = {power(11)}")
    with pytest.raises(CertificateError, match="of more than"):
        bound_below(*endless, Fraction(0))


# --- work without end ----------------------------------------------------------------------------


def test_joint_start_of_many_draws_is_refused() -> None:
    draw = "{ for i in 0..999: i: 1/1000 }"
    drawn = " ".join(f"state s{i}: int 0..999 = {draw}" for i in range(9))
    chapter, code = chapter_of(f"state a: int 0..200000 = any where a == 7 {drawn} reward = 0")
    with pytest.raises(TooMany, match="possible starts"):
        bound_below(chapter, code, Fraction(0))


def test_totality_is_not_tried_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totality, "TICKS_MAX", 100_000)
    turns = "fold a = x for i in 1..400: (a * 7 + i) mod 997"
    slow = f"def f(x: int 0..99999): int 0..0 = let z = ({turns}) in (z * z - z) mod 2"
    with pytest.raises(NotTotal):
        chapter_of("reward = 0", slow)
    chapter_of("reward = 0", slow.replace("99999", "9"))


# --- text that nests as deeply as Python can go --------------------------------------------------


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_json_of_any_depth_is_read_or_refused(opening: bytes, closing: bytes) -> None:
    for depth in range(850, 1_005):
        inner = b"" if opening == b"[" else b"1"
        with suppress(CodecError):
            decode_json(opening * depth + inner + closing * depth)


def test_tree_of_any_depth_is_read_or_refused() -> None:
    for depth in (250, 300, 400, 600, 900):
        tree: s.Expr = s.Name("a")
        for _ in range(depth):
            tree = s.Index(s.ArrayLit((tree,)), s.IntLit(0))
        with pytest.raises(CodecError, match="nested"):
            decode_tree(encode_tree(tree))


def test_entry_of_any_depth_is_refused() -> None:
    ledger = real_ledger()
    rows = ledger.rows()[:3]
    for depth in range(900, 1_005):
        body = b'{"x":' + b"[" * depth + b"]" * depth + b"}"
        data = b'{"body":' + body + b',"kind":"accepted","seq":3,"version":"godel-entry/1"}'
        row = (3, derive_id(rows[-1][1], data), "accepted", data)
        with pytest.raises(LedgerError):
            verify(open_rows([*rows, row], ledger.blobs))
