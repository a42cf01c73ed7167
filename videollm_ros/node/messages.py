# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From what a stream tells to messages. This module does not import torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builtin_interfaces.msg import Duration
from builtin_interfaces.msg import Time as TimeMessage
from rclpy.time import Time
from std_msgs.msg import Header

from videollm_ros.assistant.updates import UtteranceUpdate
from videollm_ros.msg import AssistantUtterance, SpeakProbability

if TYPE_CHECKING:
    from videollm_ros.live import FrameDecision


def seconds(stamp: TimeMessage) -> float:
    """Return a stamp as float seconds. It is good to a quarter of a microsecond; messages copy the stamp itself."""
    return float(stamp.sec + stamp.nanosec * 1e-9)


def utterance_message(update: UtteranceUpdate, now: Time, offset: float = 0.0) -> AssistantUtterance:
    """Return the message of an update. The first call makes it, and later calls return the same one.

    Args:
        update: One utterance as far as it has grown. Its tag is the image's header, or None.
        now: Time of publication on the node's clock, for the latency. Ignored if the message exists already.
        offset: Seconds to add to an image's stamp to have it on the node's clock.
    """
    if update.message is None:
        update.message = _make_message(update, now, offset)
    message: AssistantUtterance = update.message
    return message


def _make_message(update: UtteranceUpdate, now: Time, offset: float) -> AssistantUtterance:
    query = update.query
    message = AssistantUtterance(
        id=update.id,
        sequence=update.sequence,
        final=update.final,
        kind=AssistantUtterance.PROACTIVE if query is None else AssistantUtterance.ANSWER,
        text=update.text,
        query=query.text if query else "",
        query_id=query.query_id if query else "",
        speak_probability=update.speak_probability,
        held_back=update.held_back or AssistantUtterance.NOT_HELD_BACK,
    )
    if update.tag is not None:
        message.header = update.tag
        stamp = update.tag.stamp
        # Whole nanoseconds, whatever the stamp: rclpy's Time refuses negative ones.
        latency = now.nanoseconds - (stamp.sec * 10**9 + stamp.nanosec) - round(offset * 1e9)
        message.latency = Duration(sec=latency // 10**9, nanosec=latency % 10**9)
    return message


def probability_message(header: Header, decision: FrameDecision) -> SpeakProbability:
    """Return the message of the decision on the frame with this header."""
    return SpeakProbability(header=header, probability=decision.speak_probability, threshold=decision.threshold)
