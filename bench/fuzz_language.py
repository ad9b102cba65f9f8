"""Damage machine files at random and see that reading and checking them gives a machine or a diagnosis, soon.

    python bench/fuzz_language.py --count 100000 --seed 0

Each mutant is a file of `tests/programs` or `examples` with a few changes of bytes, tokens or lines, deep nesting, huge
numbers, tables or floods of tokens put in. Anything raised but DslError, and any mutant that takes more than `--limit`
seconds of processor time, or makes the process hold more than 500 MB, is printed with the seed that makes it again:
`--seed N --count 1 --show`.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dsl.check import check_machine
from dsl.codes import CODES
from dsl.errors import DslError, render
from dsl.parser import parse_machine

ROOT = Path(__file__).resolve().parent.parent
SECONDS_MAX = 2.0
MEGABYTES_MAX = 500
BYTES_MAX = 1 << 20
_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*'?|[0-9][0-9_./]*|\.\.|<<|>>|[<>=!]=|[^\sA-Za-z0-9_]")
_NUMBER = re.compile(r"\b[0-9]+\b")
_NESTS = (
    *(("(", ")"), ("[", "]"), ("-", ""), ("~", ""), ("not ", ""), ("f(", ")"), ("a[", "]")),
    *(("if true then 1 else ", ""), ("let z = 1 in ", ""), ("bits[8](", ")"), ("abs(", ")")),
    *(("forall i in 0..1: ", ""), ("fold q = 0 for i in 0..1: ", ""), ("1 + (", ")")),
    *(("match 1 { 1: ", " }"), ("max(1, ", ")"), ("[for i in 0..1: ", "]"), ("{", "}")),
)
_HUGE = (
    *("0", "-1", "1/0", "64", "65", "200", "999999", "1_000_000", "4294967296", "2000000"),
    *(
        "18446744073709551616",
        "9" * 40,
        "9" * 1233,
        "9" * 1400,
        "0x" + "f" * 1024,
        "0." + "1" * 300,
    ),
    *("1/" + "7" * 60, "0b1", "0.0000001", "1e9"),
)


@dataclass(slots=True)
class Tally:
    """What came of the mutants so far."""

    accepted: int = 0
    refused: int = 0
    failed: int = 0
    slow: int = 0
    slowest: float = 0.0
    codes: Counter[str] = field(default_factory=Counter)


def read_programs() -> list[str]:
    """The files to damage, those of more than 20,000 characters left out."""
    paths = [
        *sorted((ROOT / "tests" / "programs").glob("*.godel")),
        *sorted((ROOT / "examples").glob("*.godel")),
    ]
    texts = [path.read_text(encoding="utf-8") for path in paths]
    return [text for text in texts if len(text) <= 20_000]


def mutant(seed: int, programs: Sequence[str], words: Sequence[str]) -> str:
    """The mutant of that number."""
    chosen = random.Random(seed)
    text = chosen.choice(programs)
    for _ in range(chosen.choice((1, 1, 1, 2, 3))):
        text = chosen.choice(CHANGES)(text, chosen, words)
    return text


def _token(text: str, chosen: random.Random) -> tuple[int, int]:
    tokens = list(_TOKEN.finditer(text))
    if not tokens:
        return 0, 0
    found = chosen.choice(tokens)
    return found.start(), found.end()


def change_byte(text: str, chosen: random.Random, words: Sequence[str]) -> str:
    """One to four bytes drawn, dropped or put in."""
    data = bytearray(text.encode("utf-8", "surrogateescape"))
    for _ in range(chosen.randint(1, 4)):
        at = chosen.randrange(len(data) + 1)
        drawn = bytes([chosen.randrange(256)])
        data[at : at + chosen.randint(0, 2)] = chosen.choice((b"", drawn))
    return data.decode("utf-8", "replace" if chosen.random() < 0.5 else "surrogateescape")


def change_token(text: str, chosen: random.Random, words: Sequence[str]) -> str:
    """A token dropped, replaced by another, doubled, or followed by another."""
    start, end = _token(text, chosen)
    word = chosen.choice(words)
    instead = chosen.choice(
        ("", word, f"{text[start:end]} {text[start:end]}", f"{text[start:end]} {word}")
    )
    return text[:start] + instead + text[end:]


def swap_tokens(text: str, chosen: random.Random, words: Sequence[str]) -> str:
    """Two tokens in each other's place."""
    (a, b), (c, d) = sorted((_token(text, chosen), _token(text, chosen)))
    return text[:a] + text[c:d] + text[b:c] + text[a:b] + text[d:] if b <= c else text


def change_lines(text: str, chosen: random.Random, words: Sequence[str]) -> str:
    """A line dropped, doubled, moved, or a stretch of lines repeated elsewhere."""
    lines = text.split("\n")
    at, to = chosen.randrange(len(lines)), chosen.randrange(len(lines))
    match chosen.randrange(4):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[at])
        case 2:
            lines.insert(to, lines.pop(at))
        case _:
            lines[to:to] = lines[at : at + chosen.randint(1, 8)]
    return "\n".join(lines)


