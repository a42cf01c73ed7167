# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Goals that have ended are forgotten, however many come in a day."""

import time

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

import rclpy
from action_msgs.msg import GoalStatusArray
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor

from videollm_ros.action import Converse
from videollm_ros.assistant.queries import QueryError
from videollm_ros.node import query_interfaces
from videollm_ros.node.query_interfaces import QueryInterfaces


class Refusing:
    """Answers nothing."""

    ask_timeout = 1.0

    def ask(self, text, query_id, on_partial=None):
        raise QueryError("Not now.")


@pytest.fixture
def node():
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("interfaces", context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_a_goal_that_has_ended_is_forgotten_after_a_while(node, monkeypatch):
    monkeypatch.setattr(query_interfaces, "KEEP_RESULTS", 1)
    QueryInterfaces(node, Refusing(), lambda update: None, lambda sentence: None)
    client = ActionClient(node, Converse, "~/converse")
    listed = []
    node.create_subscription(
        GoalStatusArray, "~/converse/_action/status", lambda message: listed.append(len(message.status_list)), 10
    )
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)

    def result_of(future):
        executor.spin_until_future_complete(future, timeout_sec=30)
        return future.result()

    assert client.wait_for_server(30)
    for _ in range(3):
        assert result_of(result_of(client.send_goal_async(Converse.Goal(query="Hello?"))).get_result_async()).result
    until = time.monotonic() + 2.0
    while time.monotonic() < until:
        executor.spin_once(timeout_sec=0.1)
    listed.clear()
    goal = result_of(client.send_goal_async(Converse.Goal(query="Hello?")))
    assert result_of(goal.get_result_async()).result.message == "Not now."
    deadline = time.monotonic() + 30
    while not listed and time.monotonic() < deadline:
        executor.spin_once(timeout_sec=0.1)
    assert set(listed) == {1}  # what any client sees, of four
