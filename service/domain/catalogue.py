"""The catalogue of parameters: what each may be, what it is if left out, where it usually lies.

A closed list: the engine compiles for exactly these, the database has a column for each. `depth` and `width`
together say `hidden_units`; `optimizer: momentum` and `optimizer: nesterov` are ways to write sgd.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from service.wire.parameters import Activation, ClassWeight, Initializer, Normalization, Optimizer, Schedule

Kind = Literal["float", "int", "bool", "choice", "units"]

AUTO = "auto"
"""The default of weight_decay: 0.004 for adamw, 0 for all others, as in Keras."""

ADAMW_WEIGHT_DECAY = 0.004
ALIAS_MOMENTUM = 0.9
OPTIMIZER_ALIASES = ("momentum", "nesterov")
MAX_DEPTH = 100
MAX_WIDTH = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSpec:
    """One parameter of the catalogue.

    Args:
        name: Its name in the sweep file.
        kind: Which values it takes; `units` is a list of layer widths.
        default: Its value if neither the sweep nor the preset gives one; neutral.
        meaning: One line for answers and documentation.
        low: Smallest value for numbers.
        high: Largest value for numbers.
        low_open: Whether `low` itself is excluded.
        high_open: Whether `high` itself is excluded.
        plausible: Where sane values lie. A search beyond it is warned of, and W&B's log_uniform, whose bounds are
            exponents, is refused there: the bounds were almost surely meant as values.
        choices: The values of a choice.
        nullable: Whether null is a value.
    """

    name: str
    kind: Kind
    default: Any
    meaning: str
    low: float = 0.0
    high: float = 0.0
    low_open: bool = False
    high_open: bool = False
    plausible: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    nullable: bool = False

    @property
    def is_numeric(self) -> bool:
        """Whether ranges make sense."""
        return self.kind in ("float", "int")

    @property
    def range_in_words(self) -> str:
        """The legal range, in the notation of intervals."""
        opening, closing = "(["[not self.low_open], ")]"[not self.high_open]
        return f"{opening}{self.low:g}, {self.high:g}{closing}"

    def is_in_range(self, value: float) -> bool:
        """Whether a number is legal."""
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below


_SPECS = (
    ParameterSpec(
        name="learning_rate",
        kind="float",
        default=1e-3,
        low=0.0,
        low_open=True,
        high=1000.0,
        plausible=(1e-7, 1.0),
        meaning="step size of the optimizer",
    ),
    ParameterSpec(
        name="schedule",
        kind="choice",
        default="constant",
        choices=get_args(Schedule),
        meaning="how the learning rate changes over the trial's epochs",
    ),
    ParameterSpec(
        name="warmup_epochs",
        kind="float",
        default=0.0,
        high=10_000.0,
        plausible=(0.0, 100.0),
        meaning="epochs over which the learning rate rises linearly",
    ),
    ParameterSpec(
        name="optimizer",
        kind="choice",
        default="adam",
        choices=(*get_args(Optimizer), *OPTIMIZER_ALIASES),
        meaning="update rule; momentum is sgd with momentum 0.9, nesterov the same with nesterov: true",
    ),
    ParameterSpec(
        name="momentum",
        kind="float",
        default=0.0,
        high=1.0,
        high_open=True,
        plausible=(0.0, 0.9999),
        meaning="momentum of sgd; null under any other optimizer",
    ),
    ParameterSpec(
        name="nesterov",
        kind="bool",
        default=False,
        meaning="Nesterov's momentum; null unless sgd has momentum",
    ),
    ParameterSpec(
        name="normalization",
        kind="choice",
        default="none",
        choices=get_args(Normalization),
        meaning="what normalizes the input of each dense layer",
    ),
    ParameterSpec(
        name="dropout",
        kind="float",
        default=0.0,
        high=1.0,
        high_open=True,
        plausible=(0.0, 0.95),
        meaning="dropout rate before every dense layer but the first",
    ),
    ParameterSpec(
        name="input_dropout",
        kind="float",
        default=0.0,
        high=1.0,
        high_open=True,
        plausible=(0.0, 0.95),
        meaning="dropout rate before the first dense layer",
    ),
    ParameterSpec(
        name="residual",
        kind="bool",
        default=False,
        meaning="skip connections from the second hidden layer on; false with a single hidden layer",
    ),
    ParameterSpec(
        name="hidden_units",
        kind="units",
        default=(128, 64, 32),
        meaning="widths of the hidden layers, input to output",
    ),
    ParameterSpec(
        name="depth",
        kind="int",
        default=None,
        low=1,
        high=MAX_DEPTH,
        plausible=(1, MAX_DEPTH),
        meaning="number of hidden layers, all `width` wide; with width, in place of hidden_units",
    ),
    ParameterSpec(
        name="width",
        kind="int",
        default=None,
        low=1,
        high=MAX_WIDTH,
        plausible=(1, MAX_WIDTH),
        meaning="units of each hidden layer; with depth, in place of hidden_units",
    ),
    ParameterSpec(
        name="activation",
        kind="choice",
        default="relu",
        choices=get_args(Activation),
        meaning="activation after each hidden dense layer",
    ),
    ParameterSpec(
        name="initializer",
        kind="choice",
        default="glorot_uniform",
        choices=get_args(Initializer),
        meaning="initial weights of the kernels",
    ),
    ParameterSpec(
        name="batch_size",
        kind="int",
        default=64,
        low=1,
        high=65_536,
        plausible=(1, 8192),
        meaning="rows per step",
    ),
    ParameterSpec(
        name="epochs",
        kind="int",
        default=10,
        low=1,
        high=100_000,
        plausible=(1, 10_000),
        meaning="passes over the training data",
    ),
    ParameterSpec(
        name="weight_decay",
        kind="float",
        default=AUTO,
        high=1.0,
        plausible=(1e-8, 0.5),
        meaning="decoupled weight decay; auto is 0.004 for adamw and 0 for all others, as in Keras",
    ),
    ParameterSpec(
        name="clip_norm",
        kind="float",
        default=None,
        low=0.0,
        low_open=True,
        high=1e6,
        plausible=(1e-3, 1e3),
        nullable=True,
        meaning="largest global gradient norm; null does not clip",
    ),
    ParameterSpec(
        name="label_smoothing",
        kind="float",
        default=0.0,
        high=1.0,
        high_open=True,
        plausible=(0.0, 0.5),
        meaning="share of the label's mass spread over all classes",
    ),
    ParameterSpec(
        name="class_weight",
        kind="choice",
        default="none",
        choices=get_args(ClassWeight),
        meaning="balanced weighs each class by the inverse of its frequency",
    ),
)

CATALOGUE: dict[str, ParameterSpec] = {spec.name: spec for spec in _SPECS}
"""Every parameter of a sweep file, by name."""

PRESETS: dict[str, dict[str, Any]] = {
    "article": {"normalization": "batch", "dropout": 0.5, "input_dropout": 0.5},
}
"""Fixed values for parameters that are left out. `article`: batch normalization, dropout 0.5 before every dense
layer, the first included."""
