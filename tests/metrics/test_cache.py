import os

import pytest
import torch

from sparring.metrics import cache
from sparring.metrics.cache import cache_folder, cached


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path))
    return tmp_path


def test_features_are_made_once_for_equal_contents(folder):
    made = []

    def make(value):
        return lambda: made.append(value) or torch.full((2, 3), value)

    chosen = torch.arange(4)
    assert torch.equal(cached(("data", chosen), make(1.0)), torch.full((2, 3), 1.0))
    assert torch.equal(cached(("data", chosen.clone()), make(2.0)), torch.full((2, 3), 1.0))
    assert torch.equal(cached(("data", chosen + 1), make(3.0)), torch.full((2, 3), 3.0))
    assert torch.equal(cached(("other", chosen), make(4.0)), torch.full((2, 3), 4.0))
    assert made == [1.0, 3.0, 4.0]


def test_a_damaged_entry_is_made_again(folder):
    cached(("data",), lambda: torch.ones(2))
    (entry,) = (folder / "features").iterdir()
    entry.write_bytes(b"cut short")
    assert torch.equal(cached(("data",), lambda: torch.zeros(2)), torch.zeros(2))
    assert torch.equal(cached(("data",), lambda: torch.ones(2)), torch.zeros(2))


def test_what_was_asked_for_last_stays(folder, monkeypatch):
    """Four entries fit; the first, asked for again, outlives the second."""
    made = []

    def ask(number):
        cached((number,), lambda: made.append(number) or torch.zeros(1000))
        for place, file in enumerate(sorted(files(), key=lambda file: file.stat().st_mtime_ns)):
            os.utime(file, ns=(place, place))  # clocks may stand still between two entries

    def files():
        return list((folder / "features").iterdir())

    ask(0)
    monkeypatch.setattr(cache, "MOST_KEPT", 4 * files()[0].stat().st_size)
    for number in (1, 2, 3, 0, 4):
        ask(number)
    assert len(files()) == 4
    ask(0)
    assert made == [0, 1, 2, 3, 4]
    ask(1)
    assert made == [0, 1, 2, 3, 4, 1]


def test_without_a_place_to_write_it_goes_on(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path / "file"))
    assert torch.equal(cached(("data",), lambda: torch.ones(2)), torch.ones(2))


def test_where_it_lies(monkeypatch, tmp_path):
    monkeypatch.delenv("SPARRING_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "sparring"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert str(cache_folder()).startswith(os.path.expanduser("~"))
