"""Whatever is sent, the answer is a problem with a 4xx and a pointer, never a 5xx; on both databases."""

import gzip
import json
from pathlib import Path

import pytest
import yaml

HUGE = 2**63
HOSTILE_JSON = {
    "empty": b"",
    "not JSON": b"run_cap = 4",
    "cut off": b'{"parameters": {',
    "NaN": b'{"run_cap": NaN}',
    "Infinity": b'{"run_cap": Infinity}',
    "minus Infinity": b'{"run_cap": -Infinity}',
    "1e999": b'{"run_cap": 1e999, "parameters": {"learning_rate": 1e999}}',
    "2^63": b'{"run_cap": 9223372036854775808, "parameters": {"learning_rate": 9223372036854775808}}',
    "5,000 digits": b'{"run_cap": ' + b"7" * 5_000 + b"}",
    "5,000 digits in a parameter": b'{"parameters": {"learning_rate": {"min": ' + b"7" * 5_000 + b"}}}",
    "100,000 arrays": b'{"parameters": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "100,000 objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "arrays never closed": b"[" * 100_000,
    "a lone surrogate": b'{"name": "\\ud800"}',
    "a lone surrogate as key": b'{"\\udfff": 1}',
    "a lone surrogate in UTF-8": b'{"name": "\xed\xa0\x80"}',
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "NUL": b'{"name": "a\\u0000b"}',
    "NUL as key": b'{"a\\u0000b": 1}',
    "NUL in a parameter": b'{"parameters": {"optimizer": "a\\u0000d"}}',
    "a raw NUL": b'{"name": "a\x00b"}',
    "a key twice": b'{"run_cap": 1, "run_cap": 2}',
    "an array": b"[]",
    "a number": b"7",
    "null": b"null",
    "a text": b'"sweep"',
    "a path as name": b'{"name": "../../etc/passwd", "parameters": {"learning_rate": {"values": [0.1]}}}',
    "a path as data set": b'{"dataset": "../secret", "parameters": {"learning_rate": {"values": [0.1]}}}',
    "a URL as data set": b'{"dataset": "http://example.com/x.npz", "parameters": {"learning_rate": {"values": [1]}}}',
    "code": b'{"command": ["rm", "-rf"], "program": "x.py", "parameters": {"__import__": {"value": 1}}}',
}
HOSTILE_YAML = {
    "a bomb": b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nparameters: [*c, *c]\n",
    "a merge bomb": b"a: &a {x: 1}\nb: &b {<<: *a, y: 2}\nparameters: {<<: *b}\n",
    "a tag": b"!!python/object/apply:os.system ['true']\n",
    "a binary": b"name: !!binary aGVsbG8=\n",
    "a key twice": b"run_cap: 1\nrun_cap: 2\n",
    "not a number": b"run_cap: .nan\nparameters: {learning_rate: .inf}\n",
    "two documents": b"run_cap: 1\n---\nrun_cap: 2\n",
    "a tab": b"\trun_cap: 1\n",
    "a list": b"- 1\n- 2\n",
    "depth": b"a: " + b"{a: " * 5_000 + b"1" + b"}" * 5_000 + b"\n",
    "depth in flow": b"[" * 100_000,
    "5,000 digits": b"run_cap: " + b"9" * 5_000 + b"\n",
    "NUL": b'name: "a\\0b"\n',
    "a raw NUL": b"name: a\x00b\n",
    "a lone surrogate": b'name: "\\ud800"\n',
    "empty": b"",
    "a comment": b"# nothing\n",
    "a long text": b"x" * 300_000,
}
CORPUS = yaml.safe_load((Path(__file__).parents[2] / "corpus" / "bad_sweeps.yaml").read_text())
WRONG_TYPES = (None, True, -1, 0, 1.5, HUGE, "x", "", [], [None], {}, {"a": {"b": []}})
SWEEP_KEYS = (
    "name",
    "dataset",
    "method",
    "metric",
    "run_cap",
    "early_terminate",
    "parameters",
    "preset",
    "seed",
    "max_parallel",
    "failure_limit",
    "statistics_every",
    "gradient_rules",
    "time_budget_minutes",
    "surprise",
)
GOOD = {"run_cap": 2, "method": "random", "parameters": {"learning_rate": {"min": 0.001, "max": 0.1}}}


def assert_refused(response):
    """A 4xx that says what was wrong, as problem+json without a traceback."""
    assert 400 <= response.status_code < 500, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["detail"]
    assert "Traceback" not in response.text
    assert len(response.content) < 20_000


