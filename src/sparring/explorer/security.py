"""Who may talk to the explorer: only the page that it served itself, by its secret token."""

import hmac
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 2**19
"""Of a request's body: some 256 points with all that they can have."""

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
    """Refuses what has not the token, comes by another name (DNS rebinding) or from another page, or is too large."""

    def __init__(self, app: ASGIApp, *, token: str, port: int) -> None:
        self.app, self.token = app, token.encode()
        names = ["127.0.0.1", "localhost"]
        self.hosts = [f"{name}:{port}" for name in names] + (names if port == 80 else [])  # browsers leave :80 out

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        if scope["type"] != "http":
            return  # there are no others here
        refused = self._refusal(scope)
        if refused is not None:
            await refused(scope, receive, send_with_headers)
            return
        await self.app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        if not all(host in self.hosts for host in headers.getlist("host") or [""]):
            return PlainTextResponse("this is not the explorer's address", 403)
        if any(origin not in [f"http://{host}" for host in self.hosts] for origin in headers.getlist("origin")):
            return PlainTextResponse("another page may not ask", 403)
        if not self._knows_token(scope, headers):
            return PlainTextResponse("the token is wrong: open the address that `sparring explore` printed", 403)
        if scope["method"] == "POST":
            length = headers.get("content-length", "")
            if not length.isdecimal():
                return PlainTextResponse("say the Content-Length", 411)
            if int(length) > MOST_BYTES:
                return PlainTextResponse(f"too large: {MOST_BYTES} bytes at most", 413)
        return None

    def _knows_token(self, scope: Scope, headers: Headers) -> bool:
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        given = [*asked, *headers.getlist(TOKEN_HEADER)]
        return len(given) == 1 and hmac.compare_digest(given[0].encode(), self.token)
