# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure whether the speak probability says how likely it is that there is something to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_SLACK = 1e-6  # seconds within which an event and a frame are at the same time
NUM_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """Hold how well probabilities fit what happened."""

    brier: float
    """Mean squared difference between the probability and what happened, 0 to 1. 0 is best."""
    expected_error: float
    """Mean difference between the mean probability and the share of events, over bins weighted by their frames."""
    bins: list[dict[str, float]]
    """Mean probability, share of frames with an event, and number of frames, for each bin that has frames."""


def calibration(probabilities: Sequence[float], happened: Sequence[bool]) -> Calibration | None:
    """Compare speak probabilities with whether something was to be said. None when there is no frame."""
    if len(probabilities) == 0:
        return None
    p, y = np.asarray(probabilities, float), np.asarray(happened, float)
    which = np.minimum((p * NUM_BINS).astype(int), NUM_BINS - 1)
    bins = [
        {
            "probability": float(p[which == b].mean()),
            "share": float(y[which == b].mean()),
            "frames": int((which == b).sum()),
        }
        for b in np.unique(which)
    ]
    error = sum(each["frames"] * abs(each["probability"] - each["share"]) for each in bins) / len(p)
    return Calibration(float(((p - y) ** 2).mean()), float(error), bins)


def due_frames(times: Sequence[float], events: Sequence[float], streams: Sequence[int] = ()) -> list[bool]:
    """Say for each frame whether it is the first of its stream to show an event.

    An event between two streams, which nobody watched, is first shown by none. One that several streams cover, since
    the stamps jump back, is shown by each of them.

    Args:
        times: of the frames in seconds, ascending within a stream.
        events: their times in seconds.
        streams: number of each frame's stream. Without it, a stream begins where the times go back.
    """
    seen, happened = np.asarray(times, float), np.asarray(events, float)
    begins = np.diff(np.asarray(streams)) != 0 if len(streams) else np.diff(seen) < 0
    due: list[bool] = []
    for frames in np.split(seen, np.flatnonzero(begins) + 1):
        if not len(frames):
            continue
        step = float(np.median(np.diff(frames))) if len(frames) > 1 else 0.0
        shown = happened[happened > frames[0] - step - _SLACK]
        first = np.searchsorted(frames + _SLACK, shown)
        due += np.isin(np.arange(len(frames)), first).tolist()
    return due
