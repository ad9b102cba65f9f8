"""Verbs that look into a ledger; ids, prefixes, files written from it, and ledgers that cannot be read."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cli import Done, godel

from dsl.codec import decode_node, digest_node, node_of_number
from dsl.parser import parse_machine
from dsl.syntax import Code
from godel.cli.describe import describe_entry
from godel.cli.inspect import IN_SHORT
from godel.cli.ledgers import Book
from godel.store import Store

WORSE = "agent { policy { move = left } }"
TICKS = "agent { policy { move = if pos < 5 then right else PLAN[pos] } }"
BROKEN = "agent { policy { move = PLAN[pos + 1] } }"
MACHINE = """# a comment at the top
machine walk

enum Move { left, stay, right }

environment {
  state pos: int 0..5 = 0    # from the left
  action move: Move
  chance slip: bool = { true: 1/10, false: 9/10 }
  let wanted = match move { left: -1, stay: 0, right: 1 }
  pos'   = clamp(pos + (if slip then 0 else wanted), 0, 5)
  reward = if pos' == 5 then 1 else 0
}

utility { discount 9/10 }

# about the agent
agent {    # beside the agent
  # about the band
  param BAND: int 0..5 = 3    # beside the band
  # about the plan
  table PLAN: array[6] of Move = [for i in 0..5: stay]    # beside the plan
  # about the policy
  policy { move = if pos < BAND then PLAN[pos] else PLAN[5] }    # beside the policy
  # at the end
}
# after all
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with an entry of every kind that is written today but checkout and revision."""
    folder = tmp_path_factory.mktemp("walk")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "walk.godel").write_text(MACHINE, encoding="utf-8")
        assert godel("evolve", "walk.godel").code == 0
        for text, options, code in (
            (WORSE, (), 10),
            (TICKS, (), 10),
            (BROKEN, (), 3),
            (TICKS.replace("5", "4"), ("--rlimit", "1"), 20),
            ("[]", (), 3),
        ):
            (folder / "patch").write_text(text, encoding="utf-8")
            assert godel("propose", "walk.godel", "patch", *options).code == code
    return folder


@pytest.fixture
def here(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "walk"
    shutil.copytree(template, folder)
    monkeypatch.chdir(folder)
    return folder


def entries(*options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = godel("log", "--json", *options).json["entries"]
    return found


def id_of(kind: str) -> str:
    """The id of the last entry of a kind."""
    return str([e for e in entries("--all") if e["kind"] == kind][-1]["id"])


# --- log -------------------------------------------------------------------------------------------


def test_log_shows_what_counts_and_all_shows_the_rest(here: Path) -> None:
    everything, short = entries("--all"), entries()
    assert [e["seq"] for e in everything] == list(range(len(everything)))
    wanted = {kind.value for kind in IN_SHORT}
    assert short == [e for e in everything if e["kind"] in wanted]
    assert {"genesis", "accepted", "refused", "undecided", "invalid", "empty", "ended"} == {
        e["kind"] for e in everything
    }
    for found, options in ((everything, ["--all"]), (short, [])):
        shown = godel("log", *options).out.splitlines()
        # a reason stands on a line of its own, further in
        lines = [line for line in shown if not line.startswith("       ")]
        assert [re.findall(r"\b[0-9a-f]{64}$", line)[-1] for line in lines] == [
            e["id"] for e in found
        ]


@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_log_n_shows_the_last_of_them(count: int, here: Path) -> None:
    assert entries("-n", str(count)) == entries()[-count:]
    assert entries("--all", "-n", str(count)) == entries("--all")[-count:]
    assert godel("log", "-n", "0").code == 2


def test_the_graph_holds_every_program_once_below_its_parent(here: Path) -> None:
    graph = godel("log", "--graph", "--json").json
    assert graph["schema"] == "godel/graph/1"
    accepted = [e for e in entries() if e["kind"] == "accepted"]
    assert [edge["entry"] for edge in graph["edges"]] == [e["id"] for e in accepted]
    assert graph["edges"][-1]["result"] == graph["head"]
    lines = godel("log", "--graph").out.splitlines()
    assert [line[0] for line in lines] == [*"*" * len(accepted), "@"]
    lines = godel("log", "--graph", "--all").out.splitlines()
    digests = [line.split()[1] for line in lines]
    assert (
        len(set(digests))
        == len(digests)
        == len(accepted)
        + 1
        + sum(
            e["kind"] in ("refused", "undecided")
            or bool(e["kind"] == "invalid" and e["body"]["result"])
            for e in entries("--all")
        )
    )


def test_the_graph_shows_the_way_not_taken_after_a_checkout(here: Path) -> None:
    accepted = [e["id"] for e in entries() if e["kind"] == "accepted"]
    assert godel("checkout", "@-").code == 0
    lines = godel("log", "--graph").out.splitlines()
    assert [line[0] for line in lines] == [*"*" * (len(accepted) - 1), "@", "*"]


# --- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["show", "code", "diff", "cex", "checkout"])
@pytest.mark.parametrize(
    "name", ["ffffffff", "zz", "abc", "@x", "@@", "@-----------------", "", "-x", "g" * 64]
)
def test_names_that_lead_nowhere_are_usage_errors(verb: str, name: str, here: Path) -> None:
    done = godel(verb, "--", name)
    assert (done.code, done.out) == (2, "")
    assert "internal" not in done.err


def test_every_prefix_of_an_id_serves_as_long_as_it_is_unique(here: Path) -> None:
    for entry in entries("--all"):
        name = str(entry["id"])
        for prefix in (name, name[:12], name[:12].upper()):
            assert godel("show", prefix, "--json").json["id"] == name


def test_an_ambiguous_prefix_names_what_it_could_mean(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("godel.cli.ledgers.PREFIX_MIN", 1)
    with Store.open(next((here / ".godel").glob("*.db")), readonly=True) as store:
        book = Book(store)
        programs = (name for lineage in book.history.tasks.values() for name in lineage.ways)
        names = sorted([*(e.id for e in book.entries), *programs])
    digits = next(a[0] for a, b in pairwise(names) if a[0] == b[0])
    done = godel("code", digits)
    assert done.code == 2
    assert f"{digits} is ambiguous: " in done.err
    assert all(name in done.err for name in names if name.startswith(digits))


def test_head_and_parents_are_named_by_at(here: Path) -> None:
    accepted = [e for e in entries() if e["kind"] == "accepted"]
    assert godel("show", "--json").json["id"] == accepted[-1]["id"]
    for back, entry in enumerate(reversed([entries()[0], *accepted])):
        assert godel("show", "@" + "-" * back, "--json").json["id"] == entry["id"]
    assert "first program" in godel("show", "@" + "-" * (len(accepted) + 1)).err


# --- show, diff, cex, code -------------------------------------------------------------------------


def test_every_entry_is_shown(here: Path) -> None:
    for entry in entries("--all"):
        done = godel("show", str(entry["id"]))
        assert (done.code, done.err) == (0, "")
        assert f"id        {entry['id']}" in done.out
        assert {**entry, "schema": "godel/entry/1"} == godel(
            "show", str(entry["id"]), "--json"
        ).json


def test_the_search_is_shown_as_a_machine_that_checks(here: Path) -> None:
    world = godel("show", "--search-world")
    assert world.code == 0
    (here / "world.godel").write_text(world.out, encoding="utf-8")
    assert godel("check", "world.godel").code == 0
    searcher = godel("show", "--searcher")
    # in the machine that the search stands for, the searcher is the agent
    assert searcher.out.strip().removeprefix("searcher") in world.out
    found = godel("show", "--searcher", "--json").json
    assert found["schema"] == "godel/searcher/1"
    machine = parse_machine(world.out)
    assert found["digest"] == digest_node(machine.agent)
    assert digest_node(decode_node(found["code"], Code)) == found["digest"]
    found = godel("show", "--search-world", "--json").json
    assert (found["schema"], found["digest"]) == ("godel/search-world/1", digest_node(machine))


@pytest.mark.parametrize(
    "more", [("@", "--searcher"), ("@", "--search-world"), ("--searcher", "--search-world")]
)
def test_show_prints_one_thing(more: tuple[str, ...], here: Path) -> None:
    done = godel("show", *more)
    assert (done.code, done.out) == (2, "")
    assert "an entry, the installed searcher, or the search world" in done.err


def test_what_a_family_says_stands_below_where_the_terminal_is_too_narrow(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(next(here.glob("**/*.db")), readonly=True) as store:
        entries = [e for e in store.entries() if e.body.get("note")]
    for width in (60, 80, 100):
        monkeypatch.setattr("godel.cli.describe.room", lambda width=width: width)
        monkeypatch.setattr("godel.cli.describe.shown_id", lambda name: name[:12])
        for entry in entries:
            first, *below = describe_entry(entry).splitlines()
            note = str(entry.body["note"])
            assert note in first or any(note in line for line in below)
            assert len(first) <= width or note not in first


def test_diff_shows_both_programs_and_is_empty_for_one(here: Path) -> None:
    parent, child = (
        godel("code", "@-", "--digest").out.strip(),
        godel("code", "--digest").out.strip(),
    )
    done = godel("diff", "@")
    assert done == godel("diff", "@-", "@") == godel("diff", parent, child[:16])
    assert done.out.startswith(f"--- {parent}\n+++ {child}\n@@ ")
    assert godel("diff", "@", "@") == Done(0, "", "the programs are the same\n")
    found = godel("diff", "@-", "@", "--json").json
    assert (found["schema"], found["before"], found["after"]) == ("godel/diff/1", parent, child)
    done = godel("diff", entries()[0]["id"])
    assert done.code == 2
    assert "no attempt" in done.err


def test_invalid_code_can_still_be_looked_at(here: Path) -> None:
    invalid = [e for e in entries("--all") if e["kind"] == "invalid"]
    broken, nothing = (str(e["id"]) for e in invalid)
    assert "PLAN[pos + 1]" in godel("code", broken).out
    assert "+  policy { move = PLAN[pos + 1] }" in godel("diff", broken).out
    assert "+  policy { move = PLAN[pos + 1] }" in godel("show", broken).out
    done = godel("code", nothing)
    assert (done.code, done.out) == (2, "")
    assert "leads to no program: a rewrite without edits" in done.err


def test_a_counterexample_is_replayed(here: Path) -> None:
    done = godel("cex", id_of("refused"))
    assert (done.code, done.err) == (0, "")
    found = godel("cex", id_of("refused"), "--json").json
    assert found["schema"] == "godel/cex/1"
    assert set(found["claim"]) == {"criterion", "world", "old_lower", "new_upper"}
    worse = next(
        e for e in entries("--all") if e["kind"] == "refused" and e["body"]["note"] == "patch"
    )
    assert "first difference at pos = 0" in godel("cex", str(worse["id"])).out
    done = godel("cex", next(e for e in entries("--all") if e["kind"] == "invalid")["id"])
    assert "at pos = 5 the index is 6" in done.out
    done = godel("cex", "@")
    assert (done.code, done.out) == (2, "")


def test_the_number_of_a_program_is_the_program(here: Path) -> None:
    digest = godel("code", "--digest").out.strip()
    number = int(godel("code", "--number").out)
    assert digest_node(node_of_number(number)) == digest
    found = godel("code", "--json").json
    assert (found["schema"], found["digest"]) == ("godel/code/1", digest)
    assert digest_node(decode_node(found["code"], Code)) == digest
    assert {"BAND", "PLAN", "main"} <= set(found["positions"])
    assert godel("code", "--number", "--json").json["number"] == str(number)
    assert godel("code", digest[:12]).out == godel("code", "@").out


# --- checkout --------------------------------------------------------------------------------------


def test_checkout_writes_a_file_that_holds_the_program_and_the_comments(here: Path) -> None:
    for name in ("@", "@-", id_of("refused"), id_of("undecided")):
        done = godel("checkout", name, "-o", "out.godel")
        assert done == Done(0, "wrote out.godel\n", "")
        text = (here / "out.godel").read_text(encoding="utf-8")
        assert digest_node(parse_machine(text).agent) == godel("code", name, "--digest").out.strip()
        assert godel("fmt", "--check", "out.godel").code == 0
        for place in ("at the top", "from the left", "about the agent", "after all", "at the end"):
            assert f"# {place}" in text or f"# a comment {place}" in text
        assert text == godel("checkout", name, "-o", "-").out
    found = godel("checkout", "@", "-o", "out.godel", "--json").json
    assert found == {"schema": "godel/written/1", "file": "out.godel"}
    assert godel("checkout", "@", "-o", "nowhere/out.godel").code == 2


def test_the_first_program_is_written_as_it_was(here: Path) -> None:
    first = str(entries()[0]["id"])
    assert godel("checkout", first, "-o", "-").out == MACHINE


def test_a_program_of_an_earlier_chapter_is_written_with_its_declarations(here: Path) -> None:
    best, digest = godel("show", "--json").json["id"], godel("code", "--digest").out
    (here / "new.godel").write_text(MACHINE.replace("t 9/10", "t 8/10"), encoding="utf-8")
    assert godel("revision", "new.godel").code == 0
    assert "discount 9/10" in godel("checkout", best, "-o", "-").out
    assert "discount 8/10" in godel("checkout", "@", "-o", "-").out
    done = godel("checkout", best)
    assert (done.code, done.out) == (2, "")
    assert "never installed in this chapter" in done.err
    assert godel("code", best, "--digest").out == digest


def test_checkout_makes_a_program_the_head_and_the_run_finds_its_way_back(here: Path) -> None:
    best = godel("code", "--digest").out
    found = godel("checkout", "@-", "--json").json
    assert (found["schema"], found["kind"]) == ("godel/entry/1", "checkout")
    assert godel("code", "--digest").out != best
    assert godel("evolve", "walk.godel").code == 0
    assert godel("code", "--digest").out == best
    assert godel("verify").code == 0


@pytest.mark.parametrize("name", ["@", "refused", "invalid"])
def test_only_programs_that_were_installed_and_are_not_now_are_checked_out(
    name: str, here: Path
) -> None:
    before = entries("--all")
    done = godel("checkout", name if name == "@" else id_of(name))
    assert (done.code, done.out) == (2, "")
    assert entries("--all") == before


# --- ledgers ---------------------------------------------------------------------------------------

READERS = [["log"], ["log", "--graph"], ["show"], ["code"], ["verify"], ["proof", "show", "@"]]


@pytest.mark.parametrize("verb", READERS, ids=" ".join)
def test_without_a_ledger_the_reader_is_told_how_to_make_one(
    verb: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = godel(*verb)
    assert (done.code, done.out) == (2, "")
    assert "hint: godel evolve FILE makes one" in done.err
    assert list(tmp_path.iterdir()) == []
    assert godel("--store", "nowhere/x.db", *verb).code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", READERS, ids=" ".join)
def test_several_ledgers_need_a_name(verb: list[str], here: Path) -> None:
    shutil.copy(here / ".godel" / "walk.db", here / ".godel" / "other.db")
    done = godel(*verb)
    assert (done.code, done.out) == (2, "")
    assert ".godel/other.db, .godel/walk.db" in done.err
    assert godel("--store", ".godel/other.db", *verb).code == 0


def test_a_replay_command_names_the_ledger_it_is_about(here: Path) -> None:
    shutil.copy(here / ".godel" / "walk.db", here / ".godel" / "other.db")
    (here / "patch").write_text(WORSE.replace("left", "stay"), encoding="utf-8")
    done = godel("propose", "walk.godel", "patch")
    assert done.code == 10
    replay = next(x for x in done.out.splitlines() if "replay: " in x).split("replay: godel ")[1]
    assert replay.startswith("--store .godel/walk.db cex ")
    assert godel(*replay.split()).code == 0


@pytest.mark.parametrize("verb", READERS, ids=" ".join)
@pytest.mark.parametrize("data", [b"", b"junk", b"SQLite format 3\0" + b"\0" * 84])
def test_what_is_no_ledger_is_named(verb: list[str], data: bytes, here: Path) -> None:
    (here / "junk.db").write_bytes(data)
    done = godel("--store", "junk.db", *verb)
    assert (done.code, done.out) == (30 if verb == ["verify"] else 2, "")
    assert "junk.db" in done.err and "internal" not in done.err
    assert godel("--store", ".", *verb).code == (30 if verb == ["verify"] else 2)


def damage(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        for trigger in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            connection.execute(f"DROP TRIGGER {trigger[0]}")
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET body = CAST(replace(CAST(body AS TEXT), 'seed', 'leaf') AS BLOB) WHERE seq = 0",
        "UPDATE entries SET kind = 'refused' WHERE kind = 'accepted'",
        "DELETE FROM entries WHERE seq = 1",
        "DELETE FROM blobs WHERE rowid IN (SELECT rowid FROM blobs LIMIT 1)",
        "UPDATE blobs SET data = CAST('{}' AS BLOB)",
    ],
)
def test_a_damaged_ledger_fails_to_verify_and_says_where(statement: str, here: Path) -> None:
    path = here / ".godel" / "walk.db"
    damage(path, statement)
    done = godel("verify")
    assert (done.code, done.out) == (30, "")
    assert done.err.startswith("verification failed: ")
    found = godel("verify", "--json").json
    assert (found["schema"], found["holds"]) == ("godel/verify/1", False)
    for verb in READERS:
        assert godel(*verb).code in (0, 2, 30)
        assert "internal" not in godel(*verb).err


def test_json_of_every_reader_names_its_kind(here: Path) -> None:
    kinds = {
        ("log",): "log",
        ("log", "--graph"): "graph",
        ("show",): "entry",
        ("diff", "@"): "diff",
        ("code",): "code",
        ("verify",): "verify",
        ("proof", "show", "@"): "proof",
        ("proof", "show", "@", "--smt2"): "premises",
        ("proof", "check", "@"): "proof-check",
    }
    for verb, kind in kinds.items():
        done = godel(*verb, "--json")
        version = 2 if kind == "proof" else 1
        assert json.loads(done.out)["schema"] == f"godel/{kind}/{version}"
        assert (done.code, done.err) == (0, "")
