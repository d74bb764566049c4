"""Puts a worker together and runs it until it is told to stop."""

import logging
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

from service.wire.leases import ReleaseRequest, WorkerInfo
from worker.claiming import Claims
from worker.client import Backoff, ServiceClient
from worker.errors import SpoolFolderInUse, TrainerUnavailable
from worker.folder import WorkerFolder
from worker.heartbeat import Heartbeat, Pulse
from worker.idle import IdleSlots
from worker.loop import EXIT_REFUSED, Loop
from worker.outbox import Outbox
from worker.recorder import Recorder
from worker.recovery import settle_past
from worker.settings import WorkerSettings
from worker.signals import drain_on_signal
from worker.spool import Spool
from worker.trainer import Trainer, make_trainer


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Time, chance and the process: what a test replaces."""

    clock: Callable[[], float]
    wait: Callable[[float], object]
    chance: Callable[[], float]
    new_id: Callable[[str], str]
    exit_process: Callable[[int], None]
    stop: threading.Event


@dataclass(frozen=True, slots=True)
class Worker:
    """The parts that outlive one another in this order: spool, heartbeat, loop."""

    loop: Loop
    heartbeat: Heartbeat
    pulse: Pulse
    spool: Spool


def run_worker(settings: WorkerSettings) -> int:
    """Run a worker until a signal; returns the process's exit code.

    0 drained; 2 this worker cannot work as it is set up (token, installation, folder); 6 its version does not match
    the service's; 1 an error of its own. It ends at once with 70 when training has hung.
    """
    log = make_log()
    try:
        token = read_token(settings)
        trainer = make_trainer(settings)
        folder = WorkerFolder.take(settings.data_dir, lambda: real_id("wrk"))
    except (OSError, ValueError, TrainerUnavailable, SpoolFolderInUse) as error:
        log.critical("%s", error)
        return EXIT_REFUSED
    stop = threading.Event()
    around = Surroundings(
        clock=time.monotonic,
        wait=stop.wait,
        chance=random.random,
        new_id=real_id,
        exit_process=os._exit,
        stop=stop,
    )
    client = ServiceClient(settings.url, token=token, timeout_seconds=settings.request_timeout_seconds)
    worker = assemble(settings, client=client, folder=folder, trainer=trainer, around=around, log=log)

    def drain() -> None:
        log.info("draining: the epoch ends, then the trials are handed back; a second signal ends at once")
        worker.pulse.drain_until = around.clock() + settings.drain_timeout_seconds
        stop.set()
        worker.heartbeat.wake()

    log.info("worker %s on %s, service %s", folder.worker_id, trainer.device, settings.url)
    with drain_on_signal(drain, os._exit):
        worker.heartbeat.start()
        try:
            return worker.loop.run()
        finally:
            worker.heartbeat.close()
            worker.spool.close()
            client.close()
            folder.close()


def assemble(
    settings: WorkerSettings,
    *,
    client: ServiceClient,
    folder: WorkerFolder,
    trainer: Trainer,
    around: Surroundings,
    log: logging.Logger,
) -> Worker:
    """Put the parts together; nothing runs yet."""
    n_slots = settings.slots or trainer.default_slots
    pulse = Pulse(idle=IdleSlots(n_slots, around.clock))
    backoff = Backoff(around.clock, around.chance)
    spool = Spool(folder.spool_path, settings.spool_max_mb * 1_000_000)

    def end_lease(lease_id: str) -> None:
        client.release(lease_id, ReleaseRequest())

    def end_lease_of_pulse() -> None:
        # Reports that still wait on disk would come to a lease that has ended: then the next start ends it.
        if pulse.lease_id is not None and spool.is_empty:
            end_lease(pulse.lease_id)

    heartbeat = Heartbeat(
        send=client.heartbeat,
        pulse=pulse,
        clock=around.clock,
        exit_process=around.exit_process,
        give_back=end_lease_of_pulse,
        stall_timeout_seconds=settings.stall_timeout_seconds,
        log=log,
    )
    outbox = Outbox(client=client, spool=spool, renew=heartbeat.renew, backoff=backoff, log=log)

    def settle() -> None:
        def settle_one(each: WorkerFolder, its_outbox: Outbox) -> None:
            settle_past(
                each,
                its_outbox,
                client=client,
                heartbeat=heartbeat,
                pulse=pulse,
                backoff=backoff,
                wait=around.wait,
                stop=around.stop,
                log=log,
            )

        settle_one(folder, outbox)
        for abandoned in WorkerFolder.take_abandoned(settings.data_dir, lambda: around.new_id("wrk")):
            its_spool = Spool(abandoned.spool_path, settings.spool_max_mb * 1_000_000)
            try:
                its_outbox = Outbox(client=client, spool=its_spool, renew=heartbeat.renew, backoff=backoff, log=log)
                settle_one(abandoned, its_outbox)
            finally:
                its_spool.close()

    loop = Loop(
        trainer=trainer,
        worker=WorkerInfo(
            worker_id=folder.worker_id,
            host=socket.gethostname()[:255],
            pid=os.getpid(),
            version=version("gradsweep"),
            trainer=trainer.name,
            device=trainer.device,
            n_slots=n_slots,
            datasets=tuple(trainer.datasets()),
        ),
        claims=Claims(
            client,
            new_key=lambda: around.new_id("clm"),
            note_failure=outbox.note_failure,
            note_answer=outbox.note_answer,
        ),
        recorder=Recorder(
            trainer=trainer,
            client=client,
            pulse=pulse,
            new_key=lambda: around.new_id("clm"),
            note_failure=outbox.note_failure,
            note_answer=outbox.note_answer,
            log=log,
        ),
        outbox=outbox,
        heartbeat=heartbeat,
        pulse=pulse,
        backoff=backoff,
        settle_past=settle,
        end_lease=end_lease,
        remember_lease=folder.remember_lease,
        clock=around.clock,
        wait=around.wait,
        stop=around.stop,
        poll_seconds=settings.poll_seconds,
        fairness_epochs=settings.fairness_epochs,
        log=log,
    )
    return Worker(loop=loop, heartbeat=heartbeat, pulse=pulse, spool=spool)


def read_token(settings: WorkerSettings) -> str | None:
    """The token from its file.

    Raises:
        ValueError: The file is missing or empty.
    """
    if settings.token_file is None:
        return None
    try:
        token = settings.token_file.read_text().strip()
    except OSError as error:
        raise ValueError(f"token_file {settings.token_file} cannot be read: {error.strerror}") from error
    if not token:
        raise ValueError(f"token_file {settings.token_file} is empty")
    return token


def real_id(prefix: str) -> str:
    """A random id that was never used."""
    return f"{prefix}_{secrets.token_hex(12)}"


def make_log() -> logging.Logger:
    """One plain line per event; the HTTP library's line per request is left out."""
    logging.basicConfig(format="%(asctime)s %(levelname)-7s %(message)s", level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return logging.getLogger("worker")
