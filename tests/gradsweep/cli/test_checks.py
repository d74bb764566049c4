"""What `doctor` looks at: each check finds what is right and what is wrong."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradsweep.cli import checks


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("version", "status"), [((3, 10), "FAIL"), ((3, 11), "OK"), ((3, 13), "OK"), ((3, 14), "FAIL"), ((2, 7), "FAIL")]
)
def test_python(version: tuple[int, int], status: str) -> None:
    assert checks.check_python(version, "x").status == status


@pytest.mark.parametrize(("version", "status"), [((3, 34, 1), "FAIL"), ((3, 35, 0), "OK"), ((3, 51), "OK")])
def test_sqlite(version: tuple[int, ...], status: str) -> None:
    assert checks.check_sqlite(version).status == status


def test_a_foreign_package_of_our_name_is_found(tmp_path: Path) -> None:
    foreign = tmp_path / "elsewhere" / "service" / "__init__.py"
    finding = checks.check_package("service", str(foreign), tmp_path / "home")
    assert finding.status == "FAIL"
    assert str(foreign) in finding.detail


def test_our_own_package_is_no_foreign_one() -> None:
    home = Path(checks.__file__).parent.parent.parent
    assert checks.check_package("service", checks.package_origin("service"), home).status == "OK"


def test_a_package_that_is_not_there_fails() -> None:
    assert checks.check_package("service", checks.package_origin("no_such_package"), Path()).status == "FAIL"


@pytest.mark.parametrize(("version", "status"), [(None, "WARN"), ("2.21.0", "OK")])
def test_tensorflow(version: str | None, status: str) -> None:
    assert checks.check_tensorflow(version).status == status


@pytest.mark.parametrize(
    ("driver", "gpus", "status", "words"),
    [
        (True, ["NVIDIA H100"], "OK", "NVIDIA H100"),
        (True, [], "WARN", "sees no GPU"),
        (False, [], "OK", "2 CPU cores"),
        (False, None, "FAIL", "does not start"),
    ],
)
def test_devices(driver: bool, gpus: list[str] | None, status: str, words: str) -> None:
    finding = checks.check_devices(driver, gpus, 2)
    assert finding.status == status
    assert words in finding.detail


def test_a_python_without_tensorflow_has_no_answer() -> None:
    assert checks.tensorflow_gpus("/bin/false") is None


def test_a_port_that_is_taken_fails(taken_port: int) -> None:
    assert checks.check_port(taken_port, None).status == "FAIL"


def test_a_port_that_our_service_holds_is_fine(taken_port: int) -> None:
    assert checks.check_port(taken_port, "0.1.0").status == "OK"


@pytest.mark.parametrize(("free_bytes", "status"), [(10 * 1024**3, "OK"), (1024**3, "WARN"), (1024**2, "FAIL")])
def test_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_bytes: int, status: str) -> None:
    usage = checks.shutil.disk_usage(tmp_path)._replace(free=free_bytes)
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _folder: usage)
    assert checks.check_disk(tmp_path / "not" / "there" / "yet").status == status


def test_a_data_folder_that_will_be_made_is_fine(tmp_path: Path) -> None:
    assert checks.check_data_dir(tmp_path / "new" / "folder").status == "OK"


def test_a_data_folder_below_a_file_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert checks.check_data_dir(tmp_path / "file" / "folder").status == "FAIL"


def test_data_sets_of_the_folder_are_listed_and_downloads_named(tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "own.npz").write_bytes(b"")
    (tmp_path / "datasets" / "mnist.npz").write_bytes(b"")
    finding = checks.check_datasets(tmp_path)
    assert finding.detail == "digits, mnist, mnist-5k, own"
    assert finding.next_step.startswith("fashion-mnist: downloaded at first use")


@pytest.mark.parametrize(("theirs", "status"), [(["0.1.0"], "OK"), (["0.1.0", "0.0.9"], "WARN")])
def test_versions(theirs: list[str], status: str) -> None:
    assert checks.check_versions("worker", "0.1.0", theirs).status == status
