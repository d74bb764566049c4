"""One line per error on stderr, nothing on stdout, and the exit code that says what happened."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from gradsweep.cli import main
from gradsweep.cli.exits import ExitCode
from gradsweep.cli.household import free_port


def nobody() -> str:
    """An address at which nothing answers."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["lst"], 2, "Did you mean 'list'"),
        (["show"], 2, "Missing argument"),
        (["list", "--limit", "0"], 2, "--limit"),
        (["submit", "no/such/file.yaml"], 2, "gradsweep init writes one"),
        (["list", "--url", "nonsense://x"], 5, "gradsweep up"),
        (["list", "--token-file", "no/such/token"], 2, "--token-file"),
    ],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str) -> None:
    assert main.run(arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("gradsweep: ")
    assert words in captured.err


@pytest.mark.parametrize("command", ["list", "watch", "best", "trials", "pause x", "show x", "cancel x/1", "retry x/1"])
def test_no_service_is_exit_code_5(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main.run([*command.split(), "--url", nobody()]) == ExitCode.UNREACHABLE
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)


def test_an_error_of_our_own_is_a_line_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(app: typer.Typer) -> None:
        @app.command("list")
        def fail() -> None:
            raise RuntimeError("two\nlines")

    monkeypatch.setattr(main.sweeps, "register", broken)
    assert main.run(["list"]) == ExitCode.FAILED
    assert capsys.readouterr().err.startswith("gradsweep: internal error: RuntimeError: two lines; set ")


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert ("Steering:\n" in shown, "  submit       Submit a sweep file." in shown) == (True, True)


def test_the_command_line_imports_nothing_heavy() -> None:
    program = (
        "import sys; from gradsweep.cli import main; main.build_app();"
        "heavy = {'tensorflow', 'keras', 'optuna', 'sqlalchemy', 'fastapi', 'httpx', 'pydantic', 'numpy', 'rich'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_init_writes_a_file_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sweep.yaml"
    assert main.run(["init", str(file)]) == ExitCode.OK
    first = file.read_text()
    assert main.run(["init", str(file), "--name", "other"]) == ExitCode.BAD_INPUT
    assert file.read_text() == first
    assert "--force" in capsys.readouterr().err
    assert main.run(["init", str(file), "--name", "other", "--force"]) == ExitCode.OK
    assert "name: other" in file.read_text()


def test_a_file_that_is_no_database_is_named_and_not_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gradsweep.db").write_bytes(b"text" * 2000)
    assert main.run(["migrate", "--data-dir", str(tmp_path)]) == 2
    assert "file is not a database" in capsys.readouterr().err
    assert (tmp_path / "gradsweep.db").read_bytes() == b"text" * 2000
