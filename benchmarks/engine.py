"""How fast the fused engine trains, as ratios to Keras' `model.fit` tuned to its best, in turns in one process.

For every network: seconds per trial and epoch of a full bank, with statistics of every step, of some and of none,
validation and rows included; and of a warm `model.fit` of one such trial on all cores, without validation, statistics
or callbacks, with the best of several settings. The rounds alternate, so that whatever else the machine does falls on
all of them.
Beside them the rate of a large float32 product, and what refilling slots saves under successive halving.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks._baseline import ARTICLE, BATCH_SIZE, images, ratios, spread, tuned_fit
from worker.datasets import Dataset
from worker.training.contract import EpochRow, TrialSpec
from worker.training.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from worker.training.fused.bank import FusedBank

REPEATS = 5
FEW_STEPS = (4, 8)  # every which step is measured, where not every one is
NETWORKS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "plain": ((128, 64, 32), {}),
    "batch norm and dropout": ((128, 64, 32), ARTICLE),
    "10 layers, plain": ((128,) * 10, {}),
    "10 layers, batch norm and dropout": ((128,) * 10, ARTICLE),
    "30 layers, plain": ((128,) * 30, {}),
    "30 layers, batch norm and dropout": ((128,) * 30, ARTICLE),
}
DEEP_ROWS = 10_000  # of the deep networks, and the same share of the validation split
PRODUCT_SIZE = 1024
N_ASHA_TRIALS, ASHA_SLOTS, ASHA_RUNGS, ASHA_ETA, ASHA_EPOCHS = 128, 16, (1, 3, 9), 3, 10
ASHA_ROWS = 10_000


def run(data: Path | None = None) -> dict[str, Any]:
    """Measure everything.

    Args:
        data: A file in the layout of Keras' mnist.npz; by default 5,000 real MNIST images, repeated to 60,000 rows.
    """
    from worker.trainer import n_cores
    from worker.training.fused.streams import configure_threads

    configure_threads(n_cores())
    dataset = images(data)
    return {
        "rows_per_epoch": len(dataset.y_train),
        "repeats": REPEATS,
        "rows_per_epoch_of_deep_networks": DEEP_ROWS,
        "networks": {name: _compare(_rows_for(dataset, *network), *network) for name, network in NETWORKS.items()},
        "refill": _refill(_first_rows(dataset, ASHA_ROWS)),
    }


def _rows_for(dataset: Dataset, hidden_units: tuple[int, ...], _: dict[str, Any]) -> Dataset:
    """All rows, but for a deep network, whose settings of `fit` alone would take an hour, the first ones."""
    return dataset if len(hidden_units) < len(NETWORKS["10 layers, plain"][0]) else _first_rows(dataset, DEEP_ROWS)


def _first_rows(dataset: Dataset, n: int) -> Dataset:
    """The first rows of the training split, and the same share of the validation split."""
    n_val = round(len(dataset.y_val) * n / len(dataset.y_train))
    return replace(
        dataset,
        x_train=dataset.x_train[:n],
        y_train=dataset.y_train[:n],
        x_val=dataset.x_val[:n_val],
        y_val=dataset.y_val[:n_val],
    )


def _compare(dataset: Dataset, hidden_units: tuple[int, ...], choices: dict[str, Any]) -> dict[str, Any]:
    """One network: the engine with statistics of every step, some and none, `fit`, and the product, in turns."""
    hyperparameters = Hyperparameters(hidden_units=hidden_units, batch_size=BATCH_SIZE, **choices)
    began = time.perf_counter()
    fused = _bank_epoch(dataset, hyperparameters, statistics_every=1)
    fused()
    compile_seconds = time.perf_counter() - began
    bare = _bank_epoch(dataset, hyperparameters, statistics_every=0)
    fit, setting = tuned_fit(dataset, hyperparameters)
    few = {f"every {n}": _bank_epoch(dataset, hyperparameters, statistics_every=n) for n in FEW_STEPS}
    rounds: dict[str, Callable[[], float]] = {"fused": fused, "bare": bare, **few, "fit": fit, "product": _product}
    for compile_first in (bare, *few.values()):
        compile_first()
    seconds: dict[str, list[float]] = {name: [] for name in rounds}
    for _ in range(REPEATS):
        for name, measure in rounds.items():
            seconds[name].append(measure())
    flop = _flop_per_epoch(len(dataset.y_train), (dataset.n_features, *hidden_units, dataset.n_classes))
    achieved = [flop / fused_seconds for fused_seconds in seconds["fused"]]
    peak = [2 * PRODUCT_SIZE**3 / product_seconds for product_seconds in seconds["product"]]
    return {
        "seconds_per_trial_epoch": {name: spread(seconds[name]) for name in rounds if name != "product"},
        "fit_over_fused": spread(ratios(seconds["fit"], seconds["fused"])),
        "with_over_without_statistics": {
            name: spread(ratios(seconds[name], seconds["bare"])) for name in ("fused", *few)
        },
        "share_of_product_rate": spread(ratios(achieved, peak)),
        "product_gflop_per_second": spread([rate / 1e9 for rate in peak]),
        "fit_setting": setting,
        "compile_and_first_epoch_seconds": round(compile_seconds, 1),
    }


def _bank_epoch(dataset: Dataset, hyperparameters: Hyperparameters, *, statistics_every: int) -> Callable[[], float]:
    """Trains a full bank for an epoch and returns the seconds per trial."""
    from worker.training.fused.bank import FusedBank

    bank = FusedBank(dataset, hyperparameters.hidden_units, BATCH_SIZE, 1, statistics_every=statistics_every)
    bank.admit([TrialSpec(key=str(i), seed=i, hyperparameters=hyperparameters) for i in range(bank.n_slots)])

    def epoch() -> float:
        began = time.perf_counter()
        bank.train_epoch()
        return (time.perf_counter() - began) / bank.n_slots

    return epoch


def _product() -> float:
    """Seconds of a float32 product on all cores: the best of ten."""
    import tensorflow as tf

    a = tf.random.normal((PRODUCT_SIZE, PRODUCT_SIZE))
    best = float("inf")
    for _ in range(10):
        began = time.perf_counter()
        tf.matmul(a, a).numpy()
        best = min(best, time.perf_counter() - began)
    return best


def _flop_per_epoch(n_rows: int, sizes: tuple[int, ...]) -> float:
    """Multiplications and additions of the products alone: forward, kernel gradients, and deltas but the first."""
    n_weights = [a * b for a, b in pairwise(sizes)]
    return 2.0 * (n_rows // BATCH_SIZE) * BATCH_SIZE * (3 * sum(n_weights) - n_weights[0])


def _refill(dataset: Dataset) -> dict[str, Any]:
    """128 trials under asynchronous halving in 16 slots, three ways, with the slot-epochs that each computes.

    static: batches of 16, as programs without refill run them: every slot computes until the last of its batch ends.
    emptied: the same, but trials that have stopped leave, and a tile without a trial is skipped.
    refilled: slots are taken again at every epoch.
    """
    runs = {way: _halving(dataset, way) for way in ("static", "emptied", "refilled")}
    return runs | {
        f"{way}_over_refilled": {
            unit: round(runs[way][unit] / runs["refilled"][unit], 2) for unit in ("seconds", "slot_epochs")
        }
        for way in ("static", "emptied")
    }


def _halving(dataset: Dataset, way: str) -> dict[str, float]:
    """Train until every trial has stopped, and say how long that took and how many slots computed for it."""
    bank, waiting = _halving_bank(dataset)
    seen: dict[int, list[float]] = {rung: [] for rung in ASHA_RUNGS}
    training: set[str] = set()
    stopped: set[str] = set()
    used = {"rounds": 0, "trial_epochs": 0, "slot_epochs": 0}
    began = time.perf_counter()
    while waiting or training:
        if way == "refilled" or not training:
            arrivals, waiting = waiting[: bank.free_slots], waiting[bank.free_slots :]
            bank.admit(arrivals)
            training |= {trial.key for trial in arrivals}
        used["rounds"] += 1
        used["trial_epochs"] += len(training)
        used["slot_epochs"] += bank.slots_per_tile * sum(tile.n_trials > 0 for tile in bank.tiles)
        stopped |= {row.key for row in bank.train_epoch() if row.key in training and _stops(row, seen)}
        training -= stopped
        if way != "static" or not training:
            for key in stopped:
                bank.evict(key)
            stopped.clear()
    return used | {"seconds": round(time.perf_counter() - began, 2)}


def _stops(row: EpochRow, seen: dict[int, list[float]]) -> bool:
    """Whether a trial stops here: at a rung, unless in the best third so far, or after the last epoch."""
    if row.epoch not in seen:
        return row.epoch >= ASHA_EPOCHS
    scores, accuracy = seen[row.epoch], row.val_accuracy or 0.0
    scores.append(accuracy)
    return sum(score > accuracy for score in scores) >= max(1, len(scores) // ASHA_ETA)


def _halving_bank(dataset: Dataset) -> tuple["FusedBank", list[TrialSpec]]:
    """A warm, empty bank of 16 slots, and the trials: all that differs is the learning rate."""
    from worker.training.fused.bank import FusedBank
    from worker.training.fused.kinds import kinds_of

    random = np.random.default_rng(0)
    trials = [
        TrialSpec(key=str(i), seed=i, hyperparameters=Hyperparameters(learning_rate=10 ** random.uniform(-5, -1)))
        for i in range(N_ASHA_TRIALS)
    ]
    bank = FusedBank(
        dataset, (128, 64, 32), BATCH_SIZE, 1, n_slots=ASHA_SLOTS, kinds=kinds_of(t.hyperparameters for t in trials)
    )
    bank.admit([TrialSpec(key="warm", seed=0, hyperparameters=Hyperparameters())])
    bank.train_epoch()
    bank.evict("warm")
    return bank, trials
