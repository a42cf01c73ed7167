# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A ROS graph of their own for these tests: a free domain on this machine alone, inherited by every process started."""

import contextlib
import os

import pytest

try:
    from domain_coordinator import domain_id
except ImportError:  # no ROS: the tests of the library do not need a graph
    domain_id = None


def pytest_configure(config: pytest.Config) -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"  # nothing here is from a hub, and a wrong name is not looked up there
    if domain_id is None:
        return
    stack = contextlib.ExitStack()
    # Held until the tests end, so that no other test run on this machine takes the same domain.
    os.environ["ROS_DOMAIN_ID"] = str(stack.enter_context(domain_id()))
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    config.add_cleanup(stack.close)
