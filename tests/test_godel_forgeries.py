"""Forged ledgers and proof files: `verify` refuses each with a LedgerError, even where every id was worked out anew."""

# ruff: noqa: E501 - tables of forgeries hold one case a line

from __future__ import annotations

import copy
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from cli import Done, godel
from forging import (
    GONE,
    SEARCH,
    TRACK,
    Forged,
    alike,
    mutant_of,
    name_of,
    open_rows,
    places,
    put,
    real_ledger,
    search_of,
    takes_free_along,
    write,
)
from kernel_cases import NOWHERE

from dsl import syntax as s
from dsl.codec import (
    CodecError,
    canonical_json,
    decode_json,
    decode_rational,
    decode_tree,
    digest,
    digest_node,
    encode_node,
    encode_tree,
)
from dsl.errors import DslError
from dsl.parser import parse_machine
from dsl.rewrite import Replace, encode_edits
from godel.cli.describe import describe_entry
from godel.evolve import SearchFile
from godel.ledger import Kind, LedgerError, derive_id
from godel.prooffile import ProofFile, check_proof, decode_proof, encode_proof
from godel.verify import verify
from proofs.kernel.chapter import Chapter
from proofs.kernel.theorem import CertificateError

Json = Any


def test_the_real_ledger_holds() -> None:
    ledger = real_ledger()
    found = verify(ledger.store())
    assert found.theorems >= 7 and found.disagreements == 0
    kinds = set(ledger.kinds)
    assert kinds == {k.value for k in Kind} - {"held", "applied", "approval", "revision"}
    assert any(body.get("gain") for k, body in zip(ledger.kinds, ledger.bodies, strict=True) if k == "accepted")  # fmt: skip


# --- entries that say something else -------------------------------------------------------------


def change(kind: str, *path: Any, to: Any, **wanted: Any) -> Callable[[Forged], None]:
    """Put something else into the first entry of a kind."""

    def forge(ledger: Forged) -> None:
        place: Any = ledger.first(kind, **wanted)
        for key in path[:-1]:
            place = place[key]
        before = place[path[-1]]
        place[path[-1]] = to(before) if callable(to) else to
        assert place[path[-1]] != before or type(place[path[-1]]) is not type(before)

    return forge


def drop(kind: str, *path: Any) -> Callable[[Forged], None]:
    """Leave a key of the first entry of a kind out."""

    def forge(ledger: Forged) -> None:
        place: Any = ledger.first(kind)
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

    return forge


def add(amount: str) -> Callable[[str], str]:
    """A rational moved."""
    return lambda text: str(decode_rational(text) + Fraction(amount))


def other_certificate(kind: str) -> Callable[[Forged], None]:
    """Offer the certificate of the next entry of the same kind."""

    def forge(ledger: Forged) -> None:
        first, last = ledger.first(kind), ledger.bodies[ledger.last(kind)]
        assert first["certificate"] != last["certificate"]
        first["certificate"] = last["certificate"]

    return forge


TABLES = {"new_lower": 0, "old_upper": 1, "new_upper": 0, "old_lower": 1, "lower": 0, "upper": 1}


def tables_of(data: Json) -> Json:
    """The tables of the only case of a certificate."""
    return data["cases"][0][1]["tables"]


def forge_table(kind: str, name: str, amount: str) -> Callable[[Forged], None]:
    """Move a value in the certificate of an entry, and the claim with it."""

    def forge(ledger: Forged) -> None:
        body = ledger.first(kind)

        def moved(data: Json) -> Json:
            for entry in tables_of(data)[TABLES[name]][0]:
                entry[1] = add(amount)(entry[1])
            return data

        body["certificate"] = ledger.change_blob(body["certificate"], moved)
        claim = body.get("claim") or body["optimality"]
        for key in ("new_lower", "gain") if "gain" in claim else (name,):
            if key in claim:
                claim[key] = add(amount)(claim[key])

    return forge


def turn(kind: str, to: str, **changes: Any) -> Callable[[Forged], None]:
    """Call an entry something else."""

    def forge(ledger: Forged) -> None:
        number = ledger.at(kind)
        pattern = ledger.bodies[ledger.at(to)]
        ledger.kinds[number] = to
        body = {**ledger.bodies[number], "outcome": to, **changes}
        # whatever the other kind has besides is taken from a real one, and nothing else is left
        ledger.bodies[number] = {key: body.get(key, pattern[key]) for key in pattern}

    return forge


def accept_a_refusal(ledger: Forged) -> None:
    """Turn a refusal into an acceptance that claims a gain of 1, tables in each other's place."""
    number = ledger.last("refused")
    body = ledger.bodies[number]
    ledger.kinds[number], body["outcome"], body["rule"] = "accepted", "accepted", "better"
    table = ledger.change_blob(
        body["certificate"],
        lambda d: {**d, "rule": "better", "gain": "1", "world": NOWHERE},
    )  # fmt: skip
    body["certificate"] = table
    body["claim"] = {"criterion": "dominates", "gain": "1", "new_lower": "2", "old_upper": "1", "world": []}  # fmt: skip
    del body["counterexample"]


def refuse_an_acceptance(ledger: Forged) -> None:
    """Turn the last acceptance into a refusal."""
    number, shown = ledger.last("accepted"), ledger.first("refused")["counterexample"]
    body = ledger.bodies[number]
    ledger.kinds[number], body["outcome"], body["rule"], body["gain"] = "refused", "refused", "not better", 0  # fmt: skip
    body["certificate"] = ledger.change_blob(
        body["certificate"],
        lambda d: {"version": 2, "rule": "not better", "cases": d["cases"]},
    )  # fmt: skip
    body["claim"] = {"criterion": "dominates", "new_upper": "1", "old_lower": "2", "world": None}
    body["counterexample"] = shown


def edits_elsewhere(ledger: Forged) -> None:
    """The accepted edits lead to another program, which is stored and named."""
    body = ledger.first("accepted")
    parent = cast(s.Code, decode_tree(ledger.blobs[body["parent"]], s.Code))
    node = cast(s.Node, s.node_at(cast(s.Slot, parent.slot("PLAN")), (0, 3)))
    edit = Replace("PLAN", (0, 3), digest_node(node), s.Name("back"))
    body["edits"] = encode_edits((edit,))


