"""Run a command that is not trusted: bounded in time, memory, processes and output, and gone afterwards with its group.

It runs in an empty folder that is removed, with an environment of a few words. It is not shut in: it may read and write
whatever its user may, and use the network. A process that makes a session of its own outlives it, until it has used up
its processor time.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile, mkdtemp
from time import monotonic

LAUNCH = Path(__file__).with_name("launch.py")
PIECE = 1 << 16
ERRORS_KEPT = 4_096
PROCESSES = 64
"""How many processes more than there are now its user may have, where the system counts them and heeds it."""
TICK_SECONDS = 0.02
REAP_SECONDS = 5
CANNOT_RUN = 126


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a command may run, how much memory each of its processes may have, and how much it may print."""

    seconds: int
    megabytes: int
    lines: int
    bytes: int = 1 << 22


@dataclass(frozen=True, slots=True)
class Ran:
    """The whole lines that a command printed, the bytes of its output that were read, and what went wrong, in words."""

    lines: tuple[bytes, ...]
    size: int
    fault: str | None


class _Stopped(Exception):
    """The command is not waited for any longer."""


def find_command(words: Sequence[str], folder: Path) -> list[str] | None:
    """The words to run a command by, or None where there is no such program.

    A program named without a slash is looked for on the PATH. A relative name with a slash, and every further word that
    names a file under `folder`, stand for that file.
    """
    first, *rest = words
    found = str(folder / first) if "/" in first else shutil.which(first)
    if found is None or not os.access(found, os.X_OK) or Path(found).is_dir():
        return None
    return [str(Path(found).absolute()), *(_in_folder(word, folder) for word in rest)]


def _in_folder(word: str, folder: Path) -> str:
    try:
        path = folder / word
        return str(path.absolute()) if path.is_file() else word
    except (OSError, ValueError):
        return word


def run_command(
    words: Sequence[str], data: bytes, *, bounds: Bounds, environment: Mapping[str, str]
) -> Ran:
    """Run a command with some input; its first word is the path of a program."""
    with _empty_folder() as folder, TemporaryFile() as given:
        given.write(data)
        given.seek(0)
        cpu = bounds.seconds * (os.cpu_count() or 1) + 1
        limits = [str(bounds.megabytes), str(cpu), str(_processes_max())]
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAUNCH), *limits, *words],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={**environment, "HOME": folder, "TMPDIR": folder},
            start_new_session=True,
        )
        listener = _Listener(process, bounds)
        try:
            listener.listen()
        finally:
            _kill(process)
        return listener.ran()


class _Listener:
    """Reads what a command prints until it has said enough, has ended, or is out of time."""

    def __init__(self, process: subprocess.Popen[bytes], bounds: Bounds) -> None:
        self.process, self.bounds = process, bounds
        self.lines: list[bytes] = []
        self.rest = b""
        self.errors = b""
        self.size = 0
        self.stopped: str | None = None
        self.complete = False

    def listen(self) -> None:
        """Read to the end, whatever end it is."""
        assert self.process.stdout is not None and self.process.stderr is not None
        deadline = monotonic() + self.bounds.seconds
        with selectors.DefaultSelector() as selector, suppress(_Stopped):
            for pipe in (self.process.stdout, self.process.stderr):
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, selectors.EVENT_READ)
            while True:
                left = deadline - monotonic()
                if left <= 0:
                    self._stop(f"the command was stopped after {self.bounds.seconds} s")
                ended = self._has_ended()
                for key, _ in selector.select(0 if ended else min(left, TICK_SECONDS)):
                    if not self._read(key.fd):
                        selector.unregister(key.fileobj)
                if ended:
                    # what it has printed stands in the pipe; what runs on in its name is not waited for
                    while self._read(self.process.stdout.fileno()):
                        pass
                    self.complete = True
                    return

    def _has_ended(self) -> bool:
        """Whether the command has ended; it is not reaped yet, so that its number is no other process's."""
        found = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return found is not None

    def _read(self, pipe: int) -> bool:
        """Read one piece; False where there is none. Raises _Stopped where it is enough."""
        try:
            piece = os.read(pipe, PIECE)
        except BlockingIOError:
            return False
        assert self.process.stdout is not None
        if pipe != self.process.stdout.fileno():
            self.errors = (self.errors + piece)[-ERRORS_KEPT:]
            return bool(piece)
        self.size += len(piece)
        *lines, self.rest = (
            (self.rest + piece).split(b"\n") if b"\n" in piece else [self.rest + piece]
        )
        self.lines += (line for line in lines if line.strip())
        if len(self.lines) >= self.bounds.lines:
            self.lines, self.rest = self.lines[: self.bounds.lines], b""
            raise _Stopped
        if self.size > self.bounds.bytes:
            self._stop(f"the command printed more than {self.bounds.bytes:,} bytes")
        return bool(piece)

    def _stop(self, why: str) -> None:
        self.stopped = why
        raise _Stopped

    def ran(self) -> Ran:
        """What came of it, once the command is gone."""
        fault = self.stopped
        if self.complete:
            if self.rest.strip():
                self.lines.append(self.rest)
            fault = self._ending()
        return Ran(tuple(self.lines), self.size, fault)

    def _ending(self) -> str | None:
        """What is wrong with how the command ended, with the last that it said about it."""
        code = self.process.returncode
        if code == 0:
            return None
        last = [line for line in self.errors.decode(errors="replace").splitlines() if line.strip()]
        said = f": {last[-1].strip()}" if last else ""
        if code == CANNOT_RUN:
            return f"the command cannot be run{said}"
        if code is not None and code < 0:
            return f"the command was ended by {_signal_name(-code)}{said}"
        return f"the command ended with exit code {code}{said}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the command and all of its group, and let go of its output."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    # one that runs with other rights cannot be ended by us
    with suppress(subprocess.TimeoutExpired):
        process.wait(REAP_SECONDS)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _processes_max() -> int:
    """How many processes and threads the user may have; 0 where the system does not say how many there are."""
    count = 0
    with suppress(OSError):
        for path in Path("/proc").iterdir():
            # processes come and go meanwhile
            with suppress(OSError):
                if path.name.isdigit() and path.stat().st_uid == os.getuid():
                    count += sum(1 for _ in (path / "task").iterdir())
    return count + PROCESSES if count else 0


@contextmanager
def _empty_folder() -> Iterator[str]:
    """A new folder, removed afterwards as far as the system lets us."""
    folder = mkdtemp(prefix="godel-")
    try:
        yield folder
    finally:
        with suppress(OSError, RecursionError):
            shutil.rmtree(folder, ignore_errors=True)
