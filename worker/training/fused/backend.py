"""What Keras' operations lack: products with a transposed operand, compiled functions, compiled loops. TensorFlow."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from worker.errors import OutOfDeviceMemory
from worker.training.fused.layout import Tensor


def matmul_transposed_left(a: Tensor, b: Tensor) -> Tensor:
    """aᵀb over the last two axes, without storing aᵀ."""
    return tf.matmul(a, b, transpose_a=True)


def matmul_transposed_right(a: Tensor, b: Tensor) -> Tensor:
    """abᵀ over the last two axes, without storing bᵀ."""
    return tf.matmul(a, b, transpose_b=True)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as one program. It is traced, and compiled, once per combination of shapes."""
    return tf.function(function, jit_compile=True, autograph=False, reduce_retracing=False)  # type: ignore[no-any-return]


def repeat(n_times: int, body: Callable[..., Sequence[Tensor]], state: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """state ← body(i, *state) for i = 0 … n_times - 1, inside a compiled function."""
    _, *result = tf.while_loop(lambda i, *_: i < n_times, lambda i, *s: (i + 1, *body(i, *s)), (tf.constant(0), *state))
    return tuple(result)


def repeat_until(body: Callable[..., Sequence[Tensor]], state: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """is_done, *state ← body(*state), once at least, until it is done."""
    _, *result = tf.while_loop(
        lambda is_done, *_: tf.logical_not(is_done), lambda _, *s: tuple(body(*s)), (tf.constant(False), *state)
    )
    return tuple(result)


def either(condition: Tensor, then: Callable[[], Tensor], otherwise: Callable[[], Tensor]) -> Tensor:
    """The value of one of two branches; the other is not computed."""
    return tf.cond(condition, then, otherwise)


def tensor(values: ArrayLike, dtype: str | None = None) -> Tensor:
    """A tensor on the device."""
    return tf.convert_to_tensor(np.asarray(values, dtype=dtype))


def take(array: Tensor, places: NDArray[np.int64]) -> Tensor:
    """The entries of a tensor at these places of its first axis, in the shape of `places`."""
    return tf.gather(array, places)


def with_slots(array: Tensor, slots: Sequence[int], values: ArrayLike) -> Tensor:
    """A copy of a tensor in which these slots (the first axis) hold other values, one for each."""
    if 0 in array.shape:  # say, moving averages where nothing is normalized; TensorFlow refuses to scatter nothing
        return array
    update = tf.convert_to_tensor(np.asarray(values), dtype=array.dtype)
    return tf.tensor_scatter_nd_update(array, [[slot] for slot in slots], update)


def on_host(structure: Any) -> Any:
    """The same tuples and lists with NumPy arrays for tensors; waits for the device."""
    return tf.nest.map_structure(np.asarray, structure)


NO_MEMORY = re.compile(r"out[ _]of[ _]memory|resource[ _]exhausted|failed to allocate", re.IGNORECASE)


@contextmanager
def device_memory_errors() -> Iterator[None]:
    """Turns the device's complaint about memory into ours, so that the caller can halve the bank.

    Most come as ResourceExhaustedError. What a library under TensorFlow could not allocate while a program was
    compiled or run comes as an internal error that says so in words only.
    """
    try:
        yield
    except (tf.errors.OpError, MemoryError) as error:
        is_named = isinstance(error, tf.errors.ResourceExhaustedError | MemoryError)
        if not is_named and not NO_MEMORY.search(str(error)):
            raise
        message = "the bank does not fit into the device's memory: use fewer slots"
        raise OutOfDeviceMemory(message) from error
