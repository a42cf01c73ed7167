# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a stream tells, as topics and as lines in the log."""

from __future__ import annotations

import logging
from typing import Protocol

from rclpy.clock import Clock
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.lifecycle import LifecyclePublisher
from rclpy.qos import QoSProfile, ReliabilityPolicy

from videollm_ros.assistant.frames import Frame
from videollm_ros.assistant.listeners import StreamListener
from videollm_ros.assistant.updates import UtteranceUpdate
from videollm_ros.live import FrameDecision
from videollm_ros.msg import AssistantUtterance, SpeakProbability
from videollm_ros.node.image_stamps import ImageStamps
from videollm_ros.node.messages import probability_message, seconds, utterance_message

RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)


class PublishingNode(Protocol):
    """What is needed of a lifecycle node."""

    def create_lifecycle_publisher(self, message_type: type, topic: str, qos: QoSProfile) -> LifecyclePublisher:
        """Make a publisher that is silent while the node is not active."""

    def get_clock(self) -> Clock:
        """Return the node's clock."""

    def get_logger(self) -> RcutilsLogger:
        """Return the node's logger."""


class TopicOutputs(StreamListener):
    """Publishes utterances and probabilities, and writes a line in the log for each utterance."""

    def __init__(self, node: PublishingNode, stamps: ImageStamps) -> None:
        """Make the publishers on a lifecycle node. They are silent while it is not active."""
        self._node, self._stamps = node, stamps
        self._utterances = self._publisher(AssistantUtterance, "~/utterance")
        self._partials = self._publisher(AssistantUtterance, "~/utterance_partial")
        self._held_back = self._publisher(AssistantUtterance, "~/held_back")
        self._probabilities = self._publisher(SpeakProbability, "~/speak_probability")

    def wants_partials(self) -> bool:
        """Return whether somebody subscribes to the growing utterances."""
        return bool(self._partials.get_subscription_count() > 0)

    def on_frame(self, frame: Frame, decision: FrameDecision) -> None:
        """Publish the probability."""
        self._probabilities.publish(probability_message(frame.tag, decision))

    def on_partial(self, update: UtteranceUpdate) -> None:
        """Publish an utterance that grows."""
        self._partials.publish(self.message(update))

    def on_utterance(self, update: UtteranceUpdate) -> None:
        """Publish an utterance, also where its parts were published, and log it."""
        message = self.message(update)
        try:
            self._utterances.publish(message)
        finally:
            if update.sequence > 0:  # those who follow the partial ones see it end there, whatever happens
                self._partials.publish(message)
        kind = "Answers" if update.query else "Says"
        cut_off = ", cut off" if update.truncated else ""
        self._node.get_logger().info(f"{kind} at {_stamp(update)}{cut_off}: {update.text!r}")

    def on_held_back(self, update: UtteranceUpdate) -> None:
        """Publish what was not said aloud."""
        self._held_back.publish(self.message(update))

    def message(self, update: UtteranceUpdate) -> AssistantUtterance:
        """Return the one message of an update, for topics, service and action."""
        return utterance_message(update, self._node.get_clock().now(), self._stamps.offset)

    def _publisher(self, message_type: type, topic: str) -> LifecyclePublisher:
        return self._node.create_lifecycle_publisher(message_type, topic, RELIABLE)


class LogToRos(logging.Handler):
    """Passes the log lines of the parts that know no ROS on to the node's logger."""

    def __init__(self, node: PublishingNode) -> None:
        """Write to the logger of `node`."""
        super().__init__(logging.WARNING)
        self._logger = node.get_logger()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        if record.levelno >= logging.ERROR:
            self._logger.error(record.getMessage())
        else:
            self._logger.warning(record.getMessage())


def _stamp(update: UtteranceUpdate) -> str:
    return "no image" if update.tag is None else f"{seconds(update.tag.stamp):.3f} s"
