# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""With use_sim_time and no /clock, as while a bag is paused, the node starts and says how it does."""

import time

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor

from videollm_ros.node.assistant_node import AssistantNode


def test_without_a_clock_it_becomes_active_and_publishes_diagnostics(golden_paths):
    arguments = ["-r", "__ns:=/clockless", "-p", "use_sim_time:=true", "-p", "model.device:=cpu"]
    for key, path in golden_paths.items():
        arguments += ["-p", f"model.{key}:={path}"]
    rclpy.init(args=["--ros-args", *arguments])
    node, executor, states = AssistantNode(), SingleThreadedExecutor(), []
    node.create_subscription(
        DiagnosticArray, "/diagnostics", lambda message: states.append(message.status[0].values[0].value), 10
    )
    executor.add_node(node)
    try:
        deadline = time.monotonic() + 120
        while "active" not in states:
            assert time.monotonic() < deadline, f"no diagnostics of an active node came: {states}"
            executor.spin_once(timeout_sec=0.1)
    finally:
        node.close()
        executor.remove_node(node)
        node.destroy_node()
        rclpy.shutdown()
