# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Four clocks of devices: the latency is right within 50 ms, and each is reported once."""

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

from rclpy.time import Time
from std_msgs.msg import Header

from videollm_ros.assistant.updates import UtteranceUpdate
from videollm_ros.node.image_stamps import ImageStamps
from videollm_ros.node.messages import utterance_message

NOW = 1_795_000_000.0
DELAY = 0.02  # seconds from the picture to its arrival


class FakeNode:
    """A clock that is set by hand, and a log."""

    def __init__(self):
        self.now, self.warnings = NOW, []

    def get_clock(self):
        return SimpleNamespace(now=lambda: Time(nanoseconds=round(self.now * 1e9)))

    def get_logger(self):
        return SimpleNamespace(warning=self._warn)

    def _warn(self, sentence, once=False):
        if not (once and sentence in self.warnings):
            self.warnings.append(sentence)


def header(stamp: float) -> Header:
    return Header(stamp=Time(nanoseconds=round(stamp * 1e9)).to_msg())


def latency(node: FakeNode, stamps: ImageStamps, image: Header) -> float:
    """What a message says that is published 30 ms after the image came."""
    update = UtteranceUpdate(id=1, sequence=0, final=True, text="", stamp=0.0, tag=image, speak_probability=0.0)
    now = Time(nanoseconds=round((node.now + 0.03) * 1e9))
    message = utterance_message(update, now, stamps.offset)
    return message.latency.sec + message.latency.nanosec * 1e-9


CLOCKS = {
    "right": (lambda taken: taken, 0),
    "zero": (lambda taken: 0.0, 1),
    "since boot": (lambda taken: taken - NOW + 5.0, 1),
    "3 s ahead": (lambda taken: taken + 3.0, 1),
    "a recording": (lambda taken: taken - 86400.0 * 12, 1),
}


@pytest.mark.parametrize("clock", CLOCKS)
def test_the_latency_is_right_and_a_wrong_clock_is_reported_once(clock):
    stamp, reports = CLOCKS[clock]
    node = FakeNode()
    stamps = ImageStamps(node, lambda: "auto")
    for index in range(100):
        taken = NOW + index / 10
        node.now = taken + DELAY
        image = header(stamp(taken))
        stamps.stamp(image)
    assert latency(node, stamps, image) == pytest.approx(DELAY + 0.03, abs=0.05)
    assert len(node.warnings) == reports
    assert image == header(stamp(taken)) or clock == "zero"  # so that a peer finds its own frame again


def test_header_believes_every_stamp_and_arrival_none():
    node = FakeNode()
    believed, ignored = header(5.0), header(5.0)
    ImageStamps(node, lambda: "header").stamp(believed)
    ImageStamps(node, lambda: "arrival").stamp(ignored)
    assert believed == header(5.0)
    assert ignored == header(NOW)
    assert not node.warnings


def test_simulated_time_that_has_not_begun_says_nothing_about_the_camera():
    node = FakeNode()
    node.now = 0.0
    stamps = ImageStamps(node, lambda: "auto")
    for index in range(50):
        stamps.stamp(header(100.0 + index))
    assert stamps.offset == 0.0 and not node.warnings
