"""Read and check files of 1 MiB of every kind, each in a process of its own, and show what each takes.

    python bench/large_files.py [KIND …]

A file either holds a large table, and is in order, or is refused. Processor time counts from the text to the checked
machine, or to its diagnosis; memory is the most that the process held. Exit code 1 where either is more than allowed.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial

SIZE = 1 << 20
SECONDS_MAX = 2.0
MEGABYTES_MAX = 500

_REST = """
enum Color { red, green, blue }
const LOW = 1
environment {
  state x: int 0..3 = 0
  action a: bool
  x' = if a then min(3, x + 1) else x
  reward = x
}
utility { discount 9/10 }
agent {
  policy { a = true }
}
"""


def _table(
    cell: Callable[[int], str], item: str, shape: tuple[int, ...] = (), between: str = ", "
) -> str:
    """A machine whose table of such cells fills the file; `shape` is that of one row."""
    head, tail = "machine m\n", "]\n" + _REST
    room = SIZE - len(head) - len(tail) - 200
    rows: list[str] = []
    count = used = 0
    while True:
        row, count = _row(cell, count, shape, between)
        used += len(row) + len(between)
        if used > room:
            break
        rows.append(row)
    sizes = "".join(f"array[{n}] of " for n in (len(rows), *shape))
    return f"{head}table BIG: {sizes}{item} = [{between.join(rows)}{tail}"


def _row(
    cell: Callable[[int], str], count: int, shape: tuple[int, ...], between: str
) -> tuple[str, int]:
    if not shape:
        return cell(count), count + 1
    parts: list[str] = []
    for _ in range(shape[0]):
        part, count = _row(cell, count, shape[1:], between)
        parts.append(part)
    return f"[{between.join(parts)}]", count


_COLORS = "red", "green", "blue"
TABLES: Mapping[str, Callable[[], str]] = {
    "digits": lambda: _table(lambda i: str(i % 10), "int", between=","),
    "ints": lambda: _table(lambda i: str(i * 7919 % 1000), "int 0..999"),
    "different ints": lambda: _table(str, "int"),
    "negative": lambda: _table(lambda i: str(-(i % 100)), "int -99..0"),
    "grouped": lambda: _table(lambda i: f"1_{i % 1000:03}", "int"),
    "hexadecimal": lambda: _table(lambda i: f"0x{i % 256:02x}", "int 0..255"),
    "bits": lambda: _table(lambda i: str(i % 256), "bits[8]"),
    "rows of bits": lambda: _table(lambda i: str(i % 256), "bits[8]", (4,)),
    "rows of 1": lambda: _table(lambda i: str(i % 10), "int 0..9", (1,), between=","),
    "rows of 2": lambda: _table(lambda i: str(i % 10), "int 0..9", (2,), between=","),
    "rows of 2, spaced": lambda: _table(lambda i: str(i % 100), "int", (2,)),
    "rows of 100": lambda: _table(lambda i: str(i % 10), "int 0..9", (100,), between=","),
    "one a line": lambda: _table(lambda i: str(i % 10), "int 0..9", between=",\n"),
    "3 deep": lambda: _table(lambda i: str(i % 10), "int 0..9", (3, 4), between=","),
    "4 deep": lambda: _table(lambda i: str(i % 10), "int 0..9", (2, 2, 2), between=","),
    "6 deep": lambda: _table(lambda i: str(i % 10), "int 0..9", (2, 2, 2, 1, 2), between=","),
    "bools": lambda: _table(lambda i: ("true", "false")[i % 2], "bool"),
    "rows of bools": lambda: _table(lambda i: ("true", "false")[i % 2], "bool", (2,)),
    "members": lambda: _table(lambda i: _COLORS[i % 3], "Color"),
    "rows of members": lambda: _table(lambda i: _COLORS[i % 3], "Color", (2,)),
    "full members": lambda: _table(lambda i: "Color." + _COLORS[i % 3], "Color"),
    "constants": lambda: _table(lambda i: "LOW", "int"),
    "rationals": lambda: _table(lambda i: f"{i % 10}/{i % 7 + 1}", "rat"),
    "rows of rationals": lambda: _table(lambda i: f"{i % 10}/{i % 7 + 1}", "rat", (2,)),
    "different rationals": lambda: _table(lambda i: f"{i}/{i % 7 + 1}", "rat"),
    "decimals": lambda: _table(lambda i: f"0.{i % 100:02}", "rat 0..1"),
    "different decimals": lambda: _table(lambda i: f"0.{i:05}", "rat 0..1"),
    "mixed numbers": lambda: _table(lambda i: ("1", "1/2", "0.5", "-3")[i % 4], "rat"),
    "comments": lambda: _table(lambda i: f"{i % 10} # {i}\n", "int 0..9", between=","),
    "a sum inside": lambda: _table(
        lambda i: "1 + 1" if i == 100 else str(i % 10), "int", between=","
    ),
    "wrong at the end": lambda: _table(
        lambda i: "true" if i == 400_000 else str(i % 10), "int", between=","
    ),
    "different and wrong": lambda: _table(lambda i: "true" if i == 90_000 else str(i), "int"),
    "different rows and wrong": lambda: _table(
        lambda i: "true" if i == 9_000 else str(i), "int", (2,)
    ),
    "different and too wide": lambda: _table(lambda i: str(i), "bits[10]"),
    "different ratios and wrong": lambda: _table(
        lambda i: "red" if i == 9_000 else f"{i}/7", "rat"
    ),
    "all wrong": lambda: _table(lambda i: str(i % 10), "bool", between=","),
    "all out of range": lambda: _table(lambda i: str(i % 10), "int 0..0", between=","),
    "all unknown": lambda: _table(lambda i: f"u{i}", "int", between=","),
    "all too wide": lambda: _table(lambda i: str(i % 10), "bits[1]", between=","),
    "ragged": lambda: _table(lambda i: ("[1]", "[1,2]")[i % 2], "array[1] of int", between=","),
    "mixed kinds": lambda: _table(lambda i: ("1", "true", "red")[i % 3], "int", between=","),
    "not closed": lambda: _table(lambda i: str(i % 10), "int", between=",").replace("]\n", "\n", 1),
    "stray comma": lambda: (
        _table(lambda i: str(i % 10), "int", between=",")
        .replace("\n]", "]")
        .replace("]\n", ",,]\n", 1)
    ),
    "in code": lambda: _in_code(_table(lambda i: str(i % 10), "int 0..9", (2,), between=",")),
    "members in code": lambda: _in_code(
        _table(lambda i: _COLORS[i % 3], "Color", (2,), between=",")
    ),
    "rationals in code": lambda: _in_code(
        _table(lambda i: f"{i % 10}/{i % 7 + 1}", "rat", (2,), between=",")
    ),
    "bits in code": lambda: _in_code(_table(lambda i: str(i % 256), "bits[8]", (2,), between=",")),
}
FLOODS: Mapping[str, tuple[str, str]] = {
    "map": ("{i}: 1/9, ", "environment { chance c: int = { @ 1: 1 } }"),
    "equal draws": ("0: 1/9, ", "environment { chance c: int = { @ 1: 1 } }"),
    "sum": ("+1", "const C = 1 @"),
    "sum of sums": ("+(1)", "const C = 1 @"),
    "products": ("*2", "const C = 1 @"),
    "tests": (" and true", "const C = true @"),
    "comparisons": (" < 1", "const C = 0 @"),
    "not closed": ("1+", "const C = " + "(" * 100 + " @"),
    "parentheses": ("(", "const C = @"),
    "pairs of parentheses": ("()", "const C = abs @"),
    "closed": (")", "const C = 1 @"),
    "indices of an array": ("[1][0]", "const C = @"),
    "indices": ("[0]", "const C = BIG @"),
    "small arrays": ("+[1][0]", "const C = 1 @"),
    "arrays in arrays": ("[[1],[2]],", "const C = [@ [[1],[2]]]"),
    "sums in an array": ("1+1,", "const C = [@ 1]"),
    "sums in rows": ("[1+1,2],", "const C = [@ [1,2]]"),
    "ragged rows": ("[1,2],[1],", "const C = [@ 1]"),
    "calls in an array": ("abs(1),", "const C = [@ 1]"),
    "empty arrays": ("[],", "const C = [@ 1]"),
    "open arrays": ("[1,", "const C = @"),
    "names": (" a", "const C = @"),
    "unknown names": ("+ a{i}", "const C = 1 @"),
    "unknown calls": ("b{i}(),", "const C = [@ 1]"),
    "keywords": (" if", "const C = @"),
    "signs": ("-", "const C = @ 1"),
    "nots": ("not ", "const C = @ true"),
    "commas": (",", "const C = @"),
    "dots": (".", "const C = @"),
    "strange": ("$", "const C = @"),
    "quotes": ('"', "const C = @"),
    "enum": ("m{i},", "enum Many { @ z }"),
    "same members": ("a, ", "enum Many { @ z }"),
    "enums": ("enum E{i} {{ a{i} }}\n", "@"),
    "match": ("{i}: 2, ", "const C = match 3 { @ else: 1 }"),
    "equal arms": ("1: 2, ", "const C = match 3 { @ else: 1 }"),
    "patterns": ("{i} | ", "const C = match 3 { @ 999999: 2, else: 1 }"),
    "lets": ("let a{i} = 1 in ", "const C = @ 1"),
    "ifs": ("if true then 1 else ", "const C = @ 1"),
    "defs": ("def f{i}(): int = 1\n", "@"),
    "chained defs": ("def f{i}(): int = f{j}()\n", "def f1(): int = 1 @"),
    "circular defs": ("def f{i}(): int = f{i}()\n", "@"),
    "parameters": ("p{i}: int, ", "def f(@ z: int): int = 1"),
    "constants": ("const C{i}=1\n", "@"),
    "chained constants": ("const C{i}=C{j}\n", "const C1 = 1 @"),
    "same constants": ("const C=1\n", "@"),
    "faulty constants": ("const C{i}=true+1\n", "@"),
    "tables": ("table T{i}: array[2] of int = [1, 2]\n", "@"),
    "tables of bits": ("table T{i}: array[2] of bits[8] = [1, 2]\n", "@"),
    "states": ("state s{i}:bool=true ", "environment { @ }"),
    "same states": ("state s:bool=true ", "environment { @ }"),
    "actions": ("action s{i}:bool ", "environment { @ }"),
    "any starts": ("state s{i}:bool=any ", "environment { @ }"),
    "unknowns": ("unknown u{i}:bool ", "environment { @ }"),
    "assumptions": ("assume u{i} <= 1 ", "environment { @ }"),
    "chances": ("chance c{i}:bool={{true:1}} ", "environment { @ }"),
    "lets of the world": ("let l{i}=x ", "environment { @ }"),
    "chained lets of the world": ("let l{i}=l{j} ", "environment { let l1 = 1 @ }"),
    "next values": ("x'=x ", "environment { @ }"),
    "requirements": ("require r{i}: always true ", "@"),
    "faulty lines": ("const\n", "@"),
    "comments only": ("#\n", "@"),
    "spaces": (" ", "@"),
    "lines": ("\n", "@"),
    "arguments": ("1,", "const C = max(@ 1)"),
    "changes": ("0:1,", "const C = [1] with { @ 0: 1 }"),
    "with": (" with {{ 0: 1 }}", "const C = [1] @"),
    "folds": ("fold a{i} = 0 for b{i} in 0..1: ", "const C = @ 1"),
    "one long name": ("a", "const C = @"),
    "one long number": ("9", "const C = @"),
    "one long fraction": ("9", "const C = 1/@"),
    "groups": ("_0", "const C = 1@"),
    "policies": ("policy p{i} {{ a=true }}", "agent { @ policy { a = true } }"),
    "assignments": ("a=true ", "agent { policy { @ } }"),
    "lets of a policy": ("let l{i}=1 ", "agent { policy { @ } }"),
    "params": ("param p{i}: int 0..1 = 1 ", "agent { @ }"),
    "memories": ("memory p{i}: bool = true ", "agent { @ }"),
    "costs": ('"*":3,', 'utility { costs { @ "*": 3 } }'),
    "settings": ("discount 1/2 ", "utility { @ }"),
    "observed": ("x,", "environment { observe @ x }"),
    "searches": ("search {{ }}", "@"),
    "other languages": ("True,", "const C = [@ 1]"),
    "types of other languages": ("p{i}: float, ", "def f(@ z: int): int = 1"),
}
"""What is repeated in a file, and where."""

_TOKENS = 49_500
_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*'?|[0-9_]+|\.\.|<=|\"[^\"]*\"|[^\sA-Za-z0-9_]")


def _flood(piece: str, text: str, *, tokens: bool) -> str:
    """A machine with a piece again and again: till the file is full, or has almost as many tokens as it may have."""
    rest = _REST
    for block in ("environment", "agent", "utility"):
        if text.startswith(block):
            inside = text.split("{", 1)[1].rsplit("}", 1)[0]
            if block == "agent" and "policy {" in inside:
                rest = rest.replace("policy { a = true }", inside)
            else:
                rest, text = rest.replace(block + " {", f"{block} {{ {inside} ", 1), ""
            text = ""
    text = f"machine m\n{text}\n{rest}"
    each = len(_TOKEN.findall(piece.format(i=0, j=0))) if tokens else 0
    room = (_TOKENS if tokens else SIZE - len(text)) - 10
    parts: list[str] = []
    i = 1
    while room > 0:
        i += 1
        parts.append(piece.format(i=i, j=i - 1))
        room -= each if tokens else len(parts[-1])
    return text.replace("@", "".join(parts[:-1]))


OTHERS: Mapping[str, Callable[[], str]] = {
    **{k: partial(_flood, *v, tokens=False) for k, v in FLOODS.items()},
    **{
        f"just enough of {k}": partial(_flood, *v, tokens=True)
        for k, v in FLOODS.items()
        if _TOKEN.search(v[0].format(i=0, j=0))
    },
}


def _in_code(text: str) -> str:
    """The same machine with its first item in the agent."""
    first, rest = text.removeprefix("machine m\n").split("]\n" + _REST, 1)
    return "machine m\n" + _REST.replace("agent {", "agent {\n  " + first + "]") + rest


def measure(text: str) -> str:
    """What reading and checking a text comes to: seconds, megabytes, outcome."""
    sys.path.insert(0, sys.path[0].rpartition("/")[0])
    from dsl.check import check_machine
    from dsl.errors import DslError
    from dsl.parser import parse_machine

    begun = time.process_time()
    try:
        check_machine(parse_machine(text))
        outcome = "in order"
    except DslError as error:
        first = error.diagnostics[0]
        outcome = f"{len(error.diagnostics)} x {first.code} {first.message[:60]}"
    took = time.process_time() - begun
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return f"{took:6.2f} s {held:5} MB  {outcome}"


def main() -> int:
    """Run from the command line."""
    options = argparse.ArgumentParser(description="Read and check large files of every kind.")
    options.add_argument("kind", nargs="*", help="which of them; all where none is named")
    options.add_argument("--only", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    kinds = {**{f"table of {k}": v for k, v in TABLES.items()}, **OTHERS}
    if chosen.only:
        print(measure(kinds[chosen.only]()))
        return 0
    failed = 0
    for name in chosen.kind or kinds:
        command = [sys.executable, __file__, "--only", name]
        try:
            said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
            shown = said.stdout.strip() or "failed: " + said.stderr.strip().rpartition("\n")[2]
        except subprocess.TimeoutExpired:
            shown = "failed: it takes very long"
        figures = shown.split()
        bad = shown.startswith("failed") or (
            float(figures[0]) > SECONDS_MAX or int(figures[2]) > MEGABYTES_MAX
        )
        failed += bad
        print(f"{'!' if bad else ' '} {name:28} {shown}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
