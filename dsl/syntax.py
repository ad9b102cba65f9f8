"""The syntax tree of machine files: frozen nodes that hold tuples.

A node's `span` and a literal's `text` (its spelling in the source) take no part in equality or digests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from functools import cache
from itertools import chain
from math import prod
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from dsl.span import NO_SPAN, Span

KEYWORDS = frozenset(
    "action adversary agent always and any array assume bits bool chance const def div done else enum environment exists"
    " false family fold for forall from if implies in int let machine match memory mod not observe of or param policy"
    " prices rat reach report require reward search searcher sext state switch table then true unknown using utility"
    " where with within world".split()
)


class Node:
    """Base of every node of the tree."""

    __slots__ = ()
    span: Span


def _span() -> Any:
    return field(default=NO_SPAN, compare=False, repr=False)


def _text() -> Any:
    return field(default="", compare=False, repr=False)


# --- expressions ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BoolLit(Node):
    """`true` or `false`."""

    value: bool
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class IntLit(Node):
    """An integer literal, with its sign: `-1` is one literal."""

    value: int
    text: str = _text()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class RatLit(Node):
    """A rational literal: `1/3`, `0.05`."""

    value: Fraction
    text: str = _text()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A variable, constant, parameter or enum member, by its bare name."""

    name: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Primed(Node):
    """The next value of a state variable: `x'`."""

    name: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Member(Node):
    """An enum member by its full name: `Dir.left`."""

    enum: str
    member: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`not e`, `-e` or `~e`."""

    op: str
    operand: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """`left op right`: arithmetic, bits, shifts, and `and or implies`, which evaluate only what is needed."""

    op: str
    left: Expr
    right: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """A chain of comparisons `a <= b < c`; comparisons after the first false one are not made."""

    ops: tuple[str, ...]
    operands: tuple[Expr, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class If(Node):
    """Choose a branch; only the branch taken is evaluated and charged."""

    test: Expr
    then: Expr
    otherwise: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Let(Node):
    """`let name = value in body`."""

    name: str
    value: Expr
    body: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Arm(Node):
    """One arm of a match: constant patterns, any of which chooses the body."""

    patterns: tuple[Expr, ...]
    body: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Match(Node):
    """Choose the first arm with a pattern equal to the subject, else `otherwise`."""

    subject: Expr
    arms: tuple[Arm, ...]
    otherwise: Expr | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A built-in function (`int(x)` among them), a conversion `E(i)` to an enum, or a `def`."""

    name: str
    args: tuple[Expr, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Index(Node):
    """`array[index]`, counted from 0 or by enum member."""

    array: Expr
    index: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Grid:
    """What an array holds that is written out in literals, names and members alone, in rows of equal length.

    `shape` counts the items of each level from the outermost on; `values` are those of the entries, row by row: the
    `int`, Fraction or `bool` of a literal, the `str` of a name, the pair of words of a member. Integers that are
    elaborated to bits have their `width`.
    """

    shape: tuple[int, ...]
    values: tuple[Any, ...]
    width: int | None = None

    @property
    def classes(self) -> set[type[Any]]:
        """The classes of the values."""
        return set(map(type, self.values))

    @property
    def names(self) -> dict[str, None]:
        """The names among the entries, in order of first mention."""
        if str not in self.classes:
            return {}
        return dict.fromkeys(v for v in self.values if v.__class__ is str)

    @property
    def arrays(self) -> int:
        """How many arrays there are, the whole one and its rows of every level."""
        found = each = 1
        for length in self.shape[:-1]:
            each *= length
            found += each
        return found

    @property
    def nodes(self) -> int:
        """How many nodes the array has as written: its arrays and entries."""
        return self.arrays + len(self.values)

    def is_same(self, other: Grid) -> bool:
        """Whether two tables hold the same; `true` is not 1."""
        alike = (self.shape, self.width) == (other.shape, other.width)
        pairs = (map(type, grid.values) for grid in (self, other))
        return alike and tuple(next(pairs)) == tuple(next(pairs)) and self.values == other.values

    def row(self, index: int) -> Grid:
        """A row of a table that has rows."""
        each = len(self.values) // self.shape[0]
        values = self.values[index * each : (index + 1) * each]
        width = self.width if int in map(type, values) else None
        return Grid(self.shape[1:], values, width)

    def nested(self, entries: Iterable[Any], row: Callable[[tuple[Any, ...]], Any] = tuple) -> Any:
        """The array with other entries, one for one; each row of it is made by `row`."""
        made = tuple(entries)
        for length in reversed(self.shape[1:]):
            made = tuple(map(row, zip(*[iter(made)] * length, strict=True)))
        return row(made)


class Places(Protocol):
    """Where the items of a table stand."""

    def place(self, index: int) -> tuple[Span, str]:
        """Where an item stands, and how it is spelled."""

    def row(self, index: int) -> Places:
        """The places inside a row."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a table holds, and where its items stand if that is known; nodes are made of it when they are asked for."""

    grid: Grid
    places: Places | None = None


class _Lazy(Node):
    """Makes the items of an array at the first use; large tables do without."""

    __slots__ = ("written",)
    written: Written | None

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name == "written":
                return None
            if name != "items" or self.written is None:
                raise AttributeError(name)
            items = _items_of(self)
            object.__setattr__(self, "items", items)
            return items


@dataclass(frozen=True, slots=True)
class ArrayLit(_Lazy):
    """`[e, …]`."""

    items: tuple[Expr, ...]
    span: Span = _span()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        both = _grid_alone(self), _grid_alone(other)
        if both[0] is None or both[1] is None:
            return self.items == other.items
        return both[0].is_same(both[1])


@dataclass(frozen=True, slots=True)
class ArrayFor(Node):
    """`[for var in low..high: body]`; both ends belong to the range and are constant."""

    var: str
    low: Expr
    high: Expr
    body: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Change(Node):
    """One entry of a `with`: where, and what stands there afterwards."""

    index: Expr
    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class With(Node):
    """`array with { index: value, … }`: an updated copy; of equal indices the last entry counts."""

    array: Expr
    changes: tuple[Change, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Fold(Node):
    """`fold acc = start for var in low..high: body`; `acc` holds what the turn before came to."""

    acc: str
    start: Expr
    var: str
    low: Expr
    high: Expr
    body: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Quantifier(Node):
    """`forall var in low..high: body` or `exists …`; turns are made from low on until the answer is known."""

    word: str
    var: str
    low: Expr
    high: Expr
    body: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Resize(Node):
    """`bits[width](operand)`, which cuts or fills with zeros, or `sext[width](operand)`, which fills with the sign."""

    word: str
    width: Expr
    operand: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class BitsOp(Node):
    """An operation on `bits[width]`, its operands evaluated from left to right; values are integers 0..2^width-1.

    The checker puts it in the place of the operator, built-in function or conversion of that name when it has worked out
    the width. It never stands in files, in stored trees or in rewrites.
    """

    op: str
    width: int
    args: tuple[Expr, ...]
    span: Span = _span()


Expr: TypeAlias = (
    BoolLit
    | IntLit
    | RatLit
    | Name
    | Primed
    | Member
    | Unary
    | Binary
    | Compare
    | If
    | Let
    | Match
    | Call
    | Index
    | ArrayLit
    | ArrayFor
    | With
    | Fold
    | Quantifier
    | Resize
    | BitsOp
)

# --- types ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BoolType(Node):
    """`bool`."""

    span: Span = _span()


@dataclass(frozen=True, slots=True)
class IntType(Node):
    """`int`, or `int low..high` with both ends constant and included."""

    low: Expr | None
    high: Expr | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class RatType(Node):
    """`rat`, or `rat low..high`."""

    low: Expr | None
    high: Expr | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class BitsType(Node):
    """`bits[width]`: vectors of a constant number of bits."""

    width: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class NamedType(Node):
    """An enum by name."""

    name: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class ArrayType(Node):
    """`array[size] of item`; a size that is the name of an enum indexes by its members."""

    size: Expr
    item: TypeExpr
    span: Span = _span()


TypeExpr: TypeAlias = BoolType | IntType | RatType | BitsType | NamedType | ArrayType
TYPE_NODES = (BoolType, IntType, RatType, BitsType, NamedType, ArrayType)

# --- distributions -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Weighted(Node):
    """One entry of a map: a value and the weight it is drawn with."""

    value: Expr
    weight: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class DistMap(Node):
    """`{ v: w, … }`; weights of equal values add up."""

    entries: tuple[Weighted, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class DistFor(Node):
    """`{ for var in low..high: v: w }`."""

    var: str
    low: Expr
    high: Expr
    entry: Weighted
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class DistIf(Node):
    """Choose between distributions."""

    test: Expr
    then: Dist
    otherwise: Dist
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class DistLet(Node):
    """`let name = value in` a distribution."""

    name: str
    value: Expr
    body: Dist
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class DistArm(Node):
    """One arm of a match between distributions."""

    patterns: tuple[Expr, ...]
    body: Dist
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class DistMatch(Node):
    """Choose a distribution by matching."""

    subject: Expr
    arms: tuple[DistArm, ...]
    otherwise: Dist | None
    span: Span = _span()


Dist: TypeAlias = DistMap | DistFor | DistIf | DistLet | DistMatch
DIST_NODES = (DistMap, DistFor, DistIf, DistLet, DistMatch)

# --- declarations --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Enum(Node):
    """`enum name { members }`."""

    name: str
    members: tuple[str, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Const(Node):
    """`const name = value`."""

    name: str
    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Table(Node):
    """`table name: type = value`, constant data; declared, or a slot of code."""

    name: str
    type: TypeExpr
    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    """A parameter of a `def`."""

    name: str
    type: TypeExpr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Def(Node):
    """`def name(parameters): result = body`; declared, or a slot of code."""

    name: str
    parameters: tuple[Parameter, ...]
    result: TypeExpr
    body: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class AnyStart(Node):
    """`any` or `any where condition`: every joint value of the `any` variables that meets the conditions is a world."""

    where: Expr | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class State(Node):
    """`state name: type = start`; the start is an expression, a distribution or `any`."""

    name: str
    type: TypeExpr
    start: Expr | Dist | AnyStart
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Unknown(Node):
    """`unknown name: type`: a constant of the world that nobody knows, each value a separate world."""

    name: str
    type: TypeExpr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Assume(Node):
    """`assume condition`: a linear constraint between rational unknowns."""

    condition: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Adversary(Node):
    """`adversary name: type where condition`: chosen each step against the agent; a `rat` one is a rate."""

    name: str
    type: TypeExpr
    where: Expr | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Observe(Node):
    """`observe names`: what the agent's policy may read."""

    names: tuple[str, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Action(Node):
    """`action name: type`: what the agent decides each step."""

    name: str
    type: TypeExpr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Chance(Node):
    """`chance name: type = dist`: drawn each step."""

    name: str
    type: TypeExpr
    dist: Dist
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Define(Node):
    """`let name = value` of the environment or of a policy."""

    name: str
    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Next(Node):
    """`name' = value`: the next value of a state variable."""

    name: str
    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Reward(Node):
    """`reward = value`."""

    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Done(Node):
    """`done = value`, on a state."""

    value: Expr
    span: Span = _span()


EnvironmentItem: TypeAlias = (
    State
    | Unknown
    | Assume
    | Observe
    | Action
    | Adversary
    | Chance
    | Define
    | Next
    | Reward
    | Done
    | Table
    | Const
    | Def
)


@dataclass(frozen=True, slots=True)
class Environment(Node):
    """`environment { … }`: the declared world, items in file order."""

    items: tuple[EnvironmentItem, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Setting(Node):
    """One setting of a utility: `discount e`, `horizon e`, `tick_price e`, `size_price e`, `better word`."""

    key: str
    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Cost(Node):
    """One entry of `costs`: the ticks of an operation, by its name in quotes."""

    operation: str
    ticks: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Costs(Node):
    """`costs { "*": 3, … }`: operations that do not take 1 tick."""

    entries: tuple[Cost, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Utility(Node):
    """`utility { … }`: what the machine values."""

    settings: tuple[Setting | Costs, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Always(Node):
    """`require name: always holds`: true in every state that is reached, or at every step taken."""

    name: str
    holds: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Reach(Node):
    """`require name: within steps reach goal from source using policy`."""

    name: str
    steps: Expr
    goal: Expr
    source: Expr
    policy: str
    span: Span = _span()


Requirement: TypeAlias = Always | Reach


# --- code ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Param(Node):
    """`param name: type = value`: a constant of the program that may be rewritten."""

    name: str
    type: TypeExpr
    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Memory(Node):
    """`memory name: type = start`: what a program keeps from step to step."""

    name: str
    type: TypeExpr
    start: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Assign(Node):
    """`action = value` in a policy."""

    name: str
    value: Expr
    span: Span = _span()


Statement: TypeAlias = Define | Assign | Next
"""A `Next` of a policy gives a memory variable its next value."""


@dataclass(frozen=True, slots=True)
class Policy(Node):
    """`policy name { … }`, read from top to bottom; the unnamed one is `main` and acts."""

    name: str
    body: tuple[Statement, ...]
    span: Span = _span()


Slot: TypeAlias = Memory | Param | Table | Def | Policy


@dataclass(frozen=True, slots=True)
class Code(Node):
    """`agent { … }`: the rewritable program, its slots in file order."""

    slots: tuple[Slot, ...]
    span: Span = _span()

    def slot(self, name: str) -> Slot | None:
        """The slot of that name, or None."""
        return next((s for s in self.slots if s.name == name), None)


TopItem: TypeAlias = Enum | Const | Table | Def


# --- the search ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Option(Node):
    """One setting of a family, `key: value`: a constant, a `Text`, or the `Target`."""

    key: str
    value: Expr | Text | Target
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Text(Node):
    """A string in quotes."""

    value: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Target(Node):
    """Whose code a family rewrites: `agent` or `searcher`."""

    word: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Family(Node):
    """`family name = kind(options)`: an untrusted proposer of rewrites with fixed settings."""

    name: str
    kind: str
    options: tuple[Option, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Switch(Node):
    """`switch held` or `switch at_once`: when a proved rewrite of the agent is installed."""

    word: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Price(Node):
    """One entry of `prices`."""

    name: str
    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Prices(Node):
    """`prices { … }`: what a unit of gain and of cost stands for, and what an attempt is charged for."""

    entries: tuple[Price, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Report(Node):
    """`report name: type`: what the searcher may read; the language fixes how it starts and goes on."""

    name: str
    type: TypeExpr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class SearchWorld(Node):
    """`world { … }`: an environment whose only action is `try`, and whose observations are reports."""

    items: tuple[EnvironmentItem | Report, ...]
    span: Span = _span()


SearchItem: TypeAlias = Family | Switch | Prices | SearchWorld | Utility | Requirement


@dataclass(frozen=True, slots=True)
class Search(Node):
    """`search { … }`: the families, the declared world of proof search and its utility, in file order."""

    items: tuple[SearchItem, ...]
    span: Span = _span()


# --- whole files ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Declarations(Node):
    """Everything of a machine that only a person may change."""

    name: str
    items: tuple[TopItem, ...]
    environment: Environment
    utility: Utility
    requirements: tuple[Requirement, ...] = ()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Machine(Node):
    """One machine file: what is declared, and the code of the agent; with a search of its own also that, and its code."""

    declarations: Declarations
    agent: Code
    search: Search | None = None
    searcher: Code | None = None
    span: Span = _span()


# --- walking the tree ----------------------------------------------------------------------------

Position: TypeAlias = tuple[int, ...]


@cache
def _fields_of(cls: Any) -> tuple[str, ...]:
    names = (f.name for f in fields(cls))
    return tuple(n for n in names if n not in ("span", "text"))


def _child_fields(node: Node) -> tuple[str, ...]:
    cls: Any = type(node)
    return _fields_of(cls)


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below, in order; types are no part of the rewritable tree."""
    found: list[Node] = []
    cls: Any = type(node)
    for name in _fields_of(cls):
        value = getattr(node, name)
        if isinstance(value, Node):
            if not isinstance(value, TYPE_NODES):
                found.append(value)
        elif isinstance(value, tuple):
            for part in value:
                if isinstance(part, Node) and not isinstance(part, TYPE_NODES):
                    found.append(part)
    return tuple(found)


def with_children(node: Node, new: tuple[Node, ...]) -> Node:
    """The same node over other children; `new` is as long as `children(node)`."""
    rest = iter(new)
    changed: dict[str, Any] = {}
    for name in _child_fields(node):
        value = getattr(node, name)
        if isinstance(value, Node) and not isinstance(value, TYPE_NODES):
            changed[name] = next(rest)
        elif isinstance(value, tuple) and value and isinstance(value[0], Node):
            changed[name] = tuple(next(rest) for _ in value)
    return cast(Node, replace(cast(Any, node), **changed))


def written_array(written: Written, span: Span = NO_SPAN) -> ArrayLit:
    """An array whose items are made when they are asked for."""
    array = object.__new__(ArrayLit)
    object.__setattr__(array, "written", written)
    object.__setattr__(array, "span", span)
    return array


def with_span(node: Any, span: Span) -> Any:
    """The same node at another place."""
    if type(node) is ArrayLit and type(node.written) is Written:
        return written_array(node.written, span)
    return replace(node, span=span)


def leaf_of(value: Any) -> Expr:
    """The literal, name or member that a value of a `Grid` stands for."""
    if type(value) is tuple:
        return Member(*value)
    return _LEAVES[type(value)](value)


def grid_of(node: Node) -> Grid | None:
    """What an array holds, where it is a table of literals, names and members; None for anything else.

    Whoever treats the entries of such a table alike need not look at its nodes, of which there may be a million.
    """
    if type(node) is not ArrayLit:
        return None
    written = node.written
    if type(written) is Written and _is_sound(written.grid):
        return written.grid
    return _grid_of_items(node.items)


def _is_sound(grid: object) -> bool:
    """Whether an object from whatever source is a table of some shape; what its values are, who uses them sees."""
    return (
        type(grid) is Grid
        and type(grid.shape) is tuple
        and type(grid.values) is tuple
        and set(map(type, grid.shape)) == {int}
        and min(grid.shape) > 0
        and prod(grid.shape) == len(grid.values)
    )


def _grid_alone(array: ArrayLit) -> Grid | None:
    """What an array holds of which no nodes were made yet; None where there are nodes."""
    try:
        _ITEMS(array)
    except AttributeError:
        return grid_of(array)
    return None


_ITEMS: Callable[[ArrayLit], Any] = vars(ArrayLit)["items"].__get__


def _items_of(array: ArrayLit) -> tuple[Expr, ...]:
    """Nodes for all that a table holds."""
    written = array.written
    if type(written) is not Written or not _is_sound(written.grid):
        raise AttributeError("items")
    return tuple(_item(written, i) for i in range(written.grid.shape[0]))


def item_of(array: ArrayLit, index: int) -> Expr:
    """An item of an array by itself: of a table no other node is made."""
    if type(array.written) is Written and _grid_alone(array) is not None:
        return _item(array.written, index)
    return array.items[index]


def _item(written: Written, index: int) -> Expr:
    grid, places = written.grid, written.places
    span, text = (NO_SPAN, "") if places is None else places.place(index)
    if len(grid.shape) > 1:
        below = None if places is None else places.row(index)
        return written_array(Written(grid.row(index), below), span)
    value = grid.values[index]
    if type(value) is int:
        literal = IntLit(value, text, span)
        return literal if grid.width is None else BitsOp("literal", grid.width, (literal,), span)
    if type(value) is Fraction:
        return RatLit(value, text, span)
    return cast(Expr, replace(cast(Any, leaf_of(value)), span=span))


def _grid_of_items(items: Any) -> Grid | None:
    kinds = set(map(type, items))
    if type(items) is not tuple or not kinds or not kinds <= _GRID_KINDS:
        return None
    if kinds == {ArrayLit}:
        return _grid_of_rows(items)
    if ArrayLit in kinds:
        return None
    values: list[Any] = []
    widths: set[int | None] = set()
    for item in items:
        value = item
        if type(item) is BitsOp and item.op == "literal" and len(item.args) == 1:
            value = item.args[0]
            if type(value) is not IntLit:
                return None
        kind = type(value)
        if kind is Member:
            value = (value.enum, value.member)
            sound = type(value[0]) is type(value[1]) is str
        elif kind is Name:
            value, sound = value.name, type(value.name) is str
        else:
            value = getattr(value, "value", None)
            sound = type(value) is _VALUE_CLASSES.get(kind)
        if not sound:
            return None
        if kind is IntLit:
            widths.add(item.width if type(item) is BitsOp else None)
        values.append(value)
    if len(widths) > 1:
        return None
    return Grid((len(items),), tuple(values), widths.pop() if widths else None)


def _grid_of_rows(rows: tuple[ArrayLit, ...]) -> Grid | None:
    grids: list[Grid] = []
    for row in rows:
        grid = grid_of(row)
        if grid is None or grid.shape != (grids[0] if grids else grid).shape:
            return None
        grids.append(grid)
    widths = {grid.width for grid in grids if int in grid.classes}
    if len(widths) > 1:
        return None
    values = tuple(chain.from_iterable(grid.values for grid in grids))
    return Grid((len(rows), *grids[0].shape), values, widths.pop() if widths else None)


_VALUE_CLASSES: dict[type[Any], type[Any]] = {BoolLit: bool, IntLit: int, RatLit: Fraction}
_LEAVES: dict[type[Any], Callable[[Any], Expr]] = {
    bool: BoolLit,
    int: IntLit,
    Fraction: RatLit,
    str: Name,
}
_GRID_KINDS = frozenset((ArrayLit, BoolLit, IntLit, RatLit, Name, Member, BitsOp))


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, outermost first."""
    pending = [node]
    while pending:
        top = pending.pop()
        yield top
        pending.extend(reversed(children(top)))


def positions(node: Node) -> Iterator[tuple[Position, Node]]:
    """Every node with its position: the path of child indices that leads to it."""
    pending: list[tuple[Position, Node]] = [((), node)]
    while pending:
        position, top = pending.pop()
        yield position, top
        below = children(top)
        pending.extend((position + (i,), below[i]) for i in reversed(range(len(below))))


def node_at(node: Node, position: Position) -> Node | None:
    """The node at a position, or None where the path leaves the tree."""
    for index in position:
        below = children(node)
        if not 0 <= index < len(below):
            return None
        node = below[index]
    return node


def count_nodes(code: Code) -> int:
    """The size of a program: its slots, statements, arms and expressions, one each; types count nothing."""
    found, pending = -1, [cast(Node, code)]
    while pending:
        top = pending.pop()
        grid = grid_of(top)
        if grid is None or grid.width is not None:
            found += 1
            pending.extend(children(top))
        else:
            found += grid.nodes
    return found


def depth_of(node: Node) -> int:
    """How many nodes stand on the longest path down."""
    deepest, pending = 0, [(node, 1)]
    while pending:
        top, depth = pending.pop()
        deepest = max(deepest, depth)
        pending.extend((child, depth + 1) for child in children(top))
    return deepest


def fold_literals(node: Node) -> Node:
    """The same tree with `-` before a number, and `/` between integers, folded into one literal."""
    below = tuple(fold_literals(child) for child in children(node))
    if below:
        node = with_children(node, below)
    match node:
        case Unary("-", IntLit(value)):
            return IntLit(-value, span=node.span)
        case Unary("-", RatLit(value)):
            return RatLit(-value, span=node.span)
        case Binary("/", IntLit(above), IntLit(under)) if under > 0:
            return RatLit(Fraction(above, under), span=node.span)
        case _:
            return node
