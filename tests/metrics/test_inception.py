import hashlib
import math
from dataclasses import replace
from urllib.error import URLError

import pytest
import torch

from sparring.data import DataError
from sparring.metrics import inception
from sparring.metrics.extractors import make_extractor
from sparring.metrics.inception import Inception, check_weights, resize


def random_weights():
    """As they are published, less the counts of batches, which a file may lack; signals keep their size."""
    generator, state = torch.Generator().manual_seed(0), {}
    for name, value in Inception().state_dict().items():
        if value.dim() > 1:
            state[name] = torch.randn(value.shape, generator=generator) * math.sqrt(2 / value[0].numel())
        elif value.dim():
            state[name] = torch.rand(value.shape, generator=generator) * 0.2 + name.endswith(("weight", "var"))
    return {name.removeprefix("layers."): value for name, value in state.items()}


@pytest.mark.parametrize(("height", "width", "side"), [(5, 8, 13), (31, 17, 9), (1, 6, 6)])
def test_resize_against_its_definition(height, width, side):
    """TensorFlow 1: out[i, j] lies at (i * height / side, j * width / side) between the four pixels around."""
    picture = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.zeros(side, side, dtype=torch.float64)
    for i in range(side):
        for j in range(side):
            y, x = i * height / side, j * width / side
            for row, down in ((int(y), 1 - y % 1), (int(y) + 1, y % 1)):
                for column, across in ((int(x), 1 - x % 1), (int(x) + 1, x % 1)):
                    pixel = picture[0, 0, min(row, height - 1), min(column, width - 1)]
                    expected[i, j] += down * across * pixel
    torch.testing.assert_close(resize(picture, side)[0, 0], expected, atol=1e-5, rtol=1e-5)


def test_weights_are_called_as_in_the_published_file():
    state = {name.removeprefix("layers."): tuple(value.shape) for name, value in Inception().state_dict().items()}
    assert state["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3)
    assert state["Mixed_5b.branch5x5_2.conv.weight"] == (64, 48, 5, 5)
    assert state["Mixed_6a.branch3x3.bn.running_var"] == (384,)
    assert state["Mixed_6c.branch7x7dbl_5.conv.weight"] == (192, 160, 1, 7)
    assert state["Mixed_7a.branch7x7x3_4.conv.weight"] == (192, 192, 3, 3)
    assert state["Mixed_7c.branch3x3dbl_3b.conv.weight"] == (384, 384, 3, 1)
    assert state["Mixed_7c.branch_pool.conv.weight"] == (192, 2048, 1, 1)
    assert state["fc.weight"] == (1008, 2048)
    assert len(state) == 2 + 94 * 6


def test_pools_are_those_of_fid():
    layers = Inception().layers
    assert [layers.get_submodule(f"Mixed_{name}").pool for name in ("5b", "6b", "7b", "7c")] == [
        *3 * ["mean"],
        "maximum",
    ]
    block, seen = layers.get_submodule("Mixed_5b"), []
    block.branch_pool = torch.nn.Identity()
    block.branch_pool.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    block(torch.ones(1, 192, 4, 4))
    torch.testing.assert_close(seen[0], torch.ones(1, 192, 4, 4))  # a border of zeros would show at the edges


def test_the_extractor_alone_is_called_fid(tmp_path, monkeypatch):
    monkeypatch.setattr("sparring.metrics.extractors.check_weights", lambda file: None)
    weights, file = random_weights(), tmp_path / "random.pth"
    torch.save(weights, file)
    extractor = make_extractor(f"inception:{file}", (1, 20, 30))
    file.unlink()  # it is large
    assert extractor.fid
    assert extractor.classes == ()
    assert not make_extractor("untrained", (1, 20, 30)).fid
    levels = torch.randint(256, (3, 1, 20, 30), generator=torch.Generator().manual_seed(0))
    pictures = levels / 127.5 - 1
    features, logits = extractor(pictures)
    assert features.shape == (3, 2048)
    assert features.std(0).mean() > 0.01 * features.mean()
    expected = features @ weights["fc.weight"].T  # no bias
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
    torch.testing.assert_close(extractor(pictures + 0.4 / 127.5)[0], features)  # the same levels
    few = replace(extractor, batch=2)
    torch.testing.assert_close(few(pictures.flip(0))[0].flip(0), features, rtol=1e-4, atol=1e-4 * features.max().item())


def test_other_weights_are_refused(tmp_path):
    torch.save({"fc.bias": torch.zeros(1008)}, tmp_path / "other.pth")
    with pytest.raises(DataError, match=r"its SHA-256 begins with [0-9a-f]{8}, not 6726825d"):
        make_extractor(f"inception:{tmp_path / 'other.pth'}", (3, 32, 32))


def test_the_published_checksum_passes_and_one_that_begins_like_it_does_not(tmp_path, monkeypatch):
    (tmp_path / "empty.pth").touch()
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256().hexdigest())
    check_weights(tmp_path / "empty.pth")
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256().hexdigest()[:-1] + "0")
    with pytest.raises(DataError, match="is not FID's Inception"):
        check_weights(tmp_path / "empty.pth")


def test_weights_are_downloaded_once(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fails := Download(URLError("no route")))
    with pytest.raises(DataError, match=r"no route.*write inception:FILE"):
        make_extractor("inception", (3, 32, 32))
    monkeypatch.setattr(torch.hub, "download_url_to_file", works := Download(None))
    assert inception.published_weights() == inception.published_weights()
    assert (fails.calls, works.calls) == (1, 1)
    with pytest.raises(DataError, match="its SHA-256 begins with"):
        make_extractor("inception", (3, 32, 32))


class Download:
    def __init__(self, error):
        self.error, self.calls = error, 0

    def __call__(self, url, file, hash_prefix):
        self.calls += 1
        assert hash_prefix == inception.SHA256
        if self.error:
            raise self.error
        with open(file, "wb") as handle:
            handle.write(b"weights")