@pytest.mark.parametrize("body", HOSTILE_JSON.values(), ids=HOSTILE_JSON)
@pytest.mark.parametrize("path", ["/v1/sweeps", "/v1/claims", "/v1/leases/lse_1/reports", "/v1/leases/lse_1:heartbeat"])
def test_hostile_json(lasting_client, path, body):
    assert_refused(lasting_client.post(path, content=body, headers={"Content-Type": "application/json"}))


@pytest.mark.parametrize("body", HOSTILE_YAML.values(), ids=HOSTILE_YAML)
def test_hostile_yaml(lasting_client, body):
    assert_refused(lasting_client.post("/v1/sweeps", content=body, headers={"Content-Type": "application/yaml"}))


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case["name"])
def test_the_corpus_of_bad_sweeps(lasting_client, case):
    text = "".join(part * times for part, times in case.get("parts", [[case.get("text"), 1]]))
    headers = {"Content-Type": f"application/{case.get('kind', 'yaml')}"}
    response = lasting_client.post("/v1/sweeps", content=text.encode(), headers=headers)
    assert_refused(response)
    said = {error["pointer"]: error["message"] for error in response.json()["errors"]}
    assert response.json()["code"] == case["code"]
    assert case["says"] in said[case["pointer"]]


@pytest.mark.parametrize("key", SWEEP_KEYS)
def test_wrong_types_in_a_sweep_are_never_a_5xx(lasting_client, key):
    answers = [
        lasting_client.post("/v1/sweeps", json=GOOD | {key: value}, params={"validate_only": True})
        for value in WRONG_TYPES
    ]
    assert {answer.status_code for answer in answers} <= {200, 422}
    assert 422 in {answer.status_code for answer in answers}


@pytest.mark.parametrize("key", ["claim_key", "worker", "lease_id", "max_trials", "signature"])
def test_wrong_types_in_a_claim_are_never_a_5xx(lasting_client, http_worker, key):
    body = http_worker(lasting_client).claim_body()
    answers = [lasting_client.post("/v1/claims", json=body | {key: value}) for value in WRONG_TYPES]
    assert {answer.status_code for answer in answers} <= {200, 409, 422}
    assert 422 in {answer.status_code for answer in answers}


def test_extreme_values_that_are_right_are_stored(client, submit, worker, epoch_entry):
    """What a measured epoch may hold at its limits, so that no column is narrower than the wire."""
    submit()
    grant = worker.claim(1)[0]
    largest, limit = 1.7976931348623157e308, 2**53 - 1
    entry = epoch_entry(
        grant, 0, steps=limit, train_loss=largest, loss_max=-largest, loss_spikes=limit, nonfinite=limit
    )
    entry["start"] = {"stream_seed": limit, "start_epoch": limit, "dataset_sha256": "0" * 64}
    entry["epoch"]["layers"] = [{"layer": 1024, "grad_norm_mean": 5e-324, "nonfinite": limit}]
    assert worker.report(entry)[0]["directive"] in {"continue", "prune"}


def test_a_nul_in_a_report_is_refused(lasting_client):
    final = {"kind": "failed", "failure_kind": "error", "error_type": "E", "message": "a\0b"}
    entry = {"trial_id": "trl_1", "attempt": 1, "final": final}
    response = lasting_client.post("/v1/leases/lse_1/reports", json={"entries": [entry]})
    assert_refused(response)
    assert "NUL" in response.json()["detail"]


def test_any_text_is_kept_as_text(client, submit, worker):
    submit()
    grant = worker.claim(1)[0]
    message = "'; DROP TABLE trials; -- <script>\u202e\U0001f600\\u0000 %s {} \x7f\t\n"
    final = {"kind": "failed", "failure_kind": "error", "error_type": "E", "message": message, "traceback": message}
    worker.report({"trial_id": grant["trial_id"], "attempt": 1, "final": final})
    assert client.get(f"/v1/trials/{grant['trial_id']}").json()["failure"]["message"] == message


@pytest.mark.parametrize(
    "name",
    [
        "%00",
        "x%00y",
        "..%2f..%2fetc%2fpasswd",
        "%ff%fe",
        "%ED%A0%80",
        "%0a",
        "x" * 200,
        "'%20OR%201=1",
        "%7f",
        "*",
        "%25",
        "%F0%9F%98%80",
    ],
)
@pytest.mark.parametrize("path", ["/v1/sweeps/{}", "/v1/sweeps/{}/trials", "/v1/trials/{}", "/v1/sweeps/{}:pause"])
def test_hostile_names_in_the_path(lasting_client, path, name):
    method = "POST" if path.endswith("pause") else "GET"
    assert_refused(lasting_client.request(method, path.format(name)))


@pytest.mark.parametrize("name", ["%2e%2e", "..", "../../etc/passwd", "a/b", ""])
def test_a_path_that_climbs_leads_nowhere(lasting_client, name):
    assert lasting_client.get(f"/v1/trials/{name}").status_code in {404, 422}


