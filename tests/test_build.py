import pytest
import torch

from sparring import presets
from sparring.build import build
from sparring.data.channels import Channels
from sparring.data.spec import DataSpec

MODALITIES = {2: "series", 3: "image", 4: "video"}


@pytest.mark.parametrize(
    "shape",
    [
        *((1, 2), (6, 24), (13, 29), (1, 1021), (1, 1024)),
        *((1, 28, 28), (3, 64, 64), (4, 30, 50), (3, 37, 50)),
        *((1, 16, 64, 64), (3, 5, 9, 15), (3, 15, 31, 33)),
    ],
)
def test_there_is_a_preset_for_any_shape_that_makes_networks(shape):
    names = tuple(map(str, range(shape[0])))
    channels = Channels(names, (0.0,) * len(names), (1.0,) * len(names)) if len(shape) == 2 else None
    spec = DataSpec(shape, channels=channels, modality=MODALITIES[len(shape)])
    config = presets.configured(spec, 50_000, size="XS")
    networks = build(config, spec)
    tokens = networks.generator(torch.randn(2, networks.generator.z_size))
    samples = networks.codec.unpatchify(tokens)
    assert networks.codec.decode(samples).shape == (2, *shape)
    for critic in networks.list_critics():
        assert critic(critic.view(samples), spec.condition.parse(None, 2)).shape == (2,)
    assert networks.generator.num_tokens <= 128
