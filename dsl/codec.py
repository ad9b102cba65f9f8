"""Trees as canonical JSON, their digests and their Gödel numbers.

Canonical: sorted ASCII keys, no white space, no floats, integers beyond 2^53 and rationals as strings. Digests are taken of
this form alone. Decoding is strict: anything that encoding would not have written is refused.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cache
from itertools import chain
from typing import Any, TypeAlias, cast

from dsl import syntax as s

Json: TypeAlias = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]

# exact rationals in proofs are longer than Python converts to text by default; `DIGITS_MAX` bounds them instead
sys.set_int_max_str_digits(0)

VERSION = 1
DIGITS_MAX = 200_000
SAFE_INTEGER = 2**53
DEPTH_MAX = 1_000
TREE_DEPTH_MAX = 256
MANY = 256
"""So many parts of a value may be looked at without asking whether some are the same object."""


# a value in itself is refused before, as one that is nested too deeply
_ENCODER = json.JSONEncoder(
    sort_keys=True,
    ensure_ascii=True,
    separators=(",", ":"),
    allow_nan=False,
    check_circular=False,
)


class CodecError(ValueError):
    """Data that is not the canonical form of anything."""


# --- canonical JSON ------------------------------------------------------------------------------


def canonical_json(value: Json) -> bytes:
    """The one byte string that stands for a value; refuses floats, big integers and keys that are not strings."""
    try:
        _require_plain(value)
        text = _ENCODER.encode(value)
    except RecursionError:
        raise CodecError("nested too deeply") from None
    return text.encode("ascii")


def decode_json(data: bytes) -> Json:
    """Read canonical JSON; refuses bytes that `canonical_json` would not have written."""
    try:
        value = json.loads(data, parse_float=_refuse_number, parse_constant=_refuse_number)
    except (ValueError, RecursionError) as error:
        raise CodecError(f"not JSON: {error}") from None
    if canonical_json(value) != data:
        raise CodecError("JSON that is not in canonical form")
    return cast(Json, value)


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _refuse_number(text: str) -> Any:
    raise CodecError(f"{text} is not an exact number")


def _require_plain(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH_MAX + 1):
        kinds = set(map(type, level))
        for kind in kinds - _PLAIN:
            raise CodecError(f"a {kind.__name__} has no canonical form")
        if int in kinds:
            whole = level if len(kinds) == 1 else [v for v in level if type(v) is int]
            if not -SAFE_INTEGER < min(whole) <= max(whole) < SAFE_INTEGER:
                raise CodecError("an integer beyond 2^53 must be written as a string")
        if not kinds & _HOLDERS:
            return
        holders = [v for v in level if type(v) in _HOLDERS]
        if len(holders) > MANY:
            # what stands in several places is looked at once
            holders = list({id(v): v for v in holders}.values())
        below: list[Any] = []
        for holder in holders:
            if type(holder) is dict:
                if set(map(type, holder)) - {str}:
                    raise CodecError("a key that is not a string")
                below.extend(holder.values())
            else:
                below.extend(holder)
        level = below
        if not level:
            return
    raise CodecError("nested too deeply")


_HOLDERS = frozenset((list, tuple, dict))
_PLAIN = _HOLDERS | {int, str, bool, type(None)}


# --- numbers -------------------------------------------------------------------------------------


def encode_int(value: int) -> int | str:
    """An integer; beyond 2^53 as a string."""
    return value if -SAFE_INTEGER < value < SAFE_INTEGER else str(value)


def decode_int(value: Json) -> int:
    """The integer that `encode_int` wrote."""
    if type(value) is int:
        return value
    if type(value) is str:
        number = _parse_decimal(value)
        if -SAFE_INTEGER < number < SAFE_INTEGER or str(number) != value:
            raise CodecError(f"{value!r} is not the canonical form of an integer")
        return number
    raise CodecError(f"expected an integer, found {value!r}")


def encode_rational(value: Fraction | int) -> str:
    """A rational in lowest terms: `"1/3"`, `"-2"`."""
    return str(value if type(value) is Fraction else Fraction(value))


def decode_rational(value: Json) -> Fraction:
    """The rational that `encode_rational` wrote."""
    if type(value) is not str:
        raise CodecError(f"expected a rational as a string, found {value!r}")
    above, _, below = value.partition("/")
    denominator = _parse_decimal(below) if "/" in value else 1
    if denominator <= 0:
        raise CodecError(f"{value!r} is not a rational")
    number = Fraction(_parse_decimal(above), denominator)
    if str(number) != value:
        raise CodecError(f"{value!r} is not in lowest terms")
    return number


def _parse_decimal(text: str) -> int:
    digits = text[1:] if text.startswith("-") else text
    if not digits.isascii() or not digits.isdigit():
        raise CodecError(f"{text[:40]!r} is not an integer")
    if len(digits) > DIGITS_MAX:
        raise CodecError("an integer with too many digits")
    return int(text)


# --- trees ---------------------------------------------------------------------------------------

_UNARY = frozenset({"not", "-", "~"})
_BINARY = frozenset(
    {"+", "-", "*", "/", "div", "mod", "and", "or", "implies", "|", "^", "&", "<<", ">>"}
)
_COMPARE = frozenset({"<", "<=", ">", ">=", "==", "!="})

_EXPR: tuple[type[s.Node], ...] = (
    *(s.BoolLit, s.IntLit, s.RatLit, s.Name, s.Primed, s.Member, s.Unary, s.Binary, s.Compare),
    *(s.If, s.Let, s.Match, s.Call, s.Index, s.ArrayLit, s.ArrayFor),
    *(s.With, s.Fold, s.Quantifier, s.Resize),
)
_SLOT = (s.Memory, s.Param, s.Table, s.Def, s.Policy)
_STATEMENT = (s.Define, s.Assign, s.Next)
_TOP = (s.Enum, s.Const, s.Table, s.Def)
_ENVIRONMENT = (
    *(s.State, s.Unknown, s.Assume, s.Observe, s.Action, s.Adversary, s.Chance),
    *(s.Define, s.Next, s.Reward, s.Done, s.Table, s.Const, s.Def),
)

# What a field may hold: a word of `_LEAVES`, node classes, or one of these with `*` (a tuple) or `?` (may be absent).
Kind: TypeAlias = str | tuple[type[s.Node], ...]
_E, _T, _D = _EXPR, s.TYPE_NODES, s.DIST_NODES

_SHAPES: dict[str, tuple[type[s.Node], tuple[tuple[str, Kind, str], ...]]] = {
    "bool": (s.BoolLit, (("value", "bool", ""),)),
    "int": (s.IntLit, (("value", "int", ""),)),
    "rat": (s.RatLit, (("value", "rat", ""),)),
    "name": (s.Name, (("name", "word", ""),)),
    "primed": (s.Primed, (("name", "word", ""),)),
    "member": (s.Member, (("enum", "word", ""), ("member", "word", ""))),
    "unary": (s.Unary, (("op", "unary", ""), ("operand", _E, ""))),
    "binary": (s.Binary, (("op", "binary", ""), ("left", _E, ""), ("right", _E, ""))),
    "compare": (s.Compare, (("ops", "compare", "*"), ("operands", _E, "*"))),
    "if": (s.If, (("test", _E, ""), ("then", _E, ""), ("otherwise", _E, ""))),
    "let": (s.Let, (("name", "word", ""), ("value", _E, ""), ("body", _E, ""))),
    "arm": (s.Arm, (("patterns", _E, "*"), ("body", _E, ""))),
    "match": (s.Match, (("subject", _E, ""), ("arms", (s.Arm,), "*"), ("otherwise", _E, "?"))),
    "call": (s.Call, (("name", "callee", ""), ("args", _E, "*"))),
    "index": (s.Index, (("array", _E, ""), ("index", _E, ""))),
    "array": (s.ArrayLit, (("items", _E, "*"),)),
    "array_for": (
        s.ArrayFor,
        (("var", "word", ""), ("low", _E, ""), ("high", _E, ""), ("body", _E, "")),
    ),
    "change": (s.Change, (("index", _E, ""), ("value", _E, ""))),
    "with": (s.With, (("array", _E, ""), ("changes", (s.Change,), "*"))),
    "fold": (
        s.Fold,
        (
            *(("acc", "word", ""), ("start", _E, ""), ("var", "word", "")),
            *(("low", _E, ""), ("high", _E, ""), ("body", _E, "")),
        ),
    ),
    "quantifier": (
        s.Quantifier,
        (
            *(("word", "quantifier", ""), ("var", "word", "")),
            *(("low", _E, ""), ("high", _E, ""), ("body", _E, "")),
        ),
    ),
    "resize": (s.Resize, (("word", "resize", ""), ("width", _E, ""), ("operand", _E, ""))),
    "type_bool": (s.BoolType, ()),
    "type_int": (s.IntType, (("low", _E, "?"), ("high", _E, "?"))),
    "type_rat": (s.RatType, (("low", _E, "?"), ("high", _E, "?"))),
    "type_bits": (s.BitsType, (("width", _E, ""),)),
    "type_name": (s.NamedType, (("name", "word", ""),)),
    "type_array": (s.ArrayType, (("size", _E, ""), ("item", _T, ""))),
    "weighted": (s.Weighted, (("value", _E, ""), ("weight", _E, ""))),
    "dist_map": (s.DistMap, (("entries", (s.Weighted,), "*"),)),
    "dist_for": (
        s.DistFor,
        (("var", "word", ""), ("low", _E, ""), ("high", _E, ""), ("entry", (s.Weighted,), "")),
    ),
    "dist_if": (s.DistIf, (("test", _E, ""), ("then", _D, ""), ("otherwise", _D, ""))),
    "dist_let": (s.DistLet, (("name", "word", ""), ("value", _E, ""), ("body", _D, ""))),
    "dist_arm": (s.DistArm, (("patterns", _E, "*"), ("body", _D, ""))),
    "dist_match": (
        s.DistMatch,
        (("subject", _E, ""), ("arms", (s.DistArm,), "*"), ("otherwise", _D, "?")),
    ),
    "enum": (s.Enum, (("name", "word", ""), ("members", "word", "*"))),
    "const": (s.Const, (("name", "word", ""), ("value", _E, ""))),
    "table": (s.Table, (("name", "word", ""), ("type", _T, ""), ("value", _E, ""))),
    "parameter": (s.Parameter, (("name", "word", ""), ("type", _T, ""))),
    "def": (
        s.Def,
        (
            ("name", "word", ""),
            ("parameters", (s.Parameter,), "*"),
            ("result", _T, ""),
            ("body", _E, ""),
        ),
    ),
    "any": (s.AnyStart, (("where", _E, "?"),)),
    "state": (
        s.State,
        (("name", "word", ""), ("type", _T, ""), ("start", (*_E, *_D, s.AnyStart), "")),
    ),
    "unknown": (s.Unknown, (("name", "word", ""), ("type", _T, ""))),
    "assume": (s.Assume, (("condition", _E, ""),)),
    "adversary": (s.Adversary, (("name", "word", ""), ("type", _T, ""), ("where", _E, "?"))),
    "observe": (s.Observe, (("names", "word", "*"),)),
    "action": (s.Action, (("name", "word", ""), ("type", _T, ""))),
    "chance": (s.Chance, (("name", "word", ""), ("type", _T, ""), ("dist", _D, ""))),
    "define": (s.Define, (("name", "word", ""), ("value", _E, ""))),
    "next": (s.Next, (("name", "word", ""), ("value", _E, ""))),
    "reward": (s.Reward, (("value", _E, ""),)),
    "done": (s.Done, (("value", _E, ""),)),
    "environment": (s.Environment, (("items", _ENVIRONMENT, "*"),)),
    "setting": (s.Setting, (("key", "word", ""), ("value", _E, ""))),
    "cost": (s.Cost, (("operation", "operation", ""), ("ticks", _E, ""))),
    "costs": (s.Costs, (("entries", (s.Cost,), "*"),)),
    "utility": (s.Utility, (("settings", (s.Setting, s.Costs), "*"),)),
    "always": (s.Always, (("name", "word", ""), ("holds", _E, ""))),
    "reach": (
        s.Reach,
        (
            *(("name", "word", ""), ("steps", _E, ""), ("goal", _E, "")),
            *(("source", _E, ""), ("policy", "word", "")),
        ),
    ),
    "memory": (s.Memory, (("name", "word", ""), ("type", _T, ""), ("start", _E, ""))),
    "param": (s.Param, (("name", "word", ""), ("type", _T, ""), ("value", _E, ""))),
    "assign": (s.Assign, (("name", "word", ""), ("value", _E, ""))),
    "policy": (s.Policy, (("name", "word", ""), ("body", _STATEMENT, "*"))),
    "code": (s.Code, (("slots", _SLOT, "*"),)),
    "declarations": (
        s.Declarations,
        (
            ("name", "word", ""),
            ("items", _TOP, "*"),
            ("environment", (s.Environment,), ""),
            ("utility", (s.Utility,), ""),
            ("requirements", (s.Always, s.Reach), "*"),
        ),
    ),
    "text": (s.Text, (("value", "text", ""),)),
    "target": (s.Target, (("word", "target", ""),)),
    "option": (s.Option, (("key", "word", ""), ("value", (*_E, s.Text, s.Target), ""))),
    "family": (
        s.Family,
        (("name", "word", ""), ("kind", "word", ""), ("options", (s.Option,), "*")),
    ),
    "switch": (s.Switch, (("word", "word", ""),)),
    "price": (s.Price, (("name", "word", ""), ("value", _E, ""))),
    "prices": (s.Prices, (("entries", (s.Price,), "*"),)),
    "report": (s.Report, (("name", "word", ""), ("type", _T, ""))),
    "search_world": (s.SearchWorld, (("items", (*_ENVIRONMENT, s.Report), "*"),)),
    "search": (
        s.Search,
        (
            (
                "items",
                (
                    *(s.Family, s.Switch, s.Prices, s.SearchWorld, s.Utility),
                    *(s.Always, s.Reach),
                ),
                "*",
            ),
        ),
    ),
    "machine": (
        s.Machine,
        (
            *(("declarations", (s.Declarations,), ""), ("agent", (s.Code,), "")),
            *(("search", (s.Search,), "?"), ("searcher", (s.Code,), "?")),
        ),
    ),
}
_TAGS = {shape[0]: (tag, shape[1]) for tag, shape in _SHAPES.items()}


_INTEGERS = "ints"
"""The tag of an array of integer literals, which are written without their own."""


def encode_node(node: s.Node) -> Json:
    """A tree as JSON: `[tag, field, …]`."""
    grid = s.grid_of(node)
    if grid is not None and grid.width is None:
        return _encode_table(grid)
    if type(node) is s.ArrayLit and set(map(type, _plain(node.items))) == {s.IntLit}:
        return [_INTEGERS, [encode_int(cast(s.IntLit, item).value) for item in node.items]]
    tag, shape = _TAGS[type(node)]
    out: list[Json] = [tag]
    for name, kind, count in shape:
        value = getattr(node, name)
        if count == "*":
            out.append([_encode_field(v, kind) for v in _plain(value)])
        elif value is None:
            out.append(None)
        else:
            out.append(_encode_field(value, kind))
    return out


def _encode_table(grid: s.Grid) -> Json:
    """A table as any array is written; what one object stands for in it is one object, written several times."""
    if not grid.classes <= _ENTRIES.keys():
        raise CodecError("a table of what is no literal and no name")
    known: dict[int, Json] = {}
    rows: list[Json] = []
    count = grid.shape[-1]
    starts = range(0, len(grid.values), count)
    if (
        grid.classes == {int}
        and -SAFE_INTEGER < min(grid.values) <= max(grid.values) < SAFE_INTEGER
    ):
        rows = [[_INTEGERS, list(grid.values[start : start + count])] for start in starts]
        starts = range(0)
    for start in starts:
        values = grid.values[start : start + count]
        if set(map(type, values)) == {int}:
            rows.append([_INTEGERS, list(map(encode_int, values))])
            continue
        for value in values:
            if id(value) not in known:
                known[id(value)] = _ENTRIES[type(value)](value)
        rows.append(["array", [known[id(value)] for value in values]])
    for count in reversed(grid.shape[:-1]):
        rows = [["array", rows[i : i + count]] for i in range(0, len(rows), count)]
    return rows[0]


_ENTRIES: dict[type[Any], Callable[[Any], Json]] = {
    bool: lambda v: ["bool", v],
    int: lambda v: ["int", encode_int(v)],
    Fraction: lambda v: ["rat", encode_rational(v)],
    str: lambda v: ["name", v],
    tuple: lambda v: ["member", *v],
}
"""How `encode_node` writes what the values of a table stand for."""


def _plain(value: Any) -> Sequence[Any]:
    """A tuple or list; raises CodecError for one of a class of its own, which may hold something else each time."""
    if type(value) not in (tuple, list):
        raise CodecError(f"a {type(value).__name__} in the place of a tuple")
    return cast(Sequence[Any], value)


def tag_of(node: s.Node) -> str:
    """The word that stands for the kind of a node in JSON."""
    return _TAGS[type(node)][0]


def decode_node(value: Json, *allowed: type[s.Node]) -> s.Node:
    """The tree that `encode_node` wrote; its root is one of the classes `allowed` (any, where none is given).

    Raises CodecError for anything else, literals that are not folded included.
    """
    try:
        return _decode_node(value, allowed, 0)
    except RecursionError:
        raise CodecError("nested too deeply") from None


def encode_tree(node: s.Node) -> bytes:
    """Canonical JSON of a tree, with the version of the form."""
    try:
        return canonical_json([VERSION, encode_node(node)])
    except RecursionError:
        raise CodecError("nested too deeply") from None


def decode_tree(data: bytes, *allowed: type[s.Node]) -> s.Node:
    """The tree that `encode_tree` wrote."""
    value = decode_json(data)
    if not isinstance(value, list) or len(value) != 2 or value[0] != VERSION or value[0] is True:
        raise CodecError("a tree of an unknown version")
    return decode_node(value[1], *allowed)


def is_canonical(node: s.Node) -> bool:
    """Whether the canonical form of a tree gives it back; that of a tree which holds lists does not."""
    try:
        return decode_tree(encode_tree(node), type(node)) == node
    except CodecError:
        return False


def digest_node(node: s.Node) -> str:
    """SHA-256 of the canonical form of a tree."""
    return digest(encode_tree(node))


def number_of(node: s.Node) -> int:
    """The Gödel number of a tree: its canonical form read as one number in base 256, after a leading 1."""
    return int.from_bytes(b"\x01" + encode_tree(node), "big")


def node_of_number(number: int) -> s.Node:
    """The tree with that Gödel number; raises CodecError where there is none."""
    if number < 1:
        raise CodecError("not a Gödel number")
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    if data[:1] != b"\x01":
        raise CodecError("not a Gödel number")
    return decode_tree(data[1:])


def _encode_field(value: Any, kind: Kind) -> Json:
    if isinstance(kind, tuple):
        return encode_node(value)
    return _LEAVES[kind][0](value)


def _decode_node(value: Json, allowed: tuple[type[s.Node], ...], depth: int) -> s.Node:
    if depth > TREE_DEPTH_MAX:
        raise CodecError("nested too deeply")
    if not isinstance(value, list) or not value or not isinstance(value[0], str):
        raise CodecError("expected a node [tag, …]")
    if value[0] in (_INTEGERS, "array"):
        grid = _decode_table(value, TREE_DEPTH_MAX - depth)
        if grid is not None and (not allowed or s.ArrayLit in allowed):
            return s.written_array(s.Written(grid))
        if value[0] == _INTEGERS:
            raise CodecError(
                f"a node {_INTEGERS!r} that cannot stand here, or is no list of integers"
            )
    known = _SHAPES.get(value[0])
    if known is None:
        raise CodecError(f"unknown node {value[0]!r}")
    cls, shape = known
    if allowed and cls not in allowed:
        raise CodecError(f"a node {value[0]!r} cannot stand here")
    if len(value) != len(shape) + 1:
        raise CodecError(f"a node {value[0]!r} has {len(shape)} fields, found {len(value) - 1}")
    held: dict[str, Any] = {}
    for field, (name, kind, count) in zip(value[1:], shape, strict=True):
        if count == "*":
            if not isinstance(field, list):
                raise CodecError(f"{value[0]}.{name} must be a list")
            held[name] = tuple(_decode_field(f, kind, depth) for f in field)
        elif field is None and count == "?":
            held[name] = None
        else:
            held[name] = _decode_field(field, kind, depth)
    node = cls(**held)
    _require_well_formed(node)
    return node


def _decode_table(value: Sequence[Json], levels: int) -> s.Grid | None:
    """What a table holds, of at most so many levels below; None for anything else, whether it is in order or not."""
    items: Any = value[1] if len(value) == 2 else None
    if levels < 0 or type(items) is not list or not items:
        return None
    if value[0] == _INTEGERS:
        whole = _decode_integers(items)
        return None if whole is None else s.Grid((len(whole),), whole)
    if levels < 1 or set(map(type, items)) != {list} or not all(items):
        return None
    tags = {item[0] if type(item[0]) is str else "" for item in items}
    if tags <= {_INTEGERS, "array"}:
        return _decode_rows(items, tags, levels)
    return _decode_entries(items) if tags <= _ENTRY_TAGS else None


def _decode_integers(items: list[Any]) -> tuple[int, ...] | None:
    kinds = set(map(type, items))
    if kinds == {int} and -SAFE_INTEGER < min(items) <= max(items) < SAFE_INTEGER:
        return tuple(items)
    try:
        return tuple(map(decode_int, items))
    except CodecError:
        return None


def _decode_rows(rows: list[Any], tags: set[str], levels: int) -> s.Grid | None:
    """Rows of equal length; those of small integers all at once."""
    lists = [row[1] for row in rows if len(row) == 2 and type(row[1]) is list]
    lengths = set(map(len, lists))
    if tags == {_INTEGERS} and len(lists) == len(rows) and len(lengths) == 1:
        whole = _decode_integers(list(chain.from_iterable(lists)))
        length = lengths.pop()
        return s.Grid((len(rows), length), whole) if whole is not None and length else None
    grids: list[s.Grid] = []
    for row in rows:
        grid = _decode_table(row, levels - 1)
        if grid is None or grid.shape != (grids[0] if grids else grid).shape:
            return None
        grids.append(grid)
    values = tuple(chain.from_iterable(grid.values for grid in grids))
    return s.Grid((len(rows), *grids[0].shape), values)


def _decode_entries(items: list[Any]) -> s.Grid | None:
    """Entries that are no integers alone: each is decoded as a node, those that are alike once."""
    known: dict[Any, Any] = {}
    values: list[Any] = []
    for item in items:
        kinds = tuple(map(type, item))
        if not _PARTS.issuperset(kinds):
            return None
        key = (kinds, *item)
        if key not in known:
            node = _decode_node(item, (), 0)
            grid = s.grid_of(s.ArrayLit((cast(s.Expr, node),)))
            if grid is None:
                return None
            known[key] = grid.values[0]
        values.append(known[key])
    return None if set(map(type, values)) == {int} else s.Grid((len(values),), tuple(values))


_ENTRY_TAGS = frozenset(("bool", "int", "rat", "name", "member"))
_PARTS = frozenset((str, int, bool))
"""The classes of what the entry of a table is written with."""


def _decode_field(value: Json, kind: Kind, depth: int) -> Any:
    if isinstance(kind, tuple):
        return _decode_node(value, kind, depth + 1)
    return _LEAVES[kind][1](value)


def _decode_bool(value: Json) -> bool:
    if type(value) is not bool:
        raise CodecError(f"expected true or false, found {value!r}")
    return value


@cache
def _is_word(text: str) -> bool:
    return text.isascii() and text.isidentifier() and text not in s.KEYWORDS


def _decode_word(value: Json) -> str:
    if type(value) is not str or not _is_word(value):
        raise CodecError(f"{value!r} is not a name")
    return value


def _decode_quoted(value: Json) -> str:
    if type(value) is not str or not value.isprintable() or '"' in value or "\\" in value:
        raise CodecError(f"{value!r} cannot stand in quotes")
    return value


def _one_of(words: frozenset[str]) -> Callable[[Json], str]:
    def decode(value: Json) -> str:
        if type(value) is not str or value not in words:
            raise CodecError(f"{value!r} is not one of {', '.join(sorted(words))}")
        return value

    return decode


_LEAVES: dict[str, tuple[Callable[[Any], Json], Callable[[Json], Any]]] = {
    "bool": (lambda v: v, _decode_bool),
    "int": (encode_int, decode_int),
    "rat": (encode_rational, decode_rational),
    "word": (lambda v: v, _decode_word),
    "callee": (lambda v: v, lambda v: v if v == "int" else _decode_word(v)),
    "unary": (lambda v: v, _one_of(_UNARY)),
    "binary": (lambda v: v, _one_of(_BINARY)),
    "compare": (lambda v: v, _one_of(_COMPARE)),
    "quantifier": (lambda v: v, _one_of(frozenset({"forall", "exists"}))),
    "resize": (lambda v: v, _one_of(frozenset({"bits", "sext"}))),
    "operation": (lambda v: v, _decode_quoted),
    "text": (lambda v: v, _decode_quoted),
    "target": (lambda v: v, _one_of(frozenset({"agent", "searcher"}))),
}


def _require_well_formed(node: s.Node) -> None:
    """What the parser can produce and nothing else: one tree for one text."""
    if type(node) is s.ArrayLit and set(map(type, node.items)) == {s.IntLit}:
        raise CodecError("an array of integers that is not in its short form")
    match node:
        case s.Unary("-", s.IntLit() | s.RatLit()) | s.Binary("/", s.IntLit(), s.IntLit(1)):
            raise CodecError("a literal that is not folded")
        case s.Binary("/", s.IntLit(), s.IntLit(below)) if below > 0:
            raise CodecError("a literal that is not folded")
        case s.Compare(ops, operands):
            if not ops or len(operands) != len(ops) + 1 or not chain_goes_one_way(ops):
                raise CodecError("a chain of comparisons that does not go one way")
        case s.ArrayLit(()) | s.Arm(()) | s.DistArm(()) | s.DistMap(()) | s.With(_, ()):
            raise CodecError("an empty list")
        case s.Enum(_, ()) | s.Observe(()) | s.Costs(()):
            raise CodecError("an empty list")
        case s.IntType(low, high) | s.RatType(low, high) if (low is None) != (high is None):
            raise CodecError("half a range")
        case _:
            pass


def chain_goes_one_way(ops: tuple[str, ...]) -> bool:
    """`<` and `<=` chain with each other, so do `>` and `>=`; `==` and `!=` do not chain."""
    return len(ops) == 1 or set(ops) <= {"<", "<="} or set(ops) <= {">", ">="}
