"""Verbs that run programs and rewrite them: eval, simulate, evolve, propose, revision."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from godel.cli.describe import describe_entry, entry_json, plain
from godel.cli.options import RLIMIT, Rational, json_option, rlimit_option
from godel.cli.output import (
    Context,
    Exit,
    FileFault,
    above,
    below,
    diagnostic_json,
    is_terminal,
    load_machine,
    note,
    print_json,
    progress_bar,
    read_text,
    say,
    show_faults,
    shown_id,
    usage,
)

if TYPE_CHECKING:
    from dsl.errors import Diagnostic
    from dsl.machine import Program
    from dsl.rewrite import Edit
    from dsl.syntax import Code, Machine
    from godel.evolve import Session
    from godel.history import History
    from godel.ledger import Entry
    from proofs.kernel.chapter import Chapter

OUTCOMES = {"accepted": 0, "refused": 10, "undecided": 20, "invalid": 3}

jobs_option = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Premises that Z3 works on at once.",
)
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
@click.option("--policy", metavar="NAME", default="main", help="With --state: another policy.")
@at_option
@json_option
@click.pass_obj
def eval_(
    context: Context,
    file: str,
    expression: str | None,
    state: str | None,
    policy: str,
    at: str | None,
    as_json: bool,
) -> None:
    """Evaluate an EXPRESSION over FILE's constants and functions, or its policy on a state: values and ticks.

    A state may hold memory variables too; where it holds none the memory is at its start.
    """
    if (expression is None) == (state is None):
        raise usage("eval takes an expression or --state", 'godel eval FILE "1 + 2"')
    program, _ = _program(context, file, at)
    if policy not in program.policies:
        raise usage(f"there is no policy {policy}", f"there is {', '.join(program.policies)}")
    if expression is not None:
        _eval_expression(program, expression, as_json)
    elif state == "-":
        for number, line in enumerate(sys.stdin.buffer, start=1):
            if line.strip():
                _print_decision(_decide(program, policy, line, f"line {number}: "), as_json)
    else:
        given = cast(str, state).encode(errors="replace")
        _print_decision(_decide(program, policy, given), as_json)


def _print_decision(decision: dict[str, Any], as_json: bool) -> None:
    """With --json the schema tag stands in front; the lines that drive another program go without."""
    if as_json:
        print_json("decision", decision)
    else:
        say(json.dumps(decision))


def _read_choice(program: Program, text: str) -> tuple[str, Any]:
    """`NAME=VALUE`, with the value read by the type of the name."""
    from dsl.codec import CodecError
    from dsl.types import Enum, Rat, decode_value

    name, sign, value = text.partition("=")
    task = program.task
    kinds = {v.name: v.type for v in (*task.any_states, *task.unknowns, *task.rationals)}
    if not sign or name not in kinds:
        listed = (
            f"what is open here: {', '.join(kinds)}" if kinds else "nothing is open in this world"
        )
        raise usage(f"{text} is no choice of a world", listed)
    kind = kinds[name]
    try:
        if isinstance(kind, Rat):
            return name, decode_value(kind, str(_fraction(value)))
        return name, decode_value(kind, value if isinstance(kind, Enum) else json.loads(value))
    except json.JSONDecodeError:
        raise usage(f"{text} is no choice of a world: {value or 'nothing'} is no value") from None
    except (ValueError, CodecError) as error:
        raise usage(f"{text} is no choice of a world: {error}") from None


def _fraction(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{text or 'nothing'} is no rational such as 1/3") from None


def _program(context: Context, file: str, at: str | None) -> tuple[Program, Chapter]:
    """The checked program of a file, or of a ledger entry under the file's declarations, with the kernel's chapter."""
    from dsl.errors import DslError
    from proofs.kernel.chapter import Chapter, NotTotal

    source, machine = load_machine(file)
    try:
        chapter = Chapter(machine.declarations)
        code = machine.agent if at is None else _code_at(context, machine, at)
        return chapter.program(code), chapter
    except DslError as error:
        raise FileFault(file, source, error) from None
    except NotTotal as error:
        from godel.validity import describe_gap

        raise FileFault(
            file, source, DslError(tuple(describe_gap(g) for g in error.gaps))
        ) from None


def _code_at(context: Context, machine: Machine, at: str) -> Code:
    from godel.cli.ledgers import Book
    from godel.store import Store

    with Store.open(context.store_path(machine.declarations.name), readonly=True) as store:
        book = Book(store)
        return book.program(at)[1]


def _eval_expression(program: Program, expression: str, as_json: bool) -> None:
    from dsl.check import check_expression
    from dsl.errors import DslError
    from dsl.interp import EvaluationFault, evaluate
    from dsl.parser import parse_expression
    from dsl.types import encode_value, show_value

    try:
        tree = parse_expression(expression)
        kind, tree = check_expression(program.names, tree, {})
        value, ticks = evaluate(tree, program.names)
    except DslError as error:
        found = DslError(tuple(_with_state_hint(program, d) for d in error.diagnostics))
        raise FileFault("EXPRESSION", expression, found) from None
    except EvaluationFault as fault:
        from dsl.errors import Diagnostic

        broken = Diagnostic(fault.code, str(fault), fault.node.span)
        raise FileFault("EXPRESSION", expression, DslError((broken,))) from None
    if as_json:
        print_json("eval", {"value": encode_value(kind, value), "ticks": ticks})
    else:
        say(f"{show_value(kind, value)}  ({ticks} tick{'' if ticks == 1 else 's'})")


def _with_state_hint(program: Program, fault: Diagnostic) -> Diagnostic:
    """Whoever asks for a variable of the machine is told what can be asked."""
    from dataclasses import replace

    task = program.task
    variables = {v.name for v in (*task.states, *task.actions, *program.memories)}
    if fault.code != "G006" or fault.message.rsplit(" ", 1)[-1] not in variables:
        return fault
    return replace(
        fault,
        help="an expression reads constants and functions alone; --state runs the policy on a state",
    )


def _decide(program: Program, policy: str, text: bytes, where: str = "") -> dict[str, Any]:
    from dsl.codec import CodecError
    from dsl.types import decode_value, encode_value

    def encode_named(variables: Any, values: Any) -> dict[str, Any]:
        return {v.name: encode_value(v.type, x) for v, x in zip(variables, values, strict=True)}

    try:
        data = json.loads(text.decode())
        if not isinstance(data, dict):
            raise CodecError("expected an object")
        observed = {v.name: v for v in program.task.observed}
        kept = {v.name: v for v in program.memories}
        if data.keys() not in (observed.keys(), observed.keys() | kept.keys()):
            raise CodecError(f"a state holds {', '.join([*observed, *kept])}")
        state = {name: decode_value(v.type, data[name]) for name, v in observed.items()}
        memory = tuple(decode_value(v.type, data[n]) for n, v in kept.items() if n in data)
    except (ValueError, RecursionError) as error:
        given = text.strip()[:80].decode(errors="replace")
        raise usage(f"{where}{given} is no state: {error}") from None
    decided = program.decide(state, memory or None, policy=policy)
    shown: dict[str, Any] = {"actions": encode_named(program.task.actions, decided.actions)}
    if kept:
        shown["memory"] = encode_named(program.memories, decided.memory)
    return {**shown, "ticks": decided.ticks}


@click.command()
@click.argument("file")
@click.option("--episodes", type=click.IntRange(2), default=10_000, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--world",
    "world",
    multiple=True,
    metavar="NAME=VALUE",
    help="The value of an unknown or of an `any` start; the first or middle one where it is not given.",
)
@at_option
@json_option
@click.pass_obj
def simulate(
    context: Context,
    file: str,
    episodes: int,
    seed: int,
    world: tuple[str, ...],
    at: str | None,
    as_json: bool,
) -> None:
    """Run the agent of FILE in one world: the mean return with its interval, beside the proved bounds over all worlds."""
    from godel.claims import encode_world
    from godel.simulate import simulate_program
    from proofs.explicit import TooLarge

    program, chapter = _program(context, file, at)
    task = program.task
    try:
        with progress_bar("episodes", episodes) as progress:
            found = simulate_program(
                chapter,
                program,
                episodes=episodes,
                seed=seed,
                chosen=dict(_read_choice(program, text) for text in world),
                progress=progress,
            )
    except (ValueError, TooLarge) as error:
        raise usage(str(error)) from None
    where: Any = encode_world(found.world, task)
    if as_json:
        print_json(
            "simulate",
            {
                "episodes": episodes,
                "seed": seed,
                "world": where,
                "mean": found.mean,
                "half_width": found.half_width,
                "steps": found.steps,
                "lower": None if found.lower is None else str(found.lower),
                "upper": None if found.upper is None else str(found.upper),
                "cut": found.cut or None,
                "tail": found.tail if found.cut else None,
            },
        )
        return
    say(
        f"mean return of {episodes:,} episodes  {found.mean:.6f} ± {found.half_width:.6f}  (95 %, seed {seed})"
    )
    if where:
        say(f"in the world where              {', '.join(f'{n} = {plain(v)}' for n, v in where)}")
    if found.lower is None or found.upper is None:
        say(f"proved bounds                   none: {found.reason}")
    else:
        say(f"proved bounds                   {below(found.lower)} .. {above(found.upper)}")
    if found.cut:
        say(
            f"episodes are cut after {found.cut:,} step{'s' * (found.cut != 1)}; "
            f"at the rewards met, what follows is worth at most {found.tail:.1e}"
        )


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
@click.option(
    "--strict", is_flag=True, help="Cut the run when an attempt leaves the declared search world."
)
@click.option(
    "--keep-searcher",
    is_flag=True,
    help="Let no family rewrite the searcher, to see what such rewrites are worth.",
)
@click.option(
    "--allow-external",
    "allowed",
    is_flag=True,
    help="Run the commands that FILE names, with your rights.",
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
    strict: bool,
    keep_searcher: bool,
    allowed: bool,
    rlimit: int,
    seed: int,
    jobs: int,
    as_json: bool,
) -> None:
    """Let the machine in FILE rewrite itself, each rewrite proved by Z3 and checked again by the kernel."""
    from godel.evolve import Limits

    source, machine = load_machine(file)
    commands = Path(file).parent.absolute() if allowed else None
    if not allowed:
        _require_no_commands(machine, file)
    with _open(
        context, file, source, machine, seed=seed, rlimit=rlimit, jobs=jobs, commands=commands
    ) as session:
        _require_known(session, machine, file)
        if not as_json:
            say(_headline(session))
        with _Watch(as_json) as watch:
            session.evolve(Limits(attempts, budget, gap, strict, keep_searcher), watch)


@click.command()
@click.argument("file")
@click.argument("patch")
@click.option(
    "--target",
    type=click.Choice(["agent", "searcher"]),
    help="Whose code a JSON list of edits rewrites; the agent's where it is not given.",
)
@rlimit_option
@jobs_option
@json_option
@click.pass_obj
def propose(
    context: Context,
    file: str,
    patch: str,
    target: str | None,
    rlimit: int,
    jobs: int,
    as_json: bool,
) -> None:
    """Take PATCH through the gate: an `agent { }` or `searcher { }` block whose items replace those of the same name, or a
    JSON list of edits.

    The verdict is the exit code: 0 accepted, 10 refused, 20 undecided, 3 invalid.
    """
    source, machine = load_machine(file)
    with _open(context, file, source, machine, seed=0, rlimit=rlimit, jobs=jobs) as session:
        _require_known(session, machine, file)
        text = read_text(patch)
        try:
            task, edits = _edits(patch, text, session, target)
        except FileFault as fault:
            if as_json:
                _print_unread(session, fault)
            raise
        with _Watch(as_json, "proving"):
            faults = _faults(session, task, edits)
            entry = session.propose(edits, patch, task)
        if as_json:
            _print_verdict(entry)
        else:
            say(describe_entry(entry, verbose=True))
        if faults:
            note(show_faults(patch, text, faults))
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
    from godel.evolve import begin, search_of
    from godel.gate import NotKept, require_kept
    from godel.history import read_history
    from godel.ledger import Kind
    from godel.store import Store

    source, machine = load_machine(file)
    path = context.store_path(machine.declarations.name)
    if not path.exists():
        raise usage(f"{path} does not exist yet", f"godel evolve {file} makes it")
    checked = _in_order(file, source, lambda: check_totality(machine))
    try:
        require_kept(checked.chapter, checked.program, rlimit=RLIMIT)
    except NotKept as error:
        raise usage(
            f"the code of {file} is not proved to keep a requirement: {error}",
            "a new chapter begins with a program that keeps all of them",
        ) from None
    with Store.open(path) as store:
        history = read_history(store.entries(), store.blob)
        _require_same_machine(history, machine, file)
        entry = begin(
            store,
            machine,
            search_of(machine, default_search),
            source=source,
            seed=0,
            kind=Kind.REVISION,
            chapter=checked.chapter,
        )
    if as_json:
        print_json("revision", entry_json(entry))
    else:
        say(f"{shown_id(entry.id)} revision: a new chapter of {machine.declarations.name}")
        if checked.program.digest != history.head:
            note(
                f"note: it begins with the code of {file}, not with the program installed before, "
                f"{shown_id(history.head)}"
            )


def _in_order(file: str, source: str, work: Any) -> Any:
    from dsl.errors import DslError

    try:
        with _Watch(False, "checking"):
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
    commands: Path | None = None,
) -> Iterator[Session]:
    """The machine's ledger, begun where there is none, with the gate of its chapter."""
    from godel.checking import check_totality
    from godel.default_search import default_search
    from godel.evolve import Session, begin, search_of
    from godel.ledger import Kind
    from godel.store import Store

    path = context.store_path(machine.declarations.name)
    checked = chapter = None
    if not path.exists():
        # leave nothing behind where the file is at fault
        checked = _in_order(file, source, lambda: check_totality(machine))
    with Store.open(path, create=True) as store:
        # a process may have been killed when it had made the file and nothing else, or another has begun it meanwhile
        if store.head() is None:
            checked = checked or _in_order(file, source, lambda: check_totality(machine))
            entry = begin(
                store,
                machine,
                search_of(machine, default_search),
                source=source,
                seed=seed,
                kind=Kind.GENESIS,
                chapter=(chapter := checked.chapter),
                rlimit=rlimit,
            )
            _note_unkept(chapter, entry)
        yield Session.resume(store, rlimit=rlimit, threads=jobs, chapter=chapter, commands=commands)


