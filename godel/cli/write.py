"""Verbs for writing machine files: new, check, fmt, explain, import."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from godel.cli.options import json_option
from godel.cli.output import (
    Exit,
    FileFault,
    diagnostic_json,
    load_machine,
    note,
    print_json,
    read_text,
    say,
    show_faults,
    usage,
    write_text,
)

TEMPLATE = """# {name}: walk to the right end of a corridor; what a step brings is declared, how to walk is code.
machine {name}

enum Move {{ left, stay, right }}

environment {{
  state pos: int 0..5 = 0
  action move: Move
  chance slip: bool = {{ true: 1/10, false: 9/10 }}
  let wanted = match move {{ left: -1, stay: 0, right: 1 }}
  pos'   = clamp(pos + (if slip then 0 else wanted), 0, 5)
  reward = if pos' == 5 then 1 else 0
}}

utility {{ discount 9/10 }}

agent {{
  table PLAN: array[6] of Move = [for i in 0..5: stay]
  policy {{ move = PLAN[pos] }}
}}
"""


@click.command()
@click.argument("name")
@json_option
def new(name: str, as_json: bool) -> None:
    """Write NAME.godel, a small machine to begin with."""
    from dsl.syntax import KEYWORDS

    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or name in KEYWORDS:
        raise usage(
            f"{name} is no name for a machine", "letters, digits and _, and no word of the language"
        )
    path = Path(f"{name}.godel")
    if path.exists():
        raise usage(f"{path} exists already")
    write_text(str(path), TEMPLATE.format(name=name))
    if as_json:
        print_json("written", {"file": str(path)})
    else:
        say(f"wrote {path}; now: godel evolve {path}")


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@click.option("--obligations", is_flag=True, help="List every obligation that was proved.")
@json_option
def check(files: tuple[str, ...], obligations: bool, as_json: bool) -> None:
    """Parse FILEs, check names and types, and prove that every expression always has a value."""
    from dsl.errors import DslError
    from godel.checking import check_totality

    reports: list[dict[str, Any]] = []
    failed = False
    for path in files:
        source = ""
        try:
            source, machine = load_machine(path)
            checked = check_totality(machine)
        except (DslError, FileFault) as fault:
            failed = True
            error = fault.error if isinstance(fault, FileFault) else fault
            reports.append(
                {
                    "file": path,
                    "ok": False,
                    "diagnostics": [diagnostic_json(path, d) for d in error.diagnostics],
                }
            )
            if not as_json:
                note(show_faults(path, getattr(fault, "source", source), error.diagnostics))
            continue
        count = len(checked.obligations)
        reports.append(
            {
                "file": path,
                "ok": True,
                "machine": machine.declarations.name,
                "declarations": checked.chapter.digest,
                "code": checked.program.digest,
                "nodes": checked.program.size,
                "obligations": list(checked.obligations),
                "diagnostics": [],
            }
        )
        if not as_json:
            say(
                f"{path}: in order; {count} obligation{'s' * (count != 1)} proved, "
                f"{checked.program.size} nodes of code"
            )
            for text in checked.obligations if obligations else ():
                say(f"  {text}")
    if as_json:
        print_json("check", {"files": reports})
    if failed:
        raise Exit(3)


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@click.option(
    "--check",
    "only_check",
    is_flag=True,
    help="Change nothing; exit 3 where a file is not in canonical form.",
)
@json_option
def fmt(files: tuple[str, ...], only_check: bool, as_json: bool) -> None:
    """Bring FILEs into canonical form; comments stay. `-` reads stdin and writes stdout."""
    from dsl.errors import DslError
    from dsl.formatter import format_source

    done: list[dict[str, Any]] = []
    for path in files:
        source = read_text(path)
        try:
            text = format_source(source)
        except DslError as error:
            raise FileFault(path, source, error) from None
        changed = text != source
        done.append({"file": path, "changed": changed})
        if path == "-" and not only_check:
            done[-1]["text"] = text
            if not as_json:
                click.echo(text, nl=False)
        elif changed:
            if not only_check:
                write_text(path, text)
            if not as_json:
                say(f"{path}: {'not in canonical form' if only_check else 'formatted'}")
    if as_json:
        print_json("fmt", {"files": done})
    if only_check and any(file["changed"] for file in done):
        raise Exit(3)


@click.command()
@click.argument("code", required=False)
@json_option
def explain(code: str | None, as_json: bool) -> None:
    """Explain an error CODE with an example; without one, list them all."""
    from dsl.codes import CODES

    if code is None:
        if as_json:
            print_json("codes", {"codes": {c: page.title for c, page in CODES.items()}})
        else:
            for name, page in CODES.items():
                say(f"{name}  {page.title}")
        return
    if code.upper() not in CODES:
        raise usage(f"no code {code}", "godel explain lists them")
    page = CODES[code.upper()]
    if as_json:
        print_json("explain", {"code": code.upper(), "title": page.title, "text": page.text})
    else:
        say(f"{code.upper()}: {page.title}\n\n{page.text}")


@click.group(name="import")
def import_group() -> None:
    """Bring declared worlds in from outside."""


@import_group.command(name="gymnasium")
@click.argument("env")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A keyword argument of the environment.",
)
@click.option("--discount", default="99/100", show_default=True, metavar="RATIONAL")
@click.option("--name", help="The name of the machine; made from ENV where it is not given.")
@click.option("-o", "--output", metavar="FILE", help="Write FILE instead of stdout.")
@json_option
def gymnasium_command(
    env: str,
    settings: tuple[str, ...],
    discount: str,
    name: str | None,
    output: str | None,
    as_json: bool,
) -> None:
    """Import a Gymnasium environment ENV that has a transition table, such as FrozenLake-v1."""
    from fractions import Fraction

    from godel.importers.gymnasium import ImportFailure, import_environment

    try:
        rate = Fraction(discount)
    except (ValueError, ZeroDivisionError):
        raise usage(f"{discount} is no rational", "--discount 99/100") from None
    if not 0 <= rate < 1:
        raise usage(f"a discount is at least 0 and below 1, found {discount}")
    try:
        text = import_environment(
            env, settings=dict(map(_setting, settings)), discount=rate, name=name
        )
    except ImportFailure as error:
        note(f"error: {error}")
        raise Exit(3) from None
    if output is not None:
        write_text(output, text)
    if as_json:
        print_json("written", {"file": output} if output else {"file": None, "text": text})
    elif output is None:
        click.echo(text, nl=False)
    else:
        say(f"wrote {output}")


def _setting(text: str) -> tuple[str, Any]:
    import ast

    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise usage(f"{text} is no setting", "--set is_slippery=false")
    words = {"true": True, "false": False, "none": None}
    if value.lower() in words:
        return key, words[value.lower()]
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value
