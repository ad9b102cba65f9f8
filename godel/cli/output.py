"""What verbs print: data on stdout, everything else on stderr, exact numbers rounded to the safe side."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dsl.errors import Diagnostic, DslError
    from dsl.syntax import Machine

DIGITS = 6


class Exit(Exception):
    """Leave with an exit code; everything has been said."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(str(code))


class Context:
    """What the options before the verb say."""

    def __init__(self, store: str | None) -> None:
        self.store = store
        self.used: Path | None = None

    def store_path(self, name: str) -> Path:
        """Where the ledger of a machine is."""
        self.used = Path(self.store) if self.store else Path(".godel") / f"{name}.db"
        return self.used

    def found_store(self) -> Path:
        """The ledger that is meant where no machine is named: the one given, or the only one there is."""
        if self.store:
            return Path(self.store)
        found = _ledgers_here()
        if len(found) == 1:
            return found[0]
        if not found:
            raise usage(
                "no ledger under .godel/ here",
                "godel evolve FILE makes one; --store names one elsewhere",
            )
        names = ", ".join(str(path) for path in found)
        raise usage(f"several ledgers: {names}", "godel --store FILE … names one")


def _ledgers_here() -> list[Path]:
    return sorted(Path(".godel").glob("*.db"))


class Misuse(click.UsageError):
    """A well-formed command that asks for what is not there (exit code 2); shown without the verb's synopsis."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Say it."""
        note(f"error: {self.message}")


def usage(message: str, hint: str | None = None) -> click.UsageError:
    """A usage error with a hint (exit code 2)."""
    return Misuse(message + (f"\nhint: {hint}" if hint else ""))


def command(*words: str) -> str:
    """A command for the reader to run next, on the ledger that this one used."""
    import shlex

    found = click.get_current_context(silent=True)
    context = found.find_object(Context) if found else None
    store: list[str] = []
    if context is not None and (context.store or (context.used and len(_ledgers_here()) > 1)):
        store = ["--store", str(context.store or context.used)]
    return shlex.join(["godel", *store, *words])


def say(text: str = "") -> None:
    """Print data."""
    click.echo(text)


def note(text: str = "") -> None:
    """Print what is not data."""
    click.echo(text, err=True)


def print_json(schema: str, data: dict[str, Any]) -> None:
    """Print one JSON object with its schema tag."""
    click.echo(json.dumps({"schema": f"godel/{schema}/1", **data}, ensure_ascii=False))


def is_terminal() -> bool:
    """Whether a person watches stderr, on a terminal that can move its cursor."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def styled(text: str, **style: Any) -> str:
    """Colour on a terminal that wants it."""
    dumb = os.environ.get("TERM") == "dumb"
    if not sys.stdout.isatty() or dumb or os.environ.get("NO_COLOR"):
        return text
    return click.style(text, **style)


def shown_id(name: str) -> str:
    """An id for the eye: its first twelve digits on a terminal, all of them in a pipe, where a program may read it."""
    return name[:12] if sys.stdout.isatty() else name


def room() -> int | None:
    """How many columns a line has on the terminal; None in a pipe, and where the terminal does not say."""
    if not sys.stdout.isatty():
        return None
    try:
        given = os.environ.get("COLUMNS", "")
        return int(given or os.get_terminal_size(sys.stdout.fileno()).columns) or None
    except (OSError, ValueError):
        return None


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[Callable[[int], None] | None]:
    """A progress bar on a terminal, moved by calling what is yielded with the part done; elsewhere None."""
    if not is_terminal():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.update(task, completed=done)


# --- numbers -------------------------------------------------------------------------------------


def below(value: Fraction, digits: int = DIGITS) -> str:
    """A lower bound for the eye: an integer as it is, anything else rounded down to so many digits."""
    return _decimal(value, (value * 10**digits).__floor__(), digits)


def above(value: Fraction, digits: int = DIGITS) -> str:
    """An upper bound for the eye: an integer as it is, anything else rounded up to so many digits."""
    return _decimal(value, (value * 10**digits).__ceil__(), digits)


def _decimal(value: Fraction, scaled: int, digits: int) -> str:
    if value.denominator == 1:
        return str(value)
    whole, rest = divmod(abs(scaled), 10**digits)
    return f"{'-' if scaled < 0 else ''}{whole}.{rest:0{digits}d}"


# --- files ---------------------------------------------------------------------------------------


def read_text(path: str) -> str:
    """The text of a machine or patch file, `-` for standard input.

    A usage error where it cannot be read, FileFault where it is too large or not UTF-8.
    """
    from dsl.limits import BYTES_MAX

    data = read_bytes(path, BYTES_MAX + 1)
    if len(data) > BYTES_MAX:
        raise _fault(path, "G043", "the file is larger than 1 MiB")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _fault(path, "G044", f"line {line} is not UTF-8") from None


def read_bytes(path: str, limit: int = -1) -> bytes:
    """At most `limit` bytes of a file, `-` for standard input; a usage error where it cannot be read."""
    try:
        if path == "-":
            return sys.stdin.buffer.read(limit)
        with Path(path).open("rb") as file:
            return file.read(limit)
    except (OSError, ValueError) as error:  # the latter for names with a zero byte
        reason = error.strerror if isinstance(error, OSError) else error
        raise usage(f"cannot read {path}: {reason}") from None


def _fault(path: str, code: str, message: str) -> FileFault:
    from dsl.errors import Diagnostic, DslError

    return FileFault(path, "", DslError((Diagnostic(code, message),)))


def write_text(path: str, text: str) -> None:
    """Write a file; a usage error where that cannot be done."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise usage(f"cannot write {path}: {error.strerror}") from None


