"""What can be set for the service, each with unit and default; `GRADSWEEP_…` in the environment (docs/settings.md)."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import make_url


class ServiceSettings(BaseSettings):
    """Settings of one service process."""

    model_config = SettingsConfigDict(env_prefix="GRADSWEEP_", extra="ignore", frozen=True)

    data_dir: Path = Field(Path("gradsweep-data"), description="Folder with gradsweep.db and datasets/.")
    database_url: str = Field(
        "",
        description="`sqlite:///FILE` or `postgresql+psycopg://…`; without it, the file gradsweep.db in data_dir.",
    )
    database_password_file: Path | None = Field(
        None, description="File that holds the database's password, which then need not stand in the URL."
    )
    pool_size: int = Field(
        10, ge=2, le=100, description="Connections to the database; as many requests are answered at the same time."
    )
    host: str = Field("127.0.0.1", description="Address to listen on; any other than loopback needs a token_file.")
    port: int = Field(8321, ge=0, le=65535, description="TCP port to listen on; 0 takes a free one.")
    token_file: Path | None = Field(
        None, description="File that holds the shared token; with it, every request must bring the token."
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Names, separated by commas, by which the service may be called, beside those of loopback "
        "and its own address.",
    )
    max_body_bytes: int = Field(1_000_000, ge=1_000, description="Largest body of a request, in bytes.")
    max_report_bytes: int = Field(
        16_000_000, ge=1_000, description="Largest body on the lease routes, in bytes, before and after decompression."
    )
    lease_seconds: float = Field(60.0, gt=0, le=86_400, description="How long a lease lives without a heartbeat.")
    heartbeat_seconds: float = Field(15.0, gt=0, le=86_400, description="How often workers renew their leases.")
    reap_seconds: float = Field(5.0, gt=0, le=3_600, description="How often the service looks for expired leases.")
    max_lost: int = Field(3, ge=1, le=100, description="How often a trial may lose its worker before it has failed.")
    quarantine_after: int = Field(
        8, ge=1, le=10_000, description="A worker that fails so many trials in a row gets none for a while."
    )
    quarantine_seconds: float = Field(
        600.0, gt=0, le=86_400, description="How long that while is; one more failure then starts it again."
    )
    event_poll_seconds: float = Field(
        1.0, gt=0, le=60, description="How often event streams look for events that another process wrote."
    )
    event_heartbeat_seconds: float = Field(
        15.0, gt=0, le=300, description="How often a silent event stream sends a comment, so that nobody hangs up."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What the log tells.")

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip().lower() for name in value.split(",") if name.strip())
        return value

    @field_validator("database_password_file")
    @classmethod
    def _holds_a_password(cls, path: Path | None) -> Path | None:
        try:
            is_empty = path is not None and not path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
        if is_empty:
            raise ValueError(f"{path} is empty; write the database's password into it")
        return path

    @model_validator(mode="after")
    def _renew_in_time(self) -> "ServiceSettings":
        if self.heartbeat_seconds * 2 > self.lease_seconds:
            raise ValueError(
                f"heartbeat_seconds={self.heartbeat_seconds:g} leaves no room for a lost heartbeat in "
                f"lease_seconds={self.lease_seconds:g}; make it at most half as long"
            )
        return self

    @property
    def url(self) -> str:
        """Where the database is, with the default and the password filled in."""
        url = self.database_url or f"sqlite:///{self.data_dir / 'gradsweep.db'}"
        if self.database_password_file is None:
            return url
        password = self.database_password_file.read_text(encoding="utf-8").strip()
        return make_url(url).set(password=password).render_as_string(hide_password=False)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False
