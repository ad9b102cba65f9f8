"""Family `external`: a command proposes; it reads a question as JSON and answers in lines of JSON, each a candidate.

Nothing of it is trusted. What it prints is read as a patch from a stranger would be, and goes through the gate.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from typing import Any

from dsl.codec import Json
from dsl.errors import DslError
from dsl.machine import Program
from dsl.rewrite import Edit
from godel.entries import as_text
from godel.families.family import Candidate, Candidates, Family, NothingProposed, Workplace
from godel.families.question import write_question
from godel.patch import edits_of, read_block, read_json
from godel.process import Bounds, Ran, find_command, run_command

TEXT_MAX = 200
PASSED_ON = ("PATH",)
FIXED = {"LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}


def external(
    *,
    command: str,
    seconds: int = 20,
    megabytes: int = 512,
    candidates: int = 16,
    variables: str = "",
) -> Family:
    """The family with these settings: at most `candidates` lines of the command's output are read.

    Of the environment the command gets PATH and the variables that are named. It is asked again as soon as there are
    new verdicts, until it has nothing new to say. Steps are bytes of its output.
    """
    words = shlex.split(command)
    limits = {"seconds": seconds, "megabytes": megabytes, "candidates": candidates}
    bounds = Bounds(seconds, megabytes, candidates)
    passed = (*PASSED_ON, *shlex.split(variables))

    def propose(work: Workplace, program: Program) -> Candidates:
        if work.commands is None:
            raise PermissionError(f"nobody has given leave to run `{command}`")
        unread: list[Json] = []
        asked: str | None = "never"
        while (latest := _latest(work)) != asked:
            asked = latest
            found = find_command(words, work.commands)
            if found is None:
                raise NothingProposed(f"the command cannot be run: there is no {words[0]}", 0)
            question = write_question(work, program, limits=limits, unread=unread)
            given = {name: os.environ[name] for name in passed if name in os.environ}
            ran = run_command(found, question, bounds=bounds, environment={**given, **FIXED})
            answers, unread, steps = _read(work, program, ran)
            if not answers:
                raise NothingProposed(_reason(ran, unread), steps)
            yield from answers
        return 0

    return propose


def _latest(work: Workplace) -> str | None:
    """What tells whether there are new verdicts."""
    return work.attempts[-1].id if work.attempts else None


def _read(work: Workplace, program: Program, ran: Ran) -> tuple[list[Candidate], list[Json], int]:
    """The candidates of an answer, the lines that are none, and the bytes behind the last candidate."""
    answers: list[Candidate] = []
    unread: list[Json] = []
    behind = ran.size - sum(map(len, ran.lines))
    for number, line in enumerate(ran.lines, start=1):
        behind += len(line)
        try:
            edits, note = read_candidate(line, work.block, program)
        except (ValueError, DslError) as error:
            unread.append({"line": number, "reason": _short(_why(error))})
            continue
        note = _short(note) or f"candidate {number}"
        answers.append(
            Candidate(edits, f"{note} ({_short(ran.fault)})" if ran.fault else note, behind)
        )
        behind = 0
    return answers, unread, behind


def read_candidate(line: bytes, block: str, program: Program) -> tuple[tuple[Edit, ...], str]:
    """The edits that one line proposes for a program, and its note. Raises ValueError or DslError for anything else."""
    try:
        data: Any = read_json(line.decode())
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error.msg} at column {error.colno}") from None
    if not isinstance(data, dict) or data.keys() - {"note"} not in ({"patch"}, {"edits"}):
        raise ValueError('it is no object with a "patch" or with "edits", and perhaps a "note"')
    note = data.get("note", "")
    if not isinstance(note, str):
        raise ValueError("its note is no text")
    if "edits" in data:
        edits = edits_of(data["edits"])
    elif isinstance(data["patch"], str):
        edits = _edits_of_patch(data["patch"], block, program)
    else:
        raise ValueError("its patch is no text")
    if not edits:
        raise ValueError("it changes nothing")
    return edits, note


def _edits_of_patch(text: str, block: str, program: Program) -> tuple[Edit, ...]:
    def installed(task: str) -> Any:
        if task != block:
            raise ValueError(f"it is a patch of the {task}, asked for is one of the {block}")
        return program.code

    return read_block(text, installed)[1]


def _why(error: ValueError | DslError) -> str:
    """What is wrong with a candidate, on one line, with its place in a patch."""
    if not isinstance(error, DslError):
        return str(error)
    first = error.diagnostics[0]
    place = (
        f"line {first.span.line}, column {first.span.column} of the patch: "
        if first.span.line
        else ""
    )
    return f"{place}{first.code}: {first.message}"


def _reason(ran: Ran, unread: Sequence[Any]) -> str | None:
    """Why an answer holds no candidate; None where the command simply says nothing."""
    if ran.fault is not None:
        return _short(ran.fault)
    if unread:
        first = unread[0]
        return _short(f"line {first['line']} of the answer is no candidate: {first['reason']}")
    return None


def _short(text: str) -> str:
    shown = as_text(text)
    return shown if len(shown) <= TEXT_MAX else shown[: TEXT_MAX - 1] + "…"