def edits_and_result_elsewhere(ledger: Forged) -> None:
    """The same, with the result that belongs to them, and everything after it taken along."""
    edits_elsewhere(ledger)
    body = ledger.first("accepted")
    parent = cast(s.Code, decode_tree(ledger.blobs[body["parent"]], s.Code))
    from dsl.rewrite import apply_rewrite, decode_edits

    new = apply_rewrite(parent, decode_edits(body["edits"]))
    replace_everywhere(ledger, body["result"], ledger.file(encode_tree(new)))


def replace_everywhere(ledger: Forged, old: str, new: str) -> None:
    """Name another blob wherever one is named."""
    text = canonical_json(cast(Any, ledger.bodies)).replace(old.encode(), new.encode())
    ledger.bodies = cast(Any, decode_json(text))


def other_declarations(before: str, after: str) -> Callable[[Forged], None]:
    """Another world in genesis, its digest worked out; certificates are kept."""

    def forge(ledger: Forged) -> None:
        assert before in TRACK
        text = TRACK.replace(before, after)
        tree = parse_machine(text).declarations
        genesis = ledger.first("genesis")
        genesis["declarations"] = ledger.file(encode_tree(tree))
        genesis["source"] = ledger.file(text.encode())

    return forge


def other_search(before: str, after: str) -> Callable[[Forged], None]:
    """Another searcher or search world in genesis."""

    def forge(ledger: Forged) -> None:
        assert before in SEARCH
        put_search(ledger, search_of(SEARCH.replace(before, after)))

    return forge


def put_search(ledger: Forged, search: SearchFile) -> None:
    """Put another search into genesis."""
    genesis = ledger.first("genesis")
    genesis["search"] = ledger.file(encode_tree(search.search))
    genesis["searcher"] = ledger.file(encode_tree(search.searcher))
    for number, kind in enumerate(ledger.kinds):
        if kind == "ended":
            ledger.bodies[number]["searcher"] = genesis["searcher"]


def other_prices(**prices: int) -> Callable[[Forged], None]:
    """Other prices in genesis."""

    def forge(ledger: Forged) -> None:
        put_search(ledger, search_of(**prices))

    return forge


def missing_blob(kind: str, key: str) -> Callable[[Forged], None]:
    """Lose a blob."""
    return lambda ledger: cast(None, ledger.blobs.pop(ledger.first(kind)[key]))


