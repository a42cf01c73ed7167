# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Skips frames that hardly differ from the last one read, so that a quiet scene costs no more than the encoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class FrameGate:
    """Compares frames with the last frame that the decoder has read.

    Raises:
        ValueError: `similarity` is not a cosine above 0 and at most 1.
    """

    def __init__(self, similarity: float) -> None:
        """Create a gate that no frame has passed yet.

        Args:
            similarity: Mean cosine of a frame's tokens from which on a frame is skipped.
        """
        if not 0 < similarity <= 1:
            raise ValueError(f"the frame gate is a cosine above 0, at most 1: {similarity}")
        self.similarity = similarity
        self._last: Tensor | None = None  # [n * d], tokens of length one

    def reset(self) -> None:
        """Let the next frame pass."""
        self._last = None

    def select(self, embeds: Tensor, required: Sequence[bool]) -> list[int]:
        """Return the indices of the frames that pass, in order, if each of them is read.

        Args:
            embeds: Frames [T, n, d_model] that come next.
            required: T flags, true for frames that pass whatever they look like.
        """
        tokens = _directions(embeds)
        earlier = tokens if self._last is None else torch.cat((self._last[None], tokens))
        similarities = (tokens @ earlier.T / embeds.shape[1]).tolist()  # one copy to the host for all frames
        offset = len(earlier) - len(tokens)
        last = 0 if offset else None
        passed = []
        for index, row in enumerate(similarities):
            # Written so that a frame which is not finite passes, and the decoder notices it.
            if last is None or required[index] or not row[last] >= self.similarity:
                passed.append(index)
                last = index + offset
        return passed

    def mark_read(self, embeds: Tensor) -> None:
        """Compare the frames that follow with this one [n, d_model]."""
        self._last = _directions(embeds[None])[0]


def _directions(embeds: Tensor) -> Tensor:
    """Return the tokens of each frame at length one, [T, n * d_model]."""
    return torch.nn.functional.normalize(embeds.float(), dim=-1).flatten(1)
