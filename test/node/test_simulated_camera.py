# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulator as a ROS camera: images with true stamps, and what happened beside them."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from videollm_ros.sim import Tabletop

rclpy = pytest.importorskip("rclpy")
SingleThreadedExecutor = pytest.importorskip("rclpy.executors").SingleThreadedExecutor
QoSProfile = pytest.importorskip("rclpy.qos").QoSProfile
Image = pytest.importorskip("sensor_msgs.msg").Image
SimEvent = pytest.importorskip("videollm_ros.msg").SimEvent

DOMAIN = 1 + os.getpid() % 100  # so that runs side by side do not hear each other
SEED, SECONDS, FPS, RESOLUTION = 5, 5.2, 10.0, 64
SETTINGS = {"seed": SEED, "seconds": SECONDS, "fps": FPS, "resolution": RESOLUTION, "frame_id": "table"}


def camera(**settings):
    """The node in a process of its own; its topics are below /sim."""
    parameters = [part for name, value in settings.items() for part in ("-p", f"{name}:={value}")]
    command = [sys.executable, "-m", "videollm_ros.node.simulated_camera"]
    return subprocess.Popen(
        [*command, "--ros-args", "-r", "__ns:=/sim", *parameters],
        env=os.environ | {"ROS_DOMAIN_ID": str(DOMAIN)},
        stderr=subprocess.PIPE,
        text=True,
    )


class Listener:
    """Keeps what a camera publishes."""

    def __init__(self, context):
        self.images, self.events = [], []
        node = rclpy.create_node("listener", context=context)
        node.create_subscription(Image, "/sim/image", self.images.append, QoSProfile(depth=100))
        node.create_subscription(SimEvent, "/sim/simulated_camera/events", self.events.append, 10)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(node)

    def spin_while(self, condition):
        """Listen while a condition holds, and a moment longer, for what is still on its way."""
        deadline = time.monotonic() + 120
        while condition():
            assert time.monotonic() < deadline
            self._executor.spin_once(timeout_sec=0.1)
        for _ in range(20):
            self._executor.spin_once(timeout_sec=0.02)


@pytest.fixture(scope="module")
def listener():
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    yield Listener(context)
    rclpy.shutdown(context=context)


@pytest.fixture(scope="module")
def seen(listener):
    """(images, events) of a whole stream, as another process receives them."""
    process = camera(**SETTINGS, loop="false", wait_for_subscriber="true", exit_at_end="true")
    listener.spin_while(lambda: process.poll() is None)
    assert process.poll() == 0, process.stderr.read()
    return list(listener.images), list(listener.events)


def test_the_images_are_the_simulators_frames_at_their_stamps(seen):
    images, _ = seen
    assert len(images) > 0.5 * SECONDS * FPS  # a busy machine is late for some
    tabletop, start = Tabletop(SEED, SECONDS, RESOLUTION), nanoseconds(images[0])
    for image in images:
        passed = (nanoseconds(image) - start) * 1e-9
        assert passed * FPS == pytest.approx(round(passed * FPS), abs=1e-6)
        rgb = np.frombuffer(image.data, np.uint8).reshape(image.height, image.step // 3, 3)
        assert (image.encoding, image.header.frame_id) == ("rgb8", "table")
        assert np.array_equal(rgb, tabletop.render(round(passed * FPS) / FPS))


def test_every_event_is_told_with_its_own_stamp(seen):
    images, events = seen
    expected = Tabletop(SEED, SECONDS).events
    assert [event.text for event in events] == [event.text for event in expected] != []
    for event, truth in zip(events, expected, strict=True):
        assert (nanoseconds(event) - nanoseconds(images[0])) * 1e-9 == pytest.approx(truth.time, abs=1e-6)
        assert event.kind == getattr(SimEvent, truth.kind.upper())
        assert (event.colour, event.shape) == (truth.item.colour, truth.item.shape)


def test_an_interrupt_ends_an_endless_camera_quietly(seen, listener):
    listener.images.clear()
    process = camera(seconds=1.0, fps=5.0)
    listener.spin_while(lambda: process.poll() is None and len(listener.images) < 8)  # more than one stream
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    assert "Traceback" not in process.stderr.read()


def test_a_parameter_of_no_use_is_refused_in_a_sentence():
    process = camera(resolution=8)
    assert process.wait(timeout=120) == 1
    error = process.stderr.read()
    assert "resolution" in error and "Traceback" not in error


def nanoseconds(message) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
