# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""The assistant on a camera topic, or on a video that is played to it.

    ros2 launch videollm_ros assistant.launch.py image:=/camera/image_raw params_file:=8b_v1plus
    ros2 launch videollm_ros assistant.launch.py params_file:=8b_v1plus \
        image:=/camera/image_raw/compressed image_transport:=compressed
    ros2 launch videollm_ros assistant.launch.py params_file:=8b_v1plus video:=kitchen.mp4 loop:=true

An argument that is not given leaves the parameter to the params file. The preset `demo`, which is taken when no params
file is given, knows only the tabletop simulator.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

CONFIG = Path(get_package_share_directory("videollm_ros")) / "config"
PRESETS = ", ".join(sorted(path.stem for path in CONFIG.glob("*.yaml")))

# Argument -> (default, what it is).
ARGUMENTS = {
    "image": ("image", "Topic of the camera; with image_transport:=compressed, that of the CompressedImage."),
    "image_transport": ("", "raw: sensor_msgs/Image, compressed: sensor_msgs/CompressedImage."),
    "namespace": ("", "Namespace of the nodes, and of every name without a leading slash."),
    "params_file": (
        "demo",
        f"YAML file with parameters, or the name of one of this package: {PRESETS}. "
        "demo knows only the tabletop simulator.",
    ),
    "checkpoint": ("", "Hub id or folder of the checkpoint (model.checkpoint)."),
    "device": ("", "auto, cpu, cuda, cuda:1, ... (model.device)."),
    "dtype": ("", "auto, float32, bfloat16 or float16 (model.dtype)."),
    "use_sim_time": ("false", "Take the time from /clock, as with ros2 bag play --clock."),
    "autostart": ("", "false: wait in the unconfigured state for lifecycle transitions."),
    "log_level": ("info", "debug, info, warn, error or fatal."),
    "video": ("", "Video file, folder of images or webcam (/dev/video0) to play on the image topic; empty: nothing."),
    "loop": ("false", "Play the video again and again."),
}
# Argument -> parameter of the assistant.
PARAMETERS = {
    "image_transport": "image_transport",
    "checkpoint": "model.checkpoint",
    "device": "model.device",
    "dtype": "model.dtype",
}


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=nodes)])


def nodes(context: LaunchContext) -> list[Node]:
    """The assistant and, where a video is given, its player."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    common = {
        "package": "videollm_ros",
        "namespace": given["namespace"],
        "remappings": [("image", given["image"])],
        "arguments": ["--ros-args", "--log-level", given["log_level"]],
        "output": "screen",
    }
    clock = {"use_sim_time": boolean("use_sim_time", given["use_sim_time"])}
    overrides = {parameter: text(given[name]) for name, parameter in PARAMETERS.items() if given[name]}
    if given["autostart"]:
        overrides["autostart"] = boolean("autostart", given["autostart"])
    # A params file may contain $(find-pkg-share ...) and $(env ...).
    from_file = ParameterFile(params_file(given["params_file"]), allow_substs=True)
    started = [Node(executable="assistant_node", name="assistant", parameters=[from_file, clock, overrides], **common)]
    if given["video"]:
        playing = {
            "source": text(given["video"]),
            "loop": boolean("loop", given["loop"]),
            "image_transport": text(given["image_transport"] or "raw"),
            "wait_for_subscriber": True,  # a large model takes minutes to load
        }
        started.append(Node(executable="video_player", name="video_player", parameters=[clock, playing], **common))
    return started


def params_file(name: str) -> str:
    """The path of a parameter file given by its path or by the name of a preset."""
    for path in (Path(name).expanduser(), CONFIG / f"{name}.yaml"):
        if path.is_file():
            return str(path)
    raise FileNotFoundError(f"params_file:={name} is neither a file nor one of the presets {PRESETS}.")


def text(value: str) -> ParameterValue:
    """A string parameter, also where it looks like a number, as a webcam's does."""
    return ParameterValue(value, value_type=str)


def boolean(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise ValueError(f"{name}:={value} was given; it is true or false.")
    return value.lower() == "true"
