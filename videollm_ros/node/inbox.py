# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where callbacks leave frames, queries and commands for the inference thread, never waiting for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from videollm_ros.live.pipeline import EncodedFrame

from .queries import Query
from .sampling import Sample, StampSampler

MAX_FRAMES_PER_TURN = 32  # that waited are handed over together; the rest have the next turn


@dataclass(eq=False)
class Frame:
    """An image that is due: the message as it came, not converted yet, its times, and what became of it."""

    message: Any  # sensor_msgs/Image or CompressedImage
    stamp: float  # seconds of image time
    received: float  # seconds on the monotonic clock
    stream: int  # number of the stream that it belongs to
    kept: bool  # it became due while a reply was being decoded
    dropped: bool = False
    encoded: EncodedFrame | None = None  # once the encoder is done with it


class FrameQueue:
    """The frames that wait, in order: one slot in which the newest wins, or a short queue during a reply.

    A frame that becomes due while the model reads another takes the place of the one that waits: the model is too
    slow for the rate, and only the newest view is worth having. Frames that become due while a reply is being decoded
    are kept, so that nothing that happened meanwhile is missed, up to `backlog`; then the oldest goes. A frame of
    another stream takes the place of all that waits.
    """

    def __init__(self, backlog: int):
        self.backlog = backlog
        self.dropped = 0
        self._waiting: deque[Frame] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, frame: Frame) -> None:
        if self._waiting:
            newest = self._waiting[-1]
            if newest.stream != frame.stream:
                self.clear()
            elif not (newest.kept or frame.kept):
                self._drop(self._waiting.pop())
        self._waiting.append(frame)
        if len(self._waiting) > self.backlog:
            self._drop(self._waiting.popleft())

    @property
    def is_ready(self) -> bool:
        """Whether the oldest frame has been encoded."""
        return bool(self._waiting) and self._waiting[0].encoded is not None

    def take(self, most: int) -> list[Frame]:
        """The oldest frames that have been encoded, in order, at most so many."""
        frames = []
        while self.is_ready and len(frames) < most:
            frames.append(self._waiting.popleft())
        return frames

    def discard(self, frame: Frame) -> None:
        """Take out a frame that cannot be read; it does not count as dropped."""
        if frame in self._waiting:
            self._waiting.remove(frame)

    def clear(self) -> None:
        while self._waiting:
            self._drop(self._waiting.popleft())

    def _drop(self, frame: Frame) -> None:
        frame.dropped = True
        self.dropped += 1


@dataclass(frozen=True)
class Work:
    """What the inference thread finds at its turn: commands alone, or queries and frames."""

    commands: list[Callable[[], None]] = field(default_factory=list)
    queries: list[Query] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)


class Inbox:
    """The one meeting point of the callbacks' threads, the encoder and the inference thread.

    `encode` is called with every frame that is due; what comes of it is reported by `encoded` or `discard`.
    """

    def __init__(self, sampler: StampSampler, backlog: int):
        self._sampler = sampler
        self._frames = FrameQueue(backlog)
        self._queries: deque[Query] = deque()
        self._commands: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._stream = 0  # number of the newest stream; 0 before the first image
        self.newest = 0.0  # stamp of the newest image, due or not
        self.encode: Callable[[Frame], None] = lambda frame: None
        self.replying = False  # set by the inference thread while it decodes a reply
        self.due = 0  # frames so far

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
            if sample is Sample.NEW_STREAM:
                self._stream += 1
                self.newest = stamp
            self.newest = max(self.newest, stamp)
            if sample is not Sample.NOT_DUE:
                self.due += 1
                frame = Frame(message, stamp, received, self._stream, kept=self.replying)
                self._frames.put(frame)
                self.encode(frame)
        return sample

    def encoded(self, batch: Sequence[EncodedFrame]) -> None:
        """The encoder is done with these frames."""
        with self._changed:
            for each in batch:
                each.item.encoded = each
            self._changed.notify()

    def discard(self, frame: Frame) -> None:
        """The encoder could not read this frame."""
        with self._changed:
            self._frames.discard(frame)
            self._changed.notify()

    def submit(self, query: Query) -> None:
        """Queue a query; it is stamped with the stream time, which is the newest image's stamp."""
        with self._changed:
            query.stamp, query.stream = self.newest, self._stream
            self._queries.append(query)
            self._changed.notify()

    def withdraw(self, query: Query) -> bool:
        """Take back a query that the inference thread has not seen yet; False when it has."""
        with self._changed:
            if query in self._queries:
                self._queries.remove(query)
                return True
        return False

    def withdraw_all(self) -> list[Query]:
        """Take back every query that the inference thread has not seen yet."""
        with self._changed:
            queries = list(self._queries)
            self._queries.clear()
        return queries

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
        """Block until there is something to do, and hand it over. Commands come first and alone."""
        with self._changed:
            self._changed.wait_for(self._has_work)
            if self._commands:
                return Work(commands=self.commands())
            queries = list(self._queries)
            self._queries.clear()
            return Work(queries=queries, frames=self._frames.take(MAX_FRAMES_PER_TURN))

    def _has_work(self) -> bool:
        # A query waits for frames that are being encoded: the answer is about what is seen now.
        return bool(self._commands) or self._frames.is_ready or bool(self._queries and not len(self._frames))

    def drop_frames(self) -> None:
        """Drop the frames that wait; the stream goes on with the next image."""
        with self._changed:
            self._frames.clear()

    def end_stream(self) -> None:
        """Drop the frames that wait; the next image begins a new stream."""
        with self._changed:
            self._frames.clear()
            self._sampler.reset()
