# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames on their way to the decoder, and the rule for which of them are dropped. No torch, no ROS."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

MAX_BATCH = 8
"""Frames that are encoded together when several wait. A vision tower is compute-bound long before."""


@dataclass(eq=False)
class Frame:
    """An image that is due, and what became of it. It travels as this object from the sampler to the listeners."""

    image: Any
    """What was offered. Released as soon as it is encoded."""
    stamp: float
    """Seconds of image time."""
    tag: Any
    """What was offered with the image, such as its header."""
    received: float
    """When it came, in seconds on the scheduler's clock."""
    stream: int
    """Number of the stream that it belongs to."""
    kept: bool
    """Whether it became due while a reply was decoded, and so is worth reading though it is old."""
    is_encoding: bool = False
    """Whether the encoder has it now."""
    dropped: bool = False
    """Whether it will not be read."""
    embeds: torch.Tensor | None = None
    """[n, d_model] on the model's device, once it is encoded."""
    ready: torch.cuda.Event | None = None
    """What the decoder's CUDA stream waits for before it reads `embeds`."""
    encode_seconds: float = 0.0
    """Duration of its batch. On CUDA: until the kernels were queued."""
    pixels: np.ndarray[Any, Any] | None = None
    """uint8 RGB [H, W, 3], if a listener wants it. Released after `on_frame`."""

    @property
    def is_encoded(self) -> bool:
        """Whether the decoder can read it."""
        return self.embeds is not None and not self.is_encoding


class FrameQueue:
    """Holds the frames that wait, in order: the newest alone, or a short queue during a reply.

    A frame that becomes due while the model reads another takes the place of the one that waits: the model is too
    slow for the rate, and only the newest view is worth having. A frame that is being encoded stays, and is dropped
    only once a newer one is encoded. Otherwise a slow encoder would starve the decoder.

    Frames that become due while a reply is decoded are kept, up to `backlog`, so that nothing that happened meanwhile
    is missed. Then the oldest goes. A frame of another stream takes the place of all that waits.
    """

    def __init__(self, backlog: int) -> None:
        """Keep at most `backlog` frames during a reply."""
        self.backlog = backlog
        self.dropped = 0
        self._waiting: deque[Frame] = deque()

    def __len__(self) -> int:
        """Count the frames that wait, those in the encoder included."""
        return len(self._waiting)

    def put(self, frame: Frame) -> None:
        """Add a frame that is due."""
        if self._waiting and self._waiting[-1].stream != frame.stream:
            self.clear()
        self._waiting.append(frame)
        self._drop_stale()

    def to_encode(self, most: int) -> list[Frame]:
        """Hand out the oldest frames that are not encoded, in order, at most so many."""
        batch = [frame for frame in self._waiting if not frame.is_encoded and not frame.is_encoding][:most]
        for frame in batch:
            frame.is_encoding = True
        return batch

    @property
    def has_to_encode(self) -> bool:
        """Whether a frame waits to be encoded."""
        return any(not frame.is_encoded and not frame.is_encoding for frame in self._waiting)

    def leave_encoder(self, batch: Sequence[Frame]) -> None:
        """Take back a batch. Frames without embeddings could not be encoded; they do not count as dropped."""
        for frame in batch:
            frame.is_encoding = False
            if not frame.is_encoded and frame in self._waiting:
                self._waiting.remove(frame)
        self._drop_stale()

    @property
    def has_room(self) -> bool:
        """Whether a frame can be kept without dropping another."""
        return len(self) < min(self.backlog, MAX_BATCH)

    @property
    def is_ready(self) -> bool:
        """Whether the oldest frame can be read."""
        return bool(self._waiting) and self._waiting[0].is_encoded

    def take(self, most: int) -> list[Frame]:
        """Hand out the oldest frames that can be read, in order, at most so many."""
        frames: list[Frame] = []
        while self.is_ready and len(frames) < most:
            frames.append(self._waiting.popleft())
        return frames

    def clear(self) -> None:
        """Drop everything."""
        for frame in tuple(self._waiting):
            self._drop(frame)

    def _drop_stale(self) -> None:
        """Drop the frames that a newer one replaces, and the oldest of the kept ones beyond the backlog."""
        for older, newer in itertools.pairwise(tuple(self._waiting)):
            stale = not older.is_encoding and (not older.is_encoded or newer.is_encoded)
            if stale and not (older.kept or newer.kept):
                self._drop(older)
        kept = [frame for frame in self._waiting if frame.kept and not frame.is_encoding]
        for frame in kept[: max(0, len(kept) - self.backlog)]:
            self._drop(frame)

    def _drop(self, frame: Frame) -> None:
        self._waiting.remove(frame)
        frame.dropped = True
        frame.image = frame.pixels = None
        self.dropped += 1
