# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The viewers: what each one looks at, and what it has still to be sent.

Only the server's event loop touches this. The node's thread hands events over with `call_soon_threadsafe`.
"""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

from videollm_ros.node.console.node import ConsoleNode
from videollm_ros.node.console.state import AssistantState, Event

MAX_VIEWERS = 16
MAX_PENDING = 2000  # events that a slow viewer may be behind
LINGER = 5.0  # seconds without a viewer after which nothing is watched: a page that is loaded again finds it going on


def encode(event: Event) -> str:
    """Return an event as JSON that browsers accept: a number that is not finite becomes null."""
    return json.dumps(_finite(event), separators=(",", ":"), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Viewer:
    """One open page."""

    def __init__(self) -> None:
        self.assistant: str | None = None
        self.pending: list[str] = []
        self.is_too_slow = False

    def tell(self, encoded: str) -> None:
        """Have an event sent with the next batch."""
        if len(self.pending) >= MAX_PENDING:
            self.is_too_slow = True
        else:
            self.pending.append(encoded)

    def take(self) -> str:
        """Return what is pending as one JSON array, or an empty string."""
        pending, self.pending = self.pending, []
        return f"[{','.join(pending)}]" if pending else ""


class Hub:
    """Brings the node's events to the viewers, and tells the node what they look at."""

    def __init__(self, node: ConsoleNode) -> None:
        self.node = node
        self.viewers: set[Viewer] = set()
        self.present: list[str] = []  # assistants in the graph
        self._states: dict[str, AssistantState] = {}  # of every assistant that was looked at
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Begin to take the node's events, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self.node.sink = lambda name, event: self._soon(self._event, name, event)
        self.node.assistants_changed = lambda names: self._soon(self._assistants_changed, names)

    def _soon(self, call: Any, *arguments: Any) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *arguments)

    # Viewers.

    def enter(self) -> Viewer | None:
        """Return a new viewer, or None when there are too many."""
        if len(self.viewers) >= MAX_VIEWERS:
            return None
        viewer = Viewer()
        self.viewers.add(viewer)
        viewer.tell(self._roll())
        if not self.present or not self.choose(viewer, self.present[0]):
            self._look()
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer. What only this one looked at is watched a little longer."""
        self.viewers.discard(viewer)
        if self._leaving is None and self._loop is not None:
            self._leaving = self._loop.call_later(LINGER, self._look)

    def choose(self, viewer: Viewer, name: str) -> bool:
        """Show an assistant to a viewer. Returns whether there is such an assistant."""
        if name not in self.present and name not in self._states:
            return False
        viewer.assistant = name
        state = self._states.setdefault(name, AssistantState())
        viewer.tell(encode({**state.snapshot(), "assistant": name}))
        self._look()
        return True

    def _look(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        names = {viewer.assistant for viewer in self.viewers if viewer.assistant is not None}
        self.node.look_at(names, anybody=bool(self.viewers))

    # Events of the node.

    def _event(self, name: str, event: Event) -> None:
        state = self._states.setdefault(name, AssistantState())
        if not state.apply(event):
            return
        watching = [viewer for viewer in self.viewers if viewer.assistant == name]
        if watching:
            encoded = encode(event)
            for viewer in watching:
                viewer.tell(encoded)

    def _assistants_changed(self, names: list[str]) -> None:
        self.present = names
        roll = self._roll()
        for viewer in self.viewers:
            viewer.tell(roll)
            if viewer.assistant is None and names:
                self.choose(viewer, names[0])

    def _roll(self) -> str:
        known = sorted({*self.present, *self._states})
        return encode(
            {"type": "assistants", "names": [{"name": name, "present": name in self.present} for name in known]}
        )
