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
    limits |= {name: interval_of_average([summed], weights) for name, weights in averages.items()}
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


def interval_of_average(
    runs: Sequence[Mapping[str, Sequence[Parts]]], weights: Mapping[str, float]
) -> tuple[float, float] | None:
    """Return the 95 % interval of an average of figures, or of how much that of the second run lies above the first.

    Videos are drawn with replacement, and the figures of each draw are averaged. A draw that lacks one is left out.

    Args:
        runs: one run or two. Figure -> what was counted, per video. The videos of two runs are the same.
        weights: figure -> its weight.
    """
    if not weights or any(name not in run for run in runs for name in weights):
        return None
    values = np.asarray([[run[name] for name in weights] for run in runs], float)  # [runs, figures, videos, 2]
    if (values[..., 1] > 0).sum(axis=2).min() < FEWEST_RECORDINGS:  # videos in which each figure has something to count
        return None
    drawn = np.random.default_rng(0).integers(values.shape[2], size=(_RESAMPLES, values.shape[2]))
    with np.errstate(invalid="ignore", divide="ignore"):
        sums = values[:, :, drawn].sum(axis=3)  # [runs, figures, draws, 2]
        averages = np.asarray(list(weights.values())) @ (sums[..., 0] / sums[..., 1])  # [runs, draws]
    differences = averages[-1] - (averages[0] if len(runs) > 1 else 0.0)
    defined = differences[np.isfinite(differences)]
    if len(defined) < _RESAMPLES / 2:
        return None
    low, high = np.percentile(defined, (2.5, 97.5))
    return float(low), float(high)
