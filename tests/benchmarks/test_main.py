"""The benchmarks' command line: it finds modules by name and says what machine it is on."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks import suggestion


def test_the_benchmarks_are_found_by_name() -> None:
    assert "suggestion" in command.names()
    assert "__main__" not in command.names()


def test_an_unknown_one_is_an_error_that_names_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(["nonsense"])
    assert caught.value.code == 2
    assert "suggestion" in capsys.readouterr().err


def test_the_machine_and_the_figures_are_printed_and_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(suggestion, "run", lambda: {"figure": 42})
    command.main(["suggestion", "-o", str(tmp_path / "result.json")])
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert printed["suggestion"]["figure"] == 42
    assert {"cpu", "cores", "load_1_minute", "python"} <= printed["machine"].keys()
    assert json.loads((tmp_path / "result.json").read_text()) == printed


def test_a_suggestion_is_measured_and_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole benchmark, so small that its figures mean nothing."""
    for name, value in {"SIZES": (20,), "N_SEEDS": 1, "N_TRIALS": 24, "N_ASKS": {"bounded": 1, "whole": 1}}.items():
        monkeypatch.setattr(suggestion, name, value)
    figures = suggestion.run()
    assert figures["milliseconds_per_ask"]["20"]["bounded"]["processor_median"] > 0
    assert {name for name, regret in figures["regret"].items() if regret["bounded"] >= 0} == {"bowl", "waves", "ridge"}


@pytest.mark.parametrize(("arguments", "told"), [(["suggestion"], False), (["suggestion", "--full"], True)])
def test_a_benchmark_that_has_a_longer_run_is_told_of_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], told: bool
) -> None:
    def run(*, full: bool = False) -> dict[str, Any]:
        return {"full": full}

    monkeypatch.setattr(suggestion, "run", run)
    command.main(arguments)
    assert json.loads(capsys.readouterr().out)["suggestion"]["full"] is told
