"""`workers`: who trains, on what, and what they are doing; with --here, the health check of a worker's container."""

import socket
from typing import Annotated

import typer

from gradsweep.cli.exits import CommandError, ExitCode
from gradsweep.cli.options import DEFAULT_URL, Json, TokenFile, Url


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("workers")(workers)


def workers(
    here: Annotated[
        bool, typer.Option("--here", help="Only those of this machine; exit 1 unless one of them is alive.")
    ] = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """List the workers that the service has heard of."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.output import print_json, print_workers

    with connect(url, token_file) as client:
        found = [worker for worker in client.workers() if not here or worker.host == socket.gethostname()]
    if as_json:
        print_json(found)
    else:
        print_workers(found)
    if here and not any(worker.is_alive for worker in found):
        message = f"no worker of {socket.gethostname()} is alive: start one with gradsweep worker"
        raise CommandError(message, ExitCode.FAILED)
