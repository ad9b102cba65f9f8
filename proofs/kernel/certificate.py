"""Certificates: data that shows an obligation holds, and its strict JSON form."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from dsl.codec import (
    CodecError,
    Json,
    canonical_json,
    decode_json,
    decode_rational,
    encode_rational,
)
from dsl.machine import StateTuple
from dsl.types import Variable, decode_value, encode_value

VERSION = 1


@dataclass(frozen=True, slots=True)
class Table:
    """Values at listed states: one layer under a discount; under a horizon, layer k with k+1 steps to go."""

    layers: tuple[tuple[tuple[StateTuple, Fraction], ...], ...]


@dataclass(frozen=True, slots=True)
class BoundsCertificate:
    """A lower and an upper bound of one program; either may be missing."""

    lower: Table | None
    upper: Table | None


@dataclass(frozen=True, slots=True)
class BetterCertificate:
    """A lower bound of the new program and an upper bound of the old one."""

    new_lower: Table
    old_upper: Table


@dataclass(frozen=True, slots=True)
class NotBetterCertificate:
    """An upper bound of the new program and a lower bound of the old one."""

    new_upper: Table
    old_lower: Table


@dataclass(frozen=True, slots=True)
class OptimalityCertificate:
    """A lower bound of the program and an upper bound of every program."""

    lower: Table
    upper: Table


Certificate: TypeAlias = (
    BoundsCertificate | BetterCertificate | NotBetterCertificate | OptimalityCertificate
)

_RULES: dict[str, tuple[type[Certificate], tuple[str, ...]]] = {
    "bounds": (BoundsCertificate, ("lower", "upper")),
    "better": (BetterCertificate, ("new_lower", "old_upper")),
    "not better": (NotBetterCertificate, ("new_upper", "old_lower")),
    "optimal": (OptimalityCertificate, ("lower", "upper")),
}


def encode_certificate(certificate: Certificate, states: tuple[Variable, ...]) -> bytes:
    """Canonical JSON of a certificate."""
    rule, names = next((r, n) for r, (c, n) in _RULES.items() if type(certificate) is c)
    tables: dict[str, Json] = {}
    for name in names:
        table: Table | None = getattr(certificate, name)
        tables[name] = None if table is None else _encode_table(table, states)
    return canonical_json({"version": VERSION, "rule": rule, **tables})


def _encode_table(table: Table, states: tuple[Variable, ...]) -> Json:
    return [
        [
            [
                [encode_value(v.type, x) for v, x in zip(states, state, strict=True)],
                encode_rational(value),
            ]
            for state, value in layer
        ]
        for layer in table.layers
    ]


def decode_certificate(data: bytes, states: tuple[Variable, ...]) -> Certificate:
    """The certificate that `encode_certificate` wrote; raises CodecError for anything else."""
    value = decode_json(data)
    if (
        not isinstance(value, dict)
        or type(value.get("version")) is not int
        or value["version"] != VERSION
    ):
        raise CodecError("a certificate of an unknown version")
    rule = value.get("rule")
    if type(rule) is not str or rule not in _RULES:
        raise CodecError(f"unknown rule {rule!r}")
    cls, names = _RULES[rule]
    if value.keys() != {"version", "rule", *names}:
        raise CodecError(f"rule {rule!r} takes {', '.join(names)}")
    tables: dict[str, Any] = {
        name: None
        if value[name] is None and cls is BoundsCertificate
        else _decode_table(value[name], states)
        for name in names
    }
    return cls(**tables)


def _decode_table(data: Json, states: tuple[Variable, ...]) -> Table:
    if not isinstance(data, list):
        raise CodecError("expected a list of layers")
    return Table(tuple(_decode_layer(layer, states) for layer in data))


def _decode_layer(
    data: Json, states: tuple[Variable, ...]
) -> tuple[tuple[StateTuple, Fraction], ...]:
    if not isinstance(data, list):
        raise CodecError("expected a list of states with values")
    return tuple(_decode_entry(entry, states) for entry in data)


def _decode_entry(data: Json, states: tuple[Variable, ...]) -> tuple[StateTuple, Fraction]:
    if not isinstance(data, list) or len(data) != 2:
        raise CodecError("expected a state with its value")
    listed = data[0]
    if not isinstance(listed, list) or len(listed) != len(states):
        raise CodecError(f"a state has {len(states)} values")
    state = tuple(decode_value(v.type, x) for v, x in zip(states, listed, strict=True))
    return state, decode_rational(data[1])
