"""Small configurations and data for the tests.

PyTorch uses one thread, as more slow each other on shared cores; SPARRING_TEST_THREADS asks for another number."""

import os

import pytest
import torch

from sparring.config import Config
from sparring.data.dataset import TensorDataset
from sparring.pretrained import GAN, load
from sparring.training.run import Interrupted, train

TINY = {
    "codec.patch_size": 4,
    "model.width": 16,
    "model.depth": 1,
    "model.num_heads": 2,
    "model.z_dim": 4,
    "model.noise_dim": 4,
    "optim.warmup": 0,
    "train.batch_size": 8,
    "train.num_samples": 64,
    "train.checkpoint_every": 16,
    "train.sample_every": 32,
    "train.device": "cpu",
}


@pytest.fixture(autouse=True, scope="session")
def _threads():
    torch.set_num_threads(int(os.environ.get("SPARRING_TEST_THREADS", "1")))


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    os.environ["SPARRING_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    """trained_once(config, dataset) -> the folder of a run, trained when a file's tests first ask for it."""
    folder = tmp_path_factory.mktemp("trained") / "shapes"

    def run(config, dataset):
        if not folder.exists():
            train(config, folder, dataset=dataset)
        return folder

    return run


@pytest.fixture
def straight_and_broken(tmp_path):
    """straight_and_broken(config, dataset, at) -> the GANs of a run and of one that stopped at so many samples and went
    on."""

    def run(config: Config, dataset, at: int) -> tuple[GAN, GAN]:
        train(config, tmp_path / "straight", dataset=dataset)

        def interrupt(progress):
            if progress.samples_seen == at:
                raise KeyboardInterrupt

        with pytest.raises((KeyboardInterrupt, Interrupted)):
            train(config, tmp_path / "broken", dataset=dataset, report=interrupt)
        train(config, tmp_path / "broken", dataset=dataset)
        return load(tmp_path / "straight"), load(tmp_path / "broken")

    return run


@pytest.fixture
def tiny() -> Config:
    return Config().replace(TINY)


@pytest.fixture
def shapes() -> TensorDataset:
    """40 pictures of 8×8: bright in the left half (class "left") or the right ("right"), with noise."""
    generator = torch.Generator().manual_seed(0)
    classes = torch.arange(40) % 2
    samples = torch.full((40, 1, 8, 8), -1.0)
    samples[classes == 0, :, :, :4] = 1
    samples[classes == 1, :, :, 4:] = 1
    samples += 0.1 * torch.randn(samples.shape, generator=generator)
    return TensorDataset(
        name="shapes",
        modality="image",
        sample_shape=(1, 8, 8),
        classes=classes,
        class_names=["left", "right"],
        fingerprint="shapes",
        value_range="-1..1",
        samples=samples,
    )