def flip(kind: str, key: str) -> Callable[[Forged], None]:
    """Flip a bit of a blob that keeps its name."""

    def forge(ledger: Forged) -> None:
        name = ledger.first(kind)[key]
        data = bytearray(ledger.blobs[name])
        data[len(data) // 2] ^= 1
        ledger.blobs[name] = bytes(data)

    return forge


def swap_entries(ledger: Forged) -> None:
    """Two attempts in each other's place."""
    for held in (ledger.kinds, ledger.bodies):
        held[1], held[2] = cast(Any, held[2]), cast(Any, held[1])


def repeat(kind: str) -> Callable[[Forged], None]:
    """An entry twice."""

    def forge(ledger: Forged) -> None:
        number = ledger.at(kind)
        ledger.kinds.insert(number, kind)
        ledger.bodies.insert(number, copy.deepcopy(ledger.bodies[number]))

    return forge


def leave_out(kind: str) -> Callable[[Forged], None]:
    """An entry left out."""
    return lambda ledger: ledger.drop(ledger.at(kind))


def insert(number: int, kind: str, body: dict[str, Any] | None = None) -> Callable[[Forged], None]:
    """An entry from nowhere."""

    def forge(ledger: Forged) -> None:
        at = number if number >= 0 else len(ledger.kinds) + 1 + number
        ledger.kinds.insert(at, kind)
        ledger.bodies.insert(at, dict(body or {}))

    return forge


def checkout_of(name: str) -> Callable[[Forged], None]:
    """A checkout of something that was never installed."""

    def forge(ledger: Forged) -> None:
        body = ledger.first("checkout")
        refused = ledger.first("refused")
        body["code"] = {"refused": refused["result"], "nothing": "0" * 64, "declarations": ledger.first("genesis")["declarations"]}[name]  # fmt: skip

    return forge


def stop_early(ledger: Forged) -> None:
    """End a run by the searcher's decision where it decided to go on."""
    ledger.drop(*range(2, len(ledger.kinds)))
    body = copy.deepcopy(real_ledger().bodies[real_ledger().last("ended")])
    result = ledger.first("accepted")["result"]
    body.update(cause="stop", episode=1, step=1, code=result, links=1, optimality=None, certificate=None)  # fmt: skip
    body["gain"] = ledger.first("accepted")["claim"]["gain"]
    ledger.kinds.append("ended")
    ledger.bodies.append(body)


def horizon_early(ledger: Forged) -> None:
    """The same, as if the horizon had been reached."""
    stop_early(ledger)
    ledger.bodies[-1]["cause"] = "horizon"


def attempt_to_stop(ledger: Forged) -> None:
    """An attempt on `stop`, which is no family, by a searcher that decides to stop."""
    ledger.drop(*range(1, len(ledger.kinds)))
    search = SEARCH.replace("try = if fails_patch < 2 then", "try = if true then stop else if fails_patch < 2 then")  # fmt: skip
    put_search(ledger, search_of(search))
    body = copy.deepcopy(real_ledger().first("empty"))
    body.update({"try": "stop", "family": "stop", "step": 0, "parent": ledger.bodies[0]["code"]})
    ledger.kinds.append("empty")
    ledger.bodies.append(body)


FORGERIES: list[tuple[str, Callable[[Forged], None], str]] = [
    # claims
    ("gain", change("accepted", "claim", "gain", to=add("1")), "the claim"),
    ("gain", change("accepted", "claim", "gain", to=lambda g: str(decode_rational(g) * 1000)), "the claim"),
    ("new bound", change("accepted", "claim", "new_lower", to=add("1/1000")), "the claim"),
    ("old bound", change("accepted", "claim", "old_upper", to=add("-1/1000")), "the claim"),
    ("criterion", change("accepted", "claim", "criterion", to="strictly"), "the claim"),
    ("refused bound", change("refused", "claim", "new_upper", to=add("-1")), "the claim"),
    ("refused bound", change("refused", "claim", "old_lower", to=add("1")), "the claim"),
    ("claim and tables", forge_table("accepted", "new_lower", "1"), "certificate does not hold: the inequality"),
    ("claim and tables", forge_table("accepted", "old_upper", "-1"), "certificate does not hold: the inequality"),
    ("claim and tables", forge_table("refused", "new_upper", "-1"), "certificate does not hold: the inequality"),
    ("claim and tables", forge_table("ended", "lower", "1"), "certificate does not hold: the inequality"),
    ("claim and tables", forge_table("ended", "upper", "-1"), "certificate does not hold: the inequality"),
    ("extra claim", change("accepted", "claim", to=lambda c: {**c, "optimal": True}), "the claim"),
    ("no claim", change("accepted", "claim", to=None), "the claim"),
    ("rule", change("accepted", "rule", to="not better"), "the rule"),
    ("rule", change("refused", "rule", to="better"), "the rule"),
    # certificates
    ("certificate of another", other_certificate("accepted"), "certificate does not hold"),
    ("certificate of another", other_certificate("refused"), "certificate does not hold|the claim"),
    ("certificate of a refusal", lambda f: f.first("accepted").update(certificate=f.first("refused")["certificate"]), "the rule: recorded"),
    ("certificate of an end", lambda f: f.first("accepted").update(certificate=f.first("ended")["certificate"]), "the rule: recorded"),
    ("certificate of an attempt", lambda f: f.first("ended").update(certificate=f.first("accepted")["certificate"]), "the rule compares two programs"),
    ("program as certificate", lambda f: f.first("accepted").update(certificate=f.first("accepted")["result"]), "a certificate of an unknown version"),
    ("missing certificate", missing_blob("accepted", "certificate"), "is missing"),
    ("damaged certificate", flip("accepted", "certificate"), "is damaged"),
    ("damaged program", flip("accepted", "result"), "is damaged"),
    ("damaged declarations", flip("genesis", "declarations"), "is damaged"),
    ("damaged search", flip("genesis", "search"), "is damaged"),
    ("damaged source", flip("genesis", "source"), "is damaged"),
    ("missing program", missing_blob("accepted", "result"), "is missing"),
    ("missing program", missing_blob("genesis", "code"), "is missing"),
    ("missing source", missing_blob("genesis", "source"), "is missing"),
    *(
        (f"certificate {value!r}", change(kind, "certificate", to=value), ".")
        for kind in ("accepted", "refused", "ended")
        for value in (None, "", "0" * 64, 7, True, [], {}, [["x"]], "\ud800")
    ),
    # verdicts
    ("refused becomes accepted", turn("refused", "accepted"), "the rule|says nothing"),
    ("refused becomes accepted", accept_a_refusal, "certificate does not hold"),
    ("accepted becomes refused", refuse_an_acceptance, "certificate does not hold"),
    ("undecided becomes accepted", turn("undecided", "accepted"), "certificate does not hold"),
    ("invalid becomes accepted", turn("invalid", "accepted"), "it is no program"),
    ("empty becomes accepted", turn("empty", "accepted"), "result of the edits"),
    ("accepted becomes invalid", turn("accepted", "invalid", gain=0), "called invalid, but it is a program"),
    ("accepted becomes undecided", turn("accepted", "undecided", gain=0, disagreement=False, reason=""), "the parent|decision|departures"),
    ("asked of a command", change("accepted", "reproducible", to=False), "whether it is reproducible"),
    ("asked of a command", change("empty", "reproducible", to=False), "whether it is reproducible"),
    ("a reason of its own", change("empty", "reason", to="no time"), "the reason"),
    ("outcome alone", change("refused", "outcome", to="accepted"), "the outcome"),
    ("outcome alone", change("accepted", "outcome", to="optimal"), "the outcome"),
    ("kind alone", lambda f: f.kinds.__setitem__(f.at("refused"), "accepted"), "the outcome"),
    # edits and programs
    ("edits elsewhere", edits_elsewhere, "result of the edits"),
    ("edits and result elsewhere", edits_and_result_elsewhere, "the slots|does not hold|the parent"),
    ("no edits", change("accepted", "edits", to=[]), "result of the edits"),
    ("edits twice", change("accepted", "edits", to=lambda e: e + e), "result of the edits"),
    ("edits of a stale parent", change("accepted", "edits", 0, "expected", to="0" * 64), "result of the edits"),
    ("edits of a missing slot", change("accepted", "edits", 0, "slot", to="utility"), "result of the edits"),
    ("edits that are none", change("accepted", "edits", to="all"), "its edits"),
    ("edits that are none", change("refused", "edits", 0, "position", to=[True]), "its edits"),
    ("edits that are none", change("refused", "edits", 0, "code", to=["utility", []]), "its edits|result of the edits"),
    ("edits deep down", change("refused", "edits", 0, "code", to=lambda c: nested(c, 300)), "its edits|nested|text is damaged"),
    ("edits deeper down", change("refused", "edits", 0, "code", to=lambda c: nested(c, 600)), "its edits|nested|text is damaged"),
    ("edits with types in an array", change("invalid", "edits", to=[{"edit": "replace", "slot": "PLAN", "position": [0, 1], "expected": digest_node(s.Name("back")), "code": ["type_bool"]}]), "result of the edits|malformed|does not hold|no code"),
    ("result", change("refused", "result", to="0" * 64), "result of the edits"),
    ("result", change("accepted", "result", to=lambda r: r[::-1]), "result of the edits"),
    ("result", change("undecided", "result", to=None), "result of the edits"),
    ("result", change("invalid", "result", to="0" * 64, reason="main at [9] does not exist"), "result of the edits"),
    ("parent", change("accepted", "parent", to="0" * 64), "the parent"),
    ("parent", change("refused", "parent", to=None), "the parent"),
    ("task", change("accepted", "task", to="searcher"), "the task|the parent"),
    ("program as policy only", lambda f: f.first("genesis").update(code=f.file(encode_tree(s.Policy("main", ())))), "cannot stand here"),
    ("program that is none", lambda f: f.first("genesis").update(code=f.file(b"{}")), "unknown version"),
    ("program that does not check", lambda f: f.first("genesis").update(code=f.file(encode_tree(s.Code(())))), "exactly one policy"),
    # the search
    ("try", change("accepted", "try", to="tidy"), "the family|decision"),
    ("try and family", lambda f: f.first("accepted").update({"try": "tidy", "family": "tidy"}), "the searcher's decision"),
    ("try of no family", lambda f: f.first("refused").update({"try": "oracle", "family": "oracle"}), "is no family"),
    ("try that is none", lambda f: f.first("accepted").update({"try": 0, "family": 0}), "the searcher's decision"),
    ("family", change("accepted", "family", to="file"), "the family"),
    ("proposal by a family", change("refused", "family", to="patch", **{"try": None}), "the family"),
    ("step", change("empty", "step", to=5, **{"try": "patch"}), "step"),
    ("step", change("accepted", "step", to=False, **{"try": "patch"}), "step"),
    ("episode", change("accepted", "episode", to=2, **{"try": "patch"}), "episode"),
    ("episode", change("ended", "episode", to=9), "episode"),
    ("gain in units", change("accepted", "gain", to=lambda g: g + 1), "gain"),
    ("gain in units", change("refused", "gain", to=30), "gain"),
    ("gain in units", change("empty", "gain", to=1), "gain"),
    ("gain that is none", change("refused", "gain", to=False), "gain"),
    ("cost", change("refused", "cost", to=0, cost=1), "cost"),
    ("cost", change("empty", "cost", to=8), "cost"),
    ("costs", change("accepted", "costs", "kernel_steps", to=lambda k: k + 1), "kernel's steps"),
    ("costs", change("refused", "costs", "kernel_steps", to=0), "kernel's steps"),
    ("costs", change("refused", "costs", "rlimit", to=-1), "is no count"),
    ("costs", change("empty", "costs", "rlimit", to=True), "is no count"),
    ("costs", change("undecided", "costs", "family_steps", to="0"), "is no count"),
    ("costs", change("undecided", "costs", "rlimit", to=10**9), "cost"),
    ("searcher that decides otherwise", other_search("fails_patch < 2", "fails_patch < 1"), "decision"),
    ("search with a nearer horizon", other_search("horizon 9", "horizon 2"), "after the end of the episode .horizon"),
    ("reports that saturate sooner", other_search("fails_patch: int 0..2", "fails_patch: int 0..1"), "decision"),
    ("gain of another top", other_search("gain: int 0..30", "gain: int 0..3"), "gain"),
    ("prices", other_prices(gain_unit=1), "gain"),
    ("prices", other_prices(cost_unit=1), "cost"),
    ("price of nothing", other_prices(cost_unit=0), "."),
    ("gain for nothing", other_prices(gain_unit=0), "."),
    ("search without try", other_search("action try: Attempt", "action attempt: Attempt"), "the only action of a search"),
    ("searcher that may fail", other_search("try = if fails_patch < 2 then", "try = if 1 div (1 - fails_patch) == 7 then stop else if fails_patch < 2 then"), "."),
    ("attempt to stop", attempt_to_stop, "stop"),
    # declarations
    ("reward", other_declarations("then 1 else 0", "then 2 else 0"), "does not hold"),
    ("weights", other_declarations("true: 1/10, false: 9/10", "true: 9/10, false: 1/10"), "does not hold"),
    ("discount", other_declarations("discount 9/10", "discount 99/100"), "does not hold"),
    ("horizon", other_declarations("discount 9/10", "horizon 9"), "does not hold"),
    ("discount one", lambda f: f.first("genesis").update(declarations=f.change_blob(f.first("genesis")["declarations"], lambda d: replace_in(d, ["rat", "9/10"], ["int", 1]))), "below 1"),
    ("tick price", other_declarations("tick_price 1/1000", "tick_price 1"), "does not hold"),
    ("size price", other_declarations("tick_price 1/1000", "tick_price 1/1000  size_price 1"), "does not hold|the claim"),
    ("criterion of the world", other_declarations("tick_price 1/1000", "tick_price 1/1000  better worst"), "the claim"),
    ("start", other_declarations("0..4 = 3", "0..4 = 2"), "does not hold|the claim"),
    ("done", other_declarations("done = tile == 0", "done = tile == 1"), "does not hold|the claim"),
    ("name", other_declarations("machine track", "machine trick"), "the name of the machine"),
    ("name alone", change("genesis", "machine", to="trick"), "the name of the machine"),
    ("declarations that are none", lambda f: f.first("genesis").update(declarations=f.first("genesis")["code"]), "cannot stand here"),
    # links, heads and ends
    ("checkout of a refused program", checkout_of("refused"), "never installed"),
    ("checkout of nothing", checkout_of("nothing"), "is missing"),
    ("checkout of declarations", checkout_of("declarations"), "cannot stand here"),
    ("checkout of a list", change("checkout", "code", to=[]), "malformed body"),
    ("checkout left out", leave_out("checkout"), "the parent|the program|parent"),
    ("gap", change("ended", "optimality", "gap", to="0"), "the claim"),
    ("optimum", change("ended", "optimality", "upper", to=add("-1")), "the claim"),
    ("lower bound at the end", change("ended", "optimality", "lower", to=add("1")), "the claim"),
    ("sum of gains", change("ended", "gain", to=add("1")), "sum of the gains"),
    ("sum of gains", change("ended", "gain", to=0), "sum of the gains"),
    ("links", change("ended", "links", to=lambda n: n + 1), "number of links"),
    ("links", change("ended", "links", to=True), "number of links"),
    ("program at the end", lambda f: f.first("ended").update(code=f.first("genesis")["code"]), "the program"),
    ("cause", change("ended", "cause", to="perfection"), "no known cause"),
    ("cause", change("ended", "cause", to=None), "no known cause"),
    ("cause", change("ended", "cause", to=["stop"]), "no known cause"),
    ("stopped early", stop_early, "the searcher's decision"),
    ("horizon early", horizon_early, "horizon"),
    ("no optimality", change("ended", "optimality", to={}), "the claim"),
    # order
    ("reordered", swap_entries, "."),
    ("accepted twice", repeat("accepted"), "the parent"),
    ("empty twice", repeat("empty"), "step|decision"),
    ("ended twice", repeat("ended"), "episode"),
    ("empty twice", repeat("empty"), "step|decision"),
    ("accepted left out", leave_out("accepted"), "the parent|step|episode"),
    ("empty left out", leave_out("empty"), "step|decision"),
    ("genesis left out", leave_out("genesis"), "genesis comes first"),
    ("genesis again", lambda f: insert(4, "genesis", f.bodies[0])(f), "genesis"),
    ("genesis at the end", lambda f: insert(-1, "genesis", f.bodies[0])(f), "genesis"),
    ("revision first", lambda f: f.kinds.__setitem__(0, "revision"), "genesis"),
    ("checkout first", insert(0, "checkout", {"code": "0" * 64}), "genesis comes first"),
    ("end first", insert(0, "ended"), "genesis comes first"),
    *((f"{k} from nowhere", insert(3, k), "malformed body") for k in ("accepted", "refused", "undecided", "invalid", "empty", "ended", "revision", "checkout")),
    *((f"{k} from nowhere", insert(3, k), "not written yet") for k in ("held", "applied", "approval")),
    *((f"unknown kind {k!r}", insert(3, k), "unknown kind") for k in ("", "proved", "Accepted", "accepted ")),
    # versions
    ("newer kernel", change("accepted", "versions", "kernel", to=3), "kernel version 3"),
    ("older kernel", change("genesis", "versions", "kernel", to=0), "kernel version 0"),
    ("no kernel", change("refused", "versions", "kernel", to=None), "kernel version None"),
    ("kernel that is true", change("accepted", "versions", "kernel", to=True), "kernel version"),
    ("newer kernel at the end", change("ended", "versions", "kernel", to=3), "kernel version 3"),
    ("newer kernel of a checkout", change("checkout", "versions", "kernel", to=3), "kernel version 3"),
    # the counterexample
    ("counterexample", change("refused", "counterexample", "old", 0, "reward", to="100"), "the counterexample"),
    ("counterexample", change("refused", "counterexample", "new", to=[]), "the counterexample"),
    ("counterexample", change("refused", "counterexample", "acts_alike", to=lambda a: not a), "the counterexample"),
    ("counterexample with a number for a truth", change("refused", "counterexample", "acts_alike", to=lambda a: int(a)), "the counterexample"),
    # keys
    *((f"without {path[-1]}", drop(kind, *path), "malformed body") for kind, path in [
        ("genesis", ("code",)), ("genesis", ("declarations",)), ("genesis", ("search",)),
        ("genesis", ("machine",)), ("genesis", ("source",)), ("genesis", ("seed",)), ("genesis", ("versions",)),
        ("accepted", ("claim",)), ("accepted", ("parent",)), ("accepted", ("result",)), ("accepted", ("edits",)),
        ("accepted", ("try",)), ("accepted", ("family",)), ("accepted", ("gain",)), ("accepted", ("cost",)),
        ("accepted", ("costs",)), ("accepted", ("costs", "rlimit")), ("accepted", ("outcome",)),
        ("accepted", ("versions",)), ("accepted", ("rule",)), ("accepted", ("certificate",)), ("accepted", ("task",)),
        ("refused", ("counterexample",)), ("undecided", ("disagreement",)), ("undecided", ("rlimit",)),
        ("checkout", ("code",)), ("ended", ("cause",)), ("ended", ("optimality",)), ("ended", ("links",)),
        ("ended", ("gain",)), ("ended", ("episode",)), ("ended", ("step",)), ("ended", ("code",)),
    ]),
]  # fmt: skip


def nested(code: Json, depth: int) -> Json:
    """Code below many negations."""
    for _ in range(depth):
        code = ["unary", "not", code]
    return code


def replace_in(data: Json, old: Json, new: Json) -> Json:
    """The data with one part in the place of another."""
    if data == old and type(data) is type(old):
        return new
    return [replace_in(d, old, new) for d in data] if isinstance(data, list) else data


@pytest.mark.parametrize(
    ("forge", "reason"),
    [f[1:] for f in FORGERIES],
    ids=[f"{i} {f[0].encode('ascii', 'replace').decode()}" for i, f in enumerate(FORGERIES)],
)
def test_forged_ledger_is_refused(forge: Callable[[Forged], None], reason: str) -> None:
    ledger = real_ledger()
    forge(ledger)
    with pytest.raises(LedgerError, match=f"{reason}|malformed body"):
        verify(ledger.store())


def test_forgeries_of_ledgers_are_many_and_of_many_kinds() -> None:
    assert len(FORGERIES) >= 150 and len({name for name, *_ in FORGERIES}) >= 60


# --- the file itself -----------------------------------------------------------------------------


def test_flipped_byte_of_an_entry_is_seen() -> None:
    rows, blobs = real_ledger().rows(), real_ledger().blobs
    for number, (seq, id_, kind, data) in enumerate(rows):
        for place in (2, len(data) // 2, len(data) - 3):
            forged = bytearray(data)
            forged[place] ^= 1
            changed = [*rows[:number], (seq, id_, kind, bytes(forged)), *rows[number + 1 :]]
            with pytest.raises(LedgerError):
                verify(open_rows(changed, blobs))


def test_flipped_byte_of_any_blob_that_is_named_is_seen_by_the_store() -> None:
    ledger = real_ledger()
    text = canonical_json(cast(Any, ledger.bodies)).decode()
    for name, data in ledger.blobs.items():
        assert name in text
        store = open_rows(ledger.rows(), {**ledger.blobs, name: data[:-1] + bytes([data[-1] ^ 1])})
        with pytest.raises(LedgerError, match="is damaged"):
            store.verify()


@pytest.mark.parametrize("depth", [100, 250, 400, 600, 800, 900, 940, 960, 980, 1_100, 100_000])
def test_entry_or_blob_that_nests_deeply_is_refused(depth: int) -> None:
    """Whatever the depth, and wherever Python's own limit on recursion lies."""
    ledger = real_ledger()
    deep = b"[" * depth + b"]" * depth
    (seq, _, kind, data), previous = ledger.rows()[1], ledger.rows()[0][1]
    forged = data.replace(b'"note":"', b'"note":' + deep + b',"zote":"', 1)
    assert forged != data
    row = (seq, derive_id(previous, forged), kind, forged)
    with pytest.raises(LedgerError):
        verify(open_rows([*ledger.rows()[:1], row], ledger.blobs))
    tree = b'["unary","not",' * depth + b'["bool",true]' + b"]" * depth
    for key, text in (("code", tree), ("declarations", tree), ("search", deep), ("code", deep)):
        ledger = real_ledger()
        ledger.first("genesis")[key] = ledger.file(b"[1," + text + b"]")
        with pytest.raises(LedgerError):
            verify(ledger.store())


def test_rows_that_are_moved_taken_out_or_put_in_are_seen() -> None:
    rows, blobs = real_ledger().rows(), real_ledger().blobs
    wrong = [
        rows[1:],
        rows[:3] + rows[4:],
        [*rows[:3], (3, *rows[4][1:]), *rows[5:]],
        [(seq + 1, *rest) for seq, *rest in rows],
        [*rows, (len(rows) + 1, *rows[-1][1:])],
        [(-1, *rows[0][1:]), *rows],
        [],
    ]
    for forged in wrong:
        with pytest.raises(LedgerError):
            verify(open_rows(cast(Any, forged), blobs))


def run(path: Path, *arguments: str) -> Done:
    """The command line on a ledger."""
    return godel("--store", path, *arguments)


def test_cut_tail_is_seen_where_the_head_is_pinned(tmp_path: Path) -> None:
    ledger = real_ledger()
    head = ledger.rows()[-1][1]
    whole = write(tmp_path / "whole.db", ledger)
    assert run(whole, "verify", "--head", head).code == 0
    for cut in (1, 2, 5):
        ledger = real_ledger()
        ledger.drop(*range(len(ledger.kinds) - cut, len(ledger.kinds)))
        path = write(tmp_path / f"cut{cut}.db", ledger)
        found = run(path, "verify", "--head", head)
        assert found.code == 30 and "entries are missing or were added" in found.err
        alone = run(path, "verify")
        assert alone.code == 0 and "head not pinned" in alone.out


def test_pin_that_is_too_short_or_wrong_is_refused(tmp_path: Path) -> None:
    ledger = real_ledger()
    path, head = write(tmp_path / "l.db", ledger), ledger.rows()[-1][1]
    for pin in ("", head[:7], head[:-1] + "x", ledger.rows()[-2][1], " " + head):
        assert run(path, "verify", "--head", pin).code in (2, 30)
    assert run(path, "verify", "--head", head[:8]).code == 0


@pytest.mark.parametrize("number", range(0, len(FORGERIES), 7))
def test_forged_ledger_ends_the_command_with_30(number: int, tmp_path: Path) -> None:
    ledger = real_ledger()
    FORGERIES[number][1](ledger)
    path = tmp_path / "forged.db"
    try:
        write(path, ledger)
    except (LedgerError, ValueError):
        return  # the store itself does not take it
    found = run(path, "verify")
    assert found.code == 30 and "verification failed" in found.err, found.err


# --- random mutants ------------------------------------------------------------------------------

# What nothing else depends on. `verify` cannot know it without Z3, without the families, or without the person: which rlimit was
# spent, what a proposer had to say, which solver answered, that a solver gave no answer. None of it is a claim of a theorem.
FREE = {
    "genesis": {"seed", "versions.solver"},
    "accepted": {"note", "rlimit", "versions.solver", "costs.rlimit", "costs.family_steps"},
    "refused": {"note", "rlimit", "versions.solver", "costs.rlimit", "costs.family_steps"},
    "undecided": {
        *("note", "rlimit", "versions.solver", "costs.rlimit", "costs.family_steps"),
        *("costs.kernel_steps", "reason", "disagreement"),
    },
    "invalid": {
        *("note", "rlimit", "versions.solver", "costs.rlimit", "costs.family_steps"),
        *("costs.kernel_steps", "edits.*.slot", "edits.*.expected", "edits.*.position"),
        "edits.*.code.*",  # of an edit that fits nowhere
    },
    "empty": {"rlimit", "versions.solver", "costs.family_steps"},
    "checkout": {"versions.solver"},
    "ended": {"versions.solver", "optimality"},
}  # fmt: skip


@pytest.mark.parametrize("chunk", range(4))
def test_random_mutant_is_refused_or_touches_what_is_free(chunk: int) -> None:
    refused = 0
    for seed in range(chunk * 150, (chunk + 1) * 150):
        rng = Random(seed)
        ledger = real_ledger()
        number = rng.randrange(len(ledger.kinds))
        body = ledger.bodies[number]
        path, value = rng.choice(list(places(body)))
        mutant = mutant_of(rng, value)
        if mutant is not GONE and alike(mutant, value):
            continue
        put(body, path, mutant)
        try:
            verify(ledger.store())
        except LedgerError:
            refused += 1
            continue
        free = FREE[ledger.kinds[number]]
        where = name_of(path)
        assert where in free or takes_free_along(value, mutant, where, free), (
            seed, ledger.kinds[number], where, value, mutant,
        )  # fmt: skip
    assert refused >= 75


@pytest.mark.parametrize("chunk", range(4))
def test_random_mutant_of_a_blob_is_refused_or_means_the_same(chunk: int) -> None:
    """Blobs are changed and filed under their new digest, wherever they are named."""
    original = verify(real_ledger().store())
    refused = 0
    for seed in range(chunk * 100, (chunk + 1) * 100):
        rng = Random(f"blob {seed}")
        ledger = real_ledger()
        genesis = ledger.bodies[0]
        names = [genesis["declarations"], genesis["search"], genesis["code"]]
        names += [body["certificate"] for body in ledger.bodies if body.get("certificate")]
        name = rng.choice(names)
        data = cast(Any, decode_json(ledger.blobs[name]))
        spots = list(places(data))
        path, value = rng.choice(spots)
        mutant = rng.choice(spots)[1] if rng.random() < 0.4 else mutant_of(rng, value)
        put(data, path, copy.deepcopy(mutant) if mutant is not GONE else GONE)
        try:
            replace_everywhere(ledger, name, ledger.file(canonical_json(data)))
            found = verify(ledger.store())
        except (LedgerError, CodecError):
            refused += 1
            continue
        assert found.gain == original.gain and found.program in (original.program, found.program)
        assert found.theorems == original.theorems
    assert refused >= 60


# --- what is shown -------------------------------------------------------------------------------

LIE = "an honest note\n   9 50cd569bb7f2 accepted  patch  gain 1000  U >= 1000  proved optimal"


def shown(ledger: Forged, number: int) -> str | None:
    """How the log shows an entry of a ledger that holds; None where it does not hold."""
    store = ledger.store()
    try:
        verify(store)
    except LedgerError:
        return None
    return describe_entry(store.entry(number))


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        *(("accepted", "note"), ("refused", "note"), ("undecided", "note"), ("invalid", "note")),
        *(("undecided", "reason"), ("invalid", "reason")),
    ],
)
def test_free_text_cannot_pass_for_another_entry(kind: str, key: str) -> None:
    """Lines, cursor movements, marks that turn the direction of text: a log shows none of them as they stand."""
    for lie in (LIE, "\r accepted", "\x1b[2K\x1b[1A", "\u2028", "\u202e", "\x9b2J", "\ud800"):
        ledger = real_ledger()
        number = ledger.last(kind)
        ledger.bodies[number][key] = lie
        text = shown(ledger, number)
        if text is not None:
            assert len(text.splitlines()) == 1 and text.isprintable(), ascii(text)


