"""Who may ask: hosts, origins, the token; and what every answer says to browsers."""

from contextlib import nullcontext

import pytest
from fastapi.testclient import TestClient

from service.api.guard import host_name
from service.app import create_app, read_token
from service.errors import Conflict
from service.settings import ServiceSettings

TOKEN = "a-secret-of-sixteen-letters"


@pytest.fixture
def make_client(sqlite_database, tmp_path):
    """A client of a service with other settings; it is not started, as nothing here needs the reaper."""

    def make(base_url="http://127.0.0.1:8321", **settings):
        app = create_app(ServiceSettings(data_dir=tmp_path, **settings), sqlite_database)
        return TestClient(app, base_url=base_url)

    return make


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    return path


@pytest.mark.parametrize(
    ("authority", "name"),
    [
        ("localhost", "localhost"),
        ("LOCALHOST:8321", "localhost"),
        ("127.0.0.1:8321", "127.0.0.1"),
        ("[::1]:8321", "::1"),
        ("[::1]", "::1"),
        ("", None),
        ("a:b:c", None),
        ("[::1", None),
        ("::1", None),
        ("a:port", None),
    ],
)
def test_the_name_in_a_host_header(authority, name):
    assert host_name(authority) == name


@pytest.mark.parametrize("host", ["localhost", "localhost:8321", "127.0.0.1:1", "[::1]:8321", "Sweeps.Lab:8321"])
def test_known_names_are_served(make_client, host):
    client = make_client(allowed_hosts="sweeps.lab, other")
    assert client.get("/livez", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io:8321", "", "[::1", "*"])
def test_other_names_are_not(make_client, host):
    answer = make_client().get("/livez", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_every_address_is_no_name(make_client, token_file):
    client = make_client(host="0.0.0.0", token_file=token_file)
    assert client.get("/livez", headers={"Host": "0.0.0.0"}).status_code == 403


def test_its_own_address_is_a_name(make_client, token_file):
    client = make_client(host="192.0.2.7", token_file=token_file)
    assert client.get("/livez", headers={"Host": "192.0.2.7:8321"}).status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8321", "file://", "http://[", "x"],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/sweeps"), ("GET", "/v1/sweeps/x/events"), ("GET", "/livez")]
)
def test_pages_of_other_origins_may_not_ask(make_client, origin, method, path):
    answer = make_client().request(method, path, headers={"Origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8321", "https://127.0.0.1:8321", "HTTP://127.0.0.1:8321"])
def test_its_own_page_may(make_client, origin):
    assert make_client().get("/livez", headers={"Origin": origin}).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer ä", TOKEN],
)
@pytest.mark.parametrize("path", ["/v1/sweeps", "/metrics", "/openapi.json", "/nothing"])
def test_without_the_token_nothing_is_told(make_client, token_file, authorization, path):
    headers = {} if authorization is None else {"Authorization": authorization.encode()}
    answer = make_client(token_file=token_file).get(path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_with_the_token_everything_is(make_client, token_file, scheme):
    client = make_client(token_file=token_file)
    assert client.get("/v1/sweeps", headers={"Authorization": f"{scheme} {TOKEN}"}).status_code == 200


def test_health_checks_need_no_token(make_client, token_file):
    client = make_client(token_file=token_file)
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 503, "the reaper has not been started"


@pytest.mark.parametrize("path", ["/livez", "/nothing", "/v1/sweeps"])
def test_every_answer_has_safe_headers(make_client, path):
    headers = make_client().get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_no_page_loads_code_from_elsewhere(make_client, path):
    assert make_client().get(path).status_code == 404


@pytest.mark.parametrize(
    ("host", "content", "outcome"),
    [
        ("127.0.0.1", None, nullcontext()),
        ("localhost", None, nullcontext()),
        ("::1", None, nullcontext()),
        ("0.0.0.0", TOKEN, nullcontext()),
        ("0.0.0.0", None, pytest.raises(Conflict, match="GRADSWEEP_TOKEN_FILE")),
        ("192.0.2.7", None, pytest.raises(Conflict, match="can be reached from other machines")),
        ("sweeps.lab", None, pytest.raises(Conflict, match="can be reached from other machines")),
        ("0.0.0.0", "short", pytest.raises(Conflict, match="at least 16")),
        ("127.0.0.1", "", pytest.raises(Conflict, match="at least 16")),
        ("127.0.0.1", "ä" * 20, pytest.raises(Conflict, match="cannot be read")),
    ],
)
def test_beyond_loopback_a_token_is_needed(tmp_path, host, content, outcome):
    (tmp_path / "token").write_text(content or "")
    path = None if content is None else tmp_path / "token"
    with outcome:
        read_token(ServiceSettings(data_dir=tmp_path, host=host, token_file=path))


def test_a_token_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(Conflict, match="nowhere"):
        read_token(ServiceSettings(data_dir=tmp_path, token_file=tmp_path / "nowhere"))
