"""What the routes work with; made once by `create_app` and handed to each handler."""

from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Header, Path
from starlette.requests import Request

from service.api.measuring import Meters
from service.database.engine import Database
from service.domain.lease import LeaseSettings
from service.settings import ServiceSettings
from service.suggestion.importances import ImportanceMemory
from service.suggestion.searches import Searches


class Signal(Protocol):
    """Tells event streams that there may be something new."""

    @property
    def count(self) -> int:
        """How often something new was announced."""

    @property
    def is_closing(self) -> bool:
        """Whether the service is shutting down."""

    def announce(self) -> None:
        """Say that something was written; from any thread."""

    async def wait(self, seen: int, timeout_seconds: float) -> None:
        """Return when `count` is beyond `seen`, the service is closing, or the time is over."""


class ReaperHealth(Protocol):
    """Tells whether expired leases are being looked for."""

    def silent_seconds(self) -> float | None:
        """Seconds since the last round that went well; None before the first."""


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that handlers need, and nothing that changes from request to request."""

    settings: ServiceSettings
    lease_settings: LeaseSettings
    database: Database
    searches: Searches
    importances: ImportanceMemory
    signal: Signal
    reaper: ReaperHealth
    meters: Meters
    token: str | None


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


ContextDep = Annotated[Context, Depends(_context)]
SweepRef = Annotated[
    str,
    Path(
        min_length=1,
        max_length=128,
        pattern=r"^[^\x00-\x1f\x7f/]+$",
        description="The sweep's id (`swp_…`) or its name.",
        examples=["swp_3f9a1c", "mlp-stability"],
    ),
]
TrialId = Annotated[
    str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_\-]+$", description="The trial's id (`trl_…`).")
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key with the same request gets the first answer again: it is done once.",
    ),
]
LEASE_ID = r"[A-Za-z0-9_\-]{1,64}"
LeaseId = Annotated[
    str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_\-]+$", description="The lease's id (`lse_…`).")
]
