"""Where rational unknowns and rates may stand: they reach weights and rewards through `+ - *`, division by constants,
`let`, and `if`, `match` and `def` whose tests do not read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import comb
from typing import Any, TypeAlias

from dsl import syntax as s
from dsl.infer import Faults
from dsl.interp import Function, show_range
from dsl.polynomial import TERMS_MAX
from dsl.types import Type, without_ranges


@dataclass(frozen=True, slots=True)
class Reads:
    """What the value of an expression depends on: whether it varies from state to state, and the open names in it, each
    with the highest exponent that it may have."""

    varies: bool = False
    degrees: Mapping[str, int] = field(default_factory=dict)


CONSTANT, VARIES = Reads(), Reads(varies=True)
Env: TypeAlias = Mapping[str, Reads]


@dataclass(frozen=True, slots=True)
class Misuse:
    """A use that an open number cannot be put to, as it is said of an unknown and of the parameter of a `def`."""

    code: str
    cannot: str
    does: str


def _operation(cannot: str, does: str) -> Misuse:
    return Misuse("G050", cannot, does)


COMPARED = _operation("cannot be compared", "{} is compared there")
TESTED = _operation("cannot stand in a test", "{} stands in a test there")
DIVIDES = _operation("cannot stand in a divisor", "{} stands in a divisor there")
DIVIDED = _operation("is divided by constants alone", "{} is divided by what is no constant there")
LISTED = _operation("cannot stand in an array", "{} stands in an array there")
INDEXES = _operation("cannot stand in an index", "{} stands in an index there")
FOLDED = _operation("cannot stand in a fold", "{} stands in a fold there")
OTHER = _operation("cannot be used like this", "{} is used in another way there")

NEXT = Misuse("G051", "cannot stand in a next value", "")
DRAWN = Misuse("G051", "cannot stand in a value that is drawn", "")

_HELP = "it reaches weights and rewards through + - *, division by constants, if, match, let and def alone"


def _within(word: str) -> Misuse:
    return _operation(f"cannot stand in {word}", f"{{}} stands in {word} there")


class Discipline:
    """Follows open numbers through expressions; `say` gets the faults: what is misused, the open names, where."""

    def __init__(
        self,
        functions: Mapping[str, Function],
        say: Callable[[Misuse, tuple[str, ...], s.Node], None],
        known: dict[Any, Followed] | None = None,
    ) -> None:
        self.functions, self.say = functions, say
        self.known = {} if known is None else known

    def closed(self, node: s.Expr, env: Env, misuse: Misuse) -> Reads:
        """What a node reads that may read nothing open."""
        return self._shut(node, self.reads(node, env), misuse)

    def _shut(self, node: s.Expr, found: Reads, misuse: Misuse) -> Reads:
        if not found.degrees:
            return found
        self.say(misuse, tuple(found.degrees), node)
        return Reads(found.varies)

    def reads(self, node: s.Expr, env: Env) -> Reads:
        """What an expression reads."""
        # no comprehensions and few helpers between the levels: their frames would count where expressions nest deeply
        match node:
            case s.Name(name):
                return env.get(name, CONSTANT)
            case s.Primed(name):
                return env.get(name + "'", VARIES)
            case s.Unary("-", operand):
                return self.reads(operand, env)
            case s.Binary("+" | "-", left, right):
                return _either(self.reads(left, env), self.reads(right, env))
            case s.Binary("*", left, right):
                return _product(self.reads(left, env), self.reads(right, env))
            case s.Binary("/", left, right):
                above, below = self.reads(left, env), self.reads(right, env)
                varies = self._shut(right, below, DIVIDES).varies
                if above.degrees and varies:
                    self.say(DIVIDED, tuple(above.degrees), right)
                return Reads(above.varies or varies, above.degrees)
            case s.Let(name, value, body):
                return self.reads(body, {**env, name: self.reads(value, env)})
            case s.If() | s.Match():
                tested, bodies = _choices(node)
                found = self._shut(tested, self.reads(tested, env), TESTED)
                for body in bodies:
                    found = _either(found, self.reads(body, env))
                return found
            case s.Call(name, args) if name in self.functions:
                handed: list[Reads] = []
                for arg in args:
                    handed.append(self.reads(arg, env))
                return self._call(node, self.functions[name], handed)
            case s.Fold(acc, start, var, _, _, body):
                first = self._shut(start, self.reads(start, env), FOLDED)
                inner = {**env, var: CONSTANT, acc: first}
                again = self._shut(body, self.reads(body, inner), FOLDED)
                return Reads(first.varies or again.varies)
            case _:
                varies = False
                if isinstance(node, s.ArrayFor | s.Quantifier):
                    # a loop makes its turns with constants
                    env = {**env, node.var: CONSTANT}
                for part, misuse in _parts(node):
                    varies |= self._shut(part, self.reads(part, env), misuse).varies
                return Reads(varies)

    def dist(self, node: s.Dist, env: Env) -> Reads:
        """What the weights of a distribution read."""
        match node:
            case s.DistMap(entries):
                found = CONSTANT
                for entry in entries:
                    self.closed(entry.value, env, DRAWN)
                    found = _either(found, self.reads(entry.weight, env))
                return found
            case s.DistFor(var, _, _, entry):
                return self.dist(s.DistMap((entry,)), {**env, var: CONSTANT})
            case s.DistLet(name, value, body):
                return self.dist(body, {**env, name: self.reads(value, env)})
            case s.DistIf() | s.DistMatch():
                tested, bodies = _choices(node)
                found = self.closed(tested, env, TESTED)
                for body in bodies:
                    found = _either(found, self.dist(body, env))
                return found

    def _call(self, node: s.Call, function: Function, args: list[Reads]) -> Reads:
        """What a call reads; its body is followed once for each way in which arguments vary or are open."""
        shape = tuple((arg.varies, bool(arg.degrees)) for arg in args)
        for parameter, written, arg in zip(function.parameters, node.args, args, strict=True):
            if arg.degrees and _has_range(parameter.type):
                kept = f"{parameter.name} of {function.name}, which keeps to {show_range(parameter.type)}"
                misuse = Misuse("G052", f"cannot be {kept}", f"{{}} becomes {kept}")
                self.say(misuse, tuple(arg.degrees), written)
        key = function.name, shape
        if key not in self.known:
            self.known[key] = self._follow(function, shape)
        result, broken = self.known[key]
        names = {p.name: tuple(a.degrees) for p, a in zip(function.parameters, args, strict=True)}
        for misuse, name in broken:
            why = f"handed to {function.name}"
            cannot = f"cannot be {why}: {misuse.does.format(name)}"
            self.say(Misuse(misuse.code, cannot, f"{{}} is {why} there"), names[name], node)
        degrees: dict[str, int] = {}
        for parameter, arg in zip(function.parameters, args, strict=True):
            times = result.degrees.get(parameter.name, 0)
            for name, degree in arg.degrees.items():
                if times:
                    degrees[name] = degrees.get(name, 0) + times * degree
        return Reads(result.varies, degrees)

    def _follow(self, function: Function, shape: tuple[tuple[bool, bool], ...]) -> Followed:
        broken: dict[tuple[Misuse, str], None] = {}

        def say(misuse: Misuse, names: tuple[str, ...], _: s.Node) -> None:
            broken.update(((misuse, name), None) for name in names)

        env = {
            parameter.name: Reads(varies, {parameter.name: 1} if is_open else {})
            for parameter, (varies, is_open) in zip(function.parameters, shape, strict=True)
        }
        result = Discipline(self.functions, say, self.known).reads(function.body, env)
        if result.degrees and _has_range(function.result):
            kept = f"its result keeps to {show_range(function.result)}"
            misuse = Misuse("G052", "", kept)
            say(misuse, tuple(result.degrees), function.body)
        return result, tuple(broken)


Followed: TypeAlias = tuple[Reads, tuple[tuple[Misuse, str], ...]]
"""What a call reads, in terms of the parameters, and the misuses of parameters in its body."""


def reporter(
    faults: Faults, kinds: Mapping[str, str]
) -> Callable[[Misuse, tuple[str, ...], s.Node], None]:
    """What `Discipline` says, as diagnostics; `kinds` says of every open name what it is."""

    def say(misuse: Misuse, names: tuple[str, ...], node: s.Node) -> None:
        name = names[0]
        note = ""
        if isinstance(node, s.Name) and node.name not in names:
            note = f"{node.name} reads {name}"
        message = f"{name}, {kinds[name]}, {misuse.cannot}"
        faults.add(misuse.code, message, node, note=note, help=_HELP)

    return say


def count_terms(degrees: Iterable[Mapping[str, int]]) -> int:
    """How many terms the product of polynomials with these highest exponents may have at most."""
    joint: dict[str, int] = {}
    for each in degrees:
        for name, degree in each.items():
            joint[name] = joint.get(name, 0) + degree
    boxes = 1
    for degree in joint.values():
        boxes = min(boxes * (degree + 1), TERMS_MAX + 1)
    total = min(sum(joint.values()), TERMS_MAX)
    return min(boxes, comb(len(joint) + total, total))


def _choices(node: s.If | s.Match | s.DistIf | s.DistMatch) -> tuple[s.Expr, list[Any]]:
    """What a choice tests, and what it chooses from."""
    if isinstance(node, s.If | s.DistIf):
        return node.test, [node.then, node.otherwise]
    bodies: list[Any] = [arm.body for arm in node.arms]
    return node.subject, [*bodies, node.otherwise] if node.otherwise else bodies


def _parts(node: s.Expr) -> list[tuple[s.Expr, Misuse]]:
    """The parts of a node that hands nothing open on, and how each would be misused by it."""
    match node:
        case s.Index(array, index):
            return [(array, LISTED), (index, INDEXES)]
        case s.With(array, changes):
            entries = [[(c.index, INDEXES), (c.value, LISTED)] for c in changes]
            return [(array, LISTED), *(part for entry in entries for part in entry)]
        case s.ArrayFor(_, _, _, body):
            return [(body, LISTED)]
        case s.Quantifier(_, _, _, _, body):
            return [(body, TESTED)]
        case s.Compare(_, operands):
            return [(operand, COMPARED) for operand in operands]
        case s.ArrayLit(items):
            return [(item, LISTED) for item in items]
        case s.Call(name, args):
            return [(arg, _within(f"{name}(…)")) for arg in args]
        case _:
            below: tuple[Any, ...] = s.children(node)
            return [(child, OTHER) for child in below]


def _either(*found: Reads) -> Reads:
    """What a sum or a choice reads."""
    degrees: dict[str, int] = {}
    for each in found:
        for name, degree in each.degrees.items():
            degrees[name] = max(degrees.get(name, 0), degree)
    return Reads(any(each.varies for each in found), degrees)


def _product(left: Reads, right: Reads) -> Reads:
    degrees = dict(left.degrees)
    for name, degree in right.degrees.items():
        degrees[name] = degrees.get(name, 0) + degree
    return Reads(left.varies or right.varies, degrees)


def _has_range(kind: Type) -> bool:
    return kind != without_ranges(kind)
