# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The three ways to ask: the topic ~/query, the service ~/ask, the action ~/converse."""

from __future__ import annotations

import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from std_msgs.msg import String

from videollm_ros.action import Converse
from videollm_ros.assistant.queries import Query, QueryError
from videollm_ros.assistant.speech import Speech
from videollm_ros.node.messages import utterance_message
from videollm_ros.srv import Ask


class QueryInterfaces:
    """Puts queries from all three into the node's one queue, and brings the answers back.

    The service and the action wait in a reentrant group, each on an executor thread of its own; the queue's bound
    is what keeps them from taking all threads.
    """

    def __init__(self, node) -> None:
        self._node = node
        self._asked_by_goal: dict[bytes, Query] = {}
        waiting = ReentrantCallbackGroup()
        node.create_subscription(String, "~/query", self._heard, 10)
        node.create_service(Ask, "~/ask", self._ask, callback_group=waiting)
        self._action = ActionServer(
            node,
            Converse,
            "~/converse",
            self._converse,
            cancel_callback=self._cancel_requested,
            callback_group=waiting,
        )

    def _heard(self, message: String) -> None:
        try:
            self._node.ask(message.data, "").answer.add_done_callback(self._answered)
        except QueryError as error:
            self._node.query_refused(f"A query on ~/query was refused. {error}")

    def _answered(self, answer: Future[Speech]) -> None:
        """Nobody waits for the answer to a query on the topic: what became of it is said in the log."""
        if error := answer.exception():
            self._node.query_refused(f"A query on ~/query was not answered. {error}")

    def _ask(self, request: Ask.Request, response: Ask.Response) -> Ask.Response:
        timeout = self._node.parameters.speech.ask_timeout
        try:
            query = self._node.ask(request.query, request.query_id)
            try:
                speech = query.answer.result(timeout)
            except FutureTimeoutError:
                reason = f"There was no answer within {timeout:g} s (speech.ask_timeout)."
                self._node.cancel(query, reason)
                raise QueryError(reason) from None
        except QueryError as error:
            response.message = str(error)
            return response
        response.success, response.truncated = True, speech.truncated
        response.utterance = self._message(speech)
        return response

    def _converse(self, goal: ServerGoalHandle) -> Converse.Result:
        result = Converse.Result()

        def follow(speech: Speech) -> None:
            goal.publish_feedback(Converse.Feedback(utterance=self._message(speech)))

        try:
            query = self._node.ask(goal.request.query, goal.request.query_id, follow)
        except QueryError as error:
            result.message = str(error)
            goal.abort()
            return result
        key = bytes(goal.goal_id.uuid)
        self._asked_by_goal[key] = query
        if goal.is_cancel_requested:  # before the query was known
            self._stop(query)
        try:
            speech = query.answer.result()
            result.success, result.truncated = not query.stopped, speech.truncated
            result.message = "The answer was stopped." if query.stopped else ""
            result.utterance = self._message(speech)
        except QueryError as error:
            result.message = str(error)
        del self._asked_by_goal[key]
        self._conclude(goal, result.success, query.stopped)
        return result

    def _cancel_requested(self, goal: ServerGoalHandle) -> CancelResponse:
        query = self._asked_by_goal.get(bytes(goal.goal_id.uuid))
        if query is not None:
            self._stop(query)
        return CancelResponse.ACCEPT

    def _stop(self, query: Query) -> None:
        query.stopped = True
        self._node.cancel(query, "The query was cancelled before its answer began.")

    @staticmethod
    def _conclude(goal: ServerGoalHandle, success: bool, stopped: bool) -> None:
        """Bring the goal to its terminal state."""
        # rclpy marks the goal as cancelling only after the cancel callback has returned; the model may be faster.
        deadline = time.monotonic() + 1.0
        while stopped and not goal.is_cancel_requested and time.monotonic() < deadline:
            time.sleep(0.001)
        if goal.is_cancel_requested:
            goal.canceled()
        elif success:
            goal.succeed()
        else:
            goal.abort()

    def _message(self, speech: Speech):
        return utterance_message(speech, self._node.get_clock().now())
