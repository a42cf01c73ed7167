# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""launch/assistant.launch.py as a user starts it: ros2 launch, and the nodes of another process that talk to it."""

import os
import re
import signal
import subprocess
import time

import av
import pytest

pytest.importorskip("launch_ros", reason="launch_ros is not installed: it comes with a ROS 2 distribution")
pytest.importorskip("ros2launch", reason="ros2launch is not installed: it comes with a ROS 2 distribution")

import rclpy
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters

from videollm_ros.srv import Ask

STARTS_WITHIN = 60.0  # seconds, on a slow machine
COMMAND = ["ros2", "launch", "videollm_ros", "assistant.launch.py"]


@pytest.fixture(scope="module")
def client():
    rclpy.init()
    node = rclpy.create_node("launch_test")
    yield node
    node.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def video(scenes, tmp_path):
    """The golden scenes as a lossless video of 2 frames per second."""
    path = tmp_path / "scenes.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=2)
        stream.height, stream.width, stream.pix_fmt = scenes.shape[1], scenes.shape[2], "bgr0"
        for scene in scenes:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(scene, format="rgb24")))
        file.mux(stream.encode())
    return path


@pytest.fixture
def params_file(golden_paths, tmp_path):
    path = tmp_path / "golden.yaml"
    rows = "".join(f"    model.{name}: {value}\n" for name, value in golden_paths.items())
    path.write_text(f"/**:\n  ros__parameters:\n    stream.threshold: 0.6\n{rows}")
    return path


@pytest.fixture
def launch():
    """Starts ros2 launch with arguments; ends it as Ctrl-C would, with everything it started."""
    started = []

    def start(**arguments) -> subprocess.Popen:
        given = [f"{name}:={value}" for name, value in arguments.items()]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        started.append(subprocess.Popen([*COMMAND, *given], start_new_session=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


def call(client, service_type, name, request):
    """The response of a service, once it exists. The first one may be lost, while the two discover each other."""
    service = client.create_client(service_type, name)
    try:
        assert service.wait_for_service(STARTS_WITHIN), f"{name} did not appear within {STARTS_WITHIN} s"
        for _ in range(3):
            future = service.call_async(request)
            rclpy.spin_until_future_complete(client, future, timeout_sec=20.0)
            if future.done():
                return future.result()
        raise AssertionError(f"{name} did not answer")
    finally:
        client.destroy_client(service)


def wait_until_active(client, assistant):
    deadline = time.monotonic() + STARTS_WITHIN
    while call(client, GetState, f"{assistant}/get_state", GetState.Request()).current_state.label != "active":
        assert time.monotonic() < deadline, f"{assistant} was not active within {STARTS_WITHIN} s"
        time.sleep(0.2)


def test_a_launched_assistant_answers_about_the_video_that_is_played_to_it(client, launch, video, params_file):
    process = launch(
        video=video,
        loop="true",
        image="head/colour",
        image_transport="compressed",
        namespace="robot",
        params_file=params_file,
        device="cpu",
        dtype="float32",
        log_level="warn",
    )
    wait_until_active(client, "/robot/assistant")
    published = dict(client.get_topic_names_and_types())
    assert published["/robot/head/colour"] == ["sensor_msgs/msg/CompressedImage"]

    names = ["stream.threshold", "model.dtype", "image_transport", "use_sim_time"]
    request = GetParameters.Request(names=names)
    values = call(client, GetParameters, "/robot/assistant/get_parameters", request).values
    assert values[0].double_value == 0.6
    assert [values[1].string_value, values[2].string_value] == ["float32", "compressed"]
    assert not values[3].bool_value

    time.sleep(2.0)  # a few frames
    request = Ask.Request(query="Please narrate the video in real time.", query_id="first")
    response = call(client, Ask, "/robot/assistant/ask", request)
    assert response.success, response.message
    assert response.utterance.text
    assert response.utterance.query_id == "first"
    assert response.utterance.header.frame_id == "camera"

    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert output.count("process has finished cleanly") == 2, output


def test_without_autostart_it_waits_for_transitions(client, launch, params_file):
    launch(autostart="false", params_file=params_file, namespace="waiting")
    state = call(client, GetState, "/waiting/assistant/get_state", GetState.Request()).current_state
    assert state.label == "unconfigured"
    assert "/waiting/video_player" not in [f"{ns}/{name}" for name, ns in client.get_node_names_and_namespaces()]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"params_file": "nowhere.yaml"}, "params_file:=nowhere.yaml is neither a file nor one of the presets"),
        ({"autostart": "perhaps"}, "autostart:=perhaps was given; it is true or false."),
        ({"respawn_delay": "soon"}, "respawn_delay:=soon was given; it is a number of seconds."),
        ({"imge": "/camera"}, "There is no argument imge. Did you mean image?"),
        ({"camera": "real"}, "camera:=real was given; it is simulated or empty."),
        ({"camera": "simulated", "video": "x.mp4"}, "camera and video were both given"),
    ],
)
def test_a_wrong_argument_ends_in_a_sentence(launch, params_file, arguments, sentence):
    process = launch(**{"params_file": params_file, **arguments})
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert sentence in output