@pytest.mark.parametrize("kind", ["accepted", "refused", "undecided", "invalid", "empty", "ended"])
def test_entry_that_holds_can_be_shown(kind: str) -> None:
    for key in ("note", "reason", "diagnostics", "slots", "rlimit", "episode"):
        for value in (None, 7, ["x"], {"code": "x"}, GONE):
            ledger = real_ledger()
            number = ledger.last(kind)
            if value is GONE:
                ledger.bodies[number].pop(key, None)
            else:
                ledger.bodies[number][key] = cast(Json, value)
            try:
                verify(ledger.store())
            except LedgerError:
                continue
            describe_entry(ledger.store().entry(number), verbose=True)


EXTRAS: list[tuple[str, dict[str, Any]]] = [
    ("undecided", {"claim": {"gain": "1000"}, "certificate": "0" * 64, "rule": "better"}),
    ("invalid", {"certificate": "0" * 64, "rule": "better"}),
    ("empty", {"result": "0" * 64, "certificate": "0" * 64}),
    ("genesis", {"certificate": "0" * 64, "rule": "optimal"}),
    ("genesis", {"result": "0" * 64}),
    ("checkout", {"certificate": "0" * 64, "rule": "better"}),
    ("accepted", {"diagnostics": [{"code": "G999", "message": "proved optimal", "notes": [], "help": None}]}),
    ("accepted", {"counterexample": {"old": [], "new": [], "shared": [], "acts_alike": True}}),
    ("ended", {"reason": "no program is better"}),
    ("ended", {"note": "by approval"}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "extra"), EXTRAS, ids=range(len(EXTRAS)))
