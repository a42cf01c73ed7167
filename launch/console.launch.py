# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The operator's console for the assistants in this graph: it prints the address of its page.

    ros2 launch videollm_ros console.launch.py
    ros2 launch videollm_ros console.launch.py port:=9000

The token of the address is a new one each time, unless VIDEOLLM_CONSOLE_TOKEN holds one.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

# Argument -> (default, type, what it is). Those with a type are parameters of the console.
ARGUMENTS = {
    "host": ("127.0.0.1", str, "Address to listen on. Any other than 127.0.0.1 opens the console to a network."),
    "port": ("8770", int, "Port to listen on; 0: a free one."),
    "use_sim_time": ("false", bool, "Take the time from /clock, as with ros2 bag play --clock."),
    "namespace": ("", None, "Namespace of the console. It finds the assistants of every namespace."),
    "log_level": ("info", None, "debug, info, warn, error or fatal."),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the console."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, _, description) in ARGUMENTS.items()
    ]
    parameters = {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, (_, kind, _) in ARGUMENTS.items()
        if kind is not None
    }
    console = Node(
        package="videollm_ros",
        executable="console",
        name="console",
        namespace=LaunchConfiguration("namespace"),
        parameters=[parameters],
        arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
        output="screen",
        emulate_tty=True,
    )
    return LaunchDescription([*declared, console])
