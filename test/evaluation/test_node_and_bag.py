# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The assistant node that is fed a bag says the same words at the same stamps as the evaluation of that bag."""

import functools
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from videollm_ros.evaluation.recording import BagRecording
from videollm_ros.evaluation.transcribe import transcribe
from videollm_ros.media.bags import Bag
from videollm_ros.msg import AssistantUtterance, SpeakProbability
from videollm_ros.sim import Tabletop

pytestmark = pytest.mark.ros

DEMO = Path(__file__).parents[2] / "checkpoints" / "demo"
TIMEOUT = 120.0  # seconds


@pytest.fixture
def node():
    rclpy.init()
    node = rclpy.create_node("player_of_a_bag", namespace="/bag_test")
    yield node
    node.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def assistant():
    command = [sys.executable, "-m", "videollm_ros.node.assistant_node", "--ros-args", "-r", "__ns:=/bag_test"]
    command += ["-p", f"model.checkpoint:={DEMO}", "-p", "model.device:=cpu", "-p", "image.stamp:=header"]
    process = subprocess.Popen(command)
    yield process
    process.terminate()
    process.wait(60)


def key(stamp):
    return stamp.sec * 10**9 + stamp.nanosec


def test_the_live_node_says_what_the_offline_run_says(node, assistant, simulated_bags, demo_model, tmp_path):
    messages = simulated_bags.tabletop_messages(Tabletop(9003, seconds=25.0), fps=4.0)
    bag = simulated_bags.write_bag(tmp_path / "bag", messages)
    offline = transcribe(demo_model, BagRecording(bag))
    assert len(offline.utterances) >= 2

    decisions, utterances = {}, []
    images = node.create_publisher(Image, "image", QoSProfile(depth=10))
    node.create_subscription(
        SpeakProbability, "assistant/speak_probability", lambda m: decisions.update({key(m.header.stamp): m}), 100
    )
    node.create_subscription(AssistantUtterance, "assistant/utterance", utterances.append, 100)
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def wait_for(condition, what, meanwhile=lambda: None):
        deadline, again = time.monotonic() + TIMEOUT, time.monotonic() + 2
        while not condition():
            assert assistant.poll() is None and time.monotonic() < deadline, what
            executor.spin_once(timeout_sec=0.1)
            if time.monotonic() > again:
                meanwhile()
                again += 2

    ready = f"{node.get_namespace()}/assistant/speak_probability"
    wait_for(lambda: images.get_subscription_count() and node.count_publishers(ready), "the assistant did not start")
    read = {each.stamp for each in offline.decisions}
    with Bag(bag) as recorded:
        for image in recorded.images("/camera/image_raw"):
            message, source = Image(), image.message
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(image.stamp, 10**9)
            message.header.frame_id, message.encoding = source.header.frame_id, source.encoding
            message.height, message.width, message.step = source.height, source.width, source.step
            message.data.frombytes(source.data.tobytes())
            images.publish(message)
            if image.stamp in read:  # nothing is dropped: the next image comes when this one was read
                # The first images are lost while the two discover each other. The same stamp again changes nothing.
                resend = functools.partial(images.publish, message)
                wait_for(lambda stamp=image.stamp: stamp in decisions, f"{image.stamp} was not read", resend)
    wait_for(lambda: len(utterances) >= len(offline.utterances), "an utterance is missing")

    assert [(key(each.header.stamp), each.text) for each in utterances] == [
        (each.stamp, each.text) for each in offline.utterances
    ]
    assert sorted(decisions) == [each.stamp for each in offline.decisions]
    for each in offline.decisions:
        assert decisions[each.stamp].probability == pytest.approx(each.speak_probability, abs=1e-3)
