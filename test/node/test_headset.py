# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A headset without ROS: JPEG images in, utterances and answers out, over the original rosbridge.

The JSON of docs/headset.md is checked against the messages everywhere. The rest needs rosbridge.
"""

import base64
import contextlib
import itertools
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import cv2
import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

from action_msgs.msg import GoalStatus
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from sensor_msgs.msg import CompressedImage

from videollm_ros.action import Converse
from videollm_ros.demo_checkpoint import demo_checkpoint
from videollm_ros.msg import AssistantUtterance
from videollm_ros.sim import Tabletop
from videollm_ros.sim.scoring import matches
from videollm_ros.srv import Ask

ROOT = Path(__file__).parents[2]
IMAGE = "/camera/image/compressed"
SEED = 9297  # something appears at 4.9 s and at 8.0 s
RATE = 4.0  # Hz
TIMEOUT = 30.0  # seconds


def documented() -> list[dict]:
    """The JSON messages of docs/headset.md."""
    text = (ROOT / "docs" / "headset.md").read_text(encoding="utf-8")
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]


def fill(message, fields: dict) -> None:
    """Set the fields of a message. An unknown name or a wrong type is an error."""
    for name, value in fields.items():
        if isinstance(value, dict):
            fill(getattr(message, name), value)
        else:
            assert hasattr(message, name), f"{type(message).__name__} has no field {name}"
            setattr(message, name, base64.b64decode(value) if name == "data" else value)


def test_the_documented_json_fits_the_messages():
    types = {
        "sensor_msgs/msg/CompressedImage": CompressedImage,
        "videollm_ros/msg/AssistantUtterance": AssistantUtterance,
        "videollm_ros/srv/Ask": Ask.Request,
        "videollm_ros/action/Converse": Converse.Goal,
    }
    on_topic = {each["topic"]: each["type"] for each in documented() if each["op"] in ("advertise", "subscribe")}
    filled = []
    for each in documented():
        if each["op"] == "cancel_action_goal":  # it has no message: it names a goal
            goals = [goal for goal in documented() if goal["op"] == "send_action_goal"]
            assert [(goal["id"], goal["action"]) for goal in goals] == [(each["id"], each["action"])]
            continue
        name = each.get("type") or each.get("action_type") or on_topic[each["topic"]]
        message = types[name]()
        fill(message, each.get("msg") or each.get("args") or {})
        filled += [each["op"]] if message != types[name]() else []
    assert sorted(filled) == ["call_service", "publish", "publish", "send_action_goal"]


@pytest.fixture(scope="module")
def rosbridge() -> str:
    """The executable of rosbridge."""
    try:
        folder = Path(get_package_prefix("rosbridge_server")) / "lib" / "rosbridge_server"
    except PackageNotFoundError:
        pytest.skip("rosbridge_server is not installed")
    return str(folder / "rosbridge_websocket")


@pytest.fixture(scope="module")
def bridge(rosbridge, tmp_path_factory):
    """A roslibpy client of a bridge that stands beside an assistant with the demo checkpoint."""
    roslibpy = pytest.importorskip("roslibpy", reason="roslibpy is not installed")
    log = tmp_path_factory.mktemp("headset")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    parameters = {"image_transport": "compressed", "model.checkpoint": demo_checkpoint(), "model.cpu_threads": 1}
    assistant = [sys.executable, "-m", "videollm_ros.node.assistant_node", "--ros-args", "-r", f"image:={IMAGE}"]
    for name, value in parameters.items():
        assistant += ["-p", f"{name}:={value}"]
    server = [sys.executable, rosbridge, "--ros-args", "-p", f"port:={port}", "-p", "address:=127.0.0.1"]
    server += ["-p", "send_action_goals_in_new_thread:=true", "-p", "call_services_in_new_thread:=true"]
    processes = [
        subprocess.Popen(command, stdout=(log / name).open("w"), stderr=subprocess.STDOUT)
        for name, command in [("assistant.txt", assistant), ("bridge.txt", server)]
    ]
    client = roslibpy.Ros("127.0.0.1", port)
    client.test_port, client.test_log = port, log / "assistant.txt"
    try:
        client.run(timeout=TIMEOUT)
        yield client
    finally:
        client.close()
        for process in processes:
            process.send_signal(signal.SIGINT)
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:  # rosbridge does not always end by itself
                process.kill()
                process.wait()


class Headset:
    """Sends simulator footage as a headset does, and keeps what it is told."""

    def __init__(self, bridge):
        import roslibpy

        self.utterances: list[tuple[float, dict]] = []  # (arrival, message)
        self.partials: list[dict] = []
        self.sent: list[float] = []  # when each image was sent
        self._changed = threading.Condition()
        message_type = "videollm_ros/msg/AssistantUtterance"
        self._topics = [
            roslibpy.Topic(bridge, "/assistant/utterance", message_type),
            roslibpy.Topic(bridge, "/assistant/utterance_partial", message_type),
        ]
        self._topics[0].subscribe(self._finished)
        self._topics[1].subscribe(self.partials.append)
        self.camera = roslibpy.Topic(bridge, IMAGE, "sensor_msgs/msg/CompressedImage")
        self.camera.advertise()

    def _finished(self, message):
        with self._changed:
            self.utterances.append((time.time(), message))
            self._changed.notify_all()

    def wait_for(self, number: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self.utterances) >= number, TIMEOUT)

    def send(self, stream: Tabletop, until: float, stamp=lambda now, seconds: None) -> None:
        """Send the stream at its own pace. `stamp`: time of day and stream time -> header stamp in seconds."""
        began = time.time()
        for index in range(int(until * RATE)):
            time.sleep(max(0.0, began + index / RATE - time.time()))
            rgb = stream.render(index / RATE)
            jpeg = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
            header = {"frame_id": "headset"}
            seconds = stamp(time.time(), index / RATE)
            if seconds is not None:
                header["stamp"] = {"sec": int(seconds), "nanosec": int(seconds % 1 * 1e9)}
            self.sent.append(time.time())
            self.camera.publish({"header": header, "format": "jpeg", "data": base64.b64encode(jpeg).decode()})

    def close(self) -> None:
        for topic in self._topics:
            topic.unsubscribe()
        self.camera.unadvertise()


@pytest.fixture
def headset(bridge):
    client = Headset(bridge)
    yield client
    client.close()


def call(bridge, service: str, service_type: str, **fields) -> dict:
    import roslibpy

    return roslibpy.Service(bridge, f"/assistant/{service}", service_type).call(fields, timeout=TIMEOUT)


@pytest.fixture
def watching(bridge, headset):
    """A headset whose images are read by the assistant: both have found each other and the model is loaded."""
    from roslibpy.core import ServiceException

    still = Tabletop(seed=SEED)
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        headset.send(still, until=0.5)
        try:
            answer = call(bridge, "ask", "videollm_ros/srv/Ask", query="What is on the table?")
        except ServiceException:  # the assistant is not there yet
            continue
        if answer["success"] and answer["utterance"]["header"]["frame_id"] == "headset":
            break
    else:
        pytest.fail("the assistant did not see the headset's images")
    assert call(bridge, "reset", "std_srvs/srv/Trigger")["success"]
    headset.utterances.clear()
    headset.partials.clear()
    headset.sent.clear()
    return headset


def test_a_headset_that_sends_no_stamps_hears_what_happens(bridge, watching):
    stream = Tabletop(seed=SEED, seconds=16.0)
    watching.send(stream, until=9.5)
    assert watching.wait_for(2), watching.utterances
    for event, (arrival, message) in zip(stream.events, watching.utterances, strict=False):
        assert matches(message["text"], event)
        assert message["kind"] == 0 and message["final"]
        latency = message["latency"]["sec"] + message["latency"]["nanosec"] * 1e-9
        assert 0 <= latency <= arrival - watching.sent[0]
    for _, message in watching.utterances:
        grown = [partial for partial in watching.partials if partial["id"] == message["id"]]
        assert [partial["sequence"] for partial in grown] == sorted(partial["sequence"] for partial in grown)
        assert all(message["text"].startswith(partial["text"]) for partial in grown)
        assert grown[-1]["final"]


def test_it_asks_and_is_answered(bridge, watching):
    watching.send(Tabletop(seed=SEED), until=1.0)
    answer = call(bridge, "ask", "videollm_ros/srv/Ask", query="What is on the table?", query_id="headset-1")
    assert answer["success"] and answer["utterance"]["text"]
    assert answer["utterance"]["query_id"] == "headset-1"
    refused = call(bridge, "ask", "videollm_ros/srv/Ask", query=" ")
    assert not refused["success"] and "empty" in refused["message"]


def test_it_converses_with_growing_text(bridge, watching):
    import roslibpy

    watching.send(Tabletop(seed=SEED), until=1.0)
    feedback, done, results = [], threading.Event(), []
    action = roslibpy.ActionClient(bridge, "/assistant/converse", "videollm_ros/action/Converse")
    action.send_goal(
        roslibpy.Goal({"query": "What is on the table?"}),
        lambda result: (results.append(result), done.set()),
        feedback.append,
        lambda error: (results.append(error), done.set()),
    )
    assert done.wait(TIMEOUT)
    text = results[0]["values"]["utterance"]["text"]
    grown = [each["utterance"]["text"] for each in feedback]
    assert text and grown and all(text.startswith(part) for part in grown)
    assert [len(part) for part in grown] == sorted(len(part) for part in grown)


@pytest.fixture
def talkative(bridge, talkative_model, tmp_path):
    """An assistant beside the other one, whose replies do not end by themselves. The name of its node."""
    talkative_model.save_pretrained(tmp_path / "model")
    settings = [f"model.checkpoint:={tmp_path / 'model'}", "image_transport:=compressed", "model.cpu_threads:=1"]
    settings += ["stream.max_new_tokens:=900", "stream.threshold:=0.0", "speech.repeat_window:=0.0"]
    command = [sys.executable, "-m", "videollm_ros.node.assistant_node", "--ros-args", "-r", "__node:=talkative"]
    command += ["-r", f"image:={IMAGE}", *(word for setting in settings for word in ("-p", setting))]
    process = subprocess.Popen(command, stdout=(tmp_path / "log").open("w"), stderr=subprocess.STDOUT)
    try:
        until("the model of /talkative is loaded", lambda: "Loaded on" in (tmp_path / "log").read_text())
        yield "/talkative"
    finally:
        process.kill()
        process.wait()


def until(what: str, condition) -> None:
    deadline = time.monotonic() + 2 * TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"not within {2 * TIMEOUT:g} s: {what}"
        time.sleep(0.05)


def test_a_cancelled_goal_ends_with_the_text_so_far(bridge, headset, talkative):
    import roslibpy

    action = roslibpy.ActionClient(bridge, f"{talkative}/converse", "videollm_ros/action/Converse")
    images, stop = Tabletop(seed=SEED), threading.Event()
    camera = threading.Thread(target=lambda: [headset.send(images, until=1 / RATE) for _ in iter(stop.is_set, True)])
    camera.start()
    try:
        feedback, results = [], []
        question = roslibpy.Goal({"query": "What is it now?"})
        goal = action.send_goal(question, results.append, feedback.append, results.append)
        until("the answer grows", lambda: len(feedback) >= 3)
        action.cancel_goal(goal)
        until("the goal has an outcome", lambda: results)
    finally:
        stop.set()
        camera.join()
    assert results[0]["status"].value == GoalStatus.STATUS_CANCELED
    values = results[0]["values"]
    assert not values["success"] and values["truncated"] and "stopped" in values["message"]
    grown = [each["utterance"] for each in feedback]
    numbers = [each["sequence"] for each in grown]
    assert numbers == sorted(set(numbers))
    assert all(later["text"].startswith(each["text"]) for each, later in itertools.pairwise(grown))
    assert values["utterance"]["text"].startswith(grown[-1]["text"])
    assert {each["id"] for each in grown} == {values["utterance"]["id"]}


CLOCKS = {
    "omitted": lambda now, seconds: None,
    "zero": lambda now, seconds: 0.0,
    "since boot": lambda now, seconds: 5.0 + seconds,
    "3 s ahead": lambda now, seconds: now + 3.0,
}


@pytest.mark.parametrize("clock", CLOCKS)
def test_the_latency_is_true_whatever_the_devices_clock_says(bridge, watching, clock):
    streams = bridge.test_log.read_text().count("A new stream begins")
    watching.send(Tabletop(seed=SEED), until=4.0, stamp=CLOCKS[clock])
    answer = call(bridge, "ask", "videollm_ros/srv/Ask", query="What is on the table?")
    since_image = time.time() - watching.sent[-1]
    latency = answer["utterance"]["latency"]["sec"] + answer["utterance"]["latency"]["nanosec"] * 1e-9
    assert 0 <= latency <= since_image + 0.55  # the newest image that was read may be half a second old
    assert bridge.test_log.read_text().count("A new stream begins") == streams
    assert bridge.test_log.read_text().count("The camera's clock is") <= 1


@pytest.fixture(scope="module")
def footage(tmp_path_factory) -> Path:
    """Simulator footage as Chromium takes it for a camera: raw pictures at 10 Hz."""
    path = tmp_path_factory.mktemp("footage") / "camera.y4m"
    stream = Tabletop(seed=SEED, seconds=16.0, resolution=240)
    with av.open(str(path), "w", format="yuv4mpegpipe") as container:
        video = container.add_stream("wrapped_avframe", rate=10)
        video.width = video.height = 240
        video.pix_fmt = "yuv420p"
        for rgb in stream.frames_at(index / 10 for index in range(95)):
            container.mux(video.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")))
        container.mux(video.encode(None))
    return path


def test_the_page_sends_the_camera_and_shows_what_is_said(bridge, watching, footage, launch_browser, tmp_path):
    camera = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    camera += [f"--use-file-for-fake-video-capture={footage}"]
    with contextlib.closing(launch_browser(*camera)) as browser:
        page = browser.new_page(viewport={"width": 420, "height": 760})
        problems = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.goto(f"file://{ROOT}/web/headset.html?bridge=ws://127.0.0.1:{bridge.test_port}&rate={RATE}")
        caption = page.locator("#captions li")
        caption.first.wait_for(timeout=TIMEOUT * 1000)
        assert any(matches(caption.first.inner_text(), event) for event in Tabletop(seed=SEED, seconds=16.0).events)
        page.fill("#question", "What is on the table?")
        page.click("button[type=submit]")
        page.locator("#captions .query").wait_for(timeout=TIMEOUT * 1000)
        page.screenshot(path=tmp_path / "headset.png")
        assert page.locator("#state.open").count() == 1
        assert not problems
