"""The explorer's server against whoever can open a connection to it."""

import contextlib
import http.client
import socket
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import pytest

pytest.importorskip("fastapi")

from sparring.explorer import connections, events, server
from sparring.explorer.model import Model
from sparring.explorer.serve import listen, make_server


@pytest.fixture
def run(trained_once, tiny, shapes):
    return trained_once(tiny, shapes)


class Page:
    """A server that runs, and what a client of it does."""

    def __init__(self, run, listening):
        self.server, self.address = make_server(Model(run, device="cpu"), listening)
        self.port = listening.getsockname()[1]
        self.token = urlsplit(self.address).query.partition("=")[2]
        self.opened = contextlib.ExitStack()

    def connect(self, sent=b""):
        client = self.opened.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=30))
        client.sendall(sent)
        return client

    def request(self, path="/api/model", method="GET", token=None, more=""):
        token = self.token if token is None else token
        text = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nX-Sparring-Token: {token}\r\n{more}\r\n"
        return text.encode()

    def answer(self, sent):
        """The status and the body of an answer."""
        client = self.connect(sent)
        with http.client.HTTPResponse(client) as answer:
            answer.begin()
            return answer.status, answer.read()

    def open_ones(self):
        return len(self.server.server_state.connections)


@pytest.fixture
def page(run):
    with listen(7901) as listening:
        page = Page(run, listening)
        thread = threading.Thread(target=page.server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield page
        finally:
            page.server.should_exit = True
            page.opened.close()
            thread.join()


def ends(client):
    """Waits until the server has closed a connection; returns what it said."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while more := client.recv(65_536):
            said += more
    return said


HALF_OPEN = [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"]


def test_half_open_connections_give_way_to_the_owner(page):
    strangers = [page.connect(HALF_OPEN[index % 3]) for index in range(3 * connections.WAITING)]
    for _ in range(3):
        assert page.answer(page.request())[0] == 200
    assert page.open_ones() <= connections.WAITING + 1
    for stranger in strangers[: connections.WAITING]:
        assert ends(stranger) == b""


def test_the_owners_idle_connection_is_closed_after_those_of_strangers(page):
    mine = page.connect()
    for count in (0, connections.WAITING, connections.WAITING):
        for _ in range(count):
            page.connect()
        mine.sendall(page.request("/no-such"))
        answer = http.client.HTTPResponse(mine)
        answer.begin()
        assert (answer.status, answer.read()) == (404, b"not found")


@pytest.mark.parametrize("begun", [*HALF_OPEN, b"body"])
def test_a_request_has_a_time_limit(page, monkeypatch, begun):
    monkeypatch.setattr(connections, "SECONDS", 0.1)
    if begun == b"body":
        begun = (
            page.request("/api/render", "POST", more="Content-Type: application/json\r\nContent-Length: 9\r\n") + b"{"
        )
    assert b"200" not in ends(page.connect(begun))
    assert page.answer(page.request())[0] == 200


def test_an_answer_may_take_longer_than_its_request(page, monkeypatch):
    monkeypatch.setattr(connections, "SECONDS", 0.1)
    monkeypatch.setattr(events, "HEARTBEAT", 0.5)
    stream = page.connect(page.request("/api/events")).makefile("rb")
    for line in stream:
        if line.startswith(b": still here"):
            return
    raise AssertionError("the stream ended")


def test_a_refused_request_ends_its_connection(page):
    assert b"403" in ends(page.connect(page.request(token="wrong")))
    assert b"413" in ends(page.connect(page.request(method="POST", more="Content-Length: 99999999\r\n")))


def test_bodies_in_chunks_are_refused(page):
    chunked = "Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n"
    for method in ("GET", "POST", "PUT"):
        for more in (chunked, f"{chunked}Content-Length: 2\r\n"):
            client = page.connect(page.request("/api/render", method, more=more) + b"2\r\n{}\r\n")
            assert client.recv(1000).split()[1] == b"411"


def test_garbage_is_answered_and_not_logged(page, capfd):
    for token in (page.token, "wrong"):
        chunked = page.request("/api/events", token=token, more="Transfer-Encoding: chunked\r\n")
        assert b"HTTP/1.1 4" in ends(page.connect(chunked + b"no size\r\n\r\n"))
        assert b"HTTP/1.1 4" in ends(page.connect(page.request(token=token) * 3 + b"\0garbage\r\n\r\n"))
    for garbage in (b"\0\xff" * 999, b"GET\r\n\r\n", b"PRI * HTTP/2.0", b"\x16\x03\x01" * 99):
        assert b"HTTP/1.1 4" in ends(page.connect(garbage + b"\r\n\r\n"))
    upgrade = page.request(more="Connection: Upgrade\r\nUpgrade: websocket\r\n")
    assert page.answer(upgrade)[0] == 200
    page.connect(page.request(method="POST", more="Content-Length: 9\r\n")).close()
    assert page.answer(page.request())[0] == 200
    assert capfd.readouterr().err == ""


def test_there_are_so_many_streams_at_once(page, monkeypatch):
    monkeypatch.setattr(server, "STREAMS", 1)
    first = page.connect(page.request("/api/events"))
    first.recv(10)
    assert page.answer(page.request("/api/events"))[0] == 503
    assert page.answer(page.request())[0] == 200
    first.shutdown(socket.SHUT_RDWR)
    while True:  # until the server has noticed
        again = page.connect(page.request("/api/events"))
        if again.recv(100).split()[1] == b"200":
            break
        again.close()


def test_pages_share_the_reading(run, tmp_path, monkeypatch):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"samples_seen": 1}\n')
    feed = events.Feed(tmp_path)
    monkeypatch.setattr(events, "INTERVAL", 1e9)
    feed.poll()
    with open(file, "a") as more:
        more.write('{"samples_seen": 2}\n')
    for _ in range(2):
        stream = events.events(feed, lambda: None, lambda: True)
        with pytest.raises(StopIteration):
            stream.asend(None).send(None)
        assert feed.rows == [{"samples_seen": 1}]
    monkeypatch.setattr(events, "INTERVAL", 0)
    feed.poll()
    assert feed.rows == [{"samples_seen": 1}, {"samples_seen": 2}]


@pytest.mark.skipif(sys.platform != "linux", reason="sets a limit")
def test_descriptors_that_run_out_are_told_in_one_line(run):
    import resource

    command = [sys.executable, "-m", "sparring", "explore", run, "--no-browser", "--device=cpu"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    address = urlsplit(process.stdout.readline().strip())
    limit = 40
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (limit, limit))
    with contextlib.ExitStack() as stack:
        for _ in range(2 * limit):
            stack.enter_context(socket.create_connection((address.hostname, address.port), timeout=30))
        line = process.stderr.readline()
        line = process.stderr.readline() if line.startswith("port") else line
        assert line.startswith("too many files are open here")
    process.terminate()
    assert process.communicate(timeout=30)[1] == ""
