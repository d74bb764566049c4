"""`watch`: live progress of a sweep. Ctrl-C detaches; the sweep goes on."""

from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from gradsweep.cli.exits import ExitCode
from gradsweep.cli.options import DEFAULT_URL, Json, SweepReference, TokenFile, Url

if TYPE_CHECKING:
    from gradsweep.client import Client
    from service.wire.sweeps import SweepView

GiveUp = Annotated[
    float,
    typer.Option("--give-up-after", metavar="SECONDS", min=0, help="How long the service may be away."),
]
GIVE_UP_SECONDS = 600.0


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("watch")(watch)


def watch(
    sweep: SweepReference = "latest",
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    give_up_after: GiveUp = GIVE_UP_SECONDS,
    as_json: Json = False,
) -> None:
    """Show a sweep's progress until it ends; Ctrl-C only detaches."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.naming import find_sweep

    with connect(url, token_file) as client:
        found = find_sweep(client, sweep)
        raise typer.Exit(watch_to_end(client, found, give_up_seconds=give_up_after, as_json=as_json))


def watch_to_end(
    client: "Client", sweep: "SweepView", *, give_up_seconds: float = GIVE_UP_SECONDS, as_json: bool = False
) -> ExitCode:
    """Follow a sweep on the screen that suits the output, and return the exit code that its end means."""
    from gradsweep.cli.following import Follower, outcome
    from gradsweep.cli.output import console
    from gradsweep.cli.progress import make_screen

    try:
        with make_screen(console(), as_json=as_json) as screen:
            ended = Follower(client, sweep.id, screen, give_up_seconds=give_up_seconds).follow()
    except KeyboardInterrupt:
        typer.echo(f"Detached; the sweep goes on. Come back with: gradsweep watch {quote(sweep.name)}", err=True)
        return ExitCode.DETACHED
    if not as_json:
        typer.echo(next_step(ended), err=True)
    return outcome(ended) or ExitCode.OK


def next_step(sweep: "SweepView") -> str:
    """What to type next, for a sweep that has ended or paused itself."""
    name = quote(sweep.name)
    if sweep.state == "paused":
        return f"{sweep.name} is paused: gradsweep trials {name} --filter 'state = failed' shows why; then resume"
    return f"{sweep.name}: {sweep.summary}. Next: gradsweep best {name}"
