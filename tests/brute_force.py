"""What machines are worth, worked out from the language's definition alone: every state, exact arithmetic, no kernel.

A `World` is a set of declarations; a `Case` of it fixes the finite unknowns, a `Setting` the rational ones as well. Each
start of a setting is one world in the sense of the language. Nothing here comes from the interpreter, the checker or the
proofs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cache, cached_property
from itertools import combinations, product
from random import Random
from typing import Any

from brute_games import Group, Worth, exactly, solve, solve_game
from brute_language import (
    NOTHING,
    Fault,
    Names,
    Poly,
    at_point,
    call,
    distribution,
    domain,
    evaluate,
    plain,
    truth,
    weight_of,
)

from dsl import syntax as s

__all__ = [
    "Case",
    "Fault",
    "Names",
    "Player",
    "Setting",
    "World",
    "count_nodes",
    "evaluate",
    "find_fault",
    "is_broken",
    "optima",
    "optimum",
    "plain",
    "sample_points",
    "solve",
    "utilities",
    "utility",
]

DISTS = (s.DistMap, s.DistFor, s.DistIf, s.DistLet, s.DistMatch)

# --- declarations --------------------------------------------------------------------------------


class World:
    """What a set of declarations says. States, actions, replies and unknowns are tuples in the order of declaration."""

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
            if isinstance(i, s.State | s.Action | s.Chance | s.Unknown | s.Adversary)
        }
        unknown = [i for i in items if isinstance(i, s.Unknown)]
        self.unknown = [i for i in unknown if not isinstance(i.type, s.RatType)]
        self.rational = [i for i in unknown if isinstance(i.type, s.RatType)]
        self.assumed = [i.condition for i in items if isinstance(i, s.Assume)]
        adversary = [i for i in items if isinstance(i, s.Adversary)]
        self.adversary = [i for i in adversary if not isinstance(i.type, s.RatType)]
        self.rate = [i for i in adversary if isinstance(i.type, s.RatType)]
        self.allowed = [i.where for i in adversary if i.where is not None]
        self.open_names = [i.name for i in self.rational] + [i.name for i in self.rate]
        listed = [i.names for i in items if isinstance(i, s.Observe)]
        self.observed = listed[0] if listed else tuple(i.name for i in self.state)
        self.requirements = declarations.requirements
        self._read_utility(declarations.utility)

    def _read_utility(self, utility: s.Utility) -> None:
        settings = {i.key: i.value for i in utility.settings if isinstance(i, s.Setting)}

        def setting(key: str) -> Fraction:
            return Fraction(evaluate(settings.get(key, s.IntLit(0)), self.shared)[0])

        self.horizon = int(setting("horizon")) if "horizon" in settings else None
        self.discount = setting("discount") if "discount" in settings else Fraction(1)
        self.tick_price, self.size_price = setting("tick_price"), setting("size_price")
        word = settings.get("better")
        self.better = word.name if isinstance(word, s.Name) else "dominates"
        self.prices = {
            entry.operation: int(evaluate(entry.ticks, self.shared)[0])
            for costs in utility.settings
            if isinstance(costs, s.Costs)
            for entry in costs.entries
        }

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """One for each joint value of the finite unknowns."""
        return tuple(
            Case(self, values) for values in _joint(self.domains[i.name] for i in self.unknown)
        )

    def states(self) -> list[Any]:
        """Every state there is, reachable or not."""
        return _joint(self.domains[i.name] for i in self.state)

    def actions(self) -> list[Any]:
        """Every action there is."""
        return _joint(self.domains[i.name] for i in self.action)

    @property
    def box(self) -> tuple[tuple[Fraction, Fraction], ...]:
        """The ends of the rational unknowns."""
        found = [self.domains[i.name] for i in self.rational]
        return tuple((Fraction(d.low), Fraction(d.high)) for d in found)


def _joint(domains: Any) -> list[Any]:
    return list(product(*(d.values() for d in domains)))


# --- one case: the finite unknowns are fixed -----------------------------------------------------


class Case:
    """The declared world for one joint value of the finite unknowns; weights and rewards may be polynomials."""

    def __init__(self, world: World, unknowns: tuple[Any, ...]) -> None:
        self.world, self.unknowns = world, unknowns
        known = dict(zip((i.name for i in world.unknown), unknowns, strict=True))
        known |= {name: Poly.name(name) for name in world.open_names}
        self.names = Names(world.names, known)
        self._draws: dict[Any, list[tuple[Any, Any, Any]]] = {}
        self._replies: dict[Any, list[Any]] = {}
        self._done: dict[Any, bool] = {}

    @cached_property
    def starts(self) -> tuple[tuple[tuple[Any, ...], dict[Any, Any]], ...]:
        """For each joint value of the `any` variables: that value, and the starts with their weights."""
        world = self.world
        open_ = [i for i in world.state if isinstance(i.start, s.AnyStart)]
        tests = [i.start.where for i in open_ if isinstance(i.start, s.AnyStart) and i.start.where]
        found: list[tuple[tuple[Any, ...], dict[Any, Any]]] = []
        for anywhere in _joint(world.domains[i.name] for i in open_):
            place = Names(self.names, dict(zip((i.name for i in open_), anywhere, strict=True)))
            if all(truth(evaluate(test, place)[0]) for test in tests):
                found.append((anywhere, self._drawn_starts(place)))
        return tuple(found)

    def _drawn_starts(self, chosen: Names) -> dict[Any, Any]:
        drawn: list[tuple[dict[str, Any], Any]] = [({}, Fraction(1))]
        for item in self.world.state:
            longer: list[tuple[dict[str, Any], Any]] = []
            for above, weight in drawn:
                place, start = Names(chosen, above), item.start
                if isinstance(start, DISTS):
                    choices = distribution(start, place)
                elif isinstance(start, s.AnyStart):
                    choices = {chosen.known[item.name]: Fraction(1)}
                else:
                    choices = {evaluate(start, place)[0]: Fraction(1)}
                for value, w in choices.items():
                    value = self.world.domains[item.name].require(value)
                    longer.append(({**above, item.name: value}, _times(weight, w)))
            drawn = longer
        weights: dict[Any, Any] = {}
        for values, weight in drawn:
            state = tuple(values.values())
            weights[state] = _plus(weights.get(state, NOTHING), weight)
        return weights

    def named(self, state: Any) -> dict[str, Any]:
        """The values of the state variables by name."""
        return dict(zip((i.name for i in self.world.state), state, strict=True))

    def is_done(self, state: Any) -> bool:
        """Whether the episode has ended."""
        if state not in self._done:
            self._done[state] = any(self.holds(e, state) for e in self.world.ends)
        return self._done[state]

    def holds(self, condition: s.Expr, state: Any) -> bool:
        """Whether a condition holds in a state."""
        return truth(evaluate(condition, Names(self.names, self.named(state)))[0])

    def holds_at_step(self, condition: s.Expr, state: Any, actions: Any, after: Any) -> bool:
        """Whether a condition holds of a step."""
        known = self._named_step(state, actions)
        known |= {name + "'": value for name, value in self.named(after).items()}
        return truth(evaluate(condition, Names(self.names, known))[0])

    def _named_step(self, state: Any, actions: Any) -> dict[str, Any]:
        known = self.named(state)
        known.update(zip((i.name for i in self.world.action), actions, strict=True))
        return known

    def replies(self, state: Any, actions: Any) -> list[Any]:
        """What the finite adversaries may choose."""
        key = state, actions
        if key not in self._replies:
            world, known = self.world, self._named_step(state, actions)
            names = [i.name for i in world.adversary]
            self._replies[key] = found = []
            for reply in _joint(world.domains[n] for n in names):
                place = Names(self.names, {**known, **dict(zip(names, reply, strict=True))})
                if all(truth(evaluate(test, place)[0]) for test in world.allowed):
                    found.append(reply)
            if not found:
                raise Fault("the adversary has no choice")
        return self._replies[key]

    def draws(self, state: Any, actions: Any, reply: Any = ()) -> list[tuple[Any, Any, Any]]:
        """Weight, reward and next state of everything that chance may do."""
        key = state, actions, reply
        if key not in self._draws:
            known = self._named_step(state, actions)
            known.update(zip((i.name for i in self.world.adversary), reply, strict=True))
            self._draws[key] = [(w, *self._after(place)) for w, place in self._drawn(known, 0)]
        return self._draws[key]

    def _place(self, known: Mapping[str, Any]) -> Names:
        """All names of a step; what depends on chance not drawn yet cannot be read."""
        world, place = self.world, Names(self.names, dict(known))
        for item in world.lets:
            place.formulas[item.name] = lambda e=item.value: evaluate(e, place)[0]  # type: ignore[misc]
        for name in (i.name for i in world.state):
            if name in world.nexts:
                place.formulas[name + "'"] = lambda n=name: world.domains[n].require(  # type: ignore[misc]
                    evaluate(world.nexts[n], place)[0]
                )
            else:
                place.formulas[name + "'"] = lambda n=name: place.read(n)  # type: ignore[misc]
        return place

    def _drawn(self, known: dict[str, Any], index: int) -> Iterator[tuple[Any, Names]]:
        if index == len(self.world.chance):
            yield Fraction(1), self._place(known)
            return
        item = self.world.chance[index]
        for value, weight in distribution(item.dist, self._place(known)).items():
            value = self.world.domains[item.name].require(value)
            for more, place in self._drawn({**known, item.name: value}, index + 1):
                yield _times(weight, more), place

    def _after(self, place: Names) -> tuple[Any, Any]:
        for item in self.world.lets:
            place.read(item.name)
        reward = weight_of(evaluate(self.world.reward, place)[0])
        return reward, tuple(place.read(i.name + "'") for i in self.world.state)


def _times(left: Any, right: Any) -> Any:
    if isinstance(left, Poly) or isinstance(right, Poly):
        return Poly.of(left).times(right)
    return left * right


def _plus(left: Any, right: Any) -> Any:
    if isinstance(left, Poly) or isinstance(right, Poly):
        return Poly.of(left).plus(right)
    return left + right


# --- one setting: every unknown is fixed ---------------------------------------------------------

Row = tuple[Fraction, tuple[tuple[Any, Fraction], ...]]


class Setting:
    """A case at one point of the rational unknowns; every number is one.

    A rate is at one of its ends: a step's value is affine in each rate, so that no other choice is worse for the agent.
    """

    def __init__(self, case: Case, point: tuple[Fraction, ...]) -> None:
        self.case, self.world, self.point = case, case.world, point
        self.known = dict(zip((i.name for i in self.world.rational), point, strict=True))
        self._rows: dict[Any, tuple[Row, ...]] = {}

    @cached_property
    def starts(self) -> tuple[tuple[tuple[Any, ...], dict[Any, Fraction]], ...]:
        """The worlds of this setting: the value of the `any` variables, and the weights of the starts."""
        return tuple(
            (anywhere, {x: v for x, w in weights.items() if (v := self._weight(w, self.known))})
            for anywhere, weights in self.case.starts
        )

    def _weight(self, weight: Any, known: Mapping[str, Fraction]) -> Fraction:
        found = at_point(weight, known)
        if not 0 <= found <= 1:
            raise Fault(f"a weight of {found}")
        return found

    def is_done(self, state: Any) -> bool:
        """Whether the episode has ended."""
        return self.case.is_done(state)

    def rows(self, state: Any, actions: Any) -> tuple[Row, ...]:
        """For each choice of the adversary: the expected reward, and the next states with their weights."""
        key = state, actions
        if key not in self._rows:
            found: dict[Row, None] = {}
            for reply in self.case.replies(state, actions):
                drawn = self.case.draws(state, actions, reply)
                for known in self._rates(drawn):
                    found[self._row(drawn, known)] = None
            self._rows[key] = tuple(found)
        return self._rows[key]

    def _rates(self, drawn: list[tuple[Any, Any, Any]]) -> Iterator[dict[str, Fraction]]:
        polys = [v for w, r, _ in drawn for v in (w, r) if isinstance(v, Poly)]
        read = {name for poly in polys for names in poly.terms for name in names}
        used = [i.name for i in self.world.rate if i.name in read]
        ends = [(self.world.domains[n].low, self.world.domains[n].high) for n in used]
        for chosen in product(*ends):
            yield {**self.known, **dict(zip(used, map(Fraction, chosen), strict=True))}

    def _row(self, drawn: list[tuple[Any, Any, Any]], known: Mapping[str, Fraction]) -> Row:
        weights: dict[Any, Fraction] = {}
        expected = total = NOTHING
        for w, r, after in drawn:
            weight = self._weight(w, known)
            if weight:
                total += weight
                expected += weight * at_point(r, known)
                weights[after] = weights.get(after, NOTHING) + weight
        if total != 1:
            raise Fault(f"weights that sum to {total}")
        return expected, tuple(weights.items())

    def successors(self, state: Any, actions: Any) -> list[Any]:
        """The states that a step may lead to with positive weight."""
        rows = self.rows(state, actions)
        return list(dict.fromkeys(after for _, weights in rows for after, _ in weights))


# --- programs ------------------------------------------------------------------------------------


class Player:
    """A program that acts in a world, and keeps a memory."""

    def __init__(self, world: World, code: s.Code) -> None:
        self.world, self.code = world, code
        self.names = Names(world.shared)
        self.names.prices = world.prices
        memories = [slot for slot in code.slots if isinstance(slot, s.Memory)]
        for slot in code.slots:
            if not isinstance(slot, s.Memory):
                self.names.add(slot)
        self.policies = {p.name: p for p in code.slots if isinstance(p, s.Policy)}
        self.memory = {m.name: domain(m.type, self.names) for m in memories}
        self.start = tuple(
            self.memory[m.name].require(evaluate(m.start, self.names)[0]) for m in memories
        )
        if "main" not in self.policies:
            raise Fault("nothing acts")
        self._chosen: dict[Any, tuple[Any, Any, int]] = {}

    def act(self, state: Any, memory: Any, policy: str = "main") -> tuple[Any, Any, int]:
        """The actions in a state with a memory, the memory that is kept, and the ticks."""
        named = dict(zip((i.name for i in self.world.state), state, strict=True))
        return self.decide(tuple(named[n] for n in self.world.observed), memory, policy)

    def decide(self, observed: Any, memory: Any, policy: str = "main") -> tuple[Any, Any, int]:
        """The same for the values of the observed variables."""
        key = observed, memory, policy
        if key not in self._chosen:
            self._chosen[key] = self._decide(observed, memory, policy)
        return self._chosen[key]

    def _decide(self, observed: Any, memory: Any, policy: str) -> tuple[Any, Any, int]:
        place = Names(self.names, dict(zip(self.world.observed, observed, strict=True)))
        place.known.update(zip(self.memory, memory, strict=True))
        wanted = {i.name: self.world.domains[i.name] for i in self.world.action}
        made: dict[str, Any] = {}
        kept = dict(zip(self.memory, memory, strict=True))
        ticks = 0
        for statement in self.policies[policy].body:
            value, more = evaluate(statement.value, place)
            ticks += more
            name = statement.name
            if isinstance(statement, s.Next):
                kept[name] = value = self.memory[name].require(value)
                name += "'"
            elif isinstance(statement, s.Assign):
                made[name] = value = wanted[name].require(value)
            else:
                ticks += place.price("let")
            if name in place.known:
                raise Fault(f"{name} is given twice")
            place.known[name] = value
        if made.keys() != wanted.keys():
            raise Fault("an action is not assigned")
        return tuple(made[n] for n in wanted), tuple(kept.values()), ticks


def find_fault(world: World, code: s.Code) -> str | None:
    """Why the code is not total: something without a value for some values of the declared types. None if it is."""
    try:
        player = Player(world, code)
        for slot in code.slots:
            if isinstance(slot, s.Param | s.Table):
                player.names.read(slot.name)
            elif isinstance(slot, s.Def):
                domains = [domain(p.type, player.names) for p in slot.parameters]
                for args in _joint(domains):
                    call(slot.name, list(args), player.names)
        for observed in _joint(world.domains[n] for n in world.observed):
            for memory in _joint(player.memory.values()):
                for policy in player.policies:
                    player.decide(observed, memory, policy)
    except Fault as fault:
        return str(fault)
    return None


@cache
def _counted_fields(kind: Any) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind) if f.name not in ("span", "text"))


_TYPES = (s.BoolType, s.IntType, s.RatType, s.BitsType, s.NamedType, s.ArrayType)


def count_nodes(node: Any) -> int:
    """How many nodes a tree has: slots, parameters of functions, statements, arms, expressions; no types."""
    if isinstance(node, tuple):
        return sum(count_nodes(part) for part in node)
    if not isinstance(node, s.Node) or isinstance(node, _TYPES):
        return 0
    kind: Any = type(node)
    below = sum(count_nodes(getattr(node, name)) for name in _counted_fields(kind))
    return below if kind is s.Code else below + 1


# --- values --------------------------------------------------------------------------------------


def utilities(setting: Setting, player: Player) -> tuple[Worth, ...]:
    """U in each world of the setting, against the adversary."""
    world = setting.world
    nodes = [(x, player.start) for _, weights in setting.starts for x in weights]

    def groups(node: Any) -> list[tuple[Row, ...]]:
        state, memory = node
        actions, kept, ticks = player.act(state, memory)
        paid = world.tick_price * ticks
        return [
            tuple(
                (r - paid, tuple(((x, kept), w) for x, w in weights))
                for r, weights in setting.rows(state, actions)
            )
        ]

    values = _played(setting, nodes, groups, lambda node: node[0])
    size = world.size_price * count_nodes(player.code)
    return tuple(
        values.at({(x, player.start): w for x, w in weights.items()}, -size)
        for _, weights in setting.starts
    )


def optima(setting: Setting) -> tuple[Worth, ...]:
    """In each world of the setting the largest V of anything that sees the state and pays no ticks."""
    every = setting.world.actions()
    nodes = [x for _, weights in setting.starts for x in weights]

    def groups(state: Any) -> list[tuple[Row, ...]]:
        return [setting.rows(state, actions) for actions in every]

    values = _played(setting, nodes, groups, lambda state: state)
    return tuple(values.at(weights, NOTHING) for _, weights in setting.starts)


def _played(setting: Setting, starts: list[Any], groups: Any, state_of: Any) -> Any:
    """Solve the game over the nodes that can be met."""
    index: dict[Any, int] = {}
    for node in starts:
        if not setting.is_done(state_of(node)):
            index.setdefault(node, len(index))
    game: list[list[Group]] = []
    queue = list(index)
    for node in queue:
        found: list[Group] = []
        for group in groups(node):
            rows = []
            for reward, weights in group:
                ahead = []
                for after, weight in weights:
                    if not setting.is_done(state_of(after)):
                        if after not in index:
                            index[after] = len(index)
                            queue.append(after)
                        ahead.append((index[after], weight))
                rows.append((reward, tuple(ahead)))
            found.append(tuple(rows))
        game.append(found)
    return solve_game(index, game, setting.world.discount, setting.world.horizon)


def utility(world: World, code: s.Code) -> Fraction:
    """U of a program where there is one world."""
    return exactly(utilities(_only(world), Player(world, code))[0])


def optimum(world: World) -> Fraction:
    """The largest V, over everything that sees the state and pays no ticks, where there is one world."""
    return exactly(optima(_only(world))[0])


def _only(world: World) -> Setting:
    if len(world.cases) != 1 or world.rational or len(world.cases[0].starts) != 1:
        raise Fault("there are several worlds")
    return Setting(world.cases[0], ())


# --- requirements --------------------------------------------------------------------------------


def is_broken(
    setting: Setting,
    player: Player,
    requirement: s.Requirement,
    *,
    only: int | None = None,
    within_horizon: bool = False,
) -> bool:
    """Whether the program breaks a requirement in some world of the setting, or in that of one start.

    With `within_horizon` the policy of a `reach` has no more steps than the horizon leaves.
    """
    starts = setting.starts if only is None else setting.starts[only : only + 1]
    horizon = setting.world.horizon
    of_step = _is_of_step(requirement, {i.name for i in setting.world.action})
    met = {(x, player.start) for _, weights in starts for x in weights}
    layer, depth = sorted(met, key=repr), 0
    fails = _Failing(setting, player, requirement)
    while layer:
        left = None if horizon is None else horizon - depth
        longer: dict[Any, None] = {}
        for state, memory in layer:
            if not of_step and fails.at(state, memory, left if within_horizon else None):
                return True
            if left == 0 or setting.is_done(state):
                continue
            chosen, kept, _ = player.act(state, memory)
            for after in setting.successors(state, chosen):
                if of_step and isinstance(requirement, s.Always):
                    if not setting.case.holds_at_step(requirement.holds, state, chosen, after):
                        return True
                if (after, kept) not in met:
                    met.add((after, kept))
                    longer[after, kept] = None
        layer, depth = list(longer), depth + 1
    return False


def _is_of_step(requirement: s.Requirement, actions: set[str]) -> bool:
    if isinstance(requirement, s.Reach):
        return False
    return any(
        isinstance(node, s.Primed) or (isinstance(node, s.Name) and node.name in actions)
        for node in s.walk(requirement.holds)
    )


class _Failing:
    """Whether a requirement about states fails at a state that is reached with some memory."""

    def __init__(self, setting: Setting, player: Player, requirement: s.Requirement) -> None:
        self.setting, self.player, self.requirement = setting, player, requirement
        self._known: dict[Any, bool] = {}

    def at(self, state: Any, memory: Any, budget: int | None) -> bool:
        """Whether it fails here; the path that shows it may take `budget` steps, or any number."""
        case, requirement = self.setting.case, self.requirement
        if isinstance(requirement, s.Always):
            return not case.holds(requirement.holds, state)
        if not case.holds(requirement.source, state):
            return False
        steps = int(evaluate(requirement.steps, self.setting.world.names)[0])
        return self._misses(requirement, state, memory, steps, budget)

    def _misses(
        self, requirement: s.Reach, state: Any, memory: Any, left: int, budget: int | None
    ) -> bool:
        """Whether the goal may be missed in so many steps."""
        key = state, memory, left, budget
        if key not in self._known:
            setting = self.setting
            if setting.case.holds(requirement.goal, state):
                self._known[key] = False
            elif left == 0 or setting.is_done(state):
                self._known[key] = True
            elif budget == 0:
                self._known[key] = False
            else:
                chosen, kept, _ = self.player.act(state, memory, requirement.policy)
                rest = None if budget is None else budget - 1
                self._known[key] = any(
                    self._misses(requirement, after, kept, left - 1, rest)
                    for after in setting.successors(state, chosen)
                )
        return self._known[key]


# --- rational unknowns ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Constraint:
    """offset + sum of factors * unknowns >= 0, or == 0."""

    offset: Fraction
    factors: tuple[Fraction, ...]
    exact: bool = False

    def gap(self, point: tuple[Fraction, ...]) -> Fraction:
        """The left side at a point."""
        return self.offset + sum((a * x for a, x in zip(self.factors, point, strict=True)), NOTHING)

    def allows(self, point: tuple[Fraction, ...]) -> bool:
        """Whether the point satisfies it."""
        gap = self.gap(point)
        return gap == 0 if self.exact else gap >= 0


def constraints(world: World) -> tuple[Constraint, ...]:
    """The box of the rational unknowns and what is assumed of them."""
    size = len(world.rational)
    found: list[Constraint] = []
    for i, (low, high) in enumerate(world.box):
        unit = tuple(Fraction(int(j == i)) for j in range(size))
        found.append(Constraint(-low, unit))
        found.append(Constraint(high, tuple(-u for u in unit)))
    names = Names(world.names, {i.name: Poly.name(i.name) for i in world.rational})
    for condition in world.assumed:
        if not isinstance(condition, s.Compare):
            raise Fault("an assumption that compares nothing")
        sides = [Poly.of(evaluate(e, names)[0]) for e in condition.operands]
        for op, left, right in zip(condition.ops, sides[:-1], sides[1:], strict=True):
            above, below = (left, right) if op in (">=", "==") else (right, left)
            gap = above.plus(below, -1).terms
            if any(len(product_) > 1 for product_ in gap):
                raise Fault("an assumption that is not linear")
            factors = tuple(gap.get((i.name,), NOTHING) for i in world.rational)
            found.append(Constraint(gap.get((), NOTHING), factors, op == "=="))
    return tuple(found)


def vertices(world: World) -> tuple[tuple[Fraction, ...], ...]:
    """The corners of what the rational unknowns may be."""
    found, size = constraints(world), len(world.rational)
    corners: dict[tuple[Fraction, ...], None] = {}
    for chosen in combinations(found, size):
        try:
            point = tuple(solve([[*c.factors, -c.offset] for c in chosen]))
        except (ArithmeticError, StopIteration):
            continue
        if all(c.allows(point) for c in found):
            corners[point] = None
    return tuple(corners)


def is_allowed(world: World, point: tuple[Fraction, ...]) -> bool:
    """Whether the rational unknowns may be these."""
    return len(point) == len(world.rational) and all(c.allows(point) for c in constraints(world))


def sample_points(world: World, rng: Random, inside: int) -> list[tuple[Fraction, ...]]:
    """Corners, centre and random points of what the rational unknowns may be; the empty point where there are none."""
    if not world.rational:
        return [()]
    corners = vertices(world)
    if not corners:
        raise Fault("no value of the unknowns satisfies the assumptions")
    shares = [[Fraction(1)] * len(corners)]
    shares += [[Fraction(rng.choice([0, 1, 1, 2, 5])) for _ in corners] for _ in range(inside)]
    found = dict.fromkeys(corners)
    for share in shares:
        total = sum(share)
        if total:
            mixed = (
                sum(a * c[i] for a, c in zip(share, corners, strict=True))
                for i in range(len(corners[0]))
            )
            found[tuple(Fraction(x) / total for x in mixed)] = None
    return list(found)
