"""How fast the fused engine trains, as ratios to Keras' `model.fit` tuned to its best, in turns in one process.

For every network: seconds per trial and epoch of a full bank, with and without statistics, validation and rows
included; and of a warm `model.fit` of one such trial on all cores, without validation, statistics or callbacks, with
the best of several settings. The rounds alternate, so that whatever else the machine does falls on all of them.
Beside them the rate of a large float32 product, and what refilling slots saves under successive halving.
"""

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._baseline import ARTICLE, BATCH_SIZE, images, ratios, spread, tuned_fit
from worker.datasets import Dataset
from worker.training.contract import TrialSpec
from worker.training.hyperparameters import Hyperparameters

REPEATS = 5
NETWORKS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "plain": ((128, 64, 32), {}),
    "batch norm and dropout": ((128, 64, 32), ARTICLE),
    "10 layers, plain": ((128,) * 10, {}),
    "10 layers, batch norm and dropout": ((128,) * 10, ARTICLE),
    "30 layers, plain": ((128,) * 30, {}),
    "30 layers, batch norm and dropout": ((128,) * 30, ARTICLE),
}
PRODUCT_SIZE = 1024
N_ASHA_TRIALS, ASHA_SLOTS, ASHA_RUNGS, ASHA_ETA, ASHA_EPOCHS = 128, 16, (1, 3, 9), 3, 10


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
        "networks": {name: _compare(dataset, *network) for name, network in NETWORKS.items()},
        "refill": _refill(images(None, repeat=False)),
    }


def _compare(dataset: Dataset, hidden_units: tuple[int, ...], choices: dict[str, Any]) -> dict[str, Any]:
    """One network: the engine with and without statistics, `fit`, and the product, in turns."""
    hyperparameters = Hyperparameters(hidden_units=hidden_units, batch_size=BATCH_SIZE, **choices)
    began = time.perf_counter()
    fused = _bank_epoch(dataset, hyperparameters, statistics=True)
    fused()
    compile_seconds = time.perf_counter() - began
    bare = _bank_epoch(dataset, hyperparameters, statistics=False)
    fit, setting = tuned_fit(dataset, hyperparameters)
    rounds: dict[str, Callable[[], float]] = {"fused": fused, "bare": bare, "fit": fit, "product": _product}
    bare()
    seconds: dict[str, list[float]] = {name: [] for name in rounds}
    for _ in range(REPEATS):
        for name, measure in rounds.items():
            seconds[name].append(measure())
    flop = _flop_per_epoch(len(dataset.y_train), (dataset.n_features, *hidden_units, dataset.n_classes))
    achieved = [flop / fused_seconds for fused_seconds in seconds["fused"]]
    peak = [2 * PRODUCT_SIZE**3 / product_seconds for product_seconds in seconds["product"]]
    return {
        "seconds_per_trial_epoch": {name: spread(seconds[name]) for name in ("fused", "bare", "fit")},
        "fit_over_fused": spread(ratios(seconds["fit"], seconds["fused"])),
        "with_over_without_statistics": spread(ratios(seconds["fused"], seconds["bare"])),
        "share_of_product_rate": spread(ratios(achieved, peak)),
        "product_gflop_per_second": spread([rate / 1e9 for rate in peak]),
        "fit_setting": setting,
        "compile_and_first_epoch_seconds": round(compile_seconds, 1),
    }


def _bank_epoch(dataset: Dataset, hyperparameters: Hyperparameters, *, statistics: bool) -> Callable[[], float]:
    """Trains a full bank for an epoch and returns the seconds per trial."""
    from worker.training.fused.bank import FusedBank

    bank = FusedBank(dataset, hyperparameters.hidden_units, BATCH_SIZE, 1, statistics=statistics)
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
    """Seconds for 128 trials under asynchronous halving: static batches of 16, and slots refilled at every epoch."""
    seconds = {"static": _halving(dataset, refill=False), "refilled": _halving(dataset, refill=True)}
    return seconds | {"static_over_refilled": round(seconds["static"] / seconds["refilled"], 2)}


def _halving(dataset: Dataset, *, refill: bool) -> float:
    """Train until every trial has stopped: at a rung, unless in the best third so far, or after the last epoch."""
    from worker.training.fused.bank import FusedBank
    from worker.training.fused.kinds import kinds_of

    random = np.random.default_rng(0)
    waiting = [
        TrialSpec(key=str(i), seed=i, hyperparameters=Hyperparameters(learning_rate=10 ** random.uniform(-5, -1)))
        for i in range(N_ASHA_TRIALS)
    ]
    bank = FusedBank(
        dataset, (128, 64, 32), BATCH_SIZE, 1, n_slots=ASHA_SLOTS, kinds=kinds_of(t.hyperparameters for t in waiting)
    )
    warm = TrialSpec(key="warm", seed=0, hyperparameters=Hyperparameters())
    bank.admit([warm])
    bank.train_epoch()
    bank.evict("warm")
    seen: dict[int, list[float]] = {rung: [] for rung in ASHA_RUNGS}
    began = time.perf_counter()
    while waiting or bank.free_slots < bank.n_slots:
        if refill or bank.free_slots == bank.n_slots:
            n_free = bank.free_slots
            bank.admit(waiting[:n_free])
            waiting = waiting[n_free:]
        for row in bank.train_epoch():
            accuracy = row.val_accuracy or 0.0
            scores = seen.get(row.epoch, [])
            scores.append(accuracy)
            n_better = sum(score > accuracy for score in scores)
            is_stopped = row.epoch in seen and n_better >= max(1, len(scores) // ASHA_ETA)
            if is_stopped or row.epoch >= ASHA_EPOCHS:
                bank.evict(row.key)
    return round(time.perf_counter() - began, 2)
