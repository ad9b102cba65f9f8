"""Ask Z3 whether a premise holds: `unsat`, `sat` or `unknown`, three results of three types.

Each question gets a context of its own, so that the same text always takes the same steps; they are bounded by `rlimit`,
never by the clock. A premise counts as proved only if its facts alone can be met.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from hashlib import sha256
from typing import Any, TypeAlias, TypeVar

import z3

from proofs.premises import Premise

MEMO_MAX = 4_096
OUT_OF_RESOURCES = "max. resource limits exceeded"
# parameters of glibc's mallopt
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_MAX = 64 << 20


@dataclass(frozen=True, slots=True)
class Unsat:
    """The premise holds: its denial cannot be met, and its facts can."""

    rlimit_used: int


@dataclass(frozen=True, slots=True)
class Sat:
    """The denial of the premise can be met; `model` gives the declared constants, if asked for."""

    rlimit_used: int
    model: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer, and why."""

    rlimit_used: int
    reason: str


Answer: TypeAlias = Unsat | Sat | Unknown

Exact: TypeAlias = bool | int | Fraction
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Model:
    """Values of the declared constants that meet all that a text asserts, exactly; those that are of no matter may be
    missing."""

    rlimit_used: int
    values: dict[str, Exact]


def prove(premise: Premise, *, rlimit: int, model: bool = False, complete: bool = True) -> Answer:
    """Whether the denial of a premise can be met. `Unsat` is the only proof.

    `rlimit` bounds the goals and the facts each; `rlimit_used` adds up both and depends on the text alone. Without
    `complete`, products of reals are treated by bounds and tangents alone: a decomposition into cells knows no limit.
    """
    answer = _solve(premise.text, rlimit, model, complete)
    if not isinstance(answer, Unsat):
        return answer
    used = answer.rlimit_used
    for text in premise.assumptions:
        facts = _solve(text, rlimit, False)
        used += facts.rlimit_used
        match facts:
            case Sat():
                continue
            case Unsat():
                return Unknown(used, "vacuous: the facts alone contradict each other")
            case Unknown(_, reason):
                return Unknown(used, f"the facts alone are not shown to be possible: {reason}")
    return Unsat(used)


def prove_all(premises: Sequence[Premise], *, rlimit: int, jobs: int = 2) -> list[Answer]:
    """The answers for several premises, in order; `jobs` threads share them, each with contexts of its own."""
    if jobs < 2 or len(premises) < 2:
        return [prove(premise, rlimit=rlimit) for premise in premises]
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(lambda premise: prove(premise, rlimit=rlimit), premises))


def find_model(text: str, *, rlimit: int) -> Model | Unsat | Unknown:
    """Values that meet all that a text asserts; `Unsat` says that there are none."""
    found = _check(text, rlimit, _read_exactly)
    return Model(*found) if isinstance(found, tuple) else found


def solver_version() -> str:
    """The version of Z3, for the record."""
    return str(z3.get_version_string())


# --- one question --------------------------------------------------------------------------------

# answers are a function of text and limit, so remembering them changes nothing but the time taken
_memo: dict[tuple[str, int, bool, bool], Answer] = {}


def _solve(text: str, rlimit: int, model: bool, complete: bool = True) -> Answer:
    key = sha256(text.encode()).hexdigest(), rlimit, model, complete
    found = _memo.get(key)
    if found is None:
        found = _ask(text, rlimit, model, complete)
        if len(_memo) >= MEMO_MAX:
            _memo.clear()
        _memo[key] = found
    return found


def _ask(text: str, rlimit: int, model: bool, complete: bool) -> Answer:
    found = _check(text, rlimit, lambda solved: _read_model(solved) if model else {}, complete)
    return Sat(*found) if isinstance(found, tuple) else found


def _check(
    text: str, rlimit: int, read: Callable[[Any], _Read], complete: bool = True
) -> tuple[int, _Read] | Unsat | Unknown:
    """What is read of a model, with the resource units that it took; else the other answers."""
    used = 0
    _keep_freed_memory()
    try:
        solver = z3.SimpleSolver(ctx=z3.Context())
        solver.set("random_seed", 0)
        solver.from_string(text)
        before = _rlimit_used(
            solver
        )  # reading is linear in the text; only the search is bounded and counted
        solver.set("rlimit", rlimit)
        if not complete:
            solver.set("arith.nl.nra", False)
        result = solver.check()
        used = _rlimit_used(solver) - before
        if result == z3.unsat:
            return Unsat(used)
        if result == z3.sat:
            return used, read(solver.model())
        reason = str(solver.reason_unknown())
        # nobody cancels a question but the limit
        return Unknown(used, OUT_OF_RESOURCES if reason == "canceled" else reason)
    except z3.Z3Exception as error:
        return Unknown(used, f"Z3: {_message(error)}")


@cache
def _keep_freed_memory() -> None:
    """A context takes 16 MB; glibc is told to keep them for the next one, and not to ask the system for them anew."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(M_MMAP_THRESHOLD, 32 << 20)
    mallopt(M_TRIM_THRESHOLD, KEPT_MAX)


def _rlimit_used(solver: Any) -> int:
    statistics = solver.statistics()
    for i in range(len(statistics)):
        name, value = statistics[i]
        if name == "rlimit count":
            return int(value)
    return 0


def _read_model(model: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for declaration in model.decls():
        if declaration.arity() == 0:
            found[str(declaration.name())] = str(model[declaration])
    return dict(sorted(found.items()))


def _read_exactly(model: Any) -> dict[str, Exact]:
    found: dict[str, Exact] = {}
    for declaration in model.decls():
        if declaration.arity() == 0:
            found[str(declaration.name())] = _exact(model[declaration])
    return dict(sorted(found.items()))


def _exact(value: Any) -> Exact:
    """A value of a model; raises Z3Exception for one that is no truth value and no rational number."""
    if z3.is_bool(value):
        return bool(z3.is_true(value))
    if z3.is_int_value(value):
        return int(value.as_long())
    if z3.is_rational_value(value):
        return Fraction(value.numerator_as_long(), value.denominator_as_long())
    raise z3.Z3Exception(f"{value} is no rational number")


def _message(error: Exception) -> str:
    value = error.args[0] if error.args else error
    text = value.decode() if isinstance(value, bytes) else str(value)
    return text.strip().splitlines()[0] if text.strip() else "no reason given"
