# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The image subscription, with the reliability that the publisher offers; and why no image comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CompressedImage, Image

DEPTH = 5  # images; the callback only notes them, so none grows old here, and a busy machine loses none of 30 Hz
CHECK_PERIOD = 0.25  # seconds between two looks at the publishers
_TYPES = {"raw": (Image, "sensor_msgs/msg/Image"), "compressed": (CompressedImage, "sensor_msgs/msg/CompressedImage")}


def reliability_for(qos: str, publishers: Sequence[TopicEndpointInfo]) -> ReliabilityPolicy:
    """What to subscribe with: `qos` itself, or for auto the least that any publisher offers.

    Reliable where all are: best effort loses large images even between two processes of one machine. Best effort
    where one is not, and while there is no publisher: it matches every publisher.
    """
    if qos != "auto":
        return ReliabilityPolicy.RELIABLE if qos == "reliable" else ReliabilityPolicy.BEST_EFFORT
    offered = [publisher.qos_profile.reliability for publisher in publishers]
    if offered and all(each == ReliabilityPolicy.RELIABLE for each in offered):
        return ReliabilityPolicy.RELIABLE
    return ReliabilityPolicy.BEST_EFFORT


class Camera:
    """Subscribes to `image` from `open` to `close`, and subscribes anew when the publisher's offer changes.

    Args:
        transport: raw or compressed. qos: auto, reliable or best_effort.
        on_image: called with every message, in a callback group of its own.
    """

    def __init__(self, node: Node, transport: str, qos: str, on_image: Callable[[Image | CompressedImage], None]):
        self._node, self._qos, self._on_image = node, qos, on_image
        self._type, self._type_name = _TYPES[transport]
        self._group = MutuallyExclusiveCallbackGroup()
        self.topic = node.resolve_topic_name("image")
        self.reliability: ReliabilityPolicy | None = None  # None while closed
        self.received = 0  # images since it was opened
        self._lock = threading.Lock()  # a last call of the timer may meet `close`
        self._open = False
        self._subscription = self._timer = None

    def open(self) -> None:
        with self._lock:
            self.received, self._open = 0, True
            self._subscribe()
            # In the images' own group: a subscription is never replaced while its callback runs. On a clock that
            # runs without /clock.
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._timer = self._node.create_timer(CHECK_PERIOD, self._follow_publishers, self._group, steady)

    def close(self) -> None:
        with self._lock:
            if not self._open:
                return
            self._open = False
            self._node.destroy_timer(self._timer)
            self._node.destroy_subscription(self._subscription)
            self._timer = self._subscription = self.reliability = None

    def trouble(self) -> str:
        """Why no image can come, as a sentence; empty when nothing speaks against it."""
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        if not publishers:
            return f"Nobody publishes on {self.topic}: start the camera, or remap image to its topic."
        others = {each.topic_type for each in publishers} - {self._type_name}
        if len(others) == len({each.topic_type for each in publishers}):
            return f"{self.topic} carries {' and '.join(others)}, not {self._type_name}: set image_transport."
        best_effort = any(each.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT for each in publishers)
        if self.reliability == ReliabilityPolicy.RELIABLE and best_effort:
            return f"The publisher of {self.topic} offers best effort: set image.qos to auto or best_effort."
        return ""

    def _follow_publishers(self) -> None:
        with self._lock:
            if self._open:
                self._subscribe()

    def _subscribe(self) -> None:
        """Subscribe as the publishers offer, unless that is so already."""
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        wanted = reliability_for(self._qos, publishers)
        if wanted == self.reliability or (self._subscription is not None and not publishers):
            return
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self.reliability = wanted
        qos = QoSProfile(depth=DEPTH, reliability=wanted)
        self._subscription = self._node.create_subscription(
            self._type,
            "image",
            self._received,
            qos,
            callback_group=self._group,
            # `trouble` says it better; and rclpy cannot bear that such a callback goes while its executor waits for it.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )

    def _received(self, message: Image | CompressedImage) -> None:
        if self._open:
            self.received += 1
            self._on_image(message)
