"""Verbs that run programs and take rewrites through the gate."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path

import pytest
from cli import Done, godel

from dsl.codec import digest_node
from dsl.parser import parse_machine
from dsl.rewrite import RemoveSlot, derive_edits, encode_edits
from godel.simulate import CUT_MAX, simulate_program
from proofs.kernel.chapter import Chapter

RIGHT = "agent { policy { move = right } }"
PLAN = "agent { table PLAN: array[6] of Move = [for i in 0..5: right] }"
LEFT = "agent { policy { move = left } }"
SEVERAL = """agent {
  # several slots at once, one of them new
  table PLAN: array[6] of Move = [for i in 0..5: right]
  def toward(p: int): Move = if p < 5 then right else stay
  policy { move = if pos == 0 then PLAN[0] else toward(pos) }
}"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a fresh machine and its ledger, of which nothing was tried."""
    folder = tmp_path_factory.mktemp("walk")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert godel("new", "walk").code == 0
        assert godel("evolve", "walk.godel", "--attempts", "0").code == 0
    return folder


@pytest.fixture
def here(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "walk"
    shutil.copytree(template, folder)
    monkeypatch.chdir(folder)
    return folder


def change(here: Path, old: str, new: str, name: str = "other.godel") -> str:
    """A copy of the machine with something else in one place; returns its name."""
    text = (here / "walk.godel").read_text(encoding="utf-8")
    assert text.count(old) == 1
    (here / name).write_text(text.replace(old, new), encoding="utf-8")
    return name


def propose(here: Path, patch: str, *options: str) -> Done:
    (here / "patch").write_text(patch, encoding="utf-8")
    return godel("propose", "walk.godel", "patch", *options)


# --- eval ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression, printed",
    [
        ("1 + 2", "3  (1 tick)"),
        ("-5 div 2", "-3  (1 tick)"),
        ("- 7", "-7  (0 ticks)"),
        ("1/3 + 1/6", "1/2  (1 tick)"),
        ("ord(right) == 2", "true  (2 ticks)"),
        ("[left, stay][1]", "stay  (2 ticks)"),
    ],
)
def test_eval_prints_value_and_ticks(expression: str, printed: str, here: Path) -> None:
    assert godel("eval", "walk.godel", expression) == Done(0, f"{printed}\n", "")


def test_eval_prints_json(here: Path) -> None:
    done = godel("eval", "walk.godel", "1/3", "--json")
    assert done.json == {"schema": "godel/eval/1", "value": "1/3", "ticks": 0}


@pytest.mark.parametrize(
    "expression, code",
    [
        ("1/0", "G013"),
        ("1 +", "G001"),
        ("nothing", "G006"),
        ("pos", "G006"),
        ("[1, 2][2]", "G014"),
        ("", "G001"),
        ("(" * 300 + "1" + ")" * 300, "G041"),
        ("1 && 2", "G002"),
        ("left + 1", "G009"),
    ],
)
def test_faults_of_an_expression_are_shown_in_it(expression: str, code: str, here: Path) -> None:
    done = godel("eval", "walk.godel", expression)
    assert (done.code, done.out) == (3, "")
    assert f"error[{code}]" in done.err and "--> EXPRESSION:1:" in done.err


def test_eval_answers_each_state_with_a_line(here: Path) -> None:
    states = b"".join(b'{"pos": %d}\n\n' % n for n in range(6))
    done = godel("eval", "walk.godel", "--state", "-", stdin=states)
    assert (done.code, done.err) == (0, "")
    assert done.lines == [{"actions": {"move": "stay"}, "ticks": 1}] * 6
    tagged = godel("eval", "walk.godel", "--state", '{"pos": 5}', "--json").json
    assert tagged == {"schema": "godel/decision/1", "actions": {"move": "stay"}, "ticks": 1}


