# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rule from seconds to frames: frame i is at i / fps, and a time belongs to the next frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

_DIGITS = 6  # of a frame: what floating point adds to 1.1 s x 10 Hz does not make it a later frame


@dataclass(frozen=True)
class FrameGrid:
    """The frames 0 to `last` of one recording at `fps` Hz. Times outside of the recording go to its ends."""

    fps: float
    last: int

    @classmethod
    def over(cls, seconds: float, fps: float) -> FrameGrid:
        """Return the grid of a recording that lasts `seconds` from its first frame to its last."""
        return cls(fps, math.floor(round(seconds * fps, _DIGITS)))

    @property
    def seconds(self) -> float:
        """Return the time of the last frame in seconds."""
        return self.last / self.fps

    def after(self, time: float) -> int:
        """Return the first frame at or after `time` seconds: it is the first one that shows what happened then."""
        return self._inside(math.ceil(self._frames(time)))

    def before(self, time: float) -> int:
        """Return the last frame at or before `time` seconds."""
        return self._inside(math.floor(self._frames(time)))

    def nearest(self, time: float) -> int:
        """Return the frame nearest to `time` seconds; halfway it is the even one."""
        return self._inside(round(self._frames(time)))

    def _frames(self, time: float) -> float:
        return round(time * self.fps, _DIGITS)

    def _inside(self, frame: int) -> int:
        return min(max(frame, 0), self.last)
