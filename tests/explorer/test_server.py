"""The explorer's server: what it answers, and whom it refuses."""

import asyncio
import json
import os
import re
import shutil
import sys

import numpy as np
import pytest
import torch

import sparring
from sparring.data.channels import Channels
from sparring.data.dataset import TensorDataset
from sparring.directions import directions
from sparring.latents import save_latents
from sparring.pretrained import GAN
from sparring.sampling import draw_z
from sparring.training.run import train

pytest.importorskip("fastapi")
pytest.importorskip("httpx2")

from fastapi.testclient import TestClient

from sparring.explorer.events import Feed, Rows, events, numbers, read_best
from sparring.explorer.model import Model, Stopped
from sparring.explorer.points import Drawn
from sparring.explorer.server import create_app

TOKEN, PORT = "a-token", 7801
HEADERS = {"X-Sparring-Token": TOKEN}


@pytest.fixture
def run(trained_once, tiny, shapes):
    """For all tests of this file to read; see `own`."""
    return trained_once(tiny, shapes)


@pytest.fixture
def own(run, tmp_path):
    """A run that a test may change."""
    return shutil.copytree(run, tmp_path / "shapes")


def client(run, *, address=f"http://127.0.0.1:{PORT}", headers=HEADERS, **options):
    app = create_app(Model(run, device="cpu", **options), token=TOKEN, port=PORT, stopping=lambda: True)
    return TestClient(app, base_url=address, headers=headers)


def rendered(page, points, shape, kind=np.uint8):
    answer = page.post("/api/render", json={"points": points})
    assert answer.status_code == 200, answer.text
    return np.frombuffer(answer.content, kind).reshape(len(points), *shape)


def as_bytes(samples):
    return samples.clamp(-1, 1).add(1).mul(127.5).round().byte().numpy()


# ---- points to samples ------------------------------------------------------------------------------------------


def test_the_wall_of_a_seed_is_what_sample_draws(run):
    page, gan = client(run), sparring.load(run, "cpu")
    wall = [{"seed": 7, "index": index, "condition": None, "psi": 1, "offsets": [0] * 8} for index in range(12)]
    assert np.abs(rendered(page, wall, (1, 8, 8)).astype(int) - as_bytes(gan.sample(12, seed=7))).max() <= 1
    right = [point | {"condition": 1, "psi": 0.6} for point in wall]
    expected = as_bytes(gan.sample(12, seed=7, condition="right", truncation_psi=0.6))
    assert np.abs(rendered(page, right, (1, 8, 8)).astype(int) - expected).max() <= 1


def test_truncations_are_not_mixed_up_within_a_request(run):
    page = client(run)
    points = [{"seed": 1, "index": index % 3, "psi": psi} for index, psi in enumerate((1, 0.5, 0, 0.5, 1, 0))]
    together = rendered(page, points, (1, 8, 8)).astype(int)
    for place, point in enumerate(points):
        assert np.abs(together[place] - rendered(page, [point], (1, 8, 8))[0]).max() <= 1


def test_offsets_move_along_the_directions(run):
    page, gan = client(run), sparring.load(run, "cpu")
    offsets = [0, 0, -3.5, 0, 0, 0, 0, 1]
    z = draw_z(1, gan.generator.z_size, seed=3, start=2) + torch.tensor(offsets) @ directions(gan.generator, 8)
    expected = as_bytes(gan.decode(z, torch.tensor([0])))
    made = rendered(page, [{"seed": 3, "index": 2, "offsets": offsets}], (1, 8, 8))
    assert np.array_equal(made, expected)
    assert not np.array_equal(made, rendered(page, [{"seed": 3, "index": 2}], (1, 8, 8)))


def test_a_mixture_is_each_of_its_ends_at_the_ends(run):
    page, gan = client(run), sparring.load(run, "cpu")
    start, end = {"seed": 1, "index": 0}, {"seed": 9, "index": 5, "psi": 0.8, "offsets": [1]}
    at = {t: rendered(page, [{"from": start, "to": end, "t": t}], (1, 8, 8)) for t in (0, 0.25, 1)}
    assert np.array_equal(at[0], rendered(page, [start], (1, 8, 8)))
    assert np.array_equal(at[1], rendered(page, [end], (1, 8, 8)))
    z = [draw_z(1, gan.generator.z_size, seed=seed, start=index) for seed, index in ((1, 0), (9, 5))]
    z[1] = z[1] + directions(gan.generator, 8)[0]
    between = np.cos(np.pi / 8) * z[0] + np.sin(np.pi / 8) * z[1]
    assert np.abs(at[0.25].astype(int) - as_bytes(gan.decode(between.float(), torch.tensor([0])))).max() <= 1


