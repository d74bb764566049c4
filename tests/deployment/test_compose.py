"""docker-compose.yml without Docker: what it promises, and its own commands and environment as processes."""

import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy.engine import URL

from gradsweep import ApiError, Client, Unreachable
from gradsweep.cli.household import free_port
from worker.settings import WorkerSettings

ROOT = Path(__file__).parent.parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ["migrate", "service", "worker-cpu", "worker-gpu"]
WORKERS = ["worker-cpu", "worker-gpu"]
READY_SECONDS, END_SECONDS = 90.0, 60.0


def seconds(duration: str) -> float:
    """A duration as Compose writes it."""
    number, unit = re.fullmatch(r"(\d+)(s|m)", duration).groups()
    return int(number) * {"s": 1.0, "m": 60.0}[unit]


def dockerfile(name: str) -> str:
    return (ROOT / SERVICES[name]["build"]["dockerfile"]).read_text()


@pytest.mark.parametrize("name", ["database", "service", *WORKERS])
def test_what_runs_on_is_checked_restarted_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}


@pytest.mark.parametrize("name", SERVICES)
def test_containers_are_read_only_and_gain_nothing(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert "/tmp" in service["tmpfs"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


@pytest.mark.parametrize("name", OURS)
def test_ours_need_no_capability_and_no_root(name: str) -> None:
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert re.search(r"^USER gradsweep$", dockerfile(name), re.MULTILINE)


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_only_the_service_is_published() -> None:
    assert [name for name in SERVICES if "ports" in SERVICES[name]] == ["service"]


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_are_files(name: str) -> None:
    secret_like = re.compile("PASSWORD|TOKEN|SECRET")
    values = {key: value for key, value in SERVICES[name]["environment"].items() if secret_like.search(key)}
    assert all(key.endswith("_FILE") for key in values)
    used = {value.removeprefix("/run/secrets/") for value in values.values()}
    assert used == set(SERVICES[name]["secrets"])
    assert used <= set(COMPOSE["secrets"])


def test_the_database_url_holds_no_password() -> None:
    assert re.fullmatch(r"[a-z+]+://[a-z]+@.*", SERVICES["service"]["environment"]["GRADSWEEP_DATABASE_URL"])


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_has_longer_to_stop_than_to_drain(name: str) -> None:
    default = WorkerSettings.model_fields["drain_timeout_seconds"].default
    assert seconds(SERVICES[name]["stop_grace_period"]) >= default + 30


def test_the_order_of_starting() -> None:
    conditions = {
        name: {other: how["condition"] for other, how in SERVICES[name].get("depends_on", {}).items()}
        for name in SERVICES
    }
    assert conditions == {
        "database": {},
        "migrate": {"database": "service_healthy"},
        "service": {"migrate": "service_completed_successfully"},
        "worker-cpu": {"service": "service_healthy"},
        "worker-gpu": {"service": "service_healthy"},
    }


def test_workers_are_chosen_by_profile_and_the_gpu_is_reserved() -> None:
    assert SERVICES["worker-cpu"]["profiles"] == ["cpu"]
    assert SERVICES["worker-gpu"]["profiles"] == ["gpu"]
    (device,) = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert "deploy" not in SERVICES["worker-cpu"]


@pytest.mark.parametrize("name", OURS)
def test_images_are_built_from_locked_requirements_only(name: str) -> None:
    text = dockerfile(name).replace("${REQUIREMENTS}", SERVICES[name]["build"].get("args", {}).get("REQUIREMENTS", ""))
    installs = [line for line in text.splitlines() if re.search(r"pip install", line)]
    assert installs
    assert all("--require-hashes -r requirements/" in line or "--no-deps" in line for line in installs)
    for file in re.findall(r"-r (requirements/\S+\.txt)", text):
        assert "--hash=sha256:" in (ROOT / file).read_text()


def test_the_build_context_holds_what_is_built_and_no_secrets() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert {"gradsweep", "service", "worker", "migrations", "requirements", "pyproject.toml"} <= kept
    assert "secrets" not in kept


class Stack:
    """The compose file's services as processes: the same commands and environment, names and paths of this machine."""

    def __init__(self, folder: Path, database_url: URL) -> None:
        self.folder = folder
        self.port = free_port()
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.replacements = {
            SERVICES["service"]["environment"]["GRADSWEEP_DATABASE_URL"]: database_url.render_as_string(False),
            "/run/secrets/": f"{folder}/secrets/",
            "http://service:8321": f"http://127.0.0.1:{self.port}",
            "http://127.0.0.1:8321": f"http://127.0.0.1:{self.port}",
            "0.0.0.0": "127.0.0.1",
        }
        (folder / "secrets").mkdir()
        for secret in COMPOSE["secrets"]:
            (folder / "secrets" / secret).write_text(f"the-{secret}-of-this-test")

    def here(self, text: str, volumes: list[str]) -> str:
        """A value of the compose file in terms of this machine; a variable takes its default."""
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
        for there, here in self.replacements.items():
            text = text.replace(there, here)
        for volume in volumes:
            source, target = volume.split(":")
            text = re.sub(rf"^{re.escape(target)}(?=/|$)", f"{self.folder}/{source}", text)
        return str(self.port) if text == "8321" else text

    def environment(self, name: str) -> dict[str, str]:
        """The service's environment, and the path that lets Python and our script be found."""
        volumes = SERVICES[name].get("volumes", [])
        ours = {key: self.here(value, volumes) for key, value in SERVICES[name]["environment"].items()}
        bin_folder = str(Path(sys.executable).parent)
        inherited = {key: os.environ[key] for key in ("HOME", "LANG", "XDG_RUNTIME_DIR") if key in os.environ}
        return {
            **inherited,
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "GRADSWEEP_WORKER_TRAINER": "reference",
            **ours,
        }

    def command(self, name: str) -> list[str]:
        """The image's entry point and the service's command."""
        entry = re.search(r"^ENTRYPOINT (\[.*\])$", dockerfile(name), re.MULTILINE)
        arguments = [*yaml.safe_load(entry.group(1)), *SERVICES[name]["command"]]
        return [self.here(argument, SERVICES[name].get("volumes", [])) for argument in arguments]

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start a service."""
        for volume in SERVICES[name].get("volumes", []):
            (self.folder / volume.split(":")[0]).mkdir(exist_ok=True)
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                self.command(name),
                env=self.environment(name),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.running[name]

    def log(self, name: str) -> str:
        """What a service wrote."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]

    def is_healthy(self, name: str) -> bool:
        """What the service's own health check says."""
        test = [self.here(argument, []) for argument in SERVICES[name]["healthcheck"]["test"][1:]]
        done = subprocess.run(test, env=self.environment(name), cwd=self.folder, capture_output=True, check=False)
        return done.returncode == 0

    def wait_until_healthy(self, name: str) -> None:
        """Ask the health check until it is content."""
        pause, deadline = threading.Event(), time.monotonic() + READY_SECONDS
        while not self.is_healthy(name):
            assert time.monotonic() < deadline, f"{shlex.join(self.command(name))}\n{self.log(name)}"
            assert self.running[name].poll() is None, self.log(name)
            pause.wait(0.3)

    def end(self) -> dict[str, int]:
        """Stop everything as Compose does, in reverse; returns the exit codes."""
        codes = {}
        for name, process in reversed(self.running.items()):
            process.terminate()
            codes[name] = process.wait(END_SECONDS)
        return codes


@pytest.fixture
def stack(tmp_path: Path, empty_postgresql_url: URL) -> Iterator[Stack]:
    made = Stack(tmp_path, empty_postgresql_url)
    yield made
    for process in made.running.values():
        process.kill()
        process.wait(END_SECONDS)


def refused(ask: Callable[[], object]) -> int:
    """The status with which the service refuses."""
    with pytest.raises(ApiError) as caught:
        ask()
    return caught.value.status


def test_the_commands_start_migrate_and_train(stack: Stack) -> None:
    assert stack.start("migrate").wait(READY_SECONDS) == 0, stack.log("migrate")
    stack.start("service")
    stack.wait_until_healthy("service")
    stack.start("worker-cpu")
    stack.wait_until_healthy("worker-cpu")
    with Client(f"http://127.0.0.1:{stack.port}") as stranger:
        assert refused(stranger.workers) == 401
    with Client(f"http://127.0.0.1:{stack.port}", "the-token-of-this-test") as client:
        sweep = client.submit(
            {"name": "composed", "dataset": "digits", "method": "random", "run_cap": 1, "parameters": {"epochs": 1}}
        )
        pause, deadline = threading.Event(), time.monotonic() + READY_SECONDS
        while client.sweep(sweep.id).state != "completed":
            assert time.monotonic() < deadline, stack.log("worker-cpu")
            pause.wait(0.2)
    assert stack.end() == {"worker-cpu": 0, "service": 0, "migrate": 0}


def test_a_service_does_not_start_before_the_schema(stack: Stack) -> None:
    assert stack.start("service").wait(READY_SECONDS) == 2
    assert "gradsweep migrate" in stack.log("service")
    with Client(f"http://127.0.0.1:{stack.port}") as client, pytest.raises(Unreachable):
        client.version()
