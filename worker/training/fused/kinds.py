"""Which kinds of arithmetic a program must know; everything else about a trial is data."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from worker.training.hyperparameters import Hyperparameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds:
    """The kinds that occur among the trials of a bank. A program handles these and refuses others.

    Two programs with different kinds agree to rounding, not bit by bit: the compiler fuses them differently.
    Name all kinds of a sweep's space at the start (`kinds_of`), then every trial of it runs in the same program.
    """

    normalizations: frozenset[str] = frozenset()
    activations: frozenset[str] = frozenset()
    adaptive: bool = False  # an optimizer that divides by the root of a second moment: Adam, RMSprop, Adagrad
    plain: bool = False  # an optimizer that does not: SGD
    gradient_term: bool = False  # an optimizer whose update holds the gradient beside (or without) its average
    weight_decay: bool = False
    clipping: bool = False
    dropout: bool = False
    input_dropout: bool = False
    residual: bool = False
    smoothing: bool = False
    class_weights: bool = False

    def __or__(self, other: "Kinds") -> "Kinds":
        """The kinds of both."""
        return Kinds(**{f.name: getattr(self, f.name) | getattr(other, f.name) for f in fields(Kinds)})

    def cover(self, other: "Kinds") -> bool:
        """Whether a program made for these kinds can train trials of `other`."""
        return self | other == self

    @property
    def normalized(self) -> bool:
        """Whether any trial normalizes, so that the layers have scales and offsets."""
        return bool(self.normalizations - {"none"})

    @property
    def shared_input(self) -> bool:
        """Whether the first dense layer sees the same rows in every slot: one product serves all of them."""
        return not self.normalized and not self.input_dropout


def kinds_of(trials: Iterable[Hyperparameters]) -> Kinds:
    """The kinds that occur in these trials."""
    result = Kinds()
    for h in trials:
        result |= Kinds(
            normalizations=frozenset({h.normalization}),
            activations=frozenset({h.activation}),
            adaptive=h.optimizer != "sgd",
            plain=h.optimizer == "sgd",
            gradient_term=h.optimizer in {"rmsprop", "adagrad"} or (h.nesterov and h.momentum > 0),
            weight_decay=h.weight_decay > 0,
            clipping=h.clip_norm is not None,
            dropout=h.dropout > 0,
            input_dropout=h.input_dropout > 0,
            residual=h.residual and len(h.hidden_units) > 1,
            smoothing=h.label_smoothing > 0,
            class_weights=h.class_weight != "none",
        )
    return result
