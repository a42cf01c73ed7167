# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What rclpy's lifecycle lacks: transitions that say why they failed, and services that always answer."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Any

from lifecycle_msgs.srv import ChangeState
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn

RCLError = rclpy_implementation.RCLError
Transition = Callable[[Any, LifecycleState], TransitionCallbackReturn]  # a method of a node


def reports_failure(callback: Transition) -> Transition:
    """Make a method such as on_configure report its exception by `self.failed`, and return ERROR.

    rclpy swallows what a transition raises.
    """

    @functools.wraps(callback)
    def transition(self: Any, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return callback(self, state)
        except Exception as error:  # noqa: BLE001 - whatever it is, the state machine goes on to on_error
            self.failed(f"{callback.__name__} failed: {type(error).__name__}: {error}", lasting=True)
            self.get_logger().error(traceback.format_exc())
            return TransitionCallbackReturn.ERROR

    return transition


def always_answer(node: LifecycleNodeMixin) -> None:
    """Make the lifecycle services of a node answer at any time.

    rclpy has all of them in one callback group, so that nobody could ask for the state while a model is being loaded,
    and gives no response at all to a request for a transition that the state does not have.
    """
    for name in ("get_state", "get_available_states", "get_available_transitions", "get_transition_graph"):
        # Nothing public gives them; in an rclpy that has them under other names, they stay as they are.
        if (service := getattr(node, f"_service_{name}", None)) is not None:
            service.callback_group = node.default_callback_group
            service.callback_group.add_entity(service)
    transitions = getattr(node, "_service_change_state", None)
    if transitions is None:
        return
    change_state = transitions.callback

    def change_state_or_refuse(request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
        try:
            return change_state(request, response)
        except RCLError as error:
            node.get_logger().warning(f"The transition was refused: {error}")
            response.success = False
            return response

    transitions.callback = change_state_or_refuse
