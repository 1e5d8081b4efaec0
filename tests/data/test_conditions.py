"""Conditions: what each kind says of itself, and numbers read from labels and from files."""

import json

import numpy as np
import pytest
import torch

from sparring.config import Config, ConfigError
from sparring.data.conditions import Classes, Unconditional, Vectors, condition_from_dict, numbers_in
from sparring.data.dataset import DataError
from sparring.data.spec import DataSpec
from sparring.modalities.registry import open_dataset

NUMBERS = Vectors.fit(torch.tensor([[1.0, 10.0], [2.0, 30.0], [3.0, 50.0]]), ("size", "weight"))
KINDS = [Unconditional(), Classes(("owl", "ant", "7")), NUMBERS]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_stored_and_read(kind):
    assert condition_from_dict(json.loads(json.dumps(kind.to_dict()))) == kind
    spec = DataSpec((1, 8, 8), kind, modality="image")
    assert DataSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert spec.class_names == (kind.names if isinstance(kind, Classes) else ())


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"kind": "texts"},
        {"kind": "classes", "names": []},
        {"kind": "classes", "names": [1]},
        {"kind": "none", "names": []},
        NUMBERS.to_dict() | {"mean": [0.0]},
        NUMBERS.to_dict() | {"scale": [0.0, 1.0]},
        NUMBERS.to_dict() | {"examples": []},
        NUMBERS.to_dict() | {"examples": [[float("nan"), 0.0]]},
    ],
)
def test_what_is_none_is_refused(stored):
    with pytest.raises((ValueError, TypeError)):
        condition_from_dict(stored)


@pytest.mark.parametrize("kind", KINDS)
def test_conditions_that_nobody_chooses_come_in_turn(kind):
    wanted = kind.spread(7)
    assert torch.equal(torch.cat([kind.spread(3), kind.spread(4, 3)]), wanted)
    assert torch.equal(wanted[: kind.turns], kind.spread(2 * kind.turns)[kind.turns :][:7])
    assert torch.equal(kind.parse(None, 7), wanted)
    assert torch.equal(kind.parse(wanted, 7), wanted)
    if kind.table() is not None:
        assert torch.equal(kind.table()[wanted], wanted)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_what_is_spelled_is_read_again(kind):
    for condition in kind.spread(kind.turns):
        assert torch.equal(kind.parse(kind.spell(condition), 1)[0], condition)


@pytest.mark.parametrize("kind", KINDS)
def test_likeness_is_greatest_with_itself(kind):
    conditions = kind.spread(kind.turns)
    alike = kind.similarity(conditions, conditions).float()
    assert torch.equal(alike.diagonal(), torch.ones(kind.turns))
    assert (alike - torch.eye(kind.turns)).abs().max() < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_networks_are_told_it(kind):
    conditions, scores = kind.spread(4), torch.randn(4, kind.size)
    assert kind.tokens(6)(conditions).shape == (4, 6)
    assert kind.inner(scores, conditions).shape == (4,)
    embedding = kind.embedding(6)
    assert embedding is None if kind.size == 0 else embedding(conditions).shape == (4, 6)


def test_numbers_are_seen_in_standard_deviations():
    values = torch.randn(200, 3) * torch.tensor([1.0, 1e-3, 0.0]) + torch.tensor([5.0, 1e3, 2.0])
    numbers = Vectors.fit(values)
    assert numbers.names == ("condition 1", "condition 2", "condition 3")
    standard = numbers.standardized(values)
    torch.testing.assert_close(standard[:, 0].std(correction=0), torch.tensor(1.0))
    assert torch.equal(standard[:, 2], torch.zeros(200))
    assert numbers.turns == 256 // 3
    assert Vectors.fit(torch.randn(500, 64)).turns == 16
    with pytest.raises(ValueError, match="finite"):
        Vectors.fit(torch.tensor([[1.0], [torch.inf]]))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("0.3,1.2", [[0.3, 1.2]] * 3),
        ("0.3 1e2", [[0.3, 100.0]] * 3),
        ([1, 2], [[1.0, 2.0]] * 3),
        ([[1, 2], [3, 4], [5, 6]], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
        (1.0, None),
        ("1", None),
        ("", None),
        ("a,b", None),
        ([1, 2, 3], None),
        ([[1, 2]] * 2, None),
        (torch.tensor([1.0, torch.nan]), None),
    ],
)
def test_numbers_as_a_person_writes_them(wanted, expected):
    if expected is None:
        with pytest.raises(ConfigError, match=r"condition is 2 finite number\(s\) \(size, weight\)"):
            NUMBERS.parse(wanted, 3)
        return
    torch.testing.assert_close(NUMBERS.parse(wanted, 3), torch.tensor(expected))


