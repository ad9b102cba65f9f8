"""Measure speed: evaluation beside Python, and what evolving, proving and checking cost, beside Z3 alone on the same texts.

`make bench` prints the tables; `python bench/bench.py --profile` runs Taxi alone and says where its time goes.

Everything is measured in one run, side by side; read the ratios, the seconds vary with the machine.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import evaluation
import z3

from dsl.codec import decode_tree
from dsl.parser import parse_machine
from dsl.syntax import Code, Machine
from godel.default_search import default_search
from godel.evolve import Limits, Session, begin
from godel.gate import DEFAULT_RLIMIT
from godel.importers.gymnasium import import_environment
from godel.ledger import Entry, Kind
from godel.store import Store
from godel.verify import verify
from proofs.certificates import decode_certificate
from proofs.explicit import explore_program
from proofs.kernel.chapter import Chapter
from proofs.kernel.check import IsBetter, check
from proofs.prover import prove
from proofs.solver import list_premises
from proofs.tactics.compare import Bounders, find_evidence

LAKE = Path(__file__).parent.parent / "examples" / "frozen_lake_8x8.godel"
REWRITES_MAX = 8
FIXED_SECONDS = 0.05


@dataclass(slots=True)
class Clock:
    """Wall and CPU seconds."""

    wall: float = 0.0
    cpu: float = 0.0

    def time(self, work: Callable[[], Any]) -> Any:
        """Add what some work takes."""
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        self.wall += time.perf_counter() - wall
        self.cpu += time.process_time() - cpu
        return result


def main() -> None:
    """Measure everything and print the tables, or profile one world."""
    if "--profile" in sys.argv[1:]:
        profile_taxi()
        return
    evaluation.main()
    lake = LAKE.read_text(encoding="utf-8")
    imported = Clock()
    taxi = imported.time(lambda: import_environment("Taxi-v4"))
    print("\nall times in seconds on this machine, in one run; ratios are what counts")
    for title, text in (
        ("FrozenLake 8x8, slippery, from always left", lake),
        ("Taxi, imported", taxi),
    ):
        bench_world(title, text)
    line("import", imported, "Taxi from Gymnasium")


def profile_taxi() -> None:
    """Import, evolve and verify Taxi, and print where the time goes."""
    from pyinstrument import Profiler

    with Profiler() as profiler:
        bench_run("Taxi", import_environment("Taxi-v4"))
    print(profiler.output_text(show_all=False, color=False))


def bench_run(title: str, text: str) -> None:
    """Evolve and verify a world."""
    machine = parse_machine(text)
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.open(Path(folder) / "x.db", create=True) as store,
    ):
        evolve(store, machine, text)
        print(f"{title}: {verify(store).theorems} theorems")


def bench_world(title: str, text: str) -> None:
    """Evolve a world, then take its accepted rewrites apart."""
    print(f"\n{title}")
    machine = parse_machine(text)
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.open(Path(folder) / "x.db", create=True) as store,
    ):
        run = Clock()
        run.time(lambda: evolve(store, machine, text))
        again = Clock()
        found = again.time(lambda: verify(store))
        accepted = [e for e in store.entries() if e.kind is Kind.ACCEPTED]
        line("evolve to the end", run, f"{len(accepted)} rewrites accepted")
        line(
            "verify everything",
            again,
            f"{found.theorems} theorems, {again.wall / run.wall:.2f} x evolve",
        )
        take_apart(store, machine, accepted[-REWRITES_MAX:])


def evolve(store: Store, machine: Machine, text: str) -> Entry:
    """A whole run."""
    begin(store, machine, default_search(), source=text, seed=0, kind=Kind.GENESIS)
    session = Session.resume(store, rlimit=DEFAULT_RLIMIT, threads=2)
    return session.evolve(Limits(), lambda entry: None)


def take_apart(store: Store, machine: Machine, accepted: list[Entry]) -> None:
    """Find, prove and check each rewrite again, one after the other, and ask Z3 alone about the same texts."""
    chapter = Chapter(machine.declarations)
    finding, printing, proving, checking, alone = Clock(), Clock(), Clock(), Clock(), Clock()
    premises_count = 0
    for entry in accepted:
        body = cast(Any, entry.body)
        old = cast(Code, decode_tree(store.blob(body["parent"]), Code))
        new = cast(Code, decode_tree(store.blob(body["result"]), Code))
        before, after = chapter.program(old), chapter.program(new)
        certificate = decode_certificate(
            store.blob(body["certificate"]), chapter.task, after, before
        )
        finding.time(
            lambda o=before, n=after: find_evidence(
                chapter, Bounders(chapter, o), Bounders(chapter, n)
            )
        )
        premises = printing.time(
            lambda c=certificate, o=before, n=after: list_premises(chapter.task, c, old=o, new=n)
        )
        premises_count += len(premises)
        for premise in premises:
            # one unit more than in the run before, so that no answer is remembered from there
            proving.time(lambda p=premise: prove(p, rlimit=DEFAULT_RLIMIT + 1))
            alone.time(lambda t=premise.text: ask_z3(t))
        checking.time(lambda o=old, n=new, c=certificate: check(IsBetter(chapter, o, n), c))
    n = len(accepted)
    listed = len(explore_program(chapter, chapter.program(new)).states)
    print(
        f"  the last {n} rewrites, mean of each ({premises_count // n} premises, {listed} listed states)"
    )
    line("find the certificate", finding, "", n)
    line("print the premises", printing, "", n)
    line("prove them: facts too", proving, "", n)
    line("Z3 alone, same texts", alone, "", n)
    line("check in the kernel", checking, "", n)
    proof = (finding.wall + printing.wall + proving.wall) / n
    z3_alone = alone.wall / n
    ratio = max(0.0, proof - FIXED_SECONDS) / z3_alone
    print(f"  proving a rewrite / Z3 alone, beyond {FIXED_SECONDS * 1000:.0f} ms: {ratio:.2f}")
    print(f"  checking / finding and proving: {checking.wall / n / proof:.3f}")


def ask_z3(text: str) -> None:
    """Z3 with nothing of ours around it."""
    solver = z3.Solver(ctx=z3.Context())
    solver.from_string(text)
    if solver.check() != z3.unsat:
        raise SystemExit("Z3 does not prove a premise that was accepted")


def line(what: str, clock: Clock, remark: str = "", count: int = 1) -> None:
    """One row of the table."""
    print(
        f"  {what:<26} wall {clock.wall / count:8.3f}  cpu {clock.cpu / count:8.3f}  {remark}".rstrip()
    )


if __name__ == "__main__":
    sys.exit(main())
