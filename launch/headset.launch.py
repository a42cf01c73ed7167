# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The assistant behind rosbridge, for a headset, a phone or any program that speaks WebSocket and JSON.

    ros2 launch videollm_ros headset.launch.py params_file:=8b_v1plus
    ros2 launch videollm_ros headset.launch.py params_file:=8b_v1plus address:=0.0.0.0     # other machines may connect

The bridge shows the camera topic, the utterances, the query topic, ~/ask and ~/mute, and nothing else. The page
web/headset.html is served on page_port. Other arguments go to assistant.launch.py. See docs/headset.md.
"""

import sys
from pathlib import Path

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription, LogInfo, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = Path(get_package_share_directory("videollm_ros"))
LOCAL = ("127.0.0.1", "localhost", "::1")

# Argument -> (default, what it is).
ARGUMENTS = {
    "image": ("/camera/image/compressed", "Topic of the headset's camera, a sensor_msgs/CompressedImage."),
    "bridge": ("rosbridge", "rosbridge: start it. none: start only the assistant and the page."),
    "address": ("127.0.0.1", "Address that bridge and page listen on. 0.0.0.0 lets other machines in."),
    "port": ("9090", "Port of the bridge."),
    "page_port": ("8080", "Port of the page. 0 starts none."),
    "certfile": ("", "Certificate for wss. Browsers on other machines use a camera only on https pages."),
    "keyfile": ("", "Key of the certificate."),
    "namespace": ("", "Namespace of the assistant."),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, include the assistant and start what stands around it."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    assistant = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / "launch" / "assistant.launch.py")),
        launch_arguments={
            "image": LaunchConfiguration("image"),
            "image_transport": "compressed",
            "namespace": LaunchConfiguration("namespace"),
        }.items(),
    )
    return LaunchDescription([*declared, assistant, OpaqueFunction(function=around_it)])


def around_it(context: LaunchContext) -> list:
    """Return the bridge, the page's server, and a warning where other machines can connect."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    actions = []
    if given["address"] not in LOCAL:
        actions.append(
            LogInfo(
                msg=f"WARNING: {given['address']}:{given['port']} is open to the network and has no password. "
                "Anyone who reaches it can send images and queries. Use a VPN or a firewall."
            )
        )
    if given["bridge"] == "rosbridge":
        actions.append(bridge(given))
    elif given["bridge"] != "none":
        raise ValueError(f"bridge:={given['bridge']} was given; it is rosbridge or none.")
    if given["page_port"] != "0":
        serve = [sys.executable, "-m", "http.server", given["page_port"], "--bind", given["address"]]
        actions.append(ExecuteProcess(cmd=[*serve, "--directory", str(SHARE / "web")], name="headset_page"))
        host = "localhost" if given["address"] in LOCAL else given["address"]
        actions.append(LogInfo(msg=f"The headset page is http://{host}:{given['page_port']}/headset.html"))
    return actions


def bridge(given: dict[str, str]) -> Node | LogInfo:
    """Return rosbridge with globs that let only the assistant's topics and services through."""
    try:
        get_package_prefix("rosbridge_server")
    except PackageNotFoundError:
        return LogInfo(
            msg="rosbridge_server is not installed, so no bridge is started: sudo apt install "
            "ros-$ROS_DISTRO-rosbridge-server, or give bridge:=none."
        )
    assistant = f"/{given['namespace']}/assistant".replace("//", "/")
    topics = [given["image"], *(f"{assistant}/{name}" for name in ("query", "utterance", "utterance_partial"))]
    services = [f"{assistant}/{name}" for name in ("ask", "mute")]
    parameters = {
        "address": given["address"],
        "port": int(given["port"]),
        "max_message_size": 2_000_000,  # bytes: a JPEG of 640x480 in base64 has 70,000
        "topics_glob": f"[{','.join(topics)}]",
        "services_glob": f"[{','.join(services)}]",
        "actions_glob": f"[{assistant}/converse]",
        "params_glob": "[nothing]",  # an empty list would let all through
        "call_services_in_new_thread": True,  # ~/ask waits for its answer
        "send_action_goals_in_new_thread": True,
    }
    if given["certfile"]:
        parameters |= {"certfile": given["certfile"], "keyfile": given["keyfile"]}
    return Node(
        package="rosbridge_server",
        executable="rosbridge_websocket",
        name="rosbridge_websocket",
        parameters=[parameters],
        output="screen",
    )
