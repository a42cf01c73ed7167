# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `speech_out`: says the assistant's utterances aloud, one at a time, answers first."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from videollm_ros.msg import AssistantUtterance
from videollm_ros.node.node_parameters import NodeParameters
from videollm_ros.node.parameter_schema import parameter
from videollm_ros.node.run_node import run_node
from videollm_ros.node.voice.engines import NAMES, Voice, VoiceError, open_voices
from videollm_ros.node.voice.speech_queue import Line, SpeechQueue

PERIOD = 0.05
"""Seconds between two looks at the voice and the queue."""

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@dataclass(frozen=True)
class SpeechOutParameters:
    """How utterances are said aloud."""

    engine: str = parameter(
        "auto",
        "What speaks. auto takes the first action server that is there, and the program where none is.",
        choices=NAMES,
    )
    command: str = parameter(
        "espeak-ng --stdin",
        "Program that speaks the text on its standard input. Used by the engine `process`.",
    )
    max_age: float = parameter(
        3.0,
        "Seconds that a proactive utterance may wait. An older one is dropped and counted. Answers are always said.",
        bounds=(0.0, 3600.0),
    )
    timeout: float = parameter(
        60.0,
        "Seconds after which an utterance that does not end is stopped.",
        bounds=(1.0, 3600.0),
    )


class SpeechOut(Node):
    """Subscribes to `utterance`, publishes the latched `~/speaking`, serves `~/stop`.

    Raises:
        VoiceError: the engine is not installed.
    """

    def __init__(self) -> None:
        """Open the voices and listen."""
        super().__init__("speech_out")
        self.ending, self.exit_code, self.is_loading = threading.Event(), 0, False  # for run_node
        self._settings = NodeParameters(self, SpeechOutParameters).current
        self._voices = open_voices(self, self._settings.engine, self._settings.command)
        self._queue = SpeechQueue(self._settings.max_age)
        self._voice: Voice | None = None  # the one that speaks now
        self._began = 0.0
        self._dropped = 0  # of the queue, as far as it was logged
        self._is_published_speaking = False
        self._speaking = self.create_publisher(Bool, "~/speaking", LATCHED)
        self._speaking.publish(Bool(data=False))
        self.create_subscription(AssistantUtterance, "utterance", self._heard, 10)
        self.create_service(Trigger, "~/stop", self._stop)
        self.create_timer(PERIOD, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))
        names = ", ".join(voice.name for voice in self._voices)
        self.get_logger().info(f"Says {self.resolve_topic_name('utterance')} aloud. Voices: {names}.")

    def close(self) -> None:
        """Fall silent."""
        if self._voice is not None:
            self._voice.stop()

    def _heard(self, message: AssistantUtterance) -> None:
        if message.final and message.text.strip():
            is_answer = message.kind == AssistantUtterance.ANSWER
            self._queue.put(Line(message.text, is_answer, time.monotonic()))

    def _tick(self) -> None:
        """Begin the next line when the last one has ended."""
        now = time.monotonic()
        if self._voice is not None:
            if self._voice.is_speaking and now - self._began < self._settings.timeout:
                return
            if self._voice.is_speaking:
                self.get_logger().warning(f"An utterance did not end within {self._settings.timeout:g} s: stopped.")
                self._voice.stop()
            self._voice = None
        line = self._queue.take(now)
        if self._queue.dropped > self._dropped:
            self._dropped = self._queue.dropped
            self.get_logger().info(f"{self._dropped} utterances were not said so far: they had waited too long.")
        if line is not None:
            self._say(line, now)
        elif self._is_published_speaking:
            self._publish_speaking(False)

    def _say(self, line: Line, now: float) -> None:
        voice = next((each for each in self._voices if each.is_available), None)
        try:
            if voice is None:
                raise VoiceError(f"No voice is available: {', '.join(each.name for each in self._voices)}.")
            if not self._is_published_speaking:
                self._publish_speaking(True)  # first, so that no ear hears the beginning
            voice.say(line.text)
        except VoiceError as error:
            self.get_logger().error(f"An utterance was not said. {error}", throttle_duration_sec=5.0)
            return
        self._voice, self._began = voice, now

    def _publish_speaking(self, is_speaking: bool) -> None:
        self._is_published_speaking = is_speaking
        self._speaking.publish(Bool(data=is_speaking))

    def _stop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        waiting = len(self._queue)
        self._queue.clear()
        self._dropped = self._queue.dropped
        if self._voice is not None:
            self._voice.stop()
            waiting += 1
        response.success, response.message = True, f"{waiting} utterances were stopped."
        return response


def main(args: list[str] | None = None) -> int:
    """Run the node until it is interrupted. Returns the exit code."""
    return run_node("speech_out", SpeechOut, args)


if __name__ == "__main__":
    sys.exit(main())
