import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from sparring.config import ConfigError
from sparring.data.channels import Channels
from sparring.data.conditions import Classes
from sparring.data.spec import DataSpec
from sparring.data.vocabulary import Vocabulary
from sparring.modalities.registry import MODALITIES, modality_of, open_dataset

SERIES = DataSpec((2, 5), channels=Channels(("a", "b"), (0.0, 0.0), (1.0, 1.0)), modality="series")
PICTURES = DataSpec((3, 8, 8), modality="image")
CLIPS = DataSpec((1, 4, 16, 16), modality="video")


def save(samples, path, spec):
    modality_of(spec).display.save(samples, path, spec)


def test_series_are_saved_as_a_table_without_what_lies_beyond_their_ends(tmp_path):
    series = torch.arange(20.0).view(2, 2, 5)
    series[1, :, 3:] = torch.nan
    save(series, tmp_path / "series.csv", SERIES)
    rows = list(csv.reader((tmp_path / "series.csv").read_text().splitlines()))
    assert rows[0] == ["sample", "step", "a", "b"]
    assert len(rows) == 1 + 5 + 3
    assert [float(cell) for cell in rows[2]] == [0, 1, 1, 6]
    assert [float(cell) for cell in rows[-1]] == [1, 2, 12, 17]


@pytest.mark.parametrize(("spec", "suffix"), [(SERIES, ".csv"), (PICTURES, ".png"), (CLIPS, ".webp")])
def test_a_folder_holds_single_samples_and_an_npz_all(tmp_path, spec, suffix):
    samples = torch.rand(3, *spec.sample_shape)
    save(samples, tmp_path / "single", spec)
    assert sorted(path.name for path in (tmp_path / "single").iterdir()) == [f"{i:05d}{suffix}" for i in range(3)]
    save(samples, tmp_path / "all.npz", spec)
    kept = np.load(tmp_path / "all.npz")
    kept = np.moveaxis(kept["series"], 2, 1) if spec is SERIES else kept["samples"]
    assert np.array_equal(kept, samples.numpy())


def test_a_film_of_series_keeps_its_scale_and_pairs_stand_side_by_side(tmp_path):
    """A line that shrinks to a tenth looks smaller; on a scale of its own it would look the same."""
    line = torch.linspace(0, 1, 5).expand(1, 1, 5)
    large, small = modality_of(SERIES).display.frames(torch.stack([line, 0.1 * line]))
    assert large.tobytes() != small.tobytes()
    display = modality_of(SERIES).display
    sheets = [display.save_sheet(factor * line, tmp_path / f"times {factor}.png").read_bytes() for factor in (1, 0.1)]
    assert sheets[0] == sheets[1]
    widths = []
    for columns in (1, 2):
        with Image.open(display.save_sheet(line.expand(4, 1, 5), tmp_path / f"in {columns}", columns)) as sheet:
            widths.append(sheet.width)
    assert widths[1] == 2 * widths[0]


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_clips_are_one_tiled_film_with_every_frame(tmp_path, suffix):
    clips = torch.full((5, 1, 4, 16, 16), -1.0)
    clips[:, :, 2] = 1
    save(clips, tmp_path / f"clips{suffix}", CLIPS)
    with Image.open(tmp_path / f"clips{suffix}") as film:
        assert film.n_frames >= 3  # equal neighbours may be stored as one, shown for longer
        film.seek(film.n_frames - 1)
        last = np.asarray(film.convert("L"))
    assert last.max() < 30
    assert last.shape[1] > last.shape[0]  # three columns, two rows


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("out", ["clips", "clips.npz"])
def test_clips_that_are_saved_as_data_are_read_as_they_were(tmp_path, channels, out):
    """To the last bit, whatever their size, and with all their frames: also the second, which stands still."""
    pixels = torch.randint(0, 256, (3, channels, 6, 5, 7), generator=torch.Generator().manual_seed(0)).float()
    pixels[1, :, 1:] = pixels[1, :, :1]
    save(pixels / 127.5 - 1, tmp_path / out, DataSpec((channels, 6, 5, 7), modality="video"))
    dataset = open_dataset(str(tmp_path / out), frames=6)
    assert dataset.sample_shape == (channels, 6, 5, 7)
    assert torch.equal((dataset.batch(torch.arange(3))[0] * 127.5 + 127.5).round(), pixels)