@pytest.mark.parametrize(
    "query",
    [
        "filter=%00",
        "filter=%ff",
        "filter=%ED%A0%80",
        "filter=" + "(" * 1_000,
        "filter=" + "a" * 5_000,
        "filter=number=" + "9" * 1_900,
        "filter=objective>1e999",
        "filter=state=%27%20OR%201=1--",
        "order_by=" + "a," * 400,
        "order_by=number;DROP",
        "page_size=0",
        "page_size=501",
        "page_size=1e3",
        "page_size=" + "9" * 5_000,
        "page_size=NaN",
        "page_size=1&page_token=%00",
        "page_token=AAAA",
        "page_token=" + "A" * 5_000,
        "page_token=%F0%9F%98%80",
        "surprise=1",
        "filtr=state=completed",
        "%00=1",
        "%ff=1",
        "k=1",
    ],
)
def test_hostile_queries(lasting_client, query):
    assert_refused(lasting_client.get(f"/v1/sweeps?{query}"))


@pytest.mark.parametrize("query", ["k=0", "k=501", "k=x", "k=9" + "9" * 100, "filter=stat", "layer=1"])
def test_hostile_queries_for_the_best(lasting_client, query):
    assert_refused(lasting_client.get(f"/v1/sweeps/x/best?{query}"))


@pytest.mark.parametrize("query", ["layer=0", "layer=1025", "from_epoch=-1", "from_epoch=100001", "layer=1.5"])
def test_hostile_queries_for_gradients(lasting_client, query):
    assert_refused(lasting_client.get(f"/v1/trials/x/gradients?{query}"))


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
        "x",
        "",
        "application/json2",
        "a" * 1000,
    ],
)
@pytest.mark.parametrize("path", ["/v1/sweeps", "/v1/claims"])
def test_bodies_of_another_kind(lasting_client, path, media_type):
    response = lasting_client.post(path, content=b"{}", headers={"Content-Type": media_type})
    assert_refused(response)
    assert response.status_code == 415


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/v1/sweeps", 1_000_001, 413),
        ("/v1/claims", 1_000_001, 400),
        ("/v1/leases/lse_1/reports", 16_000_001, 413),
        ("/v1/leases/lse_1:release", 16_000_001, 413),
    ],
)
@pytest.mark.parametrize("is_chunked", [False, True])
def test_bodies_that_are_too_large(lasting_client, path, size, status, is_chunked):
    content = (b"x" * 100_000 for _ in range(size // 100_000 + 1)) if is_chunked else b"x" * size
    response = lasting_client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert_refused(response)
    assert response.status_code == status


@pytest.mark.parametrize("length", ["99999999999", "9" * 4_400, "1000001"])
def test_a_length_is_refused_before_the_body_is_read(lasting_client, length):
    headers = {"Content-Type": "application/json", "Content-Length": length}
    response = lasting_client.post("/v1/sweeps", content=b"{}", headers=headers)
    assert_refused(response)
    assert response.status_code == 413


@pytest.mark.parametrize(
    ("path", "encoding", "body", "status"),
    [
        ("/v1/claims", "gzip", b"plain", 400),
        ("/v1/claims", "gzip", gzip.compress(b"{}")[:-3], 400),
        ("/v1/claims", "gzip", b"", 400),
        ("/v1/claims", "gzip", gzip.compress(b"\x00" * 17_000_000), 413),
        ("/v1/claims", "br", b"{}", 415),
        ("/v1/claims", "gzip, gzip", gzip.compress(gzip.compress(b"{}")), 415),
        ("/v1/sweeps", "gzip", gzip.compress(json.dumps(GOOD).encode()), 415),
        ("/v1/sweeps", "x" * 500, b"{}", 415),
    ],
)
def test_packed_bodies(lasting_client, path, encoding, body, status):
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    response = lasting_client.post(path, content=body, headers=headers)
    assert_refused(response)
    assert response.status_code == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1", 404),
        ("GET", "/v2/sweeps", 404),
        ("PUT", "/v1/sweeps", 405),
        ("PATCH", "/v1/sweeps/x", 405),
        ("POST", "/v1/sweeps/x", 405),
        ("GET", "/v1/claims", 405),
        ("OPTIONS", "/v1/sweeps", 405),
        ("TRACE", "/livez", 405),
        ("BREW", "/livez", 405),
        ("GET", "/v1/sweeps/", 404),
        ("GET", "//v1/sweeps", 404),
    ],
)
def test_what_there_is_not(lasting_client, method, path, status):
    response = lasting_client.request(method, path, follow_redirects=False)
    assert_refused(response)
    assert response.status_code == status
