"""Samples made elsewhere, other references, the report. What the scores mean is tested beside each metric."""

import html.parser
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from sparring import cli, report
from sparring.config import ConfigError
from sparring.data import DataError
from sparring.evaluation import Compared, of_run, of_samples, open_compared
from sparring.modalities.registry import open_dataset
from sparring.training.run import train


@pytest.fixture
def digits_apart(tmp_path):
    """Two halves of 600 digits: as pictures in a folder of classes, and as arrays."""
    data = open_dataset("digits")
    chosen = torch.randperm(len(data), generator=torch.Generator().manual_seed(3))[:600]
    pixels = ((data.batch(chosen)[0] + 1) * 127.5).round().byte().numpy()
    for index, label in enumerate(data.labels()[chosen[:300]].tolist()):
        folder = tmp_path / "pictures" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[index, 0]).save(folder / f"{index}.png")
    np.savez(tmp_path / "arrays.npz", samples=pixels[300:, 0])
    return tmp_path


def fails(capsys, *arguments, saying):
    assert cli.main(list(map(str, arguments))) == 2
    assert saying in capsys.readouterr().err


def test_real_digits_from_elsewhere_pass_and_noise_does_not(digits_apart):
    chosen = ("frechet", "c2st", "recognised", "recall")
    real = of_samples(str(digits_apart / "pictures"), "digits").scores(chosen=chosen)
    assert real["count"] == 300
    assert real["frechet"] < 3 * real["frechet_floor"]
    assert real["recognised"] > 0.95
    assert real["recall_3"] > 0.5
    assert not real["warnings"]
    assert "kid" not in real
    noise = np.random.default_rng(0).integers(0, 256, (300, 28, 28), np.uint8)
    np.savez(digits_apart / "noise.npz", samples=noise)
    unnamed = of_samples(str(digits_apart / "noise.npz"), "digits")
    bad = unnamed.scores(chosen=("frechet", "c2st", "recall"))
    assert bad["frechet"] > 20 * real["frechet"]
    assert bad["c2st"] > 0.95
    assert "recall_3" not in bad  # nothing says what they were made for
    with pytest.raises(DataError, match="recognised needs the classes of the samples"):
        unnamed.scores(chosen=chosen)
    assert any("cover" in warning for warning in bad["warnings"])


def test_one_picture_over_and_over_is_called_a_collapse(digits_apart):
    one = np.load(digits_apart / "arrays.npz")["samples"][:1]
    np.savez(digits_apart / "one.npz", samples=np.repeat(one, 100, 0))
    scores = of_samples(str(digits_apart / "one.npz"), "digits").scores(chosen=("repeats",))
    assert scores["repeats"] == 1
    assert scores["repeats_floor"] < 0.2
    assert any("repeat another" in warning for warning in scores["warnings"])


def test_series_and_texts_from_elsewhere(tmp_path, capsys):
    steps = torch.arange(24) * 0.05 + torch.rand(200, 1, generator=torch.Generator().manual_seed(0))
    np.save(tmp_path / "data.npy", steps.sin()[:100, :, None].numpy())
    np.save(tmp_path / "samples.npy", steps.sin()[100:, :, None].numpy())
    same = of_samples(str(tmp_path / "samples.npy"), str(tmp_path / "data.npy"), window=24)
    scores = same.scores(chosen=("context_frechet",), repeats=2)
    assert scores.keys() - {"encoder", "count"} == {
        "context_frechet", "context_frechet_std", "context_frechet_floor", "context_frechet_floor_std", "warnings"
    }  # fmt: skip
    with pytest.raises(DataError, match="correlational compares channels"):
        same.scores(chosen=("fd", "correlational"))
    pytest.importorskip("nltk")
    lines = [
        f"a {color} cat sits on the {thing}" for color in ("red", "blue", "old") for thing in ("mat", "car", "bed")
    ]
    (tmp_path / "data.txt").write_text("\n".join(lines * 20))
    (tmp_path / "few.txt").write_text("\n".join(lines))
    (tmp_path / "samples.txt").write_text("\n".join(lines * 3))
    texts = of_samples(str(tmp_path / "samples.txt"), str(tmp_path / "data.txt")).scores()
    assert texts["copied"] == 1
    command = ["evaluate", str(tmp_path / "samples.txt"), "--data", str(tmp_path / "data.txt"), "--json", "--metrics"]
    assert cli.main([*command, "copied", "diversity"]) == 0
    chosen = json.loads(capsys.readouterr().out)
    assert {name: chosen[name] for name in ("copied", "unique_floor")} == {
        name: texts[name] for name in ("copied", "unique_floor")
    }
    assert "perplexity" not in chosen
    fails(capsys, *command, "fidd", saying="no metric fidd here: choose among frechet, c2st, perplexity")
    with pytest.raises(DataError, match="9 texts are too few"):
        of_samples(str(tmp_path / "few.txt"), str(tmp_path / "data.txt")).scores()