def _require_no_commands(machine: Machine, file: str) -> None:
    """A machine file that names commands runs none of them before a person says so."""
    from dsl.search import families_of
    from dsl.syntax import Text
    from godel.entries import as_text
    from godel.families.kinds import KINDS

    for family in () if machine.search is None else families_of(machine.search):
        if family.kind not in KINDS or not KINDS[family.kind].outside:
            continue
        named = [
            o.value.value
            for o in family.options
            if o.key == "command" and isinstance(o.value, Text)
        ]
        what = f"`{as_text(named[0])}`" if named else "a command"
        raise usage(
            f"{file} names a command to run: {what}, for the family {family.name}",
            "with --allow-external it runs, with all rights that you have: read the file and the command first",
        )


def _note_unkept(chapter: Chapter, entry: Entry) -> None:
    """Say which requirements are not proved of the first program; rewrites must keep them all the same."""
    kept = {k["name"] for k in cast(Any, entry.body)["requirements"]}
    for requirement in chapter.task.requirements:
        if requirement.name not in kept:
            note(
                f"note: the first program is not proved to keep the requirement {requirement.name}"
            )


def _require_known(session: Session, machine: Machine, file: str) -> None:
    """FILE must be of the ledger's chapter: its declarations, and the first or the installed code."""
    from dsl.codec import digest_node
    from dsl.search import SEARCHER

    history = session.history
    _require_same_machine(history, machine, file)
    if digest_node(machine.declarations) != history.declarations:
        raise usage(
            f"the declarations of {file} differ from those of the ledger's chapter",
            f"godel revision {file} begins a new chapter with them",
        )
    agent = history.agent
    own = None if machine.search is None else digest_node(machine.search)
    if own != (history.search_digest if history.own_search else None):
        raise usage(
            f"the search of {file} differs from that of the ledger's chapter",
            f"godel revision {file} begins a new chapter with it",
        )
    searcher = history.tasks[SEARCHER]
    known = machine.searcher is None or digest_node(machine.searcher) in (
        searcher.first,
        searcher.head,
    )
    if not known:
        raise usage(
            f"the searcher of {file} is neither the chapter's first nor the installed one",
            "godel propose takes a searcher block through the gate",
        )
    if digest_node(machine.agent) not in (agent.first, agent.head):
        raise usage(
            f"the code of {file} is neither the chapter's first program nor the installed one",
            "godel propose takes an agent block through the gate; "
            "godel checkout @ -o OTHER.godel writes the installed program as a file",
        )