def test_a_single_number_needs_no_list():
    single = Vectors.fit(torch.tensor([[1.0], [2.0]]))
    assert single.parse(3, 2).tolist() == [[3.0], [3.0]]
    assert single.parse([3, 4], 2).tolist() == [[3.0], [4.0]]
    assert numbers_in(" 1, 2  3 ") == [1, 2, 3]


# ---- from labels ----------------------------------------------------------------------------------------------------


def pictures(path, **arrays):
    np.savez(path, images=np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8), **arrays)
    return str(path)


def rows_of(dataset):
    return dataset.batch(torch.arange(len(dataset)))[1].tolist()


def test_labels_of_arrays_as_numbers(tmp_path):
    path = pictures(tmp_path / "a.npz", labels=np.array([3, 1, 3, 2]))
    dataset = open_dataset(path, condition="numbers")
    assert rows_of(dataset) == [[3], [1], [3], [2]]
    assert (dataset.num_classes, dataset.labels().tolist()) == (0, [0] * 4)
    assert dataset.describe()["conditions"] == {"condition 1": "1 to 3"}
    assert DataSpec.of(dataset).condition == dataset.condition
    assert dataset.fingerprint != open_dataset(path).fingerprint
    real = pictures(tmp_path / "b.npz", labels=np.array([[0.5, 1], [0.25, 2], [-1, 3], [2, 4]]))
    assert rows_of(open_dataset(real, condition="numbers")) == [[0.5, 1], [0.25, 2], [-1, 3], [2, 4]]
    with pytest.raises(DataError, match="give one class number a sample"):
        open_dataset(real)


def test_names_of_folders_as_numbers(tmp_path):
    from PIL import Image

    for name in ("0.5, 2", "-1 3"):
        (tmp_path / name).mkdir()
        for index in range(2):
            Image.new("L", (8, 8), index).save(tmp_path / name / f"{index}.png")
    found = open_dataset(str(tmp_path), condition="numbers")
    assert sorted(rows_of(found)) == [[-1, 3]] * 2 + [[0.5, 2]] * 2


def test_labels_of_series_and_clips_as_numbers(tmp_path):
    series = tmp_path / "series.npz"
    np.savez(series, series=np.random.rand(4, 12, 2), labels=np.array([0.5, 1.5, 2.5, 3.5]))
    assert rows_of(open_dataset(str(series), condition="numbers")) == [[0.5], [1.5], [2.5], [3.5]]
    clips = tmp_path / "clips.npz"
    np.savez(clips, images=np.zeros((2, 4, 8, 8, 1), np.uint8), labels=np.array([0.5, 1.5]))
    assert rows_of(open_dataset(str(clips), condition="numbers", frames=4)) == [[0.5], [1.5]]
    assert open_dataset("bouncing-1", condition="numbers").condition.size == 1


def test_labels_of_texts_as_numbers_and_some_are_held_out(tmp_path):
    path = tmp_path / "texts.csv"
    words = [f"{a}{b}{c}" for a in "abcde" for b in "fghij" for c in "klmno"]
    path.write_text("text,label\n" + "".join(f"{word},{index / 8}\n" for index, word in enumerate(words)))
    dataset = open_dataset(str(path), condition="numbers", field="text")
    spec = DataSpec.of(dataset)
    samples, rows = dataset.batch(torch.arange(len(dataset)))
    assert [row * 8 for (row,) in rows.tolist()] == [words.index(text) for text in spec.vocabulary.decode(samples)]
    assert len(dataset.held_out) == 25
    np.save(tmp_path / "rows.npy", np.arange(125.0))
    rows = rows_of(open_dataset(str(path), condition=str(tmp_path / "rows.npy"), field="text"))
    assert [int(row) for (row,) in rows] == [words.index(text) for text in spec.vocabulary.decode(samples)]


