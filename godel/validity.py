"""Whether edits lead to a program at all: they apply, the result checks, and the kernel proves it total."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dsl import syntax as s
from dsl.codec import CodecError, Json
from dsl.errors import Diagnostic, DslError
from dsl.machine import Program
from dsl.rewrite import Edit, RewriteError, apply_rewrite
from dsl.types import show_value
from godel.entries import as_text
from proofs.kernel.chapter import Chapter, NotTotal
from proofs.kernel.theorem import CertificateError
from proofs.kernel.totality import Broken, Gap


@dataclass(frozen=True, slots=True)
class Valid:
    """Code that is a program, proved total."""

    code: s.Code
    program: Program


@dataclass(frozen=True, slots=True)
class NotValid:
    """Edits that do not apply, or code that is no program: why, on one line, and each fault with a point that shows it."""

    reason: str
    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class NotShown:
    """Code whose totality is neither proved nor broken."""

    code: s.Code
    reason: str


def judge_validity(
    chapter: Chapter, old: s.Code, edits: tuple[Edit, ...]
) -> Valid | NotValid | NotShown:
    """What the edits make of the old code."""
    try:
        new = apply_rewrite(old, edits)
    except RewriteError as error:
        return NotValid(as_text(str(error)), ())
    try:
        return Valid(new, chapter.program(new))
    except DslError as error:
        return NotValid("the new code does not check", error.diagnostics)
    except NotTotal as error:
        broken = [gap for gap in error.gaps if isinstance(gap, Broken)]
        if broken:
            return NotValid("the new code is not total", tuple(map(describe_gap, broken)))
        reason = f"totality is neither proved nor broken: {error.gaps[0].message}"
        return NotShown(new, reason)
    except (CertificateError, CodecError) as error:
        return NotValid(as_text(str(error)), ())


def describe_gap(gap: Gap) -> Diagnostic:
    """A gap as a diagnostic, with the point that shows it."""
    notes: tuple[str, ...] = ()
    if isinstance(gap, Broken):
        where = ", ".join(f"{name} = {show_value(kind, value)}" for name, kind, value in gap.point)
        parts = [f"at {where}" if where else "", gap.met]
        notes = (" ".join(part for part in parts if part),) if any(parts) else ()
    return Diagnostic(gap.code, gap.message, gap.node.span, notes, _advice(gap))


def _advice(gap: Gap) -> str | None:
    """How the fault is usually mended."""
    if isinstance(gap, Broken) and not gap.point and gap.code != "G015":
        return None  # it fails whatever the state is
    ends = re.search(r"(?:range|outside) (\S+)\.\.(\S+)$", gap.message)
    match gap.code:
        case "G012" | "G014" if ends:
            return f"clamp(…, {ends[1]}, {ends[2]})"
        case "G013":
            return "guard it: if … != 0 then … else …"
        case "G015":
            return "add the arm that is missing, or else: …"
        case _:
            return None


def encode_diagnostic(diagnostic: Diagnostic) -> Json:
    """A fault of an invalid attempt, as the ledger records it."""
    return {
        "code": diagnostic.code,
        "message": diagnostic.message,
        "notes": list(diagnostic.notes),
        "help": diagnostic.help,
    }
