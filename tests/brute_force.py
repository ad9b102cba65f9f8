"""What machines are worth, worked out from the language's definition alone: every state, exact arithmetic, no kernel.

Nothing here comes from the interpreter, the checker or the proofs: names are resolved, trees evaluated, ticks and nodes
counted, and equations solved by code of its own over the parser's trees. Slow and small on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import cache, partial
from itertools import product
from math import floor, lcm
from typing import Any

from dsl import syntax as s

STEPS_MAX = 10_000
NOTHING = Fraction(0)


class Fault(Exception):
    """Something without a value, or outside the range or kind that is asked for."""


# --- values and the sets they lie in -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Symbol:
    """A member of an enum. Numbers are `int` and `Fraction`, truths `bool`, arrays tuples."""

    enum: str
    ordinal: int


@dataclass(frozen=True, slots=True)
class Domain:
    """The values of a type: `word` is bool, int, rat, enum or array."""

    word: str
    low: Any = None
    high: Any = None
    enum: str = ""
    length: int = 0
    item: Domain | None = None

    def values(self) -> list[Any]:
        """Every value of a finite domain."""
        if self.word == "bool":
            return [False, True]
        if self.word == "enum":
            return [Symbol(self.enum, i) for i in range(self.length)]
        if self.word == "int" and self.low is not None:
            return list(range(self.low, self.high + 1))
        if self.word == "array" and self.item is not None:
            return list(product(self.item.values(), repeat=self.length))
        raise Fault("a domain without end")

    def require(self, value: Any) -> Any:
        """The value itself; Fault where it does not belong here."""
        good = False
        if self.word == "bool":
            good = isinstance(value, bool)
        elif self.word == "enum":
            good = isinstance(value, Symbol) and value.enum == self.enum
        elif self.word == "array" and self.item is not None:
            good = isinstance(value, tuple) and len(value) == self.length
            for part in value if good else ():
                self.item.require(part)
        else:
            good = _is_number(value) and (self.word == "rat" or isinstance(value, int))
            good = good and (self.low is None or self.low <= value <= self.high)
        if not good:
            raise Fault(f"{value} is no {self}")
        return value


def plain(value: Any) -> Any:
    """A value as the language core writes it: members by their ordinals."""
    if isinstance(value, Symbol):
        return value.ordinal
    return tuple(plain(v) for v in value) if isinstance(value, tuple) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Fraction) and not isinstance(value, bool)


def _number(value: Any) -> Any:
    if not _is_number(value):
        raise Fault(f"{value} is no number")
    return value


def _whole(value: Any) -> int:
    if not _is_number(value) or not isinstance(value, int):
        raise Fault(f"{value} is no integer")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Fault(f"{value} is no truth value")
    return value


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, Symbol):
        return value.enum
    return "array" if isinstance(value, tuple) else "number"


# --- names ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Names:
    """What a place can read: values, formulas worked out when they are first read, and everything outside."""

    outer: Names | None = None
    known: dict[str, Any] = field(default_factory=dict)
    formulas: dict[str, Callable[[], Any]] = field(default_factory=dict)
    enums: dict[str, tuple[str, ...]] = field(default_factory=dict)
    defs: dict[str, tuple[s.Def, Names]] = field(default_factory=dict)

    def read(self, name: str) -> Any:
        """The value of a name. A circle never ends, which Python reports as a RecursionError."""
        place: Names | None = self
        while place is not None:
            if name in place.known:
                return place.known[name]
            if name in place.formulas:
                place.known[name] = value = place.formulas[name]()
                return value
            place = place.outer
        owners = [e for e, members in self.all_enums() if name in members]
        if len(owners) != 1:
            raise Fault(f"nothing, or more than one thing, is called {name}")
        return self.member(owners[0], name)

    def member(self, enum: str, member: str) -> Symbol:
        """A member of an enum."""
        members = dict(self.all_enums()).get(enum, ())
        if member not in members:
            raise Fault(f"{enum} has no member {member}")
        return Symbol(enum, members.index(member))

    def all_enums(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Every enum in sight."""
        place: Names | None = self
        while place is not None:
            yield from place.enums.items()
            place = place.outer

    def function(self, name: str) -> tuple[s.Def, Names] | None:
        """A `def` with the place it was declared in."""
        place: Names | None = self
        while place is not None:
            if name in place.defs:
                return place.defs[name]
            place = place.outer
        return None

    def inside(self, **known: Any) -> Names:
        """A place inside this one."""
        return Names(self, known)

    def add(self, node: s.Node) -> None:
        """Declare a constant, table, parameter, function or enum."""
        match node:
            case s.Enum(name, members):
                self.enums[name] = members
            case s.Const(name, value):
                self.formulas[name] = lambda: evaluate(value, self)[0]
            case s.Table(name, kind, value) | s.Param(name, kind, value):
                self.formulas[name] = lambda: domain(kind, self).require(evaluate(value, self)[0])
            case s.Def(name):
                self.defs[name] = (node, self)


