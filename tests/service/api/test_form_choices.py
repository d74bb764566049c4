"""What the form offers is what the domain knows."""

import json

from service.api.form_choices import form_choices
from service.api.page import page_files
from service.domain.catalogue import CATALOGUE
from service.domain.metrics import METRICS, STORED_METRICS
from service.domain.states import Method


def test_offers_every_method_metric_and_parameter():
    offered = form_choices()
    assert {each["name"] for each in offered["methods"]} == set(Method)
    assert [each["name"] for each in offered["metrics"]] == list(STORED_METRICS)
    assert [each["name"] for each in offered["metrics"] if each["is_of_epoch"]] == list(METRICS)
    assert [each["name"] for each in offered["parameters"]] == list(CATALOGUE)


def test_numbers_come_with_their_range_and_choices_with_their_values():
    offered = {each["name"]: each for each in form_choices()["parameters"]}
    assert (offered["dropout"]["range"], offered["dropout"]["choices"]) == ("[0, 1)", [])
    assert (offered["normalization"]["range"], offered["normalization"]["choices"]) == (
        None,
        ["none", "batch", "layer"],
    )


def test_the_page_gets_it_as_a_file():
    sent = page_files()["form_choices.json"]
    assert sent.media_type == "application/json"
    assert json.loads(sent.content) == json.loads(json.dumps(form_choices()))
