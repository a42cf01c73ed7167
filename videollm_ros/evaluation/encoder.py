# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read, decode and encode a recording in batches, one batch ahead of the decoder.

Batches have a fixed size, so that two runs give the same values to the last bit.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from videollm_ros.assistant import StreamSettings
from videollm_ros.evaluation.annotations import AnnotatedQuery
from videollm_ros.evaluation.recording import RecordedImage, Recording
from videollm_ros.evaluation.transcript import Transcript
from videollm_ros.evaluation.watched_time import WatchedTime
from videollm_ros.live import LiveModel
from videollm_ros.live.embed_ahead import embed
from videollm_ros.media.errors import ImageError
from videollm_ros.media.sampling import SampledImage

FRAMES_PER_BATCH = 32
THUMBNAIL_SIDE = 176  # pixels of the longer side
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 72]
_END = None
_END_OF_IMAGES: Any = object()


@dataclass(frozen=True)
class Asked:
    """Hold a query of the recording with its place among the images."""

    query: AnnotatedQuery
    stamp: int
    """Of the newest image that was recorded before it, or of the first image, in nanoseconds."""


@dataclass
class Batch:
    """Hold frames of one stream, encoded, with what must be known of them later."""

    stamps: list[int]
    """Nanoseconds."""
    embeds: Tensor
    """[T, n, d_model]."""
    thumbnails: list[bytes]
    """One per frame, or none at all."""
    new_stream: bool
    recorded: list[int] = field(default_factory=list)
    """When the frames were recorded, in nanoseconds. Empty where that is not known."""
    queries: list[Asked] = field(default_factory=list)
    """Queries of the recording that are due at these frames, or between them."""
    late_queries: list[Asked] = field(default_factory=list)
    """Queries that were recorded behind the last frame of the stream before."""


@dataclass
class _Waiting:
    """Collect what becomes a batch."""

    images: list[RecordedImage] = field(default_factory=list)
    pixels: list[np.ndarray] = field(default_factory=list)
    begins: bool = False
    asked: list[Asked] = field(default_factory=list)  # behind the newest frame
    queries: list[Asked] = field(default_factory=list)
    late: list[Asked] = field(default_factory=list)

    def take_queries(self) -> None:
        """Let the newest frame have the queries that were asked up to it."""
        while self.images and self.asked and self.asked[0].stamp <= self.images[-1].stamp:
            self.queries.append(self.asked.pop(0))


