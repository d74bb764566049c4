"""The reference step against a naive one: NumPy in float64, gradients by finite differences, optimizers by formula.

Central differences with h = 1e-6 are right to about h² · f''' + 1e-16/h, some 1e-10 of a loss near 1; the norms of
the update inherit that, divided by the gradient where the optimizer does. Tolerances are 1e-6 relative.
"""

import numpy as np
import pytest
from scipy.special import erf, logsumexp

from worker.training.draws import dropout_mask, epoch_key
from worker.training.hyperparameters import Hyperparameters
from worker.training.initialization import initial_weights
from worker.training.probe import probe_rows
from worker.training.schedules import learning_rates
from worker.training.stream import epoch_batches
from worker.training.trial import ReferenceTrial

pytestmark = pytest.mark.usefixtures("float64_keras")

SEED, STREAM_SEED, BANK_EPOCH, BATCH = 3, 9, 5, 8
HIDDEN = (4, 4, 3)
EPSILON = 1e-3  # of both normalizations


def as_keras_rounds(constant):
    """On TensorFlow, Keras casts Python numbers through float32, in a float64 network too."""
    return float(np.float32(constant))


ACTIVATIONS = {
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "gelu": lambda z: z * 0.5 * (1 + erf(z * as_keras_rounds(np.sqrt(0.5)))),
    "selu": lambda z: 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * np.expm1(z)),
    "elu": lambda z: np.where(z > 0, z, np.expm1(z)),
}


def naive_parameters(hyperparameters, dataset):
    """A list of {name: array}, one for each layer, with what the layer really has."""
    layers = []
    for weights in initial_weights(SEED, hyperparameters, dataset.n_features, dataset.n_classes):
        names = ["kernel", "bias"]
        names += ["gamma", "beta"] * (hyperparameters.normalization != "none")
        names += ["projection"] * (weights.projection is not None)
        layers.append({name: getattr(weights, name).astype(np.float64) for name in names})
    return layers


def normalize(h, layer, kind, moments):
    if kind == "none":
        return h, None
    mean, variance = moments or (h.mean(0), h.var(0))
    if kind == "layer":
        mean, variance = h.mean(1, keepdims=True), h.var(1, keepdims=True)
    return (h - mean) / np.sqrt(variance + EPSILON) * layer["gamma"] + layer["beta"], (mean, variance)


def naive_forward(layers, x, masks, hyperparameters, moving=None):
    """Logits, and the moments of each layer's input."""
    h, seen = x, []
    activation = ACTIVATIONS[hyperparameters.activation]
    blocks = len(layers) - 2
    for i, (layer, mask) in enumerate(zip(layers, masks, strict=True)):
        n, moments = normalize(h, layer, hyperparameters.normalization, moving and moving[i])
        seen.append(moments)
        z = (n * mask) @ layer["kernel"] + layer["bias"]
        a = z if i == len(layers) - 1 else activation(z)
        is_block = hyperparameters.residual and 0 < i < len(layers) - 1
        skip = h @ layer["projection"] if "projection" in layer else h
        h = skip + a / np.sqrt(blocks) if is_block else a
    return h, seen


def cross_entropy(logits, targets):
    return -(targets * (logits - logsumexp(logits, axis=1, keepdims=True))).sum(1)


def naive_loss(layers, x, y, masks, hyperparameters, dataset):
    logits, _ = naive_forward(layers, x, masks, hyperparameters)
    smoothing, n_classes = hyperparameters.label_smoothing, dataset.n_classes
    targets = np.eye(n_classes)[y] * (1 - smoothing) + smoothing / n_classes
    weights = np.ones(len(y))
    balanced = len(dataset.y_train) / (n_classes * np.bincount(dataset.y_train))
    weights = {"none": weights, "balanced": balanced[y]}[hyperparameters.class_weight]
    return (weights * cross_entropy(logits, targets)).mean()


