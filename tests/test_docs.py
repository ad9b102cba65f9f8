"""Every snippet of README and docs is run, and every verb and every error code is written about.

Fenced blocks, by the first word after the fence (a second word is the name under which the block is put into the
directory of the document's console blocks):

`godel`         a machine, or a patch `agent { … }` of the machine above it: parses, checks, is total, is in canonical form
                (where no machine stands above, a patch is not checked here: a console block proposes it)
`godel-error`   the same, but it fails with exactly the codes named on its first line, a comment
`godel-expr`    lines `expression  # => value, n ticks` or `# => G013`, over the names of the machine above
`console`       `$ command`, then its output with stderr; the blocks of a document share a directory that holds examples/
                (a line that is one command of godel runs in this process, any other in a shell on a terminal)

`UPDATE_GOLDEN=1` rewrites the output in console blocks.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cli import OURS, in_terminal, on_screen

from dsl import syntax as s
from dsl.check import check_expression
from dsl.errors import DslError
from dsl.formatter import format_source
from dsl.interp import BUILT_INS, OPERATIONS, EvaluationFault, evaluate
from dsl.machine import Program
from dsl.parser import parse_expression, parse_machine, parse_patch
from dsl.rewrite import derive_edits
from dsl.types import show_value
from godel.checking import check_totality
from godel.cli.main import VERBS
from godel.gate import Accepted, Gate, Refused
from proofs.kernel.chapter import Chapter

ROOT = Path(__file__).parent.parent
PLAIN = {"json", "mermaid", "sh", "text"}
KINDS = {"godel", "godel-error", "godel-expr", "console"} | PLAIN

CODE = re.compile(r"G[0-9]{3}")
PATCH = re.compile(r"(?:\s|#[^\n]*\n)*agent\b")
EXPECTATION = re.compile(r"(?P<expression>.*?)\s+# => (?P<result>.+)")


@dataclass(frozen=True)
class Block:
    """A fenced block: what it is, its name if it has one, the line of its first text, and its lines."""

    kind: str
    name: str
    line: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The text between the fences."""
        return "".join(line + "\n" for line in self.lines)


@dataclass(frozen=True)
class Snippet:
    """A block with the machine that its document showed last, which may be itself."""

    path: Path
    block: Block
    above: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.block.line}"


def documents() -> list[Path]:
    """README and everything under docs/."""
    return [p for p in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))) if p.exists()]


def blocks_of(path: Path) -> Iterator[Block]:
    """The fenced blocks of a document."""
    opened: Block | None = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if opened is None and line.startswith("```"):
            kind, _, name = line[3:].partition(" ")
            opened = Block(kind, name, number + 1, ())
        elif opened is not None and line == "```":
            yield opened
            opened = None
        elif opened is not None:
            opened = replace(opened, lines=(*opened.lines, line))
    if opened is not None:
        yield replace(opened, kind="not closed")


def snippets(kind: str) -> list[Snippet]:
    """All blocks of one kind."""
    found: list[Snippet] = []
    for path in documents():
        above = ""
        for block in blocks_of(path):
            if block.kind == "godel" and not PATCH.match(block.text):
                above = block.text
            if block.kind == kind:
                found.append(Snippet(path, block, above))
    return found


def check_snippet(snippet: Snippet) -> Program:
    """The program of a machine, or of a patch together with the machine above it. Raises DslError."""
    text = snippet.block.text
    if not PATCH.match(text):
        return check_totality(parse_machine(text)).program
    machine = parse_machine(snippet.above)
    new = {slot.name: slot for slot in parse_patch(text).slots}
    kept = [new.pop(slot.name, slot) for slot in machine.agent.slots]
    return check_totality(replace(machine, agent=s.Code((*new.values(), *kept)))).program


@pytest.mark.parametrize("path", documents(), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_block_says_how_it_is_run(path: Path) -> None:
    assert not [f"{b.line}: {b.kind}" for b in blocks_of(path) if b.kind not in KINDS]
    assert not re.search(r"^[ \t]+```", path.read_text(encoding="utf-8"), re.MULTILINE)


# --- machines and expressions --------------------------------------------------------------------


@pytest.mark.parametrize("snippet", snippets("godel"), ids=str)
def test_machine_in_the_docs_is_in_order(snippet: Snippet) -> None:
    assert format_source(snippet.block.text) == snippet.block.text
    if snippet.above:
        check_snippet(snippet)


@pytest.mark.parametrize("snippet", snippets("godel-error"), ids=str)
def test_faulty_machine_in_the_docs_fails_with_the_codes_it_names(snippet: Snippet) -> None:
    first = snippet.block.lines[0]
    assert first.startswith("#") and CODE.search(first)
    with pytest.raises(DslError) as caught:
        check_snippet(snippet)
    assert {d.code for d in caught.value.diagnostics} == set(CODE.findall(first))


@pytest.mark.parametrize("snippet", snippets("godel-expr"), ids=str)
def test_expressions_in_the_docs_have_the_values_and_ticks_they_state(snippet: Snippet) -> None:
    program = check_totality(parse_machine(snippet.above)).program
    for line in snippet.block.lines:
        if line and not line.startswith("#"):
            stated = EXPECTATION.fullmatch(line)
            assert stated, f"no `# => …` in: {line}"
            assert f"{line} -> {result_of(stated['expression'], program)}" == (
                f"{line} -> {stated['result']}"
            )


def result_of(expression: str, program: Program) -> str:
    """`value, n ticks`, or the codes of what is wrong."""
    try:
        tree = parse_expression(expression)
        kind, tree = check_expression(program.names, tree, {})
        value, ticks = evaluate(tree, program.names)
    except DslError as error:
        return ", ".join(sorted({d.code for d in error.diagnostics}))
    except EvaluationFault as fault:
        return fault.code
    return f"{show_value(kind, value)}, {ticks} tick{'' if ticks == 1 else 's'}"


# --- console -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", documents(), ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_in_the_docs_print_what_is_shown(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = prepare(path, tmp_path)
    monkeypatch.chdir(tmp_path / "work")
    for name in OURS:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    shown = path.read_text(encoding="utf-8").splitlines()
    printed: list[str] = []
    end = 0
    for block in blocks_of(path):
        if block.kind == "console":
            printed += shown[end : block.line - 1]
            printed += run_block(block, tmp_path / "work", environment)
            end = block.line - 1 + len(block.lines)
    printed += shown[end:]
    if os.environ.get("UPDATE_GOLDEN") and printed != shown:
        path.write_text("\n".join(printed) + "\n", encoding="utf-8")
    else:
        assert printed == shown


def prepare(path: Path, directory: Path) -> dict[str, str]:
    """Make the directory in which a document's commands run; returns their environment."""
    work, programs = directory / "work", directory / "bin"
    shutil.copytree(ROOT / "examples", work / "examples")
    for block in blocks_of(path):
        if block.name:
            (work / block.name).write_text(block.text, encoding="utf-8")
    programs.mkdir()
    script = programs / "godel"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m godel "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(directory),
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
    }


