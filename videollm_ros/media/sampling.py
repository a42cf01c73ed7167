# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which images of a camera become frames of the stream, decided by their stamps alone."""

from __future__ import annotations

from enum import Enum


class Sample(Enum):
    """What an image is to the stream."""

    DUE = "due"  # a frame of the stream
    NOT_DUE = "not due"  # between two sampling instants, or late: older than the newest by no more than a period
    NEW_STREAM = "new stream"  # the first frame of a stream: the first of all, or after a jump back or a long gap


class StampSampler:
    """Takes `fps` images per second of image time, whatever the camera's rate and jitter.

    Every image earns the share of a sampling period that has passed since the one before it, and an image is due
    when the account reaches one period, give or take half the camera's own interval: so the image nearest to each
    sampling instant is taken, and a camera that runs just at `fps` keeps every image however its stamps
    jitter. The account is capped a whole interval above that, which lets the instants follow a camera whose clock
    drifts against them instead of beating with it.

    Args:
        fps: sampling rate in Hz, above 0.
        max_gap: seconds between two images above which a new stream begins.
    """

    def __init__(self, fps: float, max_gap: float):
        if not fps > 0:
            raise ValueError(f"The sampling rate must be above 0 Hz, and was given {fps}.")
        self.fps, self.max_gap = fps, max_gap
        self._newest: float | None = None  # stamp of the newest image, seconds
        self._interval: float | None = None  # the camera's interval, seconds, smoothed
        self._earned = 0.0  # sampling periods since the last frame taken

    def reset(self) -> None:
        """Forget the stream: the next image is the first of a new one."""
        self._newest = self._interval = None

    def offer(self, stamp: float) -> Sample:
        """Say what the image stamped `stamp` (seconds) is to the stream."""
        if self._newest is None:
            return self._begin(stamp)
        passed = stamp - self._newest
        if passed > self.max_gap or passed < -1 / self.fps:
            return self._begin(stamp)
        if passed <= 0:
            return Sample.NOT_DUE
        self._newest = stamp
        if self._interval is None:
            self._interval = passed
        self._interval += 0.1 * (min(passed, 2 * self._interval) - self._interval)  # a pause is no slower camera
        tolerance = min(self._interval * self.fps, 1.0) / 2  # in sampling periods
        self._earned = min(self._earned + passed * self.fps, 1.0 + tolerance)
        if self._earned < 1.0 - tolerance:
            return Sample.NOT_DUE
        self._earned -= 1.0
        return Sample.DUE

    def _begin(self, stamp: float) -> Sample:
        self._newest, self._interval, self._earned = stamp, None, 0.0
        return Sample.NEW_STREAM
