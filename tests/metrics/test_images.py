from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sparring.data import DataError, open_dataset
from sparring.metrics.extractors import CIFAR, CifarResNet, make_extractor
from sparring.metrics.images import ImageEvaluation, inception_score, kernel_distance

SHARED = Path(__file__).parents[3] / "shared/data"


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_kernel_distance_against_its_definition():
    """The unbiased estimate with the kernel (x.y / D + 1)^3, all of both sets in one subset."""
    features, reference = random(60, 5).double(), random(60, 5, seed=1).double() + 0.5

    def kernel(a, b):
        return (a @ b.T / 5 + 1) ** 3

    n = 60
    same = [kernel(x, x) for x in (features, reference)]
    within = [(k.sum() - k.diag().sum()) / (n * (n - 1)) for k in same]
    expected = within[0] + within[1] - 2 * kernel(features, reference).mean()
    assert kernel_distance(features, reference) == pytest.approx(expected.item(), rel=1e-4)


def test_inception_score_in_closed_form():
    certain = 50.0 * torch.eye(4).repeat(5, 1)
    assert inception_score(certain) == pytest.approx(4)
    assert inception_score(certain[:1].repeat(9, 1)) == pytest.approx(1)
    assert inception_score(torch.zeros(9, 4)) == pytest.approx(1)


@pytest.mark.parametrize("name", ["digits", "untrained"])
def test_features_do_not_depend_on_batch_or_order(name, monkeypatch):
    extractor, pictures = make_extractor(name, (1, 28, 28)), open_dataset("digits").batch(torch.arange(0, 4000, 80))[0]
    features, logits = extractor(pictures)
    assert (logits is None) == (name == "untrained")
    monkeypatch.setattr("sparring.metrics.extractors.BATCH", 7)
    torch.testing.assert_close(extractor(pictures)[0], features, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(extractor(pictures.flip(0))[0], features.flip(0), atol=1e-5, rtol=1e-4)


def test_real_digits_score_as_the_floor_and_one_digit_repeated_does_not():
    data = open_dataset("digits")
    evaluation = ImageEvaluation(data, num=300, extractor="digits")
    assert evaluation.count == 300
    chosen = torch.randperm(4000, generator=torch.Generator().manual_seed(7))[:300]
    real, classes = data.batch(chosen)
    scores = evaluation(lambda count: (real[:count], classes[:count]))
    assert scores["frechet"] < 2 * scores["frechet_floor"] + 1
    assert scores["precision"] > 0.8
    assert scores["recall"] > 0.8
    assert scores["c2st"] < 0.6
    assert scores["recognised"] > 0.97
    assert scores["near_copies"] > 0.5  # they are training digits
    one = evaluation(lambda count: (real[:1].expand(count, -1, -1, -1), classes[:1].expand(count)))
    assert one["frechet"] > 10 * scores["frechet"]
    assert one["coverage"] < 0.1
    assert one["c2st"] > 0.95


def test_pictures_without_a_held_out_part_are_compared_with_half_of_themselves(shapes):
    evaluation = ImageEvaluation(shapes, num=100, extractor="untrained")
    scores = evaluation(lambda count: (shapes.batch(torch.arange(count))[0], None))
    assert evaluation.count == 20
    assert "near_copies" not in scores
    assert scores["c2st"] <= 0.8
    shapes.samples, shapes.classes = shapes.samples[:30], shapes.classes[:30]
    with pytest.raises(DataError, match="40 are needed"):
        ImageEvaluation(shapes, num=100, extractor="untrained")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("digit", "choose digits, untrained"),
        ("inception-v9", "choose digits, untrained"),
        ("cifar10-resnet:nowhere.th", "there is no weights file"),
        ("digits", "28×28 grey"),
    ],
)
def test_an_extractor_that_is_not_there_says_what_is(name, says):
    with pytest.raises(DataError, match=says):
        make_extractor(name, (3, 32, 32))


def test_a_file_that_is_no_classifier_is_refused(tmp_path):
    (tmp_path / "bad.th").write_bytes(b"not weights")
    with pytest.raises(DataError, match="holds no CIFAR-10 ResNet"):
        make_extractor(f"cifar10-resnet:{tmp_path / 'bad.th'}", (3, 32, 32))
    torch.save({"state_dict": {"conv1.weight": torch.zeros(1)}}, tmp_path / "other.th")
    with pytest.raises(DataError, match="holds no CIFAR-10 ResNet"):
        make_extractor(f"cifar10-resnet:{tmp_path / 'other.th'}", (3, 32, 32))


def test_a_resnet_s_file_is_read_as_it_is_published(tmp_path):
    torch.manual_seed(0)
    model = CifarResNet(3)
    published = {
        "module."
        + name.replace("stages.0.", "layer1.").replace("stages.1.", "layer2.").replace("stages.2.", "layer3."): v
        for name, v in model.state_dict().items()
    }
    torch.save({"state_dict": published}, tmp_path / "resnet20.th")
    extractor, pictures = (
        make_extractor(f"cifar10-resnet:{tmp_path / 'resnet20.th'}", (4, 64, 64)),
        random(3, 4, 64, 64),
    )
    torch.testing.assert_close(extractor(pictures.clamp(-1, 1))[0], model(pictures.clamp(-1, 1))[0])
    assert extractor.classes == CIFAR


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
