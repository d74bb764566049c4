"""Settings: from the environment, checked, and documented to the letter."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import ServiceSettings
from worker.settings import WorkerSettings

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"
URL = "postgresql+psycopg://gradsweep@database/gradsweep"


def rows(kind):
    """One row per setting, as docs/settings.md must have it."""
    for name, field in kind.model_fields.items():
        default = "" if field.default in (None, "", ()) else f"`{field.default}`"
        default = default.lower() if isinstance(field.default, bool) else default
        yield f"| `{kind.model_config['env_prefix']}{name.upper()}` | {default} | {field.description} |"


@pytest.mark.parametrize("kind", [ServiceSettings, WorkerSettings])
def test_every_setting_is_documented_as_it_is(kind):
    documented = DOCS.read_text().splitlines()
    assert [row for row in rows(kind) if row not in documented] == []


def test_nothing_else_is_documented():
    documented = [line for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    assert len(documented) == len(ServiceSettings.model_fields) + len(WorkerSettings.model_fields)


@pytest.mark.parametrize("kind", [ServiceSettings, WorkerSettings])
def test_durations_have_their_unit_in_their_name(kind):
    durations = [name for name, field in kind.model_fields.items() if field.annotation is float]
    assert durations
    assert [name for name in durations if not name.endswith("_seconds")] == []


def test_reads_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADSWEEP_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GRADSWEEP_ALLOWED_HOSTS", "Sweeps.lab, other")
    settings = ServiceSettings()
    assert settings.url == f"sqlite:///{tmp_path / 'gradsweep.db'}"
    assert settings.allowed_hosts == ("sweeps.lab", "other")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"),
        ("PORT", "x"),
        ("POOL_SIZE", "1"),
        ("LEASE_SECONDS", "0"),
        ("LEASE_SECONDS", "nan"),
        ("REAP_SECONDS", "-1"),
        ("LEASE_SECONDS", "20"),
        ("HEARTBEAT_SECONDS", "31"),
        ("LOG_LEVEL", "loud"),
        ("MAX_BODY_BYTES", "10"),
    ],
)
def test_refuses_wrong_values(monkeypatch, name, value):
    monkeypatch.setenv(f"GRADSWEEP_{name}", value)
    with pytest.raises(ValidationError):
        ServiceSettings()


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("sweeps.lab", False),
    ],
)
def test_knows_loopback(host, is_loopback):
    assert ServiceSettings(host=host).is_loopback is is_loopback


def test_the_password_of_a_file_goes_into_the_url(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p@ss/word\n")
    settings = ServiceSettings(database_url=URL, database_password_file=tmp_path / "password")
    assert settings.url == "postgresql+psycopg://gradsweep:p%40ss%2Fword@database/gradsweep"


def test_without_a_file_the_url_is_as_given() -> None:
    assert ServiceSettings(database_url=URL).url == URL


@pytest.mark.parametrize("text", ["", " \n"], ids=["empty", "blank"])
def test_a_password_file_without_a_password_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "password"
    path.write_text(text)
    with pytest.raises(ValidationError, match="password"):
        ServiceSettings(database_url=URL, database_password_file=path)


def test_a_password_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="cannot be read"):
        ServiceSettings(database_url=URL, database_password_file=tmp_path / "nowhere")
