# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encode beside decode: frames become embeddings in a thread and a CUDA stream of their own (paper, figure 5)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from videollm_ros.assistant.frames import MAX_BATCH, Frame
from videollm_ros.assistant.scheduler import FrameScheduler
from videollm_ros.live.handover import upload
from videollm_ros.live.model import LiveModel
from videollm_ros.live.vision import as_tensor


def stack_embeds(frames: Sequence[Frame]) -> Tensor:
    """Stack the embeddings of T encoded frames to [T, n, d_model]. The decoder's CUDA stream waits, not its thread."""
    embeds = [frame.embeds for frame in frames if frame.embeds is not None]
    for frame, each in zip(frames, embeds, strict=True):
        if frame.ready is not None:
            stream = torch.cuda.current_stream(each.device)
            stream.wait_event(frame.ready)
            each.record_stream(stream)
    return torch.stack(embeds)


class FrameEncoder:
    """Pulls frames from the scheduler and encodes them, in order, in batches of those that wait.

    A frame that cannot be converted or prepared is refused. A batch that the tower fails on is a failure. Both cost
    these frames alone. Anything else ends the thread and is reported by `on_death`.
    """

    def __init__(
        self,
        model: LiveModel,
        scheduler: FrameScheduler,
        load_image: Callable[[Any], np.ndarray[Any, Any] | Tensor],
        on_refused: Callable[[Exception], None],
        on_failure: Callable[[Exception], None],
        on_death: Callable[[Exception], None],
        wants_pixels: Callable[[], bool] = lambda: False,
    ) -> None:
        """Warm up and start the thread. The decoder of the model is left alone.

        Args:
            model: Its vision tower and connector are used from the new thread.
            scheduler: Where frames come from and go to.
            load_image: Turns an image as it was offered into uint8 RGB [H, W, 3] or [3, H, W] of any size.
            on_refused: Takes the error that an image raised.
            on_failure: Takes the error that the tower raised for a batch.
            on_death: Takes the error that ended the thread.
            wants_pixels: Says whether frames keep their RGB array until they are read.

        Raises:
            RuntimeError: The tower cannot encode, for instance because the GPU is out of memory.
        """
        self._model, self._scheduler, self._load_image = model, scheduler, load_image
        self._on_refused, self._on_failure, self._on_death = on_refused, on_failure, on_death
        self._wants_pixels = wants_pixels
        self._on_cuda = model.device.type == "cuda"
        self._cuda_stream = torch.cuda.Stream(model.device) if self._on_cuda else None  # type: ignore[no-untyped-call]
        self._warm_up()  # here and not in the thread: whoever makes the encoder learns that it does not work
        self._thread = threading.Thread(target=self._run, name="encoder", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def join(self) -> None:
        """Wait for the thread, which ends once the scheduler is closed."""
        self._thread.join()

    def _run(self) -> None:
        try:
            while batch := self._scheduler.next_batch():
                try:
                    self._encode([frame for frame in batch if not frame.dropped])
                finally:
                    self._scheduler.encoded(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody must learn that nothing is seen any more
            self._on_death(error)

    def _warm_up(self) -> None:
        """Load kernels and memory, so that the first frame takes as long as the others."""
        side = self._model.config.frame_resolution
        with torch.inference_mode(), torch.cuda.stream(self._cuda_stream):
            for batch in (1, MAX_BATCH) if self._on_cuda else (1,):
                self._model.embed(self._model.encode(torch.zeros(batch, 3, side, side, dtype=torch.uint8)))

    def _encode(self, batch: Sequence[Frame]) -> None:
        began = time.perf_counter()
        with torch.inference_mode(), torch.cuda.stream(self._cuda_stream):
            prepared = [(frame, tensor) for frame in batch if (tensor := self._prepare(frame)) is not None]
            if not prepared:
                return
            try:
                embeds = self._model.embed(self._model.encode(torch.stack([tensor for _, tensor in prepared])))
                ready = self._cuda_stream.record_event() if self._cuda_stream is not None else None
            except Exception as error:  # noqa: BLE001 - out of memory, say: the next batch may do
                self._on_failure(error)
                return
        seconds = time.perf_counter() - began
        for (frame, _), each in zip(prepared, embeds, strict=True):
            frame.embeds, frame.ready, frame.encode_seconds = each, ready, seconds

    def _prepare(self, frame: Frame) -> Tensor | None:
        """Convert the image and scale it to the model's square, on the model's device. None if it is refused."""
        try:
            image, frame.image = frame.image, None  # the bytes are released as soon as they are converted
            pixels = self._load_image(image)
            prepared = self._model.prepare(upload(as_tensor(pixels), self._model.device))
        except torch.OutOfMemoryError as error:
            self._on_failure(error)
            return None
        except Exception as error:  # noqa: BLE001 - one bad image must not end the stream
            self._on_refused(error)
            return None
        if self._wants_pixels():
            frame.pixels = np.asarray(pixels)
        return prepared
