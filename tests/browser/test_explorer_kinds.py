"""The explorer in a real browser, with samples of every kind."""

import re

import pytest
import torch

import sparring
from sparring.config import Config
from sparring.data.channels import Channels
from sparring.data.dataset import TensorDataset
from sparring.training.run import train

from in_page import LARGE, changed, fits_the_width

PATH = "values => Draw.sample({ kind: 'series', shape: [1, 5] }, values).querySelector('path').getAttribute('d')"


def dataset(name, modality, samples, **options):
    settings = {"classes": torch.zeros(len(samples), dtype=torch.long), "class_names": [], "value_range": ""} | options
    return TensorDataset(
        name=name,
        modality=modality,
        sample_shape=tuple(samples.shape[1:]),
        fingerprint=name,
        samples=samples,
        **settings,
    )


KINDS = {
    "clips": lambda: dataset("clips", "video", torch.rand(8, 4, 4, 8, 8) * 2 - 1),
    "series": lambda: dataset(
        "series", "series", torch.randn(8, 2, 16), channels=Channels(("<b>height</b>", "width"), (0.0, 5.0), (1.0, 2.0))
    ),
    "points": lambda: dataset("points", "points", torch.rand(8, 2, 1, 1) * 2 - 1),
    "rgba": lambda: dataset(
        "rgba", "image", torch.rand(40, 4, 8, 8) * 2 - 1, classes=torch.arange(40) % 20,
        class_names=[f"<img src=x onerror=alert({i})> a very long class name" for i in range(20)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_and_fits_a_phone(visit, tiny, tmp_path, kind):
    patch = {"points": 1}.get(kind, 4)
    short = {"train.num_samples": 16, "train.evaluate_every": 0}
    train(tiny.replace(short | {"codec.patch_size": patch}), tmp_path / kind, dataset=KINDS[kind]())
    page = visit(tmp_path / kind, width=360)
    fits_the_width(page)
    part = {"clips": "canvas", "rgba": "canvas", "series": "path.line", "points": "circle"}[kind]
    drawn = page.locator("#wall .tile").first.locator(part)
    assert drawn.count() >= 1
    if kind == "clips":
        page.get_by_role("button", name="Pause").wait_for()
        changed(page, LARGE, page.evaluate(LARGE))
        page.get_by_role("button", name="Pause").click()
        assert page.get_by_role("button", name="Play").count() == 1
        still = page.evaluate(LARGE)
        page.wait_for_timeout(400)
        assert page.evaluate(LARGE) == still
    if kind == "series":
        page.set_viewport_size({"width": 1280, "height": 900})
        page.locator("#star").click()
        page.locator("#starred .tile").wait_for()
        assert page.locator("#starred .tile").bounding_box()["width"] >= 8.5 * 16  # as on the wall
        path = page.evaluate(PATH, [float("nan"), 1, float("nan"), 2, 3])
        assert re.sub(r"[\d.]+ [\d.]+", "p", path) == "Mph0Mph0Lp"  # a step alone is a dot
        assert "<b>height</b>" in page.locator("#large").inner_text()
    if kind == "rgba":
        page.locator("#condition select").select_option("3")
        assert "class=3" in page.url


def test_reduced_motion_keeps_films_still(visit, tiny, tmp_path):
    short = {"train.num_samples": 16, "train.evaluate_every": 0}
    train(tiny.replace(short), tmp_path / "clips", dataset=KINDS["clips"]())
    page = visit(tmp_path / "clips", reduced_motion="reduce")
    still = page.evaluate(LARGE)
    page.wait_for_timeout(400)
    assert page.evaluate(LARGE) == still
    page.get_by_role("button", name="Play").click()
    changed(page, LARGE, still)


def test_texts_are_drawn_as_text(visit, tmp_path):
    lines = tmp_path / "lines.txt"
    lines.write_text("".join(f"<b>{a} {b}</b>\n" for a in range(8) for b in range(8)), encoding="utf-8")
    settings = {
        "data.path": str(lines), "codec.name": "text", "codec.width": 16, "codec.depth": 1,
        "model.width": 16, "model.depth": 1, "model.num_heads": 2,
        "train.num_samples": 16, "codec.num_samples": 16, "train.batch_size": 8, "train.evaluate_every": 0,
        "train.device": "cpu",
    }  # fmt: skip
    train(Config().replace(settings), tmp_path / "words")
    page = visit(tmp_path / "words", width=360)
    fits_the_width(page)
    texts = [text.strip() for text in page.locator("#wall .tile").all_inner_texts()]
    expected = [text.strip() or "(empty)" for text in sparring.load(tmp_path / "words", "cpu").sample(len(texts))]
    assert [" ".join(text.split()) for text in texts] == [" ".join(text.split()) for text in expected]
    assert page.locator("#wall b").count() == 0
