"""Lists of sweeps and trials: filters, orders with absent values, pages without gaps."""

import pytest

ROWS = (
    {
        "state": "completed",
        "objective": 0.8,
        "epoch": 5,
        "val_loss": 0.5,
        "parameters": {"learning_rate": 0.1, "optimizer": "sgd", "momentum": 0.9},
    },
    {"state": "completed", "objective": 0.9, "epoch": 5, "val_loss": None, "parameters": {"learning_rate": 0.01}},
    {"state": "completed", "objective": 0.8, "epoch": 5, "val_loss": 0.3, "parameters": {"residual": True}},
    {"state": "pruned", "prune_reason": "nonfinite", "epoch": 1, "parameters": {"hidden_units": (64, 32)}},
    {"state": "failed", "failure_kind": "error", "failure_traceback": "Traceback …", "attempt": 3, "lost": 2},
    {},
)
SWEEP = {
    "name": "listed",
    "method": "random",
    "run_cap": 8,
    "parameters": {"epochs": 5, "dropout": {"min": 0.0, "max": 0.5}},
}


@pytest.fixture(scope="session")
def listed_id(lasting_client, add_rows):
    """A sweep with a trial of each kind, which no test changes."""
    sweep_id = lasting_client.post("/v1/sweeps", json=SWEEP).json()["id"]
    add_rows(lasting_client.app.state.context.database, sweep_id, *ROWS)
    return sweep_id


@pytest.fixture
def sweep_id(submit, add_trials):
    """Such a sweep for one test alone."""
    sweep_id = submit()
    add_trials(sweep_id, *ROWS)
    return sweep_id


def numbers(client, sweep_id, **query):
    response = client.get(f"/v1/sweeps/{sweep_id}/trials", params=query)
    assert response.status_code == 200, response.text
    return [trial["number"] for trial in response.json()["trials"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("state = completed", [0, 1, 2]),
        ("state != completed", [3, 4, 5]),
        ("state IN (failed, pruned)", [3, 4]),
        ("NOT state IN (failed, pruned)", [0, 1, 2, 5]),
        ("state = completed AND params.learning_rate < 0.05", [1, 2]),
        ("objective >= 0.8", [0, 1, 2]),
        ("objective != 0.8", [1]),
        ("NOT objective = 0.8", [1]),
        ("objective IS NULL", [3, 4, 5]),
        ("objective IS NOT NULL AND val_loss IS NULL", [1]),
        ("params.residual = true", [2]),
        ("params.hidden_units = '64,32'", [3]),
        ("params.momentum = 0.9", [0]),
        ("params.momentum IS NOT NULL", [0]),
        ("prune_reason = nonfinite OR failure_kind = error", [3, 4]),
        ("number > 1 AND number <= 3", [2, 3]),
        ("lost = 2", [4]),
        ("created_at >= '1970-01-01T00:00:01.003Z'", [3, 4, 5]),
        ("state = completed AND (objective > 0.85 OR params.optimizer = sgd)", [0, 1]),
        ("number = 99", []),
    ],
)
def test_filters_trials(lasting_client, listed_id, text, expected):
    assert numbers(lasting_client, listed_id, filter=text) == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (None, [0, 1, 2, 3, 4, 5]),
        ("-number", [5, 4, 3, 2, 1, 0]),
        ("objective", [0, 2, 1, 3, 4, 5]),
        ("-objective", [1, 2, 0, 5, 4, 3]),
        ("-objective,number", [1, 0, 2, 3, 4, 5]),
        ("val_loss", [2, 0, 1, 3, 4, 5]),
        ("-val_loss,number", [0, 2, 1, 3, 4, 5]),
        ("params.learning_rate,number", [2, 3, 4, 5, 1, 0]),
        ("state,-objective,number", [1, 0, 2, 4, 3, 5]),
        ("state,val_loss,number", [2, 0, 1, 4, 3, 5]),
        ("-params.residual,number", [2, 0, 1, 3, 4, 5]),
    ],
)
@pytest.mark.parametrize("page_size", [1, 2, 6, 7])
def test_pages_have_no_gap_and_absent_values_come_last(lasting_client, listed_id, order, expected, page_size):
    found, query = [], {"page_size": page_size} | ({} if order is None else {"order_by": order})
    path = f"/v1/sweeps/{listed_id}/trials"
    page = lasting_client.get(path, params=query).json()
    while page["next_page_token"] is not None:
        assert len(page["trials"]) == page_size
        found += page["trials"]
        page = lasting_client.get(path, params=query | {"page_token": page["next_page_token"]}).json()
    assert [trial["number"] for trial in found + page["trials"]] == expected


def test_a_page_begins_after_the_last_row_however_many_came_meanwhile(client, sweep_id, add_trials):
    path, query = f"/v1/sweeps/{sweep_id}/trials", {"order_by": "-objective", "page_size": 2}
    first = client.get(path, params=query).json()
    add_trials(sweep_id, {"state": "completed", "objective": 0.95}, {"state": "completed", "objective": 0.7})
    second = client.get(path, params=query | {"page_token": first["next_page_token"]}).json()
    assert [trial["number"] for trial in second["trials"]] == [0, 7]


