# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Configure and activate a lifecycle node at its start, and try again when the model could not be loaded."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNodeMixin, TransitionCallbackReturn

RCLError = rclpy_implementation.RCLError
FIRST_WAIT = 2.0  # seconds after the first failure; twice as long after every other one
LONGEST_WAIT = 60.0  # seconds
NOT_LOADED = 1  # exit code


class Autostart:
    """Triggers configure and activate from a timer. A failed configure is tried again after a growing pause.

    Somebody who configures the node by hand meanwhile ends this.

    Args:
        node: a lifecycle node.
        group: the callback group of the node's transitions.
        retries: how often a failed configure is tried again, asked after every failure.
        give_up: called when the last attempt has failed.
    """

    def __init__(
        self, node: LifecycleNodeMixin, group: CallbackGroup, retries: Callable[[], int], give_up: Callable[[], None]
    ):
        self._node, self._group, self._retries, self._give_up = node, group, retries, give_up
        self._clock = Clock(clock_type=ClockType.STEADY_TIME)  # runs without /clock
        self._failures = 0
        self._wait(0.0)

    def _wait(self, seconds: float) -> None:
        self._timer = self._node.create_timer(seconds, self._attempt, self._group, self._clock)

    def _attempt(self) -> None:
        self._node.destroy_timer(self._timer)
        try:
            result = self._node.trigger_configure()
        except RCLError:
            return  # it is not unconfigured any more: somebody did it by hand
        if result == TransitionCallbackReturn.SUCCESS:
            self._node.trigger_activate()
            return
        self._failures += 1
        name = self._node.get_fully_qualified_name()
        if self._failures > self._retries():
            self._node.get_logger().fatal(
                f"The model could not be loaded, and {name} ends (attempts: {self._failures}). model.load_retries "
                "allows more of them. With autostart:=false the node waits for the transition configure."
            )
            self._give_up()
            return
        pause = min(FIRST_WAIT * 2 ** (self._failures - 1), LONGEST_WAIT)
        self._node.get_logger().warning(
            f"The load is tried again in {pause:g} s. `ros2 lifecycle set {name} configure` tries it at once, also "
            "with other parameters."
        )
        self._wait(pause)
