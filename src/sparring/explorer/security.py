"""Access control: only the page that the explorer served, which knows the secret token, may send requests."""

import hmac
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BYTES = 2**19
"""Size of a request's body: enough for 256 points with all fields."""

TOKEN_HEADER = "x-sparring-token"

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Refuses requests without the token, with another host name (DNS rebinding) or origin, and large bodies."""

    def __init__(self, app: ASGIApp, *, token: str, port: int) -> None:
        self.app, self.token = app, token.encode()
        names = ["127.0.0.1", "localhost"]
        self.hosts = [f"{name}:{port}" for name in names] + (names if port == 80 else [])  # browsers omit :80

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        if scope["type"] != "http":
            return  # the server accepts no websockets and has no lifespan
        refused = self._refusal(scope)
        if refused is not None:
            refused.headers["Connection"] = "close"  # and what else the client sends is not read
            await refused(scope, receive, send_with_headers)
            return
        await self.app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        if not all(host in self.hosts for host in headers.getlist("host") or [""]):
            return PlainTextResponse("this is not the explorer's address", 403)
        if any(origin not in [f"http://{host}" for host in self.hosts] for origin in headers.getlist("origin")):
            return PlainTextResponse("requests from other pages are refused", 403)
        if not self._knows_token(scope, headers):
            return PlainTextResponse("the token is wrong: open the address that `sparring explore` printed", 403)
        length = headers.get("content-length", "" if scope["method"] == "POST" else "0")
        if "transfer-encoding" in headers or not length.isdecimal():  # a body in chunks may have any size
            return PlainTextResponse("the header Content-Length is missing", 411)
        if len(length) > 9 or int(length) > MAX_BYTES:
            return PlainTextResponse(f"too large: at most {MAX_BYTES} bytes", 413)
        return None

    def _knows_token(self, scope: Scope, headers: Headers) -> bool:
        in_query = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        given = [*in_query, *headers.getlist(TOKEN_HEADER)]
        return len(given) == 1 and hmac.compare_digest(given[0].encode(), self.token)
