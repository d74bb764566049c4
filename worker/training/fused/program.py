"""The compiled programs of a bank: an epoch of training, the probe, evaluation. One compilation each per signature."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from keras import ops

from worker.training.draws import draws16
from worker.training.fused import records
from worker.training.fused.backend import compiled, either, repeat
from worker.training.fused.choices import Choices, cube, dropped_layers, network_of
from worker.training.fused.data import Batches, Chunk
from worker.training.fused.gradients import Network, Parameters, Passage
from worker.training.fused.layout import Layout, Tensor, pack
from worker.training.fused.loss import evaluation_loss, training_loss
from worker.training.fused.normalization import BATCH, moved
from worker.training.fused.norms import norms, total_norm
from worker.training.fused.optimizers import COEFFICIENTS, Moments, clipped, direction, moved_moments, stepped
from worker.training.fused.sums import FoldedSums, PlainSums, Sums
from worker.training.statistics import count_zeros_every


class State(NamedTuple):
    """All that training changes, the slots in front; `norms` are the last that were measured, (S, K)."""

    first_kernel: Tensor
    first_m: Tensor
    first_v: Tensor
    rest: Tensor
    rest_m: Tensor
    rest_v: Tensor
    averages: Tensor
    norms: Tensor

    @property
    def parameters(self) -> Parameters:
        return Parameters(self.first_kernel, self.rest, self.averages)


class Batch(NamedTuple):
    """One step's rows (B, n_0) and labels (B,), the optimizers' coefficients (S,) by name, and dropout masks."""

    i: Tensor
    x: Tensor
    y: Tensor
    coefficients: dict[str, Tensor]
    masks: dict[int, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a program is compiled for; whatever is not here is data.

    Attributes:
        layout: The network, with the kinds that occur.
        n_slots: S, the slots of a tile.
        batch_size: B.
        n_steps: T, steps of an epoch.
        scale: What features are multiplied by.
        dtype: float32, or float64 to compare with other programs.
        statistics_every: Every which step of an epoch is measured, from the first; 0: none. The loss and the rows
            predicted right are known of each.
        fold: Whether to sum by folding, as a CPU wants it.
    """

    layout: Layout
    n_slots: int
    batch_size: int
    n_steps: int
    scale: float
    dtype: str = "float32"
    statistics_every: int = 1
    fold: bool = True


