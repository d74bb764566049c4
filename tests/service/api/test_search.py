"""The best under bounds, Pareto fronts and importances over HTTP, on both databases."""

import pytest

BOUND = {"constraints": {"stability": ">= 0.5"}}
TWO = {"metrics": [{"name": "val_accuracy"}, {"name": "stability"}], "method": "tpe"}


def done(objective, stability, state="completed", **columns):
    """The columns of a trial that ended."""
    judged = {"stability": stability, "score_version": None if stability is None else 1}
    return {"state": state, "objective": objective, "val_accuracy": objective} | judged | columns


@pytest.fixture
def trained(submit, add_trials):
    """A sweep with a bound: the most accurate trial is unstable."""

    def make(*trials, **keys):
        sweep = submit(**(BOUND | keys))
        add_trials(sweep, *(done(*trial) for trial in trials))
        return sweep

    return make


def test_the_best_keeps_the_bounds_and_the_one_that_does_not_is_explained(client, trained):
    sweep = trained((0.99, 0.2), (0.95, 0.9), (0.97, None), (0.9, 0.5))
    best = client.get(f"/v1/sweeps/{sweep}/best").json()
    assert [trial["number"] for trial in best["trials"]] == [1, 3]
    assert best["best"]["number"] == 1
    assert best["constraints"] == ["stability >= 0.5"]
    assert best["best_infeasible"]["trial"]["number"] == 0
    assert best["best_infeasible"]["reasons"] == ["its stability of 0.2 is below 0.5"]
    assert best["best_infeasible"]["would_be_best"] is True


def test_a_trial_that_breaks_a_bound_may_have_lost_anyway(client, trained):
    sweep = trained((0.5, 0.2), (0.95, 0.9))
    assert client.get(f"/v1/sweeps/{sweep}/best").json()["best_infeasible"]["would_be_best"] is False


def test_without_a_trial_that_keeps_the_bounds_there_is_no_best(client, trained):
    sweep = trained((0.99, 0.2))
    best = client.get(f"/v1/sweeps/{sweep}/best").json()
    assert (best["best"], best["trials"], best["best_infeasible"]["trial"]["number"]) == (None, [], 0)
    assert client.get(f"/v1/sweeps/{sweep}").json()["best"] is None


def test_lists_and_views_show_the_best_that_keeps_the_bounds(client, trained):
    """Two sweeps with different bounds and one without, in one list."""
    fates = ((0.99, 0.2), (0.95, 0.6), (0.9, 0.9))
    bounds = [{"stability": ">= 0.5"}, {"stability": ">= 0.8"}, None]
    ids = [trained(*fates, name=f"s{at}", constraints=each) for at, each in enumerate(bounds)]
    listed = {sweep["id"]: sweep["best"]["number"] for sweep in client.get("/v1/sweeps").json()["sweeps"]}
    assert [listed[sweep] for sweep in ids] == [1, 2, 0]
    shown = client.get(f"/v1/sweeps/{ids[1]}").json()
    assert (shown["best"]["number"], shown["constraints"]) == (2, ["stability >= 0.8"])


@pytest.mark.parametrize(("stability", "state"), [(0.2, "running"), (0.9, "completed")])
def test_only_a_trial_that_keeps_the_bounds_reaches_the_target(client, trained, worker, stability, state):
    metric = {"name": "val_accuracy", "target": 0.9}
    sweep = trained((0.95, stability), metric=metric, constraints={"stability": ">= 0.5"})
    worker.train(worker.claim()[0], 0.1)
    assert client.get(f"/v1/sweeps/{sweep}").json()["state"] == state


def test_of_several_metrics_best_says_where_to_look(client, submit, add_trials):
    sweep = submit(**TWO)
    add_trials(sweep, done(0.99, 0.2), done(0.95, 0.9))
    best = client.get(f"/v1/sweeps/{sweep}/best").json()
    assert best["best"]["number"] == 0
    assert f"/v1/sweeps/{sweep}/pareto" in best["note"]
    shown = client.get(f"/v1/sweeps/{sweep}").json()
    assert [metric["name"] for metric in shown["metrics"]] == ["val_accuracy", "stability"]


