"""Certificates as canonical JSON. Untrusted: what is read here the kernel checks; but strict, so that a certificate has one
form and its digest one meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from dsl.codec import (
    CodecError,
    Json,
    canonical_json,
    decode_int,
    decode_json,
    decode_rational,
    encode_int,
    encode_rational,
)
from dsl.machine import Program, Task, World
from dsl.polynomial import Monomial, Polynomial, Weight, polynomial, terms_of, total_degree
from dsl.types import Value, Variable, decode_value, encode_value
from proofs.kernel.certificate import (
    BetterCertificate,
    BetterWorstCertificate,
    BoundsCertificate,
    Case,
    Certificate,
    ChoiceCertificate,
    Cut,
    Entry,
    InvariantCertificate,
    Leaf,
    Move,
    NotBetterCertificate,
    NotBetterHereCertificate,
    NotBetterWorstCertificate,
    OptimalityCertificate,
    Pair,
    PathCertificate,
    PointwiseCertificate,
    RankCertificate,
    Reply,
    Table,
    Tree,
)

VERSION = 2
CONSTANT = "1"
"""The key of the constant term in an affine value; no unknown is called so."""

Memories: TypeAlias = tuple[Variable, ...]


@dataclass(frozen=True, slots=True)
class Coder:
    """Writes and reads the parts of a certificate, by the types that the task and the programs give their values.

    `tables` holds the memory of the program that each table of a leaf is about.
    """

    task: Task
    memory: Memories
    tables: tuple[Memories, ...] = ()


Encode: TypeAlias = Callable[[Coder, Any], Json]
Decode: TypeAlias = Callable[[Coder, Json], Any]


def encode_certificate(
    certificate: Certificate, task: Task, new: Program, old: Program | None = None
) -> bytes:
    """Canonical JSON of a certificate about `new`, or about `new` and `old`."""
    rule = rule_of(certificate)
    data: dict[str, Json] = {"version": VERSION, "rule": rule}
    for name, (part, programs) in _FORMS[rule].parts.items():
        data[name] = _PARTS[part][0](_coder(programs, task, new, old), getattr(certificate, name))
    return canonical_json(data)


def rule_of(certificate: Certificate) -> str:
    """The name of the rule that a certificate is for."""
    return next(rule for rule, form in _FORMS.items() if type(certificate) is form.kind)


def decode_certificate(
    data: bytes, task: Task, new: Program, old: Program | None = None
) -> Certificate:
    """The certificate that `encode_certificate` wrote; raises CodecError for anything else."""
    value = decode_json(data)
    if not isinstance(value, dict) or type(value.get("version")) is not int:
        raise CodecError("a certificate of an unknown version")
    if value["version"] != VERSION:
        raise CodecError("a certificate of an unknown version")
    rule = value.get("rule")
    if type(rule) is not str or rule not in _FORMS:
        raise CodecError(f"unknown rule {rule!r}")
    form = _FORMS[rule]
    if value.keys() != {"version", "rule", *form.parts}:
        raise CodecError(f"rule {rule!r} takes {', '.join(form.parts)}")
    parts = {
        name: _PARTS[part][1](_coder(programs, task, new, old), value[name])
        for name, (part, programs) in form.parts.items()
    }
    certificate: Certificate = form.kind(**parts)
    return certificate


def _coder(programs: str, task: Task, new: Program, old: Program | None) -> Coder:
    """A coder for tables about `programs`: n the new one, o the old one, - every program."""
    memories = {"n": new.memories, "o": old.memories if old is not None else (), "-": ()}
    if "o" in programs and old is None:
        raise CodecError("the rule compares two programs")
    return Coder(task, new.memories, tuple(memories[p] for p in programs))


# --- values --------------------------------------------------------------------------------------


def _encode_values(variables: Iterable[Variable], given: tuple[Value, ...]) -> Json:
    return [encode_value(v.type, x) for v, x in zip(variables, given, strict=True)]


def _decode_values(what: str, variables: tuple[Variable, ...], data: Json) -> tuple[Any, ...]:
    if not isinstance(data, list) or len(data) != len(variables):
        raise CodecError(f"{what} has {len(variables)} values")
    return tuple(decode_value(v.type, x) for v, x in zip(variables, data, strict=True))


def _list(what: str, data: Json, length: int | None = None) -> list[Any]:
    if not isinstance(data, list) or (length is not None and len(data) != length):
        raise CodecError(f"expected {what}")
    return data


def _object(what: str, data: Json, *keys: str) -> Mapping[str, Any]:
    if not isinstance(data, dict) or data.keys() != set(keys):
        raise CodecError(f"expected {what}: {', '.join(keys)}")
    return data


def _encode_weight(value: Weight) -> Json:
    if not isinstance(value, Polynomial):
        return encode_rational(value)
    if total_degree(value) > 1:
        raise CodecError(f"{value} is not affine")
    return {(m[0][0] if m else CONSTANT): encode_rational(c) for m, c in terms_of(value)}


def _decode_weight(data: Json) -> Weight:
    if not isinstance(data, dict):
        return decode_rational(data)
    terms = dict[Monomial, Any]()
    for name, coefficient in data.items():
        terms[() if name == CONSTANT else ((name, 1),)] = decode_rational(coefficient)
    value = polynomial(terms)
    if not isinstance(value, Polynomial) or not all(terms.values()):
        raise CodecError("an affine value reads an unknown and has no coefficient that is 0")
    return value


def _encode_rational(_: Coder, value: Any) -> Json:
    return encode_rational(value)


def _decode_rational(_: Coder, data: Json) -> Any:
    return decode_rational(data)


def _encode_optional(_: Coder, value: Any) -> Json:
    return None if value is None else encode_rational(value)


def _decode_optional(_: Coder, data: Json) -> Any:
    return None if data is None else decode_rational(data)


def _encode_world(coder: Coder, world: World) -> Json:
    return {
        "starts": _encode_values(coder.task.any_states, world.starts),
        "unknowns": _encode_values(coder.task.unknowns, world.unknowns),
        "rationals": [encode_rational(p) for p in world.rationals],
    }


def _decode_world(coder: Coder, data: Json) -> World:
    found = _object("a world", data, "starts", "unknowns", "rationals")
    return World(
        _decode_values("a start", coder.task.any_states, found["starts"]),
        _decode_values("a world", coder.task.unknowns, found["unknowns"]),
        tuple(map(decode_rational, _list("a list of rationals", found["rationals"]))),
    )


def _encode_reply(coder: Coder, reply: Reply) -> Json:
    rates: list[Json] = [encode_rational(r) for r in reply.rates]
    return [_encode_values(coder.task.adversaries, reply.finite), rates]


def _decode_reply(coder: Coder, data: Json) -> Reply:
    finite, rates = _list("a reply with its rates", data, 2)
    return Reply(
        _decode_values("a reply", coder.task.adversaries, finite),
        tuple(map(decode_rational, _list("a list of rates", rates))),
    )


# --- tables --------------------------------------------------------------------------------------


def _encode_entry(coder: Coder, memory: Memories, entry: Entry) -> Json:
    """[state, value], followed by the memory where there is one, and the replies where they are named."""
    data = [_encode_values(coder.task.states, entry.state), _encode_weight(entry.value)]
    if entry.memory or entry.replies:
        data.append(_encode_values(memory, entry.memory))
    if entry.replies:
        data.append([_encode_reply(coder, reply) for reply in entry.replies])
    return data


def _decode_entry(coder: Coder, memory: Memories, data: Json) -> Entry:
    if not isinstance(data, list) or not 2 <= len(data) <= 4:
        raise CodecError("expected a state with its value")
    state = _decode_values("a state", coder.task.states, data[0])
    value = _decode_weight(data[1])
    kept = _decode_values("a memory", memory, data[2] if len(data) > 2 else [])
    replies = _list("a list of replies", data[3]) if len(data) > 3 else []
    if (len(data) == 3 and not kept) or (len(data) == 4 and not replies):
        raise CodecError("a part of an entry is empty and left out")
    return Entry(state, kept, value, tuple(_decode_reply(coder, r) for r in replies))


def _encode_tree(coder: Coder, tree: Tree) -> Json:
    if isinstance(tree, Cut):
        return {
            "cut": tree.unknown,
            "at": encode_rational(tree.at),
            "below": _encode_tree(coder, tree.below),
            "above": _encode_tree(coder, tree.above),
        }
    tables: list[Json] = [
        [[_encode_entry(coder, memory, entry) for entry in layer] for layer in table.layers]
        for memory, table in zip(coder.tables, tree.tables, strict=True)
    ]
    multipliers: list[Json] = [[encode_rational(m) for m in row] for row in tree.multipliers]
    return {"tables": tables, "multipliers": multipliers}


def _decode_tree(coder: Coder, data: Json) -> Tree:
    if isinstance(data, dict) and "cut" in data:
        cut = _object("a cut", data, "cut", "at", "below", "above")
        if type(cut["cut"]) is not str:
            raise CodecError("a cut is of an unknown")
        below, above = _decode_tree(coder, cut["below"]), _decode_tree(coder, cut["above"])
        return Cut(cut["cut"], decode_rational(cut["at"]), below, above)
    return _decode_leaf(coder, data)


def _decode_leaf(coder: Coder, data: Json) -> Leaf:
    leaf = _object("a leaf", data, "tables", "multipliers")
    tables = _list(f"{len(coder.tables)} tables", leaf["tables"], len(coder.tables))
    rows = _list("lists of multipliers", leaf["multipliers"])
    return Leaf(
        tuple(_decode_table(coder, m, t) for m, t in zip(coder.tables, tables, strict=True)),
        tuple(tuple(map(decode_rational, _list("multipliers", row))) for row in rows),
    )


def _decode_table(coder: Coder, memory: Memories, data: Json) -> Table:
    return Table(
        tuple(
            tuple(
                _decode_entry(coder, memory, entry)
                for entry in _list("a list of states with values", layer)
            )
            for layer in _list("a list of layers", data)
        )
    )


def _encode_cases(coder: Coder, cases: tuple[Case, ...]) -> Json:
    unknowns = coder.task.unknowns
    return [[_encode_values(unknowns, c.unknowns), _encode_tree(coder, c.tree)] for c in cases]


def _decode_cases(coder: Coder, data: Json) -> tuple[Case, ...]:
    found = (_list("unknowns with their tree", case, 2) for case in _list("a list of cases", data))
    return tuple(
        Case(_decode_values("a case", coder.task.unknowns, unknowns), _decode_tree(coder, tree))
        for unknowns, tree in found
    )


# --- of requirements -----------------------------------------------------------------------------


def _encode_pair(coder: Coder, pair: Pair) -> Json:
    state, memory = pair
    return [_encode_values(coder.task.states, state), _encode_values(coder.memory, memory)]


def _decode_pair(coder: Coder, data: Json) -> Pair:
    state, memory = _list("a state with its memory", data, 2)
    return (
        _decode_values("a state", coder.task.states, state),
        _decode_values("a memory", coder.memory, memory),
    )


def _encode_sets(coder: Coder, sets: Any) -> Json:
    """[unknowns, pairs], and for a rank the pairs with their ranks."""
    data: list[Json] = []
    for unknowns, pairs, *ranks in sets:
        values = _encode_values(coder.task.unknowns, unknowns)
        listed: list[Json] = [_encode_pair(coder, pair) for pair in pairs]
        ranked: list[Json] = [
            [[_encode_pair(coder, pair), encode_int(n)] for pair, n in r] for r in ranks
        ]
        data.append([values, listed, *ranked])
    return data


def _decode_sets(width: int) -> Decode:
    def decode(coder: Coder, data: Json) -> Any:
        sets = list[tuple[Any, ...]]()
        for found in _list("a list of sets", data):
            unknowns, pairs, *ranks = _list("unknowns with their set", found, width)
            values = _decode_values("a set", coder.task.unknowns, unknowns)
            listed = tuple(_decode_pair(coder, p) for p in _list("a list of pairs", pairs))
            ranked = (tuple(_decode_ranks(coder, r)) for r in ranks)
            sets.append((values, listed, *ranked))
        return tuple(sets)

    return decode


def _decode_ranks(coder: Coder, data: Json) -> Iterable[tuple[Pair, int]]:
    for found in _list("a list of ranks", data):
        pair, number = _list("a pair with its rank", found, 2)
        yield _decode_pair(coder, pair), decode_int(number)


def _encode_start(coder: Coder, state: Any) -> Json:
    return _encode_values(coder.task.states, state)


def _decode_start(coder: Coder, data: Json) -> Any:
    return _decode_values("a state", coder.task.states, data)


def _encode_moves(coder: Coder, moves: Any) -> Json:
    return [[_encode_reply(coder, m.reply), _encode_start(coder, m.successor)] for m in moves]


def _decode_moves(coder: Coder, data: Json) -> Any:
    found = (_list("a reply with a state", move, 2) for move in _list("a list of moves", data))
    return tuple(Move(_decode_reply(coder, r), _decode_start(coder, x)) for r, x in found)


def _encode_number(_: Coder, value: Any) -> Json:
    return encode_int(value)


def _decode_number(_: Coder, data: Json) -> Any:
    return decode_int(data)


# --- rules ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Form:
    """The class of a rule's certificates, and what its fields are, with the programs that its tables are about."""

    kind: Any
    parts: Mapping[str, tuple[str, str]]