def test_entry_holds_no_more_than_its_kind_has(kind: str, extra: dict[str, Any]) -> None:
    ledger = real_ledger()
    ledger.bodies[ledger.last(kind)].update(extra)
    with pytest.raises(LedgerError):
        verify(ledger.store())


UNCHECKED: list[tuple[str, Callable[[Forged], None]]] = [
    ("reason of an invalid rewrite", change("invalid", "reason", to="the kernel proves that no program is better")),
    ("faults of an invalid rewrite", change("invalid", "diagnostics", to=[])),
    ("fault of an invalid rewrite", change("invalid", "diagnostics", 0, "message", to="all is well")),
    ("point of an invalid rewrite", change("invalid", "diagnostics", 0, "notes", to=["at tile = 0"])),
    ("slots of a rewrite", change("accepted", "slots", to=["PLAN", "main", "utility"])),
    ("slots of a rewrite", change("refused", "slots", to=[])),
    ("parent of a checkout", change("checkout", "parent", to="0" * 64)),
    ("task of a checkout", change("checkout", "task", to="searcher")),
    ("task of an end", change("ended", "task", to="searcher")),
    ("episode of a proposal", change("refused", "episode", to=7, **{"try": None})),
    ("step of a proposal", change("invalid", "step", to=7)),
    ("certificate without a claim", lambda f: f.bodies[f.last("ended")].update(optimality=None)),
    ("seed", change("genesis", "seed", to="lucky")),
    ("rlimit", change("accepted", "rlimit", to=-1)),
    ("rlimit", change("undecided", "rlimit", to="a lot")),
    ("disagreement", change("undecided", "disagreement", to="no")),
    ("undecided that does not apply", lambda f: undecide(f, "nowhere")),
]  # fmt: skip


