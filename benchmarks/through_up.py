"""Whole sweeps through `gradsweep up`, HTTP, leases, statistics and database included, against plain Keras.

Each round trains one sweep, from its submission to its end, on a worker that is warm, and then one epoch of a warm
`model.fit` tuned to its best; seconds per trial and epoch are compared. The article's program is what one would write
first: one process a trial, which loads the data, builds the network and fits it with Keras' settings as they come.
The worker's largest memory is read when all is done.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._baseline import ARTICLE, BATCH_SIZE, images, mnist_arrays, ratios, spread, tuned_fit
from gradsweep.cli.demo import running_household
from gradsweep.client import Client
from worker.datasets import load_dataset
from worker.training.hyperparameters import Hyperparameters

REPEATS = 5
N_TRIALS, EPOCHS = 16, 3
NETWORKS: dict[str, dict[str, Any]] = {"plain": {}, "batch norm and dropout": ARTICLE}
HIDDEN_UNITS = (128, 64, 32)
DATASET = "benchmark"


def run(data: Path | None = None) -> dict[str, Any]:
    """Measure both networks.

    Args:
        data: A file in the layout of Keras' mnist.npz; by default 5,000 real MNIST images, repeated to 60,000 rows.
    """
    with tempfile.TemporaryDirectory(prefix="gradsweep-bench-") as folder:
        write_dataset(Path(folder) / "datasets" / f"{DATASET}.npz", data)
        with running_household(Path(folder), []) as url, Client(url) as client:
            figures = {name: _compare(client, Path(folder), name) for name in NETWORKS}
            figures["worker_peak_memory_mb"] = _peak_memory_mb(client.workers()[0].pid)
    return figures


def write_dataset(path: Path, data: Path | None) -> None:
    """A file of the data folder with the rows that the benchmarks train on; the worker splits them as it does any."""
    path.parent.mkdir(parents=True)
    if data is not None:
        raw = mnist_arrays(data)
        assert raw.test is not None  # the layout has one
        np.savez(path, x_train=raw.training[0], y_train=raw.training[1], x_test=raw.test[0], y_test=raw.test[1])
        return
    rows = images(None)
    np.savez(path, x_train=rows.x_train, y_train=rows.y_train, x_test=rows.x_test, y_test=rows.y_test)


def _compare(client: Client, folder: Path, name: str) -> dict[str, Any]:
    """One network: sweeps and epochs of `fit` in turns, then the article's program."""
    choices = NETWORKS[name]
    dataset = load_dataset(DATASET, folder)  # what the worker trains on, row by row
    fit, setting = tuned_fit(dataset, Hyperparameters(hidden_units=HIDDEN_UNITS, batch_size=BATCH_SIZE, **choices))
    began = time.perf_counter()
    sweep_seconds(client, _document(choices, n_trials=N_TRIALS, epochs=1))
    first_sweep = time.perf_counter() - began
    seconds: dict[str, list[float]] = {"up": [], "fit": []}
    for _ in range(REPEATS):
        total = sweep_seconds(client, _document(choices, n_trials=N_TRIALS, epochs=EPOCHS))
        seconds["up"].append(total / (N_TRIALS * EPOCHS))
        seconds["fit"].append(fit())
    article = _article_seconds(folder, choices) / EPOCHS
    return {
        "seconds_per_trial_epoch": {side: spread(values) for side, values in seconds.items()},
        "fit_over_up": spread(ratios(seconds["fit"], seconds["up"])),
        "fit_setting": setting,
        "article_program_seconds_per_epoch": round(article, 3),
        "article_over_up": spread([article / up for up in seconds["up"]]),
        "first_sweep_with_compilation_seconds": round(first_sweep, 1),
    }


def _document(choices: Mapping[str, Any], *, n_trials: int, epochs: int) -> dict[str, Any]:
    return {
        **{"name": "benchmark", "dataset": DATASET, "method": "random", "metric": {"name": "val_accuracy"}},
        **{"run_cap": n_trials, "max_parallel": n_trials, "early_terminate": {"type": "none"}},
        "parameters": {
            "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2},
            "hidden_units": {"value": list(HIDDEN_UNITS)},
            "batch_size": BATCH_SIZE,
            "epochs": epochs,
            **choices,
        },
    }


def sweep_seconds(client: Client, document: Mapping[str, Any]) -> float:
    """From the submission of a sweep to its end."""
    began = time.perf_counter()
    sweep = client.submit(document)
    for _ in client.events(sweep.id):
        pass
    seconds = time.perf_counter() - began
    ended = client.sweep(sweep.id)
    if ended.state != "completed":
        raise RuntimeError(f"the sweep ended {ended.state} ({ended.state_reason})")
    return seconds


def _article_seconds(folder: Path, choices: Mapping[str, Any]) -> float:
    """Seconds of one process that trains one trial for `EPOCHS` epochs."""
    arguments = [str(folder / "datasets" / f"{DATASET}.npz"), json.dumps(choices), str(EPOCHS)]
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "benchmarks._article", *arguments],
        check=True,
        capture_output=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    return time.perf_counter() - began


def _peak_memory_mb(pid: int) -> int:
    """Largest resident memory of a process so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    peak = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(peak) // 1024
