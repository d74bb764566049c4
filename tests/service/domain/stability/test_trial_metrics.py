"""One number per metric and trial, against what NumPy makes of the same rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.domain.metrics import AT_BEST, GRADIENT_METRICS, STABILITY_PARTS, TRIAL_METRICS
from service.domain.stability.enforcement import appraise
from service.domain.stability.rows import EpochRow, LayerRow
from service.domain.stability.score import score
from service.domain.stability.trial_metrics import at_best, gradient_metrics, part_columns
from service.wire.trials import GradientMetrics

N_EPOCHS, N_LAYERS = 6, 5
PAGE = (Path(__file__).parents[4] / "docs" / "gradients.md").read_text(encoding="utf-8")
LAYERED = ("grad_rms_median", "bias_grad_rms_median", "update_ratio_median", "zero_fraction", "dead_fraction")


@pytest.fixture(scope="module")
def drawn():
    """Numbers by name, epochs 0 to 6: (epochs,) or (epochs, layers)."""
    generator = np.random.default_rng(3)
    numbers = {name: generator.uniform(0.1, 0.9, (N_EPOCHS + 1, N_LAYERS)) for name in (*LAYERED, "grad_norm_mean")}
    names = ("global_norm_p50", "global_norm_p99", "global_norm_max", "clip_fraction", "loss_max", "val_loss")
    numbers |= {name: generator.uniform(0.1, 0.9, N_EPOCHS + 1) for name in (*names, "val_top_class_share")}
    numbers |= {name: generator.integers(0, 9, N_EPOCHS + 1) for name in ("loss_spikes", "loss_doublings")}
    return numbers


@pytest.fixture(scope="module")
def measured(drawn):
    """The same as rows; from epoch 4 on the loss is below a tenth of the first, so that learning is over."""
    losses = (2.0, 1.5, 1.0, 0.5, 0.1, 0.1, 0.1)
    accuracy = (0.1, 0.5, 0.4, 0.6, 0.9, 0.9, 0.9)
    return [
        EpochRow(
            epoch=epoch,
            train_loss=losses[epoch],
            train_accuracy=accuracy[epoch],
            layers=tuple(
                LayerRow(layer=at + 1, **{name: float(drawn[name][epoch, at]) for name in (*LAYERED, "grad_norm_mean")})
                for at in range(N_LAYERS)
            ),
            **{name: values[epoch].item() for name, values in drawn.items() if values.ndim == 1},
        )
        for epoch in range(N_EPOCHS + 1)
    ]


def test_each_number_is_what_numpy_makes_of_the_rows(drawn, measured):
    learning, trained, hidden = slice(1, 4), slice(1, None), slice(0, N_LAYERS - 1)

    def middles(name):
        return np.median(drawn[name][learning], axis=0)

    biases = np.log10(drawn["bias_grad_rms_median"][:, hidden])
    slopes = np.polyfit(np.arange(N_LAYERS - 1), biases.T, 1)[0]
    norms = drawn["grad_norm_mean"]
    p50, p99 = drawn["global_norm_p50"], drawn["global_norm_p99"]
    assert gradient_metrics(measured) == pytest.approx(
        {
            "depth_range": np.median(slopes[learning]) * (N_LAYERS - 2),
            "flow_ratio": np.median((norms[:, 0] / norms[:, -1])[learning]),
            "gsr": np.median(np.log10(p99 / p50)[learning]),
            "oscillation": 1 / 6,
            "grad_rms": middles("grad_rms_median").min(),
            "bias_grad_rms": middles("bias_grad_rms_median")[hidden].min(),
            "update_ratio": middles("update_ratio_median").max(),
            "update_ratio_least": middles("update_ratio_median")[hidden].min(),
            "zero_fraction": middles("zero_fraction")[hidden].max(),
            "dead_fraction": middles("dead_fraction")[hidden].max(),
            "saturated_fraction": None,
            "global_norm_p50": np.median(p50[learning]),
            "global_norm_p99": np.median(p99[learning]),
            "global_norm_max": drawn["global_norm_max"][trained].max(),
            "clip_fraction": np.median(drawn["clip_fraction"][learning]),
            "loss_max": drawn["loss_max"][trained].max(),
            "loss_spikes": drawn["loss_spikes"][trained].sum(),
            "loss_doublings": drawn["loss_doublings"][trained].max(),
            "val_top_class_share": drawn["val_top_class_share"][-1],
        }
    )


@pytest.mark.parametrize("value", [float("inf"), float("nan"), None])
def test_what_is_not_finite_or_not_measured_is_unknown(measured, value):
    rows = [*measured[:-1], replace(measured[-1], loss_max=value, global_norm_max=value)]
    known = max(row.loss_max for row in measured[1:-1])
    assert gradient_metrics(rows)["loss_max"] == (known if value is None else None)
    nothing = [replace(row, global_norm_max=value) for row in measured]
    assert gradient_metrics(nothing)["global_norm_max"] is None


def test_before_the_first_epoch_nothing_is_known(measured):
    assert set(gradient_metrics(measured[:1]).values()) == {None}


def test_parts_of_the_stability_are_columns_and_unknown_ones_are_null(rows_of):
    found = part_columns(score(rows_of(n_hidden=2, norm=(1.0, 100.0))))
    assert (found["stability_depth"], found["stability_steady"]) == (None, 0.0)
    assert set(part_columns(None).values()) == {None}


def test_metrics_at_best_are_those_of_that_epoch(measured):
    assert at_best(measured, 2)["val_loss_at_best"] == measured[2].val_loss
    assert set(at_best(measured, 9).values()) == set(at_best(measured, None).values()) == {None}


def test_an_appraisal_has_them_all(measured, parameters):
    found = appraise(measured, None, 2)
    assert set(TRIAL_METRICS) <= set(found)
    assert found["val_loss_at_best"] == measured[2].val_loss
    assert found["loss_max"] == gradient_metrics(measured)["loss_max"]


def test_the_wire_has_every_gradient_metric_but_the_slope():
    assert set(GradientMetrics.model_fields) == GRADIENT_METRICS.keys() - {"depth_slope"}
    assert set(TRIAL_METRICS) == {
        *GradientMetrics.model_fields,
        *AT_BEST.values(),
        *(f"stability_{part}" for part in STABILITY_PARTS),
    }


@pytest.mark.parametrize("name", sorted({*GRADIENT_METRICS, *(f"stability_{part}" for part in STABILITY_PARTS)}))
def test_every_metric_of_a_trial_is_documented(name):
    assert f"`{name}`" in PAGE
