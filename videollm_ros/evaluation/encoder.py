# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read, decode and encode a recording in batches, one batch ahead of the decoder.

Batches have a fixed size, so that two runs give the same values to the last bit.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from videollm_ros.assistant import StreamSettings
from videollm_ros.evaluation.recording import RecordedImage, Recording, SampledImage, sample
from videollm_ros.evaluation.transcript import Transcript
from videollm_ros.live import LiveModel
from videollm_ros.live.embed_ahead import embed
from videollm_ros.media.bags import NANOSECONDS, to_seconds
from videollm_ros.media.errors import ImageError

FRAMES_PER_BATCH = 32
THUMBNAIL_SIDE = 176  # pixels of the longer side
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 72]
_END = None
_END_OF_IMAGES = object()


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


class Encoder:
    """Read, decode and encode a recording in a thread of its own, one batch ahead of the decoder.

    Iterate over it once. What was seen on the way stands in `transcript`.

    Raises:
        BagError, VideoError: the recording cannot be read any further.
    """

    def __init__(
        self, model: LiveModel, recording: Recording, settings: StreamSettings, transcript: Transcript
    ) -> None:
        self._model, self._recording, self._settings, self.transcript = model, recording, settings, transcript
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
        waiting: list[tuple[int, np.ndarray]] = []
        begins = False
        for sampled in self._sampled():
            if waiting and (sampled.new_stream or len(waiting) == FRAMES_PER_BATCH):
                yield self._batch(waiting, begins)
                waiting, begins = [], False
            try:
                rgb = self._timed("image decoding", sampled.image.decode)
            except ImageError as error:
                self._refuse(error)
                begins |= sampled.new_stream
                continue
            begins |= sampled.new_stream
            waiting.append((sampled.image.stamp, rgb))
        if waiting:
            yield self._batch(waiting, begins)

    def _sampled(self) -> Iterator[SampledImage]:
        """Yield the images that become frames, and note the recording's clock on the way."""
        fps = self._settings.fps or self._model.config.frame_fps
        transcript, newest = self.transcript, None
        images = iter(sample(self._stamped(), fps, self._settings.max_gap))
        while (sampled := self._timed("reading", lambda: next(images, _END_OF_IMAGES))) is not _END_OF_IMAGES:
            if sampled is None:
                continue
            stamp = sampled.image.stamp
            if sampled.new_stream and newest is not None:
                kind = "jump back" if stamp < newest else "make a gap"
                transcript.notes.append(
                    f"The stamps {kind} from {(newest - transcript.begin) / NANOSECONDS:.3f} s to "
                    f"{(stamp - transcript.begin) / NANOSECONDS:.3f} s: a new stream begins there, as in the node."
                )
            newest = stamp
            yield sampled

    def _stamped(self) -> Iterator[RecordedImage]:
        transcript = self.transcript
        for image in self._recording.images():
            transcript.counts["images"] += 1
            if image.stamp < 0:
                self._refuse(ImageError(f"An image is stamped {to_seconds(image.stamp)} s, before the time 0."))
                continue
            if transcript.counts["images"] - transcript.counts["refused"] == 1:
                transcript.begin = transcript.end = image.stamp
                transcript.frame_id = image.frame_id
            transcript.end = max(transcript.end, image.stamp)
            yield image

    def _refuse(self, error: ImageError) -> None:
        self.transcript.counts["refused"] += 1
        if self.transcript.counts["refused"] == 1:
            self.transcript.notes.append(f"Images were refused. The first: {error}")

    @torch.inference_mode()
    def _batch(self, waiting: Sequence[tuple[int, np.ndarray]], begins: bool) -> Batch:
        embeds = self._timed("encoding", lambda: embed(self._model, [rgb for _, rgb in waiting]))
        thumbnails = self._timed("thumbnails", lambda: [thumbnail(rgb) for _, rgb in waiting])
        return Batch([stamp for stamp, _ in waiting], embeds, thumbnails, begins)

    def _timed(self, stage: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        try:
            return work()
        finally:
            spent = time.perf_counter() - began
            self.transcript.timings[stage] = self.transcript.timings.get(stage, 0.0) + spent


def thumbnail(rgb: np.ndarray) -> bytes:
    """Make a small JPEG of a frame, uint8 [H, W, 3]."""
    height, width = rgb.shape[:2]
    scale = min(1.0, THUMBNAIL_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
    return cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), _JPEG)[1].tobytes()
