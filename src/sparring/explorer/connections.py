"""The server's connections: strangers can neither use them up nor hold them for long, nor fill the log.

Whoever may open a connection to this machine can do so without the token. A connection *waits* while the next request
is not complete. Only so many may wait; the longest waiting is closed for a new one, those first that never had an
answer with the token. So the owner's request, which comes with its connection, is served.
"""

import asyncio
import errno
import socket
import sys
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 10.0
"""Time for a whole request, from the connection or the answer before it."""
WAITING, CONNECTIONS = 64, 192
"""The most connections that wait; the most of all, beyond which requests are answered with 503."""
BATCH, QUEUE = 16, 1024
"""Connections accepted at a time: asyncio takes no look at `WAITING` within a batch. Those that the system keeps."""


class Connection(H11Protocol):
    """A connection to the page or to a stranger."""

    deadline: asyncio.TimerHandle | None = None
    """None if it does not wait."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        waiting = [each for each in self.connections if isinstance(each, Connection) and each.deadline]
        if len(waiting) >= WAITING:
            min(waiting, key=_chance)._hang_up()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        if self.cycle is not None:  # garbage in a request that is being answered: the application shall not go on
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:  # an answer has begun
            self.transport.abort()

    def _watch(self) -> None:
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._stop_waiting()
        elif self.deadline is None and not self.transport.is_closing():
            self.deadline = self.loop.call_later(SECONDS, self._hang_up)

    def _stop_waiting(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None

    def _hang_up(self) -> None:
        self._stop_waiting()
        self.transport.close()


def _chance(connection: Connection) -> tuple[bool, float]:
    """The lowest is closed first. Refused requests end their connection, so that an earlier request had the token."""
    return connection.cycle is not None, connection.deadline.when() if connection.deadline else 0.0


class Server(uvicorn.Server):
    """Serves `app` with such connections, quietly."""

    def __init__(self, app: Any) -> None:
        super().__init__(
            uvicorn.Config(
                app, http=Connection, lifespan="off", ws="none", log_level="error", access_log=False,
                server_header=False, proxy_headers=False, timeout_graceful_shutdown=3, limit_concurrency=CONNECTIONS,
                backlog=BATCH,
            )
        )  # fmt: skip
        self._told = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(self._tell)
        await super().startup(sockets)
        for each in sockets or []:
            each.listen(QUEUE)

    def _tell(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """One line, once, where asyncio prints a traceback for each connection that it cannot accept."""
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in (errno.EMFILE, errno.ENFILE):
            loop.default_exception_handler(context)
        elif not self._told:
            self._told = True
            print("too many files are open here: new pages have to wait; see `ulimit -n`", file=sys.stderr)
