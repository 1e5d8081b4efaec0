"""Models to a hub and back: the real library against a stand-in of the hub's interface on this machine."""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import load_file

import sparring
from sparring import cli
from sparring.hub.client import download
from sparring.pretrained import read_config
from sparring.publishing.push import pull, push

import hub_stand_in
from command_line import fails

NAME = "someone/shapes"
SENT = {
    "config.json", "model.safetensors", "README.md", "samples.png", "training.png", "verdict.txt", "best/metrics.json",
}  # fmt: skip
PRIVATE_PATH = "/home/someone/secret client/shapes"


@pytest.fixture(autouse=True)
def _quiet_handlers(monkeypatch):
    """The library's log keeps the stderr of the test that imported it, which is closed by now."""
    monkeypatch.setattr(logging, "raiseExceptions", False)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub on which "someone" is logged in."""
    with hub_stand_in.HubStandIn() as hub:
        point_at(monkeypatch, hub.address)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", "hf_of_someone")
        monkeypatch.chdir(tmp_path)
        yield hub


def point_at(monkeypatch, address):
    """What HF_ENDPOINT does where the library is not imported yet."""
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def run(tiny, shapes, trained_once, tmp_path):
    """A run of a few steps, trained once."""
    config = tiny.replace({"data.path": PRIVATE_PATH, "data.labels": "/home/someone/labels.csv"})
    return Path(shutil.copytree(trained_once(config, shapes), tmp_path / "run"))


def same_samples(one, other):
    return torch.equal(sparring.load(one, "cpu").sample(8), sparring.load(other, "cpu").sample(8))


def test_there_and_back(hub, run, capsys):
    assert cli.main(["push", str(run), NAME, "--licence", "Apache-2.0", "--data-licence", "CC0"]) == 0
    output = capsys.readouterr()
    assert output.out == f"{hub.address}/{NAME}\n"
    assert "model.safetensors (" in output.err
    repository = hub.repositories[NAME]
    assert not repository.private
    assert repository.commits == [("GAN of shapes, by Sparring", SENT)]
    assert 'license: "apache-2.0"' in repository.files["README.md"].decode()

    assert cli.main(["pull", NAME]) == 0
    assert capsys.readouterr().out == "runs/shapes\n"
    pulled = Path("runs/shapes")
    assert {str(p.relative_to(pulled)) for p in pulled.rglob("*") if p.is_file()} == SENT
    weights, expected = load_file(pulled / "model.safetensors"), load_file(run / "model.safetensors")
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in weights)
    assert same_samples(run, pulled)
    assert same_samples(run, NAME)
    assert same_samples(run, f"hf:{NAME}")
    assert cli.main(["sample", f"hf:{NAME}", "--num", "4", "--out", "four.png"]) == 0


def test_what_is_published_says_not_where_things_lie(hub, run):
    push(run, NAME)
    for content in hub.repositories[NAME].files.values():
        assert b"secret" not in content
        assert b"/home" not in content
    config, spec = read_config(download(NAME))
    before, spec_before = read_config(run)
    assert config == before.replace({"data.path": "shapes", "data.labels": "labels.csv"})
    assert spec == spec_before


def test_a_second_push_replaces_the_first(hub, run):
    push(run, NAME)
    (run / "samples.png").unlink()
    Image.new("L", (2, 2)).save(run / "training.png")
    another = (run / "training.png").read_bytes()
    push(run, NAME)
    repository = hub.repositories[NAME]
    assert repository.commits[1][1] == {"samples.png", "training.png", "README.md"}
    assert "samples.png" not in repository.files
    assert repository.files["training.png"] == another
    assert ".gitattributes" in repository.files


def test_private_ones(hub, run, capsys, monkeypatch):
    assert cli.main(["push", str(run), NAME, "--private"]) == 0
    assert hub.repositories[NAME].private
    push(run, NAME)
    assert hub.repositories[NAME].private
    assert same_samples(run, NAME)
    push(run, "someone/open")
    fails(capsys, "push", run, "someone/open", "--private", saying="already on the hub and public")
    assert len(hub.repositories["someone/open"].commits) == 1
    hub.tokens["hf_of_another"] = "another"
    monkeypatch.setenv("HF_TOKEN", "hf_of_another")
    fails(capsys, "pull", NAME, "--out", "a", saying=f"no model {NAME} on the hub that you may see")
    monkeypatch.delenv("HF_TOKEN")
    shutil.rmtree("cache")
    fails(capsys, "pull", NAME, "--out", "a", saying="`hf auth login` or set HF_TOKEN")


def test_not_logged_in(hub, run, capsys, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    fails(capsys, "push", run, NAME, saying="`hf auth login` or set HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    fails(capsys, "push", run, NAME, saying="(401)")
    fails(capsys, "pull", NAME, saying="(401)")
    monkeypatch.setenv("HF_TOKEN", "hf_of_someone")
    fails(capsys, "push", run, "another/shapes", saying="(403)")
    hub.repositories["another/shapes"] = hub_stand_in.Repository()
    fails(capsys, "push", run, "another/shapes", saying="(403)")
    assert hub.repositories.keys() == {"another/shapes"}
    assert not hub.repositories["another/shapes"].files


def test_no_such_model_and_no_hub(hub, run, capsys, monkeypatch):
    fails(capsys, "pull", "someone/nothing", saying="no model someone/nothing on the hub that you may see")
    fails(capsys, "sample", "hf:someone/nothing", saying="no model someone/nothing on the hub")
    fails(capsys, "sample", "someone/nothing", saying="someone/nothing is no folder here")
    hub.status = 500
    fails(capsys, "push", run, NAME, saying="(500)")
    hub.status = None
    push(run, NAME)
    assert same_samples(run, NAME)
    point_at(monkeypatch, "http://127.0.0.1:9")
    assert same_samples(run, NAME)  # as it is in the cache
    fails(
        capsys, "push", run, NAME, saying="http://127.0.0.1:9 did not answer about someone/shapes; is there a network?"
    )
    fails(capsys, "pull", "someone/else", saying="is there a network?")


def test_what_lies_in_the_folder_stays_as_it_is(hub, run, tmp_path):
    push(run, NAME)
    pulled = pull(NAME, tmp_path / "pulled")
    (pulled / "README.md").write_text("my notes")
    pull(NAME, pulled)
    assert (pulled / "README.md").read_text() == "my notes"


def test_names_and_licences(hub, run, capsys):
    for name in ("shapes", "a/b/c", "/shapes", "someone/", "../shapes", "someone/..", "hf:shapes", "some one/shapes"):
        fails(capsys, "pull", name, saying="write USER/NAME")
        fails(capsys, "push", run, name, saying="write USER/NAME")
    fails(capsys, "push", run, "someone/a..b", saying="someone/a..b")  # which the library knows
    fails(capsys, "push", run, NAME, "--licence", "all: mine", saying="is no name of a licence on the hub")
    fails(capsys, "push", run, NAME, "--licence", "mine-2.0", saying="does it know the licence mine-2.0?")
    assert NAME not in hub.repositories
    fails(capsys, "push", run, NAME, "--token", "hf_of_someone", saying="unrecognized arguments: --token")


def test_no_model_to_push(hub, run, capsys):
    fails(capsys, "push", "nowhere", NAME, saying="nowhere is no folder of a run")
    (run / "model.safetensors").unlink()
    fails(capsys, "push", run, NAME, saying="has saved no model yet")
    assert not hub.requests


def test_without_the_extra(run, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for words in (("push", run, NAME), ("pull", NAME), ("sample", f"hf:{NAME}"), ("sample", NAME)):
        fails(capsys, *words, saying=r'pip install "sparring\[hub\]"')


def test_nothing_is_overwritten(hub, run, tmp_path, capsys):
    push(run, NAME)
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "thesis.txt").write_text("years of work")
    fails(capsys, "pull", NAME, "--out", notes, saying="already holds something else")
    fails(capsys, "pull", NAME, "--out", run, saying="already holds something else")  # its paths are still whole
    fails(capsys, "pull", NAME, "--out", notes / "thesis.txt", saying="already holds something else")
    assert [path.name for path in notes.iterdir()] == ["thesis.txt"]
    pulled = pull(NAME, tmp_path / "pulled")
    (pulled / "samples.png").unlink()
    (pulled / "thesis.txt").write_text("more work")
    assert (pull(NAME, pulled) / "samples.png").exists()
    assert (pulled / "thesis.txt").read_text() == "more work"
    (tmp_path / "empty").mkdir()
    pull(NAME, tmp_path / "empty")


def test_only_what_belongs_to_a_model_is_taken(hub, run, tmp_path):
    (run / "secrets.txt").write_text("hunter2")
    (run / "best" / "notes.txt").write_text("hunter2")
    push(run, NAME)
    files = hub.repositories[NAME].files
    assert not [path for path in files if "checkpoint" in path or "notes" in path or "secrets" in path]
    names = ["../escaped.txt", "best/../../../escaped.txt", "/tmp/escaped.txt", "run.py", "sub/config.json"]
    for path in [*names, "best/model.safetensors", "checkpoints/1.safetensors"]:
        files[path] = b"hostile"
    pulled = pull(NAME, tmp_path / "deep" / "pulled")
    there = {str(path.relative_to(pulled)) for path in pulled.rglob("*") if path.is_file()}
    assert there == SENT
    assert not list(tmp_path.rglob("escaped.txt"))
    assert b"hostile" not in [path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_damaged_or_foreign_model_is_refused(hub, run, capsys):
    push(run, NAME)
    files = hub.repositories[NAME].files
    config, weights = files["config.json"], files["model.safetensors"]
    values = json.loads(config)
    values["config"]["model"]["width"] = 16_384
    for broken in (
        {"config.json": b"not JSON"},
        {"config.json": json.dumps(values).encode()},
        {"config.json": b"[" * 100_000},
        {"model.safetensors": weights[: len(weights) // 2]},
        {"model.safetensors": b"\x80\x04\x95 a pickle"},
    ):
        files |= {"config.json": config, "model.safetensors": weights} | broken
        fails(capsys, "pull", NAME, "--out", "broken", saying=f"{NAME} holds no GAN that can be loaded")
        assert not Path("broken").exists()
    files |= {"config.json": config, "model.safetensors": weights}
    del files["config.json"]
    fails(capsys, "pull", NAME, "--out", "broken", saying="has no config.json")
    hub.repositories[NAME].files = {".gitattributes": b""}
    fails(capsys, "sample", f"hf:{NAME}", saying="has no model.safetensors")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
@pytest.mark.timeout(60)
def test_links_to_other_files_are_not_followed(hub, run, tmp_path, capsys):
    secret = tmp_path / "keys"
    secret.mkdir()
    for name in ("verdict.txt", "metrics.json", "metrics.jsonl"):
        (secret / name).write_text('{"samples_seen": 1, "hunter2": 2}\n')
    for name in ("verdict.txt", "metrics.jsonl"):
        (run / name).unlink()
        (run / name).symlink_to(f"../keys/{name}")
    Image.new("L", (2, 2)).save(secret / "training.png")
    (run / "training.png").unlink()
    (run / "training.png").symlink_to(secret / "training.png")
    shutil.rmtree(run / "best")
    (run / "best").symlink_to(secret)
    os.mkfifo(run / "samples.txt")
    (run / "samples.webp").symlink_to("/dev/zero")
    (run / "samples.png").write_text("hunter2")
    (run / "metrics.json").write_text("hunter2")
    assert cli.main(["push", str(run), NAME]) == 0
    files = hub.repositories[NAME].files
    assert files.keys() == {".gitattributes", "README.md", "config.json", "model.safetensors"}
    assert b"hunter2" not in b"".join(files.values())
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("left out: ")]
    for name in ("verdict.txt", "metrics.jsonl", "training.png", "best/metrics.json", "samples.webp"):
        assert re.search(rf"{name} \([^)]* is a link that leads out of the folder\)", line)
    assert re.search(r"samples.txt \([^)]* is no regular file\)", line)
    assert "samples.png (it is no picture)" in line
    assert re.search(r" metrics.json \(it holds no scores\)", line)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_another_runs_weights_are_not_uploaded(hub, run, tmp_path, capsys):
    (run / "model.safetensors").rename(tmp_path / "private.safetensors")
    (run / "model.safetensors").symlink_to(tmp_path / "private.safetensors")
    fails(capsys, "push", run, NAME, saying="model.safetensors is a link that leads out of the folder")
    assert NAME not in hub.repositories


def test_an_interrupted_pull_goes_on(hub, run, tmp_path):
    push(run, NAME)
    whole = pull(NAME, tmp_path / "whole")
    half = tmp_path / "half"
    half.mkdir()
    shutil.copy(whole / "model.safetensors", half)
    assert same_samples(pull(NAME, half), run)


def test_in_a_process_of_its_own_with_the_variables_that_users_set(hub, run, tmp_path):
    settings = {"HF_ENDPOINT": hub.address, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "home")}
    script = "import sys; from sparring.cli import main; sys.exit(main(sys.argv[1:4]) or main(['pull', *sys.argv[3:]]))"
    words = ["push", str(run), NAME, "--out", "pulled"]
    done = subprocess.run(
        [sys.executable, "-c", script, *words], env=os.environ | settings, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert same_samples(run, "pulled")


def test_help_imports_neither_torch_nor_the_library():
    script = (
        "import sys\nfrom sparring import cli\ntry: cli.main(['push', '--help'])\nexcept SystemExit: pass\n"
        "sys.exit(bool({'torch', 'huggingface_hub'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", script], stdout=subprocess.DEVNULL).returncode == 0
