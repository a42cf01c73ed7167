# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `speech_in`: turns what a recognizer hears into queries, and leaves out the assistant's own voice."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Bool, String

from videollm_ros.msg import AssistantUtterance
from videollm_ros.node.node_parameters import NodeParameters
from videollm_ros.node.parameter_schema import parameter
from videollm_ros.node.run_node import run_node
from videollm_ros.node.voice.hearing import Hearing

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@dataclass(frozen=True)
class SpeechInParameters:
    """What is heard, and what of it is a query."""

    type: str = parameter(
        "string",
        "Type of the topic `speech`. string is std_msgs/String, live_speech is hri_msgs/LiveSpeech.",
        choices=("string", "live_speech"),
    )
    wake_word: str = parameter("", "Words that a query begins with, such as `hey robot`. Empty: every phrase is one.")
    min_confidence: float = parameter(
        0.0,
        "Least confidence of a phrase. Only live_speech tells it.",
        bounds=(0.0, 1.0),
    )
    pause: float = parameter(
        1.0,
        "Seconds after the assistant has spoken in which nothing counts as a query.",
        bounds=(0.0, 60.0),
    )


class SpeechIn(Node):
    """Subscribes to `speech`, `speaking` and `utterance`, and publishes `query`.

    Raises:
        ValueError: hri_msgs is not installed, and live_speech was asked for.
    """

    def __init__(self) -> None:
        """Listen."""
        super().__init__("speech_in")
        self.ending, self.exit_code, self.is_loading = threading.Event(), 0, False  # for run_node
        self._settings = NodeParameters(self, SpeechInParameters).current
        self._hearing = Hearing(self._settings.wake_word, self._settings.pause)
        self._queries = self.create_publisher(String, "query", 10)
        self.create_subscription(Bool, "speaking", self._speaking, LATCHED)
        self.create_subscription(AssistantUtterance, "utterance", self._said, 10)
        if self._settings.type == "string":
            self.create_subscription(String, "speech", lambda message: self._heard(message.data), 10)
        else:
            self.create_subscription(_live_speech(), "speech", self._heard_live, 10)
        self.get_logger().info(f"Listens to {self.resolve_topic_name('speech')}.")

    def close(self) -> None:
        """Do nothing: the node holds nothing."""

    def _speaking(self, message: Bool) -> None:
        self._hearing.speaking(message.data, time.monotonic())

    def _said(self, message: AssistantUtterance) -> None:
        self._hearing.said(message.text, time.monotonic())

    def _heard_live(self, message: Any) -> None:
        if message.final and message.confidence >= self._settings.min_confidence:
            self._heard(message.final)

    def _heard(self, phrase: str) -> None:
        if query := self._hearing.query(phrase, time.monotonic()):
            self.get_logger().info(f"Asks: {query}")
            self._queries.publish(String(data=query))
        else:
            self.get_logger().debug(f"Heard, and no query: {phrase}")


def _live_speech() -> Any:
    try:
        return import_module("hri_msgs.msg").LiveSpeech
    except ImportError as error:
        raise ValueError(f"type live_speech needs the package hri_msgs: {error}. Install it, or use string.") from error


def main(args: list[str] | None = None) -> int:
    """Run the node until it is interrupted. Returns the exit code."""
    return run_node("speech_in", SpeechIn, args)


if __name__ == "__main__":
    sys.exit(main())
