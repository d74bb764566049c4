"""`init`: writes a commented sweep file to start from."""

import json
from pathlib import Path
from typing import Annotated

import typer

from gradsweep.cli.exits import CommandError
from gradsweep.cli.options import Json

SWEEP_FILE = """\
# A sweep: what to search, how, and for how long. Submit it with
#     gradsweep submit {file} --watch
# Every key is explained in docs/sweep-file.md; what is left out has a neutral default.

name: {name}

# digits (8×8, in seconds) | mnist-5k (5,000 real images, no network) | mnist | fashion-mnist
# or NAME for your own datasets/NAME.npz in the data folder.
dataset: mnist-5k

# tpe learns from finished trials; random and qmc cover the space evenly; grid tries every combination.
method: tpe

# What is best, on the validation split. With a target the sweep ends as soon as a trial reaches it.
metric:
  name: val_accuracy
  # target: 0.97

# How many trials to train in all.
run_cap: 24

# Ends unpromising trials early: after 1, 3, 9 … epochs only the better third goes on.
early_terminate:
  type: hyperband
  min_iter: 1
  eta: 3

parameters:
  # Searched: a range or a list.
  learning_rate: {{distribution: log_uniform_values, min: 1e-4, max: 1.0}}
  optimizer: {{values: [sgd, adam, rmsprop]}}
  normalization: {{values: [none, batch, layer]}}
  dropout: {{min: 0.0, max: 0.5}}
  residual: {{values: [true, false]}}
  # Fixed: a bare value.
  hidden_units: {{value: [128, 64, 32]}}
  activation: relu
  batch_size: 64
  epochs: 5

# The same seed gives the same trials with one worker.
# seed: 7
"""


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("init")(init)


def init(
    file: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("sweep.yaml"),
    name: Annotated[str, typer.Option("--name", help="The sweep's name.")] = "my-first-sweep",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Write a commented sweep file to start from."""
    if file.exists() and not force:
        raise CommandError(f"{file} is there already: choose another name, or replace it with --force")
    try:
        file.write_text(SWEEP_FILE.format(file=file, name=name), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{file} cannot be written ({error.strerror}): choose a folder you may write to") from error
    if as_json:
        typer.echo(json.dumps({"file": str(file)}))
    else:
        typer.echo(f"Wrote {file}. Next: gradsweep up   and, in another terminal,   gradsweep submit {file} --watch")
