"""A GAN conditioned on numbers, from the data to the command line."""

import json

import numpy as np
import pytest
import torch

import sparring
from sparring import cli
from sparring.config import ConfigError
from sparring.data.conditions import Vectors
from sparring.data.dataset import TensorDataset
from sparring.export import Sampler, export
from sparring.latents import read_latents, save_latents
from sparring.projection import project
from sparring.training.run import train


@pytest.fixture(scope="module")
def slopes() -> TensorDataset:
    """500 pictures of 8×8, the brighter on the left the greater their number, of 100 to 120."""
    generator = torch.Generator().manual_seed(0)
    numbers = 100 + 20 * torch.rand(500, 1, generator=generator)
    left = 0.07 * (numbers - 110)[:, :, None, None] * torch.tensor([1.0, -1.0]).repeat_interleave(4)
    samples = left.expand(-1, 1, 8, -1) + 0.1 * torch.randn(500, 1, 8, 8, generator=generator)
    return TensorDataset(
        name="slopes", modality="image", sample_shape=(1, 8, 8), classes=torch.zeros(500, dtype=torch.long),
        class_names=[], conditions=numbers, conditioned_on=Vectors.fit(numbers, ("slope",)), fingerprint="slopes",
        value_range="", samples=samples.clamp(-1, 1),
    )  # fmt: skip


@pytest.fixture
def run(trained_once, tiny, slopes):
    settings = {
        "model.width": 32, "train.batch_size": 32, "train.num_samples": 4000, "train.checkpoint_every": 4000,
        "train.sample_every": 4000, "train.evaluate_every": 0, "optim.lr": 2e-3, "optim.ema_half_life": 300,
        "loss.energy": 0.1,
    }  # fmt: skip
    return trained_once(tiny.replace(settings), slopes)


@pytest.fixture
def gan(run):
    return sparring.load(run, "cpu")


def test_it_makes_what_is_asked_for(gan):
    asked = torch.linspace(100, 120, 200)
    made = gan.sample(200, condition=asked)
    slope = made[..., :4].mean((1, 2, 3)) - made[..., 4:].mean((1, 2, 3))
    assert torch.corrcoef(torch.stack([asked, slope]))[0, 1] > 0.8
    assert gan.class_names == ()


def test_a_number_is_one_for_all_or_one_for_each(gan):
    assert torch.equal(gan.sample(3, condition=105), gan.sample(3, condition=[[105]] * 3))
    assert torch.equal(gan.sample(3, condition="105"), gan.sample(3, condition=torch.tensor([105.0])))
    assert torch.equal(gan.sample(3), gan.sample(3, condition=gan.spec.condition.spread(3)))
    few, more = (gan.sample(num, condition=range(101, 101 + num)) for num in (3, 5))
    torch.testing.assert_close(more[:3], few)
    walk = gan.interpolate(4, num=2, condition=105)
    assert torch.equal(walk[0], gan.sample(2, condition=105))
    with pytest.raises(ConfigError, match=r"condition is 1 finite number\(s\) \(slope\)"):
        gan.sample(3, condition=[1, 2])


def test_truncation_draws_toward_the_condition_s_own_mean(gan):
    typical = gan.sample(16, condition=118, truncation_psi=0)
    assert torch.allclose(typical, typical[:1], atol=1e-5)
    other = gan.sample(1, condition=102, truncation_psi=0)
    assert (typical[0] - other[0]).abs().mean() > 0.5


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_what_is_exported_takes_numbers(gan, tmp_path, suffix):
    if suffix == ".onnx":
        onnxruntime = pytest.importorskip("onnxruntime")
    path = export(gan, tmp_path / f"model{suffix}").path
    inputs = Sampler(gan).inputs(5, seed=3) | {
        "condition": torch.linspace(100, 120, 5)[:, None], "truncation_psi": torch.tensor([1, 0.5, 0, 0.7, 1])
    }  # fmt: skip
    if suffix == ".onnx":
        (found,) = onnxruntime.InferenceSession(path).run(None, {name: x.numpy() for name, x in inputs.items()})
        found = torch.from_numpy(found)
    else:
        found = torch.export.load(path).module()(**inputs)
    pairs = zip(inputs["z"], inputs["condition"], inputs["truncation_psi"].tolist(), strict=True)
    expected = torch.cat([gan.decode(z[None], condition[None], psi) for z, condition, psi in pairs])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_projection_finds_the_number_and_keeps_it(gan, tmp_path):
    made = gan.sample(2, condition=[102, 118], seed=5)
    found = project(gan, made, steps=20)
    assert found.condition.shape == (2, 1)
    assert found.condition[0] < 110 < found.condition[1]
    assert project(gan, made, condition=104, steps=1).condition.tolist() == [[104], [104]]
    save_latents(found.z, found.condition, tmp_path / "found.safetensors", gan)
    assert torch.equal(read_latents(tmp_path / "found.safetensors", gan)[1], found.condition)
    for wrong in (found.condition[:, 0].long(), found.condition[:1], found.condition.expand(2, 2)):
        save_latents(found.z, wrong, tmp_path / "wrong.safetensors", gan)
        with pytest.raises(ConfigError, match="other weights"):
            read_latents(tmp_path / "wrong.safetensors", gan)


