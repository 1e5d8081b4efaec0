"""Damaged HTTP requests to the explorer of a good run."""

import asyncio
import json
from pathlib import Path
from random import Random
from typing import Any

from campaigns import mutations
from campaigns.mutations import changed_bytes, changed_json, word

NAMES = (
    b"host",
    b"origin",
    b"x-sparring-token",
    b"content-type",
    b"content-length",
    b"range",
    b"cookie",
    b"accept",
    b"transfer-encoding",
)
TOKEN, PORT = "a-token", 7801
GOOD: list[Any] = [
    {"points": [{"seed": 1, "index": 2, "condition": 0, "psi": 0.5, "offsets": [0.5, 1]}]},
    {"points": [{"from": {"seed": 1, "index": 0}, "to": {"seed": 2, "index": 0, "condition": None}, "t": 0.5}]},
    {"seed": 1, "index": 2, "condition": [0.5], "psi": 1},
    {"latent": 0},
]


def application(run: Path) -> Any:
    """The explorer's application for a run."""
    from sparring.explorer.model import Model
    from sparring.explorer.server import create_app

    return create_app(Model(run, device="cpu"), token=TOKEN, port=PORT, stopping=lambda: True)


def send(app: Any, rng: Random) -> int:
    """Sends one request; 0 if it was answered, 2 if it was refused. An answer of 500, or an error, is a fault."""
    headers = {
        b"host": f"127.0.0.1:{PORT}".encode(),
        b"x-sparring-token": TOKEN.encode(),
        b"content-type": b"application/json",
    }
    path = rng.choice(
        ("/api/render", "/api/render", "/api/download", "/api/download", "/api/model", "/api/events", "/")
    )
    method = "POST" if path in ("/api/render", "/api/download") else "GET"
    body = json.dumps(changed_json(rng.choice(GOOD), rng)).encode()
    query, strange = b"", {}
    match rng.randrange(9):
        case 0:
            body = changed_bytes(body, rng)
        case 1:
            body = mutations.nested_json(rng).encode()
        case 2:
            strange[rng.choice(NAMES)] = mutations.word_bytes(rng)
        case 3:
            query = mutations.word_bytes(rng)
        case 4:
            path = "/" + rng.choice(("", "api/", "../")) + word(rng)
        case 5:
            method = rng.choice(("GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "POST", "TRACE"))
        case 6:
            body = body[: rng.randrange(len(body))]
    headers |= {b"content-length": str(len(body)).encode()} | strange
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "root_path": "",
        "path": path.encode("utf-8", "replace").decode(),
        "raw_path": path.encode("utf-8", "replace"),
        "query_string": query,
        "headers": list(headers.items()),
        "client": ("127.0.0.1", 9),
        "server": ("127.0.0.1", PORT),
    }
    status, content = asyncio.run(_answer(app, scope, body))
    if status >= 500:
        raise AssertionError(f"{method} {path!r} {body[:2000]!r} is answered {status}: {content[:300]!r}")
    return 0 if status < 400 else 2


async def _answer(app: Any, scope: dict[str, Any], body: bytes) -> tuple[int, bytes]:
    """What the application answers, as a server would call it: no client stands between that refuses odd requests."""
    sent, answers = [{"type": "http.request", "body": body, "more_body": False}], list[dict[str, Any]]()

    async def receive() -> dict[str, Any]:
        if sent:
            return sent.pop()
        await asyncio.sleep(1)
        return {"type": "http.disconnect"}

    async def answer(message: dict[str, Any]) -> None:
        answers.append(message)

    await app(scope, receive, answer)
    status = next(message["status"] for message in answers if message["type"] == "http.response.start")
    return status, b"".join(message.get("body", b"") for message in answers)
