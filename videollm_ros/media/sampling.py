# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which images of a camera become frames of the stream, decided by their stamps alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Sample(Enum):
    """What an image is to the stream."""

    DUE = "due"
    """A frame of the stream."""
    NOT_DUE = "not due"
    """Between two sampling instants, late by no more than a period, or not believed yet."""
    NEW_STREAM = "new stream"
    """The first frame of a stream: the first of all, or after a jump back or a long gap."""


@dataclass(frozen=True)
class SampledImage:
    """An image that is a frame of the stream."""

    image: Any
    """What was offered."""
    stamp: float
    """Its stamp, in seconds."""
    begins_stream: bool
    """Whether it is the first frame of a stream."""


class StampSampler:
    """Takes `fps` images per second of image time, whatever the camera's rate and jitter.

    This is a token bucket. Every image earns the share of a sampling period that has passed since the one before it,
    and is due when the bucket holds one period, give or take half the camera's own interval. So the image nearest to
    each sampling instant is taken, and a camera that runs just at `fps` keeps every image however its stamps jitter.
    The bucket holds at most a whole interval more, so that the instants follow a camera whose clock drifts.

    A stamp that jumps back, or too far ahead, is believed only once the next image does not contradict it: the image is
    held meanwhile. One wrong stamp then costs one image, and not all that was seen.
    """

    def __init__(self, fps: float, max_gap: float) -> None:
        """Begin without an image.

        Args:
            fps: Sampling rate in Hz, above 0.
            max_gap: Seconds between two images above which a new stream begins.

        Raises:
            ValueError: The rate is not above 0.
        """
        if not fps > 0:
            raise ValueError(f"The sampling rate must be above 0 Hz, and was given {fps}.")
        self.fps, self.max_gap = fps, max_gap
        self.newest: float | None = None
        """Stamp of the newest image, in seconds."""
        self.interval: float | None = None
        """The camera's interval in seconds, smoothed. None before the second image."""
        self._earned = 0.0  # sampling periods since the last frame taken
        self._held: tuple[Any, float] | None = None  # the image after a jump, and its stamp

    @property
    def is_holding(self) -> bool:
        """Whether an image after a jump waits to be confirmed."""
        return self._held is not None

    def reset(self) -> None:
        """Forget the stream. The next image is the first of a new one."""
        self.newest = self.interval = self._held = None

    def take(self, stamp: float, image: Any = None) -> list[SampledImage]:
        """Return the frames that are due now that this image has come: mostly none or this one, in order.

        Args:
            stamp: The image's stamp, in seconds.
            image: Anything; it is returned once it is due.
        """
        if self.newest is None:
            return [self._begin(image, stamp)]
        if self._fits(stamp):
            self._held = None  # the jump before it was one wrong stamp
            return [SampledImage(image, stamp, False)] if self._is_due(stamp) else []
        began = self.confirm()
        if began and self._fits(stamp):
            return [*began, *([SampledImage(image, stamp, False)] if self._is_due(stamp) else [])]
        self._held = image, stamp
        return began

    def confirm(self) -> list[SampledImage]:
        """Believe the jump that is held, for instance because no other image comes. Its image begins a stream."""
        if self._held is None:
            return []
        (image, stamp), self._held = self._held, None
        return [self._begin(image, stamp)]

    def offer(self, stamp: float) -> Sample:
        """Say what the image stamped `stamp` (seconds) is to the stream, for callers that keep no image.

        After a jump the stream then begins with the image that confirms it.
        """
        taken = self.take(stamp)
        if any(each.begins_stream for each in taken):
            return Sample.NEW_STREAM
        return Sample.DUE if taken else Sample.NOT_DUE

    def _fits(self, stamp: float) -> bool:
        """Whether the stamp goes on from the newest one: neither a gap, nor back by more than a sampling period."""
        return self.newest is not None and -1 / self.fps <= stamp - self.newest <= self.max_gap

    def _is_due(self, stamp: float) -> bool:
        passed = stamp - (self.newest or 0.0)
        if passed <= 0:
            return False
        self.newest = stamp
        if self.interval is None:
            self.interval = passed
        self.interval += 0.1 * (min(passed, 2 * self.interval) - self.interval)  # a pause is no slower camera
        tolerance = min(self.interval * self.fps, 1.0) / 2  # in sampling periods
        self._earned = min(self._earned + passed * self.fps, 1.0 + tolerance)
        if self._earned < 1.0 - tolerance:
            return False
        self._earned -= 1.0
        return True

    def _begin(self, image: Any, stamp: float) -> SampledImage:
        self.newest, self.interval, self._earned = stamp, None, 0.0
        return SampledImage(image, stamp, True)
