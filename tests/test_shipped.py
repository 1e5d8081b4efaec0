"""The runs that come with the package do what they are there for, ten seconds after installing."""

import json

import pytest
import torch

import sparring
from sparring import cli
from sparring.metrics.digit_classifier import load_digit_classifier, recognise
from sparring.pretrained import SHIPPED, open_data_of

NAMES = ("bouncing", "digits", "names", "sines")


def test_all_are_there_and_small():
    assert tuple(sorted(folder.name for folder in SHIPPED.iterdir())) == NAMES
    assert sum(file.stat().st_size for file in SHIPPED.rglob("*")) < 6e6


@pytest.mark.parametrize("name", NAMES)
def test_each_samples_by_name_whatever_lies_in_the_folder(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()  # a folder of that name that is no run
    assert cli.main(["sample", name, "--num", "4", "--out", "all.npz" if name != "names" else "all.txt"]) == 0
    assert cli.main(["info", name, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert facts["verdict"].startswith("Healthy")
    assert facts["samples_seen"] >= facts["num_samples"]


def test_a_run_in_a_folder_of_that_name_goes_first(tiny, shapes, tmp_path, monkeypatch):
    from sparring.training.run import train

    monkeypatch.chdir(tmp_path)
    train(tiny, "digits", dataset=shapes)
    assert sparring.load("digits").spec.sample_shape == (1, 8, 8)


def test_digits_are_the_digits_they_should_be():
    labels = torch.arange(500) % 10
    samples = sparring.load("digits", "cpu").sample(500, seed=1)
    assert (recognise(load_digit_classifier(), samples)[1] == labels).float().mean() > 0.95


def test_names_are_new_and_all_different():
    names = sparring.load("names", "cpu").sample(500, seed=1)
    assert len(set(names)) > 0.9 * len(names)
    assert all(name[0].isupper() for name in names)


def test_sines_swing_as_real_ones_do():
    gan = sparring.load("sines", "cpu")
    real = gan.modality.to_user(open_data_of(gan).batch(torch.arange(500))[0], gan.spec)
    series = gan.sample(500, seed=1)
    assert float(series.std(2).mean()) == pytest.approx(float(real.std(2).mean()), rel=0.1)
    assert float(series.mean()) == pytest.approx(float(real.mean()), abs=0.05)


def test_a_digit_moves_and_stays_one():
    clips = sparring.load("bouncing", "cpu").sample(50, seed=1)
    weight = (clips + 1).sum((1, 3, 4))  # of each frame: as bright throughout
    assert (weight.std(1) / weight.mean(1)).median() < 0.2
    rows = torch.arange(32.0)[:, None]
    centre = ((clips + 1) * rows).sum((1, 3, 4)) / weight
    assert (centre.amax(1) - centre.amin(1)).median() > 3
