"""`record`: the first steps of a trial, layer by layer, made by a worker or here; `artifacts`: the files of a trial."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradsweep.cli.exits import CommandError, ExitCode
from gradsweep.cli.options import (
    DEFAULT_DATA_DIR,
    DEFAULT_URL,
    DataDir,
    Json,
    TokenFile,
    TrialReference,
    Url,
    require_folder,
)
from gradsweep.cli.replaying import TrainerChoice, prepare, read_ended

if TYPE_CHECKING:
    from gradsweep.client import Client
    from service.wire.recordings import RecordingView
    from service.wire.trials import TrialView

DEFAULT_STEPS, MAX_STEPS = 500, 10_000
"""Those of service.wire.recordings, which is not imported for a command that is only listed."""
OPEN = ("queued", "running")
POLL_SECONDS = 1.0


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("record")(record)
    app.command("artifacts")(artifacts)


def record(
    trial: TrialReference,
    steps: Annotated[
        int, typer.Option("--steps", min=1, max=MAX_STEPS, help="How many of the trial's first steps.")
    ] = DEFAULT_STEPS,
    every: Annotated[int, typer.Option("--every", min=1, max=MAX_STEPS, help="Only each N-th of them.")] = 1,
    watch: Annotated[bool, typer.Option("--watch", help="Wait until a worker has made it.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Train on this machine, without a worker, and write the rows as csv."),
    ] = None,
    trainer: TrainerChoice = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Train the beginning of a finished trial again and keep every step, layer by layer."""
    if output is not None:
        _record_here(trial, output, steps, every, trainer, data_dir, url, token_file, as_json=as_json)
        return
    if trainer is not None:
        raise CommandError("--trainer is for a recording on this machine: name its file with -o")
    from gradsweep.cli.connection import connect
    from gradsweep.cli.naming import find_trial
    from gradsweep.cli.output import print_json

    with connect(url, token_file) as client:
        asked = client.record_trial(find_trial(client, trial).id, steps=steps, every=every)
        if watch:
            asked = _watch(client, asked)
    if as_json:
        print_json(asked)
    else:
        typer.echo(_words(asked, asked.recording))
    if watch and asked.recording is not None and asked.recording.state == "failed":
        raise typer.Exit(ExitCode.FAILED)


def _watch(client: "Client", asked: "TrialView") -> "TrialView":
    try:
        while asked.recording is not None and asked.recording.state in OPEN:
            time.sleep(POLL_SECONDS)
            asked = client.trial(asked.id)
    except KeyboardInterrupt:
        typer.echo(f"Detached; it goes on. See it with: gradsweep artifacts {asked.id}", err=True)
        raise typer.Exit(ExitCode.DETACHED) from None
    return asked


def _words(trial: "TrialView", recording: "RecordingView | None") -> str:
    """What became of a recording, in one line or two."""
    if recording is None or recording.state in OPEN:
        return f"The first steps of trial {trial.number} will be recorded: gradsweep artifacts {trial.id} lists them."
    if recording.state == "failed":
        return f"The first steps of trial {trial.number} were not recorded: {recording.reason}"
    made = f"The first steps of trial {trial.number} are recorded: gradsweep figure steps {trial.id} draws them."
    if recording.differs_from_epoch is None:
        return made
    return f"{made}\n{_differ(recording.differs_from_epoch)}"


def _differ(epoch: int) -> str:
    return f"They differ from what was stored, from epoch {epoch} on: gradsweep replay tells by how much."


def _record_here(
    trial: str,
    output: Path,
    steps: int,
    every: int,
    trainer: TrainerChoice,
    data_dir: Path,
    url: str,
    token_file: Path | None,
    *,
    as_json: bool,
) -> None:
    from gradsweep.cli.connection import connect
    from gradsweep.cli.output import print_json
    from worker.errors import WorkerError
    from worker.replaying import record_steps
    from worker.training.steps import steps_csv

    require_folder(output)
    with connect(url, token_file) as client:
        ended = read_ended(client, trial, trainer)
    try:
        made = record_steps(*prepare(ended, data_dir), steps=steps, every=every)
    except WorkerError as error:
        raise CommandError(str(error), ExitCode.FAILED) from error
    if made is None:
        raise CommandError(f"trial {ended.trial.number} was not trained again", ExitCode.FAILED)
    _write(output, steps_csv(made.rows))
    if as_json:
        print_json(
            {
                "trial": ended.trial.id,
                "trainer": ended.trainer,
                "steps": made.n_steps,
                "rows": len(made.rows),
                "file": str(output),
                "same_program": made.same_program,
                "differs_from_epoch": made.differs_from_epoch,
            }
        )
        return
    typer.echo(f"{len(made.rows)} rows of the first {made.n_steps} steps are in {output}.")
    if made.differs_from_epoch is not None:
        typer.echo(_differ(made.differs_from_epoch))


def artifacts(
    trial: TrialReference,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The file to write; none lists all.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Where to write it; standard output by default.")
    ] = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """List the files that were made of a trial, or write one: the recorded steps, as csv."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.naming import find_trial
    from gradsweep.cli.output import console, print_json, table

    with connect(url, token_file) as client:
        found = find_trial(client, trial)
        files = client.artifacts(found.id)
        if name is None and output is not None:
            name = _only(found, [file.name for file in files])
        text = None if name is None else client.artifact(found.id, name)
    if text is not None:
        _write(output, text)
    elif as_json:
        print_json({"artifacts": [file.model_dump(mode="json") for file in files]})
    else:
        rows = [
            (
                file.name,
                f"{file.n_bytes:,}",
                f"{file.steps:,}, every {file.every}",
                "as stored" if file.differs_from_epoch is None else f"differ from epoch {file.differs_from_epoch}",
            )
            for file in files
        ]
        console().print(table(f"files of trial {found.number}", ("name", "bytes", "steps", "epochs"), rows))


def _only(trial: "TrialView", names: list[str]) -> str:
    if not names:
        raise CommandError(f"nothing is recorded of trial {trial.number}: gradsweep record {trial.id} asks for it")
    return names[0]


def _write(output: Path | None, text: str) -> None:
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise CommandError(f"{output} cannot be written ({error.strerror}): choose another with -o") from error
