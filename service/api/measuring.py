"""What Prometheus is told: requests and reports as they happen, the record's counts when it asks."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)


class Meters:
    """The counters of one application; two applications in one process do not share any."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "gradsweep_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "gradsweep_request_seconds", "Time to an answer.", ["route"], buckets=_BUCKETS, registry=self.registry
        )
        self.reported = Counter(
            "gradsweep_report_entries",
            "Entries of reports, by what was answered.",
            ["directive"],
            registry=self.registry,
        )
        self.granted = Counter("gradsweep_grants", "Trials given to workers.", registry=self.registry)

    def count_directives(self, directives: Iterable[str]) -> None:
        """Count the answers to one report."""
        for directive in directives:
            self.reported.labels(directive).inc()

    def exposition(self, counts: Mapping[str, Mapping[str, int]]) -> bytes:
        """The text that Prometheus reads, with the record's counts as gauges.

        Args:
            counts: Per thing (`trials`, `leases` …) how many are in each state.
        """
        snapshot = CollectorRegistry()
        snapshot.register(_Counts(counts))
        return generate_latest(self.registry) + generate_latest(snapshot)


class _Counts(Collector):
    """Gauges made of one look at the database."""

    def __init__(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        self.counts = counts

    def collect(self) -> Iterator[Metric]:
        for thing, states in self.counts.items():
            family = GaugeMetricFamily(f"gradsweep_{thing}", f"How many {thing} are in each state.", labels=["state"])
            for state, count in states.items():
                family.add_metric([state], count)
            yield family


class Measuring:
    """Outermost: counts and times every request, and announces after each that may have written something.

    Args:
        app: What is measured.
        meters: Where the numbers go.
        announce: Called after every request that was not a mere look.
        clock: Tells seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        meters: Meters,
        announce: Callable[[], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.app = app
        self.meters = meters
        self.announce = announce
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = self.clock()
        method = scope["method"] if scope["method"] in _METHODS else "other"
        is_started = False

        async def send_measured(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start" and not is_started:
                is_started = True
                route = getattr(scope.get("route"), "path", "none")
                self.meters.requests.labels(method, route, str(message["status"])).inc()
                self.meters.request_seconds.labels(route).observe(self.clock() - begun)
                if method not in _LOOKS:
                    self.announce()
            await send(message)

        await self.app(scope, receive, send_measured)


_LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = _LOOKS | {"POST", "PUT", "PATCH", "DELETE"}
