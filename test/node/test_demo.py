# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo as `make demo` runs it: it speaks, answers and ends; and says by its exit code when it could not."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

from videollm_ros.demo_checkpoint import is_demo_checkpoint
from videollm_ros.sim import Tabletop

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

from videollm_ros.node.demo import arguments

CHECKPOINT = Path(__file__).parents[2] / "checkpoints" / "demo"
pytestmark = pytest.mark.skipif(not CHECKPOINT.exists(), reason="the demo checkpoint has not been trained")


def demo(*options):
    command = [sys.executable, "-m", "videollm_ros.node.demo", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=500)


def test_the_demo_narrates_the_simulated_camera_answers_and_ends_well():
    ended = demo(
        "--seconds", "20", "--seed", "9001"
    )  # long enough for events even if a busy machine misses the first seconds
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for expected in ("happens: ", "says: ", "asked: What is on the table?", "answers: ", "and answered its query"):
        assert expected in ended.stdout


def test_the_demo_fails_when_nothing_was_said(tmp_path):
    still = Tabletop(9001, 30.0).render(0.0)  # a table on which nothing happens
    for index in range(30):
        cv2.imwrite(str(tmp_path / f"{index:02}.png"), still[..., ::-1])
    ended = demo("--seconds", "3", "--video", str(tmp_path))
    assert ended.returncode == 1, ended.stdout
    assert "spoke 0 times by itself" in ended.stdout, ended.stdout + ended.stderr
    assert "knows only the simulator's table" in ended.stdout


def test_the_demo_fails_with_a_sentence_when_its_footage_cannot_be_played():
    ended = demo("--seconds", "3", "--video", "/nowhere/kitchen.mp4")
    assert ended.returncode == 1
    assert "There is no '/nowhere/kitchen.mp4'" in ended.stderr and "Traceback" not in ended.stderr


def test_the_demo_checkpoint_is_known_also_by_links(tmp_path):
    (tmp_path / "live_config.json").symlink_to(CHECKPOINT / "live_config.json")
    assert is_demo_checkpoint(str(CHECKPOINT)) and is_demo_checkpoint(str(tmp_path))
    assert not is_demo_checkpoint(str(tmp_path / "elsewhere")) and not is_demo_checkpoint("chenjoya/videollm-online")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--seconds", "0"], "--seconds is between 1 and 86370, and was given 0"),
        (["--seed", "-1"], "--seed is between 0 and 2147483647, and was given -1"),
        (["--seconds", "soon"], "invalid float value: 'soon'"),
    ],
)
def test_an_option_of_no_use_is_refused_before_anything_starts(options, sentence, capsys):
    with pytest.raises(SystemExit) as ended:
        arguments(options)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_an_interrupt_ends_the_demo_with_its_processes():
    command = [sys.executable, "-m", "videollm_ros.node.demo"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout.readline().startswith("Starting the simulated_camera")
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    deadline = time.monotonic() + 60
    while len(processes := children.read_text().split()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.send_signal(signal.SIGTERM)
    _, stderr = running.communicate(timeout=120)
    assert running.returncode == 130 and "Traceback" not in stderr
    assert not any(Path(f"/proc/{process}").exists() for process in processes)
