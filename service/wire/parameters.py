"""One trial's parameters, in the words of the sweep file."""

from typing import Literal

from service.wire.base import Answer, Number, PositiveCount

Schedule = Literal["constant", "cosine", "exponential"]
Optimizer = Literal["sgd", "adam", "adamw", "rmsprop", "adagrad"]
Normalization = Literal["none", "batch", "layer"]
Activation = Literal["relu", "tanh", "sigmoid", "gelu", "selu", "elu"]
Initializer = Literal["glorot_uniform", "he_normal", "lecun_normal", "orthogonal"]
ClassWeight = Literal["none", "balanced"]


class Parameters(Answer):
    """A complete assignment: nothing left to guess.

    A parameter without effect is null (momentum and nesterov unless the optimizer is sgd; nesterov without
    momentum), before hashing, sampling and importances, so that equal trials are equal.
    """

    learning_rate: Number
    schedule: Schedule
    warmup_epochs: Number
    optimizer: Optimizer
    momentum: Number | None
    nesterov: bool | None
    normalization: Normalization
    dropout: Number
    input_dropout: Number
    residual: bool
    hidden_units: tuple[PositiveCount, ...]
    activation: Activation
    initializer: Initializer
    batch_size: PositiveCount
    epochs: PositiveCount
    weight_decay: Number
    clip_norm: Number | None
    label_smoothing: Number
    class_weight: ClassWeight
