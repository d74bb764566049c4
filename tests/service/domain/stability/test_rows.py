import math
from dataclasses import fields

import pytest

from service.database.tables import epochs as epochs_table
from service.database.tables import layer_epochs as layers_table
from service.domain.stability.rows import (
    EpochRow,
    LayerRow,
    epoch_gain,
    epoch_row_from_report,
    epoch_rows,
    learning_epochs,
    stalled_epochs,
)
from service.wire.leases import EpochReport, LayerReport


def names(kind):
    return {field.name for field in fields(kind)}


def test_rows_have_the_fields_of_the_reports_and_of_the_tables():
    assert names(LayerRow) == set(LayerReport.model_fields) - {"nonfinite_values"}
    assert names(EpochRow) == set(EpochReport.model_fields) - {"nonfinite_values"}
    assert names(LayerRow) <= set(layers_table.c.keys())
    assert names(EpochRow) - {"layers"} <= set(epochs_table.c.keys())


def test_spelled_values_are_numbers_again():
    report = EpochReport(
        epoch=1,
        steps=3,
        nonfinite_values={"train_loss": "nan", "global_norm_max": "inf"},
        layers=(LayerReport(layer=2), LayerReport(layer=1, nonfinite=2, nonfinite_values={"weight_norm": "-inf"})),
    )

    row = epoch_row_from_report(report)

    assert math.isnan(row.train_loss)
    assert row.global_norm_max == math.inf
    assert row.val_loss is None
    assert [layer.layer for layer in row.layers] == [1, 2]
    assert row.layers[0].weight_norm == -math.inf


def test_stored_rows_become_what_was_reported():
    reports = [
        EpochReport(epoch=e, steps=3, train_loss=1.0 + e, layers=(LayerReport(layer=1, grad_rms_median=e + 0.5),))
        for e in (1, 0)
    ]
    stored = [report.model_dump(exclude={"layers"}) for report in reports]
    layers = [layer.model_dump() | {"epoch": report.epoch} for report in reports for layer in report.layers]

    rows = epoch_rows(stored, layers)

    assert rows == [epoch_row_from_report(report) for report in reversed(reports)]


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ((2.0, 1.0, 0.5, 0.21, 0.19, 0.5), [1, 2, 3]),
        ((2.0, 1.0, 0.20, 0.2), [1, 2, 3]),  # a tenth is not below a tenth
        ((2.0, 0.1, 0.05), [1]),
        ((2.0, 1.9), [1]),
        ((2.0,), []),
        ((None, 1.0, 0.001), [1, 2]),
        ((math.inf, 1.0, 0.001), [1, 2]),
        ((2.0, None, math.nan, 0.1), [1, 2]),
    ],
)
def test_learning_ends_once_the_loss_is_below_a_tenth(losses, expected):
    rows = [EpochRow(epoch=e, train_loss=loss) for e, loss in enumerate(losses)]
    assert [row.epoch for row in learning_epochs(rows)] == expected


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ((0.10, 0.10, 0.10), [1, 2]),
        ((0.10, 0.11, 0.11), [2]),  # a rise of 0.01 is learning
        ((0.10, 0.109, 0.109), [1, 2]),
        ((0.10, 0.10, 0.50), []),  # epoch 1 stood still, but learning followed
        ((0.10, 0.50, 0.10, 0.10), [2, 3]),
        ((None, 0.10, 0.10), [2]),
        ((0.10, None, 0.10), [1]),
    ],
)
def test_stalled_epochs_are_those_that_no_learning_follows(accuracies, expected):
    rows = [EpochRow(epoch=e, train_loss=2.0, train_accuracy=share) for e, share in enumerate(accuracies)]
    assert [row.epoch for row in stalled_epochs(rows)] == expected


def test_epoch_gain_is_the_rise_over_the_epoch_before():
    rows = [EpochRow(epoch=0, train_accuracy=0.1), EpochRow(epoch=1, train_accuracy=0.35), EpochRow(epoch=2)]
    assert epoch_gain(rows, 1) == pytest.approx(0.25)
    assert epoch_gain(rows, 0) is None
    assert epoch_gain(rows, 2) is None
