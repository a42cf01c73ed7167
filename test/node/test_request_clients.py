# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A question is not lost while assistant and client discover each other, nor while the assistant is started again."""

import contextlib
import subprocess
import sys
import threading

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

import rclpy
from rclpy.action import ActionServer
from rclpy.context import Context

from videollm_ros.action import Converse
from videollm_ros.node.client import AssistantClient, AssistantTimeoutError
from videollm_ros.node.spinning_thread import spinning

SERVER = """
import os
import rclpy
from videollm_ros.srv import Ask

def answer(request, response):
    response.success, response.utterance.text = True, f"{os.getpid()}: {request.query}"
    return response

rclpy.init()
node = rclpy.create_node("assistant", namespace="/restarted")
node.create_service(Ask, "~/ask", answer)
print("ready", flush=True)
rclpy.spin(node)
"""


@pytest.fixture
def start_server():
    """Starts a process that answers with its number and the question."""
    processes = []

    def start():
        processes.append(subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def new_client():
    """Makes clients that nobody in the graph has seen, each in a context of its own."""
    with contextlib.ExitStack() as stack:

        def make():
            context = Context()
            rclpy.init(context=context)
            stack.callback(context.try_shutdown)
            node = rclpy.create_node(f"asker_{id(context)}", context=context)
            stack.callback(node.destroy_node)
            stack.enter_context(spinning(node))
            client = AssistantClient(node, "/restarted/assistant")
            stack.callback(client.close)
            return client

        yield make


def test_the_first_question_of_a_client_that_nobody_has_seen_is_answered(start_server, new_client):
    server = start_server()
    assert server.stdout.readline() == "ready\n"
    for number in range(5):
        assert new_client().ask(f"question {number}", timeout=30.0).text == f"{server.pid}: question {number}"


def test_a_question_while_the_assistant_is_started_again_is_answered_by_the_new_one(start_server, new_client):
    first = start_server()
    client = new_client()
    assert client.ask("before").text == f"{first.pid}: before"
    first.kill()  # the graph shows it for many seconds more
    first.wait()
    second = start_server()
    assert client.ask("after", timeout=60.0).text == f"{second.pid}: after"


def test_an_answer_that_does_not_come_is_a_sentence(new_client):
    given_up = threading.Event()

    def say_nothing(goal):
        given_up.wait(60.0)
        goal.abort()
        return Converse.Result()

    with contextlib.ExitStack() as stack:
        context = Context()
        rclpy.init(context=context)
        stack.callback(context.try_shutdown)
        server = rclpy.create_node("assistant", namespace="/restarted", context=context)
        stack.callback(server.destroy_node)
        stack.callback(ActionServer(server, Converse, "~/converse", say_nothing).destroy)
        stack.enter_context(spinning(server))
        stack.callback(given_up.set)
        conversation = new_client().converse("Is anybody there?", timeout=3.0)
        with pytest.raises(AssistantTimeoutError, match="/restarted/assistant/converse sent nothing for 3 s"):
            next(conversation)
