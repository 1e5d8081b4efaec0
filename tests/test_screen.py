"""Names that hold escape sequences do not reach the terminal."""

import json
import sys
import zipfile

import pytest
from PIL import Image

from sparring import cli, screen

CLEAR = "\x1b[2J\x1b]0;owned\x07\x9b2J\u202e"
SMALL = [
    "--num-samples=16", "--batch-size=8", "--device=cpu", "--model.width=16", "--model.num_heads=2", "--model.depth=1",
    "--codec.patch_size=4", "--model.stem=0",
]  # fmt: skip


def escapes(text):
    return [c for c in text if c in CLEAR and not c.isprintable()]


@pytest.mark.skipif(sys.platform == "win32", reason="names of files are plainer there")
def test_names_of_folders_and_members(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("picture.png")
    with zipfile.ZipFile(f"data{CLEAR}.zip", "w") as archive:
        for index in range(20):
            archive.write("picture.png", f"{CLEAR}/{index}.png")
        archive.writestr(f"{CLEAR}/broken.png", b"no picture")
    run = f"run{CLEAR}"
    assert cli.main(["train", f"data{CLEAR}.zip", "--out", run, *SMALL]) == 0
    assert cli.main(["train", f"data{CLEAR}.zip", "--out", run, *SMALL]) == 0  # resumes it
    assert cli.main(["sample", run, "--num=2", "--out", f"{CLEAR}.png", "--device=cpu"]) == 0
    assert cli.main(["sample", run, "--num=2", "--out", f"{CLEAR}.png", "--device=cpu", "--json"]) == 0
    last = capsys.readouterr()
    assert json.loads(last.out.splitlines()[-1]) == {"out": f"{CLEAR}.png"}
    assert cli.main(["info", run]) == 0
    assert cli.main(["data", f"data{CLEAR}.zip", "--out", f"{CLEAR}-sheet.png"]) == 0
    assert cli.main(["info", f"none{CLEAR}"]) == 2
    more = capsys.readouterr()
    assert "broken.png" in last.err
    for text in (last.out, last.err, more.out, more.err):
        assert not escapes(text)


def test_lines_stay_and_json_keeps_what_it_says(capsys):
    screen.say("a  b\n\tc\r\x1b[0m")
    assert capsys.readouterr().out == "a  b\n\tc [0m\n"
    values = {"é": [CLEAR, "\udcff", "\U000e0041", "\n"]}
    screen.say_json(values)
    text = capsys.readouterr().out
    assert json.loads(text) == values
    assert "é" in text
    assert not escapes(text.rstrip("\n"))
