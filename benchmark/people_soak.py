# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Let the console and the voice run for an hour, and count what reaches them.

    source ./activate.sh
    python benchmark/people_soak.py --minutes 60 --json benchmark/results/people_soak.json

Real processes: the simulated camera, the assistant with the demo checkpoint, the console, `speech_out` with espeak-ng
(the sound goes to no device) and `speech_in`. This one looks at the console as a page does, and says a question to
`speech_in` every 20 seconds. After a sixth of the run the console is started again, and the viewer comes back.

Every utterance must arrive at the viewer and at the voice, once. Every question must be answered. No process may end,
and the memory of none may grow. The exit code is 1 if there was a violation.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import rclpy
import torch
from domain_coordinator import domain_id
from machine import describe_machine
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from soaking.processes import Process
from soaking.viewer import Viewer
from std_msgs.msg import Bool, String

from videollm_ros.demo_checkpoint import demo_checkpoint
from videollm_ros.msg import AssistantUtterance
from videollm_ros.node.spinning_thread import spinning

TOKEN = "a-token-of-the-soak"
NAMESPACE = f"/soak_{os.getpid()}"  # another graph on this machine may have the same domain
QUESTION = "What is on the table?"
ASK_EVERY = 20.0  # seconds
QUIET = 2.0  # seconds of silence before a question: `speech_in` hears nothing right after speech
SETTLE = 5.0  # seconds after the viewer has come back in which an utterance may be missed: the topics are found anew
PENDING = 15.0  # seconds within which an utterance arrives
GROWTH, GROWTH_BYTES = 0.05, 10 * 2**20  # by which memory may grow after the warm-up: share, and bytes
DEEP = QoSProfile(depth=1000)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SAY = """#!/bin/sh
text=$(cat)
printf '%s\\n' "$text" >> {said}
printf '%s' "$text" | espeak-ng --stdin -w /dev/null
"""


