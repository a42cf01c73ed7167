# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a camera, the assistant and an audience as three processes on a ROS graph of their own.

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

from videollm_ros.demo_checkpoint import KNOWS_THE_TABLE, demo_checkpoint
from videollm_ros.media.video import VideoError, open_video
from videollm_ros.msg import AssistantUtterance, SimEvent, SpeakProbability
from videollm_ros.node.client import AssistantClient, AssistantError, Conversation
from videollm_ros.node.messages import seconds
from videollm_ros.node.spinning_thread import spinning

START_TIMEOUT = 180.0  # seconds until the first frame has been read: imports, loading, discovery
ANSWER_TIMEOUT = 30.0  # seconds until the answer begins, and between two pieces of it
POLL_PERIOD = 0.1  # seconds between two looks at what was watched
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


class Audience:
    """Prints what happens and what the assistant says, and asks it one query."""

    def __init__(self, node: Node) -> None:
        """Listen through `node`, which another thread spins."""
        self.first_stamp: float | None = None  # of the first frame read, seconds
        self.newest_stamp = 0.0
        self._event_stamp = 0.0
        self.spoken = 0  # proactive utterances
        node.create_subscription(SpeakProbability, "assistant/speak_probability", self._on_frame, 10)
        node.create_subscription(SimEvent, "simulated_camera/events", self._on_event, 10)
        self._client = AssistantClient(node)
        self._client.on_utterance(self._on_utterance)
        self._answer: Conversation | None = None

    @property
    def watched(self) -> float:
        """Return the seconds of image time that the assistant has seen."""
        return 0.0 if self.first_stamp is None else self.newest_stamp - self.first_stamp

    @property
    def is_quiet(self) -> bool:
        """Return whether nothing has happened for a second, as far as a simulated camera tells."""
        return self.newest_stamp - self._event_stamp >= 1.0

    @property
    def has_asked(self) -> bool:
        """Return whether the query was asked."""
        return self._answer is not None

    def ask(self, query: str) -> None:
        """Ask, and do not wait for the answer."""
        print(f"{self.watched:6.1f} s  asked: {query}", flush=True)
        self._answer = self._client.converse(query, ANSWER_TIMEOUT, query_id="demo")

    def was_answered(self) -> bool:
        """Wait for the end of the answer. Returns whether there is one."""
        try:
            return any(piece.final for piece in self._answer or ())
        except AssistantError as error:
            print(error, file=sys.stderr)
            return False

    def close(self) -> None:
        """End the client."""
        self._client.close()

    def _on_event(self, message: SimEvent) -> None:
        self._event_stamp = seconds(message.header.stamp)
        print(f"{self._since_start(message.header.stamp):6.1f} s  happens: {message.text}", flush=True)

    def _on_frame(self, message: SpeakProbability) -> None:
        self.newest_stamp = seconds(message.header.stamp)
        if self.first_stamp is None:
            self.first_stamp = self.newest_stamp

    def _on_utterance(self, message: AssistantUtterance) -> None:
        self.spoken += message.kind == AssistantUtterance.PROACTIVE
        latency = 1e3 * (message.latency.sec + message.latency.nanosec * 1e-9)
        if message.kind == AssistantUtterance.ANSWER:
            kind, details = "answers", f"({latency:.0f} ms after the image)"
        else:
            kind = "says"
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


def watch(audience: Audience, processes: Processes, query: str, duration: float, interrupted: threading.Event) -> bool:
    """Watch for `duration` seconds and ask half way, when it is quiet. Returns whether the query was answered.

    Raises:
        AssistantError: the assistant offers nothing to ask.
        DemoError: a process has ended, or nothing was watched in time.
        KeyboardInterrupt: `interrupted` is set.
    """
    deadline = time.monotonic() + START_TIMEOUT
    watching = False
    while audience.watched < duration:
        if interrupted.wait(POLL_PERIOD):
            raise KeyboardInterrupt
        if audience.first_stamp is not None and not watching:
            watching, deadline = True, time.monotonic() + 3 * duration + 30  # a slow machine may lag behind
        if not audience.has_asked and audience.watched >= duration / 2 and audience.is_quiet:
            audience.ask(query)
        if module := processes.ended():
            raise DemoError(f"The {module} has ended:\n{processes.log(module)}")
        if time.monotonic() > deadline:
            raise DemoError(f"Only {audience.watched:.1f} s were watched:\n{processes.log('assistant_node')}")
    return audience.was_answered()


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


def play(asked: argparse.Namespace, audience: Audience, processes: Processes, interrupted: threading.Event) -> bool:
    """Start the camera and the assistant, and watch. Returns whether the query was answered.

    Raises:
        AssistantError, DemoError, KeyboardInterrupt: see `watch`.
        VideoError: the video cannot be opened.
    """
    if asked.video:
        open_video(asked.video)  # what cannot be opened is said before anything starts
    show = choose_show(asked.video, asked.seed, asked.seconds)
    what = f"on {asked.video}" if asked.video else f"on simulated stream {asked.seed}"
    print(f"Starting the {show.camera[0]} {what}, and the assistant ...", flush=True)
    if asked.video:
        print(KNOWS_THE_TABLE, flush=True)
    processes.start(show.camera[0], show.camera[1:])
    processes.start("assistant_node", show.assistant)
    return watch(audience, processes, show.query, asked.seconds, interrupted)


def main(line: Sequence[str] | None = None) -> int:
    """Run the demo. Returns the exit code."""
    asked = arguments(line)
    # An interrupt waits until a process that is being started is known: it is ended with the others.
    interrupted = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: interrupted.set())
    # A graph of its own: nothing else on the network is disturbed, and nothing disturbs the demo.
    os.environ["ROS_DOMAIN_ID"] = str(random.randint(1, 101))
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = rclpy.create_node("audience")
        with tempfile.TemporaryDirectory(prefix="videollm_ros_demo_") as folder, spinning(node):
            audience, processes = Audience(node), Processes(Path(folder))
            try:
                answered = play(asked, audience, processes, interrupted)
            finally:
                processes.stop()
                audience.close()
    except (DemoError, AssistantError, VideoError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        rclpy.try_shutdown()
    spoken = audience.spoken
    times = "once" if spoken == 1 else f"{spoken} times"
    print(f"The assistant spoke {times} by itself, and {'answered' if answered else 'did not answer'} its query.")
    if asked.video:
        print("What it said means nothing: it does not know what your video shows.")
    return 0 if spoken and answered else 1


if __name__ == "__main__":
    sys.exit(main())
