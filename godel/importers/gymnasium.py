"""Import Gymnasium's environments that have a transition table, with the rationals their floats stand for."""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from dsl.limits import BYTES_MAX
from dsl.syntax import KEYWORDS
from godel.importers.failure import ImportFailure
from godel.importers.rationals import plain, read_rational, read_weight
from godel.importers.rows import Move, World
from godel.importers.tables import COLUMNS, Twist, write_machine

# what the numbers mean, by the class of the environment; its attributes are filled in
_MEANINGS = {
    "FrozenLakeEnv": ("s = {ncol} * row + column", "0 left, 1 down, 2 right, 3 up"),
    "CliffWalkingEnv": ("s = {shape[1]} * row + column", "0 up, 1 right, 2 down, 3 left"),
    "TaxiEnv": (
        "s = ((5 * row + column) * 5 + passenger) * 4 + destination; "
        "places: 0 red, 1 green, 2 yellow, 3 blue, 4 in the taxi",
        "0 south, 1 north, 2 east, 3 west, 4 pick up, 5 drop off",
    ),
}


def import_environment(
    env_id: str,
    *,
    settings: Mapping[str, Any] = {},
    discount: Fraction = Fraction(99, 100),
    name: str | None = None,
) -> str:
    """The machine file of a registered environment whose `unwrapped.P` holds its outcomes.

    `settings` are the keyword arguments it is made with, `name` the machine's name (default: the id in snake case).
    Only that table is read: a limit on the length of episodes and whatever else `step` may do is left out, but for
    Taxi's fickle passenger. Raises ImportFailure.
    """
    gymnasium = _load_gymnasium()
    module, _, registered = env_id.rpartition(":")
    if module:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ImportFailure(f"{env_id}: {error}") from None
    spec, creator = _find_creator(gymnasium, registered)
    arguments = {**spec.kwargs, **settings}
    env = _make(registered, creator, arguments)
    world = _read_environment(registered, env)
    if world != _read_environment(registered, _make(registered, creator, arguments)):
        raise ImportFailure(f"{registered} is made at random: its settings must fix one world")
    meaning, actions = _MEANINGS.get(type(env).__name__, (None, None))
    shown = ", ".join(f"{key}={value!r}" for key, value in sorted(settings.items()))
    notes = [
        f"Gymnasium's {registered} (gymnasium {gymnasium.__version__})"
        f"{f', made with {shown}' if shown else ''}; discount {discount}."
    ]
    if spec.max_episode_steps:
        notes.append(f"Gymnasium's limit of {spec.max_episode_steps} steps an episode is left out.")
    if meaning:
        notes.append(meaning.format_map(vars(env)))
    return _write(
        world,
        name=_snake_case(registered) if name is None else name,
        discount=discount,
        notes=notes,
        actions=actions,
        twist=_find_twist(registered, env),
    )


def import_table(
    table: Any,
    starts: Sequence[Any],
    *,
    name: str,
    discount: Fraction = Fraction(99, 100),
    notes: Sequence[str] = (),
) -> str:
    """The machine file of a bare table: `table[s][a]` lists outcomes (weight, next state, reward, terminated).

    `starts[s]` is the weight of starting in s. Only rows that an episode can reach are read. Raises ImportFailure.
    """
    return _write(read_world(table, starts), name=name, discount=discount, notes=notes)


def read_world(table: Any, starts: Sequence[Any]) -> World:
    """The part of a table that episodes can reach, made exact; raises ImportFailure."""
    states, actions = _read_shape(table)
    first = _read_starts(starts, states)
    rows: dict[tuple[int, int], tuple[Move, ...]] = {}
    pending, seen = [s for s, _ in first], {s for s, _ in first}
    while pending:
        s = pending.pop()
        for a in range(actions):
            rows[s, a] = tuple(_read_row(table[s][a], states, f"P[{s}][{a}]"))
            fresh = {m.to for m in rows[s, a] if not m.ends} - seen
            seen |= fresh
            pending += sorted(fresh)
    return World(states, actions, first, dict(sorted(rows.items())))


