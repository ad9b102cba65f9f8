"""Forged searches: what is held, applied and ended, rewrites of the searcher, and the episodes that they stand in.

`verify` refuses each with a LedgerError, even where every id, and whatever else an honest writer would have worked out
from the entries before, was worked out anew. What it does not refuse is listed with the reason.
"""

# ruff: noqa: E501 - tables of forgeries hold one case a line

from __future__ import annotations

import copy
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from cli import godel
from forged_searches import (
    FAMILIES,
    HONEST,
    KINDS,
    Forge,
    all_of,
    best_of,
    by_a_person,
    called,
    change,
    checked_out,
    doubled,
    dropped,
    honest,
    inserted,
    lamps,
    moved,
    nothing,
    of_installed,
    one_of_two,
    original,
    other_tree,
    raised,
    taken,
    told,
    told_again,
    updated,
)
from forging import (
    GONE,
    Forged,
    Json,
    alike,
    mutant_of,
    name_of,
    places,
    put,
    read_out,
    takes_free_along,
    write,
)
from search_machines import run, session_of

from dsl.codec import CodecError, canonical_json, decode_json
from godel.evolve import Limits
from godel.ledger import LedgerError
from godel.verify import verify

# --- honest ledgers ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HONEST)
def test_honest_ledgers_hold(name: str) -> None:
    ledger = honest(name)
    assert " ".join(ledger.kinds) == KINDS[name]
    verify(ledger.store())
    # what a forger works out again is what stands there
    again = told_again(ledger.copy())
    assert again.bodies == ledger.bodies


def refused(ledger: Forged, reason: str) -> None:
    """Require that the ledger does not hold."""
    with pytest.raises(LedgerError, match=reason):
        verify(ledger.store())


# --- one field -----------------------------------------------------------------------------------

FREE = {
    "note": "what a proposer says of its rewrite",
    "rlimit": "the limit that a person gave to Z3, as far as the family allows as much",
    "costs.rlimit": "what Z3 used; it counts in `cost`, which must follow from it",
    "costs.family_steps": "what a family did to find a candidate, or none; it counts in `cost` as well",
    "versions.solver": "which solver answered",
    "seed": "what families draw from",
    "source": "the text, for people to read: what is stored and proved about is the tree",
    "own_search": "whether the search may read the machine, where it reads nothing of it",
}
"""What `verify` cannot know without Z3, the families, the parser or the person, and why; no claim of a theorem reads it."""
DEPARTED = "near: the declared law gives outcome accepted, gain 2 the probability 0"
FIELDS = [("first", 1), ("unused", 1), ("late", 3), ("unused", 2), ("unused", 4), ("idle", 1)]  # fmt: skip
"""A rewrite of the searcher, what is held and applied, an end, and an `apply` of nothing."""


def others(name: str, path: tuple[str, ...], value: Json) -> list[Json]:
    """What else might stand in a place: what is near, or stands there in another entry."""
    near: list[Json] = []
    match value:
        case bool():
            near = [not value]
        case int():
            near = [value + 1, max(0, value - 1)]
        case str() if len(value) == 64:
            keys = ("code", "parent", "result", "searcher", "certificate")
            near = [body[key] for body in original(name).bodies for key in keys if body.get(key)][
                ::2
            ]
        case str() if value[-1:].isdigit() and path[0] not in ("note", "versions"):
            near = [str(Fraction(value) + Fraction(1, 10**9))]
        case list():
            near = [value + value, value[1:], [DEPARTED]]
    found = [
        place
        for other in (name, "best", "unused")
        for body in original(other).bodies
        for where, place in places(body)
        if where == path
    ]
    different = [v for v in (*near[:2], *found, None, "0" * 64, {}) if not alike(v, value)]
    return [v for i, v in enumerate(different) if not any(alike(v, w) for w in different[:i])]


def field_forgeries() -> Iterator[tuple[str, int, tuple[str, ...], Json]]:
    """Two other values for every field of the entries that matter, and one for every part of what they claim."""
    for name, number in FIELDS:
        for path, value in places(original(name).bodies[number]):
            if len(path) == 1 or (len(path) == 2 and path[0] in ("claim", "optimality")):
                for other in others(name, path, value)[: 3 - len(path)]:
                    yield name, number, path, other


