"""What can be set for a worker, each with unit and default; `GRADSWEEP_WORKER_…` in the environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class WorkerSettings(BaseSettings):
    """Settings of one worker process."""

    model_config = SettingsConfigDict(env_prefix="GRADSWEEP_WORKER_", extra="ignore")

    url: str = Field(
        "http://127.0.0.1:8321", pattern=r"^https?://[^/]", description="Address of the service, with http or https."
    )
    token_file: Path | None = Field(None, description="File that holds the shared token, if the service wants one.")
    data_dir: Path = Field(Path("gradsweep-data"), description="Folder with datasets/; the spool is kept here too.")
    trainer: Literal["reference", "fused"] = Field("fused", description="Which trainer fills the bank.")
    slots: int | None = Field(None, ge=1, le=4096, description="Places for trials; chosen by the trainer if not given.")
    threads: int | None = Field(
        None, ge=1, le=1024, description="Cores that train side by side, on a CPU; all of this process, if not given."
    )
    device: str | None = Field(None, description="CPU, GPU or, say, GPU:1; the first GPU, or the CPU, if not given.")
    tf32: bool = Field(False, description="Let GPUs multiply with 10 bits of mantissa: faster, but no longer equal.")
    gpu_memory_mb: int | None = Field(
        None, ge=256, description="Most memory that the GPU gives, in MB; as much as it takes, if not given."
    )
    poll_seconds: float = Field(2.0, gt=0, description="Longest wait between two claims when there is no work.")
    fairness_epochs: int = Field(
        50, ge=1, description="After so many epochs a bank with a free slot asks whether another signature waits."
    )
    stall_timeout_seconds: float = Field(300.0, gt=0, description="Without a step for so long the worker exits.")
    drain_timeout_seconds: float = Field(60.0, gt=0, description="Longest wait for the epoch's end on SIGTERM.")
    spool_max_mb: int = Field(512, ge=1, description="Largest size of the spool, in MB, while the service is away.")
    request_timeout_seconds: float = Field(10.0, gt=0, description="Longest wait for one answer of the service.")
