"""Process-wide state during a run: threads, denormal numbers, SIGINT and SIGTERM."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import torch


class Interrupted(Exception):
    """SIGINT or SIGTERM arrived; the run is saved. `signal` is its number."""

    def __init__(self, number: int) -> None:
        super().__init__("interrupted")
        self.signal = number


@contextlib.contextmanager
def kept_threads() -> Iterator[None]:
    """The caller's number of threads is as it was after the block."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def flushed_denormals() -> Iterator[None]:
    """A saturated tanh leaves numbers so small that a CPU slows down on them; within the block they are zero."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextlib.contextmanager
def caught_signals() -> Iterator[list[int]]:
    """A list that SIGINT and SIGTERM append themselves to; a second one ends the program at once."""
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
