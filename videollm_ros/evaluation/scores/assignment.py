# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pair utterances with events one to one, at the lowest total cost."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

SLACK = 1e-6
"""Seconds by which a time limit may be passed, so that rounding decides nothing."""


def time_differences(said: list[float], events: list[float]) -> np.ndarray:
    """Return how much later each utterance comes than each event, [U, E] in seconds."""
    return np.asarray(np.asarray(said, float)[:, None] - np.asarray(events, float)[None, :])


def assign(costs: np.ndarray, allowed: np.ndarray) -> list[tuple[int, int]]:
    """Pair as many rows and columns as possible, and among those pairings take the one of the lowest total cost.

    Args:
        costs: [U, E], not negative.
        allowed: [U, E], true for pairs that may be made.

    Returns:
        pairs (row, column), ordered by row. Every row and every column is in one pair at most.
    """
    if not allowed.any():
        return []
    # One forbidden pair costs more than all allowed pairs together, so the number of pairs comes first.
    forbidden = float(costs[allowed].sum()) + 1.0
    rows, columns = linear_sum_assignment(np.where(allowed, costs, forbidden))
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if allowed[row, column]]
