# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Start the assistant on a camera topic, on the simulated camera, or on a video that is played to it.

    ros2 launch videollm_ros assistant.launch.py image:=/camera/image_raw params_file:=8b_v1plus
    ros2 launch videollm_ros assistant.launch.py params_file:=8b_v1plus \
        image:=/camera/image_raw/compressed image_transport:=compressed
    ros2 launch videollm_ros assistant.launch.py params_file:=8b_v1plus video:=kitchen.mp4 loop:=true
    ros2 launch videollm_ros assistant.launch.py camera:=simulated

An argument that is not given leaves the parameter to the params file. The preset `demo`, which is taken when no params
file is given, knows only the tabletop simulator.
"""

import os
import re
import tempfile
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import Action, LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit, OnShutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from videollm_ros.node.launch_arguments import boolean, fail, number, refuse_unknown_arguments

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
    "camera": ("", "simulated: start the simulated camera on the image topic; empty: start none."),
    "video": ("", "Video file, folder of images or webcam (/dev/video0) to play on the image topic; empty: nothing."),
    "loop": ("false", "Play the video again and again."),
    "respawn": ("false", "Start the assistant again when it ends by itself."),
    "respawn_delay": ("1.0", "Seconds before it is started again."),
}
# Argument -> parameter of the assistant.
PARAMETERS = {
    "image_transport": "image_transport",
    "checkpoint": "model.checkpoint",
    "device": "model.device",
    "dtype": "model.dtype",
}
NO_CAMERA = (
    "No camera is started, and no topic is named: the assistant waits for images on the topic image. Give "
    "image:=/camera/image_raw (your camera's topic), camera:=simulated, or video:=FILE."
)
KNOWS_THE_TABLE = (
    "The preset demo knows only the simulator's table and says nothing true of other footage. params_file:=8b_v1plus "
    "is for real cameras; camera:=simulated shows the table."
)


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the rest needs their values."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list[Action]:
    """Return the assistant, its camera if one is asked for, and what the user should know."""
    refuse_unknown_arguments(__file__, ARGUMENTS)
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
    path, removal = filled_in(params_file(given["params_file"]))
    respawn = boolean("respawn", given["respawn"])
    assistant = Node(
        executable="assistant_node",
        name="assistant",
        parameters=[path, clock, overrides],
        respawn=respawn,
        respawn_delay=number("respawn_delay", given["respawn_delay"]),
        **common,
    )
    others = cameras(given, clock, common)
    needed = others if respawn else [assistant, *others]
    ends = [RegisterEventHandler(OnProcessExit(target_action=node, on_exit=fail)) for node in needed]
    return [*notes(given), *ends, *removal, assistant, *others]


def cameras(given: dict[str, str], clock: dict, common: dict) -> list[Node]:
    """Return the node that plays a camera, if one is asked for."""
    if given["camera"] and given["video"]:
        raise ValueError("camera and video were both given: the assistant reads one of them.")
    waiting = {"wait_for_subscriber": True}  # a large model takes minutes to load
    if given["camera"]:
        if given["camera"] != "simulated":
            raise ValueError(f"camera:={given['camera']} was given; it is simulated or empty.")
        if given["image_transport"] == "compressed":
            raise ValueError("The simulated camera publishes raw images: leave image_transport out.")
        return [Node(executable="simulated_camera", name="simulated_camera", parameters=[clock, waiting], **common)]
    if not given["video"]:
        return []
    playing = {
        "source": text(given["video"]),
        "loop": boolean("loop", given["loop"]),
        "image_transport": text(given["image_transport"] or "raw"),
    }
    return [Node(executable="video_player", name="video_player", parameters=[clock, waiting, playing], **common)]


def notes(given: dict[str, str]) -> list[LogInfo]:
    """Return what a user should know in the first minute."""
    sentences = [f"Parameters: {given['params_file']}."]
    if given["params_file"] == "demo" and not given["checkpoint"] and given["camera"] != "simulated":
        sentences.append(KNOWS_THE_TABLE)
    if given["image"] == ARGUMENTS["image"][0] and not given["camera"] and not given["video"]:
        sentences.append(NO_CAMERA)
    return [LogInfo(msg=sentence) for sentence in sentences]


def params_file(name: str) -> Path:
    """Return the path of a parameter file given by its path or by the name of a preset."""
    for path in (Path(name).expanduser(), CONFIG / f"{name}.yaml"):
        if path.is_file():
            return path
    raise FileNotFoundError(f"params_file:={name} is neither a file nor one of the presets {PRESETS}.")


def filled_in(path: Path) -> tuple[str, list[Action]]:
    """Fill in $(env NAME), $(env NAME default) and $(find-pkg-share PACKAGE), and nothing else.

    launch would also perform $(command ...) and $(eval ...): a params file would be a program.

    Returns:
        The path of the file to read, and the action that removes it at the end if it is not `path` itself.
    """
    content = path.read_text(encoding="utf-8")
    filled = re.sub(r"\$\(([^()]*)\)", lambda found: value_of(found, path), content)
    if filled == content:
        return str(path), []
    with tempfile.NamedTemporaryFile("w", prefix=f"{path.stem}_", suffix=".yaml", delete=False) as file:
        file.write(filled)
    written = Path(file.name)
    return file.name, [RegisterEventHandler(OnShutdown(on_shutdown=lambda *_: written.unlink(missing_ok=True)))]


def value_of(found: re.Match, path: Path) -> str:
    """Return what stands in the place of one $(...) of a params file."""
    kind, *words = found[1].split()
    if kind == "find-pkg-share" and len(words) == 1:
        return get_package_share_directory(words[0])
    if kind == "env" and words:
        value = os.environ.get(words[0], " ".join(words[1:]) if len(words) > 1 else None)
        if value is None:
            raise ValueError(f"{path} needs the environment variable {words[0]}, which is not set.")
        return value
    raise ValueError(f"{path} has {found[0]}: only $(env NAME) and $(find-pkg-share PACKAGE) are filled in.")


def text(value: str) -> ParameterValue:
    """Return a string parameter, also where it looks like a number, as a webcam's does."""
    return ParameterValue(value, value_type=str)
