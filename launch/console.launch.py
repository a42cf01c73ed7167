# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The operator's console for the assistants in this graph: it prints the address of its page.

    ros2 launch videollm_ros console.launch.py
    ros2 launch videollm_ros console.launch.py port:=9000

The token of the address is a new one each time, unless VIDEOLLM_CONSOLE_TOKEN holds one.
"""

from launch import Action, LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from videollm_ros.node.launch_arguments import boolean, fail, refuse_unknown_arguments, tcp_port

# Argument -> (default, what it is).
ARGUMENTS = {
    "host": ("127.0.0.1", "Address to listen on. Any other than 127.0.0.1 opens the console to a network."),
    "port": ("8770", "Port to listen on; 0: a free one."),
    "use_sim_time": ("false", "Take the time from /clock, as with ros2 bag play --clock."),
    "namespace": ("", "Namespace of the console. It finds the assistants of every namespace."),
    "log_level": ("info", "debug, info, warn, error or fatal."),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the rest needs their values."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list[Action]:
    """Return the console."""
    refuse_unknown_arguments(__file__, ARGUMENTS)
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    parameters = {
        "host": ParameterValue(given["host"], value_type=str),
        "port": tcp_port("port", given["port"], least=0),
        "use_sim_time": boolean("use_sim_time", given["use_sim_time"]),
    }
    console = Node(
        package="videollm_ros",
        executable="console",
        name="console",
        namespace=given["namespace"],
        parameters=[parameters],
        arguments=["--ros-args", "--log-level", given["log_level"]],
        output="screen",
        emulate_tty=True,
    )
    return [RegisterEventHandler(OnProcessExit(target_action=console, on_exit=fail)), console]
