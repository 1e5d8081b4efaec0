"""The explorer in a real browser."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sparring
from sparring.training.run import train

from in_page import LARGE, WALL, becomes, changed, fits_the_width, move, until

CURVES = "[...document.querySelectorAll('#curves path.line')].map(path => path.getAttribute('d').length).join()"

KEEP = "stars => localStorage.setItem('sparring stars shapes', JSON.stringify(stars))"


@pytest.fixture
def run(trained_once, tiny, shapes):
    return trained_once(tiny.replace({"train.num_samples": 400, "train.checkpoint_every": 400}), shapes)


# ---- the wall ---------------------------------------------------------------------------------------------------


def test_the_wall_shows_the_seeds_samples_and_rerolls(visit, run):
    page = visit(run)
    assert page.locator("#wall .tile").count() == 64
    assert page.title() == "shapes – Sparring"
    first = page.evaluate(WALL)
    page.get_by_role("button", name="Re-roll").click()
    second = changed(page, WALL, first)
    assert int(page.locator("#seed").input_value()) == int(re.search(r"seed=(\d+)", page.url)[1])
    page.keyboard.press("r")  # on the button, where it is no shortcut (WCAG 2.1.4)
    page.locator("#wall .tile").first.focus()
    page.keyboard.press("Control+r")
    page.wait_for_timeout(200)
    assert page.evaluate(WALL) == second
    page.keyboard.press("r")
    changed(page, WALL, second)
    page.locator("#seed").fill("0")
    page.locator("#seed").press("Enter")
    becomes(page, WALL, first)


def test_reload_keeps_seed_class_and_truncation(visit, run):
    page = visit(run)
    page.locator("#seed").fill("7")
    page.locator("#seed").press("Enter")
    page.locator("#condition").get_by_text("right").click()
    move(page, "#psi", 0.5)
    assert page.url.endswith("#seed=7&class=1&psi=0.5")
    page.reload()
    page.locator("#wall .tile").first.wait_for()
    assert page.locator("#seed").input_value() == "7"
    assert page.locator("#psi").input_value() == "0.5"
    assert page.locator('#condition [aria-pressed="true"]').inner_text() == "right"


def test_class_buttons_change_the_wall_and_the_large_sample(visit, run):
    page = visit(run)
    before, large = page.evaluate(WALL), page.evaluate(LARGE)
    page.locator("#condition").get_by_text("right").click()
    changed(page, WALL, before)
    changed(page, LARGE, large)
    assert "class right" in page.locator("#caption").inner_text()
    page.locator("#condition").get_by_text("All").click()
    becomes(page, WALL, before)


def test_truncation_to_nothing_makes_all_alike(visit, run):
    page = visit(run)
    page.locator("#condition").get_by_text("left").click()
    move(page, "#psi", 0)
    until(page, f"[...new Set({WALL.removesuffix('.join()')})].length", lambda count: count == 1)


def test_digits_of_a_class_are_recognised_as_it(visit):
    """Needs a run of digits: the one that is shipped, or $SPARRING_DIGITS."""
    digits = Path(os.environ.get("SPARRING_DIGITS", Path(sparring.__file__).parent / "runs" / "digits"))
    if not (digits / "model.safetensors").exists():
        pytest.skip("no trained digits here")
    from sparring.metrics.digit_classifier import load_digit_classifier, recognise

    classifier = load_digit_classifier()
    page = visit(digits)
    for digit in (3, 8):
        before = page.evaluate(WALL)
        page.locator("#condition").get_by_text(str(digit), exact=True).click()
        changed(page, WALL, before)
        pixels = page.evaluate(
            "[...document.querySelectorAll('#wall canvas')].map(canvas => [...canvas.getContext('2d')"
            ".getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 === 0))"
        )
        seen = torch.tensor(pixels).float().view(-1, 1, 28, 28) / 127.5 - 1
        assert (recognise(classifier, seen)[1] == digit).float().mean() > 0.9


# ---- one sample -------------------------------------------------------------------------------------------------


def test_a_slider_moves_the_sample_and_back_at_0_it_is_the_same(visit, run):
    page = visit(run)
    first = page.evaluate(LARGE)
    page.locator("#wall .tile").nth(5).click()
    assert "sample 5" in page.locator("#caption").inner_text()
    still = changed(page, LARGE, first)
    move(page, "#direction-0", 4)
    moved = changed(page, LARGE, still)
    assert "moved" in page.locator("#caption").inner_text()
    move(page, "#direction-0", 0)
    becomes(page, LARGE, still)
    move(page, "#direction-0", 4)
    becomes(page, LARGE, moved)
    page.get_by_role("button", name="Set direction 1 to 0").click()
    becomes(page, LARGE, still)
    page.get_by_role("button", name="Random nudge").click()
    changed(page, LARGE, still)
    page.get_by_role("button", name="Reset all").click()
    becomes(page, LARGE, still)


def test_the_way_from_one_sample_to_another_has_them_at_its_ends(visit, run):
    page = visit(run)
    assert page.locator("#mix").is_disabled()
    first = page.evaluate(LARGE)
    page.locator("#set-a").click()
    page.locator("#wall .tile").nth(7).click()
    second = changed(page, LARGE, first)
    page.locator("#set-b").click()
    move(page, "#mix", 0.5)
    half = changed(page, LARGE, second)
    assert half != first
    move(page, "#mix", 0)
    becomes(page, LARGE, first)
    move(page, "#mix", 1)
    becomes(page, LARGE, second)
    assert page.locator("#nudge").is_disabled()


def test_an_end_that_is_chosen_anew_changes_the_mixture(visit, run):
    page = visit(run)
    first = page.evaluate(LARGE)
    page.locator("#set-a").click()
    page.locator("#wall .tile").nth(7).focus()
    page.keyboard.press("b")
    move(page, "#mix", 0.25)
    assert page.locator("#caption").inner_text() == (
        "25% of the way from seed 0, sample 0, class left to seed 0, sample 7, class right"
    )
    before = changed(page, LARGE, first)
    page.get_by_role("button", name="Star", exact=True).click()
    page.locator("#wall .tile").nth(9).focus()
    page.keyboard.press("a")
    changed(page, LARGE, before)
    assert "from seed 0, sample 9" in page.locator("#caption").inner_text()
    page.locator("#starred .tile").click()
    becomes(page, LARGE, before)
    page.locator("#wall .tile").nth(4).focus()
    page.keyboard.press("b")
    changed(page, LARGE, before)
    assert "from seed 0, sample 0, class left to seed 0, sample 4" in page.locator("#caption").inner_text()


def test_a_caption_names_the_truncation(visit, run):
    page = visit(run)
    move(page, "#psi", 0.5)
    assert page.locator("#caption").inner_text() == "seed 0, sample 0, class left, truncation 0.5"
    page.get_by_role("button", name="Star", exact=True).click()
    page.locator("#starred .tile").wait_for()
    move(page, "#psi", 1)
    assert page.locator("#caption").inner_text() == "seed 0, sample 0, class left"
    page.locator("#starred .tile").click()
    assert "truncation 0.5" in page.locator("#caption").inner_text()


def test_stars_that_do_not_fit_are_kept_and_not_shown(visit, run):
    page = visit(run)
    star = {"seed": 0, "index": 3, "condition": None, "psi": 1, "offsets": [0] * 8}
    mixture = {"from": star, "to": star | {"condition": 1}, "t": 0.5}
    odd = [
        {"latent": 0, "condition": None, "psi": 1, "offsets": [0] * 8}, None, 7, "seed", [], {},
        star | {"seed": 0.5}, star | {"seed": "0"}, star | {"index": -1}, star | {"index": 2**31}, star | {"psi": 3},
        star | {"condition": 0.5}, star | {"condition": 2}, star | {"offsets": ["a"] * 8},
        star | {"offsets": [101] * 8},
        star | {"offsets": [0]}, star | {"more": 1}, mixture | {"from": None}, mixture | {"to": "here"},
        mixture | {"from": mixture}, mixture | {"t": "0"},
    ]  # fmt: skip
    page.evaluate(KEEP, [*odd, star, mixture])
    page.reload()
    page.locator("#starred .tile").nth(1).wait_for()
    assert page.locator("#starred .tile").count() == 2
    page.get_by_role("button", name="Star", exact=True).click()
    page.locator("#starred .tile").nth(2).wait_for()
    page.locator("#starred .tile").first.click()
    page.get_by_role("button", name="Star", exact=True).click()
    stored = page.evaluate("JSON.parse(localStorage.getItem('sparring stars shapes'))")
    assert stored == [*odd, mixture, star | {"index": 0}]


def test_more_stars_than_the_wall_has_samples_are_not_asked_for(visit, run):
    page = visit(run)
    stars = [{"seed": 0, "index": i, "condition": None, "psi": 1, "offsets": [0] * 8} for i in range(70)]
    page.evaluate(KEEP, stars)
    page.reload()
    page.locator("#starred .tile").nth(63).wait_for()
    assert page.locator("#starred .tile").count() == 64


def test_what_one_asked_in_vain_stays_told_while_others_have_answers(visit, run):
    page = visit(run)
    page.evaluate("""() => {
        window.render = backend.render;
        backend.render = (points) => {
            if (points.length === 1) throw new Error("one too few");
            return window.render(points);
        };
    }""")
    before = page.evaluate(WALL)
    move(page, "#direction-0", 2)
    page.get_by_text("No answer: one too few").wait_for()
    page.get_by_role("button", name="Re-roll").click()
    changed(page, WALL, before)
    assert page.locator("#problem").is_visible()
    page.evaluate("() => { backend.render = window.render; }")
    move(page, "#direction-0", 1)
    page.locator("#problem").wait_for(state="hidden")


def test_stars_outlive_the_page_and_come_back_as_they_were(visit, run):
    page = visit(run)
    page.locator("#wall .tile").nth(2).click()
    move(page, "#direction-1", 3)
    page.get_by_role("button", name="Star", exact=True).click()
    page.locator("#starred .tile").wait_for()
    page.reload()
    star = page.locator("#starred .tile")
    star.wait_for()
    star.click()
    assert page.locator("#direction-1").input_value() == "3"
    assert page.locator("#star").get_attribute("aria-pressed") == "true"
    page.locator("#star").click()
    page.locator("#stars").wait_for(state="hidden")


def test_download_gives_the_sample_under_its_name(visit, run, tmp_path):
    page = visit(run, address="#seed=7")
    page.locator("#wall .tile").nth(12).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "shapes-seed7-12.png"
    download.value.save_as(tmp_path / "sample.png")
    made = np.asarray(Image.open(tmp_path / "sample.png").resize((8, 8), Image.Resampling.NEAREST)).astype(int)
    expected = sparring.load(run, "cpu").sample(13, seed=7)[12, 0].add(1).mul(127.5).round().numpy()
    assert np.abs(made - expected).max() <= 1


# ---- the run ----------------------------------------------------------------------------------------------------


def test_curves_and_samples_move_while_a_run_trains(visit, tmp_path):
    pictures, out = tmp_path / "pictures", tmp_path / "live"
    pictures.mkdir()
    for index in range(24):
        noise = np.random.default_rng(index).integers(0, 255, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(noise).save(pictures / f"{index}.png")
    command = [
        sys.executable, "-m", "sparring", "train", str(pictures), "--out", str(out), "--num-samples=200000",
        "--batch-size=16", "--device=cpu", "--model.width=16", "--model.num_heads=2", "--model.depth=1",
        "--evaluate-every=0", "--checkpoint-every=160", "--optim.warmup=0",
    ]  # fmt: skip
    training = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not (out / "model.safetensors").exists():
            assert training.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        page = visit(out)
        samples = page.evaluate(WALL)
        page.locator("#curves svg").first.wait_for()
        curves = page.evaluate(CURVES)
        changed(page, CURVES, curves)
        changed(page, WALL, samples)
        page.get_by_text("training now").wait_for()
    finally:
        training.send_signal(signal.SIGINT)
        training.wait(30)


def test_a_page_out_of_sight_draws_when_it_is_seen_again(visit, run, tiny, shapes, tmp_path):
    own = shutil.copytree(run, tmp_path / "own")
    page = visit(own)
    before = page.evaluate(WALL)
    page.evaluate("Object.defineProperty(document, 'hidden', { get: () => window.unseen, configurable: true })")
    page.evaluate("() => { window.unseen = true; }")
    train(tiny.replace({"train.seed": 5}), tmp_path / "other", dataset=shapes)
    shutil.copy(tmp_path / "other" / "model.safetensors", own / "model.safetensors")
    page.wait_for_timeout(1500)
    assert page.evaluate(WALL) == before
    page.evaluate("() => { window.unseen = false; document.dispatchEvent(new Event('visibilitychange')); }")
    changed(page, WALL, before)
    page.get_by_text("training now").wait_for()  # new weights are news, too


def test_many_tabs_follow_a_run_and_none_starves(visit, run, tmp_path):
    own = shutil.copytree(run, tmp_path / "own")
    first = visit(own)
    tabs = [first]
    for _ in range(7):  # a browser opens six connections to a server
        tab = first.context.new_page()
        tab.goto(first.url)
        tab.locator("#wall .tile").first.wait_for()
        tab.locator("#curves svg").first.wait_for()
        tabs.append(tab)
    for closed in (None, first):
        if closed:
            closed.close()
            tabs.remove(closed)
        before = [tab.evaluate(CURVES) for tab in tabs]
        with open(own / "metrics.jsonl", "a") as file:
            seen = 1000 if closed else 900
            file.write(json.dumps({"samples_seen": seen, "loss/d": 1.5, "loss/g": 0.5, "logits/gap": 0.5}) + "\n")
        for tab, curves in zip(tabs, before, strict=True):
            tab.bring_to_front()
            changed(tab, CURVES, curves)
    samples = tabs[-1].evaluate(WALL)
    tabs[-1].get_by_role("button", name="Re-roll").click()
    changed(tabs[-1], WALL, samples)


@pytest.mark.parametrize("value", [0, 5, -3e-5, 2.0**53, 1e16, -1e16, 1e300])
def test_a_curve_of_one_value_has_an_axis(visit, run, value):
    page = visit(run)
    for lines in ([[1, value]], [[1, value], [2, value]], [[1e16, value], [1e16 + 2, value]]):
        for log in (False, True) if value > 0 else (False,):
            ticks = page.evaluate(
                "([points, log]) => [...Draw.curve('', [{ name: '', points }], { log }).querySelectorAll('.tick.end')]"
                ".map(tick => tick.textContent)",
                [lines, log],
            )
            assert 2 <= len(ticks) <= 7


# ---- everyone ---------------------------------------------------------------------------------------------------


def test_the_keyboard_alone_will_do(visit, run):
    page = visit(run)
    before, large = page.evaluate(WALL), page.evaluate(LARGE)

    def reach(selector):
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none"
                return
        raise AssertionError(f"{selector} is out of reach")

    reach("#reroll")
    page.keyboard.press("Enter")
    changed(page, WALL, before)
    reach("#wall .tile")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("[...document.querySelectorAll('#wall .tile')].indexOf(document.activeElement)") == 9
    page.keyboard.press("Enter")
    opened = changed(page, LARGE, large)
    assert "sample 9" in page.locator("#caption").inner_text()
    reach("#direction-0")
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    changed(page, LARGE, opened)
    assert page.locator("#direction-0").input_value() == "3"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_serious(visit, run, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = visit(run, color_scheme=scheme, width=width)
    page.locator("#star").click()
    page.locator("#set-a").click()
    page.locator("#starred .tile").wait_for()
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []


def test_chinese_and_back(visit, run):
    page = visit(run, language="zh-CN")
    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    assert "换一批" in page.locator("#reroll").inner_text()
    page.locator("#language").click()
    assert page.locator("html").get_attribute("lang") == "en"
    assert "Re-roll" in page.locator("#reroll").inner_text()
    assert "class left" in page.locator("#wall .tile").first.get_attribute("aria-label")
    page.reload()
    page.locator("#wall .tile").first.wait_for()
    assert "Re-roll" in page.locator("#reroll").inner_text()


def test_both_languages_say_the_same_things(visit, run):
    source = (Path(sparring.__file__).parent / "web" / "strings.js").read_text(encoding="utf-8")
    english, chinese = re.search(r"en: \{(.*?)\n    \},\n    zh: \{(.*?)\n    \},\n", source, re.S).groups()
    names = [re.findall(r'^      "?([\w.]+)"?: ', text, re.M) for text in (english, chinese)]
    assert names[0] == names[1]


def test_a_phone_scrolls_no_way_but_down(visit, run):
    page = visit(run, width=360, height=740)
    page.locator("#star").click()
    page.locator("#starred .tile").wait_for()
    fits_the_width(page)
