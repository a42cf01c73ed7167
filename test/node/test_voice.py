# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The voice: order, age and stopping against a fake server, echo and wake words, and one loop with real sound."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import wave

import pytest

from videollm_ros.node.voice.hearing import Hearing
from videollm_ros.node.voice.speech_queue import Line, SpeechQueue

TIMEOUT = 90.0  # seconds, on a slow machine


def lines(queue: SpeechQueue, now: float) -> list[str]:
    return [line.text for line in iter(lambda: queue.take(now), None)]


def test_answers_are_said_before_proactive_lines():
    queue = SpeechQueue(max_age=10.0)
    for text, is_answer in [("one", False), ("two", True), ("three", False), ("four", True)]:
        queue.put(Line(text, is_answer, received=0.0))
    assert lines(queue, now=1.0) == ["two", "four", "one", "three"]


def test_proactive_lines_that_are_too_old_are_dropped_and_counted_and_answers_are_not():
    queue = SpeechQueue(max_age=3.0)
    queue.put(Line("old", False, received=0.0))
    queue.put(Line("old answer", True, received=0.0))
    queue.put(Line("new", False, received=4.0))
    assert lines(queue, now=5.0) == ["old answer", "new"]
    assert queue.dropped == 1


def test_a_talkative_model_cannot_fill_the_memory():
    queue = SpeechQueue(max_age=1e9, capacity=20)
    for index in range(1000):
        queue.put(Line(str(index), False, received=0.0))
    assert lines(queue, now=0.0) == [str(index) for index in range(980, 1000)]
    assert queue.dropped == 980


def test_nothing_counts_while_the_assistant_speaks_and_a_moment_after():
    hearing = Hearing(pause=1.0)
    assert hearing.query("What is it?", now=0.0) == "What is it?"
    hearing.speaking(True, now=1.0)
    assert hearing.query("What is it?", now=2.0) == ""
    hearing.speaking(False, now=3.0)
    assert hearing.query("What is it?", now=3.9) == ""
    assert hearing.query("What is it?", now=4.1) == "What is it?"


def test_the_assistants_own_words_are_no_query_even_when_they_are_heard_late():
    hearing = Hearing()
    hearing.said("A red cup appears.", now=0.0)
    assert hearing.query("a red cup appear", now=5.0) == ""
    assert hearing.query("where is the blue ball", now=5.0) == "where is the blue ball"
    assert hearing.query("a red cup appear", now=11.0) == "a red cup appear"


def test_a_wake_word_begins_a_query_or_opens_the_ears_for_the_next():
    hearing = Hearing(wake_word="Hey robot")
    assert hearing.query("where is the cup", now=0.0) == ""
    assert hearing.query("hey, Robot where is the cup", now=1.0) == "where is the cup"
    assert hearing.query("hey robotics people", now=2.0) == ""
    assert hearing.query("Hey robot.", now=3.0) == ""
    assert hearing.query("where is the cup", now=4.0) == "where is the cup"
    assert hearing.query("where is the cup", now=5.0) == ""
    assert hearing.query("hey robot", now=6.0) == ""
    assert hearing.query("where is the cup", now=13.0) == ""  # too late


rclpy = pytest.importorskip("rclpy", reason="there is no ROS 2 here")

from rclpy.action import ActionServer, CancelResponse, GoalResponse  # noqa: E402
from rclpy.callback_groups import ReentrantCallbackGroup  # noqa: E402
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from std_msgs.msg import Bool, String  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from videollm_ros.action import Converse  # noqa: E402
from videollm_ros.msg import AssistantUtterance  # noqa: E402
from videollm_ros.node.voice.engines import ActionVoice, Engine, VoiceError  # noqa: E402

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Graph:
    """A node of the test's own, and processes of the package beside it."""

    def __init__(self, log):
        self._log, self._processes = log, []
        rclpy.init()
        self.node = rclpy.create_node("voice_test")
        self._executor = MultiThreadedExecutor(4)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()

    def _spin(self):
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def start(self, module, *arguments, **parameters):
        command = [sys.executable, "-m", f"videollm_ros.node.{module}", "--ros-args", *arguments]
        for name, value in parameters.items():
            command += ["-p", f"{name}:={value}"]
        log = (self._log / f"{module}.txt").open("w")
        self._processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=os.environ))

    def collect(self, message_type, topic, qos=10):
        found = []
        self.node.create_subscription(message_type, topic, found.append, qos)
        return found

    def publisher(self, message_type, topic):
        """A publisher that has a listener."""
        publisher = self.node.create_publisher(message_type, topic, 10)
        assert until(lambda: publisher.get_subscription_count() > 0)
        return publisher

    def close(self):
        for process in self._processes:
            process.send_signal(signal.SIGINT)
        for process in self._processes:
            process.wait(TIMEOUT)
        rclpy.shutdown()
        self._thread.join()


