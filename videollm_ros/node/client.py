# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A client of the assistant for Python programs: ask, follow an answer, listen, mute, reset, set a parameter.

The calls block. They may come from any thread except the one that spins the node, which has to stay free to receive
the responses. Failures are exceptions whose message is a sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
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
from videollm_ros.node.request_clients import RequestClients
from videollm_ros.srv import Ask

__all__ = [
    "AssistantClient", "AssistantError", "AssistantTimeoutError", "AssistantUnavailableError", "Conversation",
    "RefusedError",
]  # fmt: skip

ANSWER_TIMEOUT = 60.0  # seconds to wait for an answer, or for the next piece of one
CALL_TIMEOUT = 10.0  # seconds to wait for a response that needs no model


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
        self._group = ReentrantCallbackGroup()
        self._subscriptions: list[Any] = []
        self._conversations: set[Conversation] = set()
        self._requests = RequestClients(node, self.name, self._group)

    def close(self) -> None:
        """End all subscriptions, conversations and clients. A second call does nothing."""
        for conversation in list(self._conversations):
            conversation.close()
        while self._subscriptions:
            self.node.destroy_subscription(self._subscriptions.pop())
        self._requests.close()

    def wait_for_server(self, timeout: float = 0.0) -> bool:
        """Wait until the assistant offers its services and its action.

        Args:
            timeout: Seconds to wait at most. 0 only looks.

        Returns:
            Whether it offers them.
        """
        return self._requests.wait_for_server(timeout)

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
        response = self._requests.call_once("ask", Ask.Request(query=text, query_id=query_id), timeout)
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
            AssistantTimeoutError: It is there, but does not respond.
        """
        conversation = Conversation(self._conversations.discard, self.name, timeout)
        goal = Converse.Goal(query=text, query_id=query_id)
        sent = self._requests.send_goal(goal, conversation.feedback, timeout)
        self._conversations.add(conversation)
        conversation.follow(sent)
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
        _require_success(self._requests.call("mute", SetBool.Request(data=muted), timeout))

    def reset(self, timeout: float = 2 * CALL_TIMEOUT) -> None:
        """Make the assistant forget the stream.

        Raises:
            AssistantError: The assistant is not there, did not respond in time, or refused.
        """
        _require_success(self._requests.call_once("reset", Trigger.Request(), timeout))

    def set_parameter(self, name: str, value: bool | float | str, timeout: float = CALL_TIMEOUT) -> None:
        """Set one parameter of the assistant, for example `stream.threshold`.

        Raises:
            AssistantError: The assistant is not there, did not respond in time, or refused the value.
        """
        change = Parameter(name, value=value).to_parameter_msg()
        response = self._requests.call("set_parameters", SetParameters.Request(parameters=[change]), timeout)
        if not response.results or not response.results[0].successful:
            reason = response.results[0].reason if response.results else ""
            raise RefusedError(reason or f"{self.name} refused {name} = {value!r}.")

    def get_parameter(self, name: str, timeout: float = CALL_TIMEOUT) -> Any:
        """Return the value of one parameter of the assistant.

        Raises:
            AssistantError: The assistant is not there, did not respond in time, or has no such parameter.
        """
        response = self._requests.call("get_parameters", GetParameters.Request(names=[name]), timeout)
        value = parameter_value_to_python(response.values[0]) if response.values else None
        if value is None:
            raise RefusedError(f"{self.name} has no parameter {name}.")
        return value


def _require_success(response: SetBool.Response | Trigger.Response) -> None:
    if not response.success:
        raise RefusedError(response.message or "The assistant refused.")
