"""The artifacts table: files that were made of a trial, kept as gzip."""

import gzip
import hashlib
from collections.abc import Collection
from dataclasses import dataclass, fields

from sqlalchemy import Connection, delete, insert, select

from service.database.tables import artifacts
from service.domain.states import ArtifactKind

_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Artifact:
    """One row of `artifacts`, without its content."""

    trial_id: str
    name: str
    kind: ArtifactKind
    media_type: str
    n_bytes: int
    sha256: str
    trial_attempt: int
    steps: int
    every: int
    same_program: bool
    matches: bool
    differs_from_epoch: int | None
    made_at_ms: int


@dataclass(frozen=True, slots=True)
class Packed:
    """A text, ready to be stored. Packing takes a while: it is done before the transaction."""

    content: bytes
    n_bytes: int
    sha256: str

    @classmethod
    def of(cls, text: str) -> "Packed":
        """Pack a text; the same text gives the same bytes."""
        plain = text.encode()
        return cls(gzip.compress(plain, _LEVEL, mtime=0), len(plain), hashlib.sha256(plain).hexdigest())


_KNOWN = tuple(artifacts.c[field.name] for field in fields(Artifact))


def replace_artifact(connection: Connection, artifact: Artifact, content: bytes) -> None:
    """Keep a file of a trial in place of all others of its kind."""
    connection.execute(
        delete(artifacts).where(artifacts.c.trial_id == artifact.trial_id, artifacts.c.kind == artifact.kind)
    )
    columns = {field.name: getattr(artifact, field.name) for field in fields(Artifact)}
    connection.execute(insert(artifacts).values(**columns, content=content))


def artifacts_of(connection: Connection, trial_ids: Collection[str]) -> dict[str, list[Artifact]]:
    """The files of trials, by trial, the newest first."""
    statement = (
        select(*_KNOWN)
        .where(artifacts.c.trial_id.in_(trial_ids))
        .order_by(artifacts.c.made_at_ms.desc(), artifacts.c.name)
    )
    found: dict[str, list[Artifact]] = {trial_id: [] for trial_id in trial_ids}
    for row in connection.execute(statement):
        found[row.trial_id].append(Artifact(*row))
    return found


def artifact_text(connection: Connection, trial_id: str, name: str) -> tuple[Artifact, str] | None:
    """One file of a trial."""
    statement = select(*_KNOWN, artifacts.c.content).where(artifacts.c.trial_id == trial_id, artifacts.c.name == name)
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    *known, content = row
    return Artifact(*known), gzip.decompress(content).decode()
