"""`doctor`: looks at everything a sweep needs, and says what to do about what is missing."""

import os
from collections.abc import Iterable
from pathlib import Path

import typer

from gradsweep.cli import checks
from gradsweep.cli.checks import Finding
from gradsweep.cli.exits import ExitCode
from gradsweep.cli.options import DEFAULT_DATA_DIR, DEFAULT_PORT, DEFAULT_URL, DataDir, Json, TokenFile, Url


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("doctor")(doctor)


def doctor(
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: Json = False,
) -> None:
    """Check Python, TensorFlow, devices, port, disk, data and versions; exit 1 if something will not work."""
    from gradsweep.cli.output import print_findings, print_json

    findings = [*local_findings(data_dir), *service_findings(url, token_file)]
    if as_json:
        print_json([{"check": f.name, "status": f.status, "detail": f.detail, "next": f.next_step} for f in findings])
    else:
        print_findings(findings)
    raise typer.Exit(ExitCode.FAILED if any(finding.status == "FAIL" for finding in findings) else ExitCode.OK)


def local_findings(data_dir: Path) -> Iterable[Finding]:
    """What can be seen of this machine."""
    yield checks.check_python(*checks.python_version())
    yield checks.check_sqlite(checks.sqlite_version())
    home = Path(__file__).parent.parent.parent
    for package in ("service", "worker"):
        yield checks.check_package(package, checks.package_origin(package), home)
    tensorflow = checks.installed_version("tensorflow", "tensorflow-cpu")
    yield checks.check_tensorflow(tensorflow)
    if tensorflow is not None:
        yield checks.check_devices(checks.has_nvidia_driver(), checks.tensorflow_gpus(), os.cpu_count() or 1)
    yield checks.check_data_dir(data_dir)
    yield checks.check_disk(data_dir)
    yield checks.check_datasets(data_dir)


def service_findings(url: str, token_file: Path | None) -> Iterable[Finding]:
    """What the service says of itself and of its workers."""
    from gradsweep.cli.connection import service_version, worker_versions

    ours = checks.installed_version("gradsweep") or "unknown"
    version = service_version(url)
    yield checks.check_port(DEFAULT_PORT, version if url == DEFAULT_URL else None)
    if version is None:
        yield Finding("service", "WARN", f"nothing answers at {url}", "gradsweep up")
        return
    yield checks.check_versions("service", ours, [version])
    workers = worker_versions(url, token_file)
    if workers:
        yield checks.check_versions("worker", ours, workers)
    else:
        yield Finding("worker", "WARN", "none has claimed anything lately", "gradsweep worker")
