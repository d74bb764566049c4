"""What can go wrong in the service, and what each error looks like from outside.

ServiceError                      500  internal_error
├── InvalidRequest                422  invalid_request          the values are wrong
│   ├── InvalidSweep              422  invalid_sweep            a sweep file that cannot run
│   └── NotSupportedYet           422  not_supported_yet        a key or value that is planned, not built
├── MalformedRequest              400  malformed_request        no JSON, no YAML, a bad token or filter
├── Unauthorized                  401  unauthorized
├── Forbidden                     403  forbidden                wrong host or origin
├── NotFound                      404  not_found
├── MethodNotAllowed              405  method_not_allowed
├── Conflict                      409  conflict                 an illegal transition
├── TooLarge                      413  too_large
├── UnsupportedMediaType          415  unsupported_media_type
├── IdempotencyMismatch           422  idempotency_mismatch     same key, other body
├── ProtocolTooOld                426  protocol_not_served
└── Unavailable                   503  unavailable              database away or schema old: try again
    └── SchemaMismatch            503  schema_mismatch          run `gradsweep migrate`
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: a JSON pointer into the request, and what to do about the value there."""

    pointer: str
    message: str


class ServiceError(Exception):
    """Base of all errors that the service raises on purpose.

    Args:
        detail: What was wrong, with the offending value, and what to do next; one or two sentences.
        problems: Where in the request, if it can be said.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.problems = tuple(problems)


class InvalidRequest(ServiceError):
    """The request can be read, but its values are wrong."""

    status, code, title = 422, "invalid_request", "The request has wrong values"


class InvalidSweep(InvalidRequest):
    """The sweep file can be read, but such a sweep cannot run."""

    code, title = "invalid_sweep", "The sweep file cannot run"


class NotSupportedYet(InvalidRequest):
    """A key or value that is planned but not built; refused rather than ignored."""

    code, title = "not_supported_yet", "Not supported yet"


class IdempotencyMismatch(InvalidRequest):
    """An Idempotency-Key was used before with another body."""

    code, title = "idempotency_mismatch", "Idempotency-Key used with another body"


class MalformedRequest(ServiceError):
    """The request cannot be read at all."""

    status, code, title = 400, "malformed_request", "The request cannot be read"


class Unauthorized(ServiceError):
    """A token is needed and was not given, or is not ours."""

    status, code, title = 401, "unauthorized", "A token is needed"


class Forbidden(ServiceError):
    """The request comes by a name or from a page that is not allowed."""

    status, code, title = 403, "forbidden", "Not allowed"


class NotFound(ServiceError):
    """There is no such thing."""

    status, code, title = 404, "not_found", "Not found"


class MethodNotAllowed(ServiceError):
    """The path is known, but not with this method."""

    status, code, title = 405, "method_not_allowed", "Not with this method"


class Conflict(ServiceError):
    """The thing is in a state that does not allow this."""

    status, code, title = 409, "conflict", "Not possible in this state"


class TooLarge(ServiceError):
    """The body is larger than the route takes."""

    status, code, title = 413, "too_large", "The body is too large"


class UnsupportedMediaType(ServiceError):
    """The body is of a kind that the route does not read."""

    status, code, title = 415, "unsupported_media_type", "The body is of an unknown kind"


class ProtocolTooOld(ServiceError):
    """The worker speaks a protocol that is no longer, or not yet, served."""

    status, code, title = 426, "protocol_not_served", "Upgrade the worker"


class Unavailable(ServiceError):
    """The service cannot answer now; the same request may succeed later."""

    status, code, title = 503, "unavailable", "Not available now"


class SchemaMismatch(Unavailable):
    """The database's schema is not the one this version works with."""

    code, title = "schema_mismatch", "The database must be migrated"
