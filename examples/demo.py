"""The main job on a real world: the slippery 8x8 lake rewrites itself from "always left" to a proved optimum.

Run it with `make demo`. Every line behind a `$` is a command that anybody can run; the ledger stays in
`.godel/demo/lake.db`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from godel.cli.main import run

LAKE = "examples/frozen_lake_8x8.godel"
PATCH = "examples/patches/straight_on.godel"
LEDGER = Path(".godel/demo/lake.db")


def main() -> int:
    """Run the commands; returns the first exit code that is not the expected one."""
    began = time.perf_counter()
    LEDGER.parent.mkdir(parents=True, exist_ok=True)
    for old in LEDGER.parent.glob("lake.db*"):
        old.unlink()
    store = ["--store", str(LEDGER)]
    steps: list[tuple[str, list[str], int]] = [
        (
            "the machine rewrites itself: eight attempts",
            [*store, "evolve", LAKE, "--attempts", "8"],
            0,
        ),
        (
            "a person proposes to walk straight on: refused, with its counterexample",
            [*store, "propose", LAKE, PATCH],
            10,
        ),
        (
            "it goes on until nothing is left to find, and proves how close to the best it is",
            [*store, "evolve", LAKE],
            0,
        ),
        ("the history", [*store, "log"], 0),
        ("one proof", [*store, "proof", "show", "@"], 0),
    ]
    for title, args, expected in steps:
        if step(title, args) != expected:
            return 1
    if verify_without_solver([*store, "verify"]):
        return 1
    print(f"\nthe program it ended with: godel --store {LEDGER} code", flush=True)
    print(f"{time.perf_counter() - began:.1f} s in all", file=sys.stderr)
    return 0


def step(title: str, args: list[str]) -> int:
    """Show and run one command."""
    print(f"\n# {title}\n$ godel {' '.join(args)}", flush=True)
    return run(args)


def verify_without_solver(args: list[str]) -> int:
    """Check everything again in a process that cannot load Z3 or the parser."""
    print(
        f"\n# everything is checked again from genesis, by a process that cannot load Z3\n$ godel {' '.join(args)}",
        flush=True,
    )
    blocked = "import sys; sys.modules.update(z3=None, lark=None, networkx=None); "
    code = f"{blocked}from godel.cli.main import run; sys.exit(run({args!r}))"
    return subprocess.run([sys.executable, "-c", code], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
