# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Find events that cannot be told, since no image was there to see them in."""

from __future__ import annotations

from collections.abc import Sequence

from videollm_ros.evaluation.annotations import AnnotatedEvent
from videollm_ros.evaluation.transcript import Transcript

_UNIX = 1e8  # seconds: no recording is three years long
_SLACK = 1e-6


def events_outside(transcript: Transcript, events: Sequence[AnnotatedEvent]) -> list[str]:
    """Return sentences about events that lie where nothing was watched. They count as missed all the same."""
    spans = transcript.watched
    first, last = min(begin for begin, _ in spans), max(end for _, end in spans)
    before = [event for event in events if event.stop < first - _SLACK]
    behind = [event for event in events if event.time > last + _SLACK]
    between = [
        event
        for event in events
        if first <= event.stop and event.time <= last and not any(_meets(event, span) for span in spans)
    ]
    said = [
        (before, f"before the first image at {first:.1f} s"),
        (behind, f"behind the last image at {last:.1f} s"),
        (between, "where no images were recorded"),
    ]
    notes = []
    for outside, where in said:
        if not outside:
            continue
        note = f"{len(outside)} of {len(events)} events lie{'s' * (len(outside) == 1)} {where}, and cannot be told."
        if any(abs(event.time) > _UNIX for event in outside):
            note += " Times are seconds since the first image, and these look like Unix times."
        notes.append(note)
    return notes


def _meets(event: AnnotatedEvent, span: tuple[float, float]) -> bool:
    return event.time <= span[1] + _SLACK and event.stop >= span[0] - _SLACK
