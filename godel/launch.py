"""Bound this process, then become a command: `python launch.py MEGABYTES CPU_SECONDS PROCESSES COMMAND WORD…`.

Runs on its own, with the standard library alone. A bound that the system does not know is left out.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Set the bounds and run the command; exit code 126 where it cannot be run."""
    megabytes, seconds, processes = map(int, sys.argv[1:4])
    size = megabytes << 20
    _bound("RLIMIT_AS", size)
    _bound("RLIMIT_DATA", size)
    _bound("RLIMIT_FSIZE", size)
    _bound("RLIMIT_CORE", 0)
    _bound("RLIMIT_CPU", seconds)
    if processes:
        _bound("RLIMIT_NPROC", processes)
    if sys.platform == "linux":
        # where the caller is killed, nobody is left to stop the command
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        os.execv(sys.argv[4], sys.argv[4:])
    except (OSError, ValueError) as error:
        print(f"{sys.argv[4]}: {error}", file=sys.stderr)
        sys.exit(126)


def _bound(name: str, value: int) -> None:
    """Lower one limit, as far as it was not lower."""
    kind = getattr(resource, name, None)
    if kind is None:
        return
    _, hard = resource.getrlimit(kind)
    most = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(kind, (most, most))
    except (OSError, ValueError):
        return


if __name__ == "__main__":
    main()
