# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encode beside decode: frames become embeddings in a thread and a CUDA stream of their own (paper, figure 5)."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from videollm_ros.live.model import LiveModel
from videollm_ros.live.vision import as_tensor

MAX_BATCH = 8
"""Frames encoded together when several wait; a tower is compute-bound long before."""


@dataclass(frozen=True)
class EncodedFrame:
    """A frame that the decoder can read."""

    item: Any
    """What was put in."""
    embeds: Tensor
    """[n, d_model], on the model's device."""
    encode_seconds: float
    """From the start of the batch to its end, shared by its frames. On CUDA: until the kernels were queued."""
    _ready: torch.cuda.Event | None = None


@dataclass(frozen=True)
class EncoderStats:
    """Counts since the encoder began."""

    received: int = 0
    encoded: int = 0
    failed: int = 0
    dropped: int = 0
    batches: int = 0


def stack_embeds(frames: Sequence[EncodedFrame]) -> Tensor:
    """Embeddings [T, n, d_model] for `StreamSession.stream_embeds`; the decoder's stream waits, not its thread."""
    for frame in frames:
        if frame._ready is not None:
            stream = torch.cuda.current_stream(frame.embeds.device)
            stream.wait_event(frame._ready)
            frame.embeds.record_stream(stream)
    return torch.stack([frame.embeds for frame in frames])


class FrameEncoder:
    """Encodes what is put in, in order, in batches of what waits.

    Args:
        model: the model; its encoder and connector are used from this thread, its decoder is left alone.
        pixels: turns an item into a uint8 RGB frame [H, W, 3] or [3, H, W] of any size, in the encoder's thread.
        deliver: takes each batch of encoded frames, called from the encoder's thread; must not block.
        failed: takes an item and the error that `pixels` or the tower raised for it; must not block.
        capacity: items that may wait; when one more comes the oldest is dropped and counted.
    """

    def __init__(
        self,
        model: LiveModel,
        pixels: Callable[[Any], np.ndarray | Tensor],
        deliver: Callable[[Sequence[EncodedFrame]], None],
        failed: Callable[[Any, Exception], None],
        capacity: int = 16,
    ) -> None:
        self._model, self._pixels, self._deliver, self._failed = model, pixels, deliver, failed
        self._on_cuda = model.device.type == "cuda"
        self._cuda_stream = torch.cuda.Stream(model.device) if self._on_cuda else None
        self._waiting: deque[Any] = deque()
        self._capacity = capacity
        self._changed = threading.Condition()
        self._closed = False
        self._stats = EncoderStats()
        self._thread = threading.Thread(target=self._run, name="encoder", daemon=True)
        self._thread.start()

    def put(self, item: Any) -> None:
        """Hand an item over; returns at once. From any thread."""
        with self._changed:
            self._count(received=1)
            self._waiting.append(item)
            if len(self._waiting) > self._capacity:
                self._waiting.popleft()
                self._count(dropped=1)
            self._changed.notify()

    def clear(self) -> None:
        """Drop what waits; it is counted as dropped."""
        with self._changed:
            self._count(dropped=len(self._waiting))
            self._waiting.clear()

    def close(self) -> None:
        """Finish the batch in progress, drop what waits, and end the thread."""
        with self._changed:
            self._closed = True
            self._count(dropped=len(self._waiting))
            self._waiting.clear()
            self._changed.notify()
        self._thread.join()

    @property
    def waiting(self) -> int:
        """Items not encoded yet."""
        return len(self._waiting)

    @property
    def stats(self) -> EncoderStats:
        return self._stats

    def _run(self) -> None:
        if self._on_cuda:
            self._warm_up()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                items = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
            self._encode(items)

    def _warm_up(self) -> None:
        """Load kernels and memory, so that the first frame takes as long as the others."""
        side = self._model.config.frame_resolution
        with torch.inference_mode(), torch.cuda.stream(self._cuda_stream):
            for batch in (1, MAX_BATCH):
                self._model.embed(self._model.encode(torch.zeros(batch, 3, side, side, dtype=torch.uint8)))

    def _encode(self, items: Sequence[Any]) -> None:
        began = time.perf_counter()
        with torch.inference_mode(), torch.cuda.stream(self._cuda_stream):
            readable, frames = [], []
            for item in items:
                try:
                    frames.append(self._upload(self._pixels(item)))
                    readable.append(item)
                except Exception as error:  # noqa: BLE001 - one bad frame must not end the stream
                    self._fail(item, error)
            if not frames:
                return
            try:
                embeds = self._model.embed(self._model.encode(torch.stack(frames)))
                ready = self._cuda_stream.record_event() if self._on_cuda else None
            except Exception as error:  # noqa: BLE001 - out of memory, say: the next batch may do
                for item in readable:
                    self._fail(item, error)
                return
        seconds = time.perf_counter() - began
        with self._changed:
            self._count(encoded=len(readable), batches=1)
        self._deliver([EncodedFrame(item, frame, seconds, ready) for item, frame in zip(readable, embeds, strict=True)])

    def _upload(self, pixels: np.ndarray | Tensor) -> Tensor:
        """To the model's device and there to its square; from pinned memory, so that the copy runs beside kernels."""
        frame = as_tensor(pixels)
        return self._model.prepare(frame.pin_memory() if self._on_cuda and not frame.is_cuda else frame)

    def _fail(self, item: Any, error: Exception) -> None:
        with self._changed:
            self._count(failed=1)
        self._failed(item, error)

    def _count(self, **increments: int) -> None:
        """Called with the lock held, but for the encoder's own counters."""
        self._stats = replace(
            self._stats, **{name: getattr(self._stats, name) + count for name, count in increments.items()}
        )