def cut(text: str, chosen: random.Random, words: Sequence[str]) -> str:
    """The end, the beginning or a stretch cut off."""
    at = chosen.randrange(len(text) + 1)
    return chosen.choice((text[:at], text[at:], text[:at] + text[at + chosen.randint(1, 60) :]))


def nest(text: str, chosen: random.Random, words: Sequence[str]) -> str:
    """A token in many brackets, or under many operators; sometimes they do not match."""
    start, end = _token(text, chosen)
    opened, closed = chosen.choice(_NESTS)
    depth = chosen.choice((1, 2, 5, 90, 190, 199, 201, 1_000, 20_000))
    closings = depth if chosen.random() < 0.8 else depth - 1
    return text[:start] + opened * depth + text[start:end] + closed * closings + text[end:]


def enlarge(text: str, chosen: random.Random, words: Sequence[str]) -> str:
    """A number replaced by a huge or strange one."""
    numbers = list(_NUMBER.finditer(text))
    if not numbers:
        return text
    found = chosen.choice(numbers)
    return text[: found.start()] + chosen.choice(_HUGE) + text[found.end() :]


def repeat(text: str, chosen: random.Random, words: Sequence[str]) -> str:
    """A token many times in a row, with something between."""
    start, end = _token(text, chosen)
    between = chosen.choice((" ", ", ", " + ", " and ", ": ", "\n", "", " implies ", " << "))
    count = chosen.choice((2, 10, 150, 250, 3_000))
    return text[:start] + between.join([text[start:end]] * count) + text[end:]


_CELLS = tuple(
    line.split("  ")
    for line in """\
1  2  0
1  -7  1_000  0x1f
true  false
1/3  0.5  -2/7
1  1/2
left  right  up
A.a  A.b
red
True
999999999999999999999999999999999999999999
1+1
x'
f(1)
-1  - 1
1  true
in
1 2
1/0
""".splitlines()
)
_TYPES = "int  int 0..1  rat  bool  bits[8]  bits[1]  A  int -7..1000  Move  rat 0..1".split("  ")
_SIZES = (0, 1, 2, 3, 10, 100, 1_000, 1_000, 5_000)
_LARGE = (30_000, 70_000, 200_000)


def _size(chosen: random.Random) -> int:
    return chosen.choice(_LARGE if chosen.random() < 0.02 else _SIZES)


