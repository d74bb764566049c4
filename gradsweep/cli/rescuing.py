"""`rescue`: the configuration that a diagnosis advises, tried in the same sweep."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from gradsweep.cli.exits import CommandError, ExitCode
from gradsweep.cli.options import DEFAULT_URL, Json, TokenFile, TrialReference, Url

if TYPE_CHECKING:
    from gradsweep.client import Client
    from service.wire.trials import TrialView

LIVE = ("waiting", "running")
POLL_SECONDS = 1.0


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("rescue")(rescue)


def rescue(
    trial: TrialReference,
    remedy: Annotated[
        list[int] | None,
        typer.Option("--remedy", metavar="N", min=1, help="Only this one, as diagnose counts them; may be repeated."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Wait for its end and say whether it worked.")] = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Try what a trial's diagnosis advises, as a new trial of the same sweep."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.naming import find_trial
    from gradsweep.cli.output import print_json

    with connect(url, token_file) as client:
        failed = find_trial(client, trial)
        child = client.rescue_trial(failed.id, remedies=remedy)
        if not as_json:
            typer.echo(f"trial {child.number}: {_changes(failed, child)}")
        if watch:
            try:
                child = wait_for_end(client, child)
            except KeyboardInterrupt:
                typer.echo(f"Detached; it goes on. See it with: gradsweep show {child.id}", err=True)
                raise typer.Exit(ExitCode.DETACHED) from None
    if as_json:
        print_json(child)
    elif watch and child.rescue_of is not None:
        typer.echo(child.rescue_of.summary)
    if watch and (child.rescue_of is None or child.rescue_of.worked is not True):
        raise typer.Exit(ExitCode.FAILED)


def wait_for_end(client: "Client", trial: "TrialView") -> "TrialView":
    """The trial when it has ended.

    Raises:
        CommandError: It waits in a sweep that is paused.
    """
    while trial.state in LIVE:
        if trial.state == "waiting" and (sweep := client.sweep(trial.sweep_id)).state == "paused":
            message = f"trial {trial.number} waits, as its sweep is paused: gradsweep resume {sweep.name}"
            raise CommandError(message, ExitCode.PAUSED_BY_FAILURE)
        time.sleep(POLL_SECONDS)
        trial = client.trial(trial.id)
    return trial


def _changes(before: "TrialView", after: "TrialView") -> str:
    """What differs, as `normalization = batch (was none)`."""
    from gradsweep.cli.wording import parameter

    old, new = dict(before.parameters), dict(after.parameters)
    return ", ".join(
        f"{name} = {parameter(value)} (was {parameter(old[name])})" for name, value in new.items() if value != old[name]
    )
