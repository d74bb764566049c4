"""`pause`, `resume`, `stop`, `cancel`, `retry`, `delete` a sweep; `cancel` and `retry` a trial."""

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gradsweep.cli.exits import CommandError, ExitCode
from gradsweep.cli.options import DEFAULT_URL, Json, SweepReference, TokenFile, Url

if TYPE_CHECKING:
    from service.wire.sweeps import SweepView
    from service.wire.trials import TrialView

Verb = Literal["pause", "resume", "stop", "cancel"]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (pause, resume, stop, cancel, delete, retry):
        app.command(command.__name__)(command)


def pause(sweep: SweepReference, url: Url = DEFAULT_URL, token_file: TokenFile = None, as_json: Json = False) -> None:
    """Start no more trials; those that are running finish."""
    _steer("pause", sweep, url, token_file, as_json)


def resume(sweep: SweepReference, url: Url = DEFAULT_URL, token_file: TokenFile = None, as_json: Json = False) -> None:
    """Go on with a paused sweep."""
    _steer("resume", sweep, url, token_file, as_json)


def stop(sweep: SweepReference, url: Url = DEFAULT_URL, token_file: TokenFile = None, as_json: Json = False) -> None:
    """End a sweep in good order: running trials finish, waiting ones are cancelled."""
    _steer("stop", sweep, url, token_file, as_json)


def cancel(
    reference: Annotated[str, typer.Argument(metavar="SWEEP|TRIAL", help="A sweep, or a trial as SWEEP/NUMBER.")],
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """End a sweep, or one trial, now: what is running stops at the end of its epoch."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.naming import find_trial, is_trial

    if not is_trial(reference):
        _steer("cancel", reference, url, token_file, as_json)
        return
    with connect(url, token_file) as client:
        _tell_trial(client.cancel_trial(find_trial(client, reference).id), as_json)


def retry(
    reference: Annotated[str, typer.Argument(metavar="SWEEP|TRIAL", help="A sweep, or a trial as SWEEP/NUMBER.")],
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Let all failed trials of a sweep, or one failed or cancelled trial, run again."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.naming import find_sweep, find_trial, is_trial
    from gradsweep.cli.output import print_json

    with connect(url, token_file) as client:
        if is_trial(reference):
            _tell_trial(client.retry_trial(find_trial(client, reference).id), as_json)
            return
        found = find_sweep(client, reference)
        n_failed = found.counts.failed
        sweep = client.retry_failed(found.id)
    if as_json:
        print_json(sweep)
    elif n_failed == 0:
        typer.echo(f"{sweep.name}: no trial has failed, nothing to try again")
    else:
        typer.echo(f"{sweep.name}: {n_failed} failed trial{'s' * (n_failed > 1)} will run again; {sweep.summary}")


def delete(
    sweep: SweepReference,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a sweep that has ended, with all its trials, for good."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.naming import find_sweep
    from gradsweep.cli.output import print_json

    with connect(url, token_file) as client:
        found = find_sweep(client, sweep)
        if not yes:
            if as_json or not sys.stdin.isatty():
                raise CommandError(f"deleting {found.name} cannot be undone: repeat the command with --yes")
            if not typer.confirm(f"Delete {found.name} with its {found.counts.total} trials for good?", err=True):
                raise CommandError(f"{found.name} was not deleted", ExitCode.FAILED)
        client.delete(found.id)
    if as_json:
        print_json({"deleted": found.id, "name": found.name})
    else:
        typer.echo(f"Deleted {found.name}.")


def _steer(verb: Verb, reference: str, url: str, token_file: TokenFile, as_json: bool) -> None:
    from gradsweep.cli.connection import connect
    from gradsweep.cli.naming import find_sweep

    with connect(url, token_file) as client:
        found = find_sweep(client, reference)
        acts = {"pause": client.pause, "resume": client.resume, "stop": client.stop, "cancel": client.cancel}
        _tell_sweep(acts[verb](found.id), as_json)


def _tell_sweep(sweep: "SweepView", as_json: bool) -> None:
    from gradsweep.cli.output import print_json

    if as_json:
        print_json(sweep)
    else:
        typer.echo(f"{sweep.name}: {sweep.summary}")


def _tell_trial(trial: "TrialView", as_json: bool) -> None:
    from gradsweep.cli.output import print_json

    if as_json:
        print_json(trial)
    else:
        wish = ", to be stopped at the end of its epoch" if trial.stop_requested else ""
        typer.echo(f"trial {trial.number}: {trial.state}{wish}")
