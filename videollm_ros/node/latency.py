# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the time goes between an image and what is said about it, summed up between two diagnostics."""

from __future__ import annotations

import threading
import time
from collections import defaultdict


class LatencyMeter:
    """Durations by stage, in seconds; written by one thread, read and emptied by another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._durations: dict[str, list[float]] = defaultdict(list)

    def add(self, stage: str, seconds: float) -> None:
        with self._lock:
            self._durations[stage].append(seconds)

    def take(self) -> dict[str, tuple[float, float]]:
        """(mean, maximum) in seconds of every stage since the last call."""
        with self._lock:
            durations, self._durations = self._durations, defaultdict(list)
        return {stage: (sum(all_) / len(all_), max(all_)) for stage, all_ in durations.items()}


class Lap:
    """Seconds since it was last read."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def __call__(self) -> float:
        since, self._since = self._since, time.monotonic()
        return self._since - since
