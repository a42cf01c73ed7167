# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the time goes between an image and what is said about it, summed up between two diagnostics."""

from __future__ import annotations

import threading
import time


class LatencyMeter:
    """Durations by stage, in seconds; written by one thread, read and emptied by another. Only their sums are kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stages: dict[str, tuple[int, float, float]] = {}  # stage -> count, sum and maximum

    def add(self, stage: str, seconds: float) -> None:
        with self._lock:
            count, total, worst = self._stages.get(stage, (0, 0.0, 0.0))
            self._stages[stage] = count + 1, total + seconds, max(worst, seconds)

    def take(self) -> dict[str, tuple[float, float]]:
        """(mean, maximum) in seconds of every stage since the last call."""
        with self._lock:
            stages, self._stages = self._stages, {}
        return {stage: (total / count, worst) for stage, (count, total, worst) in stages.items()}


class Lap:
    """Seconds since it was last read."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def __call__(self) -> float:
        since, self._since = self._since, time.monotonic()
        return self._since - since
