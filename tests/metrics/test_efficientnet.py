import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from sparring.metrics.efficientnet import EfficientNet, _Conv
from sparring.metrics.extractors import make_extractor

SHARED = Path(__file__).parents[3] / "shared/data"
DAISY = 985  # among ImageNet's classes


@pytest.mark.parametrize(
    ("kernel", "stride", "margin"),
    [(3, 1, (1, 1, 1, 1)), (5, 1, (2, 2, 2, 2)), (3, 2, (0, 1, 0, 1)), (5, 2, (1, 2, 1, 2))],
)
def test_convolutions_are_padded_as_in_tensorflow(kernel, stride, margin):
    torch.manual_seed(0)
    conv, x = _Conv(2, 3, kernel, stride), torch.randn(1, 2, 8, 8)
    expected = F.conv2d(F.pad(x, margin), conv.weight, stride=stride)
    assert expected.shape[2] == 8 // stride
    torch.testing.assert_close(conv(x), expected)


def test_weights_are_called_as_in_the_published_file():
    state = EfficientNet().state_dict()
    assert state["blocks.3.depthwise_conv.weight"].shape == (144, 1, 5, 5)
    assert state["blocks.15.project_conv.weight"].shape == (320, 1152, 1, 1)
    assert "blocks.0.expand_conv.weight" not in state
    published = {name.replace("blocks", "_blocks").replace("bn", "_bn"): value for name, value in state.items()}
    published = {
        name.replace("conv_stem", "_conv_stem").replace("conv_head", "_conv_head").replace("fc.", "_fc."): value
        for name, value in published.items()
    }
    for layer in ("expand_conv", "depthwise_conv", "project_conv"):
        published = {name.replace(layer, f"_{layer}"): value for name, value in published.items()}
    assert "_blocks.1._expand_conv.weight" in published
    read = EfficientNet.published(published).state_dict()
    assert all(read[name].equal(value) for name, value in state.items())


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
def test_the_published_efficientnet_knows_daisies():
    """Photographs of 128×128, many of them blurred; as many dandelions, which ImageNet has not, are seldom daisies."""
    file = SHARED / "weights/efficientnet-lite0/efficientnet-lite0-57934424.pth"
    look, found = make_extractor(f"efficientnet-lite0:{file}", (3, 128, 128)), {}
    with tarfile.open(SHARED / "images/flowers5-128/flowers5_128_jpeg.tar") as archive:
        for name in ("daisy", "dandelion"):
            members = [m for m in archive.getmembers() if m.isfile() and m.name.startswith(name)][:60]
            pixels = np.stack([np.asarray(Image.open(archive.extractfile(m)).convert("RGB")) for m in members])
            _, logits = look(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1)
            found[name] = (logits.argmax(1) == DAISY).float().mean().item()
    assert found["daisy"] > 0.35
    assert found["daisy"] > 2 * found["dandelion"]
