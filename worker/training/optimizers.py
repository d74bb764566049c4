"""Keras' own optimizers for a trial's hyperparameters."""

from typing import Any

import keras

from worker.training.hyperparameters import Hyperparameters


def keras_optimizer(hyperparameters: Hyperparameters) -> Any:
    """The optimizer with Keras' defaults for all that the hyperparameters do not say.

    Weight decay is decoupled for every optimizer and covers biases and normalization parameters; clipping scales all
    gradients by one factor. The learning rate is set anew at each step (`schedules`).
    """
    optimizer = make_optimizer(hyperparameters)
    # Keras sums gradients over replicas, of which there is one, and for that registers a gradient function which
    # TensorFlow keeps for good, with the whole graph of the step: 2 MB a trial. Without the sum all is forgotten.
    optimizer._all_reduce_sum_gradients = lambda gradients_and_variables: gradients_and_variables
    return optimizer


def make_optimizer(hyperparameters: Hyperparameters) -> Any:
    """The optimizer as Keras makes it."""
    shared = {
        "learning_rate": hyperparameters.learning_rate,
        "weight_decay": hyperparameters.weight_decay or None,
        "global_clipnorm": hyperparameters.clip_norm,
    }
    optimizers = keras.optimizers
    match hyperparameters.optimizer:
        case "sgd":
            return optimizers.SGD(momentum=hyperparameters.momentum, nesterov=hyperparameters.nesterov, **shared)
        case "adam":
            return optimizers.Adam(**shared)
        case "adamw":
            # Keras' AdamW refuses None, and has a decay of its own where it is not told.
            return optimizers.AdamW(**{**shared, "weight_decay": hyperparameters.weight_decay})
        case "rmsprop":
            return optimizers.RMSprop(**shared)
        case "adagrad":
            return optimizers.Adagrad(**shared)
