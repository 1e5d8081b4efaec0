"""What a careless or malicious hand puts into a run or on the command line ends in one line, not in a traceback."""

import io
import json
import os
import subprocess
import sys
import zlib

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from sparring import cli
from sparring.config import Config
from sparring.explorer.events import Rows, read_best
from sparring.files import load_tensors, save_tensors
from sparring.training.logs import row_of
from sparring.training.run import train

from command_line import fails

NESTED = "[" * 100_000 + "]" * 100_000


@pytest.fixture
def run(tiny, shapes, tmp_path):
    train(tiny, tmp_path / "run", dataset=shapes)
    return tmp_path / "run"


def rewrite(run, change, metadata=None):
    """Changes the weights of a run."""
    path = run / "model.safetensors"
    tensors, meta = load_tensors(path)
    save_tensors(path, change(tensors), meta)
    if metadata is not None:
        save_file(tensors, path, metadata=metadata)


@pytest.mark.parametrize("value", ["[1]", "null", "{}", NESTED[:60_000], "9" * 5000, "1e999", "NaN"])
def test_a_setting_takes_numbers_only(value, capsys):
    fails(capsys, "train", "digits", "--model.depth", value, saying=r"--model\.depth takes a whole number")


@pytest.mark.parametrize("value", [[1], None, {}])
def test_a_setting_takes_numbers_only_in_python(value):
    with pytest.raises(ValueError, match=r"--model\.depth takes a whole number"):
        Config().replace({"model.depth": value})


def test_numbers_without_end(run, capsys):
    for number in ("9" * 23, "9" * 5000, "0", "-1", "1.5"):
        fails(capsys, "sample", run, "--num", number, saying="--num: takes a whole number from 1 to")


@pytest.mark.parametrize("psi", ["1e40", "-1e40", "nan", "inf"])
def test_truncations_that_overflow(run, psi, capsys):
    fails(capsys, "sample", run, f"--truncation={psi}", saying="--truncation takes a number from -100 to 100")


@pytest.mark.parametrize("device", ["hpu", "privateuseone", "meta", "", "cpu:-1", "\x1b[31m"])
def test_devices_that_pytorch_only_knows_by_name(run, device, capsys):
    fails(capsys, "sample", run, "--device", device, saying="--device .*(not available|cannot compute)")


def test_a_tensor_without_a_name(run, capsys):
    rewrite(run, lambda tensors: tensors | {"": torch.zeros(1)})
    fails(capsys, "info", run, saying="at a tensor without a name")


def test_weights_that_are_not_finite_are_not_called_healthy(run, capsys, tmp_path):
    (run / "verdict.txt").write_text("Healthy: all is well.")
    assert cli.main(["info", str(run)]) == 0
    rewrite(run, lambda tensors: {n: t * torch.nan if t.is_floating_point() else t for n, t in tensors.items()})
    for words in (["info", run], ["sample", run], ["export", run, "--out", tmp_path / "made.onnx"]):
        fails(capsys, *words, saying="weights that are not finite")
    assert not (tmp_path / "made.onnx").exists()


@pytest.mark.parametrize("shape", [[2**63, 1, 1], [1, 2**63, 1], [1, 8, 0], [-1, 8, 8], [5, 8, 8], [], [1, 8]])
def test_shapes_that_no_picture_has(run, shape, capsys):
    config = json.loads((run / "config.json").read_text())
    config["data"]["sample_shape"] = shape
    (run / "config.json").write_text(json.dumps(config))
    fails(capsys, "info", run, saying=r"config\.json")


def test_five_channels_are_named(run, capsys):
    config = json.loads((run / "config.json").read_text())
    config["data"]["sample_shape"] = [5, 8, 8]
    (run / "config.json").write_text(json.dumps(config))
    fails(capsys, "info", run, saying="pictures have 1 to 4 channels, and not 5")


def test_json_without_end_in_a_run(run, capsys):
    config = (run / "config.json").read_text()
    (run / "config.json").write_text(NESTED)
    fails(capsys, "info", run, saying=r"config\.json is damaged .*nested too deeply")
    (run / "config.json").write_text(config)
    rewrite(run, lambda tensors: tensors, {"sparring": NESTED})
    fails(capsys, "info", run, saying=r"model\.safetensors is damaged .*nested too deeply")
    header = NESTED.encode()
    (run / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    fails(capsys, "info", run, saying=r"model\.safetensors is damaged .*nested too deeply")


ROWS = ['{"samples_seen": Infinity}', '{"samples_seen": NaN}', '{"samples_seen": -1}', '{"samples_seen": true}',
        '{"samples_seen": 1' + "0" * 400 + "}", '{"samples_seen": "1"}', NESTED, "[]", "{"]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[:30])
def test_rows_that_are_none(row, run, capsys):
    assert row_of(row) is None
    with open(run / "metrics.jsonl", "a") as file:
        file.write(row + "\n")
    capsys.readouterr()
    assert cli.main(["info", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["samples_seen"] == 64
    assert Rows(run / "metrics.jsonl").read()[0][-1]["samples_seen"] == 64
    (run / "best" / "metrics.json").write_text(row)
    assert read_best(run) == {}


def test_a_row_holds_numbers_only():
    row = row_of('{"samples_seen": 1, "a": {"b": 1}, "c": [1], "d": "x", "e": null, "f": true, "loss/d": 2, "r": NaN}')
    assert list(row) == ["samples_seen", "loss/d", "r"]


def test_a_run_resumes_over_a_row_of_other_things(run, tiny, shapes):
    rows = (run / "metrics.jsonl").read_text()
    strange = '{"samples_seen": 8, "loss/d": {"a": 1}, "logits/gap": [1], "loss/r1": "x"}\n' + NESTED + "\n"
    (run / "metrics.jsonl").write_text(strange + rows)
    train(tiny, run, dataset=shapes)
    assert (run / "metrics.jsonl").read_text() == '{"samples_seen": 8}\n' + rows


@pytest.mark.parametrize(
    "best", [NESTED, "[]", "", '{"samples_seen": 8, "frechet": "x"}', '{"samples_seen": 8, "frechet": [1]}']
)
def test_a_best_row_that_cannot_be_read_is_replaced(best, run, tiny, shapes):
    (run / "best" / "metrics.json").write_text(best)
    train(tiny.replace({"train.num_samples": 128, "train.evaluate_every": 16}), run, dataset=shapes)
    assert json.loads((run / "best" / "metrics.json").read_text())["frechet"] > 0


def test_a_terminal_that_knows_ascii_only():
    for words in (["presets"], ["train", "--help-all"], ["data", "ü"]):
        result = subprocess.run(
            [sys.executable, "-m", "sparring", *words],
            env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, text=True,
        )  # fmt: skip
        assert "encode" not in result.stderr
        assert result.returncode == (2 if "data" in words else 0)
    assert r"\xfc" in result.stderr


def test_a_damaged_picture_is_told_of_in_one_line(tmp_path):
    """Pillow warns of an `acTL` chunk without frames."""
    picture = io.BytesIO()
    Image.new("L", (4, 4)).save(picture, "PNG")
    body = b"acTL" + bytes(8)
    chunk = (8).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(picture.getvalue()[:33] + chunk + picture.getvalue()[33:])
    words = [sys.executable, "-m", "sparring", "data", str(tmp_path / "a.png"), "--frames", "2"]
    result = subprocess.run(words, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.startswith("sparring: no readable video")
    assert len(result.stderr.splitlines()) == 1
