"""How many trials a second go through the lease protocol over HTTP, on SQLite and on PostgreSQL side by side.

Two workers, batches of 16 trials, each worker one connection. Lifecycles: a claim, then one report with the final
results; proposing the trials, at random, is part of it. Epochs: reports of one epoch for each of the 16 trials, with
the rows of four layers. Durability is as in production: every answer has reached the disk. What is measured is the
service: bodies are encoded beforehand, or put together from pieces that are, and the workers speak HTTP over plain
sockets, one connection each. The processor time of the service and of the workers is shown beside the clock, as
both, and PostgreSQL's processes, share the machine.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks._databases import open_postgresql
from service.database import migrate

N_WORKERS = 2
BATCH = 16
N_BATCHES = 60
N_EPOCHS = 60
LAYER = {
    **{"grad_norm_mean": 0.12, "grad_norm_std": 0.01, "grad_norm_max": 0.2, "grad_rms_median": 0.001},
    **{"grad_rms_p05": 0.0005, "bias_grad_rms_median": 0.002, "update_ratio_median": 0.001},
    **{"update_ratio_p95": 0.002, "weight_norm": 11.5, "zero_fraction": 0.3, "activation_std": 0.9},
}
EPOCH = {
    **{"steps": 500, "train_loss": 0.41, "train_accuracy": 0.88, "val_loss": 0.39, "val_accuracy": 0.89},
    **{"val_balanced_accuracy": 0.88, "val_macro_f1": 0.88, "val_top_class_share": 0.12, "loss_max": 1.9},
    **{"global_norm_mean": 1.1, "global_norm_std": 0.2, "global_norm_max": 2.0, "global_norm_p50": 1.0},
    **{"global_norm_p99": 1.9, "wall_seconds": 1.5, "device_seconds": 0.1},
    "layers": [{"layer": layer, **LAYER} for layer in range(1, 5)],
}
FINAL = {"kind": "completed", "test_loss": 0.4, "test_accuracy": 0.9, "best_epoch": 1}
SERVE = "from service.app import serve; from service.settings import ServiceSettings; serve(ServiceSettings())"


class Connection:
    """A kept connection of one worker: as little client as HTTP allows."""

    def __init__(self, base_url: str) -> None:
        self._host = base_url.removeprefix("http://")
        name, _, port = self._host.partition(":")
        self._socket = socket.create_connection((name, int(port)), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, path: str, body: bytes) -> bytes:
        """Send a JSON body and return that of the answer, which must be 200."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + body)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._more()
        told, _, content = answer.partition(b"\r\n\r\n")
        length = int(told.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(content) < length:
            content += self._more()
        if not told.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{path} was answered {told[:40]!r}: {content[:400]!r}")
        return content

    def _more(self) -> bytes:
        chunk = self._socket.recv(65536)
        if not chunk:
            raise ConnectionError("the service closed the connection")
        return chunk


def run() -> dict[str, Any]:
    """Measure both databases, one after the other."""
    with tempfile.TemporaryDirectory(prefix="gradsweep-bench-") as folder:
        figures = {"sqlite": _measure(Path(folder), f"sqlite:///{folder}/bench.db")}
        with open_postgresql(Path(folder)) as url:
            figures["postgresql"] = _measure(Path(folder), url.render_as_string(hide_password=False))
    return {"workers": N_WORKERS, "batch": BATCH, "layers": len(EPOCH["layers"]), **figures}  # type: ignore[arg-type]


def _measure(folder: Path, url: str) -> dict[str, Any]:
    migrate.upgrade(url)
    with _service(folder, url) as (base_url, pid):
        lifecycles = _timed(pid, base_url, _lifecycles)
        epochs = _timed(pid, base_url, _epochs)
    return {"lifecycles": lifecycles, "trial_epochs": epochs}


def _timed(pid: int, base_url: str, work: Callable[[Connection, str], Iterator[int]]) -> dict[str, float]:
    """Run the work of all workers at the same time; each prepares first, then all begin together."""
    _submit(base_url, work.__name__)

    def prepared(place: int) -> Iterator[int]:
        steps = work(Connection(base_url), f"worker-{work.__name__}-{place}")
        next(steps)
        return steps

    with ThreadPoolExecutor(N_WORKERS) as pool:
        workers = list(pool.map(prepared, range(N_WORKERS)))
        began, cpu_began, own_began = time.perf_counter(), _cpu_seconds(pid), time.process_time()
        n = sum(pool.map(sum, workers))
    seconds, cpu, own = time.perf_counter() - began, _cpu_seconds(pid) - cpu_began, time.process_time() - own_began
    return {
        "n": n,
        "per_second": round(n / seconds),
        "per_service_cpu_second": round(n / cpu),
        "service_cpu_share": round(cpu / seconds, 2),
        "workers_cpu_share": round(own / seconds, 2),
    }


def _lifecycles(connection: Connection, worker_id: str) -> Iterator[int]:
    """Yields 0 when ready, then the number of trials of each batch."""
    news = _news({"epoch": EPOCH | {"epoch": 1}, "final": FINAL})
    yield 0
    lease_id = None
    for batch in range(N_BATCHES):
        lease_id, grants = _claim(connection, worker_id, batch, lease_id)
        _report(connection, lease_id, _body(grants, news))
        yield len(grants)


def _epochs(connection: Connection, worker_id: str) -> Iterator[int]:
    """Yields 0 when ready, then the number of entries of each report."""
    lease_id, grants = _claim(connection, worker_id, 0, None)
    bodies = [_body(grants, _news({"epoch": EPOCH | {"epoch": epoch}})) for epoch in range(N_EPOCHS)]
    yield 0
    for body in bodies:
        _report(connection, lease_id, body)
        yield len(grants)


def _submit(base_url: str, name: str) -> None:
    """A random sweep that all workers share, with a signature of its own."""
    n_trials = N_WORKERS * N_BATCHES * BATCH
    document = {
        **{"name": name, "dataset": "digits", "method": "random", "metric": {"name": "val_accuracy"}},
        **{"run_cap": n_trials, "max_parallel": n_trials, "seed": 1, "early_terminate": {"type": "none"}},
        "parameters": {
            "learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
            "dropout": {"min": 0.0, "max": 0.5},
            "hidden_units": {"value": [16 + len(name), 16]},
            "epochs": N_EPOCHS,
        },
    }
    httpx.post(f"{base_url}/v1/sweeps", json=document, timeout=60).raise_for_status()


def _claim(connection: Connection, worker_id: str, number: int, lease_id: str | None) -> tuple[str, list[bytes]]:
    """Claim a batch; for each trial the fence of its entries, as a report begins with it."""
    info = {
        **{"worker_id": worker_id, "host": "localhost", "pid": os.getpid(), "version": "0", "trainer": "fused"},
        **{"device": "CPU", "n_slots": BATCH, "datasets": ["digits"]},
    }
    claim = {"claim_key": f"{worker_id}-{number}", "worker": info, "lease_id": lease_id, "max_trials": BATCH}
    answer = json.loads(connection.post("/v1/claims", json.dumps(claim).encode()))
    fences = [{"trial_id": grant["trial_id"], "attempt": grant["attempt"]} for grant in answer["grants"]]
    if not fences:
        raise RuntimeError(f"a claim of {BATCH} trials got none")
    return answer["lease_id"], [json.dumps(fence).encode()[:-1] for fence in fences]


def _news(news: dict[str, Any]) -> bytes:
    """What an entry says behind its fence."""
    return b"," + json.dumps(news).encode()[1:]


def _body(fences: list[bytes], news: bytes) -> bytes:
    return b'{"entries":[' + b",".join(fence + news for fence in fences) + b"]}"


def _report(connection: Connection, lease_id: str, body: bytes) -> None:
    answer = json.loads(connection.post(f"/v1/leases/{lease_id}/reports", body))
    told = {entry["directive"] for entry in answer["entries"]}
    if told != {"continue"}:
        raise RuntimeError(f"a report was told {told}")


@contextmanager
def _service(folder: Path, url: str) -> Iterator[tuple[str, int]]:
    """A service process on a free port of loopback; ended by its own process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "GRADSWEEP_DATABASE_URL": url,
        "GRADSWEEP_DATA_DIR": str(folder),
        "GRADSWEEP_PORT": str(port),
        "GRADSWEEP_LOG_LEVEL": "warning",
    }
    base_url = f"http://127.0.0.1:{port}"
    with subprocess.Popen([sys.executable, "-c", SERVE], env=environment) as process:
        try:
            _wait_until_ready(base_url)
            yield base_url, process.pid
        finally:
            process.terminate()


def _wait_until_ready(base_url: str, seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            httpx.get(f"{base_url}/livez").raise_for_status()
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _cpu_seconds(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
