"""The service: an application made from settings, and a process that serves it."""

import logging
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from types import FrameType

import anyio.to_thread
import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from service.api import (
    events,
    exports,
    figures,
    health,
    leases,
    page,
    recordings,
    search,
    sessions,
    sweeps,
    trials,
    workers,
)
from service.api.bodies import BodyReader
from service.api.context import Context
from service.api.documenting import openapi_of
from service.api.guard import Guard
from service.api.measuring import Measuring, Meters
from service.api.problems import ProblemShield, handle_problem
from service.api.unreadable import ProblemProtocol
from service.background.reaper import ReaperThread
from service.background.signal import EventSignal
from service.database.engine import Database
from service.database.lock import only_service
from service.database.migrate import check_schema
from service.domain.lease import LeaseSettings
from service.errors import Conflict, SchemaMismatch, ServiceError
from service.operations.reaping import Reaper
from service.settings import ServiceSettings
from service.suggestion.importances import ImportanceMemory
from service.suggestion.searches import Searches

logger = logging.getLogger("gradsweep")

_NOWHERE = ("0.0.0.0", "::")  # noqa: S104 - not bound here: these name every address, so they are no host's name
_GRACE_SECONDS = 10


def create_app(settings: ServiceSettings, database: Database | None = None) -> FastAPI:
    """Make an application; it starts its reaper when it is served.

    Args:
        settings: What to do and how.
        database: Where the record is; opened by the settings' URL, and then closed at the end, if not given.
    """
    opened = database or Database(settings.url, pool_size=settings.pool_size)
    signal = EventSignal()
    lease_settings = lease_settings_of(settings)
    reaper = ReaperThread(
        Reaper(opened, lease_settings).tick, interval_seconds=settings.reap_seconds, announce=signal.announce
    )
    meters = Meters()
    token = read_token(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # one connection stays for the reaper, and a handler never waits for a connection that another one holds
        anyio.to_thread.current_default_thread_limiter().total_tokens = max(1, settings.pool_size - 1)
        reaper.start()
        try:
            yield
        finally:
            signal.close()
            await anyio.to_thread.run_sync(reaper.stop)
            if database is None:
                opened.dispose()

    app = FastAPI(
        title="gradsweep",
        version=version("gradsweep"),
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # those pages load their code from elsewhere
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        middleware=_middleware(settings, meters, signal, token),
    )
    for kind in (ServiceError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, handle_problem)
    groups = (page, sweeps, search, events, trials, recordings, figures, exports, leases, workers, sessions, health)
    for group in groups:
        app.include_router(group.router)
    app.openapi = openapi_of(app)  # type: ignore[method-assign]
    app.state.context = Context(
        settings=settings,
        lease_settings=lease_settings,
        database=opened,
        searches=Searches(),
        importances=ImportanceMemory(),
        signal=signal,
        reaper=reaper,
        meters=meters,
        token=token,
    )
    return app


def lease_settings_of(settings: ServiceSettings) -> LeaseSettings:
    """The durations and limits of leases."""
    return LeaseSettings(
        lease_seconds=settings.lease_seconds,
        heartbeat_seconds=settings.heartbeat_seconds,
        reap_seconds=settings.reap_seconds,
        max_lost=settings.max_lost,
        quarantine_after=settings.quarantine_after,
        quarantine_seconds=settings.quarantine_seconds,
    )


def read_token(settings: ServiceSettings) -> str | None:
    """The shared token, or None if none is set.

    Raises:
        Conflict: The file cannot be used, or the service would be open to other machines without one.
    """
    if settings.token_file is None:
        if not settings.is_loopback:
            raise Conflict(
                f"host {settings.host} can be reached from other machines: write a secret into a file and name it in "
                "GRADSWEEP_TOKEN_FILE, or use 127.0.0.1"
            )
        return None
    try:
        token = settings.token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Conflict(f"the token file {settings.token_file} cannot be read: {error}") from error
    if len(token) < 16:
        raise Conflict(f"the token in {settings.token_file} has {len(token)} characters; use at least 16")
    return token


def serve(settings: ServiceSettings) -> None:
    """Serve until a signal ends it.

    Raises:
        SchemaMismatch: The database is not at this version's schema; the message holds the command that helps.
        Conflict: Another service works on the same SQLite file, or a token is missing.
    """
    logging.basicConfig(
        level=settings.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of every look at the schema
    read_token(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.url, pool_size=settings.pool_size)
    try:
        with only_service(settings.url):
            _check_schema_if_reachable(database)
            app = create_app(settings, database)
            config = uvicorn.Config(
                app,
                http=ProblemProtocol,
                host=settings.host,
                port=settings.port,
                log_config=None,
                log_level=settings.log_level,
                access_log=settings.log_level == "debug",
                timeout_graceful_shutdown=_GRACE_SECONDS,
                server_header=False,
                proxy_headers=False,
            )
            _Server(config, app).run()
    finally:
        database.dispose()


class _Server(uvicorn.Server):
    """Ends event streams at once when it is told to stop; it would wait for them to end by themselves."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._signal: EventSignal = app.state.context.signal

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._signal.close()
        super().handle_exit(sig, frame)


def _middleware(
    settings: ServiceSettings, meters: Meters, signal: EventSignal, token: str | None
) -> Sequence[Middleware]:
    own_name = () if settings.host in _NOWHERE else (settings.host,)
    return [
        Middleware(Measuring, meters=meters, announce=signal.announce),
        Middleware(ProblemShield),
        Middleware(Guard, hosts=(*settings.allowed_hosts, *own_name), token=token),
        Middleware(BodyReader, max_bytes=settings.max_body_bytes, max_lease_bytes=settings.max_report_bytes),
    ]


def _check_schema_if_reachable(database: Database) -> None:
    """Refuse an old schema or a file of another kind; but a database that is away may come back: wait for it."""
    try:
        check_schema(database)
    except SQLAlchemyError as error:
        if isinstance(error, DatabaseError) and not isinstance(error, OperationalError):
            where = database.url.render_as_string()
            raise SchemaMismatch(f"{where} cannot be used ({error.orig}); is it gradsweep's?") from error
        logger.warning("the database does not answer yet (%s); /readyz tells when it does", type(error).__name__)
