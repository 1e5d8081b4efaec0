import time

import pytest
import torch

from sparring.device import choose_threads

CPU = torch.device("cpu")


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def taking(alone, together):
    """Work that takes so many seconds with one thread and with more."""
    return lambda: time.sleep(alone if torch.get_num_threads() == 1 else together)


def test_the_quicker_number_of_threads_is_chosen(two_threads):
    assert choose_threads(taking(0.001, 0.05), CPU)[0] == 1
    assert choose_threads(taking(0.05, 0.001), CPU)[0] == 2
    assert torch.get_num_threads() == 2


def test_where_nothing_is_to_be_chosen_nothing_is_timed(two_threads, monkeypatch):
    def never():
        raise AssertionError

    assert choose_threads(never, torch.device("meta"))[0] == 2
    assert choose_threads(None, CPU)[0] == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert choose_threads(never, CPU) == (2, "PyTorch's default")
    monkeypatch.delenv("OMP_NUM_THREADS")
    torch.set_num_threads(1)
    assert choose_threads(never, CPU)[0] == 1


def test_an_error_leaves_the_threads_as_they_were(two_threads):
    def fail():
        raise RuntimeError

    with pytest.raises(RuntimeError):
        choose_threads(fail, CPU)
    assert torch.get_num_threads() == 2
