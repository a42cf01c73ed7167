# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A client of the assistant for Python programs: ask, follow an answer, listen, mute, reset, set a parameter.

The calls block. They may come from any thread except the one that spins the node, which has to stay free to receive
the responses. Failures are exceptions whose message is a sentence.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.callback_groups import CallbackGroup, ReentrantCallbackGroup
from rclpy.client import Client
from rclpy.exceptions import InvalidHandle
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.task import Future
from std_srvs.srv import SetBool, Trigger

from videollm_ros.action import Converse
from videollm_ros.msg import AssistantUtterance
from videollm_ros.node.conversation import (
    AssistantError,
    AssistantTimeoutError,
    AssistantUnavailableError,
    Conversation,
    RefusedError,
)
from videollm_ros.node.partials import UtteranceCallback, each_once
from videollm_ros.node.request_queues import REQUESTS, LosslessActionClient
from videollm_ros.srv import Ask

__all__ = [
    "AssistantClient", "AssistantError", "AssistantTimeoutError", "AssistantUnavailableError", "Conversation",
    "RefusedError",
]  # fmt: skip

ANSWER_TIMEOUT = 60.0  # seconds to wait for an answer, or for the next piece of one
CALL_TIMEOUT = 10.0  # seconds to wait for a response that needs no model
RETRY_AFTER = 2.5  # seconds after which a call that may be repeated is sent again (rmw_fastrtps#842)
POLL_PERIOD = 0.05  # seconds between two looks at the graph


