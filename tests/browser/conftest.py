"""Debian's Chromium on real services: a page that complains in its console, or breaks its CSP, fails its test."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from gradsweep.cli.household import command, free_port

CHROMIUM = Path("/usr/bin/chromium")
SWITCHES = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
DEADLINE_SECONDS = 120.0
LOOK_AGAIN_SECONDS = 0.1
PATIENCE_MS = 60_000
ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "GRADSWEEP_WORKER_POLL_SECONDS": "0.2", "GRADSWEEP_REAP_SECONDS": "0.5"}


def eventually(ask: Callable[[], Any], *, what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    """Ask until the answer is true; fail after a while, and say what it was last."""
    pause, deadline, answer = threading.Event(), time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        answer = ask()
        if answer:
            return answer
        pause.wait(LOOK_AGAIN_SECONDS)
    return pytest.fail(f"{what}: not within {seconds:g} s; last: {answer!r}")


@dataclass
class Service:
    """A service process on a record of its own, and workers as they are wanted."""

    folder: Path
    template: Path
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def record(self) -> Path:
        return self.folder / "gradsweep.db"

    def start(self) -> None:
        shutil.copy(self.template, self.record)
        self._run("serve", "--port", str(self.port), "--data-dir", str(self.folder))
        eventually(self._is_ready, what="the service is ready")

    def start_worker(self) -> None:
        self._run(
            "worker",
            "--url",
            self.url,
            "--data-dir",
            str(self.folder / "worker"),
            "--slots",
            "2",
            "--trainer",
            "reference",
        )

    def end(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            process.wait(DEADLINE_SECONDS)

    def _run(self, *arguments: str) -> None:
        log = (self.folder / f"{arguments[0]}.log").open("wb")
        with log:
            self.processes.append(
                subprocess.Popen(
                    command(*arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **ENVIRONMENT, **self.environment},
                    start_new_session=True,
                )
            )

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture(scope="session")
def serve(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Runs a service for as long as a `with` lasts."""

    @contextmanager
    def run(**environment: str) -> Iterator[Service]:
        service = Service(tmp_path_factory.mktemp("service"), sqlite_template, environment)
        try:
            service.start()
            yield service
        finally:
            service.end()

    return run


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a file; its event loop must not outlive them in this process."""
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is missing; as root: apt-get install -y chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages; at the end of the test no console of theirs may hold an error or a warning.

    `refusal` is the status of an answer that the test provokes.
    """
    complaints: list[str] = []
    contexts = []

    def open_one(url: str, *, refusal: str = "none", width: int = 1280, scheme: str = "light") -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: complaints.append(f"{error}"))
        page.on("console", lambda message: complain(message, refusal))
        page.goto(url)
        return page

    def complain(message: ConsoleMessage, refusal: str) -> None:
        """Chromium itself logs every refused request: the one that a test provokes is no complaint."""
        is_expected = f"responded with a status of {refusal}" in message.text
        complaints.extend([message.text] * (message.type in ("error", "warning") and not is_expected))

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(name="eventually", scope="session")
def eventually_fixture() -> Callable[..., Any]:
    """Asks until the answer is true."""
    return eventually
