# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pair two results of a benchmark item by item, so that they are compared like two results of the same recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from videollm_ros.evaluation.benchmarks.figures import interval_of_average, ratios
from videollm_ros.evaluation.scores.intervals import Parts

Run = Mapping[str, Mapping[str, Any]]
"""Name of a recording, or id of an item -> what metrics.json says of it."""


def items_as_recordings(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the metrics of a benchmark with its items as recordings. Those of recordings come back as they are.

    A figure that an item says nothing about counts nothing there.
    """
    if "recordings" in metrics or "items" not in metrics:
        return metrics
    items = [each for each in metrics["items"] if "parts" in each]
    nothing = {name: [0.0, 0.0] for each in items for name in each["parts"]}
    recordings = [
        {"events": [], "judgments": []} | each | {"name": each["id"], "parts": nothing | each["parts"]}
        for each in items
    ]
    return metrics | {"recordings": recordings}


def check_same_benchmark(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Check that two results are of one benchmark, or both of recordings.

    Raises:
        ValueError: they are not, or the annotations differ.
    """
    ours, theirs = (each.get("benchmark", "recordings") for each in (first, second))
    if ours != theirs:
        raise ValueError(f"A holds results of {ours}, and B of {theirs}: only the same can be compared.")
    if "benchmark" in first and first.get("annotations") != second.get("annotations"):
        raise ValueError(f"The annotations of {ours} differ between A and B.")


def by_video(run: Run, names: Sequence[str], figure: str) -> list[Parts]:
    """Return what was counted for a figure, per video. A recording is a video of its own.

    The items of a video are drawn together by the bootstrap, since they are not independent.
    """
    sums: dict[str, Parts] = {}
    for name in names:
        video = run[name].get("video", name)
        above, below = sums.get(video, (0.0, 0.0))
        sums[video] = above + run[name]["parts"][figure][0], below + run[name]["parts"][figure][1]
    return list(sums.values())


def compare_averages(weights: Mapping[str, Mapping[str, float]], runs: tuple[Run, Run], names: Sequence[str]) -> Any:
    """Compare the figures that are weighted sums of others, as the rows of a comparison."""
    rows = {}
    a, b = (ratios([run[name]["parts"] for name in names], weights) for run in runs)
    for average, figures in weights.items():
        if a.get(average) is None or b.get(average) is None:
            continue
        summed = [{figure: by_video(run, names, figure) for figure in figures} for run in runs]
        difference = (b[average] or 0.0) - (a[average] or 0.0)
        limits = interval_of_average(summed, figures)
        rows[average] = {"a": a[average], "b": b[average], "difference": difference, "interval": limits}
    return rows
