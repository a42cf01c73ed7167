# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who may see the console: whoever has the token, from the console's own page.

The token comes once in the address (`/?token=...`), becomes a cookie, and leaves the address bar. A program may send it
as `Authorization: Bearer TOKEN`. A web page of somebody else is refused by its Origin, and a name that was made to
point at this machine by its Host.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MACHINE = socket.gethostname().lower()
MIN_TOKEN = 16  # characters
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
NEEDS_TOKEN = "This console needs its token. Open the address that it printed when it started."


class Access:
    """Refuses whatever does not come with the token, or comes from another site.

    Args:
        app: What is guarded.
        token: What opens it.
        host: The address that the server listens on.
    """

    def __init__(self, app: ASGIApp, token: str, host: str) -> None:
        self._app, self._token, self._host = app, token, host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["type"] == "http":
            send = _with_headers(send)
        if not self._is_our_host(headers) or not _is_same_origin(headers):
            await _refuse(scope, receive, send, 403, "This console answers only to its own page and address.")
        elif scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            await _refuse(scope, receive, send, 405, "This console takes GET and HEAD.")
        elif self._matches(_cookie(headers, scope)) or self._matches(_bearer(headers)):
            await self._app(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == "/" and self._matches(_token_in_address(scope)):
            response = RedirectResponse("/", 303)
            response.set_cookie(_cookie_name(scope), self._token, httponly=True, samesite="strict")
            await response(scope, receive, send)
        else:
            await _refuse(scope, receive, send, 401, NEEDS_TOKEN)

    def _matches(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self._token.encode())

    def _is_our_host(self, headers: Headers) -> bool:
        """Tell whether the name in the request is an address, or a name that cannot point elsewhere."""
        name = _host_name(headers.get("host", ""))
        if name in ("localhost", self._host.lower(), MACHINE, f"{MACHINE}.local"):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_same_origin(headers: Headers) -> bool:
    """Browsers send Origin with every WebSocket. A program sends none, and needs the token all the same."""
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc == headers.get("host")
    except ValueError:
        return False


def _cookie_name(scope: Scope) -> str:
    """Return a name of its own for each port: cookies do not tell ports apart."""
    return f"videollm_console_{scope['server'][1] if scope.get('server') else 0}"


def _cookie(headers: Headers, scope: Scope) -> str:
    """Return the token in the cookie, or an empty string."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(_cookie_name(scope))
    except CookieError:
        return ""
    return str(morsel.value) if morsel is not None else ""


def _bearer(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _token_in_address(scope: Scope) -> str:
    try:
        query_string: bytes = scope["query_string"]
        return parse_qs(query_string.decode("latin-1"), max_num_fields=10).get("token", [""])[0]
    except ValueError:
        return ""


def _with_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return guarded


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, sentence: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4000 + status, "reason": sentence})
        return
    # Close: what is left of a large body is not read.
    await PlainTextResponse(f"{sentence}\n", status, {"Connection": "close"})(scope, receive, send)
