"""Canonical trials as measured rows, made by hand: what each number is can be read off the call."""

from collections.abc import Callable, Sequence

import pytest

from service.domain.stability.rows import EpochRow, LayerRow
from service.wire.parameters import Parameters

CHANCE = (0.105, 0.11, 0.11, 0.11, 0.11, 0.11, 0.11)
LEARNING = (0.10, 0.60, 0.75, 0.82, 0.87, 0.90, 0.92)


def make_rows(
    *,
    n_hidden: int = 5,
    accuracy: Sequence[float | None] = LEARNING,
    train_loss: Sequence[float | None] = (2.3, 1.2, 0.9, 0.7, 0.6, 0.5, 0.4),
    slope: float = 0.0,
    bias_rms: float = 1e-3,
    grad_rms: float | None = 1e-3,
    update_ratio: float | None = 1e-3,
    norm: tuple[float | None, float | None] = (1.0, 2.0),
    dead: float | None = 0.0,
    saturated: float | None = None,
    zero: float | None = 0.05,
    loss_max: float | None = 2.5,
    doublings: int = 0,
    top_share: float | None = 0.12,
    val_loss: float | None = 1.0,
) -> list[EpochRow]:
    """One row for each accuracy, the first of them epoch 0; every layer alike but for the biases' slope."""

    def layer(number: int) -> LayerRow:
        return LayerRow(
            layer=number,
            grad_norm_mean=1.0,
            grad_rms_median=grad_rms,
            bias_grad_rms_median=bias_rms * 10 ** (slope * (number - n_hidden)),
            update_ratio_median=update_ratio,
            weight_norm=10.0,
            zero_fraction=zero,
            dead_fraction=dead,
            saturated_fraction=saturated,
        )

    return [
        EpochRow(
            epoch=epoch,
            steps=60,
            train_loss=loss,
            train_accuracy=share,
            val_loss=val_loss,
            val_accuracy=share,
            val_top_class_share=top_share,
            loss_max=loss_max,
            loss_doublings=doublings,
            global_norm_p50=norm[0],
            global_norm_p99=norm[1],
            layers=tuple(layer(number) for number in range(1, n_hidden + 2)),
        )
        for epoch, (share, loss) in enumerate(zip(accuracy, train_loss, strict=False))
    ]


@pytest.fixture(scope="session")
def rows_of() -> Callable[..., list[EpochRow]]:
    """Makes a healthy trial, apart from what the call changes."""
    return make_rows


@pytest.fixture
def canonical() -> dict[str, list[EpochRow]]:
    """Trials whose fate is known."""
    flat = (2.31, *([2.301] * 6))
    return {
        "healthy": make_rows(),
        "vanishing": make_rows(accuracy=CHANCE, train_loss=flat, slope=0.9, loss_max=2.4),
        "steep start": make_rows(slope=-0.45),
        "exploding": make_rows(accuracy=CHANCE, train_loss=flat, slope=-0.5, loss_max=2.4),
        "overstepping": make_rows(accuracy=CHANCE, train_loss=flat, update_ratio=3.0),
        "runaway": make_rows(loss_max=4e4),
        "dead": make_rows(accuracy=CHANCE, train_loss=flat, dead=1.0, zero=1.0, top_share=1.0, loss_max=2.4),
        "noisy": make_rows(norm=(1e-3, 0.2)),
        "swinging": make_rows(accuracy=(0.1, 0.6, 0.5, 0.7, 0.6, 0.75, 0.8)),
        "shallow": make_rows(n_hidden=2, slope=2.0),
        "converged": [
            *make_rows(train_loss=(2.3, 0.4, 0.1), accuracy=(0.1, 0.9, 0.98)),
            *make_rows(train_loss=[0.01] * 10, accuracy=[0.999] * 10, grad_rms=1e-9, norm=(1e-6, 1e-3), slope=1.0)[3:],
        ],
    }


@pytest.fixture(scope="session")
def parameters() -> Callable[..., Parameters]:
    """Makes the neutral parameters, apart from what the call changes."""
    neutral = Parameters(
        learning_rate=1e-3,
        schedule="constant",
        warmup_epochs=0.0,
        optimizer="adam",
        momentum=None,
        nesterov=None,
        normalization="none",
        dropout=0.0,
        input_dropout=0.0,
        residual=False,
        hidden_units=(128,) * 5,
        activation="relu",
        initializer="glorot_uniform",
        batch_size=64,
        epochs=10,
        weight_decay=0.0,
        clip_norm=None,
        label_smoothing=0.0,
        class_weight="none",
    )

    def with_changes(**changes: object) -> Parameters:
        return neutral.model_copy(update=changes)

    return with_changes
