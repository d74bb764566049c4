"""The filter language: what it reads, and how it refuses."""

from pathlib import Path

import pytest

from service.domain.fields import SWEEP_FIELDS, TRIAL_FIELDS
from service.domain.filters import Absence, Comparison, Group, Membership, Negation, parse_filter
from service.domain.metrics import STORED_METRICS
from service.domain.paging import parse_order
from service.errors import MalformedRequest


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("state = completed", Comparison("state", "=", "completed")),
        ("state='completed'", Comparison("state", "=", "completed")),
        ("params.learning_rate<0.01", Comparison("params.learning_rate", "<", 0.01)),
        ("params.learning_rate >= 1e-3", Comparison("params.learning_rate", ">=", 0.001)),
        ("number != -3", Comparison("number", "!=", -3)),
        ("params.residual = true", Comparison("params.residual", "=", True)),
        ("params.hidden_units = '[128, 64, 32]'", Comparison("params.hidden_units", "=", "128,64,32")),
        ('created_at > "1970-01-01T00:00:01Z"', Comparison("created_at", ">", 1000)),
        ('created_at > "1970-01-01T01:00:01+01:00"', Comparison("created_at", ">", 1000)),
        ("params.optimizer in (sgd, adam)", Membership("params.optimizer", ("sgd", "adam"))),
        ("params.momentum IS NULL", Absence("params.momentum")),
        ("params.momentum is not null", Negation(Absence("params.momentum"))),
        ("NOT number = 1", Negation(Comparison("number", "=", 1))),
        (
            "number = 1 OR number = 2 AND epoch = 3",
            Group(
                "any",
                (
                    Comparison("number", "=", 1),
                    Group("all", (Comparison("number", "=", 2), Comparison("epoch", "=", 3))),
                ),
            ),
        ),
        (
            "(number = 1 OR number = 2) AND epoch = 3",
            Group(
                "all",
                (
                    Group("any", (Comparison("number", "=", 1), Comparison("number", "=", 2))),
                    Comparison("epoch", "=", 3),
                ),
            ),
        ),
    ],
)
def test_reads(text, condition):
    assert parse_filter(text, TRIAL_FIELDS) == condition


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a name"),
        ("   ", "expected a name"),
        ("state", "expected an operator"),
        ("state =", "expected a value"),
        ("state = completed AND", "expected a name"),
        ("state = completed number = 1", "expected AND, OR or the end"),
        ("(state = completed", "expected a closing parenthesis"),
        ("state = completed)", "expected AND, OR or the end"),
        ("state == completed", "expected a value"),
        ("state = complete", "one of waiting, running, completed, pruned, failed, cancelled"),
        ("state < completed", "has no order"),
        ("stat = completed", "there is no 'stat'; there are attempt, best_epoch"),
        ("learning_rate < 1", "params.learning_rate"),
        ("test_accuracy > 0.9", "measured on the test set"),
        ("verdict = fine", "one of nonfinite, exploding, dead, vanishing, unsteady, stalled, stable"),
        ("number = 1.5", "whole number"),
        ("number = 1e3", "whole number"),
        ("number = 9223372036854775808", "below 2^63"),
        ("number = " + "9" * 1000, "below 2^63"),
        ("objective < 1e999", "finite number"),
        ("objective < nan", "finite number"),
        ("objective < fast", "is a number, not 'fast'"),
        ("params.residual = 1", "true or false"),
        ("created_at > yesterday", "a moment such as"),
        ("created_at > '99999-01-01'", "a moment such as"),
        ("params.momentum = NULL", "IS NULL"),
        ("params.momentum IS 3", "expected NULL"),
        ("number IN 1", "expected an opening parenthesis"),
        ("number IN ()", "expected a value"),
        ("number IN (1; 2)", "is no name, value or operator"),
        ("state = 'completed", "is no name, value or operator"),
        ("number = 1; DROP TABLE trials", "is no name, value or operator"),
        ("number = 0x10", "is no name, value or operator"),
        ("(" * 30 + "number = 1" + ")" * 30, "levels deep"),
        ("NOT " * 400 + "number = 1", "levels deep"),
        (" OR ".join(["number=1"] * 101), "more than 100 tests"),
        ("number IN (" + ",".join(["1"] * 101) + ")", "more than 100 values"),
        ("a" * 2001, "at most 2000 characters"),
    ],
)
def test_refuses(text, said):
    with pytest.raises(MalformedRequest) as caught:
        parse_filter(text, TRIAL_FIELDS)
    assert said in caught.value.problems[0].message
    assert caught.value.problems[0].pointer == "query/filter"


def test_a_refusal_names_the_character():
    with pytest.raises(MalformedRequest, match="at character 12: expected a value"):
        parse_filter("number  =  AND", TRIAL_FIELDS)


def test_sweeps_have_fields_of_their_own():
    assert parse_filter("method = tpe", SWEEP_FIELDS) == Comparison("method", "=", "tpe")
    with pytest.raises(MalformedRequest, match="there is no 'number'"):
        parse_filter("number = 1", SWEEP_FIELDS)
    with pytest.raises(MalformedRequest, match="not supported yet"):
        parse_filter("tags = night", SWEEP_FIELDS)


@pytest.mark.parametrize("known", [TRIAL_FIELDS, SWEEP_FIELDS])
def test_every_name_is_documented(known):
    text = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
    assert [name for name in known.fields if name.removeprefix("params.") not in text] == []


@pytest.mark.parametrize("name", STORED_METRICS)
def test_every_stored_metric_is_a_number_to_filter_and_order_by(name):
    assert TRIAL_FIELDS.fields[name].kind == "number"
    assert parse_order(f"-{name}", TRIAL_FIELDS)[0].name == name
