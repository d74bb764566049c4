"""`train`: one trial's configuration once more, saved as a file that plain Keras loads."""

import os
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

if TYPE_CHECKING:
    from gradsweep.client import Client
    from service.wire.trials import AttemptView, TrialView
    from worker.datasets import Dataset
    from worker.training.contract import TrialSpec


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("train")(train)


def train(
    trial: TrialReference,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to save the model; ends in .keras.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Train a trial's configuration again on this machine and save the model for Keras."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.naming import find_trial
    from gradsweep.cli.output import print_json

    if output.suffix != ".keras":
        raise CommandError(f"{output} does not end in .keras, by which Keras knows the format: try -o model.keras")
    require_folder(output)
    with connect(url, token_file) as client:
        found = find_trial(client, trial)
        dataset = client.sweep(found.sweep_id).dataset
        attempt = last_attempt(client, found)
    if not as_json:
        typer.echo(f"Training trial {found.number} again on {dataset}: {found.parameters.epochs} epochs.", err=True)
    metrics = replay(dataset, found, attempt, output, data_dir)
    if as_json:
        print_json({"file": str(output), "trial": found.id, **metrics})
        return
    for name, value in metrics.items():
        before = getattr(found, name, None)
        typer.echo(f"{name} {value:.4g}" + ("" if before is None else f" (in the sweep: {before:.4g})"))
    typer.echo(f"Saved {output}. Next: python -c \"import keras; keras.models.load_model('{output}').summary()\"")


def last_attempt(client: "Client", trial: "TrialView") -> "AttemptView":
    """The last attempt at a trial that began to train.

    Raises:
        CommandError: None did.
    """
    begun = [attempt for attempt in client.attempts(trial.id).attempts if attempt.stream_seed is not None]
    if not begun:
        raise CommandError(
            f"trial {trial.number} was never trained ({trial.state}): choose another with gradsweep best"
        )
    return begun[-1]


def replay(
    dataset: str, trial: "TrialView", attempt: "AttemptView", output: Path, data_dir: Path
) -> dict[str, float | None]:
    """Train as the attempt did, from its initial weights and on its minibatches; returns the metrics reached."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's greetings would bury the result
    try:
        from worker.training.export import train_to_keras
    except ModuleNotFoundError as error:
        message = f"training needs {error.name}, which is not installed here: pip install 'gradsweep[worker]'"
        raise CommandError(message, ExitCode.FAILED) from error
    from worker.errors import WorkerError

    try:
        trained = train_to_keras(
            load_same(dataset, attempt, data_dir),
            spec_of(trial),
            attempt.stream_seed or 0,
            attempt.start_epoch or 0,
            output,
        )
    except WorkerError as error:
        raise CommandError(str(error), ExitCode.FAILED) from error
    row = trained.last_epoch
    return {
        "val_loss": row.val_loss,
        "val_accuracy": row.val_accuracy,
        "test_loss": trained.test.test_loss,
        "test_accuracy": trained.test.test_accuracy,
    }


def load_same(name: str, attempt: "AttemptView", data_dir: Path) -> "Dataset":
    """The data set of that name, if it is the one that the attempt was trained on."""
    from worker.datasets import load_dataset

    dataset = load_dataset(name, data_dir)
    require_same(f"{name} in {data_dir}", dataset.sha256, attempt)
    return dataset


def require_same(name: str, sha256: str, attempt: "AttemptView") -> None:
    """Refuse another data set than the attempt's."""
    if sha256 != attempt.dataset_sha256:
        raise CommandError(
            f"the data set {name} is not the one that the trial was trained on "
            f"({sha256[:12]}…, not {str(attempt.dataset_sha256)[:12]}…): name its folder with --data-dir"
        )


def spec_of(trial: "TrialView") -> "TrialSpec":
    """A trial as the trainer sees it; a parameter without effect takes its neutral value."""
    from worker.entries import hyperparameters
    from worker.training.contract import TrialSpec

    return TrialSpec(key=trial.id, seed=trial.seed, hyperparameters=hyperparameters(trial.parameters))
