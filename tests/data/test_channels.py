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


def test_a_constant_channel_comes_back_whatever_the_networks_make_of_it():
    tiny = float(torch.tensor(1e-6))
    channels = Channels(("a", "flat"), (1.0, tiny), (2.0, 0.0))
    stored = channels.store(torch.tensor([[[1.0, 3.0], [tiny, tiny]]]))
    assert stored.tolist() == [[[0.0, 1.0], [0.0, 0.0]]]
    assert channels.restore(torch.tensor([[[0.0, 1.0], [-5.0, 7.0]]])).tolist() == [[[1.0, 3.0], [tiny, tiny]]]
    assert Channels.from_dict(channels.to_dict()) == channels


def test_ends_are_a_channel_and_come_back_as_nan():
    channels = Channels(("a", "b"), (0.0, 0.0), (1.0, 10.0), masked=True)
    stored = channels.store(UNEQUAL)
    # twice the share of the three steps that is left in the middle of each: 2.5, 1.5 and 0.5; 0.5, -0.5 and -1.5
    torch.testing.assert_close(stored[:, 2], torch.tensor([[5.0, 3.0, 1.0], [1.0, -1.0, -3.0]]) / 3)
    assert stored[1, :2, 1:].tolist() == [[0, 0], [0, 0]]
    torch.testing.assert_close(channels.restore(stored), UNEQUAL, equal_nan=True)


def test_a_generated_series_ends_once_and_has_a_first_step():
    channels = Channels(("a",), (0.0,), (1.0,), masked=True)
    left = torch.tensor([[0.9, 0.4, -0.5], [5.0, 3.0, -3.0], [-3.0, -4.0, -5.0], [9.0, 9.0, 9.0]])
    stored = torch.stack([torch.tensor([5.0, 6.0, 7.0]).expand(4, 3), left], 1)
    # By the mean of all steps: one slip does not end it.
    assert (~channels.restore(stored).isnan()).sum(-1).flatten().tolist() == [2, 3, 1, 3]


def test_survives_json_and_refuses_nonsense():
    channels = Channels(("a", "b"), (1.0, 2.0), (3.0, 4.0), masked=True)
    assert Channels.from_dict(channels.to_dict()) == channels
    with pytest.raises(ValueError, match="as many names"):
        Channels.from_dict(channels.to_dict() | {"names": ["a"]})
