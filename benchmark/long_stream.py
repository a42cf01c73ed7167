# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Does the node remember and say on a long stream what the library does? Half an hour of simulator, four times as fast.

    source ./activate.sh
    python benchmark/long_stream.py --minutes 30 --speed 4 --json out.json

This process is the camera and the one who asks. It publishes the frames of one simulated stream on DDS, `speed` times
as fast as they are stamped, and asks the stream's questions by the service when their time has come. The node runs the
demo checkpoint in a process of its own. The library reads the same frames afterwards, without threads and messages.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray
from domain_coordinator import domain_id
from machine import describe_machine
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from videollm_ros.demo_checkpoint import demo_checkpoint
from videollm_ros.evaluation import score_stream
from videollm_ros.evaluation.matching import StreamScore, figure_intervals
from videollm_ros.live import LiveModel, StreamSession, Utterance
from videollm_ros.msg import AssistantUtterance
from videollm_ros.node.client import AssistantClient
from videollm_ros.node.messages import seconds
from videollm_ros.sim import Tabletop

START = 1000.0  # stamp of the first image, seconds
PART = 60.0  # seconds of a part of the stream: the intervals are over the parts
FIGURES = ("event_f1", "mean_time_difference", "false_per_quiet_minute", "answer_accuracy")


@dataclass
class Run:
    """What was said on the stream, and how many seconds of video the context held at each look."""

    said: list[Utterance] = field(default_factory=list)
    held: list[float] = field(default_factory=list)


def utterance(stamp: float, text: str, query: str | None, query_id: str) -> Utterance:
    """Return an utterance as the judge takes it."""
    return Utterance(text, stamp, query, 0.0, (), truncated=False, query_id=query_id)


class Camera:
    """Publishes the stream and asks its questions."""

    def __init__(self, node: rclpy.node.Node, tabletop: Tabletop, fps: float, speed: float) -> None:
        self._node, self._tabletop, self._fps, self._speed = node, tabletop, fps, speed
        self.run, self.values, self.refused = Run(), {}, 0
        self._client = AssistantClient(node)
        self._images = node.create_publisher(Image, "image", QoSProfile(depth=10))
        node.create_subscription(DiagnosticArray, "/diagnostics", self._note, 10)
        self._client.on_utterance(self._hear)

    def _note(self, message: DiagnosticArray) -> None:
        self.values |= {value.key: value.value for status in message.status for value in status.values}
        if held := self.values.get("context: video held (s)"):
            self.run.held.append(float(held))

    def _hear(self, message: AssistantUtterance) -> None:
        if message.kind == AssistantUtterance.PROACTIVE:
            self.run.said.append(utterance(seconds(message.header.stamp) - START, message.text, None, ""))

    def play(self) -> None:
        """Publish every frame at its time. Returns when the last answer has come."""
        if not self._client.wait_for_server(180.0):
            raise RuntimeError("the assistant did not start")
        while not self._images.get_subscription_count():
            time.sleep(0.05)
        questions, answers = list(enumerate(self._tabletop.questions)), []
        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            for index in range(self._tabletop.num_frames(self._fps)):
                stamp = index / self._fps
                while questions and questions[0][1].time < stamp:
                    answers.append(pool.submit(self._ask, *questions.pop(0)))
                    time.sleep(0.01)  # the question goes first
                time.sleep(max(0.0, began + stamp / self._speed - time.monotonic()))
                self._publish(stamp)
            for answer in answers:
                self._collect(answer)
        time.sleep(2.0)

    def _ask(self, number: int, question: Any) -> Utterance:
        answer = self._client.ask(question.text, query_id=str(number))
        return utterance(seconds(answer.header.stamp) - START, answer.text, question.text, str(number))

    def _collect(self, answer: Future[Utterance]) -> None:
        try:
            self.run.said.append(answer.result())
        except RuntimeError as error:
            self.refused += 1
            print(error, file=sys.stderr)

    def _publish(self, stamp: float) -> None:
        frame = self._tabletop.render(stamp)
        message = Image(height=frame.shape[0], width=frame.shape[1], encoding="rgb8", step=3 * frame.shape[1])
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(round((START + stamp) * 1e9), 10**9)
        message.data.frombytes(frame.tobytes())
        self._images.publish(message)