_PARTS: dict[str, tuple[Encode, Decode]] = {
    "rational": (_encode_rational, _decode_rational),
    "rational or null": (_encode_optional, _decode_optional),
    "world": (_encode_world, _decode_world),
    "cases": (_encode_cases, _decode_cases),
    "leaf": (_encode_tree, _decode_leaf),
    "sets": (_encode_sets, _decode_sets(2)),
    "ranked sets": (_encode_sets, _decode_sets(3)),
    "state": (_encode_start, _decode_start),
    "moves": (_encode_moves, _decode_moves),
    "number": (_encode_number, _decode_number),
}

_RATIONAL, _WORLD = ("rational", ""), ("world", "")
_FORMS: dict[str, Form] = {
    "bounds": Form(
        BoundsCertificate,
        {
            "lower": ("rational or null", ""),
            "lower_cases": ("cases", "n"),
            "upper": ("rational or null", ""),
            "upper_cases": ("cases", "n"),
        },
    ),
    "better": Form(
        BetterCertificate, {"cases": ("cases", "no"), "gain": _RATIONAL, "world": _WORLD}
    ),
    "better worst": Form(
        BetterWorstCertificate,
        {"cases": ("cases", "n"), "level": _RATIONAL, "world": _WORLD, "old": ("leaf", "o")},
    ),
    "pointwise": Form(
        PointwiseCertificate, {"cases": ("cases", "n"), "gain": _RATIONAL, "world": _WORLD}
    ),
    "not better": Form(NotBetterCertificate, {"cases": ("cases", "no")}),
    "not better here": Form(NotBetterHereCertificate, {"world": _WORLD, "leaf": ("leaf", "no")}),
    "not better worst": Form(
        NotBetterWorstCertificate,
        {"world": _WORLD, "new": ("leaf", "n"), "level": _RATIONAL, "cases": ("cases", "o")},
    ),
    "optimal": Form(OptimalityCertificate, {"cases": ("cases", "n-"), "gap": _RATIONAL}),
    "best choice": Form(ChoiceCertificate, {"cases": ("cases", "n-"), "margin": _RATIONAL}),
    "invariant": Form(InvariantCertificate, {"sets": ("sets", "")}),
    "rank": Form(RankCertificate, {"sets": ("ranked sets", "")}),
    "path": Form(
        PathCertificate,
        {"world": _WORLD, "start": ("state", ""), "moves": ("moves", ""), "switch": ("number", "")},
    ),
}
