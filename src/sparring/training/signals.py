"""Process-wide state during a run: threads, denormal numbers, signals."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import torch


class Interrupted(Exception):
    """The run was saved after SIGINT or SIGTERM; `signal` is the number."""

    def __init__(self, number: int) -> None:
        super().__init__("interrupted")
        self.signal = number


@contextlib.contextmanager
def kept_threads() -> Iterator[None]:
    """Restores the number of threads after the block."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def flushed_denormals() -> Iterator[None]:
    """Sets denormal numbers to zero: those of a saturated tanh slow down a CPU."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextlib.contextmanager
def caught_signals() -> Iterator[list[int]]:
    """Yields a list to which SIGINT and SIGTERM append their number; a second signal ends the program at once."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def catch(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        for each in numbers:
            signal.signal(each, before[each])

    for number in numbers:
        signal.signal(number, catch)
    try:
        yield caught
    finally:
        for number in numbers:
            signal.signal(number, before[number])
