# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the time goes between an image and what is said about it."""

from __future__ import annotations

import threading
import time


class LatencyMeter:
    """Sums up durations by stage, in seconds. One thread adds, another reads."""

    def __init__(self) -> None:
        """Begin without durations."""
        self._lock = threading.Lock()
        self._stages: dict[str, tuple[int, float, float]] = {}  # stage -> count, sum and maximum

    def add(self, stage: str, seconds: float) -> None:
        """Add one duration."""
        with self._lock:
            count, total, worst = self._stages.get(stage, (0, 0.0, 0.0))
            self._stages[stage] = count + 1, total + seconds, max(worst, seconds)

    def take(self) -> dict[str, tuple[float, float]]:
        """Return (mean, maximum) of every stage since the last call, in seconds."""
        with self._lock:
            stages, self._stages = self._stages, {}
        return {stage: (total / count, worst) for stage, (count, total, worst) in stages.items()}


class Stopwatch:
    """Measures seconds since it was last read."""

    def __init__(self) -> None:
        """Start."""
        self._since = time.monotonic()

    def read(self) -> float:
        """Return the seconds since the last call, and start anew."""
        since, self._since = self._since, time.monotonic()
        return self._since - since
