# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A question that was put to the assistant, as an iterator over the growing answer, and what can go wrong with it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action.client import ClientGoalHandle
from rclpy.task import Future

from videollm_ros.msg import AssistantUtterance


class AssistantError(RuntimeError):
    """Report that the assistant did not do what it was asked to do."""


class AssistantUnavailableError(AssistantError):
    """Report that no assistant of this name is in the graph, or that nothing spins the client's node."""


class AssistantTimeoutError(AssistantError, TimeoutError):
    """Report that no response came in time."""


class RefusedError(AssistantError):
    """Report that the assistant refused. The message is the assistant's own sentence."""


class Conversation(Iterator[AssistantUtterance]):
    """Iterates over one growing answer. Made by `AssistantClient.converse`; also a context manager.

    Attributes:
        truncated: Whether the answer was cut off. Known at the end.
    """

    def __init__(self, ended: Callable[[Conversation], None], name: str, timeout: float) -> None:
        self.truncated = False
        self._ended, self._name, self._timeout = ended, name, timeout
        self._arrived: queue.SimpleQueue[AssistantUtterance | AssistantError | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._goal: ClientGoalHandle | None = None
        self._over = False  # it has ended: nothing to cancel any more
        self._closed = False

    def __next__(self) -> AssistantUtterance:
        """Wait for the next piece.

        Raises:
            AssistantTimeoutError: Nothing came in time. The answer is stopped.
            RefusedError: The assistant refused the question, or could not answer it.
        """
        if self._closed:
            raise StopIteration
        try:
            item = self._arrived.get(timeout=self._timeout)
        except queue.Empty:
            self.close()
            raise AssistantTimeoutError(
                f"{self._name}/converse sent nothing for {self._timeout:g} s; the answer was stopped."
            ) from None
        if isinstance(item, AssistantUtterance):
            return item
        self.close()
        if item is None:
            raise StopIteration
        raise item

    def close(self) -> None:
        """Stop the answer if it is not complete. Iteration then ends."""
        with self._lock:
            self._closed = True
            goal = None if self._over else self._goal
            self._over = self._over or goal is not None
        self._arrived.put(None)  # wakes whoever waits for the next piece
        self._ended(self)
        if goal is not None:
            goal.cancel_goal_async()

    def __enter__(self) -> Conversation:
        """Return the conversation itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the answer if it is not complete."""
        self.close()

    # Called by the executor.

    def follow(self, accepted: Future) -> None:
        """Wait for the response to the goal, and then for the result."""
        accepted.add_done_callback(self._answered)

    def feedback(self, message: Any) -> None:
        """Take one piece of the answer."""
        self._arrived.put(message.feedback.utterance)

    def _answered(self, response: Future) -> None:
        goal = response.result()
        if goal is None or not goal.accepted:
            self._finish(RefusedError(f"{self._name} did not accept the question."))
            return
        goal.get_result_async().add_done_callback(self._concluded)
        with self._lock:
            self._goal = goal
            cancel = self._closed and not self._over
            self._over = self._over or cancel
        if cancel:  # it was closed before it was accepted
            goal.cancel_goal_async()

    def _concluded(self, response: Future) -> None:
        outcome = response.result()
        self.truncated = outcome.result.truncated
        if outcome.status == GoalStatus.STATUS_SUCCEEDED:
            self._arrived.put(outcome.result.utterance)
            self._finish(None)
        else:
            self._finish(RefusedError(outcome.result.message or "The answer was stopped."))

    def _finish(self, end: AssistantError | None) -> None:
        with self._lock:
            self._over = True
        self._arrived.put(end)
