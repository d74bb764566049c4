"""A typed client of the REST API, for notebooks and for the command line.

    from gradsweep import Client

    with Client() as client:
        sweep = client.submit({"method": "tpe", "dataset": "digits", "run_cap": 20, "parameters": {…}})
        for event in client.events(sweep.id):
            print(event.kind, event.body)
        print(client.best(sweep.id).best)

ClientError
├── ApiError       the service answered with an error: status, code, detail, and where in the request
└── Unreachable    no answer: the service is not running, or is somewhere else
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote

import httpx

from gradsweep.streaming import read_events
from service.wire.base import Answer
from service.wire.diagnosis import DiagnosisView
from service.wire.effects import EffectsView
from service.wire.health import LiveView, WorkerList, WorkerView
from service.wire.problems import ErrorEntry, ErrorView
from service.wire.recordings import DEFAULT_STEPS, ArtifactList, ArtifactView
from service.wire.search import ImportancesView, ParetoView
from service.wire.sweeps import EventList, EventView, PlanView, SweepList, SweepSummary, SweepView
from service.wire.trials import AttemptList, BestTrials, EpochList, GradientList, TrialList, TrialView

DEFAULT_URL = "http://127.0.0.1:8321"
ExportTable = Literal["trials", "epochs", "layers"]
ExportFormat = Literal["csv", "jsonl"]
_AnswerT = TypeVar("_AnswerT", bound=Answer)


class ClientError(Exception):
    """Base of all errors that the client raises on purpose."""


class ApiError(ClientError):
    """The service refused or failed.

    Attributes:
        status: HTTP status.
        code: Stable name of the error, as listed in docs/api.md.
        detail: What was wrong and what to do next.
        problems: Where in the request, as JSON pointers, if it can be said.
    """

    def __init__(self, status: int, code: str, detail: str, problems: tuple[ErrorEntry, ...] = ()) -> None:
        super().__init__("; ".join([detail, *(f"{problem.pointer}: {problem.message}" for problem in problems)]))
        self.status = status
        self.code = code
        self.detail = detail
        self.problems = problems


class Unreachable(ClientError):
    """There was no answer."""


class Client:
    """Speaks to one service; use it as a context manager, or close it.

    Args:
        url: Address of the service.
        token: The shared token, if the service wants one.
        timeout_seconds: Longest wait for one answer.
        http: Instead of all that: a client of httpx that is set up already, say with a proxy or certificates.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        token: str | None = None,
        *,
        timeout_seconds: float = 30.0,
        http: httpx.Client | None = None,
    ) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = http or httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=timeout_seconds)
        self.url = str(self._http.base_url).rstrip("/")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()

    # sweeps

    def submit(self, sweep: Mapping[str, Any] | str, *, idempotency_key: str | None = None) -> SweepView:
        """Submit a sweep: a mapping, or the text of a YAML (or JSON) sweep file.

        With an `idempotency_key` the same call can be repeated safely: there will be one sweep.
        """
        content, headers = _sweep_body(sweep)
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        return self._call(SweepView, "POST", "/v1/sweeps", content=content, headers=headers)

    def validate(self, sweep: Mapping[str, Any] | str) -> PlanView:
        """What the service would make of a sweep; nothing is written."""
        content, headers = _sweep_body(sweep)
        query = {"validate_only": "true"}
        return self._call(PlanView, "POST", "/v1/sweeps", params=query, content=content, headers=headers)

    def sweeps(
        self, *, filter: str | None = None, order_by: str | None = None, page_size: int = 50, page_token: str = ""
    ) -> SweepList:
        """One page of sweeps, the newest first unless ordered otherwise."""
        query = _query(filter=filter, order_by=order_by, page_size=page_size, page_token=page_token or None)
        return self._call(SweepList, "GET", "/v1/sweeps", params=query)

    def all_sweeps(self, *, filter: str | None = None, order_by: str | None = None) -> Iterator[SweepSummary]:
        """All sweeps, page by page."""
        token: str | None = ""
        while token is not None:
            page = self.sweeps(filter=filter, order_by=order_by, page_token=token)
            yield from page.sweeps
            token = page.next_page_token

    def sweep(self, sweep: str) -> SweepView:
        """One sweep by its id or name."""
        return self._call(SweepView, "GET", f"/v1/sweeps/{_segment(sweep)}")

    def sweep_file(self, sweep: str, *, resolved: bool = False) -> str:
        """The sweep file as it was submitted or, `resolved`, as JSON with every default filled in."""
        query = {"resolved": "true" if resolved else "false"}
        return self._send("GET", f"/v1/sweeps/{_segment(sweep)}/file", params=query).text

    def pause(self, sweep: str) -> SweepView:
        """Claim no more trials; those that are running finish."""
        return self._steer(sweep, "pause")

    def resume(self, sweep: str) -> SweepView:
        """Go on after a pause."""
        return self._steer(sweep, "resume")

    def stop(self, sweep: str) -> SweepView:
        """Drain: waiting trials are cancelled, running ones finish."""
        return self._steer(sweep, "stop")

    def cancel(self, sweep: str) -> SweepView:
        """Kill: running trials are stopped at the end of their epoch."""
        return self._steer(sweep, "cancel")

    def retry_failed(self, sweep: str) -> SweepView:
        """Let all its failed trials run again; where none failed, nothing happens."""
        return self._steer(sweep, "retry_failed")

    def delete(self, sweep: str) -> None:
        """Delete a sweep that is over, with all its trials."""
        self._send("DELETE", f"/v1/sweeps/{_segment(sweep)}")

    def export(
        self, sweep: str, table: ExportTable = "trials", format: ExportFormat = "csv", *, filter: str | None = None
    ) -> Iterator[bytes]:
        """A whole table of a sweep, piece by piece as it comes: `trials`, `epochs` or `layers`, as csv or jsonl."""
        query = _query(table=table, format=format, filter=filter)
        try:
            with self._http.stream("GET", f"/v1/sweeps/{_segment(sweep)}/export", params=query) as response:
                if response.is_error:
                    response.read()
                    raise self._translate(response)
                yield from response.iter_bytes()
        except httpx.TransportError as error:
            raise self._translate(error) from error

    # trials

    def trials(
        self,
        sweep: str,
        *,
        filter: str | None = None,
        order_by: str | None = None,
        page_size: int = 50,
        page_token: str = "",
    ) -> TrialList:
        """One page of a sweep's trials; by number unless ordered otherwise.

        Args:
            sweep: Its id or name.
            filter: For example `state = completed AND params.learning_rate < 0.01`.
            order_by: For example `-objective,number`.
        """
        query = _query(filter=filter, order_by=order_by, page_size=page_size, page_token=page_token or None)
        return self._call(TrialList, "GET", f"/v1/sweeps/{_segment(sweep)}/trials", params=query)

    def all_trials(self, sweep: str, *, filter: str | None = None, order_by: str | None = None) -> Iterator[TrialView]:
        """All trials of a sweep, page by page."""
        token: str | None = ""
        while token is not None:
            page = self.trials(sweep, filter=filter, order_by=order_by, page_size=500, page_token=token)
            yield from page.trials
            token = page.next_page_token

    def best(self, sweep: str, *, k: int = 5, filter: str | None = None) -> BestTrials:
        """The k best completed trials; in a sweep with bounds, those that keep them, and why the next one lost."""
        return self._call(BestTrials, "GET", f"/v1/sweeps/{_segment(sweep)}/best", params=_query(k=k, filter=filter))

    def pareto(self, sweep: str, *, metrics: str | None = None) -> ParetoView:
        """The completed trials that none beats in every metric.

        Args:
            sweep: Its id or name.
            metrics: Names separated by commas, such as `val_accuracy,stability`; the sweep's own if left out.
        """
        return self._call(ParetoView, "GET", f"/v1/sweeps/{_segment(sweep)}/pareto", params=_query(metrics=metrics))

    def importances(self, sweep: str, *, target: str | None = None) -> ImportancesView:
        """Which searched parameters decide a metric; the sweep's own if `target` is left out."""
        path = f"/v1/sweeps/{_segment(sweep)}/importances"
        return self._call(ImportancesView, "GET", path, params=_query(target=target))

    def effects(self, sweep: str) -> EffectsView:
        """What each value of a parameter, and each remedy of an ablation, did to metric and gradients."""
        return self._call(EffectsView, "GET", f"/v1/sweeps/{_segment(sweep)}/effects")

    def trial(self, trial: str) -> TrialView:
        """One trial by its id."""
        return self._call(TrialView, "GET", f"/v1/trials/{_segment(trial)}")

    def attempts(self, trial: str) -> AttemptList:
        """Each go of a worker at a trial."""
        return self._call(AttemptList, "GET", f"/v1/trials/{_segment(trial)}/attempts")

    def epochs(self, trial: str) -> EpochList:
        """What the trial's present attempt reported, epoch by epoch."""
        return self._call(EpochList, "GET", f"/v1/trials/{_segment(trial)}/epochs")

    def gradients(self, trial: str, *, layer: int | None = None, from_epoch: int | None = None) -> GradientList:
        """Gradient statistics by epoch and layer."""
        query = _query(layer=layer, from_epoch=from_epoch)
        return self._call(GradientList, "GET", f"/v1/trials/{_segment(trial)}/gradients", params=query)

    def diagnosis(self, trial: str) -> DiagnosisView:
        """What the trial's gradients did, why, and what to try."""
        return self._call(DiagnosisView, "GET", f"/v1/trials/{_segment(trial)}/diagnosis")

    def script(self, trial: str) -> str:
        """A self-contained script of plain Keras that trains the trial's configuration."""
        return self._send("GET", f"/v1/trials/{_segment(trial)}/script").text

    def cancel_trial(self, trial: str) -> TrialView:
        """Cancel one trial: at once if it waits, else at the end of its epoch."""
        return self._call(TrialView, "POST", f"/v1/trials/{_segment(trial)}:cancel")

    def retry_trial(self, trial: str) -> TrialView:
        """Let a failed or cancelled trial run again."""
        return self._call(TrialView, "POST", f"/v1/trials/{_segment(trial)}:retry")

    def rescue_trial(
        self, trial: str, *, remedies: Sequence[int] | None = None, idempotency_key: str | None = None
    ) -> TrialView:
        """Enqueue what the trial's diagnosis advises as a trial of the same sweep; the answer is that trial.

        Args:
            trial: Its id.
            remedies: Which, by their places in the diagnosis from 1 on; all if it is None.
            idempotency_key: With one, the same call can be repeated safely.
        """
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        body = {} if remedies is None else {"remedies": list(remedies)}
        path = f"/v1/trials/{_segment(trial)}:rescue"
        return self._call(TrialView, "POST", path, json=body, headers=headers)

    def record_trial(self, trial: str, *, steps: int = DEFAULT_STEPS, every: int = 1) -> TrialView:
        """Have a worker record a trial's first steps, layer by layer; `recording` of the trial says how far it is."""
        body = {"steps": steps, "every": every}
        return self._call(TrialView, "POST", f"/v1/trials/{_segment(trial)}:record", json=body)

    def artifacts(self, trial: str) -> tuple[ArtifactView, ...]:
        """The files that were made of a trial, the newest first."""
        return self._call(ArtifactList, "GET", f"/v1/trials/{_segment(trial)}/artifacts").artifacts

    def artifact(self, trial: str, name: str) -> str:
        """One of them, such as `steps-1.csv`: a row per step and layer, for `pandas.read_csv(io.StringIO(…))`."""
        return self._send("GET", f"/v1/trials/{_segment(trial)}/artifacts/{_segment(name)}").text

    # figures

    def sweep_figure(self, sweep: str, kind: str, **query: str) -> dict[str, Any]:
        """A figure of a sweep as Plotly JSON; `plotly.graph_objects.Figure` takes it.

        Args:
            sweep: Its id or name.
            kind: For example `history`; docs/dashboard.md lists all.
            query: What the kind has a choice of, as in `x="learning_rate"`.
        """
        return self._figure(f"/v1/sweeps/{_segment(sweep)}/figures/{_segment(kind)}", query)

    def trial_figure(self, trial: str, kind: str, **query: str) -> dict[str, Any]:
        """A figure of a trial as Plotly JSON, for example `gradient_flow`."""
        return self._figure(f"/v1/trials/{_segment(trial)}/figures/{_segment(kind)}", query)

    def trials_figure(self, trials: Sequence[str], kind: str, **query: str) -> dict[str, Any]:
        """A figure of several trials as Plotly JSON: maps side by side on one scale, curves as bands over seeds."""
        return self._figure(f"/v1/figures/{_segment(kind)}", {"trial": list(trials), **query})

    # events, workers, service

    def events(self, sweep: str, *, after: int = 0, reconnect: bool = True) -> Iterator[EventView]:
        """What happens to a sweep, as it happens, until the sweep is over.

        Args:
            sweep: Its id or name.
            after: Number of the last event that is known already.
            reconnect: Come back after a lost connection, as long as it takes, without losing an event; else raise
                Unreachable.
        """
        path = f"/v1/sweeps/{_segment(sweep)}/events"
        return read_events(self._http, path, after=after, reconnect=reconnect, translate=self._translate)

    def events_after(self, sweep: str, after: int = 0, *, wait_seconds: float = 0.0) -> EventList:
        """Events after a number at once, or as soon as there is one within `wait_seconds` (long poll)."""
        query = {"after": str(after), "wait": f"{wait_seconds:g}"}
        return self._call(EventList, "GET", f"/v1/sweeps/{_segment(sweep)}/events", params=query)

    def workers(self) -> tuple[WorkerView, ...]:
        """All workers that were heard of."""
        return self._call(WorkerList, "GET", "/v1/workers").workers

    def version(self) -> str:
        """The service's version; raises Unreachable if there is no service."""
        return self._call(LiveView, "GET", "/livez").version

    # one request

    def _figure(self, path: str, query: Mapping[str, str | Sequence[str]]) -> dict[str, Any]:
        figure: dict[str, Any] = self._send("GET", path, params=httpx.QueryParams(query)).json()
        return figure

    def _steer(self, sweep: str, verb: str) -> SweepView:
        return self._call(SweepView, "POST", f"/v1/sweeps/{_segment(sweep)}:{verb}")

    def _call(self, model: type[_AnswerT], method: str, path: str, **options: Any) -> _AnswerT:
        response = self._send(method, path, **options)
        try:
            return model.model_validate_json(response.content)
        except ValueError as error:
            detail = f"{self.url} answers as another version of gradsweep would; use the same version on both sides"
            raise ApiError(response.status_code, "unknown", detail) from error

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise self._translate(error) from error
        if response.is_error:
            raise self._translate(response)
        return response

    def _translate(self, failure: httpx.Response | httpx.TransportError) -> ClientError:
        """The client's word for an answer that is an error, or for none at all."""
        if isinstance(failure, httpx.TransportError):
            return Unreachable(f"no answer from {self.url} ({failure or type(failure).__name__}); is it running?")
        try:
            problem = ErrorView.model_validate_json(failure.content)
        except ValueError:
            return ApiError(
                failure.status_code, "unknown", f"{self.url} answered {failure.status_code}, not as gradsweep"
            )
        return ApiError(problem.status, problem.code, problem.detail, problem.errors)


def _sweep_body(sweep: Mapping[str, Any] | str) -> tuple[bytes, dict[str, str]]:
    """The body of a sweep and its headers: text travels as YAML, of which JSON is a part."""
    if isinstance(sweep, str):
        return sweep.encode(), {"Content-Type": "application/yaml"}
    return json.dumps(dict(sweep), allow_nan=False).encode(), {"Content-Type": "application/json"}


def _query(**values: str | int | None) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value is not None}


def _segment(name: str) -> str:
    """An id or name as one segment of a path."""
    return quote(name, safe="")
