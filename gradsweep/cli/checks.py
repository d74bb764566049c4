"""What `doctor` looks at. Each check is a function of what it is given and returns one finding.

A finding is OK, WARN (it works, but not all of it) or FAIL (it will not work), and says what to do next.
"""

import importlib.util
import json
import os
import platform
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

MIN_PYTHON, NEXT_PYTHON = (3, 11), (3, 14)
MIN_SQLITE = (3, 35, 0)
"""The first SQLite with RETURNING, by which the record's conditional updates tell what they changed."""
LITTLE_DISK, TOO_LITTLE_DISK = 2 * 1024**3, 200 * 1024**2
DEVICE_TIMEOUT_SECONDS = 120.0
LIST_DEVICES = """
import json, os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
gpus = tf.config.list_physical_devices("GPU")
print(json.dumps([tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]))
"""

Status = Literal["OK", "WARN", "FAIL"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; `next_step` is empty when there is nothing to do."""

    name: str
    status: Status
    detail: str
    next_step: str = ""


def check_python(version: tuple[int, int], text: str) -> Finding:
    """Whether this Python is one that gradsweep and TensorFlow run on."""
    if MIN_PYTHON <= version < NEXT_PYTHON:
        return Finding("Python", "OK", text)
    return Finding("Python", "FAIL", text, "install Python 3.11, 3.12 or 3.13 and make the virtual environment anew")


def check_sqlite(version: tuple[int, ...]) -> Finding:
    """Whether the SQLite that Python was built with is new enough for the record."""
    text = ".".join(str(part) for part in version)
    if version >= MIN_SQLITE:
        return Finding("SQLite", "OK", text)
    return Finding("SQLite", "FAIL", f"{text} is older than 3.35", "use a newer Python build, or PostgreSQL")


def check_package(package: str, origin: str | None, expected_parent: Path) -> Finding:
    """Whether `import service` finds ours: another package of that name in the path would shadow it."""
    name = f"package {package}"
    if origin is None:
        return Finding(name, "FAIL", "cannot be imported", "install gradsweep again: pip install --force-reinstall")
    found = Path(origin).resolve().parent.parent
    if found == expected_parent.resolve():
        return Finding(name, "OK", str(found / package))
    return Finding(
        name, "FAIL", f"a foreign package is in the way: {origin}", "remove it from PYTHONPATH, or start elsewhere"
    )


def package_origin(package: str) -> str | None:
    """The file that `import package` would read."""
    found = importlib.util.find_spec(package)
    return None if found is None else found.origin


def check_tensorflow(version: str | None) -> Finding:
    """Whether TensorFlow is installed; the service does without, a worker does not."""
    if version is None:
        return Finding("TensorFlow", "WARN", "not installed: no worker here", "pip install 'gradsweep[worker]'")
    return Finding("TensorFlow", "OK", version)


def installed_version(*names: str) -> str | None:
    """The version of the first of these distributions that is installed."""
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def check_devices(has_nvidia_driver: bool, gpus: Sequence[str] | None, n_cores: int) -> Finding:
    """What a worker would train on. `gpus` is None when TensorFlow could not be asked."""
    if gpus is None:
        return Finding(
            "devices", "FAIL", "TensorFlow does not start", "run python -c 'import tensorflow' to see its own message"
        )
    if gpus:
        return Finding("devices", "OK", ", ".join(gpus))
    if has_nvidia_driver:
        return Finding(
            "devices", "WARN", "an NVIDIA driver, but TensorFlow sees no GPU", "pip install 'gradsweep[gpu]'"
        )
    return Finding("devices", "OK", f"{n_cores} CPU cores, no GPU")


def tensorflow_gpus(python: str = sys.executable) -> list[str] | None:
    """Ask a TensorFlow in a process of its own for its GPUs: a broken driver then breaks only that process."""
    try:
        answer = subprocess.run(  # noqa: S603 - our own program
            [python, "-c", LIST_DEVICES], capture_output=True, text=True, timeout=DEVICE_TIMEOUT_SECONDS, check=True
        )
        return [str(name) for name in json.loads(answer.stdout.strip().splitlines()[-1])]
    except (subprocess.SubprocessError, OSError, ValueError, IndexError):
        return None


def check_disk(folder: Path) -> Finding:
    """Whether there is room for a database and data sets."""
    free = shutil.disk_usage(_nearest_existing(folder)).free
    text = f"{free / 1024**3:.1f} GB free at {folder}"
    if free < TOO_LITTLE_DISK:
        return Finding("disk", "FAIL", text, "make room, or choose another place with --data-dir")
    if free < LITTLE_DISK:
        return Finding("disk", "WARN", text, "make room: a long sweep with many layers may need more")
    return Finding("disk", "OK", text)


def check_data_dir(folder: Path) -> Finding:
    """Whether the data folder, or the one it will be made in, can be written to."""
    place = _nearest_existing(folder)
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        text = str(folder) if folder.exists() else f"{folder} (will be made)"
        return Finding("data folder", "OK", text)
    return Finding("data folder", "FAIL", f"{place} cannot be written to", "choose another one with --data-dir")


def check_port(port: int, service_version: str | None) -> Finding:
    """Whether the port is free, or the service that holds it is ours (then its version is known)."""
    if service_version is not None:
        return Finding("port", "OK", f"{port}: the service answers there")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            detail = f"{port} is taken by another program ({error.strerror})"
            return Finding("port", "FAIL", detail, "stop that program, or choose another port: gradsweep up --port 0")
    return Finding("port", "OK", f"{port} is free")


def check_versions(what: str, ours: str, theirs: Sequence[str]) -> Finding:
    """Whether what runs is of the version that is installed here."""
    others = sorted({version for version in theirs if version != ours})
    if others:
        return Finding(what, "WARN", f"{', '.join(others)} runs, {ours} is installed", f"restart the {what}")
    return Finding(what, "OK", ours)


def check_datasets(folder: Path) -> Finding:
    """Which data sets a worker on this data folder can use, and which it would have to download first."""
    from worker.datasets import available_datasets
    from worker.datasets.downloads import DOWNLOADS

    here = {path.stem for path in (folder / "datasets").glob("*.npz")}
    names = available_datasets(folder)
    missing = [name for name in names if name in DOWNLOADS and name not in here]
    text = ", ".join(name for name in names if name not in missing)
    if not missing:
        return Finding("data sets", "OK", text)
    wish = f"{', '.join(missing)}: downloaded at first use; without network put NAME.npz into {folder / 'datasets'}"
    return Finding("data sets", "OK", text, wish)


def has_nvidia_driver() -> bool:
    """Whether the kernel has an NVIDIA driver loaded."""
    return Path("/proc/driver/nvidia/version").exists()


def python_version() -> tuple[tuple[int, int], str]:
    """This Python's version, to compare and to show."""
    return (sys.version_info.major, sys.version_info.minor), f"{platform.python_version()} at {sys.executable}"


def sqlite_version() -> tuple[int, ...]:
    """The version of the SQLite library in use."""
    return sqlite3.sqlite_version_info


def _nearest_existing(path: Path) -> Path:
    """The path itself or the nearest of its parents that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