def undecide(ledger: Forged, note: str) -> None:
    """Call edits that do not apply undecided."""
    number = ledger.at("invalid", note=note)
    ledger.kinds[number] = ledger.bodies[number]["outcome"] = "undecided"
    ledger.bodies[number]["disagreement"] = False
    del ledger.bodies[number]["diagnostics"]


@pytest.mark.parametrize(
    "forge", [u[1] for u in UNCHECKED], ids=[f"{i} {u[0]}" for i, u in enumerate(UNCHECKED)]
)
def test_what_can_be_worked_out_again_is_not_free(forge: Callable[[Forged], None]) -> None:
    ledger = real_ledger()
    forge(ledger)
    with pytest.raises(LedgerError):
        verify(ledger.store())


def test_file_that_is_checked_out_declares_what_was_proved(tmp_path: Path) -> None:
    ledger = real_ledger()
    honest = parse_machine(TRACK)
    lie = TRACK.replace("then 1 else 0", "then 1_000_000 else 0")
    ledger.first("genesis")["source"] = ledger.file(lie.encode())
    path = write(tmp_path / "l.db", ledger)
    found = run(path, "checkout", "@", "-o", "-")
    if found.code == 0:
        assert digest_node(parse_machine(found.out).declarations) == digest_node(honest.declarations)  # fmt: skip
    else:
        assert found.code in (2, 30)


