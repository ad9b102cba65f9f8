"""Runs repeat byte for byte, survive being killed at any moment, and end where an undisturbed run ends."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cli import ROOT, Done, godel, process, started

from dsl.codec import canonical_json
from godel.store import Store

LAKE = "frozen_lake_4x4"
KILLS = 6


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a machine and the ledger of one undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copy(ROOT / "examples" / f"{LAKE}.godel", folder)
    done = process("evolve", f"{LAKE}.godel", "-j", "1", cwd=folder)
    assert (done.code, done.err) == (0, "")
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(ROOT / "examples" / f"{LAKE}.godel", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> tuple[list[tuple[str, bytes]], dict[str, bytes]]:
    """Every entry of the ledger with its id, and every blob."""
    with Store.open(folder / ".godel" / f"{LAKE}.db", readonly=True) as store:
        records = [(r.id, r.data) for r in store.records()]
        names = store._rows("SELECT digest FROM blobs ORDER BY digest")
        return records, {str(name): store.blob(str(name)) for (name,) in names}


def evolve(*options: str) -> Done:
    done = godel("evolve", f"{LAKE}.godel", *options)
    assert (done.code, done.err) == (0, ""), done
    return done


def entries(*options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = godel("log", "--json", *options).json["entries"]
    return found


def judged(found: list[dict[str, Any]]) -> list[bytes]:
    """What attempts say, but for the number of the episode and of the step."""
    bodies = [e["body"] for e in found if "edits" in e["body"]]
    return [canonical_json({**b, "episode": None, "step": None}) for b in bodies]


# --- runs repeat -----------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", ["1", "2", "7"])
def test_the_same_file_and_seed_give_the_same_ledger_with_any_number_of_jobs(
    jobs: str, whole: Path, here: Path
) -> None:
    evolve("-j", jobs)
    assert contents(here) == contents(whole)


def test_the_seed_is_part_of_the_ledger(whole: Path, here: Path) -> None:
    evolve("--seed", "7")
    assert entries()[0]["body"]["seed"] == 7
    (first, *_), (theirs, *_) = contents(here)[0], contents(whole)[0]
    assert first[0] != theirs[0]


def test_a_run_in_pieces_leads_to_the_program_of_a_run_in_one(whole: Path, here: Path) -> None:
    for count in range(1, 6):
        evolve("--attempts", str(count))
    evolve()
    mine = entries("--all")
    assert sum(e["kind"] == "ended" for e in mine) == 6
    best = godel("code", "--digest").out
    store = str(whole / ".godel" / f"{LAKE}.db")
    assert best == godel("--store", store, "code", "--digest").out
    # what is gained adds up from bounds, along another way to the same program
    whole_gain = godel("--store", store, "log", "--json").json["entries"][-1]["body"]["gain"]
    assert abs(Fraction(mine[-1]["body"]["gain"]) - Fraction(whole_gain)) < Fraction(1, 10**5)
    # pieces of an episode begin with fresh reports, so that other families may come first
    assert godel("verify").code == 0


# --- runs are killed -------------------------------------------------------------------------------


def test_a_killed_run_goes_on_to_the_same_ledger(whole: Path, here: Path) -> None:
    """`kill -9` at random moments; what is left verifies, and in the end nothing shows that it happened."""
    random = Random(1)
    for _ in range(KILLS):
        with started("evolve", f"{LAKE}.godel", cwd=here) as running:
            assert running.stdout is not None
            lines = random.randrange(4)
            for _ in range(lines):
                running.stdout.readline()
            time.sleep(random.uniform(0, 0.05 if lines else 0.6))
            running.kill()
            ended = running.wait() == 0 or b"ended" in running.stdout.read()
        if (here / ".godel" / f"{LAKE}.db").exists() and godel("log", "--all").out:
            assert godel("verify").code == 0
            ended = entries("--all")[-1]["kind"] == "ended"
        if ended:
            break
    else:
        evolve()
    assert contents(here) == contents(whole)


@pytest.mark.parametrize("after", [0, 1, 2, 3, 5, 8, 11])
def test_a_run_killed_after_any_entry_goes_on_to_the_same_ledger(
    after: int, whole: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As above at chosen places: the process ends when it has made so many entries."""

    class Killed(BaseException):
        """What no handler of ours catches."""

    made = 0
    append = Store.append

    def append_and_die(self: Store, *args: Any, **options: Any) -> Any:
        nonlocal made
        if made > after:
            raise Killed
        made += 1
        return append(self, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "append", append_and_die)
        with pytest.raises(Killed):
            godel("evolve", f"{LAKE}.godel")
    assert len(entries("--all")) == after + 1
    assert godel("verify").code == 0
    evolve()
    assert contents(here) == contents(whole)


def test_a_file_that_was_made_and_nothing_more_is_begun(whole: Path, here: Path) -> None:
    Store.open(here / ".godel" / f"{LAKE}.db", create=True).close()
    assert godel("verify").code == 30
    evolve()
    assert contents(here) == contents(whole)


