"""A device without memory: wherever a program meets it, the bank is halved and no trial is lost."""

import gc
import logging
import weakref
from copy import copy
from dataclasses import replace

import pytest
import tensorflow as tf

from worker.errors import OutOfDeviceMemory
from worker.training.fused.backend import device_memory_errors
from worker.training.fused.bank import FusedBank

BY_NAME = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[4,128,784]")
IN_WORDS = tf.errors.InternalError(None, None, "Failed to load CUBIN: CUDA_ERROR_OUT_OF_MEMORY: out of memory")
OTHERWISE = tf.errors.InternalError(None, None, "Failed to create a handle")


@pytest.mark.parametrize("error", [BY_NAME, IN_WORDS, MemoryError("Unable to allocate 3 GiB")])
def test_every_complaint_about_memory_is_understood(error):
    with pytest.raises(OutOfDeviceMemory, match="use fewer slots"), device_memory_errors():
        raise error


def test_other_errors_of_the_device_stay_what_they_are():
    with pytest.raises(tf.errors.InternalError, match="handle"), device_memory_errors():
        raise OTHERWISE


class FullPrograms:
    """Programs of which one function fails, from some call on, if it is of more slots than fit.

    Args:
        programs: The honest ones, compiled once for all tests.
        name: The function: train, probe or evaluate.
        n_calls: How often it succeeds before.
        error: What it raises.
        fitting: Slots of the largest tile that fits.
    """

    def __init__(self, programs, name, n_calls, error, fitting):
        self.programs, self.name, self.n_calls, self.error, self.fitting = programs, name, n_calls, error, fitting

    def program_for(self, signature):
        program = copy(self.programs.program_for(signature))
        if signature.n_slots > self.fitting:
            honest = getattr(program, self.name)
            setattr(program, self.name, lambda *arguments: self._call(honest, arguments))
        return program

    def _call(self, honest, arguments):
        self.n_calls -= 1
        if self.n_calls < 0:
            raise self.error
        return honest(*arguments)


@pytest.fixture
def full_bench(bench, short_dataset, programs):
    """Makes a worker whose banks are real, one tile of four slots of a small network, on few rows.

    `bench.trainer.banks` are those it has made.
    """
    data = replace(short_dataset, x_train=short_dataset.x_train[:64], y_train=short_dataset.y_train[:64])

    def make(name, n_calls, error, *, fitting):
        full = FullPrograms(programs, name, n_calls, error, fitting)

        def make_bank(dataset, *, hidden_units, batch_size, stream_seed, n_slots, statistics_every, representatives=()):
            bank = FusedBank(
                data, hidden_units, batch_size, stream_seed, n_slots=n_slots, n_streams=1, slots_per_tile=n_slots,
                statistics_every=statistics_every, fold=False, programs=full,
            )  # fmt: skip
            bench.trainer.banks.append(bank)
            return bank

        bench.trainer.make_bank = make_bank
        return bench

    return make


@pytest.mark.parametrize(
    ("name", "n_calls", "error"),
    [
        ("probe", 0, BY_NAME),
        ("train", 0, IN_WORDS),
        ("train", 1, BY_NAME),
        ("evaluate", 1, IN_WORDS),
        ("evaluate", 2, BY_NAME),
    ],
)
def test_half_the_slots_go_on_where_a_program_does_not_fit(full_bench, service, name, n_calls, error):
    """At its first call a program is compiled; the third evaluation is of the test split."""
    service.add_trials(4, epochs=2)
    bench = full_bench(name, n_calls, error, fitting=2)
    assert bench.run_until_idle() == 0
    assert [bank.n_slots for bank in bench.trainer.banks] == [4, 2]
    assert service.states() == {"completed": 4}
    assert {trial.attempt for trial in service.trials.values()} == {2}
    assert [trial.epochs[-3:] for trial in service.trials.values()] == [[0, 1, 2]] * 4


def test_what_fits_no_slot_fails_as_out_of_memory_and_the_worker_lives(full_bench, service):
    service.add_trials(2, epochs=1)
    bench = full_bench("train", 0, IN_WORDS, fitting=0)
    assert bench.run_until_idle() == 0
    assert service.states() == {"failed": 2}
    assert {trial.final["failure_kind"] for trial in service.trials.values()} == {"out_of_memory"}


def test_a_lost_bank_leaves_its_memory_to_the_next(full_bench, service, caplog):
    caplog.set_level(logging.CRITICAL)  # what is logged here would be kept, with all that the traceback holds
    service.add_trials(4, epochs=2)
    error = tf.errors.ResourceExhaustedError(None, None, "OOM")
    bench = full_bench("train", 1, error, fitting=2)
    bench.run_until_idle()
    error.with_traceback(None)
    lost = weakref.ref(bench.trainer.banks[0])
    bench.trainer.banks.clear()
    gc.collect()
    assert lost() is None


def test_leaving_asks_a_full_device_for_nothing(make_bank, short_dataset, trial, monkeypatch):
    bank = make_bank(short_dataset, hidden_units=(8,), n_slots=2, slots_per_tile=2, fold=False)
    bank.admit([trial("stays", hidden_units=(8,)), trial("goes", hidden_units=(8,))])
    with monkeypatch.context() as patch:
        patch.setattr("worker.training.fused.tile.with_slots", _refuse)
        patch.setattr("worker.training.fused.tile.tensor", _refuse)
        bank.evict("goes")
    assert bank.free_slots == 1
    assert [row.key for row in bank.train_epoch()] == ["stays"]
    assert not bank.tiles[0].state.first_kernel.numpy()[1].any()


def _refuse(*_):
    raise BY_NAME
