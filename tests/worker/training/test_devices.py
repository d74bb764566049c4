"""Devices by name, and what an attempt keeps of its environment."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from worker.training.devices import choose_device, describe_environment, list_devices, prepare_devices

GPUS = ["first", "second"]


@pytest.mark.parametrize(
    ("name", "gpus", "chosen"),
    [
        (None, [], None),
        (None, GPUS, "first"),
        ("CPU", GPUS, None),
        ("cpu:0", [], None),
        ("GPU", GPUS, "first"),
        ("gpu:1", GPUS, "second"),
    ],
)
def test_devices_are_chosen_by_name(name, gpus, chosen):
    assert choose_device(name, gpus) == chosen


@pytest.mark.parametrize("name", ["GPU:2", "TPU", "GPU:x", "CPU:1", ""])
def test_an_unknown_device_is_refused_with_those_there_are(name):
    with pytest.raises(ValueError, match=r"there are CPU, GPU:0, GPU:1"):
        choose_device(name, GPUS)


def test_the_environment_names_versions_and_device():
    environment = describe_environment().as_dict()
    assert environment["tensorflow"] == tf.__version__
    assert environment["keras"] == keras.__version__
    assert environment["numpy"] == np.__version__
    assert environment["device_kind"] in ("CPU", "GPU")
    assert set(environment) == {"python", "numpy", "tensorflow", "keras", "device", "device_kind", "tf32"}


def test_the_cpu_is_listed_first():
    assert list_devices()[0].startswith("CPU: ")


@pytest.fixture
def tensorflow_calls(monkeypatch):
    """What is said to TensorFlow, in order, on a machine that seems to have two GPUs."""
    calls = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: GPUS)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [])
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *devices: calls.append(("visible", *devices)))
    for name in ("set_memory_growth", "enable_tensor_float_32_execution"):
        monkeypatch.setattr(tf.config.experimental, name, lambda *given, name=name: calls.append((name, *given)))
    return calls


def test_a_gpu_is_the_only_one_seen_and_gives_memory_as_needed(tensorflow_calls):
    prepare_devices(device="GPU:1")
    assert tensorflow_calls == [
        ("enable_tensor_float_32_execution", False),
        ("visible", ["second"], "GPU"),
        ("set_memory_growth", "second", True),
    ]


def test_a_limit_takes_the_place_of_growth(tensorflow_calls, monkeypatch):
    set_limit = lambda gpu, limits: tensorflow_calls.append((gpu, limits[0].memory_limit))  # noqa: E731
    monkeypatch.setattr(tf.config, "set_logical_device_configuration", set_limit)
    prepare_devices(device="GPU:0", gpu_memory_mb=4096)
    assert tensorflow_calls[-1] == ("first", 4096)
    assert not any("set_memory_growth" in call for call in tensorflow_calls)


def test_the_cpu_sees_no_gpu(tensorflow_calls):
    prepare_devices(device="CPU", tf32=True)
    assert tensorflow_calls == [("enable_tensor_float_32_execution", True), ("visible", [], "GPU")]
