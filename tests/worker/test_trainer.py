"""Which trainer, on what: known without loading TensorFlow."""

import subprocess
import sys

import numpy as np
import pytest

import worker.trainer
from service.wire.leases import Grant
from worker.errors import TrainerUnavailable
from worker.settings import WorkerSettings
from worker.trainer import default_slots, describe_device, make_trainer


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
    data = trainer.load("mine")
    monkeypatch.setattr(worker.trainer, "load_dataset", None)
    assert trainer.load("mine") == data
    assert data.class_shares == pytest.approx((1 / 3, 1 / 3, 1 / 3))


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


REAL = """
import sys
from pathlib import Path
from service.wire.leases import Grant
from worker.comparing import numbers_of
from worker.entries import completed, epoch_report, trial_spec
from worker.replaying import Replay, record_steps
from worker.settings import WorkerSettings
from worker.trainer import make_trainer
from worker.training.steps import steps_csv

trainer = make_trainer(WorkerSettings(data_dir=Path(sys.argv[1]), trainer=sys.argv[2], device="CPU"))
trainer.load("mine")
bank = trainer.make_bank("mine", hidden_units=(4,), batch_size=8, stream_seed=7, n_slots=2)
grants = [Grant.model_validate_json(grant) for grant in sys.argv[3:]]
rows = bank.admit([trial_spec(grant, grant.trial_id) for grant in grants]) + bank.train_epoch()
reports = [epoch_report(row) for row in rows]
assert [report.epoch for report in reports] == [0, 0, 1, 1], reports
assert all(len(report.layers) == 2 for report in reports)
final = completed(bank.test_metrics(grants[0].trial_id), 1)
assert 0 <= final.test_accuracy <= 1
assert bank.steps_done() > 0
n_compiled = getattr(bank, "compilations", 0)
again = trainer.make_bank("mine", hidden_units=(4,), batch_size=8, stream_seed=8, n_slots=2)
again.admit([trial_spec(grants[0], "again")])
assert getattr(again, "compilations", 0) == n_compiled, "the same signature was compiled again"
environment = trainer.environment()
assert environment["trainer"] == sys.argv[2] and environment["device_kind"] == "CPU", environment

stored = [numbers_of(row, row.layers) for row in rows if row.key == grants[0].trial_id]
for recorded, is_same in ((environment, True), ({}, False)):
    spec = trial_spec(grants[0], "replayed")
    replay = Replay(
        dataset="mine", spec=spec, stream_seed=7, start_epoch=0, environment=recorded, stored=stored
    )
    made = record_steps(trainer, replay, steps=4, every=2)
    assert (made.same_program, made.differs_from_epoch, made.n_steps) == (is_same, None, 4), made
    assert [(row.step, row.layer) for row in made.rows] == [(1, 1), (1, 2), (3, 1), (3, 2)]
    assert steps_csv(made.rows).count("\\n") == 5
    assert trainer.environment() == environment, "a replay is not what the next attempt runs on"
assert getattr(again, "compilations", 0) <= n_compiled + 3, "the recorded program was compiled again"

trainer.make_bank("mine", hidden_units=(4,), batch_size=8, stream_seed=7, n_slots=2, statistics_every=3)
assert (environment["statistics_every"], trainer.environment()["statistics_every"]) == ("1", "3")
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reference", "fused"])
def test_what_a_real_trainer_measures_fits_the_wire(name, tmp_path, service):
    (tmp_path / "datasets").mkdir()
    x = np.random.default_rng(1).normal(size=(90, 3)).astype(np.float32)
    np.savez(tmp_path / "datasets" / "mine.npz", x=x, y=np.arange(90) % 3)
    trials = [service.trials[trial_id] for trial_id in service.add_trials(2)]
    shapes = {"hidden_units": (4,), "batch_size": 8}
    grants = [
        Grant(**{**trial.grant, "parameters": trial.grant["parameters"].model_copy(update=shapes)}, attempt=1)
        for trial in trials
    ]
    command = [sys.executable, "-c", REAL, str(tmp_path), name, *(grant.model_dump_json() for grant in grants)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.parametrize(
    ("trainer", "cores", "has_gpu", "slots"),
    [("reference", 8, True, 1), ("fused", 2, False, 8), ("fused", 8, True, 64)],
)
def test_slots_follow_the_machine(trainer, cores, has_gpu, slots):
    assert default_slots(trainer, cores, has_gpu=has_gpu) == slots


@pytest.mark.parametrize(
    ("settings", "device", "slots"),
    [
        ({"device": "CPU", "threads": 3}, "CPU, 3 cores", 12),
        ({"device": "cpu:0", "threads": 1}, "CPU, 1 cores", 4),
        ({"device": "GPU", "threads": 3}, "1 × NVIDIA H100", 64),
        ({}, "1 × NVIDIA H100", 64),
    ],
)
def test_device_and_threads_are_chosen_by_the_settings(settings, device, slots, monkeypatch, tmp_path):
    monkeypatch.setattr(worker.trainer, "_nvidia_models", lambda driver: ["NVIDIA H100"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    trainer = make_trainer(WorkerSettings(data_dir=tmp_path, **settings))
    assert (trainer.device, trainer.default_slots) == (device, slots)
