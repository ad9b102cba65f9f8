"""Random well-typed expressions and machines, the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from random import Random

from dsl import syntax as s
from dsl.check import check_machine
from dsl.interp import Globals
from dsl.machine import Program, Task
from dsl.parser import parse_machine
from dsl.types import Array, Bits, Bool, Enum, Int, Rat, Type, Value, Variable

COLOUR = Enum("Colour", ("red", "green", "blue"))
SIDE = Enum("Side", ("west", "east"))
TRIPLE = Array(3, None, Int())

VARIABLES = (
    Variable("a", Int(-3, 3)),
    Variable("b", Int(0, 4)),
    Variable("hue", COLOUR),
    Variable("side", SIDE),
    Variable("on", Bool()),
    Variable("row", Array(3, None, Int(-2, 2))),
    Variable("paint", Array(3, COLOUR, Int(0, 2))),
)
"""What a random expression reads; the state variables of `BASE`."""

BASE = """
machine base
enum Colour { red, green, blue }
enum Side { west, east }
const STEP = 2
const HALF = 1/2
const SPOTS = [3, 1, -4]
table GRID: array[2] of array[3] of int -9..9 = [[1, -2, 3], [for i in 0..2: i * STEP - 3]]
table TINT: array[Colour] of Colour = [green, blue, red]
table ODDS: array[3] of rat = [1/3, HALF, 2]
def twice(n: int): int = n + n
def sign(n: int): int = if n > 0 then 1 else if n < 0 then -1 else 0
def blend(p: Colour, q: Colour): Colour = if p == q then p else TINT[q]
def mean(p: rat, q: rat): rat = (p + q) / 2
def shift(xs: array[3] of int, n: int): array[3] of int = [for i in 0..2: xs[i] + n]
def pick(xs: array[Colour] of int, p: Colour): int = xs[p]
def bright(p: Colour, n: int): bool = match p { red: n > 0, green | blue: sign(n) != 0 and n < 3 }
environment {
  state a: int -3..3 = 0
  state b: int 0..4 = 1
  state hue: Colour = red
  state side: Side = west
  state on: bool = false
  state row: array[3] of int -2..2 = [0, 1, 2]
  state paint: array[Colour] of int 0..2 = [0, 1, 2]
  action go: Side
  reward = 0
}
utility { discount 1/2 }
agent {
  param gap: int 0..5 = 2
  table PLAN: array[5] of Side = [west, east, west, east, east]
  def nearer(n: int, m: int): int = if abs(n - gap) <= abs(m - gap) then n else m
  policy { go = PLAN[b] }
}
"""


def base() -> tuple[Task, Program]:
    """The task and program whose names random expressions read."""
    return check_machine(parse_machine(BASE))


def random_point(rng: Random, variables: tuple[Variable, ...] = VARIABLES) -> dict[str, Value]:
    """A value for each variable."""
    return {v.name: random_value(rng, v.type) for v in variables}


def random_value(rng: Random, kind: Type) -> Value:
    """A value of a type; numbers without ends stay small."""
    match kind:
        case Bool():
            return rng.random() < 0.5
        case Enum(_, members):
            return rng.randrange(len(members))
        case Int(low, high):
            return rng.randint(-4 if low is None else low, 4 if high is None else high)
        case Rat():
            return Fraction(rng.randint(-9, 9), rng.randint(1, 6))
        case Array(length, _, item):
            return tuple(random_value(rng, item) for _ in range(length))
        case Bits(width):
            return rng.randrange(1 << width)


@dataclass(slots=True)
class ExpressionMaker:
    """Makes random expressions over `names` and local variables.

    With `total`, an expression has a value everywhere: divisors are literals, indices are clamped. Without it some do not.
    """

    rng: Random
    names: Globals
    total: bool = False
    _bound: int = 0

    def make(self, kind: Type, depth: int, local: dict[str, Type]) -> s.Expr:
        """An expression of a type, ranges aside."""
        if depth <= 0 or self.rng.random() < 0.1:
            return self._leaf(kind, local)
        if self.rng.random() < 0.3:
            return self._structure(kind, depth - 1, local)
        match kind:
            case Bool():
                return self._bool(depth - 1, local)
            case Int():
                return self._int(depth - 1, local)
            case Rat():
                return self._rat(depth - 1, local)
            case Enum():
                return self._enum(kind, depth - 1, local)
            case Array():
                return self._array(kind, depth - 1, local)
            case Bits():
                raise TypeError("expressions of bits are made as text")

    def _known(self, kind: Type, local: dict[str, Type]) -> list[str]:
        return [name for name, found in local.items() if _alike(found, kind)]

    def _leaf(self, kind: Type, local: dict[str, Type]) -> s.Expr:
        rng = self.rng
        known = self._known(kind, local)
        if known and rng.random() < 0.7:
            return s.Name(rng.choice(known))
        match kind:
            case Bool():
                return s.BoolLit(rng.random() < 0.5)
            case Int():
                return s.Name("STEP") if rng.random() < 0.2 else s.IntLit(rng.randint(-4, 4))
            case Rat():
                return s.RatLit(Fraction(rng.randint(-5, 5), rng.choice([1, 2, 3, 7])))
            case Enum(name, members):
                member = rng.choice(members)
                return s.Member(name, member) if rng.random() < 0.5 else s.Name(member)
            case Array(length, _, item):
                return s.ArrayLit(tuple(self._leaf(item, local) for _ in range(length)))
            case Bits():
                raise TypeError("expressions of bits are made as text")

    def _structure(self, kind: Type, depth: int, local: dict[str, Type]) -> s.Expr:
        """Forms that a value of any type may take."""
        make, rng = self.make, self.rng
        form = rng.randrange(4)
        if form == 0:
            return s.If(
                make(Bool(), depth, local), make(kind, depth, local), make(kind, depth, local)
            )
        if form == 1:
            self._bound += 1
            name, found = f"v{self._bound}", self._some_type()
            value = make(found, depth, local)
            return s.Let(name, value, make(kind, depth, {**local, name: found}))
        if form == 2:
            return self._match(kind, depth, local)
        items = [make(kind, depth - 1, local) for _ in range(2)]
        if isinstance(kind, Array):
            return s.If(make(Bool(), depth, local), items[0], items[1])
        return s.Index(s.ArrayLit(tuple(items)), self._index(2, depth, local))

    def _some_type(self) -> Type:
        return self.rng.choice(_KINDS)

    def _match(self, kind: Type, depth: int, local: dict[str, Type]) -> s.Expr:
        rng = self.rng
        patterns: list[s.Expr]
        subject_kind = rng.choice(_SUBJECTS)
        match subject_kind:
            case Enum(name, members):
                patterns = [s.Member(name, m) for m in members]
            case Bool():
                patterns = [s.BoolLit(True), s.BoolLit(False)]
            case _:
                patterns = [s.IntLit(n) for n in rng.sample(range(-3, 4), 3)]
        rng.shuffle(patterns)
        otherwise = None
        if isinstance(subject_kind, Int) or rng.random() < 0.4:
            patterns = patterns[: rng.randint(1, len(patterns))]
            otherwise = self.make(kind, depth, local)
        arms: list[s.Arm] = []
        while patterns:
            taken, patterns = (
                (patterns[:2], patterns[2:]) if rng.random() < 0.3 else (patterns[:1], patterns[1:])
            )
            arms.append(s.Arm(tuple(taken), self.make(kind, depth, local)))
        return s.Match(self.make(subject_kind, depth, local), tuple(arms), otherwise)

    def _index(self, length: int, depth: int, local: dict[str, Type]) -> s.Expr:
        index = self.make(Int(), depth, local)
        if self.total or self.rng.random() < 0.8:
            return s.Call("clamp", (index, s.IntLit(0), s.IntLit(length - 1)))
        return index

    def _bool(self, depth: int, local: dict[str, Type]) -> s.Expr:
        make, rng = self.make, self.rng
        form = rng.randrange(7)
        if form == 0:
            return s.Unary("not", make(Bool(), depth, local))
        if form == 6:
            var, word = self._fresh(), rng.choice(["forall", "exists"])
            body = make(Bool(), depth - 1, {**local, var: Int()})
            return s.Quantifier(word, var, s.IntLit(0), s.IntLit(rng.randint(0, 2)), body)
        if form in (1, 2):
            op = rng.choice(["and", "or", "implies"])
            return s.Binary(op, make(Bool(), depth, local), make(Bool(), depth, local))
        if form == 3:
            count = rng.randint(1, 3)
            ops = tuple(rng.choice(rng.choice([["<", "<="], [">", ">="]])) for _ in range(count))
            ops = ops if len({op[0] for op in ops}) == 1 else ops[:1]
            return s.Compare(ops, tuple(self._number(depth, local) for _ in range(len(ops) + 1)))
        if form == 4:
            kind = rng.choice(_KINDS)
            sides = make(kind, depth, local), make(kind, depth, local)
            return s.Compare((rng.choice(["==", "!="]),), sides)
        return s.Call("bright", (make(COLOUR, depth, local), make(Int(), depth, local)))

    def _number(self, depth: int, local: dict[str, Type]) -> s.Expr:
        return self.make(self.rng.choice(_NUMBERS), depth, local)

    def _int(self, depth: int, local: dict[str, Type]) -> s.Expr:
        make, rng = self.make, self.rng
        form = rng.randrange(13)
        if form <= 2:
            return s.Binary(rng.choice("+-*"), make(Int(), depth, local), make(Int(), depth, local))
        if form == 12:
            return self._fold(depth, local)
        if form == 3:
            return s.Binary(
                rng.choice(["div", "mod"]), make(Int(), depth, local), self._divisor(depth, local)
            )
        if form == 4:
            count = rng.randint(2, 4)
            return s.Call(
                rng.choice(["min", "max"]), tuple(make(Int(), depth, local) for _ in range(count))
            )
        if form == 5:
            return s.Call("clamp", tuple(make(Int(), depth, local) for _ in range(3)))
        if form == 6:
            return s.Call("abs", (make(Int(), depth, local),))
        if form == 7:
            return s.Call("floor", (make(Rat(), depth, local),))
        if form == 8:
            return s.Call("ord", (make(rng.choice([COLOUR, SIDE]), depth, local),))
        if form == 9:
            operand = make(Int(), depth, local)
            if isinstance(operand, s.IntLit):
                return s.IntLit(-operand.value)
            return s.Unary("-", operand)
        if form == 10:
            return self._call_int(depth, local)
        return self._indexed(depth, local)

    def _fold(self, depth: int, local: dict[str, Type]) -> s.Expr:
        make, rng = self.make, self.rng
        acc, var = self._fresh(), self._fresh()
        added = make(Int(), depth - 1, {**local, acc: Int(), var: Int()})
        body: s.Expr = s.Binary(rng.choice("+-"), s.Name(acc), added)
        if rng.random() < 0.4:
            body = s.If(make(Bool(), depth - 1, {**local, var: Int()}), body, s.Name(acc))
        start, high = make(Int(), depth - 1, local), s.IntLit(rng.randint(0, 2))
        return s.Fold(acc, start, var, s.IntLit(0), high, body)

    def _fresh(self) -> str:
        self._bound += 1
        return f"v{self._bound}"

    def _divisor(self, depth: int, local: dict[str, Type]) -> s.Expr:
        if self.total or self.rng.random() < 0.6:
            return s.IntLit(self.rng.choice([-3, -2, -1, 1, 2, 3, 5]))
        return self.make(Int(), depth, local)

    def _call_int(self, depth: int, local: dict[str, Type]) -> s.Expr:
        functions = {
            n: len(f.parameters) for n, f in self.names.functions.items() if n in _INT_FUNCTIONS
        }
        name = self.rng.choice(sorted(functions))
        return s.Call(name, tuple(self.make(Int(), depth, local) for _ in range(functions[name])))

    def _indexed(self, depth: int, local: dict[str, Type]) -> s.Expr:
        make = self.make
        form = self.rng.randrange(5)
        if form == 0:
            return s.Index(
                s.Index(s.Name("GRID"), self._index(2, depth, local)), self._index(3, depth, local)
            )
        if form == 1:
            return s.Index(make(TRIPLE, depth, local), self._index(3, depth, local))
        if form == 2 and "paint" in local:
            return s.Index(s.Name("paint"), make(COLOUR, depth, local))
        if form == 3:
            painted = s.ArrayLit(tuple(make(Int(), depth - 1, local) for _ in COLOUR.members))
            return s.Call("pick", (painted, make(COLOUR, depth, local)))
        return s.Index(s.Name("SPOTS"), self._index(3, depth, local))

    def _rat(self, depth: int, local: dict[str, Type]) -> s.Expr:
        make, rng = self.make, self.rng
        form = rng.randrange(7)
        if form <= 1:
            return s.Binary(
                rng.choice("+-*"), self._number(depth, local), make(Rat(), depth, local)
            )
        if form == 2:
            return s.Binary("/", self._number(depth, local), self._divisor(depth, local))
        if form == 3:
            return s.Call(
                rng.choice(["min", "max"]), (make(Rat(), depth, local), self._number(depth, local))
            )
        if form == 4:
            return s.Call("mean", (self._number(depth, local), self._number(depth, local)))
        if form == 5:
            return s.Index(s.Name("ODDS"), self._index(3, depth, local))
        args = make(Rat(), depth, local), self._number(depth, local), self._number(depth, local)
        return s.Call("clamp", args)

    def _enum(self, kind: Enum, depth: int, local: dict[str, Type]) -> s.Expr:
        make, rng = self.make, self.rng
        count = len(kind.members)
        form = rng.randrange(3)
        if form == 0:
            number = make(Int(), depth, local)
            if self.total or rng.random() < 0.8:
                number = s.Binary("mod", number, s.IntLit(count))
            return s.Call(kind.name, (number,))
        if kind == SIDE:
            if "PLAN" in self.names.values and form == 1:
                return s.Index(s.Name("PLAN"), self._index(5, depth, local))
            return s.If(
                make(Bool(), depth, local), make(kind, depth, local), make(kind, depth, local)
            )
        if form == 1:
            return s.Index(s.Name("TINT"), make(COLOUR, depth, local))
        return s.Call("blend", (make(COLOUR, depth, local), make(COLOUR, depth, local)))

    def _array(self, kind: Array, depth: int, local: dict[str, Type]) -> s.Expr:
        make, rng = self.make, self.rng
        form = rng.randrange(5)
        if form == 4 and kind.index is None:
            changes = [
                s.Change(self._index(kind.length, depth - 1, local), make(kind.item, depth, local))
                for _ in range(rng.randint(1, 2))
            ]
            return s.With(make(kind, depth - 1, local), tuple(changes))
        if form == 0 and kind == TRIPLE:
            return s.Index(s.Name("GRID"), self._index(2, depth, local))
        if form == 1 and kind == TRIPLE:
            return s.Call("shift", (make(TRIPLE, depth, local), make(Int(), depth, local)))
        if form == 2:
            return s.ArrayLit(tuple(make(kind.item, depth, local) for _ in range(kind.length)))
        self._bound += 1
        var = f"v{self._bound}"
        body = make(kind.item, depth, {**local, var: Int()})
        return s.ArrayFor(var, s.IntLit(0), s.IntLit(kind.length - 1), body)


_KINDS: tuple[Type, ...] = (Bool(), Int(), Int(), Rat(), COLOUR, SIDE, TRIPLE)
_SUBJECTS: tuple[Type, ...] = (COLOUR, Int(), Bool(), SIDE)
_NUMBERS: tuple[Type, ...] = (Int(), Int(), Rat())
_INT_FUNCTIONS = ("twice", "sign", "nearer")


def _alike(found: Type, kind: Type) -> bool:
    match found, kind:
        case Array(n, index, item), Array(m, wanted, other):
            return n == m and index == wanted and _alike(item, other)
        case (Int(), Int()) | (Rat(), Rat()):
            return True
        case _:
            return found == kind


def random_machine(seed: int, *, depth: int = 3, horizon: int | None = 2) -> s.Machine:
    """A small total machine with random next values, weights, reward and policy; a discount where there is no horizon."""
    rng = Random(seed)
    machine = parse_machine(
        _MACHINE.replace("UTILITY", f"horizon {horizon}" if horizon else "discount 1/2")
    )
    task, program = check_machine(machine)
    maker = ExpressionMaker(rng, task.names, total=True)
    state: dict[str, Type] = {v.name: v.type for v in task.states}
    step = {**state, "go": SIDE, "luck": Int()}
    late = {**step, "mix": Int()}

    def clamped(expr: s.Expr, low: int, high: int) -> s.Expr:
        return s.Call("clamp", (expr, s.IntLit(low), s.IntLit(high)))

    def rebuilt(item: s.EnvironmentItem) -> s.EnvironmentItem:
        match item:
            case s.Define():
                return s.Define(item.name, maker.make(Int(), depth, step))
            case s.Chance():
                return s.Chance(
                    item.name, item.type, _random_dist(rng, maker, {**state, "go": SIDE}, depth)
                )
            case s.Next("x", _):
                return s.Next("x", clamped(maker.make(Int(), depth, late), 0, 2))
            case s.Next("hue", _):
                return s.Next("hue", maker.make(COLOUR, depth, late))
            case s.Reward():
                return s.Reward(clamped(maker.make(Rat(), depth, late), -9, 9))
            case _:
                return item

    environment = s.Environment(tuple(rebuilt(i) for i in machine.declarations.environment.items))
    policy_maker = ExpressionMaker(rng, program.names, total=True)
    body = (
        s.Define("now", policy_maker.make(Int(), depth, dict(state))),
        s.Assign("go", policy_maker.make(SIDE, depth, {**state, "now": Int()})),
    )
    slots = tuple(
        s.Policy("main", body) if isinstance(x, s.Policy) else x for x in machine.agent.slots
    )
    old = machine.declarations
    declarations = s.Declarations(old.name, old.items, environment, old.utility)
    return s.Machine(declarations, s.Code(slots))


def _random_dist(rng: Random, maker: ExpressionMaker, local: dict[str, Type], depth: int) -> s.Dist:
    if depth > 0 and rng.random() < 0.4:
        below = [_random_dist(rng, maker, local, depth - 1) for _ in range(2)]
        return s.DistIf(maker.make(Bool(), depth, local), below[0], below[1])
    weights = rng.choice(
        [(Fraction(1),), (Fraction(1, 2),) * 2, (Fraction(1, 4), Fraction(0), Fraction(3, 4))]
    )
    entries: list[s.Weighted] = []
    for i, weight in enumerate(weights):
        value = s.IntLit(i) if rng.random() < 0.7 else maker.make(Int(), depth - 1, local)
        clamped = s.Call("clamp", (value, s.IntLit(-2), s.IntLit(2)))
        entries.append(s.Weighted(clamped, s.RatLit(weight)))
    return s.DistMap(tuple(entries))


_MACHINE = (
    BASE[: BASE.index("environment")].replace("machine base", "machine random_walk")
    + """
environment {
  state x: int 0..2 = { 0: 1/2, 2: 1/2 }
  state hue: Colour = if x == 0 then red else blue
  action go: Side
  chance luck: int -2..2 = { 0: 1 }
  let mix = 0
  x' = x
  hue' = hue
  reward = 0
  done = x == 1 and hue == green
}
utility { UTILITY  tick_price 1/100  size_price 1/1000 }
agent {
  param gap: int 0..5 = 2
  table PLAN: array[5] of Side = [west, east, west, east, east]
  def nearer(n: int, m: int): int = if abs(n - gap) <= abs(m - gap) then n else m
  policy { go = west }
}
"""
)
