"""The OpenAPI document: whole, true, and fuzzed by Schemathesis."""

import re
import shutil
from pathlib import Path

import pytest
import schemathesis
from hypothesis import Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from service import errors
from service.app import create_app
from service.settings import ServiceSettings

DOCS = Path(__file__).parents[3] / "docs" / "api.md"
ROUTES = {
    "submit_sweep": "POST /v1/sweeps",
    "list_sweeps": "GET /v1/sweeps",
    "get_sweep": "GET /v1/sweeps/{sweep}",
    "get_sweep_file": "GET /v1/sweeps/{sweep}/file",
    "list_trials": "GET /v1/sweeps/{sweep}/trials",
    "best_trials": "GET /v1/sweeps/{sweep}/best",
    "read_effects": "GET /v1/sweeps/{sweep}/effects",
    "pareto_front": "GET /v1/sweeps/{sweep}/pareto",
    "parameter_importances": "GET /v1/sweeps/{sweep}/importances",
    "follow_events": "GET /v1/sweeps/{sweep}/events",
    "pause_sweep": "POST /v1/sweeps/{sweep}:pause",
    "resume_sweep": "POST /v1/sweeps/{sweep}:resume",
    "stop_sweep": "POST /v1/sweeps/{sweep}:stop",
    "cancel_sweep": "POST /v1/sweeps/{sweep}:cancel",
    "retry_failed": "POST /v1/sweeps/{sweep}:retry_failed",
    "delete_sweep": "DELETE /v1/sweeps/{sweep}",
    "get_trial": "GET /v1/trials/{trial}",
    "list_attempts": "GET /v1/trials/{trial}/attempts",
    "list_epochs": "GET /v1/trials/{trial}/epochs",
    "list_gradients": "GET /v1/trials/{trial}/gradients",
    "get_diagnosis": "GET /v1/trials/{trial}/diagnosis",
    "list_figures": "GET /v1/figures",
    "draw_sweep": "GET /v1/sweeps/{sweep}/figures/{kind}",
    "draw_trial": "GET /v1/trials/{trial}/figures/{kind}",
    "export_sweep": "GET /v1/sweeps/{sweep}/export",
    "get_script": "GET /v1/trials/{trial}/script",
    "draw_trials": "GET /v1/figures/{kind}",
    "cancel_trial": "POST /v1/trials/{trial}:cancel",
    "retry_trial": "POST /v1/trials/{trial}:retry",
    "rescue_trial": "POST /v1/trials/{trial}:rescue",
    "record_trial": "POST /v1/trials/{trial}:record",
    "list_artifacts": "GET /v1/trials/{trial}/artifacts",
    "get_artifact": "GET /v1/trials/{trial}/artifacts/{artifact}",
    "claim": "POST /v1/claims",
    "claim_recording": "POST /v1/claims/recordings",
    "report_recording": "POST /v1/leases/{lease}/recordings",
    "heartbeat": "POST /v1/leases/{lease}:heartbeat",
    "report": "POST /v1/leases/{lease}/reports",
    "release": "POST /v1/leases/{lease}:release",
    "list_workers": "GET /v1/workers",
    "get_session": "GET /v1/session",
    "log_in": "POST /v1/session",
    "log_out": "DELETE /v1/session",
    "livez": "GET /livez",
    "readyz": "GET /readyz",
    "metrics": "GET /metrics",
}


def every_error(kind=errors.ServiceError):
    return [kind, *(below for child in kind.__subclasses__() for below in every_error(child))]


