"""What comes out where: pipes, terminals, exit codes, the command that reproduces a failure, and what start-up loads."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from cli import GODEL, ROOT, Done, environment, godel, in_terminal, process, started

from dsl.parser import parse_machine
from godel.cli.main import VERBS
from godel.versions import VERSION

NOBODY = 65534
ANSI = re.compile(r"\x1b\[")
ID = re.compile(r"\b[0-9a-f]{12,}\b")
LEFT = "agent { policy { move = left } }"
SHOWING = [
    ["evolve", "walk.godel", "--attempts", "1"],
    ["propose", "walk.godel", "left"],
    ["log", "--all"],
    ["log", "--graph"],
    ["diff", "@"],
    ["show", "@"],
    ["proof", "show", "@"],
    ["verify"],
    ["simulate", "walk.godel", "--episodes", "200"],
]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("walk")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert godel("new", "walk").code == 0
        assert godel("evolve", "walk.godel").code == 0
        (folder / "left").write_text(LEFT, encoding="utf-8")
    return folder


@pytest.fixture
def here(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "walk"
    shutil.copytree(template, folder)
    monkeypatch.chdir(folder)
    return folder


# --- pipes and terminals ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def piped(
    template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Sequence[str]], Done]:
    """What a command gives whose output goes into pipes, run once in a folder of its own."""

    @cache
    def run(*verb: str) -> Done:
        folder = tmp_path_factory.mktemp("piped") / "walk"
        shutil.copytree(template, folder)
        return process(*verb, cwd=folder)

    return lambda verb: run(*verb)


@pytest.mark.parametrize("verb", SHOWING, ids=lambda v: " ".join(v[:2]))
def test_in_a_pipe_output_is_plain_and_ids_are_whole(
    verb: list[str], piped: Callable[[Sequence[str]], Done]
) -> None:
    done = piped(verb)
    assert done.code in (0, 10)
    assert done.err == ""
    assert not ANSI.search(done.out)
    assert {len(name) for name in ID.findall(done.out)} <= {64}


@pytest.mark.parametrize("verb", SHOWING, ids=lambda v: " ".join(v[:2]))
def test_a_terminal_shows_the_same_with_short_ids_and_without_colour_where_none_is_wanted(
    verb: list[str], here: Path, piped: Callable[[Sequence[str]], Done]
) -> None:
    code, screen = in_terminal(
        [*GODEL, *verb], cwd=here, env=environment(TERM="dumb", NO_COLOR="1", COLUMNS="300")
    )
    done = piped(verb)
    assert code == done.code
    assert not ANSI.search(screen)

    def short(text: str) -> str:
        return re.sub(r" +", " ", ID.sub(lambda m: m.group()[:12], text))

    assert short(screen) == short(done.out)


def test_a_terminal_shows_colours_and_leaves_its_cursor_on(here: Path) -> None:
    wide = environment(TERM="xterm-256color", COLUMNS="300")
    _, screen = in_terminal([*GODEL, "log", "--all"], cwd=here, env=wide)
    assert "\x1b[32maccepted" in screen
    _, screen = in_terminal([*GODEL, "log"], cwd=here, env={**wide, "NO_COLOR": "1"})
    assert not ANSI.search(screen)
    fresh = [*GODEL, "--store", "fresh.db", "evolve", "walk.godel"]
    code, screen = in_terminal(fresh, cwd=here, env=wide)
    assert code == 0
    assert "searching" in screen
    assert screen.rfind("\x1b[?25h") > screen.rfind("\x1b[?25l") >= 0
    # an entry begins a line of its own, after what moved there was wiped away
    for line in screen.splitlines():
        entry = re.search(r" +[0-9]+ (\x1b\[\d+m)?(accepted|refused|empty|ended)", line)
        if entry:
            assert (
                line[: entry.start()].endswith(("\x1b[2K", ""))
                and "searching" not in (line[: entry.start()].rsplit("\x1b[2K", 1)[-1])
            )


def test_propose_shows_on_a_terminal_that_it_works(here: Path) -> None:
    (here / "right").write_text(LEFT.replace("left", "right"), encoding="utf-8")
    fresh = [*GODEL, "--store", "fresh.db", "propose", "walk.godel", "right"]
    code, screen = in_terminal(
        fresh, cwd=here, env=environment(TERM="xterm-256color", COLUMNS="300")
    )
    assert code == 0
    assert "checking …" in screen and "proving …" in screen
    assert screen.rfind("\x1b[?25h") > screen.rfind("\x1b[?25l") >= 0


def test_ctrl_c_on_a_terminal_leaves_its_cursor_on(here: Path) -> None:
    code, screen = in_terminal(
        [*GODEL, "simulate", "walk.godel", "--at", "@", "--episodes", "100000000"],
        cwd=here,
        env=environment(TERM="xterm", COLUMNS="300"),
        when=lambda screen: "episodes" in screen,
    )
    assert code == 130
    assert screen.rfind("\x1b[?25h") > screen.rfind("\x1b[?25l") >= 0
    assert "interrupted; the ledger is consistent" in screen
    assert "begin again with: godel simulate walk.godel" in screen


def test_a_reader_that_leaves_early_is_no_failure(here: Path) -> None:
    command = f"{shlex.join(GODEL)} log --all; echo $? >&2"
    done = subprocess.run(
        ["sh", "-c", f"({command}) | true"],
        cwd=here,
        env=environment(PYTHONUNBUFFERED="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr in ("0\n", "141\n")


def test_a_full_disk_is_named(here: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*GODEL, "log"], cwd=here, env=environment(), stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 1
    assert b"No space left on device\nreproduce: godel log\n" in done.stderr
    assert b"internal" not in done.stderr and b"Traceback" not in done.stderr


def test_numbers_of_any_length_are_printed(here: Path) -> None:
    done = process("eval", "walk.godel", "2" + "0" * 1000, cwd=here)
    assert done.code == 0
    assert process("code", "--number", cwd=here).code == 0


# --- failures --------------------------------------------------------------------------------------

FAILURES = [
    ([], 2),
    (["nonsense"], 2),
    (["log", "--nonsense"], 2),
    (["check"], 2),
    (["check", "nowhere file.godel"], 2),
    (["check", "größe"], 2),
    (["--store", "nowhere.db", "show", "@"], 2),
    (["show", "ffffffff"], 2),
    (["fmt", "--check", "messy.godel"], 3),
    (["check", "messy.godel", "broken.godel"], 3),
    (["eval", "walk.godel", "1/0"], 3),
    (["propose", "walk.godel", "broken.godel"], 3),
    (["propose", "walk.godel", "longer", "--rlimit", "1"], 20),
    (["verify", "--head", "00000000"], 30),
]


@pytest.mark.parametrize(
    "args, code", FAILURES, ids=lambda x: " ".join(x) if isinstance(x, list) else ""
)
def test_a_failure_ends_with_the_command_that_reproduces_it(
    args: list[str], code: int, here: Path
) -> None:
    text = (here / "walk.godel").read_text(encoding="utf-8")
    (here / "messy.godel").write_text(text.replace("  state", "state"), encoding="utf-8")
    (here / "broken.godel").write_text("machine {", encoding="utf-8")
    longer = "agent { policy { move = if PLAN[pos] == left then stay else PLAN[pos] } }"
    (here / "longer").write_text(longer, encoding="utf-8")
    done = godel(*args)
    assert done.code == code
    assert "internal error: " not in done.err
    last = done.err.splitlines()[-1]
    assert last.startswith("reproduce: godel")
    again = shlex.split(last.removeprefix("reproduce: "))
    assert again == ["godel", *args]
    assert "Traceback" not in done.err


def test_a_nearly_right_verb_is_named() -> None:
    assert "Did you mean evolve?" in godel("evlove").err


def test_options_of_no_verb_are_explained(here: Path) -> None:
    assert "stands after --" in godel("log", "-5").err


@pytest.mark.parametrize("verb", ["", *VERBS, "import gymnasium", "proof show", "proof check"])
def test_every_verb_has_help(verb: str) -> None:
    done = godel(*verb.split(), "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Usage: godel")
    assert godel(*verb.split(), "-h") == done


def test_a_fault_of_our_own_is_an_internal_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("dsl.formatter.format_source", fail)
    done = godel("fmt", "-", stdin=b"machine m")
    assert (done.code, done.out) == (1, "")
    assert "internal error: RuntimeError: a bug" in done.err
    assert done.err.endswith("reproduce: godel fmt -\n")


# --- ledgers that cannot be written ----------------------------------------------------------------


@pytest.fixture
def theirs(template: Path) -> Iterator[Path]:
    """A copy that may be read and not written."""
    folder = Path(tempfile.mkdtemp(prefix="godel-"))
    shutil.copytree(template, folder, dirs_exist_ok=True)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        path.chmod(stat.S_IRWXU)
    shutil.rmtree(folder)


@contextmanager
def nobody() -> Iterator[None]:
    """Without the rights of root, who may write everywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


