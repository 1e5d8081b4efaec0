"""The explorer's HTTP API and its static files."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from sparring.data.dataset import printable
from sparring.explorer.events import Feed, events
from sparring.explorer.files import saved
from sparring.explorer.model import Model, PointError
from sparring.explorer.points import Point, RenderRequest
from sparring.explorer.security import Guard

TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
STREAMS = 64
"""The most event streams at once. The tabs of a browser share one."""
PAGE, REST = "page.html", ("style.css", "strings.js", "draw.js", "conditions.js", "app.js", "remote.js")


def create_app(model: Model, *, token: str, port: int, stopping: Callable[[], bool] = lambda: False) -> FastAPI:
    """The application; event streams end once `stopping` returns True."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    worker = ThreadPoolExecutor(1)  # `Model` is not thread-safe
    app.add_middleware(Guard, token=token, port=port)
    served, feed = _web_files(token), Feed(model.folder)

    async def work(task: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(worker, task, *arguments)

    @app.exception_handler(PointError)
    async def unknown_point(request: Request, error: PointError) -> Response:
        return _error(str(error), 422)

    @app.exception_handler(RuntimeError)
    @app.exception_handler(MemoryError)
    async def failed(request: Request, error: Exception) -> Response:
        reason, *_ = str(error).strip().splitlines() or [type(error).__name__]
        return _error(f"the model failed: {reason}", 500)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        return _error(f"{place}: {first['msg']}", 422)

    @app.get("/api/model")
    async def facts() -> dict[str, Any]:
        feed.poll()
        return _facts(model, feed.numbers)  # at once: the worker may be busy for seconds

    @app.post("/api/render")
    async def render(request: RenderRequest) -> Response:
        answer = await work(_rendered, model, request.points)
        worker.submit(model.warm)  # an error shows again at the first move of a slider
        return answer

    @app.post("/api/download")
    async def download(point: Point) -> Response:
        content, name = await work(saved, model, point)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(content, media_type="application/octet-stream", headers=headers)

    @app.get("/api/events")
    async def stream() -> Response:
        if feed.listeners >= STREAMS:
            return PlainTextResponse("too many pages are open: close some", 503)
        return StreamingResponse(events(feed, lambda: model.stamp, stopping), media_type="text/event-stream")

    @app.get("/{name:path}")
    async def static(name: str) -> Response:
        if name not in served:
            return PlainTextResponse("not found", 404)
        content, kind = served[name]
        return Response(content, media_type=kind)

    return app


def _facts(model: Model, numbers: list[dict[str, Any]]) -> dict[str, Any]:
    """The facts that the page needs before it requests samples."""
    return model.gan.modality.page.facts(model.gan.spec) | {
        "title": printable(model.title),
        "directions": model.sliders,
        "seed": model.seed,
        "starts": len(model.starts),
        "numbers": numbers,
    }


def _error(text: str, status: int) -> Response:
    return JSONResponse({"error": printable(text)}, status)


def _rendered(model: Model, points: Sequence[Any]) -> Response:
    """Texts as a JSON list, other samples as bytes."""
    content = model.gan.modality.page.encode(model.samples(points))
    return _bytes(content) if isinstance(content, bytes) else JSONResponse(content)


def _bytes(content: bytes) -> Response:
    return Response(content, media_type="application/octet-stream")


def _web_files(token: str) -> dict[str, tuple[bytes, str]]:
    """Content and media type of each file by name; the page's links to the others carry the token."""
    folder = files("sparring") / "web"
    found = {name: ((folder / name).read_bytes(), TYPES[name.rpartition(".")[2]]) for name in REST}
    page = (folder / PAGE).read_text(encoding="utf-8")
    for name in REST:
        page = page.replace(f'"{name}"', f'"{name}?token={token}"')
    return found | {"": (page.encode(), TYPES["html"])}