class Program:
    """The compiled functions of a signature. They are pure: state in, state out.

    train(state, batches, coefficients, choices) → state, record (T, R, S); coefficients (T, K, S) as in `optimizers`
    probe(state, chunk, choices, use_moving) → Probe; use_moving (S,): whether the slot's moving averages are used
    evaluate(state, chunk, choices) → summed losses and confusion matrix, as in `evaluation_loss`
    """

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self.n_compilations = 0
        self.train = self._counted(self._train)
        self.probe = self._counted(self._probe)
        self.evaluate = self._counted(self._evaluate)

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Compiled; a call that finds no program of its shapes traces the function, and so is counted."""

        def traced(*arguments: Any) -> Any:
            self.n_compilations += 1
            return function(*arguments)

        return compiled(traced)

    def _train(self, state: State, batches: Batches, coefficients: Tensor, choices: Choices) -> tuple[State, Tensor]:
        s = self.signature
        sums = FoldedSums(batches.one) if s.fold else PlainSums()
        network = network_of(s.layout, choices, sums, use_moving=False)

        def step(i: Tensor, record: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
            batch = Batch(
                i,
                ops.cast(batches.x[i], s.dtype) * s.scale,
                batches.y[i],
                {name: coefficients[i, j] for j, name in enumerate(COEFFICIENTS)},
                self._masks(choices, batches.key, i),
            )
            after, row = self._step(network, State(*values), batch, choices)
            return ops.slice_update(record, (i, 0, 0), row[None]), *after

        n_rows = records.n_rows(s.layout) if s.statistics_every else 2
        record = ops.zeros((s.n_steps, n_rows, s.n_slots), s.dtype)
        record, *values = repeat(s.n_steps, step, (record, *state))
        return self._with_weight_norms(State(*values), sums), record

    def _step(self, network: Network, state: State, batch: Batch, choices: Choices) -> tuple[State, Tensor]:
        """One update of every slot, and the row of the record that measures it."""
        layout, kinds, sums = self.signature.layout, self.signature.layout.kinds, network.sums
        tape = network.forward(state.parameters, batch.x, batch.masks)
        loss = training_loss(tape[-1].outputs, batch.y, choices, kinds)
        gradients, _ = network.backward(state.parameters, tape, loss.d_logits)
        gradient = gradients["kernel1"], pack(gradients, layout.parameters)
        weights = state.first_kernel, state.rest
        before = Moments(state.first_m, state.first_v), Moments(state.rest_m, state.rest_v)

        c, guess = batch.coefficients | {"active": choices["active"]}, state.norms
        if kinds.clipping:
            n = records.n_gradient_norms(layout)
            of_gradient = norms(records.gradient_quantities(layout, gradient), guess[:, :n], sums)
            guess = ops.concatenate([of_gradient, guess[:, n:]], axis=1)
            c["clip"] = clip_factor(total_norm(of_gradient), choices["clip_norm"])
        g = [clipped(*each, kinds) for each in zip(gradient, shaped(c), strict=True)]
        moments = [moved_moments(*each, kinds) for each in zip(before, g, shaped(c), strict=True)]

        def directions() -> tuple[Tensor, Tensor]:
            first, rest = (direction(*each, kinds) for each in zip(moments, g, shaped(c), strict=True))
            return first, rest

        def measure() -> Tensor:
            """K norms and L shares of zeros, (S, K + L)."""
            _, flat = shaped(c)
            # Directions of its own: those of the update would have to be stored at every step, measured or not.
            quantities = records.update_quantities(layout, directions(), weights, flat["step"], flat["decay"])
            quantities += records.weight_quantities(layout, weights)
            if not kinds.clipping:
                quantities = records.gradient_quantities(layout, gradient) + quantities
            n_known = guess.shape[1] - len(quantities)
            found = norms(quantities, guess[:, n_known:], sums)
            zeros = self._zero_shares_now_and_then(batch.i, tape, gradients, sums)
            return ops.concatenate([guess[:, :n_known], found, zeros], axis=1)

        seen = self._measured_now_and_then(batch.i, measure, guess)
        c["step"] = after_readers(c["step"], [seen, *(gradients[n] for n in ("gamma1", "beta1") if n in gradients)])
        first, rest = [stepped(*each, kinds) for each in zip(weights, directions(), shaped(c), strict=True)]
        averages = self._moved_averages(state.averages, tape, choices)
        after = State(first, *moments[0], rest, *moments[1], averages, seen[:, : guess.shape[1]])
        row = ops.stack([loss.mean, loss.correct])
        return after, ops.concatenate([row, ops.transpose(seen)], axis=0) if self.signature.statistics_every else row

    def _probe(self, state: State, chunk: Chunk, choices: Choices, use_moving: Tensor) -> records.Probe:
        s = self.signature
        network = network_of(s.layout, choices, PlainSums(), use_moving)
        tape = network.forward(state.parameters, ops.cast(chunk.x, s.dtype) * s.scale, {})
        loss = training_loss(tape[-1].outputs, chunk.y, choices, s.layout.kinds)
        gradients, deltas = network.backward(state.parameters, tape, loss.d_logits)
        gradient = gradients["kernel1"], pack(gradients, s.layout.parameters)
        quantities = records.gradient_quantities(s.layout, gradient)
        return records.Probe(
            loss.mean,
            loss.correct,
            norms(quantities, ops.ones((s.n_slots, len(quantities)), s.dtype), network.sums),
            records.zero_shares(tape, gradients, network.sums),
            [passage.activations for passage in tape],
            deltas,
        )

    def _evaluate(self, state: State, chunk: Chunk, choices: Choices) -> tuple[Tensor, Tensor]:
        s = self.signature
        network = network_of(s.layout, choices, PlainSums(), use_moving=True)
        tape = network.forward(state.parameters, ops.cast(chunk.x, s.dtype) * s.scale, {})
        return evaluation_loss(tape[-1].outputs, chunk.y, chunk.counts)

    def _masks(self, choices: Choices, key: Tensor, step: Tensor) -> dict[int, Tensor]:
        """Dropout masks of a step: draws that all slots share against each slot's threshold."""
        s, masks = self.signature, {}
        for k in dropped_layers(s.layout.kinds, s.layout):
            shape = (1, s.batch_size, s.layout.sizes[k - 1])
            draws = draws16(key, ops.cast(step, "uint32"), k, shape[1] * shape[2], ops)
            name = "input_" if k == 1 else ""
            is_kept = ops.reshape(draws, shape) >= cube(choices[f"{name}threshold"])
            masks[k] = ops.where(is_kept, cube(choices[f"{name}keep"]), 0.0)
        return masks

    def _moved_averages(self, averages: Tensor, tape: list[Passage], choices: Choices) -> Tensor:
        layout = self.signature.layout
        if BATCH not in layout.kinds.normalizations:
            return averages
        seen = {}
        for k, passage in enumerate(tape, start=1):
            for name in ("mean", "variance"):
                value = getattr(passage.normalized, name)
                shape = (self.signature.n_slots, *value.shape[1:])
                seen[f"{name}{k}"] = ops.broadcast_to(value, shape)
        return moved(averages, pack(seen, layout.averages), ops.reshape(choices["active"], (-1, 1)))

    def _measured_now_and_then(self, i: Tensor, measure: Callable[[], Tensor], norms_before: Tensor) -> Tensor:
        """What `measure` measures, (S, K + L), at the steps at which it is wanted; at others the norms before, and nan.

        Without a branch if it always is, or never.
        """
        every = self.signature.statistics_every

        def keep() -> Tensor:
            return ops.concatenate([norms_before, self._no_shares()], axis=1)

        if every in (0, 1):
            return measure() if every else keep()
        return either(ops.equal(i % every, 0), measure, keep)

    def _zero_shares_now_and_then(
        self, i: Tensor, tape: list[Passage], gradients: dict[str, Tensor], sums: Sums
    ) -> Tensor:
        is_counted = ops.equal(i % count_zeros_every(self.signature.statistics_every), 0)
        return either(is_counted, lambda: records.zero_shares(tape, gradients, sums), self._no_shares)

    def _no_shares(self) -> Tensor:
        return ops.full((self.signature.n_slots, self.signature.layout.n_layers), float("nan"), self.signature.dtype)

    def _with_weight_norms(self, state: State, sums: Sums) -> State:
        """The state with the norms of the kernels as they are."""
        s = self.signature
        if not s.statistics_every:
            return state
        before, after = state.norms[:, : -s.layout.n_layers], state.norms[:, -s.layout.n_layers :]
        kernels = records.weight_quantities(s.layout, (state.first_kernel, state.rest))
        return state._replace(norms=ops.concatenate([before, norms(kernels, after, sums)], axis=1))