READING = [["log"], ["show"], ["verify"], ["proof", "check", "@"], ["fmt", "walk.godel"]]
WRITING = [
    ["evolve", "walk.godel"],
    ["checkout", "@-"],
    ["checkout", "@", "-o", "out"],
    ["new", "x"],
]


def test_a_folder_that_may_only_be_read_is_read_and_not_written(
    theirs: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for verb in READING + WRITING:
        assert godel(*verb).code == 0
    monkeypatch.chdir(theirs)
    with nobody():
        read, written = ([godel(*verb) for verb in verbs] for verbs in (READING, WRITING))
    assert [(done.code, done.err) for done in read] == [(0, "")] * len(READING)
    assert [(done.code, done.out) for done in written] == [(2, "")] * len(WRITING)
    for done in written[:2]:
        assert ".godel/walk.db" in done.err
    for done in written[2:]:
        assert "Permission denied" in done.err


# --- what is loaded --------------------------------------------------------------------------------

HEAVY = ("z3", "lark", "networkx", "rich", "sqlite3", "gymnasium", "numpy")
LOADED = """
import sys
from godel.cli.main import run
code = run(sys.argv[1:])
print(code, *sorted(sys.modules), file=sys.stderr)
"""


def loads(*args: str, cwd: Path) -> set[str]:
    """The modules that a command has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *args],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    code, *names = done.stderr.splitlines()[-1].split()
    assert code == "0", done.stderr
    return set(names)


def test_start_up_loads_little(here: Path) -> None:
    found = loads("--version", cwd=here)
    assert not found & {*HEAVY, "importlib.metadata", "dsl", "dsl.check", "proofs", "godel.store"}
    assert not loads("--help", cwd=here) & {"z3", "gymnasium", "numpy"}


def test_log_loads_neither_search_nor_kernel(here: Path) -> None:
    found = loads("log", "--all", cwd=here)
    assert not found & ({*HEAVY} - {"sqlite3"})
    assert not found & {"dsl.check", "dsl.parser", "dsl.interp", "godel.history", "proofs.kernel"}


@pytest.mark.parametrize(
    "verb, forbidden",
    [
        ("log --graph", {"z3", "lark"}),
        ("show", {"z3", "lark", "networkx"}),
        ("show --search-world", {"z3", "lark", "networkx"}),
        ("diff @", {"z3", "lark", "networkx"}),
        ("cex REFUSED", {"z3", "lark", "networkx"}),
        ("code", {"z3", "lark", "networkx"}),
        ("code --number", {"z3", "lark", "networkx"}),
        ("verify", {"z3", "lark", "networkx"}),
        ("proof show @", {"z3", "lark", "networkx"}),
        ("proof show @ --smt2", {"z3", "lark", "networkx"}),
        ("proof check @", {"z3", "lark", "networkx"}),
        ("checkout @", {"z3", "networkx"}),
    ],
)
def test_reading_never_loads_the_solver(verb: str, forbidden: set[str], here: Path) -> None:
    if "REFUSED" in verb:
        found = godel("log", "--all", "--json").json["entries"]
        verb = verb.replace("REFUSED", next(e["id"] for e in found if e["kind"] == "refused"))
    args = verb.split() + (["-o", "out"] if verb.startswith("checkout") else [])
    assert not loads(*args, cwd=here) & {*forbidden, "rich"}


def test_the_version_is_that_of_the_package() -> None:
    assert godel("--version").out == f"godel {VERSION}\n"
    assert 'version = { attr = "godel.versions.VERSION" }' in (ROOT / "pyproject.toml").read_text(
        encoding="utf-8"
    )


def test_the_template_of_new_is_read_by_the_parser(here: Path) -> None:
    parse_machine((here / "walk.godel").read_text(encoding="utf-8"))


def test_a_command_beside_this_one_reads_the_same(here: Path) -> None:
    with started("log", cwd=here) as other:
        assert godel("log").code == 0
        assert other.wait(60) == 0