def _array(chosen: random.Random, cells: Sequence[str], count: int, depth: int) -> tuple[str, str]:
    """An array of about so many cells, and the sizes that its type has."""
    if depth == 0:
        between = chosen.choice((",", ", ", ",\n", " , ", ", # c, ]\n"))
        if count > 5_000:
            part = [chosen.choice(cells) for _ in range(1_000)]
            return f"[{between.join(part * (count // 1_000))}]", f"array[{count}] of "
        return (
            f"[{between.join(chosen.choice(cells) for _ in range(count))}]",
            f"array[{count}] of ",
        )
    length = min(chosen.choice((1, 2, 3, 100, count // 2)), count) or 1
    row, size = _array(chosen, cells, max(1, count // length), depth - 1)
    rows = [row] * length
    if chosen.random() < 0.2:
        other, _ = _array(chosen, cells, chosen.choice((1, 2)), chosen.choice((0, depth - 1)))
        rows[chosen.randrange(length)] = other
    if sum(map(len, rows)) > BYTES_MAX:
        rows = rows[:1]
    return f"[{','.join(rows)}]", f"array[{length}] of {size}"


def put_table(text: str, chosen: random.Random, words: Sequence[str]) -> str:
    """A table put in as an item or an expression, often a faulty one, sometimes a large one."""
    cells = chosen.choice(_CELLS)
    if chosen.random() < 0.2:
        cells = [chosen.choice(words), f"u{chosen.randrange(9)}"]
    array, sizes = _array(chosen, cells, _size(chosen), chosen.choice((0, 0, 0, 1, 1, 2, 3, 9)))
    if chosen.random() < 0.3:
        at = chosen.randrange(len(array))
        word = chosen.choice(
            ("", ",", "[", "]", "1", " ", "#", "true", "[1]", "+", chosen.choice(words))
        )
        array = array[:at] + word + array[at + chosen.randint(0, 2) :]
    kind = chosen.choice((sizes, sizes, sizes, "array[2] of ")) + chosen.choice(_TYPES)
    if chosen.random() < 0.3:
        start, end = _token(text, chosen)
        return text[:start] + chosen.choice((array, f"({array})", f"{array}[0]")) + text[end:]
    item = chosen.choice((f"table BIG: {kind} = {array}", f"const BIG = {array}"))
    lines = text.split("\n")
    lines.insert(chosen.randrange(len(lines)), item)
    return "\n".join(lines)


_FLOODS = """\
{w} |{w},|+{w}|({w}|{w})|[{w},|[{w}][0]|{w}:1,|{w}|| and {w}|{w}={w} |{w}{i},|[1,{w}],|{w}.{w},|if {w} then |let z{i}={w} in
f({w},|match {w} {{|{w}{w}|"{w}"|[{w}+1],|with {{|not |-|1<|fold q{i}=0 for j{i} in 0..1:
const C{i}={w}
let l{i}={w}
def f{i}(): int={w}
enum E{i} {{a{i}}}
x'={w}
state s{i}: bool={w}
chance c{i}: int={{{w}:1}}
table T{i}: array[1] of int=[{w}]
#{w}
param p{i}: bool={w}
memory m{i}: bool={w}
policy q{i} {{a={w}}}
require r{i}: always {w}
unknown u{i}: rat 0..1
assume {w}<=1
adversary v{i}: bool
action a{i}: bool
const C{i}=C{i}0
discount {w}
""".splitlines()
"""What is put in many times; those on one line are separated by bars."""


def flood(text: str, chosen: random.Random, words: Sequence[str]) -> str:
    """Something put in many times, sometimes till the file is full."""
    piece, word = chosen.choice(chosen.choice(_FLOODS).split("|")) or "|", chosen.choice(words)
    count = _size(chosen)
    made: list[str] = []
    room = BYTES_MAX - len(text)
    for i in range(count):
        made.append(piece.format(w=word, i=i) + chosen.choice((" ", "\n")))
        room -= len(made[-1])
        if room < 0:
            break
    start, end = _token(text, chosen)
    if chosen.random() < 0.5:
        start = end = text.find("\n", start) + 1
    return text[:start] + "".join(made) + text[end:]


CHANGES: tuple[Callable[[str, random.Random, Sequence[str]], str], ...] = (
    *(
        change_byte,
        change_token,
        change_token,
        change_token,
        swap_tokens,
        change_lines,
        change_lines,
    ),
    *(cut, nest, enlarge, enlarge, repeat, put_table, put_table, flood),
)


def try_mutant(text: str, tally: Tally) -> None:
    """Read and check a text; raises what only a bug raises."""
    try:
        check_machine(parse_machine(text))
    except DslError as error:
        tally.refused += 1
        assert error.diagnostics, "a fault without a diagnosis"
        for diagnostic in error.diagnostics:
            tally.codes[diagnostic.code] += 1
            assert diagnostic.code in CODES, diagnostic
            assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(text), diagnostic
            render(diagnostic, source=text, filename="m.godel")
    else:
        tally.accepted += 1


def run(count: int, seed: int, *, limit: float, say: Callable[[str], None]) -> Tally:
    """Try that many mutants, from the number `seed` on."""
    programs = read_programs()
    words = sorted({word for text in programs for word in _TOKEN.findall(text)} | set(_HUGE))
    tally = Tally()
    most = 0
    for number in range(seed, seed + count):
        text = mutant(number, programs, words)
        begun = time.process_time()
        try:
            try_mutant(text, tally)
        except Exception as error:
            tally.failed += 1
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}"
            say(f"seed {number}: {type(error).__name__}: {str(error)[:120]} at {where}")
        took = time.process_time() - begun
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        if held > max(most, MEGABYTES_MAX):
            most = held
            tally.failed += 1
            say(f"seed {number}: the process holds {held} MB")
        tally.slowest = max(tally.slowest, took)
        if took > limit:
            tally.slow += 1
            say(f"seed {number}: took {took:.1f} s")
    return tally


def main() -> int:
    """Run from the command line; exit code 1 where something failed or was slow."""
    options = argparse.ArgumentParser(description="Damage machine files at random and read them.")
    options.add_argument("--count", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--limit", type=float, default=SECONDS_MAX)
    options.add_argument("--show", action="store_true", help="print the mutants themselves")
    chosen = options.parse_args()
    if chosen.show:
        programs = read_programs()
        words = sorted({word for text in programs for word in _TOKEN.findall(text)} | set(_HUGE))
        for number in range(chosen.seed, chosen.seed + chosen.count):
            print(mutant(number, programs, words))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tally = run(
        chosen.count, chosen.seed, limit=chosen.limit, say=lambda line: print(line, flush=True)
    )
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    print(
        f"{chosen.count} mutants: {tally.accepted} in order, {tally.refused} refused, {tally.failed} failed, "
        f"{tally.slow} slow; slowest {tally.slowest:.2f} s, memory grew by {grown} MiB; "
        f"{len(tally.codes)} codes: " + " ".join(f"{c}:{n}" for c, n in sorted(tally.codes.items()))
    )
    return 1 if tally.failed or tally.slow else 0


if __name__ == "__main__":
    sys.exit(main())
