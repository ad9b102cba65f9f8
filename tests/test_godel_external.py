"""A command may propose anything, and do anything but harm the history: it ends in a verdict, or in nothing proposed."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cli import ROOT, Done, godel, started

from dsl.codec import digest_node
from dsl.errors import DslError
from dsl.machine import Program
from dsl.parser import parse_machine
from godel.families.external import read_candidate
from godel.families.kinds import KINDS
from godel.process import Bounds, Ran, find_command, run_command
from godel.store import Store
from proofs.kernel.chapter import Chapter

MACHINE = """machine door
enum Move { stay, go }
environment {
  state at: int 0..2 = 0
  action move: Move
  at' = if move == go then min(at + 1, 2) else at
  reward = if at' == 2 then 1 else 0
}
utility { discount 1/2 }
agent {
  table PLAN: array[3] of Move = [stay, stay, stay]
  policy { move = PLAN[at] }
}
search {
  family model = external(COMMAND)
  world {
    report last: Outcome
    action try: Attempt
    chance outcome: Outcome = {
      accepted: 1/4, refused: 1/4, undecided: 1/8, invalid: 1/8, empty: 1/4
    }
    reward = if outcome == accepted then 1 else 0
  }
  utility { discount 1/2 }
}
searcher { policy { try = if last == empty then stop else model } }
"""
GO = '{"patch": "agent { policy { move = go } }", "note": "go"}'
STAY = '{"patch": "agent { policy { move = stay } }", "note": "stay"}'
QUICK = Bounds(seconds=1, megabytes=256, lines=16)
PATIENT = Bounds(seconds=60, megabytes=256, lines=16)
ENVIRONMENT = {"PATH": os.environ["PATH"]}


def write_machine(folder: Path, script: str, settings: str = "seconds: 60") -> str:
    """Put a machine and the Python script that proposes for it into a folder; returns the file's name."""
    (folder / "script.py").write_text(script, encoding="utf-8")
    command = f'command: "{sys.executable} script.py", {settings}'
    (folder / "door.godel").write_text(MACHINE.replace("COMMAND", command), encoding="utf-8")
    return "door.godel"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def attempts_of(file: str, *options: str) -> list[dict[str, Any]]:
    """The bodies of the attempts of one run, each with its kind; the ledger holds together afterwards."""
    done = godel("evolve", file, "--allow-external", "--json", *options)
    assert (done.code, done.err) == (0, "")
    checked = godel("verify")
    assert checked.code == 0, checked.err
    assert godel("log", "--all").code == 0
    bodies = [{**e["body"], "kind": e["kind"]} for e in done.lines]
    assert bodies[-1]["kind"] == "ended"
    return bodies[:-1]


def outcomes(bodies: list[dict[str, Any]]) -> list[str]:
    return [b["kind"] for b in bodies]


def python(script: str, bounds: Bounds, data: bytes = b"{}") -> Ran:
    """What comes of a Python script."""
    words = [sys.executable, "-c", script]
    return run_command(words, data, bounds=bounds, environment=ENVIRONMENT)


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"


def wait_until_gone(pid: int) -> None:
    """Return when a process has ended."""
    while not is_gone(pid):
        os.sched_yield()


# --- what a command proposes -------------------------------------------------------------------------


def test_candidates_of_a_command_go_through_the_gate(here: Path) -> None:
    file = write_machine(here, f"print('''{GO}''')\nprint('''{STAY}''')")
    bodies = attempts_of(file)
    assert outcomes(bodies) == ["accepted", "refused", "empty"]
    assert [b.get("note") for b in bodies] == ["go", "stay", None]
    assert bodies[-1]["reason"] is None


def test_edits_are_taken_as_well_as_patches(here: Path) -> None:
    script = """
import json, sys
node = next(n for n in json.load(sys.stdin)["program"]["positions"] if n["text"] == "PLAN[at]")
edit = {"edit": "replace", "code": ["name", "go"]}
edit.update((key, node[key]) for key in ("slot", "position", "expected"))
print(json.dumps({"edits": [edit], "note": "an edit"}))
"""
    (first, *_) = attempts_of(write_machine(here, script), "--attempts", "1")
    assert (first["kind"], first["note"]) == ("accepted", "an edit")


