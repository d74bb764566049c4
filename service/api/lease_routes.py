"""The short way for what workers send: parsed once, straight into its model, and answered by the thread that parsed it.

FastAPI looks at every part of a request by itself, and hands it from the loop to a thread and back; for a request
that says what it should, most of this is for nothing. Anything that is wrong goes the long way, through FastAPI, where
it is said what and where; so both ways answer the same.
"""

import re
from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from service.api.bodies import StrictRoute
from service.api.context import LEASE_ID

_IS_LEASE_ID = re.compile(LEASE_ID).fullmatch


class LeaseRoute(StrictRoute):
    """A route whose handler takes `context`, `request` (the body) and perhaps `lease` (from the path), nothing else."""

    async def answer_at_once(self, request: Request) -> Response | None:
        """The answer; None if the path or the body is not right."""
        body = await request.body()
        path = request.path_params
        if b"\\u0000" in body or not all(map(_IS_LEASE_ID, path.values())):
            return None
        answer = await run_in_threadpool(_answer, self, request.app.state.context, body, path)
        return None if answer is None else Response(answer, media_type="application/json")


def _answer(route: APIRoute, context: Any, body: bytes, path: dict[str, str]) -> bytes | None:
    model = route.body_field.field_info.annotation if route.body_field else None
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise TypeError(f"{route.path} reads no body of one model")
    try:
        request = model.model_validate_json(body)
    except ValidationError:
        return None
    answer: BaseModel = route.endpoint(context=context, request=request, **path)
    return answer.model_dump_json().encode()