class Soak:
    """One run: processes, figures, violations."""

    def __init__(self, node: Node, folder: Path) -> None:
        """Start the processes and listen."""
        self._folder, self._said = folder, folder / "said.txt"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        say = folder / "say"
        say.write_text(SAY.format(said=self._said))
        say.chmod(0o755)
        utterance, query = "utterance:=assistant/utterance", "query:=assistant/query"
        self._commands = {
            "simulated_camera": ["-p", "fps:=10.0", "-p", "resolution:=480", "-p", "seconds:=86400.0"],
            "assistant_node": ["-p", f"model.checkpoint:={demo_checkpoint()}", "-p", "model.cpu_threads:=1"],
            "console": ["-p", f"port:={self._port}"],
            "voice.speech_out": ["-r", utterance, "-p", "engine:=process", "-p", f"command:={say}"],
            "voice.speech_in": ["-r", utterance, "-r", query, "-r", "speaking:=speech_out/speaking"],
        }
        self._commands["voice.speech_out"] += ["-p", "max_age:=60.0"]
        self.heard: list[tuple[float, AssistantUtterance]] = []
        self.is_speaking, self._spoke = False, [0.0]  # times at which speech began or ended
        self._asked: list[float] = []
        self.queries = 0
        self.violations: list[str] = []
        self._memory: dict[str, list[tuple[float, int]]] = {name: [] for name in self._commands}
        self._listen(node)
        self._processes = {name: self._start(name) for name in self._commands}
        self.viewer = Viewer(f"ws://127.0.0.1:{self._port}/ws", TOKEN, f"{NAMESPACE}/assistant")
        self.viewer.start()

    def _listen(self, node: Node) -> None:
        def heard(message: AssistantUtterance) -> None:
            self.heard.append((time.monotonic(), message))

        def spoken(message: Bool) -> None:
            self.is_speaking = message.data
            self._spoke.append(time.monotonic())

        def queried(_: String) -> None:
            self.queries += 1

        node.create_subscription(AssistantUtterance, f"{NAMESPACE}/assistant/utterance", heard, DEEP)
        node.create_subscription(Bool, f"{NAMESPACE}/speech_out/speaking", spoken, LATCHED)
        node.create_subscription(String, f"{NAMESPACE}/assistant/query", queried, DEEP)
        self._speech = node.create_publisher(String, f"{NAMESPACE}/speech", DEEP)

    def _start(self, name: str) -> Process:
        command = [sys.executable, "-m", f"videollm_ros.node.{name}", "--ros-args", "-r", f"__ns:={NAMESPACE}"]
        return Process(self._folder, name, [*command, *self._commands[name]])

    def run(self, minutes: float) -> dict[str, object]:
        """Run for some minutes. Returns the figures."""
        self._until("the viewer and the assistant are there", lambda: self.viewer.connections and self.heard)
        time.sleep(SETTLE)
        began, first = time.monotonic(), len(self.heard)
        blind = [(0.0, began)]  # when the viewer may miss something
        next_question, restarted = began, False
        while (now := time.monotonic()) - began < 60 * minutes:
            self._look(now - began)
            if now >= next_question and not self.is_speaking and now - self._spoke[-1] > QUIET:
                next_question = now + ASK_EVERY
                self._asked.append(now)
                self._speech.publish(String(data=QUESTION))
            if not restarted and now - began > 10 * minutes:  # a sixth of the run
                restarted = True
                blind.append((now - PENDING, self._restart_console()))
            time.sleep(0.5)
        self._processes["simulated_camera"].end()
        time.sleep(PENDING)
        self._compare(first, blind)
        return self._figures(minutes, first)

    def _until(self, what: str, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            if time.monotonic() > deadline or not all(process.is_alive for process in self._processes.values()):
                raise TimeoutError(f"Not within 120 s, or a process has ended: {what}. Logs are in {self._folder}.")
            time.sleep(0.1)

    def _restart_console(self) -> float:
        """End the console and start it again. Returns when the viewer sees everything again."""
        if not self._processes["console"].end():
            self.violations.append("the console did not end on SIGINT.")
        connections = self.viewer.connections
        self._memory["console"].clear()
        self._processes["console"] = self._start("console")
        self._until("the viewer comes back", lambda: self.viewer.connections > connections)
        time.sleep(SETTLE)
        return time.monotonic()

    def _look(self, at: float) -> None:
        for name, process in self._processes.items():
            if process.is_alive:
                self._memory[name].append((at, process.memory_and_threads()[0]))
            elif f"{name} has ended." not in self.violations:
                self.violations.append(f"{name} has ended.")

    def _compare(self, first: int, blind: list[tuple[float, float]]) -> None:
        """Compare what the assistant published with what arrived."""
        published = [message for _, message in self.heard]
        ids = [message.id for message in published]
        if ids != list(range(ids[0], ids[0] + len(ids))):
            self.violations.append("the ids of the utterances do not count up by one.")
        expected = Counter(" ".join(message.text.split()) for message in published[first:])
        lines = self._said.read_text().splitlines() if self._said.exists() else []
        said = Counter(" ".join(line.split()) for line in lines)
        before = Counter(" ".join(message.text.split()) for message in published[:first])
        for text in expected:
            count, most = said[text], expected[text] + before[text]
            if not expected[text] <= count <= most:
                self.violations.append(f"the voice said {count} times, not {expected[text]} to {most}: {text}")
        for at, message in self.heard[first:]:
            stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
            key = f"said-{message.id}-{stamp}-{message.query_id}"
            if self.viewer.finals[key] > 1:
                self.violations.append(f"the viewer saw the utterance {message.id} {self.viewer.finals[key]} times.")
            excused = any(begin <= at <= end for begin, end in blind)
            if not excused and self.viewer.texts.get(key) != message.text:
                self.violations.append(f"the viewer did not see the utterance {message.id}.")
        answers = sum(message.kind == AssistantUtterance.ANSWER for message in published)
        asked = len(self._asked)
        overlapped = sum(any(abs(spoke - at) < 1.0 for spoke in self._spoke) for at in self._asked)
        if not (asked - overlapped <= self.queries <= asked and answers == self.queries):
            self.violations.append(f"{asked} questions became {self.queries} queries and {answers} answers.")

    def _figures(self, minutes: float, first: int) -> dict[str, object]:
        memory = {name: growth(rows, 60 * minutes) for name, rows in self._memory.items()}
        for name, row in memory.items():
            grown = (row["end_mib"] - row["start_mib"]) * 2**20
            if minutes >= 30 and grown > GROWTH_BYTES and grown > GROWTH * row["start_mib"] * 2**20:
                self.violations.append(f"the memory of {name} has grown from {row['start_mib']} MiB.")
        return {
            "violations": self.violations,
            "minutes": minutes,
            "utterances": len(self.heard) - first,
            "questions": len(self._asked),
            "queries": self.queries,
            "seen_by_the_viewer": sum(self.viewer.finals.values()),
            "lines_said": len(self._said.read_text().splitlines()),
            "images_to_the_viewer": self.viewer.images,
            "connections_of_the_viewer": self.viewer.connections,
            "memory": memory,
        }

    def close(self) -> None:
        """End the processes."""
        self.viewer.ended = True
        for name, process in self._processes.items():
            if not process.end():
                self.violations.append(f"{name} did not end on SIGINT.")


def growth(rows: list[tuple[float, int]], seconds: float) -> dict[str, float]:
    """Return memory after the warm-up, a third of the run: medians of its first and last fifth, and the slope."""
    late = np.array([row for row in rows if row[0] >= rows[0][0] + (seconds - rows[0][0]) / 3])
    part = max(1, len(late) // 5)
    slope = np.polyfit(late[:, 0], late[:, 1], 1)[0] if len(late) > 10 else 0.0
    return {
        "start_mib": round(median(late[:part, 1]) / 2**20, 1),
        "end_mib": round(median(late[-part:, 1]) / 2**20, 1),
        "mib_per_hour": round(float(slope) * 3600 / 2**20, 1),
    }


def main() -> int:
    """Run the soak. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--log", type=Path, help="folder for the logs of the processes")
    options = parser.parse_args()
    if shutil.which("espeak-ng") is None:
        parser.error("espeak-ng is not installed: apt-get install espeak-ng")
    folder = options.log or Path(tempfile.mkdtemp(prefix="people-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"Logs are in {folder}.", flush=True)
    with domain_id() as domain:
        environment = {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        os.environ |= environment | {"VIDEOLLM_CONSOLE_TOKEN": TOKEN}
        rclpy.init()
        node = rclpy.create_node("people_soak")
        with spinning(node):
            soak = Soak(node, folder)
            try:
                figures = soak.run(options.minutes)
            finally:
                soak.close()
        rclpy.try_shutdown()
    text = json.dumps(figures | {"machine": describe_machine(torch.device("cpu"))}, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    return 1 if figures["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
