"""Honest ledgers of searches, and what a forger may do to them."""

# ruff: noqa: E501 - the table of machines holds one a line

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias, cast

from forging import (
    Forged,
    Json,
    alike,
    read_out,
)
from search_machines import machine, run, session_of

from dsl import syntax as s
from dsl.codec import decode_tree, encode_tree
from dsl.interp import EvaluationFault
from dsl.parser import parse_blocks
from dsl.rewrite import derive_edits, encode_edits
from godel.entries import _BODIES
from godel.evolve import Limits, Session, check_out
from godel.history import ATTEMPTS, History, total_gain
from godel.ledger import Entry, Kind, LedgerError
from godel.searching import Step

# --- honest ledgers ------------------------------------------------------------------------------

TWO_STEPS = """
machine two_steps
environment {
  state here: int 0..1 = { 0: 1/2, 1: 1/2 }
  action go: bool
  here'  = here
  reward = if go then 1 else 0
}
utility { discount 1/2 }
agent {
  table PLAN: array[2] of bool = [false, false]
  policy { go = PLAN[here] }
}
search {
  family self = improve(target: searcher, states: one)
  family near = improve(states: one, rlimit: 5_000_000)
  family far  = improve(states: all)
  switch held
  prices { gain_unit: 1/2, cost_unit: 1_000_000 }
  world {
    report fails_self: int 0..1
    report wins_near: int 0..1
    report pending: bool
    report held: int 0..4
    action try: Attempt
    chance outcome: Outcome = match try {
      self: if fails_self == 0 then { accepted: 1/2, refused: 1/2 } else { empty: 1 },
      near: if wins_near == 0 then { accepted: 3/4, empty: 1/4 } else { empty: 1 },
      far:  if wins_near == 1 and held == 2 then { accepted: 3/4, empty: 1/4 } else { empty: 1 },
    }
    chance gain: int 0..2 = { 2: 1 }
    reward = if try == apply and pending then held - 1 else if try == self and outcome == accepted then 9 else 0
  }
  utility { horizon 4 }
}
searcher {
  policy {
    try = if fails_self == 0 then self else if pending then apply else if wins_near == 0 then near else far
  }
}
"""
"""A first improvement is near, another one far; the machine finds that it is better to hold on until it has both."""

FAMILIES = "family patch = improve(states: one) prices { gain_unit: 1/10, cost_unit: 1_000_000 }"
STEPS = "report step: int 0..3"
LAW = """
    action try: Attempt
    chance outcome: Outcome = { accepted: 1/2, empty: 1/2 }
    chance gain: int 0..40 = { 13: 1/2, 26: 1/2 }
    chance cost: int 0..2 = { 0: 1/2, 1: 1/2 }
"""
SELF = "family self = improve(target: searcher, states: one)"
VALUED = "reward = if try == apply and pending then 1 else 0"
SCANT = LAW.replace("int 0..40 = { 13: 1/2, 26: 1/2 }", "int 0..2 = { 2: 1 }")
"""A law under which no gain is as large as what `patch` finds in the lamps."""


def lamps(policy: str, law: str = LAW, **more: str) -> str:
    """A machine whose search does not know much."""
    law = law if "reward" in law else f"{law} reward = 0"
    settings = {"switch": "held", "families": FAMILIES, "reports": STEPS, "law": law, **more}
    return machine(policy, **settings)


def two_steps(horizon: int) -> str:
    """The machine with so many steps to an episode."""
    return TWO_STEPS.replace("horizon 4", f"horizon {horizon}")


def go_back(session: Session) -> None:
    """Run, make the first program the head again, and run once more."""
    run(session)
    history = session.history
    first = history.load_code(history.agent.first)
    check_out(session.store, history, session.gate.chapter, first)
    run(Session.resume(session.store, rlimit=50_000_000, threads=1), Limits(attempts=1))


def by_hand(session: Session) -> None:
    """A person's rewrite while something is held, then a run that is cut."""
    session._attempt("patch")
    found = parse_blocks("agent { policy { left = true right = false } }").agent
    assert found is not None
    session.propose(derive_edits(session.head_code, found), "by hand")
    run(session, Limits(attempts=1))


