"""The searches are compared by when their trials ended, on the same rows."""

from pathlib import Path

import pytest

from benchmarks.through_up import DATASET, write_dataset
from benchmarks.time_to_accuracy import Ends, time_to_target
from worker.datasets import load_dataset


@pytest.mark.parametrize(
    ("ends", "seconds"),
    [
        ([(3.0, 0.95), (5.0, 0.97), (7.0, 0.99)], 5.0),
        ([(3.0, 0.95), (5.0, 0.9699)], None),
        ([], None),
    ],
)
def test_the_target_is_reached_by_the_first_trial_that_ends_there(ends: Ends, seconds: float | None) -> None:
    assert time_to_target(ends) == seconds


def test_the_worker_reads_the_rows_that_the_benchmark_writes(tmp_path: Path) -> None:
    write_dataset(tmp_path / "datasets" / f"{DATASET}.npz", None)
    dataset = load_dataset(DATASET, tmp_path)
    assert len(dataset.y_train) + len(dataset.y_val) == 60_000
    assert dataset.n_features == 784
