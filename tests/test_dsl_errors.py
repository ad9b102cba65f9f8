"""What is said about broken machine files: exactly that, at once, in the reader's words, and never a traceback."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path

import pytest

from dsl.check import check_machine
from dsl.codes import CODES
from dsl.errors import Diagnostic, DslError, render
from dsl.parser import parse_machine
from dsl.syntax import Code, Policy
from godel.checking import check_totality
from godel.cli.main import run
from proofs.kernel.totality import find_gaps_in_code, find_gaps_in_declarations

ROOT = Path(__file__).parent.parent
BROKEN = sorted((ROOT / "tests" / "broken").glob("*.godel"))
FINE = sorted((ROOT / "tests" / "fine").glob("*.godel"))
EXAMPLES = sorted((ROOT / "examples").glob("*.godel"))
GOLDEN = bool(os.environ.get("UPDATE_GOLDEN"))
MUTANTS = 1_500


def diagnose(text: str) -> tuple[Diagnostic, ...]:
    """What `godel check` finds wrong with a text."""
    try:
        check_totality(parse_machine(text))
    except DslError as error:
        return error.diagnostics
    return ()


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_broken_file_gets_exactly_these_messages(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = diagnose(text)
    said = "\n\n".join(render(d, source=text, filename=path.name) for d in found) + "\n"
    expected = path.with_suffix(".err")
    if GOLDEN:
        expected.write_text(said, encoding="utf-8")
    assert found
    assert said == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FINE, ids=lambda path: path.stem)
def test_what_is_guarded_or_cannot_be_confused_is_in_order(path: Path) -> None:
    assert diagnose(path.read_text(encoding="utf-8")) == ()


def test_broken_files_meet_every_code_and_leave_no_message_behind() -> None:
    said = {path: path.with_suffix(".err").read_text(encoding="utf-8") for path in BROKEN}
    met = set(re.findall(r"^error\[(G\d{3})\]", "\n".join(said.values()), re.MULTILINE))
    assert met | {"G043", "G071"} == set(CODES)
    assert {p.stem for p in (ROOT / "tests" / "broken").glob("*.err")} == {p.stem for p in BROKEN}


def test_messages_stand_in_source_order_and_inside_the_source() -> None:
    for path in BROKEN:
        places = re.findall(r"--> [^:]+:(\d+):(\d+)$", path.with_suffix(".err").read_text(), re.M)
        spots = [(int(line), int(column)) for line, column in places]
        assert spots == sorted(spots), path.name
        lines = path.read_text(encoding="utf-8").splitlines() or [""]
        assert all(column <= len(lines[line - 1]) + 1 for line, column in spots), path.name


def test_file_over_one_mebibyte_is_refused_unread() -> None:
    (found,) = diagnose("machine m\n" + "#" * (1 << 20))
    assert (found.code, found.message) == ("G043", "the file is larger than 1 MiB")


# --- codes ---------------------------------------------------------------------------------------


def test_every_code_in_the_source_has_a_page_and_every_page_a_code() -> None:
    sources = [
        path.read_text(encoding="utf-8")
        for package in ("dsl", "proofs", "godel")
        for path in sorted((ROOT / package).rglob("*.py"))
        if path != ROOT / "dsl" / "codes.py"
    ]
    used = set(re.findall(r'"(G\d{3})"', "\n".join(sources)))
    assert used == set(CODES)
    assert list(CODES) == sorted(CODES)


def errors_page() -> str:
    """`docs/errors.md`, as the pages of the codes make it."""
    parts = [
        "# Errors\n",
        "Every fault in a machine file has a code, which stays the same between versions. `godel explain CODE` prints\n"
        "the section of one code. This page is made from `dsl/codes.py`.\n",
        "\n".join(
            f"- [{code}](#{code.lower()}-{slug(page.title)}): {page.title}"
            for code, page in CODES.items()
        )
        + "\n",
    ]
    parts += [f"## {code}: {page.title}\n\n{page.text}\n" for code, page in CODES.items()]
    return "\n".join(parts)


def slug(title: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")


def test_documentation_holds_every_page() -> None:
    path = ROOT / "docs" / "errors.md"
    if GOLDEN:
        path.write_text(errors_page(), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == errors_page()


BASE = {
    "enum Heater": "enum Heater { off, on }",
    "state temp": "state temp: int 0..40 = 15",
    "action heater": "action heater: Heater",
    "temp'": "temp' = clamp(temp + (if heater == on then 2 else -1), 0, 40)",
    "reward": "reward = if temp' == 20 then 1 else 0",
    "utility": "utility { discount 19/20 }",
    "agent": "agent {\n  policy { heater = off }\n}",
}


def complete(piece: str) -> str:
    """A whole machine with this piece of one in it, in place of what has the same name."""
    if piece.startswith("machine "):
        return piece
    items = dict(BASE)
    for i, item in enumerate(re.split(r"\n(?=[^\s}])", piece) if piece else ()):
        words = re.match(r"(enum|state|action) \w+|\w+'?", item)
        assert words is not None
        key = words.group()
        items[key if key in BASE and BASE[key] == items[key] else f"{key} {i}"] = item
    top = re.compile(r"(enum|const|table|def)\b")
    around = re.compile(r"(utility|agent|require|search|searcher)\b")
    inside = [text for text in items.values() if not top.match(text) and not around.match(text)]
    return "\n".join(
        [
            "machine m",
            *(text for text in items.values() if top.match(text)),
            "environment {",
            *inside,
            "}",
            *(text for text in items.values() if around.match(text)),
        ]
    )


ABRIDGED = {
    "G042": f"const HUGE = {'9' * 1234}",
    "G043": f"table PAY: array[100_000] of int = [{', '.join(['1_000_000'] * 100_000)}]",
    "G071": f"table PAY: array[100_000] of int = [{', '.join(['7', '2 * 18', '8'] * 33_333)}, 7]",
}
"""What a page shows the beginning of."""


LAW = """
  action try: Attempt
  chance outcome: Outcome = match try { patch: { refused: 1 } }