def until(condition, timeout=TIMEOUT) -> bool:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def graph(tmp_path):
    graph = Graph(tmp_path)
    yield graph
    graph.close()


def utterance(text, kind=AssistantUtterance.PROACTIVE) -> AssistantUtterance:
    return AssistantUtterance(text=text, kind=kind, final=True)


@pytest.fixture
def spoken(tmp_path):
    """A program that says its standard input by writing it to a file, in 0.6 s; and the lines it has said."""
    said = tmp_path / "said.txt"
    program = tmp_path / "say"
    program.write_text(f'#!/bin/sh\ntext=$(cat)\necho "begin $text" >> {said}\nsleep 0.6\necho "end $text" >> {said}\n')
    program.chmod(0o755)
    return program, lambda: said.read_text().splitlines() if said.exists() else []


def test_one_line_at_a_time_answers_first_and_stop_ends_all(graph, spoken):
    program, said = spoken
    graph.start("voice.speech_out", engine="process", command=program, max_age=30.0)
    say = graph.publisher(AssistantUtterance, "utterance")
    speaking = graph.collect(Bool, "speech_out/speaking", LATCHED)
    assert until(lambda: [each.data for each in speaking] == [False])
    say.publish(utterance("first"))
    assert until(lambda: said() == ["begin first"])
    say.publish(utterance("proactive"))
    say.publish(utterance("--version", AssistantUtterance.ANSWER))
    assert until(lambda: "end proactive" in said())
    assert [line.split(" ", 1)[1] for line in said() if line.startswith("begin")] == ["first", "--version", "proactive"]
    assert all(said()[index].startswith("begin") for index in range(0, 6, 2))  # none begins before the last has ended
    assert until(lambda: [each.data for each in speaking][-3:] == [False, True, False])

    say.publish(utterance("long"))
    say.publish(utterance("never"))
    assert until(lambda: "begin long" in said())
    stop = graph.node.create_client(Trigger, "speech_out/stop")
    assert stop.wait_for_service(TIMEOUT)
    future = stop.call_async(Trigger.Request())
    assert until(future.done)
    assert "2 utterances" in future.result().message
    time.sleep(1.0)
    assert "end long" not in said() and "begin never" not in said()