def test_no_field_of_a_search_can_be_another() -> None:
    count = 0
    stored = {**original("best").blobs, **original("unused").blobs}
    for name, number, path, other in field_forgeries():
        ledger = honest(name)
        ledger.blobs = {**stored, **ledger.blobs}
        before = copy.deepcopy(ledger.bodies[number])
        put(ledger.bodies[number], path, copy.deepcopy(other))
        count += 1
        try:
            verify(ledger.store())
        except LedgerError:
            continue
        after = ledger.bodies[number][path[0]]
        free = path[0] in FREE or takes_free_along(before[path[0]], after, path[0], set(FREE))
        assert free, (name, number, path, before[path[0]], after)
    assert count >= 200


# --- what happened, told otherwise ---------------------------------------------------------------


OTHERS: list[tuple[str, str, Forge, str]] = [
    # held and accepted
    ("held is installed at once", "late", called(2, "accepted"), "held as `switch` says"),
    ("held is installed at once, and nothing applied", "late", told(all_of(called(2, "accepted"), dropped(3))), "held as `switch` says"),
    ("all that is held is installed at once", "best", all_of(called(3, "accepted"), called(4, "accepted")), "held as `switch` says"),
    ("what is installed at once is held", "at once", called(1, "held"), "held as `switch` says"),
    ("a rewrite of the searcher is held", "first", called(1, "held"), "held as `switch` says"),
    ("a person's rewrite is held", "by hand", called(2, "held"), "held as `switch` says"),
    ("held is refused", "late", called(2, "refused", counterexample={"old": [], "new": [], "shared": [], "acts_alike": True}), "says nothing about"),
    ("held is empty", "late", all_of(called(2, "empty"), updated(2, costs={"rlimit": 0, "family_steps": 0, "kernel_steps": 0}, cost=0)), "gain"),
    ("held is empty, gain and all", "late", told(all_of(called(2, "empty"), updated(2, costs={"rlimit": 0, "family_steps": 0, "kernel_steps": 0}, cost=0, gain=0))), "decision"),
    ("held is undecided", "late", told(called(2, "undecided", gain=0, reason="", disagreement=False)), "decision"),
    # applied
    ("applied sooner", "best", told(moved(5, 4)), "decision"),
    ("applied before anything is held", "best", told(moved(5, 3)), "decision"),
    ("applied in the episode before", "best", told(moved(5, 2)), "decision"),
    ("applied later", "late", told(all_of(nothing(3, "near"), change(3, "parent", "0" * 64))), "the parent"),
    ("applied later, an attempt first", "late", told(all_of(nothing(3, "near"), lambda f: f.bodies[3].update(parent=f.bodies[2]["result"]))), "decision"),
    ("applied at the end", "best", told(moved(5, 6)), "decision, or the horizon"),
    ("not applied", "best", told(dropped(5)), "decision, or the horizon"),
    ("not applied in between", "early", told(dropped(5)), "decision"),
    ("not applied, and said to be held", "unused", told(dropped(2)), "decision"),
    ("applied twice", "best", told(doubled(5)), "end of the episode .horizon"),
    ("applied twice early", "early", told(doubled(5)), "decision"),
    ("applied twice, with one step", "unused", told(doubled(2)), "decision"),
    ("applied by a person", "late", change(3, "try", None), "the attempt"),
    ("applied for the searcher", "late", change(3, "task", "searcher"), "the task"),
    ("applied by a family", "late", change(3, "try", "near"), "the attempt"),
    ("the first of what is held", "best", one_of_two, "the result"),
    ("a program of another entry", "late", lambda f: f.bodies[3].update(result=f.bodies[0]["code"]), "the result"),
    ("a program that was never held", "best", lambda f: f.bodies[5].update(result=f.bodies[1]["result"]), "the result"),
    ("something where nothing is held", "idle", lambda f: f.bodies[1].update(result=f.bodies[0]["searcher"], links=1), "the result"),
    ("a claim where nothing is held", "idle", updated(1, statement="improving", claim={"gain": "1"}), "the claim"),
    ("an empty claim where nothing is held", "idle", updated(1, claim={}), "the claim"),
    ("no claim where something is", "unused", updated(2, statement=None, claim=None), "the statement"),
    ("gain of an apply in units", "late", updated(3, gain=2), "gain and cost"),
    ("cost of an apply", "late", updated(3, cost=1), "gain and cost"),
    ("gain of the first alone", "best", change(5, "claim", "1", "gain"), "the claim"),
    ("more gain", "unused", change(2, "claim", lambda g: str(Fraction(g) + Fraction(1, 10**9)), "gain"), "the claim"),
    ("one link more", "best", change(5, "links", 3), "number of links"),
    # what is shown of it
    ("optimal by another's certificate", "early", best_of("best", 5), "certificate does not hold"),
    ("optimal by a shorter episode's", "early", best_of("late", 5), "certificate does not hold"),
    ("optimal by a shorter episode's, two held", "best", best_of("late", 5), "certificate does not hold"),
    ("optimal by a longer episode's", "late", best_of("best", 3), "certificate does not hold"),
    ("optimal by a held one's certificate", "unused", lambda f: f.bodies[2].update(statement="optimal switch", certificate=f.bodies[1]["certificate"]), "certificate does not hold"),
    ("optimal by the end's certificate", "early", lambda f: f.bodies[5].update(statement="optimal switch", certificate=f.bodies[7]["certificate"]), "certificate does not hold"),
    ("a margin raised a little", "late", raised(3, Fraction(1, 10**9)), "certificate does not hold"),
    ("a margin raised a little, two held", "best", raised(5, Fraction(1, 10**9)), "certificate does not hold"),
    ("a margin raised in the claim alone", "late", change(3, "claim", lambda m: str(Fraction(m) + Fraction(1, 10**9)), "margin"), "the claim"),
    ("a margin lowered in the claim alone", "late", change(3, "claim", lambda m: str(Fraction(m) - Fraction(1, 10**9)), "margin"), "the claim"),
    ("another moment", "late", change(3, "claim", 1, "step"), "the claim"),
    ("other reports", "late", change(3, "claim", 4, "observed", 3, 1), "the claim"),
    ("another action", "late", change(3, "claim", [["try", "far"]], "actions"), "the claim"),
    ("another searcher", "best", lambda f: f.bodies[5]["claim"].update(program=f.bodies[0]["searcher"]), "the claim"),
    ("improving with a certificate", "late", updated(3, statement="improving"), "the certificate"),
    ("improving with a margin", "late", updated(3, statement="improving", certificate=None), "the claim"),
    # the searcher
    ("the searcher's rewrite as the agent's", "first", updated(1, task="agent"), "the parent"),
    ("the searcher's rewrite by a family of the agent", "first", updated(1, **{"try": "near", "family": "near"}), "the task"),
    ("the searcher's rewrite as the agent's, by such a family", "first", updated(1, **{"task": "agent", "try": "near", "family": "near"}), "the parent"),
    ("all of it, from the agent's program", "first", told(lambda f: f.bodies[1].update({"task": "agent", "try": "near", "family": "near", "parent": f.bodies[0]["code"]})), "decision"),
    ("the agent's rewrite as the searcher's", "late", updated(2, **{"task": "searcher", "try": "self", "family": "self"}), "the parent"),
    ("the searcher's rewrite gains", "first", updated(1, gain=2), "gain"),
    ("the searcher's rewrite claims more", "first", change(1, "claim", lambda g: str(Fraction(g) + Fraction(1, 10**9)), "gain"), "the claim"),
    ("the searcher's rewrite left out", "best", told(dropped(1)), "the parent"),
    ("the searcher's rewrite left out, base and all", "best", told(all_of(dropped(1, 2))), "decision"),
    ("the searcher's rewrite twice", "best", told(doubled(1)), "the parent"),
    ("the searcher's rewrite refused", "first", called(1, "refused", counterexample={"old": [], "new": [], "shared": [], "acts_alike": True}), "says nothing about"),
    ("the searcher's refusal accepted", "late", called(1, "accepted", requirements=[]), "says nothing about"),
    ("another searcher at the end", "first", lambda f: f.bodies[2].update(searcher=f.bodies[0]["searcher"]), "the searcher"),
    # episodes
    ("on in the episode that a rewrite of the searcher ended", "best", updated(2, episode=1, step=1), "episode and step"),
    ("on with the steps, in the next", "best", updated(2, step=1), "episode and step"),
    ("on after the horizon", "best", told(nothing(6, "far")), "the parent"),
    ("on after the horizon, from its program", "best", told(all_of(nothing(6, "far"), lambda f: f.bodies[6].update(parent=f.bodies[5]["result"]))), "end of the episode .horizon"),
    ("on after done", "done", told(all_of(nothing(2, "patch"), lambda f: f.bodies[2].update(parent=f.bodies[1]["result"]))), "end of the episode .done"),
    ("on after stop", "idle", told(nothing(2, "patch")), "decision"),
    ("apply after stop", "idle", told(doubled(1)), "decision"),
    ("on after an end", "back", told(dropped(4)), "the parent"),
    ("end left out, the episode goes on", "unused", told(all_of(dropped(4), doubled(1))), "the parent"),
    ("an episode that begins where one is running", "unused", updated(3, episode=2, step=0), "episode and step"),
    ("an end of the episode before", "back", updated(6, episode=1), "episode and step"),
    ("an end one step sooner", "unused", updated(4, step=2), "episode and step"),
    ("applied what a rewrite of the searcher dropped", "lost", told(dropped(3)), "decision"),
    ("applied what a rewrite of the searcher dropped, in the same episode", "lost", all_of(dropped(3), updated(3, episode=1, step=2)), "episode and step"),
    ("on from what a rewrite of the searcher dropped", "lost", lambda f: f.bodies[3].update(parent=f.bodies[1]["result"]), "the parent"),
    # ends
    ("stop where the horizon is", "unused", updated(4, cause="stop"), "decision, or the horizon"),
    ("done where the horizon is", "unused", updated(4, cause="done"), "decision, or the horizon"),
    *((f"cut by {cause} where the horizon is", "unused", updated(4, cause=cause), "decision, or the horizon") for cause in ("attempts", "budget", "gap", "departure", "circle")),
    *((f"cut by {cause} where the world is done", "done", updated(2, cause=cause), "decision, or the horizon") for cause in ("attempts", "budget", "gap", "departure", "circle", "stop", "horizon")),
    *((f"{cause} where it stopped", "idle", updated(2, cause=cause), "decision, or the horizon|departed|circles") for cause in ("done", "horizon", "departure", "circle")),
    *((f"{cause} where it was cut", "first", updated(2, cause=cause), "decision, or the horizon|departed|circles") for cause in ("stop", "done", "horizon", "departure", "circle")),
    *((f"{cause} where reality departed", "strict", updated(2, cause=cause), "decision, or the horizon|circles") for cause in ("stop", "done", "horizon", "circle")),
    *((f"{cause} where it goes round", "circle", updated(3, cause=cause), "decision, or the horizon|departed") for cause in ("stop", "done", "horizon", "departure")),
    ("a circle after one attempt", "circle", told(dropped(2)), "circles"),
    ("a circle after none", "circle", told(dropped(1, 2)), "circles"),
    ("a departure of the run before", "strict", told(doubled(2)), "departed"),
    ("a circle of the run before", "circle", told(doubled(3)), "circles"),
    ("no known cause", "first", updated(2, cause="keep-searcher"), "no known cause"),
    ("no cause", "first", updated(2, cause=""), "no known cause"),
    ("nothing held at the end", "unused", updated(4, held=None), "what is held"),
    ("held at the end, where it is installed", "best", lambda f: f.bodies[6].update(held=f.bodies[4]["result"]), "what is held"),
    ("held at the end as installed", "unused", lambda f: f.bodies[4].update(code=f.bodies[4]["held"], held=None), "the program"),
    ("what is held counted", "unused", lambda f: f.bodies[4].update(links=2, gain=str(Fraction(f.bodies[4]["gain"]) + Fraction(f.bodies[3]["claim"]["gain"]))), "number of links"),
    ("what is held counted in the sum", "unused", lambda f: f.bodies[4].update(gain=str(Fraction(f.bodies[4]["gain"]) + Fraction(f.bodies[3]["claim"]["gain"]))), "sum of the gains"),
    ("the searcher's gain counted", "first", lambda f: f.bodies[2].update(gain=f.bodies[1]["claim"]["gain"]), "sum of the gains"),
    ("the searcher's link counted", "first", updated(2, links=1), "number of links"),
    ("the end of another task", "first", updated(2, task="searcher"), "the task"),
    ("no gap", "unused", change(4, "optimality", "0", "gap"), "the claim"),
    # bases
    ("an attempt on the installed program", "best", change(4, "parent", lambda _: original("best").bodies[3]["parent"]), "the parent"),
    ("an attempt on the installed program, edits and all", "best", of_installed, "the parent"),
    ("the first held from itself", "best", lambda f: f.bodies[3].update(parent=f.bodies[3]["result"]), "the parent"),
    ("held in the other order", "best", told(moved(4, 3)), "the parent"),
    ("a person's rewrite of what is held", "by hand", lambda f: f.bodies[2].update(parent=f.bodies[1]["result"]), "the parent"),
    ("held on, after a person's rewrite", "by hand", lambda f: f.bodies[3].update(parent=f.bodies[1]["result"]), "the parent"),
    ("an `apply` from what is held", "late", lambda f: f.bodies[3].update(parent=f.bodies[2]["result"]), "the parent"),
    # checkouts
    ("a checkout of what is held", "best", checked_out(4, 3), "never installed"),
    ("a checkout of what was held at the end", "unused", all_of(checked_out(5, 3), lambda f: f.bodies[5].update(parent=f.bodies[4]["code"])), "never installed"),
    ("a checkout of the searcher's rewrite, for the agent", "first", checked_out(3, 1), "never installed"),
    ("a checkout between, and what was held is applied", "unused", told(all_of(checked_out(2, 1), lambda f: f.bodies[2].update(code=f.bodies[0]["code"]))), "decision"),
    ("a revision between, and what was held is applied", "unused", told(inserted(2, lambda f: ("revision", f.bodies[0]))), "decision"),
    # departures
    ("a departure forgotten", "strict", updated(1, departures=[]), "departures"),
    ("a departure and its cut forgotten", "strict", updated(1, departures=[], gain=26), "gain"),
    ("a departure forgotten, at once", "at once", updated(1, departures=[]), "departures"),
    ("a departure of another size", "strict", updated(1, departures=["gain 3 is beyond 2"]), "departures"),
    ("a departure twice", "strict", change(1, "departures", lambda d: d + d), "departures"),
    ("a departure of the cost", "strict", change(1, "departures", lambda d: [*d, "cost 10 is beyond 9"]), "departures"),
    *((f"a departure invented in entry {n} of {name}", name, updated(n, departures=[DEPARTED]), "departures") for name, n in (("first", 1), ("late", 2), ("late", 3), ("idle", 1), ("kept", 1), ("circle", 2))),
    ("a person departs", "by hand", updated(2, departures=[DEPARTED]), "departures"),
    # decisions and units
    ("the far one first", "late", told(updated(2, **{"try": "far", "family": "far"})), "decision"),
    ("the agent before the searcher", "late", told(moved(2, 1)), "decision"),
    ("a family of another name", "late", updated(2, family="far"), "the family"),
    ("gain in more units", "late", updated(2, gain=3), "gain"),
    ("gain in fewer units", "late", updated(2, gain=1), "gain"),
    ("cost in more units", "late", updated(2, cost=1), "cost"),
    ("more rlimit than the family has", "late", updated(2, rlimit=50_000_000), "beyond that of the family"),
    ("costs where nothing was proposed", "kept", updated(1, costs={"rlimit": 1, "family_steps": 0, "kernel_steps": 0}), "the costs"),
    ("checks where nothing was proposed", "circle", updated(1, costs={"rlimit": 0, "family_steps": 0, "kernel_steps": 1}), "the costs"),
    ("kept because a person said so", "kept", updated(1, reason="by --keep-searcher"), "the reason"),
    ("a rewrite of the searcher that was kept away", "kept", told(lambda f: inserted(1, taken("first", 1))(f) or f.drop(2)), "decision"),
    # the search itself
    ("no `switch held`", "best", other_tree("search", "switch held", ""), "certificate does not hold"),
    ("a longer episode", "best", other_tree("search", "horizon 4", "horizon 5"), "certificate does not hold"),
    ("a cheaper switch", "best", other_tree("search", "held - 1", "held"), "certificate does not hold"),
    ("a dearer unit", "best", other_tree("search", "gain_unit: 1/2", "gain_unit: 1"), "gain"),
    ("a self that is the agent's", "best", other_tree("search", "target: searcher, ", ""), "the task"),
    ("a searcher that waits", "best", told(other_tree("searcher", "if pending then apply", "if pending and held == 4 then apply")), "the parent"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "forge", "reason"), [f[1:] for f in OTHERS], ids=[f"{i} {f[0]}" for i, f in enumerate(OTHERS)])  # fmt: skip
