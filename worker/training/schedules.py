"""The learning rate at each of a trial's own steps."""

import numpy as np
from numpy.typing import NDArray

from worker.training.hyperparameters import Hyperparameters

EXPONENTIAL_FLOOR = 0.01  # the share of the rate that an exponential schedule has left at its end


def learning_rates(
    hyperparameters: Hyperparameters, steps_per_epoch: int, first_step: int, n_steps: int
) -> NDArray[np.float32]:
    """lr_t = lr · min(1, (t + 1)/T_w) · c(r), r = (t − T_w)/(T − T_w) from the end of the warm-up on, else 0.

    c(r) is 1 (constant), ½(1 + cos πr) (cosine; Loshchilov, Hutter 2017) or 0.01ʳ (exponential); T is the number
    of steps of all epochs and T_w that of the warm-up, rounded. A warm-up that is as long as the training never
    reaches the decay. The rate is rounded to float32, in which Keras' optimizers keep it.

    Args:
        hyperparameters: Rate, schedule, warm-up and epochs.
        steps_per_epoch: Steps that the data set and the batch size make.
        first_step: The trial's own step t, from 0, of the first rate.
        n_steps: How many rates.

    Returns:
        Shape (n_steps,), float32.
    """
    total = hyperparameters.epochs * steps_per_epoch
    warmup = round(hyperparameters.warmup_epochs * steps_per_epoch)
    t = np.arange(first_step, first_step + n_steps, dtype=np.float64)
    rise = np.minimum(1.0, (t + 1) / max(1, warmup))
    r = np.clip((t - warmup) / max(1, total - warmup), 0.0, 1.0)
    if hyperparameters.schedule == "cosine":
        decay = 0.5 * (1 + np.cos(np.pi * r))
    elif hyperparameters.schedule == "exponential":
        decay = EXPONENTIAL_FLOOR**r
    else:
        decay = np.ones_like(r)
    return (hyperparameters.learning_rate * rise * decay).astype(np.float32)
