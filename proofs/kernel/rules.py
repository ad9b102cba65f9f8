"""The rules of inference about values: one function a rule, its figure above it.

Notation: x a state with a memory, p a program with actions p(x), next memory and ticks t(x), c the tick price, g the
discount (1 under a horizon), y a choice of the adversary, rates included; P, r and x' the weight, reward and successor of
each draw of the step; V the value without size, 0 where done; U = V - size.
    (T_p^y v)(x) = sum over draws of P (r - c t(x) + g v(x'))        v(x') = 0 where done(x')        T_p v = min over y

Every rule speaks of one `Place`. An inequality holds there if it holds for all rational unknowns of the region, which
`region.require_at_least_zero` shows of the polynomial that it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias, cast

from dsl.machine import ActionTuple, MemoryTuple, Program, ReplyTuple, StateTuple
from dsl.polynomial import Polynomial, Weight, polynomial, show_weight, substitute
from dsl.types import Variable, are_values, is_rational
from proofs.kernel.certificate import Entry, Pair, Reply, Table
from proofs.kernel.chapter import Chapter, StartWorld, require_reply
from proofs.kernel.region import Multipliers, Region, require_at_least_zero
from proofs.kernel.requirements import Run
from proofs.kernel.theorem import CertificateError, Moment, require


@dataclass(frozen=True, slots=True)
class Place:
    """Where tables speak: a region, those of its worlds that differ in their `any` start, and a source of multipliers."""

    chapter: Chapter
    region: Region
    starts: tuple[StartWorld, ...]
    multipliers: Multipliers


Choice: TypeAlias = tuple[ActionTuple, MemoryTuple, Fraction]
"""One thing that may be done: actions, the memory kept, and what is earned at once, whatever is drawn."""


@dataclass(frozen=True, slots=True)
class Player:
    """What a bound is about: its memory, and the choices it must answer for. `rewarded`: draws pay their rewards."""

    memories: tuple[Variable, ...]
    start: MemoryTuple
    choices: Callable[[StateTuple, MemoryTuple], tuple[Choice, ...]]
    rewarded: bool = True


Averages: TypeAlias = tuple[Weight, ...]
"""A bound at each of the starts of a place, in order, averaged where the start is random."""
Listed: TypeAlias = Mapping[Pair, tuple[Weight, tuple[Reply, ...]]]
Pairs: TypeAlias = tuple[tuple[Weight, Weight], ...]
"""At each of the starts of a place: what is bounded from above, and what is bounded from below."""


# --- bounds --------------------------------------------------------------------------------------


def lower_bound(place: Place, program: Program, table: Table) -> Averages:
    """A bound of V from below at the starts.

        K holds the starts    K is closed under p, for every y    L(x) <= (T_p^y L)(x) for all x in K and all y
        -----------------------------------------------------------------------------------------------------
                                       V_p(x) >= L(x) for all x in K

    0 <= g < 1, or in layers k = 0..H with g = 1: K_H holds the starts, successors of K_{k+1} lie in K_k or are done,
    L_0 = 0, L_{k+1} <= T_p^y L_k. Closed: every successor is listed or done whose weight is not identically 0. Source:
    Puterman, Markov Decision Processes, Theorem 6.2.2 (b), for one policy against a minimising adversary; in layers by
    induction on k. Side conditions: only states are listed that are not done; y is every finite reply that the conditions
    allow with every rate in its range; L is affine in the rational unknowns and reads no rate.
    """
    return _bound(place, table, _player(place, program), upper=False)


def upper_bound(place: Place, program: Program, table: Table) -> Averages:
    """A bound of V from above at the starts.

        K holds the starts    K is closed under p and y(x)    L(x) >= (T_p^{y(x)} L)(x) for all x in K
        ---------------------------------------------------------------------------------------------
                                       V_p(x) <= L(x) for all x in K

    y(x) is one choice for each x (and layer), the same for the whole region, that the conditions and ranges allow: the
    least over y is at most what it gives. Source and side conditions as for `lower_bound` (Theorem 6.2.2 (a)).
    """
    return _bound(place, table, _player(place, program), upper=True)


def upper_bound_of_every_program(place: Place, table: Table) -> Averages:
    """A bound from above of V of every program whatever, at the starts.

        K holds the starts    K is closed under every a with y(x,a)    W(x) >= (T_a^{y(x,a)} W)(x) for all x in K, all a
        -------------------------------------------------------------------------------------------------------------
                                V_p(x) <= W(x) for all x in K and every program p

    T_a is the step with action a and no ticks: prices are at least 0, so ticks only lower a value; sensors and memory only
    restrict the choice, so x is a state alone. Source: Puterman, Theorem 6.2.2 (a); action types are finite.
    """
    return _bound(place, table, _anyone(place), upper=True)


def saving(place: Place, old: Program, new: Program, table: Table) -> Averages:
    """Rule `pointwise`: a bound from below of V_new - V_old at the starts.

        new(x) = old(x) and t_new(x) <= t_old(x) for all x in K    L bounds the value of c (t_old - t_new) from below on K
        ----------------------------------------------------------------------------------------------------------------
                                       V_new - V_old >= L at the starts

    new(x) holds actions and next memory; both programs have the same memory with the same start, and K is as for
    `lower_bound`. So both walk through the same pairs, whatever the adversary does; with its best choices against the new
    program V_new = E(r - c t_old) + E(c (t_old - t_new)) >= V_old + L.
    """
    same = (old.memories, old.memory_start) == (new.memories, new.memory_start)
    require(same, "the programs differ in their memory or its start")
    price = place.chapter.task.utility.tick_price

    def choices(state: StateTuple, memory: MemoryTuple) -> tuple[Choice, ...]:
        before, after = old.act(state, memory), new.act(state, memory)
        if (before.actions, before.memory) != (after.actions, after.memory):
            raise CertificateError(f"the programs differ at {_shown((state, memory))}")
        if after.ticks > before.ticks:
            raise CertificateError(f"the new program takes more ticks at {_shown((state, memory))}")
        return ((after.actions, after.memory, price * (before.ticks - after.ticks)),)

    player = Player(new.memories, new.memory_start, choices, rewarded=False)
    return _bound(place, table, player, upper=False)


def _player(place: Place, program: Program) -> Player:
    price = place.chapter.task.utility.tick_price

    def choices(state: StateTuple, memory: MemoryTuple) -> tuple[Choice, ...]:
        decision = program.act(state, memory)
        return ((decision.actions, decision.memory, -price * decision.ticks),)

    return Player(program.memories, program.memory_start, choices)


def _anyone(place: Place) -> Player:
    choices = tuple((a, (), Fraction(0)) for a in place.chapter.all_actions())
    return Player((), (), lambda *_: choices)


# --- claims about one place ----------------------------------------------------------------------


def better(
    place: Place, old: Program, new: Program, tables: tuple[Table, ...], gain: Fraction
) -> Pairs:
    """V_new >= l and V_old <= u with (l - size(new)) - (u - size(old)) >= gain: U_new - U_old >= gain at every start."""
    lower, upper = _exactly(2, tables)
    low = _less_size(place, new, lower_bound(place, new, lower))
    high = _less_size(place, old, upper_bound(place, old, upper))
    return _apart(place, high, low, gain, "no gain is shown: {1} is not above {0}")


def pointwise(
    place: Place, old: Program, new: Program, tables: tuple[Table, ...], gain: Fraction
) -> Pairs:
    """V_new - V_old >= l with l - (size(new) - size(old)) >= gain: U_new - U_old >= gain at every start."""
    (lower,) = _exactly(1, tables)
    low = saving(place, old, new, lower)
    grown = place.chapter.size_cost(new) - place.chapter.size_cost(old)
    message = "no gain is shown: the saving {1} is not above {0}, the price of the size"
    return _apart(place, (grown,) * len(low), low, gain, message)


def not_better(place: Place, old: Program, new: Program, tables: tuple[Table, ...]) -> Pairs:
    """V_new <= u and V_old >= l with u - size(new) <= l - size(old): U_new <= U_old at every start."""
    upper, lower = _exactly(2, tables)
    high = _less_size(place, new, upper_bound(place, new, upper))
    low = _less_size(place, old, lower_bound(place, old, lower))
    return _apart(place, high, low, Fraction(0), "a gain is not ruled out: {0} is above {1}")


def optimal(place: Place, program: Program, tables: tuple[Table, ...], gap: Fraction) -> Pairs:
    """V_q <= W for every program q and V >= l with W - (l - size) <= gap: U_q - U <= gap at every start."""
    lower, upper = _exactly(2, tables)
    low = _less_size(place, program, lower_bound(place, program, lower))
    high = upper_bound_of_every_program(place, upper)
    return _apart(place, high, low, -gap, "{0} is further than the gap from {1}")


def best_choice(
    place: Place, program: Program, tables: tuple[Table, ...], moment: Moment, margin: Fraction
) -> Pairs:
    """What a program p does at a moment is worth more than anything else that can be done there.

        V_p >= L, by `lower_bound`    V_q <= W for every program q, by `upper_bound_of_every_program`
        (T_p^y L)(x) - (T_a^{y(x,a)} W)(x) >= e for all y, all a other than p(x), all x of N
        ---------------------------------------------------------------------------------------------
              V_p(x) - V_q(x) >= e for all x of N and every q that takes another a than p(x) at x

    N holds the pairs, not done, at which p may be at the moment, in some world of the place. With n steps to go L and W
    on the right of T are those with n-1, so that V_p >= T_p L and V_q <= T_a^y W at x. Source: Schmidhuber, Gödel machines:
    self-referential universal problem solvers making provably optimal self-improvements (2003; 2006), the target theorem;
    Puterman, Theorem 6.2.2, for both sides.

    In words: V_p is what p expects from there until the episode ends, its ticks paid, the adversary doing its worst.
    Whatever takes other actions now, and does anything at all before and later, expects at least e less: p itself if it
    did so, or another program with any memory, though it saw the whole state, the unknowns and the past, drew lots, and
    paid no ticks. So it is at each x of N, hence for whatever is believed about where p is. Values are without size, which
    is paid for once, whatever is done in an episode; later episodes are not in them.
    """
    lower, upper = _exactly(2, tables)
    lower_bound(place, program, lower)
    upper_bound_of_every_program(place, upper)
    found = choices_apart(place, program, tables, moment)
    highs, lows = (tuple(pair[i] for pair in found) for i in (0, 1))
    return _apart(place, highs, lows, margin, "{1} is not above {0} by the margin")


def choices_apart(
    place: Place, program: Program, tables: tuple[Table, ...], moment: Moment
) -> Pairs:
    """(T_a^{y(x,a)} W)(x) and (T_p^y L)(x) of `best_choice`, for all x, a and y, the rates of y open."""
    (lower, upper), mine, every = tables, _player(place, program), _anyone(place)
    layer = len(upper.layers) - 1 - (moment.step or 0)
    below = layer if moment.step is None else layer - 1
    named, found = _listed(place, upper.layers[layer], every, True), list[tuple[Weight, Weight]]()
    lows = None if below < 0 else _listed(place, lower.layers[below], mine, False)
    highs = None if below < 0 else _listed(place, upper.layers[below], every, True)
    for pair in pairs_at(place, program, moment):
        at = pair[0], ()
        require(at in named, f"{_shown(at)} is not listed, where the moment may be")
        (choice,), others = mine.choices(*pair), every.choices(*at)
        answers = _answers(place, pair[0], choice[0], None)
        worth = [_after(place, pair, choice, answer, lows, True) for answer in answers]
        replies = named[at][1] or (None,) * len(others)
        for other, reply in zip(others, replies, strict=True):
            if other[0] != choice[0]:
                (answer,) = _answers(place, pair[0], other[0], reply)
                high = _after(place, at, other, answer, highs, True)
                found += [(high, low) for low in worth]
    place.chapter.steps += len(found)
    return tuple(found)


def pairs_at(place: Place, program: Program, moment: Moment) -> tuple[Pair, ...]:
    """The pairs, not done, at which a program may be at a moment, in some world of the place."""
    task, run = place.chapter.task, Run(place.chapter, program, place.region)
    index, seen = [task.states.index(v) for v in task.observed], (moment.observed, moment.memory)
    pairs = run.reached(place.starts, moment.step)
    return tuple(x for x in pairs if (tuple(x[0][i] for i in index), x[1]) == seen)


def at_least(place: Place, program: Program, tables: tuple[Table, ...], level: Fraction) -> Pairs:
    """V >= l >= level at every start."""
    low = lower_bound(place, program, *_exactly(1, tables))
    return _apart(place, (level,) * len(low), low, Fraction(0), "the level {0} is above {1}")


def at_most(place: Place, program: Program, tables: tuple[Table, ...], level: Fraction) -> Pairs:
    """V <= u <= level at every start."""
    high = upper_bound(place, program, *_exactly(1, tables))
    return _apart(place, high, (level,) * len(high), Fraction(0), "{0} is above the level {1}")


def _apart(place: Place, below: Averages, above: Averages, gap: Fraction, message: str) -> Pairs:
    pairs = tuple(zip(below, above, strict=True))
    for low, high in pairs:
        difference = high - low - gap
        if isinstance(difference, Polynomial) or difference < 0:
            _require(place, difference, message.format(show_weight(low), show_weight(high)))
    return pairs


def _less_size(place: Place, program: Program, values: Averages) -> Averages:
    cost = place.chapter.size_cost(program)
    return tuple(v - cost for v in values)


def _exactly(count: int, tables: tuple[Table, ...]) -> tuple[Table, ...]:
    fine = type(tables) is tuple and len(tables) == count
    require(fine, f"a leaf holds {count} tables here")
    return tables


def _require(place: Place, difference: Weight, what: str) -> None:
    """Raise CertificateError unless the difference is at least 0 everywhere in the place."""
    task, region = place.chapter.task, place.region
    if isinstance(difference, Polynomial) or task.assumptions:
        require_at_least_zero(task, region, difference, place.multipliers, what)
    elif difference < 0:
        raise CertificateError(what)


# --- premises of a bound -------------------------------------------------------------------------


def _bound(place: Place, table: Table, player: Player, *, upper: bool) -> Averages:
    """Check every premise of a bound, and average it at the starts."""
    chapter, utility = place.chapter, place.chapter.task.utility
    fine = type(table) is Table and type(table.layers) is tuple
    require(fine, "a bound needs a table of layers")
    layers = [_listed(place, layer, player, upper) for layer in table.layers]
    found, below = len(layers), list[Listed | None](layers)
    if utility.horizon is not None:
        wanted = f"the horizon asks for {utility.horizon} layers, found {found}"
        require(found == utility.horizon, wanted)
        below = [None, *layers[:-1]]
    else:
        require(0 <= utility.discount < 1, "the discount must be at least 0 and below 1")
        require(found == 1, f"under a discount there is one layer, found {found}")
    chosen: dict[Pair, tuple[Choice, ...]] = {}
    for k, (layer, reached) in enumerate(zip(layers, below, strict=True)):
        for pair, (value, named) in layer.items():
            if pair not in chosen:
                chosen[pair] = player.choices(*pair)
            replies = named or (None,) * len(chosen[pair])
            fine = len(replies) == len(chosen[pair])
            require(fine, "one reply is named for each choice of a state")
            for choice, reply in zip(chosen[pair], replies, strict=True):
                for answer in _answers(place, pair[0], choice[0], reply):
                    chapter.steps += 1
                    after = _after(place, pair, choice, answer, reached, player.rewarded)
                    difference = value - after if upper else after - value
                    if isinstance(difference, Polynomial) or difference < 0:
                        what = f"the inequality fails at {_shown(pair)}, layer {k}: "
                        what += f"{show_weight(value)} against {show_weight(after)}"
                        _require(place, difference, what)
    return _at_starts(place, layers[-1], player)


def _listed(place: Place, layer: tuple[Entry, ...], player: Player, upper: bool) -> Listed:
    """The values of a layer by state and memory, the unknowns of which the region holds one value put in."""
    task, unknowns = place.chapter.task, place.region.unknowns
    known, answered = place.region.fixed(task), upper and bool(task.adversaries or task.rates)
    found: dict[Pair, tuple[Weight, tuple[Reply, ...]]] = {}
    for entry in layer:
        if type(entry) is not Entry or not are_values(task.states, entry.state):
            raise CertificateError(f"{entry} lists no state of this world")
        if not are_values(player.memories, entry.memory):
            raise CertificateError(f"{entry} lists no memory of this program")
        pair = entry.state, entry.memory
        if pair in found:
            raise CertificateError(f"{_shown(pair)} is listed twice")
        if place.chapter.is_done(entry.state, unknowns):
            raise CertificateError(f"{_shown(pair)} is listed, but the episode has ended there")
        if bool(entry.replies) != answered or any(type(r) is not Reply for r in entry.replies):
            raise CertificateError(f"replies are named at {_shown(pair)} to nobody, or not")
        found[pair] = _affine(place, entry.value, known, pair), entry.replies
    return found


def _affine(place: Place, value: object, known: Mapping[str, Fraction], pair: Pair) -> Weight:
    """A value that is affine in the rational unknowns; raises CertificateError for anything else."""
    if isinstance(value, Fraction) and is_rational(value):
        return value
    monomials = {m: m for m in ((), *(((v.name, 1),) for v in place.chapter.task.rationals))}
    try:
        terms = value.terms if type(value) is Polynomial else ()
        made = polynomial({monomials[m]: c for m, c in terms if is_rational(c)})
        if isinstance(made, Polynomial) and made.terms == terms:
            return substitute(made, known)
    except (LookupError, TypeError, ValueError):
        pass
    raise CertificateError(f"the value at {_shown(pair)} is no rational, nor affine in unknowns")


def _answers(
    place: Place, state: StateTuple, actions: ActionTuple, named: Reply | None
) -> list[tuple[ReplyTuple, Mapping[str, Fraction]]]:
    """The replies that a premise must answer for, with the unknowns and rates that are numbers then.

    The one that is named; else every finite one, its rates open.
    """
    chapter, unknowns = place.chapter, place.region.unknowns
    known = place.region.fixed(chapter.task)
    if named is None:
        return [(reply, known) for reply in chapter.replies(state, actions, unknowns)]
    rates = require_reply(chapter, state, actions, unknowns, named)
    return [(named.finite, {**known, **rates})]


def _after(
    place: Place,
    pair: Pair,
    choice: Choice,
    answer: tuple[ReplyTuple, Mapping[str, Fraction]],
    reached: Listed | None,
    rewarded: bool,
) -> Weight:
    """(T^y v)(x) for one choice and one reply; `reached` gives v, or None for v = 0 with no step to go."""
    chapter, unknowns, (reply, known) = place.chapter, place.region.unknowns, answer
    actions, memory, earned = choice
    discount, total = chapter.task.utility.discount, cast(Weight, earned)
    for outcome in chapter.outcomes(pair[0], actions, unknowns, reply):
        weight, reward = outcome.weight, outcome.reward
        if known:
            weight, reward = substitute(weight, known), substitute(reward, known)
        if rewarded:
            total += weight * reward
        if weight == 0 or reached is None or chapter.is_done(outcome.successor, unknowns):
            continue
        following = outcome.successor, memory
        if following not in reached:
            raise CertificateError(
                f"{_shown(following)} is reached from {_shown(pair)}, but not listed"
            )
        total += discount * weight * reached[following][0]
    return total


def _at_starts(place: Place, values: Listed, player: Player) -> Averages:
    known, found = place.region.fixed(place.chapter.task), []
    for _, states in place.starts:
        total: Weight = Fraction(0)
        for state, weight in states:
            weight = substitute(weight, known)
            if weight == 0 or place.chapter.is_done(state, place.region.unknowns):
                continue
            if (state, player.start) not in values:
                raise CertificateError(
                    f"the start in {_shown((state, player.start))} is not listed"
                )
            total += weight * values[state, player.start][0]
        found.append(total)
    return tuple(found)


def _shown(pair: Pair) -> str:
    state, memory = pair
    return f"state {state} with memory {memory}" if memory else f"state {state}"