def finite_differences(loss, layers, h=1e-6):
    gradients = [{name: np.zeros_like(value) for name, value in layer.items()} for layer in layers]
    for layer, gradient in zip(layers, gradients, strict=True):
        for name, value in layer.items():
            for place in np.ndindex(value.shape):
                center = value[place]
                value[place] = center + h
                above = loss()
                value[place] = center - h
                gradient[name][place] = (above - loss()) / (2 * h)
                value[place] = center
    return gradients


def naive_update(hyperparameters, g, m, v, lr, t):
    """Step t (from 1) of the optimizer: the change of a parameter, and its new moments."""
    mu = as_keras_rounds(hyperparameters.momentum)
    match hyperparameters.optimizer:
        case "sgd":
            m = mu * m - lr * g
            return (mu * m - lr * g if hyperparameters.nesterov else m), m, v
        case "adam" | "adamw":
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            rate = lr * np.sqrt(1 - as_keras_rounds(0.999) ** t) / (1 - as_keras_rounds(0.9) ** t)
            return -rate * m / (np.sqrt(v) + 1e-7), m, v
        case "rmsprop":
            v = 0.9 * v + 0.1 * g**2
            return -lr * g / np.sqrt(v + 1e-7), m, v
        case "adagrad":
            v = v + g**2
            return -lr * g / np.sqrt(v + 1e-7), m, v


def naive_epoch(hyperparameters, dataset):
    """Every quantity of a step record for one epoch, and the validation loss after it."""
    layers = naive_parameters(hyperparameters, dataset)
    first_v = 0.1 if hyperparameters.optimizer == "adagrad" else 0.0
    m = [{name: np.zeros_like(value) for name, value in layer.items()} for layer in layers]
    v = [{name: np.full_like(value, first_v) for name, value in layer.items()} for layer in layers]
    moving = [(np.zeros(len(layer["kernel"])), np.ones(len(layer["kernel"]))) for layer in layers]
    batches = epoch_batches(STREAM_SEED, BANK_EPOCH, len(dataset.y_train), BATCH)
    rates = learning_rates(hyperparameters, len(batches), 0, len(batches)).astype(np.float64)
    key = epoch_key(STREAM_SEED, BANK_EPOCH)
    steps = {name: [] for name in ("loss", "correct", "global_norm", "kernel", "bias", "update", "zero")}
    steps["weight"] = [[np.linalg.norm(layer["kernel"]) for layer in layers]]
    for step, rows in enumerate(batches):
        x, y = dataset.x_train[rows].astype(np.float64), dataset.y_train[rows]
        dropout = [hyperparameters.input_dropout] + [hyperparameters.dropout] * (len(layers) - 1)
        masks = [
            dropout_mask(key, step, i + 1, (BATCH, len(layer["kernel"])), dropout[i]).astype(np.float64)
            for i, layer in enumerate(layers)
        ]

        def loss(x=x, y=y, masks=masks):
            return naive_loss(layers, x, y, masks, hyperparameters, dataset)

        logits, moments = naive_forward(layers, x, masks, hyperparameters)
        gradients = finite_differences(loss, layers)
        everything = np.concatenate([g.ravel() for gradient in gradients for g in gradient.values()])
        global_norm = np.linalg.norm(everything)
        scale = min(1.0, (hyperparameters.clip_norm or np.inf) / global_norm)
        steps["loss"].append(loss())
        steps["correct"].append((logits.argmax(1) == y).sum())
        steps["global_norm"].append(global_norm)
        steps["kernel"].append([np.linalg.norm(g["kernel"]) for g in gradients])
        steps["bias"].append([np.linalg.norm(g["bias"]) for g in gradients])
        before = [layer["kernel"].copy() for layer in layers]
        for i, layer in enumerate(layers):
            for name in layer:
                g = gradients[i][name] * scale
                change, m[i][name], v[i][name] = naive_update(
                    hyperparameters, g, m[i][name], v[i][name], rates[step], step + 1
                )
                layer[name] = layer[name] * (1 - rates[step] * as_keras_rounds(hyperparameters.weight_decay)) + change
        steps["update"].append([np.linalg.norm(w["kernel"] - b) for w, b in zip(layers, before, strict=True)])
        steps["weight"].append([np.linalg.norm(layer["kernel"]) for layer in layers])
        steps["zero"].append((x != 0).any(0).mean())
        if hyperparameters.normalization == "batch":
            moving = [
                (0.99 * mean + 0.01 * batch_mean, 0.99 * variance + 0.01 * batch_variance)
                for (mean, variance), (batch_mean, batch_variance) in zip(moving, moments, strict=True)
            ]
    ones = [1.0] * len(layers)
    logits, _ = naive_forward(layers, dataset.x_val.astype(np.float64), ones, hyperparameters, moving)
    val_loss = cross_entropy(logits, np.eye(dataset.n_classes)[dataset.y_val]).mean()
    return {name: np.array(values) for name, values in steps.items()}, val_loss


