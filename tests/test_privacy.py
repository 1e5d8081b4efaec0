import pytest

from sparring.config import Config
from sparring.privacy import without_paths


@pytest.mark.parametrize(
    ("path", "bare"),
    [
        ("digits", "digits"), ("/home/me/photos/", "photos"), ("photos.zip", "photos.zip"), ("../a/b.csv", "b.csv"),
        ("C:\\Users\\me\\photos", "photos"), ("hf:mnist:train", "hf:mnist:train"), ("hf:a/mnist", "hf:a/mnist"),
        ("hf:/home/me/mnist", "mnist"), ("hf:../me/mnist", "mnist"),
        ("hf:org/name:train[:10%]", "hf:org/name:train[:10%]"), ("/home/me/digits", "./digits"),
    ],
)  # fmt: skip
def test_paths_become_names(path, bare):
    config = Config().replace(
        {"data.path": path, "data.labels": "/home/me/l.csv", "train.extractor": "cifar10-resnet:/home/me/weights.pt"}
    )
    published = without_paths(config)
    assert (published.data.path, published.data.labels) == (bare, "l.csv")
    assert published.train.extractor == "cifar10-resnet:weights.pt"
    assert without_paths(published) == published
    assert without_paths(Config()) == Config()


def test_names_of_networks_on_the_hub_stay_whole():
    config = Config().replace({"train.extractor": "dinov2:facebook/dinov2-small"})
    assert without_paths(config) == config
    config = Config().replace({"train.extractor": "dinov2:/home/me/dinov2-small"})
    assert without_paths(config).train.extractor == "dinov2:dinov2-small"
