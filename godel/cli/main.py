"""Entry point: find the verb, run it, turn what goes wrong into messages and exit codes."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from godel.cli.output import Context, Exit, fail_text, note

ANSWERS = (0, 10)  # done, accepted or refused
INTERRUPTED = 130
PIPE_CLOSED = 141  # as a shell reports a process that wrote to a closed pipe

VERBS: dict[str, tuple[str, str]] = {
    "new": ("write", "new"),
    "check": ("write", "check"),
    "fmt": ("write", "fmt"),
    "explain": ("write", "explain"),
    "import": ("write", "import_group"),
    "eval": ("run", "eval_"),
    "simulate": ("run", "simulate"),
    "evolve": ("run", "evolve"),
    "propose": ("run", "propose"),
    "revision": ("run", "revision"),
    "suite": ("learn", "suite"),
    "calibrate": ("learn", "calibrate_command"),
    "learn": ("learn", "learn_command"),
    "log": ("inspect", "log"),
    "show": ("inspect", "show"),
    "diff": ("inspect", "diff"),
    "cex": ("inspect", "cex"),
    "code": ("inspect", "code"),
    "checkout": ("inspect", "checkout"),
    "proof": ("proof", "proof_group"),
    "verify": ("proof", "verify"),
}


class LazyGroup(click.Group):
    """Loads the module of a verb when the verb is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order in which they are learned."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command behind a verb."""
        if cmd_name not in VERBS:
            return None
        module, name = VERBS[cmd_name]
        command: click.Command = getattr(import_module(f"godel.cli.{module}"), name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click does, with a hint where a verb is nearly right."""
        from difflib import get_close_matches

        if args and args[0] not in VERBS and not args[0].startswith("-"):
            near = get_close_matches(args[0], VERBS, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise click.UsageError(f"No such verb: {args[0]}.{hint}", ctx)
        return super().resolve_command(ctx, args)


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        from godel.versions import VERSION

        click.echo(f"godel {VERSION}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version)
@click.option(
    "--store",
    metavar="FILE",
    help="The ledger; .godel/NAME.db under this folder where it is not given.",
)
@click.pass_context
def cli(ctx: click.Context, store: str | None) -> None:
    """A machine that rewrites its own code when, and only when, a proof shows that the rewrite is better.

    Exit codes: 0 done or accepted, 1 internal error, 2 usage, 3 the file does not parse or check, 10 refused,
    20 undecided, 30 verification failed, 130 interrupted.
    """
    ctx.obj = Context(store)


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(args: list[str]) -> int:
    """Run one command; returns its exit code.

    A failure ends with the command that reproduces it, an interruption with the one that goes on or begins again.
    """
    code = _run(args)
    if code not in (*ANSWERS, PIPE_CLOSED):
        import shlex

        again = "reproduce"
        if code == INTERRUPTED:
            again = "go on with" if "evolve" in args else "begin again with"
        note(f"{again}: {shlex.join(['godel', *args])}")
    return code


def _run(args: list[str]) -> int:
    try:
        result = cli.main(args, prog_name="godel", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except Exit as done:
        return done.code
    except click.exceptions.Exit as done:
        return done.exit_code
    except (click.Abort, KeyboardInterrupt):
        note("interrupted; the ledger is consistent")
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        if isinstance(error, click.NoSuchOption):
            note("hint: what begins with - and is no option stands after --")
        return 2
    except SystemExit:
        # this is how click leaves when nobody reads what it writes
        return PIPE_CLOSED
    except Exception as error:
        return fail_text(error)
