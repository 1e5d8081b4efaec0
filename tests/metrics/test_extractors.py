import sys
from dataclasses import replace

import pytest
import torch

from sparring.data import DataError
from sparring.data.bouncing import bouncing
from sparring.evaluation import Compared
from sparring.metrics.cifar_resnet import CifarResNet
from sparring.metrics.efficientnet import EfficientNet
from sparring.metrics.extractors import NAMES, make_extractor, rgb
from sparring.metrics.i3d import I3D
from sparring.metrics.inception import Inception
from sparring.modalities.metrics import metric_for
from sparring.modalities.registry import modality_of, open_dataset


@pytest.fixture
def resnet20(tmp_path):
    torch.manual_seed(0)
    names = {"stages.0.": "layer1.", "stages.1.": "layer2.", "stages.2.": "layer3."}
    state = {names.get(k[:9], k[:9]) + k[9:]: v for k, v in CifarResNet(3).state_dict().items()}
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "resnet20.th")
    return tmp_path / "resnet20.th"


def pictures(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def unchanged_by_batch_and_order(extractor, samples):
    features, logits = extractor(samples)
    few = replace(extractor, batch=7)
    torch.testing.assert_close(few(samples)[0], features, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(few(samples.flip(0))[0], features.flip(0), atol=1e-5, rtol=1e-4)
    return logits


@pytest.mark.parametrize("name", ["digits", "untrained"])
def test_features_do_not_depend_on_batch_or_order(name):
    samples = open_dataset("digits").batch(torch.arange(0, 4000, 80))[0]
    logits = unchanged_by_batch_and_order(make_extractor(name, (1, 28, 28)), samples)
    assert (logits is None) == (name == "untrained")


def test_nor_do_those_of_networks_from_files(resnet20, tmp_path):
    samples = pictures(9, 3, 40, 40)
    unchanged_by_batch_and_order(make_extractor(f"cifar10-resnet:{resnet20}", (3, 40, 40)), samples)
    torch.save(EfficientNet().state_dict(), tmp_path / "lite0.pth")
    extractor = make_extractor(f"efficientnet-lite0:{tmp_path / 'lite0.pth'}", (3, 40, 40))
    assert unchanged_by_batch_and_order(extractor, samples).shape == (9, 1000)


def devices(look):
    """Of the weights behind a function, or of a network that is one itself."""
    within = [look, *(cell.cell_contents for cell in getattr(look, "__closure__", None) or ())]
    weights = [weight for each in within if isinstance(each, torch.nn.Module) for weight in each.parameters()]
    return {weight.device.type for weight in weights}


def test_they_look_on_the_device_that_is_asked_for(resnet20, tmp_path):
    """The device "meta" holds no numbers."""
    torch.save(EfficientNet().state_dict(), tmp_path / "lite0.pth")
    names = ["digits", "untrained", f"cifar10-resnet:{resnet20}", f"efficientnet-lite0:{tmp_path / 'lite0.pth'}"]
    for name in names:
        extractor = make_extractor(name, (1, 28, 28), "meta")
        assert extractor.forward(torch.zeros(3, 1, 28, 28, device="meta"))[0].device.type == "meta"
        assert devices(extractor.forward) == {"meta"}
        assert extractor.key != make_extractor(name, (1, 28, 28)).key  # as devices round differently


@pytest.mark.parametrize(("network", "shape"), [(Inception, (2, 3, 40, 40)), (I3D, (1, 3, 16, 40, 40))])
def test_large_networks_make_nothing_on_the_cpu(network, shape):
    found = network().to("meta").eval()(torch.zeros(shape, device="meta"))
    assert (found if isinstance(found, torch.Tensor) else found[0]).device.type == "meta"


def test_who_compares_hands_the_device_on():
    digits, films = open_dataset("digits"), bouncing(frames=8, resolution=32, num_digits=1, count=40)
    for data in (digits, films):
        compared = Compared(
            "", "", data, lambda num, data=data: (data.batch(torch.arange(num))[0], None), device="meta"
        )
        for ask in (
            lambda data=data: metric_for(data, also="c2st" if data is digits else None, device="meta"),
            lambda compared=compared: compared.scores(chosen=["frechet"]),
        ):
            with pytest.raises(NotImplementedError, match="meta"):  # its features cannot be brought back
                ask()
    with pytest.raises(NotImplementedError, match="meta"):
        modality_of(digits).scoring.features(digits, device="meta")


def test_grey_becomes_colour_and_transparency_black():
    grey, colour = pictures(2, 1, 4, 4), pictures(2, 3, 4, 4)
    assert rgb(colour).equal((colour + 1) / 2)
    assert rgb(grey).equal((grey.repeat(1, 3, 1, 1) + 1) / 2)
    clear = torch.cat([colour, torch.full((2, 1, 4, 4), -1.0)], 1)
    assert rgb(clear).equal(torch.zeros(2, 3, 4, 4))
    assert rgb(torch.cat([grey, torch.zeros(2, 1, 4, 4)], 1)).equal(rgb(grey) / 2)


def test_a_key_is_of_the_weights_and_not_of_the_file(resnet20, tmp_path):
    key = make_extractor(f"cifar10-resnet:{resnet20}", (3, 32, 32)).key
    same = resnet20.rename(tmp_path / "other name.th")
    assert make_extractor(f"cifar10-resnet:{same}", (1, 64, 64)).key == key
    stored = torch.load(same, weights_only=True)
    stored["state_dict"]["module.linear.bias"][3] += 1
    torch.save(stored, same)
    others = [f"cifar10-resnet:{same}", "untrained", "digits"]
    keys = {key, *(make_extractor(name, (1, 28, 28)).key for name in others)}
    assert len(keys) == 4
    assert make_extractor("untrained", (3, 28, 28)).key not in keys  # its weights are others for colours
    assert {k.rpartition("-")[0] for k in keys} == {"cifar10-resnet", "untrained, 4 shades", "digits"}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("digit", "choose digits, untrained"),
        ("inception-v9", "choose digits, untrained"),
        ("cifar10-resnet", "write cifar10-resnet:FILE"),
        ("cifar10-resnet:nowhere.th", "there is no weights file"),
        ("efficientnet-lite0", "write efficientnet-lite0:FILE"),
        ("efficientnet-lite0:nowhere.pth", "there is no weights file"),
        ("inception:nowhere.pth", "there is no weights file"),
        ("dinov2", "write dinov2:"),
        ("digits", "grey pictures of 28×28"),
    ],
)
def test_an_extractor_that_is_not_there_says_what_is(name, says):
    with pytest.raises(DataError, match=says):
        make_extractor(name, (3, 32, 32))


