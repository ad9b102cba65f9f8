"""What the body of each kind of entry holds: its keys, and what their values must look like before they mean anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from dsl.codec import Json
from godel.ledger import Entry, Kind, LedgerError

Shape: TypeAlias = Callable[[Any], bool]


def _is_digest(value: Any) -> bool:
    return type(value) is str and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _is_text(value: Any) -> bool:
    """Text that cannot pass for more than one line, or for anything but itself, on a terminal."""
    return type(value) is str and value.isprintable()


def as_text(text: str) -> str:
    """Any text in the form that entries hold: what cannot be printed becomes a replacement character."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_integer(value: Any) -> bool:
    return type(value) is int


def _is_truth(value: Any) -> bool:
    return type(value) is bool


def _is_list(value: Any) -> bool:
    return type(value) is list


def _is_object(value: Any) -> bool:
    return type(value) is dict


def _or_none(shape: Shape) -> Shape:
    return lambda value: value is None or shape(value)


def _is_costs(value: Any) -> bool:
    names = {"rlimit", "family_steps", "kernel_steps"}
    return _is_object(value) and value.keys() == names and all(map(_is_count, value.values()))


def _is_versions(value: Any) -> bool:
    return (
        _is_object(value)
        and value.keys() == {"kernel", "solver"}
        and _is_count(value["kernel"])
        and _is_text(value["solver"])
    )


def _is_kept(value: Any) -> bool:
    """Requirements that are proved, by name, each with its certificate."""
    return _is_list(value) and all(
        _is_object(kept)
        and kept.keys() == {"name", "certificate"}
        and _is_text(kept["name"])
        and _is_digest(kept["certificate"])
        for kept in value
    )


def _is_texts(value: Any) -> bool:
    return _is_list(value) and all(map(_is_text, value))


_CHAPTER: dict[str, Shape] = {
    "machine": _is_text,
    "declarations": _is_digest,
    "code": _is_digest,
    "search": _is_digest,
    "own_search": _is_truth,
    "searcher": _is_digest,
    "source": _is_digest,
    "requirements": _is_kept,
    "search_requirements": _is_kept,
    "seed": _is_integer,
    "versions": _is_versions,
}
_STEP: dict[str, Shape] = {
    "task": _is_text,
    "parent": _is_digest,
    "episode": _or_none(_is_count),
    "step": _or_none(_is_count),
    "try": _or_none(_is_text),
    "gain": _is_count,
    "cost": _is_count,
    "departures": _is_texts,
    "versions": _is_versions,
}
_TRIED: dict[str, Shape] = {
    **_STEP,
    "family": _is_text,
    "reproducible": _is_truth,
    "rlimit": _is_count,
    "costs": _is_costs,
    "outcome": _is_text,
}
_JUDGED: dict[str, Shape] = {
    **_TRIED,
    "note": _is_text,
    "edits": _is_list,
    "slots": _is_list,
    "result": _is_digest,
}
_PROVED: dict[str, Shape] = {
    **_JUDGED,
    "rule": _is_text,
    "certificate": _is_digest,
    "claim": _is_object,
}
_BODIES: Mapping[Kind, dict[str, Shape]] = {
    Kind.GENESIS: _CHAPTER,
    Kind.REVISION: _CHAPTER,
    Kind.EMPTY: {**_TRIED, "reason": _or_none(_is_text)},
    Kind.ACCEPTED: {**_PROVED, "requirements": _is_kept},
    Kind.HELD: {**_PROVED, "requirements": _is_kept},
    Kind.APPLIED: {
        **_STEP,
        "result": _is_digest,
        "links": _is_count,
        "statement": _or_none(_is_text),
        "claim": _or_none(_is_object),
        "certificate": _or_none(_is_digest),
    },
    Kind.REFUSED: {**_PROVED, "counterexample": _is_object},
    Kind.UNDECIDED: {**_JUDGED, "reason": _is_text, "disagreement": _is_truth},
    Kind.INVALID: {
        **_JUDGED,
        "result": _or_none(_is_digest),
        "reason": _is_text,
        "diagnostics": _is_list,
    },
    Kind.ENDED: {
        "task": _is_text,
        "cause": _is_text,
        "code": _is_digest,
        "searcher": _is_digest,
        "held": _or_none(_is_digest),
        "episode": _is_count,
        "step": _is_count,
        "links": _is_count,
        "gain": _is_text,
        "optimality": _or_none(_is_object),
        "certificate": _or_none(_is_digest),
        "reason": _or_none(_is_text),
        "versions": _is_versions,
    },
    Kind.CHECKOUT: {
        "task": _is_text,
        "parent": _is_digest,
        "code": _is_digest,
        "requirements": _is_kept,
        "versions": _is_versions,
    },
}


def require_shape(entry: Entry) -> None:
    """Raise LedgerError where a body holds other keys than its kind has, or a value of another shape."""
    reason = fault_of(entry.kind, entry.body)
    if reason is not None:
        raise LedgerError(reason, seq=entry.seq)


def fault_of(kind: Kind, body: Mapping[str, Json]) -> str | None:
    """What is wrong with the shape of a body, if anything is."""
    shapes = _BODIES.get(kind)
    if shapes is None:
        return f"{kind.value!r} entries are not written yet"
    if body.keys() != shapes.keys():
        odd = sorted(body.keys() ^ shapes.keys())
        return f"a malformed body: keys of another kind: {', '.join(odd)}"
    odd = [name for name, shape in shapes.items() if not shape(body[name])]
    return f"a malformed body: its {odd[0]}" if odd else None
