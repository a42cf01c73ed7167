# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Give figures over several recordings a 95 % interval, by bootstrap over the recordings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import bootstrap

FEWEST_RECORDINGS = 5
"""With fewer that have something to count, an interval would only look like knowledge."""

_RESAMPLES = 2000

Parts = tuple[float, float]
"""Numerator and denominator of a figure on one recording. Over several recordings both are summed."""


def ratio(parts: Sequence[Parts]) -> float | None:
    """Return the figure over several recordings. None when its denominator is 0."""
    numerator, denominator = (float(sum(column)) for column in zip(*parts, strict=True)) if parts else (0.0, 0.0)
    return numerator / denominator if denominator else None


def interval(parts: Sequence[Parts]) -> tuple[float, float] | None:
    """Return the 95 % interval of a figure. None with too few recordings that have something to count."""
    return _bootstrap([parts])


def difference_interval(parts: Sequence[Parts], other: Sequence[Parts]) -> tuple[float, float] | None:
    """Return the 95 % interval of how much the figure of `other` lies above that of `parts`, paired by recording."""
    return _bootstrap([parts, other])


def _bootstrap(runs: Sequence[Sequence[Parts]]) -> tuple[float, float] | None:
    values = np.asarray(runs, float).reshape(len(runs), -1, 2)  # [runs, recordings, 2]
    values = values[:, (values[..., 1] > 0).any(0)]  # a recording without anything to count says nothing
    if values.shape[1] < FEWEST_RECORDINGS:
        return None

    def statistic(drawn: np.ndarray, axis: int) -> np.ndarray:
        sums = values[:, drawn.astype(int)].sum(axis=-2)  # [runs, draws, 2]
        with np.errstate(invalid="ignore", divide="ignore"):
            figures = sums[..., 0] / sums[..., 1]
        return np.asarray(figures[-1] - (figures[0] if len(figures) > 1 else 0.0))

    drawn = bootstrap(
        (np.arange(values.shape[1]),),
        statistic,
        n_resamples=_RESAMPLES,
        method="percentile",
        axis=-1,
        rng=np.random.default_rng(0),
    ).bootstrap_distribution
    defined = drawn[np.isfinite(drawn)]  # of two runs, one may have nothing to count in a draw
    if len(defined) < _RESAMPLES / 2:
        return None
    low, high = np.percentile(defined, (2.5, 97.5))
    return float(low), float(high)
