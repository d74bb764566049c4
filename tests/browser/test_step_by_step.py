"""The first steps of a trial: asked for on its page, shown as they come, whoever makes them."""

from typing import Any

import httpx
from playwright.sync_api import expect

HOSTILE = "<b>no</b> memory"
HEADER = "step,layer,loss,global_norm,grad_norm,grad_rms,bias_grad_rms,update_ratio,weight_norm"
TABLE = "\n".join([HEADER, *(f"{step},{layer}{7 * ',0.5'}" for step in (1, 2, 3) for layer in range(1, 6))]) + "\n"
RECORDED = {"kind": "recorded", "csv": TABLE, "same_program": True}


def answer_as_worker(prepared: Any, result: dict[str, Any]) -> None:
    """A worker takes the recording that waits, and says what came of it."""
    with httpx.Client(base_url=prepared.url, trust_env=False) as http:
        claim = {"claim_key": f"clm_{result['kind']}", "worker": prepared.worker}
        taken = http.post("/v1/claims/recordings", json=claim).raise_for_status().json()
        fence = {name: taken["recording"][name] for name in ("trial_id", "attempt")}
        report = http.post(f"/v1/leases/{taken['lease_id']}/recordings", json={**fence, "result": result})
        assert report.raise_for_status().json() == {"outcome": "stored"}


def test_steps_are_asked_for_and_drawn_when_they_are_made_or_it_is_said_why_not(open_page: Any, prepared: Any) -> None:
    page = open_page(prepared.address("best"), refusal="422")
    card = page.get_by_role("region", name="Step by step")
    card.get_by_label("Steps").fill("0")
    card.get_by_role("button", name="Record").click()
    expect(card.get_by_label("Steps")).to_have_attribute("aria-invalid", "true")

    card.get_by_label("Steps").fill("3")
    card.get_by_role("button", name="Record").click()
    expect(card.get_by_role("status")).to_contain_text("queued")
    expect(card.get_by_role("button", name="Record")).to_be_hidden()
    expect(card.locator(".js-plotly-plot")).to_have_count(0)

    answer_as_worker(prepared, RECORDED)
    expect(card.get_by_role("status")).to_contain_text("recorded")  # the page was not loaded again
    expect(card.get_by_role("status")).to_contain_text("epoch for epoch as it was")
    expect(card.get_by_role("img", name="The first 3 steps")).to_contain_text("layer 5 · output")
    with page.expect_download() as download:
        card.get_by_role("link", name="Download the steps as csv").click()
    assert download.value.path().read_text() == TABLE

    card.get_by_role("button", name="Record").click()
    expect(card.get_by_role("status")).to_contain_text("queued")
    answer_as_worker(prepared, {"kind": "failed", "reason": HOSTILE})
    expect(card.get_by_role("status")).to_contain_text(HOSTILE)
    expect(card.locator(".js-plotly-plot")).to_be_visible()  # those of before stay


def test_a_trial_that_runs_cannot_be_recorded_yet(open_page: Any, prepared: Any) -> None:
    page = open_page(prepared.address("running"))
    card = page.get_by_role("region", name="Step by step")
    expect(card).to_contain_text("When the trial has ended")
    expect(card.get_by_role("button", name="Record")).to_be_hidden()
