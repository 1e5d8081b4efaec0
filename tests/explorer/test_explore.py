"""`sparring explore` as a user meets it: its address, its port, its end, and what it says where it can't start."""

import queue
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from sparring import cli
from sparring.training.run import train

pytest.importorskip("fastapi")

from sparring.explorer.model import Model
from sparring.explorer.serve import serve


@pytest.fixture
def run(tiny, shapes, tmp_path):
    train(tiny.replace({"train.num_samples": 16}), tmp_path / "shapes", dataset=shapes)
    return tmp_path / "shapes"


def fails(capsys, *words):
    assert cli.main([str(word) for word in words]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    return output.err


def test_it_prints_its_address_takes_the_next_port_and_ends_quietly(run):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        command = [sys.executable, "-m", "sparring", "explore", run, "--no-browser", "--device=cpu", f"--port={port}"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        address = process.stdout.readline().strip()
    taken = int(address.split(":")[2].split("/")[0])
    assert taken > port
    with urllib.request.urlopen(address) as answer:
        assert b"<title>Sparring</title>" in answer.read()
    stream = urllib.request.urlopen(address.replace("/?", "/api/events?"))
    assert stream.readline().startswith(b"data: ")
    process.send_signal(signal.SIGINT)  # while a page listens
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "")
    assert err == f"port {port} is in use: took {taken}\n"


def test_the_token_is_not_among_the_browsers_arguments(run, monkeypatch, capsys):
    opened = queue.SimpleQueue()
    monkeypatch.setattr("webbrowser.open", opened.put)
    seen = []

    def look(server, sockets):
        page = Path(url2pathname(urlsplit(opened.get(timeout=20)).path))
        seen.append((page, page.stat().st_mode, page.parent.stat().st_mode, page.read_text(encoding="utf-8")))

    monkeypatch.setattr("uvicorn.Server.run", look)
    serve(Model(run, device="cpu"), 7801, browser=True)
    [(page, mode, folder_mode, text)] = seen
    assert f"url={capsys.readouterr().out.strip()}" in text
    assert not page.parent.exists()
    if sys.platform != "win32":
        assert (stat.S_IMODE(mode), stat.S_IMODE(folder_mode)) == (0o600, 0o700)


def test_what_cannot_be_explored_is_told_in_one_line(run, tmp_path, capsys):
    assert "does not exist" in fails(capsys, "explore", tmp_path / "none")
    assert "--seed" in fails(capsys, "explore", run, "--seed=-1")
    (run / "model.safetensors").unlink()
    assert "has saved no model yet" in fails(capsys, "explore", run, "--device=cpu")
    assert "--port" in fails(capsys, "explore", run, "--port=0")


def test_without_the_extra_it_says_what_to_install(tmp_path):
    code = "import sys; sys.modules['uvicorn'] = None; from sparring.cli import main; sys.exit(main(['explore', 'x']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == 'sparring: the explorer needs its extra: pip install "sparring[app]"\n'


def test_help_imports_neither_torch_nor_fastapi():
    code = (
        "import sys; from sparring.cli import build_parser; build_parser().format_help(); "
        "print({'torch', 'fastapi', 'uvicorn', 'pydantic'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_the_page_is_in_the_package():
    from importlib.resources import files

    names = {path.name for path in (files("sparring") / "web").iterdir()}
    assert {"page.html", "style.css", "strings.js", "draw.js", "app.js", "remote.js"} <= names
