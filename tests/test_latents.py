import pytest
import torch
from safetensors.torch import save_file

from sparring.config import ConfigError
from sparring.latents import read_latents, save_latents

from small_gans import gan_of


def test_what_is_saved_is_read(tmp_path):
    gan = gan_of("pictures")
    z, labels = torch.randn(3, gan.generator.z_size), torch.tensor([1, 0, 1])
    save_latents(z, labels, tmp_path / "a" / "found.safetensors", gan)
    found = read_latents(tmp_path / "a" / "found.safetensors", gan)
    assert torch.equal(found[0], z)
    assert torch.equal(found[1], labels)


@pytest.mark.parametrize(
    ("z", "labels"),
    [
        (torch.zeros(3, 5), torch.zeros(3, dtype=torch.long)),
        (torch.zeros(3, 20), torch.zeros(2, dtype=torch.long)),
        (torch.full((1, 20), torch.nan), torch.zeros(1, dtype=torch.long)),
        (torch.zeros(1, 20), torch.tensor([2])),
        (torch.zeros(1, 20), torch.zeros(1)),
        (torch.zeros(20), torch.tensor(0)),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, z, labels):
    gan = gan_of("pictures")
    assert gan.generator.z_size == 20
    save_latents(z, labels, tmp_path / "found.safetensors", gan)
    with pytest.raises(ConfigError, match="belongs to other weights"):
        read_latents(tmp_path / "found.safetensors", gan)


def test_latents_of_another_generator_or_of_none_are_refused(tmp_path):
    gan, file = gan_of("pictures"), tmp_path / "found.safetensors"
    save_latents(torch.zeros(1, 20), torch.tensor([0]), file, gan)
    gan.generator.norm.eps = 1e-5  # of no weight
    read_latents(file, gan)
    next(gan.generator.parameters()).mul_(2)
    with pytest.raises(ConfigError, match="belongs to other weights"):
        read_latents(file, gan)
    save_file({"z": torch.zeros(1, 20)}, file)
    for content in (None, b"not a file of tensors"):
        if content:
            file.write_bytes(content)
        with pytest.raises(ConfigError, match="holds no latents"):
            read_latents(file, gan)
    with pytest.raises(ConfigError, match="holds no latents"):
        read_latents(tmp_path / "none.safetensors", gan)
