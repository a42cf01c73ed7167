# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The web server, with bounds on what strangers may take: connections, message sizes and time."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 64
REQUEST_TIMEOUT = 5.0  # seconds within which a connection must have sent a whole request
MAX_MESSAGE = 16 * 2**10  # bytes of a message from a page: a question has 2000 characters at most
MAX_HEADERS = 16 * 2**10  # bytes
START_TIMEOUT = 20.0  # seconds


class BoundedProtocol(H11Protocol):
    """HTTP that drops connections beyond a number, and those that never finish a request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or drop it at once."""
        if len(self.connections) >= MAX_CONNECTIONS:
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        self.loop.call_later(REQUEST_TIMEOUT, self._drop_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection, unless it was dropped at once."""
        if self in self.connections:
            super().connection_lost(exc)

    def _drop_if_idle(self) -> None:
        if self.cycle is None and self.transport.get_protocol() is self:
            self.transport.abort()


class Server:
    """Serves an ASGI application in a thread of its own.

    Raises:
        OSError: The address cannot be listened on.
    """

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=MAX_CONNECTIONS)
        self.port: int = self._socket.getsockname()[1]
        options: dict[str, Any] = {
            "http": BoundedProtocol,
            "ws": "websockets-sansio",
            "ws_max_size": MAX_MESSAGE,
            "ws_per_message_deflate": False,  # pictures are compressed already
            "h11_max_incomplete_event_size": MAX_HEADERS,
            "timeout_graceful_shutdown": 1,
            "server_header": False,
            "access_log": False,  # it would carry the token
            "log_level": "error",
            "loop": "asyncio",
        }
        self._server = uvicorn.Server(uvicorn.Config(app, **options))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="web", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """End all connections and the thread."""
        self._server.should_exit = True
        self._thread.join(5.0)
        self._socket.close()
