"""What an earlier process left behind: its reports are delivered, its trials handed back.

A trial cannot be continued by another process (there are no checkpoints), but what was measured of it is kept, a
trial that had ended stays ended, and handing back costs no life.
"""

import logging
import threading
from collections.abc import Callable

from service.wire.leases import ReleaseRequest
from worker.client import Backoff, ServiceClient
from worker.errors import NotAllowed, ProtocolNotServed, RequestRefused, ServiceAway
from worker.folder import WorkerFolder
from worker.heartbeat import Heartbeat, Pulse
from worker.outbox import Outbox


def settle_past(
    folder: WorkerFolder,
    outbox: Outbox,
    *,
    client: ServiceClient,
    heartbeat: Heartbeat,
    pulse: Pulse,
    backoff: Backoff,
    wait: Callable[[float], object],
    stop: threading.Event,
    log: logging.Logger,
) -> None:
    """Replay a folder's spool under the lease it was written for, then end that lease; waits for the service.

    Raises:
        NotAllowed, ProtocolNotServed: The service refuses this worker; the folder is as it was.
    """
    lease_id = folder.lease_id
    if lease_id is None and outbox.is_empty:
        return
    log.info("an earlier worker left %s behind: settling it", "reports" if lease_id is None else f"lease {lease_id}")
    pulse.lease_id = lease_id
    try:
        while not stop.is_set():
            outbox.flush()
            if outbox.is_empty and _end_lease(client, lease_id, outbox, log):
                folder.remember_lease(None)
                return
            wait(backoff.wait_seconds)
    finally:
        pulse.lease_id = None
        heartbeat.take_news()  # about trials that nobody here holds


def _end_lease(client: ServiceClient, lease_id: str | None, outbox: Outbox, log: logging.Logger) -> bool:
    if lease_id is None:
        return True
    try:
        answer = client.release(lease_id, ReleaseRequest())
    except ServiceAway as error:
        outbox.note_failure(error)
        return False
    except (NotAllowed, ProtocolNotServed):
        raise
    except RequestRefused as error:
        log.info("lease %s had ended already: %s", lease_id, error)
        return True
    log.info("handed back %d trials of lease %s", len(answer.released), lease_id)
    return True
