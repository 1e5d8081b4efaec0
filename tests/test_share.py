"""The shared page without a browser: what is in it, and what is refused; tests/browser/test_share.py opens it."""

import hashlib
import io
import re
import sys
import tarfile

import pytest

from sparring import cli, share
from sparring.build import build
from sparring.config import ConfigError
from sparring.data.conditions import Classes
from sparring.data.spec import DataSpec
from sparring.data.vocabulary import BYTES, Vocabulary
from sparring.modalities.text.modality import bytes_of_letters
from sparring.pretrained import GAN

from small_gans import gan_of


@pytest.fixture
def runtime(monkeypatch, tmp_path):
    """A cache that holds a runtime, so that nothing is fetched."""
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path / "cache"))
    package = io.BytesIO()
    with tarfile.open(fileobj=package, mode="w:gz") as archive:
        for member in share.MEMBERS:
            entry = tarfile.TarInfo(member)
            entry.size = 3
            archive.addfile(entry, io.BytesIO(b"//\n"))
    monkeypatch.setattr(share, "DIGEST", hashlib.sha512(package.getvalue()).hexdigest())
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / f"{share.RUNTIME}.tgz").write_bytes(package.getvalue())


def test_everything_is_inside_and_strangers_names_are_only_text(runtime, tmp_path):
    pytest.importorskip("onnxscript")
    gan = gan_of("pictures")
    name = "</script><script>alert(1)</script>"
    gan = GAN(
        gan.config,
        DataSpec((1, 8, 8), Classes((name, "<!--")), modality="image"),
        build(gan.config, DataSpec((1, 8, 8), Classes(("a", "b")), modality="image")),
    )
    written = share.share(gan, tmp_path / "page.html", title="<i>shapes</i>")
    page = written.path.read_text(encoding="utf-8")
    assert written.size == len(page.encode())
    assert name not in page
    assert "<!--" not in page
    assert "<i>" not in page
    assert all(address.startswith("data:") for address in re.findall(r'(?:src|href)="([^"]*)"', page))
    assert 'http-equiv="Content-Security-Policy"' in page.split("<title>")[0]
    assert len(re.findall("</script>", page)) == len(re.findall("<script", page))


def test_a_model_too_large_says_how_large(runtime, tmp_path, monkeypatch):
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(share, "LARGEST", 10_000)
    with pytest.raises(ConfigError, match=r"takes 0\.\d+ MiB, more than the 0\.00954 .*export.*--precision float16"):
        share.share(gan_of("pictures"), tmp_path / "page.html", title="large", precision="float32")


def test_a_damaged_cache_is_not_used(runtime, tmp_path, monkeypatch):
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9/")
    assert share.fetch_runtime() == (b"//\n", b"//\n")
    (tmp_path / "cache" / f"{share.RUNTIME}.tgz").write_bytes(b"something else")
    with pytest.raises(ConfigError, match="cannot be fetched"):
        share.fetch_runtime()


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
    letters = bytes_of_letters()
    assert sorted(letters.values()) == list(range(256))
    vocabulary = Vocabulary.learn(["Größe 你好 🐉"], "bpe", BYTES + 20)
    (numbers,) = vocabulary.encode(["Größe 你好 🐉"], 40).tolist()
    spelled = "".join(vocabulary.symbols[number - 2] for number in numbers if number > 1)
    assert bytes(letters[letter] for letter in spelled).decode() == " Größe 你好 🐉"