def through_the_node(tabletop: Tabletop, fps: float, speed: float) -> tuple[Run, dict[str, Any]]:
    """Let the node watch the stream."""
    with domain_id() as domain, tempfile.TemporaryFile("w+") as log:
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=domain)
        node = rclpy.create_node("long_stream", context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        threading.Thread(target=executor.spin, daemon=True).start()
        command = [sys.executable, "-m", "videollm_ros.node.assistant_node", "--ros-args"]
        for parameter in (f"model.checkpoint:={demo_checkpoint()}", "model.cpu_threads:=1"):
            command += ["-p", parameter]
        environment = os.environ | {"ROS_DOMAIN_ID": str(domain)}
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        try:
            camera = Camera(node, tabletop, fps, speed)
            camera.play()
        finally:
            process.terminate()
            process.wait(30)
            executor.shutdown()
            context.try_shutdown()
    names = ("frames due", "frames used", "frames dropped", "context: evictions")
    counts = {name: camera.values.get(name) for name in names} | {"questions refused": camera.refused}
    return camera.run, counts


def in_the_library(tabletop: Tabletop, fps: float) -> Run:
    """Let a session read the same frames, one by one."""
    model, run = LiveModel.from_pretrained(demo_checkpoint(), device="cpu"), Run()
    session = StreamSession(model)
    for number, question in enumerate(tabletop.questions):
        session.ask(question.text, question.time, query_id=str(number))
    for index in range(tabletop.num_frames(fps)):
        stamp = index / fps
        run.said += session.observe(tabletop.render(stamp), stamp)
        run.held.append(stamp - (session.state.oldest_frame_stamp or 0.0))
    return run


def judge(run: Run, tabletop: Tabletop) -> dict[str, Any]:
    """Return the figures over the whole stream with an interval over its parts, and the seconds of video held."""
    whole = score_stream(run.said, tabletop.events, tabletop.questions, tabletop.seconds).figures()
    intervals = figure_intervals([part(run, tabletop, begin) for begin in np.arange(0.0, tabletop.seconds, PART)])
    figures: dict[str, Any] = {name: {"value": whole[name], "interval": intervals[name]} for name in FIGURES}
    later = run.held[len(run.held) // 10 :]  # once the context has been full
    return figures | {"video_held_seconds": {"median": statistics.median(later), "range": [min(later), max(later)]}}


def part(run: Run, tabletop: Tabletop, begin: float) -> StreamScore:
    """Return the counts of one part of the stream, as if it were a stream."""
    events = [
        replace(event, time=event.time - begin, onset=event.onset - begin)
        for event in tabletop.events
        if begin <= event.time < begin + PART
    ]
    numbers = [i for i, question in enumerate(tabletop.questions) if begin <= question.time < begin + PART]
    questions = [tabletop.questions[number] for number in numbers]
    renumbered = {str(number): str(index) for index, number in enumerate(numbers)}
    said = [
        replace(each, stamp=each.stamp - begin, query_id=renumbered.get(each.query_id, ""))
        for each in run.said
        if (begin <= each.stamp < begin + PART if each.query is None else each.query_id in renumbered)
    ]
    return score_stream(said, events, questions, PART)


def main() -> None:
    """Watch through the node and in the library, and print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="length of the stream")
    parser.add_argument("--speed", type=float, default=4.0, help="how much faster than its stamps it is published")
    parser.add_argument("--seed", type=int, default=9_700)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    tabletop, fps = Tabletop(given.seed, 60 * given.minutes), 2.0
    node, counts = through_the_node(tabletop, fps, given.speed)
    figures = {
        "node": judge(node, tabletop) | counts,
        "library": judge(in_the_library(tabletop, fps), tabletop),
        "events": len(tabletop.events),
        "questions": len(tabletop.questions),
        **{name: getattr(given, name) for name in ("minutes", "speed", "seed")},
        "machine": describe_machine(torch.device("cpu")),
    }
    print(json.dumps(figures, indent=2))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