@pytest.mark.parametrize("channels", [2, 4])
def test_what_is_transparent_is_black_in_an_mp4(tmp_path, channels):
    av = pytest.importorskip("av")
    clips = torch.ones(1, channels, 4, 64, 64)
    clips[:, -1, ..., :32] = -1  # white beneath
    save(clips, tmp_path / "clips.mp4", DataSpec((channels, 4, 64, 64), modality="video"))
    with av.open(str(tmp_path / "clips.mp4")) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="gray")
    assert frame[:, :24].max() < 30
    assert frame[:, 40:].min() > 225


def test_clips_as_mp4(tmp_path):
    av = pytest.importorskip("av")
    save(torch.rand(4, 1, 4, 16, 16), tmp_path / "clips.mp4", CLIPS)
    with av.open(str(tmp_path / "clips.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 16  # four times over


@pytest.mark.parametrize(("spec", "path"), [(SERIES, "a.mp4"), (PICTURES, "a.csv"), (CLIPS, "a.csv"), (CLIPS, "a.png")])
def test_a_file_that_does_not_go_with_the_samples_is_refused(spec, path, tmp_path):
    with pytest.raises(ConfigError, match=r"must end in .*\.npz, or be a folder"):
        save(torch.zeros(1, *spec.sample_shape), tmp_path / path, spec)


def test_a_refusal_names_every_ending(tmp_path):
    with pytest.raises(ConfigError, match=r"must end in \.webp, \.gif, \.mp4, \.npz, or be a folder"):
        modality_of(CLIPS).display.check_path(tmp_path / "o.avi")


@pytest.mark.parametrize(
    ("modality", "shape"),
    [
        *(("series", shape) for shape in [(1, 9), (7, 30)]),
        *(("image", shape) for shape in [(1, 8, 8), (4, 8, 8)]),
        ("points", (2, 1, 1)),
        *(("video", shape) for shape in [(1, 3, 8, 8), (3, 16, 32, 32)]),
    ],
)
def test_anything_makes_a_picture(modality, shape, tmp_path):
    path = MODALITIES[modality].display.save_sheet(torch.randn(12, *shape), tmp_path / "sheet")
    assert path == tmp_path / "sheet.png"
    with Image.open(path) as picture:
        assert min(picture.size) > 50
        assert len(picture.convert("L").getcolors()) > 1


def test_texts_are_lines_side_by_side_where_they_fit(tmp_path):
    spec = DataSpec((9,), vocabulary=Vocabulary("char", ("a",)), modality="text")
    display = modality_of(spec).display
    path = display.save_sheet(["Ann", "Bo", "Cleo"], tmp_path / "sheet", 2)
    assert path.read_text() == "Ann    Bo\nCleo\n"
    long = "a line that is long" * 4
    assert display.save_sheet([long, "b"], tmp_path / "long", 2).read_text() == f"{long}\nb\n"
    save(["Ann", "Bø"], tmp_path / "all.jsonl", spec)
    assert [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()] == [
        {"text": "Ann"},
        {"text": "Bø"},
    ]
    save(["Ann", "Bo"], tmp_path / "single", spec)
    assert sorted(path.read_text() for path in (tmp_path / "single").iterdir()) == ["Ann\n", "Bo\n"]
    with pytest.raises(ConfigError, match=r"must end in \.txt, \.jsonl, or be a folder: texts"):
        save(["Ann"], tmp_path / "a.npz", spec)
    assert modality_of(spec).interleaved(["a", "b"], ["c", "d"]) == ["a", "c", "b", "d"]


def test_a_page_shows_series_without_the_channel_that_says_where_they_end():
    channels = Channels(("x", "y"), (0.0, 0.0), (1.0, 1.0), masked=True)
    spec = DataSpec((3, 12), Classes(("a",)), channels, modality="series")
    assert modality_of(spec).page.facts(spec) == {
        "kind": "series",
        "shape": [2, 12],
        "condition": {"kind": "classes", "names": ["a"]},
        "channels": ["x", "y"],
    }
    assert modality_of(PICTURES).page.facts(PICTURES)["shape"] == [3, 8, 8]
