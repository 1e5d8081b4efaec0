"""Groups of alike samples that stand in for classes."""

import pytest
import torch

from sparring.data import DataError, open_dataset
from sparring.data.dataset import TensorDataset
from sparring.data.groups import group


def blobs(shape: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[TensorDataset, torch.Tensor]:
    """Samples around as many far-apart points as there are sizes, shuffled, and which point each is near."""
    generator = torch.Generator().manual_seed(0)
    kind = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    kind = kind[torch.randperm(len(kind), generator=generator)]
    centres = torch.randn(len(sizes), *shape, generator=generator)
    samples = centres[kind] + 0.05 * torch.randn(len(kind), *shape, generator=generator)
    classes = torch.zeros(len(kind), dtype=torch.int64)
    return TensorDataset(
        name="blobs", sample_shape=shape, classes=classes, class_names=[], fingerprint="", value_range="",
        samples=samples,
    ), kind  # fmt: skip


@pytest.mark.parametrize("shape", [(2, 24), (3, 8, 8), (1, 4, 6, 6)])
def test_finds_groups_that_are_there(shape):
    dataset, kind = blobs(shape, (200, 200, 200))
    group(dataset, 3)
    assert dataset.num_classes == 3
    for number in range(3):
        assert len(kind[dataset.classes == number].unique()) == 1


def test_groups_are_of_one_size_where_the_data_are_not():
    """So that samples of all groups in turn have the data's shares: half of them are of the large kind."""
    dataset, kind = blobs((1, 8, 8), (600, 300, 300))
    group(dataset, 4)
    counts = torch.bincount(dataset.classes, minlength=4)
    assert counts.min() > 0.8 * 300
    assert counts.max() < 1.2 * 300
    share = torch.stack([(kind[dataset.classes == number] == 0).float().mean() for number in range(4)]).mean()
    assert share == pytest.approx(0.5, abs=0.05)


def test_the_same_every_time_and_through_open_dataset():
    first, second = (open_dataset("digits", conditional=False, groups=10) for _ in range(2))
    assert torch.equal(first.classes, second.classes)
    assert first.class_names[0] == "group 1"
    assert any("10 groups" in note for note in first.notes)
    counts = torch.bincount(first.classes)
    assert counts.min() > 350
    assert counts.max() < 450


def test_refuses_data_with_classes_and_more_groups_than_samples_allow():
    with pytest.raises(DataError, match=r"--data\.conditional false"):
        open_dataset("digits", groups=10)
    dataset, _ = blobs((1, 4, 4), (3, 3))
    with pytest.raises(DataError, match=r"set --data\.groups to 3"):
        group(dataset, 4)
