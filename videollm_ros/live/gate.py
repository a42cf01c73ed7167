# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Skipping frames that hardly differ from the last one read: a quiet scene then costs the encoder alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


class FrameGate:
    """Compares each frame with the last one that passed.

    Args:
        similarity: mean cosine of a frame's tokens, from which on a frame is skipped.

    Raises:
        ValueError: `similarity` is no cosine from 0 to 1.
    """

    def __init__(self, similarity: float) -> None:
        if not 0 < similarity <= 1:
            raise ValueError(f"the frame gate is a cosine above 0, at most 1: {similarity}")
        self.similarity = similarity
        self._last: Tensor | None = None  # [n * d], its tokens of length one

    def reset(self) -> None:
        """The next frame passes."""
        self._last = None

    def select(self, embeds: Tensor, required: Sequence[bool]) -> list[int]:
        """Indices of the frames that pass, in order.

        Args:
            embeds: [T, n, d]. required: T, true for frames that pass whatever they look like.
        """
        tokens = F.normalize(embeds.float(), dim=-1).flatten(1)  # [T, n * d]
        earlier = tokens if self._last is None else torch.cat((self._last[None], tokens))
        similarities = (tokens @ earlier.T / embeds.shape[1]).tolist()  # one copy to the host for all frames
        offset = len(earlier) - len(tokens)
        last = 0 if offset else None
        passed = []
        for index, row in enumerate(similarities):
            if last is None or required[index] or row[last] < self.similarity:
                passed.append(index)
                last = index + offset
        if passed:
            self._last = tokens[passed[-1]].clone()
        return passed
