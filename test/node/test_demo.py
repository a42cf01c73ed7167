# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo as `make demo` runs it: it speaks, answers and ends; and says by its exit code when it could not."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from videollm_ros.sim import Tabletop

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

CHECKPOINT = Path(__file__).parents[2] / "checkpoints" / "demo"
pytestmark = pytest.mark.skipif(not CHECKPOINT.exists(), reason="the demo checkpoint has not been trained")


def demo(**environment):
    command = [sys.executable, "-m", "videollm_ros.node.demo"]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=500)


def test_the_demo_narrates_the_simulated_camera_answers_and_ends_well():
    ended = demo(SECONDS="20", SEED="9001")  # long enough for events even if a busy machine misses the first seconds
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for expected in ("happens: ", "says: ", "asked: What is on the table?", "answers: ", "and answered its query"):
        assert expected in ended.stdout


def test_the_demo_fails_when_nothing_was_said(tmp_path):
    still = Tabletop(9001, 30.0).render(0.0)  # a table on which nothing happens
    for index in range(30):
        cv2.imwrite(str(tmp_path / f"{index:02}.png"), still[..., ::-1])
    ended = demo(SECONDS="3", VIDEO=str(tmp_path))
    assert ended.returncode == 1, ended.stdout
    assert "spoke unasked 0 times" in ended.stdout, ended.stdout + ended.stderr
    assert "knows only the simulator's table" in ended.stdout


def test_the_demo_fails_with_a_sentence_when_its_footage_cannot_be_played():
    ended = demo(SECONDS="3", VIDEO="/nowhere/kitchen.mp4")
    assert ended.returncode == 1
    assert "There is no '/nowhere/kitchen.mp4'" in ended.stderr and "Traceback" not in ended.stderr
