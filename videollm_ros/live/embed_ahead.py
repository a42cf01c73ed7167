# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encodes waiting frames in chunks, one chunk ahead of the decoder (the paper encodes and decodes in parallel)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from videollm_ros.live.model import LiveModel

Frames = Tensor | np.ndarray | Sequence[Tensor | np.ndarray]
"""T frames: one array [T, 3, H, W] or [T, H, W, 3], or a sequence of frames of different sizes. uint8 RGB."""


def embed_ahead(model: LiveModel, frames: Frames, chunk_size: int) -> Iterator[Tensor]:
    """Yield the decoder embeddings [C, n, d_model] of each chunk of `chunk_size` frames, in order.

    Raises:
        ValueError: A frame of another type or shape.
    """
    chunks = [frames[start : start + chunk_size] for start in range(0, len(frames), chunk_size)]
    aside = torch.cuda.Stream(model.device) if model.device.type == "cuda" else None  # type: ignore[no-untyped-call]
    if aside is not None:
        aside.wait_stream(torch.cuda.current_stream(model.device))  # frames on the GPU may still be in the making
    with ThreadPoolExecutor(1, "encoder") as encoder:
        ahead: Future[tuple[Tensor, torch.cuda.Event | None]] | None = None
        for index in range(len(chunks)):
            embeds, ready = (ahead or encoder.submit(_embed_aside, model, chunks[index], aside)).result()
            ahead = None
            if index + 1 < len(chunks):
                ahead = encoder.submit(_embed_aside, model, chunks[index + 1], aside)
            if ready is not None:
                stream = torch.cuda.current_stream(embeds.device)
                stream.wait_event(ready)
                embeds.record_stream(stream)
            yield embeds


def _embed_aside(
    model: LiveModel, frames: Frames, stream: torch.cuda.Stream | None
) -> tuple[Tensor, torch.cuda.Event | None]:
    """Embed on a CUDA stream of its own. Returns the embeddings, and the event to wait for before they are read."""
    with torch.cuda.stream(stream):
        if stream is not None and isinstance(frames, Tensor) and frames.is_cuda:
            frames.record_stream(stream)
        return embed(model, frames), None if stream is None else stream.record_event()


@torch.inference_mode()
def embed(model: LiveModel, frames: Frames) -> Tensor:
    """Return the decoder embeddings [T, n, d_model] of T frames of any size."""
    if isinstance(frames, Tensor | np.ndarray):
        prepared = model.prepare(frames)
    else:
        prepared = torch.stack([model.prepare(frame) for frame in frames])
    return model.embed(model.encode(prepared))
