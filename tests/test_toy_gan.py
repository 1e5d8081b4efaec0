"""The example trains: all 25 modes, in the time of a test."""

import importlib.util
import math
import re
from pathlib import Path

import pytest
import torch

EXAMPLE = Path(__file__).parent.parent / "examples/toy_gan.py"


@pytest.fixture(scope="module")
def toy():
    spec = importlib.util.spec_from_file_location("toy_gan", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_stands_alone_and_is_short():
    text = EXAMPLE.read_text()
    assert len(text.splitlines()) < 200
    assert not re.search(r"^\s*(import|from) sparring", text, re.MULTILINE)


def test_score_counts_modes(toy):
    class Real:
        def sample(self, count):
            return toy.draw_real(count)

    class One:
        def sample(self, count):
            return toy.MODES[:1].expand(count, -1)

    modes, share = toy.score(Real())
    assert modes == 25
    assert share == pytest.approx(1 - math.exp(-4.5), abs=0.01)  # of a 2-D Gaussian within 3 sigma
    assert toy.score(One())[0] == 1


@pytest.mark.slow
def test_covers_all_modes(toy):
    modes, share = toy.score(toy.train(seed=0))
    assert modes == 25
    assert share >= 0.95


def test_the_textbook_pair_steps(toy):
    generator = toy.train(seed=0, steps=5, loss="non-saturating")
    assert torch.isfinite(generator.sample(10)).all()
