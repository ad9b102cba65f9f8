"""The versions that entries record."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dsl.codec import Json

VERSION = "0.1.0"  # of this package; the build reads it from here
KERNEL = 2


@cache
def solver_version() -> str:
    """The version of the solver, without loading it."""
    from importlib import metadata

    try:
        return metadata.version("z3-solver")
    except metadata.PackageNotFoundError:
        return "none"


def versions() -> dict[str, Json]:
    """Kernel and solver, as entries record them."""
    return {"kernel": KERNEL, "solver": f"z3 {solver_version()}"}
