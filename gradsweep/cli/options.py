"""Options that commands share, each declared once."""

from pathlib import Path
from typing import Annotated

import typer

from gradsweep.cli.exits import CommandError

DEFAULT_PORT = 8321
DEFAULT_URL = f"http://127.0.0.1:{DEFAULT_PORT}"

Url = Annotated[str, typer.Option("--url", envvar="GRADSWEEP_URL", help="Address of the service.")]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", envvar="GRADSWEEP_TOKEN_FILE", help="File that holds the service's token."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, to stdout.")]
DataDir = Annotated[
    Path,
    typer.Option("--data-dir", envvar="GRADSWEEP_DATA_DIR", help="Folder of the database and the data sets."),
]
SweepReference = Annotated[
    str, typer.Argument(metavar="SWEEP", help="An id, a unique prefix of one, a name, or latest.")
]
TrialReference = Annotated[str, typer.Argument(metavar="TRIAL", help="Its id, or SWEEP/NUMBER as in latest/12.")]

DEFAULT_DATA_DIR = Path("gradsweep-data")


def require_folder(output: Path) -> None:
    """Say that a result could not be saved before it is computed.

    Raises:
        CommandError: The folder of the file is not there.
    """
    if not output.absolute().parent.is_dir():
        raise CommandError(f"there is no folder {output.absolute().parent}: make it, or save elsewhere with -o")
