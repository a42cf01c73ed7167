# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint that was damaged at random loads or is refused. benchmark/fuzz_checkpoints.py runs more cases."""

import importlib
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmark"))
fuzz_checkpoints = importlib.import_module("fuzz_checkpoints")
sys.path.pop(0)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    return fuzz_checkpoints.make_originals(tmp_path_factory.mktemp("originals"))


@pytest.mark.slow
@settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(case=fuzz_checkpoints.CASES)
def test_a_damaged_checkpoint_loads_or_is_refused(originals, case):
    fuzz_checkpoints.run_case(case, originals)
