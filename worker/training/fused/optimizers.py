"""Every optimizer as a row of numbers, so that slots with different ones take one elementwise pass together.

    g ← clip·gradient
    m' = a₁·m + a₂·g
    v' = c₁·v + c₂·g²
    p' = p·(1 - decay) - step·(n₁·m' + n₂·g) / (√(v' + inside) + outside)         (… / 1 without a root)

With the slot's own step t, from 1, and its learning rate lr at that step, the rows are, checked against Keras' sources:

    SGD       m' = µ·m + lr·g               p' = p - m', with Nesterov p - (µ·m' + lr·g)
    Adam(W)   β₁, β₂ = 0.9, 0.999           step = lr·√(1 - β₂ᵗ)/(1 - β₁ᵗ); ε outside the root of the uncorrected v'
    RMSprop   v' = 0.9·v + 0.1·g²           step = lr; ε inside the root
    Adagrad   v' = v + g², v₀ = 0.1         step = lr; ε inside the root

decay = lr·weight_decay falls on all variables, as Keras applies it.
"""

from typing import Any, NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from worker.training.fused.kinds import Kinds
from worker.training.fused.layout import Tensor
from worker.training.hyperparameters import Hyperparameters


def as_keras_stores(value: float) -> float:
    """A setting as Keras' optimizers hold it: in float32, whatever the type of the variables."""
    return float(np.float32(value))


BETA_1, BETA_2 = 0.9, 0.999
RHO = 0.9
EPSILON = 1e-7
ADAGRAD_START = as_keras_stores(0.1)

COEFFICIENTS = ("a1", "a2", "c1", "c2", "n1", "n2", "inside", "outside", "root", "step", "decay")


class Moments(NamedTuple):
    """m and v of an array of parameters, of its shape."""

    first: Tensor
    second: Tensor


def coefficient_rows(h: Hyperparameters, rates: NDArray[np.floating], first_step: int) -> NDArray[np.float64]:
    """The coefficients of a trial at each of its next steps.

    Args:
        h: The trial's hyperparameters.
        rates: Its learning rate at each step, shape (T,).
        first_step: Steps that it has done before.

    Returns:
        Shape (T, K), float64, K as in `COEFFICIENTS`.
    """
    lr, momentum = rates.astype(np.float64), as_keras_stores(h.momentum)
    t = np.arange(first_step + 1, first_step + 1 + len(lr))
    row: dict[str, Any]
    if h.optimizer in {"adam", "adamw"}:
        step = lr * np.sqrt(1 - as_keras_stores(BETA_2) ** t) / (1 - as_keras_stores(BETA_1) ** t)
        row = {"a1": BETA_1, "a2": 1 - BETA_1, "n1": 1, "c1": BETA_2, "c2": 1 - BETA_2}
        row |= {"outside": EPSILON, "root": 1, "step": step}
    elif h.optimizer == "rmsprop":
        row = {"c1": RHO, "c2": 1 - RHO, "n2": 1, "inside": EPSILON, "root": 1, "step": lr}
    elif h.optimizer == "adagrad":
        row = {"c1": 1, "c2": 1, "n2": 1, "inside": EPSILON, "root": 1, "step": lr}
    elif h.nesterov and h.momentum > 0:
        row = {"a1": momentum, "a2": lr, "n1": momentum, "n2": lr, "step": 1}
    else:
        row = {"a1": momentum, "a2": lr, "n1": 1, "step": 1}
    row["decay"] = lr * as_keras_stores(h.weight_decay)
    return np.stack([np.broadcast_to(row.get(name, 0.0), lr.shape) for name in COEFFICIENTS], axis=1)


def initial_second_moment(h: Hyperparameters) -> float:
    """v before the first step, the same for every parameter."""
    return ADAGRAD_START if h.optimizer == "adagrad" else 0.0


def clipped(gradient: Tensor, c: dict[str, Tensor], kinds: Kinds) -> Tensor:
    """g, the gradient that the optimizers see. Arguments as in `direction`; `clip` is the factor that clips."""
    return gradient * c["clip"] if kinds.clipping else gradient


def moved_moments(moments: Moments, g: Tensor, c: dict[str, Tensor], kinds: Kinds) -> Moments:
    """m' and v'. Arguments as in `direction`, the moments those before the step."""
    m = c["a1"] * moments.first + c["a2"] * g
    v = c["c1"] * moments.second + c["c2"] * (g * g) if kinds.adaptive else moments.second
    return Moments(m, v)


def direction(moments: Moments, g: Tensor, c: dict[str, Tensor], kinds: Kinds) -> Tensor:
    """r in p' = p·(1 - decay) - step·r.

    Args:
        moments: m' and v'.
        g: The gradients, clipped.
        c: The coefficients, shaped to go with the parameters.
        kinds: What occurs; the rest is left out of the program.
    """
    r = c["n1"] * moments.first + c["n2"] * g if kinds.gradient_term else moments.first
    if kinds.adaptive:
        root = ops.sqrt(moments.second + c["inside"]) + c["outside"]
        r = r / (ops.where(c["root"] > 0, root, 1.0) if kinds.plain else root)
    return r


def stepped(p: Tensor, r: Tensor, c: dict[str, Tensor], kinds: Kinds) -> Tensor:
    """p', after the step in the direction r; a slot that is not `active` keeps its own."""
    kept = p * (1.0 - c["decay"]) if kinds.weight_decay else p
    return ops.where(c["active"], kept - c["step"] * r, p)