def test_a_list_holds_no_traceback_and_one_trial_does(lasting_client, listed_id):
    failed = lasting_client.get(f"/v1/sweeps/{listed_id}/trials", params={"filter": "state = failed"}).json()["trials"][
        0
    ]
    assert failed["failure"] == {"kind": "error", "type": None, "message": None, "traceback": None}
    assert lasting_client.get(f"/v1/trials/{failed['id']}").json()["failure"]["traceback"] == "Traceback …"


def test_best_ranks_completed_trials_alone(client, sweep_id, add_trials):
    add_trials(sweep_id, {"state": "pruned", "prune_reason": "unpromising", "objective": 0.99})
    answer = client.get(f"/v1/sweeps/{sweep_id}/best", params={"k": 2}).json()
    assert [trial["number"] for trial in answer["trials"]] == [1, 0]
    assert answer["best"]["number"] == 1
    assert answer["metric"] == {"name": "val_accuracy", "direction": "maximize", "at": "last", "target": None}


def test_best_of_a_metric_that_is_minimized(client, submit, add_trials):
    sweep_id = submit(metric={"name": "val_loss"})
    add_trials(sweep_id, *({"state": "completed", "objective": value} for value in (0.3, 0.1, 0.2, None)))
    assert [t["number"] for t in client.get(f"/v1/sweeps/{sweep_id}/best").json()["trials"]] == [1, 2, 0]
    assert client.get(f"/v1/sweeps/{sweep_id}").json()["best"]["number"] == 1


def test_best_of_those_that_a_filter_lets_through(lasting_client, listed_id):
    answer = lasting_client.get(f"/v1/sweeps/{listed_id}/best", params={"filter": "params.optimizer = sgd"}).json()
    assert [trial["number"] for trial in answer["trials"]] == [0]


def test_nothing_is_best_before_a_trial_is_completed(client, submit):
    assert client.get(f"/v1/sweeps/{submit()}/best").json()["best"] is None


def test_a_sweep_counts_its_trials(lasting_client, listed_id):
    view = lasting_client.get(f"/v1/sweeps/{listed_id}").json()
    assert view["counts"] == {"waiting": 1, "running": 0, "completed": 3, "pruned": 1, "failed": 1, "cancelled": 0}
    assert view["progress"]["trials_done"] == 5
    assert view["progress"]["trials_total"] == 8
    assert view["progress"]["epochs_done"] == 16
    assert view["progress"]["epochs_total"] == 16 + 5 + round(2 * 16 / 5)
    assert view["best"] == {"trial_id": view["best"]["trial_id"], "number": 1, "objective": 0.9}


def test_lists_sweeps_newest_first(client, submit, clock):
    ids = []
    for name in ("a", "b", "c"):
        ids.append(submit(name=name))
        clock.advance_seconds(1)
    page = client.get("/v1/sweeps", params={"page_size": 2}).json()
    assert [sweep["id"] for sweep in page["sweeps"]] == [ids[2], ids[1]]
    rest = client.get("/v1/sweeps", params={"page_size": 2, "page_token": page["next_page_token"]}).json()
    assert [sweep["id"] for sweep in rest["sweeps"]] == [ids[0]]
    assert rest["next_page_token"] is None


def test_filters_sweeps(client, submit):
    for name in ("a", "b"):
        submit(name=name)
    submit(name="c", metric={"name": "val_loss"})
    expected = {
        "name = b": ["b"],
        "metric = val_loss": ["c"],
        "state = queued AND NOT name IN (a, b)": ["c"],
        "state_reason IS NULL": ["a", "b", "c"],
        "run_cap > 8": [],
    }
    found = {
        text: [
            s["name"] for s in client.get("/v1/sweeps", params={"filter": text, "order_by": "name"}).json()["sweeps"]
        ]
        for text in expected
    }
    assert found == expected


def test_a_list_of_sweeps_takes_as_many_queries_as_one_sweep(client, submit, add_trials, count_queries):
    for name in ("a", "b", "c"):
        add_trials(submit(name=name), {"state": "completed", "objective": 0.5}, {})
    few = count_queries(lambda: client.get("/v1/sweeps", params={"page_size": 1}))
    many = count_queries(lambda: client.get("/v1/sweeps", params={"page_size": 3}))
    assert few == many


def test_a_list_of_trials_takes_as_many_queries_as_one_trial(client, sweep_id, count_queries):
    path = f"/v1/sweeps/{sweep_id}/trials"
    few = count_queries(lambda: client.get(path, params={"page_size": 1}))
    many = count_queries(lambda: client.get(path, params={"page_size": 6}))
    assert few == many


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"filter": "stat = 1"}, "query/filter"),
        ({"order_by": "-test_accuracy"}, "query/order_by"),
        ({"page_token": "x"}, "query/page_token"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/sweeps", "/v1/sweeps/{}/trials"])
def test_points_at_what_cannot_be_read(lasting_client, listed_id, path, query, pointer):
    response = lasting_client.get(path.format(listed_id), params=query)
    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
