"""What an `apply` is recorded as: an improvement, or an optimal switch with its margin; shown, checked again, and forged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from cli import godel
from forging import Forged, read_out

from dsl.codec import canonical_json
from dsl.parser import parse_machine
from godel.evolve import Limits, SearchFile, Session, begin
from godel.ledger import Kind, LedgerError
from godel.store import Store
from godel.verify import verify

EXAMPLES = Path(__file__).parent.parent / "examples"
RLIMIT = 50_000_000


@cache
def ledger(name: str) -> Forged:
    """What an example writes when it runs."""
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    machine = parse_machine(text)
    assert machine.search is not None and machine.searcher is not None
    with TemporaryDirectory() as folder, Store.open(Path(folder) / "l.db", create=True) as store:
        search = SearchFile(machine.search, machine.searcher, own=True)
        begin(store, machine, search, source=text, seed=0, kind=Kind.GENESIS)
        Session.resume(store, rlimit=RLIMIT, threads=1).evolve(Limits(), lambda entry: None)
        return read_out(store)


def best() -> Forged:
    return ledger("switch_now.godel").copy()


def only_better() -> Forged:
    return ledger("switch_or_wait.godel").copy()


def test_a_switch_that_nothing_matches_is_optimal_and_has_a_margin() -> None:
    body = best().first("applied")
    assert body["statement"] == "optimal switch"
    claim = body["claim"]
    assert claim.keys() == {"gain", "margin", "program", "actions", "observed", "memory", "step"}
    assert claim["actions"] == [["try", "apply"]]
    assert claim["step"] == 1 and claim["memory"] == []
    assert dict(claim["observed"]) == {"fails_patch": 0, "pending": True, "held": 3, "applied": 0}
    assert body["certificate"] in best().blobs
    # the chain of what was held, and the choice: one theorem each
    assert verify(best().store()).theorems == 5


def test_a_switch_that_waiting_may_beat_is_an_improvement_alone() -> None:
    body = only_better().first("applied")
    assert body["statement"] == "improving"
    assert body["claim"].keys() == {"gain"}
    assert body["certificate"] is None
    assert verify(only_better().store()).theorems == 4


def forge(forged: Forged, **changes: Any) -> Forged:
    forged.first("applied").update(changes)
    return forged


def claimed(**changes: Any) -> Forged:
    forged = best()
    forged.first("applied")["claim"].update(changes)
    return forged


def with_certificate(change: Callable[[Any], Any]) -> Forged:
    forged = best()
    body = forged.first("applied")
    body["certificate"] = forged.change_blob(body["certificate"], change)
    return forged


def raised(data: Any) -> Any:
    return {**data, "margin": "1"}


def other_reports(held: int) -> list[list[Any]]:
    return [["fails_patch", 0], ["pending", True], ["held", held], ["applied", 0]]


def swapped(data: Any) -> Any:
    ((_, tree),) = data["cases"]
    tree["tables"].reverse()
    return data


def without_the_present(data: Any) -> Any:
    """Drop what is hidden: one of the states that show what was reported."""
    ((_, tree),) = data["cases"]
    layer = tree["tables"][1][4]
    shown = [e for e in layer if e[0][:4] == [0, True, 3, 0]]
    assert len(shown) == 2
    layer.remove(shown[0])
    return data


FORGERIES: list[tuple[str, Callable[[], Forged], str]] = [
    ("a margin", lambda: claimed(margin="9/10"), "the claim"),
    ("a gain", lambda: claimed(gain="8"), "the claim"),
    ("reports", lambda: claimed(observed=other_reports(4)), "the claim"),
    ("another step", lambda: claimed(step=2), "the claim"),
    ("another action", lambda: claimed(actions=[["try", "patch"]]), "the claim"),
    ("another program", lambda: claimed(program=best().first("applied")["result"]), "the claim"),
    ("only improving", lambda: forge(best(), statement="improving"), "the certificate"),
    ("improving", lambda: forge(best(), statement="improving", certificate=None), "the claim"),
    ("another word", lambda: forge(best(), statement="optimal"), "the statement"),
    ("no certificate", lambda: forge(best(), certificate=None), "no digest"),
    ("one that is not there", lambda: forge(best(), certificate="0" * 64), "missing"),
    ("optimal", lambda: forge(only_better(), statement="optimal switch"), "no digest"),
    ("a raised margin", lambda: with_certificate(raised), "does not hold"),
    ("no margin", lambda: with_certificate(lambda d: {**d, "margin": "0"}), "does not hold"),
    ("less than none", lambda: with_certificate(lambda d: {**d, "margin": "-1"}), "does not hold"),
    ("a true margin", lambda: with_certificate(lambda d: {**d, "margin": True}), "does not hold"),
    ("a smaller one", lambda: with_certificate(lambda d: {**d, "margin": "1/2"}), "the claim"),
    ("tables that change places", lambda: with_certificate(swapped), "does not hold"),
    ("a hidden state", lambda: with_certificate(without_the_present), "does not hold"),
    ("no cases", lambda: with_certificate(lambda d: {**d, "cases": []}), "does not hold"),
    ("another rule", lambda: with_certificate(lambda d: {**d, "rule": "optimal"}), "does not hold"),
]


@pytest.mark.parametrize(("make", "reason"), [f[1:] for f in FORGERIES], ids=[f[0] for f in FORGERIES])  # fmt: skip
def test_forged_switches_are_refused(make: Callable[[], Forged], reason: str) -> None:
    with pytest.raises(LedgerError, match=reason):
        verify(make().store())


def test_a_certificate_for_one_machine_does_not_serve_another() -> None:
    """The world in which to wait may be better, with the tables of the one in which it is not."""
    source, forged = best(), only_better()
    theirs = source.first("applied")
    body = forged.first("applied")
    body.update(statement="optimal switch", certificate=theirs["certificate"])
    body["claim"] = theirs["claim"]
    forged.blobs[theirs["certificate"]] = source.blobs[theirs["certificate"]]
    with pytest.raises(LedgerError, match="does not hold"):
        verify(forged.store())


# --- the command line ----------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A directory with the ledger of an optimal switch; gives the id of its `applied` entry."""
    monkeypatch.chdir(tmp_path)
    assert godel("evolve", EXAMPLES / "switch_now.godel").code == 0
    entries = godel("log", "--json").json["entries"]
    (found,) = (e["id"] for e in entries if e["kind"] == "applied")
    yield found


