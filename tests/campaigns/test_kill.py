"""A part of the campaign of kills."""

import sys

import pytest

from campaigns.kill import RUNS, campaign


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_killed_runs_end_as_unbroken_ones():
    kinds = {name: RUNS[name] for name in ("image", "text")}
    outcome = campaign(8, 0, kinds, print)
    assert outcome.losses == []