def test_a_sweep_of_several_metrics_is_pruned_by_the_first(client, submit, worker, epoch_entry):
    """Asynchronous halving at epoch 1: the worst of four does not go on, and the search goes on after that."""
    sweep = submit(**TWO, early_terminate={"type": "hyperband"}, max_parallel=8)
    grants = worker.claim(4)
    told = [worker.report(epoch_entry(grant, 1, 0.9 - number / 10))[0] for number, grant in enumerate(grants)]
    assert [answer["directive"] for answer in told] == ["continue", "prune", "prune", "prune"]
    pruned = client.get(f"/v1/sweeps/{sweep}/trials", params={"filter": "state = pruned"}).json()["trials"]
    assert [trial["prune_reason"] for trial in pruned] == ["unpromising"] * 3
    assert len(worker.claim(4)) == 4


def test_the_front_holds_what_nothing_beats(client, submit, add_trials):
    sweep = submit(**TWO)
    add_trials(
        sweep,
        done(0.90, 0.9),
        done(0.95, 0.6),
        done(0.94, 0.6),  # beaten
        done(0.99, 0.1),
        done(0.99, None),  # not comparable
        done(1.00, 1.0, "pruned", prune_reason="unpromising"),
    )
    found = client.get(f"/v1/sweeps/{sweep}/pareto").json()
    assert [each["trial"]["number"] for each in found["front"]] == [3, 1, 0]
    assert found["front"][0]["values"] == {"val_accuracy": 0.99, "stability": 0.1}
    assert (found["n_front"], found["n_compared"], found["n_completed"], found["reason"]) == (3, 4, 5, None)


def test_the_front_keeps_the_bounds(client, submit, add_trials):
    sweep = submit(**TWO, **BOUND)
    add_trials(sweep, done(0.90, 0.9), done(0.95, 0.6), done(0.99, 0.1))
    found = client.get(f"/v1/sweeps/{sweep}/pareto").json()
    assert [each["trial"]["number"] for each in found["front"]] == [1, 0]
    assert found["constraints"] == ["stability >= 0.5"]


def test_any_stored_metrics_can_be_traded(client, submit, add_trials):
    sweep = submit()
    add_trials(
        sweep, done(0.9, 0.9, wall_seconds=9.0, depth_slope=-0.1), done(0.8, 0.1, wall_seconds=2.0, depth_slope=0.3)
    )
    for metrics, numbers in (("val_accuracy,wall_seconds", [0, 1]), ("val_accuracy,depth_slope", [0]), (None, [0])):
        found = client.get(f"/v1/sweeps/{sweep}/pareto", params={"metrics": metrics} if metrics else {}).json()
        assert [each["trial"]["number"] for each in found["front"]] == numbers


@pytest.mark.parametrize(
    ("trials", "reason"),
    [
        ((), "no trial has completed yet"),
        (((0.9, 0.1),), "none of 1 completed trials keeps stability >= 0.5"),
    ],
)
def test_an_empty_front_says_why(client, trained, trials, reason):
    sweep = trained(*trials)
    found = client.get(f"/v1/sweeps/{sweep}/pareto").json()
    assert (found["front"], found["reason"]) == ([], reason)


def test_trials_that_keep_the_bounds_and_lack_a_metric_are_not_said_to_break_them(client, submit, add_trials):
    sweep = submit(constraints={"val_accuracy": ">= 0.5"})
    add_trials(sweep, done(0.9, None))
    found = client.get(f"/v1/sweeps/{sweep}/pareto").json()
    assert found["reason"] == "none of 1 completed trials has all of val_accuracy, stability"


def test_a_front_of_thousands_is_sampled(client, submit, add_trials):
    sweep = submit(**TWO, run_cap=500)
    add_trials(sweep, *(done(number / 500, 1 - number / 500) for number in range(300)))
    found = client.get(f"/v1/sweeps/{sweep}/pareto").json()
    assert (found["n_front"], len(found["front"])) == (300, 200)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("pareto?metrics=val_accuracy", 422, "2 to 4 metrics"),
        ("pareto?metrics=val_accuracy,val_accuracy", 422, "each once"),
        ("pareto?metrics=val_accuracy,stabilty", 422, "did you mean stability?"),
        ("pareto?metrics=val_accuracy,test_accuracy", 422, "test set"),
        ("pareto?metrics=a;DROP,val_loss", 422, "is no metric"),
        ("importances?target=test_loss", 422, "test set"),
        ("importances?target=vanishing", 422, "known: train_loss"),
        ("importances?target=" + "x" * 65, 422, "64"),
        ("importances?tarket=stability", 400, "tarket"),
    ],
)
def test_what_cannot_be_weighed_is_refused(client, submit, path, status, words):
    sweep = submit()
    answer = client.get(f"/v1/sweeps/{sweep}/{path}")
    assert answer.status_code == status
    assert words in answer.text