def _write(
    world: World,
    *,
    name: str,
    discount: Fraction,
    notes: Sequence[str],
    actions: str | None = None,
    twist: Twist | None = None,
) -> str:
    if not (name.isascii() and name.isidentifier()) or name in KEYWORDS:
        raise ImportFailure(
            f"{name!r} cannot be the name of a machine: letters, digits and _, no keyword"
        )
    if not isinstance(discount, Fraction | int) or not 0 <= discount < 1:
        raise ImportFailure(
            f"the discount must be a fraction of at least 0 and below 1, found {discount}"
        )
    unread = len(world.rows) < world.states * world.actions
    lines = [*notes, *(["Rows that no episode reaches stay where they are."] if unread else [])]
    wrapped = [part for line in lines for part in _wrap(line)]
    text = write_machine(
        world, name=name, discount=Fraction(discount), notes=wrapped, actions=actions, twist=twist
    )
    size = len(text.encode())
    if size > BYTES_MAX:
        message = f"the text takes {size:,} bytes, a machine file may have {BYTES_MAX:,}"
        raise ImportFailure(
            f"{world.states} states with {world.actions} actions are too many: {message}"
        )
    return text


def _wrap(line: str) -> list[str]:
    return textwrap.wrap(line, COLUMNS - 2, break_on_hyphens=False)


# --- the environment -----------------------------------------------------------------------------


def _load_gymnasium() -> Any:
    try:
        return importlib.import_module("gymnasium")
    except ImportError:
        hint = "pip install 'godel-machine[gymnasium]'"
        raise ImportFailure(f"Gymnasium is not installed; {hint}") from None


def _find_creator(gymnasium: Any, env_id: str) -> tuple[Any, Any]:
    try:
        spec = gymnasium.spec(env_id)
        creator = spec.entry_point
        if isinstance(creator, str):
            creator = gymnasium.envs.registration.load_env_creator(creator)
    except (gymnasium.error.Error, ImportError, AttributeError) as error:
        raise ImportFailure(f"{env_id}: {error}") from None
    if creator is None:
        raise ImportFailure(f"{env_id} has no entry point")
    if spec.additional_wrappers:
        raise ImportFailure(f"{env_id} is registered with wrappers, which its table does not show")
    return spec, creator


def _make(env_id: str, creator: Any, arguments: Mapping[str, Any]) -> Any:
    parameters = inspect.signature(creator).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        known = sorted(parameters.keys() - {"render_mode"})
        for key in sorted(arguments.keys() - set(known)):
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise ImportFailure(f"{env_id} has no setting {key!r}; {has}")
    try:
        return creator(**arguments).unwrapped
    except Exception as error:  # whatever an environment's own code raises
        shown = ", ".join(f"{key}={value!r}" for key, value in sorted(arguments.items()))
        message = f"{type(error).__name__}: {error}"
        raise ImportFailure(
            f"{env_id} cannot be made with {shown or 'no settings'}: {message}"
        ) from error


def _read_environment(env_id: str, env: Any) -> World:
    for attribute, what in (("P", "transition table"), ("initial_state_distrib", "law of starts")):
        if not hasattr(env, attribute):
            message = f"{env_id} has no {what} (`{attribute}`), so that its world is not known"
            raise ImportFailure(message)
    try:
        return read_world(env.P, env.initial_state_distrib)
    except ImportFailure as error:
        raise ImportFailure(f"{env_id}: {error}") from None


