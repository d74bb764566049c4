"""A whole search on MNIST: seconds until a trial ends at 0.97, and for all trials; gradsweep against Optuna with Keras.

Both search the same space with TPE, on all cores, for the same number of trials and epochs, without pruning, and end
their trials with validation on the same rows. gradsweep: `gradsweep up` with a worker that has loaded TensorFlow but
compiled nothing; from the submission of the sweep, compilation, HTTP, database and statistics included, in a household
of its own for each seed. The other: a warm process that asks Optuna, builds the network, and calls `model.fit` with
steps_per_execution at its best (the other settings compile longer than three epochs take), one trial after the other.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._baseline import BATCH_SIZE, keras_network, ratios, spread
from benchmarks.through_up import DATASET, HIDDEN_UNITS, write_dataset
from gradsweep.cli.demo import running_household
from gradsweep.client import Client
from worker.datasets import Dataset, load_dataset
from worker.training.hyperparameters import Hyperparameters

TARGET = 0.97
N_SEEDS = 3
N_TRIALS, EPOCHS = 24, 3
STEPS_PER_EXECUTION = 32
LEARNING_RATES = (1e-4, 1e-1)
OPTIMIZERS = ["sgd", "adam", "rmsprop", "adagrad"]
NORMALIZATIONS = ["none", "batch"]
DROPOUT = (0.0, 0.3)


def run(data: Path | None = None) -> dict[str, Any]:
    """Both sides in turns, each seed from nothing.

    Args:
        data: A file in the layout of Keras' mnist.npz; by default 5,000 real MNIST images, repeated to 60,000 rows:
            then validation rows are among those trained on, for both sides, and accuracies mean nothing.
    """
    with tempfile.TemporaryDirectory(prefix="gradsweep-bench-") as folder:
        write_dataset(Path(folder) / "datasets" / f"{DATASET}.npz", data)
        dataset = load_dataset(DATASET, Path(folder))  # what the worker trains on and validates with
    baseline(dataset, seed=0, n_trials=1)  # warm
    rounds = [(_gradsweep(data, seed), baseline(dataset, seed=seed, n_trials=N_TRIALS)) for seed in range(N_SEEDS)]
    ours = [ends for ends, _ in rounds]
    theirs = [ends for _, ends in rounds]
    figures: dict[str, Any] = {"trials": N_TRIALS, "epochs": EPOCHS, "target": TARGET, "seeds": N_SEEDS}
    for side, runs in {"gradsweep": ours, "optuna_and_fit": theirs}.items():
        figures[side] = {
            "seconds_to_target": [time_to_target(ends) for ends in runs],
            "seconds_for_all": [round(ends[-1][0], 1) for ends in runs],
            "best": [round(max(value for _, value in ends), 4) for ends in runs],
        }
    figures["optuna_over_gradsweep_for_all"] = spread(ratios([e[-1][0] for e in theirs], [e[-1][0] for e in ours]))
    return figures


Ends = list[tuple[float, float]]
"""For each trial in the order of its end: seconds since the search began, and the final validation accuracy."""


def time_to_target(ends: Ends) -> float | None:
    """When the first trial ended at the target or above; None if none did."""
    return next((round(seconds, 1) for seconds, value in ends if value >= TARGET), None)


def _gradsweep(data: Path | None, seed: int) -> Ends:
    document = {
        **{"name": "benchmark", "dataset": DATASET, "method": "tpe", "metric": {"name": "val_accuracy"}},
        **{"run_cap": N_TRIALS, "seed": seed, "early_terminate": {"type": "none"}},
        "parameters": {
            "learning_rate": {
                "distribution": "log_uniform_values",
                "min": LEARNING_RATES[0],
                "max": LEARNING_RATES[1],
            },
            "optimizer": {"values": OPTIMIZERS},
            "normalization": {"values": NORMALIZATIONS},
            "dropout": {"min": DROPOUT[0], "max": DROPOUT[1]},
            "hidden_units": {"value": list(HIDDEN_UNITS)},
            "batch_size": BATCH_SIZE,
            "epochs": EPOCHS,
        },
    }
    with tempfile.TemporaryDirectory(prefix="gradsweep-bench-") as folder:
        write_dataset(Path(folder) / "datasets" / f"{DATASET}.npz", data)
        with running_household(Path(folder), []) as url, Client(url) as client:
            while not client.workers():
                time.sleep(0.2)
            began = time.perf_counter()
            sweep = client.submit(document)
            ends: Ends = []
            for event in client.events(sweep.id):
                if event.kind in {"trial_completed", "trial_pruned"}:
                    assert event.trial_id is not None
                    seconds = time.perf_counter() - began
                    ends.append((seconds, client.trial(event.trial_id).val_accuracy or 0.0))
    return ends


def baseline(dataset: Dataset, *, seed: int, n_trials: int) -> Ends:
    """Optuna asks, Keras fits, one trial after the other."""
    import keras
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    x, x_val = (rows.astype("float32") * dataset.scale for rows in (dataset.x_train, dataset.x_val))
    optimizers = {
        "sgd": keras.optimizers.SGD,
        "adam": keras.optimizers.Adam,
        "rmsprop": keras.optimizers.RMSprop,
        "adagrad": keras.optimizers.Adagrad,
    }
    ends: Ends = []
    began = time.perf_counter()

    def objective(trial: optuna.Trial) -> float:
        learning_rate = trial.suggest_float("learning_rate", *LEARNING_RATES, log=True)
        optimizer = optimizers[trial.suggest_categorical("optimizer", OPTIMIZERS)]
        h = Hyperparameters(
            hidden_units=HIDDEN_UNITS,
            batch_size=BATCH_SIZE,
            normalization=trial.suggest_categorical("normalization", NORMALIZATIONS),
            dropout=trial.suggest_float("dropout", *DROPOUT),
        )
        keras.backend.clear_session()
        model = keras_network(dataset.n_features, dataset.n_classes, h)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer(learning_rate), loss, metrics=["accuracy"], steps_per_execution=STEPS_PER_EXECUTION)
        model.fit(x, dataset.y_train, batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=0)
        accuracy = float(model.evaluate(x_val, dataset.y_val, batch_size=1024, verbose=0)[1])
        ends.append((time.perf_counter() - began, accuracy))
        return accuracy

    sampler = optuna.samplers.TPESampler(seed=seed)
    optuna.create_study(direction="maximize", sampler=sampler).optimize(objective, n_trials=n_trials)
    return ends
