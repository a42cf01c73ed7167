# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The console as a user starts it: its executable, and launch/console.launch.py."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")
pytest.importorskip("starlette", reason="the console's packages are not installed: requirements/console.txt")

ROOT = Path(__file__).resolve().parents[3]
ADDRESS = re.compile(r"The console is at http://127\.0\.0\.1:\d+/\?token=[\w-]{16,}")


def prints_its_address(command, log):
    """Start a command and end it with Ctrl-C when it has printed the address. Returns its exit code."""
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    deadline = time.monotonic() + 60
    try:
        while not ADDRESS.search(log.read_text()):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        return process.wait(30)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_the_executable_prints_its_address_and_ends_with_ctrl_c(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "console"), "--ros-args", "-p", "port:=0"]
    assert prints_its_address(command, tmp_path / "log") == 0


def test_a_missing_package_is_a_sentence(tmp_path):
    (tmp_path / "starlette.py").write_text("raise ModuleNotFoundError(\"No module named 'starlette'\")\n")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    ended = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "console")], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert "pip install starlette uvicorn websockets" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_console_is_launched(tmp_path):
    reason = "it is not installed: it comes with a ROS 2 distribution"
    pytest.importorskip("launch_ros", reason=f"launch_ros: {reason}")
    pytest.importorskip("ros2launch", reason=f"ros2launch: {reason}")
    assert prints_its_address(["ros2", "launch", "videollm_ros", "console.launch.py", "port:=0"], tmp_path / "log") == 0
