"""The versions that entries record."""

from __future__ import annotations

from functools import cache
from importlib import metadata

from dsl.codec import Json

KERNEL = 1


@cache
def package_version() -> str:
    """The version of this package."""
    try:
        return metadata.version("godel-machine")
    except metadata.PackageNotFoundError:
        return "0"


@cache
def solver_version() -> str:
    """The version of the solver, without loading it."""
    try:
        return metadata.version("z3-solver")
    except metadata.PackageNotFoundError:
        return "none"


def versions() -> dict[str, Json]:
    """Kernel and solver, as entries record them."""
    return {"kernel": KERNEL, "solver": f"z3 {solver_version()}"}
