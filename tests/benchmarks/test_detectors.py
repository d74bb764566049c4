"""The published detectors on rows made by hand, each threshold on both sides."""

import pytest

from benchmarks._detectors import autotrainer, deep_checker, sagemaker
from benchmarks.verdicts import CASES, summary
from service.domain.stability.rows import EpochRow, LayerRow

FLAT = (0.1, 0.1, 0.1, 0.1)
GOOD = (0.1, 0.6, 0.8, 0.9)


def rows_of(accuracy=GOOD, first=1.0, last=1.0, zero=0.0, nonfinite=0, losses=(2.3, 1.0, 0.5, 0.3), **hidden):
    healthy = {"grad_rms_median": 1e-3, "update_ratio_median": 1e-3, "dead_fraction": 0.0, "zero_fraction": zero}
    layers = (
        LayerRow(layer=1, grad_norm_mean=first, **healthy | hidden),
        LayerRow(layer=2, grad_norm_mean=last, zero_fraction=zero),
    )
    return [
        EpochRow(epoch=e, train_accuracy=share, train_loss=loss, nonfinite=nonfinite, layers=layers)
        for e, (share, loss) in enumerate(zip(accuracy, losses, strict=False))
    ]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, set()),
        ({"nonfinite": 1}, {"explode"}),
        ({"accuracy": FLAT}, {"not_converge"}),
        ({"accuracy": FLAT, "first": 0.9e-4, "last": 1.0}, {"vanish"}),
        ({"accuracy": FLAT, "first": 1.1e-4, "last": 1.0}, {"not_converge"}),
        ({"accuracy": FLAT, "first": 0.9e-4, "last": 0.08}, {"not_converge"}),
        ({"first": 0.9e-4, "last": 1.0}, set()),
        ({"accuracy": FLAT, "first": 71.0}, {"explode"}),
        ({"accuracy": FLAT, "first": 70.0}, {"not_converge"}),
        ({"accuracy": FLAT, "zero": 0.7}, {"relu"}),
        ({"accuracy": (0.1, 0.5, 0.9, 0.6, 0.9), "losses": (2.3, 1.0, 0.5, 0.6, 0.5)}, {"unstable"}),
    ],
)
def test_autotrainer(change, found):
    assert autotrainer(rows_of(**change)) == found


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, set()),
        ({"nonfinite": 1}, {"ExplodingTensor"}),
        ({"grad_rms_median": 0.9e-7}, {"VanishingGradient"}),
        ({"grad_rms_median": 1e-7}, set()),
        ({"dead_fraction": 0.51}, {"DeadRelu"}),
        ({"dead_fraction": 0.5}, set()),
        ({"update_ratio_median": 10.1}, {"WeightUpdateRatio"}),
        ({"update_ratio_median": 0.9e-8}, {"WeightUpdateRatio"}),
        ({"losses": (2.3, 1.0, 0.9995, 0.5)}, {"LossNotDecreasing"}),
    ],
)
def test_sagemaker(change, found):
    assert sagemaker(rows_of(**change)) == found


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, set()),
        ({"nonfinite": 1}, {"numerical"}),
        ({"dead_fraction": 0.51}, {"dead"}),
        ({"saturated_fraction": 0.51}, {"saturated"}),
        ({"update_ratio_median": 0.9e-4}, {"updates"}),
        ({"update_ratio_median": 0.11}, {"updates"}),
        ({"update_ratio_median": 0.1}, set()),
    ],
)
def test_deep_checker(change, found):
    assert deep_checker(rows_of(**change)) == found


@pytest.mark.parametrize("name", CASES)
def test_every_case_can_be_summed_up(name):
    told = summary(rows_of(), CASES[name], (0.1,) * 10)
    assert (told["verdict"], told["prune"], told["autotrainer"]) == ("stable", None, [])