def test_what_happened_cannot_be_told_otherwise(name: str, forge: Forge, reason: str) -> None:
    ledger = honest(name)
    forge(ledger)
    refused(ledger, reason)


def test_forgeries_of_searches_are_many_and_of_many_kinds() -> None:
    assert len(OTHERS) >= 150 and len({name for name, *_ in OTHERS}) >= 120


@pytest.mark.parametrize("number", range(3, len(OTHERS), 29))
def test_forged_search_ends_the_command_with_30(number: int, tmp_path: Path) -> None:
    _, name, forge, _ = OTHERS[number]
    ledger = honest(name)
    forge(ledger)
    found = godel("--store", write(tmp_path / "forged.db", ledger), "verify")
    assert found.code == 30 and "verification failed" in found.err, found.err


def test_a_family_cannot_lend_its_name_to_the_end_of_an_episode() -> None:
    """A searcher that decides for a family called `horizon` has not reached the horizon."""
    families = FAMILIES.replace("patch", "horizon")
    text = lamps("try = horizon", families=families)
    with TemporaryDirectory() as folder, session_of(text, Path(folder)) as session:
        run(session, Limits(attempts=0))
        ledger = read_out(session.store)
    verify(ledger.store())
    ledger.bodies[1]["cause"] = "horizon"
    refused(ledger, "decision, or the horizon: recorded 'horizon', found None")


