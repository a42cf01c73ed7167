# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""foxglove/videollm_ros.json: up to date, and true to the graph of a running assistant."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

ROOT = Path(__file__).resolve().parents[3]
LAYOUT = ROOT / "foxglove" / "videollm_ros.json"


def interface(name):
    """The class of an interface such as std_msgs/msg/String."""
    package, kind, name = name.split("/")
    return getattr(importlib.import_module(f"{package}.{kind}"), name)


def values(tree, key):
    """Every value under a key, at any depth."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name == key:
                yield value
            yield from values(value, key)
    elif isinstance(tree, list):
        for each in tree:
            yield from values(each, key)


def make_layout(*arguments):
    pytest.importorskip("foxglove", reason="foxglove-sdk is not installed")
    command = [sys.executable, str(ROOT / "tools" / "foxglove_layout.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_the_layout_is_what_the_tool_writes():
    assert json.loads(LAYOUT.read_text()) == json.loads(make_layout())


@pytest.fixture(scope="module")
def layout():
    return json.loads(make_layout("--assistant", "/demo/assistant", "--image", "/demo/image"))


@pytest.fixture(scope="module")
def topics(graph, node, until):
    def published():
        found = dict(node.get_topic_names_and_types())
        needed = ("/demo/assistant/speak_probability", "/demo/assistant/utterance", "/demo/image", "/diagnostics")
        return found if all(node.count_publishers(topic) for topic in needed) else None

    return until(published)


def test_every_path_of_the_layout_leads_to_a_field_of_a_topic(layout, topics):
    paths = [each["value"] for series in values(layout, "paths") for each in series]
    paths += [path for key in ("topicPath", "imageTopic", "topicToRender") for path in values(layout, key)]
    assert len(paths) >= 5
    for path in paths:
        topic, *fields = re.split(r"\.", path)
        assert topic in topics, path
        message = interface(topics[topic][0])
        for field in fields:
            assert field in message.get_fields_and_field_types(), path


def test_every_button_of_the_layout_fits_the_graph(layout, topics, node, until):
    until(lambda: "/demo/assistant/mute" in dict(node.get_service_names_and_types()))
    services = dict(node.get_service_names_and_types())
    names = list(values(layout, "serviceName"))
    assert len(names) == 2
    for name, payload in zip(names, values(layout, "requestPayload"), strict=True):
        interface(services[name][0]).Request(**json.loads(payload))
    queries = [panel for panel in values(layout, "config") if "datatype" in panel]
    (query,) = queries
    assert topics[query["topicName"]] == [query["datatype"]]
    interface(query["datatype"])(**json.loads(query["value"]))
