# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The clients of one assistant's services and of its action, and how to call them so that no response is lost."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.callback_groups import CallbackGroup
from rclpy.exceptions import InvalidHandle
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import SetBool, Trigger

from videollm_ros.action import Converse
from videollm_ros.node.conversation import AssistantTimeoutError, AssistantUnavailableError
from videollm_ros.node.request_queues import REQUESTS, LosslessActionClient
from videollm_ros.srv import Ask

DISCOVERY_TIMEOUT = 10.0  # seconds to wait for a service to appear in the graph
REPEAT_AFTER = 2.5  # seconds after which a call that may be repeated is sent again (rmw_fastrtps#842)
GREET_AGAIN_AFTER = 0.5  # seconds, for the call that finds out whether responses arrive
POLL_PERIOD = 0.05  # seconds between two looks at the graph


class RequestClients:
    """Calls the services of one assistant, and sends goals to its action.

    Args:
        node: The node to communicate with.
        name: The full name of the assistant.
        group: In which the executor handles the responses.
    """

    def __init__(self, node: Node, name: str, group: CallbackGroup) -> None:
        self._node, self._name = node, name
        self._closed = False
        # All exist from now on: a response is lost while the server has not discovered the client.
        self._converse = LosslessActionClient(node, Converse, f"{name}/converse", group)
        types = {"ask": Ask, "mute": SetBool, "reset": Trigger, "set_parameters": SetParameters}
        # The last one: a server that has discovered it knows the others, because they are announced in order.
        types["get_parameters"] = GetParameters
        self._services = {
            service: node.create_client(kind, f"{name}/{service}", qos_profile=REQUESTS, callback_group=group)
            for service, kind in types.items()
        }

    def close(self) -> None:
        """Destroy the clients. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        for service in self._services.values():
            self._node.destroy_client(service)
        # destroy() would end the thread of an executor that is about to wait for it. It goes with its last user.
        self._node.remove_waitable(self._converse)
        del self._converse

    def wait_for_server(self, timeout: float) -> bool:
        """Wait until the assistant offers everything. Returns whether it does."""

        def is_offered() -> bool:
            ready = all(service.service_is_ready() for service in self._services.values())
            return ready and self._converse.server_is_ready()

        with self._while_open():
            return _wait_for(is_offered, timeout)

    def call(self, service: str, request: Any, timeout: float) -> Any:
        """Send a request that may be sent again without harm, and return its response.

        Raises:
            AssistantUnavailableError: Nobody offers the service, or nothing spins the node.
            AssistantTimeoutError: No response came in time.
        """
        return self._call(service, request, timeout, REPEAT_AFTER)

    def call_once(self, service: str, request: Any, timeout: float) -> Any:
        """Send a request that must not be sent twice, and return its response. Raises as `call` does."""
        left = self._greet(service, timeout)
        return self._call(service, request, left, repeat_after=None)

    def send_goal(self, goal: Converse.Goal, feedback: Callable[[Any], None], timeout: float) -> Future:
        """Send a goal to ~/converse. Returns a future of its handle.

        Raises:
            AssistantUnavailableError: Nobody offers the action, or nothing spins the node.
            AssistantTimeoutError: The assistant does not respond.
        """
        left = self._greet("converse", timeout)
        with self._while_open():
            self._require(self._converse.server_is_ready, "converse", left)
            return self._converse.send_goal_async(goal, feedback_callback=feedback)

    def _greet(self, wanted: str, timeout: float) -> float:
        """Wait until the assistant responds to a request without effect. Returns the seconds that are left.

        A server answers before it has discovered who asks, and that response is lost (rmw_fastrtps#392). One that was
        killed stays in the graph for a while, and what is sent to it is lost as well. This request can be repeated.
        """
        began = time.monotonic()
        self._call("get_parameters", GetParameters.Request(), timeout, GREET_AGAIN_AFTER, wanted)
        return max(0.0, timeout - (time.monotonic() - began))

    def _call(self, service: str, request: Any, timeout: float, repeat_after: float | None, wanted: str = "") -> Any:
        """Send a request and wait. Where it may be repeated, it is sent again when no response comes.

        `wanted` is what an error names when it is not the service itself.
        """
        client, name = self._services[service], wanted or service
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
            if arrived.wait(left if repeat_after is None else min(repeat_after, left)):
                return next(future for future in futures if future.done()).result()
            if time.monotonic() >= deadline:
                for future in futures:
                    client.remove_pending_request(future)
                raise AssistantTimeoutError(f"{self._name}/{name} did not respond within {timeout:g} s.")

    @contextlib.contextmanager
    def _while_open(self) -> Iterator[None]:
        closed = AssistantUnavailableError(f"The client of {self._name} was closed.")
        if self._closed:
            raise closed
        try:
            yield
        except InvalidHandle as error:
            raise closed from error

    def _require(self, is_ready: Callable[[], bool], name: str, timeout: float) -> None:
        """Give the graph a moment to be discovered."""
        if self._node.executor is None:
            raise AssistantUnavailableError(
                f"Nothing spins the node {self._node.get_name()}, so no response can arrive: add it to an executor and "
                "spin that in another thread."
            )
        if not _wait_for(is_ready, min(timeout, DISCOVERY_TIMEOUT)):
            raise AssistantUnavailableError(
                f"Nobody offers {self._name}/{name}: start the assistant, or give the client its full name."
            )


def _wait_for(condition: Callable[[], bool], timeout: float) -> bool:
    """Look at the graph again and again. Returns whether the condition came true in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(POLL_PERIOD, left))
    return True
