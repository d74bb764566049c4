"""What is given to `up` and `worker` reaches the worker."""

from pathlib import Path
from typing import Any

import pytest

import worker.main
from gradsweep.cli import household, main

TRAINING = ["--trainer", "reference", "--slots", "6", "--threads", "3", "--device", "CPU", "--gpu-memory", "4096"]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would be started: settings of workers, households."""
    found: list[Any] = []

    def keep(self: household.Household) -> None:
        found.append(self)

    monkeypatch.setattr(worker.main, "run_worker", lambda settings: found.append(settings) or 0)
    monkeypatch.setattr(household.Household, "keep", keep)
    return found


def test_options_of_a_worker_become_its_settings(started: list[Any], tmp_path: Path) -> None:
    assert main.run(["worker", "--data-dir", str(tmp_path), *TRAINING, "--tf32"]) == 0
    given = started[0].model_dump(include={"trainer", "slots", "threads", "device", "gpu_memory_mb", "tf32"})
    assert given == {
        "trainer": "reference",
        "slots": 6,
        "threads": 3,
        "device": "CPU",
        "gpu_memory_mb": 4096,
        "tf32": True,
    }


def test_what_is_not_given_is_left_to_the_environment(started: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADSWEEP_WORKER_THREADS", "5")
    monkeypatch.setenv("GRADSWEEP_WORKER_TF32", "true")
    assert main.run(["worker"]) == 0
    assert (started[0].threads, started[0].tf32, started[0].slots) == (5, True, None)


def test_up_passes_them_on(started: list[Any], tmp_path: Path) -> None:
    assert main.run(["up", "--port", "1", "--data-dir", str(tmp_path), *TRAINING, "--tf32"]) == 0
    command = started[0].worker.command
    assert [*TRAINING, "--tf32"] == command[-len(TRAINING) - 1 :]


@pytest.mark.parametrize("wrong", [["--threads", "0"], ["--gpu-memory", "1"], ["--slots", "0"]])
def test_what_cannot_be_is_refused(started: list[Any], wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["worker", *wrong]) == 2
    assert wrong[0] in capsys.readouterr().err
    assert started == []


def test_rescore_says_how_many_judgements_changed(
    tmp_path: Path, sqlite_template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gradsweep.db").write_bytes(sqlite_template.read_bytes())
    assert main.run(["rescore", "--data-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "0 of 0 trials changed.\n"
    assert main.run(["rescore", "nothing", "--data-dir", str(tmp_path)]) == 2
    assert "there is no sweep with the id or name 'nothing'" in capsys.readouterr().err


def test_rescore_makes_no_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["rescore", "--data-dir", str(tmp_path)]) == 2
    assert "there is no database" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
