# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page and its WebSocket.

To the page: JSON arrays of events, ten times a second at most, and binary messages: eight bytes with the stamp in
nanoseconds, then a picture. From the page: JSON objects with `do` (see commands.py).
"""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
from ament_index_python.packages import get_package_share_directory
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from videollm_ros.media.errors import ImageError
from videollm_ros.node.console.access import Access
from videollm_ros.node.console.commands import Commands
from videollm_ros.node.console.hub import MAX_VIEWERS, Hub, Viewer
from videollm_ros.node.console.node import ConsoleNode

FLUSH_PERIOD = 0.1  # seconds between two batches of events
IMAGE_PERIOD = 0.2  # seconds between two images: 5 Hz
SEND_TIMEOUT = 10.0  # seconds after which a viewer that takes nothing is dropped
MAX_STAMP_DIGITS = 20


def page_folder() -> Path:
    """Return the folder of the page: in the source tree where it is, else where it was installed."""
    source = Path(__file__).resolve().parents[3] / "web" / "console"
    if source.is_dir():
        return source
    return Path(get_package_share_directory("videollm_ros")) / "web" / "console"


class Console:
    """The routes of the console."""

    def __init__(self, node: ConsoleNode) -> None:
        self.node = node
        self.hub = Hub(node)

    def app(self, token: str, host: str) -> Access:
        """Return the ASGI application, guarded by the token."""
        routes = [
            Route("/frame", self.frame),
            WebSocketRoute("/ws", self.look),
            Mount("/", StaticFiles(directory=page_folder(), html=True)),
        ]
        return Access(Starlette(routes=routes, lifespan=self._lifespan), token, host)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self.hub.open()
        yield

    async def frame(self, request: Request) -> Response:
        """Return a frame that made the assistant speak: `/frame?assistant=NAME&stamp=NANOSECONDS`."""
        frames = self.node.frames(request.query_params.get("assistant", ""))
        stamp = request.query_params.get("stamp", "")
        is_stamp = stamp.isascii() and stamp.isdigit() and len(stamp) <= MAX_STAMP_DIGITS
        picture = frames.pinned(int(stamp)) if frames is not None and is_stamp else None
        if picture is None:
            return PlainTextResponse("There is no such frame any more.\n", 404)
        caching = {"Cache-Control": "private, max-age=86400, immutable"}
        return Response(picture.data, media_type=picture.media_type, headers=caching)

    async def look(self, websocket: WebSocket) -> None:
        """Serve one viewer until it leaves."""
        await websocket.accept()
        viewer = self.hub.enter()
        if viewer is None:
            await websocket.close(1013, f"{MAX_VIEWERS} viewers are here already.")
            return
        commands = Commands(self.hub, viewer)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._send, websocket, viewer)
                await self._receive(websocket, commands)
                tasks.cancel_scope.cancel()
        finally:
            commands.close()
            self.hub.leave(viewer)

    async def _receive(self, websocket: WebSocket, commands: Commands) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while websocket.application_state is WebSocketState.CONNECTED:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                try:
                    command = json.loads(message.get("text") or "")
                except (ValueError, RecursionError):
                    command = None
                if not isinstance(command, dict):
                    await websocket.close(1007, "A command is a JSON object.")
                    return
                await commands.do(command)

    async def _send(self, websocket: WebSocket, viewer: Viewer) -> None:
        shown: tuple[str | None, int | None] = (None, None)
        next_image = 0.0
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # the page has gone, or was closed meanwhile
            try:
                while not viewer.is_too_slow:
                    if batch := viewer.take():
                        with anyio.fail_after(SEND_TIMEOUT):
                            await websocket.send_text(batch)
                    if (now := anyio.current_time()) >= next_image:
                        shown = await self._send_image(websocket, viewer, shown)
                        next_image = now + IMAGE_PERIOD - FLUSH_PERIOD / 2
                    await anyio.sleep(FLUSH_PERIOD)
            except TimeoutError:
                pass  # it takes nothing any more
            await websocket.close(1013, "The page is too slow. It will try again.")

    async def _send_image(
        self, websocket: WebSocket, viewer: Viewer, shown: tuple[str | None, int | None]
    ) -> tuple[str | None, int | None]:
        """Send the newest image unless it is the one that is shown. Returns what is shown now."""
        name = viewer.assistant
        frames = self.node.frames(name) if name is not None else None
        if name is None or frames is None or frames.newest_stamp is None or (name, frames.newest_stamp) == shown:
            return shown
        try:
            picture = await anyio.to_thread.run_sync(frames.newest)
        except ImageError as error:
            self.node.image_failed(name, str(error))
            return name, frames.newest_stamp
        if picture is None or viewer.assistant != name:
            return shown
        with anyio.fail_after(SEND_TIMEOUT):
            await websocket.send_bytes(struct.pack(">Q", picture.stamp) + picture.data)
        return name, picture.stamp