def load_machine(path: str) -> tuple[str, Machine]:
    """Text and tree of a machine file."""
    from dsl.errors import DslError
    from dsl.parser import parse_machine

    text = read_text(path)
    try:
        return text, parse_machine(text)
    except DslError as error:
        raise FileFault(path, text, error) from None


class FileFault(Exception):
    """Faults in a file, with its text to show them in (exit code 3)."""

    def __init__(self, path: str, source: str, error: DslError) -> None:
        self.path, self.source, self.error = path, source, error
        super().__init__(path)


def show_faults(path: str, source: str, diagnostics: Iterable[Diagnostic]) -> str:
    """Faults as a reader sees them."""
    from dsl.errors import render

    return "\n\n".join(render(d, source=source, filename=path) for d in diagnostics)


def diagnostic_json(path: str, diagnostic: Diagnostic) -> dict[str, Any]:
    """A fault as JSON, with a span that an editor can use."""
    span = diagnostic.span
    return {
        "file": path,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "notes": list(diagnostic.notes),
        "help": diagnostic.help,
        "span": None
        if span.line == 0
        else {
            "line": span.line,
            "column": span.column,
            "end_line": span.end_line,
            "end_column": span.end_column,
        },
    }


def fail_text(error: Exception) -> int:
    """Say what went wrong; returns the exit code."""
    from dsl.codec import CodecError
    from dsl.errors import DslError
    from godel.ledger import LedgerError
    from proofs.kernel.theorem import CertificateError

    if isinstance(error, FileFault):
        note(show_faults(error.path, error.source, error.error.diagnostics))
        return 3
    if isinstance(error, DslError):
        note(show_faults("-", "", error.diagnostics))
        return 3
    if isinstance(error, LedgerError):
        note(f"error: {error}")
        return 30 if error.seq is not None else 2
    if isinstance(error, CertificateError | CodecError):
        note(f"error: the evidence does not hold: {error}")
        return 30
    if isinstance(error, OSError):
        note(f"error: {error}")
        return 1
    if isinstance(error, ModuleNotFoundError) and error.name in ("z3", "lark", "networkx"):
        package = "z3-solver" if error.name == "z3" else error.name
        note(f"error: {error.name} is not installed\nhint: pip install {package}")
        return 1
    note(f"internal error: {type(error).__name__}: {error}")
    note("this is a fault of godel itself, please report it; GODEL_TRACEBACK=1 shows where")
    if os.environ.get("GODEL_TRACEBACK"):
        import traceback

        traceback.print_exception(error)
    return 1
