# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run the assistant and record what it sees and says, to evaluate it later (docs/evaluation.md).

    ros2 launch videollm_ros record.launch.py bag:=kitchen image:=/camera/image_raw params_file:=8b_v1plus

Every argument of assistant.launch.py is an argument of this file too. Recorded are the camera, the utterances, what was
held back, the speak probabilities and the queries. Ctrl-C ends both and closes the bag.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

ASSISTANT = Path(__file__).with_name("assistant.launch.py")
OUTPUTS = ("utterance", "held_back", "speak_probability", "query")


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments of the recording, and include the assistant with its own."""
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", default_value="", description="Folder to record into; empty: rosbag2_<time>."),
            DeclareLaunchArgument("storage", default_value="mcap", description="mcap or sqlite3."),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(ASSISTANT))),
            OpaqueFunction(function=recorder),
        ]
    )


def recorder(context: LaunchContext) -> list:
    """Start ros2 bag record. When it cannot record, nothing else goes on."""
    given = {
        name: LaunchConfiguration(name, default="").perform(context)
        for name in ("bag", "storage", "image", "namespace", "use_sim_time")
    }
    process = ExecuteProcess(cmd=command(**given), name="bag_recorder", output="screen")
    end = EmitEvent(event=Shutdown(reason="the recording has ended"))
    return [process, RegisterEventHandler(OnProcessExit(target_action=process, on_exit=[end]))]


def command(bag: str, storage: str, image: str, namespace: str, use_sim_time: str) -> list[str]:
    """Return the command that records.

    Raises:
        ValueError: the folder is there already, or the storage is unknown.
    """
    if storage not in ("mcap", "sqlite3"):
        raise ValueError(f"storage:={storage} was given; it is mcap or sqlite3.")
    if bag and Path(bag).exists():
        raise ValueError(f"bag:={bag} was given, and it is there already: nothing is overwritten.")
    options = ["--output", bag] if bag else []
    if use_sim_time.lower() == "true":
        options.append("--use-sim-time")
    return ["ros2", "bag", "record", "--storage", storage, *options, *topics(image or "image", namespace)]


def topics(image: str, namespace: str) -> list[str]:
    """Return the full names of the recorded topics."""
    root = f"/{namespace.strip('/')}" if namespace.strip("/") else ""
    camera = image if image.startswith("/") else f"{root}/{image}"
    return [camera, *(f"{root}/assistant/{name}" for name in OUTPUTS)]