def operations(document):
    return {
        operation["operationId"]: (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


@pytest.fixture(scope="module")
def document():
    """The document of any application: it depends on nothing."""
    return create_app(ServiceSettings(data_dir=Path("nowhere"))).openapi()


def test_there_are_these_routes_and_no_others(document):
    assert {name: route for name, (route, _) in operations(document).items()} == ROUTES


@pytest.mark.parametrize("name", ROUTES)
def test_every_operation_is_described(document, name):
    _, operation = operations(document)[name]
    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"]
    assert {"400", "401", "403", "422", "500", "503"} <= set(operation["responses"])
    assert all(parameter.get("description") for parameter in operation.get("parameters", []))


def test_every_error_of_every_operation_is_a_problem(document):
    contents = [
        response["content"]
        for _, operation in operations(document).values()
        for status, response in operation["responses"].items()
        if status[0] in "45"
    ]
    assert {tuple(content) for content in contents} == {("application/problem+json",)}
    assert {content["application/problem+json"]["schema"]["$ref"] for content in contents} == {
        "#/components/schemas/ErrorView"
    }


def test_every_reference_leads_somewhere(document):
    references = set(re.findall(r"#/components/schemas/([A-Za-z0-9_.-]+)", str(document)))
    assert references == set(document["components"]["schemas"])


def test_every_route_is_documented():
    text = DOCS.read_text()
    assert [route for route in ROUTES.values() if f"`{route}`" not in text] == []


@pytest.mark.parametrize("kind", every_error())
def test_every_error_code_is_documented_with_its_status(kind):
    assert f"| `{kind.code}` | {kind.status} |" in DOCS.read_text()


@pytest.fixture(scope="module")
def api_schema(sqlite_template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzzed")
    shutil.copy(sqlite_template, folder / "gradsweep.db")
    app = create_app(ServiceSettings(data_dir=folder))
    refusals = [400, 401, 403, 404, 405, 409, 413, 415, 422, 426, 503]
    config = schemathesis.Config.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": refusals}}})
    return schemathesis.openapi.from_asgi("/openapi.json", app, config=config, headers={"Host": "127.0.0.1"})


BEYOND_A_SCHEMA = {
    "submit_sweep": "a sweep file has rules of its own",
    "list_sweeps": "filters, orders and page tokens have a grammar",
    "list_trials": "filters, orders and page tokens have a grammar",
    "best_trials": "filters have a grammar",
    "pareto_front": "metrics are a closed list, several in one value",
    "parameter_importances": "metrics are a closed list, told in words",
    "export_sweep": "filters have a grammar",
    "follow_events": "a header that may be left out is documented as one that may be null",
    "draw_sweep": "parameters and kinds are closed lists",
    "draw_trial": "kinds are a closed list",
    "draw_trials": "kinds are a closed list",
    "report_recording": "a table of steps has a grammar, and no text may hold a NUL",
    "report": "no text may hold a NUL, and a schema cannot forbid it",
    "rescue_trial": "an Idempotency-Key that stands for another request is refused",
    "claim": "any protocol can be named, and those of other times are refused by 426",
}
"""Operations that may refuse what their schema allows, and why."""


def fuzz(operation, mode, *excluded_checks):
    """Send what the document allows (or, NEGATIVE, what it does not) and check every answer against it."""

    @settings(max_examples=10, deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate])
    @given(case=operation.as_strategy(mode))
    def send(case):
        case.call_and_validate(headers={"Host": "127.0.0.1"}, excluded_checks=list(excluded_checks))

    send()


@pytest.mark.parametrize("name", [name for name in ROUTES if name not in BEYOND_A_SCHEMA])
def test_answers_what_the_document_foretells(api_schema, name):
    method, path = ROUTES[name].split()
    fuzz(api_schema[path][method], GenerationMode.POSITIVE)


@pytest.mark.parametrize("name", BEYOND_A_SCHEMA)
def test_answers_what_the_document_foretells_whatever_is_asked(api_schema, name):
    method, path = ROUTES[name].split()
    fuzz(api_schema[path][method], GenerationMode.POSITIVE, positive_data_acceptance)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in ROUTES
        if name not in {"livez", "readyz", "metrics", "list_workers", "get_session", "log_out", "list_figures"}
    ],
)
def test_refuses_what_the_document_does_not_allow(api_schema, name):
    """A claim of another protocol is refused by 426 before its keys are judged, so 426 counts as a refusal.

    What is drawn may be allowed by chance, such as the word null for a header; whether that is accepted does not
    matter here.
    """
    method, path = ROUTES[name].split()
    fuzz(api_schema[path][method], GenerationMode.NEGATIVE, positive_data_acceptance)
