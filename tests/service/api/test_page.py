"""The files of the page: what they are sent with, and that they ask nothing of anyone else."""

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import ServiceSettings

FOLDER = Path(__file__).parents[3] / "service" / "dashboard"
FILES = sorted(path.name for path in FOLDER.iterdir())
OWN_SCRIPTS = [name for name in FILES if name.endswith(".js")]


@pytest.fixture
def visitor(tmp_path, sqlite_database):
    """A browser without a token, at a service that has one."""
    token = tmp_path / "token"
    token.write_text("a-secret-of-sixteen-letters")
    app = create_app(ServiceSettings(data_dir=tmp_path, token_file=token), sqlite_database)
    return TestClient(app, base_url="http://127.0.0.1:8321")


@pytest.mark.parametrize("path", ["/", *(f"/dashboard/{name}" for name in [*FILES, "plotly.min.js"])])
def test_every_file_comes_without_a_token_and_under_the_policy(visitor, path):
    answer = visitor.get(path)
    assert answer.status_code == 200
    assert "default-src 'none'; script-src 'self'; " in answer.headers["content-security-policy"]
    again = visitor.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, br", "gzip"),
        ("br, GZIP;q=0.5", "gzip"),
        ("br", None),
        ("gzip;q=0", None),
        ("gzip; q=0.0", None),
        ("", None),
    ],
)
def test_files_are_packed_for_those_who_unpack(visitor, accepted, coding):
    answer = visitor.get("/dashboard/app.js", headers={"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding") == coding
    assert answer.text == (FOLDER / "app.js").read_text()
    assert answer.headers["vary"] == "Accept-Encoding"


def test_plotly_is_kept_for_good_under_its_version(visitor):
    (version,) = re.findall(r'name="plotly-version" content="([0-9a-f]{32})"', visitor.get("/").text)
    kept = visitor.get("/dashboard/plotly.min.js", params={"v": version})
    assert "immutable" in kept.headers["cache-control"]
    assert int(kept.headers["content-length"]) < len(kept.content) / 3
    for other in ({}, {"v": "0" * 32}):
        assert visitor.get("/dashboard/plotly.min.js", params=other).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fapp.py", "%2e%2e%2fapp.py"])
def test_no_name_opens_another_file(visitor, name):
    assert visitor.get(f"/dashboard/{name}").status_code in (401, 404)


def test_the_rest_still_wants_the_token(visitor):
    assert visitor.get("/v1/sweeps").status_code == 401


@pytest.mark.parametrize("name", OWN_SCRIPTS)
def test_scripts_never_parse_markup_or_code(name):
    text = (FOLDER / name).read_text()
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://", text)
        == []
    )


@pytest.mark.parametrize("name", OWN_SCRIPTS)
def test_every_import_is_there(name):
    imported = re.findall(r'from "\./([a-z_]+\.js)"', (FOLDER / name).read_text())
    assert set(imported) <= set(FILES)
