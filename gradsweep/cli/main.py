"""The entry point: every command in one app; one line per error, one exit code per outcome."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from gradsweep.cli import (
    demo,
    diagnosing,
    doctor,
    drawing,
    effects,
    exporting,
    processes,
    recording,
    replaying,
    rescuing,
    starting,
    steering,
    sweeps,
    training,
    watching,
    weighing,
    workers,
)
from gradsweep.cli.exits import CommandError, ExitCode
from gradsweep.cli.grouping import GroupedCommands

TRACEBACK_VARIABLE = "GRADSWEEP_TRACEBACK"


def build_app() -> typer.Typer:
    """The app with all its commands."""
    app = typer.Typer(
        name="gradsweep",
        cls=GroupedCommands,
        help="Hyperparameter sweeps that watch the gradients.",
        rich_markup_mode=None,  # plain help needs no import of Rich: it appears at once
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    groups = (
        processes,
        starting,
        sweeps,
        weighing,
        watching,
        diagnosing,
        rescuing,
        drawing,
        effects,
        steering,
        training,
        exporting,
        recording,
        replaying,
        workers,
        doctor,
        demo,
    )
    for group in groups:
        group.register(app)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors go to stderr in one line."""
    try:
        code = build_app()(args=list(arguments) or ["--help"], prog_name="gradsweep", standalone_mode=False)
    except CommandError as error:
        return _complain(str(error), error.exit_code)
    except typer.TyperException as error:  # a wrong option or argument
        return _complain(f"{error.format_message()} (gradsweep --help lists what there is)", error.exit_code)
    except typer.Abort:
        return ExitCode.DETACHED
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        message = f"internal error: {type(error).__name__}: {error}; set {TRACEBACK_VARIABLE}=1 to see where"
        return _complain(message, ExitCode.FAILED)
    return int(code or ExitCode.OK)


def _complain(message: str, code: int) -> int:
    typer.echo(f"gradsweep: {' '.join(message.split())}", err=True)
    return int(code)


def main() -> NoReturn:
    """What the script `gradsweep` calls."""
    sys.exit(run(sys.argv[1:]))
