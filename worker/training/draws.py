"""Dropout draws: 16-bit integers that are a function of (stream seed, bank epoch, step, layer, index).

All slots of a bank, both trainers and every backend see the same draws; a trial compares them with its own
threshold. Marginally each mask is right, and two trials that differ in their rate drop nested sets of units.

A hash of a counter rather than a generator with a state: it costs two multiplications a word, is the same integer
arithmetic everywhere, and no draw depends on which other layers are drawn.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.training.hyperparameters import Hyperparameters

N_VALUES = 1 << 16
GOLDEN_RATIO = 0x9E3779B9  # 2³²/φ, odd: spreads a counter over all bits
STEP_STRIDE = 0xC2B2AE35
LAYER_STRIDE = 0x85EBCA6B


def epoch_key(stream_seed: int, bank_epoch: int) -> np.uint32:
    """The key of an epoch's draws, mixed on the host by NumPy's SeedSequence."""
    return np.uint32(np.random.SeedSequence([stream_seed, bank_epoch]).generate_state(1, np.uint32)[0])


def lowbias32(x: Any, xp: Any = np) -> Any:
    """A bijective mixing of 32 bits with little bias (C. Wellons, hash-prospector, 2018).

    Args:
        x: uint32, any shape.
        xp: `numpy` or `keras.ops`; both do the same integer arithmetic modulo 2³².
    """
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = xp.bitwise_xor(x, xp.right_shift(x, np.uint32(shift))) * np.uint32(factor)
    return xp.bitwise_xor(x, xp.right_shift(x, np.uint32(16)))


def draws16(key: Any, step: Any, layer: int, n: int, xp: Any = np) -> Any:
    """`n` draws for one layer's input at one step.

    Args:
        key: The epoch's key, uint32 scalar.
        step: The step within the epoch, from 0, uint32 scalar.
        layer: The layer whose input is dropped, from 1.
        n: How many: rows · n_in, in row-major order.
        xp: `numpy` or `keras.ops`.

    Returns:
        Shape (n,), uint32 in [0, 2¹⁶): the low halves of ⌈n/2⌉ words, then the high halves.
    """
    counter = np.arange((n + 1) // 2, dtype=np.uint32) * np.uint32(GOLDEN_RATIO)
    with np.errstate(over="ignore"):  # NumPy warns where scalars wrap around, which is meant
        place = step * np.uint32(STEP_STRIDE) + np.uint32(layer * LAYER_STRIDE % (1 << 32))
        words = lowbias32(xp.bitwise_xor(counter, lowbias32(xp.bitwise_xor(key, place), xp)), xp)
    low = xp.bitwise_and(words, np.uint32(N_VALUES - 1))
    return xp.concatenate([low, xp.right_shift(words, np.uint32(16))], 0)[:n]


def drop_threshold(rate: float) -> int:
    """Draws below it are dropped: the rate in 1/65,536, rounded."""
    return round(rate * N_VALUES)


def keep_scale(rate: float) -> np.float32:
    """What kept values are multiplied by, so that their mean stays: the inverse of the share kept after rounding."""
    return np.float32(N_VALUES / (N_VALUES - drop_threshold(rate)))


def dropout_mask(key: np.uint32, step: int, layer: int, shape: tuple[int, int], rate: float) -> NDArray[np.float32]:
    """What a layer's input is multiplied by: 0 where it is dropped, else `keep_scale`. Shape (rows, n_in)."""
    draws = draws16(key, np.uint32(step), layer, shape[0] * shape[1]).reshape(shape)
    return np.where(draws >= drop_threshold(rate), keep_scale(rate), np.float32(0))


def layer_dropout(hyperparameters: Hyperparameters, layer: int) -> float:
    """The rate before the dense layer `layer`, counted from 1: `input_dropout` for the first, else `dropout`."""
    return hyperparameters.input_dropout if layer == 1 else hyperparameters.dropout
