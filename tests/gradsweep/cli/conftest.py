"""Sweeps and trials as the service would show them."""

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from gradsweep import Client
from service.app import create_app
from service.settings import ServiceSettings
from service.wire.health import WorkerView
from service.wire.sweeps import SweepView
from service.wire.trials import TrialView

START_SECONDS = 30.0
MOMENT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)

SWEEP: dict[str, Any] = {
    "id": "swp_1",
    "name": "first",
    "state": "running",
    "state_reason": None,
    "waiting_for": None,
    "summary": "running",
    "method": "tpe",
    "dataset": "digits",
    "metric": {"name": "val_accuracy", "direction": "maximize", "at": "last", "target": None},
    "run_cap": 8,
    "max_parallel": 8,
    "counts": {"waiting": 2, "running": 1, "completed": 3, "pruned": 1, "failed": 0, "cancelled": 0},
    "verdicts": {"nonfinite": 0, "exploding": 1, "dead": 0, "vanishing": 0, "unsteady": 0, "stable": 3},
    "progress": {
        "trials_done": 4,
        "trials_total": 8,
        "epochs_done": 20,
        "epochs_total": 40,
        "epochs_per_second": 0.5,
        "eta_seconds": 40.0,
    },
    "best": {"trial_id": "trl_3", "number": 3, "objective": 0.9512},
    "last_event": 17,
    "created_at": MOMENT,
    "started_at": MOMENT,
    "ended_at": None,
    "seed": 7,
    "resolved": {
        "parameters": {
            "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1.0},
            "optimizer": {"values": ["sgd", "adam"]},
            "epochs": {"value": 5},
        }
    },
    "defaulted": ["/parameters/epochs"],
    "warnings": [],
}

TRIAL: dict[str, Any] = {
    "id": "trl_3",
    "sweep_id": "swp_1",
    "number": 3,
    "state": "completed",
    "prune_reason": None,
    "prune_detail": None,
    "failure": None,
    "attempt": 1,
    "lost": 0,
    "stop_requested": False,
    "worker_id": None,
    "parameters": {
        "learning_rate": 0.01,
        "schedule": "constant",
        "warmup_epochs": 0.0,
        "optimizer": "adam",
        "momentum": None,
        "nesterov": None,
        "normalization": "none",
        "dropout": 0.0,
        "input_dropout": 0.0,
        "residual": False,
        "hidden_units": [32, 16],
        "activation": "relu",
        "initializer": "glorot_uniform",
        "batch_size": 64,
        "epochs": 5,
        "weight_decay": 0.0,
        "clip_norm": None,
        "label_smoothing": 0.0,
        "class_weight": "none",
    },
    "seed": 10,
    "replicate": 0,
    "remedy": None,
    "epoch": 5,
    "best_epoch": 5,
    "objective": 0.9512,
    "train_loss": 0.1,
    "train_accuracy": 0.97,
    "val_loss": 0.2,
    "val_accuracy": 0.9512,
    "val_balanced_accuracy": 0.95,
    "val_macro_f1": 0.95,
    "test_loss": 0.21,
    "test_accuracy": 0.948,
    "verdict": "stable",
    "verdict_evidence": [],
    "stability": 0.93,
    "stability_limited_by": "update",
    "stability_parts": {"update": 0.93},
    "depth_slope": 0.01,
    "rule_warnings": [],
    "would_have_pruned": None,
    "would_have_pruned_epoch": None,
    "wall_seconds": 3.0,
    "device_seconds": 3.0,
    "created_at": MOMENT,
    "started_at": MOMENT,
    "ended_at": MOMENT,
}

WORKER: dict[str, Any] = {
    "id": "wrk_1",
    "host": "box",
    "pid": 12,
    "version": "0.1.0",
    "trainer": "reference",
    "device": "2 CPU cores",
    "n_slots": 4,
    "slots_filled": 1,
    "datasets": ["digits"],
    "phase": "training",
    "phase_since": MOMENT,
    "steps_done": 5,
    "failures_in_a_row": 0,
    "is_alive": True,
    "is_quarantined": False,
    "n_trials": 1,
    "first_seen": MOMENT,
    "last_seen": MOMENT,
}


@pytest.fixture
def make_sweep() -> Callable[..., SweepView]:
    """A running sweep, changed as asked."""
    return lambda **changes: SweepView.model_validate({**SWEEP, **changes})


@pytest.fixture
def make_trial() -> Callable[..., TrialView]:
    """A completed trial, changed as asked."""
    return lambda **changes: TrialView.model_validate({**TRIAL, **changes})


@pytest.fixture
def worker_view() -> WorkerView:
    """A worker that trains."""
    return WorkerView.model_validate(WORKER)


@pytest.fixture
def url(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[str]:
    """A service with an empty record, in a thread of this process."""
    data = tmp_path_factory.mktemp("service")
    shutil.copy(sqlite_template, data / "gradsweep.db")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(ServiceSettings(data_dir=data)), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        deadline = time.monotonic() + START_SECONDS
        while not server.started and time.monotonic() < deadline:
            thread.join(0.02)
        yield address
        server.should_exit = True
        thread.join(START_SECONDS)


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as made:
        yield made
