"""One trial, trained alone and in plain sight: the reference that the fused engine is compared with.

An epoch is: for each minibatch of the shared stream, one step of forward, backward, measure, update, measure; then
the probe and the validation split. Each step is one `tf.function` without XLA, so that every operation is Keras' or
TensorFlow's own.
"""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from worker.datasets.arrays import Dataset
from worker.training.draws import drop_threshold, dropout_mask, epoch_key, layer_dropout
from worker.training.evaluation import Evaluation, confusion_matrix, evaluate_confusion, predicted_classes
from worker.training.hyperparameters import Hyperparameters
from worker.training.initialization import initial_weights, layer_shapes
from worker.training.loss import class_weights
from worker.training.model import ForwardPass, Network
from worker.training.optimizers import keras_optimizer
from worker.training.probe import ProbeRecord, probe_record, probe_rows
from worker.training.schedules import learning_rates
from worker.training.statistics import ZERO_GRADIENT, StepRecord
from worker.training.stream import epoch_batches

Tensor = Any  # TensorFlow publishes no types
Measured = dict[str, Tensor]

EVALUATION_ROWS = 4096  # rows sent through at once: bounds the memory that a large split takes


class ReferenceTrial:
    """A trial's network, optimizer and place in its own training."""

    def __init__(self, dataset: Dataset, hyperparameters: Hyperparameters, seed: int, stream_seed: int) -> None:
        self.hyperparameters = hyperparameters
        self.shapes = layer_shapes(dataset.n_features, hyperparameters.hidden_units, dataset.n_classes)
        self.epochs_done = 0
        weights = initial_weights(seed, hyperparameters, dataset.n_features, dataset.n_classes)
        self.network = Network(hyperparameters, weights)
        self.optimizer = keras_optimizer(hyperparameters)
        self.optimizer.build(self.network.trainable_variables)
        self._dataset = dataset
        self._stream_seed = stream_seed
        self._class_weights = class_weights(dataset.y_train, dataset.n_classes, hyperparameters.class_weight)
        self._no_masks = [None] * len(self.shapes)
        self._rows = [
            tf.TensorSpec((None, dataset.n_features), dataset.x_train.dtype),
            tf.TensorSpec((None,), tf.int32),
        ]

    # ---- an epoch ----------------------------------------------------------------------------------------------

    def train_epoch(self, bank_epoch: int, count_step: Callable[[], None]) -> StepRecord:
        """Take one step for each minibatch of the bank's epoch and return what was measured."""
        dataset, batch_size = self._dataset, self.hyperparameters.batch_size
        batches = epoch_batches(self._stream_seed, bank_epoch, len(dataset.y_train), batch_size)
        n_steps = len(batches)
        rates = learning_rates(self.hyperparameters, n_steps, self.epochs_done * n_steps, n_steps)
        key = epoch_key(self._stream_seed, bank_epoch)
        first_weight_norm = tf.stack([norm(kernel.value) for kernel in self.network.kernels])
        measured = []
        for step, rows in enumerate(batches):
            masks = self._dropout_masks(key, step, batch_size)
            measured.append(self._step(dataset.x_train[rows], dataset.y_train[rows], masks, rates[step]))
            count_step()
        self.epochs_done += 1
        return step_record(measured, first_weight_norm)

    def probe(self) -> tuple[StepRecord, ProbeRecord]:
        """Look at the fixed probe batch: loss and gradients as the record of one step, and what each layer does."""
        rows = probe_rows(len(self._dataset.y_train))
        batch = tf.constant(self._dataset.x_train[rows]), tf.constant(self._dataset.y_train[rows])
        if self.epochs_done == 0 and self.hyperparameters.normalization == "batch":
            measured, activations, deltas = self._probe_step(*batch, batch_statistics=True)
            self.network.forget_moving_statistics()  # a look is not training
        else:
            measured, activations, deltas = self._probe(*batch)
        record = step_record([measured], measured["weight_norm"])
        layers = probe_record(
            [a.numpy() for a in activations], [d.numpy() for d in deltas], self.hyperparameters.activation
        )
        return record, layers

    def evaluate(self, x: NDArray[Any], labels: NDArray[np.int32]) -> Evaluation:
        """Metrics on a split, in evaluation mode, by the plain cross-entropy."""
        losses, predictions = [], []
        for start in range(0, len(labels), EVALUATION_ROWS):
            rows = slice(start, start + EVALUATION_ROWS)
            logits, loss = self._logits(x[rows], labels[rows])
            losses.append(loss.numpy().astype(np.float64))
            predictions.append(predicted_classes(logits.numpy()))
        confusion = confusion_matrix(labels, np.concatenate(predictions), self._dataset.n_classes)
        return evaluate_confusion(confusion, loss=float(np.concatenate(losses).mean()))

    # ---- its graphs, each traced when it is first needed ---------------------------------------------------------

    @cached_property
    def _step(self) -> Callable[..., Measured]:
        return traced(self._train_step, *self._rows, self._mask_shapes(), tf.TensorSpec((), tf.float32))

    @cached_property
    def _probe(self) -> Callable[..., tuple[Measured, list[Tensor], list[Tensor]]]:
        return traced(partial(self._probe_step, batch_statistics=False), *self._rows)

    @cached_property
    def _logits(self) -> Callable[..., tuple[Tensor, Tensor]]:
        return traced(self._evaluate_rows, *self._rows)

    # ---- a step ------------------------------------------------------------------------------------------------

    def _train_step(self, x: Tensor, labels: Tensor, masks: list[Tensor | None], learning_rate: Tensor) -> Measured:
        """Forward, backward, measure, update, measure."""
        variables = self.network.trainable_variables
        with tf.GradientTape() as tape:
            forward = self.network.forward(self._scaled(x), masks, batch_statistics=True)
            loss = self._loss(labels, forward.logits)
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        measured = self._measure(loss, labels, forward, gradients)
        before = [tf.identity(kernel.value) for kernel in self.network.kernels]
        self.optimizer.learning_rate.assign(learning_rate)
        self.optimizer.apply(gradients, variables)
        after = [tf.identity(kernel.value) for kernel in self.network.kernels]
        measured["update_norm"] = tf.stack([norm(w - v) for v, w in zip(before, after, strict=True)])
        measured["weight_norm"] = tf.stack([norm(w) for w in after])
        return measured

    def _probe_step(
        self, x: Tensor, labels: Tensor, *, batch_statistics: bool
    ) -> tuple[Measured, list[Tensor], list[Tensor]]:
        """What a step would see, without dropout and without an update; activations and ∂L/∂z of every layer."""
        variables = [variable.value for variable in self.network.trainable_variables]
        with tf.GradientTape() as tape:
            forward = self.network.forward(self._scaled(x), self._no_masks, batch_statistics=batch_statistics)
            loss = self._loss(labels, forward.logits)
        gradients, deltas = tape.gradient(loss, [variables, forward.pre_activations])
        measured = self._measure(loss, labels, forward, gradients)
        measured["weight_norm"] = tf.stack([norm(kernel.value) for kernel in self.network.kernels])
        measured["update_norm"] = tf.zeros_like(measured["weight_norm"])
        return measured, forward.activations, deltas

    def _evaluate_rows(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and plain cross-entropy of each row."""
        logits = self.network.forward(self._scaled(x), self._no_masks, batch_statistics=False).logits
        return logits, keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)

    def _measure(self, loss: Tensor, labels: Tensor, forward: ForwardPass, gradients: list[Tensor]) -> Measured:
        """The part of a step's record that is known before the update."""
        by_layer = self._by_layer(gradients)
        norms = tf.stack([norm(gradient) for gradient in gradients])
        return {
            "loss": loss,
            "correct": count_correct(forward.logits, labels),
            "global_norm": tf.sqrt(tf.reduce_sum(norms * norms)),
            "kernel_grad_norm": tf.stack([norm(layer[0]) for layer in by_layer]),
            "bias_grad_norm": tf.stack([norm(layer[1]) for layer in by_layer]),
            "zero_fraction": tf.stack(
                [zero_fraction(layer[0], n) for layer, n in zip(by_layer, forward.inputs, strict=True)]
            ),
        }

    def _by_layer(self, gradients: list[Tensor]) -> list[list[Tensor]]:
        """Gradients grouped as each layer's `variables` are: kernel, bias, and what else it has."""
        remaining = iter(gradients)
        return [[next(remaining) for _ in layer.variables] for layer in self.network.layers]

    def _loss(self, labels: Tensor, logits: Tensor) -> Tensor:
        """The mean data loss, as `loss` defines it."""
        targets = tf.one_hot(labels, self._dataset.n_classes, dtype=logits.dtype)
        cross_entropy = keras.losses.categorical_crossentropy(
            targets, logits, from_logits=True, label_smoothing=self.hyperparameters.label_smoothing
        )
        weights = tf.gather(tf.constant(self._class_weights, logits.dtype), labels)
        return tf.reduce_mean(weights * cross_entropy)

    def _scaled(self, x: Tensor) -> Tensor:
        return tf.cast(x, self.network.dtype) * tf.constant(np.float32(self._dataset.scale), self.network.dtype)

    def _mask_shapes(self) -> list[Any]:
        """The signature of the masks: a tensor for each layer that drops something, else None."""
        drops = [drop_threshold(layer_dropout(self.hyperparameters, i + 1)) > 0 for i in range(len(self.shapes))]
        return [
            tf.TensorSpec((None, n_in), tf.float32) if drop else None
            for drop, (n_in, _) in zip(drops, self.shapes, strict=True)
        ]

    def _dropout_masks(self, key: np.uint32, step: int, n_rows: int) -> list[NDArray[np.float32] | None]:
        """The masks of every layer for a step; None where nothing is dropped."""
        masks: list[NDArray[np.float32] | None] = []
        for layer, (n_in, _) in enumerate(self.shapes, start=1):
            rate = layer_dropout(self.hyperparameters, layer)
            drops = drop_threshold(rate) > 0
            masks.append(dropout_mask(key, step, layer, (n_rows, n_in), rate) if drops else None)
        return masks


def traced(function: Callable[..., Any], *signature: Any) -> Callable[..., Any]:
    """The function as a TensorFlow graph for arguments of this signature: traced once, never again."""
    graph = tf.function(function, autograph=False, jit_compile=False)
    concrete: Callable[..., Any] = graph.get_concrete_function(*signature)
    return concrete


def norm(x: Tensor) -> Tensor:
    """Euclidean norm in float64, whose range the squares of float32 numbers cannot leave."""
    return tf.norm(tf.cast(x, tf.float64))


def count_correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Rows whose largest logit is the label's; nan counts as the least, as in `evaluation`."""
    lowest = tf.constant(-np.inf, logits.dtype)
    predictions = tf.argmax(tf.where(tf.math.is_nan(logits), lowest, logits), axis=-1, output_type=tf.int32)
    return tf.reduce_sum(tf.cast(predictions == labels, tf.float64))


def zero_fraction(gradient: Tensor, inputs: Tensor) -> Tensor:
    """Share of |g| ≤ 1e-12 in the kernel's rows whose input is not zero in the whole batch; nan without such a row."""
    is_live = tf.reduce_any(inputs != 0, axis=0)  # (n_in,)
    is_zero = tf.cast(tf.abs(gradient) <= ZERO_GRADIENT, tf.float64)  # (n_in, n_out)
    share_by_row = tf.reduce_mean(is_zero, axis=1)  # (n_in,)
    return tf.reduce_mean(tf.boolean_mask(share_by_row, is_live))


def step_record(measured: list[Measured], first_weight_norm: Tensor) -> StepRecord:
    """Collect the steps of an epoch; `first_weight_norm`, (L,), is that of the kernels before the first."""
    steps: dict[str, Any] = {name: np.stack([step[name].numpy() for step in measured]) for name in measured[0]}
    steps["weight_norm"] = np.concatenate([[first_weight_norm.numpy()], steps["weight_norm"]])
    return StepRecord(**steps)
