"""`up`, `serve`, `worker`, `migrate`: the processes that do the work, imported only when they are started."""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from gradsweep.cli.exits import CommandError, ExitCode
from gradsweep.cli.options import DEFAULT_DATA_DIR, DEFAULT_PORT, DataDir, Json

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

    from service.errors import ServiceError

    _SettingsT = TypeVar("_SettingsT", bound=BaseSettings)

TrainerName = Literal["reference", "fused"]
Trainer = Annotated[TrainerName | None, typer.Option("--trainer", help="Which trainer fills the bank.")]
Slots = Annotated[int | None, typer.Option("--slots", min=1, help="How many trials the worker trains at a time.")]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="How many cores train side by side; on a CPU, by default all.")
]
Device = Annotated[str | None, typer.Option("--device", help="CPU, GPU or, say, GPU:1.")]
Tf32 = Annotated[
    bool | None, typer.Option("--tf32", help="Let GPUs multiply with 10 bits of mantissa: faster, no longer equal.")
]
GpuMemory = Annotated[
    int | None, typer.Option("--gpu-memory", min=256, metavar="MB", help="Most memory to take of the GPU.")
]
ServiceDataDir = Annotated[
    Path | None, typer.Option("--data-dir", envvar="GRADSWEEP_DATA_DIR", help="Folder of database and data sets.")
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option("--database-url", envvar="GRADSWEEP_DATABASE_URL", help="sqlite:///FILE or postgresql+psycopg://…"),
]
LeaveWithStdin = Annotated[bool, typer.Option("--leave-with-stdin", hidden=True)]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (up, serve, worker, migrate, rescore):
        app.command(command.__name__)(command)


def up(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = DEFAULT_PORT,
    trainer: Trainer = None,
    slots: Slots = None,
    threads: Threads = None,
    device: Device = None,
    tf32: Tf32 = None,
    gpu_memory: GpuMemory = None,
    leave_with_stdin: LeaveWithStdin = False,
    as_json: Json = False,
) -> None:
    """Start the service and a worker on this machine, and keep them alive; Ctrl-C ends them in good order."""
    from gradsweep.cli.household import Household

    if leave_with_stdin:
        end_with_stdin()
    given = {"trainer": trainer, "slots": slots, "threads": threads, "device": device, "gpu-memory": gpu_memory}
    options = [word for name, value in given.items() if value is not None for word in (f"--{name}", str(value))]
    Household(data_dir, port, worker_options=[*options, *["--tf32"] * bool(tf32)], as_json=as_json).keep()