def test_other_pictures_in_files_of_equal_names_and_sizes_are_other_pictures(tmp_path):
    random = np.random.default_rng(0)
    for name, low in (("noise", 0), ("bright", 200)):
        (tmp_path / name).mkdir()
        for index in range(60):
            pixels = random.integers(low, 256, (16, 16), np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{index:03}.bmp")
    noise, bright = (str(tmp_path / name) for name in ("noise", "bright"))
    assert of_samples(noise, noise).scores(chosen=("frechet",))["frechet"] < 0.1
    assert of_samples(noise, bright).scores(chosen=("frechet",))["frechet"] > 0.5


def test_a_run_whose_data_has_moved_is_compared_with_what_is_named(tiny, digits_apart):
    shutil.copytree(digits_apart / "pictures", digits_apart / "old")
    config = tiny.replace({"data.path": str(digits_apart / "old"), "train.evaluate_every": 0})
    train(config, digits_apart / "run")
    shutil.rmtree(digits_apart / "old")
    with pytest.raises(DataError, match="there is no file or folder"):
        of_run(str(digits_apart / "run"), device="cpu")
    compared = of_run(str(digits_apart / "run"), device="cpu", data=str(digits_apart / "pictures"))
    scores = compared.scores(chosen=("frechet",))
    assert scores["frechet"] > scores["frechet_floor"] > 0
    assert scores["warnings"][-1].startswith("copies: none are searched for")
    with pytest.raises(DataError, match="near_copies cannot be measured here"):
        compared.scores(chosen=("frechet", "near_copies"))


def test_a_reference_of_another_look_makes_no_copies(digits_apart, tiny):
    """The run's samples are held-out digits, the reference inverted ones."""
    data, inverted = open_dataset("digits"), open_dataset("digits")
    inverted.samples = 255 - inverted.samples
    held_out = data.held_out.batch(torch.arange(300))[0]
    data.held_out = inverted
    scores = Compared("a", "b", data, lambda num: (held_out[:num], None), most=300).scores(chosen=("near_copies",))
    assert scores["near_copies"] < 0.1


def test_samples_that_lack_a_class_are_matched_by_name(digits_apart):
    """A folder of ten classes without one of them, beside digits; the order of the files does not choose."""
    shutil.rmtree(digits_apart / "pictures/3")
    lacking = of_samples(str(digits_apart / "pictures"), "digits")
    assert lacking.sample(50)[1].unique().tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    scores = lacking.scores(chosen=("recall", "recognised"))
    assert scores["recognised"] > 0.95
    assert scores["recall_3"] == 0
    assert any("0% of class 3" in warning for warning in scores["warnings"])
    arrays = np.load(digits_apart / "arrays.npz")["samples"]
    np.savez(digits_apart / "turned.npz", samples=arrays[::-1])
    first, second = (
        of_samples(str(digits_apart / name), "digits").sample(40)[0] for name in ("arrays.npz", "turned.npz")
    )
    assert torch.equal(first, second)


def test_what_was_learnt_by_heart_is_called_copies(digits_apart, capsys):
    """Real scores of copies are as good as can be, where nothing is held out."""
    data = open_dataset(str(digits_apart / "pictures"))
    np.savez(digits_apart / "copies.npz", samples=((data.batch(torch.arange(150))[0] + 1) * 127.5).round().byte()[:, 0])
    command = ["evaluate", str(digits_apart / "copies.npz"), "--data", str(digits_apart / "pictures")]
    assert cli.main([*command, "--metrics", "near_copies", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["near_copies"] == 1
    assert "warning: copies: 100%" in captured.err
    fails(capsys, *command, "--metrics", "recognised", saying="recognised cannot be measured here")


def test_what_cannot_be_compared_says_so(digits_apart, capsys, monkeypatch):
    monkeypatch.chdir(digits_apart)
    np.savez("colours.npz", samples=np.random.default_rng(0).integers(0, 256, (50, 28, 28, 3), np.uint8))
    np.savez("small.npz", samples=np.random.default_rng(0).integers(0, 256, (50, 8, 8), np.uint8))
    (digits_apart / "texts.txt").write_text("one\ntwo\nthree\n" * 30)
    (digits_apart / "pictures.html").mkdir()
    (digits_apart / "no.png").write_text("no folder")
    fails(capsys, "evaluate", "pictures", saying="--data REFERENCE")
    fails(capsys, "evaluate", "arrays.npz", "--data", "sines", saying="they are of different kinds")
    fails(capsys, "evaluate", "arrays.npz", "--data", "digits", "--metrics", "fidd", saying="choose among frechet")
    fails(capsys, "evaluate", "arrays.npz", "--data", "digits", "--num", "9", saying="9 samples are too few")
    fails(capsys, "evaluate", "arrays.npz", "--data", "digits", "--neighbours", "x.txt", saying="must end in .png")
    fails(capsys, "evaluate", "arrays.npz", "--data", "digits", "--report", "x.pdf", saying="must end in .html")
    fails(capsys, "evaluate", "arrays.npz", "--data", "digits", "--report", "pictures.html", saying="is a folder")
    fails(capsys, "evaluate", "arrays.npz", "--data", "digits", "--report", "no.png/x.html", saying="cannot be written")
    fails(
        capsys, "evaluate", "arrays.npz", "--data", "digits", "--repeats", "3", saying="--repeats is for the networks"
    )
    fails(capsys, "evaluate", "arrays.npz", "--data", "digits", "--extractor", "digits:x", saying="takes no file")
    fails(capsys, "evaluate", "arrays.npz", "--data", "digits", "--device", "bogus", saying="bogus")
    fails(capsys, "evaluate", "arrays.npz", "--data", "rings", saying="bring them to one shape")
    fails(capsys, "evaluate", "arrays.npz", "--data", "colours.npz", saying="the same number of channels")
    fails(capsys, "evaluate", "digits", "--data", "small.npz", saying="28×28: bring them to one shape")
    fails(capsys, "evaluate", "nowhere.npz", "--data", "digits", saying="there is no nowhere.npz")
    fails(capsys, "evaluate", "arrays.npz", "--data", "texts.txt", saying="holds no texts")
    fails(capsys, "evaluate", "names", "--data", "arrays.npz", saying="holds no texts")
    fails(capsys, "evaluate", "arrays.npz", "--data", "nowhere", saying="there is no file or folder")
    (digits_apart / "run").mkdir()
    (digits_apart / "run/config.json").write_text("{}")
    with pytest.raises(ConfigError, match="a run knows its own"):
        open_compared("run", device="cpu", seed=0, data=None, settings={"resolution": 8})


class _Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.titles, self.pictures, self.kinds = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.kinds.append(tag)
        if tag == "img":
            self.pictures.append(dict(attributes))

    def handle_data(self, data):
        if self.kinds and self.kinds[-1] == "h2":
            self.titles.append(data)


def test_the_report_is_one_file_with_everything_in_it(digits_apart, capsys, monkeypatch):
    monkeypatch.chdir(digits_apart)
    (digits_apart / "<b>s").mkdir()
    np.savez(digits_apart / "<b>s/x.npz", **np.load("arrays.npz"))
    command = ["evaluate", "<b>s/x.npz", "--data", "digits", "--metrics", "frechet", "--json"]
    assert cli.main([*command, "--report", "out/report.html", "--neighbours", "out/near.png"]) == 0
    assert json.loads(capsys.readouterr().out)["frechet"] > 0
    text = (digits_apart / "out/report.html").read_text()
    page = _Page(text)
    assert {"Scores", "Samples", "Real samples", "Nearest real samples", "Farthest from all real samples"} <= set(
        page.titles
    )
    assert all(picture["src"].startswith("data:image/png;base64,") for picture in page.pictures)
    assert all(picture["alt"] for picture in page.pictures)
    assert "script" not in page.kinds
    assert "b" not in page.kinds  # the name of a file is no markup
    assert Image.open(digits_apart / "out/near.png").size == (8 * 56, 3 * 56)


def test_points_leave_nothing_to_choose():
    compared = Compared("dots", "rings", open_dataset("rings"), lambda num: (torch.zeros(num, 2, 1, 1), None))
    assert compared.scores(num=500)["count"] == 500
    with pytest.raises(DataError, match="--metrics is for pictures, clips, series and texts, and these are points"):
        compared.scores(chosen=["modes"])


def test_what_lies_nearest_is_found(shapes):
    copies = shapes.samples[[7, 20]]
    compared = Compared("copies", "shapes", shapes, lambda num: (copies, None), most=2)
    found = report.NearestSamples(compared).pairs()
    assert torch.equal(found[0::2], copies.clamp(-1, 1)) or torch.allclose(found[0::2], copies)
    torch.testing.assert_close(found[1::2], copies.clamp(-1, 1))


def test_the_report_looks_among_all_pictures_and_at_each_once(shapes, tmp_path, monkeypatch):
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path))
    compared = Compared("real", "shapes", shapes, lambda num: (shapes.batch(torch.arange(num))[0], None), most=40)
    nearest = report.NearestSamples(compared)
    assert nearest.searched == "all 40"
    (kept,) = (tmp_path / "features").iterdir()
    written = kept.stat().st_ino
    compared.scores(chosen=["near_copies"])
    assert len(list((tmp_path / "features").iterdir())) == 3  # the real ones on both sides of the floor besides
    assert kept.stat().st_ino == written  # not written again


def test_the_report_shows_real_ones_of_the_samples_classes(shapes):
    classes = torch.tensor([1, 0, 0, 1, 1])
    compared = Compared("real", "shapes", shapes, lambda num: (shapes.samples[:5], classes), most=5)
    bright_right = report.NearestSamples(compared).real_samples()[:, 0, :, 4:].mean((1, 2)) > 0
    assert bright_right.long().tolist() == classes.tolist()
    digits = open_dataset("digits")
    held_out = digits.held_out.batch(torch.arange(1000))[0]
    unnamed = Compared("real", "digits", digits, lambda num: (held_out[:num], None), most=30)
    places = [
        (held_out == one).flatten(1).all(1).nonzero()[0].item() for one in report.NearestSamples(unnamed).real_samples()
    ]
    assert places != sorted(places)  # the set lies sorted by class, the samples do not
