# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a camera, the assistant and a listener as three processes on a ROS graph of their own.

`python -m videollm_ros.node.demo` prints what the assistant says as it says it, asks one query about half way and ends
by itself. The exit code is 0 if it spoke and answered, whatever it said, and 1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rclpy
from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from videollm_ros.demo_checkpoint import KNOWS_THE_TABLE, demo_checkpoint
from videollm_ros.msg import AssistantUtterance, SimEvent, SpeakProbability
from videollm_ros.node.messages import seconds
from videollm_ros.srv import Ask

START_TIMEOUT = 180.0  # seconds until the first frame has been read: imports, loading, discovery
MARGIN = 30.0  # seconds by which the simulated stream is longer than the demo
SEEDS = (9_000, 1_000_000)  # streams that the demo checkpoint was not trained on


@dataclass(frozen=True)
class Show:
    """What is watched, by which model, and what it is asked."""

    camera: list[str]  # module and parameters of the node that publishes `image`
    assistant: list[str]  # parameters of the assistant
    query: str


def choose_show(video: str, seed: int, duration: float) -> Show:
    """Return which camera and which checkpoint the demo takes."""
    assistant = [f"model.checkpoint:={demo_checkpoint()}", "model.cpu_threads:=1"]
    if video:
        camera = ["video_player", f"source:={video}", "loop:=true", "wait_for_subscriber:=true"]
    else:
        # Longer than the demo, so that the stream does not end in it.
        camera = ["simulated_camera", f"seed:={seed}", f"seconds:={duration + MARGIN:.1f}", "wait_for_subscriber:=true"]
    return Show(camera, assistant, query="What is on the table?")


class Listener(Node):
    """Prints what the assistant says."""

    def __init__(self) -> None:
        super().__init__("listener")
        self.first_stamp: float | None = None  # of the first frame read, seconds
        self.newest_stamp = 0.0
        self._event_stamp = 0.0
        self.spoken = 0  # proactive utterances
        self.create_subscription(SpeakProbability, "assistant/speak_probability", self._watched, 10)
        self.create_subscription(AssistantUtterance, "assistant/utterance", self._heard, 10)
        self.create_subscription(SimEvent, "simulated_camera/events", self._happened, 10)
        self._ask = self.create_client(Ask, "assistant/ask")

    @property
    def watched(self) -> float:
        """Return the seconds of image time that the assistant has seen."""
        return 0.0 if self.first_stamp is None else self.newest_stamp - self.first_stamp

    @property
    def is_quiet(self) -> bool:
        """Return whether nothing has happened for a second, as far as a simulated camera tells."""
        return self.newest_stamp - self._event_stamp >= 1.0

    def ask(self, query: str) -> Future:
        """Ask, and return the future of the response."""
        print(f"{self.watched:6.1f} s  asked: {query}", flush=True)
        return self._ask.call_async(Ask.Request(query=query, query_id="demo"))

    def _happened(self, message: SimEvent) -> None:
        self._event_stamp = seconds(message.header.stamp)
        print(f"{self._since_start(message.header.stamp):6.1f} s  happens: {message.text}", flush=True)

    def _watched(self, message: SpeakProbability) -> None:
        self.newest_stamp = seconds(message.header.stamp)
        if self.first_stamp is None:
            self.first_stamp = self.newest_stamp

    def _heard(self, message: AssistantUtterance) -> None:
        self.spoken += message.kind == AssistantUtterance.PROACTIVE
        latency = 1e3 * (message.latency.sec + message.latency.nanosec * 1e-9)
        kind = "answers" if message.kind == AssistantUtterance.ANSWER else "says"
        details = f"(speak probability {message.speak_probability:.2f}, {latency:.0f} ms after the image)"
        print(f"{self._since_start(message.header.stamp):6.1f} s  {kind}: {message.text}  {details}", flush=True)

    def _since_start(self, stamp: Time) -> float:
        return seconds(stamp) - (self.first_stamp or seconds(stamp))


