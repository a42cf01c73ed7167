# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two results of a benchmark are compared item by item, with paired intervals over videos."""

import json
from copy import deepcopy

import pytest

from videollm_ros.evaluation.benchmarks.paired import by_video, items_as_recordings
from videollm_ros.evaluation.benchmarks.simulator_export import export_simulator
from videollm_ros.evaluation.compare import compare_metrics
from videollm_ros.evaluation.scores.intervals import difference_interval

WEIGHTS = {"total_accuracy": {"EPM_accuracy": 0.5, "OCR_accuracy": 0.5}}


def result(right, **more):
    """Metrics of a benchmark with six videos of two tasks each. `right`: of the items of EPM, by video."""
    items = []
    for video, value in enumerate(right):
        items.append({"id": f"EPM {video}", "video": f"v{video}", "parts": {"EPM_accuracy": [value, 1.0]}})
        items.append({"id": f"OCR {video}", "video": f"v{video}", "parts": {"OCR_accuracy": [1.0, 2.0]}})
    described = {"benchmark": "ovo-bench", "annotations": "a1", "settings": {"window": 0}, "checkpoint": {"name": "c"}}
    return items_as_recordings(described | {"items": items, "averages": WEIGHTS} | more)


FEW, MANY = (0, 0, 1, 0, 1, 0), (1, 0, 1, 1, 1, 1)


def test_figures_that_only_some_items_have_are_compared_over_those():
    compared = compare_metrics(result(FEW), result(MANY))
    row = compared["figures"]["EPM_accuracy"]
    assert (row["a"], row["b"]) == (pytest.approx(2 / 6), pytest.approx(5 / 6))
    parts = [[(float(value), 1.0) for value in values] for values in (FEW, MANY)]
    assert row["interval"] == difference_interval(*parts)
    assert compared["figures"]["OCR_accuracy"]["difference"] == 0
    assert len(compared["recordings"]) == 12 and compared["disagreements"] == []


def test_averages_are_compared_with_a_paired_interval():
    row = compare_metrics(result(FEW), result(MANY))["figures"]["total_accuracy"]
    assert row["difference"] == pytest.approx(0.25)
    low, high = row["interval"]
    assert 0 <= low < 0.25 < high <= 0.5  # the second is nowhere worse
    assert compare_metrics(result(FEW), result(FEW))["figures"]["total_accuracy"]["interval"] == (0.0, 0.0)


def test_items_of_one_video_are_drawn_together():
    run = {f"q{n}": {"video": f"v{n // 2}", "parts": {"accuracy": [n % 2, 1.0]}} for n in range(4)}
    assert by_video(run, list(run), "accuracy") == [(1, 2.0), (1, 2.0)]


def test_an_item_that_one_run_lacks_is_left_out_and_named():
    lacking = result(MANY)
    lacking["recordings"] = [each for each in lacking["recordings"] if each["name"] != "EPM 0"]
    compared = compare_metrics(result(FEW), lacking)
    assert compared["left_out"] == ["EPM 0"] and compared["figures"]["EPM_accuracy"]["a"] == pytest.approx(2 / 5)


@pytest.mark.parametrize("change", [{"benchmark": "coin"}, {"annotations": "a2"}])
def test_results_of_another_benchmark_or_of_other_annotations_are_refused(change):
    with pytest.raises(ValueError, match=r"differ between A and B|and B of coin"):
        compare_metrics(result(FEW), result(MANY, **change))


@pytest.mark.slow
def test_memory_is_compared_with_a_window_on_a_benchmark(evaluate, tmp_path):
    export_simulator(tmp_path, range(9000, 9006), 20.0)
    arguments = ["proactivevideoqa", tmp_path / "anno.json", "--videos", tmp_path / "videos", "--match", "simulator"]
    for name, window in (("memory", 0), ("window", 4)):
        assert evaluate(*arguments, "--window", window, "--output", tmp_path / name)[0] == 0
    code, _, said = evaluate("compare", tmp_path / "memory", tmp_path / "window", "--output", tmp_path / "compared")
    assert code == 0, said
    row = json.loads((tmp_path / "compared" / "compare.json").read_text())["figures"]["pauc"]
    assert row["interval"] is not None and row["interval"][0] <= row["difference"] <= row["interval"][1]
    assert "the last 4 frames alone" in (tmp_path / "compared" / "report.html").read_text()
    stored = json.loads((tmp_path / "memory" / "metrics.json").read_text())
    events = json.loads((tmp_path / "anno.json").read_text())[0]["answer"]
    assert [each["text"] for each in stored["items"][0]["events"]] == [each["content"] for each in events]
    other = deepcopy(stored) | {"annotations": "other"}
    (tmp_path / "window" / "metrics.json").write_text(json.dumps(other))
    code, _, said = evaluate("compare", tmp_path / "memory", tmp_path / "window")
    assert code != 0 and "The annotations of proactivevideoqa differ" in said