def domain(kind: s.TypeExpr, names: Names) -> Domain:
    """The values of a written type."""
    match kind:
        case s.BoolType():
            return Domain("bool")
        case s.IntType(None, None):
            return Domain("int")
        case s.RatType(None, None):
            return Domain("rat")
        case s.IntType(low, high) | s.RatType(low, high):
            assert low is not None and high is not None
            word = "int" if isinstance(kind, s.IntType) else "rat"
            return Domain(word, evaluate(low, names)[0], evaluate(high, names)[0])
        case s.NamedType(name):
            members = dict(names.all_enums()).get(name)
            if members is None:
                raise Fault(f"there is no enum {name}")
            return Domain("enum", enum=name, length=len(members))
        case s.ArrayType(s.Name(name), item) if name in dict(names.all_enums()):
            length = len(dict(names.all_enums())[name])
            return Domain("array", enum=name, length=length, item=domain(item, names))
        case s.ArrayType(size, item):
            length = _whole(evaluate(size, names)[0])
            return Domain("array", length=length, item=domain(item, names))


# --- expressions: the value and the ticks --------------------------------------------------------


def evaluate(expr: s.Expr, names: Names) -> tuple[Any, int]:
    """The value of an expression and its ticks (LANGUAGE, section 5)."""
    match expr:
        case s.BoolLit(literal) | s.IntLit(literal) | s.RatLit(literal):
            return literal, 0
        case s.Name(name):
            return names.read(name), 0
        case s.Primed(name):
            return names.read(name + "'"), 0
        case s.Member(enum, member):
            return names.member(enum, member), 0
        case s.Unary(op, operand):
            value, ticks = evaluate(operand, names)
            return (not _truth(value) if op == "not" else -_number(value)), ticks + 1
        case s.Binary("and" | "or" | "implies" as op, left, right):
            first, ticks = evaluate(left, names)
            decided = _truth(first) if op == "or" else not _truth(first)
            if decided:
                return op != "and", ticks + 1
            second, more = evaluate(right, names)
            return _truth(second), ticks + more + 1
        case s.Binary(op, left, right):
            (first, ticks), (second, more) = evaluate(left, names), evaluate(right, names)
            return _arithmetic(op, _number(first), _number(second)), ticks + more + 1
        case s.Compare(ops, operands):
            return _chain(ops, operands, names)
        case s.If(test, then, otherwise):
            taken, ticks = evaluate(test, names)
            value, more = evaluate(then if _truth(taken) else otherwise, names)
            return value, ticks + more + 1
        case s.Let(name, bound, body):
            held, ticks = evaluate(bound, names)
            value, more = evaluate(body, names.inside(**{name: held}))
            return value, ticks + more + 1
        case s.Match(subject, arms, otherwise):
            against, ticks = evaluate(subject, names)
            value, more = evaluate(_taken(against, arms, otherwise, names), names)
            return value, ticks + more + 1
        case s.Call(name, args):
            worked = [evaluate(a, names) for a in args]
            value, ticks = _call(name, [v for v, _ in worked], names)
            return value, ticks + sum(t for _, t in worked)
        case s.Index(array, index):
            (items, ticks), (at, more) = evaluate(array, names), evaluate(index, names)
            at = at.ordinal if isinstance(at, Symbol) else _whole(at)
            if not isinstance(items, tuple) or not 0 <= at < len(items):
                raise Fault(f"no item {at} in {items}")
            return items[at], ticks + more + 1
        case s.ArrayLit(items):
            worked = [evaluate(i, names) for i in items]
            return tuple(v for v, _ in worked), 1 + sum(t for _, t in worked)
        case s.ArrayFor(var, low, high, body):
            turns = range(evaluate(low, names)[0], evaluate(high, names)[0] + 1)
            worked = [evaluate(body, names.inside(**{var: i})) for i in turns]
            return tuple(v for v, _ in worked), 1 + sum(t for _, t in worked)