class Processes:
    """The other two processes of the demo; ended with it."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, module: str, parameters: list[str]) -> None:
        """Start a node of the package with parameters such as seed:=7."""
        command = [sys.executable, "-m", f"videollm_ros.node.{module}", "--ros-args"]
        for parameter in parameters:
            command += ["-p", parameter]
        with (self._folder / f"{module}.log").open("w") as log:
            self._running[module] = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def ended(self) -> str:
        """Return the name of one that is not running any more, or an empty string."""
        return next((module for module, process in self._running.items() if process.poll() is not None), "")

    def log(self, module: str) -> str:
        """Return what a process has printed."""
        return (self._folder / f"{module}.log").read_text()

    def stop(self) -> None:
        """End them in good order; after ten seconds by force."""
        for process in self._running.values():
            process.send_signal(signal.SIGINT)
        for process in self._running.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class DemoError(RuntimeError):
    """Why the demo could not go on, with what its processes said."""


def watch(listener: Listener, processes: Processes, query: str, duration: float, interrupted: threading.Event) -> bool:
    """Watch for `duration` seconds and ask half way, when it is quiet. Returns whether the query was answered.

    Raises:
        DemoError: a process has ended, or nothing was watched in time.
        KeyboardInterrupt: `interrupted` is set.
    """
    answer = None
    deadline = time.monotonic() + START_TIMEOUT
    watching = False
    while listener.watched < duration:
        _spin(listener, interrupted)
        if listener.first_stamp is not None and not watching:
            watching, deadline = True, time.monotonic() + 3 * duration + 30  # a slow machine may lag behind
        if answer is None and listener.watched >= duration / 2 and listener.is_quiet:
            answer = listener.ask(query)
        if module := processes.ended():
            raise DemoError(f"The {module} has ended:\n{processes.log(module)}")
        if time.monotonic() > deadline:
            raise DemoError(f"Only {listener.watched:.1f} s were watched:\n{processes.log('assistant_node')}")
    deadline = time.monotonic() + 30.0
    while answer is not None and not answer.done() and time.monotonic() < deadline:
        _spin(listener, interrupted)
    return answer is not None and answer.done() and answer.result().success


def _spin(listener: Listener, interrupted: threading.Event) -> None:
    rclpy.spin_once(listener, timeout_sec=0.1)
    if interrupted.is_set():
        raise KeyboardInterrupt


def arguments(line: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what the command line asks for. None: that of the process."""
    parser = argparse.ArgumentParser(prog="python -m videollm_ros.node.demo", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="how long it watches (default: 30)")
    parser.add_argument("--seed", type=int, help="which simulated stream (default: another one every time)")
    parser.add_argument(
        "--video",
        default="",
        help="video file, folder of images or webcam (/dev/video0 or 0) in place of the simulator",
    )
    parsed = parser.parse_args(line)
    if not 1.0 <= parsed.seconds <= 86400.0 - MARGIN:
        parser.error(f"--seconds is between 1 and {86400.0 - MARGIN:g}, and was given {parsed.seconds:g}")
    if parsed.seed is None:
        parsed.seed = random.randrange(*SEEDS)
    if not 0 <= parsed.seed < 2**31:
        parser.error(f"--seed is between 0 and {2**31 - 1}, and was given {parsed.seed}")
    return parsed


def main(line: Sequence[str] | None = None) -> int:
    """Run the demo. Returns the exit code."""
    asked = arguments(line)
    video, duration, seed = asked.video, asked.seconds, asked.seed
    # An interrupt waits until a process that is being started is known: it is ended with the others.
    interrupted = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: interrupted.set())
    # A graph of its own: nothing else on the network is disturbed, and nothing disturbs the demo.
    os.environ["ROS_DOMAIN_ID"] = str(random.randint(1, 101))
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    listener = Listener()
    with tempfile.TemporaryDirectory(prefix="videollm_ros_demo_") as folder:
        processes = Processes(Path(folder))
        try:
            show = choose_show(video, seed, duration)
            what = f"on {video}" if video else f"on simulated stream {seed}"
            print(f"Starting the {show.camera[0]} {what}, and the assistant ...", flush=True)
            if video:
                print(KNOWS_THE_TABLE, flush=True)
            processes.start(show.camera[0], show.camera[1:])
            processes.start("assistant_node", show.assistant)
            answered = watch(listener, processes, show.query, duration, interrupted)
        except DemoError as error:
            print(error, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
        finally:
            processes.stop()
            spoken = listener.spoken
            listener.destroy_node()
            rclpy.try_shutdown()
    print(
        f"The assistant spoke {spoken} times by itself, and {'answered' if answered else 'did not answer'} its query."
    )
    return 0 if spoken and answered else 1


if __name__ == "__main__":
    sys.exit(main())