def run_block(block: Block, directory: Path, environment: dict[str, str]) -> Iterator[str]:
    """The lines of a console block as running it prints them."""
    assert block.lines[0].startswith("$ "), f"line {block.line}: a console block begins with `$ `"
    for line in block.lines:
        if line.startswith("$ "):
            yield line
            # as a reader sees it: on a terminal ids are short
            words = words_of(line[2:])
            if words is None:
                code, printed = in_terminal(["sh", "-c", line[2:]], cwd=directory, env=environment)
            else:
                code, printed = on_screen(*words)
            assert "internal error" not in printed and code < 126, printed
            yield from printed.splitlines()


def words_of(command: str) -> list[str] | None:
    """The words of one command after `godel`; None for what needs a shell."""
    reader = shlex.shlex(command, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    first, *rest = reader
    plain = "$" not in command and not any(set(word) <= set("();<>|&") for word in rest if word)
    return rest if first == "godel" and plain else None


# --- coverage ------------------------------------------------------------------------------------


def everything_written() -> str:
    """README and docs in one."""
    return "\n".join(path.read_text(encoding="utf-8") for path in documents())


def test_every_verb_appears_in_the_docs() -> None:
    text = everything_written()
    missing = [v for v in VERBS if not re.search(rf"godel (?:--store \S+ )?{v}\b", text)]
    assert not missing


def test_every_error_code_appears_in_the_docs() -> None:
    from dsl.codes import CODES

    assert not CODES.keys() - set(CODE.findall(everything_written()))


def reference() -> str:
    """The reference of the language."""
    return (ROOT / "docs/language.md").read_text(encoding="utf-8")


def test_every_word_and_code_of_the_language_appears_in_its_reference() -> None:
    from dsl.codes import CODES

    text = reference()
    assert not (s.KEYWORDS | BUILT_INS.keys()) - set(re.findall(r"[a-z]+", text))
    for first, last in re.findall(r"(G[0-9]{3}) to (G[0-9]{3})", text):
        text += " ".join(code for code in CODES if first <= code <= last)
    assert len(CODES) >= 60
    assert not CODES.keys() - set(CODE.findall(text))


def test_every_operation_with_a_price_stands_in_the_table_of_ticks() -> None:
    ticks = reference().split("## 11. Ticks")[1].split("## 12.")[0]
    rows = [line for line in ticks.splitlines() if line.startswith("| ")]
    last = [re.sub(r"<.?code>|`", " ", row.rsplit("|", 2)[1]) for row in rows[1:]]
    named = " ".join(last).replace("&amp;", "&").replace("&#124;", "|").split()
    assert set(named) == OPERATIONS


@pytest.mark.parametrize("better", ["dominates", "strictly", "worst"])
def test_the_gate_compares_worlds_as_the_table_says(better: str) -> None:
    (machine,) = [b for b in blocks_of(ROOT / "docs/language.md") if b.name == "two_worlds.godel"]
    tree = parse_machine(machine.text.replace("better dominates", f"better {better}"))
    gate = Gate(Chapter(tree.declarations))
    header, *rows = re.findall(r"^\| (?:action|[1-5]) \|.*\|$", reference(), re.MULTILINE)
    cells = [[cell.strip(" `") for cell in row.strip("|").split("|")] for row in (header, *rows)]
    column = cells[0].index(better)
    found, stated = [], []
    for row in cells[1:]:
        code = parse_machine(machine.text.replace("a = 0", f"a = {row[0]}")).agent
        verdict = gate.judge(tree.agent, derive_edits(tree.agent, code))
        assert isinstance(verdict, Accepted | Refused)
        found.append(isinstance(verdict, Accepted))
        stated.append(row[column] == "yes")
    assert found == stated and len(found) == 5


@pytest.mark.parametrize("path", documents(), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    code = re.compile(r"^```.*?^```$|^    .*?$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
    text = code.sub("", path.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if "://" in target:
            continue
        other = (path.parent / file).resolve() if file else path
        assert other.exists(), target
        if anchor:
            assert anchor in anchors(other.read_text(encoding="utf-8")), target


def anchors(text: str) -> set[str]:
    """The anchors that the headings of a document get."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
