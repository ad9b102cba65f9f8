"""One proof on its own: everything that the kernel needs to check it, as one JSON object. Loads no solver and no parser."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, TypeAlias, assert_never, cast

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
from dsl.machine import MemoryTuple, Program, StateTuple, Task, World
from dsl.polynomial import show_weight
from dsl.types import Value, Variable, are_values, show_type, show_value
from godel.claims import decode_moment, encode_moment, encode_world
from proofs.certificates import decode_certificate, encode_certificate
from proofs.kernel.certificate import (
    BetterCertificate,
    BetterWorstCertificate,
    BoundsCertificate,
    Case,
    Certificate,
    ChoiceCertificate,
    Cut,
    InvariantCertificate,
    Leaf,
    NotBetterCertificate,
    NotBetterHereCertificate,
    NotBetterWorstCertificate,
    OptimalityCertificate,
    PathCertificate,
    PointwiseCertificate,
    RankCertificate,
    Reply,
    Table,
    Tree,
)
from proofs.kernel.chapter import Chapter
from proofs.kernel.check import (
    Breaks,
    IsBestChoice,
    IsBetter,
    IsBounded,
    IsNotBetter,
    IsOptimal,
    Keeps,
    Obligation,
    check,
)
from proofs.kernel.theorem import (
    ASSUMPTIONS,
    BestChoice,
    Broken,
    Chain,
    Improvement,
    Kept,
    Moment,
    NoImprovement,
    Optimality,
    Statement,
    Theorem,
    ValueBounds,
)
from proofs.premises import Premise
from proofs.solver import list_premises

SCHEMA = "godel/proof/2"
MOMENT = "moment"
"""The field that only proofs about a choice have."""
_FIELDS = {"schema", "declarations", "old", "new", "requirement", "certificate"}


@dataclass(frozen=True)
class ProofFile:
    """Declarations, the programs that a claim is about, the certificate, and the requirement or the moment of a choice that
    the claim is about, if it is about one."""

    chapter: Chapter
    old: s.Code | None
    new: s.Code
    requirement: str | None
    certificate: Certificate
    moment: Moment | None = None

    @classmethod
    def from_blobs(
        cls,
        chapter: Chapter,
        *,
        old: bytes | None,
        new: bytes,
        requirement: str | None,
        certificate: bytes,
        moment: Json = None,
    ) -> ProofFile:
        """A proof out of a ledger's blobs; `moment` as `encode_moment` writes it."""
        before = None if old is None else cast(s.Code, decode_tree(old, s.Code))
        after = cast(s.Code, decode_tree(new, s.Code))
        return cls._decoded(chapter, before, after, requirement, certificate, moment)

    @classmethod
    def _decoded(
        cls,
        chapter: Chapter,
        old: s.Code | None,
        new: s.Code,
        requirement: str | None,
        certificate: bytes,
        moment: Json,
    ) -> ProofFile:
        before = None if old is None else chapter.program(old)
        program = chapter.program(new)
        found = decode_certificate(certificate, chapter.task, program, before)
        when = None if moment is None else decode_moment(moment, program)
        return cls(chapter, old, new, requirement, found, when)

    @cached_property
    def obligation(self) -> Obligation:
        """What the certificate is to show, derived from the programs. Raises CodecError where parts do not fit."""
        chapter, old, new, name = self.chapter, self.old, self.new, self.requirement
        match self.certificate, old, name:
            case ChoiceCertificate(), None, None if self.moment is not None:
                return IsBestChoice(chapter, new, self.moment)
            case _ if self.moment is not None:
                raise CodecError("the certificate is not about a moment")
            case OptimalityCertificate(), None, None:
                return IsOptimal(chapter, new)
            case BoundsCertificate(), None, None:
                return IsBounded(chapter, new)
            case InvariantCertificate() | RankCertificate(), None, str():
                return Keeps(chapter, name, new)
            case PathCertificate(), None, str():
                return Breaks(chapter, name, new)
            case (
                BetterCertificate() | BetterWorstCertificate() | PointwiseCertificate(),
                s.Code(),
                None,
            ):
                return IsBetter(chapter, old, new)
            case (
                NotBetterCertificate() | NotBetterHereCertificate() | NotBetterWorstCertificate(),
                s.Code(),
                None,
            ):
                return IsNotBetter(chapter, old, new)
            case _:
                raise CodecError("the certificate is not about what the proof holds")

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
    old, new = proof.programs
    certificate = encode_certificate(proof.certificate, proof.chapter.task, new, old)
    data: dict[str, Json] = {
        "schema": SCHEMA,
        "declarations": encode_node(proof.chapter.task.declarations),
        "old": None if proof.old is None else encode_node(proof.old),
        "new": encode_node(proof.new),
        "requirement": proof.requirement,
        "certificate": decode_json(certificate),
    }
    if proof.moment is not None:
        data[MOMENT] = encode_moment(proof.moment, new)
    return canonical_json(data)


