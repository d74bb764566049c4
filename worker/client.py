"""The wire: one method per request, one try per call. Who calls decides when to try again; `Backoff` says when."""

import gzip
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

from service.wire.base import Answer
from service.wire.leases import (
    ClaimAnswer,
    ClaimRequest,
    HeartbeatAnswer,
    HeartbeatRequest,
    ReleaseAnswer,
    ReleaseRequest,
    ReportAnswer,
)
from service.wire.recording_claims import (
    RecordingClaim,
    RecordingClaimAnswer,
    RecordingReport,
    RecordingReportAnswer,
)
from worker.errors import LeaseEnded, NotAllowed, ProtocolNotServed, RequestRefused, ServiceAway

COMPRESS_FROM_BYTES = 16_384
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
_TRY_LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
_AnswerT = TypeVar("_AnswerT", bound=Answer)


class ServiceClient:
    """Speaks to the service; safe to use from several threads.

    Every method raises ServiceAway when nothing is known about the request's effect, and RequestRefused (or one of
    its kinds) when the service said no.

    Args:
        url: Address of the service, with scheme.
        token: Bearer token, if the service wants one.
        timeout_seconds: Longest wait for one answer.
        transport: Replaces the network, in tests.
    """

    def __init__(
        self, url: str, *, token: str | None, timeout_seconds: float, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._http = httpx.Client(
            base_url=url,
            timeout=timeout_seconds,
            transport=transport,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            # A proxy set for the outer world must not come between a worker and a service on the same machine.
            trust_env=urlsplit(url).hostname not in LOOPBACK_HOSTS,
        )

    def claim(self, request: ClaimRequest) -> ClaimAnswer:
        """Ask for trials. Repeating a request with its claim key gets the first answer again."""
        return self._post("/v1/claims", request.model_dump_json(), ClaimAnswer)

    def report(self, lease_id: str, entries: Sequence[str]) -> ReportAnswer:
        """Report entries, each given as the JSON of a `ReportEntry`; at most 4096 and 16 MB together."""
        body = '{"entries":[' + ",".join(entries) + "]}"
        return self._post(f"/v1/leases/{lease_id}/reports", body, ReportAnswer)

    def claim_recording(self, request: RecordingClaim) -> RecordingClaimAnswer:
        """Ask for a recording. Repeating a request with its claim key gets the same one for as long as it is held."""
        return self._post("/v1/claims/recordings", request.model_dump_json(), RecordingClaimAnswer)

    def report_recording(self, lease_id: str, report: RecordingReport) -> RecordingReportAnswer:
        """Say what came of a recording."""
        return self._post(f"/v1/leases/{lease_id}/recordings", report.model_dump_json(), RecordingReportAnswer)

    def heartbeat(self, lease_id: str, request: HeartbeatRequest) -> HeartbeatAnswer:
        """Renew the lease."""
        return self._post(f"/v1/leases/{lease_id}:heartbeat", request.model_dump_json(), HeartbeatAnswer)

    def release(self, lease_id: str, request: ReleaseRequest) -> ReleaseAnswer:
        """Hand trials back, or all of them and the lease."""
        return self._post(f"/v1/leases/{lease_id}:release", request.model_dump_json(), ReleaseAnswer)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _post(self, path: str, body: str, answer: type[_AnswerT]) -> _AnswerT:
        content = body.encode()
        headers = {"Content-Type": "application/json"}
        if len(content) >= COMPRESS_FROM_BYTES:
            content = gzip.compress(content, compresslevel=1)
            headers["Content-Encoding"] = "gzip"
        try:
            response = self._http.post(path, content=content, headers=headers)
        except httpx.RequestError as error:
            raise ServiceAway(f"no answer from {self._http.base_url}: {error or type(error).__name__}") from error
        if response.status_code != HTTPStatus.OK:
            raise _refusal(response)
        try:
            return answer.model_validate_json(response.content)
        except ValidationError as error:
            raise ServiceAway(
                f"{self._http.base_url} answers, but not like gradsweep: {response.text[:80]!r}"
            ) from error


def _refusal(response: httpx.Response) -> ServiceAway | RequestRefused:
    status = response.status_code
    detail = _detail(response)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRY_LATER:
        return ServiceAway(f"the service cannot answer now: {detail} (HTTP {status})")
    kinds: dict[int, type[RequestRefused]] = {
        HTTPStatus.UNAUTHORIZED: NotAllowed,
        HTTPStatus.FORBIDDEN: NotAllowed,
        HTTPStatus.NOT_FOUND: LeaseEnded,
        HTTPStatus.CONFLICT: LeaseEnded,
        HTTPStatus.GONE: LeaseEnded,
        HTTPStatus.UPGRADE_REQUIRED: ProtocolNotServed,
    }
    return kinds.get(status, RequestRefused)(status, detail)


def _detail(response: httpx.Response) -> str:
    """What the service said: the detail of problem+json, else the beginning of the body."""
    try:
        problem = response.json()
    except ValueError:
        return response.text[:200] or response.reason_phrase
    if not isinstance(problem, dict):
        return response.text[:200]
    pointers = [f"{each.get('pointer')}: {each.get('message')}" for each in problem.get("errors") or () if each]
    return "; ".join([str(problem.get("detail") or problem.get("title") or response.reason_phrase), *pointers[:3]])


class Backoff:
    """When to try again: waits double, and chance shortens each, so that workers do not come back in step.

    Args:
        clock: Monotonic seconds.
        chance: Gives a number in [0, 1).
        first_seconds: Longest first wait.
        max_seconds: No wait is longer.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        chance: Callable[[], float],
        *,
        first_seconds: float = 0.5,
        max_seconds: float = 15.0,
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._first = first_seconds
        self._max = max_seconds
        self._next_wait = first_seconds
        self._not_before = 0.0
        self.away_since: float | None = None

    @property
    def wait_seconds(self) -> float:
        """How long until the next try; 0 if one may be made now."""
        return max(0.0, self._not_before - self._clock())

    def failed(self) -> bool:
        """Note a failed try; True if it is the first since the last success."""
        now = self._clock()
        self._not_before = now + self._next_wait * (0.5 + 0.5 * self._chance())
        self._next_wait = min(self._max, 2 * self._next_wait)
        is_first = self.away_since is None
        self.away_since = now if self.away_since is None else self.away_since
        return is_first

    def succeeded(self) -> float | None:
        """Note an answer; if tries had failed before, for how many seconds the service was away."""
        away_since, self.away_since = self.away_since, None
        self._next_wait, self._not_before = self._first, 0.0
        return None if away_since is None else self._clock() - away_since