# ---- from files -----------------------------------------------------------------------------------------------------


def test_rows_of_a_file(tmp_path):
    path, wanted = pictures(tmp_path / "a.npz"), [[0.5, 1], [0.25, 2], [-1, 3], [2, 4]]
    np.savez(tmp_path / "rows.npz", conditions=np.array(wanted))
    np.save(tmp_path / "rows.npy", np.array(wanted, np.float32))
    (tmp_path / "rows.csv").write_text("".join(f"{a},{b}\n" for a, b in wanted))
    (tmp_path / "named.csv").write_text("size,weight\n" + "".join(f"{a},{b}\n" for a, b in wanted))
    for name in ("rows.npz", "rows.npy", "rows.csv", "named.csv"):
        dataset = open_dataset(path, condition=str(tmp_path / name))
        assert rows_of(dataset) == wanted
        assert dataset.condition.names == (
            ("size", "weight") if name == "named.csv" else ("condition 1", "condition 2")
        )
    beside = pictures(tmp_path / "b.npz", conditions=np.array([1, 2, 3, 4]))
    assert rows_of(open_dataset(beside, condition=beside)) == [[1], [2], [3], [4]]


@pytest.mark.parametrize(
    ("name", "content", "saying"),
    [
        ("rows.csv", "1\n2\n3\n", "holds 3 rows for 4 samples"),
        ("rows.csv", "a\n1\n2\nx\n4\n", "'x' is not a number"),
        ("rows.csv", "1\n2\n3\nnan\n", "the numbers of sample 4 are not finite"),
        ("rows.csv", "1\n2\n3\n1e400\n", "the numbers of sample 4 are not finite"),
        ("rows.csv", "1,2\n2\n3,1\n4,1\n", "the row '2' has 1 numbers, others have 2"),
        ("rows.csv", "", "is empty"),
        ("rows.txt", "1\n2\n3\n4\n", "must be numbers or a .npz, .npy or .csv file"),
        ("rows.npy", "1\n2\n3\n4\n", "cannot read"),
        ("other.csv", None, "there is no file"),
        ("number", None, "must be numbers or a .npz, .npy or .csv file"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, name, content, saying):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=saying) as raised:
        open_dataset(pictures(tmp_path / "a.npz"), condition=str(tmp_path / name))
    assert "\n" not in str(raised.value)


def test_labels_and_arrays_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"needs labels, but .*a.npz has none"):
        open_dataset(pictures(tmp_path / "a.npz"), condition="numbers")
    with pytest.raises(DataError, match="the label 'x' is not a number: drop the option"):
        open_dataset(pictures(tmp_path / "b.npz", labels=np.array(["1", "x", "1", "1"])), condition="numbers")
    with pytest.raises(DataError, match="the labels '1' and '1 2' have different lengths"):
        open_dataset(pictures(tmp_path / "c.npz", labels=np.array(["1", "1 2", "1", "1"])), condition="numbers")
    np.savez(tmp_path / "rows.npz", rows=np.zeros(4))
    with pytest.raises(DataError, match="holds rows: name the array of conditions 'conditions'"):
        open_dataset(str(tmp_path / "a.npz"), condition=str(tmp_path / "rows.npz"))
    np.save(tmp_path / "rows.npy", np.zeros((4, 2, 2)))
    with pytest.raises(DataError, match="conditions must be numbers"):
        open_dataset(str(tmp_path / "a.npz"), condition=str(tmp_path / "rows.npy"))


def test_settings_that_exclude_each_other_are_refused():
    for changes, saying in (
        ({"data.condition": "numbers", "data.conditional": False}, "no effect with --data.conditional false"),
        ({"data.condition": "a.csv", "data.labels": "b.csv"}, "labels has no effect with --data.condition a.csv"),
    ):
        with pytest.raises(ConfigError, match=saying):
            Config().replace(changes)
    with pytest.raises(DataError, match="drop one of the two"):
        open_dataset("digits", condition="numbers", conditional=False)
