"""`replay`: a trial trained once more, alone, and every epoch compared with the stored one."""

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gradsweep.cli.exits import CommandError, ExitCode
from gradsweep.cli.options import DEFAULT_DATA_DIR, DEFAULT_URL, DataDir, Json, TokenFile, TrialReference, Url
from worker.comparing import Difference, EpochNumbers, compare, first_unequal, numbers_of

if TYPE_CHECKING:
    from gradsweep.client import Client
    from service.wire.trials import AttemptView, TrialView
    from worker.replaying import Replay
    from worker.trainer import LocalTrainer

TrainerChoice = Annotated[
    Literal["reference", "fused"] | None,
    typer.Option("--trainer", help="By which trainer; by default the one that trained it."),
]
ENDED = ("completed", "pruned", "cancelled", "failed")


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("replay")(replay)


def replay(
    trial: TrialReference,
    trainer: TrainerChoice = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Train a finished trial again, alone, and compare every epoch with what was stored; exit 1 if it differs."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.output import print_json
    from worker.errors import WorkerError
    from worker.replaying import train_again

    with connect(url, token_file) as client:
        ended = read_ended(client, trial, trainer)
    if not as_json:
        what = f"{len(ended.stored) - 1} epochs, {ended.trainer}"
        typer.echo(f"Training trial {ended.trial.number} again on {ended.dataset}: {what}.", err=True)
    differences: list[Difference] = []
    try:
        again = train_again(*prepare(ended, data_dir))
        steps = 0
        for before, row in zip(ended.stored, again.rows, strict=True):
            differences.append(compare(before, row, steps_before=steps, same_program=again.same_program))
            steps += row.steps
            if not as_json:
                typer.echo(_line(differences[-1]))
    except WorkerError as error:
        raise CommandError(str(error), ExitCode.FAILED) from error
    parted = first_unequal(differences)
    if as_json:
        epochs = [{name: _finite(value) for name, value in asdict(each).items()} for each in differences]
        print_json(
            {
                "trial": ended.trial.id,
                "trainer": ended.trainer,
                "same_program": again.same_program,
                "differs_from_epoch": parted,
                "epochs": epochs,
            }
        )
    else:
        what = "the same program" if again.same_program else "another program, to its rounding"
        typer.echo(f"equal ({what})" if parted is None else f"differs from epoch {parted} ({what})")
    if parted is not None:
        raise typer.Exit(ExitCode.FAILED)


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial that has ended, what was stored of its present attempt, and by which trainer it is to run again."""

    trial: "TrialView"
    dataset: str
    stored: list[EpochNumbers]
    attempt: "AttemptView"
    trainer: Literal["reference", "fused"]


def read_ended(client: "Client", reference: str, trainer: Literal["reference", "fused"] | None) -> Ended:
    """Read what a replay needs; without a choice, the trainer is that of the attempt.

    Raises:
        CommandError: There is no such trial, it has not ended, or nothing was reported of it.
    """
    from gradsweep.cli.naming import find_trial

    trial = find_trial(client, reference)
    if trial.state not in ENDED:
        raise CommandError(f"trial {trial.number} is {trial.state}: replay it when it has ended")
    epochs = client.epochs(trial.id)
    layers = client.gradients(trial.id).layers
    attempts = {attempt.attempt: attempt for attempt in client.attempts(trial.id).attempts}
    attempt = attempts.get(epochs.attempt)
    if not epochs.epochs or attempt is None or attempt.stream_seed is None:
        raise CommandError(
            f"trial {trial.number} was never trained ({trial.state}): choose another with gradsweep trials"
        )
    rows = [numbers_of(row, [layer for layer in layers if layer.epoch == row.epoch]) for row in epochs.epochs]
    own: Literal["reference", "fused"] = "reference" if attempt.environment.get("trainer") == "reference" else "fused"
    return Ended(trial, client.sweep(trial.sweep_id).dataset, rows, attempt, trainer or own)


def prepare(ended: Ended, data_dir: os.PathLike[str]) -> "tuple[LocalTrainer, Replay]":
    """A trainer on this machine, as precise as the attempt's, and what it is to train again.

    Raises:
        CommandError: The data set here is not the one that the trial was trained on.
        WorkerError: Nothing can be trained here.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's greetings would bury the result
    from gradsweep.cli.training import require_same, spec_of
    from worker.replaying import Replay
    from worker.settings import WorkerSettings
    from worker.trainer import make_trainer

    attempt = ended.attempt
    tf32 = attempt.environment.get("tf32") == "True"
    trainer = make_trainer(WorkerSettings(trainer=ended.trainer, data_dir=data_dir, tf32=tf32))
    require_same(ended.dataset, trainer.load(ended.dataset).sha256, attempt)
    replay = Replay(
        dataset=ended.dataset,
        spec=spec_of(ended.trial),
        stream_seed=attempt.stream_seed or 0,
        start_epoch=attempt.start_epoch or 0,
        environment=attempt.environment,
        stored=ended.stored,
    )
    return trainer, replay


def _line(each: Difference) -> str:
    where = "" if each.statistic is None else f" (layer {each.statistic.replace('.', ' ')})"
    metrics = f"train_loss {each.train_loss:.1e}  val_loss {each.val_loss:.1e}  val_accuracy {each.val_accuracy:.1e}"
    verdict = "equal" if each.is_equal else "differs"
    return f"epoch {each.epoch:3}  {verdict:7}  {metrics}  layers {each.statistics:.1e}{where}"


def _finite(value: object) -> object:
    """An infinite difference as JSON can carry it: null."""
    return None if value == float("inf") else value
