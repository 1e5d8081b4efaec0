import pytest
import torch
import torch.nn.functional as F

from sparring.data import DataError
from sparring.data.bouncing import bouncing
from sparring.metrics.clips import ClipMetric
from sparring.metrics.extractors import rgb
from sparring.metrics.i3d import AT_ONCE, I3D, _padded, _pool
from sparring.modalities.metrics import evaluate

# Of Carreira & Zisserman's network with 400 classes, batch normalization's scale and shift counted
PARAMETERS = 12_697_264


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return I3D()


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):
    """Random weights under the published names."""
    stored = {name.removeprefix("layers."): value for name, value in network.state_dict().items()}
    path = tmp_path_factory.mktemp("i3d") / "i3d_pretrained_400.pt"
    torch.save(stored, path)
    return path


@pytest.fixture(scope="module")
def dataset():
    return bouncing(frames=9, resolution=16, num_digits=1, count=40)


def test_the_network_has_the_published_size_and_names(network):
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS
    assert {
        "layers.Conv3d_1a_7x7.conv3d.weight", "layers.Mixed_5c.b3b.bn.running_var", "logits.conv3d.bias",
    } <= network.state_dict().keys()  # fmt: skip


@pytest.mark.parametrize(("size", "kernel", "stride"), [(9, 7, 2), (16, 7, 2), (5, 3, 2), (4, 2, 2), (6, 3, 1)])
def test_padding_is_tensorflows(size, kernel, stride):
    """Against its definition: output i looks at stride * i - before to stride * i - before + kernel."""
    x = torch.rand(1, 1, size, 8, 8)
    length = -(-size // stride)
    before = max(0, (length - 1) * stride + kernel - size) // 2
    found = _pool(x, (kernel, 1, 1), (stride, 1, 1))
    assert _padded(x, (kernel, 1, 1), (stride, 1, 1)).shape[3:] == (8, 8)
    for i in range(length):
        start = stride * i - before
        seen = x[:, :, max(0, start) : start + kernel]
        torch.testing.assert_close(found[:, :, i], seen.amax(2))


def test_clips_are_brought_to_size_and_judged_alike_in_any_batch(network):
    clips = torch.rand(AT_ONCE + 1, 1, 9, 12, 12) * 2 - 1
    found = network(rgb(clips))
    assert found.shape == (AT_ONCE + 1, 400)
    torch.testing.assert_close(found[-1:], network(rgb(clips[-1:])), rtol=1e-4, atol=1e-5)
    enlarged = F.interpolate(clips[:1], (9, 224, 224), mode="trilinear")
    torch.testing.assert_close(network(rgb(enlarged)), found[:1], rtol=1e-4, atol=1e-5)
    hidden = torch.cat([clips[:1], torch.full_like(clips[:1], -1)], 1)
    torch.testing.assert_close(network(rgb(hidden)), network(rgb(torch.full_like(clips[:1], -1))))


def test_only_in_its_features_a_distance_is_called_fvd(dataset, file):
    metric = ClipMetric(dataset, num=4, metrics=["fvd", "frames"], extractor=f"i3d:{file}")
    assert metric.facts["extractor"].startswith("I3D i3d_pretrained_400.pt")
    real = dataset.held_out.batch(torch.arange(4))[0]
    scores = metric(lambda num: (real[:num], None))
    assert scores.keys() == {"fvd", "fvd_floor", "frechet_frames", "frechet_frames_floor"}
    black = metric(lambda num: (-torch.ones(num, 1, 9, 16, 16), None))
    assert black["fvd"] > 2 * scores["fvd"]
    untrained = ClipMetric(dataset, num=4, metrics=["frechet"])
    assert untrained(lambda num: (real[:num], None)).keys() == {"frechet_clips", "frechet_clips_floor"}


def test_more_clips_are_compared_in_its_features():
    films = bouncing(frames=9, resolution=16, num_digits=1, count=1000)
    counts = [ClipMetric(films, metrics=[], extractor=of).count for of in ("i3d:FILE", "untrained")]
    assert counts == [1000, 500]


def test_what_cannot_be_fvd_says_so(dataset, file, tmp_path):
    other = tmp_path / "other.pt"
    torch.save({"weight": torch.zeros(3)}, other)
    for extractor, said in {
        "i3d": "write i3d:FILE",
        "i3d:nowhere.pt": "no weights file nowhere.pt",
        f"i3d:{other}": "does not hold the weights of I3D",
        "inception": "no extractor inception for clips: choose untrained or i3d:FILE",
    }.items():
        with pytest.raises(DataError, match=said):
            evaluate(dataset, lambda num: (torch.zeros(num, 1, 9, 16, 16), None), extractor=extractor, report=print)
    with pytest.raises(DataError, match="I3D needs clips of 9 frames or more, and these have 8"):
        ClipMetric(bouncing(frames=8, resolution=16, num_digits=1, count=40), extractor=f"i3d:{file}")
    with pytest.raises(DataError, match="no metric fvd here"):
        ClipMetric(dataset, metrics=["fvd"])