class Programs:
    """Programs by signature, so that the next bank of a signature does not compile again."""

    def __init__(self) -> None:
        self._by_signature: dict[Signature, Program] = {}

    def __len__(self) -> int:
        return len(self._by_signature)

    @property
    def n_compilations(self) -> int:
        """How many functions were compiled so far: three for a signature, and then no more."""
        return sum(program.n_compilations for program in self._by_signature.values())

    def program_for(self, signature: Signature) -> Program:
        """The program of this signature; it compiles when it is first called."""
        if signature not in self._by_signature:
            self._by_signature[signature] = Program(signature)
        return self._by_signature[signature]


def clip_factor(norm: Tensor, clip_norm: Tensor) -> Tensor:
    """What a gradient of this norm is multiplied by so that it is no longer than `clip_norm`, (S,).

    As in Keras' `global_clipnorm`, a norm that is not finite makes the whole gradient nan.
    """
    too_long = norm > clip_norm
    spoiled = ops.where(ops.isfinite(clip_norm), norm - norm, 0.0)
    return ops.where(too_long, clip_norm / norm, 1.0) + spoiled


def shaped(of_slots: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Numbers of the slots, (S,), shaped to go with the first kernel, (S, 1, 1), and with the rest, (S, 1)."""
    cubes = {name: cube(values) for name, values in of_slots.items()}
    return cubes, {name: ops.reshape(values, (-1, 1)) for name, values in of_slots.items()}


def after_readers(step: Tensor, read: Sequence[Tensor]) -> Tensor:
    """The step size, (S,), known only after everything that reads the weights has run; `read`: what came of it.

    If an update may run before a reader, the compiler copies the weights for the reader. Nothing lies below minus
    infinity, not even nan, which the compiler does not know.
    """
    for values in read:
        one_of_each = ops.reshape(values, (values.shape[0], -1))[:, 0]
        step = step + ops.cast(one_of_each < -float("inf"), step.dtype)
    return step