# --- what binds nothing --------------------------------------------------------------------------


def without_optimality(number: int) -> Forge:
    """An end that claims nothing about the best program."""
    return updated(number, optimality=None, certificate=None, reason="the gap is not known: it is")


def never_tried(ledger: Forged) -> None:
    """A rewrite of the searcher that was not proposed."""
    inserted(1, taken("kept", 1))(ledger)
    ledger.drop(2)
    told_again(ledger)


HARMLESS: list[tuple[str, str, Forge, int]] = [
    # less is claimed, and what is claimed holds: the chain of what was held is checked all the same
    ("a switch is improving, and no more", "late", lambda f: f.bodies[3].update(statement="improving", certificate=None, claim={"gain": f.bodies[3]["claim"]["gain"]}), 1),
    # nobody but the family, which `verify` does not run, knows that it had something to propose; an improvement is lost
    ("the last attempt found nothing", "first", never_tried, 1),
    # nothing is said of the gap any more
    ("an end without a gap", "unused", without_optimality(4), 1),
    # a tail that is missing, or an episode that a kill cut short, looks like this: only `--head` pins a tail
    ("no end", "unused", dropped(4), 1),
    ("no end, and nothing held last", "unused", dropped(3, 4), 1),
    # which limit a person set stands in no entry
    *((f"cut by {cause}", "first", updated(2, cause=cause), 0) for cause in ("budget", "gap")),
    # where the search goes on, a person may cut it, and before the searcher is asked whether it stops
    ("stop told as a limit", "idle", updated(2, cause="attempts"), 0),
    ("a circle told as a limit", "circle", updated(3, cause="attempts"), 0),
    ("a departure told as a limit", "strict", updated(2, cause="budget"), 0),
    # the ledger does not say who wrote it: a proposal passes the same gate, and is installed between episodes
    ("the searcher's rewrite by a person", "first", told(by_a_person(1)), 0),
    ("the last attempt is undecided", "first", told(called(1, "undecided", gain=0, reason="", disagreement=False)), 1),
    # costs that nobody can measure again, within the same unit
    ("more work of Z3", "late", change(2, "costs", lambda n: n + 1, "rlimit"), 0),
    ("more work of a family", "late", change(2, "costs", lambda n: n + 1, "family_steps"), 0),
    ("less rlimit than the family allows", "late", updated(2, rlimit=1), 0),
    # of a chapter
    ("another seed", "unused", change(0, "seed", 7), 0),
    ("another text", "unused", lambda f: f.bodies[0].update(source=f.file(b"machine of_mine")), 0),
    ("a search that may read the machine, and does not", "unused", change(0, "own_search", False), 0),
]  # fmt: skip
"""What is not refused, with how many theorems it claims less; none claims more, and all of them hold."""


