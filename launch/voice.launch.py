# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A voice and ears for a running assistant: what it says is spoken, what people say becomes queries.

    ros2 launch videollm_ros voice.launch.py
    ros2 launch videollm_ros voice.launch.py speech:=/whisper/text wake_word:="hey robot"

See docs/voice.md.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

# Argument -> (default, what it is).
ARGUMENTS = {
    "assistant": ("/assistant", "Full name of the assistant's node."),
    "engine": ("auto", "What speaks: auto, communication_skills, tts_msgs, audio_common, sound_play or process."),
    "command": ("espeak-ng --stdin", "Program that speaks its standard input, where no action server does."),
    "speech": ("", "Topic of the recognizer. Empty: only the voice is started."),
    "type": ("string", "Type of that topic: string or live_speech."),
    "wake_word": ("", "Words that a query begins with. Empty: every phrase is a query."),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the nodes."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=nodes)])


def nodes(context: LaunchContext) -> list[Node]:
    """Return the voice and, where a recognizer's topic is given, the ears."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    utterance = ("utterance", f"{given['assistant']}/utterance")
    common = {"package": "videollm_ros", "output": "screen"}
    started = [
        Node(
            executable="speech_out",
            parameters=[{name: ParameterValue(given[name], value_type=str) for name in ("engine", "command")}],
            remappings=[utterance],
            **common,
        )
    ]
    if given["speech"]:
        heard = [("speech", given["speech"]), ("speaking", "/speech_out/speaking")]
        started.append(
            Node(
                executable="speech_in",
                parameters=[{name: ParameterValue(given[name], value_type=str) for name in ("type", "wake_word")}],
                remappings=[utterance, ("query", f"{given['assistant']}/query"), *heard],
                **common,
            )
        )
    return started