def _require_same_machine(history: History, machine: Machine, file: str) -> None:
    """A ledger is one machine's."""
    name = machine.declarations.name
    if history.machine != name:
        raise usage(
            f"{file} declares the machine {name}, this is the ledger of {history.machine}",
            "godel --store FILE … names another ledger",
        )


def _edits(
    patch: str, text: str, session: Session, target: str | None
) -> tuple[str, tuple[Edit, ...]]:
    """The task and the edits that a patch stands for: as they are written, or what they change in the installed code."""
    from dsl.errors import DslError
    from dsl.search import AGENT
    from godel.patch import read_block, read_edits

    try:
        if text.lstrip().startswith("["):
            return target or AGENT, read_edits(text)
        task, edits = read_block(text, session.installed)
    except DslError as error:
        raise FileFault(patch, text, error) from None
    if not edits:
        raise usage(f"{patch} changes nothing")
    return task, edits


def _faults(session: Session, task: str, edits: tuple[Edit, ...]) -> list[Diagnostic]:
    """What is wrong with code that a patch brings, where it can be shown in the patch."""
    from dsl.errors import DslError
    from dsl.rewrite import RewriteError, apply_rewrite
    from godel.validity import describe_gap
    from proofs.kernel.chapter import NotTotal
    from proofs.kernel.totality import Broken

    try:
        new = apply_rewrite(session.installed(task), edits)
        session.benches[task].gate.chapter.program(new)
    except RewriteError:
        return []
    except DslError as error:
        found = list(error.diagnostics)
    except NotTotal as error:
        found = [describe_gap(gap) for gap in error.gaps if isinstance(gap, Broken)]
    else:
        return []
    return [d for d in found if d.span.line]


