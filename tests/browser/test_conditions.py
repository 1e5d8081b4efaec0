"""Numbers that samples are conditioned on, on the explorer's page and on the shared one."""

import re
from pathlib import Path

import pytest
import torch

import sparring
from sparring.config import ConfigError
from sparring.data.conditions import Vectors
from sparring.data.dataset import TensorDataset
from sparring.share import fetch_runtime, share
from sparring.training.run import train

from in_page import LARGE, WALL, becomes, changed, fits_the_width, until
from small_gans import gan_of

PIXELS = """[...document.querySelectorAll('#wall canvas')].map((canvas) => {
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {willReadFrequently: true});
  copy.drawImage(canvas, 0, 0);
  return [...copy.getImageData(0, 0, canvas.width, canvas.height).data].filter((_, i) => i % 4 === 0);
})"""
RENDER = "async (points) => (await backend.render(points)).map(x => Array.from(x))"


def trained(folder: Path, tiny, shapes, size: int) -> Path:
    numbers = torch.randn(40, size, generator=torch.Generator().manual_seed(0))
    names = [f"number {index}" for index in range(size)]
    facts = vars(shapes) | {"conditions": numbers, "conditioned_on": Vectors.fit(numbers, names), "class_names": []}
    dataset = TensorDataset(**facts | {"classes": torch.zeros(40, dtype=torch.long)})
    train(tiny.replace({"train.num_samples": 16, "train.evaluate_every": 0}), folder, dataset=dataset)
    return folder


def wall_is(page, gan, condition, seed=0):
    """Waits until the wall shows these samples."""
    expected = gan.sample(64, seed=seed, condition=condition).clamp(-1, 1).add(1).mul(127.5)
    until(page, PIXELS, lambda found: (torch.tensor(found).view(64, 1, 8, 8) - expected).abs().max() < 1.5)


def test_numbers_are_typed(visit, tiny, shapes, tmp_path):
    gan = sparring.load(trained(tmp_path / "run", tiny, shapes, 2), "cpu")
    page = visit(tmp_path / "run")
    box = page.locator("#condition")
    assert box.locator("input").count() == 2
    assert box.get_by_role("button", name="All").get_attribute("aria-pressed") == "true"
    wall_is(page, gan, None)
    mean = round(gan.spec.condition.mean[1], 4)
    box.get_by_label("number 0").fill("1.5")
    box.get_by_label("number 0").press("Enter")
    until(page, "document.querySelectorAll('#condition input')[1].value", lambda value: abs(float(value) - mean) < 1e-3)
    wall_is(page, gan, [1.5, mean])
    box.get_by_label("number 1").fill("-2")
    box.get_by_label("number 1").press("Enter")
    wall_is(page, gan, [1.5, -2])
    assert page.url.endswith("#seed=0&condition=1.5%2C-2")
    assert "number 0 1.5, number 1 -2" in page.locator("#caption").inner_text().replace("−", "-")
    page.reload()
    page.locator("#wall .tile").first.wait_for()
    wall_is(page, gan, [1.5, -2])
    assert page.locator("#condition input").first.input_value() == "1.5"
    fits_the_width(page)
    page.locator("#condition").get_by_role("button", name="All").click()
    wall_is(page, gan, None)


def test_of_many_numbers_an_example_is_chosen(visit, tiny, shapes, tmp_path):
    gan = sparring.load(trained(tmp_path / "run", tiny, shapes, 9), "cpu")
    page = visit(tmp_path / "run")
    assert page.locator("#condition input").count() == 0
    page.locator("#condition select").select_option(label="Example 3")
    wall_is(page, gan, gan.spec.condition.examples[2])
    page.reload()
    page.locator("#wall .tile").first.wait_for()
    wall_is(page, gan, gan.spec.condition.examples[2])
    assert page.locator("#condition select option:checked").inner_text() == "Example 3"


def test_stars_of_older_pages_are_kept(visit, trained_once, tiny, shapes):
    page = visit(trained_once(tiny, shapes))
    old = {"seed": 0, "index": 3, "class": 1, "psi": 1, "offsets": [0] * 8}
    stars = [old, {"from": old, "to": old | {"class": None}, "t": 0.5}]
    page.evaluate("stars => localStorage.setItem('sparring stars shapes', JSON.stringify(stars))", stars)
    page.reload()
    until(page, "document.querySelectorAll('#starred .tile').length", lambda count: count == 2)


def test_the_shared_page_makes_what_pytorch_makes(browser, tmp_path):
    pytest.importorskip("onnxscript")
    try:
        fetch_runtime()
    except ConfigError as error:
        pytest.skip(str(error))
    gan, wrong = gan_of("pictures of numbers"), []
    share(gan, tmp_path / "page.html", title="numbers", precision="float32")
    page = browser.new_context().new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())
    page.locator("footer").wait_for(timeout=120_000)
    for psi, condition in ((1, None), (1, [0.7, 180.0]), (0.5, [1.4, 220.0])):
        points = [{"seed": 5, "index": index, "condition": condition, "psi": psi} for index in range(4)]
        found = torch.tensor(page.evaluate(RENDER, points)).view(4, 1, 8, 8) / 127.5 - 1
        expected = gan.sample(4, seed=5, condition=condition, truncation_psi=psi)
        torch.testing.assert_close(found, expected, rtol=0, atol=1.5 / 255)
    before = page.evaluate(WALL), page.evaluate(LARGE)
    page.locator("#condition").get_by_label("size").fill("0.5")
    page.locator("#condition").get_by_label("size").press("Enter")
    changed(page, WALL, before[0])
    changed(page, LARGE, before[1])
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download").click()
    assert re.fullmatch(r"numbers-seed0-0-condition0.5_200\.png", waiting.value.suggested_filename)
    page.locator("#condition").get_by_role("button", name="All").click()
    becomes(page, WALL, before[0])
    assert wrong == []
