# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The three ways to ask: the topic ~/query, the service ~/ask, the action ~/converse."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Protocol

from rclpy.action.server import ActionServer, CancelResponse, ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_msgs.msg import String

from videollm_ros.action import Converse
from videollm_ros.assistant.queries import PendingQuery, QueryError
from videollm_ros.assistant.updates import UtteranceUpdate
from videollm_ros.msg import AssistantUtterance
from videollm_ros.node.request_queues import REQUESTS
from videollm_ros.srv import Ask

MAX_LOGGED = 200
"""Characters of a query that are logged."""
KEEP_RESULTS = 10
"""Seconds for which the result of a goal can be fetched after its end, as in rclcpp. rclpy's default is 900. It keeps
all goals of that time, and lists them whenever one of them changes."""
_CANCELLED = "The query was cancelled before its answer began."

Partial = Callable[[UtteranceUpdate], None]


class Respondent(Protocol):
    """What answers the queries."""

    def ask(self, text: str, query_id: str, on_partial: Partial | None = None) -> PendingQuery:
        """Put a query into the queue. Raises QueryError if it is refused."""

    def cancel(self, query: PendingQuery, reason: str) -> None:
        """Take a query back or stop its answer."""

    @property
    def ask_timeout(self) -> float:
        """Seconds after which ~/ask gives up."""


class QueryInterfaces:
    """Puts queries from all three into one queue, and brings the answers back.

    The service and the action wait in a reentrant group, each on an executor thread of its own. The admission of
    queries keeps them from taking all threads.
    """

    def __init__(
        self,
        node: Node,
        respondent: Respondent,
        make_message: Callable[[UtteranceUpdate], AssistantUtterance],
        on_refused: Callable[[str], None],
    ) -> None:
        """Make subscription, service and action server on `node`.

        Args:
            node: Where they live.
            respondent: Answers the queries.
            make_message: Returns the one message of an update.
            on_refused: Takes the sentence for a query whose asker gets no response: one on the topic.
        """
        self._respondent, self._logger = respondent, node.get_logger()
        self._make_message, self._on_refused = make_message, on_refused
        self._asked_by_goal: dict[bytes, PendingQuery] = {}
        waiting = ReentrantCallbackGroup()
        node.create_subscription(String, "~/query", self._heard, REQUESTS)
        node.create_service(Ask, "~/ask", self._ask, qos_profile=REQUESTS, callback_group=waiting)
        self._action = ActionServer(
            node,
            Converse,
            "~/converse",
            self._converse,
            cancel_callback=self._cancel_requested,
            callback_group=waiting,
            goal_service_qos_profile=REQUESTS,
            result_service_qos_profile=REQUESTS,
            cancel_service_qos_profile=REQUESTS,
            result_timeout=KEEP_RESULTS,
        )

    def _heard(self, message: String) -> None:
        try:
            self._admit("~/query", message.data, "").answer.add_done_callback(self._answered)
        except QueryError as error:
            self._on_refused(f"A query on ~/query was refused. {error}")

    def _answered(self, answer: Future[UtteranceUpdate]) -> None:
        """Say what became of a query on the topic, since nobody waits for a response."""
        if error := answer.exception():
            self._on_refused(f"A query on ~/query was not answered. {error}")

    def _ask(self, request: Ask.Request, response: Ask.Response) -> Ask.Response:
        try:
            query = self._admit("~/ask", request.query, request.query_id)
            update = self._wait_for_answer(query)
        except QueryError as error:
            response.message = str(error)
            return response
        response.success, response.message = not query.interrupted, query.interrupted
        response.truncated = update.truncated
        response.utterance = self._make_message(update)
        return response

    def _wait_for_answer(self, query: PendingQuery) -> UtteranceUpdate:
        timeout = self._respondent.ask_timeout
        try:
            return query.answer.result(timeout)
        except FutureTimeoutError:
            reason = f"There was no answer within {timeout:g} s (speech.ask_timeout)."
            self._respondent.cancel(query, reason)
            raise QueryError(reason) from None

    def _converse(self, goal: ServerGoalHandle) -> Converse.Result:
        result = Converse.Result()

        def follow(update: UtteranceUpdate) -> None:
            goal.publish_feedback(Converse.Feedback(utterance=self._make_message(update)))

        try:
            query = self._admit("~/converse", goal.request.query, goal.request.query_id, follow)
        except QueryError as error:
            result.message = str(error)
            goal.abort()
            return result
        key = bytes(goal.goal_id.uuid)
        self._asked_by_goal[key] = query
        if goal.is_cancel_requested:  # before the query was known
            self._respondent.cancel(query, _CANCELLED)
        try:
            update = query.answer.result()
            result.success, result.truncated = not query.interrupted, update.truncated
            result.message = "The answer was stopped." if query.interrupted == _CANCELLED else query.interrupted
            result.utterance = self._make_message(update)
        except QueryError as error:
            result.message = str(error)
        del self._asked_by_goal[key]
        self._conclude(goal, result.success, cancelled=query.interrupted == _CANCELLED)
        return result

    def _admit(self, way: str, text: str, query_id: str, on_partial: Partial | None = None) -> PendingQuery:
        query = self._respondent.ask(text, query_id, on_partial)
        shown = text if len(text) <= MAX_LOGGED else text[:MAX_LOGGED] + " ..."
        self._logger.info(f"Asked on {way} at {query.stamp:.3f} s: {shown!r}")
        return query

    def _cancel_requested(self, goal: ServerGoalHandle) -> CancelResponse:
        query = self._asked_by_goal.get(bytes(goal.goal_id.uuid))
        if query is not None:
            self._respondent.cancel(query, _CANCELLED)
        return CancelResponse.ACCEPT

    @staticmethod
    def _conclude(goal: ServerGoalHandle, success: bool, *, cancelled: bool) -> None:
        """Bring the goal to its terminal state."""
        # rclpy marks the goal as cancelling only after the cancel callback has returned; the model may be faster.
        deadline = time.monotonic() + 1.0
        while cancelled and not goal.is_cancel_requested and time.monotonic() < deadline:
            time.sleep(0.001)
        if goal.is_cancel_requested:
            goal.canceled()
        elif success:
            goal.succeed()
        else:
            goal.abort()
