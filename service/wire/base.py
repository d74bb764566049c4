"""The two kinds of message, and numbers that JSON can carry."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

PROTOCOL_VERSION = 1
"""Version of the worker protocol; the service serves this one and the one before."""

MAX_INTEGER = 2**53 - 1
"""Largest integer that every JSON reader keeps exact."""


def _refuse_lookalikes(value: Any) -> Any:
    """In a request `true` or `"1"` for a number is a slip, not a 1, whatever Python makes of it."""
    if isinstance(value, bool | str):
        raise ValueError("a number is wanted here, not true, false or text")
    return value


ONLY_A_NUMBER = BeforeValidator(_refuse_lookalikes)
"""Stands last in a number's annotation: bounds written after it would be missing from the JSON schema."""

Count = Annotated[int, Field(ge=0, le=MAX_INTEGER), ONLY_A_NUMBER]
PositiveCount = Annotated[int, Field(ge=1, le=MAX_INTEGER), ONLY_A_NUMBER]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""Strict refuses lookalikes as well, without a call into Python for each of a report's thousand numbers; an integer,
`1.0` included, cannot be strict, for JSON has only one kind of number."""
Seconds = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Identifier = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_\-]+$")]
"""An id of ours (`swp_…`, `trl_…`, `lse_…`) or one that a client made up."""


class Request(BaseModel):
    """What the service reads: unknown keys are refused, so a slip is never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, ser_json_inf_nan="null")


class Answer(BaseModel):
    """What the service says: readers ignore keys they do not know, so answers may grow."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False, ser_json_inf_nan="null")