def test_projected_latents_are_starts(run, tmp_path):
    gan, file = sparring.load(run, "cpu"), tmp_path / "latents.safetensors"
    z, labels = torch.randn(3, gan.generator.z_size), torch.tensor([1, 0, 1])
    save_latents(z, labels, file, gan)
    page = client(run, latents=file)
    assert page.get("/api/model").json()["starts"] == 3
    made = rendered(page, [{"latent": i} for i in range(3)], (1, 8, 8))
    assert np.abs(made.astype(int) - as_bytes(gan.decode(z, labels))).max() <= 1
    assert "no projected sample 3" in page.post("/api/render", json={"points": [{"latent": 3}]}).json()["error"]


@pytest.mark.parametrize(
    ("points", "saying"),
    [
        ([], "points"),
        ([{"seed": 0, "index": 0}] * 257, "256"),
        ([{"seed": -1, "index": 0}], "points.0.*seed"),
        ([{"seed": 0, "index": 0, "condition": 2}], "no class 2"),
        ([{"seed": 0, "index": "1"}], "index"),
        ([{"seed": 0, "index": 0, "psi": 3}], "psi"),
        ([{"seed": 0, "index": 0, "offsets": [0] * 9}], "offsets"),
        ([{"seed": 0, "index": 0, "offsets": [1e9]}], "offsets"),
        ([{"seed": 0, "index": 0, "more": 1}], "more"),
        ([{"latent": 0}], "no projected sample"),
        ([{"from": {"seed": 0, "index": 0}, "to": {"seed": 0, "index": 1}, "t": 2}], "t"),
        ([{"from": {"seed": 0, "index": 0}, "to": {"from": {}, "to": {}, "t": 0}, "t": 0}], "to"),
        (["a point"], "points.0"),
    ],
)
def test_points_that_are_none_are_refused_with_a_reason(run, points, saying):
    answer = client(run).post("/api/render", json={"points": points})
    assert answer.status_code == 422
    assert len(answer.json()["error"]) < 300
    assert re.search(saying, answer.json()["error"]), answer.text


def test_many_large_samples_are_made_a_few_at_a_time(run, monkeypatch):
    points = [{"seed": 0, "index": index, "psi": psi} for psi in (1, 0.5) for index in range(5)]
    together = rendered(client(run), points, (1, 8, 8)).astype(int)
    sizes, decode = [], GAN.decode
    monkeypatch.setattr(GAN, "decode", lambda self, z, *rest: sizes.append(len(z)) or decode(self, z, *rest))
    for most, expected in ((2 * 64, [1, 1, 2, 2, 2, 2]), (1, [1] * 10)):
        monkeypatch.setattr("sparring.explorer.model.BATCH_NUMBERS", most)
        sizes.clear()
        assert np.abs(rendered(client(run), points, (1, 8, 8)) - together).max() <= 1
        assert sorted(sizes) == expected


@pytest.mark.parametrize(
    ("error", "saying"),
    [(RuntimeError("CUDA out of memory.\nTried to allocate"), "CUDA out of memory."), (MemoryError(), "MemoryError")],
)
def test_what_fails_in_the_model_is_told_in_one_line(run, monkeypatch, error, saying):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr("sparring.explorer.model.directions", fail)
    page = client(run)
    assert rendered(page, [{"seed": 0, "index": 0}], (1, 8, 8)).size  # the directions fail behind it
    answer = page.post("/api/render", json={"points": [{"seed": 0, "index": 0, "offsets": [1]}]})
    assert (answer.status_code, answer.json()) == (500, {"error": f"the model failed: {saying}"})