class Encoder:
    """Read, decode and encode a recording in a thread of its own, one batch ahead of the decoder.

    Iterate over it once. What was seen on the way stands in `transcript`.

    Raises:
        BagError, VideoError: the recording cannot be read any further.
    """

    def __init__(
        self, model: LiveModel, recording: Recording, settings: StreamSettings, transcript: Transcript
    ) -> None:
        self._model, self._recording, self.transcript = model, recording, transcript
        self._watched = WatchedTime(transcript, settings.fps or model.config.frame_fps, settings.max_gap)
        self._batches: queue.Queue[Batch | BaseException | None] = queue.Queue(1)
        self._stop = threading.Event()

    def __iter__(self) -> Iterator[Batch]:
        thread = threading.Thread(target=self._run, name="encoder", daemon=True)
        thread.start()
        try:
            while (batch := self._batches.get()) is not _END:
                if isinstance(batch, BaseException):
                    raise batch
                yield batch
        finally:
            self._stop.set()
            while thread.is_alive():  # it may wait to hand over a batch that nobody takes
                try:
                    self._batches.get(timeout=0.05)
                except queue.Empty:
                    continue

    def _run(self) -> None:
        try:
            for batch in self._encode():
                self._batches.put(batch)
                if self._stop.is_set():
                    return
            self._batches.put(_END)
        except Exception as error:  # noqa: BLE001 (whatever it is, the thread that iterates raises it)
            self._batches.put(error)

    def _encode(self) -> Iterator[Batch]:
        batch = _Waiting()
        for each in self._sampled():
            if isinstance(each, Asked):
                batch.asked.append(each)
                batch.take_queries()
                continue
            if batch.images and (each.begins_stream or len(batch.images) == FRAMES_PER_BATCH):
                yield self._batch(batch)
                batch = _Waiting(asked=batch.asked)
            if each.begins_stream:
                batch.begins, batch.late, batch.asked = True, [*batch.late, *batch.asked], []
            try:
                rgb = self._timed("image decoding", each.image.decode)
            except ImageError as error:
                self._watched.refuse(str(error))
                continue
            batch.images.append(each.image)
            batch.pixels.append(rgb)
            batch.take_queries()
        if batch.images:
            yield self._batch(batch)
        if left := len(batch.asked) + (0 if batch.images else len(batch.late)):
            self.transcript.notes.append(not_asked(left))
        self._watched.finish(self._model.config)

    def _sampled(self) -> Iterator[SampledImage | Asked]:
        """Yield the images that become frames, and each query of the recording where it was recorded."""
        watched = self._watched
        queries = deque(recorded_queries(self._recording.queries()))
        images = iter(watched.images(self._recording.images()))
        while (image := self._timed("reading", lambda: next(images, _END_OF_IMAGES))) is not _END_OF_IMAGES:
            before, held = watched.newest, watched.held
            taken = watched.take(image)
            self._note_jump(before, taken)
            earlier = [each for each in taken if each.image is held]  # a jump that this image confirms
            yield from earlier
            if before is not None:
                newest = held if earlier and held is not None else before
                yield from self._asked(queries, newest, image.recorded)
            yield from (each for each in taken if each.image is not held)
            if before is None:
                yield from self._asked(queries, image, image.recorded)
        before, taken = watched.newest, watched.confirm()
        self._note_jump(before, taken)
        yield from taken
        if watched.newest is not None:
            yield from self._asked(queries, watched.newest, None)

    def _asked(self, queries: deque[AnnotatedQuery], newest: RecordedImage, before: int | None) -> Iterator[Asked]:
        """Yield the queries that were recorded before a time in nanoseconds, or all that are left."""
        while queries and (before is None or (queries[0].recorded or 0) < before):
            query = replace(queries.popleft(), time=self._watched.time_of(newest.stamp))
            self.transcript.queries.append(query)
            yield Asked(query, newest.stamp)

    def _note_jump(self, newest: RecordedImage | None, taken: Sequence[SampledImage]) -> None:
        begun = [each.image.stamp for each in taken if each.begins_stream]
        if newest is None or not begun:
            return
        kind = "jump back" if begun[0] < newest.stamp else "make a gap"
        begin, end = self._watched.time_of(newest.stamp), self._watched.time_of(begun[0])
        self.transcript.notes.append(
            f"The stamps {kind} from {begin:.3f} s to {end:.3f} s: a new stream begins there, as in the node."
        )

    @torch.inference_mode()
    def _batch(self, waiting: _Waiting) -> Batch:
        embeds = self._timed("encoding", lambda: embed(self._model, waiting.pixels))
        thumbnails = self._timed("thumbnails", lambda: [thumbnail(rgb) for rgb in waiting.pixels])
        stamps, recorded = [each.stamp for each in waiting.images], [each.recorded for each in waiting.images]
        return Batch(stamps, embeds, thumbnails, waiting.begins, recorded, waiting.queries, waiting.late)

    def _timed(self, stage: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        try:
            return work()
        finally:
            spent = time.perf_counter() - began
            self.transcript.timings[stage] = self.transcript.timings.get(stage, 0.0) + spent


def recorded_queries(queries: Sequence[AnnotatedQuery]) -> list[AnnotatedQuery]:
    """Return the queries that come from the recording itself, in the order in which they were recorded."""
    return sorted((each for each in queries if each.recorded is not None), key=lambda each: each.recorded or 0)


def not_asked(count: int) -> str:
    """Say that queries were not asked."""
    lie, were = ("query lies", "was") if count == 1 else ("queries lie", "were")
    return f"{count} {lie} behind the last frame and {were} not asked."


def thumbnail(rgb: np.ndarray) -> bytes:
    """Make a small JPEG of a frame, uint8 [H, W, 3]."""
    height, width = rgb.shape[:2]
    scale = min(1.0, THUMBNAIL_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
    return cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), _JPEG)[1].tobytes()
