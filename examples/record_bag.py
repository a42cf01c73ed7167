# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Record a camera where there is no `ros2 bag record`: an image topic into a rosbag2 recording.

    python examples/record_bag.py --output recordings/run1 --topic /camera/image_raw --seconds 60

The messages are stored as they come, without being decoded. Ctrl-C ends the recording and closes the bag. With ROS 2
installed, take `ros2 bag record --storage mcap --output recordings/run1 /camera/image_raw`.
"""

import argparse
import contextlib
import shutil
import sys
import time
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CompressedImage, Image


def main() -> int:
    """Record until the time is over or Ctrl-C. Returns the exit code: 1 when no image came."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder of the bag; it must not exist")
    parser.add_argument("--topic", default="/camera/image_raw", help="default: /camera/image_raw")
    parser.add_argument("--compressed", action="store_true", help="the topic has sensor_msgs/CompressedImage")
    parser.add_argument("--seconds", type=float, help="how long; without it, until Ctrl-C")
    given = parser.parse_args()
    kind = CompressedImage if given.compressed else Image
    rclpy.init()
    node = rclpy.create_node("bag_recorder")
    count, there = 0, []
    try:
        given.output.parent.mkdir(parents=True, exist_ok=True)
        with Writer(given.output, version=9, storage_plugin=StoragePlugin.MCAP) as bag:
            name = f"sensor_msgs/msg/{kind.__name__}"
            connection = bag.add_connection(given.topic, name, typestore=get_typestore(Stores.ROS2_JAZZY))

            def write(message: bytes) -> None:
                nonlocal count
                bag.write(connection, time.time_ns(), message)
                count += 1

            # A best-effort subscription takes the images of every publisher, reliable or not.
            quality = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
            node.create_subscription(kind, given.topic, write, quality, raw=True)
            end = None if given.seconds is None else time.monotonic() + given.seconds
            # Inside, because the writer throws a bag away when an error leaves it.
            with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
                while end is None or time.monotonic() < end:
                    rclpy.spin_once(node, timeout_sec=0.1)
            if rclpy.ok():  # it is not after Ctrl-C
                there = image_topics(node)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    print(f"{given.output}: {count} images of {given.topic}")
    if count:
        return 0
    shutil.rmtree(given.output)
    found = f" Images are on {', '.join(there)}." if there else ""
    print(f"Nothing was recorded, so {given.output} is not kept.{found}", file=sys.stderr)
    return 1


def image_topics(node: Node) -> list[str]:
    """Return the topics with images that somebody publishes."""
    kinds = {"sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"}
    topics = node.get_topic_names_and_types()
    return [name for name, types in topics if kinds & {*types} and node.count_publishers(name)]


if __name__ == "__main__":
    sys.exit(main())