APPLY_SOON = "try = if step == 1 then apply else patch"
HONEST: Mapping[str, tuple[str, Callable[[Session], object]]] = {
    "best": (two_steps(4), run),
    "late": (two_steps(3), run),
    "early": (two_steps(5), run),
    "first": (two_steps(4), lambda x: run(x, Limits(attempts=1))),
    "kept": (two_steps(4), lambda x: run(x, Limits(attempts=2, keep_searcher=True))),
    "unused": (lamps(APPLY_SOON, utility="horizon 3"), run),
    "idle": (lamps("try = if step == 0 then apply else stop"), run),
    "lost": (lamps("try = if pending then self else patch", LAW + VALUED, families=f"{FAMILIES} {SELF}", reports="report pending: bool", utility="horizon 2"), run),
    "strict": (lamps("try = patch", SCANT), lambda x: run(x, Limits(strict=True))),
    "at once": (lamps("try = patch", SCANT, switch="at_once"), lambda x: run(x, Limits(attempts=1))),
    "done": (lamps("try = patch", LAW + "done = step == 1"), run),
    "circle": (lamps("try = tidy", families="family tidy = simplify()", utility="discount 1/2", reports="report fails_tidy: int 0..1"), run),
    "back": (lamps(APPLY_SOON, utility="horizon 2"), go_back),
    "by hand": (lamps("try = patch"), by_hand),
}  # fmt: skip
"""Machines, and how they are run."""


def honest(name: str) -> Forged:
    """A copy of what one of them wrote."""
    return original(name).copy()


@cache
def original(name: str) -> Forged:
    """What one of them wrote, to look at and not to change."""
    text, write_it = HONEST[name]
    with TemporaryDirectory() as folder, session_of(text, Path(folder)) as session:
        write_it(session)
        return read_out(session.store)


KINDS = {
    "best": "genesis accepted refused held held applied ended",
    "late": "genesis refused held applied ended",
    "early": "genesis accepted refused held held applied empty ended",
    "first": "genesis accepted ended",
    "kept": "genesis empty held ended",
    "unused": "genesis held applied held ended",
    "idle": "genesis applied ended",
    "lost": "genesis held accepted held applied ended",
    "strict": "genesis held ended",
    "at once": "genesis accepted ended",
    "done": "genesis held ended",
    "circle": "genesis empty empty ended",
    "back": "genesis held applied ended checkout held ended",
    "by hand": "genesis held accepted held ended",
}


# --- a forger who thinks of everything -----------------------------------------------------------

Forge: TypeAlias = Callable[[Forged], object]
STEPPED = (*ATTEMPTS, Kind.APPLIED)


def told_again(ledger: Forged) -> Forged:
    """Work out again, entry by entry, what follows from the entries before: episode and step, departures, what is held, sums."""
    history = History(lambda name: ledger.blobs[name])
    for number, (word, body) in enumerate(zip(ledger.kinds, ledger.bodies, strict=True)):
        kind = Kind(word)
        try:
            if kind in STEPPED and body["try"] is not None:
                body["episode"], body["step"] = history.next_episode
                outcome = body.get("outcome", "none")
                step = Step(body["try"], outcome, body["gain"], body["cost"])
                cut = [text for text in body["departures"] if " is beyond " in text]
                body["departures"] = [*cut, *history.departures_of(step)]
            if kind is Kind.APPLIED:
                body["links"] = len(history.agent.held_links)
            if kind is Kind.ENDED:
                body["episode"], body["step"] = history.next_episode
                body.update(code=history.head, searcher=history.tasks["searcher"].head)
                body.update(held=history.agent.held, links=len(history.links))
                body["gain"] = str(total_gain(history.links))
            history.advance(Entry(number, f"{number:064}", "0" * 64, kind, body))
        except (LedgerError, EvaluationFault, KeyError, ValueError):
            break
    return ledger


# --- single forgeries ----------------------------------------------------------------------------


def change(number: int, key: str, to: Any, *more: Any) -> Forge:
    """Put something else into a field of an entry; `more` leads from there to the place."""

    def forge(ledger: Forged) -> None:
        place: Any = ledger.bodies[number]
        for at in (key, *more)[:-1]:
            place = place[at]
        last = (key, *more)[-1]
        value = to(place[last]) if callable(to) else to
        assert not alike(place[last], value)
        place[last] = value

    return forge


def updated(number: int, **changes: Any) -> Forge:
    """Put several things into an entry."""
    return lambda ledger: ledger.bodies[number].update(copy.deepcopy(changes))


def moved(number: int, to: int) -> Forge:
    """An entry in another place."""

    def forge(ledger: Forged) -> None:
        for held in cast(Any, (ledger.kinds, ledger.bodies)):
            held.insert(to, held.pop(number))

    return forge


def dropped(*numbers: int) -> Forge:
    """Entries left out."""
    return lambda ledger: ledger.drop(*numbers)


def doubled(number: int) -> Forge:
    """An entry twice."""
    return inserted(number + 1, lambda ledger: (ledger.kinds[number], ledger.bodies[number]))


