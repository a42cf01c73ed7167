# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each speech package that is installed here: a server of its real action type hears the text and is stopped."""

import contextlib
import threading
import time

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

import rclpy
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor

from videollm_ros.node.voice.engines import ENGINES, ActionVoice, VoiceError

TIMEOUT = 30.0  # seconds
TEXT = "A red cup appears: 100 % sure, \u00fcber \u2014 'quoted'."


def until(condition) -> bool:
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def texts_in(message) -> list[str]:
    """All that a message has in its text fields, of nested messages too."""
    found = []
    for name in message.get_fields_and_field_types():
        value = getattr(message, name)
        if isinstance(value, str):
            found.append(value)
        elif hasattr(value, "get_fields_and_field_types"):
            found += texts_in(value)
    return [text for text in found if text]


class SpeechServer:
    """Takes goals of a package's own type. A goal is under way until it is cancelled or another one comes."""

    def __init__(self, node, engine, action_type, cancels):
        self.goals, self.ended = [], []
        self._type = action_type
        self.finish = threading.Event()
        self._server = ActionServer(
            node,
            action_type,
            engine.server,
            self._say,
            callback_group=ReentrantCallbackGroup(),
            cancel_callback=lambda _: CancelResponse.ACCEPT if cancels else CancelResponse.REJECT,
        )

    def _say(self, handle):
        self.goals.append(handle.request)
        mine = len(self.goals)
        deadline = time.monotonic() + TIMEOUT
        while not self.finish.is_set() and time.monotonic() < deadline:
            if handle.is_cancel_requested:
                handle.canceled()
                break
            if len(self.goals) > mine:
                handle.abort()
                break
            time.sleep(0.01)
        else:
            handle.succeed()
        self.ended.append(mine)
        return self._type.Result()


@pytest.fixture
def node():
    rclpy.init()
    node = rclpy.create_node("engines_test")
    executor = MultiThreadedExecutor(4)
    executor.add_node(node)

    def spin():
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin)
    thread.start()
    yield node
    rclpy.shutdown()
    thread.join()


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_the_packages_own_action_carries_the_text_and_is_stopped(node, engine):
    try:
        voice = ActionVoice(node, engine)
    except VoiceError as error:
        pytest.skip(str(error))
    # The server of sound_play takes rclpy's default: no goal can be cancelled.
    server = SpeechServer(node, engine, voice.action_type, cancels=engine.name != "sound_play")
    assert until(lambda: voice.is_available)
    voice.say(TEXT)
    assert voice.is_speaking
    assert until(lambda: len(server.goals) == 1)
    assert TEXT in texts_in(server.goals[0])
    voice.stop()
    assert not voice.is_speaking
    assert until(lambda: 1 in server.ended)
    server.finish.set()
    voice.say("Another.")
    assert until(lambda: not voice.is_speaking)
    assert "Another." in texts_in(server.goals[-1])
