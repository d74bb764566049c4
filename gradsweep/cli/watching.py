"""`watch`: live progress of sweeps. Ctrl-C detaches; the sweeps go on."""

from collections.abc import Sequence
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from gradsweep.cli.exits import ExitCode
from gradsweep.cli.options import DEFAULT_URL, Json, TokenFile, Url

if TYPE_CHECKING:
    from gradsweep.client import Client
    from service.wire.sweeps import SweepView

GiveUp = Annotated[
    float,
    typer.Option("--give-up-after", metavar="SECONDS", min=0, help="How long the service may be away."),
]
Sweeps = Annotated[
    list[str] | None,
    typer.Argument(metavar="SWEEP…", help="Ids, unique prefixes of them, or names; none: all that are not over."),
]
GIVE_UP_SECONDS = 600.0


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("watch")(watch)


def watch(
    sweeps: Sweeps = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    give_up_after: GiveUp = GIVE_UP_SECONDS,
    as_json: Json = False,
) -> None:
    """Show the progress of sweeps until they end; Ctrl-C only detaches."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.naming import find_sweep

    with connect(url, token_file) as client:
        found = [find_sweep(client, each) for each in sweeps] if sweeps else _all_active(client)
        chosen = list({sweep.id: sweep for sweep in found}.values())
        if len(chosen) == 1:
            raise typer.Exit(watch_to_end(client, chosen[0], give_up_seconds=give_up_after, as_json=as_json))
        raise typer.Exit(watch_all(client, chosen, give_up_seconds=give_up_after, as_json=as_json))


def _all_active(client: "Client") -> "list[SweepView]":
    """The sweeps that are not over; a word about those that are too many."""
    from gradsweep.cli.naming import MOST_WATCHED, active_sweeps

    active = active_sweeps(client)
    if len(active) > MOST_WATCHED:
        typer.echo(f"The {MOST_WATCHED} newest of the sweeps that are not over; name others to watch them", err=True)
    return active[:MOST_WATCHED]


def watch_all(
    client: "Client", sweeps: "Sequence[SweepView]", *, give_up_seconds: float, as_json: bool = False
) -> ExitCode:
    """Follow several sweeps on one screen; the exit code is the gravest of theirs."""
    from gradsweep.cli.following import Follower, follow_all, outcome
    from gradsweep.cli.output import console
    from gradsweep.cli.screens import ScreenPerSweep, make_screen

    shown_on = console()
    is_live = shown_on.is_terminal and not as_json
    screen = (
        make_screen(shown_on, as_json=False)
        if is_live
        else ScreenPerSweep(lambda: make_screen(shown_on, as_json=as_json))
    )
    try:
        with screen:
            ended = follow_all([Follower(client, each.id, screen, give_up_seconds=give_up_seconds) for each in sweeps])
    except KeyboardInterrupt:
        names = " ".join(quote(sweep.name) for sweep in sweeps)
        typer.echo(f"Detached; the sweeps go on. Come back with: gradsweep watch {names}", err=True)
        return ExitCode.DETACHED
    for sweep, end in zip(sweeps, ended, strict=True):
        if end is None:
            typer.echo(f"{sweep.name} was deleted meanwhile", err=True)
        elif not as_json:
            typer.echo(next_step(end), err=True)
    return max((end and outcome(end)) or ExitCode.OK for end in ended)


def watch_to_end(
    client: "Client", sweep: "SweepView", *, give_up_seconds: float = GIVE_UP_SECONDS, as_json: bool = False
) -> ExitCode:
    """Follow a sweep on the screen that suits the output, and return the exit code that its end means."""
    from gradsweep.cli.following import Follower, outcome
    from gradsweep.cli.output import console
    from gradsweep.cli.screens import make_screen

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
