# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A question is not lost while assistant and client discover each other, nor while the assistant is started again."""

import subprocess
import sys
import threading

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

import rclpy
from rclpy.action import ActionServer

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

# It ends without destroying its participant, which Fast DDS may wait for without an end (see docs/reliability.md).
CLIENT = """
import os
import sys
import rclpy
from videollm_ros.node.client import AssistantClient
from videollm_ros.node.spinning_thread import spinning

rclpy.init()
node = rclpy.create_node("asker")
with spinning(node):
    print(AssistantClient(node, "/restarted/assistant").ask(sys.argv[1], timeout=60.0).text, flush=True)
    os._exit(0)
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


@pytest.fixture(scope="module")
def node():
    rclpy.init()
    node = rclpy.create_node("asker")
    with spinning(node):
        yield node
    rclpy.try_shutdown()


@pytest.fixture
def client(node):
    client = AssistantClient(node, "/restarted/assistant")
    yield client
    client.close()


@pytest.mark.slow
def test_the_first_question_of_a_client_that_nobody_has_seen_is_answered(start_server):
    server = start_server()
    assert server.stdout.readline() == "ready\n"
    for number in range(5):
        command = [sys.executable, "-c", CLIENT, f"question {number}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=90, check=True)
        assert done.stdout == f"{server.pid}: question {number}\n"


@pytest.mark.slow
def test_a_question_while_the_assistant_is_started_again_is_answered_by_the_new_one(start_server, client):
    first = start_server()
    assert client.ask("before").text == f"{first.pid}: before"
    first.kill()  # the graph shows it for many seconds more
    first.wait()
    second = start_server()
    assert client.ask("after", timeout=60.0).text == f"{second.pid}: after"


def test_an_answer_that_does_not_come_is_a_sentence(node):
    given_up = threading.Event()

    def say_nothing(goal):
        given_up.wait(60.0)
        goal.abort()
        return Converse.Result()

    server = rclpy.create_node("assistant", namespace="/silent")
    action = ActionServer(server, Converse, "~/converse", say_nothing)
    client = AssistantClient(node, "/silent/assistant")
    with spinning(server):
        conversation = client.converse("Is anybody there?", timeout=3.0)
        with pytest.raises(AssistantTimeoutError, match="/silent/assistant/converse sent nothing for 3 s"):
            next(conversation)
        given_up.set()
    client.close()
    action.destroy()
    server.destroy_node()
