# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""launch/headset.launch.py with the original rosbridge: what the bridge lets through, and what it does not."""

import base64
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request

import cv2
import pytest

pytest.importorskip("launch_ros", reason="launch_ros is not installed: it comes with a ROS 2 distribution")
pytest.importorskip("ros2launch", reason="ros2launch is not installed: it comes with a ROS 2 distribution")
pytest.importorskip("roslibpy", reason="roslibpy is not installed")

import rclpy
import roslibpy
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from roslibpy.core import ServiceException

from videollm_ros.sim import Tabletop

TIMEOUT = 90.0  # seconds, on a slow machine
IMAGE = "/robot/head/compressed"


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """The launch of an assistant in a namespace, with a camera whose name is relative: its ports and its output."""
    try:
        get_package_prefix("rosbridge_server")
    except PackageNotFoundError:
        pytest.skip("rosbridge_server is not installed")
    log = tmp_path_factory.mktemp("headset") / "launch.txt"
    ports = [free_port(), free_port()]
    command = ["ros2", "launch", "videollm_ros", "headset.launch.py", "namespace:=robot", "image:=head/compressed"]
    command += [f"port:={ports[0]}", f"page_port:={ports[1]}", "device:=cpu"]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        until("everything is loaded", lambda: {"Loaded on", "server started"} <= found(log, process))
        yield *ports, log
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def found(log, process) -> set[str]:
    text = log.read_text()
    assert process.poll() is None, text
    return {each for each in ("Loaded on", "server started") if each in text}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what: str, condition):
    deadline = time.monotonic() + TIMEOUT
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {TIMEOUT:g} s: {what}"
        time.sleep(0.1)
    return value


@pytest.fixture(scope="module")
def bridge(launched):
    client = roslibpy.Ros("127.0.0.1", launched[0])
    client.run(timeout=TIMEOUT)
    yield client
    client.close()


def call(bridge, service, service_type, **fields):
    return roslibpy.Service(bridge, service, service_type).call(fields, timeout=TIMEOUT)


@pytest.fixture
def camera(bridge):
    """Sends the simulator's images until the test has ended."""
    topic = roslibpy.Topic(bridge, IMAGE, "sensor_msgs/msg/CompressedImage")
    jpeg = cv2.imencode(".jpg", Tabletop(seed=9297).render(0.0)[..., ::-1])[1]
    message = {"header": {"frame_id": "headset"}, "format": "jpeg", "data": base64.b64encode(jpeg).decode()}
    ended = threading.Event()
    thread = threading.Thread(target=lambda: [topic.publish(message) for _ in iter(lambda: ended.wait(0.25), True)])
    thread.start()
    yield
    ended.set()
    thread.join()
    topic.unadvertise()


def test_images_and_questions_go_through(bridge, camera):
    def answer():
        try:
            given = call(bridge, "/robot/assistant/ask", "videollm_ros/srv/Ask", query="What is on the table?")
        except ServiceException:  # the assistant is not there yet
            return None
        return given if given["success"] and given["utterance"]["header"]["frame_id"] == "headset" else None

    assert until("an answer about the headset's images", answer)["utterance"]["text"]


def test_a_conversation_goes_through(bridge, camera):
    results, feedback = [], []
    action = roslibpy.ActionClient(bridge, "/robot/assistant/converse", "videollm_ros/action/Converse")
    goal = roslibpy.Goal({"query": "What is on the table?"})
    action.send_goal(goal, results.append, feedback.append, results.append)
    until("the conversation has an outcome", lambda: results)
    assert results[0]["values"]["success"] and feedback


def test_no_other_service_and_no_other_topic_goes_through(bridge):
    with pytest.raises(Exception, match=r"reset|Timeout|response") as refused:
        roslibpy.Service(bridge, "/robot/assistant/reset", "std_srvs/srv/Trigger").call({}, timeout=5.0)
    assert "success" not in str(refused.value)
    motor = roslibpy.Topic(bridge, "/cmd_vel", "std_msgs/msg/String")
    motor.publish({"data": "forward"})
    query = roslibpy.Topic(bridge, "/robot/assistant/query", "std_msgs/msg/String")
    query.advertise()
    rclpy.init()
    try:
        node = rclpy.create_node("headset_launch_test")
        until("the query topic is there", lambda: node.count_publishers("/robot/assistant/query"))
        assert node.count_publishers("/cmd_vel") == 0
    finally:
        rclpy.shutdown()


def test_the_page_is_served_and_its_address_says_where_everything_is(launched):
    port, page_port, log = launched
    address = re.search(r"The headset page is (\S+)", log.read_text())[1]
    options = f"bridge=ws://localhost:{port}&assistant=/robot/assistant&image={IMAGE}"
    assert address == f"http://localhost:{page_port}/headset.html?{options}"
    with urllib.request.urlopen(address.replace("localhost", "127.0.0.1", 1), timeout=TIMEOUT) as page:
        assert b"videollm_ros headset" in page.read()


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("prt:=9391", "There is no argument prt. Did you mean port?"),
        ("port:=ninety", "port:=ninety was given; it is a whole number from 1 to 65535."),
        ("bridge:=foxglove", "bridge:=foxglove was given; it is rosbridge or none."),
        ("certfile:=cert.pem", "certfile and keyfile belong together"),
        ("image_transport:=raw", "leave image_transport out"),
        ("address:=nowhere.invalid", "headset_page has ended with the exit code 1."),
    ],
)
def test_a_wrong_argument_ends_in_a_sentence(argument, sentence):
    command = ["ros2", "launch", "videollm_ros", "headset.launch.py", f"page_port:={free_port()}", "bridge:=none"]
    ended = subprocess.run([*command, argument], capture_output=True, text=True, timeout=TIMEOUT)
    assert ended.returncode == 1
    assert sentence in ended.stdout + ended.stderr
