"""Run commands: in this process, as a process of their own, and on a terminal, a real one or not."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

from godel.cli.main import run

ROOT = Path(__file__).resolve().parent.parent
GODEL = [sys.executable, "-m", "godel"]
SECONDS_MAX = 100
OURS = {"NO_COLOR", "TERM", "COLUMNS", "LINES", "GODEL_TRACEBACK"}  # only a test sets these


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its only line of stdout, as JSON."""
        (line,) = self.out.splitlines()
        return json.loads(line)

    @property
    def lines(self) -> list[Any]:
        """Its lines of stdout, as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


class _Stdin(TextIOWrapper):
    def __init__(self, data: bytes) -> None:
        super().__init__(BytesIO(data), encoding="utf-8")


def godel(*args: str | Path, stdin: bytes = b"") -> Done:
    """Run one command in this process, with the folder that is current."""
    out, err, before = StringIO(), StringIO(), sys.stdin
    sys.stdin = _Stdin(stdin)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = run([str(arg) for arg in args])
    finally:
        sys.stdin = before
    return Done(code, out.getvalue(), err.getvalue())


class _Screen(StringIO):
    """One of the two streams that a terminal shows together."""

    def __init__(self, page: StringIO) -> None:
        super().__init__()
        self.page = page

    def write(self, text: str) -> int:
        """Put text on the page."""
        return self.page.write(text)

    def isatty(self) -> bool:
        """It is one."""
        return True


def on_screen(*args: str) -> tuple[int, str]:
    """Exit code and screen text of a command in this process, told that both of its streams are a terminal."""
    page = StringIO()
    with redirect_stdout(_Screen(page)), redirect_stderr(_Screen(page)):
        code = run(list(args))
    return code, page.getvalue()


def environment(**more: str) -> dict[str, str]:
    """What a process needs to find the packages, whatever the folder and the terminal the tests run in."""
    kept = {k: v for k, v in os.environ.items() if k not in OURS}
    return {**kept, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", **more}


def process(*args: str | Path, cwd: Path, stdin: bytes = b"", **options: Any) -> Done:
    """Run one command as a process whose output goes into pipes."""
    done = subprocess.run(
        [*GODEL, *map(str, args)],
        cwd=cwd,
        env=environment(),
        input=stdin,
        capture_output=True,
        timeout=SECONDS_MAX,
        check=False,
        **options,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


@contextmanager
def started(*args: str | Path, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command that runs beside the test; it has ended afterwards."""
    command = [*GODEL, *map(str, args)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=cwd, env=environment(), stdout=pipe, stderr=pipe) as running:
        try:
            yield running
        finally:
            if running.poll() is None:
                running.kill()


def in_terminal(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stderr: bool = True,
    when: Callable[[str], bool] | None = None,
) -> tuple[int, str]:
    """Exit code and screen text of a command on a terminal of its own, interrupted as by Ctrl-C once `when` holds.

    Without `stderr` only stdout goes there, the rest nowhere.
    """
    ours, theirs = pty.openpty()
    errors = theirs if stderr else subprocess.DEVNULL
    with subprocess.Popen(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=theirs, stderr=errors
    ) as running:
        os.close(theirs)
        screen = b""
        with suppress(OSError):  # this is how a terminal says that nobody writes to it any more
            while piece := os.read(ours, 4096):
                screen += piece
                if when is not None and when(screen.decode(errors="replace")):
                    running.send_signal(signal.SIGINT)
                    when = None
        code = running.wait(SECONDS_MAX)
    os.close(ours)
    return code, screen.decode().replace("\r\n", "\n")
