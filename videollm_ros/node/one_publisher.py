# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tell the images of one publisher from those of others on the same topic, and know how often images come."""

from __future__ import annotations

PATIENCE = 1.0  # seconds without an image in which a camera of 3 Hz or more is not called silent
FIRST_PATIENCE = 10.0  # seconds, after the only image so far
INTERVALS = 3  # a camera is silent after so many of its own intervals
SMOOTHING = 0.3
FASTEST_GROWTH = 10.0  # one gap counts as at most so many intervals
MAX_LOST = 30  # messages that may be lost in a row without a doubt about who sends


class OnePublisher:
    """Follows one publisher by the numbers that the middleware gives its messages.

    rclpy does not tell who has sent a message, but every publisher counts its own. A number that is not above the last
    one is another publisher's, or that of one that has begun anew. Of two publishers this follows the one that has sent
    more, without ever going back and forth. A publisher that falls silent is left.

    All times are seconds on a monotonic clock.
    """

    def __init__(self, opened: float) -> None:
        """Begin to wait for a first image at the time `opened`."""
        self._number: int | None = None
        self._newest: float | None = None
        self._opened = opened
        self.interval: float | None = None  # between two images, smoothed

    def is_next(self, number: int | None, now: float) -> bool:
        """Return whether a message may be the followed publisher's. No number: the middleware does not count."""
        return number is None or self._number is None or number > self._number or self.silence(now) > 0

    def is_certain(self, number: int | None, now: float) -> bool:
        """Return whether a message surely comes from the publisher of the one before it, as far as numbers tell."""
        if number is None or self._number is None:
            return False
        return 0 < number - self._number <= MAX_LOST and not self.silence(now)

    def follow(self, number: int | None, now: float) -> None:
        """Take a message as the followed publisher's."""
        if self._newest is not None:
            gap = now - self._newest
            interval = self.interval if self.interval else gap
            self.interval = interval + SMOOTHING * (min(gap, FASTEST_GROWTH * interval) - interval)
        self._number, self._newest = number, now

    def silence(self, now: float) -> float:
        """Return for how many seconds no image has come, or 0 if that is usual for this camera."""
        if self._newest is None:
            return now - self._opened
        passed = now - self._newest
        usual = FIRST_PATIENCE if self.interval is None else max(PATIENCE, INTERVALS * self.interval)
        return passed if passed > usual else 0.0
