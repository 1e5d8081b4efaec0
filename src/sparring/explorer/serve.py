"""Starts the explorer's server on a free port."""

import contextlib
import secrets
import socket
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path

from sparring.config import ConfigError
from sparring.explorer.connections import Server
from sparring.explorer.model import Model
from sparring.explorer.server import create_app

HOST = "127.0.0.1"
PORTS = 50
"""Number of ports to try."""


def serve(model: Model, port: int, *, browser: bool) -> None:
    """Prints the page's address, opens it in a browser if `browser` is set, and serves until Ctrl-C."""
    listening = listen(port)
    server, address = make_server(model, listening)
    if listening.getsockname()[1] != port:
        print(f"port {port} is in use: took {listening.getsockname()[1]}", file=sys.stderr)
    print(address, flush=True)
    with contextlib.ExitStack() as stack:
        if browser:  # in a thread, as a browser in the terminal would block the server
            page = stack.enter_context(redirect(address)).as_uri()
            threading.Thread(target=webbrowser.open, args=[page], daemon=True).start()
        server.run(sockets=[listening])


@contextlib.contextmanager
def redirect(address: str) -> Iterator[Path]:
    """A page, readable by this user only, that redirects to the address: all users can see a browser's arguments."""
    with tempfile.TemporaryDirectory(prefix="sparring-", ignore_cleanup_errors=True) as folder:  # mode 0700
        page = Path(folder) / "explore.html"
        page.touch(mode=0o600)
        page.write_text(
            f'<!doctype html><meta http-equiv="refresh" content="0;url={address}"><title>Sparring</title>'
            f'<a href="{address}">Sparring</a>\n',
            encoding="utf-8",
        )
        yield page


def make_server(model: Model, listening: socket.socket) -> tuple[Server, str]:
    """A server for a listening socket, and the address of its page with a new secret token."""
    port, token = listening.getsockname()[1], secrets.token_urlsafe(24)

    def stopping() -> bool:
        return server.should_exit

    model.stopping = stopping
    server = Server(create_app(model, token=token, port=port, stopping=stopping))
    return server, f"http://{HOST}:{port}/?token={token}"


def listen(port: int) -> socket.socket:
    """A listening socket on the first free port from `port` on."""
    for candidate in range(port, min(port + PORTS, 65_536)):
        # With IPPROTO_TCP asyncio sets TCP_NODELAY; Nagle's algorithm would delay small answers by 40 ms.
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if sys.platform != "win32":  # on Windows this option shares a port with another program
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, candidate))
            listening.listen()
        except OSError:
            listening.close()
            continue
        return listening
    raise ConfigError(f"none of the {PORTS} ports from {port} on is free: choose another with --port")
