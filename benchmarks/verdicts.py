"""Verdicts, scores and rules on networks whose fate is known, beside three published detectors, on the same rows."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks._detectors import autotrainer, deep_checker, sagemaker
from service.domain.parameters import canonical
from service.domain.stability.rows import EpochRow, LayerRow
from service.domain.stability.rules import Action, Rule, RuleSetting, holding
from service.domain.stability.score import score
from service.domain.stability.verdict import judge

EPOCHS = 8
SEEDS = (0,)
EVERY_RULE = {rule: RuleSetting(Action.PRUNE) for rule in Rule}


def wide(n_layers: int) -> tuple[int, ...]:
    """Hidden layers of 128 units."""
    return (128,) * n_layers


CASES: dict[str, dict[str, Any]] = {
    "healthy: 128-64-32, Adam": {},
    "healthy: 3 × 128, He, SGD 0.1": {
        "hidden_units": wide(3),
        "initializer": "he_normal",
        "optimizer": "sgd",
        "learning_rate": 0.1,
    },
    "healthy: 10 × 128, He, Adam": {"hidden_units": wide(10), "initializer": "he_normal"},
    "healthy: 10 × 128, residual, batch norm": {
        "hidden_units": wide(10),
        "residual": True,
        "normalization": "batch",
    },
    "healthy: 20 × 128, He, batch norm": {
        "hidden_units": wide(20),
        "initializer": "he_normal",
        "normalization": "batch",
    },
    "healthy: batch norm, dropout 0.5 everywhere": {"normalization": "batch", "dropout": 0.5, "input_dropout": 0.5},
    "healthy: label smoothing 0.1": {"label_smoothing": 0.1},
    "10 × 128 sigmoid, SGD 0.1": {
        "hidden_units": wide(10),
        "activation": "sigmoid",
        "optimizer": "sgd",
        "learning_rate": 0.1,
    },
    "10 × 128 sigmoid, Adam": {"hidden_units": wide(10), "activation": "sigmoid"},
    "20 × 128 ReLU, Glorot, SGD 0.01": {"hidden_units": wide(20), "optimizer": "sgd", "learning_rate": 0.01},
    "Adam, learning rate 0.1": {"learning_rate": 0.1},
    "Adam, learning rate 1": {"learning_rate": 1.0},
    "SGD, momentum 0.9, learning rate 1": {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 1.0},
    "SGD, learning rate 10": {"optimizer": "sgd", "learning_rate": 10.0},
}


def run() -> dict[str, Any]:
    """Train every case for eight epochs on 5,000 images of MNIST with the reference trainer, and judge its rows."""
    import numpy as np

    from worker.datasets import load_dataset

    with TemporaryDirectory() as folder:
        dataset = load_dataset("mnist-5k", Path(folder))
    counts = np.bincount(dataset.y_val, minlength=dataset.n_classes)
    shares = (counts / counts.sum()).tolist()
    table = []
    for name, changes in CASES.items():
        for seed in SEEDS:
            rows = train(dataset, changes, seed)
            table.append({"case": name, "seed": seed, **summary(rows, changes, shares)})
    return {"dataset": "mnist-5k", "epochs": EPOCHS, "cases": table}


def train(dataset: Any, changes: dict[str, Any], seed: int) -> list[EpochRow]:
    """The rows of one trial."""
    from worker.training.contract import TrialSpec
    from worker.training.hyperparameters import Hyperparameters
    from worker.training.reference import ReferenceBank

    hyperparameters = Hyperparameters(epochs=EPOCHS, **changes)
    bank = ReferenceBank(dataset, hyperparameters.hidden_units, hyperparameters.batch_size, stream_seed=1)
    spec = TrialSpec(key="trial", seed=seed, hyperparameters=hyperparameters)
    return as_stored([*bank.admit([spec]), *(row for _ in range(EPOCHS) for row in bank.train_epoch())])


def as_stored(measured: Sequence[Any]) -> list[EpochRow]:
    """A trainer's rows as the service knows them."""
    names = [field.name for field in fields(EpochRow) if field.name != "layers"]
    return [
        EpochRow(
            **{name: getattr(row, name) for name in names},
            layers=tuple(LayerRow(**asdict(layer)) for layer in row.layers),
        )
        for row in measured
    ]


def summary(rows: Sequence[EpochRow], changes: dict[str, Any], shares: Sequence[float]) -> dict[str, Any]:
    """What each judge says of a trial; `prune` is the first rule that would end it, if every rule could."""
    parameters = canonical({"epochs": EPOCHS} | changes)
    finding, final, early = judge(rows, shares), score(rows), score(rows[:4])
    prune = next(
        (held[0] for n in range(1, len(rows) + 1) if (held := holding(EVERY_RULE, rows[:n], parameters, shares))), None
    )
    return {
        "val_accuracy": rows[-1].val_accuracy,
        "verdict": None if finding is None else finding.verdict.value,
        "stability": None if final is None else round(final.stability, 3),
        "limited_by": None if final is None else final.limiting,
        "stability_at_epoch_3": None if early is None else round(early.stability, 3),
        "prune": None if prune is None else f"{prune.rule} at {prune.epoch}",
        "autotrainer": sorted(autotrainer(rows)),
        "sagemaker": sorted(sagemaker(rows)),
        "deep_checker": sorted(deep_checker(rows)),
    }
