# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lifecycle transitions that say why they failed: rclpy swallows the exceptions of their callbacks."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable

from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn


def reports_failure(callback: Callable) -> Callable:
    """Make a method such as on_configure report its exception by `self.failed`, and return ERROR."""

    @functools.wraps(callback)
    def transition(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return callback(self, state)
        except Exception as error:  # noqa: BLE001 - whatever it is, the state machine goes on to on_error
            self.failed(f"{callback.__name__} failed: {type(error).__name__}: {error}", lasting=True)
            self.get_logger().error(traceback.format_exc())
            return TransitionCallbackReturn.ERROR

    return transition
