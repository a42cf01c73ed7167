# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compute PAUC, the area under the quality of what was said over time (ProactiveVideoQA, and MMDuet2 as its reward).

PAUC does not punish speech outside the reply span, so it is read beside the false utterances per quiet minute and the
repeats.
"""

from __future__ import annotations

from collections.abc import Sequence

MAX_GRADE = 2
"""Of a judge with three scores, less one."""

_START_LEVEL = 0.5  # before the first reply, on the scale of the grades


def pauc(replies: Sequence[tuple[float, str, float]], span: tuple[float, float], time_weight: float = 0.5) -> float:
    """Return the area under the step curve of the grades of one event, from 0 to 1.

    The curve begins at 0.5 and every reply sets it to its grade. The last grade holds to the end of the span. Times
    since the span's beginning are multiplied by (1 - `time_weight`), so that a late right reply keeps a part of its
    worth. A text that comes again does not count again. Silence gives 0.25, a right reply at once 1.

    Args:
        replies: (time in seconds, text, grade from 0 to 2), in order of time. Those outside the span do not count.
        span: first and last second at which a reply counts.
        time_weight: how much a reply at the very end of the span is worth, 0 to 1.

    Raises:
        ValueError: the span has no length, or the weight is not from 0 to 1.
    """
    begin, end = span
    if not end > begin:
        raise ValueError(f"a reply span ends after its beginning: {begin} s to {end} s")
    if not 0 <= time_weight <= 1:
        raise ValueError(f"the time weight of PAUC is from 0 to 1: {time_weight}")
    area, level, reached, heard = 0.0, _START_LEVEL, 0.0, set()
    for time, text, grade in replies:
        if not begin <= time <= end or text in heard:
            continue
        heard.add(text)
        moment = (time - begin) * (1 - time_weight)
        area += level * (moment - reached)
        level, reached = grade, moment
    area += level * (end - begin - reached)
    return area / ((end - begin) * MAX_GRADE)