@pytest.mark.parametrize(("name", "forge", "less"), [f[1:] for f in HARMLESS], ids=[f[0] for f in HARMLESS])  # fmt: skip
def test_what_is_not_refused_claims_no_more(name: str, forge: Forge, less: int) -> None:
    ledger = honest(name)
    before = verify(ledger.store())
    forge(ledger)
    assert ledger.bodies != original(name).bodies
    after = verify(ledger.store())
    assert after.theorems <= before.theorems - less
    assert (after.gain, after.program) == (before.gain, before.program)


def test_what_is_held_is_installed_at_once_where_a_person_is_said_to_have_proposed_it() -> None:
    """It passed the gate all the same; the ledger does not say who wrote it."""
    ledger = honest("late")
    all_of(called(2, "accepted"), by_a_person(2))(ledger)
    refused(told_again(ledger), "decision")  # what comes next is the first step of another episode
    ledger.drop(3, 4)
    found = verify(ledger.store())
    assert (found.program, found.gain) == (ledger.bodies[2]["result"], "1")


# --- random mutants ------------------------------------------------------------------------------

MUTANTS = ("first", "kept", "unused", "idle", "strict", "circle", "late", "by hand")


@pytest.mark.parametrize("name", MUTANTS)
def test_random_mutant_is_refused_or_touches_what_is_free(name: str) -> None:
    count = 0
    for seed in range(27):
        rng = Random(f"{name} {seed}")
        ledger = honest(name)
        number = rng.randrange(len(ledger.kinds))
        path, value = rng.choice(list(places(ledger.bodies[number])))
        mutant = mutant_of(rng, value)
        if mutant is not GONE and alike(mutant, value):
            continue
        put(ledger.bodies[number], path, mutant)
        where = name_of(path)
        try:
            verify(ledger.store())
        except LedgerError:
            count += 1
            continue
        assert where in FREE or takes_free_along(value, mutant, where, set(FREE)), (
            seed, ledger.kinds[number], where, value, mutant,
        )  # fmt: skip
    assert count >= 14


def test_random_mutant_of_a_choice_is_refused_or_shows_the_same() -> None:
    """The certificate of an optimal switch is changed and filed anew; the claim stays."""
    count = 0
    for seed in range(30):
        rng = Random(f"choice {seed}")
        ledger = honest("late")
        body = ledger.first("applied")
        data = cast(Any, decode_json(ledger.blobs[body["certificate"]]))
        path, value = rng.choice(list(places(data)))
        put(data, path, mutant_of(rng, value))
        try:
            body["certificate"] = ledger.file(canonical_json(data))
            verify(ledger.store())
        except (LedgerError, CodecError):
            count += 1
    assert count >= 15