def _arithmetic(op: str, left: Any, right: Any) -> Any:
    if op == "+":
        return left + right
    if op == "-":
        return left - right
    if op == "*":
        return left * right
    if right == 0:
        raise Fault("division by 0")
    if op == "/":
        return Fraction(left) / Fraction(right)
    quotient = floor(Fraction(_whole(left), _whole(right)))
    return quotient if op == "div" else left - right * quotient


def _chain(ops: tuple[str, ...], operands: tuple[s.Expr, ...], names: Names) -> tuple[bool, int]:
    left, ticks = evaluate(operands[0], names)
    for op, operand in zip(ops, operands[1:], strict=True):
        right, more = evaluate(operand, names)
        ticks += more + 1
        if op in ("==", "!="):
            if _kind(left) != _kind(right):
                raise Fault(f"{left} and {right} cannot be compared")
            holds = (left == right) == (op == "==")
        else:
            gap = _number(left) - _number(right)
            holds = (
                gap < 0
                if op == "<"
                else gap <= 0
                if op == "<="
                else gap > 0
                if op == ">"
                else gap >= 0
            )
        if not holds:
            return False, ticks
        left = right
    return True, ticks


def _taken(subject: Any, arms: Any, otherwise: Any, names: Names) -> Any:
    for arm in arms:
        for pattern in arm.patterns:
            value = evaluate(pattern, names)[0]
            if _kind(value) != _kind(subject):
                raise Fault(f"{subject} cannot be matched with {value}")
            if value == subject:
                return arm.body
    if otherwise is None:
        raise Fault(f"no arm takes {subject}")
    return otherwise


def _call(name: str, args: list[Any], names: Names) -> tuple[Any, int]:
    """The value of a call, and its ticks without those of the arguments."""
    if name in ("min", "max"):
        best = args[0]
        for other in args[1:]:
            below = _number(other) < _number(best)
            best = other if below == (name == "min") and other != best else best
        return best, len(args) - 1
    if name == "abs":
        return (-args[0] if _number(args[0]) < 0 else args[0]), 1
    if name == "floor":
        return floor(_number(args[0])), 1
    if name == "clamp":
        value, low, high = (_number(a) for a in args)
        return (low if value < low else high if value > high else value), 1
    if name == "ord":
        if not isinstance(args[0], Symbol):
            raise Fault(f"{args[0]} is no member")
        return args[0].ordinal, 1
    members = dict(names.all_enums()).get(name)
    if members is not None:
        if not 0 <= _whole(args[0]) < len(members):
            raise Fault(f"{name} has no member number {args[0]}")
        return Symbol(name, args[0]), 1
    found = names.function(name)
    if found is None or len(found[0].parameters) != len(args):
        raise Fault(f"{name} cannot be called like this")
    function, home = found
    given = {
        p.name: domain(p.type, home).require(a)
        for p, a in zip(function.parameters, args, strict=True)
    }
    value, ticks = evaluate(function.body, home.inside(**given))
    return domain(function.result, home).require(value), ticks + 1


