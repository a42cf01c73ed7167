# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/own_assistant.md: recordings with a new object and notes, and a camera recorded into a bag."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from videollm_ros.data.__main__ import main
from videollm_ros.data.recorded import RecordedSource
from videollm_ros.sim import Tabletop

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import own_recordings

    return own_recordings


def test_the_recordings_have_notes_that_convert(tmp_path, example, monkeypatch, capsys):
    given = ["own_recordings.py", "--output", str(tmp_path), "--count", "2", "--seconds", "20"]
    monkeypatch.setattr(sys, "argv", given)
    example.main()
    recordings = sorted(map(str, (tmp_path / "recordings").iterdir()))
    durations, output = tmp_path / "durations.json", tmp_path / "out.jsonl"
    assert main(["durations", *recordings, "--output", str(durations)]) == 0
    common = ["--durations", str(durations), "--output", str(output)]
    assert main(["convert", "timed", "--annotations", str(tmp_path / "notes.csv"), *common]) == 0
    assert "Nothing was left out" in capsys.readouterr().out
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    said = [m["content"] for line in lines for m in line["conversation"] if m["role"] == "assistant"]
    assert len(said) == sum(len(path.read_text().splitlines()) for path in (tmp_path / "notes").iterdir())
    assert any("star" in text for text in said)


def test_a_star_is_seen_and_the_simulator_itself_stays_as_it_was(example):
    before = Tabletop(30001, 60.0, 96).render(40.0)
    stars = example.StarTabletop(30001, 60.0, 96)
    assert any(event.item.shape == example.STAR for event in stars.events)
    assert not np.array_equal(stars.render(40.0), before)
    assert np.array_equal(Tabletop(30001, 60.0, 96).render(40.0), before)
    assert {event.item.shape for event in Tabletop(30001, 60.0, 96).events}.isdisjoint({example.STAR})


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_camera_is_recorded_into_a_bag_that_can_be_read(tmp_path):
    pytest.importorskip("rclpy")
    bag = tmp_path / "run1"
    command = [
        sys.executable,
        "-m",
        "videollm_ros.node.simulated_camera",
        "--ros-args",
        "-r",
        "image:=/camera/image_raw",
    ]
    command += ["-p", "resolution:=64", "-p", "fps:=10.0", "-p", "seconds:=600.0"]
    camera = subprocess.Popen(command)
    record = [sys.executable, str(EXAMPLES / "record_bag.py"), "--output", str(bag), "--topic", "/camera/image_raw"]
    recorder = subprocess.Popen(record, stdout=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 100
        while not list(bag.glob("*.mcap")) or sum(p.stat().st_size for p in bag.glob("*.mcap")) < 300_000:
            assert time.monotonic() < until and recorder.poll() is None
            time.sleep(0.1)
        recorder.send_signal(signal.SIGINT)
        assert "images of /camera/image_raw" in recorder.communicate(timeout=60)[0]
    finally:
        for process in (camera, recorder):
            process.kill()
            process.wait(10)
    frames = list(RecordedSource.parse(f"{bag}:/camera/image_raw").frames(2.0))
    assert len(frames) >= 3
    assert all(frame.shape == (64, 64, 3) for frame in frames)


@pytest.mark.slow
@pytest.mark.ros
def test_a_topic_without_images_is_no_recording_and_is_said(tmp_path):
    pytest.importorskip("rclpy", reason="there is no ROS 2 here")
    command = [sys.executable, str(EXAMPLES / "record_bag.py"), "--output", str(tmp_path / "bag")]
    done = subprocess.run([*command, "--topic", "/nothing", "--seconds", "1"], capture_output=True, text=True)
    assert done.returncode == 1 and "Nothing was recorded" in done.stderr
    assert not (tmp_path / "bag").exists()