def test_proof_of_an_entry_that_claims_more_than_it_proves_does_not_check(tmp_path: Path) -> None:
    ledger = real_ledger()
    installed = ledger.first("checkout")["code"]
    number = next(
        i
        for i, (kind, body) in enumerate(zip(ledger.kinds, ledger.bodies, strict=True))
        if kind == "accepted" and body["result"] == installed
    )
    honest = run(write(tmp_path / "h.db", ledger), "proof", "check", "@")
    ledger.bodies[number]["claim"]["gain"] = "1000"
    forged = run(write(tmp_path / "f.db", ledger), "proof", "check", "@")
    assert (honest.code, forged.code) == (0, 30)


# --- proof files ---------------------------------------------------------------------------------


def a_proof(kind: str = "accepted") -> ProofFile:
    """The proof of an entry."""
    ledger = real_ledger()
    body, blobs = ledger.first(kind), ledger.blobs
    ended = kind == "ended"
    declared = decode_tree(blobs[ledger.first("genesis")["declarations"]], s.Declarations)
    return ProofFile.from_blobs(
        Chapter(cast(s.Declarations, declared)),
        old=None if ended else blobs[body["parent"]],
        new=blobs[body["code"] if ended else body["result"]],
        requirement=None,
        certificate=blobs[body["certificate"]],
    )


