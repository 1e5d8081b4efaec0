"""A part of the campaign of endurance."""

import sys

import pytest

from campaigns.endurance import OFTEN, summary, watch

QUICK = ["rings", *OFTEN, "--train.checkpoint_every=1000", "--train.sample_every=1000", "--train.evaluate_every=0"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_training_keeps_its_descriptors_and_threads():
    found = watch(QUICK, seconds=30, every=0.2)
    if len(found) < 8:
        pytest.skip("the machine was too busy to begin a run")
    start, end = summary(found)["after a quarter"], summary(found)["at the end"]
    assert end["descriptors"] <= start["descriptors"] + 4  # a file that is being written, or read
    assert end["threads"] <= start["threads"] + 1
    assert end["megabytes"] <= start["megabytes"] + 100
