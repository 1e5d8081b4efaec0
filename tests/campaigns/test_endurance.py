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
    allowed = {"descriptors": 4, "threads": 1, "megabytes": 100}  # a file that is being written, noise
    for name, quarters in summary(found).items():
        assert quarters[3][0] <= quarters[1][0] + allowed[name], name
