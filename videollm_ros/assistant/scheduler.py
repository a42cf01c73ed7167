# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where frames, queries and commands meet. Any thread may offer; the encoder and the worker pull. No torch, no ROS."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from videollm_ros.assistant.frames import MAX_BATCH, Frame, FrameQueue
from videollm_ros.assistant.queries import PendingQuery
from videollm_ros.media.sampling import StampSampler

MAX_FRAMES_PER_TURN = 32
"""Frames that waited and are handed to the worker together. The rest have the next turn."""
CONFIRM_SECONDS = 1.0
"""A jump of the stamps counts without a second image after this long."""
STALL_SECONDS, STALL_IMAGES = 2.0, 5
"""The stamps stand still if so many images over so long bring no newer one."""


class StreamClosedError(RuntimeError):
    """Says that the stream takes no images any more."""


@dataclass(frozen=True)
class WorkItem:
    """What the worker gets at its turn: commands alone, or queries and frames."""

    commands: list[Callable[[], None]] = field(default_factory=list)
    queries: list[PendingQuery] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)


class FrameScheduler:
    """Samples images, keeps the frames that wait, and hands out work. Every method may be called from any thread.

    The encoder pulls `next_batch` and reports it by `encoded`. The worker pulls `wait`.
    """

    def __init__(
        self,
        sampler: StampSampler,
        backlog: int,
        is_replying: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin empty.

        Args:
            sampler: Decides which images become frames.
            backlog: Number of frames that are kept while a reply is decoded.
            is_replying: Says whether a reply is being decoded.
            clock: Seconds on a clock that never goes back.
        """
        self._sampler, self._is_replying, self._clock = sampler, is_replying, clock
        self._frames = FrameQueue(backlog)
        self._queries: deque[PendingQuery] = deque()
        self._commands: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._stream = 0  # number of the newest stream; 0 before the first image
        self._held_at = 0.0  # when the sampler began to hold an image
        self._advanced_at, self._since_advance = clock(), 0
        self._worker_waits = self._closed = False
        self.due = 0
        """Frames so far."""
        self.last_image_at: float | None = None
        """When the newest image came, on `clock`."""

    @property
    def dropped(self) -> int:
        """Number of frames that were dropped unread."""
        return self._frames.dropped

    @property
    def waiting(self) -> int:
        """Number of frames that wait."""
        return len(self._frames)

    @property
    def newest(self) -> float:
        """Stamp of the newest image, due or not, in seconds. 0 before any."""
        return self._sampler.newest or 0.0

    @property
    def is_stalled(self) -> bool:
        """Whether images come and their stamps stand still."""
        since = self._clock() - self._advanced_at
        return self._since_advance >= STALL_IMAGES and since >= STALL_SECONDS

    # Images in.

    def offer(self, image: Any, stamp: float, tag: Any = None, *, wait: bool = False) -> None:
        """Take an image if it is due.

        Args:
            image: What the encoder is to read.
            stamp: Seconds of image time.
            tag: Travels with the frame.
            wait: Wait until there is room, and drop nothing: for footage that is read faster than it was filmed.

        Raises:
            StreamClosedError: `wait` is set and the stream was closed.
        """
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._closed or self._frames.has_room)
                if self._closed:
                    raise StreamClosedError("The stream is closed and reads no more images.")
            newest, now = self._sampler.newest, self._clock()
            self.last_image_at = now
            self._schedule(self._sampler.take(stamp, (image, tag, now, wait)))
            if self._sampler.newest != newest:
                self._advanced_at, self._since_advance = now, 0
            else:
                self._since_advance += 1
            if self._sampler.is_holding:
                self._held_at = now
            self._changed.notify_all()

    def _schedule(self, sampled: Sequence[Any]) -> None:
        for each in sampled:
            image, tag, received, wait = each.image
            self._stream += each.begins_stream
            self.due += 1
            kept = wait or self._is_replying()
            self._frames.put(Frame(image, each.stamp, tag, received, self._stream, kept))

    # The encoder's side.

    def next_batch(self, most: int = MAX_BATCH) -> list[Frame]:
        """Block until frames are to be encoded, and return the oldest of them, in order.

        Returns:
            An empty list once the scheduler is closed.
        """
        with self._changed:
            while not self._closed:
                if batch := self._frames.to_encode(most):
                    return batch
                timeout = self._confirm_jump()
                if not self._frames.has_to_encode:
                    self._changed.wait(timeout)
            return []

    def _confirm_jump(self) -> float | None:
        """Believe a jump that no second image has contradicted in time. Returns the seconds left until then."""
        if not self._sampler.is_holding:
            return None
        left = self._held_at + CONFIRM_SECONDS - self._clock()
        if left <= 0:
            self._schedule(self._sampler.confirm())
            self._changed.notify_all()
            return None
        return left

    def encoded(self, frames: Sequence[Frame]) -> None:
        """Take back a batch: those with embeddings can be read, the others could not be encoded."""
        with self._changed:
            self._frames.leave_encoder(frames)
            self._changed.notify_all()

    # Queries and commands in.

    def submit(self, query: PendingQuery) -> None:
        """Queue a query. It is stamped with the stream time, which is the newest image's stamp."""
        with self._changed:
            query.stamp, query.stream = self.newest, self._stream
            self._queries.append(query)
            self._changed.notify_all()

    def withdraw(self, query: PendingQuery) -> bool:
        """Take back a query that the worker has not seen yet. Returns False if it has."""
        with self._changed:
            if query in self._queries:
                self._queries.remove(query)
                return True
        return False

    def withdraw_all(self) -> list[PendingQuery]:
        """Take back every query that the worker has not seen yet."""
        with self._changed:
            queries = list(self._queries)
            self._queries.clear()
        return queries

    def post_command(self, command: Callable[[], None]) -> None:
        """Have the worker call `command` as soon as it is between two steps of the model."""
        with self._changed:
            self._commands.append(command)
            self._changed.notify_all()

    def drop_frames(self) -> None:
        """Drop the frames that wait. The stream goes on with the next image."""
        with self._changed:
            self._frames.clear()
            self._changed.notify_all()

    def end_stream(self) -> None:
        """Drop the frames that wait. The next image begins a new stream."""
        with self._changed:
            self._frames.clear()
            self._sampler.reset()
            self._changed.notify_all()

    def close(self) -> None:
        """Let the encoder's `next_batch` return, and refuse to wait for room."""
        with self._changed:
            self._closed = True
            self._frames.clear()
            self._changed.notify_all()

    # The worker's side.

    def commands(self) -> list[Callable[[], None]]:
        """Return the commands posted since the last call, without waiting."""
        if not self._commands:
            return []
        with self._changed:
            commands = list(self._commands)
            self._commands.clear()
        return commands

    def wait(self, unanswered: bool = False) -> WorkItem:
        """Block until there is something to do, and hand it over. Commands come first and alone.

        Args:
            unanswered: Whether queries that were handed over earlier wait for a frame after them. When there is none,
                the work is empty: it is time to answer them.
        """
        with self._changed:
            while not self._has_work(unanswered):
                self._worker_waits = True
                self._changed.notify_all()
                self._changed.wait()
            self._worker_waits = False
            if self._commands:
                return WorkItem(commands=self.commands())
            queries = list(self._queries)
            self._queries.clear()
            frames = self._frames.take(MAX_FRAMES_PER_TURN)
            self._changed.notify_all()
            return WorkItem(queries=queries, frames=frames)

    def _has_work(self, unanswered: bool) -> bool:
        # A query waits for frames that are being encoded: the answer is about what is seen now.
        asked = bool(self._queries) or unanswered
        return bool(self._commands) or self._frames.is_ready or (asked and not self.waiting)

    def wait_until_idle(self, timeout: float | None = None) -> bool:
        """Wait until everything that was offered, asked and commanded has been dealt with.

        Returns:
            False if that took longer than `timeout` seconds, or the scheduler was closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._is_idle(), timeout)
            return not self._closed and self._is_idle()

    def _is_idle(self) -> bool:
        left = self.waiting or self._queries or self._commands or self._sampler.is_holding
        return self._worker_waits and not left
