"""Sessions of browsers: the cookie, what it opens, and what it does not."""

import pytest
from fastapi.testclient import TestClient

from service.api.cookies import COOKIE, is_signed, sign
from service.app import create_app
from service.settings import ServiceSettings

TOKEN = "a-secret-of-sixteen-letters"
ORIGIN = "http://127.0.0.1:8321"


@pytest.fixture
def make_browser(sqlite_database, tmp_path):
    """A browser at a service with a token or without."""
    (tmp_path / "token").write_text(TOKEN)

    def make(token_file="token", base_url=ORIGIN):
        path = tmp_path / token_file if token_file else None
        app = create_app(ServiceSettings(data_dir=tmp_path, token_file=path), sqlite_database)
        return TestClient(app, base_url=base_url)

    return make


def test_logging_in_opens_everything_and_logging_out_closes_it(make_browser):
    browser = make_browser()
    assert browser.get("/v1/session").json() == {"is_token_needed": True, "is_logged_in": False}
    assert browser.post("/v1/session", json={"token": f" {TOKEN}\n"}).status_code == 204
    assert browser.get("/v1/session").json() == {"is_token_needed": True, "is_logged_in": True}
    assert browser.get("/v1/sweeps").status_code == 200
    assert browser.delete("/v1/session").status_code == 204
    assert browser.get("/v1/sweeps").status_code == 401


@pytest.mark.parametrize("other", ['a={"x":1}', "foo", "a=b c", "a[b=1", "ü=1"])
def test_cookies_of_other_services_on_the_machine_are_passed_over(other):
    header = f"{other}; {COOKIE}={sign(TOKEN.encode(), 100)}; more=1"
    assert is_signed(TOKEN.encode(), header, now=99.0)
    assert not is_signed(TOKEN.encode(), header, now=100.0)


@pytest.mark.parametrize("token", [TOKEN[:-1], TOKEN + "x", "ä" * 20, "🎲", "x" * 1000])
def test_a_wrong_token_sets_no_cookie(make_browser, token):
    answer = make_browser().post("/v1/session", json={"token": token})
    assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)


@pytest.mark.parametrize("body", [{}, {"token": ""}, {"token": 1}, {"token": "x" * 1001}, {"token": TOKEN, "more": 1}])
def test_what_is_no_log_in_is_refused(make_browser, body):
    assert make_browser().post("/v1/session", json=body).status_code == 422


def test_without_a_token_there_is_nothing_to_log_in_to(make_browser):
    browser = make_browser(token_file=None)
    assert browser.get("/v1/session").json() == {"is_token_needed": False, "is_logged_in": True}
    answer = browser.post("/v1/session", json={"token": "anything"})
    assert (answer.status_code, "set-cookie" in answer.headers) == (204, False)


@pytest.mark.parametrize(
    ("base_url", "origin", "is_secure"),
    [(ORIGIN, ORIGIN, False), (ORIGIN, "https://127.0.0.1:8321", True), ("https://127.0.0.1:8321", None, True)],
)
def test_no_script_reads_the_cookie_and_no_other_site_sends_it(make_browser, base_url, origin, is_secure):
    headers = {} if origin is None else {"Origin": origin}
    answer = make_browser(base_url=base_url).post("/v1/session", json={"token": TOKEN}, headers=headers)
    attributes = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")}
    assert {"httponly", "samesite=strict", "path=/", "max-age=604800"} <= attributes
    assert ("secure" in attributes) is is_secure


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 403), ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403), ({"Origin": ORIGIN}, 404)],
)
def test_a_change_by_cookie_needs_its_own_origin(make_browser, headers, status):
    browser = make_browser()
    browser.post("/v1/session", json={"token": TOKEN})
    assert browser.delete("/v1/sweeps/nothing", headers=headers).status_code == status


def test_a_program_with_the_token_needs_no_origin(make_browser):
    answer = make_browser().delete("/v1/sweeps/nothing", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 404


GOOD = sign(TOKEN.encode(), 2_000)


@pytest.mark.parametrize(
    ("header", "now", "holds"),
    [
        (f"{COOKIE}={GOOD}", 1_999, True),
        (f"other=1; {COOKIE}={GOOD}; more=2", 1_999, True),
        (f"{COOKIE}={GOOD}", 2_000, False),
        (f"{COOKIE}={GOOD.replace('2000', '3000')}", 1_999, False),
        (f"{COOKIE}={GOOD[:-1]}", 1_999, False),
        (f"{COOKIE}={sign(b'another-secret-of-letters', 2_000)}", 1_999, False),
        (f"{COOKIE}=", 1_999, False),
        (f"{COOKIE}=²000.x", 1_999, False),
        (f"{COOKIE}={'9' * 5000}.x", 1_999, False),
        (f"{COOKIE}=2000.ä", 1_999, False),
        ("", 1_999, False),
        ("=;;=\x7f", 1_999, False),
    ],
)
def test_which_cookies_hold(header, now, holds):
    assert is_signed(TOKEN.encode(), header, now) is holds
