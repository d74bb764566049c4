"""The leases table. Each change is one conditional UPDATE; whether it hit a row is the answer.

Order of locks, everywhere: the lease, then sweeps in the order of their ids, then the worker. So no two transactions
can wait for each other.
"""

from sqlalchemy import Connection, bindparam, insert, select, update

from service.database.tables import leases
from service.domain.lease import Lease
from service.domain.states import LeaseState


def insert_lease(connection: Connection, lease_id: str, worker_id: str, *, now_ms: int, expires_at_ms: int) -> None:
    """A new active lease."""
    connection.execute(
        insert(leases).values(
            id=lease_id,
            worker_id=worker_id,
            state=LeaseState.ACTIVE,
            created_at_ms=now_ms,
            expires_at_ms=expires_at_ms,
        )
    )


_RENEW = (
    update(leases)
    .where(leases.c.id == bindparam("lease_id"), leases.c.state == LeaseState.ACTIVE)
    .values(expires_at_ms=bindparam("until_ms"))
    .returning(leases.c.worker_id)
)


def renew_if_active(connection: Connection, lease_id: str, expires_at_ms: int) -> str | None:
    """Renew and lock a lease, expired or not as long as nobody reaped it: the token decides, not the clock.

    Returns:
        The worker's id; None if there is no such active lease.
    """
    renewed = connection.execute(_RENEW, {"lease_id": lease_id, "until_ms": expires_at_ms})
    worker_id: str | None = renewed.scalar_one_or_none()
    return worker_id


def get_lease(connection: Connection, lease_id: str) -> Lease | None:
    """One lease by its id."""
    row = connection.execute(select(leases).where(leases.c.id == lease_id)).one_or_none()
    if row is None:
        return None
    return Lease(row.id, row.worker_id, row.state, row.expires_at_ms, row.ended_at_ms)


def release_if_active(connection: Connection, lease_id: str, now_ms: int) -> None:
    """End a lease because its worker said so."""
    connection.execute(
        update(leases)
        .where(leases.c.id == lease_id, leases.c.state == LeaseState.ACTIVE)
        .values(state=LeaseState.RELEASED, ended_at_ms=now_ms)
    )


def overdue_leases(connection: Connection, now_ms: int) -> list[str]:
    """Active leases that nobody renewed in time, the longest overdue first."""
    statement = (
        select(leases.c.id)
        .where(leases.c.state == LeaseState.ACTIVE, leases.c.expires_at_ms <= now_ms)
        .order_by(leases.c.expires_at_ms, leases.c.id)
    )
    return list(connection.execute(statement).scalars())


def expire_if_overdue(connection: Connection, lease_id: str, now_ms: int) -> str | None:
    """End and lock a lease that nobody renewed in time.

    Returns:
        The worker's id; None if it was renewed or ended meanwhile.
    """
    statement = (
        update(leases)
        .where(leases.c.id == lease_id, leases.c.state == LeaseState.ACTIVE, leases.c.expires_at_ms <= now_ms)
        .values(state=LeaseState.EXPIRED, ended_at_ms=now_ms)
        .returning(leases.c.worker_id)
    )
    worker_id: str | None = connection.execute(statement).scalar_one_or_none()
    return worker_id


def extend_active(connection: Connection, expires_at_ms: int) -> int:
    """Let every active lease hold at least until then; returns how many were extended."""
    return connection.execute(
        update(leases)
        .where(leases.c.state == LeaseState.ACTIVE, leases.c.expires_at_ms < expires_at_ms)
        .values(expires_at_ms=expires_at_ms)
    ).rowcount