def test_a_command_reads_verdicts_with_counterexamples_and_what_could_not_be_read(
    here: Path,
) -> None:
    script = f"""
import json, sys
question = json.load(sys.stdin)
with open({str(here / "questions")!r}, "a") as file:
    print(json.dumps(question), file=file)
if not question["attempts"]:
    print('''{GO}''')
elif len(question["attempts"]) == 1:
    print("what?")
    print('''{STAY}''')
"""
    assert outcomes(attempts_of(write_machine(here, script))) == ["accepted", "refused", "empty"]
    questions = [json.loads(line) for line in (here / "questions").read_text().splitlines()]
    assert [len(q["attempts"]) for q in questions] == [0, 1, 2]
    assert [q["schema"] for q in questions] == ["godel/question/1"] * 3
    first, second, third = questions
    assert (
        first["program"]["text"].startswith("agent {")
        and "policy { move = PLAN[at] }" in first["program"]["text"]
    )
    assert first["declarations"].startswith("machine door") and "agent" not in first["declarations"]
    assert (first["criterion"], first["seed"], first["block"]) == ("dominates", 0, "agent")
    assert first["bounds"] == {"lower": "0", "upper": "0"}
    assert second["program"]["text"] != first["program"]["text"]
    assert second["program"]["digest"] == second["attempts"][0]["result"]
    refused = third["attempts"][1]
    assert (refused["outcome"], refused["note"]) == ("refused", "stay")
    assert refused["counterexample"]["old"] and refused["claim"]["new_upper"] == "0"
    assert [u["line"] for u in third["unread"]] == [1]
    assert "not JSON" in third["unread"][0]["reason"]


def test_the_digests_in_a_question_are_those_that_edits_expect(here: Path) -> None:
    script = f"import shutil, sys; shutil.copyfileobj(sys.stdin, open({str(here / 'q')!r}, 'w'))"
    attempts_of(write_machine(here, script))
    program = json.loads((here / "q").read_text())["program"]
    code = parse_machine((here / "door.godel").read_text()).agent
    assert program["digest"] == digest_node(code)
    for slot in code.slots:
        (told,) = [x for x in program["slots"] if x["slot"] == slot.name]
        (root,) = [x for x in program["positions"] if (x["slot"], x["position"]) == (slot.name, [])]
        assert told["digest"] == root["expected"] == digest_node(slot)


def test_a_command_that_says_the_same_again_is_not_asked_for_ever(here: Path) -> None:
    file = write_machine(here, f"print('''{STAY}''')")
    assert outcomes(attempts_of(file)) == ["refused", "empty"]
    assert outcomes(attempts_of(file)) == ["empty"]


def test_a_command_that_never_says_the_same_is_asked_as_often_as_the_searcher_tries(
    here: Path,
) -> None:
    script = """
import json, os
edit = {"edit": "remove", "slot": os.urandom(8).hex(), "expected": ""}
print(json.dumps({"edits": [edit]}))
"""
    bodies = attempts_of(write_machine(here, script), "--attempts", "3")
    assert outcomes(bodies) == ["invalid"] * 3


def test_steps_of_a_command_are_bytes_of_its_output(here: Path) -> None:
    (first, *_) = attempts_of(write_machine(here, f"print('''{GO}''')"), "--attempts", "1")
    assert first["costs"]["family_steps"] == len(GO) + 1


def test_steps_behind_candidates_that_were_judged_before_count_where_nothing_follows(
    here: Path,
) -> None:
    script = f"""
import json, sys
if json.load(sys.stdin)["attempts"]:
    print("sorry")
else:
    print({STAY!r})
    print({STAY!r})
"""
    first, second = attempts_of(write_machine(here, script))
    assert [first["kind"], second["kind"]] == ["refused", "empty"]
    assert second["costs"]["family_steps"] == len(STAY) + len("sorry\n")


