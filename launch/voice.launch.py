# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A voice and ears for a running assistant: what it says is spoken, what people say becomes queries.

    ros2 launch videollm_ros voice.launch.py
    ros2 launch videollm_ros voice.launch.py speech:=/whisper/text wake_word:="hey robot"

See docs/voice.md.
"""

from launch import Action, LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from videollm_ros.node.launch_arguments import fail, full_name, number, refuse_unknown_arguments

# Argument -> (default, what it is). An empty one leaves the parameter at its default.
ARGUMENTS = {
    "assistant": ("assistant", "Name of the assistant's node. A name without a leading slash is in the namespace."),
    "namespace": ("", "Namespace of the two nodes."),
    "engine": ("auto", "What speaks: auto, communication_skills, tts_msgs, audio_common, sound_play or process."),
    "command": ("espeak-ng --stdin", "Program that speaks its standard input, where no action server does."),
    "max_age": ("", "Seconds that a proactive utterance may wait until it is said."),
    "speech": ("", "Topic of the recognizer. Empty: only the voice is started."),
    "type": ("string", "Type of that topic: string or live_speech."),
    "wake_word": ("", "Words that a query begins with. Empty: every phrase is a query."),
    "min_confidence": ("", "Least confidence of a phrase, 0 to 1. Only live_speech tells it."),
    "pause": ("", "Seconds after the assistant has spoken in which nothing counts as a query."),
    "log_level": ("info", "debug, info, warn, error or fatal."),
}
OUT, IN = ("engine", "command", "max_age"), ("type", "wake_word", "min_confidence", "pause")
NUMBERS = ("max_age", "min_confidence", "pause")


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the nodes."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list[Action]:
    """Return the voice and, where a recognizer's topic is given, the ears."""
    refuse_unknown_arguments(__file__, ARGUMENTS)
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    for name in IN:
        if given[name] != ARGUMENTS[name][0] and not given["speech"]:
            raise ValueError(f"{name}:={given[name]} was given, and no ears are started: give speech:=TOPIC as well.")
    assistant = full_name(given["assistant"], given["namespace"])
    utterance = ("utterance", f"{assistant}/utterance")
    nodes = [node("speech_out", given, OUT, [utterance])]
    if given["speech"]:
        heard = [("speech", given["speech"]), ("speaking", "speech_out/speaking")]
        nodes.append(node("speech_in", given, IN, [utterance, ("query", f"{assistant}/query"), *heard]))
    return [*(RegisterEventHandler(OnProcessExit(target_action=each, on_exit=fail)) for each in nodes), *nodes]


def node(name: str, given: dict[str, str], parameters: tuple[str, ...], remappings: list[tuple[str, str]]) -> Node:
    """Return one of the nodes with the parameters that were given."""
    return Node(
        package="videollm_ros",
        executable=name,
        name=name,
        namespace=given["namespace"],
        parameters=[{each: value(each, given[each]) for each in parameters if given[each]}],
        remappings=remappings,
        arguments=["--ros-args", "--log-level", given["log_level"]],
        output="screen",
    )


def value(name: str, text: str) -> ParameterValue | float:
    """Return the value of a parameter. A text stays one, even where it looks like a number."""
    if name in NUMBERS:
        return number(name, text, "seconds" if name != "min_confidence" else "probability")
    return ParameterValue(text, value_type=str)
