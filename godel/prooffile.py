"""One proof on its own: everything that the kernel needs to check it, as one JSON object. Loads no solver and no parser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from dsl import syntax as s
from dsl.codec import (
    CodecError,
    Json,
    canonical_json,
    decode_json,
    decode_node,
    decode_tree,
    encode_node,
)
from dsl.machine import Program
from proofs.counterexample import show_actions, show_state
from proofs.kernel.certificate import (
    BetterCertificate,
    Certificate,
    NotBetterCertificate,
    OptimalityCertificate,
    Table,
    decode_certificate,
    encode_certificate,
)
from proofs.kernel.chapter import Chapter
from proofs.kernel.check import IsBetter, IsBounded, IsNotBetter, IsOptimal, Obligation, check
from proofs.kernel.theorem import (
    ASSUMPTIONS,
    Chain,
    Improvement,
    NoImprovement,
    Optimality,
    Statement,
    Theorem,
    ValueBounds,
)
from proofs.premises import Premise
from proofs.solver import list_premises

SCHEMA = "godel/proof/1"


@dataclass(frozen=True)
class ProofFile:
    """Declarations, the programs that a claim is about, and the certificate."""

    chapter: Chapter
    old: s.Code | None
    new: s.Code
    certificate: Certificate

    @classmethod
    def from_blobs(
        cls, *, declarations: bytes, old: bytes | None, new: bytes, certificate: bytes
    ) -> ProofFile:
        """A proof out of a ledger's blobs."""
        chapter = Chapter(cast(s.Declarations, decode_tree(declarations, s.Declarations)))
        before = None if old is None else cast(s.Code, decode_tree(old, s.Code))
        after = cast(s.Code, decode_tree(new, s.Code))
        return cls(chapter, before, after, decode_certificate(certificate, chapter.task.states))

    @cached_property
    def obligation(self) -> Obligation:
        """What the certificate is to show, derived from the programs."""
        if isinstance(self.certificate, OptimalityCertificate):
            return IsOptimal(self.chapter, self.new)
        if self.old is None:
            return IsBounded(self.chapter, self.new)
        if isinstance(self.certificate, BetterCertificate):
            return IsBetter(self.chapter, self.old, self.new)
        return IsNotBetter(self.chapter, self.old, self.new)

    @property
    def programs(self) -> tuple[Program | None, Program]:
        """The checked programs."""
        old = None if self.old is None else self.chapter.program(self.old)
        return old, self.chapter.program(self.new)


def check_proof(proof: ProofFile) -> Theorem:
    """The theorem, by the kernel. Raises CertificateError."""
    return check(proof.obligation, proof.certificate)


def encode_proof(proof: ProofFile) -> bytes:
    """Canonical JSON of a proof."""
    certificate = decode_json(encode_certificate(proof.certificate, proof.chapter.task.states))
    return canonical_json(
        {
            "schema": SCHEMA,
            "declarations": encode_node(proof.chapter.task.declarations),
            "old": None if proof.old is None else encode_node(proof.old),
            "new": encode_node(proof.new),
            "certificate": certificate,
        }
    )


def decode_proof(data: bytes) -> ProofFile:
    """The proof that `encode_proof` wrote; raises CodecError for anything else."""
    value = decode_json(data)
    if not isinstance(value, dict) or value.keys() != {
        "schema",
        "declarations",
        "old",
        "new",
        "certificate",
    }:
        raise CodecError("a proof holds declarations, old, new and certificate")
    if value["schema"] != SCHEMA:
        raise CodecError(f"expected {SCHEMA}, found {value['schema']!r}")
    chapter = Chapter(cast(s.Declarations, decode_node(value["declarations"], s.Declarations)))
    old = None if value["old"] is None else cast(s.Code, decode_node(value["old"], s.Code))
    new = cast(s.Code, decode_node(value["new"], s.Code))
    rule = value["certificate"].get("rule") if isinstance(value["certificate"], dict) else None
    if (old is None) != (rule in ("optimal", "bounds")):
        raise CodecError(f"rule {rule!r} is about another number of programs")
    certificate = decode_certificate(
        canonical_json(cast(Json, value["certificate"])), chapter.task.states
    )
    return ProofFile(chapter, old, new, certificate)


def proof_premises(proof: ProofFile) -> list[Premise]:
    """The premises as Z3 is asked about them."""
    old, new = proof.programs
    return list_premises(proof.chapter.task, proof.certificate, old=old, new=new)


# --- in words ------------------------------------------------------------------------------------