@pytest.mark.parametrize("kind", ["accepted", "refused", "ended"])
def test_honest_proof_file_holds(kind: str) -> None:
    data = encode_proof(a_proof(kind))
    assert check_proof(decode_proof(data)).statement == check_proof(a_proof(kind)).statement
    assert encode_proof(decode_proof(data)) == data


def swap_programs(data: Json) -> None:
    """Old for new."""
    data["old"], data["new"] = data["new"], data["old"]


def raise_lower(data: Json) -> None:
    """A value of the new program too high."""
    entry = tables_of(data["certificate"])[0][0][0]
    entry[1] = add("1")(entry[1])


PROOF_FORGERIES: list[tuple[str, str, Callable[[Json], object], str]] = [
    ("old and new", "accepted", swap_programs, "inequality fails|not listed"),
    ("old and new", "refused", swap_programs, "inequality fails|not listed"),
    ("value", "accepted", raise_lower, "inequality fails"),
    ("no old", "accepted", lambda d: d.update(old=None), "compares two programs"),
    ("no new", "accepted", lambda d: d.update(new=None), "expected a node"),
    ("old in the place of new", "accepted", lambda d: d.update(new=d["old"]), "inequality fails|not listed"),
    ("an old program for an optimum", "ended", lambda d: d.update(old=d["new"]), "."),
    ("other declarations", "accepted", lambda d: d.update(declarations=encode_node(parse_machine(TRACK.replace("then 1 else 0", "then 1/2 else 0")).declarations)), "inequality fails"),
    ("discount one", "accepted", lambda d: d.update(declarations=replace_in(d["declarations"], ["rat", "9/10"], ["int", 1])), "below 1"),
    ("code as declarations", "accepted", lambda d: d.update(declarations=d["new"]), "cannot stand here"),
    ("declarations as code", "accepted", lambda d: d.update(new=d["declarations"]), "cannot stand here"),
    ("policy as code", "accepted", lambda d: d.update(new=["policy", "main", []]), "cannot stand here"),
    ("empty code", "accepted", lambda d: d.update(new=["code", []]), "exactly one policy"),
    ("a claim of its own", "accepted", lambda d: d.update(claim={"gain": "9"}), "a proof file holds"),
    ("no certificate", "accepted", lambda d: d.pop("certificate"), "a proof file holds"),
    ("certificate null", "accepted", lambda d: d.update(certificate=None), "unknown version"),
    ("certificate as text", "accepted", lambda d: d.update(certificate="{}"), "unknown version"),
    ("rule", "accepted", lambda d: d["certificate"].update(rule="optimal"), "takes cases, gap"),
    ("schema", "accepted", lambda d: d.update(schema="godel/proof/1"), "expected godel/proof/2"),
    ("schema", "accepted", lambda d: d.update(schema=None), "expected godel/proof/2"),
    ("deep code", "accepted", lambda d: d.update(new=nested(d["new"], 300)), "deep|cannot stand here"),
    ("deeper code", "accepted", lambda d: d.update(new=nested(d["new"], 930)), "deep|cannot stand here"),
    ("deep certificate", "accepted", lambda d: d["certificate"].update(cases=nested(0, 900)), "."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "forge", "reason"),
    [f[1:] for f in PROOF_FORGERIES],
    ids=[f"{i} {f[0]}" for i, f in enumerate(PROOF_FORGERIES)],
)
def test_forged_proof_file_is_refused(
    kind: str, forge: Callable[[Json], object], reason: str
) -> None:
    value = cast(Any, decode_json(encode_proof(a_proof(kind))))
    forge(value)
    with pytest.raises((CodecError, CertificateError, DslError), match=reason):
        check_proof(decode_proof(canonical_json(value)))


@pytest.mark.parametrize("kind", ["accepted", "refused", "ended"])
def test_mutated_proof_file_is_refused_or_proves_what_it_shows(kind: str) -> None:
    """A mutant that holds is a proof about other programs or another world; the statement names them by digest."""
    honest = encode_proof(a_proof(kind))
    held = 0
    for seed in range(250):
        rng = Random(f"{kind} {seed}")
        value = cast(Any, decode_json(honest))
        path, old = rng.choice(list(places(value)))
        put(value, path, mutant_of(rng, old))
        try:
            data = canonical_json(value)
            proof = decode_proof(data)
            statement = check_proof(proof).statement
        except (CodecError, CertificateError, DslError):
            continue
        held += 1
        assert statement.declarations == digest_node(proof.chapter.task.declarations)
        assert digest(encode_tree(proof.new)) in repr(statement)
    assert held < 60


@pytest.mark.parametrize("cut", [0, 1, 2, 10, 1_000])
def test_truncated_proof_file_is_refused(cut: int) -> None:
    data = encode_proof(a_proof())
    for forged in (data[: cut or None] if cut else b"", data[:-cut] if cut else b"null", data + b"\n", data.replace(b":", b": ", 1)):  # fmt: skip
        with pytest.raises(CodecError):
            decode_proof(forged)


def test_program_that_is_not_total_proves_nothing() -> None:
    value = cast(Any, decode_json(encode_proof(a_proof())))
    value["new"] = replace_in(value["new"], ["name", "tile"], ["int", 9])
    with pytest.raises((CertificateError, DslError), match="outside|may leave|index"):
        check_proof(decode_proof(canonical_json(value)))
