"""Which trainer, on what: known without loading TensorFlow."""

import subprocess
import sys

import numpy as np
import pytest

import worker.trainer
from worker.errors import TrainerUnavailable
from worker.settings import WorkerSettings
from worker.trainer import describe_device, make_trainer


def test_without_tensorflow_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(worker.trainer, "find_spec", lambda name: None)
    with pytest.raises(TrainerUnavailable, match=r"gradsweep\[worker\]"):
        make_trainer(WorkerSettings(data_dir=tmp_path))


def test_the_reference_trainer_offers_the_data_sets_of_its_folder(tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "mine.npz").touch()
    trainer = make_trainer(WorkerSettings(data_dir=tmp_path, trainer="reference"))
    assert {"digits", "mine"} <= set(trainer.datasets())
    assert trainer.default_slots == 1


def test_a_data_set_is_loaded_once_for_many_banks(tmp_path, monkeypatch):
    (tmp_path / "datasets").mkdir()
    x = np.arange(60, dtype=np.float32).reshape(60, 1)
    np.savez(tmp_path / "datasets" / "mine.npz", x=x, y=np.arange(60) % 3)
    trainer = make_trainer(WorkerSettings(data_dir=tmp_path, trainer="reference"))
    sha256 = trainer.load("mine")
    monkeypatch.setattr(worker.trainer, "load_dataset", None)
    assert trainer.load("mine") == sha256


def test_a_gpu_is_named_and_a_hidden_one_is_not(tmp_path, monkeypatch):
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0" / "information").write_text("Model: \t\t NVIDIA H100\nIRQ: 1\n")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert describe_device(tmp_path) == "1 × NVIDIA H100"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert describe_device(tmp_path).startswith("CPU")


def test_a_worker_that_has_nothing_to_train_loads_no_tensorflow(tmp_path):
    script = f"""
import sys
import worker.main
from worker.settings import WorkerSettings
from worker.trainer import make_trainer
trainer = make_trainer(WorkerSettings(data_dir={str(tmp_path)!r}, trainer="reference"))
trainer.datasets(), trainer.device, trainer.default_slots
sys.exit(int("tensorflow" in sys.modules or "keras" in sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