def test_the_searcher_can_be_the_target_and_the_family_does_not_know(here: Path) -> None:
    script = f"""
import json, sys
question = json.load(sys.stdin)
open({str(here / "q")!r}, "w").write(json.dumps(question))
if not question["attempts"]:
    print(json.dumps({{"patch": "searcher {{ policy {{ try = stop }} }}", "note": "stop"}}))
    print('''{GO}''')
"""
    file = write_machine(here, script, "seconds: 60, target: searcher")
    bodies = attempts_of(file)
    assert [(b["kind"], b["task"]) for b in bodies] == [
        ("refused", "searcher"),
        ("empty", "searcher"),
    ]
    question = json.loads((here / "q").read_text())
    assert question["block"] == "searcher"
    assert question["program"]["text"].startswith("searcher {")
    assert question["machine"] == "door_search"


# --- what is no candidate ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program() -> Program:
    machine = parse_machine(MACHINE.replace("COMMAND", 'command: "true"'))
    return Chapter(machine.declarations).program(machine.agent)


def of(**data: Any) -> bytes:
    return json.dumps(data).encode()


REMOVE = {"edit": "remove", "slot": "PLAN", "expected": ""}
NO_CANDIDATES: dict[str, tuple[bytes, str]] = {
    "garbage": (b"\x00\x01 hello", "not JSON"),
    "not UTF-8": (b'{"patch": "\xff\xfe"}', "not UTF-8"),
    "deep nesting": (b"[" * 500_000, "nested too deep"),
    "deep edits": (
        b'{"edits": ' + b"[" * 900 + b"]" * 900 + b"}",
        "malformed edit|expected an edit",
    ),
    "a huge number": (b'{"edits": [' + b"9" * 1_000_000 + b"]}", "1,000,000 digits"),
    "a huge position": (of(edits=[{**REMOVE, "position": 2**60}]), "2\\^53"),
    "NaN": (b'{"edits": [NaN]}', "NaN is not an exact number"),
    "infinity": (b'{"edits": [-Infinity]}', "not an exact number"),
    "a float": (b'{"edits": [1e999]}', "not an exact number"),
    "a list": (b"[]", "no object"),
    "null": (b"null", "no object"),
    "no patch": (of(note="I thought about it"), "no object"),
    "both": (of(patch="agent { }", edits=[REMOVE]), "no object"),
    "more": (of(patch="agent { }", ledger="x"), "no object"),
    "a patch of numbers": (of(patch=7), "its patch is no text"),
    "a note of numbers": (of(edits=[REMOVE], note=["x"]), "its note is no text"),
    "no edits": (of(edits=[]), "changes nothing"),
    "edits of nothing": (of(edits={"a": 1}), "expected a list of edits"),
    "an odd edit": (of(edits=[{"edit": "drop table"}]), "malformed edit"),
    "an edit that is a machine": (of(edits=[{"edit": "add", "code": ["machine"]}]), "cannot stand"),
    "a patch that does not parse": (of(patch="agent { policy { move = "), "G001"),
    "a patch with escapes": (of(patch="agent { \x1b[31m }"), "G044"),
    "half a surrogate pair": (b'{"patch": "agent { \\ud800 }"}', "G044"),
    "an empty patch": (of(patch=""), "G0"),
    "a patch that is too large": (of(patch="# " + "x" * (1 << 20)), "G043"),
    "a patch that nests": (of(patch="agent { policy { move = " + "(" * 300), "G041"),
    "the same program": (of(patch="agent { policy { move = PLAN[at] } }"), "changes nothing"),
    "a patch of the searcher": (of(patch="searcher { policy { try = stop } }"), "of the searcher"),
    "a search": (of(patch="search { switch held }"), "no rewrite reaches"),
    "a search behind the agent": (of(patch="agent { } search { switch held }"), "G0|no rewrite"),
    "another utility": (of(patch="utility { discount 0 }"), "G001"),
    "another kind of slot": (
        of(patch="agent { param PLAN: int 0..1 = 0 }"),
        "another kind of slot",
    ),
}


@pytest.mark.parametrize("name", NO_CANDIDATES)
def test_a_line_that_is_no_candidate_says_why(name: str, program: Program) -> None:
    line, reason = NO_CANDIDATES[name]
    with pytest.raises((ValueError, DslError), match=reason):
        read_candidate(line, "agent", program)


