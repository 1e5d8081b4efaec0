"""The command line as a user meets it: the words, the exit codes, and no traceback whatever goes in."""

import gzip
import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import sparring
from sparring import cli

from command_line import fails

SMALL = [
    "--num-samples=64", "--batch-size=16", "--device=cpu", "--model.width=16", "--model.num_heads=2",
    "--model.depth=1", "--evaluate-every=0", "--optim.warmup=0",
]  # fmt: skip


@pytest.fixture
def pictures(tmp_path):
    """A folder of 24 pictures of 16×12 in two classes."""
    folder = tmp_path / "pictures"
    for name, color in (("red", (200, 30, 30)), ("blue", (30, 30, 200))):
        (folder / name).mkdir(parents=True)
        for index in range(12):
            noise = np.random.default_rng(index).integers(0, 30, (12, 16, 3), dtype=np.uint8)
            Image.fromarray(np.array(color, dtype=np.uint8) + noise).save(folder / name / f"{index}.png")
    return folder


@pytest.fixture
def run(pictures, tmp_path):
    out = tmp_path / "run"
    assert cli.main(["train", str(pictures), "--out", str(out), *SMALL]) == 0
    return out


def test_train_sample_interpolate_info(run, tmp_path, capsys):
    out = tmp_path / "made"
    assert (run / "samples.png").exists()
    assert (run / "training.png").exists()
    assert cli.main(["sample", str(run), "--num", "5", "--out", str(out / "grid.png"), "--seed", "3"]) == 0
    assert Image.open(out / "grid.png").mode == "RGB"
    assert cli.main(["sample", str(run), "--num", "5", "--out", str(out / "a.npz"), "--class", "red"]) == 0
    samples = np.load(out / "a.npz")["samples"]
    assert samples.shape == (5, 3, 12, 16)
    expected = sparring.load(run).sample(5, condition="red")
    assert np.array_equal(samples, expected.numpy())
    assert cli.main(["sample", str(run), "--num", "3", "--out", str(out / "single")]) == 0
    assert [Image.open(p).size for p in sorted((out / "single").iterdir())] == [(16, 12)] * 3
    for name in ("walk.webp", "walk.gif", "walk.mp4"):
        pytest.importorskip("av")
        assert cli.main(["interpolate", str(run), "--out", str(out / name), "--frames", "4", "--num", "4"]) == 0
        assert (out / name).stat().st_size > 100
    with Image.open(out / "walk.webp") as video:
        assert video.n_frames == 4
    capsys.readouterr()
    assert cli.main(["info", str(run), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["sample_shape"] == [3, 12, 16]
    assert facts["classes"] == ["blue", "red"]
    assert facts["samples_seen"] == 64


def test_same_command_resumes_and_a_changed_one_is_refused(pictures, run, capsys):
    assert cli.main(["train", str(pictures), "--out", str(run), *SMALL]) == 0
    assert "resumed" in capsys.readouterr().err
    fails(capsys, "train", pictures, "--out", run, *SMALL, "--seed=5", saying=r"--train\.seed is 0 there and 5 here")


def test_stdout_is_for_results(pictures, tmp_path, capsys):
    assert cli.main(["train", str(pictures), "--out", str(tmp_path / "r"), *SMALL, "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["out"] == str(tmp_path / "r")
    assert "samples" in output.err


def test_data_says_what_was_understood(pictures, tmp_path, capsys):
    (pictures / "red/broken.png").write_bytes(b"not a picture")
    assert cli.main(["data", str(pictures), "--out", str(tmp_path / "data.png"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["count"] == 24
    assert facts["classes"] == {"blue": 12, "red": 12}
    assert facts["skipped"]["count"] == 1
    assert Image.open(tmp_path / "data.png").size[0] > 0


def test_broken_files_and_ignored_labels_are_told_while_training(pictures, tmp_path, capsys):
    (pictures / "red/broken.png").write_bytes(b"not a picture")
    assert cli.main(["train", str(pictures), "--out", str(tmp_path / "r"), *SMALL, "--unconditional"]) == 0
    told = capsys.readouterr().err
    assert "skipped 1 unusable" in told
    assert "broken.png" in told
    assert "ignored" in told
    assert sparring.load(tmp_path / "r").class_names == ()


def test_presets_and_settings_are_listed(capsys):
    assert cli.main(["presets"]) == 0
    assert "digits" in capsys.readouterr().out
    assert cli.main(["train", "--help-all"]) == 0
    assert "--model.depth" in capsys.readouterr().out


def test_help_and_version_do_not_import_torch():
    code = (
        "import sys, sparring.cli as c\n"
        "for words in (['--help'], ['train', '--help'], ['--version'], ['presets'], ['train', '--help-all']):\n"
        "    try: c.main(words)\n"
        "    except SystemExit: pass\n"
        "print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip().endswith("False")


def test_bad_words(capsys):
    fails(capsys, "train", saying="name the data")
    fails(capsys, "trian", saying="invalid choice")
    fails(capsys, "train", "digits", "--bach-size", "3", saying="did you mean --batch-size")
    fails(capsys, "train", "digits", "--model.dept", "3", saying=r"did you mean --model\.depth")
    fails(capsys, "train", "digits", "--model.depth", saying="needs a value")
    fails(capsys, "train", "digits", "more", saying="one word too many")
    fails(capsys, "train", "digits", "--batch-size", "many", saying="takes a whole number")
    fails(capsys, "train", "digits", "--preset", "digit", saying="there is no preset digit")
    fails(capsys, "train", "digits", "--size", "H", saying="--size must be one of XS, S, B, L, XL, not H")
    fails(capsys, "sample", "nowhere", "--num", "0", saying="whole number from 1 to")
    fails(capsys, "sample", "nowhere", "--nun", "3", saying="unrecognized")


def test_bad_data(tmp_path, capsys, pictures):
    empty = tmp_path / "empty"
    empty.mkdir()
    out = tmp_path / "out"
    fails(capsys, "train", tmp_path / "missing", "--out", out, saying="missing")
    fails(capsys, "train", empty, "--out", out, saying="empty")
    bogus = tmp_path / "bogus.zip"
    bogus.write_bytes(b"PK no")
    fails(capsys, "data", bogus, saying=r"bogus\.zip")
    cut = tmp_path / "cut-images-idx3-ubyte.gz"
    cut.write_bytes(gzip.compress(b"\0\0\x08\x03" + b"\0\0\0\x05" * 3)[:-4])
    fails(capsys, "data", cut, saying="cut-images")
    Image.new("RGB", (9, 9)).save(pictures / "red/odd.png")
    fails(capsys, "train", pictures, "--out", out, saying="--resolution")
    fails(capsys, "train", pictures, "--out", out, "--resolution", "none", *SMALL, saying="--resolution")
    assert not out.exists()


def test_patch_size_larger_than_the_pictures(pictures, tmp_path, capsys):
    words = ["train", pictures, "--out", tmp_path / "out", *SMALL, "--codec.patch_size=20", "--model.stem=0"]
    fails(capsys, *words, saying=r"--codec\.patch_size 20 is larger than 12×16: choose at most 16")
    assert not (tmp_path / "out").exists()


def test_labels_that_do_not_match(pictures, tmp_path, capsys):
    labels = tmp_path / "labels.csv"
    labels.write_text("file,label\nnobody.png,red\n")
    fails(capsys, "train", pictures, "--labels", labels, "--out", tmp_path / "out", saying=r"labels\.csv")


def test_bad_devices_and_folders(pictures, run, tmp_path, capsys):
    fails(
        capsys, "sample", run, "--device", "cuda:7" if torch.cuda.is_available() else "cuda", saying="is not available"
    )
    fails(capsys, "sample", run, "--device", "toaster", saying="is not available")
    fails(capsys, "sample", tmp_path / "missing", saying="missing")
    fails(capsys, "sample", pictures, saying="not a run folder")
    fails(capsys, "sample", run, "--class", "green", saying="there is no class green; the classes are blue, red")
    fails(capsys, "sample", run, "--out", tmp_path / "a.txt", saying=r"\.png, .*\.npz")
    fails(capsys, "interpolate", run, "--out", tmp_path / "a.avi", saying=r"\.webp")
    fails(capsys, "train", pictures, "--out", pictures, *SMALL, saying="holds no run")
    fails(capsys, "train", pictures, "--out", pictures / "red/0.png", *SMALL, saying="is a file")


def test_damaged_run_folders(run, capsys):
    model, config = run / "model.safetensors", run / "config.json"
    whole, text = model.read_bytes(), config.read_text()
    for damaged in (whole[: len(whole) // 2], b"", b"\xff" * 200, whole[:8]):
        model.write_bytes(damaged)
        fails(capsys, "sample", run, saying=r"model\.safetensors is damaged")
    model.write_bytes(whole)
    for broken in (
        "{",
        "[]",
        "{}",
        text.replace('"format": 6', '"format": 9'),
        text.replace('"width": 16', '"width": 32'),
    ):
        config.write_text(broken)
        fails(capsys, "sample", run)
        fails(capsys, "info", run)
    config.write_text(text.replace('"depth": 1', '"depth": 400'))
    fails(capsys, "sample", run, saying="does not fit")
    config.write_text(text)
    assert cli.main(["info", str(run)]) == 0


def test_checkpoints_cut_short(pictures, run, capsys):
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:500])
    fails(capsys, "train", pictures, "--out", run, *SMALL, saying="is damaged")


def test_a_table_becomes_a_gan_and_comes_back_as_a_table(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    steps = np.arange(80)
    rows = [f"2026-01-01 00:{s // 60:02}:{s % 60:02},{np.sin(s / 3):.5f},{1000 + s % 7}" for s in steps]
    (tmp_path / "log.csv").write_text("\n".join(["time,height,count", *rows]))
    fails(capsys, "train", tmp_path / "log.csv", saying="--window N")
    assert cli.main(["data", "log.csv", "--window", "12"]) == 0
    assert "sample shape: 2, 12" in capsys.readouterr().out
    tiny = [
        "--num-samples",
        "32",
        "--batch-size",
        "8",
        "--model.width",
        "16",
        "--model.depth",
        "1",
        "--model.num_heads",
        "2",
    ]
    assert cli.main(["train", "log.csv", "--window", "12", "--out", "run", *tiny]) == 0
    assert cli.main(["sample", "run", "--num", "5", "--plot", "plot.png"]) == 0
    assert capsys.readouterr().out.endswith("samples.csv\n")
    table = (tmp_path / "samples.csv").read_text().splitlines()
    assert table[0] == "sample,step,height,count"
    assert len(table) == 1 + 5 * 12
    assert (tmp_path / "plot.png").stat().st_size > 1000
    fails(capsys, "sample", "run", "--out", "clips.mp4", saying=r"must end in \.csv")
    fails(capsys, "sample", "run", "--out", "kept.csv", "--plot", "plot.xyz", saying=r"must end in \.png, \.svg, \.pdf")
    assert not (tmp_path / "kept.csv").exists()
    stride = ["--stride", "3", "--fill-gaps", "--until", "fd<=0"]
    assert cli.main(["train", "log.csv", "--window", "12", "--out", "strides", *stride, *tiny]) == 0
    assert "fd<=0 was not reached: best was " in capsys.readouterr().out
    data = json.loads((tmp_path / "strides/config.json").read_text())["config"]["data"]
    assert (data["stride"], data["fill_gaps"]) == (3, True)
    fails(capsys, "train", "log.csv", "--resolution", "8", saying="--data.resolution has no effect on series")


def test_videos_become_a_gan_through_a_codec(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    for video in range(12):
        frames = [Image.fromarray(np.full((16, 16), 20 * video + 10 * frame, np.uint8)) for frame in range(4)]
        frames[0].save(f"videos/{video}.gif", save_all=True, append_images=frames[1:])
    tiny = [
        "--frames",
        "4",
        "--num-samples",
        "16",
        "--batch-size",
        "4",
        "--codec.num_samples",
        "16",
        "--codec.width",
        "16",
    ]
    tiny += ["--model.width", "16", "--model.depth", "1"]
    assert cli.main(["train", "videos", "--out", "run", *tiny]) == 0
    capsys.readouterr()
    assert cli.main(["sample", "run", "--num", "4"]) == 0
    assert "yet to begin" not in capsys.readouterr().err
    with Image.open("samples.webp") as video:
        assert video.n_frames > 1
    assert cli.main(["reconstruct", "run", "--num", "3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["codec"] == "autoencoder"
    assert told["mean_squared_error"] > 0
    assert (tmp_path / "reconstructed.png").exists()
    rows = (tmp_path / "run/metrics.jsonl").read_text().splitlines(keepends=True)
    of_codec = [row for row in rows if json.loads(row)["samples_seen"] <= 16]
    (tmp_path / "run/metrics.jsonl").write_text("".join(of_codec))
    assert cli.main(["sample", "run", "--num", "4"]) == 0
    assert "its GAN has yet to begin" in capsys.readouterr().err
    fails(capsys, "train", "videos", "--window", "4", saying="--data.window has no effect on pictures")


def test_lines_become_a_gan_of_lines(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["red", "blue", "old", "tiny"], ["cat", "dog", "bus", "kite", "boat"], ["road", "hill", "lake", "roof"]
    captions = [f"a {a} {b} on a {c}." for a, b, c in itertools.product(*words)]
    (tmp_path / "captions.txt").write_text("\n".join(captions))
    assert cli.main(["data", "captions.txt", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["picture"] == "data-sheet.txt"
    fails(capsys, "data", "captions.txt", "--out", "captions.txt", saying="is the data itself")
    fails(capsys, "data", "captions.txt", "--out", "x.png", saying=r"must end in \.txt")
    tiny = ["--num-samples", "32", "--batch-size", "8", "--codec.num_samples", "64", "--codec.width", "16"]
    tiny += ["--model.width", "16", "--model.depth", "1"]
    assert cli.main(["train", "captions.txt", "--out", "run", *tiny]) == 0
    told = capsys.readouterr()
    assert "run/samples.txt" in told.out
    assert "samples: " in told.err
    assert len((tmp_path / "run/samples.txt").read_text().splitlines()) >= 10
    assert cli.main(["sample", "run", "--num", "3", "--reject", "0.5"]) == 0
    assert len(capsys.readouterr().out.split("\n")) == 4
    assert cli.main(["sample", "run", "--num", "3", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3
    assert cli.main(["interpolate", "run", "--frames", "6"]) == 0
    walk = capsys.readouterr().out.splitlines()
    assert 1 <= len(walk) <= 6
    assert cli.main(["reconstruct", "run", "--num", "4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert 0 <= told["share_of_symbols_wrong"] <= 1
    assert (tmp_path / told["picture"]).read_text()
    assert cli.main(["reconstruct", "run", "--num", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith("    ") for line in lines[:8]] == [False, True] * 4
    assert lines[0] in (tmp_path / "captions.txt").read_text().splitlines()
    pytest.importorskip("nltk")
    assert cli.main(["evaluate", "run", "--data", "captions.txt", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["reverse_perplexity"] > scores["reverse_perplexity_floor"] > 1
    fails(capsys, "sample", "run", "--out", "a.png", saying=r"must end in \.txt")
    fails(capsys, "sample", "run", "--reject", "2", saying=r"0\.5, 0\.67")
    fails(
        capsys, "train", "captions.txt", "--codec.stem", "1", saying="--codec.stem has no effect with --codec.name text"
    )
    fails(capsys, "train", "captions.txt", "--window", "4", saying="--data.window has no effect on texts")


def test_evaluate_measures_what_there_is_a_measure_for(run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fails(capsys, "evaluate", run, saying="40 are needed for a comparison")
    fails(capsys, "evaluate", run, "--extractor", "clip", saying="choose digits, untrained")
    assert cli.main(["train", "rings", "--out", "rings", "--num-samples", "64", "--batch-size", "32"]) == 0
    capsys.readouterr()
    assert cli.main(["evaluate", "rings", "--json"]) == 0
    assert 0 <= json.loads(capsys.readouterr().out)["modes"] <= 8


def test_what_goes_with_other_samples_is_refused(tmp_path, run, pictures, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fails(capsys, "train", pictures, "--preset", "clips", saying="the preset clips is not for samples of shape")
    fails(capsys, "train", "sines", "--codec.name", "text", saying="--codec.name text does not fit series")
    fails(capsys, "train", pictures, "--preset", "bouncing", saying="the preset bouncing is not for samples of shape")
    fails(capsys, "train", "sines", "--window", "100000", saying="do not fit in memory: lower --window")
    fails(capsys, "sample", run, "--plot", "plot.png", saying="--plot draws series")
    fails(capsys, "reconstruct", run, "--out", "x.mp4", saying="must end in .png")
    for path in (pictures / "red").iterdir():
        path.unlink()
    fails(capsys, "reconstruct", run, saying="is no longer what this GAN was trained on")