def _print_unread(session: Session, fault: FileFault) -> None:
    """The verdict on a patch that cannot be read: no attempt was made, so that there is no entry."""
    last = session.history.last
    diagnostics = [diagnostic_json(fault.path, d) for d in fault.error.diagnostics]
    verdict = {"verdict": "invalid", "gain": None, "id": None, "head": last.id if last else None}
    print_json("verdict", {"diagnostics": diagnostics, **verdict})


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
    count = len(history.links)
    rewrites = f"{count} accepted rewrite{'s' * (count != 1)}"
    return f"{history.machine}: chapter of {rewrites}, program {shown_id(history.head)}"


class _Watch:
    """Prints entries as they are made; on a terminal, shows that something is going on between them."""

    def __init__(self, as_json: bool, doing: str = "searching") -> None:
        self.as_json, self.doing = as_json, doing
        self.status: Any = None

    def __enter__(self) -> _Watch:
        if is_terminal() and sys.stdout.isatty() and not self.as_json:
            from rich.console import Console

            self.status = Console(stderr=True).status(f"{self.doing} …")
            self.status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.status is not None:
            self.status.stop()

    def __call__(self, entry: Entry) -> None:
        """One more entry."""
        if self.as_json:
            print_json("entry", entry_json(entry))
            return
        if self.status is not None:
            self.status.stop()  # or the line would be printed into the one that moves
        say(describe_entry(entry))
        if self.status is not None and entry.kind.value != "ended":
            self.status.update(f"{self.doing} … after entry {entry.seq}")
            self.status.start()
