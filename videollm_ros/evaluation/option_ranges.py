# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Check the numbers of the command line before anything is loaded."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class _Range:
    """Say which values make sense: from `low` to `high`, and whether `low` itself does."""

    what: str
    low: float = 0.0
    high: float = math.inf
    open: bool = False

    def holds(self, value: float) -> bool:
        """Return whether a value is finite and in the range."""
        return math.isfinite(value) and self.low <= value <= self.high and not (self.open and value == self.low)

    def __str__(self) -> str:
        if not math.isfinite(self.high):
            return f"{self.what} of at least {self.low:g}"
        return f"{self.what} {'above' if self.open else 'from'} {self.low:g} {'up ' * self.open}to {self.high:g}"


_PROBABILITY = _Range("a probability", high=1.0)
_RATE = _Range("a rate in Hz", high=1000.0)
_SECONDS = _Range("a number of seconds", high=1e9)
_SOME_SECONDS = _Range("a number of seconds", high=1e9, open=True)
_RANGES = {
    "threshold": _PROBABILITY,
    "thresholds": _PROBABILITY,
    "fps": _RATE,
    "rate": _RATE,
    "false_alarms": _Range("a number of utterances per minute"),
    "max_gap": _SOME_SECONDS,
    "repeat_window": _SECONDS,
    "tolerance": _SECONDS,
    "reply_seconds": _SOME_SECONDS,
    "repeat_seconds": _SECONDS,
    "late_seconds": _SECONDS,
    "every_seconds": _SOME_SECONDS,
    "seconds_before": _SECONDS,
    "max_new_tokens": _Range("a number of tokens", low=1),
    "context_tokens": _Range("a number of tokens"),
    "window": _Range("a number of frames"),
}
"""Option -> what it takes. Where 0 is allowed for a rate or a size, it stands for the default."""


def check_numbers(given: argparse.Namespace) -> None:
    """Check every number among the options.

    Raises:
        ValueError: one is not finite or makes no sense. It names the option and what is expected.
    """
    for name, expected in _RANGES.items():
        values = getattr(given, name, None)
        for value in values if isinstance(values, list | tuple) else [values]:
            if value is not None and not expected.holds(value):
                option = "--" + name.replace("_", "-")
                raise ValueError(f"{option} {value:g} is of no use: {expected} is expected.")
