"""The card: what it says of each kind of GAN, and that no name in it can be anything but text."""

import json
import re

import pytest
import torch
import yaml
from markdown_it import MarkdownIt

from sparring.build import build
from sparring.config import Config
from sparring.data.channels import Channels
from sparring.data.conditions import Classes
from sparring.data.spec import DataSpec
from sparring.data.vocabulary import Vocabulary
from sparring.pretrained import GAN
from sparring.publishing.card import model_card

SMALL = {"model.width": 16, "model.depth": 1, "model.num_heads": 2}
CODEC = {"codec.name": "text", "codec.latents": 2, "codec.width": 16, "codec.depth": 1}
HOSTILE = [
    "<img src=x onerror=alert(1)>", "`</details><script>", "``` ```", "a\n---\nlicense: mit", "[x](https://a.b)",
    "# heading", "a | b", "\u202eevil", "https://example.com", "", " ", "`", "**bold**", "&lt;", "\\", "\n\n    a",
]  # fmt: skip


def gan_of(spec, **settings) -> GAN:
    torch.manual_seed(0)
    config = Config().replace(SMALL | {name.replace("__", "."): value for name, value in settings.items()})
    return GAN(config, spec, build(config, spec))


def front_matter(card):
    front, rest = re.fullmatch(r"---\n(.*?)\n---\n(.*)", card, re.DOTALL).groups()
    return yaml.safe_load(front), rest


@pytest.fixture
def run(tmp_path):
    rows = [
        {"samples_seen": 32, "seconds": 30.0, "loss/d": 0.5, "frechet": 9.0, "frechet_floor": 1.0},
        {"samples_seen": 64, "seconds": 90.0, "loss/d": 0.4, "frechet": 8.0, "frechet_floor": 1.0, "recall": 0.1,
         "recall_floor": 0.8, "diversity": 0.7},
        {"samples_seen": 96, "seconds": 95.0, "loss/d": 0.4, "diversity": 0.7},
    ]  # fmt: skip
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)) + '\n{"samples_se')
    (tmp_path / "verdict.txt").write_text("Healthy: the discriminator's gap is 0.6 logits.\n")
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "metrics.json").write_text(json.dumps(rows[0] | {"frechet": 2.5}))
    (tmp_path / "samples.png").touch()
    return tmp_path


def test_what_it_says(run):
    gan = gan_of(
        DataSpec((1, 8, 8), Classes(("left", "right")), modality="image"), data__path="/home/someone/secret/shapes"
    )
    card = model_card(gan, run, "someone/shapes", licence="cc-by-4.0", data_licence="made by me")
    front, rest = front_matter(card)
    assert front == {
        "library_name": "sparring", "tags": ["sparring", "gan", "transformer"], "license": "cc-by-4.0",
        "pipeline_tag": "unconditional-image-generation",
    }  # fmt: skip
    parameters = sum(p.numel() for p in gan.generator.parameters())
    for said in (
        "![Samples](samples.png)", "pictures of 1×8×8", "2: `left`, `right`", f"generator {parameters:,}",
        'sparring.load("hf:someone/shapes")', "sparring sample hf:someone/shapes --num 64 --out samples.png",
        "(16, 1, 8, 8), float in [-1, 1]", "These weights, measured after 64 samples",
        "| `frechet` | 8 (real data: 1) | Fréchet distance of the features: 0 is best |", "after 32 samples",
        "2.5 (real data: 1)", "collapse: the samples cover 10% of the data", "`Healthy: the discriminator's gap is 0.6",
        "the data's licence: `made by me`", "The weights' licence: `cc-by-4.0`", '"depth": 1', "1.5 minutes",
    ):  # fmt: skip
        assert said in rest
    assert "loss/d" not in rest
    assert "secret" not in card
    assert "training.png" not in card


def test_what_is_not_known_is_said(tmp_path):
    card = model_card(gan_of(DataSpec((3, 8, 8), modality="image")), tmp_path, "someone/shapes")
    front, rest = front_matter(card)
    assert "license" not in front
    for said in ("Nothing was measured", "Classes: none", "the data's licence: not stated", "none is stated"):
        assert said in rest
    assert "![" not in rest


def test_a_best_folder_has_its_own_scores(run):
    card = model_card(gan_of(DataSpec((1, 8, 8), modality="image")), run / "best", "someone/shapes")
    assert "2.5 (real data: 1)" in card
    assert "which are not these" not in card


def test_texts(tmp_path):
    gan = gan_of(
        DataSpec((6,), vocabulary=Vocabulary("char", tuple("abcdef")), modality="text"),
        **{**CODEC, "data.path": "names"},
    )
    (tmp_path / "samples.txt").write_text("Krusta   Luci\n" + "```\n# Maralee\n" + "Feryce\n" * 100)
    front, rest = front_matter(model_card(gan, tmp_path, "someone/names"))
    assert front["pipeline_tag"] == "text-generation"
    assert "````text\nKrusta\nLuci\n```\n# Maralee\nFeryce\n" in rest
    assert rest.count("Feryce") == 16
    assert "# 16 strings" in rest
    assert "texts of at most 6 symbols" in rest
    assert "codec " in rest
    assert "sparring sample hf:someone/names --num 64\n" in rest


def test_series_and_clips(tmp_path):
    series = gan_of(
        DataSpec((2, 12), channels=Channels(("a", "b"), (0.0, 0.0), (1.0, 1.0)), modality="series"),
    )
    front, rest = front_matter(model_card(series, tmp_path, "someone/series"))
    assert "pipeline_tag" not in front
    assert "Channels: `a`, `b`" in rest
    assert "in the data's units" in rest
    (tmp_path / "samples.webp").touch()
    _, rest = front_matter(model_card(gan_of(DataSpec((1, 4, 8, 8), modality="video")), tmp_path, "someone/clips"))
    assert "![Samples](samples.webp)" in rest
    assert "--out samples.webp" in rest


def structure(card):
    """What a Markdown parser finds in the card, without what is in code."""
    found = MarkdownIt("commonmark").enable("table").parse(front_matter(card)[1])
    tokens = [token for block in found for token in (block.children or [block])]
    return [(token.type, "" if token.type in ("fence", "code_inline") else token.content) for token in tokens]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_nothing_but_text(name, run):
    (run / "samples.png").unlink()

    def card_with(name):
        (run / "verdict.txt").write_text(name)
        (run / "samples.txt").write_text(f"{name}\n````\n{name}\n")
        (run / "best" / "metrics.json").write_text(json.dumps({name: 1.0, "frechet": name, "kid": 2.0, "fid": [name]}))
        gan = gan_of(
            DataSpec((1, 8, 8), Classes((name, "b")), modality="image"), data__path=f"/x/{name}", data__field=name
        )
        return model_card(gan, run, "someone/shapes", data_licence=name or " ")

    assert front_matter(card_with(name))[0] == front_matter(card_with("a name"))[0]
    assert structure(card_with(name)) == structure(card_with("a name"))
    assert "\u202e" not in card_with(name)


def test_many_and_long_names_are_cut_short(tmp_path):
    spec = DataSpec((1, 8, 8), Classes(("x" * 500, *(f"class {i}" for i in range(1, 1000)))), modality="image")
    card = model_card(gan_of(spec), tmp_path, "someone/many")
    assert "`class 19` and 980 more" in card
    assert f"`{'x' * 80}…`, `class 1`" in card