CASES = {
    "plain adam": {},
    "sgd": {"optimizer": "sgd", "learning_rate": 0.1},
    "momentum": {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.1, "activation": "tanh"},
    "nesterov": {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "learning_rate": 0.1, "weight_decay": 0.1},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.3, "activation": "gelu", "initializer": "orthogonal"},
    "adam with decay": {"weight_decay": 0.3, "activation": "elu", "initializer": "lecun_normal"},
    "rmsprop": {"optimizer": "rmsprop", "activation": "sigmoid", "normalization": "layer"},
    "adagrad": {"optimizer": "adagrad", "activation": "selu", "learning_rate": 0.1, "normalization": "batch"},
    "batch norm": {"normalization": "batch", "initializer": "he_normal"},
    "layer norm": {"normalization": "layer", "activation": "tanh"},
    "residual": {"residual": True, "activation": "tanh", "optimizer": "sgd", "learning_rate": 0.1},
    "residual and batch norm": {"residual": True, "normalization": "batch", "activation": "gelu"},
    # Not ReLU, which has a kink at the 0 that a unit has when all of its inputs are dropped.
    "dropout": {"activation": "tanh", "dropout": 0.4, "input_dropout": 0.2, "optimizer": "sgd", "learning_rate": 0.1},
    "article": {"dropout": 0.5, "input_dropout": 0.5, "normalization": "batch", "activation": "elu"},
    "clipping": {"clip_norm": 0.05, "optimizer": "sgd", "learning_rate": 0.1, "residual": True},
    "loss": {"label_smoothing": 0.2, "class_weight": "balanced", "activation": "gelu"},
    "schedule": {"schedule": "cosine", "warmup_epochs": 0.5, "epochs": 2, "learning_rate": 0.05},
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys(), scope="module")
def hyperparameters(request):
    return Hyperparameters(**{"learning_rate": 1e-2, "hidden_units": HIDDEN, "batch_size": BATCH, **request.param})


def test_an_epoch_is_that_of_a_naive_trainer(hyperparameters, tiny_dataset):
    expected, val_loss = naive_epoch(hyperparameters, tiny_dataset)
    trial = ReferenceTrial(tiny_dataset, hyperparameters, SEED, STREAM_SEED)
    record = trial.train_epoch(BANK_EPOCH, lambda: None)
    assert record.loss == pytest.approx(expected["loss"], rel=1e-8)
    assert record.correct.tolist() == expected["correct"].tolist()
    assert record.global_norm == pytest.approx(expected["global_norm"], rel=1e-6)
    assert record.kernel_grad_norm == pytest.approx(expected["kernel"], rel=1e-6, abs=1e-9)
    assert record.bias_grad_norm == pytest.approx(expected["bias"], rel=1e-6, abs=1e-9)
    assert record.update_norm == pytest.approx(expected["update"], rel=1e-6, abs=1e-9)
    assert record.weight_norm == pytest.approx(expected["weight"], rel=1e-9)
    evaluation = trial.evaluate(tiny_dataset.x_val, tiny_dataset.y_val)
    assert evaluation.loss == pytest.approx(val_loss, rel=1e-7)


