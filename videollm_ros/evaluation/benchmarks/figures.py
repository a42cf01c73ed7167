# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Turn what was counted per item into figures with 95 % intervals, by bootstrap over the videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from videollm_ros.evaluation.benchmarks.benchmark import ItemParts
from videollm_ros.evaluation.scores.intervals import FEWEST_RECORDINGS, Parts, interval, ratio

_RESAMPLES = 2000

Averages = Mapping[str, Mapping[str, float]]
"""Name -> figure -> weight."""


def ratios(parts: Sequence[ItemParts], averages: Averages | None = None) -> dict[str, float | None]:
    """Return every figure over all items, and the weighted averages of figures. None where nothing counts."""
    values = {name: ratio([each.get(name, (0.0, 0.0)) for each in parts]) for name in _names(parts)}
    for name, weights in (averages or {}).items():
        terms = [(values.get(figure), weight) for figure, weight in weights.items()]
        known = [value * weight for value, weight in terms if value is not None]
        values[name] = sum(known) if len(known) == len(terms) else None
    return values


def with_intervals(
    parts: Sequence[ItemParts], videos: Sequence[str], averages: Averages | None = None
) -> dict[str, Any]:
    """Return every figure as a number, or as `value` and `interval` where there are enough videos.

    Args:
        parts: what was counted, per item.
        videos: the video of each item. The items of one video are drawn together.
        averages: figures that are weighted sums of others.
    """
    by_video: dict[str, list[ItemParts]] = {}
    for each, video in zip(parts, videos, strict=True):
        by_video.setdefault(video, []).append(each)
    names, averages = _names(parts), averages or {}
    summed = {name: [_sum(items, name) for items in by_video.values()] for name in names}
    limits = {name: interval(summed[name]) for name in names}
    limits |= {name: _interval_of_average(summed, weights) for name, weights in averages.items()}
    figures: dict[str, Any] = {}
    for name, value in ratios(parts, averages).items():
        found = limits[name]
        figures[name] = value if value is None or found is None else {"value": value, "interval": list(found)}
    return figures


def _names(parts: Sequence[ItemParts]) -> list[str]:
    return list(dict.fromkeys(name for each in parts for name in each))


def _sum(items: Sequence[ItemParts], name: str) -> Parts:
    counted = [each[name] for each in items if name in each]
    return float(sum(above for above, _ in counted)), float(sum(below for _, below in counted))


def _interval_of_average(
    summed: Mapping[str, Sequence[Parts]], weights: Mapping[str, float]
) -> tuple[float, float] | None:
    """Draw videos with replacement, and average the figures of each draw. Draws without one of them do not count."""
    if not weights or any(name not in summed for name in weights):
        return None
    values = np.asarray([summed[name] for name in weights], float)  # [figures, videos, 2]
    if (values[..., 1] > 0).sum(axis=1).min() < FEWEST_RECORDINGS:  # videos in which each figure has something to count
        return None
    drawn = np.random.default_rng(0).integers(values.shape[1], size=(_RESAMPLES, values.shape[1]))
    with np.errstate(invalid="ignore", divide="ignore"):
        sums = values[:, drawn].sum(axis=2)  # [figures, draws, 2]
        averages = np.asarray(list(weights.values())) @ (sums[..., 0] / sums[..., 1])
    defined = averages[np.isfinite(averages)]
    if len(defined) < _RESAMPLES / 2:
        return None
    low, high = np.percentile(defined, (2.5, 97.5))
    return float(low), float(high)
