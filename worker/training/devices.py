"""The device that trains, made ready and described."""

import platform
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What numbers depend on beside the hyperparameters; kept with every attempt."""

    python: str
    numpy: str
    tensorflow: str
    keras: str
    device: str
    device_kind: str
    tf32: bool

    def as_dict(self) -> dict[str, str | bool]:
        """The fields as plain values for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


def prepare_devices(*, device: str | None = None, tf32: bool = False, gpu_memory_mb: int | None = None) -> Environment:
    """Make TensorFlow ready: memory as it is needed, full float32 products, one device.

    Call it once, before anything is computed: TensorFlow fixes its devices at the first operation.

    Args:
        device: `CPU`, `GPU` or, say, `GPU:1`; None takes the first GPU, or the CPU where there is none.
        tf32: Allow GPUs to multiply float32 with 10 bits of mantissa. Faster, but no longer equal to a CPU.
        gpu_memory_mb: Most memory to take of the GPU, in MB.

    Raises:
        ValueError: There is no such device.
    """
    tf.get_logger().setLevel("ERROR")  # it warns of retracing whenever programs for several shapes are compiled
    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    gpus = tf.config.list_physical_devices("GPU")
    chosen = choose_device(device, gpus)
    tf.config.set_visible_devices([chosen] if chosen is not None else [], "GPU")
    if chosen is not None and gpu_memory_mb is not None:  # TensorFlow takes a limit or growth, not both
        limited = tf.config.LogicalDeviceConfiguration(memory_limit=gpu_memory_mb)
        tf.config.set_logical_device_configuration(chosen, [limited])
    elif chosen is not None:
        tf.config.experimental.set_memory_growth(chosen, True)
    return describe_environment()


def choose_device(device: str | None, gpus: list[Any]) -> Any:
    """The GPU that `device` names, None for the CPU; `prepare_devices` describes the names."""
    if device is None:
        return gpus[0] if gpus else None
    kind, _, number = device.upper().partition(":")
    if kind == "CPU" and number in ("", "0"):
        return None
    if kind == "GPU" and (number or "0").isdigit() and int(number or "0") < len(gpus):
        return gpus[int(number or "0")]
    known = ["CPU", *(f"GPU:{i}" for i in range(len(gpus)))]
    raise ValueError(f"there is no device {device!r} here; there are {', '.join(known)}")


def list_devices() -> list[str]:
    """Names of all devices of this machine, the CPU first, with the model of each GPU."""
    names = [f"CPU: {platform.processor() or platform.machine()}"]
    for number, gpu in enumerate(tf.config.list_physical_devices("GPU")):
        details = tf.config.experimental.get_device_details(gpu)
        names.append(f"GPU:{number}: {details.get('device_name', 'unknown model')}")
    return names


def describe_environment() -> Environment:
    """The environment as it is now."""
    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "unknown model")
    else:
        name = platform.processor() or platform.machine()
    return Environment(
        python=platform.python_version(),
        numpy=np.__version__,
        tensorflow=tf.__version__,
        keras=keras.__version__,
        device=str(name),
        device_kind="GPU" if gpus else "CPU",
        tf32=bool(tf.config.experimental.tensor_float_32_execution_enabled()),
    )
