# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cleaning the node up gives the model's memory back, and an interrupt ends it even while a model is being loaded."""

import gc
import os
import signal
import subprocess
import sys
import time
import weakref

import pytest
import torch

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import GetState
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_msgs.msg import Image

from videollm_ros.live import LiveModel
from videollm_ros.node.assistant_node import EXIT_FATAL, AssistantNode
from videollm_ros.node.diagnostics import model_status


@pytest.fixture
def node(golden_paths):
    arguments = ["-p", "autostart:=false", "-p", "model.device:=cpu"]
    for key, path in golden_paths.items():
        arguments += ["-p", f"model.{key}:={path}"]
    rclpy.init(args=["--ros-args", *arguments])
    node = AssistantNode()
    yield node
    node.close()
    node.destroy_node()
    rclpy.shutdown()


def test_cleanup_frees_the_model_every_time(node, monkeypatch):
    models = []
    load = LiveModel.from_pretrained

    def remember(*arguments, **options):
        model = load(*arguments, **options)
        models.append(weakref.ref(model))
        return model

    monkeypatch.setattr(LiveModel, "from_pretrained", remember)
    for _ in range(2):
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        assert models[-1]() is not None
        assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
        gc.collect()
        assert models[-1]() is None


class Unforeseen(Exception):
    """What no part of the node expects."""


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (OSError("there is no such checkpoint"), TransitionCallbackReturn.FAILURE),
        (Unforeseen("a bug"), TransitionCallbackReturn.ERROR),
    ],
)
def test_a_model_that_is_not_loaded_stays_an_error_until_it_is(node, monkeypatch, error, result):
    def fail(*_, **__):
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(LiveModel, "from_pretrained", fail)
        assert node.trigger_configure() == result
    with monkeypatch.context() as later:
        now = time.monotonic()
        later.setattr(time, "monotonic", lambda: now + 3600)
        status = model_status("unconfigured", "", node.errors.model, None)
    assert status.level == DiagnosticStatus.ERROR and str(error) in status.message
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert model_status("inactive", "", node.errors.model, None).level == DiagnosticStatus.OK


@pytest.fixture
def loading(tmp_path):
    """/loading/assistant, in a process of its own that loads a model for ever."""
    os.mkfifo(tmp_path / "live_config.json")  # whoever opens it waits for ever
    command = [sys.executable, "-m", "videollm_ros.node.assistant_node", "--ros-args", "-r", "__ns:=/loading"]
    process = subprocess.Popen([*command, "-p", f"model.checkpoint:={tmp_path}"], stderr=subprocess.PIPE, text=True)
    while "Loading" not in process.stderr.readline():
        assert process.poll() is None
    yield process
    process.kill()
    process.wait()


def test_an_interrupt_ends_the_node_while_a_model_is_being_loaded(loading):
    loading.send_signal(signal.SIGINT)
    assert loading.wait(120) == 0
    assert "Traceback" not in loading.stderr.read()


def test_its_state_is_told_while_a_model_is_being_loaded(loading):
    rclpy.init()
    try:
        node = rclpy.create_node("impatient")
        client = node.create_client(GetState, "/loading/assistant/get_state")
        assert client.wait_for_service(120)
        for _ in range(10):  # the first responses may be lost, while the two discover each other
            future = client.call_async(GetState.Request())
            rclpy.spin_until_future_complete(node, future, timeout_sec=5.0)
            if future.done():
                break
        assert future.done(), "no response came"
        assert future.result().current_state.label == "configuring"
    finally:
        rclpy.shutdown()


BROKEN = """
import sys
from videollm_ros.live import StreamSession
from videollm_ros.node.assistant_node import main

def fail(*_, **__):
    raise RuntimeError("an illegal memory access was encountered")

StreamSession.observe_embeds = fail
sys.exit(main())
"""


def test_a_model_that_does_not_recover_ends_the_process_with_its_exit_code_and_a_lasting_error(golden_paths, scenes):
    arguments = ["--ros-args", "-r", "__ns:=/broken", "-p", "model.device:=cpu"]
    for key, path in golden_paths.items():
        arguments += ["-p", f"model.{key}:={path}"]
    process = subprocess.Popen([sys.executable, "-c", BROKEN, *arguments], stderr=subprocess.PIPE, text=True)
    rclpy.init()
    try:
        node, statuses = rclpy.create_node("camera", namespace="/broken"), []
        node.create_subscription(DiagnosticArray, "/diagnostics", lambda message: statuses.append(message.status), 10)
        images, deadline, index = node.create_publisher(Image, "image", 10), time.monotonic() + 120, 0
        while process.poll() is None:
            assert time.monotonic() < deadline
            index += 1
            pixels = scenes[index % len(scenes)]
            image = Image(height=96, width=96, encoding="rgb8", step=288, data=pixels.tobytes())
            image.header.stamp.sec = index
            images.publish(image)
            rclpy.spin_once(node, timeout_sec=0.05)
        for _ in range(10):
            rclpy.spin_once(node, timeout_sec=0.05)
    finally:
        rclpy.shutdown()
        process.kill()
    assert process.wait() == EXIT_FATAL == 3
    log = process.stderr.read()
    assert "does not recover: 5 failures in a row" in log and "Traceback" not in log
    last = next(status for status in statuses[-1] if status.name.endswith("model"))
    assert last.level == DiagnosticStatus.ERROR and "illegal memory access" in last.message


def test_a_tower_that_cannot_encode_is_an_error_of_configuring(node, monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with monkeypatch.context() as broken:
        broken.setattr(LiveModel, "encode", fail)
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert "CUDA out of memory" in node.errors.model.sentence and node.state == "unconfigured"
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
