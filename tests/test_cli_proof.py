"""Proofs are read, run by another solver, taken elsewhere and checked again; what was changed in them does not hold."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import z3
from cli import Done, godel

from dsl.codec import canonical_json

RIGHT = "agent { policy { move = right } }"
LEFT = "agent { policy { move = left } }"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with an accepted rewrite, a refused one and the proof of a gap."""
    folder = tmp_path_factory.mktemp("walk")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert godel("new", "walk").code == 0
        for text, code in ((RIGHT, 0), (LEFT, 10)):
            (folder / "patch").write_text(text, encoding="utf-8")
            assert godel("propose", "walk.godel", "patch").code == code
        assert godel("evolve", "walk.godel", "--attempts", "0").code == 0
    return folder


@pytest.fixture
def here(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "walk"
    shutil.copytree(template, folder)
    monkeypatch.chdir(folder)
    return folder


def proved() -> dict[str, str]:
    """The entries that hold proofs, by kind."""
    found = godel("log", "--all", "--json").json["entries"]
    return {e["kind"]: e["id"] for e in found if e["body"].get("certificate")}


@pytest.mark.parametrize("kind", ["accepted", "refused", "ended"])
def test_a_proof_is_shown_deeper_on_demand(kind: str, here: Path) -> None:
    name = proved()[kind]
    shown = [godel("proof", "show", name, "--depth", d).out.splitlines() for d in "012"]
    assert shown[0] == shown[1][: len(shown[0])]
    assert set(shown[1]) < set(shown[2])
    assert shown[0][0].startswith("proved: ")
    assert sum("assuming: " in line for line in shown[0]) == 2
    assert "declarations" in shown[0][-1]
    assert sum("L(pos = " in line for line in shown[2]) >= 2
    assert godel("proof", "check", name).out.splitlines() == shown[0]


@pytest.mark.parametrize("kind", ["accepted", "refused", "ended"])
def test_another_run_of_the_solver_answers_unsat_to_every_premise(kind: str, here: Path) -> None:
    name = proved()[kind]
    premises = godel("proof", "show", name, "--smt2", "--json").json["premises"]
    whole = godel("proof", "show", name, "--smt2").out
    context = z3.Context()
    answers = z3.Z3_eval_smtlib2_string(context.ref(), whole).split()
    assert answers == ["unsat"] * len(premises) and premises
    for number, text in enumerate(premises, start=1):
        one = godel("proof", "show", name, "--smt2", "--premise", str(number))
        assert one == Done(0, text, "")
        assert "unsat" in text.split("(set-logic")[0] or number > 1
    beyond = str(len(premises) + 1)
    assert godel("proof", "show", name, "--smt2", "--premise", beyond).code == 2


def test_entries_without_a_proof_say_so(here: Path) -> None:
    genesis = godel("log", "--json").json["entries"][0]["id"]
    for verb in ("show", "check"):
        done = godel("proof", verb, genesis)
        assert (done.code, done.out) == (2, "")
        assert "is genesis and holds no proof" in done.err


@pytest.mark.parametrize("kind", ["accepted", "refused", "ended"])
def test_a_proof_file_is_checked_alone(kind: str, here: Path) -> None:
    name = proved()[kind]
    (here / "proof.json").write_text(godel("proof", "show", name, "--json").out, encoding="utf-8")
    before = godel("proof", "check", name)
    shutil.rmtree(here / ".godel")
    assert godel("proof", "check", "proof.json") == before
    found = godel("proof", "check", "proof.json", "--json").json
    assert (found["schema"], found["holds"]) == ("godel/proof-check/1", True)
    assert len(found["declarations"]) == 64


def leaves(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all atoms of a JSON value."""
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from leaves(value, (*path, key))
    else:
        yield path


def altered(data: Any, path: tuple[Any, ...]) -> Iterator[Any]:
    """The same value with other atoms at one place."""
    for make in (
        lambda x: x + 1,
        lambda x: f"-{x}",
        lambda x: f"{x}1",
        lambda _: None,
        lambda x: [x],
    ):
        copied = copy.deepcopy(data)
        place = copied
        for key in path[:-1]:
            place = place[key]
        try:
            place[path[-1]] = make(place[path[-1]])
        except TypeError:
            continue
        if canonical_json(copied) != canonical_json(data):
            yield copied


@pytest.mark.parametrize("kind", ["accepted", "refused", "ended"])
def test_no_altered_proof_proves_the_same(kind: str, here: Path) -> None:
    """Some alterations are proofs of something else; none is taken for the proof it was."""
    data = json.loads(godel("proof", "show", proved()[kind], "--json").out)
    (here / "p").write_bytes(canonical_json(data))
    original = godel("proof", "check", "p", "--json").json
    keys = ("declarations", "old", "new", "program", "claim")
    failed = 0
    for path in leaves(data):
        for other in altered(data, path):
            (here / "p").write_bytes(canonical_json(other))
            done = godel("proof", "check", "p", "--json")
            assert done.code in (0, 30), (path, done.err)
            assert done.json["holds"] is (done.code == 0)
            failed += done.code == 30
            same = all(done.json.get(key) == original.get(key) for key in keys)
            assert not same or path[0] == "certificate", path
    assert failed > 100


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"null", b"{", b'{"schema": "godel/log/1"}', b"\xff", b"[" * 9999]
)
def test_what_is_no_proof_file_is_misuse(data: bytes, here: Path) -> None:
    (here / "p").write_bytes(data)
    done = godel("proof", "check", "p")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: p is no proof file\nhint: godel proof show ID --json > FILE")
    assert godel("proof", "check", "nowhere.json").code == 2


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"schema":"godel/proof/2"}', "a proof file holds certificate, declarations, "),
        (b'{ "schema": "godel/proof/2" }', "JSON that is not in canonical form"),
        (b'{"schema":"godel/proof/1"}', "a proof file holds certificate, declarations, "),
    ],
)
def test_proof_file_that_is_spoilt_does_not_hold(data: bytes, why: str, here: Path) -> None:
    (here / "p").write_bytes(data)
    done = godel("proof", "check", "p")
    assert (done.code, done.out) == (30, "")
    assert done.err.startswith(f"the proof does not hold: {why}")


def test_why_a_proof_does_not_hold_is_said_with_the_names_of_the_variables(here: Path) -> None:
    data = json.loads(godel("proof", "show", proved()["accepted"], "--json").out)
    data["old"], data["new"] = data["new"], data["old"]
    (here / "p").write_bytes(canonical_json(data))
    done = godel("proof", "check", "p")
    assert done.code == 30
    assert re.search(r"^the proof does not hold: the .* at state \w+ = ", done.err), done.err


# --- verify ----------------------------------------------------------------------------------------


def test_verify_counts_what_it_checked_and_pins_the_head(here: Path) -> None:
    found = godel("verify", "--json").json
    assert (found["schema"], found["holds"], found["head_pinned"]) == (
        "godel/verify/1",
        True,
        False,
    )
    assert (found["theorems"], found["skipped"], found["solver_trusted"]) == (4, 0, 0)
    assert len(found["head"]) == 64
    done = godel("verify")
    assert done.out.startswith(
        f"checked 4/4 theorems, 0 solver-trusted, 0 skipped, head {found['head']}\n"
    )
    assert "head not pinned" in done.out
    for head in (found["head"], found["head"][:8].upper()):
        done = godel("verify", "--head", head, "--strict")
        assert done.code == 0 and "not pinned" not in done.out
    assert godel("verify", "--head", found["head"], "--json").json["head_pinned"] is True


@pytest.mark.parametrize("head", ["abcdabcd", "0" * 64])
def test_another_head_fails(head: str, here: Path) -> None:
    done = godel("verify", "--head", head)
    assert (done.code, done.out) == (30, "")
    assert "entries are missing or were added" in done.err


@pytest.mark.parametrize("head", ["", "abc", "zzzzzzzz", "0" * 65, "@"])
def test_a_head_is_pinned_by_at_least_eight_digits(head: str, here: Path) -> None:
    assert godel("verify", "--head", head).code == 2
