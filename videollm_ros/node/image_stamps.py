# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whose time an image has: that of its header, or that of its arrival. And how far the camera's clock is off."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from std_msgs.msg import Header

from videollm_ros.assistant.camera_clock import CameraClock
from videollm_ros.node.messages import seconds


class ImageStamps:
    """Stamps images as the parameter `image.stamp` says.

    auto: The header counts. An image without a stamp gets its time of arrival. Where the camera's clock is more than a
        second off ours, the offset is estimated, logged once, and taken out of the latency.
    header: The header counts, whatever it says.
    arrival: Every image gets its time of arrival.
    """

    def __init__(self, node: Node, mode: Callable[[], str]) -> None:
        """Stamp with the clock of `node`. `mode` returns the parameter, and is called at every image."""
        self._node, self._mode = node, mode
        self._clock = CameraClock()

    @property
    def offset(self) -> float:
        """Seconds to add to a stamp to have it on the node's clock. Zero while the two clocks count as one."""
        return self._clock.offset

    def describe(self) -> str:
        """Describe the camera's clock in one sentence. Empty while it is ours."""
        return self._clock.describe()

    def stamp(self, header: Header) -> None:
        """Set the stamp of an image that has just arrived, where it is not to be kept."""
        mode, now = self._mode(), self._node.get_clock().now()
        is_missing = header.stamp.sec == 0 and header.stamp.nanosec == 0
        if mode == "arrival" or (mode == "auto" and is_missing):
            if mode == "auto":
                self._node.get_logger().warning(
                    "The images have no stamp: the time of their arrival is used.", once=True
                )
            header.stamp = now.to_msg()
        elif mode == "auto" and now.nanoseconds > 0:  # simulated time is zero until /clock comes
            self._clock.observe(seconds(header.stamp), now.nanoseconds * 1e-9)
            if sentence := self._clock.report():
                self._node.get_logger().warning(sentence)
