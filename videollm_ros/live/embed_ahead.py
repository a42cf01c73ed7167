# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encodes waiting frames in chunks, one chunk ahead of the decoder (the paper encodes and decodes in parallel)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from videollm_ros.live.handover import Handover, hand_over
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
    with ThreadPoolExecutor(1, "encoder") as encoder:
        ahead: Future[Handover[Tensor]] | None = None
        for index in range(len(chunks)):
            embeds = (ahead or encoder.submit(_embed_aside, model, hand_over(chunks[index]), aside)).result()
            ahead = None
            if index + 1 < len(chunks):
                ahead = encoder.submit(_embed_aside, model, hand_over(chunks[index + 1]), aside)
            yield embeds.take()


def _embed_aside(model: LiveModel, frames: Handover[Frames], stream: torch.cuda.Stream | None) -> Handover[Tensor]:
    """Embed on a CUDA stream of its own. Frames that lie on the GPU may still be in the making when it is called."""
    with torch.cuda.stream(stream):
        return hand_over(embed(model, frames.take()))


def embed(model: LiveModel, frames: Frames) -> Tensor:
    """Return the decoder embeddings [T, n, d_model] of T frames of any size."""
    return model.embed_frames(frames, max(1, len(frames)))
