"""A trial's configuration as a script of plain Keras: all of it in one file, none of it ours to import.

The script trains the same network on the same split of the data by the same rules; its minibatches, dropout masks and
initial weights are drawn by Keras, so its numbers are those of another seed. What the configuration does not use is
not in the script.
"""

import json
from dataclasses import dataclass
from typing import Any

from service.domain.keras_data import data_lines
from service.wire.parameters import Parameters

_OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "adagrad": "Adagrad"}
_NORMALIZATIONS = {"batch": "BatchNormalization", "layer": "LayerNormalization"}
_DECAYS = {
    "constant": [],
    "cosine": ["        rate *= 0.5 * (1 + keras.ops.cos(math.pi * self.done(step)))"],
    "exponential": ["        rate *= 0.01 ** self.done(step)"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptFacts:
    """What the script tells of the trial, beside its parameters."""

    sweep: str
    number: int
    seed: int
    dataset: str


def keras_script(parameters: Parameters, facts: ScriptFacts) -> str:
    """The script.

    Args:
        parameters: A complete configuration.
        facts: Where it comes from. The sweep's name is somebody's text: it is written as a JSON string in a comment.
    """
    parts = [
        _head(parameters, facts),
        data_lines(facts.dataset),
        _network(parameters),
        _rate(parameters),
        _compiling(parameters),
        _training(parameters),
    ]
    return "\n\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _head(parameters: Parameters, facts: ScriptFacts) -> list[str]:
    given = [(name, value) for name, value in parameters.model_dump().items() if value is not None]
    return [
        f"# Trial {facts.number} of the sweep {json.dumps(facts.sweep)} on {facts.dataset}.",
        "# Plain Keras:  python THIS_FILE [model.keras]",
        *(f"#   {name}: {json.dumps(value)}" for name, value in given),
        "",
        *(["import math"] if _needs_math(parameters) else []),
        "import sys",
        "from fractions import Fraction",
        "",
        "import keras",
        "import numpy as np",
        "",
        f"SEED = {facts.seed % 2**32}",
        f"HIDDEN_UNITS = {list(parameters.hidden_units)}",
        f"BATCH_SIZE = {parameters.batch_size}",
        f"EPOCHS = {parameters.epochs}",
    ]


def _needs_math(parameters: Parameters) -> bool:
    return parameters.residual or parameters.schedule == "cosine"


def _network(parameters: Parameters) -> list[str]:
    """Normalization, dropout, dense, activation for each layer; the last one's numbers are logits."""
    kernel = f"kernel_initializer={json.dumps(parameters.initializer)}"
    lines = [
        "def build(n_features, n_classes, scale):",
        "    inputs = keras.Input((n_features,))",
        "    h = keras.layers.Rescaling(scale)(inputs)",
    ]
    if parameters.residual:
        lines += ["    alpha = 1 / math.sqrt(max(1, len(HIDDEN_UNITS) - 1))"]
    lines += [
        "    for layer, units in enumerate(HIDDEN_UNITS, start=1):",
        "        x = h",
        *(f"        {line}" for line in _before_dense(parameters, "x", is_last=False)),
        f"        x = keras.layers.Dense(units, activation={json.dumps(parameters.activation)}, {kernel})(x)",
    ]
    if parameters.residual:
        lines += [
            "        if layer > 1:  # around every hidden layer but the first",
            "            if h.shape[-1] != units:",
            f"                h = keras.layers.Dense(units, use_bias=False, {kernel})(h)",
            "            x = keras.layers.Add()([h, keras.layers.Rescaling(alpha)(x)])",
        ]
    return [
        *lines,
        "        h = x",
        *(f"    {line}" for line in _before_dense(parameters, "h", is_last=True)),
        f"    return keras.Model(inputs, keras.layers.Dense(n_classes, {kernel})(h))",
    ]


def _before_dense(parameters: Parameters, name: str, *, is_last: bool) -> list[str]:
    """What the input `name` of a dense layer goes through; the dropout of the first has a rate of its own."""
    first, later = parameters.input_dropout, parameters.dropout
    rate = f"{later!r}" if is_last or first == later else f"{first!r} if layer == 1 else {later!r}"
    lines = []
    if parameters.normalization != "none":
        lines += [f"{name} = keras.layers.{_NORMALIZATIONS[parameters.normalization]}()({name})"]
    if rate != "0.0":
        lines += [f"{name} = keras.layers.Dropout({rate})({name})"]
    return lines


def _rate(parameters: Parameters) -> list[str]:
    if parameters.schedule == "constant" and not parameters.warmup_epochs:
        return []
    lines = [
        "class Rate(keras.optimizers.schedules.LearningRateSchedule):",
        '    """The learning rate at each step."""',
        "",
        "    def __init__(self, steps_per_epoch):",
        f"        self.warmup = round({parameters.warmup_epochs!r} * steps_per_epoch)",
        "        self.total = EPOCHS * steps_per_epoch",
        "",
        "    def __call__(self, step):",
        '        step = keras.ops.cast(step, "float32")',
        f"        rate = {parameters.learning_rate!r} * keras.ops.minimum(1.0, (step + 1) / max(1, self.warmup))",
        *_DECAYS[parameters.schedule],
        "        return rate",
        "",
    ]
    if parameters.schedule != "constant":
        lines += [
            "    def done(self, step):",
            '        """The share of the steps after the warm-up that are behind."""',
            "        return keras.ops.clip((step - self.warmup) / max(1, self.total - self.warmup), 0.0, 1.0)",
            "",
        ]
    return [
        *lines,
        "    def get_config(self):",
        '        return {"steps_per_epoch": self.total // EPOCHS}',
    ]


def _compiling(parameters: Parameters) -> list[str]:
    is_constant = parameters.schedule == "constant" and not parameters.warmup_epochs
    given: dict[str, Any] = {
        "learning_rate": repr(parameters.learning_rate) if is_constant else "Rate(steps_per_epoch)"
    }
    if parameters.optimizer == "sgd":
        given["momentum"] = parameters.momentum or 0.0
        given["nesterov"] = bool(parameters.nesterov)
    if parameters.weight_decay or parameters.optimizer == "adamw":  # Keras' AdamW has a decay of its own
        given["weight_decay"] = repr(parameters.weight_decay)
    if parameters.clip_norm is not None:
        given["global_clipnorm"] = repr(parameters.clip_norm)
    smoothing = f", label_smoothing={parameters.label_smoothing!r}" if parameters.label_smoothing else ""
    return [
        "def compile_model(model, steps_per_epoch):",
        "    model.compile(",
        f"        optimizer=keras.optimizers.{_OPTIMIZERS[parameters.optimizer]}(",
        *(f"            {name}={value}," for name, value in given.items()),
        "        ),",
        f"        loss=keras.losses.CategoricalCrossentropy(from_logits=True{smoothing}),",
        "        # the loss of validation and test is plain, without weights and smoothing",
        '        metrics=["accuracy", keras.metrics.CategoricalCrossentropy(name="plain_loss", from_logits=True)],',
        "    )",
    ]


def _training(parameters: Parameters) -> list[str]:
    is_weighted = parameters.class_weight == "balanced"
    weights = [
        "    counts = np.bincount(y_train)",
        "    weights = {label: len(y_train) / (n_classes * n) for label, n in enumerate(counts)}",
    ]
    return [
        "def main():",
        "    keras.utils.set_random_seed(SEED)",
        "    (x_train, y_train), validation, test, scale = load()",
        "    n_classes = int(y_train.max()) + 1",
        "    steps_per_epoch = len(y_train) // BATCH_SIZE",
        *(weights if is_weighted else []),
        "    validation, test = [(x, keras.utils.to_categorical(y, n_classes)) for x, y in (validation, test)]",
        "    targets = keras.utils.to_categorical(y_train, n_classes)",
        "    model = build(x_train.shape[1], n_classes, scale)",
        "    compile_model(model, steps_per_epoch)",
        "    generator = np.random.default_rng(SEED)",
        "    for epoch in range(EPOCHS):",
        "        # whole batches of a new order: what is left over is left out of this epoch",
        "        rows = generator.permutation(len(y_train))[: steps_per_epoch * BATCH_SIZE]",
        "        model.fit(",
        "            x_train[rows],",
        "            targets[rows],",
        "            batch_size=BATCH_SIZE,",
        "            shuffle=False,",
        *(["            class_weight=weights,"] if is_weighted else []),
        "            validation_data=validation,",
        "            initial_epoch=epoch,",
        "            epochs=epoch + 1,",
        "            verbose=2,",
        "        )",
        "    result = model.evaluate(*test, verbose=0, return_dict=True)",
        "    print(f\"test accuracy {result['accuracy']:.4f}, test loss {result['plain_loss']:.4f}\")",
        "    if len(sys.argv) > 1:",
        "        # without the optimizer, whose classes a loader would have to know",
        "        keras.Model(model.inputs, model.outputs).save(sys.argv[1])",
        "    return model",
        "",
        "",
        'if __name__ == "__main__":',
        "    main()",
    ]
