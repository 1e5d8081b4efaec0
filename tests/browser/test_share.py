"""The page with the model inside, in a real browser, from `file://`."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sparring
from sparring.build import build
from sparring.config import Config, ConfigError
from sparring.data.spec import DataSpec
from sparring.data.vocabulary import Vocabulary
from sparring.metrics.digit_classifier import load_digit_classifier, recognise
from sparring.pretrained import GAN
from sparring.sampling import draw_z
from sparring.share import fetch_runtime, share

from in_page import LARGE, WALL

RENDER = "async (points) => (await backend.render(points)).map(x => typeof x === 'string' ? x : Array.from(x))"


@pytest.fixture(scope="module", autouse=True)
def _runtime():
    pytest.importorskip("onnxscript")
    try:
        fetch_runtime()
    except ConfigError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def pages(browser, tmp_path_factory):
    """pages(gan, title) -> its page, opened from a file, with samples on it; shared by the tests of this file."""
    folder, opened, wrong = tmp_path_factory.mktemp("pages"), {}, []

    def open_page(gan, title):
        if title not in opened:
            share(gan, folder / f"{title}.html", title=title, precision="float32", licence="CC0-1.0")
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("request", lambda request: request.url.startswith("http") and wrong.append(request.url))
            page.goto((folder / f"{title}.html").as_uri())
            page.locator("footer").wait_for(timeout=120_000)
            opened[title] = page
        return opened[title]

    yield open_page
    assert wrong == []


def points(num, seed=5, **settings):
    return [{"seed": seed, "index": index, "condition": None, "psi": 1} | settings for index in range(num)]


def rendered(page, gan, wanted):
    """Samples that the page makes, as PyTorch gives them."""
    samples = page.evaluate(RENDER, wanted)
    if gan.spec.vocabulary is not None:
        return samples
    values = torch.tensor(samples).view(-1, *gan.spec.sample_shape)
    return values if gan.spec.channels else values / 127.5 - 1


@pytest.mark.parametrize("name", ["digits", "names", "sines", "bouncing"])
def test_the_page_makes_what_pytorch_makes_of_a_seed(pages, name):
    gan = sparring.load(name, "cpu")
    page = pages(gan, name)
    found, expected = rendered(page, gan, points(4)), gan.sample(4, seed=5)
    if gan.spec.vocabulary is not None:
        assert found == expected
        return
    within = 1e-4 if gan.spec.channels else 1.01 / 255  # of pixels, which are whole numbers: half a step and rounding
    torch.testing.assert_close(found, expected, rtol=0, atol=within)
    less = rendered(page, gan, points(4, psi=0.5))
    torch.testing.assert_close(less, gan.sample(4, seed=5, truncation_psi=0.5), rtol=0, atol=within)


@pytest.mark.parametrize("size", [2, 15, 16, 37, 848])
def test_noise_is_that_of_pytorch(pages, size):
    page = pages(sparring.load("digits", "cpu"), "digits")
    for seed, index in ((0, 0), (7, 12), (123_456_789, 3), (2**32 - 1, 63)):
        found = page.evaluate("([seed, index, size]) => Array.from(Noise.z(seed, index, size))", [seed, index, size])
        torch.testing.assert_close(torch.tensor(found), draw_z(1, size, seed=seed, start=index)[0], rtol=0, atol=2e-6)


def test_rerolling_steering_and_classes(pages):
    page = pages(sparring.load("digits", "cpu"), "digits")
    before, start = page.evaluate(WALL), page.evaluate(LARGE)
    page.get_by_role("button", name="Re-roll").click()
    page.wait_for_function(f"before => {WALL} !== before", arg=before)
    slider = page.locator("#direction-0")
    slider.fill("3")
    page.wait_for_function(f"before => {LARGE} !== before", arg=start)
    slider.fill("0")
    page.wait_for_function(f"before => {LARGE} === before", arg=start)
    before = page.evaluate(WALL)
    page.get_by_role("button", name="7", exact=True).click()
    page.wait_for_function(f"before => {WALL} !== before", arg=before)
    digits = torch.tensor(page.evaluate(RENDER, points(50, condition=7))).view(-1, 1, 28, 28) / 127.5 - 1
    assert (recognise(load_digit_classifier(), digits)[1] == 7).float().mean() > 0.9


def test_between_two_samples_lie_others_and_the_ends_are_they(pages):
    gan = sparring.load("digits", "cpu")
    page = pages(gan, "digits")
    first, second = points(2, condition=3)
    walk = rendered(page, gan, [{"from": first, "to": second, "t": t} for t in (0, 0.5, 1)])
    ends = rendered(page, gan, [first, second])
    assert torch.equal(walk[0], ends[0])
    assert torch.equal(walk[2], ends[1])
    z = torch.cat([draw_z(1, gan.generator.z_size, seed=5, start=index) for index in (0, 1)])
    middle = gan.decode((z.sum(0) / 2**0.5)[None], torch.tensor([3]))[0]
    torch.testing.assert_close(walk[1], middle, rtol=0, atol=1.01 / 255)


@pytest.mark.parametrize(
    ("name", "suffix"), [("digits", ".png"), ("bouncing", ".png"), ("sines", ".csv"), ("names", ".txt")]
)
def test_downloads(pages, name, suffix, tmp_path):
    gan = sparring.load(name, "cpu")
    page = pages(gan, name)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download").click()
    assert re.fullmatch(rf"{name}-seed\d+-\d+(-class\d)?(-moved)?\{suffix}", waiting.value.suggested_filename)
    file = Path(tmp_path / f"sample{suffix}")
    waiting.value.save_as(file)
    if suffix == ".png":
        *frames, height, width = gan.spec.sample_shape[1:]
        assert Image.open(file).size == (width * (frames or [1])[0], height)
        assert np.asarray(Image.open(file)).std() > 10
    elif suffix == ".csv":
        assert file.read_text().splitlines()[0] == "sample,step," + ",".join(gan.spec.channels.names)
        assert len(file.read_text().splitlines()) == 25
    else:
        assert file.read_text().strip()


def test_phone_width_and_accessibility(pages):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = pages(sparring.load("digits", "cpu"), "digits")
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    faults = axe.Axe().run(page).response["violations"]
    assert [fault["id"] for fault in faults if fault["impact"] in ("serious", "critical")] == []
    page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.parametrize("tokenizer", ["word", "bpe"])
def test_words_and_byte_pairs_are_spelled_as_in_python(pages, tokenizer):
    if tokenizer == "bpe":
        pytest.importorskip("tokenizers")
    lines = [
        "Größe und Maß, nicht wahr?",
        "它 是 一个 dragon’s </script> lair",
        "naïve café: “yes” 🐉",
        "a\ufeffb e\u2060\u0301 c\u00add",
    ] * 20
    vocabulary = Vocabulary.learn(lines, tokenizer, 400)
    spec = DataSpec((2,), vocabulary=vocabulary, modality="text")
    config = Config().replace({
        "codec.name": "text", "codec.latents": 2, "codec.latent_dim": 8, "codec.width": 16, "codec.depth": 1,
        "model.width": 16, "model.depth": 1, "model.num_heads": 2,
    })  # fmt: skip
    gan = GAN(config, spec, build(config, spec).eval().requires_grad_(False))
    # what no one writes, but a network may
    numbers = torch.randint(len(vocabulary), (200, 12), generator=torch.Generator().manual_seed(0))
    found = pages(gan, tokenizer).evaluate("rows => rows.map(row => backend.spelled(row))", numbers.tolist())
    assert found == vocabulary.decode(numbers)
