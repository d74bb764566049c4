"""`export` and `script`: what can be taken along."""

import codecs
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import typer

from gradsweep.cli.exits import CommandError
from gradsweep.cli.options import DEFAULT_URL, Json, SweepReference, TokenFile, TrialReference, Url

Output = Annotated[Path | None, typer.Option("--output", "-o", help="File to write; standard output by default.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("export")(export)
    app.command("script")(script)


def export(
    sweep: SweepReference = "latest",
    table: Annotated[
        Literal["trials", "epochs", "layers"],
        typer.Option("--table", help="Trials, or epochs or layers of their present attempts."),
    ] = "trials",
    format: Annotated[
        Literal["csv", "jsonl"], typer.Option("--format", help="A flat table, or a line of JSON for each row.")
    ] = "csv",
    filter: Annotated[str | None, typer.Option("--filter", help="Only these trials, as in state = completed.")] = None,
    output: Output = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Write a whole table of a sweep: trials, epochs or layers, as csv or, with --json, as lines of JSON."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.naming import find_sweep

    with connect(url, token_file) as client:
        found = find_sweep(client, sweep)
        _write(client.export(found.id, table, "jsonl" if as_json else format, filter=filter), output)


def script(
    trial: TrialReference,
    output: Output = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Write a script of plain Keras that trains a trial's configuration; it needs nothing of gradsweep."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.naming import find_trial
    from gradsweep.cli.output import print_json

    with connect(url, token_file) as client:
        found = find_trial(client, trial)
        text = client.script(found.id)
    if as_json:
        print_json({"trial": found.id, "script": text})
    else:
        _write([text.encode()], output)


def _write(pieces: Iterable[bytes], output: Path | None) -> None:
    """Write pieces as they come; the file is opened with the first, so that a refused request touches none."""
    if output is None:
        decode = codecs.getincrementaldecoder("utf-8")().decode  # a piece may end within a letter
        for piece in pieces:
            sys.stdout.write(decode(piece))
        return
    file = None
    try:
        for piece in pieces:
            file = file or output.open("wb")
            file.write(piece)
        file = file or output.open("wb")  # no rows: an empty file, not what was there before
    except OSError as error:
        raise CommandError(f"{output} cannot be written ({error.strerror}): name another file with -o") from error
    finally:
        if file is not None:
            file.close()
