# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""launch/voice.launch.py and launch/console.launch.py: what they pass on, and what they refuse."""

import signal
import subprocess
import time

import pytest

pytest.importorskip("launch_ros", reason="launch_ros is not installed: it comes with a ROS 2 distribution")
pytest.importorskip("ros2launch", reason="ros2launch is not installed: it comes with a ROS 2 distribution")

import rclpy
from rcl_interfaces.srv import GetParameters

TIMEOUT = 60.0  # seconds, on a slow machine


def until(what: str, condition):
    deadline = time.monotonic() + TIMEOUT
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {TIMEOUT:g} s: {what}"
        time.sleep(0.1)
    return value


@pytest.fixture
def node():
    rclpy.init()
    yield rclpy.create_node("voice_launch_test")
    rclpy.shutdown()


def test_two_robots_in_one_graph_have_a_voice_and_ears_each(node):
    command = ["ros2", "launch", "videollm_ros", "voice.launch.py", "namespace:=robot", "speech:=stt/text"]
    command += ["pause:=0.5", "max_age:=4", "wake_word:=hey robot", "engine:=process", "command:=cat"]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        until("the voice listens", lambda: node.count_subscribers("/robot/assistant/utterance") == 2)
        until("the ears listen", lambda: node.count_subscribers("/robot/stt/text") == 1)
        until("the ears ask", lambda: node.count_publishers("/robot/assistant/query") == 1)
        assert node.count_publishers("/robot/speech_out/speaking") == 1
        assert node.count_subscribers("/robot/speech_out/speaking") == 1
        asked = {"speech_in": ["pause", "wake_word"], "speech_out": ["max_age", "command"]}
        values = {name: parameters(node, f"/robot/{name}", names) for name, names in asked.items()}
        assert (values["speech_in"][0].double_value, values["speech_in"][1].string_value) == (0.5, "hey robot")
        assert (values["speech_out"][0].double_value, values["speech_out"][1].string_value) == (4.0, "cat")
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def parameters(node, name, names):
    client = node.create_client(GetParameters, f"{name}/get_parameters")
    assert client.wait_for_service(TIMEOUT)
    future = client.call_async(GetParameters.Request(names=names))
    rclpy.spin_until_future_complete(node, future, timeout_sec=TIMEOUT)
    return future.result().values


@pytest.mark.parametrize(
    ("file", "argument", "sentence"),
    [
        ("voice", "wakeword:=hey", "There is no argument wakeword. Did you mean wake_word?"),
        ("voice", "pause:=2.0", "no ears are started: give speech:=TOPIC as well."),
        ("voice", "speech:=/text pause:=soon", "pause:=soon was given; it is a number of seconds."),
        ("voice", "engine:=parrot", "speech_out has ended with the exit code 1."),
        ("console", "prt:=1", "There is no argument prt. Did you mean port?"),
        ("console", "port:=70000", "port:=70000 was given; it is a whole number from 0 to 65535."),
        ("console", "log_level:=loud", "console has ended with the exit code 1."),
        ("record", "bga:=kitchen", "There is no argument bga. Did you mean bag?"),
        ("record", "storage:=tape", "storage:=tape was given; it is mcap or sqlite3."),
    ],
)
def test_a_wrong_argument_ends_in_a_sentence_and_an_exit_code(file, argument, sentence):
    command = ["ros2", "launch", "videollm_ros", f"{file}.launch.py", *argument.split()]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert ended.returncode == 1
    assert sentence in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