class AssistantClient:
    """Talks to one assistant.

    Args:
        node: The node to communicate with. An executor must spin it in another thread.
        name: Name of the assistant. A relative name is resolved in the node's namespace.

    Example:
        >>> client = AssistantClient(node)
        >>> client.wait_for_server(10.0)
        >>> print(client.ask("What is on the table?").text)
    """

    def __init__(self, node: Node, name: str = "assistant") -> None:
        self.node = node
        self.name = node.resolve_service_name(name)
        self._group: CallbackGroup = ReentrantCallbackGroup()
        self._subscriptions: list[Any] = []
        self._conversations: set[Conversation] = set()
        self._closed = False
        # Create all clients now and keep them: a response can be lost while client and server discover each other.
        self._ask = self._service(Ask, "ask")
        self._mute = self._service(SetBool, "mute")
        self._reset = self._service(Trigger, "reset")
        self._set_parameters = self._service(SetParameters, "set_parameters")
        self._get_parameters = self._service(GetParameters, "get_parameters")
        self._converse = LosslessActionClient(node, Converse, f"{self.name}/converse", self._group)

    def _service(self, service_type: type, name: str) -> Client:
        service = f"{self.name}/{name}"
        return self.node.create_client(service_type, service, qos_profile=REQUESTS, callback_group=self._group)

    def close(self) -> None:
        """End all subscriptions, conversations and clients. A second call does nothing."""
        for conversation in list(self._conversations):
            conversation.close()
        while self._subscriptions:
            self.node.destroy_subscription(self._subscriptions.pop())
        if not self._closed:
            self._closed = True
            for client in (self._ask, self._mute, self._reset, self._set_parameters, self._get_parameters):
                self.node.destroy_client(client)
            # destroy() would end the thread of an executor that is about to wait for it. It goes with its last user.
            self.node.remove_waitable(self._converse)
            del self._converse

    def wait_for_server(self, timeout: float = 0.0) -> bool:
        """Wait until the assistant offers its services and its action.

        Args:
            timeout: Seconds to wait at most. 0 only looks.

        Returns:
            Whether it offers them.
        """
        return _wait_for(self._is_offered, timeout)

    def _is_offered(self) -> bool:
        services = (self._ask, self._mute, self._reset, self._set_parameters, self._get_parameters)
        return all(client.service_is_ready() for client in services) and self._converse.server_is_ready()

    def ask(self, text: str, timeout: float = ANSWER_TIMEOUT, query_id: str = "") -> AssistantUtterance:
        """Ask and wait for the complete answer.

        Args:
            text: The question.
            timeout: Seconds to wait.
            query_id: A name of your own by which to recognize the answer on ~/utterance.

        Returns:
            The answer.

        Raises:
            AssistantUnavailableError: No assistant of this name is in the graph, or nothing spins the node.
            AssistantTimeoutError: No answer came in time.
            RefusedError: The assistant refused the question or could not answer it.
        """
        response = self._call(self._ask, Ask.Request(query=text, query_id=query_id), timeout, retry=False)
        if not response.success:
            raise RefusedError(response.message)
        return response.utterance

    def converse(self, text: str, timeout: float = ANSWER_TIMEOUT, query_id: str = "") -> Conversation:
        """Ask and follow the answer while it is spoken.

        Args:
            text: The question.
            timeout: Seconds to wait for each next piece of the answer.
            query_id: A name of your own by which to recognize the answer on ~/utterance.

        Returns:
            An iterator over the growing answer. Its last item is the complete one. To close it early stops the answer.

        Raises:
            AssistantUnavailableError: No assistant of this name is in the graph, or nothing spins the node.
        """
        self._require_spinning()
        with self._while_open():
            self._require(self._converse.server_is_ready, "converse", timeout)
        conversation = Conversation(self._conversations.discard, self.name, timeout)
        self._conversations.add(conversation)
        goal = Converse.Goal(query=text, query_id=query_id)
        conversation.follow(self._converse.send_goal_async(goal, feedback_callback=conversation.feedback))
        return conversation

    def on_utterance(self, callback: UtteranceCallback, *, partial: bool = False) -> Callable[[], None]:
        """Call `callback` with every utterance of the assistant, on a thread of the executor.

        Args:
            callback: Takes an AssistantUtterance.
            partial: Also get utterances while they grow, token by token. `final` is set on the last of each.

        Returns:
            A function that ends it.
        """
        topics = ["utterance", "utterance_partial"] if partial else ["utterance"]
        heard = each_once(callback) if partial else callback
        mine = [
            self.node.create_subscription(
                AssistantUtterance, f"{self.name}/{topic}", heard, 100, callback_group=self._group
            )
            for topic in topics
        ]
        self._subscriptions += mine

        def end() -> None:
            for subscription in mine:
                if subscription in self._subscriptions:
                    self._subscriptions.remove(subscription)
                    self.node.destroy_subscription(subscription)

        return end

    def mute(self, muted: bool = True, timeout: float = CALL_TIMEOUT) -> None:
        """Forbid proactive speech, or allow it again.

        Raises:
            AssistantError: The assistant is not there, did not respond in time, or refused.
        """
        self._require_success(self._call(self._mute, SetBool.Request(data=muted), timeout))

    def reset(self, timeout: float = 2 * CALL_TIMEOUT) -> None:
        """Make the assistant forget the stream.

        Raises:
            AssistantError: The assistant is not there, did not respond in time, or refused.
        """
        self._require_success(self._call(self._reset, Trigger.Request(), timeout, retry=False))

    def set_parameter(self, name: str, value: bool | float | str, timeout: float = CALL_TIMEOUT) -> None:
        """Set one parameter of the assistant, for example `stream.threshold`.

        Raises:
            AssistantError: The assistant is not there, did not respond in time, or refused the value.
        """
        change = Parameter(name, value=value).to_parameter_msg()
        response = self._call(self._set_parameters, SetParameters.Request(parameters=[change]), timeout)
        if not response.results or not response.results[0].successful:
            reason = response.results[0].reason if response.results else ""
            raise RefusedError(reason or f"{self.name} refused {name} = {value!r}.")

    def get_parameter(self, name: str, timeout: float = CALL_TIMEOUT) -> Any:
        """Return the value of one parameter of the assistant.

        Raises:
            AssistantError: The assistant is not there, did not respond in time, or has no such parameter.
        """
        response = self._call(self._get_parameters, GetParameters.Request(names=[name]), timeout)
        value = parameter_value_to_python(response.values[0]) if response.values else None
        if value is None:
            raise RefusedError(f"{self.name} has no parameter {name}.")
        return value

    # How calls travel.

    @contextlib.contextmanager
    def _while_open(self) -> Iterator[None]:
        closed = AssistantUnavailableError(f"The client of {self.name} was closed.")
        if self._closed:
            raise closed
        try:
            yield
        except InvalidHandle as error:
            raise closed from error

    def _require_spinning(self) -> None:
        if self.node.executor is None:
            raise AssistantUnavailableError(
                f"Nothing spins the node {self.node.get_name()}, so no response can arrive: add it to an executor and "
                "spin that in another thread."
            )

    def _require(self, is_ready: Callable[[], bool], name: str, timeout: float) -> None:
        """Give the graph a moment to be discovered."""
        if not _wait_for(is_ready, min(timeout, CALL_TIMEOUT)):
            raise AssistantUnavailableError(
                f"Nobody offers {self.name}/{name}: start the assistant, or give the client its full name."
            )

    def _call(self, client: Client, request: Any, timeout: float, *, retry: bool = True) -> Any:
        """Send a request and wait. With `retry` it is sent again when no response comes: it must be idempotent."""
        self._require_spinning()
        name = client.srv_name.rsplit("/", 1)[-1]
        deadline = time.monotonic() + timeout
        with self._while_open():
            self._require(client.service_is_ready, name, timeout)
        arrived = threading.Event()
        futures: list[Future] = []
        while True:
            with self._while_open():
                futures.append(client.call_async(request))
            futures[-1].add_done_callback(lambda _: arrived.set())
            left = max(0.0, deadline - time.monotonic())
            if arrived.wait(min(RETRY_AFTER, left) if retry else left):
                return next(future for future in futures if future.done()).result()
            if time.monotonic() >= deadline:
                for future in futures:
                    client.remove_pending_request(future)
                raise AssistantTimeoutError(f"{self.name}/{name} did not respond within {timeout:g} s.")

    def _require_success(self, response: SetBool.Response | Trigger.Response) -> None:
        if not response.success:
            raise RefusedError(response.message or f"{self.name} refused.")


def _wait_for(condition: Callable[[], bool], timeout: float) -> bool:
    """Look at the graph again and again. Returns whether the condition came true in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(POLL_PERIOD, left))
    return True
