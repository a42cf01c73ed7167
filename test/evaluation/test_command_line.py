# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line: several recordings, videos, comparison, thresholds, and a sentence for everything that is wrong."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from videollm_ros.sim import Tabletop
from videollm_ros.sim.video import write_video

DEMO = Path(__file__).parents[2] / "checkpoints" / "demo"


@pytest.fixture(scope="module")
def videos(tmp_path_factory, simulated_bags):
    """Six videos of 20 s and their annotations."""
    folder = tmp_path_factory.mktemp("videos")
    (folder / "notes").mkdir()
    for seed in range(9010, 9016):
        tabletop = Tabletop(seed, seconds=20.0)
        write_video(tabletop, folder / f"{seed}.mp4", fps=4.0)
        simulated_bags.write_events(tabletop, folder / "notes" / f"{seed}.jsonl")
    return folder


@pytest.mark.slow
def test_a_folder_of_videos_gives_a_result_each_and_one_over_all_with_intervals(evaluate, videos, tmp_path):
    code, out, _ = evaluate("video", videos, "--annotations", videos / "notes", "--output", tmp_path / "out")
    assert code == 0 and "6 recordings" in out
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    low, high = metrics["event_recall"]["interval"]
    assert low <= metrics["event_recall"]["value"] <= high
    assert [each["name"] for each in metrics["recordings"]] == [str(seed) for seed in range(9010, 9016)]
    for seed in range(9010, 9016):
        names = {path.name for path in (tmp_path / "out" / str(seed)).iterdir()}
        assert names == {"utterances.jsonl", "decisions.csv", "metrics.json", "report.html", "transcript.mcap"}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "9012/report.html" in page


@pytest.mark.slow
def test_two_results_are_compared_by_recording(evaluate, videos, tmp_path):
    for name, theta in (("a", "0.725"), ("b", "1.0")):
        command = (
            "video",
            videos,
            "--annotations",
            videos / "notes",
            "--output",
            tmp_path / name,
            "--threshold",
            theta,
        )
        assert evaluate(*command)[0] == 0
    code, out, _ = evaluate("compare", tmp_path / "a", tmp_path / "b", "--output", tmp_path / "compared")
    compared = json.loads((tmp_path / "compared" / "compare.json").read_text())
    assert code == 0 and "6 recordings" in out and len(compared["recordings"]) == 6
    row = compared["figures"]["event_precision"]
    assert row["difference"] == pytest.approx(row["b"] - row["a"]) and row["difference"] < -0.3
    assert row["interval"][0] <= row["difference"] <= row["interval"][1] < 0
    assert any(each["a"] == "silent" and each["b"] == "false" for each in compared["disagreements"])
    assert (tmp_path / "compared" / "report.html").stat().st_size > 10**6
    code, out, _ = evaluate("compare", tmp_path / "a", tmp_path / "a")
    assert code == 0 and "0 disagreements" in out


@pytest.mark.slow
def test_a_sweep_of_a_weak_checkpoint_trades_found_events_against_false_alarms(
    evaluate, videos, weak_checkpoint, tmp_path
):
    command = ["sweep", *sorted(videos.glob("*.mp4")), "--annotations", videos / "notes", "--checkpoint"]
    thetas = ["--thresholds", 0.3, 0.725, 0.95, 0.99, 0.999]
    assert evaluate(*command, weak_checkpoint, *thetas, "--output", tmp_path / "swept")[0] == 0
    rows = json.loads((tmp_path / "swept" / "sweep.json").read_text())["thresholds"]
    false = [row["false_per_quiet_minute"]["value"] for row in rows]
    recall = [row["event_recall"]["value"] for row in rows]
    assert false[-1] > false[0] and recall[-1] > recall[0]
    assert 0.1 < max(row["event_f1"]["value"] for row in rows) < 0.95


@pytest.mark.slow
def test_a_sweep_recommends_a_threshold(evaluate, videos, tmp_path):
    command = ["sweep", *sorted(videos.glob("*.mp4"))[:2], "--annotations", videos / "notes"]
    code, out, _ = evaluate(*command, "--thresholds", 0.5, 0.725, 1.0, "--output", tmp_path / "swept")
    swept = json.loads((tmp_path / "swept" / "sweep.json").read_text())
    assert code == 0 and f"theta {swept['chosen']:g} has the highest event F1" in out
    assert [row["threshold"] for row in swept["thresholds"]] == [0.5, 0.725, 1.0]
    assert swept["chosen"] in (0.5, 0.725) and swept["frames_read"] < swept["frames"]
    assert (tmp_path / "swept" / "report.html").is_file()


def test_a_folder_of_images_is_one_recording_without_annotations(evaluate, tmp_path):
    (tmp_path / "pictures").mkdir()
    for index in range(4):
        cv2.imwrite(str(tmp_path / "pictures" / f"{index}.png"), np.zeros((48, 64, 3), np.uint8))
    code, _, _ = evaluate("video", tmp_path / "pictures", "--rate", 2, "--output", tmp_path / "out")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert code == 0 and metrics["frames"] == 4 and "event_f1" not in metrics
    assert (tmp_path / "out" / "report.html").is_file()


def test_what_is_wrong_is_one_sentence_and_an_exit_code(evaluate, bags, videos, tmp_path):
    bag, out = bags / "mcap" / "table", ("--output", tmp_path / "out")
    (tmp_path / "bad.jsonl").write_text('{"time": 1, "text": "A."}\n{"time": "x", "text": "B."}\n')
    (tmp_path / "end.jsonl").write_text('{"time": 5, "text": "A.", "end": 4}\n')
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").touch()
    cases = [
        (("bag", bag, "--topic", "/kamera", *out), "/camera/image_raw (sensor_msgs/msg/Image, 320 messages)"),
        (("bag", bag, "--topic", "/query", *out), "carries std_msgs/msg/String, not image"),
        (("bag", tmp_path / "missing", *out), "There is no"),
        (("bag", bag, "--annotations", tmp_path / "missing.jsonl", *out), "cannot be read as annotations"),
        (("bag", bag, "--annotations", tmp_path / "bad.jsonl", *out), "line 2: time is a number of seconds"),
        (("bag", bag, "--annotations", tmp_path / "end.jsonl", *out), "the end 4.0 s lies before the time 5"),
        (("bag", bag, "--annotations", tmp_path / "text", *out), "make it an empty file"),
        (("bag", bag, bag.parent / ".." / "mcap" / "table", *out), "is given twice"),
        (("bag", bag, "--threshold", "1.5", *out), "a probability from 0 to 1"),
        (("bag", bag, "--checkpoint", tmp_path, *out), "live_config.json"),
        (("bag", bag, "--match", "judge", *out), "--judge-model"),
        (("bag", bag, "--fps", "-1", *out), "--fps -1 is of no use: a rate in Hz from 0 to 1000"),
        (("video", tmp_path / "text", *out), "neither videos nor images"),
        (("video", videos, "--annotations", tmp_path / "bad.jsonl", *out), "is one file for 6 recordings"),
        (("compare", tmp_path, tmp_path), "holds no results"),
    ]
    for arguments, sentence in cases:
        code, _, errors = evaluate(*arguments)
        assert code == 2, arguments
        assert sentence in errors and "Traceback" not in errors, (arguments, errors)
    assert not (tmp_path / "out").exists()
