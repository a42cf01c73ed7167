# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The graph of benchmark/recovery.py: a camera whose stamps are ours, and an assistant that is broken on demand."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
from domain_coordinator import domain_id
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

from soaking.processes import HERE, Process
from videollm_ros.action import Converse
from videollm_ros.demo_checkpoint import demo_checkpoint
from videollm_ros.msg import AssistantUtterance, SpeakProbability
from videollm_ros.node.request_queues import LosslessActionClient
from videollm_ros.node.spinning_thread import spinning
from videollm_ros.sim import Tabletop
from videollm_ros.srv import Ask

CAMERA_FPS, MODEL_FPS = 10.0, 2.0
START = 120.0  # seconds for the assistant to load
DEADLINE = 60.0  # seconds for a fault to be over
SPEAKS = 40.0  # seconds in which something happens on the table that is worth a word
QUESTION = "What is on the table?"


class Lost(RuntimeError):
    """The fault did not happen, or the stream was not read again."""


class Graph(contextlib.ExitStack):
    """Camera, client and assistant. `measure` does one fault."""

    def __init__(self, log: Path) -> None:
        """Start them."""
        super().__init__()
        self._log = log
        os.environ |= {
            "ROS_DOMAIN_ID": str(self.enter_context(domain_id())),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        }
        rclpy.init()
        self.callback(rclpy.try_shutdown)
        self._node = node = rclpy.create_node("recovery")
        self.enter_context(spinning(node))
        deep, group = QoSProfile(depth=1000), ReentrantCallbackGroup()
        self._frames: list[tuple[float, float]] = []  # when it came on our clock, its stamp
        self._spoken: list[float] = []  # when something was said proactively
        node.create_subscription(SpeakProbability, "/assistant/speak_probability", self._on_frame, deep)
        node.create_subscription(AssistantUtterance, "/assistant/utterance", self._on_utterance, deep)
        node.create_subscription(AssistantUtterance, "/assistant/utterance_partial", lambda _: None, deep)
        self._fault = node.create_publisher(String, "/soak/fault", 10)
        self._reset = node.create_client(Trigger, "/assistant/reset", callback_group=group)
        self._ask = node.create_client(Ask, "/assistant/ask", callback_group=group)
        self._converse = LosslessActionClient(node, Converse, "/assistant/converse", group)
        self._images = node.create_publisher(Image, "/image", 10)
        self._lock = threading.Lock()
        self._begin_footage(1000.0)
        self._ends = threading.Event()
        thread = threading.Thread(target=self._film, daemon=True)
        thread.start()
        self.callback(thread.join)
        self.callback(self._ends.set)
        self._assistant = self._start()
        self.callback(lambda: self._assistant.end())

    # The camera.

    def _begin_footage(self, stamp: float) -> None:
        """Show the same footage from the beginning, with stamps from `stamp` on."""
        with self._lock:
            self._footage, self._first_stamp, self._began = Tabletop(7, 3600.0), stamp, time.monotonic()

    @property
    def _stamp(self) -> float:
        return self._first_stamp + time.monotonic() - self._began

    def _film(self) -> None:
        while not self._ends.wait(1 / CAMERA_FPS):
            with self._lock:
                stamp, rgb = self._stamp, self._footage.render(time.monotonic() - self._began)
            self._publish(rgb, stamp)

    def _publish(self, rgb: Any, stamp: float) -> None:
        height, width, _ = rgb.shape
        image = Image(height=height, width=width, encoding="rgb8", step=3 * width)
        image.header.stamp.sec, image.header.stamp.nanosec = int(stamp // 1), int(stamp % 1 * 1e9)
        image.data.frombytes(rgb.tobytes())
        self._images.publish(image)

    # The assistant.

    def _start(self, fault: str = "") -> Process:
        self._started = time.time()
        command = [sys.executable, str(HERE / "faulty_assistant.py"), "--ros-args"]
        parameters = (f"model.checkpoint:={demo_checkpoint()}", "model.cpu_threads:=1", "image.stamp:=header")
        for parameter in (*parameters, "model.load_retries:=3"):
            command += ["-p", parameter]
        before = os.environ.pop("FAULT_AT_START", "")
        if fault:
            os.environ["FAULT_AT_START"] = fault
        try:
            return Process(self._log, "assistant", command)
        finally:
            os.environ.pop("FAULT_AT_START", before)

    def start_anew(self) -> None:
        """Replace an assistant that did not recover."""
        self._assistant.end(signal.SIGKILL)
        self._assistant = self._start()

    def _on_frame(self, message: SpeakProbability) -> None:
        stamp = message.header.stamp
        self._frames.append((time.monotonic(), stamp.sec + 1e-9 * stamp.nanosec))

    def _on_utterance(self, message: AssistantUtterance) -> None:
        if message.kind == AssistantUtterance.PROACTIVE:
            self._spoken.append(time.monotonic())

    def _text(self) -> str:
        return (self._log / "assistant.txt").read_text(encoding="utf-8", errors="replace")

    # One fault.

    def measure(
        self, fault: str = "", also: str = "", stamp: float | None = None, goal: bool = False,
        replay: float | None = None, start: str = "", kill: bool = False,
        ends: int | None = None, log: str = "on demand",
    ) -> dict[str, Any]:  # fmt: skip
        """Do one fault to an assistant that reads well, and measure until it does so again."""
        if replay is None:
            self._begin_footage(self._stamp + 1000.0)  # a stream of its own for each fault
        self._wait_until_it_reads()
        logged = len(self._text())
        if start:
            return self._measure_start(start)
        for each in filter(None, (also, fault)):
            self._fault.publish(String(data=each))
        began, last = time.monotonic(), self._frames[-1][1]
        since = self._stamp
        if goal:
            self._converse.send_goal_async(Converse.Goal(query=QUESTION))
        if stamp is not None:
            self._publish(self._footage.render(0.0), stamp if stamp < 0 else self._stamp + stamp)
        if replay is not None:
            self._reset_ask_and_replay(replay)
            began, since, last = time.monotonic(), replay, replay - 1 / MODEL_FPS
        parts: dict[str, Any] = {}
        if ends is not None:
            parts = self._wait_for_the_end(began, kill, ends)
        elif fault:
            self._wait(lambda: log in self._text()[logged:], f"the log has nothing of {fault!r}")
            ago = time.time() - self._logged_at(log, logged)
            since, began = self._stamp - ago, time.monotonic() - ago
            last = max(each[1] for each in list(self._frames) if each[0] <= began)
        return self._figures(began, since, last) | parts

    def _reset_ask_and_replay(self, stamp: float) -> None:
        self._call(self._reset, Trigger.Request())
        self._call(self._ask, Ask.Request(query=QUESTION))
        self._begin_footage(stamp)

    def _call(self, client: Any, request: Any) -> None:
        client.wait_for_service(DEADLINE)
        future = client.call_async(request)
        self._wait(future.done, f"{client.srv_name} did not respond")

    def _wait_for_the_end(self, began: float, kill: bool, code: int) -> dict[str, Any]:
        """Wait for the process to end, start it again, and say where the time goes."""
        if kill:
            self._assistant.end(signal.SIGKILL)
        self._wait(lambda: not self._assistant.is_alive, "the process did not end")
        if self._assistant.exit_code != code:
            raise Lost(f"the exit code is {self._assistant.exit_code} and not {code}")
        ended, logged = time.monotonic(), len(self._text())
        self._assistant = self._start()
        self._wait(lambda: "Loaded on" in self._text()[logged:], "nothing was loaded", START)
        loading, loaded = (self._logged_at(text, logged) for text in ("Loading ", "Loaded on"))
        return {
            "exit_code": code,
            "until_it_ended_s": round(ended - began, 2),
            "import_s": round(loading - self._started, 2),
            "load_s": round(loaded - loading, 2),
        }

    def _measure_start(self, fault: str) -> dict[str, Any]:
        """Start an assistant whose load fails. The time begins with the failure."""
        self._assistant.end()
        logged, last = len(self._text()), self._stamp
        self._assistant = self._start(fault)
        self._wait(lambda: "was not loaded" in self._text()[logged:], "the load did not fail", START)
        failed = self._logged_at("was not loaded", logged)
        now = time.time() - failed
        began, since = time.monotonic() - now, self._stamp - now
        self._wait(lambda: "Loaded on" in self._text()[logged:], "nothing was loaded")
        return self._figures(began, since, max(last, since)) | {"waits_s": 2.0 if fault[-1] != "2" else 6.0}

    def _figures(self, began: float, since: float, last: float) -> dict[str, Any]:
        def first() -> tuple[float, float] | None:
            return next((each for each in list(self._frames) if each[0] > began and each[1] >= since), None)

        self._wait(first, "no frame was read after it")
        came, stamp = first() or (0.0, 0.0)
        self._wait(lambda: bool(self._spoken) and self._spoken[-1] > came, "nothing was said after it", SPEAKS)
        spoke = next(each for each in self._spoken if each > came)
        return {
            "seconds": round(came - began, 2),
            "frames_lost": max(0, round((stamp - last) * MODEL_FPS) - 1),
            "seconds_until_it_speaks": round(spoke - began, 1),
        }

    def _logged_at(self, text: str, offset: int) -> float:
        line = next(line for line in self._text()[offset:].splitlines() if text in line)
        return float(re.findall(r"\[(\d+\.\d+)\]", line)[0])

    def _wait_until_it_reads(self) -> None:
        count = len(self._frames)
        self._wait(lambda: len(self._frames) >= count + 4, "the stream is not read", START)
        time.sleep(0.2)

    def _wait(self, condition: Callable[[], Any], problem: str, seconds: float = DEADLINE) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() >= deadline:
                raise Lost(f"{problem} within {seconds:g} s.")
            time.sleep(0.01)