def describe_statement(statement: Statement, name: Callable[[str], str] = str) -> str:
    """A statement in one sentence; `name` says how digests are written."""
    match statement:
        case Improvement(_, criterion, old, new, old_upper, new_lower, gain):
            return (
                f"program {name(new)} is an improvement on {name(old)} ({criterion}): "
                f"U(new) >= {new_lower} > {old_upper} >= U(old), a gain of at least {gain}"
            )
        case NoImprovement(_, criterion, old, new, old_lower, new_upper):
            return (
                f"program {name(new)} is no improvement on {name(old)} ({criterion}): "
                f"U(new) <= {new_upper} <= {old_lower} <= U(old)"
            )
        case Optimality(_, program, lower, upper, gap):
            claim = f"its U >= {lower}, and no program's U exceeds {upper}"
            return f"no program beats {name(program)} by more than {gap}: {claim}"
        case ValueBounds(_, program, lower, upper):
            return f"the value of program {name(program)} lies between {lower} and {upper}"
        case Chain(_, criterion, first, last, links, gain):
            return f"{links} improvements ({criterion}) lead from {name(first)} to {name(last)}; they gain at least {gain}"


def describe_proof(proof: ProofFile, depth: int, name: Callable[[str], str] = str) -> list[str]:
    """The proof as an indented tree: claim, premises, and at depth 2 the inequality at every state."""
    statement = check_proof(proof).statement
    lines = describe_theorem(statement, name)
    if depth >= 1:
        old, new = proof.programs
        for title, table, program, relation in _parts(proof.certificate, old, new):
            lines += _describe_table(proof, title, table, program, relation, depth)
        utility = proof.chapter.task.utility
        if utility.size_price:
            lines.append(
                f"  size is charged at {utility.size_price} a node: new {new.size}"
                + (f", old {old.size}" if old else "")
            )
    return lines


def describe_theorem(statement: Statement, name: Callable[[str], str] = str) -> list[str]:
    """A proved statement with everything it rests on."""
    machine = f"world and utility: declarations {name(statement.declarations)}"
    return [
        f"proved: {describe_statement(statement, name)}",
        *(f"  assuming: {text}" for text in ASSUMPTIONS),
        f"  {machine}",
    ]


def _parts(
    certificate: Certificate, old: Program | None, new: Program
) -> list[tuple[str, Table, Program | None, str]]:
    match certificate:
        case BetterCertificate(new_lower, old_upper):
            return [
                ("V(new) from below (rule bound, lower)", new_lower, new, "<="),
                ("V(old) from above (rule bound, upper)", old_upper, old, ">="),
            ]
        case NotBetterCertificate(new_upper, old_lower):
            return [
                ("V(new) from above (rule bound, upper)", new_upper, new, ">="),
                ("V(old) from below (rule bound, lower)", old_lower, old, "<="),
            ]
        case OptimalityCertificate(lower, upper):
            return [
                (
                    "V of every program from above (rule bound, upper, every program)",
                    upper,
                    None,
                    ">=",
                ),
                ("V(program) from below (rule bound, lower)", lower, new, "<="),
            ]
        case _:
            sides = (
                (certificate.lower, "from below", "<="),
                (certificate.upper, "from above", ">="),
            )
            return [
                (f"V {words}", t, new, relation) for t, words, relation in sides if t is not None
            ]


def _describe_table(
    proof: ProofFile, title: str, table: Table, program: Program | None, relation: str, depth: int
) -> list[str]:
    task = proof.chapter.task
    count = sum(len(layer) for layer in table.layers)
    layers = f" in {len(table.layers)} layers" if task.utility.horizon is not None else ""
    step = "r + g L(x')" if task.utility.horizon is None else "r + L(x') one layer below"
    lines = [
        f"  {title}: {count} listed value{'s' * (count != 1)}{layers}",
        "    the starts are listed, and so is every successor of a listed state that is not done",
        f"    each listed state: L(x) {relation} the mean of {step} over the draws"
        + ("" if program is None else ", less ticks")
        + (", for every action" if program is None else ""),
    ]
    if depth < 2:
        return lines
    for k, layer in enumerate(table.layers):
        if len(table.layers) > 1:
            lines.append(f"    {k + 1} step{'s' * (k > 0)} to go")
        for state, value in layer:
            done = ""
            if program is not None:
                decided = program.act(state)
                actions, ticks = decided.actions, decided.ticks
                done = f"  ({show_actions(task, actions)}; {ticks} tick{'s' * (ticks != 1)})"
            lines.append(f"    L({show_state(task, state)}) = {value}{done}")
    return lines
