# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of benchmarks: sums over items, intervals over videos, weighted averages."""

import pytest

from videollm_ros.evaluation.benchmarks.figures import ratios, with_intervals
from videollm_ros.evaluation.scores.intervals import interval

TASKS = [{"EPM": (1.0, 1.0)}, {"EPM": (0.0, 1.0)}, {"OCR": (1.0, 1.0)}, {"OCR": (1.0, 1.0)}, {"REC": (1.0, 4.0)}]


def test_a_figure_is_a_ratio_of_sums_over_the_items_that_have_it():
    assert ratios(TASKS) == {"EPM": 0.5, "OCR": 1.0, "REC": 0.25}


def test_an_average_weighs_figures_and_is_unknown_when_one_of_them_is():
    weights = {"EPM": 0.5, "OCR": 0.25, "REC": 0.25}
    assert ratios(TASKS, {"total": weights})["total"] == pytest.approx(0.25 + 0.25 + 0.0625)
    assert ratios(TASKS[:4], {"total": weights})["total"] is None


def test_items_of_one_video_are_drawn_together():
    """Twenty items: with a video each the interval is narrower than with four to a video."""
    parts = [{"accuracy": (float(number < 10), 1.0)} for number in range(20)]
    alone = with_intervals(parts, [str(number) for number in range(20)])["accuracy"]["interval"]
    together = with_intervals(parts, [str(number // 4) for number in range(20)])["accuracy"]["interval"]
    assert together[1] - together[0] > alone[1] - alone[0]


def test_under_five_videos_there_is_no_interval():
    parts = [{"accuracy": (1.0, 2.0)} for _ in range(40)]
    assert with_intervals(parts, [str(number % 4) for number in range(40)]) == {"accuracy": 0.5}


def test_videos_in_which_a_figure_counts_nothing_give_it_no_interval():
    """Two videos ask REC and six ask EPM: of eight videos, REC has two."""
    parts = [{"REC": (float(n % 2), 1.0)} for n in range(2)] + [{"EPM": (float(n % 2), 1.0)} for n in range(6)]
    found = with_intervals(parts, [str(n) for n in range(8)], {"mean": {"REC": 0.5, "EPM": 0.5}})
    assert found["REC"] == 0.5 and found["mean"] == 0.5
    assert set(found["EPM"]) == {"value", "interval"}


def test_an_interval_needs_five_recordings_with_something_to_count():
    counted = [(1.0, 1.0), (0.0, 1.0), (1.0, 1.0), (0.0, 1.0)]
    assert interval([*counted, *[(0.0, 0.0)] * 5]) is None
    assert interval([*counted, (1.0, 1.0)]) is not None and interval([]) is None


def test_the_interval_of_an_average_holds_it_and_is_not_wider_than_its_figures():
    parts = [{"a": (float(n % 2), 1.0), "b": (float(n % 3 == 0), 1.0)} for n in range(30)]
    found = with_intervals(parts, [str(n) for n in range(30)], {"mean": {"a": 0.5, "b": 0.5}})
    low, high = found["mean"]["interval"]
    assert low < found["mean"]["value"] < high
    assert high - low < max(found[name]["interval"][1] - found[name]["interval"][0] for name in ("a", "b"))
