# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""launch/record.launch.py records the topics that the assistant really has."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("launch.actions", reason="launch is not installed: it comes with a ROS 2 distribution")

pytestmark = pytest.mark.ros

PATH = Path(__file__).parents[2] / "launch" / "record.launch.py"


@pytest.fixture(scope="module")
def record():
    spec = importlib.util.spec_from_file_location("record_launch", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_topics_are_full_names(record):
    assert record.topics("/camera/image_raw", "")[0] == "/camera/image_raw"
    assert record.topics("image", "/robot/") == [
        "/robot/image",
        "/robot/assistant/utterance",
        "/robot/assistant/held_back",
        "/robot/assistant/speak_probability",
        "/robot/assistant/query",
    ]


def test_the_command_is_what_ros2_bag_takes(record, tmp_path):
    given = {"bag": str(tmp_path / "new"), "storage": "mcap", "image": "/c", "namespace": "", "use_sim_time": "true"}
    command = record.command(**given)
    assert command[:5] == ["ros2", "bag", "record", "--storage", "mcap"]
    assert command[5:8] == ["--output", str(tmp_path / "new"), "--use-sim-time"] and command[8] == "/c"
    with pytest.raises(ValueError, match="it is there already"):
        record.command(**{**given, "bag": str(tmp_path)})
    with pytest.raises(ValueError, match="it is mcap or sqlite3"):
        record.command(**{**given, "storage": "bag"})


def test_the_description_declares_its_arguments_and_includes_the_assistant(record):
    from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription

    entities = record.generate_launch_description().entities
    assert [each.name for each in entities if isinstance(each, DeclareLaunchArgument)] == ["bag", "storage"]
    assert any(isinstance(each, IncludeLaunchDescription) for each in entities) and record.ASSISTANT.is_file()


def test_a_recording_that_ends_ends_everything(record, monkeypatch, tmp_path):
    """The real launch service runs a command in the place of ros2 bag record."""
    from launch import LaunchDescription, LaunchService
    from launch.actions import ExecuteProcess, OpaqueFunction

    monkeypatch.setattr(record, "command", lambda **given: ["touch", str(tmp_path / given["namespace"])])
    assistant = ExecuteProcess(cmd=["sleep", "60"])
    service = LaunchService(noninteractive=True)
    from launch.actions import DeclareLaunchArgument

    service.include_launch_description(
        LaunchDescription(
            [
                DeclareLaunchArgument("namespace", default_value="robot"),
                assistant,
                OpaqueFunction(function=record.recorder),
            ]
        )
    )
    assert service.run() == 0
    assert (tmp_path / "robot").exists()
