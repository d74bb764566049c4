"""Effects over HTTP, on both databases."""

import pytest


def by_name(items, key="remedy"):
    return {item[key]: item for item in items}


@pytest.fixture
def ablation(submit):
    """An ablation of four variants under two seeds."""
    return submit(
        method="ablation",
        run_cap=None,
        parameters={"optimizer": "sgd", "epochs": 1},
        remedies=["normalization", "residual"],
        seeds=2,
    )


def start(stream_seed, start_epoch):
    return {"start": {"stream_seed": stream_seed, "start_epoch": start_epoch, "dataset_sha256": "0" * 64}}


def test_remedies_are_shown_with_paired_differences(client, worker, ablation, epoch_entry):
    values = [0.1, 0.6, 0.2, 0.9, 0.2, 0.8, 0.1, 0.9]
    for grant, value in zip(worker.claim(8), values, strict=True):
        place = grant["number"] // 4 if grant["number"] != 7 else 9
        worker.report(epoch_entry(grant, 0) | start(7, place))
        worker.train(grant, value)

    found = client.get(f"/v1/sweeps/{ablation}/effects").json()

    remedies = by_name(found["remedies"])
    assert (found["n_trials"], list(remedies)) == (8, ["base", "normalization", "residual", "all"])
    assert remedies["base"]["paired"] is None
    paired = remedies["normalization"]["paired"]
    assert (paired["n_pairs"], paired["n_same_seed"], paired["n_same_stream"]) == (2, 2, 2)
    assert paired["metric"]["median"] == pytest.approx(0.55)
    assert (paired["metric"]["low"], paired["metric"]["high"]) == (pytest.approx(0.5), pytest.approx(0.6))
    assert paired["metric"]["coverage"] == pytest.approx(0.5)
    assert remedies["all"]["paired"]["n_same_stream"] == 1
    assert remedies["all"]["changes"] == {"normalization": "batch", "residual": True}
    assert "Read the remedies" in found["notes"][0]


def test_levels_of_a_search_are_shown_with_their_verdicts(client, submit, add_trials):
    sweep = submit(parameters={"dropout": {"min": 0.0, "max": 0.5}, "epochs": 5})
    ended = {"state": "completed", "attempt": 1, "stability": 1.0, "score_version": 1}
    waiting = {
        "state": "waiting",
        "attempt": 0,
        "stability": None,
        "score_version": None,
        "objective": None,
        "verdict": None,
    }
    add_trials(
        sweep,
        ended | {"parameters": {"dropout": 0.0}, "objective": 0.8, "verdict": "stable"},
        ended | {"parameters": {"dropout": 0.3}, "objective": 0.6, "verdict": "unsteady"},
        waiting | {"parameters": {"dropout": 0.3}},
    )

    found = client.get(f"/v1/sweeps/{sweep}/effects").json()

    (dropout,) = found["factors"]
    levels = by_name(dropout["levels"], "value")
    assert (found["n_trials"], found["remedies"], dropout["name"]) == (2, [], "dropout")
    assert levels["0.3"]["metric"] == {
        "n": 1,
        "median": 0.6,
        "low": None,
        "high": None,
        "coverage": None,
        "nonfinite": {},
    }
    assert levels["0"]["verdicts"]["stable"] == levels["0.3"]["verdicts"]["unsteady"] == 1
    assert dropout["pairs"][0]["metric"]["median"] == pytest.approx(-0.2)


def test_a_metric_that_is_no_number_is_spelled_out(client, submit, add_trials):
    sweep = submit(metric={"name": "val_loss"}, parameters={"dropout": {"min": 0.0, "max": 0.5}, "epochs": 5})
    ended = {"state": "pruned", "prune_reason": "nonfinite", "attempt": 1}
    add_trials(sweep, ended | {"objective": None}, ended | {"parameters": {"dropout": 0.3}, "objective": 0.5})

    levels = client.get(f"/v1/sweeps/{sweep}/effects").json()["factors"][0]["levels"]

    assert (levels[0]["metric"]["median"], levels[0]["metric"]["nonfinite"]) == (None, {"median": "inf"})


def test_a_sweep_that_is_not_there_has_no_effects(client):
    assert client.get("/v1/sweeps/none/effects").status_code == 404
