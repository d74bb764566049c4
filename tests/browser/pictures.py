"""Take the pictures of docs/images anew: `make pictures`, a few minutes.

    python tests/browser/pictures.py              train the sweeps below, and take the pictures
    python tests/browser/pictures.py --data DIR   keep the record there, and take what is there already

The sweeps are real: a search, an ablation of a network whose gradient vanishes with a rescue of it, and one that waits.
"""

import argparse
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from gradsweep.cli.demo import running_household
from gradsweep.client import Client

IMAGES = Path(__file__).parents[2] / "docs" / "images"
CHROMIUM = "/usr/bin/chromium"
WIDTH = 1180
N_COLORS = 128
SEARCH: dict[str, Any] = {
    "name": "digits-search",
    "dataset": "digits",
    "method": "tpe",
    "metric": {"name": "val_accuracy"},
    "run_cap": 40,
    "early_terminate": {"type": "hyperband", "min_iter": 2, "eta": 2},
    "seed": 7,
    "parameters": {
        "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 3.0},
        "optimizer": {"values": ["sgd", "adam", "rmsprop"]},
        "normalization": {"values": ["none", "batch", "layer"]},
        "activation": {"values": ["relu", "tanh", "sigmoid"]},
        "residual": {"values": [True, False]},
        "dropout": {"min": 0.0, "max": 0.5},
        "hidden_units": {"value": [32, 32, 32, 32, 32, 32]},
        "epochs": 8,
    },
}
REMEDIES: dict[str, Any] = {
    "name": "five-remedies",
    "dataset": "digits",
    "method": "ablation",
    "metric": {"name": "val_accuracy"},
    "seeds": 3,
    "seed": 11,
    "parameters": {
        "depth": 10,
        "width": 32,
        "activation": "sigmoid",
        "optimizer": "sgd",
        "learning_rate": 0.05,
        "epochs": 8,
    },
}
WAITING: dict[str, Any] = {
    "name": "wide-networks",
    "dataset": "mnist-5k",
    "method": "random",
    "run_cap": 120,
    "parameters": {
        "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 0.1},
        "hidden_units": {"values": [[256, 128], [512, 256], [512, 512, 256]]},
    },
}


def train(client: Client) -> None:
    """Run the sweeps to their ends, but the last, which is paused; nothing if they are there."""
    if any(sweep.name == WAITING["name"] for sweep in client.all_sweeps()):
        return
    for document in (SEARCH, REMEDIES):
        follow(client, client.submit(document).id)
    sweep = client.sweep(REMEDIES["name"])
    client.rescue_trial(vanished(client).id)
    follow(client, sweep.id)
    client.pause(client.submit(WAITING).id)


def follow(client: Client, sweep_id: str) -> None:
    """Wait for the end of a sweep."""
    for _ in client.events(sweep_id):
        pass


def vanished(client: Client) -> Any:
    """The first trial whose gradient vanished."""
    return client.trials(REMEDIES["name"], filter="verdict = vanishing").trials[0]


def take(browser: Browser, url: str, client: Client) -> None:
    """One picture a view."""
    search, remedies = client.sweep(SEARCH["name"]).id, client.sweep(REMEDIES["name"]).id

    def picture(name: str, place: str, *, scheme: str = "light", height: int, first: Callable[[Page], None]) -> None:
        with browser.new_context(viewport={"width": WIDTH, "height": height}, color_scheme=scheme) as context:  # type: ignore[arg-type]
            page = context.new_page()
            page.goto(f"{url}/#{place}")
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            first(page)
            save(page.screenshot(), IMAGES / f"{name}.png")

    picture("sweeps", "/", scheme="dark", height=640, first=lambda page: None)
    picture("new", "/new", height=1000, first=lambda page: expect(page.get_by_text("This can run")).to_be_visible())
    picture("sweep", f"/sweeps/{search}", height=1560, first=lambda page: tab(page, "Stability map"))
    picture("remedies", f"/sweeps/{remedies}", height=630, first=five_remedies)
    picture("trial", f"/trials/{vanished(client).id}", height=1500, first=drawn)


def tab(page: Page, name: str) -> None:
    """Choose a figure."""
    page.get_by_role("tab", name=name).click()
    expect(page.locator(".js-plotly-plot")).to_have_count(1)


def five_remedies(page: Page) -> None:
    """The figure alone: what is above it is scrolled away."""
    tab(page, "Five remedies")
    page.get_by_role("region", name="Figures").evaluate("one => scrollBy(0, one.getBoundingClientRect().top - 24)")


def drawn(page: Page) -> None:
    """All figures of a trial."""
    expect(page.locator(".js-plotly-plot")).to_have_count(4)


def save(screenshot: bytes, path: Path) -> None:
    """With few colors, which a page of text and flat areas does not miss."""
    with Image.open(io.BytesIO(screenshot)) as image:
        image.convert("RGB").quantize(N_COLORS).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size // 1000} kB")


def main() -> None:
    """Train what is missing, and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, help="folder of the record; a temporary one if left out")
    given = parser.parse_args().data
    with (
        tempfile.TemporaryDirectory(prefix="gradsweep-pictures-") as folder,
        running_household(given or Path(folder), ["--slots", "8"]) as url,
        Client(url) as client,
        sync_playwright() as playwright,
    ):
        train(client)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--headless", "--no-sandbox"])
        take(browser, url, client)
        browser.close()


if __name__ == "__main__":
    main()
