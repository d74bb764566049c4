"""The network of every slot, forward and backward, written out: the deltas on the way are what is measured.

A layer is normalization → dropout → dense → activation, the output layer one without activation. From the second
hidden layer on, a residual slot adds a skip: h ← skip(h) + α·φ(z), α = 1/√(number of such layers), skip the
identity where the widths agree, else a learned projection.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from keras import ops

from worker.training.fused.activations import activate, through_activation
from worker.training.fused.backend import matmul_transposed_left, matmul_transposed_right
from worker.training.fused.layout import Layout, Tensor, read
from worker.training.fused.normalization import BATCH, Normalization, Normalized
from worker.training.fused.sums import Sums
from worker.training.initialization import residual_scale


class Parameters(NamedTuple):
    """All weights of all slots, laid out as `layout` says: (S, n_1, n_0), (S, P) and (S, M)."""

    first_kernel: Tensor
    rest: Tensor
    averages: Tensor


class Passage(NamedTuple):
    """What one layer leaves behind on the way forward.

    Attributes:
        inputs: The output of the layer before, (S, B, n_in), or (1, B, n_in) where all slots share it.
        normalized: What the normalization leaves behind; None without one.
        mask: 0 where a unit is dropped, else 1/(1 - rate); None without dropout.
        dense_inputs: Normalized and dropped, what the kernel multiplies.
        z: Preactivations, (S, B, n_out).
        activations: φ(z), (S, B, n_out); the logits in the last layer.
        outputs: The same after the skip.
    """

    inputs: Tensor
    normalized: Normalized | None
    mask: Tensor | None
    dense_inputs: Tensor
    z: Tensor
    activations: Tensor
    outputs: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One architecture with its choices for every slot, inside a compiled program.

    Attributes:
        layout: Where the parameters lie.
        n_slots: S.
        sums: How to sum.
        normalization: Which slot normalizes how.
        activation: For every activation that occurs, which slots use it: bool, (S, 1, 1).
        residual: Which slots have skips: bool, (S, 1, 1).
    """

    layout: Layout
    n_slots: int
    sums: Sums
    normalization: Normalization
    activation: Mapping[str, Tensor]
    residual: Tensor

    def forward(self, p: Parameters, x: Tensor, masks: Mapping[int, Tensor]) -> list[Passage]:
        """All layers in order; the logits are the last one's outputs.

        Args:
            p: The weights.
            x: Rows of the data set, (B, n_0), shared by all slots.
            masks: Dropout masks by layer, (S, B, n_in).
        """
        tape: list[Passage] = []
        h = ops.reshape(x, (1, *x.shape))
        for k in self.layout.layers:
            n, normalized = self._normalize(p, k, h)
            n = n * masks[k] if k in masks else n
            z = self._dense(p, k, n) + read(p.rest, self.layout.parameters[f"bias{k}"])
            a = z if k == self.layout.n_layers else activate(z, self.activation)
            outputs = a
            if k in self.layout.residual_layers:
                outputs = ops.where(self.residual, self._skip(p, k, h) + self._residual_scale * a, a)
            tape.append(Passage(h, normalized, masks.get(k), n, z, a, outputs))
            h = outputs
        return tape

    def backward(self, p: Parameters, tape: list[Passage], d_logits: Tensor) -> tuple[dict[str, Tensor], list[Tensor]]:
        """The gradient of every parameter, by name, and ∂L/∂z of every layer in forward order.

        Args:
            p: The weights with which `forward` went.
            tape: What it left.
            d_logits: ∂L/∂logits, (S, B, n_L), for the mean loss.
        """
        gradients: dict[str, Tensor] = {}
        deltas: list[Tensor] = []
        upstream = d_logits
        for k in reversed(self.layout.layers):
            passage, through_skip = tape[k - 1], None
            if k in self.layout.residual_layers:
                through_skip = self._skip_backward(p, k, passage, upstream, gradients)
                upstream = ops.where(self.residual, self._residual_scale * upstream, upstream)
            is_output = k == self.layout.n_layers
            delta = upstream if is_output else through_activation(upstream, passage.z, self.activation)
            deltas.insert(0, delta)
            gradients[f"bias{k}"] = self.sums.over_rows(delta)
            if k == 1:
                self._first_layer_gradients(p, passage, delta, gradients)
            else:
                upstream = self._layer_backward(p, k, passage, delta, gradients)
                upstream = upstream if through_skip is None else upstream + through_skip
        return gradients, deltas

    @property
    def _residual_scale(self) -> float:
        return residual_scale(self.layout.n_layers - 1)

    def _normalize(self, p: Parameters, k: int, h: Tensor) -> tuple[Tensor, Normalized | None]:
        if not self.layout.kinds.normalized:
            return h, None
        gamma, beta = (read(p.rest, self.layout.parameters[f"{name}{k}"]) for name in ("gamma", "beta"))
        moving = None
        if BATCH in self.layout.kinds.normalizations:
            moving = tuple(read(p.averages, self.layout.averages[f"{n}{k}"]) for n in ("mean", "variance"))
        return self.normalization.forward(h, gamma, beta, moving)

    def _dense(self, p: Parameters, k: int, n: Tensor) -> Tensor:
        if k > 1:
            return ops.matmul(n, read(p.rest, self.layout.parameters[f"kernel{k}"]))
        if n.shape[0] > 1 or self.n_slots == 1:
            return matmul_transposed_right(n, p.first_kernel)
        # every slot sees the same rows: one product for all of them
        _, units, features = p.first_kernel.shape
        wide = matmul_transposed_right(n[0], ops.reshape(p.first_kernel, (self.n_slots * units, features)))
        return ops.transpose(ops.reshape(wide, (n.shape[1], self.n_slots, units)), (1, 0, 2))

    def _skip(self, p: Parameters, k: int, h: Tensor) -> Tensor:
        if k not in self.layout.projected_layers:
            return h
        return ops.matmul(h, read(p.rest, self.layout.parameters[f"projection{k}"]))

    def _skip_backward(
        self, p: Parameters, k: int, passage: Passage, upstream: Tensor, gradients: dict[str, Tensor]
    ) -> Tensor:
        mine = ops.where(self.residual, upstream, 0.0)
        if k not in self.layout.projected_layers:
            return mine
        # selected again: a slot without skips may hold inf, and 0·inf is nan
        gradient = matmul_transposed_left(passage.inputs, mine)
        gradients[f"projection{k}"] = ops.where(self.residual, gradient, 0.0)
        through = matmul_transposed_right(mine, read(p.rest, self.layout.parameters[f"projection{k}"]))
        return ops.where(self.residual, through, 0.0)

    def _layer_backward(
        self, p: Parameters, k: int, passage: Passage, delta: Tensor, gradients: dict[str, Tensor]
    ) -> Tensor:
        """Adds the gradients of layer k > 1 and returns ∂L/∂inputs."""
        gradients[f"kernel{k}"] = matmul_transposed_left(passage.dense_inputs, delta)
        upstream = matmul_transposed_right(delta, read(p.rest, self.layout.parameters[f"kernel{k}"]))
        upstream = upstream if passage.mask is None else upstream * passage.mask
        if passage.normalized is None:
            return upstream
        upstream, gradients[f"gamma{k}"], gradients[f"beta{k}"] = self.normalization.backward(
            upstream, passage.normalized
        )
        return upstream

    def _first_layer_gradients(
        self, p: Parameters, passage: Passage, delta: Tensor, gradients: dict[str, Tensor]
    ) -> None:
        """Adds the gradients of layer 1, whose input needs none: there is a cheaper way than a third product."""
        if passage.normalized is None:
            gradients["kernel1"] = self._first_kernel_gradient(delta, passage.dense_inputs)
            return
        if passage.mask is not None:
            gradients["kernel1"] = self._first_kernel_gradient(delta, passage.dense_inputs)
            upstream = ops.matmul(delta, p.first_kernel) * passage.mask
            _, gradients["gamma1"], gradients["beta1"] = self.normalization.backward(
                upstream, passage.normalized, input_too=False
            )
            return
        # With A = δᵀx̂: ∂L/∂W = A·γ + ∂L/∂b⊗β, ∂L/∂γ = Σ_units W∘A, ∂L/∂β = ∂L/∂b·W
        gamma, beta = passage.normalized.gamma, passage.normalized.beta
        product = self._first_kernel_gradient(delta, passage.normalized.x_hat)
        d_bias = gradients["bias1"]
        gradients["kernel1"] = product * gamma + ops.transpose(d_bias, (0, 2, 1)) * beta
        d_gamma = self.sums.over_units(p.first_kernel, product)
        gradients["gamma1"] = self.normalization.trained(d_gamma)
        gradients["beta1"] = self.normalization.trained(ops.matmul(d_bias, p.first_kernel))

    def _first_kernel_gradient(self, delta: Tensor, inputs: Tensor) -> Tensor:
        """δᵀ·inputs, (S, n_1, n_0); one product for all slots where they share their inputs."""
        if inputs.shape[0] > 1 or self.n_slots == 1:
            return matmul_transposed_left(delta, inputs)
        _, rows, units = delta.shape
        tall = ops.reshape(ops.transpose(delta, (1, 0, 2)), (rows, self.n_slots * units))
        product = matmul_transposed_left(tall, inputs[0])
        return ops.reshape(product, (self.n_slots, units, inputs.shape[2]))
