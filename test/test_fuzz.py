# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A few hundred malformed inputs of every kind are refused with a sentence, within bounded memory and without a crash.

`python benchmark/fuzz.py` runs 10,000 of each.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[1] / "benchmark"
NEEDS_ROS = {"params"}
CASES = {"images": 300, "compressed": 300, "queries": 300, "params": 300, "dialogues": 300} | {
    "checkpoints": 200,
    "annotations": 200,
}


@pytest.mark.slow
@pytest.mark.parametrize("target", CASES)
def test_malformed_input_is_refused_with_a_sentence(target, tmp_path):
    if target in NEEDS_ROS and importlib.util.find_spec("rclpy") is None:
        pytest.skip("there is no ROS 2 here")
    figures = tmp_path / "figures.json"
    command = [
        sys.executable,
        str(BENCHMARK / "fuzz.py"),
        target,
        "--cases",
        str(CASES[target]),
        "--json",
        str(figures),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = json.loads(figures.read_text())["targets"][target]
    assert found["cases"] >= 0.8 * CASES[target] and found["accepted"] > 0 and found["refused"] > 0