def test_show_and_proof_say_what_the_switch_is(here: str) -> None:
    shown = godel("show", here)
    assert shown.code == 0
    assert "optimal switch: 1 held rewrite installed" in shown.out
    assert "after 1 step, where fails_patch = 0, pending = true, held = 3, applied = 0" in shown.out
    assert "rule best choice" in shown.out
    proof = godel("proof", "show", here, "--depth", "2")
    assert proof.code == 0
    assert "takes try = apply, which is worth at least" in proof.out
    assert "V of every program from above" in proof.out
    assert godel("proof", "check", here).code == 0
    text = godel("proof", "show", here, "--smt2").out
    assert text.count("(define-fun margin () Real") == 1


def test_the_proof_is_a_file_of_its_own(here: str, tmp_path: Path) -> None:
    data = json.loads(godel("proof", "show", here, "--json").out)
    path = tmp_path / "switch.json"
    path.write_bytes(canonical_json(data))
    done = godel("proof", "check", path, "--json")
    assert done.code == 0
    assert done.json["holds"] and done.json["claim"]["actions"] == [["try", "apply"]]
    moment = data["moment"]
    for forged in (
        {**moment, "step": 0},
        {**moment, "step": 6},
        {**moment, "step": None},
        {**moment, "step": True},
        {**moment, "memory": [["tried", 0]]},
        {**moment, "observed": moment["observed"][:-1]},
        {**moment, "observed": [["held", 3], *moment["observed"][1:]]},
        {**moment, "observed": other_reports(8)},
        {"observed": moment["observed"]},
        None,
        [],
    ):
        path.write_bytes(canonical_json({**data, "moment": forged}))
        assert godel("proof", "check", path).code == 30, forged
    # the tables serve the next step too: then the file is a proof of that, and says so
    path.write_bytes(canonical_json({**data, "moment": {**moment, "step": 2}}))
    assert godel("proof", "check", path, "--json").json["claim"]["step"] == 2
    path.write_bytes(canonical_json({k: v for k, v in data.items() if k != "moment"}))
    assert godel("proof", "check", path).code == 30


def test_an_improvement_has_no_proof_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert godel("evolve", EXAMPLES / "switch_or_wait.godel").code == 0
    entries = godel("log", "--json").json["entries"]
    (name,) = (e["id"] for e in entries if e["kind"] == "applied")
    shown = godel("show", name)
    assert shown.code == 0 and "improving: 1 held rewrite installed" in shown.out
    done = godel("proof", "show", name)
    assert done.code == 2 and "it rests on the 1 held before it" in done.err