def distribution(dist: s.Dist, names: Names) -> dict[Any, Fraction]:
    """The weights of the values that may be drawn."""
    match dist:
        case s.DistMap(entries):
            listed = [(names, entry) for entry in entries]
        case s.DistFor(var, low, high, entry):
            turns = range(evaluate(low, names)[0], evaluate(high, names)[0] + 1)
            listed = [(names.inside(**{var: i}), entry) for i in turns]
        case s.DistIf(test, then, otherwise):
            return distribution(then if _truth(evaluate(test, names)[0]) else otherwise, names)
        case s.DistLet(name, bound, body):
            return distribution(body, names.inside(**{name: evaluate(bound, names)[0]}))
        case s.DistMatch(subject, arms, last):
            return distribution(_taken(evaluate(subject, names)[0], arms, last, names), names)
    weights: dict[Any, Fraction] = {}
    for place, entry in listed:
        value = evaluate(entry.value, place)[0]
        weight = Fraction(_number(evaluate(entry.weight, place)[0]))
        if weight < 0:
            raise Fault(f"a weight of {weight}")
        weights[value] = weights.get(value, NOTHING) + weight
    if sum(weights.values()) != 1:
        raise Fault(f"weights that sum to {sum(weights.values())}")
    return {v: w for v, w in weights.items() if w > 0}


# --- the world -----------------------------------------------------------------------------------