def decode_proof(data: bytes) -> ProofFile:
    """The proof that `encode_proof` wrote; raises CodecError for anything else."""
    value = decode_json(data)
    if not isinstance(value, dict) or value.keys() - {MOMENT} != _FIELDS:
        raise CodecError(f"a proof file holds {', '.join(sorted(_FIELDS))}, and nothing else")
    if value["schema"] != SCHEMA:
        found = json.dumps(value["schema"])
        raise CodecError(f"it is of another form: expected {SCHEMA}, found {found}")
    chapter = Chapter(cast(s.Declarations, decode_node(value["declarations"], s.Declarations)))
    old = None if value["old"] is None else cast(s.Code, decode_node(value["old"], s.Code))
    new = cast(s.Code, decode_node(value["new"], s.Code))
    requirement = value["requirement"]
    if requirement is not None and type(requirement) is not str:
        raise CodecError("a requirement is named by its name")
    certificate = canonical_json(cast(Json, value["certificate"]))
    moment = cast(Json, value.get(MOMENT))
    if MOMENT in value and moment is None:
        raise CodecError("a moment that is none is left out")
    proof = ProofFile._decoded(chapter, old, new, requirement, certificate, moment)
    _ = proof.obligation
    return proof


def is_proof_file(data: bytes) -> bool:
    """Whether bytes look like a proof file, whatever they prove: one JSON object that calls itself one."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return False
    if not isinstance(value, dict):
        return False
    return str(value.get("schema")).startswith("godel/proof/") or value.keys() == _FIELDS


def proof_premises(proof: ProofFile) -> list[Premise]:
    """The premises as Z3 is asked about them."""
    old, new = proof.programs
    return list_premises(
        proof.chapter.task,
        proof.certificate,
        old=old,
        new=new,
        requirement=proof.requirement,
        moment=proof.moment,
    )


# --- in words ------------------------------------------------------------------------------------


def describe_statement(
    statement: Statement,
    task: Task,
    name: Callable[[str], str] = str,
    memories: tuple[Variable, ...] = (),
) -> str:
    """A statement in one sentence; `name` says how digests are written, `memories` are those of a program that chooses."""
    match statement:
        case Improvement(_, criterion, old, new, world, old_upper, new_lower, gain):
            head = f"program {name(new)} is an improvement on {name(old)} ({criterion}): "
            if new_lower is None or old_upper is None:
                return f"{head}the same actions for fewer ticks, a gain of at least {gain}"
            where = show_world(world, task, " where ")
            return (
                f"{head}U(new) >= {new_lower} > {old_upper} >= U(old){where}, "
                f"a gain of at least {gain}{' in every world' * bool(where)}"
            )
        case NoImprovement(_, criterion, old, new, world, old_lower, new_upper):
            head = f"program {name(new)} is no improvement on {name(old)} ({criterion}): "
            if new_upper is None or old_lower is None:
                return f"{head}U(new) <= U(old) in every world"
            where = "" if world is None else show_world(world, task, " where ")
            if world is not None and criterion == "worst" and where:
                return (
                    f"{head}U(new) <= {new_upper}{where}, and {old_lower} <= U(old) in every world"
                )
            return f"{head}U(new) <= {new_upper} <= {old_lower} <= U(old){where}"
        case Optimality(_, program, lower, upper, gap):
            claim = f"its U >= {lower}, and no program's U exceeds {upper}"
            return f"no program beats {name(program)} by more than {gap}: {claim}"
        case ValueBounds(_, program, lower, upper):
            return f"the value of program {name(program)} lies between {lower} and {upper}"
        case BestChoice(_, program, moment, actions, margin):
            after = (
                ""
                if moment.step is None
                else f" after {moment.step} step{'s' * (moment.step != 1)}"
            )
            kept = _named(memories, moment.memory) if memories else ""
            seen = f"{after}, seeing {_named(task.observed, moment.observed)}"
            return (
                f"program {name(program)}{seen}{' with ' if kept else ''}{kept}, takes "
                f"{_named(task.actions, actions)}, which is worth at least {margin} more than anything "
                "that takes another action then, in every world and wherever it may be"
            )
        case Chain(_, criterion, first, last, links, gain):
            return f"{links} improvements ({criterion}) lead from {name(first)} to {name(last)}; they gain at least {gain}"
        case Kept(_, program, requirement):
            return f"program {name(program)} keeps the requirement {requirement}"
        case Broken(_, program, requirement, world):
            where = show_world(world, task, " where ")
            return f"program {name(program)} breaks the requirement {requirement}{where}"
        case _:
            assert_never(statement)


def in_words(reason: str, proof: ProofFile) -> str:
    """Why a proof does not hold, with the states in it by the names of their variables instead of as bare values."""
    task, program = proof.chapter.task, proof.programs[1]
    states, memories = task.states, program.memories

    def named(found: re.Match[str]) -> str:
        values = _read_values(found[0])
        for kinds, parts in (
            ((states,), (values,)),
            ((states, memories), values),
            ((memories,), (values,)),
        ):
            if type(parts) is tuple and len(parts) == len(kinds):
                if all(map(are_values, kinds, parts)):
                    variables = [v for kind in kinds for v in kind]
                    flat = [x for part in parts for x in part]
                    shown = zip(variables, flat, strict=True)
                    return ", ".join(f"{v.name} = {show_value(v.type, x)}" for v, x in shown)
        return found[0]

    return _TUPLE.sub(named, reason) if len(reason) <= 1_000 else reason


_TUPLE = re.compile(r"(?<!\w)\((?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*\)")


def _read_values(text: str) -> Any:
    """What a tuple of values stands for, as the kernel writes it; None for anything else."""
    try:
        return _value_of(ast.parse(text, mode="eval").body)
    except (ValueError, SyntaxError, TypeError, ArithmeticError):
        return None


def _value_of(node: ast.expr) -> Any:
    match node:
        case ast.Tuple(elts=parts):
            return tuple(map(_value_of, parts))
        case ast.Call(func=ast.Name("Fraction"), args=[above, below]):
            return Fraction(_value_of(above), _value_of(below))
        case _:
            return ast.literal_eval(node)


def show_world(world: World, task: Task, before: str = "") -> str:
    """A world by what is open in it, behind `before`; nothing where there is one world."""
    parts = [f"{n} = {v}" for n, v in cast(list[tuple[str, object]], encode_world(world, task))]
    return before + ", ".join(parts) if parts else ""


def describe_proof(proof: ProofFile, depth: int, name: Callable[[str], str] = str) -> list[str]:
    """The proof as an indented tree: claim, premises, and at depth 2 the inequality at every state."""
    task = proof.chapter.task
    old, new = proof.programs
    lines = describe_theorem(check_proof(proof).statement, task, name, new.memories)
    if depth >= 1:
        lines += list(_describe_premises(proof, depth))
        if task.utility.size_price and proof.requirement is None and proof.moment is None:
            lines.append(
                f"  size is charged at {task.utility.size_price} a node: new {new.size}"
                + (f", old {old.size}" if old else "")
            )
    return lines


SEARCH_LAW = "attempts come out by the declared law of outcome, gain and cost"
"""What every theorem about a searcher rests on beside the rest: a law that nothing proves."""


def describe_theorem(
    statement: Statement,
    task: Task,
    name: Callable[[str], str] = str,
    memories: tuple[Variable, ...] = (),
) -> list[str]:
    """A proved statement with everything it rests on."""
    machine = f"world and utility: declarations {name(statement.declarations)}"
    assumed: tuple[str, ...] = ASSUMPTIONS
    if any(action.name == "try" and show_type(action.type) == "Attempt" for action in task.actions):
        assumed = (SEARCH_LAW, *assumed)
    return [
        f"proved: {describe_statement(statement, task, name, memories)}",
        *(f"  assuming: {text}" for text in assumed),
        f"  {machine}",
    ]


Part: TypeAlias = tuple[str, Program | None, str]
"""A table of a leaf in words, the program that it is about (None for every program), and which way its inequality goes."""


def _describe_premises(proof: ProofFile, depth: int) -> Iterator[str]:
    old, new = proof.programs
    lower = ("V({}) from below (rule bound, lower)", "<=")
    upper = ("V({}) from above (rule bound, upper)", ">=")

    def part(side: tuple[str, str], who: str, program: Program | None) -> Part:
        return side[0].format(who), program, side[1]

    every = "V of every program from above (rule bound, upper, every program)", None, ">="
    match proof.certificate:
        case BetterCertificate(cases):
            yield from _cases(
                proof, cases, [part(lower, "new", new), part(upper, "old", old)], depth
            )
        case BetterWorstCertificate(cases, level, world, leaf):
            yield f"  in every world V(new), less its size, is at least {level}"
            yield from _cases(proof, cases, [part(lower, "new", new)], depth)
            yield f"  it is above V(old), less its size{show_world(world, proof.chapter.task, ', where ')}"
            yield from _leaf(proof, leaf, [part(upper, "old", old)], depth, "  ")
        case PointwiseCertificate(cases):
            yield "  both take the same actions and keep the same memory; the new one in no more ticks"
            saved = "the value of the ticks saved, from below (rule pointwise)", new, "<="
            yield from _cases(proof, cases, [saved], depth)
        case NotBetterCertificate(cases):
            yield from _cases(
                proof, cases, [part(upper, "new", new), part(lower, "old", old)], depth
            )
        case NotBetterHereCertificate(world, leaf):
            yield f"  in one world{show_world(world, proof.chapter.task, ', where ')}"
            yield from _leaf(
                proof, leaf, [part(upper, "new", new), part(lower, "old", old)], depth, "  "
            )
        case NotBetterWorstCertificate(world, leaf, level, cases):
            yield f"  V(new), less its size, is at most {level}{show_world(world, proof.chapter.task, ' where ')}"
            yield from _leaf(proof, leaf, [part(upper, "new", new)], depth, "  ")
            yield "  V(old), less its size, is at least that in every world"
            yield from _cases(proof, cases, [part(lower, "old", old)], depth)
        case OptimalityCertificate(cases):
            yield from _cases(proof, cases, [part(lower, "program", new), every], depth)
        case ChoiceCertificate(cases, margin):
            yield "  wherever the program may be at the moment, whatever the adversary does (rule best_choice):"
            yield f"    one step of it, then V from below, is worth {margin} more than one of each other action,"
            yield "    answered as is listed there, then V of every program from above"
            yield from _cases(proof, cases, [part(lower, "program", new), every], depth)
        case BoundsCertificate(_, below, _, above):
            yield from _cases(proof, below, [part(lower, "program", new)], depth)
            yield from _cases(proof, above, [part(upper, "program", new)], depth)
        case InvariantCertificate(sets):
            count = sum(len(pairs) for _, pairs in sets)
            yield f"  an invariant (rule invariant): {count} pairs of state and memory"
            yield "    it holds the starts, every step from it stays in it, and the requirement holds there"
        case RankCertificate(sets):
            count = sum(len(pairs) for _, pairs, _ in sets)
            ranked = sum(len(ranks) for _, _, ranks in sets)
            yield f"  an invariant of main: {count} pairs of state and memory"
            yield f"  a rank (rule reach): {ranked} pairs, each step of the named policy lowers it"
        case PathCertificate(world, _, moves, switch):
            where = show_world(world, proof.chapter.task, " where ")
            yield f"  a path of {len(moves)} step{'s' * (len(moves) != 1)} of positive weight{where}"
            if switch < len(moves):
                yield f"  the named policy takes over after {switch}"
        case _:
            assert_never(proof.certificate)


def _cases(
    proof: ProofFile, cases: tuple[Case, ...], parts: list[Part], depth: int
) -> Iterator[str]:
    task = proof.chapter.task
    for case in cases:
        indent = "  "
        if task.unknowns:
            known = zip(task.unknowns, case.unknowns, strict=True)
            yield "  where " + ", ".join(f"{v.name} = {show_value(v.type, x)}" for v, x in known)
            indent = "    "
        yield from _tree(proof, case.tree, parts, depth, indent)


def _tree(
    proof: ProofFile, tree: Tree, parts: list[Part], depth: int, indent: str
) -> Iterator[str]:
    if isinstance(tree, Cut):
        for sign, below in (("<=", tree.below), (">=", tree.above)):
            yield f"{indent}where {tree.unknown} {sign} {tree.at} (rule split)"
            yield from _tree(proof, below, parts, depth, indent + "  ")
    else:
        yield from _leaf(proof, tree, parts, depth, indent)


def _leaf(
    proof: ProofFile, leaf: Leaf, parts: list[Part], depth: int, indent: str
) -> Iterator[str]:
    for part, table in zip(parts, leaf.tables, strict=True):
        yield from _describe_table(proof, table, part, depth, indent)
    if leaf.multipliers:
        count = len(leaf.multipliers)
        yield f"{indent}  {count} premise{'s' * (count != 1)} by Farkas multipliers of what is assumed"


def _describe_table(
    proof: ProofFile, table: Table, part: Part, depth: int, indent: str
) -> Iterator[str]:
    task, (title, program, relation) = proof.chapter.task, part
    count = sum(len(layer) for layer in table.layers)
    layers = f" in {len(table.layers)} layers" if task.utility.horizon is not None else ""
    step = "r + g L(x')" if task.utility.horizon is None else "r + L(x') one layer below"
    yield f"{indent}{title}: {count} listed value{'s' * (count != 1)}{layers}"
    yield f"{indent}  the starts are listed, and so is every successor of a listed state that is not done"
    answered = ""
    if task.adversaries or task.rates:
        answered = (
            ", whatever the adversary does" if relation == "<=" else ", as the adversary does there"
        )
    yield (
        f"{indent}  each listed state: L(x) {relation} the mean of {step} over the draws"
        + (", for every action" if program is None else ", less ticks")
        + answered
    )
    if depth < 2:
        return
    for k, layer in enumerate(table.layers):
        if len(table.layers) > 1:
            yield f"{indent}  {k + 1} step{'s' * (k > 0)} to go"
        for entry in layer:
            place = show_pair(task, program, entry.state, entry.memory)
            about = ""
            if program is not None:
                decision = program.act(entry.state, entry.memory)
                ticks = decision.ticks
                about = f"  ({_named(task.actions, decision.actions)}; {ticks} tick{'s' * (ticks != 1)})"
            if program is not None and entry.replies:
                about += f"  against {show_reply(task, entry.replies[0])}"
            yield f"{indent}  L({place}) = {show_weight(entry.value)}{about}"


def show_pair(task: Task, program: Program | None, state: StateTuple, memory: MemoryTuple) -> str:
    """A state with the memory of a program, in the reader's words."""
    kept = () if program is None else program.memories
    return _named((*task.states, *kept), (*state, *memory))


def show_reply(task: Task, reply: Reply) -> str:
    """A choice of the adversary, in the reader's words."""
    return _named((*task.adversaries, *task.rates), (*reply.finite, *reply.rates))


def _named(variables: tuple[Variable, ...], values: tuple[Value, ...]) -> str:
    pairs = zip(variables, values, strict=True)
    return ", ".join(f"{v.name} = {show_value(v.type, x)}" for v, x in pairs)
