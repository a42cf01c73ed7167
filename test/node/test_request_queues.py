# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""No response of an action is lost at the client: not in a burst, and not when it is faster than the client."""

import threading
import time

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

import rclpy
from rclpy.action import ActionServer
from rclpy.callback_groups import ReentrantCallbackGroup

from videollm_ros.action import Converse
from videollm_ros.node.request_queues import REQUESTS, LosslessActionClient
from videollm_ros.node.spinning_thread import spinning

TIMEOUT = 20.0  # seconds


@pytest.fixture(scope="module")
def server_node():
    """A node with an action server that answers at once."""
    rclpy.init()
    node = rclpy.create_node("quick_server")

    def execute(goal):
        goal.succeed()
        return Converse.Result(message=goal.request.query)

    queues = {f"{name}_service_qos_profile": REQUESTS for name in ("goal", "result", "cancel")}
    server = ActionServer(node, Converse, "converse", execute, callback_group=ReentrantCallbackGroup(), **queues)
    with spinning(node):
        yield node
    server.destroy()
    node.destroy_node()
    rclpy.try_shutdown()


def wait_for(condition):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def node(server_node):
    node = rclpy.create_node("asker")
    yield node
    node.destroy_node()


def test_60_responses_wait_at_a_client_that_is_not_spun(server_node, node):
    client = LosslessActionClient(node, Converse, "converse", ReentrantCallbackGroup())
    assert client.wait_for_server(TIMEOUT)
    time.sleep(1.0)  # until the server knows the client as well
    sent = [client.send_goal_async(Converse.Goal(query=str(number))) for number in range(60)]
    time.sleep(2.0)  # all are answered now, and nothing has been taken
    with spinning(node):
        wait_for(lambda: all(future.done() for future in sent))
    client.destroy()


class SlowHandle:
    """The handle of an action client whose caller is held up right after a request has left."""

    def __init__(self, handle):
        self._handle = handle

    def __getattr__(self, name):
        method = getattr(self._handle, name)
        if name not in ("send_goal_request", "send_result_request", "send_cancel_request"):
            return method

        def send(request):
            number = method(request)
            time.sleep(0.5)
            return number

        return send


def test_a_response_that_is_faster_than_the_registration_of_its_request_is_kept(server_node, node):
    client = LosslessActionClient(node, Converse, "converse", ReentrantCallbackGroup())
    with spinning(node):
        assert client.wait_for_server(TIMEOUT)
        time.sleep(1.0)
        client._client_handle = SlowHandle(client._client_handle)
        outcome = threading.Event()
        sent = client.send_goal_async(Converse.Goal(query="quick"))
        wait_for(sent.done)
        sent.result().get_result_async().add_done_callback(lambda _: outcome.set())
        assert outcome.wait(TIMEOUT)
        cancelled = sent.result().cancel_goal_async()
        wait_for(cancelled.done)
    client._client_handle = client._client_handle._handle
    client.destroy()