def test_an_unknown_name_is_told_all_names():
    with pytest.raises(DataError) as error:
        make_extractor("clip", (3, 32, 32))
    assert all(name in str(error.value) for name in NAMES)


@pytest.mark.parametrize(
    ("name", "says"), [("cifar10-resnet", "CIFAR-10 ResNet"), ("efficientnet-lite0", "EfficientNet-lite0")]
)
def test_a_file_that_is_no_such_network_is_refused(name, says, tmp_path):
    (tmp_path / "bad.th").write_bytes(b"not weights")
    torch.save({"state_dict": {"conv1.weight": torch.zeros(1)}}, tmp_path / "other.th")
    torch.save([1], tmp_path / "list.th")
    for file in ("bad.th", "other.th", "list.th", "."):
        with pytest.raises(DataError, match=f"does not hold the weights of {says}") as error:
            make_extractor(f"{name}:{tmp_path / file}", (3, 32, 32))
        assert len(str(error.value)) < 400 + len(str(tmp_path))


@pytest.fixture
def dinov2(tmp_path):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.Dinov2Config(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=56)
    model = transformers.Dinov2Model(config).eval()
    model.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny", model


def test_dinov2_gives_its_class_token(dinov2):
    folder, model = dinov2
    extractor, samples = make_extractor(f"dinov2:{folder}", (3, 224, 224)), pictures(2, 3, 224, 224)
    features, logits = extractor(samples)
    mean, std = (torch.tensor(of)[:, None, None] for of in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    expected = model(pixel_values=((samples + 1) / 2 - mean) / std).pooler_output
    torch.testing.assert_close(features, expected.detach(), atol=1e-5, rtol=1e-4)
    assert logits is None
    assert not extractor.fid
    unchanged_by_batch_and_order(extractor, pictures(9, 1, 20, 30))
    model.layernorm.bias.data += 1
    model.save_pretrained(folder)
    assert make_extractor(f"dinov2:{folder}", (3, 224, 224)).key != extractor.key


def test_a_folder_without_a_dinov2_is_refused(dinov2, tmp_path):
    folder, _ = dinov2
    with pytest.raises(DataError, match="does not give a DINOv2"):
        make_extractor(f"dinov2:{tmp_path}", (3, 32, 32))
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'))
    with pytest.raises(DataError, match="are missing or of another shape"):
        make_extractor(f"dinov2:{folder}", (3, 32, 32))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")  # nothing pickled is looked at
    with pytest.raises(DataError, match="does not give a DINOv2"):
        make_extractor(f"dinov2:{folder}", (3, 32, 32))


def test_dinov2_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(DataError, match=r'pip install "sparring\[dinov2\]"'):
        make_extractor("dinov2:facebook/dinov2-small", (3, 32, 32))
