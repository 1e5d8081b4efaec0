from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sparring.metrics.cifar_resnet import CLASSES, CifarResNet
from sparring.metrics.extractors import make_extractor, rgb

SHARED = Path(__file__).parents[3] / "shared/data"


def test_a_resnet_s_file_is_read_as_it_is_published(tmp_path):
    torch.manual_seed(0)
    model = CifarResNet(3)
    published = {
        "module."
        + name.replace("stages.0.", "layer1.").replace("stages.1.", "layer2.").replace("stages.2.", "layer3."): v
        for name, v in model.state_dict().items()
    }
    torch.save({"state_dict": published}, tmp_path / "resnet20.th")
    extractor = make_extractor(f"cifar10-resnet:{tmp_path / 'resnet20.th'}", (4, 64, 64))
    pictures = torch.randn(3, 4, 64, 64).clamp(-1, 1)
    torch.testing.assert_close(extractor(pictures)[0], model(rgb(pictures))[0])
    assert extractor.classes == CLASSES


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
def test_the_published_resnet_knows_cifar():
    """The first 1,000 training pictures, lossless, a row of a PNG each."""
    folder = SHARED / "images/cifar10-4k"
    rows = np.asarray(Image.open(sorted(folder.glob("*.png"))[0]))
    classes = [int(line) for line in (folder / "labels.txt").read_text().split()[: len(rows)]]
    pictures = torch.from_numpy(rows.reshape(-1, 32, 32, 3).copy()).permute(0, 3, 1, 2).float() / 127.5 - 1
    file = SHARED / "weights/cifar10-resnet/resnet20-12fca82f.th"
    _, logits = make_extractor(f"cifar10-resnet:{file}", (3, 32, 32))(pictures)
    assert (logits.argmax(1) == torch.tensor(classes)).float().mean() > 0.9
