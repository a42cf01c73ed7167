# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The assistant behind rosbridge, for a headset, a phone or any program that speaks WebSocket and JSON.

    ros2 launch videollm_ros headset.launch.py params_file:=8b_v1plus
    ros2 launch videollm_ros headset.launch.py params_file:=8b_v1plus address:=0.0.0.0     # other machines may connect

The bridge shows the camera topic, the utterances, the query topic, ~/ask, ~/mute and ~/converse, and nothing else. The
page web/headset.html is served on page_port. Other arguments go to assistant.launch.py. See docs/headset.md.
"""

import sys
from pathlib import Path
from urllib.parse import urlencode

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch import Action, LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from videollm_ros.node.launch_arguments import fail, full_name, one_of, refuse_unknown_arguments, tcp_port

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
    known = [each.name for each in LaunchDescription([*declared, assistant]).get_launch_arguments()]
    check = OpaqueFunction(function=refuse_mistakes, args=[known])
    return LaunchDescription([*declared, check, assistant, OpaqueFunction(function=around_it)])


def refuse_mistakes(context: LaunchContext, known: list[str]) -> None:
    """Refuse wrong arguments before anything starts."""
    refuse_unknown_arguments(__file__, known)
    if context.launch_configurations.get("image_transport", "compressed") != "compressed":
        raise ValueError("A headset's images are compressed: leave image_transport out.")
    given = arguments(context)
    one_of("bridge", given["bridge"], ("rosbridge", "none"))
    tcp_port("port", given["port"])
    tcp_port("page_port", given["page_port"], least=0)
    if bool(given["certfile"]) != bool(given["keyfile"]):
        raise ValueError("certfile and keyfile belong together: give both or none.")
    for name in ("certfile", "keyfile"):
        if given[name] and not Path(given[name]).is_file():
            raise FileNotFoundError(f"{name}:={given[name]} was given, and there is no such file.")


def arguments(context: LaunchContext) -> dict[str, str]:
    """Return what was given, with the camera's full name."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    return given | {"image": full_name(given["image"], given["namespace"])}


def around_it(context: LaunchContext) -> list[Action]:
    """Return the bridge, the page's server, and a warning where other machines can connect."""
    given = arguments(context)
    actions: list[Action] = []
    if given["address"] not in LOCAL:
        actions.append(
            LogInfo(
                msg=f"WARNING: {given['address']}:{given['port']} is open to the network and has no password. "
                "Anyone who reaches it can send images and queries. Use a VPN or a firewall."
            )
        )
    processes = [page(given)] if given["page_port"] != "0" else []
    if given["bridge"] == "rosbridge":
        try:
            get_package_prefix("rosbridge_server")
        except PackageNotFoundError:
            actions.append(
                LogInfo(
                    msg="rosbridge_server is not installed, so no bridge is started: sudo apt install "
                    "ros-$ROS_DISTRO-rosbridge-server, or give bridge:=none."
                )
            )
        else:
            processes.append(bridge(given))
    ends = [RegisterEventHandler(OnProcessExit(target_action=each, on_exit=fail)) for each in processes]
    if given["page_port"] != "0":
        actions.append(LogInfo(msg=f"The headset page is {page_address(given)}"))
    return [*actions, *ends, *processes]


def page(given: dict[str, str]) -> ExecuteProcess:
    """Return the server of the page: the files in web/ and nothing else."""
    serve = [sys.executable, "-m", "http.server", given["page_port"], "--bind", given["address"]]
    return ExecuteProcess(cmd=[*serve, "--directory", str(SHARE / "web")], name="headset_page", output="screen")


def page_address(given: dict[str, str]) -> str:
    """Return the address of the page, with whatever the page has to be told."""
    host = "localhost" if given["address"] in (*LOCAL, "0.0.0.0") else given["address"]
    secure = "wss" if given["certfile"] else "ws"
    options = {
        "bridge": f"{secure}://{host}:{given['port']}",
        "assistant": full_name("assistant", given["namespace"]),
        "image": given["image"],
    }
    usual = {"bridge": f"ws://{host}:9090", "assistant": "/assistant", "image": ARGUMENTS["image"][0]}
    changed = {name: value for name, value in options.items() if value != usual[name]}
    address = f"http://{host}:{given['page_port']}/headset.html"
    return f"{address}?{urlencode(changed, safe=':/')}" if changed else address


def bridge(given: dict[str, str]) -> Node:
    """Return rosbridge with globs that let only the assistant's topics, services and action through."""
    assistant = full_name("assistant", given["namespace"])
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
