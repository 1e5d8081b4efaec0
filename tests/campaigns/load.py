"""Load on the explorer: strangers and tabs crowd its server while its owner asks for facts and samples.

    python tests/campaigns/load.py --clients 200 --seconds 60

prints one line of JSON: the owner's requests, wrong answers among them and latencies in seconds; what the crowd did;
the server's descriptors and memory at most, and the bytes on its stderr.
"""

import argparse
import asyncio
import collections
import contextlib
import http.client
import itertools
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

POINTS = json.dumps({"points": [{"seed": 1, "index": 3}]})
PATIENCE = 30.0
"""Seconds after which a client leaves a connection to which nothing happens."""


class Crowd:
    """Clients on one event loop. Each takes the next kind of behaviour in turn, and repeats it."""

    def __init__(self, port: int, token: str) -> None:
        self.port, self.token = port, token
        self.count: collections.Counter[str] = collections.Counter()

    async def run(self, clients: int, seconds: float) -> None:
        kinds = itertools.cycle(
            [
                self.half_open, self.slow_headers, self.no_token, self.wrong_token, self.stream, self.chunked,
                self.garbage,
            ]
        )  # fmt: skip
        tasks = [asyncio.create_task(self._repeat(next(kinds))) for _ in range(clients)]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _repeat(self, kind) -> None:
        while True:
            try:
                async with asyncio.timeout(PATIENCE):
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    try:
                        await kind(reader, writer)
                    finally:
                        writer.transport.abort()
                self.count[kind.__name__] += 1
            except (OSError, TimeoutError):
                self.count[f"{kind.__name__}, closed"] += 1
            await asyncio.sleep(0.01)

    def _head(self, path="/api/model", method="GET", token=None, more="") -> bytes:
        asked = "" if token is None else f"X-Sparring-Token: {token}\r\n"
        return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n{asked}{more}".encode()

    async def half_open(self, reader, writer) -> None:
        writer.write(self._head()[: random.randrange(20)])
        await reader.read()

    async def slow_headers(self, reader, writer) -> None:
        writer.write(self._head())
        while not reader.at_eof():
            writer.write(b"X-More: 1\r\n")
            await writer.drain()
            await asyncio.sleep(0.2)

    async def no_token(self, reader, writer) -> None:
        writer.write(self._head(random.choice(["/", "/api/model", "/api/events"])) + b"\r\n")
        await reader.read()

    async def wrong_token(self, reader, writer) -> None:
        writer.write(self._head(token="wrong", method="POST", more="Content-Length: 400000\r\n\r\n") + bytes(400_000))
        await reader.read()

    async def stream(self, reader, writer) -> None:
        writer.write(self._head("/api/events", token=self.token) + b"\r\n")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(random.uniform(0.1, 20)):
                await reader.read()

    async def chunked(self, reader, writer) -> None:
        more = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(self._head("/api/render", "POST", random.choice([self.token, "wrong"]), more))
        for _ in range(100):
            writer.write(b"10000\r\n" + bytes(65_536) + b"\r\n")
            await writer.drain()
        await reader.read()

    async def garbage(self, reader, writer) -> None:
        chunked = self._head(more="Transfer-Encoding: chunked\r\n\r\n")
        begin = random.choice([b"", self._head(token=self.token) + b"\r\n", chunked])
        writer.write(begin + random.randbytes(random.randrange(1, 2000)) + b"\r\n\r\n")
        await reader.read()


def crowd(port: int, token: str, clients: int, seconds: float, seed: int) -> dict[str, int]:
    """Runs a crowd; returns how often each behaviour came to its end."""
    random.seed(seed)
    found = Crowd(port, token)
    asyncio.run(found.run(clients, seconds))
    return dict(sorted(found.count.items()))


class Owner:
    """Asks for the facts and for a sample in turn, each time on a new connection."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self.headers = {"X-Sparring-Token": token, "Content-Type": "application/json"}
        self.latencies: list[float] = []
        self.wrong: list[str] = []

    def ask(self, turn: int) -> None:
        start = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            if turn % 2:
                connection.request("POST", "/api/render", POINTS, self.headers)
            else:
                connection.request("GET", "/api/model", headers=self.headers)
            answer = connection.getresponse()
            if answer.status != 200 or not answer.read():
                self.wrong.append(f"HTTP {answer.status}")
        except (OSError, http.client.HTTPException) as error:
            self.wrong.append(f"{type(error).__name__}: {error}")
        finally:
            connection.close()
        self.latencies.append(time.perf_counter() - start)


def facts_of(process: int) -> dict[str, int]:
    """Open descriptors and resident megabytes of a process, where there is /proc."""
    folder = Path(f"/proc/{process}")
    if not folder.exists():
        return {}
    pages = int((folder / "statm").read_text().split()[1])
    return {
        "descriptors": len(os.listdir(folder / "fd")),
        "megabytes": pages * os.sysconf("SC_PAGE_SIZE") // 2**20,
    }


def campaign(run: str, clients: int, seconds: float, seed: int = 0) -> dict[str, object]:
    """Starts `sparring explore` on a run; a crowd of another process meets it."""
    command = [sys.executable, "-m", "sparring", "explore", run, "--no-browser", "--device=cpu"]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            address = urlsplit(process.stdout.readline().strip())
            token = address.query.partition("=")[2]
            Owner(address.port, token).ask(1)  # the model then finds its directions, which takes seconds, once
            Owner(address.port, token).ask(1)
            owner, before = Owner(address.port, token), facts_of(process.pid)
            most, turns = dict(before), itertools.count()
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as others:
                ending = others.submit(crowd, address.port, token, clients, seconds, seed)
                while not ending.done():
                    owner.ask(next(turns))
                    for name, value in facts_of(process.pid).items():
                        most[name] = max(most[name], value)
                    time.sleep(0.05)
            errors.seek(0, os.SEEK_END)
            return {
                "clients": clients,
                "seconds": seconds,
                "requests": len(owner.latencies),
                "wrong": owner.wrong[:10],
                "worst": round(max(owner.latencies), 4),
                "median": round(statistics.median(owner.latencies), 4),
                **{f"{name}_before": value for name, value in before.items()},
                **{f"most_{name}": value for name, value in most.items()},
                "stderr_bytes": errors.tell(),
                "alive": process.poll() is None,
                "crowd": ending.result(),
            }
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", default="digits", help="a run, as `sparring explore` takes it (default: digits)")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(json.dumps(campaign(given.run, given.clients, given.seconds, given.seed)))
