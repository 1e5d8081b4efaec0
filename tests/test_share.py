"""The shared page without a browser: what is in it, and what is refused; tests/browser/test_share.py opens it."""

import re
import sys

import pytest
import torch

from sparring import cli, share
from sparring.config import Config, ConfigError
from sparring.data.vocabulary import BYTES, Vocabulary
from sparring.models.networks import DataSpec, Networks
from sparring.pretrained import GAN

from small_gans import SMALL, gan_of


@pytest.fixture
def runtime(monkeypatch, tmp_path):
    """A cache that holds a runtime, so that nothing is fetched."""
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / share.RUNTIME
    folder.mkdir(parents=True)
    for member in share.MEMBERS:
        (folder / member.rsplit("/", 1)[1]).write_bytes(b"// runtime")


def test_everything_is_inside_and_strangers_names_are_only_text(runtime, tmp_path):
    pytest.importorskip("onnxscript")
    gan = gan_of("pictures")
    name = "</script><script>alert(1)</script>"
    gan = GAN(gan.config, DataSpec((1, 8, 8), (name, "<!--")), Networks(gan.config, DataSpec((1, 8, 8), ("a", "b"))))
    written = share.share(gan, tmp_path / "page.html", title="<i>shapes</i>")
    page = written.path.read_text(encoding="utf-8")
    assert written.size == len(page.encode())
    assert name not in page
    assert "<!--" not in page
    assert "<i>" not in page
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == [] or all(
        address.startswith("data:") for address in re.findall(r'(?:src|href)="([^"]*)"', page)
    )
    assert 'http-equiv="Content-Security-Policy"' in page.split("<title>")[0]
    assert len(re.findall("</script>", page)) == len(re.findall("<script", page))


def test_a_model_too_large_says_how_large(runtime, tmp_path):
    spec = DataSpec((1, 8, 8))
    config = Config().replace(SMALL | {"codec.patch_size": 4, "model.width": 1280, "model.num_heads": 16})
    with torch.device("cpu"):
        gan = GAN(config, spec, Networks(config, spec))
    with pytest.raises(ConfigError, match=r"takes \d+ MiB, more than the 64 .*export.*--precision float16 halves it"):
        share.share(gan, tmp_path / "page.html", title="large", precision="float32")


def test_a_runtime_that_is_not_to_be_had(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path / "empty"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9/")
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:9/onnxruntime-web.*--runtime"):
        share.fetch_runtime()
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "file:///etc")
    with pytest.raises(ConfigError, match="no web address"):
        share.fetch_runtime()
    (tmp_path / "other.tgz").write_bytes(b"another package")
    with pytest.raises(ConfigError, match=r"other\.tgz is not onnxruntime-web"):
        share.fetch_runtime(tmp_path / "other.tgz")
    assert cli.main(["share", "digits", "--out", "page.txt"]) == 2
    assert "must end in .html" in capsys.readouterr().err


def test_missing_packages_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    for words in (["export", "digits", "--out", "a.onnx"], ["share", "digits", "--out", "a.html"]):
        assert cli.main(words) == 2
        assert 'onnxscript: pip install "sparring[export]"' in capsys.readouterr().err


def test_letters_of_byte_pairs_are_those_of_the_tokenizer():
    pytest.importorskip("tokenizers")
    letters = share._bytes_of_letters()
    assert sorted(letters.values()) == list(range(256))
    vocabulary = Vocabulary.learn(["Größe 你好 🐉"], "bpe", BYTES + 20)
    (numbers,) = vocabulary.encode(["Größe 你好 🐉"], 40).tolist()
    spelled = "".join(vocabulary.symbols[number - 2] for number in numbers if number > 1)
    assert bytes(letters[letter] for letter in spelled).decode() == " Größe 你好 🐉"