def inserted(number: int, what: Callable[[Forged], tuple[str, Json]]) -> Forge:
    """One entry more."""

    def forge(ledger: Forged) -> None:
        kind, body = what(ledger)
        ledger.kinds.insert(number, kind)
        ledger.bodies.insert(number, copy.deepcopy(body))

    return forge


def taken(name: str, number: int, **changes: Any) -> Callable[[Forged], tuple[str, Json]]:
    """An entry of another ledger, with its blobs."""

    def take(ledger: Forged) -> tuple[str, Json]:
        source = original(name)
        ledger.blobs.update(source.blobs)
        return source.kinds[number], {**source.bodies[number], **changes}

    return take


def called(number: int, kind: str, **changes: Any) -> Forge:
    """An entry of another kind, with the keys that this has."""

    def forge(ledger: Forged) -> None:
        body = {**ledger.bodies[number], **changes}
        if "outcome" in body:
            body["outcome"] = "accepted" if kind == "held" else kind
        ledger.kinds[number] = kind
        ledger.bodies[number] = {key: body.get(key) for key in _BODIES[Kind(kind)]}

    return forge


def nothing(number: int, tried: str, task: str = "agent", at: int = 1) -> Forge:
    """An attempt more, at which nothing was proposed."""
    changes = {"try": tried, "family": tried, "task": task}

    def forge(ledger: Forged) -> None:
        kind, body = taken("kept", 1, **changes)(ledger)
        body["parent"] = ledger.bodies[at]["parent"]
        inserted(number, lambda _: (kind, body))(ledger)

    return forge


def all_of(*forges: Forge) -> Forge:
    """One after the other."""

    def forge(ledger: Forged) -> None:
        for one in forges:
            one(ledger)

    return forge


def other_tree(key: str, old: s.Node | str, new: s.Node | str) -> Forge:
    """Another search or searcher in genesis."""

    def forge(ledger: Forged) -> None:
        genesis = ledger.bodies[0]
        kind = s.Search if key == "search" else s.Code
        tree = decode_tree(ledger.blobs[genesis[key]], kind)
        after = parse_blocks(HONEST["best"][0][TWO_STEPS.index("search {") :].replace(str(old), str(new)))  # fmt: skip
        found = after.search if key == "search" else after.searcher
        assert found is not None and found != tree
        genesis[key] = ledger.file(encode_tree(found))

    return forge


def told(forge: Forge) -> Forge:
    """The same, with all that follows worked out again."""
    return all_of(forge, told_again)


def by_a_person(number: int) -> Forge:
    """A family's attempt, told as a person's proposal."""
    changes = {"try": None, "family": "file", "episode": None, "step": None, "departures": []}
    return updated(number, **changes)


def of_installed(ledger: Forged) -> None:
    """The second held rewrite as one of the installed program: edits, result and all, but for what is proved."""
    first, second = ledger.bodies[3], ledger.bodies[4]
    old, new = (
        cast(s.Code, decode_tree(ledger.blobs[name], s.Code))
        for name in (first["parent"], second["result"])
    )
    second.update(parent=first["parent"], edits=encode_edits(derive_edits(old, new)))


def one_of_two(ledger: Forged) -> None:
    """Install the first of two held rewrites, the second being held no more."""
    applied, first = ledger.bodies[5], ledger.bodies[3]
    applied.update(result=first["result"], links=1)
    applied["claim"]["gain"] = first["claim"]["gain"]


def raised(number: int, by: Fraction) -> Forge:
    """A higher margin, in the claim and in the certificate."""

    def forge(ledger: Forged) -> None:
        body = ledger.bodies[number]
        margin = str(Fraction(body["claim"]["margin"]) + by)
        body["claim"]["margin"] = margin
        body["certificate"] = ledger.change_blob(
            body["certificate"], lambda data: {**data, "margin": margin}
        )

    return forge


def best_of(name: str, number: int) -> Forge:
    """Claim that the switch is optimal, by what shows it of a machine that has more or fewer steps."""

    def forge(ledger: Forged) -> None:
        source = original(name)
        theirs = next(body for body in source.bodies if body.get("statement") == "optimal switch")
        body = ledger.bodies[number]
        ledger.blobs.update(source.blobs)
        gain = {"gain": body["claim"]["gain"]}
        body.update(statement="optimal switch", certificate=theirs["certificate"])
        body["claim"] = {**theirs["claim"], **gain}

    return forge


def checked_out(number: int, result: int) -> Forge:
    """A checkout of what an entry proved."""

    def forge(ledger: Forged) -> None:
        kind, body = taken("back", 4)(ledger)
        body = {**body, "code": ledger.bodies[result]["result"]}
        body["parent"] = ledger.bodies[0]["code"]
        inserted(number, lambda _: (kind, body))(ledger)

    return forge
