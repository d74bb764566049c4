"""The process around the loop: what it needs to start, and how a signal ends it."""

import logging
import os
import signal

import httpx
import pytest

import worker.main
from worker.client import ServiceClient
from worker.folder import WorkerFolder
from worker.loop import EXIT_REFUSED
from worker.main import real_id, run_worker
from worker.settings import WorkerSettings


@pytest.fixture(autouse=True)
def with_fakes(monkeypatch, make_bench, service, tmp_path):
    trainer = make_bench(tmp_path / "other").trainer
    monkeypatch.setattr(worker.main, "make_trainer", lambda settings: trainer)
    monkeypatch.setattr(
        worker.main,
        "ServiceClient",
        lambda url, **settings: ServiceClient(url, **settings, transport=httpx.MockTransport(service.handle)),
    )
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def settings(tmp_path):
    return WorkerSettings(data_dir=tmp_path, slots=4)


def test_sigterm_ends_the_epoch_hands_back_and_exits_0(settings, service, tmp_path):
    service.add_trials(2, epochs=100_000)
    service.refuses = lambda entry: (
        entry.trial_id == "trl_0" and entry.epoch.epoch == 3 and os.kill(os.getpid(), signal.SIGTERM)
    )
    assert run_worker(settings) == 0
    assert service.states() == {"waiting": 2}
    assert service.calls[-1] == "release"
    assert WorkerFolder.take(tmp_path, lambda: "wrk_new").lease_id is None


@pytest.mark.parametrize(("content", "said"), [(None, "cannot be read"), ("  \n", "is empty")])
def test_a_token_file_without_a_token_is_refused(settings, tmp_path, caplog, content, said):
    path = tmp_path / "token"
    _write(path, content)
    settings.token_file = path
    assert run_worker(settings) == EXIT_REFUSED
    assert said in caplog.text


def _write(path, content):
    if content is not None:
        path.write_text(content)


def test_the_token_is_read_without_the_newline(settings, tmp_path, service):
    settings.token_file = tmp_path / "token"
    settings.token_file.write_text("sesame\n")
    service.status_of["claims"] = 401
    assert run_worker(settings) == EXIT_REFUSED
    assert service.calls == ["claims"]


def test_a_data_folder_that_cannot_be_written_is_refused(settings, tmp_path, caplog):
    (tmp_path / "worker").write_text("in the way")
    assert run_worker(settings) == EXIT_REFUSED
    assert "Choose another data folder" in caplog.text


def test_ids_are_valid_on_the_wire_and_differ():
    ids = {real_id("clm") for _ in range(100)}
    assert len(ids) == 100
    assert max(map(len, ids)) <= 64


@pytest.mark.parametrize("url", ["localhost:8321", "", "ftp://x", "http://"])
def test_an_address_without_scheme_is_refused(url):
    with pytest.raises(ValueError, match="url"):
        WorkerSettings(url=url)


def test_the_http_librarys_own_lines_are_left_out(settings, service):
    service.status_of["claims"] = 401
    run_worker(settings)
    assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)
