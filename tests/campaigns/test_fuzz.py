"""A part of the fuzz campaign, and what it counts as a fault."""

import sys

import pytest

from campaigns import fuzz
from campaigns.fuzz import Campaign, numbered

pytest.importorskip("fastapi")
pytest.importorskip("httpx2")

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks with limits of Linux")
EACH = 9


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    return Campaign(tmp_path_factory.mktemp("fuzz") / "work", seed=7)


def test_no_damaged_input_ends_in_a_fault(campaign):
    for kind, number in numbered(campaign.names, 0, EACH * len(campaign.names)):
        campaign.run(kind, number)
    summary = campaign.summary()
    assert summary["inputs"] == EACH * len(campaign.names)
    assert summary["faults"] == []
    assert summary["outcomes"]["ok"] > 10
    assert summary["outcomes"]["refused"] > 10


@pytest.mark.parametrize(
    ("does", "outcome"),
    [
        (lambda folder: 1 / 0, "TRACEBACK"),
        (lambda folder: bytearray(2**36), "MEMORY"),
        (lambda folder: print("\x1b[31mred"), "ESCAPE"),
        (lambda folder: (folder.parent / "evil.png").write_text("x"), "ESCAPE"),
        (lambda folder: [print(line, file=sys.stderr) for line in ("one", "two")] and sys.exit(2), "NOISE"),
        (lambda folder: print("one", file=sys.stderr) or sys.exit(2), "NOISE"),
        (lambda folder: print("sparring: no", file=sys.stderr) or sys.exit(2), "refused"),
        (lambda folder: sys.exit(0), "ok"),
    ],
)
def test_a_fault_is_counted(campaign, monkeypatch, does, outcome):
    place = []
    monkeypatch.setitem(campaign.kinds.all, "text", lambda folder, rng: place.append(folder) or ["data", "x"])
    monkeypatch.setattr(fuzz, "_main", lambda words: does(place[0]) and 0)
    assert campaign.run("text", 0) == outcome


def test_an_endless_input_is_stopped(campaign, monkeypatch):
    monkeypatch.setattr(fuzz, "SECONDS", 1)

    def endless(words):
        while True:
            pass

    monkeypatch.setattr(fuzz, "_main", endless)
    assert campaign.run("text", 0) == "HANG"


def test_an_input_follows_from_its_seed_and_number(campaign, tmp_path):
    from random import Random

    for kind, make in campaign.kinds.all.items():
        found = []
        for name in ("one", "two"):
            folder = tmp_path / kind / name / "in"
            folder.mkdir(parents=True)
            words = [word.replace(str(folder), "") for word in make(folder, Random("3/x/1"))]
            found.append((words, {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}))
        assert found[0] == found[1], kind
