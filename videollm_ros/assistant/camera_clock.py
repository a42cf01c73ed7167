# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Find out how far a camera's clock is from ours, from the stamps and arrival times of its images."""

from __future__ import annotations

import math
from collections import deque

WINDOW = 60.0
"""Seconds of arrivals that the estimate looks back on. It follows a clock that drifts."""

TOLERANCE = 1.0
"""Seconds of offset that still count as one clock. Transport and exposure take less."""

SETTLING_IMAGES = 10
"""Images to wait for before the offset is reported. The first ones often wait in a queue."""


class CameraClock:
    """Estimates the offset of a camera's clock as the least delay between stamp and arrival.

    An image cannot arrive before it was taken, and the fastest image of a window took almost no time. So the minimum
    of `arrival - stamp` is the offset of the two clocks plus a few milliseconds, whatever the network's jitter is.

    The class cannot tell a clock that is behind from images that all arrive late. It calls both an offset.
    """

    def __init__(self, window: float = WINDOW, tolerance: float = TOLERANCE) -> None:
        """Start without an estimate.

        Args:
            window: seconds of arrivals to look back on.
            tolerance: seconds of offset that still count as one clock.
        """
        self._window, self._tolerance = window, tolerance
        self._delays: deque[tuple[float, float]] = deque()  # (arrival, delay), delays rising: the first is the minimum
        self._num_images = 0
        self._newest = -math.inf, -math.inf  # arrival and stamp of the newest image
        self._is_reported = False

    def reset(self) -> None:
        """Forget the estimate, but not what was reported: the next stream may come from the same clock."""
        self._delays.clear()
        self._num_images = 0

    def observe(self, stamp: float, arrival: float) -> None:
        """Take in one image: its stamp in seconds of the camera's clock, its arrival in seconds of ours."""
        delay = arrival - stamp
        if arrival < self._newest[0] or stamp < self._newest[1] - self._tolerance:
            self.reset()  # one of the clocks was set back, another device began to send, or a bag began again
        self._newest = arrival, stamp
        while self._delays and self._delays[-1][1] >= delay:
            self._delays.pop()
        self._delays.append((arrival, delay))
        while self._delays[0][0] < arrival - self._window:
            self._delays.popleft()
        self._num_images += 1

    @property
    def offset(self) -> float:
        """Seconds to add to a stamp to have it on our clock. Zero while the two clocks count as one."""
        least = self._delays[0][1] if self._delays else 0.0
        return least if abs(least) > self._tolerance else 0.0

    def report(self) -> str:
        """Return a sentence once, when the images so far show an offset. Otherwise return an empty string.

        A bag that is played at another speed drifts all the time: it is reported once as well.
        """
        if self._is_reported or self._num_images < SETTLING_IMAGES or not self.offset:
            return ""
        self._is_reported = True
        return self.describe()

    def describe(self) -> str:
        """Describe the offset in one sentence. Empty while the two clocks count as one."""
        offset = self.offset
        if not offset:
            return ""
        side = "ahead of" if offset < 0 else "behind"
        return (
            f"The camera's clock is {_duration(abs(offset))} {side} this machine's, or this is a recording. "
            "Latency is measured without that."
        )


def _duration(seconds: float) -> str:
    """Write seconds as a person would: 3.2 s, 4.0 h, 12 days, 56.9 years."""
    for unit, length in (("years", 365.25 * 86400), ("days", 86400.0), ("h", 3600.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s" if math.isfinite(seconds) else "an unknown time"
