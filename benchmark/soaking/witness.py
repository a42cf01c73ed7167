# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sees everything that the assistant publishes and answers, and notes what should not be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from videollm_ros.action import Converse
from videollm_ros.msg import AssistantUtterance, SimEvent, SpeakProbability
from videollm_ros.node.request_queues import REQUESTS, LosslessActionClient
from videollm_ros.srv import Ask

OUTCOME = 60.0
"""Seconds within which every request has its outcome."""

CLOSED = 30.0
"""Seconds within which an utterance that has begun on ~/utterance_partial is closed there."""

PROBE_PERIOD = 1.0
"""Seconds between two empty queries, by which a way to the assistant is tried until one comes back."""

DEEP = QoSProfile(depth=1000)


@dataclass
class Request:
    """One query and what became of it."""

    kind: str
    sent: float
    outcomes: list[str] = field(default_factory=list)
    excused: bool = False
    """The assistant was killed, or was not there, while it waited."""


class Witness:
    """Subscribes to all outputs. `violations` are sentences."""

    def __init__(self, node: Node) -> None:
        """Subscribe and make the clients."""
        self._lock = threading.Lock()
        self.violations: list[str] = []
        self.utterances: list[AssistantUtterance] = []
        self.events: list[SimEvent] = []
        self.frames = 0
        self.level = b"\x00"
        self.requests: dict[str, Request] = {}
        self.counts = {"ask": 0, "goal": 0, "topic": 0}
        self.excused = 0
        """Requests that waited when the assistant was killed, or were sent before the way to it was open."""
        self._ways: set[str] = set()  # "ask" and "goal" once a response has come from the assistant that runs now
        self._life = 0  # counts the kills, so that a late response to a probe of an earlier life opens nothing
        self._probed = 0.0
        self._open: dict[int, float] = {}  # utterances that grow: id -> time of the newest message
        self._last_id = 0
        group = ReentrantCallbackGroup()
        subscribe: Callable[..., Any] = node.create_subscription
        subscribe(AssistantUtterance, "/assistant/utterance", self._finished, DEEP)
        subscribe(AssistantUtterance, "/assistant/utterance_partial", self._grown, DEEP)
        subscribe(SpeakProbability, "/assistant/speak_probability", self._frame, DEEP)
        subscribe(SimEvent, "/simulated_camera/events", self.events.append, DEEP)
        subscribe(DiagnosticArray, "/diagnostics", self._diagnosed, 10)
        self._queries = node.create_publisher(String, "/assistant/query", DEEP)
        self._ask = node.create_client(Ask, "/assistant/ask", qos_profile=REQUESTS, callback_group=group)
        self._converse = LosslessActionClient(node, Converse, "/assistant/converse", group)

    def violate(self, sentence: str) -> None:
        """Note what should not be."""
        with self._lock:
            self.violations.append(f"{time.strftime('%H:%M:%S')} {sentence}")

    # Requests.

    def _request(self, kind: str) -> tuple[str, Request]:
        with self._lock:
            self.counts[kind] += 1
            name = f"{kind}-{self.counts[kind]}"
            is_open = kind in self._ways
            self.excused += not is_open
            self.requests[name] = Request(kind, time.monotonic(), excused=not is_open)
            return name, self.requests[name]

    def _probe(self) -> None:
        """Try the ways that are not open yet with an empty query, which is refused.

        A request may be lost while client and server discover each other (rmw_fastrtps#392), and nothing public tells
        when both have done so.
        """
        if len(self._ways) == 2 or time.monotonic() - self._probed < PROBE_PERIOD:
            return
        self._probed, life = time.monotonic(), self._life
        if self._ask.service_is_ready():
            self._ask.call_async(Ask.Request()).add_done_callback(lambda _: self._opened("ask", life))
        if self._converse.server_is_ready():
            self._converse.send_goal_async(Converse.Goal()).add_done_callback(lambda done: self._tried(done, life))

    def _tried(self, done: Any, life: int) -> None:
        if done.result().accepted:
            done.result().get_result_async().add_done_callback(lambda _: self._opened("goal", life))

    def _opened(self, way: str, life: int) -> None:
        with self._lock:
            if life == self._life:
                self._ways.add(way)

    @property
    def is_open(self) -> bool:
        """Whether a response has come from the assistant that runs now, by ~/ask and by ~/converse."""
        return len(self._ways) == 2

    def ask(self, text: str) -> None:
        """Call ~/ask."""
        name, request = self._request("ask")
        future = self._ask.call_async(Ask.Request(query=text, query_id=name))
        future.add_done_callback(lambda done: request.outcomes.append(self._answered(done.result())))

    def _answered(self, response: Any) -> str:
        if not response.success and not response.message:
            self.violate("~/ask failed without a sentence.")
        return "answered" if response.success else "refused"

    def publish_query(self, text: str) -> None:
        """Publish on ~/query, which has no response."""
        self.counts["topic"] += 1
        self._queries.publish(String(data=text))

    def converse(self, text: str, cancel_after: float | None) -> None:
        """Send a goal, and cancel it after a while."""
        name, request = self._request("goal")
        goal = Converse.Goal(query=text, query_id=name)
        self._converse.send_goal_async(goal).add_done_callback(lambda done: self._accepted(request, done, cancel_after))

    def _accepted(self, request: Request, done: Any, cancel_after: float | None) -> None:
        handle = done.result()
        if not handle.accepted:
            request.outcomes.append("rejected")
            return
        handle.get_result_async().add_done_callback(lambda result: self._ended(request, result.result()))
        if cancel_after is not None:
            threading.Timer(cancel_after, handle.cancel_goal_async).start()

    def _ended(self, request: Request, response: Any) -> None:
        request.outcomes.append(str(response.status))
        if response.status == GoalStatus.STATUS_ABORTED and not response.result.message:
            self.violate("a goal was aborted without a sentence.")

    def excuse_all(self) -> None:
        """Excuse what waits: the assistant is being killed. Its utterances begin at 1 again."""
        with self._lock:
            for request in self.requests.values():
                if not request.outcomes and not request.excused:
                    request.excused = True
                    self.excused += 1
            self._ways.clear()
            self._life += 1
            self._open.clear()
            self._last_id = 0

    def begin_ids(self) -> None:
        """Take note that the node is configured anew, and counts its utterances from 1."""
        with self._lock:
            self._last_id = 0

    def check(self) -> None:
        """Look for requests without exactly one outcome, and for utterances that were never closed."""
        now = time.monotonic()
        self._probe()
        for name, request in list(self.requests.items()):
            if len(request.outcomes) > 1:
                self.violate(f"{name} has {len(request.outcomes)} outcomes.")
            elif not request.outcomes and not request.excused and now - request.sent > OUTCOME:
                self.violate(f"{name} has no outcome after {OUTCOME:g} s.")
            elif not request.outcomes and not request.excused:
                continue
            del self.requests[name]
        for utterance, last in list(self._open.items()):
            if now - last > CLOSED:
                self.violate(f"the utterance {utterance} was never closed on ~/utterance_partial.")
                self._open.pop(utterance, None)

    # Outputs.

    def _finished(self, message: AssistantUtterance) -> None:
        with self._lock:
            self.utterances.append(message)
            rises, self._last_id = message.id > self._last_id, message.id
        if not rises:
            self.violate(f"the utterance {message.id} came after {self._last_id}.")
        if not message.final:
            self.violate(f"the utterance {message.id} on ~/utterance is not final.")

    def _grown(self, message: AssistantUtterance) -> None:
        if message.final:
            self._open.pop(message.id, None)
        else:
            self._open[message.id] = time.monotonic()

    def _frame(self, message: SpeakProbability) -> None:
        self.frames += 1
        if not 0 <= message.probability <= 1:
            self.violate(f"a speak probability of {message.probability} was published.")

    def _diagnosed(self, message: DiagnosticArray) -> None:
        levels = [status.level for status in message.status if status.name.startswith("/assistant")]
        self.level = max(levels, default=self.level)
