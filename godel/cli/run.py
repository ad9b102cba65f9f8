"""Verbs that run programs and rewrite them: eval, simulate, evolve, propose, revision."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import click

from godel.cli.describe import describe_entry, entry_json
from godel.cli.output import (
    Context,
    Exit,
    FileFault,
    above,
    below,
    is_terminal,
    load_machine,
    note,
    print_json,
    read_text,
    say,
    shown_id,
    usage,
)

if TYPE_CHECKING:
    from dsl.machine import Program
    from dsl.rewrite import Edit
    from dsl.syntax import Code, Machine
    from godel.evolve import Session
    from godel.ledger import Entry

RLIMIT = 50_000_000
OUTCOMES = {"accepted": 0, "refused": 10, "undecided": 20, "invalid": 3}


class Rational(click.ParamType[Fraction]):
    """An exact number: `1/100`, `0.01`, `3`."""

    name = "rational"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Fraction:
        """Read the number."""
        try:
            return Fraction(value)
        except (ValueError, ZeroDivisionError):
            self.fail(f"{value!r} is no rational such as 1/100", param, ctx)


rlimit_option = click.option(
    "--rlimit",
    type=click.IntRange(1),
    default=RLIMIT,
    show_default=True,
    help="Z3's resource limit for each premise.",
)
jobs_option = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Premises that Z3 works on at once.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
at_option = click.option(
    "--at", metavar="ID", help="Take the program of a ledger entry instead of FILE's."
)


# --- eval and simulate ---------------------------------------------------------------------------


# an expression may begin with a sign, which click would take for an option
@click.command(name="eval", context_settings={"ignore_unknown_options": True})
@click.argument("file")
@click.argument("expression", required=False)
@click.option(
    "--state",
    metavar="JSON",
    help="Run the policy on a state of the observed variables; `-` reads one a line.",
)
@at_option
@json_option
@click.pass_obj
def eval_(
    context: Context,
    file: str,
    expression: str | None,
    state: str | None,
    at: str | None,
    as_json: bool,
) -> None:
    """Evaluate an EXPRESSION over FILE's constants and functions, or its policy on a state: values and ticks."""
    if (expression is None) == (state is None):
        raise usage("eval takes an expression or --state", 'godel eval FILE "1 + 2"')
    program = _program(context, file, at)
    if expression is not None:
        _eval_expression(program, expression, as_json)
    elif state == "-":
        for line in sys.stdin:
            if line.strip():
                say(json.dumps(_decide(program, line)))
    else:
        say(json.dumps(_decide(program, cast(str, state))))


def _program(context: Context, file: str, at: str | None) -> Program:
    """The checked program of a file, or of a ledger entry under the file's declarations."""
    from dsl.errors import DslError
    from proofs.kernel.chapter import Chapter, NotTotal

    source, machine = load_machine(file)
    try:
        chapter = Chapter(machine.declarations)
        code = machine.agent if at is None else _code_at(context, machine, at)
        return chapter.program(code)
    except DslError as error:
        raise FileFault(file, source, error) from None
    except NotTotal as error:
        from godel.gate import describe_gap

        raise FileFault(
            file, source, DslError(tuple(describe_gap(g) for g in error.gaps))
        ) from None


def _code_at(context: Context, machine: Machine, at: str) -> Code:
    from godel.cli.ledgers import Book
    from godel.store import Store

    with Store.open(context.store_path(machine.declarations.name), readonly=True) as store:
        book = Book(store)
        return book.history.load_code(book.code_digest(at))


def _eval_expression(program: Program, expression: str, as_json: bool) -> None:
    from dsl.check import check_expression
    from dsl.errors import DslError
    from dsl.interp import EvaluationFault, evaluate
    from dsl.parser import parse_expression
    from dsl.types import encode_value, show_value

    try:
        tree = parse_expression(expression)
        kind = check_expression(program.names, tree, {})
        value, ticks = evaluate(tree, program.names)
    except DslError as error:
        raise FileFault("EXPRESSION", expression, error) from None
    except EvaluationFault as fault:
        from dsl.errors import Diagnostic

        found = Diagnostic(fault.code, str(fault), fault.node.span)
        raise FileFault("EXPRESSION", expression, DslError((found,))) from None
    if as_json:
        print_json("eval", {"value": encode_value(kind, value), "ticks": ticks})
    else:
        say(f"{show_value(kind, value)}  ({ticks} tick{'' if ticks == 1 else 's'})")


def _decide(program: Program, text: str) -> dict[str, Any]:
    from dsl.codec import CodecError
    from dsl.types import decode_value, encode_value

    try:
        data = json.loads(text)
        if not isinstance(data, dict):
            raise CodecError("expected an object")
        observed = {v.name: v for v in program.task.observed}
        if data.keys() != observed.keys():
            raise CodecError(f"a state holds {', '.join(observed)}")
        state = {name: decode_value(v.type, data[name]) for name, v in observed.items()}
    except (ValueError, CodecError) as error:
        raise usage(f"{text.strip()} is no state: {error}") from None
    actions, ticks = program.decide(state)
    shown = {
        v.name: encode_value(v.type, x) for v, x in zip(program.task.actions, actions, strict=True)
    }
    return {"actions": shown, "ticks": ticks}