class World:
    """What a set of declarations says, step by step. States and actions are tuples in the order of declaration."""

    def __init__(self, declarations: s.Declarations) -> None:
        self.shared = Names()
        for top in declarations.items:
            self.shared.add(top)
        self.names = Names(self.shared)
        items = declarations.environment.items
        for item in items:
            if isinstance(item, s.Const | s.Table | s.Def):
                self.names.add(item)
        self.state = [i for i in items if isinstance(i, s.State)]
        self.action = [i for i in items if isinstance(i, s.Action)]
        self.chance = [i for i in items if isinstance(i, s.Chance)]
        self.lets = [i for i in items if isinstance(i, s.Define)]
        self.nexts = {i.name: i.value for i in items if isinstance(i, s.Next)}
        self.reward = next(i.value for i in items if isinstance(i, s.Reward))
        self.ends = [i.value for i in items if isinstance(i, s.Done)]
        self.domains = {
            i.name: domain(i.type, self.names)
            for i in items
            if isinstance(i, s.State | s.Action | s.Chance)
        }
        listed = [i.names for i in items if isinstance(i, s.Observe)]
        self.observed = listed[0] if listed else tuple(i.name for i in self.state)
        settings = {i.key: i.value for i in declarations.utility.settings}

        def setting(key: str) -> Fraction:
            return Fraction(evaluate(settings.get(key, s.IntLit(0)), self.shared)[0])

        self.horizon = int(setting("horizon")) if "horizon" in settings else None
        self.discount = setting("discount") if "discount" in settings else Fraction(1)
        self.tick_price, self.size_price = setting("tick_price"), setting("size_price")
        self._draws: dict[tuple[Any, Any], list[tuple[Fraction, Fraction, Any]]] = {}
        self._done: dict[Any, bool] = {}

    def states(self) -> list[Any]:
        """Every state there is, reachable or not."""
        return list(product(*(self.domains[i.name].values() for i in self.state)))

    def actions(self) -> list[Any]:
        """Every action there is."""
        return list(product(*(self.domains[i.name].values() for i in self.action)))

    def starts(self) -> dict[Any, Fraction]:
        """The starts with their weights."""
        drawn: list[tuple[dict[str, Any], Fraction]] = [({}, Fraction(1))]
        for item in self.state:
            longer: list[tuple[dict[str, Any], Fraction]] = []
            for above, weight in drawn:
                place = self.names.inside(**above)
                start = item.start
                if isinstance(start, s.DistMap | s.DistFor | s.DistIf | s.DistLet | s.DistMatch):
                    chosen = distribution(start, place)
                else:
                    chosen = {evaluate(start, place)[0]: Fraction(1)}
                for value, w in chosen.items():
                    self.domains[item.name].require(value)
                    longer.append(({**above, item.name: value}, weight * w))
            drawn = longer
        weights: dict[Any, Fraction] = {}
        for values, weight in drawn:
            state = tuple(values.values())
            weights[state] = weights.get(state, NOTHING) + weight
        return weights

    def is_done(self, state: Any) -> bool:
        """Whether the episode has ended."""
        if state not in self._done:
            place = self.names.inside(**self._named(state))
            self._done[state] = any(_truth(evaluate(e, place)[0]) for e in self.ends)
        return self._done[state]

    def _named(self, state: Any) -> dict[str, Any]:
        return dict(zip((i.name for i in self.state), state, strict=True))

    def draws(self, state: Any, actions: Any) -> list[tuple[Fraction, Fraction, Any]]:
        """Weight, reward and next state of everything that chance may do."""
        key = state, actions
        if key not in self._draws:
            known = self._named(state)
            known.update(zip((i.name for i in self.action), actions, strict=True))
            self._draws[key] = [
                (weight, *self._after(place)) for weight, place in self._drawn(known, 0)
            ]
        return self._draws[key]

    def _place(self, known: Mapping[str, Any]) -> Names:
        """All names of a step; what depends on chance not drawn yet cannot be read."""
        place = Names(self.names, dict(known))
        for item in self.lets:
            place.formulas[item.name] = lambda e=item.value: evaluate(e, place)[0]  # type: ignore[misc]
        for name in (i.name for i in self.state):
            if name in self.nexts:
                place.formulas[name + "'"] = lambda n=name: self.domains[n].require(  # type: ignore[misc]
                    evaluate(self.nexts[n], place)[0]
                )
            else:
                place.formulas[name + "'"] = lambda n=name: place.read(n)  # type: ignore[misc]
        return place

    def _drawn(self, known: dict[str, Any], index: int) -> Iterator[tuple[Fraction, Names]]:
        if index == len(self.chance):
            yield Fraction(1), self._place(known)
            return
        item = self.chance[index]
        for value, weight in distribution(item.dist, self._place(known)).items():
            self.domains[item.name].require(value)
            for more, place in self._drawn({**known, item.name: value}, index + 1):
                yield weight * more, place

    def _after(self, place: Names) -> tuple[Fraction, Any]:
        for item in self.lets:
            place.read(item.name)
        reward = Fraction(_number(evaluate(self.reward, place)[0]))
        return reward, tuple(place.read(i.name + "'") for i in self.state)


# --- programs ------------------------------------------------------------------------------------


class Player:
    """A program that acts in a world."""

    def __init__(self, world: World, code: s.Code) -> None:
        self.world, self.code = world, code
        self.names = Names(world.shared)
        for slot in code.slots:
            self.names.add(slot)
        policies = [slot for slot in code.slots if isinstance(slot, s.Policy)]
        if len(policies) != 1:
            raise Fault(f"{len(policies)} policies")
        self.policy = policies[0]
        self._chosen: dict[Any, tuple[Any, int]] = {}

    def act(self, state: Any) -> tuple[Any, int]:
        """The actions in a state, and the ticks they take."""
        named = self.world._named(state)
        return self.decide(tuple(named[n] for n in self.world.observed))

    def decide(self, observed: Any) -> tuple[Any, int]:
        """The actions for the values of the observed variables, and the ticks."""
        if observed not in self._chosen:
            self._chosen[observed] = self._decide(observed)
        return self._chosen[observed]

    def _decide(self, observed: Any) -> tuple[Any, int]:
        place = self.names.inside(**dict(zip(self.world.observed, observed, strict=True)))
        wanted = {i.name: self.world.domains[i.name] for i in self.world.action}
        made: dict[str, Any] = {}
        ticks = 0
        for statement in self.policy.body:
            value, more = evaluate(statement.value, place)
            ticks += more
            if statement.name in place.known:
                raise Fault(f"{statement.name} is given twice")
            if isinstance(statement, s.Assign):
                made[statement.name] = wanted[statement.name].require(value)
            else:
                ticks += 1
            place.known[statement.name] = value
        if made.keys() != wanted.keys():
            raise Fault("an action is not assigned")
        return tuple(made[n] for n in wanted), ticks


