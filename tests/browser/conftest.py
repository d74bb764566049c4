"""Debian's Chromium on real services: a page that complains in its console, or breaks its CSP, fails its test."""

import os
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from gradsweep.cli.household import command, free_port

CHROMIUM = Path("/usr/bin/chromium")
SWITCHES = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
DEADLINE_SECONDS = 120.0
LOOK_AGAIN_SECONDS = 0.1
PATIENCE_MS = 60_000
ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "GRADSWEEP_WORKER_POLL_SECONDS": "0.2", "GRADSWEEP_REAP_SECONDS": "0.5"}


def eventually(ask: Callable[[], Any], *, what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    """Ask until the answer is true; fail after a while, and say what it was last."""
    pause, deadline, answer = threading.Event(), time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        answer = ask()
        if answer:
            return answer
        pause.wait(LOOK_AGAIN_SECONDS)
    return pytest.fail(f"{what}: not within {seconds:g} s; last: {answer!r}")


@dataclass
class Service:
    """A service process on a record of its own, and workers as they are wanted."""

    folder: Path
    template: Path
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def record(self) -> Path:
        return self.folder / "gradsweep.db"

    def start(self) -> None:
        shutil.copy(self.template, self.record)
        self._run("serve", "--port", str(self.port), "--data-dir", str(self.folder))
        eventually(self._is_ready, what="the service is ready")

    def start_worker(self) -> None:
        self._run(
            "worker",
            "--url",
            self.url,
            "--data-dir",
            str(self.folder / "worker"),
            "--slots",
            "2",
            "--trainer",
            "reference",
        )

    def end(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            process.wait(DEADLINE_SECONDS)

    def _run(self, *arguments: str) -> None:
        log = (self.folder / f"{arguments[0]}.log").open("wb")
        with log:
            self.processes.append(
                subprocess.Popen(
                    command(*arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **ENVIRONMENT, **self.environment},
                    start_new_session=True,
                )
            )

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture(scope="session")
def serve(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Runs a service for as long as a `with` lasts."""

    @contextmanager
    def run(**environment: str) -> Iterator[Service]:
        service = Service(tmp_path_factory.mktemp("service"), sqlite_template, environment)
        try:
            service.start()
            yield service
        finally:
            service.end()

    return run


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a file; its event loop must not outlive them in this process."""
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is missing; as root: apt-get install -y chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages; at the end of the test no console of theirs may hold an error or a warning.

    `refusal` is the status of an answer that the test provokes.
    """
    complaints: list[str] = []
    contexts = []

    def open_one(url: str, *, refusal: str = "none", width: int = 1280, scheme: str = "light") -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: complaints.append(f"{error}"))
        page.on("console", lambda message: complain(message, refusal))
        page.goto(url)
        return page

    def complain(message: ConsoleMessage, refusal: str) -> None:
        """Chromium itself logs every refused request: the one that a test provokes is no complaint."""
        is_expected = f"responded with a status of {refusal}" in message.text
        complaints.extend([message.text] * (message.type in ("error", "warning") and not is_expected))

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(name="eventually", scope="session")
def eventually_fixture() -> Callable[..., Any]:
    """Asks until the answer is true."""
    return eventually


HOSTILE = '<img src=x onerror="window.broken = true"><b>bold</b>'
N_LAYERS = 5
SWEEP: dict[str, Any] = {
    "name": "prepared",
    "dataset": "digits",
    "method": "random",
    "run_cap": 30,
    "max_parallel": 30,
    "seed": 3,
    "parameters": {
        "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1.0},
        "optimizer": {"values": ["sgd", "adam"]},
        "normalization": {"values": ["none", "batch"]},
        "hidden_units": {"value": [16, 16, 16, 16]},
        "epochs": 3,
    },
}


def layer(number: int, epoch: int, size: float) -> dict[str, Any]:
    return {
        "layer": number,
        "grad_norm_mean": size,
        "grad_rms_median": size * 10.0 ** (number - N_LAYERS),
        "bias_grad_rms_median": size * 10.0 ** (number - N_LAYERS),
        "update_ratio_median": 1e-3 if epoch else None,
        "nonfinite": 0,
    }


def entry(grant: dict[str, Any], epoch: int, accuracy: float) -> dict[str, Any]:
    measured = {
        "epoch": epoch,
        "steps": 10,
        "train_loss": 2.3 - accuracy,
        "train_accuracy": accuracy,
        "val_loss": 2.3 - accuracy,
        "val_accuracy": accuracy,
        "layers": [layer(number, epoch, 0.1) for number in range(1, N_LAYERS + 1)],
    }
    return {"trial_id": grant["trial_id"], "attempt": grant["attempt"], "epoch": measured}


def completed(grant: dict[str, Any], at: int) -> list[dict[str, Any]]:
    final = {"kind": "completed", "test_loss": 0.5, "test_accuracy": 0.9, "best_epoch": 3}
    entries = [entry(grant, epoch, 0.1 + 0.01 * at + 0.1 * epoch) for epoch in range(4)]
    begun = {"start": {"stream_seed": 1, "start_epoch": 0, "dataset_sha256": "0" * 64}}
    return [entries[0] | begun, *entries[1:-1], entries[-1] | {"final": final}]


def failed(grant: dict[str, Any]) -> list[dict[str, Any]]:
    words = {"error_type": HOSTILE, "message": HOSTILE, "traceback": HOSTILE}
    return [entry(grant, 0, 0.1) | {"final": {"kind": "failed", "failure_kind": "error", **words}}]


def broken(grant: dict[str, Any]) -> list[dict[str, Any]]:
    first, second = entry(grant, 0, 0.1), entry(grant, 1, 0.1)
    second["epoch"] |= {"train_loss": None, "nonfinite": 4, "nonfinite_values": {"train_loss": "nan"}}
    second["epoch"]["layers"][0] |= {
        "grad_rms_median": None,
        "nonfinite": 4,
        "nonfinite_values": {"grad_rms_median": "inf"},
    }
    return [first, second]


class Prepared:
    """A service whose record holds trials of every kind, and where to find them."""

    def __init__(self, url: str, record: Any) -> None:
        with httpx.Client(base_url=url, trust_env=False) as http:
            self.url, self.sweep = url, http.post("/v1/sweeps", json=SWEEP).raise_for_status().json()["id"]
            worker = {
                "worker_id": "wrk_1", "host": HOSTILE, "pid": 1, "version": "0", "trainer": "reference",
                "device": HOSTILE, "n_slots": 28, "datasets": ["digits"],
            }  # fmt: skip
            claim = {"protocol": 1, "claim_key": "key", "worker": worker, "max_trials": 28, "lease_id": None}
            answer = http.post("/v1/claims", json=claim).raise_for_status().json()
            grants = answer["grants"]
            entries = [*failed(grants[0]), *broken(grants[1]), entry(grants[2], 0, 0.1)]
            entries += [each for at, grant in enumerate(grants[3:]) for each in completed(grant, at)]
            http.post(f"/v1/leases/{answer['lease_id']}/reports", json={"entries": entries}).raise_for_status()
        self.lease, self.worker = answer["lease_id"], worker
        self.trials = {"failed": grants[0], "broken": grants[1], "running": grants[2], "best": grants[-1]}
        with closing(sqlite3.connect(record)) as connection, connection:
            connection.execute("UPDATE sweeps SET name = ?", (HOSTILE,))

    def address(self, view: str) -> str:
        places = {"sweeps": "/", "new": "/new", "workers": "/workers", "sweep": f"/sweeps/{self.sweep}"}
        places |= {name: f"/trials/{grant['trial_id']}" for name, grant in self.trials.items()}
        return f"{self.url}/#{places[view]}"


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, to be evaluated in a page."""
    return (files("axe_playwright_python") / "axe.min.js").read_text()


@pytest.fixture(scope="module")
def prepared(serve: Any) -> Iterator[Prepared]:
    with serve() as service:
        yield Prepared(service.url, service.record)


@pytest.fixture
def fresh(serve: Any) -> Iterator[Prepared]:
    """The same for a test that changes what there is."""
    with serve() as service:
        yield Prepared(service.url, service.record)
