"""Verbs that write machine files, tried by newcomers and with every kind of broken file."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli import Done, godel

from dsl.codes import CODES

FILES: dict[str, tuple[bytes, int, str]] = {
    "empty": (b"", 3, "error[G001]: expected `machine`, found the end of the file"),
    "latin": (b"machine caf\xe9", 3, "error[G044]: line 1 is not UTF-8"),
    "marked": (b"\xef\xbb\xbfmachine m", 3, "save the file as UTF-8 without a byte order mark"),
    "utf16": ("machine m".encode("utf-16"), 3, "error[G044]"),
    "zeros": (b"machine m\0", 3, "U+0000 cannot stand in a machine file"),
    "huge": (b" " * (1 << 20) + b"#", 3, "error[G043]: the file is larger than 1 MiB"),
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def walk(here: Path) -> Path:
    assert godel("new", "walk").code == 0
    return here / "walk.godel"


# --- new and check ---------------------------------------------------------------------------------


def test_a_new_machine_checks_and_is_canonical(here: Path) -> None:
    assert godel("new", "walk") == Done(0, "wrote walk.godel; now: godel evolve walk.godel\n", "")
    assert godel("fmt", "--check", "walk.godel") == Done(0, "", "")
    done = godel("check", "walk.godel")
    assert (done.code, done.err) == (0, "")
    assert done.out == "walk.godel: in order; 4 obligations proved, 10 nodes of code\n"


def test_new_overwrites_nothing(walk: Path) -> None:
    walk.write_text("mine", encoding="utf-8")
    done = godel("new", "walk")
    assert (done.code, done.out, walk.read_text(encoding="utf-8")) == (2, "", "mine")
    assert done.err == "error: walk.godel exists already\nreproduce: godel new walk\n"


@pytest.mark.parametrize("name", ["1a", "if", "a b", "../a", "Größe", "", "machine", "-x"])
def test_new_refuses_what_cannot_be_the_name_of_a_machine(name: str, here: Path) -> None:
    assert godel("new", "--", name).code == 2
    assert list(here.iterdir()) == []


def test_check_lists_what_it_proved_when_asked(walk: Path) -> None:
    lines = godel("check", "--obligations", walk).out.splitlines()
    assert len(lines) == 5
    assert any("the index of PLAN[pos] is within 0..5" in line for line in lines)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("verb", ["check", "fmt", "evolve", "simulate", "revision"])
def test_broken_files_are_named_with_what_is_wrong(verb: str, name: str, here: Path) -> None:
    data, code, message = FILES[name]
    path = here / f"{name}.godel"
    path.write_bytes(data)
    done = godel(verb, path.name)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert f"--> {name}.godel" in done.err
    assert done.err.endswith(f"reproduce: godel {verb} {name}.godel\n")
    assert path.read_bytes() == data
    assert not (here / ".godel").exists()


def test_a_patch_is_no_machine(here: Path) -> None:
    (here / "p.godel").write_text("agent { policy { move = left } }", encoding="utf-8")
    done = godel("check", "p.godel")
    assert (done.code, done.out) == (3, "")
    assert "error[G001]: expected `machine`" in done.err


@pytest.mark.parametrize(
    "path, why", [("nowhere.godel", "No such file or directory"), (".", "Is a directory")]
)
@pytest.mark.parametrize("verb", ["check", "fmt", "evolve", "simulate", "revision", "eval"])
def test_files_that_cannot_be_read_are_usage_errors(verb: str, path: str, why: str) -> None:
    done = godel(verb, path, *(["1"] if verb == "eval" else []))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: cannot read {path}: {why}\n")


def test_endless_files_are_not_read_to_their_end() -> None:
    done = godel("check", "/dev/zero")
    assert done.code == 3
    assert "larger than 1 MiB" in done.err


def test_windows_line_ends_are_read_and_formatted_away(walk: Path) -> None:
    text = walk.read_bytes()
    walk.write_bytes(text.replace(b"\n", b"\r\n"))
    assert godel("check", walk).code == 0
    assert godel("fmt", "--check", walk).code == 3
    assert godel("fmt", walk).code == 0
    assert walk.read_bytes() == text


def test_check_goes_on_after_a_broken_file_and_reports_all_as_json(walk: Path, here: Path) -> None:
    (here / "broken.godel").write_text("machine m {", encoding="utf-8")
    done = godel("check", "--json", "broken.godel", "walk.godel")
    assert (done.code, done.json["schema"]) == (3, "godel/check/1")
    broken, fine = done.json["files"]
    assert (broken["ok"], fine["ok"]) == (False, True)
    assert broken["diagnostics"][0]["span"]["line"] == 1
    assert fine["machine"] == "walk" and len(fine["code"]) == 64
    assert len(fine["obligations"]) == 4
    assert godel("check", "broken.godel", "walk.godel").out.startswith("walk.godel: in order")


def test_a_program_that_is_not_total_is_shown_at_the_state_that_breaks_it(walk: Path) -> None:
    text = walk.read_text(encoding="utf-8").replace("PLAN[pos]", "PLAN[pos + 1]")
    walk.write_text(text, encoding="utf-8")
    done = godel("check", walk)
    assert done.code == 3
    assert "error[G014]: the index may be outside 0..5" in done.err
    assert "= at pos = 5 the index is 6" in done.err
    assert "^^^^^^^\n" in done.err


# --- fmt -------------------------------------------------------------------------------------------


def test_fmt_writes_only_what_changes_and_says_so(walk: Path) -> None:
    text = walk.read_text(encoding="utf-8")
    assert godel("fmt", walk.name) == Done(0, "", "")
    walk.write_text(text.replace("  state", " state"), encoding="utf-8")
    assert godel("fmt", walk.name) == Done(0, "walk.godel: formatted\n", "")
    assert walk.read_text(encoding="utf-8") == text


def test_fmt_check_changes_nothing_and_fails(walk: Path) -> None:
    text = walk.read_text(encoding="utf-8").replace("  state", " state")
    walk.write_text(text, encoding="utf-8")
    done = godel("fmt", "--check", walk.name)
    assert (done.code, done.out) == (3, "walk.godel: not in canonical form\n")
    assert walk.read_text(encoding="utf-8") == text
    found = godel("fmt", "--check", "--json", walk.name).json
    assert found == {"schema": "godel/fmt/1", "files": [{"file": "walk.godel", "changed": True}]}


def test_fmt_reads_stdin_and_writes_stdout(walk: Path) -> None:
    text = walk.read_bytes()
    messy = text.replace(b"  state", b" state")
    assert godel("fmt", "-", stdin=messy) == Done(0, text.decode(), "")
    assert godel("fmt", "--check", "-", stdin=text) == Done(0, "", "")
    assert godel("fmt", "--check", "-", stdin=messy).code == 3
    assert godel("fmt", "-", stdin=b"").code == 3


def test_fmt_takes_patches_that_hold_a_single_item(here: Path) -> None:
    patch = here / "p.godel"
    patch.write_text("agent{table T:array[2]of int=[1,2]}", encoding="utf-8")
    assert godel("fmt", patch.name).code == 0
    assert patch.read_text(encoding="utf-8") == (
        "agent {\n  table T: array[2] of int = [1, 2]\n}\n"
    )


# --- explain ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_explained(code: str) -> None:
    done = godel("explain", code.lower())
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{code}: ")
    found = godel("explain", code, "--json").json
    assert (found["schema"], found["code"]) == ("godel/explain/1", code)


def test_explain_lists_the_codes_and_knows_no_others() -> None:
    assert [line[:4] for line in godel("explain").out.splitlines()] == list(CODES)
    assert list(godel("explain", "--json").json["codes"]) == list(CODES)
    done = godel("explain", "G999")
    assert (done.code, done.out) == (2, "")
    assert "hint: godel explain lists them" in done.err


# --- import ----------------------------------------------------------------------------------------


def test_an_imported_world_checks(here: Path) -> None:
    done = godel("import", "gymnasium", "FrozenLake-v1", "--set", "is_slippery=false", "-o", "f")
    assert done == Done(0, "wrote f\n", "")
    assert godel("check", "f").code == 0
    printed = godel("import", "gymnasium", "FrozenLake-v1", "--set", "is_slippery=false")
    assert printed.out == (here / "f").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "args, code, message",
    [
        (["NoSuchEnv-v0"], 3, "NoSuchEnv"),
        (["FrozenLake-v1", "--set", "x"], 2, "x is no setting"),
        (["FrozenLake-v1", "--discount", "1"], 2, "a discount is at least 0 and below 1"),
        (["FrozenLake-v1", "--discount", "1/0"], 2, "is no rational"),
        (["FrozenLake-v1", "-o", "/nowhere/f"], 2, "cannot write /nowhere/f"),
    ],
)
def test_what_cannot_be_imported_says_why(args: list[str], code: int, message: str) -> None:
    done = godel("import", "gymnasium", *args)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