def find_fault(world: World, code: s.Code) -> str | None:
    """Why the code is not total: something without a value for some values of the declared types. None if it is."""
    try:
        player = Player(world, code)
        for slot in code.slots:
            if isinstance(slot, s.Param | s.Table):
                player.names.read(slot.name)
            elif isinstance(slot, s.Def):
                domains = [domain(p.type, player.names).values() for p in slot.parameters]
                for args in product(*domains):
                    _call(slot.name, list(args), player.names)
        for observed in product(*(world.domains[n].values() for n in world.observed)):
            player.decide(observed)
    except Fault as fault:
        return str(fault)
    return None


@cache
def _counted_fields(kind: Any) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind) if f.name not in ("span", "text"))


def count_nodes(node: Any) -> int:
    """How many nodes a tree has: slots, parameters of functions, statements, arms, expressions; no types."""
    if isinstance(node, tuple):
        return sum(count_nodes(part) for part in node)
    if not isinstance(node, s.Node):
        return 0
    if isinstance(node, s.BoolType | s.IntType | s.RatType | s.NamedType | s.ArrayType):
        return 0
    kind: Any = type(node)
    below = sum(count_nodes(getattr(node, name)) for name in _counted_fields(kind))
    return below if kind is s.Code else below + 1


# --- values --------------------------------------------------------------------------------------


def utility(world: World, code: s.Code) -> Fraction:
    """U at the starts, exactly."""
    player = Player(world, code)
    return value(world, player.act) - world.size_price * count_nodes(code)


def value(world: World, act: Callable[[Any], tuple[Any, int]]) -> Fraction:
    """V at the starts of whatever acts, exactly; `act` gives actions and ticks."""
    values = values_of(world, act)
    return sum((w * values(x) for x, w in world.starts().items()), NOTHING)


def values_of(world: World, act: Callable[[Any], tuple[Any, int]]) -> Callable[[Any], Fraction]:
    """V at the starts and at whatever is reached from them."""
    if world.horizon is None:
        steps = {state: act(state) for state in reachable(world, lambda x: [act(x)[0]])}
        values = _solved(world, steps)
        return partial(_read, values)
    below: dict[tuple[Any, int], Fraction] = {}

    def ahead(state: Any, left: int) -> Fraction:
        if left == 0 or world.is_done(state):
            return NOTHING
        if (state, left) not in below:
            actions, ticks = act(state)
            drawn = world.draws(state, actions)
            paid = -world.tick_price * ticks
            below[state, left] = sum((w * (r + ahead(x, left - 1)) for w, r, x in drawn), paid)
        return below[state, left]

    total = world.horizon
    return lambda state: ahead(state, total)


def _solved(world: World, steps: Mapping[Any, tuple[Any, int]]) -> dict[Any, Fraction]:
    """The discounted values of states, none done, for the actions and ticks of each; closed under its steps."""
    index = {state: i for i, state in enumerate(steps)}
    rows: list[list[Fraction]] = []
    for state, (actions, ticks) in steps.items():
        row = [NOTHING] * (len(index) + 1)
        row[index[state]] += 1
        row[-1] -= world.tick_price * ticks
        for weight, reward, after in world.draws(state, actions):
            row[-1] += weight * reward
            if not world.is_done(after):
                row[index[after]] -= world.discount * weight
        rows.append(row)
    return dict(zip(index, solve(rows), strict=True))


