"""Every view on a record that holds every state, with hostile words wherever somebody can write some."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

HOSTILE = '<img src=x onerror="window.broken = true"><b>bold</b>'
N_LAYERS = 5
SWEEP: dict[str, Any] = {
    "name": "prepared",
    "dataset": "digits",
    "method": "random",
    "run_cap": 30,
    "max_parallel": 30,
    "seed": 3,
    "parameters": {
        "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1.0},
        "optimizer": {"values": ["sgd", "adam"]},
        "normalization": {"values": ["none", "batch"]},
        "hidden_units": {"value": [16, 16, 16, 16]},
        "epochs": 3,
    },
}


def layer(number: int, epoch: int, size: float) -> dict[str, Any]:
    return {
        "layer": number,
        "grad_norm_mean": size,
        "grad_rms_median": size * 10.0 ** (number - N_LAYERS),
        "bias_grad_rms_median": size * 10.0 ** (number - N_LAYERS),
        "update_ratio_median": 1e-3 if epoch else None,
        "nonfinite": 0,
    }


def entry(grant: dict[str, Any], epoch: int, accuracy: float) -> dict[str, Any]:
    measured = {
        "epoch": epoch,
        "steps": 10,
        "train_loss": 2.3 - accuracy,
        "train_accuracy": accuracy,
        "val_loss": 2.3 - accuracy,
        "val_accuracy": accuracy,
        "layers": [layer(number, epoch, 0.1) for number in range(1, N_LAYERS + 1)],
    }
    return {"trial_id": grant["trial_id"], "attempt": grant["attempt"], "epoch": measured}


def completed(grant: dict[str, Any], at: int) -> list[dict[str, Any]]:
    final = {"kind": "completed", "test_loss": 0.5, "test_accuracy": 0.9, "best_epoch": 3}
    entries = [entry(grant, epoch, 0.1 + 0.01 * at + 0.1 * epoch) for epoch in range(4)]
    return [*entries[:-1], entries[-1] | {"final": final}]


def failed(grant: dict[str, Any]) -> list[dict[str, Any]]:
    words = {"error_type": HOSTILE, "message": HOSTILE, "traceback": HOSTILE}
    return [entry(grant, 0, 0.1) | {"final": {"kind": "failed", "failure_kind": "error", **words}}]


def broken(grant: dict[str, Any]) -> list[dict[str, Any]]:
    first, second = entry(grant, 0, 0.1), entry(grant, 1, 0.1)
    second["epoch"] |= {"train_loss": None, "nonfinite": 4, "nonfinite_values": {"train_loss": "nan"}}
    second["epoch"]["layers"][0] |= {
        "grad_rms_median": None,
        "nonfinite": 4,
        "nonfinite_values": {"grad_rms_median": "inf"},
    }
    return [first, second]


class Prepared:
    """A service whose record holds trials of every kind, and where to find them."""

    def __init__(self, url: str, record: Any) -> None:
        with httpx.Client(base_url=url, trust_env=False) as http:
            self.url, self.sweep = url, http.post("/v1/sweeps", json=SWEEP).raise_for_status().json()["id"]
            worker = {
                "worker_id": "wrk_1", "host": HOSTILE, "pid": 1, "version": "0", "trainer": "reference",
                "device": HOSTILE, "n_slots": 28, "datasets": ["digits"],
            }  # fmt: skip
            claim = {"protocol": 1, "claim_key": "key", "worker": worker, "max_trials": 28, "lease_id": None}
            answer = http.post("/v1/claims", json=claim).raise_for_status().json()
            grants = answer["grants"]
            entries = [*failed(grants[0]), *broken(grants[1]), entry(grants[2], 0, 0.1)]
            entries += [each for at, grant in enumerate(grants[3:]) for each in completed(grant, at)]
            http.post(f"/v1/leases/{answer['lease_id']}/reports", json={"entries": entries}).raise_for_status()
        self.trials = {"failed": grants[0], "broken": grants[1], "running": grants[2], "best": grants[-1]}
        with closing(sqlite3.connect(record)) as connection, connection:
            connection.execute("UPDATE sweeps SET name = ?", (HOSTILE,))

    def address(self, view: str) -> str:
        places = {"sweeps": "/", "new": "/new", "workers": "/workers", "sweep": f"/sweeps/{self.sweep}"}
        places |= {name: f"/trials/{grant['trial_id']}" for name, grant in self.trials.items()}
        return f"{self.url}/#{places[view]}"


@pytest.fixture(scope="module")
def prepared(serve: Any) -> Iterator[Prepared]:
    with serve() as service:
        yield Prepared(service.url, service.record)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
@pytest.mark.parametrize(
    ("view", "heading", "n_plots"),
    [
        ("sweeps", "Sweeps", 0),
        ("new", "New sweep", 0),
        ("workers", "Workers", 0),
        ("sweep", HOSTILE, 1),
        ("failed", "Trial 0", 4),
    ],
    ids=["sweeps", "new", "workers", "sweep", "failed"],
)
def test_every_view_fits_and_shows_text_as_text(
    prepared: Prepared, open_page: Callable[..., Page], view: str, heading: str, n_plots: int, width: int, scheme: str
) -> None:
    page = open_page(prepared.address(view), width=width, scheme=scheme)
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    expect(page.locator(".js-plotly-plot")).to_have_count(n_plots)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("window.broken") is None
    assert page.locator("main img, main b").count() == 0


@pytest.mark.parametrize(("scheme", "paper"), [("light", "rgb(250, 249, 246)"), ("dark", "rgb(18, 20, 25)")])
def test_follows_the_theme_of_the_system(
    prepared: Prepared, open_page: Callable[..., Page], scheme: str, paper: str
) -> None:
    page = open_page(prepared.address("workers"), scheme=scheme)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == paper


def test_a_failed_trial_tells_why(prepared: Prepared, open_page: Callable[..., Page]) -> None:
    page = open_page(prepared.address("failed"))
    expect(page.get_by_role("region", name="Results")).to_contain_text(HOSTILE)
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_a_value_that_is_not_finite_is_crossed(prepared: Prepared, open_page: Callable[..., Page]) -> None:
    page = open_page(prepared.address("broken"))
    expect(page.get_by_role("img", name="Gradient flow")).to_contain_text("not finite")
    expect(page.locator(".chip", has_text="not finite")).to_be_visible()


def test_tabs_draw_every_figure_and_follow_the_arrows(prepared: Prepared, open_page: Callable[..., Page]) -> None:
    page = open_page(prepared.address("sweep"))
    shown = page.get_by_role("tabpanel").locator(".plot")
    expect(shown).to_have_attribute("aria-label", "History: val_accuracy of each trial")
    page.get_by_role("tab", name="History").focus()
    for words in ("over each parameter", "Parallel coordinates", "Learning curves", "Verdicts", "Stability over"):
        page.keyboard.press("ArrowRight")
        expect(shown).to_have_attribute("aria-label", re.compile(words))
        assert page.locator(".js-plotly-plot .scatterlayer path, .js-plotly-plot .barlayer path").count() > 0
    page.get_by_label("Up").select_option("normalization")
    expect(shown).to_have_attribute("aria-label", "Stability over learning_rate and normalization")


def test_trials_are_filtered_ordered_and_paged_by_the_service(
    prepared: Prepared, open_page: Callable[..., Page]
) -> None:
    page = open_page(prepared.address("sweep"), refusal="400")
    rows = page.get_by_role("region", name="Trials").locator("tbody tr")
    expect(rows).to_have_count(20)
    page.get_by_role("button", name="Later").click()
    expect(rows).to_have_count(8)
    page.get_by_role("button", name="val accuracy").click()
    expect(rows.first).to_contain_text("0.6400")
    page.get_by_label("Filter").fill("number < 5 AND")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="filter")).to_be_visible()
    page.get_by_label("Filter").fill("number < 5")
    page.get_by_label("state").select_option("completed")
    expect(rows).to_have_count(2)


def test_a_wrong_file_is_told_by_pointer_and_cannot_be_submitted(
    prepared: Prepared, open_page: Callable[..., Page]
) -> None:
    page = open_page(prepared.address("new"), refusal="422")
    expect(page.get_by_text("This can run")).to_be_visible()
    page.get_by_label("Sweep file").fill("name: a\ndataset: digits\nparameters: {learning_rte: 1}\n")
    problem = page.get_by_role("button", name="/parameters/learning_rte")
    problem.click()
    assert page.evaluate("document.getSelection().toString()") == "learning_rte"
    expect(page.get_by_role("button", name="Submit the sweep")).to_be_disabled()


def test_nothing_is_cancelled_without_being_asked_twice(prepared: Prepared, open_page: Callable[..., Page]) -> None:
    page = open_page(prepared.address("running"))
    page.get_by_role("button", name="Cancel …").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    trial = prepared.trials["running"]["trial_id"]
    assert not httpx.get(f"{prepared.url}/v1/trials/{trial}", trust_env=False).json()["stop_requested"]


def test_a_service_with_a_token_asks_for_it(
    serve: Any, open_page: Callable[..., Page], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("secret") / "token"
    file.write_text("a-secret-of-sixteen-letters")
    with serve(GRADSWEEP_TOKEN_FILE=str(file)) as service:
        page = open_page(service.url, refusal="401")
        page.get_by_role("textbox", name="Token").fill("a-secret-of-sixteen-letters")
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_role("heading", name="No sweep yet")).to_be_visible()
