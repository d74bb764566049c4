"""The recorded grid of the constrained search: what there is to find, and how it was trained.

1,824 networks of eight layers of 64 units on the handwritten digits, five epochs: a short time in which long steps pay.
`python -m benchmarks._grid` trains them again with the fused trainer and writes `constrained.csv` (minutes).
"""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from service.domain.parameters import canonical, config_hash
from service.domain.space import Space
from service.domain.stability.enforcement import appraise
from service.domain.stability.rows import EpochRow
from service.domain.sweep_document import read_sweep_document
from service.wire.parameters import Parameters

TABLE = Path(__file__).with_name("constrained.csv")
EPOCHS = 5
N_SLOTS = 16
KEPT = ("val_accuracy", "stability", "update_ratio", "global_norm_max")
"""Metrics that the table holds of each network, beside whether it diverged."""

PARAMETERS: dict[str, Any] = {
    "learning_rate": {"values": [round(10 ** (exponent / 4), 6) for exponent in range(-16, 3)]},
    "optimizer": {"values": ["sgd", "momentum", "adam", "rmsprop"]},
    "normalization": {"values": ["none", "batch"]},
    "activation": {"values": ["relu", "tanh", "elu"]},
    "initializer": {"values": ["glorot_uniform", "he_normal"]},
    "dropout": {"values": [0.0, 0.2]},
    "hidden_units": {"value": [64] * 8},
    "batch_size": 32,
    "epochs": EPOCHS,
}

NEUTRAL = canonical({})

Fate = Mapping[str, float | None]


def sweep_keys() -> dict[str, Any]:
    """The keys of a sweep over the grid."""
    return {"dataset": "digits", "parameters": PARAMETERS}


def configurations() -> list[Parameters]:
    """Every distinct configuration of the grid."""
    space = Space.from_definition(read_sweep_document(sweep_keys() | {"run_cap": 1}).definition()["space"])
    return [space.parameters(space.distinct_point(index)) for index in range(space.n_distinct or 0)]


def read_table() -> dict[str, Fate]:
    """What became of every configuration, by its hash."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {
            row.pop("config_hash"): {name: float(value) if value else None for name, value in row.items()}
            for row in csv.DictReader(file)
        }


def record(trials: Sequence[Parameters]) -> Iterator[dict[str, Any]]:
    """Train configurations in banks of the fused trainer, one stream for all; a row of the table for each."""
    from benchmarks.verdicts import as_stored
    from worker.datasets import load_dataset
    from worker.entries import hyperparameters
    from worker.training.contract import TrialSpec
    from worker.training.fused.bank import FusedBank
    from worker.training.fused.kinds import kinds_of

    with TemporaryDirectory() as folder:
        dataset = load_dataset("digits", Path(folder))
    specs = [TrialSpec(key=config_hash(each), seed=1, hyperparameters=hyperparameters(each)) for each in trials]
    shape = specs[0].hyperparameters
    kinds = kinds_of(spec.hyperparameters for spec in specs)
    bank = FusedBank(dataset, shape.hidden_units, shape.batch_size, 1, n_slots=N_SLOTS, kinds=kinds)
    for first in range(0, len(specs), bank.n_slots):
        batch = specs[first : first + bank.n_slots]
        measured: dict[str, list[Any]] = {spec.key: [] for spec in batch}
        for row in [*bank.admit(batch), *(row for _ in range(EPOCHS) for row in bank.train_epoch())]:
            measured[row.key].append(row)
        for spec in batch:
            bank.evict(spec.key)
            yield {"config_hash": spec.key} | row_of(as_stored(measured[spec.key]))


def row_of(rows: Sequence[EpochRow]) -> dict[str, Any]:
    """What the table keeps of a network; nothing in the place of a number that is not finite."""
    appraised = appraise(rows)
    found = {name: appraised.get(name, rows[-1].val_accuracy) for name in KEPT}
    known = {name: value is not None and math.isfinite(value) for name, value in found.items()}
    is_diverged = appraised["stability_limited_by"] == "nonfinite"
    return {name: f"{found[name]:.4g}" if known[name] else "" for name in KEPT} | {"diverged": int(is_diverged)}


if __name__ == "__main__":
    everything = configurations()
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["config_hash", *KEPT, "diverged"])
        writer.writeheader()
        for count, row in enumerate(record(everything), start=1):
            writer.writerow(row)
            if count % N_SLOTS == 0:
                print(f"{count} of {len(everything)}", flush=True)
