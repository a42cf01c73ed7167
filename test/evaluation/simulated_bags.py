# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of the tabletop simulator with what happens in them."""

import json
from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from videollm_ros.sim import Tabletop

TYPES = get_typestore(Stores.ROS2_JAZZY)
START = 1_700_000_123_456_789_012


def header(stamp: int):
    time = TYPES.types["builtin_interfaces/msg/Time"](stamp // 10**9, stamp % 10**9)
    return TYPES.types["std_msgs/msg/Header"](time, "camera")


def image_message(rgb: np.ndarray, stamp: int, compressed: bool = False):
    if compressed:
        png = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1]
        return TYPES.types["sensor_msgs/msg/CompressedImage"](header(stamp), "png", png.reshape(-1))
    height, width, _ = rgb.shape
    return TYPES.types["sensor_msgs/msg/Image"](header(stamp), height, width, "rgb8", 0, 3 * width, rgb.reshape(-1))


def write_bag(path: Path, messages, storage: StoragePlugin = StoragePlugin.MCAP) -> Path:
    """Write (topic, recorded time, message)."""
    connections = {}
    with Writer(path, version=9, storage_plugin=storage) as writer:
        for topic, recorded, message in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, message.__msgtype__, typestore=TYPES)
            writer.write(connections[topic], recorded, TYPES.serialize_cdr(message, message.__msgtype__))
    return path


def text_message(text: str):
    return TYPES.types["std_msgs/msg/String"](text)


def tabletop_messages(
    tabletop: Tabletop, fps: float = 10.0, topic: str = "/camera/image_raw", compressed: bool = False
):
    """Images of a simulated stream. They are recorded 30 ms late."""
    for index in range(tabletop.num_frames(fps)):
        stamp = START + round(index / fps * 1e9)
        yield topic, stamp + 30_000_000, image_message(tabletop.render(index / fps), stamp, compressed)


def write_events(tabletop: Tabletop, path: Path) -> Path:
    path.write_text("".join(json.dumps({"time": e.time, "text": e.text}) + "\n" for e in tabletop.events))
    return path
