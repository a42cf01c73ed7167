# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `console`: it watches those assistants that somebody looks at, and nothing when nobody does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import IntegerRange, ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from videollm_ros.node.client import AssistantClient
from videollm_ros.node.console.frames import FrameStore
from videollm_ros.node.console.graph import assistants
from videollm_ros.node.console.state import Event
from videollm_ros.node.console.watch import AssistantWatch

CHECK_PERIOD = 1.0  # seconds between two looks at the graph

HOST = "Address to listen on. Any other than 127.0.0.1 opens the console to a network."
PORT = "Port to listen on. 0 takes a free one."

Sink = Callable[[str, Event], None]


class ConsoleNode(Node):
    """Watches assistants for the pages. Its events go to `sink`, with the name of the assistant.

    `look_at` may be called from any thread. Everything else runs on the executor's thread.
    """

    def __init__(self) -> None:
        super().__init__("console")
        self.host: str = self._declare("host", "127.0.0.1", HOST)
        self.port: int = self._declare("port", 8770, PORT, IntegerRange(from_value=0, to_value=65535))
        self.sink: Sink = lambda name, event: None
        self.assistants_changed: Callable[[list[str]], None] = lambda names: None
        self._frames: dict[str, FrameStore] = {}
        self._watches: dict[str, AssistantWatch] = {}
        self._wanted: tuple[frozenset[str], bool] = (frozenset(), False)  # assistants, and whether there is a page
        self._present: list[str] | None = None
        self._diagnostics: Subscription | None = None
        self._timer: Timer | None = None

    def _declare(self, name: str, default: Any, description: str, *bounds: IntegerRange) -> Any:
        described = ParameterDescriptor(description=description, read_only=True, integer_range=bounds)
        return self.declare_parameter(name, default, described).value

    def look_at(self, names: Iterable[str], *, anybody: bool) -> None:
        """Watch these assistants and no others. `anybody`: whether there is a page at all."""
        self._wanted = (frozenset(names), anybody)
        if self.executor is not None:
            # Without arguments: of two tasks that wait, rclpy runs the later one first.
            self.executor.create_task(self._follow)

    def frames(self, name: str) -> FrameStore | None:
        """Return the images of an assistant that was watched, or None."""
        return self._frames.get(name)

    def client(self, name: str) -> AssistantClient | None:
        """Return the client of an assistant that is watched, or None."""
        watch = self._watches.get(name)
        return watch.client if watch is not None else None

    def image_failed(self, name: str, sentence: str) -> None:
        """Tell that an image of an assistant's camera cannot be shown."""
        if (watch := self._watches.get(name)) is not None:
            watch.image_failed(sentence)

    def close(self) -> None:
        """Stop watching."""
        self._wanted = (frozenset(), False)
        self._follow()

    def _follow(self) -> None:
        """Watch what is wanted now."""
        names, anybody = self._wanted
        for name in set(self._watches) - names:
            self._watches.pop(name).close()
            self._frames[name].clear()
        for name in names - set(self._watches):
            frames = self._frames.setdefault(name, FrameStore())
            self._watches[name] = AssistantWatch(self, name, frames, self._sink_of(name))
        if anybody and self._timer is None:
            self._diagnostics = self.create_subscription(DiagnosticArray, "/diagnostics", self._diagnosed, 20)
            steady = Clock(clock_type=ClockType.STEADY_TIME)  # runs without /clock
            self._timer = self.create_timer(CHECK_PERIOD, self._check, clock=steady)
        elif not anybody and self._timer is not None and self._diagnostics is not None:
            self.destroy_timer(self._timer)
            self.destroy_subscription(self._diagnostics)
            self._timer = self._diagnostics = self._present = None
        if anybody:
            self._check()

    def _sink_of(self, name: str) -> Callable[[Event], None]:
        return lambda event: self.sink(name, event)

    def _check(self) -> None:
        present = assistants(self)
        if present != self._present:
            self._present = present
            self.assistants_changed(present)
        for name, watch in list(self._watches.items()):
            watch.check(present=name in present)

    def _diagnosed(self, message: DiagnosticArray) -> None:
        for name, watch in self._watches.items():
            mine: list[DiagnosticStatus] = [each for each in message.status if each.name.startswith(f"{name}: ")]
            if mine:
                watch.diagnosed(mine)