def test_lines_that_are_no_candidates_end_in_nothing_proposed(here: Path) -> None:
    lines = [line for line, _ in NO_CANDIDATES.values()]
    (here / "answer").write_bytes(b"\n".join(lines))
    script = f"import sys; sys.stdout.buffer.write(open({str(here / 'answer')!r}, 'rb').read())"
    (only,) = attempts_of(write_machine(here, script, f"seconds: 60, candidates: {len(lines)}"))
    assert only["kind"] == "empty"
    assert only["reason"].startswith("line 1 of the answer is no candidate: it is not JSON")


BAD_EDITS: dict[str, dict[str, Any]] = {
    "no such slot": {"edit": "remove", "slot": "GATE", "expected": ""},
    "a slot of the searcher": {
        **{"edit": "replace", "slot": "try", "position": [0], "expected": ""},
        "code": ["name", "stop"],
    },
    "another digest": {"edit": "remove", "slot": "PLAN", "expected": "0" * 64},
    "no such place": {
        **{"edit": "replace", "slot": "main", "position": [9, 9], "expected": ""},
        "code": ["name", "go"],
    },
    "a terminal's escapes": {"edit": "remove", "slot": "\x1b]0;owned\x07\n", "expected": ""},
    "half a surrogate pair": {"edit": "remove", "slot": "\ud800", "expected": "\ud800"},
}


def test_edits_of_what_is_not_there_are_invalid(here: Path) -> None:
    lines = [json.dumps({"edits": [edit], "note": "\x1b[2J\nno"}) for edit in BAD_EDITS.values()]
    file = write_machine(here, f"print({chr(10).join(lines)!r})")
    *judged, _ = attempts_of(file)
    assert outcomes(judged) == ["invalid"] * len(BAD_EDITS)
    assert all(body["note"].isprintable() and body["reason"].isprintable() for body in judged)
    shown = godel("log", "--all").out + "".join(godel("show", e).out for e in ids())
    assert shown.replace("\n", "").isprintable()


def ids() -> list[str]:
    return [e["id"] for e in godel("log", "--all", "--json").json["entries"]]


def test_a_person_cannot_break_the_ledger_with_such_edits_either(here: Path) -> None:
    (here / "p.json").write_text(json.dumps([BAD_EDITS["a terminal's escapes"]]))
    assert godel("propose", write_machine(here, ""), "p.json").code == 3
    assert godel("verify").code == 0


# --- how a command ends ------------------------------------------------------------------------------


def test_a_command_that_loops_is_stopped_and_the_entry_says_so(here: Path) -> None:
    (only,) = attempts_of(write_machine(here, "while True: pass", "seconds: 1"))
    assert (only["kind"], only["reason"]) == ("empty", "the command was stopped after 1 s")
    shown = godel("show", only_id(here, "empty"))
    assert "proposes nothing" in shown.out and "stopped after 1 s" in shown.out


def only_id(folder: Path, kind: str) -> str:
    with Store.open(folder / ".godel" / "door.db", readonly=True) as store:
        (found,) = [e.id for e in store.entries() if e.kind.value == kind]
    return found


def test_what_a_stopped_command_said_before_is_judged_and_notes_say_so(here: Path) -> None:
    script = (
        f"print('''{GO}''', flush=True)\nprint('half a li', end='', flush=True)\nwhile True: pass"
    )
    (first,) = attempts_of(write_machine(here, script, "seconds: 1"), "--attempts", "1")
    assert (first["kind"], first["note"]) == ("accepted", "go (the command was stopped after 1 s)")


def test_a_command_that_fails_says_with_what(here: Path) -> None:
    (only,) = attempts_of(write_machine(here, "raise SystemExit('no key \x1b[31m')"))
    assert (
        only["reason"] == "the command ended with exit code 1: no key \N{REPLACEMENT CHARACTER}[31m"
    )


