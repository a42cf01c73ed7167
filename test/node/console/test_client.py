# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""AssistantClient and the examples over a real graph, with the simulated camera and the demo checkpoint."""

import itertools
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

import rclpy
from rclpy.executors import SingleThreadedExecutor

from videollm_ros.node.client import (
    AssistantClient,
    AssistantTimeoutError,
    AssistantUnavailableError,
    RefusedError,
)
from videollm_ros.node.spinning_thread import spinning

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
QUESTION = "What is on the table?"


@pytest.fixture(scope="module")
def client(graph, node):
    client = AssistantClient(node)
    assert client.wait_for_server(120.0)
    heard = threading.Event()
    end = client.on_utterance(lambda _: heard.set())
    assert heard.wait(120.0), graph.log("assistant_node")  # it watches and speaks
    end()
    yield client
    client.close()


def test_a_relative_name_is_resolved_in_the_namespace_of_the_node(client):
    assert client.name == "/demo/assistant"


def test_ask_returns_the_answer(client):
    answer = client.ask(QUESTION, query_id="mine")
    assert answer.text
    assert (answer.query, answer.query_id, answer.kind) == (QUESTION, "mine", answer.ANSWER)


def test_converse_yields_a_growing_answer_and_ends_with_the_complete_one(client):
    pieces = list(client.converse(QUESTION, query_id="growing"))
    assert pieces[-1].final
    assert not any(piece.final for piece in pieces[:-1])
    assert len(pieces) > 1
    assert all(later.text.startswith(earlier.text) for earlier, later in itertools.pairwise(pieces))


def test_the_node_spins_on_when_clients_are_closed():
    with rclpy.context.Context() as context:
        node = rclpy.create_node("closes_clients", context=context)
        node.create_timer(0.0005, lambda: None)  # the executor is at work at every moment of closing
        with spinning(node):
            for _ in range(30):
                AssistantClient(node).close()
            spun = threading.Event()
            node.create_timer(0.01, spun.set)
            assert spun.wait(30.0)


def test_threads_may_ask_at_the_same_time(client):
    answers = {}

    def ask(name):
        answers[name] = client.ask(QUESTION, query_id=name)

    threads = [threading.Thread(target=ask, args=(f"thread {i}",)) for i in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert {name: answer.query_id for name, answer in answers.items()} == {
        f"thread {i}": f"thread {i}" for i in range(5)
    }


def test_an_empty_question_is_refused_with_the_sentence_of_the_assistant(client):
    with pytest.raises(RefusedError, match="empty"):
        client.ask("  ")
    with pytest.raises(RefusedError, match="empty"):
        list(client.converse("  "))


def test_a_conversation_that_is_closed_early_is_cancelled(client):
    statuses = []
    with client.converse(QUESTION) as conversation:
        next(conversation)
        conversation._goal.get_result_async().add_done_callback(lambda future: statuses.append(future.result().status))
    assert list(conversation) == []
    answer = client.ask(QUESTION)  # the assistant goes on
    assert answer.text
    assert statuses  # the goal has come to an end


def test_an_utterance_is_heard_once_although_two_topics_carry_its_end(client, until):
    heard = []
    end = client.on_utterance(heard.append, partial=True)
    try:
        list(client.converse(QUESTION, query_id="heard"))
        mine = until(lambda: (m := [m for m in heard if m.query_id == "heard"]) and m[-1].final and m, what="the end")
        answer = client.ask(QUESTION, query_id="after")
        assert answer.final
        mine = [message for message in heard if message.query_id == "heard"]
        assert [message.final for message in mine].count(True) == 1
        assert mine[-1].final
        assert len(mine) > 1
    finally:
        end()


def test_a_parameter_is_set_and_read_back(client):
    before = client.get_parameter("stream.threshold")
    client.set_parameter("stream.threshold", 0.5)
    assert client.get_parameter("stream.threshold") == 0.5
    client.set_parameter("stream.threshold", before)


def test_a_value_out_of_range_is_refused_and_an_unknown_parameter_too(client):
    with pytest.raises(RefusedError):
        client.set_parameter("stream.threshold", 2.0)
    with pytest.raises(RefusedError):
        client.get_parameter("stream.no_such_thing")


def test_mute_and_reset(client):
    client.mute()
    assert client.get_parameter("speech.muted") is True
    client.mute(False)
    assert client.get_parameter("speech.muted") is False
    client.reset()


def test_nobody_there_is_a_sentence(node):
    client = AssistantClient(node, "/nowhere/assistant")
    try:
        assert not client.wait_for_server()
        with pytest.raises(AssistantUnavailableError, match="Nobody offers /nowhere/assistant/ask"):
            client.ask(QUESTION, timeout=0.2)
        with pytest.raises(AssistantUnavailableError, match="Nobody offers /nowhere/assistant/converse"):
            client.converse(QUESTION, timeout=0.2)
    finally:
        client.close()


def test_a_node_that_nothing_spins_is_a_sentence(node):
    still = rclpy.create_node("still", namespace="/demo")
    try:
        with pytest.raises(AssistantUnavailableError, match="Nothing spins the node still"):
            AssistantClient(still).ask(QUESTION)
    finally:
        still.destroy_node()


def test_no_response_in_time_is_a_sentence(client):
    idle = rclpy.create_node("idle", namespace="/demo")
    executor = SingleThreadedExecutor()
    executor.add_node(idle)  # and nobody spins it
    late = AssistantClient(idle)
    try:
        assert late.wait_for_server(60.0)
        with pytest.raises(AssistantTimeoutError, match="/demo/assistant/mute did not respond within"):
            late.mute(False, timeout=0.3)
        with pytest.raises(AssistantTimeoutError, match="/demo/assistant/converse did not respond within"):
            late.converse(QUESTION, timeout=0.3)
    finally:
        late.close()
        executor.shutdown()
        idle.destroy_node()


def test_a_closed_client_may_be_closed_again(node, client):
    other = AssistantClient(node)
    other.on_utterance(lambda _: None)
    other.close()
    other.close()
    with pytest.raises(AssistantUnavailableError, match="was closed"):
        other.mute(False)
    with pytest.raises(AssistantUnavailableError, match="was closed"):
        other.converse(QUESTION)
    assert client.wait_for_server(60.0)


def run_example(name, *arguments, timeout=90):
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout)


def test_the_example_that_asks_prints_the_answer(client):
    ended = run_example("ask_from_python.py", QUESTION, "--assistant", "/demo/assistant")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip()
    assert ended.stdout.count("\n") == 1


def test_the_example_that_asks_says_that_nobody_is_there(client):
    ended = run_example("ask_from_python.py", QUESTION, "--assistant", "/nowhere")
    assert ended.returncode == 1
    assert "Nobody offers /nowhere/converse" in ended.stderr


def test_the_example_that_speaks_hands_over_what_was_said(client, tmp_path):
    spoken = tmp_path / "spoken"
    program = ["bash", "-c", f'printf "%s\\n" "$1" >> {spoken}', "speaker"]
    ended = run_example("speak_aloud.py", "--assistant", "/demo/assistant", "--count", "1", "--", *program)
    assert ended.returncode == 0, ended.stderr
    assert len(spoken.read_text().split()) > 1
