"""What OpenAPI says beyond what FastAPI finds out by itself: every error, and the token."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.api.cookies import COOKIE
from service.api.problems import MEDIA_TYPE
from service.errors import (
    Forbidden,
    InvalidRequest,
    MalformedRequest,
    ServiceError,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from service.wire.problems import ErrorView

_ALWAYS: tuple[type[ServiceError], ...] = (
    MalformedRequest,
    Unauthorized,
    Forbidden,
    InvalidRequest,
    ServiceError,
    Unavailable,
)
WITH_BODY: tuple[type[ServiceError], ...] = (TooLarge, UnsupportedMediaType)
"""What can go wrong with any body."""

DESCRIPTION = """
Self-hosted hyperparameter sweeps that watch the gradients.

Every error is `application/problem+json` (RFC 9457) with a stable `code`. Pointers in `errors` that begin with `/`
lead into the body; `query/NAME`, `path/NAME` and `header/NAME` name another part of the request.
"""


def errors(*kinds: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can fail in these ways, beside those in which any route can."""
    responses: dict[int | str, dict[str, Any]] = {}
    for kind in (*_ALWAYS, *kinds):
        entry = responses.setdefault(
            kind.status,
            {
                "description": kind.title,
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ErrorView"}, "examples": {}}},
            },
        )
        entry["content"][MEDIA_TYPE]["examples"][kind.code] = {
            "summary": (kind.__doc__ or "").strip().splitlines()[0],
            "value": {
                "type": f"urn:gradsweep:error:{kind.code}",
                "title": kind.title,
                "status": kind.status,
                "detail": (kind.__doc__ or "").strip().splitlines()[0],
                "code": kind.code,
                "errors": [],
            },
        }
    return responses


def openapi_of(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """The function that makes the document, once."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, tags=app.openapi_tags
            )
            components = document.setdefault("components", {})
            schema = ErrorView.model_json_schema(ref_template="#/components/schemas/{model}")
            components.setdefault("schemas", {}).update(schema.pop("$defs", {}) | {"ErrorView": schema})
            components["securitySchemes"] = {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The shared token of GRADSWEEP_TOKEN_FILE, where the service has one.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": COOKIE,
                    "description": "What `POST /v1/session` gives a browser; changes by it need an `Origin`.",
                },
            }
            document["security"] = [{}, {"token": []}, {"session": []}]
            app.openapi_schema = document
        return app.openapi_schema

    return openapi
