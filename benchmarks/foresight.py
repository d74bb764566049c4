"""How well the first epochs foretell how a trial ends: S, three published detectors, and the accuracy itself.

One random sweep of 60 trials, 200 with `--full`, on 5,000 images of MNIST, ten hidden layers of 128 units, all trained
to the end with nothing pruned. A trial ends well if its last accuracy is within 0.05 of the best of the sweep, and is
hopeless if it ends below 0.2. Each judge sees the first epochs alone and orders the trials; its AUC is the chance that
it puts a trial that ends well before one that does not, or one with hope before a hopeless one (ties count half).

References:
    Hanley, McNeil (1982), The meaning and use of the area under a receiver operating characteristic (ROC) curve.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks._detectors import autotrainer, deep_checker, sagemaker
from benchmarks.verdicts import as_stored
from service.domain.distributions import Categorical, Constant, Distribution, Uniform
from service.domain.parameters import config_hash
from service.domain.space import Space
from service.domain.stability.rows import EpochRow
from service.domain.stability.score import score
from service.domain.stability.verdict import judge
from service.domain.states import Verdict
from service.suggestion.draws import DistinctDraws, random_coordinates
from service.wire.parameters import Parameters

SEED = 5
TRIALS, TRIALS_OF_FULL = 60, 200
"""200 take 11 to 23 minutes on two cores; 60 show the order, with intervals nearly twice as wide."""

EPOCHS = 10
EARLY = (1, 3)
WITHIN = 0.05
HOPELESS = 0.2
SPACE: dict[str, Distribution] = {
    "learning_rate": Uniform(1e-5, 1.0, log=True),
    "optimizer": Categorical(("sgd", "momentum", "adam", "rmsprop")),
    "normalization": Categorical(("none", "batch", "layer")),
    "dropout": Uniform(0.0, 0.5),
    "residual": Categorical((True, False)),
    "activation": Categorical(("relu", "tanh", "sigmoid")),
    "initializer": Categorical(("glorot_uniform", "he_normal")),
    "hidden_units": Constant((128,) * 10),
    "epochs": Constant(EPOCHS),
}


def run(*, full: bool = False) -> dict[str, Any]:
    """Train the sweep, let every judge look at the first epochs, and compare with the ends."""
    from worker.datasets import load_dataset

    with TemporaryDirectory() as folder:
        dataset = load_dataset("mnist-5k", Path(folder))
    counts = np.bincount(dataset.y_val, minlength=dataset.n_classes)
    shares = (counts / counts.sum()).tolist()
    space = Space.from_distributions(SPACE)
    draws = DistinctDraws(space, random_coordinates(SEED, len(space.names)), SEED)
    trials = [
        drawn for number in range(TRIALS_OF_FULL if full else TRIALS) if (drawn := draws.trial(number)) is not None
    ]
    histories = train_all(dataset, trials)
    ends = [accuracy(rows[-1]) for rows in histories]
    targets = {
        "ends_well": [end >= max(ends) - WITHIN for end in ends],
        "has_hope": [end >= HOPELESS for end in ends],
    }
    return {
        "dataset": "mnist-5k",
        "trials": len(trials),
        "best_accuracy": max(ends),
        **{name: sum(flags) for name, flags in targets.items()},
        "auc": {
            f"{name}, epoch {epoch}": foresight([opinions(rows[: epoch + 1], shares) for rows in histories], flags)
            for name, flags in targets.items()
            for epoch in EARLY
        },
    }


def train_all(dataset: Any, trials: Sequence[Parameters]) -> list[list[EpochRow]]:
    """The rows of every trial, in banks of eight that are filled and emptied together."""
    from worker.entries import hyperparameters
    from worker.training.contract import TrialSpec
    from worker.training.fused.bank import FusedBank
    from worker.training.fused.kinds import kinds_of

    specs = [
        TrialSpec(key=config_hash(each), seed=SEED + number, hyperparameters=hyperparameters(each))
        for number, each in enumerate(trials)
    ]
    shapes = specs[0].hyperparameters
    kinds = kinds_of(spec.hyperparameters for spec in specs)
    bank = FusedBank(dataset, shapes.hidden_units, shapes.batch_size, SEED, n_slots=8, kinds=kinds)
    rows: dict[str, list[Any]] = {}
    for first in range(0, len(specs), bank.n_slots):
        batch = specs[first : first + bank.n_slots]
        for row in [*bank.admit(batch), *(row for _ in range(EPOCHS) for row in bank.train_epoch())]:
            rows.setdefault(row.key, []).append(row)
        for spec in batch:
            bank.evict(spec.key)
    return [as_stored(rows[spec.key]) for spec in specs]


def accuracy(row: EpochRow) -> float:
    """The validation accuracy; 0 if it is not a number."""
    value = row.val_accuracy
    return 0.0 if value is None or math.isnan(value) else value


def opinions(rows: Sequence[EpochRow], shares: Sequence[float]) -> Mapping[str, float]:
    """What each judge thinks of a trial so far, the higher the better; of a detector, its alarms with a minus."""
    found, stability = judge(rows, shares), score(rows)
    s = 0.0 if stability is None else stability.stability
    return {
        "stability": s,
        "verdict_is_stable": float(found is not None and found.verdict is Verdict.STABLE),
        "autotrainer": -float(len(autotrainer(rows))),
        "sagemaker": -float(len(sagemaker(rows))),
        "deep_checker": -float(len(deep_checker(rows))),
        "accuracy": accuracy(rows[-1]),
        "accuracy_times_stability": accuracy(rows[-1]) * s,
    }


def foresight(judged: Sequence[Mapping[str, float]], is_good: Sequence[bool]) -> dict[str, list[float]]:
    """The AUC of each judge, with its interval."""
    return {name: with_interval([each[name] for each in judged], is_good) for name in judged[0]}


def auc(values: Sequence[float], is_good: Sequence[bool]) -> float:
    """Chance that a good one has a higher value than a bad one, ties half; nan without both kinds."""
    good = np.array([value for value, flag in zip(values, is_good, strict=True) if flag])
    bad = np.array([value for value, flag in zip(values, is_good, strict=True) if not flag])
    if not len(good) or not len(bad):
        return math.nan
    above = good[:, None] > bad[None, :]
    return float(np.mean(above + 0.5 * (good[:, None] == bad[None, :])))


def with_interval(values: Sequence[float], is_good: Sequence[bool], n_samples: int = 2000) -> list[float]:
    """The AUC and the 2.5th and 97.5th percentiles of bootstrap samples of trials (Efron 1979), rounded."""
    generator = np.random.default_rng(0)
    drawn = []
    for _ in range(n_samples):
        chosen = generator.integers(len(values), size=len(values)).tolist()
        drawn.append(auc([values[i] for i in chosen], [is_good[i] for i in chosen]))
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return [round(float(value), 3) for value in (auc(values, is_good), low, high)]
