"""`record`: the first steps of a trial, layer by layer, from a replay."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradsweep.cli.comparing import Difference, compare, first_unequal
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
from gradsweep.cli.replaying import TrainerChoice, read_ended, train_again

if TYPE_CHECKING:
    from worker.training.statistics import StepRecord
    from worker.training.steps import StepRow

MAX_STEPS = 10_000
DEFAULT_STEPS = 500


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("record")(record)


class Recorder:
    """Takes the steps that a bank tells of, up to a last one.

    Args:
        every: 1 takes all steps.
        last_step: The last that is wanted.
    """

    def __init__(self, every: int, last_step: int) -> None:
        self._every = every
        self._last_step = last_step
        self.n_steps = 0
        self.rows: list[StepRow] = []

    @property
    def is_done(self) -> bool:
        """Whether all that is wanted was seen."""
        return self.n_steps >= self._last_step

    def listen(self, _key: str, steps: "StepRecord", shapes: Sequence[tuple[int, int]]) -> None:
        """Take an epoch's steps."""
        from worker.training.steps import step_rows

        self.rows += step_rows(steps, shapes, steps_before=self.n_steps, every=self._every, last_step=self._last_step)
        self.n_steps += len(steps.loss)


def record(
    trial: TrialReference,
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to write the rows, as csv.")],
    steps: Annotated[
        int, typer.Option("--steps", min=1, max=MAX_STEPS, help="How many of the trial's first steps.")
    ] = DEFAULT_STEPS,
    every: Annotated[int, typer.Option("--every", min=1, max=MAX_STEPS, help="Only each N-th of them.")] = 1,
    trainer: TrainerChoice = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Train the beginning of a finished trial again and keep every step, layer by layer."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.output import print_json
    from worker.errors import WorkerError

    require_folder(output)
    with connect(url, token_file) as client:
        ended = read_ended(client, trial, trainer)
    recorder = Recorder(every, steps)
    differences: list[Difference] = []
    try:
        same_program, again = train_again(ended, data_dir, listen=recorder.listen)
        for before, row in zip(ended.stored, again, strict=False):
            n_before = recorder.n_steps - row.steps
            differences.append(compare(before, row, steps_before=n_before, same_program=same_program))
            if recorder.is_done:
                break
    except WorkerError as error:
        raise CommandError(str(error), ExitCode.FAILED) from error
    write_csv(output, recorder.rows)
    parted = first_unequal(differences)
    n_steps = min(recorder.n_steps, steps)
    if as_json:
        print_json(
            {
                "trial": ended.trial.id,
                "trainer": ended.trainer,
                "steps": n_steps,
                "rows": len(recorder.rows),
                "file": str(output),
            }
            | {"same_program": same_program, "differs_from_epoch": parted}
        )
        return
    typer.echo(f"{len(recorder.rows)} rows of the first {n_steps} steps are in {output}.")
    if parted is not None:
        typer.echo(f"They differ from what was stored, from epoch {parted} on: gradsweep replay tells by how much.")


def write_csv(path: Path, rows: "Sequence[StepRow]") -> None:
    """Write rows under their names; values that are not finite are spelled inf, -inf, nan."""
    from worker.training.steps import StepRow

    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(StepRow)])
            writer.writeheader()
            writer.writerows(map(asdict, rows))
    except OSError as error:
        raise CommandError(f"{path} cannot be written ({error.strerror}): choose another with -o") from error
