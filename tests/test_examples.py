"""Every command written in examples/ prints what is shown there.

In a `.godel` file the comment at the top holds sessions: a line `# $ godel …`, then what it prints (stderr too), each line
behind `#` and three spaces. In README.md they stand in `console` fences. The commands of a file run one after the other in a
fresh directory that holds a copy of examples/; `; echo $?` behind a command shows its exit code.

Ids are part of what is compared in README.md. In `.godel` files they are written `…`: the ledger stores the file, the first
id is a hash over it, and no file can hold its own hash. `UPDATE_GOLDEN=1` rewrites what is shown.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli import on_screen

from dsl.errors import DslError
from dsl.formatter import format_source
from dsl.parser import parse_machine, parse_patch

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
README = EXAMPLES / "README.md"
SOURCES = sorted(EXAMPLES.glob("**/*.godel"))
ECHO = "; echo $?"
ID = re.compile(r"\b[0-9a-f]{12,64}\b")
ROUNDS_MAX = 4
UNSPEAKABLE = {"attack_reward.godel", "attack_utility.godel"}

Run = Callable[[str], list[str]]


def runner(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs commands in a fresh directory with a copy of the examples."""
    shutil.copytree(EXAMPLES, directory / "examples")
    monkeypatch.chdir(directory)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(command: str) -> list[str]:
        words = shlex.split(command.removesuffix(ECHO))
        assert words[0] == "godel", f"a session holds commands of godel only: {command}"
        code, printed = on_screen(*words[1:])
        assert code != 1, printed
        echoed = [str(code)] if command.endswith(ECHO) else []
        return [*printed.splitlines(), *echoed]

    return run


def rerun_head(lines: list[str], run: Run) -> Iterator[str]:
    """The lines of a `.godel` file, with its sessions run again."""
    head = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    printing = False
    for i, line in enumerate(lines):
        blank_within = line == "#" and i + 1 < head and lines[i + 1].startswith("#   ")
        if i < head and printing and (line.startswith("#   ") or blank_within):
            continue
        printing = i < head and line.startswith("# $ ")
        yield line
        if printing:
            for text in run(line[4:]):
                yield f"#   {ID.sub('…', text)}".rstrip()


def rerun_fences(lines: list[str], run: Run) -> Iterator[str]:
    """The lines of a Markdown file, with the sessions in its `console` fences run again."""
    inside = False
    for line in lines:
        if line.startswith("```"):
            inside = line == "```console"
        elif inside and not line.startswith("$ "):
            continue
        yield line
        if inside and line.startswith("$ "):
            yield from run(line[2:])


def rerun(path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """What is written in a file, and what it would say if its sessions were written down now."""
    shown = path.read_text(encoding="utf-8")
    again = rerun_fences if path.suffix == ".md" else rerun_head
    found = again(shown.splitlines(), runner(directory, monkeypatch))
    return shown, "\n".join(found) + "\n"


@pytest.mark.parametrize(
    "path", [*SOURCES, README], ids=lambda p: str(p.relative_to(EXAMPLES).with_suffix(""))
)
def test_commands_print_what_is_shown(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        update([*SOURCES, README] if path == README else [path], tmp_path, monkeypatch)
    shown, printed = rerun(path, tmp_path / "last", monkeypatch)
    assert printed.splitlines() == shown.splitlines()


def update(paths: list[Path], directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write down what is printed now. Places in error messages move with the text above them, so go on until it stays."""
    for number, path in enumerate(paths):
        for turn in range(ROUNDS_MAX):
            shown, printed = rerun(path, directory / f"{number}-{turn}", monkeypatch)
            if printed == shown:
                break
            path.write_text(printed, encoding="utf-8")


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(EXAMPLES)))
def test_examples_are_in_canonical_form(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.name in UNSPEAKABLE:
        with pytest.raises(DslError):
            parse_patch(text)
        return
    assert format_source(text) == text
    if path.parent.name != "patches":
        assert parse_machine(text).declarations.name == path.stem


def test_the_readme_lists_every_example() -> None:
    text = README.read_text(encoding="utf-8")
    files = [p for p in EXAMPLES.glob("**/*") if p.is_file() and "__pycache__" not in p.parts]
    names = {str(p.relative_to(EXAMPLES)) for p in files} - {"README.md"}
    assert {name for name in names if f"]({name})" not in text} == set()


def test_every_example_is_run_at_its_top_or_by_the_readme() -> None:
    texts = [path.read_text(encoding="utf-8") for path in [*SOURCES, README]]
    commands = [line for text in texts for line in text.splitlines() if "$ godel " in line]
    names = [str(path.relative_to(ROOT)) for path in SOURCES]
    assert {name for name in names if not any(name in line for line in commands)} == set()
