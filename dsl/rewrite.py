"""Rewrites of code: disjoint edits, each naming what it expects to find."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias, assert_never, cast

from dsl import syntax as s
from dsl.codec import (
    CodecError,
    Json,
    decode_node,
    decode_tree,
    digest_node,
    encode_node,
    encode_tree,
)


@dataclass(frozen=True, slots=True)
class Replace:
    """Put `code` in the place of the subtree at a position of a slot; `expected` is the digest of what stands there."""

    slot: str
    position: s.Position
    expected: str
    code: s.Node


@dataclass(frozen=True, slots=True)
class AddSlot:
    """Add a slot whose name is free: a policy behind all others, anything else before the first policy."""

    slot: s.Slot


@dataclass(frozen=True, slots=True)
class RemoveSlot:
    """Remove a slot; `expected` is its digest. That nothing reads it, and no requirement uses it, the checker says."""

    slot: str
    expected: str


Edit: TypeAlias = Replace | AddSlot | RemoveSlot


DEPTH_MAX = 150
"""How deep a slot may be after an edit; below the limit for files, so that what is printed can be read again."""


class RewriteError(Exception):
    """Edits that do not apply to the code they are meant for."""


def apply_rewrite(code: s.Code, edits: tuple[Edit, ...]) -> s.Code:
    """The code after all edits, which speak of positions in the code before them.

    Raises RewriteError where a slot or position is missing, a digest differs, edits overlap, or the result is no code.
    Whether the result is a program, the checker says.
    """
    if not edits:
        raise RewriteError("a rewrite without edits")
    names = [slot.name for slot in code.slots]
    slots = {slot.name: slot for slot in code.slots}
    replaced: dict[str, list[Replace]] = {}
    removed: list[str] = []
    added: list[s.Slot] = []
    for edit in edits:
        match edit:
            case Replace(name):
                _require(name in slots, f"there is no slot {name}")
                replaced.setdefault(name, []).append(edit)
            case RemoveSlot(name, expected):
                _require(name in slots, f"there is no slot {name}")
                _require(
                    digest_node(slots[name]) == expected, f"{name} is not what the edit expects"
                )
                _require(name not in removed, f"{name} is removed twice")
                removed.append(name)
            case AddSlot(slot):
                _require(slot.name not in slots, f"there is already a slot {slot.name}")
                _require(slot.name not in (a.name for a in added), f"{slot.name} is added twice")
                _require(s.depth_of(slot) <= DEPTH_MAX, f"{slot.name} is nested too deeply")
                added.append(slot)
            case _:
                assert_never(edit)
    for name, changes in replaced.items():
        _require(name not in removed, f"{name} is both edited and removed")
        slots[name] = _replace_all(slots[name], changes)
    kept = [slots[n] for n in names if n not in removed]
    at = next((i for i, slot in enumerate(kept) if isinstance(slot, s.Policy)), len(kept))
    policies = [slot for slot in added if isinstance(slot, s.Policy)]
    others = [slot for slot in added if not isinstance(slot, s.Policy)]
    return _as_code(s.Code((*kept[:at], *others, *kept[at:], *policies)))


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise RewriteError(reason)


def _replace_all(slot: s.Slot, changes: list[Replace]) -> s.Slot:
    ordered = sorted(changes, key=lambda c: c.position)
    for before, after in pairwise(ordered):
        overlap = after.position[: len(before.position)] == before.position
        _require(not overlap, f"two edits of {slot.name} overlap")
    tree: s.Node = slot
    for change in ordered:
        there = s.node_at(slot, change.position)
        where = f"{slot.name} at {list(change.position)}"
        _require(there is not None, f"{where} does not exist")
        found = digest_node(cast(s.Node, there))
        _require(found == change.expected, f"{where} is not what the edit expects")
        _require(not isinstance(change.code, s.TYPE_NODES), f"a type cannot stand here: {where}")
        depth = len(change.position) + s.depth_of(change.code)
        _require(depth <= DEPTH_MAX, f"{where} would be nested deeper than {DEPTH_MAX}")
        tree = _replace_at(tree, change.position, change.code)
    result = s.fold_literals(tree)
    _require(isinstance(result, type(slot)), f"{slot.name} would become another kind of slot")
    _require(cast(s.Slot, result).name == slot.name, f"{slot.name} would change its name")
    return cast(s.Slot, result)


def _replace_at(node: s.Node, position: s.Position, code: s.Node) -> s.Node:
    if not position:
        return code
    below = list(s.children(node))
    below[position[0]] = _replace_at(below[position[0]], position[1:], code)
    return s.with_children(node, tuple(below))


def _as_code(code: s.Code) -> s.Code:
    """The code as decoding reads it: whatever is no tree of the language is refused here."""
    try:
        same = decode_tree(encode_tree(code), s.Code) == code
    except (CodecError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RewriteError(f"the result is no code: {error}") from None
    _require(same, "the result is no code: it is not in canonical form")
    return code


def derive_edits(old: s.Code, new: s.Code) -> tuple[Edit, ...]:
    """The smallest edits that turn one code into the other. Raises RewriteError where no edits do."""
    before = {slot.name: slot for slot in old.slots}
    after = {slot.name: slot for slot in new.slots}
    _require(len(after) == len(new.slots), "two slots of one name")
    edits: list[Edit] = []
    for name, slot in before.items():
        if name not in after:
            edits.append(RemoveSlot(name, digest_node(slot)))
        elif type(after[name]) is type(slot):
            edits.extend(_differences(name, (), slot, after[name]))
        else:
            raise RewriteError(f"{name} would become another kind of slot")
    edits.extend(AddSlot(slot) for name, slot in after.items() if name not in before)
    return tuple(edits)


def replace_at(code: s.Code, name: str, position: s.Position, new: s.Node) -> Replace:
    """The edit that puts `new` at a position of a slot that exists."""
    slot = code.slot(name)
    there = None if slot is None else s.node_at(slot, position)
    if there is None:
        raise RewriteError(f"{name} at {list(position)} does not exist")
    return Replace(name, position, digest_node(there), new)


def _differences(name: str, position: s.Position, old: s.Node, new: s.Node) -> Iterator[Edit]:
    if old == new:
        return
    below, above = s.children(old), s.children(new)
    same_shape = type(old) is type(new) and len(below) == len(above) and bool(below)
    if same_shape and s.with_children(old, above) == new:
        for i, (a, b) in enumerate(zip(below, above, strict=True)):
            yield from _differences(name, (*position, i), a, b)
    else:
        yield Replace(name, position, digest_node(old), new)


def encode_edits(edits: tuple[Edit, ...]) -> Json:
    """Edits as JSON."""
    return [_encode_edit(edit) for edit in edits]


def _encode_edit(edit: Edit) -> Json:
    match edit:
        case Replace(slot, position, expected, code):
            return {
                "edit": "replace",
                "slot": slot,
                "position": list(position),
                "expected": expected,
                "code": encode_node(code),
            }
        case AddSlot(slot):
            return {"edit": "add", "code": encode_node(slot)}
        case RemoveSlot(slot, expected):
            return {"edit": "remove", "slot": slot, "expected": expected}
        case _:
            assert_never(edit)


def decode_edits(data: Json) -> tuple[Edit, ...]:
    """The edits that `encode_edits` wrote; raises CodecError for anything else."""
    if not isinstance(data, list):
        raise CodecError("expected a list of edits")
    return tuple(_decode_edit(item) for item in data)


def _decode_edit(data: Json) -> Edit:
    if not isinstance(data, dict):
        raise CodecError("expected an edit")
    match data:
        case {
            "edit": "replace",
            "slot": str(slot),
            "position": list(path),
            "expected": str(expected),
            "code": code,
            **rest,
        }:
            if rest or not all(type(i) is int and i >= 0 for i in path):
                raise CodecError("a malformed edit")
            return Replace(
                slot, tuple(cast(list[int], path)), expected, decode_node(cast(Json, code))
            )
        case {"edit": "add", "code": code, **rest} if not rest:
            slot_node = decode_node(cast(Json, code), s.Memory, s.Param, s.Table, s.Def, s.Policy)
            return AddSlot(cast(s.Slot, slot_node))
        case {"edit": "remove", "slot": str(slot), "expected": str(expected), **rest} if not rest:
            return RemoveSlot(slot, expected)
        case _:
            raise CodecError("a malformed edit")
