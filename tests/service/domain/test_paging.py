"""Orders and page tokens."""

import base64
import json

import pytest

from service.domain.fields import SWEEP_FIELDS, TRIAL_FIELDS
from service.domain.paging import SortKey, parse_order, read_token, write_token
from service.errors import MalformedRequest


def encoded(value):
    return base64.urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (None, (SortKey("number", False),)),
        ("-number", (SortKey("number", True),)),
        ("objective", (SortKey("objective", False), SortKey("number", False))),
        ("-objective", (SortKey("objective", True), SortKey("number", True))),
        (" -val_loss , number ", (SortKey("val_loss", True), SortKey("number", False))),
    ],
)
def test_an_order_ends_with_what_no_two_rows_share(text, keys):
    assert parse_order(text, TRIAL_FIELDS) == keys


def test_sweeps_come_newest_first():
    assert parse_order(None, SWEEP_FIELDS) == (SortKey("created_at", True), SortKey("id", True))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "there is no 'nothing'"),
        ("number,number", "each once"),
        ("number,-number", "each once"),
        ("epoch,attempt,lost,state,number", "at most 4"),
        ("--number", "there is no '-number'"),
        ("number,", "there is no ''"),
        ("-test_accuracy", "measured on the test set"),
    ],
)
def test_refuses_an_order(text, said):
    with pytest.raises(MalformedRequest) as caught:
        parse_order(text, TRIAL_FIELDS)
    assert said in caught.value.problems[0].message


def test_a_token_brings_the_position_back():
    keys = parse_order("-objective,params.residual,created_at", TRIAL_FIELDS)
    position = (0.1 + 0.2, True, 1_800_000_000_000, 7)
    token = write_token(keys, "state = completed", position)
    assert read_token(token, keys, "state = completed", TRIAL_FIELDS) == position


@pytest.mark.parametrize("other", [("number", "state = completed"), ("-objective", None), ("objective", "lost = 1")])
def test_a_token_belongs_to_its_filter_and_order(other):
    token = write_token(parse_order("-objective", TRIAL_FIELDS), "state = completed", (0.5, 7))
    order, filter_text = other
    with pytest.raises(MalformedRequest, match="page_token"):
        read_token(token, parse_order(order, TRIAL_FIELDS), filter_text, TRIAL_FIELDS)


def forged(*position):
    """A token with the right fingerprint and any position."""
    return write_token(parse_order("-objective", TRIAL_FIELDS), None, position)


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "ä",
        "====",
        encoded(b"\xff\xfe"),
        encoded(b"[" * 100_000),
        encoded({}),
        encoded([]),
        encoded(["x", 1, 2]),
        forged(0.5),
        forged(0.5, 7, 8),
        forged("0.5", 7),
        forged(0.5, 7.5),
        forged(0.5, True),
        forged(True, 7),
        forged(0.5, 2**63),
        forged(10**400, 7),
        forged(float("nan"), 7),
        forged(float("inf"), 7),
        forged([], 7),
    ],
)
def test_refuses_a_forged_token(token):
    with pytest.raises(MalformedRequest, match="page_token"):
        read_token(token, parse_order("-objective", TRIAL_FIELDS), None, TRIAL_FIELDS)
