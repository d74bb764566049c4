"""The claims table: what a claim was answered, so that the same claim is answered the same."""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select

from service.database.tables import claims


@dataclass(frozen=True, slots=True)
class StoredClaim:
    """One row of `claims`."""

    request_hash: str
    answer: str


_BY_KEY = select(claims.c.request_hash, claims.c.answer).where(claims.c.claim_key == bindparam("claim_key"))
_INSERT = insert(claims)


def get_claim(connection: Connection, claim_key: str) -> StoredClaim | None:
    """The answer to a claim, if its key was used before."""
    row = connection.execute(_BY_KEY, {"claim_key": claim_key}).one_or_none()
    return None if row is None else StoredClaim(row.request_hash, row.answer)


def insert_claim(
    connection: Connection,
    claim_key: str,
    stored: StoredClaim,
    *,
    worker_id: str,
    lease_id: str,
    now_ms: int,
) -> None:
    """Keep an answer. The key is unique: of two claims with one key that race, one fails here and changes nothing."""
    connection.execute(
        _INSERT,
        {
            "claim_key": claim_key,
            "worker_id": worker_id,
            "lease_id": lease_id,
            "request_hash": stored.request_hash,
            "answer": stored.answer,
            "created_at_ms": now_ms,
        },
    )


def delete_claims_before(connection: Connection, created_before_ms: int) -> int:
    """Forget old answers; returns how many."""
    return connection.execute(delete(claims).where(claims.c.created_at_ms < created_before_ms)).rowcount