@click.command()
@click.argument("file")
@click.option("--episodes", type=click.IntRange(2), default=10_000, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@at_option
@json_option
@click.pass_obj
def simulate(
    context: Context, file: str, episodes: int, seed: int, at: str | None, as_json: bool
) -> None:
    """Run the agent of FILE: the mean return with its interval, beside the proved bounds."""
    from godel.simulate import simulate_program

    program = _program(context, file, at)
    found = simulate_program(
        program, episodes=episodes, seed=seed, progress=_progress_bar(episodes)
    )
    if as_json:
        print_json(
            "simulate",
            {
                "episodes": episodes,
                "seed": seed,
                "mean": found.mean,
                "half_width": found.half_width,
                "steps": found.steps,
                "lower": None if found.lower is None else str(found.lower),
                "upper": None if found.upper is None else str(found.upper),
            },
        )
        return
    say(
        f"mean return of {episodes:,} episodes  {found.mean:.6f} ± {found.half_width:.6f}  (95 %, seed {seed})"
    )
    if found.lower is None or found.upper is None:
        say(f"proved bounds                   none: {found.reason}")
    else:
        say(f"proved bounds                   {below(found.lower)} .. {above(found.upper)}")
    if found.cut:
        say(
            f"episodes are cut after {found.cut} steps; what follows is worth less than {found.tail:.1e}"
        )


def _progress_bar(total: int) -> Any:
    """A progress bar on a terminal; a function that counts one step."""
    if not is_terminal():
        return None
    from rich.console import Console
    from rich.progress import Progress

    progress = Progress(console=Console(stderr=True), transient=True)
    task = progress.add_task("episodes", total=total)
    progress.start()

    def advance(done: int) -> None:
        progress.update(task, completed=done)
        if done >= total:
            progress.stop()

    return advance


# --- evolve, propose, revision -------------------------------------------------------------------


@click.command()
@click.argument("file")
@click.option("--attempts", type=click.IntRange(0), help="Cut the run after so many attempts.")
@click.option(
    "--budget",
    type=Rational(),
    metavar="TICKS",
    help="Cut the run when the search has cost so much.",
)
@click.option(
    "--gap",
    type=Rational(),
    metavar="RATIONAL",
    help="Cut the run when no program beats this one by more.",
)
@rlimit_option
@click.option("--seed", type=int, default=0, show_default=True, help="Recorded in the ledger.")
@jobs_option
@json_option
@click.pass_obj
def evolve(
    context: Context,
    file: str,
    attempts: int | None,
    budget: Fraction | None,
    gap: Fraction | None,
    rlimit: int,
    seed: int,
    jobs: int,
    as_json: bool,
) -> None:
    """Let the machine in FILE rewrite itself, each rewrite proved by Z3 and checked again by the kernel."""
    from godel.evolve import Limits

    source, machine = load_machine(file)
    with _open(context, file, source, machine, seed=seed, rlimit=rlimit, jobs=jobs) as session:
        _require_known(session, machine, file)
        if not as_json:
            say(_headline(session))
        watch = _Watch(session, as_json)
        session.evolve(Limits(attempts, budget, gap), watch)
        watch.close()


@click.command()
@click.argument("file")
@click.argument("patch")
@rlimit_option
@jobs_option
@json_option
@click.pass_obj
def propose(context: Context, file: str, patch: str, rlimit: int, jobs: int, as_json: bool) -> None:
    """Take PATCH through the gate: an `agent { }` block whose items replace those of the same name, or a JSON list of edits.

    The verdict is the exit code: 0 accepted, 10 refused, 20 undecided, 3 invalid.
    """
    source, machine = load_machine(file)
    with _open(context, file, source, machine, seed=0, rlimit=rlimit, jobs=jobs) as session:
        _require_known(session, machine, file)
        entry = session.propose(_edits(patch, session.head_code), patch)
        if as_json:
            _print_verdict(entry)
        else:
            say(describe_entry(entry, session.gate.chapter.task, verbose=True))
        code = OUTCOMES[entry.kind.value]
        if code:
            raise Exit(code)


@click.command()
@click.argument("file")
@json_option
@click.pass_obj
def revision(context: Context, file: str, as_json: bool) -> None:
    """Begin a new chapter with FILE's declarations and code: a person's act, which starts the sum of gains at zero."""
    from godel.checking import check_totality
    from godel.default_search import default_search
    from godel.evolve import begin
    from godel.ledger import Kind
    from godel.store import Store

    source, machine = load_machine(file)
    path = context.store_path(machine.declarations.name)
    if not path.exists():
        raise usage(f"{path} does not exist yet", f"godel evolve {file} makes it")
    checked = _in_order(file, source, lambda: check_totality(machine))
    with Store.open(path) as store:
        entry = begin(
            store,
            machine,
            default_search(),
            source=source,
            seed=0,
            kind=Kind.REVISION,
            chapter=checked.chapter,
        )
    if as_json:
        print_json("revision", entry_json(entry))
    else:
        say(f"{shown_id(entry.id)} revision: a new chapter of {machine.declarations.name}")


def _in_order(file: str, source: str, work: Any) -> Any:
    from dsl.errors import DslError

    try:
        return work()
    except DslError as error:
        raise FileFault(file, source, error) from None


@contextmanager
def _open(
    context: Context,
    file: str,
    source: str,
    machine: Machine,
    *,
    seed: int,
    rlimit: int,
    jobs: int,
) -> Iterator[Session]:
    """The machine's ledger, begun where there is none, with the gate of its chapter."""
    from godel.checking import check_totality
    from godel.default_search import default_search
    from godel.evolve import Session, begin
    from godel.ledger import Kind
    from godel.store import Store

    path = context.store_path(machine.declarations.name)
    checked = None
    if not path.exists():
        checked = _in_order(file, source, lambda: check_totality(machine))
    with Store.open(path, create=not path.exists()) as store:
        if store.head() is None:
            checked = checked or _in_order(file, source, lambda: check_totality(machine))
            begin(
                store,
                machine,
                default_search(),
                source=source,
                seed=seed,
                kind=Kind.GENESIS,
                chapter=checked.chapter,
            )
        chapter = None if checked is None else checked.chapter
        yield Session.resume(store, rlimit=rlimit, threads=jobs, chapter=chapter)


def _require_known(session: Session, machine: Machine, file: str) -> None:
    """FILE must be of the ledger's chapter: its declarations, and the first or the installed code."""
    from dsl.codec import digest_node

    history = session.history
    if digest_node(machine.declarations) != history.declarations:
        raise usage(
            f"the declarations of {file} differ from those of the ledger's chapter",
            f"godel revision {file} begins a new chapter with them",
        )
    if digest_node(machine.agent) not in (history.first, history.head):
        raise usage(
            f"the code of {file} is neither the chapter's first program nor the installed one",
            f"godel propose takes code through the gate; godel checkout @ -o {file} writes the installed one",
        )


def _edits(patch: str, code: Code) -> tuple[Edit, ...]:
    from dataclasses import replace

    from dsl.codec import CodecError, canonical_json
    from dsl.errors import DslError
    from dsl.parser import parse_patch
    from dsl.rewrite import RewriteError, decode_edits, derive_edits

    text = read_text(patch)
    if text.lstrip().startswith("["):
        try:
            data = json.loads(text)
            canonical_json(data)
            return decode_edits(data)
        except (ValueError, CodecError, RecursionError) as error:
            raise usage(f"{patch} holds no list of edits: {error}") from None
    try:
        given = parse_patch(text)
    except DslError as error:
        raise FileFault(patch, text, error) from None
    named = {slot.name: slot for slot in given.slots}
    slots = [named.pop(slot.name, slot) for slot in code.slots]
    at = next((i for i, slot in enumerate(slots) if type(slot).__name__ == "Policy"), len(slots))
    merged = replace(code, slots=(*slots[:at], *named.values(), *slots[at:]))
    try:
        edits = derive_edits(code, merged)
    except RewriteError as error:
        raise usage(f"{patch}: {error}") from None
    if not edits:
        raise usage(f"{patch} changes nothing")
    return edits


def _print_verdict(entry: Entry) -> None:
    body = cast(Any, entry.body)
    claim = body.get("claim") or {}
    data = {
        "verdict": entry.kind.value,
        "gain": claim.get("gain"),
        "id": entry.id,
        "head": entry.id,
    }
    print_json("verdict", {**entry_json(entry), **data})


def _headline(session: Session) -> str:
    history = session.history
    return f"{history.machine}: chapter of {len(history.links)} accepted rewrites, program {shown_id(history.head)}"


class _Watch:
    """Prints entries as they are made; on a terminal, shows that something is going on between them."""

    def __init__(self, session: Session, as_json: bool) -> None:
        self.session, self.as_json = session, as_json
        self.status: Any = None
        if is_terminal() and sys.stdout.isatty() and not as_json:
            from rich.console import Console

            self.status = Console(stderr=True).status("searching …")
            self.status.start()

    def __call__(self, entry: Entry) -> None:
        """One more entry."""
        if self.as_json:
            print_json("entry", entry_json(entry))
        else:
            say(describe_entry(entry, self.session.gate.chapter.task))
        if self.status is not None:
            self.status.update(f"searching … {entry.seq} entries")

    def close(self) -> None:
        """The run is over."""
        if self.status is not None:
            self.status.stop()


__all__ = ["eval_", "evolve", "note", "propose", "revision", "simulate"]
