# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where callbacks leave frames, queries and commands for the inference thread, without ever waiting for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .queries import Query
from .sampling import Sample, StampSampler


@dataclass(frozen=True)
class Frame:
    """An image that is due: the message as it came, its header's stamp in seconds, and when it came."""

    message: Any  # sensor_msgs/Image or CompressedImage, not yet converted
    stamp: float  # seconds of image time
    received: float  # seconds on the monotonic clock


class FrameQueue:
    """The frames that wait, in order: one slot in which the newest wins, or a short queue during a reply.

    A frame that becomes due while the model reads another takes the place of the one that waits: the model is too
    slow for the rate, and only the newest view is worth having. Frames that become due while a reply is being
    decoded are kept, so that nothing that happened meanwhile is missed, up to `backlog`; then the oldest goes.
    """

    def __init__(self, backlog: int):
        self.backlog = backlog
        self.dropped = 0
        self.starts_stream = False  # the next frame taken is the first of a new stream
        self._waiting: deque[tuple[Frame, bool]] = (
            deque()
        )  # (frame, it became due during a reply)

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, frame: Frame, *, replying: bool, new_stream: bool = False) -> None:
        if new_stream:
            self.clear()
            self.starts_stream = True
        elif not replying and self._waiting and not self._waiting[-1][1]:
            self._waiting.pop()
            self.dropped += 1
        self._waiting.append((frame, replying))
        if len(self._waiting) > self.backlog:
            self._waiting.popleft()
            self.dropped += 1

    def take(self) -> tuple[Frame, bool] | None:
        """The oldest frame and whether a new stream begins with it; None when nothing waits."""
        if not self._waiting:
            return None
        starts_stream, self.starts_stream = self.starts_stream, False
        return self._waiting.popleft()[0], starts_stream

    def clear(self) -> None:
        self.dropped += len(self._waiting)
        self._waiting.clear()


@dataclass(frozen=True)
class Work:
    """What the inference thread finds at its turn."""

    commands: list[Callable[[], None]]
    queries: list[Query]
    frame: Frame | None
    starts_stream: bool = False


class Inbox:
    """The one meeting point of the callbacks' threads and the inference thread."""

    def __init__(self, sampler: StampSampler, backlog: int):
        self._sampler = sampler
        self._frames = FrameQueue(backlog)
        self._queries: deque[Query] = deque()
        self._commands: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self.replying = False  # set by the inference thread while it decodes a reply
        self.newest_stamp: float | None = None  # of any image, due or not; seconds
        self.received = self.due = 0  # images so far

    @property
    def dropped(self) -> int:
        return self._frames.dropped

    @property
    def waiting(self) -> int:
        return len(self._frames)

    def offer(self, message: Any, stamp: float, received: float) -> Sample:
        """Take an image if it is due; `stamp` in seconds of image time, `received` on the monotonic clock."""
        with self._changed:
            sample = self._sampler.offer(stamp)
            self.received += 1
            if (
                sample is not Sample.NOT_DUE
                or self.newest_stamp is None
                or stamp > self.newest_stamp
            ):
                self.newest_stamp = stamp
            if sample is not Sample.NOT_DUE:
                self.due += 1
                frame = Frame(message, stamp, received)
                self._frames.put(
                    frame,
                    replying=self.replying,
                    new_stream=sample is Sample.NEW_STREAM,
                )
                self._changed.notify()
        return sample

    def submit(self, query: Query) -> None:
        with self._changed:
            self._queries.append(query)
            self._changed.notify()

    def withdraw(self, query: Query) -> bool:
        """Take back a query that the inference thread has not seen yet; False when it has."""
        with self._changed:
            if query in self._queries:
                self._queries.remove(query)
                return True
        return False

    def post(self, command: Callable[[], None]) -> None:
        """Have the inference thread call `command` as soon as it is between two steps of the model."""
        with self._changed:
            self._commands.append(command)
            self._changed.notify()

    def commands(self) -> list[Callable[[], None]]:
        """The commands posted since the last call; does not wait."""
        if not self._commands:
            return []
        with self._changed:
            commands = list(self._commands)
            self._commands.clear()
        return commands

    def wait(self) -> Work:
        """Block until there is something to do and hand it over: everything but frames at once, frames singly."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._commands or self._queries or len(self._frames)
            )
            commands, queries = list(self._commands), list(self._queries)
            self._commands.clear()
            self._queries.clear()
            if (
                commands
            ):  # obeyed before anything is read; the queries wait for the next turn
                self._queries.extendleft(reversed(queries))
                return Work(commands, [], None)
            frame, starts_stream = self._frames.take() or (None, False)
            return Work([], queries, frame, starts_stream)

    def forget_frames(self) -> None:
        """Drop what waits; the next image begins a new stream."""
        with self._changed:
            self._frames.clear()
            self._sampler.reset()
