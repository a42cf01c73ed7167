# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers that messages carry are those of the stream."""

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

from rclpy.clock_type import ClockType
from rclpy.time import Time
from std_msgs.msg import Header

from videollm_ros.assistant.updates import UtteranceUpdate
from videollm_ros.live import FrameDecision
from videollm_ros.node.messages import probability_message, utterance_message


def header(sec, nanosec=0):
    message = Header(frame_id="camera")
    message.stamp.sec, message.stamp.nanosec = sec, nanosec
    return message


def test_a_speak_probability_is_published_as_it_is_with_its_threshold():
    decision = FrameDecision(stamp=3.0, speak_probability=0.25, threshold=0.75, wants_to_speak=False, speaks=False)
    message = probability_message(header(3), decision)
    assert (message.probability, message.threshold, message.header.stamp.sec) == (0.25, 0.75, 3)


def update(stamp):
    return UtteranceUpdate(7, 2, True, "A cup.", float(stamp.stamp.sec), stamp, 0.5, None, False)


@pytest.mark.parametrize(
    ("sec", "nanosec", "offset", "latency"),
    [(8, 500_000_000, 0.0, (1, 500_000_000)), (8, 0, 1.5, (0, 500_000_000)), (-5, 0, 0.0, (15, 0))],
)
def test_the_latency_is_from_the_image_to_now_on_the_nodes_clock(sec, nanosec, offset, latency):
    now = Time(seconds=10, clock_type=ClockType.ROS_TIME)
    message = utterance_message(update(header(sec, nanosec)), now, offset)
    assert (message.latency.sec, message.latency.nanosec) == latency