def test_ctrl_c_leaves_a_ledger_that_verifies(whole: Path, here: Path) -> None:
    with started("evolve", f"{LAKE}.godel", cwd=here) as running:
        assert running.stdout is not None and running.stderr is not None
        assert b"chapter of 0" in running.stdout.readline()
        assert b"refused" in running.stdout.readline()
        running.send_signal(signal.SIGINT)
        code = running.wait(60)
        said = running.stderr.read().decode()
        left = running.stdout.read()
    if b"ended" not in left:
        assert code == 130
        assert "interrupted; the ledger is consistent\n" in said
        assert said.endswith(f"go on with: godel evolve {LAKE}.godel\n")
        assert "Traceback" not in said
        assert godel("verify").code == 0
        evolve()
    assert contents(here) == contents(whole)


@pytest.fixture
def writer(here: Path) -> Iterator[Store]:
    """Another process, as it were, that holds the ledger."""
    evolve("--attempts", "2")
    with Store.open(here / ".godel" / f"{LAKE}.db") as store:
        yield store


@pytest.mark.parametrize("verb", ["evolve", "propose", "revision", "checkout"])
def test_there_is_one_writer(verb: str, writer: Store, here: Path) -> None:
    (here / "patch").write_text("agent { policy { go = left } }", encoding="utf-8")
    file = f"{LAKE}.godel"
    args = {"propose": [file, "patch"], "checkout": ["@"]}.get(verb, [file])
    done = process(verb, *args, cwd=here)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: another process is writing ")
    assert f"{LAKE}.db" in done.err.splitlines()[0]
    assert godel("verify").code == 0


@pytest.mark.parametrize(
    "reader", [["log"], ["verify"], ["show", "@"], ["checkout", "@", "-o", "out"]]
)
def test_there_are_many_readers_beside_it(reader: list[str], writer: Store, here: Path) -> None:
    assert process(*reader, cwd=here).code == 0


def test_of_two_runs_at_once_one_is_told(here: Path) -> None:
    args = ["evolve", f"{LAKE}.godel"]
    with started(*args, cwd=here) as one, started(*args, cwd=here) as other:
        codes = sorted([one.wait(60), other.wait(60)])
        assert one.stderr is not None and other.stderr is not None
        said = one.stderr.read() + other.stderr.read()
    assert codes in ([0, 2], [0, 0])  # the second may come when the first is done
    assert (b"another process is writing" in said) is (codes == [0, 2])
    assert godel("verify").code == 0


# --- limits ----------------------------------------------------------------------------------------


def test_an_ended_run_finds_nothing_more(here: Path) -> None:
    evolve()
    before, best = judged(entries("--all")), godel("code", "--digest").out
    evolve()
    assert judged(entries("--all")) == before
    assert godel("code", "--digest").out == best
    last = entries("--all")[-1]["body"]
    assert last["cause"] == "stop" and last["optimality"] is not None
    assert godel("verify").code == 0


def test_attempts_bound_a_run(here: Path) -> None:
    for count in (0, 1, 3):
        before = len(entries("--all")) if count else 1
        evolve("--attempts", str(count))
        assert len(entries("--all")) == before + count + 1
        assert entries()[-1]["body"]["cause"] == "attempts"
    assert godel("evolve", f"{LAKE}.godel", "--attempts", "-1").code == 2


def test_a_budget_bounds_what_a_run_costs(here: Path) -> None:
    evolve("--budget", "0")
    assert [e["kind"] for e in entries("--all")] == ["genesis", "ended"]
    evolve("--budget", "1")
    assert len(entries("--all")) == 4
    assert entries()[-1]["body"]["cause"] == "budget"
    evolve("--budget", "1e12")
    assert entries()[-1]["body"]["cause"] == "stop"


def test_a_gap_that_is_small_enough_ends_a_run(here: Path) -> None:
    evolve("--gap", "1")
    assert [e["kind"] for e in entries("--all")] == ["genesis", "ended"]
    evolve("--gap", "1/10")
    last = entries()[-1]["body"]
    assert last["cause"] == "gap"
    numerator, denominator = map(int, last["optimality"]["gap"].split("/"))
    assert 0 < numerator / denominator <= 0.1
    assert entries("--all")[-2]["kind"] == "accepted"
    evolve("--gap", "0")
    assert entries()[-1]["body"]["cause"] == "stop"


def test_undecided_rewrites_are_tried_again_with_more_effort_and_never_with_the_same(
    whole: Path, here: Path
) -> None:
    def undecided() -> list[str]:
        return [e["body"]["result"] for e in entries("--all") if e["kind"] == "undecided"]

    evolve("--rlimit", "1")
    first = undecided()
    assert first and len(set(first)) == len(first)
    assert {e["kind"] for e in entries()} == {"genesis", "ended"}
    evolve("--rlimit", "1")
    assert undecided() == first
    evolve("--rlimit", "2")
    assert undecided() == [*first, *first]
    evolve()
    assert undecided() == [*first, *first]
    theirs = godel("--store", str(whole / ".godel" / f"{LAKE}.db"), "code", "--digest")
    assert godel("code", "--digest") == theirs
    assert godel("verify").code == 0


def test_a_proposal_cuts_the_episode_and_the_run_goes_on_from_it(here: Path) -> None:
    evolve("--attempts", "3")
    (here / "patch").write_text("agent { policy { go = down } }", encoding="utf-8")
    code = godel("propose", f"{LAKE}.godel", "patch").code
    assert code in (0, 10)
    evolve()
    found = entries("--all")
    at = next(i for i, e in enumerate(found) if e["body"].get("family") == "file")
    assert (found[at + 1]["body"]["step"], found[at + 1]["body"]["episode"]) == (0, 2)
    assert godel("verify").code == 0
