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


COMPARED = _operation("cannot be compared", "is compared")
MATCHED = _operation("cannot be matched", "is matched")
TESTED = _operation("cannot stand in a test", "stands in a test")
DIVIDES = _operation("cannot stand in a divisor", "stands in a divisor")
DIVIDED = _operation("is divided by constants alone", "is divided by what is no constant")
LISTED = _operation("cannot stand in an array", "stands in an array")
INDEXES = _operation("cannot stand in an index", "stands in an index")
FOLDED = _operation("cannot stand in a fold", "stands in a fold")
OTHER = _operation("cannot be used like this", "is used in another way")

NEXT = Misuse("G051", "cannot stand in a next value", "")
DRAWN = Misuse("G051", "cannot stand in a value that is drawn", "")

_HELP = "it reaches weights and rewards through + - *, division by constants, if, match, let and def alone"


def _within(word: str) -> Misuse:
    return _operation(f"cannot stand in {word}", f"stands in {word}")


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
        found = self.reads(node, env)
        if found.degrees:
            self.say(misuse, tuple(found.degrees), node)
        return Reads(found.varies)

    def reads(self, node: s.Expr, env: Env) -> Reads:
        """What an expression reads."""
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
                above, below = self.reads(left, env), self.closed(right, env, DIVIDES)
                if above.degrees and below.varies:
                    self.say(DIVIDED, tuple(above.degrees), right)
                return Reads(above.varies or below.varies, above.degrees)
            case s.If(test, then, otherwise):
                tested = self.closed(test, env, TESTED)
                return _either(tested, *[self.reads(e, env) for e in (then, otherwise)])
            case s.Match(subject, arms, otherwise):
                bodies = [arm.body for arm in arms] + ([otherwise] if otherwise else [])
                tested = self.closed(subject, env, MATCHED)
                return _either(tested, *[self.reads(body, env) for body in bodies])
            case s.Let(name, value, body):
                return self.reads(body, {**env, name: self.reads(value, env)})
            case s.Call(name, args) if name in self.functions:
                return self._call(node, self.functions[name], [self.reads(a, env) for a in args])
            case _:
                return self._other(node, env)

    def dist(self, node: s.Dist, env: Env) -> Reads:
        """What the weights of a distribution read."""
        match node:
            case s.DistMap(entries):
                return _either(*[self._weighted(entry, env) for entry in entries])
            case s.DistFor(var, _, _, entry):
                return self._weighted(entry, {**env, var: CONSTANT})
            case s.DistIf(test, then, otherwise):
                tested = self.closed(test, env, TESTED)
                return _either(tested, *[self.dist(d, env) for d in (then, otherwise)])
            case s.DistLet(name, value, body):
                return self.dist(body, {**env, name: self.reads(value, env)})
            case s.DistMatch(subject, arms, otherwise):
                bodies = [arm.body for arm in arms] + ([otherwise] if otherwise else [])
                tested = self.closed(subject, env, MATCHED)
                return _either(tested, *[self.dist(body, env) for body in bodies])

    def _weighted(self, entry: s.Weighted, env: Env) -> Reads:
        self.closed(entry.value, env, DRAWN)
        return self.reads(entry.weight, env)

    def _other(self, node: s.Expr, env: Env) -> Reads:
        """What a node reads that hands nothing open on; a loop makes its turns with constants."""
        match node:
            case s.Index(array, index):
                return self._all(env, (array, LISTED), (index, INDEXES))
            case s.With(array, changes):
                entries = [(c.index, INDEXES) for c in changes] + [
                    (c.value, LISTED) for c in changes
                ]
                return self._all(env, (array, LISTED), *entries)
            case s.ArrayFor(var, _, _, body):
                return self._all({**env, var: CONSTANT}, (body, LISTED))
            case s.Quantifier(_, var, _, _, body):
                return self._all({**env, var: CONSTANT}, (body, TESTED))
            case s.Fold(acc, start, var, _, _, body):
                first = self.closed(start, env, FOLDED)
                again = self.closed(body, {**env, var: CONSTANT, acc: first}, FOLDED)
                return Reads(first.varies or again.varies)
            case _:
                misuse = OTHER
                if isinstance(node, s.Compare):
                    misuse = COMPARED
                elif isinstance(node, s.ArrayLit):
                    misuse = LISTED
                elif isinstance(node, s.Call):
                    misuse = _within(f"{node.name}(…)")
                below: tuple[Any, ...] = s.children(node)
                return self._all(env, *((child, misuse) for child in below))

    def _all(self, env: Env, *parts: tuple[s.Expr, Misuse]) -> Reads:
        found = [self.closed(part, env, misuse) for part, misuse in parts]
        return Reads(any(f.varies for f in found))

    def _call(self, node: s.Call, function: Function, args: list[Reads]) -> Reads:
        """What a call reads; its body is followed once for each way in which arguments vary or are open."""
        shape = tuple((arg.varies, bool(arg.degrees)) for arg in args)
        for parameter, written, arg in zip(function.parameters, node.args, args, strict=True):
            if arg.degrees and _has_range(parameter.type):
                where = f"{parameter.name} of {function.name}, whose type is {show_range(parameter.type)}"
                misuse = Misuse(
                    "G052", f"cannot be {where}", "is handed on to a parameter with a range"
                )
                self.say(misuse, tuple(arg.degrees), written)
        key = function.name, shape
        if key not in self.known:
            self.known[key] = self._follow(function, shape)
        result, broken = self.known[key]
        names = {p.name: tuple(a.degrees) for p, a in zip(function.parameters, args, strict=True)}
        for misuse, parameter_name in broken:
            passed = (
                misuse.does if misuse.code == "G052" else f"{parameter_name} {misuse.does} there"
            )
            said = Misuse(
                misuse.code,
                f"cannot be handed to {function.name}: {passed}",
                f"is handed to {function.name}",
            )
            self.say(said, names[parameter_name], node)
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
            misuse = Misuse("G052", "", "becomes its result, which has a range")
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
        message = f"{name} {misuse.cannot}: it is {kinds[name]}"
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
