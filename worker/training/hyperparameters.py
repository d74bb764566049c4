"""What one trial is trained with: every value resolved, nothing left to guess."""

from dataclasses import dataclass
from typing import Literal

Optimizer = Literal["sgd", "adam", "adamw", "rmsprop", "adagrad"]
Normalization = Literal["none", "batch", "layer"]
Activation = Literal["relu", "tanh", "sigmoid", "gelu", "selu", "elu"]
Initializer = Literal["glorot_uniform", "he_normal", "lecun_normal", "orthogonal"]
Schedule = Literal["constant", "cosine", "exponential"]
ClassWeight = Literal["none", "balanced"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """One point of a sweep's space, in the words of the sweep file.

    Everything but `hidden_units` and `batch_size` may differ between the slots of a bank.
    """

    learning_rate: float = 1e-3
    schedule: Schedule = "constant"
    warmup_epochs: float = 0.0
    optimizer: Optimizer = "adam"
    momentum: float = 0.0
    nesterov: bool = False
    normalization: Normalization = "none"
    dropout: float = 0.0
    input_dropout: float = 0.0
    residual: bool = False
    hidden_units: tuple[int, ...] = (128, 64, 32)
    activation: Activation = "relu"
    initializer: Initializer = "glorot_uniform"
    batch_size: int = 64
    epochs: int = 10
    weight_decay: float = 0.0
    clip_norm: float | None = None
    label_smoothing: float = 0.0
    class_weight: ClassWeight = "none"