"""


def complete_search(piece: str) -> str:
    """A whole machine with this piece of a search in it."""
    world = f"world {{ {piece} reward = 0 }}" if piece.startswith("action") else piece
    if "world" not in world:
        world += f"world {{ {LAW} reward = 0 }}"
    elif "action" not in world:
        world = world.replace("world {", f"world {{ {LAW} reward = 0 ")
    if "family" not in world:
        world = "family patch = improve(states: one) " + world
    blocks = f"search {{ {world} utility {{ horizon 3 }} }} searcher {{ policy {{ try = stop }} }}"
    return complete("") + "\n" + blocks


SEARCHED = ("G067", "G068", "G069", "G070")


@pytest.mark.parametrize("code", CODES)
def test_page_shows_what_breaks_and_what_does_not(code: str) -> None:
    broken, better = (
        re.sub(r"^    ", "", block, flags=re.MULTILINE).strip("\n")
        for block in re.findall(r":\n\n((?: {4}.*\n?|\n(?= {4}))+)", CODES[code].text)
    )
    whole = complete_search if code in SEARCHED else complete
    assert code in {d.code for d in diagnose(whole(ABRIDGED.get(code, broken)))}
    assert diagnose(whole(better)) == ()


def test_explain_prints_the_page_of_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    for code, page in CODES.items():
        assert run(["explain", code.lower()]) == 0
        shown = capsys.readouterr().out
        assert shown == f"{code}: {page.title}\n\n{page.text}\n"
        assert max(map(len, shown.splitlines())) <= 120
    assert run(["explain"]) == 0
    listed = [f"{code}  {page.title}" for code, page in CODES.items()]
    assert capsys.readouterr().out.splitlines() == listed
    assert run(["explain", "G999"]) == 2


# --- depth ---------------------------------------------------------------------------------------

DEEP = {
    "else if": "reward = " + "if temp == 3 then 1 else " * 190 + "0",
    "tests": "reward = if "
    + "(if " * 95
    + "true"
    + " then true else false)" * 95
    + " then 1 else 0",
    "not": "reward = if " + "not " * 190 + "true then 1 else 0",
    "let": "reward = " + "".join(f"let x{i} = temp in " for i in range(190)) + "0",
    "match": "reward = " + "match temp { 1: 2, else: " * 190 + "0" + "}" * 190,
    "max": "reward = " + "max(1, " * 190 + "temp" + ")" * 190,
    "and": "reward = if " + "(true and " * 95 + "true" + ")" * 95 + " then 1 else 0",
    "==": "reward = if " + "(true == " * 95 + "true" + ")" * 95 + " then 1 else 0",
    "arrays": "let a = " + "[" * 190 + "temp" + "]" * 190,
    "comprehensions": "let a = "
    + "".join(f"[for i{i} in 0..0: " for i in range(190))
    + "1"
    + "]" * 190,
    "distributions": "chance c: int = " + "if temp == 3 then {1: 1} else " * 190 + "{0: 1}",
    "calls": "def f(x: int 0..40): int 0..40 = x\nreward = " + "f(" * 190 + "temp" + ")" * 190,
    "calls of calls": "def f0(x: int): int = x\n"
    + "\n".join(f"def f{i}(x: int): int = f{i - 1}(x)" for i in range(1, 190))
    + "\nreward = f189(temp)",
}


@pytest.mark.parametrize("piece", DEEP.values(), ids=DEEP.keys())
def test_nesting_up_to_the_limit_is_checked(piece: str) -> None:
    task, program = check_machine(parse_machine(complete(piece)))
    assert find_gaps_in_declarations(task) == []
    assert find_gaps_in_code(program) == []


def test_code_deeper_than_any_file_is_refused_from_whatever_source() -> None:
    from dsl.check import check_code
    from dsl.syntax import Assign, Expr, If, Name

    task, program = check_machine(parse_machine(complete(BASE["reward"])))
    value: Expr = Name("off")
    for _ in range(400):
        value = If(Name("on"), Name("off"), value)
    with pytest.raises(DslError) as caught:
        check_code(task, Code((Policy("main", (Assign("heater", value),)),)))
    assert [d.code for d in caught.value.diagnostics] == ["G041"]
    assert program.size == 3


# --- robustness ----------------------------------------------------------------------------------

_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*'?|[0-9][0-9_./]*|[^\sA-Za-z0-9_]|\n")
_STRANGE = [
    "0",
    "-1",
    "1/0",
    "99999999999",
    "(",
    "]",
    "{",
    "}",
    "'",
    "if",
    "let",
    "é",
    "\x00",
    "..",
]


def mutate(text: str, chosen: random.Random, pool: list[str]) -> str:
    """A text with one to three small changes."""
    for _ in range(chosen.randint(1, 3)):
        tokens = [(m.start(), m.end()) for m in _TOKEN.finditer(text)]
        if not tokens:
            return text
        start, end = chosen.choice(tokens)
        other_start, other_end = chosen.choice(tokens)
        match chosen.randrange(8):
            case 0:
                text = text[:start] + text[end:]
            case 1 | 2:
                text = text[:start] + chosen.choice(pool) + text[end:]
            case 3:
                text = text[:start] + text[other_start:other_end] + text[end:]
            case 4:
                text = text[:end] + " " + chosen.choice(pool) + " " + text[end:]
            case 5:
                at = chosen.randrange(len(text))
                text = text[:at] + text[at + 1 :]
            case 6:
                at = chosen.randrange(len(text))
                text = text[:at] + chosen.choice(_STRANGE) + text[at:]
            case _:
                lines = text.split("\n")
                line = lines.pop(chosen.randrange(len(lines)))
                if chosen.random() < 0.7:
                    lines.insert(chosen.randrange(len(lines) + 1), line)
                    lines.insert(chosen.randrange(len(lines) + 1), line)
                text = "\n".join(lines)
    return text


def survives(text: str) -> bool:
    """Whether a text is a machine in order for the parser, the checker and the kernel; only DslError may be raised."""
    try:
        task, program = check_machine(parse_machine(text))
    except DslError as error:
        for diagnostic in error.diagnostics:
            assert diagnostic.code in CODES
            assert render(diagnostic, source=text, filename="m.godel").startswith("error[G")
        return False
    return not [*find_gaps_in_declarations(task), *find_gaps_in_code(program)]


def test_mutant_files_are_accepted_or_refused_but_never_crash() -> None:
    sound, broken = read_sources(EXAMPLES + FINE), read_sources(BROKEN)
    pool = sorted({t for text in sound + broken for t in _TOKEN.findall(text)})
    accepted = 0
    for seed in range(MUTANTS):
        chosen = random.Random(seed)
        text = mutate(chosen.choice(broken if seed % 3 == 0 else sound), chosen, pool)
        try:
            accepted += survives(text)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r} on\n{text}") from error
    assert MUTANTS // 20 < accepted < MUTANTS // 2


def read_sources(paths: list[Path]) -> list[str]:
    """The texts of some files, the very large ones left out."""
    texts = [path.read_text(encoding="utf-8") for path in paths]
    return [text for text in texts if 0 < len(text) < 4_000]
