# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Score alerts as OmniMMI's proactive alerting does: when something was to be announced, was it announced then?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Alerting:
    """Hold the scores of the alerts about one event. All are 0 where nothing was said."""

    accuracy: float
    """1 when the first alert lies inside the span."""
    share_inside: float
    """Share of the alerts that lie inside the span."""
    iou: float
    """Overlap of the time from the first to the last alert with the span, over their union."""


def alerting(alerts: Sequence[float], span: tuple[float, float]) -> Alerting:
    """Score the alerts about one event.

    Args:
        alerts: their times in seconds.
        span: first and last second at which the event is to be announced.
    """
    if not alerts:
        return Alerting(0.0, 0.0, 0.0)
    begin, end = span
    first, last = min(alerts), max(alerts)
    inside = [begin <= time <= end for time in alerts]
    overlap = max(0.0, min(last, end) - max(first, begin))
    union = (last - first) + (end - begin) - overlap
    return Alerting(float(begin <= first <= end), sum(inside) / len(alerts), overlap / union if union > 0 else 0.0)