def reachable(world: World, choices: Callable[[Any], list[Any]]) -> list[Any]:
    """The states, not done, that are met from the starts with positive weight."""
    found = [state for state in world.starts() if not world.is_done(state)]
    seen = set(found)
    for state in found:
        for actions in choices(state):
            for _, _, after in world.draws(state, actions):
                if after not in seen and not world.is_done(after):
                    seen.add(after)
                    found.append(after)
    return found


def solve(rows: list[list[Fraction]]) -> list[Fraction]:
    """The x with a x = b for rows (a, b): Gaussian elimination without fractions (Bareiss), checked by substitution."""
    size = len(rows)
    whole: list[list[int]] = []
    for row in rows:
        scale = lcm(*(v.denominator for v in row))
        whole.append([int(v * scale) for v in row])
    before = 1
    for k in range(size):
        pivot = next(i for i in range(k, size) if whole[i][k])
        whole[k], whole[pivot] = whole[pivot], whole[k]
        top, at = whole[k], whole[k][k]
        for i in range(k + 1, size):
            here, factor = whole[i], whole[i][k]
            whole[i] = [(at * v - factor * t) // before for v, t in zip(here, top, strict=True)]
        before = at
    found = [NOTHING] * size
    for k in reversed(range(size)):
        known = sum((whole[k][j] * found[j] for j in range(k + 1, size)), NOTHING)
        found[k] = (whole[k][-1] - known) / whole[k][k]
    for row in rows:
        if sum((a * x for a, x in zip(row, found, strict=False)), NOTHING) != row[-1]:
            raise ArithmeticError("the solution does not solve the equations")
    return found


# --- the optimum ---------------------------------------------------------------------------------


def optimum(world: World) -> Fraction:
    """The largest V at the starts, over everything that sees the state and pays no ticks."""
    best = _best_within(world) if world.horizon is not None else _best_of_all(world)
    return sum((w * best(x) for x, w in world.starts().items()), NOTHING)


def _best_within(world: World) -> Callable[[Any], Fraction]:
    """By exact recursion over the steps that are left."""
    actions, total = world.actions(), world.horizon or 0
    below: dict[tuple[Any, int], Fraction] = {}

    def best(state: Any, left: int) -> Fraction:
        if left == 0 or world.is_done(state):
            return NOTHING
        if (state, left) not in below:
            below[state, left] = max(
                _score(world, lambda x: best(x, left - 1), state, a) for a in actions
            )
        return below[state, left]

    return lambda state: best(state, total)


def _best_of_all(world: World) -> Callable[[Any], Fraction]:
    """By exact policy iteration."""
    actions = world.actions()
    choice = {state: actions[0] for state in reachable(world, lambda _: actions)}
    for _ in range(STEPS_MAX):
        values = _solved(world, {state: (a, 0) for state, a in choice.items()})
        after = partial(_read, values)
        better: dict[Any, Any] = {}
        for state in choice:
            scores = {a: _score(world, after, state, a) for a in actions}
            top = max(actions, key=scores.__getitem__)
            if scores[top] > scores[choice[state]]:
                better[state] = top
        if not better:
            return after
        choice |= better
    raise ArithmeticError("policy iteration does not end")


def _score(world: World, after: Callable[[Any], Fraction], state: Any, actions: Any) -> Fraction:
    drawn = world.draws(state, actions)
    return sum((w * (r + world.discount * after(x)) for w, r, x in drawn), NOTHING)


def _read(values: Mapping[Any, Fraction], state: Any) -> Fraction:
    # states that are not listed are done
    return values.get(state, NOTHING)