def test_a_command_that_failed_is_asked_again(here: Path) -> None:
    script = f"""
import os
if not os.path.exists({str(here / "mark")!r}):
    open({str(here / "mark")!r}, "w").close()
    raise SystemExit(1)
print('''{GO}''')
"""
    file = write_machine(here, script)
    text = (here / file).read_text().replace("if last == empty then stop else model", "model")
    (here / file).write_text(text)
    assert outcomes(attempts_of(file, "--attempts", "2")) == ["empty", "accepted"]


@pytest.mark.parametrize(
    "word", ["no-such-program-anywhere", "./nothing", "./script.py", "./", "/"]
)
def test_a_command_that_is_not_there_is_nothing_proposed(word: str, here: Path) -> None:
    file = write_machine(here, "")
    text = (here / file).read_text().replace(f"{sys.executable} script.py", word)
    (here / file).write_text(text)
    (only,) = attempts_of(file)
    assert only["reason"] == f"the command cannot be run: there is no {word}"


def test_a_program_that_the_system_cannot_run_says_so(here: Path) -> None:
    (here / "odd").write_bytes(b"\x7fELF nonsense")
    (here / "odd").chmod(0o755)
    words = find_command(["./odd"], here)
    assert words == [str(here / "odd")]
    ran = run_command(words, b"", bounds=PATIENT, environment=ENVIRONMENT)
    assert ran.fault is not None and ran.fault.startswith("the command cannot be run: ")


def test_output_without_end_is_cut() -> None:
    ran = python("import os\nwhile True: os.write(1, b'x' * 65536)", PATIENT)
    assert ran.lines == () and ran.fault == "the command printed more than 4,194,304 bytes"
    assert ran.size < PATIENT.bytes + 2**20


def test_no_more_lines_are_read_than_candidates_are_asked_for() -> None:
    ran = python("while True: print('x', flush=True)", PATIENT)
    assert (ran.lines, ran.fault) == ((b"x",) * PATIENT.lines, None)


def test_blank_lines_without_end_are_cut() -> None:
    ran = python("import os\nwhile True: os.write(1, b'\\n' * 65536)", PATIENT)
    assert ran.lines == () and ran.fault is not None


def test_a_flood_of_errors_does_no_harm() -> None:
    ran = python("import os\nwhile True: os.write(2, b'x' * 65536)", QUICK)
    assert ran.fault == "the command was stopped after 1 s"
    said = python(
        "import os, sys\nos.write(2, b'x' * 3_000_000 + b'\\nlast'); sys.exit(3)", PATIENT
    )
    assert said.fault == "the command ended with exit code 3: last"


def test_memory_is_bounded() -> None:
    ran = python("bytearray(1 << 30)", PATIENT)
    assert ran.fault == "the command ended with exit code 1: MemoryError"


def test_files_are_bounded() -> None:
    script = """
import os
with open('f', 'wb', 0) as file:
    while True:
        file.write(bytes(1 << 20))
"""
    assert python(script, replace(PATIENT, megabytes=64)).fault is not None


def test_limits_are_set_for_everything_that_the_command_starts() -> None:
    names = ("AS", "DATA", "FSIZE", "CORE", "CPU", "NPROC")
    script = f"""
import resource, subprocess, sys
names = {names!r}
child = "import resource\\nfor n in names: print(*resource.getrlimit(getattr(resource, 'RLIMIT_' + n)))"
print(subprocess.run([sys.executable, '-c', f'names = {{names!r}}\\n' + child], capture_output=True, text=True).stdout)
"""
    ran = python(script, PATIENT)
    limits = dict(zip(names, (tuple(map(int, line.split())) for line in ran.lines), strict=True))
    size = PATIENT.megabytes << 20
    assert limits["AS"] == limits["DATA"] == limits["FSIZE"] == (size, size)
    assert limits["CORE"] == (0, 0)
    assert 0 < limits["CPU"][1] <= PATIENT.seconds * (os.cpu_count() or 1) + 1
    assert limits["NPROC"][0] == limits["NPROC"][1] > 0