def test_an_end_of_the_explorer_ends_what_is_under_way(run, monkeypatch):
    monkeypatch.setattr("sparring.explorer.model.BATCH_NUMBERS", 1)
    model, asked = Model(run, device="cpu"), []
    model.stopping = lambda: asked.append(None) or len(asked) > 3
    with pytest.raises(Stopped):
        model.samples([Drawn(seed=0, index=index) for index in range(100)])
    with pytest.raises(Stopped):
        _ = model.directions
    assert len(asked) == 5


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode there")
def test_names_that_are_no_unicode_are_written_out(own, tmp_path, monkeypatch):
    odd = own.rename(tmp_path / "\udcff")
    monkeypatch.chdir(odd)
    (odd / "metrics.jsonl").write_text('{"samples_seen": 1, "\\ud800": 2, "frechet_floor": 1}\n')
    page = client(".")
    facts = page.get("/api/model").json()
    assert facts["title"] == "\\udcff"
    assert [number["name"] for number in facts["numbers"]] == ["\\ud800"]
    wanted = b'{"points": [{"seed": 0, "index": 0, "\\ud800": 1}]}'
    answer = page.post("/api/render", content=wanted, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


def test_new_weights_are_taken_and_broken_ones_let_be(own, tiny, shapes, tmp_path):
    page, points = client(own), [{"seed": 0, "index": 0}]
    before = rendered(page, points, (1, 8, 8))
    train(tiny.replace({"train.seed": 5}), tmp_path / "other", dataset=shapes)
    (own / "model.safetensors").write_bytes((tmp_path / "other" / "model.safetensors").read_bytes())
    after = rendered(page, points, (1, 8, 8))
    assert not np.array_equal(before, after)
    (own / "model.safetensors").write_bytes(b"half of a f")
    assert np.array_equal(after, rendered(page, points, (1, 8, 8)))


# ---- kinds ------------------------------------------------------------------------------------------------------


def test_pictures_say_what_they_are_and_are_saved_as_png(run):
    page = client(run, seed=4)
    facts = page.get("/api/model").json()
    expected = {"title": "shapes", "kind": "pictures", "shape": [1, 8, 8], "seed": 4}
    assert expected.items() <= facts.items()
    assert (facts["directions"], facts["starts"], facts["channels"]) == (8, 0, [])
    answer = page.post("/api/download", json={"seed": 7, "index": 12})
    assert 'filename="shapes-seed7-12.png"' in answer.headers["content-disposition"]
    assert answer.content.startswith(b"\x89PNG")
    moved = page.post("/api/download", json={"seed": 7, "index": 12, "condition": 1, "psi": 0.5, "offsets": [1]})
    assert "shapes-seed7-12-class1-psi0.5-moved.png" in moved.headers["content-disposition"]


def test_series_are_in_their_own_units_and_nan_beyond_their_ends(tiny, tmp_path):
    samples = torch.randn(20, 3, 16)
    samples[:, 2, :8], samples[:, 2, 8:] = 1, -1  # all end after 8 steps
    dataset = TensorDataset(
        name="waves", modality="series", sample_shape=(3, 16), classes=torch.zeros(20, dtype=torch.long),
        class_names=[], fingerprint="waves", value_range="", samples=samples,
        channels=Channels(("height", "width"), (100.0, 0.0), (2.0, 1.0), masked=True),
    )  # fmt: skip
    config = tiny.replace({"train.evaluate_every": 0, "train.num_samples": 16})
    train(config, tmp_path / "waves", dataset=dataset)
    page, gan = client(tmp_path / "waves"), sparring.load(tmp_path / "waves", "cpu")
    facts = page.get("/api/model").json()
    assert (facts["kind"], facts["shape"], facts["channels"]) == ("series", [2, 16], ["height", "width"])
    made = rendered(page, [{"seed": 2, "index": i} for i in range(4)], (2, 16), "<f4")
    np.testing.assert_allclose(made, gan.sample(4, seed=2).numpy(), rtol=1e-4, atol=1e-4)
    table = page.post("/api/download", json={"seed": 2, "index": 0})
    assert "waves-seed2-0.csv" in table.headers["content-disposition"]
    assert table.text.splitlines()[0] == "sample,step,height,width"


def test_clips_are_saved_as_a_film(tiny, tmp_path):
    dataset = TensorDataset(
        name="films", modality="video", sample_shape=(4, 4, 8, 8), classes=torch.zeros(8, dtype=torch.long),
        class_names=[], fingerprint="films", value_range="-1..1", samples=torch.rand(8, 4, 4, 8, 8) * 2 - 1,
    )  # fmt: skip
    train(tiny.replace({"train.evaluate_every": 0, "train.num_samples": 16}), tmp_path / "films", dataset=dataset)
    page, gan = client(tmp_path / "films"), sparring.load(tmp_path / "films", "cpu")
    assert page.get("/api/model").json()["kind"] == "clips"
    made = rendered(page, [{"seed": 0, "index": 1}], (4, 4, 8, 8))
    assert np.abs(made.astype(int) - as_bytes(gan.sample(2))[1:]).max() <= 1
    film = page.post("/api/download", json={"seed": 0, "index": 1})
    assert ".mp4" in film.headers["content-disposition"] or film.content.startswith(b"RIFF")


def test_texts_are_strings(tmp_path):
    from sparring.config import Config

    lines = tmp_path / "lines.txt"
    lines.write_text("".join(f"{a}{b}{c}\n" for a in "abcd" for b in "efgh" for c in "ijkl"), encoding="utf-8")
    settings = {
        "data.path": str(lines), "codec.name": "text", "codec.width": 16, "codec.depth": 1, "model.width": 16,
        "model.depth": 1, "model.num_heads": 2, "train.num_samples": 16, "codec.num_samples": 16,
        "train.batch_size": 8, "train.evaluate_every": 0, "train.device": "cpu",
    }  # fmt: skip
    train(Config().replace(settings), tmp_path / "words")
    page = client(tmp_path / "words")
    assert page.get("/api/model").json()["kind"] == "texts"
    answer = page.post("/api/render", json={"points": [{"seed": 3, "index": i} for i in range(5)]})
    assert answer.json() == sparring.load(tmp_path / "words", "cpu").sample(5, seed=3)
    saved = page.post("/api/download", json={"seed": 3, "index": 4})
    assert saved.text.rstrip("\n") == answer.json()[4].rstrip()


# ---- events -----------------------------------------------------------------------------------------------------


def test_rows_are_read_as_they_come_and_anew_where_a_run_went_back(tmp_path):
    file = tmp_path / "metrics.jsonl"
    rows = Rows(file)
    assert rows.read() == ([], False)
    file.write_text('{"samples_seen": 1, "loss/d": NaN}\n{"samples_seen": 2}\n{"samples_s')
    assert rows.read() == ([{"samples_seen": 1}, {"samples_seen": 2}], True)
    with open(file, "a") as more:
        more.write('een": 3}\nno row\n')
    assert rows.read() == ([{"samples_seen": 3}], False)
    assert rows.read() == ([], False)
    (tmp_path / "new").write_text('{"samples_seen": 1}\n')
    (tmp_path / "new").replace(file)
    assert rows.read() == ([{"samples_seen": 1}], True)
    with open(file, "a") as more:
        more.write(f'{{"samples_seen": 1{"0" * 400}}}\n{{"samples_seen": 2}}\n')
    assert rows.read() == ([{"samples_seen": 2}], False)


def test_a_file_that_is_replaced_while_it_is_read_is_read_anew(tmp_path, monkeypatch):
    file, other = tmp_path / "metrics.jsonl", tmp_path / "other"
    file.write_text('{"samples_seen": 1}\n')
    rows = Rows(file)
    rows.read()
    other.write_text('{"samples_seen": 3}\n{"samples_seen": 4}\n')

    def open_and_replace(*arguments, opener=os.open):
        opened = opener(*arguments)
        if other.exists():
            other.replace(file)
        return opened

    monkeypatch.setattr("os.open", open_and_replace)
    assert rows.read() == ([], False)
    assert rows.read() == ([{"samples_seen": 3}, {"samples_seen": 4}], True)


def test_the_numbers_of_the_best_state_are_found_in_the_run_and_in_it(tmp_path):
    best = tmp_path / "best"
    best.mkdir()
    assert read_best(tmp_path) == {}
    (best / "metrics.json").write_text('{"samples_seen": 1, "frechet": 2}')
    assert read_best(tmp_path) == read_best(best) == {"samples_seen": 1, "frechet": 2}


def test_the_stream_starts_at_once_where_nothing_was_measured(own):
    (own / "metrics.jsonl").unlink()
    page = client(own)
    first = json.loads(page.get("/api/events").text.split("\n\n")[0].removeprefix("data: "))
    assert (first["rows"], first["fresh"]) == ([], True)


def test_numbers_stand_beside_their_floors():
    rows = [{"samples_seen": 1, "frechet": 9.0, "frechet_floor": 1.0}, {"samples_seen": 2, "loss/d": 1.0}]
    assert numbers(rows, {"frechet": 8.0}) == [{"name": "frechet", "value": 9.0, "floor": 1.0, "best": 8.0}]
    assert numbers([], {}) == []


def test_the_stream_starts_with_all_rows_and_tells_of_new_weights(own):
    answer = client(own).get("/api/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    first = json.loads(answer.text.removeprefix("data: "))
    lines = (own / "metrics.jsonl").read_text().splitlines()
    assert first["fresh"] is True
    assert [row["samples_seen"] for row in first["rows"]] == [json.loads(line)["samples_seen"] for line in lines]

    async def follow():
        model = Model(own, device="cpu")
        stream = events(Feed(own), lambda: model.stamp, lambda: False)
        await anext(stream)
        (own / "model.safetensors").touch()
        assert json.loads((await anext(stream)).removeprefix("data: ")) == {"weights": True}
        with open(own / "metrics.jsonl", "a") as file:
            file.write('{"samples_seen": 999}\n')
        last = json.loads((await anext(stream)).removeprefix("data: "))
        assert last["rows"] == [{"samples_seen": 999}]
        assert last["fresh"] is False

    asyncio.run(asyncio.wait_for(follow(), 20))


# ---- security ---------------------------------------------------------------------------------------------------

PATHS = ["/", "/app.js", "/style.css", "/api/model", "/api/events", "/no-such"]


@pytest.mark.parametrize("path", PATHS)
def test_without_the_token_nothing_is_told(run, path):
    for headers in ({}, {"X-Sparring-Token": "another"}, {"X-Sparring-Token": TOKEN[:-1]}):
        page = client(run, headers=headers)
        assert page.get(path).status_code == 403
        assert page.get(f"{path}?token=").status_code == 403
        assert page.get(f"{path}?token=wrong").status_code == 403
        assert page.post("/api/render", json={"points": [{"seed": 0, "index": 0}]}).status_code == 403
    assert client(run, headers={}).get(f"/?token={TOKEN}").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:7802", "evil.example:7801", "", "localhost"])
def test_another_host_is_refused(run, host):
    page = client(run)
    assert page.get("/", headers={"Host": host}).status_code == 403
    assert page.get("/", headers={"Host": f"localhost:{PORT}"}).status_code == 200


def test_port_80_goes_without_saying(run):
    app = create_app(Model(run, device="cpu"), token=TOKEN, port=80)
    page = TestClient(app, base_url="http://localhost", headers=HEADERS)
    for name in ("localhost", "127.0.0.1", "localhost:80"):
        assert page.get("/", headers={"Host": name, "Origin": f"http://{name}"}).status_code == 200
    assert page.get("/", headers={"Host": "evil.example"}).status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:7802", "https://127.0.0.1:7801"])
def test_another_origin_is_refused(run, origin):
    page = client(run)
    wanted = {"points": [{"seed": 0, "index": 0}]}
    assert page.post("/api/render", json=wanted, headers={"Origin": origin}).status_code == 403
    own = {"Origin": f"http://127.0.0.1:{PORT}"}
    assert page.post("/api/render", json=wanted, headers=own).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml", "/..%2f..%2fcli.py", "/%2e%2e/cli.py", "//etc/passwd", "/page.html", "/web/app.js",
        "/app.js/", "/app.js%00", "/docs", "/redoc", "/openapi.json", "/api", "/api/",
    ],
)  # fmt: skip
def test_files_are_served_from_a_table_alone(run, path):
    assert client(run).get(path).status_code == 404


def test_headers_keep_the_page_to_itself(run):
    page = client(run)
    for path in ["/", "/app.js", "/api/model", "/no-such"]:
        headers = page.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    assert page.get("/", headers={"Host": "evil.example"}).headers["x-content-type-options"] == "nosniff"


def test_large_and_endless_bodies_are_refused(run):
    page = client(run)
    assert page.post("/api/render", content=b"x" * 600_000).status_code == 413
    assert page.post("/api/render", content=iter([b"x"] * 3)).status_code == 411
    assert page.post("/api/render", content=b"{", headers={"Content-Type": "application/json"}).status_code == 422


def test_the_page_asks_for_its_scripts_with_the_token_and_has_none_inside(run):
    page = client(run)
    text = page.get("/").text
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", text, re.S)
    assert len(scripts) == 5
    assert all(f"?token={TOKEN}" in attributes and not inside for attributes, inside in scripts)
    assert " style=" not in text
    assert " onclick=" not in text
    for name in re.findall(r'(?:src|href)="([a-z]+\.(?:js|css))\?', text):
        answer = page.get(f"/{name}")
        assert answer.status_code == 200
        assert "innerHTML" not in answer.text
