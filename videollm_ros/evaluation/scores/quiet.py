# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Find when a recording is quiet, and what is said then."""

from __future__ import annotations

from collections.abc import Sequence

from videollm_ros.evaluation.annotations import AnnotatedEvent
from videollm_ros.evaluation.scores.assignment import SLACK
from videollm_ros.evaluation.transcript import Span

Watched = float | Sequence[Span]
"""What was watched of a recording: its spans, or only how many seconds it has."""


def spans_of(watched: Watched) -> list[Span]:
    """Return what was watched as (begin, end) in seconds, one for each stream. A number of seconds is one span."""
    return [(0.0, float(watched))] if isinstance(watched, int | float) else list(watched)


def quiet_spans(events: Sequence[AnnotatedEvent], watched: Watched, tolerance: float) -> list[Span]:
    """Return the (begin, end) in seconds of what was watched further than `tolerance` from every event.

    An event with an end takes up the time from its beginning to its end. What was not watched is not quiet.
    """
    quiet = []
    events = sorted(events, key=lambda event: event.time)
    for first, last in spans_of(watched):
        free_from = first
        for event in events:
            begin = min(event.time - tolerance, last)
            if begin > free_from:
                quiet.append((free_from, begin))
            free_from = max(free_from, event.stop + tolerance)
        if last > free_from:
            quiet.append((free_from, last))
    return quiet


def said_in(quiet: Sequence[Span], times: Sequence[float], watched: Watched) -> int:
    """Count the times that lie inside quiet spans.

    An edge next to an event does not belong to a span: it is as far from the event as the tolerance. The edges of what
    was watched do.
    """
    edges = {edge for span in spans_of(watched) for edge in span}
    return sum(any(_inside(time, span, edges) for span in quiet) for time in times)


def _inside(time: float, span: Span, edges: set[float]) -> bool:
    begin, end = span
    after = time >= begin - SLACK if begin in edges else time > begin + SLACK
    before = time <= end + SLACK if end in edges else time < end - SLACK
    return after and before
