"""A client for a command, with its errors turned into one line and an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gradsweep.cli.exits import CommandError, ExitCode

if TYPE_CHECKING:
    from gradsweep.client import ApiError, Client
    from service.wire.problems import ErrorEntry

SERVER_ERROR = 500
UNAVAILABLE = 503
QUICK_SECONDS = 3.0


@contextmanager
def connect(url: str, token_file: Path | None = None, *, timeout_seconds: float = 30.0) -> "Iterator[Client]":
    """A client of the service at `url`; what it raises inside the block leaves as a CommandError."""
    import httpx

    from gradsweep.client import ApiError, Client, Unreachable

    token = read_token(token_file)
    try:
        client = Client(url, token, timeout_seconds=timeout_seconds)
    except (httpx.InvalidURL, ValueError) as error:
        raise CommandError(f"--url {url} is no address ({error}): write it like http://127.0.0.1:8321") from error
    try:
        with client:
            yield client
    except Unreachable as error:
        message = f"no service answers at {url}: start one with gradsweep up, or name another with --url"
        raise CommandError(message, ExitCode.UNREACHABLE) from error
    except ApiError as error:
        raise CommandError(in_one_line(error), _exit_code(error.status)) from error


def in_one_line(error: "ApiError") -> str:
    """What the service said, with every place in the request that it named, each once."""
    places = [f"{each.pointer}: {each.message}" for each in error.problems if not _is_told(each, error.detail)]
    return "; ".join([error.detail, *places])


def _is_told(problem: "ErrorEntry", detail: str) -> bool:
    """Whether the detail says it all: a pointer into the body helps to find the line, other places are plain."""
    place = f"{problem.pointer}: {problem.message}" if problem.pointer.startswith("/") else problem.message
    return place in detail


def _exit_code(status: int) -> ExitCode:
    if status == UNAVAILABLE:
        return ExitCode.UNREACHABLE
    return ExitCode.FAILED if status >= SERVER_ERROR else ExitCode.BAD_INPUT


def read_token(token_file: Path | None) -> str | None:
    """The token in a file, without the end of its line."""
    if token_file is None:
        return None
    try:
        token = token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"the token file {token_file} cannot be read ({error}): check --token-file") from error
    if not token:
        raise CommandError(f"the token file {token_file} is empty: write the service's token into it")
    return token


def service_version(url: str) -> str | None:
    """The version of the service at `url`; None when nothing answers as one."""
    try:
        with connect(url, timeout_seconds=QUICK_SECONDS) as client:
            return client.version()
    except CommandError:
        return None


def worker_versions(url: str, token_file: Path | None) -> list[str]:
    """Versions of the workers that are alive."""
    with connect(url, token_file, timeout_seconds=QUICK_SECONDS) as client:
        return [worker.version for worker in client.workers() if worker.is_alive]
