import pytest
import torch

from sparring.data.channels import Channels

NAN = torch.nan
UNEQUAL = torch.tensor([[[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]], [[4.0, NAN, NAN], [40.0, NAN, NAN]]])


def test_scaling_is_undone():
    channels = Channels(("a", "b"), (1.0, -5.0), (2.0, 10.0))
    values = torch.tensor([[[1.0, 3.0], [5.0, 15.0]]])
    assert channels.store(values).tolist() == [[[0.0, 1.0], [1.0, 2.0]]]
    assert torch.equal(channels.restore(channels.store(values)), values)


def test_ends_are_a_channel_and_come_back_as_nan():
    channels = Channels(("a", "b"), (0.0, 0.0), (1.0, 10.0), masked=True)
    stored = channels.store(UNEQUAL)
    assert stored[:, 2].tolist() == [[1, 1, 1], [1, -1, -1]]
    assert stored[1, :2, 1:].tolist() == [[0, 0], [0, 0]]
    torch.testing.assert_close(channels.restore(stored), UNEQUAL, equal_nan=True)


def test_a_generated_series_ends_once_and_has_a_first_step():
    channels = Channels(("a",), (0.0,), (1.0,), masked=True)
    stored = torch.tensor([[[5.0, 6.0, 7.0], [0.3, -0.2, 0.9]], [[5.0, 6.0, 7.0], [-1.0, 1.0, 1.0]]])
    restored = channels.restore(stored)
    assert restored.isnan().tolist() == [[[False, True, True]], [[False, True, True]]]


def test_survives_json_and_refuses_nonsense():
    channels = Channels(("a", "b"), (1.0, 2.0), (3.0, 4.0), masked=True)
    assert Channels.from_dict(channels.to_dict()) == channels
    with pytest.raises(ValueError, match="as many names"):
        Channels.from_dict(channels.to_dict() | {"names": ["a"]})
