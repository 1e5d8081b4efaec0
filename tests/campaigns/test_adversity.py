"""A part of the campaign of adversity."""

import sys

import pytest

from campaigns.adversity import campaign
from campaigns.kill import RUNS


@pytest.mark.skipif(sys.platform != "linux", reason="forks and mounts")
def test_adverse_circumstances_lose_nothing():
    assert campaign(1, 0, {"text": RUNS["text"]}, print) == []