def test_a_params_file_is_filled_with_variables_and_folders_and_executes_nothing(launch, client, tmp_path, monkeypatch):
    file = tmp_path / "params.yaml"
    head = "/**:\n  ros__parameters:\n    autostart: false\n    model.checkpoint: "
    for wrong in (f"$(command 'touch {tmp_path}/executed')", "$(eval 1 + 1)", "$(env NOT_SET)"):
        file.write_text(head + wrong)
        output, _ = (process := launch(params_file=file)).communicate(timeout=60)
        assert process.returncode != 0
        assert "only $(env NAME) and $(find-pkg-share PACKAGE)" in output or "NOT_SET, which is not set" in output
    assert not (tmp_path / "executed").exists()

    monkeypatch.setenv("WHERE", "model")
    file.write_text(head + "$(find-pkg-share videollm_ros)/$(env WHERE)/$(env NOT_SET small)")
    launch(params_file=file, namespace="filled")
    request = GetParameters.Request(names=["model.checkpoint"])
    values = call(client, GetParameters, "/filled/assistant/get_parameters", request).values
    assert values[0].string_value.endswith("/share/videollm_ros/model/small")


def output_until(process, *expected):
    """What a launch prints, until it has printed all of these."""
    missing, output = set(expected), ""
    for line in process.stdout:
        output += line
        missing -= {each for each in missing if each in line}
        if not missing:
            return output
    raise AssertionError(f"{missing} did not come:\n{output}")


def test_the_first_minute_says_what_to_do_without_a_camera(launch):
    output_until(
        launch(namespace="lonely"),
        "Parameters: demo.",
        "knows only the simulator's table",
        "camera:=simulated, or video:=FILE",
        "Nobody publishes on /lonely/image",
    )


def test_the_simulated_camera_can_be_started_too(launch):
    process = launch(camera="simulated", namespace="table")
    output = output_until(process, "Images come on /table/image: 96x96 rgb8", "Loaded on")
    assert "knows only" not in output and "No camera" not in output


def test_an_assistant_that_cannot_start_ends_the_launch_with_an_exit_code(launch, tmp_path):
    process = launch(checkpoint=f"{tmp_path}/missing", namespace="failing", camera="simulated")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "assistant_node has ended with the exit code 1." in output


def test_with_respawn_a_killed_assistant_comes_back(launch, client):
    process = launch(camera="simulated", respawn="true", respawn_delay="0.5", namespace="undead")
    output = output_until(process, "Loaded on")
    pid = int(re.search(r"assistant_node-\d+\]: process started with pid \[(\d+)\]", output)[1])
    os.kill(pid, signal.SIGKILL)
    output_until(process, "process has died", "Loaded on", "Images come on /undead/image")
