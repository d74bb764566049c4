"""`demo`: a real sweep on real images, from nothing to the best configuration; what `make demo` runs."""

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from gradsweep.cli.exits import CommandError, ExitCode
from gradsweep.cli.options import Json
from gradsweep.cli.processes import Slots, Trainer

DEMO_DIR = Path("demo-data")
START_SECONDS = 120.0
END_SECONDS = 120.0
BEST = 5
LOG_LINES = 20

DEMO_SWEEP: dict[str, Any] = {
    "name": "demo",
    "dataset": "mnist-5k",
    "method": "tpe",
    "metric": {"name": "val_accuracy"},
    "run_cap": 24,
    "early_terminate": {"type": "hyperband", "min_iter": 2, "eta": 2},
    "seed": 7,
    "parameters": {
        "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1.0},
        "optimizer": {"values": ["sgd", "adam", "rmsprop"]},
        "normalization": {"values": ["none", "batch", "layer"]},
        "dropout": {"min": 0.0, "max": 0.5},
        "residual": {"values": [True, False]},
        "hidden_units": {"value": [64, 64, 64, 64]},
        "epochs": 6,
    },
}


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("demo")(demo)


def demo(
    data_dir: Annotated[Path, typer.Option("--data-dir", help="Where the record is kept.")] = DEMO_DIR,
    trials: Annotated[int, typer.Option("--trials", min=1, help="How many trials.")] = DEMO_SWEEP["run_cap"],
    trainer: Trainer = None,
    slots: Slots = None,
    as_json: Json = False,
) -> None:
    """Run a real sweep on 5,000 real images: live progress, the best configurations, why the others failed."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.demo_report import print_report
    from gradsweep.cli.output import print_json
    from gradsweep.cli.watching import watch_to_end

    options = [] if trainer is None else ["--trainer", trainer]
    options += [] if slots is None else ["--slots", str(slots)]
    began = time.monotonic()
    _tell(f"Starting the service and a worker; their record is kept in {data_dir}.")
    with running_household(data_dir, options) as url, connect(url) as client:
        sweep = client.submit({**DEMO_SWEEP, "run_cap": trials})
        _tell(f"Submitted {sweep.name}: {trials} trials on {sweep.dataset}. The worker loads TensorFlow first.")
        code = watch_to_end(client, sweep, as_json=as_json)
        if code is not ExitCode.OK:
            raise typer.Exit(code)
        if as_json:
            print_json(client.best(sweep.id, k=BEST), lines=True)
        else:
            print_report(client, client.sweep(sweep.id), n_best=BEST, data_dir=data_dir)
    _tell(f"Done in {time.monotonic() - began:.0f} s.")


@contextmanager
def running_household(data_dir: Path, options: list[str]) -> Iterator[str]:
    """`gradsweep up` on a free port while the block runs; yields its address. Its messages go to up.log."""
    from gradsweep.cli.household import command

    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        log = (data_dir / "up.log").open("ab")
    except OSError as error:
        raise CommandError(f"{data_dir} cannot be written ({error.strerror}): choose --data-dir") from error
    with log:
        up = subprocess.Popen(  # noqa: S603 - our own command line
            command("up", "--port", "0", "--data-dir", str(data_dir), "--json", "--leave-with-stdin", *options),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        )
    try:
        yield _address(up, data_dir)
    finally:
        _end(up)


def _address(up: subprocess.Popen[bytes], data_dir: Path) -> str:
    """Where the service is, from the line of JSON that `up` prints when it is ready."""
    line = read_line(up.stdout, START_SECONDS) if up.stdout is not None else b""
    if not line:
        last = (data_dir / "up.log").read_text(errors="replace").splitlines()[-LOG_LINES:]
        _tell("\n".join(last))
        raise CommandError(f"gradsweep up did not start; its messages are in {data_dir / 'up.log'}", ExitCode.FAILED)
    return str(json.loads(line)["url"])


def read_line(stream: IO[bytes], seconds: float) -> bytes:
    """The next line of a pipe; empty when it has closed, or nothing came in time."""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        return stream.readline() if selector.select(seconds) else b""


def _end(up: subprocess.Popen[bytes]) -> None:
    """Let the worker drain and the service end; insist if that takes too long."""
    if up.poll() is None:
        up.send_signal(signal.SIGTERM)
    try:
        up.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        up.kill()
        up.wait()
    for pipe in (up.stdin, up.stdout):
        if pipe is not None:
            pipe.close()


def _tell(line: str) -> None:
    """A word to the person who watches; stdout is kept for results."""
    typer.echo(line, err=True)