def test_a_program_that_is_not_installed_is_named(graph, tmp_path):
    command = [sys.executable, "-m", "videollm_ros.node.voice.speech_out", "--ros-args"]
    command += ["-p", "engine:=process", "-p", "command:=no-such-program"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert ended.returncode == 1
    assert "no-such-program" in ended.stderr and "Traceback" not in ended.stderr


class SayServer:
    """An action server that says one goal in 0.5 s. The action is our own, in place of communication_skills/Say."""

    def __init__(self, node):
        self.log = []
        self._server = ActionServer(
            node,
            Converse,
            "/skill/say",
            self._say,
            callback_group=ReentrantCallbackGroup(),
            goal_callback=lambda goal: GoalResponse.REJECT if goal.query == "bad" else GoalResponse.ACCEPT,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def _say(self, goal):
        self.log.append(f"begin {goal.request.query}")
        for _ in range(10):
            time.sleep(0.05)
            if goal.is_cancel_requested:
                self.log.append(f"cancel {goal.request.query}")
                goal.canceled()
                return Converse.Result()
        self.log.append(f"end {goal.request.query}")
        goal.succeed()
        return Converse.Result()


def test_an_action_server_says_a_line_is_stopped_and_may_refuse(graph, monkeypatch):
    server = SayServer(graph.node)
    engine = Engine("say", ("no_such_package.action:Say", "videollm_ros.action:Converse"), "/skill/say", as_query)
    voice = ActionVoice(graph.node, engine)
    assert until(lambda: voice.is_available)
    voice.say("one")
    assert until(lambda: not voice.is_speaking)
    assert server.log == ["begin one", "end one"]
    voice.say("two")
    assert until(lambda: "begin two" in server.log)
    assert voice.is_speaking
    with monkeypatch.context() as gone:
        gone.setattr(voice._client, "server_is_ready", lambda: False)
        assert not voice.is_speaking  # the server has gone: nobody waits for its result
    voice.stop()
    assert not voice.is_speaking
    assert until(lambda: "cancel two" in server.log)
    voice.say("three")
    voice.stop()  # before the goal was accepted
    voice.say("bad")
    assert until(lambda: not voice.is_speaking)
    voice.say("four")
    assert until(lambda: "end four" in server.log)
    assert "end three" not in server.log and "begin bad" not in server.log


def as_query(text):
    return {"query": text}


def test_a_package_that_is_not_installed_is_named(graph):
    with pytest.raises(VoiceError, match="no_such_package"):
        ActionVoice(graph.node, Engine("say", ("no_such_package.action:Say",), "/say", as_query))


def test_a_final_phrase_of_live_speech_asks_if_it_is_certain_enough(graph):
    LiveSpeech = pytest.importorskip("hri_msgs.msg", reason="hri_msgs is not installed").LiveSpeech  # noqa: N806
    queries = graph.collect(String, "query")
    graph.start("voice.speech_in", type="live_speech", min_confidence=0.5)
    speech = graph.publisher(LiveSpeech, "speech")
    assert until(lambda: graph.node.count_publishers("query") == 1)
    speech.publish(LiveSpeech(incremental="where is", confidence=0.9))
    speech.publish(LiveSpeech(final="wear is the cup", confidence=0.3))
    speech.publish(LiveSpeech(final="where is the cup", confidence=0.9))
    assert until(lambda: bool(queries))
    assert [each.data for each in queries] == ["where is the cup"]


GRAMMAR = "#JSGF V1.0; grammar questions; public <question> = what is on the table | where is the red cup | stop ;"


def recognize(path) -> str:
    """What pocketsphinx hears in a WAV file."""
    from pocketsphinx import Decoder

    with wave.open(str(path)) as recording:
        rate, raw = recording.getframerate(), recording.readframes(recording.getnframes())
    as_recorded = ["-t", "raw", "-r", str(rate), "-e", "signed", "-b", "16", "-c", "1", "-"]
    as_heard = ["-t", "raw", "-r", "16000", "-", "pad", "0.3", "0.5"]  # silence around it, as in a room
    samples = subprocess.run(["sox", *as_recorded, *as_heard], input=raw, capture_output=True, check=True).stdout
    decoder = Decoder(samprate=16000, loglevel="FATAL", lm=None)
    decoder.add_jsgf_string("questions", GRAMMAR)
    decoder.activate_search("questions")
    decoder.start_utt()
    decoder.process_raw(samples, full_utt=True)
    decoder.end_utt()
    return decoder.hyp().hypstr if decoder.hyp() else ""


def test_a_spoken_question_is_heard_answered_and_said_and_the_answer_asks_nothing(graph, tmp_path):
    pytest.importorskip("pocketsphinx", reason="the recognizer pocketsphinx is not installed")
    if not (shutil.which("espeak-ng") and shutil.which("sox")):
        pytest.skip("espeak-ng or sox is not installed")
    from videollm_ros.demo_checkpoint import demo_checkpoint

    answer_wav = tmp_path / "answer.wav"
    utterances = graph.collect(AssistantUtterance, "assistant/utterance")
    queries = graph.collect(String, "assistant/query")
    speaking = graph.collect(Bool, "speech_out/speaking", LATCHED)
    graph.start("simulated_camera", seed=9003, fps=10.0)
    graph.start("assistant_node", **{"model.checkpoint": demo_checkpoint(), "model.cpu_threads": 1})
    graph.start(
        "voice.speech_out",
        *["-r", "utterance:=/assistant/utterance"],
        command=f"'espeak-ng -v en-us --stdin -w {answer_wav}'",
        engine="process",
    )
    ears = ["-r", "utterance:=/assistant/utterance", "-r", "query:=/assistant/query"]
    graph.start("voice.speech_in", *ears, "-r", "speaking:=/speech_out/speaking", pause=0.5)
    speech = graph.publisher(String, "speech")
    asked = graph.node.create_publisher(String, "assistant/query", 10)
    assert until(lambda: asked.get_subscription_count() >= 2)  # the assistant listens

    question_wav = tmp_path / "question.wav"
    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "130", "-w", question_wav, "What is on the table?"], check=True)
    heard = recognize(question_wav)
    assert heard == "what is on the table"
    answers = lambda: [each for each in utterances if each.kind == AssistantUtterance.ANSWER]  # noqa: E731
    assert until(lambda: speech.publish(String(data=heard)) or until(lambda: bool(answers()), 2.0))
    assert answers()[0].query == heard and answers()[0].text
    assert until(lambda: answer_wav.exists() and answer_wav.stat().st_size > 1000)
    assert until(lambda: bool(speaking) and not speaking[-1].data and len(speaking) >= 3)

    # A recognizer without a grammar hears the assistant itself: word by word, with an error, and late.
    time.sleep(0.6)
    before = len(queries)
    speech.publish(String(data=answers()[-1].text.lower().replace(" a ", " the ")))
    time.sleep(1.0)
    assert len(queries) == before
