# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Find when a recording is quiet, and what is said then."""

from __future__ import annotations

from collections.abc import Sequence

from videollm_ros.evaluation.annotations import AnnotatedEvent
from videollm_ros.evaluation.scores.assignment import SLACK


def quiet_spans(events: Sequence[AnnotatedEvent], seconds: float, tolerance: float) -> list[tuple[float, float]]:
    """Return the (begin, end) in seconds of what lies further than `tolerance` from every event of a recording.

    An event with an end takes up the time from its beginning to its end.
    """
    spans, free_from = [], 0.0
    for event in sorted(events, key=lambda event: event.time):
        begin = min(event.time - tolerance, seconds)
        if begin > free_from:
            spans.append((free_from, begin))
        free_from = max(free_from, event.stop + tolerance)
    if seconds > free_from:
        spans.append((free_from, seconds))
    return spans


def said_in(spans: Sequence[tuple[float, float]], times: Sequence[float], seconds: float) -> int:
    """Count the times that lie inside the spans.

    An edge next to an event does not belong to a span: it is as far from the event as the tolerance. The edges of the
    recording do.
    """
    return sum(any(_inside(time, span, seconds) for span in spans) for time in times)


def _inside(time: float, span: tuple[float, float], seconds: float) -> bool:
    begin, end = span
    after = time >= begin if begin <= 0 else time > begin + SLACK
    before = time <= end + SLACK if end >= seconds else time < end - SLACK
    return after and before
