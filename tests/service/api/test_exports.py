"""Tables and scripts over HTTP, on both databases: complete, in order, and harmless in a spreadsheet."""

import csv
import io
import json

import pytest

from service.operations import exporting

NAME = "look: a+b"


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr(exporting, "PAGE_ROWS", 3)


@pytest.fixture
def trained(submit, worker):
    """A sweep with two complete trials of three epochs and two layers, and one that failed with hostile words."""
    sweep = submit(name=NAME)
    grants = worker.claim(3)
    for grant in grants[:2]:
        worker.train(grant, 0.5 + grant["number"] / 10)
    final = {"kind": "failed", "failure_kind": "error", "error_type": "=1+1", "message": 'a,\n"b"', "traceback": "T"}
    worker.report({"trial_id": grants[2]["trial_id"], "attempt": 1, "final": final})
    return sweep


def table(client, sweep, **query):
    answer = client.get(f"/v1/sweeps/{sweep}/export", params=query)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_trials_are_flat_and_harmless(client, trained):
    rows = table(client, trained, table="trials")
    assert [row["number"] for row in rows] == ["0", "1", "2"]
    assert [row["params.epochs"] for row in rows] == ["2", "2", "2"]
    assert rows[0]["params.hidden_units"] == "[128, 64, 32]"
    assert [row["val_accuracy"] for row in rows] == ["0.5", "0.6", ""]
    assert (rows[2]["failure.type"], rows[2]["failure.message"]) == ("'=1+1", 'a,\n"b"')
    assert {"nonfinite", "parameters", "failure"}.isdisjoint(rows[0])


def test_trials_may_be_chosen(client, trained):
    rows = table(client, trained, table="trials", filter="val_accuracy > 0.55")
    assert [row["number"] for row in rows] == ["1"]


def test_lines_of_json_are_what_the_api_answers(client, trained):
    lines = client.get(f"/v1/sweeps/{trained}/export", params={"table": "trials", "format": "jsonl"}).text.splitlines()
    listed = client.get(f"/v1/sweeps/{trained}/trials").json()["trials"]
    assert [json.loads(line) for line in lines] == listed


@pytest.mark.usefixtures("small_pages")
def test_epochs_and_layers_come_page_by_page_without_loss(client, trained):
    epochs = table(client, trained, table="epochs")
    assert [(row["trial_number"], row["epoch"]) for row in epochs] == [(t, e) for t in "01" for e in "012"]
    layers = table(client, trained, table="layers")
    assert [(row["trial_number"], row["epoch"], row["layer"]) for row in layers] == [
        (t, e, k) for t in "01" for e in "012" for k in "12"
    ]
    assert layers[1]["grad_norm_mean"] == "0.25"


def test_a_number_that_is_not_finite_stands_in_its_cell(client, submit, worker, epoch_entry):
    sweep = submit()
    (grant,) = worker.claim(1)
    worker.report(epoch_entry(grant, 0, train_loss=None, nonfinite=3, nonfinite_values={"train_loss": "-inf"}))
    assert table(client, sweep, table="epochs")[0]["train_loss"] == "-inf"
    assert table(client, sweep, table="trials")[0]["train_loss"] == "-inf"


@pytest.mark.parametrize("kind", exporting.EXPORT_TABLES)
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_sweep_without_trials_is_an_empty_table(client, submit, kind, form):
    answer = client.get(f"/v1/sweeps/{submit()}/export", params={"table": kind, "format": form})
    assert (answer.status_code, len(answer.text.splitlines())) == (200, int(form == "csv"))


def test_the_file_is_named_by_harmless_letters(client, submit):
    answer = client.get(f"/v1/sweeps/{submit(name=NAME)}/export", params={"table": "trials"})
    assert answer.headers["content-disposition"] == 'attachment; filename="look--a-b-trials.csv"'


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 422),
        ({"table": "sweeps"}, 422),
        ({"table": "trials", "format": "xlsx"}, 422),
        ({"table": "epochs", "filter": "state = completed"}, 422),
        ({"table": "trials", "filter": "nothing = 1"}, 400),
    ],
)
def test_refuses_what_it_does_not_know(client, submit, query, status):
    assert client.get(f"/v1/sweeps/{submit()}/export", params=query).status_code == status


def test_a_trial_as_a_script(client, trained):
    trial = client.get(f"/v1/sweeps/{trained}/trials").json()["trials"][1]
    answer = client.get(f"/v1/trials/{trial['id']}/script")
    assert answer.headers["content-type"] == "text/x-python; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="trial-1.py"'
    assert answer.text.startswith('# Trial 1 of the sweep "look: a+b" on digits.')
    compile(answer.text, "trial-1.py", "exec")


@pytest.mark.parametrize("path", ["/v1/sweeps/swp_nowhere/export?table=trials", "/v1/trials/trl_nowhere/script"])
def test_what_is_not_there_is_not_found(lasting_client, path):
    assert lasting_client.get(path).status_code == 404
