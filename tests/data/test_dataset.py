import json
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sparring.data import DataError
from sparring.data.dataset import natural_key, number_classes
from sparring.modalities.registry import open_dataset


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no/such/place", "no file or folder"),
        ("", "no file or folder"),
        ("a\0b", "no file or folder"),
        ("x" * 5000, "no file or folder"),
        ("notes.log", "no known kind"),
        ("cat.png", "single image"),
        ("fake.zip", "not a readable zip"),
        ("fake.tar", "not a readable tar"),
        ("fake.npz", "cannot read"),
        ("fake.gz", "IDX"),
        ("empty", "no readable image"),
        ("hf:", "hf:NAME|sparring"),
    ],
)
def test_unusable_paths_are_named_on_one_line(tmp_path, monkeypatch, path, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for name in ("notes.log", "cat.png", "fake.zip", "fake.tar", "fake.npz", "fake.gz"):
        (tmp_path / name).write_bytes(b"hello there")
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("resolution", [0, -1, 5000, True])
def test_resolution_must_be_sane(resolution):
    with pytest.raises(DataError, match="resolution must be a whole number from 1 to 4096"):
        open_dataset("digits", resolution=resolution)


def test_built_in_sets_take_no_labels_file():
    with pytest.raises(DataError, match="leave out the labels file"):
        open_dataset("digits", labels="labels.csv")


def test_hub_names_the_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r'pip install "sparring\[hub\]"'):
        open_dataset("hf:mnist")


def test_hub_rows_become_images_with_classes():
    datasets = pytest.importorskip("datasets")
    from sparring.data.hub import from_rows

    features = datasets.Features({"img": datasets.Image(), "kind": datasets.ClassLabel(names=["owl", "ant"])})
    pictures = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (0, 255, 51)]
    rows = datasets.Dataset.from_dict({"img": pictures, "kind": [0, 1, 0]}, features=features)
    for limit in (2**30, 0):
        dataset = from_rows("hf:some/set", rows, memory_limit=limit)
        assert dataset.class_names == ["ant", "owl"]
        samples, labels = dataset.batch(torch.tensor([0, 1, 2]))
        assert labels.tolist() == [1, 0, 1]
        assert (samples[:, 0, 0, 0] * 127.5 + 127.5).round().tolist() == [0, 255, 51]
    assert from_rows("hf:some/set", rows, conditional=False).num_classes == 0
    with pytest.raises(DataError, match="no image column"):
        from_rows("hf:some/set", rows.remove_columns("img"))


@pytest.mark.parametrize("name", ["digits", "rings", "grid"])
def test_describe_is_plain_json(name):
    description = open_dataset(name).describe()
    assert json.loads(json.dumps(description)) == description
    assert description["count"] == len(open_dataset(name))


def test_natural_order_goes_by_the_value_of_numbers():
    assert sorted(["b", "a10", "a9", "a", "10", "9"], key=natural_key) == ["9", "10", "a", "a9", "a10", "b"]


@given(st.lists(st.text(alphabet="a1²٣0 B\udc80", max_size=8)))
def test_natural_order_takes_any_text(texts):
    backwards = texts[::-1]
    assert sorted(texts, key=natural_key) == sorted(backwards, key=natural_key)


@given(st.lists(st.sampled_from(["a", "b2", "b10", "ß"]), min_size=1))
def test_class_numbers_point_back_to_their_names(labels):
    classes, names = number_classes(labels, len(labels))
    assert [names[number] for number in classes.tolist()] == labels
    assert len(set(names)) == len(names)
