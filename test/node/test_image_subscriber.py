# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The image subscription suits what is published, reads one publisher, and says what is wrong."""

import time

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

import rclpy
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

from videollm_ros.node import image_subscriber
from videollm_ros.node.image_subscriber import ImageSubscriber, reliability_for

BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE
TOPIC = "/camera_test/image"


@pytest.fixture
def node():
    rclpy.init()
    node = rclpy.create_node("camera_test", namespace="/camera_test")
    yield node
    node.destroy_node()
    rclpy.shutdown()


class Publisher:
    """A node in a participant of its own that offers the topic `image`."""

    def __init__(self, watcher, name):
        self._watcher = watcher
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node(name, namespace="/camera_test", context=self._context)
        self._publisher = None

    def offer(self, message_type, reliability):
        """Return once the node under test knows."""
        expected = len(self._watcher.get_publishers_info_by_topic(TOPIC)) + 1
        qos = QoSProfile(depth=10, reliability=reliability)
        self._publisher = self._node.create_publisher(message_type, "image", qos)
        deadline = time.monotonic() + 60
        while len(self._watcher.get_publishers_info_by_topic(TOPIC)) != expected:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return self

    def send(self, frame_id="eye"):
        image = Image(height=2, width=4, encoding="rgb8", step=12, data=bytes(24))
        image.header.frame_id = frame_id
        self._publisher.publish(image)

    def close(self):
        if self._context.ok():
            self._node.destroy_node()
            rclpy.shutdown(context=self._context)


@pytest.fixture
def publisher(node):
    made = []

    def make(name="publisher"):
        made.append(Publisher(node, name))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def publish(publisher):
    return lambda message_type, reliability: publisher().offer(message_type, reliability)


@pytest.fixture
def impatient(monkeypatch):
    """Discovery and log need no time."""
    monkeypatch.setattr(image_subscriber, "DISCOVERY", 0.0)
    monkeypatch.setattr(image_subscriber, "LOG_AFTER", 0.0)


@pytest.fixture
def log(node, monkeypatch):
    """What the node logs: (level, sentence)."""
    lines = []
    logger = node.get_logger()
    for level in ("info", "warning"):
        monkeypatch.setattr(logger, level, lambda sentence, level=level: lines.append((level, sentence)))
    return lines


def camera(node, qos="auto", transport="raw", on_image=lambda message: None):
    subscriber = ImageSubscriber(node, on_image)
    subscriber.open(transport, qos)
    return subscriber


def spin_until(node, condition, what="it did not happen"):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        rclpy.spin_once(node, timeout_sec=0.05)


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
    publishers = node.get_publishers_info_by_topic(TOPIC)
    assert reliability_for("auto", publishers) == wanted
    assert reliability_for("reliable", publishers) == RELIABLE
    assert reliability_for("best_effort", publishers) == BEST_EFFORT


def test_nobody_publishing_is_said_after_discovery_had_its_time(node, monkeypatch):
    subscriber = camera(node)
    assert subscriber.diagnose() == ""
    monkeypatch.setattr(image_subscriber, "DISCOVERY", 0.0)
    assert "Nobody publishes on /camera_test/image" in subscriber.diagnose()


def test_a_topic_of_the_other_type_is_named(node, publish):
    publish(CompressedImage, RELIABLE)
    trouble = camera(node).diagnose()
    assert "carries sensor_msgs/msg/CompressedImage, not sensor_msgs/msg/Image: set image_transport" in trouble


def test_the_right_type_is_no_trouble(node, publish):
    publish(CompressedImage, RELIABLE)
    assert camera(node, transport="compressed").diagnose() == ""


def test_a_reliability_set_by_hand_that_does_not_match_is_named(node, publish):
    publish(Image, BEST_EFFORT)
    assert "set image.qos to auto or best_effort" in camera(node, qos="reliable").diagnose()


def test_with_auto_a_camera_that_comes_back_best_effort_is_no_trouble(node, publisher):
    first = publisher().offer(Image, RELIABLE)
    subscriber = camera(node)
    spin_until(node, lambda: subscriber.reliability == RELIABLE)
    first.close()
    spin_until(node, lambda: not node.get_publishers_info_by_topic(TOPIC))
    publisher().offer(Image, BEST_EFFORT)
    assert subscriber.reliability == RELIABLE  # nobody has spun since
    assert subscriber.diagnose() == ""


def test_a_look_at_the_publishers_that_comes_after_closing_does_not_subscribe(node):
    closed = camera(node)
    closed.close()
    closed._follow_publishers()  # as the timer does whose callback was waiting meanwhile
    assert closed.reliability is None and not list(node.subscriptions)
    closed.open("raw", "auto")
    assert len(list(node.subscriptions)) == 1


def test_without_a_clock_it_follows_the_publishers_and_says_that_there_is_no_clock(node, publish, impatient):
    node.set_parameters([Parameter("use_sim_time", value=True)])
    opened = camera(node)
    publish(Image, RELIABLE)
    spin_until(node, lambda: opened.reliability == RELIABLE, "it still subscribes best effort")
    assert opened.diagnose().startswith("use_sim_time is true and nobody publishes /clock")
    node.create_publisher(Clock, "/clock", 1)
    spin_until(node, lambda: "clock" not in opened.diagnose())


def test_of_two_publishers_one_is_read_and_both_are_named(node, publisher, impatient, log):
    received = []
    first = publisher("first").offer(Image, RELIABLE)
    subscriber = camera(node, on_image=lambda image: received.append(image.header.frame_id))
    spin_until(node, lambda: subscriber.publisher == "/camera_test/first")
    spin_until(node, lambda: subscriber.reliability == RELIABLE)
    while not received:  # the two have found each other
        first.send("first")
        rclpy.spin_once(node, timeout_sec=0.05)
    second = publisher("second").offer(Image, RELIABLE)
    while not subscriber.ignored:
        first.send("first")
        second.send("second")
        rclpy.spin_once(node, timeout_sec=0.05)
    assert set(received) == {"first"}
    sentence = (
        "/camera_test/image has more than one publisher: the images of /camera_test/first are read, those of "
        "/camera_test/second are ignored."
    )
    # The name of the second is learned later than its images.
    spin_until(node, lambda: subscriber.diagnose() == sentence or first.send("first"))
    spin_until(node, lambda: ("warning", sentence) in log or first.send("first"))
    assert [line for _, line in log].count(sentence) == 1

    first.close()
    spin_until(node, lambda: subscriber.publisher == "/camera_test/second")
    spin_until(node, lambda: received[-1] == "second" or second.send("second"))
    assert subscriber.diagnose() == ""


def test_the_log_tells_the_first_image_and_that_the_camera_goes_and_comes_back(node, publisher, impatient, log):
    subscriber = camera(node)
    spin_until(node, lambda: any("Nobody publishes" in line for _, line in log))
    eye = publisher("eye").offer(Image, RELIABLE)
    spin_until(node, lambda: subscriber.publisher == "/camera_test/eye" and subscriber.reliability == RELIABLE)
    spin_until(node, lambda: subscriber.received >= 10 or eye.send())
    spin_until(node, lambda: any("Images come on" in line for _, line in log))
    description = next(line for _, line in log if "Images come on" in line)
    assert description.startswith("Images come on /camera_test/image: 4x2 rgb8")
    assert description.endswith("from /camera_test/eye (reliable).")

    log.clear()
    spin_until(node, lambda: any("No image has come" in line for _, line in log))
    assert "No image has come on /camera_test/image for" in subscriber.diagnose()
    spin_until(node, lambda: ("info", "Images come on /camera_test/image again.") in log or eye.send())
    assert len(log) == 2, log
