"""Samples of every kind are found again in the GAN that made them, real ones nearly; what does not fit is refused."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import sparring
from sparring import cli
from sparring.build import build
from sparring.config import Config, ConfigError
from sparring.data import DataError
from sparring.data.spec import DataSpec
from sparring.display.images import to_image
from sparring.latents import read_latents
from sparring.pretrained import GAN
from sparring.projection import open_samples, project
from sparring.sampling import draw_z
from sparring.training.run import train

from small_gans import KINDS, SMALL, gan_of


def _made(gan, z, condition=None):
    """Samples as the networks see them."""
    return gan.codec.decode(gan.codec.unpatchify(gan.generator(z, condition)))


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_gan_made_is_found_in_it(kind):
    gan = gan_of(kind)
    labels = gan.spec.condition.spread(3)
    made = _made(gan, draw_z(3, gan.generator.z_size, seed=9), labels)
    found = project(gan, made, seed=1)
    assert found.z.shape == (3, gan.generator.z_size)
    assert found.z.dtype == torch.float32
    # a random z that makes the very sample, as one of a few symbols, is kept as it is
    assert all(0.9 < rms < 1.1 or start == 0 for rms, start in zip(found.z_rms, found.start_errors, strict=True))
    assert torch.equal(found.condition, labels)
    again = gan.decode(found.z, found.condition)
    if gan.spec.vocabulary:
        assert again == found.samples
    else:
        torch.testing.assert_close(again, found.samples, equal_nan=True)
    if not KINDS[kind][1].get("codec.name"):  # untrained, that undoes nothing
        assert found.codec_errors == [0] * 3
        assert sum(found.errors) <= 0.15 * sum(found.start_errors)
        assert gan.spec.vocabulary or sum(found.errors) / 3 < 0.05 * made.var()


@pytest.mark.parametrize("kind", ["clips", "texts"])
def test_latents_come_near_those_of_the_codec(kind):
    gan = gan_of(kind)
    for parameter in gan.codec.parameters():  # so that latents differ
        torch.nn.init.normal_(parameter, std=1)
    made = _made(gan, draw_z(3, gan.generator.z_size, seed=9))
    wanted = gan.codec.encode(made)

    def apart(steps):
        z = project(gan, made, steps=steps).z
        return (gan.codec.unpatchify(gan.generator(z)) - wanted).square().mean()

    assert apart(200) < 0.6 * apart(1)


def test_each_is_found_alone_and_the_same_again():
    gan = gan_of("pictures")
    made = gan.sample(18, seed=5)
    found, alone = project(gan, made, steps=5), project(gan, made[17:], steps=5)
    torch.testing.assert_close(found.z[17:], alone.z, rtol=1e-3, atol=1e-3)
    assert torch.equal(project(gan, made, steps=5).z, found.z)
    assert not torch.equal(project(gan, made, steps=5, seed=1).z, found.z)


def test_the_class_is_the_one_asked_for():
    gan = gan_of("pictures")
    made = gan.sample(4)
    assert project(gan, made, condition="right", steps=2).condition.tolist() == [1] * 4
    with pytest.raises(ConfigError, match="no class 2"):
        project(gan, made, condition=2, steps=2)
    with pytest.raises(ConfigError, match="without classes"):
        project(gan_of("clips"), torch.zeros(1, 1, 4, 8, 8), condition="left")


def test_series_are_scaled_as_the_gan_scales_them(tmp_path):
    rows = torch.randn(30, 2, generator=torch.Generator().manual_seed(0)) * 7 + 3
    table = tmp_path / "table.csv"
    table.write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in rows.tolist()))
    gan = gan_of("series")
    gan.config = gan.config.replace({"data.path": "sines"})
    samples, places = open_samples(gan, str(table), 4)
    assert places == [0, 6, 12, 18]
    windows = torch.stack([rows[place : place + 12].T for place in places])
    torch.testing.assert_close(gan.modality.to_user(samples, gan.spec), windows, rtol=1e-4, atol=1e-4)
    gan = gan_of("series that end")
    gan.config = gan.config.replace({"data.path": "own.csv", "data.window": 5})
    samples, _ = open_samples(gan, str(table), 2)
    assert samples.shape == (2, 3, 12)
    assert gan.modality.to_user(samples, gan.spec).isnan().all(1).sum(1).tolist() == [7, 7]
    table.write_text("a,b,c\n" + "".join(f"{a},{b},{a}\n" for a, b in rows.tolist()))
    with pytest.raises(DataError, match=r"and this GAN generates series of 3×12 \(a, b\)"):
        open_samples(gan, str(table), 2)


def test_what_the_search_would_lose_is_kept():
    gan = gan_of("series")
    made = _made(gan, draw_z(3, gan.generator.z_size, seed=4))
    found = project(gan, made, seed=4, steps=3)
    assert found.errors == found.start_errors
    assert torch.equal(found.z, draw_z(3, gan.generator.z_size, seed=4))


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
@pytest.mark.parametrize("kind", ["series", "series that end"])
def test_series_that_sample_wrote_are_read_again(tmp_path, kind, suffix):
    gan = gan_of(kind)
    made, path = gan.sample(5, seed=3).clone(), tmp_path / f"made{suffix}"
    made[..., :3] = made[..., :3].nan_to_num(5)  # so that none of them is shorter than 3 steps
    for window in (None, 12) if kind == "series" else (None,):
        gan.config = gan.config.replace({"data.path": "own.csv", "data.window": window})
        for count in (5, 1):
            gan.modality.display.save(made[:count], path, gan.spec)
            samples, places = open_samples(gan, str(path), 8)
            assert places == list(range(count))
            torch.testing.assert_close(
                gan.modality.to_user(samples, gan.spec), made[:count], rtol=1e-4, atol=1e-3, equal_nan=True
            )


def test_a_table_that_looks_like_samples_and_is_none_says_so(tmp_path):
    gan, path = gan_of("series"), tmp_path / "made.csv"
    gan.modality.display.save(gan.sample(5, seed=3), path, gan.spec)
    path.write_text(path.read_text().replace("\n0,1,", "\n0,11,"))
    gan.config = gan.config.replace({"data.path": "own.csv", "data.window": 3})
    with pytest.raises(DataError, match=r"holds series of 4×3 \(sample, step, a, b\), .* \(the columns 'sample' and"):
        open_samples(gan, str(path), 8)


def test_a_table_of_one_window_is_one_sample(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("b,a\n" + "".join(f"{step},{step * step}\n" for step in range(12)))
    gan = gan_of("series")
    gan.config = gan.config.replace({"data.path": "own.csv", "data.window": 12})
    samples, places = open_samples(gan, str(table), 8)
    assert places == [0]
    steps = torch.arange(12.0)
    torch.testing.assert_close(
        gan.modality.to_user(samples, gan.spec), torch.stack([steps * steps, steps])[None], rtol=1e-4, atol=1e-3
    )
    table.write_text("a,b\n" + "3,4\n" * 12)
    samples, _ = open_samples(gan, str(table), 8)
    torch.testing.assert_close(gan.modality.to_user(samples, gan.spec)[0, :, 0], torch.tensor([3.0, 4.0]))


def test_texts_are_written_in_the_gans_own_symbols(tmp_path):
    file = tmp_path / "one.txt"
    file.write_text("bad\n\ncabbages\n")
    samples, places = open_samples(gan_of("texts"), str(file), 8)
    assert places == [0, 1]
    assert gan_of("texts").modality.to_user(samples, gan_of("texts").spec) == ["bad", "cabba�"]
    file.write_text("\n")
    with pytest.raises(DataError, match="holds no text"):
        open_samples(gan_of("texts"), str(file), 8)


def test_a_single_picture_is_cropped_and_resized(tmp_path):
    picture = tmp_path / "one.png"
    Image.new("L", (30, 20), 255).save(picture)
    samples, places = open_samples(gan_of("pictures"), str(picture), 8)
    assert places == [0]
    assert torch.equal(samples, torch.ones(1, 1, 8, 8))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_colours_become_what_the_gan_makes(tmp_path, mode, channels):
    Image.new("RGBA", (8, 8), (255, 0, 0, 255)).convert(mode).save(tmp_path / "one.png")
    spec = DataSpec((channels, 8, 8), modality="image")
    config = Config().replace(SMALL | {"codec.patch_size": 4})
    gan = GAN(config, spec, build(config, spec))
    (sample,) = open_samples(gan, str(tmp_path / "one.png"), 1)[0]
    grey = 2 * 0.299 - 1
    colour = [1, -1, -1] if "RGB" in mode and channels > 2 else [grey] * (1 if channels < 3 else 3)
    expected = torch.tensor([float(value) for value in [*colour, 1][:channels]])
    torch.testing.assert_close(sample[:, 3, 3], expected, rtol=0, atol=0.01)


@pytest.fixture
def run(tiny, shapes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(tiny, tmp_path / "run", dataset=shapes)
    return "run"


def test_the_command(run, shapes, tmp_path, capsys):
    for index in range(3):
        path = tmp_path / "photos" / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        to_image(shapes.samples[index]).save(path)
    capsys.readouterr()
    assert cli.main(["project", run, "photos", "--steps", "40"]) == 0
    output = capsys.readouterr()
    assert "sparring explore run --latents projected.safetensors" in output.out
    assert len(output.out.splitlines()) == 1 + 3 + 1 + 3 + 1
    assert "step 40 of 40" in output.err
    found = load_file("projected.safetensors")
    gan = sparring.load(run)
    assert found["z"].shape == (3, gan.generator.z_size)
    assert found["condition"].dtype == torch.long
    assert torch.equal(read_latents(Path("projected.safetensors"), gan)[0], found["z"])
    assert Image.open("projected.png").size[0] > 2 * 8

    words = ["photos/1.png", "--class", "right", "--out", "a/b.safetensors", "--picture", "c.png", "--steps", "40"]
    assert cli.main(["project", run, *words, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    (row,) = facts["samples"]
    assert row["class"] == "right"
    assert row["mean_squared_error"] < row["of_the_random_start"]
    assert row["of_the_codec"] == 0
    assert load_file(facts["out"])["condition"].tolist() == [1]


def test_bad_input_ends_with_one_line(run, tmp_path, capsys):
    Image.new("RGB", (8, 8)).save("colour.png")
    (tmp_path / "table.csv").write_text("a\n1\n2\n3\n")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    Image.new("L", (8, 8)).save("projected.png")
    for words, saying in (
        (["missing", "colour.png"], "missing"),
        ([run, "nothing.png"], "no file or folder 'nothing.png'"),
        ([run, "table.csv"], "table.csv cannot be read as pictures of 1×8×8"),
        ([run, "broken.png"], "broken.png cannot be read as pictures of 1×8×8"),
        ([run, "sines"], "sines cannot be read as pictures of 1×8×8, which this GAN generates"),
        ([run, "names"], "names cannot be read as pictures of 1×8×8, which this GAN generates"),
        ([run, "projected.png"], "--picture projected.png is the file of the samples"),
        ([run, "colour.png", "--out", "z.pt"], "--out z.pt must end in .safetensors"),
        ([run, "colour.png", "--picture", "z.csv"], "--picture z.csv must end in .png"),
        ([run, "digits", "--class", "up"], "there is no class up; the classes are left, right"),
    ):
        capsys.readouterr()
        assert cli.main(["project", *words]) == 2, words
        output = capsys.readouterr()
        assert output.out == ""
        assert saying in output.err.strip().splitlines()[-1]
        assert "Traceback" not in output.err