def test_children_are_ended_with_the_command(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"""
import os, time
for _ in range(20):
    if os.fork() == 0:
        with open({str(pids)!r}, 'a') as file:
            file.write(f'{{os.getpid()}}\\n')
        while True: time.sleep(1)
print('done', flush=True)
"""
    for more in ("", "while True: pass"):
        pids.unlink(missing_ok=True)
        ran = python(script + more, QUICK if more else PATIENT)
        assert ran.lines == (b"done",) and bool(ran.fault) == bool(more)
        for pid in pids.read_text().split() if pids.exists() else ():
            wait_until_gone(int(pid))


def test_a_child_in_a_session_of_its_own_holds_up_nothing(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    with open({str(pid)!r}, 'w') as file: file.write(str(os.getpid()))
    while True: time.sleep(1)
while not os.path.exists({str(pid)!r}) or not open({str(pid)!r}).read(): pass
print('done')
"""
    try:
        assert python(script, PATIENT) == Ran((b"done",), 5, None)
    finally:
        with suppress(ProcessLookupError):
            os.kill(int(pid.read_text()), signal.SIGKILL)


def test_the_command_goes_when_godel_is_killed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the folder that it runs in is left behind
    monkeypatch.setenv("TMPDIR", str(here))
    script = f"""
import os
with open({str(here / "pid")!r} + "~", "w") as file: file.write(str(os.getpid()))
os.rename({str(here / "pid")!r} + "~", {str(here / "pid")!r})
while True: pass
"""
    file = write_machine(here, script, "seconds: 600")
    with started("evolve", file, "--allow-external", cwd=here) as running:
        while not (here / "pid").exists():
            assert running.poll() is None
        running.kill()
    wait_until_gone(int((here / "pid").read_text()))
    assert godel("verify").code == 0


@pytest.mark.parametrize(
    "script",
    ["import os; os.close(0)", "import os; os.close(0); os.close(2); print(1)", "print(1)", "pass"],
)
def test_nobody_has_to_read_the_question(script: str) -> None:
    ran = python(script, PATIENT, b"x" * (1 << 22))
    assert ran.fault is None


def test_a_command_that_closes_its_output_is_waited_for() -> None:
    ran = python("import os, sys\nos.write(1, b'a\\nb'); os.close(1); os._exit(4)", PATIENT)
    assert ran == Ran((b"a", b"b"), 3, "the command ended with exit code 4")
    stuck = python("import os\nos.close(1); os.close(2)\nwhile True: pass", QUICK)
    assert stuck.fault == "the command was stopped after 1 s"


def test_a_command_that_ends_itself_is_named_by_its_signal() -> None:
    ran = python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", PATIENT)
    assert ran.fault == "the command was ended by SIGSEGV"


# --- where a command runs ----------------------------------------------------------------------------


def test_it_runs_in_an_empty_folder_with_hardly_an_environment(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.setenv("A_KEY", "k")
    script = """
import json, os
note = [os.listdir(), sorted(os.environ), os.environ["HOME"] == os.getcwd(), os.environ["A_KEY"]]
print(json.dumps({"patch": "agent { policy { move = go } }", "note": json.dumps(note)}))
"""
    file = write_machine(here, script, 'variables: "A_KEY ANOTHER_KEY"')
    (first,) = attempts_of(file, "--attempts", "1")
    names = ["A_KEY", "HOME", "LC_ALL", "PATH", "PYTHONHASHSEED", "TMPDIR"]
    assert json.loads(first["note"]) == [[], names, True, "k"]


def test_what_it_writes_beside_itself_is_gone_and_is_not_the_ledger(here: Path) -> None:
    script = f"""
import os
os.makedirs('.godel')
open('.godel/door.db', 'w').write('mine')
open({str(here / "where")!r}, 'w').write(os.getcwd())
for _ in range(400):
    os.mkdir('d'); os.chdir('d')
os.chmod('.', 0)
print('''{GO}''')
"""
    (first,) = attempts_of(write_machine(here, script), "--attempts", "1")
    assert first["kind"] == "accepted"
    assert not Path((here / "where").read_text()).exists()


def test_words_that_name_files_beside_the_machine_are_found_there(here: Path) -> None:
    (here / "sub").mkdir()
    file = write_machine(
        here / "sub", f"import sys; print('''{GO}''') if sys.argv[1:] == ['-x'] else 0"
    )
    text = (here / "sub" / file).read_text().replace("script.py", "script.py -x")
    (here / "sub" / file).write_text(text)
    assert outcomes(attempts_of(f"sub/{file}", "--attempts", "1")) == ["accepted"]
    script = here / "sub" / "run"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert find_command(["./run", "run", "../x", "-x"], here / "sub") == [
        *(str(script), str(script), "../x", "-x")
    ]
    assert find_command(["run"], here / "sub") is None


def test_a_command_needs_a_persons_leave(here: Path) -> None:
    file = write_machine(here, f"open({str(here / 'ran')!r}, 'w')")
    done: Done = godel("evolve", file)
    assert done.code == 2 and not (here / ".godel").exists()
    assert f"door.godel names a command to run: `{sys.executable} script.py`" in done.err
    assert "hint: with --allow-external it runs" in done.err
    for words in (("check", file), ("fmt", "--check", file), ("eval", file, "1 + 1")):
        godel(*words)
    assert not (here / "ran").exists()
    attempts_of(file, "--attempts", "1")
    assert (here / "ran").exists()
    assert godel("evolve", file).code == 2


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ("seconds: 5", "needs the setting command"),
        ('command: ""', "command is text in quotes"),
        ('command: "sh -c \'x"', "command is text in quotes"),
        (r'command: "a\b"', "without backslash"),
        ('command: "x", seconds: 0', "seconds is a whole number from 1"),
        ('command: "x", megabytes: 1/2', "megabytes is a whole number"),
        ('command: "x", candidates: 100_000', "candidates is a whole number from 1 to 1,000"),
        ('command: "x", shell: true', "has no setting shell"),
    ],
)
def test_settings_that_make_no_sense_are_faults_of_the_file(
    settings: str, fault: str, here: Path
) -> None:
    (here / "door.godel").write_text(MACHINE.replace("COMMAND", settings), encoding="utf-8")
    done = godel("check", "door.godel")
    assert done.code == 3 and "G070" in done.err and fault in done.err


# --- what the ledger says ----------------------------------------------------------------------------


def test_entries_say_whether_they_can_be_reproduced(here: Path) -> None:
    file = write_machine(here, f"print('''{GO}''')")
    assert [b["reproducible"] for b in attempts_of(file)] == [False, False]
    (here / "p.godel").write_text("agent { policy { move = stay } }")
    assert godel("propose", file, "p.godel", "--json").json["body"]["reproducible"] is True
    assert "not reproducible" in godel("show", only_id(here, "accepted")).out
    assert "not reproducible" not in godel("show", only_id(here, "refused")).out


def test_an_entry_that_calls_itself_reproducible_wrongly_does_not_hold(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts_of(write_machine(here, f"print('''{GO}''')"))
    monkeypatch.setitem(KINDS, "external", replace(KINDS["external"], outside=False))  # type: ignore[arg-type]
    done = godel("verify")
    assert done.code == 30 and "whether it is reproducible" in done.err


# --- the documentation -------------------------------------------------------------------------------


def test_the_question_in_the_documentation_is_the_one_that_is_asked(here: Path) -> None:
    text = (ROOT / "docs" / "external.md").read_text(encoding="utf-8")
    machine = text.split("```godel asked.godel\n")[1].split("```")[0]
    told = text.split("```json\n")[1].split("```")[0]
    answer = text.split("```json\n")[2].split("```")[0]
    script = (
        f"import sys; open({str(here / 'q')!r}, 'a').write(sys.stdin.read()); print('''{answer}''')"
    )
    (here / "script.py").write_text(script, encoding="utf-8")
    command = machine.split('command: "')[1].split('"')[0]
    ours = machine.replace(command, f"{sys.executable} script.py")
    (here / "asked.godel").write_text(ours, encoding="utf-8")
    bodies = attempts_of("asked.godel")
    assert outcomes(bodies) == ["accepted", "invalid", "refused", "empty"]
    asked = [json.loads(line) for line in (here / "q").read_text(encoding="utf-8").splitlines()]
    assert asked[0] == json.loads(told)
