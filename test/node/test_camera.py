# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The image subscription suits what is published, and says why no image can come."""

import time

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

import rclpy
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from videollm_ros.node.camera import Camera, reliability_for

BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE


@pytest.fixture
def node():
    rclpy.init()
    node = rclpy.create_node("camera_test", namespace="/camera_test")
    yield node
    node.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def publish(node):
    """Offers the topic `image` from a participant of its own, and returns once the node under test knows."""
    context = rclpy.Context()
    rclpy.init(context=context)
    publisher = rclpy.create_node("publisher", namespace="/camera_test", context=context)

    def offer(message_type, reliability):
        expected = len(node.get_publishers_info_by_topic("/camera_test/image")) + 1
        publisher.create_publisher(message_type, "image", QoSProfile(depth=1, reliability=reliability))
        deadline = time.monotonic() + 60
        while len(node.get_publishers_info_by_topic("/camera_test/image")) < expected:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    yield offer
    publisher.destroy_node()
    rclpy.shutdown(context=context)


def camera(node, qos="auto", transport="raw"):
    camera = Camera(node, transport, qos, lambda message: None)
    camera.open()
    return camera


@pytest.mark.parametrize(
    ("offered", "wanted"),
    [
        ([], BEST_EFFORT),
        ([RELIABLE], RELIABLE),
        ([BEST_EFFORT], BEST_EFFORT),
        ([RELIABLE, BEST_EFFORT], BEST_EFFORT),
    ],
)
def test_auto_takes_the_best_reliability_that_every_publisher_offers(node, publish, offered, wanted):
    for reliability in offered:
        publish(Image, reliability)
    publishers = node.get_publishers_info_by_topic("/camera_test/image")
    assert reliability_for("auto", publishers) == wanted
    assert reliability_for("reliable", publishers) == RELIABLE
    assert reliability_for("best_effort", publishers) == BEST_EFFORT


def test_without_a_publisher_it_says_so(node):
    assert "Nobody publishes on /camera_test/image" in camera(node).trouble()


def test_a_topic_of_the_other_type_is_named(node, publish):
    publish(CompressedImage, RELIABLE)
    trouble = camera(node).trouble()
    assert "carries sensor_msgs/msg/CompressedImage, not sensor_msgs/msg/Image: set image_transport" in trouble


def test_the_right_type_is_no_trouble(node, publish):
    publish(CompressedImage, RELIABLE)
    assert camera(node, transport="compressed").trouble() == ""


def test_a_fixed_reliability_that_does_not_match_is_named(node, publish):
    publish(Image, BEST_EFFORT)
    assert "set image.qos to auto or best_effort" in camera(node, qos="reliable").trouble()


def test_a_look_at_the_publishers_that_comes_after_closing_does_not_subscribe(node):
    closed = camera(node)
    closed.close()
    closed._follow_publishers()  # as the timer does whose callback was waiting meanwhile
    assert closed.reliability is None and not list(node.subscriptions)
    closed.open()
    assert len(list(node.subscriptions)) == 1


def test_without_a_clock_it_follows_the_publishers_all_the_same(node, publish):
    node.set_parameters([Parameter("use_sim_time", value=True)])
    opened = camera(node)
    publish(Image, RELIABLE)
    deadline = time.monotonic() + 60
    while opened.reliability != RELIABLE:
        assert time.monotonic() < deadline, "it still subscribes best effort"
        rclpy.spin_once(node, timeout_sec=0.1)
