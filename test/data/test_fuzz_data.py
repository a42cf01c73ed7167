# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dialogue files and annotations of every kind of damage are read or refused in a sentence."""

import runpy
from pathlib import Path

import pytest

FUZZ = runpy.run_path(str(Path(__file__).parents[2] / "benchmark" / "fuzz_data.py"))


@pytest.mark.slow
@pytest.mark.parametrize("target", FUZZ["TARGETS"])
def test_no_case_of_a_target_ends_in_a_crash(target):
    counted = FUZZ["run"](target, 300)
    assert counted["cases"] >= 200
    assert counted["readable"] > 0
