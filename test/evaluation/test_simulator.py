# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo checkpoint on the simulator: what it must reach, and the command that says so."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from videollm_ros.evaluation.simulator import StreamsConfig, evaluate_simulator, simulator_intervals

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "checkpoints" / "demo"


def test_the_demo_checkpoint_is_small():
    assert sum(path.stat().st_size for path in DEMO.rglob("*") if path.is_file()) <= 16 * 2**20


@pytest.mark.slow
def test_the_demo_checkpoint_speaks_when_something_happens_and_says_what(demo_model):
    """On a few unseen streams what docs/demo_checkpoint.md has on 200."""
    figures, transcripts = evaluate_simulator(demo_model, range(9200, 9216))
    assert figures["event_f1"] >= 0.90
    assert figures["mean_time_difference"] <= 0.4
    assert figures["false_per_quiet_minute"] <= 0.5
    assert figures["answer_accuracy"] >= 0.85
    assert figures["lm_ppl"] <= 1.3
    assert figures["time_diff"] <= 0.3
    assert figures["fluency"] >= 0.85
    assert len(transcripts) == figures["streams"] == 16
    low, high = simulator_intervals(transcripts)["event_f1"]
    assert 0.9 <= low <= figures["event_f1"] <= high <= 1.0


def test_a_stream_can_be_watched_at_another_rate_and_through_another_camera(demo_model):
    seen = []

    def view(frames):
        seen.append(frames.shape)
        return frames[:, 12:-12]

    figures, _ = evaluate_simulator(demo_model, [9300], StreamsConfig(12.0, fps=4.0, view=view, teacher_forced=False))
    assert seen == [(48, 96, 96, 3)] and figures["streams"] == 1


@pytest.mark.slow
def test_a_window_sees_what_is_there_and_forgets_what_happened(demo_model):
    past, now = ("event", "gripper"), ("count", "table")
    right = {}
    for window in (0, 4):
        streams = StreamsConfig(40.0, teacher_forced=False, window=window)
        figures, transcripts = evaluate_simulator(demo_model, range(9000, 9006), streams)
        assert figures["event_f1"] >= 0.9 and figures["answer_accuracy_count"] == 1.0
        right[window] = [sum(each.score.right_answers[kind] for each in transcripts for kind in k) for k in (past, now)]
    assert right[4][0] <= right[0][0] - 2 and right[4][1] == right[0][1]


@pytest.mark.slow
def test_the_command_writes_the_figures_and_what_was_said(tmp_path):
    command = [sys.executable, "-m", "videollm_ros.evaluation", "simulator", "--seeds", "9300:9302", "--seconds", "12"]
    command += ["--fps", "1"]
    command += ["--json", str(tmp_path / "out.json"), "--transcripts", str(tmp_path / "said.jsonl")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    figures = json.loads((tmp_path / "out.json").read_text())
    keys = "event_f1 event_precision event_recall mean_time_difference false_per_quiet_minute answer_accuracy lm_ppl"
    assert {*keys.split(), "time_diff", "fluency", "lm_correctness", "streams"} <= figures.keys()
    assert figures["streams"] == 2
    assert "event_f1" in done.stdout and "trained at 2 frames per second and reads 1." in done.stderr
    assert figures["intervals"]["event_f1"] is None, "two streams have no interval"
    said = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()]
    assert [line["seed"] for line in said] == [9300, 9301]


def test_a_negative_window_is_refused(evaluate):
    code, _, said = evaluate("simulator", "--window", -1)
    assert code == 2 and "a number of frames is not negative" in said


@pytest.mark.parametrize("seeds", ["9000", "5:5", "a:b"])
def test_a_wrong_range_of_seeds_is_refused(seeds, evaluate):
    code, _, said = evaluate("simulator", "--seeds", seeds)
    assert code == 2
    assert "START" in said
