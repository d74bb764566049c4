"""`up`: one service and one worker on this machine, migrated, started, watched and ended in good order."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import typer

from gradsweep.cli.exits import CommandError, ExitCode
from gradsweep.cli.options import DEFAULT_PORT
from gradsweep.cli.supervisor import POLL_SECONDS, Child, Supervisor

HOST = "127.0.0.1"
READY_SECONDS = 60.0
WORKER_GRACE_SECONDS = 90.0
"""Longer than a worker's drain_timeout_seconds: an epoch may end, and the trials be handed back."""
SERVICE_GRACE_SECONDS = 20.0


class Household:
    """A service and its worker.

    Args:
        data_dir: Folder of the database and the data sets; made if it is not there.
        port: To listen on; 0 takes a free one.
        worker_options: What else `gradsweep worker` is started with; all else is left to the settings.
        as_json: Say where the service is as one line of JSON on stdout.
    """

    def __init__(self, data_dir: Path, port: int, *, worker_options: Sequence[str], as_json: bool) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.as_json = as_json
        self.url = f"http://{HOST}:{self.port}"
        at = ["--data-dir", str(data_dir)]
        serve = ["serve", "--host", HOST, "--port", str(self.port), *at, "--leave-with-stdin"]
        work = ["worker", "--url", self.url, *at, "--leave-with-stdin", *worker_options]
        self.service = Child("service", command(*serve), SERVICE_GRACE_SECONDS)
        self.worker = Child("worker", command(*work), WORKER_GRACE_SECONDS)
        self.supervisor = Supervisor([self.service], say=_say)

    def keep(self) -> None:
        """Start everything and watch over it until SIGINT or SIGTERM; then drain the worker and end the service.

        Raises:
            CommandError: The port is taken, or a child cannot be kept alive.
        """
        require_free(self.port)
        stop = threading.Event()
        self._end_on_signals(stop)
        try:
            self._migrate()
            (self.data_dir / "datasets").mkdir(exist_ok=True)  # where the guide tells people to put their own
            self.service.start(time.monotonic())
            self._wait_until_ready(stop)
            if not stop.is_set():
                self.worker.start(time.monotonic())
                self.supervisor.children.append(self.worker)
                self._announce()
            self.supervisor.watch(stop)
        finally:
            self.supervisor.end()

    def _end_on_signals(self, stop: threading.Event) -> None:
        def on_signal(number: int, _frame: object) -> None:
            if stop.is_set():
                _say("ending at once")
                self.supervisor.kill()
                return
            _say(f"{signal.Signals(number).name}: the worker finishes its epoch, then the service ends")
            stop.set()

        signal.signal(signal.SIGINT, on_signal)
        signal.signal(signal.SIGTERM, on_signal)

    def _migrate(self) -> None:
        done = subprocess.run(  # noqa: S603 - our own command line
            command("migrate", "--data-dir", str(self.data_dir)),
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            check=False,
            start_new_session=True,
        )
        if done.returncode != 0:
            raise CommandError("the database cannot be brought up to date; the reason is above", ExitCode.BAD_INPUT)

    def _wait_until_ready(self, stop: threading.Event) -> None:
        deadline = time.monotonic() + READY_SECONDS
        with httpx.Client(trust_env=False, timeout=2.0) as http:
            while not _is_ready(http, self.url) and not stop.wait(POLL_SECONDS):
                self.supervisor.tend(self.service)
                if time.monotonic() > deadline:
                    message = f"the service was not ready within {READY_SECONDS:g} s; see its messages above"
                    raise CommandError(message, ExitCode.FAILED)

    def _announce(self) -> None:
        if self.as_json:
            print(json.dumps({"url": self.url, "data_dir": str(self.data_dir)}), flush=True)
            return
        elsewhere = "" if self.port == DEFAULT_PORT else f" --url {self.url}"
        typer.echo(f"gradsweep is up at {self.url}, its data in {self.data_dir}. Ctrl-C ends it in good order.")
        typer.echo("Next, in another terminal:")
        typer.echo("    gradsweep init")
        typer.echo(f"    gradsweep submit sweep.yaml --watch{elsewhere}")


def command(*arguments: str) -> list[str]:
    """Our own command line, by the Python that runs this."""
    return [sys.executable, "-m", "gradsweep.cli", *arguments]


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int) -> None:
    """Refuse a port that somebody listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            message = f"port {port} is taken ({error.strerror}): gradsweep up --port 0 takes a free one"
            raise CommandError(message) from error


def _is_ready(http: httpx.Client, url: str) -> bool:
    try:
        return http.get(f"{url}/readyz").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _say(line: str) -> None:
    typer.echo(f"gradsweep up: {line}", err=True)
