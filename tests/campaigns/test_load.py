"""A few seconds of the load campaign: what holds at any speed."""

import pytest

from sparring.training.run import train

pytest.importorskip("fastapi")

from sparring.explorer.connections import BATCH, CONNECTIONS, WAITING

from campaigns.load import campaign


def test_the_owner_is_answered_in_a_crowd(tiny, shapes, tmp_path):
    run = tmp_path / "shapes"
    train(tiny.replace({"train.num_samples": 16}), run, dataset=shapes)
    told = campaign(str(run), clients=100, seconds=3)
    assert told["alive"]
    assert told["requests"] > 0
    assert told["wrong"] == []
    assert told["stderr_bytes"] < 100  # at most that the port was taken
    if "most_descriptors" in told:
        assert told["most_descriptors"] - told["descriptors_before"] < CONNECTIONS + WAITING + 5 * BATCH
