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
from launch.events.process import ProcessExited
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from videollm_ros.node.launch_arguments import fail, full_name, one_of, refuse_unknown_arguments

ASSISTANT = Path(__file__).with_name("assistant.launch.py")
RECORDER = ("bag", "storage", "image", "namespace", "use_sim_time")  # arguments
OUTPUTS = ("utterance", "held_back", "speak_probability", "query")


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments of the recording, and include the assistant with its own."""
    declared = [
        DeclareLaunchArgument("bag", default_value="", description="Folder to record into; empty: rosbag2_<time>."),
        DeclareLaunchArgument("storage", default_value="mcap", description="mcap or sqlite3."),
    ]
    assistant = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(ASSISTANT)))
    known = [each.name for each in LaunchDescription([*declared, assistant]).get_launch_arguments()]
    check = OpaqueFunction(function=refuse_mistakes, args=[known])
    return LaunchDescription([*declared, check, assistant, OpaqueFunction(function=recorder)])


def refuse_mistakes(context: LaunchContext, known: list[str]) -> None:
    """Refuse wrong arguments before anything starts."""
    refuse_unknown_arguments(__file__, known)
    given = {name: LaunchConfiguration(name, default="").perform(context) for name in RECORDER}
    command(**given)


def recorder(context: LaunchContext) -> list:
    """Start ros2 bag record. When it cannot record, nothing else goes on."""
    given = {name: LaunchConfiguration(name, default="").perform(context) for name in RECORDER}
    process = ExecuteProcess(cmd=command(**given), name="bag_recorder", output="screen")
    return [process, RegisterEventHandler(OnProcessExit(target_action=process, on_exit=end))]


def end(event: ProcessExited, context: LaunchContext) -> EmitEvent:
    """End everything with the recording. A recording that has failed ends the launch with an exit code."""
    fail(event, context)
    return EmitEvent(event=Shutdown(reason="the recording has ended"))


def command(bag: str, storage: str, image: str, namespace: str, use_sim_time: str) -> list[str]:
    """Return the command that records.

    Raises:
        ValueError: the folder is there already, or the storage is unknown.
    """
    one_of("storage", storage, ("mcap", "sqlite3"))
    if bag and Path(bag).exists():
        raise ValueError(f"bag:={bag} was given, and it is there already: nothing is overwritten.")
    options = ["--output", bag] if bag else []
    if use_sim_time.lower() == "true":
        options.append("--use-sim-time")
    return ["ros2", "bag", "record", "--storage", storage, *options, *topics(image or "image", namespace)]


def topics(image: str, namespace: str) -> list[str]:
    """Return the full names of the recorded topics."""
    outputs = (full_name(f"assistant/{name}", namespace) for name in OUTPUTS)
    return [full_name(image, namespace), *outputs]
