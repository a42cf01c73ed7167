# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encoded frames that wait to be read, and which of them are worth reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from videollm_ros.live.gate import FrameGate
from videollm_ros.live.queries import QueryQueue
from videollm_ros.live.speculation import MAX_FRAMES_PER_PASS


class WaitingFrames:
    """The frames of one call, in order, from the first that was neither read nor skipped."""

    def __init__(
        self, embeds: Tensor, stamps: Sequence[float], frames: Sequence[Any] | None, gate: FrameGate | None
    ) -> None:
        """Take over frames.

        Args:
            embeds: Decoder embeddings [T, n, d_model].
            stamps: T seconds.
            frames: T objects that travel with the frames, or None.
            gate: Skips frames that hardly differ from the last one read.
        """
        self.embeds, self.stamps = embeds, stamps
        self._frames, self._gate = frames, gate
        self._position = 0

    def __len__(self) -> int:
        """Return how many frames were neither read nor skipped."""
        return len(self.stamps) - self._position

    def frame(self, index: int) -> Any:
        """Return the object that travels with a frame."""
        return None if self._frames is None else self._frames[index]

    def embeds_at(self, indices: Sequence[int]) -> Tensor:
        """Return the embeddings [K, n, d_model] of some frames."""
        first, stop = indices[0], indices[-1] + 1
        return self.embeds[first:stop] if stop - first == len(indices) else self.embeds[list(indices)]

    def select(self, queries: QueryQueue) -> list[int]:
        """Return the indices of the next frames worth reading, at most as many as one pass reads.

        A frame at which a query is due is always worth reading.
        """
        start = self._position
        stop = min(start + MAX_FRAMES_PER_PASS, len(self.stamps))
        if self._gate is None:
            return list(range(start, stop))
        required = queries.frames_due(self.stamps[start:stop])
        return [start + index for index in self._gate.select(self.embeds[start:stop], required)]

    def mark_read(self, index: int) -> int:
        """Go on behind a frame that was read. Returns how many frames before it were skipped."""
        if self._gate is not None:
            self._gate.mark_read(self.embeds[index])
        skipped, self._position = index - self._position, index + 1
        return skipped

    def skip(self) -> int:
        """Skip the frames of which `select` chose none. Returns how many they are."""
        skipped = min(MAX_FRAMES_PER_PASS, len(self))
        self._position += skipped
        return skipped
