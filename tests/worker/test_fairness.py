"""Two sweeps of different shapes and one worker: the real loop and service, around a bank that trains at once."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.database.engine import Database
from service.settings import ServiceSettings

URL = "http://127.0.0.1:8321"
N_TRIALS = 12


def sweep(name: str, seed: int, width: int) -> dict[str, Any]:
    """A sweep whose trials end at different times, so that a bank of them is never empty; seeds tell whose they are."""
    parameters = {
        "hidden_units": {"value": [width]},
        "epochs": {"values": [3, 5, 7]},
        "dropout": {"min": 0, "max": 0.5},
    }
    return {
        "name": name,
        "dataset": "digits",
        "method": "random",
        "run_cap": N_TRIALS,
        "seed": seed,
        "parameters": parameters,
    }


@pytest.fixture
def api(sqlite_database: Database, tmp_path: Path) -> Iterator[TestClient]:
    """The service, in process."""
    with TestClient(create_app(ServiceSettings(data_dir=tmp_path), sqlite_database), base_url=URL) as client:
        yield client


@pytest.fixture
def transport(api: TestClient) -> httpx.MockTransport:
    """Carries a worker's requests to the service."""

    def carry(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        answer = api.request(request.method, path, content=request.content, headers=dict(request.headers))
        return httpx.Response(answer.status_code, content=answer.content, headers={"content-type": "application/json"})

    return httpx.MockTransport(carry)


def test_two_sweeps_of_different_shapes_both_get_on(make_bench, transport, api, tmp_path):
    for name, seed, width in (("first", 1000, 8), ("second", 2000, 16)):
        api.post("/v1/sweeps", json=sweep(name, seed, width)).raise_for_status()
    bench = make_bench(tmp_path, transport=transport, slots=4, fairness_epochs=5)
    bench.run_until_idle()
    assert [api.get(f"/v1/sweeps/{name}").json()["state"] for name in ("first", "second")] == ["completed"] * 2
    turns = [{seed // 1000 for seed in seeds} for seeds in bench.trainer.trained]
    assert all(len(turn) == 1 for turn in turns)  # a bank holds one signature
    changes = sum(before != after for before, after in pairwise(turns))
    assert changes >= 3  # neither waits until the other has ended