def _find_twist(env_id: str, env: Any) -> Twist | None:
    """Taxi's fickle passenger, whom its table leaves out.

    With probability `fickle_probability` an episode has one: the first time that the taxi moves with the passenger
    aboard, the destination changes to one of the three others.
    """
    if not getattr(env, "fickle_passenger", False):
        return None
    if type(env).__name__ != "TaxiEnv" or not hasattr(env, "fickle_probability"):
        message = "a fickle passenger is understood in Taxi-v4 of Gymnasium 1.3 and later only"
        raise ImportFailure(f"{env_id}: {message}")
    weight = read_weight(env.fickle_probability, f"{env_id}: fickle_probability")
    if weight > 1:
        raise ImportFailure(f"{env_id}: fickle_probability is {weight}, above 1")
    return Twist(
        states=(f"state fickle: bool = {{ true: {weight}, false: {1 - weight} }}",),
        steps=(
            "let to      = NEXT[s][a]",
            "let moved   = s div 20 != to div 20",
            "let changes = fickle and moved and s div 4 mod 5 == 4    # the passenger is aboard",
            "chance turn: int 0..3 = if changes then { 1: 1/3, 2: 1/3, 3: 1/3 } else { 0: 1 }",
        ),
        successor="4 * (to div 4) + (to mod 4 + turn) mod 4",
        equations=(("fickle'", "fickle and not changes"),),
    )


def _snake_case(env_id: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", env_id)
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    return f"world_{name}" if not name.isidentifier() or name in KEYWORDS else name


# --- the table -----------------------------------------------------------------------------------


def _read_shape(table: Any) -> tuple[int, int]:
    states = len(_keys(table, "P"))
    if _keys(table, "P") != set(range(states)) or not states:
        raise ImportFailure("P must hold the states from 0 on without a gap")
    actions = len(_keys(table[0], "P[0]"))
    if not actions:
        raise ImportFailure("P[0] holds no action")
    for s in range(states):
        if _keys(table[s], f"P[{s}]") != set(range(actions)):
            raise ImportFailure(f"P[{s}] must hold the actions 0 to {actions - 1}")
    return states, actions


def _keys(table: Any, place: str) -> set[Any]:
    if isinstance(table, Mapping):
        return set(table.keys())
    if isinstance(table, list | tuple):
        return set(range(len(table)))
    raise ImportFailure(f"{place} is neither a list nor a mapping: P[s][a] must list the outcomes")


def _read_starts(starts: Sequence[Any], states: int) -> tuple[tuple[int, Fraction], ...]:
    if len(starts) != states:
        message = f"initial_state_distrib has {len(starts)} entries for {states} states"
        raise ImportFailure(message)
    weights = [read_weight(w, f"initial_state_distrib[{s}]") for s, w in enumerate(starts)]
    if sum(weights) != 1:
        raise ImportFailure(f"initial_state_distrib sums to {sum(weights)}, not to 1")
    return tuple((s, w) for s, w in enumerate(weights) if w)


def _read_row(row: Any, states: int, place: str) -> Iterator[Move]:
    if not isinstance(row, list | tuple):
        raise ImportFailure(f"{place} is not a list of outcomes")
    total = Fraction(0)
    for i, outcome in enumerate(row):
        where = f"{place}[{i}]"
        if not isinstance(outcome, list | tuple) or len(outcome) != 4:
            raise ImportFailure(f"{where} is not (weight, next state, reward, terminated)")
        weight, to, reward, ends = outcome
        exact = read_weight(weight, f"the weight in {where}")
        to, ends = plain(to), plain(ends)
        if type(to) is not int or not 0 <= to < states:
            raise ImportFailure(f"the next state in {where} is {to}, not one of 0 to {states - 1}")
        if type(ends) is not bool:
            raise ImportFailure(f"the flag in {where} is {ends}, neither true nor false")
        value = read_rational(reward, f"the reward in {where}")
        total += exact
        if exact:
            yield Move(exact, to, value, ends)
    if total != 1:
        found = ", ".join(str(read_weight(outcome[0], place)) for outcome in row) or "none"
        raise ImportFailure(f"the weights in {place} sum to {total}, not to 1: {found}")


__all__ = ["ImportFailure", "import_environment", "import_table", "read_world"]
