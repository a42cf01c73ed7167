# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Judge what was said: whether an utterance means an event, and for how long nothing happens."""

from collections.abc import Sequence

from videollm_ros.sim.sentences import parse_event
from videollm_ros.sim.world import Event


def matches(text: str, event: Event) -> bool:
    """Return whether an utterance means this event, whatever its wording."""
    return parse_event(text) == event.meaning


def quiet_intervals(
    events: Sequence[Event], seconds: float, tolerance: float = 1.0, at_least: float = 0.0
) -> list[tuple[float, float]]:
    """Return the (start, stop) [s] of a stream in which there is nothing to say.

    An event takes up the time from its onset to `tolerance` [s] after it. Intervals shorter than `at_least`
    [s] are left out. A proactive utterance inside one of them is false.
    """
    intervals, free_from = [], 0.0
    for event in sorted(events, key=lambda event: event.onset):
        if event.onset > free_from:
            intervals.append((free_from, event.onset))
        free_from = max(free_from, event.time + tolerance)
    if seconds > free_from:
        intervals.append((free_from, seconds))
    return [(start, stop) for start, stop in intervals if stop - start >= at_least]


def quiet_minutes(events: Sequence[Event], seconds: float, tolerance: float = 1.0, at_least: float = 0.0) -> float:
    """Return for how many minutes there is nothing to say: the sum of `quiet_intervals`."""
    return sum(stop - start for start, stop in quiet_intervals(events, seconds, tolerance, at_least)) / 60
