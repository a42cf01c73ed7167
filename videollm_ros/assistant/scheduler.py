# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where callbacks leave frames, queries and commands for the inference thread, never waiting for it."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from videollm_ros.assistant.encoder import MAX_BATCH, EncodedFrame
from videollm_ros.assistant.queries import Query
from videollm_ros.media.sampling import Sample, StampSampler

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
    encoding: bool = False  # the encoder has it
    encoded: EncodedFrame | None = None  # once the encoder is done with it


class FrameQueue:
    """The frames that wait, in order: the newest view alone, or a short queue during a reply.

    A frame that becomes due while the model reads another takes the place of the one that waits: the model is too
    slow for the rate, and only the newest view is worth having. A frame that the encoder has is left alone, and gives
    way only to a newer one that has been encoded; or where encoding is what is slow, no frame would ever be read.

    Frames that become due while a reply is being decoded are kept, so that nothing that happened meanwhile is missed,
    up to `backlog`; then the oldest goes. A frame of another stream takes the place of all that waits.
    """

    def __init__(self, backlog: int):
        self.backlog = backlog
        self.dropped = 0
        self._waiting: deque[Frame] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, frame: Frame) -> None:
        if self._waiting and self._waiting[-1].stream != frame.stream:
            self.clear()
        self._waiting.append(frame)
        self.thin_out()

    def thin_out(self) -> None:
        """Drop the frames that a newer one makes worthless, and of the kept ones the oldest beyond the backlog."""
        for older, newer in itertools.pairwise(tuple(self._waiting)):
            outdated = not older.encoding and (older.encoded is None or newer.encoded is not None)
            if outdated and not (older.kept or newer.kept):
                self._drop(older)
        kept = [frame for frame in self._waiting if frame.kept and not frame.encoding]
        for frame in kept[: max(0, len(kept) - self.backlog)]:
            self._drop(frame)

    def to_encode(self, most: int) -> list[Frame]:
        """The oldest frames that have not been encoded, in order, at most so many."""
        return [frame for frame in self._waiting if frame.encoded is None][:most]

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
        for frame in tuple(self._waiting):
            self._drop(frame)

    def _drop(self, frame: Frame) -> None:
        self._waiting.remove(frame)
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

    `encode` is called with frames that are due, once the encoder is done with those it was given before. It reports
    each of them by `encoded` or `discard`.
    """

    def __init__(self, sampler: StampSampler, backlog: int):
        self._sampler = sampler
        self._frames = FrameQueue(backlog)
        self._queries: deque[Query] = deque()
        self._commands: deque[Callable[[], None]] = deque()
        self._in_encoder = 0  # frames given to it and not reported yet
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
                self._feed_encoder()
        return sample

    def encoded(self, batch: Sequence[EncodedFrame]) -> None:
        """The encoder is done with these frames."""
        with self._changed:
            for each in batch:
                each.item.encoded = each
                self._leaves_encoder(each.item)
            self._changed.notify()

    def discard(self, frame: Frame) -> None:
        """The encoder could not read this frame, or it was dropped before its turn came."""
        with self._changed:
            self._frames.discard(frame)
            self._leaves_encoder(frame)
            self._changed.notify()

    def _leaves_encoder(self, frame: Frame) -> None:
        frame.encoding = False
        self._in_encoder -= 1
        self._frames.thin_out()
        self._feed_encoder()

    def _feed_encoder(self) -> None:
        if self._in_encoder:
            return
        frames = self._frames.to_encode(MAX_BATCH)
        self._in_encoder = len(frames)
        for frame in frames:
            frame.encoding = True
            self.encode(frame)

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

    def wait(self, unanswered: bool = False) -> Work:
        """Block until there is something to do, and hand it over. Commands come first and alone.

        `unanswered`: queries that were handed over earlier wait for a frame after them. When there is none, the work
        is empty: it is time to answer them.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._has_work(unanswered))
            if self._commands:
                return Work(commands=self.commands())
            queries = list(self._queries)
            self._queries.clear()
            return Work(queries=queries, frames=self._frames.take(MAX_FRAMES_PER_TURN))

    def _has_work(self, unanswered: bool) -> bool:
        # A query waits for frames that are being encoded: the answer is about what is seen now.
        asked = bool(self._queries) or unanswered
        return bool(self._commands) or self._frames.is_ready or (asked and not len(self._frames))

    def drop_frames(self) -> None:
        """Drop the frames that wait; the stream goes on with the next image."""
        with self._changed:
            self._frames.clear()

    def end_stream(self) -> None:
        """Drop the frames that wait; the next image begins a new stream."""
        with self._changed:
            self._frames.clear()
            self._sampler.reset()
