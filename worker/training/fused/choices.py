"""What each slot's trial chose, as data: arrays over the slots on the host, selectors inside a program."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
from keras import ops
from numpy.typing import NDArray

from worker.training.draws import drop_threshold, keep_scale
from worker.training.fused.gradients import Network
from worker.training.fused.kinds import Kinds
from worker.training.fused.layout import Layout, Tensor
from worker.training.fused.normalization import Normalization
from worker.training.fused.sums import Sums
from worker.training.hyperparameters import Activation, Hyperparameters
from worker.training.hyperparameters import Normalization as NormalizationKind
from worker.training.loss import class_weights

NORMALIZATIONS: tuple[str, ...] = get_args(NormalizationKind)
ACTIVATIONS: tuple[str, ...] = get_args(Activation)
Choices = Mapping[str, Any]  # by name, the slots in front: NumPy arrays on the host, tensors in a program


def choices_of(
    trials: Sequence[Hyperparameters | None], labels: NDArray[np.int32], n_classes: int, dtype: str
) -> dict[str, NDArray[Any]]:
    """The choices of the trials in S slots; an empty slot (None) gets those of a default trial, inactive.

    Args:
        trials: One entry for each slot.
        labels: Labels of the training data, for balanced class weights.
        n_classes: C.
        dtype: Of the numbers that a program computes with.

    Returns:
        `active`, `residual`: bool, (S,). `normalization`, `activation`: int32, (S,), indices into the lists above.
        `threshold`, `input_threshold`: uint32, (S,), draws below which a unit is dropped. `keep`, `input_keep`: what
        the others are multiplied by. `target_on`, `target_off`: the target of the label and of the other classes.
        `class_weights`: (S, C). `clip_norm`: inf where a slot does not clip.
    """
    h = [t or Hyperparameters() for t in trials]
    clips = [np.inf if t.clip_norm is None else t.clip_norm for t in h]
    return {
        "active": np.array([t is not None for t in trials]),
        "residual": np.array([t.residual for t in h]),
        "normalization": np.array([NORMALIZATIONS.index(t.normalization) for t in h], np.int32),
        "activation": np.array([ACTIVATIONS.index(t.activation) for t in h], np.int32),
        "threshold": np.array([drop_threshold(t.dropout) for t in h], np.uint32),
        "input_threshold": np.array([drop_threshold(t.input_dropout) for t in h], np.uint32),
        "keep": np.array([keep_scale(t.dropout) for t in h], dtype),
        "input_keep": np.array([keep_scale(t.input_dropout) for t in h], dtype),
        "target_on": np.array([1 - t.label_smoothing + t.label_smoothing / n_classes for t in h], dtype),
        "target_off": np.array([t.label_smoothing / n_classes for t in h], dtype),
        "class_weights": np.array([class_weights(labels, n_classes, t.class_weight) for t in h], dtype),
        "clip_norm": np.array(clips, dtype),
    }


def network_of(layout: Layout, choices: Choices, sums: Sums, use_moving: Tensor | bool) -> Network:
    """The network of these slots inside a program; `use_moving` as in `Normalization`, bool or (S,)."""
    kinds = layout.kinds
    moving = use_moving if isinstance(use_moving, bool) else cube(use_moving)
    return Network(
        layout=layout,
        n_slots=choices["active"].shape[0],
        sums=sums,
        normalization=Normalization(
            _selectors(choices["normalization"], NORMALIZATIONS, kinds.normalizations), sums, moving
        ),
        activation=_selectors(choices["activation"], ACTIVATIONS, kinds.activations),
        residual=cube(choices["residual"]),
    )


def dropped_layers(kinds: Kinds, layout: Layout) -> list[int]:
    """Layers before which some trial drops units."""
    first = [1] if kinds.input_dropout else []
    return first + (list(layout.layers[1:]) if kinds.dropout else [])


def cube(values: Tensor) -> Tensor:
    """(S,) → (S, 1, 1), to go with (S, B, n)."""
    return ops.reshape(values, (-1, 1, 1))


def _selectors(code: Tensor, names: Sequence[str], occurring: frozenset[str]) -> dict[str, Tensor]:
    """For every kind that occurs, which slots chose it: bool, (S, 1, 1); in the order of `names`."""
    return {name: cube(ops.equal(code, i)) for i, name in enumerate(names) if name in occurring}