@pytest.mark.parametrize(
    "line",
    [
        b'{"pos": 6}',
        b'{"pos": true}',
        b'{"pos": 1.0}',
        b'{"pos": "1"}',
        b"{}",
        b'{"pos": 1, "x": 1}',
        b"[]",
        b"{",
        b'{"pos": NaN}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_a_bad_state_is_named_by_its_line(line: bytes, here: Path) -> None:
    done = godel("eval", "walk.godel", "--state", "-", stdin=b'{"pos": 1}\n' + line + b"\n")
    assert (done.code, len(done.lines)) == (2, 1)
    assert done.err.startswith("error: line 2: ")
    assert len(done.err) < 400


def test_eval_takes_the_program_of_an_entry(here: Path) -> None:
    assert propose(here, RIGHT).code == 0
    state = ["--state", '{"pos": 0}']
    assert godel("eval", "walk.godel", *state).json["actions"] == {"move": "stay"}
    assert godel("eval", "walk.godel", *state, "--at", "@").json["actions"] == {"move": "right"}
    assert godel("eval", "walk.godel", *state, "--at", "@-").json["actions"] == {"move": "stay"}
    assert godel("eval", "walk.godel", *state, "--at", "ffff").code == 2
    assert godel("eval", "walk.godel").code == 2
    assert godel("eval", "walk.godel", "1", *state).code == 2


# --- simulate --------------------------------------------------------------------------------------


def test_sampled_returns_stand_beside_the_proved_bounds(here: Path) -> None:
    assert propose(here, RIGHT).code == 0
    args = ["simulate", "walk.godel", "--at", "@", "--episodes", "500"]
    found = godel(*args, "--json").json
    assert found["schema"] == "godel/simulate/1"
    lower, upper = Fraction(found["lower"]), Fraction(found["upper"])
    assert 0 < lower <= upper
    assert abs(found["mean"] - float(lower)) < 3 * found["half_width"]
    assert found["steps"] == 500 * found["cut"]
    assert godel(*args) == godel(*args)
    assert godel(*args, "--seed", "1").out != godel(*args).out


def test_a_horizon_ends_episodes_exactly(here: Path) -> None:
    name = change(here, "discount 9/10", "horizon 7")
    found = godel("simulate", name, "--episodes", "10", "--json").json
    assert (found["steps"], found["cut"], found["tail"]) == (70, None, None)
    assert "cut" not in godel("simulate", name, "--episodes", "10").out


@pytest.mark.parametrize("discount", ["0", "1/10", "999/1000", f"{10**30 - 1}/{10**30}"])
def test_worlds_that_never_end_are_cut_and_say_so(discount: str, here: Path) -> None:
    text = (here / "walk.godel").read_text(encoding="utf-8")
    text = text.replace("discount 9/10", f"discount {discount}").replace("stay]", "right]")
    machine = parse_machine(text)
    chapter = Chapter(machine.declarations)
    sample = simulate_program(chapter, chapter.program(machine.agent), episodes=2, seed=0)
    assert 0 < sample.cut <= CUT_MAX
    assert sample.steps == 2 * sample.cut
    assert sample.tail >= 0
    assert sample.lower is not None and sample.upper is not None
    assert sample.lower <= sample.upper


def test_a_discount_that_floats_cannot_tell_from_1_is_worked_out_exactly(here: Path) -> None:
    name = change(here, "discount 9/10", f"discount {10**30 - 1}/{10**30}")
    (here / "patch").write_text(RIGHT, encoding="utf-8")
    store = ["--store", "near.db"]
    assert godel(*store, "propose", name, "patch").code == 0
    assert godel(*store, "evolve", name).code == 0
    assert godel(*store, "verify").code == 0


@pytest.mark.parametrize("episodes", ["1", "0", "-3", "x"])
def test_an_interval_needs_two_episodes(episodes: str, here: Path) -> None:
    assert godel("simulate", "walk.godel", "--episodes", episodes).code == 2


# --- propose ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("patch", [RIGHT, PLAN, SEVERAL])
def test_a_better_program_is_accepted(patch: str, here: Path) -> None:
    done = propose(here, patch, "--json")
    assert (done.code, done.err) == (0, "")
    verdict = done.lines[-1]
    assert (verdict["schema"], verdict["verdict"]) == ("godel/verdict/1", "accepted")
    assert Fraction(verdict["gain"]) > 6
    assert verdict["head"] == verdict["id"] == godel("show", "--json").json["id"]
    assert godel("verify").code == 0


def test_a_worse_program_and_a_tie_are_refused_with_a_trace(here: Path) -> None:
    done = propose(here, LEFT)
    assert (done.code, done.err) == (10, "")
    assert "a tie: both are worth 0" in done.out and "first difference at pos = 0" in done.out
    assert propose(here, RIGHT).code == 0
    done = propose(here, LEFT)
    assert done.code == 10
    assert "new U <= 0 <= 6.208341 <= old U" in done.out
    replay = next(line for line in done.out.splitlines() if "replay: godel cex " in line)
    again = godel(*replay.split()[2:])
    assert again.code == 0
    assert "first difference at pos = 0" in again.out
    verdict = propose(here, LEFT, "--json").json
    assert (verdict["verdict"], verdict["gain"]) == ("refused", None)


def test_a_program_that_is_not_total_is_invalid_at_a_state_that_breaks_it(here: Path) -> None:
    done = propose(here, "agent { policy { move = PLAN[pos + 1] } }")
    assert done.code == 3
    assert "G014: the index may be outside 0..5\n         at pos = 5 the index is 6" in done.out
    assert "--> patch:1:30" in done.err and "= at pos = 5 the index is 6" in done.err
    assert godel("verify").code == 0


def test_unknown_names_are_shown_in_the_patch(here: Path) -> None:
    done = propose(here, "agent {\n  policy { move = PLAN[poss] }\n}")
    assert done.code == 3
    assert "error[G006]: unknown name poss\n --> patch:2:24" in done.err
    assert "help: did you mean pos?" in done.err


def test_faults_of_a_patch_are_found_again_whatever_their_order_in_it(here: Path) -> None:
    done = propose(here, "agent { policy { go = rigt } }")
    assert done.code == 3
    assert done.err.index("unknown action go") < done.err.index("unknown name rigt")
    assert "the policy never assigns move" in done.out
    assert godel("verify").code == 0


@pytest.mark.parametrize(
    "patch, code",
    [
        ("", "G001"),
        ("agent { policy { move = ] } }", "G001"),
        ("environment { }", "G001"),
        ("machine walk", "G001"),
        ('{"edits": []}', "G001"),
        ("[", "G001"),
        ("[1.5]", "G001"),
        ('[{"edit": "remove"}]', "G001"),
        ('[{"edit": "add", "code": ["x", 1]}]', "G001"),
        ('[{"edit": "add", "code": []}]', "G001"),
        ("[" * 5_000, "G001"),
        ("agent { def PLAN(p: int): Move = left }", "G007"),
        ("agent {" + " " * (1 << 20) + "}", "G043"),
    ],
)
def test_what_is_no_patch_makes_no_entry(patch: str, code: str, here: Path) -> None:
    before = godel("log", "--all").out
    done = propose(here, patch)
    assert (done.code, done.out) == (3, "")
    assert f"error[{code}]" in done.err
    assert done.err.endswith("reproduce: godel propose walk.godel patch\n")
    assert godel("log", "--all").out == before


def test_the_verdict_on_what_is_no_patch_is_json_too(here: Path) -> None:
    head = godel("log", "-n", "1", "--json").json["entries"][-1]["id"]
    verdict = propose(here, "agent { policy { move = ] } }", "--json").json
    assert (verdict["schema"], verdict["verdict"]) == ("godel/verdict/1", "invalid")
    assert (verdict["gain"], verdict["id"], verdict["head"]) == (None, None, head)
    assert verdict["diagnostics"][0]["span"]["column"] == 25


@pytest.mark.parametrize("patch", ["agent { }", "agent { policy { move = PLAN[pos] } }"])
def test_a_patch_that_changes_nothing_says_so(patch: str, here: Path) -> None:
    done = propose(here, patch)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: patch changes nothing\n")


def test_edits_come_as_json_and_are_what_diff_prints(here: Path) -> None:
    old = parse_machine((here / "walk.godel").read_text(encoding="utf-8")).agent
    text = (here / change(here, "i in 0..5: stay", "i in 0..5: right")).read_text(encoding="utf-8")
    edits = encode_edits(derive_edits(old, parse_machine(text).agent))
    assert propose(here, json.dumps(edits)).code == 0
    assert godel("diff", "@", "--json").json["edits"] == edits
    # the same edits again expect what is no longer there
    done = propose(here, json.dumps(edits))
    assert done.code == 3
    assert "is not what the edit expects" in done.out
    back = godel("diff", "@", "@-", "--json").json["edits"]
    assert propose(here, json.dumps(back)).code == 10


def test_edits_that_take_the_policy_away_are_invalid(here: Path) -> None:
    code = parse_machine((here / "walk.godel").read_text(encoding="utf-8")).agent
    policy = code.slot("main")
    assert policy is not None
    edits = encode_edits((RemoveSlot("main", digest_node(policy)),))
    assert propose(here, json.dumps(edits)).code == 3
    assert propose(here, "[]").code == 3
    assert godel("verify").code == 0


def test_a_patch_is_read_from_stdin(here: Path) -> None:
    assert godel("propose", "walk.godel", "-", stdin=RIGHT.encode()).code == 0


def test_too_little_effort_leaves_a_rewrite_undecided(here: Path) -> None:
    done = propose(here, RIGHT, "--rlimit", "1")
    assert done.code == 20
    assert done.err == "reproduce: godel propose walk.godel patch --rlimit 1\n"
    assert propose(here, RIGHT).code == 0


# --- files and ledgers -----------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [["evolve"], ["propose", "patch"]])
def test_other_declarations_need_a_revision(verb: list[str], here: Path) -> None:
    (here / "patch").write_text(RIGHT, encoding="utf-8")
    name = change(here, "9/10 }\n\nagent", "8/10 }\n\nagent")
    done = godel(verb[0], name, *verb[1:])
    assert (done.code, done.out) == (2, "")
    assert f"godel revision {name} begins a new chapter" in done.err
    assert godel("revision", name).code == 0
    assert godel(verb[0], name, *verb[1:], "--rlimit", "1").code in (0, 20)
    assert godel("verify").code == 0


def test_other_code_needs_a_proposal(here: Path) -> None:
    name = change(here, "i in 0..5: stay", "i in 0..5: right")
    done = godel("evolve", name)
    assert (done.code, done.out) == (2, "")
    assert "godel propose takes" in done.err


def test_the_first_and_the_installed_program_both_name_the_ledger(here: Path) -> None:
    assert propose(here, RIGHT).code == 0
    assert godel("checkout", "@", "-o", "now.godel").code == 0
    assert godel("evolve", "now.godel", "--attempts", "0").code == 0
    assert godel("evolve", "walk.godel", "--attempts", "0").code == 0


@pytest.mark.parametrize("verb", ["evolve", "revision"])
def test_a_ledger_is_one_machines(verb: str, here: Path) -> None:
    name = change(here, "machine walk\n", "machine run\n")
    done = godel("--store", ".godel/walk.db", verb, name)
    assert (done.code, done.out) == (2, "")
    assert "declares the machine run, this is the ledger of walk" in done.err


def test_a_revision_starts_gains_at_zero_and_needs_a_ledger(here: Path) -> None:
    assert propose(here, RIGHT).code == 0
    name = change(here, "9/10 }\n\nagent", "8/10 }\n\nagent")
    found = godel("revision", name, "--json").json
    assert (found["schema"], found["kind"]) == ("godel/revision/1", "revision")
    verified = godel("verify", "--json").json
    assert (verified["gain"], verified["theorems"]) == ("0", 3)
    assert godel("show", "@").out.split()[1] == "revision"
    done = godel("revision", change(here, "machine walk\n", "machine run\n"))
    assert done.code == 2
    assert "does not exist yet" in done.err


def test_a_store_is_made_with_its_folders(here: Path) -> None:
    assert godel("--store", "a/b/c.db", "evolve", "walk.godel", "--attempts", "0").code == 0
    assert godel("--store", "a/b/c.db", "log").code == 0


def test_an_empty_file_is_begun_as_after_a_kill(here: Path) -> None:
    (here / "empty.db").touch()
    assert godel("--store", "empty.db", "log").code == 2
    assert godel("--store", "empty.db", "evolve", "walk.godel", "--attempts", "0").code == 0
    assert godel("--store", "empty.db", "verify").code == 0


def test_a_file_at_fault_leaves_no_ledger(here: Path) -> None:
    name = change(here, "PLAN[pos]", "PLAN[pos + 1]")
    assert godel("--store", "new/x.db", "evolve", name).code == 3
    assert not (here / "new").exists()


@pytest.mark.parametrize("option", ["--gap", "--budget"])
@pytest.mark.parametrize("value", ["x", "1/0", "-1", "nan", "inf", "1e999999999", "", "1_000"])
def test_limits_are_rationals_that_are_not_negative(option: str, value: str, here: Path) -> None:
    done = godel("evolve", "walk.godel", option, value)
    assert (done.code, done.out) == (2, "")
    assert "is no rational such as 1/100" in done.err
