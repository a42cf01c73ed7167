# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What keeps requests and their responses from being lost on the way, on both sides.

Services and actions keep the newest 10 messages by default (rmw_qos_profile_services_default). When more come at
once, the middleware drops the oldest without a trace. This holds for the requests at the server, and also for the
responses at the client.
"""

from __future__ import annotations

import threading
from typing import Any

from rclpy.action import ActionClient
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.task import Future

REQUESTS = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
"""Requests, responses and feedback that arrive at once."""


class LosslessActionClient(ActionClient):  # type: ignore[misc] # rclpy has no types
    """An action client with deep queues, whose methods may be called beside the executor.

    Up to rclpy 7.1.5 a response that comes before its request is registered is dropped with the log line "Ignoring
    unexpected goal response" (rclpy#1123, mended by rclpy#1517 in 7.1.6). A lock holds such a response back.
    """

    def __init__(self, node: Node, action_type: type, name: str, callback_group: CallbackGroup) -> None:
        """Make the client.

        Args:
            node: Where it lives.
            action_type: The type of the action.
            name: The name of the action.
            callback_group: In which the executor calls it.
        """
        self._registering = threading.RLock()
        super().__init__(
            node,
            action_type,
            name,
            callback_group=callback_group,
            goal_service_qos_profile=REQUESTS,
            result_service_qos_profile=REQUESTS,
            cancel_service_qos_profile=REQUESTS,
            feedback_sub_qos_profile=REQUESTS,
        )

    def send_goal_async(self, *arguments: Any, **options: Any) -> Future:
        """Send a goal, as `ActionClient.send_goal_async` does."""
        with self._registering:
            return super().send_goal_async(*arguments, **options)

    def take_data(self) -> Any:
        """Take what has arrived. The executor calls this."""
        with self._registering:
            return super().take_data()

    # A goal handle calls these two. In an rclpy that has them under other names, they stay without a lock.

    def _get_result_async(self, goal_handle: Any) -> Future:
        with self._registering:
            return super()._get_result_async(goal_handle)

    def _cancel_goal_async(self, goal_handle: Any) -> Future:
        with self._registering:
            return super()._cancel_goal_async(goal_handle)