def test_importances_find_what_decides_a_gradient_metric(client, submit, add_trials):
    sweep = submit(run_cap=100)
    rows = [
        done(0.5, 0.9 if number % 2 else 0.1, parameters={"learning_rate": 10 ** -(1 + number % 4), "optimizer": kind})
        for number, kind in enumerate(["adam", "sgd"] * 30)
    ]
    add_trials(sweep, *rows)
    found = client.get(f"/v1/sweeps/{sweep}/importances", params={"target": "stability"}).json()
    shares = {each["parameter"]: each["importance"] for each in found["importances"]}
    assert set(shares) == {"learning_rate", "optimizer"}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert (found["target"], found["direction"], found["evaluator"]) == ("stability", "maximize", "ped_anova")
    assert (found["n_trials"], found["n_used"], found["n_good"], found["reason"]) == (60, 60, 30, None)


def test_importances_of_a_young_sweep_are_empty_with_the_reason(client, submit):
    found = client.get(f"/v1/sweeps/{submit()}/importances").json()
    assert (found["target"], found["importances"]) == ("val_accuracy", [])
    assert "20 or more" in found["reason"]


def test_importances_are_weighed_once_until_another_trial_ends(client, submit, add_trials, count_queries):
    sweep = submit(run_cap=100)
    add_trials(sweep, *(done(number / 60, 0.5) for number in range(30)))
    path = f"/v1/sweeps/{sweep}/importances"
    assert count_queries(lambda: client.get(path)) > count_queries(lambda: client.get(path))
    add_trials(sweep, done(0.5, 0.5))
    assert client.get(path).json()["n_trials"] == 31


@pytest.mark.parametrize("metrics", [None, TWO["metrics"]])
def test_evolution_proposes_over_http(client, submit, worker, metrics):
    sweep = submit(method="nsga2", run_cap=20, metrics=metrics)
    for number in range(20):
        worker.train(worker.claim()[0], number / 40)
    assert client.get(f"/v1/sweeps/{sweep}").json()["state"] == "completed"


def test_a_gradient_metric_filters_orders_bounds_and_is_weighed(client, submit, add_trials):
    sweep = submit(run_cap=100, constraints={"global_norm_max": "<= 10"})
    columns = [{"global_norm_max": float(number), "stability_units": number / 40} for number in range(40)]
    given = [
        {"parameters": {"learning_rate": 10.0 ** -(1 + number % 4), "optimizer": ["adam", "sgd"][number // 20]}}
        for number in range(40)
    ]
    add_trials(
        sweep,
        *(done(number / 100, 0.9, **columns[number], **given[number]) for number in range(40)),
        done(1.0, 0.9, global_norm_max=None, stability_units=None),
    )

    def numbers(**query):
        listed = client.get(f"/v1/sweeps/{sweep}/trials", params=query).json()["trials"]
        return [trial["number"] for trial in listed]

    assert numbers(filter="global_norm_max > 37.5 OR stability_units < 0.02") == [0, 38, 39]
    assert numbers(order_by="-global_norm_max", page_size=3) == [39, 38, 37]
    assert numbers(filter="global_norm_max IS NULL") == [40]
    best = client.get(f"/v1/sweeps/{sweep}/best").json()
    assert (best["best"]["number"], best["best"]["gradients"]["global_norm_max"]) == (10, 10.0)
    assert best["best_infeasible"]["reasons"] == ["its global_norm_max is not known, and must be <= 10"]
    weighed = client.get(f"/v1/sweeps/{sweep}/importances", params={"target": "global_norm_max"}).json()
    assert weighed["importances"][0]["parameter"] == "optimizer"
    assert (weighed["direction"], weighed["n_trials"]) == ("minimize", 40)


def test_pages_of_an_order_by_a_gradient_metric_hold_every_trial_once(client, submit, add_trials):
    sweep = submit(run_cap=100)
    add_trials(sweep, *(done(0.5, 0.9, gsr=None if number % 3 else number / 7) for number in range(10)))
    seen, token = [], None
    for _ in range(4):
        query = {"order_by": "-gsr", "page_size": 3} | ({"page_token": token} if token else {})
        page = client.get(f"/v1/sweeps/{sweep}/trials", params=query).json()
        seen += [trial["number"] for trial in page["trials"]]
        token = page["next_page_token"]
    assert seen[:4] == [9, 6, 3, 0]
    assert (sorted(seen), token) == (list(range(10)), None)
