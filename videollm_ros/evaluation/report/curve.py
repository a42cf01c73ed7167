# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draw a curve over thresholds whose labels do not lie over each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_WIDTH, _HEIGHT = 0.2, 0.07
"""Room that a label takes up, as shares of the curve's own width and height."""


def threshold_curve(thresholds: Sequence[float], points: Sequence[tuple[float | None, float | None]]) -> dict[str, Any]:
    """Return a trace with a point for each threshold, named by it. A point may lack one of its values."""
    farthest = max((x for x, _ in points if x is not None), default=0.0)
    inward = ["top left" if x is not None and x > 0.7 * farthest else "top right" for x, _ in points]
    return {
        "x": [x for x, _ in points],
        "y": [y for _, y in points],
        "text": curve_labels(thresholds, points),
        "hovertext": [f"theta {threshold:g}" for threshold in thresholds],
        "mode": "lines+markers+text",
        "textposition": inward,
        "cliponaxis": False,
        "marker": {"role": "accent", "size": 9},
        "line": {"role": "accent"},
    }


def curve_labels(thresholds: Sequence[float], points: Sequence[tuple[float | None, float | None]]) -> list[str]:
    """Name the thresholds of each point. Of points that are too near to each other, the first one names all."""
    known = {index: (x, y) for index, (x, y) in enumerate(points) if x is not None and y is not None}
    width, height = (max(each) - min(each) for each in zip(*known.values(), strict=True)) if known else (0.0, 0.0)
    groups: dict[int, list[int]] = {}  # first point -> all that are near
    for index, (x, y) in known.items():
        near = (
            first
            for first in groups
            if abs(known[first][0] - x) <= _WIDTH * width and abs(known[first][1] - y) <= _HEIGHT * height
        )
        groups.setdefault(next(near, index), []).append(index)
    labels = [""] * len(points)
    for first, members in groups.items():
        labels[first] = ", ".join(_name(thresholds, run) for run in _runs(members))
    return labels


def _runs(members: Sequence[int]) -> list[list[int]]:
    """Split numbers where one is left out."""
    runs: list[list[int]] = []
    for index in members:
        if runs and runs[-1][-1] == index - 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return runs


def _name(thresholds: Sequence[float], run: Sequence[int]) -> str:
    ends = dict.fromkeys((thresholds[run[0]], thresholds[run[-1]]))
    return " to ".join(f"{each:g}" for each in ends)
