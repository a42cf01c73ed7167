# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds assistants and their cameras in the ROS graph."""

from __future__ import annotations

from dataclasses import dataclass

from rclpy.node import Node

UTTERANCE = "videollm_ros/msg/AssistantUtterance"
RAW = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"


@dataclass(frozen=True)
class CameraTopic:
    """An image topic and its type."""

    name: str
    type: str


def assistants(node: Node) -> list[str]:
    """Return the full names of the assistants in the graph: those who publish `~/utterance`."""
    found = []
    for topic, types in node.get_topic_names_and_types():
        if UTTERANCE in types and topic.endswith("/utterance") and node.count_publishers(topic):
            found.append(topic.removesuffix("/utterance"))
    return sorted(found)


def camera_of(node: Node, assistant: str) -> CameraTopic | None:
    """Return the image topic that an assistant watches, or None while it watches none.

    Where the images of a raw topic are also published compressed beside it, as image_transport does, it is that topic:
    nothing has to be encoded for the page then, and less has to be sent.
    """
    namespace, _, name = assistant.rpartition("/")
    try:
        watched = node.get_subscriber_names_and_types_by_node(name, namespace or "/")
    except RuntimeError:  # rclpy's NodeNameNonExistentError among them: it has gone just now
        return None
    for topic, types in watched:
        if COMPRESSED in types:
            return CameraTopic(topic, COMPRESSED)
        if RAW in types:
            beside = f"{topic}/compressed"
            if any(each.topic_type == COMPRESSED for each in node.get_publishers_info_by_topic(beside)):
                return CameraTopic(beside, COMPRESSED)
            return CameraTopic(topic, RAW)
    return None
