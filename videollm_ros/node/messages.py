# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the inference thread says, as messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builtin_interfaces.msg import Time as TimeMessage
from rclpy.time import Time
from std_msgs.msg import Header

from videollm_ros.assistant.speech import Speech
from videollm_ros.msg import AssistantUtterance, SpeakProbability

if TYPE_CHECKING:  # a listener needs no torch
    from videollm_ros.live import FrameDecision


def seconds(stamp: TimeMessage) -> float:
    """A stamp as float seconds. Good to a quarter of a microsecond; messages copy the stamp itself."""
    return stamp.sec + stamp.nanosec * 1e-9


def utterance_message(speech: Speech, now: Time) -> AssistantUtterance:
    """One message of an utterance; `now`, on the node's clock, gives its latency."""
    message = AssistantUtterance(
        id=speech.id,
        sequence=speech.sequence,
        final=speech.final,
        kind=AssistantUtterance.PROACTIVE if speech.query is None else AssistantUtterance.ANSWER,
        text=speech.text,
        query=speech.query or "",
        query_id=speech.query_id,
        speak_probability=speech.speak_probability,
    )
    if speech.header is not None:
        message.header = speech.header
        message.latency = (now - Time.from_msg(speech.header.stamp, clock_type=now.clock_type)).to_msg()
    return message


def probability_message(header: Header, decision: FrameDecision) -> SpeakProbability:
    """The decision on the frame with this header."""
    return SpeakProbability(header=header, probability=decision.speak_probability, threshold=decision.threshold)
