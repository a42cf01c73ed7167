# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscribes to one assistant and its camera while somebody looks, and tells what comes as events."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from builtin_interfaces.msg import Time as TimeMessage
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from videollm_ros.media.errors import ImageError
from videollm_ros.msg import AssistantUtterance, SpeakProbability
from videollm_ros.node.client import AssistantClient
from videollm_ros.node.console.frames import FrameStore
from videollm_ros.node.console.graph import COMPRESSED, CameraTopic, camera_of
from videollm_ros.node.console.state import FIGURES, Event

STALE_AFTER = 3.5  # seconds without a sign of life: diagnostics come once a second
REASONS = ("MUTED", "REPEAT", "COOLDOWN", "EMPTY")  # constants of AssistantUtterance.held_back
# Best effort: a page that is too slow for its images must never slow the camera down.
IMAGE_QOS = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)

Sink = Callable[[Event], None]


class AssistantWatch:
    """The eyes of the console on one assistant. All methods run on the executor's thread.

    Args:
        node: The console's node.
        name: Full name of the assistant.
        frames: Where the camera's images are kept.
        sink: Takes each event.
    """

    def __init__(self, node: Node, name: str, frames: FrameStore, sink: Sink) -> None:
        self.name = name
        self.client = AssistantClient(node, name)
        self._node, self._frames, self._sink = node, frames, sink
        self._subscriptions: list[Subscription] = [
            self._subscribe(AssistantUtterance, "utterance", self._heard),
            self._subscribe(AssistantUtterance, "utterance_partial", self._heard),
            self._subscribe(SpeakProbability, "speak_probability", self._decided),
        ]
        self._held_back: Subscription | None = None
        self._camera: CameraTopic | None = None
        self._images: Subscription | None = None
        self._last_image = self._last_sign = time.monotonic()
        self._state = ""  # of the lifecycle
        self._condition: Event = {}
        self._image_error = ""

    def close(self) -> None:
        """End every subscription."""
        self.client.close()
        for subscription in (*self._subscriptions, self._held_back, self._images):
            if subscription is not None:
                self._node.destroy_subscription(subscription)

    def _subscribe(self, message_type: type, topic: str, callback: Callable[[Any], None], depth: int = 50) -> Any:
        return self._node.create_subscription(message_type, f"{self.name}/{topic}", callback, depth)

    # Once a second.

    def check(self, *, present: bool) -> None:
        """Look at the graph again: whether the assistant is there, and what it watches."""
        if present and self._held_back is None and self._node.count_publishers(f"{self.name}/held_back"):
            self._held_back = self._subscribe(AssistantUtterance, "held_back", self._heard_held_back)
        camera = camera_of(self._node, self.name) if present else None
        if camera != self._camera and (camera is not None or not present):
            self._follow(camera)
        condition = self._judge(present)
        if condition != self._condition:
            if condition["assistant"] in ("absent", "silent"):
                self._sink({"type": "cut_off"})
            self._condition = condition
            self._sink(condition)

    def _follow(self, camera: CameraTopic | None) -> None:
        if self._images is not None:
            self._node.destroy_subscription(self._images)
            self._images = None
        if camera is not None and (self._camera is None or camera.name != self._camera.name):
            self._frames.clear()
        self._camera = camera
        if camera is None:
            return
        message_type = CompressedImage if camera.type == COMPRESSED else Image
        self._images = self._node.create_subscription(
            message_type,
            camera.name,
            self._image_came,
            IMAGE_QOS,
            # rclpy cannot bear that such a callback goes while its executor waits for it.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )
        self._last_image = time.monotonic()

    def _judge(self, present: bool) -> Event:
        """Say how the assistant and its camera are."""
        now = time.monotonic()
        publishers = self._node.count_publishers(self._camera.name) if self._camera is not None else 0
        if self._camera is None:
            camera = "none"
        elif not publishers:
            camera = "nobody"
        else:
            camera = "stalled" if now - self._last_image > STALE_AFTER else "ok"
        assistant = "absent" if not present else "silent" if now - self._last_sign > STALE_AFTER else "present"
        topic = self._camera.name if self._camera is not None else ""
        return {"type": "condition", "assistant": assistant, "camera": camera, "topic": topic, "state": self._state}

    # What comes.

    def _image_came(self, message: Image | CompressedImage) -> None:
        self._last_image = time.monotonic()
        stamp = _nanoseconds(message.header.stamp) or self._node.get_clock().now().nanoseconds
        self._frames.add(stamp, message)

    def _decided(self, message: SpeakProbability) -> None:
        self._sink(
            {
                "type": "probability",
                "stamp": _nanoseconds(message.header.stamp) * 1e-9,
                "probability": message.probability,
                "threshold": message.threshold,
            }
        )

    def _heard(self, message: AssistantUtterance, *, held_back: bool = False) -> None:
        self._last_sign = time.monotonic()
        stamp = _nanoseconds(message.header.stamp)
        event = {
            "type": "utterance",
            "key": f"{'held' if held_back else 'said'}-{message.id}-{stamp}-{message.query_id}",
            "sequence": message.sequence,
            "final": message.final or held_back,
            "answer": message.kind == AssistantUtterance.ANSWER,
            "held_back": held_back,
            "text": message.text,
            "query": message.query,
            "stamp": stamp * 1e-9,
            "probability": message.speak_probability,
            "latency": message.latency.sec + message.latency.nanosec * 1e-9,
            "frame": None,
        }
        if held_back:
            value = getattr(message, "held_back", None)
            event["reason"] = next((name.lower() for name in REASONS if getattr(message, name, -1) == value), "")
        if stamp and (found := self._pin(stamp)) is not None:
            event["frame"], event["frame_offset"] = str(found), (found - stamp) * 1e-9
        self._sink(event)

    def _heard_held_back(self, message: AssistantUtterance) -> None:
        self._heard(message, held_back=True)

    def _pin(self, stamp: int) -> int | None:
        try:
            return self._frames.pin(stamp)
        except ImageError as error:
            self.image_failed(str(error))
            return None

    def image_failed(self, sentence: str) -> None:
        """Tell that an image cannot be shown, once for each reason."""
        if sentence != self._image_error:
            self._image_error = sentence
            self._sink({"type": "image_error", "sentence": sentence})

    def diagnosed(self, statuses: list[DiagnosticStatus]) -> None:
        """Take the statuses of /diagnostics that are this assistant's."""
        self._last_sign = time.monotonic()
        values = {pair.key: pair.value for status in statuses for pair in status.values}
        self._state = values.get("state", self._state)
        self._sink(
            {
                "type": "status",
                "figures": {figure: values[key] for figure, key in FIGURES.items() if key in values},
                "latency": {
                    key.removeprefix("latency: ").split(",")[0]: value
                    for key, value in values.items()
                    if key.startswith("latency: ") and "mean" in key
                },
                "warnings": [
                    {"part": status.name.split(": ", 1)[1], "level": status.level[0], "message": status.message}
                    for status in statuses
                    if status.level != DiagnosticStatus.OK
                ],
            }
        )


def _nanoseconds(stamp: TimeMessage) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
