# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Speculative reading: several waiting frames in one forward, as if the model stayed silent after each of them.

Silence is deterministic: what is read after a silent frame is known before the frame is read. So frames that wait are
read together, and each decision is checked afterwards. At the first one that speaks, the rest is rolled back.
"""

from __future__ import annotations

from collections.abc import Sequence

from videollm_ros.live.cache import StreamCache
from videollm_ros.live.speak_rule import SilencePrediction

MAX_FRAMES_PER_PASS = 32
"""Frames that are read in one forward at most. More gain nothing and cost memory."""

_MIN_READ_AHEAD = 4
"""Reading this many frames is cheap even if the first one speaks and the others are rolled back."""


class SpeculativeFrames:
    """The frames of one forward. `accept` keeps them one by one, and `rollback` removes the rest."""

    def __init__(self, cache: StreamCache, predictions: Sequence[SilencePrediction], frame_tokens: int) -> None:
        """Take over the newest frames of a cache.

        Args:
            cache: Its newest segments are the frames.
            predictions: What the decoder predicts after each frame.
            frame_tokens: Tokens of a frame, without an interval.
        """
        self.predictions = predictions
        self.num_speculative = len(predictions)
        self._cache, self._frame_tokens = cache, frame_tokens

    def accept(self) -> None:
        """Keep the oldest frame that is still speculative."""
        self.num_speculative -= 1

    def rollback(self) -> None:
        """Cut the frames that are still speculative off the cache, and the interval before them."""
        if self.num_speculative:
            self._cache.truncate(self.num_speculative, last_length=self._frame_tokens)
        self.discard()

    def discard(self) -> None:
        """Give the frames up without touching the cache, which no longer holds them."""
        self.num_speculative = 0


class ReadAhead:
    """Chooses how many frames to read in one pass: about as many as lay between the last two replies."""

    def __init__(self) -> None:
        """Begin with few frames."""
        self.num_frames = _MIN_READ_AHEAD
        self._silent_run = 0  # frames since the last reply

    def record(self, silent: bool) -> None:
        """Learn from a decision. The number doubles whenever the model has been silent for that many frames."""
        self._silent_run += 1
        if not silent:
            self.num_frames, self._silent_run = self._silent_run, 0
        elif self._silent_run >= self.num_frames:
            self.num_frames *= 2
        self.num_frames = min(max(self.num_frames, _MIN_READ_AHEAD), MAX_FRAMES_PER_PASS)
