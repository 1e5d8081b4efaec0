"""Damaged HTTP requests to the explorer of a good run."""

import json
from pathlib import Path
from random import Random
from typing import Any

from campaigns import mutations
from campaigns.mutations import changed_bytes, changed_json, word

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
    from fastapi.testclient import TestClient

    page = TestClient(app, base_url=f"http://127.0.0.1:{PORT}")
    headers = {"X-Sparring-Token": TOKEN, "Content-Type": "application/json"}
    path = rng.choice(
        ("/api/render", "/api/render", "/api/download", "/api/download", "/api/model", "/api/events", "/")
    )
    method = "POST" if path in ("/api/render", "/api/download") else "GET"
    body = json.dumps(changed_json(rng.choice(GOOD), rng)).encode()
    match rng.randrange(8):
        case 0:
            body = changed_bytes(body, rng)
        case 1:
            body = mutations.nested_json(rng).encode()
        case 2:
            name = rng.choice(
                ("Host", "Origin", "X-Sparring-Token", "Content-Type", "Content-Length", "Range", "Cookie")
            )
            headers[name] = (
                word(rng)
                .replace("\n", "")
                .replace("\r", "")
                .replace("\0", "")
                .encode("latin-1", "replace")
                .decode("latin-1")
            )
        case 3:
            path += "?" + word(rng)
        case 4:
            path = "/" + word(rng)
        case 5:
            method = rng.choice(("GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "POST", "TRACE"))
    answer = page.request(method, path.encode("utf-8", "replace").decode(), headers=headers, content=body)
    if answer.status_code >= 500:
        raise AssertionError(f"{method} {path!r} {body[:2000]!r} is answered {answer.status_code}: {answer.text[:300]}")
    return 0 if answer.status_code < 400 else 2
