"""What a client raises becomes one line and an exit code."""

from pathlib import Path

import pytest

from gradsweep.cli.connection import connect, in_one_line, read_token
from gradsweep.cli.exits import CommandError, ExitCode
from gradsweep.client import ApiError, Unreachable
from service.wire.problems import ErrorEntry

PLACE = ErrorEntry(pointer="/run_cap", message="must be at least 1")


def test_a_place_that_the_detail_names_is_not_named_again() -> None:
    assert in_one_line(ApiError(422, "invalid_sweep", "/run_cap: must be at least 1", (PLACE,))).count("/run_cap") == 1


def test_what_the_detail_says_of_the_query_is_not_said_again() -> None:
    error = ApiError(400, "x", "The filter is bad: at 3.", (ErrorEntry(pointer="query/filter", message="at 3"),))
    assert in_one_line(error) == "The filter is bad: at 3."


def test_places_that_the_detail_does_not_name_are_added() -> None:
    error = ApiError(422, "invalid_sweep", "The sweep cannot run.", (PLACE,))
    assert in_one_line(error) == "The sweep cannot run.; /run_cap: must be at least 1"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ApiError(404, "not_found", "x"), ExitCode.BAD_INPUT),
        (ApiError(409, "conflict", "x"), ExitCode.BAD_INPUT),
        (ApiError(401, "unauthorized", "x"), ExitCode.BAD_INPUT),
        (ApiError(500, "internal_error", "x"), ExitCode.FAILED),
        (ApiError(503, "unavailable", "x"), ExitCode.UNREACHABLE),
        (Unreachable("x"), ExitCode.UNREACHABLE),
    ],
)
def test_errors_have_exit_codes(error: Exception, code: ExitCode) -> None:
    with pytest.raises(CommandError) as caught, connect("http://127.0.0.1:1"):
        raise error
    assert caught.value.exit_code is code


def test_an_address_that_is_none_is_bad_input() -> None:
    with pytest.raises(CommandError) as caught, connect("http://127.0.0.1:port") as client:
        client.version()
    assert caught.value.exit_code is ExitCode.BAD_INPUT


def test_a_token_is_read_without_the_end_of_its_line(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    assert read_token(tmp_path / "token") == "secret"


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe"], ids=["empty", "blank", "no text"])
def test_a_token_file_without_a_token_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(CommandError, match="token"):
        read_token(tmp_path / "token")