def test_the_explorer_takes_numbers(run, gan):
    testing = pytest.importorskip("starlette.testclient")
    pytest.importorskip("fastapi")
    from sparring.explorer.model import Model
    from sparring.explorer.server import create_app

    app = create_app(Model(run, device="cpu"), token="t", port=80)
    page = testing.TestClient(app, base_url="http://localhost", headers={"X-Sparring-Token": "t"})
    facts = page.get("/api/model").json()["condition"]
    assert (facts["kind"], facts["names"], len(facts["examples"])) == ("vectors", ["slope"], 256)
    points = [{"seed": 2, "index": index, "condition": [103.5]} for index in range(3)]
    answer = page.post("/api/render", json={"points": points})
    expected = gan.sample(3, seed=2, condition=103.5).clamp(-1, 1).add(1).mul(127.5).round().byte()
    found = np.frombuffer(answer.content, np.uint8).reshape(3, 1, 8, 8).astype(int)
    assert np.abs(found - expected.numpy().astype(int)).max() <= 1
    saved = page.post("/api/download", json=points[0])
    assert "seed2-0-condition103.5.png" in saved.headers["content-disposition"]
    for wrong in ([1, 2], 1.5, True, ["a"], []):
        assert page.post("/api/render", json={"points": [points[0] | {"condition": wrong}]}).status_code == 422


def test_resuming_gives_the_same_weights(tiny, slopes, straight_and_broken):
    whole, broken = straight_and_broken(tiny.replace({"train.evaluate_every": 0}), slopes, 32)
    wanted, found = whole.networks.state_dict(), broken.networks.state_dict()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())
    assert whole.spec == broken.spec


def test_another_number_of_conditions_is_another_run(tiny, slopes, tmp_path):
    train(tiny.replace({"train.evaluate_every": 0}), tmp_path / "run", dataset=slopes)
    plain = TensorDataset(**{**vars(slopes), "conditions": None, "conditioned_on": None})
    with pytest.raises(ConfigError, match=r"samples of 1 conditions, and .* of 0 classes"):
        train(tiny.replace({"train.evaluate_every": 0}), tmp_path / "run", dataset=plain)


def test_the_commands(slopes, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = slopes.samples[:80].add(1).mul(127.5).byte().numpy()
    np.savez("data.npz", images=pixels, labels=slopes.conditions[:80].numpy())
    assert cli.main(["data", "data.npz", "--condition", "numbers", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["conditions"]) == ["condition 1"]
    words = ["--condition", "numbers", "--out", "run", "--num-samples", "64", "--batch-size", "8", "--device", "cpu"]
    small = ["--model.width", "16", "--model.depth", "1", "--model.num_heads", "2", "--codec.patch_size", "4"]
    assert cli.main(["train", "data.npz", *words, *small, "--evaluate-every", "0", "--model.stem", "0"]) == 0
    capsys.readouterr()
    assert cli.main(["sample", "run", "--num", "3", "--condition", "104", "--out", "made.npz"]) == 0
    expected = sparring.load("run", "cpu").sample(3, condition=104)
    np.testing.assert_array_equal(np.load("made.npz")["samples"], expected)
    assert cli.main(["project", "run", "data.npz", "--num", "2", "--steps", "2", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["samples"]
    assert all(100 <= float(row["condition"]) <= 120 for row in rows)
    assert cli.main(["info", "run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["conditions"] == ["condition 1"]
    assert sparring.load("run", "cpu").config.data.condition == "numbers"


@pytest.mark.parametrize(
    ("name", "words", "saying"),
    [
        (
            None,
            ["--class", "a"],
            "--class a does not fit: this GAN has conditions (slope); choose one with --condition",
        ),
        (None, ["--condition", "a"], "condition is 1 finite number(s) (slope)"),
        ("digits", ["--condition", "1"], "this GAN has classes (0, 1, 2, 3, 4, ...); choose one with --class"),
        ("digits", ["--class", "11"], "there is no class 11"),
        ("sines", ["--condition", "1"], "was trained without classes and other conditions"),
        ("sines", ["--class", "1"], "was trained without classes and other conditions"),
    ],
)
@pytest.mark.parametrize("command", ["sample", "interpolate"])
def test_what_does_not_fit_is_refused_in_one_line(request, tmp_path, capsys, monkeypatch, command, name, words, saying):
    folder = str(name or request.getfixturevalue("run"))
    monkeypatch.chdir(tmp_path)
    assert cli.main([command, folder, *words]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert saying in line
