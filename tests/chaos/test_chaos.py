"""A short chaos on each database, as a run of its own; `make chaos` plays the long one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parent / "run.py"
N_TRIALS = 8


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_nothing_acknowledged_is_lost(database: str) -> None:
    done = subprocess.run(
        [sys.executable, str(RUN), "--trials", str(N_TRIALS), database], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)[database]
    assert result["faults"] == {}
    assert sum(result["trials"].values()) == N_TRIALS
    assert result["acknowledged"]["epochs"] > N_TRIALS
    assert sum(result["done"].values()) > 0