def serve(
    host: Annotated[str | None, typer.Option("--host", envvar="GRADSWEEP_HOST", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", envvar="GRADSWEEP_PORT", min=0, max=65535)] = None,
    data_dir: ServiceDataDir = None,
    database_url: DatabaseUrl = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", envvar="GRADSWEEP_TOKEN_FILE", help="Ask for the token in this file.")
    ] = None,
    leave_with_stdin: LeaveWithStdin = False,
) -> None:
    """Start the service alone; every other setting is in docs/settings.md."""
    from service.app import serve as run_service
    from service.errors import ServiceError
    from service.settings import ServiceSettings

    if leave_with_stdin:
        end_with_stdin()
    settings = _settings(
        ServiceSettings,
        host=host,
        port=port,
        data_dir=data_dir,
        database_url=database_url,
        token_file=token_file,
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end_well)  # uvicorn ends in good order and then raises the signal again
    try:
        run_service(settings)
    except ServiceError as error:
        raise _refusal(error) from error


def worker(
    url: Annotated[
        str | None,
        typer.Option("--url", envvar=["GRADSWEEP_WORKER_URL", "GRADSWEEP_URL"], help="Address of the service."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            envvar=["GRADSWEEP_WORKER_TOKEN_FILE", "GRADSWEEP_TOKEN_FILE"],
            help="File that holds the service's token.",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            envvar=["GRADSWEEP_WORKER_DATA_DIR", "GRADSWEEP_DATA_DIR"],
            help="Folder of data sets and of the spool.",
        ),
    ] = None,
    trainer: Trainer = None,
    slots: Slots = None,
    threads: Threads = None,
    device: Device = None,
    tf32: Tf32 = None,
    gpu_memory: GpuMemory = None,
    leave_with_stdin: LeaveWithStdin = False,
) -> None:
    """Start a worker: it trains what the service has to train, until it is told to end."""
    from worker.main import run_worker
    from worker.settings import WorkerSettings

    if leave_with_stdin:
        end_with_stdin()
    settings = _settings(
        WorkerSettings,
        url=url,
        token_file=token_file,
        data_dir=data_dir,
        trainer=trainer,
        slots=slots,
        threads=threads,
        device=device,
        tf32=tf32 or None,
        gpu_memory_mb=gpu_memory,
    )
    raise typer.Exit(run_worker(settings))


def migrate(data_dir: ServiceDataDir = None, database_url: DatabaseUrl = None, as_json: Json = False) -> None:
    """Bring the database to this version's schema; an SQLite file is copied before it changes."""
    from sqlalchemy.exc import DatabaseError

    from gradsweep.cli.output import print_json
    from service.database import migrate as migrations
    from service.database.lock import only_service
    from service.errors import ServiceError
    from service.settings import ServiceSettings

    settings = _settings(ServiceSettings, data_dir=data_dir, database_url=database_url)
    try:
        if not settings.database_url:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        with only_service(settings.url):
            before = migrations.current(settings.url)
            copy = migrations.upgrade(settings.url)
            after = migrations.current(settings.url)
    except ServiceError as error:
        raise _refusal(error) from error
    except DatabaseError as error:
        raise CommandError(f"the database cannot be migrated ({error.orig}): nothing was changed") from error
    except OSError as error:
        raise CommandError(f"{settings.data_dir} cannot be written ({error.strerror}): choose --data-dir") from error
    if as_json:
        print_json({"before": before, "after": after, "copy": None if copy is None else str(copy)})
    elif before == after:
        typer.echo(f"The database is at schema {after} already.")
    else:
        kept = "" if copy is None else f" The file as it was: {copy}."
        typer.echo(f"The database is at schema {after} now.{kept}")


def rescore(
    sweeps: Annotated[
        list[str] | None, typer.Argument(metavar="[SWEEP]…", help="Ids or names; without one, all sweeps.")
    ] = None,
    data_dir: ServiceDataDir = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Compute stability, verdict and evidence of all trials that ended again, from their stored rows."""
    from sqlalchemy.exc import DatabaseError

    from gradsweep.cli.output import print_json
    from service.database.engine import Database
    from service.database.lock import only_service
    from service.database.migrate import check_schema
    from service.errors import ServiceError
    from service.operations.rescoring import Rescored
    from service.operations.rescoring import rescore as rescore_all
    from service.settings import ServiceSettings

    def say(one: Rescored) -> None:
        if not as_json:
            typer.echo(f"{one.sweep}: {one.n_trials} trials, {one.n_changed} changed")

    settings = _settings(ServiceSettings, data_dir=data_dir, database_url=database_url)
    database = Database(settings.url)
    if database.is_sqlite and not Path(str(database.url.database)).exists():
        raise CommandError(f"there is no database {database.url.database}: choose --data-dir or --database-url")
    try:
        with only_service(settings.url):
            check_schema(database)
            done = rescore_all(database, sweeps or (), note=say)
    except ServiceError as error:
        raise _refusal(error) from error
    except (DatabaseError, OSError) as error:
        raise CommandError(f"the database cannot be used ({getattr(error, 'orig', None) or error})") from error
    finally:
        database.dispose()
    n_trials, n_changed = sum(one.n_trials for one in done), sum(one.n_changed for one in done)
    if as_json:
        print_json({"trials": n_trials, "changed": n_changed, "sweeps": len(done)})
    else:
        typer.echo(f"{n_changed} of {n_trials} trials changed.")


def _settings(kind: "type[_SettingsT]", **given: Any) -> "_SettingsT":
    """Settings from the environment and from the options that were given; what is wrong becomes one line."""
    from pydantic import ValidationError

    try:
        return kind(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'settings'}: {p['msg']}" for p in error.errors())
        raise CommandError(f"wrong setting: {problems} (docs/settings.md lists them)") from error


def _refusal(error: "ServiceError") -> CommandError:
    """A service's refusal as an exit code: 2 when only a person can help, 1 when another try may do."""
    from service.errors import SchemaMismatch, Unavailable

    passing = isinstance(error, Unavailable) and not isinstance(error, SchemaMismatch)
    return CommandError(error.detail, ExitCode.FAILED if passing else ExitCode.BAD_INPUT)


def _end_well(_number: int, _frame: object) -> None:
    """What was asked to end, and did, has not failed."""
    sys.exit(ExitCode.OK)


def end_with_stdin() -> None:
    """End in good order when standard input closes: the supervisor that held its other end is gone."""

    def wait_for_the_end() -> None:
        os.read(sys.stdin.fileno(), 1)  # not sys.stdin.read(): its lock would abort the interpreter's shutdown
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait_for_the_end, name="leave-with-stdin", daemon=True).start()