def test_the_probe_sees_batch_statistics_before_training_only(tiny_dataset):
    hyperparameters = Hyperparameters(
        hidden_units=HIDDEN, batch_size=BATCH, normalization="batch", dropout=0.5, input_dropout=0.5
    )
    rows = probe_rows(len(tiny_dataset.y_train))
    x, y = tiny_dataset.x_train[rows].astype(np.float64), tiny_dataset.y_train[rows]
    layers = naive_parameters(hyperparameters, tiny_dataset)
    trial = ReferenceTrial(tiny_dataset, hyperparameters, SEED, STREAM_SEED)
    before, _ = trial.probe()
    again, _ = trial.probe()
    assert before.loss[0] == pytest.approx(naive_loss(layers, x, y, [1.0] * 4, hyperparameters, tiny_dataset), rel=1e-9)
    assert again.loss[0] == before.loss[0]
    initial = [(np.zeros(len(layer["kernel"])), np.ones(len(layer["kernel"]))) for layer in layers]
    logits, _ = naive_forward(layers, tiny_dataset.x_val.astype(np.float64), [1.0] * 4, hyperparameters, initial)
    untouched = cross_entropy(logits, np.eye(3)[tiny_dataset.y_val]).mean()
    assert trial.evaluate(tiny_dataset.x_val, tiny_dataset.y_val).loss == pytest.approx(untouched, rel=1e-9)


def test_the_probe_measures_gradients_and_deltas(tiny_dataset):
    hyperparameters = Hyperparameters(hidden_units=HIDDEN, batch_size=BATCH, activation="tanh")
    rows = probe_rows(len(tiny_dataset.y_train))
    x, y = tiny_dataset.x_train[rows].astype(np.float64), tiny_dataset.y_train[rows]
    layers = naive_parameters(hyperparameters, tiny_dataset)
    ones = [1.0] * len(layers)
    gradients = finite_differences(lambda: naive_loss(layers, x, y, ones, hyperparameters, tiny_dataset), layers)
    logits, _ = naive_forward(layers, x, ones, hyperparameters)
    softmax = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    record, probe = ReferenceTrial(tiny_dataset, hyperparameters, SEED, STREAM_SEED).probe()
    assert record.kernel_grad_norm[0] == pytest.approx([np.linalg.norm(g["kernel"]) for g in gradients], rel=1e-6)
    assert record.update_norm.tolist() == [[0.0] * 4]
    assert probe.delta_rms[-1] == pytest.approx(np.sqrt((((softmax - np.eye(3)[y]) / len(y)) ** 2).mean()))
    assert probe.activation_std[-1] == pytest.approx(logits.std())
    assert probe.activation_std[0] == pytest.approx(np.tanh(x @ layers[0]["kernel"]).std())


def test_zero_gradients_are_counted_where_the_input_is_not_zero(tiny_dataset):
    # With all weights of the second layer zero, no gradient passes it: the whole first kernel has gradient 0, the
    # rows of absent features too; those are left out, so the share is exactly one.
    hyperparameters = Hyperparameters(hidden_units=HIDDEN, batch_size=BATCH)
    trial = ReferenceTrial(tiny_dataset, hyperparameters, SEED, STREAM_SEED)
    trial.network.kernels[1].assign(np.zeros((4, 4)))
    record = trial.train_epoch(BANK_EPOCH, lambda: None)
    absent = [
        (tiny_dataset.x_train[rows] == 0).all(0).any()
        for rows in epoch_batches(STREAM_SEED, BANK_EPOCH, len(tiny_dataset.y_train), BATCH)
    ]
    assert any(absent)
    assert record.zero_fraction[0, 0] == 1.0
    assert record.kernel_grad_norm[0, 0] == 0.0


def test_absent_features_do_not_count_as_zero_gradients(tiny_dataset):
    hyperparameters = Hyperparameters(hidden_units=HIDDEN, batch_size=BATCH, activation="tanh")
    trial = ReferenceTrial(tiny_dataset, hyperparameters, SEED, STREAM_SEED)
    record = trial.train_epoch(BANK_EPOCH, lambda: None)
    assert record.zero_fraction[:, 0].tolist() == [0.0, 0.0, 0.0]
